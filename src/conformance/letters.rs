//! Envelopes and parcels of the caller: good ones, and ones that break one rule each.

use std::time::Duration;

use bytes::Bytes;
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::message::{CheckContext, Content, Kind};
use domain::synthetic::{Messages, People};
use domain::time::UnixMillis;
use exchange::envelope::{Header, SealedEnvelope, pad};
use exchange::keys::{Sealer as _, SignContext, Signer as _};
use exchange::lane::{LaneEpoch, LaneSeq};
use exchange::parcel::{Parcel, ParcelId, ParcelManifest, bodiless, envelopes_root};
use trust::leaf::Identity;
use trust::seal::{Sealer, SealingPublicKey};
use wire::content::encode_content;
use wire::{encode_header, encode_manifest};

use super::Deviation;
use crate::time::{SystemClock, random};

/// How long a message of the trial keeps its purpose.
const LIFE: Duration = Duration::from_secs(3_600);

/// A lane of the caller to the peer.
pub(super) struct Letters {
    pub(super) own: AreaCode,
    pub(super) peer: AreaCode,
    epoch: LaneEpoch,
    next: u64,
    sealer: Sealer,
    people: Messages,
}

fn cannot(error: impl std::fmt::Display) -> Deviation {
    Deviation::new(format!("the trial itself failed: {error}"))
}

impl Letters {
    /// A new lane, sealed for this key.
    pub(super) fn new(
        own: AreaCode,
        peer: AreaCode,
        key: &SealingPublicKey,
    ) -> Result<Self, Deviation> {
        let now = SystemClock.now();
        let seed = u64::from_be_bytes(random());
        let people = People::new(seed, vec![own, peer], now.date());
        Ok(Self {
            own,
            peer,
            epoch: LaneEpoch::new(u64::from_be_bytes(random())),
            next: 1,
            sealer: Sealer::new(key, &mut rand::rng(), now).map_err(cannot)?,
            people: Messages::new(people, CheckContext { from: own, to: peer, now }),
        })
    }

    /// Seals for another key from now on.
    pub(super) fn seal_for(&mut self, key: &SealingPublicKey) -> Result<(), Deviation> {
        self.sealer = Sealer::new(key, &mut rand::rng(), SystemClock.now()).map_err(cannot)?;
        Ok(())
    }

    /// Addresses everything from now on to another area; the seal stays that of the peer.
    pub(super) fn address(&mut self, to: AreaCode) {
        self.peer = to;
    }

    /// Leaves places of the lane out.
    pub(super) fn skip(&mut self, places: u64) -> u64 {
        self.next += places;
        self.next
    }

    /// A message that keeps every rule.
    pub(super) fn content(&mut self, kind: Kind) -> Result<Content, Deviation> {
        self.people.next(kind).ok_or_else(|| cannot("no made-up message of this kind"))
    }

    /// A header for the next place in the lane.
    pub(super) fn header(&mut self) -> Result<Header, Deviation> {
        let (now, sequence) = (SystemClock.now(), LaneSeq::new(self.next));
        self.next += 1;
        Ok(Header {
            message_id: MessageId::new(now, random()),
            from: self.own,
            to: self.peer,
            epoch: self.epoch,
            sequence,
            created: now,
            expires: now.saturating_add(LIFE),
            due: None,
            seal: self.sealer.next_seal().map_err(cannot)?,
        })
    }

    pub(super) fn seal(
        &self,
        header: &Header,
        content: &Content,
    ) -> Result<SealedEnvelope, Deviation> {
        self.seal_padded(header, pad(&encode_content(content)).map_err(cannot)?)
    }

    pub(super) fn seal_padded(
        &self,
        header: &Header,
        padded: Vec<u8>,
    ) -> Result<SealedEnvelope, Deviation> {
        self.seal_under(header, encode_header(header), padded)
    }

    /// Seals under these bytes of the header, whatever they are.
    pub(super) fn seal_under(
        &self,
        header: &Header,
        bytes: Vec<u8>,
        padded: Vec<u8>,
    ) -> Result<SealedEnvelope, Deviation> {
        let sealed = self.sealer.seal(header.seal.counter, &bytes, padded).map_err(cannot)?;
        Ok(SealedEnvelope::new(bytes, sealed))
    }

    /// A good envelope in the next place.
    pub(super) fn letter(&mut self) -> Result<(Header, SealedEnvelope), Deviation> {
        let content = self.content(Kind::DepartureNotice)?;
        let header = self.header()?;
        let envelope = self.seal(&header, &content)?;
        Ok((header, envelope))
    }

    /// The manifest that fits these envelopes.
    pub(super) fn manifest(
        &self,
        envelopes: &[SealedEnvelope],
        signer: &Identity,
    ) -> Result<ParcelManifest, Deviation> {
        let digests: Vec<_> = envelopes.iter().map(SealedEnvelope::digest).collect();
        Ok(ParcelManifest {
            parcel_id: ParcelId::from_bytes(random()),
            from: self.own,
            to: self.peer,
            count: u32::try_from(envelopes.len()).map_err(cannot)?,
            root: envelopes_root(&digests),
            signed: SystemClock.now(),
            signer: signer.signer_id(),
            withdrawn: bodiless(envelopes),
        })
    }
}

/// A parcel signed over whatever the manifest says.
pub(super) fn parcel(
    manifest: &ParcelManifest,
    envelopes: Vec<SealedEnvelope>,
    signer: &Identity,
) -> Result<Parcel, Deviation> {
    let bytes = encode_manifest(manifest);
    let signature = signer.sign(SignContext::Parcel, &bytes).map_err(cannot)?;
    Ok(Parcel {
        manifest_bytes: Bytes::from(bytes),
        signature: Bytes::from(signature),
        envelopes,
        chain: signer.chain_der().to_vec(),
        custody: Vec::new(),
    })
}

/// A header that ended its purpose an hour ago.
pub(super) fn expired(header: Header) -> Header {
    let then = UnixMillis::new(header.created.get().saturating_sub(7_200_000));
    Header { created: then, expires: then.saturating_add(LIFE), ..header }
}
