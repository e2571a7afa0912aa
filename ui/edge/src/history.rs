//! The history of contacts: kept in the store by the link's diary, told on pages, as a table that
//! leaves, and in status.

use crate::looks::csv;
use crate::standing::words::address;
use cunkou_casework::calendar::china_time;
use cunkou_engine::PeerInfo;
use cunkou_link::{Diary, Ending, Trouble, Way};
use cunkou_replica::Replica;
use cunkou_store::{ContactRow, How, StoreError, Txn};
use cunkou_ui::Lang;
use cunkou_ui::page::boxes::Table;
use serde_json::{Value, json};
use std::sync::Arc;
use tracing::warn;

/// So many contacts are shown on a page.
pub const SHOWN: u32 = 20;
/// So many are told by status.
pub const TOLD: u32 = 50;
/// So many leave in a table.
pub const EXPORTED: u32 = cunkou_store::CONTACTS_KEPT;

/// Keeps the history in a replica's store.
#[derive(Debug)]
pub struct Keeper(Arc<Replica>);

fn number(way: Way) -> u8 {
    match way {
        Way::Quic => 1,
        Way::Web => 2,
    }
}

impl Keeper {
    /// Begins: of conversations before this one nobody will say how they ended.
    #[must_use]
    pub fn new(replica: Arc<Replica>) -> Self {
        let keeper = Self(replica);
        keeper.write(|tx| tx.contacts_untold());
        keeper
    }

    fn write<T>(&self, work: impl FnOnce(&Txn<'_>) -> Result<T, StoreError>) -> Option<T> {
        let done = self.0.store().write(work);
        done.inspect_err(|error| warn!(%error, "a contact cannot be written down")).ok()
    }
}

impl Diary for Keeper {
    fn began(&self, peer: &PeerInfo, way: Way) -> Option<i64> {
        self.write(|tx| tx.contact_over(&peer.device, number(way))).flatten()
    }

    fn carried(&self, contact: i64, sent: u64, received: u64) {
        self.write(|tx| tx.contact_carried(contact, sent, received));
    }

    fn over(&self, contact: i64, ending: Ending) {
        let now_ms = self.0.now_ms();
        self.write(|tx| tx.contact_ended(contact, now_ms, ending.number()));
    }

    fn unreached(&self, relay: &str, why: Trouble, before: Option<(i64, u64)>) -> Option<i64> {
        let now_ms = self.0.now_ms();
        self.write(|tx| match before {
            Some((row, times)) => tx.more_unreached(row, now_ms, times).map(|()| row),
            None => tx.begin_unreached(relay, why.number(), now_ms),
        })
    }
}

/// Over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// A link, of a kind that nobody wrote down.
    Link,
    /// QUIC.
    Quic,
    /// HTTPS.
    Https,
    /// A bundle on a stick that came.
    StickIn,
    /// One that left.
    StickOut,
    /// A bundle through folders, that came.
    FerryIn,
    /// One that left.
    FerryOut,
    /// A box nearby.
    Neighbour,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It still lasts.
    Lasts,
    /// A bundle arrived: it came in whole, or was confirmed.
    Arrived,
    /// A bundle left and was not confirmed yet.
    OnItsWay,
    /// As the link said.
    Said(Ending),
    /// Nobody was reached.
    Vain(Trouble),
    /// Nobody said: the power was cut.
    Untold,
}

/// One line of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// From, milliseconds.
    pub from_ms: i64,
    /// To, milliseconds; absent while it lasts, and when nobody said.
    pub to_ms: Option<i64>,
    /// With whom: a device's name, or a relay as it is configured.
    pub with: String,
    /// Over what.
    pub over: Over,
    /// Entries that came and went.
    pub entries: (u64, u64),
    /// Bytes that came and went, where they were counted.
    pub bytes: Option<(u64, u64)>,
    /// When everything was last exchanged in it, milliseconds.
    pub completed_ms: Option<i64>,
    /// How it ended.
    pub end: End,
    /// So many attempts; 1 for a conversation.
    pub times: u64,
}

fn line(row: ContactRow) -> Line {
    let lasts = row.over_ms.is_none() && row.ending == 0 && row.how == How::Link;
    let over = match (row.how, row.way) {
        (How::Stick, _) => Over::StickIn,
        (How::Ferry, _) => Over::FerryIn,
        (How::Neighbour, _) => Over::Neighbour,
        (How::Link, 1) => Over::Quic,
        (How::Link, 2) => Over::Https,
        (How::Link, _) => Over::Link,
    };
    let by_hand = matches!(over, Over::StickIn | Over::FerryIn);
    let end = match (row.over_ms, Ending::of(row.ending)) {
        (Some(_), Some(ending)) => End::Said(ending),
        _ if by_hand && row.completed_ms.is_some() => End::Arrived,
        (None, _) if lasts => End::Lasts,
        _ => End::Untold,
    };
    Line {
        from_ms: row.began_ms,
        to_ms: row.over_ms.or(row.completed_ms.filter(|_| end != End::Lasts)),
        with: row.peer,
        over,
        entries: (row.entries_in, row.entries_out),
        bytes: (row.way != 0).then_some((row.received, row.sent)),
        // A bundle brings one direction only: that is no sync of both.
        completed_ms: row.completed_ms.filter(|_| !by_hand),
        end,
        times: 1,
    }
}

/// The history of a replica, the latest first.
///
/// # Errors
/// When the store fails.
pub fn of(replica: &Replica, limit: u32) -> Result<Vec<Line>, StoreError> {
    let (contacts, vain, out) = replica.store().read(|view| -> Result<_, StoreError> {
        let mut out = Vec::new();
        for peer in view.peers()? {
            let bundles = view.bundles_out(&peer.device, limit)?;
            out.extend(bundles.into_iter().map(|bundle| (peer.name.clone(), bundle)));
        }
        Ok((view.contacts(limit)?, view.unreached(limit)?, out))
    })?;
    let mut lines: Vec<Line> = contacts.into_iter().map(line).collect();
    lines.extend(vain.into_iter().map(|row| Line {
        from_ms: row.began_ms,
        to_ms: Some(row.last_ms),
        with: address(&row.relay).to_owned(),
        over: Over::Link,
        entries: (0, 0),
        bytes: None,
        completed_ms: None,
        end: End::Vain(Trouble::of(row.why).unwrap_or(Trouble::Broken)),
        times: row.times,
    }));
    lines.extend(out.into_iter().map(|(with, bundle)| Line {
        from_ms: bundle.made_ms,
        to_ms: bundle.acked_ms,
        with,
        over: if bundle.how == How::Ferry { Over::FerryOut } else { Over::StickOut },
        entries: (0, bundle.entries),
        bytes: Some((0, bundle.bytes)),
        completed_ms: None,
        end: if bundle.acked_ms.is_some() { End::Arrived } else { End::OnItsWay },
        times: 1,
    }));
    Ok(latest(lines, limit))
}

/// The history with one device, as a relay keeps it.
///
/// # Errors
/// When the store fails.
pub fn with(replica: &Replica, device: &[u8; 16], limit: u32) -> Result<Vec<Line>, StoreError> {
    let rows = replica.store().read(|view| view.contacts_with(device, limit))?;
    Ok(rows.into_iter().map(line).collect())
}

/// Lines of several stores as one history.
#[must_use]
pub fn latest(mut lines: Vec<Line>, limit: u32) -> Vec<Line> {
    lines.sort_by_key(|line| std::cmp::Reverse(line.from_ms));
    lines.truncate(limit as usize);
    lines
}

fn moment(ms: i64) -> String {
    let t = china_time(ms);
    format!("{} {:02}:{:02}", t.date(), t.hour(), t.minute())
}

/// For how long, in words; short ones in seconds.
fn how_long(l: Lang, line: &Line) -> String {
    let Some(ms) = line.to_ms.map(|to| to.saturating_sub(line.from_ms)) else {
        return "—".to_owned();
    };
    match (l, ms) {
        (Lang::Zh, 0..60_000) => format!("{}秒", (ms / 1000).max(1)),
        (Lang::En, 0..60_000) => format!("{} s", (ms / 1000).max(1)),
        _ => l.span(ms),
    }
}

fn over(l: Lang, over: Over) -> &'static str {
    match over {
        Over::Link => l.t("网络", "network"),
        Over::Quic => "QUIC",
        Over::Https => "HTTPS",
        Over::StickIn => l.t("U 盘带回", "stick, brought in"),
        Over::StickOut => l.t("U 盘带走", "stick, taken away"),
        Over::FerryIn => l.t("网闸摆渡收到", "ferry, in"),
        Over::FerryOut => l.t("网闸摆渡送出", "ferry, out"),
        Over::Neighbour => l.t("邻近盒子", "box nearby"),
    }
}

fn short(l: Lang, why: Trouble) -> &'static str {
    match why {
        Trouble::Unreachable => l.t("没有应答", "no answer"),
        Trouble::Refused => l.t("不接收", "refused"),
        Trouble::Busy => l.t("对方忙", "busy"),
        Trouble::RunOut => l.t("证书到期", "certificate run out"),
        Trouble::OtherCounty => l.t("证书不是一个县的", "another county"),
        Trouble::Broken => l.t("连接中断", "connection broke off"),
        Trouble::Violation => l.t("数据不合规矩", "broke the protocol"),
        Trouble::Store => l.t("本机存不上", "own disk"),
        Trouble::Setup => l.t("设置不能用", "own settings"),
        Trouble::Double => l.t("另一台相同的盒子在联系", "another box with this identity"),
    }
}

fn ended(l: Lang, line: &Line) -> String {
    let words = match line.end {
        End::Lasts => l.t("还连着", "still connected"),
        End::Arrived => l.t("已送到", "arrived"),
        End::OnItsWay => l.t("等对方确认", "not confirmed yet"),
        End::Said(Ending::Here) => l.t("本机结束", "ended here"),
        End::Said(Ending::Better) => l.t("换到更好的线路", "went over to a better link"),
        End::Said(Ending::Heard) => l.t("最后的话已送到", "last word heard"),
        End::Said(Ending::Trouble(why)) => short(l, why),
        End::Vain(why) => {
            let (words, n) = (short(l, why), line.times);
            return match l {
                Lang::Zh => format!("没连上:{words},试了 {n} 次"),
                Lang::En => format!("not reached: {words}, {n} attempts"),
            };
        }
        End::Untold => l.t("没有记下(断电或重启)", "not written down (power cut or restart)"),
    };
    words.to_owned()
}

fn amount(l: Lang, entries: u64, bytes: Option<u64>) -> String {
    let count = match l {
        Lang::Zh => format!("{entries} 条"),
        Lang::En => format!("{entries} entries"),
    };
    bytes.map_or(count.clone(), |bytes| format!("{count} · {}", l.size(bytes)))
}

/// The history as a table of a page.
#[must_use]
pub fn table(l: Lang, lines: &[Line]) -> Table {
    let rows = lines.iter().map(|line| {
        let vain = matches!(line.end, End::Vain(_));
        let amount = |entries, bytes: Option<u64>| match vain {
            true => "—".to_owned(),
            false => amount(l, entries, bytes),
        };
        let done = match (
            line.completed_ms,
            vain || matches!(
                line.over,
                Over::StickIn | Over::StickOut | Over::FerryIn | Over::FerryOut
            ),
        ) {
            (Some(ms), _) => moment(ms),
            (None, true) => "—".to_owned(),
            (None, false) => l.t("没送完", "not completed").to_owned(),
        };
        let cells = vec![
            moment(line.from_ms),
            how_long(l, line),
            line.with.clone(),
            over(l, line.over).to_owned(),
            amount(line.entries.0, line.bytes.map(|b| b.0)),
            amount(line.entries.1, line.bytes.map(|b| b.1)),
            done,
            ended(l, line),
        ];
        (cells, "")
    });
    let heads = [
        l.t("开始", "From"),
        l.t("多久", "How long"),
        l.t("和谁", "With"),
        l.t("怎么传", "Over"),
        l.t("收到", "In"),
        l.t("送出", "Out"),
        l.t("两边都送完", "Completed"),
        l.t("怎样结束", "Ended"),
    ];
    Table {
        title: l.t("联系记录", "History of contacts").to_owned(),
        heads: heads.into_iter().map(str::to_owned).collect(),
        rows: rows.collect(),
        empty: l.t("还没有和县平台联系过。", "No contact with the county yet.").to_owned(),
        hint: String::new(),
    }
}

/// The history as a table that leaves: a spreadsheet opens it as it is.
#[must_use]
pub fn exported(l: Lang, lines: &[Line]) -> String {
    let heads = [
        l.t("开始", "From"),
        l.t("结束", "To"),
        l.t("秒", "Seconds"),
        l.t("和谁", "With"),
        l.t("怎么传", "Over"),
        l.t("收到(条)", "Entries in"),
        l.t("送出(条)", "Entries out"),
        l.t("收到(字节)", "Bytes in"),
        l.t("送出(字节)", "Bytes out"),
        l.t("两边都送完", "Completed"),
        l.t("怎样结束", "Ended"),
        l.t("次数", "Times"),
    ];
    let number = |n: Option<u64>| n.map_or_else(String::new, |n| n.to_string());
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let seconds = line.to_ms.map(|to| to.saturating_sub(line.from_ms) / 1000);
            vec![
                moment(line.from_ms),
                line.to_ms.map_or_else(String::new, moment),
                number(seconds.map(|s| s.max(0).unsigned_abs())),
                line.with.clone(),
                over(l, line.over).to_owned(),
                line.entries.0.to_string(),
                line.entries.1.to_string(),
                number(line.bytes.map(|b| b.0)),
                number(line.bytes.map(|b| b.1)),
                line.completed_ms.map_or_else(String::new, moment),
                ended(l, line),
                line.times.to_string(),
            ]
        })
        .collect();
    csv(&heads, &rows)
}

/// The history for `status --json`.
#[must_use]
pub fn value(lines: &[Line]) -> Value {
    let of = |line: &Line| {
        let over = match line.over {
            Over::Link => "link",
            Over::Quic => "quic",
            Over::Https => "https",
            Over::StickIn => "stick-in",
            Over::StickOut => "stick-out",
            Over::FerryIn => "ferry-in",
            Over::FerryOut => "ferry-out",
            Over::Neighbour => "neighbour",
        };
        let ended = match line.end {
            End::Lasts => "lasts",
            End::Arrived => "arrived",
            End::OnItsWay => "on-its-way",
            End::Said(ending) => ending.word(),
            End::Vain(why) => why.word(),
            End::Untold => "untold",
        };
        json!({
            "from_ms": line.from_ms, "to_ms": line.to_ms, "with": line.with, "over": over,
            "reached": !matches!(line.end, End::Vain(_)),
            "entries_in": line.entries.0, "entries_out": line.entries.1,
            "bytes_in": line.bytes.map(|b| b.0), "bytes_out": line.bytes.map(|b| b.1),
            "completed_ms": line.completed_ms, "ended": ended, "times": line.times,
        })
    };
    lines.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(how: How, way: u8, completed: bool, over: Option<u8>) -> ContactRow {
        ContactRow {
            id: 1,
            device: [1; 16],
            peer: "=县平台".into(),
            began_ms: 0,
            completed_ms: completed.then_some(5_000),
            over_ms: over.map(|_| 90_000),
            ending: over.unwrap_or(0),
            entries_in: 3,
            entries_out: 4,
            received: 2048,
            sent: 1024,
            how,
            way,
        }
    }

    #[test]
    fn a_line_says_how_it_ended_and_never_that_a_bundle_completed_both_ways() {
        let broken = Ending::Trouble(Trouble::Broken);
        let untold = ContactRow { ending: 255, ..row(How::Link, 1, false, None) };
        let table = [
            (row(How::Link, 1, true, Some(broken.number())), End::Said(broken), true),
            (row(How::Link, 1, true, None), End::Lasts, true),
            (untold, End::Untold, false),
            (row(How::Link, 0, false, Some(200)), End::Untold, false),
            (row(How::Stick, 0, true, None), End::Arrived, false),
        ];
        for (row, end, completed) in table {
            let line = line(row);
            assert_eq!((line.end, line.completed_ms.is_some()), (end, completed));
        }
        let lasting = line(row(How::Link, 2, true, None));
        assert_eq!((lasting.to_ms, lasting.over), (None, Over::Https));
        assert_eq!(how_long(Lang::Zh, &lasting), "—");
        let over = line(row(How::Link, 1, true, Some(1)));
        assert_eq!((how_long(Lang::Zh, &over), over.bytes), ("1分钟".into(), Some((2048, 1024))));
    }

    #[test]
    fn the_table_that_leaves_has_numbers_as_numbers_and_runs_no_name() {
        let lines = [line(row(How::Link, 1, true, Some(1)))];
        let text = exported(Lang::En, &lines);
        let last = text.lines().last().expect("a line");
        assert_eq!(
            last,
            "\"1970-01-01 08:00\",\"1970-01-01 08:01\",\"90\",\"'=县平台\",\"QUIC\",\"3\",\"4\",\
             \"2048\",\"1024\",\"1970-01-01 08:00\",\"ended here\",\"1\""
        );
        let shown = table(Lang::Zh, &lines);
        assert_eq!(shown.rows[0].0.len(), shown.heads.len());
        assert_eq!(value(&lines)[0]["ended"], "ended-here");
    }
}
