//! Administrators' keys, and what they sign: away from the relay, on files carried by hand.

use cunkou_casework::county::{
    Act, ActBody, ActSignature, Administrator, CountyLog, DeviceKind, Role, Statement,
};
use cunkou_casework::hex;
use cunkou_casework::suite::{PublicKey, SecretKey};
use cunkou_edge::cli::{Exit, Failure};
use cunkou_keys::passphrase::{PASSPHRASE_CHARS_MIN, Sealed, is_passphrase};
use cunkou_replica::{SystemWorld, World};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// An act waits at most so long for its signatures. Milliseconds.
pub(crate) const ACT_LIFE_MS: i64 = 30 * 24 * 3_600_000;

/// A file with an administrator's key, on a stick that only they keep.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeyFile {
    cunkou_administrator: u32,
    county: String,
    name: String,
    key: PublicKey,
    secret: Sealed,
}

/// A file with an act on its way between administrators.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ActFile {
    cunkou_act: u32,
    county: String,
    /// How many administrators must sign.
    needed: u8,
    body: String,
    signatures: Vec<SignatureRow>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SignatureRow {
    key: PublicKey,
    signature: String,
}

fn failed(e: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, e.to_string())
}

fn refused(words: impl Into<String>) -> Failure {
    Failure::new(Exit::Refused, words)
}

/// The next line of standard input, for a passphrase.
pub(crate) fn passphrase(whose: &str) -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(failed)?;
    let line = line.trim_end_matches(['\r', '\n']).to_owned();
    if !is_passphrase(&line) {
        let words = format!(
            "{whose}: a passphrase has at least {PASSPHRASE_CHARS_MIN} characters, \
             a Chinese one counting as two; \
             give one line on standard input for each administrator"
        );
        return Err(refused(words));
    }
    Ok(line)
}

fn drawn<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    SystemWorld.random(&mut out);
    out
}

/// Makes an administrator's key and its file.
pub(crate) fn new_key(
    county: &str,
    name: &str,
    out: &Path,
    words: &str,
) -> Result<(Administrator, SecretKey), Failure> {
    let key = SecretKey::from_seed(&drawn());
    let secret = Sealed::new(&key.seed(), words).map_err(failed)?;
    let file = KeyFile {
        cunkou_administrator: 1,
        county: county.to_owned(),
        name: name.to_owned(),
        key: key.public(),
        secret,
    };
    write_new(out, &serde_json::to_string_pretty(&file).map_err(failed)?)?;
    Ok((Administrator { name: name.to_owned(), key: key.public() }, key))
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let write = || -> std::io::Result<()> {
        let mut file = options.open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|e| failed(format!("{}: {e}", path.display())))
}

/// An act with these statements, without signatures.
pub(crate) fn propose(log: &CountyLog, now_ms: i64, statements: Vec<Statement>) -> Act {
    let until_ms = now_ms + ACT_LIFE_MS;
    Act::new(&ActBody { county: log.county, id: drawn(), until_ms, statements })
}

impl ActFile {
    pub(crate) fn new(log: &CountyLog, act: &Act) -> Self {
        let signatures = act
            .signatures
            .iter()
            .map(|s| SignatureRow { key: s.key, signature: hex::encode(&s.bytes) });
        Self {
            cunkou_act: 1,
            county: log.name().to_owned(),
            needed: log.constitution().threshold,
            body: hex::encode(&act.body),
            signatures: signatures.collect(),
        }
    }

    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let text = fs::read_to_string(path).map_err(|e| failed(format!("{shown}: {e}")))?;
        let file: Self = serde_json::from_str(&text)
            .map_err(|_| refused(format!("{shown} is not an act that waits for signatures")))?;
        if file.cunkou_act != 1 {
            return Err(refused(format!("{shown} is of a newer version; update this program")));
        }
        Ok(file)
    }

    pub(crate) fn write(&self, path: &Path, new: bool) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).map_err(failed)?;
        if new {
            return write_new(path, &text);
        }
        let part = path.with_extension("part");
        let _ = fs::remove_file(&part);
        write_new(&part, &text)?;
        fs::rename(&part, path).map_err(|e| failed(format!("{}: {e}", path.display())))
    }

    pub(crate) fn act(&self) -> Result<Act, Failure> {
        let damaged = || refused("the file is damaged; ask for it again");
        let body = hex::decode(&self.body).ok_or_else(damaged)?;
        let signatures = self.signatures.iter().map(|row| {
            let bytes = hex::decode(&row.signature)?;
            Some(ActSignature { key: row.key, bytes: bytes.into() })
        });
        let signatures = signatures.collect::<Option<Vec<_>>>().ok_or_else(damaged)?;
        Ok(Act { body: body.into(), signatures })
    }
}

/// Signs an act's file with an administrator's key file. Needs no relay and no network.
pub(crate) fn sign(path: &Path, key: &Path) -> Result<Value, Failure> {
    let file = ActFile::read(path)?;
    let mut act = file.act()?;
    let body = act.read().map_err(|e| refused(e.to_string()))?;
    let shown = key.display();
    let text = fs::read_to_string(key).map_err(|e| failed(format!("{shown}: {e}")))?;
    let kept: KeyFile = serde_json::from_str(&text)
        .map_err(|_| refused(format!("{shown} is not an administrator's key file")))?;
    let says: Vec<String> = body.statements.iter().map(in_words).collect();
    for line in &says {
        crate::command::progress(line);
    }
    let words = passphrase(&kept.name)?;
    let seed = kept.secret.open(&words).ok_or_else(|| refused("the passphrase is wrong"))?;
    let secret = SecretKey::from_seed(&seed);
    if secret.public() != kept.key {
        return Err(refused(format!("{shown} is damaged")));
    }
    act.sign(&secret);
    let signatures = act.signatures.len();
    let signed = ActFile {
        signatures: act
            .signatures
            .iter()
            .map(|s| SignatureRow { key: s.key, signature: hex::encode(&s.bytes) })
            .collect(),
        ..file
    };
    signed.write(path, false)?;
    let next = if signatures >= usize::from(signed.needed) {
        format!("cunkou-relay submit {}", path.display())
    } else {
        "carry the file to the next administrator".to_owned()
    };
    Ok(json!({
        "schema": 1, "county": signed.county, "says": says, "signed_by": kept.name,
        "signatures": signatures, "needed": signed.needed, "next": next,
    }))
}

/// What a statement says, for whoever is about to sign it.
pub(crate) fn in_words(statement: &Statement) -> String {
    match statement {
        Statement::Founded { name, .. } | Statement::Constituted { name, .. } => {
            format!("found the county {name}")
        }
        Statement::Places { places } => format!("{} places as they are from now on", places.len()),
        Statement::Device(d) => {
            let what = match d.kind {
                DeviceKind::Village => "village box",
                DeviceKind::Township => "township box",
                DeviceKind::Relay => "RELAY",
            };
            format!("{what} {} ({}) serves places {:?}", d.name, d.id, numbers(&d.places))
        }
        Statement::Person(p) => {
            let posts = p.posts.iter().map(|post| {
                let department = post.department.as_deref().unwrap_or_default();
                format!("{} at place {} {department}", role_word(post.role), post.place)
            });
            let posts: Vec<String> = posts.collect();
            let keys = p
                .keys
                .iter()
                .flatten()
                .map(|k| format!("{} {:?} {}", k.name, k.grade, hex::encode(&k.short_id())));
            let keys: Vec<String> = keys.collect();
            format!(
                "{} ({}): {}; decides with {}",
                p.name,
                p.login,
                posts.join("; "),
                if keys.is_empty() { "no key of their own".to_owned() } else { keys.join(", ") }
            )
        }
        Statement::Numbers { device, blocks } => {
            format!("number blocks {blocks:?} for box {device}")
        }
        Statement::Catalogue { version, digest, .. } => {
            format!("publish catalogue {version} with digest {digest}")
        }
        Statement::DeviceRevoked { device, reason } => format!("REVOKE box {device}: {reason}"),
        Statement::PersonRevoked { person, reason } => format!("REVOKE person {person}: {reason}"),
        Statement::Constitution(next) => {
            let names: Vec<&str> = next.administrators.iter().map(|a| &*a.name).collect();
            format!(
                "ADMINISTRATORS from now on: {}, of whom {} must sign",
                names.join(", "),
                next.threshold
            )
        }
        Statement::Grant(g) => format!(
            "GRANT {} to key {}: {:?} for places {:?}, {} statements until {}, handed on {} times at most",
            g.id,
            hex::encode(&g.holder.0),
            g.powers,
            numbers(&g.places),
            g.count,
            cunkou_casework::calendar::china_day(g.until_ms),
            g.depth
        ),
        Statement::GrantEnded { grant, reason } => format!("end grant {grant}: {reason}"),
        Statement::Act(_) => "an act inside an act".to_owned(),
        Statement::Roots { roots } => {
            let prints = roots.iter().map(|r| hex::encode(&attachment(r)[..8]));
            format!("ROOT CERTIFICATES {:?}", prints.collect::<Vec<_>>())
        }
        Statement::ForkCleared { device, reason, .. } => {
            format!("both histories of box {device} stay: {reason}")
        }
    }
}

fn attachment(bytes: &[u8]) -> [u8; 32] {
    cunkou_casework::suite::attachment_id(bytes).0
}

fn numbers(places: &[cunkou_casework::ids::PlaceId]) -> Vec<u32> {
    places.iter().map(|p| p.0).collect()
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::Agent => "agent",
        Role::Township => "township staff",
        Role::Reviewer => "REVIEWER (decides)",
        Role::Finance => "FINANCE",
        Role::It => "SYSTEM ADMINISTRATOR",
        Role::Security => "SECURITY ADMINISTRATOR",
        Role::Audit => "AUDIT ADMINISTRATOR",
        Role::DataOfficer => "DATA OFFICER (erases)",
    }
}
