//! A clerk's program: the office API with the answers that tests look at.

use domain::message::{Body, CheckContext, Content, Kind};
use domain::synthetic::{Messages, People};
use domain::time::Date;
use liangdi::cli::connect::{ConnectArgs, Office};
use tonic::Status;
use wire::content::content_to_pb;
use wire::pb::office as pb;

use super::{area, eventually_async, now};

/// Connects as soon as the node answers.
pub async fn connect(operator: &ConnectArgs) -> Office {
    eventually_async("the office API answers", || async { operator.open().await.ok() }).await
}

/// Synthetic messages from one county to another.
pub fn messages(seed: u64, from: &str, to: &str) -> Messages {
    let now = now();
    let people = People::new(seed, vec![area("410522"), area("440305")], Date::from_millis(now));
    Messages::new(people, CheckContext { from: area(from), to: area(to), now })
}

/// One message of a kind, as a clerk may send it: only the questions for a couple name a spouse.
pub fn message(seed: u64, from: &str, to: &str, kind: Kind) -> Content {
    let mut content = messages(seed, from, to).next(kind).unwrap();
    if let Body::BirthRegistrationInquiry(question) = &mut content.body {
        question.spouse_name = None;
    }
    content
}

/// Hands a message in; its track as the node gives it.
pub async fn send(
    office: &Office,
    to: &str,
    content: &Content,
    key: &str,
) -> Result<pb::SendMessageResponse, Status> {
    let request = pb::SendMessageRequest {
        to: to.to_owned(),
        content: Some(content_to_pb(content)),
        idempotency_key: key.to_owned(),
        expires_ms: 0,
    };
    office.messages().send_message(request).await.map(tonic::Response::into_inner)
}

/// Hands a message in as soon as the node knows how to seal for the other county.
pub async fn send_when_known(
    office: &Office,
    to: &str,
    content: &Content,
) -> pb::SendMessageResponse {
    eventually_async("the message is accepted", || async {
        match send(office, to, content, "").await {
            Ok(accepted) => Some(accepted),
            Err(status) if code(&status) == "PEER_CARD_MISSING" => None,
            Err(status) => panic!("refused: {status:?}"),
        }
    })
    .await
}

pub async fn track(office: &Office, id: &str) -> pb::Track {
    let request = pb::TrackMessageRequest { message_id: id.to_owned() };
    office.messages().track_message(request).await.unwrap().into_inner().track.unwrap()
}

/// Waits until a message stands there.
pub async fn reaches(office: &Office, id: &str, stage: pb::Stage) -> pb::Track {
    eventually_async(&format!("{id} is {stage:?}"), || async {
        let track = track(office, id).await;
        (track.stage() == stage).then_some(track)
    })
    .await
}

/// All messages of one direction, page by page.
pub async fn list(office: &Office, direction: pb::Direction) -> Vec<pb::Track> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListMessagesRequest {
            direction: direction.into(),
            peer: String::new(),
            page_size: 500,
            page_token,
            by_nodes: false,
        };
        let page = office.messages().list_messages(request).await.unwrap().into_inner();
        all.extend(page.messages);
        if page.next_page_token.is_empty() {
            return all;
        }
        page_token = page.next_page_token;
    }
}

pub async fn status(office: &Office) -> pb::GetStatusResponse {
    office.status().get_status(pb::GetStatusRequest {}).await.unwrap().into_inner()
}

/// The code of the catalogue in a status.
pub fn code(status: &Status) -> String {
    use tonic_types::StatusExt;
    let info = status.get_details_error_info();
    info.map(|info| info.reason).unwrap_or_default()
}

/// A synthetic person as a clerk enters her, who lives at an address in `residence`.
pub fn arrival(seed: u64, origin: &str, residence: &str) -> pb::RegisterArrivalRequest {
    let today = Date::from_millis(now());
    let mut people = People::new(seed, vec![area(origin)], today);
    let details = people.next().unwrap();
    let why = domain::purpose::Purpose::ResidenceRegistration;
    let reference = domain::person::PersonReference {
        document: details.document.clone(),
        name: details.name.clone(),
    };
    let person = pb::Person {
        document: wire_person(&reference, origin, residence).document,
        name: details.name.expose(&why).to_owned(),
        sex: i32::from(details.sex.number()),
        born_on: details.birth_date.to_string(),
        ..pb::Person::default()
    };
    let registration = pb::Registration {
        origin_area: origin.to_owned(),
        residence_area: residence.to_owned(),
        address: format!("梧桐路{}号甲楼", 100 + seed % 900),
        arrived_on: today.plus_days(-3).to_string(),
        ..pb::Registration::default()
    };
    pb::RegisterArrivalRequest {
        person: Some(person),
        registration: Some(registration),
        idempotency_key: String::new(),
        reason: "本人到窗口登记".to_owned(),
    }
}

/// The person of a message, as the wire has her.
fn wire_person(
    reference: &domain::person::PersonReference,
    from: &str,
    to: &str,
) -> wire::pb::message::PersonReference {
    let mut content = message(1, from, to, Kind::DepartureNotice);
    content.person = Some(reference.clone());
    content_to_pb(&content).person.unwrap()
}

/// Why a record is read, well stated.
pub fn access() -> pb::Access {
    pb::Access {
        basis: domain::purpose::LawfulBasis::StatutoryDuty.number().into(),
        purpose: domain::purpose::Purpose::ResidenceRegistration.number().into(),
    }
}

/// The state of a node, if it answers.
pub async fn status_of(operator: &ConnectArgs) -> Option<pb::GetStatusResponse> {
    let office = operator.open().await.ok()?;
    let status = office.status().get_status(pb::GetStatusRequest {}).await.ok()?;
    Some(status.into_inner())
}
