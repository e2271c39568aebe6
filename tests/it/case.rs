//! Cases between real nodes: asked, clarified, answered and closed; handed over, also when the holder is killed in the middle.

use domain::access::Role;
use domain::message::Kind;
use liangdi::cli::connect::Office;
use tonic::Status;
use wire::content::content_to_pb;
use wire::pb::message;
use wire::pb::office as pb;
use wire::pb::office::take_case_step_request::Step;
use wire::pb::office::{CaseList, CaseStage};

use crate::support::desk::Desk;
use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::{eventually_async, office};

/// Residence, origin, a third county.
const COUNTIES: [&str; 3] = ["440305", "410522", "411528"];

struct World {
    nodes: Vec<Node>,
    clerks: Vec<Office>,
    network: Network,
}

impl World {
    async fn new() -> Self {
        let network = Network::new();
        let mut nodes: Vec<Node> = COUNTIES
            .iter()
            .map(|own| {
                let others = COUNTIES.iter().copied().filter(|other| other != own);
                network.node(own, &others.collect::<Vec<_>>())
            })
            .collect();
        nodes.iter_mut().for_each(Node::start);
        let mut clerks = Vec::new();
        for county in COUNTIES {
            clerks.push(office::connect(&network.operator("clerk", county, Role::Clerk)).await);
        }
        Self { nodes, clerks, network }
    }

    /// The residence asks the origin; the case, once both have it.
    async fn ask(&self, seed: u64) -> String {
        let kind = Kind::BirthRegistrationInquiry;
        let content = office::message(seed, COUNTIES[0], COUNTIES[1], kind);
        let case = office::send_when_known(&self.clerks[0], COUNTIES[1], &content).await.case_id;
        self.reaches(1, &case, CaseStage::Asked).await;
        case
    }

    async fn see(&self, at: usize, case: &str) -> Result<pb::Case, Status> {
        let request = pb::ShowCaseRequest { case_id: case.to_owned() };
        let shown = self.clerks[at].cases().show_case(request).await?;
        Ok(shown.into_inner().case.unwrap())
    }

    async fn shows(&self, at: usize, case: &str, what: impl Fn(&pb::Case) -> bool) -> pb::Case {
        eventually_async(&format!("{} has it", COUNTIES[at]), || async {
            self.see(at, case).await.ok().filter(|case| what(case))
        })
        .await
    }

    async fn reaches(&self, at: usize, case: &str, stage: CaseStage) -> pb::Case {
        self.shows(at, case, |case| case.stage() == stage).await
    }

    /// Takes a step on the newest page, as soon as the node knows how to seal for the other county.
    async fn take(&self, at: usize, case: &str, step: Step) -> Result<pb::Case, Status> {
        eventually_async("the other county is known", || async {
            let version = match self.see(at, case).await {
                Ok(case) => case.version,
                Err(status) => return Some(Err(status)),
            };
            let taken = self.take_seeing(at, case, version, step.clone()).await;
            let unknown = |status: &Status| office::code(status) == "PEER_CARD_MISSING";
            if taken.as_ref().is_err_and(unknown) { None } else { Some(taken) }
        })
        .await
    }

    async fn take_seeing(
        &self,
        at: usize,
        case: &str,
        expected_version: u64,
        step: Step,
    ) -> Result<pb::Case, Status> {
        let request = pb::TakeCaseStepRequest {
            case_id: case.to_owned(),
            expected_version,
            idempotency_key: String::new(),
            step: Some(step),
        };
        let taken = self.clerks[at].cases().take_case_step(request).await?;
        Ok(taken.into_inner().case.unwrap())
    }

    async fn refused(&self, at: usize, case: &str, step: Step) -> String {
        office::code(&self.take(at, case, step).await.unwrap_err())
    }

    async fn list(&self, at: usize, which: CaseList) -> Vec<String> {
        let request = pb::ListCasesRequest { which: which.into(), ..Default::default() };
        let page = self.clerks[at].cases().list_cases(request).await.unwrap().into_inner();
        page.cases.into_iter().map(|case| case.case_id).collect()
    }

    fn ends_well(mut self) {
        for node in &mut self.nodes {
            node.never_panicked();
        }
    }
}

fn statement() -> Step {
    let reason = "原始档案尚未归档，无法核实。".to_owned();
    let outcome = message::StatementOutcome::CannotVerify.into();
    let body = message::BirthRegistrationStatement { outcome, reason, ..Default::default() };
    let body = Some(message::content::Body::BirthRegistrationStatement(body));
    Step::Answer(message::Content { body, ..Default::default() })
}

fn offer(to: &str) -> Step {
    let cause = message::TransferCause::PersonMoved.into();
    Step::HandOver(pb::OfferCase { to: to.to_owned(), cause, until_ms: 0 })
}

fn close() -> Step {
    Step::Close(message::Close { note: String::new() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_is_clarified_answered_and_closed_and_a_stale_page_does_nothing() {
    let world = World::new().await;
    let case = world.ask(1).await;
    assert_eq!(world.list(1, CaseList::Ours).await, [case.as_str()]);
    assert_eq!(world.list(0, CaseList::Theirs).await, [case.as_str()]);
    let verify = || Step::Verify(pb::VerifyCase {});
    assert_eq!(world.refused(1, &case, verify()).await, "STATE_FORBIDS", "not paired yet");
    let pair = || Step::Pair(pb::Pairing::One.into());
    assert_eq!(world.refused(0, &case, pair()).await, "NOT_HOLDER", "the origin pairs");
    let seen = world.see(1, &case).await.unwrap().version;
    world.take(1, &case, pair()).await.unwrap();
    assert!(world.take(1, &case, verify()).await.unwrap().verified);
    // A colleague's page from before the pairing.
    let stale = world.take_seeing(1, &case, seen, statement()).await.unwrap_err();
    assert_eq!(office::code(&stale), "STALE_EDIT");
    assert_eq!(world.see(1, &case).await.unwrap().stage(), CaseStage::Asked);

    let question = "请补充配偶的户籍地。".to_owned();
    world.take(1, &case, Step::Clarify(message::Clarify { question })).await.unwrap();
    for at in [0, 1] {
        let paused = world.reaches(at, &case, CaseStage::Clarifying).await;
        assert!(paused.paused_ms > 0 && paused.turn == COUNTIES[0]);
    }
    let todo = pb::ListTodoRequest::default();
    let todo = world.clerks[1].messages().list_todo(todo).await.unwrap().into_inner();
    assert!(todo.messages.is_empty(), "the clock stands still");
    assert_eq!(world.list(0, CaseList::Ours).await, [case.as_str()]);
    let answer = Step::Clarification("配偶户籍地为深圳市。".to_owned());
    world.take(0, &case, answer).await.unwrap();
    let mut due = Vec::new();
    for at in [0, 1] {
        let asked = world.reaches(at, &case, CaseStage::Asked).await;
        assert_eq!(asked.paused_ms, 0);
        due.push(asked.due_on);
    }
    assert!(due[0] == due[1] && !due[0].is_empty(), "both sides count alike: {due:?}");

    assert_eq!(world.refused(0, &case, close()).await, "STATE_FORBIDS", "nobody has answered");
    // "Cannot verify" is an answer that counts.
    world.take(1, &case, statement()).await.unwrap();
    world.reaches(0, &case, CaseStage::Answered).await;
    office::reaches(&world.clerks[0], &case, pb::Stage::Answered).await;
    world.take(0, &case, close()).await.unwrap();
    world.reaches(1, &case, CaseStage::Closed).await;
    assert_eq!(world.refused(1, &case, statement()).await, "CASE_CLOSED");
    assert!(world.list(1, CaseList::Ours).await.is_empty());
    world.ends_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_person_moves_again_and_nobody_asks_twice() {
    let world = World::new().await;
    let case = world.ask(2).await;
    world.take(0, &case, offer(COUNTIES[2])).await.unwrap();
    let offered = world.reaches(2, &case, CaseStage::Offered).await;
    assert_eq!(offered.hand_over.unwrap().from, COUNTIES[0]);
    world.take(2, &case, Step::Accept(pb::AcceptCase {})).await.unwrap();
    let joined = world.reaches(2, &case, CaseStage::Asked).await;
    assert_eq!((joined.asking.as_str(), joined.ours()), (COUNTIES[2], message::Seat::Asking));
    world.shows(1, &case, |case| case.asking == COUNTIES[2]).await;
    let left = world.see(0, &case).await.unwrap();
    assert_eq!(left.ours(), message::Seat::Unspecified);
    assert_eq!(world.refused(0, &case, close()).await, "NOT_HOLDER");
    // The origin answers once, to the county where the person lives now.
    world.take(1, &case, statement()).await.unwrap();
    world.reaches(2, &case, CaseStage::Answered).await;
    world.take(2, &case, close()).await.unwrap();
    world.reaches(1, &case, CaseStage::Closed).await;
    world.ends_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_over_outlives_kill_minus_nine_and_an_offer_can_be_withdrawn() {
    let mut world = World::new().await;
    let case = world.ask(3).await;
    // Withdrawn before it was accepted.
    world.take(1, &case, offer(COUNTIES[2])).await.unwrap();
    world.reaches(2, &case, CaseStage::Offered).await;
    world.take(1, &case, Step::Withdraw(pb::WithdrawCase {})).await.unwrap();
    world.shows(2, &case, |case| state(case) == pb::OfferState::Withdrawn).await;
    let accept = || Step::Accept(pb::AcceptCase {});
    assert_eq!(world.refused(2, &case, accept()).await, "HAND_OVER_LAPSED");

    world.take(1, &case, offer(COUNTIES[2])).await.unwrap();
    world.shows(2, &case, |case| state(case) == pb::OfferState::Open).await;
    // Killed while the acceptance is on its way, and once more when it is up again.
    world.nodes[1].kill();
    world.take(2, &case, accept()).await.unwrap();
    world.nodes[1].start();
    world.nodes[1].kill();
    world.nodes[1].start();
    let joined = world.reaches(2, &case, CaseStage::Asked).await;
    assert_eq!(joined.ours(), message::Seat::Answering);
    world.shows(0, &case, |case| case.answering == COUNTIES[2]).await;
    world.shows(1, &case, |case| case.answering == COUNTIES[2]).await;
    assert_eq!(world.refused(1, &case, statement()).await, "NOT_HOLDER");
    world.take(2, &case, statement()).await.unwrap();
    world.reaches(0, &case, CaseStage::Answered).await;
    office::reaches(&world.clerks[0], &case, pb::Stage::Answered).await;
    world.ends_well();
}

fn state(case: &pb::Case) -> pb::OfferState {
    case.hand_over.as_ref().map_or(pb::OfferState::Unspecified, pb::HandOverState::state)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_couple_has_two_origins_and_both_answers_come_together() {
    let world = World::new().await;
    // The lanes are open as soon as one message has gone to each.
    world.ask(4).await;
    let person = |seed, to| {
        let content = office::message(seed, COUNTIES[0], to, Kind::BirthRegistrationInquiry);
        content_to_pb(&content).person
    };
    let spouses = [COUNTIES[1], COUNTIES[2]].map(|origin| pb::Spouse {
        person: person(u64::from(origin.as_bytes()[5]), origin),
        origin: origin.to_owned(),
    });
    let request = pb::AskForBirthRegistrationRequest {
        application_number: "SY-2026-0001".to_owned(),
        married_on: "2024-05-01".to_owned(),
        children_stated: 0,
        spouses: spouses.into(),
        basis: message::LawfulBasis::OwnApplication.into(),
        idempotency_key: "couple".to_owned(),
        papers_on: String::new(),
    };
    let mut ids = Vec::new();
    for _ in 0..2 {
        let asked = eventually_async("both are asked", || async {
            let asked = world.clerks[0].cases().ask_for_birth_registration(request.clone()).await;
            asked.ok().map(|asked| asked.into_inner().cases)
        })
        .await;
        ids.push(asked.into_iter().map(|case| case.case_id).collect::<Vec<_>>());
    }
    assert!(ids[0].len() == 2 && ids[0] == ids[1], "a repeated call asks nobody again");
    let [wife, husband] = [&ids[0][0], &ids[0][1]];
    assert_eq!(world.see(0, wife).await.unwrap().together, [husband.as_str()]);
    let decide = || pb::DecideBirthRegistrationRequest {
        case_id: wife.clone(),
        result: message::RegistrationResult::Registered.into(),
        decided_on: crate::support::now().date().to_string(),
        ..Default::default()
    };
    let early = world.clerks[0].cases().decide_birth_registration(decide()).await.unwrap_err();
    assert_eq!(office::code(&early), "STATE_FORBIDS", "an answer is missing");
    for (at, case) in [(1, wife), (2, husband)] {
        world.reaches(at, case, CaseStage::Asked).await;
        world.take(at, case, statement()).await.unwrap();
        world.reaches(0, case, CaseStage::Answered).await;
    }
    world.clerks[0].cases().decide_birth_registration(decide()).await.unwrap();
    for (at, case) in [(1, wife), (2, husband)] {
        world
            .shows(at, case, |case| {
                case.steps.iter().any(|step| step.kind == "BirthRegistrationResult")
            })
            .await;
    }
    world.ends_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_office_restored_to_before_a_hand_over_learns_that_it_has_given_the_case_away() {
    let mut world = World::new().await;
    let case = world.ask(31).await;
    let desk = Desk::of(&world.network, COUNTIES[1], Role::Administrator);
    let backup = desk.json("backup create");
    world.take(1, &case, offer(COUNTIES[2])).await.unwrap();
    world.reaches(2, &case, CaseStage::Offered).await;
    world.take(2, &case, Step::Accept(pb::AcceptCase {})).await.unwrap();
    let is_theirs = |case: &pb::Case| case.turn == COUNTIES[2];
    for at in 0..COUNTIES.len() {
        world.shows(at, &case, is_theirs).await;
    }

    world.nodes[1].kill();
    crate::reconcile::restore(&world.nodes[1], &backup);
    world.nodes[1].start();
    let clerk = world.network.operator("clerk", COUNTIES[1], Role::Clerk);
    world.clerks[1] = office::connect(&clerk).await;
    assert_eq!(world.see(1, &case).await.unwrap().turn, COUNTIES[1], "its disk knows no better");
    let run = desk.json("reconcile run --after-restore");
    let runs = run["reconciliations"].as_array().unwrap();
    assert!(runs.iter().all(|run| run["state"] == "EQUAL"), "{run}");
    world.shows(1, &case, is_theirs).await;
    assert_eq!(world.refused(1, &case, statement()).await, "NOT_HOLDER");
    assert!(world.list(1, CaseList::Ours).await.is_empty());

    world.take(2, &case, statement()).await.unwrap();
    let answered = world.reaches(0, &case, CaseStage::Answered).await;
    assert_eq!(answered.answering, COUNTIES[2]);
    world.ends_well();
}
