//! Use cases, one file per noun: authorise, read, decide, one atomic unit.
//!
//! Nothing here knows how a request came in: there is no tonic, no protobuf, no engine of the store.

pub(crate) mod each;
pub mod error;

pub mod access;
pub mod agreements;
pub mod applications;
pub mod asked;
pub mod at_risk;
pub mod audit;
pub mod idempotency;

pub mod backup;
pub mod restore;

pub mod cases;
pub mod certificates;
pub mod clocks;
pub mod consents;
pub mod draws;
pub mod duties;
pub mod erasure;
pub mod heard;
pub mod import;
pub mod indicators;
pub mod ledger;
pub mod letters;
pub mod messages;
pub mod notices;
pub mod old_cases;
pub mod persons;
pub mod progress;
pub mod reconcile;
pub mod registrations;
pub mod relay;
pub mod retention;
pub mod time_known;
pub mod upkeep;

#[cfg(test)]
mod tests;

use domain::access::{Caller, Permission};
use domain::area::AreaCode;
use domain::message::Kind;
use domain::purpose::LawfulBasis;
use domain::reason::Reason;
use domain::record::{Author, Edit, Version};
use domain::text::Note;
use domain::time::{Date, UnixMillis};
use store::Store;

pub use error::{AppError, Refusal};

/// Most rows of a page that an operator asks for.
pub const PAGE_MAX: usize = 500;
/// Rows of a page when nothing is asked for.
pub const PAGE_DEFAULT: usize = 50;

/// Rows of a page of which an operator asks for so many. No bound for work inside the node: that has its own.
pub(crate) fn page_size(asked: usize) -> usize {
    if asked == 0 { PAGE_DEFAULT } else { asked.min(PAGE_MAX) }
}

/// Work that takes long and waits for nothing, on a thread of its own: the threads that serve calls stay free for others.
///
/// # Errors
/// Whatever `work` says.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AppError> + Send + 'static,
) -> Result<T, AppError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(AppError::Internal("work has panicked")))
}

/// The same, for reading through much.
///
/// # Errors
/// Whatever `work` says.
pub(crate) async fn reading<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&Store) -> Result<T, AppError> + Send + 'static,
) -> Result<T, AppError> {
    let store = store.clone();
    blocking(move || work(&store)).await
}

/// Who asks, and when. Every use case takes it first.
#[derive(Clone, Debug)]
pub struct Ctx {
    /// Who asks, as the certificate says.
    pub caller: Caller,
    /// The time of the call.
    pub now: UnixMillis,
}

impl Ctx {
    /// The day of the call in China Standard Time.
    #[must_use]
    pub fn today(&self) -> Date {
        self.now.date()
    }

    /// The node's area; the caller's own, since no other area's operators are let in.
    #[must_use]
    pub fn county(&self) -> AreaCode {
        self.caller.area.county()
    }

    /// Passes who may; refuses everybody else.
    ///
    /// # Errors
    /// `ROLE_REQUIRED`.
    pub fn must(&self, permission: Permission) -> Result<(), AppError> {
        if self.caller.may(permission) { Ok(()) } else { Err(Reason::RoleRequired.into()) }
    }

    /// Whether this caller is told which kind of message one is. What goes on a person's consent or request says something
    /// about her by its kind, and whoever knows the id finds her in the access log: only who reads messages about persons is
    /// told.
    #[must_use]
    pub fn is_told(&self, kind: Kind, basis: Option<LawfulBasis>) -> bool {
        let hers = kind.is_hers() || basis.is_some_and(LawfulBasis::is_hers);
        !hers || self.caller.may(Permission::ExchangeMessages)
    }

    /// Signs a version of a record: with the caller's words, or with `usual` when there are none.
    ///
    /// # Errors
    /// Never with a `usual` that is a text.
    pub fn author(&self, why: Option<Note>, usual: &'static str) -> Result<Author, AppError> {
        let why = why.map_or_else(|| Note::new(usual), Ok);
        let why = why.map_err(|_| AppError::Internal("a usual reason is no text"))?;
        Ok(Author { operator: self.caller.operator.clone(), at: self.now, why })
    }

    /// A change to the version of a record that the caller has seen.
    ///
    /// # Errors
    /// As for [`Ctx::author`].
    pub fn edit(
        &self,
        seen: Version,
        why: Option<Note>,
        usual: &'static str,
    ) -> Result<Edit, AppError> {
        Ok(Edit { seen, area: self.county(), author: self.author(why, usual)? })
    }
}
