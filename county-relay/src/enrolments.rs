//! What county IT sees of enrolments: offers as file and QR code, boxes whose words are still to be
//! compared, codes for spare boxes, and what was refused.

use crate::home::Home;
use cunkou_casework::county::DeviceKind;
use cunkou_casework::enrolment::{Code, bind_code_hash, token_id, words};
use cunkou_casework::hex;
use cunkou_casework::ids::{DeviceId, EntryId, PlaceId};
use cunkou_edge::cli::{Exit, Failure};
use cunkou_link::{fingerprint, pem_to_der};
use cunkou_replica::Replica;
use cunkou_store::{EnrolmentRow, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Characters of a binding code: none that is taken for another. 32 of them, so 10 make 50 bits.
const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const CODE_LETTERS: usize = 10;
/// So many refusals are kept.
const REFUSED_MAX: usize = 200;
const REFUSED: &str = "refused enrolments";

fn failed(e: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, e.to_string())
}

fn refused(words: impl Into<String>) -> Failure {
    Failure::new(Exit::Refused, words)
}

/// What a token makes of whoever redeems it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Offered {
    pub(crate) kind: DeviceKind,
    pub(crate) name: String,
    pub(crate) places: Vec<PlaceId>,
    pub(crate) phone: String,
    /// It binds a spare box that is enrolled already.
    #[serde(default)]
    pub(crate) bind: bool,
}

impl Offered {
    /// Of a row; a row of another kind (a person's code) is none.
    pub(crate) fn of(row: &EnrolmentRow) -> Option<Self> {
        serde_json::from_slice(&row.request).ok()
    }
}

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Why {
    /// The box that used it used it again.
    UsedTwice,
    /// Another box had used it.
    OtherBox,
    /// Too late.
    Late,
    /// No such token was ever given out here.
    Unknown,
    /// The relay may not state it: its grant has ended or is used up. The token stays valid.
    NotAllowed,
    /// A binding code came from a box that is no spare one. The code stays valid.
    NotSpare,
}

impl Why {
    /// For the console and for the box.
    pub(crate) fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::UsedTwice => ("已经用过一次", "it was used already"),
            Self::OtherBox => ("已被另一台盒子用过", "it was used already, by another box"),
            Self::Late => ("过期了", "it is too old"),
            Self::Unknown => {
                ("不是本县发的,或抄错了", "this county never gave it out, or it was copied wrongly")
            }
            Self::NotAllowed => (
                "县平台的授权已用完或到期;令牌没有作废,补了授权可以再用",
                "the relay's grant has ended or is used up; the token stays valid until the \
                 administrators give a new grant",
            ),
            Self::NotSpare => {
                ("这台不是等待绑定的备用机", "this box is no spare box that waits for places")
            }
        }
    }
}

/// A refusal, kept for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    /// First 16 digits of the token's hash.
    pub(crate) token: String,
    /// What the token was for, where it is known.
    pub(crate) name: Option<String>,
    pub(crate) why: Why,
    /// The last time, milliseconds.
    pub(crate) at_ms: i64,
    /// The address it came from, or `file`.
    pub(crate) from: String,
    pub(crate) times: u32,
}

/// Adds one, the latest first. The same again is counted; over the bound the oldest of the unknown
/// go first, so that whoever guesses does not push out what tells of a theft.
fn add(list: &mut Vec<Refusal>, new: Refusal) {
    let same = |r: &Refusal| (&r.token, r.why, &r.from) == (&new.token, new.why, &new.from);
    let times = match list.iter().position(same) {
        Some(i) => list.remove(i).times.saturating_add(1),
        None => 1,
    };
    list.insert(0, Refusal { times, ..new });
    while list.len() > REFUSED_MAX {
        let oldest = list.iter().rposition(|r| r.why == Why::Unknown).unwrap_or(list.len() - 1);
        list.remove(oldest);
    }
}

/// What was refused, the latest first.
pub(crate) fn refusals(replica: &Replica) -> Result<Vec<Refusal>, StoreError> {
    let kept = replica.store().read(|view| view.meta(REFUSED))?;
    Ok(kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
}

/// Keeps a refusal.
pub(crate) fn refuse(
    replica: &Replica,
    token: &[u8; 32],
    why: Why,
    from: &str,
) -> Result<(), StoreError> {
    let at_ms = replica.now_ms();
    replica.store().write(|tx| {
        let name = tx.enrolment(token)?.and_then(|row| Offered::of(&row)).map(|o| o.name);
        let kept = tx.meta(REFUSED)?.unwrap_or_default();
        let mut list: Vec<Refusal> = serde_json::from_slice(&kept).unwrap_or_default();
        let token = hex::encode(&token[..8]);
        add(&mut list, Refusal { token, name, why, at_ms, from: from.to_owned(), times: 1 });
        tx.set_meta(REFUSED, &serde_json::to_vec(&list).unwrap_or_default())
    })
}

/// A box whose words nobody at the county has compared yet.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) device: DeviceId,
    pub(crate) name: String,
    pub(crate) words: String,
    pub(crate) since_ms: i64,
}

fn confirmed_key(device: &[u8; 16]) -> String {
    format!("words compared {}", hex::encode(device))
}

/// Boxes to be compared. What they send counts meanwhile: a village must not wait for a call, and
/// whoever is found to be false is revoked.
pub(crate) fn pending(replica: &Replica) -> Result<Vec<Pending>, StoreError> {
    let county = replica.county();
    let founding = county.founding().unwrap_or(EntryId([0; 32]));
    let rows = replica.store().read(|view| -> Result<Vec<EnrolmentRow>, StoreError> {
        let mut open = Vec::new();
        for row in view.used_enrolments()? {
            if view.meta(&confirmed_key(&row.device))?.is_none() {
                open.push(row);
            }
        }
        Ok(open)
    })?;
    let pending = rows.into_iter().filter_map(|row| {
        let offered = Offered::of(&row).filter(|o| !o.bind)?;
        let device = county.device(DeviceId(row.device))?;
        county.device_counts(device.id).then(|| Pending {
            device: device.id,
            name: offered.name,
            words: words(founding, &device.key, &row.token).join(" "),
            since_ms: row.used_ms.unwrap_or_default(),
        })
    });
    Ok(pending.collect())
}

/// County IT has compared the words; `by` says who. False when there is nothing to compare.
pub(crate) fn confirm(replica: &Replica, device: DeviceId, by: &str) -> Result<bool, StoreError> {
    if !pending(replica)?.iter().any(|p| p.device == device) {
        return Ok(false);
    }
    let said = json!({ "at_ms": replica.now_ms(), "by": by }).to_string();
    replica.store().write(|tx| tx.set_meta(&confirmed_key(&device.0), said.as_bytes()))?;
    tracing::info!(%device, "the words of a box were compared");
    Ok(true)
}

/// Where an offer goes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Where {
    pub(crate) relay: Vec<String>,
    pub(crate) hours: u32,
    pub(crate) out: PathBuf,
    pub(crate) qr: bool,
    pub(crate) qr_out: Option<PathBuf>,
}

impl Home {
    fn known_places(&self, places: &[PlaceId]) -> Result<(), Failure> {
        let county = self.replica.county();
        match places.iter().find(|place| county.place(**place).is_none()) {
            None => Ok(()),
            Some(place) => {
                Err(refused(format!("there is no place {place}; publish the catalogue first")))
            }
        }
    }

    fn keep_offer(
        &self,
        hash: &[u8; 32],
        device: &[u8; 16],
        offered: &Offered,
        hours: u32,
    ) -> Result<i64, Failure> {
        let now = self.replica.now_ms();
        let expires = now + i64::from(hours) * 3_600_000;
        let request = serde_json::to_vec(offered).map_err(failed)?;
        self.replica
            .store()
            .write(|tx| tx.offer_enrolment(hash, device, &request, now, expires))
            .map_err(|e: StoreError| failed(e))?;
        Ok(expires)
    }

    /// Makes a one-time file, and the same as a QR code.
    pub(crate) fn offer(&self, offered: &Offered, to: &Where) -> Result<Value, Failure> {
        self.known_places(&offered.places)?;
        if to.out.exists() {
            return Err(failed(format!("{} is there already", to.out.display())));
        }
        let (mut token, mut device) = ([0; 32], [0; 16]);
        self.replica.draw(&mut token);
        self.replica.draw(&mut device);
        let expires = self.keep_offer(&token_id(&token), &device, offered, to.hours)?;
        let relay_name = self.certificates.relay_name();
        let roots = self.certificates.roots_pem();
        let file = json!({
            "cunkou_enrolment": 1, "county": self.replica.county().name(), "name": offered.name,
            "relays": to.relay, "relay_name": relay_name, "root": roots,
            "token": hex::encode(&token), "expires_ms": expires,
        });
        crate::command::write_new(&to.out, &serde_json::to_string_pretty(&file).map_err(failed)?)?;
        let root = pem_to_der(&roots).map_err(failed)?.pop().unwrap_or_default();
        let code = Code {
            token,
            root: fingerprint(&root),
            expires_s: expires / 1000,
            relay_name,
            relays: to.relay.clone(),
        };
        let mut made = json!({
            "schema": 1, "file": to.out, "device": DeviceId(device).to_string(),
            "next": "carry the file to the box and run: cunkou-node enrol FILE (it works once)",
        });
        if to.qr || to.qr_out.is_some() {
            let text = code.text();
            let qr = qrcode::QrCode::with_error_correction_level(&text, qrcode::EcLevel::M)
                .map_err(failed)?;
            if let Some(out) = &to.qr_out {
                write_svg(&qr, out)?;
                made["qr_file"] = json!(out);
            }
            if to.qr {
                made["qr"] = json!(in_blocks(&qr));
            }
            made["code"] = json!(text);
        }
        Ok(made)
    }

    /// Makes a code that binds one spare box to places.
    pub(crate) fn bind_code(&self, places: Vec<PlaceId>, hours: u32) -> Result<Value, Failure> {
        self.known_places(&places)?;
        let mut drawn = [0; CODE_LETTERS];
        self.replica.draw(&mut drawn);
        let code: String =
            drawn.iter().map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])).collect();
        let county = self.replica.county();
        let names: Vec<String> = places.iter().map(|p| county.place_name(*p)).collect();
        let offered = Offered {
            kind: DeviceKind::Village,
            name: names.join("、"),
            places,
            phone: String::new(),
            bind: true,
        };
        self.keep_offer(&bind_code_hash(&code), &[0; 16], &offered, hours)?;
        Ok(json!({
            "schema": 1, "code": format!("{}-{}-{}", &code[..4], &code[4..8], &code[8..]),
            "places": names, "hours": hours,
            "next": "at the spare box: cunkou-node bind --code CODE (it works once)",
        }))
    }

    /// County IT has compared the words of a box.
    pub(crate) fn compared(&self, device: &str) -> Result<Value, Failure> {
        let device = self.find_box(device)?;
        if confirm(&self.replica, device, "command line").map_err(failed)? {
            Ok(json!({ "schema": 1, "confirmed": device.to_string() }))
        } else {
            Err(refused("there are no words to compare for this box, or they were compared before"))
        }
    }

    /// For the status.
    pub(crate) fn enrolment_status(&self) -> Result<(Vec<Value>, Vec<Value>), Failure> {
        let open = pending(&self.replica).map_err(failed)?;
        let open = open.iter().map(|p| {
            json!({ "device": p.device.to_string(), "name": p.name, "words": p.words,
                    "since_ms": p.since_ms })
        });
        let refused = refusals(&self.replica).map_err(failed)?;
        Ok((open.collect(), refused.iter().map(|r| json!(r)).collect()))
    }
}

/// For a terminal: two rows of modules in a line of characters, dark on light.
fn in_blocks(qr: &qrcode::QrCode) -> Vec<String> {
    let width = qr.width();
    let colours = qr.to_colors();
    // Scanners want a quiet border of four modules.
    let dark = |x: usize, y: usize| {
        let inside = (4..width + 4).contains(&x) && (4..width + 4).contains(&y);
        inside && colours.get((y - 4) * width + x - 4) == Some(&qrcode::Color::Dark)
    };
    let line = |y: usize| {
        let cell = |x: usize| match (dark(x, y), dark(x, y + 1)) {
            (false, false) => '█',
            (false, true) => '▀',
            (true, false) => '▄',
            (true, true) => ' ',
        };
        (0..width + 8).map(cell).collect()
    };
    (0..width + 8).step_by(2).map(line).collect()
}

fn write_svg(qr: &qrcode::QrCode, out: &Path) -> Result<(), Failure> {
    let (width, colours) = (qr.width(), qr.to_colors());
    let side = width + 8;
    let mut path = String::new();
    for (i, colour) in colours.iter().enumerate() {
        if *colour == qrcode::Color::Dark {
            path.push_str(&format!("M{} {}h1v1h-1z", i % width + 4, i / width + 4));
        }
    }
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" width=\"{0}\" \
         height=\"{0}\" shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/>\
         <path d=\"{path}\"/></svg>\n",
        side * 6
    );
    crate::command::write_new(out, &svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(n: usize, why: Why) -> Refusal {
        Refusal {
            token: format!("{n:016x}"),
            name: None,
            why,
            at_ms: n as i64,
            from: "10.0.0.9".into(),
            times: 1,
        }
    }

    #[test]
    fn refusals_are_bounded_and_guesses_do_not_push_out_a_theft() {
        let mut list = Vec::new();
        add(&mut list, refusal(7, Why::OtherBox));
        for n in 0..1000 {
            add(&mut list, refusal(n + 10, Why::Unknown));
        }
        assert_eq!(list.len(), REFUSED_MAX);
        assert_eq!(list.last().map(|r| r.why), Some(Why::OtherBox));
        add(&mut list, refusal(1009, Why::Unknown));
        assert_eq!((list.len(), list[0].times), (REFUSED_MAX, 2), "the same again is counted");
    }
}
