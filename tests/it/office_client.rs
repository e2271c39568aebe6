//! A clerk's program in another language, written against nothing but the reflection of the office API.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use domain::access::Role;
use domain::time::Date;
use serde_json::{Value, json};
use trust::name::{CertificateName, Suffix};

use crate::support::network::Network;
use crate::support::{area, now, office};

const HERE: &str = "440305";
const THERE: &str = "410522";

/// What the program has to know of an office.
fn given(network: &Network, code: &str) -> Value {
    let connect = network.operator("python", code, Role::Clerk);
    let name = CertificateName::Node(area(code)).to_dns(&Suffix::default()).unwrap();
    json!({
        "address": connect.office, "name": name, "area": code,
        "cert": connect.cert, "key": connect.key, "root": connect.root,
    })
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn a_program_in_another_language_registers_sends_answers_lists_and_is_told_what_is_wrong() {
    let network = Network::new();
    let (mut here, mut there) = (network.node(HERE, &[THERE]), network.node(THERE, &[HERE]));
    here.start();
    there.start();
    let arrival = office::arrival(71, THERE, HERE);
    let person = arrival.person.unwrap();
    let document = person.document.unwrap();
    let whole = json!({
        "here": given(&network, HERE), "there": given(&network, THERE),
        "today": Date::from_millis(now()).to_string(),
        // Sixteen bytes in base 64.
        "registration_id": "AZAAAAAAcACAAAAAAAAAAA==",
        "person": {
            "document": { "kind": document.kind, "number": document.number },
            "name": person.name, "sex": person.sex, "born_on": person.born_on,
        },
    });
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut program = Command::new(root.join(".ci/tool"))
        .arg("python")
        .arg(root.join("tests/interop/office_client.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    program.stdin.take().unwrap().write_all(whole.to_string().as_bytes()).unwrap();
    let ended = program.wait_with_output().unwrap();
    assert!(ended.status.success());
    let saw: Value = serde_json::from_slice(&ended.stdout).unwrap();

    let services = texts(&saw["services"]);
    for service in ["MessageService", "RegistrationService", "CaseService", "IndicatorService"] {
        assert!(
            services.contains(&format!("liangdi.office.v1.{service}").as_str()),
            "{services:?}"
        );
    }
    assert_eq!(saw["registered"]["registration"]["originArea"], THERE);
    assert_eq!(saw["same"], true, "a repeated call gives the first outcome");
    assert_eq!(
        (&saw["listed"]["kind"], &saw["listed"]["from"]),
        (&json!("ArrivalNotice"), &json!(HERE))
    );
    assert!(!saw["listed"]["dueOn"].as_str().unwrap().is_empty(), "{saw}");
    assert_eq!(saw["read"]["residenceArea"], HERE);
    assert_eq!(saw["back"]["kind"], "ArrivalFeedback");

    let wrong = &saw["wrong_fields"];
    assert_eq!(wrong["code"], "INVALID_ARGUMENT", "{wrong}");
    let fields = texts(&wrong["fields"]);
    assert!(fields.len() >= 3, "everything that is wrong is told at once: {fields:?}");
    for part in ["document.number", "name", "born_on"] {
        assert!(fields.iter().any(|field| field.ends_with(part)), "{part}: {fields:?}");
    }
    let chinese = |text: &&str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    assert!(texts(&wrong["texts"]).iter().any(chinese), "{wrong}");
    assert_eq!(saw["no_basis"]["reason"], "BASIS_REQUIRED", "{saw}");
    let missing = &saw["no_such_message"];
    assert_eq!((&missing["code"], &missing["reason"]), (&json!("NOT_FOUND"), &json!("NOT_FOUND")));
    let role = &saw["wrong_role"];
    assert_eq!(
        (&role["code"], &role["reason"]),
        (&json!("PERMISSION_DENIED"), &json!("ROLE_REQUIRED"))
    );
    assert_ne!(saw["not_agreed"]["reason"], "", "{saw}");
    here.never_panicked();
    there.never_panicked();
}
