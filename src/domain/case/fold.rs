//! The state machine of a case: one step after the other, in the one order.

use std::time::Duration;

use super::{Case, Deed, Seat, Stage, Step};
use crate::area::AreaCode;
use crate::clock::Clock;
use crate::id::MessageId;
use crate::message::Kind;
use crate::reason::Reason;
use crate::time::UnixMillis;

/// Who holds a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The office.
    pub area: AreaCode,
    /// How often the side has changed hands, from 1.
    pub term: u32,
}

/// A side that has changed hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The step by which it did; of one that was told in several messages, the first.
    pub id: MessageId,
    /// Which side.
    pub seat: Seat,
    /// Who gave it away.
    pub from: AreaCode,
    /// When.
    pub at: UnixMillis,
    /// By when whoever gave the answering side away had to have answered, as it is counted (see [`View::counted`]); none
    /// for the asking side, and while nobody had to answer.
    pub due: Option<UnixMillis>,
}

/// How a case stands: the same at every node that has the same steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Where it stands.
    pub stage: Stage,
    /// What opened it; none while that is not known.
    pub kind: Option<Kind>,
    /// Who asks.
    pub asking: Option<Held>,
    /// Who answers.
    pub answering: Option<Held>,
    /// When the answer is due, with all pauses; none where nobody has to answer.
    pub due: Option<UnixMillis>,
    /// Since when the clock stands still.
    pub paused: Option<UnixMillis>,
    /// The clarification that is open.
    pub clarify: Option<MessageId>,
    /// The answer that counts.
    pub answer: Option<MessageId>,
    /// Steps that have no effect where they stand, and why.
    pub idle: Vec<(MessageId, Reason)>,
    /// Steps that wait: for what opened the case, or for the hand-over that gave their sender its side.
    pub waiting: Vec<MessageId>,
    /// How its sides changed hands, in order.
    pub moves: Vec<Move>,
    /// By when the office that answers now has to have answered for its own numbers: a whole clock after it took the side
    /// over, where that is later than the due time. Nobody is counted for the time in which another had the case.
    pub counted: Option<UnixMillis>,
}

impl View {
    const fn unknown() -> Self {
        Self {
            stage: Stage::Waiting,
            kind: None,
            asking: None,
            answering: None,
            due: None,
            paused: None,
            clarify: None,
            answer: None,
            idle: Vec::new(),
            waiting: Vec::new(),
            moves: Vec::new(),
            counted: None,
        }
    }

    /// Who holds a side.
    #[must_use]
    pub const fn held(&self, seat: Seat) -> Option<Held> {
        match seat {
            Seat::Asking => self.asking,
            Seat::Answering => self.answering,
        }
    }

    /// Whether an office holds a side. After two hand-overs to one office it may hold both.
    #[must_use]
    pub fn sits(&self, area: AreaCode, seat: Seat) -> bool {
        self.held(seat).is_some_and(|held| held.area.county() == area.county())
    }

    /// Whose turn it is.
    #[must_use]
    pub const fn turn(&self) -> Option<Seat> {
        match self.stage {
            Stage::Asked => Some(Seat::Answering),
            Stage::Clarifying | Stage::Answered | Stage::Rejected => Some(Seat::Asking),
            Stage::Waiting | Stage::Offered | Stage::Told | Stage::Voided | Stage::Closed => None,
        }
    }

    /// The office whose turn it is: the holder of the case.
    #[must_use]
    pub fn holder(&self) -> Option<AreaCode> {
        self.turn().and_then(|seat| self.held(seat)).map(|held| held.area)
    }

    /// Whether `own` may do this now.
    ///
    /// # Errors
    /// See [`Case::may`].
    pub fn may(&self, own: AreaCode, deed: Deed) -> Result<(), Reason> {
        must(self.kind.is_some(), Reason::UnknownCase)?;
        if let Deed::Offer { seat, term, .. } = deed {
            return self.may_offer(own, seat, term);
        }
        self.clone().apply(own, UnixMillis::new(0), MessageId::from_bytes([0; 16]), deed)
    }

    /// Only the holder offers its side, and not of a case that is over.
    fn may_offer(&self, own: AreaCode, seat: Seat, term: u32) -> Result<(), Reason> {
        let held = self.held(seat).ok_or(Reason::UnknownCase)?;
        must(self.sits(own, seat), Reason::NotHolder)?;
        must(!self.stage.is_over(), Reason::CaseClosed)?;
        must(term == held.term.saturating_add(1), Reason::StateForbids)
    }

    /// One step. What is refused changes nothing.
    fn apply(
        &mut self,
        from: AreaCode,
        at: UnixMillis,
        id: MessageId,
        deed: Deed,
    ) -> Result<(), Reason> {
        use Seat::{Answering, Asking};
        let sits = |seat| must(self.sits(from, seat), Reason::NotHolder);
        let over =
            || must(!matches!(self.stage, Stage::Voided | Stage::Closed), Reason::CaseClosed);
        let either = || sits(Asking).or_else(|_| sits(Answering));
        match deed {
            // Between the holder and whoever may take over: see `hand_over`.
            Deed::Offer { .. } | Deed::Accept { .. } | Deed::Withdraw { .. } => Ok(()),
            Deed::Transfer { seat, term, area } => self.transfer(from, seat, term, area),
            // What was wrong can always be put right, also when the case is over.
            Deed::Correct { .. } => {
                either()?;
                if self.stage == Stage::Rejected && self.sits(from, Asking) {
                    self.resume(at);
                }
                Ok(())
            }
            Deed::Document { .. } => either(),
            Deed::Open { .. } => either().and(Err(Reason::StateForbids)),
            Deed::Answer { kind } => {
                sits(Answering).and_then(|()| over())?;
                self.answer(at, id, kind)
            }
            Deed::Clarify => {
                sits(Answering).and_then(|()| over())?;
                self.clarify(at, id)
            }
            Deed::Clarification { clarify } => {
                sits(Asking).and_then(|()| over())?;
                self.clarified(at, clarify)
            }
            Deed::Reject => {
                sits(Answering).and_then(|()| over())?;
                self.reject(at)
            }
            Deed::Remind => {
                either().and_then(|()| over())?;
                // Nobody reminds himself.
                sits(self.turn().ok_or(Reason::StateForbids)?.other())
            }
            Deed::Void => {
                sits(Asking).and_then(|()| over())?;
                must(self.stage != Stage::Answered, Reason::AlreadyAnswered)?;
                self.end(Stage::Voided)
            }
            Deed::Close => {
                sits(Asking).and_then(|()| over())?;
                let can = matches!(self.stage, Stage::Answered | Stage::Rejected);
                must(can, Reason::StateForbids)?;
                self.end(Stage::Closed)
            }
        }
    }

    fn end(&mut self, stage: Stage) -> Result<(), Reason> {
        (self.stage, self.paused, self.clarify) = (stage, None, None);
        Ok(())
    }

    /// An answer ends a pause, too: the clock is late by what it stood still, and not by more.
    fn answer(&mut self, at: UnixMillis, id: MessageId, kind: Kind) -> Result<(), Reason> {
        must(self.stage != Stage::Answered, Reason::AlreadyAnswered)?;
        must(matches!(self.stage, Stage::Asked | Stage::Clarifying), Reason::StateForbids)?;
        must(self.kind.and_then(Kind::answered_by) == Some(kind), Reason::StateForbids)?;
        if self.paused.is_some() {
            self.resume(at);
        }
        (self.stage, self.answer) = (Stage::Answered, Some(id));
        Ok(())
    }

    fn clarify(&mut self, at: UnixMillis, id: MessageId) -> Result<(), Reason> {
        must(self.stage == Stage::Asked, Reason::StateForbids)?;
        (self.stage, self.paused, self.clarify) = (Stage::Clarifying, Some(at), Some(id));
        Ok(())
    }

    fn clarified(&mut self, at: UnixMillis, clarify: MessageId) -> Result<(), Reason> {
        let open = self.stage == Stage::Clarifying && self.clarify == Some(clarify);
        must(open, Reason::StateForbids)?;
        self.resume(at);
        Ok(())
    }

    fn reject(&mut self, at: UnixMillis) -> Result<(), Reason> {
        must(matches!(self.stage, Stage::Asked | Stage::Clarifying), Reason::StateForbids)?;
        self.paused.get_or_insert(at);
        (self.stage, self.clarify) = (Stage::Rejected, None);
        Ok(())
    }

    /// The clock runs on, as many days later as it stood still.
    fn resume(&mut self, at: UnixMillis) {
        let since = self.paused.take().unwrap_or(at);
        let clock = self.kind.and_then(Kind::clock);
        let later = |due: Option<UnixMillis>| due.map(|due| prolonged(clock, due, since, at));
        (self.due, self.counted) = (later(self.due), later(self.counted));
        (self.stage, self.clarify) = (Stage::Asked, None);
    }

    /// Only the holder hands over, each term once. It depends on nothing else: what was given away stays so, whatever
    /// else turns out to have been written before it.
    fn transfer(
        &mut self,
        from: AreaCode,
        seat: Seat,
        term: u32,
        area: AreaCode,
    ) -> Result<(), Reason> {
        let held = self.held(seat).ok_or(Reason::UnknownCase)?;
        let next = self.sits(from, seat) && term == held.term.saturating_add(1);
        must(next, Reason::NotHolder)?;
        let held = Some(Held { area, term });
        match seat {
            Seat::Asking => self.asking = held,
            Seat::Answering => self.answering = held,
        }
        Ok(())
    }
}

impl View {
    /// Notes that a side has changed hands. Whoever answers from now on has as long as whoever was asked had.
    fn moved(
        &mut self,
        step: &Step,
        seat: Seat,
        (opened, first_due): (UnixMillis, Option<UnixMillis>),
    ) {
        let answers = seat == Seat::Answering;
        let due = self.counted.filter(|_| answers && self.stage == Stage::Asked);
        let Step { id, from, created: at, .. } = *step;
        self.moves.push(Move { id, seat, from, at, due });
        if answers {
            let clock = self.kind.and_then(Kind::clock);
            let own = first_due.map(|due| prolonged(clock, due, opened, at));
            self.counted = own.max(self.due);
        }
    }
}

fn must(holds: bool, otherwise: Reason) -> Result<(), Reason> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// A due time, moved by the days from `since` to `until`: calendar days or working days, as the clock counts. Depends on
/// nothing but signed times and the official calendar.
fn prolonged(
    clock: Option<Clock>,
    due: UnixMillis,
    since: UnixMillis,
    until: UnixMillis,
) -> UnixMillis {
    let last = due.saturating_sub(Duration::from_millis(1)).date();
    let days = match clock {
        Some(Clock::WorkingDays(_)) => {
            Clock::WorkingDays(crate::calendar::working_days_between(since.date(), until.date()))
        }
        Some(Clock::Days(_)) | None => {
            let days = until.date().epoch_days().saturating_sub(since.date().epoch_days());
            Clock::Days(u16::try_from(days.max(0)).unwrap_or(u16::MAX))
        }
    };
    days.due(last.begins()).at()
}

/// Plays the steps of a case.
pub(super) fn view(case: &Case) -> View {
    let opening = case.steps.get(&case.id.opening_message());
    let steps = case.steps();
    let Some(Step { from, to, created, deed: Deed::Open { kind, due }, .. }) = opening else {
        let offered = steps.iter().any(|step| matches!(step.deed, Deed::Offer { .. }));
        let stage = if offered { Stage::Offered } else { Stage::Waiting };
        let waiting = steps.iter().filter(|step| !step.deed.is_between_two());
        let waiting = waiting.map(|step| step.id).collect();
        return View { stage, waiting, ..View::unknown() };
    };
    let (asked, opened) = (kind.answered_by().is_some(), *created);
    let mut view = View {
        stage: if asked { Stage::Asked } else { Stage::Told },
        kind: Some(*kind),
        asking: Some(Held { area: *from, term: 1 }),
        answering: Some(Held { area: *to, term: 1 }),
        due: *due,
        counted: *due,
        ..View::unknown()
    };
    let mut sat = vec![from.county(), to.county()];
    for step in steps {
        if step.id == case.id.opening_message() || step.deed.is_between_two() {
            continue;
        }
        if let Deed::Transfer { seat, term, area } = step.deed
            && view.held(seat) == Some(Held { area, term })
        {
            // Told twice: by the hand-over itself, and by the old holder to the other side.
            continue;
        }
        match view.apply(step.from, step.created, step.id, step.deed) {
            Ok(()) => {
                if let Deed::Transfer { seat, area, .. } = step.deed {
                    sat.push(area.county());
                    view.moved(step, seat, (opened, *due));
                }
            }
            Err(Reason::NotHolder) if !sat.contains(&step.from.county()) => {
                view.waiting.push(step.id);
            }
            Err(reason) => view.idle.push((step.id, reason)),
        }
    }
    view
}
