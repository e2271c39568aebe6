//! What does not arrive: a person sees it, does something about it, and the lane goes on.

use std::time::Duration;

use domain::access::Role;
use domain::message::Kind;
use liangdi::cli::connect::Office;
use serde_json::Value;
use wire::content::content_to_pb;
use wire::pb::office::{
    self as pb, DeadLetterCause, Direction, GetDeadLetterRequest, GetPeerRequest,
    ListDeadLettersRequest, ListNoticesRequest, NextStep, NoticeKind, ResendDeadLetterRequest,
    SendMessageRequest, Stage,
};

use crate::support::desk::Desk;
use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::office::{self, message};
use crate::support::{eventually, eventually_async, now};

const HOME: &str = "410522";
const AWAY: &str = "440305";

/// Puts another line in the place of one in a node's configuration.
fn configure(node: &Node, before: &str, after: &str) {
    let config = node.dir.join("liangdi.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(text.contains(before), "{text}");
    std::fs::write(&config, text.replace(before, after)).unwrap();
}

/// Two nodes that know each other, and run; one message has gone over.
async fn pair(network: &Network) -> (Node, Node, Office) {
    let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME]));
    configure(&away, "[alarms]", "[directory]\nrefresh_s = 1\n[alarms]");
    home.start();
    away.start();
    let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let first = message(1, AWAY, HOME, Kind::ArrivalNotice);
    let first = office::send_when_known(&at_away, HOME, &first).await;
    office::reaches(&at_away, &first.message_id, Stage::Stored).await;
    (home, away, at_away)
}

async fn letters(office: &Office) -> Vec<pb::DeadLetter> {
    let listed = office.delivery().list_dead_letters(ListDeadLettersRequest::default()).await;
    listed.unwrap().into_inner().dead_letters
}

async fn peer(office: &Office, area: &str) -> pb::Peer {
    let request = GetPeerRequest { area: area.to_owned() };
    office.delivery().get_peer(request).await.unwrap().into_inner().peer.unwrap()
}

/// Waits until nothing waits for a peer any more.
async fn all_settled(office: &Office, area: &str) {
    eventually_async("the lane has gone on", || async {
        (peer(office, area).await.waiting == 0).then_some(())
    })
    .await;
}

async fn send_until(office: &Office, seed: u64, lives: Duration) -> String {
    let content = message(seed, AWAY, HOME, Kind::ArrivalNotice);
    let request = SendMessageRequest {
        to: HOME.to_owned(),
        content: Some(content_to_pb(&content)),
        idempotency_key: String::new(),
        expires_ms: now().saturating_add(lives).get(),
    };
    office.messages().send_message(request).await.unwrap().into_inner().message_id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_refused_is_corrected_and_sent_again_and_both_ends_know_which_it_replaces()
 {
    let network = Network::new();
    let (mut home, away, at_away) = pair(&network).await;
    let old_card = peer(&at_away, HOME).await.card_until_ms;
    // The other node loses its data, and with them the key that this message is sealed for.
    home.kill();
    let content = message(2, AWAY, HOME, Kind::ArrivalNotice);
    let sent = office::send(&at_away, HOME, &content, "").await.unwrap();
    std::fs::remove_dir_all(home.dir.join("data/store")).unwrap();
    home.start();
    let refused = office::reaches(&at_away, &sent.message_id, Stage::Refused).await;
    assert_eq!(refused.reason, "SEALED_FOR_OTHER_KEY");
    assert_eq!((refused.turn.as_str(), refused.next()), (AWAY, NextStep::PersonDecides));
    assert_eq!(refused.fault(), pb::Fault::Peer);

    let listed = letters(&at_away).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].cause(), DeadLetterCause::Refused);
    assert!(!listed[0].advice_zh.is_empty());
    let told = at_away.delivery().list_notices(ListNoticesRequest::default()).await;
    let mut told = told.unwrap().into_inner().notices;
    // That it lost its memory is another notice.
    told.retain(|notice| notice.kind() == NoticeKind::DeadLetter);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].area, HOME);
    assert_eq!(told[0].message_ids, std::slice::from_ref(&sent.message_id));

    let request = GetDeadLetterRequest {
        message_id: sent.message_id.clone(),
        access: Some(office::access()),
    };
    let shown = at_away.delivery().get_dead_letter(request).await.unwrap().into_inner();
    assert_eq!(shown.content, Some(content_to_pb(&content)));

    // Sent again once the other node's new card is here, and with it the new key.
    eventually_async("the new card has come", || async {
        (peer(&at_away, HOME).await.card_until_ms != old_card).then_some(())
    })
    .await;
    let mut edited = content_to_pb(&content);
    let Some(wire::pb::message::content::Body::ArrivalNotice(body)) = &mut edited.body else {
        panic!("another body")
    };
    body.residence_area = String::new();
    let request = ResendDeadLetterRequest {
        message_id: sent.message_id.clone(),
        content: Some(edited.clone()),
        ..ResendDeadLetterRequest::default()
    };
    let again = at_away.delivery().resend_dead_letter(request).await.unwrap().into_inner();
    let old = office::track(&at_away, &sent.message_id).await;
    assert_eq!((old.stage(), &old.replaced_by), (Stage::Replaced, &again.message_id));
    let stored = office::reaches(&at_away, &again.message_id, Stage::Stored).await;
    assert_eq!(stored.replaces, sent.message_id);
    assert!(letters(&at_away).await.is_empty());
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let there = office::track(&at_home, &stored.message_id).await;
    assert_eq!(there.replaces, stored.replaces, "the recipient sees what it replaces");
    all_settled(&at_away, HOME).await;
    for node in [&home, &away] {
        node.never_panicked();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expires_on_the_way_is_a_letter_and_travels_without_its_body() {
    let network = Network::new();
    let (mut home, away, at_away) = pair(&network).await;
    home.kill();
    let short = send_until(&at_away, 2, Duration::from_secs(8)).await;
    let long = send_until(&at_away, 3, Duration::from_secs(3_600)).await;
    let expired = office::reaches(&at_away, &short, Stage::Expired).await;
    assert_eq!(expired.next(), NextStep::PersonDecides);
    let listed = letters(&at_away).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].cause(), DeadLetterCause::Expired);
    assert_eq!(office::track(&at_away, &long).await.stage(), Stage::Queued);

    home.start();
    office::reaches(&at_away, &long, Stage::Stored).await;
    all_settled(&at_away, HOME).await;
    // The other node has said that it refuses it, and has never seen its body.
    let evidence = pb::ExportEvidenceRequest { message_id: short.clone() };
    let evidence = at_away.messages().export_evidence(evidence).await.unwrap().into_inner();
    let evidence = wire::evidence::decode_evidence(evidence.evidence.into()).unwrap();
    let said = evidence.receipt.expect("a receipt").disposition;
    assert_eq!(crate::support::rogue::word(&said), "REFUSED EXPIRED");
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let there = office::list(&at_home, Direction::Received).await;
    assert_eq!(there.len(), 2, "the first one and the long one");
    // It still waits for somebody here.
    assert_eq!(office::track(&at_away, &short).await.stage(), Stage::Expired);
    assert_eq!(letters(&at_away).await.len(), 1);
    away.never_panicked();
    home.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_up_before_it_arrives_never_does_and_the_next_one_does() {
    let network = Network::new();
    let (mut home, away, at_away) = pair(&network).await;
    home.kill();
    let desk = Desk::at(&network, AWAY);
    let given_up = send_until(&at_away, 2, Duration::from_secs(3_600)).await;
    let next = send_until(&at_away, 3, Duration::from_secs(3_600)).await;
    // A reason is owed.
    let trouble = desk.refused(&format!("dead-letter discard {given_up} --reason …"), 3);
    assert_eq!(trouble["code"], "REASON_TEXT_REQUIRED");
    let done = desk.json(&format!("dead-letter discard {given_up} --reason 已电话核实"));
    assert_eq!(done["dead_letter"]["track"]["stage"], "DISCARDED");
    assert_eq!(done["dead_letter"]["state"], "DISCARDED");

    home.start();
    office::reaches(&at_away, &next, Stage::Stored).await;
    all_settled(&at_away, HOME).await;
    let track = office::track(&at_away, &given_up).await;
    assert_eq!((track.stage(), track.next()), (Stage::Discarded, NextStep::None));
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let there: Vec<_> = office::list(&at_home, Direction::Received).await;
    assert!(there.iter().all(|track| track.message_id != given_up));
    // What has arrived cannot be given up any more.
    let trouble = desk.refused(&format!("dead-letter discard {next} --reason 重复"), 3);
    assert_eq!(trouble["code"], "STATE_FORBIDS");
    let listed = desk.json("dead-letter list --all");
    assert_eq!(listed["dead_letters"].as_array().unwrap().len(), 1);
    assert_eq!(desk.json("dead-letter list")["dead_letters"], Value::Array(vec![]));
    let access = "--basis statutory-duty --purpose verification";
    let shown = desk.json(&format!("dead-letter show {given_up} {access}"));
    assert_eq!(shown["dead_letter"]["discard_reason"], "已电话核实");
    away.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sender_sees_when_an_office_opened_its_message() {
    let network = Network::new();
    let mut home = network.node(HOME, &[AWAY]);
    let mut away = network.node(AWAY, &[HOME]);
    let config = home.dir.join("liangdi.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(text.contains("progress_every_s = 3600"));
    std::fs::write(&config, text.replace("progress_every_s = 3600", "progress_every_s = 1"))
        .unwrap();
    home.start();
    away.start();
    let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let sent = message(1, AWAY, HOME, Kind::ArrivalNotice);
    let sent = office::send_when_known(&at_away, HOME, &sent).await;
    let stored = office::reaches(&at_away, &sent.message_id, Stage::Stored).await;
    assert_eq!((stored.next(), stored.turn.as_str()), (NextStep::OfficeOpens, HOME));
    let read = pb::GetMessageRequest {
        message_id: sent.message_id.clone(),
        access: Some(office::access()),
    };
    at_home.messages().get_message(read).await.unwrap();
    let opened = office::reaches(&at_away, &sent.message_id, Stage::Opened).await;
    let there = office::track(&at_home, &sent.message_id).await;
    assert_eq!(opened.opened_ms, there.opened_ms);
    assert_eq!(opened.next(), NextStep::OfficeAnswers);
    // The report is on no list that somebody works through.
    assert!(office::list(&at_away, Direction::Received).await.is_empty());
    let todo = pb::ListTodoRequest { page_size: 10, page_token: String::new() };
    let todo = at_away.messages().list_todo(todo).await.unwrap().into_inner();
    assert!(todo.messages.is_empty());
}

#[test]
fn a_walk_to_a_peer_says_whose_fault_it_is() {
    let network = Network::new();
    let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME, "410523"]));
    home.start();
    away.start();
    let desk = Desk::at(&network, AWAY);
    let names = |walked: &Value| -> Vec<String> {
        let steps = walked["steps"].as_array().unwrap();
        steps.iter().map(|step| step["name"].as_str().unwrap().to_owned()).collect()
    };
    let walked = desk.json(&format!("peer test {HOME}"));
    let all =
        ["ENDPOINT", "ADDRESS", "CONNECTION", "CERTIFICATES", "CARD", "INTRODUCTION", "CLOCK"];
    assert_eq!(names(&walked), all);
    assert_eq!(walked["reachable"], true);
    assert!(walked["round_trip_us"].as_u64().unwrap() > 0);
    assert!(walked["certificate_until_ms"].as_u64().unwrap() > now().get());
    let shown = desk.json(&format!("peer show {HOME}"));
    assert_eq!(shown["connected"], true);
    assert_eq!(shown["certificate_until_ms"], walked["certificate_until_ms"]);

    // Nobody listens there.
    let failed = |line: &str| {
        let ended = desk.run(&format!("{line} --json"));
        assert_eq!(ended.exit, 4, "{}{}", ended.out, ended.err);
        let walked: Value = serde_json::from_str(&ended.out).unwrap();
        walked["steps"].as_array().unwrap().last().unwrap().clone()
    };
    let step = failed("peer test 410523");
    assert_eq!((&step["name"], &step["fault"]), (&"CONNECTION".into(), &"PEER".into()), "{step}");
    assert_eq!(step["reason"], "PEER_UNREACHABLE");
    let people = desk.run("peer test 410523");
    assert!(people.out.contains("怎么办"), "{}", people.out);

    // Somebody else listens there.
    home.kill();
    let port = |area: &str| format!(":{}\"", network.ports(area.parse().unwrap()).node);
    away.kill();
    configure(&away, &port(HOME), &port("410523"));
    let mut other = network.node("410523", &[]);
    other.start();
    away.start();
    let step = failed(&format!("peer test {HOME}"));
    assert_eq!(
        (&step["name"], &step["reason"]),
        (&"CERTIFICATES".into(), &"WRONG_AREA".into()),
        "{step}"
    );
    assert_eq!(step["fault"], "PEER");

    // Our own certificate was revoked; the other side says so.
    network.revoke(away.area, &away.serial);
    network.publish_lists();
    eventually("the other side has the list", || {
        let ended = desk.run("peer test 410523 --json");
        let walked: Value = serde_json::from_str(&ended.out).ok()?;
        let last = walked["steps"].as_array()?.last()?.clone();
        (last["reason"] == "PEER_SAYS_REVOKED" && last["fault"] == "OWN_NODE").then_some(())
    });
    let unknown = desk.refused("peer test 430102", 5);
    assert_eq!(unknown["code"], "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_sees_and_does_what_it_may() {
    let network = Network::new();
    let (home, away, at_away) = pair(&network).await;
    let code = |status: tonic::Status| office::code(&status);
    for (name, role) in [
        ("su", Role::Supervisor),
        ("ad", Role::Administrator),
        ("au", Role::Auditor),
        ("co", Role::Collector),
    ] {
        let them = office::connect(&network.operator(name, AWAY, role)).await;
        let follows = role != Role::Collector;
        let mut delivery = them.delivery();
        let listed = delivery.list_dead_letters(ListDeadLettersRequest::default()).await;
        assert_eq!(listed.is_ok(), follows, "{role:?}");
        let listed = delivery.list_notices(ListNoticesRequest::default()).await;
        assert_eq!(listed.is_ok(), follows, "{role:?}");
        let request = GetPeerRequest { area: HOME.to_owned() };
        assert_eq!(delivery.get_peer(request).await.is_ok(), follows, "{role:?}");
        let tends = follows && role != Role::Auditor;
        let tested = delivery.test_peer(pb::TestPeerRequest { area: HOME.to_owned() }).await;
        assert_eq!(tested.is_ok(), tends, "{role:?}");
        let done = delivery.acknowledge_notice(pb::AcknowledgeNoticeRequest { number: 9 }).await;
        let expected = if tends { "NOT_FOUND" } else { "ROLE_REQUIRED" };
        assert_eq!(code(done.unwrap_err()), expected, "{role:?}");
    }
    let me = at_away.delivery().test_peer(pb::TestPeerRequest { area: HOME.to_owned() }).await;
    assert!(me.unwrap().into_inner().reachable);
    home.never_panicked();
    away.never_panicked();
}
