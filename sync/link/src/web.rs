//! A connection inside a WebSocket, for networks where only HTTPS on port 443 leaves, through
//! proxies that may end its TLS.
//!
//! Nothing outside is believed. Inside the WebSocket the two sides run the same mutual TLS 1.3 with
//! the same device certificates as over QUIC; inside that, once the relay has looked at who calls,
//! streams share the line by yamux. Whoever ends the outer TLS sees records of the inner one.
//!
//! Layers: TCP – TLS of the web server or proxy – WebSocket – TLS between the devices – lanes.

use crate::LinkError;
use crate::line::{Closed, Io, RecvStream, SendStream, halves};
use crate::profile::Settings;
use futures_util::{SinkExt, StreamExt};
use rustls_pki_types::{CertificateDer, ServerName};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};
use tracing::debug;

/// Between the WebSocket and the inner TLS. Bytes each way.
const BUFFER: usize = 32 * 1024;
/// A message of the WebSocket is never longer. Bytes.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Lanes open at once, of both sides together, and what may lie unread in all of them.
const LANES_MAX: usize = 32;
const UNREAD_BYTES_MAX: usize = LANES_MAX * 256 * 1024;
/// Saying goodbye may take so long.
const GOODBYE: Duration = Duration::from_secs(2);
/// The box opens its first lane so soon after it was let in.
const BEGIN: Duration = Duration::from_secs(30);
/// Words of a goodbye are never longer. Bytes.
const WORDS_MAX: usize = 512;
/// In place of a close code: the relay lets the caller in.
const WELCOME: u32 = u32::MAX;

/// The settings of every WebSocket here: small messages, nothing kept beyond one.
pub(crate) fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MESSAGE_BYTES_MAX)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
}

enum Order {
    /// The caller is let in.
    Begin,
    Open(oneshot::Sender<yamux::Stream>),
    Close(u32, Vec<u8>),
}

/// One connection; the last of its copies closes it.
#[derive(Clone, Debug)]
pub(crate) struct Connection(Arc<Shared>);

struct Shared {
    certificate: Option<CertificateDer<'static>>,
    alpn: Option<Vec<u8>>,
    remote: SocketAddr,
    closed: watch::Receiver<Option<Closed>>,
    meter: Arc<Meter>,
    kind: Kind,
}

enum Kind {
    /// Many lanes.
    Lanes { orders: mpsc::UnboundedSender<Order>, inbound: Mutex<mpsc::Receiver<yamux::Stream>> },
    /// A single exchange: enrolment and renewal, which strangers may begin.
    Single(Mutex<Option<Box<TlsStream<DuplexStream>>>>),
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "web::Connection({})", self.remote)
    }
}

impl std::fmt::Debug for Box<dyn Io> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("lane")
    }
}

/// What went through a WebSocket.
#[derive(Debug, Default)]
struct Meter {
    sent: AtomicU64,
    received: AtomicU64,
}

/// Beside its bytes a message takes about so many for WebSocket, outer TLS, TCP and IP.
const HEADERS: u64 = 60;

fn count(counter: &AtomicU64, message: &Message) {
    counter.fetch_add(message.len() as u64 + HEADERS, Ordering::Relaxed);
}

/// Carries bytes between a WebSocket and what runs inside, until one of them ends.
async fn pump<S: Io>(
    socket: WebSocketStream<S>,
    inside: DuplexStream,
    beat: Option<Duration>,
    silence: Duration,
    meter: &Meter,
) -> Closed {
    let (mut to, mut from) = socket.split();
    let (mut read, mut write) = tokio::io::split(inside);
    let broken = |e: tokio_tungstenite::tungstenite::Error| Closed::Broken(e.to_string());
    let up = async {
        let mut buffer = vec![0; BUFFER];
        // Proxies forget a connection over which nothing goes.
        let mut beats = tokio::time::interval(beat.unwrap_or(Duration::MAX / 4));
        beats.reset();
        loop {
            let message = tokio::select! {
                read = read.read(&mut buffer) => match read {
                    Ok(n) if n > 0 => Message::binary(buffer[..n].to_vec()),
                    _ => {
                        let _ = tokio::time::timeout(GOODBYE, to.close()).await;
                        return Closed::Broken("ended".into());
                    }
                },
                _ = beats.tick(), if beat.is_some() => Message::Ping(Vec::new().into()),
            };
            count(&meter.sent, &message);
            // Who takes nothing for so long is gone, even if something is still heard of it.
            match tokio::time::timeout(silence, to.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => return broken(e),
                Err(_) => return Closed::Silent,
            }
        }
    };
    let down = async {
        loop {
            let message = match tokio::time::timeout(silence, from.next()).await {
                Err(_) => return Closed::Silent,
                Ok(None) => return Closed::Broken("the WebSocket ended".into()),
                Ok(Some(Err(e))) => return broken(e),
                Ok(Some(Ok(message))) => message,
            };
            count(&meter.received, &message);
            if let Message::Binary(bytes) = message
                && write.write_all(&bytes).await.is_err()
            {
                // We ended it; what goes up says goodbye.
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        why = up => why,
        why = down => why,
    }
}

/// The inner end of a WebSocket, and why it ended once it has.
fn inside<S: Io>(socket: WebSocketStream<S>, settings: &Settings) -> (DuplexStream, Ended) {
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    let (told, ended) = watch::channel(None);
    let (beat, silence) = (settings.keep_alive, settings.silence);
    let meter = Arc::new(Meter::default());
    let ended = Ended { why: ended, meter: Arc::clone(&meter) };
    tokio::spawn(async move {
        let why = pump(socket, theirs, beat, silence, &meter).await;
        debug!(?why, "a WebSocket ended");
        told.send_replace(Some(why));
    });
    (ours, ended)
}

/// Why a WebSocket ended, once it has, and what it carried.
#[derive(Clone)]
struct Ended {
    why: watch::Receiver<Option<Closed>>,
    meter: Arc<Meter>,
}

fn in_tls(e: &std::io::Error) -> LinkError {
    use rustls::AlertDescription as Alert;
    let error = e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    match error {
        Some(rustls::Error::InvalidCertificate(_)) => {
            LinkError::OtherCounty("the relay's certificate is not of this county".into())
        }
        Some(rustls::Error::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::CertificateRequired
            | Alert::DecryptError,
        )) => LinkError::OtherCounty("the relay does not accept this box's certificate".into()),
        _ => LinkError::Unreachable(format!("over HTTPS: {e}")),
    }
}

/// The box's side: TLS with the relay inside the WebSocket, and lanes if the relay lets it in.
pub(crate) async fn call<S: Io>(
    socket: WebSocketStream<S>,
    remote: SocketAddr,
    name: &str,
    tls: rustls::ClientConfig,
    settings: &Settings,
    single: bool,
) -> Result<Connection, LinkError> {
    let (ours, ended) = inside(socket, settings);
    let name =
        ServerName::try_from(name.to_owned()).map_err(|e| LinkError::Setup(e.to_string()))?;
    let stream = TlsConnector::from(Arc::new(tls)).connect(name, ours);
    let mut stream = TlsStream::from(stream.await.map_err(|e| in_tls(&e))?);
    if single {
        return Ok(Connection::single(stream, remote, ended));
    }
    // A certificate that the relay does not take shows only here.
    match goodbye(&mut stream).await {
        Ok((WELCOME, _)) => {}
        Ok((code, words)) => return Err(Closed::Said(code, words).explain()),
        Err(e) => return Err(in_tls(&e)),
    }
    Ok(Connection::lanes(stream, remote, ended, yamux::Mode::Client))
}

/// The relay's side: who calls is known by the certificate, and let in by the first stream that is
/// accepted.
pub(crate) async fn answer<S: Io>(
    socket: WebSocketStream<S>,
    remote: SocketAddr,
    tls: Arc<rustls::ServerConfig>,
    settings: &Settings,
) -> Result<Connection, LinkError> {
    let (ours, ended) = inside(socket, settings);
    let stream = TlsAcceptor::from(tls).accept(ours).await.map_err(|e| in_tls(&e))?;
    let single = stream.get_ref().1.alpn_protocol() != Some(crate::ALPN_SYNC);
    let stream = TlsStream::from(stream);
    if single {
        return Ok(Connection::single(stream, remote, ended));
    }
    Ok(Connection::lanes(stream, remote, ended, yamux::Mode::Server))
}

/// Reads a code and words.
async fn goodbye(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<(u32, Vec<u8>)> {
    let code = stream.read_u32().await?;
    let length = usize::from(stream.read_u16().await?);
    if length > WORDS_MAX {
        return Err(std::io::Error::other("a goodbye that is too long"));
    }
    let mut words = vec![0; length];
    stream.read_exact(&mut words).await?;
    Ok((code, words))
}

async fn say(
    stream: &mut (impl AsyncWrite + Unpin),
    code: u32,
    words: &[u8],
) -> std::io::Result<()> {
    let words = &words[..words.len().min(WORDS_MAX)];
    let length = u16::try_from(words.len()).unwrap_or(0);
    let message = [&code.to_be_bytes()[..], &length.to_be_bytes(), words].concat();
    stream.write_all(&message).await?;
    stream.flush().await
}

type Mux = yamux::Connection<Compat<TlsStream<DuplexStream>>>;

impl Connection {
    fn new(
        stream: &TlsStream<DuplexStream>,
        remote: SocketAddr,
        closed: watch::Receiver<Option<Closed>>,
        meter: Arc<Meter>,
        kind: Kind,
    ) -> Self {
        let (_, session) = stream.get_ref();
        let certificate = session.peer_certificates().and_then(|chain| chain.first());
        let certificate = certificate.map(|certificate| certificate.clone().into_owned());
        let alpn = session.alpn_protocol().map(<[u8]>::to_vec);
        Self(Arc::new(Shared { certificate, alpn, remote, closed, meter, kind }))
    }

    fn single(stream: TlsStream<DuplexStream>, remote: SocketAddr, ended: Ended) -> Self {
        let closed = ended.why.clone();
        let kind = Kind::Single(Mutex::default());
        let mut this = Self::new(&stream, remote, closed, ended.meter, kind);
        if let Some(shared) = Arc::get_mut(&mut this.0) {
            shared.kind = Kind::Single(Mutex::new(Some(Box::new(stream))));
        }
        this
    }

    fn lanes(
        stream: TlsStream<DuplexStream>,
        remote: SocketAddr,
        ended: Ended,
        mode: yamux::Mode,
    ) -> Self {
        let (orders, ordered) = mpsc::unbounded_channel();
        let (give, inbound) = mpsc::channel(LANES_MAX);
        let (told, closed) = watch::channel(None);
        let kind = Kind::Lanes { orders, inbound: Mutex::new(inbound) };
        let this = Self::new(&stream, remote, closed, ended.meter, kind);
        tokio::spawn(async move {
            let why = run(stream, mode, ordered, give, ended.why).await;
            told.send_replace(Some(why));
        });
        this
    }

    pub(crate) async fn open_bi(&self) -> Result<(SendStream, RecvStream), Closed> {
        match &self.0.kind {
            Kind::Single(stream) => self.only(stream).await,
            Kind::Lanes { orders, .. } => {
                let (give, opened) = oneshot::channel();
                let _ = orders.send(Order::Open(give));
                match opened.await {
                    Ok(stream) => Ok(halves(Box::new(stream.compat()))),
                    Err(_) => Err(self.closed().await),
                }
            }
        }
    }

    pub(crate) async fn accept_bi(&self) -> Result<(SendStream, RecvStream), Closed> {
        match &self.0.kind {
            Kind::Single(stream) => self.only(stream).await,
            Kind::Lanes { orders, inbound } => {
                let _ = orders.send(Order::Begin);
                let next = inbound.lock().await.recv().await;
                match next {
                    Some(stream) => Ok(halves(Box::new(stream.compat()))),
                    None => Err(self.closed().await),
                }
            }
        }
    }

    async fn only(
        &self,
        stream: &Mutex<Option<Box<TlsStream<DuplexStream>>>>,
    ) -> Result<(SendStream, RecvStream), Closed> {
        match stream.lock().await.take() {
            Some(stream) => Ok(halves(stream)),
            None => Err(Closed::Broken("there is one stream here".into())),
        }
    }

    pub(crate) fn close(&self, code: u32, words: &[u8]) {
        if let Kind::Lanes { orders, .. } = &self.0.kind {
            let _ = orders.send(Order::Close(code, words.to_vec()));
        }
    }

    pub(crate) async fn closed(&self) -> Closed {
        let mut closed = self.0.closed.clone();
        let why = closed.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        why.unwrap_or_else(|| Closed::Broken("ended".into()))
    }

    pub(crate) fn close_reason(&self) -> Option<Closed> {
        self.0.closed.borrow().clone()
    }

    pub(crate) fn carried(&self) -> (u64, u64) {
        let Meter { sent, received } = &*self.0.meter;
        (sent.load(Ordering::Relaxed), received.load(Ordering::Relaxed))
    }

    pub(crate) fn remote_address(&self) -> SocketAddr {
        self.0.remote
    }

    pub(crate) fn peer_certificate(&self) -> Option<CertificateDer<'static>> {
        self.0.certificate.clone()
    }

    pub(crate) fn alpn(&self) -> Option<Vec<u8>> {
        self.0.alpn.clone()
    }
}

/// One connection of lanes from its welcome to its goodbye; why it is over.
async fn run(
    mut stream: TlsStream<DuplexStream>,
    mode: yamux::Mode,
    mut orders: mpsc::UnboundedReceiver<Order>,
    inbound: mpsc::Sender<yamux::Stream>,
    mut ended: watch::Receiver<Option<Closed>>,
) -> Closed {
    if matches!(mode, yamux::Mode::Server) {
        // Nothing of the caller's is read before it is let in.
        let (code, words) = match orders.recv().await {
            Some(Order::Begin | Order::Open(_)) => (WELCOME, Vec::new()),
            Some(Order::Close(code, words)) => (code, words),
            None => (crate::CLOSE_DONE, Vec::new()),
        };
        let said = tokio::time::timeout(GOODBYE, say(&mut stream, code, &words)).await;
        if code != WELCOME || !matches!(said, Ok(Ok(()))) {
            let _ = tokio::time::timeout(GOODBYE, stream.shutdown()).await;
            return Closed::Broken("not let in".into());
        }
    }
    let mut config = yamux::Config::default();
    config.set_max_num_streams(LANES_MAX);
    config.set_max_connection_receive_window(Some(UNREAD_BYTES_MAX));
    let mut mux = yamux::Connection::new(stream.compat(), config, mode);
    // The first lane is for saying goodbye.
    let first = std::future::poll_fn(|cx| match mode {
        yamux::Mode::Client => mux.poll_new_outbound(cx).map(Result::ok),
        yamux::Mode::Server => mux.poll_next_inbound(cx).map(|next| next.and_then(Result::ok)),
    });
    let Ok(Some(first)) = tokio::time::timeout(BEGIN, first).await else {
        return over(&mut ended);
    };
    let (read, mut write) = tokio::io::split(first.compat());
    let (close, closing) = oneshot::channel();
    let (carry_open, opening) = mpsc::unbounded_channel();
    let mut driving = tokio::spawn(drive(mux, opening, inbound, closing));
    let mut left = (crate::CLOSE_DONE, Vec::new());
    if matches!(mode, yamux::Mode::Client) {
        // A lane is there for the peer once something has gone over it.
        let _ = say(&mut write, WELCOME, b"").await;
    }
    let hearing = hear(read, matches!(mode, yamux::Mode::Server));
    tokio::pin!(hearing);
    let why = loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Begin) => {}
                Some(Order::Open(give)) => {
                    let _ = carry_open.send(give);
                }
                Some(Order::Close(code, words)) => {
                    left = (code, words);
                    break Closed::Broken("closed".into());
                }
                None => break Closed::Broken("closed".into()),
            },
            said = &mut hearing => break match said {
                Some((code, words)) => Closed::Said(code, words),
                None => over(&mut ended),
            },
        }
    };
    if matches!(why, Closed::Broken(_)) {
        let _ = tokio::time::timeout(GOODBYE, say(&mut write, left.0, &left.1)).await;
    }
    let _ = close.send(());
    if tokio::time::timeout(GOODBYE, &mut driving).await.is_err() {
        driving.abort();
    }
    why
}

/// The peer's goodbye; nothing when the line ends without. The box's first word is its welcome.
async fn hear(mut read: impl AsyncRead + Unpin, mut welcome: bool) -> Option<(u32, Vec<u8>)> {
    loop {
        match goodbye(&mut read).await {
            Ok((WELCOME, _)) if welcome => welcome = false,
            Ok(said) => return Some(said),
            Err(_) => return None,
        }
    }
}

fn over(ended: &mut watch::Receiver<Option<Closed>>) -> Closed {
    let why = ended.borrow().clone();
    why.unwrap_or_else(|| Closed::Broken("the line ended".into()))
}

/// Moves the lanes' bytes until it is told to close or the line is gone.
async fn drive(
    mut mux: Mux,
    mut opening: mpsc::UnboundedReceiver<oneshot::Sender<yamux::Stream>>,
    inbound: mpsc::Sender<yamux::Stream>,
    mut closing: oneshot::Receiver<()>,
) {
    let mut wanted = None;
    std::future::poll_fn(|cx| {
        if std::pin::Pin::new(&mut closing).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        lanes(&mut mux, &mut opening, &mut wanted, &inbound, cx)
    })
    .await;
    drop(inbound);
    let _ = std::future::poll_fn(|cx| mux.poll_close(cx)).await;
}

fn lanes(
    mux: &mut Mux,
    opening: &mut mpsc::UnboundedReceiver<oneshot::Sender<yamux::Stream>>,
    wanted: &mut Option<oneshot::Sender<yamux::Stream>>,
    inbound: &mpsc::Sender<yamux::Stream>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    loop {
        if wanted.is_none()
            && let Poll::Ready(Some(give)) = opening.poll_recv(cx)
        {
            *wanted = Some(give);
        }
        let Some(give) = wanted.take() else { break };
        match mux.poll_new_outbound(cx) {
            Poll::Ready(Ok(stream)) => {
                let _ = give.send(stream);
            }
            Poll::Ready(Err(error)) => {
                debug!(%error, "no lane can be opened");
                return Poll::Ready(());
            }
            Poll::Pending => {
                *wanted = Some(give);
                break;
            }
        }
    }
    loop {
        match ready!(mux.poll_next_inbound(cx)) {
            // The peer opens more than anybody accepts: it has to do without.
            Some(Ok(stream)) => drop(inbound.try_send(stream)),
            Some(Err(error)) => {
                debug!(%error, "the lanes broke");
                return Poll::Ready(());
            }
            None => return Poll::Ready(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of bytes, and how many are left.
    async fn read(bytes: &[u8]) -> (Option<(u32, Vec<u8>)>, usize) {
        let mut from = bytes;
        let told = goodbye(&mut from).await.ok();
        (told, from.len())
    }

    #[tokio::test]
    async fn a_code_and_its_words_are_read_to_their_bound_and_no_further() {
        let mut longest = vec![0, 0, 0, 1];
        longest.extend(u16::try_from(WORDS_MAX).expect("two bytes").to_be_bytes());
        longest.extend(vec![b'x'; WORDS_MAX]);
        let mut longer = longest.clone();
        longer[5] += 1;
        assert_eq!(read(&[255, 255, 255, 255, 0, 0, 9]).await, (Some((u32::MAX, vec![])), 1));
        assert_eq!(read(&longest).await, (Some((1, vec![b'x'; WORDS_MAX])), 0));
        assert_eq!(read(&longer).await, (None, WORDS_MAX), "nothing is kept of it");
        for cut in 0..longest.len() {
            assert_eq!(read(&longest[..cut]).await.0, None, "{cut} bytes");
        }
    }

    #[tokio::test]
    async fn what_is_said_is_read_and_never_too_long() {
        for length in [0, 1, WORDS_MAX, WORDS_MAX + 1, 70_000] {
            let (words, mut said) = (vec![b'x'; length], Vec::new());
            say(&mut said, 7, &words).await.expect("in memory");
            let read = read(&said).await;
            assert_eq!(read, (Some((7, vec![b'x'; length.min(WORDS_MAX)])), 0), "{length}");
        }
    }
}
