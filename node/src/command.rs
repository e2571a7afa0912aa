//! Enrolment and status.

use crate::backup;
use crate::enrol;
use crate::home::{self, failed};
use crate::keeper::Keeper;
use crate::link_test;
use crate::options::{BundleAction, Options};
use crate::traffic;
use crate::wallet::Wallet;
use cunkou_casework::entry::ClockSource;
use cunkou_edge::Door;
use cunkou_edge::app::disk_free;
use cunkou_edge::carry::ferry::{FerryLimits, Round};
use cunkou_edge::carry::files::{self, BundleLimits};
use cunkou_edge::cli::{Exit, Failure};
use cunkou_edge::control::{self, Execute};
use cunkou_edge::lists::when;
use cunkou_edge::standing::Standing;
use cunkou_edge::{carry, export, history, lane, renewal, storage};
use cunkou_link::Credentials;
use cunkou_replica::Replica;
use cunkou_vault::LeaseStanding;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[expect(clippy::print_stdout, reason = "answers of a command go to the terminal")]
pub(crate) fn show(as_json: bool, value: &Value, words: &str) {
    if as_json {
        println!("{value}");
    } else {
        println!("{words}");
    }
}

/// Answers commands of a running box.
pub(crate) struct Executor {
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) data: PathBuf,
}

impl Executor {
    fn unlocked(&self) -> Result<Arc<Replica>, Failure> {
        self.keeper.work().ok_or_else(|| {
            let words = "the box is locked; sign in on its page or run: cunkou-node unlock";
            Failure::new(Exit::Refused, words)
        })
    }
}

impl Execute for Executor {
    fn execute(&self, command: Value, progress: &dyn Fn(String)) -> Result<Value, Failure> {
        match command["do"].as_str() {
            Some("status") => {
                let work = self.keeper.work();
                let replica = work.as_ref().unwrap_or_else(|| self.keeper.open());
                let mut status = status_of(replica, &self.data)?;
                let (batches, bytes) = self.keeper.inbox();
                let (standing, days_left) = match self.keeper.standing() {
                    Some(LeaseStanding::Fine) => ("fine", None),
                    Some(LeaseStanding::Warn { days_left, .. }) => ("warn", Some(days_left)),
                    Some(LeaseStanding::Over) => ("over", Some(0)),
                    None => ("unknown", None),
                };
                status["locked"] = json!(work.is_none());
                if work.is_none() {
                    // A locked box cannot know it.
                    status["residents"] = Value::Null;
                }
                status["inbox"] = json!({ "batches": batches, "bytes": bytes });
                status["lease"] = json!({ "standing": standing, "days_left": days_left });
                status["machine_secret"] = json!(self.keeper.machine());
                status["certificate_days"] = json!(self.keeper.wallet().days_left());
                status["words"] = json!(self.keeper.words());
                status["spare"] = json!(replica.device().is_some_and(|d| d.places.is_empty()));
                let alarms = replica.alarms().map_err(failed)?;
                let alarms = alarms.iter().map(|a| json!({ "words": a.words, "at_ms": a.at_ms }));
                status["alarms"] = alarms.collect();
                // A locked box cannot know it.
                status["lost_villages"] = match &work {
                    Some(work) => crate::web::lost::status(work).map_err(failed)?,
                    None => Value::Null,
                };
                status["storage"] = storage::status(replica)?;
                status["ferry"] = json!(carry::ferry::standing(replica)?);
                status["attachments"] = lane::status(replica).map_err(failed)?;
                let contact = self.keeper.app().and_then(|app| app.link.as_ref()?.contact());
                status["link"] = json!({
                    "profile": self.keeper.reach().profile.word(),
                    "relay": contact.as_ref().map(|c| c.relay.clone()),
                    "over": contact.as_ref().map(|c| c.way.word()),
                    "neighbours": self.keeper.met(),
                    "busy_s": self.keeper.busy().map(|again| again.as_secs()),
                });
                let used = traffic::of(replica, self.keeper.open()).map_err(failed)?;
                status["traffic"] = used.iter().map(traffic::Used::json).collect();
                status["host"] = json!(self.keeper.wallet().hosts().first());
                let contacts = traffic::contacts(replica, self.keeper.open(), history::TOLD);
                status["contacts"] = history::value(&contacts.map_err(failed)?);
                // A locked box knows only what its vault does.
                let app = self.keeper.app();
                status["sync"] = match app {
                    Some(app) => Standing::whole(&app).map_err(failed)?.value(),
                    None => Value::Null,
                };
                Ok(status)
            }
            Some("renew_request") => Ok(request_of(self.keeper.open(), self.keeper.wallet())),
            Some("renew") => {
                take(self.keeper.wallet(), command["answer"].as_str().unwrap_or_default())
            }
            Some("link_test") => link_test::of_box(
                self.keeper.wallet(),
                self.keeper.relays(),
                self.keeper.reach(),
                &command,
            ),
            Some("export") => {
                let text = |key: &str| command[key].as_str().unwrap_or_default();
                let photos = command["photos"].as_bool().unwrap_or(true);
                let work = self.unlocked()?;
                export::to_file(&work, text("number"), Path::new(text("out")), photos)
            }
            Some("send_photos") => {
                lane::send_now(&*self.unlocked()?, command["number"].as_str().unwrap_or_default())
            }
            Some("rebuild") => storage::rebuild(&*self.unlocked()?, progress),
            Some("scrub") => storage::scrub(&*self.unlocked()?, &[&**self.keeper.open()], progress),
            Some("compact") => {
                let days = command["days"].as_u64().and_then(|days| u32::try_from(days).ok());
                storage::compact(&*self.unlocked()?, days.unwrap_or(90), progress)
            }
            Some("backup") => {
                self.unlocked()?;
                backup::of_box(&self.keeper, &self.data, &command, progress)
            }
            Some("bundle_export") => {
                let work = self.unlocked()?;
                let relay = carry::relay_of(&work).ok_or(carry::Fault::Unknown)?;
                let limits: BundleLimits =
                    serde_json::from_value(command["limits"].clone()).map_err(failed)?;
                let to = Path::new(command["to"].as_str().unwrap_or_default());
                files::export_command(&work, &limits.wanted(relay.id), to, progress)
            }
            Some("ferry") => {
                let work = self.unlocked()?;
                let relay = carry::relay_of(&work).ok_or(carry::Fault::Unknown)?;
                let resend_s = command["resend"].as_u64().and_then(|s| u32::try_from(s).ok());
                let folder = PathBuf::from(command["folder"].as_str().unwrap_or_default());
                let round = Round { folder, to: relay.id, resend_s: resend_s.unwrap_or(1800) };
                Ok(carry::ferry::round(&work, &round)?.value())
            }
            Some("bundle_import") => {
                let from = Path::new(command["from"].as_str().unwrap_or_default());
                match self.keeper.work() {
                    Some(work) => files::import_command(&work, from, progress),
                    None => {
                        let vault = self.keeper.inbox_port();
                        files::import_locked_command(self.keeper.open(), &vault, from, progress)
                    }
                }
            }
            Some("bind") => {
                let code = command["code"].as_str().unwrap_or_default();
                let replica = self.keeper.work();
                let replica = replica.as_ref().unwrap_or_else(|| self.keeper.open());
                enrol::bind_box(
                    replica,
                    self.keeper.wallet(),
                    self.keeper.relays(),
                    code,
                    &self.keeper.reach().links,
                )
            }
            Some("unlock") => {
                let text = |key: &str| command[key].as_str().unwrap_or_default().to_owned();
                self.keeper.unlock(&text("login"), &text("pin"))?;
                Ok(json!({ "schema": 1, "locked": false }))
            }
            Some("lock") => {
                let locked = self.keeper.lock();
                Ok(json!({ "schema": 1, "locked": true, "was_open": locked }))
            }
            _ => Err(Failure::new(Exit::Usage, "unknown command")),
        }
    }
}

#[expect(clippy::print_stderr, reason = "progress of a command goes to the terminal")]
fn progress(words: &str) {
    eprintln!("  {words}");
}

/// Carries by hand.
pub(crate) async fn bundle(options: &Options, action: &BundleAction) -> Result<(), Failure> {
    let full = |path: &Path| std::path::absolute(path).map_err(failed);
    let asked = match action {
        BundleAction::Export { to, limits } => {
            json!({ "do": "bundle_export", "to": full(to)?, "limits": limits })
        }
        BundleAction::Import { from } => json!({ "do": "bundle_import", "from": full(from)? }),
    };
    match control::ask(&options.data, &asked, &|words| progress(&words)).await? {
        Some(value) => {
            show(options.json, &value, &files::in_words(&value));
            Ok(())
        }
        None => Err(not_running(options)),
    }
}

/// Exchanges bundles through folders.
pub(crate) async fn ferry(
    options: &Options,
    folder: &Path,
    limits: &FerryLimits,
) -> Result<(), Failure> {
    let folder = std::path::absolute(folder).map_err(failed)?;
    let asked = json!({ "do": "ferry", "folder": folder, "resend": limits.resend });
    let ask = || async {
        let done = control::ask(&options.data, &asked, &|_| ()).await?;
        done.ok_or_else(|| not_running(options))
    };
    let told = |done: &Value| show(options.json, done, &done.to_string());
    if limits.once {
        told(&ask().await?);
        return Ok(());
    }
    carry::ferry::keep(Duration::from_secs(u64::from(limits.every)), ask, told, progress).await
}

/// Opens a running box.
pub(crate) async fn unlock(options: &Options, login: &str) -> Result<(), Failure> {
    let mut pin = zeroize::Zeroizing::new(String::new());
    std::io::stdin().read_line(&mut pin).map_err(failed)?;
    let asked = json!({ "do": "unlock", "login": login, "pin": pin.trim() });
    match control::ask(&options.data, &asked, &|_| ()).await? {
        Some(value) => {
            show(options.json, &value, "open");
            Ok(())
        }
        None => Err(not_running(options)),
    }
}

/// Locks a running box.
pub(crate) async fn lock(options: &Options) -> Result<(), Failure> {
    match control::ask(&options.data, &json!({ "do": "lock" }), &|_| ()).await? {
        Some(value) => {
            show(options.json, &value, "locked; the first to sign in opens it");
            Ok(())
        }
        None => Err(not_running(options)),
    }
}

pub(crate) fn not_running(options: &Options) -> Failure {
    let data = &options.data;
    if let Err(destroyed) = home::not_destroyed(data) {
        return destroyed;
    }
    if home::is_enrolled(data) {
        Failure::new(Exit::NotRunning, format!("no box is running on {}", data.display()))
    } else {
        let words = format!("there is no enrolled box in {}", data.display());
        Failure::new(Exit::NotEnrolled, words)
    }
}

fn request_of(replica: &Replica, wallet: &Wallet) -> Value {
    let name = replica.device().map(|d| d.name).unwrap_or_default();
    json!({ "schema": 1, "request": renewal::write_request(&name, &wallet.request()) })
}

fn take(wallet: &Wallet, text: &str) -> Result<Value, Failure> {
    let answer = renewal::read_answer(text)
        .ok_or_else(|| Failure::new(Exit::Refused, "this is no answer to a renewal request"))?;
    wallet.take_file(&answer).map_err(|e| Failure::new(Exit::Refused, e.words))?;
    Ok(json!({ "schema": 1, "renewed": true, "certificate_days": wallet.days_left() }))
}

/// Asks the running box, or does it here.
pub(crate) async fn by_box(
    options: &Options,
    asked: Value,
    here: impl FnOnce(&Replica, &Wallet, &[String]) -> Result<Value, Failure> + Send + 'static,
) -> Result<Value, Failure> {
    if let Some(value) = control::ask(&options.data, &asked, &|_| ()).await? {
        return Ok(value);
    }
    let data = options.data.clone();
    let work = move || {
        let home = home::open(&data)?;
        let replica = home.vault.open_replica();
        let wallet = Wallet::open(&data, replica.clone())?;
        here(replica, &wallet, &home.kept.relays)
    };
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

/// Writes a request for new certificates.
pub(crate) async fn renew_request(options: &Options, out: &Path) -> Result<(), Failure> {
    let asked = json!({ "do": "renew_request" });
    let made = by_box(options, asked, |replica, wallet, _| Ok(request_of(replica, wallet))).await?;
    let text = made["request"].as_str().unwrap_or_default();
    std::fs::write(out, text).map_err(|e| failed(format!("{}: {e}", out.display())))?;
    let words = format!(
        "carry {} to the county and run there: cunkou-relay renew FILE --out ANSWER",
        out.display()
    );
    show(options.json, &json!({ "schema": 1, "file": out }), &words);
    Ok(())
}

/// Takes new certificates from a file.
pub(crate) async fn renew(options: &Options, file: &Path) -> Result<(), Failure> {
    let text =
        std::fs::read_to_string(file).map_err(|e| failed(format!("{}: {e}", file.display())))?;
    let asked = json!({ "do": "renew", "answer": text });
    let done = by_box(options, asked, move |_, wallet, _| take(wallet, &text)).await?;
    show(options.json, &done, &format!("renewed for {} days", done["certificate_days"]));
    Ok(())
}

fn status_of(replica: &Replica, data: &Path) -> Result<Value, Failure> {
    let status = replica.status().map_err(failed)?;
    let now = replica.now_ms();
    let oldest = status.unsent.oldest_ms.map_or(0, |at| (now - at).max(0) / 1000);
    let (_, residents) =
        replica.store().read(|view| view.residents(None, None, 1, 0)).map_err(failed)?;
    let source = match status.clock {
        ClockSource::Relay => "relay",
        ClockSource::Rtc => "rtc",
        ClockSource::Tablet => "tablet",
        ClockSource::Unknown => "unknown",
    };
    Ok(json!({
        "schema": 1, "enrolled": true, "locked": false, "version": env!("CARGO_PKG_VERSION"),
        "name": replica.device().map(|d| d.name),
        "unsent": {
            "entries": status.unsent.entries, "bytes": status.unsent.bytes, "oldest_s": oldest,
        },
        "last_completed_sync": status.last_completed_ms,
        "clock": { "source": source, "error_s": status.clock_error_ms.map(|ms| ms / 1000) },
        "quarantine": status.quarantine,
        "disk_free": disk_free(data),
        "catalogue": replica.release().map(|r| r.items.version.clone()),
        "residents": residents,
    }))
}

/// Writes a case as a file.
pub(crate) async fn export(
    options: &Options,
    number: &str,
    out: &Path,
    photos: bool,
) -> Result<(), Failure> {
    let out = std::path::absolute(out).map_err(failed)?;
    let asked = json!({ "do": "export", "number": number, "out": out, "photos": photos });
    let Some(value) = control::ask(&options.data, &asked, &|_| ()).await? else {
        let words = format!("no box is running on {}", options.data.display());
        return Err(Failure::new(Exit::NotRunning, words));
    };
    let words = format!(
        "{}: {} bytes\ncheck it with: cunkou-verify {} --county {}",
        value["file"].as_str().unwrap_or_default(),
        value["bytes"],
        value["file"].as_str().unwrap_or_default(),
        value["fingerprint"].as_str().unwrap_or_default(),
    );
    show(options.json, &value, &words);
    Ok(())
}

/// Has a running box pack its closed cases.
pub(crate) async fn compact(options: &Options, days: u32) -> Result<(), Failure> {
    looked_after(options, &json!({ "do": "compact", "days": days })).await
}

/// Has a running box look after its store: `rebuild` or `scrub`.
pub(crate) async fn look_after(options: &Options, what: &str) -> Result<(), Failure> {
    looked_after(options, &json!({ "do": what })).await
}

async fn looked_after(options: &Options, asked: &Value) -> Result<(), Failure> {
    let progress = |words: String| storage::show_progress(options.json, &words);
    match control::ask(&options.data, asked, &progress).await? {
        Some(value) => {
            let fields = value.as_object().into_iter().flatten();
            let lines: Vec<String> = fields.map(|(key, value)| format!("{key}: {value}")).collect();
            show(options.json, &value, &lines.join("\n"));
            Ok(())
        }
        None => Err(not_running(options)),
    }
}

/// Sends the photos of a case now.
pub(crate) async fn send_photos(options: &Options, number: &str) -> Result<(), Failure> {
    let asked = json!({ "do": "send_photos", "number": number });
    let Some(value) = control::ask(&options.data, &asked, &|_| ()).await? else {
        return Err(not_running(options));
    };
    let number = value["number"].as_str().unwrap_or_default();
    show(options.json, &value, &format!("the photos of {number} go and come within ten minutes"));
    Ok(())
}

/// How the box is.
pub(crate) async fn status(options: &Options) -> Result<(), Failure> {
    let asked = json!({ "do": "status" });
    if let Some(value) = control::ask(&options.data, &asked, &|_| ()).await? {
        show(options.json, &value, &in_words(&value));
        return Ok(());
    }
    Err(not_running(options))
}

/// Status for people at a shell.
fn in_words(value: &Value) -> String {
    let sync = &value["sync"];
    let time = |ms: &Value| ms.as_i64().map_or_else(|| "never".to_owned(), when);
    let number = |of: &Value| of.as_u64().unwrap_or(0);
    let here = &sync["only_here"];
    let mut lines = vec![
        format!(
            "{}: running, {}version {}",
            value["name"].as_str().unwrap_or("box"),
            if value["locked"] == true { "locked, " } else { "" },
            value["version"].as_str().unwrap_or_default(),
        ),
        format!(
            "to upload: {} entries, {} bytes",
            value["unsent"]["entries"], value["unsent"]["bytes"]
        ),
        format!(
            "on this box only: {} cases, {} photos ({} bytes), since {}",
            number(&here["cases"]),
            number(&here["photos"]),
            number(&here["photo_bytes"]),
            time(&here["oldest_ms"]),
        ),
        format!("link: {}", sync["state"].as_str().unwrap_or("none")),
        format!("last completed sync: {}", time(&value["last_completed_sync"])),
        format!("last contact: {}", time(&sync["last_contact_ms"])),
        format!("in quarantine: {}", value["quarantine"]),
        format!("free on disk: {} MB", number(&value["disk_free"]) / 1_000_000),
    ];
    if let Some(failure) = sync["failure"].as_object() {
        lines.push(format!(
            "not connected: {} ({} attempts since {})",
            failure["words"].as_str().unwrap_or_default(),
            failure["times"],
            time(&failure["since_ms"]),
        ));
    }
    let needs = sync["needs"].as_array().into_iter().flatten();
    lines.extend(needs.map(|need| {
        let text = |key: &str| need[key].as_str().unwrap_or_default();
        format!("needs {}: {}", text("who"), text("en"))
    }));
    lines.join("\n")
}
