//! `liangdi dead-letter`: messages that did not arrive, and what somebody does about them.

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::message::Kind;
use serde_json::json;

use super::connect::{ConnectArgs, Office, office};
use super::exit::Failure;
use super::given::{AccessArgs, Maybe, PageArgs};
use super::message::compose;
use super::message::send::{self, Body, How, Whom, Why};
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
    /// What waits for somebody, newest first, without content 列出
    List(List),
    /// Show one with its content; the look is in the access log 查看
    Show {
        /// Message 通报编号
        message: MessageId,
        #[command(flatten)]
        access: AccessArgs,
    },
    /// Correct and send again, as a new message that names the old one 改正重发
    Resend(Resend),
    /// Send again as it was, as a new message that names the old one 原样重发
    Replay {
        /// Message 通报编号
        message: MessageId,
        #[command(flatten)]
        how: How,
    },
    /// Give up, with a written reason; also a message that has not arrived yet 放弃
    Discard {
        /// Message 通报编号
        message: MessageId,
        /// Why, in writing 原因
        #[arg(long)]
        reason: String,
        /// Makes a repeated call harmless
        #[arg(long, value_name = "KEY", default_value = "")]
        idempotency_key: String,
    },
}

#[derive(ClapArgs, Debug)]
struct List {
    /// Also those about which something was done
    #[arg(long)]
    all: bool,
    /// Only for this county
    #[arg(long, value_name = "CODE")]
    to: Option<AreaCode>,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(ClapArgs, Debug)]
struct Resend {
    /// Message 通报编号
    message: MessageId,
    /// County it is for now; the same one when left out 发往地
    #[arg(long, value_name = "CODE")]
    to: Option<AreaCode>,
    #[command(flatten)]
    person: Maybe<Whom>,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    body: Body,
    #[command(flatten)]
    how: How,
}

const COLUMNS: &[&str] = &[
    "since_ms",
    "track.message_id",
    "track.kind_zh",
    "track.to",
    "cause",
    "track.reason",
    "field",
    "state",
    "track.replaced_by",
];

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    let office = args.connect.open().await?;
    match args.verb {
        Verb::List(given) => list(&office, given).await,
        Verb::Show { message, access } => {
            Ok(view::answer(&get(&office, message, Some(access.read())).await?))
        }
        Verb::Resend(given) => resend(&office, given).await,
        Verb::Replay { message, how } => {
            let request = office::ResendDeadLetterRequest {
                message_id: message.to_string(),
                content: None,
                to: String::new(),
                expires_ms: how.expires_on.map_or(0, |day| day.ends().get()),
                idempotency_key: how.idempotency_key,
            };
            hand_in(&office, request).await
        }
        Verb::Discard { message, reason, idempotency_key } => {
            let message_id = message.to_string();
            let request = office::DiscardDeadLetterRequest { message_id, reason, idempotency_key };
            let done = office.delivery().discard_dead_letter(request).await?.into_inner();
            Ok(view::answer(&done))
        }
    }
}

async fn list(office: &Office, given: List) -> Result<Answer, Failure> {
    let request = office::ListDeadLettersRequest {
        all: given.all,
        to: given.to.map(|area| area.to_string()).unwrap_or_default(),
        page_size: given.page.limit,
        page_token: given.page.after,
    };
    let page = office.delivery().list_dead_letters(request).await?.into_inner();
    let next = page.next_page_token;
    let page = view::rows(&page.dead_letters, COLUMNS);
    let json = json!({ "dead_letters": page.json, "next_page_token": next });
    let answer = Answer::new(json, page.text);
    Ok(if next.is_empty() { answer } else { answer.and(&format!("\nMore: --after {next}")) })
}

async fn get(
    office: &Office,
    message: MessageId,
    access: Option<office::Access>,
) -> Result<office::GetDeadLetterResponse, Failure> {
    let request = office::GetDeadLetterRequest { message_id: message.to_string(), access };
    Ok(office.delivery().get_dead_letter(request).await?.into_inner())
}

/// Reads the message first: what is typed goes over what is there.
async fn resend(office: &Office, given: Resend) -> Result<Answer, Failure> {
    let Resend { message, to, person, why, body, how } = given;
    let letter = get(office, message, why.access()).await?;
    let (Some(track), Some(mut content)) =
        (letter.dead_letter.and_then(|letter| letter.track), letter.content)
    else {
        return Err(Failure::failed("the node has the message without its content"));
    };
    let kind = Kind::from_name(&track.kind)
        .ok_or_else(|| Failure::failed("this program does not know such a message"))?;
    if let Some(person) = person.0 {
        content.person = Some(send::person(person)?);
    }
    let content = send::why(content, kind, &why)?;
    let content = compose::fill(content, kind, body.file.as_deref(), &body.pairs)?;
    let request = office::ResendDeadLetterRequest {
        message_id: message.to_string(),
        content: Some(content),
        to: to.map(|area| area.to_string()).unwrap_or_default(),
        expires_ms: how.expires_on.map_or(0, |day| day.ends().get()),
        idempotency_key: how.idempotency_key,
    };
    hand_in(office, request).await
}

async fn hand_in(
    office: &Office,
    request: office::ResendDeadLetterRequest,
) -> Result<Answer, Failure> {
    let sent = office.delivery().resend_dead_letter(request).await?.into_inner();
    let next = format!("\nFollow it: liangdi message track {}", sent.message_id);
    Ok(view::answer(&sent).and(&next))
}
