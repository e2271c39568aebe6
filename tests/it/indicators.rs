//! Indicators of offices: every number opens into the cases that it counts, and small numbers stay inside.

use domain::access::Role;
use domain::message::Kind;
use domain::time::Date;
use serde_json::Value;
use wire::pb::office as pb;

use crate::support::desk::Desk;
use crate::support::network::Network;
use crate::support::{eventually_async, now, office};

const HOME: &str = "410522";
const AWAY: &str = "440305";

/// The month whose cut-off comes next.
fn this_month() -> String {
    let today = Date::from_millis(now());
    let closing = if today.day() > 20 { today.plus_days(12) } else { today };
    format!("{}-{:02}", closing.year(), closing.month_of_year())
}

fn find<'a>(shown: &'a Value, indicator: &str, area: &str, kind: &str) -> Option<&'a Value> {
    shown["indicators"]
        .as_array()
        .unwrap()
        .iter()
        .find(|n| n["indicator"] == indicator && n["area"] == area && n["message_kind"] == kind)
}

fn counts(shown: &Value, indicator: &str, area: &str, kind: &str) -> (u64, u64) {
    let number =
        find(shown, indicator, area, kind).unwrap_or_else(|| panic!("{indicator}: {shown}"));
    (number["numerator"].as_u64().unwrap(), number["denominator"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_opens_into_its_cases_and_small_ones_stay_inside() {
    let network = Network::new();
    let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME]));
    home.start();
    away.start();
    let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    for seed in 40..42 {
        at_away.registrations().register_arrival(office::arrival(seed, HOME, AWAY)).await.unwrap();
    }
    let mut sent = Vec::new();
    for seed in 1..=6 {
        let content = office::message(seed, AWAY, HOME, Kind::ArrivalNotice);
        let id = office::send_when_known(&at_away, HOME, &content).await.message_id;
        office::reaches(&at_away, &id, pb::Stage::Stored).await;
        sent.push(id);
    }
    for id in &sent[..2] {
        let get = pb::GetMessageRequest { message_id: id.clone(), access: Some(office::access()) };
        at_home.messages().get_message(get).await.unwrap();
    }
    home.kill();
    let content = office::message(9, AWAY, HOME, Kind::ArrivalNotice);
    let lost = office::send(&at_away, HOME, &content, "").await.unwrap().message_id;

    let desk = Desk::of(&network, AWAY, Role::Supervisor);
    let month = this_month();
    let shown = desk.json(&format!("indicator show {month}"));
    assert_eq!(counts(&shown, "RECEPTION", HOME, "ArrivalNotice"), (6, 7));
    assert_eq!(counts(&shown, "GAP", HOME, "ArrivalNotice"), (1, 7));
    assert_eq!(counts(&shown, "SUBMISSION", AWAY, ""), (0, 2), "these two were told to nobody");
    for (indicator, kind, area) in [
        ("reception", "ArrivalNotice", HOME),
        ("gap", "ArrivalNotice", HOME),
        ("submission", "", AWAY),
    ] {
        let kind_option = if kind.is_empty() { String::new() } else { format!("--kind {kind}") };
        let line =
            format!("indicator cases {month} --indicator {indicator} --of {area} {kind_option}");
        let cases = desk.json(&line)["cases"].as_array().unwrap().clone();
        let counted = cases.iter().filter(|case| case["counted"] == true).count() as u64;
        let number = counts(&shown, &indicator.to_uppercase(), area, kind);
        assert_eq!((counted, cases.len() as u64), number, "the same query: {indicator}");
        if indicator == "gap" {
            let missing: Vec<_> = cases.iter().filter(|case| case["counted"] == true).collect();
            assert_eq!(missing[0]["id"], lost.as_str());
        }
    }

    // What leaves the office has no small number in it.
    let out = network.path("indicators.csv");
    desk.json(&format!("indicator show {month} --out {}", out.display()));
    let text = std::fs::read_to_string(&out).unwrap();
    let line = text.lines().find(|line| line.contains("SUBMISSION")).unwrap();
    assert!(line.ends_with(",<5,<5"), "{line}");
    assert!(text.lines().any(|line| line.contains(",GAP,") && line.ends_with(",<5,<5")), "{text}");

    home.start();
    office::reaches(&at_away, &lost, pb::Stage::Stored).await;
    let at_home = Desk::of(&network, HOME, Role::Supervisor);
    let shown = at_home.json(&format!("indicator show {month}"));
    assert_eq!(counts(&shown, "OPENING", HOME, "ArrivalNotice"), (2, 7));
    assert_eq!(at_home.run("indicator show 2026-13").exit, 2);
    let next_year = at_home.json("indicator show 2099");
    assert!(next_year["indicators"].as_array().unwrap().is_empty());
    home.never_panicked();
    away.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_found_and_which_certificates_came_in_time_are_counted() {
    let network = Network::new();
    let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME]));
    home.start();
    away.start();
    let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let pairings = [Some(pb::Pairing::One), Some(pb::Pairing::None), None];
    for (seed, pairing) in (1..).zip(pairings) {
        let content = office::message(seed, AWAY, HOME, Kind::CertificateInquiry);
        let case = office::send_when_known(&at_away, HOME, &content).await.case_id;
        let Some(pairing) = pairing else { continue };
        eventually_async("the case is here", || async {
            let show = pb::ShowCaseRequest { case_id: case.clone() };
            let shown = at_home.cases().show_case(show).await.ok()?.into_inner().case?;
            let step = pb::TakeCaseStepRequest {
                case_id: case.clone(),
                expected_version: shown.version,
                idempotency_key: String::new(),
                step: Some(pb::take_case_step_request::Step::Pair(pairing.into())),
            };
            at_home.cases().take_case_step(step).await.ok()
        })
        .await;
    }
    // Two persons apply for a certificate; one gets it.
    for seed in [60, 61] {
        let person = office::arrival(seed, HOME, AWAY).person;
        let request = pb::RecordServiceRequestRequest {
            document: None,
            person: person.clone(),
            service_request: Some(pb::ServiceRequest {
                service: wire::pb::message::Service::Certificate.into(),
                requested_on: Date::from_millis(now()).to_string(),
                recipient: HOME.to_owned(),
                ..Default::default()
            }),
        };
        at_home.consents().record_service_request(request).await.unwrap();
        if seed == 60 {
            let issue = pb::IssueCertificateRequest { person, ..Default::default() };
            at_home.certificates().issue_certificate(issue).await.unwrap();
        }
    }
    let desk = Desk::of(&network, HOME, Role::Supervisor);
    let month = this_month();
    // The third question may still be on its way.
    let shown = eventually_async("all three are here", || async {
        let shown = desk.json(&format!("indicator show {month}"));
        let number = find(&shown, "PAIRING", HOME, "CertificateInquiry")?;
        (number["denominator"] == 3).then_some(shown)
    })
    .await;
    assert_eq!(counts(&shown, "PAIRING", HOME, "CertificateInquiry"), (1, 3));
    assert_eq!(counts(&shown, "ISSUE", HOME, ""), (1, 2));
    for (indicator, kind) in [("pairing", "--kind CertificateInquiry"), ("issue", "")] {
        let line = format!("indicator cases {month} --indicator {indicator} --of {HOME} {kind}");
        let cases = desk.json(&line)["cases"].as_array().unwrap().clone();
        let counted = cases.iter().filter(|case| case["counted"] == true).count();
        assert_eq!((counted, cases.len()), (1, if indicator == "issue" { 2 } else { 3 }));
    }
    // A quarter and a statistical year hold the month.
    let today = Date::from_millis(now());
    let year = if today.month_of_year() >= 10 { today.year() + 1 } else { today.year() };
    let shown = desk.json(&format!("indicator show {year}"));
    assert_eq!(counts(&shown, "PAIRING", HOME, "CertificateInquiry"), (1, 3));
    home.never_panicked();
    away.never_panicked();
}
