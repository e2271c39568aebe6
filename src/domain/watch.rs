//! Watching a message: what its office has to be told when it is looked at, and when to look again.
//!
//! Pure: whoever keeps the clocks says how the message stands and what was told before, and gets back
//! what to tell now. Nothing is told twice, and a look that came late tells the latest only.

use std::time::Duration;

use crate::clock::Notice;
use crate::time::UnixMillis;

/// What does not change about a message that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// When its clock began: when the sender accepted it.
    pub start: UnixMillis,
    /// By when it has to be answered; none where nobody answers.
    pub due: Option<UnixMillis>,
    /// When it loses its purpose.
    pub expires: UnixMillis,
    /// How long it may lie unopened before anybody is told.
    pub unopened_after: Duration,
}

/// How a message stands when it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Sent from here; its recipient does not have it.
    Undelivered,
    /// Sent from here; the recipient has it since then, and nobody there has opened it.
    Unopened {
        /// Since when it lies there.
        since: UnixMillis,
    },
    /// Sent from here and opened there; the answer is missing, if one is due.
    Opened,
    /// Received here.
    Ours {
        /// Since when it lies here, while nobody has opened it.
        unopened_since: Option<UnixMillis>,
    },
    /// Nothing more is to come: it was answered, or it is on the list of dead letters.
    Settled,
}

/// What was told about a message before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The latest part of its clock.
    pub clock: Option<Notice>,
    /// That nobody has opened it.
    pub unopened: bool,
}

/// What its office has to be told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// So much of the clock has run, and the recipient does not have it.
    NotDelivered(Notice),
    /// So much of the clock has run, and nobody at the recipient's office has opened it.
    NotOpened(Notice),
    /// So much of the clock has run, and the recipient's office has not answered it.
    NotAnswered(Notice),
    /// So much of the clock has run, and our office has not answered it.
    ToAnswer(Notice),
    /// It has lain unopened for too long.
    Unopened,
    /// It has lost its purpose before its recipient had it.
    Expired,
}

/// What a look came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// What is to be told now.
    pub tell: Vec<Tell>,
    /// What has then been told.
    pub told: Told,
    /// When to look again; never when none.
    pub next: Option<UnixMillis>,
}

impl Told {
    const UNOPENED: u8 = 0x80;

    /// As one byte, for an index.
    #[must_use]
    pub const fn byte(self) -> u8 {
        let clock = match self.clock {
            None => 0,
            Some(notice) => notice.percent(),
        };
        if self.unopened { clock | Self::UNOPENED } else { clock }
    }

    /// From such a byte; what it does not know counts as nothing told.
    #[must_use]
    pub fn from_byte(byte: u8) -> Self {
        let percent = byte & !Self::UNOPENED;
        let clock = Notice::ALL.into_iter().find(|notice| notice.percent() == percent);
        Self { clock, unopened: byte & Self::UNOPENED != 0 }
    }
}

impl Watch {
    /// The end of its clock: when the answer is due, or else when it loses its purpose.
    #[must_use]
    pub fn end(&self) -> UnixMillis {
        self.due.map_or(self.expires, |due| due.min(self.expires))
    }

    /// Looks at the message.
    #[must_use]
    pub fn look(&self, standing: Standing, told: Told, now: UnixMillis) -> Look {
        if standing == Standing::Settled {
            return Look { tell: Vec::new(), told, next: None };
        }
        if standing == Standing::Undelivered && self.expires <= now {
            return Look { tell: vec![Tell::Expired], told, next: None };
        }
        let mut look = Look { tell: Vec::new(), told, next: None };
        self.look_at_clock(standing, now, &mut look);
        self.look_for_opening(standing, now, &mut look);
        if standing == Standing::Undelivered {
            look.at(self.expires, now);
        }
        look
    }

    fn look_at_clock(&self, standing: Standing, now: UnixMillis, look: &mut Look) {
        let runs = standing == Standing::Undelivered || self.due.is_some();
        if !runs {
            return;
        }
        let reached = Notice::reached_between(self.start, self.end(), now);
        if let Some(notice) = reached.filter(|notice| look.told.clock < Some(*notice)) {
            look.told.clock = Some(notice);
            look.tell.push(match standing {
                Standing::Undelivered => Tell::NotDelivered(notice),
                Standing::Unopened { .. } => Tell::NotOpened(notice),
                Standing::Opened | Standing::Settled => Tell::NotAnswered(notice),
                Standing::Ours { .. } => Tell::ToAnswer(notice),
            });
        }
        let told = look.told.clock;
        for notice in Notice::ALL.into_iter().filter(|notice| told < Some(*notice)) {
            look.at(notice.between(self.start, self.end()), now);
        }
    }

    fn look_for_opening(&self, standing: Standing, now: UnixMillis, look: &mut Look) {
        if look.told.unopened {
            return;
        }
        let since = match standing {
            Standing::Unopened { since } | Standing::Ours { unopened_since: Some(since) } => since,
            // It may have arrived by then, and nobody may have opened it.
            Standing::Undelivered => now,
            Standing::Opened | Standing::Ours { unopened_since: None } | Standing::Settled => {
                return;
            }
        };
        let until = since.saturating_add(self.unopened_after);
        if until <= now && standing != Standing::Undelivered {
            look.told.unopened = true;
            look.tell.push(Tell::Unopened);
        } else {
            look.at(until, now);
        }
    }
}

impl Look {
    /// Looks again at that time, or sooner when something else comes sooner; never in the past.
    fn at(&mut self, time: UnixMillis, now: UnixMillis) {
        let time = time.max(now.saturating_add(Duration::from_millis(1)));
        self.next = Some(self.next.map_or(time, |next| next.min(time)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: u64 = 86_400_000;

    fn at(days: u64) -> UnixMillis {
        UnixMillis::new(days * DAY)
    }

    fn question() -> Watch {
        Watch {
            start: at(0),
            due: Some(at(30)),
            expires: at(90),
            unopened_after: Duration::from_millis(5 * DAY),
        }
    }

    /// Looks whenever the watch asks to, until it does not; `standing` says how it stands at each day.
    fn follow(watch: Watch, standing: impl Fn(UnixMillis) -> Standing) -> Vec<(u64, Tell)> {
        let (mut told, mut now, mut all) = (Told::default(), watch.start, Vec::new());
        // One that waits 200 days and is asked for each day, with its notices.
        for _ in 0..250 {
            let look = watch.look(standing(now), told, now);
            all.extend(look.tell.iter().map(|tell| (now.get() / DAY, *tell)));
            told = look.told;
            assert_eq!(Told::from_byte(told.byte()), told);
            let Some(next) = look.next else { return all };
            assert!(next > now, "time goes on");
            now = next;
        }
        panic!("it does not end")
    }

    #[test]
    fn a_question_that_never_arrives_is_told_three_times_and_then_expires() {
        let told = follow(question(), |_| Standing::Undelivered);
        let clock = Notice::ALL.map(Tell::NotDelivered);
        assert_eq!(told, [(15, clock[0]), (24, clock[1]), (30, clock[2]), (90, Tell::Expired)]);
    }

    #[test]
    fn a_question_that_nobody_opens_or_answers_is_told_as_what_it_is() {
        // Arrives on the second day, is opened on the 20th, and never answered.
        let stands = |now: UnixMillis| match now.get() / DAY {
            0..2 => Standing::Undelivered,
            2..20 => Standing::Unopened { since: at(2) },
            _ => Standing::Opened,
        };
        let told = follow(question(), stands);
        let expected = [
            (7, Tell::Unopened),
            (15, Tell::NotOpened(Notice::Half)),
            (24, Tell::NotAnswered(Notice::Most)),
            (30, Tell::NotAnswered(Notice::Late)),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_nobody_answers_is_watched_until_it_is_opened() {
        let report = Watch { due: None, ..question() };
        let unopened = follow(report, |now| match now.get() / DAY {
            0 => Standing::Undelivered,
            _ => Standing::Unopened { since: at(1) },
        });
        assert_eq!(unopened, [(6, Tell::Unopened)]);
        assert_eq!(follow(report, |_| Standing::Opened), []);
        let never = follow(report, |_| Standing::Undelivered);
        let clock = Notice::ALL.map(Tell::NotDelivered);
        assert_eq!(never, [(45, clock[0]), (72, clock[1]), (90, Tell::Expired)]);
    }

    #[test]
    fn our_own_office_is_reminded_of_what_it_has_to_answer_and_to_open() {
        let ours = |now: UnixMillis| {
            let opened = now >= at(10);
            Standing::Ours { unopened_since: (!opened).then_some(at(0)) }
        };
        let told = follow(question(), ours);
        let clock = Notice::ALL.map(Tell::ToAnswer);
        let expected = [(5, Tell::Unopened), (15, clock[0]), (24, clock[1]), (30, clock[2])];
        assert_eq!(told, expected);
        assert_eq!(follow(question(), |_| Standing::Settled), []);
    }

    #[test]
    fn a_look_that_comes_late_tells_the_latest_only() {
        let look = question().look(Standing::Opened, Told::default(), at(100));
        assert_eq!(look.tell, [Tell::NotAnswered(Notice::Late)]);
        assert_eq!(look.next, None);
    }

    proptest! {
        #[test]
        fn every_watch_ends_and_tells_nothing_twice(
            length in 1..400_u64,
            expires in 1..400_u64,
            answered: bool,
            arrives in 0..200_u64,
            opened in 0..200_u64,
            patience in 1..30_u64,
        ) {
            let due = answered.then(|| at(length));
            let unopened_after = Duration::from_millis(patience * DAY);
            let watch = Watch { start: at(0), due, expires: at(expires), unopened_after };
            let told = follow(watch, |now| match now {
                now if now < at(arrives) => Standing::Undelivered,
                now if now < at(arrives + opened) => Standing::Unopened { since: at(arrives) },
                _ => Standing::Opened,
            });
            let clock = |tell: &Tell| match tell {
                Tell::NotDelivered(n) | Tell::NotOpened(n) | Tell::NotAnswered(n)
                | Tell::ToAnswer(n) => Some(*n),
                Tell::Unopened | Tell::Expired => None,
            };
            let parts: Vec<_> = told.iter().filter_map(|(_, tell)| clock(tell)).collect();
            prop_assert!(parts.is_sorted_by(|a, b| a < b), "{told:?}");
            let unopened = told.iter().filter(|(_, tell)| *tell == Tell::Unopened).count();
            prop_assert!(unopened <= 1);
            if arrives > expires {
                prop_assert_eq!(told.last(), Some(&(expires, Tell::Expired)));
            }
        }
    }
}
