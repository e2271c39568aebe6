//! Counties that have ended their service: they keep no later day open, and a letter that waited for them is named.

use domain::message::Kind;
use serde_json::Value;

use crate::reconcile::{COUNTIES, PROVINCES, World, days, exchange, one};
use crate::support::{eventually, office};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_county_that_has_retired_keeps_no_later_day_open() {
    let mut world = World::new();
    let here = world.clerk(0).await;
    exchange(&here, COUNTIES, 1, 2).await;
    let retired = world.desk(COUNTIES[1]).json("node retire");
    assert_eq!(retired["reported"], true, "{retired}");
    world.counties[1].stop();

    let province = world.desk(PROVINCES[0]);
    let run = eventually("the end of its service is known to its province", || {
        let run = province.json(&format!("reconcile run --with 44 --days {}", days()));
        let run = one(&run).clone();
        (run["trouble"] == "").then_some(run)
    });
    assert_eq!((&run["state"], &run["our_entries"]), (&"EQUAL".into(), &2.into()), "{run}");
    world.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_to_a_county_that_has_retired_is_lost_and_holds_up_nobody_else() {
    let mut world = World::new();
    let here = world.clerk(0).await;
    exchange(&here, COUNTIES, 1, 2).await;
    world.counties[1].stop();
    let letter = office::message(2, COUNTIES[0], COUNTIES[1], Kind::DepartureNotice);
    let letter = office::send_when_known(&here, COUNTIES[1], &letter).await.message_id;
    // Each is away while the other is there: the letter waits when its recipient ends its service.
    world.counties[0].stop();
    world.counties[1].start();
    let desk = world.desk(COUNTIES[1]);
    eventually("the end of the service", || {
        let state = desk.json("node retire");
        (state["reported"] == true).then_some(())
    });
    world.counties[1].stop();
    world.counties[0].start();

    let province = world.desk(PROVINCES[0]);
    let ended = province.run(&format!("reconcile run --with 44 --days {} --json", days()));
    let run: Value = serde_json::from_str(&ended.out).unwrap();
    let run = one(&run);
    assert_eq!((&run["state"], &run["lost"]), (&"DECISIONS".into(), &1.into()), "{run}");
    let shown = province.json(&format!("reconcile show {}", run["number"]));
    assert!(shown.to_string().contains(&letter), "{shown}");
    assert!(!run["statement"].as_str().unwrap_or_default().is_empty(), "both have signed: {run}");
    world.never_panicked();
}
