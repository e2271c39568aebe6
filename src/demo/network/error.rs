//! Why a network on this machine cannot be made, or a node of it does not do what was waited for.

use std::io;
use std::path::PathBuf;

use domain::access::Role;
use domain::area::AreaCode;
use store::DataKeyError;
use tonic::Status;
use trust::authority::AuthorityError;
use trust::leaf::RequestError;

use crate::cli::exit::Failure;

/// What goes wrong with a network on this machine.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// There is no node for the area, or it does not run.
    #[error("there is no node of {area}, or it does not run")]
    NoNode {
        /// The area.
        area: AreaCode,
    },
    /// The office has no operator of the role.
    #[error("the office of {area} has no {role:?}")]
    NoOperator {
        /// The area.
        area: AreaCode,
        /// The role.
        role: Role,
    },
    /// A name cannot stand in a certificate.
    #[error("\"{0}\" cannot be an operator's name")]
    OperatorName(String),
    /// No ports are free.
    #[error("there are not enough free ports on this machine")]
    NoPorts,
    /// A file cannot be made.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A CA does not do its work.
    #[error("a certificate cannot be made")]
    Authority(#[from] AuthorityError),
    /// A key or request cannot be made.
    #[error("a key cannot be made")]
    Request(#[from] RequestError),
    /// A key cannot be kept.
    #[error("a key cannot be kept: {0}")]
    Key(String),
    /// A data key cannot be made.
    #[error("a data key cannot be made")]
    DataKey(#[from] DataKeyError),
    /// The process of a node cannot be started, killed or waited for.
    #[error("the process of {area} cannot be handled")]
    Process {
        /// Its area.
        area: AreaCode,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A node ended when it was to serve.
    #[error("the node of {area} has ended; the end of its log:\n{log}")]
    Ended {
        /// Its area.
        area: AreaCode,
        /// The end of its log.
        log: String,
    },
    /// What was waited for did not come in time.
    #[error("waited too long until the node of {area} {awaited}; the end of its log:\n{log}")]
    Late {
        /// Its area.
        area: AreaCode,
        /// What was waited for.
        awaited: &'static str,
        /// The end of its log.
        log: String,
    },
    /// The office API cannot be called.
    #[error("the office API of {area} cannot be called: {}", failure.told.en)]
    Unreachable {
        /// Its area.
        area: AreaCode,
        /// Why.
        failure: Box<Failure>,
    },
    /// The office API answered with an error.
    #[error("the office API of {area} answered {code}: {}", failure.told.en, code = failure.told.code)]
    Call {
        /// Its area.
        area: AreaCode,
        /// Code and text.
        failure: Box<Failure>,
    },
}

impl NetworkError {
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }

    /// Turns what the node of `area` answered into an error.
    pub fn call(area: AreaCode) -> impl FnOnce(Status) -> Self {
        move |status| Self::Call { area, failure: Box::new(Failure::from(status)) }
    }
}
