//! What all handlers share.

use crate::carry::pages::Jobs;
use crate::deciding::Deciding;
use crate::door::Door;
use crate::hosts::Hosts;
use crate::session::Sessions;
use cunkou_casework::catalogue::Release;
use cunkou_casework::county::Person;
use cunkou_casework::ids::PersonId;
use cunkou_casework::suite::SecretKey;
use cunkou_link::{LinkHandle, LinkState};
use cunkou_replica::Replica;
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;

/// Which office this program serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Office {
    /// A village service point.
    Village,
    /// A township centre.
    Township,
    /// The county's console.
    County,
}

/// The practice room: a replica of a made-up county that never meets a link.
#[derive(Debug)]
pub struct Practice {
    /// Its replica.
    pub replica: Arc<Replica>,
    /// The person who practises.
    pub person: PersonId,
    /// Their key.
    pub key: SecretKey,
}

/// What all handlers share.
#[derive(Debug)]
pub struct App {
    /// Which office.
    pub office: Office,
    /// The real replica.
    pub replica: Arc<Replica>,
    /// The practice room, made when it is first entered.
    pub practice: OnceLock<Practice>,
    /// Who is signed in.
    pub sessions: Sessions,
    /// How people decide on keys of their own; set on a relay.
    pub deciding: OnceLock<Deciding>,
    /// Where the link stands; absent on a relay.
    pub link: Option<LinkHandle>,
    /// Under which names and addresses the pages are reached.
    pub hosts: Arc<Hosts>,
    /// Who keeps the door.
    pub door: Arc<dyn Door>,
    /// One photo at a time: they are large, boxes are small.
    pub photos: Semaphore,
    /// Bundles that are being made or read.
    pub carrying: Jobs,
}

impl App {
    /// For a replica and its link.
    #[must_use]
    pub fn new(
        office: Office,
        replica: Arc<Replica>,
        link: Option<LinkHandle>,
        hosts: Arc<Hosts>,
        door: Arc<dyn Door>,
    ) -> Self {
        Self {
            office,
            replica,
            practice: OnceLock::new(),
            sessions: Sessions::default(),
            deciding: OnceLock::new(),
            link,
            hosts,
            door,
            photos: Semaphore::new(1),
            carrying: Jobs::default(),
        }
    }

    /// Where the link stands; absent on a relay.
    #[must_use]
    pub fn link_state(&self) -> Option<LinkState> {
        self.link.as_ref().map(LinkHandle::state)
    }

    /// A page is being looked at: a waiting link tries again soon.
    pub fn somebody_looks(&self) {
        if let Some(link) = &self.link {
            link.nudge();
        }
    }

    /// Who may sign in here.
    #[must_use]
    pub fn people(&self) -> Vec<Person> {
        self.replica.workers()
    }

    /// The catalogue in force.
    #[must_use]
    pub fn release(&self) -> Option<Arc<Release>> {
        self.replica.release()
    }

    /// The name on every page: the point, the centre or the county.
    #[must_use]
    pub fn place_name(&self) -> String {
        match (self.office, self.replica.device()) {
            (Office::County, _) => format!("{}审核台", self.replica.county().name()),
            (_, Some(device)) => device.name,
            (_, None) => "村口".into(),
        }
    }
}

/// Free bytes on the disk of a folder.
#[must_use]
pub fn disk_free(folder: &std::path::Path) -> u64 {
    rustix::fs::statvfs(folder).map_or(0, |fs| fs.f_bavail.saturating_mul(fs.f_frsize))
}
