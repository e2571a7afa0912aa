//! What trust costs: signatures, handshakes, and connections that say nothing.

use crate::report::Report;
use crate::world::{World, patiently};
use anyhow::{Context, Result, ensure};
use cunkou_casework::county::{Numbered, Statement};
use cunkou_casework::entry::{ClockSource, Entry, Header, Kind, LogPosition, SignerRole, Signers};
use cunkou_casework::event::decode;
use cunkou_casework::hex;
use cunkou_casework::ids::{DeviceId, Incarnation, PersonId, SubjectId};
use cunkou_casework::suite::SecretKey;
use cunkou_tests::bare::root;
use cunkou_tests::enrolled::Enrolled;
use cunkou_tests::wild::{Says, WildBox};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{ClientConfig, Endpoint, ServerConfig};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Each rate is taken over so long.
const WINDOW: Duration = Duration::from_secs(2);
/// So many hands shake at once.
const AT_ONCE: u8 = 8;
/// So many handshakes are timed.
const HANDSHAKES: usize = 2000;
/// So many boxes hold four connections each and say nothing.
const IDLE_BOXES: usize = 40;
const CONNECTIONS: usize = 4;

/// How often a second something can be done on one core.
fn rate(mut work: impl FnMut(u64) -> Result<()>) -> Result<f64> {
    let (begun, mut n) = (Instant::now(), 0);
    while begun.elapsed() < WINDOW {
        for _ in 0..64 {
            work(n)?;
            n += 1;
        }
    }
    Ok(n as f64 / begun.elapsed().as_secs_f64())
}

fn header(seq: u64) -> Header {
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&seq.to_be_bytes());
    Header {
        salt,
        person: Some(PersonId([2; 16])),
        device: DeviceId([1; 16]),
        incarnation: Incarnation([3; 16]),
        seq,
        previous: None,
        log: LogPosition::START,
        claimed_ms: 0,
        clock: ClockSource::Unknown,
    }
}

/// Entries signed by a person and a device, and decisions on a security key.
pub(crate) fn signatures(report: &Report) -> Result<()> {
    let (device, person) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
    let payload = vec![0x5a; 300];
    let signed = |n: u64| {
        let signers = Signers { device: &device, person: Some(&person), authority: None };
        let entry =
            Entry::sign(SubjectId([9; 16]), Kind::Event, header(n), payload.clone(), signers)?;
        anyhow::Ok(entry.encode())
    };
    let raw = |n: u64| {
        let message = n.to_be_bytes();
        ensure!(device.sign(&message).len() == 64 && person.sign(&message).len() == 64);
        Ok(())
    };
    let baseline = rate(raw)?;
    let n = rate(|n| signed(n).map(drop))?;
    report.value("sign.entry", n, "1/s", 2, Some(baseline))?;
    let (of_device, of_person) = (device.public(), person.public());
    let (one, other) = (device.sign(b"message"), person.sign(b"message"));
    let raw = |_| {
        ensure!(of_device.verifies(b"message", &one) && of_person.verifies(b"message", &other));
        Ok(())
    };
    let baseline = rate(raw)?;
    let bytes = signed(1)?;
    let n = rate(|_| {
        let entry = Entry::decode(&bytes)?;
        let both = entry.signed_by(SignerRole::Device, &of_device)
            && entry.signed_by(SignerRole::Person, &of_person);
        ensure!(both, "it was signed by both");
        Ok(())
    })?;
    report.value("verify.entry", n, "1/s", 2, Some(baseline))?;
    let text = std::fs::read_to_string(root().join("docs/vectors/deciders.json"))?;
    let vector: serde_json::Value = serde_json::from_str(&text)?;
    let unhex = |name: &str| vector[name].as_str().and_then(hex::decode).context("hexadecimal");
    let numbered: Numbered = decode(&unhex("person")?)?;
    let Statement::Person(person) = numbered.statement else { anyhow::bail!("a person") };
    let key = person.keys.unwrap_or_default().into_iter().next().context("a key")?;
    let (message, assertion) = (unhex("message")?, unhex("assertion")?);
    let n = rate(|_| {
        ensure!(key.verifies(&message, &assertion), "the vector holds");
        Ok(())
    })?;
    report.value("verify.security_key", n, "1/s", 1, Some(baseline * 2.0))
}

/// Processor time that a process has used.
pub(crate) fn cpu(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after = stat.rsplit_once(") ").context("no name in stat")?.1;
    let fields: Vec<&str> = after.split(' ').collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or_default();
    // Fields 14 and 15 of proc(5), in hundredths of a second.
    Ok((ticks(11) + ticks(12)) / 100.0)
}

/// Shakes hands from many addresses, as many boxes would; gives how many came through.
async fn shake(to: SocketAddr, name: &str, config: ClientConfig) -> Result<usize> {
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..AT_ONCE {
        let (name, config) = (name.to_owned(), config.clone());
        tasks.spawn(async move {
            let mut done = 0;
            for n in 0..HANDSHAKES / usize::from(AT_ONCE) {
                // Each from a network of its own: what is measured is the work, not the quota.
                let [_, _, high, low] = u32::try_from(n)?.to_be_bytes();
                let from = Ipv4Addr::new(127, 100 + task, high, low);
                let endpoint = Endpoint::client((from, 0).into())?;
                let connection = endpoint.connect_with(config.clone(), to, &name)?.await?;
                connection.close(0_u32.into(), b"");
                endpoint.wait_idle().await;
                done += 1;
            }
            anyhow::Ok(done)
        });
    }
    let mut all = 0;
    while let Some(done) = tasks.join_next().await {
        all += done??;
    }
    Ok(all)
}

/// A peer that asks for no certificate and does nothing else: what TLS 1.3 and QUIC cost alone.
fn plain_peer() -> Result<(std::process::Child, SocketAddr)> {
    let mut child = std::process::Command::new(std::env::current_exe()?)
        .arg("--plain-peer")
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let out = child.stdout.take().context("no output")?;
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line)?;
    Ok((child, line.trim().parse()?))
}

/// The plain peer itself, in a process of its own; it ends with its parent.
#[expect(clippy::print_stdout, reason = "its address is its answer")]
pub(crate) fn be_plain_peer() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let signed = rcgen::generate_simple_self_signed(["plain".to_owned()])?;
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key.into())?;
        tls.alpn_protocols = vec![b"cunkou-sync/1".to_vec()];
        let config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
        let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into())?;
        println!("{}", endpoint.local_addr()?);
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                if let Ok(connection) = incoming.await {
                    connection.closed().await;
                }
            });
        }
        Ok(())
    })
}

/// Trusts whatever the plain peer shows; its own signature is checked nevertheless.
fn trusting() -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"cunkou-sync/1".to_vec()];
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls)?;
    Ok(ClientConfig::new(Arc::new(crypto)))
}

#[derive(Debug)]
struct Anybody(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".into()))
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &rustls::pki_types::CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, known)
    }
    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Handshakes that a core of the relay takes a second, both sides with certificates.
pub(crate) fn handshakes(report: &Report, world: &World) -> Result<()> {
    world.county.offer("shaking", "village", "102", &world.county.quic())?;
    let file = world.county.data.join("shaking.enrol");
    let quic = world.county.quic();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (per_core, plain) = runtime.block_on(async {
        let enrolled = Enrolled::redeem(&file, &quic).await?;
        let before = cpu(world.relay.pid())?;
        let n = shake(quic.parse()?, &enrolled.relay_name(), enrolled.client()?).await?;
        let ours = n as f64 / (cpu(world.relay.pid())? - before);
        let (mut peer, address) = plain_peer()?;
        let before = cpu(peer.id())?;
        let n = shake(address, "plain", trusting()?).await?;
        let plain = n as f64 / (cpu(peer.id())? - before);
        peer.kill()?;
        peer.wait()?;
        anyhow::Ok((ours, plain))
    })?;
    report.value("handshakes.per_core", per_core, "1/s", HANDSHAKES, Some(plain))
}

/// Resident memory of the relay for each connection that says nothing.
pub(crate) fn idle(report: &Report, world: &World) -> Result<()> {
    let quic = world.county.quic();
    let mut files = Vec::new();
    for n in 0..IDLE_BOXES {
        let name = format!("idle{n}");
        world.county.offer(&name, "village", "104", &quic)?;
        files.push(world.county.data.join(format!("{name}.enrol")));
    }
    let rss = || crate::parts::resident_kib(world.relay.pid());
    let before = rss()?;
    let mut boxes = Vec::new();
    for file in &files {
        boxes.push(WildBox::start(file, 104, &quic, Says::OneByOne, CONNECTIONS)?);
    }
    let all = IDLE_BOXES * CONNECTIONS;
    patiently("every connection", || {
        let online: usize = boxes.iter().map(WildBox::online).sum();
        (online == all).then_some(())
    })?;
    let each = (rss()? - before) / all as f64;
    report.value("rss.idle_connection", each, "KiB", all, None)
}
