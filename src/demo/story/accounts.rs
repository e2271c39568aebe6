//! What was lost with a disk comes back: two provinces compare their ledgers, the counties cure, and both sign.

use std::ffi::OsStr;
use std::path::Path;

use domain::access::Role;
use serde_json::Value;
use wire::pb::office;

use super::super::cast::Cast;
use super::super::program::Ran;
use super::super::step::{Broken, Held, Outcome, ensure};
use super::crash;

/// Two digits name the province of the residence.
const OTHER_PROVINCE: &str = "44";

/// Runs the program as the administrator of a node.
async fn administrator(
    cast: &Cast,
    area: domain::area::AreaCode,
    words: &[&str],
) -> Result<Ran, Broken> {
    let profile = cast.network.connect(area, Role::Administrator)?.profile.unwrap_or_default();
    let mut args: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
    args.extend([OsStr::new("--profile"), profile.as_os_str()]);
    cast.program.run(&args).await
}

fn text<'a>(answer: &'a Value, field: &str) -> Result<&'a str, Broken> {
    let found = answer.get(field).and_then(Value::as_str);
    found.ok_or_else(|| Broken::NotSo(format!("no {field} in the answer")))
}

/// The origin county is backed up, works on, loses its disk, and is restored: what came after the backup is gone there.
pub(super) async fn set_back(
    cast: &mut Cast,
    registration: &office::Registration,
) -> Outcome<[String; 2]> {
    let backup = administrator(cast, cast.origin, &["backup", "create"]).await?.well()?;
    let mut lost = Vec::new();
    for content in crash::two(cast, registration)? {
        let track = cast.send(cast.residence, cast.origin, content).await?;
        lost.push(track.message_id);
    }
    for id in &lost {
        cast.until(cast.residence, id, office::Stage::Stored).await?;
    }
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
    let received = cast.received(cast.origin).await?;
    let is_there = |id: &String| received.iter().any(|track| &track.message_id == id);
    ensure(!lost.iter().any(is_there), || "the backup has what came after it".to_owned())?;
    let ids: Result<[String; 2], _> = lost.try_into();
    let ids = ids.map_err(|_| Broken::NotSo("not two messages".to_owned()))?;
    let [first, second] = &ids;
    let (zh, en) = (
        format!("磁盘丢失，按较早的备份恢复；此后签收的 {first}、{second} 已不在"),
        format!(
            "its disk is lost and an older backup restored; {first} and {second}, which it had signed for since, are gone"
        ),
    );
    Ok(Held::new(ids, zh, en))
}

/// The two provinces reconcile: the planted differences are found by name, cured, and the statement is signed by both.
pub(super) async fn reconcile(cast: &Cast, lost: &[String; 2]) -> Outcome<()> {
    let days = format!("{}..{}", cast.today.plus_days(-1), cast.today.plus_days(1));
    let province = cast.origin.province();
    let words = ["reconcile", "run", "--with", OTHER_PROVINCE, "--days", &days];
    let answer = administrator(cast, province, &words).await?.well()?;
    let run = answer.pointer("/reconciliations/0").cloned().unwrap_or_default();
    ensure(text(&run, "state")? == "EQUAL", || format!("the ledgers are not equal: {run}"))?;
    let found = run.get("differences").and_then(Value::as_array).cloned().unwrap_or_default();
    let planted = found.iter().any(|it| {
        it.get("name").and_then(Value::as_str) == Some("MISSING_AT_RECIPIENT")
            && it.get("found").and_then(Value::as_u64) == Some(2)
            && it.get("cured").and_then(Value::as_u64) == Some(2)
    });
    ensure(planted && found.len() == 1, || format!("other differences: {found:?}"))?;
    let received = cast.received(cast.origin).await?;
    for id in lost {
        let copies = received.iter().filter(|track| &track.message_id == id).count();
        ensure(copies == 1, || format!("{id} is there {copies} times"))?;
    }
    let entries = run.get("our_entries").and_then(Value::as_u64).unwrap_or_default();
    Ok(Held::new(
        (),
        format!("对账 {entries} 件：收方缺失 2 件，已由发方补送，双方台账一致"),
        format!(
            "{entries} messages compared: MISSING_AT_RECIPIENT 2, delivered again by their sender; both ledgers are equal"
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
