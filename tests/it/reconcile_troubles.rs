//! What a reconciliation meets between real nodes: counties that do not report, refusals that one side has forgotten, and peers
//! that say what cannot be.

use std::collections::BTreeSet;

use domain::id::MessageId;
use domain::message::{ArrivalFeedback, ArrivalOutcome, Body, Content, Kind};
use exchange::digest::Digest;
use exchange::reconcile::session::{Answer, Ask};
use exchange::reconcile::set::Scope;
use liangdi::cli::connect::Office;
use liangdi::delivery::link::dial;
use liangdi::time::SystemClock;
use serde_json::Value;
use tokio_stream::StreamExt as _;
use wire::client::CallError;
use wire::pb::office::Stage;
use wire::reconcile::ReconcileClient;

use crate::reconcile::{COUNTIES, PROVINCES, World, days, exchange, found, one, restore};
use crate::support::{area, eventually, in_time, office};

const REPLY: [&str; 2] = [COUNTIES[1], COUNTIES[0]];

/// The answer to an arrival notice.
fn answer(asked: &str, notice: &Content) -> Content {
    Content {
        case: None,
        in_reply_to: Some(asked.parse::<MessageId>().unwrap()),
        body: Body::ArrivalFeedback(ArrivalFeedback {
            outcome: ArrivalOutcome::Confirmed,
            corrected_name: None,
            moved_to_area: None,
            note: None,
        }),
        ..notice.clone()
    }
}

async fn reaches(office: &Office, id: &str, stage: Stage) {
    office::reaches(office, id, stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_its_recipient_has_forgotten_is_shown_to_it() {
    let mut world = World::new();
    let (here, there) = (world.clerk(0).await, world.clerk(1).await);
    exchange(&here, COUNTIES, 1, 1).await;
    let backup = world.desk(COUNTIES[0]).json("backup create");
    let notice = office::message(2, COUNTIES[0], COUNTIES[1], Kind::ArrivalNotice);
    let asked = office::send_when_known(&here, COUNTIES[1], &notice).await.message_id;
    reaches(&here, &asked, Stage::Stored).await;

    // Restored, it knows nothing of its question, and refuses the answer; restored once more, nothing of that either.
    for _ in 0..2 {
        world.counties[0].kill();
        restore(&world.counties[0], &backup);
        world.counties[0].start();
        if office::track(&there, &asked).await.stage() != Stage::Answered {
            let answer = answer(&asked, &notice);
            let back = office::send_when_known(&there, COUNTIES[0], &answer).await.message_id;
            reaches(&there, &back, Stage::Refused).await;
        }
    }
    let province = world.desk(PROVINCES[0]);
    let run = province.json(&format!("reconcile run --with 44 --days {}", days()));
    let run = one(&run);
    assert_eq!(run["state"], "EQUAL", "{run}");
    let expected = ["MISSING_AT_RECIPIENT 1/1", "MISSING_AT_SENDER 1/1"].map(str::to_owned);
    assert_eq!(found(run), BTreeSet::from(expected), "{run}");
    let again = province.json(&format!("reconcile run --with 44 --days {}", days()));
    assert_eq!(found(one(&again)), BTreeSet::new(), "both know of the refusal");
    world.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_county_that_has_not_reported_is_named_and_asked_again() {
    let mut world = World::new();
    let here = world.clerk(0).await;
    exchange(&here, COUNTIES, 1, 3).await;
    world.counties[1].kill();

    let province = world.desk(PROVINCES[0]);
    province.json(&format!("reconcile run --with 44 --days {} --no-wait", days()));
    let names = |run: &Value| {
        let all = run["differences"].as_array().cloned().unwrap_or_default();
        all.iter().map(|it| it["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    eventually("the county is named", || {
        let run = province.json("reconcile show 1");
        let counted = found(&run["reconciliation"]);
        let listed = names(&run);
        (counted.iter().any(|it| it.starts_with("NOT_REPORTED 3/"))
            || listed.iter().filter(|name| *name == "NOT_REPORTED").count() == 3)
            .then_some(())
    });
    world.counties[1].start();
    eventually("the run ends", || {
        let list = province.json("reconcile list");
        (list["reconciliations"][0]["state"] == "EQUAL").then_some(())
    });
    let list = province.json("reconcile list");
    assert!(found(&list["reconciliations"][0]).len() <= 1);
    world.never_panicked();
}

/// A line to a province as the node of the other one, whose key somebody has.
async fn line(world: &World) -> ReconcileClient {
    let identity = world.network.node_certificate(area(PROVINCES[1])).identity;
    let node = &world.provinces[0];
    let material = world.network.material(identity);
    ReconcileClient::new(dial(node.area, &node.endpoint(), &material).await.unwrap())
}

fn scope(asker: &str, answerer: &str) -> Scope {
    let now = SystemClock.now();
    let (asker, answerer) = (area(asker), area(answerer));
    let (first, last) = (now.date().plus_days(-2), now.date());
    Scope { asker, answerer, first, last, until: now }
}

fn open(scope: Scope) -> Ask {
    let hint = exchange::reconcile::key::Sum { count: 5, digest: 7 };
    let sketch = [9; exchange::reconcile::sample::SKETCH_BYTES];
    let sample = Box::new(exchange::reconcile::sample::Sample { hint, sketch });
    Ask::Open { scope, nonce: [7; 16], sample, incomplete: Vec::new() }
}

/// Says all of that, and gives the code of the error that it ends with.
async fn ends(world: &World, asks: Vec<Ask>) -> String {
    let mut client = line(world).await;
    let mut answers = client.compare(tokio_stream::iter(asks)).await.unwrap();
    loop {
        match in_time("an answer", answers.next()).await {
            Some(Ok(_)) => {}
            Some(Err(CallError::Status(status))) => return office::code(&status),
            other => return format!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_peer_says_ends_in_a_named_error_and_the_node_goes_on() {
    let world = World::new();
    let here = world.clerk(0).await;
    exchange(&here, COUNTIES, 1, 3).await;
    let ours = scope(PROVINCES[1], PROVINCES[0]);
    let lie = exchange::reconcile::Entry {
        id: MessageId::new(SystemClock.now(), [1; 10]),
        digest: exchange::digest::Digest::of(b"a lie"),
        from: area(COUNTIES[0]),
        to: area(COUNTIES[1]),
        state: exchange::reconcile::EntryState::Stored,
    };
    let until = SystemClock.now().saturating_add(std::time::Duration::from_secs(3_600));
    let lying = exchange::reconcile::difference::Difference {
        name: exchange::reconcile::difference::DifferenceName::ContentDiffers,
        sender: Some(lie),
        recipient: Some(lie),
    };
    let cases = vec![
        ("MALFORMED", vec![Ask::List]),
        ("NOT_FOR_US", vec![open(scope(PROVINCES[0], PROVINCES[1]))]),
        ("NOT_FOR_US", vec![open(Scope { first: ours.last, last: ours.first, ..ours })]),
        ("MALFORMED", vec![open(ours), open(ours)]),
        ("TOO_LARGE", vec![open(ours), Ask::More { through: u32::MAX }]),
        ("MALFORMED", vec![open(ours), Ask::Enough { wanted: vec![lie.id; 1_025] }]),
        (
            "RECONCILE_INCONSISTENT",
            vec![
                open(Scope { until, ..ours }),
                Ask::Found { differences: vec![lying], before: 0, last: true },
            ],
        ),
    ];
    for (code, asks) in cases {
        let what = format!("{asks:?}");
        assert_eq!(ends(&world, asks).await, code, "{}", &what[..what.len().min(200)]);
    }
    // An honest comparison after all of that.
    let run = world.desk(PROVINCES[1]).json(&format!("reconcile run --with 41 --days {}", days()));
    assert_eq!(one(&run)["state"], "EQUAL", "{run}");
    // A county may not be asked to cure by anybody but its province.
    let identity = world.network.node_certificate(area(PROVINCES[1])).identity;
    let (county, material) = (&world.counties[0], world.network.material(identity));
    let channel = dial(county.area, &county.endpoint(), &material).await.unwrap();
    let refused = ReconcileClient::new(channel).carry_out(&[]).await.unwrap_err();
    assert!(matches!(&refused, CallError::Status(status) if office::code(status) == "NOT_FOR_US"));
    let of = |answer: Answer| matches!(answer, Answer::Opened { .. });
    let mut client = line(&world).await;
    let mut answers = client.compare(tokio_stream::iter(vec![open(ours)])).await.unwrap();
    assert!(of(in_time("an answer", answers.next()).await.unwrap().unwrap()));
    world.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_county_reconciles_with_the_office_of_its_own_province() {
    let mut world = World::new();
    let here = world.clerk(0).await;
    let pair = [COUNTIES[0], PROVINCES[0]];
    exchange(&here, pair, 1, 2).await;
    let backup = world.desk(COUNTIES[0]).json("backup create");
    exchange(&here, pair, 2, 3).await;
    // What it has with others is no part of it.
    exchange(&here, COUNTIES, 3, 1).await;
    world.counties[0].kill();
    restore(&world.counties[0], &backup);
    world.counties[0].start();

    let run = world.desk(COUNTIES[0]).json(&format!("reconcile run --with 41 --days {}", days()));
    let run = one(&run);
    assert_eq!(run["state"], "EQUAL", "{run}");
    assert_eq!(found(run), BTreeSet::from(["MISSING_AT_SENDER 3/3".to_owned()]), "{run}");
    assert_eq!(run["our_entries"], 5, "{run}");
    // From above as well.
    let line = format!("reconcile run --with {} --days {}", COUNTIES[0], days());
    let again = world.desk(PROVINCES[0]).json(&line);
    assert_eq!(one(&again)["state"], "EQUAL", "{again}");
    assert_eq!((&one(&again)["our_entries"], found(one(&again))), (&5.into(), BTreeSet::new()));
    world.never_panicked();
}

/// Tells a province what the node of a county never said, with the county's key, which somebody has: it has something
/// else under the message.
pub async fn report_content(world: &World, n: usize, id: &str, digest: Digest) {
    let identity = world.network.node_certificate(area(COUNTIES[n])).identity;
    let (node, material) = (&world.provinces[n], world.network.material(identity));
    let channel = dial(node.area, &node.endpoint(), &material).await.unwrap();
    let mut client = ReconcileClient::new(channel);
    let id: MessageId = id.parse().unwrap();
    let entry = exchange::reconcile::Entry {
        id,
        digest,
        from: area(COUNTIES[1 - n]),
        to: area(COUNTIES[n]),
        state: exchange::reconcile::EntryState::Stored,
    };
    let head = exchange::ledger::LedgerHead { size: 9, root: entry.digest };
    let mut part = exchange::reconcile::calls::ReportPart {
        incarnation: 1,
        month: 0,
        position: 0,
        records: Vec::new(),
        through: None,
        head,
    };
    let theirs = client.report(&part).await.unwrap();
    let (month, last) = *theirs.last().expect("the county has reported");
    let direction = exchange::ledger::Direction::Received;
    (part.month, part.position) = (month, last + 1);
    part.records = vec![exchange::reconcile::told::record(direction, &entry)];
    let tomorrow = std::time::Duration::from_secs(86_400);
    part.through = Some(SystemClock.now().saturating_add(tomorrow));
    client.report(&part).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_content_under_one_id_is_shown_to_the_people_of_both_sides_with_both_versions() {
    let mut world = World::new();
    let here = world.clerk(0).await;
    let sent = exchange(&here, COUNTIES, 1, 2).await;
    let line = format!("reconcile run --with 44 --days {}", days());
    let province = world.desk(PROVINCES[0]);
    assert_eq!(one(&province.json(&line))["state"], "EQUAL");

    world.counties[1].kill();
    report_content(&world, 1, &sent[0], Digest::of(b"other content")).await;
    let ended = province.run(&format!("{line} --json"));
    assert_eq!(ended.exit, 1, "{}{}", ended.out, ended.err);
    let run: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(one(&run)["state"], "DECISIONS", "{run}");
    assert_eq!(found(one(&run)), BTreeSet::from(["CONTENT_DIFFERS 1/0".to_owned()]));

    // Both provinces, and the county that can be reached; the other one's comes when it can.
    let mut true_digest = String::new();
    for office in [PROVINCES[0], PROVINCES[1], COUNTIES[0]] {
        let desk = world.desk(office);
        let shown = eventually("the people are told", || {
            let shown = desk.json("reconcile decisions")["differences"].clone();
            (!shown.as_array().unwrap().is_empty()).then_some(shown)
        });
        assert_eq!(shown.as_array().unwrap().len(), 1, "{office}: {shown}");
        let it = &shown[0];
        assert_eq!(
            (&it["message_id"], &it["name"]),
            (&sent[0].as_str().into(), &"CONTENT_DIFFERS".into())
        );
        let digests = ["sender", "recipient"].map(|side| it[side]["digest"].as_str().unwrap());
        assert_ne!(digests[0], digests[1], "{office}: {shown}");
        assert_eq!(digests[1], Digest::of(b"other content").to_string());
        true_digest = digests[0].to_owned();
        let notices = desk.json("notice list");
        assert!(notices.to_string().contains("CONTENT_DIFFERS"), "{office}: {notices}");
    }
    a_clerk_decides(&world, &sent[0], &line).await;

    // The county that was wrong tells what it has: both sides say the same, and nobody has anything to decide any more.
    report_content(&world, 1, &sent[0], digest(&true_digest)).await;
    let run = province.json(&line);
    assert_eq!(one(&run)["state"], "EQUAL", "{run}");
    for office in [PROVINCES[0], PROVINCES[1], COUNTIES[0]] {
        let desk = world.desk(office);
        let all = eventually("it is over", || {
            let all = desk.json("reconcile decisions --all")["differences"].clone();
            (all[0]["state"] == "CURED").then_some(all)
        });
        assert_eq!(all[0]["decided_by"] == "", office != PROVINCES[0], "{all}");
    }
    world.never_panicked();
}

fn digest(hex: &str) -> Digest {
    let byte = |at: usize| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap();
    Digest::new(std::array::from_fn(byte))
}

/// One of the offices closes its list with a reason; the same found again does not open it.
async fn a_clerk_decides(world: &World, id: &str, line: &str) {
    let of = |role| crate::support::desk::Desk::of(&world.network, PROVINCES[0], role);
    let (clerk, auditor) = (of(domain::access::Role::Clerk), of(domain::access::Role::Auditor));
    let decide = format!("reconcile decide {id} --reason 已与对方核对以发方为准");
    assert_eq!(world.desk(PROVINCES[0]).refused(&decide, 3)["code"], "ROLE_REQUIRED");
    let decided = clerk.json(&decide);
    assert_eq!(decided["difference"]["state"], "DECIDED", "{decided}");
    let open = clerk.json("reconcile decisions")["differences"].clone();
    assert_eq!(open, Value::Array(Vec::new()));
    world.desk(PROVINCES[0]).run(line);
    let all = clerk.json("reconcile decisions --all")["differences"].clone();
    assert_eq!(all[0]["state"], "DECIDED", "{all}");
    assert_eq!(all[0]["decision_reason"], "已与对方核对以发方为准");
    let log = auditor.json("audit list").to_string();
    assert!(log.contains("DECIDE") && log.contains(id), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_recipient_hands_back_and_has_altered_is_not_taken() {
    let mut world = World::new();
    let here = world.clerk(0).await;
    let backup = world.desk(COUNTIES[0]).json("backup create");
    let lost = exchange(&here, COUNTIES, 1, 1).await;
    let id: MessageId = lost[0].parse().unwrap();
    world.counties[0].kill();
    restore(&world.counties[0], &backup);
    world.counties[0].start();
    let line = |from: usize, to: usize| {
        let identity = world.network.node_certificate(area(COUNTIES[from])).identity;
        let (node, material) = (&world.counties[to], world.network.material(identity));
        async move {
            let channel = dial(node.area, &node.endpoint(), &material).await.unwrap();
            ReconcileClient::new(channel)
        }
    };
    // The true proof, and an envelope that somebody has made for it.
    let proof = line(0, 1).await.issue_again(id).await.unwrap();
    let header = exchange::envelope::Header {
        message_id: id,
        from: area(COUNTIES[0]),
        to: area(COUNTIES[1]),
        epoch: proof.epoch,
        sequence: proof.sequences[0],
        created: SystemClock.now(),
        expires: SystemClock.now().saturating_add(std::time::Duration::from_secs(86_400)),
        due: None,
        seal: exchange::envelope::SealHeader {
            profile: exchange::envelope::AlgorithmProfile::International,
            recipient_key_id: [1; 8],
            encapsulated_key: [2; 32],
            counter: 3,
        },
    };
    let other = exchange::digest::Digest::of(b"another body");
    let envelope =
        exchange::envelope::SealedEnvelope::withdrawn(wire::encode_header(&header), other);
    let back = exchange::reconcile::calls::HandedBack {
        envelope,
        proof,
        secret: None,
        question_follows: false,
    };
    let mut unsigned = back.clone();
    let mut signature = unsigned.proof.receipt.signature.to_vec();
    *signature.last_mut().unwrap() ^= 1;
    unsigned.proof.receipt.signature = signature.into();
    for (back, code) in [(back, "MALFORMED"), (unsigned, "SIGNATURE_INVALID")] {
        let refused = line(1, 0).await.take_back(back).await.unwrap_err();
        let CallError::Status(status) = &refused else { panic!("{refused}") };
        assert_eq!(office::code(status), code);
    }
    let here = world.clerk(0).await;
    assert!(office::list(&here, wire::pb::office::Direction::Sent).await.is_empty());
    // The recipient itself hands it back as it was.
    let run = world.desk(COUNTIES[0]).json("reconcile run --after-restore");
    assert_eq!(one(&run)["state"], "EQUAL", "{run}");
    let tracks = office::list(&here, wire::pb::office::Direction::Sent).await;
    assert_eq!(tracks.len(), 1);
    world.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_county_that_only_dials_out_gets_its_cures_through_its_province() {
    let network = crate::support::network::Network::new();
    let nodes = [
        (PROVINCES[0], vec![PROVINCES[1]]),
        (PROVINCES[1], vec![PROVINCES[0], COUNTIES[1]]),
        (COUNTIES[0], vec![PROVINCES[0]]),
        (COUNTIES[1], vec![PROVINCES[1]]),
    ];
    let mut nodes = nodes.map(|(own, peers)| network.node(own, &peers));
    // Nobody knows where the first county could be called.
    nodes[2].configure(|text| {
        let text = text.replace("[delivery]\n", "[delivery]\ncollects = true\n");
        format!("{text}\n[reconcile]\nreport_every_s = 1\n")
    });
    nodes.iter_mut().for_each(crate::support::node::Node::start);
    let clerk = |own: &'static str| {
        let operator = network.operator("clerk", own, domain::access::Role::Clerk);
        async move { office::connect(&operator).await }
    };
    let desk = |own: &str| {
        crate::support::desk::Desk::of(&network, own, domain::access::Role::Administrator)
    };
    let (here, there) = (clerk(COUNTIES[0]).await, clerk(COUNTIES[1]).await);
    exchange(&here, COUNTIES, 1, 2).await;
    let backup = desk(COUNTIES[0]).json("backup create");
    let theirs = desk(COUNTIES[1]).json("backup create");
    let lost = exchange(&here, COUNTIES, 2, 3).await;
    let received = exchange(&there, REPLY, 3, 2).await;
    nodes[2].kill();
    restore(&nodes[2], &backup);
    nodes[2].start();
    let here = clerk(COUNTIES[0]).await;
    let restarted = crate::support::now().get();
    eventually("the county has told what it has now", || {
        let reports = desk(PROVINCES[0]).json("reconcile reports");
        reports["reports"][0]["through_ms"].as_u64().filter(|through| *through > restarted)
    });

    let run = desk(PROVINCES[0]).json(&format!("reconcile run --with 44 --days {}", days()));
    let run = one(&run);
    assert_eq!(run["state"], "EQUAL", "{run}");
    // Some may have been seen first before the county had reported of that time, and keep the name of that.
    let cured =
        run["differences"].as_array().unwrap().iter().map(|it| it["cured"].as_u64().unwrap());
    assert_eq!(cured.sum::<u64>(), 5, "{run}");
    let ids = |direction| crate::reconcile::ids(&here, direction);
    let sent = ids(wire::pb::office::Direction::Sent).await;
    assert!(lost.iter().all(|id| sent.contains(id)), "{sent:?}");
    let got = ids(wire::pb::office::Direction::Received).await;
    assert!(received.iter().all(|id| got.contains(id)), "{got:?}");

    // The other county loses its disk: it asks the province of the one that cannot be called.
    nodes[3].kill();
    restore(&nodes[3], &theirs);
    nodes[3].start();
    let run = desk(COUNTIES[1]).json("reconcile run --after-restore");
    let runs = run["reconciliations"].as_array().unwrap();
    assert!(runs.iter().any(|run| run["with"] == PROVINCES[0]), "{run}");
    assert_eq!(run["left_out"], Value::Array(Vec::new()));
    let there = clerk(COUNTIES[1]).await;
    let sent = crate::reconcile::ids(&there, wire::pb::office::Direction::Sent).await;
    assert!(received.iter().all(|id| sent.contains(id)), "{sent:?}");
    let got = crate::reconcile::ids(&there, wire::pb::office::Direction::Received).await;
    assert!(lost.iter().all(|id| got.contains(id)), "{got:?}");
    nodes.iter().for_each(crate::support::node::Node::never_panicked);
}
