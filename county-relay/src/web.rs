//! The console's own pages: cases, boxes, people.

use crate::enrolments;
use crate::home::Home;
use crate::{contacts, helping, histories, keys, looks};
use axum::Router;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::county::{DeviceKind, Role};
use cunkou_casework::ids::DeviceId;
use cunkou_edge::forms::Fields;
use cunkou_edge::lists::when;
use cunkou_edge::routes::Shows::{Nothing, Personal};
use cunkou_edge::routes::{Routes, Who};
use cunkou_edge::web;
use cunkou_edge::{App, AppError, Signed, desk};
use cunkou_ui::Lang;
use cunkou_ui::page::boxes::{Table, page, page_with};
use cunkou_ui::page::carry::{above_boxes, ways};
use cunkou_ui::page::enrolments::{ToCompare, section};
use maud::Markup;
use std::sync::Arc;

/// A box that was silent for so long is named. Milliseconds.
const SILENT_MS: i64 = 24 * 3_600_000;

/// Every route of the console.
pub(crate) fn routes() -> Routes {
    web::shared()
        .get("/", Who::Signed, Nothing, first)
        .get("/cases/{case}", Who::Signed, Personal, case)
        .get("/boxes", Who::Machines, Nothing, boxes)
        .post("/boxes/{id}/confirm", Who::It, Nothing, confirm)
        .and(crate::carry::routes())
        .and(contacts::routes())
        .get("/staff", Who::Machines, Nothing, staff)
        .and(looks::routes())
        .and(keys::routes())
        .and(crate::erasures::routes())
}

pub(crate) fn router(app: Arc<App>, home: Arc<Home>) -> Router {
    web::router(app, routes()).layer(keys::desk(home))
}

async fn first(signed: Signed) -> Redirect {
    Redirect::to(web::first_page(&signed))
}

async fn case(
    signed: Signed,
    Path(case): Path<String>,
    Query(query): Query<Fields>,
) -> Result<Response, AppError> {
    let opened = desk::open(&signed, &case)?;
    Ok(desk::show(&signed, &opened, desk::full(&query))?.into_response())
}

async fn boxes(signed: Signed) -> Result<Markup, AppError> {
    let (l, replica) = (signed.lang, signed.replica());
    let county = replica.county();
    let now = replica.now_ms();
    let peers = replica.store().read(|view| view.peers())?;
    let suspended = replica.store().read(|view| view.suspensions())?;
    let quarantined = replica.store().read(|view| view.quarantined())?;
    let pending = enrolments::pending(replica)?;
    let rows = county.devices().filter(|d| d.id != replica.me().device).map(|device| {
        let seen = peers.iter().find(|p| p.device == device.id.0);
        let counts = county.device_counts(device.id);
        let mut villages: Vec<String> =
            device.places.iter().map(|p| county.place_name(*p)).collect();
        if villages.is_empty() {
            villages.push(l.t("备用机,等待绑定", "spare, waits for its places").to_owned());
        }
        let (last, tone) = match seen {
            _ if !counts => match replica.last_word_of(device.id) {
                Ok(Some(word)) => {
                    let words = l.t("已撤销,已销毁密钥", "revoked; keys destroyed");
                    (format!("{words} {}", when(word.at_ms)), "grey")
                }
                _ => (
                    l.t("已撤销,还没确认销毁密钥", "revoked; keys not known to be destroyed")
                        .to_owned(),
                    "red",
                ),
            },
            _ if suspended.iter().any(|s| s.device == device.id.0) => {
                (l.t("已暂停:异常记录过多", "suspended: too many bad entries").to_owned(), "red")
            }
            Some(p) if now - p.seen_ms > SILENT_MS => (l.span(now - p.seen_ms), "amber"),
            Some(p) => (l.span(now - p.seen_ms), ""),
            None => (l.t("还没联系过", "never").to_owned(), "amber"),
        };
        let completed = seen.and_then(|p| p.completed_ms).map_or_else(String::new, when);
        let clock = seen.map_or_else(String::new, |p| format!("{:+} s", p.clock_error_ms / 1000));
        let software = seen.map_or_else(String::new, |p| p.software.clone());
        let id = device.id.to_string()[..8].to_owned();
        let to_compare = pending.iter().any(|p| p.device == device.id);
        let tone = if to_compare && tone.is_empty() { "amber" } else { tone };
        (vec![device.name.clone(), villages.join("、"), last, completed, clock, software, id], tone)
    });
    let heads = [
        l.t("盒子", "Box"),
        l.t("服务的村", "Villages"),
        l.t("多久没联系", "Last heard"),
        l.t("上次送完", "Completed"),
        l.t("时钟差", "Clock"),
        l.t("版本", "Version"),
        l.t("编号", "Id"),
    ];
    let table = Table {
        title: l.t("盒子", "Boxes").to_owned(),
        heads: heads.into_iter().map(str::to_owned).collect(),
        rows: rows.collect(),
        empty: l
            .t(
                "还没有盒子。用 cunkou-relay enrol 生成一次性文件。",
                "No boxes yet. Make a one-time file with cunkou-relay enrol.",
            )
            .to_owned(),
        hint: if suspended.is_empty() {
            format!("{} {quarantined}", l.t("隔离的记录条数:", "Entries in quarantine:"))
        } else {
            format!(
                "{} {quarantined} {}",
                l.t("隔离的记录条数:", "Entries in quarantine:"),
                l.t(
                    "查明原因后恢复:cunkou-relay lift 编号",
                    "Once the cause is known: cunkou-relay lift ID"
                )
            )
        },
    };
    let refused = refused_table(l, &enrolments::refusals(replica)?);
    // Comparing words is county IT's; who guards sees the same boxes.
    let comparing = pending.into_iter().filter(|_| signed.is(Role::It));
    let above: Vec<ToCompare> = comparing
        .map(|p| ToCompare {
            id: p.device.to_string(),
            name: p.name,
            words: p.words,
            since: when(p.since_ms),
        })
        .collect();
    let tables =
        histories::table(&signed)?.into_iter().chain([table, refused, helping::table(&signed)?]);
    let tables: Vec<Table> = tables.collect();
    let title = l.t("盒子", "Boxes");
    let carried = replica.county();
    let boxes = |page: &str| -> Vec<(String, String)> {
        carried
            .devices()
            .filter(|d| d.kind != DeviceKind::Relay && carried.device_counts(d.id))
            .map(|d| (format!("/boxes/{}/{page}", d.id), d.name.clone()))
            .collect()
    };
    let (carry, history) =
        (l.t("带走 / 带回(U 盘)", "Carry by hand (stick)"), l.t("联系记录", "History of contacts"));
    let above = above_boxes(&[
        section(l, &above),
        ways(history, &boxes("contacts")),
        ways(carry, &boxes("carry")),
    ]);
    Ok(page_with(&signed.shell("/boxes"), title, &above, &tables))
}

/// What was refused where boxes enrol.
fn refused_table(l: Lang, refused: &[enrolments::Refusal]) -> Table {
    let rows = refused.iter().map(|r| {
        let (zh, en) = r.why.words();
        let name = r.name.clone().unwrap_or_default();
        let cells = [when(r.at_ms), name, l.t(zh, en).into(), r.from.clone(), r.times.to_string()];
        let tone = if r.why == enrolments::Why::OtherBox { "red" } else { "" };
        ([&cells[..], std::slice::from_ref(&r.token)].concat(), tone)
    });
    let heads = [
        l.t("时间", "When"),
        l.t("为谁发的", "Made for"),
        l.t("为什么拒绝", "Why refused"),
        l.t("来自", "From"),
        l.t("次数", "Times"),
        l.t("令牌", "Token"),
    ];
    Table {
        title: l.t("被拒绝的登记", "Refused enrolments").to_owned(),
        rows: rows.collect(),
        heads: heads.into_iter().map(str::to_owned).collect(),
        empty: l.t("没有。", "None.").to_owned(),
        hint: l
            .t(
                "“已被另一台盒子用过”可能是文件被偷:先核对登记成功那台的六个词,不对就撤销它。",
                "Used by another box may mean a stolen file: compare the six words of the box that was enrolled, and revoke it if they differ.",
            )
            .to_owned(),
    }
}

/// County IT has compared the words of a new box.
async fn confirm(signed: Signed, Path(id): Path<String>) -> Result<Redirect, AppError> {
    let replica = signed.replica();
    let device: DeviceId = id.parse().map_err(|_| AppError::NotFound)?;
    let county = replica.county();
    let login = county.person(signed.who().person).map_or_else(String::new, |p| p.login.clone());
    if !enrolments::confirm(replica, device, &login)? {
        return Err(AppError::NotFound);
    }
    Ok(Redirect::to("/boxes"))
}

async fn staff(signed: Signed) -> Result<Markup, AppError> {
    let l = signed.lang;
    let county = signed.replica().county();
    let rows = county.people().map(|person| {
        let role = person.posts.first().map_or("", |p| l.role(p.role)).to_owned();
        let places: Vec<String> = person
            .posts
            .iter()
            .map(|p| p.department.clone().unwrap_or_else(|| county.place_name(p.place)))
            .collect();
        let keys = person.keys.iter().flatten();
        let mut grades: Vec<_> = keys.map(|k| l.attestation(k.grade.into())).collect();
        grades.dedup();
        let key = match (grades.is_empty(), person.key.is_some()) {
            (false, _) => grades.join("、"),
            (true, true) => l.t("本人密钥", "own key").to_owned(),
            (true, false) => l.t("县平台证明", "relay-attested").to_owned(),
        };
        (vec![person.name.clone(), person.login.clone(), role, places.join("、"), key], "")
    });
    let heads = [
        l.t("姓名", "Name"),
        l.t("登录名", "Login"),
        l.t("角色", "Role"),
        l.t("在哪里", "Where"),
        l.t("签名", "Signature"),
    ];
    let table = Table {
        title: l.t("人员", "People").to_owned(),
        heads: heads.into_iter().map(str::to_owned).collect(),
        rows: rows.collect(),
        empty: String::new(),
        hint: l
            .t(
                "添加人员:cunkou-relay staff add --help",
                "Add people: cunkou-relay staff add --help",
            )
            .to_owned(),
    };
    Ok(page(&signed.shell("/staff"), l.t("人员", "People"), &[table]))
}
