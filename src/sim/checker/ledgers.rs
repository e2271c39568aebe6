//! Ledgers: one entry a message on each side, and both the same.

use std::collections::BTreeMap;

use exchange::ledger::Direction;

use super::messages::Story;
use super::{Broken, Facts, Promise, Verdict, all, at_the_end};
use crate::mail::MessageNo;
use crate::plan::NodeNo;

/// How often each message is in the ledger of a node.
type Counts = BTreeMap<MessageNo, u32>;

/// Compares the ledgers.
pub(super) fn check(facts: &Facts<'_>, story: &Story, verdict: &mut Verdict) {
    let (mut sent, mut received) = (BTreeMap::new(), BTreeMap::new());
    for (node, ends) in all(facts) {
        let (mut out, mut inn) = (Counts::new(), Counts::new());
        for line in &ends.ledger {
            let Some(message) = facts.history.find(line.digest) else { continue };
            let counts = match line.direction {
                Direction::Sent => &mut out,
                Direction::Received => &mut inn,
            };
            *counts.entry(message).or_default() += 1;
        }
        sent.insert(node, out);
        received.insert(node, inn);
    }
    let broken = |node: NodeNo, message, why| Broken {
        message: Some(message),
        ..at_the_end(Promise::LedgersAgree, node, why)
    };
    for (node, counts) in &received {
        for (message, count) in counts {
            let Some(from) = facts.history.message(*message).map(|written| written.from) else {
                continue;
            };
            let there = sent.get(&from).is_some_and(|sent| sent.contains_key(message));
            if *count != 1 {
                verdict.add(broken(*node, *message, "it is in the ledger more than once"));
            }
            if !there && !story.has_lost(from, *message) {
                verdict.add(broken(from, *message, "received, but not in its sender's ledger"));
            }
        }
    }
    for (node, ends) in all(facts) {
        let its = received.get(&node);
        for message in &ends.received {
            if its.is_none_or(|its| !its.contains_key(message)) {
                verdict.add(broken(node, *message, "stored, but not in the ledger"));
            }
        }
    }
}
