//! What a parcel that is put off is answered with: the same for each of its envelopes.

use bytes::Bytes;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::parcel::Parcel;
use exchange::receipt::{Disposition, Outcome, nil_message_id};
use wire::{decode_header, encode_disposition};

use super::PutOff;

/// One disposition an envelope, in the order of the parcel, whose digests are given. Nothing of the parcel is opened, and nothing is remembered of it.
pub(in crate::delivery) fn dispositions(
    parcel: &Parcel,
    digests: &[Digest],
    put_off: &PutOff,
    now: UnixMillis,
) -> Vec<Bytes> {
    let disposition = |(envelope, digest): (&exchange::envelope::SealedEnvelope, &Digest)| {
        let header = decode_header(&envelope.header_bytes);
        Bytes::from(encode_disposition(&Disposition {
            message_id: header.map_or(nil_message_id(), |header| header.message_id),
            digest: *digest,
            outcome: Outcome::Deferred { reason: put_off.reason, until: put_off.until },
            duplicate: false,
            decided: now,
        }))
    };
    parcel.envelopes.iter().zip(digests).map(disposition).collect()
}
