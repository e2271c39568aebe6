//! How an office is watched: two persons for what moves many, a sample that nobody could choose, a log that proves itself.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use domain::access::Role;
use domain::indicator::Period;
use domain::purpose::{LawfulBasis, Purpose};
use wire::pb::message;
use wire::pb::message::content::Body;
use wire::pb::office::CaseStage as Stage;

use super::super::cast::Cast;
use super::super::program::Ran;
use super::super::step::{Broken, Held, Outcome, ensure};
use super::cases::reaches;
use super::proof::{refused, write};
use super::records::Issued;
use super::speech::{number, text};

/// Cases that are handed over together.
const TOGETHER: usize = 2;
/// Registrations that are drawn.
const DRAWN: &str = "5";

/// Cases handed over together: proposed by one supervisor, approved by another, carried out by a clerk.
pub(super) async fn bulk(cast: &mut Cast, issued: &Issued) -> Outcome<()> {
    let (from, to) = (cast.origin, cast.other_origin);
    let second = cast.network.add_operator(from, "supervisor-2", Role::Supervisor)?.profile;
    let mut words: Vec<String> = ["bulk-hand-over", "propose", "--cause", "office-changed"]
        .into_iter()
        .chain(["--reason", "机构调整", "--to", to.as_str()])
        .map(str::to_owned)
        .collect();
    for _ in 0..TOGETHER {
        let case = question(cast, issued).await?;
        words.extend(["--case".to_owned(), case]);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let proposed = cast.run_as(from, Role::Supervisor, &words).await?.well()?;
    let id = text(&proposed, "bulk_id")?;
    let carry_out = ["bulk-hand-over", "carry-out", id];
    let alone = cast.run_as(from, Role::Clerk, &carry_out).await?;
    refused(&alone, "a hand-over of many that one person has approved")?;
    let approve = ["bulk-hand-over", "approve", id];
    let same = cast.run_as(from, Role::Supervisor, &approve).await?;
    refused(&same, "the same person approving twice")?;
    cast.run_with(&second, &approve).await?.well()?;
    let done = cast.run_as(from, Role::Clerk, &carry_out).await?.well()?;
    ensure(usize::try_from(number(&done, "offered")) == Ok(TOGETHER), || format!("{done}"))?;
    Ok(Held::new(
        (),
        format!("批量移交 {TOGETHER} 件给 {to}：同一人不得批准两次；两名负责人批准后才能执行"),
        format!(
            "{TOGETHER} cases for {to} together: nobody approves twice; carried out when two supervisors had approved"
        ),
    ))
}

/// A question about her certificate that the origin has on its desk. Its value is the case.
async fn question(cast: &Cast, issued: &Issued) -> Result<String, Broken> {
    let body = Body::CertificateInquiry(message::CertificateInquiry {
        certificate_number: issued.number.clone(),
        claims: vec![i32::from(message::CertificateClaim::MaritalStatus)],
    });
    let content = cast.about_her(LawfulBasis::StatutoryDuty, Purpose::Certificate);
    let content = message::Content { body: Some(body), ..content };
    let case = cast.send(cast.residence, cast.origin, content).await?.case_id;
    reaches(cast, cast.origin, &case, Stage::Asked).await?;
    Ok(case)
}

/// A random re-check: settled before anybody sees it, and drawn again by anybody from the paper alone.
pub(super) async fn draw(cast: &Cast, period: Period) -> Outcome<()> {
    let period = period.to_string();
    let by = |words: Vec<String>| async move {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        cast.run_as(cast.other_residence, Role::Supervisor, &words).await?.well()
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let begin = ["draw", "begin", &period, "--from", "registrations", "--size", DRAWN];
    let begun = by(words(&begin)).await?;
    let (id, told) = (text(&begun, "draw_id")?, text(&begun, "seed_sha256")?);
    by(words(&["draw", "publish", id])).await?;
    let file = cast.network.dir().join("draw.json");
    by(words(&["draw", "export", id, "--out", &file.display().to_string()])).await?;
    let verify = ["draw", "verify", "--seed-sha256", told].map(OsStr::new);
    cast.program.run(&[&verify[..], &[file.as_os_str()]].concat()).await?.well()?;
    let population = number(&begun, "population");
    Ok(Held::new(
        (),
        format!("从 {population} 项登记中抽 {DRAWN} 项：先封存种子，后公布；凭文件任何人可复算"),
        format!(
            "{DRAWN} of {population} registrations: the seed is settled before it is shown, and anybody draws the same again from the file"
        ),
    ))
}

/// The access log proves itself with the root certificate alone; with one character changed it does not.
pub(super) async fn audit(cast: &Cast) -> Outcome<()> {
    let file = cast.network.dir().join("access-log.jsonl");
    let path = file.display().to_string();
    let export = ["audit", "export", "--out", &path];
    cast.run_as(cast.residence, Role::Auditor, &export).await?.well()?;
    let proven = verify_log(cast, &file).await?.well()?;
    let entries = number(&proven, "entries");
    ensure(entries > 0, || "nothing was logged".to_owned())?;
    let unreadable = |source| Broken::File { path: file.clone(), source };
    let log = fs::read_to_string(&file).map_err(unreadable)?;
    ensure(!log.contains(cast.her.document.expose(&Purpose::Certificate)), || {
        "her document is in the log".to_owned()
    })?;
    let altered = cast.network.dir().join("access-log-altered.jsonl");
    write(&altered, log.replacen("\"SEND\"", "\"VIEW\"", 1).as_bytes())?;
    refused(&verify_log(cast, &altered).await?, "a log with one entry changed")?;
    Ok(Held::new(
        (),
        format!("访问日志 {entries} 条，首尾相连、无证件号码；只凭根证书核验，改动一条即不成立"),
        format!(
            "{entries} entries, chained, without any document number; verified with the root certificate alone, refused with one entry changed"
        ),
    ))
}

async fn verify_log(cast: &Cast, file: &Path) -> Result<Ran, Broken> {
    let root = cast.network.root();
    let words = ["audit", "verify"].map(OsStr::new);
    let rest = [file.as_os_str(), OsStr::new("--root"), root.as_os_str()];
    cast.program.run(&[&words[..], &rest].concat()).await
}
