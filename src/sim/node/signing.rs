//! One side that signs statements: `delivery::reconcile::signing`, `app::reconcile::statements`.

use std::rc::Rc;

use exchange::digest::Digest;
use exchange::reconcile::set::Scope;
use exchange::reconcile::signing::{Keeping, keeping};
use exchange::reconcile::statement::Statement;

use super::units::{Ticket, Work, day};
use super::{Node, World};
use crate::coming::Life;
use crate::disk::rows::Key;
use crate::mail::Signed;
use crate::plan::{NodeNo, Plan, Planted};

/// Statements of one side that are looked at for corrections.
const CORRECTED_MAX: usize = 24;

/// A side's signature under a statement.
pub(crate) type Signature = Rc<Signed<Rc<Statement>>>;

/// A statement with both signatures.
#[derive(Debug)]
pub(crate) struct SignedStatement {
    pub(crate) asker: Signature,
    pub(crate) answerer: Signature,
}

impl SignedStatement {
    /// What it says.
    pub(crate) fn statement(&self) -> &Statement {
        self.asker.manifest()
    }

    /// Names it.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&postcard::to_allocvec(self.statement()).unwrap_or_default())
    }

    /// Whether both sides have signed the same.
    pub(crate) fn holds(&self, plan: &Plan) -> bool {
        let scope = &self.statement().scope;
        let by = [&self.asker, &self.answerer].map(|signature| plan.area(signature.by()));
        by == [scope.asker, scope.answerer] && self.asker.manifest() == self.answerer.manifest()
    }
}

impl Node {
    /// Which life of the program it is; what was begun in another is gone.
    pub(crate) const fn life(&self) -> Life {
        self.life
    }

    /// Our signature under a statement.
    pub(crate) fn sign(&self, statement: &Rc<Statement>) -> Signature {
        self.key.sign(Rc::clone(statement))
    }

    /// Takes the turn with another side, to ask it or to answer it. Says whether it was free.
    pub(crate) fn take_turn(&mut self, with: NodeNo, world: &World) -> bool {
        let ignored = world.plan.planted == Some(Planted::IgnoresTurns);
        let free = self.memory.as_mut().is_some_and(|memory| memory.turns.insert(with));
        free || ignored
    }

    /// Gives it back, if it was taken in this life.
    pub(crate) fn end_turn(&mut self, with: NodeNo, life: Life) {
        if let Some(memory) = self.memory.as_mut().filter(|_| self.life == life) {
            memory.turns.remove(&with);
        }
    }

    /// The statement on disk that has closed the very days of a scope; or that some of them are closed by another.
    pub(crate) fn closing(
        &self,
        with: NodeNo,
        scope: &Scope,
        world: &World,
    ) -> (Keeping, Option<Rc<SignedStatement>>) {
        let may_have = Key::Closed(with, day(scope.first))..=Key::Closed(with, u32::MAX);
        let closed = self.disk.durable_range(may_have).next().and_then(|(_, row)| row.statement());
        let closed = closed.filter(|_| world.plan.planted != Some(Planted::Forgets)).cloned();
        let days = closed.as_ref().map(|it| it.statement().days());
        let keeping = keeping(days, scope, true);
        (keeping, closed.filter(|_| keeping == Keeping::Closed))
    }

    /// What was closed with a side, the last days first.
    pub(crate) fn closed_with(&self, with: NodeNo) -> Vec<Rc<SignedStatement>> {
        let rows = self.disk.durable_range(Key::Closed(with, 0)..=Key::Closed(with, u32::MAX));
        let rows = rows.rev().filter_map(|(_, row)| row.statement().map(Rc::clone));
        rows.take(CORRECTED_MAX).collect()
    }

    /// A statement that both have signed is to be kept. Who wants to know what became of it asks with the ticket.
    pub(crate) fn keep_statement(
        &mut self,
        with: NodeNo,
        signed: Rc<SignedStatement>,
        world: &mut World,
    ) -> Ticket {
        world.tickets.0 += 1;
        let ticket = world.tickets;
        self.enqueue(Work::KeepStatement { ticket, with, signed }, world);
        ticket
    }
}
