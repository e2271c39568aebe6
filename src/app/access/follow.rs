//! Following the work of an office: lists, tracks and cases show no person, and leave an entry in the access log all the
//! same, so that whoever asks who was interested in her matter finds an answer.
//!
//! A program that looks every second leaves one entry an hour and thing. It is no read of a record and not counted as one.

use domain::access::AccessAction;
use domain::consent::Ground;
use domain::id::{CaseId, MessageId};
use domain::purpose::{LawfulBasis, Purpose};
use domain::time::UnixMillis;
use exchange::digest::Digest;
use store::messages::{MessageRow, Side, message_key};
use store::oversight::operator_key;
use store::records::ReadRecords as _;
use store::tables::{FOLLOWED, MESSAGE};
use store::{Kept, Store};
use wire::content::decode_content;

use super::{Act, NOTING, Why};
use crate::app::cases::opening;
use crate::app::{AppError, Ctx};

/// One entry is written for so long, milliseconds.
const ENTRY_EVERY_MS: u64 = 3_600_000;
/// Rows that are looked at, and forgotten, in one go.
const ROWS_AT_ONCE: usize = 512;
/// The work between offices, which names nobody.
pub const OFFICE_WORK: Why =
    Why { basis: LawfulBasis::OfficeAgreement, purpose: Purpose::OfficeAgreement };

/// What somebody follows.
#[derive(Clone, Copy, Debug)]
pub enum Followed {
    /// Where one message is.
    Message(MessageId),
    /// How far one case is.
    Case(CaseId),
    /// Who was told of a withdrawal.
    Ground(Ground),
    /// A list of that name, without persons.
    List(&'static str),
}

impl Followed {
    fn key(self) -> [u8; 16] {
        let (list, id);
        let parts: [&[u8]; 2] = match &self {
            Self::Message(id) => [b"message\0", id.as_bytes()],
            Self::Case(id) => [b"case\0", id.as_bytes()],
            Self::Ground(ground) => {
                id = ground.bytes();
                [b"consent\0", &id]
            }
            Self::List(name) => {
                list = name.as_bytes();
                [b"list\0", list]
            }
        };
        let digest = Digest::of_parts(&parts);
        let mut key = [0; 16];
        key.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
        key
    }

    /// What stands in the log: whose matter it is, and on which ground, as far as that is known here.
    fn act(self, store: &Store) -> Result<Act, AppError> {
        let nobody =
            Act { action: AccessAction::Follow, why: OFFICE_WORK, person: None, message: None };
        Ok(match self {
            Self::Message(id) => {
                let content = kept(store, id)?.and_then(|row| decode_content(&row.content.0).ok());
                let with = |content| Act::with(AccessAction::Follow, store, &content);
                let act = content.map(with).transpose()?;
                Act { message: Some(id), ..act.unwrap_or(nobody) }
            }
            Self::Case(id) => {
                let first = opening::opening(store, id).unwrap_or_default();
                let with = |content| Act::with(AccessAction::Follow, store, &content);
                let act = first.map(with).transpose()?;
                Act { message: Some(id.opening_message()), ..act.unwrap_or(nobody) }
            }
            Self::Ground(ground) => {
                let whose = match ground {
                    Ground::Consent(id) => store.consent(id)?.map(|consent| consent.person()),
                    Ground::Request(id) => store.service_request(id)?.map(|it| it.request.person),
                };
                let person = whose.map(|whose| store.person(whose)).transpose()?.flatten();
                let person = person.map(|person| {
                    let hash = store.document_hash(&person.details().document);
                    store::access::person_key(hash)
                });
                Act { why: NOTING, person, ..nobody }
            }
            Self::List(_) => nobody,
        })
    }
}

fn kept(store: &Store, id: MessageId) -> Result<Option<MessageRow>, AppError> {
    for side in [Side::Received, Side::Sent] {
        let row = store.get_personal(&MESSAGE, &message_key(id, side))?.and_then(Kept::value);
        if row.is_some() {
            return Ok(row);
        }
    }
    Ok(None)
}

/// Logs that an operator follows something, on disk before it is shown; once an hour.
///
/// # Errors
/// When rows cannot be read or written: a store that cannot log shows nothing.
pub async fn follow(ctx: &Ctx, store: &Store, what: Followed) -> Result<(), AppError> {
    let key = (operator_key(&ctx.caller.operator), what.key());
    let hour = ctx.now.get() / ENTRY_EVERY_MS;
    if store.get(&FOLLOWED, &key)? == Some(hour) {
        return Ok(());
    }
    let entry = super::entry(ctx, what.act(store)?);
    let logged = store.commit(move |unit| {
        unit.put(&FOLLOWED, &key, &hour)?;
        unit.append_access(entry)?;
        Ok::<_, AppError>(())
    });
    logged.await.map_err(AppError::from)
}

/// Logs that something sealed leaves the node as a file: it is about whoever is in it, and names nobody.
///
/// # Errors
/// When rows cannot be read or written: a store that cannot log hands nothing out.
pub async fn taken_out(ctx: &Ctx, store: &Store) -> Result<(), AppError> {
    let act = Act { action: AccessAction::Export, why: OFFICE_WORK, person: None, message: None };
    let entry = super::entry(ctx, act);
    let logged = store.commit(move |unit| unit.append_access(entry).map_err(AppError::from));
    logged.await.map(drop).map_err(AppError::from)
}

/// Forgets by when the next entry is due, where that is long past. Says how many.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn forget(store: &Store, now: UnixMillis) -> Result<usize, AppError> {
    let hour = now.get() / ENTRY_EVERY_MS;
    let (mut count, mut after) = (0, std::ops::Bound::Unbounded);
    loop {
        let rows = store.scan(&FOLLOWED, (after, std::ops::Bound::Unbounded), ROWS_AT_ONCE)?;
        let Some((last, _)) = rows.last() else { return Ok(count) };
        after = std::ops::Bound::Excluded(*last);
        let old = rows.into_iter().filter(|(_, at)| *at < hour).map(|(key, _)| key);
        let old: Vec<([u8; 32], [u8; 16])> = old.collect();
        if old.is_empty() {
            continue;
        }
        count += old.len();
        let gone = store.commit(move |unit| {
            old.iter().for_each(|key| unit.delete(&FOLLOWED, key));
            Ok::<_, AppError>(())
        });
        gone.await.map_err(AppError::from)?;
    }
}
