//! A person takes her consent back: nothing more goes, and the county that was told forgets it and says so.

use domain::access::Role;
use domain::consent::Ground;
use domain::message::{Body, ConsentWithdrawal, Content, Kind};
use domain::purpose::{LawfulBasis, Purpose};
use liangdi::cli::connect::Office;
use wire::pb::message::{self as body, ConsentScope, content};
use wire::pb::office::{
    Consent, ConsentForm, ExportEvidenceRequest, GetMessageRequest, GetWithdrawalRequest,
    RecordConsentRequest, RegisterArrivalRequest, SendMessageRequest, SendMessageResponse, Stage,
    WithdrawConsentRequest, WithdrawalSpread,
};

use crate::support::agreement::{conclude, terms};
use crate::support::desk::Desk;
use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::office;
use crate::support::proxy::{Line, Proxy};
use crate::support::rogue::{Rogue, words};
use crate::support::{eventually_async, now};

const HOME: &str = "410522";
const AWAY: &str = "440305";
const ROGUE: &str = "440306";

/// Registers her and notes her consent to tell HOME of a pregnancy.
async fn consent(clerk: &Office, arrival: &RegisterArrivalRequest) -> String {
    let today = domain::time::Date::from_millis(now());
    let consent = Consent {
        scopes: vec![ConsentScope::Pregnancy.into()],
        recipient: HOME.to_owned(),
        given_on: today.to_string(),
        valid_until: today.plus_days(300).to_string(),
        form: ConsentForm::InPerson.into(),
        ..Consent::default()
    };
    let document = arrival.person.clone().unwrap().document;
    let request = RecordConsentRequest { document, consent: Some(consent) };
    let recorded = clerk.consents().record_consent(request).await.unwrap().into_inner();
    recorded.consent.unwrap().consent_id
}

async fn report(
    clerk: &Office,
    arrival: &RegisterArrivalRequest,
    consent: &str,
) -> Result<SendMessageResponse, tonic::Status> {
    let person = arrival.person.clone().unwrap();
    let consent: domain::id::ConsentId = consent.parse().unwrap();
    let content = body::Content {
        basis: LawfulBasis::Consent.number().into(),
        purpose: Purpose::HealthService.number().into(),
        consent: Some(body::ConsentReference {
            consent_id: consent.as_bytes().to_vec(),
            ..body::ConsentReference::default()
        }),
        person: Some(body::PersonReference { document: person.document, name: person.name }),
        body: Some(content::Body::PregnancyReport(body::PregnancyReport {
            services_wanted: vec![body::Service::AntenatalCare.into()],
            note: "请协助安排产前检查。".to_owned(),
            ..body::PregnancyReport::default()
        })),
        ..body::Content::default()
    };
    let request = SendMessageRequest {
        to: HOME.to_owned(),
        content: Some(content),
        ..SendMessageRequest::default()
    };
    clerk.messages().send_message(request).await.map(tonic::Response::into_inner)
}

async fn withdraw(clerk: &Office, consent: &str) {
    let request =
        WithdrawConsentRequest { consent_id: consent.to_owned(), form: ConsentForm::Online.into() };
    clerk.consents().withdraw_consent(request).await.unwrap();
}

async fn spread(clerk: &Office, consent: &str) -> Vec<WithdrawalSpread> {
    let request =
        GetWithdrawalRequest { consent_id: consent.to_owned(), request_id: String::new() };
    clerk.agreements().get_withdrawal(request).await.unwrap().into_inner().spread
}

async fn acknowledged(clerk: &Office, consent: &str) -> WithdrawalSpread {
    eventually_async("the withdrawal is acknowledged", || async {
        let spread = spread(clerk, consent).await;
        assert_eq!(spread.len(), 1, "{spread:?}");
        spread.into_iter().find(|at| at.acknowledged_ms > 0)
    })
    .await
}

async fn read(clerk: &Office, id: &str) -> Result<body::Content, String> {
    let request = GetMessageRequest { message_id: id.to_owned(), access: Some(office::access()) };
    match clerk.messages().get_message(request).await {
        Ok(read) => Ok(read.into_inner().content.unwrap()),
        Err(status) => Err(office::code(&status)),
    }
}

/// Two counties that have agreed on reports of pregnancies, and a person who is registered and has given her consent.
struct World {
    network: Network,
    home: Node,
    away: Node,
    at_away: Office,
    arrival: RegisterArrivalRequest,
    given: String,
}

impl World {
    async fn new(seed: u64) -> Self {
        let network = Network::new();
        let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME]));
        home.start();
        away.start();
        let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
        let arrival = office::arrival(seed, HOME, AWAY);
        at_away.registrations().register_arrival(arrival.clone()).await.unwrap();
        let given = consent(&at_away, &arrival).await;
        conclude(&network, (AWAY, HOME), "", &terms(&[Kind::PregnancyReport])).await;
        Self { network, home, away, at_away, arrival, given }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_stops_travels_deletes_and_comes_back() {
    let World { network, mut home, away, at_away, arrival, given } = World::new(11).await;
    let sent = report(&at_away, &arrival, &given).await.unwrap();
    office::reaches(&at_away, &sent.message_id, Stage::Stored).await;
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let told = read(&at_home, &sent.message_id).await.unwrap();
    assert!(matches!(told.body, Some(content::Body::PregnancyReport(_))));

    // One more waits while the other node is down; it never arrives with its content.
    assert!(home.stop().success());
    let waiting = report(&at_away, &arrival, &given).await.unwrap();
    withdraw(&at_away, &given).await;
    let again = report(&at_away, &arrival, &given).await.unwrap_err();
    assert_eq!(office::code(&again), "CONSENT_WITHDRAWN");
    assert_eq!(spread(&at_away, &given).await[0].acknowledged_ms, 0);
    assert_eq!(office::track(&at_away, &waiting.message_id).await.stage(), Stage::Discarded);
    home.start();
    let done = acknowledged(&at_away, &given).await;
    assert_eq!(done.area, HOME);
    assert!(done.sent_ms > 0 && done.deleted_ms >= done.since_ms);
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    assert_eq!(read(&at_home, &sent.message_id).await.unwrap_err(), "CONSENT_WITHDRAWN");
    assert_eq!(read(&at_home, &waiting.message_id).await.unwrap_err(), "NOT_FOUND");
    // Nothing is left to do there, and that there was a message can still be proven.
    let todo = at_home
        .messages()
        .list_todo(wire::pb::office::ListTodoRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(todo.messages.len(), 0);
    let request = ExportEvidenceRequest { message_id: sent.message_id.clone() };
    let evidence = at_home.messages().export_evidence(request).await.unwrap().into_inner().evidence;
    let evidence = wire::decode_evidence(evidence.into()).unwrap();
    assert!(evidence.sealed.is_none(), "the body is gone");
    assert_eq!(evidence.header.message_id.to_string(), sent.message_id);
    // The office that took the consent keeps its own record of what it sent.
    assert!(read(&at_away, &sent.message_id).await.is_ok());
    for node in [home, away] {
        node.never_panicked();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_after_the_withdrawal_is_refused_and_nobody_takes_back_for_others() {
    let network = Network::new();
    let mut home = network.node(HOME, &[]);
    home.start();
    let mut rogue = Rogue::connect(&network, ROGUE, &home).await;
    let mut report = loop {
        let content = rogue.content(Kind::PregnancyReport);
        if content.consent.is_some() {
            break content;
        }
    };
    let consent_id = report.consent.as_ref().unwrap().consent_id;
    let withdrawal = Content {
        basis: LawfulBasis::StatutoryDuty,
        purpose: Purpose::PersonRights,
        consent: None,
        person: None,
        body: Body::ConsentWithdrawal(ConsentWithdrawal {
            ground: Ground::Consent(consent_id),
            withdrawn: now(),
        }),
        ..report.clone()
    };
    let mut other = Rogue::connect(&network, "440307", &home).await;
    let header = other.header();
    let said = other.deliver(vec![other.seal(&header, &withdrawal)]).await;
    assert_eq!(words(&said), ["STORED"], "it had nothing, and says so");
    let header = rogue.header();
    let before = rogue.deliver(vec![rogue.seal(&header, &report)]).await;
    assert_eq!(words(&before), ["REFUSED NOT_AGREED"], "another county's word is not hers");
    let (header, late) = (rogue.header(), rogue.header());
    report.replaces = None;
    let parcel = vec![rogue.seal(&header, &withdrawal), rogue.seal(&late, &report)];
    let said = rogue.deliver(parcel).await;
    assert_eq!(words(&said), ["STORED", "REFUSED CONSENT_WITHDRAWN"]);
    home.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_travels_by_file_and_its_answer_too() {
    let network = Network::new();
    let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME]));
    let line = Proxy::to(home.ports.node).await;
    let back = Proxy::to(away.ports.node).await;
    home.advertise(line.port);
    away.advertise(back.port);
    away.call_through(&home, line.port);
    home.call_through(&away, back.port);
    home.start();
    away.start();
    let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let arrival = office::arrival(31, HOME, AWAY);
    at_away.registrations().register_arrival(arrival.clone()).await.unwrap();
    let given = consent(&at_away, &arrival).await;
    conclude(&network, (AWAY, HOME), "", &terms(&[Kind::PregnancyReport])).await;
    let sent = report(&at_away, &arrival, &given).await.unwrap();
    office::reaches(&at_away, &sent.message_id, Stage::Stored).await;
    for line in [&line, &back] {
        line.set(Line::Cut);
    }

    withdraw(&at_away, &given).await;
    eventually_async("the word is accepted", || async {
        spread(&at_away, &given).await.iter().all(|at| at.sent_ms > 0).then_some(())
    })
    .await;
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    assert!(read(&at_home, &sent.message_id).await.is_ok(), "there is no line");
    let carry = |from: &str, to: &str, name: &str| {
        let file = network.path(name).display().to_string();
        Desk::at(&network, from).json(&format!("bundle export --to {to} --out {file}"));
        Desk::at(&network, to).json(&format!("bundle import {file}"));
    };
    carry(AWAY, HOME, "word.bundle");
    assert_eq!(read(&at_home, &sent.message_id).await.unwrap_err(), "CONSENT_WITHDRAWN");
    let todo = || async {
        let request = wire::pb::office::ListMessagesRequest {
            direction: wire::pb::office::Direction::Sent.into(),
            by_nodes: true,
            ..Default::default()
        };
        let sent = at_home.messages().list_messages(request).await.unwrap().into_inner();
        sent.messages.iter().any(|track| track.kind == "ConsentWithdrawalDone").then_some(())
    };
    eventually_async("the answer is accepted", todo).await;
    carry(HOME, AWAY, "answer.bundle");
    assert!(acknowledged(&at_away, &given).await.deleted_ms > 0);
    for node in [home, away] {
        node.never_panicked();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_is_not_offered_to_a_county_that_she_has_not_named() {
    const THIRD: &str = "411528";
    let network = Network::new();
    let mut nodes = [HOME, AWAY].map(|own| {
        let other = if own == HOME { AWAY } else { HOME };
        network.node(own, &[other])
    });
    nodes.iter_mut().for_each(|node| node.start());
    let clerk = |area: &str| network.operator("clerk", area, Role::Clerk);
    let (at_home, at_away) =
        (office::connect(&clerk(HOME)).await, office::connect(&clerk(AWAY)).await);
    let arrival = office::arrival(32, HOME, AWAY);
    at_away.registrations().register_arrival(arrival.clone()).await.unwrap();
    let given = consent(&at_away, &arrival).await;
    conclude(&network, (AWAY, HOME), "", &terms(&[Kind::PregnancyReport])).await;
    let sent = report(&at_away, &arrival, &given).await.unwrap();
    office::reaches(&at_away, &sent.message_id, Stage::Stored).await;

    use wire::pb::office::take_case_step_request::Step;
    use wire::pb::office::{OfferCase, ShowCaseRequest, TakeCaseStepRequest};
    let show = ShowCaseRequest { case_id: sent.case_id.clone() };
    let shown = at_home.cases().show_case(show).await.unwrap().into_inner().case.unwrap();
    let offer = OfferCase {
        to: THIRD.to_owned(),
        cause: body::TransferCause::WrongCounty.into(),
        until_ms: 0,
    };
    let request = TakeCaseStepRequest {
        case_id: sent.case_id,
        expected_version: shown.version,
        step: Some(Step::HandOver(offer)),
        ..Default::default()
    };
    let told = at_home.cases().take_case_step(request).await.unwrap_err();
    assert_eq!(office::code(&told), "BASIS_REQUIRED");
    for node in &nodes {
        node.never_panicked();
    }
}

/// She moves again: her case goes to the third county under the consent that she gives to that one, and what she then takes
/// back is gone there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn her_case_follows_her_to_a_third_county_and_a_withdrawal_follows_it() {
    const THIRD: &str = "411528";
    let network = Network::new();
    let counties = [HOME, AWAY, THIRD];
    let mut nodes = counties.map(|own| {
        let others: Vec<_> = counties.into_iter().filter(|other| *other != own).collect();
        network.node(own, &others)
    });
    nodes.iter_mut().for_each(|node| node.start());
    let [home, away, third] = counties.map(|county| Desk::at(&network, county));
    let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let arrival = office::arrival(51, HOME, AWAY);
    at_away.registrations().register_arrival(arrival.clone()).await.unwrap();
    let kinds = terms(&[Kind::PregnancyReport, Kind::PregnancyFeedback]);
    for pair in [(AWAY, HOME), (AWAY, THIRD), (HOME, THIRD)] {
        conclude(&network, pair, "", &kinds).await;
    }
    let first = consent(&at_away, &arrival).await;
    let sent = report(&at_away, &arrival, &first).await.unwrap();
    office::reaches(&at_away, &sent.message_id, Stage::Stored).await;
    let case = sent.case_id;
    let offer = format!("hand-over --to {THIRD} --cause person-moved");
    assert_eq!(
        away.refused(&away.by_the_page(&case, &offer), 3)["fields"][0]["field"],
        "consent.recipient"
    );

    let number = arrival.person.clone().unwrap().document.unwrap().number;
    let today = domain::time::Date::from_millis(now());
    let second = away.json(&format!(
        "consent record --document {number} --scope pregnancy --recipient {THIRD} \
         --given-on {today} --valid-until {} --form in-person",
        today.plus_days(100)
    ));
    let second = second["consent"]["consent_id"].as_str().unwrap().to_owned();
    away.step(&case, &offer);
    let shows = |desk: &Desk, field: &str, value: &str| {
        let shown = desk.run(&format!("case show {case} --json"));
        let shown: serde_json::Value = serde_json::from_str(&shown.out).ok()?;
        (shown[field] == value).then_some(())
    };
    let reaches = async |desk: &Desk, field: &str, value: &str| {
        eventually_async(&format!("{field} is {value}"), || async { shows(desk, field, value) })
            .await;
    };
    reaches(&third, "stage", "OFFERED").await;
    third.step(&case, "accept");
    reaches(&third, "stage", "ASKED").await;
    reaches(&home, "asking", THIRD).await;
    home.step(&case, "answer --set outcome=RECORDED");
    reaches(&third, "stage", "ANSWERED").await;
    let kept = third.json(&format!("case show {case}"));
    let answer = kept["answer_id"].as_str().unwrap().to_owned();
    let at_third = office::connect(&network.operator("wu", THIRD, Role::Clerk)).await;
    let under = read(&at_third, &answer).await.unwrap().consent.unwrap().consent_id;
    let named: domain::id::ConsentId = second.parse().unwrap();
    assert_eq!(under, named.as_bytes(), "the answer goes under what she has allowed that county");

    withdraw(&at_away, &second).await;
    eventually_async("both have deleted it", || async {
        let spread = spread(&at_away, &second).await;
        assert!(spread.len() <= 2, "{spread:?}");
        let done = spread.iter().filter(|at| at.acknowledged_ms > 0).count();
        (done == 2).then_some(())
    })
    .await;
    assert_eq!(read(&at_third, &answer).await.unwrap_err(), "CONSENT_WITHDRAWN");
    third.step(&case, "close");
    reaches(&home, "stage", "CLOSED").await;
    for node in &nodes {
        node.never_panicked();
    }
}

/// The clerk's way: at the command line, and the other county forgets what came under the request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_taken_back_at_the_command_line() {
    let network = Network::new();
    let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME]));
    home.start();
    away.start();
    let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let arrival = office::arrival(41, HOME, AWAY);
    at_away.registrations().register_arrival(arrival.clone()).await.unwrap();
    conclude(&network, (AWAY, HOME), "", &terms(&[Kind::PregnancyReport])).await;
    let desk = Desk::at(&network, AWAY);
    let document = arrival.person.clone().unwrap().document.unwrap().number;
    let today = domain::time::Date::from_millis(now());
    let recorded = desk.json(&format!(
        "request record --document {document} --service antenatal-care --requested-on {today} --recipient {HOME}"
    ));
    let request = recorded["service_request"]["request_id"].as_str().unwrap().to_owned();
    let id: domain::id::RequestId = request.parse().unwrap();
    let person = arrival.person.clone().unwrap();
    let content = body::Content {
        basis: LawfulBasis::ServiceRequest.number().into(),
        purpose: Purpose::HealthService.number().into(),
        service_request: Some(body::ServiceRequestReference {
            request_id: id.as_bytes().to_vec(),
            ..Default::default()
        }),
        person: Some(body::PersonReference { document: person.document, name: person.name }),
        body: Some(content::Body::PregnancyReport(body::PregnancyReport {
            services_wanted: vec![body::Service::AntenatalCare.into()],
            ..Default::default()
        })),
        ..Default::default()
    };
    let send =
        SendMessageRequest { to: HOME.to_owned(), content: Some(content), ..Default::default() };
    let sent = at_away.messages().send_message(send.clone()).await.unwrap().into_inner();
    office::reaches(&at_away, &sent.message_id, Stage::Stored).await;

    desk.json(&format!("request withdraw {request} --form in-writing"));
    assert_eq!(
        desk.refused(&format!("request withdraw {request}"), 3)["code"],
        "CONSENT_WITHDRAWN"
    );
    let again = at_away.messages().send_message(send).await.unwrap_err();
    assert_eq!(office::code(&again), "CONSENT_WITHDRAWN");
    eventually_async("the withdrawal is acknowledged", || async {
        let spread = desk.json(&format!("request withdrawal {request}"));
        let at = &spread.as_array().expect("a list")[0];
        at["acknowledged_ms"].as_u64().filter(|at| *at > 0)
    })
    .await;
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    assert_eq!(read(&at_home, &sent.message_id).await.unwrap_err(), "CONSENT_WITHDRAWN");
    for node in [home, away] {
        node.never_panicked();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_county_restored_to_before_a_withdrawal_deletes_again() {
    let World { network, mut home, away, at_away, arrival, given } = World::new(41).await;
    let sent = report(&at_away, &arrival, &given).await.unwrap().message_id;
    office::reaches(&at_away, &sent, Stage::Stored).await;
    let desk = Desk::of(&network, HOME, Role::Administrator);
    let backup = desk.json("backup create");
    withdraw(&at_away, &given).await;
    let first = acknowledged(&at_away, &given).await;

    home.kill();
    crate::reconcile::restore(&home, &backup);
    home.start();
    let run = desk.json("reconcile run --after-restore");
    let runs = run["reconciliations"].as_array().unwrap();
    assert!(runs.iter().all(|run| run["state"] == "EQUAL"), "{run}");
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let gone =
        || async { read(&at_home, &sent).await.is_err_and(|code| code == "CONSENT_WITHDRAWN") };
    eventually_async("it is deleted again", || async { gone().await.then_some(()) }).await;
    let still = acknowledged(&at_away, &given).await;
    assert_eq!((still.area, still.since_ms), (first.area, first.since_ms));
    home.never_panicked();
    away.never_panicked();
}
