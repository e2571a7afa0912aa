//! Serving: pages over HTTP, the relay over QUIC, commands at the socket.

use crate::command::Executor;
use crate::home::{self, failed};
use crate::options::{Options, ServeOptions};
use crate::wallet::Wallet;
use crate::web;
use cunkou_casework::county::DeviceKind;
use cunkou_edge::cli::{Exit, Failure, abort_on_panic};
use cunkou_edge::open::Open;
use cunkou_edge::{App, Office, config, control, serve};
use cunkou_engine::Port;
use cunkou_link::Dialer;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

const KEYS: [&str; 5] = ["https", "http", "relays", "addresses", "hours"];

/// Configuration of a serving box.
#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default)]
    https: Option<String>,
    #[serde(default)]
    http: Option<String>,
    #[serde(default)]
    relays: Option<Vec<String>>,
    #[serde(default)]
    addresses: Option<Vec<IpAddr>>,
    #[serde(default)]
    hours: Option<String>,
}

fn address(text: &str, what: &str) -> Result<SocketAddr, Failure> {
    text.parse().map_err(|_| {
        let words = format!("{what}: {text} is no address; write for example 0.0.0.0:443");
        Failure::new(Exit::Usage, words)
    })
}

/// Serves until told to stop.
pub(crate) async fn serve(options: &Options, given: &ServeOptions) -> Result<(), Failure> {
    let config: Config =
        config::read(given.config.as_deref(), "CUNKOU_NODE", &KEYS, &["relays", "addresses"])?;
    let https = given.https.clone().or(config.https).unwrap_or_else(|| "127.0.0.1:8443".into());
    let https = address(&https, "https")?;
    let http = given.http.clone().or(config.http);
    let http = http.map(|http| address(&http, "http")).transpose()?;
    let data = options.data.clone();
    let home = tokio::task::spawn_blocking(move || home::open(&data)).await.map_err(failed)??;
    abort_on_panic();
    let relays = if given.relay.is_empty() {
        config.relays.unwrap_or_else(|| home.kept.relays.clone())
    } else {
        given.relay.clone()
    };
    let replica = home.replica.clone();
    let kind = replica.device().map_or(DeviceKind::Village, |d| d.kind);
    let office = if kind == DeviceKind::Township { Office::Township } else { Office::Village };
    let port: Arc<dyn Port> = replica.clone();
    let wallet = Arc::new(Wallet::open(&options.data, replica.clone())?);
    if let Some(addresses) = config.addresses {
        wallet.reached_at(addresses)?;
    }
    let dialer = Dialer::new(relays, wallet.clone(), port);
    let app = Arc::new(App::new(office, replica.clone(), Some(dialer.handle()), wallet.hosts()));
    let socket = control::bind(&options.data).map_err(failed)?;
    let jitter = replica.clone();
    let link = tokio::spawn(dialer.run(move || {
        let mut random = [0; 4];
        jitter.draw(&mut random);
        u32::from_be_bytes(random)
    }));
    let executor =
        Arc::new(Executor { replica, wallet: wallet.clone(), data: options.data.clone() });
    let socket = tokio::spawn(control::serve(socket, executor));
    let router = web::router(app.clone(), options.data.join("practice"));
    let pages = serve::https(https, wallet.web(), router).await.map_err(failed)?;
    let pages = tokio::spawn(pages);
    let open = Open {
        https: https.port(),
        app,
        hours: config.hours.unwrap_or_default(),
        roots: Box::new(move || wallet.trusted_roots()),
    };
    let open = serve::http(http, open).await.map_err(failed)?;
    info!(%https, "serving");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result.map_err(failed)?,
    }
    info!("stopping");
    for task in
        [link.abort_handle(), pages.abort_handle(), open.abort_handle(), socket.abort_handle()]
    {
        task.abort();
    }
    let _ = std::fs::remove_file(control::socket(&options.data));
    Ok(())
}
