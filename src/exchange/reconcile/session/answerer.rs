//! The side that answers.

use super::Answer;
use super::Ask;
use super::ENTRIES_AT_ONCE;
use super::Follows;
use super::INCOMPLETE_MAX;
use super::ITEMS_AT_ONCE;
use super::Incomplete;
use super::Lacks;
use super::SessionError;
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

/// Answers one asker about one scope.
#[derive(Debug)]
pub struct Answerer {
    scope: Scope,
    own: EntrySet,
    encoder: Encoder,
    count: u64,
    limit: u32,
    /// Items of the list that were sent.
    listed: usize,
    found: Vec<Difference>,
    /// Differences that make sense.
    found_max: usize,
    asker_incomplete: Vec<Incomplete>,
    is_done: bool,
}

impl Answerer {
    /// Begins with an [`Ask::Open`], the entries of its scope, a nonce and what the answerer lacks; gives what is to be
    /// sent at once.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn open(
        ask: Ask,
        mut own: EntrySet,
        nonce: [u8; NONCE_BYTES],
        lacks: Lacks,
    ) -> Result<(Self, Vec<Answer>), SessionError> {
        let Ask::Open { scope, nonce: theirs, sample, incomplete: asker_incomplete } = ask else {
            return Err(SessionError::OutOfTurn);
        };
        if !scope.is_between_two() || scope.first > scope.last {
            return Err(SessionError::Scope);
        }
        own.settle();
        let (hint, count) = (sample.hint, u64::try_from(own.len()).unwrap_or(u64::MAX));
        if hint.count > ENTRIES_MAX || count > ENTRIES_MAX {
            return Err(SessionError::TooMany);
        }
        if asker_incomplete.len() > INCOMPLETE_MAX {
            return Err(SessionError::Malformed);
        }
        let key = SessionKey::of(&theirs, &nonce);
        let ours = own.sample(&theirs);
        let encoder = Encoder::new(key, own.items(&key));
        let sum = encoder.sum();
        let (limit, about) = (symbols_limit(count, hint.count), ours.differences(&sample));
        let follows = match list_is_shorter(about, count) {
            _ if ours.hint == hint => Follows::Nothing,
            true => Follows::List,
            false => Follows::Symbols(symbols_first(about).min(limit)),
        };
        let differences = count.saturating_add(hint.count);
        let mut answerer = Self {
            scope,
            own,
            encoder,
            count,
            limit,
            listed: 0,
            found: Vec::new(),
            found_max: usize::try_from(differences).unwrap_or(usize::MAX),
            asker_incomplete,
            is_done: false,
        };
        let mut answers = vec![Answer::Opened { nonce, sum, follows, lacks }];
        match follows {
            Follows::Nothing => {}
            Follows::Symbols(through) => answers.extend(answerer.more(through)?),
            Follows::List => answers.push(answerer.page()),
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

    /// Takes what the asker says, and gives the answers.
    ///
    /// # Errors
    /// [`SessionError`]; the conversation is over then.
    pub fn step(&mut self, ask: Ask) -> Result<Vec<Answer>, SessionError> {
        if self.is_done {
            return Err(SessionError::OutOfTurn);
        }
        match ask {
            Ask::Open { .. } => Err(SessionError::OutOfTurn),
            Ask::More { through } => self.more(through),
            Ask::List => {
                self.listed = 0;
                Ok(vec![self.page()])
            }
            Ask::NextPage => Ok(vec![self.page()]),
            Ask::Enough { wanted } if wanted.len() > ENTRIES_AT_ONCE => {
                Err(SessionError::Malformed)
            }
            Ask::Enough { wanted } => {
                let told = wanted.into_iter().filter_map(|id| self.own.told(id));
                Ok(vec![Answer::Entries { told: told.collect() }])
            }
            Ask::Found { differences, before, last } => {
                let told = u64::try_from(self.found.len()).unwrap_or(u64::MAX);
                if before != told {
                    return Err(SessionError::OutOfTurn);
                }
                self.found(differences, last)
            }
        }
    }

    fn more(&mut self, through: u32) -> Result<Vec<Answer>, SessionError> {
        if through > self.limit {
            return Err(SessionError::TooMany);
        }
        let mut answers = Vec::new();
        while self.encoder.made() < through {
            answers.push(self.symbols(through.saturating_sub(self.encoder.made())));
        }
        Ok(answers)
    }

    fn symbols(&mut self, count: u32) -> Answer {
        let from = self.encoder.made();
        let symbols = self.encoder.next(count.min(packed::SYMBOLS_AT_ONCE));
        Answer::Symbols { packed: packed::pack(&symbols, from, self.count) }
    }

    fn page(&mut self) -> Answer {
        let items = self.encoder.items().get(self.listed..).unwrap_or_default();
        let page = items.get(..ITEMS_AT_ONCE).unwrap_or(items);
        let (packed, last) = (packed::pack_items(page), page.len() == items.len());
        self.listed += page.len();
        Answer::Items { packed, last }
    }

    fn found(
        &mut self,
        differences: Vec<Difference>,
        last: bool,
    ) -> Result<Vec<Answer>, SessionError> {
        let total = self.found.len().saturating_add(differences.len());
        if differences.len() > ENTRIES_AT_ONCE || total > self.found_max {
            return Err(SessionError::TooMany);
        }
        for difference in &differences {
            self.check(difference)?;
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
