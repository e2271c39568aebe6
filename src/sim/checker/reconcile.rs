//! Reconciliation: in the end both sides of every message have the same, and have signed it; days were closed once.

use std::collections::{BTreeMap, BTreeSet};

use domain::time::Date;
use exchange::digest::Digest;

use super::messages::Story;
use super::{Broken, Facts, Promise, Verdict, at_the_end};
use crate::history::{Fact, Word};
use crate::mail::MessageNo;
use crate::plan::NodeNo;

/// Days of a statement, first and last.
type Days = (Date, Date);

/// A statement as it is on the disk of one side: its digest, whether it closes its days, the messages that it calls stored,
/// and the differences it leaves.
#[derive(Clone, Copy, Debug)]
struct Signed {
    digest: Digest,
    closes: bool,
    stored: u64,
    left: u32,
}

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
    let signs = Promise::StatementsAreSigned;
    let mut signed: BTreeMap<(NodeNo, NodeNo), BTreeMap<Days, Vec<Signed>>> = BTreeMap::new();
    for entry in facts.history.entries() {
        match entry.fact {
            Fact::Signed { with, statement: digest, days, closes, by_both, counts, left } => {
                let of = signed.entry((entry.node, with)).or_default().entry(days).or_default();
                of.push(Signed { digest, closes, stored: counts.stored, left });
                if counts.waiting > 0 {
                    let why = "a statement calls messages waiting";
                    verdict.add(at_the_end(signs, entry.node, why));
                }
                if !by_both {
                    let why = "a statement without both signatures is kept";
                    verdict.add(at_the_end(signs, entry.node, why));
                }
            }
            Fact::Compared { differences, .. } => {
                verdict.differences += usize::try_from(differences).unwrap_or(usize::MAX);
            }
            _ => {}
        }
    }
    let nothing = BTreeMap::new();
    for ((one, other), count) in stored {
        let of = |a, b| signed.get(&(a, b)).unwrap_or(&nothing);
        let (ours, theirs) = (of(*one, *other), of(*other, *one));
        let days: BTreeSet<Days> = ours.keys().chain(theirs.keys()).copied().collect();
        let mut said = 0;
        for days in days {
            let of = |side: &BTreeMap<Days, Vec<Signed>>| side.get(&days).cloned();
            match counts(&of(ours).unwrap_or_default(), &of(theirs).unwrap_or_default()) {
                Ok(stored) => (said, verdict.statements) = (said + stored, verdict.statements + 1),
                Err(why) => verdict.add(at_the_end(signs, *one, why)),
            }
        }
        if said != *count {
            verdict.add(at_the_end(signs, *one, "what is signed is not on the disks"));
        }
    }
}

/// What the statements of two sides about the same days call stored: of those that close them there is one.
fn counts(ours: &[Signed], theirs: &[Signed]) -> Result<u64, &'static str> {
    let all = ours.iter().chain(theirs);
    let closing: BTreeSet<Digest> = all.filter(|it| it.closes).map(|it| it.digest).collect();
    if closing.len() > 1 {
        return Err("days were closed twice");
    }
    let both = ours.iter().rev().find(|it| {
        (it.closes || closing.is_empty()) && theirs.iter().any(|their| their.digest == it.digest)
    });
    match both {
        None => Err("the two do not hold one statement"),
        Some(it) if it.left > 0 => Err("differences are left"),
        Some(it) => Ok(it.stored),
    }
}
