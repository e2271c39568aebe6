//! What nodes say to each other to compare their ledgers and to cure what differs.

mod calls;
mod client;
mod left;
mod statement;

use domain::id::MessageId;
use domain::time::Date;
use exchange::reconcile::key::NONCE_BYTES;
use exchange::reconcile::key::Sum;
use exchange::reconcile::packed::SYMBOL_BYTES_MAX;
use exchange::reconcile::packed::SYMBOLS_AT_ONCE;
use exchange::reconcile::sample::Sample;
use exchange::reconcile::session::Answer;
use exchange::reconcile::session::Ask;
use exchange::reconcile::session::ENTRIES_AT_ONCE;
use exchange::reconcile::session::Follows;
use exchange::reconcile::session::INCOMPLETE_MAX;
use exchange::reconcile::session::ITEMS_AT_ONCE;
use exchange::reconcile::session::Incomplete;
use exchange::reconcile::session::Lacks;
use exchange::reconcile::set::Scope;
use exchange::reconcile::told;

pub use calls::carried_out_from_pb;
pub use calls::carried_out_to_pb;
pub use calls::former_from_pb;
pub use calls::former_to_pb;
pub use calls::handed_back_from_pb;
pub use calls::handed_back_to_pb;
pub use calls::months_from_pb;
pub use calls::months_to_pb;
pub use calls::recall_from_pb;
pub use calls::recall_to_pb;
pub use calls::receipt_again_from_pb;
pub use calls::receipt_again_to_pb;
pub use calls::report_from_pb;
pub use calls::report_to_pb;
pub use client::Answers;
pub use client::ReconcileClient;
pub use left::collected_from_pb;
pub use left::collected_to_pb;
pub use left::decode_left;
pub use left::encode_left;
pub use left::left_from_pb;
pub use left::left_to_pb;
pub use left::version_from_pb;
pub use left::version_to_pb;
pub use statement::SIGNED_STATEMENT_BYTES_MAX;
pub use statement::STATEMENT_BYTES_MAX;
pub use statement::agreed_from_pb;
pub use statement::agreed_to_pb;
pub use statement::decode_signed_statement;
pub use statement::decode_statement;
pub use statement::encode_signed_statement;
pub use statement::encode_statement;

use crate::fields::array;
use crate::fields::at_most;
use crate::fields::node_area;
use crate::fields::time;
use crate::malformed::Malformed;
use crate::pb::exchange as pb;

/// Most bytes of one message of these calls; of them a signed statement is the largest.
pub const RECONCILE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What an asker says, as a generated type.
#[must_use]
pub fn ask_to_pb(ask: Ask) -> pb::CompareRequest {
    use pb::compare_request::Ask as Said;
    let said = match ask {
        Ask::Open { scope, nonce, sample, incomplete } => Said::Open(pb::CompareOpen {
            scope: Some(scope_to_pb(&scope)),
            nonce: nonce.to_vec(),
            hint: Some(sum_to_pb(sample.hint)),
            sketch: sample.sketch.to_vec(),
            incomplete: incomplete_to_pb(&incomplete),
        }),
        Ask::More { through } => Said::MoreThrough(through),
        Ask::List => Said::List(pb::CompareList {}),
        Ask::NextPage => Said::NextPage(pb::CompareNextPage {}),
        Ask::Enough { wanted } => {
            Said::Enough(wanted.iter().flat_map(|id| *id.as_bytes()).collect())
        }
        Ask::Found { differences, before, last } => Said::Found(pb::CompareFound {
            before,
            differences: told::pack_differences(&differences),
            last,
        }),
    };
    pb::CompareRequest { ask: Some(said) }
}

/// What an asker says, from its generated type.
///
/// # Errors
/// [`Malformed`].
pub fn ask_from_pb(request: pb::CompareRequest) -> Result<Ask, Malformed> {
    use pb::compare_request::Ask as Said;
    let said = request.ask.ok_or(Malformed::Missing { field: "compare.ask" })?;
    Ok(match said {
        Said::Open(open) => {
            let pb::CompareOpen { scope, nonce, hint, incomplete, sketch } = open;
            let sketch = array("compare.open.sketch", &sketch)?;
            at_most("compare.open.incomplete", incomplete.len(), INCOMPLETE_MAX)?;
            Ask::Open {
                scope: scope_from_pb(scope)?,
                nonce: nonce_of(&nonce)?,
                sample: Box::new(Sample { hint: sum_from_pb(hint)?, sketch }),
                incomplete: incomplete_from_pb(incomplete)?,
            }
        }
        Said::MoreThrough(through) => Ask::More { through },
        Said::List(_) => Ask::List,
        Said::NextPage(_) => Ask::NextPage,
        Said::Enough(ids) => Ask::Enough { wanted: ids_from("compare.enough", &ids)? },
        Said::Found(found) => {
            let differences = differences_from(&found.differences)?;
            Ask::Found { differences, before: found.before, last: found.last }
        }
    })
}

/// What an answerer says, as a generated type.
#[must_use]
pub fn answer_to_pb(answer: Answer) -> pb::CompareResponse {
    use pb::compare_response::Answer as Said;
    let said = match answer {
        Answer::Opened { nonce, sum, follows, lacks } => {
            let (follows, symbols) = match follows {
                Follows::Nothing => (pb::CompareFollows::Nothing, 0),
                Follows::Symbols(symbols) => (pb::CompareFollows::Symbols, symbols),
                Follows::List => (pb::CompareFollows::List, 0),
            };
            Said::Opened(pb::CompareOpened {
                nonce: nonce.to_vec(),
                sum: Some(sum_to_pb(sum)),
                follows: follows.into(),
                symbols,
                incomplete: incomplete_to_pb(&lacks.incomplete),
                silent: lacks.silent.iter().map(ToString::to_string).collect(),
            })
        }
        Answer::Symbols { packed } => Said::Symbols(packed),
        Answer::Items { packed, last } => Said::Items(pb::CompareItems { items: packed, last }),
        Answer::Entries { told } => Said::Entries(told::pack_told(&told)),
        Answer::Working => Said::Working(pb::CompareWorking {}),
        Answer::Taken { lost } => Said::Taken(pb::CompareTaken {
            lost: lost.iter().flat_map(|id| *id.as_bytes()).collect(),
        }),
    };
    pb::CompareResponse { answer: Some(said) }
}

/// What an answerer says, from its generated type.
///
/// # Errors
/// [`Malformed`].
pub fn answer_from_pb(response: pb::CompareResponse) -> Result<Answer, Malformed> {
    use pb::compare_response::Answer as Said;
    let said = response.answer.ok_or(Malformed::Missing { field: "compare.answer" })?;
    Ok(match said {
        Said::Opened(opened) => {
            let field = "compare.opened.follows";
            let follows = match pb::CompareFollows::try_from(opened.follows) {
                Ok(pb::CompareFollows::Nothing) => Follows::Nothing,
                Ok(pb::CompareFollows::Symbols) => Follows::Symbols(opened.symbols),
                Ok(pb::CompareFollows::List) => Follows::List,
                Ok(pb::CompareFollows::Unspecified) | Err(_) => {
                    let number = i64::from(opened.follows);
                    return Err(Malformed::Unknown { field, number });
                }
            };
            at_most("compare.opened.silent", opened.silent.len(), INCOMPLETE_MAX)?;
            let field = "compare.opened.incomplete";
            at_most(field, opened.incomplete.len(), INCOMPLETE_MAX)?;
            let silent = opened.silent.iter();
            let silent: Result<Vec<_>, _> =
                silent.map(|area| node_area("compare.opened.silent", area.as_bytes())).collect();
            Answer::Opened {
                nonce: nonce_of(&opened.nonce)?,
                sum: sum_from_pb(opened.sum)?,
                follows,
                lacks: Lacks {
                    incomplete: incomplete_from_pb(opened.incomplete)?,
                    silent: silent?,
                },
            }
        }
        Said::Symbols(packed) => {
            let most = usize::try_from(SYMBOLS_AT_ONCE).unwrap_or_default() * SYMBOL_BYTES_MAX;
            at_most("compare.symbols", packed.len(), most)?;
            Answer::Symbols { packed }
        }
        Said::Items(items) => {
            let most = ITEMS_AT_ONCE * exchange::reconcile::ITEM_BYTES;
            at_most("compare.items", items.items.len(), most)?;
            Answer::Items { packed: items.items, last: items.last }
        }
        Said::Entries(bytes) => {
            let field = "compare.entries";
            let told = told::unpack_told(&bytes, ENTRIES_AT_ONCE);
            Answer::Entries { told: told.map_err(|_| Malformed::Range { field })? }
        }
        Said::Working(_) => Answer::Working,
        Said::Taken(taken) => Answer::Taken { lost: ids_from("compare.taken.lost", &taken.lost)? },
    })
}

/// Differences, packed.
///
/// # Errors
/// [`Malformed`].
pub(crate) fn differences_from(
    bytes: &[u8],
) -> Result<Vec<exchange::reconcile::difference::Difference>, Malformed> {
    let field = "differences";
    told::unpack_differences(bytes, ENTRIES_AT_ONCE).map_err(|_| Malformed::Range { field })
}

pub(crate) fn ids_from(field: &'static str, bytes: &[u8]) -> Result<Vec<MessageId>, Malformed> {
    let (ids, rest) = bytes.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(Malformed::Range { field });
    }
    at_most(field, ids.len(), ENTRIES_AT_ONCE)?;
    Ok(ids.iter().map(|id| MessageId::from_bytes(*id)).collect())
}

pub(crate) fn scope_to_pb(scope: &Scope) -> pb::Scope {
    pb::Scope {
        asker: scope.asker.to_string(),
        answerer: scope.answerer.to_string(),
        first_day: scope.first.to_string(),
        last_day: scope.last.to_string(),
        until_ms: scope.until.get(),
    }
}

pub(crate) fn scope_from_pb(scope: Option<pb::Scope>) -> Result<Scope, Malformed> {
    let scope = scope.ok_or(Malformed::Missing { field: "scope" })?;
    Ok(Scope {
        asker: node_area("scope.asker", scope.asker.as_bytes())?,
        answerer: node_area("scope.answerer", scope.answerer.as_bytes())?,
        first: day("scope.first_day", &scope.first_day)?,
        last: day("scope.last_day", &scope.last_day)?,
        until: time("scope.until_ms", scope.until_ms)?,
    })
}

fn day(field: &'static str, text: &str) -> Result<Date, Malformed> {
    text.parse().map_err(|_| Malformed::Text { field })
}

fn nonce_of(bytes: &[u8]) -> Result<[u8; NONCE_BYTES], Malformed> {
    array("compare.nonce", bytes)
}

fn sum_to_pb(sum: Sum) -> pb::SetSum {
    pb::SetSum { count: sum.count, digest: sum.digest.to_be_bytes().to_vec() }
}

fn sum_from_pb(sum: Option<pb::SetSum>) -> Result<Sum, Malformed> {
    let sum = sum.ok_or(Malformed::Missing { field: "compare.sum" })?;
    let digest = array("compare.sum.digest", &sum.digest)?;
    Ok(Sum { count: sum.count, digest: u128::from_be_bytes(digest) })
}

fn incomplete_to_pb(incomplete: &[Incomplete]) -> Vec<pb::Incomplete> {
    let each = incomplete.iter();
    let to_pb = |(area, since): &Incomplete| {
        let (area, since_day) = (area.to_string(), since.to_string());
        pb::Incomplete { area, since_day }
    };
    each.map(to_pb).collect()
}

fn incomplete_from_pb(incomplete: Vec<pb::Incomplete>) -> Result<Vec<Incomplete>, Malformed> {
    let each = incomplete.into_iter().map(|pb::Incomplete { area, since_day }| {
        let area = node_area("incomplete.area", area.as_bytes())?;
        Ok((area, day("incomplete.since_day", &since_day)?))
    });
    each.collect()
}
