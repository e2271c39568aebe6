//! Where mail goes that is addressed to an area that has ended: to whoever took over.

use std::collections::{BTreeMap, BTreeSet};

use domain::area::{AreaCode, AreaTable};
use domain::time::UnixMillis;
use exchange::card::{AreaChange, NodeCard};

/// Most changes that are followed from one area to the next; more than any county has seen.
const HOPS_MAX: usize = 8;

/// Where mail for an area goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To this area: itself, or the one that took over.
    Area(AreaCode),
    /// A person has to choose: the area was split between these.
    Split(Vec<AreaCode>),
    /// Nowhere: the area has ended, and nobody has taken over.
    Ended,
    /// No such area is known.
    Unknown,
}

/// What the nodes of the areas above have said about areas that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AreaChanges {
    // By the area that ended: who says so, and what. The area nearest to the top has the last word.
    by_area: BTreeMap<AreaCode, (AreaCode, AreaChange)>,
    successors: BTreeSet<AreaCode>,
}

impl AreaChanges {
    /// The changes that these cards tell of. Each card tells only of areas under its own, which
    /// [`NodeCard::check`] has seen to.
    pub fn of<'c>(cards: impl IntoIterator<Item = &'c NodeCard>) -> Self {
        let mut changes = Self::default();
        for card in cards {
            for change in &card.area_changes {
                let said = (card.area, change.clone());
                let known = changes.by_area.entry(change.area).or_insert_with(|| said.clone());
                if card.area.level() < known.0.level() {
                    *known = said;
                }
            }
        }
        let told = changes.by_area.values();
        changes.successors = told.flat_map(|(_, change)| &change.successors).copied().collect();
        changes
    }

    /// Whether an area took over from another one.
    #[must_use]
    pub fn is_successor(&self, area: AreaCode) -> bool {
        self.successors.contains(&area)
    }

    /// Whether an area has ended by then, as its province says.
    #[must_use]
    pub fn has_ended(&self, area: AreaCode, now: UnixMillis) -> bool {
        self.ended(area, now).is_some()
    }

    /// When an area ends or has ended, as its province says.
    #[must_use]
    pub fn ends(&self, area: AreaCode) -> Option<UnixMillis> {
        self.by_area.get(&area).map(|(_, change)| change.from)
    }

    fn ended(&self, area: AreaCode, now: UnixMillis) -> Option<&AreaChange> {
        let (_, change) = self.by_area.get(&area)?;
        (change.from <= now).then_some(change)
    }

    /// Where mail for an area goes at a time. `serves` says whether an area has a node that serves: the table is as
    /// old as the program, and a node that serves knows better than it. What a province has signed counts more than
    /// either.
    pub fn destination(
        &self,
        to: AreaCode,
        now: UnixMillis,
        table: &AreaTable,
        serves: impl Fn(AreaCode) -> bool,
    ) -> Destination {
        let mut area = to.county();
        for _ in 0..HOPS_MAX {
            let successors = match self.ended(area, now) {
                Some(change) => change.successors.clone(),
                None if serves(area) => return Destination::Area(area),
                None => match table_successors(table, area, now) {
                    Ok(successors) => successors,
                    Err(NotEnded::InForce) => return Destination::Area(area),
                    Err(NotEnded::Unknown) if self.is_successor(area) => {
                        return Destination::Area(area);
                    }
                    Err(NotEnded::Unknown) => return Destination::Unknown,
                },
            };
            match successors.as_slice() {
                [] => return Destination::Ended,
                [one] => area = *one,
                several => return Destination::Split(several.to_vec()),
            }
        }
        // One that leads back to itself leads nowhere.
        Destination::Ended
    }
}

enum NotEnded {
    InForce,
    Unknown,
}

/// What took the place of an area that ended by the table.
fn table_successors(
    table: &AreaTable,
    area: AreaCode,
    now: UnixMillis,
) -> Result<Vec<AreaCode>, NotEnded> {
    let year = now.date().year();
    let latest = table.lookup(&area).ok_or(NotEnded::Unknown)?;
    // One that is first given in a later year will be in force by then.
    if latest.valid_until_year.is_none_or(|until| year < until) {
        return Err(NotEnded::InForce);
    }
    Ok(table.current_of(latest, year).iter().map(|area| area.code).collect())
}

#[cfg(test)]
mod tests {
    use exchange::card::SealingKey;
    use exchange::envelope::AlgorithmProfile;

    use super::*;

    /// 2026-11-11 in UTC+8.
    const NOW: UnixMillis = UnixMillis::new(1_794_326_400_000);

    fn area(code: &str) -> AreaCode {
        code.parse().unwrap()
    }

    fn areas(codes: &[&str]) -> Vec<AreaCode> {
        codes.iter().map(|code| area(code)).collect()
    }

    fn card(of: &str, changes: &[(&str, &[&str], u64)]) -> NodeCard {
        let change = |(ended, successors, from): &(&str, &[&str], u64)| AreaChange {
            area: area(ended),
            successors: areas(successors),
            from: UnixMillis::new(NOW.get() - 10 + from),
        };
        NodeCard {
            area: area(of),
            name: "x".to_owned(),
            endpoints: Vec::new(),
            sealing_keys: vec![SealingKey {
                profile: AlgorithmProfile::International,
                public_key: [1; 32],
                use_until: NOW,
            }],
            version: 1,
            valid_from: NOW,
            valid_until: NOW,
            maintenance: Vec::new(),
            area_changes: changes.iter().map(change).collect(),
            collects: false,
            retired: None,
            ledger_head: None,
        }
    }

    fn destination(changes: &AreaChanges, to: &str, serving: &[&str]) -> Destination {
        let serves = |code: AreaCode| serving.contains(&code.as_str());
        changes.destination(area(to), NOW, AreaTable::builtin(), serves)
    }

    #[test]
    fn an_area_in_force_is_its_own_destination_and_an_unknown_one_has_none() {
        let none = AreaChanges::default();
        let itself = Destination::Area(area("410522"));
        assert_eq!(destination(&none, "410522", &[]), itself);
        assert_eq!(destination(&none, "410522001", &[]), itself);
        assert_eq!(destination(&none, "419999", &[]), Destination::Unknown);
        // A node with a card proves that its area exists, whatever the table of this program says.
        assert_eq!(destination(&none, "419999", &["419999"]), Destination::Area(area("419999")));
    }

    #[test]
    fn the_table_knows_who_took_over() {
        let none = AreaChanges::default();
        // 崇文区 was merged into 东城区, 宣化县 was split.
        assert_eq!(destination(&none, "110103", &[]), Destination::Area(area("110101")));
        let split = Destination::Split(areas(&["130702", "130703", "130705"]));
        assert_eq!(destination(&none, "130721", &[]), split);
        // While a node still serves under the old code, it gets its mail.
        assert_eq!(destination(&none, "110103", &["110103"]), Destination::Area(area("110103")));
    }

    #[test]
    fn a_province_has_the_last_word_from_its_day_on() {
        let said = card("410000", &[("410522", &["410523"], 10), ("410526", &["410527"], 11)]);
        let changes = AreaChanges::of([&said]);
        // Also when the old node is still there, or its own prefecture says something else.
        assert_eq!(destination(&changes, "410522", &["410522"]), Destination::Area(area("410523")));
        let other = card("410500", &[("410522", &["410526"], 10)]);
        for order in [[&said, &other], [&other, &said]] {
            let changes = AreaChanges::of(order);
            assert_eq!(destination(&changes, "410522", &[]), Destination::Area(area("410523")));
        }
        assert!(changes.has_ended(area("410522"), NOW));
        // A change of tomorrow is none yet.
        assert_eq!(destination(&changes, "410526", &[]), Destination::Area(area("410526")));
        assert!(changes.is_successor(area("410527")) && !changes.has_ended(area("410526"), NOW));
    }

    #[test]
    fn changes_are_followed_but_not_in_circles() {
        let changes = AreaChanges::of([&card(
            "410000",
            &[
                ("410522", &["410523"], 0),
                ("410523", &["419998"], 0),
                ("410526", &["410527"], 0),
                ("410527", &["410526"], 0),
                ("410502", &["410503", "410505"], 0),
            ],
        )]);
        // The last in the row has a code that is younger than the table.
        assert_eq!(destination(&changes, "410522", &[]), Destination::Area(area("419998")));
        assert_eq!(destination(&changes, "410526", &[]), Destination::Ended);
        let split = Destination::Split(areas(&["410503", "410505"]));
        assert_eq!(destination(&changes, "410502", &[]), split);
    }
}
