//! `liangdi peer`: the other nodes, as this one sees them.

use clap::{Args as ClapArgs, Subcommand};

use super::connect::{ConnectArgs, office};
use super::exit::Failure;
use super::output::Answer;
use super::view;

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
    /// All peers, with what waits for them and what troubles them 列出
    List,
}

const COLUMNS: &[&str] = &[
    "area",
    "name",
    "endpoint",
    "connected",
    "card_known",
    "waiting",
    "in_flight",
    "next_try_ms",
    "trouble",
    "clock_skew_ms",
    "last_receipt_ms",
];

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    let Verb::List = args.verb;
    let office = args.connect.open().await?;
    let peers = office.status().list_peers(office::ListPeersRequest {}).await?.into_inner().peers;
    Ok(view::rows(&peers, COLUMNS))
}
