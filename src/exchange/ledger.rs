//! One entry a message on each side, in an append-only tree whose head is in every receipt.

use std::cmp::Ordering;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::Month;
use domain::time::UnixMillis;
use serde::Deserialize;
use serde::Serialize;

use crate::digest::Digest;
use crate::envelope::Header;
use crate::tree;
use crate::tree::Frontier;

/// Bytes of a canonical entry.
pub const ENTRY_BYTES: usize = CONTEXT.len() + 1 + 16 + 32 + 6 + 6 + 4;

const CONTEXT: &[u8] = b"liangdi/v1/ledger\0";

/// Which side of the message this ledger's owner was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// The owner sent it.
    Sent,
    /// The owner received it.
    Received,
}

impl Direction {
    /// The byte that stands for it in an entry.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Sent => 1,
            Self::Received => 2,
        }
    }

    /// From that byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Sent),
            2 => Some(Self::Received),
            _ => None,
        }
    }
}

/// What a ledger says about one message: no personal data and no kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The message.
    pub message_id: MessageId,
    /// Digest of its envelope.
    pub digest: Digest,
    /// County that sent it.
    pub from: AreaCode,
    /// County it is for.
    pub to: AreaCode,
    /// Month in which it was accepted by the sender, in China Standard Time; the same on both sides.
    pub month: Month,
    /// Side of the ledger's owner.
    pub direction: Direction,
}

impl LedgerEntry {
    /// The entry for an envelope with this header and digest.
    #[must_use]
    pub fn of(header: &Header, digest: Digest, direction: Direction) -> Self {
        Self {
            message_id: header.message_id,
            digest,
            from: header.from,
            to: header.to,
            month: header.created.date().month(),
            direction,
        }
    }

    /// Canonical bytes: `"liangdi/v1/ledger" || 0x00 || direction (0x01 sent, 0x02 received) ||
    /// message id (16) || digest (32) || from (6 ASCII) || to (6 ASCII) || month (u32be, YYYYMM)`.
    #[must_use]
    pub fn canonical_bytes(&self) -> [u8; ENTRY_BYTES] {
        let (from, to) = (self.from.county(), self.to.county());
        let month = u32::from(self.month.year()) * 100 + u32::from(self.month.number());
        let parts: [&[u8]; 7] = [
            CONTEXT,
            &[self.direction.byte()],
            self.message_id.as_bytes(),
            self.digest.as_bytes(),
            from.as_str().as_bytes(),
            to.as_str().as_bytes(),
            &month.to_be_bytes(),
        ];
        let mut bytes = [0; ENTRY_BYTES];
        let all = parts.into_iter().flatten();
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// Reads canonical bytes; `None` when they are none.
    #[must_use]
    pub fn from_canonical(bytes: &[u8]) -> Option<Self> {
        let (direction, rest) = bytes.strip_prefix(CONTEXT)?.split_first()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let (digest, rest) = rest.split_first_chunk::<32>()?;
        let (from, rest) = rest.split_first_chunk::<6>()?;
        let (to, month) = rest.split_first_chunk::<6>()?;
        let month = u32::from_be_bytes(month.try_into().ok()?);
        let area = |code: &[u8]| std::str::from_utf8(code).ok()?.parse().ok();
        let number = u8::try_from(month % 100).ok()?;
        Some(Self {
            message_id: MessageId::from_bytes(*id),
            digest: Digest::new(*digest),
            from: area(from)?,
            to: area(to)?,
            month: Month::new(u16::try_from(month / 100).ok()?, number).ok()?,
            direction: Direction::from_byte(*direction)?,
        })
    }

    /// Hash of the entry as a leaf of the ledger's tree.
    #[must_use]
    pub fn leaf_hash(&self) -> Digest {
        tree::leaf_hash(&self.canonical_bytes())
    }
}

/// State of an append-only ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LedgerHead {
    /// Number of entries.
    pub size: u64,
    /// Root of the tree over the entries.
    pub root: Digest,
}

impl LedgerHead {
    /// Head of the empty ledger.
    #[must_use]
    pub fn empty() -> Self {
        Self::of(&Frontier::new())
    }

    /// Head of a ledger with this right edge.
    #[must_use]
    pub fn of(frontier: &Frontier) -> Self {
        Self { size: frontier.size(), root: frontier.root() }
    }
}

/// The newest head that a peer has signed, as far as we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SeenHead {
    /// The head.
    pub head: LedgerHead,
    /// When the peer signed it, by its clock.
    pub signed: UnixMillis,
}

/// A head by itself, as its owner signs it under [`SignContext::LedgerHead`](crate::keys::SignContext::LedgerHead).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OwnHead {
    /// The owner.
    pub of: AreaCode,
    /// The head, and when it is signed.
    pub seen: SeenHead,
}

impl OwnHead {
    /// Canonical bytes, which are signed: `area (6 ASCII) || size (u64be) || root (32) || when, ms since 1970 (u64be)`.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let SeenHead { head: LedgerHead { size, root }, signed } = self.seen;
        let parts: [&[u8]; 4] = [
            self.of.as_str().as_bytes(),
            &size.to_be_bytes(),
            root.as_bytes(),
            &signed.get().to_be_bytes(),
        ];
        parts.concat()
    }

    /// Reads canonical bytes; `None` when they are none.
    #[must_use]
    pub fn from_canonical(bytes: &[u8]) -> Option<Self> {
        let (of, rest) = bytes.split_first_chunk::<6>()?;
        let (size, rest) = rest.split_first_chunk::<8>()?;
        let (root, signed) = rest.split_first_chunk::<32>()?;
        let of = std::str::from_utf8(of).ok()?.parse().ok()?;
        let head = LedgerHead { size: u64::from_be_bytes(*size), root: Digest::new(*root) };
        let signed = UnixMillis::new(u64::from_be_bytes(signed.try_into().ok()?));
        Some(Self { of, seen: SeenHead { head, signed } })
    }
}

/// What a newly seen head says about its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeadChange {
    /// The same ledger.
    Same,
    /// A longer ledger: to be remembered. That it continues the old one is shown by a consistency proof.
    Grown,
    /// A head that was signed before, and arrived late, as receipts may: nothing to learn. A longer one may be of a history
    /// that was lost since.
    Late,
    /// Signed later and yet shorter: the peer lost entries, as after a restore; or its clock was ahead when it signed the
    /// shorter one. Only a proof that the longer one continues the shorter one tells.
    RolledBack,
    /// The same length with other entries: the peer's history was changed.
    Rewritten,
}

impl SeenHead {
    /// Compares with a head that the same peer signed.
    #[must_use]
    pub fn compare(&self, newer: &Self) -> HeadChange {
        match newer.head.size.cmp(&self.head.size) {
            Ordering::Equal if newer.head.root == self.head.root => HeadChange::Same,
            Ordering::Equal => HeadChange::Rewritten,
            Ordering::Greater if newer.signed < self.signed => HeadChange::Late,
            Ordering::Greater => HeadChange::Grown,
            Ordering::Less if newer.signed > self.signed => HeadChange::RolledBack,
            Ordering::Less => HeadChange::Late,
        }
    }

    /// This head, in a receipt for a parcel that we signed at `asked`, beside one that is known: nobody answers what was not
    /// asked yet. Whoever puts old times beside its heads would never be asked to prove that the longer one continues the
    /// known one.
    #[must_use]
    pub fn answering(self, known: &Self, asked: UnixMillis) -> Self {
        let is_longer = self.head.size > known.head.size;
        match is_longer && self.signed < known.signed && asked > known.signed {
            true => Self { signed: asked, ..self },
            false => self,
        }
    }

    /// Which head is to be remembered once another one of the same peer was seen: of two that cannot both be in one
    /// history the one that was signed later.
    #[must_use]
    pub fn after(self, newer: Self) -> Self {
        match self.compare(&newer) {
            HeadChange::Late => self,
            HeadChange::Same | HeadChange::Rewritten if newer.signed <= self.signed => self,
            HeadChange::Same
            | HeadChange::Grown
            | HeadChange::RolledBack
            | HeadChange::Rewritten => newer,
        }
    }
}

impl HeadChange {
    /// Whether it seems that the owner has lost what it had, as after a restore.
    #[must_use]
    pub const fn is_loss(self) -> bool {
        match self {
            Self::RolledBack | Self::Rewritten => true,
            Self::Same | Self::Grown | Self::Late => false,
        }
    }
}

/// Checks with a proof that the ledger with head `new` begins with that of head `old`.
#[must_use]
pub fn continues(old: &LedgerHead, new: &LedgerHead, proof: &[Digest]) -> bool {
    tree::verify_consistency((old.size, &old.root), (new.size, &new.root), proof)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_head_in_an_answer_is_not_older_than_what_it_answers() {
        let seen = |size: u64, signed: u64| {
            let leaves = (0..size).map(|n| tree::leaf_hash(&n.to_be_bytes()));
            SeenHead { head: LedgerHead::of(&leaves.collect()), signed: UnixMillis::new(signed) }
        };
        let known = seen(10, 500);
        // Rewritten, and signed as of long ago.
        let backdated = seen(12, 1);
        assert_eq!(known.compare(&backdated), HeadChange::Late);
        let answered = backdated.answering(&known, UnixMillis::new(501));
        assert_eq!((answered.signed.get(), known.compare(&answered)), (501, HeadChange::Grown));
        // What answers something older than the known head came late, and what is shorter says nothing.
        assert_eq!(backdated.answering(&known, UnixMillis::new(500)), backdated);
        assert_eq!(seen(9, 1).answering(&known, UnixMillis::new(501)), seen(9, 1));
    }

    #[test]
    fn an_entry_has_the_bytes_the_protocol_describes() {
        let mut header = samples::header(1);
        // 2026-03-31T16:00:00Z is the first of April in China.
        header.created = UnixMillis::new(1_774_972_800_000);
        let digest = Digest::of(b"envelope");
        let entry = LedgerEntry::of(&header, digest, Direction::Received);
        let mut expected = b"liangdi/v1/ledger\0\x02".to_vec();
        expected.extend_from_slice(header.message_id.as_bytes());
        expected.extend_from_slice(digest.as_bytes());
        expected.extend_from_slice(b"410522330106");
        expected.extend_from_slice(&202_604_u32.to_be_bytes());
        assert_eq!(entry.canonical_bytes().as_slice(), expected);
        assert_eq!(entry.leaf_hash(), tree::leaf_hash(&expected));
        assert_eq!(LedgerEntry::from_canonical(&expected), Some(entry));
        assert_eq!(LedgerEntry::from_canonical(&expected[1..]), None);
        let sent = LedgerEntry { direction: Direction::Sent, ..entry };
        assert_ne!(sent.leaf_hash(), entry.leaf_hash());
    }

    #[test]
    fn heads_tell_growth_from_loss_and_from_change() {
        let seen = |size, root: &[u8], signed| SeenHead {
            head: LedgerHead { size, root: Digest::of(root) },
            signed: UnixMillis::new(signed),
        };
        let known = seen(10, b"ten", 100);
        assert_eq!(known.compare(&seen(10, b"ten", 200)), HeadChange::Same);
        assert_eq!(known.compare(&seen(10, b"other", 200)), HeadChange::Rewritten);
        assert_eq!(known.compare(&seen(11, b"eleven", 100)), HeadChange::Grown);
        assert_eq!(known.compare(&seen(11, b"eleven", 90)), HeadChange::Late);
        assert_eq!(known.compare(&seen(9, b"nine", 90)), HeadChange::Late);
        assert_eq!(known.compare(&seen(9, b"nine", 200)), HeadChange::RolledBack);
        let losses = [seen(10, b"other", 200), seen(9, b"nine", 200)];
        assert!(losses.iter().all(|newer| known.compare(newer).is_loss()));
        let harmless = [seen(10, b"ten", 200), seen(11, b"eleven", 90), seen(9, b"nine", 90)];
        assert!(!harmless.iter().any(|newer| known.compare(newer).is_loss()));
    }

    #[test]
    fn the_head_to_remember_is_that_of_the_present_history() {
        let seen = |size, root: &[u8], signed| SeenHead {
            head: LedgerHead { size, root: Digest::of(root) },
            signed: UnixMillis::new(signed),
        };
        let known = seen(10, b"ten", 100);
        for newer in [
            seen(10, b"ten", 200),
            seen(11, b"eleven", 110),
            seen(9, b"nine", 200),
            seen(10, b"other", 200),
        ] {
            assert_eq!(known.after(newer), newer);
        }
        // What was signed before, by either history, is late.
        let late = [(9, "nine"), (10, "other"), (10, "ten"), (11, "of a history that was lost")];
        for (size, root) in late {
            assert_eq!(known.after(seen(size, root.as_bytes(), 90)), known);
        }
    }

    #[test]
    fn a_head_by_itself_has_the_bytes_the_protocol_describes() {
        let head = LedgerHead { size: 258, root: Digest::of(b"root") };
        let signed = UnixMillis::new(1_774_972_800_000);
        let own = OwnHead { of: samples::area("410522"), seen: SeenHead { head, signed } };
        let mut expected = b"410522\0\0\0\0\0\0\x01\x02".to_vec();
        expected.extend_from_slice(head.root.as_bytes());
        expected.extend_from_slice(&1_774_972_800_000_u64.to_be_bytes());
        assert_eq!(own.canonical_bytes(), expected);
        assert_eq!(OwnHead::from_canonical(&expected), Some(own));
        for wrong in [&expected[1..], &expected[..53], &[&expected[..], &[0]].concat()] {
            assert_eq!(OwnHead::from_canonical(wrong), None);
        }
    }

    #[test]
    fn a_proof_shows_that_a_ledger_only_grew() {
        let leaves: Vec<_> = (0..9_u8).map(|n| tree::leaf_hash(&[n])).collect();
        let head = |n: usize| LedgerHead::of(&leaves[..n].iter().copied().collect());
        let proof = tree::consistency_proof(&leaves, 4).unwrap();
        assert!(continues(&head(4), &head(9), &proof));
        assert!(continues(&LedgerHead::empty(), &head(9), &[]));
        let changed = LedgerHead { root: Digest::of(b"changed"), ..head(4) };
        assert!(!continues(&changed, &head(9), &proof));
    }
}
