//! Who is signed in, in which browser.

use crate::error::AppError;
use crate::standing::Known;
use crate::{App, Office};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Uri, header};
use axum::response::AppendHeaders;
use cunkou_casework::county::{CountyLog, Post, Role};
use cunkou_casework::ids::{AttachmentId, PersonId, PlaceId, SubjectId};
use cunkou_casework::looking::Purpose;
use cunkou_casework::sensitive::may_uncover;
use cunkou_casework::suite::{SecretKey, attachment_id};
use cunkou_replica::{Replica, Who};
use cunkou_store::StoreError;
use cunkou_ui::Lang;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A session that was not used for so long is over. Milliseconds.
const IDLE_MS: i64 = 10 * 60 * 1000;
/// No more sessions than this; the longest unused gives way.
const SESSIONS_MAX: usize = 200;
/// `__Host-`: the browser takes it over TLS alone, for this host alone, from no subdomain.
const COOKIE: &str = "__Host-cunkou";
/// Names a tablet for as long as its browser keeps it: a session lives on the tablet where it began.
const TABLET: &str = "__Host-tablet";
/// Searches that a session remembers, so that their words stand in no address.
const SEARCHES: usize = 20;
/// Purposes that a session remembers; the oldest is asked for again.
const PURPOSES: usize = 100;

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
    /// Names this session, without giving its token away.
    pub id: AttachmentId,
    tablet: String,
    searches: Vec<(String, String)>,
    purposes: Vec<(SubjectId, Purpose)>,
    used_ms: i64,
}

impl Session {
    /// What this session looks at a case or resident for; nothing while nobody asked.
    #[must_use]
    pub fn purpose(&self, subject: SubjectId) -> Option<Purpose> {
        self.purposes.iter().rev().find(|(s, _)| *s == subject).map(|(_, purpose)| *purpose)
    }

    /// The words of an earlier search; none when it was forgotten.
    #[must_use]
    pub fn searched(&self, handle: &str) -> Option<&str> {
        self.searches.iter().find(|(h, _)| h == handle).map(|(_, text)| text.as_str())
    }
}

fn drawn(replica: &Replica, bytes: usize) -> String {
    let mut token = vec![0; bytes];
    replica.draw(&mut token);
    cunkou_casework::hex::encode(&token)
}

/// All sessions, in memory only: after a restart everybody signs in again, nothing typed and
/// saved is lost.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<BTreeMap<String, Session>>);

impl Sessions {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a session on the tablet of a request, instead of the one that it had there; gives
    /// the cookies to set. The token is new at every sign-in.
    pub fn begin(
        &self,
        replica: &Replica,
        person: &cunkou_casework::county::Person,
        key: Option<SecretKey>,
        headers: &HeaderMap,
    ) -> AppendHeaders<Vec<(HeaderName, String)>> {
        let token = drawn(replica, 32);
        let known = cookie(headers, TABLET).filter(|t| t.len() == 64).map(str::to_owned);
        let mut cookies = vec![(header::SET_COOKIE, set_cookie(COOKIE, &token))];
        let tablet = known.unwrap_or_else(|| {
            let new = drawn(replica, 32);
            cookies.push((header::SET_COOKIE, lasting_cookie(TABLET, &new)));
            new
        });
        let session = Session {
            person: person.id,
            name: person.name.clone(),
            posts: person.posts.clone(),
            key: key.map(Arc::new),
            practice: false,
            id: attachment_id(token.as_bytes()),
            tablet: tablet.clone(),
            searches: Vec::new(),
            purposes: Vec::new(),
            used_ms: replica.now_ms(),
        };
        let mut all = self.lock();
        all.retain(|_, other| other.tablet != tablet);
        if all.len() >= SESSIONS_MAX
            && let Some(oldest) =
                all.iter().min_by_key(|(_, s)| s.used_ms).map(|(token, _)| token.clone())
        {
            all.remove(&oldest);
        }
        all.insert(token, session);
        AppendHeaders(cookies)
    }

    /// The session of a request, if it is not over and has not left its tablet; it is used by this.
    pub fn of(&self, headers: &HeaderMap, now_ms: i64) -> Option<Session> {
        self.find(headers, now_ms, true)
    }

    /// The same for a request that says nothing of anybody being there.
    pub fn still(&self, headers: &HeaderMap, now_ms: i64) -> Option<Session> {
        self.find(headers, now_ms, false)
    }

    fn find(&self, headers: &HeaderMap, now_ms: i64, used: bool) -> Option<Session> {
        let token = token(headers)?;
        let mut all = self.lock();
        let session = all.get_mut(token)?;
        if cookie(headers, TABLET) != Some(session.tablet.as_str()) {
            all.remove(token);
            return None;
        }
        if now_ms - session.used_ms > IDLE_MS {
            all.remove(token);
            return None;
        }
        if used {
            session.used_ms = session.used_ms.max(now_ms);
        }
        Some(session.clone())
    }

    /// Remembers the words of a search; gives the handle that stands for them in addresses.
    pub fn remember(&self, replica: &Replica, headers: &HeaderMap, text: &str) -> String {
        let handle = drawn(replica, 6);
        let mut all = self.lock();
        if let Some(session) = token(headers).and_then(|token| all.get_mut(token)) {
            if session.searches.len() >= SEARCHES {
                session.searches.remove(0);
            }
            session.searches.push((handle.clone(), text.to_owned()));
        }
        handle
    }

    /// Remembers what a session looks at a case or resident for.
    pub fn looks_for(&self, session: AttachmentId, subject: SubjectId, purpose: Purpose) {
        let mut all = self.lock();
        if let Some(session) = all.values_mut().find(|s| s.id == session) {
            session.purposes.retain(|(s, _)| *s != subject);
            if session.purposes.len() >= PURPOSES {
                session.purposes.remove(0);
            }
            session.purposes.push((subject, purpose));
        }
    }

    /// Whether anybody is signed in.
    pub fn anybody(&self, now_ms: i64) -> bool {
        self.lock().values().any(|session| now_ms - session.used_ms <= IDLE_MS)
    }

    /// Ends every session; their keys are wiped.
    pub fn end_all(&self) {
        self.lock().clear();
    }

    /// Ends every session of a person; with `but`, that one stays.
    pub fn end_of(&self, person: PersonId, but: Option<AttachmentId>) {
        self.lock().retain(|_, s| s.person != person || Some(s.id) == but);
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
    format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Strict{age}")
}

fn lasting_cookie(name: &str, value: &str) -> String {
    // Browsers keep nothing for more than 400 days.
    format!("{}; Max-Age=34560000", set_cookie(name, value))
}

/// The header that takes the session from a browser.
#[must_use]
pub fn no_session_cookie() -> String {
    set_cookie(COOKIE, "")
}

/// The header that keeps a choice of how pages look: `lang` or `big`.
#[must_use]
pub fn choice_cookie(what: &str, value: &str) -> String {
    lasting_cookie(&format!("__Host-{what}"), value)
}

/// The language a browser has chosen.
#[must_use]
pub fn lang(headers: &HeaderMap) -> Lang {
    if cookie(headers, "__Host-lang") == Some("en") { Lang::En } else { Lang::Zh }
}

/// Whether a browser has chosen large letters.
#[must_use]
pub fn big(headers: &HeaderMap) -> bool {
    cookie(headers, "__Host-big") == Some("on")
}

/// Whether a page asks this by itself, every few seconds: nobody needs to be there for it. The
/// script says with `here` that somebody types or points.
#[must_use]
pub fn renews_itself(uri: &Uri) -> bool {
    let asks = |name: &str| {
        let query = uri.query().unwrap_or_default();
        query.split('&').any(|pair| pair.split('=').next() == Some(name))
    };
    let path = uri.path();
    let bar = path == "/sync/bar" && !asks("here");
    bar || path.ends_with("/progress") || (path == "/cases" && asks("fragment"))
}

/// Where to come back to after a page's own request found the session over: the page, not the part.
#[must_use]
pub fn page_of(headers: &HeaderMap, here: &str) -> String {
    let page = headers.get("hx-current-url").and_then(|url| url.to_str().ok());
    let path = page.and_then(|url| url.split_once("://")?.1.split_once('/')).map(|(_, path)| path);
    path.map_or_else(|| here.to_owned(), |path| format!("/{path}"))
}

/// An address to come back to after signing in: what was searched for and what was just done is
/// left behind.
#[must_use]
pub fn back_to(here: &str) -> String {
    let (path, query) = here.split_once('?').unwrap_or((here, ""));
    let kept: Vec<&str> = query.split('&').filter(|pair| pair.starts_with("show=")).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
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
    /// The request sends a form.
    pub sends: bool,
    /// What the request knows of the replica, once somebody asked.
    pub(crate) known: Arc<OnceLock<Arc<Known>>>,
}

impl FromRequestParts<Arc<App>> for Signed {
    type Rejection = AppError;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &Arc<App>,
    ) -> Result<Self, Self::Rejection> {
        let here = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let now = app.replica.now_ms();
        let found = match renews_itself(&parts.uri) {
            true => app.sessions.still(&parts.headers, now),
            false => app.sessions.of(&parts.headers, now),
        };
        let Some(session) = found else {
            let htmx = parts.headers.contains_key("hx-request");
            let next = back_to(&page_of(&parts.headers, &here));
            return Err(AppError::SignIn { next, htmx });
        };
        let query = parts.uri.query().unwrap_or_default();
        let done = query.split('&').find_map(|p| p.strip_prefix("done=")).map(str::to_owned);
        Ok(Self {
            app: Arc::clone(app),
            session,
            lang: lang(&parts.headers),
            big: big(&parts.headers),
            here,
            done,
            sends: !parts.method.is_safe(),
            known: Arc::default(),
        })
    }
}

impl Signed {
    /// What is known of this machine's replica: read once for a request, whatever asks for it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn known(&self) -> Result<Arc<Known>, StoreError> {
        if let Some(known) = self.known.get() {
            return Ok(Arc::clone(known));
        }
        let known = Arc::new(Known::of(&self.app)?);
        Ok(Arc::clone(self.known.get_or_init(|| known)))
    }

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

    /// Whether the person may ever see what tells of special groups.
    #[must_use]
    pub fn may_uncover(&self) -> bool {
        self.session.practice || self.session.posts.iter().any(|p| may_uncover(p.role))
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
            Role::Finance | Role::It | Role::Security | Role::Audit | Role::DataOfficer => false,
        })
    }

    /// Whether the person may see the residents of this village.
    #[must_use]
    pub fn may_see_residents(&self, place: PlaceId) -> bool {
        self.may_see(&self.replica().county(), place, "\u{0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed_in(used_ms: i64) -> (Sessions, HeaderMap) {
        let sessions = Sessions::default();
        let session = Session {
            person: PersonId([1; 16]),
            name: "李建国".into(),
            posts: Vec::new(),
            key: None,
            practice: false,
            id: AttachmentId([2; 32]),
            tablet: "tablet".into(),
            searches: Vec::new(),
            purposes: Vec::new(),
            used_ms,
        };
        sessions.lock().insert("token".into(), session);
        let mut headers = HeaderMap::new();
        let cookies = format!("{COOKIE}=token; {TABLET}=tablet").parse().expect("a header");
        headers.insert(header::COOKIE, cookies);
        (sessions, headers)
    }

    #[test]
    fn a_page_that_only_renews_itself_keeps_nobody_signed_in() {
        let (sessions, headers) = signed_in(0);
        for minute in 1..=10 {
            assert!(sessions.still(&headers, minute * 60_000).is_some(), "minute {minute}");
        }
        assert!(sessions.still(&headers, IDLE_MS + 1).is_none());
        assert!(sessions.of(&headers, IDLE_MS + 1).is_none(), "and it does not come back");
        let (sessions, headers) = signed_in(0);
        assert!(sessions.of(&headers, IDLE_MS - 1).is_some(), "somebody is there");
        assert!(sessions.still(&headers, 2 * IDLE_MS - 2).is_some());
        assert!(sessions.anybody(2 * IDLE_MS - 2) && !sessions.anybody(2 * IDLE_MS));
    }

    #[test]
    fn what_pages_ask_by_themselves_is_told_from_what_people_ask() {
        for (address, alone) in [
            ("/sync/bar", true),
            ("/sync/bar?here=1", false),
            ("/cases/0011/progress", true),
            ("/sync/progress", true),
            ("/sync", false),
            ("/cases?show=mine&from=0&fragment=1", true),
            ("/cases?show=mine", false),
            ("/cases/0011", false),
            ("/", false),
        ] {
            assert_eq!(renews_itself(&address.parse().expect("an address")), alone, "{address}");
        }
    }

    #[test]
    fn the_way_back_leads_to_the_page_and_not_to_its_part() {
        let mut headers = HeaderMap::new();
        assert_eq!(page_of(&headers, "/cases"), "/cases");
        let page = "https://box-1.c1.home.arpa:8443/cases/0011?full=1";
        headers.insert("hx-current-url", page.parse().expect("a header"));
        assert_eq!(back_to(&page_of(&headers, "/sync/bar")), "/cases/0011");
    }
}
