//! A clerk's day, typed: two offices and the command line, nothing else.

use std::path::Path;

use domain::access::Role;
use liangdi::cli::connect::ConnectArgs;
use serde_json::Value;

use super::support::desk::{Desk, run, words};
use super::support::eventually;
use super::support::network::Network;

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}")).to_owned()
}

const DOCUMENT: &str = "--document 41052219900307234X --check-confirmed";
const PERSON: &str = "--document 41052219900307234X --check-confirmed --name 王芳";
const LOOK: &str = "--basis statutory-duty --purpose verification";

#[test]
fn a_case_from_the_certificate_to_the_evidence_is_typed_by_two_clerks() {
    let network = Network::new();
    let (mut home, mut away) =
        (network.node("410522", &["440305"]), network.node("440305", &["410522"]));
    home.start();
    away.start();
    let (origin, residence) = (Desk::at(&network, "410522"), Desk::at(&network, "440305"));
    let root = network.path("root.pem").display().to_string();

    let issued = origin.json(&format!("certificate issue {PERSON} --marital-status never-married"));
    let number = text_of(&issued["certificate"]["certificate_number"]);
    let code = network.path("code.txt");
    std::fs::write(&code, text_of(&issued["credential"])).unwrap();
    let picture = network.path("code.svg");
    let shown =
        origin.text(&format!("certificate show {number} {LOOK} --svg {}", picture.display()));
    assert!(shown.contains("有效") && shown.contains('▀'), "{shown}");
    assert!(std::fs::read_to_string(&picture).unwrap().contains("<svg"));

    let code = code.display();
    let offline = run(&words(&format!(
        "certificate verify --credential-file {code} {DOCUMENT} --root {root}"
    )));
    assert_eq!(offline.exit, 0, "{}", offline.err);
    let arrived = residence.json(&format!(
        "registration arrive {PERSON} --origin 410522 --residence 440305001 --address 南海大道1号 \
         --arrived-on 2026-01-05 --certificate {number}"
    ));
    let registration = text_of(&arrived["registration"]["registration_id"]);
    let endorsed = residence.json(&format!(
        "certificate endorse --registration {registration} --credential-file {code}"
    ));
    assert_eq!(endorsed["endorsement"]["result"], "VALID");

    let notice = residence_notice(&residence, &registration);
    let todo = origin.json("message todo");
    assert_eq!(todo["messages"][0]["message_id"], notice.as_str());
    let read = origin.text(&format!("message show {notice} {LOOK}"));
    assert!(read.contains("王芳") && read.contains("流入通报"), "{read}");
    origin.json(&format!("message answer {notice} --set outcome=confirmed"));
    eventually("the notice is answered", || {
        let track = residence.json(&format!("message track {notice}"));
        (track["stage"] == "ANSWERED").then_some(())
    });
    assert_eq!(origin.json("message todo")["messages"], Value::Array(Vec::new()));
    let report = format!("message send PregnancyReport --to 410522 {PERSON} --basis consent");
    let basis = residence.refused(&report, 3);
    assert_eq!(basis["code"], "BASIS_REQUIRED");
    assert_eq!(basis["retry_helps"], false);
    assert!(!text_of(&basis["advice_zh"]).is_empty());
    evidence_holds(&residence, &notice, &network.path("notice.evidence"), &root);
    assert_eq!(origin.json("peer list")[0]["area"], "440305");
    assert_eq!(origin.json("status")["serving"], true);
    assert!(home.stop().success() && away.stop().success());
}

/// Sends the notice and waits until it lies in the origin area.
fn residence_notice(residence: &Desk, registration: &str) -> String {
    let sent = residence.json(&format!(
        "message send ArrivalNotice --to 410522 {PERSON} --basis own-application \
         --set registration_id={registration} --set arrived_on=2026-01-05 --set reason=work"
    ));
    let notice = text_of(&sent["message_id"]);
    eventually("the notice is stored", || {
        let track = residence.json(&format!("message track {notice}"));
        (track["stage"] == "STORED").then_some(())
    });
    notice
}

fn evidence_holds(desk: &Desk, message: &str, file: &Path, root: &str) {
    let file = file.display().to_string();
    desk.json(&format!("message evidence {message} --out {file}"));
    let proven = run(&words(&format!("evidence verify {file} --root {root} --json")));
    assert_eq!(proven.exit, 0, "{}", proven.err);
    let proven: Value = serde_json::from_str(&proven.out).unwrap();
    assert_eq!(proven["message_id"], message);
    assert_eq!(proven["answered"]["outcome"], "STORED");
    assert_eq!(proven["answered"]["by"]["area"], "410522");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let changed = run(&words(&format!("evidence verify {file} --root {root}")));
    assert_eq!(changed.exit, 3, "{}{}", changed.out, changed.err);
}

#[test]
fn what_does_not_work_says_why_and_ends_with_its_code() {
    let network = Network::new();
    let mut node = network.node("410522", &["440305"]);
    node.start();
    let clerk = Desk::at(&network, "410522");
    // The other office has never been up, so nothing can be sealed for it.
    let pregnancy = format!("message send PregnancyReport --to 440305 {PERSON} --basis consent");
    assert_eq!(clerk.refused(&pregnancy, 3)["code"], "PEER_CARD_MISSING");
    let id = clerk.refused(&format!("person find --document 4105 {LOOK}"), 3);
    assert_eq!(id["fields"][0]["field"], "document.number");
    let nobody = format!("person find {DOCUMENT} {LOOK}");
    assert_eq!(clerk.refused(&nobody, 5)["code"], "NOT_FOUND");
    // An auditor reads proofs, not persons.
    let auditor = Desk { connect: network.operator("bob", "410522", Role::Auditor) };
    assert_eq!(auditor.refused(&nobody, 3)["code"], "ROLE_REQUIRED");
    // The operator of another county is not let in, and hears so.
    let office = clerk.connect.office.clone();
    let stranger = network.operator("eve", "440305", Role::Clerk);
    let stranger = Desk { connect: ConnectArgs { office, ..stranger } };
    assert_eq!(stranger.refused("status", 3)["code"], "WRONG_AREA");
    stranger.refused("status --area 410522", 3);
    assert_eq!(clerk.refused("status --area 440305", 3)["code"], "WRONG_AREA");
    let config = node.dir.join("liangdi.toml").display().to_string();
    let busy = run(&words(&format!("store check --config {config}")));
    assert_eq!(busy.exit, 1, "the store belongs to the running node: {}", busy.err);
    assert!(node.stop().success());
    let down = clerk.refused("status", 4);
    assert_eq!(down["retry_helps"], true);
    for verb in ["check", "compact", "check"] {
        let done = run(&words(&format!("store {verb} --config {config} --json")));
        assert_eq!(done.exit, 0, "{verb}: {}", done.err);
    }
    node.never_panicked();
}
