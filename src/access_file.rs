//! The access log as a file: lines of JSON, chained by hash, the end signed. Written here, and verified by anybody.
//!
//! The first line says whose log it is and after which entry it begins, each further line is an entry, the last one is
//! the signed end. What is hashed of an entry is [`AccessEntry::chain_bytes`]; `docs/protocol.md` says it byte by byte.

use domain::hex::{hex, unhex};
use std::io::BufRead;

use domain::access::{AccessAction, AccessEntry, ChainBreak, PersonKey, Role};
use domain::area::AreaCode;
use domain::purpose::{LawfulBasis, Purpose};
use domain::time::UnixMillis;
use exchange::keys::{ChainError, ChainVerifier, SignContext, SignError, Signer};
use serde::{Deserialize, Serialize};
use store::access::{AccessHead, access_hash};

/// First word of every file.
const FORMAT: &str = "liangdi-access-log-1";
/// Longest line that is read: the last one, with the certificates and revocation lists of a network.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Why a file proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// It cannot be read.
    #[error("the file cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// A line is not what the format says.
    #[error("line {line} is not a line of an access log")]
    Line {
        /// Number of the line, from 1.
        line: u64,
    },
    /// The file ends before its signed end.
    #[error("the file was cut off: its signed end is missing")]
    CutOff,
    /// An entry was changed, taken out, put in or moved.
    #[error("the chain is broken")]
    Broken(#[source] ChainBreak),
    /// What was signed is not the end of these entries.
    #[error("the signed end is not the end of the entries in the file")]
    OtherEnd,
    /// The certificates do not lead to the root, or were not good at that time.
    #[error("the certificate of the signature does not hold")]
    Chain(#[source] ChainError),
    /// The signature is somebody else's.
    #[error("the log is that of {log}, the signature that of {signer}")]
    OtherArea {
        /// Area in the file.
        log: AreaCode,
        /// Area in the certificate.
        signer: AreaCode,
    },
    /// The signature does not fit.
    #[error("the signature does not fit")]
    Signature,
    /// An entry that is known from before is not in the log any more: it was cut or written anew.
    #[error("entry {0} is another one than it was: the log was written anew")]
    Rewritten(u64),
}

/// What a file proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Whose log it is.
    pub area: AreaCode,
    /// The entry before the first in the file.
    pub after: AccessHead,
    /// The last entry.
    pub head: AccessHead,
    /// When its end was signed.
    pub signed: UnixMillis,
    /// Time of the first and of the last entry.
    pub span: Option<(UnixMillis, UnixMillis)>,
    /// Entries of each action, in the order of their numbers.
    pub actions: Vec<(AccessAction, u64)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    format: String,
    area: AreaCode,
    after: u64,
    after_hash: String,
}

/// An entry in words; its hash is taken over the bytes that the words stand for.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    number: u64,
    previous: String,
    at_ms: u64,
    operator: String,
    area: AreaCode,
    role: String,
    action: String,
    purpose: String,
    basis: String,
    person: Option<String>,
    message: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    number: u64,
    hash: String,
    signed_ms: u64,
    signature: String,
    chain: Vec<String>,
    revocation_lists: Vec<String>,
}

/// The end of a log, as it is signed.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// Whose log.
    pub area: AreaCode,
    /// The entry before the first.
    pub after: AccessHead,
    /// The last entry.
    pub head: AccessHead,
    /// When it was signed.
    pub signed: UnixMillis,
}

impl End {
    /// What is signed: area (length, text), number and hash before the first entry, number and hash of the last one,
    /// time; numbers in 8 bytes, big-endian.
    fn bytes(&self) -> Vec<u8> {
        let area = self.area.as_str();
        let mut bytes = vec![u8::try_from(area.len()).unwrap_or(u8::MAX)];
        bytes.extend_from_slice(area.as_bytes());
        for head in [self.after, self.head] {
            bytes.extend_from_slice(&head.number.to_be_bytes());
            bytes.extend_from_slice(&head.hash);
        }
        bytes.extend_from_slice(&self.signed.get().to_be_bytes());
        bytes
    }
}

/// The first line.
#[must_use]
pub fn first_line(area: AreaCode, after: AccessHead) -> String {
    line(&First {
        format: FORMAT.to_owned(),
        area,
        after: after.number,
        after_hash: hex(&after.hash),
    })
}

/// The line of an entry.
#[must_use]
pub fn entry_line(entry: &AccessEntry) -> String {
    line(&Line {
        number: entry.number,
        previous: hex(&entry.previous),
        at_ms: entry.at.get(),
        operator: entry.operator.to_string(),
        area: entry.area,
        role: entry.role.code().to_owned(),
        action: entry.action.code().to_owned(),
        purpose: entry.purpose.code().to_owned(),
        basis: entry.basis.code().to_owned(),
        person: entry.person.map(|key| hex(&key.0)),
        message: entry.message.map(|id| id.to_string()),
    })
}

/// The last line, signed.
///
/// # Errors
/// The key does not sign.
pub fn last_line(
    end: &End,
    signer: &dyn Signer,
    revocation_lists: impl Iterator<Item = Vec<u8>>,
) -> Result<String, SignError> {
    let signature = signer.sign(SignContext::AccessLog, &end.bytes())?;
    Ok(line(&Last {
        number: end.head.number,
        hash: hex(&end.head.hash),
        signed_ms: end.signed.get(),
        signature: hex(&signature),
        chain: signer.chain_der().iter().map(|der| hex(der)).collect(),
        revocation_lists: revocation_lists.map(|der| hex(&der)).collect(),
    }))
}

fn line(value: &impl Serialize) -> String {
    // Plain structures of texts and numbers always serialise.
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    text
}

/// Follows a file from its first line to its signed end. `known` are ends that somebody kept from before: the log has
/// to contain each of them that lies within the file.
///
/// # Errors
/// [`FileFault`] says at which line or entry it fails.
pub fn verify(
    file: &mut dyn BufRead,
    chains: &dyn ChainVerifier,
    known: &[AccessHead],
) -> Result<Proven, FileFault> {
    let mut lines = Lines { file, line: 0 };
    let first = lines.next()?.ok_or(FileFault::CutOff)?;
    let first: First = lines.parsed(&first)?;
    let wrong = FileFault::Line { line: 1 };
    if first.format != FORMAT {
        return Err(wrong);
    }
    let after = AccessHead { number: first.after, hash: hash(&first.after_hash).ok_or(wrong)? };
    let mut walk = Walk { head: after, before: None, span: None, counts: Vec::new() };
    walk.must_know(known)?;
    loop {
        let text = lines.next()?.ok_or(FileFault::CutOff)?;
        if let Some(entry) = entry(&text) {
            walk.follow(entry)?;
            walk.must_know(known)?;
            continue;
        }
        let last: Last = lines.parsed(&text)?;
        if lines.next()?.is_some() {
            return Err(FileFault::Line { line: lines.line });
        }
        let wrong = FileFault::Line { line: lines.line };
        let signed = UnixMillis::new(last.signed_ms);
        let end = End { area: first.area, after, head: walk.head, signed };
        if last.number != end.head.number || hash(&last.hash) != Some(end.head.hash) {
            return Err(FileFault::OtherEnd);
        }
        signature_holds(&last, &end, chains, wrong)?;
        walk.counts.sort_by_key(|(action, _)| action.number());
        return Ok(Proven {
            area: first.area,
            after,
            head: walk.head,
            signed,
            span: walk.span,
            actions: walk.counts,
        });
    }
}

fn signature_holds(
    last: &Last,
    end: &End,
    chains: &dyn ChainVerifier,
    wrong: FileFault,
) -> Result<(), FileFault> {
    let all = |texts: &[String]| texts.iter().map(|text| unhex(text)).collect::<Option<Vec<_>>>();
    let parts = all(&last.chain).zip(all(&last.revocation_lists)).zip(unhex(&last.signature));
    let Some(((chain, lists), signature)) = parts else { return Err(wrong) };
    let signer = chains.verify_chain(&chain, end.signed, &lists).map_err(FileFault::Chain)?;
    if signer.area.county() != end.area.county() {
        return Err(FileFault::OtherArea { log: end.area, signer: signer.area });
    }
    chains
        .verify_signature(&signer.public_key, SignContext::AccessLog, &end.bytes(), &signature)
        .map_err(|_| FileFault::Signature)
}

/// How far a file was followed.
struct Walk {
    head: AccessHead,
    before: Option<AccessEntry>,
    span: Option<(UnixMillis, UnixMillis)>,
    counts: Vec<(AccessAction, u64)>,
}

impl Walk {
    fn follow(&mut self, entry: AccessEntry) -> Result<(), FileFault> {
        let expected = self.head.number.saturating_add(1);
        match &self.before {
            Some(before) => entry.follows(before, &self.head.hash).map_err(FileFault::Broken)?,
            None if entry.number != expected => {
                let broken = ChainBreak::Number { expected, found: entry.number };
                return Err(FileFault::Broken(broken));
            }
            None if entry.previous != self.head.hash => {
                return Err(FileFault::Broken(ChainBreak::Hash { number: entry.number }));
            }
            None => {}
        }
        self.head = AccessHead { number: entry.number, hash: access_hash(&entry) };
        self.span = Some((self.span.map_or(entry.at, |(first, _)| first), entry.at));
        match self.counts.iter_mut().find(|(action, _)| *action == entry.action) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.counts.push((entry.action, 1)),
        }
        self.before = Some(entry);
        Ok(())
    }

    fn must_know(&self, known: &[AccessHead]) -> Result<(), FileFault> {
        let other = |head: &&AccessHead| head.number == self.head.number && **head != self.head;
        known.iter().find(other).map_or(Ok(()), |head| Err(FileFault::Rewritten(head.number)))
    }
}

struct Lines<'a> {
    file: &'a mut dyn BufRead,
    line: u64,
}

impl Lines<'_> {
    fn next(&mut self) -> Result<Option<String>, FileFault> {
        use std::io::Read as _;
        let mut text = String::new();
        let mut bounded = (&mut *self.file).take(LINE_BYTES_MAX);
        let read = bounded.read_line(&mut text).map_err(FileFault::Unreadable)?;
        if read == 0 {
            return Ok(None);
        }
        self.line = self.line.saturating_add(1);
        // A line without its end is what a cut leaves.
        if text.ends_with('\n') { Ok(Some(text)) } else { Err(FileFault::CutOff) }
    }

    fn parsed<T: for<'de> Deserialize<'de>>(&self, text: &str) -> Result<T, FileFault> {
        serde_json::from_str(text).map_err(|_| FileFault::Line { line: self.line })
    }
}

fn entry(text: &str) -> Option<AccessEntry> {
    let line: Line = serde_json::from_str(text).ok()?;
    let person = match line.person {
        Some(text) => Some(PersonKey(hash(&text)?)),
        None => None,
    };
    let message = match line.message {
        Some(text) => Some(text.parse().ok()?),
        None => None,
    };
    Some(AccessEntry {
        number: line.number,
        previous: hash(&line.previous)?,
        at: UnixMillis::new(line.at_ms),
        operator: line.operator.parse().ok()?,
        area: line.area,
        role: Role::from_code(&line.role)?,
        action: AccessAction::from_code(&line.action)?,
        purpose: Purpose::from_code(&line.purpose)?,
        basis: LawfulBasis::from_code(&line.basis)?,
        person,
        message,
    })
}

/// A hash in base 16.
#[must_use]
pub fn hash(text: &str) -> Option<[u8; 32]> {
    unhex(text)?.try_into().ok()
}

#[cfg(test)]
mod tests;
