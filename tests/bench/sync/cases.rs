//! Made-up cases in any number, the same in every run: every entry signed by who would sign it,
//! every document written by its own changes. One in five is still open.

use super::county::{
    AGENT, CENTRE, CLERK, DEPARTMENT, FILING, RELAY, REVIEWER, VILLAGES, device, incarnation,
    person, secret,
};
use crate::people;
use anyhow::{Context, Result};
use cunkou_casework::document::{Document, Schema, Section, Write, actor};
use cunkou_casework::entry::{ClockSource, Entry, Header, Kind, LogPosition, Signers};
use cunkou_casework::event::{Event, Filer, Handover, Level, Route, Step, Witness, encode};
use cunkou_casework::ids::{AttachmentId, EntryId, PlaceId, SubjectId};
use cunkou_casework::number::{BLOCK_SIZE, case_number};
use cunkou_tests::agent::Dice;
use std::collections::BTreeMap;

/// When the first case is opened. Milliseconds.
const BEGIN_MS: i64 = 1_790_000_000_000;
/// Between two cases. Milliseconds.
const APART_MS: i64 = 9_000;

/// The one attachment of all cases: the slip that was signed when the result was handed over.
const SLIP: &[u8] = b"the slip that everybody signs";

/// A case or a resident: the entries in the order in which a relay got them, and the document that
/// they make.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) id: SubjectId,
    pub(crate) entries: Vec<Entry>,
    pub(crate) document: Document,
    /// The last event.
    last: Vec<EntryId>,
}

/// A case with its resident.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) place: PlaceId,
    pub(crate) resident: Subject,
    pub(crate) case: Subject,
}

/// Makes one case after another.
#[derive(Debug)]
pub(crate) struct Maker {
    /// The last number and entry of each device.
    chains: BTreeMap<u8, (u64, Option<EntryId>)>,
    log: LogPosition,
    /// The relay's log and how long it is.
    store: [u8; 16],
    position: u64,
    dice: Dice,
    next: usize,
    /// What is signed when results are handed over, case by case in turn.
    slips: Vec<Vec<u8>>,
}

/// Who takes a step: a device, and a person at it. A person without a key is vouched for by the
/// relay.
#[derive(Clone, Copy)]
struct By(u8, u8);

fn phone(dice: &mut Dice) -> String {
    format!("13{:09}", dice.below(1_000_000_000))
}

impl Maker {
    /// Cases are witnessed by the relay whose log is `store`, from `position` on.
    pub(crate) fn new(log: LogPosition, store: [u8; 16], position: u64) -> Self {
        let (chains, dice, slips) = (BTreeMap::new(), Dice::new(35), vec![SLIP.to_vec()]);
        Self { chains, log, store, position, dice, next: 0, slips }
    }

    /// From now on each case has another slip out of `count`, of so many bytes each.
    pub(crate) fn with_slips(&mut self, count: usize, bytes: usize) {
        let mut slip = || -> Vec<u8> {
            let words = (0..bytes.div_ceil(8)).flat_map(|_| self.dice.roll().to_be_bytes());
            words.take(bytes).collect()
        };
        self.slips = (0..count).map(|_| slip()).collect();
    }

    /// All slips.
    pub(crate) fn slips(&self) -> &[Vec<u8>] {
        &self.slips
    }

    fn sign(
        &mut self,
        subject: SubjectId,
        kind: Kind,
        by: By,
        at_ms: i64,
        payload: Vec<u8>,
    ) -> Result<Entry> {
        let By(n, who) = by;
        let (seq, previous) = self.chains.get(&n).copied().unwrap_or_default();
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&self.dice.roll().to_be_bytes());
        salt[8..].copy_from_slice(&self.dice.roll().to_be_bytes());
        let header = Header {
            salt,
            person: (who != 0).then(|| person(who)),
            device: device(n),
            incarnation: incarnation(n),
            seq: seq + 1,
            previous,
            log: self.log,
            claimed_ms: at_ms,
            clock: ClockSource::Relay,
        };
        let (of_device, of_person) = (secret(n), secret(who));
        let person = (kind == Kind::Event && who != REVIEWER).then_some(&of_person);
        let signers = Signers { device: &of_device, person, authority: None };
        let entry = Entry::sign(subject, kind, header, payload, signers)?;
        self.chains.insert(n, (seq + 1, Some(entry.id())));
        self.position += 1;
        Ok(entry)
    }

    fn step(&mut self, of: &mut Subject, by: By, at_ms: i64, step: Step) -> Result<()> {
        let begins = of.last.is_empty();
        let event = Event {
            after: of.last.clone(),
            heads: if begins { Vec::new() } else { of.document.heads() },
            digest: (!begins).then(|| of.document.projection().digest()),
            step,
        };
        let entry = self.sign(of.id, Kind::Event, by, at_ms, encode(&event))?;
        of.last = vec![entry.id()];
        of.entries.push(entry);
        Ok(())
    }

    fn save(&mut self, of: &mut Subject, by: By, at_ms: i64, writes: &[Write]) -> Result<()> {
        let run = actor(device(by.0), incarnation(by.0));
        let change = of.document.write(run, at_ms, writes)?.context("nothing would change")?;
        of.entries.push(self.sign(of.id, Kind::Edit, by, at_ms, change)?);
        Ok(())
    }

    /// The relay says that it has what came since it said so last.
    fn witness(&mut self, of: &mut Subject, from: usize, at_ms: i64) -> Result<()> {
        let mut entries: Vec<EntryId> = of.entries[from..].iter().map(Entry::id).collect();
        entries.sort_unstable();
        let (log, position) = (self.store, self.position);
        let witness = Witness { entries, log, position, time_ms: at_ms };
        of.entries.push(self.sign(of.id, Kind::Witness, By(RELAY, 0), at_ms, encode(&witness))?);
        Ok(())
    }

    fn subject(&mut self, schema: Schema) -> Result<Subject> {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.dice.roll().to_be_bytes());
        id[8..].copy_from_slice(&self.dice.roll().to_be_bytes());
        let document = Document::new(schema)?;
        Ok(Subject { id: SubjectId(id), entries: Vec::new(), document, last: Vec::new() })
    }

    /// The next case.
    pub(crate) fn next(&mut self) -> Result<Made> {
        let i = self.next;
        self.next += 1;
        let village = i % VILLAGES.len();
        let (place, n) = (VILLAGES[village], u8::try_from(village)?);
        let at_ms = BEGIN_MS + i64::try_from(i)? * APART_MS;
        let agent = By(FILING + n, AGENT + n);
        let particulars = self.particulars(i);
        let mut resident = self.subject(Schema::Resident1)?;
        self.step(&mut resident, agent, at_ms, Step::ResidentAdded { place })?;
        self.save(&mut resident, agent, at_ms + 1, &particulars)?;
        self.witness(&mut resident, 0, at_ms + 90_000)?;
        let mut case = self.subject(Schema::Case1)?;
        self.filed(&mut case, agent, at_ms + 2, (i, place, resident.id), &particulars)?;
        self.witness(&mut case, 0, at_ms + 90_000)?;
        if i % 5 != 4 {
            let slip = &self.slips[(i - i / 5) % self.slips.len()];
            let slip = AttachmentId(blake3::hash(slip).into());
            self.carried_on(&mut case, agent, at_ms + 3_600_000, slip)?;
        }
        Ok(Made { place, resident, case })
    }

    fn particulars(&mut self, i: usize) -> Vec<Write> {
        let dice = &mut self.dice;
        let (name, _) = people::name(dice);
        let id = people::id_number(i);
        let birth = format!("{}-{}-{}", &id[6..10], &id[10..12], &id[12..14]);
        let sex = if dice.below(2) == 0 { "男" } else { "女" };
        let (group, house) = (1 + dice.below(9), 1 + dice.below(180));
        let all = [
            ("name", name),
            ("id_number", id),
            ("birth", birth),
            ("sex", sex.to_owned()),
            ("phone", phone(dice)),
            ("group", group.to_string()),
            ("head", people::name(dice).0),
            ("relation", (*dice.one_of(&["户主", "配偶", "父亲", "母亲"])).to_owned()),
            ("address", format!("清河县云岭镇云岭村{group}组{house}号")),
            ("ethnic", "汉族".to_owned()),
        ];
        all.into_iter().map(|(key, value)| Write::set(Section::Particulars, key, value)).collect()
    }

    /// Everything that an agent does until the applicant has signed.
    fn filed(
        &mut self,
        case: &mut Subject,
        agent: By,
        at_ms: i64,
        (i, place, resident): (usize, PlaceId, SubjectId),
        particulars: &[Write],
    ) -> Result<()> {
        let per_block = BLOCK_SIZE as usize - 1;
        let (block, counter) = (1 + i / per_block, 1 + i % per_block);
        let number = case_number(u32::try_from(block)?, u32::try_from(counter)?);
        let opened = Step::Opened {
            number: number.context("no more numbers")?,
            place,
            resident,
            item: "S1-gaoling".into(),
            catalogue: "2026-11".into(),
            route: Route {
                take: Level::Township,
                accept: Level::County,
                decide: Level::County,
                department: DEPARTMENT.into(),
            },
        };
        self.step(case, agent, at_ms, opened)?;
        let set = |section, key: &str, value: &str| Write::set(section, key, value);
        let answers = [
            set(Section::Answers, "hukou_county", "yes"),
            set(Section::Answers, "same_benefit", "no"),
            set(Section::Applicant, "filer", "applicant"),
        ];
        self.save(case, agent, at_ms + 20_000, &answers)?;
        let card = format!("6228{:015}", self.dice.below(1_000_000_000_000_000));
        let with = *self.dice.one_of(&["独居", "与配偶同住", "与子女同住", "与其他亲属同住"]);
        let (contact, contact_phone) = (people::name(&mut self.dice).0, phone(&mut self.dice));
        let own_phone = phone(&mut self.dice);
        let house = 1 + self.dice.below(180);
        let form = [
            set(Section::Form, "phone", &own_phone),
            set(Section::Form, "address", &format!("清河县云岭镇云岭村{house}号")),
            set(Section::Form, "bank_card", &card),
            set(Section::Form, "bank_name", "清河县农村信用联社云岭分社"),
            set(Section::Form, "live_with", with),
        ];
        self.save(case, agent, at_ms + 60_000, &form)?;
        let rest = [
            set(Section::Form, "contact_name", &contact),
            set(Section::Form, "contact_phone", &contact_phone),
        ];
        self.save(case, agent, at_ms + 80_000, &rest)?;
        let earlier = case_number(7, 1 + u32::try_from(self.dice.below(900_000))?);
        let reused = format!("{} 2026-03-1{}", earlier.unwrap_or_default(), self.dice.below(9));
        let materials = ["id-card", "hukou-book", "bank-card", "application-form"]
            .map(|material| set(Section::Materials, &format!("{material}/reused"), &reused));
        self.save(case, agent, at_ms + 100_000, &materials)?;
        self.save(case, agent, at_ms + 120_000, particulars)?;
        let submitted =
            Step::Submitted { filer: Filer::Applicant, attachments: vec![], deferred: vec![] };
        self.step(case, agent, at_ms + 130_000, submitted)
    }

    /// Township, county, and the village again.
    fn carried_on(
        &mut self,
        case: &mut Subject,
        agent: By,
        at_ms: i64,
        proof: AttachmentId,
    ) -> Result<()> {
        let clerk = By(CENTRE, CLERK);
        let from = case.entries.len();
        self.step(case, clerk, at_ms, Step::Taken)?;
        let note = format!("电话核实，{}号下午在家", 1 + self.dice.below(28));
        let notes = [Write::set(Section::Notes, "clerk", note)];
        self.save(case, clerk, at_ms + 30_000, &notes)?;
        let forwarded = Step::Forwarded { opinion: "情况属实，同意上报".into(), term: 2 };
        self.step(case, clerk, at_ms + 60_000, forwarded)?;
        self.witness(case, from, at_ms + 90_000)?;
        let reviewer = By(RELAY, REVIEWER);
        let accepted = Step::Accepted {
            term: 2,
            due: "2026-12-20".into(),
            calendar: "2026".into(),
            uncertain: false,
        };
        self.step(case, reviewer, at_ms + 3_600_000, accepted)?;
        let approved = Step::Approved { term: 2, opinion: "符合条件，准予发放".into() };
        self.step(case, reviewer, at_ms + 7_200_000, approved)?;
        self.step(case, reviewer, at_ms + 7_200_001, Step::Completed)?;
        let from = case.entries.len();
        let delivered = Step::Delivered { to: Handover::Applicant, receiver: String::new(), proof };
        self.step(case, agent, at_ms + 90_000_000, delivered)?;
        self.step(case, agent, at_ms + 90_000_001, Step::Archived)?;
        self.witness(case, from, at_ms + 90_060_000)
    }
}
