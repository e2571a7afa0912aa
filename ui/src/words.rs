//! Words: the office's own, Chinese first, English complete.

use cunkou_casework::case::{Attestation, Phase};
use cunkou_casework::citizen_id::IdFault;
use cunkou_casework::county::Role;
use cunkou_casework::decider::Grade;
use cunkou_casework::entry::ClockSource;
use cunkou_casework::event::{Filer, Level, Step};
use cunkou_casework::fields::Fault;

/// The language of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// 简体中文
    #[default]
    Zh,
    /// English
    En,
}

impl Lang {
    /// The Chinese or the English words.
    #[must_use]
    pub fn t<'a>(self, zh: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }

    /// For `<html lang>`.
    #[must_use]
    pub fn tag(self) -> &'static str {
        self.t("zh-CN", "en")
    }

    /// A span of time in words: 40分钟, 5小时, 3天.
    #[must_use]
    pub fn span(self, ms: i64) -> String {
        let minutes = (ms.max(0) / 60_000).max(1);
        let (n, zh, en) = match minutes {
            0..=89 => (minutes, "分钟", "min"),
            90..=2879 => (minutes / 60, "小时", "h"),
            _ => (minutes / 1440, "天", "days"),
        };
        match self {
            Self::Zh => format!("{n}{zh}"),
            Self::En => format!("{n} {en}"),
        }
    }

    /// A size in words.
    #[must_use]
    pub fn size(self, bytes: u64) -> String {
        match bytes {
            0..=1023 => format!("{bytes} B"),
            1024..=1_048_575 => format!("{} KB", bytes / 1024),
            1_048_576..=1_073_741_823 => format!("{:.1} MB", bytes as f64 / 1_048_576.0),
            _ => format!("{:.1} GB", bytes as f64 / 1_073_741_824.0),
        }
    }

    /// A legal state.
    #[must_use]
    pub fn phase(self, phase: Phase) -> &'static str {
        match phase {
            Phase::Draft => self.t("草稿(暂存)", "Draft"),
            Phase::Received => self.t("已收件", "Received"),
            Phase::TownshipTaken => self.t("乡镇已收件", "Received by the township"),
            Phase::Forwarded => self.t("已上报县级", "Forwarded to the county"),
            Phase::Supplementing => self.t("补正中", "Awaiting supplements"),
            Phase::Accepted => self.t("已受理", "Accepted"),
            Phase::Refused => self.t("不予受理", "Not accepted"),
            Phase::Approved => self.t("准予", "Approved"),
            Phase::Denied => self.t("不予", "Denied"),
            Phase::Completed => self.t("已办结", "Completed"),
            Phase::Delivered => self.t("已送达", "Delivered"),
            Phase::Rated => self.t("已评价", "Rated"),
            Phase::Archived => self.t("已归档", "Archived"),
            Phase::Withdrawn => self.t("已撤回", "Withdrawn"),
            Phase::Contested => self.t("待核", "To be resolved"),
        }
    }

    /// A task, by its word in the code.
    #[must_use]
    pub fn task(self, key: &str) -> &'static str {
        match key {
            "finish" => self.t("继续填写", "Continue"),
            "take" => self.t("待乡镇收件", "For the township to receive"),
            "forward" => self.t("待审核转县", "To examine and forward"),
            "accept" => self.t("待受理", "To accept"),
            "supplement" => self.t("补正", "Supplement"),
            "decide" => self.t("待决定", "To decide"),
            "complete" => self.t("待办结", "To complete"),
            "deliver" => self.t("送达", "Deliver"),
            "rate" => self.t("评价", "Rate"),
            "archive" => self.t("归档", "Archive"),
            "resolve" => self.t("待核", "To resolve"),
            _ => "",
        }
    }

    /// Who filed.
    #[must_use]
    pub fn filer(self, filer: Filer) -> &'static str {
        match filer {
            Filer::Applicant => self.t("本人(帮办)", "The applicant (helped)"),
            Filer::Family => self.t("家属或他人", "Family or another person"),
            Filer::Guardian => self.t("监护人", "Guardian"),
            Filer::Agent => self.t("委托代办员", "The agent, by mandate"),
        }
    }

    /// A role.
    #[must_use]
    pub fn role(self, role: Role) -> &'static str {
        match role {
            Role::Agent => self.t("代办员", "Agent"),
            Role::Township => self.t("乡镇便民服务中心", "Township centre"),
            Role::Reviewer => self.t("县级审核", "County reviewer"),
            Role::Finance => self.t("县财政", "County finance"),
            Role::It => self.t("系统管理员", "System administrator"),
            Role::Security => self.t("安全管理员", "Security administrator"),
            Role::Audit => self.t("审计管理员", "Audit administrator"),
            Role::DataOfficer => self.t("数据专员", "Data officer"),
        }
    }

    /// A level of government.
    #[must_use]
    pub fn level(self, level: Level) -> &'static str {
        match level {
            Level::Village => self.t("村", "Village"),
            Level::Township => self.t("乡镇", "Township"),
            Level::County => self.t("县", "County"),
        }
    }

    /// A step in a timeline.
    #[must_use]
    pub fn step(self, step: &Step) -> &'static str {
        match step {
            Step::Opened { .. } => self.t("开始填写", "Draft begun"),
            Step::Submitted { .. } => self.t("收件", "Received"),
            Step::Withdrawn { .. } => self.t("申请人撤回", "Withdrawn by the applicant"),
            Step::Taken => self.t("乡镇收件", "Received by the township"),
            Step::Forwarded { .. } => self.t("上报县级", "Forwarded to the county"),
            Step::SupplementAsked { .. } => self.t("一次性告知补正", "Supplement asked for"),
            Step::SupplementGiven { round: 0, .. } => {
                self.t("补交容缺材料", "Promised materials given")
            }
            Step::SupplementGiven { .. } => self.t("补正提交", "Supplement given"),
            Step::Accepted { .. } => self.t("受理", "Accepted"),
            Step::Refused { .. } => self.t("不予受理", "Not accepted"),
            Step::Approved { .. } => self.t("准予", "Approved"),
            Step::Denied { .. } => self.t("不予", "Denied"),
            Step::Completed => self.t("办结", "Completed"),
            Step::Delivered { .. } => self.t("送达", "Delivered"),
            Step::Rated { stars: None, .. } => self.t("评价(跳过)", "Rating skipped"),
            Step::Rated { .. } => self.t("评价", "Rated"),
            Step::Archived => self.t("归档", "Archived"),
            Step::TakenOver { .. } => self.t("上级接办", "Taken over by a superior office"),
            Step::Resolved { .. } => self.t("待核处理", "Resolved"),
            Step::ResidentAdded { .. } => self.t("登记居民", "Resident added"),
            Step::ResidentMoved { .. } => self.t("居民迁移", "Resident moved"),
            Step::SamePerson { .. } => self.t("认定同一人", "Same person"),
            Step::NotSamePerson { .. } => self.t("认定不是同一人", "Not the same person"),
            Step::DutyOffered { .. } => self.t("交接", "Duty handed over"),
            Step::DutyTaken { .. } => self.t("签收交接", "Duty taken over"),
        }
    }

    /// How sure a claimed time is.
    #[must_use]
    pub fn clock(self, clock: ClockSource) -> &'static str {
        match clock {
            ClockSource::Relay => self.t("时间已与县平台核对", "clock checked against the county"),
            ClockSource::Rtc => self.t("盒子时钟", "the box's own clock"),
            ClockSource::Tablet => self.t("平板时钟", "a tablet's clock"),
            ClockSource::Unknown => self.t("时间待核", "time not confirmed"),
        }
    }

    /// How much a key is worth.
    #[must_use]
    pub fn grade(self, grade: Grade) -> &'static str {
        match grade {
            Grade::SecurityKey => self.t("安全密钥", "Security key"),
            Grade::Passkey => {
                self.t("通行密钥(存在电脑或手机里)", "Passkey (kept by a computer or phone)")
            }
            Grade::Ukey => self.t("UKey", "UKey"),
            Grade::Otp => self.t("动态口令(县平台证明)", "One-time password (the relay vouches)"),
        }
    }

    /// On whose word a person stands behind a step.
    #[must_use]
    pub fn attestation(self, attestation: Attestation) -> &'static str {
        match attestation {
            Attestation::Person => self.t("本人密钥签名", "signed with their own key"),
            Attestation::SecurityKey => {
                self.t("本人安全密钥签名", "signed with their security key")
            }
            Attestation::Passkey => self.t("本人通行密钥签名", "signed with their passkey"),
            Attestation::Ukey => self.t("本人UKey签名", "signed with their UKey"),
            Attestation::Otp => self.t(
                "县平台证明动态口令,未经本人密钥签名",
                "one-time password attested by the relay, not personally signed",
            ),
            Attestation::Relay => self.t("县平台证明登录", "sign-in attested by the relay"),
            Attestation::Device => self.t("设备", "device"),
        }
    }

    /// What is wrong with an ID number, and what to do.
    #[must_use]
    pub fn id_fault(self, fault: IdFault) -> String {
        match (self, fault) {
            (Self::Zh, IdFault::Empty) => "填写身份证号".into(),
            (Self::En, IdFault::Empty) => "Enter the ID number".into(),
            (Self::Zh, IdFault::Length(n)) if n < 18 => {
                format!("身份证号少 {} 位,应为 18 位", 18 - n)
            }
            (Self::Zh, IdFault::Length(n)) => format!("身份证号多 {} 位,应为 18 位", n - 18),
            (Self::En, IdFault::Length(n)) => {
                format!("ID number is {n} characters. It must be 18")
            }
            (Self::Zh, IdFault::Character(at)) => {
                format!("身份证号第 {at} 位不是数字,再看一遍证件")
            }
            (Self::En, IdFault::Character(at)) => {
                format!("Character {at} of the ID number is not a digit. Check the card")
            }
            (Self::Zh, IdFault::Mangled) => {
                "身份证号被表格软件改成了科学计数(如 1.30E+17),把该列设为文本后重新填写".into()
            }
            (Self::En, IdFault::Mangled) => {
                "A spreadsheet turned the ID number into 1.30E+17. Set the column to text and \
                 enter it again"
                    .into()
            }
            (Self::Zh, IdFault::Rounded) => {
                "身份证号末尾被表格软件改成了 000,把该列设为文本后重新填写".into()
            }
            (Self::En, IdFault::Rounded) => {
                "A spreadsheet rounded the ID number to …000. Set the column to text and enter it \
                 again"
                    .into()
            }
            (Self::Zh, IdFault::Region) => "身份证号前 2 位不是任何省份,再看一遍证件".into(),
            (Self::En, IdFault::Region) => {
                "The first 2 digits of the ID number are no province. Check the card".into()
            }
            (Self::Zh, IdFault::BirthDate) => {
                "身份证号第 7 至 14 位不是一个日期,再看一遍证件".into()
            }
            (Self::En, IdFault::BirthDate) => {
                "Digits 7 to 14 of the ID number are no date. Check the card".into()
            }
            (Self::Zh, IdFault::BornInFuture) => "身份证号里的出生日期要早于今天".into(),
            (Self::En, IdFault::BornInFuture) => {
                "The birth date in the ID number must be before today".into()
            }
            (Self::Zh, IdFault::TooOld) => "身份证号里的出生日期超过 130 年,再看一遍证件".into(),
            (Self::En, IdFault::TooOld) => {
                "The birth date in the ID number is more than 130 years ago. Check the card".into()
            }
            (Self::Zh, IdFault::Check) => "身份证号最后一位对不上,再看一遍证件".into(),
            (Self::En, IdFault::Check) => {
                "The last character of the ID number does not fit the others. Check the card".into()
            }
        }
    }

    /// What is wrong with a field, in the label's own words.
    #[must_use]
    pub fn fault(self, label: &str, fault: &Fault) -> String {
        match (self, fault) {
            (_, Fault::Id(id)) => self.id_fault(*id),
            (Self::Zh, Fault::Missing) => format!("填写{label}"),
            (Self::En, Fault::Missing) => format!("Enter: {label}"),
            (Self::Zh, Fault::TooLong(n)) => format!("{label}最多 {n} 个字"),
            (Self::En, Fault::TooLong(n)) => format!("{label}: at most {n} characters"),
            (Self::Zh, Fault::Phone) => format!("{label}应为 11 位手机号,或带区号的座机号"),
            (Self::En, Fault::Phone) => {
                format!("{label}: an 11-digit mobile number, or a landline with area code")
            }
            (Self::Zh, Fault::CardLength(n)) => format!("{label}是 {n} 位,应为 13 至 19 位"),
            (Self::En, Fault::CardLength(n)) => {
                format!("{label} has {n} digits. It must have 13 to 19")
            }
            (Self::Zh, Fault::NotDigits) => format!("{label}只能是数字"),
            (Self::En, Fault::NotDigits) => format!("{label}: digits only"),
            (Self::Zh, Fault::Day) => format!("{label}不是一个日期,例如 2026年5月6日"),
            (Self::En, Fault::Day) => format!("{label} is not a date. For example 2026-05-06"),
            (Self::Zh, Fault::FutureDay) => format!("{label}要早于今天"),
            (Self::En, Fault::FutureDay) => format!("{label} must be before today"),
            (Self::Zh, Fault::Amount) => format!("{label}应为金额,最多两位小数,例如 1234.50"),
            (Self::En, Fault::Amount) => {
                format!("{label}: an amount with at most two decimals, for example 1234.50")
            }
            (Self::Zh, Fault::Integer) => format!("{label}应为整数"),
            (Self::En, Fault::Integer) => format!("{label}: a whole number"),
            (Self::Zh, Fault::Choice) => format!("选择{label}"),
            (Self::En, Fault::Choice) => format!("Choose: {label}"),
        }
    }
}
