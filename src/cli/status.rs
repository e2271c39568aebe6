//! `liangdi status`: how the node is.

mod metrics;

use clap::Args as ClapArgs;

use super::connect::{ConnectArgs, office};
use super::exit::Failure;
use super::output::Answer;
use super::view;

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    /// Figures for a monitor, as Prometheus and the textfile collector of node_exporter read them 监控指标
    #[arg(long)]
    metrics: bool,
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    let office = args.connect.open().await?;
    let status = office.status().get_status(office::GetStatusRequest {}).await?.into_inner();
    let answer = view::answer(&status);
    match args.metrics {
        true => Ok(Answer::new(answer.json, metrics::text(&status))),
        false => Ok(answer),
    }
}
