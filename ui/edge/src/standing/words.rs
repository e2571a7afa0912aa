//! The words in which it is told how far what is here has come. Pure.

use super::needs::{Need, UNSENT_LONG_MS, UNSENT_MS, Whose};
use super::{Left, Link, Standing};
use crate::lists::when;
use cunkou_casework::calendar::china_time;
use cunkou_link::{LinkState, Pace, Trouble, Way};
use cunkou_replica::{OnlyHere, Room};
use cunkou_ui::Lang;
use std::time::Duration;

/// `11月22日 08:12`.
#[must_use]
pub fn day_and_time(l: Lang, ms: i64) -> String {
    let t = china_time(ms);
    let clock = format!("{:02}:{:02}", t.hour(), t.minute());
    match l {
        Lang::Zh => format!("{}月{}日 {clock}", t.month(), t.day()),
        Lang::En => format!("{:04}-{:02}-{:02} {clock}", t.year(), t.month(), t.day()),
    }
}

/// `每秒 12 KB`.
#[must_use]
pub fn speed(l: Lang, each: u64) -> String {
    match l {
        Lang::Zh => format!("每秒 {}", l.size(each)),
        Lang::En => format!("{} a second", l.size(each)),
    }
}

/// How long it will take, in words that promise no more than a minute.
#[must_use]
pub fn remaining(l: Lang, left: Duration) -> String {
    let minutes = left.as_secs().div_ceil(60);
    match (l, minutes) {
        (Lang::Zh, 0 | 1) => "不到 1 分钟".to_owned(),
        (Lang::En, 0 | 1) => "less than a minute".to_owned(),
        (Lang::Zh, 2..=89) => format!("大约 {minutes} 分钟"),
        (Lang::En, 2..=89) => format!("about {minutes} min"),
        (Lang::Zh, _) => format!("大约 {} 小时", minutes.div_ceil(60)),
        (Lang::En, _) => format!("about {} h", minutes.div_ceil(60)),
    }
}

/// Parts of a sentence with the comma of the language.
fn joined(l: Lang, parts: Vec<String>) -> String {
    parts.join(l.t(",", ", "))
}

/// What is only here, counted: `2 件、1 条别的记录(12 KB),照片 3 张(1.2 MB)`.
#[must_use]
pub fn only_here(l: Lang, here: &OnlyHere) -> String {
    if here.is_empty() {
        return l.t("没有,都已送到县里", "nothing; all of it is with the county").to_owned();
    }
    let (cases, others) = (here.cases.len(), here.others);
    let mut parts = Vec::new();
    if cases > 0 {
        parts.push(match l {
            Lang::Zh => format!("{cases} 件"),
            Lang::En => format!("{cases} {}", if cases == 1 { "case" } else { "cases" }),
        });
    }
    if others > 0 {
        parts.push(match l {
            Lang::Zh => format!("别的资料 {others} 份"),
            Lang::En => format!("{others} other"),
        });
    }
    if here.unsent.entries > 0 {
        let (n, size) = (here.unsent.entries, l.size(here.unsent.bytes));
        parts.push(match l {
            Lang::Zh => format!("共 {n} 条记录 {size}"),
            Lang::En => format!("{n} entries, {size}"),
        });
    }
    if here.photos > 0 || here.photo_bytes > 0 {
        parts.push(photos(l, here.photos, here.photo_bytes));
    }
    joined(l, parts)
}

/// `照片 3 张(1.2 MB)`.
fn photos(l: Lang, count: u64, bytes: u64) -> String {
    let size = if bytes == 0 { String::new() } else { format!("({})", l.size(bytes)) };
    match l {
        Lang::Zh => format!("照片 {count} 张{size}"),
        Lang::En => format!("{count} {} {size}", if count == 1 { "photo" } else { "photos" }),
    }
}

/// Since when the oldest of it waits: `从 11月22日 08:12 起,等了 40分钟`.
#[must_use]
pub fn since(l: Lang, at_ms: i64, now_ms: i64) -> String {
    let (at, span) = (day_and_time(l, at_ms), l.span(now_ms.saturating_sub(at_ms)));
    match l {
        Lang::Zh => format!("从 {at} 起,等了 {span}"),
        Lang::En => format!("since {at}, {span} ago"),
    }
}

/// The address of a relay as people know it: without how else it may be reached.
#[must_use]
pub fn address(relay: &str) -> &str {
    relay.split('+').next().unwrap_or(relay)
}

/// Whether the link is up and with whom, in one line.
#[must_use]
pub fn state(l: Lang, link: &Link) -> String {
    let over = |way: Way| match way {
        Way::Quic => "QUIC",
        Way::Web => "HTTPS",
    };
    match (&link.state, &link.contact) {
        (LinkState::Online(_), Some(contact)) => {
            let (relay, over) = (address(&contact.relay), over(contact.way));
            match l {
                Lang::Zh => format!("已连上 {relay}({over})"),
                Lang::En => format!("connected to {relay} ({over})"),
            }
        }
        (LinkState::Online(_), None) => l.t("已连上", "connected").to_owned(),
        (LinkState::Connecting, _) => l.t("正在连接", "connecting").to_owned(),
        (LinkState::Busy { again }, _) => format!(
            "{} {}",
            l.t("县平台正忙,会自动再试,大约", "the county is busy; tried again by itself in about"),
            l.span(i64::try_from(again.as_millis()).unwrap_or(i64::MAX))
        ),
        (LinkState::Offline { .. }, _) => {
            l.t("没连上,会自动再试", "not connected; tried again by itself").to_owned()
        }
    }
}

/// One direction of what is left; nothing when there is nothing.
fn direction(l: Lang, verb: &str, entries: u64, count: u64, bytes: u64) -> Option<String> {
    let mut parts = Vec::new();
    if entries > 0 {
        parts.push(match l {
            Lang::Zh => format!("{entries} 条记录"),
            Lang::En => format!("{entries} entries"),
        });
    }
    if count > 0 || bytes > 0 {
        parts.push(photos(l, count, bytes));
    }
    (!parts.is_empty()).then(|| format!("{verb} {}", parts.join(l.t("、", " and "))))
}

/// What is still to be done: `要送 12 条记录、照片 3 张(1.2 MB),要收 4 条记录`.
#[must_use]
pub fn left(l: Lang, left: &Left) -> Option<String> {
    let out = direction(
        l,
        l.t("要送", "to send:"),
        left.entries_out,
        left.photos_out,
        left.photo_bytes_out,
    );
    let into = direction(
        l,
        l.t("要收", "to receive:"),
        left.entries_in,
        left.photos_in,
        left.photo_bytes_in,
    );
    let parts: Vec<String> = out.into_iter().chain(into).collect();
    (!parts.is_empty()).then(|| parts.join(l.t(";", "; ")))
}

/// How quickly it goes, and for how long; nothing without a measurement.
#[must_use]
pub fn pace(l: Lang, pace: &Pace, left: Option<Duration>) -> String {
    let (out, into) = (speed(l, pace.sent), speed(l, pace.received));
    let mut words = match l {
        Lang::Zh => format!("送出{out},收到{into}"),
        Lang::En => format!("out {out}, in {into}"),
    };
    if let Some(left) = left {
        words.push_str(l.t(",还要", ", still "));
        words.push_str(&remaining(l, left));
    }
    words
}

/// The sentence at the top: what goes on, and how far it is.
#[must_use]
pub fn now(l: Lang, standing: &Standing) -> (String, &'static str) {
    let left_words = left(l, &standing.left());
    let online = standing.link.as_ref().is_some_and(Link::online);
    match (online, left_words) {
        (true, Some(words)) => (format!("{}{words}", l.t("正在传:", "Under way — ")), "blue"),
        (true, None) => (
            l.t("都齐了:没有要送的,也没有要收的", "Complete: nothing to send, nothing to receive")
                .to_owned(),
            "done",
        ),
        (false, Some(words)) => {
            let begin =
                l.t("已存本机,连上后自动传:", "Saved here; goes by itself once connected — ");
            (format!("{begin}{words}"), "grey")
        }
        (false, None) => (
            l.t(
                "没有要送的;连上后自动收县里的消息",
                "Nothing to send; the county's news comes by itself once connected",
            )
            .to_owned(),
            "grey",
        ),
    }
}

/// Why two machines do not talk: what happened, and what to do about it.
#[must_use]
pub fn trouble(l: Lang, why: Trouble, words: &str) -> (String, String) {
    let wait = l.t(
        "不用管,会自动再试;收件不受影响。",
        "Nothing to do: it is tried again by itself, and work goes on.",
    );
    let call = l.t("请打电话给县信息员;收件不受影响。", "Call county IT; work goes on meanwhile.");
    let (what, next): (&str, &str) = match why {
        Trouble::Unreachable => (
            l.t(
                "县平台没有应答:网络不通,或县平台正停着。",
                "The county does not answer: there is no network, or the relay is stopped.",
            ),
            wait,
        ),
        Trouble::Busy => (
            l.t(
                "县平台正忙,让这个盒子过一会儿再来。",
                "The county's relay is busy and asked this box to come back later.",
            ),
            wait,
        ),
        Trouble::Broken => (
            l.t("连接中断了。", "The connection broke off."),
            l.t(
                "不用管,会自动接着传,传过的不重传。",
                "Nothing to do: it goes on by itself where it stopped.",
            ),
        ),
        Trouble::RunOut => (
            l.t(
                "盒子的证书到期了,正在换新的。",
                "This box's certificate has run out and is being renewed.",
            ),
            l.t("过一天还这样,打电话给县信息员。", "If it says so for a day, call county IT."),
        ),
        Trouble::Refused => (refusal(l, words), call),
        Trouble::OtherCounty => (
            l.t(
                "县平台不接收这个盒子:两边的证书不是同一个县的。",
                "The county does not accept this box: the certificates are of two counties.",
            ),
            call,
        ),
        Trouble::Violation => (
            l.t(
                "对方传来的东西不合规矩,连接已断开。",
                "The other side sent what cannot be; the connection was closed.",
            ),
            call,
        ),
        Trouble::Store => (
            l.t(
                "盒子自己存不上,多半是磁盘的问题。",
                "This box cannot store what comes, most likely because of its disk.",
            ),
            l.t("请马上打电话给县信息员。", "Call county IT now."),
        ),
        Trouble::Double => (
            l.t(
                "另有一台机器用着这个盒子的身份,县平台只接收先连上的那台。",
                "Another machine uses this box's identity; the county takes the one that came first.",
            ),
            call,
        ),
        Trouble::Setup => (
            l.t("盒子的连接设置不能用。", "This box's settings for the link cannot be used."),
            call,
        ),
    };
    (what.to_owned(), next.to_owned())
}

/// What the relay said when it refused, as far as it is known.
fn refusal(l: Lang, words: &str) -> &'static str {
    if words.contains("suspended") {
        l.t("县平台不接收这个盒子:暂停了,因为它发的记录有许多不成立。", "The county does not accept this box: it is suspended, because much of what it sent does not count.")
    } else if words.contains("revoked") {
        l.t(
            "县平台不接收这个盒子:县里已经撤销了它。",
            "The county does not accept this box: it was revoked.",
        )
    } else if words.contains("not enrolled") {
        l.t(
            "县平台不接收这个盒子:它没有在本县登记。",
            "The county does not accept this box: it is not enrolled in this county.",
        )
    } else {
        l.t("县平台不接收这个盒子。", "The county does not accept this box.")
    }
}

/// What a disk that fills up means for the work.
#[must_use]
pub fn room(l: Lang, room: Room) -> Option<&'static str> {
    Some(match room {
        Room::Plenty => return None,
        Room::NoFetching => l.t(
            "磁盘快满了:别处的照片先不取,收件照常。请告诉县信息员",
            "The disk is nearly full: photos from elsewhere are not fetched, work goes on. Tell county IT",
        ),
        Room::NoPhotos => l.t(
            "磁盘快满了:不能存新照片,其他照常。请联系县信息员",
            "The disk is nearly full: no new photos, everything else goes on. Call county IT",
        ),
        Room::NoForms => l.t(
            "磁盘满了:暂时不能收件和保存;已存的都在,照常上传。请马上联系县信息员",
            "The disk is full: nothing new can be saved; what was saved is kept and still goes to the county. Call county IT now",
        ),
        Room::ReadOnly => l.t(
            "磁盘只能读,存不上:磁盘坏了或被锁住。请马上联系县信息员",
            "The disk can only be read: it is broken or locked. Call county IT now",
        ),
    })
}

/// Who can do something.
#[must_use]
pub fn whose(l: Lang, whose: Whose) -> &'static str {
    match whose {
        Whose::You => l.t("您来办", "Yours"),
        Whose::CountyIt => l.t("找县信息员", "County IT"),
        Whose::Security => l.t("找县安全管理员", "The county's security administrator"),
    }
}

/// What the button beside a need says.
#[must_use]
pub fn way(l: Lang, need: &Need) -> &'static str {
    match need {
        Need::Choose(..) => l.t("去选", "Choose"),
        Need::Unsent(..) => l.t("用 U 盘带走", "Carry it by hand"),
        _ => l.t("去看", "Look"),
    }
}

pub(super) fn need(l: Lang, need: &Need) -> String {
    match (l, need) {
        (_, Need::Disk(of)) => format!("{}{}", room(l, *of).unwrap_or_default(), l.t("。", ".")),
        (_, Need::Link(why, words)) => {
            let (what, next) = trouble(l, *why, words);
            format!("{what}{}{next}", l.t("", " "))
        }
        (_, Need::Unsent(cases, others, ms)) => unsent(l, *cases, *others, *ms),
        (Lang::Zh, Need::Lease(days)) => format!(
            "很久没有联系上县里了,再过 {days} 天还连不上,这台盒子就打不开了。请检查网络,或打电话给县信息员。"
        ),
        (Lang::En, Need::Lease(days)) => format!(
            "The county has not been reached for long. In {days} days without it this box stops opening. Check the network, or call county IT."
        ),
        (Lang::Zh, Need::Certificate(days)) => {
            format!("盒子的证书还有 {days} 天到期,没有换成新的。请县信息员看一下。")
        }
        (Lang::En, Need::Certificate(days)) => {
            format!("This box's certificate holds for {days} more days and was not renewed. Ask county IT to look.")
        }
        (_, Need::Alarms(_)) => l
            .t(
                "县平台的记录和本机见过的对不上。办件照常,请打电话告诉县安全管理员。",
                "The county's log does not fit what this box has seen of it. Work goes on; please call the county's security administrator.",
            )
            .to_owned(),
        (Lang::Zh, Need::Clock(ms)) => format!(
            "盒子的时间和县里差 {}。可以继续收件,回执上会注明“时间待核”;请县信息员校时。",
            l.span(ms.abs())
        ),
        (Lang::En, Need::Clock(ms)) => format!(
            "This box's clock differs from the county's by {}. Work goes on, receipts say that the time is not confirmed; ask county IT to set it.",
            l.span(ms.abs())
        ),
        (Lang::Zh, Need::Choose(_, number)) => {
            format!("{number}:同一栏有两种说法,两种都留着,请选一种。")
        }
        (Lang::En, Need::Choose(_, number)) => {
            format!("{number}: one field has two versions. Both are kept; please choose.")
        }
        (Lang::Zh, Need::Aside(_, number)) => {
            format!("{number}:有记录暂时不计入,原因在办件的经过里。弄不清就找县信息员。")
        }
        (Lang::En, Need::Aside(_, number)) => {
            format!("{number}: some entries do not count for now; the case's history says why. If it stays unclear, call county IT.")
        }
        (Lang::Zh, Need::More(n)) => format!("还有 {n} 件也是这样,没有都列出来。"),
        (Lang::En, Need::More(n)) => format!("{n} more cases are like that and not listed here."),
        (Lang::Zh, Need::Quarantined(n)) => {
            format!("有 {n} 条记录被隔离:都留着,不计入。请把这个数告诉县信息员。")
        }
        (Lang::En, Need::Quarantined(n)) => {
            format!("{n} entries are in quarantine: kept, and not counted. Tell county IT this number.")
        }
        (Lang::Zh, Need::Unequal(at)) => format!(
            "{} 核对时和县里不一样,补传后还是不一样。记录都在;请告诉县信息员。",
            when(*at)
        ),
        (Lang::En, Need::Unequal(at)) => format!(
            "On {} something differed from the county's and still differed after its repair. Nothing is lost; tell county IT.",
            when(*at)
        ),
        (Lang::Zh, Need::Rot(n, _)) => format!(
            "磁盘上有 {n} 处读出来和写进去的不一样,连上县里会自动补回。请县信息员看看磁盘。"
        ),
        (Lang::En, Need::Rot(n, _)) => format!(
            "The disk gives back {n} things other than they were written; they come back from the county. Ask county IT to look at the disk."
        ),
        (Lang::Zh, Need::PhotoBytes(n)) => format!(
            "今天的照片流量用完了,{n} 张等明天自动传,记录照常。急用的一件可以请县信息员先传。"
        ),
        (Lang::En, Need::PhotoBytes(n)) => format!(
            "Today's bytes for photos are used up: {n} wait for tomorrow, entries go on. County IT can hurry the photos of one case."
        ),
        (Lang::Zh, Need::PhotoFaults(n)) => {
            format!("有 {n} 台对方给的照片和名字对不上,没有收。请告诉县信息员。")
        }
        (Lang::En, Need::PhotoFaults(n)) => {
            format!("{n} machines gave photos that are not what their names say; they were not taken. Tell county IT.")
        }
        (Lang::Zh, Need::Older(version)) => {
            format!("县平台的程序比这台盒子新({version})。照常用;请县信息员安排更新。")
        }
        (Lang::En, Need::Older(version)) => {
            format!("The county's program is newer than this box's ({version}). Work goes on; ask county IT for the update.")
        }
        (_, Need::NoCatalogue) => l
            .t(
                "事项目录还没有从县平台收到,暂时不能新办;连上后会自动收到。一直没有就找县信息员。",
                "The catalogue has not come from the county yet, so nothing can be filed. It comes by itself once connected; if it does not, call county IT.",
            )
            .to_owned(),
    }
}

fn unsent(l: Lang, cases: u64, others: u64, ms: i64) -> String {
    let what = match (l, cases) {
        (Lang::Zh, 0) => format!("有 {others} 份资料"),
        (Lang::En, 0) => format!("{others} things"),
        (Lang::Zh, _) => format!("有 {cases} 件"),
        (Lang::En, _) => format!("{cases} {}", if cases == 1 { "case" } else { "cases" }),
    };
    let days = ms / UNSENT_MS;
    match (l, ms > UNSENT_LONG_MS) {
        (Lang::Zh, false) => format!("{what}超过 1 天没送到县里。打电话给县信息员,或用 U 盘送。"),
        (Lang::Zh, true) => {
            format!("{what}超过 {days} 天没送到县里。今天就打电话给县信息员,或用 U 盘送。")
        }
        (Lang::En, false) => {
            format!("{what} waited for more than a day. Call county IT, or carry it on a stick.")
        }
        (Lang::En, true) => format!(
            "{what} waited for more than {days} days. Call county IT today, or carry it on a stick."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cunkou_store::Unsent;

    #[test]
    fn speeds_and_times_are_in_words_that_promise_little() {
        assert_eq!(speed(Lang::Zh, 12 * 1024), "每秒 12 KB");
        assert_eq!(speed(Lang::En, 0), "0 B a second");
        let words = |s| remaining(Lang::Zh, Duration::from_secs(s));
        assert_eq!(
            [words(0), words(59), words(61), words(600), words(5400)],
            ["不到 1 分钟", "不到 1 分钟", "大约 2 分钟", "大约 10 分钟", "大约 2 小时"]
        );
    }

    #[test]
    fn what_is_only_here_is_counted_in_cases_entries_and_photos() {
        let none = OnlyHere::default();
        assert_eq!(only_here(Lang::Zh, &none), "没有,都已送到县里");
        let some = OnlyHere {
            others: 1,
            unsent: Unsent { entries: 3, bytes: 2048, oldest_ms: Some(0) },
            photos: 2,
            photo_bytes: 1_258_292,
            ..OnlyHere::default()
        };
        assert_eq!(only_here(Lang::Zh, &some), "别的资料 1 份,共 3 条记录 2 KB,照片 2 张(1.2 MB)");
        assert_eq!(only_here(Lang::En, &some), "1 other, 3 entries, 2 KB, 2 photos (1.2 MB)");
        // 1970-01-01 00:00 UTC is 8 o'clock in China.
        assert_eq!(since(Lang::Zh, 0, 40 * 60_000), "从 1月1日 08:00 起,等了 40分钟");
    }

    #[test]
    fn what_is_left_is_told_by_direction_and_not_at_all_when_nothing_is() {
        assert_eq!(left(Lang::Zh, &Left::default()), None);
        let some = Left {
            entries_out: 12,
            entries_in: 4,
            photos_out: 3,
            photo_bytes_out: 1_258_292,
            ..Left::default()
        };
        assert_eq!(
            left(Lang::Zh, &some).as_deref(),
            Some("要送 12 条记录、照片 3 张(1.2 MB);要收 4 条记录")
        );
        assert_eq!(
            left(Lang::En, &some).as_deref(),
            Some("to send: 12 entries and 3 photos (1.2 MB); to receive: 4 entries")
        );
    }

    #[test]
    fn every_trouble_has_a_sentence_and_a_next_step_in_both_languages() {
        for number in 10..=19 {
            let why = Trouble::of(number).expect("a trouble");
            for l in [Lang::Zh, Lang::En] {
                let (what, next) = trouble(l, why, "x");
                assert!(what.chars().count() > 5 && next.chars().count() > 5, "{what} {next}");
                assert!(what.ends_with(['。', '.']) && next.ends_with(['。', '.']));
            }
        }
        let said = |words| trouble(Lang::Zh, Trouble::Refused, words).0;
        assert_ne!(said("this box was revoked by the county"), said("no"));
        assert!(said("the county has suspended this box: too much").contains("暂停"));
    }
}
