//! Random re-checks: settled before anybody sees them, drawn again by anybody, and counted as accuracy.

use std::process::Command;

use domain::access::Role;
use domain::message::Kind;
use domain::time::Date;
use serde_json::Value;
use wire::pb::office as pb;

use crate::support::desk::{Desk, run, words};
use crate::support::network::Network;
use crate::support::{now, office};

const HOME: &str = "410522";
const AWAY: &str = "440305";
const PAGE: &str = include_str!("../../docs/draw.md");

/// The month whose cut-off comes next.
fn this_month() -> String {
    let today = Date::from_millis(now());
    let closing = if today.day() > 20 { today.plus_days(12) } else { today };
    format!("{}-{:02}", closing.year(), closing.month_of_year())
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field}: {value}"))
}

/// Runs the program of the page, as it stands there, on a file.
fn python_of_the_page(paper: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("draw.json"), paper).unwrap();
    let program = PAGE.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let ran = Command::new("python3").current_dir(dir.path()).args(["-c", program]).output();
    ran.unwrap().status.success()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draw_is_settled_before_it_is_seen_and_anybody_draws_the_same_again() {
    let network = Network::new();
    let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME]));
    home.start();
    away.start();
    let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let mut ids = Vec::new();
    for seed in 1..=25 {
        let content = office::message(seed, AWAY, HOME, Kind::DepartureNotice);
        ids.push(office::send_when_known(&at_away, HOME, &content).await.message_id);
    }
    for id in &ids {
        office::reaches(&at_away, id, pb::Stage::Stored).await;
    }

    let (desk, clerk) = (Desk::of(&network, HOME, Role::Supervisor), Desk::at(&network, HOME));
    let month = this_month();
    let begin = format!("draw begin {month} --from received --kind DepartureNotice --size 6");
    clerk.refused(&begin, 3);
    let begun = desk.json(&begin);
    let draw = text(&begun, "draw_id").to_owned();
    assert_eq!((begun["population"].as_u64(), begun["size"].as_u64()), (Some(25), Some(6)));
    assert!(begun["sample"].as_array().unwrap().is_empty() && text(&begun, "seed").is_empty());
    desk.refused(&format!("draw record {draw} {} --right true", ids[0]), 3);
    desk.refused(&format!("draw begin {month} --from received --kind BirthReport --size 6"), 5);
    let too_many = format!("draw begin {month} --from received --kind DepartureNotice --size 501");
    assert_ne!(desk.run(&too_many).exit, 0);

    let published = desk.json(&format!("draw publish {draw}"));
    let out = network.path("draw.json");
    let exported = desk.json(&format!("draw export {draw} --out {}", out.display()));
    assert_eq!(exported["holds"], true, "{exported}");
    let paper = std::fs::read_to_string(&out).unwrap();
    for id in &ids {
        assert!(paper.contains(id.as_str()), "everything that was drawn from is there");
    }
    assert!(python_of_the_page(&paper), "the page says how it is drawn");
    let told = text(&begun, "seed_sha256");
    let verify = |file: &str| run(&words(&format!("draw verify {file} --seed-sha256 {told}")));
    assert_eq!(verify(&out.display().to_string()).exit, 0, "no node is needed");
    let altered = network.path("altered.json");
    let sample: Vec<&str> =
        published["sample"].as_array().unwrap().iter().map(|item| text(item, "id")).collect();
    let left_out = ids.iter().find(|id| !sample.contains(&id.as_str())).unwrap();
    let (first, rest) = paper.split_once(sample[0]).unwrap();
    std::fs::write(&altered, format!("{first}{left_out}{rest}")).unwrap();
    assert_eq!(verify(&altered.display().to_string()).exit, 3);
    assert!(!python_of_the_page(&std::fs::read_to_string(&altered).unwrap()));
    let other = format!("draw verify {} --seed-sha256 {}", out.display(), "00".repeat(32));
    assert_eq!(run(&words(&other)).exit, 3, "another seed than the one that was told");

    for (place, id) in sample.iter().enumerate() {
        desk.json(&format!("draw record {draw} {id} --right {}", place != 2));
    }
    desk.refused(&format!("draw record {draw} {left_out} --right true"), 5);
    let found = clerk.json("draw list");
    assert_eq!((found[0]["rechecked"].as_u64(), found[0]["right"].as_u64()), (Some(6), Some(5)));

    // What was found is the accuracy, and it opens into the items.
    let shown = desk.json(&format!("indicator show {month}"));
    let number = shown["indicators"].as_array().unwrap().iter();
    let number = number.clone().find(|n| n["indicator"] == "ACCURACY").unwrap();
    assert_eq!((number["numerator"].as_u64(), number["denominator"].as_u64()), (Some(5), Some(6)));
    let line =
        format!("indicator cases {month} --indicator accuracy --of {HOME} --kind DepartureNotice");
    let cases = desk.json(&line)["cases"].as_array().unwrap().clone();
    let wrong: Vec<_> = cases.iter().filter(|case| case["counted"] == false).collect();
    assert_eq!((cases.len(), wrong.len(), text(wrong[0], "id")), (6, 1, sample[2]));
    let csv = network.path("indicators.csv");
    desk.json(&format!("indicator show {month} --out {}", csv.display()));
    let csv = std::fs::read_to_string(&csv).unwrap();
    let line = csv.lines().find(|line| line.contains(",ACCURACY,")).unwrap();
    assert!(line.ends_with(",<5,<5"), "one wrong one is a small count: {line}");
    home.never_panicked();
}
