//! Synthetic people for demonstrations, tests and benchmarks: reproducible from a seed.
//!
//! The numbers are well-formed and their check characters fit, but the people do not exist: every name
//! ends in the character 〇, which real names hardly ever have, so that no list can pass for a real one.

mod messages;

pub use messages::Messages;

use crate::area::AreaCode;
use crate::person::{
    Birth, IdentityDocument, MaritalStatus, PersonDetails, PersonName, ResidentId, Sex, Spouse,
};
use crate::time::Date;

/// Ends every synthetic name.
pub const MARK: char = '〇';

/// The fifty most frequent surnames.
const SURNAMES: &str = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢";
/// Frequent characters of given names.
const GIVEN: &str =
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰春梅建国文红云飞雪婷浩宇欣怡佳梓涵";

/// SplitMix64: small, fast, the same on every machine. Not for secrets.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// A generator that always gives the same numbers for the same seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        // The high half times the bound, shifted: even enough for samples, and without division.
        let product = (self.next_u64() >> 32) * u64::from(bound);
        u32::try_from(product >> 32).unwrap_or_default()
    }

    /// True in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// Ten random bytes, as identifiers take them.
    pub fn bytes(&mut self) -> [u8; 10] {
        let [a, b, c, d, e, f, g, h] = self.next_u64().to_be_bytes();
        let [i, j, ..] = self.next_u64().to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j]
    }

    /// One of the items; `None` from an empty list.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let len = u32::try_from(items.len()).unwrap_or(u32::MAX);
        items.get(usize::try_from(self.below(len)).unwrap_or_default())
    }
}

/// Makes people whose numbers were first given in the counties named.
#[derive(Clone, Debug)]
pub struct People {
    seeded: Seeded,
    counties: Vec<AreaCode>,
    today: Date,
}

impl People {
    /// A generator for the given seed. `counties` are those in which the numbers were first given (real
    /// codes, so that lists look right); `today` bounds every date. Without a county it makes nobody.
    pub fn new(seed: u64, counties: Vec<AreaCode>, today: Date) -> Self {
        Self { seeded: Seeded::new(seed), counties, today }
    }

    /// The dice, for whatever else a sample needs.
    pub fn seeded(&mut self) -> &mut Seeded {
        &mut self.seeded
    }

    /// The next person: an adult of 18 to 60, perhaps married, perhaps with up to three children.
    fn person(&mut self) -> Option<PersonDetails> {
        let sex = if self.seeded.chance(50) { Sex::Female } else { Sex::Male };
        let born = self.past(18 * 366, 42 * 365);
        let id = self.resident_id(born, sex)?;
        let name = self.name()?;
        let mut details = PersonDetails::from_resident_id(id, false, name).ok()?;
        let age = born.age_at(self.today).unwrap_or_default();
        let married = age >= 22 && self.seeded.chance(70);
        details.marital_status = Some(match self.seeded.below(100) {
            _ if !married => MaritalStatus::NeverMarried,
            0..90 => MaritalStatus::Married,
            90..97 => MaritalStatus::Divorced,
            _ => MaritalStatus::Widowed,
        });
        if details.marital_status == Some(MaritalStatus::Married) {
            details.spouse = self.spouse(born, sex);
        }
        if married {
            details.births = self.births(born);
        }
        Some(details)
    }

    fn spouse(&mut self, born: Date, sex: Sex) -> Option<Spouse> {
        let other = if sex == Sex::Female { Sex::Male } else { Sex::Female };
        let apart = i32::try_from(self.seeded.below(6 * 365)).unwrap_or_default() - 3 * 365;
        // Both are old enough on the day of marriage, whichever is the younger.
        let spouse_born = born.plus_days(apart).min(self.today.plus_days(-21 * 366));
        let earliest = born.max(spouse_born).plus_years(20);
        let id = self.resident_id(spouse_born, other)?;
        let document = IdentityDocument::from_resident_id(id, false).ok();
        Some(Spouse { name: self.name()?, document, married_on: Some(self.between(earliest)) })
    }

    fn births(&mut self, born: Date) -> Vec<Birth> {
        let count = self.seeded.below(4);
        let earliest = born.plus_years(20);
        let mut births: Vec<_> =
            (0..count).map(|_| Birth { born_on: self.between(earliest) }).collect();
        births.sort_unstable();
        births.dedup();
        births
    }

    fn resident_id(&mut self, born: Date, sex: Sex) -> Option<ResidentId> {
        let county = *self.seeded.pick(&self.counties)?;
        let pair = self.seeded.below(499);
        let sequence = pair * 2 + u32::from(sex == Sex::Male);
        let (year, month, day) = (born.year(), born.month_of_year(), born.day());
        let body = format!("{}{year:04}{month:02}{day:02}{sequence:03}", county.county());
        let check = crate::person::check_character(body.as_bytes())?;
        ResidentId::parse(&format!("{body}{}", char::from(check))).ok()
    }

    fn name(&mut self) -> Option<PersonName> {
        let mut name = String::new();
        name.push(self.letter(SURNAMES)?);
        for _ in 0..=self.seeded.below(2) {
            name.push(self.letter(GIVEN)?);
        }
        name.push(MARK);
        PersonName::parse(&name).ok()
    }

    fn letter(&mut self, letters: &str) -> Option<char> {
        let count = u32::try_from(letters.chars().count()).unwrap_or_default();
        letters.chars().nth(usize::try_from(self.seeded.below(count)).ok()?)
    }

    /// A day at least `youngest` and at most `youngest + span` days ago.
    fn past(&mut self, youngest: i32, span: u32) -> Date {
        let days = i32::try_from(self.seeded.below(span)).unwrap_or_default();
        self.today.plus_days(-(youngest + days))
    }

    /// A day from `earliest` to today.
    fn between(&mut self, earliest: Date) -> Date {
        let span = self.today.epoch_days() - earliest.epoch_days();
        let days = self.seeded.below(u32::try_from(span.max(0)).unwrap_or_default());
        earliest.plus_days(i32::try_from(days).unwrap_or_default()).min(self.today)
    }
}

impl Iterator for People {
    type Item = PersonDetails;

    fn next(&mut self) -> Option<PersonDetails> {
        self.person()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::purpose::Purpose;
    use std::collections::HashSet;

    fn people(seed: u64) -> People {
        let counties = ["410522", "440305", "510722"].map(|code| code.parse().unwrap());
        People::new(seed, counties.to_vec(), "2026-03-01".parse().unwrap())
    }

    #[test]
    fn splitmix_gives_its_published_numbers() {
        let mut seeded = Seeded::new(1_234_567);
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([(); 3].map(|()| seeded.next_u64()), expected);
    }

    #[test]
    fn the_same_seed_makes_the_same_people() {
        let first: Vec<_> = people(7).take(50).collect();
        assert_eq!(first, people(7).take(50).collect::<Vec<_>>());
        assert_ne!(first, people(8).take(50).collect::<Vec<_>>());
    }

    #[test]
    fn people_keep_every_rule_and_are_clearly_synthetic() {
        let why = Purpose::ResidenceRegistration;
        let mut numbers = HashSet::new();
        for person in people(1).take(2000) {
            assert_eq!(person.check("2026-03-01".parse().unwrap()), Ok(()));
            assert!(person.document.resident_id().unwrap().check_ok());
            assert!(person.name.expose(&why).ends_with(MARK));
            assert!(person.birth_date.age_at("2026-03-01".parse().unwrap()).unwrap() >= 18);
            numbers.insert(person.document.expose(&why).to_owned());
        }
        assert!(numbers.len() > 1990, "numbers hardly repeat");
    }

    #[test]
    fn there_is_variety() {
        let people: Vec<_> = people(3).take(500).collect();
        assert!(people.iter().any(|person| person.spouse.is_some()));
        assert!(people.iter().any(|person| person.births.len() > 1));
        assert!(people.iter().any(|person| person.marital_status == Some(MaritalStatus::Divorced)));
        assert!(people.iter().filter(|person| person.sex == Sex::Female).count() > 150);
    }

    #[test]
    fn without_a_county_there_is_nobody() {
        assert!(People::new(1, Vec::new(), "2026-03-01".parse().unwrap()).next().is_none());
    }
}
