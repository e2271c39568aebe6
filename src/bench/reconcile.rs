//! Comparing two ledgers in memory: what a comparison costs in bytes, rounds, time and memory, whatever the line is.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::reconcile::session::{Answer, Answerer, Ask, Asker, Lacks, UNMATCHED_MAX};
use exchange::reconcile::set::{EntrySet, Scope};
use exchange::reconcile::{Entry, EntryState, ITEM_BYTES};
use prost::Message as _;
use serde::Serialize;

use super::ReconcileArgs;
use super::process;

/// A moment that entries are made around: 2026-10-15.
const MADE: UnixMillis = UnixMillis::new(1_792_000_000_000);

/// Result of `bench reconcile`.
#[derive(Clone, Debug, Serialize)]
pub struct Reconciled {
    /// Bytes of messages until every difference was known, both ways; without the entries that only one side had.
    pub bytes: u64,
    /// How often the asker asked and waited until then.
    pub rounds: u32,
    /// From the first question until every difference was known, both sides' work in one process.
    pub seconds: f64,
    /// Most memory of the process, which holds both sides.
    pub peak_rss_mb: f64,
    /// Differences that were found.
    pub found: u64,
    /// Entries that both sides have.
    pub entries: u64,
    /// Differences that were planted.
    pub differences: u64,
    /// Bytes that the differing items alone have: no method sends less.
    pub limit_bytes: u64,
    /// Bytes of the whole list.
    pub list_bytes: u64,
    /// Whether the list was sent.
    pub listed: bool,
}

impl Reconciled {
    /// Lines for people: name, figure, unit.
    #[must_use]
    pub fn lines(&self) -> Vec<[String; 2]> {
        let line = |name: &str, value: String| [name.to_owned(), value];
        vec![
            line("sets", format!("{} in common, {} differences", self.entries, self.differences)),
            line("found", self.found.to_string()),
            line(
                "bytes",
                format!(
                    "{}; the differences alone {}, the list {}",
                    self.bytes, self.limit_bytes, self.list_bytes
                ),
            ),
            line("rounds", self.rounds.to_string()),
            line("time, both sides", format!("{:.2} s", self.seconds)),
            line("peak memory, both sides", format!("{:.0} MB", self.peak_rss_mb)),
        ]
    }
}

/// Bytes of a message. The entries that only one side had, and the question for them, are no part of the comparison.
fn size_of_ask(ask: &Ask) -> u64 {
    let bytes = match ask {
        Ask::Enough { .. } => 0,
        ask => wire::reconcile::ask_to_pb(ask.clone()).encoded_len(),
    };
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn size_of_answer(answer: &Answer) -> u64 {
    let bytes = match answer {
        Answer::Entries { .. } => 0,
        answer => wire::reconcile::answer_to_pb(answer.clone()).encoded_len(),
    };
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Compares two sets.
///
/// # Errors
/// When what is found is not what was planted.
pub(super) fn run(args: &ReconcileArgs) -> anyhow::Result<Reconciled> {
    let ReconcileArgs { entries, differences } = *args;
    let (from, to) = ("410522".parse::<AreaCode>()?, "440305".parse::<AreaCode>()?);
    let scope = Scope {
        asker: from.province(),
        answerer: to.province(),
        first: MADE.date().plus_days(-40),
        last: MADE.date().plus_days(40),
        until: UnixMillis::new(u64::MAX),
    };
    let half = differences / 2;
    let entry = |number: u64| -> Entry {
        // A month of messages, in order.
        let made = UnixMillis::new(MADE.get().saturating_add(number % 2_592_000_000));
        let digest = Digest::of(&number.to_be_bytes());
        let mut random = [0; 10];
        random.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
        let id = MessageId::new(made, random);
        Entry { id, digest, from, to, state: EntryState::Stored }
    };
    let set = |numbers: &mut dyn Iterator<Item = u64>| {
        let mut set = EntrySet::new();
        numbers.for_each(|number| set.say(entry(number)));
        set
    };
    let ours = set(&mut (0..entries + half));
    let theirs = set(&mut (0..entries).chain(entries + half..entries + differences));
    let begun = Instant::now();
    let mut bytes = 0;
    let (mut asker, open) = Asker::new(scope, ours, [1; 16], Vec::new(), UNMATCHED_MAX)?;
    let first_ask = open.clone();
    let (mut answerer, first) =
        Answerer::open(open, theirs, [2; 16], Lacks::default(), UNMATCHED_MAX)?;
    bytes += size_of_ask(&first_ask);
    let mut answers: VecDeque<Answer> = first.into();
    while !asker.is_known() {
        let answer = answers.pop_front().or_else(|| answerer.next_symbols());
        let answer = answer.context("nobody speaks")?;
        bytes += size_of_answer(&answer);
        for ask in asker.step(answer)? {
            bytes += size_of_ask(&ask);
            ensure!(!matches!(ask, Ask::Open { .. }), "a question twice");
            answers.extend(answerer.step(ask)?);
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let found = u64::try_from(asker.pairings().count())?;
    if found != differences {
        bail!("{found} differences were found, {differences} planted");
    }
    let measured = asker.measured();
    let item = u64::try_from(ITEM_BYTES)?;
    Ok(Reconciled {
        bytes,
        rounds: measured.rounds,
        seconds,
        peak_rss_mb: process::peak_rss_mb(std::process::id())?,
        found,
        entries,
        differences,
        limit_bytes: differences.saturating_mul(item),
        list_bytes: measured.theirs.saturating_mul(item),
        listed: measured.listed,
    })
}
