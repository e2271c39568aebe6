//! A node that does nothing: how soon it is ready and how much memory it takes with many people in its store.
//!
//! `LIANGDI_PERSONS` sets how many; the promise is 100,000 in under a second and under 100 MB, in a release build.

use std::time::{Duration, Instant};

use domain::access::Role;
use liangdi::cli::connect::ConnectArgs;
use wire::pb::office as pb;

use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::{office, setting};

const AWAY: &str = "440305";
const HOME: &str = "410522";
/// Clerks who enter people at the same time, so that a group of them shares a flush.
const CLERKS: u64 = 64;

/// Resident memory of a process, in megabytes.
fn memory_mb(node: &Node) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

async fn fill(operator: &ConnectArgs, persons: u64) {
    let office = office::connect(operator).await;
    let mut clerks = tokio::task::JoinSet::new();
    for clerk in 0..CLERKS {
        let office = office.clone();
        clerks.spawn(async move {
            for number in (clerk..persons).step_by(CLERKS as usize) {
                let request = office::arrival(1_000_000 + number, HOME, AWAY);
                match office.registrations().register_arrival(request).await {
                    Ok(_) => {}
                    // Two of so many synthetic people may have one number.
                    Err(status) if office::code(&status) == "ALREADY_EXISTS" => {}
                    Err(status) => panic!("{status:?}"),
                }
            }
        });
    }
    while let Some(done) = clerks.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_node_is_ready_soon_and_small() {
    let persons = setting("LIANGDI_PERSONS", 2_000_u64);
    let network = Network::new();
    let mut node = network.node(AWAY, &[HOME]);
    node.start();
    let operator = network.operator("ai", AWAY, Role::Clerk);
    let began = Instant::now();
    fill(&operator, persons).await;
    println!("idle: {persons} persons entered in {:?}", began.elapsed());
    let busy = memory_mb(&node);
    assert!(node.stop().success());

    let began = Instant::now();
    node.start();
    let ready = began.elapsed();
    let status = office::status_of(&operator).await.unwrap();
    assert!(status.serving);
    let person = office::arrival(1_000_000, HOME, AWAY).person.unwrap();
    let find = pb::FindPersonRequest { document: person.document, access: Some(office::access()) };
    let office = office::connect(&operator).await;
    let asked = Instant::now();
    office.registrations().find_person(find).await.unwrap();
    let found = asked.elapsed();
    let idle = memory_mb(&node);
    node.kill();
    let began = Instant::now();
    node.start();
    let after_kill = began.elapsed();
    println!(
        "idle: {persons} persons; ready in {ready:?} ({after_kill:?} after kill -9), {idle:.0} MB idle \
         ({busy:.0} MB after entering), a person found in {found:?}"
    );
    // Generous: the machine of a test is busy with other tests.
    assert!(ready < Duration::from_secs(10) && after_kill < Duration::from_secs(20));
    assert!(idle < 200.0, "{idle} MB");
    assert!(node.stop().success());
}
