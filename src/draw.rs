//! A random draw as a paper that anybody can check: the rule by which it is drawn, and the file that shows it.
//!
//! Each id gets a ticket, the SHA-256 of the seed and the id; the sample is the ids with the lowest tickets. So the same
//! seed and the same ids give the same sample, in whatever order the ids come, and a check needs nothing but a hash
//! (`docs/draw.md`).

use std::collections::BTreeMap;

use domain::hex::unhex;
use domain::id::MessageId;
use exchange::digest::Digest;
use serde::{Deserialize, Serialize};

/// Name of the file's form.
pub const FORMAT: &str = "liangdi/v1/draw";
/// Says what is hashed.
const SEED: &[u8] = b"liangdi/v1/draw/seed\0";
/// Says what is hashed.
const TICKET: &[u8] = b"liangdi/v1/draw/ticket\0";

/// What is told before anybody knows the sample: the hash of the seed.
#[must_use]
pub fn commitment(seed: &[u8; 32]) -> Digest {
    Digest::of_parts(&[SEED, seed])
}

/// Draws from ids as they come by, holding no more than the sample.
#[derive(Debug)]
pub struct Urn {
    seed: [u8; 32],
    size: usize,
    drawn: BTreeMap<[u8; 32], [u8; 16]>,
}

impl Urn {
    /// An urn from which `size` ids are drawn.
    #[must_use]
    pub const fn new(seed: [u8; 32], size: usize) -> Self {
        Self { seed, size, drawn: BTreeMap::new() }
    }

    /// Puts an id in.
    pub fn put(&mut self, id: [u8; 16]) {
        let ticket = Digest::of_parts(&[TICKET, &self.seed, &id]);
        self.drawn.insert(ticket.into_bytes(), id);
        if self.drawn.len() > self.size {
            self.drawn.pop_last();
        }
    }

    /// The sample, lowest ticket first.
    #[must_use]
    pub fn sample(self) -> Vec<[u8; 16]> {
        self.drawn.into_values().collect()
    }
}

/// A draw with everything that a check needs. Ids of messages and registrations only: no person is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawPaper {
    /// [`FORMAT`].
    pub format: String,
    /// Its id.
    pub draw_id: String,
    /// Whose work is re-checked.
    pub area: String,
    /// Month, quarter or statistical year.
    pub period: String,
    /// What was drawn from.
    pub frame: String,
    /// Kind of message; empty for registrations.
    pub message_kind: String,
    /// When it was drawn, milliseconds since 1970.
    pub drawn_ms: u64,
    /// How many were asked for.
    pub size: u32,
    /// SHA-256 over the ids that were drawn from, 16 bytes each, in ascending order; base 16.
    pub population_sha256: String,
    /// Hash of the seed; base 16.
    pub seed_sha256: String,
    /// The seed; base 16.
    pub seed: String,
    /// The sample, in the order of the draw.
    pub sample: Vec<String>,
    /// The ids that were drawn from, ascending.
    pub population: Vec<String>,
}

/// What does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrawFault {
    /// Not a file of this form.
    #[error("this is not a draw, or something in it is not of the form that docs/draw.md says")]
    Form,
    /// Another seed than the one that was settled before.
    #[error("the seed is not the one whose hash was told before")]
    Seed,
    /// Other ids than those that were drawn from.
    #[error("the ids are not those whose hash was told when it was drawn")]
    Population,
    /// Another sample.
    #[error("the sample is not what the seed draws from these ids")]
    Sample,
}

impl DrawPaper {
    /// Draws once more and compares.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn check(&self) -> Result<(), DrawFault> {
        let seed = unhex(&self.seed).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let seed = seed.ok_or(DrawFault::Form)?;
        let ids = |texts: &[String]| -> Option<Vec<[u8; 16]>> {
            texts.iter().map(|text| Some(*text.parse::<MessageId>().ok()?.as_bytes())).collect()
        };
        let population = ids(&self.population).ok_or(DrawFault::Form)?;
        let sample = ids(&self.sample).ok_or(DrawFault::Form)?;
        if self.format != FORMAT || !population.is_sorted_by(|a, b| a < b) {
            return Err(DrawFault::Form);
        }
        if commitment(&seed).to_string() != self.seed_sha256 {
            return Err(DrawFault::Seed);
        }
        if Digest::of_all(&population).to_string() != self.population_sha256 {
            return Err(DrawFault::Population);
        }
        let mut urn = Urn::new(seed, usize::try_from(self.size).unwrap_or(usize::MAX));
        population.into_iter().for_each(|id| urn.put(id));
        if urn.sample() == sample { Ok(()) } else { Err(DrawFault::Sample) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn drawn(seed: [u8; 32], ids: &[[u8; 16]], size: usize) -> Vec<[u8; 16]> {
        let mut urn = Urn::new(seed, size);
        ids.iter().for_each(|id| urn.put(*id));
        urn.sample()
    }

    fn paper(seed: [u8; 32], ids: &[[u8; 16]], size: u32) -> DrawPaper {
        let text = |id: &[u8; 16]| MessageId::from_bytes(*id).to_string();
        DrawPaper {
            format: FORMAT.to_owned(),
            draw_id: text(&[9; 16]),
            area: "410522".to_owned(),
            period: "2026-03".to_owned(),
            frame: "RECEIVED".to_owned(),
            message_kind: "ArrivalNotice".to_owned(),
            drawn_ms: 1,
            size,
            population_sha256: Digest::of_all(ids).to_string(),
            seed_sha256: commitment(&seed).to_string(),
            seed: domain::hex::hex(&seed),
            sample: drawn(seed, ids, usize::try_from(size).unwrap()).iter().map(text).collect(),
            population: ids.iter().map(text).collect(),
        }
    }

    #[test]
    fn every_id_is_drawn_about_as_often() {
        let ids: Vec<[u8; 16]> = (0..10).map(|number| [number; 16]).collect();
        let mut times = [0_u32; 10];
        for number in 0..4_000_u16 {
            let mut seed = [0; 32];
            [seed[0], seed[1]] = number.to_be_bytes();
            drawn(seed, &ids, 3).iter().for_each(|id| times[usize::from(id[0])] += 1);
        }
        // 1,200 each on average; the standard deviation is about 29.
        assert!(times.iter().all(|times| (1_050..1_350).contains(times)), "{times:?}");
    }

    proptest! {
        #[test]
        fn a_sample_is_part_of_the_whole_and_does_not_depend_on_the_order(
            seed: [u8; 32], ids: BTreeSet<[u8; 16]>, size in 0..120_usize,
        ) {
            let ids: Vec<_> = ids.into_iter().collect();
            let sample = drawn(seed, &ids, size);
            let distinct: BTreeSet<_> = sample.iter().copied().collect();
            prop_assert_eq!(distinct.len(), size.min(ids.len()));
            prop_assert!(distinct.iter().all(|id| ids.contains(id)));
            let back: Vec<_> = ids.iter().rev().copied().collect();
            prop_assert_eq!(drawn(seed, &back, size), sample);
        }

        #[test]
        fn a_paper_holds_and_an_altered_one_does_not(
            seed: [u8; 32], ids in prop::collection::btree_set(any::<[u8; 16]>(), 4..40), which in 0..4_usize,
        ) {
            let ids: Vec<_> = ids.into_iter().collect();
            let good = paper(seed, &ids, 3);
            prop_assert_eq!(good.check(), Ok(()));
            let other = DrawPaper { seed: paper([1; 32], &ids, 3).seed, ..good.clone() };
            prop_assert_eq!(other.check(), if seed == [1; 32] { Ok(()) } else { Err(DrawFault::Seed) });
            let mut fewer = good.clone();
            fewer.population.remove(which);
            prop_assert_eq!(fewer.check(), Err(DrawFault::Population));
            let mut turned = good;
            turned.sample.swap(0, 1);
            prop_assert_eq!(turned.check(), Err(DrawFault::Sample));
        }
    }
}
