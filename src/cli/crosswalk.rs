//! `liangdi crosswalk`: what codes of national and older lists are here, for whoever moves data over.

use clap::{Args as ClapArgs, Subcommand};
use domain::crosswalk::{List, Meaning, lists};
use serde_json::json;

use super::exit::Failure;
use super::output::{Answer, record, table};

/// What stands in place of a value that is not recorded.
const NOT_RECORDED: &str = "不记录 not recorded";

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// All lists of others that are known here 列出
    List,
    /// The codes of a list with ours, or one of them 查看
    Show {
        /// Such as GBT-2261.2
        list: String,
        /// A code of it
        code: Option<String>,
    },
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<Answer, Failure> {
    match args.verb {
        Verb::List => Ok(all()),
        Verb::Show { list, code } => show(&list, code.as_deref()),
    }
}

fn all() -> Answer {
    let rows: Vec<_> =
        lists().iter().map(|it| vec![it.name.clone(), it.zh.clone(), it.en.clone()]).collect();
    let json = lists().iter().map(|it| json!({ "list": it.name, "zh": it.zh, "en": it.en }));
    Answer::new(json.collect(), table(&["list", "中文", "English"], &rows))
}

fn show(name: &str, code: Option<&str>) -> Result<Answer, Failure> {
    let list =
        lists().iter().find(|list| list.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
            Failure::not_found("there is no such list")
                .zh("没有这个代码表。")
                .advise("see all with: liangdi crosswalk list")
        })?;
    match code {
        Some(code) => one(list, code),
        None => Ok(whole(list)),
    }
}

fn one(list: &List, code: &str) -> Result<Answer, Failure> {
    let ours = match list.ours(code) {
        Some(Meaning::Value(ours)) => ours,
        Some(Meaning::NotRecorded) => "",
        None => {
            return Err(Failure::not_found("the list has no such code")
                .zh("该代码表中没有这个代码。")
                .advise(format!("see them with: liangdi crosswalk show {}", list.name)));
        }
    };
    let shown = if ours.is_empty() { NOT_RECORDED } else { ours };
    let text = record(&[
        ("list", list.name.clone()),
        ("code", code.to_owned()),
        ("ours", shown.to_owned()),
    ]);
    Ok(Answer::new(json!({ "list": list.name, "code": code, "ours": ours }), text))
}

fn whole(list: &List) -> Answer {
    let shown = |ours: &str| if ours.is_empty() { NOT_RECORDED } else { ours }.to_owned();
    let rows: Vec<_> =
        list.codes.iter().map(|(code, ours)| vec![code.clone(), shown(ours)]).collect();
    let json = list.codes.iter().map(|(code, ours)| json!({ "code": code, "ours": ours }));
    Answer::new(json.collect(), table(&["code", "ours"], &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_shown_with_ours_or_with_nothing() {
        assert_eq!(all().json.as_array().map(Vec::len), Some(lists().len()));
        assert_eq!(show("gbt-2261.2", Some("22")).unwrap().json["ours"], "MARRIED");
        let nothing = show("wis-client-methods", Some("a95")).unwrap();
        assert!(nothing.json["ours"] == "" && nothing.text.contains(NOT_RECORDED));
        assert_eq!(show("GBT-2261.2", Some("50")).unwrap_err().exit.number(), 5);
        assert_eq!(show("no-such", None).unwrap_err().exit.number(), 5);
        assert!(show("GBT-2261.1", None).unwrap().text.contains("FEMALE"));
    }
}
