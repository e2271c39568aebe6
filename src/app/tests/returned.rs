//! What a recipient hands back to a sender that was restored: proven by its own seal, and with all that had followed from
//! it.

use std::time::Duration;

use domain::case::{Deed, Seat, Stage, TransferCause};
use domain::consent::{ConsentScope, ConsentTerms, Given, Ground};
use domain::id::{CaseId, MessageId, PersonId};
use domain::message::{Body, ConsentWithdrawal, Content, HandOverAcceptance, Kind, PrintedNumber};
use domain::purpose::{LawfulBasis, Purpose};
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::keys::Opener as _;
use exchange::lane::LaneEpoch;
use exchange::reconcile::calls::{HandedBack, take_back_data};
use store::messages::{Blob, Side, peer_key};
use store::origin::{OriginRow, RestoredRow};
use store::records::ReadRecords;
use store::tables::{CONSENT_ENDED, CONSENT_SPREAD, CONSENT_USE, RESTORED};
use wire::content::decode_content;
use wire::decode_header;

use super::cases::{THIRD, between, kept};
use super::mail::{
    Post, Stranger, agree, content, content_between, deliver, envelope, row, said_again, send,
};
use super::{HERE, NOW, Net, ORIGIN, Office, today, woman};
use crate::app::AppError;
use crate::app::cases::opening::Rows as _;
use crate::app::cases::steps::{self, Action, Order};
use crate::app::cases::{couple, duties};
use crate::app::consents;
use crate::app::messages::send::Outlet as _;
use crate::app::reconcile::cures::{self, Back, Checked, Keys, Signing};

/// A message of an office, as its recipient hands it back.
fn back(office: &Office, id: MessageId) -> Back {
    let (envelope, row) = (envelope(&office.store, id), row(&office.store, id, Side::Sent));
    let header = decode_header(&envelope.header_bytes).unwrap();
    let content = Some(decode_content(&row.content.0).unwrap());
    let sides = (header.from, header.to);
    let checked = said_again(sides, LaneEpoch::new(1), &[(id, envelope.digest())], &[1]);
    let on_word = false;
    Back { header, envelope, content, checked, question_follows: true, on_word }
}

async fn take_back(office: &Office, back: Back) -> Result<bool, AppError> {
    let store = office.store.clone();
    let taken = office.store.commit(move |unit| cures::take_back(unit, &store, &back, NOW));
    taken.await.map_err(AppError::from)
}

/// What the holder of a message hands back, opened by its sender as its node does.
fn hands_back(holder: &Office, post: &Post, sender: &Office, id: MessageId) -> (HandedBack, Back) {
    let net = Net::new();
    let material = net.material(holder.area.as_str());
    let (sealer, opener) = (post.sealer(sender.area).unwrap(), post.opener());
    let signer = material.identity().as_ref();
    let signing = Signing { own: holder.area, signer, chains: material.chains() };
    let keys = Keys { signing, sealer: sealer.as_ref(), opener: &opener };
    let handed = cures::hand_back(&holder.store, keys, sender.area, (id, true), NOW);
    let handed = handed.unwrap().unwrap();
    let header = decode_header(&handed.envelope.header_bytes).unwrap();
    let content = opened(&handed, post).transpose().unwrap();
    let checked = Checked::read(sender.area, holder.area, handed.proof.clone()).unwrap();
    let (envelope, question_follows) = (handed.envelope.clone(), handed.question_follows);
    let back = Back { header, envelope, content, checked, question_follows, on_word: false };
    (handed, back)
}

fn opened(handed: &HandedBack, post: &Post) -> Option<Result<Content, AppError>> {
    let secret = handed.secret.as_ref()?;
    let header = decode_header(&handed.envelope.header_bytes).unwrap();
    let seal = exchange::envelope::SealHeader {
        recipient_key_id: secret.recipient_key_id,
        encapsulated_key: secret.encapsulated_key,
        counter: secret.counter,
        ..header.seal
    };
    let data = take_back_data(&handed.envelope.header_bytes);
    let padded = post.opener().open(&seal, &data, &secret.sealed).unwrap();
    let secret = exchange::envelope::unpad(&padded).unwrap();
    let sealed = handed.envelope.sealed().unwrap();
    Some(cures::open_again(secret, &handed.envelope.header_bytes, sealed))
}

#[tokio::test]
async fn what_is_handed_back_is_what_its_sender_had_sealed() {
    let (sender, holder, post) = (Office::here(), Office::of(ORIGIN), Post::new());
    let sent = send(&sender, &sender.clerk(), &post, content(1, Kind::ArrivalNotice)).await;
    deliver(&sender, &post, &holder, &[sent.id], NOW).await;
    let (mut handed, whole) = hands_back(&holder, &post, &sender, sent.id);
    let restored = Office::here();
    assert!(take_back(&restored, whole).await.unwrap());
    let (before, after) = (
        row(&sender.store, sent.id, Side::Sent).content,
        row(&restored.store, sent.id, Side::Sent).content,
    );
    assert_eq!(before, after);
    let mut altered = handed.envelope.sealed().unwrap().to_vec();
    altered[40] ^= 1;
    let header = handed.envelope.header_bytes.clone();
    handed.envelope = exchange::envelope::SealedEnvelope::new(header, altered);
    let refused = opened(&handed, &post).unwrap().unwrap_err();
    assert_eq!(refused.reason(), Reason::SignatureInvalid);
}

/// A fresh office whose data were restored at that time.
async fn restored_office(area: &str, restored: UnixMillis) -> Office {
    let office = Office::of(area);
    let origin = OriginRow { backup: None, group: 0, restored };
    let row = RestoredRow { incarnation: 2, origin: Some(origin) };
    let write =
        move |unit: &mut store::Unit<'_>| Ok::<_, AppError>(unit.put(&RESTORED, &(), &row)?);
    office.store.commit(write).await.map_err(AppError::from).unwrap();
    office
}

/// Whoever has a document is entered, and erased.
async fn erase(office: &Office, content: &Content) {
    let hash = office.store.document_hash(&content.person.as_ref().unwrap().document);
    let write = move |unit: &mut store::Unit<'_>| {
        let subject = unit.subject(hash, PersonId::new(NOW, [3; 10]))?;
        assert!(unit.erase_subject(subject.person())?);
        Ok::<_, AppError>(())
    };
    office.store.commit(write).await.map_err(AppError::from).unwrap();
}

#[tokio::test]
async fn a_person_who_was_erased_does_not_come_back_with_what_others_hold() {
    let (sender, holder, post) = (Office::here(), Office::of(ORIGIN), Post::new());
    let said = content(1, Kind::ArrivalNotice);
    let sent = send(&sender, &sender.clerk(), &post, said.clone()).await;
    deliver(&sender, &post, &holder, &[sent.id], NOW).await;
    // Ids of all offices of this process grow together, so its own is the time that counts.
    let at = sent.id.timestamp();
    let is_deleted = |office: &Office, side| row(&office.store, sent.id, side).is_deleted();
    // Handed back to the one that had sent it.
    for (erased, restored) in [(false, true), (true, true), (true, false)] {
        let office = if restored { restored_office(HERE, at).await } else { Office::here() };
        if erased {
            erase(&office, &said).await;
        }
        let (_, back) = hands_back(&holder, &post, &sender, sent.id);
        assert!(take_back(&office, back).await.unwrap());
        let gone = erased && restored;
        assert_eq!(is_deleted(&office, Side::Sent), gone, "{erased} {restored}");
        assert_eq!(envelope(&office.store, sent.id).sealed().is_none(), gone);
        // Once more, and after somebody new has come under the document.
        let (_, back) = hands_back(&holder, &post, &sender, sent.id);
        assert!(take_back(&office, back).await.unwrap());
    }
    // Delivered again to the one that had received it.
    for erased in [false, true] {
        let office = restored_office(ORIGIN, at).await;
        if erased {
            erase(&office, &said).await;
        }
        deliver(&sender, &post, &office, &[sent.id], NOW).await;
        assert_eq!(is_deleted(&office, Side::Received), erased);
    }
    // What comes later is about somebody who lives here again.
    let office = restored_office(ORIGIN, at).await;
    erase(&office, &said).await;
    let hash = office.store.document_hash(&said.person.as_ref().unwrap().document);
    let subject = super::super::messages::NewSubject::of(&office.store, Some(&said), NOW);
    let later = MessageId::new(at.saturating_add(Duration::from_secs(1)), [4; 10]);
    let ask = move |unit: &mut store::Unit<'_>| {
        assert!(!subject.was_erased(unit, later, later)?);
        unit.subject(hash, PersonId::new(NOW, [5; 10]))?;
        // Older ones are still about the one who was erased.
        assert!(subject.was_erased(unit, sent.id, sent.id)?);
        Ok::<_, AppError>(())
    };
    office.store.commit(ask).await.map_err(AppError::from).unwrap();
}

#[tokio::test]
async fn what_a_couple_has_asked_belongs_together_again() {
    let (sender, post) = (Office::here(), Post::new());
    let ask = async |first, key| {
        let application = super::couples::application(first, key);
        couple::ask(&sender.clerk(), &sender.store, &post, application).await.unwrap()
    };
    // Another couple of the same moment has another number.
    let mut other = super::couples::application(4, "others");
    other.number = PrintedNumber::parse("SZ-2026-0043").unwrap();
    let others = couple::ask(&sender.clerk(), &sender.store, &post, other).await.unwrap();
    let cases = ask(0, "").await;
    let restored = Office::here();
    for case in [others[0], cases[0], others[1], cases[1]] {
        let back = back(&sender, case.opening_message());
        assert!(take_back(&restored, back).await.unwrap());
    }
    for tied in [cases, others] {
        for case in &tied {
            let mut together = restored.store.together(&kept(&restored, *case)).unwrap();
            together.sort();
            let mut expected = tied.clone();
            expected.sort();
            assert_eq!(together, expected);
        }
    }
}

/// A report under a consent, from the residence to the origin.
fn consented() -> Content {
    let report = |seed| content_between(seed, Kind::PregnancyReport, HERE, ORIGIN);
    (1..).map(report).find(|content| content.consent.is_some()).unwrap()
}

const KINDS: [Kind; 2] = [Kind::PregnancyReport, Kind::PregnancyFeedback];

fn withdrawal(of: &Content) -> Content {
    word(ConsentWithdrawal { ground: of.ground().unwrap(), withdrawn: NOW }.into())
}

fn word(body: Body) -> Content {
    let (basis, purpose) = (LawfulBasis::StatutoryDuty, Purpose::PersonRights);
    Content { basis, purpose, step: 0, ..between(None, body) }
}

#[tokio::test]
async fn what_was_deleted_is_handed_back_as_header_and_hash() {
    let (holder, post, sender) = (Office::of(ORIGIN), Post::new(), Office::here());
    agree(&holder, HERE, &KINDS, 36).await;
    let (report, mut asker) = (consented(), Stranger::of(HERE));
    let id = asker.says(&holder, report.clone(), NOW).await;
    asker.says(&holder, withdrawal(&report), NOW).await;
    let (handed, back) = hands_back(&holder, &post, &sender, id);
    assert!(handed.envelope.is_withdrawn() && handed.secret.is_none());
    assert!(take_back(&sender, back).await.unwrap());
    let taken = row(&sender.store, id, Side::Sent);
    assert_eq!((taken.content, taken.digest), (Blob::default(), handed.envelope.digest()));
    assert!(envelope(&sender.store, id).is_withdrawn());
    // So both ledgers say the same of it.
    assert_eq!(taken.digest, row(&holder.store, id, Side::Received).digest);
    assert_eq!(sender.store.ledger_head().size, 1);
}

#[tokio::test]
async fn a_case_that_was_given_away_stays_so_after_a_restore() {
    let (office, post) = (Office::of(ORIGIN), Post::new());
    let mut asker = Stranger::of(HERE);
    let question = content_between(3, Kind::CertificateInquiry, HERE, ORIGIN);
    let id = asker.says(&office, question.clone(), NOW).await;
    let case = CaseId::from(id);
    let until = NOW.saturating_add(Duration::from_secs(86_400));
    let offer = Action::Offer(THIRD.parse().unwrap(), TransferCause::WrongCounty, until);
    take(&office, &post, case, offer).await.unwrap();
    let accepted = HandOverAcceptance { seat: Seat::Answering, term: 2 };
    let accepted = between(Some(case), accepted.into());
    Stranger::of(THIRD).says(&office, accepted.clone(), NOW).await;
    assert_eq!(duties::run(office.area, &office.store, &post, NOW).await.unwrap(), 1);

    let restored = Office::of(ORIGIN);
    let again = |header: &mut exchange::envelope::Header| header.message_id = id;
    Stranger::of(HERE).hands(&restored, question, again, NOW).await;
    let ours = kept(&office, case);
    let ours = ours.case.steps().into_iter().filter(|step| step.from == office.area);
    let ours: Vec<_> = ours.map(|step| step.id).collect();
    assert_eq!(ours.len(), 3, "an offer, a hand-over, a word to the other side");
    for id in ours {
        assert!(take_back(&restored, back(&office, id)).await.unwrap());
    }
    Stranger::of(THIRD).says(&restored, accepted, NOW).await;
    let view = kept(&restored, case).case.view();
    assert_eq!((view.stage, view.holder()), (Stage::Asked, Some(THIRD.parse().unwrap())));
    let deed = Deed::Answer { kind: Kind::CertificateStatement };
    assert_eq!(view.may(restored.area, deed), Err(Reason::NotHolder));
    assert_eq!(duties::run(restored.area, &restored.store, &post, NOW).await.unwrap(), 0);
}

async fn take(office: &Office, post: &Post, case: CaseId, action: Action) -> Result<(), AppError> {
    let expected = kept(office, case).version;
    let order = Order { case, expected, action, idempotency_key: String::new(), listed: false };
    steps::take(&office.clerk(), &office.store, post, order).await
}

#[tokio::test]
async fn an_answer_that_was_taken_back_is_deleted_with_its_consent() {
    let (office, restored, post) = (Office::of(ORIGIN), Office::of(ORIGIN), Post::new());
    let report = consented();
    let asked = crate::time::next_message_id(HERE.parse().unwrap(), NOW);
    let mut askers = Vec::new();
    for office in [&office, &restored] {
        agree(office, HERE, &KINDS, 36).await;
        let mut asker = Stranger::of(HERE);
        asker.hands(office, report.clone(), |header| header.message_id = asked, NOW).await;
        askers.push(asker);
    }
    let Content { basis, consent, service_request, person, .. } = report.clone();
    let scopes = consent.as_ref().unwrap().scopes.clone();
    let said = |seed| content_between(seed, Kind::PregnancyFeedback, ORIGIN, HERE);
    let said = (1..).map(said).find(|said| said.body.reveals().is_subset(&scopes)).unwrap();
    let (case, in_reply_to) = (Some(asked.into()), Some(asked));
    let said = Content { case, in_reply_to, basis, consent, service_request, person, ..said };
    let answer = send(&office, &office.clerk(), &post, said).await.id;
    assert!(take_back(&restored, back(&office, answer)).await.unwrap());
    assert_eq!(row(&restored.store, asked, Side::Received).answered, Some((answer, NOW)));
    assert_eq!(kept(&restored, asked.into()).case.view().stage, Stage::Answered);
    let consent = report.ground().unwrap().bytes();
    assert_eq!(restored.store.scan_under(&CONSENT_USE, &(consent,), None, 9).unwrap().len(), 2);
    askers[1].says(&restored, withdrawal(&report), NOW).await;
    assert_eq!(row(&restored.store, answer, Side::Sent).content, Blob::default());
    let ended = (consent, peer_key(HERE.parse().unwrap()));
    assert_eq!(restored.store.get(&CONSENT_ENDED, &ended).unwrap().unwrap().messages, 2);
    // Where the withdrawal was here before the answer came back, nothing of it is kept.
    let late = Office::of(ORIGIN);
    agree(&late, HERE, &KINDS, 36).await;
    let mut asker = Stranger::of(HERE);
    asker.hands(&late, report.clone(), |header| header.message_id = asked, NOW).await;
    asker.says(&late, withdrawal(&report), NOW).await;
    assert!(take_back(&late, back(&office, answer)).await.unwrap());
    assert_eq!(row(&late.store, answer, Side::Sent).content, Blob::default());
}

#[tokio::test]
async fn a_withdrawal_that_is_handed_back_withdraws_the_consent_again() {
    let office = Office::here();
    office.arrive(woman()).await;
    let terms = ConsentTerms {
        scopes: [ConsentScope::Pregnancy].into(),
        recipient: ORIGIN.parse().unwrap(),
        given_on: today(),
        valid_until: today().plus_years(1),
        given: Given::InPerson,
    };
    let recorded = consents::record(&office.clerk(), &office.store, woman().document, terms).await;
    let consent_id = recorded.unwrap().id();
    // The same office before its backup was put back.
    let (lost, post) = (Office::here(), Post::new());
    let withdrawn = UnixMillis::new(NOW.get() - 60_000);
    let ground = Ground::Consent(consent_id);
    let said = word(ConsentWithdrawal { ground, withdrawn }.into());
    let sent = crate::app::messages::send::Outgoing::new(
        lost.area,
        &lost.store,
        &post,
        (ORIGIN.parse().unwrap(), said),
        None,
        NOW,
    );
    let mut sent = sent.map_err(|error| error.reason()).ok().unwrap();
    let sent = lost.store.commit(move |unit| sent.accept(unit)).await;
    let sent = sent.map_err(AppError::from).unwrap().id;
    assert!(take_back(&office, back(&lost, sent)).await.unwrap());
    let consent = office.store.consent(consent_id).unwrap().unwrap();
    assert_eq!(consent.withdrawn_at(), Some(withdrawn));
    let ours = (ground.bytes(), peer_key(office.area));
    let ended = office.store.get(&CONSENT_ENDED, &ours).unwrap().unwrap();
    assert_eq!(ended.withdrawn, withdrawn);
    let told = (ground.bytes(), peer_key(ORIGIN.parse().unwrap()));
    let told = office.store.get(&CONSENT_SPREAD, &told).unwrap().unwrap();
    assert_eq!(told.told, Some((sent, NOW)));
}
