//! The disk of a node, and the one committer in front of it: everything that waits becomes a group, a group is on
//! disk after some time or not at all, and only then is anybody told.
//!
//! What is here stands for the store: rows under ordered keys, units that see their own writes and those of the group,
//! refused units that leave no trace. A crash takes away what is not on disk, and a group that is just being written as a
//! whole or not: that a group is never on disk in part is the store's promise and is shown there. A broken disk
//! ([`Disk::lie`]) keeps neither promise; with one the checker has to find something.

pub(crate) mod rows;
pub(crate) mod unit;

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::rc::Rc;

use crate::dice::Dice;
use rows::{Key, Row};
use unit::Unit;

/// Most units in a group.
const UNITS_MAX: usize = 256;
/// Groups that a broken disk can lose although they were acknowledged.
const LIES_MAX: usize = 4;

/// Rows in the order of their keys.
pub(crate) type Rows = BTreeMap<Key, Row>;
/// What a group or a unit changes: a row, or its absence.
pub(crate) type Writes = BTreeMap<Key, Option<Row>>;
/// What was written, and of each row whether there was one before.
pub(crate) type Applied = Vec<(Key, Option<Row>, bool)>;

/// Everything that a backup holds: the rows at the end of one group.
#[derive(Clone, Debug)]
pub(crate) struct Backup(Rc<Rows>);

/// How the disk is just now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// Nothing can be written: the store fails, and with it the program.
    pub(crate) full: bool,
    /// The guard on free space asks for no new work.
    pub(crate) nearly_full: bool,
    /// A sync takes so many times longer than usual; 0 counts as 1.
    pub(crate) slower: u64,
}

/// A disk with its committer. `W` is a unit of work that waits, `D` what a unit that ran has to say.
#[derive(Debug)]
pub(crate) struct Disk<W, D> {
    rows: Rows,
    /// The group that is being written.
    writing: Option<Group<D>>,
    waiting: VecDeque<W>,
    pub(crate) health: Health,
    /// What the last groups overwrote, on a disk that may lose them although it has said that it has them.
    undo: VecDeque<Writes>,
    lies: bool,
}

#[derive(Debug)]
struct Group<D> {
    writes: Writes,
    done: Vec<D>,
}

/// What a crash took away although it had been acknowledged: nothing, on a disk that keeps its promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Groups that are gone.
    pub(crate) groups: usize,
    /// Rows of a group that are gone while others of it stay.
    pub(crate) rows: usize,
}

impl<W, D> Disk<W, D> {
    /// An empty disk. `lies` makes it a broken one.
    pub(crate) const fn new(lies: bool) -> Self {
        Self {
            rows: Rows::new(),
            writing: None,
            waiting: VecDeque::new(),
            health: Health { full: false, nearly_full: false, slower: 1 },
            undo: VecDeque::new(),
            lies,
        }
    }

    /// Queues a unit of work.
    pub(crate) fn enqueue(&mut self, work: W) {
        self.waiting.push_back(work);
    }

    /// Whether everything that was handed in is on it.
    pub(crate) fn is_idle(&self) -> bool {
        self.writing.is_none() && self.waiting.is_empty()
    }

    /// Begins a group with everything that waits, if none is being written. `run` performs one unit; its writes are
    /// kept when it says so. Says whether a group is being written now that was not before.
    pub(crate) fn begin(&mut self, mut run: impl FnMut(W, &mut Unit<'_>) -> (D, bool)) -> bool {
        if self.writing.is_some() || self.waiting.is_empty() {
            return false;
        }
        let many = self.waiting.len().min(UNITS_MAX);
        let mut group = Group { writes: Writes::new(), done: Vec::with_capacity(many) };
        for work in self.waiting.drain(..many) {
            let mut unit = Unit::new(&self.rows, &mut group.writes);
            let (done, keep) = run(work, &mut unit);
            if !keep {
                unit.roll_back();
            }
            group.done.push(done);
        }
        self.writing = Some(group);
        true
    }

    /// How long the group that is being written takes, milliseconds.
    pub(crate) fn sync_time(&self, dice: &mut Dice) -> u64 {
        let empty = self.writing.as_ref().is_none_or(|group| group.writes.is_empty());
        // A group that only read has nothing to wait for.
        if empty { 0 } else { dice.stretch(1, 40).saturating_mul(self.health.slower.max(1)) }
    }

    /// Whether writing the group that is under way fails.
    pub(crate) fn fails(&self) -> bool {
        self.health.full && self.writing.as_ref().is_some_and(|group| !group.writes.is_empty())
    }

    /// The group is on disk: what it wrote, and what its units have to say.
    pub(crate) fn synced(&mut self) -> Option<(Applied, Vec<D>)> {
        let Group { writes, done } = self.writing.take()?;
        Some((self.apply(writes), done))
    }

    /// Takes the writes over. Says of each whether there was a row before.
    fn apply(&mut self, writes: Writes) -> Applied {
        let mut undo = Writes::new();
        let mut told = Vec::with_capacity(writes.len());
        for (key, row) in writes {
            let before = match row.clone() {
                Some(row) => self.rows.insert(key, row),
                None => self.rows.remove(&key),
            };
            told.push((key, row, before.is_some()));
            if self.lies {
                undo.insert(key, before);
            }
        }
        if self.lies && !undo.is_empty() {
            self.undo.push_back(undo);
            if self.undo.len() > LIES_MAX {
                self.undo.pop_front();
            }
        }
        told
    }

    /// The program ends: what waits is gone, and the group that is being written is on disk as a whole or not at all.
    /// Says what the group wrote, when it is.
    pub(crate) fn crash(&mut self, dice: &mut Dice) -> Vec<(Key, Option<Row>, bool)> {
        self.waiting.clear();
        match self.writing.take() {
            Some(group) if !self.health.full && dice.chance(500) => self.apply(group.writes),
            Some(_) | None => Vec::new(),
        }
    }

    /// A broken disk loses what it had said it had: the last groups, or a part of the last one.
    pub(crate) fn lie(&mut self, dice: &mut Dice) -> Lost {
        let mut lost = Lost::default();
        if dice.chance(500) {
            for _ in 0..dice.between(1, 3) {
                let Some(undo) = self.undo.pop_back() else { break };
                undo.into_iter().for_each(|(key, before)| self.put_back(key, before));
                lost.groups += 1;
            }
        } else if let Some(undo) = self.undo.pop_back() {
            for (key, before) in undo {
                if dice.chance(500) {
                    self.put_back(key, before);
                    lost.rows += 1;
                }
            }
        }
        self.undo.clear();
        lost
    }

    fn put_back(&mut self, key: Key, before: Option<Row>) {
        match before {
            Some(row) => drop(self.rows.insert(key, row)),
            None => drop(self.rows.remove(&key)),
        }
    }

    /// A copy of what is on disk.
    pub(crate) fn back_up(&self) -> Backup {
        Backup(Rc::new(self.rows.clone()))
    }

    /// Everything is as it was when the backup was made. The program does not run meanwhile.
    pub(crate) fn restore(&mut self, backup: &Backup) {
        self.rows = Rows::clone(&backup.0);
        self.writing = None;
        self.waiting.clear();
        self.undo.clear();
    }

    /// A row, as readers see it: with what the group that is being written has done.
    pub(crate) fn get(&self, key: &Key) -> Option<&Row> {
        match self.writing.as_ref().and_then(|group| group.writes.get(key)) {
            Some(pending) => pending.as_ref(),
            None => self.rows.get(key),
        }
    }

    /// A row that is on disk; so journals and the head of the ledger are read.
    pub(crate) fn durable(&self, key: &Key) -> Option<&Row> {
        self.rows.get(key)
    }

    /// Rows that are on disk, in the order of their keys.
    pub(crate) fn durable_range(
        &self,
        range: RangeInclusive<Key>,
    ) -> impl DoubleEndedIterator<Item = (&Key, &Row)> {
        self.rows.range(range)
    }

    /// Everything that is on disk.
    pub(crate) const fn all(&self) -> &Rows {
        &self.rows
    }
}

#[cfg(test)]
mod tests;
