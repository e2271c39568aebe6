//! `liangdi message kinds`: what can be sent, and what each kind has to say.

use domain::clock::Clock;
use domain::clock::table::{self as clocks, Entry, of_kind};
use domain::message::{Kind, Urgency};
use domain::numbered::Numbered;
use prost_reflect::FieldDescriptor;
use serde_json::json;

use super::super::exit::Failure;
use super::super::label;
use super::super::output::{Answer, record, table};
use super::compose::{body_of, wanted};

/// The proto file itself: descriptors at run time have no comments.
const BODIES: &str = include_str!("../../../proto/liangdi/message/v1/bodies.proto");

/// All kinds.
pub(super) fn all() -> Answer {
    let headings = ["kind", "种类", "answered by", "within"];
    let rows: Vec<_> = Kind::ALL
        .iter()
        .map(|kind| {
            vec![
                kind.name().to_owned(),
                kind.chinese().to_owned(),
                kind.answered_by().map(|k| k.name().to_owned()).unwrap_or_default(),
                kind.clock().map(within).unwrap_or_default(),
            ]
        })
        .collect();
    Answer::new(Kind::ALL.iter().map(|k| facts(*k)).collect(), table(&headings, &rows))
        .and("\nWhat a kind says: liangdi message kinds KIND")
}

/// One kind with its fields.
pub(super) fn one(kind: Kind) -> Result<Answer, Failure> {
    let (_, body) = body_of(kind)
        .ok_or_else(|| Failure::failed(format!("{} is not in the proto files", kind.name())))?;
    let pairs = [
        ("kind", format!("{} {}", kind.name(), kind.chinese())),
        ("answered by", kind.answered_by().map(|k| k.name().to_owned()).unwrap_or_default()),
        ("within", kind.clock().map(within).unwrap_or_default()),
        ("rule", of_kind(kind, Urgency::Normal).map(rule).unwrap_or_default()),
        ("basis", codes(kind.bases(), |b| b.code()).join(" | ")),
        ("purpose", codes(kind.purposes(), |p| p.code()).join(" | ")),
        ("needs", kind.needs_consent().map(needs).unwrap_or_default().to_owned()),
        ("sent", if kind.is_sent_by_nodes() { "by nodes themselves" } else { "" }.to_owned()),
    ];
    let fields = || body.fields();
    let takes = |f: &FieldDescriptor| {
        let several = if f.is_list() { " (several: a,b)" } else { "" };
        format!("{}{several}", wanted(&f.kind()))
    };
    let rows: Vec<_> = fields()
        .map(|f| vec![f.name().to_owned(), label::heading(f.name()), comment(&f), takes(&f)])
        .collect();
    let mut json = facts(kind);
    if let Some(object) = json.as_object_mut() {
        let field = |f: FieldDescriptor| json!({ "field": f.name(), "takes": takes(&f), "says": comment(&f) });
        object.insert("fields".to_owned(), fields().map(field).collect());
    }
    let text = table(&["--set field=", "中文", "says", "takes"], &rows);
    Ok(Answer::new(json, record(&pairs)).and("\n").and(&text))
}

fn needs(_: domain::consent::ConsentScope) -> &'static str {
    "the person's recorded consent (--consent ID) or her own service request (--request ID)"
}

fn facts(kind: Kind) -> serde_json::Value {
    json!({
        "kind": kind.name(),
        "chinese": kind.chinese(),
        "answered_by": kind.answered_by().map(|k| k.name()),
        "within": kind.clock().map(within),
        "bases": codes(kind.bases(), |b| b.code()),
        "purposes": codes(kind.purposes(), |p| p.code()),
        "needs_consent": kind.needs_consent().map(Numbered::code),
        "passes_without_agreement": kind.passes_without_agreement(),
        "sent_by_nodes": kind.is_sent_by_nodes(),
    })
}

fn codes<T: Copy>(values: &[T], code: fn(T) -> &'static str) -> Vec<String> {
    values.iter().map(|v| code(*v).to_lowercase().replace('_', "-")).collect()
}

/// The rule in which the number of days stands, and its line in the table of clocks.
fn rule(entry: &Entry) -> String {
    format!("{} ({}, version {})", entry.source, entry.id, clocks::version())
}

fn within(clock: Clock) -> String {
    match clock {
        Clock::Days(days) => format!("{days} days"),
        Clock::WorkingDays(days) => format!("{days} working days"),
    }
}

/// The comment of a field in the proto file, which is its documentation.
fn comment(field: &FieldDescriptor) -> String {
    let body = format!("message {} {{", field.parent_message().name());
    let text = BODIES.split_once(&body).map(|(_, rest)| rest).unwrap_or_default();
    let mut said = String::new();
    for line in text.lines().map(str::trim).skip(1).take_while(|line| *line != "}") {
        if let Some(comment) = line.strip_prefix("//") {
            said.push_str(comment);
        } else if line.contains(&format!(" {} = ", field.name())) {
            break;
        } else {
            said.clear();
        }
    }
    said.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_can_be_explained() {
        for kind in Kind::ALL {
            let answer = one(*kind).unwrap();
            assert!(answer.text.contains(kind.chinese()));
            for field in answer.json["fields"].as_array().unwrap() {
                assert!(!field["says"].as_str().unwrap().is_empty(), "{kind:?} {field}");
            }
        }
        assert!(all().text.contains("ArrivalFeedback"));
    }
}
