//! Reconciliation: in the end both sides of every message have the same, and have signed it.

use std::collections::{BTreeMap, BTreeSet};

use exchange::digest::Digest;

use super::messages::Story;
use super::{Broken, Facts, Promise, Verdict, at_the_end};
use crate::history::{Fact, Word};
use crate::mail::MessageNo;
use crate::plan::NodeNo;

/// A statement as one side has signed it: its digest, the messages that it calls stored, and the differences it leaves.
type Signed = (Digest, u64, u32);

/// Compares the two sides of every message, and what they have signed.
pub(super) fn check(facts: &Facts<'_>, story: &Story, verdict: &mut Verdict) {
    let have = |of: fn(&crate::ends::Ends) -> &Vec<MessageNo>| -> Vec<BTreeSet<MessageNo>> {
        facts.ends.iter().map(|ends| of(ends).iter().copied().collect()).collect()
    };
    let (sent, received) = (have(|ends| &ends.sent), have(|ends| &ends.received));
    let has = |sets: &[BTreeSet<MessageNo>], node: NodeNo, message| {
        sets.get(node.index()).is_some_and(|set| set.contains(&message))
    };
    let mut stored: BTreeMap<(NodeNo, NodeNo), u64> = BTreeMap::new();
    for (message, from, to) in story.accepted() {
        let (there, here) = (has(&sent, from, message), has(&received, to, message));
        let pair = (party(facts, from, to), party(facts, to, from));
        *stored.entry((pair.0.min(pair.1), pair.0.max(pair.1))).or_default() +=
            u64::from(here && !story.is_late(message));
        let why = match (there, here, story.settled_as(from, message)) {
            (false, false, _) | (true, true, Some(Word::Stored)) => continue,
            (true, false, Some(Word::Refused(_))) => continue,
            (false, true, _) => "its recipient has it and its sender does not",
            (true, false, _) => "its sender has it and its recipient does not",
            (true, true, _) => "both have it, and its sender does not know that",
        };
        verdict
            .add(Broken { message: Some(message), ..at_the_end(Promise::BothAreEqual, from, why) });
    }
    check_statements(facts, &stored, verdict);
}

/// Who reconciles for a node with another one: its province, or the node itself when both are below one.
fn party(facts: &Facts<'_>, node: NodeNo, other: NodeNo) -> NodeNo {
    let above = |node| facts.lines.above(node).unwrap_or(node);
    if above(node) == above(other) { node } else { above(node) }
}

fn check_statements(
    facts: &Facts<'_>,
    stored: &BTreeMap<(NodeNo, NodeNo), u64>,
    verdict: &mut Verdict,
) {
    let mut signed: BTreeMap<(NodeNo, NodeNo), Signed> = BTreeMap::new();
    for entry in facts.history.entries() {
        match entry.fact {
            Fact::Signed { with, statement, counts, left } => {
                signed.insert((entry.node, with), (statement, counts.stored, left));
                if counts.waiting > 0 {
                    let why = "a statement calls messages waiting";
                    verdict.add(at_the_end(Promise::StatementsAreSigned, entry.node, why));
                }
            }
            Fact::Compared { differences, .. } => {
                verdict.differences += usize::try_from(differences).unwrap_or(usize::MAX);
            }
            _ => {}
        }
    }
    for ((one, other), count) in stored {
        let of = |a, b| signed.get(&(a, b));
        let why = match (of(*one, *other), of(*other, *one)) {
            (Some(ours), Some(theirs)) if ours.0 != theirs.0 => "the two have signed other things",
            (Some((_, said, _)), Some(_)) if said != count => "what is signed is not on the disks",
            (Some((_, _, left)), Some(_)) if *left > 0 => "differences are left",
            (Some(_), Some(_)) => {
                verdict.statements += 1;
                continue;
            }
            (None, _) | (_, None) => "one side has not signed",
        };
        verdict.add(at_the_end(Promise::StatementsAreSigned, *one, why));
    }
}
