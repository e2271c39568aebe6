//! `liangdi sim`: whole worlds from a seed, and whether every promise held in them.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde_json::{Value, json};
use sim::{NODES_MAX, Options, Outcome, Story, Summary};

use super::exit::Failure;
use super::output::{Answer, Output, record};

/// Lines of the history that are told when a promise was broken and nothing else was asked for.
const LINES_AT_A_BREAK: usize = 40;
/// Worlds with a broken promise of which a run tells the most.
const BROKEN_WORLDS_MAX: usize = 20;
/// Outcomes that wait to be counted.
const OUTCOMES_QUEUE: usize = 64;

/// Many nodes under a seeded scheduler with simulated network, clocks and disks: the same seed, the same history.
///
/// Exit code 0 when every promise held, 1 when one was broken.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Number that everything follows from
    #[arg(long)]
    seed: u64,
    /// Worlds to run, with this seed and those after it
    #[arg(long, default_value = "1")]
    seeds: NonZeroU32,
    /// Nodes of a world; drawn from the seed, 2 to 8, when not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=i64::from(NODES_MAX)))]
    nodes: Option<u32>,
    /// About how many messages clerks write; drawn from the seed when not given
    #[arg(long)]
    messages: Option<u32>,
    /// Days with traffic and trouble; drawn from the seed, a quarter to two, when not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=366))]
    days: Option<u32>,
    /// Disks lose and tear what they have acknowledged: shows that the checker notices
    #[arg(long)]
    broken_disk: bool,
    /// What the world is about: "any", whatever the seed draws; or "reconcile", a month of mail between twenty counties,
    /// some of them restored from a backup, that ends with a reconciliation
    #[arg(long, default_value = "any")]
    story: StoryArg,
    /// Lines of the history to print: the last so many, or "all"
    #[arg(long, value_name = "LINES", value_parser = lines)]
    history: Option<usize>,
}

/// Stories by their names.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum StoryArg {
    Any,
    Reconcile,
}

fn lines(text: &str) -> Result<usize, String> {
    match text {
        "all" => Ok(usize::MAX),
        number => number.parse().map_err(|_| "a number, or \"all\"".to_owned()),
    }
}

/// Runs the command.
pub(super) fn run(args: &Args, output: &mut Output) -> Result<Answer, Failure> {
    if args.seeds.get() == 1 { one(args, output) } else { many(args, output) }
}

fn options(args: &Args, seed: u64) -> Options {
    let Args { nodes, messages, days, broken_disk, story, .. } = *args;
    let story = match story {
        StoryArg::Any => Story::Any,
        StoryArg::Reconcile => Story::Reconcile,
    };
    Options { seed, nodes, messages, days, broken_disks: broken_disk, story }
}

fn one(args: &Args, output: &mut Output) -> Result<Answer, Failure> {
    let outcome = sim::run(&options(args, args.seed));
    let answer = told(&outcome, args.history);
    if outcome.broken().is_empty() {
        return Ok(answer);
    }
    output.answer(&answer)?;
    Err(broken(1).detail(format!("to see it again: {}", outcome.command())))
}

fn broken(worlds: usize) -> Failure {
    let what = if worlds == 1 { "a promise was broken" } else { "promises were broken" };
    let zh = "模拟中有承诺未能兑现";
    Failure::failed(format!("{what} in {worlds} of the simulated worlds")).zh(zh)
}

/// What came of one world.
fn told(outcome: &Outcome, history: Option<usize>) -> Answer {
    let summary = outcome.summary();
    let none_asked = if summary.broken.is_empty() { 0 } else { LINES_AT_A_BREAK };
    let lines = outcome.last_lines(history.unwrap_or(none_asked));
    let mut json = as_json(&summary);
    if let Value::Object(fields) = &mut json {
        fields.insert("history".to_owned(), json!(lines));
        fields.insert("command".to_owned(), json!(outcome.command()));
    }
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(&record(&pairs(&summary)));
    Answer::new(json, text)
}

fn as_json(summary: &Summary) -> Value {
    // A summary is numbers and texts, which always have a form.
    serde_json::to_value(summary).unwrap_or_default()
}

fn pairs(summary: &Summary) -> Vec<(&'static str, String)> {
    let Summary { seed, nodes, messages, stored, refused, steps, entries, seconds, .. } = summary;
    let days = Duration::from_secs(*seconds).as_secs_f64() / 86_400.0;
    let missing: Vec<_> =
        summary.missing.iter().map(|(area, m)| format!("m{m} at {area}")).collect();
    vec![
        ("seed", seed.to_string()),
        ("nodes", nodes.to_string()),
        ("messages", format!("{messages} accepted, {stored} stored, {refused} refused")),
        ("lost by restores", missing.join(", ")),
        (
            "reconciled",
            match summary.statements {
                0 => String::new(),
                many => format!("{many} statements, {} differences", summary.differences),
            },
        ),
        ("time", format!("{days:.1} days, {steps} steps, {entries} entries in the history")),
        ("digest of the history", summary.digest.clone()),
        ("promises", if summary.broken.is_empty() { "all held".to_owned() } else { String::new() }),
        ("BROKEN", summary.broken.join("\n        ")),
    ]
}

/// Sums over many worlds.
#[derive(Debug, Default)]
struct Sums {
    messages: usize,
    steps: u64,
    /// The liveliest world: its steps, and its seed.
    liveliest: (u64, u64),
    broken: Vec<Outcome>,
    broken_worlds: usize,
}

fn many(args: &Args, output: &mut Output) -> Result<Answer, Failure> {
    let started = Instant::now();
    let count = u64::from(args.seeds.get());
    let mut sums = Sums::default();
    run_all(args, count, |outcome| sums.add(outcome));
    sums.broken.sort_by_key(Outcome::seed);
    for outcome in &sums.broken {
        output.answer(&told(outcome, args.history.or(Some(0))))?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let Sums { messages, steps, broken_worlds, liveliest: (most, liveliest), .. } = sums;
    let per_second = f64::from(args.seeds.get()) / seconds.max(0.001);
    let text = format!(
        "{count} worlds, {messages} messages, {steps} steps in {seconds:.1} s ({per_second:.0} worlds a second): \
         {broken_worlds} with a broken promise; the liveliest, of seed {liveliest}, took {most} steps"
    );
    let json = json!({
        "worlds": count,
        "messages": messages,
        "steps": steps,
        "seconds": seconds,
        "worlds_per_second": per_second,
        "broken_worlds": broken_worlds,
        "liveliest_seed": liveliest,
        "liveliest_steps": most,
    });
    let answer = Answer::new(json, text);
    if broken_worlds == 0 {
        return Ok(answer);
    }
    output.answer(&answer)?;
    Err(broken(broken_worlds))
}

impl Sums {
    fn add(&mut self, outcome: Outcome) {
        let sizes = outcome.sizes();
        self.messages += sizes.messages;
        self.steps += sizes.steps;
        self.liveliest = self.liveliest.max((sizes.steps, outcome.seed()));
        if !outcome.broken().is_empty() {
            self.broken_worlds += 1;
            if self.broken.len() < BROKEN_WORLDS_MAX {
                self.broken.push(outcome);
            }
        }
    }
}

/// Runs the worlds on all processors; each follows from its seed alone, whatever the others do.
fn run_all(args: &Args, count: u64, mut each: impl FnMut(Outcome)) {
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get());
    let (next, bar) = (AtomicU64::new(0), ProgressBar::new(count));
    thread::scope(|scope| {
        let (outcomes, coming) = sync_channel(OUTCOMES_QUEUE);
        for _ in 0..threads {
            let (outcomes, next) = (outcomes.clone(), &next);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let seed = args.seed.wrapping_add(at);
                    if at >= count || outcomes.send(sim::run(&options(args, seed))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(outcomes);
        for outcome in coming {
            bar.inc(1);
            each(outcome);
        }
    });
    bar.finish_and_clear();
}
