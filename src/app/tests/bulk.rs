//! Hand-overs of many cases: two supervisors, one list, and nothing else.

use std::time::Duration;

use domain::access::{AccessAction, Role};
use domain::case::{OfferState, TransferCause};
use domain::id::CaseId;
use domain::message::Kind;
use domain::reason::Reason;
use domain::text::WrittenReason;
use exchange::digest::Digest;
use store::bulk::BulkOutcome;
use store::tables::CASE;

use super::mail::{Post, content, send};
use super::{Office, later, refused};
use crate::app::cases::bulk::{self, Bulk, Errand, OFFERS_PER_DAY, Proposal};
use crate::app::cases::steps::{self, Action, Order};
use crate::app::{AppError, Ctx};

const DAY: Duration = Duration::from_secs(86_400);
/// The office that takes over.
const THERE: &str = "410523";

struct World {
    office: Office,
    post: Post,
    cases: Vec<CaseId>,
}

impl World {
    async fn with(count: u64) -> Self {
        let (office, post) = (Office::here(), Post::new());
        let mut cases = Vec::new();
        for seed in 1..=count {
            let asked = content(seed, Kind::CertificateInquiry);
            cases.push(send(&office, &office.clerk(), &post, asked).await.case);
        }
        Self { office, post, cases }
    }

    fn supervisor(&self, name: &str) -> Ctx {
        self.office.operator(name, Role::Supervisor)
    }

    async fn propose(&self, ctx: &Ctx, cases: &[CaseId]) -> Result<Bulk, AppError> {
        let proposal = Proposal {
            to: THERE.parse().unwrap(),
            cause: TransferCause::OfficeChanged,
            reason: WrittenReason::new("机构调整，由新机构承办").unwrap(),
            cases: cases.to_vec(),
            days: 7,
        };
        bulk::propose(ctx, &self.office.store, proposal).await
    }

    async fn decide(&self, ctx: &Ctx, list: &Bulk, approve: bool) -> Result<Bulk, AppError> {
        let said = (Digest::new(list.row.digest), approve);
        bulk::decide(ctx, &self.office.store, list.id, said).await
    }

    async fn carry_out(&self, ctx: &Ctx, list: &Bulk, cases: &[CaseId]) -> Result<Bulk, AppError> {
        let errand = Errand { id: list.id, to: THERE.parse().unwrap(), cases: cases.to_vec() };
        bulk::carry_out(ctx, &self.office.store, &self.post, errand).await
    }

    fn is_offered(&self, case: CaseId) -> bool {
        let row = self.office.store.get(&CASE, case.as_bytes()).unwrap().unwrap();
        matches!(row.case.offer(super::NOW), Some((_, OfferState::Open)))
    }

    /// What supervisors and clerks did with lists, as the access log has it.
    fn logged(&self) -> Vec<AccessAction> {
        let all = self.office.store.access_after(0, 500).unwrap();
        let of_lists = [AccessAction::Propose, AccessAction::Approve, AccessAction::HandOver];
        all.iter().map(|entry| entry.action).filter(|done| of_lists.contains(done)).collect()
    }
}

#[tokio::test]
async fn what_two_have_approved_is_carried_out_once() {
    let world = World::with(3).await;
    let (eve, dan) = (world.supervisor("eve"), world.supervisor("dan"));
    let clerk = world.office.clerk();
    let list = world.propose(&eve, &world.cases).await.unwrap();
    assert!(!world.is_offered(world.cases[0]));
    world.decide(&dan, &list, true).await.unwrap();
    let done = world.carry_out(&clerk, &list, &world.cases).await.unwrap();
    assert_eq!(done.row.outcomes, vec![BulkOutcome::Offered; 3]);
    assert!(world.cases.iter().all(|case| world.is_offered(*case)));
    let again = world.carry_out(&clerk, &list, &world.cases).await.unwrap();
    assert_eq!(again.row, done.row, "nothing is offered twice");
    let expected = [AccessAction::Propose, AccessAction::Approve, AccessAction::HandOver];
    assert_eq!(world.logged(), expected);
    assert_eq!(bulk::list(&clerk, &world.office.store).unwrap().len(), 1, "it is no secret");
}

#[tokio::test]
async fn the_same_person_twice_is_one_person() {
    let world = World::with(2).await;
    let (eve, clerk) = (world.supervisor("eve"), world.office.clerk());
    let list = world.propose(&eve, &world.cases).await.unwrap();
    let (reason, _) = refused(world.decide(&eve, &list, true).await);
    assert_eq!(reason, Reason::ApprovalMissing);
    let (reason, _) = refused(world.carry_out(&clerk, &list, &world.cases).await);
    assert_eq!(reason, Reason::ApprovalMissing);
    assert!(!world.is_offered(world.cases[0]));
    for (role, name) in [(Role::Clerk, "alice"), (Role::Auditor, "adam")] {
        let other = world.office.operator(name, role);
        assert_eq!(refused(world.decide(&other, &list, true).await).0, Reason::RoleRequired);
        assert_eq!(refused(world.propose(&other, &world.cases).await).0, Reason::RoleRequired);
    }
    // Taking one's own proposal back needs nobody; nobody can approve it afterwards.
    world.decide(&eve, &list, false).await.unwrap();
    let dan = world.supervisor("dan");
    assert_eq!(refused(world.decide(&dan, &list, true).await).0, Reason::StateForbids);
    assert_eq!(
        refused(world.carry_out(&clerk, &list, &world.cases).await).0,
        Reason::ApprovalMissing
    );
}

#[tokio::test]
async fn an_approval_ends() {
    let world = World::with(2).await;
    let (eve, dan) = (world.supervisor("eve"), world.supervisor("dan"));
    let clerk = world.office.clerk();
    let list = world.propose(&eve, &world.cases).await.unwrap();
    let late = later(&dan, 7 * DAY);
    assert_eq!(refused(world.decide(&late, &list, true).await).0, Reason::ApprovalMissing);
    world.decide(&dan, &list, true).await.unwrap();
    let late = later(&clerk, 7 * DAY);
    let (reason, _) = refused(world.carry_out(&late, &list, &world.cases).await);
    assert_eq!(reason, Reason::ApprovalMissing, "its time is over");
    assert!(!world.is_offered(world.cases[0]));
    let in_time = later(&clerk, 7 * DAY - Duration::from_millis(1));
    world.carry_out(&in_time, &list, &world.cases).await.unwrap();
}

#[tokio::test]
async fn another_list_than_the_approved_one_is_refused() {
    let world = World::with(3).await;
    let (eve, dan) = (world.supervisor("eve"), world.supervisor("dan"));
    let clerk = world.office.clerk();
    let list = world.propose(&eve, &world.cases[..2]).await.unwrap();
    let other = (Digest::of(b"another list"), true);
    let seen = bulk::decide(&dan, &world.office.store, list.id, other).await;
    assert_eq!(refused(seen).0, Reason::StaleEdit, "she saw another list");
    world.decide(&dan, &list, true).await.unwrap();
    for changed in [&world.cases[..], &world.cases[..1], &world.cases[1..]] {
        let (reason, _) = refused(world.carry_out(&clerk, &list, changed).await);
        assert_eq!(reason, Reason::ApprovalMissing);
    }
    let to = "410526".parse().unwrap();
    let errand = Errand { id: list.id, to, cases: world.cases[..2].to_vec() };
    let elsewhere = bulk::carry_out(&clerk, &world.office.store, &world.post, errand).await;
    assert_eq!(refused(elsewhere).0, Reason::ApprovalMissing, "another office");
    assert!(world.cases.iter().all(|case| !world.is_offered(*case)));
    // The order in which the cases are named says nothing.
    let turned = [world.cases[1], world.cases[0]];
    world.carry_out(&clerk, &list, &turned).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_offered_any_more_is_left_out_and_said_so() {
    let world = World::with(2).await;
    let (eve, dan) = (world.supervisor("eve"), world.supervisor("dan"));
    let clerk = world.office.clerk();
    let list = world.propose(&eve, &world.cases).await.unwrap();
    world.decide(&dan, &list, true).await.unwrap();
    let order = Order {
        case: world.cases[0],
        expected: 1,
        action: Action::Void(WrittenReason::new("申请人撤回").unwrap()),
        idempotency_key: String::new(),
        listed: false,
    };
    steps::take(&clerk, &world.office.store, &world.post, order).await.unwrap();
    let done = world.carry_out(&clerk, &list, &world.cases).await.unwrap();
    let refused = done.row.outcomes.iter().filter(|o| matches!(o, BulkOutcome::Refused(_)));
    assert_eq!(refused.count(), 1);
    assert!(world.is_offered(world.cases[1]));
}

#[tokio::test]
async fn many_one_by_one_are_many() {
    let world = World::with(u64::from(OFFERS_PER_DAY) + 1).await;
    let clerk = world.office.clerk();
    let offer = async |ctx: &Ctx, case: CaseId| {
        let store = &world.office.store;
        let expected = store.get(&CASE, case.as_bytes()).unwrap().unwrap().version;
        let until = ctx.now.saturating_add(2 * DAY);
        let action = Action::Offer(THERE.parse().unwrap(), TransferCause::OfficeChanged, until);
        let idempotency_key = String::new();
        let order = Order { case, expected, action, idempotency_key, listed: false };
        steps::take(ctx, store, &world.post, order).await
    };
    let (last, first) = world.cases.split_last().unwrap();
    for case in first {
        offer(&clerk, *case).await.unwrap();
    }
    assert_eq!(refused(offer(&clerk, *last).await).0, Reason::ApprovalMissing);
    assert!(!world.is_offered(*last));
    // A list that two have approved goes; and tomorrow is another day.
    let (eve, dan) = (world.supervisor("eve"), world.supervisor("dan"));
    let list = world.propose(&eve, &[*last]).await.unwrap();
    world.decide(&dan, &list, true).await.unwrap();
    let done = world.carry_out(&clerk, &list, &[*last]).await.unwrap();
    assert_eq!(done.row.outcomes, [BulkOutcome::Offered]);
}
