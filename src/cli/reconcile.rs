//! `liangdi reconcile`: find and cure what two sides disagree on, and have both sign the result.

mod reports;
mod restored;

use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::{Date, Month, UnixMillis};
use indicatif::ProgressBar;
use serde_json::json;

use super::connect::{ConnectArgs, Office, office};
use super::exit::{Exit, Failure};
use super::given::AccessArgs;
use super::label;
use super::output::{Answer, record, table, time};
use super::view;

mod decision;

/// How often a run is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Compare, cure, and sign; waits for the end 对账
    Run(Run),
    /// Reconciliations, newest first 列出
    List(List),
    /// One reconciliation with its differences 查看
    Show(Show),
    /// Go on with one that was given up with differences left 继续
    Resume {
        /// Its number 编号
        number: u64,
        /// Do not wait for its end
        #[arg(long)]
        no_wait: bool,
    },
    /// What people have to decide: messages of which both sides hold something else, with both versions 待裁定
    Decisions(Decisions),
    /// One of these messages with both versions side by side, at the office of its sender 对照
    Decision {
        /// The message 通报编号
        message: MessageId,
        #[command(flatten)]
        access: AccessArgs,
    },
    /// Write what was decided about one of these messages; changes nothing in what either side holds 裁定
    Decide(Decide),
    /// How far each county below this node has reported; also those that never did 上报情况
    Reports(reports::Reports),
}

#[derive(ClapArgs, Debug)]
struct Run {
    /// The other side: a county, or a province such as 44
    #[arg(long, value_name = "CODE", required_unless_present = "after_restore")]
    with: Option<String>,
    /// Calendar month (2026-10: the 1st to the 31st, unlike the statistical months of `indicator`) or quarter (2026-Q3)
    /// 期间（自然月）
    #[arg(long, value_name = "PERIOD", conflicts_with = "days")]
    period: Option<String>,
    /// First and last day, such as 2026-10-01..2026-10-15
    #[arg(long, value_name = "DAYS")]
    days: Option<String>,
    /// Find and fetch what was lost since the backup that this node was restored from, with every county
    #[arg(long, conflicts_with_all = ["with", "period", "days"])]
    after_restore: bool,
    /// Compare days that are closed once more and cure what differs; nothing is signed, and they stay closed
    #[arg(long, conflicts_with = "after_restore")]
    look_again: bool,
    /// Do not wait for the end
    #[arg(long)]
    no_wait: bool,
}

#[derive(ClapArgs, Debug)]
struct List {
    /// Most entries
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Only those before this number
    #[arg(long, default_value_t = 0)]
    before: u64,
}

#[derive(ClapArgs, Debug)]
struct Decide {
    /// The message 通报编号
    message: MessageId,
    /// What was agreed with the other office, and why; name no person 裁定理由
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(ClapArgs, Debug)]
struct Decisions {
    /// Also those that were decided, or of which both sides say the same by now 全部
    #[arg(long)]
    all: bool,
    /// Most messages
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Only those after this message
    #[arg(long, default_value = "")]
    after: String,
}

#[derive(ClapArgs, Debug)]
struct Show {
    /// Its number 编号
    number: u64,
    /// Most differences
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Only differences after this message
    #[arg(long, default_value = "")]
    after: String,
}

const COLUMNS: &[&str] = &[
    "number",
    "with",
    "with_name",
    "first_day",
    "last_day",
    "state",
    "comparisons",
    "our_entries",
    "their_entries",
    "lost",
    "trouble",
];

/// Runs the command.
pub(super) async fn run(args: Args, progress: bool) -> Result<Answer, Failure> {
    let office = args.connect.open().await?;
    match args.verb {
        Verb::Run(given) => start(&office, given, progress).await,
        Verb::List(List { limit, before }) => {
            let request = office::ListReconciliationsRequest { page_size: limit, before };
            let list = office.reconcile().list_reconciliations(request).await?.into_inner();
            let rows = view::rows(&list.reconciliations, COLUMNS);
            Ok(Answer::new(json!({ "reconciliations": rows.json }), rows.text))
        }
        Verb::Show(given) => show(&office, given).await,
        Verb::Decide(Decide { message, reason }) => {
            let message_id = message.to_string();
            let request = office::DecideDifferenceRequest { message_id, reason };
            let done = office.reconcile().decide_difference(request).await?.into_inner();
            Ok(view::answer(&done))
        }
        Verb::Decision { message, access } => decision::show(&office, message, &access).await,
        Verb::Decisions(Decisions { all, limit: page_size, after }) => {
            // What was left to people has no run of its own here: it may have been another node's.
            let request =
                office::GetReconciliationRequest { number: 0, page_size, after, open_only: !all };
            let response = office.reconcile().get_reconciliation(request).await?.into_inner();
            let (json, text) = differences(&response);
            Ok(Answer::new(json, text))
        }
        Verb::Resume { number, no_wait } => {
            let request = office::ResumeReconciliationRequest { number };
            office.reconcile().resume_reconciliation(request).await?;
            finish(&office, vec![number], no_wait, progress).await
        }
        Verb::Reports(given) => reports::reports(&office, given).await,
    }
}

async fn start(office: &Office, given: Run, progress: bool) -> Result<Answer, Failure> {
    let mut request = office::StartReconciliationRequest::default();
    if given.after_restore {
        request.after_restore = true;
    } else {
        let with = party(given.with.as_deref().unwrap_or_default())?;
        let (first, last) = match (&given.period, &given.days) {
            (Some(period), _) => days_of_period(period)?,
            (None, Some(days)) => days_between(days)?,
            (None, None) => {
                return Err(Failure::usage("give --period 2026-10 or --days FIRST..LAST"));
            }
        };
        request.with = with.to_string();
        request.first_day = first.to_string();
        request.last_day = last.to_string();
        request.look_again = given.look_again;
    }
    let after_restore = request.after_restore;
    let begun = office.reconcile().start_reconciliation(request).await?.into_inner();
    let answer = finish(office, begun.numbers.clone(), given.no_wait, progress).await?;
    if !after_restore {
        return Ok(answer);
    }
    Ok(restored::told(answer, &begun))
}

/// Waits for runs to end, and tells how they did.
async fn finish(
    office: &Office,
    numbers: Vec<u64>,
    no_wait: bool,
    progress: bool,
) -> Result<Answer, Failure> {
    let bar = if progress { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let mut ended = Vec::new();
    for number in numbers {
        let run = loop {
            let run = get(office, number).await?;
            let found: u32 = run.differences.iter().map(|it| it.found).sum();
            let cured: u32 = run.differences.iter().map(|it| it.cured).sum();
            bar.set_message(format!(
                "{} {}: {} 次比对 comparisons, {found} 差异 differences, {cured} 已消除 cured",
                run.with, run.with_name, run.comparisons
            ));
            bar.tick();
            let running = run.state == i32::from(office::ReconciliationState::Running);
            if no_wait || !running {
                break run;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        ended.push(run);
    }
    bar.finish_and_clear();
    let good = [
        i32::from(office::ReconciliationState::Running),
        i32::from(office::ReconciliationState::Equal),
    ];
    let all_good = ended.iter().all(|run| good.contains(&run.state));
    let rows = view::rows(&ended, COLUMNS);
    let mut answer = Answer::new(json!({ "reconciliations": rows.json }), rows.text);
    for run in &ended {
        answer = answer.and(&counts(run));
        if !run.statement.is_empty() {
            answer = answer.and(&format!("statement {}\n", run.statement));
        }
        if run.lost > 0 {
            let (count, number) = (run.lost, run.number);
            answer = answer.and(&format!(
                "{count} 件各方均无副本，已丢失 nobody has them any more: liangdi reconcile show {number}\n"
            ));
        }
    }
    let exit = if all_good { Exit::Done } else { worst(&ended, &good) };
    Ok(answer.ending(exit))
}

/// The exit of runs of which not all have come to a good end: whether nothing but an answer of the others was lacking.
fn worst(ended: &[office::Reconciliation], good: &[i32]) -> Exit {
    let mut others = ended.iter().filter(|run| !good.contains(&run.state));
    let is_away = |run: &office::Reconciliation| {
        let codes = [Reason::PeerUnreachable, Reason::Busy].map(Reason::code);
        run.state == i32::from(office::ReconciliationState::Failed)
            && codes.iter().any(|code| run.trouble.starts_with(code))
    };
    if others.all(is_away) { Exit::Unreachable } else { Exit::Failed }
}

fn counts(run: &office::Reconciliation) -> String {
    let cells = |it: &office::DifferenceCount| {
        vec![label::difference(&it.name), it.found.to_string(), it.cured.to_string()]
    };
    let rows: Vec<_> = run.differences.iter().map(cells).collect();
    if rows.is_empty() {
        return format!("\n{}: {}\n", run.with, without_differences(run));
    }
    format!("\n{}\n{}", run.with, table(&["差异 difference", "发现 found", "消除 cured"], &rows))
}

/// What it means that a run has found nothing: only a comparison that came to its end says that there is nothing.
fn without_differences(run: &office::Reconciliation) -> &'static str {
    use office::ReconciliationState as State;
    match State::try_from(run.state).unwrap_or_default() {
        State::Equal | State::Decisions | State::Left => "无差异 no differences",
        State::Running | State::Failed | State::Unspecified => {
            "尚未完成比对 the comparison has not come to its end"
        }
    }
}

async fn get(office: &Office, number: u64) -> Result<office::Reconciliation, Failure> {
    let request = office::GetReconciliationRequest { number, page_size: 1, ..Default::default() };
    let response = office.reconcile().get_reconciliation(request).await?.into_inner();
    response.reconciliation.ok_or_else(|| Failure::failed("the node gave no reconciliation"))
}

async fn show(office: &Office, given: Show) -> Result<Answer, Failure> {
    let Show { number, limit: page_size, after } = given;
    let request = office::GetReconciliationRequest { number, page_size, after, open_only: false };
    let response = office.reconcile().get_reconciliation(request).await?.into_inner();
    let run = response.reconciliation.clone().unwrap_or_default();
    let run_view = view::answer(&run);
    let (mut json, found) = differences(&response);
    if let Some(object) = json.as_object_mut() {
        object.insert("reconciliation".to_owned(), run_view.json);
    }
    Ok(Answer::new(json, format!("{}{}\n{found}", run_view.text, counts(&run))))
}

/// Differences, both versions of each side by side.
fn differences(response: &office::GetReconciliationResponse) -> (serde_json::Value, String) {
    let columns = &["message_id", "name", "from", "to", "sender", "recipient", "state", "found_ms"];
    let rows = view::rows(&response.differences, columns);
    let mut text: String = response.differences.iter().map(sides).collect();
    if !response.next.is_empty() {
        text.push_str(&format!("\nMore: --after {}\n", response.next));
    }
    (json!({ "differences": rows.json, "next": response.next }), text)
}

/// Both versions side by side.
fn sides(difference: &office::ReconciliationDifference) -> String {
    let side = |side: &Option<office::SideOfDifference>| match side {
        Some(side) => format!("{} {}", side.state, side.digest),
        None => "—".to_owned(),
    };
    let office::ReconciliationDifference { message_id, name, from, to, state, .. } = difference;
    let name = label::difference(name);
    let head = format!("{message_id}  {from} → {to}  {name}  {state}\n");
    let mut pairs = vec![
        ("   发方 sender", side(&difference.sender)),
        ("   收方 recipient", side(&difference.recipient)),
    ];
    if state == "LOST" {
        pairs.push(("   发出于 made", time(UnixMillis::new(difference.made_ms))));
    }
    if !difference.decided_by.is_empty() {
        pairs.push(("   裁定人 decided by", difference.decided_by.clone()));
        pairs.push(("   裁定理由 reason", difference.decision_reason.clone()));
    }
    head + &record(&pairs)
}

/// A county or province; provinces and prefectures may be given by their first digits.
pub(super) fn party(text: &str) -> Result<AreaCode, Failure> {
    let full = match text.len() {
        2 => format!("{text}0000"),
        4 => format!("{text}00"),
        _ => text.to_owned(),
    };
    full.parse().map_err(|_| Failure::usage(format!("{text} is not an area code")))
}

/// First and last day of a month or quarter.
fn days_of_period(text: &str) -> Result<(Date, Date), Failure> {
    let wrong = || Failure::usage(format!("{text} is no period; write 2026-10 or 2026-Q3"));
    let (year, part) = text.split_once('-').ok_or_else(wrong)?;
    let year: u16 = year.parse().map_err(|_| wrong())?;
    let (first, last) = match part.strip_prefix('Q') {
        Some(quarter) => {
            let quarter: u8 = quarter.parse().map_err(|_| wrong())?;
            // There is no month with the number that a fifth quarter would end with.
            Month::new(year, quarter.saturating_mul(3)).map_err(|_| wrong())?.quarter()
        }
        None => {
            let month = Month::new(year, part.parse().map_err(|_| wrong())?);
            month.map(|month| (month, month)).map_err(|_| wrong())?
        }
    };
    Ok((first.first(), last.last()))
}

fn days_between(text: &str) -> Result<(Date, Date), Failure> {
    let wrong = || Failure::usage(format!("{text} are no days; write 2026-10-01..2026-10-15"));
    let (first, last) = text.split_once("..").ok_or_else(wrong)?;
    Ok((first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_month_or_a_quarter() {
        let days = |text: &str| {
            let (first, last) = days_of_period(text).ok()?;
            Some(format!("{first} {last}"))
        };
        assert_eq!(days("2026-02").as_deref(), Some("2026-02-01 2026-02-28"));
        assert_eq!(days("2026-12").as_deref(), Some("2026-12-01 2026-12-31"));
        assert_eq!(days("2026-Q4").as_deref(), Some("2026-10-01 2026-12-31"));
        assert_eq!(days("2026-Q1").as_deref(), Some("2026-01-01 2026-03-31"));
        assert_eq!(
            [days("2026-13"), days("2026-Q5"), days("2026"), days("x-1")],
            [const { None }; 4]
        );
    }

    #[test]
    fn a_province_may_be_given_by_two_digits() {
        assert_eq!(party("44").unwrap().to_string(), "440000");
        assert_eq!(party("440305").unwrap().to_string(), "440305");
        assert!(party("4").is_err());
    }

    fn run(state: office::ReconciliationState, trouble: &str) -> office::Reconciliation {
        let (state, trouble) = (state.into(), trouble.to_owned());
        office::Reconciliation { with: "440000".to_owned(), state, trouble, ..Default::default() }
    }

    #[test]
    fn only_a_comparison_that_came_to_its_end_says_that_nothing_differs() {
        use office::ReconciliationState as S;
        for (state, says) in [
            (S::Equal, true),
            (S::Decisions, true),
            (S::Left, true),
            (S::Running, false),
            (S::Failed, false),
        ] {
            assert_eq!(counts(&run(state, "")).contains("no differences"), says, "{state:?}");
        }
    }

    #[test]
    fn a_peer_that_does_not_answer_is_told_apart_from_what_does_not_come_out_even() {
        use office::ReconciliationState as S;
        let good = [i32::from(S::Running), i32::from(S::Equal)];
        let away = run(S::Failed, "PEER_UNREACHABLE: 440000 cannot be reached: refused");
        let left = run(S::Left, "differences are left");
        let equal = run(S::Equal, "");
        assert_eq!(worst(&[equal.clone(), away.clone()], &good), Exit::Unreachable);
        assert_eq!(worst(&[equal, away, left], &good), Exit::Failed);
    }
}
