//! HTTPS for the pages: TLS 1.3 over TCP, with certificates that may change while it serves.

use crate::{LinkError, tls};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, info, warn};

const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes under way at once; who comes then waits.
const HANDSHAKES_MAX: usize = 128;

/// The certificate and key of a machine's pages, ready to serve.
#[derive(Clone)]
pub struct WebSettings(Arc<rustls::ServerConfig>);

impl std::fmt::Debug for WebSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebSettings")
    }
}

impl WebSettings {
    /// From a chain, the leaf first (DER), and the secret key (PKCS #8 in DER).
    ///
    /// # Errors
    /// [`LinkError::Setup`] when they do not belong together.
    pub fn new(chain: Vec<Vec<u8>>, pkcs8: Vec<u8>) -> Result<Self, LinkError> {
        let chain = chain.into_iter().map(CertificateDer::from).collect();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8));
        tls::web(chain, key).map(Self)
    }
}

/// A browser's connection whose handshake is done.
pub type TlsConnection = TlsStream<TcpStream>;

/// A listening socket that gives connections whose handshake is done.
#[derive(Debug)]
pub struct Https {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsConnection, SocketAddr)>,
    listening: JoinHandle<()>,
}

impl Https {
    /// Listens; each new connection is shown the newest settings.
    ///
    /// # Errors
    /// [`LinkError::Setup`] when the address is taken.
    pub async fn bind(
        address: SocketAddr,
        settings: watch::Receiver<WebSettings>,
    ) -> Result<Self, LinkError> {
        let taken =
            |e: std::io::Error| LinkError::Setup(format!("cannot listen on {address}: {e}"));
        let listener = TcpListener::bind(address).await.map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        let (give, ready) = mpsc::channel(16);
        let listening = tokio::spawn(listen(listener, settings, give));
        Ok(Self { address, ready, listening })
    }

    /// The next connection; never when the socket is gone.
    pub async fn accept(&mut self) -> (TlsConnection, SocketAddr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(
    listener: TcpListener,
    settings: watch::Receiver<WebSettings>,
    give: mpsc::Sender<(TlsConnection, SocketAddr)>,
) {
    let turns = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file handles, most likely: others have to end first.
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&settings.borrow().0));
        let give = give.clone();
        tokio::spawn(async move {
            let shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
            drop(turn);
            match shaken {
                Ok(Ok(stream)) => {
                    let _ = give.send((stream, address)).await;
                }
                // A browser that does not know the county's root ends here.
                Ok(Err(error)) => info!(%address, %error, "a browser broke off the handshake"),
                Err(_) => debug!(%address, "a handshake took too long"),
            }
        });
    }
}
