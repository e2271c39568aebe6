//! Birth registration of a couple at the command line: one or two origins are asked, nothing is decided before all have
//! answered, a refusal has written reasons, and every origin is told.

use domain::access::Role;
use domain::message::Kind;
use domain::purpose::Purpose;
use domain::time::Date;
use serde_json::Value;

use crate::support::desk::Desk;
use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::{eventually, now, office};

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
    let (name, number) = named(seed, origin);
    format!("--spouse {origin},{name},{number}")
}

/// Name and number of a spouse.
fn named(seed: u64, origin: &str) -> (String, String) {
    let content = office::message(seed, RESIDENCE, origin, Kind::BirthRegistrationInquiry);
    let person = content.person.unwrap();
    let why = Purpose::BirthRegistration;
    (person.name.expose(&why).to_owned(), person.document.expose(&why).to_owned())
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
    let page = world.desks[1].by_the_page(wife, &format!("answer {ANSWER}"));
    world.desks[1].json(&page);
    world.stage(0, wife, "ANSWERED");
    // What a colleague types who has the page of before: nothing is done, and she is told why. Without any page neither.
    let late = world.desks[1].refused(&page, 3);
    assert_eq!(late["code"], "STALE_EDIT", "{late}");
    assert!(!late["advice_zh"].as_str().unwrap().is_empty(), "{late}");
    let blind = world.desks[1].refused(&format!("case close {wife}"), 2);
    assert_eq!(blind["code"], "FIELD_REQUIRED", "{blind}");
    assert!(blind["fields"][0]["field"].as_str().unwrap().contains("--seen-version"), "{blind}");
    let registered = format!("birth-registration decide {wife} --result registered");
    let error = desk.refused(&registered, 3);
    assert_eq!(error["code"], "STATE_FORBIDS", "the husband's origin has not answered");

    world.stage(2, husband, "ASKED");
    world.desks[2].step(husband, &format!("answer {ANSWER}"));
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
    world.desks[1].step(&case, &format!("answer {ANSWER}"));
    world.stage(0, &case, "ANSWERED");
    let refuse = format!("birth-registration decide {case} --result refused");
    assert_eq!(desk.refused(&refuse, 3)["code"], "REASON_TEXT_REQUIRED");
    desk.json(&format!("{refuse} --reason 申请材料与户籍地记录不一致，已书面告知。"));
    world.told(1, &case);
    let nobody = format!("birth-registration ask --application SY-2026-9 {}", spouse(7, RESIDENCE));
    assert_eq!(desk.refused(&nobody, 3)["code"], "INVALID_FIELD", "nobody to ask elsewhere");
    world.ends_well();
}

#[test]
fn the_papers_start_a_clock_that_both_sides_show() {
    let world = World::new();
    let [desk, ..] = world.desks.as_slice() else { unreachable!() };
    let today = Date::from_millis(now());
    let (papers_on, (name, number)) = (today.plus_days(-3), named(11, WIFE));
    let recorded = desk.json(&format!(
        "request record --service birth-registration --document {number} --name {name} \
         --recipient {WIFE} --requested-on {papers_on}"
    ));
    let waiting = || desk.json("message todo")["applications"].clone();
    assert_eq!(waiting()[0]["request_id"], recorded["service_request"]["request_id"]);
    assert_eq!(waiting()[0]["papers_on"], papers_on.to_string());
    assert_eq!(waiting()[0]["late"], false);
    let ask = format!("birth-registration ask --application SY-2026-9 {}", spouse(11, WIFE));
    let error = desk.refused(&format!("{ask} --papers-on {}", today.plus_days(2)), 3);
    assert_eq!(error["code"], "DATE_IN_FUTURE");
    let case = ids(&desk.json(&ask)).remove(0);
    assert_eq!(waiting().as_array().map(Vec::len), Some(0), "it is off the list");
    let here = desk.json(&format!("case show {case}"));
    let there = world.stage(1, &case, "ASKED");
    for field in ["papers_on", "ask_due_on", "asked_late"] {
        assert_eq!(here[field], there[field], "{field}");
    }
    assert_eq!(here["papers_on"], papers_on.to_string());
    assert_eq!(here["asked_late"], false);
    // The result has its day once the origin has answered, and only where it is owed.
    assert_eq!(here["result_due_on"], "");
    world.desks[1].step(&case, &format!("answer {ANSWER}"));
    let answered = world.stage(0, &case, "ANSWERED");
    assert_ne!(answered["result_due_on"], "");
    assert_eq!(world.stage(1, &case, "ANSWERED")["result_due_on"], "");
    world.ends_well();
}
