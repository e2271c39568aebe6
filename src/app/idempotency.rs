//! Repeated calls: the same key of the same operator gives the first outcome again, and does nothing.

use domain::reason::Reason;
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::Unit;
use store::records::IdempotencyRow;
use zeroize::Zeroizing;

use super::{AppError, Ctx, Refusal};

/// Longest key, in characters.
pub const KEY_CHARS_MAX: usize = 64;

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
