//! What somebody looks at a person for, and who has looked.

use super::boxes::ways_on;
use crate::part::hidden;
use crate::{Lang, Shell, layout};
use cunkou_casework::looking::Purpose;
use maud::{Markup, html};

impl Lang {
    /// A purpose in words.
    #[must_use]
    pub fn purpose(self, purpose: Purpose) -> &'static str {
        match purpose {
            Purpose::Work => self.t("办理业务", "Handling a matter"),
            Purpose::Verify => self.t("核实情况", "Checking facts"),
            Purpose::Asked => self.t("居民询问", "The resident asks"),
            Purpose::Inspection => self.t("监督检查", "Supervision"),
            Purpose::Other => self.t("其他工作", "Other work"),
        }
    }
}

/// Asks for the purpose; `address` takes the answer, `next` is what is looked at then.
#[must_use]
pub fn page(shell: &Shell, address: &str, next: &str, fault: bool) -> Markup {
    let l = shell.lang;
    let title = l.t("为什么要看?", "What do you look for?");
    let body = html! {
        h1 { (title) }
        p { (l.t("这不是您正在办的件。选一下用途就可以看;居民可以知道谁看过、为什么看。",
            "This is not a case in your hands. Say what for and it opens; residents can be told who looked and why.")) }
        form method="post" action=(address) class="card narrow" {
            (hidden("next", next))
            fieldset id="purpose" {
                legend { (l.t("用途", "Purpose")) }
                @if fault { p class="fault" { (l.t("选一个用途", "Choose one")) } }
                div class="radios" { @for purpose in Purpose::ALL {
                    label class="radio" {
                        input type="radio" name="purpose" value=(purpose.number());
                        span { (l.purpose(purpose)) }
                    }
                } }
            }
            button { (l.t("查看", "Look")) }
        }
    };
    layout::page(shell, title, fault, &[], &body)
}

/// Finds the looks at whoever a case is about, above other ways to go on; `fault` says that the
/// number is not known.
#[must_use]
pub fn find_looks(l: Lang, address: &str, fault: bool, links: &[(String, String)]) -> Markup {
    html! {
        form class="searchbox" method="post" action=(address) role="search" {
            div class="field" {
                label for="number" { (l.t("居民来问:办件编号", "A resident asks: number of a case")) }
                @if fault { p class="fault" id="number-fault" { (l.t("没有这个编号的办件", "There is no case of this number")) } }
                input type="search" id="number" name="number" autocomplete="off" inputmode="numeric"
                    aria-invalid=[fault.then_some("true")] aria-describedby=[fault.then_some("number-fault")];
            }
            button { (l.t("查找", "Search")) }
        }
        (ways_on(links))
    }
}
