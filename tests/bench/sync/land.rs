//! A county on disk: the folders of the relay and of the box, and their certificates.

use super::cases::Maker;
use super::county::{BOX, RELAY, enrol, found, replica};
use super::fill::{Derive, fill, keep_slips, maker, settled};
use super::station::{Program, certify};
use anyhow::{Context, Result};
use cunkou_replica::{Guard, Replica};
use std::path::PathBuf;
use tempfile::TempDir;

/// So many cases have documents where the others have none.
const DERIVED: usize = 50;

/// A county with so many cases.
pub(crate) struct Land {
    folder: TempDir,
    pub(crate) maker: Maker,
    pub(crate) cases: usize,
}

impl Land {
    /// A county without cases whose box has been enrolled.
    pub(crate) fn found() -> Result<Self> {
        Self::found_with(0)
    }

    /// The same with so many more boxes that serve nothing.
    pub(crate) fn found_with(crowd: u16) -> Result<Self> {
        let folder = TempDir::new()?;
        certify(&folder.path().join("papers"), crowd)?;
        let relay = found(&folder.path().join("relay"), crowd)?;
        let maker = maker(&relay)?;
        let at_box = replica(BOX, &folder.path().join("box"), Guard::in_this_process())?;
        enrol(&relay, &at_box, BOX)?;
        Ok(Self { folder, maker, cases: 0 })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The relay's replica, in this process.
    pub(crate) fn relay(&self) -> Result<Replica> {
        replica(RELAY, &self.path("relay"), Guard::in_this_process())
    }

    /// The box's replica, in this process.
    pub(crate) fn at_box(&self) -> Result<Replica> {
        replica(BOX, &self.path("box"), Guard::in_this_process())
    }

    /// More cases, up to `cases`, at the relay alone, with their documents.
    pub(crate) fn file(&mut self, cases: usize) -> Result<()> {
        let relay = self.relay()?;
        fill(&mut self.maker, cases - self.cases, &relay, None, Derive::Yes)?;
        drop(relay);
        // Whoever opens it makes the rows.
        keep_slips(&self.maker, &self.relay()?)?;
        self.cases = cases;
        Ok(())
    }

    /// More cases, up to `cases`, at the relay and at the box, which both know that they have the
    /// same: the first few with their documents, of the others the log alone.
    pub(crate) fn hold(&mut self, cases: usize) -> Result<()> {
        if self.cases == 0 {
            let (relay, at_box) = (self.relay()?, self.at_box()?);
            fill(&mut self.maker, DERIVED, &relay, Some(&at_box), Derive::Yes)?;
            drop((relay, at_box));
            keep_slips(&self.maker, &self.relay()?)?;
            keep_slips(&self.maker, &self.at_box()?)?;
            self.cases = DERIVED;
        }
        let (relay, at_box) = (self.relay()?, self.at_box()?);
        fill(&mut self.maker, cases - self.cases, &relay, Some(&at_box), Derive::No)?;
        settled(&relay, &at_box)?;
        self.cases = cases;
        Ok(())
    }

    /// More cases at the relay alone, which the box does not know of.
    pub(crate) fn add_at_relay(&mut self, more: usize) -> Result<()> {
        let relay = self.relay()?;
        fill(&mut self.maker, more, &relay, None, Derive::No)?;
        self.cases += more;
        Ok(())
    }

    /// The box as it was when it had been enrolled.
    pub(crate) fn new_box(&self) -> Result<()> {
        std::fs::remove_dir_all(self.path("box"))?;
        let (relay, at_box) = (self.relay()?, self.at_box()?);
        enrol(&relay, &at_box, BOX)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Starts the relay; gives its address, too.
    pub(crate) fn start_relay(&self) -> Result<(Program, String)> {
        let relay = Program::station(&["relay", &self.text("relay"), &self.text("papers")])?;
        let address = relay.answer()?["address"].as_str().context("no address")?.to_owned();
        Ok((relay, address))
    }

    /// Starts the boxes that serve nothing; they call at `address`.
    pub(crate) fn start_crowd(&self, count: u16, address: &str) -> Result<Program> {
        let words = ["crowd", &count.to_string(), &self.text("papers"), address];
        let crowd = Program::station(&words)?;
        crowd.answer()?;
        Ok(crowd)
    }

    /// Starts the box, which calls at `address`.
    pub(crate) fn start_box(&self, address: &str) -> Result<Program> {
        let words = ["box", &self.text("box"), &self.text("papers"), address];
        let at_box = Program::station(&words)?;
        at_box.answer()?;
        Ok(at_box)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::county::database;
    use crate::sync::ours;
    use crate::sync::talk::Talk;

    #[test]
    fn what_is_made_counts_at_the_box_and_one_case_in_five_is_open() -> Result<()> {
        let mut land = Land::found()?;
        land.file(10)?;
        let (relay, at_box) = (land.relay()?, land.at_box()?);
        Talk::begin((BOX, &at_box), (RELAY, &relay))?;
        let db = database(BOX, &land.path("box"))?;
        let sql = "SELECT count(*), sum(open), sum(aside), sum(uploaded) FROM case_row";
        let row: (u32, u32, u32, u32) =
            db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        assert_eq!(row, (10, 2, 0, 10));
        let aside: u32 =
            db.query_row("SELECT count(*) FROM entry WHERE state <> 0", [], |r| r.get(0))?;
        let residents: u32 = db.query_row("SELECT count(*) FROM resident_row", [], |r| r.get(0))?;
        assert_eq!((aside, residents), (0, 10));
        Ok(())
    }

    #[test]
    fn a_box_that_holds_everything_hears_nothing_new_and_ten_differences_are_found() -> Result<()> {
        let mut land = Land::found()?;
        land.hold(60)?;
        let said = ours::nothing_new(&land)?;
        assert_eq!((said.turns, said.entries), (2, 0));
        let repair = ours::reconcile(&mut land)?;
        assert!(repair.naming > said.bytes && repair.entries > 0, "{repair:?}");
        Ok(())
    }
}
