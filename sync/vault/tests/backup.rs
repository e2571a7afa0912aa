//! A box that comes back from a backup.

mod county;

use county::{AGENT, Box_, Relay, agent, pin_key};
use cunkou_casework::ids::SubjectId;
use cunkou_replica::{NUMBERS_SKIPPED, Unlocked};
use cunkou_vault::{BackupError, Vault, is_restoring};
use std::fs;
use tempfile::TempDir;

fn opened(vault: &Vault) -> Unlocked {
    vault.unlock(&agent(AGENT), &pin_key(AGENT)).expect("the box opens")
}

fn number(work: &Unlocked, case: SubjectId) -> String {
    let row = work.replica.store().read(|view| view.case_row(&case.0)).expect("the store works");
    row.expect("a case").number
}

/// The counter within the block.
fn counter(number: &str) -> u64 {
    let (_, counter) = cunkou_casework::number::parts(number).expect("a number");
    u64::from(counter)
}

#[test]
fn a_lost_disk_comes_back_from_backup_and_county_and_nobody_takes_the_box_for_a_copy() {
    let (relay, sticks) = (Relay::founded(), TempDir::new().expect("a folder"));
    let stick = sticks.path().join("box.ckn");
    let before = Box_::enrolled(&relay);
    let vault = before.vault();
    let work = opened(&vault);
    let first = relay.file_at_box(&work.replica, "高龄津贴");
    let photo = b"a photo of the first".to_vec();
    let photo = relay.photo_at_box(&work.replica, first, &photo);
    relay.talk(&*work.replica);
    let unsent = relay.file_at_box(&work.replica, "not sent when it was backed up");
    let done = vault.back_up(&work, &[], &stick, |_, _| ()).expect("backed up");
    assert_eq!((done.attachments, done.entries), (1, before.count(&work.replica)));
    assert_eq!(done.bytes, fs::metadata(&stick).expect("a file").len());
    assert!(!before.has("backup.part"));
    // After the backup: two more, of which the county has one; then the disk is lost.
    let later = relay.file_at_box(&work.replica, "filed and sent after the backup");
    relay.talk(&*work.replica);
    let lost = relay.file_at_box(&work.replica, "on the lost disk alone");
    let lost_number = number(&work, lost);
    drop((work, vault, before));

    let after = Box_::restored(&relay, &stick).expect("restored");
    let vault = after.vault();
    let work = opened(&vault);
    for case in [first, unsent] {
        number(&work, case);
    }
    let kept = work.replica.store().read_attachment(&photo).expect("the disk works");
    assert_eq!(kept.as_deref(), Some(&b"a photo of the first"[..]));
    // A case opened before the county was reached: its number was not out yet.
    let offline = relay.file_at_box(&work.replica, "opened before the first contact");
    let number_now = number(&work, offline);
    assert!(counter(&number_now) > counter(&lost_number), "{number_now} {lost_number}");
    assert!(counter(&number_now) <= counter(&lost_number) + NUMBERS_SKIPPED);
    relay.talk(&*work.replica);
    relay.talk(&*work.replica);
    for case in [first, unsent, later, offline] {
        assert_eq!(number(&work, case), relay.number_of(case).expect("the county has it"));
    }
    assert_eq!(relay.number_of(lost), None, "what nobody else had is gone");
    assert_eq!(relay.forks(), 0, "the county takes it for the same box");
    assert_eq!(work.replica.forks().expect("the store works").len(), 0);
    assert_eq!(work.replica.alarms().expect("the store works").len(), 0);
    assert_eq!(relay.quarantined(), 0);
    assert_eq!(work.replica.store().integrity().expect("readable"), Vec::<String>::new());
    let unsent = work.replica.status().expect("the store works").unsent;
    assert_eq!(unsent.entries, 0, "the county has acknowledged everything");
}

#[test]
fn what_was_erased_after_the_backup_is_erased_again_at_the_first_contact() {
    let (relay, sticks) = (Relay::founded(), TempDir::new().expect("a folder"));
    let stick = sticks.path().join("box.ckn");
    let before = Box_::enrolled(&relay);
    let vault = before.vault();
    let work = opened(&vault);
    let case = relay.file_at_box(&work.replica, "to be erased");
    relay.talk(&*work.replica);
    vault.back_up(&work, &[], &stick, |_, _| ()).expect("backed up");
    relay.erase(case);
    relay.talk(&*work.replica);
    let gone = |work: &Unlocked| {
        work.replica.store().read(|view| view.case_row(&case.0)).expect("works").is_none()
    };
    assert!(gone(&work), "the control: it was erased");
    drop((work, vault, before));
    let after = Box_::restored(&relay, &stick).expect("restored");
    let vault = after.vault();
    let work = opened(&vault);
    assert!(!gone(&work), "the control: the backup has it");
    relay.talk(&*work.replica);
    assert!(gone(&work));
}

#[test]
fn a_backup_that_is_damaged_or_for_another_key_puts_no_box_in_place() {
    let (relay, sticks) = (Relay::founded(), TempDir::new().expect("a folder"));
    let stick = sticks.path().join("box.ckn");
    let before = Box_::enrolled(&relay);
    let vault = before.vault();
    let work = opened(&vault);
    relay.file_at_box(&work.replica, "高龄津贴");
    vault.back_up(&work, &[], &stick, |_, _| ()).expect("backed up");
    let again = vault.back_up(&work, &[], &stick, |_, _| ());
    assert!(matches!(again, Err(BackupError::Disk(_))), "an earlier backup is not written over");
    assert!(stick.exists());
    let whole = fs::read(&stick).expect("readable");
    let bad = sticks.path().join("bad.ckn");
    for at in (0..whole.len()).step_by(whole.len() / 23) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&bad, &bytes).expect("written");
        assert!(Box_::restored(&relay, &bad).is_err(), "byte {at} changed");
        fs::write(&bad, &whole[..at]).expect("written");
        assert!(Box_::restored(&relay, &bad).is_err(), "cut at {at}");
    }
    let other = Relay::founded();
    assert!(Box_::restored(&other, &stick).is_err(), "another county's key");
    assert!(Box_::restored(&relay, &stick).is_ok(), "the control");
}

#[test]
fn a_restore_that_a_cut_ended_leaves_no_box_and_is_begun_again() {
    let (relay, sticks) = (Relay::founded(), TempDir::new().expect("a folder"));
    let stick = sticks.path().join("box.ckn");
    let before = Box_::enrolled(&relay);
    let vault = before.vault();
    let work = opened(&vault);
    let case = relay.file_at_box(&work.replica, "高龄津贴");
    vault.back_up(&work, &[], &stick, |_, _| ()).expect("backed up");
    // As a cut leaves it just before the last step: all but the open database in place.
    let done = Box_::restored(&relay, &stick).expect("restored");
    let folder = done.path();
    fs::create_dir_all(folder.join("restore.part")).expect("a folder");
    for end in ["", "-wal", "-shm"] {
        let _ = fs::rename(
            folder.join(format!("open.db{end}")),
            folder.join(format!("restore.part/open.db{end}")),
        );
    }
    assert!(is_restoring(folder));
    done.restore_again(&relay, &stick).expect("restored");
    assert!(!is_restoring(folder));
    let vault = done.vault();
    number(&opened(&vault), case);
}

#[test]
fn a_machine_with_the_old_slots_or_nobodys_pin_does_not_open_what_was_restored() {
    let (relay, sticks) = (Relay::founded(), TempDir::new().expect("a folder"));
    let stick = sticks.path().join("box.ckn");
    let before = Box_::enrolled(&relay);
    let vault = before.vault();
    let work = opened(&vault);
    relay.file_at_box(&work.replica, "高龄津贴");
    vault.back_up(&work, &[], &stick, |_, _| ()).expect("backed up");
    let old = work.work.clone();
    drop((work, vault));
    let after = Box_::restored(&relay, &stick).expect("restored");
    let vault = after.vault();
    assert!(vault.open_work(&old).is_err(), "the work key is a new one");
    assert!(vault.unlock(&agent(AGENT), &pin_key(99)).is_err());
    opened(&vault);
    // And the county can open it as it opens every box.
    let machine = after.machine_key();
    assert!(cunkou_vault::recover(after.path(), &machine, &relay.recovery).is_ok());
}
