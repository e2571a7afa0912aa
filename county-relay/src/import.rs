//! Residents from spreadsheets: good rows go in, each bad one is named.

use crate::home::Home;
use cunkou_casework::calendar::china_day;
use cunkou_casework::citizen_id::CitizenId;
use cunkou_casework::county::Role;
use cunkou_casework::event::{Level, Step};
use cunkou_casework::fields;
use cunkou_casework::ids::{PlaceId, SubjectId};
use cunkou_casework::resident::Resident;
use cunkou_edge::cli::{Exit, Failure};
use cunkou_edge::{bounded, sheet};
use cunkou_replica::{ActError, Who};
use cunkou_ui::Lang;
use jiff::civil::Date;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// So many residents go in one transaction.
const BATCH: usize = 100;
/// So many faults are listed; the rest is counted.
const FAULTS_SHOWN: usize = 200;

const COLUMNS: [(&str, &str); 13] = [
    ("姓名", "name"),
    ("身份证号", "id_number"),
    ("村民小组", "group"),
    ("户主姓名", "head"),
    ("与户主关系", "relation"),
    ("联系电话", "phone"),
    ("小名", "nickname"),
    ("住址", "address"),
    ("民族", "ethnic"),
    ("银行卡号", "bank_card"),
    ("残疾人证号", "disability_cert"),
    ("低保", "lowincome"),
    ("退役军人", "veteran"),
];

fn usage(words: impl Into<String>) -> Failure {
    Failure::new(Exit::Refused, words)
}

/// Rows of texts, the head row first.
fn rows(file: &Path) -> Result<Vec<Vec<String>>, Failure> {
    let shown = file.display();
    let bytes = bounded::read(file, sheet::FILE_BYTES_MAX).map_err(|e| {
        if e.kind() == std::io::ErrorKind::FileTooLarge {
            usage(format!("{shown} is longer than 64 MB; split it by township"))
        } else {
            usage(format!("{shown}: {e}"))
        }
    })?;
    let csv = file.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    let rows = if csv { sheet::csv(&bytes) } else { sheet::xlsx(&bytes) };
    rows.map_err(|e| usage(format!("{shown}: {e}")))
}

struct Row {
    number: usize,
    place: PlaceId,
    resident: Resident,
}

struct Columns {
    at: BTreeMap<&'static str, usize>,
    village: usize,
}

fn columns(head: &[String]) -> Result<Columns, Failure> {
    let find = |label: &str| head.iter().position(|h| h.trim() == label);
    let mut at = BTreeMap::new();
    for (label, key) in COLUMNS {
        match find(label) {
            Some(column) => {
                at.insert(key, column);
            }
            None if matches!(key, "name" | "id_number") => {
                return Err(usage(format!("the first row lacks the column {label}")));
            }
            None => {}
        }
    }
    let village = find("村").ok_or_else(|| usage("the first row lacks the column 村"))?;
    Ok(Columns { at, village })
}

/// Reads one row, or names its column and what is wrong.
fn row(
    number: usize,
    cells: &[String],
    columns: &Columns,
    villages: &BTreeMap<String, PlaceId>,
    today: Date,
) -> Result<Row, (&'static str, String)> {
    let cell =
        |key: &str| columns.at.get(key).and_then(|i| cells.get(*i)).map_or("", String::as_str);
    let mut resident = Resident::default();
    for (_, key) in COLUMNS {
        if let Some(slot) = resident.slot(key) {
            *slot = cell(key).to_owned();
        }
    }
    if resident.name.is_empty() {
        return Err(("姓名", "姓名是空的".into()));
    }
    let id = CitizenId::parse(cell("id_number"), today)
        .map_err(|fault| ("身份证号", Lang::Zh.id_fault(fault)))?;
    resident.fill_from_id(&id);
    if !resident.phone.is_empty() {
        resident.phone = fields::phone(&resident.phone)
            .map_err(|_| ("联系电话", "电话应为 11 位手机号,或带区号的座机号".to_owned()))?;
    }
    let name = cells.get(columns.village).map_or("", String::as_str);
    let place =
        *villages.get(name).ok_or_else(|| ("村", format!("目录里没有“{name}”,先在区划里加上")))?;
    // The county's own list: its people are registered here.
    resident.hukou = "是".into();
    Ok(Row { number, place, resident })
}

/// Imports a file.
pub(crate) fn residents(
    home: &Home,
    file: &Path,
    login: &str,
    progress: &dyn Fn(String),
) -> Result<Value, Failure> {
    let county = home.replica.county();
    let person = county
        .person_by_login(login)
        .filter(|p| p.posts.iter().any(|post| post.role == Role::It))
        .ok_or_else(|| usage(format!("{login} is not a person of county IT")))?
        .id;
    let villages: BTreeMap<String, PlaceId> = county
        .places()
        .filter(|p| p.level == Level::Village)
        .map(|p| (p.name.clone(), p.id))
        .collect();
    let rows = rows(file)?;
    let (head, body) = rows.split_first().ok_or_else(|| usage("the file is empty"))?;
    let columns = columns(head)?;
    let today = china_day(home.replica.now_ms());
    let (mut good, mut faults) = (Vec::new(), Vec::new());
    let (mut seen, mut known) = (BTreeSet::new(), 0u64);
    for (i, cells) in body.iter().enumerate() {
        let number = i + 2;
        if cells.iter().all(String::is_empty) {
            continue;
        }
        match row(number, cells, &columns, &villages, today) {
            Ok(read) if !seen.insert(read.resident.id_number.clone()) => {
                faults.push((number, "身份证号", "同一个号码在本文件里出现过".to_owned()));
            }
            Ok(read) => {
                let registered = home
                    .replica
                    .residents_by_id_number(&read.resident.id_number)
                    .map_err(|e| Failure::new(Exit::Failed, e.to_string()))?;
                if registered.is_empty() { good.push(read) } else { known += 1 }
            }
            Err((column, why)) => faults.push((number, column, why)),
        }
    }
    let total = good.len();
    for (i, batch) in good.chunks(BATCH).enumerate() {
        add(home, person, batch)?;
        if i % 5 == 4 || (i + 1) * BATCH >= total {
            progress(format!("{} of {total} residents", ((i + 1) * BATCH).min(total)));
        }
    }
    let shown: Vec<String> = faults
        .iter()
        .take(FAULTS_SHOWN)
        .map(|(row, column, why)| format!("第 {row} 行,{column}:{why}"))
        .collect();
    let bad = faults.len();
    if total == 0 && known == 0 && bad > 0 {
        return Err(usage(format!("no row could be imported:\n{}", shown.join("\n"))));
    }
    Ok(json!({
        "schema": 1, "imported": total, "already_known": known, "faulty": bad, "faults": shown,
    }))
}

fn add(home: &Home, person: cunkou_casework::ids::PersonId, batch: &[Row]) -> Result<(), Failure> {
    home.replica
        .act(|desk| -> Result<(), ActError> {
            for row in batch {
                let subject = SubjectId(desk.random());
                let who = Who { person, key: None };
                desk.event(subject, who, Step::ResidentAdded { place: row.place })?;
                desk.edit(subject, who, &row.resident.writes())?;
            }
            Ok(())
        })
        .map_err(|e| {
            let first = batch.first().map_or(0, |r| r.number);
            Failure::new(Exit::Failed, format!("stopped at row {first}: {e}"))
        })
}
