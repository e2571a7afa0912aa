//! Pages over HTTPS, and what is served without it.

use crate::open::{self, Open};
use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use cunkou_link::{Https, LinkError, TlsConnection, WebSettings};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A listening socket as axum wants one.
struct Tls(Https);

impl Listener for Tls {
    type Io = TlsConnection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        self.0.accept().await
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.0.address())
    }
}

/// Who is at the other end, for whoever asks.
impl Connected<IncomingStream<'_, Tls>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Tls>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// The address at the other end of a connection: the browser's, or that of a proxy before us.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Listens on `address` and serves until the task is dropped; certificates may change meanwhile.
///
/// # Errors
/// [`LinkError::Setup`] when the address is taken.
pub async fn https(
    address: SocketAddr,
    settings: watch::Receiver<WebSettings>,
    router: Router,
) -> Result<impl Future<Output = std::io::Result<()>>, LinkError> {
    let listener = Tls(Https::bind(address, settings).await?);
    let service = router.into_make_service_with_connect_info::<Peer>();
    Ok(async move { axum::serve(listener, service).await })
}

/// Serves the open pages, where an address is given, until the task is dropped.
///
/// # Errors
/// [`LinkError::Setup`] when the address is taken.
pub async fn http(address: Option<SocketAddr>, open: Open) -> Result<JoinHandle<()>, LinkError> {
    let Some(address) = address else { return Ok(tokio::spawn(async {})) };
    let listener = TcpListener::bind(address)
        .await
        .map_err(|e| LinkError::Setup(format!("cannot listen on {address}: {e}")))?;
    let router = open::router(Arc::new(open));
    Ok(tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    }))
}
