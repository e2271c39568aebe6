//! A long run at a steady rate: how late messages are, minute by minute, and whether that, the memory or the pace drifts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use domain::area::AreaCode;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::SoakArgs;
use super::process::{cpu_seconds, rss_mb};
use super::trial::{STALL, Trial};
use crate::config::Settings;
use crate::demo::network::{Network, Plan};
use crate::node;

const SENDER: &str = "410522";
const RECEIVER: &str = "440305";
/// At most this share of the messages may take longer than [`LATE`].
const LATE_MAX: f64 = 0.01;
/// Longer than this from the call to the kept receipt counts as late.
const LATE: Duration = Duration::from_secs(1);
/// The last minutes may be slower than the fifth by this factor, and this much on top.
const DRIFT_MAX: f64 = 2.0;
const DRIFT_FREE_MS: f64 = 5.0;
/// Memory may grow from the fifth minute to the last by this factor.
const MEMORY_MAX: f64 = 1.25;
/// Messages without a receipt at one time; more than a minute's at the highest rate.
const UNANSWERED_MAX: usize = 1_000_000;
/// Minutes before the nodes count as warm.
const WARM_MINUTES: usize = 5;

/// One minute of the run.
#[derive(Clone, Debug, Serialize)]
pub struct Minute {
    /// From 1.
    pub minute: usize,
    /// Messages whose receipt was kept in it.
    pub messages: u64,
    /// From the time a message was due to be sent until its receipt was on the sender's disk; median, milliseconds.
    pub p50_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// Messages that took over a second.
    pub late: u64,
    /// Memory of both nodes at the end of it, megabytes.
    pub rss_mb: f64,
    /// Processor time of both nodes in it, seconds.
    pub cpu_seconds: f64,
    /// Data of the sender's store on disk, megabytes.
    pub disk_mb: f64,
}

/// Result of `bench soak`.
#[derive(Clone, Debug, Serialize)]
pub struct Soak {
    /// Minute by minute.
    pub minutes: Vec<Minute>,
    /// Messages a second that were sent.
    pub rate: u64,
    /// Share of messages that took over a second.
    pub late_share: f64,
    /// Median latency of the last minutes over that of the fifth; 1 is no drift.
    pub drift: f64,
    /// Memory at the end over that of the fifth minute.
    pub memory_drift: f64,
    /// Whether all of it was within its bounds.
    pub held: bool,
}

/// Runs the measurement, and says each minute what it was like.
pub(super) async fn run(args: &SoakArgs) -> anyhow::Result<Soak> {
    let temporary = tempfile::tempdir()?;
    let dir = args.dir.as_deref().unwrap_or(temporary.path());
    let (sender, receiver): (AreaCode, AreaCode) = (SENDER.parse()?, RECEIVER.parse()?);
    let plan = Plan::new(dir, std::env::current_exe()?, vec![sender, receiver]);
    let mut network = Network::prepare(&plan)?;
    network.start(receiver).await?;
    let node = node::start(Settings::load(&network.member(sender)?.config)?).await?;
    let pids = [std::process::id(), network.process_id(receiver).context("no receiver")?];
    let trial = Arc::new(Trial::new(node, receiver, 600)?);
    trial.card_known().await?;
    let minutes = measure(args, &trial, pids).await;
    let trial = Arc::into_inner(trial).context("a submitter still runs")?;
    trial.node.stop().await;
    let stopped = network.stop_all().await;
    let minutes = minutes?;
    if !stopped {
        bail!("the receiver did not stop in order");
    }
    Soak::of(minutes, args.rate)
}

async fn measure(
    args: &SoakArgs,
    trial: &Arc<Trial>,
    pids: [u32; 2],
) -> anyhow::Result<Vec<Minute>> {
    let messages = args.minutes * 60 * args.rate;
    let (due, mut waiting) = mpsc::channel(UNANSWERED_MAX);
    let mut progress = trial.peer.progress();
    let before = progress.borrow_and_update().kept;
    let submit = submit(trial.clone(), messages, args.rate, due);
    let mut clock = Clock::start(pids)?;
    let follow = async {
        let (mut unanswered, mut kept) = (VecDeque::new(), 0);
        while kept < messages {
            tokio::time::timeout(STALL, progress.changed()).await.context("no progress")??;
            let now = Instant::now();
            while let Ok(at) = waiting.try_recv() {
                unanswered.push_back(at);
            }
            // The lane keeps the order, so the next receipt is for the oldest message.
            let answered = progress.borrow_and_update().kept - before;
            while kept < answered {
                let Some(at) = unanswered.pop_front() else { break };
                clock.took(now.saturating_duration_since(at))?;
                kept += 1;
            }
            clock.look(trial, pids)?;
        }
        Ok(())
    };
    tokio::try_join!(submit, follow)?;
    clock.end(trial, pids)?;
    Ok(clock.minutes)
}

/// Sends at a steady rate, whether the answers come or not, each as a clerk who does not wait for the others.
async fn submit(
    trial: Arc<Trial>,
    messages: u64,
    rate: u64,
    due: mpsc::Sender<Instant>,
) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate)?);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..messages {
        let at = ticks.tick().await;
        due.send(at).await?;
        let trial = trial.clone();
        tasks.spawn(async move { trial.send(number).await });
        while let Some(sent) = tasks.try_join_next() {
            sent??;
        }
    }
    while let Some(sent) = tasks.join_next().await {
        sent??;
    }
    Ok(())
}

/// The minute that runs, and those that are over.
struct Clock {
    started: Instant,
    cpu: f64,
    histogram: Histogram<u64>,
    late: u64,
    minutes: Vec<Minute>,
}

impl Clock {
    fn start(pids: [u32; 2]) -> anyhow::Result<Self> {
        Ok(Self {
            started: Instant::now(),
            cpu: cpu_of(pids)?,
            histogram: Histogram::new(3)?,
            late: 0,
            minutes: Vec::new(),
        })
    }

    fn took(&mut self, latency: Duration) -> anyhow::Result<()> {
        self.late += u64::from(latency > LATE);
        self.histogram.record(u64::try_from(latency.as_micros())?)?;
        Ok(())
    }

    /// Ends the minute when it is over.
    fn look(&mut self, trial: &Trial, pids: [u32; 2]) -> anyhow::Result<()> {
        if self.started.elapsed() >= Duration::from_secs(60) {
            self.end(trial, pids)
        } else {
            Ok(())
        }
    }

    fn end(&mut self, trial: &Trial, pids: [u32; 2]) -> anyhow::Result<()> {
        if self.histogram.is_empty() {
            return Ok(());
        }
        let cpu = cpu_of(pids)?;
        let at = |quantile: f64| millis(self.histogram.value_at_quantile(quantile));
        let minute = Minute {
            minute: self.minutes.len() + 1,
            messages: self.histogram.len(),
            p50_ms: at(0.5)?,
            p99_ms: at(0.99)?,
            max_ms: at(1.0)?,
            late: self.late,
            rss_mb: rss_mb(pids[0])? + rss_mb(pids[1])?,
            cpu_seconds: cpu - self.cpu,
            disk_mb: megabytes(trial.node.store.size_on_disk()?)?,
        };
        tracing::info!(
            minute = minute.minute,
            messages = minute.messages,
            p50_ms = minute.p50_ms,
            p99_ms = minute.p99_ms,
            max_ms = minute.max_ms,
            late = minute.late,
            rss_mb = minute.rss_mb,
            disk_mb = minute.disk_mb,
            "a minute of the run"
        );
        self.minutes.push(minute);
        *self = Self {
            started: self.started + Duration::from_secs(60),
            cpu,
            histogram: Histogram::new(3)?,
            late: 0,
            minutes: std::mem::take(&mut self.minutes),
        };
        Ok(())
    }
}

impl Soak {
    fn of(minutes: Vec<Minute>, rate: u64) -> anyhow::Result<Self> {
        let all: u64 = minutes.iter().map(|m| m.messages).sum();
        let late: u64 = minutes.iter().map(|m| m.late).sum();
        let late_share = f64::from(u32::try_from(late)?) / f64::from(u32::try_from(all.max(1))?);
        // The last minute may be a short one.
        let whole = minutes.len().saturating_sub(1).max(1);
        let warm = minutes.get(WARM_MINUTES.min(whole) - 1).context("no minute")?;
        let last = minutes.get(whole - 1).context("no minute")?;
        let (drift, memory_drift) = (last.p50_ms / warm.p50_ms, last.rss_mb / warm.rss_mb);
        let steady = last.p50_ms <= warm.p50_ms * DRIFT_MAX + DRIFT_FREE_MS;
        let held = late_share <= LATE_MAX && steady && memory_drift <= MEMORY_MAX;
        Ok(Self { minutes, rate, late_share, drift, memory_drift, held })
    }

    /// Lines for people: name, figure, unit.
    #[must_use]
    pub fn lines(&self) -> Vec<[String; 2]> {
        let mut lines: Vec<_> = self.minutes.iter().map(Minute::line).collect();
        let percent = self.late_share * 100.0;
        lines.push(["over one second".to_owned(), format!("{percent:.3} % (at most 1 %)")]);
        let fifth = "the fifth minute";
        lines.push(["drift of the median".to_owned(), format!("{:.2} × {fifth}", self.drift)]);
        lines.push(["memory".to_owned(), format!("{:.2} × {fifth}", self.memory_drift)]);
        let held = if self.held { "yes" } else { "NO" };
        lines.push(["within its bounds".to_owned(), held.to_owned()]);
        lines
    }
}

impl Minute {
    fn line(&self) -> [String; 2] {
        let Self { minute, messages, p50_ms, p99_ms, max_ms, late, rss_mb, cpu_seconds, disk_mb } =
            self;
        let figures = format!(
            "{messages} messages, p50 {p50_ms:.2} p99 {p99_ms:.2} max {max_ms:.1} ms, {late} late, \
             {cpu_seconds:.1} CPU s, {rss_mb:.0} MB memory, {disk_mb:.0} MB disk"
        );
        [format!("minute {minute}"), figures]
    }
}

fn cpu_of(pids: [u32; 2]) -> anyhow::Result<f64> {
    Ok(cpu_seconds(pids[0])? + cpu_seconds(pids[1])?)
}

fn millis(micros: u64) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(micros)?) / 1_000.0)
}

fn megabytes(bytes: u64) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(bytes / 1024)?) / 1024.0)
}
