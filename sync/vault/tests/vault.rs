//! A box at rest, with its county beside it: what it does locked, who opens it, how it ends.
#![allow(missing_docs)]

mod county;

use county::{
    AGENT, Box_, LATER, Relay, VILLAGE, agent, has_open_inbox_secret, pin_key, rot_the_inbox, sees,
};
use cunkou_casework::county::Statement;
use cunkou_engine::Port;
use cunkou_replica::LastWord;
use cunkou_vault::{EXTENSION_DAYS, LeaseStanding, UnlockError, Vault};

#[test]
fn a_locked_box_receives_and_acknowledges_and_the_first_sign_in_finds_it() {
    let relay = Relay::founded();
    let the_box = Box_::enrolled(&relay);
    let vault = the_box.vault();
    relay.talk(&vault);
    let first = vault.unlock(&agent(AGENT), &pin_key(AGENT)).expect("the first sign-in");
    assert!(!vault.is_fresh().expect("readable"));
    drop(first);
    vault.locked();

    let case = relay.open_case("box is locked");
    assert!(relay.talk(&vault) > 0, "acknowledged to the end");
    assert!(vault.inbox().expect("readable").0 > 0);
    drop(vault);

    // A restart: still locked, still there.
    let vault = the_box.vault();
    assert!(vault.open_replica().case(case).expect("readable").is_none());
    let work = vault.unlock(&agent(AGENT), &pin_key(AGENT)).expect("signs in").replica;
    assert!(work.case(case).expect("readable").is_some());
    assert_eq!(vault.inbox().expect("readable"), (0, 0));
    relay.talk(&*work);
    assert_eq!(relay.cursor_of(&work), relay.head(VILLAGE), "nothing is asked for again");
}

#[test]
fn nothing_that_arrives_while_locked_can_be_read_with_the_machine_key_once_somebody_has_signed_in()
{
    let relay = Relay::founded();
    let the_box = Box_::enrolled(&relay);
    let vault = the_box.vault();
    relay.talk(&vault);
    assert!(has_open_inbox_secret(&vault), "a fresh box: the documented exception");
    vault.unlock(&agent(AGENT), &pin_key(AGENT)).expect("signs in");
    vault.locked();
    relay.open_case("secret item");
    relay.talk(&vault);
    assert!(vault.inbox().expect("readable").0 > 0);
    assert!(!has_open_inbox_secret(&vault));
    assert!(!sees(&vault, "secret item"));
}

#[test]
fn a_cut_between_admitting_a_batch_and_dropping_it_changes_nothing() {
    let relay = Relay::founded();
    let the_box = Box_::enrolled(&relay);
    let vault = the_box.vault();
    relay.talk(&vault);
    vault.unlock(&agent(AGENT), &pin_key(AGENT)).expect("signs in");
    vault.locked();
    let cases: Vec<_> = (0..5).map(|i| relay.open_case(&format!("case {i}"))).collect();
    relay.talk(&vault);
    drop(vault);
    // open.db as it was before the drain: what a cut between the two commits leaves.
    let before = the_box.copy_open_db();
    let vault = the_box.vault();
    let once =
        the_box.count(&vault.unlock(&agent(AGENT), &pin_key(AGENT)).expect("signs in").replica);
    drop(vault);
    the_box.put_open_db(&before);
    let vault = the_box.vault();
    assert!(vault.inbox().expect("readable").0 > 0, "the batches are there again");
    let work = vault.unlock(&agent(AGENT), &pin_key(AGENT)).expect("signs in").replica;
    assert_eq!(the_box.count(&work), once);
    for case in cases {
        assert!(work.case(case).expect("readable").is_some());
    }
    assert_eq!(vault.inbox().expect("readable"), (0, 0));
}

#[test]
fn a_person_removed_while_the_box_is_locked_loses_their_slot_at_once() {
    let relay = Relay::founded();
    let the_box = Box_::enrolled(&relay);
    let vault = the_box.vault();
    relay.talk(&vault);
    vault.unlock(&agent(AGENT), &pin_key(AGENT)).expect("signs in");
    vault.locked();
    let removed = Statement::PersonRevoked { person: agent(AGENT).id, reason: "left".into() };
    relay.state(vec![removed]);
    relay.talk(&vault);
    let refused = vault.unlock(&agent(AGENT), &pin_key(AGENT));
    assert!(matches!(refused, Err(UnlockError::NoSlot)));
}

#[test]
fn a_person_added_while_locked_gets_a_slot_when_a_colleague_opens_and_the_county_can_give_one() {
    let relay = Relay::founded();
    let the_box = Box_::enrolled(&relay);
    let vault = the_box.vault();
    relay.talk(&vault);
    vault.unlock(&agent(AGENT), &pin_key(AGENT)).expect("signs in");
    vault.locked();
    relay.state(vec![Statement::Person(agent(LATER))]);
    relay.talk(&vault);
    assert!(matches!(vault.unlock(&agent(LATER), &pin_key(LATER)), Err(UnlockError::NoSlot)));
    cunkou_vault::recover_in_place(&vault, &relay.recovery).expect("the county opens it");
    vault.unlock(&agent(LATER), &pin_key(LATER)).expect("signs in");
    vault.locked();
    // The key of another person under this one's name opens nothing.
    assert!(vault.unlock(&agent(LATER), &pin_key(AGENT)).is_err());
}

#[test]
fn a_revoked_box_destroys_its_keys_says_so_once_heard_and_never_opens_again() {
    let relay = Relay::founded();
    let the_box = Box_::enrolled(&relay);
    let vault = the_box.vault();
    relay.talk(&vault);
    vault.unlock(&agent(AGENT), &pin_key(AGENT)).expect("signs in");
    vault.locked();
    relay.revoke();
    relay.state(vec![Statement::Person(agent(LATER))]);
    relay.open_case("after the revocation");
    relay.talk(&vault);
    assert!(vault.is_revoked());
    assert_eq!(
        vault.open_replica().county().person(agent(LATER).id).map(|_| ()),
        None,
        "of the county log it hears nothing behind its own revocation"
    );
    vault.destroy().expect("destroyed");
    vault.destroy().expect("twice is no fault");
    let refused = vault.unlock(&agent(AGENT), &pin_key(AGENT));
    assert!(matches!(refused, Err(UnlockError::NoSlot)));
    drop(vault);

    // A cut before it was said: it is said after the restart.
    let vault = the_box.vault();
    let words = vault.last_word().expect("readable").expect("a last word");
    let peer = relay.peer_of_box().expect("it may still say this");
    assert!(!relay.heard(&peer, b"not a word").expect("the store works"));
    let mut forged = words.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert!(!relay.heard(&peer, &forged).expect("the store works"));
    assert!(relay.heard(&peer, &words).expect("the store works"));
    let word: LastWord = relay.last_word().expect("kept");
    assert_eq!(word.device, vault.enrolled().device);
    assert!(relay.peer_of_box().is_none(), "after its last word nothing more is said");

    vault.forget_everything(&the_box.machine).expect("gone");
    drop(vault);
    assert!(the_box.is_destroyed());
    assert!(!the_box.has("open.db") && !the_box.has("work.db") && !the_box.has("machine.key"));
}

#[test]
fn a_box_without_a_revocation_destroys_nothing() {
    let relay = Relay::founded();
    let the_box = Box_::enrolled(&relay);
    let vault: Vault = the_box.vault();
    relay.talk(&vault);
    vault.destroy().expect("nothing to do");
    vault.unlock(&agent(AGENT), &pin_key(AGENT)).expect("signs in");
}

#[test]
fn a_rotten_batch_locks_nobody_out_and_the_county_sends_it_again() {
    let relay = Relay::founded();
    let the_box = Box_::enrolled(&relay);
    let vault = the_box.vault();
    relay.talk(&vault);
    vault.unlock(&agent(AGENT), &pin_key(AGENT)).expect("signs in");
    vault.locked();
    let cases: Vec<_> = (0..3).map(|i| relay.open_case(&format!("case {i}"))).collect();
    relay.talk(&vault);
    rot_the_inbox(&vault);
    let work = vault.unlock(&agent(AGENT), &pin_key(AGENT)).expect("signs in").replica;
    relay.talk(&*work);
    for case in cases {
        assert!(work.case(case).expect("readable").is_some());
    }
    assert_eq!(vault.inbox().expect("readable"), (0, 0));
}

#[test]
fn an_extension_read_over_the_phone_opens_a_box_whose_lease_is_over() {
    let relay = Relay::founded();
    let the_box = Box_::enrolled(&relay);
    let vault = the_box.vault();
    relay.talk(&vault);
    assert_eq!(vault.pass_time(0).expect("counted"), LeaseStanding::Fine);
    let day = 24 * 3600 * 1000;
    assert_eq!(vault.pass_time(60 * day).expect("counted"), LeaseStanding::Over);
    drop(vault);
    let vault = the_box.vault();
    assert_eq!(vault.pass_time(0).expect("counted"), LeaseStanding::Over, "after a restart");
    let challenge = vault.lease_challenge().expect("a number");
    assert!(vault.extend_lease("1234567890").is_err());
    let shared = cunkou_keys::Key::of([7; 32]);
    let device = vault.enrolled().device.0;
    let code = cunkou_keys::extension_code(&shared, &device, &challenge, EXTENSION_DAYS);
    vault.extend_lease(&code).expect("extended");
    let warned = LeaseStanding::Warn { days_left: 14, urgent: false };
    assert_eq!(vault.pass_time(0).expect("counted"), warned);
    assert!(vault.extend_lease(&code).is_err(), "a second time");
    // Receiving goes on all the while, and contact ends it.
    assert_eq!(vault.pass_time(14 * day).expect("counted"), LeaseStanding::Over);
    relay.open_case("meanwhile");
    assert!(relay.talk(&vault) > 0);
    assert_eq!(vault.pass_time(0).expect("counted"), LeaseStanding::Fine);
    // Unlocking mirrors what is known already; that is no contact.
    assert_eq!(
        vault.pass_time(46 * day).expect("counted"),
        LeaseStanding::Warn { days_left: 14, urgent: false }
    );
    vault.unlock(&agent(AGENT), &pin_key(AGENT)).expect("signs in");
    assert!(matches!(vault.pass_time(0).expect("counted"), LeaseStanding::Warn { .. }));
}
