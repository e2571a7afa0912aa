//! A case after it was submitted: how far, what is to be done, photos, answers, history.

use super::materials::{Photo, photos};
use crate::part::{FaultLine, Input, faults, hidden, input, ladder, summary};
use crate::{Shell, layout};
use cunkou_casework::case::Ladder;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Something that the person may do now.
#[derive(Clone, Debug, Default)]
pub struct Action {
    /// Word in the address.
    pub key: String,
    /// Words on the button.
    pub words: String,
    /// Fields.
    pub inputs: Vec<Input>,
    /// Materials that may be ticked with a reason each: key, name.
    pub defects: Vec<(String, String)>,
    /// What was typed beside the materials, by the name of its field.
    pub typed: BTreeMap<String, String>,
    /// What follows, in words; may be empty.
    pub explain: String,
    /// It cannot be undone, or says no.
    pub danger: bool,
    /// It leads to a page of its own.
    pub link: Option<String>,
}

/// Materials with their photos.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// Name.
    pub name: String,
    /// How it stands.
    pub state: String,
    /// Photos.
    pub photos: Vec<Photo>,
}

/// One line of the history.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// When, as claimed.
    pub when: String,
    /// What.
    pub what: String,
    /// Who, from where.
    pub who: String,
    /// Words said with it; may be empty.
    pub words: String,
    /// How sure the time and the signature are.
    pub sure: String,
    /// It does not count: why.
    pub off: Option<String>,
}

/// What the page shows.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// The case, for addresses.
    pub case: String,
    /// Number, grouped.
    pub number: String,
    /// Applicant.
    pub applicant: String,
    /// Item.
    pub item: String,
    /// Village.
    pub village: String,
    /// Legal state in words.
    pub phase: String,
    /// How far.
    pub ladder: Option<Ladder>,
    /// Something of it is being carried by hand: words.
    pub carried: Option<String>,
    /// Photos here and in all, when some are missing.
    pub photos_missing: Option<(u64, u64)>,
    /// Something that presses: words and tone.
    pub notices: Vec<(String, &'static str)>,
    /// The supplement to give: defects with the address of their camera.
    pub supplement: Vec<(String, String, Option<String>)>,
    /// What may be done.
    pub actions: Vec<Action>,
    /// Papers: address and words.
    pub papers: Vec<(String, String)>,
    /// Particulars and answers by group.
    pub groups: Vec<(String, Vec<(String, String)>)>,
    /// Materials.
    pub materials: Vec<Material>,
    /// History.
    pub history: Vec<Event>,
    /// The full numbers may be shown: address; absent when shown.
    pub reveal: Option<String>,
    /// What is wrong with the last action.
    pub faults: Vec<FaultLine>,
    /// The action that was tried, to keep it open.
    pub tried: String,
    /// Address of the part that renews itself.
    pub renew: String,
}

/// The part that renews itself: state and ladder.
#[must_use]
pub fn progress(shell: &Shell, view: &Case) -> Markup {
    let l = shell.lang;
    html! {
        div id="progress" hx-get=(view.renew) hx-trigger="every 4s" hx-swap="outerHTML" {
            p { span class="tag blue" id="phase" { (view.phase) } " " (l.t("编号", "Number")) " " strong class="num" { (view.number) } }
            @if let Some(rungs) = &view.ladder { (ladder(l, rungs)) }
            @if let Some(words) = &view.carried { p class="hint" id="carried" { (words) } }
            @if let Some((here, all)) = view.photos_missing {
                p class="hint" { @match l {
                    crate::Lang::Zh => { "照片到了 " (here) " 张,共 " (all) " 张" }
                    crate::Lang::En => { (here) " of " (all) " photos are here" }
                } }
            }
        }
    }
}

/// The page.
#[must_use]
pub fn page(shell: &Shell, view: &Case) -> Markup {
    let l = shell.lang;
    let title = format!("{} · {}", view.applicant, view.item);
    let body = html! {
        h1 { (title) @if !view.village.is_empty() { " · " (view.village) } }
        (faults(l, &view.faults))
        (progress(shell, view))
        @for (words, tone) in &view.notices { p class=(tone) { (words) } }
        @if !view.supplement.is_empty() {
            div class="card" {
                h2 { (l.t("要补的材料", "To be supplemented")) }
                ul class="checks" { @for (name, reason, camera) in &view.supplement {
                    li { strong { (name) } ": " (reason) " "
                        @match camera {
                            Some(address) => a class="button second" href=(address) { (l.t("重拍这一项", "Photograph it")) },
                            None => span class="tag good" { "✓ " (l.t("已重拍", "done")) }
                        }
                    }
                } }
            }
        }
        @if !view.actions.is_empty() { div class="actions" { @for a in &view.actions { (action(l, view, a)) } } }
        @if !view.papers.is_empty() {
            p class="buttons" { @for (address, words) in &view.papers { a class="button second" href=(address) target="_blank" { (words) } } }
        }
        div class="split" {
            div { h2 { (l.t("材料", "Materials")) }
                @for m in &view.materials { div class="card" {
                    h3 { (m.name) " " span class="tag" { (m.state) } }
                    @if !m.photos.is_empty() { (photos(l, &m.photos)) }
                } }
            }
            div class="sticky" {
                @for (heading, rows) in &view.groups { h2 { (heading) } div class="card" { (summary(rows)) } }
                @if let Some(reveal) = &view.reveal { p { a href=(reveal) { (l.t("显示完整号码", "Show full numbers")) } " " span class="hint" { (l.t("(会记录谁看过)", "(looking is recorded)")) } } }
            }
        }
        h2 { (l.t("经过", "History")) }
        (history(view))
    };
    layout::page(shell, &title, !view.faults.is_empty(), &[], &body)
}

fn history(view: &Case) -> Markup {
    html! {
        ol class="timeline" { @for e in &view.history {
            li {
                time { (e.when) } strong class=[e.off.is_some().then_some("off")] { (e.what) } " " (e.who)
                @if !e.words.is_empty() { br; (e.words) }
                @if let Some(off) = &e.off { br; span class="off" { (off) } }
                small { (e.sure) }
            }
        } }
    }
}

fn action(l: crate::Lang, view: &Case, a: &Action) -> Markup {
    if let Some(link) = &a.link {
        return html! { a class="button" href=(link) { (a.words) } };
    }
    let address = format!("/cases/{}/do/{}", view.case, a.key);
    let class = if a.danger { "danger" } else { "" };
    if a.inputs.is_empty() && a.defects.is_empty() {
        return html! { form class="inline" method="post" action=(address) { button class=(class) { (a.words) } @if !a.explain.is_empty() { " " span class="hint" { (a.explain) } } } };
    }
    html! {
        details class="act" open[view.tried == a.key] {
            summary { (a.words) }
            form method="post" action=(address) novalidate {
                (hidden("action", &a.key))
                @if !a.explain.is_empty() { p class="hint" { (a.explain) } }
                @if !a.defects.is_empty() {
                    ul class="checks" { @for (key, name) in &a.defects {
                        li {
                            label { input type="checkbox" name={ "defect-" (key) } value="yes" checked[a.typed.contains_key(&format!("defect-{key}"))]; (name) }
                            label class="sr" for={ "reason-" (key) } { (name) (l.t("哪里要改", ": what to put right")) }
                            input id={ "reason-" (key) } name={ "reason-" (key) } value=[a.typed.get(&format!("reason-{key}"))] placeholder=(l.t("哪里要改、怎么改", "what is wrong and how to put it right")) autocomplete="off";
                        }
                    } }
                }
                @for i in &a.inputs { (input(l, i)) }
                div class="buttons" { button class=(class) { (a.words) } }
            }
        }
    }
}
