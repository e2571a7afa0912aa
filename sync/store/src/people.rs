//! What a store keeps for itself about people who work with it: wrong PINs, PIN hashes of
//! county staff, and enrolment tokens.

use crate::{StoreError, Txn, View};
use rusqlite::OptionalExtension;

/// How often a wrong PIN was typed, and until when the next try waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    /// Wrong PINs in a row.
    pub fails: u32,
    /// No try counts before, milliseconds.
    pub until_ms: i64,
}

/// An enrolment that was just used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redeemed {
    /// The device that it makes.
    pub device: [u8; 16],
    /// What to enrol.
    pub request: Vec<u8>,
}

/// An enrolment as it was offered, used or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolmentRow {
    /// The hash of its token.
    pub token: [u8; 32],
    /// The device that it makes.
    pub device: [u8; 16],
    /// What to enrol.
    pub request: Vec<u8>,
    /// Not used later, milliseconds.
    pub expires_ms: i64,
    /// When it was used, milliseconds.
    pub used_ms: Option<i64>,
}

impl EnrolmentRow {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            token: row.get(0)?,
            device: row.get(1)?,
            request: row.get(2)?,
            expires_ms: row.get(3)?,
            used_ms: row.get(4)?,
        })
    }
}

impl View<'_> {
    /// How a login stands.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn throttle(&self, login: &str) -> Result<Throttle, StoreError> {
        let sql = "SELECT fails, until_ms FROM throttle WHERE login = ?1";
        let row =
            |row: &rusqlite::Row<'_>| Ok(Throttle { fails: row.get(0)?, until_ms: row.get(1)? });
        Ok(self.0.prepare_cached(sql)?.query_row([login], row).optional()?.unwrap_or_default())
    }

    /// The PIN hash of a person of the county, in PHC form.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn pin(&self, person: &[u8; 16]) -> Result<Option<String>, StoreError> {
        let mut query = self.0.prepare_cached("SELECT phc FROM pin WHERE person = ?1")?;
        Ok(query.query_row([person], |row| row.get(0)).optional()?)
    }

    /// One enrolment.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn enrolment(&self, token_hash: &[u8; 32]) -> Result<Option<EnrolmentRow>, StoreError> {
        let sql = "SELECT token, device, request, expires_ms, used_ms FROM enrolment
                   WHERE token = ?1";
        Ok(self.0.prepare_cached(sql)?.query_row([token_hash], EnrolmentRow::read).optional()?)
    }

    /// The enrolments that were used, the latest first.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn used_enrolments(&self) -> Result<Vec<EnrolmentRow>, StoreError> {
        let sql = "SELECT token, device, request, expires_ms, used_ms FROM enrolment
                   WHERE used_ms IS NOT NULL ORDER BY used_ms DESC";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([], EnrolmentRow::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Txn<'_> {
    /// Keeps how a login stands.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_throttle(&self, login: &str, throttle: Throttle) -> Result<(), StoreError> {
        let sql = "INSERT INTO throttle(login, fails, until_ms) VALUES(?1, ?2, ?3)
                   ON CONFLICT(login) DO UPDATE SET fails = excluded.fails, until_ms = excluded.until_ms";
        self.0.prepare_cached(sql)?.execute((login, throttle.fails, throttle.until_ms))?;
        Ok(())
    }

    /// Keeps the PIN hash of a person of the county.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_pin(&self, person: &[u8; 16], phc: &str) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO pin(person, phc) VALUES(?1, ?2)";
        self.0.prepare_cached(sql)?.execute((person, phc))?;
        Ok(())
    }

    /// Keeps an enrolment that may be redeemed once; `request` is what to enrol.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn offer_enrolment(
        &self,
        token_hash: &[u8; 32],
        device: &[u8; 16],
        request: &[u8],
        made_ms: i64,
        expires_ms: i64,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO enrolment(token, made_ms, expires_ms, device, request)
                   VALUES(?1, ?2, ?3, ?4, ?5)";
        let mut query = self.0.prepare_cached(sql)?;
        query.execute((token_hash, made_ms, expires_ms, device, request))?;
        Ok(())
    }

    /// Uses an enrolment, or gives nothing when it is unknown, used or
    /// too old.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn redeem_enrolment(
        &self,
        token_hash: &[u8; 32],
        now_ms: i64,
    ) -> Result<Option<Redeemed>, StoreError> {
        let sql = "UPDATE enrolment SET used_ms = ?2
                   WHERE token = ?1 AND used_ms IS NULL AND expires_ms > ?2
                   RETURNING device, request";
        let row =
            |row: &rusqlite::Row<'_>| Ok(Redeemed { device: row.get(0)?, request: row.get(1)? });
        Ok(self.0.prepare_cached(sql)?.query_row((token_hash, now_ms), row).optional()?)
    }
}
