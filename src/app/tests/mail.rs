//! Mail between two offices of these tests: a way out that seals, and receipts and deliveries made by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use domain::agreement::{Agreement, AgreementTerms, KindTerms};
use domain::area::AreaCode;
use domain::id::{AgreementId, MessageId};
use domain::message::{Body, CheckContext, Content, Kind};
use domain::purpose::Purpose;
use domain::reason::Reason;
use domain::synthetic::{Messages, People};
use domain::text::Note;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::envelope::{AlgorithmProfile, Header, SealHeader, SealedEnvelope};
use exchange::keys::Opener as _;
use exchange::lane::{LaneEpoch, LaneOut, LaneSeq, Mark};
use exchange::ledger::LedgerHead;
use exchange::parcel::{ParcelId, ParcelManifest, envelopes_root};
use exchange::receipt::{Disposition, Outcome, Receipt, ReceiptManifest, dispositions_root};
use exchange::reconcile::calls::ReceiptAgain;
use store::agreements::AgreedRow;
use store::messages::{
    Blob, EnvelopeKey, LaneOutRow, MessageRow, ParcelRow, Side, Signed, message_key, peer_key,
};
use store::tables::{AGREED, ENVELOPE, LANE_OUT, MESSAGE, PARCEL};
use store::{Kept, Store};
use trust::seal::{Opener, Sealer, SealingKeyPair};
use wire::content::decode_content;
use wire::decode_header;

use super::{HERE, NOW, ORIGIN, Office};
use crate::app::letters::{self, Said};
use crate::app::messages::envelope_of;
use crate::app::messages::grounds::Grounds;
use crate::app::messages::receive::{self, Answer, Arrived, Fit, Item, Judged, Opened};
use crate::app::messages::send::{self, Accepted, Draft, Outlet};
use crate::app::reconcile::cures::Checked;
use crate::app::{AppError, Ctx, Refusal};

/// Seals for other offices, and tells nobody.
pub(super) struct Post {
    pair: SealingKeyPair,
    /// A county whose card never came.
    unknown: Option<AreaCode>,
    /// How often it was tried to seal for that county.
    pub(super) tried: AtomicUsize,
}

impl Post {
    pub(super) fn new() -> Self {
        let pair = SealingKeyPair::generate(&mut rand::rng());
        Self { pair, unknown: None, tried: AtomicUsize::new(0) }
    }

    /// What opens everything that was sealed here.
    pub(super) fn opener(&self) -> Opener {
        let pair = SealingKeyPair::from_private_bytes(&*self.pair.private_bytes()).unwrap();
        Opener::new(vec![pair])
    }

    pub(super) fn without(unknown: &str) -> Self {
        Self { unknown: Some(unknown.parse().unwrap()), ..Self::new() }
    }
}

impl Outlet for Post {
    fn destination(&self, to: AreaCode) -> Result<AreaCode, Refusal> {
        Ok(to)
    }

    fn sealer(&self, to: AreaCode) -> Result<Arc<dyn exchange::keys::Sealer>, Reason> {
        if Some(to) == self.unknown {
            self.tried.fetch_add(1, Ordering::Relaxed);
            return Err(Reason::PeerCardMissing);
        }
        let sealer = Sealer::new(self.pair.public(), &mut rand::rng(), NOW);
        Ok(Arc::new(sealer.map_err(|_| Reason::PeerCardMissing)?))
    }

    fn nudge(&self, _: AreaCode, _: LaneEpoch, _: LaneSeq) {}
}

/// A synthetic message from here to the origin county; the same seed gives the same one.
pub(super) fn content(seed: u64, kind: Kind) -> Content {
    content_between(seed, kind, HERE, ORIGIN)
}

pub(super) fn content_between(seed: u64, kind: Kind, from: &str, to: &str) -> Content {
    let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
    let people = People::new(seed, vec![to], NOW.date());
    let mut content =
        Messages::new(people, CheckContext { from, to, now: NOW }).next(kind).unwrap();
    if let Body::BirthRegistrationInquiry(question) = &mut content.body {
        // Only the questions for a couple name a spouse.
        question.spouse_name = None;
    }
    content
}

pub(super) fn draft(content: Content) -> Draft {
    Draft {
        to: ORIGIN.parse().unwrap(),
        content,
        grounds: Grounds::default(),
        expires: None,
        idempotency_key: String::new(),
    }
}

pub(super) async fn send(office: &Office, ctx: &Ctx, post: &Post, content: Content) -> Accepted {
    let to = if office.area.as_str() == HERE { ORIGIN } else { HERE };
    let draft = Draft { to: to.parse().unwrap(), ..draft(content) };
    send::send(ctx, &office.store, post, draft).await.unwrap()
}

/// The other side has said so about messages of ours: what a receipt's unit writes.
pub(super) async fn receipt(office: &Office, said: &[(Accepted, Option<Reason>)], now: UnixMillis) {
    let (first, _) = said.first().copied().unwrap();
    let parcel = ParcelRow {
        parcel_id: ParcelId::from_bytes(crate::time::random()),
        parcel: Signed { manifest: Blob::default(), signature: Blob::default() },
        sequences: said.iter().map(|(accepted, _)| accepted.sequence.get()).collect(),
        dispositions: said.iter().map(|said| disposition(office, said, now)).collect(),
    };
    let said: Vec<_> = said
        .iter()
        .map(|(accepted, refused)| Said {
            id: accepted.id,
            sequence: accepted.sequence,
            refused: refused.map(|reason| (reason, None)),
        })
        .collect();
    let kept = office.store.commit(move |unit| {
        let key = EnvelopeKey::of(Side::Sent, first.to, first.epoch).key();
        let row = unit.get(&LANE_OUT, &key)?;
        let mut lane = row.map_or_else(|| LaneOut::new(first.epoch), |row| row.lane);
        let next = unit.next_position(&ENVELOPE, &key)?;
        lane.assigned_through(LaneSeq::new(next).prev());
        lane.apply(said.iter().map(|said| Mark::Settled(said.sequence)));
        unit.put(&LANE_OUT, &key, &LaneOutRow { lane })?;
        let lowest = parcel.sequences.iter().copied().min().unwrap_or_default();
        unit.put(&PARCEL, &(key.0, key.1, lowest, *parcel.parcel_id.as_bytes()), &parcel)?;
        letters::heard(unit, first.to, first.epoch, &said, now)
    });
    kept.await.map_err(AppError::from).unwrap();
}

fn disposition(office: &Office, said: &(Accepted, Option<Reason>), now: UnixMillis) -> Blob {
    let (accepted, refused) = said;
    let outcome = match refused {
        Some(reason) => Outcome::Refused { reason: *reason, field: None },
        None => Outcome::Stored,
    };
    Blob(wire::encode_disposition(&Disposition {
        message_id: accepted.id,
        digest: row(&office.store, accepted.id, Side::Sent).digest,
        outcome,
        duplicate: false,
        decided: now,
    }))
}

/// A message as it is kept.
pub(super) fn row(store: &Store, id: MessageId, side: Side) -> MessageRow {
    let kept = store.get_personal(&MESSAGE, &message_key(id, side)).unwrap();
    kept.and_then(Kept::value).unwrap()
}

/// The envelope of a message of ours.
pub(super) fn envelope(store: &Store, id: MessageId) -> SealedEnvelope {
    let row = row(store, id, Side::Sent);
    let key = EnvelopeKey::of(Side::Sent, row.peer, row.epoch).key();
    envelope_of(store.read(&ENVELOPE, &key, row.position).unwrap().unwrap()).unwrap()
}

/// Carries messages of one office to the other by hand, as a parcel of their own.
pub(super) async fn deliver(
    from: &Office,
    post: &Post,
    to: &Office,
    ids: &[MessageId],
    now: UnixMillis,
) {
    assert_eq!(offer(from, post, to, ids, now).await, ids.len());
}

/// The same; how many were new there.
pub(super) async fn offer(
    from: &Office,
    post: &Post,
    to: &Office,
    ids: &[MessageId],
    now: UnixMillis,
) -> usize {
    let opener = post.opener();
    let item = |id: &MessageId| {
        let envelope = envelope(&from.store, *id);
        let header = decode_header(&envelope.header_bytes).unwrap();
        let sealed = envelope.sealed().unwrap();
        let padded = opener.open(&header.seal, &envelope.header_bytes, sealed).unwrap();
        let body = exchange::envelope::unpad(&padded).unwrap().to_vec();
        let content = decode_content(&body).unwrap();
        content.check(&CheckContext { from: header.from, to: header.to, now }).unwrap();
        let judged = Judged::Fit(Box::new(Fit::new(&to.store, content, body, now)));
        let digest = envelope.digest();
        Item::Ours(Box::new(Opened { header, envelope, digest, judged }))
    };
    take_in(to, from.area, ids.iter().map(item).collect(), now).await.stored
}

/// A parcel of these envelopes, as its sender signs it.
fn manifest(from: AreaCode, to: AreaCode, digests: &[Digest], now: UnixMillis) -> ParcelManifest {
    ParcelManifest {
        parcel_id: ParcelId::from_bytes(crate::time::random()),
        from,
        to,
        count: u32::try_from(digests.len()).unwrap(),
        root: envelopes_root(digests),
        signed: now,
        signer: Digest::of(b"the sender's certificate"),
        withdrawn: Vec::new(),
    }
}

/// What the other office says, once more, about messages of ours in these places of their lane: that it has them.
pub(super) fn said_again(
    (own, peer): (AreaCode, AreaCode),
    epoch: LaneEpoch,
    messages: &[(MessageId, Digest)],
    places: &[u64],
) -> Checked {
    let digests: Vec<_> = messages.iter().map(|(_, digest)| *digest).collect();
    let parcel = manifest(own, peer, &digests, NOW);
    let stored = |(id, digest): &(MessageId, Digest)| {
        let (message_id, digest, outcome) = (*id, *digest, Outcome::Stored);
        let said = Disposition { message_id, digest, outcome, duplicate: false, decided: NOW };
        Bytes::from(wire::encode_disposition(&said))
    };
    let dispositions: Vec<_> = messages.iter().map(stored).collect();
    let receipt = ReceiptManifest {
        parcel_id: parcel.parcel_id,
        parcel_root: parcel.root,
        from: peer,
        to: own,
        count: parcel.count,
        root: dispositions_root(&dispositions),
        ledger_head: LedgerHead { size: 9, root: Digest::of(b"head") },
        signed: NOW,
        signer: Digest::of(b"the recipient's certificate"),
    };
    let again = ReceiptAgain {
        epoch,
        sequences: places.iter().map(|place| LaneSeq::new(*place)).collect(),
        parcel_manifest: Bytes::from(wire::encode_manifest(&parcel)),
        parcel_signature: Bytes::from_static(b"signature"),
        parcel_chain: Vec::new(),
        receipt: Receipt {
            manifest_bytes: Bytes::from(wire::encode_receipt_manifest(&receipt)),
            signature: Bytes::from_static(b"signature"),
            dispositions,
            chain: Vec::new(),
        },
    };
    Checked::read(own, peer, again).unwrap()
}

/// Has a parcel taken in, as the node does.
async fn take_in(office: &Office, from: AreaCode, items: Vec<Item>, now: UnixMillis) -> Answer {
    let digest = |item: &Item| match item {
        Item::Ours(opened) => opened.digest,
        Item::Astray(said) => said.digest,
    };
    let digests: Vec<_> = items.iter().map(digest).collect();
    let parcel = manifest(from, office.area, &digests, now);
    let bytes = Blob(wire::encode_manifest(&parcel));
    let arrived = Arc::new(Arrived {
        parcel_id: parcel.parcel_id,
        peer: from,
        signed: Signed { manifest: bytes, signature: Default::default() },
        signer: parcel.signer,
        chain: Vec::new(),
        words: Vec::new(),
        items,
    });
    let parcel = Arc::clone(&arrived);
    let stored = office.store.commit(move |unit| receive::take_in(unit, &parcel, now));
    match stored.await.map_err(AppError::from) {
        Err(error) if error.is_of_one() => {
            receive::apart(&office.store, arrived, now).await.unwrap()
        }
        stored => stored.unwrap(),
    }
}

/// An answer about whom the question was about, when that is kept here.
pub(super) fn about_whom_was_asked(office: &Office, answer: Content) -> Content {
    let Some(asked) = answer.in_reply_to.filter(|_| answer.person.is_some()) else { return answer };
    let question = [Side::Sent, Side::Received].into_iter().find_map(|side| {
        let kept = office.store.get_personal(&MESSAGE, &message_key(asked, side)).unwrap();
        kept.and_then(Kept::value).and_then(|row| decode_content(&row.content.0).ok())
    });
    let person = question.and_then(|question| question.person).or_else(|| answer.person.clone());
    Content { person, ..answer }
}

/// Another county that is only heard here.
pub(super) struct Stranger {
    area: AreaCode,
    said: u64,
    /// Its answers are about other persons than it was asked about.
    pub(super) mistaken: bool,
}

impl Stranger {
    pub(super) fn of(area: &str) -> Self {
        Self { area: area.parse().unwrap(), said: 0, mistaken: false }
    }

    /// A message of theirs is stored here; its id.
    pub(super) async fn says(
        &mut self,
        office: &Office,
        content: Content,
        now: UnixMillis,
    ) -> MessageId {
        let (id, outcome) = self.hands(office, content, |_| {}, now).await;
        assert_eq!(outcome, Outcome::Stored);
        id
    }

    /// A message of theirs comes, with whatever they write on its envelope; its id, and what becomes of it.
    pub(super) async fn hands(
        &mut self,
        office: &Office,
        content: Content,
        write: impl FnOnce(&mut Header),
        now: UnixMillis,
    ) -> (MessageId, Outcome) {
        let (id, item) = self.sealed(office, content, write, now);
        let answer = take_in(office, self.area, vec![item], now).await;
        (id, wire::decode_disposition(&answer.dispositions[0]).unwrap().outcome)
    }

    /// Messages of theirs come in one parcel; what becomes of each.
    pub(super) async fn parcels(
        &mut self,
        office: &Office,
        contents: Vec<Content>,
        now: UnixMillis,
    ) -> Vec<Outcome> {
        let seal = |content| self.sealed(office, content, |_| {}, now).1;
        let items = contents.into_iter().map(seal).collect();
        let answer = take_in(office, self.area, items, now).await;
        let outcome = |bytes: &Bytes| wire::decode_disposition(bytes).unwrap().outcome;
        answer.dispositions.iter().map(outcome).collect()
    }

    fn sealed(
        &mut self,
        office: &Office,
        content: Content,
        write: impl FnOnce(&mut Header),
        now: UnixMillis,
    ) -> (MessageId, Item) {
        self.said += 1;
        let content = if self.mistaken { content } else { about_whom_was_asked(office, content) };
        let mut header = Header {
            message_id: crate::time::next_message_id(self.area, now),
            from: self.area,
            to: office.area,
            epoch: LaneEpoch::new(1),
            sequence: LaneSeq::new(self.said),
            created: now,
            expires: now.saturating_add(Duration::from_secs(90 * 86_400)),
            due: content.body.clock().map(|clock| clock.due(now).at()),
            seal: SealHeader {
                profile: AlgorithmProfile::International,
                recipient_key_id: [0; 8],
                encapsulated_key: [0; 32],
                counter: self.said,
            },
        };
        write(&mut header);
        let body = wire::content::encode_content(&content);
        let envelope = SealedEnvelope::new(wire::encode_header(&header), vec![7; 528]);
        let digest = envelope.digest();
        let judged = Judged::Fit(Box::new(Fit::new(&office.store, content, body, now)));
        let id = header.message_id;
        (id, Item::Ours(Box::new(Opened { header, envelope, digest, judged })))
    }
}

/// Both offices have agreed on these kinds, whole, from a year ago on; content is kept so many months.
pub(super) async fn agree(office: &Office, with: &str, kinds: &[Kind], retention_months: u16) {
    let with: AreaCode = with.parse().unwrap();
    let terms = AgreementTerms {
        kinds: kinds.iter().map(|kind| (*kind, KindTerms::whole(*kind))).collect(),
        purposes: Purpose::ALL.iter().copied().collect(),
        valid_from: NOW.date().plus_days(-365),
        valid_until: NOW.date().plus_days(365),
        retention_months,
        ask_once_days: 0,
        notice_days: 0,
        contact: Note::new("值班电话 0372-1234567").unwrap(),
    };
    let id = AgreementId::from_bytes([3; 16]);
    let proposed = Agreement::propose((id, 1), (with, office.area), terms, None).unwrap();
    let agreements = vec![proposed.decide(office.area, true, NOW).unwrap()];
    let agreed = office.store.commit(move |unit| {
        Ok::<_, AppError>(unit.put(&AGREED, &peer_key(with), &AgreedRow { agreements })?)
    });
    agreed.await.map_err(AppError::from).unwrap();
}
