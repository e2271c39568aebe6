//! Agreements that take the place of others, today or later.

use domain::agreement::{Agreement, AgreementTerms, KindTerms, OfficeSignature};
use domain::id::AgreementId;
use domain::message::{AgreementDecision, AgreementEnd, Content, Kind};
use domain::text::WrittenReason;
use domain::time::Date;

use super::cases::between;
use super::mail::{Post, Stranger};
use super::*;
use crate::app::agreements::{self, Proposal, rule};

fn in_days(days: i32) -> Date {
    NOW.date().plus_days(days)
}

fn terms(kind: Kind, from: i32, until: i32) -> AgreementTerms {
    AgreementTerms {
        kinds: [(kind, KindTerms::whole(kind))].into(),
        purposes: Purpose::ALL.iter().copied().collect(),
        valid_from: in_days(from),
        valid_until: in_days(until),
        retention_months: 36,
        ask_once_days: 0,
        notice_days: 0,
        contact: Note::new("值班电话 0755-1234567").unwrap(),
    }
}

/// An office whose proposals the other county accepts, and that county's messages.
struct Agreeing {
    office: Office,
    post: Post,
    net: Net,
    origin: Stranger,
}

impl Agreeing {
    fn new() -> Self {
        let (office, origin) = (Office::here(), Stranger::of(ORIGIN));
        Self { office, post: Post::new(), net: Net::new(), origin }
    }

    async fn agrees(&mut self, id: Option<AgreementId>, terms: AgreementTerms) -> AgreementId {
        let supervisor = self.office.operator("zhou", Role::Supervisor);
        let material = self.net.material(HERE);
        let proposal = Proposal { to: ORIGIN.parse().unwrap(), id, terms };
        let signer = material.identity().as_ref();
        let proposed =
            agreements::propose(&supervisor, &self.office.store, &self.post, signer, proposal);
        let (row, sent) = proposed.await.unwrap();
        let Agreement { id, version, .. } = row.agreement;
        let said = AgreementDecision {
            agreement_id: id,
            version,
            accepted: true,
            reason: None,
            contact: None,
            signature: signature(),
        };
        let content = Content {
            in_reply_to: Some(sent.id),
            step: 1,
            ..between(Some(sent.case), said.into())
        };
        self.says(content).await;
        id
    }

    async fn says(&mut self, content: Content) {
        self.origin.says(&self.office, content, NOW).await;
    }

    /// Versions of that agreement that hold on a day.
    fn holding(&self, id: AgreementId, on: Date) -> Vec<u32> {
        let sides = (HERE.parse().unwrap(), ORIGIN.parse().unwrap());
        let known = rule::known(&self.office.store, sides, on).unwrap();
        let held = known.iter().filter(|it| it.id == id && it.is_in_force(on));
        held.map(|it| it.version).collect()
    }
}

fn signature() -> Option<OfficeSignature> {
    Some(OfficeSignature { signature: vec![1], chain: vec![vec![2]] })
}

#[tokio::test]
async fn what_is_agreed_for_later_leaves_what_holds_until_then() {
    let mut counties = Agreeing::new();
    let id = counties.agrees(None, terms(Kind::Inquiry, -300, 60)).await;
    counties.agrees(Some(id), terms(Kind::Inquiry, 30, 400)).await;
    for (day, version) in [(0, 1), (29, 1), (30, 2), (400, 2)] {
        assert_eq!(counties.holding(id, in_days(day)), [version], "day {day}");
    }
    // A third one that begins now takes the place of both.
    counties.agrees(Some(id), terms(Kind::Inquiry, 0, 500)).await;
    for day in [0, 30, 500] {
        assert_eq!(counties.holding(id, in_days(day)), [3], "day {day}");
    }
}

#[tokio::test]
async fn whoever_ends_an_agreement_ends_what_holds_until_its_next_version_too() {
    let mut counties = Agreeing::new();
    let id = counties.agrees(None, terms(Kind::Inquiry, -300, 300)).await;
    counties.agrees(Some(id), terms(Kind::Inquiry, 60, 400)).await;
    let said = AgreementEnd {
        agreement_id: id,
        version: 2,
        last_day: in_days(10),
        reason: WrittenReason::new("机构调整").unwrap(),
        signature: signature(),
    };
    let content = between(None, said.into());
    counties.says(Content { step: 0, ..content }).await;
    assert_eq!(counties.holding(id, in_days(10)), [1]);
    for day in [11, 60, 100] {
        assert_eq!(counties.holding(id, in_days(day)), [0_u32; 0], "day {day}");
    }
}
