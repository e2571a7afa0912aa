//! The replica as a session sees it.

use crate::Replica;
use crate::villages::not_compared;
use cunkou_casework::calendar::china_day;
use cunkou_casework::county::{CountyLog, Device, DeviceKind};
use cunkou_casework::entry::Entry;
use cunkou_casework::ids::{DeviceId, Scope};
use cunkou_casework::suite::PublicKey;
use cunkou_engine::ranges::{Outline, span};
use cunkou_engine::{
    Admitted, Given, Hello, Kept, Loaded, Named, PROTOCOL, Part, PeerInfo, Picked, Port, PortError,
    RefusalCode, Refused, Repaired, Rotten, SCOPES_MAX, ScopeState, Sketch, Wholes, features,
};
use cunkou_store::{How, PeerRow, RepairRow, Said, StoreError, TrafficRow, View};
use std::net::IpAddr;
use std::sync::PoisonError;
use std::time::Duration;
use tracing::{info, warn};

/// What this program understands beside the first version.
const FEATURES: u64 = features::BRIEF
    | features::PACKED
    | features::OFFER
    | features::RECONCILE
    | features::RANGES
    | features::SNAPSHOT
    | features::SKETCH;

/// So many damaged entries of a scope are asked for in one conversation.
const HEALED_MAX: usize = 10_000;
/// No peer has this number.
pub(crate) const NOBODY: i64 = i64::MIN;

pub(crate) fn failed(e: impl std::fmt::Display) -> PortError {
    PortError(e.to_string())
}

/// What two relays of a county share: all of it, what each box tells the county included. Each
/// judges every entry by itself, and each witnesses what came to it: a step then has a witness of
/// both, and the earlier one counts.
fn scopes_of_relays(county: &CountyLog) -> Vec<String> {
    let places = county.places().map(|place| Scope::Place(place.id));
    let boxes = county.devices().filter(|d| d.kind != DeviceKind::Relay);
    let upward = boxes.map(|d| Scope::Upward(d.id));
    let all = std::iter::once(Scope::System).chain(places).chain(upward);
    all.take(SCOPES_MAX).map(|scope| scope.to_string()).collect()
}

fn peer(device: &Device, scopes: Vec<String>, handed_in: Vec<String>) -> PeerInfo {
    PeerInfo { device: device.id.0, name: device.name.clone(), scopes, handed_in }
}

impl Replica {
    /// Whether a device was suspended here. When the store cannot say, it was not: the store's
    /// failure shows at the next step.
    fn suspended(&self, device: &[u8; 16]) -> bool {
        self.store.read(|view| view.suspended(device)).is_ok_and(|since| since.is_some())
    }

    /// A peer has said hello, over a link or as a box beside this one.
    pub(crate) fn meet(&self, peer: &PeerInfo, hello: &Hello, how: How) -> Result<(), StoreError> {
        let now_ms = self.now_ms();
        let seen = PeerRow {
            id: 0,
            device: peer.device,
            store: hello.store,
            epoch: hello.epoch,
            name: peer.name.clone(),
            software: hello.software.chars().take(40).collect(),
            seen_ms: now_ms,
            clock_error_ms: hello.time_ms.saturating_sub(now_ms),
            completed_ms: None,
            features: hello.features.unwrap_or(0),
        };
        // What is only handed in says nothing of a disk: it is not told of, and not read.
        let shared = self.shared(peer);
        self.store.write(|tx| {
            let row = tx.greet_peer(&seen)?;
            self.remember_handed_in(tx, row.id, DeviceId(peer.device))?;
            let epoch = tx.meta("epoch")?.unwrap_or_default();
            let says: Vec<Said<'_>> = hello
                .scopes
                .iter()
                .filter(|state| shared.contains(&state.scope))
                .map(|state| Said {
                    scope: &state.scope,
                    head: state.head,
                    // A cursor of another epoch is void.
                    read: if state.epoch.as_slice() == epoch { state.read } else { 0 },
                    acknowledged: state.epoch.as_slice() == epoch,
                })
                .collect();
            if tx.doubt_peer(row.id, &says)? {
                warn!(peer = %peer.name, "the peer's disk went back, or is a copy");
            }
            if how == How::Neighbour {
                tx.set_beside(row.id)?;
            }
            tx.begin_contact(row.id, now_ms)?;
            if how == How::Link { Ok(()) } else { tx.set_contact_kind(row.id, how) }
        })
    }

    /// Takes entries by name, whatever the cursor says.
    pub(crate) fn heal_by(
        &self,
        how: How,
        peer: &PeerInfo,
        scope: &str,
        entries: &[Vec<u8>],
    ) -> Result<u64, PortError> {
        let known = self.known_peer(peer)?;
        let mut healed = 0;
        for bytes in entries {
            if let Ok(entry) = Entry::decode(bytes) {
                healed += u64::from(self.heal(entry.id(), bytes).map_err(failed)?);
            }
        }
        let admitted = self.take_lacking(&known, how, scope, entries).map_err(failed)?;
        Ok(healed + u64::from(admitted.new) + u64::from(admitted.quarantined))
    }

    pub(crate) fn known_peer(&self, peer: &PeerInfo) -> Result<PeerRow, PortError> {
        let row = self.store.read(|view| view.peer(&peer.device)).map_err(failed)?;
        row.ok_or_else(|| failed("the peer has not said hello"))
    }
}

impl Port for Replica {
    fn admit_peer(&self, key: &[u8; 32]) -> Result<PeerInfo, Refused> {
        let county = self.county();
        let refused = |code, words: &str| Err(Refused { code, words: words.to_owned() });
        let Some(device) = county.devices().find(|d| d.key == PublicKey(*key)) else {
            return refused(
                RefusalCode::NotEnrolled,
                "this box is not enrolled in this county; ask county IT for an enrolment file",
            );
        };
        if self.suspended(&device.id.0) {
            return refused(
                RefusalCode::Suspended,
                "the county has suspended this box: too much of what it sent does not count; \
                 call county IT",
            );
        }
        let me = self.device();
        if !county.device_counts(device.id) {
            let hears = me.is_some_and(|me| me.kind == DeviceKind::Relay)
                && !matches!(self.last_word_of(device.id), Ok(Some(_)));
            if !hears {
                return refused(RefusalCode::Revoked, "this box was revoked by the county");
            }
            // It may hear the county log up to its own revocation and say that it has destroyed
            // its keys; nothing else.
            let scopes = vec![Scope::System.to_string()];
            return Ok(peer(device, scopes, Vec::new()));
        }
        // What two devices share is what the lesser one serves; a relay serves all.
        let (relay, place_of) = match &me {
            Some(me) if me.kind == DeviceKind::Relay => (true, device),
            Some(me) => (false, me),
            // Before the county log has come, only the log itself is talked about.
            None => (false, device),
        };
        if relay && device.kind == DeviceKind::Relay {
            if device.id == self.me.device {
                return refused(RefusalCode::NotEnrolled, "this is our own key");
            }
            return Ok(peer(device, scopes_of_relays(&county), Vec::new()));
        }
        if !relay && device.kind != DeviceKind::Relay {
            return refused(RefusalCode::NotEnrolled, "two boxes do not talk to each other");
        }
        let mut scopes = vec![Scope::System.to_string()];
        // What a box tells the county alone is between the two.
        if let Some(me) = &me {
            let of_box = if relay { device.id } else { me.id };
            scopes.push(Scope::Upward(of_box).to_string());
        }
        let [served, mut handed_in] = self.scopes_of_box(&county, place_of.id);
        scopes.extend(served);
        handed_in.truncate(SCOPES_MAX.saturating_sub(scopes.len()));
        scopes.extend(handed_in.iter().cloned());
        Ok(peer(device, scopes, handed_in))
    }

    fn hello(&self, peer: &PeerInfo) -> Result<Hello, PortError> {
        let hello = self.store.read(|view| -> Result<Hello, StoreError> {
            let known = view.peer(&peer.device)?;
            let scopes = peer.scopes.iter().map(|scope| {
                let (read, epoch, acked) = match &known {
                    Some(known) => {
                        let acked = view.acked(known.id, scope)?;
                        (view.cursor(known.id, scope)?, known.epoch, Some(acked))
                    }
                    None => (0, [0; 16], None),
                };
                let head = self.head_for(view, peer, scope)?;
                let whole = head == view.head(scope)?;
                let lost = self.has_lost(scope);
                let known = known.as_ref().map(|known| known.id).filter(|_| !lost);
                let asks =
                    if lost { None } else { self.asks_whole(view, peer, known, scope, head)? };
                let sum = if whole { Some(view.held(scope)?) } else { None };
                let read = if lost { 0 } else { read };
                let handed_in = lost || self.withholds(peer, scope);
                let sum = if handed_in { Some(not_compared()) } else { sum };
                let (scope, whole) = (scope.clone(), asks.map(Into::into));
                Ok(ScopeState { scope, head, read, epoch, acked, sum, whole })
            });
            let id = |key: &str| -> Result<[u8; 16], StoreError> {
                let bytes = view.meta(key)?.unwrap_or_default();
                bytes.try_into().map_err(|_| StoreError::Damaged { what: "store identity" })
            };
            Ok(Hello {
                protocol: PROTOCOL,
                store: id("store")?,
                epoch: id("epoch")?,
                incarnation: self.incarnation.0,
                software: env!("CARGO_PKG_VERSION").to_owned(),
                time_ms: self.now_ms(),
                scopes: scopes.collect::<Result<_, StoreError>>()?,
                features: Some(FEATURES),
            })
        });
        hello.map_err(failed)
    }

    fn greeted(&self, peer: &PeerInfo, hello: &Hello) -> Result<(), PortError> {
        self.meet(peer, hello, How::Link).map_err(failed)?;
        self.gather_looks(true).map_err(failed).map(|_| ())
    }

    fn knows(&self, peer: &PeerInfo) -> Result<u64, PortError> {
        let known = self.store.read(|view| view.peer(&peer.device)).map_err(failed)?;
        Ok(known.map_or(0, |known| known.features))
    }

    fn forget(&self, peer: &PeerInfo) -> Result<(), PortError> {
        self.store.write(|tx| tx.forget_features(&peer.device)).map_err(|e: StoreError| failed(e))
    }

    fn greeted_again(
        &self,
        peer: &PeerInfo,
        _: &[u8; 16],
        time_ms: i64,
        features: u64,
    ) -> Result<(), PortError> {
        let known = self.known_peer(peer)?;
        let now_ms = self.now_ms();
        let clock_error_ms = time_ms.saturating_sub(now_ms);
        let seen = PeerRow { seen_ms: now_ms, clock_error_ms, features, ..known };
        self.store
            .write(|tx| {
                let row = tx.greet_peer(&seen)?;
                self.remember_handed_in(tx, row.id, DeviceId(peer.device))?;
                tx.begin_contact(row.id, now_ms)
            })
            .map_err(|e: StoreError| failed(e))?;
        self.gather_looks(true).map_err(failed).map(|_| ())
    }

    fn load(
        &self,
        peer: &PeerInfo,
        scope: &str,
        after: u64,
        bytes_max: usize,
    ) -> Result<Loaded, PortError> {
        self.load_part(peer, &Part::behind(scope, after, bytes_max))
    }

    fn load_part(&self, peer: &PeerInfo, part: &Part) -> Result<Loaded, PortError> {
        // The conversation began before the peer lost the village: it ends here.
        if self.withholds(peer, &part.scope) && !peer.handed_in.contains(&part.scope) {
            return Err(failed("the peer does not serve this village any more"));
        }
        self.store
            .read(|view| -> Result<Loaded, StoreError> {
                let head = self.head_for(view, peer, &part.scope)?;
                // Who was never met gave us nothing: a bundle may go before the first meeting.
                let known = view.peer(&peer.device)?.map_or(NOBODY, |known| known.id);
                let (upto, entries) =
                    view.log_part_for(part, (known, self.keeps_from(peer)), head)?;
                Ok(Loaded { upto, head, entries })
            })
            .map_err(failed)
    }

    fn named(
        &self,
        peer: &PeerInfo,
        scope: &str,
        after: u64,
        count_max: usize,
    ) -> Result<Named, PortError> {
        let known = self.known_peer(peer)?;
        self.store
            .read(|view| -> Result<Named, StoreError> {
                let head = self.head_for(view, peer, scope)?;
                view.names_after(scope, after, (known.id, self.keeps_from(peer)), count_max, head)
            })
            .map_err(failed)
    }

    fn lacking(
        &self,
        peer: &PeerInfo,
        scope: &str,
        names: &[[u8; 8]],
    ) -> Result<Vec<bool>, PortError> {
        if self.withholds(peer, scope) {
            // Nor is it told what is here.
            return Ok(vec![true; names.len()]);
        }
        let look =
            |view: &View<'_>| names.iter().map(|name| Ok(!view.has_named(scope, name)?)).collect();
        self.store.read(look).map_err(|e: StoreError| failed(e))
    }

    fn sums(
        &self,
        peer: &PeerInfo,
        scopes: &[String],
    ) -> Result<Vec<(String, u64, [u8; 16])>, PortError> {
        let sum = |view: &View<'_>, scope: &String| -> Result<_, StoreError> {
            if self.withholds(peer, scope) || self.has_lost(scope) {
                return Ok(None);
            }
            let head = view.head(scope)?;
            let whole = self.head_for(view, peer, scope)? == head;
            let sum = view.held(scope)?;
            Ok(whole.then(|| (scope.clone(), head, sum)))
        };
        self.store
            .read(|view| scopes.iter().filter_map(|scope| sum(view, scope).transpose()).collect())
            .map_err(|e: StoreError| failed(e))
    }

    fn names(&self, peer: &PeerInfo, scope: &str) -> Result<Vec<[u8; 32]>, PortError> {
        self.store
            .read(|view| match self.head_for(view, peer, scope)? == view.head(scope)? {
                true => view.all_names(scope),
                false => Ok(Vec::new()),
            })
            .map_err(|e: StoreError| failed(e))
    }

    fn pick(
        &self,
        peer: &PeerInfo,
        scope: &str,
        names: &[[u8; 32]],
        bytes_max: usize,
    ) -> Result<Picked, PortError> {
        self.store
            .read(|view| match self.head_for(view, peer, scope)? == view.head(scope)? {
                true => view.pick(scope, names, bytes_max, self.keeps_from(peer)),
                false => Ok(Picked { dealt: names.len(), entries: Vec::new() }),
            })
            .map_err(|e: StoreError| failed(e))
    }

    fn heal(&self, peer: &PeerInfo, scope: &str, entries: &[Vec<u8>]) -> Result<u64, PortError> {
        self.heal_by(How::Link, peer, scope, entries)
    }

    fn rotten(&self, peer: &PeerInfo) -> Result<Vec<Rotten>, PortError> {
        let of = |view: &View<'_>, scope: &String| -> Result<_, StoreError> {
            let names = view.rotten(std::slice::from_ref(scope), HEALED_MAX)?;
            Ok(Rotten { scope: scope.clone(), names })
        };
        let all: Vec<Rotten> = self
            .store
            .read(|view| {
                peer.scopes
                    .iter()
                    .filter(|scope| !self.has_lost(scope))
                    .map(|scope| of(view, scope))
                    .collect()
            })
            .map_err(|e: StoreError| failed(e))?;
        Ok(all.into_iter().filter(|rotten| !rotten.names.is_empty()).collect())
    }

    fn repaired(&self, peer: &PeerInfo, scope: &str, repaired: Repaired) -> Result<(), PortError> {
        let known = self.known_peer(peer)?;
        let Repaired { received, given, equal } = repaired;
        if equal {
            info!(peer = %peer.name, scope, received, given, "a scope differed and was repaired");
        } else {
            warn!(peer = %peer.name, scope, received, given, "a scope still differs after its repair");
        }
        let (at_ms, scope) = (self.now_ms(), scope.to_owned());
        let row = RepairRow { at_ms, peer: peer.name.clone(), scope, received, given, equal };
        self.store.write(|tx| tx.note_repair(known.id, &row)).map_err(|e: StoreError| failed(e))
    }

    fn store(
        &self,
        peer: &PeerInfo,
        scope: &str,
        upto: u64,
        entries: &[Vec<u8>],
    ) -> Result<Admitted, PortError> {
        let known = self.known_peer(peer)?;
        self.admit(&known, scope, upto, entries, |_| Ok(())).map_err(failed)
    }

    fn acked(&self, peer: &PeerInfo, scope: &str, upto: u64) -> Result<(), PortError> {
        let known = self.known_peer(peer)?;
        self.store
            .write(|tx| tx.set_acked(known.id, scope, upto))
            .map_err(|e: StoreError| failed(e))
    }

    fn completed(&self, peer: &PeerInfo) -> Result<(), PortError> {
        let known = self.known_peer(peer)?;
        let now_ms = self.now_ms();
        let served = |scope: &&String| !self.has_lost(scope);
        let read: Vec<String> = peer.scopes.iter().filter(served).cloned().collect();
        let completed = self.store.write(|tx| {
            tx.set_read(known.id, &read)?;
            tx.set_completed(known.id, now_ms)
        });
        completed.map_err(|e: StoreError| failed(e))?;
        self.settle_villages().map_err(failed).map(|_| ())
    }

    fn sketch(&self, peer: &PeerInfo, scope: &str) -> Result<Option<Sketch>, PortError> {
        let sketch =
            self.store.write(|tx| match self.head_for(tx, peer, scope)? == tx.head(scope)? {
                true => tx.sketch(scope).map(Some),
                false => Ok(None),
            });
        sketch.map_err(|e: StoreError| failed(e))
    }

    fn whole_names(&self, scope: &str, keys: &[[u8; 8]]) -> Result<Vec<[u8; 32]>, PortError> {
        self.store.read(|view| view.names_like(scope, keys)).map_err(failed)
    }

    fn wholes(
        &self,
        peer: &PeerInfo,
        scope: &str,
        after: &[u8],
        bytes_max: usize,
    ) -> Result<Wholes, PortError> {
        self.store.read(|view| self.wholes_of(view, peer, scope, after, bytes_max)).map_err(failed)
    }

    fn warm(&self, peer: &PeerInfo, scope: &str, wholes: &Wholes) -> Result<(), PortError> {
        let known = self.known_peer(peer)?;
        self.take_whole(&known, scope, wholes).map_err(failed)
    }

    fn carried(&self, peer: &PeerInfo, sent: u64, received: u64) -> Result<(), PortError> {
        let day = china_day(self.now_ms());
        let month =
            u32::from(day.year().unsigned_abs()) * 100 + u32::from(day.month().unsigned_abs());
        let row =
            TrafficRow { month, device: peer.device, name: peer.name.clone(), sent, received };
        self.store.write(|tx| tx.add_traffic(&row)).map_err(|e: StoreError| failed(e))
    }

    fn double(&self, peer: &PeerInfo, from: IpAddr) -> Result<(), PortError> {
        let (at_ms, address) = (self.now_ms(), from.to_string());
        self.store
            .write(|tx| tx.note_double(&peer.device, &address, at_ms))
            .map_err(|e: StoreError| failed(e))
    }

    fn heads(&self, peer: &PeerInfo) -> Result<Vec<(String, u64)>, PortError> {
        self.store
            .read(|view| -> Result<_, StoreError> {
                let head = |scope: &String| Ok((scope.clone(), self.head_for(view, peer, scope)?));
                peer.scopes.iter().map(head).collect()
            })
            .map_err(failed)
    }

    fn heard(&self, peer: &PeerInfo, words: &[u8]) -> Result<bool, PortError> {
        self.hear(peer, words).map_err(failed)
    }

    fn wanted(&self, peer: &PeerInfo, limit: usize) -> Result<Vec<[u8; 32]>, PortError> {
        let scopes: Vec<String> =
            peer.scopes.iter().filter(|scope| !self.has_lost(scope)).cloned().collect();
        let wanted = self.store.read(|view| view.wanted(&scopes, limit)).map_err(failed)?;
        Ok(self.room_for(wanted))
    }

    fn attachment(&self, peer: &PeerInfo, id: &[u8; 32]) -> Result<Option<Vec<u8>>, PortError> {
        let read = || self.store.read_attachment(id);
        Ok(match self.give(peer, id, read, Vec::len).map_err(failed)? {
            Given::Here(bytes) => {
                let all = bytes.len() as u64;
                self.handed(peer, id, (0, all, all)).map_err(failed)?;
                Some(bytes)
            }
            Given::Lacking | Given::Later(_) => None,
        })
    }

    fn keep_attachment(&self, id: &[u8; 32], bytes: &[u8]) -> Result<(), PortError> {
        self.moved(bytes.len()).map_err(failed)?;
        self.store.write_attachment(id, bytes).map_err(failed)?;
        self.arrived(id, bytes.len() as u64).map(|_| ()).map_err(failed)
    }

    fn outline(&self, peer: &PeerInfo, id: &[u8; 32]) -> Result<Given<Outline>, PortError> {
        let read = || self.store.attachment_outline(id);
        self.give(peer, id, read, |outline| outline.names().len()).map_err(failed)
    }

    fn groups(
        &self,
        peer: &PeerInfo,
        id: &[u8; 32],
        first: u16,
        count: u8,
    ) -> Result<Given<(u64, Vec<u8>)>, PortError> {
        let read = || self.store.attachment_groups(id, first, count);
        let given = self.give(peer, id, read, |(_, bytes)| bytes.len()).map_err(failed)?;
        if let Given::Here((length, bytes)) = &given {
            let (from, _) = span(*length, first, count);
            self.handed(peer, id, (from, bytes.len() as u64, *length)).map_err(failed)?;
        }
        Ok(given)
    }

    fn part(&self, id: &[u8; 32]) -> Result<Option<(Outline, u16)>, PortError> {
        self.store.part(id).map_err(failed)
    }

    fn drop_part(&self, id: &[u8; 32]) -> Result<(), PortError> {
        self.store.remove_part(id).map_err(failed)
    }

    fn keep_groups(&self, of: &Outline, first: u16, bytes: &[u8]) -> Result<Kept, PortError> {
        self.keep_pieces(of, first, bytes).map_err(failed)
    }

    fn lane_waits(&self, id: &[u8; 32]) -> Result<Option<Duration>, PortError> {
        self.waits(id).map_err(failed)
    }

    fn lane_fault(&self, peer: &PeerInfo, words: &str) -> Result<(), PortError> {
        let now_ms = self.now_ms();
        self.store
            .write(|tx| tx.lane_fault(&peer.device, words, now_ms))
            .map_err(|e: StoreError| failed(e))
    }

    fn question(&self, peer: &PeerInfo) -> Result<Option<Vec<u8>>, PortError> {
        Self::question(self, DeviceId(peer.device)).map_err(failed)
    }

    fn answer(&self, peer: &PeerInfo, question: &[u8]) -> Result<Option<Vec<u8>>, PortError> {
        Self::answer(self, peer, question).map_err(failed)
    }

    fn answered(&self, peer: &PeerInfo, answer: &[u8]) -> Result<bool, PortError> {
        Self::answered(self, DeviceId(peer.device), answer).map_err(failed)
    }

    fn on_change(&self, notify: Box<dyn Fn() + Send + Sync>) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(notify);
    }
}
