//! Attachments piece by piece: what is here of one that is on its way, after cuts and restarts.

use cunkou_engine::ranges::{GROUP, Outline, Outliner};
use cunkou_keys::Key;
use cunkou_store::{Lock, Store, StoreError};
use std::fs;
use std::path::{Path, PathBuf};

fn content(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i % 251) as u8).collect()
}

fn outlined(bytes: &[u8]) -> Outline {
    let mut outliner = Outliner::default();
    outliner.read(bytes);
    outliner.finish().expect("as long as allowed")
}

fn open(folder: &Path, lock: &Lock) -> Store {
    Store::open(folder, lock).expect("opened")
}

/// Keyed, and the control of the tests.
fn locks() -> [Lock; 2] {
    [Lock::Key(Key::of([7; 32])), Lock::Plain]
}

fn part_file(folder: &Path) -> Option<PathBuf> {
    let mut folders = fs::read_dir(folder.join("attachments")).expect("a folder").flatten();
    let parts = folders.find(|f| f.file_name().to_string_lossy().starts_with("parts-"))?;
    let mut files = fs::read_dir(parts.path()).expect("a folder");
    files.next().map(|file| file.expect("listed").path())
}

fn groups(bytes: &[u8], first: u16, count: usize) -> &[u8] {
    let from = usize::from(first) * GROUP;
    &bytes[from..bytes.len().min(from + count * GROUP)]
}

#[test]
fn what_was_kept_of_an_attachment_is_there_after_a_restart_and_the_rest_makes_it_whole() {
    for lock in locks() {
        let folder = tempfile::tempdir().expect("a folder");
        let photo = content(5 * GROUP + 99);
        let outline = outlined(&photo);
        let store = open(folder.path(), &lock);
        assert_eq!(store.part(outline.id()).expect("readable"), None);
        assert!(store.keep_groups(&outline, 0, groups(&photo, 0, 3)).expect("kept"));
        drop(store);
        let store = open(folder.path(), &lock);
        let part = store.part(outline.id()).expect("readable");
        assert_eq!(part, Some((outline.clone(), 3)));
        assert!(!store.finish_part(&outline).expect("readable"), "not whole yet");
        assert_eq!(store.read_attachment(outline.id()).expect("readable"), None);
        assert!(store.keep_groups(&outline, 3, groups(&photo, 3, 3)).expect("kept"));
        assert_eq!(store.part(outline.id()).expect("readable"), Some((outline.clone(), 6)));
        assert!(store.finish_part(&outline).expect("readable"));
        assert_eq!(store.read_attachment(outline.id()).expect("readable"), Some(photo.clone()));
        assert_eq!(part_file(folder.path()), None, "the part is gone");
        // And it is given as it was got.
        let given = store.attachment_outline(outline.id()).expect("readable");
        assert_eq!(given, Some(outline.clone()));
        for (first, count) in [(0, 1), (1, 4), (4, 4), (5, 1), (6, 1), (511, 4)] {
            let (length, bytes) = store
                .attachment_groups(outline.id(), first, count)
                .expect("readable")
                .expect("here");
            let (from, all) = outline.span(first, count);
            let from = photo.len().min(from as usize);
            assert_eq!((length, &bytes[..]), (photo.len() as u64, &photo[from..from + all]));
        }
    }
}

#[test]
fn a_part_is_never_readable_on_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), &locks()[0]);
    let photo = b"a face that nobody else may see; ".repeat(2000);
    let outline = outlined(&photo);
    store.keep_groups(&outline, 0, groups(&photo, 0, 2)).expect("kept");
    let path = part_file(folder.path()).expect("a part");
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let id: String = outline.id().iter().map(|b| format!("{b:02x}")).collect();
    assert_ne!(name, id, "a plain name would tell who has the same photo");
    let bytes = fs::read(path).expect("a part");
    assert!(bytes.len() > 2 * GROUP);
    assert!(!bytes.windows(8).any(|w| w == b"nobody e"));
    let names = outline.names();
    assert!(!bytes.windows(32).any(|w| w == &names[..32]), "nor are the names of its groups");
}

#[test]
fn a_torn_or_rotten_part_is_as_long_as_it_is_right() {
    let more = 16;
    for (lock, more) in [(locks()[0].clone(), more), (Lock::Plain, 0)] {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(folder.path(), &lock);
        let photo = content(6 * GROUP);
        let outline = outlined(&photo);
        store.keep_groups(&outline, 0, groups(&photo, 0, 4)).expect("kept");
        let path = part_file(folder.path()).expect("a part");
        let whole = fs::read(&path).expect("a part");
        let head = whole.len() - 4 * (GROUP + more);
        let here = |bytes: &[u8]| {
            fs::write(&path, bytes).expect("written");
            store.part(outline.id()).expect("readable").map(|(_, here)| here)
        };
        for (cut, left) in [(0, 0), (5, 0), (GROUP + more, 1), (2 * (GROUP + more) + 9, 2)] {
            assert_eq!(here(&whole[..head + cut]), Some(left), "cut {cut} bytes into the groups");
        }
        let mut rotten = whole.clone();
        rotten[head + 2 * (GROUP + more) + 7] ^= 1;
        assert_eq!(here(&rotten), Some(2));
        // What is fetched anew heals it.
        assert!(store.keep_groups(&outline, 2, groups(&photo, 2, 4)).expect("kept"));
        assert!(store.finish_part(&outline).expect("readable"));
        assert_eq!(store.read_attachment(outline.id()).expect("readable"), Some(photo));
        // A beginning that does not hold takes the part with it.
        for at in [0, head - 1] {
            let mut bad = whole.clone();
            bad[at] ^= 1;
            assert_eq!(here(&bad), None, "byte {at}");
            assert_eq!(part_file(folder.path()), None);
        }
        assert_eq!(here(&whole[..20]), None, "a beginning that was torn");
    }
}

#[test]
fn groups_of_another_photo_are_refused_and_those_of_a_removed_part_go_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), &locks()[0]);
    let photo = content(3 * GROUP);
    let outline = outlined(&photo);
    let refused = store.keep_groups(&outline, 0, &photo[1..=GROUP]);
    assert!(matches!(refused, Err(StoreError::Damaged { .. })));
    assert_eq!(part_file(folder.path()), None);
    assert!(store.keep_groups(&outline, 0, groups(&photo, 0, 1)).expect("kept"));
    // Erased, or left, while it is on its way.
    store.remove_attachment(outline.id()).expect("removed");
    assert_eq!(part_file(folder.path()), None);
    assert!(!store.keep_groups(&outline, 1, groups(&photo, 1, 1)).expect("readable"));
    assert!(!store.finish_part(&outline).expect("readable"));
    assert_eq!(part_file(folder.path()), None, "it does not come back");
}

#[test]
fn two_peers_that_give_the_same_attachment_do_not_spoil_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), &locks()[0]);
    let photo = content(4 * GROUP);
    let outline = outlined(&photo);
    assert!(store.keep_groups(&outline, 0, groups(&photo, 0, 2)).expect("kept"));
    // The other one is behind and begins with the first group.
    assert!(store.keep_groups(&outline, 0, groups(&photo, 0, 1)).expect("kept"));
    assert_eq!(store.part(outline.id()).expect("readable"), Some((outline.clone(), 2)));
    assert!(store.keep_groups(&outline, 2, groups(&photo, 2, 2)).expect("kept"));
    assert!(store.keep_groups(&outline, 1, groups(&photo, 1, 3)).expect("kept"));
    assert!(store.finish_part(&outline).expect("readable"));
    assert!(!store.finish_part(&outline).expect("readable"), "the other one comes too late");
    assert_eq!(store.read_attachment(outline.id()).expect("readable"), Some(photo));
}

#[test]
fn parts_that_nobody_wants_any_more_are_swept() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), &locks()[0]);
    assert_eq!(store.sweep_parts(&[]).expect("swept"), 0, "no folder yet");
    let photos = [content(2 * GROUP), content(3 * GROUP)];
    let outlines = photos.each_ref().map(|photo| outlined(photo));
    for (outline, photo) in outlines.iter().zip(&photos) {
        store.keep_groups(outline, 0, groups(photo, 0, 1)).expect("kept");
    }
    assert_eq!(store.sweep_parts(&[*outlines[0].id()]).expect("swept"), 1);
    assert!(store.part(outlines[0].id()).expect("readable").is_some());
    assert!(store.part(outlines[1].id()).expect("readable").is_none());
}

#[test]
fn previews_and_small_ones_come_first_then_open_cases_and_the_catalogue_before_all() {
    use cunkou_store::CaseRow;
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), &Lock::Plain);
    let case = |subject: u8, open: bool, changed_ms: i64| CaseRow {
        subject: [subject; 16],
        number: String::new(),
        resident: [0; 16],
        applicant: String::new(),
        item: String::new(),
        place: 1,
        phase: String::new(),
        open,
        holder: String::new(),
        department: String::new(),
        task: String::new(),
        due: String::new(),
        opened_ms: 0,
        submitted_ms: 0,
        changed_ms,
        uploaded: false,
        conflict: false,
        aside: 0,
        rungs: None,
    };
    let here = "place:1".to_owned();
    // Attachment, scope, subject, preview, bytes.
    let named = [
        (1, here.as_str(), 1, false, 300_000), // closed
        (2, &here, 2, false, 300_000),         // open, long ago
        (3, &here, 3, false, 300_000),         // open, lately
        (4, &here, 2, true, 29_000),           // its preview
        (5, &here, 3, false, 20_000),          // small, of the later one
        (6, "system", 9, false, 0),            // the catalogue
        (7, "place:2", 3, true, 29_000),       // elsewhere
        (8, &here, 8, false, 0),               // nothing is said of it
    ];
    store
        .write(|tx| -> Result<(), StoreError> {
            tx.set_case_row(&case(1, false, 900))?;
            tx.set_case_row(&case(2, true, 100))?;
            tx.set_case_row(&case(3, true, 500))?;
            for (id, scope, subject, preview, bytes) in named {
                tx.attachment_named(&[id; 32], scope, &[subject; 16])?;
                tx.attachment_described(&[id; 32], preview, bytes)?;
            }
            Ok(())
        })
        .expect("the store works");
    let wanted = |scopes: &[String], limit| {
        let ids = store.read(|view| view.wanted(scopes, limit)).expect("the store works");
        ids.iter().map(|id| id[0]).collect::<Vec<_>>()
    };
    let scopes = ["system".to_owned(), here.clone()];
    assert_eq!(wanted(&scopes, 10), [6, 5, 4, 3, 2, 1, 8]);
    assert_eq!(wanted(&scopes, 2), [6, 5]);
    store.write(|tx| tx.set_lane_now(&[1; 16])).expect("the store works");
    assert_eq!(wanted(&scopes, 3), [6, 1, 5], "a person wants the closed one now");
    assert!(store.read(|view| view.lane_now(&[1; 32])).expect("the store works"));
    assert!(!store.read(|view| view.lane_now(&[3; 32])).expect("the store works"));
    assert!(wanted(&[], 10).is_empty());
    let (here, all) = store.read(|view| view.attachments_of(&[2; 16])).expect("the store works");
    assert_eq!((here, all), (0, 1), "a preview is no photo");
    assert_eq!(store.read(|view| view.wanted_count()).expect("the store works").0, 8);
}
