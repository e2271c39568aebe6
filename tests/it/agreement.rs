//! What two counties have not agreed on does not pass, at either end; what they have agreed on does, and no more of it.

use domain::access::Role;
use domain::message::{Body, Kind};
use exchange::keys::Signer as _;
use wire::pb::message::{KindTerms, content};
use wire::pb::office::{AgreementState, Direction, EndAgreementRequest, GetMessageRequest, Stage};

use crate::support::agreement::{conclude, decide, propose, reaches, supervisor, terms};
use crate::support::desk::Desk;
use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::now;
use crate::support::office::{self, message};
use crate::support::rogue::{Rogue, words};

const HOME: &str = "410522";
const AWAY: &str = "440305";
const ROGUE: &str = "440306";

fn pair(network: &Network) -> (Node, Node) {
    let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME]));
    home.start();
    away.start();
    (home, away)
}

/// A report of a service that reveals nothing.
fn report(seed: u64) -> domain::message::Content {
    (seed..)
        .map(|seed| message(seed, AWAY, HOME, Kind::ServiceReport))
        .find(|content| content.consent.is_none() && content.service_request.is_none())
        .unwrap()
}

/// An outflow notice without a service that reveals anything.
fn outflow(seed: u64) -> domain::message::Content {
    let fits = |content: &domain::message::Content| {
        let Body::OutflowNotice(body) = &content.body else { return false };
        content.consent.is_none()
            && content.service_request.is_none()
            && body.certificate_number.is_some()
    };
    (seed..).map(|seed| message(seed, AWAY, HOME, Kind::OutflowNotice)).find(fits).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_agreed_is_not_sent_and_what_is_agreed_goes_without_the_other_fields() {
    let network = Network::new();
    let (home, away) = pair(&network);
    let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let first = message(1, AWAY, HOME, Kind::ArrivalNotice);
    let first = office::send_when_known(&at_away, HOME, &first).await;
    office::reaches(&at_away, &first.message_id, Stage::Stored).await;
    let refused = |status: tonic::Status| office::code(&status);
    let nothing = office::send(&at_away, HOME, &outflow(5), "").await;
    assert_eq!(refused(nothing.unwrap_err()), "NOT_AGREED");

    // Agreed with a shorter clock, and without the number of the certificate.
    let mut agreed = terms(&[]);
    agreed.kind_terms = vec![KindTerms {
        kind: "OutflowNotice".to_owned(),
        fields: vec!["services_wanted".to_owned()],
        days: 10,
        retention_months: 12,
    }];
    let agreement = conclude(&network, (AWAY, HOME), "", &agreed).await;
    assert!(agreement.signed_text.contains("kind OutflowNotice 10 12 services_wanted\n"));
    let sent = office::send(&at_away, HOME, &outflow(5), "").await.unwrap();
    let stored = office::reaches(&at_away, &sent.message_id, Stage::Stored).await;
    let due = domain::time::Date::from_millis(now()).plus_days(10).to_string();
    assert_eq!(stored.due_on, due);
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    for office in [&at_away, &at_home] {
        let request = GetMessageRequest {
            message_id: sent.message_id.clone(),
            access: Some(office::access()),
        };
        let read = office.messages().get_message(request).await.unwrap().into_inner();
        assert_eq!(read.track.unwrap().due_on, due);
        let Some(content::Body::OutflowNotice(body)) = read.content.unwrap().body else {
            panic!("another body")
        };
        assert_eq!(body.certificate_number, "", "it was not agreed");
    }
    let other = office::send(&at_away, HOME, &report(3), "").await;
    assert_eq!(refused(other.unwrap_err()), "NOT_AGREED");

    // The next version lists something else, and stands in place of the first.
    let id = &agreement.agreement_id;
    let next = conclude(&network, (HOME, AWAY), id, &terms(&[Kind::ServiceReport])).await;
    assert_eq!((next.version, next.agreement_id.as_str()), (2, id.as_str()));
    let gone = office::send(&at_away, HOME, &outflow(6), "").await;
    assert_eq!(refused(gone.unwrap_err()), "NOT_AGREED");
    let sent = office::send(&at_away, HOME, &report(3), "").await.unwrap();
    office::reaches(&at_away, &sent.message_id, Stage::Stored).await;
    let desk = Desk::of(&network, AWAY, Role::Supervisor);
    let shown = desk.json(&format!("agreement show {id}"));
    assert_eq!(shown["versions"][0]["state"], "REPLACED");
    assert_eq!(shown["versions"][1]["state"], "AGREED");
    for node in [home, away] {
        node.never_panicked();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposal_is_declined_with_a_reason_and_an_agreement_ends_with_notice() {
    let network = Network::new();
    let (_home, _away) = pair(&network);
    let (here, there) = (supervisor(&network, AWAY).await, supervisor(&network, HOME).await);
    let mut asked = terms(&[Kind::Inquiry]);
    asked.notice_days = 20;
    let proposed = propose(&here, HOME, "", &asked).await;
    let id = proposed.agreement_id.clone();
    let read = reaches(&there, &id, AgreementState::Proposed).await;
    assert_eq!(read.signed_text, proposed.signed_text);
    let own = wire::pb::office::DecideAgreementRequest {
        agreement_id: id.clone(),
        version: 1,
        accepted: true,
        ..Default::default()
    };
    let own = here.agreements().decide_agreement(own).await.unwrap_err();
    assert_eq!(office::code(&own), "STATE_FORBIDS", "nobody accepts for the other side");
    decide(&there, &read, "期限过长，请改为一年。").await;
    let declined = reaches(&here, &id, AgreementState::Declined).await;
    assert_eq!(declined.decision.unwrap().reason, "期限过长，请改为一年。");

    let agreed = conclude(&network, (AWAY, HOME), &id, &asked).await;
    assert_eq!(agreed.version, 2);
    let today = domain::time::Date::from_millis(now());
    let end = |days| EndAgreementRequest {
        agreement_id: id.clone(),
        last_day: today.plus_days(days).to_string(),
        reason: "机构改革，职能调整。".to_owned(),
    };
    let soon = there.agreements().end_agreement(end(19)).await.unwrap_err();
    assert_eq!(office::code(&soon), "INVALID_FIELD");
    there.agreements().end_agreement(end(20)).await.unwrap();
    let ended = reaches(&here, &id, AgreementState::Ended).await;
    assert_eq!(ended.ended_by, HOME);
    assert_eq!(ended.ending.unwrap().last_day, today.plus_days(20).to_string());
    // Until then it holds.
    let clerk = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let inquiry = (1..)
        .map(|seed| message(seed, AWAY, HOME, Kind::Inquiry))
        .find(|content| content.consent.is_none() && content.service_request.is_none());
    office::send(&clerk, HOME, &inquiry.unwrap(), "").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_holds_to_its_own_copy_whatever_the_other_side_sends() {
    let network = Network::new();
    let mut home = network.node(HOME, &[]);
    home.start();
    let mut rogue = Rogue::connect(&network, ROGUE, &home).await;
    let mut parcel = Vec::new();
    for kind in [
        Kind::OutflowNotice,
        Kind::PregnancyReport,
        Kind::ContraceptionReport,
        Kind::BirthReport,
        Kind::ServiceReport,
        Kind::ServiceReferral,
        Kind::Inquiry,
    ] {
        let content = rogue.content(kind);
        let header = rogue.header();
        parcel.push(("REFUSED NOT_AGREED", rogue.seal(&header, &content)));
    }
    // A proposal that nobody has signed, one that is signed for something else, and a good one.
    let mut content = rogue.content(Kind::AgreementProposal);
    let header = rogue.header();
    parcel.push(("REFUSED SENDER_UNKNOWN", rogue.seal(&header, &content)));
    let Body::AgreementProposal(proposal) = &mut content.body else { panic!("another body") };
    proposal.version = 1;
    let sides = (domain_area(ROGUE), domain_area(HOME));
    let id = proposal.agreement_id;
    let lines = domain::agreement::canonical_bytes(id, 1, sides, &proposal.terms);
    for (word, said) in [
        (domain::agreement::Word::Declined, "REFUSED SIGNATURE_INVALID"),
        (domain::agreement::Word::Proposed, "STORED"),
    ] {
        let bytes = domain::agreement::signed_bytes(&lines, word);
        let signature = rogue.identity.sign(exchange::keys::SignContext::Agreement, &bytes);
        let Body::AgreementProposal(proposal) = &mut content.body else { panic!("another body") };
        proposal.signature = Some(domain::agreement::OfficeSignature {
            signature: signature.unwrap(),
            chain: rogue.identity.chain_der().to_vec(),
        });
        let header = rogue.header();
        parcel.push((said, rogue.seal(&header, &content)));
    }
    // The same version cannot be proposed twice, and a proposal alone lets nothing pass.
    let header = rogue.header();
    parcel.push(("REFUSED STATE_FORBIDS", rogue.seal(&header, &content)));
    let inquiry = rogue.content(Kind::Inquiry);
    let header = rogue.header();
    parcel.push(("REFUSED NOT_AGREED", rogue.seal(&header, &inquiry)));
    let (expected, envelopes): (Vec<_>, Vec<_>) = parcel.into_iter().unzip();
    assert_eq!(words(&rogue.deliver(envelopes).await), expected);
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let kept = office::list(&at_home, Direction::Received).await;
    assert_eq!(
        kept.iter().map(|track| track.kind.as_str()).collect::<Vec<_>>(),
        ["AgreementProposal"]
    );
    home.never_panicked();
}

fn domain_area(code: &str) -> domain::area::AreaCode {
    code.parse().unwrap()
}

#[test]
fn terms_that_the_law_does_not_allow_are_refused_with_the_field() {
    let network = Network::new();
    let mut home = network.node(HOME, &[AWAY]);
    home.start();
    let desk = Desk::of(&network, HOME, Role::Supervisor);
    let propose = |more: &str| {
        desk.refused(
            &format!(
                "agreement propose --to {AWAY} --purpose health-service --valid-from 2026-01-01 \
                 --contact 值班室 {more}"
            ),
            3,
        )
    };
    let field = |trouble: serde_json::Value| trouble["fields"][0]["field"].clone();
    let year = "--valid-until 2026-12-31";
    let longer = propose(&format!("--kind Inquiry --clock Inquiry=31 {year}"));
    // Nothing can be sealed for a county that was never there; the terms are looked at only then.
    assert_eq!(longer["code"], "PEER_CARD_MISSING");
    let unnamed = propose(&format!("--kind Inquiry=Question {year}"));
    assert_eq!(field(unnamed), "terms.kind_terms.fields");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreement_is_checked_by_anybody_with_the_root_alone() {
    let network = Network::new();
    let (mut home, mut away) = pair(&network);
    let agreed = conclude(&network, (AWAY, HOME), "", &terms(&[Kind::ServiceReport])).await;
    let id = &agreed.agreement_id;
    let root = network.path("root.pem").display().to_string();
    let lists = network.path("lists.pem").display().to_string();
    let file = |name: &str| network.path(name).display().to_string();
    for (county, name) in [(HOME, "home.json"), (AWAY, "away.json")] {
        let desk = Desk::of(&network, county, Role::Supervisor);
        desk.json(&format!("agreement export {id} --out {}", file(name)));
    }
    // Neither store nor node is needed.
    for node in [&mut home, &mut away] {
        assert!(node.stop().success());
    }
    let check = |name: &str| {
        let line = format!("agreement verify {} --root {root} --crl {lists} --json", file(name));
        crate::support::desk::run(&crate::support::desk::words(&line))
    };
    for name in ["home.json", "away.json"] {
        let ended = check(name);
        assert_eq!(ended.exit, 0, "{}", ended.err);
        let proven: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!(proven["state"], "AGREED");
        assert_eq!(proven["between"], serde_json::json!([AWAY, HOME]));
        assert_eq!(proven["signed_text"], agreed.signed_text);
    }
    // Another field, another day, a word of the other side under its name, a signature left out: none of it holds.
    let whole = std::fs::read_to_string(file("home.json")).unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&whole).unwrap();
    let mut swapped = parsed.clone();
    swapped["words"][1]["signature"] = parsed["words"][0]["signature"].clone();
    swapped["words"][1]["chain"] = parsed["words"][0]["chain"].clone();
    let mut declined = parsed.clone();
    declined["words"][1]["word"] = "declined".into();
    let mut none = parsed.clone();
    none["words"] = serde_json::json!([]);
    let altered = [
        whole.replace("kind ServiceReport", "kind PregnancyReport"),
        whole.replace("retention-months 36", "retention-months 12"),
        swapped.to_string(),
        declined.to_string(),
        none.to_string(),
    ];
    for (number, text) in altered.iter().enumerate() {
        assert_ne!(*text, whole, "{number}");
        std::fs::write(file("altered.json"), text).unwrap();
        let ended = check("altered.json");
        assert_eq!(ended.exit, 3, "{number}: {}{}", ended.out, ended.err);
    }
    // Half of it proves that one side has proposed, and says so.
    let mut half = parsed.clone();
    half["words"].as_array_mut().unwrap().truncate(1);
    std::fs::write(file("half.json"), half.to_string()).unwrap();
    let ended = check("half.json");
    let proven: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(proven["state"], "PROPOSED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_provinces_have_agreed_covers_their_counties_until_these_agree_themselves() {
    const PROVINCES: [&str; 2] = ["440000", "410000"];
    let network = Network::new();
    let mut provinces = [0, 1].map(|n: usize| network.node(PROVINCES[n], &[PROVINCES[1 - n]]));
    provinces.iter_mut().for_each(Node::start);
    let (home, away) = pair(&network);
    let id =
        conclude(&network, (PROVINCES[0], PROVINCES[1]), "", &terms(&[Kind::ServiceReport])).await;
    let file = network.path("wide.json").display().to_string();
    let id = id.agreement_id;
    Desk::of(&network, PROVINCES[0], Role::Supervisor)
        .json(&format!("agreement export {id} --out {file}"));
    let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let first = message(1, AWAY, HOME, Kind::ArrivalNotice);
    office::send_when_known(&at_away, HOME, &first).await;
    let passes = |seed: u64| {
        let office = at_away.clone();
        async move { office::send(&office, HOME, &report(seed), "").await }
    };
    assert_eq!(office::code(&passes(3).await.unwrap_err()), "NOT_AGREED");
    let [at_away_desk, at_home_desk] =
        [AWAY, HOME].map(|county| Desk::of(&network, county, Role::Supervisor));
    // A file that was touched, or that is about others, is not taken over.
    let text = std::fs::read_to_string(&file).unwrap();
    let touched = network.path("touched.json").display().to_string();
    std::fs::write(&touched, text.replace("ServiceReport", "PregnancyReport")).unwrap();
    let refused = at_away_desk.refused(&format!("agreement adopt {touched}"), 3);
    assert_eq!(refused["code"], "SIGNATURE_INVALID");
    let adopted = at_away_desk.json(&format!("agreement adopt {file}"));
    assert_eq!(adopted["peer"], PROVINCES[1]);
    // The other county has not taken it over yet: its node holds to its own copy.
    let early = passes(4).await.unwrap();
    let early = office::reaches(&at_away, &early.message_id, Stage::Refused).await;
    assert_eq!(early.reason, "NOT_AGREED");
    at_home_desk.json(&format!("agreement adopt {file}"));
    at_home_desk.json(&format!("agreement adopt {file}"));
    let sent = passes(5).await.unwrap();
    office::reaches(&at_away, &sent.message_id, Stage::Stored).await;
    let listed = at_home_desk.json("agreement list");
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    // Their own agreement stands in its place, also where it allows less.
    conclude(&network, (AWAY, HOME), "", &terms(&[Kind::Inquiry])).await;
    assert_eq!(office::code(&passes(6).await.unwrap_err()), "NOT_AGREED");
    for node in provinces.iter().chain([&home, &away]) {
        node.never_panicked();
    }
}
