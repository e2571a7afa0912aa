//! New boxes whose six words county IT compares.

use crate::Lang;
use maud::{Markup, html};

/// A box to be compared.
#[derive(Clone, Debug)]
pub struct ToCompare {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Six words.
    pub words: String,
    /// When it was enrolled, in words.
    pub since: String,
}

/// The part of the page of boxes; nothing where none is to be compared.
#[must_use]
pub fn section(l: Lang, boxes: &[ToCompare]) -> Markup {
    html! {
        @if !boxes.is_empty() {
            h2 { (l.t("待核对的新盒子", "New boxes to compare")) }
            p { (l.t("打电话给盒子旁边的人,请他念盒子上的六个词。一样就按“词一致”。不一样,马上撤销这台盒子。",
                "Call whoever is at the box and let them read its six words. If they are the same, say so here. If not, revoke the box at once.")) }
            @for b in boxes {
                form method="post" action={ "/boxes/" (b.id) "/confirm" } class="card" {
                    p { span class="tag amber" { (l.t("待核对", "to compare")) } " " (b.name) " · " (&b.id[..b.id.len().min(8)]) " · " (b.since) }
                    p { strong { (b.words) } }
                    div class="buttons" { button { (l.t("词一致", "The words are the same")) } }
                }
            }
        }
    }
}
