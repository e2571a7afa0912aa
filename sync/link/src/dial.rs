//! The box's side: finds its relay, again and again, with growing waits.

use crate::call::{Call, Called, Links, Place, Way};
use crate::colds::WAIT_MAX;
use crate::diary::{Diary, Ending, Noted, Trouble, Vain};
use crate::driver::Conversation;
use crate::order::{Order, Then};
use crate::pace::{self, Pace, Pacer, Reading};
use crate::renewal::{self, Credentials};
use crate::serve::watch_changes;
use crate::tally::{self, Tally};
use crate::{ALPN_SYNC, LinkError, explain, tls};
use cunkou_engine::{Backoff, Port, Progress};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::{info, warn};

/// So often a box that is connected looks whether its own address has changed.
const LOOK_AROUND: Duration = Duration::from_secs(5);
/// With a relay that is not the first for so long, a box looks whether the first answers again.
const FIRST_AGAIN: Duration = Duration::from_secs(3600);
/// Over HTTPS for so long, a box looks whether QUIC gets through now. An attempt costs 5 kB.
const QUIC_AGAIN: Duration = Duration::from_secs(6 * 3600);
/// Who is refused because another machine has its identity comes again after so long at least.
const DOUBLE: Duration = Duration::from_secs(60);
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
    /// The relay has no time for what this box lacks; it is asked again by itself.
    Busy {
        /// After about so long.
        again: Duration,
    },
    /// Not connected; tried again after the wait.
    Offline {
        /// Why, in words.
        why: String,
        /// True when a person has to do something: trying again will not help by itself.
        refused: bool,
    },
}

/// The relay that is talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// As the list of relays names it.
    pub relay: String,
    /// Over what.
    pub way: Way,
}

/// Why the last attempt to talk to a relay came to nothing, or the last conversation broke off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The relay as it is configured.
    pub relay: String,
    /// Of which kind.
    pub why: Trouble,
    /// What was said, in the words of whoever said it; for those who look into it.
    pub words: String,
    /// So often without a conversation in between, whatever the kind.
    pub times: u32,
    /// The first of these.
    pub since: std::time::Instant,
    /// The last.
    pub at: std::time::Instant,
}

/// When to look whether what is better works again.
#[derive(Clone, Copy, Debug)]
pub struct Again {
    /// With another relay than the first for so long.
    pub first: Duration,
    /// Over HTTPS for so long.
    pub quic: Duration,
}

impl Default for Again {
    fn default() -> Self {
        Self { first: FIRST_AGAIN, quic: QUIC_AGAIN }
    }
}

/// Lets others see where the link stands and hurry it.
#[derive(Clone, Debug)]
pub struct LinkHandle {
    state: watch::Receiver<LinkState>,
    contact: watch::Receiver<Option<Contact>>,
    pace: watch::Receiver<Option<Pace>>,
    failure: watch::Receiver<Option<Failure>>,
    nudge: Arc<Notify>,
}

impl LinkHandle {
    /// Where the link stands.
    #[must_use]
    pub fn state(&self) -> LinkState {
        self.state.borrow().clone()
    }

    /// Whom this box talks to, and how.
    #[must_use]
    pub fn contact(&self) -> Option<Contact> {
        self.contact.borrow().clone()
    }

    /// Where the link stands, now and later.
    pub(crate) fn watch(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    /// How quickly it goes; nothing before there is anything to measure.
    #[must_use]
    pub fn pace(&self) -> Option<Pace> {
        *self.pace.borrow()
    }

    /// Why it does not go; nothing while it does.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.failure.borrow().clone()
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
    links: Links,
    again: Again,
    changes: watch::Receiver<u64>,
    state: watch::Sender<LinkState>,
    contact: watch::Sender<Option<Contact>>,
    pace: watch::Sender<Option<Pace>>,
    failure: watch::Sender<Option<Failure>>,
    diary: Option<Arc<dyn Diary>>,
    vain: Vain,
    nudge: Arc<Notify>,
    backoff: Backoff,
    order: Order,
    /// Relays to which QUIC did not get through lately.
    by_web: BTreeSet<String>,
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
    /// What is better works again.
    For(Better),
}

#[derive(Clone, Copy, Debug)]
enum Better {
    /// The first relay.
    First,
    /// The same relay over QUIC.
    Quic,
}

impl Dialer {
    /// Will talk to the first of `relays` (host:port) that answers.
    #[must_use]
    pub fn new(relays: Vec<String>, me: Arc<dyn Credentials>, port: Arc<dyn Port>) -> Self {
        let changes = watch_changes(&*port);
        let links = Links::default();
        let settings = &links.settings;
        Self {
            order: Order::new(relays.len()),
            relays,
            me,
            port,
            again: Again::default(),
            changes,
            state: watch::channel(LinkState::Connecting).0,
            contact: watch::channel(None).0,
            pace: watch::channel(None).0,
            failure: watch::channel(None).0,
            diary: None,
            vain: Vain::default(),
            nudge: Arc::default(),
            backoff: Backoff::new(settings.retry_first, settings.retry_most),
            links,
            by_web: BTreeSet::new(),
        }
    }

    /// Over a link of another kind.
    #[must_use]
    pub fn with_links(mut self, links: Links) -> Self {
        self.backoff = Backoff::new(links.settings.retry_first, links.settings.retry_most);
        self.links = links;
        self
    }

    /// With somebody who keeps the history of contacts.
    #[must_use]
    pub fn with_diary(mut self, diary: Arc<dyn Diary>) -> Self {
        self.diary = Some(diary);
        self
    }

    /// Looking for what is better after other times.
    #[must_use]
    pub fn with_again(mut self, again: Again) -> Self {
        self.again = again;
        self
    }

    /// To see where the link stands and to hurry it.
    #[must_use]
    pub fn handle(&self) -> LinkHandle {
        LinkHandle {
            state: self.state.subscribe(),
            contact: self.contact.subscribe(),
            pace: self.pace.subscribe(),
            failure: self.failure.subscribe(),
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
            let talked = self.contact.send_replace(None).is_some();
            self.pace.send_replace(None);
            let error = match ended {
                Ok(Ended::ForGood) | Err(LinkError::Heard) => return,
                Ok(Ended::For(better)) => {
                    info!(from = %relay, ?better, "what is better works again");
                    match better {
                        Better::First => self.order.first_again(),
                        Better::Quic => drop(self.by_web.remove(&relay)),
                    }
                    continue;
                }
                Err(error) => error,
            };
            let least = asked_to_wait(&error, random());
            self.tell(&relay, &error, least);
            if let (false, Some(why)) = (talked, error.trouble()) {
                self.vain.one(self.diary.as_ref(), &relay, why).await;
            }
            let busy = matches!(error, LinkError::Busy(_));
            let then = if busy { self.order.busy() } else { self.order.failed() };
            if then == Then::Next {
                continue;
            }
            let wait = self.backoff.next_wait(random());
            // Who looks does not make a busy relay less busy; what is new here it takes.
            self.rest(wait.max(least), !busy).await;
        }
    }

    fn tell(&self, relay: &str, error: &LinkError, again: Duration) {
        if matches!(error, LinkError::Busy(_)) {
            info!(%relay, wait_s = again.as_secs(), "the relay is busy");
            self.state.send_replace(LinkState::Busy { again });
            return;
        }
        let refused = matches!(
            error,
            LinkError::Refused(_)
                | LinkError::OtherCounty(_)
                | LinkError::Setup(_)
                | LinkError::Double
        );
        if refused {
            warn!(%relay, %error, "the relay does not want to talk to this box");
        } else {
            info!(%relay, %error, "not connected");
        }
        if let Some(why) = error.trouble() {
            self.failure.send_modify(|failure| {
                let now = std::time::Instant::now();
                let before = failure.as_ref().map(|before| (before.times, before.since));
                let (times, since) = before.unwrap_or((0, now));
                let (relay, words) = (relay.to_owned(), error.to_string());
                *failure = Some(Failure { relay, why, words, times: times + 1, since, at: now });
            });
        }
        self.state.send_replace(LinkState::Offline { why: error.to_string(), refused });
    }

    /// Waits, but not long once somebody looks or something new waits to be sent.
    async fn rest(&mut self, wait: Duration, looks_count: bool) {
        let hurry = async {
            tokio::select! {
                () = self.nudge.notified(), if looks_count => {}
                _ = self.changes.changed() => {}
            }
            tokio::time::sleep(HURRIED.min(wait)).await;
        };
        let _ = tokio::time::timeout(wait, hurry).await;
    }

    async fn attempt(&mut self, relay: &str) -> Result<Ended, LinkError> {
        if self.me.due() {
            // One that still holds serves meanwhile; else the relay says so below.
            if let Err(error) = self.renew(relay).await {
                warn!(%relay, %error, "the certificates were not renewed");
            }
        }
        match self.converse(relay).await {
            // Our clock may be behind, so that we did not know.
            Err(LinkError::RunOut) => {
                self.renew(relay).await?;
                self.converse(relay).await
            }
            result => result,
        }
    }

    fn first_way(&self, relay: &str) -> Way {
        if self.by_web.contains(relay) { Way::Web } else { Way::Quic }
    }

    fn renew(&self, relay: &str) -> impl Future<Output = Result<(), LinkError>> + Send + 'static {
        let (relay, first) = (relay.to_owned(), self.first_way(relay));
        let (me, links) = (Arc::clone(&self.me), self.links.clone());
        async move { renewal::renew_over(&relay, me, &links, first).await }
    }

    async fn call(&mut self, relay: &str) -> Result<Called, LinkError> {
        let me = self.me.certificate()?;
        let tls = tls::client(&me.roots, Some(&me), self.me.clock(), ALPN_SYNC)?;
        let call = Call { relay, name: &me.relay_name, tls, links: &self.links, single: false };
        let called = call.make(self.first_way(relay)).await?;
        match called.way {
            Way::Quic => drop(self.by_web.remove(relay)),
            Way::Web => drop(self.by_web.insert(relay.to_owned())),
        }
        Ok(called)
    }

    async fn converse(&mut self, relay: &str) -> Result<Ended, LinkError> {
        let mut called = self.call(relay).await?;
        let (connection, way) = (called.connection.clone(), called.way);
        let key = tls::peer_key(&connection)
            .ok_or_else(|| LinkError::OtherCounty("the relay shows no key".into()))?;
        let peer = self.port.admit_peer(&key).map_err(|r| LinkError::Refused(r.words))?;
        let mut tally = Tally::new(connection.clone(), Arc::clone(&self.port), peer.clone());
        let mut noted = Noted::new(self.diary.clone(), connection.clone());
        let (carrier, with) = (connection.clone(), peer.clone());
        let (mut pacer, begun) = (Pacer::default(), Instant::now());
        let (send, receive) = connection.open_bi().await.map_err(|e| explain(&e))?;
        let (progress, mut watched) = watch::channel(None);
        let (met, mut meeting) = watch::channel(false);
        let conversation = Conversation {
            connection,
            port: Arc::clone(&self.port),
            peer,
            key,
            dials: true,
            changes: self.changes.clone(),
            progress,
            met,
            asked: None,
            account: None,
            paused: None,
            colds: None,
        };
        let talk = conversation.run(send, receive);
        tokio::pin!(talk);
        let mut look = tokio::time::interval(LOOK);
        let mut around = tokio::time::interval(LOOK_AROUND);
        let mut telling = tokio::time::interval(tally::EVERY);
        telling.reset();
        let mut pacing = tokio::time::interval(pace::EVERY);
        let better = self.until_better(relay, way);
        tokio::pin!(better);
        let result = loop {
            tokio::select! {
                result = &mut talk => break result.map(|()| Ended::ForGood),
                better = &mut better => break Ok(Ended::For(better)),
                _ = telling.tick() => {
                    tally.tell();
                    noted.tell();
                }
                _ = pacing.tick() => {
                    let left = watched.borrow().map_or((0, 0), |p| (p.to_send, p.to_receive));
                    let reading = Reading { carried: carrier.carried(), left };
                    self.pace.send_replace(pacer.read(begun.elapsed(), reading));
                }
                _ = around.tick() => called.look_around(),
                _ = look.tick() => if self.me.due() {
                    // Beside the conversation, which may last for months.
                    let renewing = self.renew(relay);
                    tokio::spawn(async move {
                        if let Err(error) = renewing.await {
                            warn!(%error, "the certificates were not renewed");
                        }
                    });
                },
                Ok(()) = meeting.changed() => noted.began(&with, way).await,
                Ok(()) = watched.changed() => {
                    let progress = *watched.borrow_and_update();
                    if let Some(progress) = progress {
                        self.backoff.reset();
                        self.order.worked();
                        self.vain.over(self.diary.as_ref(), relay).await;
                        self.failure.send_if_modified(|failure| failure.take().is_some());
                        self.contact.send_if_modified(|contact| {
                            let now = Some(Contact { relay: relay.to_owned(), way });
                            let new = *contact != now;
                            *contact = now;
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
        noted.ends(match &result {
            Ok(Ended::For(_)) => Ending::Better,
            Ok(Ended::ForGood) => Ending::Here,
            Err(error) => Ending::after(error),
        });
        drop(noted);
        called.end().await;
        result
    }

    /// Ends when what is better than this works again, looked at now and then: the first relay, or
    /// QUIC. The handshake alone: what it is worth beyond shows only there.
    fn until_better(&self, relay: &str, way: Way) -> impl Future<Output = Better> + Send + 'static {
        let first = self.order.is_second_choice().then(|| self.relays[0].clone());
        let first_way = first.as_ref().map_or(Way::Quic, |first| self.first_way(first));
        let by_quic = Place::read(relay).ok().and_then(|place| place.only_quic());
        let by_quic = by_quic.filter(|_| way == Way::Web);
        let (me, links, again) = (Arc::clone(&self.me), self.links.clone(), self.again);
        async move {
            tokio::select! {
                () = answers(&*me, &links, first, first_way, again.first) => Better::First,
                () = answers(&*me, &links, by_quic, Way::Quic, again.quic) => Better::Quic,
            }
        }
    }
}

/// How long a box waits at least because of what a relay said. With jitter: others were told the
/// same.
fn asked_to_wait(error: &LinkError, random: u32) -> Duration {
    let share = f64::from(random) / f64::from(u32::MAX) / 2.0;
    match error {
        LinkError::Busy(wait) => (*wait).min(WAIT_MAX).mul_f64(1.0 + share),
        LinkError::Double => DOUBLE,
        _ => Duration::ZERO,
    }
}

/// Ends when the relay answers, asked each so often; never without a relay.
async fn answers(
    me: &dyn Credentials,
    links: &Links,
    relay: Option<String>,
    first: Way,
    every: Duration,
) {
    let Some(relay) = relay else { return std::future::pending().await };
    loop {
        tokio::time::sleep(every).await;
        let probe = async {
            let own = me.certificate()?;
            let tls = tls::client(&own.roots, Some(&own), me.clock(), ALPN_SYNC)?;
            let call = Call { relay: &relay, name: &own.relay_name, tls, links, single: false };
            call.make(first).await
        };
        match probe.await {
            Ok(called) => return called.end().await,
            Err(error) => info!(%relay, %error, "it does not answer yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_to_wait_waits_so_long_at_least_and_not_all_equally() {
        let busy = |seconds| LinkError::Busy(Duration::from_secs(seconds));
        assert_eq!(asked_to_wait(&busy(60), 0), Duration::from_secs(60));
        assert_eq!(asked_to_wait(&busy(60), u32::MAX), Duration::from_secs(90));
        assert_eq!(asked_to_wait(&busy(1_000_000), 0), WAIT_MAX, "no relay locks a box out");
        assert_eq!(asked_to_wait(&LinkError::Double, 7), DOUBLE);
        assert_eq!(asked_to_wait(&LinkError::RunOut, 7), Duration::ZERO);
    }
}
