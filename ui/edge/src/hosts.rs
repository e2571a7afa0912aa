//! By which names and addresses this machine's pages are reached. Any other is somebody's trick: a
//! foreign name that leads here would let a foreign page read ours (DNS rebinding).

use cunkou_link::Facts;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

/// The names and addresses that a certificate of pages carries, as they stand in a `Host` header.
#[must_use]
pub fn of(facts: &Facts) -> Vec<String> {
    let addresses = facts.addresses.iter().map(|address| match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    });
    facts.names.iter().cloned().chain(addresses).collect()
}

/// A `Host` header without its port.
#[must_use]
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Names that may change with a renewal.
#[derive(Debug, Default)]
pub struct Hosts(RwLock<Vec<String>>);

impl Hosts {
    /// These.
    #[must_use]
    pub fn new(names: Vec<String>) -> Self {
        Self(RwLock::new(names))
    }

    /// From now on these.
    pub fn set(&self, names: Vec<String>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// The first: the name to show.
    #[must_use]
    pub fn first(&self) -> String {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.first().cloned().unwrap_or_default()
    }

    /// Whether a `Host` header names this machine; the port does not matter.
    #[must_use]
    pub fn knows(&self, host: &str) -> bool {
        let name = without_port(host);
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_answers_to_its_own_names_alone() {
        let facts = Facts {
            from_ms: 0,
            until_ms: 0,
            names: vec!["box-1.c1.home.arpa".into()],
            addresses: vec![
                IpAddr::from([192, 168, 1, 5]),
                "fd00::1".parse().expect("as the test made it"),
            ],
            key: Vec::new(),
        };
        let hosts = Hosts::new(of(&facts));
        for own in [
            "box-1.c1.home.arpa",
            "BOX-1.c1.home.arpa:443",
            "192.168.1.5:8443",
            "[fd00::1]:443",
            "[fd00::1]",
        ] {
            assert!(hosts.knows(own), "{own}");
        }
        for other in
            ["", "evil.example", "box-1.c1.home.arpa.evil.example", "192.168.1.6", "fd00", ":443"]
        {
            assert!(!hosts.knows(other), "{other}");
        }
        assert_eq!(hosts.first(), "box-1.c1.home.arpa");
    }
}
