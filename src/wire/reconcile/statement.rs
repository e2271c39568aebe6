//! Statements: serialised once, signed, and kept as they are.

use domain::id::MessageId;
use exchange::digest::Digest;
use exchange::reconcile::EntryState;
use exchange::reconcile::calls::Agreed;
use exchange::reconcile::calls::Signature;
use exchange::reconcile::calls::SignedStatement;
use exchange::reconcile::difference::DifferenceName;
use exchange::reconcile::session::INCOMPLETE_MAX;
use exchange::reconcile::statement::CORRECTIONS_MAX;
use exchange::reconcile::statement::Correction;
use exchange::reconcile::statement::LEFT_MAX;
use exchange::reconcile::statement::LEFT_MORE_MAX;
use exchange::reconcile::statement::LeftKind;
use exchange::reconcile::statement::LeftMore;
use exchange::reconcile::statement::LeftRest;
use exchange::reconcile::statement::PAIRS_MAX;
use exchange::reconcile::statement::PairHeld;
use exchange::reconcile::statement::Statement;
use exchange::reconcile::statement::Words;
use exchange::reconcile::told;
use exchange::reconcile::totals::Counts;
use exchange::reconcile::totals::Digests;
use exchange::reconcile::totals::Pair;
use exchange::reconcile::totals::Totals;
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

/// Bytes of a statement at most: of as many pairs as it may have, each with a digest or with what is left of it, some six
/// million.
pub const STATEMENT_BYTES_MAX: usize = 7 * 1024 * 1024;
/// Bytes of a statement with both signatures and their chains at most.
pub const SIGNED_STATEMENT_BYTES_MAX: usize = STATEMENT_BYTES_MAX + 256 * 1024;

/// Serialises a statement; these bytes are what is signed.
#[must_use]
pub fn encode_statement(statement: &Statement) -> Vec<u8> {
    let totals = statement.totals.0.iter().map(|((from, to), counts)| pb::PairTotal {
        from: from.to_string(),
        to: to.to_string(),
        counts: Some(counts_to_pb(counts)),
        entries_sha256: digest_to_pb(statement.digests.0.get(&(*from, *to))),
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
        left_more: statement.left_more.iter().map(left_more_to_pb).collect(),
        lost: statement.lost.iter().map(|id| id.as_bytes().to_vec()).collect(),
        left_rest: statement.left_rest.pairs.iter().map(left_rest_to_pb).collect(),
        left_rest_count: statement.left_rest.count,
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
    at_most("statement.left_more", statement.left_more.len(), LEFT_MORE_MAX)?;
    at_most("statement.left_rest", statement.left_rest.len(), PAIRS_MAX)?;
    at_most("statement.lost", statement.lost.len(), LEFT_MAX)?;
    // Of both sides.
    at_most("statement.incomplete", statement.incomplete.len(), 2 * INCOMPLETE_MAX)?;
    let (mut totals, mut digests) = (Totals::default(), Digests::default());
    for total in statement.totals {
        let pair = pair(&total.from, &total.to)?;
        if totals.0.last_key_value().is_some_and(|(last, _)| *last >= pair) {
            return Err(Malformed::Range { field: "statement.totals" });
        }
        totals.0.insert(pair, counts_from_pb(total.counts)?);
        let digest = digest_from_pb("statement.totals.entries_sha256", &total.entries_sha256)?;
        digests.0.extend(digest.map(|digest| (pair, digest)));
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
    let lost = statement.lost.iter().map(|id| array("statement.lost", id));
    let lost = lost.map(|id| id.map(MessageId::from_bytes)).collect::<Result<_, _>>()?;
    let left_more = statement.left_more.iter().map(left_more_from_pb);
    let rest = statement.left_rest.into_iter().map(left_rest_from_pb);
    let left_rest = LeftRest {
        count: statement.left_rest_count,
        pairs: rest.collect::<Result<_, Malformed>>()?,
    };
    Ok(Statement {
        id: array("statement.id", &statement.id)?,
        scope: scope_from_pb(statement.scope)?,
        made: time("statement.made_ms", statement.made_ms)?,
        totals,
        digests,
        found,
        cured,
        left: left.map_err(|_| Malformed::Range { field: "statement.left" })?,
        left_more: left_more.collect::<Result<_, Malformed>>()?,
        left_rest,
        lost,
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

fn left_more_to_pb(more: &LeftMore) -> pb::LeftMore {
    let LeftKind { pair: (from, to), name, sender, recipient } = more.what;
    let state = |state: Option<EntryState>| state.map_or(0, |state| u32::from(state.byte()));
    pb::LeftMore {
        from: from.to_string(),
        to: to.to_string(),
        name: name.name().to_owned(),
        sender_state: state(sender),
        recipient_state: state(recipient),
        count: more.count,
    }
}

fn left_more_from_pb(more: &pb::LeftMore) -> Result<LeftMore, Malformed> {
    let wrong = || Malformed::Range { field: "statement.left_more" };
    let state = |number: u32| match u8::try_from(number) {
        Ok(0) => Ok(None),
        Ok(byte) => EntryState::from_byte(byte).map(Some).ok_or_else(wrong),
        Err(_) => Err(wrong()),
    };
    let name = DifferenceName::ALL.into_iter().find(|name| name.name() == more.name);
    let what = LeftKind {
        pair: pair(&more.from, &more.to)?,
        name: name.ok_or_else(wrong)?,
        sender: state(more.sender_state)?,
        recipient: state(more.recipient_state)?,
    };
    Ok(LeftMore { what, count: more.count })
}

fn left_rest_to_pb(((from, to), words): (&Pair, &Words)) -> pb::LeftRest {
    pb::LeftRest {
        from: from.to_string(),
        to: to.to_string(),
        asker: Some(counts_to_pb(&words.asker)),
        answerer: Some(counts_to_pb(&words.answerer)),
    }
}

fn left_rest_from_pb(rest: pb::LeftRest) -> Result<(Pair, Words), Malformed> {
    let (asker, answerer) = (counts_from_pb(rest.asker)?, counts_from_pb(rest.answerer)?);
    Ok((pair(&rest.from, &rest.to)?, Words { asker, answerer }))
}

fn digest_to_pb(digest: Option<&Digest>) -> Vec<u8> {
    digest.map(|digest| digest.as_bytes().to_vec()).unwrap_or_default()
}

/// Nothing stands for none.
fn digest_from_pb(field: &'static str, bytes: &[u8]) -> Result<Option<Digest>, Malformed> {
    let digest = (!bytes.is_empty()).then(|| array(field, bytes)).transpose()?;
    Ok(digest.map(Digest::new))
}

fn correction_to_pb(correction: &Correction) -> pb::StatementCorrection {
    let Correction { statement, pair: (from, to), before, now } = correction;
    pb::StatementCorrection {
        statement: statement.as_bytes().to_vec(),
        from: from.to_string(),
        to: to.to_string(),
        before: Some(counts_to_pb(&before.counts)),
        now: Some(counts_to_pb(&now.counts)),
        before_sha256: digest_to_pb(before.digest.as_ref()),
        now_sha256: digest_to_pb(now.digest.as_ref()),
    }
}

fn correction_from_pb(correction: pb::StatementCorrection) -> Result<Correction, Malformed> {
    let statement = array("statement.corrections.statement", &correction.statement)?;
    let held = |counts, digest: &[u8]| {
        let digest = digest_from_pb("statement.corrections.sha256", digest)?;
        Ok::<_, Malformed>(PairHeld { counts: counts_from_pb(counts)?, digest })
    };
    Ok(Correction {
        statement: Digest::new(statement),
        pair: pair(&correction.from, &correction.to)?,
        before: held(correction.before, &correction.before_sha256)?,
        now: held(correction.now, &correction.now_sha256)?,
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

#[cfg(test)]
mod tests {
    use domain::area::AreaCode;
    use domain::time::UnixMillis;
    use exchange::reconcile::set::Scope;

    use super::*;

    #[test]
    fn what_is_left_and_not_named_and_what_is_lost_is_in_the_signed_bytes() {
        let area = |code: &str| code.parse::<AreaCode>().unwrap();
        let first: domain::time::Date = "2026-10-01".parse().unwrap();
        let what = LeftKind {
            pair: (area("410522"), area("440305")),
            name: DifferenceName::ReceiptMissing,
            sender: Some(EntryState::Waiting),
            recipient: Some(EntryState::Refused),
        };
        let nothing = LeftKind { name: DifferenceName::NotReported, recipient: None, ..what };
        let words = Words { asker: Counts { refused: 3, ..Counts::default() }, ..Words::default() };
        let held =
            |stored, digest| PairHeld { counts: Counts { stored, ..Counts::default() }, digest };
        let correction = Correction {
            statement: Digest::of(b"of before"),
            pair: what.pair,
            before: held(7, None),
            now: held(7, Some(Digest::of(b"now"))),
        };
        let statement = Statement {
            id: [1; 16],
            scope: Scope {
                asker: area("410000"),
                answerer: area("440000"),
                first,
                last: first,
                until: first.ends(),
            },
            made: UnixMillis::new(first.ends().get()),
            totals: Totals([(what.pair, Counts { stored: 5, ..Counts::default() })].into()),
            digests: Digests([(what.pair, Digest::of(b"entries"))].into()),
            found: [1, 2, 3, 4, 5, 6],
            cured: [0; 6],
            left: Vec::new(),
            left_more: vec![LeftMore { what, count: 7 }, LeftMore { what: nothing, count: 1 }],
            left_rest: LeftRest { count: 3, pairs: [(what.pair, words)].into() },
            lost: vec![MessageId::from_bytes([7; 16])],
            corrections: vec![correction],
            incomplete: Vec::new(),
        };
        let bytes = encode_statement(&statement);
        assert_eq!(decode_statement(&bytes).unwrap(), statement);
        let wrong = |change: fn(&mut pb::Statement)| {
            let mut read = pb::Statement::decode(bytes.as_slice()).unwrap();
            change(&mut read);
            decode_statement(&read.encode_to_vec()).is_err()
        };
        assert!(wrong(|it| it.left_more[0].sender_state = 4));
        assert!(wrong(|it| it.left_more[0].name = "NOTHING".to_owned()));
        assert!(wrong(|it| it.left_more[0].from = "41".to_owned()));
        assert!(wrong(|it| it.lost[0] = vec![7; 15]));
        assert!(wrong(|it| it.totals[0].entries_sha256 = vec![7; 31]));
        assert!(wrong(|it| it.corrections[0].now_sha256 = vec![7; 33]));
        assert!(wrong(|it| it.left_rest[0].asker = None));
    }
}
