//! A request as a form: each field is read by its type, and what is wrong with any of them is kept.

use std::borrow::Cow;
use std::str::FromStr;

use domain::area::{AreaCode, AreaTable};
use domain::numbered::Numbered;
use domain::rule::{Finding, Rule, Violation};
use domain::text::{Note, WrittenReason};

/// Most items of any list in a request.
pub const LIST_MAX: usize = 50;

/// Name of a field in a request, with dots.
pub(super) type Field = Cow<'static, str>;

/// Reads a request field by field and keeps what is wrong.
///
/// A field that cannot be read gives nothing; [`Form::finish`] hands out the whole only when every field was right.
#[derive(Debug, Default)]
pub struct Form {
    findings: Vec<Finding>,
}

impl Form {
    /// A form of which nothing has been read.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was read, if all of it is right.
    ///
    /// # Errors
    /// Everything that is wrong, in the order in which it was read.
    pub fn finish<T>(mut self, whole: Option<T>) -> Result<T, Vec<Finding>> {
        match whole {
            Some(whole) if self.findings.is_empty() => Ok(whole),
            Some(_) => Err(self.findings),
            None => {
                // A field that gives nothing has said why; should one forget, the request is refused all the same.
                if self.findings.is_empty() {
                    self.broken(Rule::FieldRequired, "");
                }
                Err(self.findings)
            }
        }
    }

    /// Keeps a broken rule.
    pub fn broken(&mut self, rule: Rule, field: impl Into<Field>) {
        self.findings.push(Finding { rule, field: field.into() });
    }

    /// A part of the request that must be there.
    pub fn there<T>(&mut self, field: impl Into<Field>, part: Option<T>) -> Option<T> {
        if part.is_none() {
            self.broken(Rule::FieldRequired, field);
        }
        part
    }

    /// A text read by its type's own reader; empty is a fault.
    pub fn read<T, E: Violation>(
        &mut self,
        field: impl Into<Field>,
        text: &str,
        reader: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let field = field.into();
        if text.trim().is_empty() {
            self.broken(Rule::FieldRequired, field);
            return None;
        }
        self.keep(field, reader(text))
    }

    /// A text that may be left out: nothing when it is, and when it is wrong.
    pub fn maybe_read<T, E: Violation>(
        &mut self,
        field: impl Into<Field>,
        text: &str,
        reader: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if text.trim().is_empty() { None } else { self.keep(field.into(), reader(text)) }
    }

    /// A text with `FromStr`; empty is a fault.
    pub fn parsed<T: FromStr<Err: Violation>>(
        &mut self,
        field: impl Into<Field>,
        text: &str,
    ) -> Option<T> {
        self.read(field, text, str::parse)
    }

    /// A text with `FromStr` that may be left out.
    pub fn maybe_parsed<T: FromStr<Err: Violation>>(
        &mut self,
        field: impl Into<Field>,
        text: &str,
    ) -> Option<T> {
        self.maybe_read(field, text, str::parse)
    }

    /// A value of a list; "not stated" is a fault.
    pub fn chosen<T: Numbered>(&mut self, field: impl Into<Field>, number: i32) -> Option<T> {
        let field = field.into();
        if number == 0 {
            self.broken(Rule::FieldRequired, field);
            return None;
        }
        self.maybe_chosen(field, number)
    }

    /// A value of a list that may be left out.
    pub fn maybe_chosen<T: Numbered>(&mut self, field: impl Into<Field>, number: i32) -> Option<T> {
        if number == 0 {
            return None;
        }
        let known = u8::try_from(number).ok().and_then(T::from_number);
        if known.is_none() {
            self.broken(Rule::NoSuchChoice, field);
        }
        known
    }

    /// An area that the table knows, now or earlier; below the county only the digits are judged.
    pub fn area(&mut self, field: impl Into<Field>, text: &str) -> Option<AreaCode> {
        let field = field.into();
        let area = self.parsed(field.clone(), text)?;
        self.known_area(field, area)
    }

    /// The same for an area that may be left out.
    pub fn maybe_area(&mut self, field: impl Into<Field>, text: &str) -> Option<AreaCode> {
        let field = field.into();
        let area = self.maybe_parsed(field.clone(), text)?;
        self.known_area(field, area)
    }

    fn known_area(&mut self, field: Field, area: AreaCode) -> Option<AreaCode> {
        if AreaTable::builtin().lookup(&area.county()).is_none() {
            self.broken(Rule::AreaUnknown, field);
            return None;
        }
        Some(area)
    }

    /// A few words that must be there, at most 200 characters.
    pub fn note(&mut self, field: impl Into<Field>, text: &str) -> Option<Note> {
        self.read(field, text, Note::new)
    }

    /// A few words that may be left out, at most 200 characters.
    pub fn maybe_note(&mut self, field: impl Into<Field>, text: &str) -> Option<Note> {
        self.maybe_read(field, text, Note::new)
    }

    /// A written reason, at most 500 characters: nothing is refused or revoked without one.
    pub fn reason(&mut self, field: impl Into<Field>, text: &str) -> Option<WrittenReason> {
        self.read(field, text, WrittenReason::new)
    }

    /// Whether a list is no longer than [`LIST_MAX`].
    pub fn bounded<T>(&mut self, field: impl Into<Field>, list: &[T]) -> bool {
        let fits = list.len() <= LIST_MAX;
        if !fits {
            self.broken(Rule::TextTooLong, field);
        }
        fits
    }

    fn keep<T, E: Violation>(&mut self, field: Field, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(error) => {
                self.findings.push(error.at(field));
                None
            }
        }
    }
}
