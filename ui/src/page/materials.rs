//! Materials: reuse, photograph, promise for later.

use super::filing::{DraftHead, head};
use crate::part::{Control, FaultLine, Input, faults, input};
use crate::{Lang, Shell, layout};
use maud::{Markup, html};

/// A photo of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Photo {
    /// Address of the picture, or of its preview; absent while neither has come.
    pub src: Option<String>,
    /// The picture is a preview: the photo itself is still on its way.
    pub small: bool,
    /// Which page.
    pub name: String,
    /// Date and size, in words.
    pub about: String,
    /// Address that takes a new photo; absent when it cannot be retaken.
    pub retake: Option<String>,
}

/// One material in the list of a draft.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// Address.
    pub href: String,
    /// Name.
    pub name: String,
    /// How it stands, in words.
    pub state: String,
    /// Settled.
    pub done: bool,
}

/// The list.
#[must_use]
pub fn list(shell: &Shell, view: &DraftHead, lines: &[Line]) -> Markup {
    let l = shell.lang;
    let title = l.t("准备材料", "Materials");
    let done = lines.iter().filter(|line| line.done).count();
    let body = html! {
        (head(shell, view, title))
        p { @match l { Lang::Zh => { (lines.len()) " 项中 " (done) " 项齐" } Lang::En => { (done) " of " (lines.len()) " ready" } } }
        ul class="list narrow" {
            @for line in lines { li { a class="row" href=(line.href) {
                span class="who" { (line.name) }
                span class={ "end tag " (if line.done { "good" } else { "" }) } { (if line.done { "✓ " } else { "" }) (line.state) }
            } } }
        }
        div class="buttons" { a class="button" href={ "/cases/" (view.case) "/form" } { (l.t("继续:填写申请表", "Continue: form")) } }
    };
    layout::page(shell, title, false, &[], &body)
}

/// One material.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// The head.
    pub head: DraftHead,
    /// Its address, where the forms go.
    pub action: String,
    /// Name.
    pub name: String,
    /// How it is given.
    pub how: String,
    /// Who issues it.
    pub issuer: String,
    /// How it stands, in words.
    pub state: String,
    /// Photos.
    pub photos: Vec<Photo>,
    /// Pages still to photograph: slot, name.
    pub missing: Vec<(u8, String)>,
    /// The slot for a further page.
    pub extra: Option<u8>,
    /// What was given before: words; absent when there is nothing valid.
    pub reuse: Option<String>,
    /// May be promised for later, at the latest on this day.
    pub defer_until: Option<String>,
    /// Is it needed at all: the question and what was answered.
    pub ask: Option<(String, String)>,
    /// The last day on the card: what stands.
    pub card_until: Option<String>,
    /// A paper to print, sign and photograph: address.
    pub paper: Option<String>,
    /// What is wrong.
    pub faults: Vec<FaultLine>,
    /// What was typed as reason for promising it later.
    pub reason: String,
}

/// The page of one material.
#[must_use]
pub fn one(shell: &Shell, view: &Material) -> Markup {
    let l = shell.lang;
    let body = html! {
        p class="hint" { a href={ "/cases/" (view.head.case) "/materials" } { "‹ " (l.t("回材料清单", "All materials")) } }
        h1 { (view.name) }
        p { strong { (view.head.applicant) } " · " (view.head.item) }
        (faults(l, &view.faults))
        p { span class="tag" { (view.state) } " " (view.how) " · " (l.t("出具:", "Issuer: ")) (view.issuer) }
        @if let Some(paper) = &view.paper { p { a class="button second" href=(paper) target="_blank" { (l.t("打印要签字的纸(PDF)", "Print the paper to sign (PDF)")) } } }
        @if let Some((ask, answer)) = &view.ask {
            form method="post" action={ (view.action) "/asked" } class="card narrow" {
                (input(l, &Input::line("asked", ask, answer).with(Control::Radios(vec![
                    ("yes".into(), l.t("是", "Yes").into()), ("no".into(), l.t("否", "No").into())]))))
                div class="buttons" { button class="second" { (l.t("保存", "Save")) } }
            }
        }
        @if let Some(words) = &view.reuse {
            form method="post" action={ (view.action) "/reuse" } class="card narrow" {
                h2 { (l.t("以前给过,可以直接用", "Given before: use it again")) }
                p { (words) }
                div class="buttons" { button { (l.t("用以前的", "Use it")) } }
            }
        }
        @if !view.photos.is_empty() { (photos(l, &view.photos)) }
        @for (slot, name) in &view.missing { (camera(l, &view.action, *slot, name, true)) }
        @if let Some(slot) = view.extra {
            details { summary { (l.t("再加一页", "Add a page")) } (camera(l, &view.action, slot, l.t("附加页", "Further page"), true)) }
        }
        @if let Some(until) = &view.card_until {
            form method="post" action={ (view.action) "/until" } class="card narrow" novalidate {
                @let mut day = Input::line("until", l.t("证件有效期到", "Valid until"), until).with(Control::Day).optional()
                    .hint(l.t("看证面;长期有效就不填", "See the card; leave empty if unlimited"));
                @let () = day.fault = view.faults.iter().find(|f| f.field == "until").map(|f| f.words.clone());
                (input(l, &day))
                div class="buttons" { button class="second" { (l.t("保存有效期", "Save")) } }
            }
        }
        @if let Some(until) = &view.defer_until {
            details open[view.faults.iter().any(|f| f.field == "reason")] { summary { (l.t("暂缺,承诺补交(容缺)", "Missing now: promise it for later")) }
                form method="post" action={ (view.action) "/defer" } class="card narrow" novalidate {
                    p { (l.t("最晚补交日:", "Latest day: ")) strong { (until) } " — " (l.t("到期没补,部门可以退件。", "if it does not come by then the department may return the case.")) }
                    @let mut reason = Input::line("reason", l.t("为什么现在没有", "Why it is missing"), &view.reason);
                    @let () = reason.fault = view.faults.iter().find(|f| f.field == "reason").map(|f| f.words.clone());
                    (input(l, &reason))
                    div class="buttons" { button class="second" { (l.t("暂缺,按时补交", "Promise it")) } }
                }
            }
        }
        div class="buttons" { a class="button second" href={ "/cases/" (view.head.case) "/materials" } { (l.t("回材料清单", "Back to the list")) } }
    };
    layout::page(shell, &view.name, !view.faults.is_empty(), &[], &body)
}

/// A form that takes one photo. With `auto` it is sent as soon as it is chosen, where scripts run.
#[must_use]
pub fn camera(l: Lang, action: &str, slot: u8, name: &str, auto: bool) -> Markup {
    let id = format!("photo-{slot}");
    html! {
        form method="post" action={ (action) "/photo/" (slot) } enctype="multipart/form-data" class="card narrow" data-auto=[auto.then_some("")] {
            label class="above" for=(id) { (l.t("拍照:", "Photo: ")) (name) }
            input id=(id) type="file" name="photo" accept="image/*" capture="environment" data-photo;
            p class="hint" data-status data-busy=(l.t("正在处理照片…", "Preparing the photo…")) { (l.t("拍清楚四个角,不反光。", "All four corners, no glare.")) }
            div class="buttons" { button { (l.t("上传", "Upload")) } }
        }
    }
}

/// Photos side by side.
#[must_use]
pub fn photos(l: Lang, photos: &[Photo]) -> Markup {
    html! {
        ul class="photos" {
            @for photo in photos {
                li { figure {
                    @match &photo.src {
                        Some(src) => a href=(src) target="_blank" { img src=(src) alt=(photo.name) loading="lazy"; },
                        None => div class="gone" { (l.t("照片还在路上", "The photo is on its way")) }
                    }
                    figcaption {
                        (photo.name) br; span class="hint" { (photo.about) }
                        @if photo.small {
                            p class="hint" { (l.t("这是小图,清晰的照片还在路上。", "This is a small picture. The clear one is on its way.")) }
                        }
                        @if let Some(retake) = &photo.retake {
                            form method="post" action=(retake) { button class="quiet" { (l.t("重拍", "Retake")) } }
                        }
                    }
                } }
            }
        }
    }
}
