//! Checking a receipt that somebody brings.

use crate::part::{Control, Input, input, summary};
use crate::{Shell, layout};
use maud::{Markup, html};

/// What came of it.
#[derive(Clone, Debug, Default)]
pub enum Verdict {
    /// Nothing was asked yet.
    #[default]
    Unasked,
    /// It does not hold: why, and what to do.
    Bad(String),
    /// It holds.
    Good {
        /// Labels and values.
        rows: Vec<(String, String)>,
        /// How it agrees with what is here: words and tone (`good`, `warn`).
        here: (String, &'static str),
        /// The case, for whoever may see it.
        case: Option<String>,
    },
}

/// The page.
#[must_use]
pub fn page(shell: &Shell, verdict: &Verdict) -> Markup {
    let l = shell.lang;
    let title = l.t("核对回执", "Check a receipt");
    let mut code =
        Input::line("code", l.t("回执上二维码的内容", "What the QR code on the receipt says"), "")
            .with(Control::Area)
            .hint(l.t(
                "点一下输入框,用扫码枪扫;或把手机扫出的文字粘贴进来",
                "Tap the box and use a scanner, or paste what a phone reads",
            ));
    let mut bad = false;
    if let Verdict::Bad(why) = verdict {
        code.fault = Some(why.clone());
        bad = true;
    }
    let body = html! {
        h1 { (title) }
        @if let Verdict::Good { rows, here, case } = verdict {
            div class="card narrow" role="status" {
                h2 { span class="tag good" { (l.t("真的", "genuine")) } " " (l.t("签名对,这张回执是本县出具的", "The signature holds: this county gave it")) }
                (summary(rows))
                @if here.1 == "warn" { p class="warn" { (here.0) } } @else { p { (here.0) } }
                @if let Some(case) = case { p class="buttons" { a class="button" href=(case) { (l.t("打开这件", "Open the case")) } } }
            }
        }
        form method="post" action="/receipts" class="card narrow" novalidate {
            (input(l, &code))
            div class="buttons" { button { (l.t("核对", "Check")) } a class="button second" href="/cases" { (l.t("返回", "Back")) } }
        }
        p class="hint" { (l.t("没有网也能核对。二维码里没有个人信息;纸上的姓名和材料以打开的办件为准。",
            "This works without a network. The code names nobody; what counts for name and materials is the case.")) }
    };
    layout::page(shell, title, bad, &[], &body)
}
