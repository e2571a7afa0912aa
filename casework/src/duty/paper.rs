//! The contents of the 交接单.

use crate::calendar::{china_time, day_in_words};
use crate::papers::{Block, Paper};
use jiff::civil::Date;

/// One of the two signatures, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Who.
    pub name: String,
    /// Claimed time, milliseconds.
    pub at_ms: i64,
    /// Nothing vouched for the clock.
    pub uncertain: bool,
    /// The point or centre where it was signed.
    pub office: String,
    /// Short name of the key that signed, hexadecimal.
    pub key: String,
    /// The entry that carries it, hexadecimal.
    pub entry: String,
}

/// What the paper says; names of residents are covered already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handed {
    /// The village or township.
    pub place: String,
    /// The giver.
    pub giver: Signature,
    /// Name of who is to take it.
    pub to: String,
    /// The receiver, once they have signed.
    pub receiver: Option<Signature>,
    /// When the giver took it back.
    pub withdrawn: Option<i64>,
    /// Open cases, a line each.
    pub cases: Vec<String>,
    /// Originals, a line each; those that the receiver did not find are among them.
    pub originals: Vec<String>,
    /// The originals that the receiver did not find.
    pub missing: Vec<String>,
    /// Promises with their days, `YYYY-MM-DD` or empty.
    pub promises: Vec<(String, String)>,
    /// The giver's note.
    pub note: String,
    /// The receiver's remark.
    pub remark: String,
}

fn when(at_ms: i64) -> String {
    let time = china_time(at_ms);
    format!("{} {:02}:{:02}", day_in_words(time.date()), time.hour(), time.minute())
}

/// A promised day in words; empty where none was named.
fn day(until: &str) -> String {
    until.parse::<Date>().map_or_else(|_| until.to_owned(), day_in_words)
}

fn section(blocks: &mut Vec<Block>, zh: &str, en: &str, lines: Vec<String>) {
    blocks.push(Block::Heading(format!("{zh}({} 项) {en}", lines.len())));
    blocks.push(match lines.is_empty() {
        true => Block::Text("无 None".into()),
        false => Block::List(lines),
    });
}

fn words(blocks: &mut Vec<Block>, heading: &str, text: &str) {
    blocks.push(Block::Heading(heading.to_owned()));
    blocks.push(Block::Text(if text.is_empty() { "无 None".into() } else { text.to_owned() }));
}

fn signed(who: &Signature) -> Block {
    let doubt = if who.uncertain { "(时间待核 time not confirmed)" } else { "" };
    let rows = [
        ("姓名 Name", who.name.clone()),
        ("时间 Time", format!("{}{doubt}", when(who.at_ms))),
        ("地点 Place", who.office.clone()),
        ("本人密钥 Key", who.key.clone()),
        ("记录 Record", who.entry.clone()),
    ];
    Block::Rows(rows.map(|(label, value)| (label.to_owned(), value)).into())
}

/// 《代办服务点交接单》, in Chinese and English: the list, both names and times, and what stands behind
/// each signature. The same contents give the same paper at any time.
#[must_use]
pub fn handover(handed: &Handed) -> Paper {
    let h = handed;
    let state = match (&h.receiver, &h.withdrawn) {
        (Some(_), _) if h.missing.is_empty() => "双方已签名 Both have signed".to_owned(),
        (Some(_), _) => {
            let n = h.missing.len();
            format!("双方已签名,原件缺 {n} 件 Both have signed; originals missing: {n}")
        }
        (None, Some(at)) => format!("移交人已于{}撤回 Taken back", when(*at)),
        (None, None) => {
            "等待接收人签收,签收前仍由移交人负责 Not yet taken over: the giver is still responsible"
                .to_owned()
        }
    };
    let rows = [
        ("移交人 From", h.giver.name.as_str()),
        ("接收人 To", &h.to),
        ("状态 State", &state),
        ("文书 Paper", "Hand-over of duty at a village service point"),
    ];
    let rows = rows.map(|(label, value)| (label.to_owned(), value.to_owned()));
    let mut blocks = vec![Block::Rows(rows.into())];
    section(&mut blocks, "一、在办件", "Open cases", h.cases.clone());
    section(&mut blocks, "二、留存原件", "Originals in the drawer", h.originals.clone());
    let promises = h.promises.iter().map(|(what, until)| match until.is_empty() {
        true => what.clone(),
        false => format!("{what}({}前)", day(until)),
    });
    section(&mut blocks, "三、承诺事项", "Promises to residents", promises.collect());
    words(&mut blocks, "四、移交人说明 Giver's note", &h.note);
    words(&mut blocks, "五、接收人备注 Receiver's remark", &h.remark);
    if !h.missing.is_empty() {
        section(&mut blocks, "清点时不在的原件", "Originals not found", h.missing.clone());
    }
    blocks.push(Block::Heading("移交人签名 Signed by the giver".into()));
    blocks.push(signed(&h.giver));
    blocks.push(Block::Heading("接收人签名 Signed by the receiver".into()));
    blocks.push(match &h.receiver {
        Some(receiver) => signed(receiver),
        None => Block::Text("尚未签收。 Not signed yet.".into()),
    });
    Paper {
        title: "代办服务点交接单".into(),
        issuer: h.place.clone(),
        number: String::new(),
        code: None,
        blocks,
        foot: vec![
            "居民姓名已遮盖。交接只记录由谁负责,不改变任何人的办理权限。".into(),
            "签名可按记录号向县里核对。 The signatures can be checked at the county by record."
                .into(),
        ],
        watermark: None,
    }
}
