//! Redeems enrolment files.

use crate::command::Offered;
use crate::home::{Home, year};
use cunkou_casework::county::{Device, Statement};
use cunkou_casework::ids::{DeviceId, Scope};
use cunkou_casework::suite::{PublicKey, attachment_id};
use cunkou_engine::{RefusalCode, Refused};
use cunkou_link::{EnrolRequest, Enroller, OfferedEnrolment};
use cunkou_store::StoreError;

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
        let short = device.to_string();
        let name = format!("box-{}.{}.home.arpa", &short[..8], self.code);
        let certificate = self
            .ca
            .issue(&request.key, &name, false, year(now))
            .map_err(|e| ours(e.to_string()))?;
        let county_log = self
            .replica
            .store()
            .read(|view| view.entries_in(&Scope::System.to_string(), 4))
            .map_err(|e: StoreError| ours(e.to_string()))?;
        let me = self.replica.me();
        Ok(OfferedEnrolment {
            device: device.0,
            certificate: certificate.into(),
            county: me.county.0,
            authority: me.authority.0,
            index_secret: me.index_secret,
            recovery: Some(self.recovery),
            lease: Some(*self.lease_secret(device).bytes()),
            county_log: county_log.into_iter().map(|row| row.bytes.into()).collect(),
        })
    }
}
