//! `liangdi serve`: runs a node until it is told to stop.

use std::io;
use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::config::unusable;
use super::exit::Failure;
use super::output::Answer;
use crate::config::Settings;
use crate::errors::chain;
use crate::node::{self, NodeError};
use crate::ops::telemetry::{self, LogFormat};

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "liangdi.toml")]
    config: PathBuf,
    /// How log lines look; what is logged is chosen by LIANGDI_LOG, such as info,liangdi=debug
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// Stop in order when standard input ends: for a program that starts nodes and may die itself
    #[arg(long, hide = true)]
    stop_with_stdin: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let settings = Settings::load(&args.config).map_err(unusable)?;
    telemetry::start(args.log_format).map_err(|e| Failure::usage(chain(&e)))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::failed(format!("no runtime: {e}")))?;
    let told = stdin_ended(args.stop_with_stdin);
    runtime.block_on(node::run(settings, told)).map_err(stopped)?;
    Ok(Answer::nothing())
}

/// Resolves when standard input ends; never when it is not to be looked at.
async fn stdin_ended(look: bool) {
    if !look {
        return std::future::pending().await;
    }
    let (ended, hears) = tokio::sync::oneshot::channel();
    // A thread of its own, not one of the runtime's: the runtime would wait for it when the node stops for another
    // reason, and the process ends without asking it.
    let reader = move || {
        let all = io::copy(&mut io::stdin(), &mut io::sink());
        let _stopped_already = ended.send(all.is_ok()).is_err();
    };
    match std::thread::Builder::new().name("stdin".to_owned()).spawn(reader) {
        Ok(_reads) => _ = hears.await,
        Err(error) => {
            tracing::warn!(%error, "the end of standard input cannot be noticed");
            std::future::pending().await
        }
    }
}

/// What the configuration names but cannot be used counts as usage: a service manager need not try again.
fn stopped(error: NodeError) -> Failure {
    let text = chain(&error);
    match error {
        NodeError::DataKey(_) | NodeError::Identity(_) | NodeError::OtherArea { .. } => {
            Failure::usage(text)
        }
        NodeError::Store { .. }
        | NodeError::Listen(_)
        | NodeError::App(_)
        | NodeError::StoreFailed(_) => Failure::failed(text),
    }
}
