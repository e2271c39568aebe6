//! What indicators count, as it lies in the store: walked once, page by page.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, ControlFlow};

use domain::area::AreaCode;
use domain::case::{Pairing, Seat};
use domain::certificate::CheckResult;
use domain::draw::Frame;
use domain::id::{MessageId, PersonId, RegistrationId, RequestId};
use domain::indicator::{ApplicationFact, MessageFact};
use domain::message::{Body, Kind};
use domain::service::Service;
use domain::time::{Date, UnixMillis};
use store::cases::CaseRow;
use store::messages::{MessageKey, MessageRow, Side};
use store::reconcile::DifferenceState;
use store::records::{EndorsementRow, RegistrationRow};
use store::tables::{CASE, DIFFERENCE, DRAW, ENDORSEMENT, MESSAGE, REGISTRATION, SERVICE_REQUEST};
use store::{Kept, Store};

use crate::app::AppError;
use crate::app::cases::result;
use crate::app::messages::kept_content;
use crate::app::messages::track::last_word;

/// Rows that are read at one time.
const ROWS: usize = 500;

/// Messages that a reconciliation found different and that nobody has cured.
pub(super) type Differing = BTreeMap<[u8; 16], AreaCode>;

/// What re-checks found: by item its kind of message, none for registrations, and whether it was right.
pub(super) type Rechecked = BTreeMap<[u8; 16], (Option<Kind>, bool)>;

/// What is known of a message.
pub(super) fn message(
    store: &Store,
    key: MessageKey,
    row: &MessageRow,
    differs: bool,
) -> Result<MessageFact, AppError> {
    let side = Side::from_byte(key.1).unwrap_or(Side::Received);
    let stored = match side {
        Side::Received => Some(row.stored),
        Side::Sent => last_word(store, row, side)?
            .filter(|word| word.disposition.outcome.is_final())
            .map(|word| word.disposition.decided),
    };
    Ok(MessageFact {
        sent: side == Side::Sent,
        created: row.created,
        stored,
        opened: row.opened,
        answered: row.answered.map(|(_, at)| at),
        due: row.due,
        paired: paired(store, key, row)?,
        differs,
    })
}

/// A question about a birth registration, as far as the clock of asking goes.
pub(super) struct Asking {
    /// The office that asked.
    pub(super) by: AreaCode,
    /// When the papers were there.
    pub(super) papers_on: Date,
}

/// The clock of asking, where a message says when it began. What was asked again in the place of a question that did not
/// arrive was asked before.
pub(super) fn asking(
    own: AreaCode,
    key: MessageKey,
    row: &MessageRow,
) -> Result<Option<Asking>, AppError> {
    if row.kind() != Some(Kind::BirthRegistrationInquiry) {
        return Ok(None);
    }
    let content = kept_content(row)?.filter(|content| content.replaces.is_none());
    let Some(Body::BirthRegistrationInquiry(body)) = content.map(|content| content.body) else {
        return Ok(None);
    };
    let sent = Side::from_byte(key.1) == Some(Side::Sent);
    let by = if sent { own } else { row.peer }.county();
    Ok(body.papers_on.map(|papers_on| Asking { by, papers_on }))
}

/// What an office owes in a case, where no message of its own says by when: the answer to a question that was handed over,
/// or what became of a birth registration.
pub(super) struct Owed {
    /// The case.
    pub(super) id: [u8; 16],
    /// Kind of the question, or of what is to be told.
    pub(super) kind: Kind,
    /// The office that owes it.
    pub(super) by: AreaCode,
    /// What is known of it.
    pub(super) fact: MessageFact,
}

/// What is owed in the case of a message: of a question that was handed over, at the office that asked and at those that
/// have had it; of a birth registration, at the office that asks.
pub(super) fn owed(
    store: &Store,
    own: AreaCode,
    key: MessageKey,
    row: &MessageRow,
) -> Result<Vec<Owed>, AppError> {
    let kind = row.kind();
    let asks = kind.and_then(Kind::answered_by).is_some();
    let side = Side::from_byte(key.1);
    let brought = side == Some(Side::Received) && kind == Some(Kind::HandOver);
    let ours = side == Some(Side::Sent) && asks;
    let result = brought || (ours && kind == Some(Kind::BirthRegistrationInquiry));
    let moved = brought || (asks && row.due.is_none());
    if !result && !moved {
        return Ok(Vec::new());
    }
    let id = *row.case.as_bytes();
    let Some(case) = store.get(&CASE, &id)? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    if moved {
        all = handed(store, own, (side, row), &case)?;
    }
    if result && let Some(telling) = result::clock(store, &case, own)? {
        let fact = fact(own, (own, row.created), telling.told, Some(telling.due));
        all.push(Owed { id, kind: Kind::BirthRegistrationResult, by: own.county(), fact });
    }
    Ok(all)
}

/// The answers that offices owe, or have owed, in a case whose answering side was handed over. Whoever gave it away in time
/// owes none; whoever took it over has the whole clock from then on.
fn handed(
    store: &Store,
    own: AreaCode,
    (side, row): (Option<Side>, &MessageRow),
    case: &CaseRow,
) -> Result<Vec<Owed>, AppError> {
    let (id, view) = (*case.case.id().as_bytes(), case.case.view());
    let (Some(kind), Some(held)) = (view.kind, view.answering) else { return Ok(Vec::new()) };
    let brought = row.kind() == Some(Kind::HandOver);
    let sits = Seat::ALL.iter().any(|seat| view.sits(own, *seat));
    let left = side == Some(Side::Received) && !brought;
    if kind.answered_by().is_none() || (!sits && !left) {
        return Ok(Vec::new());
    }
    let owed = |by: AreaCode, answered, due| {
        let fact = fact(own, (by, row.created), answered, due);
        Owed { id, kind, by: by.county(), fact }
    };
    let late = view.moves.iter().filter(|moved| moved.due.is_some_and(|due| due <= moved.at));
    let late = late.filter(|moved| !left || moved.from.county() == own.county());
    let mut all: Vec<_> = late.map(|moved| owed(moved.from, None, moved.due)).collect();
    let counted_there = match brought {
        // Whoever has the question itself counts by that.
        true => [Side::Sent, Side::Received].iter().try_fold(false, |found, side| {
            Ok::<_, AppError>(found || store.get_personal(&MESSAGE, &(id, side.byte()))?.is_some())
        })?,
        false => left || held.area.county() == row.peer.county(),
    };
    if !counted_there {
        let at = |id: MessageId| {
            let step = case.case.steps().into_iter().find(|step| step.id == id).cloned();
            step.map(|step| step.created)
        };
        let due = view.counted.filter(|_| view.paused.is_none());
        all.push(owed(held.area, view.answer.and_then(at), due));
    }
    Ok(all)
}

fn fact(
    own: AreaCode,
    (by, created): (AreaCode, UnixMillis),
    answered: Option<UnixMillis>,
    due: Option<UnixMillis>,
) -> MessageFact {
    MessageFact {
        sent: by.county() != own.county(),
        created,
        stored: None,
        opened: None,
        answered,
        due,
        paired: None,
        differs: false,
    }
}

/// Whether one person was found for a question that came; nothing where nobody is to be looked for.
fn paired(store: &Store, key: MessageKey, row: &MessageRow) -> Result<Option<bool>, AppError> {
    let asks = |kind: &Kind| kind.answered_by().is_some() && kind.needs_person();
    if Side::from_byte(key.1) != Some(Side::Received) || row.kind().filter(asks).is_none() {
        return Ok(None);
    }
    let case = store.get(&CASE, &key.0)?;
    Ok(Some(case.and_then(|row| row.pairing) == Some(Pairing::One)))
}

/// The lowest id of a time.
fn lowest(at: UnixMillis) -> [u8; 16] {
    let [_, _, a, b, c, d, e, f] = at.get().to_be_bytes();
    [a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

type Go = Result<ControlFlow<()>, AppError>;
type OnMessage<'a> = dyn FnMut(MessageKey, PersonId, &MessageRow) -> Go + 'a;
type OnRegistration<'a> = dyn FnMut(RegistrationId, &RegistrationRow) -> Go + 'a;

/// Messages of a time, by the time in their ids, until `each` has enough; those of erased persons are gone.
///
/// # Errors
/// Rows that cannot be read, and what `each` says.
pub fn messages(
    store: &Store,
    (from, until): (UnixMillis, UnixMillis),
    each: &mut OnMessage<'_>,
) -> Result<(), AppError> {
    let mut lower = Bound::Included((lowest(from), 0));
    let upper = Bound::Excluded((lowest(until), 0));
    loop {
        let rows = store.scan_personal(&MESSAGE, (lower, upper), ROWS)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        lower = Bound::Excluded(*last);
        for (key, kept) in rows {
            if let Kept::Value { person, value } = kept
                && each(key, person, &value)?.is_break()
            {
                return Ok(());
            }
        }
    }
}

/// The same of registrations.
///
/// # Errors
/// Rows that cannot be read, and what `each` says.
pub fn registrations(
    store: &Store,
    (from, until): (UnixMillis, UnixMillis),
    each: &mut OnRegistration<'_>,
) -> Result<(), AppError> {
    let mut lower = Bound::Included(RegistrationId::from_bytes(lowest(from)));
    let upper = Bound::Excluded(RegistrationId::from_bytes(lowest(until)));
    loop {
        let rows = store.scan_personal(&REGISTRATION, (lower, upper), ROWS)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        lower = Bound::Excluded(*last);
        for (id, kept) in rows {
            if let Some(row) = kept.value()
                && each(id, &row)?.is_break()
            {
                return Ok(());
            }
        }
    }
}

/// When the certificate of each registration was first checked, in a time.
pub(super) fn checks(
    store: &Store,
    (from, until): (UnixMillis, UnixMillis),
) -> Result<HashMap<RegistrationId, UnixMillis>, AppError> {
    let id = |at| domain::id::EndorsementId::from_bytes(lowest(at));
    let (mut lower, upper) = (Bound::Included(id(from)), Bound::Excluded(id(until)));
    let mut checked = HashMap::new();
    loop {
        let rows = store.scan_personal(&ENDORSEMENT, (lower, upper), ROWS)?;
        let Some((last, _)) = rows.last() else { return Ok(checked) };
        lower = Bound::Excluded(*last);
        for (id, kept) in rows {
            let done = |row: &EndorsementRow| {
                !matches!(row.0.endorsement.result, CheckResult::NotChecked { .. })
            };
            if let Some(row) = kept.value().filter(done) {
                checked.entry(row.0.registration).or_insert_with(|| id.timestamp());
            }
        }
    }
}

/// Applications for a certificate of this county that were recorded in a time and not taken back.
pub(super) fn applications(
    store: &Store,
    own: AreaCode,
    (from, until): (UnixMillis, UnixMillis),
    each: &mut dyn FnMut(RequestId, ApplicationFact),
) -> Result<(), AppError> {
    let mut lower = Bound::Included(RequestId::from_bytes(lowest(from)));
    let upper = Bound::Excluded(RequestId::from_bytes(lowest(until)));
    loop {
        let rows = store.scan_personal(&SERVICE_REQUEST, (lower, upper), ROWS)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        lower = Bound::Excluded(*last);
        for (id, kept) in rows {
            let Some(row) = kept.value() else { continue };
            let (request, recipient) = (&row.0.request, row.0.recipient);
            let stands = request.withdrawal.is_none() && recipient == own;
            if request.service == Service::Certificate && stands {
                let applied = id.timestamp();
                let issued = issued(store, request.person, applied)?;
                each(id, ApplicationFact { applied, issued });
            }
        }
    }
}

/// When a person was first given a certificate, renewed or replaced, after a time.
fn issued(
    store: &Store,
    person: PersonId,
    after: UnixMillis,
) -> Result<Option<UnixMillis>, AppError> {
    let mut first = None;
    for certificate in store.certificates_of(person)? {
        for written in certificate.history().iter() {
            let gives = !matches!(written.value.event, domain::message::CertificateEvent::Revoked);
            let at = written.author.at;
            if gives && at >= after && first.is_none_or(|first| at < first) {
                first = Some(at);
            }
        }
    }
    Ok(first)
}

/// Messages between this county and another that a reconciliation of this node found different, with the other county.
/// Of several reconciliations the last counts.
pub(super) fn differing(store: &Store, own: AreaCode) -> Result<Differing, AppError> {
    let mut found = Differing::new();
    let mut lower = Bound::Unbounded;
    loop {
        let rows = store.scan(&DIFFERENCE, (lower, Bound::Unbounded), ROWS)?;
        let Some((last, _)) = rows.last() else { return Ok(found) };
        lower = Bound::Excluded(*last);
        for ((_, id), row) in rows {
            let pair = row.difference.pair().map(|(from, to)| (from.county(), to.county()));
            let other = match pair {
                Some((from, to)) if from == own => to,
                Some((from, to)) if to == own => from,
                Some(_) | None => continue,
            };
            match row.state {
                DifferenceState::Cured => found.remove(&id),
                DifferenceState::Open | DifferenceState::Lost | DifferenceState::Decided => {
                    found.insert(id, other)
                }
            };
        }
    }
}

/// What random re-checks have found: by kind of message and item, the last word of each.
pub(super) fn rechecked(store: &Store) -> Result<Rechecked, AppError> {
    let mut found = BTreeMap::new();
    let mut lower = Bound::Unbounded;
    loop {
        let rows = store.scan(&DRAW, (lower, Bound::Unbounded), ROWS)?;
        let Some((last, _)) = rows.last() else { break };
        lower = Bound::Excluded(*last);
        for (_, row) in rows {
            let kind = match Frame::from_number(row.frame) {
                Some(Frame::Registrations) | None => None,
                Some(Frame::Received | Frame::Sent) => Kind::from_number(row.kind),
            };
            for (id, word) in row.sample.iter().zip(&row.found) {
                let Some(word) = word else { continue };
                let last = found.entry(*id).or_insert((word.at, kind, word.right));
                if last.0 <= word.at {
                    *last = (word.at, kind, word.right);
                }
            }
        }
    }
    Ok(found.into_iter().map(|(id, (_, kind, right))| (id, (kind, right))).collect())
}

/// The time in an id.
pub(super) fn time_of(id: [u8; 16]) -> UnixMillis {
    MessageId::from_bytes(id).timestamp()
}
