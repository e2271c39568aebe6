//! Hand-overs of many cases between real nodes, at the command line: proposed, approved by somebody else, carried out,
//! taken over, and to be read in the access log.

use domain::access::Role;
use domain::message::Kind;
use serde_json::Value;

use crate::support::desk::Desk;
use crate::support::network::Network;
use crate::support::{eventually, office};

const RESIDENCE: &str = "440305";
const ORIGIN: &str = "410522";
/// The office that takes over.
const THIRD: &str = "411528";

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field}: {value}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_supervisors_approve_and_a_clerk_carries_out() {
    let network = Network::new();
    let all = [RESIDENCE, ORIGIN, THIRD];
    let mut nodes: Vec<_> = all
        .iter()
        .map(|own| {
            let others: Vec<_> = all.iter().copied().filter(|other| other != own).collect();
            network.node(own, &others)
        })
        .collect();
    nodes.iter_mut().for_each(crate::support::node::Node::start);
    let asking = office::connect(&network.operator("ai", RESIDENCE, Role::Clerk)).await;
    let mut cases = Vec::new();
    for seed in 1..=3 {
        let content = office::message(seed, RESIDENCE, ORIGIN, Kind::CertificateInquiry);
        cases.push(office::send_when_known(&asking, ORIGIN, &content).await.case_id);
    }
    let clerk = Desk::at(&network, ORIGIN);
    let by = |name: &str, role| Desk { connect: network.operator(name, ORIGIN, role) };
    let (eve, dan) = (by("eve", Role::Supervisor), by("dan", Role::Supervisor));
    let shows = |desk: &Desk, case: &str, fits: &dyn Fn(&Value) -> bool| {
        eventually("the case is as it should be", || {
            let ended = desk.run(&format!("case show {case} --json"));
            let shown: Value = serde_json::from_str(&ended.out).ok()?;
            fits(&shown).then_some(())
        });
    };
    for case in &cases {
        shows(&clerk, case, &|shown| shown["stage"] == "ASKED");
    }

    // The office that is to take over is known here.
    let giving = office::connect(&network.operator("alice", ORIGIN, Role::Clerk)).await;
    let notice = office::message(9, ORIGIN, THIRD, Kind::ArrivalNotice);
    office::send_when_known(&giving, THIRD, &notice).await;
    let list = network.path("cases.txt");
    std::fs::write(&list, format!("{}\n{}\n", cases[0], cases[1])).unwrap();
    let propose = format!(
        "bulk-hand-over propose --to {THIRD} --cause office-changed --reason 机构调整 --file {}",
        list.display()
    );
    clerk.refused(&propose, 3);
    let proposed = eve.json(&propose);
    let id = text(&proposed, "bulk_id").to_owned();
    let carry_out = format!("bulk-hand-over carry-out {id}");
    assert_eq!(clerk.refused(&carry_out, 3)["code"], "APPROVAL_MISSING");
    let approve = format!("bulk-hand-over approve {id}");
    assert_eq!(eve.refused(&approve, 3)["code"], "APPROVAL_MISSING", "the same person twice");
    let approved = dan.json(&approve);
    assert_eq!(text(&approved, "bulk_state"), "APPROVED");
    let more = format!("{carry_out} --file {} --case {}", list.display(), cases[2]);
    assert_eq!(clerk.refused(&more, 3)["code"], "APPROVAL_MISSING", "another list");
    let done = clerk.json(&carry_out);
    assert_eq!((text(&done, "bulk_state"), done["offered"].as_u64()), ("DONE", Some(2)));

    let third = Desk::at(&network, THIRD);
    for case in &cases[..2] {
        shows(&third, case, &|shown| shown["stage"] == "OFFERED");
        third.step(case, "accept");
        shows(&third, case, &|shown| shown["stage"] == "ASKED" && shown["turn"] == THIRD);
    }
    shows(&clerk, &cases[2], &|shown| shown["turn"] == ORIGIN);

    let auditor = Desk::of(&network, ORIGIN, Role::Auditor);
    for (action, operator, count) in
        [("propose", "eve", 1), ("approve", "dan", 1), ("hand-over", "alice", 1)]
    {
        let line = format!("audit list --operator {operator} --action {action}");
        let entries = auditor.json(&line)["entries"].as_array().unwrap().clone();
        assert_eq!(entries.len(), count, "{action}");
        assert_eq!(entries[0]["message_id"], id.as_str());
    }
    let sent = auditor.json("audit list --operator alice --action send");
    let sent = sent["entries"].as_array().unwrap();
    assert!(sent.len() >= 2 && sent.iter().all(|e| text(e, "person").len() == 64), "{sent:?}");
    let seen = auditor.json("bulk-hand-over list");
    assert_eq!(seen["bulks"][0]["size"].as_u64(), Some(2), "a hand-over of many is no secret");
    nodes.iter().for_each(crate::support::node::Node::never_panicked);
}
