//! The side that asks, and decodes.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use domain::id::MessageId;

use super::Answer;
use super::Ask;
use super::ENTRIES_AT_ONCE;
use super::Follows;
use super::INCOMPLETE_MAX;
use super::ITEMS_AT_ONCE;
use super::Incomplete;
use super::Lacks;
use super::SYMBOLS_FIRST;
use super::SessionError;
use super::claims_max;
use super::list_is_shorter;
use super::symbols_limit;
use crate::reconcile::ENTRIES_MAX;
use crate::reconcile::Item;
use crate::reconcile::decoder::Decoder;
use crate::reconcile::difference;
use crate::reconcile::difference::Difference;
use crate::reconcile::difference::Known;
use crate::reconcile::key::NONCE_BYTES;
use crate::reconcile::key::SessionKey;
use crate::reconcile::key::Sum;
use crate::reconcile::message_of;
use crate::reconcile::packed;
use crate::reconcile::set::EARLIER_MAX;
use crate::reconcile::set::EntrySet;
use crate::reconcile::set::Scope;
use crate::reconcile::set::Told;
use crate::reconcile::symbol::Encoder;

/// What both sides say of a message about which they do not say the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairing {
    /// What we say.
    pub ours: Option<Told>,
    /// What they say.
    pub theirs: Option<Told>,
}

/// What a comparison took, without the entries that only one side had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Entries of ours.
    pub ours: u64,
    /// Entries of theirs.
    pub theirs: u64,
    /// Symbols that came.
    pub symbols: u32,
    /// Bytes of symbols and of the list that came.
    pub bytes: u64,
    /// How often we asked and waited.
    pub rounds: u32,
    /// Whether the list was sent.
    pub listed: bool,
}

/// Where the conversation is.
#[derive(Debug)]
enum Stage {
    Opening,
    Decoding(Box<Decoder>),
    Listing(Listing),
    Fetching,
    Known,
    Telling,
    Done,
}

/// The list as it comes, compared with ours on the way.
#[derive(Debug)]
struct Listing {
    ours: Vec<Item>,
    /// How many of ours were passed.
    at: usize,
    last: Option<Item>,
    sum: Sum,
    only_ours: Vec<Item>,
    only_theirs: Vec<Item>,
}

/// Asks one other side about one scope.
#[derive(Debug)]
pub struct Asker {
    scope: Scope,
    own: EntrySet,
    nonce: [u8; NONCE_BYTES],
    key: SessionKey,
    theirs: Sum,
    stage: Stage,
    through: u32,
    limit: u32,
    measured: Measured,
    unmatched_max: u64,
    their_lacks: Lacks,
    /// Items of theirs whose entries are to come, by message.
    missing: BTreeMap<MessageId, Item>,
    wanted: Vec<MessageId>,
    pairings: BTreeMap<MessageId, Pairing>,
    lost: Vec<MessageId>,
}

impl Asker {
    /// Begins; gives what is to be sent first. The other side may have so many entries beyond four times ours
    /// ([`super::UNMATCHED_MAX`]).
    ///
    /// # Errors
    /// [`SessionError::Scope`], [`SessionError::TooLarge`].
    pub fn new(
        scope: Scope,
        mut own: EntrySet,
        nonce: [u8; NONCE_BYTES],
        incomplete: Vec<Incomplete>,
        unmatched_max: u64,
    ) -> Result<(Self, Ask), SessionError> {
        if !scope.is_between_two() || scope.first > scope.last {
            return Err(SessionError::Scope);
        }
        own.settle();
        let sample = Box::new(own.sample(&nonce));
        let hint = sample.hint;
        if hint.count > ENTRIES_MAX {
            let (entries, most) = (hint.count, ENTRIES_MAX);
            return Err(SessionError::TooLarge { entries, most });
        }
        if incomplete.len() > INCOMPLETE_MAX {
            return Err(SessionError::TooMany);
        }
        let measured = Measured { ours: hint.count, rounds: 1, ..Measured::default() };
        let asker = Self {
            scope,
            own,
            nonce,
            key: SessionKey::of(&nonce, &nonce),
            theirs: Sum::default(),
            stage: Stage::Opening,
            through: 0,
            limit: 0,
            measured,
            unmatched_max,
            their_lacks: Lacks::default(),
            missing: BTreeMap::new(),
            wanted: Vec::new(),
            pairings: BTreeMap::new(),
            lost: Vec::new(),
        };
        Ok((asker, Ask::Open { scope, nonce, sample, incomplete }))
    }

    /// Takes an answer; gives what is to be said next.
    ///
    /// # Errors
    /// [`SessionError`]; the conversation is over then.
    pub fn step(&mut self, answer: Answer) -> Result<Vec<Ask>, SessionError> {
        match (answer, &mut self.stage) {
            (Answer::Opened { nonce, sum, follows, lacks }, Stage::Opening) => {
                self.opened(nonce, sum, follows, lacks)
            }
            (Answer::Symbols { packed }, Stage::Decoding(_)) => self.symbols(&packed),
            // They were on their way when the list was asked for.
            (Answer::Symbols { packed }, Stage::Listing(_) | Stage::Fetching | Stage::Known) => {
                self.measured.bytes += size(&packed);
                Ok(Vec::new())
            }
            (Answer::Items { packed, last }, Stage::Listing(_)) => self.items(&packed, last),
            (Answer::Entries { told }, Stage::Fetching) => self.entries(told),
            (Answer::Working, Stage::Opening | Stage::Telling) => Ok(Vec::new()),
            (Answer::Taken { lost }, Stage::Telling) => {
                if lost.len() > ENTRIES_AT_ONCE {
                    return Err(SessionError::Malformed);
                }
                self.lost = lost;
                self.stage = Stage::Done;
                Ok(Vec::new())
            }
            _ => Err(SessionError::OutOfTurn),
        }
    }

    /// Whether nothing was heard of the other side's entries yet: what it refuses now, it refuses for what we have.
    #[must_use]
    pub fn is_opening(&self) -> bool {
        matches!(self.stage, Stage::Opening)
    }

    /// Whether the differences are known: [`Asker::pairings`] has them, and [`Asker::tell`] is next.
    #[must_use]
    pub fn is_known(&self) -> bool {
        matches!(self.stage, Stage::Known)
    }

    /// Whether nothing more is to come.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// What both sides say of each message on which they differ.
    pub fn pairings(&self) -> impl Iterator<Item = &Pairing> {
        self.pairings.values()
    }

    /// The differences by name, given what we lack.
    #[must_use]
    pub fn differences(&self, ours: &Lacks) -> Vec<Difference> {
        let scope = &self.scope;
        // Each side speaks for its own counties.
        let both = [(scope.asker, ours), (scope.answerer, &self.their_lacks)];
        let mut incomplete = BTreeMap::new();
        for (party, lacks) in both {
            let own =
                lacks.incomplete.iter().filter(|(county, _)| scope.stands_for(party, *county));
            for (county, since) in own {
                let known = incomplete.entry(*county).or_insert(*since);
                *known = (*known).min(*since);
            }
        }
        let silent = both.iter().flat_map(|(party, lacks)| {
            lacks.silent.iter().filter(|county| scope.stands_for(*party, **county))
        });
        let silent: BTreeSet<_> = silent.collect();
        let known = Known {
            is_complete: &|county, day| incomplete.get(&county).is_none_or(|since| day < *since),
            is_fresh: &|county| !silent.contains(&county),
        };
        let named = self.pairings.values().filter_map(|Pairing { ours, theirs }| {
            let either = ours.as_ref().or(theirs.as_ref())?;
            let (sender, recipient) =
                match self.scope.stands_for(self.scope.asker, either.entry.from) {
                    true => (ours, theirs),
                    false => (theirs, ours),
                };
            let name = difference::name(sender.as_ref(), recipient.as_ref(), &known)?;
            let entry = |told: &Option<Told>| told.as_ref().map(|told| told.entry);
            Some(Difference { name, sender: entry(sender), recipient: entry(recipient) })
        });
        named.collect()
    }

    /// Messages that the other side cannot bring back, once it has taken the differences.
    #[must_use]
    pub fn lost(&self) -> &[MessageId] {
        &self.lost
    }

    /// What the other side does not know of the counties for which it speaks.
    #[must_use]
    pub const fn their_lacks(&self) -> &Lacks {
        &self.their_lacks
    }

    /// What it took.
    #[must_use]
    pub const fn measured(&self) -> &Measured {
        &self.measured
    }

    /// Our entries.
    #[must_use]
    pub const fn own(&self) -> &EntrySet {
        &self.own
    }

    /// Tells the other side what was found, in pages; then [`Asker::is_done`] waits for its word.
    #[must_use]
    pub fn tell(&mut self, differences: &[Difference]) -> Vec<Ask> {
        self.stage = Stage::Telling;
        let pages = differences.chunks(ENTRIES_AT_ONCE);
        let count = pages.len();
        let (mut asks, mut before) = (Vec::with_capacity(count), 0_u64);
        for (n, page) in pages.enumerate() {
            asks.push(Ask::Found { differences: page.to_vec(), before, last: n + 1 == count });
            before = before.saturating_add(u64::try_from(page.len()).unwrap_or(u64::MAX));
        }
        if asks.is_empty() {
            asks.push(Ask::Found { differences: Vec::new(), before: 0, last: true });
        }
        asks
    }

    fn opened(
        &mut self,
        nonce: [u8; NONCE_BYTES],
        sum: Sum,
        follows: Follows,
        lacks: Lacks,
    ) -> Result<Vec<Ask>, SessionError> {
        let most = claims_max(self.measured.ours, self.unmatched_max);
        if sum.count > most {
            return Err(SessionError::TooLarge { entries: sum.count, most });
        }
        if !lacks.is_bounded() {
            return Err(SessionError::Malformed);
        }
        self.key = SessionKey::of(&self.nonce, &nonce);
        self.theirs = sum;
        self.their_lacks = lacks;
        self.measured.theirs = sum.count;
        self.limit = symbols_limit(sum.count);
        let ours = Encoder::new(self.key, self.own.items(&self.key));
        if ours.sum() == sum {
            self.stage = Stage::Known;
            return Ok(Vec::new());
        }
        if follows == Follows::List {
            self.begin_list(ours.items().to_vec());
            return Ok(Vec::new());
        }
        self.stage = Stage::Decoding(Box::new(Decoder::new(self.key, ours)));
        self.through = match follows {
            Follows::Symbols(through) => through,
            // That the hints agree and the sets do not, only a planted collision can bring about.
            Follows::Nothing | Follows::List => SYMBOLS_FIRST,
        };
        let follow = matches!(follows, Follows::Symbols(_));
        if self.through == 0 || self.through > self.limit {
            return Err(SessionError::Malformed);
        }
        Ok(if follow { Vec::new() } else { vec![Ask::More { through: self.through }] })
    }

    fn symbols(&mut self, packed: &[u8]) -> Result<Vec<Ask>, SessionError> {
        let Stage::Decoding(decoder) = &mut self.stage else { return Err(SessionError::OutOfTurn) };
        let from = decoder.taken();
        let symbols =
            packed::unpack(packed, from, self.theirs.count).map_err(|_| SessionError::Malformed)?;
        self.measured.bytes += size(packed);
        self.measured.symbols = from.saturating_add(u32::try_from(symbols.len()).unwrap_or(0));
        if symbols.is_empty() || self.measured.symbols > self.through {
            return Err(SessionError::Malformed);
        }
        decoder.expect(self.through);
        match decoder.take(&symbols) {
            Ok(true) => return self.decoded(),
            Ok(false) => {}
            Err(_) => return Ok(self.ask_for_list()),
        }
        let taken = self.measured.symbols;
        if taken < self.through {
            return Ok(Vec::new());
        }
        let estimate = if self.measured.rounds == 1 { decoder.estimate() } else { 0 };
        if list_is_shorter(u64::from(taken) * 3 / 4, self.theirs.count) || taken >= self.limit {
            return Ok(self.ask_for_list());
        }
        if list_is_shorter(estimate, self.theirs.count) {
            return Ok(self.ask_for_list());
        }
        // What the estimate asks for, which is better the more symbols it is made of; then small steps, so that little comes
        // in vain.
        let doubt = estimate.saturating_mul(2) / u64::from(taken.isqrt().max(1));
        let wished = (estimate.saturating_mul(7) / 5).saturating_add(doubt);
        let wished = u32::try_from(wished).unwrap_or(u32::MAX);
        let step = (taken / 12).max(SYMBOLS_FIRST);
        self.through = wished.max(taken.saturating_add(step)).min(self.limit);
        self.measured.rounds += 1;
        Ok(vec![Ask::More { through: self.through }])
    }

    /// Everything seems to be found; the other side's digest decides.
    fn decoded(&mut self) -> Result<Vec<Ask>, SessionError> {
        let Stage::Decoding(decoder) = &self.stage else { return Err(SessionError::OutOfTurn) };
        let (only_ours, only_theirs) = decoder.differences();
        let mut sum = decoder.sum();
        only_ours.iter().for_each(|item| sum.remove(item, self.key.hash(item)));
        only_theirs.iter().for_each(|item| sum.add(item, self.key.hash(item)));
        if sum != self.theirs {
            return Ok(self.ask_for_list());
        }
        self.fetch(&only_ours, only_theirs)
    }

    fn begin_list(&mut self, ours: Vec<Item>) {
        self.measured.listed = true;
        self.stage = Stage::Listing(Listing {
            ours,
            at: 0,
            last: None,
            sum: Sum::default(),
            only_ours: Vec::new(),
            only_theirs: Vec::new(),
        });
    }

    fn ask_for_list(&mut self) -> Vec<Ask> {
        let items = self.own.items(&self.key);
        self.begin_list(items);
        self.measured.rounds += 1;
        vec![Ask::List]
    }

    fn items(&mut self, packed: &[u8], last: bool) -> Result<Vec<Ask>, SessionError> {
        let Stage::Listing(listing) = &mut self.stage else { return Err(SessionError::OutOfTurn) };
        let items = packed::unpack_items(packed).map_err(|_| SessionError::Malformed)?;
        if items.len() > ITEMS_AT_ONCE || (items.is_empty() && !last) {
            return Err(SessionError::Malformed);
        }
        self.measured.bytes += size(packed);
        for item in items {
            listing.take(&self.key, item)?;
        }
        if listing.sum.count > self.theirs.count {
            return Err(SessionError::Inconsistent);
        }
        if !last {
            self.measured.rounds += 1;
            return Ok(vec![Ask::NextPage]);
        }
        if listing.sum != self.theirs {
            return Err(SessionError::Inconsistent);
        }
        let rest = listing.ours.get(listing.at..).unwrap_or_default();
        listing.only_ours.extend_from_slice(rest);
        let only_ours = std::mem::take(&mut listing.only_ours);
        let only_theirs = std::mem::take(&mut listing.only_theirs);
        self.fetch(&only_ours, only_theirs)
    }

    /// Asks for the entries that only they have.
    fn fetch(
        &mut self,
        only_ours: &[Item],
        only_theirs: Vec<Item>,
    ) -> Result<Vec<Ask>, SessionError> {
        for id in only_ours.iter().map(message_of) {
            let ours = self.own.told(id).ok_or(SessionError::Inconsistent)?;
            self.pairings.insert(id, Pairing { ours: Some(ours), theirs: None });
        }
        for item in only_theirs {
            let id = message_of(&item);
            if self.missing.insert(id, item).is_some() {
                return Err(SessionError::Inconsistent);
            }
        }
        self.wanted = self.missing.keys().rev().copied().collect();
        self.stage = Stage::Fetching;
        Ok(self.next_wanted())
    }

    fn next_wanted(&mut self) -> Vec<Ask> {
        if self.wanted.is_empty() {
            self.stage = Stage::Known;
            return Vec::new();
        }
        let from = self.wanted.len().saturating_sub(ENTRIES_AT_ONCE);
        let wanted = self.wanted.split_off(from);
        vec![Ask::Enough { wanted }]
    }

    fn entries(&mut self, told: Vec<Told>) -> Result<Vec<Ask>, SessionError> {
        for told in told {
            let entry = &told.entry;
            let item = self.missing.remove(&entry.id);
            let is_in = self.scope.holds(entry.id, entry.from, entry.to);
            if item != Some(entry.item(&self.key)) || !is_in || told.earlier.len() > EARLIER_MAX {
                return Err(SessionError::Inconsistent);
            }
            let id = told.entry.id;
            let ours = self.own.told(id);
            self.pairings.insert(id, Pairing { ours, theirs: Some(told) });
        }
        // What was asked for has come, or is withheld.
        if self.missing.len() != self.wanted.len() {
            return Err(SessionError::Inconsistent);
        }
        Ok(self.next_wanted())
    }
}

impl Listing {
    /// Takes the next item of theirs, which is above the last.
    fn take(&mut self, key: &SessionKey, item: Item) -> Result<(), SessionError> {
        if self.last.is_some_and(|last| last >= item) {
            return Err(SessionError::Inconsistent);
        }
        self.last = Some(item);
        self.sum.add(&item, key.hash(&item));
        while let Some(ours) = self.ours.get(self.at).filter(|ours| **ours < item) {
            self.only_ours.push(*ours);
            self.at += 1;
        }
        match self.ours.get(self.at) == Some(&item) {
            true => self.at += 1,
            false => self.only_theirs.push(item),
        }
        Ok(())
    }
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
