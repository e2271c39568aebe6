//! What the nodes sign about an agreement, and what a message claims to be signed.

use domain::agreement::{Agreement, OfficeSignature, Word, canonical_bytes, signed_bytes};
use domain::area::AreaCode;
use domain::message::{Body, Content};
use domain::reason::Reason;
use exchange::keys::{SignContext, Signer};
use store::Store;
use store::tables::AGREEMENT;

use crate::app::AppError;

/// A signature in a message, with the bytes that it is to be checked against.
#[derive(Debug)]
pub struct Claimed<'a> {
    /// What has to have been signed.
    pub bytes: Vec<u8>,
    /// The signature.
    pub signature: &'a OfficeSignature,
}

/// Signs what this node says about an agreement.
pub(super) fn sign(
    signer: &dyn Signer,
    agreement: &Agreement,
    word: Word<'_>,
) -> Result<OfficeSignature, AppError> {
    let bytes = signed_bytes(&canonical(agreement), word);
    let signature = signer
        .sign(SignContext::Agreement, &bytes)
        .map_err(|error| AppError::Signing(error.to_string()))?;
    Ok(OfficeSignature { signature, chain: signer.chain_der().to_vec() })
}

/// The terms as both sides sign them.
#[must_use]
pub(crate) fn canonical(agreement: &Agreement) -> Vec<u8> {
    let Agreement { id, version, proposer, other, terms, .. } = agreement;
    canonical_bytes(*id, *version, (*proposer, *other), terms)
}

/// What a message of `from` to this node says about an agreement and has to have signed; none for any other message.
///
/// # Errors
/// The reason of the catalogue, when it is about an agreement that is not known here, or not signed.
pub fn claimed<'a>(
    store: &Store,
    content: &'a Content,
    (from, own): (AreaCode, AreaCode),
) -> Result<Option<Claimed<'a>>, (Reason, &'static str)> {
    let known = |id, version| {
        let row = store.get(&AGREEMENT, &(id, version));
        let row = row.map_err(|_| (Reason::StoreUnavailable, "agreement_id"))?;
        row.map(|row| canonical(&row.agreement)).ok_or((Reason::UnknownCase, "agreement_id"))
    };
    let (canonical, word, signature) = match &content.body {
        Body::AgreementProposal(body) => {
            let sides = (from, own);
            let bytes = canonical_bytes(body.agreement_id, body.version, sides, &body.terms);
            (bytes, Word::Proposed, &body.signature)
        }
        Body::AgreementDecision(body) => {
            let accepted = Word::Accepted(body.contact.as_ref());
            let word = if body.accepted { accepted } else { Word::Declined };
            (known(body.agreement_id, body.version)?, word, &body.signature)
        }
        Body::AgreementEnd(body) => {
            let bytes = known(body.agreement_id, body.version)?;
            (bytes, Word::Ended(body.last_day), &body.signature)
        }
        _ => return Ok(None),
    };
    let signature = signature.as_ref().ok_or((Reason::FieldRequired, "signature"))?;
    Ok(Some(Claimed { bytes: signed_bytes(&canonical, word), signature }))
}
