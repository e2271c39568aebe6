//! Parcels as a whole: what gets a receipt and what does not.

use exchange::digest::Digest;
use exchange::envelope::{SealedEnvelope, pad};
use exchange::parcel::{Parcel, ParcelManifest};
use wire::content::encode_content;
use wire::encode_header;

use super::says;
use crate::conformance::letters::{expired, parcel};
use crate::conformance::line::{Answer, Heard, Line};
use crate::conformance::{Deviation, Subject, ensure};

pub(super) async fn stored(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let (_, envelope) = line.letters.letter()?;
    says(&line.offer(subject, vec![envelope]).await?, &["STORED"])
}

pub(super) async fn one_answer_each(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let (_, good) = line.letters.letter()?;
    let header = expired(line.letters.header()?);
    let content = line.letters.content(domain::message::Kind::DepartureNotice)?;
    let late = line.letters.seal(&header, &content)?;
    let (_, another) = line.letters.letter()?;
    let said = line.offer(subject, vec![good, late, another]).await?;
    says(&said, &["STORED", "REFUSED EXPIRED", "STORED"])
}

pub(super) async fn window(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let mut waiting = Vec::new();
    for _ in 0..line.hello.window_parcels.min(32) {
        let (_, envelope) = line.letters.letter()?;
        let manifest =
            line.letters.manifest(std::slice::from_ref(&envelope), subject.identity())?;
        let sent = parcel(&manifest, vec![envelope], subject.identity())?;
        line.put(sent.clone());
        waiting.push((manifest.parcel_id, sent));
    }
    while !waiting.is_empty() {
        let Heard::Receipt(receipt) = line.next().await? else {
            return Err(Deviation::new(format!("{} parcels have no receipt", waiting.len())));
        };
        let manifest = wire::decode_receipt_manifest(&receipt.manifest_bytes)
            .map_err(|e| Deviation::new(e.to_string()))?;
        let at = waiting.iter().position(|(id, _)| *id == manifest.parcel_id);
        let at = at.ok_or_else(|| Deviation::new("a receipt for no parcel of ours"))?;
        let (_, sent) = waiting.swap_remove(at);
        says(&line.check(subject, &sent, &receipt)?.0, &["STORED"])?;
    }
    Ok(())
}

/// Field 1000, a string: no version will ever give it a meaning.
const LATER_FIELD: &[u8] = b"\xC2\x3E\x05later";

pub(super) async fn unknown_fields(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let header = line.letters.header()?;
    let content = line.letters.content(domain::message::Kind::DepartureNotice)?;
    let mut bytes = encode_header(&header);
    bytes.extend_from_slice(LATER_FIELD);
    let mut body = encode_content(&content);
    body.extend_from_slice(LATER_FIELD);
    let padded = pad(&body).map_err(|e| Deviation::new(e.to_string()))?;
    let envelope = line.letters.seal_under(&header, bytes, padded)?;
    says(&line.offer(subject, vec![envelope]).await?, &["STORED"])
}

/// A parcel that is wrong in one way; what the stream ends with.
async fn ends_with(
    line: &mut Line,
    subject: &Subject,
    code: &str,
    change: impl FnOnce(&mut ParcelManifest),
    alter: impl FnOnce(&mut Parcel),
) -> Result<SealedEnvelope, Deviation> {
    let (_, envelope) = line.letters.letter()?;
    let kept = envelope.clone();
    let mut manifest =
        line.letters.manifest(std::slice::from_ref(&envelope), subject.identity())?;
    change(&mut manifest);
    let mut sent = parcel(&manifest, vec![envelope], subject.identity())?;
    alter(&mut sent);
    match line.send(subject, sent).await? {
        Answer::Ended(found) => {
            ensure(found == code, || format!("ended with {found}, not {code}"))?
        }
        Answer::Receipt(..) => return Err(Deviation::new("it got a receipt")),
        Answer::Custody(_) => return Err(Deviation::new("a relay's word instead")),
    }
    Ok(kept)
}

pub(super) async fn bad_signature(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let alter = |parcel: &mut Parcel| {
        let mut signature = parcel.signature.to_vec();
        if let Some(last) = signature.last_mut() {
            *last ^= 1;
        }
        parcel.signature = signature.into();
    };
    ends_with(&mut line, subject, "SIGNATURE_INVALID", |_| {}, alter).await.map(drop)
}

pub(super) async fn bad_root(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let change = |manifest: &mut ParcelManifest| manifest.root = Digest::of(b"another");
    ends_with(&mut line, subject, "MALFORMED", change, |_| {}).await.map(drop)
}

pub(super) async fn bad_count(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    ends_with(&mut line, subject, "MALFORMED", |manifest| manifest.count = 2, |_| {})
        .await
        .map(drop)
}

pub(super) async fn other_sender(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let other = subject.area;
    ends_with(&mut line, subject, "SENDER_MISMATCH", |manifest| manifest.from = other, |_| {})
        .await
        .map(drop)
}

pub(super) async fn nothing_of_bad_parcels(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let change = |manifest: &mut ParcelManifest| manifest.root = Digest::of(b"another");
    let envelope = ends_with(&mut line, subject, "MALFORMED", change, |_| {}).await?;
    // In a good parcel the same envelope is new.
    let mut again = subject.line().await?;
    says(&again.offer(subject, vec![envelope]).await?, &["STORED"])
}
