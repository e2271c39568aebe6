//! What a peer carries for others, and what it says about it. Only withdrawn envelopes travel: header and hash, so that
//! a trial brings nobody mail.

use bytes::Bytes;
use domain::area::{AreaCode, AreaLevel};
use domain::area_table::AreaTable;
use exchange::custody::{CustodyManifest, CustodyOutcome, CustodyReceipt, Returned};
use exchange::digest::Digest;
use exchange::keys::{SignContext, Signer as _};
use exchange::parcel::{Parcel, ParcelManifest};
use exchange::relay::{may_carry, next_hop};
use exchange::tree;
use trust::verify::Purpose;

use crate::conformance::letters::parcel;
use crate::conformance::line::{Answer, Line, in_time};
use crate::conformance::{Deviation, Subject, ensure};
use crate::time::{SystemClock, random};

/// Some county for which the peer carries mail of the caller, or for which it does not.
fn county(subject: &Subject, carried: bool) -> Option<AreaCode> {
    let (own, peer) = (subject.identity().area(), subject.area);
    let fits = |to: &AreaCode| {
        let other = *to != own && *to != peer && to.level() == AreaLevel::County;
        other && may_carry(peer, own, own, *to) == carried
    };
    AreaTable::builtin().areas().iter().map(|area| area.code).find(fits)
}

/// Whether the peer's area lets it carry anything for the caller.
pub(super) fn carries(subject: &Subject) -> bool {
    county(subject, true).is_some()
}

/// Whether there is anything that it may not carry.
pub(super) fn declines(subject: &Subject) -> bool {
    county(subject, false).is_some()
}

/// A parcel of the caller for another area, of one withdrawn envelope.
fn for_another(
    line: &mut Line,
    subject: &Subject,
    to: AreaCode,
) -> Result<(ParcelManifest, Parcel), Deviation> {
    line.letters.address(to);
    let (_, envelope) = line.letters.letter()?;
    let envelopes = vec![envelope.without_body()];
    let manifest = line.letters.manifest(&envelopes, subject.identity())?;
    let parcel = parcel(&manifest, envelopes, subject.identity())?;
    Ok((manifest, parcel))
}

/// What the peer says to a parcel for another; every word is checked in every respect.
async fn hand(
    line: &mut Line,
    subject: &Subject,
    manifest: &ParcelManifest,
    parcel: Parcel,
) -> Result<(CustodyManifest, CustodyReceipt), Deviation> {
    let word = match line.send(subject, parcel).await? {
        Answer::Custody(word) => word,
        Answer::Receipt(..) => return Err(Deviation::new("a receipt instead of a relay's word")),
        Answer::Ended(code) => return Err(Deviation::new(format!("the stream ended with {code}"))),
    };
    let said = wire::decode_custody_manifest(&word.manifest_bytes)
        .map_err(|fault| Deviation::new(fault.to_string()))?;
    said.check_answers(manifest, subject.area, subject.identity().area())
        .map_err(|fault| Deviation::new(fault.to_string()))?;
    let chain = subject.material.chains().verify(&word.chain, Purpose::Node, SystemClock.now());
    let chain = chain.map_err(|e| Deviation::new(format!("the chain of the word: {e}")))?;
    ensure(chain.identity.area() == subject.area, || "signed by another area".to_owned())?;
    ensure(chain.leaf.fingerprint == said.signer.into_bytes(), || {
        "the word names another certificate than the one it comes with".to_owned()
    })?;
    chain
        .verify(SignContext::Custody, &word.manifest_bytes, &word.signature)
        .map_err(|_| Deviation::new("the signature of the word does not hold"))?;
    Ok((said, word))
}

/// The peer does not take a parcel: by its word, or, from the parcel's own sender, by the end of the stream.
async fn turned_away(
    line: &mut Line,
    subject: &Subject,
    parcel: Parcel,
    code: &str,
) -> Result<(), Deviation> {
    let said = match line.send(subject, parcel).await? {
        Answer::Ended(ended) => ended,
        Answer::Receipt(..) => return Err(Deviation::new("it was taken")),
        Answer::Custody(word) => {
            let said = wire::decode_custody_manifest(&word.manifest_bytes);
            match said.map_err(|fault| Deviation::new(fault.to_string()))?.outcome {
                CustodyOutcome::Refused { reason } => reason.code().to_owned(),
                other => return Err(Deviation::new(format!("answered {other:?}"))),
            }
        }
    };
    ensure(said == code, || format!("turned away with {said}, expected {code}"))
}

fn somewhere(subject: &Subject, carried: bool) -> Result<AreaCode, Deviation> {
    county(subject, carried).ok_or_else(|| Deviation::new("there is no such county"))
}

pub(super) async fn carried(subject: &Subject) -> Result<(), Deviation> {
    let (mut line, to) = (subject.line().await?, somewhere(subject, true)?);
    let (manifest, parcel) = for_another(&mut line, subject, to)?;
    let (said, word) = hand(&mut line, subject, &manifest, parcel.clone()).await?;
    let held = CustodyOutcome::Held { next: next_hop(subject.area, to) };
    ensure(said.outcome == held, || format!("answered {:?}, expected {held:?}", said.outcome))?;
    // Also on another stream.
    let mut line = subject.line().await?;
    let (_, again) = hand(&mut line, subject, &manifest, parcel).await?;
    ensure(again.manifest_bytes == word.manifest_bytes, || "the word is another one".to_owned())?;
    ensure(again.signature == word.signature, || "it is signed again".to_owned())
}

pub(super) async fn not_carried(subject: &Subject) -> Result<(), Deviation> {
    let (mut line, to) = (subject.line().await?, somewhere(subject, false)?);
    let (_, parcel) = for_another(&mut line, subject, to)?;
    turned_away(&mut line, subject, parcel, "NOT_FOR_US").await
}

/// A parcel whose way begins with a word of its own sender.
pub(super) async fn senseless_way(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let (_, envelope) = line.letters.letter()?;
    let envelopes = vec![envelope];
    let manifest = line.letters.manifest(&envelopes, subject.identity())?;
    let mut parcel = parcel(&manifest, envelopes, subject.identity())?;
    parcel.custody.push(word_of_caller(subject, &manifest)?);
    turned_away(&mut line, subject, parcel, "MALFORMED").await
}

/// A word that the caller gives although it is no relay.
fn word_of_caller(subject: &Subject, parcel: &ParcelManifest) -> Result<CustodyReceipt, Deviation> {
    let own = subject.identity();
    let manifest = CustodyManifest {
        parcel_id: parcel.parcel_id,
        parcel_root: parcel.root,
        relay: own.area(),
        handed_by: own.area(),
        from: parcel.from,
        to: parcel.to,
        outcome: CustodyOutcome::Held { next: subject.area },
        signed: SystemClock.now(),
        signer: own.signer_id(),
    };
    let bytes = wire::encode_custody_manifest(&manifest);
    let signature = own.sign(SignContext::Custody, &bytes);
    let signature =
        signature.map_err(|e| Deviation::new(format!("the trial itself failed: {e}")))?;
    let (manifest_bytes, signature) = (Bytes::from(bytes), Bytes::from(signature));
    Ok(CustodyReceipt { manifest_bytes, signature, chain: own.chain_der().to_vec() })
}

/// Words about parcels that the peer has never seen, one of them with a signature that does not hold.
pub(super) async fn useless_words(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let (_, envelope) = line.letters.letter()?;
    let mut manifest = line.letters.manifest(&[envelope], subject.identity())?;
    (manifest.from, manifest.to) = (subject.area, subject.identity().area());
    manifest.root = tree::root(&[Digest::of(&random::<32>())]);
    let good = word_of_caller(subject, &manifest)?;
    let bad = CustodyReceipt { signature: Bytes::from_static(b"no signature"), ..good.clone() };
    for word in [good, bad] {
        let word = Returned::Custody(word);
        let id = word.id();
        line.hand_back(word);
        let taken = in_time(line.taken(id)).await??;
        ensure(taken, || "the stream ended".to_owned())?;
    }
    Ok(())
}
