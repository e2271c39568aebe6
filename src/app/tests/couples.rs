//! A couple with two origins: asked and told together, whatever happens to one of the questions.

use domain::access::Role;
use domain::case::TransferCause;
use domain::clock::Notice;
use domain::id::{CaseId, MessageId};
use domain::indicator::Indicator;
use domain::message::{
    BirthRegistrationInquiry, Body, Children, Content, Kind, PrintedNumber, RegistrationResult,
};
use domain::person::{PersonDetails, PersonName, PersonReference};
use domain::purpose::LawfulBasis;
use domain::reason::Reason;
use domain::text::WrittenReason;
use domain::time::{Date, UnixMillis};
use store::letters::NoticeKind;
use store::messages::Side;
use store::tables::NOTICE;

use super::cases::{THIRD, kept};
use super::clocks::day;
use super::mail::{Post, Stranger, content_between, draft, receipt, row};
use super::{HERE, NOW, ORIGIN, Office, person, refused, today};
use crate::app::AppError;
use crate::app::at_risk;
use crate::app::cases::couple::{self, Application, Decision};
use crate::app::cases::steps::{self, Action, Order};
use crate::app::cases::{alarms, parts};
use crate::app::letters::{self, Again};
use crate::app::messages::grounds::Grounds;
use crate::app::messages::send::{self, Accepted};

pub(super) fn application(first: usize, key: &str) -> Application {
    let spouse = |number, origin: &str| {
        let PersonDetails { document, name, .. } = person(number);
        (PersonReference { document, name }, origin.parse().unwrap())
    };
    let (wife, husband) = (spouse(first, ORIGIN), spouse(first + 1, THIRD));
    Application {
        number: PrintedNumber::parse("SZ-2026-0042").unwrap(),
        married_on: None,
        children_stated: Children::try_from(1).unwrap(),
        papers_on: None,
        spouses: vec![wife, husband],
        basis: LawfulBasis::OwnApplication,
        idempotency_key: key.to_owned(),
    }
}

async fn asked(office: &Office, post: &Post) -> Vec<CaseId> {
    let asked = couple::ask(&office.clerk(), &office.store, post, application(0, "")).await;
    let cases = asked.unwrap();
    assert_eq!(cases.len(), 2);
    cases
}

/// An origin answers the question of a case.
async fn answered(office: &Office, case: CaseId, from: &str) {
    answered_on(office, case, from, NOW).await;
}

async fn answered_on(office: &Office, case: CaseId, from: &str, at: UnixMillis) {
    let id: MessageId = case.opening_message();
    let said = content_between(1, Kind::BirthRegistrationStatement, from, HERE);
    let said = Content { case: Some(case), in_reply_to: Some(id), step: 1, ..said };
    Stranger::of(from).says(office, said, at).await;
}

async fn decide(
    office: &Office,
    post: &Post,
    case: CaseId,
    result: RegistrationResult,
) -> Result<Vec<CaseId>, AppError> {
    let reason = (result == RegistrationResult::Refused)
        .then(|| WrittenReason::new("材料不符合登记条件").unwrap());
    let decided_on = today();
    let idempotency_key = String::new();
    let decision = Decision { case, result, decided_on, reason, idempotency_key };
    couple::decide(&office.clerk(), &office.store, post, decision).await
}

/// The question of a case is refused by the county that was asked.
async fn refuse(office: &Office, case: CaseId) -> MessageId {
    let id = case.opening_message();
    let row = row(&office.store, id, Side::Sent);
    let (to, epoch, sequence) = (row.peer, row.epoch, row.sequence);
    let sent = Accepted { id, case, to, epoch, sequence };
    receipt(office, &[(sent, Some(Reason::NotForUs))], NOW).await;
    id
}

async fn resend(office: &Office, post: &Post, id: MessageId) -> CaseId {
    let (content, to, expires) = (None, None, None);
    let (grounds, idempotency_key) = (Grounds::default(), String::new());
    let again = Again { id, content, grounds, to, expires, idempotency_key };
    letters::resend(&office.clerk(), &office.store, post, again).await.unwrap().case
}

#[tokio::test]
async fn a_question_that_is_asked_again_takes_the_place_of_the_one_that_was_refused() {
    for refused_one in [0, 1] {
        let (office, post) = (Office::here(), Post::new());
        let cases = asked(&office, &post).await;
        let (other, origin, far) = match refused_one {
            0 => (cases[1], ORIGIN, THIRD),
            _ => (cases[0], THIRD, ORIGIN),
        };
        let lost = refuse(&office, cases[refused_one]).await;
        answered(&office, other, far).await;
        let early = decide(&office, &post, other, RegistrationResult::Registered).await;
        assert_eq!(refused(early), (Reason::StateForbids, "result".to_owned()));
        let again = resend(&office, &post, lost).await;
        let early = decide(&office, &post, again, RegistrationResult::Registered).await;
        assert_eq!(refused(early).0, Reason::StateForbids, "one origin has not answered");
        answered(&office, again, origin).await;
        let mut told = decide(&office, &post, other, RegistrationResult::Registered).await.unwrap();
        told.sort();
        let mut both = vec![other, again];
        both.sort();
        assert_eq!(told, both);
    }
}

#[tokio::test]
async fn a_couple_withdraws_also_when_one_question_was_refused() {
    let (office, post) = (Office::here(), Post::new());
    let cases = asked(&office, &post).await;
    refuse(&office, cases[0]).await;
    let told = decide(&office, &post, cases[1], RegistrationResult::Withdrawn).await.unwrap();
    assert_eq!(told, [cases[1]]);
}

#[tokio::test]
async fn a_couple_is_told_one_result_whoever_decides() {
    let (office, post) = (Office::here(), Post::new());
    let cases = asked(&office, &post).await;
    answered(&office, cases[0], ORIGIN).await;
    answered(&office, cases[1], THIRD).await;
    let (registered, refused_one) = tokio::join!(
        decide(&office, &post, cases[0], RegistrationResult::Registered),
        decide(&office, &post, cases[1], RegistrationResult::Refused),
    );
    assert!(registered.is_ok() != refused_one.is_ok());
    let late = decide(&office, &post, cases[0], RegistrationResult::Refused).await;
    assert_eq!(refused(late), (Reason::StateForbids, "result".to_owned()));
    for case in cases {
        assert_eq!(kept(&office, case).case.steps().len(), 3, "asked, answered, told once");
    }
}

#[tokio::test]
async fn nothing_is_registered_when_a_question_was_taken_back() {
    let (office, post) = (Office::here(), Post::new());
    let cases = asked(&office, &post).await;
    answered(&office, cases[0], ORIGIN).await;
    let reason = WrittenReason::new("申请人撤回").unwrap();
    let expected = kept(&office, cases[1]).version;
    let (case, action) = (cases[1], Action::Void(reason));
    let order = Order { case, expected, action, idempotency_key: String::new(), listed: false };
    steps::take(&office.clerk(), &office.store, &post, order).await.unwrap();
    let early = decide(&office, &post, cases[0], RegistrationResult::Registered).await;
    assert_eq!(refused(early), (Reason::StateForbids, "result".to_owned()));
}

#[tokio::test]
async fn another_couple_under_the_same_key_is_a_conflict() {
    let (office, post) = (Office::here(), Post::new());
    let ask = async |first: usize| {
        couple::ask(&office.clerk(), &office.store, &post, application(first, "k1")).await
    };
    let cases = ask(0).await.unwrap();
    assert_eq!(ask(0).await.unwrap(), cases);
    assert_eq!(refused(ask(2).await), (Reason::Conflict, "idempotency_key".to_owned()));
}

/// She is on record here as at risk, at an address.
async fn hide(office: &Office, number: usize) {
    let her = PersonDetails { at_risk: true, ..person(number) };
    office.arrive(her).await;
}

/// The spouses whom the questions of these cases name.
fn named(office: &Office, cases: &[CaseId]) -> Vec<Option<PersonName>> {
    let spouse = |case: &CaseId| {
        let row = row(&office.store, case.opening_message(), Side::Sent);
        let content = wire::content::decode_content(&row.content.0).unwrap();
        let Body::BirthRegistrationInquiry(asked) = content.body else { panic!("another kind") };
        asked.spouse_name
    };
    cases.iter().map(spouse).collect()
}

/// The wife's own origin is this county, so that only her husband's is asked.
fn about_the_husband() -> Application {
    let mut application = application(0, "");
    application.spouses[0].1 = HERE.parse().unwrap();
    application
}

#[tokio::test]
async fn a_spouse_at_risk_is_not_named_in_a_question_about_the_other() {
    let (office, post) = (Office::here(), Post::new());
    hide(&office, 0).await;
    let ask = async |application| {
        couple::ask(&office.clerk(), &office.store, &post, application).await.unwrap()
    };
    let cases = ask(about_the_husband()).await;
    assert_eq!(named(&office, &cases), [None]);
    // A supervisor lets that county be told.
    let (supervisor, document) = (office.operator("zhou", Role::Supervisor), person(0).document);
    let reason = WrittenReason::new("本人要求与丈夫户籍地共同办理。").unwrap();
    let to = (THIRD.parse().unwrap(), reason);
    at_risk::release(&supervisor, &office.store, document, to).await.unwrap();
    let cases = ask(about_the_husband()).await;
    assert_eq!(named(&office, &cases), [Some(person(0).name)]);
}

#[tokio::test]
async fn a_question_that_waits_and_names_her_is_taken_back_when_she_is_marked() {
    let (office, post) = (Office::here(), Post::new());
    let asked = couple::ask(&office.clerk(), &office.store, &post, about_the_husband()).await;
    let waits = asked.unwrap()[0].opening_message();
    let others = Application { spouses: application(2, "").spouses, ..about_the_husband() };
    let others = couple::ask(&office.clerk(), &office.store, &post, others).await.unwrap();
    hide(&office, 0).await;
    let clerk = office.clerk();
    let letter = |id| letters::show(&clerk, &office.store, id, super::LOOKING);
    letter(waits).await.unwrap();
    for other in others {
        assert_eq!(refused(letter(other.opening_message()).await.map(drop)).0, Reason::NotFound);
    }
}

#[tokio::test]
async fn a_question_that_is_sent_again_does_not_name_who_is_at_risk_by_now() {
    let (office, post) = (Office::here(), Post::new());
    let asked = couple::ask(&office.clerk(), &office.store, &post, about_the_husband()).await;
    let id = refuse(&office, asked.unwrap()[0]).await;
    hide(&office, 0).await;
    let letter = letters::show(&office.clerk(), &office.store, id, super::LOOKING).await.unwrap();
    let again = async |change: fn(&mut BirthRegistrationInquiry)| {
        let mut content = letter.1.clone();
        let Body::BirthRegistrationInquiry(asked) = &mut content.body else { panic!("another") };
        change(asked);
        let (content, grounds) = (Some(content), Grounds::default());
        let (to, expires, idempotency_key) = (None, None, String::new());
        let again = Again { id, content, grounds, to, expires, idempotency_key };
        letters::resend(&office.clerk(), &office.store, &post, again).await
    };
    let logged = office.logged();
    let hidden = (Reason::ResidenceHidden, "spouse_name".to_owned());
    assert_eq!(refused(again(|_| {}).await), hidden);
    assert_eq!(office.logged(), logged + 1, "the refusal tells something");
    let other = refused(again(|asked| asked.spouse_name = Some(person(4).name)).await);
    assert_eq!(other, (Reason::InvalidField, "content.spouse_name".to_owned()));
    again(|asked| asked.spouse_name = None).await.unwrap();
}

#[tokio::test]
async fn a_spouse_is_named_nowhere_but_in_the_questions_for_a_couple() {
    let (office, post) = (Office::here(), Post::new());
    let by_hand = async |spouse_name| {
        let mut content = content_between(1, Kind::BirthRegistrationInquiry, HERE, ORIGIN);
        let Body::BirthRegistrationInquiry(asked) = &mut content.body else { panic!("another") };
        asked.spouse_name = spouse_name;
        send::send(&office.clerk(), &office.store, &post, draft(content)).await
    };
    let told = refused(by_hand(Some(person(0).name)).await);
    assert_eq!(told, (Reason::SpouseNotKnown, "spouse_name".to_owned()));
    by_hand(None).await.unwrap();
}

#[tokio::test]
async fn a_question_that_names_her_is_not_handed_over_once_she_is_at_risk() {
    let (office, post) = (Office::here(), Post::new());
    let asked = couple::ask(&office.clerk(), &office.store, &post, about_the_husband()).await;
    let case = asked.unwrap()[0];
    hide(&office, 0).await;
    let until = super::clocks::day(3);
    let action = Action::Offer("330106".parse().unwrap(), TransferCause::PersonMoved, until);
    let expected = kept(&office, case).version;
    let order = Order { case, expected, action, idempotency_key: String::new(), listed: false };
    let told = refused(steps::take(&office.clerk(), &office.store, &post, order).await);
    assert_eq!(told, (Reason::ResidenceHidden, "hand_over".to_owned()));
}

#[tokio::test]
async fn a_result_is_sent_again_as_it_was_and_once() {
    let (office, post) = (Office::here(), Post::new());
    let cases = asked(&office, &post).await;
    answered(&office, cases[0], ORIGIN).await;
    answered(&office, cases[1], THIRD).await;
    decide(&office, &post, cases[0], RegistrationResult::Registered).await.unwrap();
    let steps = kept(&office, cases[0]).case.steps().into_iter().cloned().collect::<Vec<_>>();
    let told = steps.last().unwrap().id;
    let row = row(&office.store, told, Side::Sent);
    let (to, epoch, sequence) = (row.peer, row.epoch, row.sequence);
    let sent = Accepted { id: told, case: cases[0], to, epoch, sequence };
    receipt(&office, &[(sent, Some(Reason::NotForUs))], NOW).await;
    let again = async |content| {
        let (to, expires, grounds) = (None, None, Grounds::default());
        let again =
            Again { id: told, content, grounds, to, expires, idempotency_key: String::new() };
        letters::resend(&office.clerk(), &office.store, &post, again).await
    };
    let mut other = wire::content::decode_content(&row.content.0).unwrap();
    let Body::BirthRegistrationResult(result) = &mut other.body else { panic!("another kind") };
    result.result = RegistrationResult::Withdrawn;
    let told = refused(again(Some(other)).await);
    assert_eq!(told, (Reason::InvalidField, "content.body".to_owned()));
    again(None).await.unwrap();
}

#[tokio::test]
async fn an_office_is_told_when_more_waits_than_could_be_looked_through() {
    let (office, post) = (Office::here(), Post::new());
    asked(&office, &post).await;
    let her = office.arrive(person(5)).await.person.id();
    let hide = async |lanes, envelopes| {
        let ctx = office.clerk();
        let hidden = office.store.commit(move |unit| {
            at_risk::hide_within(unit, &ctx, her, at_risk::Bounds { lanes, envelopes })
        });
        hidden.await.map_err(AppError::from).unwrap();
        let told = super::notices::all(&office);
        told.iter().filter(|told| told.row.what == NoticeKind::HidingCutShort).count()
    };
    assert_eq!(hide(100, 1).await, 0, "one waits in each lane");
    asked(&office, &post).await;
    assert_eq!(hide(100, 1).await, 1);
}

/// The clock of the result, as the cases stand in the list of turns.
fn last_days(office: &Office, cases: &[CaseId]) -> Vec<Date> {
    let due = cases.iter().map(|case| kept(office, *case).turn.unwrap().1);
    due.map(|due| UnixMillis::new(due - 1).date()).collect()
}

#[tokio::test]
async fn the_clock_of_the_result_begins_with_the_last_answer_and_its_alarm_names_the_office() {
    let (office, post) = (Office::here(), Post::new());
    let cases = asked(&office, &post).await;
    answered(&office, cases[0], ORIGIN).await;
    // Sunday 1 March and fifteen working days: 20 March. It does not run while an answer is missing.
    let far = day(40);
    let look = |now| alarms::look(office.area, &office.store, now);
    assert_eq!(look(far).await.unwrap(), 0, "the other origin has not answered");
    answered_on(&office, cases[1], THIRD, day(8)).await;
    // Monday 9 March: the first of the fifteen is the 10th, the last the 30th.
    let last: Date = "2026-03-30".parse().unwrap();
    assert_eq!(last_days(&office, &cases), [last, last]);
    // Half and four fifths of it are told before, of each origin once.
    let parts = |now| parts::look(office.area, &office.store, now);
    for part in [Notice::Half, Notice::Most] {
        let at = part.between(day(8), last.ends());
        assert_eq!(parts(UnixMillis::new(at.get() - 1_000)).await.unwrap(), 0);
        let soon = UnixMillis::new(at.get() + 1_000);
        assert_eq!((parts(soon).await.unwrap(), parts(soon).await.unwrap()), (2, 0), "{part:?}");
        let notices = office.store.scan(&NOTICE, .., 100).unwrap();
        for to in [ORIGIN, THIRD] {
            let what = NoticeKind::ResultSoon { to: to.parse().unwrap(), percent: part.percent() };
            assert!(notices.iter().any(|(_, row)| row.what == what), "{notices:?}");
        }
    }
    assert_eq!(look(last.begins()).await.unwrap(), 0, "the last day is in time");
    assert_eq!(look(last.ends()).await.unwrap(), 2);
    assert_eq!(look(far).await.unwrap(), 0, "it is told once");
    let notices = office.store.scan(&NOTICE, .., 100).unwrap();
    for to in [ORIGIN, THIRD] {
        let what = NoticeKind::ResultToTell { to: to.parse().unwrap() };
        assert!(notices.iter().any(|(_, row)| row.what == what), "{notices:?}");
    }
}

#[tokio::test]
async fn whether_the_result_was_told_in_time_counts_for_the_office_that_asked() {
    let counted = |office: &Office, indicator| {
        super::measured::measured(office, HERE, indicator, Kind::BirthRegistrationResult)
    };
    for (answered_at, timely) in [("2026-02-27", true), ("2026-02-02", false)] {
        let (office, post) = (Office::here(), Post::new());
        let cases = asked(&office, &post).await;
        let at = answered_at.parse::<Date>().unwrap().begins();
        for (case, from) in [(cases[0], ORIGIN), (cases[1], THIRD)] {
            answered_on(&office, case, from, at).await;
        }
        assert_eq!(counted(&office, Indicator::Timeliness), None, "nothing is told yet");
        decide(&office, &post, cases[0], RegistrationResult::Registered).await.unwrap();
        let both = if timely { 2 } else { 0 };
        assert_eq!(counted(&office, Indicator::Timeliness), Some((both, 2)), "{answered_at}");
        assert_eq!(counted(&office, Indicator::Feedback), Some((2, 2)), "told in the month");
    }
}
