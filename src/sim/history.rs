//! The history of a world: what every node promised and did, and what befell it, in the order of true time.
//!
//! What is written on a disk is recorded by the disk, what is signed by the hand that signs, so that a node's program
//! cannot tell of itself what it has not done.

use std::collections::{BTreeSet, HashMap};
use std::fmt::{self, Write as _};

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::Date;
use exchange::digest::Digest;
use exchange::parcel::ParcelId;
use exchange::receipt::Outcome;
use exchange::reconcile::totals::Counts;

use crate::mail::MessageNo;
use crate::plan::NodeNo;
use crate::timeline::Moment;

/// One entry of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was, in true time.
    pub at: Moment,
    /// Where.
    pub node: NodeNo,
    /// What.
    pub fact: Fact,
}

/// Short name of a parcel in the history.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParcelName(u64);

impl From<ParcelId> for ParcelName {
    fn from(id: ParcelId) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

impl fmt::Display for ParcelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{:08x}", self.0 >> 32)
    }
}

impl fmt::Debug for ParcelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What was said of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is stored.
    Stored,
    /// It is refused for ever.
    Refused(Reason),
    /// It is put off.
    Deferred(Reason),
}

impl From<&Outcome> for Word {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Stored => Self::Stored,
            Outcome::Refused { reason, .. } => Self::Refused(*reason),
            Outcome::Deferred { reason, .. } => Self::Deferred(*reason),
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored => f.write_str("STORED"),
            Self::Refused(reason) => write!(f, "REFUSED {}", reason.code()),
            Self::Deferred(reason) => write!(f, "DEFERRED {}", reason.code()),
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A clerk was told that a message is accepted.
    Accepted {
        /// Which.
        message: MessageNo,
        /// For which node.
        to: NodeNo,
    },
    /// A clerk was told that nothing is taken just now.
    NotAccepted {
        /// For which node it was.
        to: NodeNo,
        /// Why.
        reason: Reason,
    },
    /// A message is withdrawn, on disk.
    Withdrawn {
        /// Which.
        message: MessageNo,
    },
    /// A message leaves its sender in a parcel.
    Departed {
        /// Which.
        message: MessageNo,
        /// In which parcel.
        parcel: ParcelName,
        /// To which node it is handed.
        hand: NodeNo,
        /// Whether its body travels.
        body: bool,
    },
    /// A message is on the disk of its recipient.
    Wrote {
        /// Which.
        message: MessageNo,
        /// Whether a row of that message was there before.
        again: bool,
    },
    /// A recipient signed what became of a message.
    Said {
        /// Which.
        message: MessageNo,
        /// In which parcel it came.
        parcel: ParcelName,
        /// What was said.
        word: Word,
        /// Whether it said that it repeats itself.
        duplicate: bool,
    },
    /// The recipient's word about a message is on the disk of its sender.
    Settled {
        /// Which.
        message: MessageNo,
        /// What it says.
        word: Word,
    },
    /// A parcel in transit is on a relay's disk.
    Took {
        /// Which.
        parcel: ParcelName,
        /// Who handed it over.
        from: NodeNo,
    },
    /// A relay signed that it holds a parcel.
    Held {
        /// Which.
        parcel: ParcelName,
        /// To whom it will hand it.
        next: NodeNo,
    },
    /// A relay wrote that it need not hold a parcel any longer.
    LetGo {
        /// Which.
        parcel: ParcelName,
        /// Why.
        why: Release,
    },
    /// A sender wrote that a relay, or a file, has its parcel.
    Consigned {
        /// Which.
        parcel: ParcelName,
    },
    /// The program started.
    Started,
    /// It ended, alone or with its machine.
    Crashed {
        /// With its machine.
        silently: bool,
    },
    /// A broken disk lost what it had acknowledged.
    DiskLied {
        /// Whole groups.
        groups: u32,
        /// Rows of a group of which others stay.
        rows: u32,
    },
    /// A backup was made.
    BackedUp,
    /// The last backup was put in the place of the disk.
    Restored {
        /// And the program was told.
        noticed: bool,
    },
    /// A trouble of the plan begins.
    Begins(Sort),
    /// It is over.
    Ends(Sort),
    /// No more troubles.
    Calm,
    /// The ledgers of two sides were compared.
    Compared {
        /// With which side.
        with: NodeNo,
        /// Differences that were found.
        differences: u32,
    },
    /// A statement with the signatures of two sides is on the disk of one of them.
    Signed {
        /// With which side.
        with: NodeNo,
        /// Digest of the statement.
        statement: Digest,
        /// First and last day.
        days: (Date, Date),
        /// Whether it closes them.
        closes: bool,
        /// Whether both signatures are under it, by the two sides that it names.
        by_both: bool,
        /// Messages by state, as it says.
        counts: Counts,
        /// Differences that it leaves.
        left: u32,
    },
}

/// Why a relay let go of a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The next hop has given its word.
    HandedOn,
    /// The recipient has answered.
    Answered,
    /// It can go no further.
    GivenUp(Reason),
}

/// Names of troubles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// The program stands still.
    Stall,
    /// Lines are cut.
    Cut,
    /// Lines are slow.
    Slow,
    /// A connection breaks.
    Break,
    /// The disk is slow.
    SlowDisk,
    /// The disk is full.
    DiskFull,
    /// The disk is nearly full.
    NearlyFull,
    /// Mail is put off.
    Busy,
    /// Out of service, announced.
    Maintenance,
    /// The clock was set by so many milliseconds.
    Clock(i64),
    /// The relay loses a share of what it holds.
    Rogue,
}

/// A message of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its id.
    pub id: MessageId,
    /// Digest of its envelope.
    pub digest: Digest,
    /// Its sender.
    pub from: NodeNo,
    /// Its recipient.
    pub to: NodeNo,
    /// When it loses its purpose, by its sender's clock.
    pub expires: domain::time::UnixMillis,
}

/// Everything that happened.
#[derive(Debug, Default)]
pub struct History {
    entries: Vec<Entry>,
    /// By number: every message that was ever sealed, accepted or not.
    written: Vec<Written>,
    by_digest: HashMap<Digest, MessageNo>,
}

impl History {
    /// Notes that something happened.
    pub(crate) fn note(&mut self, at: Moment, node: NodeNo, fact: Fact) {
        self.entries.push(Entry { at, node, fact });
    }

    /// Gives a number to a message that is just being sealed.
    pub(crate) fn next_message(&self) -> MessageNo {
        MessageNo(u32::try_from(self.written.len()).unwrap_or(u32::MAX))
    }

    /// Notes what the message with the next number is.
    pub(crate) fn seals(&mut self, written: Written) {
        self.by_digest.insert(written.digest, self.next_message());
        self.written.push(written);
    }

    /// Notes that a message was sealed once more.
    pub(crate) fn seals_again(&mut self, message: MessageNo, digest: Digest) {
        self.by_digest.insert(digest, message);
    }

    /// The message in the envelope with this digest.
    pub(crate) fn find(&self, digest: Digest) -> Option<MessageNo> {
        self.by_digest.get(&digest).copied()
    }

    /// All entries, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// A message.
    #[must_use]
    pub fn message(&self, number: MessageNo) -> Option<&Written> {
        self.written.get(usize::try_from(number.0).unwrap_or(usize::MAX))
    }

    /// How many messages there are.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.written.len()
    }

    /// The lines of the history, one an entry; `areas` names the nodes.
    pub(crate) fn lines<'a>(&'a self, areas: &'a [AreaCode]) -> impl Iterator<Item = String> + 'a {
        self.entries.iter().map(|entry| line(entry, areas))
    }

    /// The lines that tell of a message, or of a parcel it was in.
    pub(crate) fn lines_about(&self, message: MessageNo, areas: &[AreaCode]) -> Vec<String> {
        let mut parcels = BTreeSet::new();
        for entry in &self.entries {
            if let Fact::Departed { message: of, parcel, .. } = entry.fact
                && of == message
            {
                parcels.insert(parcel);
            }
        }
        let tells = |fact: &Fact| match fact {
            Fact::Accepted { message: of, .. }
            | Fact::Withdrawn { message: of }
            | Fact::Departed { message: of, .. }
            | Fact::Wrote { message: of, .. }
            | Fact::Said { message: of, .. }
            | Fact::Settled { message: of, .. } => *of == message,
            Fact::Took { parcel, .. }
            | Fact::Held { parcel, .. }
            | Fact::LetGo { parcel, .. }
            | Fact::Consigned { parcel } => parcels.contains(parcel),
            Fact::NotAccepted { .. } | Fact::Begins(Sort::Break) | Fact::Ends(_) => false,
            _ => true,
        };
        self.entries.iter().filter(|entry| tells(&entry.fact)).map(|e| line(e, areas)).collect()
    }

    /// SHA-256 over all lines, each with a line feed at its end.
    pub(crate) fn digest(&self, areas: &[AreaCode]) -> Digest {
        let mut text = String::new();
        for line in self.lines(areas) {
            text.push_str(&line);
            text.push('\n');
        }
        Digest::of(text.as_bytes())
    }
}

fn name(node: NodeNo, areas: &[AreaCode]) -> &str {
    areas.get(node.index()).map_or("", AreaCode::as_str)
}

fn line(entry: &Entry, areas: &[AreaCode]) -> String {
    let of = |node: NodeNo| name(node, areas);
    let mut line = format!("{} {} ", entry.at, of(entry.node));
    // Writing to a string does not fail.
    let _written = match entry.fact {
        Fact::Accepted { message, to } => write!(line, "accepted m{} for {}", message.0, of(to)),
        Fact::NotAccepted { to, reason } => {
            write!(line, "refused a message for {}: {}", of(to), reason.code())
        }
        Fact::Withdrawn { message } => write!(line, "withdrew m{}", message.0),
        Fact::Departed { message, parcel, hand, body } => {
            let without = if body { "" } else { " without its body" };
            write!(line, "sent m{}{without} in {parcel} to {}", message.0, of(hand))
        }
        Fact::Wrote { message, again } => {
            write!(line, "wrote m{}{}", message.0, if again { " AGAIN" } else { "" })
        }
        Fact::Said { message, parcel, word, duplicate } => {
            let again = if duplicate { " again" } else { "" };
            write!(line, "signed {word}{again} for m{} in {parcel}", message.0)
        }
        Fact::Settled { message, word } => write!(line, "settled m{}: {word}", message.0),
        Fact::Took { parcel, from } => write!(line, "took {parcel} from {}", of(from)),
        Fact::Held { parcel, next } => write!(line, "signed HELD for {parcel}, next {}", of(next)),
        Fact::LetGo { parcel, why } => write!(line, "let go of {parcel}: {why:?}"),
        Fact::Consigned { parcel } => write!(line, "consigned {parcel}"),
        Fact::Started => line.write_str("started"),
        Fact::Crashed { silently } => {
            line.write_str(if silently { "crashed with its machine" } else { "crashed" })
        }
        Fact::DiskLied { groups, rows } => {
            write!(line, "DISK LIED: lost {groups} groups, {rows} rows of another")
        }
        Fact::BackedUp => line.write_str("was backed up"),
        Fact::Restored { noticed } => line.write_str(if noticed {
            "was restored"
        } else {
            "was set back, and does not know it"
        }),
        Fact::Begins(sort) => write!(line, "trouble begins: {sort:?}"),
        Fact::Ends(sort) => write!(line, "trouble ends: {sort:?}"),
        Fact::Calm => line.write_str("calm"),
        Fact::Compared { with, differences } => {
            write!(line, "compared its ledgers with {}: {differences} differences", of(with))
        }
        Fact::Signed { with, statement, days: (first, last), closes, by_both, counts, left } => {
            let Counts { waiting, stored, refused } = counts;
            let closes = if closes { ", closed" } else { "" };
            let alone = if by_both { "" } else { " ONE SIGNATURE ALONE" };
            write!(
                line,
                "signed with {} of {first} to {last}{closes} that {stored} are stored, {refused} refused, {waiting} wait, {left} differ{alone}: {statement:?}",
                of(with)
            )
        }
    };
    line
}
