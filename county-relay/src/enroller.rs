//! Redeems enrolment files.

use crate::command::write_new;
use crate::enrolments::{self, Offered, Why};
use crate::home::Home;
use cunkou_casework::county::{Device, DeviceKind, LogError, Statement};
use cunkou_casework::enrolment::token_id;
use cunkou_casework::ids::{DeviceId, EntryId};
use cunkou_casework::suite::PublicKey;
use cunkou_edge::cli::{Exit, Failure};
use cunkou_edge::{bounded, enrolment};
use cunkou_engine::{RefusalCode, Refused};
use cunkou_keys::{BoxSecret, seal_to};
use cunkou_link::{
    BindRequest, DeviceCertificate, EnrolRequest, Enroller, LinkError, OfferedEnrolment,
    RelayCredentials, RenewRequest, Renewed, SealedOffer, SignedRenewal,
};
use cunkou_replica::ActError;
use cunkou_store::StoreError;
use minicbor::bytes::ByteVec;
use serde_json::{Value, json};
use std::path::Path;
use tokio::sync::watch;
use zeroize::Zeroizing;

type Usable = (DeviceId, Offered);

/// A box gets so many blocks of a million numbers: one to use, the others in reserve.
const BLOCKS: u32 = 3;

fn refused(words: impl Into<String>) -> Refused {
    Refused { code: RefusalCode::Token, words: words.into() }
}

/// Why a token was not spent; everything is then as before.
enum Unspent {
    Act(ActError),
    /// Somebody else was quicker.
    Gone,
}

impl From<ActError> for Unspent {
    fn from(e: ActError) -> Self {
        Self::Act(e)
    }
}

fn ours(_: impl std::fmt::Display) -> Refused {
    refused("the relay could not do it; try again")
}

impl Home {
    /// A token as it was offered, if it can be used now by the box with this key.
    fn usable(&self, hash: &[u8; 32], key: &[u8; 32], bind: bool) -> Result<Usable, Why> {
        let row = self.replica.store().read(|view| view.enrolment(hash));
        let row = row.map_err(|_: StoreError| Why::Unknown)?.ok_or(Why::Unknown)?;
        let offered = Offered::of(&row).filter(|o| o.bind == bind).ok_or(Why::Unknown)?;
        if row.used_ms.is_some() {
            let county = self.replica.county();
            let user = county.device(DeviceId(row.device)).map(|d| d.key.0);
            // A binding code keeps no device: who is bound to its places has used it.
            let bound =
                bind && county.devices().any(|d| d.key.0 == *key && d.places == offered.places);
            return Err(if user == Some(*key) || bound { Why::UsedTwice } else { Why::OtherBox });
        }
        if row.expires_ms <= self.replica.now_ms() {
            return Err(Why::Late);
        }
        Ok((DeviceId(row.device), offered))
    }

    /// Refuses in words and keeps it for the console.
    fn refuse(&self, hash: &[u8; 32], why: Why, from: &str) -> Refused {
        if let Err(error) = enrolments::refuse(&self.replica, hash, why, from) {
            tracing::error!(%error, "a refused enrolment was not kept");
        }
        let (zh, en) = why.words();
        let next = match why {
            Why::NotAllowed | Why::NotSpare => "",
            _ => "; ask county IT for a new one",
        };
        refused(format!("{en}{next} / {zh}"))
    }

    /// Spends a token and makes the statements that it is for, both or neither.
    fn spend(
        &self,
        hash: &[u8; 32],
        statements: Vec<Statement>,
        from: &str,
    ) -> Result<(), Refused> {
        let now = self.replica.now_ms();
        let done = self.replica.state_with(&self.authority, |desk| {
            let spent = desk.tx.redeem_enrolment(hash, now).map_err(ActError::from)?;
            spent.map(|_| (statements, ())).ok_or(Unspent::Gone)
        });
        match done {
            Ok(()) => Ok(()),
            Err(Unspent::Gone) => Err(self.refuse(hash, Why::OtherBox, from)),
            Err(Unspent::Act(ActError::County(LogError::NotAuthority(_)))) => {
                Err(self.refuse(hash, Why::NotAllowed, from))
            }
            Err(Unspent::Act(e)) => {
                tracing::error!(error = %e, "an enrolment was not stated; its token stays valid");
                Err(ours(e))
            }
        }
    }

    /// Answers an enrolment request that was carried here.
    pub(crate) fn answer_enrolment(&self, file: &Path, out: &Path) -> Result<Value, Failure> {
        let failed = |e: String| Failure::new(Exit::Failed, e);
        let no = |words: String| Failure::new(Exit::Refused, words);
        let text = bounded::text(file, bounded::SMALL_BYTES_MAX)
            .map_err(|e| failed(format!("{}: {e}", file.display())))?;
        let request = enrolment::read_request(&text)
            .filter(EnrolRequest::holds)
            .ok_or_else(|| no(format!("{} is no enrolment request of a box", file.display())))?;
        if out.exists() {
            return Err(failed(format!("{} is there already", out.display())));
        }
        let recipient = BoxSecret::public_of(&request.key)
            .ok_or_else(|| no(format!("{} carries a key that cannot be used", file.display())))?;
        let offer = self.enrol(&request, "file").map_err(|r| no(r.words))?;
        let plain = Zeroizing::new(minicbor::to_vec(&offer).map_err(|e| failed(e.to_string()))?);
        let sealed = seal_to(&recipient, None, enrolment::SEALED, &plain)
            .map_err(|e| failed(e.to_string()))?;
        let seed = self.replica.me().key.seed();
        let own = self.certificates.own(&seed).map_err(|e| failed(e.to_string()))?;
        let chain = own.chain.iter().map(|c| c.to_vec()).collect();
        let answer = SealedOffer::new(sealed, chain, &seed);
        write_new(out, &enrolment::write_answer(&answer))?;
        Ok(json!({
            "schema": 1, "file": out, "device": DeviceId(offer.device).to_string(),
            "next": "carry the file back to the box and run: cunkou-node enrol-finish FILE; \
                     then compare the six words",
        }))
    }
}

impl Enroller for Home {
    fn enrol(&self, request: &EnrolRequest, from: &str) -> Result<OfferedEnrolment, Refused> {
        let _turn = self.enrolling.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let none = ByteVec::from(Vec::new());
        let web_key = request.web_key.as_ref().unwrap_or(&none);
        let addresses = request.addresses.as_deref().unwrap_or_default();
        let hash = token_id(&request.token);
        let (device, offered) =
            self.usable(&hash, &request.key, false).map_err(|why| self.refuse(&hash, why, from))?;
        // Before the token is spent.
        self.certificates.check(web_key, addresses, &|id| self.counts(id)).map_err(refused)?;
        if self.replica.county().devices().any(|d| d.key.0 == request.key) {
            return Err(refused("this box is enrolled already"));
        }
        let issued = self.issue(device, &request.key, web_key, addresses)?;
        let first = self.replica.county().next_free_block();
        let statements = vec![
            Statement::Device(Device {
                id: device,
                key: PublicKey(request.key),
                kind: offered.kind,
                name: offered.name,
                places: offered.places,
                phone: offered.phone,
            }),
            Statement::Numbers { device, blocks: (first..first + BLOCKS).collect() },
        ];
        self.spend(&hash, statements, from)?;
        let county_log = self
            .replica
            .store()
            .read(|view| self.replica.statements(view))
            .map_err(|e: StoreError| ours(e))?;
        let me = self.replica.me();
        Ok(OfferedEnrolment {
            device: device.0,
            certificate: issued.certificate,
            county: me.county.0,
            founding: self.replica.county().founding().unwrap_or(EntryId([0; 32])).0,
            index_secret: me.index_secret,
            recovery: Some(self.recovery),
            lease: Some(*self.lease_secret(device).bytes()),
            county_log: county_log.iter().map(|entry| entry.encode().into()).collect(),
            issuing: Some(issued.issuing),
            roots: Some(issued.roots),
            web_certificate: Some(issued.web_certificate),
        })
    }

    fn bind(&self, request: &BindRequest, from: &str) -> Result<Vec<String>, Refused> {
        let _turn = self.enrolling.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let no = |why| self.refuse(&request.code, why, from);
        let (_, offered) = self.usable(&request.code, &request.key, true).map_err(no)?;
        let county = self.replica.county();
        let spare = county.devices().find(|d| d.key.0 == request.key).filter(|d| {
            d.kind == DeviceKind::Village && d.places.is_empty() && county.device_counts(d.id)
        });
        let bound = match spare {
            Some(spare) => Device { places: offered.places.clone(), ..spare.clone() },
            None => return Err(no(Why::NotSpare)),
        };
        let device = bound.id;
        self.spend(&request.code, vec![Statement::Device(bound)], from)?;
        tracing::info!(%device, "bound a spare box to its places");
        Ok(offered.places.iter().map(|p| county.place_name(*p)).collect())
    }
}

impl Home {
    fn counts(&self, id: &str) -> bool {
        let county = self.replica.county();
        county.devices().any(|d| d.id.to_string() == id && county.device_counts(d.id))
    }

    fn issue(
        &self,
        device: DeviceId,
        key: &[u8; 32],
        web_key: &[u8],
        addresses: &[ByteVec],
    ) -> Result<Renewed, Refused> {
        let (now, counts) = (self.replica.now_ms(), |id: &str| self.counts(id));
        self.certificates
            .issue(&device.to_string(), key, web_key, addresses, &counts, now)
            .map_err(refused)
    }
}

impl RelayCredentials for Home {
    fn certificate(&self) -> Result<DeviceCertificate, LinkError> {
        self.certificates.own(&self.replica.me().key.seed())
    }

    fn now_ms(&self) -> i64 {
        self.replica.now_ms()
    }

    /// For whom the county log still counts: over the link and for a file alike.
    fn renew(&self, request: &RenewRequest) -> Result<SignedRenewal, Refused> {
        if !request.holds() {
            return Err(refused("the request does not carry the box's own signature"));
        }
        let county = self.replica.county();
        let device = county
            .devices()
            .find(|d| d.key == PublicKey(request.key))
            .filter(|d| county.device_counts(d.id))
            .ok_or_else(|| refused("the county does not count this box, or no longer"))?
            .id;
        let renewed = self.issue(device, &request.key, &request.web_key, &request.addresses)?;
        Ok(SignedRenewal::new(&renewed, &self.replica.me().key.seed()))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.certificates.changes()
    }
}
