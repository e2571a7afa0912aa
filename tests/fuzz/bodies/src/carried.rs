//! Bundles: as bytes from anywhere, and as what a hostile but enrolled machine seals and signs.

use cunkou_bundle::{Head, Reader, Record, Writer, import};
use cunkou_engine::{Admitted, Hello, Loaded, PeerInfo, Port, PortError, Refused};

const SENDER: [u8; 32] = [1; 32];
/// Whoever `docs/vectors/bundle.json` is for.
const RECEIVER: [u8; 32] = [2; 32];

/// A store that keeps nothing and holds the importer to its word.
struct Nowhere;

impl Port for Nowhere {
    fn admit_peer(&self, _: &[u8; 32]) -> Result<PeerInfo, Refused> {
        Ok(peer())
    }

    fn hello(&self, _: &PeerInfo) -> Result<Hello, PortError> {
        Ok(crate::bodies::our_hello())
    }

    fn greeted(&self, _: &PeerInfo, _: &Hello) -> Result<(), PortError> {
        Ok(())
    }

    fn load(&self, _: &PeerInfo, _: &str, after: u64, _: usize) -> Result<Loaded, PortError> {
        Ok(Loaded { upto: after, head: after, entries: Vec::new() })
    }

    fn store(
        &self,
        peer: &PeerInfo,
        scope: &str,
        _: u64,
        _: &[Vec<u8>],
    ) -> Result<Admitted, PortError> {
        assert!(peer.scopes.iter().any(|s| s == scope), "only what is shared");
        Ok(Admitted::default())
    }

    fn acked(&self, _: &PeerInfo, _: &str, _: u64) -> Result<(), PortError> {
        Ok(())
    }

    fn completed(&self, _: &PeerInfo) -> Result<(), PortError> {
        Ok(())
    }

    fn heads(&self, _: &PeerInfo) -> Result<Vec<(String, u64)>, PortError> {
        Ok(Vec::new())
    }

    fn heard(&self, _: &PeerInfo, _: &[u8]) -> Result<bool, PortError> {
        Ok(false)
    }

    fn wanted(&self, _: &PeerInfo, _: usize) -> Result<Vec<[u8; 32]>, PortError> {
        Ok(Vec::new())
    }

    fn attachment(&self, _: &PeerInfo, _: &[u8; 32]) -> Result<Option<Vec<u8>>, PortError> {
        Ok(None)
    }

    fn keep_attachment(&self, _: &[u8; 32], bytes: &[u8]) -> Result<(), PortError> {
        assert!(bytes.len() as u64 <= cunkou_bundle::ATTACHMENT_BYTES_MAX, "bounded");
        Ok(())
    }

    fn on_change(&self, _: Box<dyn Fn() + Send + Sync>) {}
}

fn peer() -> PeerInfo {
    let scopes = vec!["system".to_owned(), "place:1".to_owned()];
    PeerInfo { device: [9; 16], name: "the other".to_owned(), scopes, handed_in: Vec::new() }
}

fn head() -> Head {
    Head {
        id: [7; 16],
        number: 1,
        part: 1,
        made_ms: 0,
        hello: crate::bodies::our_hello(),
        starts: Vec::new(),
        acks: Vec::new(),
        wanted: Vec::new(),
    }
}

fn read(file: &[u8]) {
    if let Ok(mut reader) = Reader::begin(&RECEIVER, file) {
        let _ = import(&Nowhere, &peer(), &mut reader, &|_, _| {});
    }
}

/// Records behind two bytes of length each.
pub(crate) fn bundle(mut data: &[u8]) {
    read(data);
    if let Some(record) = Record::decode(data) {
        assert_eq!(Record::decode(&record.encode()).as_ref(), Some(&record));
    }
    // One key exchange costs more than all decoding: only what is small enough is sealed.
    if data.len() > 64 * 1024 {
        return;
    }
    let receiver = receiver();
    let Ok(mut writer) = Writer::begin(&receiver, &SENDER, &head(), Vec::new()) else {
        return;
    };
    while let Some((length, rest)) = data.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (record, rest) = rest.split_at(length);
        data = rest;
        if writer.encoded(record).is_err() {
            return;
        }
    }
    if let Ok(file) = writer.finish(false) {
        read(&file);
    }
}

fn receiver() -> [u8; 32] {
    cunkou_casework::suite::SecretKey::from_seed(&RECEIVER).public().0
}

/// The bundle of the vectors, and its records as a hostile sender may put them together.
pub(crate) fn bundles() -> Vec<Vec<u8>> {
    let text = include_str!("../../../../docs/vectors/bundle.json");
    let Ok(vector) = serde_json::from_str::<serde_json::Value>(text) else { return Vec::new() };
    let bytes = |value: &serde_json::Value| {
        value.as_str().and_then(cunkou_casework::hex::decode).unwrap_or_default()
    };
    let records: Vec<Vec<u8>> =
        vector["records"].as_array().into_iter().flatten().map(bytes).collect();
    let mut all = Vec::new();
    for record in &records {
        all.extend(u16::try_from(record.len()).unwrap_or(u16::MAX).to_be_bytes());
        all.extend(record);
    }
    vec![bytes(&vector["file"]), bytes(&vector["head"]), all]
}
