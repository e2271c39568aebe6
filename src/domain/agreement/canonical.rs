//! The bytes of an agreement that both nodes sign: one line a term, in one order, so that two programs that read the
//! same terms write the same bytes.

use super::AgreementTerms;
use crate::area::AreaCode;
use crate::hex::hex;
use crate::id::AgreementId;
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
