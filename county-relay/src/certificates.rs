//! The county's certificates: roots that are trusted, the issuing certificate, the relay's own.

use cunkou_casework::hex;
use cunkou_edge::cli::{Exit, Failure};
use cunkou_keys::{keep_sealed, read_sealed};
use cunkou_link::{
    Bounds, DeviceCertificate, Facts, IssuingAuthority, LinkError, Purpose, Renewed, RootAuthority,
    WebKey, WebSettings, device_spki, fingerprint, is_web_key,
};
use minicbor::bytes::ByteVec;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use zeroize::Zeroizing;

const FILE: &str = "certificates.sealed";
/// Where the root's key lies until it is carried away.
const OFFLINE: &str = "offline";
const ROOT_KEY: &str = "root-key.pem";
const DAY_MS: i64 = 24 * 3_600_000;
/// An issuing certificate that ends sooner is warned about. Days.
const WARN_DAYS: i64 = 120;

const WORDS: &str = "\
这里是本县根证书的私钥(root-key.pem)。
谁拿到它,谁就能冒充本县的任何一台盒子和县平台。请马上:
  1. 复制到两个 U 盘,分开锁好,写上县名和日期;
  2. 在两个 U 盘上各打开一次,确认能读;
  3. 删除本机上的这个文件夹。
平台平时不需要它。每两年换签发证书时再插上:cunkou-relay ca renew-issuing --root-key FILE

This is the private key of the county's root certificate. Whoever has it can pose as any box and as
the relay. Copy it to two sticks, lock them away in two places, read both once, then delete this
folder. The relay does not need it; it is plugged in every two years to renew the issuing
certificate.
";

/// What the file keeps; readable by its owner alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    schema: u32,
    county: String,
    domain: String,
    hosts: Vec<String>,
    subnets: Vec<String>,
    addresses: Vec<IpAddr>,
    /// Roots that are trusted, the newest last. DER.
    roots: Vec<String>,
    issuing: String,
    issuing_key: String,
    certificate: String,
    web_key: String,
    web_certificate: String,
    /// Which box was given which addresses: none may have another's.
    given: BTreeMap<String, Vec<IpAddr>>,
}

impl Kept {
    fn bounds(&self) -> Bounds {
        Bounds {
            domain: self.domain.clone(),
            hosts: self.hosts.clone(),
            subnets: self.subnets.clone(),
        }
    }

    fn roots(&self) -> Result<Vec<Vec<u8>>, Failure> {
        self.roots.iter().map(|root| bytes(root)).collect()
    }

    fn authority(&self) -> Result<IssuingAuthority, Failure> {
        IssuingAuthority::read(bytes(&self.issuing)?, &self.issuing_key).map_err(failed)
    }

    /// The relay's own certificates, for boxes and for browsers.
    fn issue_own(
        &mut self,
        relay: &[u8; 32],
        issuing: &IssuingAuthority,
        now_ms: i64,
    ) -> Result<(), Failure> {
        let mut names = vec![self.bounds().relay_name()];
        names.extend(self.hosts.iter().cloned());
        let spki = device_spki(relay);
        let own = issuing.issue(&spki, &names, &[], Purpose::Relay, now_ms).map_err(failed)?;
        let web_key = WebKey::read(&bytes(&self.web_key)?).map_err(failed)?.public();
        let web = issuing.issue(&web_key, &names, &self.addresses, Purpose::Web, now_ms);
        self.certificate = hex::encode(&own);
        self.web_certificate = hex::encode(&web.map_err(failed)?);
        Ok(())
    }

    /// The addresses that a box asks for, if it may have them.
    fn fitting(
        &self,
        device: &str,
        web_key: &[u8],
        addresses: &[ByteVec],
        counts: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<IpAddr>, String> {
        if !is_web_key(web_key) {
            return Err("the key of the pages is no P-256 key".into());
        }
        let addresses = self.bounds().addresses(addresses).map_err(|e| e.to_string())?;
        for address in addresses.iter().filter(|a| !a.is_loopback()) {
            // Else a box could pose as another, or as the console, for whoever goes by address.
            let other = self
                .given
                .iter()
                .any(|(other, given)| other != device && counts(other) && given.contains(address));
            if other || self.addresses.contains(address) {
                return Err(format!("{address} is the address of another device of this county"));
            }
        }
        Ok(addresses)
    }

    fn web(&self) -> Result<WebSettings, Failure> {
        let chain = vec![bytes(&self.web_certificate)?, bytes(&self.issuing)?];
        WebSettings::new(chain, bytes(&self.web_key)?).map_err(failed)
    }

    fn write(&self, data: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).map_err(failed)?;
        keep_sealed(data, FILE, text.as_bytes()).map_err(failed)?;
        // For people and for tests: what a tablet is to trust.
        let pem: Vec<String> = self.roots()?.iter().map(|root| pem(root)).collect();
        fs::write(data.join("ca.pem"), pem.concat()).map_err(failed)
    }
}

fn failed(e: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, e.to_string())
}

fn bytes(digits: &str) -> Result<Vec<u8>, Failure> {
    hex::decode(digits)
        .ok_or_else(|| failed(format!("{FILE} is damaged; restore it from a backup")))
}

/// So many days a certificate still holds; negative when it is over.
fn days_left(certificate: &str, now_ms: i64) -> Result<i64, Failure> {
    let facts = Facts::read(&bytes(certificate)?).map_err(failed)?;
    Ok((facts.until_ms - now_ms).div_euclid(DAY_MS))
}

/// A certificate as PEM.
fn pem(certificate: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in certificate.chunks(3) {
        let word = three.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - three.len()));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= three.len() { char::from(digit) } else { '=' });
        }
    }
    let lines: Vec<String> =
        text.as_bytes().chunks(64).map(|l| String::from_utf8_lossy(l).into_owned()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn private_file(path: &Path, text: &str) -> Result<(), Failure> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => Failure::new(
                Exit::Refused,
                format!("{} exists already; choose another folder", path.display()),
            ),
            _ => failed(format!("{}: {e}", path.display())),
        })
}

/// Puts a root with its key where it can be carried away.
fn set_aside(root: &RootAuthority, folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|e| failed(format!("{}: {e}", folder.display())))?;
    private_file(&folder.join(ROOT_KEY), &root.key_pem())?;
    private_file(&folder.join("root.pem"), &pem(root.certificate()))?;
    fs::write(folder.join("README.txt"), WORDS).map_err(failed)
}

/// What a county's certificates begin with.
#[derive(Debug)]
pub(crate) struct Founding<'a> {
    pub(crate) county: &'a str,
    pub(crate) bounds: Bounds,
    pub(crate) addresses: &'a [IpAddr],
    /// Where the root's key goes; in the data folder when nothing is said.
    pub(crate) offline: Option<&'a Path>,
    /// The relay's device key.
    pub(crate) relay: [u8; 32],
    pub(crate) now_ms: i64,
}

/// Makes root, issuing certificate and the relay's own; says where the root's key lies.
pub(crate) fn found(data: &Path, founding: &Founding<'_>) -> Result<PathBuf, Failure> {
    for address in founding.addresses {
        if !founding.bounds.holds(*address) {
            let words = format!("{address} is in none of the subnets; add it with --subnet");
            return Err(Failure::new(Exit::Usage, words));
        }
    }
    let (county, now_ms) = (founding.county, founding.now_ms);
    let root = RootAuthority::found(county, &founding.bounds, now_ms).map_err(failed)?;
    let issuing = root.issuing(now_ms).map_err(failed)?;
    let mut kept = Kept {
        schema: 1,
        county: county.to_owned(),
        domain: founding.bounds.domain.clone(),
        hosts: founding.bounds.hosts.clone(),
        subnets: founding.bounds.subnets.clone(),
        addresses: founding.addresses.to_vec(),
        roots: vec![hex::encode(root.certificate())],
        issuing: hex::encode(issuing.certificate()),
        issuing_key: issuing.key_pem(),
        certificate: String::new(),
        web_key: hex::encode(&WebKey::generate().map_err(failed)?.pkcs8()),
        web_certificate: String::new(),
        given: BTreeMap::new(),
    };
    kept.issue_own(&founding.relay, &issuing, now_ms)?;
    let folder = founding.offline.map_or_else(|| data.join(OFFLINE), Path::to_owned);
    set_aside(&root, &folder)?;
    kept.write(data)?;
    Ok(folder)
}

fn read(data: &Path) -> Result<Kept, Failure> {
    let path = data.join(FILE);
    let named = |e: &dyn std::fmt::Display| failed(format!("{}: {e}", path.display()));
    let text = read_sealed(data, FILE).map_err(|e| named(&e))?;
    let text = text.ok_or_else(|| named(&"it is not there; restore it from a backup"))?;
    serde_json::from_slice(&text).map_err(|e| named(&e))
}

/// The file's content, for a backup.
pub(crate) fn content(data: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    read_sealed(data, FILE).map_err(failed)?.ok_or_else(|| failed(format!("{FILE} is not there")))
}

/// Puts the content of a backup in place.
pub(crate) fn restore(data: &Path, content: &[u8]) -> Result<(), Failure> {
    let kept: Kept = serde_json::from_slice(content).map_err(failed)?;
    kept.write(data)
}

/// Signs a new issuing certificate with the root's key, in the process of the command: the key
/// never reaches the running relay. Certificate and key, as [`Certificates::take_issuing`] wants
/// them.
pub(crate) fn sign_issuing(
    data: &Path,
    root_key: &Path,
    now_ms: i64,
) -> Result<(String, String), Failure> {
    let kept = read(data)?;
    let key =
        fs::read_to_string(root_key).map_err(|e| failed(format!("{}: {e}", root_key.display())))?;
    let root = RootAuthority::read(&key, &kept.roots()?)
        .map_err(|e| Failure::new(Exit::Refused, e.to_string()))?;
    let issuing = root.issuing(now_ms).map_err(failed)?;
    Ok((hex::encode(issuing.certificate()), issuing.key_pem()))
}

/// Makes a new root beside the others; its key goes to `offline` and nowhere else.
pub(crate) fn make_root(data: &Path, offline: &Path, now_ms: i64) -> Result<String, Failure> {
    let kept = read(data)?;
    let root = RootAuthority::found(&kept.county, &kept.bounds(), now_ms).map_err(failed)?;
    set_aside(&root, offline)?;
    Ok(hex::encode(root.certificate()))
}

/// The certificates of a relay that is open.
#[derive(Debug)]
pub(crate) struct Certificates {
    data: PathBuf,
    relay: [u8; 32],
    kept: Mutex<Kept>,
    changes: watch::Sender<u64>,
    web: watch::Sender<WebSettings>,
}

impl Certificates {
    /// Reads them.
    pub(crate) fn open(data: &Path, relay: [u8; 32]) -> Result<Self, Failure> {
        let kept = read(data)?;
        let web = watch::channel(kept.web()?).0;
        let (data, changes) = (data.to_owned(), watch::channel(0).0);
        Ok(Self { data, relay, kept: Mutex::new(kept), changes, web })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is kept; on disk before anybody sees it.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Kept) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut kept = self.lock();
        let mut next = kept.clone();
        let done = change(&mut next)?;
        let web = next.web()?;
        next.write(&self.data)?;
        *kept = next;
        drop(kept);
        self.web.send_replace(web);
        self.changes.send_modify(|n| *n += 1);
        Ok(done)
    }

    /// The roots that boxes and tablets are to trust. The county log's statement of roots takes
    /// this place.
    pub(crate) fn trusted_roots(&self) -> Vec<Vec<u8>> {
        self.lock().roots.iter().filter_map(|root| hex::decode(root)).collect()
    }

    /// The roots as one PEM text, for enrolment files.
    pub(crate) fn roots_pem(&self) -> String {
        self.trusted_roots().iter().map(|root| pem(root)).collect()
    }

    /// The relay's name in its certificates.
    pub(crate) fn relay_name(&self) -> String {
        self.lock().bounds().relay_name()
    }

    /// What the relay shows to boxes.
    pub(crate) fn own(&self, seed: &[u8; 32]) -> Result<DeviceCertificate, LinkError> {
        let kept = self.lock();
        let setup = |e: Failure| LinkError::Setup(e.words);
        let chain =
            vec![bytes(&kept.certificate).map_err(setup)?, bytes(&kept.issuing).map_err(setup)?];
        let roots = kept.roots().map_err(setup)?;
        Ok(DeviceCertificate::new(chain, seed, roots, kept.bounds().relay_name()))
    }

    /// What the relay shows to browsers, now and later.
    pub(crate) fn web(&self) -> watch::Receiver<WebSettings> {
        self.web.subscribe()
    }

    /// The names and addresses by which browsers reach the console.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let kept = self.lock();
        let facts = bytes(&kept.web_certificate).ok().and_then(|c| Facts::read(&c).ok());
        facts.map_or_else(Vec::new, |f| cunkou_edge::hosts::of(&f))
    }

    /// Rises with every change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether a box that is still to be enrolled could be given certificates.
    pub(crate) fn check(
        &self,
        web_key: &[u8],
        addresses: &[ByteVec],
        counts: &dyn Fn(&str) -> bool,
    ) -> Result<(), String> {
        self.lock().fitting("", web_key, addresses, counts).map(|_| ())
    }

    /// Certificates for a box. `counts` says which devices the county still counts.
    pub(crate) fn issue(
        &self,
        device: &str,
        key: &[u8; 32],
        web_key: &[u8],
        addresses: &[ByteVec],
        counts: &dyn Fn(&str) -> bool,
        now_ms: i64,
    ) -> Result<Renewed, String> {
        let mut kept = self.lock();
        let bounds = kept.bounds();
        let addresses = kept.fitting(device, web_key, addresses, counts)?;
        let words = |e: &dyn std::fmt::Display| e.to_string();
        let issuing = kept.authority().map_err(|e| e.words)?;
        let names = [bounds.box_name(device)];
        let certificate = issuing
            .issue(&device_spki(key), &names, &[], Purpose::Box, now_ms)
            .map_err(|e| words(&e))?;
        let web = issuing
            .issue(web_key, &names, &addresses, Purpose::Web, now_ms)
            .map_err(|e| words(&e))?;
        if kept.given.get(device) != Some(&addresses) {
            let mut next = kept.clone();
            next.given.insert(device.to_owned(), addresses);
            next.write(&self.data).map_err(|e| e.words)?;
            *kept = next;
        }
        Ok(Renewed {
            certificate: certificate.into(),
            issuing: issuing.certificate().to_vec().into(),
            roots: kept.roots().map_err(|e| e.words)?.into_iter().map(Into::into).collect(),
            web_certificate: web.into(),
        })
    }

    /// Renews the relay's own certificates when two thirds of their life are over.
    pub(crate) fn keep_current(&self, now_ms: i64) -> Result<bool, Failure> {
        let due = {
            let kept = self.lock();
            let issuing = Facts::read(&bytes(&kept.issuing)?).map_err(failed)?;
            if now_ms < issuing.from_ms || issuing.until_ms <= now_ms {
                return Err(failed(
                    "the issuing certificate does not hold now: set this machine's clock right, or \
                     run: cunkou-relay ca renew-issuing --root-key FILE",
                ));
            }
            let own = Facts::read(&bytes(&kept.certificate)?).map_err(failed)?;
            // One that has not begun was made while this machine's clock was ahead.
            own.renew_ms() <= now_ms || now_ms < own.from_ms
        };
        if due {
            self.change(|kept| {
                let issuing = kept.authority()?;
                kept.issue_own(&self.relay, &issuing, now_ms)
            })?;
        }
        Ok(due)
    }

    /// Goes over to a new issuing certificate that a trusted root has signed.
    pub(crate) fn take_issuing(
        &self,
        certificate: &str,
        key_pem: &str,
        now_ms: i64,
    ) -> Result<Value, Failure> {
        let issuing = IssuingAuthority::read(bytes(certificate)?, key_pem).map_err(failed)?;
        let facts = Facts::read(issuing.certificate()).map_err(failed)?;
        self.change(|kept| {
            certificate.clone_into(&mut kept.issuing);
            key_pem.clone_into(&mut kept.issuing_key);
            kept.issue_own(&self.relay, &issuing, now_ms)
        })?;
        Ok(json!({ "schema": 1, "issuing_days": (facts.until_ms - now_ms) / DAY_MS }))
    }

    /// Trusts one more root.
    pub(crate) fn trust(&self, root: &str) -> Result<Value, Failure> {
        let print = hex::encode(&fingerprint(&bytes(root)?));
        self.change(|kept| {
            if !kept.roots.iter().any(|known| known == root) {
                kept.roots.push(root.to_owned());
            }
            Ok(())
        })?;
        Ok(json!({
            "schema": 1, "root": print, "trusted": self.trusted_roots().len(),
            "next": "boxes learn of it from the county log; go over to it afterwards with: cunkou-relay ca renew-issuing --root-key FILE",
        }))
    }

    /// What somebody has to do, in words.
    pub(crate) fn warnings(&self, now_ms: i64) -> Result<Vec<String>, Failure> {
        let issuing_days = days_left(&self.lock().issuing, now_ms)?;
        let mut warnings = Vec::new();
        let key = self.data.join(OFFLINE).join(ROOT_KEY);
        if key.exists() {
            warnings.push(format!(
                "根证书的私钥还在本机 {}:复制到两个 U 盘锁好,然后删除 / the root's private key still lies here: copy it to two sticks, lock them away, delete it",
                key.display()
            ));
        }
        if issuing_days < WARN_DAYS {
            warnings.push(format!(
                "签发证书还有 {issuing_days} 天到期 / the issuing certificate ends in {issuing_days} days: cunkou-relay ca renew-issuing --root-key FILE"
            ));
        }
        Ok(warnings)
    }

    /// How things stand, with what somebody has to do.
    pub(crate) fn status(&self, now_ms: i64) -> Result<Value, Failure> {
        let warnings = self.warnings(now_ms)?;
        let kept = self.lock();
        let roots: Vec<Value> = kept
            .roots()?
            .iter()
            .map(|root| Value::String(hex::encode(&fingerprint(root))))
            .collect();
        Ok(json!({
            "domain": kept.domain, "relay_name": kept.bounds().relay_name(), "roots": roots,
            "issuing_days": days_left(&kept.issuing, now_ms)?,
            "own_days": days_left(&kept.certificate, now_ms)?,
            "warnings": warnings,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cunkou_link::pem_to_der;

    const NOW: i64 = 1_780_272_000_000;

    fn county(folder: &Path) -> Certificates {
        let founding = Founding {
            county: "云溪县",
            bounds: Bounds::of("130999"),
            addresses: &[IpAddr::from([192, 168, 1, 2])],
            offline: None,
            relay: [7; 32],
            now_ms: NOW,
        };
        found(folder, &founding).expect("as the test made it");
        Certificates::open(folder, [7; 32]).expect("as the test made it")
    }

    fn ask(certificates: &Certificates, device: &str, address: [u8; 4]) -> Result<Renewed, String> {
        let web = WebKey::generate().expect("as the test made it").public();
        let addresses = [address.to_vec().into()];
        certificates.issue(device, &[9; 32], &web, &addresses, &|d| d != "gone", NOW)
    }

    #[test]
    fn the_roots_key_is_set_aside_and_named_until_it_is_carried_away() {
        let folder = tempfile::tempdir().expect("as the test made it");
        let certificates = county(folder.path());
        let kept = content(folder.path()).expect("as the test made it");
        let kept = String::from_utf8_lossy(&kept).into_owned();
        let key = fs::read_to_string(folder.path().join("offline/root-key.pem"))
            .expect("as the test made it");
        assert!(!kept.contains(key.lines().nth(1).expect("as the test made it")));
        let warned =
            |c: &Certificates| c.status(NOW).expect("as the test made it")["warnings"].to_string();
        assert!(warned(&certificates).contains("root-key.pem"));
        fs::remove_dir_all(folder.path().join(OFFLINE)).expect("as the test made it");
        assert_eq!(warned(&certificates), "[]");
        let late =
            certificates.status(NOW + 700 * DAY_MS).expect("as the test made it")["warnings"]
                .to_string();
        assert!(late.contains("renew-issuing"), "{late}");
    }

    #[test]
    fn pem_is_read_back() {
        for length in [1, 2, 3, 47, 48, 49] {
            let bytes: Vec<u8> = (0..length).collect();
            assert_eq!(pem_to_der(&pem(&bytes)).expect("as the test made it"), [bytes]);
        }
    }

    #[test]
    fn no_box_gets_the_address_of_another_or_of_the_console() {
        let folder = tempfile::tempdir().expect("as the test made it");
        let certificates = county(folder.path());
        assert!(ask(&certificates, "aaaa", [192, 168, 1, 5]).is_ok());
        assert!(ask(&certificates, "aaaa", [192, 168, 1, 5]).is_ok(), "its own, again");
        assert!(ask(&certificates, "bbbb", [192, 168, 1, 5]).unwrap_err().contains("another"));
        assert!(ask(&certificates, "bbbb", [192, 168, 1, 2]).unwrap_err().contains("another"));
        assert!(ask(&certificates, "bbbb", [8, 8, 8, 8]).unwrap_err().contains("subnet"));
        assert!(ask(&certificates, "gone", [192, 168, 1, 6]).is_ok());
        assert!(ask(&certificates, "bbbb", [192, 168, 1, 6]).is_ok(), "of a revoked box");
        assert!(ask(&certificates, "cccc", [127, 0, 0, 1]).is_ok());
        assert!(ask(&certificates, "dddd", [127, 0, 0, 1]).is_ok());
    }

    #[test]
    fn the_relay_renews_itself_from_two_thirds_on() {
        let folder = tempfile::tempdir().expect("as the test made it");
        let certificates = county(folder.path());
        let changes = certificates.changes();
        assert!(!certificates.keep_current(NOW + 59 * DAY_MS).expect("as the test made it"));
        assert!(certificates.keep_current(NOW + 61 * DAY_MS).expect("as the test made it"));
        assert!(changes.has_changed().expect("as the test made it"));
        assert!(!certificates.keep_current(NOW + 61 * DAY_MS).expect("as the test made it"));
        let back = certificates.keep_current(NOW + 3 * DAY_MS).expect("as the test made it");
        assert!(back, "its clock had been ahead");
        assert!(certificates.keep_current(NOW + 4000 * DAY_MS).is_err(), "no certificate of 2037");
        let again = Certificates::open(folder.path(), [7; 32]).expect("as the test made it");
        let own = again.status(NOW + 3 * DAY_MS).expect("as the test made it")["own_days"].clone();
        assert_eq!(own, 90);
    }

    #[test]
    fn a_new_root_stands_beside_the_old_one_and_issues_once_its_key_is_plugged_in() {
        let folder = tempfile::tempdir().expect("as the test made it");
        let certificates = county(folder.path());
        let stick = folder.path().join("stick");
        let stranger = folder.path().join("stranger");
        let root = make_root(folder.path(), &stick, NOW).expect("as the test made it");
        certificates.trust(&root).expect("as the test made it");
        assert_eq!(certificates.trusted_roots().len(), 2);
        assert!(make_root(folder.path(), &stick, NOW).is_err(), "no key is written over");
        make_root(folder.path(), &stranger, NOW).expect("as the test made it");
        assert!(sign_issuing(folder.path(), &stranger.join(ROOT_KEY), NOW).is_err());
        let (certificate, key) = sign_issuing(folder.path(), &stick.join(ROOT_KEY), NOW + DAY_MS)
            .expect("as the test made it");
        certificates.take_issuing(&certificate, &key, NOW + DAY_MS).expect("as the test made it");
        let renewed = ask(&certificates, "aaaa", [10, 0, 0, 9]).expect("as the test made it");
        assert_eq!(renewed.roots.len(), 2);
        assert_eq!(hex::encode(&renewed.issuing), certificate);
    }
}
