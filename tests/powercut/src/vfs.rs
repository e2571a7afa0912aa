//! SQLite's own file system with four functions put between: open, write, truncate, sync, delete.
//!
//! The only `unsafe` of the workspace. What is done here: the default file system is copied, its
//! `xOpen` and `xDelete` are replaced, and it is registered as the default, so that stores open
//! through it as they are. A file in a watched folder gets a copy of its own table of methods in
//! which `xWrite`, `xTruncate`, `xSync` and `xClose` are ours; all others, those of the shared
//! memory among them, stay SQLite's and meet the file that they made. No field of SQLite's own
//! structures behind `pMethods` is read or written.

#![allow(unsafe_code)]

use rusqlite::ffi::{
    SQLITE_OK, SQLITE_OPEN_CREATE, sqlite3_file, sqlite3_filename, sqlite3_int64,
    sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
};
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What SQLite asked of the disk, by names relative to the folder.
#[derive(Clone, Debug)]
pub enum Op {
    /// A file was made.
    Create(String),
    /// Bytes were written at a position.
    Write(String, u64, Vec<u8>),
    /// A file was cut to a length.
    Truncate(String, u64),
    /// A file was brought to the disk.
    Sync(String),
    /// A file was removed; true when its folder was brought to the disk then.
    Delete(String, bool),
    /// Something that the harness wants to find again.
    Mark(usize),
}

/// What becomes of SQLite's wishes to have things on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syncs {
    /// They are kept.
    Kept,
    /// They are answered with yes and forgotten, as with `synchronous=OFF` or a disk that lies.
    Dropped,
}

/// What happens in one folder, from [`watch`] until it is dropped.
#[derive(Debug)]
pub struct Recording {
    folder: PathBuf,
    record: Arc<Record>,
}

#[derive(Debug)]
struct Record {
    syncs: Syncs,
    ops: Mutex<Vec<Op>>,
}

/// A file that SQLite has open in a watched folder.
struct Open {
    name: String,
    record: Arc<Record>,
    /// SQLite's own table of methods.
    real: &'static sqlite3_io_methods,
}

#[derive(Default)]
struct Shim {
    watched: Vec<(PathBuf, Arc<Record>)>,
    /// By the address of SQLite's structure.
    open: HashMap<usize, Open>,
    /// Our tables, by the address of SQLite's.
    tables: HashMap<usize, &'static sqlite3_io_methods>,
}

/// SQLite's own file system.
struct Unix(*mut sqlite3_vfs);
// SAFETY: SQLite keeps its file systems for the life of the process and lets every thread call them.
unsafe impl Send for Unix {}
// SAFETY: as above; nothing behind the pointer is changed by us.
unsafe impl Sync for Unix {}

static UNIX: OnceLock<Unix> = OnceLock::new();

fn shim() -> MutexGuard<'static, Shim> {
    static SHIM: OnceLock<Mutex<Shim>> = OnceLock::new();
    SHIM.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records what SQLite does in a folder from now on. Nothing may be open in it.
///
/// # Panics
/// When SQLite has no file system.
#[must_use]
pub fn watch(folder: &Path, syncs: Syncs) -> Recording {
    install();
    let record = Arc::new(Record { syncs, ops: Mutex::default() });
    shim().watched.push((folder.to_owned(), record.clone()));
    Recording { folder: folder.to_owned(), record }
}

impl Recording {
    /// Puts a mark between what happened and what will.
    pub fn mark(&self, number: usize) {
        self.record.note(Op::Mark(number));
    }

    /// Ends it: what happened.
    #[must_use]
    pub fn end(self) -> Vec<Op> {
        std::mem::take(&mut *self.record.ops.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        shim().watched.retain(|(folder, _)| *folder != self.folder);
    }
}

impl Record {
    fn note(&self, op: Op) {
        self.ops.lock().unwrap_or_else(PoisonError::into_inner).push(op);
    }
}

fn install() {
    UNIX.get_or_init(|| {
        // SAFETY: no name asks for the default; the answer lives as long as the process.
        let unix = unsafe { sqlite3_vfs_find(std::ptr::null()) };
        assert!(!unix.is_null(), "SQLite has a file system");
        // SAFETY: not null, and a plain structure of pointers and numbers.
        let mut ours = unsafe { *unix };
        ours.zName = c"cunkou-powercut".as_ptr();
        ours.pNext = std::ptr::null_mut();
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        // SAFETY: the structure is never freed, and filled as SQLite filled its own.
        let status = unsafe { sqlite3_vfs_register(Box::leak(Box::new(ours)), 1) };
        assert_eq!(status, SQLITE_OK, "the shim is registered");
        Unix(unix)
    });
}

fn unix() -> *mut sqlite3_vfs {
    UNIX.get().map_or(std::ptr::null_mut(), |unix| unix.0)
}

/// The folder's record and the name in it, if a path is watched.
fn watched(path: *const c_char) -> Option<(String, Arc<Record>)> {
    if path.is_null() {
        return None;
    }
    // SAFETY: SQLite gives names that end with a zero and live during the call.
    let path = Path::new(unsafe { CStr::from_ptr(path) }.to_str().ok()?);
    let shim = shim();
    let (folder, record) = shim.watched.iter().find(|(folder, _)| path.starts_with(folder))?;
    let name = path.strip_prefix(folder).ok()?.to_str()?.to_owned();
    Some((name, record.clone()))
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    path: sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let found = watched(path);
    // SAFETY: the path is as `watched` takes it.
    let new = found.is_some() && !exists(path);
    // SAFETY: SQLite's own function with what SQLite gave us; `file` has the size that its file
    // system asks for, because ours asks for the same.
    let status = unsafe { (*unix()).xOpen.map_or(1, |real| real(unix(), path, file, flags, out)) };
    if let Some((name, record)) = found
        && status == SQLITE_OK
    {
        if new && flags & SQLITE_OPEN_CREATE != 0 {
            record.note(Op::Create(name.clone()));
        }
        // SAFETY: an open that went well has filled the table; it is a constant of SQLite's.
        let real: &'static sqlite3_io_methods = unsafe { &*(*file).pMethods };
        let mut shim = shim();
        let ours = *shim.tables.entry(std::ptr::from_ref(real) as usize).or_insert_with(|| {
            let ours = sqlite3_io_methods {
                xClose: Some(close),
                xWrite: Some(write),
                xTruncate: Some(truncate),
                xSync: Some(sync),
                ..*real
            };
            Box::leak(Box::new(ours))
        });
        shim.open.insert(file as usize, Open { name, record, real });
        // SAFETY: `file` is open; the table lives for ever.
        unsafe { (*file).pMethods = ours };
    }
    status
}

fn exists(path: *const c_char) -> bool {
    // SAFETY: as in `watched`, which was asked first.
    let path = unsafe { CStr::from_ptr(path) };
    path.to_str().is_ok_and(|path| Path::new(path).exists())
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, path: *const c_char, folder: c_int) -> c_int {
    let found = watched(path);
    // SAFETY: SQLite's own function with what SQLite gave us.
    let status = unsafe { (*unix()).xDelete.map_or(1, |real| real(unix(), path, folder)) };
    if let Some((name, record)) = found
        && status == SQLITE_OK
    {
        record.note(Op::Delete(name, folder != 0 && record.syncs == Syncs::Kept));
    }
    status
}

/// What is known of an open file of ours.
fn known(file: *mut sqlite3_file) -> Option<(String, Arc<Record>, &'static sqlite3_io_methods)> {
    let shim = shim();
    let open = shim.open.get(&(file as usize))?;
    Some((open.name.clone(), open.record.clone(), open.real))
}

/// SQLite's code for a failure of the disk that has no better one.
const IOERR: c_int = rusqlite::ffi::SQLITE_IOERR;

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let Some(open) = shim().open.remove(&(file as usize)) else { return IOERR };
    // SAFETY: SQLite's own function on the file that it opened.
    unsafe { open.real.xClose.map_or(IOERR, |real| real(file)) }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    let Some((name, record, real)) = known(file) else { return IOERR };
    // SAFETY: SQLite's own function with what SQLite gave us.
    let status = unsafe { real.xWrite.map_or(IOERR, |real| real(file, from, length, at)) };
    if status == SQLITE_OK {
        let length = usize::try_from(length).unwrap_or(0);
        // SAFETY: SQLite says that so many bytes may be read there.
        let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), length) };
        record.note(Op::Write(name, at.unsigned_abs(), bytes.to_vec()));
    }
    status
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, to: sqlite3_int64) -> c_int {
    let Some((name, record, real)) = known(file) else { return IOERR };
    // SAFETY: SQLite's own function with what SQLite gave us.
    let status = unsafe { real.xTruncate.map_or(IOERR, |real| real(file, to)) };
    if status == SQLITE_OK {
        record.note(Op::Truncate(name, to.unsigned_abs()));
    }
    status
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    let Some((name, record, real)) = known(file) else { return IOERR };
    if record.syncs == Syncs::Dropped {
        return SQLITE_OK;
    }
    // SAFETY: SQLite's own function with what SQLite gave us.
    let status = unsafe { real.xSync.map_or(IOERR, |real| real(file, flags)) };
    if status == SQLITE_OK {
        record.note(Op::Sync(name));
    }
    status
}
