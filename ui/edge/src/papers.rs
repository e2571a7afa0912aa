//! Papers of a case as PDF.

use crate::shell::time_uncertain;
use crate::{AppError, Signed};
use axum::response::{IntoResponse, Response};
use cunkou_casework::case::{CaseState, DecisionKind};
use cunkou_casework::catalogue::Item;
use cunkou_casework::document::{Projection, Section};
use cunkou_casework::event::Filer;
use cunkou_casework::material::{State, materials};
use cunkou_casework::papers::{Facts, Paper, notice, own_copy, receipt, to_sign};
use cunkou_casework::resident::Resident;
use cunkou_replica::CaseFile;
use cunkou_ui::page::case::Case;

/// Who is named as acting, from the case's content.
#[must_use]
pub fn acting_name(content: &Projection) -> String {
    content.get(Section::Applicant, "name").unwrap_or_default().to_owned()
}

/// Who filed, as the draft says.
#[must_use]
pub fn filer_of(content: &Projection) -> Option<Filer> {
    Some(match content.get(Section::Applicant, "filer")? {
        "applicant" => Filer::Applicant,
        "family" => Filer::Family,
        "guardian" => Filer::Guardian,
        "agent" => Filer::Agent,
        _ => return None,
    })
}

struct Source<'a> {
    file: &'a CaseFile,
    item: &'a Item,
    resident: Resident,
    masked_id: String,
    agent: String,
    issuer: String,
    issuer_phone: String,
    complaint: String,
    practice: bool,
    time_uncertain: bool,
}

impl Source<'_> {
    fn facts(&self, at_ms: i64) -> Facts<'_> {
        Facts {
            issuer: &self.issuer,
            issuer_phone: &self.issuer_phone,
            number: self.file.state.opened.as_ref().map_or("", |o| &o.number),
            applicant: &self.resident.name,
            masked_id: &self.masked_id,
            item: self.item,
            agent: &self.agent,
            complaint: &self.complaint,
            at_ms,
            time_uncertain: self.time_uncertain,
            practice: self.practice,
        }
    }
}

fn source<'a>(signed: &Signed, file: &'a CaseFile, item: &'a Item) -> Source<'a> {
    let replica = signed.replica();
    let county = replica.county();
    let resident = Resident::read(&file.content);
    // The office that received it: the device and person of the submission, or of this moment.
    let submission = file.state.submission.as_ref();
    let step = submission.and_then(|s| file.steps.iter().find(|n| n.record.id == s.event));
    let device = step
        .and_then(|n| county.device(n.record.header.device))
        .cloned()
        .or_else(|| replica.device());
    let agent = step.and_then(|n| n.record.header.person).unwrap_or(signed.who().person);
    Source {
        masked_id: resident.masked_id(),
        resident,
        agent: county.person(agent).map(|p| p.name.clone()).unwrap_or_default(),
        issuer: device.as_ref().map(|d| d.name.clone()).unwrap_or_default(),
        issuer_phone: device.map(|d| d.phone).unwrap_or_default(),
        complaint: replica.release().map_or_else(String::new, |r| r.contacts.complaint.clone()),
        practice: signed.session.practice,
        time_uncertain: step.map_or_else(
            || time_uncertain(signed),
            |n| {
                n.record.header.clock == cunkou_casework::entry::ClockSource::Unknown
                    && time_uncertain(signed)
            },
        ),
        file,
        item,
    }
}

/// The 收件回执 of a submitted case.
#[must_use]
pub fn receipt_of(signed: &Signed, file: &CaseFile, item: &Item) -> Option<Paper> {
    let submission = file.state.submission.as_ref()?;
    let source = source(signed, file, item);
    let all = materials(item, Some(submission.filer), &file.content);
    let received = all
        .iter()
        .filter(|m| matches!(m.state, State::Photographed | State::Reused { .. }))
        .map(|m| (m.spec.name.clone(), m.pages.len()));
    let deferred = submission.deferred.iter().map(|d| {
        let name = item.material(&d.material).map_or(d.material.clone(), |m| m.name.clone());
        (name, d)
    });
    let (received, deferred): (Vec<_>, Vec<_>) = (received.collect(), deferred.collect());
    let paper = receipt(&source.facts(submission.at_ms), &received, &deferred);
    Some(Paper { code: signed.replica().receipt(&file.state).map(|r| r.code()), ..paper })
}

/// The paper that is signed where nobody signs on a screen.
#[must_use]
pub fn paper_to_sign(signed: &Signed, file: &CaseFile, item: &Item) -> Paper {
    let source = source(signed, file, item);
    let filer = filer_of(&file.content).unwrap_or(Filer::Applicant);
    let filled = item.form.iter().filter_map(|field| {
        let value = file.content.get(Section::Form, &field.key)?;
        (!value.is_empty()).then(|| (field.label.clone(), value.to_owned()))
    });
    let rows: Vec<_> = filled.collect();
    to_sign(&source.facts(signed.replica().now_ms()), filer, &acting_name(&file.content), &rows)
}

/// The 办结通知 of a decided case.
#[must_use]
pub fn notice_of(signed: &Signed, file: &CaseFile, item: &Item) -> Option<Paper> {
    let decision = file.state.decision.as_ref()?;
    let result = match decision.kind {
        DecisionKind::Approved => "准予",
        DecisionKind::Denied => "不予",
        DecisionKind::Refused => "不予受理",
    };
    let source = source(signed, file, item);
    Some(notice(&source.facts(decision.at_ms), result, &decision.text, &decision.remedy))
}

/// The whole of a case for the resident whose it is, as its page shows it.
#[must_use]
pub fn copy_of(signed: &Signed, file: &CaseFile, item: &Item, view: Case) -> Paper {
    let mut source = source(signed, file, item);
    source.agent.clone_from(&signed.session.name);
    let materials = view.materials.iter().map(|m| match m.photos.len() {
        0 => format!("{} · {}", m.name, m.state),
        n => format!("{} · {} · {n} 张照片", m.name, m.state),
    });
    let steps = view.history.iter().map(|e| {
        let off = e.off.as_deref().unwrap_or_default();
        let words = [e.what.as_str(), &e.who, &e.words, off];
        let words = words.into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>();
        (e.when.clone(), words.join(" · "))
    });
    let (materials, steps) = (materials.collect(), steps.collect());
    own_copy(&source.facts(signed.replica().now_ms()), view.groups, materials, steps)
}

/// The papers that exist for a state: address and words.
#[must_use]
pub fn links(lang: cunkou_ui::Lang, case: &str, state: &CaseState) -> Vec<(String, String)> {
    let mut out = Vec::new();
    if state.submission.is_some() {
        out.push((format!("/cases/{case}/receipt.pdf"), lang.t("收件回执", "Receipt").to_owned()));
    }
    if state.decision.is_some() {
        out.push((format!("/cases/{case}/notice.pdf"), lang.t("办结通知", "Notice").to_owned()));
    }
    out
}

/// A paper as a response.
///
/// # Errors
/// When it cannot be rendered.
pub async fn respond(paper: Paper, name: &str) -> Result<Response, AppError> {
    let bytes = tokio::task::spawn_blocking(move || cunkou_paper::render(&paper))
        .await?
        .map_err(|e| AppError::Ours(e.to_string()))?;
    let disposition = format!("inline; filename=\"{name}\"");
    let headers = [
        ("content-type", "application/pdf".to_owned()),
        ("cache-control", "no-store".to_owned()),
        ("content-disposition", disposition),
    ];
    Ok((headers, bytes).into_response())
}
