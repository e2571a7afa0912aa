//! Calling a relay: over QUIC, and where that does not get through, inside a WebSocket on 443.

use crate::line::{Connection, Io};
use crate::profile::Settings;
use crate::reach::{self, Reached};
use crate::{LinkError, tls, web};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::Uri;
use tracing::debug;

/// The path of the WebSocket, unless told.
pub const LINK_PATH: &str = "/link";
/// A proxy's answer is never longer. Bytes.
const PROXY_ANSWER_MAX: usize = 8 * 1024;

/// How a relay is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// QUIC over UDP.
    Quic,
    /// A WebSocket over HTTPS.
    Web,
}

impl Way {
    /// The word in status.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Quic => "quic",
            Self::Web => "https",
        }
    }
}

/// How a box reaches out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// The settings of the transport.
    pub settings: Settings,
    /// An HTTP proxy (host:port) that is asked to CONNECT, for the WebSocket alone.
    pub proxy: Option<String>,
}

impl From<Settings> for Links {
    fn from(settings: Settings) -> Self {
        Self { settings, proxy: None }
    }
}

/// Where a relay is: `host:port`, for QUIC and, at the same host, `https://host:443/link`;
/// `host:port+https://name/path`, where the web server stands elsewhere; `host:port+` where
/// there is none; `https://name/path` alone, where QUIC is not to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    quic: Option<String>,
    web: Option<Uri>,
}

impl Place {
    /// The same relay over QUIC alone, written as in the list.
    pub(crate) fn only_quic(self) -> Option<String> {
        self.quic.map(|quic| format!("{quic}+"))
    }

    pub(crate) fn read(relay: &str) -> Result<Self, LinkError> {
        let bad = || LinkError::Setup(format!("{relay} is no address of a relay"));
        let uri = |text: &str| -> Result<Uri, LinkError> {
            let uri: Uri = text.parse().map_err(|_| bad())?;
            let fits = uri.scheme_str() == Some("https") && uri.host().is_some();
            fits.then_some(uri).ok_or_else(bad)
        };
        if relay.starts_with("https://") {
            return Ok(Self { quic: None, web: Some(uri(relay)?) });
        }
        if let Some(quic) = relay.strip_suffix('+') {
            return Ok(Self { quic: Some(quic.to_owned()), web: None });
        }
        if let Some((quic, web)) = relay.split_once('+') {
            return Ok(Self { quic: Some(quic.to_owned()), web: Some(uri(web)?) });
        }
        let (host, _) = relay.rsplit_once(':').ok_or_else(bad)?;
        let web = uri(&format!("https://{host}{LINK_PATH}")).ok();
        Ok(Self { quic: Some(relay.to_owned()), web })
    }
}

/// A relay that was reached.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) connection: Connection,
    pub(crate) way: Way,
    quic: Option<Reached>,
}

impl Called {
    /// Looks whether our own address has changed.
    pub(crate) fn look_around(&mut self) {
        if let Some(reached) = &mut self.quic {
            reached.look_around();
        }
    }

    /// Says goodbye and waits until it is said.
    pub(crate) async fn end(self) {
        self.connection.close(crate::CLOSE_DONE.into(), b"");
        match self.quic {
            Some(reached) => reached.end().await,
            None => {
                drop(self.connection);
            }
        }
    }
}

/// What a call is for.
pub(crate) struct Call<'a> {
    /// As the list of relays says it.
    pub(crate) relay: &'a str,
    /// The name in the relay's certificate.
    pub(crate) name: &'a str,
    pub(crate) tls: rustls::ClientConfig,
    pub(crate) links: &'a Links,
    /// One exchange instead of a conversation.
    pub(crate) single: bool,
}

impl Call<'_> {
    /// Reaches the relay, `first` this way, then the other, where the first is closed.
    pub(crate) async fn make(&self, first: Way) -> Result<Called, LinkError> {
        let place = Place::read(self.relay)?;
        let (quic, web) = (place.quic.as_deref(), place.web.as_ref());
        match (first, quic, web) {
            (_, Some(quic), None) => self.quic(quic).await,
            (_, None, Some(web)) => self.web(web).await,
            (Way::Quic, Some(quic), Some(web)) => match self.quic(quic).await {
                Err(error @ LinkError::Unreachable(_)) => {
                    self.web(web).await.map_err(|other| told(error, other))
                }
                result => result,
            },
            (Way::Web, Some(quic), Some(web)) => match self.web(web).await {
                Err(other @ LinkError::Unreachable(_)) => {
                    self.quic(quic).await.map_err(|error| told(error, other))
                }
                result => result,
            },
            (_, None, None) => Err(LinkError::Setup("a relay without an address".into())),
        }
    }

    async fn quic(&self, at: &str) -> Result<Called, LinkError> {
        let settings = &self.links.settings;
        let config = tls::quic_client(self.tls.clone(), settings)?;
        let reached = reach::quic(at, self.name, config, settings).await?;
        let connection = Connection::Quic(reached.connection.clone());
        Ok(Called { connection, way: Way::Quic, quic: Some(reached) })
    }

    async fn web(&self, at: &Uri) -> Result<Called, LinkError> {
        let settings = &self.links.settings;
        // Three handshakes one after another.
        let patience = settings.connect * 2;
        let shake = tokio::time::timeout(patience, Box::pin(self.shake(at))).await;
        let connection =
            shake.unwrap_or_else(|_| Err(unreachable("no answer over HTTPS".to_owned())))?;
        Ok(Called { connection: Connection::Web(connection), way: Way::Web, quic: None })
    }

    async fn shake(&self, at: &Uri) -> Result<web::Connection, LinkError> {
        let settings = &self.links.settings;
        let host = at.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = at.port_u16().unwrap_or(443);
        let (stream, remote) = match &self.links.proxy {
            Some(proxy) => through(proxy, host, port, settings).await?,
            None => knock(&format!("{host}:{port}"), settings).await?,
        };
        stream.set_nodelay(true).map_err(|e| unreachable(e.to_string()))?;
        // Whoever answers here may be a proxy of any kind: nothing is believed before the inner TLS.
        let name = rustls_pki_types::ServerName::try_from(bare)
            .map_err(|e| LinkError::Setup(e.to_string()))?;
        let outer = TlsConnector::from(Arc::new(tls::outer()?));
        let stream = outer.connect(name, stream).await.map_err(|e| unreachable(e.to_string()))?;
        let request = format!("wss://{}{}", at.authority().map_or(host, |a| a.as_str()), path(at));
        let request = request.into_client_request().map_err(|e| LinkError::Setup(e.to_string()))?;
        let (socket, _) =
            tokio_tungstenite::client_async_with_config(request, stream, Some(web::limits()))
                .await
                .map_err(|e| unreachable(format!("no way in over HTTPS: {e}")))?;
        debug!(%remote, "a WebSocket stands");
        web::call(socket, remote, self.name, self.tls.clone(), settings, self.single).await
    }
}

fn unreachable(why: String) -> LinkError {
    LinkError::Unreachable(why)
}

/// What says more than that nobody answers; of two that say no more, what QUIC said.
fn told(quic: LinkError, web: LinkError) -> LinkError {
    if matches!(web, LinkError::Unreachable(_)) { quic } else { web }
}

fn path(at: &Uri) -> &str {
    match at.path() {
        "" | "/" => LINK_PATH,
        path => path,
    }
}

async fn knock(at: &str, settings: &Settings) -> Result<(TcpStream, SocketAddr), LinkError> {
    let found = reach::addresses(at).await?;
    reach::race(found, settings.next_address, |to| async move {
        let stream = TcpStream::connect(to).await.map_err(|e| unreachable(e.to_string()))?;
        Ok((stream, to))
    })
    .await
}

/// Asks a proxy to carry a connection to `host`.
async fn through(
    proxy: &str,
    host: &str,
    port: u16,
    settings: &Settings,
) -> Result<(TcpStream, SocketAddr), LinkError> {
    let (mut stream, at) = knock(proxy, settings).await?;
    let broken = |e: std::io::Error| unreachable(format!("the proxy {proxy}: {e}"));
    let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let answer = head(&mut stream).await.map_err(broken)?;
    let first = answer.lines().next().unwrap_or_default().to_owned();
    if first.split(' ').nth(1) == Some("200") {
        return Ok((stream, at));
    }
    Err(unreachable(format!(
        "the proxy {proxy} says: {}",
        first.chars().take(80).collect::<String>()
    )))
}

/// The head of a proxy's answer, and not a byte more.
async fn head(stream: &mut (impl Io + ?Sized)) -> std::io::Result<String> {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= PROXY_ANSWER_MAX {
            return Err(std::io::Error::other("its answer is too long"));
        }
        answer.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_where_quic_is_and_where_the_web_server_is() {
        let place = |relay| Place::read(relay).expect("an address");
        let uri = |text: &str| Some(text.parse::<Uri>().expect("a URI"));
        let quic = |text: &str| Some(text.to_owned());
        let cases = [
            ("192.0.2.1:4443", quic("192.0.2.1:4443"), uri("https://192.0.2.1/link")),
            ("[2001:db8::1]:4443", quic("[2001:db8::1]:4443"), uri("https://[2001:db8::1]/link")),
            ("a:1+https://b/c", quic("a:1"), uri("https://b/c")),
            ("a:1+", quic("a:1"), None),
            ("https://b:8443", None, uri("https://b:8443")),
        ];
        for (relay, quic, web) in cases {
            assert_eq!(place(relay), Place { quic, web }, "{relay}");
        }
        for bad in ["", "relay", "a:1+http://b", "https://"] {
            assert!(matches!(Place::read(bad), Err(LinkError::Setup(_))), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_proxy_is_heard_up_to_the_end_of_its_head() {
        let (mut ours, mut theirs) = tokio::io::duplex(64);
        theirs.write_all(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nrest").await.expect("written");
        let head = head(&mut ours).await.expect("a head");
        assert!(head.starts_with("HTTP/1.1 200"));
        let mut rest = [0; 4];
        ours.read_exact(&mut rest).await.expect("the rest");
        assert_eq!(&rest, b"rest");
    }
}
