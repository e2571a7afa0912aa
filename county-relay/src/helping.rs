//! Codes for forgotten PINs, read out by county IT.

use crate::home::Home;
use cunkou_edge::cli::{Exit, Failure};
use cunkou_edge::{AppError, Signed, helping};
use cunkou_replica::HelpError;
use cunkou_ui::page::boxes::Table;
use serde_json::{Value, json};

impl Home {
    /// The code for the number that a box shows to somebody who has forgotten their PIN.
    pub(crate) fn pin_code(
        &self,
        device: &str,
        login: &str,
        number: &str,
    ) -> Result<Value, Failure> {
        let refused = |words: String| Failure::new(Exit::Refused, words);
        let device = self.find_box(device)?;
        let county = self.replica.county();
        let person = county
            .person_by_login(login)
            .ok_or_else(|| refused(format!("there is nobody with the login {login}")))?;
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        if digits.len() != cunkou_keys::CHALLENGE_DIGITS as usize {
            return Err(Failure::new(Exit::Usage, "the number on the box has 8 digits"));
        }
        let code = self.replica.help(&self.replica.me().key, device, person.id, &digits, None);
        let code = code.map_err(|e| match e {
            HelpError::Unknown => refused(
                "no way back of this person at this box is known here for this number: is it the \
                 right box, has the person signed in there, has the box reached the county since?"
                    .to_owned(),
            ),
            HelpError::Store(e) => Failure::new(Exit::Failed, e.to_string()),
        })?;
        tracing::info!(%device, person = %person.id, "a code for a forgotten PIN was read out");
        Ok(json!({
            "schema": 1, "device": device.to_string(), "login": login, "name": person.name,
            "code": code,
            "next": "read the code over the phone; it works once, at this box, for this number",
        }))
    }
}

/// Who was helped from here.
pub(crate) fn table(signed: &Signed) -> Result<Table, AppError> {
    let l = signed.lang;
    let rows = helping::helped(l, signed.replica())?;
    let heads = [l.t("时间", "When"), l.t("给谁", "For whom"), l.t("谁念的", "By whom")];
    Ok(Table {
        title: l.t("为忘记 PIN 码的人念过的号码", "Codes read out for forgotten PINs").to_owned(),
        heads: heads.into_iter().map(str::to_owned).collect(),
        rows: rows.into_iter().map(|row| (row.to_vec(), "")).collect(),
        empty: l.t("还没有。", "None yet.").to_owned(),
        hint: l
            .t(
                "有人打电话来:cunkou-relay pin-code --box 盒子 --person 登录名 --number 编号",
                "When somebody calls: cunkou-relay pin-code --box BOX --person LOGIN --number NUMBER",
            )
            .to_owned(),
    })
}
