//! Messages: the story of each told again from what was noted, and compared with the end.

use std::collections::{BTreeMap, BTreeSet};

use domain::reason::Reason;

use super::{Broken, Facts, Promise, Verdict, all, at_the_end};
use crate::history::{Entry, Fact, Word};
use crate::mail::MessageNo;
use crate::plan::NodeNo;

/// What a node has on its disk, by what was noted.
#[derive(Clone, Debug, Default)]
struct Known {
    stored: BTreeSet<MessageNo>,
    accepted: BTreeSet<MessageNo>,
    settled: BTreeMap<MessageNo, Word>,
    withdrawn: BTreeSet<MessageNo>,
    /// The first final word it has signed.
    said: BTreeMap<MessageNo, Word>,
}

/// The story of a world.
#[derive(Debug, Default)]
pub(super) struct Story {
    nodes: BTreeMap<NodeNo, Known>,
    backups: BTreeMap<NodeNo, Known>,
    /// Every final word that was signed.
    said: BTreeMap<MessageNo, Vec<Word>>,
    /// What each node has had and lost by being restored.
    pub(super) lost: BTreeMap<NodeNo, BTreeSet<MessageNo>>,
    /// Whether a node was set back and was not told. Then conflicts are found, and healed.
    set_back: bool,
    /// Whether ledgers were compared; and messages that were accepted since.
    compares: bool,
    late: BTreeSet<MessageNo>,
    /// Recipients of messages.
    accepted: BTreeMap<MessageNo, (NodeNo, NodeNo)>,
}

/// Tells the story again, and notes where it is not true.
pub(super) fn replay(facts: &Facts<'_>, verdict: &mut Verdict) -> Story {
    let mut story = Story::default();
    for entry in facts.history.entries() {
        if let Some((promise, message, why)) = story.next(entry) {
            let (node, at, message) = (entry.node, Some(entry.at), Some(message));
            verdict.add(Broken { promise, node, message, parcel: None, at, why });
        }
    }
    story
}

type Wrong = (Promise, MessageNo, &'static str);

impl Story {
    fn next(&mut self, entry: &Entry) -> Option<Wrong> {
        let node = entry.node;
        match entry.fact {
            Fact::Compared { .. } => self.compares = true,
            Fact::Accepted { message, to } => {
                if self.compares {
                    self.late.insert(message);
                }
                self.accepted.insert(message, (node, to));
                self.known(node).accepted.insert(message);
            }
            Fact::Withdrawn { message } => drop(self.known(node).withdrawn.insert(message)),
            Fact::Departed { message, body: true, .. }
                if self.known(node).withdrawn.contains(&message) =>
            {
                let why = "a body left its sender after it was withdrawn";
                return Some((Promise::WithdrawnStays, message, why));
            }
            Fact::Wrote { message, again } => {
                let first = self.known(node).stored.insert(message);
                if again || !first {
                    return Some((Promise::StoredOnce, message, "it was written a second time"));
                }
            }
            Fact::Said { message, word, .. } => return self.said(node, message, word),
            Fact::Settled { message, word } => return self.settled(node, message, word),
            Fact::BackedUp => {
                let known = self.known(node).clone();
                self.backups.insert(node, known);
            }
            Fact::Restored { noticed } => {
                self.restored(node);
                self.set_back |= !noticed;
            }
            _ => {}
        }
        None
    }

    fn known(&mut self, node: NodeNo) -> &mut Known {
        self.nodes.entry(node).or_default()
    }

    fn said(&mut self, node: NodeNo, message: MessageNo, word: Word) -> Option<Wrong> {
        let truth = Promise::ReceiptsAreTrue;
        if word == Word::Refused(Reason::Conflict) {
            self.said.entry(message).or_default().push(word);
            let why = "a conflict was found, though nobody was set back unnoticed";
            return (!self.set_back).then_some((Promise::NobodyConflicts, message, why));
        }
        let stored = self.known(node).stored.contains(&message);
        if word == Word::Stored && !stored {
            return Some((truth, message, "signed as stored, but not on disk"));
        }
        if matches!(word, Word::Refused(_)) && stored {
            return Some((truth, message, "signed as refused, but on disk"));
        }
        if matches!(word, Word::Deferred(_)) {
            return None;
        }
        let all = self.said.entry(message).or_default();
        if !all.contains(&word) {
            all.push(word);
        }
        let known = self.known(node).said.contains_key(&message);
        if self.compares && !known && self.was_stored(message) && is_final_refusal(word) {
            let why = "what its sender knew to be stored was refused when it was delivered again";
            return Some((truth, message, why));
        }
        // A recipient that was restored does not remember what it said since its backup, and judges anew.
        let first = *self.known(node).said.entry(message).or_insert(word);
        (first != word).then_some((truth, message, "first it said otherwise"))
    }

    /// Whether its sender has on its disk that it is stored.
    fn was_stored(&self, message: MessageNo) -> bool {
        let sender = self.accepted.get(&message).map(|(sender, _)| *sender);
        sender.and_then(|sender| self.settled_as(sender, message)) == Some(Word::Stored)
    }

    fn settled(&mut self, node: NodeNo, message: MessageNo, word: Word) -> Option<Wrong> {
        if matches!(word, Word::Deferred(_)) {
            return None;
        }
        let signed = self.said.get(&message).is_some_and(|said| said.contains(&word));
        self.known(node).settled.insert(message, word);
        (!signed).then_some((Promise::SettledIsTrue, message, "nobody has signed that"))
    }

    /// The disk is as it was at the backup; what came since is lost, and everybody may know it.
    fn restored(&mut self, node: NodeNo) {
        let backup = self.backups.get(&node).cloned().unwrap_or_default();
        let now = std::mem::replace(self.known(node), backup.clone());
        let lost = self.lost.entry(node).or_default();
        lost.extend(now.stored.difference(&backup.stored));
        lost.extend(now.accepted.difference(&backup.accepted));
    }

    /// Both sides of every message that was accepted.
    pub(super) fn accepted(&self) -> impl Iterator<Item = (MessageNo, NodeNo, NodeNo)> {
        self.accepted.iter().map(|(message, (from, to))| (*message, *from, *to))
    }

    /// Whether a message was accepted only after the first comparison: it is in no statement.
    pub(super) fn is_late(&self, message: MessageNo) -> bool {
        self.late.contains(&message)
    }

    /// The last final word about a message that is on its sender's disk.
    pub(super) fn settled_as(&self, sender: NodeNo, message: MessageNo) -> Option<Word> {
        self.nodes.get(&sender)?.settled.get(&message).copied()
    }

    /// Whether a node has had this message and lost it by being restored.
    pub(super) fn has_lost(&self, node: NodeNo, message: MessageNo) -> bool {
        self.lost.get(&node).is_some_and(|lost| lost.contains(&message))
    }
}

/// A refusal of the message itself: a conflict is about a place, and what was withdrawn is to be refused.
const fn is_final_refusal(word: Word) -> bool {
    !matches!(word, Word::Refused(Reason::Conflict | Reason::Withdrawn))
        && matches!(word, Word::Refused(_))
}

/// Compares the story with the disks.
pub(super) fn check_the_end(facts: &Facts<'_>, story: &Story, verdict: &mut Verdict) {
    let nothing = Known::default();
    for (node, ends) in all(facts) {
        let known = story.nodes.get(&node).unwrap_or(&nothing);
        let received: BTreeSet<_> = ends.received.iter().copied().collect();
        let sent: BTreeSet<_> = ends.sent.iter().copied().collect();
        let broken = |message, why| Broken {
            message: Some(message),
            ..at_the_end(Promise::DisksAreTrue, node, why)
        };
        for message in known.stored.symmetric_difference(&received) {
            verdict.add(broken(*message, "what was stored and what is there differ"));
        }
        for message in known.accepted.difference(&sent) {
            verdict.add(broken(*message, "what was accepted is not there"));
        }
    }
    for (message, (from, to)) in &story.accepted {
        one(facts, story, *message, (*from, *to), verdict);
    }
}

fn one(
    facts: &Facts<'_>,
    story: &Story,
    message: MessageNo,
    (from, to): (NodeNo, NodeNo),
    verdict: &mut Verdict,
) {
    verdict.accepted += 1;
    let (Some(sender), Some(recipient)) =
        (facts.ends.get(from.index()), facts.ends.get(to.index()))
    else {
        return;
    };
    let kept = Promise::AcceptedIsKept;
    let broken = |node, why| Broken { message: Some(message), ..at_the_end(kept, node, why) };
    let is_stored =
        recipient.received.binary_search(&message).is_ok() || recipient.received.contains(&message);
    verdict.stored += usize::from(is_stored);
    let known = story.nodes.get(&from);
    let knows = known.is_some_and(|known| known.accepted.contains(&message));
    if !knows {
        // The sender was restored and does not know that it has accepted it.
        if !is_stored {
            verdict.missing.push((from, message));
        }
        return;
    }
    match sender.settled.get(&message) {
        None => verdict.add(broken(from, "it has no final word")),
        Some(Word::Stored) if is_stored => {}
        Some(Word::Stored) if story.has_lost(to, message) => verdict.missing.push((to, message)),
        Some(Word::Stored) => verdict.add(broken(to, "settled as stored, and not there")),
        Some(Word::Refused(_)) => {
            verdict.refused += 1;
            if is_stored {
                verdict.add(broken(to, "settled as refused, and there"));
            }
        }
        Some(Word::Deferred(_)) => verdict.add(broken(from, "its last word is no final word")),
    }
}
