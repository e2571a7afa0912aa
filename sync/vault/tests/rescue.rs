//! A forgotten PIN at a box at rest: a number, a code of the relay's, and what they cannot do.
#![allow(missing_docs)]

mod county;

use county::{AGENT, Box_, LATER, Relay, agent, pin_key};
use cunkou_vault::{
    CODES_PER_NUMBER, NUMBER_MS, NUMBER_WAIT_MS, NUMBERS_PER_DAY, RescueError, Vault,
};

/// A box on which the agent has signed in once, which then told the relay; it is locked.
fn prepared(relay: &Relay) -> (Box_, Vault) {
    let the_box = Box_::enrolled(relay);
    let vault = the_box.vault();
    relay.talk(&vault);
    let work = vault.unlock(&agent(AGENT), &pin_key(AGENT)).expect("signs in").replica;
    let made = |vault: &Vault| {
        vault.prepare_rescue(&work, &agent(AGENT), &pin_key(AGENT)).expect("prepared")
    };
    assert!(made(&vault));
    assert!(!made(&vault), "a good one stays");
    relay.talk(&*work);
    vault.note_acknowledged(&work).expect("noted");
    drop(work);
    vault.locked();
    (the_box, vault)
}

fn code(relay: &Relay, vault: &Vault, number: &str) -> String {
    relay.code(vault.enrolled().device, &agent(AGENT), number).expect("a code")
}

#[test]
fn a_locked_box_gives_a_person_their_key_for_the_code_of_its_number_until_they_have_a_new_pin() {
    let relay = Relay::founded();
    let (the_box, vault) = prepared(&relay);
    let number = vault.rescue_number(&agent(AGENT)).expect("a number");
    assert_eq!(vault.rescue_number(&agent(AGENT)).expect("the same"), number);
    let code = code(&relay, &vault, &number);
    assert_eq!(relay.helped(), 1, "it is on record");
    drop(vault);
    let vault = the_box.vault();
    let key = vault.rescue(&agent(AGENT), &code).expect("after a restart, too");
    assert_eq!(key.public(), pin_key(AGENT).public());
    vault.rescue(&agent(AGENT), &code).expect("what followed failed: once more");
    vault.unlock(&agent(AGENT), &key).expect("and the key opens the box");
    vault.rescued(agent(AGENT).id).expect("burnt");
    assert!(vault.rescue(&agent(AGENT), &code).is_err(), "used");
    let gone = vault.rescue_number(&agent(AGENT));
    assert!(matches!(gone, Err(RescueError::None)), "until the next sign-in makes another");
}

#[test]
fn codes_of_another_box_another_number_and_another_person_open_nothing() {
    let relay = Relay::founded();
    let (_the_box, vault) = prepared(&relay);
    let number = vault.rescue_number(&agent(AGENT)).expect("a number");
    let foreign = relay.code_of_other_box(&agent(AGENT), &number).expect("a code");
    assert!(matches!(vault.rescue(&agent(AGENT), &foreign), Err(RescueError::Wrong)));
    let mut near = number.clone().into_bytes();
    near[0] = if near[0] == b'9' { b'0' } else { near[0] + 1 };
    let near = code(&relay, &vault, &String::from_utf8(near).expect("digits"));
    assert!(matches!(vault.rescue(&agent(AGENT), &near), Err(RescueError::Wrong)));
    assert!(matches!(vault.rescue_number(&agent(LATER)), Err(RescueError::None)));
    let none = relay.code(vault.enrolled().device, &agent(LATER), &number);
    assert!(none.is_none(), "and the relay knows no way back of theirs");
    vault.rescue(&agent(AGENT), &code(&relay, &vault, &number)).expect("the right one");
}

#[test]
fn five_wrong_codes_void_a_number_ten_numbers_are_a_day_and_no_restart_gives_a_try_back() {
    let relay = Relay::founded();
    let (the_box, mut vault) = prepared(&relay);
    let mut last = String::new();
    for round in 0..NUMBERS_PER_DAY {
        last = vault.rescue_number(&agent(AGENT)).expect("a number");
        for _ in 0..CODES_PER_NUMBER {
            if round == 0 {
                drop(vault);
                vault = the_box.vault();
            }
            let refused = vault.rescue(&agent(AGENT), "000000000000");
            assert!(matches!(refused, Err(RescueError::Wrong)));
        }
        let right = code(&relay, &vault, &last);
        let refused = vault.rescue(&agent(AGENT), &right);
        assert!(matches!(refused, Err(RescueError::Over)), "even the right one");
        if round + 1 < NUMBERS_PER_DAY {
            assert!(matches!(vault.rescue_number(&agent(AGENT)), Err(RescueError::Soon)));
        }
        vault.pass_time(NUMBER_WAIT_MS).expect("a minute");
    }
    drop(vault);
    let vault = the_box.vault();
    assert!(matches!(vault.rescue_number(&agent(AGENT)), Err(RescueError::TooMany)));
    vault.pass_time(24 * NUMBER_MS).expect("a day passes");
    assert_ne!(vault.rescue_number(&agent(AGENT)).expect("the next day"), last);
}

#[test]
fn an_hour_that_the_box_was_awake_ends_a_number_whatever_its_clock_says() {
    let relay = Relay::founded();
    let (the_box, vault) = prepared(&relay);
    let number = vault.rescue_number(&agent(AGENT)).expect("a number");
    let code = code(&relay, &vault, &number);
    vault.pass_time(NUMBER_MS / 2).expect("half an hour");
    drop(vault);
    let vault = the_box.vault();
    vault.pass_time(NUMBER_MS / 2).expect("the other half");
    assert!(matches!(vault.rescue(&agent(AGENT), &code), Err(RescueError::Over)));
    let next = vault.rescue_number(&agent(AGENT)).expect("another");
    assert_ne!(next, number);
    assert!(matches!(vault.rescue(&agent(AGENT), &code), Err(RescueError::Wrong)));
}

#[test]
fn a_new_way_back_that_the_county_has_not_heard_of_leaves_the_old_one_in_its_place() {
    let relay = Relay::founded();
    let (_the_box, vault) = prepared(&relay);
    relay.second_relay();
    relay.talk(&vault);
    let work = vault.unlock(&agent(AGENT), &pin_key(AGENT)).expect("signs in").replica;
    let made = vault.prepare_rescue(&work, &agent(AGENT), &pin_key(AGENT)).expect("prepared");
    assert!(made, "somebody else may help now");
    let number = vault.rescue_number(&agent(AGENT)).expect("a number");
    vault.rescue(&agent(AGENT), &code(&relay, &vault, &number)).expect("by what the relay has");
    relay.talk(&*work);
    vault.note_acknowledged(&work).expect("noted");
    let next = vault.rescue_number(&agent(AGENT)).expect("a number");
    assert_ne!(next, number, "now the new one serves");
    vault.rescue(&agent(AGENT), &code(&relay, &vault, &next)).expect("by the new one");
}

#[test]
fn whoever_leaves_keeps_no_way_back() {
    use cunkou_casework::county::Statement;
    let relay = Relay::founded();
    let (_the_box, vault) = prepared(&relay);
    let number = vault.rescue_number(&agent(AGENT)).expect("a number");
    let removed = Statement::PersonRevoked { person: agent(AGENT).id, reason: "left".into() };
    relay.state(vec![removed]);
    let none = relay.code(vault.enrolled().device, &agent(AGENT), &number);
    assert!(none.is_none(), "the relay helps nobody who left");
    relay.talk(&vault);
    vault.pass_time(0).expect("counted");
    assert!(matches!(vault.rescue_number(&agent(AGENT)), Err(RescueError::None)));
}
