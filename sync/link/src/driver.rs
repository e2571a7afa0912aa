//! Drives one session: moves bytes, timers and store calls. Takes no decisions.

use crate::colds::{Cold, ColdDoor, is_cold};
use crate::line::{Connection, RecvStream, SendStream};
use crate::quotas::Account;
use crate::{
    CLOSE_BUSY, CLOSE_HEARD, CLOSE_REFUSED, CLOSE_SCOPES, CLOSE_VIOLATION, LinkError, attachments,
    explain, frames,
};
use cunkou_engine::ranges::Pace;
use cunkou_engine::{
    Call, FRAME_BYTES_MAX, Input, Output, PeerInfo, Port, PortError, Progress, Session, features,
    perform,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

/// Frames read ahead of the session.
const READ_AHEAD: usize = 2;

/// A peer is asked about its log once in so long at most: it signs it about as often.
const ASK_EVERY: Duration = Duration::from_secs(60);
/// A box that is asked to come again may give what it has for so long: sooner than it would take us
/// for silent.
const GIVES: Duration = Duration::from_secs(20);
/// What it was told last is to arrive before the end.
const LINGERS: Duration = Duration::from_secs(2);
/// A pause as long as this is told in the log.
const LONG_PAUSE: Duration = Duration::from_secs(10);

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LinkError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| LinkError::Broken(e.to_string()))
}

/// One conversation, from hello to the end of the connection.
pub(crate) struct Conversation {
    pub(crate) connection: Connection,
    pub(crate) port: Arc<dyn Port>,
    pub(crate) peer: PeerInfo,
    pub(crate) key: [u8; 32],
    /// Whether this side opened the connection.
    pub(crate) dials: bool,
    pub(crate) changes: watch::Receiver<u64>,
    pub(crate) progress: watch::Sender<Option<Progress>>,
    /// Says when the store knows that the peer said hello.
    pub(crate) met: watch::Sender<bool>,
    /// When the peer was last asked about its log.
    pub(crate) asked: Option<Instant>,
    /// What the peer may ask of us; nobody counts what a relay asks of a box.
    pub(crate) account: Option<Arc<Account>>,
    /// Until then nothing is read: a quota is used up.
    pub(crate) paused: Option<Instant>,
    /// How many may begin from nothing at once; a box has nobody to ask.
    pub(crate) colds: Option<ColdDoor>,
}

/// How a conversation stands that begins from nothing.
enum Start {
    /// It does not, or has all by now.
    Warm,
    /// It is one of those that may; given back when this is dropped.
    Cold(#[expect(dead_code, reason = "held, not read")] Cold),
    /// There are too many: it gives what it has, gets nothing, and is asked to come again.
    Busy { wait: Duration, until: Instant },
}

impl Conversation {
    /// Talks until the connection ends.
    pub(crate) async fn run(self, send: SendStream, receive: RecvStream) -> Result<(), LinkError> {
        let (port, peer, dials) = (Arc::clone(&self.port), self.peer.clone(), self.dials);
        let mut greeted = false;
        let result = self.talk(send, receive, &mut greeted).await;
        if dials && !greeted {
            blocking(move || port.forget(&peer)).await??;
        }
        result
    }

    async fn talk(
        mut self,
        mut send: SendStream,
        receive: RecvStream,
        greeted: &mut bool,
    ) -> Result<(), LinkError> {
        let begun = Instant::now();
        let (port, peer) = (Arc::clone(&self.port), self.peer.clone());
        let dials = self.dials;
        let (hello, call) = blocking(move || -> Result<_, PortError> {
            let knows = port.knows(&peer)?;
            let call = if dials { Call::Out { knows } } else { Call::In };
            Ok((port.hello(&peer)?, call))
        })
        .await??;
        let ours = hello.features.unwrap_or(0);
        let mut session = Session::new(Duration::ZERO, hello, call);
        let (frame_tx, mut frame_rx) = mpsc::channel(READ_AHEAD);
        let mut tasks = JoinSet::new();
        tasks.spawn(read_frames(self.connection.clone(), receive, frame_tx));
        tasks.spawn(answer_requests(
            self.connection.clone(),
            Arc::clone(&self.port),
            self.peer.clone(),
            self.account.clone(),
        ));
        let (mut pulling, mut start) = (false, Start::Warm);
        loop {
            while let Some(output) = session.poll_output() {
                if let Output::Greeted(hello) = &output {
                    let held = hello.scopes.iter().map(|s| s.head).fold(0, u64::saturating_add);
                    start = self.begins(session.progress(), held);
                }
                let gives = matches!(output, Output::Load(_) | Output::Name { .. });
                if gives && matches!(start, Start::Busy { .. }) {
                    continue;
                }
                let theirs = match &output {
                    Output::Greeted(hello) => Some(hello.features.unwrap_or(0)),
                    Output::GreetedAgain { features, .. } => Some(*features),
                    _ => None,
                };
                *greeted |= theirs.is_some();
                if let (Some(theirs), false) = (theirs, pulling) {
                    pulling = true;
                    // What the hellos say is on its way, before the lane asks.
                    self.progress.send_replace(Some(session.progress()));
                    let puller = attachments::Puller {
                        connection: self.connection.clone(),
                        port: Arc::clone(&self.port),
                        peer: self.peer.clone(),
                        changes: self.changes.clone(),
                        progress: self.progress.subscribe(),
                        account: self.account.clone(),
                        in_pieces: ours & theirs & features::RANGES != 0,
                        pace: Pace::default(),
                    };
                    tasks.spawn(puller.run());
                    // The greeting is stored below before anything else is loaded.
                }
                self.perform(&mut session, &mut send, begun, output).await?;
                self.progress.send_replace(Some(session.progress()));
            }
            let progress = session.progress();
            if progress.to_send == 0 {
                start = Start::Warm;
            }
            let enough = match &mut start {
                Start::Busy { until, .. } => {
                    if progress.to_receive == 0 {
                        *until = (*until).min(Instant::now() + LINGERS);
                    }
                    Some(*until)
                }
                Start::Warm | Start::Cold(_) => None,
            };
            let enough = async {
                match enough {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let wake = session.poll_timeout().map(|(at, _)| begun + at);
            let tick = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let paused = self.paused;
            let rest = tokio::time::sleep_until(paused.unwrap_or_else(Instant::now));
            tokio::select! {
                frame = frame_rx.recv(), if paused.is_none() => match frame {
                    Some(Ok(bytes)) => session.handle(begun.elapsed(), Input::Received(bytes)),
                    Some(Err(error)) => return Err(self.end(error).await),
                    None => {
                        let error = LinkError::Broken("the peer's stream ended".into());
                        return Err(self.end(error).await);
                    }
                },
                changed = self.changes.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    self.check_peer()?;
                    let (port, peer) = (Arc::clone(&self.port), self.peer.clone());
                    for (scope, head) in blocking(move || port.heads(&peer)).await?? {
                        session.handle(begun.elapsed(), Input::Committed { scope, head });
                    }
                    if *greeted && session.progress() == Progress::default() {
                        self.ask(&mut session, begun).await?;
                    }
                }
                () = rest, if paused.is_some() => {
                    self.paused = None;
                    session.handle(begun.elapsed(), Input::Resumed);
                }
                () = enough => return Err(self.come_again(&start)),
                () = tick, if paused.is_none() => session.handle(begun.elapsed(), Input::Tick),
                Some(ended) = tasks.join_next() => {
                    if let Ok(Err(error)) = ended {
                        return Err(self.end(error).await);
                    }
                }
            }
        }
    }

    /// Whether a peer that has just said hello may have all that it is owed now.
    fn begins(&self, progress: Progress, held: u64) -> Start {
        let door = self.colds.as_ref().filter(|_| is_cold(progress.to_send, held));
        match door.map(|door| door.enter(self.peer.device)) {
            None => Start::Warm,
            Some(Ok(cold)) => Start::Cold(cold),
            Some(Err(wait)) => {
                info!(peer = %self.peer.name, wait_s = wait.as_secs(), "too many begin from nothing");
                Start::Busy { wait, until: Instant::now() + GIVES }
            }
        }
    }

    fn come_again(&self, start: &Start) -> LinkError {
        let wait = match start {
            Start::Busy { wait, .. } => *wait,
            Start::Warm | Start::Cold(_) => Duration::ZERO,
        };
        self.connection.close(CLOSE_BUSY.into(), wait.as_secs().to_string().as_bytes());
        LinkError::Busy(wait)
    }

    fn pause(&mut self, wait: Duration) {
        if wait.is_zero() {
            return;
        }
        if wait > LONG_PAUSE {
            info!(peer = %self.peer.name, wait_s = wait.as_secs(), "a quota is used up");
        }
        let until = Instant::now() + wait;
        self.paused = Some(self.paused.map_or(until, |before| before.max(until)));
    }

    /// The county log may have changed what this peer is.
    fn check_peer(&self) -> Result<(), LinkError> {
        match self.port.admit_peer(&self.key) {
            Ok(now) if now.scopes == self.peer.scopes && now.handed_in == self.peer.handed_in => {
                Ok(())
            }
            Ok(_) => {
                self.connection.close(CLOSE_SCOPES.into(), b"the villages of this box changed");
                Err(LinkError::Broken("the villages of this box changed; connecting anew".into()))
            }
            Err(refused) => {
                self.connection.close(CLOSE_REFUSED.into(), refused.words.as_bytes());
                Err(LinkError::Refused(refused.words))
            }
        }
    }

    async fn end(&self, error: LinkError) -> LinkError {
        match (&error, self.connection.close_reason()) {
            (LinkError::Violation(words), _) => {
                self.connection.close(CLOSE_VIOLATION.into(), words.as_bytes());
                error
            }
            (_, Some(reason)) => explain(&reason),
            // A stream breaks a moment before the connection says why.
            (LinkError::Broken(_), None) => {
                let why = tokio::time::timeout(Duration::from_secs(1), self.connection.closed());
                why.await.map_or(error, |reason| explain(&reason))
            }
            _ => error,
        }
    }

    async fn perform(
        &mut self,
        session: &mut Session,
        send: &mut SendStream,
        begun: Instant,
        output: Output,
    ) -> Result<(), LinkError> {
        let (port, peer) = (Arc::clone(&self.port), self.peer.clone());
        match output {
            Output::Send(frame) => {
                if let Err(error) = frames::send(send, &frame).await {
                    return Err(self.end(error).await);
                }
            }
            Output::Greeted(hello) => {
                info!(peer = %self.peer.name, software = %hello.software, "talking");
                blocking(move || port.greeted(&peer, &hello)).await??;
                self.met.send_replace(true);
                self.begin(session, begun).await?;
            }
            Output::GreetedAgain { incarnation, time_ms, features } => {
                info!(peer = %self.peer.name, "talking again");
                let greeted = move || port.greeted_again(&peer, &incarnation, time_ms, features);
                blocking(greeted).await??;
                self.met.send_replace(true);
                self.begin(session, begun).await?;
            }
            Output::Store { scope, upto, entries } => {
                let of = scope.clone();
                let count = entries.len();
                let bytes = entries.iter().map(Vec::len).sum();
                let began = Instant::now();
                let admitted = blocking(move || port.store(&peer, &of, upto, &entries)).await??;
                let took = began.elapsed();
                let wait = self.account.as_ref().map(|a| a.kept(count, bytes, took));
                self.pause(wait.unwrap_or_default());
                if admitted.refused + admitted.quarantined > 0 {
                    warn!(
                        peer = %self.peer.name, refused = admitted.refused,
                        quarantined = admitted.quarantined, "a peer sent what does not count"
                    );
                }
                session.handle(begun.elapsed(), Input::Stored { scope, upto });
            }
            Output::LastWord(words) => {
                if !blocking(move || port.heard(&peer, &words)).await?? {
                    self.connection.close(CLOSE_VIOLATION.into(), b"a last word that is not yours");
                    return Err(LinkError::Violation("a last word that is not the peer's".into()));
                }
                info!(peer = %self.peer.name, "a revoked box says that it destroyed its keys");
                self.connection.close(CLOSE_HEARD.into(), b"heard");
                return Err(LinkError::Heard);
            }
            Output::Question(bytes) => {
                let answer = blocking(move || port.answer(&peer, &bytes)).await??;
                session.handle(begun.elapsed(), Input::Answer(answer.unwrap_or_default()));
            }
            Output::Answer(bytes) => {
                if !blocking(move || port.answered(&peer, &bytes)).await?? {
                    session.handle(begun.elapsed(), Input::Inconsistent);
                }
            }
            Output::Completed => {
                blocking(move || port.completed(&peer)).await??;
                self.ask(session, begun).await?;
            }
            Output::Close(violation) => {
                let words = violation.to_string();
                self.connection.close(CLOSE_VIOLATION.into(), words.as_bytes());
                return Err(LinkError::Violation(words));
            }
            output => {
                let began = Instant::now();
                // What is given by name counts as what comes by the log, and looking things up for a
                // peer as work for it. Reading the log for one that is long behind does not.
                let charge = match &output {
                    Output::Heal { entries, .. } => {
                        Some((entries.len(), entries.iter().map(Vec::len).sum()))
                    }
                    Output::Warm { wholes, .. } => Some((0, wholes.body.len())),
                    Output::Which { .. }
                    | Output::Names { .. }
                    | Output::Sketch { .. }
                    | Output::Differences { .. }
                    | Output::Pick { .. } => Some((0, 0)),
                    _ => None,
                };
                let inputs = blocking(move || perform(&*port, &peer, output)).await??;
                let account = self.account.as_ref().zip(charge);
                let spent =
                    account.map(|(a, (count, bytes))| a.kept(count, bytes, began.elapsed()));
                self.pause(spent.unwrap_or_default());
                for input in inputs {
                    session.handle(begun.elapsed(), input);
                }
            }
        }
        Ok(())
    }

    /// Asks the peer what this side has to ask, once in a while.
    async fn ask(&mut self, session: &mut Session, begun: Instant) -> Result<(), LinkError> {
        if self.asked.is_some_and(|at| at.elapsed() < ASK_EVERY) {
            return Ok(());
        }
        let (port, peer) = (Arc::clone(&self.port), self.peer.clone());
        let ask = move || Ok::<_, PortError>((port.question(&peer)?, port.rotten(&peer)?));
        let (question, rotten) = blocking(ask).await??;
        if let Some(question) = question {
            self.asked = Some(Instant::now());
            session.handle(begun.elapsed(), Input::Question(question));
        }
        // What was found damaged, or lacking, since the greeting.
        for rotten in rotten {
            session.handle(begun.elapsed(), Input::Rotten(rotten));
        }
        Ok(())
    }

    /// After the greeting: what is left of a debt, and a last word if there is one.
    async fn begin(&mut self, session: &mut Session, begun: Instant) -> Result<(), LinkError> {
        let debt = self.account.as_ref().map_or(Duration::ZERO, |a| a.debt());
        self.pause(debt);
        let (port, peer) = (Arc::clone(&self.port), self.peer.clone());
        let ask = move || Ok::<_, PortError>((port.last_word()?, port.rotten(&peer)?));
        let (last_word, rotten) = blocking(ask).await??;
        if let Some(words) = last_word {
            session.handle(begun.elapsed(), Input::LastWord(words));
        }
        for rotten in rotten {
            session.handle(begun.elapsed(), Input::Rotten(rotten));
        }
        Ok(())
    }
}

/// What ends the reading goes the same way as what is read: nothing can overtake it. Only who breaks
/// the protocol is cut off at once, whatever the disk is busy with.
async fn read_frames(
    connection: Connection,
    mut receive: RecvStream,
    frames: mpsc::Sender<Result<Vec<u8>, LinkError>>,
) -> Result<(), LinkError> {
    while let Some(frame) = frames::receive(&mut receive, FRAME_BYTES_MAX).await.transpose() {
        if let Err(LinkError::Violation(words)) = &frame {
            connection.close(CLOSE_VIOLATION.into(), words.as_bytes());
        }
        let over = frame.is_err();
        if frames.send(frame).await.is_err() || over {
            break;
        }
    }
    Ok(())
}

async fn answer_requests(
    connection: Connection,
    port: Arc<dyn Port>,
    peer: PeerInfo,
    account: Option<Arc<Account>>,
) -> Result<(), LinkError> {
    loop {
        let (send, receive) = connection.accept_bi().await.map_err(|e| explain(&e))?;
        // One after another: a peer cannot make us read many photos at once.
        let (port, of) = (Arc::clone(&port), peer.clone());
        match attachments::answer(port, of, send, receive, account.as_deref()).await {
            Ok(()) => {}
            Err(error @ LinkError::Violation(_)) => return Err(error),
            Err(error) => warn!(peer = %peer.name, %error, "an attachment was not sent"),
        }
    }
}
