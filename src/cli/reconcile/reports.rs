//! `liangdi reconcile reports`: how far each county below this node has reported.

use clap::Args as ClapArgs;
use domain::time::{Month, UnixMillis};
use serde_json::json;

use crate::cli::connect::{Office, office};
use crate::cli::exit::Failure;
use crate::cli::output::{Answer, table, time};
use crate::cli::view;

#[derive(ClapArgs, Debug)]
pub(super) struct Reports {
    /// Also each day of this month that is over, such as 2026-10: whether everything of it was reported 逐日
    #[arg(long, value_name = "MONTH")]
    month: Option<Month>,
}

/// Asks for it.
pub(super) async fn reports(office: &Office, given: Reports) -> Result<Answer, Failure> {
    let month = given.month.map(|month| month.to_string()).unwrap_or_default();
    let with_days = !month.is_empty();
    let request = office::ListReportsRequest { month };
    let list = office.reconcile().list_reports(request).await?.into_inner();
    let json = json!({ "reports": view::rows(&list.reports, &["county"]).json });
    Ok(Answer::new(json, text(&list.reports, with_days)))
}

fn text(reports: &[office::CountyReport], with_days: bool) -> String {
    let mut headings = vec!["县 county", "报全至 complete through", "欠报 lacks", "收到 received"];
    if with_days {
        headings.push("逐日 days");
    }
    let rows: Vec<_> = reports.iter().map(|report| row(report, with_days)).collect();
    let mut text = table(&headings, &rows);
    let lacking = reports.iter().filter(|it| !it.reported || !it.lacks_since_day.is_empty());
    let (lacking, all) = (lacking.count(), reports.len());
    text.push_str(&format!(
        "\n{all} 县，{lacking} 县未报全 {all} counties, {lacking} of them without everything\n"
    ));
    if with_days {
        text.push_str("■ 已报全 everything is here; □ 未报全 not everything\n");
    }
    text
}

fn row(report: &office::CountyReport, with_days: bool) -> Vec<String> {
    let lacks = match (report.reported, report.lacks_since_day.as_str()) {
        (false, _) => "从未上报 never reported".to_owned(),
        (true, "") => String::new(),
        (true, since) => format!("自 since {since}"),
    };
    let received = match report.reported {
        true => time(UnixMillis::new(report.received_ms)),
        false => String::new(),
    };
    let county = format!("{} {}", report.county, report.county_name);
    let mut cells = vec![county, report.complete_through_day.clone(), lacks, received];
    if with_days {
        cells.push(
            report.reported_days.iter().map(|day| if day.complete { '■' } else { '□' }).collect(),
        );
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_never_reported_is_named_and_days_are_marked() {
        let day = |day: &str, complete| office::ReportedDay { day: day.to_owned(), complete };
        let silent = office::CountyReport {
            county: "410522".to_owned(),
            reported_days: vec![day("2026-10-01", false), day("2026-10-02", false)],
            ..Default::default()
        };
        let good = office::CountyReport {
            county: "410523".to_owned(),
            reported: true,
            complete_through_day: "2026-10-01".to_owned(),
            lacks_since_day: "2026-10-02".to_owned(),
            reported_days: vec![day("2026-10-01", true), day("2026-10-02", false)],
            ..Default::default()
        };
        let whole = office::CountyReport {
            county: "410526".to_owned(),
            reported: true,
            complete_through_day: "2026-10-02".to_owned(),
            ..Default::default()
        };
        let text = text(&[silent, good, whole], true);
        let line = |county: &str| text.lines().find(|line| line.contains(county)).unwrap();
        assert!(line("410522").contains("从未上报") && line("410522").contains("□□"), "{text}");
        assert!(line("410523").contains("since 2026-10-02") && line("410523").contains("■□"));
        assert!(!line("410526").contains("since"), "{text}");
        assert!(text.contains("3 counties, 2 of them without everything"), "{text}");
    }
}
