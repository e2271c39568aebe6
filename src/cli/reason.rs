//! `liangdi reason`: the catalogue of reasons, for people who met a code.

use clap::{Args as ClapArgs, Subcommand};
use domain::reason::Reason;
use serde_json::json;

use super::exit::{Failure, next_code};
use super::output::{Answer, record, table};

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// All reasons 列出
    List,
    /// What a code means and what to do 查看
    Show {
        /// Such as BASIS_REQUIRED
        code: String,
    },
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<Answer, Failure> {
    match args.verb {
        Verb::List => Ok(list()),
        Verb::Show { code } => show(&code.to_uppercase().replace('-', "_")),
    }
}

fn list() -> Answer {
    let row = |r: &Reason| {
        vec![
            r.code().to_owned(),
            next_code(r.next()).to_owned(),
            r.text_zh().to_owned(),
            r.text_en().to_owned(),
        ]
    };
    let rows: Vec<_> = Reason::ALL.iter().map(row).collect();
    let text = table(&["code", "next", "中文", "English"], &rows);
    Answer::new(Reason::ALL.iter().map(|r| object(*r)).collect(), text)
}

fn show(code: &str) -> Result<Answer, Failure> {
    let reason = Reason::from_code(code).ok_or_else(|| {
        Failure::not_found(format!("no reason has the code {code}"))
            .advise("see all with: liangdi reason list")
    })?;
    let retry =
        if reason.retry_helps() { "trying again helps" } else { "trying again does not help" };
    let pairs = [
        ("code", reason.code().to_owned()),
        ("含义", reason.text_zh().to_owned()),
        ("meaning", reason.text_en().to_owned()),
        ("field", reason.field().unwrap_or_default().to_owned()),
        ("next", format!("{} ({retry})", next_code(reason.next()))),
        ("怎么办", reason.todo_zh().to_owned()),
        ("what to do", reason.todo_en().to_owned()),
    ];
    Ok(Answer::new(object(reason), record(&pairs)))
}

fn object(reason: Reason) -> serde_json::Value {
    json!({
        "code": reason.code(),
        "zh": reason.text_zh(),
        "en": reason.text_en(),
        "field": reason.field(),
        "next": next_code(reason.next()),
        "todo_zh": reason.todo_zh(),
        "todo_en": reason.todo_en(),
        "retry_helps": reason.retry_helps(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_explained_in_both_languages() {
        let answer = show("BASIS_REQUIRED").unwrap();
        assert!(answer.text.contains(Reason::BasisRequired.text_zh()));
        assert!(answer.text.contains(Reason::BasisRequired.todo_en()));
        assert_eq!(answer.json["next"], "CORRECT_AND_RESEND");
        assert_eq!(show("NO_SUCH").unwrap_err().exit.number(), 5);
        assert_eq!(list().json.as_array().map(Vec::len), Some(Reason::ALL.len()));
    }
}
