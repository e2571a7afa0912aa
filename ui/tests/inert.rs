//! What people type is shown as they typed it and is never a part of the page.
#![allow(missing_docs)]

use cunkou_ui::layout::{SyncBar, User};
use cunkou_ui::page::{boxes, cases, error, login, residents, sync};
use cunkou_ui::{Shell, layout};

const HOSTILE: [&str; 9] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "\" autofocus onfocus=\"alert(1)",
    "</title><svg onload=alert(1)>",
    "</textarea></option><iframe>",
    "<!--",
    "&lt;b&gt;&#60;b&#62;",
    "]]><?xml \u{202e}\u{0}",
];

/// Pages of each sort with the same words everywhere that words may stand.
fn pages(words: &str) -> Vec<String> {
    let w = || words.to_owned();
    let shell = Shell {
        place: w(),
        user: Some(User { name: w(), role: w() }),
        sync: Some(SyncBar { tone: "grey", words: w() }),
        clock: Some(w()),
        complaint: w(),
        done: Some(w()),
        ..Shell::default()
    };
    let line = cases::Line {
        href: "/cases/1".into(),
        number: w(),
        applicant: w(),
        item: w(),
        village: w(),
        phase: w(),
        task: w(),
        left: w(),
        tone: "red",
        ladder: None,
        marks: vec![w(), w()],
    };
    let list = cases::Cases {
        title: w(),
        lines: vec![line.clone(), cases::Line { task: String::new(), ..line.clone() }],
        total: 2,
        size: 50,
        text: w(),
        filters: vec![("/cases".into(), w(), 1, true)],
        base: "/cases".into(),
        empty: w(),
        ..cases::Cases::default()
    };
    let problem = error::Problem {
        title: w(),
        words: vec![w(), w()],
        next: Some(("/".into(), w())),
        number: w(),
    };
    let table = boxes::Table {
        title: w(),
        heads: vec![w()],
        rows: vec![(vec![w(), w()], "red")],
        empty: w(),
        hint: w(),
    };
    let door = login::Login {
        people: vec![("p".into(), w(), w())],
        fault: Some(w()),
        lease: Some(w()),
        carried: vec![("field".into(), w())],
        ..login::Login::default()
    };
    let find = residents::Find {
        text: w(),
        people: vec![residents::Person {
            href: "/residents/1".into(),
            name: w(),
            about: w(),
            masked_id: w(),
            by: w(),
            conflict: true,
        }],
        searched: true,
        total: 1,
        size: 50,
        ..residents::Find::default()
    };
    let now = sync::Now {
        words: (w(), "grey"),
        pace: Some(w()),
        needs: vec![sync::Need {
            words: w(),
            who: w(),
            way: Some(("/cases".into(), w())),
            tone: "warn",
        }],
        failed: Some(sync::Failed { what: w(), next: w(), tried: w(), said: w() }),
        rows: vec![(w(), w())],
        here: w(),
        since: Some(w()),
        cases: vec![line],
        more: 2,
        at: w(),
    };
    let contacts = table.clone();
    let synced = sync::Sync {
        now,
        contacts,
        traffic: vec![[w(), w(), w(), w()]],
        carry: Some("/sync/carry".into()),
        offer_lock: true,
    };
    vec![
        sync::page(&shell, &synced).into_string(),
        cases::page(&shell, &list).into_string(),
        error::page(&shell, &problem).into_string(),
        boxes::page(&shell, words, &[table]).into_string(),
        login::page(&shell, &door).into_string(),
        residents::find(&shell, &find).into_string(),
        layout::page(&shell, words, true, &[], &maud::html! { p { (words) } }).into_string(),
    ]
}

/// What a browser builds a page from.
fn skeleton(page: &str) -> String {
    page.chars().filter(|c| "<>\"".contains(*c)).collect()
}

#[test]
fn threat_11_hostile_words_are_shown_and_never_run() {
    let harmless: Vec<String> = pages("words").iter().map(|page| skeleton(page)).collect();
    for words in HOSTILE {
        for (page, expected) in pages(words).iter().zip(&harmless) {
            assert_eq!(&skeleton(page), expected, "{words} changes the page");
        }
    }
}

#[test]
fn the_control_shows_what_is_not_escaped() {
    let bare = format!("<p title=\"{}\">", HOSTILE[1]);
    assert_ne!(skeleton(&bare), skeleton("<p title=\"words\">"));
}
