//! `liangdi notice`: what this office has to know and would not see by itself.

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use serde_json::json;

use super::connect::{ConnectArgs, Office, office};
use super::exit::Failure;
use super::given::PageArgs;
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
    /// Open notices, newest first, with whose turn it is 列出
    List(List),
    /// Take a notice off the list; it stays readable 办结
    Done {
        /// Number of the notice 提醒号
        number: u64,
    },
}

#[derive(ClapArgs, Debug)]
struct List {
    /// Also those that somebody has taken off the list
    #[arg(long)]
    all: bool,
    /// Only about this county
    #[arg(long, value_name = "CODE")]
    about: Option<AreaCode>,
    #[command(flatten)]
    page: PageArgs,
}

const COLUMNS: &[&str] =
    &["number", "at_ms", "kind", "area_name", "messages", "turn", "next_try_ms", "text_zh"];

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    let office = args.connect.open().await?;
    match args.verb {
        Verb::List(given) => list(&office, given).await,
        Verb::Done { number } => {
            let request = office::AcknowledgeNoticeRequest { number };
            let done = office.delivery().acknowledge_notice(request).await?.into_inner();
            Ok(view::answer(&done))
        }
    }
}

async fn list(office: &Office, given: List) -> Result<Answer, Failure> {
    let request = office::ListNoticesRequest {
        all: given.all,
        area: given.about.map(|area| area.to_string()).unwrap_or_default(),
        page_size: given.page.limit,
        page_token: given.page.after,
    };
    let page = office.delivery().list_notices(request).await?.into_inner();
    let rows = view::rows(&page.notices, COLUMNS);
    let next = page.next_page_token;
    let mut answer =
        Answer::new(json!({ "notices": rows.json, "next_page_token": next }), rows.text);
    for notice in &page.notices {
        let office::Notice { number, text_en, advice_zh, advice_en, .. } = notice;
        answer = answer.and(&format!(
            "\n{number}: {text_en}\n   怎么办: {advice_zh}\n   What to do: {advice_en}\n"
        ));
    }
    Ok(if next.is_empty() { answer } else { answer.and(&format!("\nMore: --after {next}")) })
}
