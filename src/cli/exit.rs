//! Exit codes, and what the command line says when something did not work.

use std::error::Error;
use std::fmt;
use std::iter;
use std::process::ExitCode;

use domain::reason::Reason;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use trust::refused::Refused;

use crate::errors::chain;

/// How a run ended; the number is part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done.
    Done,
    /// It did not work, and none of the others fits.
    Failed,
    /// The command was typed wrongly, or a file it names cannot be used.
    Usage,
    /// A rule forbids it: a value, a right, a basis, a signature.
    Refused,
    /// The node did not answer.
    Unreachable,
    /// What was asked for does not exist.
    NotFound,
}

impl Exit {
    /// The number the shell sees.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Unreachable => 4,
            Self::NotFound => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// Why a command did not do what was asked, in both languages where the catalogue has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// Code of the reason catalogue or of the rule; empty for what only this program can meet.
    pub code: String,
    /// What happened, in Chinese; empty when nobody wrote it.
    pub zh: String,
    /// What happened, in English.
    pub en: String,
    /// Fields it is about, with what is wrong with each.
    pub fields: Box<[FieldTrouble]>,
    /// What to do now, in a sentence; may be empty.
    pub advice: String,
    /// Whether the same command can work later without a change; nothing when nobody can say.
    pub retry_helps: Option<bool>,
}

/// One field of what was sent, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTrouble {
    /// Name of the field.
    pub field: String,
    /// What is wrong, and how to mend it.
    pub trouble: String,
}

impl Failure {
    fn new(exit: Exit, en: impl fmt::Display) -> Self {
        let (code, zh, advice) = (String::new(), String::new(), String::new());
        let en = en.to_string();
        Self { exit, code, zh, en, fields: Box::default(), advice, retry_helps: None }
    }

    /// The command was typed wrongly.
    #[must_use]
    pub fn usage(en: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, en)
    }

    /// It did not work.
    #[must_use]
    pub fn failed(en: impl fmt::Display) -> Self {
        Self::new(Exit::Failed, en)
    }

    /// A rule forbids it.
    #[must_use]
    pub fn refused(en: impl fmt::Display) -> Self {
        Self::new(Exit::Refused, en)
    }

    /// The node did not answer; trying again may help.
    #[must_use]
    pub fn unreachable(en: impl fmt::Display) -> Self {
        Self { retry_helps: Some(true), ..Self::new(Exit::Unreachable, en) }
    }

    /// What was asked for does not exist.
    #[must_use]
    pub fn not_found(en: impl fmt::Display) -> Self {
        Self::new(Exit::NotFound, en)
    }

    /// The same with a sentence on what to do now.
    #[must_use]
    pub fn advise(mut self, advice: impl fmt::Display) -> Self {
        self.advice = advice.to_string();
        self
    }

    /// The same with its Chinese text.
    #[must_use]
    pub fn zh(mut self, zh: impl fmt::Display) -> Self {
        self.zh = zh.to_string();
        self
    }

    /// A refusal for a reason of the catalogue.
    #[must_use]
    pub fn reason(reason: Reason) -> Self {
        Self {
            code: reason.code().to_owned(),
            zh: reason.text_zh().to_owned(),
            advice: advice(reason),
            retry_helps: Some(reason.retry_helps()),
            ..Self::refused(reason.text_en())
        }
    }

    /// The text for people: what happened, in which field, what to do, whether trying again helps.
    #[must_use]
    pub fn for_people(&self) -> String {
        let mut lines = Vec::new();
        let code = if self.code.is_empty() { String::new() } else { format!(" [{}]", self.code) };
        lines.push(format!("liangdi: {}{code}", self.en));
        if !self.zh.is_empty() {
            lines.push(format!("         {}", self.zh));
        }
        lines.extend(self.fields.iter().map(|f| format!("  {}: {}", f.field, f.trouble)));
        if !self.advice.is_empty() {
            lines.push(format!("  What to do: {}", self.advice));
        }
        match self.retry_helps {
            Some(true) => lines.push("  Trying again later can help.".to_owned()),
            Some(false) => lines.push("  Trying again without a change does not help.".to_owned()),
            None => {}
        }
        lines.join("\n")
    }

    /// The same for programs: one object.
    #[must_use]
    pub fn for_programs(&self) -> Value {
        let field = |f: &FieldTrouble| json!({ "field": f.field, "trouble": f.trouble });
        json!({ "error": {
            "exit": self.exit.number(),
            "code": self.code,
            "zh": self.zh,
            "en": self.en,
            "fields": self.fields.iter().map(field).collect::<Vec<_>>(),
            "advice": self.advice,
            "retry_helps": self.retry_helps,
        }})
    }
}

impl From<Status> for Failure {
    /// What a node answered. Its code of the catalogue decides; the gRPC code only where there is none.
    fn from(status: Status) -> Self {
        if let Some(lost) = transport_trouble(&status) {
            return lost;
        }
        let details = status.get_error_details();
        let info = details.error_info();
        let code = info.map(|i| i.reason.clone()).unwrap_or_default();
        let known = Reason::from_code(&code);
        let meta = |key: &str| info.and_then(|i| i.metadata.get(key)).cloned();
        let mut fields: Vec<_> = details
            .bad_request()
            .map(|bad| bad.field_violations.iter())
            .into_iter()
            .flatten()
            .map(|v| FieldTrouble { field: v.field.clone(), trouble: v.description.clone() })
            .collect();
        if let (true, Some(field)) = (fields.is_empty(), meta("field").filter(|f| !f.is_empty())) {
            fields.push(FieldTrouble { field, trouble: "see above".to_owned() });
        }
        let catalogue_en = known.map(|r| r.text_en().to_owned());
        let catalogue_zh = known.map(|r| r.text_zh().to_owned());
        Self {
            exit: exit_of(status.code()),
            code,
            zh: meta("zh").or(catalogue_zh).unwrap_or_default(),
            en: meta("en").or(catalogue_en).unwrap_or_else(|| status.message().to_owned()),
            fields: fields.into(),
            advice: known.map(advice).unwrap_or_default(),
            retry_helps: known.map(Reason::retry_helps).or_else(|| retry_of(status.code())),
        }
    }
}

/// The exit code for a gRPC code.
#[must_use]
pub fn exit_of(code: Code) -> Exit {
    match code {
        Code::Ok => Exit::Done,
        Code::NotFound => Exit::NotFound,
        Code::Unavailable | Code::DeadlineExceeded => Exit::Unreachable,
        Code::InvalidArgument
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange => Exit::Refused,
        Code::Cancelled
        | Code::Unknown
        | Code::ResourceExhausted
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss => Exit::Failed,
    }
}

fn retry_of(code: Code) -> Option<bool> {
    match code {
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => Some(true),
        Code::InvalidArgument | Code::PermissionDenied | Code::Unauthenticated => Some(false),
        _ => None,
    }
}

/// A status that no node wrote: the connection broke before an answer came.
fn transport_trouble(status: &Status) -> Option<Failure> {
    let transport = sources(status).find(|e| e.is::<tonic::transport::Error>())?;
    Some(not_connected(transport))
}

/// Why there is no connection. A node that refuses our certificate says so only after the handshake, as an alert.
pub(super) fn not_connected(error: &(dyn Error + 'static)) -> Failure {
    let refused = sources(error).find_map(|e| match e.downcast_ref::<rustls::Error>() {
        Some(tls) => Some(Refused::from_tls(tls)),
        None => e.downcast_ref::<std::io::Error>().and_then(Refused::from_io),
    });
    match refused {
        Some(refused) => Failure::from(refused),
        None => Failure::unreachable(format!("no connection to the node: {}", chain(error)))
            .zh("无法连接节点")
            .advise("is it running, and is --office the address of its office API?"),
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self {
            code: refused.code().to_owned(),
            zh: refused.text_zh().to_owned(),
            retry_helps: Some(false),
            ..Self::refused(refused.text_en())
        }
    }
}

/// What to do, as the catalogue says it.
fn advice(reason: Reason) -> String {
    format!("{}\n              {}", reason.todo_en(), reason.todo_zh())
}

/// An error and everything it rests on, outermost first.
fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    iter::from_fn(move || {
        let here = next?;
        next = here.source();
        Some(here)
    })
}
