//! Nodes that start, one that is killed, and what becomes of its mail.

use std::collections::BTreeSet;

use domain::purpose::{LawfulBasis, Purpose};
use wire::pb::{message, office};

use super::super::cast::Cast;
use super::super::step::{Broken, Held, Outcome, ensure};
use super::reports::arrival_body;

/// What a node held when it was killed.
#[derive(Debug)]
pub(super) struct Before {
    ledger: u64,
    received: BTreeSet<String>,
}

/// Starts every node and waits until each knows all others.
pub(super) async fn start(cast: &mut Cast) -> Outcome<()> {
    cast.network.start_all().await?;
    cast.network.linked().await?;
    let count = cast.network.areas().len();
    Ok(Held::new(
        (),
        format!("{count} 个进程，各有证书与数据目录；两两以双向 TLS 取得对方名片"),
        format!(
            "{count} processes, each with its certificate and its store; all have each other's cards over mutual TLS"
        ),
    ))
}

/// Kills the origin county's node: it does not hear of it and can finish nothing.
pub(super) async fn kill(cast: &mut Cast) -> Outcome<Before> {
    let ledger = cast.ledger(cast.origin).await?;
    let received = ids(cast.received(cast.origin).await?);
    let pid = cast.network.process_id(cast.origin).unwrap_or_default();
    cast.network.kill(cast.origin).await?;
    let gone = cast.network.status(cast.origin).await.is_err();
    ensure(gone, || "it still answers".to_owned())?;
    let count = received.len();
    Ok(Held::new(
        Before { ledger, received },
        format!("进程 {pid} 收到 SIGKILL，已不应答；此前收件 {count} 份，台账 {ledger} 条"),
        format!(
            "process {pid} got SIGKILL and does not answer; it had received {count} messages, its ledger had {ledger} entries"
        ),
    ))
}

fn ids(tracks: Vec<office::Track>) -> BTreeSet<String> {
    tracks.into_iter().map(|track| track.message_id).collect()
}

/// Two messages about her for the origin county.
pub(super) fn two(
    cast: &Cast,
    registration: &office::Registration,
) -> Result<[message::Content; 2], Broken> {
    let arrival = cast.about_her(LawfulBasis::StatutoryDuty, Purpose::ResidenceRegistration);
    let arrival = message::Content { body: Some(arrival_body(registration, "")?), ..arrival };
    let inquiry = message::CertificateInquiry {
        certificate_number: registration.certificate_number.clone(),
        claims: vec![i32::from(message::CertificateClaim::MaritalStatus)],
    };
    let body = message::content::Body::CertificateInquiry(inquiry);
    let asked = cast.about_her(LawfulBasis::OwnApplication, Purpose::Certificate);
    Ok([arrival, message::Content { body: Some(body), ..asked }])
}

/// Sends two messages to the node that is not there. Its value are their ids.
pub(super) async fn queue(
    cast: &Cast,
    registration: &office::Registration,
) -> Outcome<[String; 2]> {
    let mut sent = Vec::new();
    for content in two(cast, registration)? {
        let track = cast.send(cast.residence, cast.origin, content).await?;
        // When the node has been away for a while, its province already holds what is for it.
        let waits = [office::Stage::Queued, office::Stage::AtRelay];
        sent.push(cast.until_either(cast.residence, &track.message_id, &waits).await?);
    }
    let next = sent.iter().map(|track| track.next_try_ms).max().unwrap_or_default();
    let ids: Result<[String; 2], _> =
        sent.into_iter().map(|t| t.message_id).collect::<Vec<_>>().try_into();
    let ids = ids.map_err(|_| Broken::NotSo("not two messages".to_owned()))?;
    let [first, second] = &ids;
    let retry = if next > 0 { "with the time of the next try" } else { "the courier is trying" };
    let (zh, en) = (
        format!("{first}、{second} 已落盘，等待送达"),
        format!("{first} and {second} are on disk and wait, {retry}"),
    );
    Ok(Held::new(ids, zh, en))
}

/// Starts the node again: both messages come, once each, and nothing of before is lost.
pub(super) async fn come_back(
    cast: &mut Cast,
    before: &Before,
    waiting: &[String; 2],
) -> Outcome<()> {
    cast.network.start(cast.origin).await?;
    for id in waiting {
        let track = cast.until(cast.residence, id, office::Stage::Stored).await?;
        ensure(track.stored_ms > 0, || format!("no signed word about {id}"))?;
    }
    let received = cast.received(cast.origin).await?;
    for id in waiting {
        let copies = received.iter().filter(|track| &track.message_id == id).count();
        ensure(copies == 1, || format!("{id} is there {copies} times"))?;
    }
    let (lines, all) = (received.len(), ids(received));
    ensure(lines == all.len(), || "a message is listed twice".to_owned())?;
    ensure(before.received.is_subset(&all), || "a message of before is lost".to_owned())?;
    ensure(all.len() == before.received.len() + waiting.len(), || {
        format!("{} messages of before became {}", before.received.len(), all.len())
    })?;
    let ledger = cast.ledger(cast.origin).await?;
    ensure(ledger == before.ledger + 2, || {
        format!("the ledger went from {} to {ledger}, not by two", before.ledger)
    })?;
    let (count, was) = (all.len(), before.ledger);
    Ok(Held::new(
        (),
        format!("收件 {count} 份，一份不少、一份不重；台账 {was} → {ledger}，正好两条"),
        format!(
            "{count} messages received, none lost, none twice; the ledger went from {was} to {ledger}, exactly two"
        ),
    ))
}
