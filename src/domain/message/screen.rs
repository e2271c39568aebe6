//! Screening of free text: no message asks a person to return, to appear or to pay, and none speaks of
//! penalties. The words are data (`data/forbidden.toml`).
//!
//! Screening cannot read minds. It makes misuse awkward and visible: a refused message is logged with its
//! reason. The lists hold phrases, not single words, so that ordinary sentences pass.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::catalogue::built_in;
use crate::numbered::numbered;
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

/// Phrases in the form that texts are compared in.
struct Phrases {
    demand: Demand,
    dense: Vec<String>,
    spaced: Vec<String>,
}

static PHRASES: LazyLock<Vec<Phrases>> = LazyLock::new(|| {
    let file: File = built_in(include_str!("../data/forbidden.toml"));
    let lists = file.demand.into_iter().filter_map(|list| {
        Some(Phrases {
            demand: Demand::from_code(&list.code)?,
            dense: list.zh.iter().map(|phrase| dense(phrase)).collect(),
            spaced: list.en.iter().map(|phrase| spaced(phrase)).collect(),
        })
    });
    lists.collect()
});

/// What the text demands, if the screening finds a demand. Blanks, punctuation, width and case between
/// and in the letters make no difference.
pub fn demand(text: &str) -> Option<Demand> {
    let (dense, spaced) = (dense(text), spaced(text));
    let found = PHRASES.iter().find(|list| {
        list.dense.iter().any(|phrase| dense.contains(phrase))
            || list.spaced.iter().any(|phrase| spaced.contains(phrase))
    });
    found.map(|list| list.demand)
}

/// Letters and digits only, in small letters: Chinese has no blanks that would mean anything.
fn dense(text: &str) -> String {
    folded(text).filter(|c| c.is_alphanumeric()).collect()
}

/// Words with one blank before, between and after them, so that a phrase matches whole words.
fn spaced(text: &str) -> String {
    let folded: String = folded(text).collect();
    let words = folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut spaced = String::from(" ");
    for word in words {
        spaced.push_str(word);
        spaced.push(' ');
    }
    spaced
}

fn folded(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars()
        .filter(|c| !is_invisible(*c) || *c == '\n')
        .map(fold_width)
        .flat_map(char::to_lowercase)
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
                list.zh.iter().all(|phrase| dense(phrase).chars().count() >= 2),
                "{}",
                list.code
            );
            assert!(list.en.iter().all(|phrase| spaced(phrase).len() >= 5), "{}", list.code);
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

    proptest! {
        #[test]
        fn nothing_panics(text: String) {
            demand(&text);
        }
    }
}
