//! The code on a receipt (收件回执): which device says that it received which case, and when, under
//! its signature. It names nobody, is short enough for a QR code, and anybody who holds the county
//! log can check it without a network.

use crate::county::CountyLog;
use crate::event::{decode, encode};
use crate::hex;
use crate::ids::{DeviceId, EntryId};
use crate::suite::SecretKey;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// What a code begins with; capitals, figures and colons alone make a small QR code.
const MARK: &str = "CUNKOU:R1:";
/// A code has at most so many characters.
pub const CODE_CHARS_MAX: usize = 600;
/// The key of an item has at most so many bytes here.
const ITEM_BYTES_MAX: usize = 64;

/// What a receipt says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Receipt {
    /// Case number, 12 digits.
    #[n(0)]
    pub number: u64,
    /// The submission: through its heads it binds everything that was submitted.
    #[n(1)]
    pub submission: EntryId,
    /// Key of the item.
    #[n(2)]
    pub item: String,
    /// Claimed time of the submission, milliseconds since 1970 UTC.
    #[n(3)]
    pub at_ms: i64,
    /// The device that gives the receipt.
    #[n(4)]
    pub device: DeviceId,
}

/// A receipt with the signature of its device.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignedReceipt {
    /// An encoded [`Receipt`].
    #[n(0)]
    body: ByteVec,
    /// 64 bytes, Ed25519.
    #[n(1)]
    signature: ByteVec,
}

/// Why a code is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReceipt {
    /// It is the code of something else.
    #[error("not the code of a receipt")]
    Other,
    /// It was cut off or read badly.
    #[error("the code of the receipt is damaged")]
    Damaged,
    /// No device of this county has this id, as far as is known here.
    #[error("no device of this county gave this receipt")]
    UnknownDevice,
    /// The device has not signed this.
    #[error("the signature of the receipt does not hold")]
    Forged,
}

fn message(body: &[u8]) -> Vec<u8> {
    [&b"cunkou receipt v1\0"[..], blake3::hash(body).as_bytes()].concat()
}

impl SignedReceipt {
    /// Signs a receipt with the key of its device.
    #[must_use]
    pub fn new(receipt: &Receipt, key: &SecretKey) -> Self {
        let body = encode(receipt);
        let signature = key.sign(&message(&body)).into();
        Self { body: body.into(), signature }
    }

    /// The code as it is printed.
    #[must_use]
    pub fn code(&self) -> String {
        format!("{MARK}{}", hex::encode(&encode(self)).to_uppercase())
    }

    /// Reads a code as a scanner types it: blanks are passed over, capitals do not matter.
    ///
    /// # Errors
    /// [`BadReceipt::Other`] and [`BadReceipt::Damaged`].
    pub fn parse(text: &str) -> Result<Self, BadReceipt> {
        if text.len() > CODE_CHARS_MAX {
            return Err(BadReceipt::Other);
        }
        let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let plain = plain.to_ascii_uppercase();
        let digits = plain.strip_prefix(MARK).ok_or(BadReceipt::Other)?;
        let bytes = hex::decode(digits).ok_or(BadReceipt::Damaged)?;
        let signed: Self = decode(&bytes).map_err(|_| BadReceipt::Damaged)?;
        signed.said()?;
        Ok(signed)
    }

    fn said(&self) -> Result<Receipt, BadReceipt> {
        let receipt: Receipt = decode(&self.body).map_err(|_| BadReceipt::Damaged)?;
        if receipt.item.len() > ITEM_BYTES_MAX || receipt.number > 999_999_999_999 {
            return Err(BadReceipt::Damaged);
        }
        Ok(receipt)
    }

    /// What it says, when a device of the county signed it. Whether the device counts still is
    /// another question: a receipt of the day before it was stolen is a good receipt.
    ///
    /// # Errors
    /// [`BadReceipt`].
    pub fn check(&self, county: &CountyLog) -> Result<Receipt, BadReceipt> {
        let receipt = self.said()?;
        let device = county.device(receipt.device).ok_or(BadReceipt::UnknownDevice)?;
        match device.key.verifies(&message(&self.body), &self.signature) {
            true => Ok(receipt),
            false => Err(BadReceipt::Forged),
        }
    }
}

#[cfg(test)]
mod tests;
