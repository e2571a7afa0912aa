//! Redeems enrolment files.

use crate::command::Offered;
use crate::home::Home;
use cunkou_casework::county::{Device, Statement};
use cunkou_casework::ids::{DeviceId, EntryId, Scope};
use cunkou_casework::suite::{PublicKey, attachment_id};
use cunkou_engine::{RefusalCode, Refused};
use cunkou_link::{
    DeviceCertificate, EnrolRequest, Enroller, LinkError, OfferedEnrolment, RelayCredentials,
    RenewRequest, Renewed, SignedRenewal,
};
use cunkou_store::StoreError;
use minicbor::bytes::ByteVec;
use tokio::sync::watch;

/// A box gets so many blocks of a million numbers: one to use, the others in reserve.
const BLOCKS: u32 = 3;

fn refused(words: impl Into<String>) -> Refused {
    Refused { code: RefusalCode::Token, words: words.into() }
}

impl Enroller for Home {
    fn enrol(&self, request: &EnrolRequest) -> Result<OfferedEnrolment, Refused> {
        let _turn = self.enrolling.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let ours = |_| refused("the relay could not enrol the box; try again");
        let now = self.replica.now_ms();
        let none = ByteVec::from(Vec::new());
        let web_key = request.web_key.as_ref().unwrap_or(&none);
        let addresses = request.addresses.as_deref().unwrap_or_default();
        // Before the token is spent.
        self.certificates.check(web_key, addresses, &|id| self.counts(id)).map_err(refused)?;
        let hash = attachment_id(&request.token);
        let redeemed = self
            .replica
            .store()
            .write(|tx| tx.redeem_enrolment(&hash.0, now))
            .map_err(|e: StoreError| ours(e.to_string()))?
            .ok_or_else(|| {
                refused(
                    "this enrolment file was used already, is too old, or is of another county; \
                         ask county IT for a new one",
                )
            })?;
        let offered: Offered =
            serde_json::from_slice(&redeemed.request).map_err(|e| ours(e.to_string()))?;
        let device = DeviceId(redeemed.device);
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
        self.replica.state(&self.authority, statements).map_err(|e| ours(e.to_string()))?;
        let county_log = self
            .replica
            .store()
            .read(|view| view.entries_in(&Scope::System.to_string(), 4))
            .map_err(|e: StoreError| ours(e.to_string()))?;
        let me = self.replica.me();
        Ok(OfferedEnrolment {
            device: device.0,
            certificate: issued.certificate,
            county: me.county.0,
            founding: self.replica.county().founding().unwrap_or(EntryId([0; 32])).0,
            index_secret: me.index_secret,
            recovery: Some(self.recovery),
            lease: Some(*self.lease_secret(device).bytes()),
            county_log: county_log.into_iter().map(|row| row.bytes.into()).collect(),
            issuing: Some(issued.issuing),
            roots: Some(issued.roots),
            web_certificate: Some(issued.web_certificate),
        })
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
