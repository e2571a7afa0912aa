//! What the stories share: a pack of photos, papers that are read back, people by their names.

use anyhow::{Context, Result, ensure};
use cunkou_tests::browser::{Browser, Looks, screens};
use cunkou_tests::county::County;
use cunkou_tests::pictures::{jpeg, turned};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Photos on disk, as a tablet's camera leaves them.
pub(crate) struct Photos {
    folder: tempfile::TempDir,
}

impl Photos {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    /// A photo that lies on its side, 1,600 by 1,000.
    pub(crate) fn plain(&self, seed: u8) -> Result<PathBuf> {
        self.keep(&format!("IMG_{seed:04}.jpg"), &jpeg(1600, 1000, seed))
    }

    /// The same, but with a note that it is to be turned upright.
    pub(crate) fn turned(&self, seed: u8) -> Result<PathBuf> {
        self.keep(&format!("IMG_{seed:04}.jpg"), &turned(&jpeg(1600, 1000, seed)))
    }

    pub(crate) fn keep(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes)?;
        Ok(path)
    }
}

/// A browser at a node with this person signed in.
pub(crate) fn at(county: &County, story: &str, login: &str, looks: Looks) -> Result<Browser> {
    let person = county.person(login);
    let browser =
        Browser::open(story, &format!("{}-", person.node), county.url(&person.node), looks)?;
    browser.sign_in(&person.name, &person.pin)?;
    Ok(browser)
}

/// The words of a PDF; a picture of its first page is kept with the story's.
pub(crate) fn read_pdf(story: &str, name: &str, pdf: &[u8]) -> Result<String> {
    ensure!(pdf.starts_with(b"%PDF"), "{name} is no PDF");
    let folder = screens(story);
    let file = folder.join(format!("{name}.pdf"));
    std::fs::write(&file, pdf)?;
    let picture = Command::new("pdftoppm")
        .args(["-png", "-r", "80", "-singlefile"])
        .arg(&file)
        .arg(folder.join(name))
        .status()
        .context("pdftoppm is not installed; apt-get install poppler-utils")?;
    ensure!(picture.success(), "{name} cannot be shown");
    words_of(&file)
}

fn words_of(file: &Path) -> Result<String> {
    let read = Command::new("pdftotext").arg("-layout").arg(file).arg("-").output()?;
    ensure!(read.status.success(), "{} cannot be read", file.display());
    Ok(String::from_utf8(read.stdout)?)
}

/// The case number that a page shows, in three groups of four.
pub(crate) fn number_on(page: &str) -> Result<String> {
    let digits = |part: &str| part.len() == 4 && part.bytes().all(|b| b.is_ascii_digit());
    let words: Vec<&str> = page.split_whitespace().collect();
    let pair = |word: &&str| {
        let parts: Vec<&str> = word.split('-').collect();
        parts.len() == 3 && parts.iter().all(|p| digits(p))
    };
    if let Some(word) = words.iter().find(|w| pair(w)) {
        return Ok((*word).to_owned());
    }
    let three = words.windows(3).find(|w| w.iter().all(|p| digits(p)));
    three.map(|w| w.join(" ")).context("no case number on the page")
}

/// Seventeen digits with their check character.
pub(crate) fn id_number(first: &str) -> String {
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = first.bytes().zip(weights).map(|(b, w)| u32::from(b - b'0') * w).sum();
    format!("{first}{}", &"10X98765432"[sum as usize % 11..][..1])
}
