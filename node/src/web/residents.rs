//! Finding, adding, showing and changing residents.

use super::saving::{heads_text, mark, rivals};
use axum::extract::{Form, Path, Query};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::calendar::china_day;
use cunkou_casework::citizen_id::{CitizenId, mask, masked, tidy};
use cunkou_casework::document::{Section, Write};
use cunkou_casework::event::{Level, Step};
use cunkou_casework::fields;
use cunkou_casework::ids::{PlaceId, SubjectId};
use cunkou_casework::material::Kept;
use cunkou_casework::resident::Resident;
use cunkou_casework::sensitive::{MINOR_YEARS, is_covered, is_sensitive};
use cunkou_edge::desk;
use cunkou_edge::forms::Fields;
use cunkou_edge::look;
use cunkou_edge::web::tiles;
use cunkou_edge::{AppError, Signed};
use cunkou_replica::{ActError, ResidentFile};
use cunkou_store::{CaseFilter, KeyKind, ResidentRow};
use cunkou_ui::Lang;
use cunkou_ui::page::boxes::{page_with, ways_on};
use cunkou_ui::page::{guides, residents as ui};
use cunkou_ui::part::{Control, FaultLine, Input};
use maud::Markup;
use std::sync::Arc;

const PAGE: u32 = 50;

fn today(signed: &Signed) -> jiff::civil::Date {
    china_day(signed.replica().now_ms())
}

fn person(signed: &Signed, row: &ResidentRow, by: &[KeyKind]) -> ui::Person {
    let l = signed.lang;
    let age = Resident { birth: row.birth.clone(), ..Resident::default() }.age(today(signed));
    let mut about = vec![row.sex.clone()];
    if let Some(age) = age {
        about.push(match l {
            Lang::Zh => format!("{age}岁"),
            Lang::En => format!("{age} years"),
        });
    }
    about.push(signed.replica().county().place_name(PlaceId(row.place)));
    if !row.group.is_empty() {
        about.push(match l {
            Lang::Zh => format!("{}组", row.group),
            Lang::En => format!("group {}", row.group),
        });
    }
    let minor = age.is_some_and(|age| age < MINOR_YEARS);
    if !row.head.is_empty() && row.head != row.name && !minor {
        about.push(format!("{}{}", l.t("户主", "head "), row.head));
    }
    if !row.nickname.is_empty() && !minor {
        about.push(format!("“{}”", row.nickname));
    }
    let by = by.first().map_or("", |kind| match kind {
        KeyKind::Name => l.t("姓名", "name"),
        KeyKind::Initials | KeyKind::Pinyin => l.t("拼音", "pinyin"),
        KeyKind::Nickname => l.t("小名", "nickname"),
        KeyKind::Head => l.t("户主", "head of household"),
        KeyKind::Phone => l.t("电话", "phone"),
        KeyKind::Tail => l.t("后四位", "last four"),
        KeyKind::Id => l.t("身份证", "ID number"),
    });
    ui::Person {
        href: format!("/residents/{}", SubjectId(row.subject)),
        name: row.name.clone(),
        about: about.join(" · "),
        masked_id: row.masked_id.clone(),
        by: by.to_owned(),
        conflict: row.conflict,
    }
}

pub(super) async fn find(signed: Signed, Query(query): Query<Fields>) -> Result<Markup, AppError> {
    let handle = query.get("s").map_or("", String::as_str);
    let text = signed.session.searched(handle).unwrap_or_default().to_owned();
    found(&signed, text, query.get("from").and_then(|f| f.parse().ok()).unwrap_or(0))
}

/// The words of a search came in a form: names and ID numbers stand in no address, where histories
/// and logs would keep them. A page that only renews its list gets it at once.
pub(super) async fn search(
    signed: Signed,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let text = fields.get("q").map_or("", |q| q.trim());
    if headers.contains_key("hx-request") {
        return Ok(found(&signed, text.to_owned(), 0)?.into_response());
    }
    let handle = signed.app.sessions.remember(&signed.app.replica, &headers, text);
    Ok(Redirect::to(&format!("/residents?s={handle}")).into_response())
}

fn found(signed: &Signed, text: String, offset: u32) -> Result<Markup, AppError> {
    let mut view = ui::Find {
        searched: !text.is_empty(),
        offset: u64::from(offset),
        size: u64::from(PAGE),
        ..ui::Find::default()
    };
    if text.is_empty() {
        let (rows, total) =
            signed.replica().store().read(|v| v.residents(None, None, PAGE, offset))?;
        view.total = total;
        view.people = rows.iter().map(|row| person(signed, row, &[])).collect();
    } else {
        let mut hits = signed.replica().search(&text, PAGE as usize + 1)?;
        view.more = hits.len() > PAGE as usize;
        hits.truncate(PAGE as usize);
        view.people = hits.iter().map(|hit| person(signed, &hit.row, &hit.by)).collect();
    }
    view.text = text;
    Ok(ui::find(&signed.shell("/residents"), &view))
}

pub(super) fn open(signed: &Signed, id: &str) -> Result<ResidentFile, AppError> {
    let subject: SubjectId = id.parse().map_err(|_| AppError::NotFound)?;
    let file = signed.replica().resident(subject)?.ok_or(AppError::NotFound)?;
    if signed.may_see_residents(file.place) { Ok(file) } else { Err(AppError::Forbidden) }
}

fn label(l: Lang, key: &str) -> &'static str {
    match key {
        "name" => l.t("姓名", "Name"),
        "id_number" => l.t("身份证号", "ID number"),
        "birth" => l.t("出生日期", "Born"),
        "sex" => l.t("性别", "Sex"),
        "phone" => l.t("联系电话", "Phone"),
        "nickname" => l.t("小名", "Nickname"),
        "group" => l.t("村民小组", "Village group"),
        "head" => l.t("户主姓名", "Head of household"),
        "relation" => l.t("与户主关系", "Relation to the head"),
        "address" => l.t("住址", "Address"),
        "ethnic" => l.t("民族", "Ethnic group"),
        "bank_card" => l.t("银行卡号", "Bank card"),
        "disability_cert" => l.t("残疾人证号", "Disability certificate"),
        "lowincome" => l.t("低保", "Low-income support"),
        "veteran" => l.t("退役军人", "Veteran"),
        "hukou" => l.t("户口在本县", "Registered in this county"),
        "died" => l.t("去世日期", "Date of death"),
        "place" => l.t("村", "Village"),
        _ => "",
    }
}

pub(super) async fn show(
    signed: Signed,
    Path(id): Path<String>,
    Query(query): Query<Fields>,
) -> Result<Markup, AppError> {
    let file = open(&signed, &id)?;
    let full = desk::full(&query);
    look::resident(&signed, &file, full)?;
    let l = signed.lang;
    let r = &file.resident;
    let special = full && signed.may_uncover();
    let covered = |value: &str, front, back| {
        if full { value.to_owned() } else { mask(value, front, back) }
    };
    let rows = [
        ("id_number", if full { r.id_number.clone() } else { masked(&r.id_number) }),
        ("sex", r.sex.clone()),
        ("birth", r.birth.clone()),
        ("place", signed.replica().county().place_name(file.place)),
        ("group", r.group.clone()),
        ("head", r.head.clone()),
        ("relation", r.relation.clone()),
        ("nickname", r.nickname.clone()),
        ("phone", covered(&r.phone, 3, 4)),
        ("address", r.address.clone()),
        ("bank_card", covered(&r.bank_card, 4, 4)),
        // That there is such a paper says it already: these stand there when they are revealed.
        ("disability_cert", if special { r.disability_cert.clone() } else { String::new() }),
        ("lowincome", if special { r.lowincome.clone() } else { String::new() }),
        ("veteran", if special { r.veteran.clone() } else { String::new() }),
    ];
    let age = r.age(today(&signed));
    let rows = rows.into_iter().filter(|(_, v)| !v.is_empty()).map(|(key, value)| {
        let cover = is_covered(key, age) && !special;
        (key, if cover { l.t("已遮盖", "covered").to_owned() } else { value })
    });
    let release = signed.replica().release();
    let kept = file.content.section(Section::Materials);
    let kept = kept.filter(|(key, _)| special || !is_sensitive(key)).filter_map(|(key, values)| {
        let kept: Kept = serde_json::from_str(values.last()?).ok()?;
        let name = release.as_ref().and_then(|r| {
            let found = r.items.items.iter().find_map(|i| i.material(key))?;
            Some(l.t(&found.name, &found.name_en).to_owned())
        });
        let until = kept.until.map(|u| format!(" · {} {u}", l.t("有效期到", "valid until")));
        let about = format!("{} {}{}", l.t("拍于", "taken"), kept.taken, until.unwrap_or_default());
        Some((name.unwrap_or_else(|| key.to_owned()), about))
    });
    let cases = CaseFilter { resident: Some(file.subject.0), ..signed.filter() };
    let view = ui::Show {
        name: r.name.clone(),
        rows: rows.map(|(k, v)| (label(l, k).to_owned(), v)).collect(),
        kept: kept.collect(),
        cases: signed.lines(&cases)?.0,
        file: format!("/residents/{id}/file"),
        edit: format!("/residents/{id}/edit"),
        looks: format!("/residents/{id}/looks"),
        moving: format!("/residents/{id}/move"),
        reveal: (!full).then(|| format!("/residents/{id}?full=1")),
        conflicts: file
            .content
            .conflicts()
            .filter(|(section, ..)| *section == Section::Particulars.name())
            .map(|(_, key, values)| (label(l, key).to_owned(), values.to_vec()))
            .collect(),
        can_file: release.is_some(),
    };
    Ok(ui::show(&signed.shell("/residents"), &view))
}

/// Who looked at this resident, for a resident who asks; it prints as it stands.
pub(super) async fn looks(signed: Signed, Path(id): Path<String>) -> Result<Markup, AppError> {
    let file = open(&signed, &id)?;
    look::resident(&signed, &file, false)?;
    let table = cunkou_edge::looks::of_resident(&signed, file.subject)?;
    let title = format!("{} · {}", table.title, file.resident.name);
    let back = (format!("/residents/{id}"), signed.lang.t("居民资料", "Particulars").to_owned());
    let shell = signed.shell("/residents");
    Ok(page_with(&shell, &title, &ways_on(&[back]), &[table]))
}

pub(super) async fn choose(signed: Signed, Path(id): Path<String>) -> Result<Markup, AppError> {
    let file = open(&signed, &id)?;
    look::resident(&signed, &file, false)?;
    let mut tiles = tiles(&signed.app, signed.lang);
    let filter = CaseFilter {
        resident: Some(file.subject.0),
        open_only: true,
        limit: 100,
        ..CaseFilter::default()
    };
    let open = signed.replica().store().read(|view| view.cases(&filter))?.rows;
    for tile in &mut tiles {
        let same = open.iter().find(|row| row.item == tile.key);
        tile.open_case = same.map(|row| format!("/cases/{}", SubjectId(row.subject)));
    }
    Ok(guides::choose(&signed.shell("/residents"), &id, &file.resident.name, &tiles))
}

pub(super) async fn guide(
    signed: Signed,
    Path((id, key)): Path<(String, String)>,
) -> Result<Markup, AppError> {
    let file = open(&signed, &id)?;
    let release = signed.replica().release().ok_or(AppError::NotFound)?;
    let item = release.item(&key).ok_or(AppError::NotFound)?;
    let digest = item.digest().to_string();
    let for_whom = Some((id.as_str(), file.resident.name.as_str()));
    let shell = signed.shell("/residents");
    Ok(guides::guide(&shell, item, &release.items.version, &digest[..16], for_whom))
}

/// The villages where this person may add somebody: value and name.
fn villages(signed: &Signed) -> Vec<(String, String)> {
    let county = signed.replica().county();
    let Some(me) = signed.replica().device() else { return Vec::new() };
    let village = |id: &PlaceId| {
        county
            .place(*id)
            .filter(|p| p.level == Level::Village)
            .filter(|p| signed.may_see_residents(p.id))
    };
    me.places.iter().filter_map(village).map(|p| (p.id.to_string(), p.name.clone())).collect()
}

fn particulars(signed: &Signed, r: &Resident, place: &str, new: bool) -> Vec<Input> {
    let l = signed.lang;
    let yes_no = || {
        Control::Radios(vec![
            ("是".into(), l.t("是", "Yes").into()),
            ("否".into(), l.t("否", "No").into()),
        ])
    };
    let line = |key: &str| Input::line(key, label(l, key), r.get(key).unwrap_or_default());
    let mut inputs = Vec::new();
    if new {
        let mut id = line("id_number").with(Control::Line("text"));
        id.note = format!("{} {} · {} {}", l.t("出生", "born"), r.birth, l.t("性别", "sex"), r.sex);
        inputs.push(id);
        inputs.push(
            Input::line("place", label(l, "place"), place).with(Control::Radios(villages(signed))),
        );
    }
    inputs.push(
        line("name").hint(l.t("可以有·,最多 50 个字", "may contain ·, at most 50 characters")),
    );
    inputs.push(line("phone").with(Control::Line("tel")).optional());
    inputs.push(line("group").with(Control::Line("numeric")).optional());
    inputs.push(line("head").optional());
    inputs.push(line("relation").optional());
    inputs.push(line("nickname").optional());
    inputs.push(line("address").optional());
    inputs.push(line("bank_card").with(Control::Line("numeric")).optional());
    inputs.push(line("disability_cert").optional());
    inputs.push(
        line("lowincome")
            .with(Control::Radios(vec![
                ("是".into(), l.t("是", "Yes").into()),
                ("低保边缘".into(), l.t("低保边缘", "On the margin").into()),
                ("否".into(), l.t("否", "No").into()),
            ]))
            .optional(),
    );
    inputs.push(line("veteran").with(yes_no()).optional());
    inputs.push(line("hukou").with(yes_no()).optional());
    inputs
}

pub(super) async fn new_page(signed: Signed) -> Result<Markup, AppError> {
    Ok(ui::edit(&signed.shell("/residents"), &first_step(&signed, "", None)))
}

/// The ID number first: it opens somebody known, or fills in birth date and sex.
fn first_step(signed: &Signed, typed: &str, fault: Option<String>) -> ui::Edit {
    let l = signed.lang;
    let mut id = Input::line("id_number", label(l, "id_number"), typed)
        .with(Control::Line("text"))
        .hint(l.t("18 位,最后一位可能是 X", "18 characters; the last may be X"));
    id.fault.clone_from(&fault);
    let faults = fault.into_iter().map(|words| FaultLine { field: "id_number".into(), words });
    ui::Edit {
        title: l.t("登记新居民", "Add a person").to_owned(),
        action: "/residents/new".into(),
        inputs: vec![id],
        faults: faults.collect(),
        first_step: true,
        ..ui::Edit::default()
    }
}

/// Reads the particulars that were typed, tidied; names what is wrong.
fn read(signed: &Signed, fields: &Fields, r: &mut Resident) -> Vec<FaultLine> {
    let l = signed.lang;
    let mut faults = Vec::new();
    for key in [
        "name",
        "phone",
        "group",
        "head",
        "relation",
        "nickname",
        "address",
        "bank_card",
        "disability_cert",
        "lowincome",
        "veteran",
        "hukou",
    ] {
        let typed = fields.get(key).map_or("", |t| t.trim());
        let kind = match key {
            "phone" => fields::FieldKind::Phone,
            "bank_card" => fields::FieldKind::BankCard,
            _ => fields::FieldKind::Text,
        };
        let tidied = fields::tidy(kind, key == "name", &[], typed, today(signed));
        match (tidied, r.slot(key)) {
            (Ok(tidied), Some(slot)) => *slot = tidied.value,
            (Err(fault), Some(slot)) => {
                typed.clone_into(slot);
                let words = l.fault(label(l, key), &fault);
                faults.push(FaultLine { field: key.to_owned(), words });
            }
            (_, None) => {}
        }
    }
    faults
}

pub(super) async fn add(signed: Signed, Form(fields): Form<Fields>) -> Result<Response, AppError> {
    let l = signed.lang;
    let typed = fields.get("id_number").map_or("", |t| t.trim());
    let id = match CitizenId::parse(typed, today(&signed)) {
        Ok(id) => id,
        Err(fault) => {
            let view = first_step(&signed, typed, Some(l.id_fault(fault)));
            let page = ui::edit(&signed.shell("/residents"), &view);
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    if let Some(known) = signed.replica().residents_by_id_number(id.as_str())?.first() {
        let to = format!("/residents/{}?done=known", SubjectId(*known));
        return Ok(Redirect::to(&to).into_response());
    }
    let mut resident = Resident::default();
    resident.fill_from_id(&id);
    let second = fields.contains_key("name");
    let villages = villages(&signed);
    let only = match villages.as_slice() {
        [(value, _)] => value.clone(),
        _ => String::new(),
    };
    let place = fields.get("place").cloned().unwrap_or(only);
    let mut faults = if second { read(&signed, &fields, &mut resident) } else { Vec::new() };
    if second && !villages.iter().any(|(value, _)| *value == place) {
        faults.insert(
            0,
            FaultLine {
                field: "place".into(), words: l.t("选择村", "Choose the village").into()
            },
        );
    }
    let alike = if second { alike(&signed, &resident)? } else { Vec::new() };
    let confirmed =
        alike.is_empty() || fields.get("alike").is_some_and(|a| a == &tidy(&resident.name));
    if !second || !faults.is_empty() || !confirmed {
        let status = if second { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        let mut inputs = particulars(&signed, &resident, &place, true);
        mark(&mut inputs, &faults);
        let view = ui::Edit {
            title: l.t("登记新居民", "Add a person").to_owned(),
            action: "/residents/new".into(),
            inputs,
            faults,
            base: String::new(),
            alike,
            ..ui::Edit::default()
        };
        let mut page = view;
        if !page.alike.is_empty() {
            page.inputs.push(Input {
                control: Control::Radios(vec![(
                    tidy(&resident.name),
                    l.t("不是同一人,继续登记", "Somebody else: go on").to_owned(),
                )]),
                ..Input::line("alike", l.t("是同一人吗?", "Is it the same person?"), "")
            });
        }
        return Ok((status, ui::edit(&signed.shell("/residents"), &page)).into_response());
    }
    let place = PlaceId(place.parse().map_err(|_| AppError::NotFound)?);
    let (replica, acting) = (Arc::clone(signed.replica()), signed.clone());
    let subject = tokio::task::spawn_blocking(move || {
        replica.act(|desk| -> Result<SubjectId, ActError> {
            let subject = SubjectId(desk.random());
            desk.event(subject, acting.who(), Step::ResidentAdded { place })?;
            desk.edit(subject, acting.who(), &resident.writes())?;
            Ok(subject)
        })
    })
    .await??;
    Ok(Redirect::to(&format!("/residents/{subject}?done=added")).into_response())
}

/// People of the same name and birth date: to be compared before somebody is added.
fn alike(signed: &Signed, r: &Resident) -> Result<Vec<(String, String)>, AppError> {
    let hits = signed.replica().search(&r.name, 50)?;
    let same = hits.iter().filter(|hit| hit.row.name == r.name && hit.row.birth == r.birth);
    let words = same.map(|hit| {
        let p = person(signed, &hit.row, &[]);
        (p.href, format!("{} · {} · {}", p.name, p.about, p.masked_id))
    });
    Ok(words.collect())
}

pub(super) async fn edit_page(signed: Signed, Path(id): Path<String>) -> Result<Markup, AppError> {
    let file = open(&signed, &id)?;
    look::resident(&signed, &file, true)?;
    let view = ui::Edit {
        title: format!(
            "{} · {}",
            signed.lang.t("修改资料", "Change particulars"),
            file.resident.name
        ),
        action: format!("/residents/{id}/edit"),
        inputs: particulars(&signed, &file.resident, "", false),
        base: heads_text(&file.heads),
        ..ui::Edit::default()
    };
    Ok(ui::edit(&signed.shell("/residents"), &view))
}

pub(super) async fn edit(
    signed: Signed,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let file = open(&signed, &id)?;
    let l = signed.lang;
    let mut resident = file.resident.clone();
    let faults = read(&signed, &fields, &mut resident);
    let writes: Vec<Write> = particulars(&signed, &resident, "", false)
        .iter()
        .map(|input| {
            let value = resident.get(&input.name).unwrap_or_default();
            if value.is_empty() {
                Write::remove(Section::Particulars, input.name.clone())
            } else {
                Write::set(Section::Particulars, input.name.clone(), value)
            }
        })
        .collect();
    let base = fields.get("base").map_or("", String::as_str);
    let found = rivals(&signed, file.subject, &file.content, base, &writes)?;
    if !faults.is_empty() || !found.is_empty() {
        let mut inputs = particulars(&signed, &resident, "", false);
        mark(&mut inputs, &faults);
        let view = ui::Edit {
            title: format!("{} · {}", l.t("修改资料", "Change particulars"), file.resident.name),
            action: format!("/residents/{id}/edit"),
            inputs,
            base: heads_text(&file.heads),
            faults,
            rivals: found
                .into_iter()
                .map(|(key, theirs, yours)| (label(l, &key).to_owned(), theirs, yours))
                .collect(),
            ..ui::Edit::default()
        };
        let page = ui::edit(&signed.shell("/residents"), &view);
        return Ok((StatusCode::CONFLICT, page).into_response());
    }
    let (replica, acting, subject) = (Arc::clone(signed.replica()), signed.clone(), file.subject);
    tokio::task::spawn_blocking(move || {
        replica.act(|desk| desk.edit(subject, acting.who(), &writes))
    })
    .await??;
    Ok(Redirect::to(&format!("/residents/{id}?done=saved")).into_response())
}
