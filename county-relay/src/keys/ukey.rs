//! UKeys: what `cunkou-ukey` signs on a person's own computer.

use super::{KeyDesk, asked, bad_code, code, fault, only_deciders, state, view};
use axum::extract::{Extension, Form, Path};
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::decider::{DeciderKey, Grade, SUITE_TOKEN, token_registration};
use cunkou_casework::webauthn::base64url;
use cunkou_edge::deciding::token_answer;
use cunkou_edge::forms::Fields;
use cunkou_edge::{AppError, Signed};
use cunkou_ui::page::keys::token;
use std::sync::Arc;

/// Checks name and code, then shows what the UKey is to sign.
pub(super) async fn begin(
    signed: Signed,
    Extension(desk): Extension<Arc<KeyDesk>>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let person = only_deciders(&signed)?;
    let begun = match asked(&signed, &person, &fields)? {
        Ok(begun) => begun,
        Err(faults) => return Ok(view(&signed, "", faults)),
    };
    let message = base64url(&token_registration(&begun.challenge));
    let waits = desk.begun.put(signed.replica(), signed.session.id, begun);
    let address = format!("/keys/ukey/{waits}");
    Ok(token(&signed.shell("/keys"), &address, &message).into_response())
}

/// Takes a UKey that has signed its registration.
pub(super) async fn finish(
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
    let answer = fields.get("answer").and_then(|line| token_answer(line));
    let key = answer.and_then(|(public, signature)| {
        let key = DeciderKey {
            suite: SUITE_TOKEN,
            key: public.into(),
            rp_id: String::new(),
            credential: Vec::new().into(),
            name: begun.name.clone(),
            grade: Grade::Ukey,
            aaguid: None,
        };
        key.verifies(&token_registration(&begun.challenge), &signature).then_some(key)
    });
    let Some(key) = key else {
        let words = signed.lang.t(
            "UKey 的签名不成立,重新登记一次",
            "The UKey's signature does not hold; register it again",
        );
        return Ok(view(&signed, "", fault("name-ukey", words)));
    };
    if !code::holds(signed.replica(), person.id, &begun.code, true)? {
        return Ok(view(&signed, "", bad_code(&signed)));
    }
    let again = |keys: &mut Vec<DeciderKey>| {
        keys.retain(|k| k.key != key.key);
        keys.push(key);
    };
    state(desk, person, again).await?;
    Ok(Redirect::to("/keys?done=key").into_response())
}
