//! What is in a chunk: changes of rows, one after the other, none of them across two chunks.
//!
//! A chunk begins with its section: 1 rows as they were read, 2 groups as they were committed, 3 the end. Then come
//! changes: `1 ‖ length of key (1) ‖ length of value (4) ‖ key ‖ value` for a row, `2 ‖ length of key (1) ‖ key` for one
//! that was deleted, `3 ‖ number (8)` at the beginning of a group, `4 ‖ group (8) ‖ rows (8) ‖ changes (8)` at the end.

use super::error::BackupError;
use super::sealed::{Reader, Writer};
use crate::limits::BACKUP_CHUNK_BYTES_MAX;

const ROW: u8 = 1;
const GONE: u8 = 2;
const GROUP: u8 = 3;
const END: u8 = 4;

/// Where in the file a chunk belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// Rows as they were read.
    Scan,
    /// Groups as they were committed.
    Log,
    /// How much there was.
    End,
}

impl Section {
    const fn byte(self) -> u8 {
        match self {
            Self::Scan => 1,
            Self::Log => 2,
            Self::End => 3,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Scan),
            2 => Some(Self::Log),
            3 => Some(Self::End),
            _ => None,
        }
    }
}

/// How much a file holds, said at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// The last group in it: restoring brings back the state after this one.
    pub(super) group: u64,
    /// Rows that were read.
    pub(super) rows: u64,
    /// Rows that groups wrote or deleted meanwhile.
    pub(super) changes: u64,
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change<'a> {
    Row { key: &'a [u8], value: &'a [u8] },
    Gone { key: &'a [u8] },
    Group(u64),
    End(Totals),
}

/// Gathers changes into chunks.
pub(super) struct Chunks {
    writer: Writer,
    plain: Vec<u8>,
    section: Section,
    totals: Totals,
}

impl Chunks {
    pub(super) fn new(writer: Writer) -> Self {
        let (plain, totals) = (Vec::new(), Totals::default());
        Self { writer, plain, section: Section::Scan, totals }
    }

    /// A row as it was read.
    pub(super) fn row(&mut self, key: &[u8], value: &[u8]) -> Result<(), BackupError> {
        self.totals.rows += 1;
        self.add(Section::Scan, Change::Row { key, value })
    }

    /// The beginning of a group; its changes follow.
    pub(super) fn group(&mut self, number: u64) -> Result<(), BackupError> {
        self.add(Section::Log, Change::Group(number))
    }

    /// A change of the group that was begun last; no value for a row that was deleted.
    pub(super) fn change(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), BackupError> {
        self.totals.changes += 1;
        let gone = Change::Gone { key };
        self.add(Section::Log, value.map_or(gone, |value| Change::Row { key, value }))
    }

    /// Ends the file after this group and waits for the disk; says how many bytes it has.
    pub(super) fn finish(mut self, group: u64) -> Result<(u64, Totals), BackupError> {
        self.totals.group = group;
        let totals = self.totals;
        self.add(Section::End, Change::End(totals))?;
        self.writer.chunk(&mut self.plain, true)?;
        Ok((self.writer.finish()?, totals))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.writer.bytes
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    fn add(&mut self, section: Section, change: Change<'_>) -> Result<(), BackupError> {
        let full = self.plain.len() + change.length() > BACKUP_CHUNK_BYTES_MAX;
        if !self.plain.is_empty() && (full || section != self.section) {
            self.writer.chunk(&mut self.plain, false)?;
        }
        if self.plain.is_empty() {
            self.plain.push(section.byte());
            self.section = section;
        }
        change.write(&mut self.plain);
        Ok(())
    }
}

impl Change<'_> {
    fn length(&self) -> usize {
        match self {
            Self::Row { key, value } => 6 + key.len() + value.len(),
            Self::Gone { key } => 2 + key.len(),
            Self::Group(_) => 9,
            Self::End(_) => 25,
        }
    }

    /// Keys have at most 128 bytes and values at most 96 KiB, so their lengths fit.
    fn write(&self, out: &mut Vec<u8>) {
        let key_length = |key: &[u8]| u8::try_from(key.len()).unwrap_or(u8::MAX);
        match self {
            Self::Row { key, value } => {
                out.extend_from_slice(&[ROW, key_length(key)]);
                out.extend_from_slice(
                    &u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes(),
                );
                out.extend_from_slice(key);
                out.extend_from_slice(value);
            }
            Self::Gone { key } => {
                out.extend_from_slice(&[GONE, key_length(key)]);
                out.extend_from_slice(key);
            }
            Self::Group(number) => {
                out.push(GROUP);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::End(Totals { group, rows, changes }) => {
                out.push(END);
                [group, rows, changes].iter().for_each(|n| out.extend_from_slice(&n.to_be_bytes()));
            }
        }
    }

    /// The first change of a chunk's rest, and what follows it.
    fn read(bytes: &[u8]) -> Option<(Change<'_>, &[u8])> {
        let (tag, rest) = bytes.split_first()?;
        match *tag {
            ROW => {
                let (key_length, rest) = rest.split_first()?;
                let (length, rest) = rest.split_first_chunk::<4>()?;
                let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
                let (key, rest) = rest.split_at_checked(usize::from(*key_length))?;
                let (value, rest) = rest.split_at_checked(length)?;
                Some((Change::Row { key, value }, rest))
            }
            GONE => {
                let (key_length, rest) = rest.split_first()?;
                let (key, rest) = rest.split_at_checked(usize::from(*key_length))?;
                Some((Change::Gone { key }, rest))
            }
            GROUP => number(rest).map(|(number, rest)| (Change::Group(number), rest)),
            END => {
                let (group, rest) = number(rest)?;
                let (rows, rest) = number(rest)?;
                let (changes, rest) = number(rest)?;
                Some((Change::End(Totals { group, rows, changes }), rest))
            }
            _ => None,
        }
    }
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    bytes.split_first_chunk::<8>().map(|(number, rest)| (u64::from_be_bytes(*number), rest))
}

/// Hands every change of a file to `take`, in the order of the file, and returns what its end says, once everything has
/// been read and the counts agree.
pub(super) fn read_all(
    reader: &mut Reader,
    mut take: impl FnMut(&Reader, Section, Change<'_>) -> Result<(), BackupError>,
) -> Result<Totals, BackupError> {
    let mut plain = Vec::new();
    let mut found = Totals::default();
    let mut stated = None;
    while reader.chunk(&mut plain)? {
        let (path, chunk) = (reader.path().to_path_buf(), reader.number());
        let malformed = move || BackupError::Malformed { path: path.clone(), chunk };
        let (byte, mut rest) = plain.split_first().ok_or_else(&malformed)?;
        let section = Section::from_byte(*byte).ok_or_else(&malformed)?;
        while !rest.is_empty() {
            let (change, after) = Change::read(rest).ok_or_else(&malformed)?;
            match (section, change) {
                (Section::Scan, Change::Row { .. }) => found.rows += 1,
                (Section::Log, Change::Row { .. } | Change::Gone { .. }) => found.changes += 1,
                (Section::Log, Change::Group(_)) => {}
                (Section::End, Change::End(totals)) => stated = Some(totals),
                _ => return Err(malformed()),
            }
            take(reader, section, change)?;
            rest = after;
        }
    }
    let missing =
        || BackupError::Malformed { path: reader.path().to_path_buf(), chunk: reader.number() };
    let stated: Totals = stated.ok_or_else(missing)?;
    let agrees = (stated.rows, stated.changes) == (found.rows, found.changes);
    if agrees { Ok(stated) } else { Err(missing()) }
}
