//! Who looked: for a resident who asks, and for those who audit.

use crate::{AppError, Office, Signed};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use cunkou_casework::calendar::china_time;
use cunkou_casework::ids::{DeviceId, PersonId, SubjectId};
use cunkou_casework::looking::Purpose;
use cunkou_casework::number::grouped;
use cunkou_store::{Listed, LookRow};
use cunkou_ui::Lang;
use cunkou_ui::page::boxes::Table;

/// So many looks of a resident are shown of each machine, the latest.
pub const SHOWN: u32 = 500;
/// So many looks stand on a page of the audit.
pub const PAGE: u32 = 200;
/// So many looks of this machine leave in one table, and so many of all others together.
pub const EXPORTED: u32 = 100_000;
/// A box whose clock is ahead by no more is not spoken of. Milliseconds.
const AHEAD_MS: i64 = 10 * 60 * 1000;

fn time(ms: i64) -> String {
    let t = china_time(ms);
    format!("{} {:02}:{:02}", t.date(), t.hour(), t.minute())
}

fn page_words(l: Lang, look: &LookRow) -> &'static str {
    let path = look.what.split_once(' ').map_or(look.what.as_str(), |(_, path)| path);
    match path {
        _ if look.subject == [0; 16] => l.t("列表", "A list"),
        _ if path.starts_with("/duty/") => l.t("交接", "A hand-over"),
        "/residents/{id}/looks" => l.t("谁看过", "Who looked"),
        _ if path.starts_with("/residents") => l.t("居民资料", "Particulars"),
        "/cases/{case}/copy.pdf" => l.t("给本人的副本", "The resident's own copy"),
        _ if path.ends_with(".pdf") => l.t("文书", "A paper"),
        _ if path.contains("/photo/") => l.t("照片", "A photo"),
        "/cases/{case}/export" => l.t("导出", "Export"),
        "/cases/{case}/progress" => l.t("办理进度", "Progress"),
        _ => l.t("办件", "The case"),
    }
}

/// Name and role of who looked.
fn who(signed: &Signed, look: &LookRow) -> (String, String) {
    let l = signed.lang;
    let county = signed.replica().county();
    let Some(person) = county.person(PersonId(look.person)) else {
        return (PersonId(look.person).to_string()[..8].to_owned(), String::new());
    };
    let mut posts: Vec<(&str, Vec<String>)> = Vec::new();
    for post in &person.posts {
        let role = l.role(post.role);
        let at = post.department.clone().unwrap_or_else(|| county.place_name(post.place));
        match posts.last_mut().filter(|(last, _)| *last == role) {
            Some((_, places)) if places.contains(&at) => {}
            Some((_, places)) => places.push(at),
            None => posts.push((role, vec![at])),
        }
    }
    let comma = l.t("、", ", ");
    let posts = posts.iter().map(|(role, at)| format!("{role} {}", at.join(comma)));
    (person.name.clone(), posts.collect::<Vec<_>>().join(l.t(";", "; ")))
}

/// On which machine.
fn place(signed: &Signed, device: [u8; 16]) -> String {
    let l = signed.lang;
    if device == [0; 16] {
        let here = match signed.app.office {
            Office::County => l.t("县平台", "The county's console"),
            _ => l.t("本机", "This machine"),
        };
        return here.to_owned();
    }
    let device = DeviceId(device);
    let county = signed.replica().county();
    county.device(device).map_or_else(|| device.to_string()[..8].to_owned(), |d| d.name.clone())
}

/// What to know of a look that only a box's word stands for.
fn doubts(l: Lang, look: &LookRow) -> String {
    let no_post = look.no_post.then(|| {
        l.t("盒子自报,此人不在该点任职", "Said by the box; this person has no post there")
    });
    let ahead = look.device != [0; 16] && look.at_ms > look.received_ms.saturating_add(AHEAD_MS);
    let ahead =
        ahead.then(|| l.t("盒子自报的时间晚于收到的时间", "The box dates it after it came here"));
    let doubts: Vec<&str> = no_post.into_iter().chain(ahead).collect();
    doubts.join(l.t(";", "; "))
}

/// Says of which machines older looks are left out; empty when none are.
fn left_out(signed: &Signed, cut: &[[u8; 16]]) -> String {
    if cut.is_empty() {
        return String::new();
    }
    let l = signed.lang;
    let places: Vec<String> = cut.iter().map(|device| place(signed, *device)).collect();
    let words = l.t("没有列全,更早的没有列出:", "Not complete; older looks are left out of: ");
    format!("{words}{}{}", places.join(l.t("、", ", ")), l.t("。", "."))
}

fn purpose(l: Lang, look: &LookRow) -> &'static str {
    match Purpose::of(look.purpose) {
        Some(purpose) => l.purpose(purpose),
        None => l.t("经办", "In their hands"),
    }
}

fn numbers(l: Lang, look: &LookRow) -> &'static str {
    if look.uncovered { l.t("完整", "full") } else { l.t("遮盖", "masked") }
}

/// What a resident is told: who with which role, when, what for; never what the page said.
///
/// # Errors
/// When the store fails.
pub fn of_resident(signed: &Signed, resident: SubjectId) -> Result<Table, AppError> {
    let l = signed.lang;
    let listed: Listed = signed.replica().store().read(|view| view.looks_at(&resident.0, SHOWN))?;
    let rows = listed.rows.iter().map(|look| {
        let (name, role) = who(signed, look);
        let page = page_words(l, look).to_owned();
        let cells = vec![
            time(look.at_ms),
            name,
            role,
            place(signed, look.device),
            page,
            purpose(l, look).into(),
            numbers(l, look).into(),
        ];
        (cells, "")
    });
    let hint = l.t(
        "这是在本机看过的记录,最近 500 条;名单不逐人记。在县里和别的盒子上看过的,县里有:向县审计管理员查询,报办件编号。",
        "These are the looks on this machine, the latest 500; lists are not recorded by person. The county has the rest, of its console and of other boxes: ask its audit administrator, with the number of a case.",
    );
    let heads = [
        l.t("时间", "When"),
        l.t("谁", "Who"),
        l.t("岗位", "Post"),
        l.t("在哪里", "Where"),
        l.t("看了什么", "What"),
        l.t("用途", "What for"),
        l.t("号码", "Numbers"),
    ];
    Ok(Table {
        title: l.t("谁看过", "Who looked").to_owned(),
        heads: heads.into_iter().map(str::to_owned).collect(),
        rows: rows.collect(),
        empty: l.t("还没有人看过。", "Nobody has looked.").to_owned(),
        hint: spaced(&left_out(signed, &listed.cut), hint),
    })
}

/// Sentences after each other, without those that are not said.
#[must_use]
pub fn spaced(first: &str, then: &str) -> String {
    [first, then].join(" ").trim().to_owned()
}

/// What was looked at, without saying who it is about.
fn subject(signed: &Signed, look: &LookRow) -> Result<String, AppError> {
    if look.subject == [0; 16] {
        return Ok(look.scope.clone());
    }
    let number = signed.replica().store().read(|view| view.number_of(&look.subject))?;
    Ok(number.map_or_else(
        || SubjectId(look.subject).to_string()[..8].to_owned(),
        |number| grouped(&number),
    ))
}

/// The column heads of the audit.
#[must_use]
pub fn heads(l: Lang) -> [&'static str; 11] {
    [
        l.t("时间", "When"),
        l.t("到", "Until"),
        l.t("谁", "Who"),
        l.t("岗位", "Post"),
        l.t("在哪里", "Where"),
        l.t("看了什么", "What"),
        l.t("办件或范围", "Case or scope"),
        l.t("用途", "What for"),
        l.t("号码", "Numbers"),
        l.t("注意", "Note"),
        l.t("页面", "Page"),
    ]
}

fn row(signed: &Signed, look: &LookRow) -> Result<Vec<String>, AppError> {
    let l = signed.lang;
    let (name, role) = who(signed, look);
    Ok(vec![
        time(look.at_ms),
        time(look.until_ms.max(look.at_ms)),
        name,
        role,
        place(signed, look.device),
        page_words(l, look).to_owned(),
        subject(signed, look)?,
        purpose(l, look).to_owned(),
        numbers(l, look).to_owned(),
        doubts(l, look),
        look.what.clone(),
    ])
}

/// All looks in this store, the latest first.
///
/// # Errors
/// When the store fails.
pub fn all(signed: &Signed, limit: u32, offset: u32) -> Result<Vec<Vec<String>>, AppError> {
    let looks = signed.replica().store().read(|view| view.looks(0, limit, offset))?;
    looks.iter().map(|look| row(signed, look)).collect()
}

/// The looks at whoever a case is about: at them, and at every case of theirs; the latest first.
/// With the case's number; nothing for what is no case here.
///
/// # Errors
/// When the store fails.
pub fn of_case(signed: &Signed, case: SubjectId) -> Result<Option<Found>, AppError> {
    let store = signed.replica().store();
    let Some(found) = store.read(|view| view.case_row(&case.0))? else { return Ok(None) };
    let listed: Listed = store.read(|view| view.looks_at(&found.resident, SHOWN))?;
    let rows = listed.rows.iter().map(|look| row(signed, look)).collect::<Result<_, _>>()?;
    let left_out = left_out(signed, &listed.cut);
    Ok(Some(Found { number: grouped(&found.number), rows, left_out }))
}

/// What was looked at of whoever a case is about.
#[derive(Clone, Debug)]
pub struct Found {
    /// The case's number, as people write it.
    pub number: String,
    /// The looks, as in [`all`].
    pub rows: Vec<Vec<String>>,
    /// Whose older looks are left out, in words; empty when none are.
    pub left_out: String,
}

/// The latest looks in this store for a table that leaves it; its first row says when they are
/// not all.
///
/// # Errors
/// When the store fails.
pub fn exported(signed: &Signed) -> Result<Vec<Vec<String>>, AppError> {
    let listed: Listed = signed.replica().store().read(|view| view.latest_looks(EXPORTED))?;
    let left_out = left_out(signed, &listed.cut);
    let first = (!left_out.is_empty()).then(|| Ok(vec![left_out]));
    first.into_iter().chain(listed.rows.iter().map(|look| row(signed, look))).collect()
}

/// The answer with which a CSV leaves, as a file of this name.
#[must_use]
pub fn csv_answer(file: &str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{file}\"")),
    ];
    (headers, text).into_response()
}

/// A table as CSV that spreadsheets open as it is: a BOM, and no cell is a formula.
#[must_use]
pub fn csv(heads: &[&str], rows: &[Vec<String>]) -> String {
    let cell = |text: &str| {
        let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let quote = if formula { "'" } else { "" };
        format!("\"{quote}{}\"", text.replace('"', "\"\""))
    };
    let line = |cells: Vec<String>| format!("{}\r\n", cells.join(","));
    let mut out = String::from("\u{feff}");
    out.push_str(&line(heads.iter().map(|h| cell(h)).collect()));
    for row in rows {
        out.push_str(&line(row.iter().map(|c| cell(c)).collect()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_box_says_is_marked_and_nothing_of_this_machine() {
        let row = LookRow { at_ms: 5, received_ms: 5, device: [7; 16], ..LookRow::default() };
        let of = |row: &LookRow| doubts(Lang::Zh, row);
        assert_eq!(of(&row), "");
        let stranger = LookRow { no_post: true, ..row.clone() };
        assert_eq!(of(&stranger), "盒子自报,此人不在该点任职");
        let ahead = LookRow { at_ms: 4_070_908_800_000, ..stranger };
        assert_eq!(of(&ahead), "盒子自报,此人不在该点任职;盒子自报的时间晚于收到的时间");
        assert_eq!(of(&LookRow { at_ms: 4_070_908_800_000, device: [0; 16], ..row }), "");
    }

    #[test]
    fn a_spreadsheet_reads_chinese_and_runs_no_cell() {
        let rows = vec![vec!["=1+1".to_owned(), "李\"建国\",甲".to_owned()]];
        let text = csv(&["谁", "什么"], &rows);
        assert_eq!(text, "\u{feff}\"谁\",\"什么\"\r\n\"'=1+1\",\"李\"\"建国\"\",甲\"\r\n");
    }
}
