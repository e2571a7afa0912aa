//! Reaching a relay under every address that its name has, and staying reached when our own
//! address changes.

use crate::profile::Settings;
use crate::{LinkError, explain};
use quinn::{ClientConfig, Connection, Endpoint};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;
use tokio::task::JoinSet;
use tracing::{debug, info};

fn setup(e: impl std::fmt::Display) -> LinkError {
    LinkError::Setup(e.to_string())
}

/// IPv6 first, then by turns, as RFC 8305 says: the families fail apart.
fn by_turns(found: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let (mut six, mut four): (VecDeque<_>, VecDeque<_>) =
        found.into_iter().partition(SocketAddr::is_ipv6);
    let mut turns = Vec::with_capacity(six.len() + four.len());
    while !(six.is_empty() && four.is_empty()) {
        turns.extend(six.pop_front());
        turns.extend(four.pop_front());
    }
    turns.dedup();
    turns
}

/// Every address of a relay, in the order in which they are tried.
pub(crate) async fn addresses(relay: &str) -> Result<Vec<SocketAddr>, LinkError> {
    let found = tokio::net::lookup_host(relay)
        .await
        .map_err(|e| LinkError::Unreachable(format!("{relay}: {e}")))?;
    let found = by_turns(found);
    if found.is_empty() {
        return Err(LinkError::Unreachable(format!("{relay} has no address")));
    }
    Ok(found)
}

/// What says more than that nobody answers is what a person should read.
fn telling(before: Option<LinkError>, now: LinkError) -> LinkError {
    match before {
        Some(before) if !matches!(before, LinkError::Unreachable(_)) => before,
        _ => now,
    }
}

/// Tries each address, the next one beside the others when `pause` has passed or one has failed; the
/// first that works wins and the others end.
pub(crate) async fn race<T, F>(
    addresses: Vec<SocketAddr>,
    pause: Duration,
    attempt: impl Fn(SocketAddr) -> F,
) -> Result<T, LinkError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, LinkError>> + Send + 'static,
{
    let mut waiting: VecDeque<_> = addresses.into();
    let mut running = JoinSet::new();
    let mut why = None;
    loop {
        if let Some(address) = waiting.pop_front() {
            running.spawn(attempt(address));
        }
        let ended = if waiting.is_empty() {
            running.join_next().await
        } else {
            match tokio::time::timeout(pause, running.join_next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            }
        };
        match ended {
            Some(Ok(Ok(won))) => return Ok(won),
            Some(Ok(Err(error))) => why = Some(telling(why, error)),
            Some(Err(error)) => why = Some(LinkError::Broken(error.to_string())),
            None if waiting.is_empty() => {
                return Err(why.unwrap_or_else(|| LinkError::Unreachable("no address".into())));
            }
            None => {}
        }
    }
}

fn anywhere(to: SocketAddr) -> SocketAddr {
    match to {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    }
}

/// A connection over QUIC and what it hangs on.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) endpoint: Endpoint,
    pub(crate) connection: Connection,
    from: Option<IpAddr>,
}

async fn shake(
    to: SocketAddr,
    config: ClientConfig,
    name: String,
    patience: Duration,
) -> Result<Reached, LinkError> {
    let mut endpoint = Endpoint::client(anywhere(to)).map_err(setup)?;
    endpoint.set_default_client_config(config);
    let connecting = endpoint.connect(to, &name).map_err(setup)?;
    let connection = tokio::time::timeout(patience, connecting)
        .await
        .map_err(|_| LinkError::Unreachable("no answer".into()))?
        .map_err(|e| explain(&e.into()))?;
    debug!(%to, "reached");
    Ok(Reached { endpoint, connection, from: source(to) })
}

/// Connects to the first address of `relay` (host:port) that answers, whose certificate carries
/// `name`.
pub(crate) async fn quic(
    relay: &str,
    name: &str,
    config: ClientConfig,
    settings: &Settings,
) -> Result<Reached, LinkError> {
    let found = addresses(relay).await?;
    let patience = settings.connect;
    race(found, settings.next_address, |to| shake(to, config.clone(), name.to_owned(), patience))
        .await
}

/// Which of our addresses the system would send from. Sends nothing.
fn source(to: SocketAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind(anywhere(to)).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

impl Reached {
    /// Looks whether the way to the relay leaves from another address than before: another modem, a
    /// cable plugged in. Then the connection moves there and goes on.
    pub(crate) fn look_around(&mut self) {
        let now = source(self.connection.remote_address());
        if now.is_some() && now != self.from {
            info!("the address of this box has changed; the connection moves along");
            self.from = now;
            if let Err(error) = self.rebind() {
                // The connection then ends by silence, and the next one is on the new address.
                debug!(%error, "it cannot move");
            }
        }
    }

    /// From now on over another socket.
    fn rebind(&self) -> std::io::Result<()> {
        self.endpoint.rebind(UdpSocket::bind(anywhere(self.connection.remote_address()))?)
    }

    /// Says goodbye and waits until it is said.
    pub(crate) async fn end(self) {
        self.connection.close(crate::CLOSE_DONE.into(), b"");
        self.endpoint.wait_idle().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::time::Instant;

    fn at(last: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], last))
    }

    #[test]
    fn families_take_turns_and_ipv6_begins() {
        let six = |last: u16| SocketAddr::from((Ipv6Addr::LOCALHOST, last));
        let turns = by_turns([at(1), at(2), at(3), six(1)]);
        assert_eq!(turns, [six(1), at(1), at(2), at(3)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_is_not_waited_for() {
        let begun = Instant::now();
        let won = race(vec![at(1), at(2)], Duration::from_millis(250), |to| async move {
            if to == at(1) { pending().await } else { Ok(to) }
        });
        assert_eq!(won.await, Ok(at(2)));
        assert_eq!(begun.elapsed().as_millis(), 250);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_fails_hands_over_at_once_and_a_slow_one_may_still_win() {
        let begun = Instant::now();
        let won = race(vec![at(1), at(2), at(3)], Duration::from_millis(250), |to| async move {
            match to.port() {
                1 => Err(LinkError::Unreachable("no route".into())),
                2 => {
                    tokio::time::sleep(Duration::from_millis(400)).await;
                    Ok(to)
                }
                _ => pending().await,
            }
        });
        assert_eq!(won.await, Ok(at(2)));
        assert_eq!(begun.elapsed().as_millis(), 400);
    }

    #[tokio::test(start_paused = true)]
    async fn of_several_failures_the_one_that_says_most_is_told() {
        let failed =
            race::<(), _>(vec![at(1), at(2), at(3)], Duration::from_secs(1), |to| async move {
                Err(match to.port() {
                    2 => LinkError::OtherCounty("x".into()),
                    _ => LinkError::Unreachable("no answer".into()),
                })
            });
        assert_eq!(failed.await, Err(LinkError::OtherCounty("x".into())));
    }

    #[tokio::test]
    async fn a_connection_goes_on_over_another_socket() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = rcgen::CertificateParams::new(vec!["relay".into()])
            .and_then(|params| params.self_signed(&key))
            .expect("a certificate");
        let secret = rustls_pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        let server =
            quinn::ServerConfig::with_single_cert(vec![certificate.der().clone()], secret.into());
        let server = Endpoint::server(server.expect("a server"), ([127, 0, 0, 1], 0).into())
            .expect("an endpoint");
        let relay = server.local_addr().expect("an address").to_string();
        let accepting = tokio::spawn(async move {
            let connection = server.accept().await.expect("a caller").await.expect("a connection");
            let (mut send, mut receive) = connection.accept_bi().await.expect("a stream");
            let mut ports = Vec::new();
            for _ in 0..2 {
                let mut byte = [0];
                receive.read_exact(&mut byte).await.expect("a byte");
                ports.push(connection.remote_address().port());
                send.write_all(&byte).await.expect("written");
            }
            connection.closed().await;
            ports
        });
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.der().clone()).expect("a root");
        let config = ClientConfig::with_root_certificates(std::sync::Arc::new(roots));
        let config = config.expect("a client");
        let settings = Settings::of(crate::Profile::Wired);
        let reached = quic(&relay, "relay", config, &settings).await.expect("reached");
        let (mut send, mut receive) = reached.connection.open_bi().await.expect("a stream");
        for round in 0..2 {
            let mut byte = [round];
            send.write_all(&byte).await.expect("written");
            receive.read_exact(&mut byte).await.expect("the answer");
            reached.rebind().expect("another socket");
        }
        reached.end().await;
        let ports = accepting.await.expect("the relay's side");
        assert_ne!(ports[0], ports[1]);
    }
}
