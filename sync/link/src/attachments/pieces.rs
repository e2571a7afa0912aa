//! Attachments in checked pieces: first what each group of 16 KiB must be, then group after group.
//!
//! At most [`GROUPS_AT_ONCE`] groups are asked for and not yet on disk; that is what a cut costs.

use super::{Pulled, Puller, blocking, whole_or_none};
use crate::LinkError;
use crate::line::{RecvStream, SendStream};
use crate::quotas::Account;
use cunkou_engine::ranges::{
    Answer, Ask, GROUP, GROUPS_AT_ONCE, IN_PIECES, Outline, RangeViolation,
};
use cunkou_engine::{Given, Kept, PeerInfo, Port};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::debug;

/// What ends an attachment before it is whole.
enum End {
    Lacking,
    Later(Duration),
    /// Today's bytes are used up here.
    Enough(Duration),
    False(RangeViolation),
    /// The peer's attachment has another length than what is here of it, which somebody else may
    /// have lied about: begin anew.
    OtherLength(u64),
}

impl From<RangeViolation> for End {
    fn from(violation: RangeViolation) -> Self {
        Self::False(violation)
    }
}

/// The two halves of a stream that asks for one attachment.
struct Asking {
    send: SendStream,
    receive: RecvStream,
    id: [u8; 32],
    /// Bytes that came.
    moved: usize,
}

impl Asking {
    async fn ask(&mut self, asks: &[Ask]) -> Result<(), End> {
        let bytes: Vec<u8> = asks.iter().flat_map(|ask| ask.encode()).collect();
        self.send.write_all(&bytes).await.map_err(|_| End::Lacking)
    }

    /// The beginning of an answer: how long the attachment is.
    async fn answered(&mut self) -> Result<u64, End> {
        let mut head = [0; Answer::BYTES];
        if !whole_or_none(&mut self.receive, &mut head).await {
            return Err(End::Lacking);
        }
        match Answer::decode(head)? {
            Answer::Here(length) => Ok(length),
            Answer::Lacking => Err(End::Lacking),
            Answer::Later(wait) => Err(End::Later(wait)),
        }
    }

    async fn take(&mut self, bytes: usize) -> Result<Vec<u8>, End> {
        let mut room = vec![0; bytes];
        if !whole_or_none(&mut self.receive, &mut room).await {
            return Err(End::Lacking);
        }
        self.moved += bytes;
        Ok(room)
    }

    async fn outline(&mut self) -> Result<Outline, End> {
        let length = self.answered().await?;
        let names = self.take(Outline::names_len(length)?).await?;
        Ok(Outline::check(self.id, length, &names)?)
    }

    /// Groups that were asked for, each checked as it comes.
    async fn groups(&mut self, of: &Outline, first: u16, count: u8) -> Result<Vec<u8>, End> {
        let length = self.answered().await?;
        if length != of.length() {
            return Err(End::OtherLength(length));
        }
        let mut out = Vec::with_capacity(usize::from(count) * GROUP);
        for group in (first..).take(usize::from(count)) {
            let (_, bytes) = of.span(group, 1);
            if bytes > 0 {
                let piece = self.take(bytes).await?;
                of.verify(group, &piece)?;
                out.extend_from_slice(&piece);
            }
        }
        Ok(out)
    }
}

pub(super) async fn fetch(lane: &mut Puller, id: &[u8; 32]) -> Result<Pulled, LinkError> {
    lane.entries_first().await?;
    let (mut send, receive) = lane.connection.open_bi().await.map_err(|e| e.explain())?;
    send.set_priority(-1);
    let mut opening = id.to_vec();
    opening.push(IN_PIECES);
    if send.write_all(&opening).await.is_err() {
        return Ok(Pulled::Lacking(0));
    }
    let mut asking = Asking { send, receive, id: *id, moved: 0 };
    let end = go_on(lane, &mut asking).await?;
    asking.receive.stop();
    asking.send.finish();
    let (port, id) = (Arc::clone(&lane.port), *id);
    Ok(match end {
        Ok(()) => Pulled::Here(asking.moved),
        Err(End::Lacking) => Pulled::Lacking(asking.moved),
        Err(End::Later(wait)) => Pulled::Later { wait, here: false, moved: asking.moved },
        Err(End::Enough(wait)) => Pulled::Later { wait, here: true, moved: asking.moved },
        Err(End::OtherLength(_)) => {
            blocking(move || port.drop_part(&id)).await??;
            Pulled::Lacking(asking.moved)
        }
        Err(End::False(violation)) => {
            // Who lies about the length is found out at the last group alone: what is here of it
            // may be without an end.
            let last = match violation {
                RangeViolation::Group(group) => {
                    let port = Arc::clone(&lane.port);
                    let part = blocking(move || port.part(&id)).await??;
                    part.is_some_and(|(of, _)| group + 1 == of.groups())
                }
                _ => false,
            };
            if last {
                blocking(move || port.drop_part(&id)).await??;
            }
            Pulled::False(violation)
        }
    })
}

/// Asks for what is not here yet until all of it is.
async fn go_on(lane: &mut Puller, asking: &mut Asking) -> Result<Result<(), End>, LinkError> {
    let (port, id) = (Arc::clone(&lane.port), asking.id);
    let part = blocking(move || port.part(&id)).await??;
    let said_now = part.is_none();
    let (mut outline, mut here) = part.map_or((None, 0), |(outline, here)| (Some(outline), here));
    loop {
        lane.entries_first().await?;
        let count = lane.pace.ahead().min(GROUPS_AT_ONCE);
        let groups = Ask::Groups { first: here, count };
        let asked = Instant::now();
        let got = async {
            let of = match &outline {
                Some(of) => {
                    asking.ask(&[groups]).await?;
                    of.clone()
                }
                // What is small comes in one turn.
                None => {
                    asking.ask(&[Ask::Outline, groups]).await?;
                    asking.outline().await?
                }
            };
            let bytes = asking.groups(&of, here, count).await?;
            Ok((of, bytes))
        };
        let (of, bytes) = match got.await {
            Ok(got) => got,
            // It contradicts itself.
            Err(End::OtherLength(length)) if said_now => {
                return Ok(Err(RangeViolation::Length(length).into()));
            }
            Err(end) => return Ok(Err(end)),
        };
        lane.pace.came(asked.elapsed());
        let came = u16::try_from(bytes.len().div_ceil(GROUP)).unwrap_or(u16::MAX);
        let (port, keep, first) = (Arc::clone(&lane.port), of.clone(), here);
        match blocking(move || port.keep_groups(&keep, first, &bytes)).await?? {
            Kept::Whole => {
                debug!(bytes = of.length(), "received an attachment");
                return Ok(Ok(()));
            }
            Kept::Unwanted => return Ok(Err(End::Lacking)),
            Kept::Part => here += came,
        }
        outline = Some(of);
        let (port, id) = (Arc::clone(&lane.port), asking.id);
        if let Some(wait) = blocking(move || port.lane_waits(&id)).await?? {
            return Ok(Err(End::Enough(wait)));
        }
    }
}

/// Answers question after question about one attachment until the peer has no more.
pub(super) async fn answer(
    port: Arc<dyn Port>,
    peer: PeerInfo,
    id: &[u8; 32],
    mut send: SendStream,
    mut receive: RecvStream,
    account: Option<&Account>,
) -> Result<(), LinkError> {
    let violation = |e: RangeViolation| LinkError::Violation(e.to_string());
    let mut outlined = false;
    let mut ask = [0; Ask::BYTES];
    while whole_or_none(&mut receive, &mut ask).await {
        let ask = Ask::decode(ask).map_err(violation)?;
        // It costs us the whole file.
        if ask == Ask::Outline && std::mem::replace(&mut outlined, true) {
            return Err(violation(RangeViolation::Ask));
        }
        let (from, of, id) = (Arc::clone(&port), peer.clone(), *id);
        let given = blocking(move || match ask {
            Ask::Outline => Ok(match from.outline(&of, &id)? {
                Given::Here(outline) => Given::Here((outline.length(), outline.names())),
                Given::Later(wait) => Given::Later(wait),
                Given::Lacking => Given::Lacking,
            }),
            Ask::Groups { first, count } => from.groups(&of, &id, first, count),
        });
        let (head, bytes) = match given.await?? {
            Given::Here((length, bytes)) => (Answer::Here(length), bytes),
            Given::Later(wait) => (Answer::Later(wait), Vec::new()),
            Given::Lacking => (Answer::Lacking, Vec::new()),
        };
        let answer = [&head.encode()[..], &bytes].concat();
        if send.write_all(&answer).await.is_err() || !matches!(head, Answer::Here(_)) {
            break;
        }
        if let Some(account) = account {
            tokio::time::sleep(account.attachment_out(bytes.len())).await;
        }
    }
    send.finish();
    Ok(())
}
