//! How days are closed between real nodes: once, by the same statement on both sides, whoever asks, and not before every
//! county has reported them.

use domain::time::Date;
use exchange::digest::Digest;
use exchange::keys::{SignContext, Signer as _};
use exchange::reconcile::calls::{Agreed, Signature};
use exchange::reconcile::difference::{Difference, DifferenceName};
use exchange::reconcile::set::Scope;
use exchange::reconcile::statement::{LeftRest, Statement};
use exchange::reconcile::totals::{Digests, Totals};
use exchange::reconcile::{Entry, EntryState};
use liangdi::delivery::link::dial;
use liangdi::time::SystemClock;
use serde_json::Value;
use wire::client::CallError;
use wire::pb::office::Direction;
use wire::reconcile::{
    ReconcileClient, decode_signed_statement, decode_statement, encode_statement,
};

use crate::reconcile::{COUNTIES, PROVINCES, World, days, exchange, ids, one, restore};
use crate::support::{area, eventually, office};

/// First and last day of the month that was over so many months ago, and its name.
pub fn month(ago: usize) -> (Date, Date, String) {
    let this = SystemClock.now().date().month();
    let month = (0..ago).fold(this, |month, _| month.prev());
    (month.first(), month.last(), format!("{}-{:02}", month.year(), month.number()))
}

/// A statement of the second province over days of which neither side has a message.
fn statement((first, last): (Date, Date)) -> Statement {
    let (asker, answerer) = (area(PROVINCES[1]), area(PROVINCES[0]));
    let now = SystemClock.now();
    Statement {
        id: [5; 16],
        scope: Scope { asker, answerer, first, last, until: now },
        made: now,
        totals: Totals::default(),
        digests: Digests::default(),
        found: [0; 6],
        cured: [0; 6],
        left: Vec::new(),
        left_more: Vec::new(),
        left_rest: LeftRest::default(),
        lost: Vec::new(),
        corrections: Vec::new(),
        incomplete: Vec::new(),
    }
}

/// Asks the first province with the key of the second one; that node itself hears nothing of the answer.
async fn ask(world: &World, statement: &Statement) -> Result<Agreed, CallError> {
    ask_bytes(world, encode_statement(statement)).await
}

async fn ask_bytes(world: &World, bytes: Vec<u8>) -> Result<Agreed, CallError> {
    let identity = world.network.node_certificate(area(PROVINCES[1])).identity;
    let signature = identity.sign(SignContext::Statement, &bytes).unwrap();
    let ours = Signature { signature, chain: identity.chain_der().to_vec() };
    let (node, material) = (&world.provinces[0], world.network.material(identity));
    let channel = dial(node.area, &node.endpoint(), &material).await.unwrap();
    ReconcileClient::new(channel).agree(bytes, &ours).await
}

/// Statements that have closed days, as `digest first last`.
fn closed(world: &World, province: &str) -> Vec<String> {
    let list = world.desk(province).json("statement list");
    let list = list["statements"].as_array().unwrap().clone();
    let closing = list.iter().filter(|it| it["closes"] == true);
    let text = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
    let say = |it: &Value| ["digest", "first_day", "last_day"].map(|name| text(it, name)).join(" ");
    closing.map(say).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_was_lost_is_given_again_and_nothing_untrue_is_signed() {
    let world = World::new();
    let here = world.clerk(0).await;
    exchange(&here, COUNTIES, 1, 2).await;
    let desks = PROVINCES.map(|province| world.desk(province));
    // All counties have reported after that; it closes nothing.
    let run = desks[1].json(&format!("reconcile run --with 41 --days {}", days()));
    assert_eq!(one(&run)["state"], "EQUAL", "{run}");
    assert_eq!(closed(&world, PROVINCES[0]), [""; 0]);

    // Entries of which the other side holds others under the same numbers, or says nothing; and bytes that are not read.
    let file = world.network.path("signed");
    desks[1].text(&format!("statement export --out {}", file.display()));
    let signed = decode_signed_statement(&std::fs::read(&file).unwrap()).unwrap();
    let equal = Statement { id: [9; 16], ..decode_statement(&signed.statement).unwrap() };
    let mut lying = equal.clone();
    assert!(!lying.digests.0.is_empty());
    lying.digests.0.values_mut().for_each(|digest| *digest = Digest::of(b"other entries"));
    let silent = Statement { digests: Digests::default(), ..equal.clone() };
    for untrue in [lying, silent] {
        assert_eq!(ask(&world, &untrue).await.unwrap(), Agreed::Differs);
    }
    let more = [encode_statement(&equal), vec![0x78, 1]].concat();
    let CallError::Status(status) = ask_bytes(&world, more).await.unwrap_err() else { panic!() };
    assert_eq!(office::code(&status), "MALFORMED");
    assert!(matches!(ask(&world, &equal).await.unwrap(), Agreed::Signed(_)));

    // Days that are not over, by whatever clock they are said to be.
    let (first, last, period) = month(1);
    let this = month(0);
    let mut early = statement((this.0, this.1));
    early.scope.until = this.1.ends();
    let refused = ask(&world, &early).await.unwrap_err();
    let CallError::Status(status) = &refused else { panic!("{refused}") };
    assert_eq!(office::code(status), "STATE_FORBIDS");
    // What it never said itself, and counties that have reported.
    let made = domain::time::UnixMillis::new(first.begins().get() + 5);
    let id = domain::id::MessageId::new(made, [4; 10]);
    let (from, to) = (area(COUNTIES[0]), area(COUNTIES[1]));
    let entry = |text: &[u8]| {
        Some(Entry { id, digest: Digest::of(text), from, to, state: EntryState::Stored })
    };
    let (sender, recipient) = (entry(b"never sent"), entry(b"another"));
    let lie = Difference { name: DifferenceName::ContentDiffers, sender, recipient };
    let honest = statement((first, last));
    let lying = Statement { left: vec![lie], ..honest.clone() };
    assert_eq!(ask(&world, &lying).await.unwrap(), Agreed::Differs);
    let lying = Statement { incomplete: vec![(from, first)], ..honest.clone() };
    assert_eq!(ask(&world, &lying).await.unwrap(), Agreed::Differs);
    assert_eq!(closed(&world, PROVINCES[0]), [""; 0]);

    // One signs, and the other never has the answer.
    assert!(matches!(ask(&world, &honest).await.unwrap(), Agreed::Signed(_)));
    let known = closed(&world, PROVINCES[0]);
    assert_eq!(known, [format!("{} {first} {last}", Digest::of(&encode_statement(&honest)))]);
    assert_eq!(closed(&world, PROVINCES[1]), [""; 0]);
    let run = desks[1].json(&format!("reconcile run --with 41 --period {period}"));
    assert_eq!(one(&run)["state"], "EQUAL", "{run}");
    assert_eq!(one(&run)["statement"], Digest::of(&encode_statement(&honest)).to_string());
    for province in PROVINCES {
        assert_eq!(closed(&world, province), known, "the statement of before, and no other");
    }
    // Whatever is asked about these days now, that is what is said; and nobody begins with them again.
    let again = Statement { id: [6; 16], ..honest.clone() };
    let Agreed::Closed(signed) = ask(&world, &again).await.unwrap() else { panic!("not closed") };
    assert_eq!(decode_statement(&signed.statement).unwrap(), honest);
    for (desk, with) in desks.iter().zip(["44", "41"]) {
        let told = desk.refused(&format!("reconcile run --with {with} --period {period}"), 3);
        assert!(told.to_string().contains("STATE_FORBIDS"), "{told}");
    }
    world.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_may_close_the_same_months_at_once_and_hold_one_statement_of_each() {
    let world = World::new();
    let desks = PROVINCES.map(|province| world.desk(province));
    for ago in 1..=4 {
        let (first, last, period) = month(ago);
        let begun = desks.iter().zip(["44", "41"]).filter(|(desk, with)| {
            let line = format!("reconcile run --with {with} --period {period} --no-wait --json");
            let ended = desk.run(&line);
            // The other one may have been quick.
            let is_closed = format!("{}{}", ended.out, ended.err).contains("STATE_FORBIDS");
            assert!(ended.exit == 0 || is_closed, "{}{}", ended.out, ended.err);
            ended.exit == 0
        });
        let begun: Vec<_> = begun.map(|(desk, _)| desk).collect();
        for desk in begun {
            eventually("the run ends", || {
                let run = desk.json("reconcile list")["reconciliations"][0].clone();
                assert!(!["FAILED", "LEFT"].contains(&run["state"].as_str().unwrap()), "{run}");
                (run["state"] == "EQUAL" && run["first_day"] == first.to_string()).then_some(())
            });
        }
        let of_month = |province| {
            let mut all = closed(&world, province);
            all.retain(|it| it.ends_with(&format!("{first} {last}")));
            all
        };
        let both = PROVINCES.map(of_month);
        assert_eq!(both[0].len(), 1, "{both:?}");
        assert_eq!(both[0], both[1]);
    }
    for desk in &desks {
        let notices = desk.json("notice list");
        assert!(!notices.to_string().contains("NOT_RECONCILED"), "{notices}");
    }
    world.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_that_a_county_never_reports_is_signed_without_closing_it_when_the_time_is_over() {
    let mut world = World::new();
    let here = world.clerk(0).await;
    exchange(&here, COUNTIES, 1, 1).await;
    world.counties[1].kill();
    world.provinces[0].stop();
    world.provinces[0].configure(|text| format!("{text}\n[reconcile]\npatience_s = 2\n"));
    world.provinces[0].start();
    let desks = PROVINCES.map(|province| world.desk(province));
    eventually("the province knows its county", || {
        let list = desks[1].json("directory list");
        list["cards"].to_string().contains(COUNTIES[1]).then_some(())
    });
    let (.., period) = month(1);
    let run = desks[0].json(&format!("reconcile run --with 44 --period {period}"));
    let run = one(&run);
    assert_eq!(run["state"], "EQUAL", "{run}");
    assert!(run["trouble"].as_str().unwrap().contains(COUNTIES[1]), "it says who: {run}");
    let digest = run["statement"].as_str().unwrap();
    for desk in &desks {
        let shown = desk.json(&format!("statement show {digest}"));
        assert_eq!(shown["closes"], false, "{shown}");
        assert_eq!(shown["incomplete"][0]["county"], COUNTIES[1], "{shown}");
    }
    for province in PROVINCES {
        assert_eq!(closed(&world, province), [""; 0]);
    }
    // Once the county has told, the same month is closed.
    world.counties[1].start();
    let again = desks[0].json(&format!("reconcile run --with 44 --period {period}"));
    assert_eq!(one(&again)["state"], "EQUAL", "{again}");
    for province in PROVINCES {
        assert_eq!(closed(&world, province).len(), 1);
    }
    world.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_month_is_closed_before_every_county_has_reported_it() {
    let mut world = World::new();
    let here = world.clerk(0).await;
    // Its province knows the county, and has no report of it.
    exchange(&here, COUNTIES, 1, 1).await;
    let desks = PROVINCES.map(|province| world.desk(province));
    eventually("the province knows its county", || {
        let list = desks[1].json("directory list");
        list["cards"].to_string().contains(COUNTIES[1]).then_some(())
    });
    world.counties[1].kill();
    let (first, last, period) = month(1);
    desks[0].json(&format!("reconcile run --with 44 --period {period} --no-wait"));
    let run = eventually("it waits for the county", || {
        let run = desks[0].json("reconcile list")["reconciliations"][0].clone();
        assert_eq!(run["state"], "RUNNING", "{run}");
        run["trouble"].as_str().is_some_and(|why| why.contains(COUNTIES[1])).then_some(run)
    });
    assert!(run["statement"].as_str().is_none_or(str::is_empty), "{run}");
    // Days that close nothing are signed as they are, with the county in it.
    let looked = days_of(first, last);
    let other = desks[1].json(&format!("reconcile run --with 41 --days {looked}"));
    assert_eq!(one(&other)["state"], "EQUAL", "{other}");
    assert!(one(&other)["trouble"].as_str().unwrap().contains(COUNTIES[1]), "{other}");
    let shown =
        desks[0].json(&format!("statement show {}", one(&other)["statement"].as_str().unwrap()));
    assert_eq!(
        (&shown["closes"], &shown["incomplete"][0]["county"]),
        (&false.into(), &COUNTIES[1].into())
    );
    for province in PROVINCES {
        assert_eq!(closed(&world, province), [""; 0]);
    }
    world.counties[1].start();
    eventually("the run ends", || {
        let run = desks[0].json("reconcile list")["reconciliations"][0].clone();
        (run["state"] == "EQUAL").then_some(())
    });
    for province in PROVINCES {
        let closed = closed(&world, province);
        assert!(closed.len() == 1 && closed[0].ends_with(&format!("{first} {last}")), "{closed:?}");
    }
    world.never_panicked();
}

/// The days of a month without the last one.
fn days_of(first: Date, last: Date) -> String {
    format!("{first}..{}", last.plus_days(-1))
}

/// The newest run of a side, which is resumed where it was given up, once it has come to its end.
fn ends_equal(world: &World, province: &str) -> Value {
    let desk = world.desk(province);
    eventually("the run ends", || {
        let run = desk.json("reconcile list")["reconciliations"][0].clone();
        match run["state"].as_str().unwrap() {
            "EQUAL" => Some(run),
            // The other side was away for longer than a run bears.
            "FAILED" | "LEFT" => {
                desk.run(&format!("reconcile resume {} --no-wait", run["number"]));
                None
            }
            _ => None,
        }
    })
}

/// When a node is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Killed {
    Begun,
    Compared,
    Signed,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_killed_while_days_are_compared_or_signed_both_hold_one_statement_of_them() {
    let mut world = World::new();
    let mut months = Vec::new();
    for when in [Killed::Begun, Killed::Compared, Killed::Signed] {
        for killed in [0, 1] {
            let (first, last, period) = month(months.len() + 1);
            months.push(format!("{first} {last}"));
            let desk = world.desk(PROVINCES[0]);
            desk.json(&format!("reconcile run --with 44 --period {period} --no-wait"));
            eventually("it has come so far", || {
                let run = desk.json("reconcile list")["reconciliations"][0].clone();
                match when {
                    Killed::Begun => Some(()),
                    Killed::Compared => (run["comparisons"].as_u64() >= Some(1)).then_some(()),
                    Killed::Signed => (run["state"] == "EQUAL").then_some(()),
                }
            });
            world.provinces[killed].kill();
            world.provinces[killed].start();
            let run = ends_equal(&world, PROVINCES[0]);
            assert_eq!(run["first_day"], first.to_string(), "{when:?} {killed}: {run}");
        }
    }
    let [mut ours, mut theirs] = PROVINCES.map(|province| closed(&world, province));
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
    let mut days: Vec<_> = ours.iter().map(|it| it.split_once(' ').unwrap().1).collect();
    days.sort_unstable();
    months.sort();
    assert_eq!(days, months);
    world.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_killed_while_it_cures_the_run_ends_with_one_statement_of_both() {
    let mut world = World::new();
    let here = world.clerk(0).await;
    exchange(&here, COUNTIES, 1, 3).await;
    let backup = world.desk(COUNTIES[0]).json("backup create");
    exchange(&here, COUNTIES, 2, 10).await;
    let before = ids(&here, Direction::Sent).await;
    world.counties[0].kill();
    restore(&world.counties[0], &backup);
    world.counties[0].start();
    // Whoever could bring back what is missing is away: it cures without end.
    world.counties[1].kill();
    let desk = world.desk(PROVINCES[0]);
    desk.json(&format!("reconcile run --with 44 --days {} --no-wait", days()));
    let mut seen = 0;
    for killed in [0, 1] {
        eventually("it was compared, and nothing is cured", || {
            let run = desk.json("reconcile list")["reconciliations"][0].clone();
            assert_eq!(run["state"], "RUNNING", "{run}");
            let comparisons = run["comparisons"].as_u64().unwrap();
            (comparisons > seen).then(|| seen = comparisons)
        });
        world.provinces[killed].kill();
        world.provinces[killed].start();
    }
    world.counties[1].start();
    let run = ends_equal(&world, PROVINCES[0]);
    let digest = run["statement"].as_str().unwrap();
    let shown = PROVINCES.map(|it| world.desk(it).json(&format!("statement show {digest}")));
    assert_eq!(shown[0], shown[1]);
    assert_eq!(shown[0]["left"], Value::Array(Vec::new()));
    let here = world.clerk(0).await;
    assert_eq!(ids(&here, Direction::Sent).await, before);
    world.never_panicked();
}
