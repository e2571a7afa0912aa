//! The applicant signs: on the screen, on paper, or by thumbprint before a witness.

use super::filing::DraftHead;
use crate::part::{FaultLine, Input, faults, hidden, input};
use crate::{Lang, Shell, layout};
use maud::{Markup, html};

/// What the page shows.
#[derive(Clone, Debug, Default)]
pub struct Sign {
    /// The head.
    pub head: DraftHead,
    /// Where the signed form goes.
    pub action: String,
    /// Who signs.
    pub signer: String,
    /// What is agreed to: sentences read aloud.
    pub sentences: Vec<String>,
    /// Address of the paper to print and sign.
    pub paper: String,
    /// Words on the button that takes effect.
    pub button: String,
    /// Further inputs (to whom, name of the proxy).
    pub inputs: Vec<Input>,
    /// Heads that the page was made from.
    pub base: String,
    /// What is wrong.
    pub faults: Vec<FaultLine>,
    /// Heading.
    pub title: String,
    /// How it was signed when something was wrong; else empty.
    pub how: String,
    /// The witness who was named.
    pub witness: String,
}

/// The page: always in large letters.
#[must_use]
pub fn page(shell: &Shell, view: &Sign) -> Markup {
    let shell = Shell { big: true, ..shell.clone() };
    let l = shell.lang;
    let body = html! {
        p class="hint" { a href={ "/cases/" (view.head.case) } { "‹ " (l.t("回办件", "Back to the case")) } }
        h1 { (view.title) }
        (faults(l, &view.faults))
        div class="card villager" { @for s in &view.sentences { p { (s) } } }
        (on_screen(l, view))
        (on_paper(l, view))
        (thumb(l, view))
    };
    layout::page(&shell, &view.title, !view.faults.is_empty(), &["signature.js"], &body)
}

fn common(l: Lang, view: &Sign, how: &str) -> Markup {
    html! {
        (hidden("base", &view.base)) (hidden("how", how))
        @for i in &view.inputs {
            @let i = Input { id: format!("{}-{how}", i.name), ..i.clone() };
            (input(l, &i))
        }
    }
}

fn on_screen(l: Lang, view: &Sign) -> Markup {
    html! {
        form method="post" action=(view.action) enctype="multipart/form-data" class="card" hidden data-with-script {
            h2 { (l.t("在屏幕上签名", "Sign on the screen")) }
            (common(l, view, "screen")) (hidden("drawn", ""))
            p { (view.signer) " " (l.t("请在框里签名:", "signs here:")) }
            canvas class="pad" data-sign aria-label=(l.t("签名框", "Signature")) {}
            p class="fault" data-empty hidden { (l.t("请先签名", "Sign first")) }
            div class="buttons" {
                button { (view.button) }
                button type="button" class="second" data-clear { (l.t("擦掉重签", "Clear")) }
            }
        }
    }
}

fn on_paper(l: Lang, view: &Sign) -> Markup {
    html! {
        form method="post" action=(view.action) enctype="multipart/form-data" class="card" {
            h2 { (l.t("打印,签字,拍照", "Print, sign, photograph")) }
            (common(l, view, "paper"))
            p { a class="button second" href=(view.paper) target="_blank" { (l.t("打开要签字的纸(PDF)", "Open the paper to sign (PDF)")) } }
            label class="above" for="signed-paper" { (l.t("签好字的纸的照片", "Photo of the signed paper")) }
            input id="signed-paper" type="file" name="photo" accept="image/*" capture="environment" data-photo;
            p class="hint" data-status data-busy=(l.t("正在处理照片…", "Preparing the photo…")) {}
            div class="buttons" { button { (view.button) } }
        }
    }
}

fn thumb(l: Lang, view: &Sign) -> Markup {
    html! {
        details class="card" open[view.how == "thumb"] {
            summary { (l.t("不会写字:按手印,见证人在场", "Cannot write: thumbprint before a witness")) }
            form method="post" action=(view.action) enctype="multipart/form-data" {
                (common(l, view, "thumb"))
                (input(l, &Input::line("witness", l.t("见证人姓名", "Name of the witness"), &view.witness)))
                label class="above" for="thumb-photo" { (l.t("按好手印的纸的照片", "Photo of the paper with the thumbprint")) }
                input id="thumb-photo" type="file" name="photo" accept="image/*" capture="environment" data-photo;
                p class="hint" data-status data-busy=(l.t("正在处理照片…", "Preparing the photo…")) {}
                div class="buttons" { button { (view.button) } }
            }
        }
    }
}
