//! Materials of a case: photographed, reused, promised for later, or not needed.
//!
//! In the document they are flat keys, `material/state`, `material/page/NN`, so that two people
//! who photograph the same page apart leave both photos for a person to choose from.

use crate::catalogue::{Item, MaterialSpec, Valid, When};
use crate::document::{Projection, Section, Write};
use crate::event::Filer;
use crate::ids::AttachmentId;
use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A material has at most this many pages.
pub const PAGES_MAX: usize = 30;

/// One photographed page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The photo.
    pub hash: AttachmentId,
    /// Which page, in words.
    pub name: String,
    /// Bytes of the photo.
    pub bytes: u32,
    /// When it was taken, `YYYY-MM-DD`.
    pub taken: String,
    /// The same picture small, when the photo itself is not small. It came later, so programs of
    /// the first version neither write nor read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
}

/// A small picture of a photo, to be seen before the photo itself has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The picture.
    pub hash: AttachmentId,
    /// Its bytes.
    pub bytes: u32,
}

/// What a resident gave before and may use again; kept in the resident's document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Number of the case it was given in.
    pub case_number: String,
    /// When, `YYYY-MM-DD`.
    pub taken: String,
    /// Last day of use, `YYYY-MM-DD`; absent when it has none.
    #[serde(default)]
    pub until: Option<String>,
    /// Its pages.
    pub pages: Vec<Page>,
}

/// How a material stands in a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing yet.
    Open,
    /// Photographed here.
    Photographed,
    /// Taken over from an earlier case.
    Reused {
        /// Number of that case.
        case_number: String,
        /// When it was taken.
        taken: String,
    },
    /// 容缺: promised by a day.
    Deferred {
        /// `YYYY-MM-DD`
        until: String,
        /// Why.
        reason: String,
    },
    /// The question was answered with no.
    NotNeeded,
}

/// A material of a case as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Material<'a> {
    /// What the catalogue says.
    pub spec: &'a MaterialSpec,
    /// How it stands.
    pub state: State,
    /// The pages with their slots, named pages first.
    pub pages: Vec<(u8, Page)>,
    /// The last day on the card, when it was typed, `YYYY-MM-DD`.
    pub card_until: Option<String>,
    /// Still to be answered: is it needed?
    pub unanswered: bool,
}

impl Material<'_> {
    /// True when nothing more is to be done for submission.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match self.state {
            State::Open => false,
            State::Photographed => self.missing_pages().next().is_none(),
            State::Reused { .. } | State::Deferred { .. } | State::NotNeeded => true,
        }
    }

    /// The named pages without a photo.
    pub fn missing_pages(&self) -> impl Iterator<Item = (u8, &str)> {
        self.spec.pages.iter().enumerate().filter_map(|(i, name)| {
            let slot = u8::try_from(i).ok()?;
            (!self.pages.iter().any(|(s, _)| *s == slot)).then_some((slot, name.as_str()))
        })
    }
}

/// The key of a material's page.
#[must_use]
pub fn page_key(material: &str, slot: u8) -> String {
    format!("{material}/page/{slot:02}")
}

/// The key of a page given in a supplement.
#[must_use]
pub fn supplement_key(round: u32, material: &str, slot: u8) -> String {
    format!("{round}/{material}/{slot:02}")
}

fn pages_under(projection: &Projection, section: Section, prefix: &str) -> Vec<(u8, Page)> {
    let rows = projection.section(section).filter_map(|(key, values)| {
        let slot = key.strip_prefix(prefix)?.parse().ok()?;
        let page = serde_json::from_str(values.last()?).ok()?;
        Some((slot, page))
    });
    rows.take(PAGES_MAX).collect()
}

/// The pages that a supplement round added, by material and slot.
#[must_use]
pub fn supplement_pages(projection: &Projection, round: u32, material: &str) -> Vec<(u8, Page)> {
    pages_under(projection, Section::Supplement, &format!("{round}/{material}/"))
}

/// The materials that this case needs, as they stand.
#[must_use]
pub fn materials<'a>(item: &'a Item, filer: Option<Filer>, doc: &Projection) -> Vec<Material<'a>> {
    let needed = item.materials.iter().filter(|spec| match spec.when {
        When::Always | When::Asked => true,
        When::Acting => matches!(filer, Some(Filer::Family | Filer::Agent)),
        When::Guardian => filer == Some(Filer::Guardian),
    });
    needed.map(|spec| material(spec, doc)).collect()
}

fn material<'a>(spec: &'a MaterialSpec, doc: &Projection) -> Material<'a> {
    let get = |what: &str| doc.get(Section::Materials, &format!("{}/{what}", spec.key));
    let text = |what: &str| get(what).unwrap_or_default().to_owned();
    let pages = pages_under(doc, Section::Materials, &format!("{}/page/", spec.key));
    let asked = get("asked");
    let state = match get("state") {
        _ if spec.when == When::Asked && asked == Some("no") => State::NotNeeded,
        Some("reused") => State::Reused { case_number: text("case"), taken: text("taken") },
        Some("deferred") => State::Deferred { until: text("until"), reason: text("reason") },
        _ if !pages.is_empty() => State::Photographed,
        _ => State::Open,
    };
    Material {
        spec,
        state,
        pages,
        card_until: get("card_until").map(str::to_owned),
        unanswered: spec.when == When::Asked && asked.is_none(),
    }
}

/// The writes that put a page into its slot and make the material a photographed one.
#[must_use]
pub fn photograph(material: &str, slot: u8, page: &Page) -> Vec<Write> {
    vec![
        Write::set(Section::Materials, page_key(material, slot), json(page)),
        Write::set(Section::Materials, format!("{material}/state"), "photo"),
    ]
}

/// The writes that take over what the resident gave before.
#[must_use]
pub fn reuse(material: &str, kept: &Kept) -> Vec<Write> {
    let set = |what: &str, value: &str| {
        Write::set(Section::Materials, format!("{material}/{what}"), value)
    };
    let mut writes =
        vec![set("state", "reused"), set("case", &kept.case_number), set("taken", &kept.taken)];
    for (slot, page) in (0u8..).zip(&kept.pages) {
        writes.push(Write::set(Section::Materials, page_key(material, slot), json(page)));
    }
    if let Some(until) = &kept.until {
        writes.push(set("card_until", until));
    }
    writes
}

/// The writes that promise a material for later.
#[must_use]
pub fn defer(material: &str, until: Date, reason: &str) -> Vec<Write> {
    let set = |what: &str, value: String| {
        Write::set(Section::Materials, format!("{material}/{what}"), value)
    };
    vec![
        set("state", "deferred".into()),
        set("until", until.to_string()),
        set("reason", reason.into()),
    ]
}

/// What the resident gave before under this key, when it is still valid today.
#[must_use]
pub fn kept(resident: &Projection, spec: &MaterialSpec, today: Date) -> Option<Kept> {
    if !spec.reusable {
        return None;
    }
    let kept: Kept = serde_json::from_str(resident.get(Section::Materials, &spec.key)?).ok()?;
    let taken: Date = kept.taken.parse().ok()?;
    let last = match &spec.valid {
        Valid::Case => return None,
        Valid::Months { months } => Some(taken.saturating_add(i64::from(*months).months())),
        Valid::Card | Valid::Long => kept.until.as_ref().and_then(|u| u.parse().ok()),
    };
    last.is_none_or(|last| last >= today).then_some(kept)
}

/// The write that lets later cases of the resident use this material.
#[must_use]
pub fn keep(material: &Material<'_>, case_number: &str) -> Option<Write> {
    let reusable = material.spec.reusable && material.state == State::Photographed;
    let taken = material.pages.first()?.1.taken.clone();
    let all = material.pages.len();
    let kept = Kept {
        case_number: case_number.to_owned(),
        taken,
        until: material.card_until.clone(),
        pages: material.pages.iter().map(|(_, page)| kept_page(page, all)).collect(),
    };
    reusable.then(|| Write::set(Section::Materials, material.spec.key.clone(), json(&kept)))
}

/// Of so many pages the previews are remembered: a value has at most 8,192 bytes.
const PREVIEWS_KEPT_MAX: usize = 20;

fn kept_page(page: &Page, all: usize) -> Page {
    let preview = page.preview.filter(|_| all <= PREVIEWS_KEPT_MAX);
    Page { preview, ..page.clone() }
}

/// The text under which a value is stored.
pub fn json<T: Serialize>(value: &T) -> String {
    match serde_json::to_string(value) {
        Ok(text) => text,
        Err(e) => unreachable!("a plain value always encodes: {e}"),
    }
}

/// The values of a document that may name photos.
fn naming(content: &Projection) -> impl Iterator<Item = &str> {
    let sections = [Section::Materials, Section::Supplement, Section::Signatures];
    let rows = sections.into_iter().flat_map(|section| content.section(section));
    rows.flat_map(|(_, values)| values.iter().map(AsRef::as_ref))
}

/// The pages that a value names.
fn pages_of(value: &str) -> Vec<Page> {
    if let Ok(page) = serde_json::from_str(value) {
        vec![page]
    } else {
        serde_json::from_str::<Kept>(value).map(|kept| kept.pages).unwrap_or_default()
    }
}

/// The photos that a document names, in any section; not their previews.
#[must_use]
pub fn attachments_named(content: &Projection) -> BTreeSet<AttachmentId> {
    let mut out = BTreeSet::new();
    for value in naming(content) {
        let pages = pages_of(value);
        if pages.is_empty() {
            out.extend(value.parse::<AttachmentId>());
        }
        out.extend(pages.iter().map(|page| page.hash));
    }
    out
}

/// The pages that a document names, in any section, with what it says of their photos.
#[must_use]
pub fn pages_named(content: &Projection) -> Vec<Page> {
    naming(content).flat_map(pages_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Items, read};
    use crate::document::{Document, Schema};
    use jiff::civil::date;

    fn item() -> Item {
        let text = include_str!("../../county-relay/catalogue/items.json");
        let items: Items = read("items.json", text).expect("the shipped items");
        items.items.into_iter().find(|i| i.key == "S1-gaoling").expect("S1")
    }

    fn page(name: &str) -> Page {
        Page {
            hash: AttachmentId([1; 32]),
            name: name.into(),
            bytes: 9,
            taken: "2026-05-06".into(),
            preview: None,
        }
    }

    fn written(schema: Schema, writes: &[Write]) -> Projection {
        let mut doc = Document::new(schema).expect("new");
        doc.write([1; 16], 0, writes).expect("written");
        doc.projection()
    }

    #[test]
    fn a_mandate_is_needed_only_when_somebody_acts_for_another() {
        let item = item();
        let needs = |filer, key: &str| {
            materials(&item, Some(filer), &Projection::default()).iter().any(|m| m.spec.key == key)
        };
        assert!(!needs(Filer::Applicant, "mandate"));
        assert!(needs(Filer::Family, "mandate") && needs(Filer::Agent, "mandate"));
        assert!(needs(Filer::Guardian, "guardian-proof") && !needs(Filer::Guardian, "mandate"));
    }

    #[test]
    fn a_preview_is_read_where_there_is_one_and_a_page_without_is_written_as_it_always_was() {
        let old = page("人像面");
        let text = json(&old);
        assert!(!text.contains("preview"));
        assert_eq!(serde_json::from_str::<Page>(&text).ok(), Some(old.clone()));
        let preview = Preview { hash: AttachmentId([2; 32]), bytes: 7 };
        let new = Page { preview: Some(preview), ..old };
        assert_eq!(serde_json::from_str::<Page>(&json(&new)).ok(), Some(new.clone()));
        let doc = written(Schema::Case1, &photograph("id-card", 0, &new));
        assert_eq!(attachments_named(&doc), BTreeSet::from([new.hash]), "photos alone");
        assert_eq!(pages_named(&doc), [new]);
    }

    #[test]
    fn what_may_be_reused_fits_into_a_value_whatever_has_a_preview() {
        let item = item();
        let spec = item.material("id-card").expect("an ID card");
        let preview = Some(Preview { hash: AttachmentId([2; 32]), bytes: 29_999 });
        let one =
            Page {
                preview, name: "一二三四五六七八九十".into(), bytes: 7_999_999, ..page("")
            };
        for all in [1, PREVIEWS_KEPT_MAX, PAGES_MAX] {
            let pages = (0u8..).take(all).map(|slot| (slot, one.clone())).collect();
            let state = State::Photographed;
            let m = Material { spec, state, pages, card_until: None, unanswered: false };
            let written = keep(&m, "2026-130999-00001").and_then(|w| w.value).expect("reusable");
            assert_eq!(written.contains("preview"), all <= PREVIEWS_KEPT_MAX, "{all}");
            assert!(written.len() <= 8_192, "{} bytes for {all} pages", written.len());
        }
    }

    #[test]
    fn a_material_is_settled_when_all_its_named_pages_are_there() {
        let item = item();
        let mut writes = photograph("id-card", 0, &page("人像面"));
        let half = written(Schema::Case1, &writes);
        let id_card = |doc: &Projection| {
            let all = materials(&item, Some(Filer::Applicant), doc);
            let found = all.iter().find(|m| m.spec.key == "id-card").expect("an ID card");
            found.is_settled()
        };
        assert!(!id_card(&half));
        writes.extend(photograph("id-card", 1, &page("国徽面")));
        assert!(id_card(&written(Schema::Case1, &writes)));
    }

    #[test]
    fn what_was_given_before_is_offered_until_the_card_expires() {
        let item = item();
        let spec = item.material("id-card").expect("an ID card");
        let kept_until = |until: &str| {
            let value = Kept {
                case_number: "1".into(),
                taken: "2026-05-06".into(),
                until: Some(until.into()),
                pages: vec![page("人像面")],
            };
            written(Schema::Resident1, &[Write::set(Section::Materials, "id-card", json(&value))])
        };
        let today = date(2026, 11, 22);
        assert!(kept(&kept_until("2026-11-22"), spec, today).is_some());
        assert!(kept(&kept_until("2026-11-21"), spec, today).is_none());
        let form = item.material("application-form").expect("a form");
        assert!(kept(&kept_until("2099-01-01"), form, today).is_none());
    }
}
