//! An auditor signs that a relay's log only grows: each checkpoint is held against what they signed
//! last before it is signed.

use crate::stick::{KeyFile, SignedFile, beside, replace, when};
use crate::{Action, Arguments, UNREADABLE};
use cunkou_casework::checkpoint::Checkpoint;
use cunkou_casework::cosign::{LETTER_BYTES_MAX, Letter, Refused};
use cunkou_casework::export::{BadExport, same_fingerprint};
use cunkou_casework::hex;
use cunkou_keys::passphrase::{PASSPHRASE_CHARS_MIN, is_passphrase};
use cunkou_ui::Lang;
use serde_json::json;
use std::io::{BufRead, IsTerminal};
use std::path::Path;
use std::process::ExitCode;

/// How it ended when nothing was signed: the exit code, a word for programs, and words.
struct No(u8, &'static str, String);

/// What there is to say: for programs and for people.
struct Said(serde_json::Value, String);

/// Runs an auditor's command.
#[expect(clippy::print_stdout, reason = "answers of a command go to the terminal")]
pub(crate) fn run(arguments: &Arguments, l: Lang) -> ExitCode {
    let done = std::panic::catch_unwind(|| match &arguments.action {
        Some(Action::NewKey { name, out }) => new_key(name, out, l),
        Some(Action::Cosign { file, key, county, new_log }) => {
            cosign(file, key, county.as_deref(), *new_log, l)
        }
        None => Err(No(UNREADABLE, "usage", String::new())),
    });
    let damaged = || {
        let words = l.t("文件损坏,没有签", "The file is damaged; nothing was signed");
        Err(No(UNREADABLE, "damaged", words.to_owned()))
    };
    match done.unwrap_or_else(|_| damaged()) {
        Ok(Said(value, words)) => {
            if arguments.json {
                println!("{value}")
            } else {
                println!("{words}")
            }
            ExitCode::SUCCESS
        }
        Err(No(code, why, words)) => {
            if arguments.json {
                println!("{}", json!({ "schema": 1, "signed": false, "why": why, "words": words }));
            } else {
                println!("{words}");
            }
            code.into()
        }
    }
}

/// The passphrase on standard input; asked for where somebody sits before it.
#[expect(clippy::print_stderr, reason = "a question of a command goes to the terminal")]
fn passphrase(asking: &str) -> Result<String, No> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprintln!("{asking}");
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    read.map_err(|e| No(UNREADABLE, "passphrase", e.to_string()))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn unreadable(path: &Path, why: &dyn std::fmt::Display, l: Lang) -> No {
    let words = format!("{}{}: {why}", l.t("读不出 ", "Cannot read "), path.display());
    No(UNREADABLE, "unreadable", words)
}

fn unwritable(path: &Path, why: &dyn std::fmt::Display, l: Lang) -> No {
    let words = format!("{}{}: {why}", l.t("写不了 ", "Cannot write "), path.display());
    No(UNREADABLE, "unwritable", words)
}

fn new_key(name: &str, out: &Path, l: Lang) -> Result<Said, No> {
    let asking =
        l.t("口令(至少 12 个字符,一个汉字算两个):", "Passphrase (at least 12 characters):");
    let words = passphrase(asking)?;
    if !is_passphrase(&words) {
        let short = format!(
            "{}{PASSPHRASE_CHARS_MIN}{}",
            l.t("口令至少 ", "A passphrase has at least "),
            l.t(
                " 个字符,一个汉字算两个;从标准输入给一行",
                " characters, a Chinese one counting as two; give one line on standard input"
            )
        );
        return Err(No(UNREADABLE, "passphrase", short));
    }
    let file = KeyFile::make(out, name, &words).map_err(|e| unwritable(out, &e, l))?;
    let (key, record) = (hex::encode(&file.key.0), beside(out));
    let said = [
        format!("{}{}", l.t("钥匙: ", "Key file: "), out.display()),
        format!("{}{}", l.t("签过什么的记录: ", "Record of what was signed: "), record.display()),
        l.t(
            "两个文件放在一起,存在审计自己的 U 盘上;记录丢了就不能再签。",
            "Keep the two together on a stick of the auditor's own; without the record nothing can be signed.",
        )
        .to_owned(),
        format!("{}{key}", l.t("公布这把密钥(别人用 --auditor 核对): ", "Publish this key (others compare it with --auditor): ")),
    ];
    let value = json!({ "schema": 1, "name": name, "key": key, "file": out, "record": record });
    Ok(Said(value, said.join("\n")))
}

fn cosign(
    file: &Path,
    key: &Path,
    county: Option<&str>,
    new_log: bool,
    l: Lang,
) -> Result<Said, No> {
    let bytes = crate::read(file, LETTER_BYTES_MAX).map_err(|e| unreadable(file, &e, l))?;
    let mut letter = Letter::decode(&bytes).map_err(|why| not_a_letter(file, &why, l))?;
    let keys = KeyFile::read(key).map_err(|e| unreadable(key, &e, l))?;
    let path = beside(key);
    let record = SignedFile::read(&path, keys.key).map_err(|e| no_record(&path, &e, l))?;
    let held = record.held().map_err(|e| no_record(&path, &e, l))?;
    let fingerprint = letter.fingerprint();
    match county {
        Some(given) if !same_fingerprint(given, &fingerprint) => {
            return Err(refused(&Refused::OtherCounty(fingerprint), l));
        }
        None if record.county.is_none() => return Err(first_time(&fingerprint, l)),
        _ => {}
    }
    let (says, before) = letter.judge(&held, new_log).map_err(|why| refused(&why, l))?;
    let (_, name) = letter.read().map_err(|why| refused(&why, l))?;
    let asking = format!("{}{}:", keys.name, l.t("的口令", ", passphrase"));
    let secret = keys.open(&passphrase(&asking)?).ok_or_else(|| {
        let words = l.t("口令不对,没有签。", "The passphrase is wrong; nothing was signed.");
        No(1, "passphrase", words.to_owned())
    })?;
    letter.cosign(&secret);
    record
        .note(&path, fingerprint, &says, &letter.checkpoint)
        .map_err(|e| unwritable(&path, &e, l))?;
    replace(file, &letter.encode()).map_err(|e| unwritable(file, &e, l))?;
    let value = json!({
        "schema": 1, "signed": true, "county": name, "entries": says.size,
        "before": before.as_ref().map(|c| c.size), "key": hex::encode(&keys.key.0), "file": file,
    });
    Ok(Said(value, signed(&name, &says, before.as_ref(), file, l)))
}

fn signed(
    county: &str,
    says: &Checkpoint,
    before: Option<&Checkpoint>,
    file: &Path,
    l: Lang,
) -> String {
    let log = format!(
        "{county} · {} {}{}{}",
        when(says.time_ms),
        l.t("县平台日志 ", "the relay's log holds "),
        says.size,
        l.t(" 条", " entries")
    );
    let held = match before {
        Some(before) => format!(
            "{}{}{}{}{}",
            l.t("接着上次签的 ", "It continues the "),
            before.size,
            l.t(
                " 条往下写的,没有改过以前的;这次多 ",
                " entries signed last; nothing of them was changed. New: "
            ),
            says.size - before.size,
            l.t(" 条。", "."),
        ),
        None => l
            .t(
                "第一次签:以后每次都与这次比。",
                "The first signature: each later one is held against it.",
            )
            .to_owned(),
    };
    let next = format!(
        "{}cunkou-relay checkpoint cosigned {}",
        l.t("已签。把文件交回县里: ", "Signed. Give the file back to the county: "),
        file.display()
    );
    [log, held, next].join("\n")
}

fn not_a_letter(file: &Path, why: &BadExport, l: Lang) -> No {
    let shown = file.display();
    let zh = format!("{shown} 不是能签的检查点文件({why})");
    let en = format!("{shown} is not a checkpoint that can be signed ({why})");
    No(UNREADABLE, "not_a_checkpoint", l.t(&zh, &en).to_owned())
}

fn no_record(path: &Path, why: &std::io::Error, l: Lang) -> No {
    let shown = path.display();
    let zh = format!(
        "没有签:读不出您签过什么的记录 {shown}({why})。\n没有它,就看不出日志有没有改过。把它从原来的 U 盘或备份放回钥匙旁边;真丢了,就造一把新钥匙,重新公布。"
    );
    let en = format!(
        "Not signed: the record of what you signed cannot be read: {shown} ({why}).\nWithout it nobody can see whether the log was rewritten. Put it back beside the key from the stick or its copy; if it is lost, make a new key and publish it."
    );
    No(1, "no_record", l.t(&zh, &en).to_owned())
}

fn first_time(fingerprint: &str, l: Lang) -> No {
    let zh = format!(
        "没有签:第一次签要核对县指纹。文件里写的是\n  {fingerprint}\n请从县里公布的地方抄来,用 --county 给出;不要从文件旁边抄。"
    );
    let en = format!(
        "Not signed: the first time the county's fingerprint is needed. The file says\n  {fingerprint}\nTake it from where the county has published it and give it with --county; not from beside the file."
    );
    No(1, "first_time", l.t(&zh, &en).to_owned())
}

fn refused(why: &Refused, l: Lang) -> No {
    let evidence = if why.is_evidence() {
        l.t(
            "\n请让县里再导出一次;还是这样,就不是文件坏了。把这个文件和您的记录都留好:它们是证据。",
            "\nLet the county export it once more; if it stays so, it is no damaged file. Keep this file and your record: they are evidence.",
        )
    } else {
        ""
    };
    let (code, zh, en) = match why {
        Refused::Letter(why) => {
            ("damaged", format!("文件损坏({why})"), format!("the file is damaged ({why})"))
        }
        Refused::CountyLog(n) => (
            "county_log",
            format!("文件里的县日志到第 {n} 条就断了"),
            format!("the county log in the file breaks at statement {n}"),
        ),
        Refused::OtherCounty(f) => (
            "other_county",
            format!("这是另一个县的文件,指纹是\n  {f}"),
            format!("the file is of another county, with the fingerprint\n  {f}"),
        ),
        Refused::NoRelay => (
            "no_relay",
            "检查点没有本县县平台的签名,或县平台已撤销".into(),
            "no relay that counts in this county has signed the checkpoint".into(),
        ),
        Refused::NewLog => (
            "new_log",
            "县平台换了一份新日志(重装,或用备份恢复过),不是接着您签过的那份。请县里书面说明;认可了再加 --new-log 签".into(),
            "the relay has begun a new log (set up anew, or restored from a backup): not the one you signed. Have the county explain it in writing; then sign with --new-log".into(),
        ),
        Refused::Older => (
            "older",
            "这个文件比您上次签的还旧。请县里导出新的".into(),
            "this file is older than what you signed last. Ask the county for a new one".into(),
        ),
        Refused::Shorter { held, size } => (
            "shorter",
            format!("县平台的日志变短了:您签过 {held} 条,现在只有 {size} 条"),
            format!("the relay's log has become shorter: you signed {held} entries, now it holds {size}"),
        ),
        Refused::Rewritten => (
            "rewritten",
            "县平台的日志被改写过:它不是接着您上次签的往下写的".into(),
            "the relay's log was rewritten: it does not continue what you signed last".into(),
        ),
        Refused::NotShown(n) => (
            "not_shown",
            format!("文件里没有从您上次签的 {n} 条接下来的证明。请县里这样导出:\n  cunkou-relay checkpoint export FILE --from {n}"),
            format!("the file does not show how the log went on from the {n} entries that you signed last. Ask the county for:\n  cunkou-relay checkpoint export FILE --from {n}"),
        ),
    };
    let words =
        format!("{}{}{}{evidence}", l.t("没有签:", "Not signed: "), l.t(&zh, &en), l.t("。", "."));
    No(1, code, words)
}
