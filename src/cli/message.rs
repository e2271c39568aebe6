//! `liangdi message`: tells another county something, answers it, and follows what was told.

pub(super) mod compose;
mod kinds;
pub(super) mod send;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::message::Kind;
use serde_json::json;

use super::connect::{ConnectArgs, Office, office};
use super::exit::Failure;
use super::given::{AccessArgs, PageArgs, new_file};
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
    /// Kinds of message, or the fields of one 种类
    Kinds {
        /// Such as ArrivalNotice
        #[arg(value_parser = kind)]
        kind: Option<Kind>,
    },
    /// Send a message; it is on disk when this returns 发送
    Send(send::Send),
    /// Answer a message; kind, county, person and case follow from it 答复
    Answer(send::Reply),
    /// Show a message with its content; marks a received one as opened 查看
    Show {
        /// Message 通报编号
        message: MessageId,
        #[command(flatten)]
        access: AccessArgs,
    },
    /// Where a message is, whose turn it is, when the next try comes 流转
    Track {
        /// Message 通报编号
        message: MessageId,
    },
    /// Messages, newest first, without content 列出
    List(List),
    /// What this office has to answer, earliest due date first 待办
    Todo {
        #[command(flatten)]
        page: PageArgs,
    },
    /// Write everything that proves the way of a message into one file 存证
    Evidence {
        /// Message 通报编号
        message: MessageId,
        /// File to write; must not exist yet
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(ClapArgs, Debug)]
struct List {
    /// Only those sent from here
    #[arg(long, conflicts_with = "received")]
    sent: bool,
    /// Only those received here
    #[arg(long)]
    received: bool,
    /// Only with this county
    #[arg(long, value_name = "CODE")]
    peer: Option<AreaCode>,
    /// Also what nodes send by themselves: progress reports
    #[arg(long)]
    by_nodes: bool,
    #[command(flatten)]
    page: PageArgs,
}

const COLUMNS: &[&str] =
    &["message_id", "kind", "kind_zh", "from", "to", "stage", "due_on", "turn", "reason"];

/// What a list says under it where a due day was counted without a calendar.
pub(super) const BY_WEEKDAYS: &str = "\nSome due days are counted Monday to Friday: the calendar of a year is not published here yet, and they may move. \
     部分期限按周一至周五计算（该年度放假安排尚未公布），可能变动。";

/// Columns of applications whose origins are to be asked.
const APPLICATIONS: [&str; 4] = ["request_id", "papers_on", "due_on", "late"];

/// Reads the name of a kind, whatever its capitals.
pub(super) fn kind(typed: &str) -> Result<Kind, String> {
    let found = Kind::ALL.iter().find(|k| k.name().eq_ignore_ascii_case(typed));
    found.copied().ok_or_else(|| "no such kind; see: liangdi message kinds".to_owned())
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    // The kinds are known without a node.
    if let Verb::Kinds { kind } = args.verb {
        return kind.map_or_else(|| Ok(kinds::all()), kinds::one);
    }
    let office = args.connect.open().await?;
    match args.verb {
        Verb::Kinds { kind } => kind.map_or_else(|| Ok(kinds::all()), kinds::one),
        Verb::Send(given) => send::send(&office, given).await,
        Verb::Answer(given) => send::reply(&office, given).await,
        Verb::Show { message, access } => Ok(view::answer(&show(&office, message, &access).await?)),
        Verb::Track { message } => track(&office, message).await,
        Verb::List(given) => list(&office, given).await,
        Verb::Todo { page } => todo(&office, page).await,
        Verb::Evidence { message, out } => evidence(&office, message, &out).await,
    }
}

async fn show(
    office: &Office,
    message: MessageId,
    access: &AccessArgs,
) -> Result<office::GetMessageResponse, Failure> {
    let request =
        office::GetMessageRequest { message_id: message.to_string(), access: Some(access.read()) };
    Ok(office.messages().get_message(request).await?.into_inner())
}

async fn track(office: &Office, message: MessageId) -> Result<Answer, Failure> {
    let request = office::TrackMessageRequest { message_id: message.to_string() };
    let track = office.messages().track_message(request).await?.into_inner().track;
    Ok(view::answer(&track.unwrap_or_default()))
}

async fn list(office: &Office, given: List) -> Result<Answer, Failure> {
    let direction = match (given.sent, given.received) {
        (true, _) => office::Direction::Sent,
        (_, true) => office::Direction::Received,
        (false, false) => office::Direction::Unspecified,
    };
    let request = office::ListMessagesRequest {
        direction: i32::from(direction),
        peer: given.peer.map(|a| a.to_string()).unwrap_or_default(),
        page_size: given.page.limit,
        page_token: given.page.after,
        by_nodes: given.by_nodes,
    };
    let page = office.messages().list_messages(request).await?.into_inner();
    Ok(paged(&page.messages, &page.next_page_token))
}

async fn todo(office: &Office, page: PageArgs) -> Result<Answer, Failure> {
    let request = office::ListTodoRequest { page_size: page.limit, page_token: page.after };
    let page = office.messages().list_todo(request).await?.into_inner();
    let mut answer = paged(&page.messages, &page.next_page_token);
    let applications = view::rows(&page.applications, &APPLICATIONS);
    if let Some(all) = answer.json.as_object_mut() {
        all.insert("applications".to_owned(), applications.json);
    }
    if page.applications.is_empty() {
        return Ok(answer);
    }
    Ok(answer.and(&format!("\nOrigins to be asked 待发核实\n{}", applications.text)))
}

fn paged(messages: &[office::Track], next: &str) -> Answer {
    let page = view::rows(messages, COLUMNS);
    let json = json!({ "messages": page.json, "next_page_token": next });
    let answer = Answer::new(json, page.text);
    let weekdays = messages.iter().any(|it| it.due_counted() == office::DueCount::Weekdays);
    let answer = if weekdays { answer.and(BY_WEEKDAYS) } else { answer };
    if next.is_empty() { answer } else { answer.and(&format!("\nMore: --after {next}")) }
}

async fn evidence(office: &Office, message: MessageId, out: &PathBuf) -> Result<Answer, Failure> {
    let request = office::ExportEvidenceRequest { message_id: message.to_string() };
    let evidence = office.messages().export_evidence(request).await?.into_inner().evidence;
    new_file(out, &evidence)?;
    let json = json!({ "message_id": message.to_string(), "file": out, "bytes": evidence.len() });
    let text = format!("{}: {} bytes", out.display(), evidence.len());
    let next =
        format!("Anyone can check it: liangdi evidence verify {} --root root.pem", out.display());
    Ok(Answer::new(json, text).and(&next))
}
