//! The programs of the version before, beside those of this one: boxes are never changed all at once.

use crate::faults::arrives;
use crate::kill::all_hold_the_same;
use anyhow::{Context, Result, ensure};
use cunkou_tests::county::{County, programs, until};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A folder in which each program is of one version or the other.
struct Shelf {
    folder: PathBuf,
    previous: PathBuf,
    present: PathBuf,
}

impl Shelf {
    fn put(&self, program: &str, from: &Path) -> Result<()> {
        let place = self.folder.join(program);
        if place.is_symlink() {
            std::fs::remove_file(&place)?;
        }
        Ok(symlink(from.join(program), place)?)
    }

    fn of_the_version_before(folder: PathBuf) -> Result<Self> {
        let previous = std::env::var_os("CUNKOU_PREVIOUS").context("see ./tests/run previous")?;
        let shelf = Self { folder, previous: previous.into(), present: programs()? };
        std::fs::create_dir_all(&shelf.folder)?;
        // It founds the county in the words of the version before.
        shelf.put("cunkou-demo", &shelf.previous)?;
        for program in ["cunkou-node", "cunkou-relay"] {
            let [old, new] =
                [&shelf.previous, &shelf.present].map(|from| std::fs::read(from.join(program)));
            ensure!(old? != new?, "{program} of the version before is that of this one");
            shelf.put(program, &shelf.previous)?;
        }
        Ok(shelf)
    }
}

fn restart(county: &County, node: &str) -> Result<()> {
    county.stop(node)?;
    county.start_node(node)
}

#[test]
#[ignore = "needs the programs of the version before: ./tests/run previous"]
fn a_county_is_brought_to_this_version_machine_by_machine_and_cases_go_through_all_the_time()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let shelf = Shelf::of_the_version_before(folder.path().join("programs"))?;
    let data = folder.path().join("county");
    let county = County::start_with(shelf.folder.clone(), &data, None)?;
    arrives(&county, 0).context("all of the version before")?;

    shelf.put("cunkou-node", &shelf.present)?;
    restart(&county, "village1")?;
    arrives(&county, 1).context("one box of this version, all others of the one before")?;

    shelf.put("cunkou-relay", &shelf.present)?;
    restart(&county, "relay")?;
    arrives(&county, 2).context("the relay of this version, a township of the one before")?;
    until("all stores hold the same", 120, || all_hold_the_same(&county).is_ok().then_some(()))
        .with_context(|| format!("{:?}", all_hold_the_same(&county)))?;

    for node in ["township", "village2"] {
        restart(&county, node)?;
    }
    arrives(&county, 3).context("all of this version")?;
    until("all stores hold the same", 120, || all_hold_the_same(&county).is_ok().then_some(()))
        .with_context(|| format!("{:?}", all_hold_the_same(&county)))?;
    for node in ["relay", "township", "village1", "village2"] {
        ensure!(county.status(node)?["quarantine"] == 0, "{node} has put something aside");
    }
    Ok(())
}
