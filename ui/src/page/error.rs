//! When something cannot be done: what, and what to do next.

use crate::{Shell, layout};
use maud::{Markup, html};

/// What the page says.
#[derive(Clone, Debug, Default)]
pub struct Problem {
    /// Heading.
    pub title: String,
    /// What happened and what to do, in sentences.
    pub words: Vec<String>,
    /// Where to go: address and words.
    pub next: Option<(String, String)>,
    /// A short number under which county IT finds the detail; may be empty.
    pub number: String,
}

/// The page.
#[must_use]
pub fn page(shell: &Shell, view: &Problem) -> Markup {
    let l = shell.lang;
    let body = html! {
        h1 { (view.title) }
        @for words in &view.words { p { (words) } }
        @if !view.number.is_empty() {
            p { (l.t("报给县信息员的编号:", "Number to give to county IT: ")) strong { (view.number) } }
        }
        div class="buttons" {
            @if let Some((address, words)) = &view.next { a class="button" href=(address) { (words) } }
            a class="button second" href="/" { (l.t("回首页", "Home")) }
        }
    };
    layout::page(shell, &view.title, false, &[], &body)
}
