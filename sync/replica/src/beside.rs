//! The replica as a box beside this one sees it: the same judgement, and nothing that only the
//! county can say.
//!
//! What the other acknowledges is not with the county; that it is there confirms nothing, sets no
//! clock and prolongs no lease; it is asked for no checkpoint.

use crate::Replica;
use crate::peer::failed;
use cunkou_casework::county::Apart;
use cunkou_casework::suite::PublicKey;
use cunkou_engine::ranges::Outline;
use cunkou_engine::{
    Admitted, Given, Hello, Kept, Loaded, Named, Part, PeerInfo, Picked, Port, PortError,
    RefusalCode, Refused, Repaired, Rotten, features,
};
use cunkou_store::{How, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// An unlocked box's replica, for boxes that it meets on the local network.
#[derive(Clone, Debug)]
pub struct Beside(pub Arc<Replica>);

impl Port for Beside {
    fn admit_peer(&self, key: &[u8; 32]) -> Result<PeerInfo, Refused> {
        let county = self.0.county();
        let met = county.beside(self.0.me().device, &PublicKey(*key));
        met.map_err(|why| {
            let code = match why {
                Apart::Revoked => RefusalCode::Revoked,
                Apart::Unknown | Apart::Ourselves | Apart::Relay => RefusalCode::NotEnrolled,
            };
            Refused { code, words: why.to_string() }
        })
        .map(|(device, scopes)| PeerInfo {
            device: device.id.0,
            name: device.name.clone(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            handed_in: Vec::new(),
        })
    }

    fn hello(&self, peer: &PeerInfo) -> Result<Hello, PortError> {
        let mut hello = self.0.hello(peer)?;
        // They meet too seldom for a brief one to pay.
        hello.features = hello.features.map(|all| all & !features::BRIEF);
        Ok(hello)
    }

    fn greeted(&self, peer: &PeerInfo, hello: &Hello) -> Result<(), PortError> {
        self.0.meet(peer, hello, How::Neighbour).map_err(failed)
    }

    fn load(
        &self,
        peer: &PeerInfo,
        scope: &str,
        after: u64,
        bytes_max: usize,
    ) -> Result<Loaded, PortError> {
        self.0.load(peer, scope, after, bytes_max)
    }

    fn load_part(&self, peer: &PeerInfo, part: &Part) -> Result<Loaded, PortError> {
        self.0.load_part(peer, part)
    }

    fn named(
        &self,
        peer: &PeerInfo,
        scope: &str,
        after: u64,
        count_max: usize,
    ) -> Result<Named, PortError> {
        self.0.named(peer, scope, after, count_max)
    }

    fn lacking(
        &self,
        peer: &PeerInfo,
        scope: &str,
        names: &[[u8; 8]],
    ) -> Result<Vec<bool>, PortError> {
        self.0.lacking(peer, scope, names)
    }

    fn sums(
        &self,
        peer: &PeerInfo,
        scopes: &[String],
    ) -> Result<Vec<(String, u64, [u8; 16])>, PortError> {
        self.0.sums(peer, scopes)
    }

    fn names(&self, peer: &PeerInfo, scope: &str) -> Result<Vec<[u8; 32]>, PortError> {
        self.0.names(peer, scope)
    }

    fn pick(
        &self,
        peer: &PeerInfo,
        scope: &str,
        names: &[[u8; 32]],
        bytes_max: usize,
    ) -> Result<Picked, PortError> {
        self.0.pick(peer, scope, names, bytes_max)
    }

    fn heal(&self, peer: &PeerInfo, scope: &str, entries: &[Vec<u8>]) -> Result<u64, PortError> {
        self.0.heal_by(How::Neighbour, peer, scope, entries)
    }

    fn rotten(&self, peer: &PeerInfo) -> Result<Vec<Rotten>, PortError> {
        self.0.rotten(peer)
    }

    fn repaired(&self, peer: &PeerInfo, scope: &str, repaired: Repaired) -> Result<(), PortError> {
        self.0.repaired(peer, scope, repaired)
    }

    fn store(
        &self,
        peer: &PeerInfo,
        scope: &str,
        upto: u64,
        entries: &[Vec<u8>],
    ) -> Result<Admitted, PortError> {
        let known = self.0.known_peer(peer)?;
        let kept = self.0.admit_by(How::Neighbour, &known, scope, upto, entries, |_| Ok(()));
        kept.map_err(failed)
    }

    fn acked(&self, peer: &PeerInfo, scope: &str, upto: u64) -> Result<(), PortError> {
        self.0.acked(peer, scope, upto)
    }

    fn completed(&self, peer: &PeerInfo) -> Result<(), PortError> {
        let known = self.0.known_peer(peer)?;
        let now_ms = self.0.now_ms();
        let ended = self.0.store().write(|tx| tx.end_contact(known.id, now_ms));
        ended.map_err(|e: StoreError| failed(e))
    }

    fn heads(&self, peer: &PeerInfo) -> Result<Vec<(String, u64)>, PortError> {
        self.0.heads(peer)
    }

    /// A last word is for the county.
    fn heard(&self, _: &PeerInfo, _: &[u8]) -> Result<bool, PortError> {
        Ok(false)
    }

    fn wanted(&self, peer: &PeerInfo, limit: usize) -> Result<Vec<[u8; 32]>, PortError> {
        self.0.wanted(peer, limit)
    }

    fn attachment(&self, peer: &PeerInfo, id: &[u8; 32]) -> Result<Option<Vec<u8>>, PortError> {
        self.0.attachment(peer, id)
    }

    fn keep_attachment(&self, id: &[u8; 32], bytes: &[u8]) -> Result<(), PortError> {
        self.0.keep_attachment(id, bytes)
    }

    fn outline(&self, peer: &PeerInfo, id: &[u8; 32]) -> Result<Given<Outline>, PortError> {
        self.0.outline(peer, id)
    }

    fn groups(
        &self,
        peer: &PeerInfo,
        id: &[u8; 32],
        first: u16,
        count: u8,
    ) -> Result<Given<(u64, Vec<u8>)>, PortError> {
        self.0.groups(peer, id, first, count)
    }

    fn part(&self, id: &[u8; 32]) -> Result<Option<(Outline, u16)>, PortError> {
        self.0.part(id)
    }

    fn drop_part(&self, id: &[u8; 32]) -> Result<(), PortError> {
        self.0.drop_part(id)
    }

    fn keep_groups(&self, of: &Outline, first: u16, bytes: &[u8]) -> Result<Kept, PortError> {
        self.0.keep_groups(of, first, bytes)
    }

    fn lane_waits(&self, id: &[u8; 32]) -> Result<Option<Duration>, PortError> {
        self.0.lane_waits(id)
    }

    fn lane_fault(&self, peer: &PeerInfo, words: &str) -> Result<(), PortError> {
        self.0.lane_fault(peer, words)
    }

    fn on_change(&self, notify: Box<dyn Fn() + Send + Sync>) {
        self.0.on_change(notify);
    }
}
