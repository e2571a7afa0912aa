//! Serving: the console over HTTP, boxes over QUIC, commands at the socket.

use crate::home::{self, Home};
use crate::options::{Options, ServeOptions};
use crate::{link, web};
use cunkou_edge::cli::{Exit, Failure, abort_on_panic};
use cunkou_edge::deciding::Deciding;
use cunkou_edge::hosts::Hosts;
use cunkou_edge::open::Open;
use cunkou_edge::{App, Door, Office, OpenDoor, config, control, history, serve};
use cunkou_engine::Port;
use cunkou_link::{RelayCredentials, Server, Settings};
use serde::Deserialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

const KEYS: [&str; 7] =
    ["https", "http", "quic", "hours", "rp_id", "require_security_key", "congestion"];
/// So often the relay looks whether its own certificates are to be renewed.
const LOOK: Duration = Duration::from_secs(3600);

/// Configuration of a serving relay.
#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default)]
    https: Option<String>,
    #[serde(default)]
    http: Option<String>,
    #[serde(default)]
    hours: Option<String>,
    #[serde(default)]
    quic: Option<String>,
    #[serde(default)]
    rp_id: Option<String>,
    #[serde(default)]
    require_security_key: Option<Switch>,
    #[serde(default)]
    congestion: Option<String>,
}

/// On or off: a TOML boolean, or the words of an environment variable.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Switch {
    Plain(bool),
    Word(String),
}

/// Whether the county demands security keys.
fn demands_keys(given: &ServeOptions, config: &Config) -> Result<bool, Failure> {
    match &config.require_security_key {
        _ if given.require_security_key => Ok(true),
        None => Ok(false),
        Some(Switch::Plain(on)) => Ok(*on),
        Some(Switch::Word(word)) => word.parse().map_err(|_| {
            let words = format!("require_security_key: {word} is neither true nor false");
            Failure::new(Exit::Usage, words)
        }),
    }
}

/// How the relay sends to boxes.
fn settings(config: &Config) -> Result<Settings, Failure> {
    let mut settings = Settings::relay();
    if let Some(word) = &config.congestion {
        settings.congestion = word
            .parse()
            .map_err(|e: String| Failure::new(Exit::Usage, format!("congestion: {e}")))?;
    }
    Ok(settings)
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
    let config: Config = config::read(given.config.as_deref(), "CUNKOU_RELAY", &KEYS, &[])?;
    let https = given.https.as_ref().or(config.https.as_ref());
    let https = address(https, "127.0.0.1:8443", "https")?;
    let http = given.http.as_ref().or(config.http.as_ref());
    let http = http.map(|http| address(Some(http), "0.0.0.0:80", "http")).transpose()?;
    let quic = address(given.quic.as_ref().or(config.quic.as_ref()), "127.0.0.1:4443", "quic")?;
    let settings = settings(&config)?;
    let data = options.data.clone();
    let home = tokio::task::spawn_blocking(move || home::open(&data)).await.map_err(failed)??;
    let Some(home) = home else {
        let words = format!("a relay is running on {} already", options.data.display());
        return Err(Failure::new(Exit::Failed, words));
    };
    abort_on_panic();
    let home: Arc<Home> = Arc::new(home);
    let socket = control::bind(&options.data).map_err(failed)?;
    let port: Arc<dyn Port> = home.replica.clone();
    // Not in the way of starting: people at the console must be able to see what is wrong.
    if let Err(error) = home.certificates.keep_current(home.replica.now_ms()) {
        tracing::error!(%error, "the relay's certificates were not renewed");
    }
    for words in home.certificates.warnings(home.replica.now_ms())? {
        tracing::warn!("{words}");
    }
    let relay: Arc<dyn RelayCredentials> = home.clone();
    let server = Server::bind(quic, port, relay).and_then(|server| server.with_settings(settings));
    let diary = Arc::new(history::Keeper::new(home.replica.clone()));
    let server = server.map_err(failed)?.with_diary(diary);
    let hosts = Arc::new(Hosts::new(home.certificates.hosts()));
    let door: Arc<dyn Door> = Arc::new(OpenDoor(home.replica.clone()));
    let app = Arc::new(App::new(Office::County, home.replica.clone(), None, hosts, door));
    let rp_id = given.rp_id.clone().or_else(|| config.rp_id.clone());
    let rp_id = rp_id.unwrap_or_else(|| format!("c{}.home.arpa", home.code));
    let _ = app.deciding.set(Deciding::new(rp_id, demands_keys(given, &config)?));
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let until = |mut stopping: tokio::sync::watch::Receiver<bool>| async move {
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    let door = server.web_door();
    let boxes = tokio::spawn(server.run(until(stopping.clone())));
    let pages = link::beside(web::router(app.clone(), home.clone()), door);
    let console = serve::https(https, home.certificates.web(), pages);
    let console = tokio::spawn(console.await.map_err(failed)?);
    let trusted = home.clone();
    let open = Open {
        https: https.port(),
        app,
        hours: config.hours.unwrap_or_default(),
        roots: Box::new(move || trusted.certificates.trusted_roots()),
    };
    let open = serve::http(http, open).await.map_err(failed)?;
    let renewing = tokio::spawn(keep_current(home.clone()));
    let commands = home.clone();
    let socket = tokio::spawn(control::serve(socket, commands));
    let signing = tokio::spawn(each_minute(home.clone()));
    let forgetting = tokio::spawn(forget_looks(home.clone()));
    info!(%https, %quic, "serving");
    wait_for_signal().await?;
    info!("stopping");
    stop.send_replace(true);
    let _ = boxes.await;
    for task in [
        console.abort_handle(),
        open.abort_handle(),
        renewing.abort_handle(),
        signing.abort_handle(),
        forgetting.abort_handle(),
    ] {
        task.abort();
    }
    socket.abort();
    let _ = std::fs::remove_file(control::socket(&options.data));
    Ok(())
}

/// Each minute: signs what came to the log, and finishes erasures that a power cut interrupted.
async fn each_minute(home: Arc<Home>) {
    let mut minutes = tokio::time::interval(Duration::from_secs(60));
    minutes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        minutes.tick().await;
        let home = home.clone();
        let work = move || {
            if let Err(error) = home.replica.checkpoint() {
                error!(%error, "the checkpoint was not signed");
            }
            if let Err(error) = home.replica.look_after_room() {
                error!(%error, "the disk cannot be looked after");
            }
            // Twice: a round is planned for a call each half minute.
            for _ in 0..2 {
                if let Err(error) = home.replica.scrub_on(&[]) {
                    error!(%error, "the store cannot be looked through");
                    break;
                }
            }
            if let Err(error) = home.replica.compact_when_due() {
                error!(%error, "closed cases cannot be packed");
            }
            if let Err(error) = home.replica.finish_erasures() {
                error!(%error, "what is erased is not yet off the disk");
            }
        };
        if let Err(error) = tokio::task::spawn_blocking(work).await {
            error!(%error, "the work of this minute ended early");
        }
    }
}

/// Lets go of who looked at whom when it was kept long enough.
async fn forget_looks(home: Arc<Home>) {
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        let home = home.clone();
        let done = tokio::task::spawn_blocking(move || home.replica.forget_looks()).await;
        if let Ok(Err(error)) = done {
            error!(%error, "old looks cannot go");
        }
    }
}

/// The relay renews its own certificates; whoever connects then sees the new ones.
async fn keep_current(home: Arc<Home>) {
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        match home.certificates.keep_current(home.replica.now_ms()) {
            Ok(true) => info!("the relay's certificates were renewed"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the relay's certificates were not renewed"),
        }
    }
}

async fn wait_for_signal() -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result.map_err(failed)?,
    }
    Ok(())
}
