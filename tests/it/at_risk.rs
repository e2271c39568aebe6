//! A person at risk: where she lives leaves the county by none of its ways, whatever a clerk types; release is audited.

use std::path::Path;

use domain::access::Role;
use domain::message::Kind;
use domain::purpose::{LawfulBasis, Purpose};
use liangdi::cli::connect::Office;
use tonic::Status;
use wire::pb::message::{self as body, content::Body};
use wire::pb::office as pb;
use wire::pb::office::take_case_step_request::Step;

use crate::support::agreement::{conclude, supervisor, terms};
use crate::support::desk::Desk;
use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::secrets::{Secrets, files, found, found_in};
use crate::support::{eventually_async, office};

/// Where she comes from, where she lives, and a county that has nothing to do with it.
const HOME: &str = "410522";
const AWAY: &str = "440305";
const THIRD: &str = "411528";
/// The part of the county she lives in, and the address that [`office::arrival`] gives her.
const PART: &str = "440305003";
const ADDRESS: &str = "梧桐路";

struct World {
    home: Node,
    away: Node,
    at_home: Office,
    at_away: Office,
    arrival: pb::RegisterArrivalRequest,
    registration: pb::Registration,
    network: Network,
}

impl World {
    /// Both counties, and she is registered; at risk when asked for.
    async fn new(seed: u64, at_risk: bool) -> Self {
        let network = Network::new();
        let mut home = network.node(HOME, &[AWAY, THIRD]);
        let mut away = network.node(AWAY, &[HOME, THIRD]);
        home.start();
        away.start();
        let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
        let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
        let mut arrival = office::arrival(seed, HOME, AWAY);
        arrival.person.as_mut().unwrap().at_risk = at_risk;
        arrival.registration.as_mut().unwrap().residence_area = PART.to_owned();
        let done = at_away.registrations().register_arrival(arrival.clone()).await.unwrap();
        let registration = done.into_inner().registration.unwrap();
        Self { home, away, at_home, at_away, arrival, registration, network }
    }

    fn her(&self) -> Option<body::PersonReference> {
        let person = self.arrival.person.clone().unwrap();
        Some(body::PersonReference { document: person.document, name: person.name })
    }

    /// A message of a kind about her, at her own application where the kind allows it.
    fn about_her(&self, from: &str, to: &str, kind: Kind, basis: LawfulBasis) -> body::Content {
        let content = office::message(3, from, to, kind);
        let content = wire::content::content_to_pb(&content);
        body::Content {
            person: self.her(),
            basis: basis.number().into(),
            service_request: None,
            consent: None,
            ..content
        }
    }

    /// An arrival notice that names `place`.
    fn notice(&self, basis: LawfulBasis, place: &str) -> body::Content {
        let content = self.about_her(AWAY, HOME, Kind::ArrivalNotice, basis);
        let id: domain::id::RegistrationId = self.registration.registration_id.parse().unwrap();
        let notice = body::ArrivalNotice {
            registration_id: id.as_bytes().to_vec(),
            arrived_on: self.registration.arrived_on.clone(),
            residence_area: place.to_owned(),
            ..body::ArrivalNotice::default()
        };
        body::Content { body: Some(Body::ArrivalNotice(notice)), ..content }
    }

    /// From now on she is at risk.
    async fn flag(&self) {
        let find = pb::FindPersonRequest {
            document: self.arrival.person.clone().unwrap().document,
            access: Some(office::access()),
        };
        let found = self.at_away.registrations().find_person(find).await.unwrap().into_inner();
        let person = found.person.unwrap();
        let seen_version = person.change.as_ref().unwrap().version;
        let change = pb::ChangePersonRequest {
            person: Some(pb::Person { at_risk: true, ..person }),
            seen_version,
            reason: "本人反映受到威胁".to_owned(),
        };
        self.at_away.registrations().change_person(change).await.unwrap();
    }

    /// What must not be found at the origin side.
    fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        secrets.add(PART);
        secrets.add(ADDRESS);
        secrets
    }

    fn ends_well(mut self) {
        for node in [&mut self.home, &mut self.away] {
            node.never_panicked();
        }
    }
}

/// Hands a message in, once the other county can be sealed for.
async fn send(
    office: &Office,
    to: &str,
    content: body::Content,
) -> Result<pb::SendMessageResponse, Status> {
    eventually_async("the other county is known", || async {
        let request = pb::SendMessageRequest {
            to: to.to_owned(),
            content: Some(content.clone()),
            ..pb::SendMessageRequest::default()
        };
        match office.messages().send_message(request).await {
            Err(status) if office::code(&status) == "PEER_CARD_MISSING" => None,
            sent => Some(sent.map(tonic::Response::into_inner)),
        }
    })
    .await
}

/// Refused because it would tell where she is; and the refusal does not tell it either.
fn hidden(refused: Result<impl std::fmt::Debug, Status>, field: &str) {
    use tonic_types::StatusExt as _;
    let status = refused.unwrap_err();
    assert_eq!(office::code(&status), "RESIDENCE_HIDDEN", "{status:?}");
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert!(violations.iter().any(|v| v.field.ends_with(field)), "{violations:?}");
    let said = format!("{status:?}");
    assert!(!said.contains(PART) && !said.contains(ADDRESS), "{said}");
}

async fn read(clerk: &Office, id: &str) -> body::Content {
    let request =
        pb::GetMessageRequest { message_id: id.to_owned(), access: Some(office::access()) };
    clerk.messages().get_message(request).await.unwrap().into_inner().content.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_say_nothing_and_nothing_that_the_origin_can_look_at_does() {
    let world = World::new(21, true).await;
    let own = LawfulBasis::OwnApplication;
    let duty = world.notice(LawfulBasis::StatutoryDuty, "");
    hidden(send(&world.at_away, HOME, duty).await, "basis");
    hidden(send(&world.at_away, HOME, world.notice(own, PART)).await, "residence_area");
    let sent = send(&world.at_away, HOME, world.notice(own, "")).await.unwrap().message_id;
    office::reaches(&world.at_away, &sent, pb::Stage::Stored).await;
    let Some(Body::ArrivalNotice(told)) = read(&world.at_home, &sent).await.body else {
        panic!("another body");
    };
    assert_eq!(told.residence_area, "");

    // The way back: she is asked about, and that a clerk has opened it here is not told.
    let asked = world.about_her(HOME, AWAY, Kind::CertificateNotice, own);
    let asked = send(&world.at_home, AWAY, asked).await.unwrap().message_id;
    office::reaches(&world.at_home, &asked, pb::Stage::Stored).await;
    read(&world.at_away, &asked).await;

    // Everything that the origin's office can look at or take out.
    let desk = |role| Desk::of(&world.network, HOME, role);
    let mut shown = String::new();
    for line in ["message list", "message todo", "case list", "notice list", "peer list"] {
        shown += &desk(Role::Clerk).text(line);
        shown += &desk(Role::Supervisor).json(line).to_string();
    }
    for id in [&sent, &asked] {
        shown += &desk(Role::Clerk).json(&format!("message track {id}")).to_string();
        let show =
            format!("message show {id} --basis statutory-duty --purpose residence-registration");
        shown += &desk(Role::Clerk).json(&show).to_string();
    }
    shown += &desk(Role::Clerk).json(&format!("case show {sent}")).to_string();
    shown += &desk(Role::Supervisor).json("indicator show 2026").to_string();
    let out = |name: &str| world.network.path(name).display().to_string();
    let evidence = out("hers.evidence");
    desk(Role::Clerk).json(&format!("message evidence {sent} --out {evidence}"));
    desk(Role::Auditor).json(&format!("audit export --out {}", out("home.jsonl")));
    desk(Role::Administrator).json("backup create");
    desk(Role::Clerk).json(&format!("bundle export --to {AWAY} --out {}", out("home.bundle")));
    let finder = world.secrets().finder();
    assert_eq!(found(&finder, shown.as_bytes(), "what is shown at the origin"), None);
    for file in [out("hers.evidence"), out("home.jsonl"), out("home.bundle")] {
        assert_eq!(found_in(&finder, Path::new(&file)), None);
    }
    for file in files(&world.home.dir) {
        assert_eq!(found_in(&finder, &file), None);
    }
    let opened = office::track(&world.at_home, &asked).await.opened_ms;
    assert_eq!(opened, 0, "the origin is not told that somebody has looked");
    world.ends_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_and_free_texts_do_not_name_the_place() {
    let world = World::new(22, true).await;
    let agreed = terms(&[Kind::Inquiry]);
    conclude(&world.network, (AWAY, HOME), "", &agreed).await;
    let ask = world.about_her(HOME, AWAY, Kind::Inquiry, LawfulBasis::OwnApplication);
    let asked = send(&world.at_home, AWAY, ask).await.unwrap().message_id;
    office::reaches(&world.at_home, &asked, pb::Stage::Stored).await;
    let question = read(&world.at_away, &asked).await;
    let answer = |said: body::InquiryAnswer| {
        let case: domain::id::CaseId = asked.parse().unwrap();
        let content = body::Content {
            case_id: case.as_bytes().to_vec(),
            in_reply_to: case.as_bytes().to_vec(),
            body: Some(Body::InquiryAnswer(said)),
            ..question.clone()
        };
        let clerk = world.at_away.clone();
        async move { send(&clerk, HOME, content).await }
    };
    let confirmed = body::StatementOutcome::Confirmed.into();
    let cannot = body::StatementOutcome::CannotVerify.into();
    let said = |outcome, answer: &str, reason: &str| body::InquiryAnswer {
        outcome,
        answer: answer.to_owned(),
        reason: reason.to_owned(),
    };
    hidden(answer(said(confirmed, "", "")).await, "outcome");
    hidden(answer(said(cannot, "人在深圳", "无法核实")).await, "answer");
    for place in ["现住南山区", "她住梧桐路那边", "电话 0755-2655 1234", "见440305003"]
    {
        hidden(answer(said(cannot, "", place)).await, "reason");
    }
    // Words inside the case name nobody, and are looked at all the same.
    let case = |step: Step| {
        let (clerk, id) = (world.at_away.clone(), asked.clone());
        async move {
            let show = pb::ShowCaseRequest { case_id: id.clone() };
            let shown = clerk.cases().show_case(show).await.unwrap().into_inner().case.unwrap();
            let request = pb::TakeCaseStepRequest {
                case_id: id,
                expected_version: shown.version,
                step: Some(step),
                ..pb::TakeCaseStepRequest::default()
            };
            clerk.cases().take_case_step(request).await
        }
    };
    let clarify = Step::Clarify(body::Clarify {
        question: "她在深圳的住址要不要附上？".to_owned(),
    });
    hidden(case(clarify).await, "question");
    let reject = Step::Reject(body::Reject { reason: "已迁往福田区".to_owned() });
    hidden(case(reject).await, "reason");
    // The case does not go after her either.
    let offer = pb::OfferCase {
        to: THIRD.to_owned(),
        cause: body::TransferCause::PersonMoved.into(),
        until_ms: 0,
    };
    let mut third = world.network.node(THIRD, &[AWAY, HOME]);
    third.start();
    let refused = eventually_async("the third county is known", || async {
        match case(Step::HandOver(offer.clone())).await {
            Err(status) if office::code(&status) == "PEER_CARD_MISSING" => None,
            taken => Some(taken),
        }
    })
    .await;
    hidden(refused, "hand_over");
    let sent = answer(said(cannot, "", "本办公室没有可以提供的记录。")).await.unwrap();
    office::reaches(&world.at_away, &sent.message_id, pb::Stage::Stored).await;
    world.ends_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appointment_is_told_to_her_and_not_to_the_origin() {
    let world = World::new(23, true).await;
    let agreed = terms(&[Kind::ServiceReferral]);
    conclude(&world.network, (AWAY, HOME), "", &agreed).await;
    // At home she has asked for a service; her own county of registration keeps her record.
    let mut person = world.arrival.person.clone().unwrap();
    person.at_risk = false;
    person.marital_status = body::MaritalStatus::NeverMarried.into();
    let issue = pb::IssueCertificateRequest { person: Some(person.clone()), ..Default::default() };
    world.at_home.certificates().issue_certificate(issue).await.unwrap();
    let today = domain::time::Date::from_millis(crate::support::now());
    let service = body::Service::Counselling.into();
    let request = pb::RecordServiceRequestRequest {
        document: person.document.clone(),
        service_request: Some(pb::ServiceRequest {
            service,
            requested_on: today.to_string(),
            recipient: AWAY.to_owned(),
            form: pb::ConsentForm::InPerson.into(),
            ..Default::default()
        }),
        person: None,
    };
    let recorded = world.at_home.consents().record_service_request(request).await.unwrap();
    let recorded = recorded.into_inner().service_request.unwrap();
    let id: domain::id::RequestId = recorded.request_id.parse().unwrap();
    let content = body::Content {
        basis: LawfulBasis::ServiceRequest.number().into(),
        purpose: Purpose::HealthService.number().into(),
        person: world.her(),
        service_request: Some(body::ServiceRequestReference {
            request_id: id.as_bytes().to_vec(),
            ..Default::default()
        }),
        body: Some(Body::ServiceReferral(body::ServiceReferral { service, ..Default::default() })),
        ..body::Content::default()
    };
    let asked = send(&world.at_home, AWAY, content).await.unwrap().message_id;
    office::reaches(&world.at_home, &asked, pb::Stage::Stored).await;
    let question = read(&world.at_away, &asked).await;
    let booked = |place: &str| {
        let case: domain::id::CaseId = asked.parse().unwrap();
        let feedback = body::ReferralFeedback {
            outcome: body::ReferralOutcome::Booked.into(),
            appointment_on: today.plus_days(3).to_string(),
            place: place.to_owned(),
            reason: String::new(),
        };
        body::Content {
            case_id: case.as_bytes().to_vec(),
            in_reply_to: case.as_bytes().to_vec(),
            body: Some(Body::ReferralFeedback(feedback)),
            ..question.clone()
        }
    };
    hidden(send(&world.at_away, HOME, booked("妇幼保健院三楼")).await, "place");
    let told = domain::message::whereabouts::PLACE_TOLD_TO_HER;
    let sent = send(&world.at_away, HOME, booked(told)).await.unwrap();
    office::reaches(&world.at_away, &sent.message_id, pb::Stage::Stored).await;
    world.ends_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_when_she_turns_out_to_be_at_risk_stays_here_also_by_file_and_from_the_dead_letters()
 {
    let mut world = World::new(24, false).await;
    // Once, so that the counties know each other.
    let other = office::message(9, AWAY, HOME, Kind::DepartureNotice);
    office::send_when_known(&world.at_away, HOME, &other).await;
    assert!(world.home.stop().success());
    let duty = LawfulBasis::StatutoryDuty;
    let waiting = send(&world.at_away, HOME, world.notice(duty, PART)).await.unwrap().message_id;
    let harmless = office::message(10, AWAY, HOME, Kind::DepartureNotice);
    let harmless = office::send_when_known(&world.at_away, HOME, &harmless).await.message_id;
    world.flag().await;
    let track = office::track(&world.at_away, &waiting).await;
    assert_eq!(track.stage(), pb::Stage::Discarded);
    assert_eq!(office::track(&world.at_away, &harmless).await.stage(), pb::Stage::Queued);
    // From the dead letters it cannot be sent again, and a file takes no content along.
    let resend = pb::ResendDeadLetterRequest { message_id: waiting.clone(), ..Default::default() };
    let again = world.at_away.delivery().resend_dead_letter(resend).await.unwrap_err();
    assert!(["STATE_FORBIDS", "RESIDENCE_HIDDEN"].contains(&office::code(&again).as_str()));
    let desk = Desk::at(&world.network, AWAY);
    let file = world.network.path("away.bundle").display().to_string();
    desk.json(&format!("bundle export --to {HOME} --out {file}"));
    world.home.start();
    Desk::at(&world.network, HOME).json(&format!("bundle import {file}"));
    office::reaches(&world.at_away, &harmless, pb::Stage::Stored).await;
    let at_home = office::connect(&world.network.operator("hua", HOME, Role::Clerk)).await;
    let get = pb::GetMessageRequest { message_id: waiting, access: Some(office::access()) };
    let gone = at_home.messages().get_message(get).await.unwrap_err();
    assert_eq!(office::code(&gone), "NOT_FOUND");
    world.ends_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_does_not_answer_by_itself_where_she_is() {
    let world = World::new(25, false).await;
    let mut agreed = terms(&[Kind::OutflowNotice]);
    agreed.ask_once_days = 30;
    conclude(&world.network, (AWAY, HOME), "", &agreed).await;
    let told = send(&world.at_away, HOME, world.notice(LawfulBasis::StatutoryDuty, "")).await;
    let told = told.unwrap().message_id;
    office::reaches(&world.at_away, &told, pb::Stage::Stored).await;
    world.flag().await;
    let mut asked = world.about_her(HOME, AWAY, Kind::OutflowNotice, LawfulBasis::OwnApplication);
    asked.purpose = Purpose::ResidenceRegistration.number().into();
    asked.asked_again = String::new();
    if let Some(Body::OutflowNotice(notice)) = &mut asked.body {
        notice.services_wanted.clear();
    }
    // The origin has the earlier report; a clerk who asks all the same is not answered by the node.
    asked.asked_again = "请再次核实。".to_owned();
    let asked = send(&world.at_home, AWAY, asked).await.unwrap().message_id;
    office::reaches(&world.at_home, &asked, pb::Stage::Stored).await;
    eventually_async("a clerk has it on her desk", || async {
        let request = pb::ListTodoRequest::default();
        let todo = world.at_away.messages().list_todo(request).await.unwrap().into_inner();
        todo.messages.iter().any(|track| track.message_id == asked).then_some(())
    })
    .await;
    assert_ne!(office::track(&world.at_home, &asked).await.stage(), pb::Stage::Answered);
    world.ends_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_holds_for_one_county_and_is_in_the_log() {
    let world = World::new(26, true).await;
    let notice = world.notice(LawfulBasis::StatutoryDuty, PART);
    hidden(send(&world.at_away, HOME, notice.clone()).await, "basis");
    let release = |to: &str, reason: &str| pb::ReleaseResidenceRequest {
        document: world.arrival.person.clone().unwrap().document,
        to: to.to_owned(),
        reason: reason.to_owned(),
    };
    let clerk = world.at_away.agreements();
    let refused = clerk.clone().release_residence(release(HOME, "对方要求")).await.unwrap_err();
    assert_eq!(office::code(&refused), "ROLE_REQUIRED");
    let eve = supervisor(&world.network, AWAY).await;
    eve.agreements().release_residence(release(THIRD, "本人书面要求")).await.unwrap();
    hidden(send(&world.at_away, HOME, notice.clone()).await, "basis");
    let empty = eve.agreements().release_residence(release(HOME, " ")).await.unwrap_err();
    assert_ne!(office::code(&empty), "");
    eve.agreements().release_residence(release(HOME, "本人书面要求")).await.unwrap();
    let sent = send(&world.at_away, HOME, notice).await.unwrap();
    office::reaches(&world.at_away, &sent.message_id, pb::Stage::Stored).await;
    let log = Desk::of(&world.network, AWAY, Role::Auditor).json("audit list --operator eve");
    let changes = log["entries"].as_array().unwrap().iter();
    assert_eq!(changes.filter(|entry| entry["action"] == "RELEASE").count(), 2, "{log}");
    world.ends_well();
}
