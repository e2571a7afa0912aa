//! The relay's side: accepts boxes, sends strangers away with a reason.

use crate::driver::Conversation;
use crate::profile::Settings;
use crate::quotas::Accounts;
use crate::renewal::RelayCredentials;
use crate::{
    ALPN_ENROL, ALPN_RENEW, CLOSE_BUSY, CLOSE_REFUSED, CLOSE_RUN_OUT, LinkError, enrol, explain,
    renewal, tls,
};
use cunkou_engine::{Knock, Limits, Port, TooMuch};
use quinn::{Connection, Endpoint, Incoming};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tracing::{info, warn};

const HANDSHAKE: Duration = Duration::from_secs(10);
/// So many handshakes and enrolments go on at once. What is over it knocks again by itself.
const STRANGERS_MAX: usize = 128;

/// A listening relay.
pub struct Server {
    endpoint: Endpoint,
    port: Arc<dyn Port>,
    relay: Arc<dyn RelayCredentials>,
    changes: watch::Receiver<u64>,
    accounts: Accounts,
    strangers: Arc<Semaphore>,
    renewed: watch::Receiver<u64>,
    settings: Settings,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server")
    }
}

/// A counter that rises with every change behind a port.
pub(crate) fn watch_changes(port: &dyn Port) -> watch::Receiver<u64> {
    let (sender, receiver) = watch::channel(0);
    port.on_change(Box::new(move || sender.send_modify(|n| *n += 1)));
    receiver
}

impl Server {
    /// Listens on `address`.
    ///
    /// # Errors
    /// [`LinkError::Setup`] when the address is taken or the certificate cannot be used.
    pub fn bind(
        address: SocketAddr,
        port: Arc<dyn Port>,
        relay: Arc<dyn RelayCredentials>,
    ) -> Result<Self, LinkError> {
        let taken = |e| LinkError::Setup(format!("cannot listen on UDP {address}: {e}"));
        let socket = std::net::UdpSocket::bind(address).map_err(taken)?;
        let runtime = quinn::default_runtime()
            .ok_or_else(|| LinkError::Setup("no asynchronous runtime".into()))?;
        // Before the certificate is read, so that no change is missed.
        let renewed = relay.changes();
        let me = relay.certificate()?;
        let settings = Settings::relay();
        let config = Some(tls::quic_server(tls::server(&me)?, &settings)?);
        let endpoint = Endpoint::new(tls::endpoint(&me), config, socket, runtime).map_err(taken)?;
        let changes = watch_changes(&*port);
        let accounts = Accounts::new(Limits::START);
        let strangers = Arc::new(Semaphore::new(STRANGERS_MAX));
        Ok(Self { endpoint, port, relay, changes, accounts, strangers, renewed, settings })
    }

    /// With other limits than the start values.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.accounts = Accounts::new(limits);
        self
    }

    /// With other settings of the transport, for connections from now on.
    ///
    /// # Errors
    /// [`LinkError::Setup`] when the certificate cannot be used.
    pub fn with_settings(mut self, settings: Settings) -> Result<Self, LinkError> {
        self.settings = settings;
        let config = tls::quic_server(tls::server(&self.relay.certificate()?)?, &settings)?;
        self.endpoint.set_server_config(Some(config));
        Ok(self)
    }

    /// Accepts until `stop` says so, then says goodbye to everybody.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            tokio::select! {
                incoming = self.endpoint.accept() => match incoming {
                    Some(incoming) => self.welcome(incoming),
                    None => break,
                },
                Ok(()) = self.renewed.changed() => self.show_new_certificate(),
                () = &mut stop => break,
            }
        }
        self.endpoint.close(crate::CLOSE_DONE.into(), b"the relay is being stopped");
        let _ = tokio::time::timeout(Duration::from_secs(2), self.endpoint.wait_idle()).await;
    }

    /// Connections that are open stay; new ones see the new certificate and the new roots.
    fn show_new_certificate(&self) {
        let settings = &self.settings;
        let config = self.relay.certificate().and_then(|me| tls::server(&me));
        match config.and_then(|tls| tls::quic_server(tls, settings)) {
            Ok(config) => {
                self.endpoint.set_server_config(Some(config));
                info!("showing a new certificate to boxes");
            }
            Err(error) => warn!(%error, "the new certificate cannot be used"),
        }
    }

    fn welcome(&self, incoming: Incoming) {
        let (address, proved) = (incoming.remote_address(), incoming.remote_address_validated());
        match self.accounts.knock(address.ip(), proved) {
            Knock::Welcome => {}
            Knock::Retry => {
                // Fails only for an address that is proved already.
                let _ = incoming.retry();
                return;
            }
            Knock::Ignore => return incoming.ignore(),
        }
        let Ok(stranger) = Arc::clone(&self.strangers).try_acquire_owned() else {
            return incoming.ignore();
        };
        let accounts = self.accounts.clone();
        let (port, relay) = (Arc::clone(&self.port), Arc::clone(&self.relay));
        let changes = self.changes.clone();
        tokio::spawn(async move {
            let address = incoming.remote_address();
            let connection = match tokio::time::timeout(HANDSHAKE, incoming).await {
                Ok(Ok(connection)) => connection,
                Ok(Err(error)) => {
                    let why = match explain(&error) {
                        LinkError::OtherCounty(_) => {
                            "its certificate is not of this county".to_owned()
                        }
                        other => other.to_string(),
                    };
                    warn!(%address, %why, "refused a connection");
                    return;
                }
                Err(_) => return warn!(%address, "a connection was begun and left"),
            };
            match alpn(&connection).as_deref() {
                Some(ALPN_ENROL) => enrol::answer(connection, relay).await,
                Some(ALPN_RENEW) => renewal::answer(connection, port, relay).await,
                _ => {
                    drop(stranger);
                    talk(connection, port, changes, &accounts, relay.now_ms()).await;
                }
            }
        });
    }
}

fn alpn(connection: &Connection) -> Option<Vec<u8>> {
    let data = connection.handshake_data()?;
    data.downcast::<quinn::crypto::rustls::HandshakeData>().ok()?.protocol
}

async fn talk(
    connection: Connection,
    port: Arc<dyn Port>,
    changes: watch::Receiver<u64>,
    accounts: &Accounts,
    now_ms: i64,
) {
    let address = connection.remote_address();
    let refuse = |words: &str| {
        warn!(%address, why = words, "refused a box");
        connection.close(CLOSE_REFUSED.into(), words.as_bytes());
    };
    let Some(key) = tls::peer_key(&connection) else {
        return refuse("this box has no certificate; enrol it first");
    };
    let peer = match port.admit_peer(&key) {
        Ok(peer) => peer,
        Err(refused) => return refuse(&refused.words),
    };
    let account = match accounts.open(peer.device) {
        Ok(account) => account,
        Err(TooMuch::Often(seconds)) => {
            info!(peer = %peer.name, seconds, "it connects too often");
            return connection.close(CLOSE_BUSY.into(), seconds.to_string().as_bytes());
        }
        Err(too_much @ TooMuch::Open(_)) => return refuse(&too_much.to_string()),
    };
    // The handshake lets a certificate that has run out through, for renewal.
    if tls::peer_holds(&connection, now_ms) != Some(true) {
        info!(peer = %peer.name, "its certificate has run out; it renews first");
        return connection.close(CLOSE_RUN_OUT.into(), b"the certificate has run out");
    }
    let name = peer.name.clone();
    let opened = tokio::time::timeout(HANDSHAKE, connection.accept_bi()).await;
    let Ok(Ok((send, receive))) = opened else {
        return refuse("it opened no stream");
    };
    let (progress, _) = watch::channel(None);
    let conversation = Conversation {
        connection,
        port,
        peer,
        key,
        changes,
        progress,
        asked: None,
        account: Some(account),
        paused: None,
    };
    match conversation.run(send, receive).await {
        Ok(()) => info!(peer = %name, "the conversation ended"),
        Err(error) => info!(peer = %name, %error, "the conversation ended"),
    }
}
