//! After a restore, where not everybody can be called: counties that only dial out, for whom their province speaks, and
//! messages that a relay still carries.

use std::collections::BTreeSet;

use domain::access::Role;
use liangdi::cli::connect::Office;
use serde_json::Value;
use wire::pb::office::{Direction, Stage};

use crate::reconcile::{COUNTIES, PROVINCES, World, exchange, ids, restore};
use crate::reconcile_lost::{after_restore, in_state, recall};
use crate::support::desk::Desk;
use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::{eventually, eventually_async, now, office};

const REPLY: [&str; 2] = [COUNTIES[1], COUNTIES[0]];
const REPORTS: &str = "\n[reconcile]\nreport_every_s = 1\n";

/// Two provinces with a county each, of which one only dials out.
struct Country {
    network: Network,
    nodes: [Node; 4],
}

impl Country {
    /// The provinces, then the counties; `dials` is the number of the county that cannot be called, `reports` whether counties
    /// report each second.
    fn new(dials: usize, reports: bool) -> Self {
        let network = Network::new();
        let callable = COUNTIES[1 - dials];
        let knows = |n: usize| {
            let county = (COUNTIES[n] == callable).then_some(callable);
            [Some(PROVINCES[1 - n]), county].into_iter().flatten().collect::<Vec<_>>()
        };
        let mut nodes = [
            network.node(PROVINCES[0], &knows(0)),
            network.node(PROVINCES[1], &knows(1)),
            network.node(COUNTIES[0], &[PROVINCES[0]]),
            network.node(COUNTIES[1], &[PROVINCES[1]]),
        ];
        for (number, node) in nodes.iter().enumerate().skip(2) {
            node.configure(|text| {
                let text = match number == dials + 2 {
                    true => text.replace("[delivery]\n", "[delivery]\ncollects = true\n"),
                    false => text,
                };
                if reports { format!("{text}{REPORTS}") } else { text }
            });
        }
        nodes.iter_mut().for_each(Node::start);
        Self { network, nodes }
    }

    async fn clerk(&self, n: usize) -> Office {
        office::connect(&self.network.operator("clerk", COUNTIES[n], Role::Clerk)).await
    }

    fn desk(&self, area: &str) -> Desk {
        Desk::of(&self.network, area, Role::Administrator)
    }

    fn never_panicked(&self) {
        self.nodes.iter().for_each(Node::never_panicked);
    }
}

/// Waits until a province was told everything of its county until now.
fn told(province: &Desk) {
    let since = now().get();
    eventually("the province is told", || {
        let reports = province.json("reconcile reports");
        reports["reports"][0]["through_ms"].as_u64().filter(|through| *through > since)
    });
}

fn run_with<'a>(answer: &'a Value, with: &str) -> &'a Value {
    let runs = answer["reconciliations"].as_array().unwrap();
    runs.iter().find(|run| run["with"] == with).unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_with_a_county_that_only_dials_out_is_said_by_its_province() {
    let mut country = Country::new(1, true);
    let (here, there) = (country.clerk(0).await, country.clerk(1).await);
    exchange(&here, COUNTIES, 1, 1).await;
    let backups = COUNTIES.map(|county| country.desk(county).json("backup create"));
    let sent = exchange(&here, COUNTIES, 2, 1).await;
    let lost = exchange(&there, REPLY, 3, 2).await;
    told(&country.desk(PROVINCES[0]));
    // The other county loses what it had sent as well.
    let [_, _, first, second] = &mut country.nodes;
    for (node, backup) in [first, second].into_iter().zip(&backups) {
        node.kill();
        restore(node, backup);
        node.start();
    }
    told(&country.desk(PROVINCES[1]));
    let desk = country.desk(COUNTIES[0]);
    let (exit, answer) = after_restore(&desk);
    assert_eq!(exit, 1, "{answer}");
    let run = run_with(&answer, PROVINCES[1]);
    assert_eq!(run["state"], "EQUAL", "{run}");
    let run = recall(&answer);
    assert_eq!(run["state"], "DECISIONS", "{run}");
    let all: BTreeSet<String> = [lost, sent].concat().into_iter().collect();
    assert_eq!(in_state(&desk, &run, "LOST"), all);
    country.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_a_county_that_only_dials_out_collects_what_is_left_for_it() {
    let mut country = Country::new(0, false);
    let (here, there) = (country.clerk(0).await, country.clerk(1).await);
    exchange(&here, COUNTIES, 1, 1).await;
    let desk = country.desk(COUNTIES[0]);
    let backup = desk.json("backup create");
    let sent = exchange(&here, COUNTIES, 2, 3).await;
    let received = exchange(&there, REPLY, 3, 2).await;
    country.nodes[2].kill();
    restore(&country.nodes[2], &backup);
    country.nodes[2].start();
    let (exit, answer) = after_restore(&desk);
    assert_eq!(exit, 0, "{answer}");
    // By itself it would have come for it half a minute later, after twice as many.
    let comparisons = run_with(&answer, COUNTIES[1])["comparisons"].as_u64().unwrap();
    assert!(comparisons <= 5, "{answer}");
    let here = country.clerk(0).await;
    let is_back = ids(&here, Direction::Sent).await;
    assert!(sent.iter().all(|id| is_back.contains(id)), "{sent:?} of {is_back:?}");
    let is_back = ids(&here, Direction::Received).await;
    assert!(received.iter().all(|id| is_back.contains(id)), "{received:?} of {is_back:?}");
    country.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_relay_still_carries_is_not_called_lost() {
    let mut world = World::new();
    world.counties[0].stop();
    world.counties[0].configure(|text| format!("{text}{REPORTS}"));
    world.counties[0].start();
    let here = world.clerk(0).await;
    exchange(&here, COUNTIES, 1, 1).await;
    let desk = world.desk(COUNTIES[0]);
    let backup = desk.json("backup create");
    // The other county and its province are down: what is sent now lies at the own province.
    world.counties[1].stop();
    world.provinces[1].stop();
    let mut messages = office::messages(2, COUNTIES[0], COUNTIES[1]);
    let content = messages.next(domain::message::Kind::DepartureNotice).unwrap();
    let carried = office::send_when_known(&here, COUNTIES[1], &content).await.message_id;
    office::reaches(&here, &carried, Stage::AtRelay).await;
    told(&world.desk(PROVINCES[0]));
    world.counties[0].kill();
    restore(&world.counties[0], &backup);
    world.counties[1].start();
    world.counties[0].start();

    // The two counties are equal, and neither has it.
    let (exit, answer) = after_restore(&desk);
    assert_eq!(exit, 1, "{answer}");
    assert_eq!(run_with(&answer, COUNTIES[1])["state"], "EQUAL", "{answer}");
    let run = recall(&answer);
    assert_eq!((&run["state"], &run["lost"]), (&"LEFT".into(), &0.into()), "{run}");
    assert_eq!(in_state(&desk, &run, "OPEN"), BTreeSet::from([carried.clone()]));
    let notices = desk.json("notice list").to_string();
    assert!(!notices.contains("\"LOST\""), "{notices}");

    world.provinces[1].start();
    let there = world.clerk(1).await;
    eventually_async("the relay has brought it", || async {
        ids(&there, Direction::Received).await.contains(&carried).then_some(())
    })
    .await;
    // What came since needs another comparison.
    let (exit, answer) = after_restore(&desk);
    assert_eq!(exit, 0, "{answer}");
    let here = world.clerk(0).await;
    assert!(ids(&here, Direction::Sent).await.contains(&carried));
    world.never_panicked();
}
