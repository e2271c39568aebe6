//! The side that answers.

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
use super::SessionError;
use super::claims_max;
use super::list_is_shorter;
use super::symbols_first;
use super::symbols_limit;
use crate::reconcile::ENTRIES_MAX;
use crate::reconcile::difference::Difference;
use crate::reconcile::key::NONCE_BYTES;
use crate::reconcile::key::SessionKey;
use crate::reconcile::packed;
use crate::reconcile::set::EntrySet;
use crate::reconcile::set::Scope;
use crate::reconcile::symbol::Encoder;

/// The sorted list, as far as it was sent: once, page by page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Unasked,
    /// So many items were sent.
    Sent(usize),
    Over,
}

/// Answers one asker about one scope.
#[derive(Debug)]
pub struct Answerer {
    scope: Scope,
    own: EntrySet,
    encoder: Encoder,
    count: u64,
    /// What the asker says that it has.
    claimed: u64,
    limit: u32,
    /// Symbols that may come.
    through: u32,
    list: List,
    /// Entries that were asked for.
    asked: u64,
    found: Vec<Difference>,
    found_ids: BTreeSet<MessageId>,
    asker_incomplete: Vec<Incomplete>,
    is_done: bool,
}

impl Answerer {
    /// Begins with an [`Ask::Open`], the entries of its scope, a nonce, what the answerer lacks, and how many entries the
    /// asker may have beyond four times ours ([`super::UNMATCHED_MAX`]); gives what is to be sent at once, and then comes
    /// [`Answerer::next_symbols`].
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn open(
        ask: Ask,
        mut own: EntrySet,
        nonce: [u8; NONCE_BYTES],
        lacks: Lacks,
        unmatched_max: u64,
    ) -> Result<(Self, Vec<Answer>), SessionError> {
        let Ask::Open { scope, nonce: theirs, sample, incomplete: asker_incomplete } = ask else {
            return Err(SessionError::OutOfTurn);
        };
        if !scope.is_between_two() || scope.first > scope.last {
            return Err(SessionError::Scope);
        }
        own.settle();
        let (hint, count) = (sample.hint, count(own.len()));
        for (entries, most) in
            [(hint.count, claims_max(count, unmatched_max)), (count, ENTRIES_MAX)]
        {
            if entries > most {
                return Err(SessionError::TooLarge { entries, most });
            }
        }
        if asker_incomplete.len() > INCOMPLETE_MAX {
            return Err(SessionError::Malformed);
        }
        let key = SessionKey::of(&theirs, &nonce);
        let ours = own.sample(&theirs);
        let encoder = Encoder::new(key, own.items(&key));
        let sum = encoder.sum();
        let (limit, about) = (symbols_limit(count), ours.differences(&sample));
        let follows = match list_is_shorter(about, count) {
            _ if ours.hint == hint => Follows::Nothing,
            true => Follows::List,
            false => Follows::Symbols(symbols_first(about).min(limit)),
        };
        let mut answerer = Self {
            scope,
            own,
            encoder,
            count,
            claimed: hint.count,
            limit,
            through: 0,
            list: List::Unasked,
            asked: 0,
            found: Vec::new(),
            found_ids: BTreeSet::new(),
            asker_incomplete,
            is_done: false,
        };
        let mut answers = vec![Answer::Opened { nonce, sum, follows, lacks }];
        match follows {
            Follows::Nothing => {}
            Follows::Symbols(through) => answerer.through = through,
            Follows::List => answers.push(answerer.page(0)),
        }
        Ok((answerer, answers))
    }

    /// What the comparison is about.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What the asker lacks.
    #[must_use]
    pub fn asker_incomplete(&self) -> &[Incomplete] {
        &self.asker_incomplete
    }

    /// Whether everything was said.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.is_done
    }

    /// The differences that the asker has found, once everything was said.
    #[must_use]
    pub fn into_found(self) -> Vec<Difference> {
        self.found
    }

    /// The next symbols that may come. There is one message of them at a time, so that they take no more room than that.
    pub fn next_symbols(&mut self) -> Option<Answer> {
        let from = self.encoder.taken();
        let count = self.through.checked_sub(from).filter(|count| *count > 0)?;
        self.encoder.expect(self.through);
        let symbols = self.encoder.next(count.min(packed::SYMBOLS_AT_ONCE));
        Some(Answer::Symbols { packed: packed::pack(&symbols, from, self.count) })
    }

    /// Takes what the asker says, and gives the answers; then comes [`Answerer::next_symbols`].
    ///
    /// # Errors
    /// [`SessionError`]; the conversation is over then.
    pub fn step(&mut self, ask: Ask) -> Result<Vec<Answer>, SessionError> {
        if self.is_done {
            return Err(SessionError::OutOfTurn);
        }
        match ask {
            Ask::Open { .. } => Err(SessionError::OutOfTurn),
            Ask::More { through } if through > self.limit => Err(SessionError::TooMany),
            Ask::More { through } => {
                self.through = self.through.max(through);
                Ok(Vec::new())
            }
            Ask::List if self.list == List::Unasked => {
                // What was still to come of the symbols is of no use any more.
                self.through = 0;
                Ok(vec![self.page(0)])
            }
            Ask::NextPage => match self.list {
                List::Sent(listed) => Ok(vec![self.page(listed)]),
                List::Unasked | List::Over => Err(SessionError::OutOfTurn),
            },
            Ask::List => Err(SessionError::OutOfTurn),
            Ask::Enough { wanted } if wanted.len() > ENTRIES_AT_ONCE => {
                Err(SessionError::Malformed)
            }
            Ask::Enough { wanted } => {
                self.asked = self.asked.saturating_add(count(wanted.len()));
                // Of what only we have nobody can want more than we have.
                if self.asked > self.count {
                    return Err(SessionError::TooMany);
                }
                let told = wanted.into_iter().filter_map(|id| self.own.told(id));
                Ok(vec![Answer::Entries { told: told.collect() }])
            }
            Ask::Found { differences, before, last } => {
                if before != count(self.found.len()) {
                    return Err(SessionError::OutOfTurn);
                }
                self.found(differences, last)
            }
        }
    }

    fn page(&mut self, listed: usize) -> Answer {
        let items = self.encoder.items().get(listed..).unwrap_or_default();
        let page = items.get(..ITEMS_AT_ONCE).unwrap_or(items);
        let (packed, last) = (packed::pack_items(page), page.len() == items.len());
        self.list = if last { List::Over } else { List::Sent(listed + page.len()) };
        Answer::Items { packed, last }
    }

    /// Differences that the asker can know of: every symbol tells one at most, and the list all that either side has.
    fn found_max(&self) -> u64 {
        match self.list {
            List::Unasked => u64::from(self.encoder.taken()),
            List::Sent(_) | List::Over => self.count.saturating_add(self.claimed),
        }
    }

    fn found(
        &mut self,
        differences: Vec<Difference>,
        last: bool,
    ) -> Result<Vec<Answer>, SessionError> {
        let total = count(self.found.len().saturating_add(differences.len()));
        if differences.len() > ENTRIES_AT_ONCE || total > self.found_max() {
            return Err(SessionError::TooMany);
        }
        for difference in &differences {
            self.check(difference)?;
            if !difference.id().is_some_and(|id| self.found_ids.insert(id)) {
                return Err(SessionError::Inconsistent);
            }
        }
        self.found.extend(differences);
        self.is_done = last;
        Ok(if last { vec![Answer::Taken { lost: Vec::new() }] } else { Vec::new() })
    }

    /// What the asker says of us is what we said.
    fn check(&self, difference: &Difference) -> Result<(), SessionError> {
        let (id, (from, to)) =
            difference.id().zip(difference.pair()).ok_or(SessionError::Malformed)?;
        if !self.scope.holds(id, from, to) {
            return Err(SessionError::Scope);
        }
        if !difference.holds_together() {
            return Err(SessionError::Inconsistent);
        }
        let ours = match self.scope.stands_for(self.scope.answerer, from) {
            true => &difference.sender,
            false => &difference.recipient,
        };
        let same = *ours == self.own.get(id);
        same.then_some(()).ok_or(SessionError::Inconsistent)
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
