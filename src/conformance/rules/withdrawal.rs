//! Envelopes that their sender has withdrawn: header and hash, no body.

use domain::message::Kind;

use super::says;
use crate::conformance::letters::parcel;
use crate::conformance::line::Answer;
use crate::conformance::{Deviation, Subject, ensure};

pub(super) async fn withdrawn(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let (_, envelope) = line.letters.letter()?;
    let said = line.offer(subject, vec![envelope.clone().without_body()]).await?;
    says(&said, &["REFUSED WITHDRAWN"])?;
    says(&line.offer(subject, vec![envelope]).await?, &["DUPLICATE REFUSED WITHDRAWN"])?;
    let content = line.letters.content(Kind::DepartureNotice)?;
    let header = line.letters.header()?;
    let next = line.letters.seal(&header, &content)?;
    says(&line.offer(subject, vec![next]).await?, &["STORED"])
}

pub(super) async fn withdrawn_late(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let (_, envelope) = line.letters.letter()?;
    says(&line.offer(subject, vec![envelope.clone()]).await?, &["STORED"])?;
    says(&line.offer(subject, vec![envelope.without_body()]).await?, &["DUPLICATE STORED"])
}

pub(super) async fn bodiless_unlisted(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let (_, envelope) = line.letters.letter()?;
    let envelopes = vec![envelope.without_body()];
    let mut manifest = line.letters.manifest(&envelopes, subject.identity())?;
    manifest.withdrawn.clear();
    let sent = parcel(&manifest, envelopes, subject.identity())?;
    match line.send(subject, sent).await? {
        Answer::Ended(code) => ensure(code == "MALFORMED", || format!("ended with {code}")),
        Answer::Receipt(..) | Answer::Custody(_) => Err(Deviation::new("it was taken")),
    }
}
