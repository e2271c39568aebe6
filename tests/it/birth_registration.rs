//! Birth registration of a couple at the command line: one or two origins are asked, nothing is decided before all have
//! answered, a refusal has written reasons, and every origin is told.

use domain::access::Role;
use domain::message::Kind;
use domain::purpose::Purpose;
use serde_json::Value;

use crate::support::desk::Desk;
use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::{eventually, office};

const RESIDENCE: &str = "440305";
const WIFE: &str = "410522";
const HUSBAND: &str = "411528";

struct World {
    nodes: Vec<Node>,
    desks: Vec<Desk>,
    _network: Network,
}

impl World {
    fn new() -> Self {
        let network = Network::new();
        let all = [RESIDENCE, WIFE, HUSBAND];
        let mut nodes: Vec<Node> = all
            .iter()
            .map(|own| {
                let others: Vec<_> = all.iter().copied().filter(|other| other != own).collect();
                network.node(own, &others)
            })
            .collect();
        nodes.iter_mut().for_each(Node::start);
        let desks = all.iter().map(|area| Desk::of(&network, area, Role::Clerk)).collect();
        Self { nodes, desks, _network: network }
    }

    /// The case, once it is there and fits.
    fn shows(&self, at: usize, case: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually("the case stands as it should", || {
            let ended = self.desks[at].run(&format!("case show {case} --json"));
            let shown: Value = serde_json::from_str(&ended.out).ok()?;
            fits(&shown).then_some(shown)
        })
    }

    fn stage(&self, at: usize, case: &str, stage: &str) -> Value {
        self.shows(at, case, |shown| shown["stage"] == stage)
    }

    fn told(&self, at: usize, case: &str) {
        let result = |step: &Value| step["kind"] == "BirthRegistrationResult";
        self.shows(at, case, |shown| shown["steps"].as_array().unwrap().iter().any(result));
    }

    fn ends_well(self) {
        self.nodes.iter().for_each(Node::never_panicked);
    }
}

/// A spouse as a clerk types it.
fn spouse(seed: u64, origin: &str) -> String {
    let content = office::message(seed, RESIDENCE, origin, Kind::BirthRegistrationInquiry);
    let person = content.person.unwrap();
    let why = Purpose::BirthRegistration;
    let (name, number) = (person.name.expose(&why), person.document.expose(&why));
    format!("--spouse {origin},{name},{number}")
}

fn ids(asked: &Value) -> Vec<String> {
    let cases = asked["cases"].as_array().unwrap();
    cases.iter().map(|case| case["case_id"].as_str().unwrap().to_owned()).collect()
}

const ANSWER: &str = "--set outcome=confirmed";

#[test]
fn both_origins_are_asked_answer_and_are_told() {
    let world = World::new();
    let [desk, ..] = world.desks.as_slice() else { unreachable!() };
    let couple = format!("{} {}", spouse(3, WIFE), spouse(4, HUSBAND));
    let ask = format!(
        "birth-registration ask --application SY-2026-7 --married-on 2024-05-01 {couple} --idempotency-key c7"
    );
    let asked = desk.json(&ask);
    let cases = ids(&asked);
    assert_eq!(cases, ids(&desk.json(&ask)), "a repeated call asks nobody again");
    let [wife, husband] = cases.as_slice() else { panic!("both or neither: {asked}") };
    assert_eq!(asked["cases"][0]["due_on"], asked["cases"][1]["due_on"]);
    let shown = desk.json(&format!("case show {wife}"));
    assert_eq!(shown["together"][0], husband.as_str());

    // One answer is not enough.
    world.stage(1, wife, "ASKED");
    world.desks[1].json(&format!("case answer {wife} {ANSWER}"));
    world.stage(0, wife, "ANSWERED");
    let registered = format!("birth-registration decide {wife} --result registered");
    let error = desk.refused(&registered, 3);
    assert_eq!(error["code"], "STATE_FORBIDS", "the husband's origin has not answered");

    world.stage(2, husband, "ASKED");
    world.desks[2].json(&format!("case answer {husband} {ANSWER}"));
    world.stage(0, husband, "ANSWERED");
    let error = desk.refused(&format!("birth-registration decide {wife} --result refused"), 3);
    assert_eq!(error["code"], "REASON_TEXT_REQUIRED", "{error}");
    let told = desk.json(&registered);
    assert_eq!(ids(&told).len(), 2);
    world.told(1, wife);
    world.told(2, husband);
    world.ends_well();
}

#[test]
fn a_couple_with_one_origin_is_refused_with_written_reasons_only() {
    let world = World::new();
    let [desk, ..] = world.desks.as_slice() else { unreachable!() };
    // The husband's household is registered here: nobody else is asked about him.
    let couple = format!("{} {}", spouse(5, WIFE), spouse(6, RESIDENCE));
    let asked = desk.json(&format!("birth-registration ask --application SY-2026-8 {couple}"));
    let [case] = ids(&asked).try_into().unwrap_or_else(|all| panic!("one case: {all:?}"));
    world.stage(1, &case, "ASKED");
    world.desks[1].json(&format!("case answer {case} {ANSWER}"));
    world.stage(0, &case, "ANSWERED");
    let refuse = format!("birth-registration decide {case} --result refused");
    assert_eq!(desk.refused(&refuse, 3)["code"], "REASON_TEXT_REQUIRED");
    desk.json(&format!("{refuse} --reason 申请材料与户籍地记录不一致，已书面告知。"));
    world.told(1, &case);
    let nobody = format!("birth-registration ask --application SY-2026-9 {}", spouse(7, RESIDENCE));
    assert_eq!(desk.refused(&nobody, 3)["code"], "INVALID_FIELD", "nobody to ask elsewhere");
    world.ends_well();
}
