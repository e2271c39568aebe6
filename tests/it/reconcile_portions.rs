//! Comparisons of sides of which one has far more than the other, between real nodes: in portions of days, as one run, with
//! one statement over all of it, whoever asks and whoever is killed.

use std::collections::{BTreeMap, BTreeSet};

use domain::id::MessageId;
use domain::time::{Date, UnixMillis};
use exchange::digest::Digest;
use exchange::ledger::{Direction, LedgerHead};
use exchange::reconcile::calls::ReportPart;
use exchange::reconcile::told::record;
use exchange::reconcile::{Entry, EntryState};
use liangdi::delivery::link::dial;
use liangdi::time::SystemClock;
use serde_json::Value;
use store::reconcile::month_key;
use wire::reconcile::ReconcileClient;

use crate::reconcile::{COUNTIES, PROVINCES, World, found, one};
use crate::support::{area, eventually};

/// Messages of each day.
const EACH: u8 = 6;

/// So many whole days until yesterday.
fn days(count: i32) -> Vec<Date> {
    let today = SystemClock.now().date();
    (1..=count).rev().map(|ago| today.plus_days(-ago)).collect()
}

fn range(days: &[Date]) -> String {
    format!("{}..{}", days[0], days[days.len() - 1])
}

/// Both provinces bear so many entries more than four times their own at once.
fn bear(world: &mut World, n: usize, most: u32) {
    let node = &mut world.provinces[n];
    node.kill();
    node.configure(|text| {
        let kept = text.split("\n[reconcile]").next().unwrap();
        format!("{kept}\n[reconcile]\nunmatched_max = {most}\n")
    });
    node.start();
}

/// Tells the first province, with the key of its county, that this has sent messages on each of these days that nobody else
/// knows of.
async fn report(world: &World, days: &[Date]) {
    let identity = world.network.node_certificate(area(COUNTIES[0])).identity;
    let (node, material) = (&world.provinces[0], world.network.material(identity));
    let channel = dial(node.area, &node.endpoint(), &material).await.unwrap();
    let mut client = ReconcileClient::new(channel);
    let mut by_month: BTreeMap<u32, Vec<Vec<u8>>> = BTreeMap::new();
    for day in days {
        for number in 0..EACH {
            let made = UnixMillis::new(day.begins().get() + u64::from(number) * 1_000);
            let id = MessageId::new(made, [number; 10]);
            let (from, to) = (area(COUNTIES[0]), area(COUNTIES[1]));
            let (digest, state) = (Digest::of(id.as_bytes()), EntryState::Stored);
            let entry = Entry { id, digest, from, to, state };
            let records = by_month.entry(month_key(day.month())).or_default();
            records.push(record(Direction::Sent, &entry));
        }
    }
    let head = LedgerHead { size: 9, root: Digest::of(b"a head") };
    let (incarnation, position, records) = (1, 0, Vec::new());
    let mut part = ReportPart { incarnation, month: 0, position, records, through: None, head };
    let theirs: BTreeMap<u32, u64> = client.report(&part).await.unwrap().into_iter().collect();
    for (month, records) in by_month {
        (part.month, part.records) = (month, records);
        part.position = theirs.get(&month).map_or(1, |last| last + 1);
        client.report(&part).await.unwrap();
    }
}

fn ends(world: &World, province: &str) -> Value {
    let desk = world.desk(province);
    eventually("the run ends", || {
        let run = desk.json("reconcile list")["reconciliations"][0].clone();
        assert_ne!(run["state"], "FAILED", "{run}");
        (run["state"] != "RUNNING").then_some(run)
    })
}

/// The statement of a run is about all of the days, names all that is missing, and both sides have it.
fn is_signed_over_all(world: &World, run: &Value, days: &[Date]) {
    let count = days.len() * usize::from(EACH);
    assert_eq!(run["state"], "DECISIONS", "{run}");
    let missing = format!("MISSING_AT_RECIPIENT {count}/0");
    assert_eq!(found(run), BTreeSet::from([missing]), "{run}");
    let digest = run["statement"].as_str().unwrap();
    for province in PROVINCES {
        let shown = world.desk(province).json(&format!("statement show {digest}"));
        assert_eq!(shown["left"].as_array().unwrap().len(), count, "{province}");
        assert_eq!(
            (&shown["first_day"], &shown["last_day"]),
            (&days[0].to_string().into(), &days[days.len() - 1].to_string().into()),
            "{province}: {shown}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_side_that_has_nothing_is_compared_in_portions_and_one_statement_is_about_all_days() {
    let mut world = World::new();
    let days = days(10);
    // A day has six.
    bear(&mut world, 0, 5);
    bear(&mut world, 1, 5);
    report(&world, &days).await;
    let desks = PROVINCES.map(|province| world.desk(province));
    let line = |with: &str| format!("reconcile run --with {with} --days {} --json", range(&days));

    let ended = desks[1].run(&line("41"));
    assert_ne!(ended.exit, 0, "{}", ended.out);
    let run = desks[1].json("reconcile list")["reconciliations"][0].clone();
    assert_eq!(run["state"], "FAILED", "{run}");
    let trouble = run["trouble"].as_str().unwrap();
    for part in ["DAY_TOO_LARGE", "reconcile.unmatched_max", "重启节点", &days[0].to_string()] {
        assert!(trouble.contains(part), "{trouble}");
    }

    // The number of the side that has fewer is what counts, and only that day's messages have to fit.
    bear(&mut world, 1, 7);
    let number = run["number"].clone();
    desks[1].run(&format!("reconcile resume {number} --no-wait"));
    let run = ends(&world, PROVINCES[1]);
    assert_eq!(run["number"], number);
    is_signed_over_all(&world, &run, &days);

    // The side that has everything asks: the other one refuses, and it splits.
    let ended = desks[0].run(&line("44"));
    assert_eq!(ended.exit, 1, "{}{}", ended.out, ended.err);
    let run: Value = serde_json::from_str(&ended.out).unwrap();
    is_signed_over_all(&world, one(&run), &days);
    world.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_in_portions_that_is_killed_in_the_middle_goes_on_and_signs_all_of_it() {
    for killed in [1, 0] {
        let mut world = World::new();
        let days = days(28);
        bear(&mut world, 0, 7);
        bear(&mut world, 1, 7);
        report(&world, &days).await;
        let desk = world.desk(PROVINCES[1]);
        let line = format!("reconcile run --with 41 --days {} --no-wait", range(&days));
        desk.json(&line);
        eventually("some portions were compared", || {
            let run = desk.json("reconcile list")["reconciliations"][0].clone();
            assert_eq!(run["state"], "RUNNING", "it was over before it could be killed: {run}");
            (run["comparisons"].as_u64() >= Some(3)).then_some(())
        });
        world.provinces[killed].kill();
        world.provinces[killed].start();
        let run = eventually("the run ends", || {
            let run = desk.json("reconcile list")["reconciliations"][0].clone();
            match run["state"].as_str().unwrap() {
                "RUNNING" => None,
                // The other side was away for longer than a run bears.
                "FAILED" => {
                    desk.run(&format!("reconcile resume {} --no-wait", run["number"]));
                    None
                }
                _ => Some(run),
            }
        });
        is_signed_over_all(&world, &run, &days);
        world.never_panicked();
    }
}
