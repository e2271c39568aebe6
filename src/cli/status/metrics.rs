//! The figures of a node as text for a monitor: the text format of Prometheus, such as the textfile collector of
//! node_exporter reads it. Counts only; no message, no person, no kind.

use std::fmt::Write as _;

use crate::cli::connect::office;

/// Everything that `GetStatus` counts, by name; times in seconds since 1970, nothing where there is no such time.
pub(super) fn text(status: &office::GetStatusResponse) -> String {
    let mut text = Metrics { area: &status.area, text: String::new() };
    node(&mut text, status);
    if let Some(reconciling) = &status.reconciling {
        reconciliation(&mut text, reconciling);
    }
    text.text
}

struct Metrics<'a> {
    area: &'a str,
    text: String,
}

impl Metrics<'_> {
    /// One figure, under `liangdi_` and this name.
    fn gauge(&mut self, name: &str, help: &str, value: impl Into<u64>) {
        self.gauges(name, help, [(String::new(), value.into())]);
    }

    /// One figure each, told apart by a label such as `,state="LEFT"`.
    fn gauges(&mut self, name: &str, help: &str, each: impl IntoIterator<Item = (String, u64)>) {
        // Writing to a text cannot fail.
        let _written =
            writeln!(self.text, "# HELP liangdi_{name} {help}\n# TYPE liangdi_{name} gauge")
                .is_ok();
        for (label, value) in each {
            let area = self.area;
            let _written =
                writeln!(self.text, "liangdi_{name}{{area=\"{area}\"{label}}} {value}").is_ok();
        }
    }

    /// A time that there may not have been.
    fn time(&mut self, name: &str, help: &str, millis: u64) {
        let there = (millis > 0).then_some((String::new(), millis / 1_000));
        self.gauges(name, help, there);
    }
}

fn node(text: &mut Metrics<'_>, status: &office::GetStatusResponse) {
    let one = |is: bool| u64::from(is);
    text.gauge("serving", "Whether the node can accept and sign.", one(status.serving));
    text.gauge("ledger_entries", "Entries in the ledger.", status.ledger_size);
    text.gauge("dead_letters", "Dead letters that wait for somebody.", status.dead_letters);
    text.gauge("notices", "Notices that nobody has taken off the list.", status.notices);
    text.gauge("disk_free_bytes", "Bytes free on the disk of the data.", status.disk_free_bytes);
    let full = one(status.disk_nearly_full);
    text.gauge("disk_nearly_full", "Less is free than has to be.", full);
    let until = status.certificate_until_ms;
    text.time("certificate_until_seconds", "End of the node's certificate.", until);
    text.time("last_backup_seconds", "When the newest backup was made.", status.last_backup_ms);
    text.time("restored_seconds", "When the data were last restored.", status.restored_ms);
}

fn reconciliation(text: &mut Metrics<'_>, it: &office::Reconciling) {
    let state = |(state, count): (&str, u64)| (format!(",state=\"{state}\""), count);
    let states = [
        ("RUNNING", it.running),
        ("EQUAL", it.equal),
        ("DECISIONS", it.with_decisions),
        ("LEFT", it.left),
        ("FAILED", it.failed),
    ];
    let help = "The newest 500 reconciliations, by state.";
    text.gauges("reconcile_runs", help, states.map(state));
    text.gauge("reconcile_found", "Differences that they have found.", it.found);
    text.gauge("reconcile_cured", "Of these, cured.", it.cured);
    text.gauge("reconcile_lost", "Messages that nobody has any more.", it.lost);
    text.gauge("reconcile_bytes", "Bytes that came for their comparisons.", it.compared_bytes);
    let open = it.decisions;
    text.gauge("reconcile_decisions_open", "Messages about which a person has to decide.", open);
    let count = |peers: &[String]| u64::try_from(peers.len()).unwrap_or(u64::MAX);
    let unproven = count(&it.unproven);
    text.gauge("ledger_heads_unproven", "Peers that owe a proof of their ledger.", unproven);
    let broken = count(&it.set_back);
    text.gauge("ledger_heads_broken", "Peers with two heads of different histories.", broken);
    let waiting = it.cures_waiting;
    text.gauge("reconcile_cures_waiting", "Cures that counties have to collect here.", waiting);
    let open = it.periods_open;
    text.gauge("reconcile_periods_open", "Periods that are due and not closed.", open);
    let with = |area: &str| format!(",with=\"{area}\"");
    let overdue = it.unclosed.iter().map(|area| (with(area), 1));
    text.gauges("reconcile_overdue", "Sides with a period overdue for three days.", overdue);
    let closed = it.closed.iter().map(|it| (with(&it.with), it.made_ms / 1_000));
    text.gauges("reconcile_closed_seconds", "When days were last closed with a side.", closed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitor_finds_every_figure_with_its_name_and_its_side() {
        let reconciling = office::Reconciling {
            running: 1,
            failed: 2,
            lost: 3,
            decisions: 4,
            unproven: vec!["410522".to_owned(); 5],
            cures_waiting: 6,
            periods_open: 7,
            unclosed: vec!["440000".to_owned()],
            ..Default::default()
        };
        let status = office::GetStatusResponse {
            area: "410000".to_owned(),
            serving: true,
            last_backup_ms: 1_800_000_000_123,
            reconciling: Some(reconciling),
            ..Default::default()
        };
        let text = text(&status);
        for line in [
            "liangdi_serving{area=\"410000\"} 1",
            "liangdi_last_backup_seconds{area=\"410000\"} 1800000000",
            "liangdi_reconcile_runs{area=\"410000\",state=\"FAILED\"} 2",
            "liangdi_reconcile_lost{area=\"410000\"} 3",
            "liangdi_reconcile_decisions_open{area=\"410000\"} 4",
            "liangdi_ledger_heads_unproven{area=\"410000\"} 5",
            "liangdi_reconcile_cures_waiting{area=\"410000\"} 6",
            "liangdi_reconcile_periods_open{area=\"410000\"} 7",
            "liangdi_reconcile_overdue{area=\"410000\",with=\"440000\"} 1",
            "# TYPE liangdi_reconcile_lost gauge",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
        assert!(!text.contains("restored_seconds{"), "it never was: {text}");
        let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let mut names: Vec<_> = names.collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "each is told once");
        // Every figure of an alarm is one of these.
        let alarms = include_str!("../../../deploy/prometheus-alerts.yml");
        for word in alarms.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            if word.starts_with("liangdi_") {
                assert!(names.contains(&format!("{word} gauge").as_str()), "{word}");
            }
        }
    }
}
