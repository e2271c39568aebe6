//! `liangdi store`: looks after the store of a node that does not run.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use serde_json::json;
use store::{CheckReport, DataKey, Options, Store};

use super::config::unusable;
use super::exit::Failure;
use super::output::{Answer, record, table};
use crate::config::Settings;
use crate::errors::chain;
use crate::time::SystemClock;

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Read every row and recompute the ledger's tree; changes nothing 检查
    Check(Of),
    /// Copy every row into a fresh database, compare, and swap; needs room for both 压缩
    Compact(Of),
    /// Save what can be read of a damaged store into a new one 重建
    Rebuild(Rebuild),
}

#[derive(ClapArgs, Debug)]
struct Rebuild {
    #[command(flatten)]
    of: Of,
    /// The damaged store; the start that set it aside has named it
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
}

/// Whose store.
#[derive(ClapArgs, Debug)]
struct Of {
    /// The node's configuration
    #[arg(long, value_name = "FILE", default_value = "liangdi.toml")]
    config: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<Answer, Failure> {
    match args.verb {
        Verb::Check(of) => check(&of),
        Verb::Compact(of) => compact(&of),
        Verb::Rebuild(given) => rebuild(&given),
    }
}

/// Where the store lies, and how it is opened.
fn place(of: &Of) -> Result<(PathBuf, Options), Failure> {
    let settings = Settings::load(&of.config).map_err(unusable)?;
    let key = DataKey::load(&settings.store.data_key).map_err(|e| Failure::usage(chain(&e)))?;
    let mut options = Options::new(settings.area.as_str(), key, SystemClock.now());
    options.cache_bytes = settings.store.cache_bytes;
    Ok((settings.store_dir(), options))
}

/// As [`place`], for a store that is there: opening one that is not would create it.
fn existing(of: &Of) -> Result<(PathBuf, Options), Failure> {
    let (dir, options) = place(of)?;
    if dir.exists() {
        return Ok((dir, options));
    }
    let text = format!("{} does not exist: the node has never run", dir.display());
    Err(Failure::not_found(text).zh("存储尚未建立"))
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::failed(chain(error))
}

fn compact(of: &Of) -> Result<Answer, Failure> {
    let (dir, options) = existing(of)?;
    let done = store::compact(&dir, options).map_err(|e| failed(&e))?;
    let pairs = [
        ("rows", done.rows.to_string()),
        ("bytes before", done.bytes_before.to_string()),
        ("bytes now", done.bytes_after.to_string()),
        ("took", format!("{} ms", done.took.as_millis())),
    ];
    let json = json!({
        "rows": done.rows,
        "bytes_before": done.bytes_before,
        "bytes_after": done.bytes_after,
        "milliseconds": u64::try_from(done.took.as_millis()).unwrap_or(u64::MAX),
    });
    Ok(Answer::new(json, record(&pairs)))
}

fn rebuild(given: &Rebuild) -> Result<Answer, Failure> {
    let (dir, options) = place(&given.of)?;
    let done = store::rebuild(&given.from, &dir, &options).map_err(|e| failed(&e))?;
    let missing: Vec<_> = done.missing.iter().map(|m| m.table).collect();
    let left_out: Vec<_> = done.left_out.iter().map(ToString::to_string).collect();
    let pairs = [
        ("rows saved", done.rows.to_string()),
        ("ledger entries", done.ledger_entries.to_string()),
        ("groups lost", done.groups_lost.to_string()),
        ("tables with gaps", missing.join(", ")),
        ("rows left out", left_out.len().to_string()),
        ("store", dir.display().to_string()),
    ];
    let json = json!({
        "rows": done.rows,
        "ledger_entries": done.ledger_entries,
        "groups_lost": done.groups_lost,
        "tables_with_gaps": missing,
        "left_out": left_out,
        "more_left_out": done.more_left_out,
        "incarnation": done.incarnation,
        "store": dir,
    });
    Ok(Answer::new(json, record(&pairs))
        .and("\nWhat is missing comes back from the peers by reconciliation."))
}

fn check(of: &Of) -> Result<Answer, Failure> {
    let (dir, options) = existing(of)?;
    let (store, _) = Store::open(&dir, options).map_err(|e| failed(&e))?;
    let report = store.check();
    store.close().map_err(|e| failed(&e))?;
    let answer = told(&report);
    if report.is_sound() {
        return Ok(answer.and("\nNothing wrong was found. 未发现问题"));
    }
    Err(Failure::failed(format!("the store is damaged in {} places", report.findings.len()))
        .zh("存储有损坏")
        .advise(format!("stop the node, keep a copy, and restore a backup\n{}", answer.text)))
}

fn told(report: &CheckReport) -> Answer {
    let counts = report.tables.iter().filter(|t| t.rows > 0);
    let rows: Vec<_> =
        counts.map(|t| vec![t.table.to_owned(), t.rows.to_string(), t.bytes.to_string()]).collect();
    let findings: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    let pairs = [
        ("rows", report.rows.to_string()),
        ("bytes", report.bytes.to_string()),
        ("of erased persons", report.erased.to_string()),
        ("took", format!("{} ms", report.took.as_millis())),
        ("wrong", findings.join("\n")),
    ];
    let json = json!({
        "sound": report.is_sound(),
        "complete": report.complete,
        "rows": report.rows,
        "bytes": report.bytes,
        "erased": report.erased,
        "tables": report.tables.iter()
            .map(|t| json!({ "table": t.table, "rows": t.rows, "bytes": t.bytes }))
            .collect::<Vec<_>>(),
        "findings": findings,
        "more_findings": report.more_findings,
    });
    Answer::new(json, table(&["table", "rows", "bytes"], &rows)).and("\n").and(&record(&pairs))
}
