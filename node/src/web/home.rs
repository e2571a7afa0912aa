//! An agent's day, sync, and the practice room.

use crate::practice;
use crate::traffic;
use axum::Extension;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::entry::ClockSource;
use cunkou_edge::app::disk_free;
use cunkou_edge::lists::when;
use cunkou_edge::session::token;
use cunkou_edge::{AppError, Lease, Office, Signed};
use cunkou_link::LinkState;
use cunkou_store::{CaseFilter, How};
use cunkou_ui::page::home::{Home, page as render};
use cunkou_ui::page::sync::{Sync, page as render_sync};
use maud::Markup;
use std::path::PathBuf;
use std::sync::Arc;

/// So many lines of each kind on the first page.
const SHOWN: u32 = 50;

/// Where the practice room is made.
#[derive(Clone, Debug)]
pub(crate) struct PracticeFolder(pub(crate) PathBuf);

pub(crate) async fn page(signed: Signed) -> Result<Markup, AppError> {
    let owned = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let tasks: &[&str] = match signed.app.office {
        Office::Township => &["take", "forward"],
        _ => &["supplement", "deliver", "rate", "archive"],
    };
    let list = |filter: CaseFilter| -> Result<_, AppError> {
        Ok(signed.lines(&CaseFilter { limit: SHOWN, ..filter })?.0)
    };
    let duty = super::duty::on_home(&signed)?;
    let view = Home {
        duty: duty.waiting,
        on_duty: duty.on_duty,
        offer_duty: !signed.session.practice,
        tasks: list(CaseFilter { tasks: owned(tasks), by_due: true, ..signed.filter() })?,
        drafts: list(CaseFilter { phases: owned(&["draft"]), ..signed.filter() })?,
        under_way: list(CaseFilter {
            phases: match signed.app.office {
                Office::Township => owned(&["forwarded", "accepted", "supplementing"]),
                _ => owned(&["received", "township_taken", "forwarded", "accepted", "contested"]),
            },
            ..signed.filter()
        })?,
        lease_days: match signed.app.door.lease() {
            Lease::Ends(days, _) => Some(days),
            Lease::Fine | Lease::Over(_) => None,
        },
        alarm: !signed.replica().alarms()?.is_empty(),
        lost: super::lost::on_home(&signed)?,
        no_catalogue: signed.replica().release().is_none(),
        offer_practice: !signed.session.practice && signed.app.office == Office::Village,
    };
    Ok(render(&signed.shell("/"), &view))
}

pub(crate) async fn sync(signed: Signed) -> Result<Markup, AppError> {
    let l = signed.lang;
    let replica = &signed.app.replica;
    let status = replica.status()?;
    let now = replica.now_ms();
    let link = signed.app.link_state();
    let mut view = Sync {
        offer_lock: !signed.app.door.is_locked(),
        carry: (!signed.session.practice).then(|| "/sync/carry".to_owned()),
        ..Sync::default()
    };
    let state = match &link {
        Some(LinkState::Online(progress)) => {
            view.progress = Some((progress.to_send, progress.to_receive));
            l.t("已连上", "connected").to_owned()
        }
        Some(LinkState::Busy { again }) => format!(
            "{} {}",
            l.t("县平台正忙,会自动再试,大约", "the county is busy; tried again by itself in about"),
            l.span(i64::try_from(again.as_millis()).unwrap_or(i64::MAX))
        ),
        Some(LinkState::Connecting) => l.t("正在连接", "connecting").to_owned(),
        Some(LinkState::Offline { why, refused }) => {
            if *refused {
                view.needs_person.push(format!(
                    "{} {why}",
                    l.t(
                        "县平台不接收这个盒子,请联系县信息员:",
                        "The county does not accept this box; call county IT:"
                    )
                ));
            }
            l.t("没连上,会自动再试", "not connected; tried again by itself").to_owned()
        }
        None => String::new(),
    };
    if status.quarantine > 0 {
        view.needs_person.push(format!(
            "{} {}",
            l.t("有记录被隔离,请联系县信息员:", "Entries are in quarantine, tell county IT:"),
            status.quarantine
        ));
    }
    let oldest = status.unsent.oldest_ms.map_or_else(|| "—".to_owned(), |at| l.span(now - at));
    let clock = match (status.clock, status.clock_error_ms) {
        (ClockSource::Relay, Some(ms)) => {
            // Tenths of a second, and never a zero with a sign.
            let tenths = (ms as f64 / 100.0).round() / 10.0 + 0.0;
            format!(
                "{} ({}{tenths:.1} s)",
                l.clock(ClockSource::Relay),
                if tenths > 0.0 { "+" } else { "" }
            )
        }
        (source, _) => l.clock(source).to_owned(),
    };
    let rows = [
        (l.t("县平台", "County"), state),
        (
            l.t("只在本机的记录", "On this box only"),
            format!("{} · {}", status.unsent.entries, l.size(status.unsent.bytes)),
        ),
        (l.t("最久的等了", "Oldest waits"), oldest),
        (
            l.t("上次全部送完", "Last completed"),
            status.last_completed_ms.map_or_else(|| l.t("还没有", "never").to_owned(), when),
        ),
        (l.t("时钟", "Clock"), clock),
        (l.t("隔离的记录", "In quarantine"), status.quarantine.to_string()),
        (l.t("盒子还能存", "Free on disk"), l.size(disk_free(replica.store().folder()))),
    ];
    view.rows = rows.into_iter().map(|(label, value)| (label.to_owned(), value)).collect();
    view.traffic = traffic::of(replica, signed.app.door.replica())?
        .into_iter()
        .map(|t| [t.month_words(), t.name, l.size(t.sent), l.size(t.received)])
        .collect();
    let contacts = replica.store().read(|view| view.contacts(20))?;
    view.contacts = contacts
        .into_iter()
        .map(|c| {
            let ended = c.ended_ms.map_or_else(|| "—".into(), when);
            let peer = match c.how {
                How::Link => c.peer,
                How::Stick => format!("{} · {}", c.peer, l.t("U 盘", "stick")),
                How::Ferry => format!("{} · {}", c.peer, l.t("网闸摆渡", "ferry")),
                How::Neighbour => format!("{} · {}", c.peer, l.t("邻近盒子", "box nearby")),
            };
            [peer, when(c.began_ms), ended, c.entries_in.to_string(), c.entries_out.to_string()]
        })
        .collect();
    Ok(render_sync(&signed.shell("/sync"), &view))
}

pub(crate) async fn lock(signed: Signed) -> Result<Redirect, AppError> {
    let door = Arc::clone(&signed.app.door);
    tokio::task::spawn_blocking(move || door.lock()).await?;
    Ok(Redirect::to("/login"))
}

pub(crate) async fn enter_practice(
    signed: Signed,
    Extension(PracticeFolder(folder)): Extension<PracticeFolder>,
    headers: HeaderMap,
) -> Result<Response, AppError> {
    if signed.app.office != Office::Village {
        return Err(AppError::NotFound);
    }
    if signed.app.practice.get().is_none() {
        let release = signed.app.release().ok_or(AppError::NotFound)?;
        let room = tokio::task::spawn_blocking(move || practice::make(&folder, &release)).await??;
        // Two who enter at once: the second room is dropped, both use the first.
        let _ = signed.app.practice.set(room);
    }
    if let Some(token) = token(&headers) {
        signed.app.sessions.set_practice(token, true);
    }
    Ok(Redirect::to("/").into_response())
}

pub(crate) async fn leave_practice(signed: Signed, headers: HeaderMap) -> Redirect {
    if let Some(token) = token(&headers) {
        signed.app.sessions.set_practice(token, false);
    }
    Redirect::to("/")
}
