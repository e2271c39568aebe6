//! What becomes of mail: two nodes that keep the rules, and peers that do not.

use std::time::Duration;

use domain::access::Role;
use domain::id::MessageId;
use domain::message::{ArrivalFeedback, ArrivalOutcome, Body, Kind};
use domain::purpose::{LawfulBasis, Purpose};
use exchange::envelope::{AlgorithmProfile, SealedEnvelope};
use exchange::lane::{LANE_WINDOW, LaneSeq};
use exchange::parcel::PARCEL_ENVELOPES_MAX;
use exchange::receipt::Outcome;
use liangdi::time::random;
use wire::pb::office::{Direction, GetMessageRequest, ListTodoRequest, Stage};

use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::office::{self, message};
use crate::support::rogue::{Answer, Rogue, word, words};
use crate::support::{area, now};

const HOME: &str = "410522";
const AWAY: &str = "440305";
const ROGUE: &str = "440306";

/// Two nodes that know each other, and run.
fn pair(network: &Network) -> (Node, Node) {
    let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME]));
    home.start();
    away.start();
    (home, away)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_stored_receipted_and_answered() {
    let network = Network::new();
    let (mut home, mut away) = pair(&network);
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;

    let notice = message(1, AWAY, HOME, Kind::ArrivalNotice);
    let sent = office::send_when_known(&at_away, HOME, &notice).await;
    let id = sent.message_id;
    let track = office::reaches(&at_away, &id, Stage::Stored).await;
    assert!(track.stored_ms >= track.created_ms && track.turn == HOME, "{track:?}");

    // It is on the desk of the other office, with the same digest and the same due date.
    let todo = ListTodoRequest { page_size: 10, page_token: String::new() };
    let todo = at_home.messages().list_todo(todo).await.unwrap().into_inner().messages;
    assert_eq!(todo.len(), 1);
    assert_eq!((&todo[0].digest, &todo[0].due_on), (&track.digest, &track.due_on));
    let access = wire::pb::office::Access {
        basis: LawfulBasis::StatutoryDuty.number().into(),
        purpose: Purpose::ResidenceRegistration.number().into(),
    };
    let read = GetMessageRequest { message_id: id.clone(), access: Some(access) };
    let read = at_home.messages().get_message(read).await.unwrap().into_inner();
    assert_eq!(read.content, Some(wire::content::content_to_pb(&notice)));

    let asked: MessageId = id.parse().unwrap();
    let answer = domain::message::Content {
        case: None,
        in_reply_to: Some(asked),
        body: Body::ArrivalFeedback(ArrivalFeedback {
            outcome: ArrivalOutcome::Confirmed,
            corrected_name: None,
            moved_to_area: None,
            note: None,
        }),
        ..notice.clone()
    };
    let back = office::send_when_known(&at_home, AWAY, &answer).await;
    assert_eq!(back.case_id, id);
    office::reaches(&at_home, &back.message_id, Stage::Stored).await;
    let answered = office::reaches(&at_away, &id, Stage::Answered).await;
    assert_eq!(answered.answered_by, back.message_id);
    office::reaches(&at_home, &id, Stage::Answered).await;

    // Answered once is answered.
    let twice = office::send(&at_home, AWAY, &answer, "").await.unwrap_err();
    assert_eq!(office::code(&twice), "ALREADY_ANSWERED");

    // One entry a message in each ledger, whatever else happened.
    for office in [&at_home, &at_away] {
        assert_eq!(office::status(office).await.ledger_size, 2);
    }
    for node in [&mut home, &mut away] {
        assert!(node.stop().success());
        node.never_panicked();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_waits_for_a_node_that_is_away_and_arrives_once() {
    let network = Network::new();
    let (mut home, away) = pair(&network);
    let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let first = message(1, AWAY, HOME, Kind::ArrivalNotice);
    let first = office::send_when_known(&at_away, HOME, &first).await;
    office::reaches(&at_away, &first.message_id, Stage::Stored).await;
    home.kill();
    let mut messages = office::messages(2, AWAY, HOME);
    let mut ids = vec![first.message_id];
    for _ in 0..5 {
        let content = messages.next(Kind::ArrivalNotice).unwrap();
        let accepted = office::send(&at_away, HOME, &content, "").await.unwrap();
        assert_eq!(accepted.track.unwrap().stage(), Stage::Queued);
        ids.push(accepted.message_id);
    }
    home.start();
    for id in &ids {
        office::reaches(&at_away, id, Stage::Stored).await;
    }
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let mut there: Vec<_> = office::list(&at_home, Direction::Received).await;
    there.sort_by_key(|track| track.lane_sequence);
    let there: Vec<_> = there.into_iter().map(|track| track.message_id).collect();
    assert_eq!(there, ids);
    assert_eq!(office::status(&at_home).await.ledger_size, 6);
    away.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_before_gets_the_answer_of_before() {
    let network = Network::new();
    let mut node = network.node(HOME, &[]);
    node.start();
    let mut rogue = Rogue::connect(&network, ROGUE, &node).await;

    let (body, header) = (rogue.content(Kind::ArrivalNotice), rogue.header());
    let letter = rogue.seal(&header, &body);
    let first = rogue.deliver(vec![letter.clone()]).await;
    assert_eq!(words(&first), ["STORED"]);
    let again = rogue.deliver(vec![letter.clone()]).await;
    assert_eq!(words(&again), ["DUPLICATE STORED"]);
    assert_eq!(again[0].decided, first[0].decided);

    // A refusal stays a refusal, whether it comes again alone, twice in one parcel, or after a restart.
    let mut late = rogue.header();
    late.expires = now().saturating_sub(Duration::from_secs(1));
    let content = rogue.content(Kind::ArrivalNotice);
    let late = rogue.seal(&late, &content);
    let refused = rogue.deliver(vec![late.clone(), late.clone()]).await;
    assert_eq!(words(&refused), ["REFUSED EXPIRED", "DUPLICATE REFUSED EXPIRED"]);
    let (_, twin) = rogue.letter();
    let twins = rogue.deliver(vec![twin.clone(), twin.clone()]).await;
    assert_eq!(words(&twins), ["STORED", "DUPLICATE STORED"]);
    node.kill();
    node.start();
    rogue.reconnect(&node).await;
    let again = rogue.deliver(vec![late.clone(), letter.clone()]).await;
    assert_eq!(words(&again), ["DUPLICATE REFUSED EXPIRED", "DUPLICATE STORED"]);
    assert_eq!((again[0].decided, again[1].decided), (refused[0].decided, first[0].decided));

    // The same message sealed again, in the next place and in a new epoch, as after a restore.
    let sealed_again = {
        let mut header = rogue.again(&header);
        header.sequence = LaneSeq::new(9);
        rogue.seal(&header, &body)
    };
    let said = rogue.deliver(vec![sealed_again]).await;
    assert_eq!(words(&said), ["DUPLICATE STORED"], "the same message under another seal");
    let old_epoch = rogue.epoch;
    rogue.epoch = u64::from_be_bytes(random());
    let mut header = rogue.again(&header);
    header.epoch = exchange::lane::LaneEpoch::new(rogue.epoch);
    let restored = rogue.seal(&header, &body);
    assert_eq!(words(&rogue.deliver(vec![restored]).await), ["DUPLICATE STORED"]);
    // And what was stored in the new epoch is known when it comes in the old one.
    let content = rogue.content(Kind::DepartureNotice);
    let mut header = rogue.header();
    header.sequence = LaneSeq::new(2);
    let envelope = rogue.seal(&header, &content);
    assert_eq!(words(&rogue.deliver(vec![envelope]).await), ["STORED"]);
    let mut header = rogue.again(&header);
    header.epoch = exchange::lane::LaneEpoch::new(old_epoch);
    header.sequence = LaneSeq::new(10);
    let envelope = rogue.seal(&header, &content);
    assert_eq!(words(&rogue.deliver(vec![envelope]).await), ["DUPLICATE STORED"]);

    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    assert_eq!(office::list(&at_home, Direction::Received).await.len(), 3);
    assert_eq!(office::status(&at_home).await.ledger_size, 3);
    node.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_content_under_a_name_that_is_taken_changes_nothing() {
    let network = Network::new();
    let mut node = network.node(HOME, &[]);
    node.start();
    let mut rogue = Rogue::connect(&network, ROGUE, &node).await;
    let (header, letter) = rogue.letter();
    assert_eq!(words(&rogue.deliver(vec![letter.clone()]).await), ["STORED"]);

    // Same id in the next place, other content.
    let mut same_id = rogue.header();
    same_id.message_id = header.message_id;
    let content = rogue.content(Kind::DepartureNotice);
    let same_id = rogue.seal(&same_id, &content);
    assert_eq!(words(&rogue.deliver(vec![same_id.clone()]).await), ["REFUSED CONFLICT"]);
    // Same place, other id.
    let mut same_place = rogue.again(&header);
    same_place.message_id = MessageId::new(now(), random());
    let same_place = rogue.seal(&same_place, &content);
    assert_eq!(words(&rogue.deliver(vec![same_place]).await), ["REFUSED CONFLICT"]);
    // Same id and place, other content.
    let both = rogue.seal(&rogue.again(&header), &content);
    assert_eq!(words(&rogue.deliver(vec![both]).await), ["REFUSED CONFLICT"]);
    node.logged("CONFLICT", None);

    let again = rogue.deliver(vec![letter, same_id]).await;
    assert_eq!(words(&again), ["DUPLICATE STORED", "DUPLICATE REFUSED CONFLICT"]);

    // A refusal keeps its place as well: what is put there later does not take it over.
    let mut places = Vec::new();
    for _ in 0..8 {
        let mut header = rogue.header();
        header.expires = now().saturating_sub(Duration::from_secs(1));
        let refused = rogue.seal(&header, &content);
        assert_eq!(words(&rogue.deliver(vec![refused.clone()]).await), ["REFUSED EXPIRED"]);
        let mut other = rogue.again(&header);
        other.message_id = MessageId::new(now(), random());
        let other = rogue.seal(&other, &content);
        assert_eq!(words(&rogue.deliver(vec![other]).await), ["REFUSED CONFLICT"]);
        places.push(refused);
    }
    for refused in places {
        let again = rogue.deliver(vec![refused]).await;
        assert_eq!(words(&again), ["DUPLICATE REFUSED EXPIRED"]);
    }
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let kept = office::list(&at_home, Direction::Received).await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].kind, "ArrivalNotice");
    assert_eq!(office::status(&at_home).await.ledger_size, 1);
    node.never_panicked();
}

fn sealed_of(envelope: &SealedEnvelope) -> bytes::Bytes {
    envelope.sealed().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_envelope_gets_its_reason_and_the_good_ones_pass() {
    let network = Network::new();
    let mut node = network.node(HOME, &[]);
    node.start();
    let mut rogue = Rogue::connect(&network, ROGUE, &node).await;
    let mut parcel: Vec<(&str, SealedEnvelope)> = Vec::new();

    parcel.push(("STORED", rogue.letter().1));
    let (_, torn) = rogue.letter();
    let short = sealed_of(&torn).slice(..sealed_of(&torn).len() - 1);
    parcel.push(("REFUSED MALFORMED", SealedEnvelope::new(torn.header_bytes, short)));
    let (_, bent) = rogue.letter();
    let mut sealed = sealed_of(&bent).to_vec();
    sealed[100] ^= 1;
    parcel.push(("REFUSED MALFORMED", SealedEnvelope::new(bent.header_bytes, sealed)));
    let (_, letter) = rogue.letter();
    parcel.push(("REFUSED MALFORMED", SealedEnvelope::new(vec![0xFF; 100], sealed_of(&letter))));
    let (header, letter) = rogue.letter();
    // A header that was changed after sealing: what it says is not what was authenticated.
    let mut changed = header;
    changed.due = Some(now().saturating_add(Duration::from_secs(1)));
    let changed = SealedEnvelope::new(wire::encode_header(&changed), sealed_of(&letter));
    parcel.push(("REFUSED MALFORMED", changed));
    let header = rogue.header();
    parcel.push(("REFUSED MALFORMED", rogue.seal_bytes(&header, b"not a content")));
    let header = rogue.header();
    let mut padded = exchange::envelope::pad(b"x").unwrap();
    padded[300] = 1;
    parcel.push(("REFUSED MALFORMED", rogue.seal_padded(&header, padded)));
    let header = rogue.header();
    parcel.push(("REFUSED MALFORMED", rogue.seal_padded(&header, vec![0; 700])));

    let content = rogue.content(Kind::ArrivalNotice);
    let mut header = rogue.header();
    header.from = area(AWAY);
    parcel.push(("REFUSED SENDER_MISMATCH", rogue.seal(&header, &content)));
    let mut header = rogue.header();
    header.to = area(AWAY);
    parcel.push(("REFUSED NOT_FOR_US", rogue.seal(&header, &content)));
    let mut header = rogue.header();
    header.expires = now().saturating_sub(Duration::from_secs(60));
    parcel.push(("REFUSED EXPIRED", rogue.seal(&header, &content)));
    let mut header = rogue.header();
    header.seal.profile = AlgorithmProfile::Shangmi;
    parcel.push(("REFUSED VERSION_UNSUPPORTED", rogue.seal(&header, &content)));
    // A document that this version does not know: field 99 of the body.
    let header = rogue.header();
    let mut unknown =
        wire::pb::message::Content { body: None, ..wire::content::content_to_pb(&content) };
    unknown.person = None;
    let mut bytes = prost::Message::encode_to_vec(&unknown);
    bytes.extend_from_slice(&[0x9A, 0x06, 0x02, 0x08, 0x01]);
    parcel.push(("REFUSED VERSION_UNSUPPORTED", rogue.seal_bytes(&header, &bytes)));

    for kind in [Kind::PregnancyReport, Kind::ContraceptionReport] {
        let mut content = rogue.content(kind);
        content.consent = None;
        content.service_request = None;
        content.basis = LawfulBasis::Consent;
        let header = rogue.header();
        parcel.push(("REFUSED BASIS_REQUIRED", rogue.seal(&header, &content)));
        // The law is no ground for it either.
        content.basis = LawfulBasis::StatutoryDuty;
        let header = rogue.header();
        parcel.push(("REFUSED BASIS_REQUIRED", rogue.seal(&header, &content)));
    }
    let content = rogue.content(Kind::ArrivalFeedback);
    let header = rogue.header();
    parcel.push(("REFUSED UNKNOWN_CASE", rogue.seal(&header, &content)));
    let mut header = rogue.header();
    header.sequence = LaneSeq::new(10 * LANE_WINDOW);
    let ahead = rogue.content(Kind::ArrivalNotice);
    parcel.push(("DEFERRED WINDOW_EXCEEDED", rogue.seal(&header, &ahead)));
    rogue.seal_for_nobody();
    parcel.push(("REFUSED SEALED_FOR_OTHER_KEY", rogue.letter().1));

    let (expected, envelopes): (Vec<_>, Vec<_>) = parcel.into_iter().unzip();
    let said = rogue.deliver(envelopes.clone()).await;
    assert_eq!(words(&said), expected);

    // Offered again: the same, and said to be so, where the place in the lane is remembered.
    let again = rogue.deliver(envelopes).await;
    for (first, second) in said.iter().zip(&again) {
        assert_eq!(first.outcome_word(), second.outcome_word());
    }
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    assert_eq!(office::list(&at_home, Direction::Received).await.len(), 1);
    assert_eq!(office::status(&at_home).await.ledger_size, 1);
    node.never_panicked();
}

/// The outcome without whether it was repeated.
trait OutcomeWord {
    fn outcome_word(&self) -> String;
}

impl OutcomeWord for exchange::receipt::Disposition {
    fn outcome_word(&self) -> String {
        match self.outcome {
            Outcome::Deferred { reason, .. } => reason.code().to_owned(),
            Outcome::Stored | Outcome::Refused { .. } => {
                word(self).trim_start_matches("DUPLICATE ").to_owned()
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_parcel_gets_no_receipt_and_costs_others_nothing() {
    let network = Network::new();
    let mut node = network.node(HOME, &[]);
    node.start();
    let mut rogue = Rogue::connect(&network, ROGUE, &node).await;
    let mut friend = Rogue::connect(&network, AWAY, &node).await;
    let stranger = Rogue::connect(&network, "440307", &node).await;

    let letters = vec![rogue.letter().1, rogue.letter().1];
    let manifest = rogue.manifest(&letters);
    let good = rogue.parcel(&manifest, letters.clone());
    let mut bad = Vec::new();
    let mut parcel = good.clone();
    parcel.signature = {
        let mut bytes = parcel.signature.to_vec();
        bytes[20] ^= 1;
        bytes.into()
    };
    bad.push(("SIGNATURE_INVALID", parcel));
    // Signed by somebody else of the network, who names himself or does not.
    let mut parcel = stranger.parcel(&manifest, letters.clone());
    parcel.chain.clone_from(&good.chain);
    bad.push(("SIGNATURE_INVALID", parcel));
    bad.push(("SENDER_MISMATCH", stranger.parcel(&manifest, letters.clone())));
    let mut other = manifest.clone();
    other.from = area(AWAY);
    bad.push(("SENDER_MISMATCH", rogue.parcel(&other, letters.clone())));
    let mut other = manifest.clone();
    other.to = area(AWAY);
    bad.push(("NOT_FOR_US", rogue.parcel(&other, letters.clone())));
    let mut other = manifest.clone();
    other.root = rogue.manifest(&letters[..1]).root;
    bad.push(("MALFORMED", rogue.parcel(&other, letters.clone())));
    let mut other = manifest.clone();
    other.count = 3;
    bad.push(("MALFORMED", rogue.parcel(&other, letters.clone())));
    let mut other = manifest.clone();
    other.signer = stranger.manifest(&letters).signer;
    bad.push(("SIGNATURE_INVALID", rogue.parcel(&other, letters.clone())));
    let mut parcel = good.clone();
    parcel.manifest_bytes = parcel.manifest_bytes.slice(..20);
    bad.push(("MALFORMED", parcel));
    let mut parcel = good.clone();
    parcel.chain = vec![vec![0x30; 50]; 2];
    bad.push(("SENDER_UNKNOWN", parcel));
    let mut parcel = good.clone();
    parcel.chain.clear();
    bad.push(("SENDER_UNKNOWN", parcel));
    let empty = rogue.manifest(&[]);
    bad.push(("MALFORMED", rogue.parcel(&empty, Vec::new())));
    let many = vec![letters[0].clone(); PARCEL_ENVELOPES_MAX + 1];
    let manifest = rogue.manifest(&many);
    bad.push(("MALFORMED", rogue.parcel(&manifest, many)));

    for (number, (expected, parcel)) in bad.into_iter().enumerate() {
        rogue.reconnect(&node).await;
        match rogue.send(parcel).await {
            Answer::Ended(code) => assert_eq!(code, expected, "parcel {number}"),
            Answer::Receipt(said) => panic!("parcel {number}, {expected}: {:?}", words(&said)),
            Answer::Custody(word) => panic!("parcel {number}, {expected}: {word:?}"),
        }
        node.logged(expected, None);
        let (_, letter) = friend.letter();
        assert_eq!(words(&friend.deliver(vec![letter]).await), ["STORED"]);
    }
    // Nothing of them was stored; the good parcel passes.
    rogue.reconnect(&node).await;
    assert_eq!(words(&rogue.deliver(letters).await), ["STORED", "STORED"]);
    node.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequences_far_ahead_wait_until_the_gap_is_closed() {
    let network = Network::new();
    let mut node = network.node(HOME, &[]);
    node.start();
    let mut rogue = Rogue::connect(&network, ROGUE, &node).await;
    let content = rogue.content(Kind::ArrivalNotice);
    let mut at = |place: u64| {
        let mut header = rogue.header();
        header.sequence = LaneSeq::new(place);
        rogue.seal(&header, &content)
    };
    let (last, beyond, end) = (at(LANE_WINDOW), at(LANE_WINDOW + 1), at(u64::MAX));
    let first = at(1);
    let said = rogue.deliver(vec![beyond.clone(), last, end]).await;
    let window = "DEFERRED WINDOW_EXCEEDED";
    assert_eq!(words(&said), [window, "STORED", window]);
    let Outcome::Deferred { until, .. } = said[0].outcome else { panic!() };
    assert!(until > said[0].decided);
    assert_eq!(words(&rogue.deliver(vec![first]).await), ["STORED"]);
    assert_eq!(words(&rogue.deliver(vec![beyond]).await), ["STORED"]);
    node.never_panicked();
}

/// An envelope that has no place in a lane does not make the node forget what it said about its neighbour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_beside_an_unreadable_envelope_stays_a_refusal() {
    let network = Network::new();
    let mut node = network.node(HOME, &[]);
    node.start();
    let mut rogue = Rogue::connect(&network, ROGUE, &node).await;
    let (_, first) = rogue.letter();
    rogue.deliver(vec![first]).await;
    // As far from the first place as the window reaches.
    rogue.next = LANE_WINDOW + 1;
    let header = rogue.header();
    let bad = rogue.seal_bytes(&header, b"no content");
    let unreadable = SealedEnvelope::new(vec![0xFF; 8], sealed_of(&bad));
    let said = words(&rogue.deliver(vec![unreadable, bad.clone()]).await);
    let again = words(&rogue.deliver(vec![bad]).await);
    assert_eq!(again, [format!("DUPLICATE {}", said[1])]);
    node.never_panicked();
}
