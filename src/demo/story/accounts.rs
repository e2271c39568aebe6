//! What was lost with a disk comes back: two provinces compare their ledgers, the counties cure, and both sign.

use std::ffi::OsStr;
use std::path::Path;

use domain::access::Role;
use domain::purpose::{LawfulBasis, Purpose};
use serde_json::Value;
use wire::pb::message::content::Body;
use wire::pb::{message, office};

use super::super::cast::Cast;
use super::super::program::Ran;
use super::super::step::{Broken, Held, Outcome, ensure};
use super::crash;
use super::records::Issued;
use super::speech::{number, text};

/// Two digits name the province of the residence.
const OTHER_PROVINCE: &str = "44";

/// Runs the program as the administrator of a node.
async fn administrator(
    cast: &Cast,
    area: domain::area::AreaCode,
    words: &[&str],
) -> Result<Ran, Broken> {
    cast.run_as(area, Role::Administrator, words).await
}

/// What a county has lost with its disk.
#[derive(Debug)]
pub(super) struct Lost {
    received: Vec<String>,
    sent: String,
}

/// The origin county is backed up, works on, loses its disk, and is restored: what came after the backup is gone there.
pub(super) async fn set_back(
    cast: &mut Cast,
    registration: &office::Registration,
    issued: &Issued,
) -> Outcome<Lost> {
    let backup = administrator(cast, cast.origin, &["backup", "create"]).await?.well()?;
    let mut received = Vec::new();
    for content in crash::two(cast, registration)? {
        let track = cast.send(cast.residence, cast.origin, content).await?;
        received.push(track.message_id);
    }
    for id in &received {
        cast.until(cast.residence, id, office::Stage::Stored).await?;
    }
    let sent = cast.send(cast.origin, cast.residence, notice(cast, issued)).await?.message_id;
    cast.until(cast.origin, &sent, office::Stage::Stored).await?;
    let lost = Lost { received, sent };
    cast.network.kill(cast.origin).await?;
    let config = cast.network.member(cast.origin)?.config.clone();
    let words = [
        "backup",
        "restore",
        "--set-aside",
        "--from",
        text(&backup, "file")?,
        "--keys",
        text(&backup, "keys_file")?,
        "--config",
    ];
    let mut args: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
    args.push(config.as_os_str());
    cast.program.run(&args).await?.well()?;
    cast.network.start(cast.origin).await?;
    cast.network.linked().await?;
    let there = cast.received(cast.origin).await?;
    let is_there = |id: &String| there.iter().any(|track| &track.message_id == id);
    ensure(!lost.received.iter().any(is_there), || "the backup has what came after it".to_owned())?;
    let (count, sent) = (lost.received.len(), &lost.sent);
    let (zh, en) = (
        format!("磁盘丢失，按较早的备份恢复；此后签收的 {count} 份和发出的 {sent} 已不在"),
        format!(
            "its disk is lost and an older backup restored; {count} messages that it had signed for since, and {sent} that it had sent, are gone"
        ),
    );
    Ok(Held::new(lost, zh, en))
}

/// What the origin county tells about her certificate.
fn notice(cast: &Cast, issued: &Issued) -> message::Content {
    let body = Body::CertificateNotice(message::CertificateNotice {
        certificate_number: issued.number.clone(),
        event: i32::from(message::CertificateEvent::Issued),
        valid_until: cast.today.plus_years(3).to_string(),
        ..message::CertificateNotice::default()
    });
    let content = cast.about_her(LawfulBasis::StatutoryDuty, Purpose::Certificate);
    message::Content { body: Some(body), ..content }
}

/// The two provinces reconcile: the planted differences are found by name, cured, and the statement is signed by both.
pub(super) async fn reconcile(cast: &Cast, lost: &Lost) -> Outcome<()> {
    let days = format!("{}..{}", cast.today.plus_days(-1), cast.today.plus_days(1));
    let province = cast.origin.province();
    let words = ["reconcile", "run", "--with", OTHER_PROVINCE, "--days", &days];
    let answer = administrator(cast, province, &words).await?.well()?;
    let run = answer.pointer("/reconciliations/0").cloned().unwrap_or_default();
    ensure(text(&run, "state")? == "EQUAL", || format!("the ledgers are not equal: {run}"))?;
    let found = run.get("differences").and_then(Value::as_array).cloned().unwrap_or_default();
    let planted = [("MISSING_AT_RECIPIENT", lost.received.len()), ("MISSING_AT_SENDER", 1)];
    for (name, count) in planted {
        let count = u64::try_from(count).unwrap_or_default();
        let is_it = |it: &&Value| it.get("name").and_then(Value::as_str) == Some(name);
        let cured = |it: &Value| (number(it, "found"), number(it, "cured")) == (count, count);
        let so = found.iter().find(is_it).is_some_and(cured);
        ensure(so, || format!("not {name} {count}: {found:?}"))?;
    }
    ensure(found.len() == planted.len(), || format!("other differences: {found:?}"))?;
    let received = cast.received(cast.origin).await?;
    for id in &lost.received {
        let copies = received.iter().filter(|track| &track.message_id == id).count();
        ensure(copies == 1, || format!("{id} is there {copies} times"))?;
    }
    // Its sender knows it again, and that it was stored.
    cast.until(cast.origin, &lost.sent, office::Stage::Stored).await?;
    let (entries, count) = (number(&run, "our_entries"), lost.received.len());
    Ok(Held::new(
        (),
        format!(
            "对账 {entries} 件：收方缺失 {count} 件由发方补送，发方缺失 1 件由收方送还，双方台账一致"
        ),
        format!(
            "{entries} messages compared: MISSING_AT_RECIPIENT {count}, delivered again by their sender; MISSING_AT_SENDER 1, handed back by its recipient; both ledgers are equal"
        ),
    ))
}

/// The statement is checked with the root certificate alone. Shows it.
pub(super) async fn statement(cast: &Cast) -> Outcome<()> {
    let province = cast.origin.province();
    let file = cast.network.dir().join("statement.signed");
    let path = file.display().to_string();
    administrator(cast, province, &["statement", "export", "--out", &path]).await?.well()?;
    let page = cast.network.dir().join("statement.html").display().to_string();
    let words = ["statement", "export", "--format", "html", "--out", &page];
    administrator(cast, province, &words).await?.well()?;
    let answer = verify(cast, &file).await?.well()?;
    ensure(answer.get("verified") == Some(&Value::Bool(true)), || "it is not verified".to_owned())?;
    let digest = text(&answer, "digest")?.to_owned();
    let shown = serde_json::to_string_pretty(&answer).unwrap_or_default();
    Ok(Held::new(
        (),
        format!("对账单 {digest}，双方签名成立；可打印版 {page}"),
        format!("statement {digest}, both signatures hold with the root certificate alone; to print: {page}"),
    )
    .showing(shown))
}

async fn verify(cast: &Cast, file: &Path) -> Result<Ran, Broken> {
    let root = cast.network.root();
    let words = [OsStr::new("statement"), OsStr::new("verify"), file.as_os_str()];
    let root = [OsStr::new("--root"), root.as_os_str()];
    cast.program.run(&[&words[..], &root].concat()).await
}
