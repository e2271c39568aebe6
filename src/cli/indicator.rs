//! `liangdi indicator`: what offices did in a period, as numbers, and what each number counts.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use domain::indicator::{Indicator, Period};
use domain::message::Kind;
use serde_json::json;

use super::connect::{ConnectArgs, Office, office};
use super::exit::Failure;
use super::given::{choice, new_file};
use super::output::Answer;
use super::view;

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// The indicators of a period, with numerator and denominator 查看
    Show {
        /// Statistical month (2026-03: 21 February to 20 March, unlike the calendar months of `reconcile`), quarter of such
        /// months (2026-Q1) or statistical year (2026, from October) 期间（统计月，上月21日至当月20日）
        period: Period,
        /// Write them as CSV into a file that may leave the office; small counts are left out 导出
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// The messages or registrations that one number counts 明细
    Cases {
        /// Period, as for `show` 期间
        period: Period,
        /// Which indicator 指标
        #[arg(long, value_parser = choice(Indicator::chinese))]
        indicator: Indicator,
        /// County whose office is measured 地区
        #[arg(long, value_name = "CODE")]
        of: AreaCode,
        /// Kind of message; left out for what counts registrations 种类
        #[arg(long, value_parser = |text: &str| Kind::from_name(text).ok_or("no such kind"))]
        kind: Option<Kind>,
        /// Go on after this id
        #[arg(long, value_name = "ID", default_value = "")]
        after: String,
    },
}

const COLUMNS: &[&str] =
    &["indicator", "indicator_zh", "area", "message_kind", "numerator", "denominator", "small"];

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    let node = args.connect.open().await?;
    match args.verb {
        Verb::Show { period, out } => show(&node, period, out).await,
        Verb::Cases { period, indicator, of, kind, after } => {
            let request = office::ListIndicatorCasesRequest {
                period: period.to_string(),
                indicator: indicator.code().to_owned(),
                area: of.to_string(),
                message_kind: kind.map(|kind| kind.name().to_owned()).unwrap_or_default(),
                after,
            };
            let page = node.indicators().list_indicator_cases(request).await?.into_inner();
            let rows = view::rows(&page.cases, &["id", "counted"]);
            let next = page.next_after;
            let json = json!({ "cases": rows.json, "next_after": next });
            let answer = Answer::new(json, rows.text);
            Ok(if next.is_empty() {
                answer
            } else {
                answer.and(&format!("\nMore: --after {next}"))
            })
        }
    }
}

async fn show(node: &Office, period: Period, out: Option<PathBuf>) -> Result<Answer, Failure> {
    let request =
        office::ShowIndicatorsRequest { period: period.to_string(), leaving: out.is_some() };
    let shown = node.indicators().show_indicators(request).await?.into_inner();
    let office::ShowIndicatorsResponse { first_day, last_day, indicators } = shown;
    if let Some(out) = &out {
        new_file(out, csv(&first_day, &last_day, &indicators).as_bytes())?;
    }
    let rows = view::rows(&indicators, COLUMNS);
    let json = json!({ "first_day": first_day, "last_day": last_day, "indicators": rows.json });
    Ok(Answer::new(json, rows.text).and(&format!(
        "\n{first_day} – {last_day}; what a number counts 明细: liangdi indicator cases {period} --indicator … --of …"
    )))
}

/// Codes and numbers only: nothing in it needs quoting.
fn csv(first: &str, last: &str, numbers: &[office::IndicatorNumber]) -> String {
    let head = "first_day,last_day,indicator,area,message_kind,numerator,denominator\r\n";
    let lines = numbers.iter().map(|n| {
        let (numerator, denominator) = match n.small {
            true => ("<5".to_owned(), "<5".to_owned()),
            false => (n.numerator.to_string(), n.denominator.to_string()),
        };
        let (indicator, area, kind) = (&n.indicator, &n.area, &n.message_kind);
        format!("{first},{last},{indicator},{area},{kind},{numerator},{denominator}\r\n")
    });
    std::iter::once(head.to_owned()).chain(lines).collect()
}
