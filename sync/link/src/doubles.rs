//! One conversation for each device: two machines with one identity never talk at once (the sync
//! report, 4.5), and a box whose connection died is not kept out by it.
//!
//! When a device that talks comes a second time, the conversation that was there is asked something
//! that every program answers. What has died is silent and makes room; what answers stays, and the
//! newcomer is sent away.

use crate::line::Connection;
use crate::{CLOSE_REPLACED, LinkError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A line whose round trip nobody has measured shows itself within this.
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_MIN: Duration = Duration::from_secs(2);
/// No longer: the newcomer waits meanwhile.
const PATIENCE_MAX: Duration = Duration::from_secs(15);
/// One that may have died just now is asked to come again after so long.
const SOON: Duration = Duration::from_secs(10);
/// A box that opens or locks calls anew while its old connection is still being closed: what answers
/// is asked again after so long, and so often, before it counts as another machine.
const ONCE_MORE: Duration = Duration::from_secs(1);
const ANSWERS_MAX: u32 = 3;
/// Who stirs so often without an answer is alive all the same.
const STIRS_MAX: u32 = 3;

/// How the conversation that was there showed itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// It ended meanwhile.
    Over,
    /// Nothing came from it.
    Silent,
    /// Something came, but no answer: the last words of a line that died, or a machine that is busy.
    Stirs,
    /// It answered: two machines are alive.
    Answers,
}

/// What becomes of the newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// It takes the place.
    Talks,
    /// It waits while the one that was there is asked again.
    Waits,
    /// It is asked to come again soon.
    ComesAgain,
    /// It is refused, and people hear of it.
    IsDouble,
}

/// `stirred` counts how often it has stirred and not answered before: a line that died does so once
/// or twice, a program that keeps silent on purpose always. `answered` counts how often it has
/// answered this newcomer before.
fn then(before: Before, stirred: u32, answered: u32) -> Then {
    match before {
        Before::Over | Before::Silent => Then::Talks,
        Before::Answers if answered + 1 < ANSWERS_MAX => Then::Waits,
        Before::Stirs if stirred < STIRS_MAX => Then::ComesAgain,
        Before::Stirs | Before::Answers => Then::IsDouble,
    }
}

/// How long the conversation that was there is waited for.
fn patience(round_trip: Option<Duration>) -> Duration {
    round_trip.map_or(PATIENCE, |rtt| (rtt * 4).clamp(PATIENCE_MIN, PATIENCE_MAX))
}

struct Taken {
    number: u64,
    stirred: u32,
    connection: Connection,
}

#[derive(Default)]
struct Table {
    last: u64,
    taken: BTreeMap<[u8; 16], Taken>,
}

/// Which devices talk.
#[derive(Clone, Default)]
pub(crate) struct Seats(Arc<Mutex<Table>>);

/// A device's place; free again when it is dropped.
pub(crate) struct Seat {
    seats: Seats,
    device: [u8; 16],
    number: u64,
}

impl Seats {
    fn with<T>(&self, work: impl FnOnce(&mut Table) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the device's place for a connection, or says why not.
    ///
    /// # Errors
    /// [`LinkError::Double`] when another machine of this device answers; [`LinkError::Busy`] when
    /// that cannot be known yet.
    pub(crate) async fn take(
        &self,
        device: [u8; 16],
        connection: &Connection,
    ) -> Result<Seat, LinkError> {
        let mut answered = 0;
        loop {
            let before = self.with(|table| {
                if let Some(taken) = table.taken.get(&device) {
                    return Err((taken.number, taken.stirred, taken.connection.clone()));
                }
                table.last += 1;
                let (number, connection) = (table.last, connection.clone());
                table.taken.insert(device, Taken { number, stirred: 0, connection });
                Ok(Seat { seats: self.clone(), device, number })
            });
            let (number, stirred, before) = match before {
                Ok(seat) => return Ok(seat),
                Err(before) => before,
            };
            match then(show(&before).await, stirred, answered) {
                Then::Waits => {
                    answered += 1;
                    tokio::time::sleep(ONCE_MORE).await;
                }
                Then::Talks => {
                    before.close(CLOSE_REPLACED.into(), b"this box has connected anew");
                    self.leave(device, number);
                }
                Then::ComesAgain => {
                    self.with(|table| {
                        let of = table.taken.get_mut(&device).filter(|t| t.number == number);
                        of.into_iter().for_each(|taken| taken.stirred += 1);
                    });
                    return Err(LinkError::Busy(SOON));
                }
                Then::IsDouble => return Err(LinkError::Double),
            }
        }
    }

    fn leave(&self, device: [u8; 16], number: u64) {
        self.with(|table| {
            if table.taken.get(&device).is_some_and(|taken| taken.number == number) {
                table.taken.remove(&device);
            }
        });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.leave(self.device, self.number);
    }
}

/// Asks the machine at the other end for an attachment that nobody has: every program answers.
async fn answered(connection: &Connection) -> bool {
    let Ok((mut send, mut receive)) = connection.open_bi().await else { return false };
    if send.write_all(&[0; 32]).await.is_err() {
        return false;
    }
    send.finish();
    matches!(receive.read(&mut [0; 1]).await, Ok(Some(_)))
}

/// Waits until the conversation that was there has shown itself.
async fn show(connection: &Connection) -> Before {
    let received = connection.carried().1;
    let asked = async {
        match answered(connection).await {
            true => Before::Answers,
            false => std::future::pending().await,
        }
    };
    let shown = async {
        tokio::select! {
            _ = connection.closed() => Before::Over,
            before = asked => before,
        }
    };
    match tokio::time::timeout(patience(connection.round_trip()), shown).await {
        Ok(before) => before,
        Err(_) if connection.carried().1 > received => Before::Stirs,
        Err(_) => Before::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_answers_makes_a_double_and_what_is_silent_makes_room() {
        use Before::{Answers, Over, Silent, Stirs};
        let all = [Over, Silent, Stirs, Answers].map(|before| then(before, 0, ANSWERS_MAX - 1));
        assert_eq!(all, [Then::Talks, Then::Talks, Then::ComesAgain, Then::IsDouble]);
        assert_eq!(then(Stirs, STIRS_MAX, 0), Then::IsDouble, "silent on purpose");
        assert_eq!(then(Silent, STIRS_MAX, 0), Then::Talks);
        assert_eq!(then(Answers, 0, 0), Then::Waits, "its own old connection may be closing");
    }

    #[test]
    fn slow_lines_have_longer_to_show_themselves_but_nobody_for_ever() {
        let ms = Duration::from_millis;
        assert_eq!(patience(None), PATIENCE);
        assert_eq!(patience(Some(ms(1))), PATIENCE_MIN);
        assert_eq!(patience(Some(ms(800))), ms(3_200));
        assert_eq!(patience(Some(ms(20_000))), PATIENCE_MAX);
    }
}
