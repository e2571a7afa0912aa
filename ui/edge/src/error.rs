//! What a person sees when something cannot be done: a sentence and a next step.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::case::Reason;
use cunkou_replica::ActError;
use cunkou_store::{NoRoom, StoreError};
use cunkou_ui::Lang;
use cunkou_ui::page::error::Problem;

/// Why a request was not done.
#[derive(Debug)]
pub enum AppError {
    /// Nobody is signed in.
    SignIn {
        /// Where to go afterwards.
        next: String,
        /// Asked by a part of a page.
        htmx: bool,
    },
    /// There is no such page, case or person.
    NotFound,
    /// The case left this box after it was closed; the county has it.
    Left,
    /// It was erased for good.
    Erased,
    /// The person may not see or do this.
    Forbidden,
    /// A rule of the domain says no.
    Refused(Reason),
    /// The page is of another moment; go there.
    Stale {
        /// Where to go.
        next: String,
    },
    /// The request did not come from one of our own pages.
    CrossSite,
    /// The request names another host than this machine.
    Misdirected,
    /// Something with the photo: its own words, and where to try again.
    Photo {
        /// In Chinese.
        zh: String,
        /// In English.
        en: String,
        /// Where to try again.
        back: String,
    },
    /// What was sent is not what the page sends.
    Bad(String),
    /// Case numbers are used up.
    NoNumbers,
    /// The county demands a security key, and the person has none.
    KeyNeeded,
    /// The disk takes nothing more.
    NoRoom(NoRoom),
    /// Our own failure; the detail is in the log under a number.
    Ours(String),
}

impl From<StoreError> for AppError {
    fn from(e: StoreError) -> Self {
        if let Some(why) = e.no_room() {
            tracing::error!(error = %e, "the disk takes nothing more");
            return Self::NoRoom(why);
        }
        Self::Ours(e.to_string())
    }
}

impl From<ActError> for AppError {
    fn from(e: ActError) -> Self {
        match e {
            ActError::Refused(reason) => Self::Refused(reason),
            ActError::Unknown => Self::NotFound,
            ActError::NoNumbers => Self::NoNumbers,
            ActError::NoRoom(why) => Self::NoRoom(why),
            ActError::County(e) => Self::Ours(e.to_string()),
            ActError::Document(e) => Self::Ours(e.to_string()),
            ActError::Entry(e) => Self::Ours(e.to_string()),
            ActError::Store(e) => e.into(),
        }
    }
}

impl From<tokio::task::JoinError> for AppError {
    fn from(_: tokio::task::JoinError) -> Self {
        Self::Ours("a task ended early".into())
    }
}

/// A problem on its way to the page that shows it; rendered in the browser's language.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) zh: Problem,
    pub(crate) en: Problem,
}

impl Told {
    pub(crate) fn pick(self, lang: Lang) -> Problem {
        match lang {
            Lang::Zh => self.zh,
            Lang::En => self.en,
        }
    }
}

fn told(zh: (&str, &str), en: (&str, &str)) -> Told {
    let problem = |(title, words): (&str, &str)| Problem {
        title: title.to_owned(),
        words: vec![words.to_owned()],
        ..Problem::default()
    };
    Told { zh: problem(zh), en: problem(en) }
}

fn reason_words(reason: Reason) -> ((&'static str, &'static str), (&'static str, &'static str)) {
    match reason {
        Reason::NotNow => (
            ("这一步现在不能办", "办件的状态已经变了,可能别人刚办过。回到办件看看最新情况。"),
            (
                "Not possible now",
                "The case has moved on; perhaps somebody has just done it. Open the case again.",
            ),
        ),
        Reason::NoPost | Reason::OwnCase | Reason::Kin | Reason::NoPerson => (
            ("这一步不归您办", "您可以看,不能办这一步。需要办的话请联系负责的科室。"),
            ("Not yours to do", "You may look, but this step belongs to another office."),
        ),
        Reason::OutOfScope => (
            ("这个村不在本服务点", "这件属于别的村,请到那个村的服务点或乡镇办理。"),
            (
                "Not this service point",
                "The case belongs to another village; go to its point or the township.",
            ),
        ),
        _ => (
            ("这一步没有办成", "系统不认可这一步。请把办件编号报给县信息员。"),
            ("Not done", "The step was not recognised. Tell county IT the case number."),
        ),
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let (status, told) = match self {
            Self::SignIn { next, htmx } => {
                let to = format!("/login?next={}", urlencode(&next));
                if htmx {
                    return ([("HX-Redirect", to)], StatusCode::OK).into_response();
                }
                return Redirect::to(&to).into_response();
            }
            Self::Stale { next } => return Redirect::to(&next).into_response(),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                told(
                    ("没有这一页", "可能地址有误,或者这件不在本机。回首页重新查找。"),
                    (
                        "No such page",
                        "The address may be wrong, or the case is not here. Search again from the start.",
                    ),
                ),
            ),
            Self::Left => (
                StatusCode::GONE,
                told(
                    (
                        "这件已经办完,内容在县里",
                        "办结满 30 天后,材料和内容只存在县里,本机只留一张卡片。要看内容请联系县里;以前交过的材料照样可以再用。",
                    ),
                    (
                        "Closed; the county has it",
                        "30 days after a case is closed its content is kept at the county and only a card stays here. Materials given before can still be used again.",
                    ),
                ),
            ),
            Self::Erased => (
                StatusCode::GONE,
                told(
                    (
                        "这件已依法销毁",
                        "内容、照片和修改记录都已经没有了,谁也恢复不了。想知道依据,请联系县里查销毁清册。",
                    ),
                    (
                        "Erased for good",
                        "Its content, photos and history are gone and nobody can bring them back. Ask the county for the basis in the register of erasures.",
                    ),
                ),
            ),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                told(
                    ("这里不归您看", "这件由别的村或科室办理。要看请联系负责的人。"),
                    ("Not for you", "This belongs to another village or department."),
                ),
            ),
            Self::Refused(reason) => {
                let (zh, en) = reason_words(reason);
                (StatusCode::CONFLICT, told(zh, en))
            }
            Self::CrossSite => (
                StatusCode::FORBIDDEN,
                told(
                    ("没有提交", "这个请求不是从本页面发出的。打开首页重新办一次。"),
                    (
                        "Not submitted",
                        "The request did not come from one of these pages. Begin again from the start page.",
                    ),
                ),
            ),
            Self::Misdirected => (
                StatusCode::MISDIRECTED_REQUEST,
                told(
                    ("地址不对", "请从首页的“工作人员登录”进入,不要用别的地址。"),
                    (
                        "Wrong address",
                        "Use the link “Staff: sign in” of the open pages, and no other address.",
                    ),
                ),
            ),
            Self::Photo { zh, en, back } => {
                let mut told = told(("照片没有存上", &zh), ("The photo was not saved", &en));
                told.zh.next = Some((back.clone(), "再拍一张".into()));
                told.en.next = Some((back, "Take another".into()));
                (StatusCode::UNPROCESSABLE_ENTITY, told)
            }
            Self::Bad(detail) => {
                tracing::info!(%detail, "a request that no page sends");
                (
                    StatusCode::BAD_REQUEST,
                    told(
                        ("没有看懂", "请返回上一页重新填写。"),
                        ("Not understood", "Go back and fill it in again."),
                    ),
                )
            }
            Self::KeyNeeded => {
                let mut told = told(
                    (
                        "要先登记安全密钥",
                        "本县规定:受理、决定都要用本人的安全密钥签名。向县信息员要一次性口令,登记以后再办;您填的没有提交。",
                    ),
                    (
                        "Register a security key first",
                        "This county demands that every step is signed on your own security key. Ask county IT for a one-time code and register it; nothing was submitted.",
                    ),
                );
                told.zh.next = Some(("/keys".into(), "登记安全密钥".into()));
                told.en.next = Some(("/keys".into(), "Register a security key".into()));
                (StatusCode::CONFLICT, told)
            }
            Self::NoNumbers => (
                StatusCode::SERVICE_UNAVAILABLE,
                told(
                    ("办件编号用完了", "请县信息员给这台盒子补发编号。已填的都在。"),
                    (
                        "No case numbers are left",
                        "Ask county IT to give this box more. Nothing typed is lost.",
                    ),
                ),
            ),
            Self::NoRoom(NoRoom::Full) => (
                StatusCode::INSUFFICIENT_STORAGE,
                told(
                    (
                        "磁盘满了",
                        "这一步没有存上;以前存的都在,会照常上传。请马上联系县信息员,腾出地方以前先用纸记。",
                    ),
                    (
                        "The disk is full",
                        "This step was not saved; everything saved before is kept and still goes to the county. Call county IT now, and use paper until there is room.",
                    ),
                ),
            ),
            Self::NoRoom(NoRoom::ReadOnly) => (
                StatusCode::INSUFFICIENT_STORAGE,
                told(
                    (
                        "磁盘只能读,存不上",
                        "磁盘坏了或被锁住,这一步没有存上;以前存的都在。请马上联系县信息员更换,先用纸记。",
                    ),
                    (
                        "The disk can only be read",
                        "It is broken or locked; this step was not saved, everything saved before is kept. Call county IT to replace it, and use paper until then.",
                    ),
                ),
            ),
            Self::Ours(detail) => {
                let number = short_number(&detail);
                tracing::error!(%number, %detail, "a request failed");
                let mut told = told(
                    (
                        "盒子出了问题",
                        "已经保存的都在。过 1 分钟再试;还不行,打电话给县信息员报下面的编号。",
                    ),
                    (
                        "Something went wrong here",
                        "What was saved is kept. Try again in a minute; if it fails again, tell county IT the number below.",
                    ),
                );
                told.zh.number.clone_from(&number);
                told.en.number = number;
                (StatusCode::INTERNAL_SERVER_ERROR, told)
            }
        };
        let mut response = (status, [(header::CACHE_CONTROL, "no-store")]).into_response();
        response.extensions_mut().insert(told);
        response
    }
}

/// Four characters by which the detail is found in the log.
fn short_number(detail: &str) -> String {
    let hash = cunkou_casework::suite::attachment_id(detail.as_bytes()).to_string();
    hash[..4].to_uppercase()
}

/// Percent-encodes what may not stand in a query.
#[must_use]
pub fn urlencode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                char::from(b).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect()
}
