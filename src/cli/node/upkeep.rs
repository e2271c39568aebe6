//! `liangdi node rotate-key | retire`: what an administrator asks of a node that runs.

use std::time::Duration;

use clap::Args as ClapArgs;

use crate::cli::connect::{ConnectArgs, office};
use crate::cli::exit::Failure;
use crate::cli::output::Answer;
use crate::cli::view;

/// How often is looked what is left.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Arguments of `rotate-key`.
#[derive(ClapArgs, Debug)]
pub(super) struct RotateKey {
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Arguments of `retire`.
#[derive(ClapArgs, Debug)]
pub(super) struct Retire {
    #[command(flatten)]
    connect: ConnectArgs,
    /// Do not wait until everything is settled: say what is left, and end
    #[arg(long)]
    no_wait: bool,
    /// Only look what is left; change nothing
    #[arg(long, conflicts_with = "cancel")]
    look: bool,
    /// Take it back: the node serves as before
    #[arg(long)]
    cancel: bool,
}

pub(super) async fn rotate_key(args: RotateKey) -> Result<Answer, Failure> {
    let office = args.connect.open().await?;
    let request = office::RotateSealingKeyRequest {};
    let keys = office.directory().rotate_sealing_key(request).await?.into_inner().keys;
    Ok(view::rows(&keys, &["key_id", "use_until_ms"]).and(
        "\nThe first is the one to seal with; the others still open what is under way.\n\
         首个为现用密钥；其余密钥仍可开启在途通报。",
    ))
}

pub(super) async fn retire(args: Retire) -> Result<Answer, Failure> {
    let office = args.connect.open().await?;
    loop {
        let request = office::RetireNodeRequest { cancel: args.cancel, look: args.look };
        let state = office.directory().retire_node(request).await?.into_inner();
        let done = state.retired_ms != 0 && state.reported || args.cancel || args.look;
        if done || args.no_wait {
            return Ok(view::answer(&state));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
