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
    let reason = match error.kind() {
        ErrorKind::MissingRequiredArgument | ErrorKind::MissingSubcommand => Reason::FieldRequired,
        ErrorKind::UnknownArgument
        | ErrorKind::ArgumentConflict
        | ErrorKind::InvalidSubcommand
        | ErrorKind::TooManyValues => Reason::FieldNotAllowed,
        _ => Reason::InvalidField,
    };
    let mut failure = Failure { exit: Exit::Usage, ..Failure::reason(reason) };
    let rule = error.source().and_then(rule);
    match (argument(error), rule) {
        (Some(field), Some(rule)) => {
            let trouble = format!("{} {}", rule.text_zh(), rule.text_en());
            failure.told.fields.push(FieldTrouble { field, trouble });
            failure.told.advice_zh = rule.fix_zh().to_owned();
            failure.told.advice = rule.fix_en().to_owned();
            failure
        }
        // What the parser says names the arguments, and lists what may be typed.
        _ => failure.detail(error.to_string().trim_start_matches("error: ").trim_end()),
    }
}

fn argument(error: &clap::Error) -> Option<String> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(name)) => Some(name.clone()),
        _ => None,
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
            let chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..'\u{9fff}').contains(&c));
            assert!(chinese(&told.zh) && chinese(&told.advice_zh), "{told:?}");
            assert!(chinese(&told.fields[0].trouble) && !told.advice.is_empty(), "{told:?}");
            assert!(!told.for_people().contains(secret), "{told:?}");
        }
    }

    #[test]
    fn other_slips_have_a_code_and_say_what_may_be_typed() {
        let missing = told("liangdi case show");
        assert_eq!((missing.exit, missing.code.as_str()), (Exit::Usage, "FIELD_REQUIRED"));
        let unknown = told("liangdi status --nothing");
        assert_eq!((unknown.exit, unknown.code.as_str()), (Exit::Usage, "FIELD_NOT_ALLOWED"));
        assert!(unknown.for_people().contains("Usage"), "{unknown:?}");
    }
}
