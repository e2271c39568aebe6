//! Repeated calls: the same key of the same operator gives the first outcome again, and does nothing.
//!
//! A key is remembered for [`KEYS_KEPT`]; after that the same key is a new call.

use std::ops::Bound;
use std::time::Duration;

use domain::reason::Reason;
use domain::time::UnixMillis;
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::records::IdempotencyRow;
use store::tables::IDEMPOTENCY;
use store::{PersonHash, Store, Unit};
use zeroize::Zeroizing;

use super::{AppError, Ctx, Refusal};

/// Longest key, in characters.
pub const KEY_CHARS_MAX: usize = 64;

/// How long a key is remembered: longer than any program repeats a call.
pub const KEYS_KEPT: Duration = Duration::from_secs(30 * 86_400);
/// Keys that are looked at, and forgotten, in one go.
const KEYS_AT_ONCE: usize = 512;

/// Forgets the keys of calls that are older than [`KEYS_KEPT`]. Says how many.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn forget(store: &Store, now: UnixMillis) -> Result<usize, AppError> {
    let (mut count, mut after) = (0, Bound::<PersonHash>::Unbounded);
    loop {
        let rows = store.scan(&IDEMPOTENCY, (after, Bound::Unbounded), KEYS_AT_ONCE)?;
        let Some((last, _)) = rows.last() else { return Ok(count) };
        after = Bound::Excluded(*last);
        let old = rows.into_iter().filter(|(_, row)| now.since(row.at) > KEYS_KEPT);
        let old: Vec<PersonHash> = old.map(|(key, _)| key).collect();
        if old.is_empty() {
            continue;
        }
        count += old.len();
        let gone = store.commit(move |unit| {
            old.iter().for_each(|key| unit.delete(&IDEMPOTENCY, key));
            Ok::<_, AppError>(())
        });
        gone.await.map_err(AppError::from)?;
    }
}

/// What a call asks for, under the key its caller made up. An empty key is none: then every call counts.
#[derive(Clone)]
pub struct Once {
    key: String,
    content: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Once {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A program may have made its key of personal data.
        write!(f, "Once({} bytes)", self.content.len())
    }
}

impl Once {
    /// A call of the use case `name` with everything it asks for.
    ///
    /// # Errors
    /// `TOO_LARGE` for a key of more than [`KEY_CHARS_MAX`] characters.
    pub fn new(key: &str, name: &str, content: &impl Serialize) -> Result<Self, AppError> {
        if key.chars().count() > KEY_CHARS_MAX {
            return Err(Refusal::new(Reason::TooLarge).field("idempotency_key").into());
        }
        if key.is_empty() {
            return Ok(Self { key: String::new(), content: Zeroizing::default() });
        }
        let content = postcard::to_stdvec(&(name, content));
        let content = content.map_err(|_| AppError::Internal("a request cannot be encoded"))?;
        Ok(Self { key: key.to_owned(), content: Zeroizing::new(content) })
    }

    /// What came of the first call, if there was one.
    ///
    /// # Errors
    /// `CONFLICT` when that call asked for something else.
    pub fn first<T: DeserializeOwned>(
        &self,
        ctx: &Ctx,
        unit: &Unit<'_>,
    ) -> Result<Option<T>, AppError> {
        if self.key.is_empty() {
            return Ok(None);
        }
        let Some(row) = unit.first_outcome(&ctx.caller.operator, &self.key)? else {
            return Ok(None);
        };
        if row.content != unit.content_hash(&self.content) {
            return Err(Refusal::new(Reason::Conflict).field("idempotency_key").into());
        }
        let result = postcard::from_bytes(&row.result);
        result.map(Some).map_err(|_| AppError::Internal("a kept outcome cannot be read"))
    }

    /// Keeps what came of this call, in the unit that does the work.
    ///
    /// # Errors
    /// When the row cannot be written.
    pub fn keep(
        &self,
        ctx: &Ctx,
        unit: &mut Unit<'_>,
        result: &impl Serialize,
    ) -> Result<(), AppError> {
        if self.key.is_empty() {
            return Ok(());
        }
        let result = postcard::to_stdvec(result);
        let result = result.map_err(|_| AppError::Internal("an outcome cannot be encoded"))?;
        let content = unit.content_hash(&self.content);
        let row = IdempotencyRow { at: ctx.now, content, result };
        unit.keep_outcome(&ctx.caller.operator, &self.key, &row)?;
        Ok(())
    }
}
