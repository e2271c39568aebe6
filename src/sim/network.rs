//! The network: connections that keep the order of what is sent over them, until they break.
//!
//! A connection is what TCP and TLS make of a line: it opens after a round trip, delivers whole frames in order, late
//! and ever later on a slow line, and one day it is gone together with what was on its way. Frames of different
//! connections overtake each other. Where a line is cut, nothing is said: both ends notice when signs of life do not
//! come. What is delivered is what was sent: a frame is a value that nobody here can make or change.

mod weather;

use std::collections::BTreeMap;

use crate::coming::{Coming, End};
use crate::dice::Dice;
use crate::mail::Frame;
use crate::plan::NodeNo;
use crate::timeline::{Moment, Timeline};

pub(crate) use weather::{Cut, Lines, Weather};

/// A call that nobody answers is given up after so long, milliseconds.
const DIAL_TIMEOUT: u64 = 5_000;
/// An end that hears no sign of life notices it after so long at the earliest and at the latest, milliseconds.
const SILENCE: (u64, u64) = (10_000, 30_000);

/// Number of a connection; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnNo(u64);

/// One connection.
#[derive(Debug)]
struct Conn {
    caller: NodeNo,
    callee: NodeNo,
    /// Last arrival planned toward the caller and toward the callee.
    arrives: [Moment; 2],
    /// Something on it was lost: nothing arrives any more, and both ends will notice.
    broken: bool,
}

/// All connections, and the weather that they have to stand.
#[derive(Debug)]
pub(crate) struct Network {
    conns: BTreeMap<ConnNo, Conn>,
    opened: u64,
    dice: Dice,
    pub(crate) weather: Weather,
}

impl Network {
    pub(crate) const fn new(dice: Dice, weather: Weather) -> Self {
        Self { conns: BTreeMap::new(), opened: 0, dice, weather }
    }

    /// Calls a node. The callee hears of it as [`Coming::Called`], the caller as [`Coming::Answered`] or
    /// [`Coming::HungUp`].
    pub(crate) fn dial(
        &mut self,
        timeline: &mut Timeline<Coming>,
        now: Moment,
        caller: NodeNo,
        callee: NodeNo,
    ) -> ConnNo {
        self.opened += 1;
        let conn = ConnNo(self.opened);
        self.conns.insert(conn, Conn { caller, callee, arrives: [now; 2], broken: false });
        if self.weather.can_call(caller, callee) {
            let there = self.arrival(now, conn, End::Callee, 0);
            timeline.plan(there, Coming::Called { conn, caller, callee });
        } else {
            self.lose(timeline, now.after(DIAL_TIMEOUT), conn);
        }
        conn
    }

    /// Nobody listens at the callee: the caller is told at once.
    pub(crate) fn refuse(&mut self, timeline: &mut Timeline<Coming>, now: Moment, conn: ConnNo) {
        let back = self.arrival(now, conn, End::Caller, 0);
        self.lose(timeline, back, conn);
    }

    /// The callee has taken the call; the caller hears it after the way back.
    pub(crate) fn answer(&mut self, timeline: &mut Timeline<Coming>, now: Moment, conn: ConnNo) {
        let back = self.arrival(now, conn, End::Caller, 0);
        if let Some(known) = self.conns.get(&conn) {
            timeline.plan(back, Coming::Answered { conn, caller: known.caller });
        }
    }

    /// Puts a frame on a connection. Says whether the sender still has that connection.
    pub(crate) fn send(
        &mut self,
        timeline: &mut Timeline<Coming>,
        now: Moment,
        (conn, to): (ConnNo, End),
        frame: Frame,
    ) {
        let Some(known) = self.conns.get(&conn).filter(|known| !known.broken) else { return };
        let (from, node) = match to {
            End::Caller => (known.callee, known.caller),
            End::Callee => (known.caller, known.callee),
        };
        if self.weather.passes(from, node) {
            let at = self.arrival(now, conn, to, frame.bytes());
            timeline.plan(at, Coming::Frame { conn, to, node, frame });
        } else {
            self.silence(timeline, now, conn);
        }
    }

    /// Whether a frame that is just arriving gets through to its end.
    pub(crate) fn delivers(&self, conn: ConnNo, to: End) -> bool {
        self.conns.get(&conn).is_some_and(|known| {
            let (from, node) = match to {
                End::Caller => (known.callee, known.caller),
                End::Callee => (known.caller, known.callee),
            };
            !known.broken && self.weather.passes(from, node)
        })
    }

    /// One end hangs up, and knows it; the other hears it after the way over.
    pub(crate) fn hang_up(
        &mut self,
        timeline: &mut Timeline<Coming>,
        now: Moment,
        (conn, by): (ConnNo, End),
    ) {
        let at = self.arrival(now, conn, by.other(), 0);
        let Some(gone) = self.conns.remove(&conn) else { return };
        let passes = match by {
            End::Caller => self.weather.passes(gone.caller, gone.callee),
            End::Callee => self.weather.passes(gone.callee, gone.caller),
        };
        let late = self.dice.between(SILENCE.0, SILENCE.1);
        let at = if passes && !gone.broken { at } else { now.after(late) };
        let node = if by == End::Caller { gone.callee } else { gone.caller };
        timeline.plan(at, Coming::HungUp { conn, node });
    }

    /// A node is gone. The others hear it at once when the machine lives, and by silence when it does not.
    pub(crate) fn fell(
        &mut self,
        timeline: &mut Timeline<Coming>,
        now: Moment,
        node: NodeNo,
        silently: bool,
    ) {
        let its = |conn: &&ConnNo| self.conns.get(conn).is_some_and(|c| c.has(node));
        let its: Vec<_> = self.conns.keys().filter(its).copied().collect();
        for conn in its {
            let by = match self.conns.get(&conn) {
                Some(known) if known.caller == node => End::Caller,
                _ => End::Callee,
            };
            if silently && let Some(known) = self.conns.get_mut(&conn) {
                known.broken = true;
            }
            self.hang_up(timeline, now, (conn, by));
        }
    }

    /// A connection breaks without a word, as when a router forgets it.
    pub(crate) fn break_one(&mut self, timeline: &mut Timeline<Coming>, now: Moment) {
        let live: Vec<_> = self.conns.keys().copied().collect();
        if let Some(conn) = self.dice.pick(&live).copied() {
            self.silence(timeline, now, conn);
        }
    }

    /// Connections over lines that are cut are noticed as dead even if nothing is sent over them.
    pub(crate) fn storm(&mut self, timeline: &mut Timeline<Coming>, now: Moment) {
        let blocked = |(_, c): &(&ConnNo, &Conn)| {
            let weather = &self.weather;
            !weather.passes(c.caller, c.callee) || !weather.passes(c.callee, c.caller)
        };
        let blocked: Vec<_> = self.conns.iter().filter(blocked).map(|(no, _)| *no).collect();
        for conn in blocked {
            self.silence(timeline, now, conn);
        }
    }

    /// A frame did not get through: nothing does any more.
    pub(crate) fn lost(&mut self, timeline: &mut Timeline<Coming>, now: Moment, conn: ConnNo) {
        self.silence(timeline, now, conn);
    }

    /// Nothing passes any more; both ends notice in their own time.
    fn silence(&mut self, timeline: &mut Timeline<Coming>, now: Moment, conn: ConnNo) {
        let Some(known) = self.conns.get_mut(&conn).filter(|known| !known.broken) else { return };
        known.broken = true;
        for node in [known.caller, known.callee] {
            let late = self.dice.between(SILENCE.0, SILENCE.1);
            timeline.plan(now.after(late), Coming::HungUp { conn, node });
        }
    }

    /// A call that comes to nothing.
    fn lose(&mut self, timeline: &mut Timeline<Coming>, at: Moment, conn: ConnNo) {
        if let Some(gone) = self.conns.remove(&conn) {
            timeline.plan(at, Coming::HungUp { conn, node: gone.caller });
        }
    }

    /// Both ends know that it is over.
    pub(crate) fn forget(&mut self, conn: ConnNo) {
        self.conns.remove(&conn);
    }

    /// When something that is sent now arrives: after the delay of the line, and after what was sent before.
    fn arrival(&mut self, now: Moment, conn: ConnNo, to: End, bytes: u64) -> Moment {
        let Some(known) = self.conns.get_mut(&conn) else { return now };
        let delay = self.weather.delay(known.caller, known.callee, bytes, &mut self.dice);
        let slot = match to {
            End::Caller => &mut known.arrives[0],
            End::Callee => &mut known.arrives[1],
        };
        *slot = now.after(delay).max(*slot);
        *slot
    }
}

impl Conn {
    fn has(&self, node: NodeNo) -> bool {
        self.caller == node || self.callee == node
    }
}
