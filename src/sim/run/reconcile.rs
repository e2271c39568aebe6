//! After a month: provinces compare their ledgers, counties cure what differs, and both sign. `delivery::reconcile`.
//!
//! The conversation is that of the real node ([`Asker`], [`Answerer`]), and so are the names and the owners of the cures.
//! It goes wrong here as well: calls do not come through, conversations break off, reports come in part, programs end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use domain::area::AreaCode;
use domain::id::MessageId;
use exchange::digest::Digest;
use exchange::reconcile::cure::Cure;
use exchange::reconcile::difference::Difference;
use exchange::reconcile::session::{Answerer, Asker, Lacks};
use exchange::reconcile::set::{EntrySet, Scope};
use exchange::reconcile::statement::{Statement, Totals, count_names};

use super::Simulation;
use crate::clock;
use crate::coming::Coming;
use crate::history::Fact;
use crate::node::cures::Reported;
use crate::plan::{DAY_MS, NodeNo};
use crate::timeline::Moment;

/// Comparisons of one run, as in `delivery::reconcile::running`.
const COMPARISONS_MAX: u32 = 12;
/// Of a thousand calls of the first comparisons, so many fail.
const FAILING_PER_MILLE: u64 = 80;

/// What counties have told the node above them.
type Reports = BTreeMap<NodeNo, BTreeMap<NodeNo, Reported>>;

impl Simulation {
    /// Every two provinces reconcile, and every two counties of one province. Says how many things happened.
    pub(super) fn reconcile(&mut self) -> u64 {
        let plan = std::rc::Rc::clone(&self.world.plan);
        // Everybody's clock shows that the days are over.
        let due = plan.calm.after(3 * DAY_MS);
        self.world.now = self.world.now.max(due);
        let until = clock::right(self.world.now.after(0));
        let until = domain::time::UnixMillis::new(until.get().saturating_sub(3_600_000));
        let (first, last) =
            (clock::right(Moment::BEGINNING).date(), clock::right(plan.calm).date());
        let all: Vec<NodeNo> = plan.numbers().collect();
        let mut steps = 0;
        for (at, one) in all.iter().enumerate() {
            for other in all.get(at + 1..).unwrap_or_default() {
                let together = match (plan.province(*one), plan.province(*other)) {
                    (None, None) => true,
                    (Some(a), Some(b)) => a == b,
                    _ => false,
                };
                if together {
                    let (asker, answerer) = match self.world.dice.node.chance(500) {
                        true => (*one, *other),
                        false => (*other, *one),
                    };
                    let scope = Scope {
                        asker: plan.area(asker),
                        answerer: plan.area(answerer),
                        first: first.plus_days(-1),
                        last: last.plus_days(1),
                        until,
                    };
                    steps += self.one_run((asker, answerer), scope);
                }
            }
        }
        steps
    }

    /// What was begun comes to its end.
    fn settle(&mut self) -> u64 {
        self.go_on(self.world.now.after(self.world.plan.rest_ms))
    }

    /// Compares and cures until nothing is left or only what nobody cures; then both sign.
    fn one_run(&mut self, (asker, answerer): (NodeNo, NodeNo), scope: Scope) -> u64 {
        let (mut reports, mut lost, mut steps) = (Reports::new(), BTreeSet::new(), 0);
        let (mut ever, mut before) = (BTreeMap::new(), BTreeSet::<MessageId>::new());
        for round in 0..COMPARISONS_MAX {
            let quiet = 2 * round >= COMPARISONS_MAX;
            let (took, silent) = self.refresh((asker, answerer), quiet, &mut reports);
            steps += took;
            let own = self.entries(asker, &reports, &scope);
            let theirs = self.entries(answerer, &reports, &scope);
            let totals = (Totals::of(&own), Totals::of(&theirs));
            let lacking =
                [asker, answerer].map(|party| self.lacks(party, &reports, &silent, &scope));
            let Some(differences) = self.converse(scope, own, theirs, lacking, quiet) else {
                continue;
            };
            let count = u32::try_from(differences.len()).unwrap_or(u32::MAX);
            self.world.note(asker, Fact::Compared { with: answerer, differences: count });
            ever.extend(differences.iter().filter_map(|it| Some((it.id()?, it.name))));
            let found = differences;
            let curable = |it: &&Difference| {
                !it.name.is_for_a_person() && it.id().is_some_and(|id| !lost.contains(&id))
            };
            let curable: Vec<_> = found.iter().filter(curable).cloned().collect();
            // What a person is to decide may be no more than a late report: it is looked at twice.
            let is_new = |it: &Difference| it.id().is_some_and(|id| !before.contains(&id));
            let unsure = found.iter().any(|it| it.name.is_for_a_person() && is_new(it));
            let theirs = found.iter().filter(|it| it.name.is_for_a_person());
            before = theirs.filter_map(Difference::id).collect();
            if !unsure && curable.is_empty() {
                self.finish((asker, answerer), scope, totals, (&ever, &found));
                break;
            }
            for party in [asker, answerer] {
                steps += self.cure(party, &curable, quiet);
            }
            lost.extend(std::mem::take(&mut self.world.lost));
        }
        steps + self.settle()
    }

    fn finish(
        &mut self,
        (asker, answerer): (NodeNo, NodeNo),
        scope: Scope,
        (ours, theirs): (Totals, Totals),
        (ever, found): (
            &BTreeMap<MessageId, exchange::reconcile::difference::DifferenceName>,
            &[Difference],
        ),
    ) {
        let gone = ever.iter().filter(|(id, _)| found.iter().all(|it| it.id() != Some(**id)));
        let statement = Statement {
            id: [0; 16],
            scope,
            made: clock::right(self.world.now),
            totals: ours.clone(),
            found: count_names(ever.values().copied()),
            cured: count_names(gone.map(|(_, name)| *name)),
            left: found.to_vec(),
            left_more: Vec::new(),
            lost: Vec::new(),
            corrections: Vec::new(),
            incomplete: Vec::new(),
        };
        if !statement.agrees_with(&theirs) {
            return;
        }
        // Stands for the serialised statement, which both sign.
        let digest = Digest::of(&postcard::to_allocvec(&statement).unwrap_or_default());
        let left = u32::try_from(found.len()).unwrap_or(u32::MAX);
        for (party, with, totals) in [(asker, answerer, &ours), (answerer, asker, &theirs)] {
            if let Some(node) = self.nodes.get(party.index()) {
                node.sign_statement(with, digest, (totals, left), &mut self.world);
            }
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

    /// Whether a call does not come through.
    fn fails(&mut self, quiet: bool) -> bool {
        !quiet && self.world.dice.node.chance(FAILING_PER_MILLE)
    }

    /// Books are brought up to date, and counties report; some only in part, and some cannot be reached.
    fn refresh(
        &mut self,
        (asker, answerer): (NodeNo, NodeNo),
        quiet: bool,
        reports: &mut Reports,
    ) -> (u64, BTreeSet<NodeNo>) {
        let mut silent = BTreeSet::new();
        for party in [asker, answerer] {
            for county in self.counties(party) {
                if let Some(node) = self.nodes.get_mut(county.index()) {
                    node.advance_book(&mut self.world);
                }
            }
        }
        let steps = self.settle();
        for party in [asker, answerer] {
            for county in self.counties(party).into_iter().filter(|county| *county != party) {
                if self.fails(quiet) {
                    silent.insert(county);
                    continue;
                }
                let parts = if self.fails(quiet) { 1 } else { usize::MAX };
                let known = reports.entry(party).or_default().entry(county).or_default();
                let all = self.nodes.get(county.index());
                if !all.is_some_and(|node| node.report(known, parts, &self.world)) {
                    silent.insert(county);
                }
            }
        }
        (steps, silent)
    }

    fn entries(&self, party: NodeNo, reports: &Reports, scope: &Scope) -> EntrySet {
        let nothing = BTreeMap::new();
        let told = reports.get(&party).unwrap_or(&nothing);
        let node = self.nodes.get(party.index());
        node.map(|node| node.entries(told, scope)).unwrap_or_default()
    }

    /// Counties and days of which a party does not hold everything, and counties that have not told what is new.
    fn lacks(
        &self,
        party: NodeNo,
        reports: &Reports,
        silent: &BTreeSet<NodeNo>,
        scope: &Scope,
    ) -> Lacks {
        let mut lacks = Lacks::default();
        for county in self.counties(party).into_iter().filter(|county| *county != party) {
            let through = reports.get(&party).and_then(|told| told.get(&county)?.through);
            let area = self.world.plan.area(county);
            if through.is_none_or(|through| through < scope.until) {
                lacks.incomplete.push((area, scope.first));
            }
            lacks.silent.extend(silent.contains(&county).then_some(area));
        }
        lacks
    }

    /// A whole conversation, or none when it breaks off.
    fn converse(
        &mut self,
        scope: Scope,
        own: EntrySet,
        theirs: EntrySet,
        [ours_lack, theirs_lack]: [Lacks; 2],
        quiet: bool,
    ) -> Option<Vec<Difference>> {
        let (one, two) = (self.world.dice.node.bytes(), self.world.dice.node.bytes());
        let nonces =
            [one, two].map(|bytes: [u8; 32]| bytes.first_chunk().copied().unwrap_or_default());
        let (mut asker, open) = Asker::new(scope, own, nonces[0], Vec::new()).ok()?;
        let (mut answerer, first) = Answerer::open(open, theirs, nonces[1], theirs_lack).ok()?;
        let mut answers: VecDeque<_> = first.into();
        let mut found = None;
        while !asker.is_done() {
            if self.fails(quiet) && self.world.dice.node.chance(300) {
                return None;
            }
            if asker.is_known() && found.is_none() {
                let differences = asker.differences(&ours_lack);
                for ask in asker.tell(&differences) {
                    answers.extend(answerer.step(ask).ok()?);
                }
                found = Some(differences);
                continue;
            }
            let answer = answers.pop_front().or_else(|| answerer.next_symbols())?;
            for ask in asker.step(answer).ok()? {
                answers.extend(answerer.step(ask).ok()?);
            }
        }
        found
    }

    /// One party's part of the cure: each of its counties does what it owes.
    fn cure(&mut self, party: NodeNo, found: &[Difference], quiet: bool) -> u64 {
        let mut steps = 0;
        for county in self.counties(party) {
            if !self.fails(quiet) {
                steps += self.carry_out(county, found, quiet);
            }
        }
        steps
    }

    /// What the other one lacks of its own comes first, so that answers find their questions.
    fn carry_out(&mut self, county: NodeNo, found: &[Difference], quiet: bool) -> u64 {
        let area = self.world.plan.area(county);
        let owed: Vec<_> = found.iter().filter_map(|it| Cure::owed(area, it)).collect();
        if owed.is_empty() {
            return 0;
        }
        let mut deliver = Vec::new();
        for (id, cure) in &owed {
            match cure {
                Cure::HandBack(sender) if self.asked_by(county, *id).is_none() => {
                    self.hand_back(county, *sender, (*id, false), quiet);
                }
                Cure::Show(peer) => self.show(county, *peer, *id, quiet),
                Cure::Ask(peer) if self.ask(county, *peer, *id, quiet) => {}
                Cure::Deliver(_) | Cure::Ask(_) => deliver.push(*id),
                Cure::HandBack(_) | Cure::Report => {}
            }
        }
        // Now and then a program ends before all of it is on disk.
        if !quiet && self.world.dice.node.chance(FAILING_PER_MILLE) {
            self.crash(county);
        }
        let mut steps = self.settle();
        for id in deliver {
            if let Some(node) = self.nodes.get_mut(county.index()) {
                node.deliver_again(id, &mut self.world);
            }
        }
        steps += self.settle();
        let differs = |id: MessageId| owed.iter().any(|(other, _)| *other == id);
        for (id, cure) in &owed {
            if let Cure::HandBack(sender) = cure
                && let Some(asked) = self.asked_by(county, *id)
            {
                self.hand_back(county, *sender, (*id, differs(asked)), quiet);
            }
        }
        steps + self.settle()
    }

    fn crash(&mut self, county: NodeNo) {
        if let Some(node) = self.nodes.get_mut(county.index()) {
            node.crash(false, &mut self.world);
            let again = self.world.now.after(5_000);
            self.world.timeline.plan(again, Coming::Start { node: county });
        }
    }

    fn asked_by(&self, county: NodeNo, id: MessageId) -> Option<MessageId> {
        self.nodes.get(county.index()).and_then(|node| node.asked_by(id))
    }

    fn hand_back(
        &mut self,
        county: NodeNo,
        sender: AreaCode,
        what: (MessageId, bool),
        quiet: bool,
    ) {
        let Some(sender) = self.world.plan.at(sender).filter(|_| !self.fails(quiet)) else {
            return;
        };
        let node = self.nodes.get(county.index());
        let back = node.map(|node| node.hand_over(sender, what, &self.world));
        match back.flatten() {
            Some(back) => {
                if let Some(node) = self.nodes.get_mut(sender.index()) {
                    node.take_back(county, back, &mut self.world);
                }
            }
            None => self.world.lost.push(what.0),
        }
    }

    fn show(&mut self, county: NodeNo, peer: AreaCode, id: MessageId, quiet: bool) {
        let Some(peer) = self.world.plan.at(peer).filter(|_| !self.fails(quiet)) else { return };
        let node = self.nodes.get(county.index());
        let proof = node.and_then(|node| node.refusal(peer, id, &self.world));
        match (proof, self.nodes.get_mut(peer.index())) {
            (Some(proof), Some(node)) => node.take_refusal(county, id, &proof, &mut self.world),
            (None, _) => self.world.lost.push(id),
            (_, None) => {}
        }
    }

    /// Asks a recipient for its receipt. Says whether it came.
    fn ask(&mut self, county: NodeNo, peer: AreaCode, id: MessageId, quiet: bool) -> bool {
        let Some(peer) = self.world.plan.at(peer).filter(|_| !self.fails(quiet)) else {
            return false;
        };
        let node = self.nodes.get(peer.index());
        let Some(proof) = node.and_then(|node| node.issue_again(county, id, &self.world)) else {
            return false;
        };
        if let Some(node) = self.nodes.get_mut(county.index()) {
            node.keep_receipt(peer, proof, &mut self.world);
        }
        true
    }
}
