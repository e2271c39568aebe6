//! The indicator service: numbers of offices, and what they count.

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::indicator::{Indicator, Period};
use domain::message::Kind;
use store::Store;
use tonic::{Request, Response, Status};
use wire::pb::office as pb;
use wire::pb::office::indicator_service_server::IndicatorService;

use super::Parts;
use super::field::{area, invalid, maybe, parsed};
use crate::api::caller::operator;
use crate::app::access::{self, Followed};
use crate::app::indicators::{self, CASES_MAX, Number, case_id};
use crate::app::reading;

pub(super) struct Indicators {
    area: AreaCode,
    store: Store,
}

impl Indicators {
    pub(super) fn new(parts: &Parts) -> Self {
        Self { area: parts.settings.area, store: parts.store.clone() }
    }
}

#[tonic::async_trait]
impl IndicatorService for Indicators {
    async fn show_indicators(
        &self,
        request: Request<pb::ShowIndicatorsRequest>,
    ) -> Result<Response<pb::ShowIndicatorsResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let pb::ShowIndicatorsRequest { period, leaving } = request.into_inner();
        let period = period_of(&period)?;
        let (first, last) = period.days().map_err(|_| invalid("period"))?;
        let work = move |store: &Store| indicators::show(&ctx, store, period, leaving);
        let numbers = reading(&self.store, work).await?;
        Ok(Response::new(pb::ShowIndicatorsResponse {
            first_day: first.to_string(),
            last_day: last.to_string(),
            indicators: numbers.iter().map(number).collect(),
        }))
    }

    async fn list_indicator_cases(
        &self,
        request: Request<pb::ListIndicatorCasesRequest>,
    ) -> Result<Response<pb::ListIndicatorCasesResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let request = request.into_inner();
        let period = period_of(&request.period)?;
        let indicator =
            Indicator::from_code(&request.indicator).ok_or_else(|| invalid("indicator"))?;
        let kind = match request.message_kind.as_str() {
            "" => None,
            name => Some(Kind::from_name(name).ok_or_else(|| invalid("message_kind"))?),
        };
        let after = maybe::<MessageId>(&request.after, "after")?.map(|id| *id.as_bytes());
        let key = (indicator.number(), area(&request.area, "area")?, kind);
        access::follow(&ctx, &self.store, Followed::List("indicator cases")).await?;
        let work = move |store: &Store| indicators::cases(&ctx, store, period, key, after);
        let cases = reading(&self.store, work).await?;
        let full = cases.len() == CASES_MAX;
        let next = cases.last().filter(|_| full).map(|(id, _)| case_id(*id));
        let case = |(id, counted)| pb::IndicatorCase { id: case_id(id), counted };
        Ok(Response::new(pb::ListIndicatorCasesResponse {
            cases: cases.into_iter().map(case).collect(),
            next_after: next.unwrap_or_default(),
        }))
    }
}

fn period_of(text: &str) -> Result<Period, Status> {
    parsed(text, "period")
}

fn number(number: &Number) -> pb::IndicatorNumber {
    let count = number.count.unwrap_or_default();
    pb::IndicatorNumber {
        indicator: number.indicator.code().to_owned(),
        indicator_zh: number.indicator.chinese().to_owned(),
        area: number.area.to_string(),
        message_kind: number.kind.map(|kind| kind.name().to_owned()).unwrap_or_default(),
        numerator: count.numerator,
        denominator: count.denominator,
        small: number.count.is_none(),
    }
}
