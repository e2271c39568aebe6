//! What came of a world: whether every promise was held, and what it takes to see it again.

use domain::hex::hex;
use std::fmt::Write as _;
use std::time::Duration;

use domain::area::AreaCode;
use serde::Serialize;

use crate::checker::{Broken, Verdict};
use crate::history::History;
use crate::mail::MessageNo;
use crate::node::Peaks;
use crate::plan::{NodeNo, Options, Story};

/// Sizes of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Its nodes.
    pub nodes: usize,
    /// Messages that were sealed, accepted or not.
    pub messages: usize,
    /// Things that happened.
    pub steps: u64,
}

/// What came of a world.
#[derive(Debug)]
pub struct Outcome {
    pub(crate) options: Options,
    pub(crate) sizes: Sizes,
    pub(crate) lasted: Duration,
    pub(crate) peaks: Peaks,
    pub(crate) verdict: Verdict,
    pub(crate) history: History,
    pub(crate) areas: Vec<AreaCode>,
}

/// The same for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The seed.
    pub seed: u64,
    /// Nodes of the world.
    pub nodes: usize,
    /// Messages that clerks wrote.
    pub messages: usize,
    /// Of these, messages that their recipients have stored in the end.
    pub stored: usize,
    /// Of these, messages that were refused, with a reason each.
    pub refused: usize,
    /// Messages that nodes restored from a backup do not have any more, each named in [`Summary::missing`].
    pub lost_by_restores: usize,
    /// Things that happened, of which the history tells those that matter.
    pub steps: u64,
    /// Entries of the history.
    pub entries: usize,
    /// Simulated time until the world came to rest, seconds.
    pub seconds: u64,
    /// SHA-256 of the lines of the history.
    pub digest: String,
    /// Differences that reconciliations found, as long as they found any.
    pub differences: usize,
    /// Statements that both sides have signed.
    pub statements: usize,
    /// Promises that were broken; empty when all were held.
    pub broken: Vec<String>,
    /// What restored nodes do not have any more: area and number of the message.
    pub missing: Vec<(String, u32)>,
}

impl Outcome {
    /// Promises that were broken; empty when all were held.
    #[must_use]
    pub fn broken(&self) -> &[Broken] {
        &self.verdict.broken
    }

    /// Its seed.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.options.seed
    }

    /// How large it was.
    #[must_use]
    pub const fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// What restored nodes do not have any more, of what they had accepted or stored after their backup.
    #[must_use]
    pub fn missing(&self) -> &[(NodeNo, MessageNo)] {
        &self.verdict.missing
    }

    /// The history.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// The largest that was seen of what has to be bounded.
    #[must_use]
    pub const fn peaks(&self) -> Peaks {
        self.peaks
    }

    /// The last lines of the history; all of them for `usize::MAX`.
    #[must_use]
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        let skip = self.history.entries().len().saturating_sub(count);
        self.history.lines(&self.areas).skip(skip).collect()
    }

    /// The lines of the history that tell of a message.
    #[must_use]
    pub fn lines_about(&self, message: MessageNo) -> Vec<String> {
        self.history.lines_about(message, &self.areas)
    }

    /// For programs. Takes time in proportion to the history, whose digest it has.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let name = |node: &NodeNo| {
            self.areas.get(node.index()).map(ToString::to_string).unwrap_or_default()
        };
        Summary {
            seed: self.options.seed,
            nodes: self.sizes.nodes,
            messages: self.verdict.accepted,
            stored: self.verdict.stored,
            refused: self.verdict.refused,
            lost_by_restores: self.verdict.missing.len(),
            steps: self.sizes.steps,
            entries: self.history.entries().len(),
            seconds: self.lasted.as_secs(),
            digest: hex(self.history.digest(&self.areas).as_bytes()),
            differences: self.verdict.differences,
            statements: self.verdict.statements,
            broken: self.verdict.broken.iter().map(|broken| broken.told(&self.areas)).collect(),
            missing: self.verdict.missing.iter().map(|(n, m)| (name(n), m.get())).collect(),
        }
    }

    /// The command that runs this world again.
    #[must_use]
    pub fn command(&self) -> String {
        let Options { seed, nodes, messages, days, broken_disks, story } = self.options;
        let mut command = format!("liangdi sim --seed {seed}");
        if story == Story::Reconcile {
            command.push_str(" --story reconcile");
        }
        let given = [("nodes", nodes), ("messages", messages), ("days", days)];
        for (name, value) in given {
            if let Some(value) = value {
                // Writing to a string does not fail.
                let _written = write!(command, " --{name} {value}");
            }
        }
        if broken_disks {
            command.push_str(" --broken-disk");
        }
        command
    }
}
