//! A report in sentences.

use crate::report::{Audited, Basis, Bound, Content, Counts, Finding, Report, Step, Words};
use cunkou_casework::calendar::china_time;
use cunkou_casework::hex;
use cunkou_ui::Lang;
use std::fmt::Write;

/// The whole report, ready to be printed. What was typed by people has its control characters
/// taken out, so that a file cannot write on the terminal.
#[must_use]
pub fn sentences(report: &Report, lang: Lang) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = write_report(&mut out, report, lang);
    out.chars().filter(|c| *c == '\n' || !c.is_control()).collect()
}

fn pick(words: &Words, lang: Lang) -> &str {
    lang.t(&words.zh, &words.en)
}

fn when(ms: i64) -> String {
    let t = china_time(ms);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        t.year(),
        t.month(),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    )
}

fn write_report(out: &mut String, r: &Report, l: Lang) -> std::fmt::Result {
    let (case, county) = (&r.case, &r.county);
    writeln!(
        out,
        "{} {} · {} · {}{} · {}",
        l.t("办件", "Case"),
        case.number,
        case.applicant,
        l.t("事项 ", "item "),
        case.item,
        case.village
    )?;
    writeln!(out, "{}{}", l.t("状态:", "State: "), pick(&case.phase, l))?;
    writeln!(
        out,
        "{}{} ({} {})",
        l.t("县:", "County: "),
        county.name,
        county.statements,
        l.t("条县日志", "statements in its log")
    )?;
    writeln!(out, "{}{}", l.t("县指纹:", "County fingerprint: "), county.fingerprint)?;
    let compared = match county.compared {
        Some(true) => l.t("  与您给的相同。", "  The same as the one you gave."),
        Some(false) => l.t("  与您给的不同!", "  NOT the one you gave!"),
        None => l.t(
            "  没有核对。请与县里公布的指纹比一比(或用 --county 给出),否则只能说明文件自己前后一致。",
            "  Not compared. Hold it against the one the county has published (or give it with --county); else the file is only shown to agree with itself.",
        ),
    };
    writeln!(out, "{compared}\n\n{}", l.t("经过", "What was done"))?;
    for (i, step) in r.steps.iter().enumerate() {
        write_step(out, i + 1, step, l)?;
    }
    let content = match r.content {
        Content::Holds => l.t("每一步签的就是这些内容", "at every step what was signed"),
        Content::Differs => l.t("与签名时的不一致", "not what was signed"),
        Content::NotChecked => l.t("没能核对", "could not be checked"),
    };
    writeln!(
        out,
        "\n{}{content} ({} {})",
        l.t("内容:", "Content: "),
        r.saves,
        l.t("次保存", "saves")
    )?;
    writeln!(
        out,
        "{}{} {} / {}",
        l.t("照片和签名:", "Photos and signatures: "),
        l.t("文件里有", "in the file"),
        r.photos.here,
        r.photos.named
    )?;
    if let Some(logged) = r.logged {
        writeln!(
            out,
            "{}{} / {} ({} {})",
            l.t("县平台日志里查到:", "In the relay's log: "),
            logged.held,
            logged.of,
            l.t("检查点", "checkpoint of"),
            when(logged.time_ms)
        )?;
    }
    for audited in &r.audited {
        write_audited(out, audited, l)?;
    }
    write_findings(out, l.t("不成立的", "What does not hold"), &r.faults, r, l)?;
    write_findings(out, l.t("值得留意的", "Worth a look"), &r.hints, r, l)?;
    writeln!(
        out,
        "\n{}",
        l.t(
            "时间是北京时间,证据按县平台的时钟。文件里没有的,这里看不出来:有没有漏掉别的环节,要问县平台。",
            "Times are Beijing time; evidence is by the county's clock. What is not in the file cannot be seen here: whether a step was left out, ask the county."
        )
    )?;
    writeln!(out, "\n{}{}", l.t("结论:", "Verdict: "), pick(&r.verdict, l))
}

fn write_audited(out: &mut String, audited: &Audited, l: Lang) -> std::fmt::Result {
    let digits = hex::encode(&audited.key.0);
    let key = digits.get(..16).unwrap_or_default();
    writeln!(out, "{}{key}…", l.t("审计签名:密钥 ", "Auditor's signature: key "))?;
    if !audited.asked {
        writeln!(
            out,
            "{}",
            l.t(
                "  没有核对是谁的密钥。请用 --auditor 给出审计公布的密钥(64 位)。",
                "  Whose key it is was not compared. Give the auditor's published key (64 digits) with --auditor.",
            )
        )?;
    }
    let Some(log) = audited.signed else {
        return writeln!(
            out,
            "{}",
            l.t("  文件里没有它的签名。", "  The file carries no signature of it.")
        );
    };
    writeln!(
        out,
        "  {}{} ({} {})",
        l.t("签过的检查点:", "Signed the checkpoint of "),
        when(log.time_ms),
        log.size,
        l.t("条", "entries")
    )?;
    writeln!(
        out,
        "  {}{} / {}{}{} / {}",
        l.t("其中有本件的见证 ", "In it: witnesses of this case "),
        log.witnesses,
        log.of_witnesses,
        l.t(",环节和保存 ", ", steps and saves "),
        log.entries,
        log.of_entries
    )?;
    let words = if log.covers() {
        l.t(
            "  全部在审计签名之前就在县平台日志里,以后改不了、也补不进去。",
            "  All of it was in the relay's log before the auditor signed: nothing could be changed or slipped in since.",
        )
    } else {
        l.t(
            "  其余的在审计签名以后才进日志;等审计下次签名后再导出一次。",
            "  The rest came to the log afterwards; export the case again once the auditor has signed anew.",
        )
    };
    writeln!(out, "{words}")
}

fn write_step(out: &mut String, number: usize, s: &Step, l: Lang) -> std::fmt::Result {
    let counts = match s.counts {
        Counts::Effective => "",
        Counts::Overtaken => {
            l.t(" 〔没有生效:别人先办了〕", " [without effect: somebody was first]")
        }
        Counts::Rival => l.t(" 〔待核:互相冲突〕", " [rival]"),
        Counts::Waiting | Counts::SetAside => l.t(" 〔不计入〕", " [does not count]"),
    };
    let said = if s.said.is_empty() { String::new() } else { format!(" — {}", s.said) };
    writeln!(out, "{number:>3}. {}{counts}{said}", pick(&s.what, l))?;
    let who = s.person.as_deref().unwrap_or(l.t("没有人署名", "nobody"));
    writeln!(
        out,
        "     {}{who} ({}) · {}",
        l.t("谁:", "who: "),
        pick(&s.office, l).trim(),
        s.device
    )?;
    let grade =
        s.attestation.map_or(l.t("签名没有通过", "no signature holds"), |a| l.attestation(a));
    let key = s.key.as_ref().map_or(String::new(), |(id, name)| match name.is_empty() {
        true => format!(" ({} {id})", l.t("密钥", "key")),
        false => format!(" ({} {id} “{name}”)", l.t("密钥", "key")),
    });
    writeln!(out, "     {}{grade}{key}", l.t("凭什么:", "on: "))?;
    writeln!(
        out,
        "     {}{}\n          {}\n          {} {} ({})",
        l.t("何时:", "when:"),
        bound(s.earliest, l.t("最早", " not before"), l),
        bound(s.latest, l.t("最晚", " not after "), l),
        l.t("自报", " claimed   "),
        when(s.claimed_ms),
        l.clock(s.clock),
    )?;
    match &s.why {
        Some(why) => writeln!(out, "     {}{}", l.t("为什么:", "why: "), pick(why, l)),
        None => Ok(()),
    }
}

fn bound(bound: Option<Bound>, word: &str, l: Lang) -> String {
    let Some(Bound { ms, basis }) = bound else {
        return format!("{word} {}", l.t("没有证据", "unknown"));
    };
    let basis = match (basis, l) {
        (Basis::CountyLog(n), Lang::Zh) => format!("已读县日志第 {n} 条"),
        (Basis::CountyLog(n), Lang::En) => format!("had read statement {n}"),
        (Basis::Witness, _) => l.t("县平台见证", "the relay's witness").to_owned(),
        (Basis::RelayClock, _) => l.t("县平台时钟", "the relay's clock").to_owned(),
    };
    format!("{word} {} ({basis})", when(ms))
}

fn write_findings(
    out: &mut String,
    title: &str,
    findings: &[Finding],
    r: &Report,
    l: Lang,
) -> std::fmt::Result {
    if findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    for finding in findings {
        let about = finding.entry.map(|id| {
            let at = r.steps.iter().position(|s| s.entry == id);
            match at.and_then(|i| Some((i + 1, r.steps.get(i)?))) {
                Some((n, s)) => format!(" — {n}. {}", pick(&s.what, l)),
                None => format!(" — {}", &id.to_string()[..12]),
            }
        });
        writeln!(out, "  • {}{}", pick(&finding.words, l), about.unwrap_or_default())?;
    }
    Ok(())
}
