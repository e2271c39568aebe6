//! Crosswalks: what the codes of national and older lists are in the lists of this service. The tables are data
//! (`data/crosswalk.toml`).
//!
//! Some codes of older lists say what nobody here may record, such as why somebody was not found; these are known, and
//! mean that nothing is recorded.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::catalogue::built_in;
use crate::numbered::Numbered;
use crate::text::fold_width;

/// A list of somebody else's codes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// What it is called in commands.
    pub name: String,
    /// Of which list of ours its values are.
    pub about: About,
    /// Its title in Chinese.
    pub zh: String,
    /// Its title in English.
    pub en: String,
    /// Our code for each of its codes; empty for what is not recorded.
    pub codes: BTreeMap<String, String>,
}

/// The lists of ours that others have codes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// Sex.
    Sex,
    /// Marital status.
    MaritalStatus,
    /// Contraceptive methods.
    ContraceptiveMethod,
}

/// What somebody else's code means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning<T> {
    /// This value.
    Value(T),
    /// Nothing that is recorded.
    NotRecorded,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    list: Vec<List>,
}

static LISTS: LazyLock<Vec<List>> = LazyLock::new(|| {
    let file: File = built_in(include_str!("data/crosswalk.toml"));
    file.list
});

/// All lists.
pub fn lists() -> &'static [List] {
    &LISTS
}

impl List {
    /// Our code for one of its codes; none for a code that it does not have. Width and case make no difference.
    pub fn ours(&self, code: &str) -> Option<Meaning<&str>> {
        let code: String = code.trim().chars().map(fold_width).collect();
        let found = self.codes.get(&code).or_else(|| self.codes.get(&code.to_uppercase()))?;
        Some(if found.is_empty() { Meaning::NotRecorded } else { Meaning::Value(found) })
    }
}

/// What a code means in the national lists about something; none when they do not have it.
pub fn read<T: Numbered>(about: About, code: &str) -> Option<Meaning<T>> {
    let found = lists().iter().filter(|list| list.about == about).find_map(|list| list.ours(code));
    match found? {
        Meaning::NotRecorded => Some(Meaning::NotRecorded),
        Meaning::Value(ours) => T::from_code(ours).map(Meaning::Value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ContraceptiveMethod;
    use crate::person::{MaritalStatus, Sex};

    #[test]
    fn every_code_leads_to_a_value_of_ours_or_to_nothing() {
        for list in lists() {
            for (code, ours) in &list.codes {
                let known = match list.about {
                    About::Sex => Sex::from_code(ours).is_some(),
                    About::MaritalStatus => MaritalStatus::from_code(ours).is_some(),
                    About::ContraceptiveMethod => ContraceptiveMethod::from_code(ours).is_some(),
                };
                assert!(known || ours.is_empty(), "{} {code}", list.name);
            }
        }
    }

    #[test]
    fn national_codes_are_read() {
        let status = |code| read::<MaritalStatus>(About::MaritalStatus, code);
        assert_eq!(status("22"), Some(Meaning::Value(MaritalStatus::Married)));
        assert_eq!(status("３０"), Some(Meaning::Value(MaritalStatus::Widowed)));
        assert_eq!(status("90"), Some(Meaning::NotRecorded));
        assert_eq!(status("50"), None);
        assert_eq!(read::<Sex>(About::Sex, "0"), Some(Meaning::Value(Sex::NotStated)));
    }

    /// Why somebody uses no method, or could not be found, is in no list of ours.
    #[test]
    fn what_is_no_method_is_not_recorded() {
        let list = lists().iter().find(|list| list.name == "wis-client-methods").unwrap();
        let reasons = list.codes.keys().filter(|code| code.starts_with('A'));
        assert!(reasons.clone().count() >= 12);
        for code in reasons {
            assert_eq!(list.ours(&code.to_lowercase()), Some(Meaning::NotRecorded), "{code}");
        }
        assert_eq!(list.ours("A97"), None);
        let method = |code| read::<ContraceptiveMethod>(About::ContraceptiveMethod, code);
        let device = Some(Meaning::Value(ContraceptiveMethod::IntrauterineDevice));
        assert_eq!((method("700"), method("放置宫内节育器")), (device, device));
    }
}
