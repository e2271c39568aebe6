//! Keeping a statement that both sides have signed: `app::reconcile::statements::keep`.

use std::rc::Rc;

use domain::time::Date;
use exchange::reconcile::signing::{Keeping, keeping};

use crate::disk::rows::{Key, Row};
use crate::disk::unit::Unit;
use crate::node::signing::SignedStatement;
use crate::plan::{NodeNo, Planted};

/// What became of it.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    /// It is kept.
    Fresh,
    /// This one closes its days, and counts instead.
    Closed(Rc<SignedStatement>),
    /// It would close some of the days that another has closed.
    Overlaps,
}

/// The number of a day, as it stands in keys.
pub(crate) fn day(date: Date) -> u32 {
    u32::try_from(date.epoch_days()).unwrap_or_default()
}

pub(super) fn keep(
    with: NodeNo,
    signed: &Rc<SignedStatement>,
    unit: &mut Unit<'_>,
    planted: Option<Planted>,
) -> Kept {
    let statement = signed.statement();
    let (scope, closes) = (&statement.scope, statement.closes());
    let may_have = Key::Closed(with, day(scope.first))..=Key::Closed(with, u32::MAX);
    let closed = unit.scan(may_have).into_iter().next();
    let closed = closed.and_then(|(_, row)| row.statement().map(Rc::clone));
    let closed = closed.filter(|_| planted != Some(Planted::Forgets));
    match (keeping(closed.as_ref().map(|it| it.statement().days()), scope, closes), closed) {
        (Keeping::Closed, Some(closed)) => return Kept::Closed(closed),
        (Keeping::Overlaps, _) => return Kept::Overlaps,
        (Keeping::Closed | Keeping::Fresh, _) => {}
    }
    let (first, last) = (day(scope.first), day(scope.last));
    let key = match closes {
        true => Key::Closed(with, last),
        false => Key::Statement(with, last, first, statement.made),
    };
    unit.put(key, Row::Statement(Rc::clone(signed)));
    Kept::Fresh
}
