//! Finding each other by multicast DNS (RFC 6762, 6763).
//!
//! What is told to everybody on the network: that a box of this software answers here, on which
//! port, under a name drawn anew each time. Neither the county nor the box nor a version is named.

use crate::LinkError;
use mdns_sd::{Receiver, ServiceDaemon, ServiceEvent, ServiceInfo};
use std::net::SocketAddr;

/// The service, the same in every county.
const SERVICE: &str = "_cunkou._udp.local.";

/// A voice on the local network.
pub(super) struct Nearby {
    daemon: ServiceDaemon,
    own: String,
}

fn setup(e: impl std::fmt::Display) -> LinkError {
    LinkError::Setup(format!("multicast DNS: {e}"))
}

impl Nearby {
    /// Says that a box answers on this port; `drawn` becomes its name.
    pub(super) fn announce(port: u16, drawn: u32) -> Result<Self, LinkError> {
        let daemon = ServiceDaemon::new().map_err(setup)?;
        let name = format!("{drawn:08x}");
        let host = format!("{name}.local.");
        let none: &[(&str, &str)] = &[];
        let service = ServiceInfo::new(SERVICE, &name, &host, "", port, none).map_err(setup)?;
        let own = service.get_fullname().to_owned();
        daemon.register(service.enable_addr_auto()).map_err(setup)?;
        Ok(Self { daemon, own })
    }

    /// Asks who is there, until told otherwise.
    pub(super) fn look(&self) -> Result<Receiver<ServiceEvent>, LinkError> {
        self.daemon.browse(SERVICE).map_err(setup)
    }

    /// Asks no longer.
    pub(super) fn look_away(&self) {
        // Fails only when the daemon has ended: then nobody asks either.
        let _ = self.daemon.stop_browse(SERVICE);
    }

    /// Where the box is that an event tells of; nothing when it is this one.
    pub(super) fn found(&self, event: &ServiceEvent) -> Vec<SocketAddr> {
        let ServiceEvent::ServiceResolved(service) = event else { return Vec::new() };
        if service.get_fullname() == self.own {
            return Vec::new();
        }
        let mut found: Vec<SocketAddr> = service
            .get_addresses()
            .iter()
            .map(|address| SocketAddr::new(address.to_ip_addr(), service.get_port()))
            .collect();
        found.sort_unstable();
        found
    }
}

impl Drop for Nearby {
    fn drop(&mut self) {
        // It says goodbye in its own thread; fails only when that has ended.
        let _ = self.daemon.shutdown();
    }
}
