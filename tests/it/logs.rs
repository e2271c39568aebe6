//! No personal data in logs at any level, and none readable on disk.

use domain::access::Role;
use domain::message::Kind;
use wire::pb::message::{ConsentScope, IdentityDocument};
use wire::pb::office as pb;

use crate::support::agreement;
use crate::support::desk::Desk;
use crate::support::network::Network;
use crate::support::office;
use crate::support::secrets::{Secrets, files, found_in};

const HOME: &str = "410522";
const AWAY: &str = "440305";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_about_a_person_is_in_logs_or_readable_on_disk() {
    let network = Network::new();
    let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME]));
    for node in [&mut home, &mut away] {
        node.verbosity = "trace";
        node.start();
    }
    let mut secrets = Secrets::default();
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;

    // Records: a registration, its change, a certificate, a consent; each read again.
    let mut arrival = office::arrival(77, HOME, AWAY);
    arrival.idempotency_key = "窗口三号第九十一件".to_owned();
    let person = arrival.person.clone().unwrap();
    let document = person.document.clone();
    secrets.person(&person);
    secrets.add("梧桐路");
    secrets.add("窗口三号");
    secrets.add("本人到窗口");
    let registered = at_away.registrations().register_arrival(arrival.clone()).await.unwrap();
    let registration = registered.into_inner().registration.unwrap();
    let changed = pb::ChangeRegistrationRequest {
        registration: Some(pb::Registration {
            address: "玉兰巷7号".to_owned(),
            certificate_number: String::new(),
            ..registration.clone()
        }),
        seen_version: 1,
        reason: "搬到楼上".to_owned(),
    };
    secrets.add("玉兰巷");
    secrets.add("搬到楼上");
    at_away.registrations().change_registration(changed).await.unwrap();
    let find = pb::FindPersonRequest { document: document.clone(), access: Some(office::access()) };
    at_away.registrations().find_person(find).await.unwrap();
    let issue = pb::IssueCertificateRequest {
        person: Some(pb::Person {
            marital_status: wire::pb::message::MaritalStatus::NeverMarried.into(),
            ..person.clone()
        }),
        idempotency_key: String::new(),
    };
    let issued = at_home.certificates().issue_certificate(issue).await.unwrap().into_inner();
    secrets.add(&issued.credential[4..60]);
    let verify =
        pb::VerifyCredentialRequest { credential: issued.credential, document: document.clone() };
    assert!(at_away.certificates().verify_credential(verify).await.unwrap().into_inner().genuine);
    let today = domain::time::Date::from_millis(crate::support::now());
    let consent = pb::RecordConsentRequest {
        document: document.clone(),
        consent: Some(pb::Consent {
            scopes: vec![ConsentScope::Pregnancy.into()],
            recipient: HOME.to_owned(),
            given_on: today.to_string(),
            valid_until: today.plus_days(30).to_string(),
            form: pb::ConsentForm::InPerson.into(),
            ..pb::Consent::default()
        }),
    };
    at_away.consents().record_consent(consent).await.unwrap();

    // Messages both ways.
    let mut last = String::new();
    let agreed = agreement::terms(&[Kind::Inquiry]);
    agreement::conclude(&network, (AWAY, HOME), "", &agreed).await;
    for (seed, kind) in
        [(5, Kind::ArrivalNotice), (6, Kind::BirthRegistrationInquiry), (7, Kind::Inquiry)]
    {
        let content = office::message(seed, AWAY, HOME, kind);
        let wire = wire::content::content_to_pb(&content);
        let about = wire.person.unwrap();
        secrets.add(&about.name);
        secrets.add(&about.document.unwrap().number);
        last = office::send_when_known(&at_away, HOME, &content).await.message_id;
        office::reaches(&at_away, &last, pb::Stage::Stored).await;
    }
    let get = pb::GetMessageRequest { message_id: last, access: Some(office::access()) };
    at_home.messages().get_message(get).await.unwrap();

    // What is refused is not repeated in the log either.
    let mut wrong = arrival.clone();
    let bad = wrong.person.as_mut().unwrap();
    bad.name = "错误\u{7}姓名〇".to_owned();
    bad.document = Some(IdentityDocument {
        number: "11010119000230123Z".to_owned(),
        ..document.clone().unwrap()
    });
    secrets.add("错误");
    secrets.add("11010119000230123Z");
    at_away.registrations().register_arrival(wrong).await.unwrap_err();
    arrival.registration.as_mut().unwrap().address = "另一个地址".to_owned();
    secrets.add("另一个地址");
    let conflict = at_away.registrations().register_arrival(arrival).await.unwrap_err();
    assert_eq!(office::code(&conflict), "CONFLICT");
    let mut summons = wire::content::content_to_pb(&office::message(8, AWAY, HOME, Kind::Inquiry));
    let Some(wire::pb::message::content::Body::Inquiry(inquiry)) = &mut summons.body else {
        panic!("an inquiry");
    };
    inquiry.question = "请当事人务必返回户籍地报到".to_owned();
    secrets.add("请当事人");
    let request = pb::SendMessageRequest {
        to: HOME.to_owned(),
        content: Some(summons),
        idempotency_key: String::new(),
        expires_ms: 0,
    };
    at_away.messages().send_message(request).await.unwrap_err();

    // What leaves the nodes: a backup of each, mail by file, the access log, indicators.
    for area in [HOME, AWAY] {
        Desk::of(&network, area, Role::Administrator).json("backup create");
        let auditor = Desk::of(&network, area, Role::Auditor);
        let dir = if area == HOME { &home.dir } else { &away.dir };
        auditor.json(&format!("audit export --out {}", dir.join("access.jsonl").display()));
        let supervisor = Desk::of(&network, area, Role::Supervisor);
        let file = dir.join("indicators.csv");
        supervisor.json(&format!("indicator show 2026 --out {}", file.display()));
        let to = if area == HOME { AWAY } else { HOME };
        let bundle = dir.join("mail.bundle");
        Desk::at(&network, area)
            .json(&format!("bundle export --to {to} --out {}", bundle.display()));
    }

    let secrets = secrets.finder();
    // One stops in order, one is killed and recovers: neither leaves a trace.
    away.kill();
    away.start();
    let home_log = home.dir.join("log");
    for node in [&mut home, &mut away] {
        assert!(node.stop().success());
        node.never_panicked();
        assert!(node.log().contains("\"TRACE\""), "the test has looked at a log of everything");
        assert!(!node.log().contains("sled::"), "the engine prints rows");
        let mut control = Secrets::default();
        control.add("安阳");
        assert!(found_in(&control.finder(), &home_log).is_some(), "what is there is found");
        let all = files(&node.dir);
        assert!(all.iter().any(|path| path.ends_with("store/db/db")) || all.len() > 5, "{all:?}");
        let found: Vec<_> = all.iter().filter_map(|path| found_in(&secrets, path)).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
