//! Identifiers: one type each, so that two of them cannot be swapped.

mod certificate_number;
mod message_ids;
mod operator;

pub use certificate_number::{CertificateNumber, CertificateNumberError};
pub use message_ids::MessageIds;
pub use operator::{NODE_ITSELF, OperatorName, OperatorNameError};

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::time::UnixMillis;

/// The text is not a UUID in its usual form (8-4-4-4-12 hexadecimal digits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an identifier is a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct NotAnId;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// A UUID; new ones are version 7 (RFC 9562), so they order by time of creation.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// A version 7 UUID of that moment; 74 of the 80 random bits are used.
            pub fn new(now: UnixMillis, random: [u8; 10]) -> Self {
                Self(version_7(now, random))
            }

            /// From the 16 bytes of a UUID, of any version.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// When it was made, as far as the maker's clock was right; meaningless unless version 7.
            pub fn timestamp(&self) -> UnixMillis {
                let [a, b, c, d, e, f, ..] = self.0;
                UnixMillis::new(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                hyphenated(text).map(Self)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = NotAnId;
            fn try_from(bytes: &[u8]) -> Result<Self, NotAnId> {
                bytes.try_into().map(Self).map_err(|_| NotAnId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                if out.is_human_readable() { out.collect_str(self) } else { self.0.serialize(out) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                if from.is_human_readable() {
                    std::borrow::Cow::<str>::deserialize(from)?.parse().map_err(de::Error::custom)
                } else {
                    <[u8; 16]>::deserialize(from).map(Self)
                }
            }
        }
    };
}

uuid_id!(
    /// A message from one area to another (通报).
    MessageId
);
uuid_id!(
    /// A case (个案): the id of the message that opened it.
    CaseId
);
uuid_id!(
    /// A person in the records of one node; not known to other nodes.
    PersonId
);
uuid_id!(
    /// A registration (流动人口登记).
    RegistrationId
);
uuid_id!(
    /// A recorded consent (单独同意).
    ConsentId
);
uuid_id!(
    /// A person's own request for a service (服务申请).
    RequestId
);
uuid_id!(
    /// An agreement between two areas (双向协议); the same for all its versions.
    AgreementId
);
uuid_id!(
    /// A certificate check by the residence area (查验).
    EndorsementId
);

impl From<MessageId> for CaseId {
    /// The case that a message opens.
    fn from(opening: MessageId) -> Self {
        Self(opening.0)
    }
}

impl CaseId {
    /// The message that opened the case.
    pub const fn opening_message(&self) -> MessageId {
        MessageId(self.0)
    }
}

/// Lays out a version 7 UUID: 48 bits of time, 12 and 62 random bits, version and variant between.
fn version_7(now: UnixMillis, random: [u8; 10]) -> [u8; 16] {
    let [_, _, a, b, c, d, e, f] = now.get().to_be_bytes();
    let [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9] = random;
    [a, b, c, d, e, f, 0x70 | (r0 & 0x0f), r1, 0x80 | (r2 & 0x3f), r3, r4, r5, r6, r7, r8, r9]
}

/// Only the usual form: other spellings of the same id would make it look like two.
fn hyphenated(text: &str) -> Result<[u8; 16], NotAnId> {
    if text.len() != 36 {
        return Err(NotAnId);
    }
    uuid::Uuid::try_parse(text).map(uuid::Uuid::into_bytes).map_err(|_| NotAnId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lays_out_version_7_as_the_rfc_prints_it() {
        // RFC 9562, appendix A.6.
        let random = [0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f];
        let id = MessageId::new(UnixMillis::new(0x017F_22E2_79B0), random);
        assert_eq!(id.to_string(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
        assert_eq!(id.timestamp(), UnixMillis::new(1_645_557_742_000));
        assert_eq!(CaseId::from(id).opening_message(), id);
    }

    #[test]
    fn takes_the_usual_form_only() {
        for text in
            ["", "017f22e279b07cc398c4dc0c0c07398f", "{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}"]
        {
            assert_eq!(text.parse::<MessageId>(), Err(NotAnId), "{text}");
        }
    }

    proptest! {
        #[test]
        fn ids_survive_text_and_order_by_time(a in 0u64..1 << 47, b in 0u64..1 << 47, r: [u8; 10], s: [u8; 10]) {
            let x = PersonId::new(UnixMillis::new(a), r);
            let y = PersonId::new(UnixMillis::new(b), s);
            prop_assert_eq!(x.to_string().parse::<PersonId>().unwrap(), x);
            prop_assert_eq!(x.timestamp().get(), a);
            if a != b {
                prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            }
        }

        #[test]
        fn nothing_panics(text: String, bytes: Vec<u8>) {
            text.parse::<MessageId>().ok();
            MessageId::try_from(bytes.as_slice()).ok();
        }
    }
}
