//! Tests of contents on the wire.

use domain::area::AreaCode;
use domain::message::{CheckContext, Kind};
use domain::numbered::Numbered;
use domain::reason::Reason;
use domain::rule::Rule;
use domain::synthetic::{Messages, People};
use domain::time::UnixMillis;
use proptest::prelude::*;

use super::*;

fn messages(seed: u64) -> Messages {
    let [from, to]: [AreaCode; 2] = ["440305", "410522"].map(|code| code.parse().unwrap());
    let now = UnixMillis::new(1_772_352_000_000);
    Messages::new(People::new(seed, vec![to], now.date()), CheckContext { from, to, now })
}

/// The generated form of a sample of a kind, changed, and what reading it says.
fn read(kind: Kind, change: impl FnOnce(&mut pb::Content)) -> Result<Content, MalformedContent> {
    let mut twin = content_to_pb(&messages(5).next(kind).unwrap());
    change(&mut twin);
    decode_content(&twin.encode_to_vec())
}

proptest! {
    #[test]
    fn what_was_written_is_read(seed: u64) {
        let mut messages = messages(seed);
        for kind in Kind::ALL {
            let content = messages.next(*kind).unwrap();
            let bytes = encode_content(&content);
            prop_assert_eq!(decode_content(&bytes).unwrap(), content);
        }
    }

    #[test]
    fn foreign_bytes_do_no_harm(bytes: Vec<u8>) {
        decode_content(&bytes).ok();
    }

    /// Damaged messages are read as something valid or refused; either way what is read can be written.
    #[test]
    fn damaged_bytes_do_no_harm(seed: u64, at: prop::sample::Index, bit in 0u8..8) {
        for kind in Kind::ALL {
            let mut bytes = encode_content(&messages(seed).next(*kind).unwrap());
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(content) = decode_content(&bytes) {
                prop_assert_eq!(decode_content(&encode_content(&content)).unwrap(), content);
            }
        }
    }

    #[test]
    fn no_error_repeats_a_value(seed: u64, text in "[\\PC]{1,300}") {
        let person = |twin: &mut pb::Content| {
            let person = twin.person.get_or_insert_default();
            person.name = text.clone();
            person.document.get_or_insert_default().number = text.clone();
        };
        let mut twin = content_to_pb(&messages(seed).next(Kind::ArrivalNotice).unwrap());
        person(&mut twin);
        if let Err(error) = decode_content(&twin.encode_to_vec()) {
            let shown = format!("{error} {error:?}");
            prop_assert!(text.chars().count() < 8 || !shown.contains(&text), "{}", shown);
        }
    }
}

#[test]
fn a_missing_or_unknown_field_is_named() {
    use MalformedContent as M;
    let kind = Kind::ArrivalNotice;
    assert_eq!(read(kind, |c| c.body = None), Err(M::Missing("body")));
    assert_eq!(read(kind, |c| c.basis = 0), Err(M::Missing("basis")));
    let unknown = M::NotListed { field: "purpose", number: 99 };
    assert_eq!(read(kind, |c| c.purpose = 99), Err(unknown.clone()));
    assert_eq!(unknown.reason(), Reason::VersionUnsupported);
    let short = M::Invalid { field: "case_id", rule: Rule::Identifier };
    assert_eq!(read(kind, |c| c.case_id = vec![1; 15]), Err(short));
    let document = |c: &mut pb::Content| c.person.as_mut().unwrap().document = None;
    assert_eq!(read(kind, document), Err(M::Missing("person.document")));
}

#[test]
fn an_unconfirmed_number_is_refused_at_its_field() {
    let change = |c: &mut pb::Content| {
        let document = c.person.as_mut().unwrap().document.as_mut().unwrap();
        document.number = "110105194912310021".into();
    };
    let error = read(Kind::ArrivalNotice, change).unwrap_err();
    let rule = Rule::ResidentIdCheck;
    assert_eq!(error, MalformedContent::Invalid { field: "person.document.number", rule });
    assert_eq!(error.refusal().reason, Reason::InvalidField);
}

#[test]
fn a_text_over_its_length_is_refused() {
    let change = |c: &mut pb::Content| {
        c.body = Some(pb::content::Body::BirthFeedback(pb::BirthFeedback {
            outcome: 1,
            note: "好".repeat(201),
        }));
    };
    let error = read(Kind::BirthFeedback, change).unwrap_err();
    assert_eq!(error, MalformedContent::Invalid { field: "note", rule: Rule::TextTooLong });
    assert_eq!(error.reason(), Reason::TooLarge);
}

#[test]
fn a_list_with_a_value_twice_is_refused() {
    let change = |c: &mut pb::Content| {
        let Some(pb::content::Body::CertificateInquiry(body)) = &mut c.body else { return };
        body.claims = vec![1, 1];
    };
    let error = read(Kind::CertificateInquiry, change).unwrap_err();
    assert_eq!(error, MalformedContent::Repeated("claims"));
}

#[test]
fn what_is_replaced_is_written_and_read() {
    let old = domain::id::MessageId::from_bytes([9; 16]);
    let content = read(Kind::ArrivalNotice, |c| c.replaces = old.as_bytes().to_vec()).unwrap();
    assert_eq!(content.replaces, Some(old));
    assert_eq!(decode_content(&encode_content(&content)).unwrap(), content);
}

#[test]
fn a_progress_report_of_full_length_fits_an_envelope_and_names_nothing_twice() {
    let openings = |count: u64| -> Vec<pb::Opening> {
        let opening = |n: u64| pb::Opening {
            message_id: [[0; 8], n.to_be_bytes()].concat(),
            opened_ms: 1_772_352_000_000 + n,
        };
        (0..count).map(opening).collect()
    };
    let with = |openings| {
        move |c: &mut pb::Content| {
            c.body = Some(pb::content::Body::ProgressReport(pb::ProgressReport { openings }));
        }
    };
    let most = u64::try_from(domain::message::OPENINGS_MAX).unwrap();
    let full = read(Kind::ProgressReport, with(openings(most))).unwrap();
    assert!(encode_content(&full).len() <= exchange::envelope::BODY_BYTES_MAX);
    let twice = [openings(1), openings(1)].concat();
    let error = read(Kind::ProgressReport, with(twice)).unwrap_err();
    assert_eq!(error, MalformedContent::Repeated("openings"));
}

#[test]
fn urgency_not_stated_is_read_as_normal() {
    let change = |c: &mut pb::Content| {
        let Some(pb::content::Body::Inquiry(body)) = &mut c.body else { return };
        body.urgency = 0;
    };
    let content = read(Kind::Inquiry, change).unwrap();
    let Body::Inquiry(inquiry) = content.body else { panic!("another kind") };
    assert_eq!(inquiry.urgency, domain::message::Urgency::Normal);
}

/// Every value of a domain list has the generated enum's number and name, and the other way round.
macro_rules! same_lists {
    ($($domain:path => $generated:ident, $prefix:literal;)+) => { $(
        for number in 1..=255u8 {
            let generated = pb::$generated::try_from(i32::from(number)).ok();
            let name = generated.map(|value| value.as_str_name().to_owned());
            let ours = <$domain>::from_number(number);
            let code = ours.map(|value| format!("{}_{}", $prefix, value.code()));
            assert_eq!(name, code, "{} {number}", stringify!($generated));
        }
    )+ };
}

#[test]
fn lists_have_the_numbers_and_names_of_the_proto_files() {
    same_lists! {
        domain::purpose::LawfulBasis => LawfulBasis, "LAWFUL_BASIS";
        domain::purpose::Purpose => Purpose, "PURPOSE";
        domain::consent::ConsentScope => ConsentScope, "CONSENT_SCOPE";
        domain::service::Service => Service, "SERVICE";
        domain::person::DocumentKind => DocumentKind, "DOCUMENT_KIND";
        domain::person::MaritalStatus => MaritalStatus, "MARITAL_STATUS";
        domain::message::ResidenceReason => ResidenceReason, "RESIDENCE_REASON";
        domain::message::ArrivalOutcome => ArrivalOutcome, "ARRIVAL_OUTCOME";
        domain::message::OutflowOutcome => OutflowOutcome, "OUTFLOW_OUTCOME";
        domain::message::CertificateClaim => CertificateClaim, "CERTIFICATE_CLAIM";
        domain::message::CertificateState => CertificateState, "CERTIFICATE_STATE";
        domain::message::CertificateEvent => CertificateEvent, "CERTIFICATE_EVENT";
        domain::message::StatementOutcome => StatementOutcome, "STATEMENT_OUTCOME";
        domain::message::RegistrationResult => RegistrationResult, "REGISTRATION_RESULT";
        domain::message::FeedbackOutcome => FeedbackOutcome, "FEEDBACK_OUTCOME";
        domain::message::ContraceptiveMethod => ContraceptiveMethod, "CONTRACEPTIVE_METHOD";
        domain::message::ReferralOutcome => ReferralOutcome, "REFERRAL_OUTCOME";
        domain::message::Urgency => Urgency, "URGENCY";
    }
}

/// The kinds' numbers are the field numbers of the body: the first byte of an encoded body says so.
#[test]
fn kinds_have_the_numbers_of_their_fields() {
    for kind in Kind::ALL {
        let body = messages(1).next(*kind).unwrap().body;
        let content = pb::Content {
            body: Some(body.to_pb(&domain::purpose::Purpose::Verification)),
            ..pb::Content::default()
        };
        let bytes = content.encode_to_vec();
        let tag = u32::from(bytes[0] & 0x7f) | u32::from(bytes[1]) << 7;
        assert_eq!(tag >> 3, u32::from(Numbered::number(*kind)), "{kind:?}");
    }
}
