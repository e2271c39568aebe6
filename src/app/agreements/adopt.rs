//! What two provinces have agreed, taken over by a county: from the file that proves it, by a supervisor. It covers the
//! county while it has agreed nothing itself with a county over there.

use domain::access::Permission;
use domain::agreement::{Agreement, AgreementState, Written, parse_canonical, text_of_hex};
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::text::{Note, WrittenReason};
use domain::time::UnixMillis;
use exchange::keys::ChainVerifier;
use store::agreements::{AgreementRow, DecisionRow, EndingRow};
use store::tables::AGREEMENT;
use store::{Store, Unit};

use super::{VERSIONS_MAX, keep};
use crate::agreement_file::{AgreementFile, SaidWord, Standing};
use crate::app::{AppError, Ctx, Refusal};
use crate::errors::chain;

/// No message of this node brought it.
const BY_FILE: MessageId = MessageId::from_bytes([0; 16]);
/// Why it ended stands with those who ended it.
const ENDED_THERE: &str = "省级协议已终止";

/// Takes over what the own province and another one have agreed, or that it has ended.
///
/// # Errors
/// `ROLE_REQUIRED`; `MALFORMED` and `SIGNATURE_INVALID` for what proves nothing; `NOT_OWNER` when it is not between the own
/// province and another; `STATE_FORBIDS` when both have not signed it; `STALE_VERSION` when a newer one is known.
pub async fn adopt(
    ctx: &Ctx,
    store: &Store,
    chains: &dyn ChainVerifier,
    file: &[u8],
) -> Result<AgreementRow, AppError> {
    ctx.must(Permission::DecideAgreements)?;
    let own = ctx.county();
    let row = row(file, chains, own, ctx.now)?;
    let (id, version) = (row.agreement.id, row.agreement.version);
    let today = ctx.today();
    let done = store.commit(move |unit: &mut Unit<'_>| {
        let known = unit.scan_under(&AGREEMENT, &(id,), None, VERSIONS_MAX)?;
        if known.iter().any(|((_, other), _)| *other > version) {
            return Err(Refusal::new(Reason::StaleVersion).field("file").into());
        }
        keep(unit, own.province(), &row, today)?;
        Ok::<_, AppError>(row)
    });
    done.await.map_err(AppError::from)
}

/// What a file proves, as it is kept.
fn row(
    file: &[u8],
    chains: &dyn ChainVerifier,
    own: AreaCode,
    now: UnixMillis,
) -> Result<AgreementRow, AppError> {
    let refuse = |reason| AppError::from(Refusal::new(reason).field("file"));
    let file = AgreementFile::parse(file).map_err(|_| refuse(Reason::Malformed))?;
    let proven = file.verify(chains).map_err(|fault| {
        AppError::from(Refusal::new(Reason::SignatureInvalid).field("file").detail(chain(&fault)))
    })?;
    let written = parse_canonical(&proven.terms).ok_or_else(|| refuse(Reason::Malformed))?;
    let Written { id, version, between: (proposer, other), terms } = written;
    if let Some((reason, field)) = terms.faults().into_iter().next() {
        return Err(Refusal::new(reason).field(format!("file.{field}")).into());
    }
    let here = own.province();
    let between = [proposer, other];
    let provinces = between.iter().all(|area| *area == area.province());
    if own == here || !between.contains(&here) || !provinces || proposer == other {
        return Err(refuse(Reason::NotOwner));
    }
    let [proposed, decided, rest @ ..] = file.words() else {
        return Err(refuse(Reason::StateForbids));
    };
    let state = match proven.standing {
        Standing::Agreed => AgreementState::Agreed { at: now },
        Standing::Ended(on) => {
            let by = rest.first().map_or(other, |word| word.by);
            AgreementState::Ended { by, on }
        }
        Standing::Proposed | Standing::Declined => return Err(refuse(Reason::StateForbids)),
    };
    let signed = |word: &SaidWord| word.signed().ok_or_else(|| refuse(Reason::Malformed));
    let contact = decided.word.strip_prefix("accepted ").and_then(text_of_hex);
    let decision = DecisionRow {
        message: BY_FILE,
        at: UnixMillis::new(decided.at_ms),
        reason: None,
        contact: contact.and_then(|text| Note::new(&text).ok()),
        signature: signed(decided)?,
    };
    let ending = match rest.first() {
        Some(word) => Some(EndingRow {
            message: BY_FILE,
            at: UnixMillis::new(word.at_ms),
            reason: WrittenReason::new(ENDED_THERE)
                .map_err(|_| AppError::Internal("a fixed text is none"))?,
            signature: signed(word)?,
        }),
        None => None,
    };
    let agreement = Agreement { id, version, proposer, other, terms, state };
    Ok(AgreementRow {
        agreement,
        proposal: BY_FILE,
        proposed: UnixMillis::new(proposed.at_ms),
        signature: signed(proposed)?,
        decision: Some(decision),
        ending,
    })
}
