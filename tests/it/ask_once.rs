//! What was told once is not asked again: the node answers from the earlier report, or shows it to whoever asks.

use domain::access::Role;
use domain::message::{Body, Content, Kind, OutflowNotice};
use domain::purpose::{LawfulBasis, Purpose};
use tonic_types::StatusExt as _;
use wire::content::content_to_pb;
use wire::pb::message::{OutflowOutcome, content};
use wire::pb::office::{Direction, GetMessageRequest, SendMessageRequest, Stage};

use crate::support::agreement::{conclude, terms};
use crate::support::eventually_async;
use crate::support::network::Network;
use crate::support::office::{self, message};

const HOME: &str = "410522";
const AWAY: &str = "440305";

/// The question about the person of an arrival notice: has she come?
fn question(arrival: &Content, asked_again: &str) -> Content {
    let Body::ArrivalNotice(body) = &arrival.body else { panic!("another body") };
    let asked = OutflowNotice {
        left_on: body.arrived_on,
        certificate_number: None,
        services_wanted: Default::default(),
    };
    Content {
        basis: LawfulBasis::OwnApplication,
        purpose: Purpose::ResidenceRegistration,
        asked_again: domain::text::Note::optional(asked_again).unwrap(),
        body: asked.into(),
        ..arrival.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_answers_what_an_earlier_report_answers_and_cites_it() {
    let network = Network::new();
    let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME]));
    home.start();
    away.start();
    let mut agreed = terms(&[Kind::OutflowNotice]);
    agreed.ask_once_days = 30;
    conclude(&network, (AWAY, HOME), "", &agreed).await;
    let operator_home = network.operator("hua", HOME, Role::Clerk);
    let operator_away = network.operator("ai", AWAY, Role::Clerk);
    let arrival = message(1, AWAY, HOME, Kind::ArrivalNotice);

    // HOME asks before it has heard, and AWAY reports before it is asked: the two cross.
    assert!(away.stop().success());
    let at_home = office::connect(&operator_home).await;
    let asked = office::send(&at_home, AWAY, &question(&arrival, ""), "").await.unwrap();
    assert!(home.stop().success());
    away.start();
    let at_away = office::connect(&operator_away).await;
    let told = office::send_when_known(&at_away, HOME, &arrival).await;
    home.start();
    let at_home = office::connect(&operator_home).await;
    let track = office::reaches(&at_home, &asked.message_id, Stage::Answered).await;
    let read = |id: String| {
        let office = at_home.clone();
        async move {
            let request = GetMessageRequest { message_id: id, access: Some(office::access()) };
            office.messages().get_message(request).await.unwrap().into_inner().content.unwrap()
        }
    };
    let answer = read(track.answered_by.clone()).await;
    let report: domain::id::MessageId = told.message_id.parse().unwrap();
    assert_eq!(answer.answered_from, report.as_bytes(), "the report is cited");
    let Some(content::Body::OutflowFeedback(said)) = answer.body else { panic!("another body") };
    assert_eq!(said.outcome(), OutflowOutcome::Arrived);
    // Nobody was bothered.
    let at_away = office::connect(&operator_away).await;
    let todo = at_away
        .messages()
        .list_todo(wire::pb::office::ListTodoRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(todo.messages.len(), 0);

    // Now HOME has been told: it is shown the report instead of asking.
    eventually_async("the report is here", || async {
        let received = office::list(&at_home, Direction::Received).await;
        received.iter().any(|track| track.message_id == told.message_id).then_some(())
    })
    .await;
    let known = office::send(&at_home, AWAY, &question(&arrival, ""), "").await.unwrap_err();
    assert_eq!(office::code(&known), "ALREADY_ANSWERED");
    let info = known.get_details_error_info().unwrap();
    assert!(info.metadata.values().any(|value| !value.is_empty()), "{info:?}");
    // With a reason it is asked, and a person answers.
    let again = question(&arrival, "群众反映已离开，请核实。");
    let request = SendMessageRequest {
        to: AWAY.to_owned(),
        content: Some(content_to_pb(&again)),
        ..SendMessageRequest::default()
    };
    let again = at_home.messages().send_message(request).await.unwrap().into_inner();
    office::reaches(&at_home, &again.message_id, Stage::Stored).await;
    let todo = at_away
        .messages()
        .list_todo(wire::pb::office::ListTodoRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(todo.messages[0].message_id, again.message_id);

    // She has left again: the old report answers nothing any more.
    let mut left = message(9, AWAY, HOME, Kind::DepartureNotice);
    left.person = arrival.person.clone();
    let left = office::send(&at_away, HOME, &left, "").await.unwrap();
    office::reaches(&at_away, &left.message_id, Stage::Stored).await;
    let fresh = office::send(&at_home, AWAY, &question(&arrival, ""), "").await.unwrap();
    office::reaches(&at_home, &fresh.message_id, Stage::Stored).await;
    let todo = at_away
        .messages()
        .list_todo(wire::pb::office::ListTodoRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(todo.messages.len(), 2, "a clerk answers");
    for node in [home, away] {
        node.never_panicked();
    }
}
