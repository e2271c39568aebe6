//! Statements: serialised once, signed, and kept as they are.

use exchange::digest::Digest;
use exchange::reconcile::calls::Agreed;
use exchange::reconcile::calls::Signature;
use exchange::reconcile::calls::SignedStatement;
use exchange::reconcile::difference::DifferenceName;
use exchange::reconcile::session::INCOMPLETE_MAX;
use exchange::reconcile::statement::CORRECTIONS_MAX;
use exchange::reconcile::statement::Correction;
use exchange::reconcile::statement::Counts;
use exchange::reconcile::statement::LEFT_MAX;
use exchange::reconcile::statement::PAIRS_MAX;
use exchange::reconcile::statement::Pair;
use exchange::reconcile::statement::Statement;
use exchange::reconcile::statement::Totals;
use exchange::reconcile::told;
use prost::Message;

use super::incomplete_from_pb;
use super::incomplete_to_pb;
use super::scope_from_pb;
use super::scope_to_pb;
use crate::fields::array;
use crate::fields::at_most;
use crate::fields::check_chain;
use crate::fields::node_area;
use crate::fields::time;
use crate::malformed::Malformed;
use crate::pb::exchange as pb;

/// Bytes of a statement at most.
pub const STATEMENT_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Bytes of a statement with both signatures and their chains at most.
pub const SIGNED_STATEMENT_BYTES_MAX: usize = STATEMENT_BYTES_MAX + 256 * 1024;

/// Serialises a statement; these bytes are what is signed.
#[must_use]
pub fn encode_statement(statement: &Statement) -> Vec<u8> {
    let totals = statement.totals.0.iter().map(|((from, to), counts)| pb::PairTotal {
        from: from.to_string(),
        to: to.to_string(),
        counts: Some(counts_to_pb(counts)),
    });
    let each = statement.found.iter().zip(&statement.cured);
    let differences = DifferenceName::ALL.iter().zip(each).map(|(name, (found, cured))| {
        pb::NameCount { name: name.name().to_owned(), found: *found, cured: *cured }
    });
    let statement = pb::Statement {
        id: statement.id.to_vec(),
        scope: Some(scope_to_pb(&statement.scope)),
        made_ms: statement.made.get(),
        totals: totals.collect(),
        differences: differences.collect(),
        left: told::pack_differences(&statement.left),
        corrections: statement.corrections.iter().map(correction_to_pb).collect(),
        incomplete: incomplete_to_pb(&statement.incomplete),
    };
    statement.encode_to_vec()
}

/// Reads a statement.
///
/// # Errors
/// [`Malformed`].
pub fn decode_statement(bytes: &[u8]) -> Result<Statement, Malformed> {
    at_most("statement", bytes.len(), STATEMENT_BYTES_MAX)?;
    let statement = pb::Statement::decode(bytes)?;
    at_most("statement.totals", statement.totals.len(), PAIRS_MAX)?;
    at_most("statement.corrections", statement.corrections.len(), CORRECTIONS_MAX)?;
    // Of both sides.
    at_most("statement.incomplete", statement.incomplete.len(), 2 * INCOMPLETE_MAX)?;
    let mut totals = Totals::default();
    for total in statement.totals {
        totals.0.insert(pair(&total.from, &total.to)?, counts_from_pb(total.counts)?);
    }
    let (mut found, mut cured) = ([0; 6], [0; 6]);
    for (at, name) in DifferenceName::ALL.iter().enumerate() {
        let said = statement.differences.iter().find(|said| said.name == name.name());
        let slots = found.get_mut(at).zip(cured.get_mut(at));
        if let (Some(said), Some((found, cured))) = (said, slots) {
            (*found, *cured) = (said.found, said.cured);
        }
    }
    let left = told::unpack_differences(&statement.left, LEFT_MAX);
    let corrections = statement.corrections.into_iter().map(correction_from_pb);
    Ok(Statement {
        id: array("statement.id", &statement.id)?,
        scope: scope_from_pb(statement.scope)?,
        made: time("statement.made_ms", statement.made_ms)?,
        totals,
        found,
        cured,
        left: left.map_err(|_| Malformed::Range { field: "statement.left" })?,
        corrections: corrections.collect::<Result<_, Malformed>>()?,
        incomplete: incomplete_from_pb(statement.incomplete)?,
    })
}

/// A statement with both signatures, as a file.
#[must_use]
pub fn encode_signed_statement(signed: SignedStatement) -> Vec<u8> {
    signed_to_pb(signed).encode_to_vec()
}

/// Reads such a file; nothing in it is proven yet.
///
/// # Errors
/// [`Malformed`].
pub fn decode_signed_statement(bytes: &[u8]) -> Result<SignedStatement, Malformed> {
    at_most("signed_statement", bytes.len(), SIGNED_STATEMENT_BYTES_MAX)?;
    signed_from_pb(pb::SignedStatement::decode(bytes)?)
}

/// What an answerer says to a statement, as a generated type.
#[must_use]
pub fn agreed_to_pb(agreed: Agreed) -> pb::AgreeStatementResponse {
    let nothing = pb::AgreeStatementResponse::default();
    match agreed {
        Agreed::Signed(Signature { signature, chain }) => {
            pb::AgreeStatementResponse { agreed: true, signature, chain, ..nothing }
        }
        Agreed::Differs => nothing,
        Agreed::Corrects(corrections) => {
            let corrections = corrections.iter().map(correction_to_pb).collect();
            let corrections = Some(pb::StatementCorrections { corrections });
            pb::AgreeStatementResponse { corrections, ..nothing }
        }
        Agreed::Closed(signed) => {
            pb::AgreeStatementResponse { closed: Some(signed_to_pb(*signed)), ..nothing }
        }
    }
}

/// The same from its generated type. Nothing in it is proven yet.
///
/// # Errors
/// [`Malformed`].
pub fn agreed_from_pb(response: pb::AgreeStatementResponse) -> Result<Agreed, Malformed> {
    let pb::AgreeStatementResponse { agreed, signature, chain, closed, corrections } = response;
    if let Some(closed) = closed {
        return Ok(Agreed::Closed(Box::new(signed_from_pb(closed)?)));
    }
    if let Some(pb::StatementCorrections { corrections }) = corrections {
        at_most("agree_statement.corrections", corrections.len(), CORRECTIONS_MAX)?;
        let corrections = corrections.into_iter().map(correction_from_pb);
        return corrections.collect::<Result<_, _>>().map(Agreed::Corrects);
    }
    if !agreed {
        return Ok(Agreed::Differs);
    }
    check_chain("agree_statement.chain", &chain)?;
    Ok(Agreed::Signed(Signature { signature, chain }))
}

fn signed_to_pb(signed: SignedStatement) -> pb::SignedStatement {
    let SignedStatement { statement, asker, answerer } = signed;
    pb::SignedStatement {
        statement,
        asker_signature: asker.signature,
        asker_chain: asker.chain,
        answerer_signature: answerer.signature,
        answerer_chain: answerer.chain,
    }
}

fn signed_from_pb(signed: pb::SignedStatement) -> Result<SignedStatement, Malformed> {
    check_chain("signed_statement.asker_chain", &signed.asker_chain)?;
    check_chain("signed_statement.answerer_chain", &signed.answerer_chain)?;
    Ok(SignedStatement {
        statement: signed.statement,
        asker: Signature { signature: signed.asker_signature, chain: signed.asker_chain },
        answerer: Signature { signature: signed.answerer_signature, chain: signed.answerer_chain },
    })
}

fn pair(from: &str, to: &str) -> Result<Pair, Malformed> {
    let from = node_area("statement.from", from.as_bytes())?;
    Ok((from, node_area("statement.to", to.as_bytes())?))
}

fn correction_to_pb(correction: &Correction) -> pb::StatementCorrection {
    let Correction { statement, pair: (from, to), before, now } = correction;
    pb::StatementCorrection {
        statement: statement.as_bytes().to_vec(),
        from: from.to_string(),
        to: to.to_string(),
        before: Some(counts_to_pb(before)),
        now: Some(counts_to_pb(now)),
    }
}

fn correction_from_pb(correction: pb::StatementCorrection) -> Result<Correction, Malformed> {
    let statement = array("statement.corrections.statement", &correction.statement)?;
    Ok(Correction {
        statement: Digest::new(statement),
        pair: pair(&correction.from, &correction.to)?,
        before: counts_from_pb(correction.before)?,
        now: counts_from_pb(correction.now)?,
    })
}

const fn counts_to_pb(counts: &Counts) -> pb::StateCounts {
    let Counts { waiting, stored, refused } = *counts;
    pb::StateCounts { waiting, stored, refused }
}

fn counts_from_pb(counts: Option<pb::StateCounts>) -> Result<Counts, Malformed> {
    let pb::StateCounts { waiting, stored, refused } =
        counts.ok_or(Malformed::Missing { field: "statement.counts" })?;
    Ok(Counts { waiting, stored, refused })
}
