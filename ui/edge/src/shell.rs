//! The frame of a page from what is known.

use crate::standing::needs::{CLOCK_DOUBT_MS, UNSENT_LONG_MS, UNSENT_MS};
use crate::standing::{Known, words};
use crate::{App, Office, Signed};
use axum::http::HeaderMap;
use cunkou_casework::county::{Power, Role};
use cunkou_link::LinkState;
use cunkou_ui::layout::SyncBar;
use cunkou_ui::{Lang, Shell, User};
use std::sync::Arc;

/// What was just done, in words.
#[must_use]
pub fn done_words(lang: Lang, done: &str) -> Option<String> {
    Some(
        match done {
            "saved" => lang.t("已保存", "Saved"),
            "added" => lang.t("已登记", "Added"),
            "known" => lang.t(
                "这个号码已经登记过,已打开原来的记录",
                "This number is registered already; here is the record",
            ),
            "photo" => lang.t("照片已存本机", "Photo saved on this box"),
            "submitted" => lang.t("已收件,回执可以打印", "Received; the receipt can be printed"),
            "take" => lang.t("已收件", "Received"),
            "forward" => lang.t("已上报县级", "Forwarded to the county"),
            "ask" => lang.t("补正告知已发出", "The supplement notice is out"),
            "supplement" => lang.t("补正已提交", "The supplement is given"),
            "promised" => lang.t("容缺材料已补交", "The promised materials are given"),
            "accept" => lang.t("已受理", "Accepted"),
            "refuse" => lang.t("已作出不予受理", "Not accepted"),
            "approve" => lang.t("已准予并办结", "Approved and completed"),
            "deny" => lang.t("已作出不予决定并办结", "Denied and completed"),
            "withdraw" => lang.t("已撤回", "Withdrawn"),
            "deliver" => lang.t("已送达", "Delivered"),
            "duty-offered" => lang.t("已交出,等对方签收", "Handed over; it waits to be taken"),
            "duty-taken" => lang.t("已签收,双方都签了名", "Taken over; both have signed"),
            "duty-withdrawn" => lang.t("已撤回,这份交接不算数了", "Taken back; it counts no more"),
            "rate" => lang.t("谢谢评价", "Thank you for rating"),
            "archive" => lang.t("已归档", "Archived"),
            "resolve" => lang.t("已处理", "Resolved"),
            "moved" => lang.t(
                "别人刚改过内容,请再核对一遍再签名",
                "Somebody has just changed the content: check it again, then sign",
            ),
            "key" => lang.t("安全密钥已登记", "The security key is registered"),
            "key-waits" => lang.t(
                "已提交,县管理员签字后生效",
                "Handed in; it holds once the county's administrators have signed",
            ),
            "keyless" => lang.t("安全密钥已停用", "The security key is removed"),
            "pin" => lang.t("新 PIN 码已设好", "The new PIN is set"),
            "asked" => lang.t(
                "已提出,另一人同意后才销毁",
                "Asked; nothing is erased until a second person agrees",
            ),
            "erased" => lang.t(
                "已销毁;各盒子确认后在下面显示",
                "Erased; the boxes that confirm it are shown below",
            ),
            "declined" => lang.t("没有同意,照旧保存", "Declined; it stays"),
            "chosen" => lang.t("已选好", "The choice is saved"),
            _ => return None,
        }
        .to_owned(),
    )
}

/// How far this store's entries have gone, in one line.
#[must_use]
pub fn sync_bar(link: &LinkState, known: &Known, now_ms: i64, lang: Lang) -> SyncBar {
    let here = &known.here;
    let n = here.unsent.entries;
    let oldest = here.unsent.oldest_ms.map_or(0, |at| (now_ms - at).max(0));
    let span = lang.span(oldest);
    let waiting = match (lang, here.cases.len()) {
        (Lang::Zh, 0) => format!("{n} 条待上传(最久 {span})"),
        (Lang::En, 0) => format!("{n} entries to upload (oldest {span})"),
        (Lang::Zh, cases) => format!("{cases} 件待上传(最久 {span})"),
        (Lang::En, 1) => format!("1 case to upload (oldest {span})"),
        (Lang::En, cases) => format!("{cases} cases to upload (oldest {span})"),
    };
    let photos = match (lang, here.photos) {
        (_, 0) => String::new(),
        (Lang::Zh, photos) => format!(",照片 {photos} 张"),
        (Lang::En, photos) => format!(", {photos} photos"),
    };
    let (tone, words) = match (link, n) {
        (LinkState::Offline { refused: true, .. }, _) => (
            "amber",
            lang.t("县平台不接收这个盒子,请联系县信息员", "The county does not accept this box; call county IT").to_owned(),
        ),
        (_, n) if n > 0 && oldest > UNSENT_LONG_MS => (
            "red",
            format!("{waiting} — {}", lang.t("超过 3 天:打电话给县信息员", "more than 3 days: call county IT")),
        ),
        (_, n) if n > 0 && oldest > UNSENT_MS => {
            ("amber", format!("{waiting} — {}", lang.t("超过 1 天", "more than a day")))
        }
        (LinkState::Online(progress), _) if progress.to_send + progress.to_receive > 0 => {
            let what = if n > 0 { waiting } else { lang.t("收县里的消息", "news from the county").to_owned() };
            ("blue", format!("{} {what}{photos}", lang.t("正在传…", "Under way…")))
        }
        (LinkState::Online(_), 0) if here.photos > 0 => {
            ("blue", format!("{}{photos}", lang.t("正在传…记录都送到了", "Under way… entries are with the county")))
        }
        (LinkState::Online(_), 0) => (
            "none",
            match known.status.last_completed_ms {
                Some(at) => format!(
                    "✓ {} · {}",
                    lang.t("都已送到县里", "All delivered to the county"),
                    crate::lists::when(at)
                ),
                None => lang.t("已连上县平台", "Connected to the county").to_owned(),
            },
        ),
        (LinkState::Online(_), _) => ("blue", format!("{waiting}{photos}")),
        (_, 0) => (
            "grey",
            lang.t("县里暂时连不上。收件不受影响,连上后自动送", "The county cannot be reached just now. Work goes on; everything is sent once it can").to_owned(),
        ),
        (_, _) => (
            "grey",
            format!("{} · {waiting}{photos}", lang.t("已存本机", "Saved here")),
        ),
    };
    SyncBar { tone, words }
}

fn clock_words(known: &Known, lang: Lang) -> Option<String> {
    let error = known.status.clock_error_ms?;
    if error.abs() < CLOCK_DOUBT_MS {
        return None;
    }
    let off = lang.span(error.abs());
    Some(match lang {
        Lang::Zh => {
            format!("这台设备的时间可能不对(差 {off})。可以继续收件,回执上会注明“时间待核”")
        }
        Lang::En => format!(
            "This device's clock may be wrong (off by {off}). Work goes on; receipts say that the time is not confirmed"
        ),
    })
}

/// True when claimed times should carry 时间待核.
#[must_use]
pub fn time_uncertain(signed: &Signed) -> bool {
    signed.known().is_ok_and(|known| clock_words(&known, Lang::Zh).is_some())
}

/// The frame of a page that everybody may read; who is signed in has their sections with it.
#[must_use]
pub fn open(app: &Arc<App>, headers: &HeaderMap, here: &str) -> Shell {
    match app.sessions.of(headers, app.replica.now_ms()) {
        Some(session) => Signed {
            app: Arc::clone(app),
            session,
            lang: crate::session::lang(headers),
            big: crate::session::big(headers),
            here: here.to_owned(),
            done: None,
            sends: false,
            known: Arc::default(),
        }
        .shell(""),
        None => stranger(app, headers, here),
    }
}

/// The frame for somebody not signed in. The bar of the cases renews itself and would send them to
/// the login page, so it is not there.
#[must_use]
pub fn stranger(app: &App, headers: &HeaderMap, here: &str) -> Shell {
    let lang = crate::session::lang(headers);
    Shell {
        lang,
        big: crate::session::big(headers),
        place: app.place_name(),
        complaint: app.release().map_or_else(|| "12345".into(), |r| r.contacts.complaint.clone()),
        here: here.to_owned(),
        ..Shell::default()
    }
}

impl Signed {
    /// Whether this person of a township holds a grant to name agents or staff.
    fn may_name_colleagues(&self) -> bool {
        let Some(key) = &self.session.key else { return false };
        let (county, key) = (self.app.replica.county(), key.public());
        let powers = [Power::Agents, Power::TownshipStaff];
        self.app.office == Office::Township
            && county.grants().any(|grant| {
                grant.holder == key
                    && grant.powers.iter().any(|p| powers.contains(p))
                    && county.usable(grant)
            })
    }

    /// How far this box's cases have gone; absent on the county's console.
    #[must_use]
    pub fn sync_bar(&self) -> Option<SyncBar> {
        let link = self.app.link_state()?;
        let known = self.known().ok()?;
        Some(sync_bar(&link, &known, self.app.replica.now_ms(), self.lang))
    }

    /// The frame for this person; `section` is the main section that is current.
    #[must_use]
    pub fn shell(&self, section: &str) -> Shell {
        let (app, l) = (&self.app, self.lang);
        let mut nav: Vec<(&str, &str)> = Vec::new();
        match app.office {
            Office::Village | Office::Township => {
                nav.push(("/", l.t("今天", "Today")));
                nav.push(("/cases", l.t("办件", "Cases")));
                nav.push(("/residents", l.t("居民", "Residents")));
                if !self.session.practice {
                    nav.push(("/sync", l.t("同步", "Sync")));
                    if self.may_name_colleagues() {
                        nav.push(("/helping", l.t("同事忘了 PIN", "Forgotten PINs")));
                    }
                }
            }
            Office::County => {
                if self.is(Role::Reviewer) {
                    nav.push(("/cases", l.t("办件", "Cases")));
                }
                if self.is(Role::Reviewer) {
                    nav.push(("/keys", l.t("我的安全密钥", "My security keys")));
                }
                if self.is(Role::It) || self.is(Role::Security) {
                    nav.push(("/boxes", l.t("盒子", "Boxes")));
                    nav.push(("/staff", l.t("人员", "People")));
                }
                if self.is(Role::DataOfficer) {
                    nav.push(("/retention", l.t("保管期限", "Retention")));
                }
                if self.is(Role::DataOfficer) || self.is(Role::Reviewer) {
                    nav.push(("/erasures", l.t("销毁", "Erasure")));
                }
                if self.is(Role::Audit) {
                    nav.push(("/looks", l.t("谁看过", "Who looked")));
                }
            }
        }
        let nav = nav.into_iter().map(|(a, w)| (a.to_owned(), w.to_owned(), a == section));
        let role = self.session.posts.first().map_or("", |p| l.role(p.role));
        let role = match self.session.posts.first().and_then(|p| p.department.as_deref()) {
            Some(department) => department.to_owned(),
            None => role.to_owned(),
        };
        Shell {
            lang: l,
            big: self.big,
            place: app.place_name(),
            user: Some(User { name: self.session.name.clone(), role }),
            nav: nav.collect(),
            sync: if self.session.practice { None } else { self.sync_bar() },
            practice: self.session.practice,
            clock: words::room(l, app.replica.room())
                .map(str::to_owned)
                .or_else(|| clock_words(&*self.known().ok()?, l)),
            complaint: app
                .release()
                .map_or_else(|| "12345".into(), |r| r.contacts.complaint.clone()),
            here: self.here.split('?').next().unwrap_or("/").to_owned(),
            done: self.done.as_deref().and_then(|d| done_words(l, d)),
            open: None,
        }
    }
}
