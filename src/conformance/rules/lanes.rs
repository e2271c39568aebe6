//! Lanes: duplicates, conflicts, order, epochs, and the ledger that follows from them.

use std::time::Duration;

use domain::message::Kind;
use exchange::envelope::Header;
use exchange::lane::LANE_WINDOW;
use exchange::receipt::Outcome;

use super::says;
use crate::conformance::letters::expired;
use crate::conformance::{Deviation, Subject, ensure};
use crate::time::SystemClock;

pub(super) async fn same_again(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let (_, envelope) = line.letters.letter()?;
    let first = line.offer(subject, vec![envelope.clone()]).await?;
    says(&first, &["STORED"])?;
    let again = line.offer(subject, vec![envelope.clone(), envelope]).await?;
    says(&again, &["DUPLICATE STORED", "DUPLICATE STORED"])?;
    let decided = |said: &[exchange::receipt::Disposition]| said.first().map(|d| d.decided);
    ensure(decided(&first) == decided(&again), || "with another time than the first".to_owned())
}

pub(super) async fn refusal_stays(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let content = line.letters.content(Kind::DepartureNotice)?;
    let header = expired(line.letters.header()?);
    let envelope = line.letters.seal(&header, &content)?;
    says(&line.offer(subject, vec![envelope.clone()]).await?, &["REFUSED EXPIRED"])?;
    says(&line.offer(subject, vec![envelope]).await?, &["DUPLICATE REFUSED EXPIRED"])
}

pub(super) async fn same_place(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let (header, envelope) = line.letters.letter()?;
    says(&line.offer(subject, vec![envelope.clone()]).await?, &["STORED"])?;
    let (other, _) = line.letters.letter()?;
    let content = line.letters.content(Kind::DepartureNotice)?;
    let taken = Header { sequence: header.sequence, ..other };
    let intruder = line.letters.seal(&taken, &content)?;
    let said = line.offer(subject, vec![intruder, envelope]).await?;
    says(&said, &["REFUSED CONFLICT", "DUPLICATE STORED"])
}

pub(super) async fn same_id(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let (header, envelope) = line.letters.letter()?;
    says(&line.offer(subject, vec![envelope]).await?, &["STORED"])?;
    let content = line.letters.content(Kind::DepartureNotice)?;
    let next = line.letters.header()?;
    let taken = Header { message_id: header.message_id, ..next };
    let intruder = line.letters.seal(&taken, &content)?;
    says(&line.offer(subject, vec![intruder]).await?, &["REFUSED CONFLICT"])
}

pub(super) async fn any_order(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let mut envelopes = Vec::new();
    for _ in 0..5 {
        envelopes.push(line.letters.letter()?.1);
    }
    for envelope in envelopes.into_iter().rev() {
        says(&line.offer(subject, vec![envelope]).await?, &["STORED"])?;
    }
    Ok(())
}

pub(super) async fn beyond_the_window(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let (_, first) = line.letters.letter()?;
    says(&line.offer(subject, vec![first]).await?, &["STORED"])?;
    let place = line.letters.skip(LANE_WINDOW - 1);
    let (_, last_inside) = line.letters.letter()?;
    let (_, outside) = line.letters.letter()?;
    let said = line.offer(subject, vec![last_inside, outside]).await?;
    says(&said, &["STORED", "DEFERRED WINDOW_EXCEEDED"])?;
    let now = SystemClock.now();
    let timely = |outcome: &Outcome| match outcome {
        Outcome::Deferred { until, .. } => until.since(now) < Duration::from_secs(86_400),
        Outcome::Stored | Outcome::Refused { .. } => false,
    };
    let ok = said.get(1).is_some_and(|put_off| timely(&put_off.outcome));
    ensure(ok, || format!("place {place}: put off for more than a day"))
}

pub(super) async fn second_epoch(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let content = line.letters.content(Kind::DepartureNotice)?;
    let header = line.letters.header()?;
    let envelope = line.letters.seal(&header, &content)?;
    says(&line.offer(subject, vec![envelope]).await?, &["STORED"])?;
    // As after a restore: another epoch, the same message sealed anew in its first place.
    let mut restored = subject.line().await?;
    let place = restored.letters.header()?;
    let again = Header {
        message_id: header.message_id,
        created: header.created,
        expires: header.expires,
        ..place
    };
    let sealed = restored.letters.seal(&again, &content)?;
    says(&restored.offer(subject, vec![sealed]).await?, &["DUPLICATE STORED"])
}

pub(super) async fn ledger_grows(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let (_, envelope) = line.letters.letter()?;
    let (_, before) = line.offer_and_see(subject, vec![envelope.clone()]).await?;
    let (_, same) = line.offer_and_see(subject, vec![envelope]).await?;
    let (_, more) = line.letters.letter()?;
    let (_, after) = line.offer_and_see(subject, vec![more]).await?;
    // Others may write to it meanwhile, so it may have grown by more.
    ensure(same.size >= before.size, || "the ledger has become shorter".to_owned())?;
    ensure(after.size > same.size, || "the ledger has not grown".to_owned())?;
    ensure(same.size > before.size || same.root == before.root, || {
        "the ledger has changed at the same length".to_owned()
    })
}
