//! What two counties agree on, and what becomes of it when she takes her consent back.

use domain::area::AreaCode;
use domain::purpose::{LawfulBasis, Purpose};
use tokio::time::{Duration, Instant};
use wire::pb::office::{AgreementState, GetAgreementRequest};
use wire::pb::{message, office};

use super::super::cast::Cast;
use super::super::step::{Broken, Held, Outcome, call, ensure};
use super::speech::between;
use crate::cli::exit::Failure;

/// What nodes tell each other by themselves they tell within this time.
const WITHIN: Duration = Duration::from_secs(30);
/// How often somebody looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The residence county proposes, the origin county accepts; both nodes have signed the same lines.
pub(super) async fn conclude(cast: &Cast) -> Outcome<()> {
    let (here, there) =
        (cast.supervisor(cast.residence).await?, cast.supervisor(cast.origin).await?);
    let kinds = ["PregnancyReport", "ContraceptionReport", "ServiceReferral", "OutflowNotice"];
    let terms = message::AgreementProposal {
        kinds: kinds.map(str::to_owned).to_vec(),
        purposes: [Purpose::HealthService, Purpose::ResidenceRegistration]
            .map(|purpose| u32::from(purpose.number()))
            .to_vec(),
        valid_from: cast.today.to_string(),
        valid_until: cast.today.plus_years(1).to_string(),
        retention_months: 24,
        ask_once_days: 30,
        notice_days: 30,
        contact: "南山区卫生健康局 值班室".to_owned(),
        ..message::AgreementProposal::default()
    };
    let request = office::ProposeAgreementRequest {
        to: cast.origin.to_string(),
        agreement_id: String::new(),
        terms: Some(terms),
    };
    let proposed = here.agreements().propose_agreement(request).await;
    let proposed = proposed.map_err(call(cast.residence))?.into_inner();
    let agreement_id = proposed.agreement.unwrap_or_default().agreement_id;
    let wanted = AgreementState::Proposed;
    let read = until(cast, cast.origin, &agreement_id, wanted).await?;
    let decision = office::DecideAgreementRequest {
        agreement_id: agreement_id.clone(),
        version: read.version,
        accepted: true,
        reason: String::new(),
        contact: "安阳县卫生健康委 值班室".to_owned(),
    };
    let decided = there.agreements().decide_agreement(decision).await;
    decided.map_err(call(cast.origin))?;
    let agreed = until(cast, cast.residence, &agreement_id, AgreementState::Agreed).await?;
    let known = until(cast, cast.origin, &agreement_id, AgreementState::Agreed).await?;
    ensure(agreed.signed_text == known.signed_text && !known.signed_text.is_empty(), || {
        "the two counties have signed different lines".to_owned()
    })?;
    let (lines, took) =
        (agreed.signed_text.lines().count(), between(agreed.proposed_ms, agreed.decided_ms));
    Ok(Held::new(
        (),
        format!(
            "协议 {agreement_id}：{took} 毫秒内提议、同意、双方签署同一文本（{lines} 行）；未列入的种类一律不发"
        ),
        format!(
            "agreement {agreement_id}: proposed, accepted and the same {lines} lines signed by both nodes within {took} ms; what it does not list does not pass"
        ),
    ))
}

/// Looks until an agreement stands where it should.
async fn until(
    cast: &Cast,
    area: AreaCode,
    id: &str,
    wanted: AgreementState,
) -> Result<office::Agreement, Broken> {
    let office = cast.supervisor(area).await?;
    let started = Instant::now();
    loop {
        let request = GetAgreementRequest { agreement_id: id.to_owned() };
        let kept = office.agreements().get_agreement(request).await;
        let newest = kept.ok().and_then(|kept| kept.into_inner().versions.pop());
        match newest {
            Some(agreement) if agreement.state() == wanted => return Ok(agreement),
            _ if started.elapsed() > WITHIN => {
                let what = format!("the agreement {id} is {wanted:?} at {area}");
                return Err(Broken::Late { what, area, log: cast.network.log_tail(area) });
            }
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// She takes her consent back: the other county deletes what came under it, and says so.
pub(super) async fn withdraw(cast: &Cast, consent: &str) -> Outcome<()> {
    let clerk = cast.clerk(cast.residence).await?;
    let before = cast.received(cast.origin).await?;
    let request = office::WithdrawConsentRequest {
        consent_id: consent.to_owned(),
        form: i32::from(office::ConsentForm::InPerson),
    };
    clerk.consents().withdraw_consent(request).await.map_err(call(cast.residence))?;
    let started = Instant::now();
    let done = loop {
        let request = office::GetWithdrawalRequest {
            consent_id: consent.to_owned(),
            request_id: String::new(),
        };
        let spread = clerk.agreements().get_withdrawal(request).await;
        let spread = spread.map_err(call(cast.residence))?.into_inner().spread;
        match spread.first() {
            Some(at) if at.acknowledged_ms > 0 => break at.clone(),
            _ if started.elapsed() > WITHIN => {
                return Err(Broken::NotSo("nobody says that it is deleted".to_owned()));
            }
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    };
    let reports = before
        .iter()
        .filter(|t| ["PregnancyReport", "ContraceptionReport"].contains(&t.kind.as_str()));
    let over_there = cast.clerk(cast.origin).await?;
    let mut gone = 0;
    for track in reports {
        let access = office::Access {
            basis: i32::from(LawfulBasis::StatutoryDuty.number()),
            purpose: i32::from(Purpose::HealthService.number()),
        };
        let (message_id, access) = (track.message_id.clone(), Some(access));
        let request = office::GetMessageRequest { message_id, access };
        let Err(refusal) = over_there.messages().get_message(request).await else {
            return Err(Broken::NotRefused("reading what was withdrawn"));
        };
        let code = Failure::from(refusal).told.code;
        ensure(code == "CONSENT_WITHDRAWN", || format!("refused with {code}"))?;
        gone += 1;
    }
    ensure(gone > 0, || "there was nothing to delete".to_owned())?;
    let took = between(done.since_ms, done.acknowledged_ms);
    let county = cast.origin;
    Ok(Held::new(
        (),
        format!(
            "{took} 毫秒后 {county} 确认已删除；{gone} 份通报在对方已无内容，摘要与回执仍可证明"
        ),
        format!(
            "{county} has said after {took} ms that it is deleted; {gone} messages have no content left there, and their digests and receipts still prove them"
        ),
    ))
}
