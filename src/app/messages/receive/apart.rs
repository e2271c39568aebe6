//! A parcel in which one envelope cannot be taken in: the others are, in a unit each, and that one is put off.
//!
//! What was said so far stands in the parcel's own row from the first unit on, so that a crash between two of them answers
//! what comes again as if the parcel had been taken in at once.

use std::sync::Arc;
use std::time::Duration;

use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::receipt::{Disposition, Outcome};
use exchange::receiver::Effect;
use store::{Store, Unit};

use super::{Answer, Arrived, Item, Opened, Taken, Taking, kept};
use crate::app::AppError;

/// An envelope that this node cannot take in, for a fault of its own, may be offered again after so long.
const PUT_OFF_FOR: Duration = Duration::from_secs(3_600);

/// Takes in the envelopes of a parcel one by one, after it could not be taken in as a whole.
///
/// # Errors
/// When the store takes nothing; what was stored until then is answered as known when it comes again.
pub async fn apart(
    store: &Store,
    arrived: Arc<Arrived>,
    now: UnixMillis,
) -> Result<Answer, AppError> {
    let mut so_far = SoFar {
        sequences: arrived.items.iter().map(place).collect(),
        said: arrived.items.iter().map(|item| not_yet(item, now)).collect(),
    };
    let (mut stored, mut conflicts, mut duties) = (0, 0, 0);
    for place in 0..arrived.items.len() {
        let (parcel, before) = (Arc::clone(&arrived), so_far.clone());
        let taken = store.commit(move |unit| one(unit, &parcel, place, before, now));
        match taken.await.map_err(AppError::from) {
            Ok(None) => {}
            Ok(Some(one)) => {
                stored += usize::from(one.effect == Effect::Store);
                conflicts += usize::from(one.is_conflict);
                duties += one.duties;
                so_far = one.so_far;
            }
            Err(error) if error.is_of_one() => tell(&arrived, place, &error),
            Err(error) => return Err(error),
        }
    }
    let kept = store.commit(move |unit| {
        let SoFar { sequences, said } = so_far;
        kept::keep(unit, &arrived, sequences, said, now)
    });
    let (key, dispositions) = kept.await.map_err(AppError::from)?;
    Ok(Answer { dispositions, key, stored, conflicts, duties })
}

/// What was said about every envelope of the parcel, and where they lie in their lanes.
#[derive(Clone)]
struct SoFar {
    sequences: Vec<u64>,
    said: Vec<Disposition>,
}

/// One envelope that was taken in.
struct One {
    effect: Effect,
    is_conflict: bool,
    duties: usize,
    so_far: SoFar,
}

/// Takes in the envelope at a place of the parcel, with what was said before about the others.
fn one(
    unit: &mut Unit<'_>,
    arrived: &Arrived,
    place: usize,
    mut so_far: SoFar,
    now: UnixMillis,
) -> Result<Option<One>, AppError> {
    let Some(Item::Ours(opened)) = arrived.items.get(place) else { return Ok(None) };
    let mut taking = Taking::new(unit, arrived.peer, now);
    let decision = taking.one(opened)?;
    let Taken { duties, .. } = taking.end()?;
    let (effect, is_conflict) = (decision.effect, decision.is_conflict());
    if let Some(said) = so_far.said.get_mut(place) {
        *said = decision.disposition;
    }
    kept::write(unit, arrived, so_far.sequences.clone(), so_far.said.clone())?;
    Ok(Some(One { effect, is_conflict, duties, so_far }))
}

const fn place(item: &Item) -> u64 {
    match item {
        Item::Ours(opened) => opened.header.sequence.get(),
        Item::Astray(_) => 0,
    }
}

/// What is said about an envelope while nothing else is: not now.
fn not_yet(item: &Item, now: UnixMillis) -> Disposition {
    match item {
        Item::Astray(said) => said.clone(),
        Item::Ours(opened) => {
            let Opened { header, digest, .. } = &**opened;
            let until = now.saturating_add(PUT_OFF_FOR);
            let outcome = Outcome::Deferred { reason: Reason::Internal, until };
            let (message_id, digest) = (header.message_id, *digest);
            Disposition { message_id, digest, outcome, duplicate: false, decided: now }
        }
    }
}

fn tell(arrived: &Arrived, place: usize, error: &AppError) {
    let message = match arrived.items.get(place) {
        Some(Item::Ours(opened)) => Some(opened.header.message_id),
        Some(Item::Astray(_)) | None => None,
    };
    let message = message.map(|id| id.to_string());
    tracing::error!(peer = %arrived.peer, message, %error, code = "INTERNAL", "an envelope cannot be taken in and is put off; the others of its parcel are");
}
