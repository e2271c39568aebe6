//! Dispositions: one for every message, so read and written without the generated types.

#[cfg(test)]
mod tests;

use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::receipt::DISPOSITION_BYTES_MAX;
use exchange::receipt::Disposition;
use exchange::receipt::FIELD_BYTES_MAX;
use exchange::receipt::Outcome;

use crate::fields::Fields;
use crate::fields::array;
use crate::fields::at_most;
use crate::fields::put_bytes;
use crate::fields::put_varint;
use crate::fields::some;
use crate::fields::time;
use crate::malformed::Malformed;
use crate::pb;

const STORED: u64 = 1;
const REFUSED: u64 = 2;
const DEFERRED: u64 = 3;

/// Serialises a disposition: a leaf of the receipt's tree. About 64 bytes for one that says "stored".
#[must_use]
pub fn encode_disposition(disposition: &Disposition) -> Vec<u8> {
    let Disposition { message_id, digest, outcome, duplicate, decided } = disposition;
    let (number, reason, retry_after, field) = match outcome {
        Outcome::Stored => (STORED, None, 0, None),
        Outcome::Refused { reason, field } => (REFUSED, Some(reason), 0, field.as_deref()),
        Outcome::Deferred { reason, until } => (DEFERRED, Some(reason), until.get(), None),
    };
    let mut out = Vec::with_capacity(64);
    put_bytes(&mut out, 1, message_id.as_bytes());
    put_bytes(&mut out, 2, digest.as_bytes());
    put_varint(&mut out, 3, number);
    put_varint(&mut out, 4, u64::from(*duplicate));
    put_bytes(&mut out, 5, reason.map_or("", |reason| reason.code()).as_bytes());
    put_varint(&mut out, 6, retry_after);
    put_varint(&mut out, 7, decided.get());
    put_bytes(&mut out, 8, field.unwrap_or_default().as_bytes());
    out
}

/// What the bytes hold, before anything is checked.
#[derive(Default)]
struct RawDisposition<'a> {
    message_id: &'a [u8],
    digest: &'a [u8],
    outcome: i32,
    duplicate: bool,
    reason: &'a [u8],
    retry_after_ms: u64,
    decided_ms: u64,
    field: &'a [u8],
}

impl<'a> RawDisposition<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut raw = Self::default();
        for field in Fields::of(bytes) {
            let (number, value) = field?;
            match number {
                1 => raw.message_id = value.bytes()?,
                2 => raw.digest = value.bytes()?,
                3 => raw.outcome = value.number()?,
                4 => raw.duplicate = value.varint()? != 0,
                5 => raw.reason = value.bytes()?,
                6 => raw.retry_after_ms = value.varint()?,
                7 => raw.decided_ms = value.varint()?,
                8 => raw.field = value.bytes()?,
                // A newer version's field: ignored here, kept in the bytes.
                _ => {}
            }
        }
        Ok(raw)
    }
}

/// Reads a disposition. A reason that this version does not know becomes `REASON_UNKNOWN`.
///
/// # Errors
/// [`Malformed`] names the first field that is not as the protocol says.
pub fn decode_disposition(bytes: &[u8]) -> Result<Disposition, Malformed> {
    some("disposition", bytes.len(), DISPOSITION_BYTES_MAX)?;
    let RawDisposition {
        message_id,
        digest,
        outcome,
        duplicate,
        reason,
        retry_after_ms,
        decided_ms,
        field,
    } = RawDisposition::read(bytes)?;
    let outcome = match pb::exchange::Outcome::try_from(outcome) {
        Ok(pb::exchange::Outcome::Stored) => Outcome::Stored,
        Ok(pb::exchange::Outcome::Refused) => Outcome::Refused {
            reason: decode_reason("disposition.reason", reason)?,
            field: decode_field(field)?,
        },
        Ok(pb::exchange::Outcome::Deferred) => Outcome::Deferred {
            reason: decode_reason("disposition.reason", reason)?,
            // A wish, however far; the courier has its own bounds.
            until: UnixMillis::new(retry_after_ms),
        },
        Ok(pb::exchange::Outcome::Unspecified) | Err(_) => {
            let number = i64::from(outcome);
            return Err(Malformed::Unknown { field: "disposition.outcome", number });
        }
    };
    Ok(Disposition {
        message_id: MessageId::from_bytes(array("disposition.message_id", message_id)?),
        digest: Digest::new(array("disposition.digest", digest)?),
        outcome,
        duplicate,
        decided: time("disposition.decided_ms", decided_ms)?,
    })
}

/// A code of the catalogue; one that this version does not know becomes `REASON_UNKNOWN`.
pub(crate) fn decode_reason(field: &'static str, code: &[u8]) -> Result<Reason, Malformed> {
    if code.is_empty() {
        return Err(Malformed::Missing { field });
    }
    let code = std::str::from_utf8(code).map_err(|_| Malformed::Text { field })?;
    Ok(Reason::from_code(code).unwrap_or(Reason::ReasonUnknown))
}

fn decode_field(name: &[u8]) -> Result<Option<String>, Malformed> {
    let field = "disposition.field";
    at_most(field, name.len(), FIELD_BYTES_MAX)?;
    let name = std::str::from_utf8(name).map_err(|_| Malformed::Text { field })?;
    Ok((!name.is_empty()).then(|| name.to_owned()))
}
