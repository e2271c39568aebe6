//! What a desk is spared and what it is kept from: lines typed once, questions that were answered before, and an address
//! that nobody is told.

use std::fs;

use domain::access::Role;
use domain::person::PersonDetails;
use domain::purpose::{LawfulBasis, Purpose};
use domain::synthetic::People;
use wire::pb::message::content::Body;
use wire::pb::{message, office};

use super::super::cast::Cast;
use super::super::people;
use super::super::step::{Broken, Held, Outcome, ensure};
use super::proof::{refused, write};
use super::records::arrival;
use super::reports::arrival_body;
use super::speech::number;
use crate::cli::exit::Failure;

/// Lines of the file that is taken in.
const LINES: usize = 200;
/// Seed of the people in that file: others than those of the story.
const SEED_OF_FILE: u64 = 1_000_003;
/// The line, as people count them in a table with headings, that is wrong at first.
const WRONG_LINE: usize = 120;
const HEADINGS: &str = "姓名*,证件号码*,户籍地代码*,现居住地代码*,来现居住地日期*";

/// A list from before is taken in: nothing of it while one line is wrong, all of it when it is right.
pub(super) async fn import(cast: &Cast) -> Outcome<()> {
    let file = cast.network.dir().join("registrations.csv");
    let path = file.display().to_string();
    let words = ["import", "registrations", "--file", &path];
    let mut lines = lines(cast);
    let right = lines.get(WRONG_LINE - 2).cloned().unwrap_or_default();
    if let Some(line) = lines.get_mut(WRONG_LINE - 2) {
        *line = line.replace(cast.origin.as_str(), "999999");
    }
    write(&file, sheet(&lines).as_bytes())?;
    let ran = cast.run_as(cast.other_residence, Role::Clerk, &words).await?;
    refused(&ran, "a list with a wrong line")?;
    let wrong = ran.answer.pointer("/findings/0/line").and_then(serde_json::Value::as_u64);
    ensure(wrong == u64::try_from(WRONG_LINE).ok(), || format!("another line: {}", ran.answer))?;
    let written = ran.answer.pointer("/import/written").and_then(serde_json::Value::as_u64);
    ensure(written == Some(0), || format!("some of it was written: {}", ran.answer))?;
    if let Some(line) = lines.get_mut(WRONG_LINE - 2) {
        *line = right;
    }
    write(&file, sheet(&lines).as_bytes())?;
    let done = cast.run_as(cast.other_residence, Role::Clerk, &words).await?.well()?;
    ensure(usize::try_from(number(&done, "written")) == Ok(LINES), || format!("{done}"))?;
    // Whoever imports has no reason to keep a list of people.
    fs::remove_file(&file).map_err(|source| Broken::File { path: file, source })?;
    Ok(Held::new(
        (),
        format!("{LINES} 行：第 {WRONG_LINE} 行有误时一行也不导入，逐行指明；改正后全部落盘"),
        format!(
            "{LINES} lines: with line {WRONG_LINE} wrong nothing is taken in and the line is named; put right, all are on disk"
        ),
    ))
}

/// Made-up people, one a line.
fn lines(cast: &Cast) -> Vec<String> {
    let people = People::new(SEED_OF_FILE, vec![cast.origin], cast.today).take(LINES);
    let why = Purpose::ResidenceRegistration;
    let arrived = cast.today.plus_days(-5);
    let line = |who: PersonDetails| {
        let (name, document) = (who.name.expose(&why), who.document.expose(&why));
        format!("{name},{document},{},{},{arrived}", cast.origin, cast.other_residence)
    };
    people.map(line).collect()
}

fn sheet(lines: &[String]) -> String {
    format!("\u{feff}{HEADINGS}\r\n{}\r\n", lines.join("\r\n"))
}

/// The origin county wants to ask what it was told days ago: its node shows it the report, and nobody is asked.
pub(super) async fn asked_once(cast: &Cast, notice: &str) -> Outcome<()> {
    let body = Body::OutflowNotice(message::OutflowNotice {
        left_on: cast.today.plus_days(-10).to_string(),
        ..message::OutflowNotice::default()
    });
    let content = cast.about_her(LawfulBasis::OwnApplication, Purpose::ResidenceRegistration);
    let request = office::SendMessageRequest {
        to: cast.residence.to_string(),
        content: Some(message::Content { body: Some(body), ..content }),
        ..office::SendMessageRequest::default()
    };
    let before = cast.ledger(cast.origin).await?;
    let clerk = cast.clerk(cast.origin).await?;
    let Err(known) = clerk.messages().send_message(request).await else {
        return Err(Broken::NotRefused("a question that was answered before"));
    };
    let failure = Failure::from(known);
    let code = failure.told.code.as_str();
    ensure(code == "ALREADY_ANSWERED", || format!("refused with {code}"))?;
    let after = cast.ledger(cast.origin).await?;
    ensure(before == after, || "the question was taken".to_owned())?;
    Ok(Held::new(
        (),
        format!("所问之事 {notice} 已经通报过：节点当即出示，不再问对方，也不再问本人"),
        format!(
            "{notice} has told it before: the node shows that at once; neither the other office nor she is asked again"
        ),
    ))
}

/// Somebody at risk: no clerk, whatever she types, can tell the origin where that person lives.
pub(super) async fn at_risk(cast: &Cast) -> Outcome<()> {
    let who = People::new(SEED_OF_FILE + 1, vec![cast.origin], cast.today).next();
    let who = who.ok_or_else(|| Broken::NotSo("nobody could be made up".to_owned()))?;
    let who = PersonDetails { at_risk: true, ..who };
    let clerk = cast.clerk(cast.residence).await?;
    let done = arrival(&clerk, cast.residence, cast.origin, &who, cast, "").await?;
    let registration = done.registration.unwrap_or_default();
    let why = Purpose::ResidenceRegistration;
    let say = |basis: LawfulBasis| -> Result<office::SendMessageRequest, Broken> {
        let content = message::Content {
            basis: i32::from(basis.number()),
            purpose: i32::from(why.number()),
            person: Some(people::reference(&who, why)),
            body: Some(arrival_body(&registration, "")?),
            ..message::Content::default()
        };
        Ok(office::SendMessageRequest {
            to: cast.origin.to_string(),
            content: Some(content),
            ..office::SendMessageRequest::default()
        })
    };
    let before = cast.ledger(cast.residence).await?;
    for basis in [LawfulBasis::StatutoryDuty, LawfulBasis::OwnApplication] {
        let Err(refusal) = clerk.messages().send_message(say(basis)?).await else {
            return Err(Broken::NotRefused("telling where somebody at risk lives"));
        };
        let code = Failure::from(refusal).told.code;
        ensure(code == "RESIDENCE_HIDDEN", || format!("refused with {code}"))?;
    }
    let after = cast.ledger(cast.residence).await?;
    ensure(before == after, || "something has left".to_owned())?;
    Ok(Held::new(
        (),
        "有人身危险者：任何依据下都不得将居住地告知户籍地（RESIDENCE_HIDDEN），台账未增加",
        "somebody at risk: on no basis is the origin told where that person lives (RESIDENCE_HIDDEN); the ledger has not grown",
    ))
}
