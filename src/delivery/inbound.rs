//! Takes mail in: checks a parcel, opens it, has it judged and stored, and signs the receipt after the flush.

use std::sync::Arc;

use bytes::Bytes;
use domain::area::AreaCode;
use domain::message::{CheckContext, Content};
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::envelope::{Header, SealedEnvelope, Untimely, unpad};
use exchange::keys::{OpenError, Opener as _, SignContext, Signer};
use exchange::parcel::ParcelManifest;
use exchange::receipt::Receipt;
use exchange::receiver::{defer_untimely, refuse_misdirected, refuse_unreadable};
use store::messages::{Blob, Signed};
use store::{Pending, Store};
use wire::content::{MalformedContent, decode_content};
use wire::decode_header;

use super::directory::keys::SealingKeys;
use super::handover::Checked;
use super::identity::NodeIdentity;
use super::peers::Peers;
use super::proof::{self, Claim};
use super::receipts::{Issued, Receipts};
use crate::app::AppError;
use crate::app::agreements::{self, Claimed};
use crate::app::heard::{self, Heard, Sense};
use crate::app::messages::receipt;
use crate::app::messages::receive::{self, Answer, Arrived, Fit, Item, Judged, Opened};
use crate::time::SystemClock;

/// Takes mail in for one node.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// Our area.
    pub own: AreaCode,
    /// The store.
    pub store: Store,
    /// Our identity.
    pub identity: Arc<NodeIdentity>,
    /// Opens what is sealed for us.
    pub opener: Arc<SealingKeys>,
    /// Our receipts on their way to the disk.
    pub receipts: Receipts,
    /// Notes when peers are heard.
    pub heard: Heard,
    /// Told when mail leaves the node something to send.
    pub peers: Peers,
}

/// Why a parcel gets no receipt and the stream ends.
#[derive(Debug, thiserror::Error)]
pub enum NoReceipt {
    /// The parcel itself is wrong.
    #[error("{}: {detail}", reason.code())]
    Parcel {
        /// The reason of the catalogue.
        reason: Reason,
        /// What was found, without content.
        detail: String,
    },
    /// It could not be stored or the receipt not signed.
    #[error(transparent)]
    App(#[from] AppError),
}

impl NoReceipt {
    pub(super) fn parcel(reason: Reason, detail: impl ToString) -> Self {
        Self::Parcel { reason, detail: detail.to_string() }
    }

    /// A frame that cannot be read.
    #[must_use]
    pub fn malformed(fault: &impl ToString) -> Self {
        Self::parcel(Reason::Malformed, fault.to_string())
    }

    /// The reason of the catalogue.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Parcel { reason, .. } => *reason,
            Self::App(error) => error.reason(),
        }
    }
}

/// A parcel that waits for the disk.
#[derive(Debug)]
pub struct Taken {
    handed_by: AreaCode,
    manifest: ParcelManifest,
    arrived: Arc<Arrived>,
    now: UnixMillis,
    pending: Pending<Answer, AppError>,
}

impl Taken {
    /// Who handed it over.
    #[must_use]
    pub const fn handed_by(&self) -> AreaCode {
        self.handed_by
    }
}

impl Inbound {
    /// Opens a parcel for us and hands it to the committer. Waits only for room in its queue.
    ///
    /// # Errors
    /// [`NoReceipt`] when the store takes nothing.
    pub(super) async fn take(&self, checked: Checked) -> Result<Taken, NoReceipt> {
        let now = SystemClock.now();
        let Checked { manifest, handed_by, chain, digests, words, parcel, .. } = checked;
        let from = manifest.from;
        let signed = Signed {
            manifest: Blob(parcel.manifest_bytes.to_vec()),
            signature: Blob(parcel.signature.to_vec()),
        };
        let envelopes = parcel.envelopes.into_iter().zip(digests);
        let items = envelopes.map(|(e, digest)| self.open(from, e, digest, now)).collect();
        let arrived = Arc::new(Arrived {
            parcel_id: manifest.parcel_id,
            peer: from,
            signed,
            signer: manifest.signer,
            chain,
            words,
            items,
        });
        self.receipts.send().await?;
        let note = self.heard.is_due(from, Sense::Mail, now);
        let parcel = Arc::clone(&arrived);
        let queued = self.store.enqueue(move |unit| {
            let answer = receive::take_in(unit, &parcel, now)?;
            if note && answer.stored > 0 {
                heard::note(unit, from, Sense::Mail, now)?;
            }
            Ok(answer)
        });
        let pending = queued.await.map_err(AppError::from)?;
        Ok(Taken { handed_by, manifest, arrived, now, pending })
    }

    /// Opens and checks one envelope, before its lane is looked at.
    fn open(
        &self,
        peer: AreaCode,
        envelope: SealedEnvelope,
        digest: Digest,
        now: UnixMillis,
    ) -> Item {
        let Ok(header) = decode_header(&envelope.header_bytes) else {
            return Item::Astray(refuse_unreadable(digest, now));
        };
        match header.check_times(now) {
            Ok(()) => {}
            Err(Untimely::Id) => return Item::Astray(refuse_unreadable(digest, now)),
            // Nobody knows whose clock it is: nothing is lost by waiting.
            Err(Untimely::Clock) => return Item::Astray(defer_untimely(&header, digest, now)),
        }
        if header.from != peer {
            return Item::Astray(refuse_misdirected(&header, digest, Reason::SenderMismatch, now));
        }
        if header.to != self.own {
            return Item::Astray(refuse_misdirected(&header, digest, Reason::NotForUs, now));
        }
        let judged = match self.judge(&header, &envelope, now) {
            Ok(fit) => Judged::Fit(Box::new(fit)),
            Err((reason, field)) => Judged::Unfit { reason, field },
        };
        Item::Ours(Box::new(Opened { header, envelope, digest, judged }))
    }

    fn judge(
        &self,
        header: &Header,
        envelope: &SealedEnvelope,
        now: UnixMillis,
    ) -> Result<Fit, (Reason, Option<String>)> {
        let plain = |reason| (reason, None);
        let Some(sealed) = envelope.sealed() else {
            let expired = now >= header.expires;
            return Err(plain(if expired { Reason::Expired } else { Reason::Withdrawn }));
        };
        let padded =
            self.opener.open(&header.seal, &envelope.header_bytes, sealed).map_err(|error| {
                match error {
                    OpenError::ProfileUnsupported => plain(Reason::VersionUnsupported),
                    OpenError::OtherKey => plain(Reason::SealedForOtherKey),
                    OpenError::Broken => plain(Reason::Malformed),
                }
            })?;
        let body = unpad(&padded).map_err(|_| plain(Reason::Malformed))?;
        let content = decode_content(body).map_err(|malformed| {
            let reason = match malformed {
                // A document of a later version reads as none at all.
                MalformedContent::Missing("body") => Reason::VersionUnsupported,
                _ => malformed.reason(),
            };
            (reason, malformed.field().map(ToString::to_string))
        })?;
        let at = CheckContext { from: header.from, to: header.to, now };
        content.check(&at).map_err(|refusal| (refusal.reason, Some(refusal.field.to_string())))?;
        self.check_signed(header, &content, now)?;
        Ok(Fit::new(&self.store, content, body.to_vec(), now))
    }

    /// What is about an agreement is signed beside its parcel: whether the sender's node has signed what it says.
    fn check_signed(
        &self,
        header: &Header,
        content: &Content,
        now: UnixMillis,
    ) -> Result<(), (Reason, Option<String>)> {
        let field = |field: &str| Some(format!("content.{field}"));
        let sides = (header.from, header.to);
        let claimed = agreements::claimed(&self.store, content, sides);
        let claimed = claimed.map_err(|(reason, name)| (reason, field(name)))?;
        let Some(Claimed { bytes, signature }) = claimed else { return Ok(()) };
        let leaf = signature.chain.first().map(Vec::as_slice).unwrap_or_default();
        let claim = Claim {
            context: SignContext::Agreement,
            by: header.from,
            signer: Digest::of(leaf),
            chain: &signature.chain,
            bytes: &bytes,
            signature: &signature.signature,
            signed: header.created,
        };
        let checked = proof::check_as_of(&self.identity, &claim, header.created, now);
        checked.map(drop).map_err(|unproven| (unproven.reason(), field("signature")))
    }

    /// Waits for the disk, then signs the receipt. `chain_sent` is the signer whose chain the peer has on this
    /// stream: our certificate may be renewed while it stands.
    ///
    /// # Errors
    /// [`NoReceipt`] when the parcel was not stored or the receipt not signed; then nothing was promised.
    pub async fn answer(
        &self,
        chain_sent: &mut Option<Digest>,
        taken: Taken,
    ) -> Result<Receipt, NoReceipt> {
        let Taken { manifest, arrived, now, pending, .. } = taken;
        let peer = manifest.from;
        let answer = match pending.await.map_err(AppError::from) {
            // One bad envelope does not hold up the others.
            Err(error) if error.is_of_one() => receive::apart(&self.store, arrived, now).await?,
            answer => answer?,
        };
        if answer.duties > 0 {
            self.peers.ring();
        }
        if answer.conflicts > 0 {
            tracing::error!(%peer, conflicts = answer.conflicts, code = "CONFLICT", "a peer has sent other content under a name that is taken");
        }
        let (signed, signer, chain) = self.sign(&manifest, &answer.dispositions)?;
        let receipt = on_this_stream(chain_sent, &signed, signer, &chain, answer.dispositions);
        self.receipts.add(Issued { key: answer.key, signed, signer, chain }).await?;
        Ok(receipt)
    }

    /// Signs the receipt of a parcel of which nothing was stored. It is not kept: it promises nothing.
    ///
    /// # Errors
    /// [`NoReceipt`] when the receipt was not signed.
    pub(super) fn put_off(
        &self,
        chain_sent: &mut Option<Digest>,
        manifest: &ParcelManifest,
        dispositions: Vec<Bytes>,
    ) -> Result<Receipt, NoReceipt> {
        let (signed, signer, chain) = self.sign(manifest, &dispositions)?;
        Ok(on_this_stream(chain_sent, &signed, signer, &chain, dispositions))
    }

    /// Signs what became of a parcel; gives the signer and its chain as well.
    fn sign(
        &self,
        manifest: &ParcelManifest,
        dispositions: &[Bytes],
    ) -> Result<(Signed, Digest, Vec<Vec<u8>>), NoReceipt> {
        let material = self.identity.material();
        let signer = material.identity();
        let dispositions = dispositions.iter().map(AsRef::as_ref);
        let now = SystemClock.now();
        let signed =
            receipt::issue(&self.store, signer.as_ref(), self.own, manifest, dispositions, now)?;
        Ok((signed, signer.signer_id(), signer.chain_der().to_vec()))
    }
}

/// A receipt as it goes out: with the signer's chain when this stream has not carried it yet.
fn on_this_stream(
    chain_sent: &mut Option<Digest>,
    signed: &Signed,
    signer: Digest,
    chain: &[Vec<u8>],
    dispositions: Vec<Bytes>,
) -> Receipt {
    let known = chain_sent.replace(signer) == Some(signer);
    Receipt {
        manifest_bytes: Bytes::from(signed.manifest.0.clone()),
        signature: Bytes::from(signed.signature.0.clone()),
        dispositions,
        chain: if known { Vec::new() } else { chain.to_vec() },
    }
}
