//! A disk that rots is found out, what it spoiled is neither sent nor folded, and heals.
#![allow(missing_docs)]

mod county;

use county::*;
use cunkou_casework::case::Phase;
use cunkou_casework::document::{Section, Write};
use cunkou_casework::event::{Filer, Step};
use cunkou_casework::ids::{AttachmentId, EntryId, SubjectId};
use cunkou_casework::material::{Page, json, page_key};
use cunkou_casework::suite::attachment_id;
use cunkou_engine::{Part, Port};
use cunkou_keys::Key;
use cunkou_replica::Scrubbed;
use cunkou_store::{AttachmentState, Lock, Store, StoreError};
use std::path::{Path, PathBuf};

const PHOTO: &[u8] = b"the picture side of an ID card";
const OURS: &str = "place:11";

fn file(station: &Station, id: AttachmentId) -> (SubjectId, EntryId) {
    let case = station.open_case(AGENT_YUNLING, YUNLING);
    let page = Page {
        hash: id,
        name: "人像面".into(),
        bytes: 9,
        taken: "2026-11-22".into(),
        preview: None,
    };
    let mut writes = phone("13900000101");
    writes.push(Write::set(Section::Materials, page_key("id-card", 0), json(&page)));
    station.save(AGENT_YUNLING, case, &writes);
    let step = Step::Submitted { filer: Filer::Applicant, attachments: vec![id], deferred: vec![] };
    (case, station.step(AGENT_YUNLING, case, step).expect("submitted"))
}

/// A case with a photo, in the village, at the township and at the relay.
fn filed() -> (County, SubjectId, EntryId, AttachmentId) {
    let county = County::founded();
    let id = attachment_id(PHOTO);
    let village = &county.yunling;
    village.store().write_attachment(&id.0, PHOTO).expect("photographed");
    let here = village.store().write(|tx| tx.attachment_here(&id.0, PHOTO.len() as u64));
    here.expect("the store works");
    let (case, submission) = file(village, id);
    county.settle();
    for station in [&county.relay, &county.centre] {
        station.keep_attachment(&id.0, PHOTO).expect("received");
    }
    (county, case, submission, id)
}

fn scrubbed(station: &Station) -> Scrubbed {
    station.scrub(&[], |_, _| ()).expect("the store works")
}

/// The disk changes what was written: the database in plain, changed, and sealed again.
fn rot(station: &mut Station, sql: &str) {
    station.off();
    let (folder, lock) = (station.folder.path().to_owned(), Lock::Key(Key::of([station.n; 32])));
    let [work, plain, sealed] =
        ["work.db", "plain.part", "sealed.part"].map(|name| folder.join(name));
    Store::rewrap(&work, &lock, &plain, &Lock::Plain).expect("unlocked");
    rusqlite::Connection::open(&plain).and_then(|db| db.execute_batch(sql)).expect("changed");
    Store::rewrap(&plain, &Lock::Plain, &sealed, &lock).expect("locked");
    std::fs::remove_file(plain).expect("removed");
    std::fs::rename(sealed, work).expect("renamed");
    station.on();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// One byte in the middle of an entry is another one.
fn spoil(entry: EntryId) -> String {
    let id = hex(&entry.0);
    format!(
        "UPDATE entry SET bytes = CAST(substr(bytes, 1, 60) || x'55' || substr(bytes, 62) AS BLOB)
         WHERE id = x'{id}'"
    )
}

fn rotten(station: &Station, scopes: &[&str]) -> Vec<[u8; 32]> {
    let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    station.store().read(|view| view.rotten(&scopes, 10)).expect("the store works")
}

#[test]
fn a_store_that_is_whole_is_found_whole_and_nothing_changes() {
    let (county, ..) = filed();
    for station in county.all() {
        let before = station.store().read(|view| view.to_scrub()).expect("readable");
        let mut heard = Vec::new();
        let found = station.scrub(&[], |done, all| heard.push((done, all))).expect("scrubbed");
        assert!(found.clean() && found.removed == 0, "{found:?}");
        assert_eq!((found.entries, found.documents, found.attachments), before);
        assert!(heard.is_sorted() && heard.iter().all(|(done, all)| done <= all));
    }
}

#[test]
fn a_rotten_entry_is_neither_sent_nor_folded_and_heals_from_a_peer() {
    let (mut county, case, submission, _) = filed();
    let whole = said(&county.yunling, case).expect("here");
    let sent = |county: &County| {
        let read = county.yunling.store().read(|view| -> Result<_, StoreError> {
            view.log_part(&Part::behind(OURS, 0, usize::MAX), -99, view.head(OURS)?)
        });
        read.expect("the store works").1.len()
    };
    let before = sent(&county);
    rot(&mut county.yunling, &spoil(submission));
    let found = scrubbed(&county.yunling);
    assert_eq!((found.rotten, found.unreadable, found.mended), (1, 0, 0), "{found:?}");
    assert!(!found.clean());
    assert_eq!(sent(&county), before - 1);
    let broken = said(&county.yunling, case).expect("here");
    assert_eq!(broken.state.phase, Phase::Draft);
    assert!(broken.row.aside > 0, "and the row says that something is missing");
    // Which entries are asked for, by scope.
    assert_eq!(rotten(&county.yunling, &[OURS]), [submission.0]);
    assert_eq!(rotten(&county.yunling, &["system"]), [[0; 32]; 0]);
    assert_eq!(county.yunling.scrub_status().expect("readable").to_heal, 1);
    // Others' bytes under its name are refused; a peer's are taken, once.
    let good = county.relay.store().read(|view| view.entry(&submission.0));
    let good = good.expect("the store works").expect("at the relay").bytes;
    let other = county.relay.store().read(|view| view.entries_of(&case.0)).expect("rows");
    let other = other.into_iter().find(|row| row.id != submission.0).expect("another").bytes;
    let mut changed = good.clone();
    changed[60] ^= 1;
    for wrong in [&other[..], &changed, b"", b"no entry"] {
        assert!(!county.yunling.heal(submission, wrong).expect("the store works"));
    }
    assert!(county.yunling.heal(submission, &good).expect("the store works"));
    assert!(!county.yunling.heal(submission, &good).expect("the store works"));
    assert_eq!(said(&county.yunling, case), Some(whole));
    assert_eq!(sent(&county), before);
    assert!(scrubbed(&county.yunling).clean());
}

#[test]
fn a_save_that_rotted_takes_nothing_out_of_its_document() {
    let (mut county, case, ..) = filed();
    let rows = county.yunling.store().read(|view| view.entries_of(&case.0)).expect("rows");
    let save = rows.iter().find(|row| row.kind == 2).expect("a save");
    rot(&mut county.yunling, &spoil(EntryId(save.id)));
    let found = scrubbed(&county.yunling);
    assert_eq!((found.rotten, found.mended), (1, 0), "{found:?}");
    let here = said(&county.yunling, case).expect("here");
    assert_eq!(here.current.get(Section::Form, "phone"), Some("13900000101"));
    assert!(county.yunling.heal(EntryId(save.id), &save.bytes).expect("the store works"));
    assert!(scrubbed(&county.yunling).clean());
}

#[test]
fn what_left_is_not_asked_for_again() {
    let (mut county, case, submission, _) = filed();
    rot(&mut county.yunling, &spoil(submission));
    assert_eq!(scrubbed(&county.yunling).rotten, 1);
    let left = county.yunling.store().write(|tx| tx.evict(&case.0, "", 1, 8));
    left.expect("the store works");
    assert_eq!(rotten(&county.yunling, &[OURS]), [[0; 32]; 0]);
    let good = county.relay.store().read(|view| view.entry(&submission.0));
    let good = good.expect("the store works").expect("at the relay").bytes;
    assert!(!county.yunling.heal(submission, &good).expect("the store works"));
}

#[test]
fn a_document_that_rotted_or_lags_behind_is_made_again_from_its_saves() {
    let case_of = |county: &County, case| said(&county.yunling, case).expect("here");
    for spoiled in [
        // No document at all; another case's; an empty one.
        "UPDATE document SET bytes = x'00' WHERE subject = x'{case}'",
        "UPDATE document SET bytes = (SELECT bytes FROM document WHERE subject <> x'{case}')
         WHERE subject = x'{case}'",
    ] {
        let (mut county, case, _, id) = filed();
        let (other, _) = file(&county.yunling, id);
        county.yunling.save(AGENT_YUNLING, other, &phone("13900000202"));
        let whole = case_of(&county, case);
        rot(&mut county.yunling, &spoiled.replace("{case}", &hex(&case.0)));
        let found = scrubbed(&county.yunling);
        assert_eq!(
            (found.mended, found.rotten, found.unreadable),
            (1, 0, 0),
            "{spoiled} {found:?}"
        );
        assert_eq!(case_of(&county, case), whole);
        assert!(scrubbed(&county.yunling).clean());
    }
}

/// Files of attachments in a folder.
fn photos(folder: &Path) -> Vec<PathBuf> {
    let inside = |folder: PathBuf| {
        std::fs::read_dir(folder).expect("readable").map(|file| file.expect("a file").path())
    };
    inside(folder.join("attachments")).flat_map(inside).collect()
}

#[test]
fn a_photo_that_is_gone_or_changed_is_wanted_again_and_comes_back() {
    for spoil in [
        (|path: &Path| std::fs::remove_file(path)) as fn(&Path) -> std::io::Result<()>,
        |path| {
            let mut bytes = std::fs::read(path)?;
            let at = bytes.len() / 2;
            bytes[at] ^= 4;
            std::fs::write(path, bytes)
        },
        |path| std::fs::File::create(path).map(drop),
    ] {
        let (county, _, _, id) = filed();
        let village = &county.yunling;
        let files = photos(village.folder.path());
        let [photo] = &files[..] else { unreachable!("one photo: {files:?}") };
        spoil(photo).expect("spoiled");
        let found = scrubbed(village);
        assert_eq!((found.attachments, found.wanted_again), (1, 1), "{found:?}");
        let wanted = village.wanted(&village.peer(&county.relay), 10).expect("readable");
        assert_eq!(wanted, [id.0]);
        let there = county.relay.attachment(&county.relay.peer(village), &id.0);
        let there = there.expect("readable").expect("at the relay");
        village.keep_attachment(&id.0, &there).expect("fetched");
        assert!(scrubbed(village).clean());
        let row = village.store().read(|view| view.attachment(&id.0)).expect("readable");
        assert_eq!(row.map(|row| row.state), Some(AttachmentState::Here));
    }
}

#[test]
fn old_files_that_nothing_names_go_and_young_ones_stay() {
    let (county, ..) = filed();
    let village = &county.yunling;
    village.store().write_attachment(&attachment_id(b"cut").0, b"cut").expect("written");
    village.store().write_attachment(&attachment_id(b"new").0, b"new").expect("written");
    assert_eq!((scrubbed(village).removed, photos(village.folder.path()).len()), (0, 3));
    let day_before = std::time::SystemTime::now() - std::time::Duration::from_secs(25 * 3600);
    for path in photos(village.folder.path()) {
        let file = std::fs::File::options().write(true).open(path).expect("opened");
        file.set_modified(day_before).expect("made old");
    }
    village.store().write_attachment(&attachment_id(b"newer").0, b"newer").expect("written");
    let found = scrubbed(village);
    assert_eq!((found.removed, found.wanted_again), (2, 0));
    assert_eq!(photos(village.folder.path()).len(), 2, "the case's photo and the young one");
}

#[test]
fn files_of_another_store_in_the_same_folder_stay() {
    let (county, ..) = filed();
    let village = &county.yunling;
    // As a box keeps them: the open database beside the work database.
    let open = Store::open_as(village.folder.path(), "open.db", &Lock::Key(Key::of([77; 32])));
    let open = open.expect("a store");
    let world = std::sync::Arc::new(cunkou_replica::SystemWorld);
    let guard = cunkou_replica::Guard::in_this_process();
    let open = cunkou_replica::Replica::on(open, membership(village.n), world, guard);
    let open = open.expect("a replica");
    let id = attachment_id(b"the catalogue");
    open.store().write_attachment(&id.0, b"the catalogue").expect("written");
    open.store().write(|tx| tx.attachment_here(&id.0, 13)).expect("written");
    let day_before = std::time::SystemTime::now() - std::time::Duration::from_secs(25 * 3600);
    for path in photos(village.folder.path()) {
        let file = std::fs::File::options().write(true).open(path).expect("opened");
        file.set_modified(day_before).expect("made old");
    }
    assert_eq!(village.scrub(&[&open], |_, _| ()).expect("scrubbed").removed, 0);
    assert_eq!(open.scrub(&[village], |_, _| ()).expect("scrubbed").removed, 0);
    assert!(open.store().read_attachment(&id.0).expect("readable").is_some());
    assert_eq!(scrubbed(village).removed, 1, "the control");
}

#[test]
fn in_small_steps_a_round_ends_survives_restarts_and_begins_again_after_thirty_days() {
    let (mut county, _, submission, _) = filed();
    let status = |county: &County| county.yunling.scrub_status().expect("readable");
    assert_eq!(status(&county).percent, None);
    rot(&mut county.yunling, &spoil(submission));
    let round = |county: &mut County| {
        let mut calls = 0;
        loop {
            county.yunling.scrub_on(&[]).expect("the store works");
            calls += 1;
            if calls % 100 == 0 {
                county.yunling.restart();
            }
            if status(county).percent.is_none() {
                return calls;
            }
            assert!(calls < 5_000, "it ends");
        }
    };
    assert!(round(&mut county) > 250, "each call does little");
    let first = status(&county);
    assert_eq!((first.found.rotten, first.to_heal), (1, 1));
    county.yunling.wait_days(29);
    county.yunling.scrub_on(&[]).expect("the store works");
    assert_eq!(status(&county), first, "nothing is due");
    county.yunling.wait_days(2);
    county.yunling.scrub_on(&[]).expect("the store works");
    assert!(status(&county).percent.is_some());
    round(&mut county);
    assert!(status(&county).ended_ms > first.ended_ms);
}

#[test]
fn a_page_that_the_disk_does_not_give_back_is_counted_and_everything_else_goes_on() {
    let (mut county, case, ..) = filed();
    let text = "低保申请理由。".repeat(90);
    for n in 0..20 {
        let write = Write::set(Section::Form, format!("reason-{n}"), format!("{n}{text}"));
        county.yunling.save(AGENT_YUNLING, case, &[write]);
    }
    let later = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.yunling.store().checkpoint().expect("written out");
    county.yunling.off();
    let path = county.yunling.folder.path().join("work.db");
    let whole = std::fs::read(&path).expect("readable");
    let mut seen = 0;
    for page in (20..whole.len() / 4096).step_by(4) {
        let mut bytes = whole.clone();
        bytes[page * 4096 + 2000] ^= 1;
        for name in ["work.db-wal", "work.db-shm"] {
            let _ = std::fs::remove_file(county.yunling.folder.path().join(name));
        }
        std::fs::write(&path, bytes).expect("the disk rots");
        let Ok(village) = county.yunling.try_on() else { continue };
        let Ok(found) = village.scrub(&[], |_, _| ()) else { continue };
        if found.unreadable > 0 {
            seen += 1;
            assert!(!found.clean() && !found.faults.is_empty(), "page {page}: {found:?}");
            // One bad sector closes the store to nothing else.
            village.store().write(|tx| tx.set_meta("alive", b"yes")).expect("it writes");
            let read =
                village.store().read(|view| view.case_row(&later.0)).map(|row| row.is_some());
            assert!(read.is_ok_and(|here| here), "page {page}");
        }
    }
    assert!(seen > 3, "{seen} pages of entries or documents were met");
}
