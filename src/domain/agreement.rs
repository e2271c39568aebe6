//! Agreements (双向协议): what two areas exchange, which fields of it, for which purposes, by which clocks, and how long
//! it is kept. Both nodes sign the same canonical bytes.
//!
//! An agreement only ever adds kinds to those that pass by law, and narrows their fields; it never lengthens a clock
//! and never keeps less than the law wants kept.

mod canonical;
mod fields;
mod permit;
mod state;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use canonical::{Word, Written, canonical_bytes, parse_canonical, signed_bytes, text_of_hex};
pub use fields::{is_reduction, known_fields, without_fields};
pub use permit::{Permit, ask_once_days, kept_until, permit, retention_months, shortest_clock};
pub use state::{Agreement, AgreementError, AgreementState};

use crate::clock::Clock;
use crate::message::Kind;
use crate::purpose::Purpose;
use crate::reason::Reason;
use crate::text::Note;
use crate::time::Date;

/// Longest time from the first to the last day of an agreement, years.
pub const AGREEMENT_YEARS_MAX: u16 = 5;
/// Shortest time that content is kept, months: the floor for logs (Cybersecurity Law art. 21). Transfer records without
/// content (ledger, receipts) are kept three years whatever is agreed.
pub const RETENTION_MONTHS_MIN: u16 = 6;
/// Longest time that an agreement may keep content, months.
pub const RETENTION_MONTHS_MAX: u16 = 120;
/// How long content is kept of which no agreement speaks, months: as long as the records of its transfer have to be
/// (domain notes, C17). An agreement that lists the kind may say more or less.
pub const RETENTION_MONTHS_USUAL: u16 = 36;
/// Longest time for which an earlier report answers a question, days.
pub const ASK_ONCE_DAYS_MAX: u16 = 365;
/// Longest notice for ending an agreement, days.
pub const NOTICE_DAYS_MAX: u16 = 90;
/// Most fields that are listed for one kind.
pub const FIELDS_MAX: usize = 40;
/// Longest name of a field, bytes.
const FIELD_NAME_MAX: usize = 40;
/// Longest signature and certificate that are taken, bytes; most certificates of a chain.
const SIGNATURE_BYTES_MAX: usize = 128;
const CERTIFICATE_BYTES_MAX: usize = 4_096;
const CHAIN_MAX: usize = 4;

/// Name of a field of a body, as in the proto files.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct FieldName(String);

/// The text is no name of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a field is named by small letters, digits and underscores")]
pub struct NotAFieldName;

impl FieldName {
    /// As in the proto files.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FieldName {
    type Err = NotAFieldName;

    fn from_str(text: &str) -> Result<Self, NotAFieldName> {
        let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let named = (1..=FIELD_NAME_MAX).contains(&text.len()) && text.chars().all(small);
        if named { Ok(Self(text.to_owned())) } else { Err(NotAFieldName) }
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is agreed for one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindTerms {
    /// Fields of the body that may go beside those it cannot do without. A name that this version does not know is kept:
    /// the other side may know it.
    pub fields: BTreeSet<FieldName>,
    /// How long the other office has to answer, in days of the sort that the law counts in; none for the law's own clock.
    pub days: Option<u16>,
    /// How long the content is kept, months; none for what holds for the whole agreement.
    pub retention_months: Option<u16>,
}

impl KindTerms {
    /// Every field that this version knows, the law's clock, the retention of the agreement.
    pub fn whole(kind: Kind) -> Self {
        Self { fields: known_fields(kind), days: None, retention_months: None }
    }
}

/// What two areas agree on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreementTerms {
    /// Kinds of message beside those that pass by law, and those of which fewer fields go than the law allows.
    pub kinds: BTreeMap<Kind, KindTerms>,
    /// Purposes the data may be used for.
    pub purposes: BTreeSet<Purpose>,
    /// First day.
    pub valid_from: Date,
    /// Last day.
    pub valid_until: Date,
    /// How long content is kept, months.
    pub retention_months: u16,
    /// For how many days an earlier report answers a question; 0 for never.
    pub ask_once_days: u16,
    /// Notice for ending it, days.
    pub notice_days: u16,
    /// Whom to call about it at the proposing office.
    pub contact: Note,
}

impl fmt::Debug for AgreementTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgreementTerms")
            .field("kinds", &self.kinds.keys())
            .field("valid_from", &self.valid_from)
            .field("valid_until", &self.valid_until)
            .finish_non_exhaustive()
    }
}

impl AgreementTerms {
    /// Everything that is wrong, with the field that it is about.
    pub fn faults(&self) -> Vec<(Reason, &'static str)> {
        let mut faults = Vec::new();
        let mut fault = |wrong: bool, reason, field| {
            if wrong {
                faults.push((reason, field));
            }
        };
        fault(self.kinds.is_empty(), Reason::FieldRequired, "kinds");
        // Words between offices pass by law, and those inside a case go where the case goes.
        let offices = self.kinds.keys().any(|kind| !kind.needs_person() || kind.is_step());
        fault(offices, Reason::InvalidField, "kinds");
        let unanswered = |kind: &Kind| {
            kind.answered_by().is_some_and(|answer| !self.kinds.contains_key(&answer))
        };
        fault(self.kinds.keys().any(unanswered), Reason::InvalidField, "kinds");
        fault(self.purposes.is_empty(), Reason::FieldRequired, "purposes");
        let longest = self.valid_from.plus_years(AGREEMENT_YEARS_MAX);
        let period = (self.valid_from..=longest).contains(&self.valid_until);
        fault(!period, Reason::InvalidField, "valid_until");
        fault(!kept(self.retention_months), Reason::InvalidField, "retention_months");
        fault(self.ask_once_days > ASK_ONCE_DAYS_MAX, Reason::InvalidField, "ask_once_days");
        fault(self.notice_days > NOTICE_DAYS_MAX, Reason::InvalidField, "notice_days");
        for (kind, terms) in &self.kinds {
            let longer = terms.days.is_some_and(|days| !shortens(*kind, days));
            fault(longer, Reason::InvalidField, "kind_terms.days");
            let short = terms.retention_months.is_some_and(|months| !kept(months));
            fault(short, Reason::InvalidField, "kind_terms.retention_months");
            fault(terms.fields.len() > FIELDS_MAX, Reason::TooLarge, "kind_terms.fields");
        }
        faults
    }

    /// How long content of a kind is kept, months.
    pub fn retention_of(&self, kind: Kind) -> u16 {
        let own = self.kinds.get(&kind).and_then(|terms| terms.retention_months);
        own.unwrap_or(self.retention_months)
    }

    /// The clock of a kind, when it is shorter than the law's.
    pub fn clock_of(&self, kind: Kind) -> Option<Clock> {
        let days = self.kinds.get(&kind)?.days?;
        match kind.clock()? {
            Clock::Days(_) => Some(Clock::Days(days)),
            Clock::WorkingDays(_) => Some(Clock::WorkingDays(days)),
        }
    }
}

fn kept(months: u16) -> bool {
    (RETENTION_MONTHS_MIN..=RETENTION_MONTHS_MAX).contains(&months)
}

/// Whether a clock of that many days is shorter than the law's.
fn shortens(kind: Kind, days: u16) -> bool {
    kind.clock().is_some_and(|law| (1..law.days()).contains(&days))
}

/// The signature of a node under a word about an agreement: ECDSA over [`signed_bytes`] in a context of its own.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfficeSignature {
    /// ASN.1 DER.
    pub signature: Vec<u8>,
    /// The signer's chain, leaf first, DER.
    pub chain: Vec<Vec<u8>>,
}

impl fmt::Debug for OfficeSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OfficeSignature({} bytes)", self.signature.len())
    }
}

impl OfficeSignature {
    /// Whether it has a form that a signature can have; whether it holds is for whoever has the root to say.
    pub fn is_well_formed(&self) -> bool {
        let chain = (1..=CHAIN_MAX).contains(&self.chain.len());
        let certificate = |der: &Vec<u8>| (1..=CERTIFICATE_BYTES_MAX).contains(&der.len());
        let signature = (1..=SIGNATURE_BYTES_MAX).contains(&self.signature.len());
        chain && signature && self.chain.iter().all(certificate)
    }
}
