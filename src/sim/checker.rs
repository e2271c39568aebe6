//! The judge: looks at the history and at the disks in the end, and at nothing else. It calls nothing of what is tested,
//! and tells the story once more by its own rules.
//!
//! | promise | what is looked at |
//! |---|---|
//! | accepted is kept | each accepted message has its final word at its sender, and is stored at its recipient if that says so |
//! | stored once | no message is written twice on one disk |
//! | receipts are true | what is signed as stored is on the disk at that moment; what was said once is said for ever |
//! | settled is true | a sender has no word that its recipient has not signed |
//! | nobody conflicts | no node finds two contents under one name |
//! | at rest | nothing moves, nothing waits, no lane has a gap |
//! | relays are true | what is signed as held was taken; it is let go only for a word of somebody further on; nothing is kept |
//! | withdrawn stays | no body of a withdrawn message leaves its sender |
//! | ledgers agree | both sides have one entry for each message that is stored |
//! | bounded | windows hold, whatever happens |
//! | nobody is slandered | no honest node is taken for one that breaks the protocol |
//! | both are equal | after a reconciliation no message is with one side only; no difference is left |
//! | statements are signed | both sides hold one statement with both signatures of the same days, and they say what is on the disks; no days are closed twice |
//! | restored knows | what is missing after a restore is exactly what came after the backup |

mod ledgers;
mod messages;
mod reconcile;
mod relays;

use std::collections::BTreeMap;
use std::fmt;

use domain::area::AreaCode;
use exchange::courier::CourierSettings;

use crate::ends::Ends;
use crate::history::{Fact, History, ParcelName, Sort};
use crate::mail::MessageNo;
use crate::network::Lines;
use crate::node::Peaks;
use crate::plan::{NodeNo, Story as PlanStory};
use crate::timeline::Moment;

/// What a world promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// No accepted message is lost.
    AcceptedIsKept,
    /// A message is stored at most once.
    StoredOnce,
    /// What is signed is on disk, and is said again for ever.
    ReceiptsAreTrue,
    /// A sender believes what its recipient has signed, and nothing else.
    SettledIsTrue,
    /// Two contents under one name are never seen.
    NobodyConflicts,
    /// After the troubles everything comes to its end.
    AtRest,
    /// Relays hold what they say, and nothing else.
    RelaysAreTrue,
    /// What is withdrawn does not travel.
    WithdrawnStays,
    /// Both sides have the same entries.
    LedgersAgree,
    /// Windows hold.
    Bounded,
    /// No honest node is cut off as a liar.
    NobodyIsSlandered,
    /// Every node knows what it had.
    DisksAreTrue,
    /// After a reconciliation both sides have the same.
    BothAreEqual,
    /// Both sides have signed what is on the disks.
    StatementsAreSigned,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub promise: Promise,
    /// Where.
    pub node: NodeNo,
    /// The message it is about.
    pub message: Option<MessageNo>,
    /// The parcel it is about.
    pub parcel: Option<ParcelName>,
    /// When it was seen; none in the end.
    pub at: Option<Moment>,
    /// What is wrong.
    pub why: &'static str,
}

impl Broken {
    /// The same for people.
    #[must_use]
    pub(crate) fn told(&self, areas: &[AreaCode]) -> String {
        let area = areas.get(self.node.index()).map(ToString::to_string).unwrap_or_default();
        let at = self.at.map_or_else(|| "in the end".to_owned(), |at| format!("at {at}"));
        let mut about = String::new();
        if let Some(message) = self.message {
            about = format!(" m{}", message.get());
        }
        if let Some(parcel) = self.parcel {
            about = format!("{about} {parcel}");
        }
        format!("{}: {}{about} ({area}, {at})", self.promise, self.why)
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AcceptedIsKept => "no accepted message is lost",
            Self::StoredOnce => "a message is stored at most once",
            Self::ReceiptsAreTrue => "receipts are true for ever",
            Self::SettledIsTrue => "a sender believes only what was signed",
            Self::NobodyConflicts => "nobody finds two contents under one name",
            Self::AtRest => "after the troubles everything comes to its end",
            Self::RelaysAreTrue => "relays hold what they say and nothing else",
            Self::WithdrawnStays => "what is withdrawn does not travel",
            Self::LedgersAgree => "both ledgers have the same entries",
            Self::Bounded => "windows hold",
            Self::NobodyIsSlandered => "no honest node is taken for a liar",
            Self::BothAreEqual => "after a reconciliation both sides have the same",
            Self::StatementsAreSigned => "both sides sign what is on their disks",
            Self::DisksAreTrue => "what a disk has acknowledged it has",
        })
    }
}

/// What the judge gets to see.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) history: &'a History,
    pub(crate) ends: &'a [Ends],
    /// Who could call whom.
    pub(crate) lines: &'a Lines,
    /// Things that were still to come when the time was over.
    pub(crate) restless: usize,
    pub(crate) peaks: Peaks,
    pub(crate) courier: CourierSettings,
    pub(crate) story: PlanStory,
}

/// What the judge says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) broken: Vec<Broken>,
    pub(crate) missing: Vec<(NodeNo, MessageNo)>,
    pub(crate) accepted: usize,
    pub(crate) stored: usize,
    pub(crate) refused: usize,
    pub(crate) differences: usize,
    pub(crate) statements: usize,
}

/// Most broken promises that are told; the first ones matter.
const BROKEN_MAX: usize = 100;

impl Verdict {
    fn add(&mut self, broken: Broken) {
        if self.broken.len() < BROKEN_MAX {
            self.broken.push(broken);
        }
    }
}

/// Judges a world.
pub(crate) fn check(facts: &Facts<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    let kinds = Kinds::of(facts.history);
    let story = messages::replay(facts, &mut verdict);
    messages::check_the_end(facts, &story, &mut verdict);
    relays::check(facts, &kinds, &mut verdict);
    ledgers::check(facts, &story, &mut verdict);
    if facts.story == PlanStory::Reconcile {
        reconcile::check(facts, &story, &mut verdict);
    }
    check_rest(facts, &kinds, &mut verdict);
    check_bounds(facts, &kinds, &mut verdict);
    verdict
}

/// What kind of life each node had, as far as it excuses something.
#[derive(Debug, Default)]
struct Kinds {
    /// Nodes that could not be trusted for a time.
    rogue: BTreeMap<NodeNo, Moment>,
    /// Nodes that were restored.
    restored: BTreeMap<NodeNo, Moment>,
}

impl Kinds {
    fn of(history: &History) -> Self {
        let mut kinds = Self::default();
        for entry in history.entries() {
            match entry.fact {
                Fact::Begins(Sort::Rogue) => drop(kinds.rogue.insert(entry.node, entry.at)),
                Fact::Restored { .. } => drop(kinds.restored.insert(entry.node, entry.at)),
                _ => {}
            }
        }
        kinds
    }
}

fn at_the_end(promise: Promise, node: NodeNo, why: &'static str) -> Broken {
    Broken { promise, node, message: None, parcel: None, at: None, why }
}

/// Numbers and ends of all nodes.
fn all<'a>(facts: &Facts<'a>) -> impl Iterator<Item = (NodeNo, &'a Ends)> + use<'a> {
    (0..).map(NodeNo::new).zip(facts.ends)
}

/// Nothing moves and nothing waits.
fn check_rest(facts: &Facts<'_>, kinds: &Kinds, verdict: &mut Verdict) {
    let mut rest = |node, wrong, why| {
        if wrong {
            verdict.add(at_the_end(Promise::AtRest, node, why));
        }
    };
    rest(NodeNo::new(0), facts.restless > 0, "something still moves");
    for (node, ends) in all(facts) {
        rest(node, !ends.runs, "a node does not run");
        rest(node, ends.unsettled > 0, "mail has no final word");
        rest(node, ends.queued > 0 || !ends.held.is_empty(), "a relay still holds parcels");
        // A node that cannot be called comes for its words to the relay above it. What waits for it elsewhere, or where
        // there is no line at all, goes by file, and nobody hears that it was taken.
        let comes = |toward: &NodeNo| {
            let lines = facts.lines;
            lines.exists(node, *toward) || lines.above(*toward) == Some(node)
        };
        rest(node, ends.words.keys().any(comes), "words wait to be handed back");
        // A restored recipient does not get again what it has signed for; a restored sender does not know what it
        // had sent. Both are told to reconcile.
        let excused =
            |peer: &NodeNo| kinds.restored.contains_key(&node) || kinds.restored.contains_key(peer);
        let gap = ends.gaps.iter().any(|(peer, _)| !excused(peer));
        rest(node, gap, "a lane has a gap");
    }
}

fn check_bounds(facts: &Facts<'_>, kinds: &Kinds, verdict: &mut Verdict) {
    // The window holds for each of the three routes.
    let window =
        3 * u64::from(facts.courier.window_parcels) * u64::from(facts.courier.envelopes_max);
    let first = NodeNo::new(0);
    if facts.peaks.courier_envelopes > window {
        verdict.add(at_the_end(
            Promise::Bounded,
            first,
            "a courier has more in hand than its window",
        ));
    }
    if facts.peaks.forwarder_parcels > 16 {
        let why = "a forwarder has more in hand than its window";
        verdict.add(at_the_end(Promise::Bounded, first, why));
    }
    if facts.peaks.misbehaved > 0 && kinds.rogue.is_empty() {
        let why = "a node was taken for one that breaks the protocol";
        verdict.add(at_the_end(Promise::NobodyIsSlandered, first, why));
    }
}
