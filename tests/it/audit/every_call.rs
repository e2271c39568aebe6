//! Every call about a person leaves its entry in the access log: who, what, why and at whose record.

use std::collections::BTreeSet;

use domain::access::Role;
use domain::message::Kind;
use domain::time::Date;
use liangdi::cli::connect::Office;
use wire::pb::message::{
    ConsentScope, IdentityDocument, MaritalStatus, RegistrationResult, Service, TransferCause,
};
use wire::pb::office as pb;

use crate::support::desk::Desk;
use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::{eventually_async, now, office};

const HOME: &str = "410522";
const AWAY: &str = "440305";
const PAGE: &str = include_str!("../../../docs/roles.md");

/// Need two versions of one message; their entries are looked for where that is brought about, in `reconcile_troubles` and
/// `reconcile_versions`.
const SEEN_ELSEWHERE: [&str; 2] =
    ["ReconcileService.DecideDifference", "ReconcileService.GetDecision"];

/// Calls about persons, as docs/roles.md names them.
fn calls_about_persons() -> BTreeSet<String> {
    let about = |line: &&str| {
        ["reads", "changes", "exports", "follows"]
            .iter()
            .any(|w| line.contains(&format!("| {w} |")))
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
        self.left(who, call, action, true).await;
    }

    /// What shows no person, or what is sealed: it leaves its entry all the same.
    async fn followed(&mut self, who: (&str, &str), call: &str, action: &str) {
        self.left(who, call, action, false).await;
    }

    async fn left(&mut self, who: (&str, &str), call: &str, action: &str, named: bool) {
        let all = entries(&self.auditor, pb::ListAccessRequest::default()).await;
        let new: Vec<_> =
            all.iter().filter(|e| e.number > self.seen && e.operator != "eve").collect();
        let entry = new.iter().find(|e| e.action == action);
        let entry =
            entry.unwrap_or_else(|| panic!("{call} is not in the log as {action}: {new:?}"));
        assert_eq!((entry.operator.as_str(), entry.role.as_str()), who, "{call}");
        assert!(entry.purpose != 0 && entry.basis != 0 && entry.at_ms > 0, "{call}");
        assert!(entry.person.len() == 64 || !named, "{call} names whose record");
        self.seen = all.first().unwrap().number;
        self.called.insert(call.to_owned());
    }
}

struct Desks {
    clerk: Office,
    follower: Follower,
    document: Option<IdentityDocument>,
    /// A consent that was withdrawn.
    consent: String,
}

async fn records(desks: &mut Desks) -> (pb::Person, pb::Registration) {
    let Desks { clerk, follower, document, .. } = desks;
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
    let Desks { clerk, follower, document, .. } = desks;
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
    follower.did("CertificateService.GetCertificate", "PRINT").await;
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
    let Desks { clerk, follower, document, consent: withdrawn } = desks;
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
    *withdrawn = given.consent.unwrap().consent_id;
    let withdraw = pb::WithdrawConsentRequest {
        consent_id: withdrawn.clone(),
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
    let asked = clerk.consents().record_service_request(request).await.unwrap().into_inner();
    follower.did("ConsentService.RecordServiceRequest", "CREATE").await;
    let withdraw = pb::WithdrawServiceRequestRequest {
        request_id: asked.service_request.unwrap().request_id,
        form: pb::ConsentForm::InPerson.into(),
    };
    clerk.consents().withdraw_service_request(withdraw).await.unwrap();
    follower.did("ConsentService.WithdrawServiceRequest", "CHANGE").await;
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
    desks.follower.did_by(lan, "AgreementService.ReleaseResidence", "RELEASE").await;
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

/// Who looks only at the way of messages and at cases sees no person, and is in the log all the same.
async fn follows(desks: &mut Desks, lan: &Office) {
    let follower = &mut desks.follower;
    let who = ("lan", "SUPERVISOR");
    let list = pb::ListMessagesRequest::default();
    let messages = lan.messages().list_messages(list).await.unwrap().into_inner().messages;
    follower.followed(who, "MessageService.ListMessages", "FOLLOW").await;
    let message_id = messages[0].message_id.clone();
    let track = || pb::TrackMessageRequest { message_id: message_id.clone() };
    lan.messages().track_message(track()).await.unwrap();
    follower.did_by(who, "MessageService.TrackMessage", "FOLLOW").await;
    lan.messages().track_message(track()).await.unwrap();
    lan.messages().list_todo(pb::ListTodoRequest::default()).await.unwrap();
    follower.followed(who, "MessageService.ListTodo", "FOLLOW").await;
    let which = pb::CaseList::All.into();
    let list = pb::ListCasesRequest { which, ..Default::default() };
    let cases = lan.cases().list_cases(list).await.unwrap().into_inner().cases;
    follower.followed(who, "CaseService.ListCases", "FOLLOW").await;
    let show = pb::ShowCaseRequest { case_id: cases[0].case_id.clone() };
    lan.cases().show_case(show).await.unwrap();
    follower.did_by(who, "CaseService.ShowCase", "FOLLOW").await;
    let list = pb::ListDeadLettersRequest::default();
    lan.delivery().list_dead_letters(list).await.unwrap();
    follower.followed(who, "DeliveryService.ListDeadLetters", "FOLLOW").await;
    let cases = pb::ListIndicatorCasesRequest {
        period: Date::from_millis(now()).year().to_string(),
        indicator: "SUBMISSION".to_owned(),
        area: HOME.to_owned(),
        ..Default::default()
    };
    // Whatever it answers, somebody has asked.
    let _asked = lan.indicators().list_indicator_cases(cases).await.is_ok();
    follower.followed(who, "IndicatorService.ListIndicatorCases", "FOLLOW").await;
    let withdrawal =
        pb::GetWithdrawalRequest { consent_id: desks.consent.clone(), request_id: String::new() };
    lan.agreements().get_withdrawal(withdrawal).await.unwrap();
    follower.did_by(who, "AgreementService.GetWithdrawal", "FOLLOW").await;
}

/// What leaves the node as a file, sealed or not.
async fn files(desks: &mut Desks, network: &Network) {
    let follower = &mut desks.follower;
    let keeper = Desk::of(network, HOME, Role::Administrator);
    keeper.json("backup create");
    let who = ("alice", "ADMINISTRATOR");
    follower.followed(who, "UpkeepService.CreateBackup", "EXPORT").await;
    let file = network.path("home.bundle").display().to_string();
    keeper.json(&format!("bundle export --to {AWAY} --out {file}"));
    follower.followed(who, "BundleService.ExportBundle", "EXPORT").await;
    let auditor = Desk::of(network, HOME, Role::Auditor);
    auditor.json("audit list");
    let who = ("alice", "AUDITOR");
    follower.followed(who, "AuditService.ListAccess", "SEARCH").await;
    let file = network.path("home.jsonl").display().to_string();
    auditor.json(&format!("audit export --out {file}"));
    follower.followed(who, "AuditService.ExportAccess", "EXPORT").await;
}

/// Somebody else's certificate is checked; rows of a file become records; a letter that died is sent again.
async fn the_rest(desks: &mut Desks, network: &Network, registration_id: &str, person: pb::Person) {
    let Desks { clerk, follower, .. } = desks;
    let away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let issue = pb::IssueCertificateRequest { person: Some(person), ..Default::default() };
    let issued = away.certificates().issue_certificate(issue).await.unwrap().into_inner();
    let endorse = pb::EndorseCertificateRequest {
        registration_id: registration_id.to_owned(),
        credential: issued.credential,
        ..Default::default()
    };
    clerk.certificates().endorse_certificate(endorse).await.unwrap();
    follower.did("CertificateService.EndorseCertificate", "CREATE").await;
    for (dry_run, action) in [(true, "SEARCH"), (false, "CREATE")] {
        let arrival = office::arrival(133, AWAY, HOME);
        let begin = pb::BeginImportRequest {
            kind: 1,
            file_sha256: "ab".repeat(32),
            dry_run,
            ..Default::default()
        };
        let begun = clerk.imports().begin_import(begin).await.unwrap().into_inner().import;
        let import_id = begun.unwrap().import_id;
        let row = pb::ImportRow {
            line: 2,
            person: arrival.person,
            registration: arrival.registration,
            ..Default::default()
        };
        let put =
            pb::PutImportRowsRequest { import_id: import_id.clone(), batch: 1, rows: vec![row] };
        let put = clerk.imports().put_import_rows(put).await.unwrap().into_inner();
        assert!(put.findings.is_empty(), "{:?}", put.findings);
        follower.followed(("hua", "CLERK"), "ImportService.PutImportRows", action).await;
        if dry_run {
            continue;
        }
        let finish = pb::FinishImportRequest { import_id: import_id.clone() };
        clerk.imports().finish_import(finish).await.unwrap();
        eventually_async("the rows are records", || async {
            let get = pb::GetImportRequest { import_id: import_id.clone() };
            let import = clerk.imports().get_import(get).await.unwrap().into_inner().import;
            (import.unwrap().state() == pb::ImportState::Done).then_some(())
        })
        .await;
        follower.did("ImportService.FinishImport", "CREATE").await;
    }
}

/// Whoever looks for old cases of somebody who has none has looked, too.
async fn old_cases(desks: &mut Desks) {
    let Desks { clerk, follower, document, .. } = desks;
    let list =
        pb::ListOldCasesRequest { document: document.clone(), access: Some(office::access()) };
    clerk.cases().list_old_cases(list).await.unwrap();
    follower.did("CaseService.ListOldCases", "SEARCH").await;
}

/// A list of cases that two supervisors have approved is carried out, whatever becomes of each case.
async fn many(desks: &mut Desks, network: &Network) {
    let Desks { clerk, follower, .. } = desks;
    let by = |name: &str| network.operator(name, HOME, Role::Supervisor);
    let (first, second) = (office::connect(&by("lan")).await, office::connect(&by("dan")).await);
    let list = pb::ListCasesRequest { which: pb::CaseList::All.into(), ..Default::default() };
    let cases = clerk.cases().list_cases(list).await.unwrap().into_inner().cases;
    let case_ids: Vec<String> = cases.into_iter().take(1).map(|case| case.case_id).collect();
    let propose = pb::ProposeBulkHandOverRequest {
        to: AWAY.to_owned(),
        cause: TransferCause::OfficeChanged.into(),
        reason: "机构调整".to_owned(),
        case_ids: case_ids.clone(),
        days: 1,
    };
    let proposed = first.bulk_hand_overs().propose_bulk_hand_over(propose).await.unwrap();
    let pb::BulkHandOver { bulk_id, digest, .. } = proposed.into_inner().bulk.unwrap();
    let decide = pb::DecideBulkHandOverRequest { bulk_id: bulk_id.clone(), digest, approve: true };
    second.bulk_hand_overs().decide_bulk_hand_over(decide).await.unwrap();
    let carry_out = pb::CarryOutBulkHandOverRequest { bulk_id, to: AWAY.to_owned(), case_ids };
    clerk.bulk_hand_overs().carry_out_bulk_hand_over(carry_out).await.unwrap();
    let who = ("hua", "CLERK");
    follower.followed(who, "BulkHandOverService.CarryOutBulkHandOver", "HAND_OVER").await;
}

/// A letter that lost its purpose while the other county was away is sent again.
async fn resend(desks: &mut Desks) {
    let Desks { clerk, follower, .. } = desks;
    let content = office::message(7, HOME, AWAY, Kind::DepartureNotice);
    let request = pb::SendMessageRequest {
        to: AWAY.to_owned(),
        content: Some(wire::content::content_to_pb(&content)),
        expires_ms: now().get() + 1_500,
        ..Default::default()
    };
    let sent = clerk.messages().send_message(request).await.unwrap().into_inner().message_id;
    follower.did("MessageService.SendMessage", "SEND").await;
    office::reaches(clerk, &sent, pb::Stage::Expired).await;
    let again = pb::ResendDeadLetterRequest { message_id: sent, ..Default::default() };
    clerk.delivery().resend_dead_letter(again).await.unwrap();
    follower.did("DeliveryService.ResendDeadLetter", "SEND").await;
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
    let mut desks = Desks { clerk, follower, document: None, consent: String::new() };
    let (person, registration) = records(&mut desks).await;
    certificates(&mut desks, person.clone()).await;
    consents(&mut desks).await;
    let supervisor = office::connect(&network.operator("lan", HOME, Role::Supervisor)).await;
    release(&mut desks, &supervisor).await;
    the_rest(&mut desks, &network, &registration.registration_id, person).await;
    messages(&mut desks, &mut away).await;
    resend(&mut desks).await;
    follows(&mut desks, &supervisor).await;
    files(&mut desks, &network).await;
    let end = pb::EndRegistrationRequest {
        registration_id: registration.registration_id,
        state: pb::RegistrationState::Departed.into(),
        ended_on: Date::from_millis(now()).to_string(),
        seen_version: 2,
        ..Default::default()
    };
    desks.clerk.registrations().end_registration(end).await.unwrap();
    desks.follower.did("RegistrationService.EndRegistration", "CHANGE").await;

    old_cases(&mut desks).await;
    many(&mut desks, &network).await;
    let erase = pb::ErasePersonRequest {
        document: desks.document.clone(),
        preview: true,
        ..Default::default()
    };
    desks.clerk.registrations().erase_person(erase).await.unwrap();
    desks.follower.did("RegistrationService.ErasePerson", "SEARCH").await;

    let mut followed = desks.follower.called;
    followed.extend(SEEN_ELSEWHERE.map(str::to_owned));
    let missing: Vec<_> = calls_about_persons().difference(&followed).cloned().collect();
    assert!(missing.is_empty(), "nobody has seen these in the log: {missing:?}");
    home.never_panicked();
}
