//! Validation rules, for people: what is wrong with a field and how to put it right.
//!
//! The texts are data (`data/rules.toml`). Types do the checking, once, at the edge; every error of a type
//! names its rule here, and with a field it becomes a [`Finding`].

mod errors;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::catalogue::{built_in, coded};
use crate::reason::Reason;

coded! {
    /// A validation rule.
    pub enum Rule {
        /// Any field: there is something in it.
        FieldRequired = "FIELD_REQUIRED";
        /// Any field: nothing in it where it makes no sense.
        FieldNotAllowed = "FIELD_NOT_ALLOWED";
        /// List: one of its values.
        NoSuchChoice = "NO_SUCH_CHOICE";
        /// Area code: there is such an area.
        AreaUnknown = "AREA_UNKNOWN";
        /// Area code: digits and length.
        AreaCode = "AREA_CODE";
        /// Date: form.
        DateFormat = "DATE_FORMAT";
        /// Date: there is such a day.
        DateExists = "DATE_EXISTS";
        /// Date: not in the future.
        DateNotInFuture = "DATE_NOT_IN_FUTURE";
        /// Identifier: a UUID.
        Identifier = "IDENTIFIER";
        /// Operator's name.
        OperatorName = "OPERATOR_NAME";
        /// Certificate number: form.
        CertificateNumber = "CERTIFICATE_NUMBER";
        /// Certificate number: check digit.
        CertificateNumberCheck = "CERTIFICATE_NUMBER_CHECK";
        /// Resident ID: length.
        ResidentIdLength = "RESIDENT_ID_LENGTH";
        /// Resident ID: digits.
        ResidentIdCharacters = "RESIDENT_ID_CHARACTERS";
        /// Resident ID: birth date.
        ResidentIdBirthDate = "RESIDENT_ID_BIRTH_DATE";
        /// Resident ID: check character, to be confirmed when it fails.
        ResidentIdCheck = "RESIDENT_ID_CHECK";
        /// Passport or permit number.
        DocumentNumber = "DOCUMENT_NUMBER";
        /// Name: there is one.
        NameEmpty = "NAME_EMPTY";
        /// Name: length.
        NameTooLong = "NAME_TOO_LONG";
        /// Name or text: no control characters.
        ControlCharacters = "CONTROL_CHARACTERS";
        /// Free text: there is some.
        TextEmpty = "TEXT_EMPTY";
        /// Free text: length.
        TextTooLong = "TEXT_TOO_LONG";
        /// Number printed on a paper.
        PrintedNumber = "PRINTED_NUMBER";
        /// Kind of message, by name.
        KindName = "KIND_NAME";
        /// Field of a body, by name.
        FieldName = "FIELD_NAME";
        /// Number of children or births.
        ChildrenTooMany = "CHILDREN_TOO_MANY";
        /// Birth date and resident ID agree.
        BirthDateDiffers = "BIRTH_DATE_DIFFERS";
        /// Events of a life come after its beginning.
        BeforeOwnBirth = "BEFORE_OWN_BIRTH";
        /// A spouse needs a marriage.
        SpouseNotMarried = "SPOUSE_NOT_MARRIED";
        /// Consent: covers something.
        ConsentScope = "CONSENT_SCOPE";
        /// Consent: period.
        ConsentPeriod = "CONSENT_PERIOD";
        /// Consent: withdrawn once.
        ConsentWithdrawn = "CONSENT_WITHDRAWN";
        /// Registration: departure after arrival.
        DepartureBeforeArrival = "DEPARTURE_BEFORE_ARRIVAL";
        /// Old case: end after beginning.
        EndBeforeStart = "END_BEFORE_START";
        /// Registration: residence inside the county.
        ResidenceOutside = "RESIDENCE_OUTSIDE";
        /// Registration: origin in another county.
        SameCounty = "SAME_COUNTY";
        /// Registration: destination in another county.
        DestinationInside = "DESTINATION_INSIDE";
        /// Registration: the person is present.
        NotPresent = "NOT_PRESENT";
        /// Registration: the person has left.
        StillPresent = "STILL_PRESENT";
        /// Certificate: number of this county.
        ForeignNumber = "FOREIGN_NUMBER";
        /// Certificate: still valid.
        CertificateExpired = "CERTIFICATE_EXPIRED";
        /// Certificate: not replaced.
        CertificateReplaced = "CERTIFICATE_REPLACED";
        /// Certificate: not revoked.
        CertificateRevoked = "CERTIFICATE_REVOKED";
        /// Certificate: a replacement has its own number.
        SameNumber = "SAME_NUMBER";
        /// Record: the newest version was seen.
        StaleVersion = "STALE_VERSION";
        /// Record: changed by its owner side.
        NotOwner = "NOT_OWNER";
        /// Record: room for another version.
        TooManyVersions = "TOO_MANY_VERSIONS";
        /// Record: time runs forwards.
        BeforeLastVersion = "BEFORE_LAST_VERSION";
    }
}

/// What the data file says about one rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    code: String,
    field: Option<String>,
    reason: Reason,
    zh: String,
    en: String,
    fix_zh: String,
    fix_en: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rule: Vec<Entry>,
}

static ENTRIES: LazyLock<HashMap<Rule, Entry>> = LazyLock::new(|| {
    let file: File = built_in(include_str!("data/rules.toml"));
    file.rule.into_iter().filter_map(|e| Some((Rule::from_code(&e.code)?, e))).collect()
});

impl Rule {
    /// What is wrong, in Chinese, in words for clerks.
    pub fn text_zh(self) -> &'static str {
        self.entry().map_or(self.code(), |entry| &entry.zh)
    }

    /// What is wrong, in English.
    pub fn text_en(self) -> &'static str {
        self.entry().map_or(self.code(), |entry| &entry.en)
    }

    /// How to put it right, in Chinese.
    pub fn fix_zh(self) -> &'static str {
        self.entry().map_or(self.code(), |entry| &entry.fix_zh)
    }

    /// How to put it right, in English.
    pub fn fix_en(self) -> &'static str {
        self.entry().map_or(self.code(), |entry| &entry.fix_en)
    }

    /// The field it is about when it is always the same one.
    pub fn field(self) -> Option<&'static str> {
        self.entry().and_then(|entry| entry.field.as_deref())
    }

    /// The reason of the catalogue under which it is reported to other programs.
    pub fn reason(self) -> Reason {
        self.entry().map_or(Reason::InvalidField, |entry| entry.reason)
    }

    /// A test shows that every rule has an entry.
    fn entry(self) -> Option<&'static Entry> {
        ENTRIES.get(&self)
    }
}

/// A rule that a field breaks. Never holds the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// The field, with dots for nesting, for example `person.document.number`.
    pub field: Cow<'static, str>,
}

impl Finding {
    /// A broken rule without a field from the caller: the rule's own field, or none.
    pub fn of(rule: Rule) -> Self {
        Self { rule, field: Cow::Borrowed(rule.field().unwrap_or_default()) }
    }
}

/// An error that names the rule it breaks; every error of a type in this crate does.
pub trait Violation {
    /// The rule.
    fn rule(&self) -> Rule;

    /// The rule at a field.
    fn at(&self, field: impl Into<Cow<'static, str>>) -> Finding {
        Finding { rule: self.rule(), field: field.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_rule_has_one_entry_in_both_languages_and_every_entry_a_rule() {
        let file: File = built_in(include_str!("data/rules.toml"));
        let codes: Vec<_> = file.rule.iter().map(|entry| entry.code.as_str()).collect();
        let unique: HashSet<_> = codes.iter().copied().collect();
        assert_eq!(unique.len(), codes.len(), "an entry appears twice");
        assert_eq!(unique, Rule::ALL.iter().map(|rule| rule.code()).collect());
        let chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        for entry in &file.rule {
            assert!(chinese(&entry.zh) && chinese(&entry.fix_zh), "{}: Chinese", entry.code);
            assert!(!chinese(&entry.en) && !chinese(&entry.fix_en), "{}: English", entry.code);
            assert!(entry.en.len() > 10 && entry.fix_en.len() > 10, "{}: too short", entry.code);
        }
    }

    #[test]
    fn an_error_becomes_a_finding_at_a_field() {
        let error = "4105".parse::<crate::area::AreaCode>().unwrap_err();
        let finding = error.at("origin_area");
        assert_eq!((finding.rule, finding.field.as_ref()), (Rule::AreaCode, "origin_area"));
        assert_eq!(finding.rule.reason(), Reason::InvalidField);
        assert_eq!(Rule::StaleVersion.reason(), Reason::StaleVersion);
    }
}
