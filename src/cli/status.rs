//! `liangdi status`: how the node is.

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
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    let office = args.connect.open().await?;
    let status = office.status().get_status(office::GetStatusRequest {}).await?.into_inner();
    Ok(view::answer(&status))
}
