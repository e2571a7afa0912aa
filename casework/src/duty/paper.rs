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
    /// The duty of a village point; otherwise that of a township centre.
    pub village: bool,
    /// The village or township.
    pub place: String,
    /// The giver.
    pub giver: Signature,
    /// Name of who is to take it.
    pub to: String,
    /// The receiver, once they have signed.
    pub receiver: Option<Signature>,
    /// When and why the giver took it back.
    pub withdrawn: Option<(i64, String)>,
    /// Open cases, a line each.
    pub cases: Vec<String>,
    /// Originals, a line each.
    pub originals: Vec<String>,
    /// Promises with their days, `YYYY-MM-DD` or empty.
    pub promises: Vec<(String, String)>,
    /// The giver's note.
    pub note: String,
    /// The receiver's remark.
    pub remark: String,
    /// The clock could not be vouched for.
    pub time_uncertain: bool,
}

fn when(at_ms: i64, uncertain: bool) -> String {
    let time = china_time(at_ms);
    let doubt = if uncertain { "(时间待核)" } else { "" };
    format!("{} {:02}:{:02}{doubt}", day_in_words(time.date()), time.hour(), time.minute())
}

/// A promised day in words; empty where none was named.
fn day(until: &str) -> String {
    until.parse::<Date>().map_or_else(|_| until.to_owned(), day_in_words)
}

fn section(blocks: &mut Vec<Block>, heading: String, lines: Vec<String>) {
    blocks.push(Block::Heading(heading));
    blocks.push(match lines.is_empty() {
        true => Block::Text("无".into()),
        false => Block::List(lines),
    });
}

fn signed(who: &Signature, uncertain: bool) -> Vec<(String, String)> {
    let at = when(who.at_ms, uncertain);
    vec![
        ("签名".to_owned(), format!("{},{at},在{}用本人密钥签名", who.name, who.office)),
        ("密钥".to_owned(), who.key.clone()),
        ("记录".to_owned(), who.entry.clone()),
    ]
}

/// 《代办服务点交接单》: the list, both names and times, and what stands behind each signature.
#[must_use]
pub fn handover(handed: &Handed) -> Paper {
    let h = handed;
    let state = match (&h.receiver, &h.withdrawn) {
        (Some(_), _) => "双方已签名".to_owned(),
        (None, Some((at, _))) => format!("移交人已于{}撤回", when(*at, h.time_uncertain)),
        (None, None) => "等待接收人签收".to_owned(),
    };
    let rows = [("移交人", h.giver.name.as_str()), ("接收人", &h.to), ("状态", &state)];
    let rows = rows.iter().map(|(l, v)| ((*l).to_owned(), (*v).to_owned())).collect();
    let mut blocks = vec![Block::Rows(rows)];
    section(&mut blocks, format!("一、在办件({} 件)", h.cases.len()), h.cases.clone());
    let originals = format!("二、留存原件({} 件)", h.originals.len());
    section(&mut blocks, originals, h.originals.clone());
    let promises = h.promises.iter().map(|(what, until)| match until.is_empty() {
        true => what.clone(),
        false => format!("{what}({}前)", day(until)),
    });
    let heading = format!("三、承诺事项({} 项)", h.promises.len());
    section(&mut blocks, heading, promises.collect());
    for (heading, text) in [("四、移交人说明", &h.note), ("五、接收人备注", &h.remark)] {
        blocks.push(Block::Heading(heading.into()));
        blocks.push(Block::Text(if text.is_empty() { "无".into() } else { text.clone() }));
    }
    blocks.push(Block::Heading("移交人签名".into()));
    blocks.push(Block::Rows(signed(&h.giver, h.time_uncertain)));
    blocks.push(Block::Heading("接收人签名".into()));
    blocks.push(match &h.receiver {
        Some(receiver) => Block::Rows(signed(receiver, h.time_uncertain)),
        None => Block::Text("尚未签收。".into()),
    });
    Paper {
        title: if h.village { "代办服务点交接单" } else { "便民服务中心交接单" }.into(),
        issuer: h.place.clone(),
        number: String::new(),
        blocks,
        foot: vec![
            "居民姓名已遮盖;办件状态为打印时的状态。".into(),
            "交接只记录由谁负责,不改变任何人的办理权限。签名可按记录号向县里核对。".into(),
        ],
        watermark: None,
    }
}
