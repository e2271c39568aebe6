//! Parcels on their way out: made of what was read, signed, and remembered until their answer is kept.

use std::sync::Arc;

use bytes::Bytes;
use domain::area::AreaCode;
use domain::reason::Reason;
use exchange::envelope::SealedEnvelope;
use exchange::keys::{SignContext, Signer};
use exchange::lane::LaneSeq;
use exchange::parcel::{Parcel, ParcelId, ParcelManifest, bodiless, envelopes_root};
use exchange::receipt::Offered;
use store::messages::{Blob, Signed};
use wire::{decode_header, encode_manifest};

use crate::app::messages::settle;
use crate::time::{SystemClock, random};

/// A parcel that is read but not yet sent.
pub(super) struct Loaded {
    pub(super) envelopes: Vec<SealedEnvelope>,
    pub(super) sequences: Vec<LaneSeq>,
}

/// A parcel on its way, as far as the answer has to be checked against it.
pub(super) struct Sent {
    pub(super) manifest: ParcelManifest,
    pub(super) signed: Signed,
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) offered: Vec<Offered>,
    pub(super) sequences: Vec<LaneSeq>,
    /// The answer, from its arrival until it is kept.
    pub(super) answered: Option<Arc<settle::Answered>>,
}

/// Makes and signs a parcel of what was read.
pub(super) fn build(
    own: AreaCode,
    peer: AreaCode,
    loaded: Loaded,
    signer: &trust::leaf::Identity,
) -> Result<(Parcel, Sent), Reason> {
    let digests: Vec<_> = loaded.envelopes.iter().map(SealedEnvelope::digest).collect();
    let headers = loaded.envelopes.iter().map(|envelope| decode_header(&envelope.header_bytes));
    let offered = headers
        .zip(&digests)
        .map(|(header, digest)| {
            let message_id = header.map_err(|_| Reason::Internal)?.message_id;
            Ok(Offered { message_id, digest: *digest })
        })
        .collect::<Result<Vec<_>, Reason>>()?;
    let manifest = ParcelManifest {
        parcel_id: ParcelId::from_bytes(random()),
        from: own,
        to: peer,
        count: u32::try_from(digests.len()).map_err(|_| Reason::TooLarge)?,
        root: envelopes_root(&digests),
        signed: SystemClock.now(),
        signer: signer.signer_id(),
        withdrawn: bodiless(&loaded.envelopes),
    };
    let bytes = encode_manifest(&manifest);
    let signature =
        signer.sign(SignContext::Parcel, &bytes).map_err(|_| Reason::SigningUnavailable)?;
    let signed = Signed { manifest: Blob(bytes.clone()), signature: Blob(signature.clone()) };
    let chain = signer.chain_der().to_vec();
    let parcel = Parcel {
        manifest_bytes: Bytes::from(bytes),
        signature: Bytes::from(signature),
        envelopes: loaded.envelopes,
        chain: Vec::new(),
        custody: Vec::new(),
    };
    let sequences = loaded.sequences;
    Ok((parcel, Sent { manifest, signed, chain, offered, sequences, answered: None }))
}
