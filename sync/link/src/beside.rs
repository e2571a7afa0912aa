//! Boxes of one county that meet on a local network while the county cannot be reached.
//!
//! A box that had no relay for a while looks for others and calls them; each box with an open
//! database answers. It is one conversation like any other – the same engine, the same admission,
//! QUIC with certificates on both sides – about what both may have; see [`crate::Neighbours`].

mod nearby;
mod rounds;

use crate::dial::{LinkHandle, LinkState};
use crate::driver::Conversation;
use crate::line::Connection;
use crate::profile::{Profile, Settings};
use crate::quotas::Accounts;
use crate::reach;
use crate::renewal::Credentials;
use crate::serve::watch_changes;
use crate::{CLOSE_DONE, CLOSE_REFUSED, LinkError, explain, tls};
use cunkou_engine::{Knock, Limits, PeerInfo, Port, Rate};
use mdns_sd::{Receiver, ServiceEvent};
use nearby::Nearby;
use quinn::{Endpoint, Incoming};
use rounds::Rounds;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info, warn};

const HANDSHAKE: Duration = Duration::from_secs(10);
/// So many handshakes go on at once.
const STRANGERS_MAX: usize = 4;
/// So many conversations go on at once, whoever called.
const TALKS_MAX: usize = 6;
/// After so many answers to one question somebody is shouting: nobody is asked for a while.
const ANSWERS_MAX: u32 = 500;
const DEAF: Duration = Duration::from_secs(900);

/// What strangers on a local network may ask of a box: a hundredth of a relay's.
fn limits() -> Limits {
    let minute = Duration::from_secs(60);
    let handshakes = Rate { burst: 10, amount: 1, window: Duration::from_secs(1) };
    let connects = Rate { burst: 10, amount: 4, window: minute };
    Limits { handshakes, connects, connections: 2, ..Limits::START }
}

/// Which devices are talked to, by whichever side called.
#[derive(Clone)]
struct Met(watch::Sender<BTreeMap<[u8; 16], String>>);

/// One conversation's place among them.
struct Place {
    met: Met,
    device: [u8; 16],
}

impl Met {
    /// Nothing when this device is talked to already, or too many are.
    fn sit(&self, peer: &PeerInfo) -> Option<Place> {
        let free = self.0.send_if_modified(|met| {
            let free = met.len() < TALKS_MAX && !met.contains_key(&peer.device);
            if free {
                met.insert(peer.device, peer.name.clone());
            }
            free
        });
        free.then(|| Place { met: self.clone(), device: peer.device })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.met.0.send_modify(|met| drop(met.remove(&self.device)));
    }
}

/// Looks for boxes of the county beside this one, and answers those that look for this one.
pub struct Neighbours {
    me: Arc<dyn Credentials>,
    port: Arc<dyn Port>,
    link: LinkHandle,
    after: Duration,
    anywhere: bool,
    met: Met,
}

impl std::fmt::Debug for Neighbours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Neighbours")
    }
}

/// What both directions share while it runs.
#[derive(Clone)]
struct Room {
    me: Arc<dyn Credentials>,
    port: Arc<dyn Port>,
    changes: watch::Receiver<u64>,
    met: Met,
    settings: Settings,
}

impl Neighbours {
    /// For the box whose relay `link` keeps in touch with; calls others when there was no relay for
    /// so long. `port` must admit boxes and nobody else.
    #[must_use]
    pub fn new(
        me: Arc<dyn Credentials>,
        port: Arc<dyn Port>,
        link: LinkHandle,
        after: Duration,
    ) -> Self {
        let met = Met(watch::channel(BTreeMap::new()).0);
        Self { me, port, link, after, anywhere: false, met }
    }

    /// Calls any address that it hears of, those of this machine included: for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn anywhere(mut self) -> Self {
        self.anywhere = true;
        self
    }

    /// The boxes that are talked to now, by name.
    #[must_use]
    pub fn met(&self) -> watch::Receiver<BTreeMap<[u8; 16], String>> {
        self.met.0.subscribe()
    }

    /// Goes on until the task is dropped; `random` gives names and jitter. Where there is no
    /// multicast it says so and ends.
    pub async fn run(self, random: impl Fn() -> u32) {
        let endpoint = match listen(&*self.me) {
            Ok(endpoint) => endpoint,
            Err(error) => return warn!(%error, "no boxes beside this one are looked for"),
        };
        let port = endpoint.local_addr().map_or(0, |at| at.port());
        match Nearby::announce(port, random()) {
            Ok(nearby) => self.go_on(endpoint, Some(nearby), None, random).await,
            Err(error) => warn!(%error, "no boxes beside this one are looked for"),
        }
    }

    /// The same where somebody else says who is there: for tests. Gives where this box answers.
    ///
    /// # Errors
    /// [`LinkError::Setup`] when no socket is to be had.
    #[doc(hidden)]
    pub fn run_told(
        self,
        told: tokio::sync::mpsc::Receiver<SocketAddr>,
        random: impl Fn() -> u32 + Send + Sync + 'static,
    ) -> Result<(u16, impl Future<Output = ()> + Send), LinkError> {
        let endpoint = listen(&*self.me)?;
        let port = endpoint.local_addr().map_err(|e| LinkError::Setup(e.to_string()))?.port();
        Ok((port, async move { self.go_on(endpoint, None, Some(told), random).await }))
    }

    async fn go_on(
        self,
        endpoint: Endpoint,
        nearby: Option<Nearby>,
        mut told: Option<tokio::sync::mpsc::Receiver<SocketAddr>>,
        random: impl Fn() -> u32,
    ) {
        let begun = Instant::now();
        let room = Room {
            me: Arc::clone(&self.me),
            port: Arc::clone(&self.port),
            changes: watch_changes(&*self.port),
            met: self.met.clone(),
            settings: Settings::of(Profile::Wired),
        };
        let door = Door {
            accounts: Accounts::new(limits()),
            strangers: Arc::new(Semaphore::new(STRANGERS_MAX)),
        };
        let mut rounds = Rounds::new(self.after, self.anywhere);
        let mut state = self.link.watch();
        let mut ears = Ears::default();
        let mut calls = JoinSet::new();
        let mut guests = JoinSet::new();
        loop {
            let now = begun.elapsed();
            rounds.relay(now, matches!(*state.borrow_and_update(), LinkState::Online(_)));
            if let Some(nearby) = &nearby {
                ears.listen(nearby, rounds.looks(now), begun.elapsed());
            }
            while let Some(at) = rounds.next(now) {
                let (room, state) = (room.clone(), self.link.watch());
                calls.spawn(async move { (at, room.call(at, state).await) });
            }
            let wake = [rounds.wake(now), ears.wake()].into_iter().flatten().min();
            let sleep = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(begun + at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                incoming = endpoint.accept() => match incoming {
                    Some(incoming) => {
                        if let Some(guest) = door.open(&room, incoming) {
                            guests.spawn(guest);
                        }
                    }
                    None => return,
                },
                changed = state.changed() => if changed.is_err() { return },
                Some(event) = ears.hear() => {
                    let found = nearby.as_ref().map(|nearby| nearby.found(&event));
                    for at in found.into_iter().flatten() {
                        rounds.heard(begun.elapsed(), at);
                    }
                }
                Some(at) = hear_of(&mut told) => rounds.heard(begun.elapsed(), at),
                Some(Ok((at, talked))) = calls.join_next() => {
                    rounds.ended(begun.elapsed(), at, talked, random());
                }
                Some(_) = guests.join_next() => {}
                () = sleep => {}
            }
        }
    }
}

async fn hear_of(told: &mut Option<tokio::sync::mpsc::Receiver<SocketAddr>>) -> Option<SocketAddr> {
    match told {
        Some(told) => told.recv().await,
        None => std::future::pending().await,
    }
}

/// Listens to answers for as long as the box looks, and not to somebody who shouts.
#[derive(Default)]
struct Ears {
    hearing: Option<Receiver<ServiceEvent>>,
    heard: u32,
    deaf_until: Option<Duration>,
}

impl Ears {
    fn listen(&mut self, nearby: &Nearby, wanted: bool, now: Duration) {
        if self.deaf_until.is_some_and(|until| now >= until) {
            self.deaf_until = None;
        }
        if self.heard > ANSWERS_MAX {
            info!("somebody on the local network says too much; nobody is asked for a while");
            (self.heard, self.deaf_until) = (0, Some(now + DEAF));
        }
        let wanted = wanted && self.deaf_until.is_none();
        match (&self.hearing, wanted) {
            (None, true) => match nearby.look() {
                Ok(hearing) => (self.hearing, self.heard) = (Some(hearing), 0),
                Err(error) => {
                    debug!(%error, "nobody can be asked");
                    self.deaf_until = Some(now + DEAF);
                }
            },
            (Some(_), false) => {
                nearby.look_away();
                self.hearing = None;
            }
            _ => {}
        }
    }

    fn wake(&self) -> Option<Duration> {
        self.deaf_until
    }

    async fn hear(&mut self) -> Option<ServiceEvent> {
        let Some(hearing) = &self.hearing else { return std::future::pending().await };
        let event = hearing.recv_async().await;
        self.heard = self.heard.saturating_add(1);
        if event.is_err() {
            // The daemon gave up on us: too much was said at once.
            (self.hearing, self.heard) = (None, ANSWERS_MAX + 1);
        }
        event.ok()
    }
}

/// Both families on one port where the machine has both.
fn listen(me: &dyn Credentials) -> Result<Endpoint, LinkError> {
    let setup = |e: std::io::Error| LinkError::Setup(format!("no UDP socket: {e}"));
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))
        .or_else(|_| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))
        .map_err(setup)?;
    let runtime = quinn::default_runtime()
        .ok_or_else(|| LinkError::Setup("no asynchronous runtime".into()))?;
    let me = me.certificate()?;
    // Each caller is shown the certificate of the moment, see [`Door::open`].
    let config = tls::quic_server(
        tls::beside_server(&me, crate::Clock { now_ms: 0, floor_ms: 0 })?,
        &Settings::of(Profile::Wired),
    )?;
    Endpoint::new(tls::endpoint(&me), Some(config), socket, runtime).map_err(setup)
}

/// Who may come in.
struct Door {
    accounts: Accounts,
    strangers: Arc<Semaphore>,
}

impl Door {
    /// Welcomes somebody who knocks; nothing when they are not let in.
    fn open(
        &self,
        room: &Room,
        incoming: Incoming,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        let (address, proved) = (incoming.remote_address(), incoming.remote_address_validated());
        match self.accounts.knock(address.ip(), proved) {
            Knock::Welcome => {}
            Knock::Retry => {
                // Fails only for an address that is proved already.
                let _ = incoming.retry();
                return None;
            }
            Knock::Ignore => {
                incoming.ignore();
                return None;
            }
        }
        let Ok(stranger) = Arc::clone(&self.strangers).try_acquire_owned() else {
            incoming.ignore();
            return None;
        };
        let clock = room.me.clock();
        let config = room
            .me
            .certificate()
            .and_then(|me| tls::quic_server(tls::beside_server(&me, clock)?, &room.settings));
        let Ok(config) = config else {
            incoming.refuse();
            return None;
        };
        let (room, accounts) = (room.clone(), self.accounts.clone());
        Some(async move {
            let shaking = async { incoming.accept_with(Arc::new(config))?.await };
            let connection = match tokio::time::timeout(HANDSHAKE, shaking).await {
                Ok(Ok(connection)) => Connection::Quic(connection),
                _ => return debug!(%address, "somebody beside this box is not of this county"),
            };
            drop(stranger);
            room.receive(connection, &accounts).await;
        })
    }
}

impl Room {
    /// Whoever is at the other end, if they may talk to this box.
    fn admit(&self, connection: &Connection) -> Result<(PeerInfo, [u8; 32]), LinkError> {
        let key = tls::peer_key(connection)
            .ok_or_else(|| LinkError::OtherCounty("it shows no key".into()))?;
        let peer = self.port.admit_peer(&key).map_err(|r| LinkError::Refused(r.words))?;
        Ok((peer, key))
    }

    /// Talks to a box that has called.
    async fn receive(self, connection: Connection, accounts: &Accounts) {
        let refuse = |words: &str| connection.close(CLOSE_REFUSED.into(), words.as_bytes());
        let (peer, key) = match self.admit(&connection) {
            Ok(admitted) => admitted,
            Err(error) => return refuse(&error.to_string()),
        };
        let account = match accounts.open(peer.device) {
            Ok(account) => account,
            Err(too_much) => return refuse(&too_much.to_string()),
        };
        let Some(_place) = self.met.sit(&peer) else {
            return refuse("the two boxes are talking already");
        };
        let opened = tokio::time::timeout(HANDSHAKE, connection.accept_bi()).await;
        let Ok(Ok((send, receive))) = opened else {
            return refuse("it opened no stream");
        };
        let name = peer.name.clone();
        let conversation = Conversation {
            account: Some(account),
            ..self.conversation(connection.clone(), peer, key, false)
        };
        match conversation.run(send, receive).await {
            Ok(()) => info!(peer = %name, "the conversation with a box nearby ended"),
            Err(error) => info!(peer = %name, %error, "the conversation with a box nearby ended"),
        }
    }

    fn conversation(
        &self,
        connection: Connection,
        peer: PeerInfo,
        key: [u8; 32],
        dials: bool,
    ) -> Conversation {
        Conversation {
            connection,
            port: Arc::clone(&self.port),
            peer,
            key,
            dials,
            changes: self.changes.clone(),
            progress: watch::channel(None).0,
            met: watch::channel(false).0,
            asked: None,
            account: None,
            paused: None,
            colds: None,
        }
    }

    /// Calls a box and talks until the relay is back or the conversation ends. True when it was a
    /// box of this county.
    async fn call(self, at: SocketAddr, mut relay: watch::Receiver<LinkState>) -> bool {
        let greeted = Mutex::new(false);
        let back = async {
            // Fails only when the box is stopping.
            let _ = relay.wait_for(|state| matches!(state, LinkState::Online(_))).await;
        };
        let talk = async {
            let (talked, why) = match self.converse(at, &greeted).await {
                Ok(()) => (true, None),
                Err(error) => (false, Some(error)),
            };
            if let Some(error) = why {
                debug!(%at, %error, "not connected to a box nearby");
            }
            talked
        };
        let talked = tokio::select! {
            talked = talk => talked,
            () = back => true,
        };
        talked || *greeted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn converse(&self, at: SocketAddr, admitted: &Mutex<bool>) -> Result<(), LinkError> {
        let me = self.me.certificate()?;
        let config = tls::beside_client(&me, self.me.clock())?;
        let config = tls::quic_client(config, &self.settings)?;
        // An address as a name: no name of anybody is sent.
        let name = at.ip().to_string();
        let reached = reach::quic(&at.to_string(), &name, config, &self.settings).await?;
        let connection = Connection::Quic(reached.connection.clone());
        let (peer, key) = self.admit(&connection)?;
        let Some(_place) = self.met.sit(&peer) else {
            connection.close(CLOSE_DONE.into(), b"the two boxes are talking already");
            return Err(LinkError::Refused("the two boxes are talking already".into()));
        };
        *admitted.lock().unwrap_or_else(PoisonError::into_inner) = true;
        info!(peer = %peer.name, "a box nearby answers");
        let (send, receive) = connection.open_bi().await.map_err(|e| explain(&e))?;
        let talk = self.conversation(connection, peer, key, true).run(send, receive).await;
        reached.end().await;
        talk
    }
}
