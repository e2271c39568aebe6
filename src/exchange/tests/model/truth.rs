//! What must be true in every state.

use super::actions::Disturbance;
use super::letters::Offer;
use super::letters::Word;
use super::sender::Shell;
use super::world::World;

/// Most steps in which everything ends when nothing goes wrong any more.
const STEPS_TO_THE_END: u32 = 100_000;

impl World {
    /// What the sender holds as stored is stored, and what it holds as refused is refused.
    pub(crate) fn acknowledged_is_true(&self) -> bool {
        self.sender.disk.kept.iter().all(|(number, outcome)| {
            let is_true = |offer: Offer| self.recipient.means(&offer, outcome);
            outcome.is_final() && self.sender.disk.places_of(*number).any(is_true)
        })
    }

    /// Every word that is on its way is true. What it is true of is never changed (see [`Recipient::is_consistent`]), so
    /// it is true for ever.
    pub(crate) fn words_are_true(&self) -> bool {
        let in_network = self.around.network.replies().iter();
        let in_network = in_network.map(|reply| &reply.word);
        let returned = self.relay.iter().flat_map(|relay| relay.returns.values());
        in_network.chain(returned).all(|word| match word {
            Word::Receipt(said) => said.iter().all(|(o, outcome)| self.recipient.means(o, outcome)),
            Word::Held | Word::Refused | Word::Deferred { .. } => true,
        })
    }

    /// Nothing was done twice, and no node contradicts itself.
    pub(crate) fn is_consistent(&self) -> bool {
        !self.around.is_broken() && self.recipient.is_consistent() && self.sender.is_consistent()
    }

    /// Something is to be done, or somebody waits for a time, as long as something is not settled. Or a
    /// courier says that it knows no route.
    pub(crate) fn has_next_step(&self) -> bool {
        let lost = |shell: &Shell| shell.courier.status().route.is_none();
        self.sender.unsettled() == 0
            || !self.progress().is_empty()
            || self.next_time().is_some()
            || self.sender.shells.values().any(lost)
    }

    /// Whether everything was handed in and is settled.
    pub(crate) fn is_settled(&self) -> bool {
        self.around.left.letters == 0 && self.accepted > 0 && self.sender.unsettled() == 0
    }

    /// Left alone, every letter comes to its end, in which both sides agree.
    pub(crate) fn ends_well(&self) -> bool {
        self.left_alone().is_some_and(|world| world.has_ended_well())
    }

    /// The end, when nothing goes wrong any more and nothing new comes; `None` when there is none.
    pub(crate) fn left_alone(&self) -> Option<Self> {
        let mut world = self.clone();
        // What only a stroke of luck would bring does not come; the clock goes on as long as needed.
        world.around.network.drop_stale();
        for epoch in self.sender.shells.keys() {
            world.disturb(*epoch, Disturbance::GoesOn);
            world.disturb(*epoch, Disturbance::Routes(self.around.setup.routes));
        }
        for _ in 0..STEPS_TO_THE_END {
            world.around.left.ticks = 1;
            let Some(action) = world.progress().first().copied() else { return Some(world) };
            world.step(action);
        }
        None
    }

    pub(crate) fn has_ended_well(&self) -> bool {
        let kept = &self.sender.disk.kept;
        let letters = self.sender.disk.lanes.values().flat_map(|disk| &disk.journal);
        let in_flight = |shell: &Shell| shell.courier.status().in_flight;
        self.sender.unsettled() == 0
            && letters.clone().all(|letter| kept.contains_key(&letter.number))
            && self.sender.shells.values().all(|shell| in_flight(shell) == 0)
            && self.relay.as_ref().is_none_or(|relay| relay.queue.is_empty())
            && self.acknowledged_is_true()
            && self.is_consistent()
    }
}
