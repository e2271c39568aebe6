//! Looking at certificates, requests and revocation lists, and checking them against the root.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use domain::time::UnixMillis;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use trust::certificate::Leaf;
use trust::describe::{CertificateFacts, Described, ListFacts, describe};
use trust::name::CertificateName;
use trust::refused::Refused;
use trust::verify::{PeerIdentity, Purpose, VerifiedChain};

use super::super::exit::Failure;
use super::super::given::text_file;
use super::super::output::{Answer, record, table};
use super::super::trusted::TrustArgs;
use crate::errors::chain;
use crate::time::SystemClock;

#[derive(ClapArgs, Debug)]
pub(super) struct Show {
    /// PEM file with certificates, requests or revocation lists
    file: PathBuf,
}

#[derive(ClapArgs, Debug)]
pub(super) struct Verify {
    /// PEM file: the certificate of a node or operator, then that of its province
    file: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(super) fn show(given: &Show) -> Result<Answer, Failure> {
    let blocks = describe(&text_file(&given.file)?);
    if blocks.is_empty() {
        return Err(Failure::usage(format!("there is nothing in PEM in {}", given.file.display())));
    }
    let now = SystemClock.now();
    let texts: Vec<String> = blocks.iter().map(|block| in_words(block, now)).collect();
    Ok(Answer::new(blocks.iter().map(object).collect(), texts.join("\n")))
}

fn in_words(block: &Described, now: UnixMillis) -> String {
    match block {
        Described::Certificate(facts) => certificate_in_words(facts, now),
        Described::Request(Ok(facts)) => record(&[
            ("request", "证书申请; it proves that its maker holds the key".to_owned()),
            ("asks for", facts.name.clone().unwrap_or_else(|| "no name".to_owned())),
        ]),
        Described::Request(Err(bad)) => record(&[("request", format!("证书申请; {bad}"))]),
        Described::RevocationList(facts) => list_in_words(facts, now),
        Described::PrivateKey => record(&[(
            "private key",
            "私钥; it stays on its machine, send it to nobody".to_owned(),
        )]),
        Described::Unreadable { label } => {
            record(&[("unreadable", format!("a block \"{label}\""))])
        }
    }
}

fn certificate_in_words(facts: &CertificateFacts, now: UnixMillis) -> String {
    let what = match (facts.is_ca, facts.server, &facts.role) {
        (true, _, _) if facts.subject == facts.issuer => "root of a network 根机构证书",
        (true, _, _) => "CA 签发机构证书",
        (false, true, _) => "node 节点证书",
        (false, false, Some(_)) => "operator 操作员证书",
        (false, false, None) => "certificate 证书",
    };
    let state = match (now < facts.not_before, now > facts.not_after) {
        (true, _) => " (not valid yet 尚未生效)",
        (_, true) => " (expired 已过期)",
        (false, false) => "",
    };
    let key = if facts.key_fits { "ECDSA P-256" } else { "not ECDSA P-256: refused everywhere" };
    record(&[
        ("certificate", what.to_owned()),
        ("name", facts.names.join(", ")),
        ("role", facts.role.clone().unwrap_or_default()),
        (
            "may name",
            facts.may_name.clone().map(|n| format!("everything under {n}")).unwrap_or_default(),
        ),
        ("subject", facts.subject.clone()),
        ("issuer", facts.issuer.clone()),
        ("valid from", facts.not_before.to_string()),
        ("valid until", format!("{}{state}", facts.not_after)),
        ("serial", facts.serial.clone()),
        ("fingerprint", facts.fingerprint.clone()),
        ("key", key.to_owned()),
    ])
}

fn list_in_words(facts: &ListFacts, now: UnixMillis) -> String {
    let until = facts.next_update.map_or_else(
        || "not said: refused everywhere".to_owned(),
        |at| format!("{at}{}", if now > at { " (ended 已过期)" } else { "" }),
    );
    let head = record(&[
        ("revocation list", format!("吊销列表; {} revoked", facts.revoked.len())),
        ("issuer", facts.issuer.clone()),
        ("issued", facts.this_update.to_string()),
        ("good until", until),
    ]);
    if facts.revoked.is_empty() {
        return head;
    }
    let rows: Vec<_> =
        facts.revoked.iter().map(|(serial, at)| vec![serial.clone(), at.to_string()]).collect();
    format!("{head}\n{}", table(&["serial", "revoked"], &rows))
}

fn object(block: &Described) -> Value {
    match block {
        Described::Certificate(facts) => json!({
            "type": "certificate",
            "names": facts.names,
            "role": facts.role,
            "ca": facts.is_ca,
            "may_name": facts.may_name,
            "subject": facts.subject,
            "issuer": facts.issuer,
            "valid_from": facts.not_before.to_string(),
            "valid_until": facts.not_after.to_string(),
            "serial": facts.serial,
            "fingerprint": facts.fingerprint,
            "server": facts.server,
            "client": facts.client,
            "key_fits": facts.key_fits,
        }),
        Described::Request(Ok(facts)) => {
            json!({ "type": "request", "usable": true, "name": facts.name })
        }
        Described::Request(Err(bad)) => {
            json!({ "type": "request", "usable": false, "why": bad.to_string() })
        }
        Described::RevocationList(facts) => json!({
            "type": "revocation-list",
            "issuer": facts.issuer,
            "issued": facts.this_update.to_string(),
            "good_until": facts.next_update.map(|at| at.to_string()),
            "revoked": facts.revoked.iter()
                .map(|(serial, at)| json!({ "serial": serial, "revoked": at.to_string() }))
                .collect::<Vec<_>>(),
        }),
        Described::PrivateKey => json!({ "type": "private-key" }),
        Described::Unreadable { label } => json!({ "type": "unreadable", "label": label }),
    }
}

pub(super) fn verify(given: &Verify) -> Result<Answer, Failure> {
    let chains = given.trust.load()?;
    let text = text_file(&given.file)?;
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().map_err(|e| {
            Failure::usage(format!("{} cannot be read: {}", given.file.display(), chain(&e)))
        })?;
    let leaf = certificates.first().ok_or_else(|| {
        Failure::usage(format!("there is no certificate in {}", given.file.display()))
    })?;
    // What it is decides what it is checked for.
    let purpose = match Leaf::read(leaf, chains.suffix()).map_err(unfit)?.name {
        CertificateName::Node(_) => Purpose::Node,
        CertificateName::Operator { .. } => Purpose::Operator,
    };
    let now = SystemClock.now();
    if given.trust.has_lists() {
        let verified = chains.verify(&certificates, purpose, now).map_err(Failure::from)?;
        return Ok(holds(&verified, true));
    }
    let verified = chains.verify_except_revocation(&certificates, purpose, now)?;
    Ok(holds(&verified, false))
}

fn unfit(refused: Refused) -> Failure {
    match refused {
        Refused::WrongChain => Failure::from(refused)
            .advise("the first certificate must be that of a node or operator; look with: liangdi pki show FILE"),
        refused => Failure::from(refused),
    }
}

fn holds(verified: &VerifiedChain, with_lists: bool) -> Answer {
    let (who, role) = match &verified.identity {
        PeerIdentity::Node(area) => (format!("the node of {area}"), None),
        PeerIdentity::Operator { name, role, area } => {
            (format!("{} at the office of {area}", name.as_str()), Some(*role))
        }
    };
    let revocation = if with_lists { "not revoked" } else { "not looked at: give --crl" };
    let pairs = [
        ("speaks for", who.clone()),
        ("role", role.map(|r| r.chinese().to_owned()).unwrap_or_default()),
        ("valid until", verified.leaf.not_after.to_string()),
        ("revocation", revocation.to_owned()),
    ];
    let json = json!({
        "holds": true,
        "speaks_for": who,
        "area": verified.identity.area().as_str(),
        "role": role.map(|r| r.code()),
        "valid_until": verified.leaf.not_after.to_string(),
        "revocation_checked": with_lists,
    });
    Answer::new(json, record(&pairs)).and("\nThe certificate holds. 证书有效")
}
