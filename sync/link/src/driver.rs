//! Drives one session: moves bytes, timers and store calls. Takes no decisions.

use crate::line::{Connection, RecvStream, SendStream};
use crate::quotas::Account;
use crate::{
    CLOSE_HEARD, CLOSE_REFUSED, CLOSE_SCOPES, CLOSE_VIOLATION, LinkError, attachments, explain,
    frames,
};
use cunkou_engine::{FRAME_BYTES_MAX, Input, Output, PeerInfo, Port, Progress, Session};
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
/// A pause as long as this is told in the log.
const LONG_PAUSE: Duration = Duration::from_secs(10);

async fn blocking<T: Send + 'static>(
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
    pub(crate) changes: watch::Receiver<u64>,
    pub(crate) progress: watch::Sender<Option<Progress>>,
    /// When the peer was last asked about its log.
    pub(crate) asked: Option<Instant>,
    /// What the peer may ask of us; nobody counts what a relay asks of a box.
    pub(crate) account: Option<Arc<Account>>,
    /// Until then nothing is read: a quota is used up.
    pub(crate) paused: Option<Instant>,
}

impl Conversation {
    /// Talks until the connection ends.
    pub(crate) async fn run(
        mut self,
        mut send: SendStream,
        receive: RecvStream,
    ) -> Result<(), LinkError> {
        let begun = Instant::now();
        let (port, peer) = (Arc::clone(&self.port), self.peer.clone());
        let hello = blocking(move || port.hello(&peer)).await??;
        let mut session = Session::new(Duration::ZERO, hello);
        let (frame_tx, mut frame_rx) = mpsc::channel(READ_AHEAD);
        let mut tasks = JoinSet::new();
        tasks.spawn(read_frames(self.connection.clone(), receive, frame_tx));
        tasks.spawn(answer_requests(
            self.connection.clone(),
            Arc::clone(&self.port),
            self.peer.clone(),
            self.account.clone(),
        ));
        let mut pulling = false;
        loop {
            while let Some(output) = session.poll_output() {
                if matches!(output, Output::Greeted(_)) && !pulling {
                    pulling = true;
                    tasks.spawn(attachments::pull(
                        self.connection.clone(),
                        Arc::clone(&self.port),
                        self.peer.clone(),
                        self.changes.clone(),
                        self.account.clone(),
                    ));
                    // The greeting is stored below before anything else is loaded.
                }
                self.perform(&mut session, &mut send, begun, output).await?;
                self.progress.send_replace(Some(session.progress()));
            }
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
                }
                () = rest, if paused.is_some() => {
                    self.paused = None;
                    session.handle(begun.elapsed(), Input::Resumed);
                }
                () = tick, if paused.is_none() => session.handle(begun.elapsed(), Input::Tick),
                Some(ended) = tasks.join_next() => {
                    if let Ok(Err(error)) = ended {
                        return Err(self.end(error).await);
                    }
                }
            }
        }
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
            Ok(now) if now.scopes == self.peer.scopes => Ok(()),
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
                let after = Arc::clone(&port);
                blocking(move || port.greeted(&peer, &hello)).await??;
                let debt = self.account.as_ref().map_or(Duration::ZERO, |a| a.debt());
                self.pause(debt);
                if let Some(words) = blocking(move || after.last_word()).await?? {
                    session.handle(begun.elapsed(), Input::LastWord(words));
                }
            }
            Output::Load { scope, after, bytes_max } => {
                let of = scope.clone();
                let loaded = blocking(move || port.load(&peer, &of, after, bytes_max)).await??;
                let (upto, head, entries) = (loaded.upto, loaded.head, loaded.entries);
                session.handle(begun.elapsed(), Input::Loaded { scope, upto, head, entries });
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
            Output::Acked { scope, upto } => {
                blocking(move || port.acked(&peer, &scope, upto)).await??;
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
                let (then, of) = (Arc::clone(&port), peer.clone());
                blocking(move || port.completed(&peer)).await??;
                let due = self.asked.is_none_or(|at| at.elapsed() >= ASK_EVERY);
                if due && let Some(question) = blocking(move || then.question(&of)).await?? {
                    self.asked = Some(Instant::now());
                    session.handle(begun.elapsed(), Input::Question(question));
                }
            }
            Output::Close(violation) => {
                let words = violation.to_string();
                self.connection.close(CLOSE_VIOLATION.into(), words.as_bytes());
                return Err(LinkError::Violation(words));
            }
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
        let answered = attachments::answer(Arc::clone(&port), peer.clone(), send, receive).await;
        match answered {
            Ok(bytes) => {
                if let Some(account) = &account {
                    tokio::time::sleep(account.attachment_out(bytes)).await;
                }
            }
            Err(error) => warn!(peer = %peer.name, %error, "an attachment was not sent"),
        }
    }
}
