//! The frame around every page.

use crate::{Lang, assets};
use maud::{DOCTYPE, Markup, html};

/// Who is signed in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    /// Role in words.
    pub role: String,
}

/// How far this box's cases have gone, for the bar on every page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncBar {
    /// Colour: `none`, `grey`, `blue`, `amber` or `red`.
    pub tone: &'static str,
    /// Words.
    pub words: String,
}

/// What the frame needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shell {
    /// Language.
    pub lang: Lang,
    /// Large letters (大字版).
    pub big: bool,
    /// Name of the point, centre or county.
    pub place: String,
    /// Who is signed in.
    pub user: Option<User>,
    /// Main sections: address, words, current.
    pub nav: Vec<(String, String, bool)>,
    /// How far the cases have gone; absent on the county's console.
    pub sync: Option<SyncBar>,
    /// Practice mode: a watermark and other colours.
    pub practice: bool,
    /// The clock may be wrong: words.
    pub clock: Option<String>,
    /// Complaint line.
    pub complaint: String,
    /// The address of this page, to come back to.
    pub here: String,
    /// Something was just done: words.
    pub done: Option<String>,
    /// Served without TLS, where nothing may be typed: the address of the real pages.
    pub open: Option<String>,
}

/// A page in its frame. `faulty` puts 要改 in front of the title.
#[must_use]
pub fn page(shell: &Shell, title: &str, faulty: bool, scripts: &[&str], body: &Markup) -> Markup {
    let lang = shell.lang;
    let prefix = if faulty { lang.t("要改:", "Error: ") } else { "" };
    let class = match (shell.big, shell.practice) {
        (true, true) => "big practice",
        (true, false) => "big",
        (false, true) => "practice",
        (false, false) => "",
    };
    html! {
        (DOCTYPE)
        html lang=(lang.tag()) class=(class) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="htmx-config" content=r#"{"history":false,"includeIndicatorCSS":false,"noSwap":[204,304,"4xx","5xx"]}"#;
                title { (prefix) (title) " · " (shell.place) }
                link rel="stylesheet" href=(assets::address("app.css"));
                link rel="icon" href="data:,";
                @for script in scripts { script src=(assets::address(script)) defer {} }
                @if shell.open.is_none() {
                    script src=(assets::address("htmx.js")) defer {}
                    script src=(assets::address("app.js")) defer {}
                }
            }
            body {
                a class="skip" href="#main" { (lang.t("跳到正文", "Skip to content")) }
                (header(shell))
                @if shell.practice {
                    p class="strip practice-strip" role="status" {
                        strong { (lang.t("练习", "Practice")) } " — "
                        (lang.t("这里的人和事都是编的,不会上传", "Everybody here is made up; nothing is sent"))
                        " " form class="inline" method="post" action="/practice/leave" {
                            button class="quiet" { (lang.t("退出练习", "Leave practice")) }
                        }
                    }
                }
                @if let Some(clock) = &shell.clock { p class="strip amber" role="status" { "⚠ " (clock) } }
                main id="main" {
                    @if let Some(done) = &shell.done { p class="done" role="status" { "✓ " (done) } }
                    (body)
                }
                (footer(shell))
            }
        }
    }
}

fn header(shell: &Shell) -> Markup {
    let lang = shell.lang;
    html! {
        header {
            div class="bar" {
                a class="place" href="/" { (shell.place) }
                @if let Some(user) = &shell.user {
                    span class="user" { (user.name) " · " (user.role) }
                    @if !shell.practice { a href="/pin" { (lang.t("改 PIN 码", "Change PIN")) } }
                    form class="inline" method="post" action="/logout" {
                        button class="quiet" { (lang.t("退出", "Sign out")) }
                    }
                }
            }
            @if let Some(sync) = &shell.sync { (sync_bar(lang, sync)) }
            @if !shell.nav.is_empty() {
                nav aria-label=(lang.t("主菜单", "Main menu")) {
                    @for (address, words, current) in &shell.nav {
                        a href=(address) aria-current=[current.then_some("page")] { (words) }
                    }
                }
            }
        }
    }
}

/// The bar that says how far the cases have gone; renews itself where scripts run.
#[must_use]
pub fn sync_bar(lang: Lang, sync: &SyncBar) -> Markup {
    html! {
        div id="sync-bar" class={ "sync " (sync.tone) } hx-get="/sync/bar" hx-trigger="every 4s" hx-swap="outerHTML" {
            a href="/sync" title=(lang.t("同步情况", "Sync")) { (sync.words) }
        }
    }
}

fn footer(shell: &Shell) -> Markup {
    let lang = shell.lang;
    let back = &shell.here;
    html! {
        footer {
            span {
                (lang.t("投诉建议", "Complaints and suggestions")) ": "
                a href={ "tel:" (shell.complaint) } { (shell.complaint) }
            }
            a href="/guides" { (lang.t("办事指南", "Guides")) }
            @if let Some(https) = &shell.open {
                a href="/ca" { (lang.t("县证书", "County certificate")) }
                a href=(https) { (lang.t("工作人员登录", "Staff: sign in")) }
                a href={ (back) "?lang=" (lang.t("en", "zh")) } lang=(lang.t("en", "zh-CN")) {
                    (lang.t("English", "中文"))
                }
            } @else {
            a href="/help" { (lang.t("帮助", "Help")) }
            a href={ "/set/big/" (if shell.big { "off" } else { "on" }) "?back=" (back) } {
                (if shell.big { lang.t("普通字", "Normal letters") } else { lang.t("大字版", "Large letters") })
            }
            a href={ "/set/lang/" (lang.t("en", "zh")) "?back=" (back) } lang=(lang.t("en", "zh-CN")) {
                (lang.t("English", "中文"))
            }
            }
        }
    }
}
