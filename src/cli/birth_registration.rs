//! `liangdi birth-registration`: each spouse's origin is asked, and told what became of it.

use std::io::{self, BufRead as _};

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use domain::id::CaseId;
use domain::message::RegistrationResult;
use domain::person::DocumentKind;
use domain::purpose::LawfulBasis;
use domain::time::Date;
use serde_json::json;

use super::connect::{ConnectArgs, message, office};
use super::exit::Failure;
use super::given::{choice, day, number};
use super::output::Answer;
use super::view;

/// Columns of the couple's cases.
const COLUMNS: [&str; 7] =
    ["case_id", "asking", "answering", "stage", "due_on", "result_due_on", "together"];

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Ask each spouse's origin what the registration needs: both or neither 发起核实
    Ask(Ask),
    /// Tell each origin what became of it; nothing is decided before every origin has answered 登记结果
    Decide(Decide),
}

#[derive(ClapArgs, Debug)]
struct Ask {
    /// Number of the application here 申请编号
    #[arg(long, value_name = "TEXT")]
    application: String,
    /// Day of marriage 结婚日期
    #[arg(long, value_name = "YYYY-MM-DD")]
    married_on: Option<Date>,
    /// How many children they stated 申报子女数
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    children: u32,
    /// A spouse: county of household registration, name, number of the resident ID; - to read one a line from
    /// standard input. A kind of document may follow. Once or twice 夫妻一方
    #[arg(long = "spouse", value_name = "ORIGIN,NAME,NUMBER", required = true)]
    spouses: Vec<Couple>,
    /// Why it may be asked 合法性基础
    #[arg(long, value_parser = choice(LawfulBasis::chinese), default_value = "own-application")]
    basis: LawfulBasis,
    /// Day on which both papers were here; that of the application on record when left out, or today 材料收齐日期
    #[arg(long, value_name = "YYYY-MM-DD")]
    papers_on: Option<Date>,
    /// Makes a repeated call harmless
    #[arg(long, value_name = "KEY", default_value = "")]
    idempotency_key: String,
}

#[derive(ClapArgs, Debug)]
struct Decide {
    /// One of the couple's cases 个案编号
    case: CaseId,
    /// What became of it 登记结果
    #[arg(long, value_parser = choice(RegistrationResult::chinese))]
    result: RegistrationResult,
    /// Day of the decision; today when left out 决定日期
    #[arg(long, value_name = "YYYY-MM-DD")]
    decided_on: Option<Date>,
    /// Written reason; a refusal cannot be sent without 书面理由
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Makes a repeated call harmless
    #[arg(long, value_name = "KEY", default_value = "")]
    idempotency_key: String,
}

/// What was typed for a spouse.
#[derive(Clone)]
enum Couple {
    One(office::Spouse),
    Stdin,
}

impl std::fmt::Debug for Couple {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Couple")
    }
}

impl std::str::FromStr for Couple {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "-" { Ok(Self::Stdin) } else { spouse(text).map(Self::One) }
    }
}

/// The node checks name and number; what is wrong with them is not repeated here.
fn spouse(text: &str) -> Result<office::Spouse, &'static str> {
    let parts: Vec<&str> = text.split([',', '，']).map(str::trim).collect();
    let (origin, name, document, kind) = match parts.as_slice() {
        [origin, name, document] => (origin, name, document, "resident-id"),
        [origin, name, document, kind] => (origin, name, document, *kind),
        _ => return Err("a spouse is ORIGIN,NAME,NUMBER"),
    };
    let origin: AreaCode = origin.parse().map_err(|_| "a spouse begins with an area code")?;
    let kind = kind.to_uppercase().replace('-', "_");
    let kind = DocumentKind::from_code(&kind).ok_or("no such kind of document")?;
    let document = message::IdentityDocument {
        kind: i32::from(kind.number()),
        number: (*document).to_owned(),
        check_confirmed: false,
    };
    let person = message::PersonReference { name: (*name).to_owned(), document: Some(document) };
    Ok(office::Spouse { person: Some(person), origin: origin.to_string() })
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    match args.verb {
        Verb::Ask(given) => {
            let request = office::AskForBirthRegistrationRequest {
                application_number: given.application,
                married_on: day(given.married_on),
                children_stated: given.children,
                spouses: couple(given.spouses)?,
                basis: number(Some(given.basis)),
                idempotency_key: given.idempotency_key,
                papers_on: day(given.papers_on),
            };
            let office = args.connect.open().await?;
            let asked = office.cases().ask_for_birth_registration(request).await?;
            Ok(cases(&asked.into_inner().cases))
        }
        Verb::Decide(given) => {
            let today = crate::time::SystemClock.now().date();
            let request = office::DecideBirthRegistrationRequest {
                case_id: given.case.to_string(),
                result: number(Some(given.result)),
                decided_on: given.decided_on.unwrap_or(today).to_string(),
                reason: given.reason,
                idempotency_key: given.idempotency_key,
            };
            let office = args.connect.open().await?;
            let decided = office.cases().decide_birth_registration(request).await?;
            Ok(cases(&decided.into_inner().cases))
        }
    }
}

fn couple(typed: Vec<Couple>) -> Result<Vec<office::Spouse>, Failure> {
    let mut spouses = Vec::new();
    for one in typed {
        match one {
            Couple::One(one) => spouses.push(one),
            Couple::Stdin => {
                for line in io::stdin().lock().lines() {
                    let line = line.map_err(|e| {
                        Failure::usage(format!("nothing can be read from standard input: {e}"))
                    })?;
                    if !line.trim().is_empty() {
                        spouses.push(spouse(&line).map_err(Failure::usage)?);
                    }
                }
            }
        }
    }
    Ok(spouses)
}

fn cases(cases: &[office::Case]) -> Answer {
    let rows = view::rows(cases, &COLUMNS);
    Answer::new(json!({ "cases": rows.json }), rows.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spouse_is_origin_name_and_number() {
        let one = spouse("410522, 王芳〇，11010519491231002X").unwrap();
        assert_eq!(one.origin, "410522");
        let person = one.person.unwrap();
        assert_eq!(person.name, "王芳〇");
        let document = person.document.unwrap();
        assert_eq!((document.kind, document.number.as_str()), (1, "11010519491231002X"));
        let passport = spouse("410522,A B,E12345678,passport").unwrap();
        assert_ne!(passport.person.unwrap().document.unwrap().kind, 1);
        for wrong in ["", "410522", "x,王芳〇,1", "410522,a,b,c", "410522,a,b,passport,more"] {
            assert!(spouse(wrong).is_err(), "{wrong}");
        }
        let typed: Couple = "410522,王芳〇,11010519491231002X".parse().unwrap();
        assert!(!format!("{typed:?}").contains("1101"), "nothing of a person in a debug text");
    }
}
