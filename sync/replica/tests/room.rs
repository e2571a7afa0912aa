//! A disk that fills up stops one thing after the other, loses nothing, and says so.
#![allow(missing_docs)]

mod county;

use county::*;
use cunkou_casework::document::{Section, Write};
use cunkou_casework::event::{Filer, Step};
use cunkou_casework::ids::{AttachmentId, SubjectId};
use cunkou_casework::material::{Page, json, page_key};
use cunkou_casework::suite::attachment_id;
use cunkou_engine::Port;
use cunkou_keys::Key;
use cunkou_replica::{ActError, Guard, Replica, Room, SystemWorld, Who, World};
use cunkou_store::{Lock, NoRoom, Store, StoreError};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// A case of the village's with a photo that the township lacks.
fn with_photo(county: &County) -> AttachmentId {
    let id = attachment_id(b"a photo");
    county.yunling.store().write_attachment(&id.0, b"a photo").expect("photographed");
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    let page = Page {
        hash: id,
        name: "人像面".into(),
        bytes: 7,
        taken: "2026-11-22".into(),
        preview: None,
    };
    let write = Write::set(Section::Materials, page_key("id-card", 0), json(&page));
    county.yunling.save(AGENT_YUNLING, case, &[write]);
    let step = Step::Submitted { filer: Filer::Applicant, attachments: vec![id], deferred: vec![] };
    county.yunling.step(AGENT_YUNLING, case, step).expect("submitted");
    county.settle();
    id
}

#[test]
fn what_stops_stops_in_order_and_comes_back_in_the_other() {
    let county = County::founded();
    // A box of 32 GB, and a county's disk: the same stops on both from a certain size on.
    for (total, marks) in
        [(32 * GIB, [2048, 512, 48]), (4096 * GIB, [2048, 512, 48]), (1000 * MIB, [100, 50, 20])]
    {
        let room = |free: u64| {
            county.yunling.has_free(free, total, false);
            county.yunling.room()
        };
        let [fetching, photos, forms] = marks.map(|mib| mib * MIB);
        let stops = [
            (fetching, Room::Plenty, Room::NoFetching),
            (photos, Room::NoFetching, Room::NoPhotos),
            (forms, Room::NoPhotos, Room::NoForms),
        ];
        for (mark, before, after) in stops {
            assert_eq!((room(mark), room(mark - 1)), (before, after), "{total}");
        }
    }
    county.yunling.has_free(GIB, 32 * GIB, true);
    assert_eq!(county.yunling.room(), Room::ReadOnly);
}

#[test]
fn photos_of_others_stay_where_they_are_until_there_is_room_and_the_catalogue_comes_anyway() {
    let county = County::founded();
    let id = with_photo(&county);
    let wanted = || county.relay.wanted(&county.relay.peer(&county.yunling), 10).expect("readable");
    assert_eq!(wanted(), [id.0]);
    county.relay.has_free(GIB, 32 * GIB, false);
    assert_eq!(wanted(), [[0; 32]; 0]);
    let digest = attachment_id(b"a catalogue");
    let published = cunkou_casework::county::Statement::Catalogue {
        version: "2026-12".into(),
        digest,
        bytes: 11,
        routes: None,
    };
    county.relay.state(&authority(), vec![published]).expect("published");
    county.settle();
    county.yunling.has_free(GIB, 32 * GIB, false);
    let at_village = county.yunling.wanted(&county.yunling.peer(&county.relay), 10);
    assert_eq!(at_village.expect("readable"), [digest.0]);
    // The link is told when there is room again.
    county.relay.has_free(20 * GIB, 32 * GIB, false);
    let (heard, told) = std::sync::mpsc::channel();
    county.relay.on_change(Box::new(move || heard.send(()).unwrap_or_default()));
    assert_eq!(county.relay.look_after_room().expect("looked after"), Room::Plenty);
    assert!(told.try_recv().is_ok());
    assert!(wanted().contains(&id.0));
}

#[test]
fn on_a_full_disk_people_are_told_and_acknowledgements_go_on() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.yunling.has_free(20 * GIB, 32 * GIB, false);
    county.yunling.look_after_room().expect("looked after");
    assert_eq!(county.yunling.store().ballast(), Some(32 * MIB));
    for (free, read_only, why) in [(40 * MIB, false, NoRoom::Full), (GIB, true, NoRoom::ReadOnly)] {
        county.yunling.has_free(free, 32 * GIB, read_only);
        let entries = county.yunling.entry_count();
        let refused = county.yunling.step(AGENT_YUNLING, case, submitted());
        assert!(matches!(refused, Err(ActError::NoRoom(found)) if found == why), "{refused:?}");
        let key = secret(AGENT_YUNLING);
        let who = Who { person: person_id(AGENT_YUNLING), key: Some(&key) };
        let saved = county.yunling.act(|desk| desk.edit(case, who, &phone("13900000001")));
        assert!(matches!(saved, Err(ActError::NoRoom(found)) if found == why), "{saved:?}");
        let opening = county.yunling.act(|desk| desk.open_case(who, |n| opened(n, YUNLING)));
        assert!(matches!(opening, Err(ActError::NoRoom(_))), "{opening:?}");
        assert_eq!(county.yunling.entry_count(), entries);
    }
    // The ballast is given up; what waits for the county goes, and what the county says comes in.
    county.yunling.has_free(40 * MIB, 32 * GIB, false);
    assert_eq!(county.yunling.look_after_room().expect("looked after"), Room::NoForms);
    assert_eq!(county.yunling.store().ballast(), Some(0));
    assert!(county.yunling.unsent() > 0);
    county.settle();
    assert_eq!(county.yunling.unsent(), 0);
    // What the ballast gave is not for new forms.
    county.yunling.has_free(100 * MIB, 32 * GIB, false);
    assert_eq!(county.yunling.look_after_room().expect("looked after"), Room::NoForms);
    county.yunling.has_free(600 * MIB, 32 * GIB, false);
    assert_eq!(county.yunling.look_after_room().expect("looked after"), Room::NoFetching);
    assert_eq!(county.yunling.store().ballast(), Some(32 * MIB));
    county.yunling.step(AGENT_YUNLING, case, submitted()).expect("there is room");
}

/// A small disk in memory, gone with its end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn of(mib: u32) -> Option<Self> {
        let folder = tempfile::TempDir::new().expect("a folder");
        let size = format!("size={mib}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "cunkou-test"]).arg(folder.path());
        if mount.output().is_ok_and(|done| done.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("SKIPPED (77): a small disk cannot be mounted; run as root");
        None
    }

    fn remount(&self, how: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{how}")]).arg(self.0.path());
        assert!(mount.status().expect("it runs").success(), "remounted {how}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn on_disk(folder: &Path) -> Replica {
    let store = Store::open(folder, &Lock::Key(Key::of([BOX_YUNLING; 32]))).expect("it opens");
    let guard = Guard::in_this_process();
    Replica::on(store, membership(BOX_YUNLING), Arc::new(SystemWorld), guard).expect("it opens")
}

fn open_case(replica: &Replica) -> Result<SubjectId, ActError> {
    let key = secret(AGENT_YUNLING);
    let who = Who { person: person_id(AGENT_YUNLING), key: Some(&key) };
    replica.act(|desk| desk.open_case(who, |number| opened(number, YUNLING)))
}

/// A box's folder on the disk, with the county log in it.
fn settled_on(disk: &SmallDisk) {
    let mut county = County::founded();
    county.yunling.off();
    copy_folder(county.yunling.folder.path(), disk.0.path());
}

#[test]
fn a_real_disk_is_filled_to_the_brim_and_nothing_that_was_saved_is_lost() {
    let Some(disk) = SmallDisk::of(48) else { return };
    settled_on(&disk);
    let replica = on_disk(disk.0.path());
    assert_eq!(replica.look_after_room().expect("looked after"), Room::Plenty);
    assert!(replica.store().ballast().is_some_and(|bytes| bytes > 900_000));
    let mut saved = vec![open_case(&replica).expect("there is room")];
    // Somebody else fills it; this program hears of it from SQLite alone.
    let filler = disk.0.path().join("filler");
    let filled = std::io::copy(
        &mut std::io::Read::take(std::io::repeat(1), 64 * MIB),
        &mut std::fs::File::create(&filler).expect("a file"),
    );
    assert_eq!(filled.map_err(|e| e.kind()), Err(std::io::ErrorKind::StorageFull));
    let bulk = vec![7; 4_000_000];
    let failed = replica.store().write(|tx| tx.set_meta("bulk", &bulk));
    let failed: StoreError = failed.expect_err("there is no room");
    assert_eq!(failed.no_room(), Some(NoRoom::Full), "{failed:?}");
    let failed = replica.store().write_attachment(&attachment_id(&bulk).0, &bulk);
    let failed = failed.expect_err("there is no room");
    assert_eq!(failed.no_room(), Some(NoRoom::Full), "{failed:?}");
    assert_eq!(replica.room(), Room::NoForms);
    let refused = open_case(&replica);
    assert!(matches!(refused, Err(ActError::NoRoom(NoRoom::Full))), "{refused:?}");
    // What is under way finds room in the ballast.
    replica.look_after_room().expect("looked after");
    assert_eq!(replica.store().ballast(), Some(0));
    let small = replica.store().write(|tx| tx.set_meta("acknowledged", &[1; 200_000]));
    small.map_err(|e: StoreError| e).expect("there is room for what is under way");
    assert_eq!(replica.room(), Room::NoForms, "and for nothing else");
    drop(replica);
    let replica = on_disk(disk.0.path());
    std::fs::remove_file(filler).expect("removed");
    assert_eq!(replica.look_after_room().expect("looked after"), Room::Plenty);
    saved.push(open_case(&replica).expect("there is room again"));
    for case in saved {
        assert!(replica.case(case).expect("readable").is_some());
    }
    assert_eq!(replica.store().faults().expect("checked"), Vec::<String>::new());
}

#[test]
fn a_disk_that_turns_read_only_is_named_and_still_read() {
    let Some(disk) = SmallDisk::of(48) else { return };
    settled_on(&disk);
    let replica = on_disk(disk.0.path());
    let case = open_case(&replica).expect("there is room");
    // As a damaged disk does: what is open for writing stays open, so the program ends first.
    drop(replica);
    disk.remount("ro");
    let seen = SystemWorld.disk(disk.0.path()).expect("the system tells");
    assert!(seen.read_only && seen.free > 0);
    let store = Store::open(disk.0.path(), &Lock::Key(Key::of([BOX_YUNLING; 32])));
    let store = store.expect("it is read");
    let row: Result<_, StoreError> = store.read(|view| view.case_row(&case.0));
    assert!(row.expect("readable").is_some());
    let failed = store.write(|tx| tx.set_meta("x", b"y")).map_err(|e: StoreError| e.no_room());
    assert_eq!(failed, Err(Some(NoRoom::ReadOnly)));
    let failed = store.write_attachment(&attachment_id(b"x").0, b"x").map_err(|e| e.no_room());
    assert_eq!(failed, Err(Some(NoRoom::ReadOnly)));
    drop(store);
    disk.remount("rw");
    let replica = on_disk(disk.0.path());
    assert!(replica.case(case).expect("readable").is_some());
}
