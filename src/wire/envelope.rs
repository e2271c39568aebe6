//! Envelopes and their headers.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use exchange::digest::Digest;
use exchange::envelope::Body;
use exchange::envelope::HEADER_BYTES_MAX;
use exchange::envelope::Header;
use exchange::envelope::SEALED_BYTES_MAX;
use exchange::envelope::SealHeader;
use exchange::envelope::SealedEnvelope;
use exchange::lane::LaneEpoch;
use exchange::lane::LaneSeq;

use domain::id::MessageId;
use domain::time::UnixMillis;

use crate::fields::Fields;
use crate::fields::Value;
use crate::fields::array;
use crate::fields::at_most;
use crate::fields::node_area;
use crate::fields::profile;
use crate::fields::profile_number;
use crate::fields::put_bytes;
use crate::fields::put_fixed64;
use crate::fields::put_message;
use crate::fields::put_varint;
use crate::fields::some;
use crate::fields::time;
use crate::malformed::Malformed;
use crate::pb;

/// Bytes that a header of ours takes, about.
const HEADER_BYTES_USUAL: usize = 160;

/// Serialises a header. The bytes are what is hashed, authenticated and kept.
#[must_use]
pub fn encode_header(header: &Header) -> Vec<u8> {
    let Header { message_id, from, to, epoch, sequence, created, expires, due, seal } = header;
    let mut out = Vec::with_capacity(HEADER_BYTES_USUAL);
    put_bytes(&mut out, 1, message_id.as_bytes());
    put_bytes(&mut out, 2, from.as_str().as_bytes());
    put_bytes(&mut out, 3, to.as_str().as_bytes());
    put_fixed64(&mut out, 4, epoch.get());
    put_varint(&mut out, 5, sequence.get());
    put_varint(&mut out, 6, created.get());
    put_varint(&mut out, 7, expires.get());
    put_varint(&mut out, 8, due.map_or(0, UnixMillis::get));
    put_message(&mut out, 9, &encode_seal(seal));
    out
}

fn encode_seal(seal: &SealHeader) -> Vec<u8> {
    let SealHeader { profile, recipient_key_id, encapsulated_key, counter } = seal;
    let mut out = Vec::with_capacity(64);
    put_varint(&mut out, 1, u64::from(profile_number(*profile).number_on_the_wire()));
    put_bytes(&mut out, 2, recipient_key_id);
    put_bytes(&mut out, 3, encapsulated_key);
    put_varint(&mut out, 4, *counter);
    out
}

impl pb::exchange::AlgorithmProfile {
    /// The enum number as it is written; all of them are small.
    pub(crate) const fn number_on_the_wire(self) -> u32 {
        match self {
            Self::Unspecified => 0,
            Self::International => 1,
            Self::Shangmi => 2,
        }
    }
}

/// What the bytes of a header hold, before anything is checked; borrowed, so that reading allocates nothing.
#[derive(Default)]
struct RawHeader<'a> {
    message_id: &'a [u8],
    from: &'a [u8],
    to: &'a [u8],
    lane_epoch: u64,
    lane_sequence: u64,
    created_ms: u64,
    expires_ms: u64,
    due_ms: u64,
    seal: Option<RawSeal<'a>>,
}

#[derive(Default)]
struct RawSeal<'a> {
    profile: i32,
    recipient_key_id: &'a [u8],
    encapsulated_key: &'a [u8],
    counter: u64,
}

impl<'a> RawHeader<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut raw = Self::default();
        for field in Fields::of(bytes) {
            let (number, value) = field?;
            match number {
                1 => raw.message_id = value.bytes()?,
                2 => raw.from = value.bytes()?,
                3 => raw.to = value.bytes()?,
                4 => raw.lane_epoch = value.fixed64()?,
                5 => raw.lane_sequence = value.varint()?,
                6 => raw.created_ms = value.varint()?,
                7 => raw.expires_ms = value.varint()?,
                8 => raw.due_ms = value.varint()?,
                9 => raw.seal.get_or_insert_default().read(value)?,
                // A newer version's field: ignored here, kept in the bytes.
                _ => {}
            }
        }
        Ok(raw)
    }
}

impl<'a> RawSeal<'a> {
    /// A message that comes in two pieces is merged, as protobuf wants it.
    fn read(&mut self, value: Value<'a>) -> Result<(), Malformed> {
        for field in Fields::of(value.bytes()?) {
            let (number, value) = field?;
            match number {
                1 => self.profile = value.number()?,
                2 => self.recipient_key_id = value.bytes()?,
                3 => self.encapsulated_key = value.bytes()?,
                4 => self.counter = value.varint()?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reads a header.
///
/// # Errors
/// [`Malformed`] names the first field that is not as the protocol says.
pub fn decode_header(bytes: &[u8]) -> Result<Header, Malformed> {
    some("header", bytes.len(), HEADER_BYTES_MAX)?;
    let RawHeader {
        message_id,
        from,
        to,
        lane_epoch,
        lane_sequence,
        created_ms,
        expires_ms,
        due_ms,
        seal,
    } = RawHeader::read(bytes)?;
    if lane_sequence == 0 {
        return Err(Malformed::Missing { field: "header.lane_sequence" });
    }
    let due = time("header.due_ms", due_ms)?;
    Ok(Header {
        message_id: MessageId::from_bytes(array("header.message_id", message_id)?),
        from: node_area("header.from", from)?,
        to: node_area("header.to", to)?,
        epoch: LaneEpoch::new(lane_epoch),
        sequence: LaneSeq::new(lane_sequence),
        created: time("header.created_ms", created_ms)?,
        expires: time("header.expires_ms", expires_ms)?,
        due: (due.get() != 0).then_some(due),
        seal: decode_seal(seal.ok_or(Malformed::Missing { field: "header.seal" })?)?,
    })
}

fn decode_seal(raw: RawSeal<'_>) -> Result<SealHeader, Malformed> {
    let RawSeal { profile: number, recipient_key_id, encapsulated_key, counter } = raw;
    Ok(SealHeader {
        profile: profile("header.seal.profile", number)?,
        recipient_key_id: array("header.seal.recipient_key_id", recipient_key_id)?,
        encapsulated_key: array("header.seal.encapsulated_key", encapsulated_key)?,
        counter,
    })
}

/// An envelope as a generated type; moves the bytes.
#[must_use]
pub fn envelope_to_pb(envelope: SealedEnvelope) -> pb::exchange::Envelope {
    let SealedEnvelope { header_bytes: header, body } = envelope;
    match body {
        Body::Sealed(sealed) => {
            pb::exchange::Envelope { header, sealed, sealed_sha256: Bytes::new() }
        }
        Body::Withdrawn(hash) => {
            let sealed_sha256 = Bytes::copy_from_slice(hash.as_bytes());
            pb::exchange::Envelope { header, sealed: Bytes::new(), sealed_sha256 }
        }
    }
}

/// An envelope from its generated type; moves the bytes. Whether the header can be read is not looked at:
/// one bad envelope is answered by itself and does not spoil its parcel.
///
/// # Errors
/// [`Malformed`] when a part is larger than any envelope's, or when there is neither a body nor a hash, or both.
pub fn envelope_from_pb(envelope: pb::exchange::Envelope) -> Result<SealedEnvelope, Malformed> {
    let pb::exchange::Envelope { header, sealed, sealed_sha256 } = envelope;
    at_most("envelope.header", header.len(), HEADER_BYTES_MAX)?;
    at_most("envelope.sealed", sealed.len(), SEALED_BYTES_MAX)?;
    match (sealed.is_empty(), sealed_sha256.is_empty()) {
        (false, true) => Ok(SealedEnvelope::new(header, sealed)),
        (true, false) => {
            let hash = array("envelope.sealed_sha256", &sealed_sha256)?;
            Ok(SealedEnvelope::withdrawn(header, Digest::new(hash)))
        }
        (true, true) => Err(Malformed::Missing { field: "envelope.sealed" }),
        (false, false) => Err(Malformed::Range { field: "envelope.sealed_sha256" }),
    }
}
