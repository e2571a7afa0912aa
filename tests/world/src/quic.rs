//! The transport as it is: two ends of quinn-proto for each connection, in virtual time, and packets
//! between them that are lost, doubled, overtaken, and wait for a slow line.
//!
//! The same frames go over it as over a plain connection of the world, behind a length as in
//! `sync/link/src/frames.rs`; whoever reads takes two frames ahead, so that flow control is met, too.
//! What a silent line means is the world's matter as before: neither side has an idle timeout here,
//! so that a world at rest has no timer left. CUBIC, because quinn's BBR draws from outside.

use crate::disk::Disk;
use crate::plan::{Access, Failure, Micros, SECOND};
use crate::rng::Rng;
use crate::world::{Event, World};
use bytes::BytesMut;
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig,
    ServerConfig, StreamId, TransportConfig, VarInt,
};
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// What befalls packets on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Lost of a thousand.
    pub loss: u64,
    /// Come twice, of a thousand.
    pub twice: u64,
    /// What would wait longer for its turn is lost.
    pub queue: Micros,
}

/// Frames read ahead of the session, as `sync/link/src/driver.rs` has it.
const READ_AHEAD: usize = 2;
/// Headers of IP and UDP. Bytes.
const HEADERS: u64 = 28;
const NAME: &str = "relay";

/// Certificate and settings of both sides: made once, because making them is slow.
struct Papers {
    client: ClientConfig,
    server: Arc<ServerConfig>,
    /// The moment that the world calls 0.
    begun: Instant,
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    // What a relay and a box on a mobile link have (sync/link/src/profile.rs).
    transport.mtu_discovery_config(None);
    transport.max_concurrent_bidi_streams(VarInt::from_u32(8));
    transport.max_concurrent_uni_streams(VarInt::from_u32(0));
    transport.datagram_receive_buffer_size(None);
    transport.stream_receive_window(VarInt::from_u32(512 * 1024));
    transport.receive_window(VarInt::from_u32(1024 * 1024));
    transport.max_idle_timeout(None);
    transport
}

fn make_papers() -> Result<Papers, Box<dyn std::error::Error>> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
    let mut params = rcgen::CertificateParams::new(vec![NAME.to_owned()])?;
    // As long in every run.
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&[1; 8]));
    let certificate = params.self_signed(&key)?;
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let thirteen = [&rustls::version::TLS13];
    let secret = rustls_pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&thirteen)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret.into())?;
    tls.send_tls13_tickets = 0;
    let mut server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der().clone())?;
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&thirteen)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.resumption = rustls::client::Resumption::disabled();
    let mut client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let transport = Arc::new(transport());
    server.transport_config(Arc::clone(&transport));
    client.transport_config(transport);
    Ok(Papers { client, server: Arc::new(server), begun: Instant::now() })
}

fn papers() -> &'static Papers {
    static PAPERS: OnceLock<Papers> = OnceLock::new();
    PAPERS.get_or_init(|| match make_papers() {
        Ok(papers) => papers,
        Err(e) => unreachable!("a certificate for the world: {e}"),
    })
}

fn instant(now: Micros) -> Instant {
    papers().begun + Duration::from_micros(now)
}

/// Rounded up: what is due a part of a microsecond later is not due yet.
fn micros(at: Instant) -> Micros {
    let nanos = at.saturating_duration_since(papers().begun).as_nanos().div_ceil(1000);
    Micros::try_from(nanos).unwrap_or(Micros::MAX)
}

fn address(end: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, if end == 0 { 1 } else { 2 }], 443))
}

/// One end.
struct Side {
    endpoint: Endpoint,
    connection: Option<(ConnectionHandle, Connection)>,
    stream: Option<StreamId>,
    connected: bool,
    unsent: VecDeque<u8>,
    read: Vec<u8>,
    alarm: Option<Micros>,
    /// A turn is under way to it.
    due: bool,
    /// It has left bytes unread because the session has enough to do.
    full: bool,
    /// When the line from it is free again.
    free: Micros,
}

/// Both ends of a connection.
pub(crate) struct Quic {
    sides: [Side; 2],
    weather: Weather,
}

impl fmt::Debug for Quic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Quic({:?})", self.weather)
    }
}

/// What comes of a turn.
#[derive(Default)]
struct Turn {
    packets: Vec<Vec<u8>>,
    frames: Vec<Vec<u8>>,
    /// The handshake is over for this end.
    connected: bool,
    /// The connection broke by itself; in words.
    lost: Option<String>,
}

impl Quic {
    pub(crate) fn new(now: Micros, weather: Weather, rng: &mut Rng) -> Self {
        let mut side = |server: Option<Arc<ServerConfig>>| {
            let mut seed = [0; 32];
            rng.fill(&mut seed);
            let config = Arc::new(EndpointConfig::default());
            Side {
                endpoint: Endpoint::new(config, server, true, Some(seed)),
                connection: None,
                stream: None,
                connected: false,
                unsent: VecDeque::new(),
                read: Vec::new(),
                alarm: None,
                due: false,
                full: false,
                free: now,
            }
        };
        let mut sides = [side(None), side(Some(Arc::clone(&papers().server)))];
        let client = papers().client.clone();
        sides[0].connection =
            sides[0].endpoint.connect(instant(now), client, address(1), NAME).ok();
        Self { sides, weather }
    }

    /// Something to be said by one end.
    fn say(&mut self, end: usize, frame: &[u8]) {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        self.sides[end].unsent.extend(length.to_be_bytes());
        self.sides[end].unsent.extend(frame);
    }

    /// Whether somebody has to be told to take the next turn for this end.
    fn falls_due(&mut self, end: usize) -> bool {
        !std::mem::replace(&mut self.sides[end].due, true)
    }

    /// The session has handled a frame: whether there may be more to read now.
    fn was_full(&mut self, end: usize) -> bool {
        std::mem::take(&mut self.sides[end].full)
    }

    /// When this end wants to be woken, if that is new.
    fn alarm(&mut self, end: usize, now: Micros) -> Option<Micros> {
        let side = &mut self.sides[end];
        let (_, connection) = side.connection.as_mut()?;
        let at = connection.poll_timeout().map(|at| micros(at).max(now));
        let new = at != side.alarm;
        side.alarm = at;
        at.filter(|_| new)
    }

    /// Whether an alarm is still the one that was asked for; then it goes off.
    fn rings(&mut self, end: usize, at: Micros) -> bool {
        let side = &mut self.sides[end];
        if side.alarm != Some(at) {
            return false;
        }
        side.alarm = None;
        if let Some((_, connection)) = &mut side.connection {
            connection.handle_timeout(instant(at));
        }
        true
    }

    fn arrives(&mut self, end: usize, now: Micros, bytes: &[u8], answers: &mut Vec<Vec<u8>>) {
        let (side, mut out) = (&mut self.sides[end], Vec::new());
        let now = instant(now);
        let data = BytesMut::from(bytes);
        match side.endpoint.handle(now, address(1 - end), None, None, data, &mut out) {
            Some(DatagramEvent::ConnectionEvent(_, event)) => {
                if let Some((_, connection)) = &mut side.connection {
                    connection.handle_event(event);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) if side.connection.is_none() => {
                side.connection = side.endpoint.accept(incoming, now, &mut out, None).ok();
            }
            Some(DatagramEvent::NewConnection(incoming)) => side.endpoint.ignore(incoming),
            Some(DatagramEvent::Response(transmit)) => answers.push(out[..transmit.size].to_vec()),
            None => {}
        }
    }

    /// Does all that one end can do now; reads at most so many frames.
    fn turn(&mut self, end: usize, now: Micros, room: usize) -> Turn {
        let side = &mut self.sides[end];
        side.due = false;
        let mut turn = Turn::default();
        let Some((handle, connection)) = &mut side.connection else { return turn };
        while let Some(event) = connection.poll_endpoint_events() {
            if let Some(event) = side.endpoint.handle_event(*handle, event) {
                connection.handle_event(event);
            }
        }
        while let Some(event) = connection.poll() {
            match event {
                quinn_proto::Event::Connected => turn.connected = true,
                quinn_proto::Event::ConnectionLost { reason } => {
                    turn.lost = Some(reason.to_string());
                }
                _ => {}
            }
        }
        side.connected |= turn.connected;
        if side.connected && side.stream.is_none() {
            side.stream = match end {
                0 => connection.streams().open(Dir::Bi),
                _ => connection.streams().accept(Dir::Bi),
            };
        }
        if let Some(stream) = side.stream {
            while !side.unsent.is_empty() {
                let next = side.unsent.as_slices().0;
                let Ok(n) = connection.send_stream(stream).write(next) else { break };
                side.unsent.drain(..n);
            }
            side.full = !take_frames(connection, stream, &mut side.read, room, &mut turn.frames);
        }
        let mut out = Vec::new();
        while let Some(transmit) = connection.poll_transmit(instant(now), 1, &mut out) {
            turn.packets.push(out[..transmit.size].to_vec());
            out.clear();
        }
        turn
    }

    /// When a packet that sets out now arrives: never, once, or twice.
    fn fate(
        &mut self,
        end: usize,
        now: Micros,
        bytes: usize,
        line: Access,
        rng: &mut Rng,
    ) -> Vec<Micros> {
        let side = &mut self.sides[end];
        let takes = (bytes as u64 + HEADERS) * 8 * SECOND / line.bits.max(1);
        let begins = side.free.max(now);
        if begins - now > self.weather.queue {
            return Vec::new();
        }
        side.free = begins + takes;
        if rng.below(1000) < self.weather.loss {
            return Vec::new();
        }
        let times = 1 + u64::from(rng.below(1000) < self.weather.twice);
        (0..times).map(|_| side.free + line.latency + rng.below(line.jitter + 1)).collect()
    }
}

/// Reads frames until there is no room for more; whether all was read that is there.
fn take_frames(
    connection: &mut Connection,
    stream: StreamId,
    read: &mut Vec<u8>,
    room: usize,
    frames: &mut Vec<Vec<u8>>,
) -> bool {
    let mut there = true;
    loop {
        while let Some((length, rest)) = read.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            if rest.len() < length {
                break;
            }
            if frames.len() >= room {
                return false;
            }
            frames.push(rest[..length].to_vec());
            read.drain(..4 + length);
        }
        if !there {
            return true;
        }
        let mut received = connection.recv_stream(stream);
        let Ok(mut chunks) = received.read(true) else { return true };
        match chunks.next(16 * 1024) {
            Ok(Some(chunk)) => read.extend_from_slice(&chunk.bytes),
            _ => there = false,
        }
        // The turn sends what this asks for.
        let _ = chunks.finalize();
    }
}

impl<D: Disk> World<D> {
    /// The same world over QUIC in such weather.
    #[must_use]
    pub fn over_quic(mut self, weather: Weather) -> Self {
        self.weather = Some(weather);
        self
    }

    /// A frame goes out over QUIC.
    pub(crate) fn speak(&mut self, conn: usize, end: usize, frame: &[u8]) {
        if let Some(quic) = self.conns.get_mut(&conn).and_then(|found| found.quic.as_mut()) {
            quic.say(end, frame);
        }
        self.turn_due(conn, end);
    }

    /// A session has handled a frame: there is room for another.
    pub(crate) fn read_on(&mut self, conn: usize, end: usize) {
        let quic = self.conns.get_mut(&conn).and_then(|found| found.quic.as_mut());
        if quic.is_some_and(|quic| quic.was_full(end)) {
            self.turn_due(conn, end);
        }
    }

    /// One end takes its turn soon.
    pub(crate) fn turn_due(&mut self, conn: usize, end: usize) {
        let quic = self.conns.get_mut(&conn).and_then(|found| found.quic.as_mut());
        if quic.is_some_and(|quic| quic.falls_due(end)) {
            self.at(self.now, Event::Turn { conn, end });
        }
    }

    /// One end of a connection does what it can.
    pub(crate) fn turn(&mut self, conn: usize, end: usize) -> Result<(), Failure> {
        let now = self.now;
        let Some(found) = self.conns.get_mut(&conn) else { return Ok(()) };
        let (line, gone) = (found.line, found.ends[end].gone);
        let room = READ_AHEAD.saturating_sub(found.ends[end].inbox.len());
        let Some(quic) = &mut found.quic else { return Ok(()) };
        if gone {
            return Ok(());
        }
        let turn = quic.turn(end, now, room);
        if let Some(why) = turn.lost {
            return self.fail(format!("QUIC gave up by itself: {why}"));
        }
        if let Some(at) = quic.alarm(end, now) {
            self.at(at, Event::Alarm { conn, end, at });
        }
        for frame in turn.frames {
            self.at(now, Event::Frame { conn, to: end, bytes: frame });
        }
        for packet in turn.packets {
            self.set_out(conn, end, line, packet);
        }
        // Who listens knows last.
        if turn.connected && end == 1 {
            self.at(now, Event::Established { conn });
        }
        Ok(())
    }

    fn set_out(&mut self, conn: usize, end: usize, line: Access, packet: Vec<u8>) {
        let Some(found) = self.conns.get_mut(&conn) else { return };
        let Some(quic) = &mut found.quic else { return };
        let arrivals = quic.fate(end, self.now, packet.len(), line, &mut self.rng);
        self.report.packets += 1;
        self.report.packets_lost += u64::from(arrivals.is_empty());
        self.report.packets_twice += u64::from(arrivals.len() > 1);
        self.trace(5, conn as u64 * 2 + end as u64, packet.len() as u64);
        for at in arrivals {
            self.at(at, Event::Packet { conn, to: 1 - end, bytes: packet.clone() });
        }
    }

    pub(crate) fn packet(&mut self, conn: usize, to: usize, bytes: &[u8]) -> Result<(), Failure> {
        let Some(found) = self.conns.get_mut(&conn) else { return Ok(()) };
        if found.cut || found.ends[to].gone {
            return Ok(());
        }
        let (line, mut answers) = (found.line, Vec::new());
        let Some(quic) = &mut found.quic else { return Ok(()) };
        quic.arrives(to, self.now, bytes, &mut answers);
        for answer in answers {
            self.set_out(conn, to, line, answer);
        }
        self.turn(conn, to)
    }

    pub(crate) fn alarm(&mut self, conn: usize, end: usize, at: Micros) -> Result<(), Failure> {
        let quic = self.conns.get_mut(&conn).and_then(|found| found.quic.as_mut());
        if quic.is_some_and(|quic| quic.rings(end, at)) { self.turn(conn, end) } else { Ok(()) }
    }
}
