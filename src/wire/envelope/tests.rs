//! The hand-written reader and writer against the generated ones.

use domain::area::AreaError;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::arbitrary;

/// The header as the generated reader sees it. Without `..`: a new field stops the build here until the
/// hand-written reader has been told about it.
fn from_generated(header: pb::exchange::EnvelopeHeader) -> Result<Header, Malformed> {
    let pb::exchange::EnvelopeHeader {
        message_id,
        from,
        to,
        lane_epoch,
        lane_sequence,
        created_ms,
        expires_ms,
        due_ms,
        seal,
    } = header;
    let pb::exchange::Seal { profile: number, recipient_key_id, encapsulated_key, counter } =
        seal.ok_or(Malformed::Missing { field: "seal" })?;
    if lane_sequence == 0 {
        return Err(Malformed::Missing { field: "lane_sequence" });
    }
    let due = time("due", due_ms)?;
    Ok(Header {
        message_id: MessageId::from_bytes(array("message_id", &message_id)?),
        from: node_area("from", from.as_bytes())?,
        to: node_area("to", to.as_bytes())?,
        epoch: LaneEpoch::new(lane_epoch),
        sequence: LaneSeq::new(lane_sequence),
        created: time("created", created_ms)?,
        expires: time("expires", expires_ms)?,
        due: (due.get() != 0).then_some(due),
        seal: SealHeader {
            profile: profile("profile", number)?,
            recipient_key_id: array("recipient_key_id", &recipient_key_id)?,
            encapsulated_key: array("encapsulated_key", &encapsulated_key)?,
            counter,
        },
    })
}

fn generated(bytes: &[u8]) -> Option<pb::exchange::EnvelopeHeader> {
    pb::exchange::EnvelopeHeader::decode(bytes).ok()
}

proptest! {
    #[test]
    fn a_header_comes_back(header in arbitrary::header()) {
        prop_assert_eq!(decode_header(&encode_header(&header)), Ok(header));
    }

    #[test]
    fn the_writer_writes_what_the_generated_one_writes(header in arbitrary::header()) {
        let bytes = encode_header(&header);
        let generated = generated(&bytes).unwrap();
        prop_assert_eq!(&generated.encode_to_vec(), &bytes);
        prop_assert_eq!(from_generated(generated), Ok(header));
    }

    #[test]
    fn the_reader_reads_what_the_generated_one_reads(bytes in arbitrary::damaged(arbitrary::header().prop_map(|h| encode_header(&h)))) {
        let ours = decode_header(&bytes).ok();
        let theirs = generated(&bytes).and_then(|header| from_generated(header).ok());
        // Groups are the one thing that we refuse and they skip.
        prop_assert!(ours == theirs || (ours.is_none() && theirs.is_some()));
        if let Some(header) = ours {
            prop_assert_eq!(theirs, Some(header));
        }
    }

    #[test]
    fn anything_can_be_offered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(header) = decode_header(&bytes) {
            prop_assert_eq!(decode_header(&encode_header(&header)), Ok(header));
        }
    }
}

fn sample() -> pb::exchange::EnvelopeHeader {
    pb::exchange::EnvelopeHeader {
        message_id: vec![1; 16],
        from: "410522".to_owned(),
        to: "330106".to_owned(),
        lane_epoch: 1,
        lane_sequence: 1,
        created_ms: 1,
        expires_ms: 2,
        due_ms: 0,
        seal: Some(pb::exchange::Seal {
            profile: 1,
            recipient_key_id: vec![2; 8],
            encapsulated_key: vec![3; 32],
            counter: 0,
        }),
    }
}

#[test]
fn each_fault_names_its_field() {
    let fault = |change: fn(&mut pb::exchange::EnvelopeHeader)| {
        let mut header = sample();
        change(&mut header);
        decode_header(&header.encode_to_vec()).unwrap_err()
    };
    let missing = |field| Malformed::Missing { field };
    assert_eq!(fault(|h| h.message_id.clear()), missing("header.message_id"));
    assert_eq!(
        fault(|h| h.message_id.truncate(15)),
        Malformed::Length { field: "header.message_id", expected: 16, found: 15 }
    );
    assert_eq!(
        fault(|h| h.from = "41052x".to_owned()),
        Malformed::Area { field: "header.from", source: AreaError::NotDigits }
    );
    assert_eq!(
        fault(|h| h.to = "330106001".to_owned()),
        Malformed::NotSixDigits { field: "header.to" }
    );
    assert_eq!(fault(|h| h.lane_sequence = 0), missing("header.lane_sequence"));
    assert_eq!(fault(|h| h.due_ms = u64::MAX), Malformed::Range { field: "header.due_ms" });
    assert_eq!(fault(|h| h.seal = None), missing("header.seal"));
    let unknown = |number| Malformed::Unknown { field: "header.seal.profile", number };
    assert_eq!(fault(|h| h.seal.as_mut().unwrap().profile = 0), unknown(0));
    assert_eq!(fault(|h| h.seal.as_mut().unwrap().profile = -9), unknown(-9));
    assert_eq!(decode_header(&[]), Err(missing("header")));
    let long = vec![0; HEADER_BYTES_MAX + 1];
    assert!(matches!(decode_header(&long), Err(Malformed::TooMuch { field: "header", .. })));
}

#[test]
fn fields_of_a_newer_version_are_ignored() {
    let mut bytes = sample().encode_to_vec();
    put_bytes(&mut bytes, 2000, b"from the future");
    put_fixed64(&mut bytes, 2001, 7);
    put_varint(&mut bytes, 2002, 7);
    bytes.extend_from_slice(&[0xfd, 0x7f, 1, 2, 3, 4]);
    assert_eq!(decode_header(&bytes), decode_header(&sample().encode_to_vec()));
}

fn envelope(
    header: usize,
    sealed: usize,
    sealed_sha256: usize,
) -> Result<SealedEnvelope, Malformed> {
    envelope_from_pb(pb::exchange::Envelope {
        header: vec![0; header].into(),
        sealed: vec![0; sealed].into(),
        sealed_sha256: vec![0; sealed_sha256].into(),
    })
}

#[test]
fn an_envelope_larger_than_any_is_refused() {
    assert!(envelope(HEADER_BYTES_MAX, SEALED_BYTES_MAX, 0).is_ok());
    assert!(envelope(HEADER_BYTES_MAX + 1, 1, 0).is_err());
    assert!(envelope(1, SEALED_BYTES_MAX + 1, 0).is_err());
}

#[test]
fn an_envelope_has_a_body_or_the_hash_of_one() {
    assert!(envelope(1, 0, 32).unwrap().is_withdrawn());
    assert_eq!(envelope(1, 0, 0), Err(Malformed::Missing { field: "envelope.sealed" }));
    let both = Malformed::Range { field: "envelope.sealed_sha256" };
    assert_eq!(envelope(1, 9, 32), Err(both));
    let field = "envelope.sealed_sha256";
    assert_eq!(envelope(1, 0, 31), Err(Malformed::Length { field, expected: 32, found: 31 }));
}
