//! What a run after a restore says besides how it ended: what nobody can bring back.

use domain::time::UnixMillis;
use serde_json::{Value, json};

use crate::cli::connect::office;
use crate::cli::exit::Exit;
use crate::cli::output::{Answer, time};

/// What nobody can bring back, and whom nobody could ask.
pub(super) fn told(answer: Answer, begun: &office::StartReconciliationResponse) -> Answer {
    let (from, until) = (begun.lost_from_ms, begun.lost_until_ms);
    let at = |millis: u64| time(UnixMillis::new(millis));
    let unnamed = unnamed(&answer.json, begun);
    // Whatever was made of damaged files may lack something of any time.
    let since = match from {
        0 => "任何时间（由损坏文件重建） any time (rebuilt from damaged files)".to_owned(),
        from => at(from),
    };
    let mut answer = answer.and(&format!(
        "\n{since} – {}: 此间只存于丢失磁盘、未曾发出的记录无法找回，请逐项核对。\nWhat was entered in this time and had not left this node is lost: registrations, certificates, drafts. Check the paper.\n{unnamed}",
        at(until),
    ));
    if !begun.left_out.is_empty() {
        let codes = begun.left_out.join(" ");
        answer = answer.and(&format!(
            "\n{codes}: 无法联系，往来通报未找回；请其接通后重试，或由两省对账。\nThese counties cannot be called: what they hold is not brought back. Try again when they can, or let the two provinces reconcile.\n"
        ));
        answer = answer.ending(Exit::Failed);
    }
    if let Some(object) = answer.json.as_object_mut() {
        object.insert("left_out".to_owned(), json!(begun.left_out));
        object.insert("lost_from_ms".to_owned(), json!((from > 0).then_some(from)));
        object.insert("lost_until_ms".to_owned(), json!(until));
    }
    answer
}

/// Messages of which time nothing names, by what the node above was told before.
fn unnamed(answer: &Value, begun: &office::StartReconciliationResponse) -> String {
    let runs = answer["reconciliations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let recall = runs.iter().find(|run| run["number"] == begun.recall && begun.recall != 0);
    let state = recall.and_then(|run| run["state"].as_str()).unwrap_or_default();
    let named = recall.and_then(|run| run["named_until_ms"].as_u64()).unwrap_or_default();
    let number = begun.recall;
    let at = |millis: u64| time(UnixMillis::new(millis));
    match state {
        "RUNNING" => format!(
            "尚在向上级核对，此间哪些通报已丢失尚不得知：liangdi reconcile show {number}\nThe node above is still being asked: which messages of this time are lost is not known yet. See: liangdi reconcile show {number}\n"
        ),
        "FAILED" => format!(
            "未能向上级核对：此间哪些通报已丢失尚不得知，并非无一丢失；请稍后继续：liangdi reconcile resume {number}\nThe node above could not be asked: which messages of this time are lost is not known, and not that none is. Go on later: liangdi reconcile resume {number}\n"
        ),
        _ if named > begun.lost_from_ms => format!(
            "{} – {}: 此间尚未上报、也未送达任何一方的通报无法逐件列明。\nMessages of this time had not been reported: what of it reached nobody is lost, and nothing names it.\n",
            at(named),
            at(begun.lost_until_ms),
        ),
        _ => "此间未向上级上报，已丢失的通报无法逐件列明。\nNothing of this time was reported to the node above: messages that reached nobody are lost, and nothing names them.\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nothing_names_is_told_by_how_the_node_above_answered() {
        let begun = office::StartReconciliationResponse {
            recall: 3,
            lost_from_ms: 1_000,
            lost_until_ms: 9_000,
            ..Default::default()
        };
        let told = |state: &str, named: u64| {
            let run = json!({ "number": 3, "state": state, "named_until_ms": named });
            unnamed(&json!({ "reconciliations": [{ "number": 1, "state": "EQUAL" }, run] }), &begun)
        };
        assert!(told("FAILED", 0).contains("reconcile resume 3"));
        assert!(told("RUNNING", 0).contains("reconcile show 3"));
        assert!(told("EQUAL", 5_000).contains("had not been reported"));
        assert!(told("EQUAL", 0).contains("Nothing of this time was reported"));
        let none = office::StartReconciliationResponse::default();
        assert!(unnamed(&json!({}), &none).contains("Nothing of this time was reported"));
    }
}
