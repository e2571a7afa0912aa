//! Serving: pages over HTTP, the relay over QUIC, commands at the socket.

use crate::command::Executor;
use crate::home::{self, failed};
use crate::options::{Options, ServeOptions};
use crate::web;
use cunkou_casework::county::DeviceKind;
use cunkou_edge::cli::{Exit, Failure, abort_on_panic};
use cunkou_edge::{App, Office, config, control};
use cunkou_engine::Port;
use cunkou_link::Dialer;
use serde::Deserialize;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

/// Configuration of a serving box.
#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default)]
    http: Option<String>,
    #[serde(default)]
    relays: Option<Vec<String>>,
}

/// Serves until told to stop.
pub(crate) async fn serve(options: &Options, given: &ServeOptions) -> Result<(), Failure> {
    let config: Config =
        config::read(given.config.as_deref(), "CUNKOU_NODE", &["http", "relays"], &["relays"])?;
    let http = given.http.clone().or(config.http).unwrap_or_else(|| "127.0.0.1:8082".into());
    let http: SocketAddr = http.parse().map_err(|_| {
        let words = format!("http: {http} is no address; write for example 0.0.0.0:80");
        Failure::new(Exit::Usage, words)
    })?;
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
    let dialer = Dialer::new(relays, home.certificate()?, port);
    let app = Arc::new(App::new(office, replica.clone(), Some(dialer.handle())));
    let socket = control::bind(&options.data).map_err(failed)?;
    let listener = TcpListener::bind(http)
        .await
        .map_err(|e| failed(format!("cannot listen on {http}: {e}")))?;
    let jitter = replica.clone();
    let link = tokio::spawn(dialer.run(move || {
        let mut random = [0; 4];
        jitter.draw(&mut random);
        u32::from_be_bytes(random)
    }));
    let executor = Arc::new(Executor { replica, data: options.data.clone() });
    let socket = tokio::spawn(control::serve(socket, executor));
    let router = web::router(app, options.data.join("practice"));
    let pages = tokio::spawn(async move { axum::serve(listener, router).await });
    info!(%http, "serving");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result.map_err(failed)?,
    }
    info!("stopping");
    for task in [link.abort_handle(), pages.abort_handle(), socket.abort_handle()] {
        task.abort();
    }
    let _ = std::fs::remove_file(control::socket(&options.data));
    Ok(())
}
