//! Commands: done by the running daemon if there is one, else here.

use crate::certificates;
use crate::enrolments::{Offered, Where};
use crate::home::{self, Home};
use crate::options::{
    Action, Administrators, BoxKind, BundleAction, Ca, Catalogue, CheckpointAction, Enrol, Export,
    Forks, GrantAction, Import, LeaseAction, Options, RoleArg, Staff, Villages,
};
use crate::{histories, import, keys};
use cunkou_casework::catalogue::{Contacts, Item, Items, Release, read};
use cunkou_casework::county::{
    Administrator, Constitution, DeviceKind, Given, KIN_MAX, Person, Place, Post, Power, Role,
    Statement,
};
use cunkou_casework::event::Level;
use cunkou_casework::hex;
use cunkou_casework::ids::{DeviceId, PersonId, PlaceId, SubjectId};
use cunkou_casework::suite::{PublicKey, SecretKey, attachment_id};
use cunkou_edge::bounded;
use cunkou_edge::carry::ferry::{self, Round};
use cunkou_edge::carry::files::{self, BundleLimits};
use cunkou_edge::cli::{Exit, Failure};
use cunkou_edge::control::{self, Execute};
use cunkou_edge::{history, pin, renewal, storage};
use cunkou_link::RelayCredentials;
use cunkou_replica::{ActError, SystemWorld, World};
use cunkou_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What can be asked of a daemon.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Command {
    Enrol {
        kind: DeviceKind,
        name: String,
        places: Vec<PlaceId>,
        phone: String,
        to: Where,
    },
    EnrolAnswer {
        request: PathBuf,
        out: PathBuf,
    },
    BindCode {
        places: Vec<PlaceId>,
        hours: u32,
    },
    Confirm {
        device: String,
    },
    StaffAdd {
        login: String,
        name: String,
        posts: Vec<Post>,
        phone: String,
        pin: String,
    },
    StaffList,
    Publish {
        folder: PathBuf,
        places: PathBuf,
    },
    ImportResidents {
        file: PathBuf,
        login: String,
    },
    StaffRemove {
        login: String,
        reason: String,
        distrust: bool,
    },
    StaffKin {
        login: String,
        numbers: Vec<String>,
    },
    KeyCode {
        login: String,
    },
    VillagesList,
    VillagesServe {
        device: String,
        places: Vec<PlaceId>,
    },
    VillagesMerge {
        place: PlaceId,
        into: PlaceId,
    },
    Revoke {
        device: String,
        reason: String,
    },
    Submit {
        file: PathBuf,
    },
    Administrators,
    Replace {
        administrators: Vec<Administrator>,
        threshold: u8,
    },
    GrantAdd {
        to: String,
        powers: Vec<Power>,
        places: Vec<PlaceId>,
        count: u32,
        days: u32,
        depth: u8,
    },
    GrantEnd {
        grant: String,
        reason: String,
    },
    GrantList,
    Forks,
    ForksClear {
        device: String,
        reason: String,
    },
    Lift {
        device: String,
    },
    ExportCase {
        number: String,
        out: PathBuf,
        photos: bool,
    },
    CheckpointExport {
        out: PathBuf,
        from: Vec<u64>,
    },
    CheckpointCosigned {
        file: PathBuf,
        name: String,
    },
    CheckpointList,
    TakeIssuing {
        certificate: String,
        key: String,
    },
    TrustRoot {
        root: String,
    },
    Renew {
        file: PathBuf,
        out: PathBuf,
    },
    LeaseExtend {
        device: String,
        challenge: String,
    },
    PinCode {
        device: String,
        login: String,
        number: String,
    },
    Backup {
        out: PathBuf,
    },
    Compact {
        days: u32,
    },
    Rebuild,
    Scrub,
    BundleExport {
        device: String,
        to: PathBuf,
        limits: BundleLimits,
    },
    BundleImport {
        from: PathBuf,
    },
    Ferry {
        folder: PathBuf,
        to: String,
        resend: u32,
    },
    Status,
}

/// The places of a catalogue folder.
#[derive(Debug, Deserialize)]
struct PlacesFile {
    county: PlaceRow,
    places: Vec<PlaceRow>,
    contacts: Contacts,
}

#[derive(Debug, Deserialize)]
struct PlaceRow {
    id: PlaceId,
    #[serde(default)]
    kind: Option<Level>,
    code: String,
    name: String,
    #[serde(default)]
    name_en: String,
    #[serde(default)]
    parent: Option<PlaceId>,
}

impl PlaceRow {
    fn place(self) -> Place {
        Place {
            id: self.id,
            level: self.kind.unwrap_or(Level::County),
            code: self.code,
            name: self.name,
            name_en: self.name_en,
            parent: self.parent,
        }
    }
}

fn failed(e: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, e.to_string())
}

fn refused(words: impl Into<String>) -> Failure {
    Failure::new(Exit::Refused, words)
}

/// Prints an answer, for people or for programs.
#[expect(clippy::print_stdout, reason = "answers of a command go to the terminal")]
pub(crate) fn show(json: bool, value: &Value) {
    if json {
        println!("{value}");
        return;
    }
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) => println!("{key}: {text}"),
                    Value::Array(rows) => {
                        println!("{key}:");
                        for row in rows {
                            match row {
                                Value::String(text) => println!("  {text}"),
                                other => println!("  {other}"),
                            }
                        }
                    }
                    Value::Object(inner) if inner.contains_key("warnings") => {
                        for (name, value) in inner.iter().filter(|(name, _)| *name != "warnings") {
                            println!("{key}.{name}: {value}");
                        }
                        for words in inner["warnings"].as_array().into_iter().flatten() {
                            println!("! {}", words.as_str().unwrap_or_default());
                        }
                    }
                    other => println!("{key}: {other}"),
                }
            }
        }
        other => println!("{other}"),
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(failed)
}

fn role(arg: RoleArg) -> Role {
    match arg {
        RoleArg::Agent => Role::Agent,
        RoleArg::Township => Role::Township,
        RoleArg::Reviewer => Role::Reviewer,
        RoleArg::Finance => Role::Finance,
        RoleArg::It => Role::It,
        RoleArg::Security => Role::Security,
        RoleArg::Audit => Role::Audit,
        RoleArg::DataOfficer => Role::DataOfficer,
    }
}

fn command(data: &Path, action: &Action) -> Result<Command, Failure> {
    Ok(match action {
        Action::Enrol(Enrol {
            kind, name, places, phone, relay, hours, out, qr, qr_out, ..
        }) => Command::Enrol {
            kind: match kind {
                BoxKind::Village => DeviceKind::Village,
                BoxKind::Township => DeviceKind::Township,
            },
            name: name.clone(),
            places: places.iter().copied().map(PlaceId).collect(),
            phone: phone.clone(),
            to: Where {
                relay: relay.clone(),
                hours: *hours,
                out: absolute(out)?,
                qr: *qr,
                qr_out: qr_out.as_deref().map(absolute).transpose()?,
            },
        },
        Action::EnrolAnswer { request, out } => {
            Command::EnrolAnswer { request: absolute(request)?, out: absolute(out)? }
        }
        Action::BindCode { places, hours } => Command::BindCode {
            places: places.iter().copied().map(PlaceId).collect(),
            hours: *hours,
        },
        Action::Confirm { device } => Command::Confirm { device: device.clone() },
        Action::Staff(Staff::Add { login, name, role: r, places, department, phone }) => {
            let mut pin = String::new();
            std::io::stdin().read_line(&mut pin).map_err(failed)?;
            let departments: Vec<Option<String>> = if department.is_empty() {
                vec![None]
            } else {
                department.iter().cloned().map(Some).collect()
            };
            let posts = places.iter().flat_map(|place| {
                departments.iter().map(|department| Post {
                    role: role(*r),
                    place: PlaceId(*place),
                    department: department.clone(),
                })
            });
            Command::StaffAdd {
                login: login.clone(),
                name: name.clone(),
                posts: posts.collect(),
                phone: phone.clone(),
                pin: pin.trim().to_owned(),
            }
        }
        Action::Staff(Staff::List) => Command::StaffList,
        Action::Catalogue(Catalogue::Publish { folder, places }) => Command::Publish {
            places: absolute(places.as_ref().unwrap_or(&folder.join("places.json")))?,
            folder: absolute(folder)?,
        },
        Action::Import(Import::Residents { file, login }) => {
            Command::ImportResidents { file: absolute(file)?, login: login.clone() }
        }
        Action::Staff(Staff::Remove { login, reason, distrust }) => Command::StaffRemove {
            login: login.clone(),
            reason: reason.clone(),
            distrust: *distrust,
        },
        Action::Villages(Villages::List) => Command::VillagesList,
        Action::Villages(Villages::Serve { device, places }) => Command::VillagesServe {
            device: device.clone(),
            places: places.iter().copied().map(PlaceId).collect(),
        },
        Action::Villages(Villages::Merge { place, into }) => {
            Command::VillagesMerge { place: PlaceId(*place), into: PlaceId(*into) }
        }
        Action::Revoke { device, reason } => {
            Command::Revoke { device: device.clone(), reason: reason.clone() }
        }
        Action::Lease(LeaseAction::Extend { device, challenge }) => {
            Command::LeaseExtend { device: device.clone(), challenge: challenge.clone() }
        }
        Action::PinCode { device, login, number } => Command::PinCode {
            device: device.clone(),
            login: login.clone(),
            number: number.clone(),
        },
        Action::Compact { days } => Command::Compact { days: *days },
        Action::Rebuild => Command::Rebuild,
        Action::Scrub => Command::Scrub,
        Action::Backup { out } => Command::Backup { out: absolute(out)? },
        Action::Bundle(BundleAction::Export { device, to, limits }) => {
            Command::BundleExport { device: device.clone(), to: absolute(to)?, limits: *limits }
        }
        Action::Bundle(BundleAction::Import { from }) => {
            Command::BundleImport { from: absolute(from)? }
        }
        Action::Ferry { folder, to, limits } => {
            Command::Ferry { folder: absolute(folder)?, to: to.clone(), resend: limits.resend }
        }
        Action::Submit { file } => Command::Submit { file: absolute(file)? },
        Action::Administrators(Administrators::List) => Command::Administrators,
        Action::Administrators(Administrators::Replace { who, threshold }) => Command::Replace {
            administrators: who.iter().map(|who| administrator(who)).collect::<Result<_, _>>()?,
            threshold: *threshold,
        },
        Action::Grant(GrantAction::Add { to, powers, places, count, days, depth }) => {
            Command::GrantAdd {
                to: to.clone(),
                powers: powers.clone(),
                places: places.iter().copied().map(PlaceId).collect(),
                count: *count,
                days: *days,
                depth: *depth,
            }
        }
        Action::Grant(GrantAction::End { grant, reason }) => {
            Command::GrantEnd { grant: grant.clone(), reason: reason.clone() }
        }
        Action::Grant(GrantAction::List) => Command::GrantList,
        Action::Forks(Forks::List) => Command::Forks,
        Action::Forks(Forks::Clear { device, reason }) => {
            Command::ForksClear { device: device.clone(), reason: reason.clone() }
        }
        Action::Lift { device } => Command::Lift { device: device.clone() },
        Action::Staff(Staff::Kin { login }) => {
            let typed = std::io::stdin().lock().lines().take(KIN_MAX + 1);
            let numbers = typed.collect::<Result<Vec<_>, _>>().map_err(failed)?;
            let numbers = numbers.iter().map(|n| n.trim().to_owned());
            let numbers = numbers.filter(|n| !n.is_empty()).collect();
            Command::StaffKin { login: login.clone(), numbers }
        }
        Action::Staff(Staff::KeyCode { login }) => Command::KeyCode { login: login.clone() },
        Action::Export(Export::Case { number, out, no_photos }) => {
            Command::ExportCase { number: number.clone(), out: absolute(out)?, photos: !no_photos }
        }
        Action::Checkpoint(CheckpointAction::Export { file, from }) => {
            Command::CheckpointExport { out: absolute(file)?, from: from.clone() }
        }
        Action::Checkpoint(CheckpointAction::Cosigned { file, name }) => {
            Command::CheckpointCosigned { file: absolute(file)?, name: name.clone() }
        }
        Action::Checkpoint(CheckpointAction::List) => Command::CheckpointList,
        // The root's key is used here, in the command's own process: the daemon never sees it.
        Action::Ca(Ca::RenewIssuing { root_key }) => {
            let (certificate, key) =
                certificates::sign_issuing(data, root_key, SystemWorld.now_ms())?;
            Command::TakeIssuing { certificate, key }
        }
        Action::Ca(Ca::NewRoot { offline }) => Command::TrustRoot {
            root: certificates::make_root(data, offline, SystemWorld.now_ms())?,
        },
        Action::Renew { file, out } => {
            Command::Renew { file: absolute(file)?, out: absolute(out)? }
        }
        Action::Status => Command::Status,
        Action::Init(_)
        | Action::NewKey { .. }
        | Action::Sign { .. }
        | Action::Serve(_)
        | Action::Restore { .. }
        | Action::Recover { .. }
        | Action::Routes => {
            return Err(failed("not a command for a daemon"));
        }
    })
}

fn administrator(text: &str) -> Result<Administrator, Failure> {
    let bad = || Failure::new(Exit::Usage, format!("{text}: write NAME=KEY, the key of 64 digits"));
    let (name, key) = text.split_once('=').ok_or_else(bad)?;
    let key = hex::decode(key).and_then(|k| k.try_into().ok()).ok_or_else(bad)?;
    Ok(Administrator { name: name.to_owned(), key: PublicKey(key) })
}

#[expect(clippy::print_stderr, reason = "progress of a command goes to the terminal")]
pub(crate) fn progress(words: &str) {
    eprintln!("  {words}");
}

/// Runs a command.
pub(crate) async fn run(options: &Options, action: &Action) -> Result<(), Failure> {
    let command = command(&options.data, action)?;
    let as_json = options.json;
    if let Action::Ferry { limits, .. } = action
        && !limits.once
    {
        let every = std::time::Duration::from_secs(u64::from(limits.every));
        let told = |done: &Value| show(as_json, done);
        return ferry::keep(every, || answered(options, &command), told, progress).await;
    }
    show(as_json, &answered(options, &command).await?);
    Ok(())
}

async fn answered(options: &Options, command: &Command) -> Result<Value, Failure> {
    let asked = serde_json::to_value(command).map_err(failed)?;
    let as_json = options.json;
    let told = move |words: String| storage::show_progress(as_json, &words);
    if let Some(answer) = control::ask(&options.data, &asked, &told).await? {
        return Ok(answer);
    }
    if matches!(command, Command::Status) {
        let Some(home) = home::open(&options.data)? else {
            return Err(failed("the relay is starting or stopping; try again"));
        };
        drop(home);
        let words = format!("no relay is running on {}", options.data.display());
        return Err(Failure::new(Exit::NotRunning, words));
    }
    let work = {
        let data = options.data.clone();
        move || {
            let Some(home) = home::open(&data)? else {
                return Err(failed("the relay is starting or stopping; try again"));
            };
            home.execute(asked, &told)
        }
    };
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

impl Execute for Home {
    fn execute(&self, command: Value, progress: &dyn Fn(String)) -> Result<Value, Failure> {
        let command: Command = serde_json::from_value(command).map_err(failed)?;
        match command {
            Command::Enrol { kind, name, places, phone, to } => {
                self.offer(&Offered { kind, name, places, phone, bind: false }, &to)
            }
            Command::EnrolAnswer { request, out } => self.answer_enrolment(&request, &out),
            Command::BindCode { places, hours } => self.bind_code(places, hours),
            Command::Confirm { device } => self.compared(&device),
            Command::StaffAdd { login, name, posts, phone, pin } => {
                self.add_staff(&login, &name, posts, &phone, &pin)
            }
            Command::StaffList => Ok(self.list_staff()),
            Command::Publish { folder, places } => self.publish(&folder, &places),
            Command::ImportResidents { file, login } => {
                import::residents(self, &file, &login, progress)
            }
            Command::StaffRemove { login, reason, distrust } => {
                self.remove_staff(&login, reason, distrust)
            }
            Command::Lift { device } => {
                let device = self.find_box(&device)?;
                let lifted = self.replica.lift(device).map_err(failed)?;
                Ok(json!({ "schema": 1, "device": device.to_string(), "lifted": lifted }))
            }
            Command::Compact { days } => storage::compact(&self.replica, days, progress),
            Command::Rebuild => storage::rebuild(&self.replica, progress),
            Command::Scrub => storage::scrub(&self.replica, &[], progress),
            Command::StaffKin { login, numbers } => self.register_kin(&login, &numbers),
            Command::KeyCode { login } => {
                let county = self.replica.county();
                let person = county
                    .person_by_login(&login)
                    .filter(|p| p.posts.iter().any(|post| post.role == Role::Reviewer))
                    .ok_or_else(|| {
                        refused(format!("there is no reviewer with the login {login}"))
                    })?;
                let code = keys::code::make(&self.replica, person.id).map_err(failed)?;
                Ok(json!({
                    "schema": 1, "login": login, "code": code, "hours": 72,
                    "next": "give it to the person; they sign in at the console and open 我的安全密钥",
                }))
            }
            Command::VillagesList => Ok(self.list_villages()),
            Command::VillagesServe { device, places } => {
                self.serve_villages(self.find_box(&device)?, places)
            }
            Command::VillagesMerge { place, into } => self.merge_villages(place, into),
            Command::Revoke { device, reason } => {
                let device = self.find_box(&device)?;
                let revoked = Statement::DeviceRevoked { device, reason };
                self.say(vec![revoked], json!({ "schema": 1, "revoked": device.to_string() }))
            }
            Command::Submit { file } => self.submit(&file),
            Command::Administrators => Ok(self.administrators()),
            Command::Replace { administrators, threshold } => {
                let recovery = self.replica.county().constitution().recovery;
                let next = Constitution { administrators, threshold, recovery };
                self.say(vec![Statement::Constitution(next)], json!({ "schema": 1 }))
            }
            Command::GrantAdd { to, powers, places, count, days, depth } => {
                self.grant(&to, powers, places, count, days, depth)
            }
            Command::GrantEnd { grant, reason } => self.end_grant(&grant, reason),
            Command::GrantList => Ok(self.grants()),
            Command::Forks => Ok(json!({ "schema": 1, "forks": histories::list(&self.replica)? })),
            Command::ForksClear { device, reason } => self.clear_forks(&device, reason),
            Command::ExportCase { number, out, photos } => {
                cunkou_edge::export::to_file(&self.replica, &number, &out, photos)
            }
            Command::CheckpointExport { out, from } => self.export_checkpoint(&out, &from),
            Command::CheckpointCosigned { file, name } => self.take_checkpoint(&file, &name),
            Command::CheckpointList => self.list_checkpoints(),
            Command::TakeIssuing { certificate, key } => {
                self.certificates.take_issuing(&certificate, &key, self.replica.now_ms())
            }
            Command::TrustRoot { root } => {
                let trusted = self.certificates.trust(&root)?;
                let roots = self.certificates.trusted_roots().into_iter().map(Into::into);
                self.say(vec![Statement::Roots { roots: roots.collect() }], trusted)
            }
            Command::Renew { file, out } => self.renew_by_file(&file, &out),
            Command::LeaseExtend { device, challenge } => self.extend_lease(&device, &challenge),
            Command::PinCode { device, login, number } => self.pin_code(&device, &login, &number),
            Command::Backup { out } => self.back_up(&out, progress),
            Command::BundleExport { device, to, limits } => {
                let wanted = limits.wanted(self.find_box(&device)?);
                files::export_command(&self.replica, &wanted, &to, progress)
            }
            Command::Ferry { folder, to, resend } => {
                let to = self.find_other(&to)?;
                let round = Round { folder, to, resend_s: resend };
                Ok(ferry::round(&self.replica, &round)?.value())
            }
            Command::BundleImport { from } => files::import_command(&self.replica, &from, progress),
            Command::Status => self.status(),
        }
    }
}

/// Writes a file that was not there, readable by its owner alone.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut f| f.write_all(text.as_bytes()))
        .map_err(|e| failed(format!("{}: {e}", path.display())))
}

impl Home {
    /// The box whose id begins so.
    pub(crate) fn find_box(&self, start: &str) -> Result<DeviceId, Failure> {
        let county = self.replica.county();
        let found: Vec<DeviceId> = county
            .devices()
            .filter(|d| d.kind != DeviceKind::Relay)
            .map(|d| d.id)
            .filter(|id| start.len() >= 4 && id.to_string().starts_with(start))
            .collect();
        match found[..] {
            [device] => Ok(device),
            _ => Err(refused(format!(
                "{} boxes have an id that begins so; give more of it, as the console lists it",
                found.len()
            ))),
        }
    }

    /// The machine, other than this relay, whose id begins so.
    fn find_other(&self, start: &str) -> Result<DeviceId, Failure> {
        let county = self.replica.county();
        let mut found = county.devices().map(|d| d.id).filter(|id| {
            *id != self.replica.me().device && start.len() >= 4 && id.to_string().starts_with(start)
        });
        match (found.next(), found.next()) {
            (Some(device), None) => Ok(device),
            _ => Err(refused("not exactly one machine has an id that begins so; give more of it")),
        }
    }

    /// Answers a renewal request that was carried here.
    fn renew_by_file(&self, file: &Path, out: &Path) -> Result<Value, Failure> {
        let text =
            fs::read_to_string(file).map_err(|e| failed(format!("{}: {e}", file.display())))?;
        let request = renewal::read_request(&text)
            .ok_or_else(|| refused(format!("{} is no renewal request of a box", file.display())))?;
        let answer = self.renew(&request).map_err(|r| refused(r.words))?;
        write_new(out, &renewal::write_answer(&answer))?;
        Ok(json!({
            "schema": 1, "file": out,
            "next": "carry the file back to the box and run: cunkou-node renew FILE",
        }))
    }

    fn add_staff(
        &self,
        login: &str,
        name: &str,
        posts: Vec<Post>,
        phone: &str,
        pin: &str,
    ) -> Result<Value, Failure> {
        if !pin::is_pin(pin) {
            return Err(refused("the PIN has 4 to 12 digits; give it on standard input"));
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if login.is_empty() || login.len() > 40 || !login.chars().all(plain) {
            return Err(refused("a login has lower-case letters, digits and dashes"));
        }
        let county = self.replica.county();
        for post in &posts {
            let fits =
                county.place(post.place).is_some_and(|place| place.level == post.role.level());
            if !fits {
                let words = format!(
                    "place {} is unknown, or not of the level of this role; agents work in villages, \
                     township staff in townships, others in the county",
                    post.place
                );
                return Err(refused(words));
            }
            if post.role == Role::Reviewer && post.department.is_none() {
                return Err(refused("a reviewer needs --department"));
            }
        }
        let known = county.person_by_login(login).map(|p| p.id);
        let mut drawn = [0; 16];
        self.replica.draw(&mut drawn);
        let id = known.unwrap_or(PersonId(drawn));
        let signs = posts.iter().any(|p| matches!(p.role, Role::Agent | Role::Township));
        let mut seed = [0; 32];
        self.replica.draw(&mut seed);
        let key = signs.then(|| SecretKey::from_seed(&seed));
        // A key is taken away by its owner or by name, never by a changed telephone number.
        let known_keys = county.person(id).and_then(|p| p.keys.clone());
        let person = Person {
            id,
            login: login.to_owned(),
            name: name.to_owned(),
            key: key.as_ref().map(SecretKey::public),
            posts: posts.clone(),
            phone: phone.to_owned(),
            kin: county.person(id).and_then(|p| p.kin.clone()),
            keys: known_keys,
        };
        let added = json!({ "schema": 1, "person": id.to_string(), "login": login, "name": name });
        let said = self.say(vec![Statement::Person(person)], added)?;
        if let Some(key) = &key {
            let credential =
                pin::wrap(&self.replica, id, key, pin, Given::County).map_err(failed)?;
            let places: Vec<PlaceId> = posts.iter().map(|p| p.place).collect();
            self.replica
                .act(|desk| desk.give_credential(None, &credential, &places))
                .map_err(|e: ActError| failed(e))?;
        } else {
            pin::set_county_pin(&self.replica, id, pin).map_err(failed)?;
        }
        Ok(said)
    }

    fn remove_staff(&self, login: &str, reason: String, distrust: bool) -> Result<Value, Failure> {
        let county = self.replica.county();
        let person = county
            .person_by_login(login)
            .ok_or_else(|| refused(format!("there is nobody with the login {login}")))?;
        let removed = json!({ "schema": 1, "removed": login, "reason": reason });
        let statement = if distrust {
            Statement::PersonRevoked { person: person.id, reason }
        } else {
            Statement::Person(Person { posts: Vec::new(), ..person.clone() })
        };
        self.say(vec![statement], removed)
    }

    /// A number is named by its line, never repeated.
    fn register_kin(&self, login: &str, numbers: &[String]) -> Result<Value, Failure> {
        let county = self.replica.county();
        let person = county
            .person_by_login(login)
            .ok_or_else(|| refused(format!("there is nobody with the login {login}")))?;
        let mut kin = Vec::new();
        for (i, number) in numbers.iter().enumerate() {
            let found = self.replica.residents_by_id_number(&number.to_uppercase());
            let found = found.map_err(failed)?;
            if found.is_empty() {
                let words = format!("line {}: nobody with this ID number is registered", i + 1);
                return Err(refused(words));
            }
            kin.extend(found.into_iter().map(SubjectId));
        }
        kin.sort_unstable();
        kin.dedup();
        let registered = json!({ "schema": 1, "login": login, "records": kin.len() });
        let kin = (!kin.is_empty()).then_some(kin);
        self.say(vec![Statement::Person(Person { kin, ..person.clone() })], registered)
    }

    fn list_staff(&self) -> Value {
        let county = self.replica.county();
        let rows: Vec<Value> = county
            .people()
            .map(|p| {
                let places: Vec<String> =
                    p.posts.iter().map(|post| county.place_name(post.place)).collect();
                json!({ "login": p.login, "name": p.name, "role": p.posts.first().map(|x| x.role), "places": places })
            })
            .collect();
        json!({ "schema": 1, "people": rows })
    }

    fn publish(&self, folder: &Path, places: &Path) -> Result<Value, Failure> {
        let text = |path: &Path| {
            bounded::text(path, bounded::CATALOGUE_BYTES_MAX)
                .map_err(|e| refused(format!("{}: {e}; the old catalogue stays", path.display())))
        };
        let bad = |e: cunkou_casework::catalogue::BadCatalogue| {
            refused(format!("{e}; the old catalogue stays"))
        };
        let (items_path, holidays_path) = (folder.join("items.json"), folder.join("holidays.json"));
        let (items_text, holidays_text, places_text) =
            (text(&items_path)?, text(&holidays_path)?, text(places)?);
        let name = |path: &Path| path.display().to_string();
        let items: Items = read(&name(&items_path), &items_text).map_err(bad)?;
        items.check(&name(&items_path), &items_text).map_err(bad)?;
        let holidays = read(&name(&holidays_path), &holidays_text).map_err(bad)?;
        let places_file: PlacesFile = read(&name(places), &places_text).map_err(bad)?;
        let mut rows: Vec<Place> = vec![places_file.county.place()];
        rows.extend(places_file.places.into_iter().map(PlaceRow::place));
        let release = Release { items, holidays, contacts: places_file.contacts };
        let bytes = release.encode();
        let digest = attachment_id(&bytes);
        self.replica.store().write_attachment(&digest.0, &bytes).map_err(failed)?;
        self.replica
            .store()
            .write(|tx| tx.attachment_here(&digest.0, bytes.len() as u64))
            .map_err(|e: StoreError| failed(e))?;
        let version = release.items.version.clone();
        let mut statements: Vec<Statement> =
            rows.chunks(200).map(|part| Statement::Places { places: part.to_vec() }).collect();
        statements.push(Statement::Catalogue {
            version: version.clone(),
            digest,
            bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            routes: Some(release.items.items.iter().map(Item::way).collect()),
        });
        let published = json!({
            "schema": 1, "version": version, "digest": digest.to_string(),
            "items": release.items.items.len(), "places": rows.len(),
        });
        self.say(statements, published)
    }

    fn status(&self) -> Result<Value, Failure> {
        let status = self.replica.status().map_err(failed)?;
        let (peers, entries, suspended) = self
            .replica
            .store()
            .read(|view| Ok((view.peers()?, view.entry_count()?, view.suspensions()?)))
            .map_err(|e: StoreError| failed(e))?;
        let now = self.replica.now_ms();
        let county = self.replica.county();
        let revoked: Vec<Value> = county
            .devices()
            .filter(|d| !county.device_counts(d.id))
            .map(|d| -> Result<Value, Failure> {
                let word = self.replica.last_word_of(d.id).map_err(failed)?;
                Ok(json!({
                    "device": d.id.to_string(), "name": d.name,
                    "keys_destroyed_ms": word.map(|w| w.at_ms),
                }))
            })
            .collect::<Result<_, _>>()?;
        let boxes: Vec<Value> = peers
            .iter()
            .map(|p| {
                json!({
                    "device": DeviceId(p.device).to_string(), "name": p.name,
                    "software": p.software, "seen_s": (now - p.seen_ms) / 1000,
                    "clock_error_s": p.clock_error_ms / 1000,
                    "last_completed_ms": p.completed_ms,
                    "suspended": suspended.iter().any(|s| s.device == p.device),
                })
            })
            .collect();
        let (to_compare, refused_enrolments) = self.enrolment_status()?;
        Ok(json!({
            "schema": 1, "enrolled": true, "locked": false,
            "to_compare": to_compare, "refused_enrolments": refused_enrolments,
            "version": env!("CARGO_PKG_VERSION"), "county": self.replica.county().name(),
            "fingerprint": self.replica.fingerprint().map_err(failed)?,
            "entries": entries,
            "unsent": { "entries": 0, "bytes": 0, "oldest_s": 0 },
            "last_completed_sync": status.last_completed_ms,
            "clock": { "source": "relay", "error_s": 0 },
            "quarantine": status.quarantine,
            "erasures_unconfirmed": self.replica.unconfirmed_erasures().map_err(failed)?,
            "certificates": self.certificates.status(now)?,
            "disk_free": cunkou_edge::app::disk_free(&self.data),
            "storage": storage::status(&self.replica)?,
            "ferry": ferry::standing(&self.replica)?,
            "boxes": boxes,
            "revoked": revoked,
            "forks": histories::list(&self.replica)?,
            "doubles": histories::doubles(&self.replica)?,
            "attachments": cunkou_edge::lane::status(&self.replica).map_err(failed)?,
            "contacts": history::value(&history::of(&self.replica, history::TOLD).map_err(failed)?),
        }))
    }
}
