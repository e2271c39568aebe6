//! Two versions of one content side by side, field by field.

use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, ReflectMessage as _, Value,
};
use serde_json::json;

use super::super::connect::message;
use super::super::label;
use super::super::output::table;
use super::{is_told, plain, pool};

/// What stands for a field that one side does not have.
const NOTHING: &str = "—";

/// A field, with what each side has in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Line {
    /// Where it is, by the names of the proto files: `arrival_notice.reason`.
    path: String,
    /// How deep it is.
    depth: usize,
    /// As it is shown; none for a field that holds others.
    sides: Option<[Option<String>; 2]>,
}

impl Line {
    fn differs(&self) -> bool {
        self.sides.as_ref().is_some_and(|[left, right]| left != right)
    }
}

/// All fields that either side has, in the order of the proto files.
pub(in crate::cli) fn lines(sides: [Option<&message::Content>; 2]) -> Vec<Line> {
    let mut lines = Vec::new();
    let sides = sides.map(|side| side.and_then(|content| dynamic(pool(), content)));
    walk(sides.each_ref().map(Option::as_ref), "", 0, &mut lines);
    lines
}

fn dynamic(pool: &DescriptorPool, content: &message::Content) -> Option<DynamicMessage> {
    let descriptor = pool.get_message_by_name("liangdi.message.v1.Content")?;
    let bytes = prost::Message::encode_to_vec(content);
    DynamicMessage::decode(descriptor, bytes.as_slice()).ok()
}

fn walk(sides: [Option<&DynamicMessage>; 2], within: &str, depth: usize, lines: &mut Vec<Line>) {
    let Some(descriptor) = sides.into_iter().flatten().next().map(|side| side.descriptor()) else {
        return;
    };
    for field in descriptor.fields() {
        let value = |side: Option<&DynamicMessage>| {
            let side = side.filter(|side| is_told(side, &field))?;
            Some(side.get_field(&field).into_owned())
        };
        let values = sides.map(value);
        if values.iter().all(Option::is_none) {
            continue;
        }
        let dot = if within.is_empty() { "" } else { "." };
        let path = format!("{within}{dot}{}", field.name());
        of_field(&field, values, (path, depth), lines);
    }
}

fn of_field(
    field: &FieldDescriptor,
    values: [Option<Value>; 2],
    (path, depth): (String, usize),
    lines: &mut Vec<Line>,
) {
    if !matches!(field.kind(), Kind::Message(_)) {
        let sides = values.map(|value| value.map(|value| plain(field, &value)));
        lines.push(Line { path, depth, sides: Some(sides) });
        return;
    }
    let items = |value: &Option<Value>| -> Vec<DynamicMessage> {
        match value {
            Some(Value::Message(inner)) => vec![inner.clone()],
            Some(Value::List(items)) => {
                items.iter().filter_map(Value::as_message).cloned().collect()
            }
            _ => Vec::new(),
        }
    };
    let [left, right] = values.each_ref().map(items);
    for index in 0..left.len().max(right.len()) {
        let path = if field.is_list() { format!("{path}[{index}]") } else { path.clone() };
        lines.push(Line { path: path.clone(), depth, sides: None });
        walk([left.get(index), right.get(index)], &path, depth + 1, lines);
    }
}

/// For people: a table with a mark where the two differ.
pub(in crate::cli) fn text(lines: &[Line]) -> String {
    let row = |line: &Line| {
        let name = line.path.rsplit('.').next().unwrap_or(&line.path);
        let (name, number) = name.split_once('[').unwrap_or((name, ""));
        let number = number.trim_end_matches(']').parse::<usize>();
        let number = number.map_or_else(|_| String::new(), |index| format!(" {}", index + 1));
        let field = format!("{}{}{number}", "  ".repeat(line.depth), label::of(name));
        let mark = if line.differs() { "≠" } else { "" };
        let [left, right] = line.sides.clone().map_or_else(
            || [String::new(), String::new()],
            |sides| sides.map(|side| side.unwrap_or_else(|| NOTHING.to_owned())),
        );
        vec![mark.to_owned(), field, left, right]
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    table(&["", "字段 field", "发方 sender", "收方 recipient"], &rows)
}

/// For programs.
pub(in crate::cli) fn json(lines: &[Line]) -> serde_json::Value {
    let each = lines.iter().filter_map(|line| {
        let [sender, recipient] = line.sides.as_ref()?;
        let differs = line.differs();
        Some(json!({
            "field": line.path, "sender": sender, "recipient": recipient, "differs": differs
        }))
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(name: &str, reason: i32, document: bool) -> message::Content {
        let document = document.then(|| message::IdentityDocument {
            number: "110101199001011234".to_owned(),
            ..message::IdentityDocument::default()
        });
        let person = message::PersonReference { name: name.to_owned(), document };
        let notice = message::ArrivalNotice { reason, ..message::ArrivalNotice::default() };
        message::Content {
            purpose: 1,
            person: Some(person),
            body: Some(message::content::Body::ArrivalNotice(notice)),
            ..message::Content::default()
        }
    }

    fn differing(left: &message::Content, right: &message::Content) -> Vec<String> {
        let lines = lines([Some(left), Some(right)]);
        lines.iter().filter(|line| line.differs()).map(|line| line.path.clone()).collect()
    }

    #[test]
    fn what_differs_is_marked_field_by_field() {
        let ours = notice("王芳", 2, true);
        assert_eq!(differing(&ours, &ours), Vec::<String>::new());
        let other = notice("王方", 1, true);
        assert_eq!(differing(&ours, &other), ["person.name", "arrival_notice.reason"]);
        let lines = lines([Some(&ours), Some(&other)]);
        let text = text(&lines);
        let marked: Vec<_> = text.lines().filter(|line| line.contains('≠')).collect();
        assert_eq!(marked.len(), 2, "{text}");
        assert!(marked[0].contains("王芳") && marked[0].contains("王方"), "{text}");
        let json = json(&lines);
        let name = json.as_array().unwrap().iter().find(|it| it["field"] == "person.name");
        assert_eq!(name.unwrap()["differs"], true);
        assert_eq!(name.unwrap()["recipient"], "王方");
    }

    #[test]
    fn what_only_one_side_has_differs_whatever_it_is() {
        let (ours, without) = (notice("王芳", 2, true), notice("王芳", 2, false));
        assert!(differing(&ours, &without).contains(&"person.document.number".to_owned()));
        assert!(differing(&without, &ours).contains(&"person.document.number".to_owned()));
        let other = message::Content {
            body: Some(message::content::Body::DepartureNotice(Default::default())),
            ..ours.clone()
        };
        let paths = differing(&ours, &other);
        assert!(paths.contains(&"arrival_notice.reason".to_owned()), "{paths:?}");
        // One side alone: nothing to compare with, and everything is shown.
        let alone = lines([Some(&ours), None]);
        assert!(alone.iter().any(|line| line.path == "person.name"));
        assert!(lines([None, None]).is_empty());
    }
}
