//! Input that is wrong in any way is answered with a code, the fields and what to do, in both languages; and a call
//! that is made twice counts once.

use std::process::Command;

use domain::access::Role;
use domain::message::Kind;
use liangdi::cli::connect::Office;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use wire::pb::message::{DocumentKind, IdentityDocument};
use wire::pb::office as pb;

use crate::support::network::Network;
use crate::support::office::{self, arrival};

const HOME: &str = "410522";
const AWAY: &str = "440305";

/// Fails unless the status is one of ours, in both languages, about this field.
#[track_caller]
fn refused(status: &Status, code: &str, grpc: Code, field: &str) {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!((info.reason.as_str(), status.code()), (code, grpc), "{}", status.message());
    assert_eq!(info.domain, "liangdi");
    for language in ["zh", "next_zh"] {
        assert!(info.metadata[language].chars().any(|c| c > '\u{4e00}'), "{language}: {info:?}");
    }
    for language in ["en", "next_en"] {
        assert!(info.metadata[language].contains(' '), "{language}: {info:?}");
    }
    let violations = details.bad_request().map(|bad| bad.field_violations.clone());
    let violations = violations.unwrap_or_default();
    let named = info.metadata.get("field").cloned().into_iter();
    let mut fields = violations.iter().map(|v| v.field.clone()).chain(named);
    assert!(
        field.is_empty() || fields.any(|f| f == field),
        "{field} is not named: {violations:?} {info:?}"
    );
    for violation in violations {
        let text = violation.description;
        assert!(text.chars().any(|c| c > '\u{4e00}') && !text.is_ascii(), "{text}");
        assert!(text.split(' ').count() > 3, "no English: {text}");
    }
}

async fn register(
    office: &Office,
    request: pb::RegisterArrivalRequest,
) -> Result<pb::RegisterArrivalResponse, Status> {
    office.registrations().register_arrival(request).await.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_that_is_wrong_names_every_field() {
    let network = Network::new();
    let mut node = network.node(AWAY, &[HOME]);
    node.start();
    let clerk = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let good = arrival(5, HOME, AWAY);
    type Spoil = fn(&mut pb::Person, &mut pb::Registration);
    let number = |text: &str| {
        Some(IdentityDocument {
            kind: DocumentKind::ResidentId.into(),
            number: text.to_owned(),
            check_confirmed: false,
        })
    };
    let cases: [(&str, Spoil); 14] = [
        ("person.name", |p, _| p.name.clear()),
        ("person.name", |p, _| p.name = "长".repeat(51)),
        ("person.name", |p, _| p.name = "a\u{0}b".to_owned()),
        ("person.document", |p, _| p.document = None),
        ("person.document.number", |p, _| p.document.as_mut().unwrap().number.clear()),
        ("person.document.kind", |p, _| p.document.as_mut().unwrap().kind = 99),
        ("person.born_on", |p, _| p.born_on = "1990-13-01".to_owned()),
        ("person.born_on", |p, _| p.born_on = "gestern".to_owned()),
        ("person.sex", |p, _| p.sex = -7),
        ("registration.origin_area", |_, r| r.origin_area = "999999".to_owned()),
        ("registration.origin_area", |_, r| r.origin_area = "４１０５２２'".to_owned()),
        ("registration.arrived_on", |_, r| r.arrived_on = "2999-01-01".to_owned()),
        ("registration.arrived_on", |_, r| r.arrived_on = "2025-02-30".to_owned()),
        ("registration.address", |_, r| r.address = "路".repeat(10_000)),
    ];
    for (field, spoil) in cases {
        let mut request = good.clone();
        spoil(request.person.as_mut().unwrap(), request.registration.as_mut().unwrap());
        let status = register(&clerk, request).await.expect_err(field);
        let code = office::code(&status);
        refused(&status, &code, Code::InvalidArgument, field);
    }
    for bad in [
        "11010119900230123X",
        "1234",
        "11010119900307123é",
        "41052219900307123\u{202e}X",
        &"9".repeat(5000),
    ] {
        let mut request = good.clone();
        request.person.as_mut().unwrap().document = number(bad);
        let status = register(&clerk, request).await.unwrap_err();
        let code = office::code(&status);
        refused(&status, &code, Code::InvalidArgument, "person.document.number");
        assert!(!format!("{status:?}").contains(bad), "the value is not repeated");
    }
    // Two faults are told at once; an empty request is told what is missing.
    let mut request = good.clone();
    request.person.as_mut().unwrap().name.clear();
    request.registration.as_mut().unwrap().arrived_on = "heute".to_owned();
    let status = register(&clerk, request).await.unwrap_err();
    refused(&status, &office::code(&status), Code::InvalidArgument, "person.name");
    refused(&status, &office::code(&status), Code::InvalidArgument, "registration.arrived_on");
    let status = register(&clerk, pb::RegisterArrivalRequest::default()).await.unwrap_err();
    refused(&status, &office::code(&status), Code::InvalidArgument, "person");
    // None of it is there; the good one is taken.
    register(&clerk, good).await.unwrap();
    node.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_call_counts_once_and_a_stale_page_changes_nothing() {
    let network = Network::new();
    let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME]));
    home.start();
    away.start();
    let clerk = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let mut request = arrival(6, HOME, AWAY);
    request.idempotency_key = "window 3, 17".to_owned();
    let first = register(&clerk, request.clone()).await.unwrap();
    let again = register(&clerk, request.clone()).await.unwrap();
    assert_eq!(first, again);
    let mut other = request.clone();
    other.registration.as_mut().unwrap().address = "玉兰巷7号".to_owned();
    let status = register(&clerk, other).await.unwrap_err();
    refused(&status, "CONFLICT", Code::AlreadyExists, "idempotency_key");
    let mut long = request;
    long.idempotency_key = "k".repeat(65);
    let status = register(&clerk, long).await.unwrap_err();
    refused(&status, "TOO_LARGE", Code::InvalidArgument, "idempotency_key");

    let registration = first.registration.unwrap();
    let change = |seen_version: u32, address: &str| pb::ChangeRegistrationRequest {
        registration: Some(pb::Registration {
            address: address.to_owned(),
            ..registration.clone()
        }),
        seen_version,
        reason: "搬家".to_owned(),
    };
    clerk.registrations().change_registration(change(1, "玉兰巷7号")).await.unwrap();
    let stale =
        clerk.registrations().change_registration(change(1, "丁香里9号")).await.unwrap_err();
    assert_eq!((office::code(&stale).as_str(), stale.code()), ("STALE_VERSION", Code::Aborted));
    let get = pb::GetRegistrationRequest {
        registration_id: registration.registration_id.clone(),
        access: Some(office::access()),
    };
    let versions = clerk.registrations().get_registration(get).await.unwrap().into_inner().versions;
    assert_eq!(versions.len(), 2);

    let message = office::message(3, AWAY, HOME, Kind::ArrivalNotice);
    office::send_when_known(&clerk, HOME, &message).await;
    let message = office::message(4, AWAY, HOME, Kind::ArrivalNotice);
    let first = office::send(&clerk, HOME, &message, "m1").await.unwrap();
    away.kill();
    away.start();
    let clerk = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let again = office::send(&clerk, HOME, &message, "m1").await.unwrap();
    assert_eq!(first.message_id, again.message_id);
    let other = office::message(5, AWAY, HOME, Kind::ArrivalNotice);
    let status = office::send(&clerk, HOME, &other, "m1").await.unwrap_err();
    refused(&status, "CONFLICT", Code::AlreadyExists, "idempotency_key");
    assert_eq!(office::list(&clerk, pb::Direction::Sent).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_wrong_is_not_accepted() {
    let network = Network::new();
    let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME]));
    home.start();
    away.start();
    let clerk = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let good = office::message(3, AWAY, HOME, Kind::ArrivalNotice);
    office::send_when_known(&clerk, HOME, &good).await;
    for (to, code) in [
        ("999999", "UNKNOWN_AREA"),
        ("440306", "UNKNOWN_AREA"),
        ("4105", "INVALID_FIELD"),
        (AWAY, "INVALID_FIELD"),
    ] {
        let status = office::send(&clerk, to, &good, "").await.unwrap_err();
        refused(&status, code, Code::InvalidArgument, "to");
    }
    let empty = pb::SendMessageRequest { to: HOME.to_owned(), ..pb::SendMessageRequest::default() };
    let status = clerk.messages().send_message(empty).await.unwrap_err();
    refused(&status, "FIELD_REQUIRED", Code::InvalidArgument, "content");

    let mut large = wire::content::content_to_pb(&office::message(8, AWAY, HOME, Kind::Inquiry));
    let Some(wire::pb::message::content::Body::Inquiry(inquiry)) = &mut large.body else {
        panic!()
    };
    inquiry.question = "问".repeat(200_000);
    let request = pb::SendMessageRequest {
        to: HOME.to_owned(),
        content: Some(large.clone()),
        ..pb::SendMessageRequest::default()
    };
    let status = clerk.messages().send_message(request).await.unwrap_err();
    refused(&status, "TOO_LARGE", Code::InvalidArgument, "");
    // Much larger: the same, and the connection goes on.
    if let Some(wire::pb::message::content::Body::Inquiry(inquiry)) = &mut large.body {
        inquiry.question = "问".repeat(4_000_000);
    }
    let request = pb::SendMessageRequest {
        to: HOME.to_owned(),
        content: Some(large),
        ..pb::SendMessageRequest::default()
    };
    let status = clerk.messages().send_message(request).await.unwrap_err();
    refused(&status, "TOO_LARGE", Code::InvalidArgument, "");

    let mut report = office::message(9, AWAY, HOME, Kind::PregnancyReport);
    report.basis = domain::purpose::LawfulBasis::Consent;
    (report.consent, report.service_request) = (None, None);
    let status = office::send(&clerk, HOME, &report, "").await.unwrap_err();
    assert_eq!(office::code(&status), "BASIS_REQUIRED");
    // A consent that nobody has recorded is none.
    let invented = office::messages(10, AWAY, HOME);
    let with_consent = invented_consent(invented);
    let status = office::send(&clerk, HOME, &with_consent, "").await.unwrap_err();
    assert_eq!(office::code(&status), "BASIS_REQUIRED");

    for id in ["", "x", "00000000-0000-0000-0000-000000000000"] {
        let request = pb::TrackMessageRequest { message_id: id.to_owned() };
        let status = clerk.messages().track_message(request).await.unwrap_err();
        let expected = if id.len() == 36 { Code::NotFound } else { Code::InvalidArgument };
        assert_eq!(status.code(), expected, "{id:?}: {status:?}");
    }
    for page_token in ["zz", "0", "ffffffff", &"00".repeat(500)] {
        let request = pb::ListMessagesRequest {
            page_token: page_token.to_owned(),
            page_size: u32::MAX,
            ..pb::ListMessagesRequest::default()
        };
        if let Err(status) = clerk.messages().list_messages(request).await {
            assert_eq!(status.code(), Code::InvalidArgument, "{page_token}: {status:?}");
        }
    }
    assert_eq!(office::list(&clerk, pb::Direction::Sent).await.len(), 1);
    assert!(away.runs() && home.runs());
    away.never_panicked();
}

/// A report that rests on a consent which only the message knows.
fn invented_consent(mut messages: domain::synthetic::Messages) -> domain::message::Content {
    loop {
        let content = messages.next(Kind::PregnancyReport).unwrap();
        if content.consent.is_some() {
            return content;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_ends_with_the_code_that_fits() {
    let network = Network::new();
    let mut node = network.node(AWAY, &[HOME]);
    node.start();
    let operator = network.operator("ai", AWAY, Role::Clerk);
    let run = |office: &str, args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_liangdi"))
            .args(args)
            .env("LIANGDI_OFFICE", office)
            .env("LIANGDI_CERT", operator.cert.as_ref().unwrap())
            .env("LIANGDI_KEY", operator.key.as_ref().unwrap())
            .env("LIANGDI_ROOT", operator.root.as_ref().unwrap())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked"), "{args:?}: {said}");
        (output.status.code().unwrap(), said)
    };
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    let office = node.office();
    assert_eq!(run(&office, &["status"]).0, 0);
    assert_eq!(run(&office, &["message", "nonsense"]).0, 2);
    assert_eq!(run(&office, &["message", "track", unknown]).0, 5);
    assert_eq!(run("127.0.0.1:1", &["status"]).0, 4);
    // The other door hangs up on operators; depending on who is faster, the alert is read or not.
    let (code, said) = run(&node.endpoint(), &["status"]);
    assert!(code == 3 || code == 4 && said.contains("office API"), "{code}: {said}");
    let config = node.dir.join("liangdi.toml");
    let mut text = std::fs::read_to_string(&config).unwrap();
    text = text
        .replace("area = \"440305\"", "area = \"440399\"")
        .replace("cache_mb = 8", "cache_mb = 0");
    let wrong = node.dir.join("wrong.toml");
    std::fs::write(&wrong, text).unwrap();
    let (code, said) = run(&office, &["serve", "--config", wrong.to_str().unwrap()]);
    assert_eq!(code, 2, "{said}");
    for part in ["wrong.toml", "440399", "store.cache_mb", "liangdi area find"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    // A second process on the same data, and on the same port.
    let (code, said) = run(&office, &["serve", "--config", config.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(said.contains("in use by another process"), "{said}");
    assert!(node.stop().success());
}
