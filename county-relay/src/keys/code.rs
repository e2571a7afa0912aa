//! One-time codes from county IT: who merely knows a PIN neither adds nor removes a key.

use cunkou_casework::ids::PersonId;
use cunkou_replica::Replica;
use cunkou_store::StoreError;

/// A code is valid for so long. Milliseconds.
const CODE_MS: i64 = 72 * 3_600_000;
/// Characters of a code: none that is taken for another. 32 of them, so 10 make 50 bits.
const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const CODE_LETTERS: usize = 10;

/// Makes a code with which a person registers or removes one key.
pub(crate) fn make(replica: &Replica, person: PersonId) -> Result<String, StoreError> {
    let mut drawn = [0; CODE_LETTERS];
    replica.draw(&mut drawn);
    let letters: String =
        drawn.iter().map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])).collect();
    let (now, hash) = (replica.now_ms(), hash_of(&letters));
    replica.store().write(|tx| tx.offer_enrolment(&hash, &person.0, b"key", now, now + CODE_MS))?;
    Ok(format!("{}-{}-{}", &letters[..4], &letters[4..8], &letters[8..]))
}

/// Codes lie beside the one-time files of boxes, under hashes that never meet theirs.
fn hash_of(typed: &str) -> [u8; 32] {
    let plain: String =
        typed.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_uppercase()).collect();
    cunkou_casework::suite::key_code_hash(&plain)
}

/// Why a code was not used up.
enum Kept {
    /// It is good, and was only looked at.
    Good,
    /// Unknown, used, too old, or somebody else's.
    Bad,
    Store(StoreError),
}

impl From<StoreError> for Kept {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}

/// Whether a code is this person's and good; used up only when asked.
pub(super) fn holds(
    replica: &Replica,
    person: PersonId,
    typed: &str,
    use_up: bool,
) -> Result<bool, StoreError> {
    let (now, hash) = (replica.now_ms(), hash_of(typed));
    let used = replica.store().write(|tx| -> Result<(), Kept> {
        match tx.redeem_enrolment(&hash, now)? {
            Some(redeemed) if redeemed.device == person.0 && use_up => Ok(()),
            // An error rolls back: the code stays unused.
            Some(redeemed) if redeemed.device == person.0 => Err(Kept::Good),
            _ => Err(Kept::Bad),
        }
    });
    match used {
        Ok(()) | Err(Kept::Good) => Ok(true),
        Err(Kept::Bad) => Ok(false),
        Err(Kept::Store(e)) => Err(e),
    }
}
