//! The command line of this very program, run as a stranger would: with files alone, no node and no settings.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use super::step::Broken;
use crate::cli::exit::Failure;

/// Settings of the command line that must not leak into a run from whoever started the demonstration.
const SETTINGS: [&str; 7] = [
    "LIANGDI_OFFICE",
    "LIANGDI_CERT",
    "LIANGDI_KEY",
    "LIANGDI_ROOT",
    "LIANGDI_AREA",
    "LIANGDI_SUFFIX",
    "LIANGDI_PROFILE",
];

/// The built program.
#[derive(Debug)]
pub(super) struct Program(PathBuf);

/// How a run ended.
#[derive(Debug)]
pub(super) struct Ran {
    /// Exit code; none when a signal ended it.
    pub(super) exit: Option<i32>,
    /// What it answered; null when it answered nothing.
    pub(super) answer: Value,
    /// What it said on standard error.
    pub(super) trouble: String,
    /// The command as it can be typed.
    pub(super) command: String,
}

impl Program {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Runs the program with `--json`.
    pub(super) async fn run(&self, args: &[&OsStr]) -> Result<Ran, Broken> {
        let mut command = Command::new(&self.0);
        command.args(args).arg("--json").stdin(Stdio::null()).kill_on_drop(true);
        for setting in SETTINGS {
            command.env_remove(setting);
        }
        let words: Vec<_> = args.iter().map(|word| word.to_string_lossy()).collect();
        let typed = format!("liangdi {}", words.join(" "));
        let ended = command.output().await.map_err(|error| Broken::Command {
            command: typed.clone(),
            failure: Box::new(Failure::failed(error)),
        })?;
        Ok(Ran {
            exit: ended.status.code(),
            answer: serde_json::from_slice(&ended.stdout).unwrap_or_default(),
            trouble: String::from_utf8_lossy(&ended.stderr).trim().to_owned(),
            command: typed,
        })
    }
}

impl Ran {
    /// What it answered, when it ended well.
    pub(super) fn well(self) -> Result<Value, Broken> {
        match self.exit {
            Some(0) => Ok(self.answer),
            _ => Err(Broken::Command {
                command: self.command,
                failure: Box::new(Failure::failed(self.trouble)),
            }),
        }
    }
}
