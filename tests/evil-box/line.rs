//! The real protocol, spoken by hand: every byte of it can be made wrong.

use anyhow::{Context, Result, bail};
use cunkou_casework::county::CountyLog;
use cunkou_casework::document::{Document, Schema, Section, Write, actor};
use cunkou_casework::entry::{ClockSource, Entry, Header, Kind, Signers};
use cunkou_casework::event::{Witness, decode};
use cunkou_casework::ids::{DeviceId, EntryId, Incarnation, PersonId, Scope, SubjectId};
use cunkou_casework::suite::SecretKey;
use cunkou_engine::{FRAME_BYTES_MAX, Frame, Hello, PROTOCOL, ScopeState};
use cunkou_link::{LinkError, OfferedEnrolment};
use cunkou_replica::{SystemWorld, World};
use cunkou_tests::enrolled::{Enrolled, random};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The relay is waited for this long: a disk may take its time over what came before.
pub(crate) const WAIT: Duration = Duration::from_secs(45);
/// What does not come within this time is taken not to come.
pub(crate) const SILENCE: Duration = Duration::from_secs(3);
/// Then nothing more of the same batch is on its way.
const AFTERWARDS: Duration = Duration::from_millis(500);
/// Any later position of a log.
const FAR: u64 = 1 << 40;

/// An enrolled box without a conscience.
pub(crate) struct Evil {
    enrolled: Enrolled,
    relay: SocketAddr,
    data: Option<PathBuf>,
    run: [u8; 16],
    numbers: AtomicU64,
    /// The county log as it was at enrolment.
    pub(crate) county: CountyLog,
    /// Its own id.
    pub(crate) device: DeviceId,
}

impl Evil {
    pub(crate) async fn enrol(
        file: &Path,
        relay: SocketAddr,
        data: Option<PathBuf>,
    ) -> Result<Self> {
        let enrolled = Enrolled::redeem(file, &relay.to_string()).await?;
        let (county, device) = (enrolled.county()?, enrolled.device());
        println!("enrolled as box {device} at {relay}");
        let (run, numbers) = (random(), AtomicU64::new(0));
        Ok(Self { enrolled, relay, data, run, numbers, county, device })
    }

    /// Redeems the same file once more, with another key.
    pub(crate) async fn enrol_again(&self) -> Result<Result<OfferedEnrolment, LinkError>> {
        self.enrolled.again(&self.relay.to_string()).await
    }

    /// The villages that it serves, as scopes.
    pub(crate) fn scopes(&self) -> Vec<String> {
        let device = self.county.device(self.device);
        device.map_or(Vec::new(), |d| d.places.iter().map(|p| format!("place:{p}")).collect())
    }

    /// Whether it may speak and hear of a scope: the county log, its villages, its own looks.
    pub(crate) fn is_own(&self, scope: &str) -> bool {
        let looks = Scope::Upward(self.device).to_string();
        scope == "system" || scope == looks || self.scopes().iter().any(|own| own == scope)
    }

    /// The scope of a village that it does not serve.
    pub(crate) fn foreign(&self) -> Option<(String, cunkou_casework::ids::PlaceId)> {
        let own = self.scopes();
        let mut places = self.county.places().map(|place| place.id);
        places
            .find(|id| !own.contains(&format!("place:{id}")))
            .map(|id| (format!("place:{id}"), id))
    }

    pub(crate) fn key(&self) -> SecretKey {
        SecretKey::from_seed(&self.enrolled.seed)
    }

    /// An entry signed by this box, in whose name ever.
    pub(crate) fn entry(
        &self,
        subject: SubjectId,
        kind: Kind,
        by: (Option<PersonId>, DeviceId),
        payload: Vec<u8>,
    ) -> Result<Entry> {
        let n = self.numbers.fetch_add(1, Ordering::SeqCst) + 1;
        self.numbered(subject, kind, by, payload, n)
    }

    pub(crate) fn numbered(
        &self,
        subject: SubjectId,
        kind: Kind,
        (person, device): (Option<PersonId>, DeviceId),
        payload: Vec<u8>,
        seq: u64,
    ) -> Result<Entry> {
        let header = Header {
            salt: random(),
            person,
            device,
            incarnation: Incarnation(self.run),
            seq,
            previous: None,
            log: self.county.head(),
            claimed_ms: SystemWorld.now_ms(),
            clock: ClockSource::Unknown,
        };
        let key = self.key();
        let signers = Signers { device: &key, person: None, authority: None };
        Ok(Entry::sign(subject, kind, header, payload, signers)?)
    }

    /// A change as an honest box writes it.
    pub(crate) fn change(&self, value: &str) -> Result<Vec<u8>> {
        let by = actor(self.device, Incarnation(self.run));
        let write = [Write::set(Section::Notes, "n", value)];
        let change = Document::new(Schema::Case1)?.write(by, 0, &write)?;
        change.context("a change")
    }

    /// Changes of one document, each behind the one before.
    pub(crate) fn changes(&self, values: &[&str]) -> Result<Vec<Vec<u8>>> {
        let by = actor(self.device, Incarnation(self.run));
        let mut document = Document::new(Schema::Case1)?;
        let write = |value: &&str| {
            let writes = [Write::set(Section::Notes, "n", *value)];
            document.write(by, 0, &writes)?.context("a change")
        };
        values.iter().map(write).collect()
    }

    /// A save about a case that nobody knows: nothing is wrong with it.
    pub(crate) fn honest(&self, value: &str) -> Result<Entry> {
        let (subject, by) = (SubjectId(random()), (None, self.device));
        self.entry(subject, Kind::Edit, by, self.change(value)?)
    }

    /// What the relay says of itself; absent without `--data`.
    pub(crate) fn status(&self) -> Result<Option<serde_json::Value>> {
        let Some(data) = &self.data else { return Ok(None) };
        let program = std::env::current_exe()?.with_file_name("cunkou-relay");
        let data = data.display().to_string();
        let ran = cunkou_tests::bare::run(&program, &["--json", "--data", &data, "status"], "")?;
        Ok(Some(ran.json()?))
    }

    /// How many entries the relay has in quarantine.
    pub(crate) fn quarantine(&self) -> Result<Option<u64>> {
        Ok(self.status()?.and_then(|status| status["quarantine"].as_u64()))
    }

    async fn connect(&self) -> Result<(Endpoint, Connection)> {
        let bind = if self.relay.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
        let mut endpoint = Endpoint::client(bind.parse()?)?;
        endpoint.set_default_client_config(self.enrolled.client()?);
        let connection = endpoint.connect(self.relay, &self.enrolled.relay_name())?.await?;
        Ok((endpoint, connection))
    }

    /// A stream on which nothing was said yet.
    pub(crate) async fn raw(&self) -> Result<Talk> {
        let (endpoint, connection) = tokio::time::timeout(WAIT, self.connect()).await??;
        let (send, receive) = connection.open_bi().await?;
        let talk = Talk { endpoint, connection, send, receive, hello: None };
        Ok(talk)
    }

    /// A conversation in which it says that it serves these villages.
    pub(crate) async fn talk(&self, scopes: &[String]) -> Result<Talk> {
        let mut talk = self.raw().await?;
        let state = |scope: &str, head| ScopeState {
            scope: scope.to_owned(),
            head,
            read: 0,
            epoch: [0; 16],
            acked: None,
            sum: None,
            whole: None,
        };
        let mut said = vec![state("system", FAR)];
        said.extend(scopes.iter().map(|scope| state(scope, FAR)));
        talk.say(&Frame::Hello(Hello {
            protocol: PROTOCOL,
            store: random(),
            epoch: random(),
            incarnation: self.run,
            software: "evil-box".into(),
            time_ms: SystemWorld.now_ms(),
            scopes: said,
            features: None,
        }))
        .await?;
        match talk.hear(WAIT).await {
            Some(Frame::Hello(hello)) => talk.hello = Some(hello),
            _ => bail!("the relay does not say hello: {}", talk.end().await),
        }
        Ok(talk)
    }

    /// Whether the relay still says hello to this box.
    pub(crate) async fn alive(&self) -> bool {
        self.talk(&self.scopes()).await.is_ok()
    }

    /// Sends entries with an honest one behind them; gives those that the relay has then said it
    /// took in. Fails when it did not even take the honest one.
    pub(crate) async fn taken(&self, entries: &[Entry]) -> Result<BTreeSet<EntryId>> {
        let scope = self.scopes().pop().context("this box serves no village")?;
        let mut talk = self.talk(&self.scopes()).await?;
        let control = self.honest("control")?;
        let all = entries.iter().chain([&control]).map(Entry::encode).collect();
        talk.entries(&scope, 1, all).await?;
        let end = tokio::time::Instant::now() + WAIT * 2;
        let mut taken = BTreeSet::new();
        loop {
            // What came with the honest one may be said a moment after it.
            let left = if taken.contains(&control.id()) {
                AFTERWARDS
            } else {
                end.saturating_duration_since(tokio::time::Instant::now())
            };
            match talk.hear(left).await {
                Some(Frame::Entries { scope, upto, entries, .. }) => {
                    let read = entries.iter().filter_map(|bytes| Entry::decode(bytes).ok());
                    for entry in read.filter(|entry| entry.kind() == Kind::Witness) {
                        taken.extend(decode::<Witness>(entry.payload())?.entries);
                    }
                    talk.say(&Frame::Ack { scope, upto }).await?;
                }
                Some(_) => {}
                None if taken.contains(&control.id()) => return Ok(taken),
                None => bail!("the relay did not take an honest entry: {}", talk.end().await),
            }
        }
    }
}

/// One conversation.
pub(crate) struct Talk {
    #[allow(dead_code, reason = "the connection lives as long as its endpoint")]
    endpoint: Endpoint,
    connection: Connection,
    send: SendStream,
    receive: RecvStream,
    /// What the relay said first.
    pub(crate) hello: Option<Hello>,
}

impl Talk {
    pub(crate) async fn say(&mut self, frame: &Frame) -> Result<()> {
        self.bytes(&frame.encode()).await
    }

    /// Bytes behind their length, frame or not.
    pub(crate) async fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let length = u32::try_from(bytes.len())?.to_be_bytes();
        self.unframed(&[&length[..], bytes].concat()).await
    }

    /// Bytes as they are.
    pub(crate) async fn unframed(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.send.write_all(bytes).await?)
    }

    pub(crate) async fn entries(
        &mut self,
        scope: &str,
        upto: u64,
        entries: Vec<Vec<u8>>,
    ) -> Result<()> {
        let entries = entries.into_iter().map(Into::into).collect();
        self.say(&Frame::Entries { scope: scope.to_owned(), upto, head: FAR, entries }).await
    }

    /// The next frame, if one comes in time.
    pub(crate) async fn hear(&mut self, wait: Duration) -> Option<Frame> {
        let read = async {
            let mut length = [0; 4];
            self.receive.read_exact(&mut length).await.ok()?;
            let length = u32::from_be_bytes(length) as usize;
            let mut bytes = vec![0; length.min(FRAME_BYTES_MAX)];
            self.receive.read_exact(&mut bytes).await.ok()?;
            Frame::decode(&bytes).ok()
        };
        tokio::time::timeout(wait, read).await.ok().flatten()
    }

    /// Asks for a photo.
    pub(crate) async fn photo(&self, id: [u8; 32]) -> Result<u64> {
        let ask = async {
            let (mut send, mut receive) = self.connection.open_bi().await?;
            send.write_all(&id).await?;
            send.finish()?;
            let mut length = [0; 8];
            receive.read_exact(&mut length).await?;
            Ok(u64::from_be_bytes(length))
        };
        tokio::time::timeout(WAIT, ask).await?
    }

    /// How the relay ended the conversation; says so when it did not.
    pub(crate) async fn end(&self) -> String {
        match tokio::time::timeout(WAIT, self.connection.closed()).await {
            Ok(quinn::ConnectionError::ApplicationClosed(close)) => {
                format!("closed it: {}", String::from_utf8_lossy(&close.reason))
            }
            Ok(other) => format!("ended it: {other}"),
            Err(_) => "did not end the conversation".into(),
        }
    }

    /// Hangs up: a relay talks to one machine of a device at a time.
    pub(crate) fn leave(&self) {
        self.connection.close(0_u32.into(), b"");
    }

    pub(crate) fn is_open(&self) -> bool {
        self.connection.close_reason().is_none()
    }
}
