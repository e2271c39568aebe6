//! The rules of a run between its comparisons: what is cured, what counts as lost, and when only people have something left
//! to do.

use std::collections::BTreeSet;

use domain::area::AreaCode;
use domain::id::MessageId;

use super::difference::Difference;

/// What a cure may help: not what a person decides, and not what is lost.
pub fn curable<'a>(
    found: &'a [Difference],
    lost: &'a BTreeSet<MessageId>,
) -> impl Iterator<Item = &'a Difference> {
    let is_lost = |it: &&Difference| it.id().is_some_and(|id| lost.contains(&id));
    found.iter().filter(move |it| !it.name.is_for_a_person() && !is_lost(it))
}

/// Whether to look again before a person is asked: what a person is to decide may be no more than a late report, so each is
/// looked at twice. `before` are those that the comparison before this one has found.
#[must_use]
pub fn is_unsure(found: &[Difference], before: &BTreeSet<MessageId>) -> bool {
    let is_new = |it: &Difference| it.id().is_some_and(|id| !before.contains(&id));
    found.iter().any(|it| it.name.is_for_a_person() && is_new(it))
}

/// Of what somebody says cannot be brought back, that which is theirs to bring back. Nobody speaks for another.
pub fn owed_by(
    lost: &[MessageId],
    differences: &[Difference],
    is_theirs: impl Fn(AreaCode) -> bool,
) -> Vec<MessageId> {
    let theirs = differences.iter().filter(|it| it.cured_by().is_some_and(&is_theirs));
    let theirs: BTreeSet<MessageId> = theirs.filter_map(Difference::id).collect();
    lost.iter().copied().filter(|id| theirs.contains(id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::reconcile::Entry;
    use crate::reconcile::EntryState;
    use crate::reconcile::difference::DifferenceName;

    fn missing(number: u8, name: DifferenceName) -> Difference {
        let (here, there) = ("410522".parse().unwrap(), "440305".parse().unwrap());
        let id = MessageId::from_bytes([number; 16]);
        let (digest, state) = (Digest::of(&[number]), EntryState::Stored);
        let entry = Some(Entry { id, digest, from: here, to: there, state });
        match name {
            DifferenceName::MissingAtSender => Difference { name, sender: None, recipient: entry },
            _ => Difference { name, sender: entry, recipient: None },
        }
    }

    #[test]
    fn nobody_calls_lost_what_another_has_to_bring_back() {
        let (here, there): (AreaCode, AreaCode) =
            ("410522".parse().unwrap(), "440305".parse().unwrap());
        let differences = [
            missing(1, DifferenceName::MissingAtSender),
            missing(2, DifferenceName::MissingAtRecipient),
        ];
        let says = [1, 2, 3].map(|number| MessageId::from_bytes([number; 16]));
        assert_eq!(owed_by(&says, &differences, |area| area == there), [says[0]]);
        assert_eq!(owed_by(&says, &differences, |area| area == here), [says[1]]);
    }

    #[test]
    fn what_a_person_decides_is_looked_at_twice_and_what_is_lost_is_left() {
        let found = [
            missing(1, DifferenceName::MissingAtSender),
            missing(2, DifferenceName::ContentDiffers),
            missing(3, DifferenceName::MissingAtRecipient),
        ];
        let ids = [1, 2, 3].map(|number| MessageId::from_bytes([number; 16]));
        assert!(is_unsure(&found, &BTreeSet::new()));
        assert!(is_unsure(&found, &BTreeSet::from([ids[0]])));
        assert!(!is_unsure(&found, &BTreeSet::from([ids[1]])));
        let left: Vec<_> = curable(&found, &BTreeSet::from([ids[2]])).cloned().collect();
        assert_eq!(left, [found[0].clone()]);
    }
}
