//! Worlds by the hundred, and what must be true in each.

use std::thread;

use super::*;

/// A number from the environment, for longer runs by hand.
fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Runs a world in which every promise has to hold.
fn holds(options: &Options) -> Outcome {
    let outcome = run(options);
    let broken = outcome.summary().broken;
    let message = outcome.broken().iter().find_map(|broken| broken.message);
    let lines = match message {
        Some(message) => outcome.lines_about(message),
        None => outcome.last_lines(40),
    };
    let command = outcome.command();
    assert!(broken.is_empty(), "{command}\n{}\n{}", broken.join("\n"), lines.join("\n"));
    outcome
}

#[test]
fn every_promise_holds_in_small_worlds() {
    let (first, worlds) = (setting("LIANGDI_SEED", 0), setting("LIANGDI_SEEDS", 2_000));
    let half = |lot: u64| {
        let seeds = (first..first + worlds).filter(move |seed| seed % 2 == lot);
        seeds.map(|seed| holds(&Options { seed, ..Options::default() }).sizes().messages).sum()
    };
    let (even, odd): (usize, usize) = thread::scope(|scope| {
        let odd = scope.spawn(|| half(1));
        (half(0), odd.join().unwrap())
    });
    println!("seeds {first} and on: {worlds} worlds, {} messages", even + odd);
    assert!(even + odd > 0);
}

#[test]
fn every_promise_holds_in_large_worlds() {
    for nodes in [50, 100, 200] {
        let options = Options {
            seed: setting("LIANGDI_SEED", 0) + u64::from(nodes),
            nodes: Some(nodes),
            messages: Some(nodes * 4),
            days: Some(1),
            ..Options::default()
        };
        let sizes = holds(&options).sizes();
        println!("{nodes} nodes: {sizes:?}");
        assert!(sizes.nodes >= 50, "{sizes:?}");
    }
}

#[test]
fn a_month_of_twenty_counties_ends_with_equal_ledgers_and_signed_statements() {
    let (first, seeds) = (setting("LIANGDI_SEED", 0), setting("LIANGDI_STORIES", 3));
    let (mut differences, mut missing) = (0, 0);
    for seed in first..first + seeds {
        let outcome = holds(&Options { seed, story: Story::Reconcile, ..Options::default() });
        let summary = outcome.summary();
        println!("{summary:?}");
        // Three pairs of provinces, and the pairs of counties in each that have written to each other.
        assert!(summary.statements > 3, "{}", summary.statements);
        differences += summary.differences;
        missing += summary.lost_by_restores;
    }
    assert!(differences > 0, "nothing was lost, so nothing was shown");
    println!("{seeds} months: {differences} differences, {missing} messages for ever lost");
}

/// Of so many months in which nodes sign as `planted` says, those in which the checker finds that broken.
fn found_out(planted: crate::plan::Planted, months: u64) -> u64 {
    let found = |seed: &u64| {
        let options = Options { seed: *seed, story: Story::Reconcile, ..Options::default() };
        let mut plan = crate::plan::Plan::of(&options);
        plan.planted = Some(planted);
        let outcome = crate::run::run_plan(&options, plan);
        outcome.broken().iter().any(|it| it.promise == Promise::StatementsAreSigned)
    };
    let found = (0..months).filter(found).count();
    u64::try_from(found).unwrap()
}

#[test]
fn sides_that_sign_wrongly_are_found_out() {
    use crate::plan::Planted;
    for planted in [Planted::Forgets, Planted::AnswersEarly, Planted::IgnoresTurns] {
        let found = found_out(planted, 16);
        println!("{planted:?}: found in {found} of 16 months");
        assert!(found > 0, "{planted:?} was not found out");
    }
}

#[test]
fn a_refusal_stays_a_refusal_when_its_message_is_delivered_again_after_a_month() {
    // What was refused was delivered again when its receipt could not be had: it was judged anew, under another digest,
    // and no comparison came to an end.
    for seed in [163, 188, 230, 325, 454, 503, 611, 917, 1_332, 1_338] {
        holds(&Options { seed, story: Story::Reconcile, ..Options::default() });
    }
}

#[test]
fn the_same_seed_tells_the_same_story_and_another_one_another() {
    let of = |seed| run(&Options { seed, ..Options::default() }).summary();
    for seed in 0..20 {
        assert_eq!(of(seed), of(seed), "seed {seed}");
    }
    assert_ne!(of(1).digest, of(2).digest);
}

#[test]
fn disks_that_lie_are_found_out() {
    let found = |seed| {
        let options = Options { seed, broken_disks: true, ..Options::default() };
        !run(&options).broken().is_empty()
    };
    let found = (0..60).filter(|seed| found(*seed)).count();
    assert!(found > 10, "of 60 worlds with disks that forget, only {found} were found out");
}
