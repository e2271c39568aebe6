//! The access log: everything that is done with a person's record is in it, it can be taken away and verified by
//! anybody, and who reads too much is stopped and noticed.

use std::collections::BTreeSet;

use domain::access::Role;
use domain::message::Kind;
use domain::time::Date;
use liangdi::cli::connect::Office;
use wire::pb::message::{
    ConsentScope, IdentityDocument, MaritalStatus, RegistrationResult, Service,
};
use wire::pb::office as pb;

use crate::support::desk::Desk;
use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::{eventually_async, now, office};

const HOME: &str = "410522";
const AWAY: &str = "440305";
const PAGE: &str = include_str!("../../docs/roles.md");

/// Calls about persons, as docs/roles.md names them.
fn calls_about_persons() -> BTreeSet<String> {
    let about = |line: &&str| {
        ["reads", "changes", "exports"].iter().any(|w| line.contains(&format!("| {w} |")))
    };
    let name = |line: &str| line.trim_start_matches("| ").split(' ').next().unwrap().to_owned();
    PAGE.lines().filter(|line| line.contains("Service.")).filter(about).map(name).collect()
}

async fn entries(auditor: &Office, filter: pb::ListAccessRequest) -> Vec<pb::AccessRecord> {
    let request = pb::ListAccessRequest { page_size: 500, ..filter };
    auditor.audit().list_access(request).await.unwrap().into_inner().entries
}

/// Follows what clerks do, and sees that each call leaves an entry that says who, what, why and at whose record.
struct Follower {
    auditor: Office,
    seen: u64,
    called: BTreeSet<String>,
}

impl Follower {
    async fn did(&mut self, call: &str, action: &str) {
        self.did_by(("hua", "CLERK"), call, action).await;
    }

    async fn did_by(&mut self, who: (&str, &str), call: &str, action: &str) {
        let all = entries(&self.auditor, pb::ListAccessRequest::default()).await;
        let new: Vec<_> =
            all.iter().filter(|e| e.number > self.seen && e.operator != "eve").collect();
        let entry = new.iter().find(|e| e.action == action);
        let entry =
            entry.unwrap_or_else(|| panic!("{call} is not in the log as {action}: {new:?}"));
        assert_eq!((entry.operator.as_str(), entry.role.as_str()), who, "{call}");
        assert!(entry.purpose != 0 && entry.basis != 0 && entry.at_ms > 0, "{call}");
        assert_eq!(entry.person.len(), 64, "{call} names whose record");
        self.seen = all.first().unwrap().number;
        self.called.insert(call.to_owned());
    }
}

struct Desks {
    clerk: Office,
    follower: Follower,
    document: Option<IdentityDocument>,
}

async fn records(desks: &mut Desks) -> (pb::Person, pb::Registration) {
    let Desks { clerk, follower, document } = desks;
    let arrival = office::arrival(91, AWAY, HOME);
    *document = arrival.person.as_ref().unwrap().document.clone();
    let done = clerk.registrations().register_arrival(arrival).await.unwrap().into_inner();
    let (person, registration) = (done.person.unwrap(), done.registration.unwrap());
    follower.did("RegistrationService.RegisterArrival", "CREATE").await;
    let corrected = pb::ChangePersonRequest {
        person: Some(pb::Person {
            marital_status: MaritalStatus::NeverMarried.into(),
            at_risk: true,
            ..person.clone()
        }),
        seen_version: 1,
        reason: "补充".to_owned(),
    };
    let person = clerk.registrations().change_person(corrected).await.unwrap().into_inner().person;
    follower.did("RegistrationService.ChangePerson", "CHANGE").await;
    let changed = pb::ChangeRegistrationRequest {
        registration: Some(pb::Registration {
            address: "玉兰巷7号".to_owned(),
            ..registration.clone()
        }),
        seen_version: 1,
        reason: "搬迁".to_owned(),
    };
    clerk.registrations().change_registration(changed).await.unwrap();
    follower.did("RegistrationService.ChangeRegistration", "CHANGE").await;
    let get = pb::GetRegistrationRequest {
        registration_id: registration.registration_id.clone(),
        access: Some(office::access()),
    };
    clerk.registrations().get_registration(get).await.unwrap();
    follower.did("RegistrationService.GetRegistration", "VIEW").await;
    let find = pb::FindPersonRequest { document: document.clone(), access: Some(office::access()) };
    clerk.registrations().find_person(find).await.unwrap();
    follower.did("RegistrationService.FindPerson", "SEARCH").await;
    (person.unwrap(), registration)
}

async fn certificates(desks: &mut Desks, person: pb::Person) {
    let Desks { clerk, follower, document } = desks;
    let issue = pb::IssueCertificateRequest { person: Some(person.clone()), ..Default::default() };
    let issued = clerk.certificates().issue_certificate(issue).await.unwrap().into_inner();
    follower.did("CertificateService.IssueCertificate", "CREATE").await;
    let number = issued.certificate.unwrap().certificate_number;
    let verify = pb::VerifyCredentialRequest {
        credential: issued.credential.clone(),
        document: document.clone(),
    };
    assert!(clerk.certificates().verify_credential(verify).await.unwrap().into_inner().genuine);
    follower.did("CertificateService.VerifyCredential", "VIEW").await;
    let get = pb::GetCertificateRequest {
        certificate_number: number.clone(),
        access: Some(office::access()),
    };
    clerk.certificates().get_certificate(get).await.unwrap();
    follower.did("CertificateService.GetCertificate", "VIEW").await;
    let renew = pb::RenewCertificateRequest { certificate_number: number.clone(), seen_version: 1 };
    clerk.certificates().renew_certificate(renew).await.unwrap();
    follower.did("CertificateService.RenewCertificate", "CHANGE").await;
    let replace = pb::ReplaceCertificateRequest {
        certificate_number: number,
        seen_version: 2,
        reason: "遗失".to_owned(),
        cause: pb::ReplacementCause::Lost.into(),
        person: None,
    };
    let new = clerk.certificates().replace_certificate(replace).await.unwrap().into_inner();
    follower.did("CertificateService.ReplaceCertificate", "CHANGE").await;
    let new = new.certificate.unwrap();
    let revoke = pb::RevokeCertificateRequest {
        certificate_number: new.certificate_number,
        seen_version: new.change.unwrap().version,
        reason: "所载内容有误".to_owned(),
        cause: pb::RevocationCause::IssuedInError.into(),
    };
    clerk.certificates().revoke_certificate(revoke).await.unwrap();
    follower.did("CertificateService.RevokeCertificate", "CHANGE").await;
}

async fn consents(desks: &mut Desks) {
    let Desks { clerk, follower, document } = desks;
    let today = Date::from_millis(now());
    let consent = pb::Consent {
        scopes: vec![ConsentScope::Pregnancy.into()],
        recipient: AWAY.to_owned(),
        given_on: today.to_string(),
        valid_until: today.plus_days(30).to_string(),
        form: pb::ConsentForm::InPerson.into(),
        ..Default::default()
    };
    let record = pb::RecordConsentRequest { document: document.clone(), consent: Some(consent) };
    let given = clerk.consents().record_consent(record).await.unwrap().into_inner();
    follower.did("ConsentService.RecordConsent", "CREATE").await;
    let withdraw = pb::WithdrawConsentRequest {
        consent_id: given.consent.unwrap().consent_id,
        form: pb::ConsentForm::InPerson.into(),
    };
    clerk.consents().withdraw_consent(withdraw).await.unwrap();
    follower.did("ConsentService.WithdrawConsent", "CHANGE").await;
    let request = pb::RecordServiceRequestRequest {
        document: document.clone(),
        service_request: Some(pb::ServiceRequest {
            service: Service::try_from(1).unwrap().into(),
            requested_on: today.to_string(),
            recipient: AWAY.to_owned(),
            ..Default::default()
        }),
        person: None,
    };
    clerk.consents().record_service_request(request).await.unwrap();
    follower.did("ConsentService.RecordServiceRequest", "CREATE").await;
    let list =
        pb::ListConsentsRequest { document: document.clone(), access: Some(office::access()) };
    clerk.consents().list_consents(list).await.unwrap();
    follower.did("ConsentService.ListConsents", "SEARCH").await;
}

/// The person of the records is at risk; a supervisor lets the other county know all the same where she lives.
async fn release(desks: &mut Desks, supervisor: &Office) {
    let request = pb::ReleaseResidenceRequest {
        document: desks.document.clone(),
        to: AWAY.to_owned(),
        reason: "本人书面要求".to_owned(),
    };
    supervisor.agreements().release_residence(request).await.unwrap();
    let lan = ("lan", "SUPERVISOR");
    desks.follower.did_by(lan, "AgreementService.ReleaseResidence", "CHANGE").await;
}

async fn messages(desks: &mut Desks, away: &mut Node) {
    let Desks { clerk, follower, .. } = desks;
    let content = office::message(5, HOME, AWAY, Kind::DepartureNotice);
    let sent = office::send_when_known(clerk, AWAY, &content).await.message_id;
    follower.did("MessageService.SendMessage", "SEND").await;
    office::reaches(clerk, &sent, pb::Stage::Stored).await;
    let get = pb::GetMessageRequest { message_id: sent.clone(), access: Some(office::access()) };
    clerk.messages().get_message(get).await.unwrap();
    follower.did("MessageService.GetMessage", "VIEW").await;
    clerk.messages().export_evidence(pb::ExportEvidenceRequest { message_id: sent }).await.unwrap();
    follower.did("MessageService.ExportEvidence", "EXPORT").await;

    cases(clerk, follower).await;
    away.kill();
    let content = office::message(6, HOME, AWAY, Kind::DepartureNotice);
    let waits = office::send(clerk, AWAY, &content, "").await.unwrap().message_id;
    follower.did("MessageService.SendMessage", "SEND").await;
    let discard = pb::DiscardDeadLetterRequest {
        message_id: waits.clone(),
        reason: "重复".to_owned(),
        ..Default::default()
    };
    clerk.delivery().discard_dead_letter(discard).await.unwrap();
    follower.did("DeliveryService.DiscardDeadLetter", "DISCARD").await;
    let get =
        pb::GetDeadLetterRequest { message_id: waits.clone(), access: Some(office::access()) };
    clerk.delivery().get_dead_letter(get).await.unwrap();
    follower.did("DeliveryService.GetDeadLetter", "VIEW").await;
}

async fn cases(clerk: &Office, follower: &mut Follower) {
    let content = office::message(8, HOME, AWAY, Kind::BirthRegistrationInquiry);
    let person = wire::content::content_to_pb(&content).person;
    let ask = pb::AskForBirthRegistrationRequest {
        application_number: "SY-7".to_owned(),
        spouses: vec![pb::Spouse { person, origin: AWAY.to_owned() }],
        basis: 1,
        ..Default::default()
    };
    let asked = clerk.cases().ask_for_birth_registration(ask).await.unwrap().into_inner();
    follower.did("CaseService.AskForBirthRegistration", "SEND").await;
    let case = &asked.cases[0];
    let decide = pb::DecideBirthRegistrationRequest {
        case_id: case.case_id.clone(),
        result: RegistrationResult::Withdrawn.into(),
        decided_on: Date::from_millis(now()).to_string(),
        ..Default::default()
    };
    clerk.cases().decide_birth_registration(decide).await.unwrap();
    follower.did("CaseService.DecideBirthRegistration", "SEND").await;
    let show = pb::ShowCaseRequest { case_id: case.case_id.clone() };
    let shown = clerk.cases().show_case(show).await.unwrap().into_inner().case.unwrap();
    let void = wire::pb::message::Void { reason: "本人撤回申请。".to_owned() };
    let step = pb::TakeCaseStepRequest {
        case_id: shown.case_id,
        expected_version: shown.version,
        step: Some(pb::take_case_step_request::Step::Void(void)),
        ..Default::default()
    };
    clerk.cases().take_case_step(step).await.unwrap();
    follower.did("CaseService.TakeCaseStep", "SEND").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_with_a_record_is_in_the_log_with_who_what_and_why() {
    let network = Network::new();
    let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME]));
    home.start();
    away.start();
    let auditor = office::connect(&network.operator("eve", HOME, Role::Auditor)).await;
    let clerk = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let follower = Follower { auditor, seen: 0, called: BTreeSet::new() };
    let mut desks = Desks { clerk, follower, document: None };
    let (person, registration) = records(&mut desks).await;
    certificates(&mut desks, person).await;
    consents(&mut desks).await;
    let supervisor = office::connect(&network.operator("lan", HOME, Role::Supervisor)).await;
    release(&mut desks, &supervisor).await;
    messages(&mut desks, &mut away).await;
    let end = pb::EndRegistrationRequest {
        registration_id: registration.registration_id,
        state: pb::RegistrationState::Departed.into(),
        ended_on: Date::from_millis(now()).to_string(),
        seen_version: 2,
        ..Default::default()
    };
    desks.clerk.registrations().end_registration(end).await.unwrap();
    desks.follower.did("RegistrationService.EndRegistration", "CHANGE").await;

    // These need what other tests set up; they go through the same use cases.
    let elsewhere = [
        "BulkHandOverService.CarryOutBulkHandOver",
        "CertificateService.EndorseCertificate",
        "DeliveryService.ResendDeadLetter",
        "CaseService.ListOldCases",
        "ImportService.PutImportRows",
        "ImportService.FinishImport",
    ];
    let mut followed = desks.follower.called;
    followed.extend(elsewhere.map(str::to_owned));
    let missing: Vec<_> = calls_about_persons().difference(&followed).cloned().collect();
    assert!(missing.is_empty(), "nobody has seen these in the log: {missing:?}");
    home.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_taken_away_and_verified_with_the_root_alone() {
    let network = Network::new();
    let mut home = network.node(HOME, &[]);
    home.start();
    let clerk = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let arrival = office::arrival(7, AWAY, HOME);
    let document = arrival.person.as_ref().unwrap().document.clone();
    clerk.registrations().register_arrival(arrival).await.unwrap();
    let find = pb::FindPersonRequest { document: document.clone(), access: Some(office::access()) };
    for _ in 0..3 {
        clerk.registrations().find_person(find.clone()).await.unwrap();
    }
    let desk = Desk::of(&network, HOME, Role::Auditor);
    let listed = desk.json("audit list --operator hua --action search");
    assert_eq!(listed["entries"].as_array().unwrap().len(), 3);
    let person = listed["entries"][0]["person"].as_str().unwrap().to_owned();
    assert_eq!(
        desk.json(&format!("audit list --person {person}"))["entries"].as_array().unwrap().len(),
        4
    );
    let document = document.unwrap().number;
    let by_document = desk.json(&format!("audit list --document {document} --action create"));
    assert_eq!(by_document["entries"][0]["person"], person.as_str());
    assert_eq!(desk.json("audit list --operator nobody")["entries"].as_array().unwrap().len(), 0);
    let two = desk.json("audit list --operator hua --limit 2");
    let next = two["next_page_token"].as_str().unwrap();
    let rest = desk.json(&format!("audit list --operator hua --after {next}"));
    assert_eq!(rest["entries"].as_array().unwrap().len(), 2);

    let file = network.path("log.jsonl");
    desk.json(&format!("audit export --out {}", file.display()));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(&document), "no document is in the file");
    let root = network.path("root.pem");
    home.stop();
    let verify = |path: &std::path::Path, more: &str| {
        let line =
            format!("audit verify {} --root {} {more} --json", path.display(), root.display());
        crate::support::desk::run(&crate::support::desk::words(&line))
    };
    let ended = verify(&file, "");
    assert_eq!(ended.exit, 0, "{}", ended.err);
    let proven: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    let head = proven["head"].as_str().unwrap().to_owned();
    assert_eq!(proven["actions"]["CREATE"], 1);
    assert_eq!(verify(&file, &format!("--known {head}")).exit, 0);
    let other = format!("--known {}:{}", proven["entries"], "0".repeat(64));
    assert_eq!(verify(&file, &other).exit, 3);

    let altered = network.path("altered.jsonl");
    for (from, to) in [("\"hua\"", "\"huo\""), ("\"SEARCH\"", "\"VIEW\"")] {
        std::fs::write(&altered, text.replacen(from, to, 1)).unwrap();
        assert_eq!(verify(&altered, "").exit, 3, "{from}");
    }
    let lines: Vec<&str> = text.lines().collect();
    std::fs::write(&altered, lines[..lines.len() - 1].join("\n") + "\n").unwrap();
    assert_eq!(verify(&altered, "").exit, 3, "cut off");
    home.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_too_much_is_stopped_with_a_time_and_those_who_watch_are_told() {
    let network = Network::new();
    let mut home = network.node(HOME, &[]);
    home.limit("reads_per_hour = 7\nreads_usual_least = 1\nreads_unusual_times = 3");
    home.start();
    let clerk = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let other = office::connect(&network.operator("ai", HOME, Role::Clerk)).await;
    let supervisor = office::connect(&network.operator("wei", HOME, Role::Supervisor)).await;
    let arrival = office::arrival(7, AWAY, HOME);
    let document = arrival.person.as_ref().unwrap().document.clone();
    clerk.registrations().register_arrival(arrival).await.unwrap();
    let find = pb::FindPersonRequest { document, access: Some(office::access()) };
    let notices = async |office: &Office| {
        let request = pb::ListNoticesRequest::default();
        office.delivery().list_notices(request).await.unwrap().into_inner().notices
    };
    // The hour may end in the middle of it; then it begins anew.
    let refused = eventually_async("the limit is met", || async {
        clerk.registrations().find_person(find.clone()).await.err()
    })
    .await;
    assert_eq!(office::code(&refused), "READS_TOO_MANY");
    use tonic_types::StatusExt as _;
    let detail = refused.get_details_error_info().unwrap().metadata["detail"].clone();
    assert!(detail.contains(":00 +08:00"), "{detail}");
    let told = notices(&supervisor).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].kind(), pb::NoticeKind::UnusualReads);
    assert!(told[0].text_zh.contains("平常每日约1次"), "{}", told[0].text_zh);
    assert!(notices(&clerk).await.is_empty(), "who is watched is not told");
    other.registrations().find_person(find.clone()).await.unwrap();
    let reads = supervisor.audit().list_reads(pb::ListReadsRequest {}).await.unwrap().into_inner();
    assert_eq!(reads.per_hour, 7);
    let of = |name: &str| reads.operators.iter().find(|r| r.operator == name).unwrap().in_day;
    assert!(of("hua") >= 7 && of("ai") == 1);

    // A restart gives nobody a fresh hour.
    home.kill();
    home.start();
    let clerk = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let again = clerk.registrations().find_person(find).await;
    let hour = now().get() / 3_600_000;
    assert!(again.is_err() || now().get() / 3_600_000 != hour || detail.is_empty());
    home.never_panicked();
}
