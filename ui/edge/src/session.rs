//! Who is signed in, in which browser.

use crate::error::AppError;
use crate::{App, Office};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use cunkou_casework::county::{CountyLog, Post, Role};
use cunkou_casework::ids::{PersonId, PlaceId};
use cunkou_casework::suite::SecretKey;
use cunkou_replica::{Replica, Who};
use cunkou_ui::Lang;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A session that was not used for so long is over. Milliseconds.
const IDLE_MS: i64 = 30 * 60 * 1000;
/// No more sessions than this; the longest unused gives way.
const SESSIONS_MAX: usize = 200;
const COOKIE: &str = "cunkou";

/// Somebody signed in.
#[derive(Clone, Debug)]
pub struct Session {
    /// Who.
    pub person: PersonId,
    /// Name.
    pub name: String,
    /// What they may do.
    pub posts: Vec<Post>,
    /// Their own key, opened by their PIN.
    pub key: Option<Arc<SecretKey>>,
    /// In the practice room.
    pub practice: bool,
    used_ms: i64,
}

/// All sessions, in memory only: after a restart everybody signs in again, nothing typed and
/// saved is lost.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<BTreeMap<String, Session>>);

impl Sessions {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a session; gives its token.
    pub fn begin(
        &self,
        replica: &Replica,
        person: &cunkou_casework::county::Person,
        key: Option<SecretKey>,
    ) -> String {
        let mut token = [0; 32];
        replica.draw(&mut token);
        let token: String = token.iter().map(|b| format!("{b:02x}")).collect();
        let session = Session {
            person: person.id,
            name: person.name.clone(),
            posts: person.posts.clone(),
            key: key.map(Arc::new),
            practice: false,
            used_ms: replica.now_ms(),
        };
        let mut all = self.lock();
        if all.len() >= SESSIONS_MAX
            && let Some(oldest) =
                all.iter().min_by_key(|(_, s)| s.used_ms).map(|(token, _)| token.clone())
        {
            all.remove(&oldest);
        }
        all.insert(token.clone(), session);
        token
    }

    /// The session of a token, if it is not over.
    pub fn find(&self, token: &str, now_ms: i64) -> Option<Session> {
        let mut all = self.lock();
        let session = all.get_mut(token)?;
        if now_ms - session.used_ms > IDLE_MS {
            all.remove(token);
            return None;
        }
        session.used_ms = session.used_ms.max(now_ms);
        Some(session.clone())
    }

    /// Whether anybody is signed in.
    pub fn anybody(&self, now_ms: i64) -> bool {
        self.lock().values().any(|session| now_ms - session.used_ms <= IDLE_MS)
    }

    /// Ends every session; their keys are wiped.
    pub fn end_all(&self) {
        self.lock().clear();
    }

    /// Ends a session.
    pub fn end(&self, token: &str) {
        self.lock().remove(token);
    }

    /// Enters or leaves the practice room.
    pub fn set_practice(&self, token: &str, practice: bool) {
        if let Some(session) = self.lock().get_mut(token) {
            session.practice = practice;
        }
    }
}

/// A cookie of a request.
#[must_use]
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// The token of a request.
#[must_use]
pub fn token(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, COOKIE)
}

/// The header that sets a cookie; an empty value takes it away.
#[must_use]
pub fn set_cookie(name: &str, value: &str) -> String {
    let age = if value.is_empty() { "; Max-Age=0" } else { "" };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{age}")
}

/// The header that begins a session in a browser.
#[must_use]
pub fn session_cookie(token: &str) -> String {
    set_cookie(COOKIE, token)
}

/// The language a browser has chosen.
#[must_use]
pub fn lang(headers: &HeaderMap) -> Lang {
    if cookie(headers, "lang") == Some("en") { Lang::En } else { Lang::Zh }
}

/// A handler's proof that somebody is signed in.
#[derive(Clone, Debug)]
pub struct Signed {
    /// What all handlers share.
    pub app: Arc<App>,
    /// Who.
    pub session: Session,
    /// Language.
    pub lang: Lang,
    /// Large letters.
    pub big: bool,
    /// The address asked for, to come back to.
    pub here: String,
    /// What was just done, a word of the code.
    pub done: Option<String>,
}

impl FromRequestParts<Arc<App>> for Signed {
    type Rejection = AppError;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &Arc<App>,
    ) -> Result<Self, Self::Rejection> {
        let here = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let found =
            token(&parts.headers).and_then(|token| app.sessions.find(token, app.replica.now_ms()));
        let Some(session) = found else {
            let htmx = parts.headers.contains_key("hx-request");
            return Err(AppError::SignIn { next: here, htmx });
        };
        let query = parts.uri.query().unwrap_or_default();
        let done = query.split('&').find_map(|p| p.strip_prefix("done=")).map(str::to_owned);
        Ok(Self {
            app: Arc::clone(app),
            session,
            lang: lang(&parts.headers),
            big: cookie(&parts.headers, "big") == Some("on"),
            here,
            done,
        })
    }
}

impl Signed {
    /// The replica this person works on: the real one, or the practice room's.
    #[must_use]
    pub fn replica(&self) -> &Arc<Replica> {
        match (self.session.practice, self.app.practice.get()) {
            (true, Some(practice)) => &practice.replica,
            _ => &self.app.replica,
        }
    }

    /// Who acts.
    #[must_use]
    pub fn who(&self) -> Who<'_> {
        match (self.session.practice, self.app.practice.get()) {
            (true, Some(practice)) => Who { person: practice.person, key: Some(&practice.key) },
            _ => Who { person: self.session.person, key: self.session.key.as_deref() },
        }
    }

    /// True when the person has this role here.
    #[must_use]
    pub fn is(&self, role: Role) -> bool {
        self.session.posts.iter().any(|p| p.role == role)
    }

    /// Whether the person may see a case of this village and department.
    #[must_use]
    pub fn may_see(&self, county: &CountyLog, place: PlaceId, department: &str) -> bool {
        if self.session.practice {
            return true;
        }
        self.session.posts.iter().any(|post| match post.role {
            Role::Agent => post.place == place && self.app.office == Office::Village,
            Role::Township => county.township_of(place) == Some(post.place),
            Role::Reviewer => post.department.as_deref() == Some(department),
            Role::Finance | Role::It => false,
        })
    }

    /// Whether the person may see the residents of this village.
    #[must_use]
    pub fn may_see_residents(&self, place: PlaceId) -> bool {
        self.may_see(&self.replica().county(), place, "\u{0}")
    }
}
