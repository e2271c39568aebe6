//! Applications for a birth registration (生育服务登记) whose origins have not been asked yet. On record as the person's request for
//! that service, with the day on which the papers came: from then on this office has seven working days to ask.

use domain::access::Permission;
use domain::clock::Notice;
use domain::clock::table::{Duty, of_duty};
use domain::consent::ServiceRequest;
use domain::id::{PersonId, RequestId};
use domain::person::IdentityDocument;
use domain::reason::Reason;
use domain::service::Service;
use domain::time::{Date, UnixMillis};
use store::letters::NoticeKind;
use store::records::ReadRecords;
use store::tables::{SERVICE_REQUEST_OF_PERSON, TO_ASK};
use store::{Store, Unit};

use super::{AppError, Ctx, Refusal, notices};

/// How long before they are entered papers may have come, days.
const PAPERS_DAYS_MAX: i32 = 366;
/// Up to here what an office was told is a part of the time, in percent; above it is when it was told that it is late.
const PERCENT_MAX: u64 = 100;
/// Applications that are listed, told of, and looked through for one person.
const LISTED_MAX: usize = 500;

/// An application whose origins are to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToAsk {
    /// The request on record.
    pub request: RequestId,
    /// When the papers came.
    pub papers_on: Date,
    /// By when the origins have to be asked.
    pub due: UnixMillis,
}

/// By when the origins have to be asked of an application whose papers came on that day.
#[must_use]
pub fn due(papers_on: Date) -> UnixMillis {
    of_duty(Duty::AskOrigins).due(papers_on.begins()).at()
}

/// Whether papers can have come on that day.
///
/// # Errors
/// `DATE_IN_FUTURE`, and `INVALID_FIELD` for more than a year ago.
pub fn check(papers_on: Date, today: Date, field: &'static str) -> Result<(), AppError> {
    let reason = match () {
        () if papers_on > today => Reason::DateInFuture,
        () if papers_on < today.plus_days(-PAPERS_DAYS_MAX) => Reason::InvalidField,
        () => return Ok(()),
    };
    Err(Refusal::new(reason).field(field).into())
}

const fn key(request: &ServiceRequest) -> Option<RequestId> {
    match request.service {
        Service::BirthRegistration => Some(request.id),
        _ => None,
    }
}

/// Puts an application on the list, in the unit that records it. Other requests have no such clock.
///
/// # Errors
/// When the row cannot be written.
pub fn recorded(unit: &mut Unit<'_>, request: &ServiceRequest) -> Result<(), AppError> {
    match key(request) {
        Some(id) => Ok(unit.put(&TO_ASK, &(due(request.requested_on).get(), id), &0)?),
        None => Ok(()),
    }
}

/// Takes an application off the list: asked, or taken back.
pub fn settled(unit: &mut Unit<'_>, request: &ServiceRequest) {
    if let Some(id) = key(request) {
        unit.delete(&TO_ASK, &(due(request.requested_on).get(), id));
    }
}

/// An origin is asked about a person: what she has applied for is off the list, in the unit that asks.
///
/// # Errors
/// When rows cannot be read.
pub fn asked_about(unit: &mut Unit<'_>, person: PersonId) -> Result<(), AppError> {
    let ids = unit.scan_under(&SERVICE_REQUEST_OF_PERSON, &(person,), None, LISTED_MAX)?;
    for ((_, id), ()) in ids {
        if let Some(kept) = unit.service_request(id)? {
            settled(unit, &kept.request);
        }
    }
    Ok(())
}

/// The same, by what she has shown; nothing when she is not on record.
///
/// # Errors
/// When rows cannot be read.
pub fn asked_for(unit: &mut Unit<'_>, document: &IdentityDocument) -> Result<(), AppError> {
    match unit.find_subject(unit.document_hash(document))? {
        Some(subject) => asked_about(unit, subject.person()),
        None => Ok(()),
    }
}

/// When the papers of an application came that is on the list for one of these persons; of several days the last, when
/// all of it was here.
///
/// # Errors
/// When rows cannot be read.
pub fn papers_of<'a>(
    store: &Store,
    documents: impl Iterator<Item = &'a IdentityDocument>,
) -> Result<Option<Date>, AppError> {
    let mut last = None;
    for document in documents {
        let Some(subject) = store.find_subject(store.document_hash(document))? else { continue };
        for kept in store.service_requests_of(subject.person())? {
            let (request, day) = (&kept.request, kept.request.requested_on);
            let Some(id) = key(request) else { continue };
            if store.get(&TO_ASK, &(due(day).get(), id))?.is_some() {
                last = last.max(Some(day));
            }
        }
    }
    Ok(last)
}

/// Applications whose origins are to be asked, the most urgent first, at most [`LISTED_MAX`]. Names nobody.
///
/// # Errors
/// `ROLE_REQUIRED`; when rows cannot be read.
pub fn list(ctx: &Ctx, store: &Store) -> Result<Vec<ToAsk>, AppError> {
    ctx.must(Permission::FollowDelivery)?;
    waiting(store)
}

/// The same, for the counts.
///
/// # Errors
/// When rows cannot be read.
pub(crate) fn waiting(store: &Store) -> Result<Vec<ToAsk>, AppError> {
    let mut all = Vec::new();
    for ((_, id), _) in store.scan(&TO_ASK, .., LISTED_MAX)? {
        // That of a person who was erased goes at the next look.
        let Some(kept) = store.service_request(id)? else { continue };
        let papers_on = kept.request.requested_on;
        all.push(ToAsk { request: id, papers_on, due: due(papers_on) });
    }
    Ok(all)
}

/// Looks for applications whose origins were not asked in time. Each is told of once; the notice names this office and
/// nobody else. Says how many were told of.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn look(store: &Store, now: UnixMillis) -> Result<usize, AppError> {
    let until = (now.get(), RequestId::from_bytes([0xFF; 16]));
    let late = store.scan(&TO_ASK, ..=until, LISTED_MAX)?;
    let untold: Vec<_> = late.into_iter().filter(|(_, told)| *told <= PERCENT_MAX).collect();
    if untold.is_empty() {
        return Ok(0);
    }
    let told = store.commit(move |unit| {
        let mut told = 0;
        for (key, _) in untold {
            if unit.get(&TO_ASK, &key)?.is_none_or(|told| told > PERCENT_MAX) {
                continue;
            }
            if unit.service_request(key.1)?.is_none() {
                // She was erased.
                unit.delete(&TO_ASK, &key);
                continue;
            }
            unit.put(&TO_ASK, &key, &now.get())?;
            told += 1;
        }
        if told > 0 {
            notices::raise(unit, now, NoticeKind::OriginsToAsk, &[])?;
        }
        Ok::<_, AppError>(told)
    });
    told.await.map_err(AppError::from)
}

/// Looks for applications of which half or four fifths of the time to ask the origins has run. Each is told of once for
/// each; the notice names this office and nobody else. Says how many were told of.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn look_ahead(store: &Store, now: UnixMillis) -> Result<usize, AppError> {
    let mut untold = Vec::new();
    for page in store.pages(&TO_ASK, (now.get(), RequestId::from_bytes([0xFF; 16])).., LISTED_MAX) {
        for (key, told) in page? {
            let Some(kept) = store.service_request(key.1)? else { continue };
            let (start, end) = (kept.request.requested_on.begins(), UnixMillis::new(key.0));
            let reached = Notice::reached_between(start, end, now).map(Notice::percent);
            untold.extend(reached.filter(|it| u64::from(*it) > told).map(|it| (key, told, it)));
        }
    }
    if untold.is_empty() {
        return Ok(0);
    }
    let told = store.commit(move |unit| {
        let mut told = 0;
        for (key, before, percent) in untold {
            // It may have been asked meanwhile.
            if unit.get(&TO_ASK, &key)? == Some(before) {
                unit.put(&TO_ASK, &key, &u64::from(percent))?;
                notices::raise(unit, now, NoticeKind::OriginsSoon { percent }, &[])?;
                told += 1;
            }
        }
        Ok::<_, AppError>(told)
    });
    told.await.map_err(AppError::from)
}
