//! Steps that wait for their person's own key: prepared here, signed in the browser, then written.

use crate::desk::{self, Opened};
use crate::error::AppError;
use crate::forms::Fields;
use crate::otp::{self, Checked};
use crate::{Office, Signed, look};
use axum::extract::{Form, Path};
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::case::Reason;
use cunkou_casework::decider::{DeciderKey, Grade, SUITE_TOKEN, SUITE_WEBAUTHN};
use cunkou_casework::event::Step;
use cunkou_casework::hex;
use cunkou_casework::ids::AttachmentId;
use cunkou_casework::number::grouped;
use cunkou_casework::webauthn::{Assertion, base64url, from_base64url};
use cunkou_replica::{ActError, Prepared, Proof, Replica};
use cunkou_ui::page::keys::{Ceremony, ceremony};
use cunkou_ui::part::FaultLine;
use maud::Markup;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A prepared step, or a registration, waits so long for its key. Milliseconds.
pub const WAIT_MS: i64 = 5 * 60 * 1000;
/// No more of them wait at a time; the oldest gives way.
const WAITING_MAX: usize = 500;

/// What waits for an answer, each under a random name that only its session may use.
#[derive(Debug)]
pub struct Waiting<T>(Mutex<BTreeMap<String, (AttachmentId, i64, T)>>);

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Waiting<T> {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (AttachmentId, i64, T)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps something for a session; gives its name.
    pub fn put(&self, replica: &Replica, session: AttachmentId, what: T) -> String {
        let mut name = [0; 16];
        replica.draw(&mut name);
        let (name, now) = (hex::encode(&name), replica.now_ms());
        let mut all = self.lock();
        all.retain(|_, (_, made, _)| now - *made <= WAIT_MS);
        if all.len() >= WAITING_MAX
            && let Some(oldest) = all.iter().min_by_key(|(_, w)| w.1).map(|(name, _)| name.clone())
        {
            all.remove(&oldest);
        }
        all.insert(name.clone(), (session, now, what));
        name
    }

    /// What waits under a name, for the session that put it there and not for too long.
    pub fn get(&self, name: &str, session: AttachmentId, now_ms: i64) -> Option<T> {
        let all = self.lock();
        let (of, made, what) = all.get(name)?;
        (*of == session && now_ms - made <= WAIT_MS).then(|| what.clone())
    }

    /// It is done.
    pub fn done(&self, name: &str) {
        self.lock().remove(name);
    }
}

/// How people decide at a console on keys of their own.
#[derive(Debug, Default)]
pub struct Deciding {
    /// The county's relying party, e.g. `c130999.home.arpa`.
    pub rp_id: String,
    /// Who has no key takes no step.
    pub required: bool,
    steps: Waiting<Pending>,
}

/// A step with what follows it.
#[derive(Clone, Debug)]
struct Pending {
    prepared: Prepared,
    then: Vec<Step>,
    action: String,
}

impl Deciding {
    /// For this relying party.
    #[must_use]
    pub fn new(rp_id: String, required: bool) -> Self {
        Self { rp_id, required, steps: Waiting::default() }
    }
}

/// The keys of a person as the county log has them now.
#[must_use]
pub fn keys_of(signed: &Signed) -> Vec<DeciderKey> {
    let county = signed.replica().county();
    let person = county.person(signed.who().person);
    person.and_then(|p| p.keys.clone()).unwrap_or_default()
}

/// Whether a step has to wait for a key: the page to sign on, or nothing when it may go on as it
/// is.
///
/// # Errors
/// [`AppError::KeyNeeded`] where the county demands one and the person has none; what the step is
/// refused for.
pub(crate) async fn ask(
    signed: &Signed,
    opened: &Opened,
    action: &str,
    steps: &[Step],
) -> Result<Option<Response>, AppError> {
    let Some(first) = steps.first().filter(|step| step.needs_own_key()) else { return Ok(None) };
    let keys = keys_of(signed);
    let Some(deciding) = signed.app.deciding.get().filter(|_| signed.app.office == Office::County)
    else {
        return Ok(None);
    };
    if deciding.required && keys.iter().all(|k| k.grade == Grade::Otp) {
        return Err(AppError::KeyNeeded);
    }
    if keys.is_empty() {
        return Ok(None);
    }
    let (replica, subject) = (Arc::clone(signed.replica()), opened.subject);
    let (person, first) = (signed.who().person, first.clone());
    let prepare = move || {
        replica.act(|desk| -> Result<Prepared, ActError> { desk.prepare(subject, person, first) })
    };
    let prepared = tokio::task::spawn_blocking(prepare).await??;
    let pending = Pending { prepared, then: steps[1..].to_vec(), action: action.to_owned() };
    let name = deciding.steps.put(signed.replica(), signed.session.id, pending.clone());
    let page = page(signed, opened, deciding, &name, &pending, Vec::new());
    Ok(Some(page.into_response()))
}

fn page(
    signed: &Signed,
    opened: &Opened,
    deciding: &Deciding,
    name: &str,
    pending: &Pending,
    faults: Vec<FaultLine>,
) -> Markup {
    let l = signed.lang;
    let keys = keys_of(signed);
    let challenge = pending.prepared.challenge();
    let web = keys.iter().filter(|k| k.suite == SUITE_WEBAUTHN);
    let ids: Vec<String> = web.map(|k| base64url(&k.credential)).collect();
    let case = opened.subject;
    let number = opened.file.state.opened.as_ref().map(|o| grouped(&o.number)).unwrap_or_default();
    let mut about = vec![
        (l.t("办件", "Case").to_owned(), number),
        (l.t("要签的一步", "The step").to_owned(), l.step(pending.prepared.step()).to_owned()),
    ];
    let words = desk::words(l, pending.prepared.step());
    if !words.is_empty() {
        about.push((l.t("写明", "It says").to_owned(), words));
    }
    about.push((l.t("核对码", "Check digits").to_owned(), hex::encode(&challenge[..4])));
    let view = Ceremony {
        address: format!("/cases/{case}/sign/{name}"),
        what: "sign",
        ask: json!({ "challenge": base64url(&challenge), "rp": deciding.rp_id, "keys": &ids })
            .to_string(),
        about,
        back: format!("/cases/{case}"),
        touch: !ids.is_empty(),
        message: if keys.iter().any(|k| k.suite == SUITE_TOKEN) {
            base64url(&pending.prepared.message())
        } else {
            String::new()
        },
        password: !deciding.required && keys.iter().any(|k| k.grade == Grade::Otp),
        faults,
    };
    ceremony(&signed.shell("/cases"), &view)
}

/// Takes the answer of a key for a step that waits, and writes the step with what follows it.
pub(crate) async fn sign(
    signed: Signed,
    Path((case, name)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let opened = desk::open(&signed, &case)?;
    let address = format!("/cases/{case}");
    let deciding = signed.app.deciding.get().ok_or(AppError::NotFound)?;
    let now = signed.replica().now_ms();
    let pending = deciding.steps.get(&name, signed.session.id, now);
    let pending = pending.filter(|p| p.prepared.subject() == opened.subject);
    let Some(pending) = pending else { return Err(AppError::Stale { next: address }) };
    let refused = |words: &str| {
        let fault = FaultLine { field: "main".into(), words: words.to_owned() };
        page(&signed, &opened, deciding, &name, &pending, vec![fault])
    };
    let l = signed.lang;
    let unprocessable = |words: &str| {
        (axum::http::StatusCode::UNPROCESSABLE_ENTITY, refused(words)).into_response()
    };
    let answered = match fields.get("password").filter(|_| !deciding.required) {
        Some(password) => by_password(&signed, password)?,
        None => answer(&signed, &fields).ok_or_else(|| {
            l.t("这不是您登记的钥匙", "This is none of your registered keys").to_owned()
        }),
    };
    let (key, proof) = match answered {
        Ok(answered) => answered,
        Err(words) => return Ok(unprocessable(&words)),
    };
    match write(&signed, &pending, key, proof).await? {
        Ok(()) => {
            deciding.steps.done(&name);
            look::worked(&signed, opened.subject);
            Ok(Redirect::to(&format!("{address}?done={}", pending.action)).into_response())
        }
        Err(ActError::Refused(Reason::NoOwnKey | Reason::BadSignature)) => {
            let words = l.t(
                "签名不成立:签的不是这一步,或不是您的钥匙。再碰一次",
                "The signature does not hold: it is of another step or another key. Touch it again",
            );
            Ok(unprocessable(words))
        }
        Err(other) => Err(other.into()),
    }
}

async fn write(
    signed: &Signed,
    pending: &Pending,
    key: DeciderKey,
    proof: Proof,
) -> Result<Result<(), ActError>, AppError> {
    let (replica, again) = (Arc::clone(signed.replica()), signed.clone());
    let Pending { prepared, then, .. } = pending.clone();
    let subject = prepared.subject();
    let work = move || {
        replica.act(|desk| -> Result<(), ActError> {
            desk.confirm(prepared, &key, proof)?;
            for step in then {
                desk.event(subject, again.who(), step)?;
            }
            Ok(())
        })
    };
    Ok(tokio::task::spawn_blocking(work).await?)
}

/// The line that `cunkou-ukey` prints: the public key and the signature.
#[must_use]
pub fn token_answer(line: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let (public, signature) = line.trim().split_once('.')?;
    Some((from_base64url(public)?, from_base64url(signature)?))
}

/// A one-time password instead of a key: the enrolment, or why not in words.
fn by_password(
    signed: &Signed,
    password: &str,
) -> Result<Result<(DeciderKey, Proof), String>, AppError> {
    let l = signed.lang;
    let wrong =
        || l.t("动态口令不对或用过了,等下一个", "The password is wrong or used; wait for the next");
    let county = signed.replica().county();
    let login = county.person(signed.who().person).map(|p| p.login.clone()).unwrap_or_default();
    let Some(key) = keys_of(signed).into_iter().find(|k| k.grade == Grade::Otp) else {
        return Ok(Err(wrong().to_owned()));
    };
    Ok(match otp::check(signed.replica(), &login, &key, password)? {
        Checked::Right => Ok((key, Proof::Password)),
        Checked::Wrong => Err(wrong().to_owned()),
        Checked::Wait(ms) => Err(match l {
            cunkou_ui::Lang::Zh => format!("口令错得太多,{}后再试", l.span(ms)),
            cunkou_ui::Lang::En => format!("Too many wrong passwords. Try again in {}", l.span(ms)),
        }),
    })
}

/// The key that answered and its proof; nothing for an answer that no key of the person's gives.
fn answer(signed: &Signed, fields: &Fields) -> Option<(DeciderKey, Proof)> {
    if let Some(line) = fields.get("answer") {
        let (public, signature) = token_answer(line)?;
        let keys = keys_of(signed).into_iter();
        let key = keys.filter(|k| k.suite == SUITE_TOKEN).find(|k| *k.key == public)?;
        return Some((key, Proof::Signature(signature)));
    }
    let bytes = |name: &str| from_base64url(fields.get(name)?);
    let credential = bytes("credential")?;
    let key = keys_of(signed).into_iter().find(|k| *k.credential == credential)?;
    let assertion = Assertion {
        authenticator_data: bytes("data")?.into(),
        client_data: bytes("client")?.into(),
        signature: bytes("signature")?.into(),
    };
    Some((key, Proof::Signature(assertion.encode().ok()?)))
}
