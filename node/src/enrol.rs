//! Becoming a box of the county: by a file, by the code of a QR, by files without any network; and
//! a spare box getting its places.

use crate::command::show;
use crate::home::{self, failed};
use crate::links::links_through;
use crate::options::Options;
use crate::wallet::{self, Wallet};
use cunkou_casework::county::{CountyLog, DeviceKind};
use cunkou_casework::enrolment::{Code, bind_code_hash, token_id, words};
use cunkou_casework::entry::Entry;
use cunkou_casework::hex;
use cunkou_casework::ids::{DeviceId, EntryId, SubjectId};
use cunkou_casework::suite::{PublicKey, SecretKey};
use cunkou_edge::bounded;
use cunkou_edge::cli::{Exit, Failure};
use cunkou_edge::{control, enrolment};
use cunkou_keys::{BoxSecret, machine_secret, open_sealed, seal_under, unseal_under};
use cunkou_link::{
    BindRequest, Credentials, EnrolRequest, LinkError, Links, OfferedEnrolment, WebKey,
    bind as bind_over, enrol_under, fetch_root, pem_to_der,
};
use cunkou_replica::{Replica, SystemWorld, World};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// What a box keeps between its request and the answer, sealed under its machine's secret.
const ENROLLING: &str = "enrolling.sealed";
const SEALED: &[u8] = b"cunkou enrolling v1\0";

/// The one-time file that county IT makes.
#[derive(Debug, Deserialize)]
struct EnrolmentFile {
    cunkou_enrolment: u32,
    name: String,
    relays: Vec<String>,
    relay_name: String,
    root: String,
    token: String,
}

/// An enrolment under way.
#[derive(Serialize, Deserialize)]
struct Enrolling {
    name: String,
    relays: Vec<String>,
    relay_name: String,
    roots: Vec<String>,
    token: String,
    seed: String,
    web_key: String,
    addresses: Vec<IpAddr>,
}

impl Drop for Enrolling {
    fn drop(&mut self) {
        for secret in [&mut self.seed, &mut self.web_key, &mut self.token] {
            secret.zeroize();
        }
    }
}

fn refused(words: impl Into<String>) -> Failure {
    Failure::new(Exit::Refused, words)
}

fn link(e: &LinkError) -> Failure {
    let exit = match e {
        LinkError::Refused(_) | LinkError::OtherCounty(_) => Exit::Refused,
        _ => Exit::Failed,
    };
    Failure::new(exit, e.to_string())
}

fn damaged() -> Failure {
    failed(format!("{ENROLLING} is damaged; delete it and begin anew"))
}

fn bytes32(digits: &str) -> Option<[u8; 32]> {
    hex::decode(digits)?.try_into().ok()
}

impl Enrolling {
    /// With new keys.
    fn new(token: [u8; 32], relays: Vec<String>, relay_name: String) -> Result<Self, Failure> {
        let mut seed = Zeroizing::new([0; 32]);
        SystemWorld.random(&mut *seed);
        Ok(Self {
            name: String::new(),
            relays,
            relay_name,
            roots: Vec::new(),
            token: hex::encode(&token),
            seed: hex::encode(&*seed),
            web_key: hex::encode(&wallet::web_key()?.pkcs8()),
            addresses: Vec::new(),
        })
    }

    fn of_file(file: &Path) -> Result<Self, Failure> {
        let shown = file.display();
        let text = bounded::text(file, bounded::SMALL_BYTES_MAX)
            .map_err(|e| failed(format!("{shown}: {e}")))?;
        let read: EnrolmentFile = serde_json::from_str(&text).map_err(|_| {
            failed(format!("{shown} is not an enrolment file; ask county IT for one"))
        })?;
        if read.cunkou_enrolment != 1 {
            return Err(failed(format!(
                "{shown} is of a newer version; update this program first"
            )));
        }
        let token = bytes32(&read.token)
            .ok_or_else(|| failed(format!("{shown} is damaged; ask county IT for another")))?;
        let roots = pem_to_der(&read.root).map_err(failed)?;
        let mut this = Self::new(token, read.relays, read.relay_name)?;
        this.roots = roots.iter().map(|root| hex::encode(root)).collect();
        this.name = read.name;
        Ok(this)
    }

    /// Fetches the root that the code names.
    async fn of_code(text: &str, links: &Links) -> Result<Self, Failure> {
        let code = Code::read(text)
            .ok_or_else(|| refused("this is no code of an enrolment; scan it again"))?;
        let root = fetch_root(&code.relays, &code.relay_name, &code.root, links);
        let root = root.await.map_err(|e| link(&e))?;
        let mut this = Self::new(code.token, code.relays, code.relay_name)?;
        this.roots = vec![hex::encode(&root)];
        Ok(this)
    }

    fn seed(&self) -> Result<Zeroizing<[u8; 32]>, Failure> {
        bytes32(&self.seed).map(Zeroizing::new).ok_or_else(damaged)
    }

    fn web_key(&self) -> Result<WebKey, Failure> {
        WebKey::read(&hex::decode(&self.web_key).ok_or_else(damaged)?).map_err(failed)
    }

    fn roots(&self) -> Vec<Vec<u8>> {
        self.roots.iter().filter_map(|root| hex::decode(root)).collect()
    }

    fn request(&self) -> Result<EnrolRequest, Failure> {
        let token = bytes32(&self.token).ok_or_else(damaged)?;
        let web_key = self.web_key()?.public();
        Ok(EnrolRequest::new(token, &*self.seed()?, web_key, wallet::wire(&self.addresses)))
    }

    fn words(&self, offer: &OfferedEnrolment) -> Result<String, Failure> {
        let key: PublicKey = SecretKey::from_seed(&*self.seed()?).public();
        let token = token_id(&bytes32(&self.token).ok_or_else(damaged)?);
        Ok(words(EntryId(offer.founding), &key, &token).join(" "))
    }

    /// The names of county and box, in a county log that holds and knows this box's key.
    fn seen_in(&self, offer: &OfferedEnrolment) -> Result<(String, String), Failure> {
        let key = SecretKey::from_seed(&*self.seed()?).public();
        let bad = || refused("the county log that came does not hold; ask county IT");
        let mut log = CountyLog::new(SubjectId(offer.county), EntryId(offer.founding));
        for statement in &offer.county_log {
            let entry = Entry::decode(statement).map_err(|_| bad())?;
            log.take(&entry).map_err(|_| bad())?;
        }
        let device = log.device(DeviceId(offer.device)).filter(|d| d.key == key);
        Ok((log.name().to_owned(), device.ok_or_else(bad)?.name.clone()))
    }

    /// Makes the folder a box.
    fn finish(&self, data: &Path, offer: &OfferedEnrolment) -> Result<Value, Failure> {
        let words = self.words(offer)?;
        let (county, name) = self.seen_in(offer)?;
        // First: the other file makes the folder a box.
        wallet::keep(
            data,
            &self.relay_name,
            &self.roots(),
            &self.web_key()?,
            &self.addresses,
            offer,
        )?;
        home::keep(data, &self.relays, &words, &*self.seed()?, offer)?;
        let _ = fs::remove_file(data.join(ENROLLING));
        Ok(json!({
            "schema": 1, "enrolled": true, "county": county, "name": name,
            "words": words,
        }))
    }

    fn keep(&self, data: &Path) -> Result<(), Failure> {
        let machine = machine_secret(data, true);
        let key = match machine.load().map_err(failed)? {
            Some(key) => key,
            None => machine.create().map_err(failed)?,
        };
        let plain = Zeroizing::new(serde_json::to_vec(self).map_err(failed)?);
        let sealed = seal_under(&key.derive("enrolling"), SEALED, &plain).map_err(failed)?;
        let (path, part) = (data.join(ENROLLING), data.join("enrolling.part"));
        let write = || -> std::io::Result<()> {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&part)?;
            file.write_all(&sealed)?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
            fs::File::open(data)?.sync_all()
        };
        write().map_err(|e| failed(format!("{}: {e}", path.display())))
    }

    /// What was kept; nothing when no enrolment is under way.
    fn kept(data: &Path) -> Result<Option<Self>, Failure> {
        let path = data.join(ENROLLING);
        if !path.exists() {
            return Ok(None);
        }
        let sealed = bounded::read(&path, bounded::SMALL_BYTES_MAX).map_err(failed)?;
        let key = machine_secret(data, false).load().map_err(failed)?.ok_or_else(damaged)?;
        let plain =
            unseal_under(&key.derive("enrolling"), SEALED, &sealed).map_err(|_| damaged())?;
        serde_json::from_slice(&plain).map(Some).map_err(|_| damaged())
    }
}

fn new_folder(data: &Path) -> Result<(), Failure> {
    if home::is_enrolled(data) {
        let words = format!("{} is a box already; choose another folder", data.display());
        return Err(refused(words));
    }
    fs::create_dir_all(data).map_err(|e| failed(format!("{}: {e}", data.display())))
}

fn tell(options: &Options, done: &Value) {
    let text = |key: &str| done[key].as_str().unwrap_or_default();
    let lines = format!(
        "enrolled as {} of {}\n\n    {}\n\n念给县信息员听,和县平台上显示的一样才对 / read these six words to county IT: \
         the console must show the same\nnow run: cunkou-node serve",
        text("name"),
        text("county"),
        text("words"),
    );
    show(options.json, done, &lines);
}

/// Redeems a one-time file, or the code of a QR.
pub(crate) async fn enrol(
    options: &Options,
    file: Option<&Path>,
    code: Option<&str>,
    addresses: &[IpAddr],
    proxy: Option<&str>,
) -> Result<(), Failure> {
    let data = options.data.clone();
    new_folder(&data)?;
    let links = links_through(proxy)?;
    if data.join(ENROLLING).exists() {
        let words = "a request of this box is under way; finish it with enrol-finish, or choose \
                     another folder";
        return Err(refused(words));
    }
    let mut enrolling = match (file, code) {
        (Some(file), _) => Enrolling::of_file(file)?,
        (None, Some(code)) => Enrolling::of_code(code, &links).await?,
        (None, None) => return Err(Failure::new(Exit::Usage, "give a file or --code")),
    };
    enrolling.addresses = addresses.to_vec();
    let request = enrolling.request()?;
    let (relays, name) = (&enrolling.relays, &enrolling.relay_name);
    let offer = enrol_under(relays, name, enrolling.roots(), &request, &links).await;
    let offer = offer.map_err(|e| link(&e))?;
    let work = move || enrolling.finish(&data, &offer);
    let done = tokio::task::spawn_blocking(work).await.map_err(failed)??;
    tell(options, &done);
    Ok(())
}

/// Writes a request to be carried to the county. Asked again for the same file, it is the same.
pub(crate) fn request(
    options: &Options,
    file: &Path,
    out: &Path,
    addresses: &[IpAddr],
) -> Result<(), Failure> {
    let data = &options.data;
    new_folder(data)?;
    let mut enrolling = Enrolling::of_file(file)?;
    match Enrolling::kept(data)? {
        Some(kept) if kept.token == enrolling.token => enrolling = kept,
        Some(_) => {
            let words = format!(
                "another enrolment is under way in {}; finish it, or choose another folder",
                data.display()
            );
            return Err(refused(words));
        }
        None => {
            enrolling.addresses = addresses.to_vec();
            enrolling.keep(data)?;
        }
    }
    let text = enrolment::write_request(&enrolling.name, &enrolling.request()?);
    // It holds the token: not for others on this machine.
    let mut open = fs::OpenOptions::new();
    open.write(true).create(true).truncate(true).mode(0o600);
    open.open(out)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|e| failed(format!("{}: {e}", out.display())))?;
    let words = format!(
        "carry {} to the county and run there: cunkou-relay enrol-answer FILE --out ANSWER",
        out.display()
    );
    show(options.json, &json!({ "schema": 1, "file": out }), &words);
    Ok(())
}

/// Takes the answer that came back.
pub(crate) async fn finish(options: &Options, file: &Path) -> Result<(), Failure> {
    let data = options.data.clone();
    new_folder(&data)?;
    let text = bounded::text(file, enrolment::ANSWER_BYTES_MAX)
        .map_err(|e| failed(format!("{}: {e}", file.display())))?;
    let work = move || finish_here(&data, &text);
    let done = tokio::task::spawn_blocking(work).await.map_err(failed)??;
    tell(options, &done);
    Ok(())
}

fn finish_here(data: &Path, text: &str) -> Result<Value, Failure> {
    let enrolling = Enrolling::kept(data)?
        .ok_or_else(|| refused("no request was made here; run enrol-request first"))?;
    let answer = enrolment::read_answer(text)
        .ok_or_else(|| refused("this is no answer to an enrolment request"))?;
    let sealed = answer.checked(&enrolling.relay_name, &enrolling.roots()).map_err(|e| link(&e))?;
    let secret = BoxSecret::of_seed(&*enrolling.seed()?);
    let plain = open_sealed(&secret, None, enrolment::SEALED, sealed)
        .map_err(|_| refused("the answer is for another box, or damaged"))?;
    let offer: OfferedEnrolment =
        minicbor::decode(&plain).map_err(|_| refused("the answer is damaged"))?;
    enrolling.finish(data, &offer)
}

/// Binds this spare box to the places of a code. May block.
pub(crate) fn bind_box(
    replica: &Replica,
    wallet: &Wallet,
    relays: &[String],
    code: &str,
    links: &Links,
) -> Result<Value, Failure> {
    let spare =
        |d: cunkou_casework::county::Device| d.kind == DeviceKind::Village && d.places.is_empty();
    if !replica.device().is_some_and(spare) {
        return Err(refused(
            "这台不是等待绑定的备用机 / this box is no spare box that waits for places",
        ));
    }
    let request = BindRequest::new(bind_code_hash(code), &replica.me().key.seed());
    let relay_name = wallet.certificate().map_err(failed)?.relay_name;
    let bound = bind_over(relays, &relay_name, wallet.trusted_roots(), &request, links);
    let places = tokio::runtime::Handle::current().block_on(bound).map_err(|e| link(&e))?;
    Ok(json!({ "schema": 1, "bound": true, "places": places }))
}

/// Binds this spare box, running or not.
pub(crate) async fn bind(
    options: &Options,
    code: &str,
    proxy: Option<&str>,
) -> Result<(), Failure> {
    let links = links_through(proxy)?;
    let asked = json!({ "do": "bind", "code": code });
    let done = match control::ask(&options.data, &asked, &|_| ()).await? {
        Some(done) => done,
        None => {
            let (data, code) = (options.data.clone(), code.to_owned());
            let work = move || {
                let home = home::open(&data)?;
                let replica = home.vault.open_replica();
                let wallet = Wallet::open(&data, replica.clone())?;
                bind_box(replica, &wallet, &home.kept.relays, &code, &links)
            };
            tokio::task::spawn_blocking(work).await.map_err(failed)??
        }
    };
    let names = done["places"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let names: Vec<&str> = names.collect();
    show(
        options.json,
        &done,
        &format!("bound to {}; it receives them by itself", names.join("、")),
    );
    Ok(())
}
