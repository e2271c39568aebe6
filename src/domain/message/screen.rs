//! Screening of free text: no message asks a person to return, to appear or to pay, and none speaks of
//! penalties. The words are data (`data/forbidden.toml`).
//!
//! Screening cannot read minds. It makes misuse awkward and visible: a refused message is logged with its
//! reason. The lists hold phrases, not single words, so that ordinary sentences pass.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use serde::Deserialize;

use crate::catalogue::built_in;
use crate::numbered::numbered;
use crate::person::PersonName;
use crate::text::{fold_width, is_invisible};

numbered! {
    /// What a text demands.
    pub enum Demand {
        /// That somebody comes back to the place of registration.
        Return = 1, "RETURN", "要求返乡";
        /// That somebody appears or is examined.
        Appear = 2, "APPEAR", "要求到场或受检";
        /// That somebody pays.
        Pay = 3, "PAY", "要求交钱";
        /// That somebody is punished or pressed, or language of that sort.
        Press = 4, "PRESS", "处罚或施压";
    }
}

/// A number with so many digits is a postcode, an area code, a telephone or the number of a document.
const DIGITS_MIN: usize = 6;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    demand: Vec<List>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    code: String,
    zh: Vec<String>,
    en: Vec<String>,
}

/// Phrases in the form that texts are compared in; one pass over a text finds any of them.
struct Phrases {
    dense: AhoCorasick,
    spaced: AhoCorasick,
    /// What the phrase with that number demands, in each automaton.
    dense_demands: Vec<Demand>,
    spaced_demands: Vec<Demand>,
}

static PHRASES: LazyLock<Phrases> = LazyLock::new(|| {
    let file: File = built_in(include_str!("../data/forbidden.toml"));
    let (mut dense, mut spaced) = (Vec::new(), Vec::new());
    for list in &file.demand {
        let Some(demand) = Demand::from_code(&list.code) else { continue };
        dense.extend(list.zh.iter().map(|phrase| (demand, Folded::of(phrase).dense)));
        spaced.extend(list.en.iter().map(|phrase| (demand, Folded::of(phrase).spaced)));
    }
    Phrases {
        dense: automaton(&dense),
        spaced: automaton(&spaced),
        dense_demands: dense.into_iter().map(|(demand, _)| demand).collect(),
        spaced_demands: spaced.into_iter().map(|(demand, _)| demand).collect(),
    }
});

fn automaton(phrases: &[(Demand, String)]) -> AhoCorasick {
    let built = AhoCorasick::new(phrases.iter().map(|(_, phrase)| phrase));
    #[expect(
        clippy::expect_used,
        reason = "the phrases are part of the program; every test builds them"
    )]
    built.expect("the phrases fit an automaton")
}

/// What the text demands, if the screening finds a demand. Blanks, punctuation, width and case between
/// and in the letters make no difference.
pub fn demand(text: &str) -> Option<Demand> {
    let phrases = &*PHRASES;
    let folded = Folded::of(text);
    let in_dense = first(&phrases.dense, &phrases.dense_demands, &folded.dense);
    let in_spaced = first(&phrases.spaced, &phrases.spaced_demands, &folded.spaced);
    in_dense.into_iter().chain(in_spaced).min()
}

/// The demand that stands first in the data, of all whose phrases are found.
fn first(phrases: &AhoCorasick, demands: &[Demand], text: &str) -> Option<Demand> {
    let found = phrases.find_overlapping_iter(text);
    found.filter_map(|hit| demands.get(hit.pattern().as_usize()).copied()).min()
}

/// Whether a text leads back to one of those persons: it has the name of one, or a number as long as a telephone's.
/// Blanks, punctuation, width and case in a name make no difference.
pub fn names<'a>(text: &str, persons: impl IntoIterator<Item = &'a PersonName>) -> bool {
    let folded = dense(text);
    let mut called = persons.into_iter().map(|name| dense(name.raw()));
    has_number(text) || called.any(|name| !name.is_empty() && folded.contains(&name))
}

/// The letters and digits of a text, in small letters and of one width.
pub(super) fn dense(text: &str) -> String {
    Folded::of(text).dense
}

/// A text in the two forms in which phrases are looked for.
struct Folded {
    /// Letters and digits only, in small letters: Chinese has no blanks that would mean anything.
    dense: String,
    /// Words with one blank before, between and after them, so that a phrase matches whole words.
    spaced: String,
}

impl Folded {
    fn of(text: &str) -> Self {
        let mut dense = String::with_capacity(text.len());
        let mut spaced = String::with_capacity(text.len() + 2);
        spaced.push(' ');
        for letter in folded(text) {
            if is_letter_or_digit(letter) {
                dense.push(letter);
                spaced.push(letter);
            } else if !spaced.ends_with(' ') {
                spaced.push(' ');
            }
        }
        if !spaced.ends_with(' ') {
            spaced.push(' ');
        }
        Self { dense, spaced }
    }
}

/// Common Chinese characters, which need no look into the tables of letters and cases.
const fn is_common_chinese(letter: char) -> bool {
    matches!(letter, '\u{4E00}'..='\u{9FFF}')
}

fn is_letter_or_digit(letter: char) -> bool {
    is_common_chinese(letter) || letter.is_alphanumeric()
}

fn folded(text: &str) -> impl Iterator<Item = char> + '_ {
    let visible = text.chars().filter(|c| !is_invisible(*c) || *c == '\n');
    visible.map(fold_width).flat_map(|letter| {
        let small = (!is_common_chinese(letter)).then(|| letter.to_lowercase());
        let as_it_is = is_common_chinese(letter).then_some(letter);
        as_it_is.into_iter().chain(small.into_iter().flatten())
    })
}

/// Whether a text has a number as long as a postcode or a telephone, with blanks and hyphens in it or without; a day is
/// none.
pub(super) fn has_number(text: &str) -> bool {
    let mut digits = 0;
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if let Some(after) = without_day(rest) {
            (digits, rest) = (0, after);
            continue;
        }
        match letter {
            letter if letter.is_numeric() => digits += 1,
            ' ' | '-' | '－' | '—' | '　' => {}
            _ => digits = 0,
        }
        if digits >= DIGITS_MIN {
            return true;
        }
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
    }
    false
}

/// What follows a day that a text begins with, such as 2026-03-01.
fn without_day(text: &str) -> Option<&str> {
    let (day, after) = text.split_at_checked(10)?;
    let is_day = day.parse::<crate::time::Date>().is_ok();
    is_day.then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_list_has_both_languages() {
        let file: File = built_in(include_str!("../data/forbidden.toml"));
        let codes: Vec<_> = file.demand.iter().map(|list| list.code.as_str()).collect();
        assert_eq!(codes, Demand::ALL.iter().map(|demand| demand.code()).collect::<Vec<_>>());
        for list in &file.demand {
            assert!(!list.zh.is_empty() && !list.en.is_empty(), "{}", list.code);
            // A phrase that folds to nothing would match every text.
            assert!(
                list.zh.iter().all(|phrase| Folded::of(phrase).dense.chars().count() >= 2),
                "{}",
                list.code
            );
            assert!(
                list.en.iter().all(|phrase| Folded::of(phrase).spaced.len() >= 5),
                "{}",
                list.code
            );
        }
    }

    #[test]
    fn demands_are_found_in_many_spellings() {
        for (text, expected) in [
            ("请其限期返乡接受检查", Demand::Return),
            ("请通知她返 回 户，籍 地", Demand::Return),
            ("须到场参加三查", Demand::Appear),
            ("未交社会抚养费", Demand::Pay),
            ("須繳納罰款", Demand::Pay),
            ("属超生对象", Demand::Press),
            ("She MUST return home by Friday", Demand::Return),
            ("ｍｕｓｔ　ｐａｙ 200", Demand::Pay),
            ("she is summoned for an examination", Demand::Appear),
        ] {
            assert_eq!(demand(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn ordinary_sentences_pass() {
        for text in [
            "本人希望在居住地预约产前检查，请协助安排。",
            "档案缺失，无法核实。",
            "已电话联系，本人同意反馈。",
            "她返回后会自行联系社区医院。",
            "免费服务，不收取任何费用。",
            "请务必回复，限期回复为十五个工作日。",
            "请先交验结婚证复印件，材料由本人带回。",
            "Please book an antenatal visit; she is free on Mondays.",
            "Paying attention to the return address: post goes to the new flat.",
            "The record says divorced, the person says widowed.",
            "She will be fine with any day.",
        ] {
            assert_eq!(demand(text), None, "{text}");
        }
    }

    #[test]
    fn who_a_text_names_is_found() {
        let names = ["王小芳", "Li Na"].map(|name| PersonName::parse(name).unwrap());
        for text in
            ["王小芳本人申请", "本人王 小 芳。", "applied for by LI  NA", "电话 138 0013 8000"]
        {
            assert!(super::names(text, &names), "{text}");
        }
        for text in ["本人书面申请，目的已实现。", "王女士申请", "2026-03-01 提出，共 3 份材料"]
        {
            assert!(!super::names(text, &names), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text: String) {
            demand(&text);
        }
    }
}
