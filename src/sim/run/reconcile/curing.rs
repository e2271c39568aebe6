//! Curing what a comparison has found: `delivery::reconcile::carrying` and `leaving`.

use domain::area::AreaCode;
use domain::id::MessageId;
use exchange::ledger::Direction;
use exchange::reconcile::cure::Owed;
use exchange::reconcile::difference::Difference;

use crate::coming::Coming;
use crate::node::cures::Brought;
use crate::plan::NodeNo;
use crate::run::Simulation;

impl Simulation {
    /// One party's part of the cure: each of its counties does what it owes, or finds it when it collects.
    pub(super) fn cure(&mut self, party: NodeNo, found: &[Difference], quiet: bool) -> u64 {
        let mut steps = 0;
        for county in self.counties(party) {
            let area = self.world.plan.area(county);
            // Whoever cannot be asked for its word brings it; and so does whoever compares for itself.
            let collects = !self.can_call(party, county);
            let tells = collects || county == party;
            let its = |it: &&Difference| {
                it.cured_by() == Some(area) || tells && it.told_by() == Some(area)
            };
            let its: Vec<_> = found.iter().filter(its).cloned().collect();
            if collects {
                if let Some(node) = self.nodes.get_mut(party.index()) {
                    node.lay_down(area, &its);
                }
            } else if !self.fails(quiet) {
                steps += self.carry_out(county, &its, quiet);
            }
        }
        steps
    }

    /// A county that cannot be called takes what lies for it at the node above, does it, and reports.
    pub(super) fn collect(&mut self, county: NodeNo, quiet: bool) -> u64 {
        let Some(above) = self.world.plan.province(county) else { return 0 };
        let area = self.world.plan.area(county);
        let mut steps = 0;
        loop {
            let node = self.nodes.get_mut(above.index());
            let lot = node.map(|node| node.collected_by(area)).unwrap_or_default();
            if lot.is_empty() {
                break;
            }
            // What was taken away from there and not done is found again.
            if self.fails(quiet) {
                return steps;
            }
            steps += self.carry_out(county, &lot.differences, quiet);
            for brought in lot.left {
                self.take_brought(county, brought);
            }
            steps += self.settle();
        }
        if let Some(node) = self.nodes.get_mut(county.index()) {
            node.advance_book(&mut self.world);
        }
        steps += self.settle();
        self.report(above, county, quiet);
        steps
    }

    fn take_brought(&mut self, county: NodeNo, brought: Brought) {
        let Some(node) = self.nodes.get_mut(county.index()) else { return };
        match brought {
            Brought::TakeBack(by, back) => node.take_back(by, back, &mut self.world),
            Brought::TakeWord(by, id, proof) => {
                node.take_word_about(by, id, proof, &mut self.world);
            }
        }
    }

    /// What a county owes, in the order of [`Owed`].
    fn carry_out(&mut self, county: NodeNo, found: &[Difference], quiet: bool) -> u64 {
        let area = self.world.plan.area(county);
        let asked = |id, _, direction| Ok::<_, ()>(self.asked_by(county, id, direction));
        let owed = Owed::of(area, found, asked);
        if found.is_empty() {
            return 0;
        }
        for (id, sender) in owed.hand_back {
            self.hand_back(county, sender, (id, false), quiet);
        }
        for (id, peer) in owed.show {
            self.show(county, peer, id, quiet);
        }
        let mut deliver: Vec<(MessageId, bool)> = owed.deliver.into_values().flatten().collect();
        for (id, sender) in owed.tell {
            self.tell(county, sender, id, quiet);
        }
        for (id, peer) in owed.ask {
            if !self.ask(county, peer, id, quiet) {
                deliver.push((id, true));
            }
        }
        // Now and then a program ends before all of it is on disk.
        if self.fails(quiet) {
            self.crash(county);
        }
        let mut steps = self.settle();
        // What waits for its question is found again.
        deliver.retain(|(id, _)| owed.after.get(id).is_none_or(|asked| self.knows(*asked)));
        for what in deliver {
            if let Some(node) = self.nodes.get_mut(county.index()) {
                node.deliver_again(what, &mut self.world);
            }
        }
        steps += self.settle();
        for (id, sender, question_follows) in owed.answers {
            self.hand_back(county, sender, (id, question_follows), quiet);
        }
        steps + self.settle()
    }

    pub(super) fn crash(&mut self, node: NodeNo) {
        if let Some(ended) = self.nodes.get_mut(node.index()) {
            ended.crash(false, &mut self.world);
            let again = self.world.now.after(5_000);
            self.world.timeline.plan(again, Coming::Start { node });
        }
    }

    fn asked_by(&self, county: NodeNo, id: MessageId, direction: Direction) -> Option<MessageId> {
        self.nodes.get(county.index()).and_then(|node| node.asked_by(id, direction))
    }

    /// Whether somebody has a message that he has sent: a sender that was handed it back says so.
    fn knows(&self, id: MessageId) -> bool {
        self.nodes.iter().any(|node| node.has_sent(id))
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
            Some(back) => self.bring((county, sender), what.0, Brought::TakeBack(county, back)),
            None => self.world.lost.push(what.0),
        }
    }

    fn show(&mut self, county: NodeNo, peer: AreaCode, id: MessageId, quiet: bool) {
        let Some(peer) = self.world.plan.at(peer).filter(|_| !self.fails(quiet)) else { return };
        let node = self.nodes.get(county.index());
        let proof = node.and_then(|node| node.refusal(peer, id, &self.world));
        match proof {
            Some(proof) => self.bring((county, peer), id, Brought::TakeWord(county, id, proof)),
            None => self.world.lost.push(id),
        }
    }

    /// Brings a sender its receipt.
    fn tell(&mut self, county: NodeNo, sender: AreaCode, id: MessageId, quiet: bool) {
        let Some(sender) = self.world.plan.at(sender).filter(|_| !self.fails(quiet)) else {
            return;
        };
        let node = self.nodes.get(county.index());
        if let Some(word) = node.and_then(|node| node.issue_again(sender, id, &self.world)) {
            self.bring((county, sender), id, Brought::TakeWord(county, id, word));
        }
    }

    /// Gives another county a cure, or leaves it at the node above that when it cannot be called.
    fn bring(&mut self, (by, to): (NodeNo, NodeNo), id: MessageId, brought: Brought) {
        if self.can_call(by, to) {
            return self.take_brought(to, brought);
        }
        let areas = [by, to].map(|node| self.world.plan.area(node));
        let above = self.world.plan.province(to);
        if let Some(above) = above.and_then(|above| self.nodes.get_mut(above.index())) {
            // Where there is no room for it, it is found again.
            let _lies = above.leave(areas[1], (areas[0], id), brought, &self.world);
        }
    }

    /// Asks a recipient for its receipt. Says whether it came.
    fn ask(&mut self, county: NodeNo, peer: AreaCode, id: MessageId, quiet: bool) -> bool {
        let Some(peer) = self.world.plan.at(peer).filter(|_| !self.fails(quiet)) else {
            return false;
        };
        if !self.can_call(county, peer) {
            return false;
        }
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
