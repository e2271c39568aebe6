//! `liangdi peer`: the other nodes, as this one sees them, and whose fault it is when one cannot be reached.

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;

use super::connect::{ConnectArgs, Office, office};
use super::exit::{Exit, Failure};
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
    /// All peers, with what waits for them and what troubles them 列出
    List,
    /// Everything this node knows of the way to one peer 查看
    Show {
        /// Area of the peer 地区代码
        #[arg(value_name = "AREA")]
        peer: AreaCode,
    },
    /// Walk the way to a peer: each step, whose fault it is, what to do 测试
    ///
    /// Exit code 4 when a step fails.
    Test {
        /// Area of the peer 地区代码
        #[arg(value_name = "AREA")]
        peer: AreaCode,
    },
}

const COLUMNS: &[&str] = &[
    "area",
    "name",
    "connected",
    "route",
    "breaker",
    "next_try_ms",
    "waiting",
    "in_flight",
    "at_relay",
    "put_off",
    "last_heard_ms",
    "silent_days",
    "fault",
    "trouble_zh",
];

const STEPS: &[&str] = &["name", "ok", "took_us", "detail", "fault", "reason", "reason_zh"];

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    let office = args.connect.open().await?;
    match args.verb {
        Verb::List => {
            let asked = office.status().list_peers(office::ListPeersRequest {}).await?;
            Ok(view::rows(&asked.into_inner().peers, COLUMNS))
        }
        Verb::Show { peer } => {
            let request = office::GetPeerRequest { area: peer.to_string() };
            let found = office.delivery().get_peer(request).await?.into_inner();
            Ok(view::answer(&found.peer.unwrap_or_default()))
        }
        Verb::Test { peer } => test(&office, peer).await,
    }
}

async fn test(office: &Office, peer: AreaCode) -> Result<Answer, Failure> {
    let request = office::TestPeerRequest { area: peer.to_string() };
    let walked = office.delivery().test_peer(request).await?.into_inner();
    let json = view::answer(&walked).json;
    let mut answer = Answer::new(json, view::rows(&walked.steps, STEPS).text);
    for step in walked.steps.iter().filter(|step| !step.ok) {
        let office::LinkStep { reason_en, advice_zh, advice_en, .. } = step;
        answer = answer.and(&format!("\n{reason_en}"));
        if !advice_en.is_empty() {
            answer = answer.and(&format!("What to do: {advice_en}\n怎么办: {advice_zh}"));
        }
    }
    if !walked.reachable {
        return Ok(answer.ending(Exit::Unreachable));
    }
    let summary = office::TestPeerResponse { steps: Vec::new(), ..walked };
    let summary = view::answer(&summary).text;
    Ok(answer.and(&format!("\n{summary}")))
}
