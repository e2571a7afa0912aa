//! One-time passwords: enrolled here, their secret kept here.

use super::{KeyDesk, bad_code, code, fault, only_deciders, state, view};
use axum::extract::{Extension, Form, Path};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::decider::{DeciderKey, Grade, KEYS_MAX, SUITE_OTP};
use cunkou_edge::deciding::keys_of;
use cunkou_edge::forms::Fields;
use cunkou_edge::otp::{self, SECRET_BYTES};
use cunkou_edge::{AppError, Signed};
use cunkou_ui::page::keys::{Secret, secret};
use std::sync::Arc;

/// A secret is not kept by any cache.
const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// Checks the code, then shows the secret of an authenticator once.
pub(super) async fn begin(
    signed: Signed,
    Extension(desk): Extension<Arc<KeyDesk>>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let person = only_deciders(&signed)?;
    let typed_code = fields.get("code").map_or("", |t| t.trim()).to_owned();
    if !code::holds(signed.replica(), person.id, &typed_code, false)? {
        return Ok(view(&signed, "", bad_code(&signed)));
    }
    let mut drawn = [0; SECRET_BYTES];
    signed.replica().draw(&mut drawn);
    let typed = otp::typed(&drawn);
    let waits = desk.secrets.put(signed.replica(), signed.session.id, (drawn, typed_code));
    let view = Secret {
        address: format!("/keys/otp/{waits}"),
        link: format!("otpauth://totp/cunkou:{}?secret={typed}&issuer=cunkou", person.login),
        secret: typed,
    };
    Ok((NO_STORE, secret(&signed.shell("/keys"), &view)).into_response())
}

/// Takes the first password of an authenticator; the enrolment goes into the county log, the
/// secret stays here.
pub(super) async fn finish(
    signed: Signed,
    Extension(desk): Extension<Arc<KeyDesk>>,
    Path(waits): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let person = only_deciders(&signed)?;
    let replica = signed.replica();
    let Some((drawn, typed_code)) = desk.secrets.get(&waits, signed.session.id, replica.now_ms())
    else {
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
    if keys_of(&signed).len() >= KEYS_MAX || !code::holds(replica, person.id, &typed_code, true)? {
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
