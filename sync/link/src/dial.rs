//! The box's side: finds its relay, again and again, with growing waits.

use crate::driver::Conversation;
use crate::order::{Order, Then};
use crate::profile::Settings;
use crate::reach::{self, Reached};
use crate::renewal::{self, Credentials};
use crate::serve::watch_changes;
use crate::{ALPN_SYNC, DeviceCertificate, LinkError, explain, tls};
use cunkou_engine::{Backoff, Port, Progress};
use rustls::client::Resumption;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

/// So often a box that is connected looks whether its own address has changed.
const LOOK_AROUND: Duration = Duration::from_secs(5);
/// With a relay that is not the first for so long, a box looks whether the first answers again.
const FIRST_AGAIN: Duration = Duration::from_secs(3600);
/// A relay that is busy is believed when it asks for so long at most.
const BUSY_MAX: Duration = Duration::from_secs(900);
/// So often a box that is connected looks whether its certificates are to be renewed.
const LOOK: Duration = Duration::from_secs(3600);
/// The shortest wait between two attempts while somebody looks.
const HURRIED: Duration = Duration::from_secs(1);

/// Where the link stands, for pages and status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Trying to reach the relay.
    Connecting,
    /// Talking, with so much left to do.
    Online(Progress),
    /// Not connected; tried again after the wait.
    Offline {
        /// Why, in words.
        why: String,
        /// True when a person has to do something: trying again will not help by itself.
        refused: bool,
    },
}

/// Lets others see where the link stands and hurry it.
#[derive(Clone, Debug)]
pub struct LinkHandle {
    state: watch::Receiver<LinkState>,
    contact: watch::Receiver<Option<String>>,
    nudge: Arc<Notify>,
}

impl LinkHandle {
    /// Where the link stands.
    #[must_use]
    pub fn state(&self) -> LinkState {
        self.state.borrow().clone()
    }

    /// The relay that is talked to, as the list of relays names it.
    #[must_use]
    pub fn relay(&self) -> Option<String> {
        self.contact.borrow().clone()
    }

    /// Somebody is looking, or something new waits: a waiting link tries again soon.
    pub fn nudge(&self) {
        if matches!(*self.state.borrow(), LinkState::Offline { .. }) {
            self.nudge.notify_one();
        }
    }
}

/// Keeps the connection to one of the relays.
pub struct Dialer {
    relays: Vec<String>,
    me: Arc<dyn Credentials>,
    port: Arc<dyn Port>,
    settings: Settings,
    first_again: Duration,
    changes: watch::Receiver<u64>,
    state: watch::Sender<LinkState>,
    contact: watch::Sender<Option<String>>,
    nudge: Arc<Notify>,
    backoff: Backoff,
    order: Order,
    tickets: Tickets,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dialer({:?})", self.relays)
    }
}

/// How a conversation ended that did not break.
enum Ended {
    /// Nothing more is to be said, ever.
    ForGood,
    /// The first relay answers again.
    FirstAgain,
}

impl Dialer {
    /// Will talk to the first of `relays` (host:port) that answers.
    #[must_use]
    pub fn new(relays: Vec<String>, me: Arc<dyn Credentials>, port: Arc<dyn Port>) -> Self {
        let changes = watch_changes(&*port);
        let settings = Settings::default();
        Self {
            order: Order::new(relays.len()),
            relays,
            me,
            port,
            settings,
            first_again: FIRST_AGAIN,
            changes,
            state: watch::channel(LinkState::Connecting).0,
            contact: watch::channel(None).0,
            nudge: Arc::default(),
            backoff: Backoff::new(settings.retry_first, settings.retry_most),
            tickets: Tickets::default(),
        }
    }

    /// With the settings of another kind of link.
    #[must_use]
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.backoff = Backoff::new(settings.retry_first, settings.retry_most);
        self.settings = settings;
        self
    }

    /// After so long with another relay it is looked whether the first answers again; an hour
    /// unless told.
    #[must_use]
    pub fn with_first_again(mut self, after: Duration) -> Self {
        self.first_again = after;
        self
    }

    /// To see where the link stands and to hurry it.
    #[must_use]
    pub fn handle(&self) -> LinkHandle {
        LinkHandle {
            state: self.state.subscribe(),
            contact: self.contact.subscribe(),
            nudge: Arc::clone(&self.nudge),
        }
    }

    /// Connects and talks until the task is dropped, or until the relay has kept this box's last
    /// word; `random` gives the jitter.
    pub async fn run(mut self, random: impl Fn() -> u32) {
        if self.relays.is_empty() {
            let why = "no relay is named".to_owned();
            self.state.send_replace(LinkState::Offline { why, refused: true });
            return std::future::pending().await;
        }
        loop {
            let relay = self.relays[self.order.at()].clone();
            let ended = self.attempt(&relay).await;
            self.contact.send_replace(None);
            let error = match ended {
                Ok(Ended::ForGood) | Err(LinkError::Heard) => return,
                Ok(Ended::FirstAgain) => {
                    info!(from = %relay, "going back to the first relay");
                    self.order.first_again();
                    continue;
                }
                Err(error) => error,
            };
            self.tell(&relay, &error);
            let least = match error {
                LinkError::Busy(wait) => wait.min(BUSY_MAX),
                _ => Duration::ZERO,
            };
            if self.order.failed() == Then::Next {
                continue;
            }
            let wait = self.backoff.next_wait(random());
            self.rest(wait.max(least)).await;
        }
    }

    fn tell(&self, relay: &str, error: &LinkError) {
        let refused = matches!(
            error,
            LinkError::Refused(_) | LinkError::OtherCounty(_) | LinkError::Setup(_)
        );
        if refused {
            warn!(%relay, %error, "the relay does not want to talk to this box");
        } else {
            info!(%relay, %error, "not connected");
        }
        self.state.send_replace(LinkState::Offline { why: error.to_string(), refused });
    }

    /// Waits, but not long once somebody looks or something new waits to be sent.
    async fn rest(&mut self, wait: Duration) {
        let hurry = async {
            tokio::select! {
                () = self.nudge.notified() => {}
                _ = self.changes.changed() => {}
            }
            tokio::time::sleep(HURRIED.min(wait)).await;
        };
        let _ = tokio::time::timeout(wait, hurry).await;
    }

    async fn attempt(&mut self, relay: &str) -> Result<Ended, LinkError> {
        if self.me.due() {
            // One that still holds serves meanwhile; else the relay says so below.
            if let Err(error) = renewal::renew(relay, Arc::clone(&self.me)).await {
                warn!(%relay, %error, "the certificates were not renewed");
            }
        }
        match self.converse(relay).await {
            // Our clock may be behind, so that we did not know.
            Err(LinkError::RunOut) => {
                renewal::renew(relay, Arc::clone(&self.me)).await?;
                self.converse(relay).await
            }
            result => result,
        }
    }

    async fn reach(&mut self, relay: &str) -> Result<Reached, LinkError> {
        let me = self.me.certificate()?;
        let mut tls = tls::client(&me.roots, Some(&me), self.me.clock(), ALPN_SYNC)?;
        tls.resumption = self.tickets.of(relay, &me);
        let config = tls::quic_client(tls, &self.settings)?;
        reach::quic(relay, &me.relay_name, config, &self.settings).await
    }

    async fn converse(&mut self, relay: &str) -> Result<Ended, LinkError> {
        let mut reached = self.reach(relay).await?;
        let connection = reached.connection.clone();
        let key = tls::peer_key(&connection)
            .ok_or_else(|| LinkError::OtherCounty("the relay shows no key".into()))?;
        let peer = self.port.admit_peer(&key).map_err(|r| LinkError::Refused(r.words))?;
        let (send, receive) = connection.open_bi().await.map_err(|e| explain(&e))?;
        let (progress, mut watched) = watch::channel(None);
        let conversation = Conversation {
            connection,
            port: Arc::clone(&self.port),
            peer,
            key,
            changes: self.changes.clone(),
            progress,
            asked: None,
            account: None,
            paused: None,
        };
        let talk = conversation.run(send, receive);
        tokio::pin!(talk);
        let mut look = tokio::time::interval(LOOK);
        let mut around = tokio::time::interval(LOOK_AROUND);
        let probe = self.until_first_answers();
        tokio::pin!(probe);
        let result = loop {
            tokio::select! {
                result = &mut talk => break result.map(|()| Ended::ForGood),
                () = &mut probe => break Ok(Ended::FirstAgain),
                _ = around.tick() => reached.look_around(),
                _ = look.tick() => if self.me.due() {
                    // Beside the conversation, which may last for months.
                    let (relay, me) = (relay.to_owned(), Arc::clone(&self.me));
                    tokio::spawn(async move {
                        if let Err(error) = renewal::renew(&relay, me).await {
                            warn!(%relay, %error, "the certificates were not renewed");
                        }
                    });
                },
                Ok(()) = watched.changed() => {
                    let progress = *watched.borrow_and_update();
                    if let Some(progress) = progress {
                        self.backoff.reset();
                        self.order.worked();
                        self.contact.send_if_modified(|contact| {
                            let new = contact.as_deref() != Some(relay);
                            *contact = Some(relay.to_owned());
                            new
                        });
                        let now = LinkState::Online(progress);
                        self.state.send_if_modified(|state| {
                            let new = *state != now;
                            *state = now;
                            new
                        });
                    }
                }
            }
        };
        reached.end().await;
        result
    }

    /// Ends when the first relay answers again, looked at now and then; never for a box that talks
    /// to it. The handshake alone: what a relay is worth shows only there.
    fn until_first_answers(&self) -> impl Future<Output = ()> + Send + 'static {
        let first = self.order.is_second_choice().then(|| self.relays[0].clone());
        let (me, settings, every) = (Arc::clone(&self.me), self.settings, self.first_again);
        async move {
            let Some(first) = first else { return std::future::pending().await };
            loop {
                tokio::time::sleep(every).await;
                let probe = async {
                    let certificate = me.certificate()?;
                    let tls =
                        tls::client(&certificate.roots, Some(&certificate), me.clock(), ALPN_SYNC)?;
                    let config = tls::quic_client(tls, &settings)?;
                    reach::quic(&first, &certificate.relay_name, config, &settings).await
                };
                match probe.await {
                    Ok(reached) => return reached.end().await,
                    Err(error) => info!(relay = %first, %error, "the first relay is still away"),
                }
            }
        }
    }
}

/// What relays gave to shorten the next handshake, for at most a day (they say so themselves): in
/// memory alone, and only for the very certificate that it was given to.
#[derive(Default)]
struct Tickets {
    of: Vec<(String, DerChain, Resumption)>,
}

type DerChain = Vec<rustls_pki_types::CertificateDer<'static>>;

impl Tickets {
    fn of(&mut self, relay: &str, me: &DeviceCertificate) -> Resumption {
        let known = self.of.iter().find(|(of, chain, _)| of == relay && *chain == me.chain);
        if let Some((_, _, tickets)) = known {
            return tickets.clone();
        }
        let tickets = Resumption::in_memory_sessions(4);
        self.of.retain(|(of, _, _)| of != relay);
        self.of.push((relay.to_owned(), me.chain.clone(), tickets.clone()));
        tickets
    }
}
