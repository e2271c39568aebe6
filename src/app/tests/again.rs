//! Calls that are made again with their key: the same one gives the first outcome, another one is a conflict.

use domain::access::Role;
use domain::agreement::{AgreementTerms, KindTerms, OfficeSignature};
use domain::case::Pairing;
use domain::id::{AgreementId, CaseId};
use domain::message::{AgreementDecision, Content, Kind};
use domain::purpose::Purpose;
use domain::reason::Reason;
use domain::text::{Note, Passage};
use exchange::receipt::Outcome;
use store::messages::peer_key;
use store::tables::{AGREED, AGREEMENT};

use super::cases::{between, kept};
use super::mail::{Post, Stranger, about_whom_was_asked, agree, content_between, draft};
use super::{HERE, NOW, Net, ORIGIN, Office, refused};
use crate::app::AppError;
use crate::app::agreements::{self, Proposal};
use crate::app::cases::steps::{self, Action, Order};
use crate::app::messages::send::{self, Draft};

/// An office that was asked something.
async fn asked(office: &Office) -> CaseId {
    let question = content_between(3, Kind::CertificateInquiry, HERE, ORIGIN);
    Stranger::of(HERE).says(office, question, NOW).await.into()
}

#[tokio::test]
async fn an_answer_whose_reply_was_lost_is_the_same_answer() {
    let (office, post) = (Office::of(ORIGIN), Post::new());
    let case = asked(&office).await;
    let answer = |seed| {
        let said = content_between(seed, Kind::CertificateStatement, ORIGIN, HERE);
        let in_reply_to = Some(case.opening_message());
        let content = Content { case: Some(case), in_reply_to, ..said };
        let content = about_whom_was_asked(&office, content);
        let (to, idempotency_key) = (HERE.parse().unwrap(), "k1".to_owned());
        Draft { to, idempotency_key, ..draft(content) }
    };
    let clerk = office.clerk();
    let first = send::send(&clerk, &office.store, &post, answer(3)).await.unwrap();
    let again = send::send(&clerk, &office.store, &post, answer(3)).await.unwrap();
    assert_eq!(first, again);
    let other = send::send(&clerk, &office.store, &post, answer(4)).await;
    assert_eq!(refused(other), (Reason::Conflict, "idempotency_key".to_owned()));
}

#[tokio::test]
async fn a_step_is_the_same_step_only_when_it_does_the_same() {
    let (office, post) = (Office::of(ORIGIN), Post::new());
    let case = asked(&office).await;
    let expected = kept(&office, case).version;
    let step = async |key: &str, expected: u64, action: Action| {
        let order =
            Order { case, expected, action, idempotency_key: key.to_owned(), listed: false };
        steps::take(&office.clerk(), &office.store, &post, order).await
    };
    step("k1", expected, Action::Pair(Pairing::One)).await.unwrap();
    step("k1", expected, Action::Pair(Pairing::One)).await.unwrap();
    let other = step("k1", expected, Action::Pair(Pairing::None)).await;
    assert_eq!(refused(other).0, Reason::Conflict);
    let clarify = |text: &str| Action::Clarify(Passage::new(text).unwrap());
    let expected = kept(&office, case).version;
    step("k2", expected, clarify("请补充结婚登记日期")).await.unwrap();
    step("k2", expected, clarify("请补充结婚登记日期")).await.unwrap();
    let other = step("k2", expected, clarify("请补充出生日期")).await;
    assert_eq!(refused(other).0, Reason::Conflict);
    assert_eq!(kept(&office, case).case.steps().len(), 2);
}

#[tokio::test]
async fn an_agreement_too_many_stops_no_other_mail() {
    let (office, post, net) = (Office::here(), Post::new(), Net::new());
    agree(&office, ORIGIN, &[Kind::Inquiry], 36).await;
    let supervisor = office.operator("zhou", Role::Supervisor);
    let terms = AgreementTerms {
        kinds: [(Kind::Inquiry, KindTerms::whole(Kind::Inquiry))].into(),
        purposes: Purpose::ALL.iter().copied().collect(),
        valid_from: NOW.date(),
        valid_until: NOW.date().plus_days(365),
        retention_months: 36,
        ask_once_days: 0,
        notice_days: 0,
        contact: Note::new("值班电话 0755-1234567").unwrap(),
    };
    let material = net.material(HERE);
    let propose = async |terms: AgreementTerms| {
        let proposal = Proposal { to: ORIGIN.parse().unwrap(), id: None, terms };
        let signer = material.identity().as_ref();
        agreements::propose(&supervisor, &office.store, &post, signer, proposal).await
    };
    let (row, sent) = propose(terms.clone()).await.unwrap();
    // Fifteen more come into force meanwhile.
    let peer = peer_key(ORIGIN.parse().unwrap());
    let filled = office.store.commit(move |unit| {
        let mut agreed = unit.get(&AGREED, &peer)?.unwrap();
        let one = agreed.agreements[0].clone();
        for number in 0..15 {
            let id = AgreementId::from_bytes([100 + number; 16]);
            agreed.agreements.push(domain::agreement::Agreement { id, ..one.clone() });
        }
        Ok::<_, AppError>(unit.put(&AGREED, &peer, &agreed)?)
    });
    filled.await.map_err(AppError::from).unwrap();
    let said = AgreementDecision {
        agreement_id: row.agreement.id,
        version: 1,
        accepted: true,
        reason: None,
        contact: None,
        signature: Some(OfficeSignature { signature: vec![1], chain: vec![vec![2]] }),
    };
    let said =
        Content { in_reply_to: Some(sent.id), step: 1, ..between(Some(sent.case), said.into()) };
    let mut origin = Stranger::of(ORIGIN);
    let (_, told) = origin.hands(&office, said, |_| {}, NOW).await;
    let field = Some("agreement_id".to_owned());
    assert_eq!(told, Outcome::Refused { reason: Reason::StateForbids, field });
    let kept = office.store.get(&AGREEMENT, &(row.agreement.id, 1)).unwrap().unwrap();
    assert!(kept.decision.is_none());
    origin.says(&office, content_between(5, Kind::CertificateInquiry, ORIGIN, HERE), NOW).await;
    assert_eq!(propose(terms).await.unwrap_err().reason(), Reason::StateForbids);
}
