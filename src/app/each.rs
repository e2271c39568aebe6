//! Work on many things that must not stop at one of them.

use store::{Store, Unit};

use super::AppError;

/// What became of many things.
#[derive(Debug)]
pub(crate) struct Each<T> {
    /// What the work on those that it succeeded for adds up to.
    pub done: usize,
    /// Those that it failed for, and why.
    pub failed: Vec<(T, AppError)>,
}

/// Does the same with many things in one unit; when that fails because of one of them, in a unit each, so that all but
/// that one are done.
///
/// # Errors
/// When the store takes no work at all; what was not done is to be done again.
pub(crate) async fn each<T, F>(store: &Store, things: Vec<T>, work: F) -> Result<Each<T>, AppError>
where
    T: Clone + Send + 'static,
    F: Fn(&mut Unit<'_>, &T) -> Result<usize, AppError> + Clone + Send + 'static,
{
    let mut each = Each { done: 0, failed: Vec::new() };
    let (all, with) = (things.clone(), work.clone());
    let together = store.commit(move |unit| {
        let done = all.iter().map(|thing| with(unit, thing));
        done.sum::<Result<usize, AppError>>()
    });
    match together.await.map_err(AppError::from) {
        Ok(done) => return Ok(Each { done, ..each }),
        Err(error) if !error.is_of_one() => return Err(error),
        Err(_) => {}
    }
    for thing in things {
        let (one, with) = (thing.clone(), work.clone());
        match store.commit(move |unit| with(unit, &one)).await.map_err(AppError::from) {
            Ok(done) => each.done += done,
            Err(error) if error.is_of_one() => each.failed.push((thing, error)),
            Err(error) => return Err(error),
        }
    }
    Ok(each)
}

/// The first thing that went wrong, for work that goes on after it.
#[derive(Debug, Default)]
pub(crate) struct First(Option<AppError>);

impl First {
    /// What one piece of work came to; its error is kept for the end.
    pub(crate) fn take<T>(&mut self, outcome: Result<T, AppError>) -> Option<T> {
        outcome.map_err(|error| self.0.get_or_insert(error)).ok()
    }

    /// The end: the error, if there was one.
    pub(crate) fn end(self) -> Result<(), AppError> {
        self.0.map_or(Ok(()), Err)
    }
}
