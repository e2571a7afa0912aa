//! Files that somebody names on the command line are read up to a bound.

use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::path::Path;

/// A file of settings, an enrolment, or who a device is, is never longer. Bytes.
pub const SMALL_BYTES_MAX: u64 = 1024 * 1024;
/// A file of a catalogue is never longer. Bytes.
pub const CATALOGUE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Reads a file of at most `most` bytes.
///
/// # Errors
/// When it cannot be read or is longer; a device or a pipe that never ends is longer.
pub fn read(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let words = format!("longer than {most} bytes");
        return Err(Error::new(ErrorKind::FileTooLarge, words));
    }
    Ok(bytes)
}

/// Reads a text file of at most `most` bytes.
///
/// # Errors
/// As [`read`], and when it is not UTF-8.
pub fn text(path: &Path, most: u64) -> std::io::Result<String> {
    String::from_utf8(read(path, most)?).map_err(|e| Error::new(ErrorKind::InvalidData, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_end_is_refused_after_its_bound() {
        let error = text(Path::new("/dev/zero"), SMALL_BYTES_MAX).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    }
}
