//! County IT: boxes and people.

use crate::{Shell, layout};
use maud::{Markup, html};

/// A table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Heading.
    pub title: String,
    /// Column heads.
    pub heads: Vec<String>,
    /// Rows; the tone of a row may be `red` or `amber`.
    pub rows: Vec<(Vec<String>, &'static str)>,
    /// What an empty table means.
    pub empty: String,
    /// What to do on the command line, in words.
    pub hint: String,
}

/// A page of tables.
#[must_use]
pub fn page(shell: &Shell, title: &str, tables: &[Table]) -> Markup {
    page_with(shell, title, &html! {}, tables)
}

/// Ways to go on from a page: address and words.
#[must_use]
pub fn ways_on(links: &[(String, String)]) -> Markup {
    html! {
        p class="buttons" {
            @for (address, words) in links { a class="button second" href=(address) { (words) } }
        }
    }
}

/// A table without its heading.
#[must_use]
pub fn table(table: &Table) -> Markup {
    html! {
        @if table.rows.is_empty() { p class="empty" { (table.empty) } }
        @else {
            div class="scroll" { table {
                thead { tr { @for head in &table.heads { th { (head) } } } }
                tbody { @for (row, tone) in &table.rows { tr { @for (i, cell) in row.iter().enumerate() {
                    td { @if i == 0 && !tone.is_empty() { span class={ "tag " (tone) } { (cell) } } @else { (cell) } }
                } } } }
            } }
        }
        @if !table.hint.is_empty() { p class="hint" { (table.hint) } }
    }
}

/// A page of tables with something above them.
#[must_use]
pub fn page_with(shell: &Shell, title: &str, above: &Markup, tables: &[Table]) -> Markup {
    let body = html! {
        h1 { (title) }
        (above)
        @for table in tables {
            @if table.title != title { h2 { (table.title) } }
            @if table.rows.is_empty() { p class="empty" { (table.empty) } }
            @else { div class="scroll" { table {
                thead { tr { @for head in &table.heads { th { (head) } } } }
                tbody { @for (row, tone) in &table.rows { tr { @for (i, cell) in row.iter().enumerate() {
                    td { @if i == 0 && !tone.is_empty() { span class={ "tag " (tone) } { (cell) } } @else { (cell) } }
                } } } }
            } } }
            p class="hint" { (table.hint) }
        }
    };
    layout::page(shell, title, false, &[], &body)
}
