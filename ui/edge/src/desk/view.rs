//! The view of a case from its file.

use super::carried::ByHand;
use super::{Opened, offers};
use crate::lists::{left_words, when};
use crate::{AppError, Office, Signed, papers, photo as photos};
use cunkou_casework::calendar::{china_day, day_in_words};
use cunkou_casework::case::{Attestation, Phase, Reason, Standing};
use cunkou_casework::catalogue::Item;
use cunkou_casework::citizen_id::mask;
use cunkou_casework::county::DeviceKind;
use cunkou_casework::document::Section;
use cunkou_casework::entry::Header;
use cunkou_casework::event::Step;
use cunkou_casework::fields::FieldKind;
use cunkou_casework::ids::AttachmentId;
use cunkou_casework::material::{Page, State, materials, supplement_pages};
use cunkou_casework::number::grouped;
use cunkou_casework::resident::Resident;
use cunkou_casework::sensitive::{is_covered, is_sensitive};
use cunkou_replica::{CaseFile, EditNote, StepNote};
use cunkou_ui::Lang;
use cunkou_ui::page::case::{Case, Event, Material};
use cunkou_ui::page::materials::Photo;

/// Whether a case names an attachment.
pub(super) fn names(file: &CaseFile, id: AttachmentId) -> bool {
    let text = id.to_string();
    let sections = [Section::Materials, Section::Supplement, Section::Signatures];
    let in_document = sections.into_iter().any(|section| {
        [&file.current, &file.content].into_iter().any(|doc| {
            doc.section(section).any(|(_, values)| values.iter().any(|v| v.contains(&text)))
        })
    });
    in_document || file.steps.iter().any(|s| s.record.event.step.attachments().contains(&id))
}

/// A page with its address, when the photo is here.
pub(super) fn photo(signed: &Signed, opened: &Opened, page: &Page) -> Result<Photo, AppError> {
    let (src, small) = photos::shown(signed, opened.subject, page)?;
    Ok(Photo {
        src,
        small,
        name: page.name.clone(),
        about: format!("{} · {}", page.taken, signed.lang.size(u64::from(page.bytes))),
        retake: None,
    })
}

pub(super) fn material_state(l: Lang, state: &State) -> String {
    match (l, state) {
        (_, State::Open) => l.t("还没有", "Not yet").into(),
        (_, State::Photographed) => l.t("已拍照", "Photographed").into(),
        (Lang::Zh, State::Reused { taken, .. }) => format!("用 {taken} 的那张"),
        (Lang::En, State::Reused { taken, .. }) => format!("Reused from {taken}"),
        (Lang::Zh, State::Deferred { until, .. }) => format!("容缺,{until} 前补交"),
        (Lang::En, State::Deferred { until, .. }) => format!("To follow by {until}"),
        (_, State::NotNeeded) => l.t("不需要", "Not needed").into(),
    }
}

pub(super) fn case(signed: &Signed, opened: &Opened, full: bool) -> Result<Case, AppError> {
    let l = signed.lang;
    // Whoever has no need never sees what is special, whatever they ask for.
    let special = full && signed.may_uncover();
    let (file, item) = (&opened.file, opened.item()?);
    let replica = signed.replica();
    let county = replica.county();
    let state = &file.state;
    let begun = state.opened.as_ref().ok_or(AppError::NotFound)?;
    let case_id = opened.subject.to_string();
    let resident = Resident::read(&file.content);
    let village = signed.app.office == Office::Village || signed.session.practice;
    let (here, all) = file.attachments;
    let mut view = Case {
        case: case_id.clone(),
        number: grouped(&begun.number),
        applicant: resident.name.clone(),
        item: l.t(&item.name, &item.name_en).to_owned(),
        village: county.place_name(begun.place),
        phase: l.phase(state.phase).to_owned(),
        ladder: (!signed.session.practice).then_some(file.ladder),
        photos_missing: (here < all).then_some((here, all)),
        papers: papers::links(l, &case_id, state),
        renew: format!("/cases/{case_id}/progress"),
        reveal: (!full).then(|| format!("/cases/{case_id}?full=1")),
        ..Case::default()
    };
    view.notices = notices(signed, opened);
    view.groups = groups(signed, opened, &resident, full)?;
    let filer =
        state.submission.as_ref().map(|s| s.filer).or_else(|| papers::filer_of(&file.content));
    for m in materials(item, filer, &file.content) {
        let mut shown = Material {
            name: l.t(&m.spec.name, &m.spec.name_en).to_owned(),
            state: material_state(l, &m.state),
            photos: Vec::new(),
        };
        if is_sensitive(&m.spec.key) && !special {
            if !m.pages.is_empty() {
                shown.state = format!("{} · {}", shown.state, covered_words(l));
            }
            view.materials.push(shown);
            continue;
        }
        for (_, page) in &m.pages {
            shown.photos.push(photo(signed, opened, page)?);
        }
        for round in 0..=state.supplements.len() as u32 {
            for (_, page) in supplement_pages(&file.content, round, &m.spec.key) {
                let mut picture = photo(signed, opened, &page)?;
                picture.about = format!("{} · {}", l.t("补正", "supplement"), picture.about);
                shown.photos.push(picture);
            }
        }
        view.materials.push(shown);
    }
    for (key, values) in file.content.section(Section::Signatures) {
        if let Some(page) = values.last().and_then(|v| serde_json::from_str::<Page>(v).ok()) {
            let name = match key {
                "delivery" => l.t("送达签名", "Signature on delivery"),
                _ => l.t("申请人签名", "The applicant's signature"),
            };
            view.materials.push(Material {
                name: name.to_owned(),
                state: page.name.clone(),
                photos: vec![photo(signed, opened, &page)?],
            });
        }
    }
    if let (Some(open), true) = (state.open_supplement(), village) {
        for defect in &open.defects {
            let name =
                item.material(&defect.material).map_or(defect.material.as_str(), |m| &m.name);
            let done = !supplement_pages(&file.content, open.round, &defect.material).is_empty();
            let camera =
                (!done).then(|| format!("/cases/{case_id}/supplement/{}", defect.material));
            view.supplement.push((name.to_owned(), defect.reason.clone(), camera));
        }
    }
    if village && state.phase.is_open() {
        for promised in state.promised() {
            let spec = item.material(&promised.material);
            let name = spec.map_or(promised.material.as_str(), |m| &m.name);
            let done = !supplement_pages(&file.content, 0, &promised.material).is_empty();
            let camera =
                (!done).then(|| format!("/cases/{case_id}/supplement/{}", promised.material));
            let words = format!("{} {}", l.t("容缺,补交期限", "Promised by"), promised.until);
            view.supplement.push((name.to_owned(), words, camera));
        }
    }
    if !signed.session.practice && state.submission.is_some() {
        let words = l.t("办件导出(可核验)", "Export the case (verifiable)");
        view.papers.push((format!("/cases/{case_id}/export"), words.to_owned()));
        let words = l.t("给本人的副本", "The resident's own copy");
        view.papers.push((format!("/cases/{case_id}/copy.pdf"), words.to_owned()));
    }
    view.actions = offers::offered(signed, opened)?;
    let by_hand = ByHand::of(signed, opened.subject)?;
    view.carried = by_hand.news(l);
    view.history = history(signed, file, item, special, &by_hand);
    Ok(view)
}

fn notices(signed: &Signed, opened: &Opened) -> Vec<(String, &'static str)> {
    let l = signed.lang;
    let state = &opened.file.state;
    let mut out = Vec::new();
    if let Some(open) = state.open_supplement() {
        let left = open.due.parse().ok().map(|due| {
            let today = china_day(signed.replica().now_ms());
            left_words(l, opened.release.holidays.workdays_left(today, due)).0
        });
        let day = open.due.parse().map_or_else(|_| open.due.clone(), day_in_words);
        out.push((
            format!("{} {day} · {}", l.t("补正期限:", "Supplement due:"), left.unwrap_or_default()),
            "warn",
        ));
    }
    if let Some(acceptance) = &state.acceptance {
        let day = acceptance.due.parse().map_or_else(|_| acceptance.due.clone(), day_in_words);
        let doubt = if acceptance.uncertain {
            l.t("(待节假日安排更新)", " (awaiting the official holidays)")
        } else {
            ""
        };
        if state.phase == Phase::Accepted {
            out.push((format!("{} {day}{doubt}", l.t("承诺办结:", "Promised by:")), "warn"));
        }
    }
    if let Some(decision) = &state.decision {
        let by = match decision.attestation {
            Attestation::Relay => l
                .t(
                    "(由县平台证明登录,未经本人密钥签名)",
                    " (sign-in attested by the relay, not personally signed)",
                )
                .to_owned(),
            word => format!(" ({})", l.attestation(word)),
        };
        out.push((format!("{}: {}{by}", l.t("决定", "Decision"), decision.text), "done"));
    }
    if !opened.file.content_holds {
        out.push((
            l.t("内容还没有到齐,或与签名时不一致。先不要办,等同步完成;还这样就联系县信息员。", "The content is not all here, or differs from what was signed. Wait for sync; if it stays so, tell county IT.").to_owned(),
            "bad",
        ));
    }
    if state.phase == Phase::Contested {
        out.push((
            l.t(
                "两个决定同时作出,都不生效,等指定的人处理。",
                "Two decisions were made at once; neither takes effect until it is resolved.",
            )
            .to_owned(),
            "bad",
        ));
    }
    if !opened.file.conflicts().is_empty() {
        out.push((
            l.t(
                "有两个人改了同一处,两种说法都在,要选一个。",
                "Two people changed the same thing; choose one.",
            )
            .to_owned(),
            "warn",
        ));
    }
    out
}

/// A heading with its labels and values.
type Group = (String, Vec<(String, String)>);

fn groups(
    signed: &Signed,
    opened: &Opened,
    resident: &Resident,
    full: bool,
) -> Result<Vec<Group>, AppError> {
    let l = signed.lang;
    let (content, item) = (&opened.file.content, opened.item()?);
    let special = full && signed.may_uncover();
    let age = resident.age(china_day(signed.replica().now_ms()));
    let minors = |key: &str, value: String| {
        if is_covered(key, age) && !special { covered_words(l).to_owned() } else { value }
    };
    let covered = |value: &str, front, back| {
        if full { value.to_owned() } else { mask(value, front, back) }
    };
    let mut who = vec![
        (l.t("姓名", "Name").to_owned(), resident.name.clone()),
        (l.t("身份证号", "ID number").to_owned(), covered(&resident.id_number, 6, 4)),
        (l.t("出生日期", "Born").to_owned(), minors("birth", resident.birth.clone())),
        (l.t("电话", "Phone").to_owned(), minors("phone", covered(&resident.phone, 3, 4))),
    ];
    if let Some(filer) = papers::filer_of(content) {
        who.push((l.t("谁来办", "Filed by").to_owned(), l.filer(filer).to_owned()));
    }
    for (key, label) in [
        ("name", l.t("替办人", "Acting person")),
        ("relation", l.t("关系", "Relation")),
        ("phone", l.t("替办人电话", "Their phone")),
    ] {
        if let Some(value) = content.get(Section::Applicant, key).filter(|v| !v.is_empty()) {
            who.push((label.to_owned(), value.to_owned()));
        }
    }
    let form = item.form.iter().map(|field| {
        let value = content.get(Section::Form, &field.key).unwrap_or_default();
        let shown = match field.kind {
            FieldKind::BankCard => covered(value, 4, 4),
            FieldKind::IdNumber => covered(value, 6, 4),
            FieldKind::Phone => covered(value, 3, 4),
            _ => value.to_owned(),
        };
        let shown = match value {
            "" => l.t("未填", "Not provided").to_owned(),
            _ if is_sensitive(&field.key) && !special => covered_words(l).to_owned(),
            _ => shown,
        };
        (l.t(&field.label, &field.label_en).to_owned(), shown)
    });
    let answers = item.questions.iter().filter_map(|q| {
        let value = content.get(Section::Answers, &q.fact)?;
        let shown = match value {
            _ if is_sensitive(&q.fact) && !special => covered_words(l).to_owned(),
            "yes" => l.t("是", "Yes").to_owned(),
            "no" => l.t("否", "No").to_owned(),
            other => other.to_owned(),
        };
        Some((l.t(&q.ask, &q.ask_en).to_owned(), shown))
    });
    let mut out = vec![
        (l.t("申请人", "Applicant").to_owned(), who),
        (l.t("申请表", "Form").to_owned(), form.collect()),
    ];
    let answers: Vec<_> = answers.collect();
    if !answers.is_empty() {
        out.push((l.t("问答", "Answers").to_owned(), answers));
    }
    Ok(out)
}

fn history(
    signed: &Signed,
    file: &CaseFile,
    item: &Item,
    special: bool,
    by_hand: &ByHand,
) -> Vec<Event> {
    let l = signed.lang;
    let county = signed.replica().county();
    let who = |header: &Header| {
        let person = header.person.and_then(|p| county.person(p)).map(|p| p.name.clone());
        let device = county.device(header.device).map(|d| d.name.clone());
        [person, device].into_iter().flatten().collect::<Vec<_>>().join(" · ")
    };
    let label = |key: &str| {
        let field = item.form.iter().find(|f| f.key == key);
        field.map_or_else(|| key.to_owned(), |f| l.t(&f.label, &f.label_en).to_owned())
    };
    let at_county =
        |header: &Header| county.device(header.device).is_some_and(|d| d.kind == DeviceKind::Relay);
    let witnessed = |header: &Header, time: Option<i64>| match (l, time) {
        _ if at_county(header) => l.t("在县平台上办的", "done at the county").to_owned(),
        (Lang::Zh, Some(ms)) => format!("县平台 {} 前收到", when(ms)),
        (Lang::En, Some(ms)) => format!("the county had it by {}", when(ms)),
        (_, None) => l.t("县平台还没有收到", "not yet at the county").to_owned(),
    };
    let carried = |id| by_hand.words(l, id).map_or_else(String::new, |words| format!(" · {words}"));
    let step = |note: &StepNote| {
        let header = &note.record.header;
        let sure = format!(
            "{} · {}{} · {}",
            l.clock(header.clock),
            witnessed(header, note.witnessed.map(|w| w.time_ms)),
            carried(note.record.id),
            l.attestation(note.record.attestation)
        );
        let event = Event {
            when: when(header.claimed_ms),
            what: l.step(&note.record.event.step).to_owned(),
            who: who(header),
            words: words(l, &note.record.event.step),
            sure,
            off: off(l, note.standing),
        };
        (header.claimed_ms, event)
    };
    let edit = |note: &EditNote| {
        let labels: Vec<String> = note
            .writes
            .iter()
            .filter(|w| w.section == Section::Form)
            .map(|w| match &w.value {
                Some(_) if is_sensitive(&w.key) && !special => {
                    format!("{} → {}", label(&w.key), covered_words(l))
                }
                Some(value) => format!("{} → {}", label(&w.key), shown(&w.key, value)),
                None => format!("{} {}", label(&w.key), l.t("(清空)", "(emptied)")),
            })
            .collect();
        let event = Event {
            when: when(note.header.claimed_ms),
            what: l.t("修改", "Edited").to_owned(),
            who: who(&note.header),
            words: labels.join(";"),
            sure: format!(
                "{} · {}{}",
                l.clock(note.header.clock),
                witnessed(&note.header, note.witnessed.map(|w| w.time_ms)),
                carried(note.id)
            ),
            off: None,
        };
        (note.header.claimed_ms, event)
    };
    // Steps keep their causal order; saves of the form stand between them by claimed time.
    let mut all: Vec<(i64, Event)> = file.steps.iter().map(step).collect();
    for note in &file.edits {
        if note.writes.iter().any(|w| w.section == Section::Form) {
            let (at, event) = edit(note);
            let place = all.iter().rposition(|(t, _)| *t <= at).map_or(0, |i| i + 1);
            all.insert(place, (at, event));
        }
    }
    all.into_iter().map(|(_, event)| event).collect()
}

/// Instead of what tells of a special group.
fn covered_words(l: Lang) -> &'static str {
    l.t("特殊信息,已遮盖", "special, covered")
}

/// Numbers stay covered in the history.
fn shown(key: &str, value: &str) -> String {
    let long_digits = value.len() >= 11 && value.bytes().filter(u8::is_ascii_digit).count() >= 10;
    if long_digits || key.contains("id") { mask(value, 3, 4) } else { value.to_owned() }
}

pub(crate) fn words(l: Lang, step: &Step) -> String {
    match step {
        Step::Withdrawn { reason }
        | Step::TakenOver { reason, .. }
        | Step::Resolved { reason, .. } => reason.clone(),
        Step::Forwarded { opinion, .. } | Step::Approved { opinion, .. } => opinion.clone(),
        Step::Refused { reason, remedy, .. } | Step::Denied { reason, remedy, .. } => {
            format!("{reason} {remedy}")
        }
        Step::SupplementAsked { defects, due, .. } => {
            let list: Vec<_> = defects.iter().map(|d| d.reason.clone()).collect();
            format!("{} ({} {due})", list.join(";"), l.t("期限", "due"))
        }
        Step::Accepted { due, .. } => format!("{} {due}", l.t("承诺办结日", "promised by")),
        Step::Delivered { receiver, .. } => receiver.clone(),
        Step::Rated { stars: Some(n), words } => format!("{} {words}", "★".repeat(usize::from(*n))),
        _ => String::new(),
    }
}

fn off(l: Lang, standing: Standing) -> Option<String> {
    let reason = |reason: Reason| match reason {
        Reason::BadSignature => l.t("签名不成立", "a signature does not hold"),
        Reason::NoOwnKey => l.t("没有用本人的安全密钥", "not signed with their own security key"),
        Reason::DeviceRevoked | Reason::PersonRevoked => l.t("已被撤销", "revoked"),
        Reason::NotNow => l.t("当时的状态不允许", "the state did not allow it"),
        Reason::NoPost | Reason::NoPerson | Reason::OutOfScope => l.t("无权办理", "no authority"),
        Reason::Kin => {
            l.t("不能决定自己或亲属的件", "nobody decides their own or a relative's case")
        }
        Reason::OtherWay => {
            l.t("办理层级和目录不一致", "the catalogue has another way for this item")
        }
        Reason::OtherLog => l.t("依据的不是本县的记录", "it names another county's log"),
        Reason::Unwitnessed => l.t(
            "办理人已被撤销,县平台没有在撤销前收到过",
            "its author was revoked, and the county did not have it before",
        ),
        Reason::OwnCase => l.t("不能决定自己经手的件", "nobody decides a case they took part in"),
        Reason::MissingPast | Reason::UnknownDevice | Reason::UnknownPerson | Reason::LogBehind => {
            l.t("等前面的记录到达", "waiting for earlier entries")
        }
        Reason::PastQuarantined => l.t("前面的记录不成立", "an earlier entry does not count"),
        Reason::Unreadable => l.t("内容读不出", "unreadable"),
    };
    match standing {
        Standing::Effective => None,
        Standing::Overtaken => {
            Some(l.t("没有生效:别人同时先办了", "Without effect: somebody was first").into())
        }
        Standing::Rival => {
            Some(l.t("待核:与另一步冲突", "To be resolved: it conflicts with another step").into())
        }
        Standing::Waiting(why) | Standing::Quarantined(why) => {
            Some(format!("{}: {}", l.t("不计入", "Does not count"), reason(why)))
        }
    }
}
