//! The clock of what became of a birth registration (登记结果): once every origin that was asked has answered, the office that
//! asks has to tell them. It names an office, never a person.

use domain::area::AreaCode;
use domain::case::{Deed, Seat, Stage, Step, View};
use domain::clock::table::{Duty, of_duty};
use domain::message::Kind;
use domain::time::UnixMillis;
use store::Unit;
use store::cases::CaseRow;
use store::tables::CASE;

use super::opening::Rows;
use super::{keep, turn};
use crate::app::AppError;

/// The clock at the office that has to tell the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Telling {
    /// Since when: the last answer.
    pub(crate) since: UnixMillis,
    /// By when.
    pub(crate) due: UnixMillis,
    /// When it told the origin of this case.
    pub(crate) told: Option<UnixMillis>,
}

/// The clock of a case, where this office asks and every origin that was asked for the couple has answered. It begins with
/// the last answer, and for an office that took the case over not before it did.
///
/// # Errors
/// When rows cannot be read.
pub(crate) fn clock(
    rows: &impl Rows,
    row: &CaseRow,
    own: AreaCode,
) -> Result<Option<Telling>, AppError> {
    let view = row.case.view();
    let Some(mut since) = answered(row, &view, own) else { return Ok(None) };
    for id in rows.together(row)? {
        if id == row.case.id() {
            continue;
        }
        let other = rows.case(id)?;
        let Some(at) = other.and_then(|other| answered(&other, &other.case.view(), own)) else {
            return Ok(None);
        };
        since = since.max(at);
    }
    let joined = view.moves.iter().rev().find(|moved| moved.seat == Seat::Asking);
    let since = joined.map_or(since, |joined| since.max(joined.at));
    let told = Deed::Document { kind: Kind::BirthRegistrationResult };
    let tells = |step: &&Step| step.deed == told && step.from.county() == own.county();
    let told = row.case.steps().into_iter().find(tells).map(|step| step.created);
    Ok(Some(Telling { since, due: of_duty(Duty::TellResult).due(since).at(), told }))
}

/// When the origin of a case has answered, while this office asks and nothing has become of the case otherwise.
fn answered(row: &CaseRow, view: &View, own: AreaCode) -> Option<UnixMillis> {
    let asks = view.kind == Some(Kind::BirthRegistrationInquiry) && view.sits(own, Seat::Asking);
    let stands = matches!(view.stage, Stage::Answered | Stage::Closed);
    let answer = view.answer.filter(|_| asks && stands)?;
    row.case.steps().into_iter().find(|step| step.id == answer).map(|step| step.created)
}

/// An answer may have been the last that a couple's other case waited for: its turn is due from now.
///
/// # Errors
/// When rows cannot be read or written.
pub(super) fn wake_together(
    unit: &mut Unit<'_>,
    row: &CaseRow,
    own: AreaCode,
    now: UnixMillis,
) -> Result<(), AppError> {
    for id in unit.together(row)? {
        if id == row.case.id() {
            continue;
        }
        let Some(other) = unit.get(&CASE, id.as_bytes())? else { continue };
        let due = clock(&*unit, &other, own)?.filter(|it| it.told.is_none()).map(|it| it.due);
        if other.turn.is_some() && turn(&other.case.view(), due, own, now) != other.turn {
            keep(unit, other, own, now)?;
        }
    }
    Ok(())
}
