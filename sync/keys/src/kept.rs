//! Small files of a device under its machine's secret.

use crate::machine::{machine_secret, write_private};
use crate::{KeyError, seal_under, unseal_under};
use std::fs;
use std::path::Path;
use zeroize::Zeroizing;

/// Writes a file that only this machine opens, whole or not at all. The machine's secret is made
/// if there is none yet.
///
/// # Errors
/// [`KeyError`].
pub fn keep_sealed(folder: &Path, name: &str, plain: &[u8]) -> Result<(), KeyError> {
    let machine = machine_secret(folder, true);
    let key = match machine.load()? {
        Some(key) => key,
        None => machine.create()?,
    };
    let sealed = seal_under(&key.derive(name), name.as_bytes(), plain)?;
    let path = folder.join(name);
    write_private(&path, &sealed).map_err(|source| KeyError::File { path, source })
}

/// Reads what [`keep_sealed`] wrote; nothing when there is no such file.
///
/// # Errors
/// [`KeyError`]: another machine's, or damaged.
pub fn read_sealed(folder: &Path, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let path = folder.join(name);
    let sealed = match fs::read(&path) {
        Ok(sealed) => sealed,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(KeyError::File { path, source }),
    };
    let key = machine_secret(folder, false).load()?.ok_or(KeyError::Wrong)?;
    unseal_under(&key.derive(name), name.as_bytes(), &sealed).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_file_opens_on_its_machine_under_its_name_and_nowhere_else() {
        let (here, there) =
            (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
        keep_sealed(here.path(), "one", b"secret").expect("kept");
        let read = |folder: &Path, name: &str| read_sealed(folder, name);
        let kept = read(here.path(), "one").expect("opens").expect("is there");
        assert_eq!(&kept[..], b"secret");
        assert!(read(here.path(), "two").expect("no failure").is_none());
        fs::copy(here.path().join("one"), here.path().join("two")).expect("copied");
        assert!(read(here.path(), "two").is_err(), "under another name");
        keep_sealed(there.path(), "other", b"").expect("kept");
        fs::copy(here.path().join("one"), there.path().join("one")).expect("copied");
        assert!(read(there.path(), "one").is_err(), "on another machine");
    }
}
