//! Relays: what was taken, what was said of it, and why it was let go.

use std::collections::BTreeSet;

use super::{Broken, Facts, Kinds, Promise, Verdict, at_the_end};
use crate::history::{Fact, ParcelName};
use crate::plan::NodeNo;

/// Tells the story of every parcel in transit again.
pub(super) fn check(facts: &Facts<'_>, kinds: &Kinds, verdict: &mut Verdict) {
    let mut taken: BTreeSet<(NodeNo, ParcelName)> = BTreeSet::new();
    let mut held: BTreeSet<(NodeNo, ParcelName)> = BTreeSet::new();
    let mut excused: BTreeSet<NodeNo> = BTreeSet::new();
    for entry in facts.history.entries() {
        let node = entry.node;
        let broken = |parcel, why| Broken {
            parcel: Some(parcel),
            at: Some(entry.at),
            ..at_the_end(Promise::RelaysAreTrue, node, why)
        };
        match entry.fact {
            Fact::Took { parcel, .. } => {
                taken.insert((node, parcel));
                if !held.insert((node, parcel)) && !excused.contains(&node) {
                    verdict.add(broken(parcel, "it was taken a second time"));
                }
            }
            Fact::Held { parcel, .. } if !taken.contains(&(node, parcel)) => {
                verdict.add(broken(parcel, "signed as held, but not on disk"));
            }
            Fact::LetGo { parcel, .. } => drop(held.remove(&(node, parcel))),
            // What it had taken since the backup is gone.
            Fact::Restored { .. } => drop(excused.insert(node)),
            _ => {}
        }
    }
    for (node, parcel) in held {
        if !kinds.rogue.contains_key(&node) && !kinds.restored.contains_key(&node) {
            let broken = at_the_end(Promise::RelaysAreTrue, node, "it was taken and is not let go");
            verdict.add(Broken { parcel: Some(parcel), ..broken });
        }
    }
}
