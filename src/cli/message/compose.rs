//! Fills in the body of a message from what was typed, by the names and types of the proto files.

use std::path::Path;

use domain::message::Kind;
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind as Type, MessageDescriptor,
    ReflectMessage as _, Value,
};
use serde_json::Value as Json;
use uuid::Uuid;

use super::super::connect::message::Content;
use super::super::exit::Failure;
use super::super::given::text_file;
use super::super::view::{pool, short};

const CONTENT: &str = "liangdi.message.v1.Content";

/// The fields of a kind's body.
pub(super) fn body_of(kind: Kind) -> Option<(FieldDescriptor, MessageDescriptor)> {
    let content = pool().get_message_by_name(CONTENT)?;
    let field = content.get_field(u32::from(kind.number()))?;
    let body = field.kind().as_message()?.clone();
    Some((field, body))
}

/// Puts a body of `kind` into `content`, over the one that is there, from a JSON file and then from pairs
/// `field=value`; later ones win.
pub(in crate::cli) fn fill(
    content: Content,
    kind: Kind,
    file: Option<&Path>,
    pairs: &[(String, String)],
) -> Result<Content, Failure> {
    let broken = || Failure::failed(format!("{} is not in the proto files", kind.name()));
    let (field, descriptor) = body_of(kind).ok_or_else(broken)?;
    let mut whole = DynamicMessage::new(field.parent_message().clone());
    whole.transcode_from(&content).map_err(|_| broken())?;
    let mut body = match whole.get_field(&field).as_message() {
        Some(there) if whole.has_field(&field) => there.clone(),
        _ => DynamicMessage::new(descriptor),
    };
    for (name, value) in from_file(file)? {
        set(&mut body, kind, &name, &value)?;
    }
    for (name, text) in pairs {
        set(&mut body, kind, name, &Json::String(text.clone()))?;
    }
    whole.set_field(&field, Value::Message(body));
    whole.transcode_to().map_err(|_| broken())
}

fn from_file(file: Option<&Path>) -> Result<serde_json::Map<String, Json>, Failure> {
    let Some(path) = file else { return Ok(serde_json::Map::new()) };
    serde_json::from_str(&text_file(path)?)
        .map_err(|e| Failure::usage(format!("{} is not a JSON object: {e}", path.display())))
}

fn set(body: &mut DynamicMessage, kind: Kind, name: &str, value: &Json) -> Result<(), Failure> {
    let descriptor = body.descriptor();
    let Some(field) = descriptor.get_field_by_name(name) else {
        let names: Vec<_> = descriptor.fields().map(|f| f.name().to_owned()).collect();
        return Err(Failure::usage(format!("{} has no field {name}", kind.name()))
            .advise(format!("its fields are: {}", names.join(", "))));
    };
    if value.is_null() {
        return Ok(());
    }
    let value = read(&field, value).map_err(|wanted| {
        Failure::usage(format!("{name} of {} has to be {wanted}", kind.name()))
            .advise(format!("see: liangdi message kinds {}", kind.name()))
    })?;
    body.set_field(&field, value);
    Ok(())
}

/// A value for a field; the error says what would be one, and does not repeat what was typed.
fn read(field: &FieldDescriptor, value: &Json) -> Result<Value, String> {
    if !field.is_list() {
        return read_one(&field.kind(), value);
    }
    let items: Vec<Json> = match value {
        Json::Array(items) => items.clone(),
        Json::String(text) => text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(|item| Json::String(item.to_owned()))
            .collect(),
        other => vec![other.clone()],
    };
    items
        .iter()
        .map(|item| read_one(&field.kind(), item))
        .collect::<Result<_, _>>()
        .map(Value::List)
}

fn read_one(kind: &Type, value: &Json) -> Result<Value, String> {
    let text = match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    let wanted = || wanted(kind);
    match kind {
        Type::String => value.as_str().map(|t| Value::String(t.to_owned())).ok_or_else(wanted),
        Type::Bool => match text.as_str() {
            "true" | "yes" => Ok(Value::Bool(true)),
            "false" | "no" => Ok(Value::Bool(false)),
            _ => Err(wanted()),
        },
        Type::Uint32 => text.parse().map(Value::U32).map_err(|_| wanted()),
        Type::Bytes => Uuid::parse_str(&text)
            .map(|id| Value::Bytes(id.as_bytes().to_vec().into()))
            .map_err(|_| wanted()),
        Type::Enum(list) => choice(list, &text).map(Value::EnumNumber).ok_or_else(wanted),
        // No body has a field of another type; a new one has to be thought about here.
        _ => Err(wanted()),
    }
}

fn choice(list: &EnumDescriptor, typed: &str) -> Option<i32> {
    let typed = typed.to_uppercase().replace('-', "_");
    let typed = typed.strip_prefix("UNSPECIFIED").map_or(typed.as_str(), |_| "");
    list.values().find(|v| short(list, v.name()) == typed).map(|v| v.number())
}

/// The choices of a list, as they can be typed.
pub(super) fn choices(list: &EnumDescriptor) -> String {
    let stated = list.values().filter(|v| v.number() != 0);
    let names = stated.map(|v| short(list, v.name()).to_lowercase().replace('_', "-"));
    names.collect::<Vec<_>>().join(" | ")
}

/// What a field takes, in words.
pub(super) fn wanted(kind: &Type) -> String {
    match kind {
        Type::String => "a text".to_owned(),
        Type::Bool => "yes or no".to_owned(),
        Type::Uint32 => "a whole number".to_owned(),
        Type::Bytes => "an id, written as a UUID".to_owned(),
        Type::Enum(list) => choices(list),
        Type::Message(part) => format!("{} (set by the node)", part.name()),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::connect::message;
    use super::*;

    fn filled(kind: Kind, pairs: &[(&str, &str)]) -> Result<Content, Failure> {
        let pairs: Vec<_> = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        fill(Content { purpose: 4, ..Content::default() }, kind, None, &pairs)
    }

    #[test]
    fn every_kind_has_a_body_of_its_name() {
        for kind in Kind::ALL {
            let (_, body) = body_of(*kind).unwrap();
            assert_eq!(body.name(), kind.name());
            let typed = !kind.is_sent_by_nodes() && !kind.is_step() && !kind.is_of_agreements();
            for field in body.fields().filter(|_| typed) {
                let known = matches!(
                    field.kind(),
                    Type::String | Type::Bool | Type::Uint32 | Type::Bytes | Type::Enum(_)
                );
                assert!(known, "{} cannot be typed", field.full_name());
            }
        }
    }

    #[test]
    fn pairs_become_a_body() {
        let content = filled(
            Kind::PregnancyReport,
            &[
                ("expected_month", "2027-03"),
                ("services_wanted", "antenatal-care, POSTNATAL_VISIT"),
            ],
        )
        .unwrap();
        assert_eq!(content.purpose, 4, "the rest stays");
        let Some(message::content::Body::PregnancyReport(body)) = content.body else {
            panic!("another body")
        };
        assert_eq!(body.expected_month, "2027-03");
        assert_eq!(body.services_wanted, [3, 4]);
    }

    #[test]
    fn what_is_there_stays_unless_something_else_is_typed() {
        let first = filled(
            Kind::PregnancyReport,
            &[("expected_month", "2027-03"), ("note", "she prefers mornings")],
        );
        let pairs = [("expected_month".to_owned(), "2027-04".to_owned())];
        let edited = fill(first.unwrap(), Kind::PregnancyReport, None, &pairs).unwrap();
        let Some(message::content::Body::PregnancyReport(body)) = edited.body else {
            panic!("another body")
        };
        assert_eq!(
            (body.expected_month.as_str(), body.note.as_str()),
            ("2027-04", "she prefers mornings")
        );
    }

    #[test]
    fn ids_are_typed_as_uuids() {
        let id = "0190a1b2-0000-7000-8000-000000000001";
        let content = filled(Kind::ArrivalNotice, &[("registration_id", id)]).unwrap();
        let Some(message::content::Body::ArrivalNotice(body)) = content.body else {
            panic!("another body")
        };
        assert_eq!(Uuid::from_slice(&body.registration_id).unwrap().to_string(), id);
    }

    #[test]
    fn what_does_not_fit_names_what_would() {
        let unknown = filled(Kind::ArrivalFeedback, &[("outcom", "confirmed")]).unwrap_err();
        assert!(unknown.advice.contains("outcome"), "{unknown:?}");
        let wrong = filled(Kind::ArrivalFeedback, &[("outcome", "maybe")]).unwrap_err();
        assert!(wrong.en.contains("not-ours"), "{wrong:?}");
        assert!(!wrong.en.contains("maybe"), "what was typed may be personal");
        assert!(filled(Kind::ArrivalFeedback, &[("outcome", "")]).is_err());
        assert!(filled(Kind::ArrivalFeedback, &[("outcome", "unspecified")]).is_err());
    }

    #[test]
    fn a_file_and_pairs_together() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("body.json");
        let json = r#"{"outcome":"DIFFERS","marital_status":null,"children":2,"reason":"two"}"#;
        std::fs::write(&path, json).unwrap();
        let pairs = [("reason".to_owned(), "two on record".to_owned())];
        let kind = Kind::BirthRegistrationStatement;
        let content = fill(Content::default(), kind, Some(&path), &pairs).unwrap();
        let Some(message::content::Body::BirthRegistrationStatement(body)) = content.body else {
            panic!("another body")
        };
        assert_eq!((body.outcome, body.children), (2, Some(2)));
        assert_eq!(body.reason, "two on record");
    }
}
