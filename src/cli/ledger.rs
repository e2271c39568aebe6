//! `liangdi ledger`: the head of the ledger, proofs, and checking them without any node.

use domain::hex::unhex;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use exchange::digest::Digest;
use exchange::tree::{leaf_hash, verify_consistency, verify_inclusion};
use serde_json::Value;

use super::connect::{ConnectArgs, office};
use super::exit::{Exit, Failure};
use super::given::bytes_file;
use super::output::Answer;
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
    /// Check a proof file; no node is needed 核验
    Verify {
        /// The JSON that `ledger prove --json` printed
        file: PathBuf,
    },
    /// Whether a peer has signed two heads that cannot be of one history 对方账本
    Peer {
        #[command(flatten)]
        connect: ConnectArgs,
        /// The peer
        peer: AreaCode,
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
        Verb::Verify { file } => verify(&file),
        Verb::Peer { connect, peer } => {
            let request = office::GetTwoHeadsRequest { peer: peer.to_string() };
            let office = connect.open().await?;
            let found = office.reconcile().get_two_heads(request).await?.into_inner();
            let answer = view::answer(&found);
            Ok(match found.change.is_empty() {
                true => answer.and("所有账本头可属同一历史 all heads can be of one history"),
                false => answer.ending(Exit::Failed),
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

fn verify(file: &std::path::Path) -> Result<Answer, Failure> {
    let bytes = bytes_file(file, PROOF_BYTES_MAX)?;
    let proof: Value = serde_json::from_slice(&bytes)
        .map_err(|_| Failure::usage(format!("{} is not JSON", file.display())))?;
    let holds = match proof.get("proofs").and_then(Value::as_array) {
        Some(proofs) => !proofs.is_empty() && proofs.iter().all(|it| entry_holds(it) == Some(true)),
        None => growth_holds(&proof) == Some(true),
    };
    match holds {
        true => Ok(Answer::new(serde_json::json!({ "holds": true }), "证明成立 the proof holds")),
        false => Err(Failure::refused("the proof does not hold").zh("证明不成立")),
    }
}

fn entry_holds(proof: &Value) -> Option<bool> {
    let leaf = leaf_hash(&unhex(proof.get("entry")?.as_str()?)?);
    let (index, size) = (proof.get("index")?.as_u64()?, proof.get("size")?.as_u64()?);
    let path = digests(proof.get("path")?)?;
    Some(verify_inclusion(&leaf, index, size, &path, &digest(proof.get("root")?)?))
}

fn growth_holds(proof: &Value) -> Option<bool> {
    let head =
        |size: &str, root: &str| Some((proof.get(size)?.as_u64()?, digest(proof.get(root)?)?));
    let ((old, old_root), (new, new_root)) =
        (head("old_size", "old_root")?, head("new_size", "new_root")?);
    let path = digests(proof.get("proof")?)?;
    Some(verify_consistency((old, &old_root), (new, &new_root), &path))
}

fn digests(values: &Value) -> Option<Vec<Digest>> {
    values.as_array()?.iter().map(digest).collect()
}

fn digest(value: &Value) -> Option<Digest> {
    Some(Digest::new(unhex(value.as_str()?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use exchange::tree::{consistency_proof, inclusion_path, root};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_proof_that_was_printed_is_checked_and_a_changed_one_fails() {
        let leaves: Vec<_> = (0..9_u8).map(|n| leaf_hash(&[n])).collect();
        let path = inclusion_path(&leaves, 4).unwrap();
        let text = |hashes: &[Digest]| hashes.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut proof = json!({ "entry": "04", "index": 4, "size": 9,
            "root": root(&leaves).to_string(), "path": text(&path) });
        assert_eq!(entry_holds(&proof), Some(true));
        proof["index"] = json!(5);
        assert_eq!(entry_holds(&proof), Some(false));
        let grown = consistency_proof(&leaves, 4).unwrap();
        let mut proof = json!({ "old_size": 4, "old_root": root(&leaves[..4]).to_string(),
            "new_size": 9, "new_root": root(&leaves).to_string(), "proof": text(&grown) });
        assert_eq!(growth_holds(&proof), Some(true));
        proof["old_root"] = json!(root(&leaves[..3]).to_string());
        assert_eq!(growth_holds(&proof), Some(false));
        assert_eq!(growth_holds(&json!({})), None);
    }
}
