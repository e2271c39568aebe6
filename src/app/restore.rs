//! Starting on data that did not simply grow here: restored from a backup, or rebuilt from damaged files.
//!
//! Such data are older than what peers have seen. What was sent since then has its number in the lanes of before, so no
//! message may get one of these numbers again: every lane begins a new epoch with its next message. What was not settled
//! in the epochs of before goes on being delivered, with the bytes it was sealed into.

use domain::time::UnixMillis;
use store::letters::NoticeKind;
use store::limits::SCAN_ROWS_MAX;
use store::origin::{OriginRow, RestoredRow};
use store::tables::{LANE_EPOCH, ORIGIN, RESTORED};
use store::{Store, Unit};

use crate::app::{AppError, notices};

/// Sees to it that the lanes belong to this incarnation of the data. To be called at the start, before anything is sent
/// or taken in; blocks until it is on disk. Says where the data came from if they are new to the lanes.
///
/// # Errors
/// When rows cannot be read or written.
pub fn begin(
    store: &Store,
    incarnation: u32,
    now: UnixMillis,
) -> Result<Option<OriginRow>, AppError> {
    let noted = store.get(&RESTORED, &())?.map_or(0, |row| row.incarnation);
    if noted == incarnation {
        return Ok(None);
    }
    // A store that nobody has noted anything in, and that is nothing but itself, is a new one.
    let grown_here = noted == 0 && incarnation == 1;
    let restored = store.commit_blocking(move |unit| note(unit, (incarnation, grown_here), now))?;
    if let Some(origin) = &restored {
        tracing::warn!(
            backup_ms = origin.backup.map(UnixMillis::get),
            group = origin.group,
            "the data were restored; what was accepted or received since is with the peers"
        );
    }
    Ok(restored)
}

fn note(
    unit: &mut Unit<'_>,
    (incarnation, grown_here): (u32, bool),
    now: UnixMillis,
) -> Result<Option<OriginRow>, AppError> {
    let origin = unit.get(&ORIGIN, &())?;
    unit.put(&RESTORED, &(), &RestoredRow { incarnation, origin })?;
    if grown_here {
        return Ok(None);
    }
    loop {
        let epochs = unit.scan(&LANE_EPOCH, .., SCAN_ROWS_MAX)?;
        if epochs.is_empty() {
            break;
        }
        epochs.iter().for_each(|(peer, _)| unit.delete(&LANE_EPOCH, peer));
    }
    let backup = origin.and_then(|origin| origin.backup);
    notices::raise(unit, now, NoticeKind::Restored { backup }, &[])?;
    Ok(origin)
}

/// Where the data of this node came from; nothing while they simply grew here.
///
/// # Errors
/// When the row cannot be read.
pub fn origin(store: &Store) -> Result<Option<OriginRow>, AppError> {
    Ok(store.get(&RESTORED, &())?.and_then(|row| row.origin))
}
