//! Serving: pages over HTTP, the relay over QUIC, commands at the socket.

use crate::command::Executor;
use crate::home::{self, failed};
use crate::keeper::Keeper;
use crate::options::{Options, ServeOptions};
use cunkou_edge::cli::{Exit, Failure, abort_on_panic};
use cunkou_edge::{config, control};
use serde::Deserialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
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
    #[serde(default)]
    lock_after: Option<Minutes>,
}

/// A number, or a number in an environment variable.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Minutes {
    Number(u64),
    Text(String),
}

impl Minutes {
    fn read(self) -> Result<u64, Failure> {
        match self {
            Self::Number(minutes) => Ok(minutes),
            Self::Text(text) => text.trim().parse().map_err(|_| {
                let words = format!("lock_after: {text} is no number of minutes");
                Failure::new(Exit::Usage, words)
            }),
        }
    }
}

/// Serves until told to stop.
pub(crate) async fn serve(options: &Options, given: &ServeOptions) -> Result<(), Failure> {
    let config: Config = config::read(
        given.config.as_deref(),
        "CUNKOU_NODE",
        &["http", "relays", "lock_after"],
        &["relays"],
    )?;
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
    let minutes = match given.lock_after {
        Some(minutes) => Some(minutes),
        None => config.lock_after.map(Minutes::read).transpose()?,
    };
    let lock_after = minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
    let keeper = Keeper::begin(home, options.data.clone(), relays, lock_after)?;
    let socket = control::bind(&options.data).map_err(failed)?;
    let listener = TcpListener::bind(http)
        .await
        .map_err(|e| failed(format!("cannot listen on {http}: {e}")))?;
    let executor = Arc::new(Executor { keeper: keeper.clone(), data: options.data.clone() });
    let socket = tokio::spawn(control::serve(socket, executor));
    let router = keeper.pages();
    let pages = tokio::spawn(async move { axum::serve(listener, router).await });
    info!(%http, "serving");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        result = tokio::signal::ctrl_c() => result.map_err(failed),
        failure = keeper.watch() => Err(failure),
    };
    info!("stopping");
    for task in [pages.abort_handle(), socket.abort_handle()] {
        task.abort();
    }
    let _ = std::fs::remove_file(control::socket(&options.data));
    ended
}
