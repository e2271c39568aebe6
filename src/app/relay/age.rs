//! What a node lets go of by age, so that what nobody asks for any more does not fill its disk.
//!
//! Nothing here settles anything: a message ends by its recipient's answer, its own expiry or a person.

use std::ops::Bound;
use std::time::Duration;

use domain::time::UnixMillis;
use exchange::parcel::ParcelId;
use store::tables::{CONSIGNMENT, CUSTODY, RETURN, TRANSIT};
use store::transit::{ReturnKey, TransitState};
use store::{Store, Unit};

use super::returned;
use crate::app::AppError;

/// A parcel that a relay could not hand on in this time is let go of, and a word that nobody took is forgotten: every
/// message in it has lost its purpose (90 days), unless its sender gave it a longer one and offers it again.
pub const HELD_AT_MOST: Duration = Duration::from_secs(100 * 86_400);
/// A parcel of ours that was handed over so long ago and never answered was answered in another parcel.
pub const CONSIGNED_AT_MOST: Duration = Duration::from_secs(200 * 86_400);
/// Records of a transfer are kept so long (design section 10, item 7: three years, without content).
pub const TRANSFERS_KEPT: Duration = Duration::from_secs(3 * 366 * 86_400);
/// Rows that are read, and changed, in one go.
const ROWS_AT_ONCE: usize = 256;

type Name = [u8; 16];

/// Forgets old words on their way back, and parcels of ours that nobody will answer any more. Says how many.
///
/// # Errors
/// When the store fails.
pub async fn forget_words(store: &Store, now: UnixMillis) -> Result<usize, AppError> {
    let mut count = 0;
    let mut after: Bound<ReturnKey> = Bound::Unbounded;
    loop {
        let rows = store.scan(&RETURN, (after, Bound::Unbounded), ROWS_AT_ONCE)?;
        let Some((last, _)) = rows.last() else { break };
        after = Bound::Excluded(*last);
        let is_old = |at: UnixMillis| now.since(at) > HELD_AT_MOST;
        let old = rows.into_iter().filter(|(_, row)| is_old(row.received)).map(|(key, _)| key);
        let old: Vec<_> = old.collect();
        count += old.len();
        forget(store, old, |unit, old| returned(unit, &old)).await?;
    }
    let mut after: Bound<Name> = Bound::Unbounded;
    loop {
        let rows = store.scan(&CONSIGNMENT, (after, Bound::Unbounded), ROWS_AT_ONCE)?;
        let Some((last, _)) = rows.last() else { break };
        after = Bound::Excluded(*last);
        let is_old = |at: UnixMillis| now.since(at) > CONSIGNED_AT_MOST;
        let old = rows.into_iter().filter(|(_, row)| is_old(row.handed)).map(|(key, _)| key);
        let old: Vec<_> = old.collect();
        count += old.len();
        forget(store, old, |unit, old| {
            old.iter().try_for_each(|parcel| {
                unit.delete(&CONSIGNMENT, parcel);
                forget_custody(unit, parcel)
            })
        })
        .await?;
    }
    Ok(count)
}

/// Forgets what became of parcels of others years ago. Names those that are held but cannot be handed on in time.
///
/// # Errors
/// When the store fails.
pub async fn forget_transit(store: &Store, now: UnixMillis) -> Result<Vec<ParcelId>, AppError> {
    let (mut stuck, mut after): (_, Bound<Name>) = (Vec::new(), Bound::Unbounded);
    loop {
        let rows = store.scan(&TRANSIT, (after, Bound::Unbounded), ROWS_AT_ONCE)?;
        let Some((last, _)) = rows.last() else { return Ok(stuck) };
        after = Bound::Excluded(*last);
        let mut old = Vec::new();
        for (key, row) in rows {
            match row.state {
                TransitState::Waiting | TransitState::PutOff { .. } => {
                    if now.since(row.received) > HELD_AT_MOST {
                        stuck.push(ParcelId::from_bytes(key));
                    }
                }
                TransitState::HandedOn { at }
                | TransitState::Answered { at }
                | TransitState::GivenUp { at, .. } => {
                    if now.since(at) > TRANSFERS_KEPT {
                        old.push(key);
                    }
                }
            }
        }
        forget(store, old, |unit, old| {
            old.iter().try_for_each(|parcel| {
                unit.delete(&TRANSIT, parcel);
                forget_custody(unit, parcel)
            })
        })
        .await?;
    }
}

fn forget_custody(unit: &mut Unit<'_>, parcel: &Name) -> Result<(), AppError> {
    for (key, _) in unit.scan_under(&CUSTODY, &(*parcel,), None, ROWS_AT_ONCE)? {
        unit.delete(&CUSTODY, &key);
    }
    Ok(())
}

/// Changes nothing on the disk when there is nothing to forget.
async fn forget<K: Send + 'static>(
    store: &Store,
    old: Vec<K>,
    change: impl FnOnce(&mut Unit<'_>, Vec<K>) -> Result<(), AppError> + Send + 'static,
) -> Result<(), AppError> {
    if old.is_empty() {
        return Ok(());
    }
    store.commit(move |unit| change(unit, old)).await.map_err(AppError::from)
}
