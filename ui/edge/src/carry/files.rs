//! Bundles as files: on a stick, in a folder, whole or not at all.

use super::locked::import_locked;
use super::{Beginning, Came, Fault, Made, SIZE_USUAL, Wanted, export, file_name, import};
use crate::app::disk_free;
use crate::cli::{Exit, Failure};
use cunkou_bundle::{Exported, Imported, code_of, receiver_of};
use cunkou_casework::ids::DeviceId;
use cunkou_engine::Port;
use cunkou_replica::Replica;
use cunkou_store::How;
use cunkou_ui::Lang;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How the names of bundles end.
const ENDING: &str = "bundle";
/// So much of a stick stays free. Bytes.
const SPARE: u64 = 1024 * 1024;
const BUFFER: usize = 256 * 1024;

/// Reads a size like `2G`, `500M` or `16777216`. Bytes.
///
/// # Errors
/// In words, when it is none.
pub fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.trim_end_matches(['B', 'b']) {
        t if t.ends_with(['k', 'K']) => (&t[..t.len() - 1], 1024),
        t if t.ends_with(['m', 'M']) => (&t[..t.len() - 1], 1024 * 1024),
        t if t.ends_with(['g', 'G']) => (&t[..t.len() - 1], 1024 * 1024 * 1024),
        t => (t, 1),
    };
    let number: Option<u64> = digits.trim().parse().ok();
    number
        .and_then(|n| n.checked_mul(unit))
        .ok_or_else(|| format!("{text} is no size; write for example 2G or 500M"))
}

fn disk(path: &Path) -> impl Fn(std::io::Error) -> Fault {
    let shown = path.display().to_string();
    move |e| Fault::Disk(format!("{shown}: {e}"))
}

/// Writes a bundle into a folder under a name of its own, or to a new file: under a temporary name
/// first, on disk before it gets its own.
///
/// # Errors
/// [`Fault`].
pub fn write(
    replica: &Arc<Replica>,
    wanted: &Wanted,
    to: &Path,
    progress: &dyn Fn(&Exported),
) -> Result<(Made, PathBuf), Fault> {
    let folder = if to.is_dir() { to } else { to.parent().unwrap_or(to) };
    if to.is_file() {
        return Err(Fault::Disk(format!("{} is there already", to.display())));
    }
    let free = disk_free(folder).saturating_sub(SPARE);
    let wanted = Wanted { size: wanted.size.min(free), ..*wanted };
    let mut drawn = [0; 8];
    replica.draw(&mut drawn);
    let part = folder.join(format!(".{}.part", cunkou_casework::hex::encode(&drawn)));
    let done = write_at(replica, &wanted, &part, progress).and_then(|made| {
        let path = if to.is_dir() { to.join(file_name(replica, &made)) } else { to.to_owned() };
        if path.exists() {
            return Err(Fault::Disk(format!("{} is there already", path.display())));
        }
        fs::rename(&part, &path).map_err(disk(&path))?;
        let settled = File::open(folder).and_then(|f| f.sync_all()).map_err(disk(folder));
        if let Err(fault) = settled.and_then(|()| made.left(replica)) {
            let _ = fs::remove_file(&path);
            return Err(fault);
        }
        Ok((made, path))
    });
    if done.is_err() {
        let _ = fs::remove_file(&part);
    }
    done
}

fn write_at(
    replica: &Arc<Replica>,
    wanted: &Wanted,
    part: &Path,
    progress: &dyn Fn(&Exported),
) -> Result<Made, Fault> {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(part);
    let file = BufWriter::with_capacity(BUFFER, file.map_err(disk(part))?);
    let (made, mut file) = export(replica, wanted, file, progress)?;
    file.flush().and_then(|()| file.get_ref().sync_all()).map_err(disk(part))?;
    Ok(made)
}

/// Reads a bundle from a file.
///
/// # Errors
/// [`Fault`].
pub fn read(
    replica: &Arc<Replica>,
    path: &Path,
    how: How,
    progress: &dyn Fn(&Imported, u64),
) -> Result<Came, Fault> {
    let file = File::open(path).map_err(disk(path))?;
    import(replica, BufReader::with_capacity(BUFFER, file), how, progress)
}

/// The bundles in a folder that are for this machine, in the order of their names, which is that
/// of their numbers.
///
/// # Errors
/// When the folder cannot be read.
pub fn for_us(replica: &Replica, folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let mine = code_of(&replica.me().key.public().0);
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).map_err(disk(folder))? {
        let path = entry.map_err(disk(folder))?.path();
        let named = path.extension().is_some_and(|e| e == ENDING) && path.is_file();
        let mut begin = Vec::new();
        if named
            && File::open(&path).and_then(|f| f.take(12).read_to_end(&mut begin)).is_ok()
            && receiver_of(&begin) == Some(mine)
        {
            out.push(path);
        }
    }
    out.sort();
    Ok(out)
}

/// `bundle export`: the answer of the command.
///
/// # Errors
/// [`Failure`].
pub fn export_command(
    replica: &Arc<Replica>,
    wanted: &Wanted,
    to: &Path,
    progress: &dyn Fn(String),
) -> Result<Value, Failure> {
    let told = |done: &Exported| {
        progress(format!(
            "{} entries, {} attachments, {}",
            done.entries,
            done.attachments.len(),
            Lang::En.size(done.bytes)
        ));
    };
    let (made, path) = write(replica, wanted, to, &told)?;
    let mut value = made.value();
    value["file"] = json!(path);
    value["next"] = json!(if made.bundle.more {
        "full: run the same again for the next stick"
    } else {
        "carry it there and run: bundle import FILE"
    });
    Ok(value)
}

/// `bundle import`: one file, or all bundles in a folder that are for this machine.
///
/// # Errors
/// [`Failure`] when one of them was not taken; those before it and after it were.
pub fn import_command(
    replica: &Arc<Replica>,
    from: &Path,
    progress: &dyn Fn(String),
) -> Result<Value, Failure> {
    let one = |path: &Path, told: &dyn Fn(&Imported, u64)| read(replica, path, How::Stick, told);
    import_each(replica, from, progress, &one)
}

/// The same at a locked box, into its inbox; `open` is its replica of what it knows while locked.
///
/// # Errors
/// As [`import_command`].
pub fn import_locked_command(
    open: &Arc<Replica>,
    vault: &Arc<dyn Port>,
    from: &Path,
    progress: &dyn Fn(String),
) -> Result<Value, Failure> {
    let one = |path: &Path, told: &dyn Fn(&Imported, u64)| {
        let file = File::open(path).map_err(disk(path))?;
        let file = BufReader::with_capacity(BUFFER, file);
        import_locked(open, Arc::clone(vault), file, told)
    };
    import_each(open, from, progress, &one)
}

type One<'a> = dyn Fn(&Path, &dyn Fn(&Imported, u64)) -> Result<Came, Fault> + 'a;

fn import_each(
    replica: &Replica,
    from: &Path,
    progress: &dyn Fn(String),
    one: &One<'_>,
) -> Result<Value, Failure> {
    let paths = if from.is_dir() { for_us(replica, from)? } else { vec![from.to_owned()] };
    if paths.is_empty() {
        let words = format!("{} holds no bundle for this machine", from.display());
        return Err(Failure::new(Exit::Refused, words));
    }
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for path in &paths {
        let told = |done: &Imported, bytes: u64| {
            progress(format!(
                "{} new entries, {} attachments, {} read",
                done.new,
                done.attachments.len(),
                Lang::En.size(bytes)
            ));
        };
        match one(path, &told) {
            Ok(came) => {
                let mut row = came.value();
                row["file"] = json!(path);
                rows.push(row);
            }
            Err(fault) => faults.push((path, fault)),
        }
    }
    if let Some((_, first)) = faults.first() {
        let words: Vec<String> = faults
            .iter()
            .map(|(path, fault)| format!("{}: {}", path.display(), fault.words(Lang::En)))
            .collect();
        let exit = Failure::from(first.clone()).exit;
        return Err(Failure::new(exit, words.join("\n")));
    }
    let sum = |key: &str| rows.iter().filter_map(|r| r[key].as_u64()).sum::<u64>();
    let (new, attachments, acknowledged) = (sum("new"), sum("attachments"), sum("acknowledged"));
    Ok(json!({
        "schema": 1, "bundles": rows, "new": new, "attachments": attachments,
        "acknowledged": acknowledged,
    }))
}

/// How long a bundle may be and from where it goes on, as said at the command line.
#[derive(Clone, Copy, Debug, clap::Args, Serialize, Deserialize)]
pub struct BundleLimits {
    /// Not longer than so much, e.g. 500M or 2G; else what fits on the stick, at most 4G.
    #[arg(long, value_parser = size)]
    pub size: Option<u64>,
    /// Begin again at what was acknowledged: a stick of a series was lost.
    #[arg(long, conflicts_with = "all")]
    pub again: bool,
    /// Begin at the very beginning: the receiver lost what it had.
    #[arg(long)]
    pub all: bool,
}

impl BundleLimits {
    /// For this receiver, carried by a person.
    #[must_use]
    pub fn wanted(&self, to: DeviceId) -> Wanted {
        let from = match (self.again, self.all) {
            (_, true) => Beginning::All,
            (true, false) => Beginning::Again,
            (false, false) => Beginning::Next,
        };
        Wanted { to, size: self.size.unwrap_or(SIZE_USUAL), from, how: How::Stick }
    }
}

/// The answer of either command, for people.
#[must_use]
pub fn in_words(value: &Value) -> String {
    let count = |key: &str| value[key].as_u64().unwrap_or(0);
    if let Some(file) = value["file"].as_str() {
        return format!(
            "{file}: bundle {} for {}, {} entries, {} attachments, {}\n{}",
            count("number"),
            value["to"].as_str().unwrap_or_default(),
            count("entries"),
            count("attachments"),
            Lang::En.size(count("bytes")),
            value["next"].as_str().unwrap_or_default(),
        );
    }
    let mut lines = Vec::new();
    for row in value["bundles"].as_array().into_iter().flatten() {
        let (from, number) = (row["from"].as_str().unwrap_or_default(), &row["number"]);
        if row["known"] == true {
            lines.push(format!("bundle {number} of {from}: was imported before"));
            continue;
        }
        if row["locked"] == true {
            lines.push(format!(
                "bundle {number} of {from}: waits in the inbox of the locked box; import it once more after signing in"
            ));
            continue;
        }
        let more = if row["more"] == true { "; the next one goes on" } else { "" };
        lines.push(format!(
            "bundle {number} of {from}: {} new entries, {} attachments, {} of our bundles acknowledged{more}",
            row["new"], row["attachments"], row["acknowledged"],
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn a_size_is_said_as_people_say_it() {
        for (text, bytes) in
            [("2G", 2 << 30), ("500M", 500 << 20), ("16777216", 1 << 24), ("64kb", 64 << 10)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "G", "two", "-1", "99999999999G", "1.5G"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
