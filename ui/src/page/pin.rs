//! PINs: a forgotten one, one's own, and helping a colleague who has forgotten theirs.

use crate::part::{Control, FaultLine, Input, faults, hidden, input, summary};
use crate::{Lang, Shell, layout};
use maud::{Markup, html};

/// Who has forgotten their PIN.
#[derive(Clone, Debug, Default)]
pub struct Forgotten {
    /// Who may sign in here: login, name, role.
    pub people: Vec<(String, String, String)>,
    /// Who was chosen.
    pub chosen: String,
    /// What is wrong.
    pub faults: Vec<FaultLine>,
}

/// A number was drawn: it is read over the phone, a code comes back.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Login of whose PIN it is.
    pub login: String,
    /// Their name.
    pub name: String,
    /// What people call the box.
    pub place: String,
    /// The beginning of the box's id.
    pub device: String,
    /// Eight digits.
    pub number: String,
    /// Telephone of county IT; may be empty.
    pub phone: String,
    /// What was typed as the code, unless it was wrong.
    pub code: String,
    /// What is wrong.
    pub faults: Vec<FaultLine>,
}

/// What the page of one's own PIN shows.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// What is wrong.
    pub faults: Vec<FaultLine>,
}

/// Whom a person may help, and whom they just help.
#[derive(Clone, Debug, Default)]
pub struct Helping {
    /// Value, name of the person and box.
    pub people: Vec<(String, String)>,
    /// Who was chosen.
    pub chosen: String,
    /// What was typed as the number.
    pub number: String,
    /// The code to read out.
    pub code: Option<String>,
    /// Who it is for, in words.
    pub whom: String,
    /// When, whom, by whom.
    pub helped: Vec<[String; 3]>,
    /// What is wrong.
    pub faults: Vec<FaultLine>,
}

/// Digits in groups of four, as they are read out.
fn grouped(digits: &str) -> String {
    let chars: Vec<char> = digits.chars().collect();
    let groups: Vec<String> = chars.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join(" ")
}

fn with_faults(mut field: Input, faults: &[FaultLine]) -> Input {
    let words = faults.iter().find(|f| f.field == field.name).map(|f| f.words.clone());
    field.fault = words;
    field
}

fn new_pin(l: Lang, faults: &[FaultLine]) -> Markup {
    let new = Input::line("new", l.t("新 PIN 码", "New PIN"), "")
        .hint(l.t("4 至 12 位数字,自己定,不要告诉别人", "4 to 12 digits of your own; tell nobody"))
        .with(Control::Secret);
    let again = Input::line("again", l.t("新 PIN 码再输一遍", "New PIN once more"), "")
        .with(Control::Secret);
    html! {
        (input(l, &with_faults(new, faults)))
        (input(l, &with_faults(again, faults)))
    }
}

/// Asks who has forgotten their PIN.
#[must_use]
pub fn forgotten(shell: &Shell, view: &Forgotten) -> Markup {
    let l = shell.lang;
    let title = l.t("忘记 PIN 码", "Forgotten PIN");
    let people = view.people.iter().map(|(login, name, role)| {
        let words = if role.is_empty() { name.clone() } else { format!("{name} · {role}") };
        (login.clone(), words)
    });
    let who = Input::line("login", l.t("谁忘了 PIN 码", "Whose PIN is it"), &view.chosen).with(
        if view.people.len() > 8 {
            Control::Select(people.collect())
        } else {
            Control::Radios(people.collect())
        },
    );
    let body = html! {
        h1 { (title) }
        (faults(l, &view.faults))
        p { (l.t("打一个电话就能重新设 PIN 码:不用联网,什么都不会丢。",
            "One phone call and you set a new PIN: no network is needed and nothing is lost.")) }
        @if !view.people.is_empty() {
            form method="post" action="/forgotten" class="card narrow" novalidate {
                (input(l, &with_faults(who, &view.faults)))
                div class="buttons" {
                    button { (l.t("下一步", "Next")) }
                    a class="button second" href="/login" { (l.t("返回登录", "Back to sign in")) }
                }
            }
        }
    };
    layout::page(shell, title, !view.faults.is_empty(), &[], &body)
}

/// Shows the number and takes the code.
#[must_use]
pub fn reading(shell: &Shell, view: &Reading) -> Markup {
    let l = shell.lang;
    let title = l.t("重新设 PIN 码", "Set a new PIN");
    let code = Input::line(
        "code",
        l.t("对方念的号码(12 位)", "The code that is read to you (12 digits)"),
        &view.code,
    )
    .with(Control::Line("numeric"));
    let about = [
        (l.t("姓名", "Name").to_owned(), view.name.clone()),
        (l.t("盒子", "Box").to_owned(), format!("{} · {}", view.place, view.device)),
    ];
    let body = html! {
        h1 { (title) }
        (faults(l, &view.faults))
        div class="card narrow" {
            h2 { (l.t("第一步:打电话,念这个编号", "First: call and read this number")) }
            p { (l.t("打给乡镇便民服务中心的同事", "Call your colleagues at the township centre"))
                @if view.phone.is_empty() { (l.t("或县信息员。", " or county IT.")) }
                @else {
                    (l.t(",或县信息员 ", ", or county IT: ")) a href={ "tel:" (view.phone) } { (view.phone) } (l.t("。", "."))
                } }
            p class="aloud" { (grouped(&view.number)) }
            (summary(&about))
            p class="hint" { (l.t("编号 1 小时内有效,关掉这一页也还是它。", "The number is good for an hour; it stays the same when this page is closed.")) }
        }
        form method="post" action="/forgotten/code" class="card narrow" novalidate {
            h2 { (l.t("第二步:输入号码,定新的 PIN 码", "Then: type the code and choose a new PIN")) }
            (hidden("login", &view.login))
            (hidden("number", &view.number))
            (input(l, &with_faults(code, &view.faults)))
            (new_pin(l, &view.faults))
            div class="buttons" {
                button { (l.t("设好并登录", "Set it and sign in")) }
                a class="button second" href="/login" { (l.t("返回登录", "Back to sign in")) }
            }
        }
    };
    layout::page(shell, title, !view.faults.is_empty(), &[], &body)
}

/// The page of one's own PIN.
#[must_use]
pub fn own(shell: &Shell, view: &Own) -> Markup {
    let l = shell.lang;
    let title = l.t("修改 PIN 码", "Change PIN");
    let old = Input::line("old", l.t("现在的 PIN 码", "Present PIN"), "").with(Control::Secret);
    let body = html! {
        h1 { (title) }
        (faults(l, &view.faults))
        form method="post" action="/pin" class="card narrow" novalidate {
            (input(l, &with_faults(old, &view.faults)))
            (new_pin(l, &view.faults))
            p class="hint" { (l.t("您在别的平板上的登录会退出。", "Your sessions on other tablets end.")) }
            div class="buttons" { button { (l.t("修改", "Change")) } }
        }
    };
    layout::page(shell, title, !view.faults.is_empty(), &[], &body)
}

/// The page on which codes are read out.
#[must_use]
pub fn helping(shell: &Shell, view: &Helping) -> Markup {
    let l = shell.lang;
    let title = l.t("同事忘了 PIN 码", "A colleague forgot their PIN");
    let who = Input::line("who", l.t("谁,在哪台盒子", "Who, at which box"), &view.chosen).with(
        if view.people.len() > 8 {
            Control::Select(view.people.clone())
        } else {
            Control::Radios(view.people.clone())
        },
    );
    let number = Input::line(
        "number",
        l.t("盒子上的编号(8 位)", "The number on the box (8 digits)"),
        &view.number,
    )
    .with(Control::Line("numeric"));
    let body = html! {
        h1 { (title) }
        (faults(l, &view.faults))
        @if let Some(code) = &view.code {
            div class="card narrow" {
                h2 { (l.t("念这个号码", "Read this code out")) }
                p class="aloud" { (grouped(code)) }
                p { (view.whom) }
                p class="hint" { (l.t("只在那台盒子、对这个人、这个编号管用,1 小时内用一次。这次已记下。",
                    "It works at that box, for this person and this number alone, once within the hour. It is on record.")) }
                div class="buttons" { a class="button second" href="/helping" { (l.t("好了", "Done")) } }
            }
        } @else {
            @if view.people.is_empty() {
                p class="empty" { (l.t("现在没有您能帮的人。要有县里给的授权,对方的盒子也要连上过县平台。",
                    "There is nobody you can help now: the county must have granted it to you, and the other's box must have reached the county.")) }
            } @else {
                p class="warn" { (l.t("先听出是本人,或者打回他登记的电话,再念号码。知道号码的人能用他的名字办事。",
                    "Be sure who is calling, or call back the telephone that is registered. Whoever has the code can act in that person's name.")) }
                form method="post" action="/helping" class="card narrow" novalidate {
                    (input(l, &with_faults(who, &view.faults)))
                    (input(l, &with_faults(number, &view.faults)))
                    div class="buttons" { button { (l.t("算出号码", "Get the code")) } }
                }
            }
        }
        @if !view.helped.is_empty() {
            h2 { (l.t("在这里念过的号码", "Codes read out here")) }
            div class="scroll" { table {
                thead { tr { th { (l.t("时间", "When")) } th { (l.t("给谁", "For whom")) } th { (l.t("谁念的", "By whom")) } } }
                tbody { @for row in &view.helped { tr { @for cell in row { td { (cell) } } } } }
            } }
        }
    };
    layout::page(shell, title, !view.faults.is_empty(), &[], &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_in_fours() {
        assert_eq!(grouped("12345678"), "1234 5678");
        assert_eq!(grouped("123456789012"), "1234 5678 9012");
        assert_eq!(grouped("12345"), "1234 5");
    }
}
