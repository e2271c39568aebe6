//! The hand-written reader and writer against the generated ones.

use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::arbitrary;

/// Without `..`: a new field stops the build here until the hand-written reader has been told about it.
fn from_generated(disposition: pb::exchange::Disposition) -> Result<Disposition, Malformed> {
    let pb::exchange::Disposition {
        message_id,
        digest,
        outcome,
        duplicate,
        reason,
        retry_after_ms,
        decided_ms,
        field,
    } = disposition;
    let reason = || decode_reason("disposition.reason", reason.as_bytes());
    let outcome = match outcome {
        1 => Outcome::Stored,
        2 => Outcome::Refused { reason: reason()?, field: decode_field(field.as_bytes())? },
        3 => Outcome::Deferred { reason: reason()?, until: UnixMillis::new(retry_after_ms) },
        _ => return Err(Malformed::Protobuf),
    };
    Ok(Disposition {
        message_id: MessageId::from_bytes(array("message_id", &message_id)?),
        digest: Digest::new(array("digest", &digest)?),
        outcome,
        duplicate,
        decided: time("decided", decided_ms)?,
    })
}

fn generated(bytes: &[u8]) -> Option<pb::exchange::Disposition> {
    pb::exchange::Disposition::decode(bytes).ok()
}

proptest! {
    #[test]
    fn a_disposition_comes_back(disposition in arbitrary::disposition()) {
        prop_assert_eq!(decode_disposition(&encode_disposition(&disposition)), Ok(disposition));
    }

    #[test]
    fn the_writer_writes_what_the_generated_one_writes(disposition in arbitrary::disposition()) {
        let bytes = encode_disposition(&disposition);
        let generated = generated(&bytes).unwrap();
        prop_assert_eq!(&generated.encode_to_vec(), &bytes);
        prop_assert_eq!(from_generated(generated), Ok(disposition));
    }

    #[test]
    fn the_reader_reads_nothing_that_the_generated_one_does_not(bytes in arbitrary::damaged(arbitrary::disposition().prop_map(|d| encode_disposition(&d)))) {
        if let Ok(disposition) = decode_disposition(&bytes) {
            // Text in a field that does not count for this outcome is not looked at here.
            let theirs = generated(&bytes).map(from_generated);
            prop_assert!(theirs.is_none() || theirs == Some(Ok(disposition)));
        }
    }

    #[test]
    fn anything_can_be_offered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(disposition) = decode_disposition(&bytes) {
            prop_assert_eq!(decode_disposition(&encode_disposition(&disposition)), Ok(disposition));
        }
    }
}

fn sample(outcome: i32, reason: &str) -> pb::exchange::Disposition {
    pb::exchange::Disposition {
        message_id: vec![1; 16],
        digest: vec![2; 32],
        outcome,
        reason: reason.to_owned(),
        decided_ms: 3,
        ..Default::default()
    }
}

#[test]
fn stored_is_compact() {
    let bytes = sample(1, "").encode_to_vec();
    assert_eq!(bytes.len(), 18 + 34 + 2 + 2);
    assert_eq!(encode_disposition(&decode_disposition(&bytes).unwrap()), bytes);
}

#[test]
fn reasons_of_a_newer_version_are_kept_apart_from_missing_ones() {
    let outcome = |sample: pb::exchange::Disposition| {
        decode_disposition(&sample.encode_to_vec()).map(|disposition| disposition.outcome)
    };
    let unknown = Outcome::Refused { reason: Reason::ReasonUnknown, field: None };
    assert_eq!(outcome(sample(2, "FROM_THE_FUTURE")), Ok(unknown));
    let missing = Err(Malformed::Missing { field: "disposition.reason" });
    assert_eq!(outcome(sample(2, "")), missing);
    assert_eq!(outcome(sample(3, "")), missing);
    for number in [0, 4, -1] {
        let field = "disposition.outcome";
        let unknown = Err(Malformed::Unknown { field, number: i64::from(number) });
        assert_eq!(outcome(sample(number, "BUSY")), unknown);
    }
}

#[test]
fn long_names_of_fields_are_refused() {
    let mut long = sample(2, "INVALID_FIELD");
    long.field = "x".repeat(FIELD_BYTES_MAX + 1);
    assert!(matches!(
        decode_disposition(&long.encode_to_vec()),
        Err(Malformed::TooMuch { field: "disposition.field", .. })
    ));
}
