//! Cases: a couple with two origins, a clarification that stops the clock, a case that another office takes over; and at the
//! end what is to be done where, and what offices did.

use domain::area::AreaCode;
use domain::indicator::Period;
use domain::message::Kind;
use domain::purpose::{LawfulBasis, Purpose};
use tokio::time::{Duration, Instant};
use wire::pb::message::content::Body;
use wire::pb::office::CaseStage as Stage;
use wire::pb::office::take_case_step_request::Step;
use wire::pb::{message, office};

use super::super::cast::Cast;
use super::super::people::reference;
use super::super::step::{Broken, Held, Outcome, call, ensure};
use super::records::Issued;
use crate::cli::exit::Failure;
use crate::cli::output::table;

/// What nodes tell each other by themselves they tell within this time.
const WITHIN: Duration = Duration::from_secs(30);
/// How often somebody looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Cases and numbers that are shown of a list.
const SHOWN: usize = 12;

/// The case as a node has it, once it stands as wanted there.
async fn until(
    cast: &Cast,
    area: AreaCode,
    case: &str,
    wanted: impl Fn(&office::Case) -> bool,
) -> Result<office::Case, Broken> {
    let clerk = cast.clerk(area).await?;
    let started = Instant::now();
    loop {
        let request = office::ShowCaseRequest { case_id: case.to_owned() };
        let shown = clerk.cases().show_case(request).await;
        let shown = shown.ok().and_then(|shown| shown.into_inner().case);
        match shown {
            Some(case) if wanted(&case) => return Ok(case),
            _ if started.elapsed() > WITHIN => {
                let what = format!("the case {case} does not stand at {area} as it should");
                return Err(Broken::Late { what, area, log: cast.network.log_tail(area) });
            }
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// The case as a node has it, once it stands there at a stage.
pub(super) async fn reaches(
    cast: &Cast,
    area: AreaCode,
    case: &str,
    stage: Stage,
) -> Result<office::Case, Broken> {
    until(cast, area, case, |case| case.stage() == stage).await
}

/// Takes a step on the newest page, as soon as the other county's card is here.
async fn take(cast: &Cast, area: AreaCode, case: &str, step: Step) -> Result<office::Case, Broken> {
    let clerk = cast.clerk(area).await?;
    let started = Instant::now();
    loop {
        let page = until(cast, area, case, |_| true).await?;
        let request = office::TakeCaseStepRequest {
            case_id: case.to_owned(),
            expected_version: page.version,
            idempotency_key: String::new(),
            step: Some(step.clone()),
        };
        match clerk.cases().take_case_step(request).await {
            Ok(taken) => return Ok(taken.into_inner().case.unwrap_or_default()),
            Err(status) => {
                let code = Failure::from(status.clone()).told.code;
                let passes = ["PEER_CARD_MISSING", "STALE_EDIT"].contains(&code.as_str());
                if !passes || started.elapsed() > WITHIN {
                    return Err(call(area)(status));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }
}

/// Both origins are asked in one step; the cases belong together and have the same due day.
pub(super) async fn couple(cast: &Cast) -> Outcome<[String; 2]> {
    let clerk = cast.clerk(cast.residence).await?;
    let why = Purpose::BirthRegistration;
    let spouse = |who, origin: AreaCode| office::Spouse {
        person: Some(reference(who, why)),
        origin: origin.to_string(),
    };
    let request = office::AskForBirthRegistrationRequest {
        application_number: "SY-2026-0001".to_owned(),
        married_on: String::new(),
        papers_on: String::new(),
        children_stated: 0,
        spouses: vec![spouse(&cast.her, cast.origin), spouse(&cast.husband, cast.other_origin)],
        basis: i32::from(LawfulBasis::OwnApplication.number()),
        idempotency_key: "demo-couple".to_owned(),
    };
    let started = Instant::now();
    let asked = loop {
        match clerk.cases().ask_for_birth_registration(request.clone()).await {
            Ok(asked) => break asked.into_inner().cases,
            Err(status) if started.elapsed() > WITHIN => return Err(call(cast.residence)(status)),
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    };
    let [wife, husband] = asked.as_slice() else {
        return Err(Broken::NotSo(format!("{} origins were asked", asked.len())));
    };
    ensure(wife.due_on == husband.due_on && !wife.due_on.is_empty(), || {
        "the two origins have different due days".to_owned()
    })?;
    for (area, case) in [(cast.origin, wife), (cast.other_origin, husband)] {
        let there = reaches(cast, area, &case.case_id, Stage::Asked).await?;
        ensure(there.due_on == case.due_on, || "another due day at the other side".to_owned())?;
    }
    let due = &wife.due_on;
    let (first, second) = (cast.origin, cast.other_origin);
    let (zh, en) = (
        format!("{first} 与 {second} 同时被询问，双方期限一致：{due}（15 个工作日）"),
        format!(
            "{first} and {second} are asked together; due on {due} at both ends (15 working days)"
        ),
    );
    Ok(Held::new([wife.case_id.clone(), husband.case_id.clone()], zh, en))
}

/// What the origin lacks is asked for and given; meanwhile the clock stands still at both ends.
pub(super) async fn clarify(cast: &Cast, [wife, _]: &[String; 2]) -> Outcome<()> {
    let before = until(cast, cast.origin, wife, |_| true).await?.due_on;
    let question = "请补充结婚登记日期".to_owned();
    let asked = Step::Clarify(message::Clarify { question });
    take(cast, cast.origin, wife, asked).await?;
    let paused = reaches(cast, cast.residence, wife, Stage::Clarifying).await?;
    ensure(paused.paused_ms > 0, || "the clock still runs".to_owned())?;
    let answer = Step::Clarification("双方确认未办理过结婚登记变更".to_owned());
    take(cast, cast.residence, wife, answer).await?;
    let here = reaches(cast, cast.residence, wife, Stage::Asked).await?;
    let there = reaches(cast, cast.origin, wife, Stage::Asked).await?;
    ensure(here.due_on == there.due_on, || "the two sides have different due days".to_owned())?;
    answer_of_origin(cast, cast.origin, wife).await?;
    let due = &there.due_on;
    Ok(Held::new(
        (),
        format!("补正期间时限暂停，补正后两地期限同为 {due}（原 {before}）；随后答复"),
        format!(
            "the clock stood still meanwhile; due on {due} at both ends afterwards ({before} before); then it is answered"
        ),
    ))
}

async fn answer_of_origin(cast: &Cast, area: AreaCode, case: &str) -> Result<(), Broken> {
    let body = message::BirthRegistrationStatement {
        outcome: i32::from(message::StatementOutcome::Confirmed),
        ..message::BirthRegistrationStatement::default()
    };
    let body = Some(Body::BirthRegistrationStatement(body));
    let answer = Step::Answer(message::Content { body, ..message::Content::default() });
    take(cast, area, case, answer).await?;
    reaches(cast, cast.residence, case, Stage::Answered).await.map(drop)
}

/// Nothing is registered before both origins have answered; then both are told.
pub(super) async fn register(cast: &Cast, [wife, husband]: &[String; 2]) -> Outcome<()> {
    let clerk = cast.clerk(cast.residence).await?;
    let decide = || office::DecideBirthRegistrationRequest {
        case_id: wife.clone(),
        result: i32::from(message::RegistrationResult::Registered),
        decided_on: cast.today.to_string(),
        reason: String::new(),
        idempotency_key: "demo-registered".to_owned(),
    };
    let Err(early) = clerk.cases().decide_birth_registration(decide()).await else {
        return Err(Broken::NotRefused("registering before both have answered"));
    };
    let code = Failure::from(early).told.code;
    ensure(code == "STATE_FORBIDS", || format!("refused with {code}"))?;
    answer_of_origin(cast, cast.other_origin, husband).await?;
    let decided = clerk.cases().decide_birth_registration(decide()).await;
    decided.map_err(call(cast.residence))?;
    let told = |case: &office::Case| {
        case.steps.iter().any(|step| step.kind == Kind::BirthRegistrationResult.name())
    };
    until(cast, cast.origin, wife, told).await?;
    until(cast, cast.other_origin, husband, told).await?;
    Ok(Held::new(
        (),
        "一地未答复时登记被拒（STATE_FORBIDS）；两地答复后登记，结果通报两地",
        "refused while one answer was missing (STATE_FORBIDS); registered when both had come, and both origins were told",
    ))
}

/// A question that belongs to another office: it takes the case over, with one holder at any time.
pub(super) async fn hand_over(cast: &Cast, issued: &Issued) -> Outcome<()> {
    let (from, to) = (cast.origin, cast.other_origin);
    let body = message::CertificateInquiry {
        certificate_number: issued.number.clone(),
        claims: vec![i32::from(message::CertificateClaim::Validity)],
    };
    let content = cast.about_her(LawfulBasis::StatutoryDuty, Purpose::Certificate);
    let content = message::Content { body: Some(Body::CertificateInquiry(body)), ..content };
    let case = cast.send(cast.residence, from, content).await?.case_id;
    let asked = reaches(cast, from, &case, Stage::Asked).await?;
    let cause = i32::from(message::TransferCause::OfficeChanged);
    let offer = office::OfferCase { to: to.to_string(), cause, until_ms: 0 };
    take(cast, from, &case, Step::HandOver(offer)).await?;
    reaches(cast, to, &case, Stage::Offered).await?;
    take(cast, to, &case, Step::Accept(office::AcceptCase {})).await?;
    let holder = to.to_string();
    for area in [to, from, cast.residence] {
        let shown = until(cast, area, &case, |case| case.turn == holder).await?;
        ensure(shown.due_on == asked.due_on, || format!("another due day at {area}"))?;
    }
    let body = message::CertificateStatement {
        certificate_number: issued.number.clone(),
        state: i32::from(message::CertificateState::Valid),
        valid_until: cast.today.plus_years(3).to_string(),
        ..message::CertificateStatement::default()
    };
    let body = Some(Body::CertificateStatement(body));
    let answer = Step::Answer(message::Content { body, ..message::Content::default() });
    take(cast, to, &case, answer).await?;
    let answered = reaches(cast, cast.residence, &case, Stage::Answered).await?;
    let due = &asked.due_on;
    ensure(answered.answering == holder, || "another office answered".to_owned())?;
    Ok(Held::new(
        (),
        format!("{from} 移交 {to}，三地均见承办方为 {to}，期限不变（{due}）；由 {to} 答复"),
        format!(
            "{from} hands over to {to}; all three see {to} as its only holder, due on {due} as before; {to} answers"
        ),
    ))
}

/// What is to be done at each county, and what offices did this month, as numbers.
pub(super) async fn lists(cast: &Cast) -> Outcome<()> {
    let (mut cases, mut shown) = (0_usize, String::new());
    for area in [cast.residence, cast.origin, cast.other_origin] {
        let request = office::ListCasesRequest::default();
        let page = cast.clerk(area).await?.cases().list_cases(request).await;
        let page = page.map_err(call(area))?.into_inner().cases;
        cases += page.len();
        let row = |case: &office::Case| {
            vec![
                case.due_on.clone(),
                case.kind.clone(),
                case.stage().as_str_name().trim_start_matches("CASE_STAGE_").to_owned(),
                case.case_id.clone(),
            ]
        };
        let rows: Vec<_> = page.iter().take(SHOWN).map(row).collect();
        let heading = ["due 期限", "kind 种类", "stage 进度", "case 个案"];
        shown.push_str(&format!("to do at 待办 {area}\n{}\n", table(&heading, &rows)));
    }
    let period = this_month(cast)?;
    let mut numbers = 0_usize;
    for area in [cast.residence, cast.origin] {
        let request = office::ShowIndicatorsRequest { period: period.to_string(), leaving: false };
        let told = cast.supervisor(area).await?.indicators().show_indicators(request).await;
        let told = told.map_err(call(area))?.into_inner().indicators;
        numbers += told.len();
        let row = |number: &office::IndicatorNumber| {
            vec![
                format!("{} {}", number.indicator, number.indicator_zh),
                number.area.clone(),
                number.message_kind.clone(),
                format!("{}/{}", number.numerator, number.denominator),
            ]
        };
        let rows: Vec<_> = told.iter().take(SHOWN).map(row).collect();
        let heading = ["indicator 指标", "office 地区", "kind 种类", "number 数值"];
        shown.push_str(&format!(
            "indicators at 指标 {area}, {period}\n{}\n",
            table(&heading, &rows)
        ));
    }
    ensure(numbers > 0, || "nothing was counted".to_owned())?;
    let held = Held::new(
        (),
        format!("三地待办 {cases} 件，按期限排列；{period} 指标 {numbers} 项，均可点开到所计个案"),
        format!(
            "{cases} cases to do at three counties, earliest due first; {numbers} indicators of {period}, each opens into what it counts"
        ),
    );
    Ok(held.showing(shown))
}

/// The month whose work closes next.
pub(super) fn this_month(cast: &Cast) -> Result<Period, Broken> {
    let near = [0, 15].map(|days| cast.today.plus_days(days));
    let month = |day: domain::time::Date| Period::Month(day.year(), day.month_of_year());
    let fits = |period: &Period| {
        period.days().is_ok_and(|(first, last)| (first..=last).contains(&cast.today))
    };
    let found = near.into_iter().map(month).find(fits);
    found.ok_or_else(|| Broken::NotSo("today is in no month".to_owned()))
}
