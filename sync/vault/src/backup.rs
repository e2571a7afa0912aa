//! A box's backup and what comes of it on another machine.
//!
//! A backup holds both databases as one moment saw them, the keys that opened them, small files of
//! the machine, every photo, and a manifest of it all. It is sealed to the county's recovery key
//! alone: a PIN opens a slot only together with the machine's secret, and a stick has none.
//!
//! What is restored lies under the new machine's secret and a new work key, begins a new epoch, and
//! becomes a box only when its `open.db` moves into place, last of all.

use crate::{MakeGuard, rescue, unlock};
use crate::{OPEN_DB, SharedWorld, Vault, VaultError, membership, open_lock};
use cunkou_casework::event::{decode, encode};
use cunkou_casework::hex;
use cunkou_casework::ids::{DeviceId, SubjectId};
use cunkou_keys::{
    ArchiveError, ArchiveKind, ArchiveReader, ArchiveWriter, BoxSecret, HardwareSecret, Key,
    keep_sealed, read_sealed,
};
use cunkou_replica::{Unlocked, begin_again, new_epoch};
use cunkou_store::{Lock, Store, StoreError};
use minicbor::{Decode, Encode};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

const KIND: ArchiveKind = ArchiveKind { magic: b"CKN1", info: b"cunkou box backup v1\0" };
const WORK_DB: &str = "work.db";
/// In the box's folder: copies of the databases while a backup is written, and everything while
/// one is restored.
const PART: &str = "restore.part";
const SNAPSHOT: &str = "backup.part";

/// Why a backup cannot be made or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A box without a recovery key of its county: enrolled by an earlier version.
    #[error("the county has no recovery key, so nobody could open a backup")]
    NoRecovery,
    /// The file.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// What is in it does not agree with its manifest.
    #[error("the backup does not hold what its manifest says: {0}")]
    Differs(String),
    /// A database of it has damaged pages.
    #[error("a database of the backup is damaged: {0}")]
    Faults(String),
    /// The vault, a store or a key.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The disk.
    #[error("the disk failed: {0}")]
    Disk(#[from] std::io::Error),
}

impl From<StoreError> for BackupError {
    fn from(e: StoreError) -> Self {
        Self::Vault(e.into())
    }
}

impl From<cunkou_keys::KeyError> for BackupError {
    fn from(e: cunkou_keys::KeyError) -> Self {
        Self::Vault(e.into())
    }
}

/// What a backup says of itself; its last member.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Manifest {
    #[n(0)]
    version: u32,
    #[n(1)]
    device: DeviceId,
    #[n(2)]
    county: SubjectId,
    #[n(3)]
    made_ms: i64,
    /// The epoch of the box that made it.
    #[cbor(n(4), with = "minicbor::bytes")]
    epoch: [u8; 16],
    #[n(5)]
    files: Vec<FileSum>,
    /// Per scope, how far the box's log went.
    #[n(6)]
    heads: Vec<Head>,
    #[n(7)]
    entries: u64,
    #[n(8)]
    attachments: u64,
}

/// A database, still under its old key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct FileSum {
    #[n(0)]
    name: String,
    #[n(1)]
    bytes: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    blake3: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Head {
    #[n(0)]
    scope: String,
    #[n(1)]
    seq: u64,
}

/// A backup that was written, brought to the disk and read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackedUp {
    /// Entries in it.
    pub entries: u64,
    /// Photos and papers in it.
    pub attachments: u64,
    /// Its length.
    pub bytes: u64,
}

/// A box that came from a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Which.
    pub device: DeviceId,
    /// When the backup was made, milliseconds.
    pub made_ms: i64,
    /// Entries in it.
    pub entries: u64,
    /// Photos and papers in it.
    pub attachments: u64,
    /// How many people can open it by their PIN.
    pub people: usize,
}

/// What a walk through a backup finds, for the manifest and against it.
#[derive(Default)]
struct Seen {
    files: BTreeMap<String, (u64, blake3::Hasher)>,
    attachments: u64,
    manifest: Option<Manifest>,
}

impl Seen {
    fn file(&mut self, name: &str, part: &[u8]) {
        let (bytes, hasher) = self.files.entry(name.to_owned()).or_default();
        *bytes += part.len() as u64;
        hasher.update(part);
    }

    fn sums(&self) -> Vec<FileSum> {
        let sum = |(name, (bytes, hasher)): (&String, &(u64, blake3::Hasher))| FileSum {
            name: name.clone(),
            bytes: *bytes,
            blake3: hasher.finalize().into(),
        };
        self.files.iter().map(sum).collect()
    }

    /// The manifest, when everything is as it says.
    fn agreed(self) -> Result<Manifest, BackupError> {
        let differs = |what: &str| Err(BackupError::Differs(what.to_owned()));
        let Some(manifest) = &self.manifest else { return differs("there is no manifest") };
        if manifest.version != 1 {
            return differs("it is of a newer program");
        }
        if manifest.files != self.sums() {
            return differs("the databases");
        }
        if manifest.attachments != self.attachments {
            return differs("the photos");
        }
        self.manifest.ok_or_else(|| BackupError::Differs("there is no manifest".to_owned()))
    }
}

/// Walks through a backup. `take` gets every member but the manifest.
fn walk<R: Read>(
    from: &mut ArchiveReader<R>,
    mut take: impl FnMut(&str, &[u8]) -> Result<(), BackupError>,
) -> Result<Manifest, BackupError> {
    let mut seen = Seen::default();
    while let Some((name, content)) = from.member()? {
        let unreadable = |_| BackupError::Differs("the manifest cannot be read".to_owned());
        match name.as_str() {
            "manifest" => seen.manifest = Some(decode(&content).map_err(unreadable)?),
            OPEN_DB | WORK_DB => seen.file(&name, &content),
            _ => {}
        }
        if let Some((_, id)) = attachment(&name) {
            if *blake3::hash(&content).as_bytes() != id {
                return Err(BackupError::Differs("a photo".to_owned()));
            }
            seen.attachments += 1;
        }
        take(&name, &content)?;
    }
    seen.agreed()
}

/// Of which database a member is an attachment, and which.
fn attachment(member: &str) -> Option<(&str, [u8; 32])> {
    let (of, id) = member.strip_prefix("attachment ")?.split_once(' ')?;
    let id = hex::decode(id).and_then(|id| id.try_into().ok())?;
    Some((of, id))
}

impl Vault {
    /// Writes a backup of the open box to a new file and reads it back; half a file is removed.
    /// `sealed` are files of the folder under the machine's secret that belong to the box. Peers
    /// and people go on meanwhile; the copies of the databases take as much room on the box's disk
    /// as these do. `progress` hears how many photos are written, of how many.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn back_up(
        &self,
        open: &Unlocked,
        sealed: &[&str],
        to: &Path,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<BackedUp, BackupError> {
        let recovery = self.enrolled.recovery.ok_or(BackupError::NoRecovery)?;
        let snapshots = self.folder.join(SNAPSHOT);
        empty(&snapshots)?;
        let written = self.write_backup(open, sealed, to, &recovery, &snapshots, &mut progress);
        let _ = fs::remove_dir_all(&snapshots);
        written
    }

    fn write_backup(
        &self,
        open: &Unlocked,
        sealed: &[&str],
        to: &Path,
        recovery: &[u8; 32],
        snapshots: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<BackedUp, BackupError> {
        // In this order, so that what the open database says of the county is not ahead.
        let stores = [(OPEN_DB, self.open.store()), (WORK_DB, open.replica.store())];
        for (name, store) in stores {
            store.snapshot(&snapshots.join(name))?;
        }
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
        let half = Half(to);
        let mut out = ArchiveWriter::begin(BufWriter::new(file), KIND, recovery)?;
        let key = out.key().clone();
        out.member("machine key", self.machine.bytes())?;
        out.member("work key", open.work.bytes())?;
        for name in sealed {
            if let Some(content) = read_sealed(&self.folder, name)? {
                out.member(&format!("sealed {name}"), &content)?;
            }
        }
        let mut seen = Seen::default();
        for (name, _) in stores {
            let from = File::open(snapshots.join(name))?;
            out.file(name, from, |part| seen.file(name, part))?;
        }
        // What the copies name: what came later is not in them.
        let locks = [open_lock(&self.machine), Lock::Key(open.work.clone())];
        let mut named = Vec::new();
        let (mut heads, mut entries) = (Vec::new(), 0);
        for ((name, store), lock) in stores.into_iter().zip(&locks) {
            let copy = Store::open_as(snapshots, name, lock)?;
            let here = copy.read(|view| view.attachments_here())?;
            named.extend(here.into_iter().map(|id| (name, store, id)));
            if name == WORK_DB {
                heads = heads_of(&copy)?;
                entries = copy.read(|view| view.entry_count())?;
            }
        }
        let all = named.len() as u64;
        for (done, (name, store, id)) in named.into_iter().enumerate() {
            match store.read_attachment(&id) {
                Ok(Some(bytes)) => {
                    out.member(&format!("attachment {name} {}", hex::encode(&id)), &bytes)?;
                    seen.attachments += 1;
                }
                // It left meanwhile, or has rotted: the scrub sees to that one.
                Ok(None) | Err(StoreError::Damaged { .. }) => {}
                Err(e) => return Err(e.into()),
            }
            progress(done as u64 + 1, all);
        }
        let epoch = open.replica.store().read(|view| view.meta("epoch"))?.unwrap_or_default();
        let manifest = Manifest {
            version: 1,
            device: self.enrolled.device,
            county: self.enrolled.county,
            made_ms: self.open.now_ms(),
            epoch: epoch.try_into().map_err(|_| VaultError::Damaged("epoch"))?,
            files: seen.sums(),
            heads,
            entries,
            attachments: seen.attachments,
        };
        out.member("manifest", &encode(&manifest))?;
        let file = out.finish()?.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.sync_all()?;
        let bytes = file.metadata()?.len();
        drop(file);
        let mut back = ArchiveReader::with_key(BufReader::new(File::open(to)?), KIND, &key)?;
        if walk(&mut back, |_, _| Ok(()))? != manifest {
            return Err(BackupError::Differs("it reads back otherwise".to_owned()));
        }
        half.keep();
        Ok(BackedUp { entries, attachments: seen.attachments, bytes })
    }
}

fn heads_of(store: &Store) -> Result<Vec<Head>, StoreError> {
    let heads = store.read(|view| view.all_heads())?;
    Ok(heads.into_iter().map(|(scope, seq)| Head { scope, seq }).collect())
}

/// A file that goes again unless it is kept.
struct Half<'a>(&'a Path);

impl Half<'_> {
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Half<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0);
    }
}

fn empty(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    fs::create_dir_all(folder)
}

/// Whether a restore was begun in this folder and is not over: it may be begun again.
#[must_use]
pub fn is_restoring(folder: &Path) -> bool {
    folder.join(PART).is_dir() && !folder.join(OPEN_DB).exists()
}

/// Makes a box of a backup in an empty folder, or in one where this was begun before. Nothing
/// counts as a box until all of it is there, agrees with the manifest and is whole.
///
/// # Errors
/// [`BackupError`]; the folder then holds no box.
pub fn restore(
    folder: &Path,
    machine: &dyn HardwareSecret,
    secret: &BoxSecret,
    from: &Path,
    world: Arc<dyn SharedWorld>,
    guard: MakeGuard,
) -> Result<Restored, BackupError> {
    let mut backup = ArchiveReader::begin(BufReader::new(File::open(from)?), KIND, secret)?;
    let part = folder.join(PART);
    empty(&part)?;
    let machine = match machine.load()? {
        Some(key) => key,
        None => machine.create()?,
    };
    let at = Place { folder, part: &part, machine: &machine };
    let restored = at.restored(&mut backup, world, guard);
    if restored.is_err() {
        let _ = fs::remove_dir_all(&part);
    }
    restored
}

/// Where a box is being restored.
struct Place<'a> {
    folder: &'a Path,
    part: &'a Path,
    machine: &'a Key,
}

impl Place<'_> {
    fn restored<R: Read>(
        &self,
        backup: &mut ArchiveReader<R>,
        world: Arc<dyn SharedWorld>,
        guard: MakeGuard,
    ) -> Result<Restored, BackupError> {
        let work = Key::random()?;
        let locks = [open_lock(self.machine), Lock::Key(work.clone())];
        let mut old: BTreeMap<String, Key> = BTreeMap::new();
        let mut files: BTreeMap<String, File> = BTreeMap::new();
        let mut stores: Option<[Store; 2]> = None;
        let manifest = walk(backup, |name, content| {
            if let Some(kept) = name.strip_suffix(" key") {
                let key = <[u8; 32]>::try_from(content).map_err(|_| ArchiveError::Damaged)?;
                old.insert(kept.to_owned(), Key::of(key));
            } else if let Some(kept) = name.strip_prefix("sealed ") {
                keep_sealed(self.folder, file_name(kept)?, content)?;
            } else if name == OPEN_DB || name == WORK_DB {
                let file = match files.remove(name) {
                    Some(file) => file,
                    None => File::create_new(self.part.join(format!("old-{name}")))?,
                };
                (&file).write_all(content)?;
                files.insert(name.to_owned(), file);
            } else if let Some((of, id)) = attachment(name) {
                let stores = match &mut stores {
                    Some(stores) => stores,
                    none => none.insert(self.rewrapped(&old, &locks)?),
                };
                stores[usize::from(of != OPEN_DB)].write_attachment(&id, content)?;
            }
            Ok(())
        })?;
        let stores = match stores {
            Some(stores) => stores,
            None => self.rewrapped(&old, &locks)?,
        };
        if heads_of(&stores[1])? != manifest.heads {
            return Err(BackupError::Differs("how far the log goes".to_owned()));
        }
        let epoch = new_epoch(&*world);
        for store in &stores {
            if let Some(fault) = store.faults()?.into_iter().next() {
                return Err(BackupError::Faults(fault));
            }
            begin_again(store, &epoch)?;
        }
        stores[0].write(|tx| -> Result<(), StoreError> {
            // Slots and ways back were mixed with the old machine's secret. An empty list, not
            // none: a box without slots would take whoever signs in first for its first person.
            tx.set_meta(unlock::SLOTS, &encode(&Vec::<cunkou_keys::Slot>::new()))?;
            tx.forget_meta(rescue::RESCUES)
        })?;
        settled(stores)?;
        let vault = Vault::open(self.part, self.machine, world, guard)?;
        if membership(&vault.enrolled).device != manifest.device {
            return Err(BackupError::Differs("whose box it is".to_owned()));
        }
        vault.refresh_slots(&work)?;
        let slots = vault.slots()?.unwrap_or_default();
        let people = slots.iter().filter(|s| Some(s.holder) != vault.enrolled.recovery).count();
        if !vault.open.store().checkpoint()? {
            return Err(VaultError::Damaged("open database").into());
        }
        drop(vault);
        self.put_in_place()?;
        let Manifest { device, made_ms, entries, attachments, .. } = manifest;
        Ok(Restored { device, made_ms, entries, attachments, people })
    }

    /// Both databases under this machine's keys, open.
    fn rewrapped(
        &self,
        old: &BTreeMap<String, Key>,
        locks: &[Lock; 2],
    ) -> Result<[Store; 2], BackupError> {
        let key = |name: &str| old.get(name).ok_or(ArchiveError::Damaged);
        let before = [open_lock(key("machine")?), Lock::Key(key("work")?.clone())];
        let mut stores = Vec::new();
        for ((name, before), after) in [OPEN_DB, WORK_DB].into_iter().zip(before).zip(locks) {
            let old = self.part.join(format!("old-{name}"));
            Store::rewrap(&old, &before, &self.part.join(name), after)?;
            fs::remove_file(&old)?;
            stores.push(Store::open_as(self.part, name, after)?);
        }
        stores.try_into().map_err(|_| VaultError::Damaged("backup").into())
    }

    /// The last step: what makes the folder a box moves last.
    fn put_in_place(&self) -> Result<(), BackupError> {
        let sync = |folder: &Path| File::open(folder).and_then(|folder| folder.sync_all());
        let to = self.folder.join("attachments");
        match fs::remove_dir_all(&to) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
            _ => {}
        }
        for name in ["attachments", WORK_DB] {
            fs::rename(self.part.join(name), self.folder.join(name))?;
        }
        sync(self.folder)?;
        fs::rename(self.part.join(OPEN_DB), self.folder.join(OPEN_DB))?;
        sync(self.folder)?;
        fs::remove_dir_all(self.part)?;
        Ok(())
    }
}

/// A plain name of a file, so that nothing is written elsewhere.
fn file_name(name: &str) -> Result<&str, BackupError> {
    let plain = Path::new(name).file_name().is_some_and(|plain| plain == name);
    if plain { Ok(name) } else { Err(ArchiveError::Damaged.into()) }
}

/// Everything of these databases is in their own files.
fn settled(stores: [Store; 2]) -> Result<(), BackupError> {
    for store in stores {
        if !store.checkpoint()? {
            return Err(VaultError::Damaged("restored database").into());
        }
    }
    Ok(())
}
