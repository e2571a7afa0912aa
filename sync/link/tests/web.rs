//! The same conversation inside a WebSocket over HTTPS: a real web server in this process, whose
//! certificate nobody in the county vouches for, as that of a proxy that ends TLS.

mod county;

use county::*;
use cunkou_link::{
    Again, Dialer, Https, LinkHandle, LinkState, Links, Profile, Settings, Way, WebDoor,
    WebSettings, renew,
};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

fn quick() -> Settings {
    Settings {
        connect: Duration::from_millis(500),
        retry_first: Duration::from_millis(1),
        retry_most: Duration::from_millis(20),
        ..Settings::of(Profile::Wired)
    }
}

/// A web server that hands its connections on; gives its address as a list of relays says it.
async fn web_server(door: WebDoor) -> String {
    let key = rcgen::KeyPair::generate().expect("a key");
    let own = rcgen::CertificateParams::new(vec!["proxy.example".into()])
        .and_then(|params| params.self_signed(&key))
        .expect("a certificate");
    let settings = WebSettings::new(vec![own.der().to_vec()], key.serialize_der());
    let (_keep, settings) = watch::channel(settings.expect("settings"));
    let any = "127.0.0.1:0".parse().expect("an address");
    let mut https = Https::bind(any, settings).await.expect("a web server");
    let address = https.address();
    tokio::spawn(async move {
        loop {
            let (stream, from) = https.accept().await;
            let door = door.clone();
            let service = service_fn(move |mut request| {
                let answer = door.welcome(&mut request, from);
                async move { Ok::<_, Infallible>(answer) }
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::spawn(serving);
        }
    });
    format!("https://{address}/link")
}

struct Talking {
    link: LinkHandle,
    port: Arc<Empty>,
    task: JoinHandle<()>,
}

impl Drop for Talking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn talk(relay: &str, me: &Arc<Kept>, links: Links, quic: Duration) -> Talking {
    let port = Empty::new();
    let dialer = Dialer::new(vec![relay.to_owned()], me.clone(), port.clone())
        .with_links(links)
        .with_again(Again { quic, ..Again::default() });
    Talking { link: dialer.handle(), port, task: tokio::spawn(dialer.run(|| 0)) }
}

impl Talking {
    async fn over(&self, way: Way) {
        while self.link.contact().is_none_or(|contact| contact.way != way) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn sent_away(&self) -> String {
        loop {
            if let LinkState::Offline { why, refused: true } = self.link.state() {
                return why;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// An address where nobody listens.
fn nowhere() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("an address")
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn where_udp_does_not_get_through_a_box_talks_over_https_and_moves_to_quic_when_it_does() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    let (web, blocked) = (web_server(running.web.clone()).await, nowhere());
    let links = Links::from(quick());
    let talking = talk(&format!("{blocked}+{web}"), &me, links, Duration::from_millis(50));
    talking.over(Way::Web).await;
    assert_eq!(talking.port.met.lock().expect("as the test made it").len(), 1);
    // From here on what is sent there is carried to the relay.
    let wire = tokio::net::UdpSocket::bind(blocked).await.expect("a socket");
    let relay_at: SocketAddr = running.address.parse().expect("an address");
    tokio::spawn(async move {
        let mut bytes = [0; 65_536];
        let mut clients = std::collections::HashMap::new();
        let wire = Arc::new(wire);
        loop {
            let Ok((n, from)) = wire.recv_from(&mut bytes).await else { continue };
            if let std::collections::hash_map::Entry::Vacant(vacant) = clients.entry(from) {
                let on = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
                on.connect(relay_at).await.expect("a way");
                let (on, back) = (Arc::new(on), Arc::clone(&wire));
                vacant.insert(Arc::clone(&on));
                tokio::spawn(async move {
                    let mut bytes = [0; 65_536];
                    while let Ok(n) = on.recv(&mut bytes).await {
                        let _ = back.send_to(&bytes[..n], from).await;
                    }
                });
            }
            let _ = clients[&from].send(&bytes[..n]).await;
        }
    });
    talking.over(Way::Quic).await;
}

#[tokio::test]
async fn a_revoked_box_reads_over_https_why_it_is_sent_away() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    running.port.revoked.store(true, std::sync::atomic::Ordering::SeqCst);
    let web = web_server(running.web.clone()).await;
    let talking = talk(&web, &me, quick().into(), HOUR);
    assert!(talking.sent_away().await.contains("revoked"));
}

#[tokio::test]
async fn a_talking_box_that_is_revoked_reads_why_over_https() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    let web = web_server(running.web.clone()).await;
    let talking = talk(&web, &me, quick().into(), HOUR);
    talking.over(Way::Web).await;
    running.port.revoked.store(true, std::sync::atomic::Ordering::SeqCst);
    for told in running.port.told.lock().expect("as the test made it").iter() {
        told();
    }
    assert!(talking.sent_away().await.contains("revoked"));
}

#[tokio::test]
async fn who_ends_the_outer_tls_is_not_believed_to_be_the_relay() {
    let (relay, _root) = Relay::new();
    let (other, _other_root) = Relay::new();
    let (running, me) = (serve(&other), Kept::new(&relay));
    let web = web_server(running.web.clone()).await;
    let talking = talk(&web, &me, quick().into(), HOUR);
    assert!(talking.sent_away().await.contains("not of this county"));
    assert!(running.port.met.lock().expect("as the test made it").is_empty());
}

#[tokio::test]
async fn certificates_are_renewed_over_https() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    let web = web_server(running.web.clone()).await;
    let before = me.until();
    let now = BEGIN + 70 * DAY;
    relay.at(now);
    me.clock_at(now, now);
    renew(&web, me.clone()).await.expect("renewed");
    assert!(me.until() > before);
}

#[tokio::test]
async fn a_stopped_relay_says_so_over_https() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    let web = web_server(running.web.clone()).await;
    let talking = talk(&web, &me, quick().into(), HOUR);
    talking.over(Way::Web).await;
    drop(running);
    while talking.link.contact().is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let carried = talking.port.carried.lock().expect("as the test made it").clone();
    assert!(carried.iter().all(|(_, sent, received)| *sent > 500 && *received > 500));
    assert!(!carried.is_empty());
}

/// A proxy that carries what it is asked to CONNECT, and counts it.
async fn proxy() -> (String, Arc<std::sync::atomic::AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a proxy");
    let address = listener.local_addr().expect("an address").to_string();
    let carried = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = Arc::clone(&carried);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.expect("a client");
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.expect("a request"));
                }
                let head = String::from_utf8(head).expect("text");
                let to = head.split(' ').nth(1).expect("a target").to_owned();
                assert!(head.starts_with("CONNECT "));
                let mut server = TcpStream::connect(to).await.expect("a server");
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("written");
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, carried)
}

#[tokio::test]
async fn a_box_behind_an_http_proxy_talks_through_it() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    let web = web_server(running.web.clone()).await;
    let (proxy, carried) = proxy().await;
    let links = Links { settings: quick(), proxy: Some(proxy) };
    let talking = talk(&web, &me, links, HOUR);
    talking.over(Way::Web).await;
    assert_eq!(carried.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn who_enrols_behind_an_http_proxy_asks_through_it() {
    let (relay, root) = Relay::new();
    let running = serve(&relay);
    let web = web_server(running.web.clone()).await;
    let (proxy, carried) = proxy().await;
    let links = Links { settings: quick(), proxy: Some(proxy) };
    let hash = cunkou_link::fingerprint(root.certificate());
    let name = relay.bounds.relay_name();
    let fetched = cunkou_link::fetch_root(&[web], &name, &hash, &links).await;
    assert_eq!(fetched.expect("through the proxy"), root.certificate());
    assert!(carried.load(std::sync::atomic::Ordering::SeqCst) > 0);
}

#[tokio::test]
async fn a_browser_is_not_let_in() {
    let (relay, _root) = Relay::new();
    let running = serve(&relay);
    let from = nowhere();
    let ask = |origin: bool| {
        let mut request = hyper::Request::builder()
            .uri("/link")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        if origin {
            request = request.header("origin", "https://elsewhere.example");
        }
        let mut request = request.body(()).expect("a request");
        running.web.welcome(&mut request, from).status().as_u16()
    };
    assert_eq!(ask(true), 403);
    assert_eq!(ask(false), 101);
    let mut page = hyper::Request::builder().uri("/link").body(()).expect("a request");
    assert_eq!(running.web.welcome(&mut page, from).status().as_u16(), 426);
}
