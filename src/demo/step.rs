//! One step of the story: what it is called, what it proved, or why it did not hold.

use std::io;
use std::path::PathBuf;

use domain::area::AreaCode;
use tonic::Status;

use super::network::NetworkError;
use crate::cli::exit::Failure;

/// What a step is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Title {
    /// For programs.
    pub(super) code: &'static str,
    /// For people.
    pub(super) zh: &'static str,
    /// For people.
    pub(super) en: &'static str,
}

/// A step that held: what the next steps go on with, and what was proven.
#[derive(Debug)]
pub(super) struct Held<T> {
    pub(super) value: T,
    pub(super) zh: String,
    pub(super) en: String,
    /// What people see besides, such as the printed code.
    pub(super) shown: String,
}

impl<T> Held<T> {
    pub(super) fn new(value: T, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { value, zh: zh.into(), en: en.into(), shown: String::new() }
    }

    pub(super) fn showing(mut self, shown: impl Into<String>) -> Self {
        self.shown = shown.into();
        self
    }
}

/// Why a step did not hold.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// A node did not do what was asked.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// What was to be proven is not so.
    #[error("{0}")]
    NotSo(String),
    /// A node should have refused and did not.
    #[error("{0} was not refused")]
    NotRefused(&'static str),
    /// Something did not come in time.
    #[error("waited too long until {what}; the end of the log of {area}:\n{log}")]
    Late {
        /// What was waited for.
        what: String,
        /// The node that was looked at.
        area: AreaCode,
        /// The end of its log.
        log: String,
    },
    /// The command line did not do what was asked.
    #[error("{command}: {}", failure.told.en)]
    Command {
        /// What was run.
        command: String,
        /// What it said.
        failure: Box<Failure>,
    },
    /// A file of the demonstration cannot be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Outcome of a step.
pub(super) type Outcome<T> = Result<Held<T>, Broken>;

/// Fails the step when what was to be proven is not so.
pub(super) fn ensure(so: bool, what: impl FnOnce() -> String) -> Result<(), Broken> {
    if so { Ok(()) } else { Err(Broken::NotSo(what())) }
}

/// Turns what a node answered into a step that did not hold.
pub(super) fn call(area: AreaCode) -> impl FnOnce(Status) -> Broken {
    move |status| NetworkError::call(area)(status).into()
}
