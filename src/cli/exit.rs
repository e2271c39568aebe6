//! Exit codes, and what the command line says when something did not work.

use std::error::Error;
use std::fmt;
use std::iter;
use std::ops::Deref;
use std::process::ExitCode;

use domain::reason::{Next, Reason};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::{ErrorInfo, StatusExt as _};
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

/// Why a command did not do what was asked: how the process ends, and what is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What is told; boxed, because a failure is passed through everything.
    pub told: Box<Told>,
}

/// What is told of a failure, in both languages where the catalogue has them. Empty is what nobody wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Code of the reason catalogue; empty for what only this program can meet.
    pub code: String,
    /// What happened, in Chinese.
    pub zh: String,
    /// What happened, in English.
    pub en: String,
    /// More about this very case, in English.
    pub detail: String,
    /// Fields it is about, with what is wrong with each.
    pub fields: Vec<FieldTrouble>,
    /// Id or number of the record that is in the way.
    pub existing: String,
    /// Who acts next: a code of the catalogue.
    pub next: String,
    /// What to do now, in Chinese.
    pub advice_zh: String,
    /// What to do now, in English.
    pub advice: String,
    /// Whether the same command can work later without a change; nothing when nobody can say.
    pub retry_helps: Option<bool>,
}

/// One field of what was sent, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTrouble {
    /// Name of the field.
    pub field: String,
    /// What is wrong, and how to mend it; empty when the text of the failure says it.
    pub trouble: String,
}

impl Deref for Failure {
    type Target = Told;

    fn deref(&self) -> &Told {
        &self.told
    }
}

impl Failure {
    fn new(exit: Exit, en: impl fmt::Display) -> Self {
        Self { exit, told: Box::new(Told { en: en.to_string(), ..Told::default() }) }
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
        let mut failure = Self::new(Exit::Unreachable, en);
        failure.told.retry_helps = Some(true);
        failure
    }

    /// What was asked for does not exist.
    #[must_use]
    pub fn not_found(en: impl fmt::Display) -> Self {
        Self::new(Exit::NotFound, en)
    }

    /// A refusal for a reason of the catalogue.
    #[must_use]
    pub fn reason(reason: Reason) -> Self {
        Self { exit: Exit::Refused, told: Box::new(Told::reason(reason)) }
    }

    /// The same with its Chinese text.
    #[must_use]
    pub fn zh(mut self, zh: impl fmt::Display) -> Self {
        self.told.zh = zh.to_string();
        self
    }

    /// The same with more about this very case.
    #[must_use]
    pub fn detail(mut self, detail: impl fmt::Display) -> Self {
        self.told.detail = detail.to_string();
        self
    }

    /// The same with a sentence on what to do now.
    #[must_use]
    pub fn advise(mut self, advice: impl fmt::Display) -> Self {
        self.told.advice = advice.to_string();
        self
    }

    /// The text for people: what happened, in which field, what to do, whether trying again helps.
    #[must_use]
    pub fn for_people(&self) -> String {
        let told = &self.told;
        let code = if told.code.is_empty() { String::new() } else { format!(" [{}]", told.code) };
        let mut lines = vec![format!("liangdi: {}{code}", told.en)];
        let mut add = |before: &str, text: &str| {
            if !text.is_empty() {
                lines.push(format!("{before}{text}"));
            }
        };
        add("         ", &told.zh);
        for FieldTrouble { field, trouble } in &told.fields {
            let colon = if trouble.is_empty() { "" } else { ": " };
            add("  ", &format!("{field}{colon}{trouble}"));
        }
        add("  ", &told.detail);
        add("  In the way: ", &told.existing);
        add("  What to do: ", &told.advice);
        add("  怎么办: ", &told.advice_zh);
        match told.retry_helps {
            Some(true) => add("  ", "Trying again later can help. 稍后可以重试"),
            Some(false) => {
                add("  ", "Trying again without a change does not help. 不改正，重试无用")
            }
            None => {}
        }
        lines.join("\n")
    }

    /// The same for programs: one object.
    #[must_use]
    pub fn for_programs(&self) -> Value {
        let told = &self.told;
        let field = |f: &FieldTrouble| json!({ "field": f.field, "trouble": f.trouble });
        json!({ "error": {
            "exit": self.exit.number(),
            "code": told.code,
            "zh": told.zh,
            "en": told.en,
            "detail": told.detail,
            "fields": told.fields.iter().map(field).collect::<Vec<_>>(),
            "existing": told.existing,
            "next": told.next,
            "advice_zh": told.advice_zh,
            "advice": told.advice,
            "retry_helps": told.retry_helps,
        }})
    }
}

impl Told {
    fn reason(reason: Reason) -> Self {
        Self {
            code: reason.code().to_owned(),
            zh: reason.text_zh().to_owned(),
            en: reason.text_en().to_owned(),
            next: next_code(reason.next()).to_owned(),
            advice_zh: reason.todo_zh().to_owned(),
            advice: reason.todo_en().to_owned(),
            retry_helps: Some(reason.retry_helps()),
            ..Self::default()
        }
    }
}

/// The code of who acts next.
pub(super) fn next_code(next: Next) -> &'static str {
    match next {
        Next::RetryLater => "RETRY_LATER",
        Next::CorrectAndResend => "CORRECT_AND_RESEND",
        Next::CheckPeer => "CHECK_PEER",
        Next::ContactPeer => "CONTACT_PEER",
    }
}

impl From<Status> for Failure {
    /// What a node answered, in its words: it may know reasons that this program does not. A status without them
    /// keeps its message.
    fn from(status: Status) -> Self {
        if let Some(lost) = transport_trouble(&status) {
            return lost;
        }
        let details = status.get_error_details();
        let violations = details.bad_request().map(|b| b.field_violations.as_slice());
        let fields: Vec<_> = violations
            .unwrap_or_default()
            .iter()
            .map(|v| FieldTrouble { field: v.field.clone(), trouble: v.description.clone() })
            .collect();
        let told = match details.error_info() {
            Some(info) => of_info(info, fields),
            None => Told {
                en: status.message().to_owned(),
                fields,
                retry_helps: retry_of(status.code()),
                ..Told::default()
            },
        };
        Self { exit: exit_of(status.code()), told: Box::new(told) }
    }
}

fn of_info(info: &ErrorInfo, mut fields: Vec<FieldTrouble>) -> Told {
    let text = |key: &str| info.metadata.get(key).cloned().unwrap_or_default();
    let field = text("field");
    if fields.is_empty() && !field.is_empty() {
        fields.push(FieldTrouble { field, trouble: String::new() });
    }
    let next = text("next");
    Told {
        code: info.reason.clone(),
        zh: text("zh"),
        en: text("en"),
        detail: text("detail"),
        fields,
        existing: text("existing"),
        advice_zh: text("next_zh"),
        advice: text("next_en"),
        retry_helps: Some(next == next_code(Next::RetryLater)),
        next,
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
    let refused = refused.or_else(|| Refused::from_text(&chain(error)));
    match refused {
        Some(refused) => Failure::from(refused),
        None => Failure::unreachable(format!("no connection to the node: {}", chain(error)))
            .zh("无法连接节点")
            .advise("is it running, and is --office the address of its office API?"),
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let mut failure = Self::refused(refused.text_en()).zh(refused.text_zh());
        failure.told.code = refused.code().to_owned();
        failure.told.retry_helps = Some(false);
        if let Refused::WrongArea { expected, found } = refused {
            failure.told.detail = format!("expected {expected}, found {found}");
        }
        failure
    }
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
