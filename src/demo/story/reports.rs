//! Messages and their answers: the arrival, and what may only go with her consent.

use domain::id::{ConsentId, MessageId, RegistrationId};
use domain::purpose::{LawfulBasis, Purpose};
use wire::pb::message::content::Body;
use wire::pb::{message, office};

use super::super::cast::Cast;
use super::super::step::{Broken, Held, Outcome, call, ensure};
use super::records::Issued;
use super::speech::{between, short};
use crate::cli::exit::Failure;

/// Months from now in which a birth is expected.
const EXPECTED_IN_DAYS: i32 = 150;

/// The body of an arrival notice.
pub(super) fn arrival_body(
    registration: &office::Registration,
    certificate: &str,
) -> Result<Body, Broken> {
    let id: RegistrationId = parsed(&registration.registration_id)?;
    Ok(Body::ArrivalNotice(message::ArrivalNotice {
        registration_id: id.as_bytes().to_vec(),
        arrived_on: registration.arrived_on.clone(),
        residence_area: registration.residence_area.clone(),
        reason: registration.reason,
        certificate_number: certificate.to_owned(),
    }))
}

fn parsed<T: std::str::FromStr>(id: &str) -> Result<T, Broken> {
    id.parse()
        .map_err(|_| Broken::NotSo(format!("the node named something by {id}, which is no id")))
}

/// The residence county tells the origin county. Its value is the message's id.
pub(super) async fn notice(
    cast: &Cast,
    issued: &Issued,
    registration: &office::Registration,
) -> Outcome<String> {
    let body = arrival_body(registration, &issued.number)?;
    let content = cast.about_her(LawfulBasis::StatutoryDuty, Purpose::ResidenceRegistration);
    let content = message::Content { body: Some(body), ..content };
    let sent = cast.send(cast.residence, cast.origin, content).await?;
    let id = sent.message_id;
    let stored = cast.until(cast.residence, &id, office::Stage::Stored).await?;
    let there = cast.received(cast.origin).await?;
    let copies: Vec<_> = there.iter().filter(|track| track.message_id == id).collect();
    let [copy] = copies.as_slice() else {
        return Err(Broken::NotSo(format!("{} of {id} at the other side", copies.len())));
    };
    ensure(copy.digest == stored.digest, || "another digest at the other side".to_owned())?;
    let took = between(stored.created_ms, stored.stored_ms);
    let digest = short(&stored.digest).to_owned();
    Ok(Held::new(
        id.clone(),
        format!("{id}：{took} 毫秒后对方落盘并签回执；两地摘要相同 {digest}…"),
        format!(
            "{id}: on the other side's disk after {took} ms by its signed receipt; the same digest on both sides {digest}…"
        ),
    ))
}

/// The origin county finds it on its desk, opens it and answers.
pub(super) async fn feedback(cast: &Cast, notice: &str) -> Outcome<()> {
    let office = cast.clerk(cast.origin).await?;
    let todo = || async {
        let page = office.messages().list_todo(office::ListTodoRequest::default()).await;
        let page = page.map_err(call(cast.origin))?.into_inner();
        Ok::<_, Broken>(page.messages.into_iter().find(|track| track.message_id == notice))
    };
    let desk = todo().await?;
    let due = desk.map(|track| track.due_on);
    let due = due.ok_or_else(|| Broken::NotSo("the notice is on nobody's desk".to_owned()))?;
    let body = Body::ArrivalFeedback(message::ArrivalFeedback {
        outcome: i32::from(message::ArrivalOutcome::Confirmed),
        ..message::ArrivalFeedback::default()
    });
    let answer = answer(cast, notice, Purpose::ResidenceRegistration, body).await?;
    ensure(todo().await?.is_none(), || "the notice is still on the desk".to_owned())?;
    let (_, content) = cast.open(cast.residence, &answer, Purpose::ResidenceRegistration).await?;
    let confirmed = |body: &message::ArrivalFeedback| {
        body.outcome == i32::from(message::ArrivalOutcome::Confirmed)
    };
    ensure(matches!(&content.body, Some(Body::ArrivalFeedback(b)) if confirmed(b)), || {
        "the answer that came is not the one that was given".to_owned()
    })?;
    Ok(Held::new(
        (),
        format!("待办中取出（期限 {due}），答复 {answer} 已到；双方均见已答复"),
        format!(
            "taken from the to-do list (due {due}), answered by {answer}; both sides see it as answered"
        ),
    ))
}

/// Opens a message at the origin county, answers it, and waits until the residence county has the answer.
async fn answer(cast: &Cast, asked: &str, purpose: Purpose, body: Body) -> Result<String, Broken> {
    let (opened, question) = cast.open(cast.origin, asked, purpose).await?;
    ensure(opened.opened_ms > 0, || "it is not marked as opened".to_owned())?;
    let id: MessageId = parsed(asked)?;
    let case: MessageId = parsed(&opened.case_id)?;
    let content = message::Content {
        case_id: case.as_bytes().to_vec(),
        in_reply_to: id.as_bytes().to_vec(),
        body: Some(body),
        ..question
    };
    let sent = cast.send(cast.origin, cast.residence, content).await?;
    let answered = cast.until(cast.residence, asked, office::Stage::Answered).await?;
    ensure(answered.answered_by == sent.message_id, || "another message answered it".to_owned())?;
    cast.until(cast.origin, &sent.message_id, office::Stage::Stored).await?;
    Ok(sent.message_id)
}

/// A report that goes with her consent, and its answer.
async fn with_consent(cast: &Cast, consent: &str, body: Body, feedback: Body) -> Outcome<()> {
    let consent: ConsentId = parsed(consent)?;
    let consent = message::ConsentReference {
        consent_id: consent.as_bytes().to_vec(),
        ..message::ConsentReference::default()
    };
    let content = cast.about_her(LawfulBasis::Consent, Purpose::HealthService);
    let content = message::Content { consent: Some(consent), body: Some(body), ..content };
    let sent = cast.send(cast.residence, cast.origin, content).await?;
    let stored = cast.until(cast.residence, &sent.message_id, office::Stage::Stored).await?;
    let reply = answer(cast, &sent.message_id, Purpose::HealthService, feedback).await?;
    let took = between(stored.created_ms, stored.stored_ms);
    let id = sent.message_id;
    Ok(Held::new(
        (),
        format!("{id}：{took} 毫秒后对方落盘，两端节点都核对了同意；答复 {reply}"),
        format!(
            "{id}: on the other side's disk after {took} ms, the consent checked by both nodes; answered by {reply}"
        ),
    ))
}

/// About her pregnancy, with her consent.
pub(super) async fn pregnancy(cast: &Cast, consent: &str) -> Outcome<()> {
    let feedback = Body::PregnancyFeedback(message::PregnancyFeedback {
        outcome: i32::from(message::FeedbackOutcome::ServiceArranged),
        services_arranged: vec![i32::from(message::Service::AntenatalCare)],
        note: String::new(),
    });
    with_consent(cast, consent, pregnancy_body(cast), feedback).await
}

fn pregnancy_body(cast: &Cast) -> Body {
    let month = cast.today.plus_days(EXPECTED_IN_DAYS);
    Body::PregnancyReport(message::PregnancyReport {
        expected_month: format!("{:04}-{:02}", month.year(), month.month_of_year()),
        services_wanted: vec![i32::from(message::Service::AntenatalCare)],
        note: String::new(),
    })
}

/// About a service she received, with her consent.
pub(super) async fn contraception(cast: &Cast, consent: &str) -> Outcome<()> {
    let feedback = Body::ContraceptionFeedback(message::ContraceptionFeedback {
        outcome: i32::from(message::FeedbackOutcome::Recorded),
        ..message::ContraceptionFeedback::default()
    });
    with_consent(cast, consent, contraception_body(cast), feedback).await
}

fn contraception_body(cast: &Cast) -> Body {
    Body::ContraceptionReport(message::ContraceptionReport {
        method: i32::from(message::ContraceptiveMethod::Condom),
        served_on: cast.today.plus_days(-1).to_string(),
        services_wanted: vec![i32::from(message::Service::ContraceptiveCare)],
        note: String::new(),
    })
}

/// Neither kind goes without her consent, on no basis; nothing is written and nothing leaves.
pub(super) async fn without_consent(cast: &Cast) -> Outcome<()> {
    let before = (cast.ledger(cast.residence).await?, cast.ledger(cast.origin).await?);
    let clerk = cast.clerk(cast.residence).await?;
    for body in [pregnancy_body(cast), contraception_body(cast)] {
        for basis in [LawfulBasis::Consent, LawfulBasis::ServiceRequest, LawfulBasis::StatutoryDuty]
        {
            let content = cast.about_her(basis, Purpose::HealthService);
            let request = office::SendMessageRequest {
                to: cast.origin.to_string(),
                content: Some(message::Content { body: Some(body.clone()), ..content }),
                ..office::SendMessageRequest::default()
            };
            let Err(refusal) = clerk.messages().send_message(request).await else {
                return Err(Broken::NotRefused("a report without her consent"));
            };
            let code = Failure::from(refusal).told.code;
            ensure(code == "BASIS_REQUIRED", || {
                format!("refused on the basis {} with \"{code}\", not BASIS_REQUIRED", basis.code())
            })?;
        }
    }
    let after = (cast.ledger(cast.residence).await?, cast.ledger(cast.origin).await?);
    ensure(before == after, || "a ledger has grown".to_owned())?;
    Ok(Held::new(
        (),
        "两种通报、三种依据，全部以 BASIS_REQUIRED 拒绝；两地台账均未增加",
        "both kinds on each of three bases: BASIS_REQUIRED every time; neither ledger has grown",
    ))
}
