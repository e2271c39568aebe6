//! Parcels and their manifests.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use domain::time::UnixMillis;
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

use crate::envelope::envelope_from_pb;
use crate::envelope::envelope_to_pb;
use crate::fields::array;
use crate::fields::at_most;
use crate::fields::check_ders;
use crate::fields::node_area;
use crate::fields::some;
use crate::fields::time;
use crate::malformed::Malformed;
use crate::pb;

/// Serialises a manifest: the bytes that are signed.
#[must_use]
pub fn encode_manifest(manifest: &ParcelManifest) -> Vec<u8> {
    let ParcelManifest { parcel_id, from, to, count, root, signed, signer } = manifest;
    let manifest = pb::exchange::ParcelManifest {
        parcel_id: parcel_id.as_bytes().to_vec(),
        from: from.to_string(),
        to: to.to_string(),
        count: *count,
        root: root.as_bytes().to_vec(),
        signed_ms: UnixMillis::get(*signed),
        signer: signer.as_bytes().to_vec(),
    };
    manifest.encode_to_vec()
}

/// Reads a manifest.
///
/// # Errors
/// [`Malformed`] names the first field that is not as the protocol says.
pub fn decode_manifest(bytes: &[u8]) -> Result<ParcelManifest, Malformed> {
    some("manifest", bytes.len(), MANIFEST_BYTES_MAX)?;
    let pb::exchange::ParcelManifest { parcel_id, from, to, count, root, signed_ms, signer } =
        pb::exchange::ParcelManifest::decode(bytes)?;
    Ok(ParcelManifest {
        parcel_id: ParcelId::from_bytes(array("manifest.parcel_id", &parcel_id)?),
        from: node_area("manifest.from", from.as_bytes())?,
        to: node_area("manifest.to", to.as_bytes())?,
        count,
        root: Digest::new(array("manifest.root", &root)?),
        signed: time("manifest.signed_ms", signed_ms)?,
        signer: Digest::new(array("manifest.signer", &signer)?),
    })
}

/// A parcel as a generated type; moves the bytes.
#[must_use]
pub fn parcel_to_pb(parcel: Parcel) -> pb::exchange::Parcel {
    let Parcel { manifest_bytes, signature, envelopes, chain } = parcel;
    pb::exchange::Parcel {
        manifest: manifest_bytes,
        signature,
        envelopes: envelopes.into_iter().map(envelope_to_pb).collect(),
        certificate_chain: chain,
    }
}

/// A parcel from its generated type; moves the bytes. Manifest and headers are decoded by the caller.
///
/// # Errors
/// [`Malformed`] when a limit of the protocol is exceeded or a part is missing.
pub fn parcel_from_pb(parcel: pb::exchange::Parcel) -> Result<Parcel, Malformed> {
    let pb::exchange::Parcel { manifest, signature, envelopes, certificate_chain } = parcel;
    some("parcel.manifest", manifest.len(), MANIFEST_BYTES_MAX)?;
    some("parcel.signature", signature.len(), SIGNATURE_BYTES_MAX)?;
    some("parcel.envelopes", envelopes.len(), PARCEL_ENVELOPES_MAX)?;
    check_ders(
        "parcel.certificate_chain",
        &certificate_chain,
        CHAIN_CERTIFICATES_MAX,
        CERTIFICATE_BYTES_MAX,
    )?;
    let envelopes = envelopes.into_iter().map(envelope_from_pb).collect::<Result<Vec<_>, _>>()?;
    let bytes = envelopes.iter().map(|envelope| envelope.wire_bytes()).sum();
    at_most("parcel.envelopes", bytes, PARCEL_BYTES_MAX)?;
    Ok(Parcel { manifest_bytes: manifest, signature, envelopes, chain: certificate_chain })
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
