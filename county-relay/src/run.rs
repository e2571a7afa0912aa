//! Serving: the console over HTTP, boxes over QUIC, commands at the socket.

use crate::home::{self, Home};
use crate::options::{Options, ServeOptions};
use crate::web;
use cunkou_edge::cli::{Exit, Failure, abort_on_panic};
use cunkou_edge::{App, Door, Office, OpenDoor, config, control};
use cunkou_engine::Port;
use cunkou_link::{Enroller, Server};
use serde::Deserialize;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

/// Configuration of a serving relay.
#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default)]
    http: Option<String>,
    #[serde(default)]
    quic: Option<String>,
}

fn failed(e: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, e.to_string())
}

fn address(given: Option<&String>, fallback: &str, what: &str) -> Result<SocketAddr, Failure> {
    let text = given.map_or(fallback, String::as_str);
    text.parse().map_err(|_| {
        let words = format!("{what}: {text} is no address; write for example {fallback}");
        Failure::new(Exit::Usage, words)
    })
}

/// Serves until told to stop.
pub(crate) async fn serve(options: &Options, given: &ServeOptions) -> Result<(), Failure> {
    let config: Config =
        config::read(given.config.as_deref(), "CUNKOU_RELAY", &["http", "quic"], &[])?;
    let http = address(given.http.as_ref().or(config.http.as_ref()), "127.0.0.1:8080", "http")?;
    let quic = address(given.quic.as_ref().or(config.quic.as_ref()), "127.0.0.1:4443", "quic")?;
    let data = options.data.clone();
    let home = tokio::task::spawn_blocking(move || home::open(&data)).await.map_err(failed)??;
    let Some(home) = home else {
        let words = format!("a relay is running on {} already", options.data.display());
        return Err(Failure::new(Exit::Failed, words));
    };
    abort_on_panic();
    let home: Arc<Home> = Arc::new(home);
    let socket = control::bind(&options.data).map_err(failed)?;
    let listener = TcpListener::bind(http)
        .await
        .map_err(|e| failed(format!("cannot listen on {http}: {e}")))?;
    let port: Arc<dyn Port> = home.replica.clone();
    let enroller: Arc<dyn Enroller> = home.clone();
    let server = Server::bind(quic, &home.certificate()?, port, enroller).map_err(failed)?;
    let door: Arc<dyn Door> = Arc::new(OpenDoor(home.replica.clone()));
    let app = Arc::new(App::new(Office::County, home.replica.clone(), None, door));
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let until = |mut stopping: tokio::sync::watch::Receiver<bool>| async move {
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    let boxes = tokio::spawn(server.run(until(stopping.clone())));
    let console =
        axum::serve(listener, web::router(app)).with_graceful_shutdown(until(stopping.clone()));
    let console = tokio::spawn(async move { console.await });
    let commands = home.clone();
    let socket = tokio::spawn(control::serve(socket, commands));
    info!(%http, %quic, "serving");
    wait_for_signal().await?;
    info!("stopping");
    stop.send_replace(true);
    let _ = boxes.await;
    console.abort();
    socket.abort();
    let _ = std::fs::remove_file(control::socket(&options.data));
    Ok(())
}

async fn wait_for_signal() -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result.map_err(failed)?,
    }
    Ok(())
}
