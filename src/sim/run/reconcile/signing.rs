//! Signing what came of a run, step by step: the asker proposes, the answerer checks, keeps and answers, the asker keeps. Each
//! call may be lost on either way, either program may end in between, and the other side may be asking just then.
//! `delivery::reconcile::signing`.

use std::rc::Rc;

use exchange::reconcile::signing::{Keeping, changed, corrected, waits_for};
use exchange::reconcile::statement::{Correction, Left, Statement, count_names};
use exchange::reconcile::totals::Digests;

use super::{Compared, FAILING_PER_MILLE, Run, Stage};
use crate::clock;
use crate::coming::Life;
use crate::node::signing::{Signature, SignedStatement};
use crate::node::units::{Kept, Ticket};
use crate::plan::{NodeNo, Planted};
use crate::run::Simulation;

/// Steps for which an answerer waits for its own turn to end.
const PATIENCE: u32 = 60;
/// The longest time between two steps, milliseconds.
const STEP_MS: u64 = 400;

/// What a run is signing.
pub(super) struct Signing {
    compared: Compared,
    /// The lives of the asker's and the answerer's program in which this goes on.
    lives: [Option<Life>; 2],
    at: At,
}

/// A statement with the asker's signature.
#[derive(Clone)]
struct Proposal {
    statement: Rc<Statement>,
    asker: Signature,
}

/// Where the signing is.
enum At {
    /// The asker waits for its turn.
    Waits,
    /// What it had handed in is being written.
    Flushes,
    /// The question is on its way.
    Asks(Proposal),
    /// The answerer has it, and waits for its turn if need be.
    Heard(Proposal, u32),
    /// The answerer is writing it.
    Writes(Rc<SignedStatement>, Ticket),
    /// The answer is on its way.
    Answers(Answer),
    /// The asker is writing it.
    Takes(Ticket),
}

/// What the answerer says.
enum Answer {
    Signed(Rc<SignedStatement>),
    Closed(Rc<SignedStatement>),
    Differs,
    Corrects(Vec<Correction>),
    /// Its time has not come, or some of its days are closed.
    Refused,
}

/// What a step has come to.
enum Next {
    Goes(At),
    /// The run has come to its end.
    Ended,
    /// The comparison is made again; with what the other side would correct, if it has told.
    Again(Option<Vec<Correction>>),
}

impl Signing {
    pub(super) const fn new(compared: Compared) -> Self {
        Self { compared, lives: [None; 2], at: At::Waits }
    }
}

impl Simulation {
    /// The next step of signing.
    pub(super) fn sign(&mut self, run: &mut Run, mut signing: Signing) -> u64 {
        let wait = self.world.dice.reconcile.stretch(1, STEP_MS);
        let then = self.world.now.after(wait);
        let steps = self.go_on(then);
        self.world.now = self.world.now.max(then);
        if !run.is_quiet() && self.world.dice.reconcile.chance(FAILING_PER_MILLE / 4) {
            let either = [run.asker, run.answerer];
            let ends = self.world.dice.reconcile.pick(&either).copied();
            ends.into_iter().for_each(|node| self.crash(node));
        }
        let next = match self.is_alive(run, &signing) {
            true => self.step_signing(run, &mut signing),
            false => Next::Again(None),
        };
        run.stage = match next {
            Next::Goes(at) => Stage::Signs(Box::new(Signing { at, ..signing })),
            Next::Ended => {
                self.let_go(run, &signing);
                Stage::Ended
            }
            Next::Again(theirs) => {
                self.let_go(run, &signing);
                run.theirs = theirs.or(run.theirs.take());
                Stage::Compares
            }
        };
        steps
    }

    fn life(&self, node: NodeNo) -> Option<Life> {
        self.nodes.get(node.index()).filter(|node| node.runs()).map(|node| node.life())
    }

    /// Whether both programs still are those in which this was begun; who has not begun yet, runs.
    fn is_alive(&self, run: &Run, signing: &Signing) -> bool {
        let both = [run.asker, run.answerer].into_iter().zip(signing.lives);
        both.into_iter().all(|(node, begun)| match (begun, self.life(node)) {
            (None, life) => node == run.answerer || life.is_some(),
            (begun, life) => begun == life,
        })
    }

    /// Ends the turns that this has, in the lives that had taken them.
    fn let_go(&mut self, run: &Run, signing: &Signing) {
        let [asks, answers] = signing.lives;
        for (node, with, life) in
            [(run.asker, run.answerer, asks), (run.answerer, run.asker, answers)]
        {
            if let Some((node, life)) = self.nodes.get_mut(node.index()).zip(life) {
                node.end_turn(with, life);
            }
        }
    }

    fn take_turn(&mut self, node: NodeNo, with: NodeNo) -> bool {
        let taker = self.nodes.get_mut(node.index());
        taker.is_some_and(|taker| taker.take_turn(with, &self.world))
    }

    fn step_signing(&mut self, run: &Run, signing: &mut Signing) -> Next {
        let (asker, answerer) = (run.asker, run.answerer);
        let lost = self.fails(run.is_quiet());
        match std::mem::replace(&mut signing.at, At::Waits) {
            At::Waits => {
                let complete = signing.compared.incomplete.is_empty();
                let closes = run.scope.is_period() && run.scope.is_over() && complete;
                if closes && !self.take_turn(asker, answerer) {
                    return Next::Goes(At::Waits);
                }
                signing.lives[0] = self.life(asker);
                Next::Goes(At::Flushes)
            }
            At::Flushes => {
                let node = self.nodes.get(asker.index());
                if !node.is_some_and(|node| node.disk.is_idle()) {
                    return Next::Goes(At::Flushes);
                }
                match node.map(|node| node.closing(answerer, &run.scope, &self.world).0) {
                    Some(Keeping::Closed) => Next::Ended,
                    _ => Next::Goes(At::Asks(self.propose(run, &signing.compared))),
                }
            }
            At::Asks(_) if lost || self.life(answerer).is_none() => Next::Again(None),
            At::Asks(proposal) => Next::Goes(At::Heard(proposal, 0)),
            At::Heard(proposal, waited) => Next::Goes(self.answer(run, signing, proposal, waited)),
            At::Writes(signed, ticket) => match self.world.kept.remove(&ticket) {
                Some(kept) => {
                    self.end_answer(run, signing);
                    Next::Goes(At::Answers(answer_of(kept, signed)))
                }
                None => Next::Goes(At::Writes(signed, ticket)),
            },
            At::Answers(_) if lost => Next::Again(None),
            At::Answers(answer) => self.take(run, answer),
            At::Takes(ticket) => match self.world.kept.remove(&ticket) {
                Some(Kept::Fresh | Kept::Closed(_)) => Next::Ended,
                Some(Kept::Overlaps) => Next::Again(None),
                None => Next::Goes(At::Takes(ticket)),
            },
        }
    }

    /// What the asker would sign.
    fn propose(&mut self, run: &Run, compared: &Compared) -> Proposal {
        let mut corrections = self.corrected(run.asker, run.answerer);
        corrections.retain(|it| run.theirs.as_ref().is_none_or(|theirs| theirs.contains(it)));
        let found = &compared.differences;
        let gone = run.ever.iter().filter(|(id, _)| found.iter().all(|it| it.id() != Some(**id)));
        let Left { named: left, more: left_more, rest: left_rest } =
            Left::of(found.clone(), &Default::default(), &run.scope);
        let held = compared.held.clone().end();
        let statement = Statement {
            id: self.world.dice.reconcile.bytes(),
            scope: run.scope,
            made: clock::right(self.world.now),
            totals: held.totals,
            digests: Digests::default(),
            found: count_names(run.ever.values().copied()),
            cured: count_names(gone.map(|(_, name)| *name)),
            left,
            left_more,
            left_rest,
            lost: Vec::new(),
            corrections,
            incomplete: compared.incomplete.clone(),
        };
        let statement = Rc::new(statement.attesting(held.digests));
        let signs = self.nodes.get(run.asker.index());
        // The asker is one of the nodes.
        let asker = signs.map(|node| node.sign(&statement));
        let asker =
            asker.unwrap_or_else(|| crate::mail::Key::of(run.asker).sign(Rc::clone(&statement)));
        Proposal { statement, asker }
    }

    fn corrected(&self, own: NodeNo, with: NodeNo) -> Vec<Correction> {
        let closed = self.nodes.get(own.index()).map(|node| node.closed_with(with));
        let closed = closed.unwrap_or_default();
        let statements: Vec<_> = closed.iter().map(|it| (it.digest(), it.statement())).collect();
        let area = self.world.plan.area(own);
        let found = corrected::<()>(&statements, |_, closed| {
            Ok(changed(area, closed, &self.entries(own, &closed.scope)))
        });
        found.unwrap_or_default()
    }

    /// What the answerer does about a proposal.
    fn answer(&mut self, run: &Run, signing: &mut Signing, it: Proposal, waited: u32) -> At {
        let (asker, answerer) = (run.asker, run.answerer);
        let own = self.world.plan.area(answerer);
        let statement = &it.statement;
        let clock = self.nodes.get(answerer.index()).map(|node| node.clock.read(self.world.now));
        if !clock.is_some_and(|now| statement.is_in_time(now)) {
            return At::Answers(Answer::Refused);
        }
        if statement.closes() && !self.take_turn(answerer, asker) {
            return match waits_for(own, run.scope.asker) && waited < PATIENCE {
                true => At::Heard(it, waited + 1),
                false => At::Answers(Answer::Differs),
            };
        }
        signing.lives[1] = self.life(answerer);
        let said = self.finds(run, statement);
        if let Some(answer) = said {
            self.end_answer(run, signing);
            return At::Answers(answer);
        }
        let world = &mut self.world;
        let Some(node) = self.nodes.get_mut(answerer.index()) else {
            return At::Answers(Answer::Refused);
        };
        let signed = SignedStatement { answerer: node.sign(statement), asker: it.asker };
        let signed = Rc::new(signed);
        let ticket = node.keep_statement(asker, Rc::clone(&signed), world);
        if world.plan.planted == Some(Planted::AnswersEarly) {
            self.end_answer(run, signing);
            return At::Answers(Answer::Signed(signed));
        }
        At::Writes(signed, ticket)
    }

    /// What the answerer has to say otherwise than its signature.
    fn finds(&self, run: &Run, statement: &Statement) -> Option<Answer> {
        let (asker, answerer, scope) = (run.asker, run.answerer, &statement.scope);
        let own = self.world.plan.area(answerer);
        let node = self.nodes.get(answerer.index())?;
        match node.closing(asker, scope, &self.world) {
            (Keeping::Closed, Some(closed)) => return Some(Answer::Closed(closed)),
            (Keeping::Overlaps, _) if statement.closes() => return Some(Answer::Refused),
            _ => {}
        }
        let incomplete = self.lacks(answerer, &Default::default(), scope).incomplete;
        let entries = self.entries(answerer, scope);
        if !statement.is_true_for(own, &entries, &incomplete) {
            return Some(Answer::Differs);
        }
        if statement.corrections.is_empty() {
            return None;
        }
        let ours = self.corrected(answerer, asker);
        let same = statement.corrections.iter().all(|it| ours.contains(it));
        (!same).then_some(Answer::Corrects(ours))
    }

    fn end_answer(&mut self, run: &Run, signing: &mut Signing) {
        if let Some((node, life)) =
            self.nodes.get_mut(run.answerer.index()).zip(signing.lives[1].take())
        {
            node.end_turn(run.asker, life);
        }
    }

    /// The asker takes an answer.
    fn take(&mut self, run: &Run, answer: Answer) -> Next {
        let signed = match answer {
            Answer::Signed(signed) => signed,
            Answer::Closed(signed) if signed.statement().is_about(&run.scope) => signed,
            Answer::Closed(_) | Answer::Differs | Answer::Refused => return Next::Again(None),
            Answer::Corrects(theirs) => return Next::Again(Some(theirs)),
        };
        let world = &mut self.world;
        let node = self.nodes.get_mut(run.asker.index()).filter(|_| signed.holds(&world.plan));
        match node {
            Some(node) => Next::Goes(At::Takes(node.keep_statement(run.answerer, signed, world))),
            None => Next::Again(None),
        }
    }
}

/// What is said when a statement was written.
fn answer_of(kept: Kept, signed: Rc<SignedStatement>) -> Answer {
    match kept {
        Kept::Fresh => Answer::Signed(signed),
        Kept::Closed(closed) => Answer::Closed(closed),
        Kept::Overlaps => Answer::Refused,
    }
}
