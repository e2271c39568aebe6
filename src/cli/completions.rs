//! `liangdi completions`: what a shell needs to complete a half-typed command.

use clap::{Args as ClapArgs, CommandFactory};
use clap_complete::Shell;
use serde_json::json;

use super::Cli;
use super::exit::Failure;
use super::output::Answer;

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// Shell to write them for
    shell: Shell,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "liangdi", &mut script);
    let script = String::from_utf8(script)
        .map_err(|_| Failure::failed("the completions cannot be written as text"))?;
    Ok(Answer::new(json!({ "shell": args.shell.to_string(), "script": script }), script.clone()))
}
