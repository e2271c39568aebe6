//! Two nodes on one machine: the sender in this process, so that submitters call its use case directly,
//! the receiver as a process of its own.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use domain::area::AreaCode;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use store::Statistics;

use super::ExchangeArgs;
use super::floor::{self, Load};
use super::process::{cpu_seconds, peak_rss_mb};
use super::report::Report;
use super::trial::Trial;
use crate::config::Settings;
use crate::demo::network::{Network, Plan};
use crate::node::{self, Running};
use crate::time::SystemClock;

const SENDER: &str = "410522";
const RECEIVER: &str = "440305";
/// Messages sent before anything is measured.
const WARM_UP: u64 = 2_000;
/// Bytes around a body on the wire: header, seal, padding to the size class.
const ENVELOPE_OVERHEAD: usize = 250;

/// Runs the measurement.
pub(super) async fn run(args: &ExchangeArgs) -> anyhow::Result<Report> {
    let temporary = tempfile::tempdir()?;
    let dir = args.dir.as_deref().unwrap_or(temporary.path());
    let (sender, receiver): (AreaCode, AreaCode) = (SENDER.parse()?, RECEIVER.parse()?);
    let plan = Plan::new(dir, std::env::current_exe()?, vec![sender, receiver]);
    let mut network = Network::prepare(&plan)?;
    network.start(receiver).await?;
    let node = node::start(Settings::load(&network.member(sender)?.config)?).await?;
    let outcome = measure(args, &network, node, dir).await;
    let stopped = network.stop_all().await;
    let report = outcome?;
    if !stopped {
        bail!("the receiver did not stop in order");
    }
    Ok(report)
}

async fn measure(
    args: &ExchangeArgs,
    network: &Network,
    node: Running,
    dir: &Path,
) -> anyhow::Result<Report> {
    let receiver: AreaCode = RECEIVER.parse()?;
    let pids = [std::process::id(), network.process_id(receiver).context("no receiver")?];
    let trial = Arc::new(Trial::new(node, receiver, usize::try_from(args.body_bytes)?)?);
    trial.card_known().await?;
    trial.full_speed(WARM_UP, args.submitters, None).await?;

    let before = Counts::take(&trial, network, receiver, pids).await?;
    let bar = progress(args.messages);
    let took = trial.full_speed(args.messages, args.submitters, Some(bar.clone())).await?;
    bar.finish_and_clear();
    let after = Counts::take(&trial, network, receiver, pids).await?;
    let latency = trial.at_rate(args.latency_messages, args.rate).await?;
    let last = Counts::take(&trial, network, receiver, pids).await?;
    let peak_rss_mb = peak_rss_mb(pids[0])? + peak_rss_mb(pids[1])?;

    let group = median_group(&before.sender, &after.sender);
    let (here, there) = (network.member(SENDER.parse()?)?, network.member(receiver)?);
    let (here, there) = (material(&here.config)?, material(&there.config)?);
    let bytes = usize::try_from(args.body_bytes)? + ENVELOPE_OVERHEAD;
    let load = Load { messages: args.messages, bytes, group };
    let flush = floor::flush_p50(dir, bytes)?;
    let floor_per_second = floor::per_second(load, dir, &here, &there, receiver)?;
    let trial = Arc::into_inner(trial).context("a submitter still runs")?;
    trial.node.stop().await;

    let messages = as_f64(args.messages)?;
    let messages_per_second = messages / took.as_secs_f64();
    Ok(Report {
        messages_per_second,
        p50_ms: millis(&latency, 0.50)?,
        p95_ms: millis(&latency, 0.95)?,
        p99_ms: millis(&latency, 0.99)?,
        cpu_seconds_per_10k: (after.cpu - before.cpu) / messages * 10_000.0,
        cpu_seconds_per_10k_low_rate: (last.cpu - after.cpu) / as_f64(args.latency_messages)?
            * 10_000.0,
        flushes_per_message: as_f64(after.syncs - before.syncs)? / messages,
        bytes_per_message: as_f64(after.sender.bytes - before.sender.bytes)? / messages,
        group_p50: group,
        peak_rss_mb,
        floor_per_second,
        ratio_to_floor: messages_per_second / floor_per_second,
        disk_flush_p50_ms: flush.as_secs_f64() * 1_000.0,
        messages: args.messages,
        body_bytes: args.body_bytes,
        submitters: args.submitters,
        rate: args.rate,
    })
}

/// What has been used up to now.
struct Counts {
    sender: Statistics,
    syncs: u64,
    cpu: f64,
}

impl Counts {
    async fn take(
        trial: &Trial,
        network: &Network,
        receiver: AreaCode,
        pids: [u32; 2],
    ) -> anyhow::Result<Self> {
        let sender = trial.node.store.statistics();
        let there = network.status(receiver).await?;
        let cpu = cpu_seconds(pids[0])? + cpu_seconds(pids[1])?;
        Ok(Self { syncs: sender.syncs + there.syncs, sender, cpu })
    }
}

/// The size that half of the groups since `before` do not exceed, by the buckets of the store.
fn median_group(before: &Statistics, after: &Statistics) -> u64 {
    let sizes = after.group_sizes.iter().zip(&before.group_sizes).map(|(a, b)| a - b);
    // Weighted by what is in them: the group a unit was in, not the group as such.
    let weighted: Vec<(u64, u64)> =
        sizes.enumerate().map(|(bucket, groups)| (1 << bucket, groups << bucket)).collect();
    let half = weighted.iter().map(|(_, units)| units).sum::<u64>() / 2;
    let mut seen = 0;
    for (size, units) in weighted {
        seen += units;
        if seen >= half.max(1) {
            return size;
        }
    }
    1
}

fn material(config: &Path) -> anyhow::Result<Arc<trust::tls::TlsMaterial>> {
    let settings = Settings::load(config)?;
    let identity = crate::delivery::identity::NodeIdentity::load(&settings.tls, SystemClock.now())?;
    Ok(identity.material())
}

fn progress(messages: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta}");
    let bar = ProgressBar::new(messages);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn millis(histogram: &Histogram<u64>, quantile: f64) -> anyhow::Result<f64> {
    Ok(as_f64(histogram.value_at_quantile(quantile))? / 1_000.0)
}

fn as_f64(number: u64) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(number)?))
}
