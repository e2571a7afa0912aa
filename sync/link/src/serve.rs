//! The relay's side: accepts boxes, sends strangers away with a reason.

use crate::call::Way;
use crate::colds::ColdDoor;
use crate::diary::{Diary, Ending, Noted};
use crate::doubles::Seats;
use crate::driver::Conversation;
use crate::line::{Connection, Io};
use crate::profile::Settings;
use crate::quotas::Accounts;
use crate::renewal::RelayCredentials;
use crate::{
    ALPN_ENROL, ALPN_RENEW, ALPN_TEST, CLOSE_BUSY, CLOSE_DOUBLE, CLOSE_REFUSED, CLOSE_RUN_OUT,
    LinkError, enrol, explain, measure, renewal, tally, tls, web,
};
use cunkou_engine::{Knock, Limits, PeerInfo, Port, TooMuch};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use quinn::{Endpoint, Incoming};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::Role;
use tracing::{debug, info, warn};

const HANDSHAKE: Duration = Duration::from_secs(20);
/// So many handshakes and enrolments go on at once. What is over it knocks again by itself.
const STRANGERS_MAX: usize = 128;

/// What every connection is welcomed with, however it comes.
#[derive(Clone)]
struct Hall {
    port: Arc<dyn Port>,
    relay: Arc<dyn RelayCredentials>,
    changes: watch::Receiver<u64>,
    accounts: Accounts,
    strangers: Arc<Semaphore>,
    seats: Seats,
    colds: ColdDoor,
    settings: Settings,
    diary: Option<Arc<dyn Diary>>,
}

/// A listening relay.
pub struct Server {
    endpoint: Endpoint,
    hall: Hall,
    renewed: watch::Receiver<u64>,
    tls: watch::Sender<Arc<rustls::ServerConfig>>,
}

/// Where connections inside WebSockets come in.
#[derive(Clone)]
pub struct WebDoor {
    hall: Hall,
    tls: watch::Receiver<Arc<rustls::ServerConfig>>,
}

impl std::fmt::Debug for WebDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebDoor")
    }
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
        let tls = tls::server(&me)?;
        let config = Some(tls::quic_server(tls.clone(), &settings)?);
        let endpoint = Endpoint::new(tls::endpoint(&me), config, socket, runtime).map_err(taken)?;
        let changes = watch_changes(&*port);
        let accounts = Accounts::new(Limits::START);
        let strangers = Arc::new(Semaphore::new(STRANGERS_MAX));
        let (seats, colds) = (Seats::default(), ColdDoor::of_this_machine());
        let diary = None;
        let hall =
            Hall { port, relay, changes, accounts, strangers, seats, colds, settings, diary };
        Ok(Self { endpoint, hall, renewed, tls: watch::channel(Arc::new(tls)).0 })
    }

    /// With somebody who keeps the history of contacts.
    #[must_use]
    pub fn with_diary(mut self, diary: Arc<dyn Diary>) -> Self {
        self.hall.diary = Some(diary);
        self
    }

    /// With other limits than the start values.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.hall.accounts = Accounts::new(limits);
        self
    }

    /// With so many cold starts at once, instead of eight for each core.
    #[must_use]
    pub fn with_cold_starts(mut self, most: usize) -> Self {
        self.hall.colds = ColdDoor::new(most);
        self
    }

    /// With other settings of the transport, for connections from now on.
    ///
    /// # Errors
    /// [`LinkError::Setup`] when the certificate cannot be used.
    pub fn with_settings(mut self, settings: Settings) -> Result<Self, LinkError> {
        self.hall.settings = settings;
        let config = tls::quic_server(tls::server(&self.hall.relay.certificate()?)?, &settings)?;
        self.endpoint.set_server_config(Some(config));
        Ok(self)
    }

    /// Where the web server brings what comes in over HTTPS, for as long as the server runs.
    #[must_use]
    pub fn web_door(&self) -> WebDoor {
        WebDoor { hall: self.hall.clone(), tls: self.tls.subscribe() }
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
        let settings = &self.hall.settings;
        let tls = self.hall.relay.certificate().and_then(|me| tls::server(&me));
        let both =
            tls.and_then(|tls| Ok((tls::quic_server(tls.clone(), settings)?, Arc::new(tls))));
        match both {
            Ok((config, tls)) => {
                self.endpoint.set_server_config(Some(config));
                self.tls.send_replace(tls);
                info!("showing a new certificate to boxes");
            }
            Err(error) => warn!(%error, "the new certificate cannot be used"),
        }
    }

    fn welcome(&self, incoming: Incoming) {
        let (address, proved) = (incoming.remote_address(), incoming.remote_address_validated());
        match self.hall.accounts.knock(address.ip(), proved) {
            Knock::Welcome => {}
            Knock::Retry => {
                // Fails only for an address that is proved already.
                let _ = incoming.retry();
                return;
            }
            Knock::Ignore => return incoming.ignore(),
        }
        let Ok(stranger) = Arc::clone(&self.hall.strangers).try_acquire_owned() else {
            return incoming.ignore();
        };
        let hall = self.hall.clone();
        // Only a test of a link asks for this.
        let otherwise = measure::wished(&incoming.orig_dst_cid()).and_then(|congestion| {
            let settings = Settings { congestion, ..hall.settings };
            tls::quic_server((**self.tls.borrow()).clone(), &settings).ok()
        });
        tokio::spawn(async move {
            let address = incoming.remote_address();
            let accepted = match otherwise {
                Some(config) => incoming.accept_with(Arc::new(config)),
                None => incoming.accept(),
            };
            let shaking = async { accepted?.await };
            match tokio::time::timeout(HANDSHAKE, shaking).await {
                Ok(Ok(connection)) => hall.receive(Connection::Quic(connection), stranger).await,
                Ok(Err(error)) => refused(address, explain(&error.into())),
                Err(_) => warn!(%address, "a connection was begun and left"),
            }
        });
    }
}

fn refused(address: SocketAddr, error: LinkError) {
    let why = match error {
        LinkError::OtherCounty(_) => "its certificate is not of this county".to_owned(),
        other => other.to_string(),
    };
    warn!(%address, %why, "refused a connection");
}

impl Hall {
    async fn receive(self, connection: Connection, stranger: OwnedSemaphorePermit) {
        match connection.alpn().as_deref() {
            Some(ALPN_ENROL) => enrol::answer(connection, self.relay).await,
            Some(ALPN_TEST) => {
                drop(stranger);
                // One that has run out renews first; then it may test.
                if tls::peer_holds(&connection, self.relay.now_ms()) == Some(true) {
                    measure::answer(connection, self.port, &self.accounts).await;
                } else {
                    connection.close(CLOSE_RUN_OUT.into(), b"the certificate has run out");
                }
            }
            Some(ALPN_RENEW) => renewal::answer(connection, self.port, self.relay).await,
            _ => {
                drop(stranger);
                self.talk(connection).await;
            }
        }
    }

    /// Talks to a box that has come to replicate.
    async fn talk(self, connection: Connection) {
        let address = connection.remote_address();
        let refuse = |words: &str| {
            warn!(%address, why = words, "refused a box");
            connection.close(CLOSE_REFUSED.into(), words.as_bytes());
        };
        let busy = |seconds: u64| {
            connection.close(CLOSE_BUSY.into(), seconds.to_string().as_bytes());
        };
        let Some(key) = tls::peer_key(&connection) else {
            return refuse("this box has no certificate; enrol it first");
        };
        let peer = match self.port.admit_peer(&key) {
            Ok(peer) => peer,
            Err(refused) => return refuse(&refused.words),
        };
        let account = match self.accounts.open(peer.device) {
            Ok(account) => account,
            Err(TooMuch::Often(seconds)) => {
                info!(peer = %peer.name, seconds, "it connects too often");
                return busy(seconds);
            }
            Err(too_much @ TooMuch::Open(_)) => return refuse(&too_much.to_string()),
        };
        // The handshake lets a certificate that has run out through, for renewal.
        if tls::peer_holds(&connection, self.relay.now_ms()) != Some(true) {
            info!(peer = %peer.name, "its certificate has run out; it renews first");
            return connection.close(CLOSE_RUN_OUT.into(), b"the certificate has run out");
        }
        let name = peer.name.clone();
        let opened = tokio::time::timeout(HANDSHAKE, connection.accept_bi()).await;
        let Ok(Ok((send, receive))) = opened else {
            return refuse("it opened no stream");
        };
        // Only who wants to talk takes a place: who looks whether the relay answers does not.
        let _seat = match self.seats.take(peer.device, &connection).await {
            Ok(seat) => seat,
            Err(LinkError::Busy(wait)) => return busy(wait.as_secs()),
            Err(_) => {
                connection.close(CLOSE_DOUBLE.into(), b"another machine of this box is talking");
                return self.alarm(peer, address).await;
            }
        };
        let (progress, _) = watch::channel(None);
        let (met, mut meeting) = watch::channel(false);
        let way = match connection {
            Connection::Quic(_) => Way::Quic,
            Connection::Web(_) => Way::Web,
        };
        let mut noted = Noted::new(self.diary, connection.clone());
        let conversation = Conversation {
            connection: connection.clone(),
            port: self.port,
            peer: peer.clone(),
            key,
            dials: false,
            changes: self.changes,
            progress,
            met,
            asked: None,
            account: Some(account),
            paused: None,
            colds: Some(self.colds),
        };
        let talk = conversation.run(send, receive);
        tokio::pin!(talk);
        let mut telling = tokio::time::interval(tally::EVERY);
        telling.reset();
        let result = loop {
            tokio::select! {
                result = &mut talk => break result,
                _ = telling.tick() => noted.tell(),
                Ok(()) = meeting.changed() => noted.began(&peer, way).await,
            }
        };
        match result {
            Ok(()) => info!(peer = %name, "the conversation ended"),
            Err(error) => {
                noted.ends(Ending::after(&error));
                info!(peer = %name, %error, "the conversation ended");
            }
        }
    }

    /// Two machines with one identity are alive: people are to hear of it.
    async fn alarm(self, peer: PeerInfo, from: SocketAddr) {
        warn!(peer = %peer.name, %from, "two machines talk with one identity; the second is refused");
        let port = self.port;
        let told = tokio::task::spawn_blocking(move || port.double(&peer, from.ip())).await;
        if let Ok(Err(error)) = told {
            warn!(%error, "nobody is told of it");
        }
    }
}

impl WebDoor {
    /// Takes what a web server hands on: answers the upgrade, and talks over what it becomes. `from`
    /// is the proxy before us, if there is one: all that come through one share its allowance.
    pub fn welcome<B>(&self, request: &mut Request<B>, from: SocketAddr) -> Response<String> {
        let no = |status: StatusCode, words: &str| {
            let mut response = Response::new(words.to_owned());
            *response.status_mut() = status;
            response
        };
        // Browsers name where a page came from; no box does.
        if request.headers().contains_key("origin") {
            return no(StatusCode::FORBIDDEN, "for boxes alone");
        }
        let Ok(response) = create_response_with_body(request, String::new) else {
            return no(StatusCode::UPGRADE_REQUIRED, "for boxes alone");
        };
        let busy = || no(StatusCode::SERVICE_UNAVAILABLE, "busy");
        if !matches!(self.hall.accounts.knock(from.ip(), true), Knock::Welcome) {
            return busy();
        }
        let Ok(stranger) = Arc::clone(&self.hall.strangers).try_acquire_owned() else {
            return busy();
        };
        let (door, upgrading) = (self.clone(), hyper::upgrade::on(request));
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE, upgrading).await {
                Ok(Ok(upgraded)) => door.shake(TokioIo::new(upgraded), from, stranger).await,
                _ => debug!(%from, "a WebSocket was begun and left"),
            }
        });
        response
    }

    async fn shake<S: Io>(self, stream: S, from: SocketAddr, stranger: OwnedSemaphorePermit) {
        let shaking = async {
            let socket =
                WebSocketStream::from_raw_socket(stream, Role::Server, Some(web::limits())).await;
            let tls = Arc::clone(&self.tls.borrow());
            web::answer(socket, from, tls, &self.hall.settings).await
        };
        match tokio::time::timeout(HANDSHAKE, shaking).await {
            Ok(Ok(connection)) => {
                let connection = Connection::Web(connection);
                let mut serving = self.tls;
                tokio::select! {
                    () = self.hall.receive(connection.clone(), stranger) => {}
                    // Whoever sends the settings ends with the server.
                    () = async { while serving.changed().await.is_ok() {} } => {
                        connection.close(crate::CLOSE_DONE.into(), b"the relay is being stopped");
                    }
                }
            }
            Ok(Err(error)) => refused(from, error),
            Err(_) => warn!(address = %from, "a connection was begun and left"),
        }
    }
}
