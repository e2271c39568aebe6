//! What administrators say in the name of their node: times out of service, areas that ended, the end of its service.
//!
//! Each changes the row from which the node's card is made; the directory signs and spreads it.

use std::collections::BTreeMap;

use domain::area::{AreaCode, AreaTable};
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::card::{
    AreaChange, CARD_CHANGES_MAX, CARD_WINDOWS_MAX, InvalidCard, MaintenanceWindow,
};
use exchange::lane::LaneEpoch;
use store::Store;
use store::limits::SCAN_ROWS_MAX;
use store::messages::peer_area;
use store::network::{AreaChangeRow, OwnCardRow, WindowRow};
use store::tables::{LANE_EPOCH, RETURN, TODO, TRANSIT_QUEUE};

use super::messages::settle;
use super::{AppError, Refusal};

/// Announces a time out of service.
///
/// # Errors
/// `INVALID_FIELD` for a window that is over, too long or has no end, or a note that cannot stand in a card;
/// `STATE_FORBIDS` when there is no room for another.
pub fn announce_window(
    row: &mut OwnCardRow,
    window: WindowRow,
    now: UnixMillis,
) -> Result<(), AppError> {
    let WindowRow { from, until, note } = &window;
    let on_card = MaintenanceWindow { from: *from, until: *until, note: note.clone() };
    match on_card.check() {
        Ok(()) if *until > now => {}
        Err(InvalidCard::WindowNote) => return invalid("note", &InvalidCard::WindowNote),
        Ok(()) => return invalid("until_ms", &"the window is over"),
        Err(error) => return invalid("until_ms", &error),
    }
    if row.windows.len() >= CARD_WINDOWS_MAX {
        let full = InvalidCard::Windows { found: row.windows.len() + 1 };
        return Err(Refusal::new(Reason::StateForbids).detail(full).into());
    }
    row.windows.push(window);
    Ok(())
}

/// Takes the windows back that begin at that time; all of them when none is given.
///
/// # Errors
/// `NOT_FOUND` when there is none.
pub fn cancel_windows(row: &mut OwnCardRow, from: Option<UnixMillis>) -> Result<(), AppError> {
    let before = row.windows.len();
    row.windows.retain(|window| from.is_some_and(|from| from != window.from));
    if row.windows.len() == before { Err(Reason::NotFound.into()) } else { Ok(()) }
}

/// Says that an area under ours has ended; what was said of it before is replaced.
///
/// # Errors
/// `NOT_OWNER` for an area that is not under ours; `INVALID_FIELD` for successors that make no sense;
/// `STATE_FORBIDS` when there is no room for another.
pub fn retire_area(
    row: &mut OwnCardRow,
    own: AreaCode,
    change: AreaChangeRow,
) -> Result<(), AppError> {
    let AreaChangeRow { area, successors, from } = &change;
    if *area == own || *area != area.county() || !own.contains(area) {
        return Err(Refusal::new(Reason::NotOwner).field("area").into());
    }
    let on_card = AreaChange { area: *area, successors: successors.clone(), from: *from };
    if let Err(error) = on_card.check() {
        return invalid("successors", &error);
    }
    // One of another province is in its table already; a new code is given to a county of ours.
    let known = |area: &AreaCode| AreaTable::builtin().lookup(area).is_some() || own.contains(area);
    if let Some(unknown) = successors.iter().find(|area| **area != area.county() || !known(area)) {
        let refusal = Refusal::new(Reason::UnknownArea).field("successors");
        return Err(refusal.detail(unknown).into());
    }
    row.area_changes.retain(|told| told.area != *area);
    if row.area_changes.len() >= CARD_CHANGES_MAX {
        let full = InvalidCard::Changes { found: row.area_changes.len() + 1 };
        return Err(Refusal::new(Reason::StateForbids).detail(full).into());
    }
    row.area_changes.push(change);
    Ok(())
}

/// Takes back that an area has ended.
///
/// # Errors
/// `NOT_FOUND` when nobody has said so.
pub fn reinstate_area(row: &mut OwnCardRow, area: AreaCode) -> Result<(), AppError> {
    let before = row.area_changes.len();
    row.area_changes.retain(|told| told.area != area);
    if row.area_changes.len() == before { Err(Reason::NotFound.into()) } else { Ok(()) }
}

fn invalid<T>(field: &'static str, why: &dyn std::fmt::Display) -> Result<T, AppError> {
    Err(Refusal::new(Reason::InvalidField).field(field).detail(why).into())
}

/// What a node still has in hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Messages that their recipients have not answered for, by recipient.
    pub messages: Vec<(AreaCode, u64)>,
    /// Parcels of others that wait to be handed on.
    pub in_transit: u64,
    /// Signed words that wait to be handed back.
    pub words: u64,
    /// Messages from others that nobody here has answered; at most [`SCAN_ROWS_MAX`] are counted.
    pub unanswered: u64,
}

impl Left {
    /// Whether the node has handed over everything that it was given to deliver.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.messages.is_empty() && self.in_transit == 0 && self.words == 0
    }
}

/// Looks what a node still has in hand. Takes time in proportion to its peers and to what is left.
///
/// # Errors
/// When rows cannot be read.
pub fn left(store: &Store) -> Result<Left, AppError> {
    let mut lanes = settle::older_lanes(store)?;
    for (key, epoch) in store.scan(&LANE_EPOCH, .., usize::MAX)? {
        lanes.extend(peer_area(&key).map(|peer| (peer, LaneEpoch::new(epoch))));
    }
    let mut messages = BTreeMap::<AreaCode, u64>::new();
    for (peer, epoch) in lanes {
        let waiting = settle::lane_in_epoch(store, peer, epoch)?.waiting();
        if waiting > 0 {
            *messages.entry(peer).or_default() += waiting;
        }
    }
    let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
    Ok(Left {
        messages: messages.into_iter().collect(),
        in_transit: count(store.scan(&TRANSIT_QUEUE, .., SCAN_ROWS_MAX)?.len()),
        words: count(store.scan(&RETURN, .., SCAN_ROWS_MAX)?.len()),
        unanswered: count(store.scan(&TODO, .., SCAN_ROWS_MAX)?.len()),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: UnixMillis = UnixMillis::new(1_794_326_400_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn area(code: &str) -> AreaCode {
        code.parse().unwrap()
    }

    fn window(from: u32, until: u32) -> WindowRow {
        let at = |hours: u32| NOW.saturating_add(hours * HOUR);
        WindowRow { from: at(from), until: at(until), note: "升级".to_owned() }
    }

    fn reason<T>(outcome: Result<T, AppError>) -> Reason {
        outcome.err().unwrap().reason()
    }

    #[test]
    fn windows_are_announced_and_taken_back() {
        let mut row = OwnCardRow::default();
        let announce = |row: &mut OwnCardRow, window: WindowRow| announce_window(row, window, NOW);
        announce(&mut row, window(1, 2)).unwrap();
        assert_eq!(reason(announce(&mut row, window(2, 2))), Reason::InvalidField);
        assert_eq!(reason(announce(&mut row, window(1, 170))), Reason::InvalidField);
        let over =
            WindowRow { from: UnixMillis::new(1), until: UnixMillis::new(2), ..window(0, 1) };
        assert_eq!(reason(announce(&mut row, over)), Reason::InvalidField);
        let talkative = WindowRow { note: "x".repeat(101), ..window(0, 1) };
        let refusal = announce(&mut row, talkative).unwrap_err();
        assert_eq!(refusal.refusal().unwrap().field.as_deref(), Some("note"));
        for hour in 2..9 {
            announce(&mut row, window(hour, hour + 1)).unwrap();
        }
        assert_eq!(reason(announce(&mut row, window(20, 21))), Reason::StateForbids);
        cancel_windows(&mut row, Some(window(3, 4).from)).unwrap();
        assert_eq!(row.windows.len(), 7);
        assert_eq!(reason(cancel_windows(&mut row, Some(NOW))), Reason::NotFound);
        cancel_windows(&mut row, None).unwrap();
        assert_eq!(reason(cancel_windows(&mut row, None)), Reason::NotFound);
    }

    #[test]
    fn a_province_speaks_for_its_counties_alone() {
        let mut row = OwnCardRow::default();
        let mut say = |ended: &str, successors: &[&str]| {
            let successors = successors.iter().map(|code| area(code)).collect();
            let change = AreaChangeRow { area: area(ended), successors, from: NOW };
            retire_area(&mut row, area("410000"), change)
        };
        say("410522", &["410523"]).unwrap();
        // Said once more, it replaces what was said; a new code of ours is one that nobody knows yet.
        say("410522", &["410523", "419999"]).unwrap();
        say("410526", &["440305"]).unwrap();
        assert_eq!(reason(say("440305", &["440306"])), Reason::NotOwner);
        assert_eq!(reason(say("410000", &["410522"])), Reason::NotOwner);
        assert_eq!(reason(say("410527", &[])), Reason::InvalidField);
        assert_eq!(reason(say("410527", &["410527"])), Reason::InvalidField);
        assert_eq!(reason(say("410527", &["449999"])), Reason::UnknownArea);
        assert_eq!(row.area_changes.len(), 2);
        reinstate_area(&mut row, area("410522")).unwrap();
        assert_eq!(reason(reinstate_area(&mut row, area("410522"))), Reason::NotFound);
    }
}
