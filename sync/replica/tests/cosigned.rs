//! Checkpoints that auditors sign: out of a relay, and back into it.
#![allow(missing_docs)]

mod county;

use county::*;
use cunkou_casework::checkpoint::{Proofs, SignedCheckpoint};
use cunkou_casework::cosign::{Held, Letter, Refused};
use cunkou_casework::event::decode;
use cunkou_casework::export::Export;
use cunkou_casework::ids::SubjectId;
use cunkou_casework::suite::SecretKey;
use cunkou_replica::LetterError;

fn auditor() -> SecretKey {
    SecretKey::from_seed(&[0xad; 32])
}

fn letter(station: &Station) -> Letter {
    station.letter(&[]).expect("a letter")
}

fn held(letter: &Letter) -> Held {
    Held { fingerprint: letter.fingerprint(), checkpoint: letter.checkpoint.clone() }
}

fn signed(mut letter: Letter) -> Letter {
    letter.cosign(&auditor());
    letter
}

fn a_case(county: &County) -> SubjectId {
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    case
}

fn proofs(county: &County, case: SubjectId) -> Proofs {
    let bytes = county.relay.export(case, false).expect("read").expect("here");
    let export = Export::decode(&bytes).expect("an export");
    decode(&export.proofs.expect("a relay's export has proofs")).expect("proofs")
}

#[test]
fn a_relay_shows_an_auditor_each_time_that_its_log_continues_what_they_signed() {
    let county = County::founded();
    a_case(&county);
    let first = signed(letter(&county.relay));
    let (then, _) = first.judge(&[], false).expect("the first is signed");
    let keys = county.relay.take_letter(&first, "市审计局").expect("it is ours");
    assert_eq!(keys, [auditor().public()]);
    for _ in 0..3 {
        a_case(&county);
        county.relay.checkpoint().expect("works");
    }
    let next = letter(&county.relay);
    let (new, before) = next.judge(&[held(&first)], false).expect("it continues");
    assert_eq!(before.map(|c| c.size), Some(then.size));
    assert!(new.size > then.size);
    county.relay.take_letter(&signed(next), "").expect("it is ours");
    let known = county.relay.cosigners().expect("readable");
    assert_eq!(known.len(), 1);
    assert_eq!((known[0].name.as_str(), known[0].checkpoint.size), ("市审计局", new.size));
    // An older letter that comes late takes nothing back.
    county.relay.take_letter(&first, "").expect("it is ours");
    assert_eq!(county.relay.cosigners().expect("readable")[0].checkpoint.size, new.size);
}

#[test]
fn a_relay_that_has_forgotten_the_auditor_shows_the_length_that_they_name() {
    let county = County::founded();
    a_case(&county);
    let first = letter(&county.relay);
    a_case(&county);
    let (then, _) = first.judge(&[], false).expect("the first");
    let silent = letter(&county.relay).judge(&[held(&first)], false);
    assert_eq!(silent, Err(Refused::NotShown(then.size)));
    let told = county.relay.letter(&[then.size]).expect("a letter");
    assert!(told.judge(&[held(&first)], false).is_ok());
    let beyond = county.relay.letter(&[1_000_000]);
    assert!(matches!(beyond, Err(LetterError::Beyond(_))), "{beyond:?}");
}

#[test]
fn a_relay_whose_log_was_replaced_by_an_older_copy_and_goes_on_is_not_signed() {
    let mut county = County::founded();
    a_case(&county);
    county.relay.off();
    let older = county.relay.copied();
    county.relay.on();
    a_case(&county);
    let first = letter(&county.relay);
    assert!(first.judge(&[], false).is_ok());
    // It takes in other things: longer than what was signed, and not its continuation.
    for _ in 0..3 {
        county.longtan.open_case(AGENT_LONGTAN, LONGTAN);
    }
    for _ in 0..2 {
        Talk::begin(&older, &county.longtan).finish();
    }
    let (then, _) = first.read().expect("a relay's");
    let rewritten = older.letter(&[then.size]).expect("a letter");
    let refused = rewritten.judge(&[held(&first)], false);
    assert_eq!(refused, Err(Refused::Rewritten));
    // What was signed of the true log is not taken by the other.
    let foreign = older.take_letter(&signed(first), "");
    assert!(matches!(foreign, Err(LetterError::NotOurs)), "{foreign:?}");
}

#[test]
fn only_what_others_signed_of_this_relays_own_log_is_taken() {
    let (county, other) = (County::founded(), County::founded());
    a_case(&county);
    let first = letter(&county.relay);
    let unsigned = county.relay.take_letter(&first, "");
    assert!(matches!(unsigned, Err(LetterError::Unsigned)), "{unsigned:?}");
    let mut broken = signed(first.clone());
    broken.checkpoint.signatures.iter_mut().for_each(|s| {
        if s.key == auditor().public() {
            s.bytes = vec![0; 64].into();
        }
    });
    let unsigned = county.relay.take_letter(&broken, "");
    assert!(matches!(unsigned, Err(LetterError::Unsigned)), "{unsigned:?}");
    // The same keys and beginnings, and more of it than here.
    a_case(&other);
    a_case(&other);
    let theirs = signed(letter(&other.relay));
    let foreign = county.relay.take_letter(&theirs, "");
    assert!(matches!(foreign, Err(LetterError::NotOurs)), "{foreign:?}");
    // What the relay's key has signed beside its log is not its log, even so.
    let mut says = first.judge(&[], false).expect("the first").0;
    says.root = [9; 32];
    let key = secret(RELAY);
    let beside = Letter { checkpoint: SignedCheckpoint::new(&says, &key), ..first };
    let beside = county.relay.take_letter(&signed(beside), "");
    assert!(matches!(beside, Err(LetterError::NotOurs)), "{beside:?}");
    assert!(county.relay.cosigners().expect("readable").is_empty());
}

#[test]
fn an_exported_case_shows_what_an_auditor_signed_and_that_the_log_went_on_from_it() {
    let county = County::founded();
    let case = a_case(&county);
    assert!(proofs(&county, case).cosigned.is_none());
    let first = signed(letter(&county.relay));
    county.relay.take_letter(&first, "").expect("it is ours");
    a_case(&county);
    let proofs = proofs(&county, case);
    let relay = county.relay.me().key.public();
    let latest = proofs.checkpoint.read(&relay).expect("the relay's");
    let cosigned = proofs.cosigned.expect("an auditor has signed");
    let [one] = &cosigned[..] else { panic!("{}", cosigned.len()) };
    let then = one.read(&relay, &auditor().public(), &latest).expect("it holds");
    assert!(then.size < latest.size);
    assert!(proofs.shown.iter().all(|s| s.inclusion.index < then.size), "the case was there");
    assert!(one.read(&relay, &secret(77).public(), &latest).is_none(), "another key");
}
