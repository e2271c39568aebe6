//! Words of relays, and words on their way back.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use domain::time::UnixMillis;
use exchange::custody::CustodyManifest;
use exchange::custody::CustodyOutcome;
use exchange::custody::CustodyReceipt;
use exchange::custody::Returned;
use exchange::digest::Digest;
use exchange::parcel::FRAME_BYTES_MAX;
use exchange::parcel::MANIFEST_BYTES_MAX;
use exchange::parcel::ParcelId;
use exchange::parcel::SIGNATURE_BYTES_MAX;
use prost::Message;

use crate::disposition::decode_reason;
use crate::fields::array;
use crate::fields::check_chain;
use crate::fields::node_area;
use crate::fields::some;
use crate::fields::time;
use crate::malformed::Malformed;
use crate::pb;
use crate::pb::exchange::returned;
use crate::receipt::receipt_from_pb;
use crate::receipt::receipt_to_pb;

/// Serialises a manifest: the bytes that are signed.
#[must_use]
pub fn encode_custody_manifest(manifest: &CustodyManifest) -> Vec<u8> {
    let CustodyManifest {
        parcel_id,
        parcel_root,
        relay,
        handed_by,
        from,
        to,
        outcome,
        signed,
        signer,
    } = manifest;
    let (number, next, reason, retry_after) = match outcome {
        CustodyOutcome::Held { next } => (pb::exchange::CustodyOutcome::Held, Some(next), None, 0),
        CustodyOutcome::Refused { reason } => {
            (pb::exchange::CustodyOutcome::Refused, None, Some(reason), 0)
        }
        CustodyOutcome::Deferred { reason, until } => {
            (pb::exchange::CustodyOutcome::Deferred, None, Some(reason), until.get())
        }
    };
    let manifest = pb::exchange::CustodyManifest {
        parcel_id: parcel_id.as_bytes().to_vec(),
        parcel_root: parcel_root.as_bytes().to_vec(),
        relay: relay.to_string(),
        handed_by: handed_by.to_string(),
        from: from.to_string(),
        to: to.to_string(),
        next: next.map(ToString::to_string).unwrap_or_default(),
        outcome: number.into(),
        reason: reason.map(|reason| reason.code().to_owned()).unwrap_or_default(),
        retry_after_ms: retry_after,
        signed_ms: signed.get(),
        signer: signer.as_bytes().to_vec(),
    };
    manifest.encode_to_vec()
}

/// Reads a manifest. A reason that this version does not know becomes `REASON_UNKNOWN`.
///
/// # Errors
/// [`Malformed`] names the first field that is not as the protocol says.
pub fn decode_custody_manifest(bytes: &[u8]) -> Result<CustodyManifest, Malformed> {
    some("custody", bytes.len(), MANIFEST_BYTES_MAX)?;
    let pb::exchange::CustodyManifest {
        parcel_id,
        parcel_root,
        relay,
        handed_by,
        from,
        to,
        next,
        outcome,
        reason,
        retry_after_ms,
        signed_ms,
        signer,
    } = pb::exchange::CustodyManifest::decode(bytes)?;
    let reason = || decode_reason("custody.reason", reason.as_bytes());
    let outcome = match pb::exchange::CustodyOutcome::try_from(outcome) {
        Ok(pb::exchange::CustodyOutcome::Held) => {
            CustodyOutcome::Held { next: node_area("custody.next", next.as_bytes())? }
        }
        Ok(pb::exchange::CustodyOutcome::Refused) => CustodyOutcome::Refused { reason: reason()? },
        Ok(pb::exchange::CustodyOutcome::Deferred) => CustodyOutcome::Deferred {
            reason: reason()?,
            // A wish, however far; the courier has its own bounds.
            until: UnixMillis::new(retry_after_ms),
        },
        Ok(pb::exchange::CustodyOutcome::Unspecified) | Err(_) => {
            let number = i64::from(outcome);
            return Err(Malformed::Unknown { field: "custody.outcome", number });
        }
    };
    Ok(CustodyManifest {
        parcel_id: ParcelId::from_bytes(array("custody.parcel_id", &parcel_id)?),
        parcel_root: Digest::new(array("custody.parcel_root", &parcel_root)?),
        relay: node_area("custody.relay", relay.as_bytes())?,
        handed_by: node_area("custody.handed_by", handed_by.as_bytes())?,
        from: node_area("custody.from", from.as_bytes())?,
        to: node_area("custody.to", to.as_bytes())?,
        outcome,
        signed: time("custody.signed_ms", signed_ms)?,
        signer: Digest::new(array("custody.signer", &signer)?),
    })
}

/// A word as a generated type; moves the bytes.
#[must_use]
pub fn custody_to_pb(word: CustodyReceipt) -> pb::exchange::CustodyReceipt {
    let CustodyReceipt { manifest_bytes, signature, chain } = word;
    pb::exchange::CustodyReceipt { manifest: manifest_bytes, signature, certificate_chain: chain }
}

/// A word from its generated type; moves the bytes. The manifest is decoded by the caller.
///
/// # Errors
/// [`Malformed`] when a limit is exceeded or a part is missing.
pub fn custody_from_pb(word: pb::exchange::CustodyReceipt) -> Result<CustodyReceipt, Malformed> {
    let pb::exchange::CustodyReceipt { manifest, signature, certificate_chain } = word;
    some("custody.manifest", manifest.len(), MANIFEST_BYTES_MAX)?;
    some("custody.signature", signature.len(), SIGNATURE_BYTES_MAX)?;
    check_chain("custody.certificate_chain", &certificate_chain)?;
    Ok(CustodyReceipt { manifest_bytes: manifest, signature, chain: certificate_chain })
}

/// Serialises a whole word, as the store holds it.
#[must_use]
pub fn encode_custody(word: CustodyReceipt) -> Vec<u8> {
    custody_to_pb(word).encode_to_vec()
}

/// Reads a whole word; its parts share the given bytes.
///
/// # Errors
/// As [`custody_from_pb`].
pub fn decode_custody(bytes: Bytes) -> Result<CustodyReceipt, Malformed> {
    some("custody", bytes.len(), FRAME_BYTES_MAX)?;
    custody_from_pb(pb::exchange::CustodyReceipt::decode(bytes)?)
}

/// A returned word as a generated type; moves the bytes.
#[must_use]
pub fn returned_to_pb(word: Returned) -> pb::exchange::Returned {
    let word = match word {
        Returned::Receipt(receipt) => returned::Word::Receipt(receipt_to_pb(receipt)),
        Returned::Custody(word) => returned::Word::Custody(custody_to_pb(word)),
    };
    pb::exchange::Returned { word: Some(word) }
}

/// A returned word from its generated type; moves the bytes.
///
/// # Errors
/// [`Malformed`] when a limit is exceeded or a part is missing: the chain of a receipt, too.
pub fn returned_from_pb(word: pb::exchange::Returned) -> Result<Returned, Malformed> {
    let pb::exchange::Returned { word } = word;
    match word.ok_or(Malformed::Missing { field: "returned.word" })? {
        returned::Word::Receipt(receipt) => {
            check_chain("returned.receipt.certificate_chain", &receipt.certificate_chain)?;
            receipt_from_pb(receipt).map(Returned::Receipt)
        }
        returned::Word::Custody(word) => custody_from_pb(word).map(Returned::Custody),
    }
}

/// Serialises a returned word.
#[must_use]
pub fn encode_returned(word: Returned) -> Vec<u8> {
    returned_to_pb(word).encode_to_vec()
}

/// Reads a returned word; its parts share the given bytes.
///
/// # Errors
/// As [`returned_from_pb`].
pub fn decode_returned(bytes: Bytes) -> Result<Returned, Malformed> {
    some("returned", bytes.len(), FRAME_BYTES_MAX)?;
    returned_from_pb(pb::exchange::Returned::decode(bytes)?)
}
