//! Protobuf, and the only crate that speaks it: what others wrote becomes values that cannot be wrong.
//!
//! Each `decode_…` opens a message once, field by field, with limits, and names the field that is not as
//! the protocol says. Each `encode_…` gives the bytes that are then hashed, signed and kept; nobody
//! serialises them a second time.

pub mod bundle;
pub mod card;
pub mod client;
pub mod content;
pub mod custody;
pub mod directory;
pub mod disposition;
pub mod envelope;
pub mod evidence;
mod fields;
pub mod frame;
mod malformed;
pub mod parcel;
pub mod receipt;
pub mod reconcile;
pub mod records;

pub use card::decode_card;
pub use card::encode_card;
pub use custody::decode_custody_manifest;
pub use custody::encode_custody_manifest;
pub use disposition::decode_disposition;
pub use disposition::encode_disposition;
pub use envelope::decode_header;
pub use envelope::encode_header;
pub use evidence::decode_evidence;
pub use evidence::encode_evidence;
pub use malformed::Malformed;
pub use parcel::decode_manifest;
pub use parcel::encode_manifest;
pub use receipt::decode_receipt_manifest;
pub use receipt::encode_receipt_manifest;

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod worked_values;

/// Serialised descriptors of all packages, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Generated types; opened here and in the API edge, nowhere else.
pub mod pb {
    pub use super::packages::exchange::v1 as exchange;
    pub use super::packages::message::v1 as message;
    pub use super::packages::office::v1 as office;
}

/// The proto packages as the generator nests them: it refers from one to another by relative paths.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::all,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::let_underscore_must_use,
    reason = "generated"
)]
mod packages {
    pub mod exchange {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/liangdi.exchange.v1.rs"));
        }
    }
    pub mod message {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/liangdi.message.v1.rs"));
        }
    }
    pub mod office {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/liangdi.office.v1.rs"));
        }
    }
    mod masked {
        use super::message::v1 as message;
        use super::office::v1 as office;
        include!(concat!(env!("OUT_DIR"), "/masked.rs"));
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn generated_types_with_personal_data_print_masked() {
        let body = pb::message::content::Body::ArrivalNotice(pb::message::ArrivalNotice::default());
        assert_eq!(format!("{body:?}"), "Content.body { .. }");
        let content = pb::message::Content { body: Some(body), ..Default::default() };
        assert_eq!(format!("{content:?}"), "Content { .. }");
    }

    #[test]
    fn reflection_knows_all_packages() {
        let files = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        for package in ["liangdi.exchange.v1", "liangdi.message.v1", "liangdi.office.v1"] {
            assert!(files.file.iter().any(|file| file.package() == package), "{package}");
        }
    }
}
