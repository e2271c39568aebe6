//! The checks of section 11 of the protocol, in its order.

use domain::area::AreaCode;
use domain::time::UnixMillis;

use super::CLOCK_TOLERANCE;
use super::Carried;
use super::Evidence;
use super::Flaw;
use super::Part;
use super::Proven;
use super::ProvenAnswer;
use super::ReceiptProof;
use super::SignedBy;
use super::TimeBy;
use crate::custody::CustodyFault;
use crate::custody::CustodyOutcome;
use crate::custody::check_way;
use crate::digest::Digest;
use crate::envelope;
use crate::keys::ChainVerifier;
use crate::keys::SignContext;
use crate::receipt::Offered;
use crate::relay::may_carry;
use crate::tree;

impl Evidence {
    /// Verifies the file against the root behind `chains`.
    ///
    /// The sender's chain counts at the time the first relay signed; when none carried it, at the time the
    /// recipient signed; its own time only when there is no receipt either. The chains of relays and of the
    /// recipient count at their own signed times.
    ///
    /// # Errors
    /// [`Flaw`] names the first thing that does not hold.
    pub fn verify(&self, chains: &dyn ChainVerifier) -> Result<Proven, Flaw> {
        let body_matches = |sealed| Digest::of(sealed) == self.sealed_sha256;
        if self.sealed.as_deref().is_some_and(|sealed| !body_matches(sealed)) {
            return Err(Flaw::BodyDiffers);
        }
        let digest = envelope::digest(&self.header_bytes, &self.sealed_sha256);
        let carried = self.verify_custody(chains)?;
        let sent = self.verify_parcel(chains, &digest)?;
        let receipt = self.receipt.as_ref();
        let answered =
            receipt.map(|proof| self.verify_receipt(chains, proof, digest)).transpose()?;
        Ok(Proven {
            message_id: self.header.message_id,
            digest,
            body_present: self.sealed.is_some(),
            sent,
            carried,
            answered,
        })
    }

    /// Each word is signed by the relay it names, and together they tell of one way from the sender on. The
    /// last ones may be missing: a word that comes back can be lost.
    fn verify_custody(&self, chains: &dyn ChainVerifier) -> Result<Vec<Carried>, Flaw> {
        let parcel = &self.parcel.manifest;
        check_way(self.custody.iter().map(|proof| &proof.manifest), parcel)
            .map_err(Flaw::CustodyWrong)?;
        let mut before = (Part::Parcel, parcel.signed);
        let carried = self.custody.iter().map(|proof| {
            let word = &proof.manifest;
            if !may_carry(word.relay, word.handed_by, word.from, word.to) {
                return Err(Flaw::NotARelay { relay: word.relay });
            }
            let signed = Signed {
                part: Part::Custody { relay: word.relay },
                manifest_bytes: &proof.manifest_bytes,
                signature: &proof.signature,
                stated_area: word.relay,
                certificate: word.signer,
                chain: &proof.chain,
            };
            let by = signed.verify_at_its_own_time(chains, word.signed, &self.revocation_lists)?;
            let this = (signed.part, word.signed);
            in_order(before, this)?;
            before = this;
            let CustodyOutcome::Held { next } = word.outcome else {
                return Err(Flaw::CustodyWrong(CustodyFault::NotHeld));
            };
            Ok(Carried { by, handed_by: word.handed_by, next })
        });
        let carried = carried.collect::<Result<Vec<_>, _>>()?;
        if let Some(receipt) = &self.receipt {
            in_order(before, (Part::Receipt, receipt.manifest.signed))?;
        }
        Ok(carried)
    }

    fn verify_parcel(&self, chains: &dyn ChainVerifier, digest: &Digest) -> Result<SignedBy, Flaw> {
        let (proof, manifest) = (&self.parcel, &self.parcel.manifest);
        let leaf = tree::leaf_hash(digest.as_bytes());
        let (index, count) = (u64::from(proof.index), u64::from(manifest.count));
        if !tree::verify_inclusion(&leaf, index, count, &proof.path, &manifest.root) {
            return Err(Flaw::PathWrong(Part::Parcel));
        }
        let (chain_valid_at, time_by) = match (self.custody.first(), &self.receipt) {
            (Some(word), _) => (word.manifest.signed, TimeBy::Relay),
            (None, Some(receipt)) => (receipt.manifest.signed, TimeBy::OtherSide),
            (None, None) => (manifest.signed, TimeBy::Signer),
        };
        let signed = Signed {
            part: Part::Parcel,
            manifest_bytes: &proof.manifest_bytes,
            signature: &proof.signature,
            stated_area: manifest.from,
            certificate: manifest.signer,
            chain: &proof.chain,
        };
        signed.verify(chains, chain_valid_at, &self.revocation_lists)?;
        if manifest.from != self.header.from {
            return Err(Flaw::NotTheSender { stated: self.header.from, signer: manifest.from });
        }
        let (area, certificate) = (manifest.from, manifest.signer);
        Ok(SignedBy { area, signed: manifest.signed, certificate, chain_valid_at, time_by })
    }

    fn verify_receipt(
        &self,
        chains: &dyn ChainVerifier,
        proof: &ReceiptProof,
        digest: Digest,
    ) -> Result<ProvenAnswer, Flaw> {
        let (manifest, disposition) = (&proof.manifest, &proof.disposition);
        let leaf = tree::leaf_hash(&proof.disposition_bytes);
        let (index, count) = (u64::from(proof.index), u64::from(manifest.count));
        if !tree::verify_inclusion(&leaf, index, count, &proof.path, &manifest.root) {
            return Err(Flaw::PathWrong(Part::Receipt));
        }
        let offered = Offered { message_id: self.header.message_id, digest };
        if !disposition.is_about(&offered) || proof.index != self.parcel.index {
            return Err(Flaw::OtherEnvelope);
        }
        self.check_answers_parcel(proof)?;
        let signed = Signed {
            part: Part::Receipt,
            manifest_bytes: &proof.manifest_bytes,
            signature: &proof.signature,
            stated_area: manifest.from,
            certificate: manifest.signer,
            chain: &proof.chain,
        };
        let by = signed.verify_at_its_own_time(chains, manifest.signed, &self.revocation_lists)?;
        if manifest.from != self.header.to {
            return Err(Flaw::NotTheRecipient { addressed: self.header.to, signer: manifest.from });
        }
        let (decided, receipt) = (disposition.decided, manifest.signed);
        if !may_follow(decided, receipt) {
            return Err(Flaw::DecidedAfterReceipt { decided, receipt });
        }
        Ok(ProvenAnswer {
            by,
            outcome: disposition.outcome.clone(),
            duplicate: disposition.duplicate,
            decided: disposition.decided,
            ledger_head: manifest.ledger_head,
        })
    }

    fn check_answers_parcel(&self, proof: &ReceiptProof) -> Result<(), Flaw> {
        let (parcel, receipt) = (&self.parcel.manifest, &proof.manifest);
        let answers = receipt.parcel_id == parcel.parcel_id
            && receipt.parcel_root == parcel.root
            && receipt.count == parcel.count
            && receipt.from == parcel.to
            && receipt.to == parcel.from;
        if answers { Ok(()) } else { Err(Flaw::OtherParcel) }
    }
}

/// Whether one thing may have been signed before another. Two clocks differ a little; one node's own clock may be
/// set back a little between two signatures.
pub(super) fn may_follow(earlier: UnixMillis, later: UnixMillis) -> bool {
    earlier <= later.saturating_add(CLOCK_TOLERANCE)
}

fn in_order(
    (earlier, earlier_at): (Part, UnixMillis),
    (later, later_at): (Part, UnixMillis),
) -> Result<(), Flaw> {
    if !may_follow(earlier_at, later_at) {
        return Err(Flaw::OutOfOrder { earlier, earlier_at, later, later_at });
    }
    Ok(())
}

/// What parcels, words and receipts have in common: a manifest, its signature, the signer's chain.
struct Signed<'a> {
    part: Part,
    manifest_bytes: &'a [u8],
    signature: &'a [u8],
    stated_area: AreaCode,
    certificate: Digest,
    chain: &'a [Vec<u8>],
}

impl Signed<'_> {
    fn verify_at_its_own_time(
        &self,
        chains: &dyn ChainVerifier,
        signed: UnixMillis,
        revocation_lists: &[Vec<u8>],
    ) -> Result<SignedBy, Flaw> {
        self.verify(chains, signed, revocation_lists)?;
        Ok(SignedBy {
            area: self.stated_area,
            signed,
            certificate: self.certificate,
            chain_valid_at: signed,
            time_by: TimeBy::Signer,
        })
    }

    fn verify(
        &self,
        chains: &dyn ChainVerifier,
        at: UnixMillis,
        revocation_lists: &[Vec<u8>],
    ) -> Result<(), Flaw> {
        let part = self.part;
        let chain = chains
            .verify_chain(self.chain, at, revocation_lists)
            .map_err(|source| Flaw::Chain { part, at, source })?;
        if chain.fingerprint != self.certificate {
            return Err(Flaw::CertificateDiffers(part));
        }
        if chain.area != self.stated_area {
            let (stated, certified) = (self.stated_area, chain.area);
            return Err(Flaw::AreaDiffers { part, stated, certified });
        }
        let context = match part {
            Part::Parcel => SignContext::Parcel,
            Part::Custody { .. } => SignContext::Custody,
            Part::Receipt => SignContext::Receipt,
        };
        chains
            .verify_signature(&chain.public_key, context, self.manifest_bytes, self.signature)
            .map_err(|_| Flaw::SignatureWrong(part))
    }
}
