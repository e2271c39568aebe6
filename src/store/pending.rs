//! The answer to a unit of work, given when the disk has it.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_channel::oneshot;

use crate::error::{CommitError, StoreFailure};
use crate::unit::Unit;

/// A unit of work that is queued or under way. Resolves after the sync of the group it is in.
/// Dropping it does not take the unit back.
#[derive(Debug)]
#[must_use = "a unit is durable only when this has resolved"]
pub struct Pending<T, E>(oneshot::Receiver<Result<T, CommitError<E>>>);

impl<T, E> Future for Pending<T, E> {
    type Output = Result<T, CommitError<E>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Err(CommitError::Closed)))
    }
}

/// What a unit ended with, before anybody knows whether the disk took it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ran {
    /// Its writes stay.
    Kept,
    /// Its writes must be taken back.
    Refused,
}

/// A queued unit of work, its types forgotten.
pub(crate) trait Job: Send {
    /// Runs it; at most once.
    fn run(&mut self, unit: &mut Unit<'_>) -> Ran;
    /// Overrules the outcome: it panicked or wrote too much.
    fn overrule(&mut self, ruling: Ruling);
    /// Answers: with its own result, or with the failure of the store.
    fn answer(self: Box<Self>, failure: Option<&StoreFailure>);
}

/// Why a unit that ran does not count.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ruling {
    Panicked,
    TooLarge { bytes: usize },
}

enum State<F, T, E> {
    Waiting(F),
    Done(Result<T, CommitError<E>>),
    Running,
}

/// A unit of work with what it answers to.
pub(crate) struct Task<F, T, E, R> {
    state: State<F, T, E>,
    reply: R,
}

impl<F, T, E, R> Task<F, T, E, R>
where
    F: FnOnce(&mut Unit<'_>) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
    R: FnOnce(Result<T, CommitError<E>>) + Send + 'static,
{
    pub(crate) fn boxed(work: F, reply: R) -> Box<dyn Job> {
        Box::new(Self { state: State::Waiting(work), reply })
    }
}

/// A unit of work whose answer is a future.
pub(crate) fn task<F, T, E>(work: F) -> (Box<dyn Job>, Pending<T, E>)
where
    F: FnOnce(&mut Unit<'_>) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    // Nobody may be waiting any more; the work is done all the same.
    (Task::boxed(work, move |answer| drop(sender.send(answer))), Pending(receiver))
}

impl<F, T, E, R> Job for Task<F, T, E, R>
where
    F: FnOnce(&mut Unit<'_>) -> Result<T, E> + Send,
    T: Send,
    E: Send,
    R: FnOnce(Result<T, CommitError<E>>) + Send,
{
    fn run(&mut self, unit: &mut Unit<'_>) -> Ran {
        let State::Waiting(work) = std::mem::replace(&mut self.state, State::Running) else {
            return Ran::Refused;
        };
        let (ran, result) = match work(unit) {
            Ok(value) => (Ran::Kept, Ok(value)),
            Err(refusal) => (Ran::Refused, Err(CommitError::Refused(refusal))),
        };
        self.state = State::Done(result);
        ran
    }

    fn overrule(&mut self, ruling: Ruling) {
        self.state = State::Done(Err(match ruling {
            Ruling::Panicked => CommitError::Panicked,
            Ruling::TooLarge { bytes } => CommitError::TooLarge { bytes },
        }));
    }

    fn answer(self: Box<Self>, failure: Option<&StoreFailure>) {
        let Self { state, reply } = *self;
        reply(match (failure, state) {
            (Some(failure), _) => Err(CommitError::StoreFailed(failure.clone())),
            (None, State::Done(result)) => result,
            (None, State::Waiting(_) | State::Running) => Err(CommitError::Closed),
        });
    }
}
