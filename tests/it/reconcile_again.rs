//! Books that change after they were compared, or while they are: closed days that have changed since on one side only are
//! compared again, and stay closed.

use domain::id::MessageId;
use domain::time::Date;
use exchange::digest::Digest;
use exchange::ledger::Direction;
use exchange::reconcile::{Entry, EntryState};
use liangdi::app::reconcile::books;
use store::reconcile::Change;
use store::{DataKey, DataKeySource, Options, Store};

use crate::reconcile::{COUNTIES, PROVINCES, World, days, exchange, one};
use crate::reconcile_closing::month;
use crate::support::{area, eventually, now};

/// Writes into the own book of a province, on its disk, that it has sent a message on a day.
async fn invent(world: &mut World, n: usize, day: Date) {
    let node = &mut world.provinces[n];
    node.stop();
    let key = DataKey::load(&DataKeySource::File(node.dir.join("data.key"))).unwrap();
    let options = Options::new(PROVINCES[n], key, now());
    let (store, _) = Store::open(&node.dir.join("data/store"), options).unwrap();
    let id = MessageId::new(day.begins(), [7; 10]);
    let (from, to) = (area(PROVINCES[n]), area(PROVINCES[1 - n]));
    let (digest, state) = (Digest::of(b"found again"), EntryState::Stored);
    let word = Change::Word(Direction::Sent, Entry { id, digest, from, to, state });
    let write = move |unit: &mut store::Unit<'_>| books::note(unit, &word);
    store.commit(write).await.unwrap();
    drop(store);
    world.provinces[n].start();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_days_that_have_changed_on_one_side_only_are_compared_again() {
    for changed in [0, 1] {
        let mut world = World::new();
        let ((first, last, before), (_, _, next)) = (month(2), month(1));
        let close = |world: &World, month: &str| {
            let run = world
                .desk(PROVINCES[0])
                .run(&format!("reconcile run --with 44 --period {month} --json"));
            assert_eq!(run.exit, 0, "{}{}", run.out, run.err);
        };
        close(&world, &before);
        invent(&mut world, changed, first).await;
        close(&world, &next);
        // Whoever finds it begins: the asker when the other one does not agree, the answerer by itself.
        let again = eventually("closed days are compared again", || {
            let list = world.desk(PROVINCES[changed]).json("reconcile list");
            let runs = list["reconciliations"].as_array().unwrap().clone();
            runs.into_iter().find(|run| {
                let days = (run["first_day"].as_str(), run["last_day"].as_str());
                let is_over = run["state"] != "RUNNING";
                days == (Some(&first.to_string()), Some(&last.to_string()))
                    && run["after_restore"] == true
                    && is_over
            })
        });
        assert_eq!((&again["state"], &again["lost"]), (&"DECISIONS".into(), &1.into()), "{again}");
        let desk = world.desk(PROVINCES[0]);
        let again = desk.run(&format!("reconcile run --with 44 --period {before} --look-again"));
        assert_eq!(again.exit, 1, "it is still lost: {}", again.out);
        let present = month(0).2;
        let open = desk.run(&format!("reconcile run --with 44 --period {present} --look-again"));
        assert_eq!(open.exit, 3, "{}", open.err);
        world.never_panicked();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_that_goes_on_while_both_compare_ends_equal_and_is_lost_to_nobody() {
    let world = World::new();
    let (here, there) = (world.clerk(0).await, world.clerk(1).await);
    exchange(&here, COUNTIES, 1, 2).await;
    let desks = PROVINCES.map(|province| world.desk(province));
    let line = |with: &str| format!("reconcile run --with {with} --days {}", days());
    let lines = [line("44"), line("41")];
    // Both ask, again and again, and each signs while books grow on either side.
    let compared = tokio::task::spawn_blocking(move || {
        let runs = (0..6).map(|n| one(&desks[n % 2].json(&lines[n % 2])).clone());
        runs.collect::<Vec<_>>()
    });
    let reply = [COUNTIES[1], COUNTIES[0]];
    let mail =
        async { tokio::join!(exchange(&here, COUNTIES, 2, 40), exchange(&there, reply, 3, 40)) };
    let (_, runs) = tokio::join!(mail, compared);
    for run in runs.unwrap() {
        assert_eq!(run["state"], "EQUAL", "{run}");
    }
    let last = world.desk(PROVINCES[0]).json(&line("44"));
    let last = one(&last);
    let entries = (&last["our_entries"], &last["their_entries"]);
    assert_eq!((&last["state"], entries), (&"EQUAL".into(), (&82.into(), &82.into())), "{last}");
    world.never_panicked();
}
