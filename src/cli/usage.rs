//! A command that was typed wrongly, told in both languages and with a code. What was typed is not repeated: it may be
//! about a person.

use std::error::Error;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use domain::area::AreaError;
use domain::id::{CertificateNumberError, NotAnId, OperatorNameError};
use domain::reason::Reason;
use domain::rule::{Rule, Violation as _};
use domain::time::DateError;

use super::exit::{Exit, Failure, FieldTrouble};

/// What is told of a command that cannot be read.
pub(super) fn failure(error: &clap::Error) -> Failure {
    let slip = Slip::of(error.kind());
    let mut failure = Failure { exit: Exit::Usage, ..Failure::reason(slip.reason) };
    failure.told.en = slip.en.to_owned();
    failure.told.zh = slip.zh.to_owned();
    failure.told.fields = fields(error);
    match error.source().and_then(rule) {
        Some(rule) => {
            failure.told.advice_zh = rule.fix_zh().to_owned();
            failure.told.advice = rule.fix_en().to_owned();
        }
        None => {
            failure.told.advice_zh = "加 --help 可以看到能填什么。".to_owned();
            failure.told.advice = "Add --help to see what may be typed.".to_owned();
        }
    }
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    // The line says by itself what it is.
    failure.detail(usage.replacen("Usage:", "用法 Usage:", 1).trim_end())
}

/// A sort of slip.
struct Slip {
    reason: Reason,
    zh: &'static str,
    en: &'static str,
}

impl Slip {
    const fn of(kind: ErrorKind) -> Self {
        let (reason, zh, en) = match kind {
            ErrorKind::MissingRequiredArgument | ErrorKind::MissingSubcommand => (
                Reason::FieldRequired,
                "命令缺少必填的内容。",
                "Something that the command needs is missing.",
            ),
            ErrorKind::UnknownArgument | ErrorKind::TooManyValues => (
                Reason::FieldNotAllowed,
                "命令中有多出的内容。",
                "There is something in the command that has no place there.",
            ),
            ErrorKind::InvalidSubcommand => {
                (Reason::FieldNotAllowed, "没有这个命令。", "There is no such command.")
            }
            ErrorKind::ArgumentConflict => (
                Reason::FieldNotAllowed,
                "命令中有不能同时填写的内容。",
                "Two things in the command exclude each other, or one is there twice.",
            ),
            _ => (
                Reason::InvalidField,
                "命令中有一项内容填写不正确。",
                "A value in the command is not allowed.",
            ),
        };
        Self { reason, zh, en }
    }
}

/// Where the slip is, and what may be typed there; never what was typed.
fn fields(error: &clap::Error) -> Vec<FieldTrouble> {
    let trouble = trouble(error);
    let mut fields: Vec<_> = texts(error, ContextKind::InvalidArg)
        .into_iter()
        .filter(|name| is_ours(name))
        .map(|field| FieldTrouble { field, trouble: trouble.clone() })
        .collect();
    for other in texts(error, ContextKind::PriorArg).into_iter().filter(|name| is_ours(name)) {
        fields.push(FieldTrouble { field: other, trouble: String::new() });
    }
    if fields.is_empty() && !trouble.is_empty() {
        fields.push(FieldTrouble { field: trouble, trouble: String::new() });
    }
    fields
}

/// What is wrong with a field, as far as its name does not say it.
fn trouble(error: &clap::Error) -> String {
    if let Some(rule) = error.source().and_then(rule) {
        return format!("{} {}", rule.text_zh(), rule.text_en());
    }
    let may_be = [ContextKind::ValidValue, ContextKind::ValidSubcommand];
    let meant =
        [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    let all = |kinds: &[ContextKind]| {
        kinds.iter().flat_map(|kind| texts(error, *kind)).collect::<Vec<_>>().join(", ")
    };
    let (meant, may_be) = (all(&meant), all(&may_be));
    match (meant.is_empty(), may_be.is_empty()) {
        (false, _) => format!("是否想写 did you mean: {meant}"),
        (true, false) => format!("可以填 may be: {may_be}"),
        (true, true) => String::new(),
    }
}

/// Whether a text is the name of an argument, such as `--on <YYYY-MM-DD>` or `<CASE>`, and not something that was typed in
/// its place.
fn is_ours(name: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_lowercase() || letter == '-';
    let option = name.strip_prefix("--").and_then(|rest| rest.split([' ', '=']).next());
    name.starts_with('<')
        || name.starts_with('[')
        || option.is_some_and(|it| it.chars().all(is_word))
}

/// The texts that the parser says of a slip under that heading.
fn texts(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

/// The rule that a typed value breaks, where it is one of the domain.
fn rule(source: &(dyn Error + 'static)) -> Option<Rule> {
    source
        .downcast_ref::<NotAnId>()
        .map(|it| it.rule())
        .or_else(|| source.downcast_ref::<DateError>().map(|it| it.rule()))
        .or_else(|| source.downcast_ref::<AreaError>().map(|it| it.rule()))
        .or_else(|| source.downcast_ref::<CertificateNumberError>().map(|it| it.rule()))
        .or_else(|| source.downcast_ref::<OperatorNameError>().map(|it| it.rule()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    fn told(line: &str) -> Failure {
        failure(&Cli::try_parse_from(line.split(' ')).unwrap_err())
    }

    #[test]
    fn a_value_of_the_wrong_form_is_told_in_both_languages_and_not_repeated() {
        let office = "--profile office.toml";
        for (line, field, secret) in [
            ("liangdi case show 41052219900307234X", "<CASE>", "41052219900307234X"),
            (
                "liangdi registration move-on 王小丽 --on 2026-01-01 --to 440306",
                "<REGISTRATION>",
                "王小丽",
            ),
            ("liangdi consent withdraw 13800138000", "<CONSENT>", "13800138000"),
            (
                "liangdi request record --document X --service counselling --recipient 410522 --requested-on 昨天",
                "--requested-on <YYYY-MM-DD>",
                "昨天",
            ),
            (
                "liangdi request record --document X --service counselling --recipient 河南 --requested-on 2026-01-01",
                "--recipient <CODE>",
                "河南",
            ),
        ] {
            let told = told(&format!("{line} {office}"));
            assert_eq!((told.exit, told.code.as_str()), (Exit::Usage, "INVALID_FIELD"), "{line}");
            assert_eq!(told.fields.first().map(|it| it.field.as_str()), Some(field), "{line}");
            assert!(chinese(&told.zh) && chinese(&told.advice_zh), "{told:?}");
            assert!(chinese(&told.fields[0].trouble) && !told.advice.is_empty(), "{told:?}");
            assert!(!told.for_people().contains(secret), "{told:?}");
        }
    }

    fn chinese(text: &str) -> bool {
        text.chars().any(|c| ('\u{4e00}'..'\u{9fff}').contains(&c))
    }

    #[test]
    fn other_slips_are_told_in_both_languages_too() {
        for (line, code, field, says) in [
            ("liangdi case show", "FIELD_REQUIRED", "<CASE>", "用法 Usage: liangdi case show"),
            ("liangdi status --nothing", "FIELD_NOT_ALLOWED", "--nothing", "--help"),
            ("liangdi case lst", "FIELD_NOT_ALLOWED", "是否想写 did you mean: list", ""),
            (
                "liangdi registration arrive --sex other",
                "INVALID_FIELD",
                "--sex <SEX>",
                "可以填 may be: male, female",
            ),
            ("liangdi message list --limit viele", "INVALID_FIELD", "--limit <COUNT>", "--help"),
            (
                "liangdi status --office a:1 --office b:1",
                "FIELD_NOT_ALLOWED",
                "--office <HOST:PORT>",
                "",
            ),
        ] {
            let told = told(line);
            assert_eq!((told.exit, told.code.as_str()), (Exit::Usage, code), "{line}");
            assert_eq!(told.fields.first().map(|it| it.field.as_str()), Some(field), "{told:?}");
            assert!(told.for_people().contains(says), "{told:?}");
            assert!(chinese(&told.zh) && chinese(&told.advice_zh), "{told:?}");
        }
    }

    #[test]
    fn what_was_typed_is_not_repeated() {
        let id = "41052219900307234X";
        for line in [
            format!("liangdi person find {id}"),
            format!("liangdi {id}"),
            format!("liangdi person {id}"),
            format!("liangdi status --{id}"),
            format!("liangdi status --nothing={id}"),
            format!("liangdi registration arrive --sex {id}"),
            format!("liangdi message list --limit {id}"),
        ] {
            let told = told(&line);
            assert!(!told.for_people().contains(id), "{}", told.for_people());
            assert!(!told.for_programs().to_string().contains(id), "{line}");
        }
    }
}
