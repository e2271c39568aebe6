//! Parcels on their way out: made of what was read, signed, and remembered until their answer is kept.

use std::sync::Arc;

use bytes::Bytes;
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::envelope::SealedEnvelope;
use exchange::keys::{SignContext, Signer};
use exchange::lane::LaneSeq;
use exchange::parcel::{Parcel, ParcelId, ParcelManifest, bodiless, envelopes_root};
use exchange::receipt::Offered;
use exchange::route::Route;
use exchange::runs::SeqRuns;
use store::messages::{Blob, Signed};
use store::transit::Word;
use wire::encode_manifest;

use super::session::Place;
use crate::app::messages::consign::Consigned;
use crate::app::messages::settle;
use crate::app::relay::SignedWord;
use crate::time::{SystemClock, random};

/// A parcel that is read but not yet sent.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) envelopes: Vec<SealedEnvelope>,
    pub(super) messages: Vec<MessageId>,
    pub(super) sequences: Vec<LaneSeq>,
    /// What is damaged, and is in no parcel.
    pub(super) unreadable: SeqRuns,
}

/// A parcel that is read, and the room it has on a session.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) loaded: Loaded,
    pub(super) place: Place,
    /// Number of the link that the room is on.
    pub(super) link: u64,
}

/// A parcel on its way, as far as the answer has to be checked against it.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) manifest: ParcelManifest,
    pub(super) signed: Signed,
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) offered: Vec<Offered>,
    pub(super) sequences: Vec<LaneSeq>,
    pub(super) route: Route,
    pub(super) since: UnixMillis,
    /// The answer, from its arrival until it is kept.
    pub(super) answered: Option<Answered>,
}

impl Sent {
    /// Our signature over the parcel.
    pub(super) fn signed_word(&self) -> SignedWord {
        let word = Word { signed: self.signed.clone(), signer: self.manifest.signer };
        SignedWord { word, chain: self.chain.clone() }
    }
}

/// What was said about a parcel, checked in every respect.
#[derive(Clone, Debug)]
pub(super) enum Answered {
    /// By the recipient.
    Receipt(Arc<settle::Answered>),
    /// By a relay, which holds it.
    Held(Arc<Consigned>),
}

/// Makes and signs a parcel of what was read.
pub(super) fn build(
    own: AreaCode,
    peer: AreaCode,
    loaded: Loaded,
    signer: &trust::leaf::Identity,
    route: Route,
) -> Result<(Parcel, Sent), Reason> {
    let digests: Vec<_> = loaded.envelopes.iter().map(SealedEnvelope::digest).collect();
    let named = loaded.messages.into_iter().zip(&digests);
    let offered = named.map(|(message_id, digest)| Offered { message_id, digest: *digest });
    let offered = offered.collect();
    let now = SystemClock.now();
    let manifest = ParcelManifest {
        parcel_id: ParcelId::from_bytes(random()),
        from: own,
        to: peer,
        count: u32::try_from(digests.len()).map_err(|_| Reason::TooLarge)?,
        root: envelopes_root(&digests),
        signed: now,
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
        chain: chain.clone(),
        custody: Vec::new(),
    };
    let sequences = loaded.sequences;
    let sent =
        Sent { manifest, signed, chain, offered, sequences, route, since: now, answered: None };
    Ok((parcel, sent))
}
