//! A proof file of a ledger, checked without any node: what it says, and that the owner of the ledger has signed it.

use domain::area::AreaCode;
use domain::hex::{hex, unhex};
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::keys::SignContext;
use exchange::ledger::{Direction, LedgerEntry, LedgerHead, OwnHead, SeenHead};
use exchange::tree::{leaf_hash, verify_consistency, verify_inclusion};
use serde_json::{Value, json};

use crate::cli::exit::Failure;
use crate::cli::output::{Answer, record, table, time};
use crate::cli::trusted::{Claim, Trust};

/// What two heads of other sizes show: whoever has signed them may well be able to join them.
const NOT_JOINED: &str = "NOT_JOINED";

/// A head whose signature holds.
struct Signed {
    of: AreaCode,
    seen: SeenHead,
    signer: Digest,
}

/// Checks a file of `ledger prove` or `ledger peer`, of a certain area if one is given.
///
/// # Errors
/// When it does not hold, and why.
pub(super) fn verify(
    file: &Value,
    trust: &Trust,
    area: Option<AreaCode>,
) -> Result<Answer, Failure> {
    let answer = match (file.get("proofs").and_then(Value::as_array), file.get("change")) {
        (Some(proofs), _) => entries(file, proofs, trust),
        (None, Some(_)) => two_heads(file, trust),
        (None, None) => growth(file, trust),
    };
    let (of, mut answer) = answer.map_err(|why| does_not_hold(&why))?;
    if area.is_some_and(|area| area != of) {
        return Err(does_not_hold(&format!("it is about the ledger of {of}")));
    }
    if let Some(object) = answer.json.as_object_mut() {
        object.insert("holds".to_owned(), json!(true));
        object.insert("revocation_checked".to_owned(), json!(trust.has_lists()));
    }
    let accuses_nobody = answer.json.get("shows").is_some_and(|it| it == NOT_JOINED);
    let holds = match accuses_nobody {
        true => "签名成立 the signatures hold",
        false => "证明成立 the proof holds",
    };
    answer.text = format!("{holds}\n\n{}", answer.text);
    Ok(answer)
}

fn does_not_hold(why: &str) -> Failure {
    Failure::refused(format!("the proof does not hold: {why}")).zh("证明不成立")
}

/// The head that a node has signed by itself, and that every field beside it says the same.
fn own_head(file: &Value, trust: &Trust) -> Result<Signed, String> {
    let unsigned = "no head is signed in it; make it without --until";
    let head = file.get("head").filter(|head| head.is_object()).ok_or(unsigned)?;
    let bytes = bytes(head, "signed_bytes").filter(|it| !it.is_empty()).ok_or(unsigned)?;
    let own = OwnHead::from_canonical(&bytes).ok_or("the signed head cannot be read")?;
    let SeenHead { head: LedgerHead { size, root }, signed } = own.seen;
    let same = text(head, "county") == Some(own.of.as_str())
        && head.get("size").and_then(Value::as_u64) == Some(size)
        && digest(head, "root") == Some(root)
        && head.get("signed_ms").and_then(Value::as_u64) == Some(signed.get());
    if !same {
        return Err("the head is another than the one that is signed".to_owned());
    }
    let claim = (SignContext::LedgerHead, own.of, bytes.as_slice(), signed);
    let signer = signature(head, claim, trust)?;
    Ok(Signed { of: own.of, seen: own.seen, signer })
}

/// Checks the signature beside a head; gives the fingerprint of the certificate.
fn signature(
    head: &Value,
    (context, by, signed_bytes, signed): (SignContext, AreaCode, &[u8], UnixMillis),
    trust: &Trust,
) -> Result<Digest, String> {
    let missing = "a signature or its certificates are missing";
    let signature = bytes(head, "signature").ok_or(missing)?;
    let chain = head.get("certificate_chain").and_then(Value::as_array).ok_or(missing)?;
    let chain = chain.iter().map(|it| unhex(it.as_str()?)).collect::<Option<Vec<_>>>();
    let chain = chain.ok_or(missing)?;
    let claim =
        Claim { context, by, chain: &chain, bytes: signed_bytes, signature: &signature, signed };
    let verified = trust.check(&claim).map_err(|why| format!("the signature of {by}: {why}"))?;
    Ok(Digest::new(verified.leaf.fingerprint))
}

fn entries(file: &Value, proofs: &[Value], trust: &Trust) -> Result<(AreaCode, Answer), String> {
    let head = own_head(file, trust)?;
    if proofs.is_empty() {
        return Err("there is no proof in it".to_owned());
    }
    let (mut rows, mut told) = (Vec::new(), Vec::new());
    for proof in proofs {
        let (index, entry) = entry(proof, &head.seen.head)
            .ok_or("an entry is not in the ledger of the signed head")?;
        let own = match entry.direction {
            Direction::Sent => entry.from,
            Direction::Received => entry.to,
        };
        if own.county() != head.of.county() {
            return Err("an entry is about a message of others".to_owned());
        }
        let direction = match entry.direction {
            Direction::Sent => "SENT",
            Direction::Received => "RECEIVED",
        };
        let (id, from, to) =
            (entry.message_id.to_string(), entry.from.to_string(), entry.to.to_string());
        told.push(json!({ "message_id": id, "from": from, "to": to, "direction": direction,
            "digest": entry.digest.to_string(), "index": index }));
        rows.push(vec![id, from, to, direction.to_owned(), index.to_string()]);
    }
    let headings = ["报文 message", "发出 from", "接收 to", "方向 direction", "序号 index"];
    let mut object = for_programs(&head);
    object.insert("messages".to_owned(), Value::from(told));
    let text = format!("{}\n{}", for_people(&head), table(&headings, &rows));
    Ok((head.of, Answer::new(Value::from(object), text)))
}

/// The entry of a proof that leads to a head, and its index.
fn entry(proof: &Value, head: &LedgerHead) -> Option<(u64, LedgerEntry)> {
    let bytes = bytes(proof, "entry")?;
    let (index, size) = (number(proof, "index")?, number(proof, "size")?);
    let (root, path) = (digest(proof, "root")?, digests(proof, "path")?);
    let holds = LedgerHead { size, root } == *head
        && verify_inclusion(&leaf_hash(&bytes), index, size, &path, &root);
    holds.then(|| LedgerEntry::from_canonical(&bytes)).flatten().map(|entry| (index, entry))
}

fn growth(file: &Value, trust: &Trust) -> Result<(AreaCode, Answer), String> {
    let head = own_head(file, trust)?;
    let old = grown(file, &head.seen.head).ok_or("the ledger did not only grow to that head")?;
    let mut object = for_programs(&head);
    object.insert("old_size".to_owned(), json!(old.size));
    object.insert("old_root".to_owned(), json!(old.root.to_string()));
    let since = [
        ("此前条数 earlier size", old.size.to_string()),
        ("此前树根 earlier root", old.root.to_string()),
    ];
    let text = format!("{}\n{}", for_people(&head), record(&since));
    Ok((head.of, Answer::new(Value::from(object), text)))
}

/// The head from which a ledger has grown to this one.
fn grown(file: &Value, head: &LedgerHead) -> Option<LedgerHead> {
    let new = LedgerHead { size: number(file, "new_size")?, root: digest(file, "new_root")? };
    let old = LedgerHead { size: number(file, "old_size")?, root: digest(file, "old_root")? };
    let path = digests(file, "proof")?;
    let holds =
        new == *head && verify_consistency((old.size, &old.root), (new.size, &new.root), &path);
    holds.then_some(old)
}

/// Two heads in receipts of one node. Of one size with other roots they show by themselves that its ledger was rewritten; of
/// others they show only what their owner has to join: any two honest receipts do.
fn two_heads(file: &Value, trust: &Trust) -> Result<(AreaCode, Answer), String> {
    let head = |side: &str| in_receipt(file.get(side).ok_or("two heads are not in it")?, trust);
    let (before, after) = (head("before")?, head("after")?);
    if before.of != after.of {
        return Err("the two heads are of two ledgers".to_owned());
    }
    let (one, other) = (before.seen.head, after.seen.head);
    if one == other {
        return Err("the two heads are the same".to_owned());
    }
    let shows = match one.size == other.size {
        true => "REWRITTEN",
        false => NOT_JOINED,
    };
    let verdict = match one.size == other.size {
        true => {
            "同一条数却有两个树根：账本被改写 one size with two roots: the ledger was rewritten"
        }
        false => {
            "两个账本头均由其所有者签署；仅凭本文件不说明谁有错，须由其出示一致性证明相连 both heads are signed by their owner; alone they say nothing against it: it has to join them with a proof of growth"
        }
    };
    let told = json!({ "area": before.of.to_string(), "shows": shows,
        "before": for_programs(&before), "after": for_programs(&after) });
    let text = format!("{verdict}\n\n{}\n{}", for_people(&before), for_people(&after));
    Ok((before.of, Answer::new(told, text)))
}

/// A head in a receipt, or in a card.
fn in_receipt(head: &Value, trust: &Trust) -> Result<Signed, String> {
    if let Some(bytes) = bytes(head, "card").filter(|it| !it.is_empty()) {
        return in_card(head, &bytes, trust);
    }
    let bytes =
        bytes(head, "manifest").filter(|it| !it.is_empty()).ok_or("a receipt is missing")?;
    let manifest = wire::decode_receipt_manifest(&bytes).map_err(|_| "a receipt cannot be read")?;
    let seen = SeenHead { head: manifest.ledger_head, signed: manifest.signed };
    says(head, &seen)?;
    let claim = (SignContext::Receipt, manifest.from, bytes.as_slice(), manifest.signed);
    let signer = signature(head, claim, trust)?;
    Ok(Signed { of: manifest.from, seen, signer })
}

fn in_card(head: &Value, bytes: &[u8], trust: &Trust) -> Result<Signed, String> {
    let card = wire::decode_card(bytes).map_err(|_| "a card cannot be read")?;
    let seen = card.ledger_head.ok_or("there is no head in a card")?;
    says(head, &seen)?;
    let signer = signature(head, (SignContext::Card, card.area, bytes, seen.signed), trust)?;
    Ok(Signed { of: card.area, seen, signer })
}

/// Whether the fields beside a head say the same.
fn says(head: &Value, seen: &SeenHead) -> Result<(), String> {
    let same = number(head, "size") == Some(seen.head.size)
        && digest(head, "root") == Some(seen.head.root);
    match same {
        true => Ok(()),
        false => Err("a head is another than the one that is signed".to_owned()),
    }
}

fn for_people(Signed { of, seen, signer }: &Signed) -> String {
    record(&[
        ("账本 ledger of", of.to_string()),
        ("条数 size", seen.head.size.to_string()),
        ("树根 root", seen.head.root.to_string()),
        ("签署时间 signed", time(seen.signed)),
        ("签名证书 certificate", hex(signer.as_bytes())),
    ])
}

fn for_programs(Signed { of, seen, signer }: &Signed) -> serde_json::Map<String, Value> {
    let pairs = [
        ("area", json!(of.to_string())),
        ("size", json!(seen.head.size)),
        ("root", json!(seen.head.root.to_string())),
        ("signed_ms", json!(seen.signed.get())),
        ("certificate", json!(hex(signer.as_bytes()))),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str()
}

fn bytes(value: &Value, field: &str) -> Option<Vec<u8>> {
    unhex(text(value, field)?)
}

fn number(value: &Value, field: &str) -> Option<u64> {
    value.get(field)?.as_u64()
}

fn digest(value: &Value, field: &str) -> Option<Digest> {
    to_digest(value.get(field)?)
}

fn digests(value: &Value, field: &str) -> Option<Vec<Digest>> {
    value.get(field)?.as_array()?.iter().map(to_digest).collect()
}

fn to_digest(value: &Value) -> Option<Digest> {
    Some(Digest::new(unhex(value.as_str()?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use domain::id::MessageId;
    use domain::time::Month;
    use exchange::tree::{consistency_proof, inclusion_path, root};

    use super::*;

    fn hashes(of: &[Digest]) -> Vec<String> {
        of.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_proof_leads_to_the_head_that_is_signed_or_to_nothing() {
        let entry = |n: u8| LedgerEntry {
            message_id: MessageId::from_bytes([n; 16]),
            digest: Digest::of(&[n]),
            from: "410522".parse().unwrap(),
            to: "440305".parse().unwrap(),
            month: Month::new(2026, 10).unwrap(),
            direction: Direction::Sent,
        };
        let leaves: Vec<_> = (0..9).map(|n| entry(n).leaf_hash()).collect();
        let head =
            |n: usize| LedgerHead { size: u64::try_from(n).unwrap(), root: root(&leaves[..n]) };
        let path = inclusion_path(&leaves, 4).unwrap();
        let mut proof = json!({ "entry": hex(&entry(4).canonical_bytes()), "index": 4, "size": 9,
            "root": root(&leaves).to_string(), "path": hashes(&path) });
        assert_eq!(super::entry(&proof, &head(9)), Some((4, entry(4))));
        // A file that is right in itself, under another head than the signed one.
        assert_eq!(super::entry(&proof, &head(8)), None);
        proof["index"] = json!(5);
        assert_eq!(super::entry(&proof, &head(9)), None);

        let path = consistency_proof(&leaves, 4).unwrap();
        let mut proof = json!({ "old_size": 4, "old_root": root(&leaves[..4]).to_string(),
            "new_size": 9, "new_root": root(&leaves).to_string(), "proof": hashes(&path) });
        assert_eq!(grown(&proof, &head(9)), Some(head(4)));
        assert_eq!(grown(&proof, &head(8)), None);
        proof["old_root"] = json!(root(&leaves[..3]).to_string());
        assert_eq!(grown(&proof, &head(9)), None);
        assert_eq!(grown(&json!({}), &head(9)), None);
    }
}
