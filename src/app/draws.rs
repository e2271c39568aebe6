//! Random re-checks: a sample that nobody could choose and anybody can draw again, and the accuracy that it found.
//!
//! The seed is committed to by its hash when the draw is made, with the hash of what is drawn from, and published
//! afterwards: whoever draws does not see the sample while she could still draw another, every draw stays on the list,
//! and whoever is re-checked cannot know it before.

use std::ops::ControlFlow;

use domain::access::Permission;
use domain::draw::{Frame, SIZE_MAX};
use domain::id::MessageId;
use domain::indicator::{Period, SMALL};
use domain::message::Kind;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use store::draws::{DrawRow, FoundRow};
use store::messages::Side;
use store::tables::DRAW;
use store::{Store, Unit};

use super::indicators::facts;
use super::{AppError, Ctx, Refusal};
use crate::draw::{Urn, commitment};
use crate::time::random;

/// Draws that are listed.
const DRAWS_MAX: usize = 500;
/// Ids that are drawn from at most.
const POPULATION_MAX: usize = 1_000_000;
/// Ids of one page of what was drawn from.
pub const POPULATION_PAGE: usize = 10_000;

/// A draw and its id.
#[derive(Clone, Debug)]
pub struct Draw {
    /// Its id.
    pub id: [u8; 16],
    /// What it drew and found.
    pub row: DrawRow,
}

/// What is to be drawn.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Of which time.
    pub period: Period,
    /// From what.
    pub frame: Frame,
    /// Of which kind of message; none for registrations.
    pub kind: Option<Kind>,
    /// How many.
    pub size: u32,
}

impl Draw {
    /// What the node committed to: the hash of the seed.
    #[must_use]
    pub fn commitment(&self) -> Digest {
        commitment(&self.row.seed)
    }
}

fn must(ctx: &Ctx) -> Result<(), AppError> {
    if ctx.caller.may(Permission::ApproveBulk) {
        return Ok(());
    }
    ctx.must(Permission::ReadAccessLog)
}

/// What can be drawn from, as it was at a time, in the order of ids after `after`.
fn population(
    store: &Store,
    order: &Order,
    (until, after): (UnixMillis, Option<[u8; 16]>),
    each: &mut dyn FnMut([u8; 16]) -> ControlFlow<()>,
) -> Result<(), AppError> {
    let outside = |_| Refusal::new(Reason::InvalidField).field("period");
    let (from, ends) = order.period.bounds().map_err(outside)?;
    let from = after.map_or(from, |after| MessageId::from_bytes(after).timestamp().max(from));
    if order.kind.is_some_and(Kind::is_hers) {
        // Which messages these are says of whom.
        return Err(Refusal::new(Reason::InvalidField).field("message_kind").into());
    }
    let mut put = |id: [u8; 16], here: UnixMillis| {
        let fits = here <= until && after.is_none_or(|after| id > after);
        if fits { each(id) } else { ControlFlow::Continue(()) }
    };
    match (order.frame, order.kind) {
        (Frame::Registrations, _) => facts::registrations(store, (from, ends), &mut |id, _| {
            Ok(put(*id.as_bytes(), id.timestamp()))
        }),
        (frame, Some(kind)) => {
            let side = if frame == Frame::Sent { Side::Sent } else { Side::Received };
            facts::messages(store, (from, ends), &mut |key, _, row| {
                let here = if side == Side::Sent { row.created } else { row.stored };
                let same = row.kind() == Some(kind) && !row.is_deleted();
                let fits = Side::from_byte(key.1) == Some(side) && same;
                Ok(if fits { put(key.0, here) } else { ControlFlow::Continue(()) })
            })
        }
        (_, None) => Err(Refusal::new(Reason::FieldRequired).field("message_kind").into()),
    }
}

/// Draws. Reads every message of the time: not for a thread that must not block. Nothing is settled before
/// [`keep`].
///
/// # Errors
/// `ROLE_REQUIRED` for anybody but supervisors and auditors; `INVALID_FIELD` for a size of 0 or above [`SIZE_MAX`];
/// `NOT_FOUND` when there is nothing to draw from, `TOO_LARGE` when there is too much.
pub fn draw(ctx: &Ctx, store: &Store, order: &Order) -> Result<Draw, AppError> {
    must(ctx)?;
    if !(1..=SIZE_MAX).contains(&order.size) {
        return Err(Refusal::new(Reason::InvalidField).field("size").into());
    }
    let mut seed = [0; 32];
    let random: [[u8; 16]; 2] = [random(), random()];
    seed.iter_mut().zip(random.as_flattened()).for_each(|(to, from)| *to = *from);
    let mut urn = Urn::new(seed, usize::try_from(order.size).unwrap_or(0));
    let mut ids = Vec::new();
    population(store, order, (ctx.now, None), &mut |id| {
        urn.put(id);
        ids.push(id);
        if ids.len() > POPULATION_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if ids.len() > POPULATION_MAX {
        return Err(Refusal::new(Reason::TooLarge).field("period").into());
    }
    let sample = urn.sample();
    if sample.is_empty() {
        return Err(Reason::NotFound.into());
    }
    let row = DrawRow {
        period: order.period.to_string(),
        frame: order.frame.number(),
        kind: order.kind.filter(|_| order.frame != Frame::Registrations).map_or(0, Kind::number),
        by: ctx.caller.operator.clone(),
        at: ctx.now,
        size: order.size,
        population: u64::try_from(ids.len()).unwrap_or(u64::MAX),
        population_sha256: Digest::of_all(&ids).into_bytes(),
        seed,
        found: vec![None; sample.len()],
        sample,
        published: None,
    };
    Ok(Draw { id: *MessageId::new(ctx.now, crate::time::random()).as_bytes(), row })
}

/// Keeps a draw: from now on its seed is settled.
///
/// # Errors
/// When the row cannot be written.
pub async fn keep(store: &Store, draw: &Draw) -> Result<(), AppError> {
    let Draw { id, row } = draw.clone();
    let kept = store.commit(move |unit| unit.put(&DRAW, &id, &row).map_err(AppError::from));
    kept.await.map_err(AppError::from)
}

/// Publishes seed and sample. Doing it again changes nothing.
///
/// # Errors
/// `ROLE_REQUIRED`, `NOT_FOUND`.
pub async fn publish(ctx: &Ctx, store: &Store, id: [u8; 16]) -> Result<Draw, AppError> {
    let now = ctx.now;
    let publish = move |row: &mut DrawRow| {
        row.published.get_or_insert(now);
        Ok(())
    };
    edit(ctx, store, id, publish).await
}

/// Records what the re-check of one item found; the last word counts.
///
/// # Errors
/// `ROLE_REQUIRED`; `STATE_FORBIDS` before the draw is published; `NOT_FOUND` for an item that was not drawn.
pub async fn record(
    ctx: &Ctx,
    store: &Store,
    id: [u8; 16],
    (item, right): (MessageId, bool),
) -> Result<Draw, AppError> {
    let found = FoundRow { right, by: ctx.caller.operator.clone(), at: ctx.now };
    let record = move |row: &mut DrawRow| {
        if row.published.is_none() {
            return Err(Reason::StateForbids.into());
        }
        let place = row.sample.iter().position(|drawn| drawn == item.as_bytes());
        let cell = place.and_then(|place| row.found.get_mut(place));
        let cell = cell.ok_or_else(|| Refusal::new(Reason::NotFound).field("item_id"))?;
        *cell = Some(found);
        Ok(())
    };
    edit(ctx, store, id, record).await
}

async fn edit(
    ctx: &Ctx,
    store: &Store,
    id: [u8; 16],
    change: impl FnOnce(&mut DrawRow) -> Result<(), AppError> + Send + 'static,
) -> Result<Draw, AppError> {
    must(ctx)?;
    let work = move |unit: &mut Unit<'_>| {
        let mut row = unit.get(&DRAW, &id)?.ok_or(AppError::from(Reason::NotFound))?;
        change(&mut row)?;
        unit.put(&DRAW, &id, &row)?;
        Ok(Draw { id, row })
    };
    store.commit(work).await.map_err(AppError::from)
}

/// Draws, newest first.
///
/// # Errors
/// `ROLE_REQUIRED`; rows that cannot be read.
pub fn list(ctx: &Ctx, store: &Store) -> Result<Vec<Draw>, AppError> {
    ctx.must(Permission::ReadNumbers)?;
    let rows = store.scan_back(&DRAW, .., DRAWS_MAX)?;
    Ok(rows.into_iter().map(|(id, row)| Draw { id, row }).collect())
}

/// The ids that a published draw drew from, for its file, after `after`, at most [`POPULATION_PAGE`]. What was erased since is not
/// there. Reads every message of the time: not for a thread that must not block.
///
/// # Errors
/// `ROLE_REQUIRED`; `NOT_FOUND`; `STATE_FORBIDS` before it is published, and for one from fewer than five.
pub fn drawn_from(
    ctx: &Ctx,
    store: &Store,
    id: [u8; 16],
    after: Option<[u8; 16]>,
) -> Result<Vec<[u8; 16]>, AppError> {
    ctx.must(Permission::ReadNumbers)?;
    let row = store.get(&DRAW, &id)?.ok_or(AppError::from(Reason::NotFound))?;
    if row.published.is_none() {
        return Err(Reason::StateForbids.into());
    }
    if row.population < SMALL {
        let detail =
            "it was drawn from fewer than five: what counts so few leaves the node in no file";
        return Err(Refusal::new(Reason::StateForbids).detail(detail).into());
    }
    let period = row.period.parse().map_err(|_| AppError::Internal("a draw without a period"))?;
    let frame = Frame::from_number(row.frame).ok_or(AppError::Internal("a draw from nothing"))?;
    let order = Order { period, frame, kind: Kind::from_number(row.kind), size: row.size };
    let mut ids = Vec::new();
    population(store, &order, (row.at, after), &mut |id| {
        ids.push(id);
        if ids.len() < POPULATION_PAGE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(ids)
}
