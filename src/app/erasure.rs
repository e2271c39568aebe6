//! Erasing a person: what is held of her here becomes noise when her key is destroyed, in this store and in every backup
//! once the next one is made. What has to come to its end first stands against it; what stays is told.
//!
//! Contents of messages are deleted before the key goes, so that the sealed bodies of their envelopes go too. Doing it
//! again goes on where it was interrupted.

use std::collections::BTreeSet;
use std::ops::Bound;

use domain::access::{AccessAction, Permission};
use domain::area::AreaCode;
use domain::case::{Seat, Stage};
use domain::consent::Ground;
use domain::erasure::{ErasureGround, ErasureHold, ErasureRest};
use domain::id::{MessageId, PersonId};
use domain::message::CertificateState;
use domain::message::screen::names as names_in;
use domain::person::{IdentityDocument, PersonName};
use domain::purpose::{LawfulBasis, Purpose};
use domain::reason::Reason;
use domain::registration::Stay;
use domain::text::WrittenReason;
use exchange::ledger::{Direction, LedgerEntry};
use store::access::person_key;
use store::erasures::ErasureRow;
use store::messages::{MessageKey, Side, message_key};
use store::records::ReadRecords as _;
use store::tables::{CASE, CONSENT_SPREAD, ERASURE, LEDGER, MESSAGE, RELEASE};
use store::{Kept, Store, Unit};
use wire::content::decode_content;

use super::access::{self, Act, Why};
use super::cases::opening;
use super::messages::delete;
use super::{AppError, Ctx, Refusal, letters};
use crate::time::random;

/// Messages that are looked at in one go.
const MESSAGES_AT_ONCE: usize = 500;
/// Messages whose content is deleted in one unit.
const DELETED_AT_ONCE: usize = 128;
/// Rows of one withdrawal, and releases of one person, that are looked at.
const ROWS_MAX: usize = 5_000;
/// How often it is begun again because a message about her came meanwhile.
const TIMES_MAX: usize = 5;
/// Erasing serves the person's right.
const ERASING: Why = Why { basis: LawfulBasis::StatutoryDuty, purpose: Purpose::PersonRights };

/// What is to be erased, and why.
#[derive(Clone, Debug)]
pub struct Demand {
    /// A document that leads to her.
    pub document: IdentityDocument,
    /// The lawful ground.
    pub ground: ErasureGround,
    /// Why, in words that are kept, and do not lead back to her.
    pub reason: WrittenReason,
}

/// What is held of a person, and what stands against erasing it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Records: herself, registrations, certificates, checks, consents and requests.
    pub records: u32,
    /// Messages about her, and in cases about her.
    pub messages: u32,
    /// Counties that they were exchanged with.
    pub counties: BTreeSet<AreaCode>,
    /// What has to come to its end first, with the id or number of the record.
    pub holds: Vec<(ErasureHold, String)>,
}

impl Held {
    /// What stays of it when she is erased.
    #[must_use]
    pub fn rests(&self) -> Vec<ErasureRest> {
        let exchanged = !self.counties.is_empty();
        let stays = |rest: &ErasureRest| match rest {
            ErasureRest::Transfers | ErasureRest::Counties => exchanged,
            ErasureRest::AccessLog | ErasureRest::Backups => true,
        };
        ErasureRest::ALL.iter().copied().filter(stays).collect()
    }
}

/// What was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// Id of the row that says so.
    pub id: [u8; 16],
    /// What had been held.
    pub held: Held,
}

/// What would be erased, and what stands against it. The look is in the access log before it returns. Reads every message
/// of the store.
///
/// # Errors
/// `ROLE_REQUIRED`; `NOT_FOUND` when she is not on record.
pub async fn preview(
    ctx: &Ctx,
    store: &Store,
    document: &IdentityDocument,
) -> Result<Held, AppError> {
    ctx.must(Permission::ServeRights)?;
    let key = person_key(store.document_hash(document));
    let found = match subject(store, document)? {
        Some(person) => Ok((person, gather(store, person).await?)),
        None => Err(unknown()),
    };
    let (person, found) = access::told(ctx, store, (ERASING, Some(key)), found).await?;
    let caller = ctx.clone();
    let looked = store.commit(move |unit| {
        access::note(&caller, unit, Act::on(AccessAction::Search, ERASING, key))?;
        held(unit, &caller, person, &found)
    });
    looked.await.map_err(AppError::from)
}

/// Erases a person. In the access log before it returns.
///
/// # Errors
/// `ROLE_REQUIRED`; `NOT_FOUND`; `NAMES_PERSON` when the reason would lead back to her; `ERASURE_HELD` with what has to
/// come to its end first; `BUSY` while messages about her keep coming.
pub async fn erase(ctx: &Ctx, store: &Store, demand: Demand) -> Result<Erased, AppError> {
    ctx.must(Permission::ServeRights)?;
    let key = person_key(store.document_hash(&demand.document));
    let done = erase_now(ctx, store, &demand).await;
    access::told(ctx, store, (ERASING, Some(key)), done).await
}

async fn erase_now(ctx: &Ctx, store: &Store, demand: &Demand) -> Result<Erased, AppError> {
    let person = subject(store, &demand.document)?.ok_or_else(unknown)?;
    for _ in 0..TIMES_MAX {
        let seen = store.ledger_head().size;
        let found = gather(store, person).await?;
        let (caller, all) = (ctx.clone(), found.clone());
        let reason = demand.reason.clone();
        let held = store.commit(move |unit| {
            forgets(unit, &reason, person, &all.names)?;
            free(unit, &caller, person, &all)
        });
        let held = held.await.map_err(AppError::from)?;
        for some in found.messages.chunks(DELETED_AT_ONCE) {
            let (some, own, now) = (some.to_vec(), ctx.county(), ctx.now);
            let deleted = store.commit(move |unit| {
                some.into_iter().try_for_each(|key| delete::content(unit, key, own, now).map(drop))
            });
            deleted.await.map_err(AppError::from)?;
        }
        if let Some(id) = destroy(ctx, store, demand, (person, seen), &held).await? {
            return Ok(Erased { id, held });
        }
    }
    Err(Reason::Busy.into())
}

/// Destroys her key, unless a message about her has come since the ledger had that size.
async fn destroy(
    ctx: &Ctx,
    store: &Store,
    demand: &Demand,
    (person, seen): (PersonId, u64),
    held: &Held,
) -> Result<Option<[u8; 16]>, AppError> {
    let id = *MessageId::new(ctx.now, random()).as_bytes();
    let row = ErasureRow {
        by: ctx.caller.operator.clone(),
        at: ctx.now,
        ground: demand.ground.number(),
        reason: demand.reason.clone(),
        records: held.records,
        messages: held.messages,
    };
    let (caller, document) = (ctx.clone(), demand.document.clone());
    let destroyed = store.commit(move |unit| {
        let fresh = since(unit, seen)?;
        for key in fresh {
            let kept = unit.get_personal(&MESSAGE, &key)?;
            if matches!(kept, Some(Kept::Value { person: whose, .. }) if whose == person) {
                return Ok(None);
            }
        }
        let none = Gathered::default();
        free(unit, &caller, person, &none)?;
        for (key, _) in unit.scan_under(&RELEASE, &(person,), None, ROWS_MAX)? {
            unit.delete(&RELEASE, &key);
        }
        let key = person_key(unit.document_hash(&document));
        unit.erase_subject(person)?;
        unit.put(&ERASURE, &id, &row)?;
        access::note(&caller, unit, Act::on(AccessAction::Erase, ERASING, key))?;
        Ok::<_, AppError>(Some(id))
    });
    destroyed.await.map_err(AppError::from)
}

/// Messages that were written since the ledger had that size.
fn since(unit: &Unit<'_>, seen: u64) -> Result<Vec<MessageKey>, AppError> {
    let mut fresh = Vec::new();
    for position in seen..unit.next_position(&LEDGER, &())? {
        let bytes = unit.read(&LEDGER, &(), position)?.unwrap_or_default();
        if let Some(entry) = LedgerEntry::from_canonical(&bytes) {
            let side = match entry.direction {
                Direction::Sent => Side::Sent,
                Direction::Received => Side::Received,
            };
            fresh.push(message_key(entry.message_id, side));
        }
    }
    Ok(fresh)
}

fn subject(store: &Store, document: &IdentityDocument) -> Result<Option<PersonId>, AppError> {
    let found = store.find_subject(store.document_hash(document))?;
    Ok(found.map(|subject| subject.person()))
}

fn unknown() -> AppError {
    Refusal::new(Reason::NotFound).field("document.number").into()
}

/// Messages about a person, with the cases they belong to.
#[derive(Clone, Debug, Default)]
struct Gathered {
    messages: Vec<MessageKey>,
    /// What she is called in them.
    names: BTreeSet<PersonName>,
    cases: BTreeSet<MessageId>,
    counties: BTreeSet<AreaCode>,
}

/// Looks through all messages, beside the threads that serve calls.
async fn gather(store: &Store, person: PersonId) -> Result<Gathered, AppError> {
    let store = store.clone();
    let looked = tokio::task::spawn_blocking(move || look_through(&store, person));
    looked.await.map_err(|_| AppError::Internal("looking through the messages has stopped"))?
}

fn look_through(store: &Store, person: PersonId) -> Result<Gathered, AppError> {
    let mut found = Gathered::default();
    let mut from = Bound::Unbounded;
    loop {
        let rows = store.scan_personal(&MESSAGE, (from, Bound::Unbounded), MESSAGES_AT_ONCE)?;
        let Some((last, _)) = rows.last() else { break };
        from = Bound::Excluded(*last);
        for (key, kept) in rows {
            if let Kept::Value { person: whose, value } = kept
                && whose == person
            {
                found.messages.push(key);
                found.cases.insert(value.case);
                found.counties.insert(value.peer);
                let said = decode_content(&value.content.0).ok().and_then(|said| said.person);
                found.names.extend(said.map(|her| her.name));
            }
        }
    }
    // What was said in her cases before it was kept under her key.
    let known: BTreeSet<MessageKey> = found.messages.iter().copied().collect();
    for case in &found.cases {
        let Some(row) = store.get(&CASE, case.as_bytes())? else { continue };
        for step in row.case.steps() {
            for side in [Side::Sent, Side::Received] {
                let key = message_key(step.id, side);
                if !known.contains(&key) && store.get_personal(&MESSAGE, &key)?.is_some() {
                    found.messages.push(key);
                }
            }
        }
    }
    Ok(found)
}

/// The reason stays when she is gone: nothing in it may lead back to her.
fn forgets(
    unit: &Unit<'_>,
    reason: &WrittenReason,
    person: PersonId,
    called: &BTreeSet<PersonName>,
) -> Result<(), AppError> {
    let record = unit.person(person)?;
    let details = record.iter().flat_map(|record| record.history().iter()).map(|it| &it.value);
    let names = details.flat_map(|her| {
        [Some(&her.name), her.spouse.as_ref().map(|spouse| &spouse.name)].into_iter().flatten()
    });
    let tells = names_in(reason.expose(&ERASING.purpose), names.chain(called));
    if tells { Err(Refusal::new(Reason::NamesPerson).field("reason").into()) } else { Ok(()) }
}

/// What is held, when nothing stands against erasing it.
fn free(unit: &Unit<'_>, ctx: &Ctx, person: PersonId, found: &Gathered) -> Result<Held, AppError> {
    let held = held(unit, ctx, person, found)?;
    if held.holds.is_empty() {
        return Ok(held);
    }
    let named = held.holds.iter().map(|(hold, id)| format!("{} {id}", hold.code()));
    let detail = named.collect::<Vec<_>>().join(", ");
    Err(Refusal::new(Reason::ErasureHeld).field("document.number").detail(detail).into())
}

fn held(unit: &Unit<'_>, ctx: &Ctx, person: PersonId, found: &Gathered) -> Result<Held, AppError> {
    let today = ctx.today();
    let mut holds = Vec::new();
    let registrations = unit.registrations_of(person)?;
    let present = registrations.iter().filter(|it| it.current().stay == Stay::Present);
    holds.extend(present.map(|it| (ErasureHold::Registered, it.id().to_string())));
    let certificates = unit.certificates_of(person)?;
    let valid = certificates.iter().filter(|it| it.state_on(today) == CertificateState::Valid);
    holds.extend(valid.map(|it| (ErasureHold::CertificateValid, it.number().to_string())));
    let consents = unit.consents_of(person)?;
    for consent in &consents {
        let stands = consent.withdrawn_at().is_none() && consent.terms().valid_until >= today;
        holds.extend(of_ground(unit, Ground::Consent(consent.id()), stands)?);
    }
    let requests = unit.service_requests_of(person)?;
    for kept in &requests {
        let stands = kept.request.reference().is_some_and(|request| request.holds_on(today));
        holds.extend(of_ground(unit, Ground::Request(kept.request.id), stands)?);
    }
    for case in &found.cases {
        if is_open(unit, ctx, *case)? {
            holds.push((ErasureHold::CaseOpen, case.to_string()));
        }
    }
    for (id, side) in &found.messages {
        let id = MessageId::from_bytes(*id);
        if Side::from_byte(*side) == Some(Side::Sent) && letters::is_waiting(unit, id)? {
            holds.push((ErasureHold::MailWaiting, id.to_string()));
        }
    }
    let herself = usize::from(unit.person(person)?.is_some());
    let parts = [registrations.len(), certificates.len(), consents.len(), requests.len()];
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Ok(Held {
        records: count(parts.into_iter().fold(herself, usize::saturating_add)),
        messages: count(found.messages.len()),
        counties: found.counties.clone(),
        holds,
    })
}

/// What stands against erasing in a consent or request of hers.
fn of_ground(
    unit: &Unit<'_>,
    ground: Ground,
    stands: bool,
) -> Result<Option<(ErasureHold, String)>, AppError> {
    let id = match ground {
        Ground::Consent(id) => id.to_string(),
        Ground::Request(id) => id.to_string(),
    };
    if stands {
        return Ok(Some((ErasureHold::ConsentStands, id)));
    }
    let told = unit.scan_under(&CONSENT_SPREAD, &(ground.bytes(),), None, ROWS_MAX)?;
    let open = told.iter().any(|(_, row)| row.done.is_none());
    Ok(open.then_some((ErasureHold::WithdrawalOpen, id)))
}

/// Whether somebody has to act in a case in which this office has a side.
fn is_open(unit: &Unit<'_>, ctx: &Ctx, case: MessageId) -> Result<bool, AppError> {
    let Some(row) = unit.get(&CASE, case.as_bytes())? else { return Ok(false) };
    let view = row.case.view();
    let acts = match view.stage {
        Stage::Offered | Stage::Asked | Stage::Clarifying | Stage::Rejected => true,
        Stage::Waiting | Stage::Told | Stage::Answered | Stage::Voided | Stage::Closed => false,
    };
    let ours = Seat::ALL.iter().any(|seat| view.sits(ctx.county(), *seat));
    Ok(acts && ours && !opening::is_deleted(unit, case)?)
}
