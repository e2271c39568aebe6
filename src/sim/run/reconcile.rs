//! After a month: provinces compare their ledgers, counties cure what differs, and both sign, month by month.
//! `delivery::reconcile`.
//!
//! The conversation is that of the real node ([`Asker`], [`Answerer`]), and so are the names and the owners of the cures, and
//! the rules by which a run ends and days are closed. It goes wrong here as well: calls do not come through, conversations
//! break off, reports come in part, programs end, answers are lost, and both sides run at once.

mod curing;
mod signing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use domain::id::MessageId;
use domain::time::{Date, UnixMillis};
use exchange::reconcile::difference::{Difference, DifferenceName};
use exchange::reconcile::portions::Portions;
use exchange::reconcile::run::{curable, is_unsure};
use exchange::reconcile::session::{
    Answerer, Asker, Incomplete, Lacks, SessionError, UNMATCHED_MAX,
};
use exchange::reconcile::set::{EntrySet, Scope};
use exchange::reconcile::signing::Keeping;
use exchange::reconcile::statement::Correction;
use exchange::reconcile::totals::Holding;

use self::signing::Signing;
use super::Simulation;
use crate::clock;
use crate::history::Fact;
use crate::node::cures::Reported;
use crate::plan::{DAY_MS, NodeNo};
use crate::timeline::Moment;

/// Comparisons of one run and of those that the schedule begins when it has failed: twice those of
/// `delivery::reconcile::running`. In the second half of them nothing goes wrong any more.
const COMPARISONS_MAX: u32 = 24;
/// Steps of the runs of one pair and period at most.
const STEPS_MAX: u32 = 4_000;
/// Of a thousand calls of the first comparisons, so many fail.
const FAILING_PER_MILLE: u64 = 80;
/// Of a thousand pairs that can both call, in so many both sides run at once.
const BOTH_PER_MILLE: u64 = 500;
/// Of a thousand runs, so many are of sides that bear only so many entries more than four times their own at once.
const NARROW_PER_MILLE: u64 = 200;
const NARROW_MAX: u64 = 2;
/// Clocks were wrong by less than this before the calm: nothing has a later time than so long after it.
const LATEST_MS: u64 = 5 * DAY_MS;

/// What counties have told the node above them.
pub(super) type Reports = BTreeMap<NodeNo, BTreeMap<NodeNo, Reported>>;

/// What a comparison has come to.
#[derive(Clone, Debug, Default)]
struct Compared {
    differences: Vec<Difference>,
    /// What the asker holds, of the days compared before and of these.
    held: Holding,
    /// Of both sides.
    incomplete: Vec<Incomplete>,
}

impl Compared {
    /// With what the comparison of the days after these has come to.
    fn add(&mut self, other: Self) {
        self.differences.extend(other.differences);
        self.held = other.held;
        let mut incomplete: BTreeMap<_, _> = self.incomplete.drain(..).collect();
        for (county, since) in other.incomplete {
            let known = incomplete.entry(county).or_insert(since);
            *known = (*known).min(since);
        }
        self.incomplete = incomplete.into_iter().collect();
    }
}

/// Why a conversation came to nothing.
enum Broken {
    /// It broke off.
    Off,
    /// One side has too many entries for one comparison.
    TooLarge { entries: u64, most: u64 },
}

/// A run of one side, with what the schedule begins after it.
struct Run {
    asker: NodeNo,
    answerer: NodeNo,
    scope: Scope,
    comparisons: u32,
    /// What the present comparison has still to look at, what it has come to so far, and whether something may be cured in
    /// that.
    portions: Portions,
    whole: Compared,
    again: bool,
    unmatched_max: u64,
    /// Everything that was ever found.
    ever: BTreeMap<MessageId, DifferenceName>,
    /// What the comparison before found for a person.
    before: BTreeSet<MessageId>,
    lost: BTreeSet<MessageId>,
    /// The corrections that the other side has found, once it has told.
    theirs: Option<Vec<Correction>>,
    stage: Stage,
}

/// What a run does next.
enum Stage {
    Compares,
    Signs(Box<Signing>),
    Ended,
}

impl Run {
    fn new((asker, answerer): (NodeNo, NodeNo), scope: Scope, unmatched_max: u64) -> Self {
        Self {
            asker,
            answerer,
            scope,
            comparisons: 0,
            portions: Portions::of(scope),
            whole: Compared::default(),
            again: false,
            unmatched_max,
            ever: BTreeMap::new(),
            before: BTreeSet::new(),
            lost: BTreeSet::new(),
            theirs: None,
            stage: Stage::Compares,
        }
    }

    /// Whether nothing goes wrong any more.
    const fn is_quiet(&self) -> bool {
        2 * self.comparisons >= COMPARISONS_MAX
    }

    const fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended)
    }
}

impl Simulation {
    /// Every two provinces reconcile, and every two counties of one province: each month that is over, and what comes after
    /// that, which closes nothing. Says how many things happened.
    pub(super) fn reconcile(&mut self) -> u64 {
        let plan = std::rc::Rc::clone(&self.world.plan);
        // Everybody's clock shows that the days are over.
        self.world.now = self.world.now.max(plan.calm.after(LATEST_MS));
        let until = clock::right(self.world.now);
        let until = UnixMillis::new(until.get().saturating_sub(3_600_000));
        let begun = clock::right(Moment::BEGINNING).date().plus_days(-4);
        let all: Vec<NodeNo> = plan.numbers().collect();
        let pairs = all.iter().enumerate().flat_map(|(at, one)| {
            let others = all.get(at + 1..).unwrap_or_default();
            others.iter().map(|other| (*one, *other))
        });
        let together =
            |(one, other): &(NodeNo, NodeNo)| plan.province(*one) == plan.province(*other);
        let pairs: Vec<_> = pairs.filter(together).collect();
        let mut steps = 0;
        for days in periods(begun, until) {
            for pair in &pairs {
                steps += self.one_pair(*pair, days, until);
            }
        }
        steps
    }

    /// What was begun comes to its end.
    fn settle(&mut self) -> u64 {
        self.go_on(self.world.now.after(self.world.plan.rest_ms))
    }

    /// The runs of one or both of two sides about some days, until they are signed.
    fn one_pair(
        &mut self,
        (one, other): (NodeNo, NodeNo),
        (first, last): (Date, Date),
        until: UnixMillis,
    ) -> u64 {
        let plan = std::rc::Rc::clone(&self.world.plan);
        let mut ways = vec![(one, other), (other, one)];
        ways.retain(|(asker, answerer)| self.can_call(*asker, *answerer));
        if !self.world.dice.reconcile.chance(BOTH_PER_MILLE) {
            let which = self.world.dice.reconcile.chance(500);
            ways = if which { ways.pop() } else { ways.first().copied() }.into_iter().collect();
        }
        let runs = ways.into_iter().map(|(asker, answerer)| {
            let (asks, answers) = (plan.area(asker), plan.area(answerer));
            let scope = Scope { asker: asks, answerer: answers, first, last, until };
            ((asker, answerer), scope)
        });
        let runs: Vec<_> = runs.collect();
        let bears = |narrow| if narrow { NARROW_MAX } else { UNMATCHED_MAX };
        let mut runs: Vec<Run> = runs
            .into_iter()
            .map(|(sides, scope)| {
                let narrow = self.world.dice.reconcile.chance(NARROW_PER_MILLE);
                Run::new(sides, scope, bears(narrow))
            })
            .collect();
        let mut steps = 0;
        for _ in 0..STEPS_MAX {
            let open: Vec<usize> = (0..runs.len())
                .filter(|at| runs.get(*at).is_some_and(|run| !run.has_ended()))
                .collect();
            let Some(at) = self.world.dice.reconcile.pick(&open).copied() else { break };
            if let Some(run) = runs.get_mut(at) {
                steps += self.step_run(run);
            }
        }
        steps + self.settle()
    }

    fn step_run(&mut self, run: &mut Run) -> u64 {
        match std::mem::replace(&mut run.stage, Stage::Ended) {
            Stage::Compares => self.compare(run),
            Stage::Signs(signing) => self.sign(run, *signing),
            Stage::Ended => 0,
        }
    }

    /// One comparison with its cures, of as many days as can be compared at once; what comes next stands in the run.
    fn compare(&mut self, run: &mut Run) -> u64 {
        let parties = (run.asker, run.answerer);
        let (asker, answerer) = parties;
        if run.comparisons >= COMPARISONS_MAX {
            return 0;
        }
        let (quiet, all) = (run.is_quiet(), run.scope);
        let (mut steps, silent) = self.refresh(parties, quiet);
        let closed = self.nodes.get(asker.index());
        let closed = closed.map(|node| node.closing(answerer, &all, &self.world).0);
        if closed == Some(Keeping::Closed) {
            return steps;
        }
        run.stage = Stage::Compares;
        let Some(scope) = run.portions.next() else { return steps };
        let before = run.whole.held.clone();
        let both = (parties, run.unmatched_max);
        let compared = match self.converse(&scope, both, before, (&silent, quiet)) {
            Ok(compared) => compared,
            Err(Broken::Off) => {
                run.comparisons += 1;
                return steps;
            }
            Err(Broken::TooLarge { entries, most }) => {
                if !run.portions.split(entries, most) {
                    // Somebody was told so, and has set the number higher.
                    run.unmatched_max = UNMATCHED_MAX;
                }
                return steps;
            }
        };
        run.portions.compared();
        let found = &compared.differences;
        let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
        self.world.note(asker, Fact::Compared { with: answerer, differences: count });
        run.ever.extend(found.iter().filter_map(|it| Some((it.id()?, it.name))));
        let left: Vec<_> = curable(found, &run.lost).cloned().collect();
        let unsure = is_unsure(found, &run.before);
        let days = scope.first..=scope.last;
        run.before.retain(|id| !days.contains(&id.timestamp().date()));
        let for_a_person = found.iter().filter(|it| it.name.is_for_a_person());
        run.before.extend(for_a_person.filter_map(Difference::id));
        if unsure || !left.is_empty() {
            run.again = true;
            for party in [asker, answerer] {
                steps += self.cure(party, &left, quiet);
            }
            run.lost.extend(std::mem::take(&mut self.world.lost));
        }
        run.whole.add(compared);
        if run.portions.next().is_none() {
            Self::end_of_comparison(run);
        }
        steps
    }

    /// All days were compared: they are signed, or compared again.
    fn end_of_comparison(run: &mut Run) {
        let scope = run.scope;
        run.comparisons += 1;
        run.portions = Portions::of(scope);
        let (whole, again) = (std::mem::take(&mut run.whole), std::mem::take(&mut run.again));
        let waits = scope.is_period() && scope.is_over() && !whole.incomplete.is_empty();
        if !again && !waits {
            run.stage = Stage::Signs(Box::new(Signing::new(whole)));
        }
    }

    /// The counties for whom a party speaks: those below a province, or itself.
    fn counties(&self, party: NodeNo) -> Vec<NodeNo> {
        let plan = &self.world.plan;
        match plan.province(party) {
            Some(_) => vec![party],
            None => plan.numbers().filter(|node| plan.province(*node) == Some(party)).collect(),
        }
    }

    /// Whether there is a line by which one can call the other.
    fn can_call(&self, caller: NodeNo, callee: NodeNo) -> bool {
        caller == callee || self.world.network.weather.lines().exists(caller, callee)
    }

    /// Whether a call does not come through.
    fn fails(&mut self, quiet: bool) -> bool {
        !quiet && self.world.dice.reconcile.chance(FAILING_PER_MILLE)
    }

    /// Books are brought up to date, and counties report; some only in part, and some cannot be reached. Those that cannot
    /// be called come by themselves, by and by.
    fn refresh(
        &mut self,
        (asker, answerer): (NodeNo, NodeNo),
        quiet: bool,
    ) -> (u64, BTreeSet<NodeNo>) {
        let mut silent = BTreeSet::new();
        let mut steps = 0;
        for party in [asker, answerer] {
            for county in self.counties(party) {
                let above = self.world.plan.province(county);
                let collects = above.is_some_and(|above| !self.can_call(above, county));
                if collects && !self.fails(quiet) {
                    steps += self.collect(county, quiet);
                }
                if let Some(node) = self.nodes.get_mut(county.index()) {
                    node.advance_book(&mut self.world);
                }
            }
        }
        steps += self.settle();
        for party in [asker, answerer] {
            for county in self.counties(party).into_iter().filter(|county| *county != party) {
                if !self.can_call(party, county) {
                    let area = self.world.plan.area(county);
                    if let Some(node) = self.nodes.get_mut(party.index()) {
                        node.lay_down(area, &[]);
                    }
                    silent.insert(county);
                } else if self.fails(quiet) || !self.report(party, county, quiet) {
                    silent.insert(county);
                }
            }
        }
        (steps, silent)
    }

    /// A county reports to the node above it, now and then only in part. Says whether that was all.
    fn report(&mut self, party: NodeNo, county: NodeNo, quiet: bool) -> bool {
        let parts = if self.fails(quiet) { 1 } else { usize::MAX };
        let known = self.reports.entry(party).or_default().entry(county).or_default();
        let node = self.nodes.get(county.index());
        node.is_some_and(|node| node.report(known, parts, &self.world))
    }

    fn entries(&self, party: NodeNo, scope: &Scope) -> EntrySet {
        let nothing = BTreeMap::new();
        let told = self.reports.get(&party).unwrap_or(&nothing);
        let node = self.nodes.get(party.index());
        node.map(|node| node.entries(told, scope)).unwrap_or_default()
    }

    /// Counties and days of which a party does not hold everything, and counties that have not told what is new.
    fn lacks(&self, party: NodeNo, silent: &BTreeSet<NodeNo>, scope: &Scope) -> Lacks {
        let mut lacks = Lacks::default();
        for county in self.counties(party).into_iter().filter(|county| *county != party) {
            let told = self.reports.get(&party).and_then(|told| told.get(&county)?.through);
            let area = self.world.plan.area(county);
            let through = scope.until.min(scope.last.ends());
            if told.is_none_or(|told| told < through) {
                let since = told.map_or(scope.first, UnixMillis::date).max(scope.first);
                lacks.incomplete.push((area, since));
            }
            lacks.silent.extend(silent.contains(&county).then_some(area));
        }
        lacks
    }

    /// A whole conversation.
    fn converse(
        &mut self,
        scope: &Scope,
        ((asks, answers), unmatched_max): ((NodeNo, NodeNo), u64),
        before: Holding,
        (silent, quiet): (&BTreeSet<NodeNo>, bool),
    ) -> Result<Compared, Broken> {
        let broken = |fault| match fault {
            SessionError::TooLarge { entries, most } => Broken::TooLarge { entries, most },
            _ => Broken::Off,
        };
        let [own, theirs] = [asks, answers].map(|party| self.entries(party, scope));
        let [ours_lack, theirs_lack] =
            [asks, answers].map(|party| self.lacks(party, silent, scope));
        let both = ours_lack.incomplete.iter().chain(&theirs_lack.incomplete);
        let incomplete: BTreeMap<_, _> = both.copied().collect();
        let incomplete = incomplete.into_iter().collect();
        let mut held = before;
        held.take(&own);
        let nonces: [[u8; 16]; 2] =
            [self.world.dice.reconcile.bytes(), self.world.dice.reconcile.bytes()];
        let begun = Asker::new(*scope, own, nonces[0], Vec::new(), unmatched_max);
        let (mut asker, open) = begun.map_err(broken)?;
        let begun = Answerer::open(open, theirs, nonces[1], theirs_lack, unmatched_max);
        let (mut answerer, first) = begun.map_err(broken)?;
        let mut answers: VecDeque<_> = first.into();
        let mut found = None;
        while !asker.is_done() {
            if self.fails(quiet) && self.world.dice.reconcile.chance(300) {
                return Err(Broken::Off);
            }
            if asker.is_known() && found.is_none() {
                let differences = asker.differences(&ours_lack);
                for ask in asker.tell(&differences) {
                    answers.extend(answerer.step(ask).map_err(broken)?);
                }
                found = Some(differences);
                continue;
            }
            let answer = answers.pop_front().or_else(|| answerer.next_symbols());
            for ask in asker.step(answer.ok_or(Broken::Off)?).map_err(broken)? {
                answers.extend(answerer.step(ask).map_err(broken)?);
            }
        }
        Ok(Compared { differences: found.ok_or(Broken::Off)?, held, incomplete })
    }
}

/// Every month from a day until a time, and last the days of the month that is not over.
fn periods(from: Date, until: UnixMillis) -> Vec<(Date, Date)> {
    let mut periods = Vec::new();
    let (mut month, now) = (from.month(), until.date());
    while month.last().ends() <= until {
        periods.push((month.first(), month.last()));
        month = month.next();
    }
    periods.push((month.first(), now.max(month.first())));
    periods
}
