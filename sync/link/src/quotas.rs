//! The relay's accounts of its devices, in real time.

use cunkou_engine::{Knock, Limits, Quotas, TooMuch};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Accounts that all conversations share.
#[derive(Clone, Debug)]
pub(crate) struct Accounts {
    quotas: Arc<Mutex<Quotas>>,
    begun: Instant,
}

impl Accounts {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { quotas: Arc::new(Mutex::new(Quotas::new(limits))), begun: Instant::now() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Quotas, Duration) -> T) -> T {
        let mut quotas = self.quotas.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut quotas, self.begun.elapsed())
    }

    pub(crate) fn knock(&self, address: IpAddr, proved: bool) -> Knock {
        self.with(|quotas, now| quotas.knock(now, address, proved))
    }

    /// Opens a conversation of a device; it ends when the account is dropped.
    pub(crate) fn open(&self, device: [u8; 16]) -> Result<Arc<Account>, TooMuch> {
        self.with(|quotas, now| quotas.connect(now, device))?;
        Ok(Arc::new(Account { accounts: self.clone(), device }))
    }
}

/// One conversation's share in its device's account.
#[derive(Debug)]
pub(crate) struct Account {
    accounts: Accounts,
    device: [u8; 16],
}

impl Account {
    /// A batch was kept, which took so long: how long not to read on.
    pub(crate) fn kept(&self, entries: usize, bytes: usize, took: Duration) -> Duration {
        let (entries, bytes) = (entries as u64, bytes as u64);
        self.accounts.with(|q, now| q.received(now, self.device, entries, bytes, took))
    }

    /// What is left to wait from earlier conversations.
    pub(crate) fn debt(&self) -> Duration {
        self.accounts.with(|q, now| q.received(now, self.device, 0, 0, Duration::ZERO))
    }

    pub(crate) fn attachment_in(&self, bytes: usize) -> Duration {
        self.accounts.with(|q, now| q.attachment_in(now, self.device, bytes as u64))
    }

    pub(crate) fn attachment_out(&self, bytes: usize) -> Duration {
        self.accounts.with(|q, now| q.attachment_out(now, self.device, bytes as u64))
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.accounts.with(|quotas, _| quotas.disconnect(self.device));
    }
}
