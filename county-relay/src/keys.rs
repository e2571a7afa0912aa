//! People's own keys: one-time codes from county IT, and the page on which keys come and go.

use crate::home::Home;
use axum::Router;
use axum::extract::{Extension, Form, Path};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use cunkou_casework::county::{Person, Role, Statement};
use cunkou_casework::decider::{
    DeciderKey, Grade, KEYS_MAX, NAME_CHARS_MAX, SUITE_OTP, SUITE_WEBAUTHN,
};
use cunkou_casework::hex;
use cunkou_casework::ids::PersonId;
use cunkou_casework::webauthn::{base64url, from_base64url, register};
use cunkou_edge::deciding::{Waiting, keys_of};
use cunkou_edge::forms::Fields;
use cunkou_edge::otp::{self, SECRET_BYTES};
use cunkou_edge::{App, AppError, Signed};
use cunkou_replica::Replica;
use cunkou_store::StoreError;
use cunkou_ui::page::keys::{Ceremony, Key, Keys, Secret, ceremony, page, secret};
use cunkou_ui::part::FaultLine;
use serde_json::json;
use std::sync::Arc;

/// A code is valid for so long. Milliseconds.
const CODE_MS: i64 = 72 * 3_600_000;
/// Characters of a code: none that is taken for another. 32 of them, so 10 make 50 bits.
const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const CODE_LETTERS: usize = 10;

/// A secret is not kept by any cache.
const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// A registration that waits for its key.
#[derive(Clone, Debug)]
struct Begun {
    challenge: [u8; 32],
    name: String,
    code: String,
}

/// What the pages of keys need beside what all handlers share.
#[derive(Debug)]
pub(crate) struct KeyDesk {
    home: Arc<Home>,
    begun: Waiting<Begun>,
    secrets: Waiting<([u8; SECRET_BYTES], String)>,
}

pub(crate) fn routes(home: Arc<Home>) -> Router<Arc<App>> {
    let desk = Arc::new(KeyDesk { home, begun: Waiting::default(), secrets: Waiting::default() });
    Router::new()
        .route("/keys", get(list))
        .route("/keys/new", post(begin))
        .route("/keys/new/{name}", post(finish))
        .route("/keys/otp", post(begin_otp))
        .route("/keys/otp/{name}", post(finish_otp))
        .route("/keys/remove/{key}", post(remove))
        .layer(Extension(desk))
}

/// Makes a code with which a person registers or removes one key.
pub(crate) fn make_code(replica: &Replica, person: PersonId) -> Result<String, StoreError> {
    let mut drawn = [0; CODE_LETTERS];
    replica.draw(&mut drawn);
    let letters: String =
        drawn.iter().map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])).collect();
    let (now, hash) = (replica.now_ms(), code_hash(&letters));
    replica.store().write(|tx| tx.offer_enrolment(&hash, &person.0, b"key", now, now + CODE_MS))?;
    Ok(format!("{}-{}-{}", &letters[..4], &letters[4..8], &letters[8..]))
}

/// Codes lie beside the one-time files of boxes, under hashes that never meet theirs.
fn code_hash(typed: &str) -> [u8; 32] {
    let plain: String =
        typed.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_uppercase()).collect();
    cunkou_casework::suite::key_code_hash(&plain)
}

/// Why a code was not used up.
enum Kept {
    /// It is good, and was only looked at.
    Good,
    /// Unknown, used, too old, or somebody else's.
    Bad,
    Store(StoreError),
}

impl From<StoreError> for Kept {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}

/// Whether a code is this person's and good; used up only when asked.
fn code_holds(
    replica: &Replica,
    person: PersonId,
    typed: &str,
    use_up: bool,
) -> Result<bool, StoreError> {
    let (now, hash) = (replica.now_ms(), code_hash(typed));
    let used = replica.store().write(|tx| -> Result<(), Kept> {
        match tx.redeem_enrolment(&hash, now)? {
            Some(redeemed) if redeemed.device == person.0 && use_up => Ok(()),
            // An error rolls back: the code stays unused.
            Some(redeemed) if redeemed.device == person.0 => Err(Kept::Good),
            _ => Err(Kept::Bad),
        }
    });
    match used {
        Ok(()) | Err(Kept::Good) => Ok(true),
        Err(Kept::Bad) => Ok(false),
        Err(Kept::Store(e)) => Err(e),
    }
}

fn only_deciders(signed: &Signed) -> Result<Person, AppError> {
    let person = signed.replica().county().person(signed.who().person).cloned();
    person.filter(|_| signed.is(Role::Reviewer)).ok_or(AppError::Forbidden)
}

fn view(signed: &Signed, name: &str, faults: Vec<FaultLine>) -> Response {
    let l = signed.lang;
    let keys = keys_of(signed).into_iter().map(|key| Key {
        id: hex::encode(&key.short_id()),
        grade: l.attestation(key.grade.into()).to_owned(),
        model: key
            .aaguid
            .filter(|a| *a != [0; 16])
            .map_or_else(|| l.t("没有说", "not given").to_owned(), |aaguid| hex::encode(&aaguid)),
        name: key.name,
    });
    let view = Keys { keys: keys.collect(), name: name.to_owned(), faults };
    let status = match view.faults.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (status, page(&signed.shell("/keys"), &view)).into_response()
}

fn fault(field: &str, words: &str) -> Vec<FaultLine> {
    vec![FaultLine { field: field.into(), words: words.into() }]
}

fn bad_code(signed: &Signed) -> Vec<FaultLine> {
    let words = signed.lang.t(
        "口令不对、用过了或过期了。向县信息员再要一个",
        "The code is wrong, used or too old. Ask county IT for another",
    );
    fault("code", words)
}

async fn list(signed: Signed) -> Result<Response, AppError> {
    only_deciders(&signed)?;
    Ok(view(&signed, "", Vec::new()))
}

/// Checks name and code, then asks the browser for a new key.
async fn begin(
    signed: Signed,
    Extension(desk): Extension<Arc<KeyDesk>>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let person = only_deciders(&signed)?;
    let l = signed.lang;
    let text = |name: &str| fields.get(name).map_or("", |t| t.trim()).to_owned();
    let (name, code) = (text("name"), text("code"));
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        let words = l.t("名字要 1 至 40 个字", "A name has 1 to 40 characters");
        return Ok(view(&signed, &name, fault("name", words)));
    }
    if keys_of(&signed).len() >= KEYS_MAX {
        let words = l.t("最多 8 把钥匙,先停用一把", "At most 8 keys; remove one first");
        return Ok(view(&signed, &name, fault("name", words)));
    }
    if !code_holds(signed.replica(), person.id, &code, false)? {
        return Ok(view(&signed, &name, bad_code(&signed)));
    }
    let mut challenge = [0; 32];
    signed.replica().draw(&mut challenge);
    let begun = Begun { challenge, name: name.clone(), code };
    let waits = desk.begun.put(signed.replica(), signed.session.id, begun);
    let known: Vec<String> = keys_of(&signed)
        .iter()
        .filter(|k| k.suite == SUITE_WEBAUTHN)
        .map(|k| base64url(&k.credential))
        .collect();
    let ask = json!({
        "challenge": base64url(&challenge), "rp": rp_id(&signed)?,
        "county": signed.replica().county().name(), "user": base64url(&person.id.0),
        "login": person.login, "name": person.name, "keys": known,
    });
    let view = Ceremony {
        address: format!("/keys/new/{waits}"),
        what: "new",
        ask: ask.to_string(),
        about: vec![
            (l.t("姓名", "Person").to_owned(), person.name),
            (l.t("钥匙的名字", "Name of the key").to_owned(), name),
        ],
        back: "/keys".into(),
        touch: true,
        ..Ceremony::default()
    };
    Ok(ceremony(&signed.shell("/keys"), &view).into_response())
}

fn rp_id(signed: &Signed) -> Result<&str, AppError> {
    Ok(&signed.app.deciding.get().ok_or(AppError::NotFound)?.rp_id)
}

/// Takes the new key: into the county log, by the authority.
async fn finish(
    signed: Signed,
    Extension(desk): Extension<Arc<KeyDesk>>,
    Path(waits): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let person = only_deciders(&signed)?;
    let now = signed.replica().now_ms();
    let Some(begun) = desk.begun.get(&waits, signed.session.id, now) else {
        return Err(AppError::Stale { next: "/keys".into() });
    };
    desk.begun.done(&waits);
    let Some(key) = new_key(&fields, &begun, rp_id(&signed)?) else {
        let words = signed.lang.t(
            "这把钥匙没有登记成:型号不支持,或没有验证是谁。换一把再试",
            "The key was not registered: not supported, or it did not check who is there. Try another",
        );
        return Ok(view(&signed, &begun.name, fault("name", words)));
    };
    let county = signed.replica().county();
    let known = county.people().flat_map(|p| p.keys.iter().flatten());
    if known.into_iter().any(|k| k.credential == key.credential) {
        let words = signed.lang.t("这把钥匙已经登记过", "This key is registered already");
        return Ok(view(&signed, &begun.name, fault("name", words)));
    }
    if !code_holds(signed.replica(), person.id, &begun.code, true)? {
        return Ok(view(&signed, &begun.name, bad_code(&signed)));
    }
    state(desk, person, move |keys| keys.push(key)).await?;
    Ok(Redirect::to("/keys?done=key").into_response())
}

fn new_key(fields: &Fields, begun: &Begun, rp_id: &str) -> Option<DeciderKey> {
    let bytes = |name: &str| from_base64url(fields.get(name)?);
    let (attestation, client) = (bytes("attestation")?, bytes("client")?);
    let made = register(&attestation, &client, &begun.challenge, rp_id);
    let made = made.inspect_err(|why| tracing::info!(%why, "a key was not registered")).ok()?;
    // A key that may be copied is no separate device, whatever the browser calls it.
    let separate = fields.get("attachment").is_some_and(|a| a == "cross-platform") && !made.copies;
    Some(DeciderKey {
        suite: SUITE_WEBAUTHN,
        key: made.key.into(),
        rp_id: rp_id.to_owned(),
        credential: made.credential.into(),
        name: begun.name.clone(),
        grade: if separate { Grade::SecurityKey } else { Grade::Passkey },
        aaguid: Some(made.aaguid),
    })
}

/// Checks the code, then shows the secret of an authenticator once.
async fn begin_otp(
    signed: Signed,
    Extension(desk): Extension<Arc<KeyDesk>>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let person = only_deciders(&signed)?;
    let code = fields.get("code").map_or("", |t| t.trim()).to_owned();
    if !code_holds(signed.replica(), person.id, &code, false)? {
        return Ok(view(&signed, "", bad_code(&signed)));
    }
    let mut drawn = [0; SECRET_BYTES];
    signed.replica().draw(&mut drawn);
    let typed = otp::typed(&drawn);
    let waits = desk.secrets.put(signed.replica(), signed.session.id, (drawn, code));
    let view = Secret {
        address: format!("/keys/otp/{waits}"),
        link: format!("otpauth://totp/cunkou:{}?secret={typed}&issuer=cunkou", person.login),
        secret: typed,
    };
    Ok((NO_STORE, secret(&signed.shell("/keys"), &view)).into_response())
}

/// Takes the first password of an authenticator; the enrolment goes into the county log, the
/// secret stays here.
async fn finish_otp(
    signed: Signed,
    Extension(desk): Extension<Arc<KeyDesk>>,
    Path(waits): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let person = only_deciders(&signed)?;
    let replica = signed.replica();
    let Some((drawn, code)) = desk.secrets.get(&waits, signed.session.id, replica.now_ms()) else {
        return Err(AppError::Stale { next: "/keys".into() });
    };
    desk.secrets.done(&waits);
    let password = fields.get("password").map_or("", String::as_str);
    let Some(step) = otp::step_of(&drawn, password, replica.now_ms()) else {
        let words = signed.lang.t(
            "动态口令不对:密钥要重新登记一次",
            "The password was wrong: register again, with a new secret",
        );
        return Ok(view(&signed, "", fault("code-otp", words)));
    };
    if keys_of(&signed).len() >= KEYS_MAX || !code_holds(replica, person.id, &code, true)? {
        return Ok(view(&signed, "", bad_code(&signed)));
    }
    let mut id = [0; 16];
    replica.draw(&mut id);
    let key = DeciderKey {
        suite: SUITE_OTP,
        key: id.to_vec().into(),
        rp_id: String::new(),
        credential: Vec::new().into(),
        name: signed.lang.t("动态口令", "One-time password").to_owned(),
        grade: Grade::Otp,
        aaguid: None,
    };
    otp::keep(replica, &key, &drawn, step)?;
    let again = |keys: &mut Vec<DeciderKey>| {
        keys.retain(|k| k.grade != Grade::Otp);
        keys.push(key);
    };
    state(desk, person, again).await?;
    Ok(Redirect::to("/keys?done=key").into_response())
}

async fn remove(
    signed: Signed,
    Extension(desk): Extension<Arc<KeyDesk>>,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let person = only_deciders(&signed)?;
    let gone = move |key: &DeciderKey| hex::encode(&key.short_id()) == id;
    if !keys_of(&signed).iter().any(&gone) {
        return Err(AppError::Stale { next: "/keys".into() });
    }
    let code = fields.get("code").map_or("", |t| t.trim());
    if !code_holds(signed.replica(), person.id, code, true)? {
        return Ok(view(&signed, "", bad_code(&signed)));
    }
    state(desk, person, move |keys| keys.retain(|key| !gone(key))).await?;
    Ok(Redirect::to("/keys?done=keyless").into_response())
}

/// States the person with other keys.
async fn state(
    desk: Arc<KeyDesk>,
    person: Person,
    change: impl FnOnce(&mut Vec<DeciderKey>) + Send + 'static,
) -> Result<(), AppError> {
    let work = move || {
        let mut keys = person.keys.clone().unwrap_or_default();
        change(&mut keys);
        let person = Person { keys: (!keys.is_empty()).then_some(keys), ..person };
        desk.home.replica.state(&desk.home.authority, vec![Statement::Person(person)])
    };
    Ok(tokio::task::spawn_blocking(work).await??)
}
