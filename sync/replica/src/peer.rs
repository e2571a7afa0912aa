//! The replica as a session sees it.

use crate::Replica;
use cunkou_casework::calendar::china_day;
use cunkou_casework::county::DeviceKind;
use cunkou_casework::ids::{DeviceId, Scope};
use cunkou_casework::suite::PublicKey;
use cunkou_engine::{
    Admitted, Hello, Loaded, PROTOCOL, PeerInfo, Port, PortError, RefusalCode, Refused, ScopeState,
};
use cunkou_store::{PeerRow, StoreError, TrafficRow};
use std::sync::PoisonError;

/// What this program understands beside the first version.
const FEATURES: u64 = 0;

fn failed(e: impl std::fmt::Display) -> PortError {
    PortError(e.to_string())
}

impl Replica {
    /// Whether a device was suspended here. When the store cannot say, it was not: the store's
    /// failure shows at the next step.
    fn suspended(&self, device: &[u8; 16]) -> bool {
        self.store.read(|view| view.suspended(device)).is_ok_and(|since| since.is_some())
    }

    fn known_peer(&self, peer: &PeerInfo) -> Result<PeerRow, PortError> {
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
            return Ok(PeerInfo { device: device.id.0, name: device.name.clone(), scopes });
        }
        // What two devices share is what the lesser one serves; a relay serves all.
        let (relay, place_of) = match &me {
            Some(me) if me.kind == DeviceKind::Relay => (true, device),
            Some(me) => (false, me),
            // Before the county log has come, only the log itself is talked about.
            None => (false, device),
        };
        if relay == (device.kind == DeviceKind::Relay) {
            return refused(RefusalCode::NotEnrolled, "only a box and a relay talk to each other");
        }
        let mut scopes = vec![Scope::System.to_string()];
        // What a box tells the county alone is between the two.
        if let Some(me) = &me {
            let of_box = if relay { device.id } else { me.id };
            scopes.push(Scope::Upward(of_box).to_string());
        }
        scopes.extend(place_of.places.iter().map(|p| Scope::Place(*p).to_string()));
        Ok(PeerInfo { device: device.id.0, name: device.name.clone(), scopes })
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
                Ok(ScopeState { scope: scope.clone(), head, read, epoch, acked })
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
        self.store
            .write(|tx| {
                let row = tx.greet_peer(&seen)?;
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
        let known = self.known_peer(peer)?;
        self.store
            .read(|view| -> Result<Loaded, StoreError> {
                let head = self.head_for(view, peer, scope)?;
                let (upto, entries) = view.log_after(scope, after, known.id, bytes_max, head)?;
                Ok(Loaded { upto, head, entries })
            })
            .map_err(failed)
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
        self.store.write(|tx| tx.set_completed(known.id, now_ms)).map_err(|e: StoreError| failed(e))
    }

    fn carried(&self, peer: &PeerInfo, sent: u64, received: u64) -> Result<(), PortError> {
        let day = china_day(self.now_ms());
        let month =
            u32::from(day.year().unsigned_abs()) * 100 + u32::from(day.month().unsigned_abs());
        let row =
            TrafficRow { month, device: peer.device, name: peer.name.clone(), sent, received };
        self.store.write(|tx| tx.add_traffic(&row)).map_err(|e: StoreError| failed(e))
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
        self.store.read(|view| view.wanted(&peer.scopes, limit)).map_err(failed)
    }

    fn attachment(&self, peer: &PeerInfo, id: &[u8; 32]) -> Result<Option<Vec<u8>>, PortError> {
        let allowed =
            self.store.read(|view| view.attachment_in(id, &peer.scopes)).map_err(failed)?;
        if !allowed {
            return Ok(None);
        }
        self.store.read_attachment(id).map_err(failed)
    }

    fn keep_attachment(&self, id: &[u8; 32], bytes: &[u8]) -> Result<(), PortError> {
        self.store.write_attachment(id, bytes).map_err(failed)?;
        let published = self.county().catalogue().is_some_and(|(_, digest)| digest.0 == *id);
        let kept = self.store.write(|tx| match published {
            true => tx.attachment_here(id, bytes.len() as u64).map(|()| true),
            false => tx.attachment_arrived(id, bytes.len() as u64),
        });
        if !kept.map_err(|e: StoreError| failed(e))? {
            // It was erased, or left, while it was on its way.
            self.store.remove_attachment(id).map_err(failed)?;
        }
        if published {
            self.reload_release();
        }
        self.changed();
        Ok(())
    }

    fn question(&self, peer: &PeerInfo) -> Result<Option<Vec<u8>>, PortError> {
        Self::question(self, DeviceId(peer.device)).map_err(failed)
    }

    fn answer(&self, _: &PeerInfo, question: &[u8]) -> Result<Option<Vec<u8>>, PortError> {
        Self::answer(self, question).map_err(failed)
    }

    fn answered(&self, peer: &PeerInfo, answer: &[u8]) -> Result<bool, PortError> {
        Self::answered(self, DeviceId(peer.device), answer).map_err(failed)
    }

    fn on_change(&self, notify: Box<dyn Fn() + Send + Sync>) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(notify);
    }
}
