//! Who keeps the door: what has to hold before somebody is let in, and what opens then.

use crate::App;
use cunkou_casework::county::Person;
use cunkou_casework::suite::SecretKey;
use cunkou_replica::Replica;
use std::sync::Arc;

/// Why somebody with the right PIN is not let in.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// This box has no slot for the person yet.
    #[error("this box has no slot for this person")]
    NoSlot,
    /// Our own failure, in words for the log.
    #[error("{0}")]
    Ours(String),
}

/// How long the box still opens without the county.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Lease {
    /// Long enough, or for ever.
    #[default]
    Fine,
    /// So many days; urgent or not.
    Ends(u32, bool),
    /// Not any more: the number to read to the county.
    Over(String),
}

/// Why a forgotten PIN cannot be replaced just now.
#[derive(Debug, thiserror::Error)]
pub enum RescueFault {
    /// There is no way back for this person here.
    #[error("this person has no way back here")]
    None,
    /// The day's numbers are used up.
    #[error("too many numbers today")]
    TooMany,
    /// A number was just made void by wrong codes: the next comes after a minute.
    #[error("the next number comes in a minute")]
    Soon,
    /// The number is not good any more.
    #[error("this number is not good any more")]
    Over,
    /// Not the code for this number.
    #[error("not the code for this number")]
    Wrong,
    /// Our own failure, in words for the log.
    #[error("{0}")]
    Ours(String),
}

/// The door of a box or of a console.
pub trait Door: std::fmt::Debug + Send + Sync {
    /// Where wrong PINs are counted and wrapped keys lie. On a box this is not the replica with
    /// the cases.
    fn replica(&self) -> &Replica;

    /// The PIN was right: opens what the person's key opens. Gives the app in which their session
    /// begins when it is another than the one that asked. May block.
    ///
    /// # Errors
    /// [`DoorError`].
    fn let_in(
        &self,
        person: &Person,
        key: Option<&SecretKey>,
    ) -> Result<Option<Arc<App>>, DoorError>;

    /// How long the box still opens.
    fn lease(&self) -> Lease {
        Lease::Fine
    }

    /// For how many days the machine's certificate still holds; absent where nobody asks.
    fn certificate_days(&self) -> Option<i64> {
        None
    }

    /// Extends the lease by a code that the county has read back.
    fn extend(&self, _code: &str) -> bool {
        false
    }

    /// The number that somebody who has forgotten their PIN reads over the phone.
    ///
    /// # Errors
    /// [`RescueFault`].
    fn rescue_number(&self, _: &Person) -> Result<String, RescueFault> {
        Err(RescueFault::None)
    }

    /// Opens a person's key with the code that was read back. May block.
    ///
    /// # Errors
    /// [`RescueFault`].
    fn rescue(&self, _: &Person, _code: &str) -> Result<SecretKey, RescueFault> {
        Err(RescueFault::None)
    }

    /// A person has a new PIN: a locked box must know it, too. After a code, their way back is
    /// burnt and a new one made. May block.
    ///
    /// # Errors
    /// [`DoorError::Ours`].
    fn pin_given(&self, _: &Person, _: &SecretKey, _after_code: bool) -> Result<(), DoorError> {
        Ok(())
    }

    /// Locks the box now; false where nothing can be locked.
    fn lock(&self) -> bool {
        false
    }

    /// Whether the readable part is closed.
    fn is_locked(&self) -> bool {
        false
    }
}

/// A door that is always open: the console's.
#[derive(Debug)]
pub struct OpenDoor(pub Arc<Replica>);

impl Door for OpenDoor {
    fn replica(&self) -> &Replica {
        &self.0
    }

    fn let_in(&self, _: &Person, _: Option<&SecretKey>) -> Result<Option<Arc<App>>, DoorError> {
        Ok(None)
    }
}
