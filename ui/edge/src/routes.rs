//! The table of routes: a route exists because it is declared here, with who may use it and what
//! it shows. The router is built from the table, and so is what the route crawler walks.

use crate::error::AppError;
use crate::look::{Looking, recorded};
use crate::web::FORM_BYTES_MAX;
use crate::{App, session};
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use cunkou_casework::county::Role;
use serde_json::{Value, json};
use std::sync::Arc;

/// A form that is too long is still read so far, to be refused in words. Bytes.
const FORM_DRAIN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody who reaches the machine.
    Anyone,
    /// Whoever is signed in here; which cases they see is the handler's matter.
    Signed,
    /// County IT.
    It,
    /// County IT, and the security administrators, who watch for clones and lost boxes.
    Machines,
    /// Audit administrators of the county.
    Audit,
    /// Data officers of the county.
    Data,
    /// Who may agree to an erasure: data officers, and reviewers as the second person.
    Erasing,
}

/// What a route shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// Nothing about anybody.
    Nothing,
    /// Personal data, numbers masked unless they are asked for: looking is recorded.
    Personal,
    /// Personal data with full numbers: looking is recorded as such.
    Full,
}

/// One route.
pub struct Route {
    method: &'static str,
    path: &'static str,
    who: Who,
    shows: Shows,
    body_max: Option<usize>,
    handler: MethodRouter<Arc<App>>,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {:?} {:?}", self.method, self.path, self.who, self.shows)
    }
}

/// All routes of a program.
#[derive(Debug, Default)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// Pages and files: they change nothing.
    #[must_use]
    pub fn get<H, T>(mut self, path: &'static str, who: Who, shows: Shows, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        let handler = get(handler);
        self.0.push(Route { method: "GET", path, who, shows, body_max: None, handler });
        self
    }

    /// Forms: they change something and must come from one of our own pages.
    #[must_use]
    pub fn post<H, T>(mut self, path: &'static str, who: Who, shows: Shows, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        let handler = post(handler);
        self.0.push(Route { method: "POST", path, who, shows, body_max: None, handler });
        self
    }

    /// The last route takes bodies of so many bytes.
    #[must_use]
    pub fn body(mut self, bytes: usize) -> Self {
        if let Some(route) = self.0.last_mut() {
            route.body_max = Some(bytes);
        }
        self
    }

    /// These and those.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The table, for the route crawler.
    #[must_use]
    pub fn describe(&self) -> Value {
        let row = |route: &Route| {
            json!({
                "method": route.method, "path": route.path,
                "who": match route.who {
                    Who::Anyone => "anyone",
                    Who::Signed => "signed",
                    Who::It => "it",
                    Who::Machines => "machines",
                    Who::Audit => "audit",
                    Who::Data => "data",
                    Who::Erasing => "erasing",
                },
                "changes": route.method != "GET",
                "personal": route.shows != Shows::Nothing,
            })
        };
        json!({
            "schema": 1,
            "routes": self.0.iter().map(row).collect::<Vec<_>>(),
            "open": crate::open::PATHS,
        })
    }

    /// The router, each route behind the guard that its row asks for.
    pub(crate) fn router(self, app: &Arc<App>) -> Router<Arc<App>> {
        self.0.into_iter().fold(Router::new(), |router, route| {
            let handler = match route.body_max {
                Some(bytes) => route.handler.layer(DefaultBodyLimit::max(bytes)),
                None => route.handler.layer(from_fn(whole_form)),
            };
            let handler = match route.shows {
                Shows::Nothing => handler,
                shows => handler.layer(from_fn_with_state(
                    Looking {
                        app: Arc::clone(app),
                        what: format!("{} {}", route.method, route.path),
                        full: shows == Shows::Full,
                    },
                    recorded,
                )),
            };
            let guarded = match route.who {
                Who::Anyone => handler,
                who => handler.layer(from_fn_with_state((Arc::clone(app), who), guard)),
            };
            router.route(route.path, guarded)
        })
    }
}

/// Reads a form to its end before it is judged: over TLS a browser that is still sending when we
/// answer and close sees a broken connection instead of our words.
async fn whole_form(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match axum::body::to_bytes(body, FORM_DRAIN_BYTES_MAX).await {
        Ok(bytes) if bytes.len() <= FORM_BYTES_MAX => {
            next.run(Request::from_parts(parts, Body::from(bytes))).await
        }
        _ => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    }
}

/// Lets through who may: a handler that forgets to ask is still not reached.
async fn guard(
    State((app, who)): State<(Arc<App>, Who)>,
    request: Request,
    next: Next,
) -> Response {
    // The handler takes it again, and says whether that is use.
    let Some(session) = app.sessions.still(request.headers(), app.replica.now_ms()) else {
        let here = request.uri().path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let htmx = request.headers().contains_key("hx-request");
        let next = session::back_to(&session::page_of(request.headers(), &here));
        return AppError::SignIn { next, htmx }.into_response();
    };
    let roles: &[Role] = match who {
        Who::Anyone | Who::Signed => &[],
        Who::It => &[Role::It],
        Who::Machines => &[Role::It, Role::Security],
        Who::Audit => &[Role::Audit],
        Who::Data => &[Role::DataOfficer],
        Who::Erasing => &[Role::DataOfficer, Role::Reviewer],
    };
    if !roles.is_empty() && !session.posts.iter().any(|p| roles.contains(&p.role)) {
        return AppError::Forbidden.into_response();
    }
    next.run(request).await
}
