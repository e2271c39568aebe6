//! Screening of free text: no message asks a person to return, to appear or to pay, and none speaks of
//! penalties; what says that somebody is pregnant or uses contraception needs what a message of that kind would need. The
//! words are data (`data/forbidden.toml`).
//!
//! Screening cannot read minds. It makes misuse awkward and visible, not impossible: a refused message is logged with its
//! reason. The lists hold phrases, not single words, so that ordinary sentences pass.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use serde::Deserialize;

use crate::catalogue::built_in;
use crate::consent::ConsentScope;
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
    reveal: Vec<List>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    code: String,
    zh: Vec<String>,
    en: Vec<String>,
}

/// What a phrase stands for.
#[derive(Clone, Copy)]
enum Says {
    Demands(Demand),
    Reveals(ConsentScope),
}

/// What the screening finds in a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What it demands: the first in the order of the data.
    pub demand: Option<Demand>,
    /// What it says of a pregnancy or contraception.
    pub reveals: BTreeSet<ConsentScope>,
}

impl Found {
    fn add(&mut self, says: Says) {
        match says {
            Says::Demands(demand) => {
                self.demand = Some(self.demand.map_or(demand, |before| before.min(demand)));
            }
            Says::Reveals(scope) => {
                self.reveals.insert(scope);
            }
        }
    }
}

/// Phrases in the form that texts are compared in; one pass over a text finds any of them.
struct Phrases {
    dense: AhoCorasick,
    spaced: AhoCorasick,
    /// What the phrase with that number stands for, in each automaton.
    dense_says: Vec<Says>,
    spaced_says: Vec<Says>,
}

static PHRASES: LazyLock<Phrases> = LazyLock::new(|| {
    let file: File = built_in(include_str!("../data/forbidden.toml"));
    let demands =
        file.demand.iter().map(|list| (Demand::from_code(&list.code).map(Says::Demands), list));
    let reveals = file
        .reveal
        .iter()
        .map(|list| (ConsentScope::from_code(&list.code).map(Says::Reveals), list));
    let (mut dense, mut spaced) = (Vec::new(), Vec::new());
    for (says, list) in demands.chain(reveals) {
        let Some(says) = says else { continue };
        dense.extend(list.zh.iter().map(|phrase| (says, Folded::of(phrase).dense)));
        spaced.extend(list.en.iter().map(|phrase| (says, Folded::of(phrase).spaced)));
    }
    Phrases {
        dense: automaton(&dense),
        spaced: automaton(&spaced),
        dense_says: dense.into_iter().map(|(says, _)| says).collect(),
        spaced_says: spaced.into_iter().map(|(says, _)| says).collect(),
    }
});

fn automaton(phrases: &[(Says, String)]) -> AhoCorasick {
    let built = AhoCorasick::new(phrases.iter().map(|(_, phrase)| phrase));
    #[expect(
        clippy::expect_used,
        reason = "the phrases are part of the program; every test builds them"
    )]
    built.expect("the phrases fit an automaton")
}

/// What the screening finds in a text. Blanks, punctuation, width and case between and in the letters make no difference.
pub fn screen(text: &str) -> Found {
    let phrases = &*PHRASES;
    let folded = Folded::of(text);
    let mut found = Found::default();
    let looked = [
        (&phrases.dense, &phrases.dense_says, &folded.dense),
        (&phrases.spaced, &phrases.spaced_says, &folded.spaced),
    ];
    for (automaton, says, text) in looked {
        let hits = automaton.find_overlapping_iter(text.as_str());
        hits.filter_map(|hit| says.get(hit.pattern().as_usize())).for_each(|says| found.add(*says));
    }
    found
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

    fn owned(codes: &[&str]) -> Vec<String> {
        codes.iter().map(|code| (*code).to_owned()).collect()
    }

    fn demand(text: &str) -> Option<Demand> {
        screen(text).demand
    }

    #[test]
    fn every_list_has_both_languages() {
        let file: File = built_in(include_str!("../data/forbidden.toml"));
        let codes = |lists: &[List]| lists.iter().map(|list| list.code.clone()).collect::<Vec<_>>();
        let demands: Vec<_> = Demand::ALL.iter().map(|demand| demand.code()).collect();
        let scopes: Vec<_> = ConsentScope::ALL.iter().map(|scope| scope.code()).collect();
        assert_eq!((codes(&file.demand), codes(&file.reveal)), (owned(&demands), owned(&scopes)));
        for list in file.demand.iter().chain(&file.reveal) {
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
    fn what_texts_say_of_a_pregnancy_or_contraception_is_found() {
        let (pregnancy, contraception) = (ConsentScope::Pregnancy, ConsentScope::Contraception);
        for (text, scopes) in [
            ("请核实是否怀孕、采取何种避孕措施", vec![pregnancy, contraception]),
            ("已怀 孕5个月，曾上环", vec![pregnancy, contraception]),
            ("末次月经2026-01-03，预产期十月", vec![pregnancy]),
            ("本人懷孕", vec![pregnancy]),
            ("去年做人流手术", vec![pregnancy]),
            ("男方已结扎", vec![contraception]),
            ("皮埋到期", vec![contraception]),
            ("She is PREGNANT.", vec![pregnancy]),
            ("an ＩＵＤ was fitted", vec![contraception]),
            ("uses contraceptives since May", vec![contraception]),
        ] {
            assert_eq!(screen(text).reveals, scopes.into_iter().collect(), "{text}");
        }
    }

    #[test]
    fn ordinary_sentences_say_nothing_of_it() {
        for text in [
            "本人流动到此地，现住科技园路。",
            "外来人流较多，请改日电话联系。",
            "居住地为物流产业园宿舍。",
            "网上环节已办结，线上环境正常。",
            "请开放环保证明的查询；热带环境调查与此无关。",
            "获取环节有误，请提取环评材料。",
            "每季节育苗，在农场打工。",
            "安全生产检查期间厂区不开放。",
            "等待产品检验后由单位开具证明。",
            "儿童预防接种证已核对，产后访视已完成。",
            "生育登记材料齐全，现有子女一人。",
            "请关怀独居人员，协助办理居住证。",
            "The due date of this answer is 9 March.",
            "Delivery of the certificate by post is agreed.",
            "She expects an answer soon.",
        ] {
            assert_eq!(screen(text).reveals, BTreeSet::new(), "{text}");
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
            screen(&text);
        }
    }
}
