//! What both sides of a message hold under its id, side by side, for the person who decides.
//!
//! The recipient shows the sender what it holds: something that the sender's office has written, or is said to have written.
//! The sender's version goes nowhere: to the recipient it would be a delivery past everything that a delivery is asked for.

use std::time::Duration;

use domain::access::{AccessAction, Permission};
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::message::Content;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::envelope::Header;
use exchange::reconcile::cure::stored_in;
use store::letters::MessageIdKey;
use store::messages::{Blob, MessageRow, PeerKey, Side, message_key, peer_key};
use store::reconcile::{DifferenceState, VersionRow};
use store::tables::{DIFFERENCE, MESSAGE, VERSION};
use store::{Kept, Store, Unit};
use wire::content::{decode_content, encode_content};

use super::cures::Checked;
use super::decisions;
use super::runs::{DECISIONS, Found};
use crate::app::access::{self, Act, Why};
use crate::app::consents::spread;
use crate::app::messages::{NewSubject, kept_content};
use crate::app::{AppError, Ctx};

/// How long a version stays that nobody has to look at any more, or that nobody was asked to look at.
const KEPT_AFTER: Duration = Duration::from_secs(7 * 86_400);
/// Versions of one county that lie here at one time. What is more is shown again after the next comparison.
const OF_ONE: usize = 128;
/// Versions that are looked at in one go when old ones are removed.
const ROWS_AT_ONCE: usize = 128;

/// Names a version: the recipient and the message.
type VersionKey = (PeerKey, MessageIdKey);

/// What a recipient holds of a message of ours. Its receipt was checked: it has signed that this is stored there.
#[derive(Debug)]
pub struct Shown {
    /// Its header.
    pub header: Header,
    /// Names its envelope.
    pub digest: Digest,
    /// Its content; none where the recipient has deleted it.
    pub content: Option<Content>,
    /// Receipt and parcel.
    pub checked: Checked,
    /// Whether the parcel bears a signature of ours that holds.
    pub is_ours: bool,
}

/// Keeps what a recipient has shown, until somebody has decided or the content of the message is deleted. What was decided
/// about this very version is not kept again.
///
/// # Errors
/// `NOT_FOUND` for what is no message of ours to that county; `MALFORMED` when its receipt is about something else; `BUSY`
/// when too much of it lies here; when rows cannot be read or written.
pub fn keep(
    unit: &mut Unit<'_>,
    store: &Store,
    shown: &Shown,
    now: UnixMillis,
) -> Result<(), AppError> {
    let Shown { header, digest, content, checked, is_ours } = shown;
    let (id, key) = (header.message_id, version_key(header.to, header.message_id));
    stored_in(&checked.said, id, *digest).ok_or(AppError::from(Reason::Malformed))?;
    let kept = unit.get_personal(&MESSAGE, &message_key(id, Side::Sent))?;
    let Some(Kept::Value { value: row, person }) = kept.filter(|kept| is_to(kept, header.to))
    else {
        return Err(Reason::NotFound.into());
    };
    let signer = is_ours.then_some(checked.parcel.signer);
    let is_known = match unit.get_personal(&VERSION, &key)? {
        Some(Kept::Value { value, .. }) => (value.digest, value.signer) == (*digest, signer),
        // Whom it named was erased: it does not come back.
        Some(Kept::Erased) => true,
        None => false,
    };
    if is_known || row.is_deleted() || is_decided(unit, id, *digest)? {
        return Ok(());
    }
    let others = (key.0, [0; 16])..=(key.0, [0xFF; 16]);
    let others = store.scan_personal(&VERSION, others, OF_ONE)?;
    if others.len() >= OF_ONE && others.iter().all(|(other, _)| *other != key) {
        return Err(AppError::Busy);
    }
    let content = content.as_ref().filter(|_| row.digest != *digest);
    let content = match content {
        Some(content) if spread::ended(unit, content, header.from, header.to)?.is_some() => None,
        content => content,
    };
    // It is erased with whom it is about, and goes with the message in any case.
    let subject = match content {
        Some(_) => NewSubject::of(store, content, now).get(unit)?,
        None => unit.subject_of(person)?.ok_or(AppError::from(Reason::NotFound))?,
    };
    let version = VersionRow {
        digest: *digest,
        created: header.created,
        due: header.due,
        signer,
        signed: checked.parcel.signed,
        stored: checked.receipt.signed,
        shown: now,
        content: Blob(content.map(encode_content).unwrap_or_default()),
    };
    unit.put_personal(&VERSION, &subject, &key, &version).map_err(AppError::from)
}

fn is_to(kept: &Kept<MessageRow>, peer: AreaCode) -> bool {
    matches!(kept, Kept::Value { value, .. } if value.peer == peer)
}

fn version_key(peer: AreaCode, id: MessageId) -> VersionKey {
    (peer_key(peer), *id.as_bytes())
}

fn is_decided(unit: &Unit<'_>, id: MessageId, digest: Digest) -> Result<bool, AppError> {
    let row = unit.get(&DIFFERENCE, &(DECISIONS, *id.as_bytes()))?;
    Ok(row.is_some_and(|row| {
        let theirs = row.difference.recipient.map(|entry| entry.digest);
        row.state == DifferenceState::Decided && theirs == Some(digest)
    }))
}

/// Removes what a recipient has shown of a message.
pub(crate) fn remove(unit: &mut Unit<'_>, peer: AreaCode, id: MessageId) {
    unit.delete(&VERSION, &version_key(peer, id));
}

/// What proves a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It is kept by this office itself.
    Own,
    /// The recipient has shown it, and the parcel that it came in bears the signature of the sender's certificate.
    Signed {
        /// SHA-256 of that certificate.
        signer: Digest,
        /// When it was signed.
        at: UnixMillis,
    },
    /// The recipient has shown it, and no signature of the sender's holds on it.
    NotSigned,
}

/// What one side holds.
#[derive(Clone, Debug)]
pub struct Version {
    /// Names its envelope.
    pub digest: Digest,
    /// When it was made.
    pub created: UnixMillis,
    /// When it is due.
    pub due: Option<UnixMillis>,
    /// What proves it.
    pub proof: Proof,
    /// When its recipient has signed that it is stored there; none for what is kept by this office itself.
    pub stored: Option<UnixMillis>,
    /// Its content; none where it was deleted, or may not be shown any more.
    pub content: Option<Content>,
}

/// Both versions, as far as this office may see them.
#[derive(Debug)]
pub struct Looked {
    /// What a comparison has found.
    pub found: Found,
    /// What the sender holds; none at any other office.
    pub sender: Option<Version>,
    /// What the recipient holds; none while it has not shown it.
    pub recipient: Option<Version>,
}

/// Both versions of a message about which a person has to decide. The look is in the access log, for each person whom they
/// name, before it returns.
///
/// # Errors
/// `ROLE_REQUIRED`; `NOT_FOUND` for what nobody has to decide; when rows cannot be read or the look cannot be logged.
pub async fn look(ctx: &Ctx, store: &Store, id: MessageId, why: Why) -> Result<Looked, AppError> {
    ctx.must(Permission::ExchangeMessages)?;
    let row = store.get(&DIFFERENCE, &(DECISIONS, *id.as_bytes()))?;
    let found = decisions::as_decided(store, *id.as_bytes(), row.ok_or(Reason::NotFound)?)?;
    let sent = held(store, id, Side::Sent)?;
    let mut looked = Looked { found, sender: None, recipient: None };
    match &sent {
        Some(row) => {
            looked.sender = Some(own(row)?);
            looked.recipient = shown(store, id, row)?;
        }
        None => {
            looked.recipient = held(store, id, Side::Received)?.as_ref().map(own).transpose()?
        }
    }
    let mut acts: Vec<Act> = Vec::new();
    for content in [&looked.sender, &looked.recipient].into_iter().flatten() {
        let Some(content) = &content.content else { continue };
        let act = Act::with(AccessAction::View, store, content)?;
        let act = Act { why, message: Some(id), ..act };
        if acts.iter().all(|known| known.person != act.person) {
            acts.push(act);
        }
    }
    let (caller, theirs) =
        (ctx.clone(), looked.recipient.as_ref().and_then(|it| it.content.clone()));
    let peer = sent.map(|row| row.peer);
    let may_be_shown = store.commit(move |unit| {
        for act in acts {
            access::note(&caller, unit, act)?;
        }
        let ended = match (&theirs, peer) {
            (Some(content), Some(peer)) => spread::ended(unit, content, caller.county(), peer)?,
            _ => None,
        };
        Ok::<_, AppError>(ended.is_none())
    });
    if !may_be_shown.await.map_err(AppError::from)?
        && let Some(theirs) = &mut looked.recipient
    {
        // What it rests on was taken back since it came here.
        theirs.content = None;
    }
    Ok(looked)
}

fn held(store: &Store, id: MessageId, side: Side) -> Result<Option<MessageRow>, AppError> {
    Ok(store.get_personal(&MESSAGE, &message_key(id, side))?.and_then(Kept::value))
}

/// What this office holds itself.
fn own(row: &MessageRow) -> Result<Version, AppError> {
    Ok(Version {
        digest: row.digest,
        created: row.created,
        due: row.due,
        proof: Proof::Own,
        stored: None,
        content: kept_content(row)?,
    })
}

/// What the recipient of a message of ours has shown of it.
fn shown(store: &Store, id: MessageId, row: &MessageRow) -> Result<Option<Version>, AppError> {
    let kept = store.get_personal(&VERSION, &version_key(row.peer, id))?;
    let Some(version) = kept.and_then(Kept::value) else { return Ok(None) };
    let unreadable = |_| AppError::Internal("a version that was shown is unreadable");
    let content = match version.content.0.as_slice() {
        // What it has is what we have sent.
        [] if version.digest == row.digest => kept_content(row)?,
        [] => None,
        bytes => Some(decode_content(bytes).map_err(unreadable)?),
    };
    let signed = |signer| Proof::Signed { signer, at: version.signed };
    Ok(Some(Version {
        digest: version.digest,
        created: version.created,
        due: version.due,
        proof: version.signer.map_or(Proof::NotSigned, signed),
        stored: Some(version.stored),
        content: content.filter(|_| !row.is_deleted()),
    }))
}

/// Removes versions that nobody has to look at any more. Says how many.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn forget(store: &Store, now: UnixMillis) -> Result<usize, AppError> {
    let (mut from, mut count) = (std::ops::Bound::Unbounded, 0);
    loop {
        let rows =
            store.scan_personal(&VERSION, (from, std::ops::Bound::Unbounded), ROWS_AT_ONCE)?;
        let Some((last, _)) = rows.last() else { break };
        from = std::ops::Bound::Excluded(*last);
        let mut over = Vec::new();
        for (key, kept) in rows {
            if is_over(store, &key, kept, now)? {
                over.push(key);
            }
        }
        count += over.len();
        let removed = store.commit(move |unit| {
            over.iter().for_each(|key| unit.delete(&VERSION, key));
            Ok::<_, AppError>(())
        });
        removed.await.map_err(AppError::from)?;
    }
    Ok(count)
}

fn is_over(
    store: &Store,
    (_, id): &VersionKey,
    kept: Kept<VersionRow>,
    now: UnixMillis,
) -> Result<bool, AppError> {
    // Of one whose person was erased nothing is left but that it is not to come back.
    let shown = kept.value().map(|version| version.shown);
    let message = held(store, MessageId::from_bytes(*id), Side::Sent)?;
    if message.is_none_or(|row| row.is_deleted()) {
        return Ok(true);
    }
    let row = store.get(&DIFFERENCE, &(DECISIONS, *id))?;
    let since = match row {
        Some(row) if row.state == DifferenceState::Open => return Ok(false),
        Some(row) => row.ended.max(shown),
        None => shown,
    };
    Ok(since.is_none_or(|since| now.since(since) >= KEPT_AFTER))
}
