//! The sync page: how far what is here has come, what needs a person, and the history of contacts.

use crate::traffic;
use axum::response::Response;
use cunkou_casework::entry::ClockSource;
use cunkou_edge::app::disk_free;
use cunkou_edge::history::{self, Line as Contact};
use cunkou_edge::looks::csv_answer;
use cunkou_edge::standing::needs::Need;
use cunkou_edge::standing::{Standing, words};
use cunkou_edge::{AppError, Signed};
use cunkou_replica::CaseHere;
use cunkou_ui::Lang;
use cunkou_ui::page::cases::Line;
use cunkou_ui::page::sync::{self as view, Failed, Now, Sync};
use maud::Markup;
use std::time::Instant;

/// So many cases that are only here are listed, those that waited longest.
const LISTED: usize = 20;

pub(crate) async fn page(signed: Signed) -> Result<Markup, AppError> {
    // Somebody is looking: the next attempt to connect need not wait.
    signed.app.somebody_looks();
    let l = signed.lang;
    let contacts = contacts(&signed, history::SHOWN)?;
    let used = traffic::of(&signed.app.replica, signed.app.door.replica())?;
    let rows =
        used.into_iter().map(|t| [t.month_words(), t.name, l.size(t.sent), l.size(t.received)]);
    let view = Sync {
        now: now(&signed)?,
        contacts: history::table(l, &contacts),
        traffic: rows.collect(),
        carry: (!signed.session.practice).then(|| "/sync/carry".to_owned()),
        offer_lock: !signed.app.door.is_locked(),
    };
    Ok(view::page(&signed.shell("/sync"), &view))
}

/// The part that renews itself.
pub(crate) async fn progress(signed: Signed) -> Result<Markup, AppError> {
    signed.app.somebody_looks();
    Ok(view::progress(signed.lang, &now(&signed)?))
}

/// The history as a table that leaves.
pub(crate) async fn exported(signed: Signed) -> Result<Response, AppError> {
    let text = history::exported(signed.lang, &contacts(&signed, history::EXPORTED)?);
    Ok(csv_answer("contacts.csv", text))
}

/// What an open box counts in its work and a locked one in the vault, as one history.
fn contacts(signed: &Signed, limit: u32) -> Result<Vec<Contact>, AppError> {
    Ok(traffic::contacts(&signed.app.replica, signed.app.door.replica(), limit)?)
}

fn now(signed: &Signed) -> Result<Now, AppError> {
    let l = signed.lang;
    let standing = Standing::of(signed)?;
    let here = &standing.known.here;
    let may_see = signed.villages();
    let listed = here.cases.iter().filter(|c| may_see.is_empty() || may_see.contains(&c.row.place));
    let cases: Vec<Line> =
        listed.take(LISTED).map(|case| line(signed, case, standing.now_ms)).collect();
    let pace = standing.link.as_ref().and_then(|link| link.pace);
    Ok(Now {
        words: words::now(l, &standing),
        pace: pace
            .filter(|_| !standing.left().nothing())
            .map(|pace| words::pace(l, &pace, standing.remaining())),
        needs: standing.needs.iter().map(|need| shown(l, need)).collect(),
        failed: failed(l, &standing),
        rows: rows(signed, &standing),
        here: words::only_here(l, here),
        since: here.unsent.oldest_ms.map(|at| words::since(l, at, standing.now_ms)),
        more: (here.cases.len() as u64).saturating_sub(cases.len() as u64),
        cases,
        at: at(l, standing.now_ms),
    })
}

fn at(l: Lang, now_ms: i64) -> String {
    let at = words::day_and_time(l, now_ms);
    match l {
        Lang::Zh => format!("{at} 的情况"),
        Lang::En => format!("As of {at}"),
    }
}

fn shown(l: Lang, need: &Need) -> view::Need {
    view::Need {
        words: need.words(l),
        who: words::whose(l, need.whose()).to_owned(),
        way: need.href().map(|href| (href, words::way(l, need).to_owned())),
        tone: need.tone(),
    }
}

/// A case of which something is only here, with what and since when.
fn line(signed: &Signed, case: &CaseHere, now_ms: i64) -> Line {
    let l = signed.lang;
    let (entries, photos) = (case.here.entries, case.here.photos);
    let mut line = signed.line(&case.row);
    line.marks = Vec::new();
    if entries > 0 {
        line.marks.push(match l {
            Lang::Zh => format!("{entries} 条记录"),
            Lang::En => format!("{entries} entries"),
        });
    }
    if photos > 0 {
        line.marks.push(match l {
            Lang::Zh => format!("照片 {photos} 张"),
            Lang::En => format!("{photos} photos"),
        });
    }
    if let Some(at) = case.here.oldest_ms {
        let span = l.span(now_ms.saturating_sub(at));
        line.left = match l {
            Lang::Zh => format!("等了 {span}"),
            Lang::En => format!("waits {span}"),
        };
        line.tone = "";
    }
    line
}

/// Why the last attempt came to nothing; not while one is under way for the first time.
fn failed(l: Lang, standing: &Standing) -> Option<Failed> {
    let failure = standing.link.as_ref()?.failure.as_ref()?;
    let (what, next) = words::trouble(l, failure.why, &failure.words);
    let ago = |at: Instant| {
        let ms = i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX);
        words::day_and_time(l, standing.now_ms.saturating_sub(ms))
    };
    let (since, last, n) = (ago(failure.since), ago(failure.at), failure.times);
    let tried = match l {
        Lang::Zh => format!("上次试:{last};从 {since} 起试了 {n} 次。"),
        Lang::En => format!("Last tried {last}; {n} attempts since {since}."),
    };
    Some(Failed { what, next, tried, said: failure.words.clone() })
}

fn rows(signed: &Signed, standing: &Standing) -> Vec<(String, String)> {
    let l = signed.lang;
    let status = &standing.known.status;
    let never = || l.t("还没有", "never").to_owned();
    let clock = match (status.clock, status.clock_error_ms) {
        (ClockSource::Relay, Some(ms)) => {
            // Tenths of a second, and never a zero with a sign.
            let tenths = (ms as f64 / 100.0).round() / 10.0 + 0.0;
            let sign = if tenths > 0.0 { "+" } else { "" };
            format!("{} ({sign}{tenths:.1} s)", l.clock(ClockSource::Relay))
        }
        (source, _) => l.clock(source).to_owned(),
    };
    let time = |ms: Option<i64>| ms.map_or_else(never, |ms| words::day_and_time(l, ms));
    let photos = match standing.lane.wanted {
        0 => l.t("都到了", "all here").to_owned(),
        wanted => format!("{wanted} · {}", l.size(standing.lane.wanted_bytes)),
    };
    let rows = [
        (
            l.t("县平台", "County"),
            standing.link.as_ref().map_or_else(String::new, |link| words::state(l, link)),
        ),
        (l.t("上次两边都送完", "Last completed, both ways"), time(status.last_completed_ms)),
        (l.t("上次联系", "Last contact"), time(standing.last_contact_ms)),
        (l.t("还没收到的照片", "Photos still to come"), photos),
        (l.t("时钟", "Clock"), clock),
        (l.t("隔离的记录", "In quarantine"), status.quarantine.to_string()),
        (l.t("盒子还能存", "Free on disk"), l.size(disk_free(signed.app.replica.store().folder()))),
    ];
    rows.into_iter().map(|(label, value)| (label.to_owned(), value)).collect()
}
