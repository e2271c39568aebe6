//! Parcels and their manifests.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use domain::time::UnixMillis;
use exchange::custody::CUSTODY_WORDS_MAX;
use exchange::digest::Digest;
use exchange::parcel::CERTIFICATE_BYTES_MAX;
use exchange::parcel::CHAIN_CERTIFICATES_MAX;
use exchange::parcel::FRAME_BYTES_MAX;
use exchange::parcel::MANIFEST_BYTES_MAX;
use exchange::parcel::PARCEL_BYTES_MAX;
use exchange::parcel::PARCEL_ENVELOPES_MAX;
use exchange::parcel::Parcel;
use exchange::parcel::ParcelId;
use exchange::parcel::ParcelManifest;
use exchange::parcel::SIGNATURE_BYTES_MAX;
use prost::Message;

use crate::custody::custody_from_pb;
use crate::custody::custody_to_pb;
use crate::envelope::envelope_from_pb;
use crate::envelope::envelope_to_pb;
use crate::fields::array;
use crate::fields::at_most;
use crate::fields::check_chain;
use crate::fields::check_ders;
use crate::fields::node_area;
use crate::fields::some;
use crate::fields::time;
use crate::malformed::Malformed;
use crate::pb;

/// Serialises a manifest: the bytes that are signed.
#[must_use]
pub fn encode_manifest(manifest: &ParcelManifest) -> Vec<u8> {
    let ParcelManifest { parcel_id, from, to, count, root, signed, signer, withdrawn } = manifest;
    let manifest = pb::exchange::ParcelManifest {
        parcel_id: parcel_id.as_bytes().to_vec(),
        from: from.to_string(),
        to: to.to_string(),
        count: *count,
        root: root.as_bytes().to_vec(),
        signed_ms: UnixMillis::get(*signed),
        signer: signer.as_bytes().to_vec(),
        withdrawn: withdrawn.clone(),
    };
    manifest.encode_to_vec()
}

/// Reads a manifest.
///
/// # Errors
/// [`Malformed`] names the first field that is not as the protocol says.
pub fn decode_manifest(bytes: &[u8]) -> Result<ParcelManifest, Malformed> {
    some("manifest", bytes.len(), MANIFEST_BYTES_MAX)?;
    let pb::exchange::ParcelManifest {
        parcel_id,
        from,
        to,
        count,
        root,
        signed_ms,
        signer,
        withdrawn,
    } = pb::exchange::ParcelManifest::decode(bytes)?;
    Ok(ParcelManifest {
        parcel_id: ParcelId::from_bytes(array("manifest.parcel_id", &parcel_id)?),
        from: node_area("manifest.from", from.as_bytes())?,
        to: node_area("manifest.to", to.as_bytes())?,
        count,
        root: Digest::new(array("manifest.root", &root)?),
        signed: time("manifest.signed_ms", signed_ms)?,
        signer: Digest::new(array("manifest.signer", &signer)?),
        withdrawn: positions(withdrawn, count)?,
    })
}

/// Positions in a parcel, ascending, each below `count`.
fn positions(positions: Vec<u32>, count: u32) -> Result<Vec<u32>, Malformed> {
    let field = "manifest.withdrawn";
    at_most(field, positions.len(), PARCEL_ENVELOPES_MAX)?;
    let ascend = positions.is_sorted_by(|one, next| one < next);
    let in_range = positions.last().is_none_or(|last| *last < count);
    if ascend && in_range { Ok(positions) } else { Err(Malformed::Range { field }) }
}

/// A parcel as a generated type; moves the bytes.
#[must_use]
pub fn parcel_to_pb(parcel: Parcel) -> pb::exchange::Parcel {
    let Parcel { manifest_bytes, signature, envelopes, chain, custody } = parcel;
    pb::exchange::Parcel {
        manifest: manifest_bytes,
        signature,
        envelopes: envelopes.into_iter().map(envelope_to_pb).collect(),
        certificate_chain: chain,
        custody: custody.into_iter().map(custody_to_pb).collect(),
    }
}

/// A parcel from its generated type; moves the bytes. Manifest, headers and words are decoded by the caller.
///
/// # Errors
/// [`Malformed`] when a limit of the protocol is exceeded or a part is missing: the chain, too, when others
/// than the sender have carried the parcel.
pub fn parcel_from_pb(parcel: pb::exchange::Parcel) -> Result<Parcel, Malformed> {
    let pb::exchange::Parcel { manifest, signature, envelopes, certificate_chain, custody } =
        parcel;
    some("parcel.manifest", manifest.len(), MANIFEST_BYTES_MAX)?;
    some("parcel.signature", signature.len(), SIGNATURE_BYTES_MAX)?;
    some("parcel.envelopes", envelopes.len(), PARCEL_ENVELOPES_MAX)?;
    at_most("parcel.custody", custody.len(), CUSTODY_WORDS_MAX)?;
    let chain = "parcel.certificate_chain";
    if custody.is_empty() {
        check_ders(chain, &certificate_chain, CHAIN_CERTIFICATES_MAX, CERTIFICATE_BYTES_MAX)?;
    } else {
        check_chain(chain, &certificate_chain)?;
    }
    let envelopes = envelopes.into_iter().map(envelope_from_pb).collect::<Result<Vec<_>, _>>()?;
    let bytes = envelopes.iter().map(|envelope| envelope.wire_bytes()).sum();
    at_most("parcel.envelopes", bytes, PARCEL_BYTES_MAX)?;
    Ok(Parcel {
        manifest_bytes: manifest,
        signature,
        envelopes,
        chain: certificate_chain,
        custody: custody.into_iter().map(custody_from_pb).collect::<Result<_, _>>()?,
    })
}

/// Serialises a whole parcel, as bundles and journals hold it.
#[must_use]
pub fn encode_parcel(parcel: Parcel) -> Vec<u8> {
    parcel_to_pb(parcel).encode_to_vec()
}

/// Reads a whole parcel; its parts share the given bytes.
///
/// # Errors
/// As [`parcel_from_pb`].
pub fn decode_parcel(bytes: Bytes) -> Result<Parcel, Malformed> {
    some("parcel", bytes.len(), FRAME_BYTES_MAX)?;
    parcel_from_pb(pb::exchange::Parcel::decode(bytes)?)
}
