//! Protobuf messages as people and programs see them, driven by the proto files themselves: one walk for all.

use domain::hex::hex;
use std::sync::LazyLock;

use domain::time::UnixMillis;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, ReflectMessage as _,
    Value,
};
use serde_json::{Map, json};
use uuid::Uuid;

use super::connect::office;
use super::label;
use super::output::{Answer, record, table, time};

pub(super) mod pair;

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(wire::FILE_DESCRIPTOR_SET).ok());

/// The proto files; they are compiled in.
pub(super) fn pool() -> &'static DescriptorPool {
    static EMPTY: LazyLock<DescriptorPool> = LazyLock::new(DescriptorPool::new);
    // A test shows that the built-in set decodes.
    POOL.as_ref().unwrap_or(&EMPTY)
}

/// A generated message that can be shown.
pub(super) trait Shown: prost::Message {
    /// Its name in the proto files.
    const NAME: &'static str;
}

macro_rules! shown {
    ($($message:ident)+) => { $(
        impl Shown for office::$message {
            const NAME: &'static str = concat!("liangdi.office.v1.", stringify!($message));
        }
    )+ };
}

shown! {
    AccessRecord AcknowledgeNoticeResponse AskForBirthRegistrationResponse Backup BulkHandOver BundleReport Case
    ChangePersonResponse
    CountyReport GetDecisionResponse GetLedgerHeadResponse GetTwoHeadsResponse ProveEntryResponse ProveGrowthResponse
    Reconciliation ReconciliationDifference StatementSummary
    Agreement ApplicationToAsk
    ChangeRegistrationResponse DeadLetter DirectoryCard DirectoryKey DirectoryList
    ErasePersonResponse
    DecideAgreementResponse DecideDifferenceResponse DiscardDeadLetterResponse Draw EndAgreementResponse EndRegistrationResponse EndedArea EndorseCertificateResponse
    FindPersonResponse GetAgreementResponse GetAreaResponse GetCertificateResponse GetDeadLetterResponse
    GetMessageResponse OldCase GetPeerResponse GetRegistrationResponse GetStatusResponse
    Import ImportFinding IndicatorCase IndicatorNumber IssueCertificateResponse LinkStep ListConsentsResponse Maintenance Notice OperatorReads Peer
    RecordConsentResponse RecordServiceRequestResponse RegisterArrivalResponse
    RenewCertificateResponse ReplaceCertificateResponse ResendDeadLetterResponse
    ProposeAgreementResponse ReleaseResidenceResponse
    RetireNodeResponse RevokeCertificateResponse SendMessageResponse TestPeerResponse Track
    VerifyCredentialResponse WithdrawConsentResponse WithdrawServiceRequestResponse WithdrawalSpread
}

/// The dynamic form of a generated message.
fn dynamic<M: Shown>(message: &M) -> Option<DynamicMessage> {
    let descriptor = pool().get_message_by_name(M::NAME)?;
    DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).ok()
}

/// A whole message as an answer. For programs every field by its proto name, ids as UUIDs, enums by their code, absent
/// things null; for people names and values, without what is empty.
pub(super) fn answer<M: Shown>(message: &M) -> Answer {
    let Some(message) = dynamic(message) else {
        return Answer::new(serde_json::Value::Null, "");
    };
    let mut pairs = Vec::new();
    describe(&message, 0, &mut pairs);
    Answer::new(object(&message), record(&pairs))
}

/// Messages of one kind as a table with the columns named; for programs the whole messages.
pub(super) fn rows<M: Shown>(messages: &[M], columns: &[&str]) -> Answer {
    let messages: Vec<_> = messages.iter().filter_map(dynamic).collect();
    let cells = |m: &DynamicMessage| -> Vec<String> {
        columns.iter().map(|column| cell(m, column)).collect()
    };
    let rows: Vec<_> = messages.iter().map(cells).collect();
    let last = |column: &&str| column.rsplit('.').next().unwrap_or(column).to_owned();
    let headings: Vec<String> = columns.iter().map(|c| label::heading(&last(c))).collect();
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let text = if rows.is_empty() { "(none)".to_owned() } else { table(&headings, &rows) };
    Answer::new(messages.iter().map(object).collect(), text)
}

/// A field of a message, or of one inside it: `track.stage`.
fn cell(message: &DynamicMessage, column: &str) -> String {
    let (name, rest) = column.split_once('.').unwrap_or((column, ""));
    let Some(field) = message.descriptor().get_field_by_name(name) else { return String::new() };
    let value = message.get_field(&field);
    match value.as_message() {
        Some(inner) if !rest.is_empty() => cell(inner, rest),
        _ => plain(&field, &value),
    }
}

fn object(message: &DynamicMessage) -> serde_json::Value {
    let absent = |field: &FieldDescriptor| {
        field.containing_oneof().is_some_and(|o| !o.is_synthetic()) && !message.has_field(field)
    };
    let descriptor = message.descriptor();
    let fields = descriptor.fields().filter(|field| !absent(field)).map(|field| {
        let nothing = field.supports_presence() && !message.has_field(&field);
        let value = if nothing {
            serde_json::Value::Null
        } else {
            for_programs(&field, &message.get_field(&field))
        };
        (field.name().to_owned(), value)
    });
    serde_json::Value::Object(fields.collect::<Map<_, _>>())
}

fn for_programs(field: &FieldDescriptor, value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(v) => json!(v),
        Value::I32(v) => json!(v),
        Value::I64(v) => json!(v),
        Value::U32(v) => json!(v),
        Value::U64(v) => json!(v),
        Value::F32(v) => json!(v),
        Value::F64(v) => json!(v),
        Value::String(v) => json!(v),
        Value::Bytes(v) => json!(bytes(v)),
        Value::EnumNumber(n) => match field.kind() {
            Kind::Enum(list) => json!(code(&list, *n)),
            _ => json!(n),
        },
        Value::Message(m) => object(m),
        Value::List(values) => values.iter().map(|v| for_programs(field, v)).collect(),
        // No proto file of ours has a map.
        Value::Map(_) => serde_json::Value::Null,
    }
}

/// Code of an enum value without the prefix of its list; nothing for "not stated".
fn code(list: &EnumDescriptor, number: i32) -> Option<String> {
    if number == 0 {
        return None;
    }
    Some(list.get_value(number).map_or(number.to_string(), |v| short(list, v.name())))
}

/// `PURPOSE_CERTIFICATE` of the list `Purpose` is `CERTIFICATE`.
pub(super) fn short(list: &EnumDescriptor, name: &str) -> String {
    // The first value is always PREFIX_UNSPECIFIED.
    let first = list.get_value(0);
    let prefix = first.as_ref().and_then(|v| v.name().strip_suffix("UNSPECIFIED"));
    prefix.and_then(|p| name.strip_prefix(p)).unwrap_or(name).to_owned()
}

/// Sixteen bytes are an id; anything else is shown in hexadecimal.
fn bytes(value: &[u8]) -> String {
    match Uuid::from_slice(value) {
        Ok(id) => id.hyphenated().to_string(),
        Err(_) => hex(value),
    }
}

fn describe(message: &DynamicMessage, depth: usize, pairs: &mut Vec<(String, String)>) {
    let name =
        |field: &FieldDescriptor| format!("{}{}", "  ".repeat(depth), label::of(field.name()));
    for field in message.descriptor().fields().filter(|f| is_told(message, f)) {
        match message.get_field(&field).as_ref() {
            Value::Message(inner) => {
                pairs.push((name(&field), "·".to_owned()));
                describe(inner, depth + 1, pairs);
            }
            Value::List(items) if matches!(field.kind(), Kind::Message(_)) => {
                for (index, inner) in items.iter().filter_map(Value::as_message).enumerate() {
                    pairs.push((name(&field), format!("· {} / {}", index + 1, items.len())));
                    describe(inner, depth + 1, pairs);
                }
            }
            value => pairs.push((name(&field), plain(&field, value))),
        }
    }
}

/// Shown to people as a picture, after everything else.
const PRINTED_APART: [&str; 2] = ["credential", "credential_svg"];

/// What is empty is left out, but "no" and "none" are answers.
fn is_told(message: &DynamicMessage, field: &FieldDescriptor) -> bool {
    let is_answer = match field.kind() {
        Kind::Bool => true,
        Kind::Uint32 | Kind::Uint64 => !field.name().ends_with("_ms"),
        _ => false,
    };
    let stated = field.supports_presence() || field.is_list() || !is_answer;
    !PRINTED_APART.contains(&field.name()) && (message.has_field(field) || !stated)
}

/// A value on one line for people.
fn plain(field: &FieldDescriptor, value: &Value) -> String {
    match value {
        Value::U64(0) if field.name().ends_with("_ms") => String::new(),
        Value::U64(v) if field.name().ends_with("_ms") => time(UnixMillis::new(*v)),
        Value::Bool(v) => if *v { "yes" } else { "no" }.to_owned(),
        Value::EnumNumber(n) => match field.kind() {
            Kind::Enum(list) => match (code(&list, *n), label::of_value(list.name(), *n)) {
                (Some(code), Some(zh)) => format!("{code} {zh}"),
                (Some(code), None) => code,
                (None, _) => String::new(),
            },
            _ => n.to_string(),
        },
        Value::List(values) => {
            values.iter().map(|v| plain(field, v)).collect::<Vec<_>>().join(", ")
        }
        other => match for_programs(field, other) {
            serde_json::Value::String(text) => text,
            json => json.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::connect::message;
    use super::*;

    fn sample() -> office::GetMessageResponse {
        let person = message::PersonReference { name: "王芳".to_owned(), document: None };
        let notice = message::ArrivalNotice {
            registration_id: vec![7; 16],
            reason: 2,
            ..message::ArrivalNotice::default()
        };
        let content = message::Content {
            purpose: 1,
            person: Some(person),
            body: Some(message::content::Body::ArrivalNotice(notice)),
            ..message::Content::default()
        };
        let track = office::Track { stage: 2, created_ms: 1_700_000_000_000, ..Default::default() };
        office::GetMessageResponse { track: Some(track), content: Some(content) }
    }

    #[test]
    fn programs_see_every_field_and_only_the_body_there_is() {
        let json = answer(&sample()).json;
        assert_eq!(json["track"]["stage"], "STORED");
        assert_eq!(json["track"]["created_ms"], 1_700_000_000_000_u64);
        assert_eq!(json["track"]["stored_ms"], 0);
        assert_eq!(json["track"]["turn"], "");
        assert_eq!(json["content"]["purpose"], "RESIDENCE_REGISTRATION");
        assert_eq!(json["content"]["basis"], serde_json::Value::Null);
        assert_eq!(json["content"]["consent"], serde_json::Value::Null);
        let notice = &json["content"]["arrival_notice"];
        assert_eq!(notice["registration_id"], "07070707-0707-0707-0707-070707070707");
        assert_eq!(notice["reason"], "FAMILY");
        assert!(json["content"].get("birth_report").is_none());
    }

    #[test]
    fn people_see_what_is_there() {
        let text = answer(&sample()).text;
        assert!(text.contains("stage 进度"), "{text}");
        assert!(text.contains("STORED 对方已入库"), "{text}");
        assert!(text.contains("2023-11-15 06:13:20 +08:00"), "{text}");
        assert!(text.contains("王芳"), "{text}");
        assert!(!text.contains("stored 对方入库时间"), "{text}");
    }

    #[test]
    fn rows_have_the_columns_named() {
        let peers = [office::Peer { area: "440305".to_owned(), waiting: 3, ..Default::default() }];
        let answer = rows(&peers, &["area", "waiting", "connected"]);
        assert_eq!(answer.json[0]["waiting"], 3);
        assert!(answer.text.starts_with("地区"), "{}", answer.text);
        assert!(answer.text.contains("440305  3     no"), "{}", answer.text);
        let none = rows::<office::Peer>(&[], &["area"]);
        assert_eq!((none.json.to_string().as_str(), none.text.as_str()), ("[]", "(none)"));
    }
}
