//! How many days are compared at once. At first all of a scope; where one side has far more entries there than the other,
//! fewer, down to single days, one portion after the other. What was compared stays compared, whatever breaks off after it.

use domain::time::Date;

use super::set::Scope;

/// The days of a scope that are still to be compared, in portions, the first days first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portions {
    scope: Scope,
    /// The next one is the last.
    left: Vec<(Date, Date)>,
    done: u32,
}

impl Portions {
    /// All of a scope in one portion.
    #[must_use]
    pub fn of(scope: Scope) -> Self {
        Self { scope, left: vec![(scope.first, scope.last)], done: 0 }
    }

    /// What is to be compared next; `None` when all was.
    #[must_use]
    pub fn next(&self) -> Option<Scope> {
        let (first, last) = *self.left.last()?;
        Some(Scope { first, last, ..self.scope })
    }

    /// The next portion was compared.
    pub fn compared(&mut self) {
        self.done = self.done.saturating_add(u32::from(self.left.pop().is_some()));
    }

    /// How many portions were compared.
    #[must_use]
    pub const fn done(&self) -> u32 {
        self.done
    }

    /// Splits the next portion, of which one side has so many entries where `most` are compared at once: into as many
    /// portions as it takes if each day has as many as the others, at least two. Says whether it could be; one day is not
    /// split.
    ///
    /// However often that is called, no more portions come of a scope than it has days, and no more refusals than that:
    /// so what a side says of its size costs the other no more than its own scope does.
    pub fn split(&mut self, entries: u64, most: u64) -> bool {
        let Some((first, last)) = self.left.last().copied() else { return false };
        let days = last.epoch_days().saturating_sub(first.epoch_days()).saturating_add(1);
        if days < 2 {
            return false;
        }
        let wanted = i32::try_from(entries.div_ceil(most.max(1))).unwrap_or(i32::MAX);
        let size = days / wanted.clamp(2, days);
        self.left.pop();
        let mut until = last;
        while until >= first {
            let begin = first.max(until.plus_days(1 - size));
            self.left.push((begin, until));
            until = begin.plus_days(-1);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples::NOW;
    use crate::samples::area;

    fn scope(days: i32) -> Scope {
        let (asker, answerer) = (area("410000"), area("440000"));
        let first = NOW.date();
        Scope { asker, answerer, first, last: first.plus_days(days - 1), until: NOW }
    }

    /// Compares day by day so many entries, of which so many may be in one portion; gives the portions, and how often one was
    /// too large.
    fn compare(each: &[u64], most: u64) -> (Vec<(Date, Date)>, usize, Option<Date>) {
        let scope = scope(i32::try_from(each.len()).unwrap());
        let (mut portions, mut seen, mut refused) = (Portions::of(scope), Vec::new(), 0);
        while let Some(part) = portions.next() {
            let at =
                |day: Date| usize::try_from(day.epoch_days() - scope.first.epoch_days()).unwrap();
            let entries = each[at(part.first)..=at(part.last)].iter().sum();
            if entries <= most {
                seen.push((part.first, part.last));
                portions.compared();
                assert_eq!(usize::try_from(portions.done()).unwrap(), seen.len());
            } else {
                refused += 1;
                if !portions.split(entries, most) {
                    return (seen, refused, Some(part.first));
                }
            }
        }
        (seen, refused, None)
    }

    #[test]
    fn what_fits_is_compared_at_once_and_what_does_not_in_as_few_portions_as_it_takes() {
        let (seen, refused, stuck) = compare(&[100; 31], 3_100);
        assert_eq!((seen.len(), refused, stuck), (1, 0, None));
        let (seen, refused, stuck) = compare(&[100; 31], 1_000);
        assert_eq!((seen.len(), refused, stuck), (5, 1, None));
        // All on one day: the portions around it are not split.
        let mut one = [0; 31];
        one[17] = 1_000;
        let (seen, refused, stuck) = compare(&one, 1_000);
        assert_eq!((seen.len(), refused, stuck), (1, 0, None));
        one[18] = 1;
        let (seen, refused, stuck) = compare(&one, 1_000);
        assert!(seen.len() <= 10 && refused <= 5, "{} {refused}", seen.len());
        assert_eq!(stuck, None);
    }

    #[test]
    fn a_single_day_is_not_split_and_what_lies_before_it_stays_compared() {
        let mut each = [1; 30];
        each[20] = 101;
        let (seen, _, stuck) = compare(&each, 100);
        let first = scope(30).first;
        assert_eq!(stuck, Some(first.plus_days(20)));
        assert_eq!(seen.last().map(|(_, last)| *last), Some(first.plus_days(19)));
        let mut over = Portions::of(scope(1));
        over.compared();
        assert!(!over.split(5, 1) && over.next().is_none());
    }

    #[test]
    fn a_side_that_always_says_it_has_more_costs_as_many_refusals_as_there_are_days() {
        for (entries, most) in [(u64::MAX, 1), (u64::MAX, 0), (0, 0), (u64::MAX, u64::MAX), (7, 9)]
        {
            let mut portions = Portions::of(scope(366));
            let mut refused = 0;
            while portions.split(entries, most) {
                refused += 1;
                assert!(refused < 366);
            }
            let next = portions.next().unwrap();
            assert_eq!(next.first, next.last);
        }
    }

    proptest! {
        #[test]
        fn every_day_is_compared_once_and_in_order(
            each in proptest::collection::vec(0_u64..50, 1..100),
            most in 50_u64..400,
        ) {
            let (seen, refused, stuck) = compare(&each, most);
            prop_assert_eq!(stuck, None);
            prop_assert!(refused <= each.len());
            let mut day = scope(1).first;
            for (first, last) in seen {
                prop_assert_eq!(first, day);
                day = last.plus_days(1);
            }
            prop_assert_eq!(day, scope(1).first.plus_days(i32::try_from(each.len()).unwrap()));
        }
    }
}
