//! The check: from the bytes of a file to a report.

mod doubts;
mod steps;

use crate::content::{self, Checked};
use crate::evidence::{Seen, weigh};
use crate::faults::{about, reason, whole};
use crate::logged;
use crate::report::{Case, Content, County, Finding, Photos, Report, Step, Words};
use cunkou_casework::case::{CaseState, Folded, Reason, Record, Verdict, authenticate, fold};
use cunkou_casework::county::{CountyLog, DeviceKind};
use cunkou_casework::entry::{Entry, Kind};
use cunkou_casework::event::{Event, Witness, decode};
use cunkou_casework::export::{BadExport, CountyRead, Export, same_fingerprint};
use cunkou_casework::ids::{AttachmentId, EntryId, SubjectId};
use cunkou_casework::number::grouped;
use cunkou_casework::registry;
use cunkou_casework::suite::{PublicKey, attachment_id};
use cunkou_ui::Lang;
use std::collections::{BTreeMap, BTreeSet};

/// A case never has so many steps; judging them takes time that grows faster than their number.
const EVENTS_MAX: usize = 400;

/// How to check.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The county's fingerprint, known from elsewhere.
    pub county: Option<&'a str>,
    /// Read the content, too: changes of strangers, behind the guard.
    pub content: bool,
    /// An auditor's key, known from elsewhere: whether they signed the log that holds the case.
    pub auditor: Option<PublicKey>,
}

/// Entries of one subject, sorted out.
#[derive(Default)]
struct Sorted {
    events: Vec<Entry>,
    records: Vec<Record>,
    aside: Vec<(EntryId, Reason)>,
    edits: Vec<Entry>,
    seen: BTreeMap<EntryId, Vec<Seen>>,
    witnesses: BTreeSet<EntryId>,
    faults: Vec<Finding>,
}

/// Checks a file.
///
/// # Errors
/// [`BadExport`] when it is no export, or damaged so that nothing can be said of it.
pub fn check(bytes: &[u8], options: Options<'_>) -> Result<Report, BadExport> {
    let export = Export::decode(bytes)?;
    let CountyRead { log, times, broken } = export.read_county_log()?;
    let mut faults = Vec::new();
    let compared = options.county.map(|given| same_fingerprint(given, &export.fingerprint()));
    if compared == Some(false) {
        faults.push(whole(
            "other_county",
            "这不是您给的那个县的文件:指纹不同",
            "the file is of another county than the one you gave: the fingerprints differ",
        ));
    }
    if let Some((number, why)) = broken {
        faults.push(whole(
            "county_log",
            format!("县日志到第 {number} 条就断了:后面的不算数({why})"),
            format!(
                "the county log breaks at statement {number}; what follows does not count ({why})"
            ),
        ));
    }
    let mut case = sort(export.entries.iter().map(|b| &b[..]), export.case, &log)?;
    faults.append(&mut case.faults);
    let folded = fold(&case.records, &log);
    let by_id: BTreeMap<EntryId, &Record> = case.records.iter().map(|r| (r.id, r)).collect();
    let ordered: Vec<&Record> =
        folded.standings.iter().filter_map(|(id, _)| by_id.get(id).copied()).collect();
    let evidence = weigh(&ordered, &log, &times, &case.seen);
    let mut hints = Vec::new();
    let edits = own_edits(&case, &folded.state, &log, &mut faults);
    let read = options.content.then(|| read_content(&edits, &ordered, &folded.state)).flatten();
    let content = content_state(read.as_ref(), &mut faults, &mut hints);
    let photos = check_photos(&export, read.as_ref(), &case.records, &mut faults);
    let named = logged::Named {
        entries: case.events.iter().chain(&case.edits).map(Entry::id).collect(),
        witnesses: std::mem::take(&mut case.witnesses),
    };
    let shown = logged::read(&export, &log, &mut faults);
    let audited = logged::audited(shown.as_ref(), &named, options.auditor, &mut faults, &mut hints);
    let logged = shown.map(|shown| shown.logged(&named));
    check_resident(&export, &folded.state, &log, &mut faults)?;
    let steps =
        steps::of(&case.events, &case.records, &case.aside, &folded, &evidence, &log, &mut faults);
    rivals(&folded, &mut faults);
    doubts::times(&ordered, &evidence, &log, &times, &mut hints);
    doubts::numbers(case.events.iter().chain(&case.edits), &mut hints);
    unsigned(&folded.state, &mut hints);
    let holds = faults.is_empty();
    let mut verdict = verdict(&folded.state, &steps, faults.len());
    if compared.is_none() {
        verdict.zh.push_str("县指纹没有核对。");
        verdict.en.push_str(" The county's fingerprint was not compared.");
    }
    Ok(Report {
        schema: 1,
        holds,
        verdict,
        county: County {
            name: log.name().to_owned(),
            id: export.county,
            fingerprint: export.fingerprint(),
            compared,
            statements: log.head().position,
        },
        case: case_of(export.case, &folded.state, read.as_ref(), &log),
        steps,
        saves: read.as_ref().map_or(0, |r| r.saves),
        content,
        photos,
        logged,
        audited,
        faults,
        hints,
    })
}

/// Reads entries and holds their signatures against the county log.
fn sort<'a>(
    entries: impl Iterator<Item = &'a [u8]>,
    subject: SubjectId,
    county: &CountyLog,
) -> Result<Sorted, BadExport> {
    let mut out = Sorted::default();
    let mut last: Option<EntryId> = None;
    let entries = entries.map(Entry::decode).collect::<Result<Vec<_>, _>>()?;
    let had = had(&entries, county);
    for entry in entries {
        if last.is_some_and(|last| last >= entry.id()) {
            return Err(BadExport::Form("entries are not sorted".into()));
        }
        last = Some(entry.id());
        if entry.subject() != subject {
            let words = Words::new("这条记录不是这件的", "it belongs to something else");
            out.faults.push(about("other_subject", entry.id(), words));
            continue;
        }
        let verdict = authenticate(&entry, county, had.get(&entry.id()).copied());
        match (entry.kind(), verdict) {
            (Kind::Event, Ok(attestation)) => match Event::decode(entry.payload()) {
                Ok(event) => {
                    let (id, header) = (entry.id(), entry.header().clone());
                    out.records.push(Record { id, header, event, attestation });
                    out.events.push(entry);
                }
                Err(_) => {
                    out.aside.push((entry.id(), Reason::Unreadable));
                    out.events.push(entry);
                }
            },
            (Kind::Event, Err(Verdict::Pending(why) | Verdict::Quarantine(why))) => {
                out.aside.push((entry.id(), why));
                out.events.push(entry);
            }
            (Kind::Edit, Ok(_)) => out.edits.push(entry),
            (Kind::Witness, Ok(_)) if witness(&entry, county, &mut out.seen) => {
                out.witnesses.insert(entry.id());
            }
            (Kind::Witness, Ok(_)) => {
                let words = Words::new(
                    "见证不是县平台出的,或读不出",
                    "a witness that is no relay's, or cannot be read",
                );
                out.faults.push(about("bad_witness", entry.id(), words));
            }
            (kind, Err(Verdict::Pending(why) | Verdict::Quarantine(why))) => {
                let (code, words) = reason(why);
                let (zh, en) = match kind {
                    Kind::Edit => ("一次保存", "a save"),
                    Kind::Witness => ("一条见证", "a witness"),
                    _ => ("一条记录", "an entry"),
                };
                let words = Words::new(format!("{zh}:{}", words.zh), format!("{en}: {}", words.en));
                out.faults.push(about(code, entry.id(), words));
            }
            (_, Ok(_) | Err(Verdict::Accept)) => {
                let words = Words::new("这种记录不属于办件", "no entry of a case");
                out.faults.push(about("other_kind", entry.id(), words));
            }
        }
        if out.events.len() > EVENTS_MAX {
            return Err(BadExport::TooLarge);
        }
    }
    Ok(out)
}

/// How far a relay had read the county log when it first said that it had an entry.
fn had(entries: &[Entry], county: &CountyLog) -> BTreeMap<EntryId, u64> {
    let mut out = BTreeMap::new();
    let mut seen = BTreeMap::new();
    for entry in entries.iter().filter(|e| e.kind() == Kind::Witness) {
        if authenticate(entry, county, None).is_err() || !witness(entry, county, &mut seen) {
            continue;
        }
        let position = entry.header().log.position;
        for id in std::mem::take(&mut seen).into_keys() {
            let first = out.entry(id).or_insert(position);
            *first = position.min(*first);
        }
    }
    out
}

/// Takes in what a relay said; false when it is no relay's or cannot be read.
fn witness(entry: &Entry, county: &CountyLog, seen: &mut BTreeMap<EntryId, Vec<Seen>>) -> bool {
    let (relay, position) = (entry.header().device, entry.header().log.position);
    let is_relay = county.device_at(relay, position).is_some_and(|d| d.kind == DeviceKind::Relay);
    let read: Result<Witness, _> = decode(entry.payload());
    let (true, Ok(witness)) = (is_relay, read) else { return false };
    for id in witness.entries {
        seen.entry(id).or_default().push(Seen { relay, time_ms: witness.time_ms });
    }
    true
}

/// The saves by devices that serve the case's village.
fn own_edits(
    case: &Sorted,
    state: &CaseState,
    county: &CountyLog,
    faults: &mut Vec<Finding>,
) -> Vec<Entry> {
    let place = state.opened.as_ref().map(|o| o.place);
    let serves = |edit: &&Entry| {
        let header = edit.header();
        place.is_some_and(|place| county.serves_at(header.device, place, header.log.position))
    };
    let (own, others): (Vec<&Entry>, Vec<&Entry>) = case.edits.iter().partition(serves);
    for edit in others {
        let words = Words::new(
            "一次保存:设备不服务这个村",
            "a save: the device does not serve this village",
        );
        faults.push(about("out_of_scope", edit.id(), words));
    }
    own.into_iter().cloned().collect()
}

fn read_content(edits: &[Entry], records: &[&Record], state: &CaseState) -> Option<Checked> {
    let frozen = state.submission.as_ref().map(|s| s.heads.as_slice());
    content::check(edits, records, frozen)
}

fn content_state(
    read: Option<&Checked>,
    faults: &mut Vec<Finding>,
    hints: &mut Vec<Finding>,
) -> Content {
    let Some(read) = read else {
        faults.push(whole(
            "content_not_checked",
            "内容没能核对:不知道签的是不是这些内容",
            "the content could not be checked: whether this is what was signed is not known",
        ));
        return Content::NotChecked;
    };
    for (id, why) in &read.bad {
        let words = Words::new(
            format!("一次保存不合规矩,没有算进内容({why})"),
            format!("a save against the rules is left out of the content ({why})"),
        );
        faults.push(about("bad_save", *id, words));
    }
    for id in &read.parked {
        let words = Words::new(
            "一次保存依据的前一次保存不在文件里",
            "a save builds on one that is not in the file",
        );
        faults.push(about("missing_save", *id, words));
    }
    for id in &read.differs {
        let words = Words::new(
            "内容与签名时的不一致:签了以后被改过",
            "the content is not what was signed: it was changed afterwards",
        );
        faults.push(about("content_differs", *id, words));
    }
    for id in &read.missing {
        let words = Words::new(
            "签名时的内容不全在文件里",
            "the content that was signed is not all in the file",
        );
        faults.push(about("missing_content", *id, words));
    }
    for id in &read.late {
        let words = Words::new(
            "收件以后还有人存过申请内容;不影响已经签下的内容",
            "saved after the submission, apart from it; what was signed is not touched",
        );
        hints.push(about("late_save", *id, words));
    }
    if read.differs.is_empty() && read.missing.is_empty() {
        Content::Holds
    } else {
        Content::Differs
    }
}

fn check_photos(
    export: &Export,
    read: Option<&Checked>,
    records: &[Record],
    faults: &mut Vec<Finding>,
) -> Photos {
    let mut photos = Photos { named: export.attachments.len() as u64, here: 0 };
    for attached in &export.attachments {
        match &attached.bytes {
            Some(bytes) if attachment_id(bytes) == attached.id => photos.here += 1,
            Some(_) => faults.push(whole(
                "photo_differs",
                format!("照片 {} 的内容被换过", attached.id),
                format!("the bytes of photo {} are not what was signed", attached.id),
            )),
            None => {}
        }
    }
    if let Some(read) = read {
        let mut named = read.named.clone();
        named.extend(records.iter().flat_map(|r| r.event.step.attachments()));
        let listed: BTreeSet<AttachmentId> = export.attachments.iter().map(|a| a.id).collect();
        if named != listed {
            faults.push(whole(
                "photos_listed",
                "文件里列的照片与办件里的不一致",
                "the photos listed in the file are not those that the case names",
            ));
        }
    }
    photos
}

/// The resident's record: that somebody who may has made it.
fn check_resident(
    export: &Export,
    state: &CaseState,
    county: &CountyLog,
    faults: &mut Vec<Finding>,
) -> Result<(), BadExport> {
    let Some(opened) = &state.opened else { return Ok(()) };
    let mut sorted = sort(export.resident.iter().map(|b| &b[..]), opened.resident, county)?;
    faults.append(&mut sorted.faults);
    let registered = registry::fold(&sorted.records, county);
    let refused = registered.refused.iter().map(|id| (*id, Reason::NoPost));
    let waiting = registered.waiting.iter().map(|id| (*id, Reason::MissingPast));
    for (id, why) in sorted.aside.iter().copied().chain(refused).chain(waiting) {
        let (code, words) = reason(why);
        let words = Words::new(
            format!("居民登记:{}", words.zh),
            format!("the resident's record: {}", words.en),
        );
        faults.push(about(code, id, words));
    }
    if registered.place.is_none() {
        faults.push(whole(
            "no_resident",
            "居民的登记不在文件里,或不成立",
            "the resident's registration is not in the file or does not hold",
        ));
    }
    Ok(())
}

fn rivals(folded: &Folded, faults: &mut Vec<Finding>) {
    for id in &folded.state.rivals {
        let words = Words::new(
            "同时作出的决定互相冲突,都不生效",
            "rival decisions; none takes effect until somebody resolves it",
        );
        faults.push(about("rivals", *id, words));
    }
}

fn unsigned(state: &CaseState, hints: &mut Vec<Finding>) {
    if let Some(decision) = state.decision.as_ref().filter(|d| d.relay_attested) {
        let words = Words::new(
            "决定只由县平台证明是谁作的,没有本人密钥的签名",
            "only the relay vouches for who decided; no key of the person signed",
        );
        hints.push(about("not_personal", decision.event, words));
    }
}

fn case_of(id: SubjectId, state: &CaseState, read: Option<&Checked>, county: &CountyLog) -> Case {
    let opened = state.opened.as_ref();
    Case {
        id,
        number: opened.map(|o| grouped(&o.number)).unwrap_or_default(),
        item: opened.map(|o| o.item.clone()).unwrap_or_default(),
        village: opened.map(|o| county.place_name(o.place)).unwrap_or_default(),
        applicant: read.map(|r| r.applicant.clone()).unwrap_or_default(),
        phase: Words::new(Lang::Zh.phase(state.phase), Lang::En.phase(state.phase)),
    }
}

fn verdict(state: &CaseState, steps: &[Step], faults: usize) -> Words {
    let decided = state.decision.as_ref().and_then(|d| {
        let step = steps.iter().find(|s| s.entry == d.event)?;
        let word = step.attestation?;
        let who = step.person.clone().unwrap_or_default();
        Some(Words::new(
            format!("决定“{}”:{who},{}。", step.what.zh, Lang::Zh.attestation(word)),
            format!("Decision “{}”: {who}, {}.", step.what.en, Lang::En.attestation(word)),
        ))
    });
    let decided = decided.unwrap_or_else(|| Words::new("还没有决定。", "Nothing is decided."));
    if faults == 0 {
        Words::new(
            format!("成立:文件里的每一条都经得起核对。{}", decided.zh),
            format!("Holds: everything in the file stands. {}", decided.en),
        )
    } else {
        Words::new(
            format!("有 {faults} 处不成立,见上。{}", decided.zh),
            format!("{faults} things do not hold, see above. {}", decided.en),
        )
    }
}
