//! Persons at risk of harm: where they live is told to nobody outside, whatever a clerk types.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::access::{AccessAction, Permission};
use domain::area::AreaCode;
use domain::id::{CaseId, MessageId, PersonId};
use domain::message::whereabouts::{Stay, shows};
use domain::message::{Body, Content, Kind};
use domain::person::{IdentityDocument, PersonName};
use domain::purpose::{LawfulBasis, Purpose};
use domain::reason::Reason;
use domain::text::{Note, WrittenReason};
use domain::time::UnixMillis;
use exchange::lane::{LaneEpoch, LaneSeq};
use store::access::person_key;
use store::agreements::ReleaseRow;
use store::letters::NoticeKind;
use store::messages::{EnvelopeKey, Side, message_key, peer_area, peer_key};
use store::records::ReadRecords;
use store::tables::{ENVELOPE, LANE_EPOCH, LANE_OUT, MESSAGE, NAMED, RELEASE};
use store::{Kept, PersonHash, Store, Unit};
use wire::content::decode_content;
use wire::decode_header;

use super::access::{self, Act, Why};
use super::cases::opening;
use super::messages::envelope_of;
use super::{AppError, Ctx, Refusal, letters, notices};

/// How long a county may be told after a supervisor has allowed it.
const RELEASED_FOR: Duration = Duration::from_secs(7 * 86_400);
/// Lanes that are looked through for what waits.
const LANES_MAX: usize = 10_000;
/// Envelopes of one lane that are looked at for what waits about one person.
const WAITING_MAX: u64 = 100_000;
/// Why a message that waits is not sent any more, in the words of the list of dead letters.
const TAKEN_BACK: &str = "此人已标记有受害风险，居住地不再告知";

/// Letting a county be told is for her own good.
const RELEASING: Why = Why { basis: LawfulBasis::StatutoryDuty, purpose: Purpose::PersonRights };

/// Refuses a message that would tell where a person at risk lives or went, unless a supervisor has allowed that this
/// county is told. Asked inside the unit that sends, so that a flag set a moment before counts.
///
/// # Errors
/// `RESIDENCE_HIDDEN` at the field that tells it.
pub fn keep_hidden(
    unit: &Unit<'_>,
    content: &Content,
    (own, to): (AreaCode, AreaCode),
    now: UnixMillis,
) -> Result<(), AppError> {
    match told(unit, content, (own, to), now)? {
        Some(field) => Err(Refusal::new(Reason::ResidenceHidden).field(field).into()),
        None => Ok(()),
    }
}

/// The field by which a content tells a county where a person at risk is, when that is not released.
///
/// # Errors
/// When rows cannot be read.
pub fn told(
    unit: &Unit<'_>,
    content: &Content,
    (own, to): (AreaCode, AreaCode),
    now: UnixMillis,
) -> Result<Option<&'static str>, AppError> {
    if let Some(field) = brings_a_name(unit, content, to, now)? {
        return Ok(Some(field));
    }
    let Some(person) = at_risk(unit, content)? else { return Ok(None) };
    if is_released(unit, person, to, now)? {
        return Ok(None);
    }
    let registrations = unit.registrations_of(person)?;
    let versions = registrations.iter().flat_map(|registration| registration.history().iter());
    let addresses = versions.filter_map(|version| version.value.details.address.as_ref());
    let addresses: Vec<&str> =
        addresses.map(|address| address.expose(&Purpose::PersonRights)).collect();
    let registered = !registrations.is_empty();
    Ok(shows(content, &Stay { county: own.county(), registered, addresses: &addresses, to }))
}

/// Whether a county may be told for now where a person at risk is.
fn is_released(
    unit: &Unit<'_>,
    person: PersonId,
    to: AreaCode,
    now: UnixMillis,
) -> Result<bool, AppError> {
    let release = unit.get(&RELEASE, &(person, peer_key(to)))?;
    Ok(release.is_some_and(|release| now < release.until))
}

/// Whether a county must not be told that this person is here, also where a message is about somebody else.
///
/// # Errors
/// When rows cannot be read.
pub fn is_hidden_from(
    unit: &Unit<'_>,
    person: PersonHash,
    to: AreaCode,
    now: UnixMillis,
) -> Result<bool, AppError> {
    let Some(subject) = unit.find_subject(person)? else { return Ok(false) };
    let id = subject.person();
    let at_risk = unit.person(id)?.is_some_and(|person| person.details().at_risk);
    Ok(at_risk && !is_released(unit, id, to, now)?)
}

/// Refuses a question that names a spouse of whom it is not known by a document who she is, or who must not be known to
/// be here: whatever way it is sent. Asked inside the unit that sends.
///
/// # Errors
/// `SPOUSE_NOT_KNOWN` or `RESIDENCE_HIDDEN` at the name.
pub fn may_name(
    unit: &Unit<'_>,
    content: &Content,
    spouse: Option<PersonHash>,
    (to, now): (AreaCode, UnixMillis),
) -> Result<(), AppError> {
    if spouse_of(content).is_none() {
        return Ok(());
    }
    let reason = match spouse {
        None => Reason::SpouseNotKnown,
        Some(spouse) if is_hidden_from(unit, spouse, to, now)? => Reason::ResidenceHidden,
        Some(_) => return Ok(()),
    };
    Err(Refusal::new(reason).field("spouse_name").into())
}

/// Keeps whom a question names, for whenever it is sent, handed over or delivered once more.
///
/// # Errors
/// When the row cannot be written.
pub fn keep_named(
    unit: &mut Unit<'_>,
    id: MessageId,
    content: &Content,
    spouse: Option<PersonHash>,
) -> Result<(), AppError> {
    match spouse.filter(|_| spouse_of(content).is_some()) {
        Some(spouse) => Ok(unit.put(&NAMED, &(*id.as_bytes(), spouse), &())?),
        None => Ok(()),
    }
}

/// The spouse whom a question of ours names.
///
/// # Errors
/// When the row cannot be read.
pub fn named_in(unit: &Unit<'_>, id: MessageId) -> Result<Option<PersonHash>, AppError> {
    let named = unit.scan_under(&NAMED, &(*id.as_bytes(),), None, 1)?;
    Ok(named.first().map(|((_, spouse), ())| *spouse))
}

/// Whether a question of ours names somebody of whom this county must not be told that she is here.
///
/// # Errors
/// When rows cannot be read.
pub fn names_hidden(
    unit: &Unit<'_>,
    id: MessageId,
    to: AreaCode,
    now: UnixMillis,
) -> Result<bool, AppError> {
    match named_in(unit, id)? {
        Some(spouse) => is_hidden_from(unit, spouse, to, now),
        None => Ok(false),
    }
}

/// The field by which a hand-over, or the offer of one, brings a question that names somebody at risk.
fn brings_a_name(
    unit: &Unit<'_>,
    content: &Content,
    to: AreaCode,
    now: UnixMillis,
) -> Result<Option<&'static str>, AppError> {
    let (ids, field) = match (&content.body, content.case) {
        (Body::HandOver(body), _) => (body.documents.iter().map(|it| it.id).collect(), "documents"),
        (Body::HandOverOffer(_), Some(case)) => (vec![case.opening_message()], "hand_over"),
        _ => return Ok(None),
    };
    for id in ids {
        if names_hidden(unit, id, to, now)? {
            return Ok(Some(field));
        }
    }
    Ok(None)
}

/// Whether a message is about a person at risk: then its sender is not told either when it was opened here.
///
/// # Errors
/// When rows cannot be read.
pub fn is_about_one(unit: &Unit<'_>, content: &Content) -> Result<bool, AppError> {
    Ok(at_risk(unit, content)?.is_some())
}

/// The person at risk whom a content is about, or whom its case is about: whatever is said in her case is about her. A step
/// inside a case names nobody: whom it is about is known from what opened the case, also where a hand-over has brought
/// that.
fn at_risk(unit: &Unit<'_>, content: &Content) -> Result<Option<PersonId>, AppError> {
    let named = match &content.person {
        Some(reference) => of_document(unit, &reference.document)?,
        None => None,
    };
    let of_case = match content.case {
        Some(case) => of_case(unit, case)?,
        None => None,
    };
    for id in named.into_iter().chain(of_case) {
        if unit.person(id)?.is_some_and(|person| person.details().at_risk) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Whom a case is about.
fn of_case(unit: &Unit<'_>, case: CaseId) -> Result<Option<PersonId>, AppError> {
    if let Some(person) = person_of(unit, case.opening_message())? {
        return Ok(Some(person));
    }
    match opening::opening(unit, case)?.and_then(|first| first.person) {
        Some(reference) => of_document(unit, &reference.document),
        None => Ok(None),
    }
}

fn of_document(unit: &Unit<'_>, document: &IdentityDocument) -> Result<Option<PersonId>, AppError> {
    let subject = unit.find_subject(unit.document_hash(document))?;
    Ok(subject.map(|subject| subject.person()))
}

/// Whose message it is, whichever way it went.
fn person_of(unit: &Unit<'_>, message: MessageId) -> Result<Option<PersonId>, AppError> {
    for side in [Side::Received, Side::Sent] {
        let kept = unit.get_personal(&MESSAGE, &message_key(message, side))?;
        if let Some(Kept::Value { person, .. }) = kept {
            return Ok(Some(person));
        }
    }
    Ok(None)
}

/// How much of what waits is looked through when a person is marked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Lanes.
    pub lanes: usize,
    /// Envelopes of one lane.
    pub envelopes: u64,
}

/// What one unit looks through.
const BOUNDS: Bounds = Bounds { lanes: LANES_MAX, envelopes: WAITING_MAX };

/// Takes back what has not arrived yet and would tell where she is: in the unit that says that she is at risk. What a
/// relay has already is sealed and on its way; it cannot be called back.
///
/// # Errors
/// When rows cannot be read or written.
pub(super) fn hide_waiting(
    unit: &mut Unit<'_>,
    ctx: &Ctx,
    person: PersonId,
) -> Result<(), AppError> {
    hide_within(unit, ctx, person, BOUNDS)
}

/// The same within bounds; when they are met, the office is told that there is more.
pub(super) fn hide_within(
    unit: &mut Unit<'_>,
    ctx: &Ctx,
    person: PersonId,
    bounds: Bounds,
) -> Result<(), AppError> {
    let name = unit.person(person)?.map(|person| person.details().name.clone());
    let mut lanes = BTreeSet::new();
    let current = unit.scan(&LANE_EPOCH, .., bounds.lanes)?;
    // Also those of before, where something has stayed.
    let before = unit.scan(&LANE_OUT, .., bounds.lanes)?;
    let mut cut = current.len().max(before.len()) >= bounds.lanes;
    for (peer, epoch) in current {
        lanes.extend(peer_area(&peer).map(|peer| (peer, epoch)));
    }
    for (([side, peer @ ..], epoch), _) in before {
        let sent = Side::from_byte(side) == Some(Side::Sent);
        lanes.extend(peer_area(&peer).filter(|_| sent).map(|peer| (peer, epoch)));
    }
    let mut waiting = Vec::new();
    for (peer, epoch) in lanes {
        let lane = (peer, LaneEpoch::new(epoch));
        let (found, more) = waits(unit, lane, (person, name.as_ref()), bounds.envelopes)?;
        waiting.extend(found);
        cut |= more;
    }
    for Waiting { id, peer, content, names_her } in waiting {
        let tells = match names_her {
            true => !is_released(unit, person, peer, ctx.now)?,
            false => told(unit, &content, (ctx.county(), peer), ctx.now)?.is_some(),
        };
        if tells {
            let reason = Note::new(TAKEN_BACK);
            let reason = reason.map_err(|_| AppError::Internal("a fixed text is none"))?;
            letters::stop(unit, ctx, id, reason)?;
        }
    }
    if cut {
        notices::raise(unit, ctx.now, NoticeKind::HidingCutShort, &[])?;
    }
    Ok(())
}

/// A message that waits.
struct Waiting {
    id: MessageId,
    peer: AreaCode,
    content: Content,
    /// Whether it is about somebody else, and names her.
    names_her: bool,
}

/// Messages about a person in one lane, or that name her, that have no final answer; and whether there is more to look
/// at.
fn waits(
    unit: &Unit<'_>,
    (peer, epoch): (AreaCode, LaneEpoch),
    (person, name): (PersonId, Option<&PersonName>),
    most: u64,
) -> Result<(Vec<Waiting>, bool), AppError> {
    let key = EnvelopeKey::of(Side::Sent, peer, epoch).key();
    let lane = unit.get(&LANE_OUT, &key)?.map(|row| row.lane);
    let first = lane.as_ref().map_or(1, |lane| lane.settled_through().next().get());
    let end = unit.next_position(&ENVELOPE, &key)?;
    let until = end.min(first.saturating_add(most));
    let mut found = Vec::new();
    for position in first..until {
        let settled = |lane: &exchange::lane::LaneOut| lane.is_settled(LaneSeq::new(position));
        if lane.as_ref().is_some_and(settled) {
            continue;
        }
        let envelope = unit.read(&ENVELOPE, &key, position)?.and_then(envelope_of);
        let Some(header) = envelope.and_then(|e| decode_header(&e.header_bytes).ok()) else {
            continue;
        };
        let id = header.message_id;
        let kept = unit.get_personal(&MESSAGE, &message_key(id, Side::Sent))?;
        let Some(Kept::Value { value, person: whose }) = kept else { continue };
        // A question about one spouse names the other, and a hand-over may bring it.
        let may_name =
            matches!(value.kind(), Some(Kind::BirthRegistrationInquiry | Kind::HandOver));
        if (whose == person || may_name)
            && let Ok(content) = decode_content(&value.content.0)
        {
            let names_her = whose != person;
            if !names_her || names(unit, id, &content, (person, name))? {
                found.push(Waiting { id, peer, content, names_her });
            }
        }
    }
    Ok((found, until < end))
}

/// Whether a message of ours about somebody else names her: by what is kept of whom it names, or by the bare name in a
/// question of before that was kept.
fn names(
    unit: &Unit<'_>,
    id: MessageId,
    content: &Content,
    (person, name): (PersonId, Option<&PersonName>),
) -> Result<bool, AppError> {
    let questions = match &content.body {
        Body::HandOver(body) => body.documents.iter().map(|it| (it.id, &*it.content)).collect(),
        _ => vec![(id, content)],
    };
    for (id, question) in questions {
        let Some(spouse) = spouse_of(question) else { continue };
        let hers = match named_in(unit, id)? {
            Some(hash) => unit.find_subject(hash)?.is_some_and(|known| known.person() == person),
            None => Some(spouse) == name,
        };
        if hers {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The spouse whom a question about somebody names.
fn spouse_of(content: &Content) -> Option<&PersonName> {
    match &content.body {
        Body::BirthRegistrationInquiry(asked) => asked.spouse_name.as_ref(),
        _ => None,
    }
}

/// Allows that one county is told, for [`RELEASED_FOR`], where a person at risk lives: a supervisor, with a reason that is
/// kept. In the access log before it returns.
///
/// # Errors
/// `ROLE_REQUIRED`; `NOT_FOUND` when she is not on record or not at risk.
pub async fn release(
    caller: &Ctx,
    store: &Store,
    document: IdentityDocument,
    (to, reason): (AreaCode, WrittenReason),
) -> Result<ReleaseRow, AppError> {
    caller.must(Permission::DecideAgreements)?;
    let key = person_key(store.document_hash(&document));
    let ctx = caller.clone();
    let work = move |unit: &mut Unit<'_>| {
        let hash = unit.document_hash(&document);
        let unknown = || AppError::from(Refusal::new(Reason::NotFound).field("document.number"));
        let subject = unit.find_subject(hash)?.ok_or_else(unknown)?;
        let person = unit.person(subject.person())?.ok_or_else(unknown)?;
        if !person.details().at_risk {
            return Err(unknown());
        }
        let (by, at) = (ctx.caller.operator.clone(), ctx.now);
        let row = ReleaseRow { by, at, until: at.saturating_add(RELEASED_FOR), reason };
        unit.put(&RELEASE, &(subject.person(), peer_key(to)), &row)?;
        access::note(&ctx, unit, Act::on(AccessAction::Release, RELEASING, key))?;
        Ok(row)
    };
    let done = store.commit(work).await.map_err(AppError::from);
    access::told(caller, store, (RELEASING, Some(key)), done).await
}
