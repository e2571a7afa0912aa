//! What is open at a place when its duty is handed over.

use cunkou_casework::case::Phase;
use cunkou_casework::duty;
use cunkou_casework::event::{DUTY_CASES_MAX, DUTY_LINE_CHARS_MAX, Promise};
use cunkou_casework::ids::{PersonId, PlaceId, SubjectId};
use cunkou_casework::number::grouped;
use cunkou_casework::resident::masked_name;
use cunkou_casework::suite::attachment_id;
use cunkou_edge::{AppError, Signed};
use cunkou_replica::DutyFile;
use cunkou_store::{CaseFilter, CaseRow};
use cunkou_ui::page::duty::CaseLine;

/// So many promised papers are listed one by one; further ones as a number.
const PROMISED_MAX: usize = 38;

/// What is open at a place.
pub(super) struct Here {
    pub(super) place: PlaceId,
    /// Who may take it: id, login, name.
    pub(super) colleagues: Vec<(PersonId, String, String)>,
    /// An own offer that waits, which a new one replaces.
    pub(super) own: Option<SubjectId>,
    /// What was handed over here last.
    pub(super) last: Option<DutyFile>,
    pub(super) cases: Vec<CaseRow>,
    /// So many more cases are open than fit.
    pub(super) more: u64,
    /// Papers that residents promised for later, and what else the box must say.
    pub(super) promised: Vec<Promise>,
    /// Names the list, so that what is signed is what was shown.
    pub(super) digest: String,
}

/// At most so many characters as a line of a hand-over holds.
pub(super) fn short(text: &str) -> String {
    text.chars().take(DUTY_LINE_CHARS_MAX).collect()
}

/// How a case is named on lists that lie open: number, and its applicant's name covered.
pub(super) fn case_words(row: &CaseRow) -> String {
    format!("{} {}", grouped(&row.number), masked_name(&row.applicant))
}

fn promised(signed: &Signed, cases: &[CaseRow], more: u64) -> Result<Vec<Promise>, AppError> {
    let release = signed.replica().release();
    let subjects: Vec<SubjectId> = cases.iter().map(|row| SubjectId(row.subject)).collect();
    let all = signed.replica().promised(&subjects)?;
    let row = |case: SubjectId| cases.iter().find(|row| row.subject == case.0);
    let mut out: Vec<Promise> = Vec::new();
    for (case, deferred) in all.iter().take(PROMISED_MAX) {
        let Some(row) = row(*case) else { continue };
        let item = release.as_ref().and_then(|r| r.item(&row.item));
        let material = item.and_then(|i| i.material(&deferred.material));
        let name = material.map_or(deferred.material.as_str(), |m| m.name.as_str());
        let what = short(&format!("{}补交{name}", masked_name(&row.applicant)));
        out.push(Promise { case: Some(*case), what, until: deferred.until.clone() });
    }
    let beyond = all.len().saturating_sub(PROMISED_MAX);
    let mut say = |what: String| out.push(Promise { case: None, what, until: String::new() });
    if beyond > 0 {
        say(format!("另有 {beyond} 项容缺待补,见各办件"));
    }
    if more > 0 {
        say(format!("另有 {more} 件在办件没有列出,见台账"));
    }
    Ok(out)
}

impl Here {
    pub(super) fn gather(signed: &Signed, place: PlaceId) -> Result<Self, AppError> {
        let replica = signed.replica();
        let (county, me) = (replica.county(), signed.who().person);
        let position = county.head().position;
        let filter = CaseFilter {
            places: vec![place.0],
            open_only: true,
            by_due: true,
            limit: DUTY_CASES_MAX as u32,
            ..CaseFilter::default()
        };
        let (page, waiting, held) = replica.store().read(|view| -> Result<_, AppError> {
            let held = view.duty_held(place.0)?;
            Ok((view.cases(&filter)?, view.duties_waiting(&me.0)?, held))
        })?;
        let more = page.total.saturating_sub(page.rows.len() as u64);
        let promised = promised(signed, &page.rows, more)?;
        let own = waiting.iter().find(|row| row.giver == me.0 && row.place == place.0);
        let works = |id| id != me && duty::has_post(&county, id, place, position);
        let colleagues = county.people().filter(|p| works(p.id));
        let colleagues = colleagues.map(|p| (p.id, p.login.clone(), p.name.clone())).collect();
        let mut bytes: Vec<u8> = page.rows.iter().flat_map(|row| row.subject).collect();
        for one in &promised {
            bytes.extend(one.what.as_bytes());
            bytes.extend(one.until.as_bytes());
        }
        Ok(Self {
            place,
            colleagues,
            own: own.map(|row| SubjectId(row.subject)),
            last: match held {
                Some(row) => replica.duty(SubjectId(row.subject))?,
                None => None,
            },
            cases: page.rows,
            more,
            promised,
            digest: attachment_id(&bytes).to_string(),
        })
    }
}

/// A case as its line shows it; of one that is no longer here, that.
pub(super) fn case_line(signed: &Signed, row: Option<&CaseRow>) -> CaseLine {
    let Some(row) = row else {
        let gone = signed.lang.t("已不在本机的件", "A case that is no longer on this box");
        return CaseLine { item: gone.into(), ..CaseLine::default() };
    };
    let line = signed.line(row);
    CaseLine {
        number: line.number,
        name: masked_name(&row.applicant),
        item: line.item,
        phase: Phase::of(&row.phase).map(|p| signed.lang.phase(p)).unwrap_or_default().to_owned(),
        left: line.left,
        tone: line.tone,
        original: None,
    }
}
