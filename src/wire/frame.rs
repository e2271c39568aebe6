//! What passes over the stream between two nodes, in either direction.

use domain::time::UnixMillis;
use exchange::custody::CustodyReceipt;
use exchange::custody::Returned;
use exchange::digest::Digest;
use exchange::parcel::Parcel;
use exchange::receipt::Receipt;

use crate::custody::custody_from_pb;
use crate::custody::custody_to_pb;
use crate::custody::returned_from_pb;
use crate::custody::returned_to_pb;
use crate::fields::array;
use crate::fields::at_most;
use crate::fields::time;
use crate::malformed::Malformed;
use crate::parcel::parcel_from_pb;
use crate::parcel::parcel_to_pb;
use crate::pb;
use crate::pb::exchange::exchange_request;
use crate::pb::exchange::exchange_response;
use crate::receipt::receipt_from_pb;
use crate::receipt::receipt_to_pb;

/// Longest version text of a peer, in bytes.
pub const VERSION_BYTES_MAX: usize = 100;
/// Most features that a peer can name.
pub const FEATURES_MAX: usize = 64;
/// Longest name of a feature, in bytes.
pub const FEATURE_BYTES_MAX: usize = 64;

/// Names of features, as `Hello` tells them. A name stands for frames and fields that a node without it would
/// not know what to do with.
pub mod feature {
    /// Parcels for others are carried, and words travel back: `custody`, `returned`, `return_taken`.
    pub const CUSTODY: &str = "custody";
    /// A caller that cannot be called gets its mail over the stream it opened.
    pub const COLLECT: &str = "collect";
    /// Withdrawn envelopes travel without their body.
    pub const WITHDRAWN: &str = "withdrawn";
    /// `SyncDirectory` is answered.
    pub const DIRECTORY: &str = "directory";
    /// All that this version understands.
    pub const ALL: [&str; 4] = [CUSTODY, COLLECT, WITHDRAWN, DIRECTORY];
}

/// One frame of the stream; which way it goes does not change what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The first frame each way.
    Hello(Hello),
    /// Mail.
    Parcel(Parcel),
    /// The recipient's answer to mail.
    Receipt(Receipt),
    /// A relay's answer to mail.
    Custody(CustodyReceipt),
    /// A signed word on its way back.
    Returned(Returned),
    /// The returned word with this id ([`Returned::id`]) has been taken.
    ReturnTaken(Digest),
}

/// Introduction: versions and time, nothing that decides anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Version of the program, for people.
    pub version: String,
    /// Features the node understands, by name.
    pub features: Vec<String>,
    /// The speaker's clock.
    pub now: UnixMillis,
    /// Largest number of parcels the speaker wants in flight to it.
    pub window_parcels: u32,
    /// The caller cannot be called and collects its mail over this stream; means nothing from a callee.
    pub collects: bool,
}

impl Frame {
    /// As the caller sends it.
    #[must_use]
    pub fn into_request(self) -> pb::exchange::ExchangeRequest {
        let frame = match self {
            Self::Hello(hello) => exchange_request::Frame::Hello(hello_to_pb(hello)),
            Self::Parcel(parcel) => exchange_request::Frame::Parcel(parcel_to_pb(parcel)),
            Self::Receipt(receipt) => exchange_request::Frame::Receipt(receipt_to_pb(receipt)),
            Self::Custody(word) => exchange_request::Frame::Custody(custody_to_pb(word)),
            Self::Returned(word) => exchange_request::Frame::Returned(returned_to_pb(word)),
            Self::ReturnTaken(id) => exchange_request::Frame::ReturnTaken(taken_to_pb(&id)),
        };
        pb::exchange::ExchangeRequest { frame: Some(frame) }
    }

    /// As the callee sends it.
    #[must_use]
    pub fn into_response(self) -> pb::exchange::ExchangeResponse {
        let frame = match self {
            Self::Hello(hello) => exchange_response::Frame::Hello(hello_to_pb(hello)),
            Self::Parcel(parcel) => exchange_response::Frame::Parcel(parcel_to_pb(parcel)),
            Self::Receipt(receipt) => exchange_response::Frame::Receipt(receipt_to_pb(receipt)),
            Self::Custody(word) => exchange_response::Frame::Custody(custody_to_pb(word)),
            Self::Returned(word) => exchange_response::Frame::Returned(returned_to_pb(word)),
            Self::ReturnTaken(id) => exchange_response::Frame::ReturnTaken(taken_to_pb(&id)),
        };
        pb::exchange::ExchangeResponse { frame: Some(frame) }
    }

    /// From what the caller sent.
    ///
    /// # Errors
    /// [`Malformed`]; `Missing` also for a frame of a kind that this version does not know.
    pub fn from_request(request: pb::exchange::ExchangeRequest) -> Result<Self, Malformed> {
        let pb::exchange::ExchangeRequest { frame } = request;
        match frame.ok_or(Malformed::Missing { field: "frame" })? {
            exchange_request::Frame::Hello(hello) => hello_from_pb(hello).map(Self::Hello),
            exchange_request::Frame::Parcel(parcel) => parcel_from_pb(parcel).map(Self::Parcel),
            exchange_request::Frame::Receipt(receipt) => {
                receipt_from_pb(receipt).map(Self::Receipt)
            }
            exchange_request::Frame::Custody(word) => custody_from_pb(word).map(Self::Custody),
            exchange_request::Frame::Returned(word) => returned_from_pb(word).map(Self::Returned),
            exchange_request::Frame::ReturnTaken(taken) => {
                taken_from_pb(&taken).map(Self::ReturnTaken)
            }
        }
    }

    /// From what the callee sent.
    ///
    /// # Errors
    /// As [`Frame::from_request`].
    pub fn from_response(response: pb::exchange::ExchangeResponse) -> Result<Self, Malformed> {
        let pb::exchange::ExchangeResponse { frame } = response;
        match frame.ok_or(Malformed::Missing { field: "frame" })? {
            exchange_response::Frame::Hello(hello) => hello_from_pb(hello).map(Self::Hello),
            exchange_response::Frame::Parcel(parcel) => parcel_from_pb(parcel).map(Self::Parcel),
            exchange_response::Frame::Receipt(receipt) => {
                receipt_from_pb(receipt).map(Self::Receipt)
            }
            exchange_response::Frame::Custody(word) => custody_from_pb(word).map(Self::Custody),
            exchange_response::Frame::Returned(word) => returned_from_pb(word).map(Self::Returned),
            exchange_response::Frame::ReturnTaken(taken) => {
                taken_from_pb(&taken).map(Self::ReturnTaken)
            }
        }
    }
}

fn hello_to_pb(hello: Hello) -> pb::exchange::Hello {
    let Hello { version, features, now, window_parcels, collects } = hello;
    pb::exchange::Hello { version, features, now_ms: now.get(), window_parcels, collects }
}

fn hello_from_pb(hello: pb::exchange::Hello) -> Result<Hello, Malformed> {
    let pb::exchange::Hello { version, features, now_ms, window_parcels, collects } = hello;
    at_most("hello.version", version.len(), VERSION_BYTES_MAX)?;
    at_most("hello.features", features.len(), FEATURES_MAX)?;
    let fits = |feature: &String| at_most("hello.features", feature.len(), FEATURE_BYTES_MAX);
    features.iter().try_for_each(fits)?;
    let now = time("hello.now_ms", now_ms)?;
    Ok(Hello { version, features, now, window_parcels, collects })
}

fn taken_to_pb(id: &Digest) -> pb::exchange::ReturnTaken {
    pb::exchange::ReturnTaken { manifest_sha256: id.as_bytes().to_vec() }
}

fn taken_from_pb(taken: &pb::exchange::ReturnTaken) -> Result<Digest, Malformed> {
    let pb::exchange::ReturnTaken { manifest_sha256 } = taken;
    array("return_taken.manifest_sha256", manifest_sha256).map(Digest::new)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::arbitrary;

    #[test]
    fn an_empty_frame_is_malformed() {
        let missing = Err(Malformed::Missing { field: "frame" });
        assert_eq!(Frame::from_request(pb::exchange::ExchangeRequest { frame: None }), missing);
        assert_eq!(Frame::from_response(pb::exchange::ExchangeResponse { frame: None }), missing);
    }

    proptest! {
        #[test]
        fn frames_come_back_both_ways(frame in arbitrary::frame()) {
            prop_assert_eq!(Frame::from_request(frame.clone().into_request()).unwrap(), frame.clone());
            prop_assert_eq!(Frame::from_response(frame.clone().into_response()).unwrap(), frame);
        }
    }
}
