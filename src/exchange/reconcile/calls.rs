//! What nodes ask of each other to report and to cure, beside the comparison itself.

use bytes::Bytes;
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::UnixMillis;

use super::difference::Difference;
use super::statement::Correction;
use crate::envelope::SealedEnvelope;
use crate::lane::LaneEpoch;
use crate::lane::LaneSeq;
use crate::ledger::LedgerHead;
use crate::receipt::Receipt;

/// Messages under way at a relay that one answer names at most.
pub const HELD_MAX: usize = 65_536;

/// Records of a book in one part of a report.
pub const RECORDS_AT_ONCE: usize = 8_192;
/// Months of a county's book that are told of at most: a hundred years.
pub const MONTHS_MAX: usize = 1_200;

/// A part of a county's book, on its way to the node above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportPart {
    /// Incarnation of the county's data.
    pub incarnation: u32,
    /// Month of the book, YYYYMM; 0 asks only where the callee stands.
    pub month: u32,
    /// Position of the first record.
    pub position: u64,
    /// The records, see [`super::told::record`].
    pub records: Vec<Vec<u8>>,
    /// With the last part: everything before this time is there now.
    pub through: Option<UnixMillis>,
    /// The county's ledger.
    pub head: LedgerHead,
}

/// Where somebody is in the books that a county's lost data had told: books in the order of month and incarnation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FormerPlace {
    /// Month of the book, YYYYMM.
    pub month: u32,
    /// Incarnation that has told it.
    pub incarnation: u32,
    /// Position of the next record, from 1.
    pub position: u64,
}

/// A part of what a county had told before its data were lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FormerPart {
    /// Records, see [`super::told::record`]; at most [`RECORDS_AT_ONCE`].
    pub records: Vec<Vec<u8>>,
    /// Where the next part begins; none at the end.
    pub next: Option<FormerPlace>,
    /// Everything that the county had accepted or received before this was told by then; none when it never was.
    pub through: Option<UnixMillis>,
}

/// What a node has done about differences that it was asked to cure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CarriedOut {
    /// How many it has begun to cure.
    pub begun: u32,
    /// How many have to wait for another cure first, or for a line.
    pub waiting: u32,
    /// Messages that it cannot bring back.
    pub lost: Vec<MessageId>,
}

impl CarriedOut {
    /// Adds what another node, or another part, has done.
    pub fn add(&mut self, other: Self) {
        self.begun = self.begun.saturating_add(other.begun);
        self.waiting = self.waiting.saturating_add(other.waiting);
        self.lost.extend(other.lost);
    }
}

/// Differences that a node is asked to cure in one call.
pub const CARRY_OUT_AT_ONCE: usize = super::session::ENTRIES_AT_ONCE;

/// A sender's own envelope, handed back by its recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedBack {
    /// The envelope as it was delivered.
    pub envelope: SealedEnvelope,
    /// The receipt that it was answered with, and the parcel that the sender has signed.
    pub proof: ReceiptAgain,
    /// What opens the envelope, sealed for the sender; none for an envelope without a body.
    pub secret: Option<SealedFor>,
    /// The question that it answers is being delivered again: it is not to be taken before that has come.
    pub question_follows: bool,
}

/// Bytes sealed for one node as in envelopes: the secret of one envelope (see [`crate::keys::Opener::reveal`]), padded, with
/// [`take_back_data`], or a cure that lies at the node above, with [`leave_data`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedFor {
    /// The encapsulated key.
    pub encapsulated_key: [u8; 32],
    /// Names the key that it is sealed to.
    pub recipient_key_id: [u8; 8],
    /// The counter of the nonce.
    pub counter: u64,
    /// The sealed bytes.
    pub sealed: Bytes,
}

/// What is authenticated with a secret that is handed back in the envelope with this header.
#[must_use]
pub fn take_back_data(header: &[u8]) -> Vec<u8> {
    [b"liangdi/v1/take-back\0", header].concat()
}

/// A receipt that is issued again, with the parcel that it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptAgain {
    /// Epoch of the lane.
    pub epoch: LaneEpoch,
    /// Sequences of the envelopes.
    pub sequences: Vec<LaneSeq>,
    /// Manifest of the parcel, signed by whoever asks.
    pub parcel_manifest: Bytes,
    /// That signature.
    pub parcel_signature: Bytes,
    /// The chain that it was signed with.
    pub parcel_chain: Vec<Vec<u8>>,
    /// The receipt, with its chain.
    pub receipt: Receipt,
}

/// A statement with one side's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The signature, ASN.1 DER.
    pub signature: Vec<u8>,
    /// The signer's chain, leaf first, DER.
    pub chain: Vec<Vec<u8>>,
}

/// A statement with both signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedStatement {
    /// The serialised statement.
    pub statement: Vec<u8>,
    /// The signature of the side that asked.
    pub asker: Signature,
    /// The signature of the side that answered.
    pub answerer: Signature,
}

/// What an answerer says to a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreed {
    /// It finds the same in its books: its signature over the same bytes.
    Signed(Signature),
    /// It finds something else by now, or is just asking for a signature itself: the comparison is to be made again.
    Differs,
    /// It agrees but for the corrections; these are what it would write.
    Corrects(Vec<Correction>),
    /// Both have signed these days before, and closed them with that.
    Closed(Box<SignedStatement>),
}

/// Cures that others have left for a county, in one answer at most.
pub const LEFT_AT_ONCE: usize = 8;

/// A cure for a county that cannot be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// It takes its own message back.
    TakeBack(Box<HandedBack>),
    /// It notes that this message was refused.
    TakeWord(MessageId, Box<ReceiptAgain>),
    /// It is shown what its recipient holds under the id of a message of its own.
    ShowVersion(Box<HandedBack>),
}

/// The same as it lies at the node above, which cannot read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedLeft {
    /// The message that it is about.
    pub id: MessageId,
    /// The cure, in the padding of [`pad_left`], sealed for the county with [`leave_data`].
    pub sealed: SealedFor,
}

/// What is authenticated with a cure about this message that is sealed for a county.
#[must_use]
pub fn leave_data(county: AreaCode, id: MessageId) -> Vec<u8> {
    [b"liangdi/v1/leave\0".as_slice(), &county.county_digits(), id.as_bytes()].concat()
}

/// Sealed cures are as long as so many bytes, or a multiple of it: their length says little about what is in them.
pub const LEFT_PAD_BYTES: usize = 16 * 1024;

/// Pads a cure before it is sealed: `u32be(len) || cure || zeros`. `None` for one that is longer than four bytes can say.
#[must_use]
pub fn pad_left(cure: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(cure.len()).ok()?;
    let mut padded = [length.to_be_bytes().as_slice(), cure].concat();
    padded.resize(padded.len().checked_next_multiple_of(LEFT_PAD_BYTES)?, 0);
    Some(padded)
}

/// Takes a cure out of its padding; `None` unless it is exactly what [`pad_left`] gives.
#[must_use]
pub fn unpad_left(padded: &[u8]) -> Option<&[u8]> {
    let (length, rest) = padded.split_first_chunk::<4>()?;
    let (cure, _) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    (pad_left(cure).as_deref() == Some(padded)).then_some(cure)
}

/// What lies for a county at the node above it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Differences that it is to cure, at most [`CARRY_OUT_AT_ONCE`].
    pub differences: Vec<Difference>,
    /// Cures of others, at most [`LEFT_AT_ONCE`].
    pub left: Vec<SealedLeft>,
    /// Whether the node above wants to know what is new.
    pub report: bool,
}

impl Collected {
    /// Whether nothing lay there.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.differences.is_empty() && self.left.is_empty() && !self.report
    }
}

/// Splits differences so that each call has at most [`CARRY_OUT_AT_ONCE`].
pub fn in_calls(differences: &[Difference]) -> impl Iterator<Item = &[Difference]> {
    differences.chunks(CARRY_OUT_AT_ONCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_padding_of_a_cure_says_little_of_its_length_and_nothing_else_passes_for_it() {
        for length in [0, 1, LEFT_PAD_BYTES - 4, LEFT_PAD_BYTES - 3, 3 * LEFT_PAD_BYTES] {
            let cure = vec![7; length];
            let padded = pad_left(&cure).unwrap();
            assert_eq!(padded.len() % LEFT_PAD_BYTES, 0);
            assert_eq!(unpad_left(&padded), Some(cure.as_slice()));
            assert_eq!(unpad_left(&padded[..padded.len() - 1]), None);
            let mut other = padded.clone();
            other.extend_from_slice(&[0; LEFT_PAD_BYTES]);
            assert_eq!(unpad_left(&other), None, "{length}");
        }
        let mut dirty = pad_left(b"cure").unwrap();
        *dirty.last_mut().unwrap() = 1;
        assert_eq!(unpad_left(&dirty), None);
        assert_eq!(unpad_left(&[0xFF; LEFT_PAD_BYTES]), None);
    }
}
