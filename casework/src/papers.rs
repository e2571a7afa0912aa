//! The contents of papers (文书); how they look is the renderer's matter. Papers are in Chinese, as
//! the office's papers are, and never speak of boxes.

use crate::calendar::{china_day, day_in_words};
use crate::catalogue::Item;
use crate::event::{Deferred, Filer};
use crate::number::grouped;
use jiff::civil::Date;

/// A part of a paper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A heading.
    Heading(String),
    /// Labels and values.
    Rows(Vec<(String, String)>),
    /// Sentences.
    Text(String),
    /// A numbered list.
    List(Vec<String>),
    /// Lines to sign on: labels.
    SignHere(Vec<String>),
}

/// A paper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paper {
    /// Title, e.g. 收件回执.
    pub title: String,
    /// The issuing office.
    pub issuer: String,
    /// Case number, 12 digits. Empty for a paper that is not about one case: it has no QR code.
    pub number: String,
    /// What the QR code says: the signed receipt ([`crate::receipt`]), else the number alone.
    pub code: Option<String>,
    /// The parts in order.
    pub blocks: Vec<Block>,
    /// Small print.
    pub foot: Vec<String>,
    /// Across the page, in practice: 练习.
    pub watermark: Option<String>,
}

/// What all papers of a case share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The point or centre.
    pub issuer: &'a str,
    /// Its phone; may be empty.
    pub issuer_phone: &'a str,
    /// Case number.
    pub number: &'a str,
    /// Applicant.
    pub applicant: &'a str,
    /// Their ID number, masked.
    pub masked_id: &'a str,
    /// The item.
    pub item: &'a Item,
    /// Name of the agent.
    pub agent: &'a str,
    /// Complaint line.
    pub complaint: &'a str,
    /// Claimed time of the step the paper is about, milliseconds.
    pub at_ms: i64,
    /// The clock could not be vouched for.
    pub time_uncertain: bool,
    /// Made in practice.
    pub practice: bool,
}

fn rows(pairs: &[(&str, &str)]) -> Block {
    Block::Rows(pairs.iter().map(|(l, v)| ((*l).to_owned(), (*v).to_owned())).collect())
}

fn paper(facts: &Facts<'_>, title: &str, blocks: Vec<Block>, foot: Vec<String>) -> Paper {
    Paper {
        title: title.to_owned(),
        issuer: facts.issuer.to_owned(),
        number: facts.number.to_owned(),
        code: None,
        blocks,
        foot,
        watermark: facts.practice.then(|| "练习".to_owned()),
    }
}

fn when(facts: &Facts<'_>) -> String {
    let time = crate::calendar::china_time(facts.at_ms);
    let day = day_in_words(time.date());
    let doubt = if facts.time_uncertain { "(时间待核)" } else { "" };
    format!("{day} {:02}:{:02}{doubt}", time.hour(), time.minute())
}

fn complaint_line(facts: &Facts<'_>) -> String {
    format!("监督投诉电话:{}", facts.complaint)
}

/// A copy of a case for the resident whose it is: everything, nothing covered, with the steps.
/// `groups` are headings with labels and values, `steps` are times with words.
#[must_use]
pub fn own_copy(
    facts: &Facts<'_>,
    groups: Vec<(String, Vec<(String, String)>)>,
    materials: Vec<String>,
    steps: Vec<(String, String)>,
) -> Paper {
    let mut blocks =
        vec![rows(&[("事项", &facts.item.name), ("办理部门", &facts.item.levels.department)])];
    for (heading, rows) in groups.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        blocks.extend([Block::Heading(heading), Block::Rows(rows)]);
    }
    blocks.extend([Block::Heading("材料".into()), Block::List(materials)]);
    blocks.extend([Block::Heading("经过".into()), Block::Rows(steps)]);
    let foot = vec![
        format!("本副本应本人要求提供,{}于{}打印;这次查阅已记录。", facts.agent, when(facts)),
        complaint_line(facts),
    ];
    Paper {
        watermark: Some("居民本人查阅".to_owned()), ..paper(facts, "办件副本", blocks, foot)
    }
}

/// 收件回执: what was received and what is missing; it proves receipt, not acceptance.
#[must_use]
pub fn receipt(
    facts: &Facts<'_>,
    received: &[(String, usize)],
    deferred: &[(String, &Deferred)],
) -> Paper {
    let mut blocks = vec![
        rows(&[
            ("申请人", facts.applicant),
            ("身份证号", facts.masked_id),
            ("事项", &facts.item.name),
            ("办理部门", &facts.item.levels.department),
            ("收件时间", &when(facts)),
            ("收件人", facts.agent),
        ]),
        Block::Heading("已收到的材料".into()),
        Block::List(received.iter().map(|(name, pages)| format!("{name}({pages} 页)")).collect()),
    ];
    if !deferred.is_empty() {
        let list = deferred.iter().map(|(name, d)| {
            let until = d.until.parse::<Date>().map_or_else(|_| d.until.clone(), day_in_words);
            format!("{name}:{until}前补交")
        });
        blocks.push(Block::Heading("容缺,需按时补交的材料".into()));
        blocks.push(Block::List(list.collect()));
    }
    blocks.push(Block::Heading("查询".into()));
    let phone =
        if facts.issuer_phone.is_empty() { "见服务点公示牌" } else { facts.issuer_phone };
    blocks.push(rows(&[("查询电话", phone), ("办件编号", &grouped(facts.number))]));
    let promise = format!(
        "本回执仅证明已收到上列材料,不代表受理。部门受理后,承诺 {} 个工作日内办结。不收取任何费用。",
        facts.item.promise.n
    );
    let code = "右上角的二维码有出具单位的签名,在本县任何一个服务点都能核对真伪;码里没有个人信息。";
    paper(facts, "收件回执", blocks, vec![promise, code.into(), complaint_line(facts)])
}

/// What the paper to sign says, also read aloud: sentences.
#[must_use]
pub fn consent_sentences(
    applicant: &str,
    filer: Filer,
    actor: &str,
    item: &Item,
    agent: &str,
) -> Vec<String> {
    let who = match filer {
        Filer::Applicant => {
            format!("{applicant}本人申请办理“{}”,由代办员{agent}帮助填写。", item.name)
        }
        Filer::Family => format!("{applicant}委托{actor}办理“{}”。", item.name),
        Filer::Guardian => format!("{applicant}的监护人{actor}代为申请“{}”。", item.name),
        Filer::Agent => format!("{applicant}委托代办员{agent}办理“{}”。", item.name),
    };
    vec![
        who,
        format!("材料会交给{}审核。{}。", item.levels.department, item.fee),
        "所填内容和材料属实,由申请人负责。".into(),
        "个人信息只用于办理这件事。在作出决定前可以随时撤回。".into(),
    ]
}

/// The paper that is signed where nobody signs on a screen; a mandate when somebody acts.
#[must_use]
pub fn to_sign(facts: &Facts<'_>, filer: Filer, actor: &str, rows_: &[(String, String)]) -> Paper {
    let title = match filer {
        Filer::Applicant => "申请确认书",
        Filer::Guardian => "监护人申请确认书",
        Filer::Family | Filer::Agent => "授权委托书",
    };
    let sentences = consent_sentences(facts.applicant, filer, actor, facts.item, facts.agent);
    let mut blocks = vec![rows(&[
        ("申请人", facts.applicant),
        ("身份证号", facts.masked_id),
        ("事项", &facts.item.name),
    ])];
    if !rows_.is_empty() {
        blocks.push(Block::Rows(rows_.to_vec()));
    }
    if matches!(filer, Filer::Family | Filer::Agent) {
        let trustee = if filer == Filer::Agent { facts.agent } else { actor };
        blocks.push(rows(&[
            ("受托人", trustee),
            ("委托权限", "代为提交材料、签收文书、领取结果;不得转委托"),
            ("委托期限", "自签字之日起至本件办结送达"),
        ]));
    }
    blocks.extend(sentences.into_iter().map(Block::Text));
    blocks.push(Block::SignHere(vec![
        "申请人(或监护人)签字或按手印".into(),
        "见证人签字(按手印时)".into(),
        "日期".into(),
    ]));
    paper(facts, title, blocks, vec![complaint_line(facts)])
}

/// The decision as the village hands it over: 办结通知.
#[must_use]
pub fn notice(facts: &Facts<'_>, result: &str, opinion: &str, remedy: &str) -> Paper {
    let mut blocks = vec![
        rows(&[
            ("申请人", facts.applicant),
            ("身份证号", facts.masked_id),
            ("事项", &facts.item.name),
            ("决定部门", &facts.item.levels.department),
            ("办理结果", result),
            ("决定日期", &day_in_words(china_day(facts.at_ms))),
        ]),
        Block::Heading("意见".into()),
        Block::Text(opinion.to_owned()),
    ];
    if !remedy.is_empty() {
        blocks.push(Block::Heading("不服怎么办".into()));
        blocks.push(Block::Text(remedy.to_owned()));
    }
    blocks.push(Block::Heading("送达".into()));
    blocks.push(Block::SignHere(vec![
        "收到人签字".into(),
        "与申请人关系".into(),
        "收到日期".into(),
    ]));
    let foot = vec![
        "本通知由县级审核人员在县平台登记的决定生成,需要加盖印章的文书以部门发放的为准。"
            .to_owned(),
        complaint_line(facts),
    ];
    paper(facts, "办结通知", blocks, foot)
}
