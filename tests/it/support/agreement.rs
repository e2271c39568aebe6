//! Two counties conclude an agreement, as their supervisors would.

use domain::access::Role;
use domain::message::Kind;
use domain::purpose::Purpose;
use domain::time::Date;
use liangdi::cli::connect::Office;
use wire::pb::message::AgreementProposal;
use wire::pb::office::{
    Agreement, AgreementState, DecideAgreementRequest, GetAgreementRequest, ProposeAgreementRequest,
};

use super::network::Network;
use super::{eventually_async, now, office};

/// Terms that list these kinds, whole, for every purpose.
pub fn terms(kinds: &[Kind]) -> AgreementProposal {
    let today = Date::from_millis(now());
    AgreementProposal {
        kinds: kinds.iter().map(|kind| kind.name().to_owned()).collect(),
        purposes: Purpose::ALL.iter().map(|purpose| u32::from(purpose.number())).collect(),
        valid_from: today.to_string(),
        valid_until: today.plus_days(300).to_string(),
        retention_months: 36,
        ask_once_days: 0,
        notice_days: 0,
        contact: "值班电话 0372-1234567".to_owned(),
        ..AgreementProposal::default()
    }
}

pub async fn supervisor(network: &Network, county: &str) -> Office {
    office::connect(&network.operator("eve", county, Role::Supervisor)).await
}

/// Proposes; the agreement's id. Waits until the other county can be sealed for.
pub async fn propose(
    office: &Office,
    to: &str,
    agreement_id: &str,
    terms: &AgreementProposal,
) -> Agreement {
    eventually_async("the proposal is accepted", || async {
        let request = ProposeAgreementRequest {
            to: to.to_owned(),
            agreement_id: agreement_id.to_owned(),
            terms: Some(terms.clone()),
        };
        match office.agreements().propose_agreement(request).await {
            Ok(proposed) => proposed.into_inner().agreement,
            Err(status) if office::code(&status) == "PEER_CARD_MISSING" => None,
            Err(status) => panic!("refused: {status:?}"),
        }
    })
    .await
}

/// Waits until the newest version stands there.
pub async fn reaches(office: &Office, id: &str, state: AgreementState) -> Agreement {
    eventually_async(&format!("the agreement is {state:?}"), || async {
        let request = GetAgreementRequest { agreement_id: id.to_owned() };
        let kept = office.agreements().get_agreement(request).await.ok()?.into_inner();
        kept.versions.into_iter().next_back().filter(|newest| newest.state() == state)
    })
    .await
}

pub async fn decide(office: &Office, read: &Agreement, reason: &str) -> Agreement {
    let request = DecideAgreementRequest {
        agreement_id: read.agreement_id.clone(),
        version: read.version,
        accepted: reason.is_empty(),
        reason: reason.to_owned(),
        contact: String::new(),
    };
    // Mail may be here before the card of whoever sent it.
    eventually_async("the decision is accepted", || async {
        match office.agreements().decide_agreement(request.clone()).await {
            Ok(decided) => decided.into_inner().agreement,
            Err(status) if office::code(&status) == "PEER_CARD_MISSING" => None,
            Err(status) => panic!("refused: {status:?}"),
        }
    })
    .await
}

/// Concludes an agreement between two counties whose nodes run; both have it in force when this returns.
pub async fn conclude(
    network: &Network,
    (from, to): (&str, &str),
    agreement_id: &str,
    terms: &AgreementProposal,
) -> Agreement {
    let (here, there) = (supervisor(network, from).await, supervisor(network, to).await);
    let proposed = propose(&here, to, agreement_id, terms).await;
    let id = &proposed.agreement_id;
    let read = eventually_async("the proposal has come", || async {
        let request = GetAgreementRequest { agreement_id: id.clone() };
        let kept = there.agreements().get_agreement(request).await.ok()?.into_inner();
        kept.versions.into_iter().find(|version| version.version == proposed.version)
    })
    .await;
    decide(&there, &read, "").await;
    reaches(&here, id, AgreementState::Agreed).await
}
