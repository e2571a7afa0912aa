//! Why a bundle was not made or not taken, in words.

use crate::cli::{Exit, Failure};
use cunkou_ui::Lang;

/// Why a bundle was not made or not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Another kind of file.
    NoBundle,
    /// For another machine: its name, when it is of this county.
    ForOther(Option<String>),
    /// It ends too early.
    Cut,
    /// Its bytes were changed.
    Damaged,
    /// Not from whom it says.
    Signature,
    /// Its sender, or the one it is to be for, is not let in: why.
    NotOurs(String),
    /// Its sender was revoked.
    Revoked(String),
    /// No such machine in this county.
    Unknown,
    /// Made before its sender was restored from a backup.
    Past(String),
    /// Something before it is missing here.
    Gap {
        /// From whom.
        from: String,
        /// Its number.
        number: u64,
        /// Numbers of the bundles to bring first; empty when it cannot be told.
        missing: Vec<u64>,
    },
    /// Too little room was given.
    TooSmall,
    /// The stick or the disk.
    Disk(String),
    /// Our own failure.
    Ours(String),
}

impl Fault {
    /// A sentence and a next step.
    #[must_use]
    pub fn words(&self, l: Lang) -> String {
        let t = |zh: &str, en: &str| l.t(zh, en).to_owned();
        match self {
            Self::NoBundle => t(
                "这个文件不是同步包。同步包的名字以 cunkou- 开头、以 .bundle 结尾。",
                "This file is no bundle. The names of bundles begin with cunkou- and end with .bundle.",
            ),
            Self::ForOther(Some(name)) => match l {
                Lang::Zh => format!("这个包是给“{name}”的,请拿到那台上导入。"),
                Lang::En => format!("This bundle is for {name}; import it there."),
            },
            Self::ForOther(None) => t(
                "这个包不是给这台的,也不是本县的。",
                "This bundle is not for this machine, and not of this county.",
            ),
            Self::Cut => t(
                "这个包不完整,可能没拷完就拔了盘。已经读到的都保存好了;重新拷一次,再导入。",
                "This bundle is not whole; perhaps the stick was pulled out too early. What could be read is kept. Copy it again and import it once more.",
            ),
            Self::Damaged => t(
                "这个包有损坏。好的部分已经保存;重新拷一次,或请对方重新做一个。",
                "This bundle is damaged. What came before the damage is kept. Copy it again, or ask for a new one.",
            ),
            Self::Signature => t(
                "这个包的签名不成立,没有导入。请联系县信息员。",
                "The signature of this bundle does not hold; nothing was imported. Tell county IT.",
            ),
            Self::NotOurs(why) => match l {
                Lang::Zh => format!("对方不在可以同步的名单里,没有导入。请联系县信息员。({why})"),
                Lang::En => format!("Its machine is not one to sync with: {why}"),
            },
            Self::Revoked(name) => match l {
                Lang::Zh => format!("“{name}”已被县里撤销,它的包不再接收。"),
                Lang::En => format!("{name} was revoked by the county; its bundles are not taken."),
            },
            Self::Unknown => t("本县没有这台机器。", "There is no such machine in this county."),
            Self::Past(name) => match l {
                Lang::Zh => format!("这个包是“{name}”恢复备份以前做的,太旧了。请它重新做一个。"),
                Lang::En => {
                    format!(
                        "{name} was restored from a backup after this bundle was made; ask for a new one."
                    )
                }
            },
            Self::Gap { from, number, missing } if missing.is_empty() => match l {
                Lang::Zh => format!(
                    "“{from}”的第 {number} 个包前面还缺内容,没有导入。请对方重新做一个,选“从头再带”。"
                ),
                Lang::En => format!(
                    "Bundle {number} of {from} does not follow on what is here; nothing was imported. Ask for a new one from the beginning (bundle export --all)."
                ),
            },
            Self::Gap { from, number, missing } => {
                let list: Vec<String> = missing.iter().map(u64::to_string).collect();
                match l {
                    Lang::Zh => format!(
                        "“{from}”的第 {} 个包还没有导入,先导入它,再导入第 {number} 个。找不到就请对方重做(“从上次确认处重做”)。",
                        list.join("、")
                    ),
                    Lang::En => format!(
                        "Bundle {} of {from} is missing here: import it before bundle {number}. If it is lost, ask for it again (bundle export --again).",
                        list.join(", ")
                    ),
                }
            }
            Self::TooSmall => t(
                "空间太小:一个包至少要 16 MB。",
                "Too little room: a bundle needs at least 16 MB.",
            ),
            Self::Disk(why) => match l {
                Lang::Zh => format!("盘读写不了:{why}"),
                Lang::En => format!("The stick cannot be read or written: {why}"),
            },
            Self::Ours(why) => match l {
                Lang::Zh => format!("这台没有做成:{why}"),
                Lang::En => format!("This machine failed: {why}"),
            },
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let exit = match &fault {
            Fault::Disk(_) | Fault::Ours(_) => Exit::Failed,
            Fault::TooSmall => Exit::Usage,
            _ => Exit::Refused,
        };
        Self::new(exit, fault.words(Lang::En))
    }
}
