//! Taking what others bring back: messages of ours that we have lost, receipts, refusals; and by which signatures.
//!
//! What was signed under a certificate that was revoked since, or under a root that was replaced, does not hold as evidence:
//! the key may be in other hands, which write any time they like. After a machine was stolen that would keep everything away
//! that it had ever sent. So:
//!
//! - a recipient signs its receipt anew, with its present key, when the certificate of the one it keeps has gone
//!   ([`cures::Signing`]); nobody takes a receipt of another that only a certificate of before has signed;
//! - a node takes a signature of its own former certificate, of a time before the revocation, when the other side of the
//!   message hands it over under its present certificate: that side says by it that it had taken the parcel, and it took
//!   none after it knew of the revocation. Only data that were restored can have lost a message, so only they take one so,
//!   and only one of before the restore; the office is told which those are;
//! - a node takes the signature of the other side's former certificate under a parcel, or a statement that closed days, from
//!   that side itself.
//!
//! A thief of a key alone can hand nothing over: for that one needs a present certificate of the other side. With that side
//! as an accomplice he can put a message between these two into the books of the one that he has stolen from, of a time
//! before its restore; nothing about anybody else, and the office reads of it.

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::message::Content;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::envelope::{Header, SealHeader, SealedEnvelope, unpad};
use exchange::keys::{Opener as _, SignContext};
use exchange::reconcile::calls::{HandedBack, ReceiptAgain, SealedFor, take_back_data};
use store::tables::CHAIN;
use trust::tls::TlsMaterial;

use super::{Reconcile, not_for_us};
use crate::app::reconcile::cures::{self, Back, Checked, Signing};
use crate::app::{AppError, restore};
use crate::delivery::proof::{self, Claim, Held, Unproven};
use crate::time::SystemClock;

impl Reconcile {
    /// With what we sign, and see whether our signatures of before still hold.
    pub(super) fn signing<'a>(&self, material: &'a TlsMaterial) -> Signing<'a> {
        let signer = material.identity().as_ref();
        Signing { own: self.own(), signer, chains: material.chains() }
    }

    /// Reads a receipt that `by` hands over, and checks both signatures.
    pub(super) fn check(
        &self,
        by: AreaCode,
        (sender, recipient): (AreaCode, AreaCode),
        again: ReceiptAgain,
        now: UnixMillis,
    ) -> Result<(Checked, Held), AppError> {
        let checked = Checked::read(sender, recipient, again)?;
        let receipt = proof::of_receipt(&checked.receipt, &checked.proof().receipt);
        let own = self.own();
        let receipt = self.holds(&receipt, recipient == own, now)?;
        let parcel = self.holds(&parcel_of(&checked), sender == own || sender == by, now)?;
        let held = if receipt == Held::Still { parcel } else { receipt };
        Ok((checked, held))
    }

    /// The same, where it is to be known whether the sender has signed the parcel, with a certificate that still holds.
    pub(super) fn check_word(
        &self,
        (sender, recipient): (AreaCode, AreaCode),
        again: ReceiptAgain,
        now: UnixMillis,
    ) -> Result<(Checked, Result<(), Unproven>), AppError> {
        let checked = Checked::read(sender, recipient, again)?;
        let receipt = proof::of_receipt(&checked.receipt, &checked.proof().receipt);
        self.holds(&receipt, false, now)?;
        let is_sent = proof::check_evidence(&self.0.parts.identity, &parcel_of(&checked), now);
        Ok((checked, is_sent))
    }

    /// How far a signature holds; `or_once` also one whose certificate has gone since, see above.
    pub(super) fn holds(
        &self,
        claim: &Claim<'_>,
        or_once: bool,
        now: UnixMillis,
    ) -> Result<Held, AppError> {
        let identity = &self.0.parts.identity;
        let held = match proof::check_evidence(identity, claim, now) {
            Ok(()) => Ok(Held::Still),
            Err(Unproven::Chain(refused)) if or_once => {
                let is_known = self.store().get(&CHAIN, &claim.signer.into_bytes())?.is_some();
                proof::check_once(identity.material().chains(), claim, refused, is_known)
            }
            Err(fault) => Err(fault),
        };
        held.map_err(|fault| {
            tracing::warn!(by = %claim.by, %fault, code = "SIGNATURE_INVALID", "a proof that was handed back does not hold");
            Reason::SignatureInvalid.into()
        })
    }

    /// Refuses what a node cannot have lost that has its data from the beginning, or has them again since before the message.
    fn may_have_lost(&self, id: MessageId, held: Held) -> Result<(), AppError> {
        if held == Held::Still {
            return Ok(());
        }
        let origin = restore::origin(self.store())?;
        if origin.is_some_and(|origin| id.timestamp() <= origin.restored) {
            return Ok(());
        }
        tracing::warn!(message = %id, code = "SIGNATURE_INVALID", "what is signed with a certificate of before is of a time that was not lost");
        Err(Reason::SignatureInvalid.into())
    }

    /// Takes a message of ours back, which we have lost. Says whether it is here now.
    ///
    /// # Errors
    /// `SIGNATURE_INVALID`, `NOT_FOR_US`, `MALFORMED`; when rows cannot be written.
    pub async fn take_back(&self, caller: AreaCode, back: HandedBack) -> Result<bool, AppError> {
        let now = SystemClock.now();
        let (checked, held) = self.check(caller, (self.own(), caller), back.proof, now)?;
        let malformed = || AppError::from(Reason::Malformed);
        let header = wire::decode_header(&back.envelope.header_bytes).map_err(|_| malformed())?;
        if header.from != self.own() || header.to != caller {
            return Err(not_for_us());
        }
        self.may_have_lost(header.message_id, held)?;
        let content = match &back.secret {
            Some(secret) => Some(self.open_again(&header, &back.envelope, secret)?),
            None if back.envelope.is_withdrawn() => None,
            None => return Err(malformed()),
        };
        let HandedBack { envelope, question_follows, .. } = back;
        let on_word = held == Held::Once;
        let back = Back { header, envelope, content, checked, question_follows, on_word };
        let store = self.store().clone();
        let write = move |unit: &mut store::Unit<'_>| cures::take_back(unit, &store, &back, now);
        self.store().commit(write).await.map_err(AppError::from)
    }

    /// Opens an envelope of our own with the secret that its recipient gives for it. What opens is what we had sealed.
    pub(super) fn open_again(
        &self,
        header: &Header,
        envelope: &SealedEnvelope,
        secret: &SealedFor,
    ) -> Result<Content, AppError> {
        let malformed = || AppError::from(Reason::Malformed);
        let data = take_back_data(&envelope.header_bytes);
        let seal = SealHeader {
            recipient_key_id: secret.recipient_key_id,
            encapsulated_key: secret.encapsulated_key,
            counter: secret.counter,
            ..header.seal
        };
        let padded = self.0.parts.opener.open(&seal, &data, &secret.sealed);
        let padded = padded.map_err(|_| AppError::from(Reason::SealedForOtherKey))?;
        let secret = unpad(&padded).map_err(|_| malformed())?;
        let sealed = envelope.sealed().ok_or_else(malformed)?;
        cures::open_again(secret, &envelope.header_bytes, sealed)
    }

    /// Takes the signed word about a message between `caller` and us: the refusal of one that we do not know of any more, or
    /// the receipt of one of ours, from a recipient that we cannot ask for it.
    ///
    /// # Errors
    /// `SIGNATURE_INVALID`, `NOT_FOR_US`, `MALFORMED`; when rows cannot be written.
    pub async fn take_word(
        &self,
        caller: AreaCode,
        id: MessageId,
        word: ReceiptAgain,
    ) -> Result<(), AppError> {
        let own = self.own();
        let manifest = wire::decode_manifest(&word.parcel_manifest);
        let manifest = manifest.map_err(|_| AppError::from(Reason::Malformed))?;
        if manifest.from == own && cures::is_ours(self.store(), id)? {
            let epoch = word.epoch;
            let marks = self.keep_again(id, caller, word).await?;
            self.0.parts.outbound.marked(caller, epoch, marks).await;
            return Ok(());
        }
        let ends = if manifest.from == own { (own, caller) } else { (caller, own) };
        let (checked, held) = self.check(caller, ends, word, SystemClock.now())?;
        self.may_have_lost(id, held)?;
        let write = move |unit: &mut store::Unit<'_>| cures::take_word(unit, own, id, &checked);
        self.store().commit(write).await.map_err(AppError::from)
    }
}

/// The claim that the parcel of a proof makes.
fn parcel_of(checked: &Checked) -> Claim<'_> {
    let again = checked.proof();
    Claim {
        context: SignContext::Parcel,
        by: checked.parcel.from,
        signer: checked.parcel.signer,
        chain: &again.parcel_chain,
        bytes: &again.parcel_manifest,
        signature: &again.parcel_signature,
        signed: checked.parcel.signed,
    }
}
