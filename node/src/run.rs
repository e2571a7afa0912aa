//! Serving: pages over HTTP, the relay over QUIC, commands at the socket.

use crate::command::Executor;
use crate::home::{self, failed};
use crate::keeper::Keeper;
use crate::links::LinkConfig;
use crate::options::{Options, ServeOptions};
use crate::wallet::Wallet;
use cunkou_edge::cli::{Exit, Failure, abort_on_panic};
use cunkou_edge::open::Open;
use cunkou_edge::{config, control, serve};
use cunkou_replica::Budget;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

const KEYS: [&str; 13] = [
    "https",
    "http",
    "relays",
    "addresses",
    "hours",
    "lock_after",
    "photo_bytes",
    "link",
    "congestion",
    "mtu_discovery",
    "proxy",
    "neighbours",
    "neighbours_after",
];

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
    #[serde(default)]
    lock_after: Option<Number>,
    #[serde(default)]
    photo_bytes: Option<Number>,
    #[serde(flatten)]
    link: LinkConfig,
}

fn address(text: &str, what: &str) -> Result<SocketAddr, Failure> {
    text.parse().map_err(|_| {
        let words = format!("{what}: {text} is no address; write for example 0.0.0.0:443");
        Failure::new(Exit::Usage, words)
    })
}

/// A number, or a number in an environment variable.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Number(u64),
    Text(String),
}

impl Number {
    fn read(self, key: &str) -> Result<u64, Failure> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Text(text) => text.trim().parse().map_err(|_| {
                let words = format!("{key}: {text} is no number");
                Failure::new(Exit::Usage, words)
            }),
        }
    }
}

/// Serves until told to stop.
pub(crate) async fn serve(options: &Options, given: &ServeOptions) -> Result<(), Failure> {
    let config: Config =
        config::read(given.config.as_deref(), "CUNKOU_NODE", &KEYS, &["relays", "addresses"])?;
    let https = given.https.clone().or(config.https).unwrap_or_else(|| "127.0.0.1:8443".into());
    let https = address(&https, "https")?;
    let reach = config.link.read()?;
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
    let minutes = match given.lock_after {
        Some(minutes) => Some(minutes),
        None => config.lock_after.map(|n| n.read("lock_after")).transpose()?,
    };
    let lock_after = minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
    let bytes_per_day = match given.photo_bytes {
        Some(bytes) => Some(bytes),
        None => config.photo_bytes.map(|n| n.read("photo_bytes")).transpose()?,
    };
    let of_link = reach.links.settings.attachment_bytes_per_day;
    let bytes_per_day = bytes_per_day.or((of_link != u64::MAX).then_some(of_link));
    let budget = Budget { bytes_per_day };
    let wallet = Arc::new(Wallet::open(&options.data, home.vault.open_replica().clone())?);
    if let Some(addresses) = config.addresses {
        wallet.reached_at(addresses)?;
    }
    let congestion = reach.links.settings.congestion.word();
    info!(link = %reach.profile, congestion, "the link");
    let data = options.data.clone();
    let keeper = Keeper::begin(home, wallet.clone(), data, relays, reach, lock_after, budget)?;
    let socket = control::bind(&options.data).map_err(failed)?;
    let executor = Arc::new(Executor { keeper: keeper.clone(), data: options.data.clone() });
    let socket = tokio::spawn(control::serve(socket, executor));
    let pages = serve::https(https, wallet.web(), keeper.pages()).await.map_err(failed)?;
    let pages = tokio::spawn(pages);
    let open = Open {
        https: https.port(),
        app: keeper.app().ok_or_else(|| failed("the box is stopping"))?,
        hours: config.hours.unwrap_or_default(),
        roots: Box::new(move || wallet.trusted_roots()),
    };
    let open = serve::http(http, open).await.map_err(failed)?;
    info!(%https, "serving");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        result = tokio::signal::ctrl_c() => result.map_err(failed),
        failure = keeper.watch() => Err(failure),
    };
    info!("stopping");
    for task in [pages.abort_handle(), open.abort_handle(), socket.abort_handle()] {
        task.abort();
    }
    let _ = std::fs::remove_file(control::socket(&options.data));
    ended
}
