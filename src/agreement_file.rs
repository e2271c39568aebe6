//! An agreement as a file: its terms and the words of both nodes under it, which anybody with the root certificate can
//! check without a node. Written by the command line from what a node shows.
//!
//! The file is one JSON object. What each signature covers is said in `docs/protocol.md`, section 3; times in the file say
//! when a word was written down and are no part of what is signed.

use domain::agreement::OfficeSignature;
use domain::area::AreaCode;
use domain::hex::{hex, unhex};
use domain::time::{Date, UnixMillis};
use exchange::keys::{ChainError, ChainVerifier, SignContext};
use serde::{Deserialize, Serialize};

/// Stands in every file.
const FORMAT: &str = "liangdi-agreement-1";
/// First line of the terms.
const TERMS: &str = "liangdi agreement 1";
/// Largest file that is read, bytes: terms, and three chains.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// A word of a node under the terms, and the signature that shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaidWord {
    /// The county whose node says it.
    pub by: AreaCode,
    /// `proposed`; `accepted` and the contact in base 16; `declined`; `ended` and the last day.
    pub word: String,
    /// When it was written down where the file was made, milliseconds since 1970.
    pub at_ms: u64,
    /// Base 16.
    pub signature: String,
    /// The signer's chain, leaf first, DER, base 16.
    pub chain: Vec<String>,
}

impl SaidWord {
    /// A word with its signature.
    #[must_use]
    pub fn new(
        by: AreaCode,
        word: String,
        at_ms: u64,
        signature: &[u8],
        chain: &[Vec<u8>],
    ) -> Self {
        let chain = chain.iter().map(|der| hex(der)).collect();
        Self { by, word, at_ms, signature: hex(signature), chain }
    }
}

impl SaidWord {
    /// The signature as nodes keep it; none when it is not base 16.
    #[must_use]
    pub fn signed(&self) -> Option<OfficeSignature> {
        let chain: Option<Vec<_>> = self.chain.iter().map(|der| unhex(der)).collect();
        Some(OfficeSignature { signature: unhex(&self.signature)?, chain: chain? })
    }
}

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreementFile {
    format: String,
    terms: String,
    words: Vec<SaidWord>,
}

/// Why a file proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// It is not such a file.
    #[error("the file is not an agreement")]
    Format,
    /// The terms are not lines of an agreement.
    #[error("the terms have no {0}")]
    Terms(&'static str),
    /// The words do not come from the two counties, in their order.
    #[error("word {0} is not one that this county can say here")]
    Word(usize),
    /// A chain does not lead to the root.
    #[error("the certificate under word {0} does not hold")]
    Chain(usize, #[source] ChainError),
    /// A signature is somebody else's.
    #[error("word {word} is that of {by}, the signature that of {signer}")]
    OtherArea {
        /// Which word, from 1.
        word: usize,
        /// The county that the file names.
        by: AreaCode,
        /// The county in the certificate.
        signer: AreaCode,
    },
    /// A signature does not fit: the terms or the word were changed.
    #[error("the signature under word {0} does not fit")]
    Signature(usize),
}

/// What has become of an agreement, as far as a file shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// One side has proposed it; the other has not signed.
    Proposed,
    /// Both sides have signed.
    Agreed,
    /// The other side has declined.
    Declined,
    /// One side has ended it after that day.
    Ended(Date),
}

/// What a file proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Id of the agreement.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The proposing and the other county.
    pub between: (AreaCode, AreaCode),
    /// First and last day.
    pub valid: (Date, Date),
    /// What has become of it.
    pub standing: Standing,
    /// The terms, line by line.
    pub terms: String,
}

impl AgreementFile {
    /// A file of terms and words.
    #[must_use]
    pub fn new(terms: String, words: Vec<SaidWord>) -> Self {
        Self { format: FORMAT.to_owned(), terms, words }
    }

    /// What both sides have said, in their order.
    #[must_use]
    pub fn words(&self) -> &[SaidWord] {
        &self.words
    }

    /// As it is written.
    #[must_use]
    pub fn to_text(&self) -> String {
        // Plain structures of texts and numbers always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`FileFault::Format`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FileFault> {
        let file: Self = serde_json::from_slice(bytes).map_err(|_| FileFault::Format)?;
        if file.format == FORMAT { Ok(file) } else { Err(FileFault::Format) }
    }

    /// Checks both sides' words against the root.
    ///
    /// # Errors
    /// [`FileFault`] says what does not hold.
    pub fn verify(&self, chains: &dyn ChainVerifier) -> Result<Proven, FileFault> {
        let mut proven = terms(&self.terms)?;
        let (proposer, other) = proven.between;
        for (at, said) in self.words.iter().enumerate() {
            let number = at.saturating_add(1);
            let step = step(proven.standing, at, &said.word).ok_or(FileFault::Word(number))?;
            let may = match step {
                Standing::Proposed => said.by == proposer,
                Standing::Agreed | Standing::Declined => said.by == other,
                Standing::Ended(_) => [proposer, other].contains(&said.by),
            };
            if !may {
                return Err(FileFault::Word(number));
            }
            self.holds(said, number, chains)?;
            proven.standing = step;
        }
        if self.words.is_empty() { Err(FileFault::Word(1)) } else { Ok(proven) }
    }

    fn holds(
        &self,
        said: &SaidWord,
        number: usize,
        chains: &dyn ChainVerifier,
    ) -> Result<(), FileFault> {
        let chain: Option<Vec<_>> = said.chain.iter().map(|der| unhex(der)).collect();
        let (chain, signature) = chain.zip(unhex(&said.signature)).ok_or(FileFault::Format)?;
        let signer = chains
            .verify_chain(&chain, UnixMillis::new(said.at_ms), &[])
            .map_err(|error| FileFault::Chain(number, error))?;
        if signer.area.county() != said.by.county() {
            return Err(FileFault::OtherArea { word: number, by: said.by, signer: signer.area });
        }
        let bytes = [self.terms.as_bytes(), said.word.as_bytes(), b"\n"].concat();
        chains
            .verify_signature(&signer.public_key, SignContext::Agreement, &bytes, &signature)
            .map_err(|_| FileFault::Signature(number))
    }
}

/// Where an agreement stands after its next word; none when that word cannot follow.
fn step(before: Standing, at: usize, word: &str) -> Option<Standing> {
    let (name, rest) = word.split_once(' ').unwrap_or((word, ""));
    match (at, before, name) {
        (0, _, "proposed") => Some(Standing::Proposed),
        (1, Standing::Proposed, "accepted") => Some(Standing::Agreed),
        (1, Standing::Proposed, "declined") => Some(Standing::Declined),
        (2, Standing::Agreed, "ended") => Some(Standing::Ended(rest.parse().ok()?)),
        _ => None,
    }
}

/// What the lines of the terms say.
fn terms(text: &str) -> Result<Proven, FileFault> {
    let mut lines = text.lines();
    if lines.next() != Some(TERMS) || !text.ends_with('\n') {
        return Err(FileFault::Terms("first line"));
    }
    let mut value = |name: &'static str| {
        let line = lines.next().and_then(|line| line.split_once(' '));
        line.filter(|(found, _)| *found == name)
            .map(|(_, value)| value)
            .ok_or(FileFault::Terms(name))
    };
    let id = value("id")?.to_owned();
    let version = value("version")?.to_owned();
    let two = |text: &str| text.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()));
    let between = two(value("between")?).and_then(|(a, b)| a.parse().ok().zip(b.parse().ok()));
    let between = between.ok_or(FileFault::Terms("between"))?;
    let valid = two(value("valid")?).and_then(|(a, b)| a.parse().ok().zip(b.parse().ok()));
    let valid = valid.ok_or(FileFault::Terms("valid"))?;
    let standing = Standing::Proposed;
    Ok(Proven { id, version, between, valid, standing, terms: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "liangdi agreement 1\nid a\nversion 2\nbetween 440305 410522\nvalid 2026-01-01 2026-12-31\n";

    #[test]
    fn words_come_in_their_order() {
        assert_eq!(step(Standing::Proposed, 0, "proposed"), Some(Standing::Proposed));
        assert_eq!(step(Standing::Proposed, 1, "accepted "), Some(Standing::Agreed));
        assert_eq!(step(Standing::Proposed, 1, "proposed"), None);
        assert_eq!(step(Standing::Declined, 2, "ended 2026-05-01"), None);
        let last = "2026-05-01".parse().unwrap();
        assert_eq!(step(Standing::Agreed, 2, "ended 2026-05-01"), Some(Standing::Ended(last)));
        assert_eq!(step(Standing::Agreed, 2, "ended soon"), None);
    }

    #[test]
    fn terms_are_read_or_refused() {
        let read = terms(TEXT).unwrap();
        assert_eq!((read.id.as_str(), read.version.as_str()), ("a", "2"));
        for (from, to) in
            [("agreement 1", "agreement 2"), ("version 2", "versions 2"), ("410522", "x")]
        {
            assert!(terms(&TEXT.replace(from, to)).is_err(), "{to}");
        }
        let file = AgreementFile::new(TEXT.to_owned(), Vec::new());
        assert_eq!(AgreementFile::parse(file.to_text().as_bytes()).unwrap(), file);
        assert!(AgreementFile::parse(b"{}").is_err());
    }
}
