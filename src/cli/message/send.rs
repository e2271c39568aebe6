//! `liangdi message send` and `answer`.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use domain::area::AreaCode;
use domain::id::{CaseId, ConsentId, MessageId, RequestId};
use domain::message::Kind;
use domain::numbered::Numbered;
use domain::purpose::{LawfulBasis, Purpose};
use domain::time::Date;

use super::super::connect::{Office, message, office};
use super::super::exit::Failure;
use super::super::given::{DocumentArgs, Maybe, choice};
use super::super::output::Answer;
use super::super::view;
use super::compose;

#[derive(ClapArgs, Debug)]
pub(super) struct Send {
    /// What is sent, such as ArrivalNotice; all: liangdi message kinds
    #[arg(value_parser = super::kind)]
    kind: Kind,
    /// County it is for 发往地
    #[arg(long, value_name = "CODE")]
    to: AreaCode,
    #[command(flatten)]
    person: Maybe<Whom>,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    body: Body,
    #[command(flatten)]
    how: How,
    /// Why it is asked although an earlier report answers it 再次询问的原因
    #[arg(long, value_name = "REASON", default_value = "")]
    ask_again: String,
}

#[derive(ClapArgs, Debug)]
pub(super) struct Reply {
    /// The message that is answered 通报编号
    message: MessageId,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    body: Body,
    #[command(flatten)]
    how: How,
}

/// Whom it is about.
#[derive(ClapArgs)]
pub(in crate::cli) struct Whom {
    #[command(flatten)]
    document: DocumentArgs,
    /// Name as in the document 姓名
    #[arg(long)]
    name: String,
}

impl std::fmt::Debug for Whom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Whom").finish_non_exhaustive()
    }
}

#[derive(ClapArgs, Debug)]
pub(in crate::cli) struct Why {
    /// Lawful basis; may be left out where only one is possible 合法性基础
    #[arg(long, value_parser = choice(LawfulBasis::chinese))]
    basis: Option<LawfulBasis>,
    /// Purpose; may be left out where only one is possible 目的
    #[arg(long, value_parser = choice(Purpose::chinese))]
    purpose: Option<Purpose>,
    /// Her recorded consent that covers it 同意编号
    #[arg(long, value_name = "ID", conflicts_with = "request")]
    consent: Option<ConsentId>,
    /// Her recorded request for a service that covers it 服务申请编号
    #[arg(long, value_name = "ID")]
    request: Option<RequestId>,
}

#[derive(ClapArgs)]
pub(in crate::cli) struct Body {
    /// A field of the body; several times; lists as a,b 内容
    #[arg(long = "set", value_name = "FIELD=VALUE", value_parser = pair)]
    pub(in crate::cli) pairs: Vec<(String, String)>,
    /// The body as a JSON object, from a file or - for standard input
    #[arg(long = "body", value_name = "FILE.json")]
    pub(in crate::cli) file: Option<PathBuf>,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("file", &self.file).finish_non_exhaustive()
    }
}

#[derive(ClapArgs, Debug)]
pub(in crate::cli) struct How {
    /// Last day on which it has a purpose; 90 days when left out
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(in crate::cli) expires_on: Option<Date>,
    /// Makes a repeated call harmless
    #[arg(long, value_name = "KEY", default_value = "")]
    pub(in crate::cli) idempotency_key: String,
}

pub(in crate::cli) fn pair(typed: &str) -> Result<(String, String), String> {
    let (field, value) = typed.split_once('=').ok_or("write it as field=value")?;
    Ok((field.trim().to_owned(), value.to_owned()))
}

/// Sends a message that opens a case or reports something.
pub(super) async fn send(office: &Office, given: Send) -> Result<Answer, Failure> {
    let content = message::Content {
        person: given.person.0.map(person).transpose()?,
        asked_again: given.ask_again,
        ..message::Content::default()
    };
    let content = why(content, given.kind, &given.why)?;
    let content =
        compose::fill(content, given.kind, given.body.file.as_deref(), &given.body.pairs)?;
    hand_in(office, given.to.to_string(), content, given.how).await
}

/// Answers a message: reads it first, and takes over what both have in common.
pub(super) async fn reply(office: &Office, given: Reply) -> Result<Answer, Failure> {
    let request = office::GetMessageRequest {
        message_id: given.message.to_string(),
        access: given.why.access(),
    };
    let asked = office.messages().get_message(request).await?.into_inner();
    let (track, question) = match (asked.track, asked.content) {
        (Some(track), Some(content)) => (track, content),
        _ => return Err(Failure::failed("the node has the message without its content")),
    };
    let kind = Kind::from_name(&track.kind).and_then(Kind::answered_by).ok_or_else(|| {
        Failure::refused(format!("{} is not answered", track.kind)).zh("此类通报无需答复")
    })?;
    let case: CaseId = track
        .case_id
        .parse()
        .map_err(|_| Failure::failed("the node named a case by something that is no id"))?;
    let content = message::Content {
        case_id: case.as_bytes().to_vec(),
        in_reply_to: given.message.as_bytes().to_vec(),
        basis: question.basis,
        purpose: question.purpose,
        consent: question.consent,
        service_request: question.service_request,
        person: question.person,
        ..message::Content::default()
    };
    let content = why(content, kind, &given.why)?;
    let content = compose::fill(content, kind, given.body.file.as_deref(), &given.body.pairs)?;
    hand_in(office, track.from, content, given.how).await
}

async fn hand_in(
    office: &Office,
    to: String,
    content: message::Content,
    how: How,
) -> Result<Answer, Failure> {
    let request = office::SendMessageRequest {
        to,
        content: Some(content),
        idempotency_key: how.idempotency_key,
        expires_ms: how.expires_on.map_or(0, |day| day.ends().get()),
    };
    let sent = office.messages().send_message(request).await?.into_inner();
    let next = format!("\nFollow it: liangdi message track {}", sent.message_id);
    Ok(view::answer(&sent).and(&next))
}

pub(in crate::cli) fn person(given: Whom) -> Result<message::PersonReference, Failure> {
    Ok(message::PersonReference { document: Some(given.document.read()?), name: given.name })
}

impl Why {
    /// Reading a message in order to answer it is the office's duty, and that is what the log then says.
    pub(in crate::cli) fn access(&self) -> Option<office::Access> {
        let access = office::Access {
            basis: i32::from(self.basis.unwrap_or(LawfulBasis::StatutoryDuty).number()),
            purpose: i32::from(self.purpose.unwrap_or(Purpose::Verification).number()),
        };
        Some(access)
    }
}

/// Basis and purpose as typed; else those of the consent or request named, or of the message answered, or the only
/// ones the kind allows. Never a guess between several.
pub(in crate::cli) fn why(
    content: message::Content,
    kind: Kind,
    given: &Why,
) -> Result<message::Content, Failure> {
    let implied = match (given.consent, given.request) {
        (Some(_), _) => Some(LawfulBasis::Consent),
        (_, Some(_)) => Some(LawfulBasis::ServiceRequest),
        (None, None) => None,
    };
    let consent = given.consent.map(|id| message::ConsentReference {
        consent_id: id.as_bytes().to_vec(),
        ..message::ConsentReference::default()
    });
    let service_request = given.request.map(|id| message::ServiceRequestReference {
        request_id: id.as_bytes().to_vec(),
        ..message::ServiceRequestReference::default()
    });
    let basis = settle("basis", given.basis.or(implied), content.basis, kind, kind.bases())?;
    let purpose = settle("purpose", given.purpose, content.purpose, kind, kind.purposes())?;
    Ok(message::Content {
        basis,
        purpose,
        consent: consent.or(content.consent),
        service_request: service_request.or(content.service_request),
        ..content
    })
}

fn settle<T: Numbered>(
    option: &str,
    typed: Option<T>,
    taken_over: i32,
    kind: Kind,
    allowed: &[T],
) -> Result<i32, Failure> {
    match (typed, taken_over, allowed) {
        (Some(typed), _, _) => Ok(i32::from(typed.number())),
        (None, 1.., _) => Ok(taken_over),
        (None, _, [only]) => Ok(i32::from(only.number())),
        (None, _, several) => {
            let names = several.iter().map(|v| v.code().to_lowercase().replace('_', "-"));
            let names = names.collect::<Vec<_>>().join(" or ");
            Err(Failure::usage(format!("{} needs --{option}: {names}", kind.name())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Why {
        Why { basis: None, purpose: None, consent: None, request: None }
    }

    #[test]
    fn the_only_possible_purpose_need_not_be_typed_but_a_choice_must() {
        let refused = why(message::Content::default(), Kind::ArrivalNotice, &nothing());
        let text = refused.unwrap_err().for_people();
        assert!(text.contains("own-application or statutory-duty"), "{text}");
        let given = Why { basis: Some(LawfulBasis::StatutoryDuty), ..nothing() };
        let content = why(message::Content::default(), Kind::ArrivalNotice, &given).unwrap();
        assert_eq!((content.basis, content.purpose), (4, 1));
    }

    #[test]
    fn a_consent_is_its_own_basis() {
        let id: ConsentId = "0190a1b2-0000-7000-8000-000000000001".parse().unwrap();
        let given = Why { consent: Some(id), ..nothing() };
        let content = why(message::Content::default(), Kind::PregnancyReport, &given).unwrap();
        assert_eq!((content.basis, content.purpose), (2, 4));
        assert_eq!(content.consent.unwrap().consent_id, id.as_bytes());
    }

    #[test]
    fn an_answer_keeps_the_basis_of_its_question() {
        let asked = message::Content { basis: 1, purpose: 2, ..message::Content::default() };
        let content = why(asked, Kind::CertificateStatement, &nothing()).unwrap();
        assert_eq!((content.basis, content.purpose), (1, 2));
    }

    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        send: Send,
    }

    #[test]
    fn a_person_is_taken_whole_or_not_at_all() {
        use clap::Parser;
        let typed = |more: &[&str]| {
            let words = ["send", "ArrivalNotice", "--to", "410522"].iter().chain(more);
            Typed::try_parse_from(words).map(|typed| typed.send.person.0.is_some())
        };
        assert!(!typed(&[]).unwrap());
        assert!(typed(&["--name", "王芳", "--document", "X"]).unwrap());
        assert!(typed(&["--name", "王芳"]).is_err());
        assert!(typed(&["--document", "X"]).is_err());
    }

    #[test]
    fn pairs_are_split_once() {
        assert_eq!(pair("note=a=b"), Ok(("note".to_owned(), "a=b".to_owned())));
        assert!(pair("note").is_err());
    }
}
