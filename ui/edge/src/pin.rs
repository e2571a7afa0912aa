//! PINs: what opens a person's key, and what slows down guessing.

use crate::App;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use cunkou_casework::county::{Credential, Given, Person};
use cunkou_casework::hex;
use cunkou_casework::ids::{PersonId, PlaceId};
use cunkou_casework::suite::SecretKey;
use cunkou_keys::{MEMORY_KIB, PASSES, stretch};
use cunkou_replica::{ActError, Replica, Who};
use cunkou_store::{StoreError, Throttle};
use zeroize::Zeroizing;

/// So many wrong PINs cost nothing but the try.
const FREE_TRIES: u32 = 4;
const WAIT_MS_MAX: i64 = 15 * 60 * 1000;

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The PIN is wrong, so many times in a row.
    #[error("wrong PIN")]
    Wrong,
    /// Too many wrong PINs: wait so long, milliseconds.
    #[error("too many wrong PINs")]
    Wait(i64),
    /// No key or PIN of this person is here.
    #[error("no key of this person is here")]
    NoKey,
    /// The PIN is right, but the door stays shut.
    #[error(transparent)]
    Door(#[from] crate::door::DoorError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A PIN is 4 to 12 digits.
#[must_use]
pub fn is_pin(text: &str) -> bool {
    (4..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// Why a PIN was not set.
#[derive(Debug, thiserror::Error)]
pub enum GiveError {
    /// The system cannot seal, or this box serves no place where the person works.
    #[error("the PIN could not be set here")]
    Unable,
    /// The store, or a rule.
    #[error(transparent)]
    Act(#[from] ActError),
}

impl From<StoreError> for GiveError {
    fn from(e: StoreError) -> Self {
        Self::Act(e.into())
    }
}

/// Wraps a person's key by their PIN: it counts before all that this replica knows of them.
///
/// # Errors
/// [`GiveError`].
pub fn wrap(
    replica: &Replica,
    person: PersonId,
    key: &SecretKey,
    pin: &str,
    given: Given,
) -> Result<Credential, GiveError> {
    let (mut salt, mut nonce) = ([0; 16], [0; 24]);
    replica.draw(&mut salt);
    replica.draw(&mut nonce);
    let sealed = seal(key, pin, &salt, &nonce).ok_or(GiveError::Unable)?;
    Ok(Credential {
        person,
        salt,
        memory_kib: MEMORY_KIB,
        passes: PASSES,
        sealed: sealed.into(),
        key: Some(key.public()),
        turn: Some(replica.next_turn(person)?),
        given: Some(given),
    })
}

fn seal(key: &SecretKey, pin: &str, salt: &[u8; 16], nonce: &[u8; 24]) -> Option<Vec<u8>> {
    let wrapping = stretch(pin, salt, MEMORY_KIB, PASSES)?;
    let cipher = XChaCha20Poly1305::new_from_slice(wrapping.bytes()).ok()?;
    let seed = Zeroizing::new(key.seed());
    let sealed = cipher.encrypt(XNonce::from_slice(nonce), &seed[..]).ok()?;
    Some([&nonce[..], &sealed].concat())
}

/// Gives a person a new PIN, signed by themselves, at the places where they work and which this
/// box serves; the relay passes it on to the others.
///
/// # Errors
/// [`GiveError`]; the old PIN then stays.
pub fn give(
    replica: &Replica,
    person: &Person,
    key: &SecretKey,
    pin: &str,
    given: Given,
) -> Result<(), GiveError> {
    let served = replica.device().map(|d| d.places).unwrap_or_default();
    let mut places: Vec<PlaceId> = person.posts.iter().map(|p| p.place).collect();
    places.sort_unstable();
    places.dedup();
    places.retain(|p| served.contains(p));
    // A township box that was enrolled without the township itself: any place that it serves.
    if places.is_empty() {
        places.extend(served.first());
    }
    if places.is_empty() {
        return Err(GiveError::Unable);
    }
    let credential = wrap(replica, person.id, key, pin, given)?;
    let who = Who { person: person.id, key: Some(key) };
    Ok(replica.act(|desk| desk.give_credential(Some(who), &credential, &places))?)
}

/// A person typed wrong PINs no more: they have shown by a code who they are.
///
/// # Errors
/// When the store fails.
pub fn forgive(door: &dyn crate::Door, person: &Person) -> Result<(), StoreError> {
    door.replica().store().write(|tx| tx.set_throttle(&person.login, Throttle::default()))
}

fn unwrap(credential: &Credential, pin: &str) -> Option<SecretKey> {
    let wrapping = stretch(pin, &credential.salt, credential.memory_kib, credential.passes)?;
    let (nonce, sealed) = credential.sealed.split_at_checked(24)?;
    let cipher = XChaCha20Poly1305::new_from_slice(wrapping.bytes()).ok()?;
    let seed = Zeroizing::new(cipher.decrypt(XNonce::from_slice(nonce), sealed).ok()?);
    Some(SecretKey::from_seed(seed.as_slice().try_into().ok()?))
}

/// The text under which a county person's PIN is kept: salt and hash, hexadecimal.
///
/// # Errors
/// When the store fails.
pub fn set_county_pin(replica: &Replica, person: PersonId, pin: &str) -> Result<(), ActError> {
    let mut salt = [0; 16];
    replica.draw(&mut salt);
    let hash = stretch(pin, &salt, MEMORY_KIB, PASSES);
    let hash = hash.map(|key| hex::encode(key.bytes())).unwrap_or_default();
    let text = format!("{}:{hash}", hex::encode(&salt));
    replica.store().write(|tx| tx.set_pin(&person.0, &text))?;
    Ok(())
}

fn county_pin_holds(text: &str, pin: &str) -> bool {
    let Some((salt, hash)) = text.split_once(':') else { return false };
    let (Some(salt), Some(hash)) = (hex::decode(salt), hex::decode(hash)) else { return false };
    let Some(found) = stretch(pin, &salt, MEMORY_KIB, PASSES) else { return false };
    // Every byte is looked at, whatever the others say.
    hash.len() == 32 && hash.iter().zip(found.bytes()).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
}

/// Checks a PIN. The try is counted on disk before it is made, so that neither a restart nor a
/// power cut gives tries back. May block for a good part of a second.
///
/// # Errors
/// [`SignInError`].
pub fn sign_in(app: &App, person: &Person, pin: &str) -> Result<Option<SecretKey>, SignInError> {
    // On a box the count lies in open.db: it holds while the box is locked, too.
    let replica = app.door.replica();
    let now = replica.now_ms();
    let counted = replica.store().write(|tx| -> Result<Result<(), i64>, StoreError> {
        let before = tx.throttle(&person.login)?;
        if before.until_ms > now {
            return Ok(Err(before.until_ms - now));
        }
        let fails = before.fails + 1;
        let over = fails.saturating_sub(FREE_TRIES);
        let wait = if over == 0 { 0 } else { (15_000_i64 << over.min(10)).min(WAIT_MS_MAX) };
        tx.set_throttle(&person.login, Throttle { fails, until_ms: now + wait })?;
        Ok(Ok(()))
    })?;
    if let Err(wait) = counted {
        return Err(SignInError::Wait(wait));
    }
    let key = match &person.key {
        Some(public) => {
            let credentials = replica.credentials(person.id)?;
            if credentials.is_empty() {
                return Err(SignInError::NoKey);
            }
            let opened = credentials.first().and_then(|c| unwrap(&c.credential, pin));
            let key = opened.filter(|key| key.public() == *public);
            Some(key.ok_or(SignInError::Wrong)?)
        }
        None => {
            let kept = replica.store().read(|view| view.pin(&person.id.0))?;
            let kept = kept.ok_or(SignInError::NoKey)?;
            if !county_pin_holds(&kept, pin) {
                return Err(SignInError::Wrong);
            }
            None
        }
    };
    replica.store().write(|tx| tx.set_throttle(&person.login, Throttle::default()))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_with_its_pin_and_with_no_other() {
        let key = SecretKey::from_seed(&[5; 32]);
        let cheap = |pin: &str| stretch(pin, &[1; 16], 64, 1).expect("small parameters");
        let cipher = XChaCha20Poly1305::new_from_slice(cheap("1234").bytes()).expect("32 bytes");
        let sealed = cipher.encrypt(XNonce::from_slice(&[2; 24]), &key.seed()[..]).expect("sealed");
        let credential = Credential {
            person: PersonId([0; 16]),
            salt: [1; 16],
            memory_kib: 64,
            passes: 1,
            sealed: [&[2; 24][..], &sealed].concat().into(),
            key: None,
            turn: None,
            given: None,
        };
        assert_eq!(unwrap(&credential, "1234").map(|k| k.public()), Some(key.public()));
        assert!(unwrap(&credential, "1235").is_none());
        let greedy = Credential { memory_kib: u32::MAX, ..credential };
        assert!(unwrap(&greedy, "1234").is_none());
    }

    #[test]
    fn a_pin_is_four_to_twelve_digits() {
        assert!(is_pin("2468") && is_pin("123456789012"));
        assert!(!is_pin("123") && !is_pin("12a4") && !is_pin(""));
    }
}
