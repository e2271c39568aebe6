//! The case service: convert, call one use case, convert back.

use std::time::Duration;

use domain::area::AreaCode;
use domain::case::{Pairing, Step};
use domain::hex::hex;
use domain::id::CaseId;
use domain::message::Body;
use domain::person::PersonReference;
use domain::purpose::Purpose;
use domain::text::Passage;
use domain::time::UnixMillis;
use store::Store;
use store::old_cases::OldCaseRow;
use tonic::{Request, Response, Status};
use wire::content::{body_from_pb, person_from_pb};
use wire::pb::message;
use wire::pb::office as pb;
use wire::pb::office::case_service_server::CaseService;
use wire::records::Form;

use super::Parts;
use super::access::why;
use super::field::{self, area, invalid, malformed, missing, size};
use super::track::count_to_pb;
use crate::api::caller::operator;
use crate::api::status::of_findings;
use crate::app::access::{self, Followed};
use crate::app::cases::couple::{self, Application, Decision};
use crate::app::cases::read::{self, Shown, Which};
use crate::app::cases::steps::{self, Action, Order};
use crate::app::{Ctx, old_cases, reading};
use crate::delivery::peers::Peers;

/// How long an offer to hand over stands, unless it says otherwise.
const OFFER_STANDS: Duration = Duration::from_secs(7 * 86_400);

/// The service.
pub(super) struct Cases {
    area: AreaCode,
    store: Store,
    peers: Peers,
}

impl Cases {
    pub(super) fn new(parts: &Parts) -> Self {
        Self { area: parts.settings.area, store: parts.store.clone(), peers: parts.peers.clone() }
    }

    fn ctx<T>(&self, request: &Request<T>) -> Result<Ctx, Status> {
        operator(request.extensions(), self.area)
    }

    fn shown(&self, ctx: &Ctx, id: CaseId) -> Result<pb::Case, Status> {
        Ok(to_pb(&read::show(ctx, &self.store, id)?))
    }
}

#[tonic::async_trait]
impl CaseService for Cases {
    async fn list_cases(
        &self,
        request: Request<pb::ListCasesRequest>,
    ) -> Result<Response<pb::ListCasesResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::ListCasesRequest { which, page_size, page_token } = request.into_inner();
        let which = match pb::CaseList::try_from(which) {
            Ok(pb::CaseList::Unspecified | pb::CaseList::Ours) => Which::Ours,
            Ok(pb::CaseList::Theirs) => Which::Theirs,
            Ok(pb::CaseList::Waiting) => Which::Waiting,
            Ok(pb::CaseList::All) => Which::All,
            Err(_) => return Err(invalid("which")),
        };
        access::follow(&ctx, &self.store, Followed::List("cases")).await?;
        let (size, token) = (size(page_size), field::page_token(&page_token)?);
        let page = reading(&self.store, move |store| read::list(&ctx, store, which, size, &token));
        let page = page.await?;
        Ok(Response::new(pb::ListCasesResponse {
            cases: page.cases.iter().map(to_pb).collect(),
            next_page_token: page.next.as_deref().map(hex).unwrap_or_default(),
        }))
    }

    async fn show_case(
        &self,
        request: Request<pb::ShowCaseRequest>,
    ) -> Result<Response<pb::ShowCaseResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let id = case_id(&request.get_ref().case_id)?;
        access::follow(&ctx, &self.store, Followed::Case(id)).await?;
        let case = self.shown(&ctx, id)?;
        Ok(Response::new(pb::ShowCaseResponse { case: Some(case) }))
    }

    async fn list_old_cases(
        &self,
        request: Request<pb::ListOldCasesRequest>,
    ) -> Result<Response<pb::ListOldCasesResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::ListOldCasesRequest { document, access } = request.into_inner();
        let mut form = Form::new();
        let document = form.document("document", document);
        let document = form.finish(document).map_err(of_findings)?;
        let why = why(access)?;
        let rows = old_cases::list(&ctx, &self.store, &document, why).await?;
        let old_cases = rows.iter().map(|row| old_case(row, why.purpose)).collect();
        Ok(Response::new(pb::ListOldCasesResponse { old_cases }))
    }

    async fn take_case_step(
        &self,
        request: Request<pb::TakeCaseStepRequest>,
    ) -> Result<Response<pb::TakeCaseStepResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::TakeCaseStepRequest { case_id: id, expected_version, idempotency_key, step } =
            request.into_inner();
        let case = case_id(&id)?;
        let action = action(step.ok_or_else(|| missing("step"))?, &ctx)?;
        let expected = expected_version;
        let order = Order { case, expected, action, idempotency_key, listed: false };
        steps::take(&ctx, &self.store, &self.peers, order).await?;
        let case = Some(self.shown(&ctx, case)?);
        Ok(Response::new(pb::TakeCaseStepResponse { case }))
    }

    async fn ask_for_birth_registration(
        &self,
        request: Request<pb::AskForBirthRegistrationRequest>,
    ) -> Result<Response<pb::AskForBirthRegistrationResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let application = application(request.into_inner())?;
        let cases = couple::ask(&ctx, &self.store, &self.peers, application).await?;
        let cases = cases.into_iter().map(|id| self.shown(&ctx, id)).collect::<Result<_, _>>()?;
        Ok(Response::new(pb::AskForBirthRegistrationResponse { cases }))
    }

    async fn decide_birth_registration(
        &self,
        request: Request<pb::DecideBirthRegistrationRequest>,
    ) -> Result<Response<pb::DecideBirthRegistrationResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::DecideBirthRegistrationRequest {
            case_id: id,
            result,
            decided_on,
            reason,
            idempotency_key,
        } = request.into_inner();
        let mut form = Form::new();
        let result = form.chosen("result", result);
        let decided_on = form.parsed("decided_on", &decided_on);
        let reason = maybe_reason(&mut form, &reason);
        let (result, decided_on) = form.finish(result.zip(decided_on)).map_err(of_findings)?;
        let case = case_id(&id)?;
        let decision = Decision { case, result, decided_on, reason, idempotency_key };
        let cases = couple::decide(&ctx, &self.store, &self.peers, decision).await?;
        let cases = cases.into_iter().map(|id| self.shown(&ctx, id)).collect::<Result<_, _>>()?;
        Ok(Response::new(pb::DecideBirthRegistrationResponse { cases }))
    }
}

fn maybe_reason(form: &mut Form, text: &str) -> Option<domain::text::WrittenReason> {
    if text.is_empty() { None } else { form.reason("reason", text) }
}

fn application(request: pb::AskForBirthRegistrationRequest) -> Result<Application, Status> {
    let pb::AskForBirthRegistrationRequest {
        application_number,
        married_on,
        children_stated,
        spouses,
        basis,
        idempotency_key,
        papers_on,
    } = request;
    let mut form = Form::new();
    let number =
        form.read("application_number", &application_number, domain::message::PrintedNumber::parse);
    let married_on = form.maybe_parsed("married_on", &married_on);
    let papers_on = form.maybe_parsed("papers_on", &papers_on);
    let basis = form.chosen("basis", basis);
    let (number, basis) = form.finish(number.zip(basis)).map_err(of_findings)?;
    let children = u8::try_from(children_stated).ok().and_then(|count| count.try_into().ok());
    let spouses = spouses.into_iter().map(spouse).collect::<Result<_, _>>()?;
    Ok(Application {
        number,
        married_on,
        children_stated: children.ok_or_else(|| invalid("children_stated"))?,
        papers_on,
        spouses,
        basis,
        idempotency_key,
    })
}

fn spouse(spouse: pb::Spouse) -> Result<(PersonReference, AreaCode), Status> {
    let pb::Spouse { person, origin } = spouse;
    let person = person.ok_or_else(|| missing("spouses.person"))?;
    let person = person_from_pb(person).map_err(malformed)?;
    Ok((person, area(&origin, "spouses.origin")?))
}

/// What is asked for; the bodies are read as they would be from an envelope.
fn action(step: pb::take_case_step_request::Step, ctx: &Ctx) -> Result<Action, Status> {
    use message::content::Body as Twin;
    use pb::take_case_step_request::Step as S;
    let read = |twin: Twin| body_from_pb(twin).map_err(malformed);
    let wrong = || invalid("step");
    Ok(match step {
        S::Pair(number) => {
            let pairing = u8::try_from(number).ok().and_then(Pairing::from_number);
            Action::Pair(pairing.ok_or_else(|| invalid("pair"))?)
        }
        S::Verify(_) => Action::Verify,
        S::Answer(content) => {
            let body = read(content.body.ok_or_else(|| missing("answer.body"))?)?;
            Action::Answer(Box::new(body))
        }
        S::Remind(twin) => match read(Twin::Remind(twin))? {
            Body::Remind(body) => Action::Remind(body.note),
            _ => return Err(wrong()),
        },
        S::Clarify(twin) => match read(Twin::Clarify(twin))? {
            Body::Clarify(body) => Action::Clarify(body.question),
            _ => return Err(wrong()),
        },
        S::Clarification(text) => Action::Clarification(passage("clarification", &text)?),
        S::Reject(twin) => match read(Twin::Reject(twin))? {
            Body::Reject(body) => Action::Reject(body.reason),
            _ => return Err(wrong()),
        },
        S::Correct(pb::CorrectCase { message_id, correction }) => {
            let id = field::parsed(&message_id, "correct.message_id")?;
            Action::Correct(id, passage("correct.correction", &correction)?)
        }
        S::Void(twin) => match read(Twin::Void(twin))? {
            Body::Void(body) => Action::Void(body.reason),
            _ => return Err(wrong()),
        },
        S::Close(twin) => match read(Twin::Close(twin))? {
            Body::Close(body) => Action::Close(body.note),
            _ => return Err(wrong()),
        },
        S::HandOver(pb::OfferCase { to, cause, until_ms }) => {
            let mut form = Form::new();
            let cause = form.chosen("hand_over.cause", cause);
            let cause = form.finish(cause).map_err(of_findings)?;
            let until = match until_ms {
                0 => ctx.now.saturating_add(OFFER_STANDS),
                at => UnixMillis::new(at),
            };
            if until <= ctx.now {
                return Err(invalid("hand_over.until_ms"));
            }
            Action::Offer(area(&to, "hand_over.to")?, cause, until)
        }
        S::Accept(_) => Action::Accept,
        S::Withdraw(_) => Action::Withdraw,
    })
}

fn passage(field: &'static str, text: &str) -> Result<Passage, Status> {
    let mut form = Form::new();
    let passage = form.read(field, text, Passage::new);
    form.finish(passage).map_err(of_findings)
}

fn case_id(text: &str) -> Result<CaseId, Status> {
    field::parsed(text, "case_id")
}

fn to_pb(shown: &Shown) -> pb::Case {
    let view = &shown.view;
    let open = !shown.is_deleted;
    let area = |area: Option<AreaCode>| area.map(|area| area.to_string()).unwrap_or_default();
    let last_day =
        |due: UnixMillis| due.saturating_sub(Duration::from_millis(1)).date().to_string();
    pb::Case {
        case_id: shown.id.to_string(),
        version: shown.version,
        kind: view.kind.filter(|_| open).map(|kind| kind.name().to_owned()).unwrap_or_default(),
        stage: i32::from(view.stage.number()),
        asking: area(view.asking.map(|held| held.area)),
        answering: area(view.answering.map(|held| held.area)),
        turn: area(view.holder().filter(|_| open)),
        ours: shown.ours.map_or(0, |seat| i32::from(seat.number())),
        due_on: view.due.filter(|_| open).map(last_day).unwrap_or_default(),
        due_counted: shown.counted.map_or(0, |counted| count_to_pb(counted).into()),
        late: shown.is_late,
        paused_ms: view.paused.map_or(0, UnixMillis::get),
        pairing: shown.pairing.map_or(0, |pairing| i32::from(pairing.number())),
        verified: shown.verified,
        answer_id: view.answer.map(|id| id.to_string()).unwrap_or_default(),
        hand_over: shown.offer.map(|(offer, state)| pb::HandOverState {
            state: i32::from(state.number()),
            seat: i32::from(offer.seat.number()),
            from: offer.from.to_string(),
            to: offer.to.to_string(),
            until_ms: offer.until.get(),
        }),
        steps: shown.steps.iter().map(|step| event(shown, step)).collect(),
        together: shown.together.iter().map(ToString::to_string).collect(),
        content_deleted: shown.is_deleted,
        papers_on: shown.papers_on.map(|day| day.to_string()).unwrap_or_default(),
        ask_due_on: shown.asked.map(|(due, _)| last_day(due)).unwrap_or_default(),
        asked_late: shown.asked.is_some_and(|(_, late)| late),
        result_due_on: shown.result.map(|(due, _)| last_day(due)).unwrap_or_default(),
        result_late: shown.result.is_some_and(|(_, late)| late),
    }
}

fn old_case(row: &OldCaseRow, why: Purpose) -> pb::OldCase {
    let OldCaseRow { case, author } = row;
    pb::OldCase {
        number: case.number.expose(&why).to_owned(),
        kind: case.kind.name().to_owned(),
        ours: case.ours.number().into(),
        other: case.other.to_string(),
        opened_on: case.opened_on.to_string(),
        old_state: case.state.number().into(),
        ended_on: case.ended_on.map(|day| day.to_string()).unwrap_or_default(),
        change: Some(pb::Change {
            version: 1,
            operator: author.operator.to_string(),
            at_ms: author.at.get(),
            reason: author.why.expose(&why).to_owned(),
        }),
    }
}

fn event(shown: &Shown, step: &Step) -> pb::CaseEvent {
    let unnamed = shown.unnamed.contains(&step.id);
    let idle = shown.view.idle.iter().find(|(id, _)| *id == step.id);
    pb::CaseEvent {
        message_id: step.id.to_string(),
        kind: if unnamed { String::new() } else { step.deed.kind().name().to_owned() },
        from: step.from.to_string(),
        to: step.to.to_string(),
        at_ms: step.created.get(),
        waits: shown.view.waiting.contains(&step.id),
        no_effect: idle.map(|(_, reason)| reason.code().to_owned()).unwrap_or_default(),
    }
}
