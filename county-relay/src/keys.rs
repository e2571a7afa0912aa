//! People's own keys: one-time codes from county IT, and the page on which keys come and go.

pub(crate) mod code;
mod password;
mod ukey;

use crate::home::Home;
use axum::extract::{Extension, Form, Path};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::county::{Person, Role, Statement};
use cunkou_casework::decider::{DeciderKey, Grade, KEYS_MAX, NAME_CHARS_MAX, SUITE_WEBAUTHN};
use cunkou_casework::hex;
use cunkou_casework::webauthn::{base64url, from_base64url, register};
use cunkou_edge::deciding::{Waiting, keys_of};
use cunkou_edge::forms::Fields;
use cunkou_edge::otp::SECRET_BYTES;
use cunkou_edge::routes::Shows::Nothing;
use cunkou_edge::routes::{Routes, Who};
use cunkou_edge::{AppError, Signed};
use cunkou_ui::page::keys::{Ceremony, Key, Keys, ceremony, page};
use cunkou_ui::part::FaultLine;
use serde_json::json;
use std::sync::Arc;

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

pub(crate) fn routes() -> Routes {
    Routes::default()
        .get("/keys", Who::Signed, Nothing, list)
        .post("/keys/new", Who::Signed, Nothing, begin)
        .post("/keys/new/{name}", Who::Signed, Nothing, finish)
        .post("/keys/ukey", Who::Signed, Nothing, ukey::begin)
        .post("/keys/ukey/{name}", Who::Signed, Nothing, ukey::finish)
        .post("/keys/otp", Who::Signed, Nothing, password::begin)
        .post("/keys/otp/{name}", Who::Signed, Nothing, password::finish)
        .post("/keys/remove/{key}", Who::Signed, Nothing, remove)
}

/// What these pages work with.
pub(crate) fn desk(home: Arc<Home>) -> Extension<Arc<KeyDesk>> {
    let desk = KeyDesk { home, begun: Waiting::default(), secrets: Waiting::default() };
    Extension(Arc::new(desk))
}

fn only_deciders(signed: &Signed) -> Result<Person, AppError> {
    let person = signed.replica().county().person(signed.who().person).cloned();
    person.filter(|_| signed.is(Role::Reviewer)).ok_or(AppError::Forbidden)
}

fn view(signed: &Signed, name: &str, faults: Vec<FaultLine>) -> Response {
    let l = signed.lang;
    let keys = keys_of(signed).into_iter().map(|key| Key {
        id: hex::encode(&key.short_id()),
        grade: l.grade(key.grade).to_owned(),
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

/// The registration that is asked for, with a fresh challenge, or what is wrong with it.
fn asked(
    signed: &Signed,
    person: &Person,
    fields: &Fields,
) -> Result<Result<Begun, Vec<FaultLine>>, AppError> {
    let l = signed.lang;
    let text = |name: &str| fields.get(name).map_or("", |t| t.trim()).to_owned();
    let (name, typed) = (text("name"), text("code"));
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        let words = l.t("名字要 1 至 40 个字", "A name has 1 to 40 characters");
        return Ok(Err(fault("name", words)));
    }
    if keys_of(signed).len() >= KEYS_MAX {
        let words = l.t("最多 8 把钥匙,先停用一把", "At most 8 keys; remove one first");
        return Ok(Err(fault("name", words)));
    }
    if !code::holds(signed.replica(), person.id, &typed, false)? {
        return Ok(Err(bad_code(signed)));
    }
    let mut challenge = [0; 32];
    signed.replica().draw(&mut challenge);
    Ok(Ok(Begun { challenge, name, code: typed }))
}

/// Checks name and code, then asks the browser for a new key.
async fn begin(
    signed: Signed,
    Extension(desk): Extension<Arc<KeyDesk>>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let person = only_deciders(&signed)?;
    let l = signed.lang;
    let begun = match asked(&signed, &person, &fields)? {
        Ok(begun) => begun,
        Err(faults) => {
            let name = fields.get("name").map_or("", String::as_str);
            return Ok(view(&signed, name, faults));
        }
    };
    let (challenge, name) = (begun.challenge, begun.name.clone());
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
    if !code::holds(signed.replica(), person.id, &begun.code, true)? {
        return Ok(view(&signed, &begun.name, bad_code(&signed)));
    }
    let done = state(desk, person, move |keys| keys.push(key)).await?;
    let told = if done { "key" } else { "key-waits" };
    Ok(Redirect::to(&format!("/keys?done={told}")).into_response())
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
    let typed = fields.get("code").map_or("", |t| t.trim());
    if !code::holds(signed.replica(), person.id, typed, true)? {
        return Ok(view(&signed, "", bad_code(&signed)));
    }
    let done = state(desk, person, move |keys| keys.retain(|key| !gone(key))).await?;
    let told = if done { "keyless" } else { "key-waits" };
    Ok(Redirect::to(&format!("/keys?done={told}")).into_response())
}

/// States the person with other keys. False when the county's administrators have to sign first:
/// who decides with which key is theirs to say.
async fn state(
    desk: Arc<KeyDesk>,
    person: Person,
    change: impl FnOnce(&mut Vec<DeciderKey>) + Send + 'static,
) -> Result<bool, AppError> {
    let work = move || {
        let mut keys = person.keys.clone().unwrap_or_default();
        change(&mut keys);
        let person = Person { keys: (!keys.is_empty()).then_some(keys), ..person };
        desk.home.say(vec![Statement::Person(person)], json!({}))
    };
    let said = tokio::task::spawn_blocking(work).await?;
    let said = said.map_err(|failure| AppError::Ours(failure.words))?;
    Ok(said.get("done").is_none())
}
