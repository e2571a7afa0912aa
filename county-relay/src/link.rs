//! Boxes that come in over HTTPS: one path beside the console's pages, for boxes alone. What is said
//! there is the link's matter.

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use axum::routing::get;
use cunkou_edge::serve::Peer;
use cunkou_link::{LINK_PATH, WebDoor};

/// The console's pages and the way in for boxes.
pub(crate) fn beside(pages: Router, door: WebDoor) -> Router {
    Router::new().route(LINK_PATH, get(welcome)).with_state(door).fallback_service(pages)
}

async fn welcome(
    State(door): State<WebDoor>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    mut request: Request,
) -> Response {
    door.welcome(&mut request, from).map(Body::from)
}
