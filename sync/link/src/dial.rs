//! The box's side: finds its relay, again and again, with growing waits.

use crate::driver::Conversation;
use crate::renewal::{self, Credentials};
use crate::serve::watch_changes;
use crate::{ALPN_SYNC, LinkError, explain, tls};
use cunkou_engine::{Backoff, Port, Progress};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

const CONNECT: Duration = Duration::from_secs(6);
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
    nudge: Arc<Notify>,
}

impl LinkHandle {
    /// Where the link stands.
    #[must_use]
    pub fn state(&self) -> LinkState {
        self.state.borrow().clone()
    }

    /// Somebody is looking, or something new waits: a waiting link tries again soon.
    pub fn nudge(&self) {
        if matches!(*self.state.borrow(), LinkState::Offline { .. }) {
            self.nudge.notify_one();
        }
    }
}

/// Keeps the connection to the relay.
pub struct Dialer {
    relays: Vec<String>,
    me: Arc<dyn Credentials>,
    port: Arc<dyn Port>,
    changes: watch::Receiver<u64>,
    state: watch::Sender<LinkState>,
    nudge: Arc<Notify>,
    backoff: Backoff,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dialer({:?})", self.relays)
    }
}

impl Dialer {
    /// Will talk to the first of `relays` (host:port) that answers.
    #[must_use]
    pub fn new(relays: Vec<String>, me: Arc<dyn Credentials>, port: Arc<dyn Port>) -> Self {
        let changes = watch_changes(&*port);
        let (state, _) = watch::channel(LinkState::Connecting);
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        Self { relays, me, port, changes, state, nudge: Arc::default(), backoff }
    }

    /// To see where the link stands and to hurry it.
    #[must_use]
    pub fn handle(&self) -> LinkHandle {
        LinkHandle { state: self.state.subscribe(), nudge: Arc::clone(&self.nudge) }
    }

    /// Connects and talks until the task is dropped, or until the relay has kept this box's last
    /// word; `random` gives the jitter.
    pub async fn run(mut self, random: impl Fn() -> u32) {
        loop {
            for relay in self.relays.clone() {
                let error = match self.attempt(&relay).await {
                    Ok(()) | Err(LinkError::Heard) => return,
                    Err(error) => error,
                };
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
            let wait = self.backoff.next_wait(random());
            self.rest(wait).await;
        }
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

    async fn attempt(&mut self, relay: &str) -> Result<(), LinkError> {
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

    async fn converse(&mut self, relay: &str) -> Result<(), LinkError> {
        let me = self.me.certificate()?;
        let config = tls::client(&me.roots, Some(&me), self.me.clock(), ALPN_SYNC)?;
        let (endpoint, address) = tls::dial(relay, config).await?;
        let connecting = endpoint
            .connect(address, &me.relay_name)
            .map_err(|e| LinkError::Setup(e.to_string()))?;
        let connection = tokio::time::timeout(CONNECT, connecting)
            .await
            .map_err(|_| LinkError::Unreachable("no answer".into()))?
            .map_err(|e| explain(&e))?;
        let key = tls::peer_key(&connection)
            .ok_or_else(|| LinkError::OtherCounty("the relay shows no key".into()))?;
        let peer = self.port.admit_peer(&key).map_err(|r| LinkError::Refused(r.words))?;
        let (send, receive) = connection.open_bi().await.map_err(|e| explain(&e))?;
        let (progress, mut watched) = watch::channel(None);
        let conversation = Conversation {
            connection: connection.clone(),
            port: Arc::clone(&self.port),
            peer,
            key,
            dials: true,
            changes: self.changes.clone(),
            progress,
            asked: None,
            account: None,
            paused: None,
        };
        let talk = conversation.run(send, receive);
        tokio::pin!(talk);
        let mut look = tokio::time::interval(LOOK);
        let result = loop {
            tokio::select! {
                result = &mut talk => break result,
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
        connection.close(crate::CLOSE_DONE.into(), b"");
        endpoint.wait_idle().await;
        result
    }
}
