//! Measuring a link with a real relay: how fast, how far, how lossy, once with each way of
//! congestion control. Over QUIC, on connections of its own, within bounds on both sides.
//!
//! A request is one byte of what and eight of how much, on a stream of its own.

use crate::line::Connection;
use crate::profile::{Congestion, Settings};
use crate::quotas::Accounts;
use crate::renewal::Credentials;
use crate::{ALPN_TEST, CLOSE_BUSY, CLOSE_REFUSED, LinkError, explain, reach, tls};
use cunkou_engine::{PeerInfo, Port};
use quinn::{ConnectionId, RecvStream, SendStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// In one transfer a relay moves so much at most. Bytes.
pub const TRANSFER_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// One device may do so many requests on a connection.
const REQUESTS_MAX: usize = 12;
const ECHOES_MAX: u64 = 50;
const ECHOES: u64 = 20;
/// The first, small transfer, from which the length of the second follows. Bytes.
const FIRST: u64 = 24 * 1024;
/// A single transfer is waited for so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// A whole connection lasts so long at most, on the relay's side.
const CONNECTION: Duration = Duration::from_secs(300);
const CHUNK: usize = 16 * 1024;
/// What is moved.
static FILLING: [u8; CHUNK] = [0x5a; CHUNK];

const ECHO: u8 = 1;
const GIVE: u8 = 2;
const TAKE: u8 = 3;
const STATS: u8 = 4;

/// What a box asks with the first bytes of its first connection id: how the relay is to send. Not
/// secret and worth nothing: it changes how fast the asker is sent to.
fn mark(congestion: Congestion) -> [u8; 8] {
    match congestion {
        Congestion::Cubic => *b"ck-cubic",
        Congestion::Bbr => *b"ck-bbr--",
    }
}

/// How a caller wants to be sent to, where it says so.
pub(crate) fn wished(id: &ConnectionId) -> Option<Congestion> {
    [Congestion::Cubic, Congestion::Bbr].into_iter().find(|c| id.starts_with(&mark(*c)))
}

/// How much a test may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestBounds {
    /// One transfer moves so much at most. Bytes.
    pub transfer_bytes: u64,
    /// One transfer is to last about so long.
    pub transfer: Duration,
}

impl TestBounds {
    /// What the whole test uses at most, both ways together: four long and four short transfers,
    /// and half as much again for packets, acknowledgements and what is lost and repeated.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        let moved = 4 * (self.transfer_bytes + FIRST);
        moved + moved / 2 + 60_000
    }
}

/// What was measured with one way of congestion control.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Which.
    pub congestion: Congestion,
    /// From the first packet until both sides know each other.
    pub handshake: Duration,
    /// There and back: the shortest, the middle, and what one of twenty exceeds.
    pub rtt: [Duration; 3],
    /// What arrived at the relay. Bits a second.
    pub up: u64,
    /// What arrived here. Bits a second.
    pub down: u64,
    /// Packets sent up, and lost of these.
    pub up_packets: [u64; 2],
    /// Packets sent down, and lost of these.
    pub down_packets: [u64; 2],
    /// The longest packet that gets through upwards. Bytes.
    pub mtu: u16,
    /// What it cost: bytes of UDP sent and received, without IP headers.
    pub cost: [u64; 2],
}

fn broken(e: impl std::fmt::Display) -> LinkError {
    LinkError::Broken(e.to_string())
}

async fn ask(
    connection: &quinn::Connection,
    what: u8,
    much: u64,
) -> Result<(SendStream, RecvStream), LinkError> {
    let (mut send, receive) = connection.open_bi().await.map_err(|e| explain(&e.into()))?;
    let request = [&[what][..], &much.to_be_bytes()].concat();
    send.write_all(&request).await.map_err(broken)?;
    Ok((send, receive))
}

async fn number(receive: &mut RecvStream) -> Result<u64, LinkError> {
    let mut bytes = [0; 8];
    receive.read_exact(&mut bytes).await.map_err(broken)?;
    Ok(u64::from_be_bytes(bytes))
}

fn rate(bytes: u64, took: Duration) -> u64 {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    bytes.saturating_mul(8_000_000) / micros
}

/// Bits a second that arrive at the relay.
async fn up(connection: &quinn::Connection, bytes: u64) -> Result<u64, LinkError> {
    let (mut send, mut receive) = ask(connection, TAKE, bytes).await?;
    let mut left = bytes;
    while left > 0 {
        let n = left.min(CHUNK as u64);
        send.write_all(&FILLING[..usize::try_from(n).unwrap_or(CHUNK)]).await.map_err(broken)?;
        left -= n;
    }
    send.finish().map_err(broken)?;
    let (count, micros) = (number(&mut receive).await?, number(&mut receive).await?);
    Ok(rate(count, Duration::from_micros(micros)))
}

/// Bits a second that arrive here.
async fn down(connection: &quinn::Connection, bytes: u64) -> Result<u64, LinkError> {
    let (mut send, mut receive) = ask(connection, GIVE, bytes).await?;
    send.finish().map_err(broken)?;
    let begun = Instant::now();
    let mut count = 0;
    let mut chunk = vec![0; CHUNK];
    while let Some(n) = receive.read(&mut chunk).await.map_err(broken)? {
        count += n as u64;
    }
    if count == 0 {
        return Err(broken("the relay gives nothing"));
    }
    Ok(rate(count, begun.elapsed()))
}

async fn echoes(connection: &quinn::Connection) -> Result<[Duration; 3], LinkError> {
    let (mut send, mut receive) = ask(connection, ECHO, ECHOES).await?;
    let mut all = Vec::new();
    for round in 0..ECHOES {
        let begun = Instant::now();
        send.write_all(&round.to_be_bytes()).await.map_err(broken)?;
        number(&mut receive).await?;
        all.push(begun.elapsed());
    }
    all.sort_unstable();
    let at = |part: usize| all[(all.len() - 1) * part / 100];
    Ok([at(0), at(50), at(95)])
}

/// Twice, a short time to learn how long a longer one may be.
async fn transfer<F>(bounds: &TestBounds, once: impl Fn(u64) -> F) -> Result<u64, LinkError>
where
    F: Future<Output = Result<u64, LinkError>>,
{
    let late = |_| LinkError::Unreachable("a transfer took too long".into());
    let most = bounds.transfer_bytes.min(TRANSFER_BYTES_MAX);
    let first = FIRST.min(most);
    let bits = tokio::time::timeout(PATIENCE, once(first)).await.map_err(late)??;
    let fits = bits / 8 * bounds.transfer.as_secs();
    let second = fits.clamp(first, most);
    tokio::time::timeout(PATIENCE, once(second)).await.map_err(late)?
}

/// Measures the link to one relay (as the list of relays names it) with one way of congestion
/// control in both directions.
///
/// # Errors
/// [`LinkError`] in words; [`LinkError::Unreachable`] where QUIC does not get through.
pub async fn measure(
    relay: &str,
    me: &dyn Credentials,
    settings: &Settings,
    congestion: Congestion,
    bounds: &TestBounds,
) -> Result<Sample, LinkError> {
    let at = relay.split('+').next().unwrap_or_default();
    let own = me.certificate()?;
    let settings = Settings { congestion, mtu_discovery: true, ..*settings };
    let tls = tls::client(&own.roots, Some(&own), me.clock(), ALPN_TEST)?;
    let mut config = tls::quic_client(tls, &settings)?;
    config.initial_dst_cid_provider(Arc::new(move || {
        let mut id = [0; 20];
        // Without randomness the handshake itself fails, in words.
        let _ = getrandom::fill(&mut id);
        id[..8].copy_from_slice(&mark(congestion));
        ConnectionId::new(&id)
    }));
    let begun = Instant::now();
    let reached = reach::quic(at, &own.relay_name, config, &settings).await?;
    let handshake = begun.elapsed();
    let connection = &reached.connection;
    let talk = async {
        let rtt = echoes(connection).await?;
        let up = transfer(bounds, |bytes| up(connection, bytes)).await?;
        let down = transfer(bounds, |bytes| down(connection, bytes)).await?;
        let (_send, mut receive) = ask(connection, STATS, 0).await?;
        let down_packets = [number(&mut receive).await?, number(&mut receive).await?];
        let stats = connection.stats();
        Ok(Sample {
            congestion,
            handshake,
            rtt,
            up,
            down,
            up_packets: [stats.path.sent_packets, stats.path.lost_packets],
            down_packets,
            mtu: stats.path.current_mtu,
            cost: [stats.udp_tx.bytes, stats.udp_rx.bytes],
        })
    };
    let sample = match talk.await {
        // The relay said why it closed; the stream only that it did.
        Err(LinkError::Broken(words)) => Err(match connection.close_reason() {
            Some(reason) => explain(&reason.into()),
            None => LinkError::Broken(words),
        }),
        result => result,
    };
    reached.end().await;
    sample
}

/// The relay's side: only for boxes of the county, and what is moved counts as attachments do.
pub(crate) async fn answer(connection: Connection, port: Arc<dyn Port>, accounts: &Accounts) {
    let refuse = |words: &str| connection.close(CLOSE_REFUSED.into(), words.as_bytes());
    let Connection::Quic(line) = &connection else {
        return refuse("a link is tested over QUIC");
    };
    let Some(key) = tls::peer_key(&connection) else {
        return refuse("this box has no certificate; enrol it first");
    };
    let peer = match port.admit_peer(&key) {
        Ok(peer) => peer,
        Err(refused) => return refuse(&refused.words),
    };
    let account = match accounts.open(peer.device) {
        Ok(account) => account,
        Err(too_much) => return refuse(&too_much.to_string()),
    };
    let serving = async {
        for _ in 0..REQUESTS_MAX {
            let moved = serve(line, &peer).await?;
            let wait = account.attachment_in(moved[0]).max(account.attachment_out(moved[1]));
            if !wait.is_zero() {
                let seconds = wait.as_secs() + 1;
                line.close(CLOSE_BUSY.into(), seconds.to_string().as_bytes());
                return Ok(());
            }
        }
        line.closed().await;
        Ok::<(), LinkError>(())
    };
    match tokio::time::timeout(CONNECTION, serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => info!(peer = %peer.name, %error, "a test of a link ended"),
        Err(_) => warn!(peer = %peer.name, "a test of a link took too long"),
    }
}

/// One request; bytes taken and given.
async fn serve(line: &quinn::Connection, peer: &PeerInfo) -> Result<[usize; 2], LinkError> {
    let (mut send, mut receive) = line.accept_bi().await.map_err(|e| explain(&e.into()))?;
    let mut what = [0];
    receive.read_exact(&mut what).await.map_err(broken)?;
    let much = number(&mut receive).await?;
    let most = much.min(TRANSFER_BYTES_MAX);
    let moved = match what[0] {
        ECHO => {
            for _ in 0..much.min(ECHOES_MAX) {
                let echo = number(&mut receive).await?;
                send.write_all(&echo.to_be_bytes()).await.map_err(broken)?;
            }
            [0, 0]
        }
        GIVE => {
            info!(peer = %peer.name, bytes = most, "sending for a test of the link");
            let mut left = most;
            while left > 0 {
                let n = left.min(CHUNK as u64);
                let chunk = &FILLING[..usize::try_from(n).unwrap_or(CHUNK)];
                send.write_all(chunk).await.map_err(broken)?;
                left -= n;
            }
            [0, usize::try_from(most).unwrap_or(0)]
        }
        TAKE => {
            let begun = Instant::now();
            let mut chunk = vec![0; CHUNK];
            let mut count = 0;
            while let Some(n) = receive.read(&mut chunk).await.map_err(broken)? {
                count += n as u64;
                if count > most {
                    return Err(LinkError::Violation("more than was asked for".into()));
                }
            }
            let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            let answer = [count.to_be_bytes(), micros.to_be_bytes()].concat();
            send.write_all(&answer).await.map_err(broken)?;
            [usize::try_from(count).unwrap_or(0), 0]
        }
        STATS => {
            let path = line.stats().path;
            let answer = [path.sent_packets.to_be_bytes(), path.lost_packets.to_be_bytes()];
            send.write_all(&answer.concat()).await.map_err(broken)?;
            [0, 0]
        }
        _ => return Err(LinkError::Violation("an unknown request".into())),
    };
    // Fails only when the box has gone.
    let _ = send.finish();
    Ok(moved)
}
