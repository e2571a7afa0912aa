//! Identifiers: random, permanent, never derived from anybody's particulars.

use crate::hex;
use std::fmt;
use std::str::FromStr;

/// Text that is not the hexadecimal form of an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: {expected} hexadecimal digits are expected")]
pub struct BadId {
    /// How many hexadecimal digits the identifier has.
    pub expected: usize,
}

pub(crate) fn unhex<const N: usize>(text: &str) -> Result<[u8; N], BadId> {
    let bytes = hex::decode(text).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(BadId { expected: N * 2 })
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $n:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $n]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), &hex::encode(&self.0)[..8])
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                unhex(text).map(Self)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = BadId;
            fn try_from(bytes: &[u8]) -> Result<Self, BadId> {
                bytes.try_into().map(Self).map_err(|_| BadId { expected: $n * 2 })
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(
                d: &mut minicbor::Decoder<'b>,
                _: &mut C,
            ) -> Result<Self, minicbor::decode::Error> {
                Self::try_from(d.bytes()?)
                    .map_err(|_| minicbor::decode::Error::message("wrong identifier length"))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// What an entry is about: a case, a resident or the county itself. 16 random bytes.
    SubjectId, 16
);
id!(
    /// A person who works with Cunkou (never a resident). 16 random bytes.
    PersonId, 16
);
id!(
    /// A box or a relay. 16 random bytes given at enrolment.
    DeviceId, 16
);
id!(
    /// One run of a device's process; drawn anew at every start (design 4).
    Incarnation, 16
);
id!(
    /// A grant of the county log. 16 random bytes.
    GrantId, 16
);
id!(
    /// The name of an entry: the hash of its frame under its suite.
    EntryId, 32
);
id!(
    /// The BLAKE3 hash of a photo, a signature or a frozen paper.
    AttachmentId, 32
);
id!(
    /// The SHA-256 hash by which Automerge names a change.
    ChangeId, 32
);

/// A place of the county: permanent, unlike its code, its name and its parent.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    minicbor::Encode,
    minicbor::Decode,
)]
#[serde(transparent)]
#[cbor(transparent)]
pub struct PlaceId(#[n(0)] pub u32);

impl fmt::Display for PlaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for PlaceId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Where entries replicate: to everyone, to those who serve one place, or from one box to the
/// county.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The county log; every device of the county.
    System,
    /// Cases and residents of one village; the boxes that serve it, its township, the relay.
    Place(PlaceId),
    /// What one box tells the county alone; that box and the relay.
    Upward(DeviceId),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Place(place) => write!(f, "place:{place}"),
            Self::Upward(device) => write!(f, "upward:{device}"),
        }
    }
}

impl FromStr for Scope {
    type Err = BadScope;
    fn from_str(text: &str) -> Result<Self, BadScope> {
        match text.split_once(':') {
            None if text == "system" => Ok(Self::System),
            Some(("place", id)) => id.parse().map(Self::Place).map_err(|_| BadScope),
            Some(("upward", id)) => id.parse().map(Self::Upward).map_err(|_| BadScope),
            _ => Err(BadScope),
        }
    }
}

/// Text that names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a scope: expected system, place:<number> or upward:<device>")]
pub struct BadScope;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_read_back_from_their_hexadecimal_form() {
        let id = SubjectId([7; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("zz".parse::<SubjectId>().is_err());
        assert!("é".repeat(16).parse::<SubjectId>().is_err());
    }

    #[test]
    fn scopes_read_back_from_their_names() {
        let upward = Scope::Upward(DeviceId([0xab; 16]));
        for scope in [Scope::System, Scope::Place(PlaceId(101)), upward] {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        assert_eq!(upward.to_string(), format!("upward:{}", "ab".repeat(16)));
        for wrong in ["place:x", "upward:", "upward:12", "upward"] {
            assert!(wrong.parse::<Scope>().is_err(), "{wrong}");
        }
    }
}
