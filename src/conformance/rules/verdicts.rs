//! What becomes of a single envelope: the table of section 6.

use domain::area::AreaCode;
use domain::id::{CaseId, MessageId};
use domain::message::Kind;
use exchange::envelope::{SealedEnvelope, pad};
use trust::seal::SealingKeyPair;
use wire::content::encode_content;

use super::says;
use crate::conformance::letters::expired as outdated;
use crate::conformance::{Deviation, Subject};
use crate::time::{SystemClock, random};

/// A county that is neither the peer nor the caller.
fn elsewhere(subject: &Subject) -> Result<AreaCode, Deviation> {
    let known = [subject.area, subject.identity().area()];
    let others = ["110101", "310101", "510104"].into_iter().filter_map(|code| code.parse().ok());
    others
        .into_iter()
        .find(|area| !known.contains(area))
        .ok_or_else(|| Deviation::new("the trial itself failed: no other county"))
}

pub(super) async fn not_for_us(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let content = line.letters.content(Kind::DepartureNotice)?;
    let mut header = line.letters.header()?;
    header.to = elsewhere(subject)?;
    let envelope = line.letters.seal(&header, &content)?;
    says(&line.offer(subject, vec![envelope]).await?, &["REFUSED NOT_FOR_US"])
}

pub(super) async fn sender_mismatch(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let content = line.letters.content(Kind::DepartureNotice)?;
    let mut header = line.letters.header()?;
    header.from = elsewhere(subject)?;
    let envelope = line.letters.seal(&header, &content)?;
    says(&line.offer(subject, vec![envelope]).await?, &["REFUSED SENDER_MISMATCH"])
}

pub(super) async fn unreadable_header(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let (_, good) = line.letters.letter()?;
    let nonsense = SealedEnvelope::new(vec![0xFF; 40], vec![0; 528]);
    says(&line.offer(subject, vec![nonsense, good]).await?, &["REFUSED MALFORMED", "STORED"])
}

pub(super) async fn expired(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let content = line.letters.content(Kind::DepartureNotice)?;
    let header = outdated(line.letters.header()?);
    let envelope = line.letters.seal(&header, &content)?;
    says(&line.offer(subject, vec![envelope]).await?, &["REFUSED EXPIRED"])
}

pub(super) async fn other_key(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    line.letters.seal_for(SealingKeyPair::generate(&mut rand::rng()).public())?;
    let (_, envelope) = line.letters.letter()?;
    says(&line.offer(subject, vec![envelope]).await?, &["REFUSED SEALED_FOR_OTHER_KEY"])
}

pub(super) async fn broken_seal(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let (_, envelope) = line.letters.letter()?;
    let mut sealed = envelope.sealed().map(|bytes| bytes.to_vec()).unwrap_or_default();
    if let Some(first) = sealed.first_mut() {
        *first ^= 1;
    }
    let broken = SealedEnvelope::new(envelope.header_bytes, sealed);
    says(&line.offer(subject, vec![broken]).await?, &["REFUSED MALFORMED"])
}

pub(super) async fn bad_padding(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let content = encode_content(&line.letters.content(Kind::DepartureNotice)?);
    let padded = pad(&content).map_err(|e| Deviation::new(e.to_string()))?;
    let mut not_zero = padded.clone();
    if let Some(last) = not_zero.last_mut() {
        *last = 1;
    }
    let mut no_size = padded;
    no_size.push(0);
    let mut envelopes = Vec::new();
    for bytes in [not_zero, no_size] {
        let header = line.letters.header()?;
        envelopes.push(line.letters.seal_padded(&header, bytes)?);
    }
    let twice = ["REFUSED MALFORMED", "REFUSED MALFORMED"];
    says(&line.offer(subject, envelopes).await?, &twice)
}

pub(super) async fn unknown_document(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    // Basis 4, purpose 1, and a document under a number that is not given.
    let padded = pad(b"\x18\x04\x20\x01\xC2\x3E\x02\x08\x01");
    let padded = padded.map_err(|e| Deviation::new(e.to_string()))?;
    let header = line.letters.header()?;
    let envelope = line.letters.seal_padded(&header, padded)?;
    says(&line.offer(subject, vec![envelope]).await?, &["REFUSED VERSION_UNSUPPORTED"])
}

pub(super) async fn basis_required(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let mut content = line.letters.content(Kind::PregnancyReport)?;
    content.consent = None;
    content.service_request = None;
    let header = line.letters.header()?;
    let envelope = line.letters.seal(&header, &content)?;
    says(&line.offer(subject, vec![envelope]).await?, &["REFUSED BASIS_REQUIRED"])
}

pub(super) async fn unknown_case(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let mut content = line.letters.content(Kind::ArrivalFeedback)?;
    let asked = MessageId::new(SystemClock.now(), random());
    content.case = Some(CaseId::from(asked));
    content.in_reply_to = Some(asked);
    let header = line.letters.header()?;
    let envelope = line.letters.seal(&header, &content)?;
    says(&line.offer(subject, vec![envelope]).await?, &["REFUSED UNKNOWN_CASE"])
}

pub(super) async fn out_of_reach(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let mut content = line.letters.content(Kind::Remind)?;
    content.case = Some(CaseId::from(MessageId::new(SystemClock.now(), random())));
    content.step = u32::MAX;
    let header = line.letters.header()?;
    let envelope = line.letters.seal(&header, &content)?;
    says(&line.offer(subject, vec![envelope]).await?, &["REFUSED INVALID_FIELD"])
}
