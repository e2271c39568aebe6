//! The one thread that writes: everything that waits becomes one batch, one flush, one sync; then
//! everybody is answered.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use crate::caught::caught;
use crate::core::{Core, slices};
use crate::engine::{Bytes, Engine, Packer};
use crate::error::{EngineError, StoreError, StoreFailure};
use crate::gate::RunState;
use crate::journal::{Tail, pages_until};
use crate::ledger::StoredFrontier;
use crate::limits::{
    JOURNAL_GROW_BYTES, JOURNAL_TAILS_MAX, PACK_QUIET, PACK_SETTLE, PACK_SYNC_BYTES,
    TIDY_FOR_BYTES, TIDY_PAGE_BYTES, TIDY_PAGES_MAX, TIDY_STEP_PAGES, UNIT_BYTES_MAX,
};
use crate::mark::Mark;
use crate::pending::{Job, Ran, Ruling};
use crate::tables::{FRONTIER, GROUP, LEDGER, RUN};
use crate::unit::{Group, Tails, Unit};

/// What the queue carries.
pub(crate) enum Message {
    Work(Box<dyn Job>),
    /// Finish what is queued, mark the store as closed in order, and end.
    Close,
}

/// Bounds of a group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) units: usize,
    pub(crate) bytes: usize,
}

/// Called once, with the reason, when the store stops for good.
pub type OnFailure = Box<dyn FnOnce(&StoreFailure) + Send>;

pub(crate) struct Committer {
    pub(crate) core: Arc<Core>,
    pub(crate) queue: flume::Receiver<Message>,
    pub(crate) bounds: Bounds,
    pub(crate) on_failure: Option<OnFailure>,
    pub(crate) packer: Packer,
    /// Bytes that were packed or moved and not synced yet.
    pub(crate) unsynced: usize,
    /// Pages that are to be moved for what was written, when nothing else is to be done.
    pub(crate) untidy: usize,
    pub(crate) frontier: StoredFrontier,
    /// Number of the last group.
    pub(crate) group: u64,
    pub(crate) mark: Mark,
    /// Unix milliseconds of this start, for the mark of an orderly end.
    pub(crate) opened: u64,
}

impl Committer {
    /// Serves the queue until it is closed or nobody holds the other end.
    pub(crate) fn run(mut self) {
        let mut tails = Tails::new();
        let mut closing = false;
        while !closing || !self.queue.is_empty() {
            let Some(first) = self.next() else { break };
            self.core.begin();
            let mut group = Group::default();
            let mut jobs = Vec::new();
            let started = Instant::now();
            let mut next = Some(first);
            while let Some(message) = next.take() {
                match message {
                    Message::Close => closing = true,
                    Message::Work(job) => jobs.push(self.perform(job, &mut group, &tails)),
                }
                if jobs.len() < self.bounds.units && group.bytes < self.bounds.bytes {
                    next = self.queue.try_recv().ok();
                }
            }
            self.core.counters.running(started.elapsed());
            self.settle(group, jobs.len(), &mut tails);
            let failure = self.core.failure.get();
            jobs.into_iter().for_each(|job| job.answer(failure));
            // After the answers: those who wait prepare their next units meanwhile.
            Engine::collect_garbage();
            self.core.end();
        }
        self.mark_clean();
    }

    /// What is to be done next; packs rows while there is nothing.
    fn next(&mut self) -> Option<Message> {
        if self.packer.is_late() {
            self.pack();
        }
        while self.packer.is_due() || self.untidy > 0 || self.unsynced > 0 {
            let wait =
                if self.packer.is_due() || self.untidy > 0 { PACK_QUIET } else { PACK_SETTLE };
            match self.queue.recv_timeout(wait) {
                Ok(message) => return Some(message),
                Err(flume::RecvTimeoutError::Disconnected) => return None,
                Err(flume::RecvTimeoutError::Timeout) => self.keep_house(),
            }
        }
        self.queue.recv().ok()
    }

    /// What is done while nobody asks for anything, a little at a time.
    fn keep_house(&mut self) {
        if self.untidy > 0 {
            self.tidy();
        } else if self.packer.is_due() {
            self.pack();
        } else {
            self.in_quiet("synced what was moved", |this| this.reach_disk().map(|()| 0));
        }
    }

    /// Moves a few pages together, so that segments of the file can be used again.
    fn tidy(&mut self) {
        let pages = self.untidy.min(TIDY_STEP_PAGES);
        self.untidy -= pages;
        self.in_quiet("moved pages together", |this| {
            (0..pages).try_for_each(|_| this.core.engine.tidy())?;
            Ok(pages * TIDY_PAGE_BYTES)
        });
    }

    /// Packs a few rows.
    fn pack(&mut self) {
        self.in_quiet("packed rows at rest", |this| this.packer.step(&this.core.engine));
    }

    /// Does something that moves what is stored, and says how many bytes. They reach the disk with the next group, and by
    /// themselves when they have become many or nobody has written for a while: sled gives segments away that pages have moved out
    /// of, and trusts for it a sync that a power cut outruns.
    fn in_quiet(
        &mut self,
        during: &'static str,
        work: impl FnOnce(&mut Self) -> Result<usize, EngineError>,
    ) {
        if self.core.failure.get().is_some() {
            self.packer = Packer::new(&[], usize::MAX);
            (self.untidy, self.unsynced) = (0, 0);
            return;
        }
        self.core.begin();
        let moved = caught(|| work(self));
        let moved = moved
            .unwrap_or_else(|_| Err(EngineError::Stopped("the committer panicked".to_owned())));
        let moved = moved.and_then(|bytes| {
            self.unsynced += bytes;
            if self.unsynced >= PACK_SYNC_BYTES { self.reach_disk() } else { Ok(()) }
        });
        if let Err(source) = moved {
            self.fail(StoreFailure { during, source });
        }
        Engine::collect_garbage();
        self.core.end();
    }

    /// Runs one unit; afterwards the group holds its writes or no trace of it.
    fn perform(&self, mut job: Box<dyn Job>, group: &mut Group, tails: &Tails) -> Box<dyn Job> {
        if self.core.failure.get().is_some() {
            return job;
        }
        let before = group.bytes;
        let mut unit = Unit::new(&self.core, group, tails);
        // A unit that panics takes only itself down: its writes are undone like a refusal's.
        let ran = caught(|| job.run(&mut unit));
        let bytes = unit.group_bytes() - before;
        let ruling = match ran {
            Ok(Ran::Kept) if bytes > UNIT_BYTES_MAX => Some(Ruling::TooLarge { bytes }),
            Ok(Ran::Kept | Ran::Refused) => None,
            Err(_) => Some(Ruling::Panicked),
        };
        let kept = ruling.is_none() && matches!(ran, Ok(Ran::Kept));
        if !kept {
            unit.roll_back();
            group.bytes = before;
        }
        if let Some(ruling) = ruling {
            job.overrule(ruling);
        }
        self.core.counters.unit(kept);
        job
    }

    /// Writes the group and waits for the disk. A group that only read needs neither: all it saw
    /// is on disk already.
    fn settle(&mut self, mut group: Group, units: usize, tails: &mut Tails) {
        group.tails.retain(|_, tail| !tail.is_empty());
        if self.core.failure.get().is_some() || group.is_empty() {
            return;
        }
        // Whatever panics in here, nobody is told that it is stored.
        let written = caught(|| self.write(group, units, tails));
        let written = written.unwrap_or_else(|_| {
            Err(("wrote a group", EngineError::Stopped("the committer panicked".to_owned())))
        });
        if let Err((during, source)) = written {
            self.fail(StoreFailure { during, source });
        }
    }

    fn write(
        &mut self,
        mut group: Group,
        units: usize,
        tails: &mut Tails,
    ) -> Result<(), (&'static str, EngineError)> {
        let frontier = self.rows_of(&mut group).map_err(|error| ("packed a group", stop(error)))?;
        let erased = std::mem::take(&mut group.erased);
        erased.iter().for_each(|person| self.core.subjects.forget(*person));
        self.core.hide(group.tails.iter().map(|(head, tail)| (head.clone(), tail.first)));
        let (rows, bytes) = (group.rows.len(), group.bytes);
        self.packer.wrote(group.rows.keys().map(AsRef::as_ref));
        if self.packer.is_wanted() {
            self.untidy = (self.untidy + bytes / TIDY_FOR_BYTES + 1).min(TIDY_PAGES_MAX);
        }
        // Before anybody can see it in the tree: a backup that has seen part of a group has all of it.
        self.core.tap.record(self.group + 1, group.rows.iter());
        let started = Instant::now();
        let applied =
            self.core.engine.apply(std::mem::take(&mut group.rows).into_iter(), &group.scrubbed);
        applied.map_err(|error| ("wrote a group", error))?;
        self.core.counters.applied(units, rows, bytes, started.elapsed());
        self.reach_disk().map_err(|error| ("synced a group", error))?;
        self.group += 1;
        if let Err(error) = self.mark.write(self.group) {
            // The group is safe; the mark is only behind, which is what it is after a power cut.
            tracing::warn!(%error, "the mark of the last group could not be written");
        }
        // A reader may have put a key back between the first time and the write.
        erased.iter().for_each(|person| self.core.subjects.forget(*person));
        if let Some(frontier) = frontier {
            self.core.set_head(frontier.head());
            self.frontier = frontier;
        }
        self.core.show();
        tails.retain(|head, _| !group.removed.contains(head));
        remember(tails, group.tails.into_iter().map(|(head, tail)| (head, tail.next())));
        Ok(())
    }

    /// Waits until everything that was written is on disk.
    fn reach_disk(&mut self) -> Result<(), EngineError> {
        let started = Instant::now();
        self.core.engine.flush()?;
        self.core.engine.sync()?;
        self.core.counters.synced(started.elapsed());
        self.unsynced = 0;
        Ok(())
    }

    /// Turns what was appended into rows.
    fn rows_of(&self, group: &mut Group) -> Result<Option<StoredFrontier>, StoreError> {
        let Group { rows, tails, removed, scratch, bytes, .. } = group;
        let number = self.group + 1;
        let row = GROUP.key(&());
        let value = Bytes::from(&number.to_be_bytes());
        rows.insert(Bytes::from(row.as_slice()), Some(value));
        for (head, tail) in tails.iter() {
            let grown = if removed.contains(head) { None } else { self.grown(head, tail, rows)? };
            let tail = grown.as_ref().unwrap_or(tail);
            tail.pages(&self.core.keys, head, scratch, |key, value| {
                rows.insert(Bytes::from(key), Some(Bytes::from(value)));
            })?;
        }
        let Some(tail) = tails.get(LEDGER.head(&()).as_slice()) else { return Ok(None) };
        let frontier = self.frontier.extended(tail);
        let key = FRONTIER.key(&());
        scratch.clear();
        FRONTIER.encode(&frontier, scratch)?;
        *bytes += scratch.len();
        rows.insert(Bytes::from(key.as_slice()), Some(Bytes::from(scratch.as_slice())));
        Ok(Some(frontier))
    }

    /// What was appended to a journal, together with its last page when that is small.
    fn grown(
        &self,
        head: &[u8],
        tail: &Tail,
        rows: &BTreeMap<Bytes, Option<Bytes>>,
    ) -> Result<Option<Tail>, StoreError> {
        if tail.first == tail.kind.first {
            return Ok(None);
        }
        let bounds = pages_until(head, u64::MAX);
        let last = self.core.engine.range(slices(&bounds)).next_back().transpose()?;
        let Some((key, on_disk)) = last else { return Ok(None) };
        // An entry of it may have been replaced in this very group.
        let value = rows.get(&key).cloned().flatten().unwrap_or(on_disk);
        if value.len() > JOURNAL_GROW_BYTES {
            return Ok(None);
        }
        let page = tail.kind.page(&self.core.keys, &key, &value)?;
        Ok((page.next() == tail.first).then(|| tail.behind(&page)))
    }

    /// The end of all writing: after a failed sync the kernel may have dropped the pages it could
    /// not write, and a second sync would report success.
    fn fail(&mut self, failure: StoreFailure) {
        tracing::error!(during = failure.during, cause = %failure.source, "the store stopped");
        let failure = self.core.failure.get_or_init(|| failure);
        if let Some(tell) = self.on_failure.take() {
            tell(failure);
        }
    }

    fn mark_clean(&mut self) {
        if self.core.failure.get().is_some() {
            return;
        }
        let mut group = Group::default();
        let tails = HashMap::new();
        let mut unit = Unit::new(&self.core, &mut group, &tails);
        let marked = unit.put(&RUN, &(), &RunState::Clean { opened: self.opened });
        if let Err(error) = marked {
            tracing::error!(%error, "the store could not be marked as closed");
            return;
        }
        self.settle(group, 0, &mut Tails::new());
    }
}

/// Keeps the next positions of what was just written; starts over rather than grow for ever.
fn remember(tails: &mut Tails, written: impl Iterator<Item = (Bytes, u64)>) {
    if tails.len() >= JOURNAL_TAILS_MAX {
        tails.clear();
    }
    tails.extend(written);
}

/// Packing fails only when sealing does, which no retry would cure.
fn stop(error: StoreError) -> EngineError {
    match error {
        StoreError::Engine(error) => error,
        other => EngineError::Stopped(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::page_key;

    #[test]
    fn the_memory_of_positions_is_bounded() {
        let mut tails = Tails::new();
        for journal in 0..u64::try_from(JOURNAL_TAILS_MAX * 2).unwrap() {
            let key = page_key(b"j", journal);
            remember(&mut tails, std::iter::once((Bytes::from(key.as_slice()), 1)));
            assert!(tails.len() <= JOURNAL_TAILS_MAX);
        }
    }
}
