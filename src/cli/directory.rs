//! `liangdi directory`: what the node knows of the others.

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use serde_json::json;

use super::connect::{ConnectArgs, Office, office};
use super::exit::Failure;
use super::output::Answer;
use super::view;

/// Cards that are asked for at a time.
const PAGE: u32 = 500;

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
    /// All node cards and revocation lists, with what they are worth 列出
    List,
    /// One area: its card with keys, addresses and announcements, and where mail for it goes 查看
    Show {
        /// Area code, six digits
        #[arg(value_name = "AREA")]
        of: AreaCode,
    },
}

const CARDS: &[&str] = &[
    "area",
    "area_name",
    "state",
    "version",
    "valid_until_ms",
    "endpoints",
    "collects",
    "retired_ms",
    "received_ms",
    "heard_from",
];
const LISTS: &[&str] =
    &["issuer", "number", "state", "issued_ms", "until_ms", "received_ms", "heard_from"];

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    let office = args.connect.open().await?;
    match args.verb {
        Verb::List => list(&office).await,
        Verb::Show { of } => {
            let request = office::GetAreaRequest { area: of.to_string() };
            let answer = office.directory().get_area(request).await?.into_inner();
            Ok(view::answer(&answer))
        }
    }
}

async fn list(office: &Office) -> Result<Answer, Failure> {
    let (mut cards, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = office::ListCardsRequest { page_size: PAGE, page_token };
        let page = office.directory().list_cards(request).await?.into_inner();
        cards.extend(page.cards);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let request = office::ListRevocationListsRequest {};
    let lists = office.directory().list_revocation_lists(request).await?.into_inner().lists;
    let (cards, lists) = (view::rows(&cards, CARDS), view::rows(&lists, LISTS));
    let json = json!({ "cards": cards.json, "revocation_lists": lists.json });
    Ok(Answer::new(json, cards.text).and("\n").and(&lists.text))
}
