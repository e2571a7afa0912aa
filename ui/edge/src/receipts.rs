//! Checking a receipt that somebody brings: its signature against the county log, and what it says
//! against the case, where that is here.

use crate::forms::Fields;
use crate::{AppError, Signed};
use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cunkou_casework::calendar::china_time;
use cunkou_casework::ids::SubjectId;
use cunkou_casework::number::grouped;
use cunkou_casework::receipt::{BadReceipt, Receipt, SignedReceipt};
use cunkou_ui::Lang;
use cunkou_ui::page::receipts::{Verdict, page};
use maud::Markup;

fn refusal(l: Lang, why: BadReceipt) -> String {
    let words = match why {
        BadReceipt::Other => l.t(
            "这不是收件回执上的二维码。按编号查,请到“办件”",
            "This is no code of a receipt. To look up a number, go to the cases",
        ),
        BadReceipt::Damaged => l.t("没有读全,再扫一次", "It was not read whole; scan it again"),
        BadReceipt::UnknownDevice => l.t(
            "没有找到出具这张回执的服务点。先别采信,打电话给县里核对",
            "No service point known here gave this receipt. Do not rely on it; call the county",
        ),
        BadReceipt::Forged => l.t(
            "签名不对:这张回执不是那个服务点出具的,或者被改过。别采信,打电话给县里",
            "The signature does not hold: that service point did not give it, or it was changed. Do not rely on it; call the county",
        ),
    };
    words.to_owned()
}

pub(crate) async fn form(signed: Signed) -> Markup {
    page(&signed.shell("/cases"), &Verdict::Unasked)
}

/// How a receipt agrees with the case that is here, and the case's address for who may see it.
fn held_against(
    signed: &Signed,
    receipt: &Receipt,
) -> Result<((String, &'static str), Option<String>), AppError> {
    let (l, replica) = (signed.lang, signed.replica());
    let number = format!("{:012}", receipt.number);
    let said = |zh: &'static str, en: &'static str, tone| (l.t(zh, en).to_owned(), tone);
    let found = replica.store().read(|view| view.case_by_number(&number))?;
    let Some(subject) = found.map(SubjectId) else {
        let words = said(
            "本机没有这一件,以县里为准。",
            "The case is not on this machine; ask the county.",
            "",
        );
        return Ok((words, None));
    };
    let Some(file) = replica.case(subject)? else {
        return Ok((said("内容在县里。", "The county has its content.", ""), None));
    };
    let (opened, submission) = (file.state.opened, file.state.submission);
    let same = submission.is_some_and(|s| s.event == receipt.submission);
    let (opened, true) = (opened.as_ref(), same) else {
        let words = said(
            "编号有,但提交的内容不是回执上的那一份。打电话给县里核对。",
            "The number exists, but what was submitted is not what the receipt says. Call the county.",
            "warn",
        );
        return Ok((words, None));
    };
    let may =
        opened.is_some_and(|o| signed.may_see(&replica.county(), o.place, &o.route.department));
    let words = said("和本机的办件一致。", "It agrees with the case that is here.", "");
    Ok((words, may.then(|| format!("/cases/{subject}"))))
}

fn verdict(signed: &Signed, text: &str) -> Result<Verdict, AppError> {
    let (l, county) = (signed.lang, signed.replica().county());
    let checked = SignedReceipt::parse(text).and_then(|receipt| receipt.check(&county));
    let receipt = match checked {
        Ok(receipt) => receipt,
        Err(why) => return Ok(Verdict::Bad(refusal(l, why))),
    };
    let release = signed.replica().release();
    let item = release.as_ref().and_then(|release| release.item(&receipt.item));
    let item = item.map_or_else(|| receipt.item.clone(), |i| l.t(&i.name, &i.name_en).to_owned());
    let device = county.device(receipt.device).map(|d| d.name.clone()).unwrap_or_default();
    let time = china_time(receipt.at_ms);
    let rows = [
        (l.t("编号", "Number"), grouped(&format!("{:012}", receipt.number))),
        (l.t("事项", "Item"), item),
        (l.t("出具单位", "Given by"), device),
        (
            l.t("收件时间", "Received"),
            format!("{} {:02}:{:02}", time.date(), time.hour(), time.minute()),
        ),
    ];
    let (mut here, case) = held_against(signed, &receipt)?;
    if !county.device_counts(receipt.device) {
        let words = l.t(
            "出具它的盒子后来被撤销了:打电话给县里核对。",
            "The box that gave it has been revoked since: call the county.",
        );
        here = (words.to_owned(), "warn");
    }
    let rows = rows.into_iter().map(|(label, value)| (label.to_owned(), value)).collect();
    Ok(Verdict::Good { rows, here, case })
}

pub(crate) async fn check(
    signed: Signed,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let work = move || -> Result<Response, AppError> {
        let verdict = verdict(&signed, fields.get("code").map_or("", String::as_str))?;
        let status = match verdict {
            Verdict::Bad(_) => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::OK,
        };
        Ok((status, page(&signed.shell("/cases"), &verdict)).into_response())
    };
    tokio::task::spawn_blocking(work).await?
}
