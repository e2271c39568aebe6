//! `liangdi ledger`: the head of the ledger, proofs, and checking them without any node.

mod proof;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use serde_json::Value;

use super::connect::{ConnectArgs, office};
use super::exit::{Exit, Failure};
use super::given::{bytes_file, new_file};
use super::output::Answer;
use super::trusted::TrustArgs;
use super::view;

/// Bytes of a proof file at most.
const PROOF_BYTES_MAX: usize = 1024 * 1024;

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Size and root, now or at an earlier size 账本头
    Head(Head),
    /// A proof, as JSON: that a message is in the ledger, or that it only grew (RFC 9162) 证明
    Prove(Prove),
    /// Check a proof with the root certificate alone; no node is needed 核验
    Verify {
        /// The JSON that `ledger prove --json` printed, or the file of `ledger peer --out`
        file: PathBuf,
        /// Whose ledger it has to be about
        #[arg(long, value_name = "CODE")]
        area: Option<AreaCode>,
        #[command(flatten)]
        trust: TrustArgs,
    },
    /// Whether a peer has signed two heads that cannot be of one history 对方账本
    Peer {
        #[command(flatten)]
        connect: ConnectArgs,
        /// The peer
        peer: AreaCode,
        /// Where both heads go, as the peer has signed them, for `ledger verify`
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(ClapArgs, Debug)]
struct Head {
    #[command(flatten)]
    connect: ConnectArgs,
    /// At this size; the present one when left out
    #[arg(long, default_value_t = 0)]
    size: u64,
}

#[derive(ClapArgs, Debug)]
struct Prove {
    #[command(flatten)]
    connect: ConnectArgs,
    /// A message that is in it
    #[arg(long, value_name = "ID", required_unless_present = "since")]
    message: Option<String>,
    /// An earlier size that it has grown from
    #[arg(long, value_name = "SIZE", conflicts_with = "message")]
    since: Option<u64>,
    /// The later size; the present one when left out
    #[arg(long, default_value_t = 0)]
    until: u64,
}

/// Two heads of which a peer has not shown yet that they are of one history.
const UNPROVEN: &str = "对方尚未证明两个账本头属同一历史；此刻不能据此指责任何一方。请联系对方管理员，或稍后再查\n\
     The peer has not shown yet that one head continues the other. That accuses nobody: call its administrator, or look again later.";

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    match args.verb {
        Verb::Head(Head { connect, size }) => {
            let request = office::GetLedgerHeadRequest { size };
            let office = connect.open().await?;
            let head = office.reconcile().get_ledger_head(request).await?.into_inner();
            Ok(view::answer(&head))
        }
        Verb::Prove(given) => prove(given).await,
        Verb::Verify { file, area, trust } => {
            let bytes = bytes_file(&file, PROOF_BYTES_MAX)?;
            let read: Value = serde_json::from_slice(&bytes)
                .map_err(|_| Failure::usage(format!("{} is not JSON", file.display())))?;
            proof::verify(&read, &trust.trust()?, area)
        }
        Verb::Peer { connect, peer, out } => {
            let request = office::GetTwoHeadsRequest { peer: peer.to_string() };
            let office = connect.open().await?;
            let found = office.reconcile().get_two_heads(request).await?.into_inner();
            let answer = view::answer(&found);
            if let Some(out) = out.filter(|_| !found.change.is_empty()) {
                new_file(&out, answer.json.to_string().as_bytes())?;
            }
            Ok(match found.change.as_str() {
                "" => answer.and("所有账本头可属同一历史 all heads can be of one history"),
                "UNPROVEN" => answer.and(UNPROVEN).ending(Exit::Failed),
                _ => answer.ending(Exit::Failed),
            })
        }
    }
}

async fn prove(given: Prove) -> Result<Answer, Failure> {
    let office = given.connect.open().await?;
    match (given.message, given.since) {
        (Some(message_id), _) => {
            let request = office::ProveEntryRequest { message_id };
            let proof = office.reconcile().prove_entry(request).await?.into_inner();
            Ok(view::answer(&proof))
        }
        (None, since) => {
            let old_size = since.unwrap_or_default();
            let request = office::ProveGrowthRequest { old_size, new_size: given.until };
            let proof = office.reconcile().prove_growth(request).await?.into_inner();
            Ok(view::answer(&proof))
        }
    }
}
