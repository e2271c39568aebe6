//! `liangdi bulk-hand-over`: many cases at once, proposed by one supervisor, approved by another, carried out by a clerk.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use domain::case::TransferCause;
use domain::id::{CaseId, MessageId};
use serde_json::json;

use super::connect::{ConnectArgs, Office, office};
use super::exit::Failure;
use super::given::{choice, number, text_file};
use super::output::Answer;
use super::view;

/// Columns of the list.
const COLUMNS: [&str; 9] = [
    "bulk_id",
    "bulk_state",
    "to",
    "size",
    "offered",
    "proposed_by",
    "decided_by",
    "carried_out_by",
    "until_ms",
];

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
    /// Propose a list of cases; needs another supervisor's approval 提议批量移交
    Propose {
        /// The office that is to take them over 移交至
        #[arg(long, value_name = "CODE")]
        to: AreaCode,
        /// Why 移交原因
        #[arg(long, value_parser = choice(TransferCause::chinese))]
        cause: TransferCause,
        /// Why, in words 理由
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        list: Cases,
        /// Days for which it may be carried out, at most 14 有效天数
        #[arg(long, value_name = "DAYS", default_value_t = 7)]
        days: u16,
    },
    /// Lists, newest first 列出
    List,
    /// One list with its cases 查看
    Show {
        /// List 批量移交编号
        bulk: MessageId,
    },
    /// Approve a list that another supervisor has proposed 批准
    Approve(Decide),
    /// Refuse a list, or take one's own back 不予批准
    Refuse(Decide),
    /// Offer every case of an approved list to the other office 办理
    CarryOut {
        /// List 批量移交编号
        bulk: MessageId,
        #[command(flatten)]
        list: Cases,
    },
}

#[derive(ClapArgs, Debug)]
struct Decide {
    /// List 批量移交编号
    bulk: MessageId,
    /// Digest of the list that you saw; that of the list as it stands when left out 清单摘要
    #[arg(long, value_name = "HEX")]
    digest: Option<String>,
}

/// Cases, typed or in a file.
#[derive(ClapArgs, Debug)]
struct Cases {
    /// A case; may be given several times 个案编号
    #[arg(long = "case", value_name = "CASE")]
    cases: Vec<CaseId>,
    /// File with one case a line, or - for standard input 清单文件
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Cases {
    fn read(self) -> Result<Vec<String>, Failure> {
        let mut cases: Vec<String> = self.cases.iter().map(ToString::to_string).collect();
        if let Some(file) = &self.file {
            cases.extend(lines(file)?);
        }
        Ok(cases)
    }
}

fn lines(file: &Path) -> Result<Vec<String>, Failure> {
    let text = text_file(file)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let case = |line: &str| line.parse::<CaseId>().map(|case| case.to_string());
    let cases: Result<Vec<_>, _> = lines.map(case).collect();
    cases.map_err(|_| Failure::usage("the file has one case id a line, and nothing else"))
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    let node = args.connect.open().await?;
    let bulk = match args.verb {
        Verb::Propose { to, cause, reason, list, days } => {
            let request = office::ProposeBulkHandOverRequest {
                to: to.to_string(),
                cause: number(Some(cause)),
                reason,
                case_ids: list.read()?,
                days: days.into(),
            };
            node.bulk_hand_overs().propose_bulk_hand_over(request).await?.into_inner().bulk
        }
        Verb::List => {
            let all = office::ListBulkHandOversRequest {};
            let all = node.bulk_hand_overs().list_bulk_hand_overs(all).await?.into_inner();
            let rows = view::rows(&all.bulks, &COLUMNS);
            return Ok(Answer::new(json!({ "bulks": rows.json }), rows.text));
        }
        Verb::Show { bulk } => Some(show(&node, bulk).await?),
        Verb::Approve(given) => decide(&node, given, true).await?,
        Verb::Refuse(given) => decide(&node, given, false).await?,
        Verb::CarryOut { bulk, list } => {
            let shown = show(&node, bulk).await?;
            let typed = list.read()?;
            let listed = || shown.bulk_cases.iter().map(|case| case.case_id.clone()).collect();
            let request = office::CarryOutBulkHandOverRequest {
                bulk_id: bulk.to_string(),
                to: shown.to.clone(),
                case_ids: if typed.is_empty() { listed() } else { typed },
            };
            node.bulk_hand_overs().carry_out_bulk_hand_over(request).await?.into_inner().bulk
        }
    };
    Ok(view::answer(&bulk.unwrap_or_default()))
}

async fn show(node: &Office, bulk: MessageId) -> Result<office::BulkHandOver, Failure> {
    let request = office::GetBulkHandOverRequest { bulk_id: bulk.to_string() };
    let shown = node.bulk_hand_overs().get_bulk_hand_over(request).await?.into_inner();
    Ok(shown.bulk.unwrap_or_default())
}

async fn decide(
    node: &Office,
    given: Decide,
    approve: bool,
) -> Result<Option<office::BulkHandOver>, Failure> {
    let digest = match given.digest {
        Some(digest) => digest,
        None => show(node, given.bulk).await?.digest,
    };
    let bulk_id = given.bulk.to_string();
    let request = office::DecideBulkHandOverRequest { bulk_id, digest, approve };
    Ok(node.bulk_hand_overs().decide_bulk_hand_over(request).await?.into_inner().bulk)
}
