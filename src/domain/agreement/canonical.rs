//! The bytes of an agreement that both nodes sign: one line a term, in one order, so that two programs that read the
//! same terms write the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use super::{AgreementTerms, KindTerms};
use crate::area::AreaCode;
use crate::hex::{hex, unhex};
use crate::id::AgreementId;
use crate::message::Kind;
use crate::purpose::Purpose;
use crate::text::Note;
use crate::time::Date;

/// What a node says about the terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// It proposes them.
    Proposed,
    /// It accepts them; whom to call at its office.
    Accepted(Option<&'a Note>),
    /// It does not.
    Declined,
    /// It ends them after that day.
    Ended(Date),
}

/// The terms as lines of text. `between` are the proposing and the other area.
pub fn canonical_bytes(
    id: AgreementId,
    version: u32,
    between: (AreaCode, AreaCode),
    terms: &AgreementTerms,
) -> Vec<u8> {
    let mut text = String::from("liangdi agreement 1\n");
    let (proposer, other) = between;
    let AgreementTerms { kinds, purposes, valid_from, valid_until, .. } = terms;
    let mut line = |name: &str, value: &str| {
        text.extend([name, " ", value, "\n"]);
    };
    line("id", &id.to_string());
    line("version", &version.to_string());
    line("between", &format!("{proposer} {other}"));
    line("valid", &format!("{valid_from} {valid_until}"));
    for (kind, terms) in kinds {
        let fields: Vec<_> = terms.fields.iter().map(|field| field.as_str()).collect();
        let number = |value: Option<u16>| value.unwrap_or_default().to_string();
        let (days, months) = (number(terms.days), number(terms.retention_months));
        line("kind", &format!("{} {days} {months} {}", kind.name(), fields.join(",")));
    }
    for purpose in purposes {
        line("purpose", purpose.code());
    }
    line("retention-months", &terms.retention_months.to_string());
    line("ask-once-days", &terms.ask_once_days.to_string());
    line("notice-days", &terms.notice_days.to_string());
    // Text that people write may hold line breaks; in hexadecimal it cannot look like a term.
    line("contact", &hex(terms.contact.raw().as_bytes()));
    text.into_bytes()
}

/// What the lines of an agreement say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The agreement.
    pub id: AgreementId,
    /// Its version.
    pub version: u32,
    /// The proposing and the other area.
    pub between: (AreaCode, AreaCode),
    /// What it says.
    pub terms: AgreementTerms,
}

/// Reads the lines that [`canonical_bytes`] writes; none when they are anything else, to the last byte.
pub fn parse_canonical(text: &str) -> Option<Written> {
    let mut lines = text.lines().skip(1).filter_map(|line| line.split_once(' ')).peekable();
    let mut value = |name: &str| lines.next_if(|(found, _)| *found == name).map(|(_, value)| value);
    let id = value("id")?.parse().ok()?;
    let version = value("version")?.parse().ok()?;
    let (proposer, other) = value("between")?.split_once(' ')?;
    let (from, until) = value("valid")?.split_once(' ')?;
    let mut kinds = BTreeMap::new();
    while let Some(line) = value("kind") {
        let (kind, terms) = kind_terms(line)?;
        kinds.insert(kind, terms);
    }
    let mut purposes = BTreeSet::new();
    while let Some(code) = value("purpose") {
        purposes.insert(Purpose::from_code(code)?);
    }
    let terms = AgreementTerms {
        kinds,
        purposes,
        valid_from: from.parse().ok()?,
        valid_until: until.parse().ok()?,
        retention_months: value("retention-months")?.parse().ok()?,
        ask_once_days: value("ask-once-days")?.parse().ok()?,
        notice_days: value("notice-days")?.parse().ok()?,
        contact: Note::new(&text_of_hex(value("contact")?)?).ok()?,
    };
    let between = (proposer.parse().ok()?, other.parse().ok()?);
    let same = canonical_bytes(id, version, between, &terms) == text.as_bytes();
    same.then_some(Written { id, version, between, terms })
}

fn kind_terms(line: &str) -> Option<(Kind, KindTerms)> {
    let mut parts = line.split(' ');
    let kind = Kind::from_name(parts.next()?)?;
    let number =
        |text: &str| text.parse::<u16>().ok().map(|number| Some(number).filter(|n| *n > 0));
    let (days, retention_months) = (number(parts.next()?)?, number(parts.next()?)?);
    let fields = parts.next()?.split(',').filter(|name| !name.is_empty());
    let fields: Result<_, _> = fields.map(str::parse).collect();
    Some((kind, KindTerms { fields: fields.ok()?, days, retention_months }))
}

/// A text that stands there in hexadecimal.
pub fn text_of_hex(digits: &str) -> Option<String> {
    String::from_utf8(unhex(digits)?).ok()
}

/// What a node signs: the terms, and its word about them.
pub fn signed_bytes(canonical: &[u8], word: Word<'_>) -> Vec<u8> {
    let said = match word {
        Word::Proposed => "proposed".to_owned(),
        Word::Accepted(contact) => {
            format!(
                "accepted {}",
                contact.map(|note| hex(note.raw().as_bytes())).unwrap_or_default()
            )
        }
        Word::Declined => "declined".to_owned(),
        Word::Ended(on) => format!("ended {on}"),
    };
    [canonical, said.as_bytes(), b"\n"].concat()
}
