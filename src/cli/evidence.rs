//! `liangdi evidence`: says who stored what when, with the root certificate alone.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use domain::area::{AreaCode, AreaTable};
use exchange::evidence::{
    Carried, EVIDENCE_BYTES_MAX, Flaw, Proven, ProvenAnswer, SignedBy, TimeBy,
};
use exchange::receipt::Outcome;
use serde_json::{Value, json};

use super::exit::Failure;
use super::given::bytes_file;
use super::output::{self, Answer, record};
use super::trusted::TrustArgs;
use crate::errors::chain;

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Check an evidence file; no node is needed 核验存证
    Verify(Verify),
}

#[derive(ClapArgs, Debug)]
struct Verify {
    /// The evidence file
    file: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<Answer, Failure> {
    let Verb::Verify(given) = args.verb;
    let chains = given.trust.load()?;
    let bytes = bytes_file(&given.file, EVIDENCE_BYTES_MAX)?;
    let evidence = wire::decode_evidence(bytes.into())
        .map_err(|e| does_not_hold(&format!("this is not an evidence file: {}", chain(&e))))?;
    evidence
        .verify(&chains)
        .map(|proven| told(&proven))
        .map_err(|flaw: Flaw| does_not_hold(&chain(&flaw)))
}

fn does_not_hold(why: &str) -> Failure {
    Failure::refused(format!("the evidence does not hold: {why}"))
        .zh("存证不成立")
        .advise("ask for the file again; if it still fails, what it claims is not proven")
}

fn told(proven: &Proven) -> Answer {
    let answered = proven.answered.as_ref();
    let mut pairs = vec![
        ("message 通报", proven.message_id.to_string()),
        ("digest 摘要", proven.digest.to_string()),
        ("sent by 发出", place(proven.sent.area)),
        ("signed 签名时间", time(&proven.sent)),
        ("certificate 证书", proven.sent.certificate.to_string()),
    ];
    pairs.extend(proven.carried.iter().map(|hop| {
        let from = place(hop.handed_by);
        let way = format!("from {from} to {}", place(hop.next));
        (
            "carried by 转递",
            format!("{}, {}, {way}", place(hop.by.area), output::time(hop.by.signed)),
        )
    }));
    match answered {
        None => pairs
            .push(("answered 回执", "no receipt in the file: nothing says it arrived".to_owned())),
        Some(answer) => pairs.extend([
            ("received by 接收", place(answer.by.area)),
            ("outcome 结果", outcome(answer)),
            ("decided 决定时间", output::time(answer.decided)),
            ("receipt signed 回执签名", time(&answer.by)),
            ("certificate 证书", answer.by.certificate.to_string()),
            (
                "ledger 台账",
                format!("{} entries, root {}", answer.ledger_head.size, answer.ledger_head.root),
            ),
        ]),
    }
    let body = if proven.body_present {
        "the sealed body in the file is the one that travelled"
    } else {
        ""
    };
    pairs.push(("body 正文", body.to_owned()));
    let json = json!({
        "holds": true,
        "message_id": proven.message_id.to_string(),
        "digest": proven.digest.to_string(),
        "body_present": proven.body_present,
        "sent": signed(&proven.sent),
        "carried": proven.carried.iter().map(carried).collect::<Vec<_>>(),
        "answered": answered.map(|a| json!({
            "by": signed(&a.by),
            "outcome": code(&a.outcome),
            "reason": reason(&a.outcome),
            "duplicate": a.duplicate,
            "decided_ms": a.decided.get(),
            "ledger_size": a.ledger_head.size,
            "ledger_root": a.ledger_head.root.to_string(),
        })),
    });
    Answer::new(json, record(&pairs)).and("\nThe evidence holds. 存证成立")
}

fn place(area: AreaCode) -> String {
    format!("{area} {}", AreaTable::builtin().lookup(&area).map_or("", |a| a.name))
}

fn time(signed: &SignedBy) -> String {
    let whose = match signed.time_by {
        TimeBy::OtherSide => "its certificate was valid when the other side signed the receipt",
        TimeBy::Relay => "its certificate was valid when the first relay took it",
        TimeBy::Signer => "by its own clock",
    };
    format!("{} ({whose})", output::time(signed.signed))
}

fn signed(by: &SignedBy) -> Value {
    json!({
        "area": by.area.as_str(),
        "signed_ms": by.signed.get(),
        "certificate": by.certificate.to_string(),
        "chain_valid_at_ms": by.chain_valid_at.get(),
        "time_by": match by.time_by {
            TimeBy::OtherSide => "OTHER_SIDE",
            TimeBy::Relay => "RELAY",
            TimeBy::Signer => "SIGNER",
        },
    })
}

fn carried(hop: &Carried) -> Value {
    json!({
        "by": signed(&hop.by),
        "handed_by": hop.handed_by.as_str(),
        "next": hop.next.as_str(),
    })
}

fn code(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Stored => "STORED",
        Outcome::Refused { .. } => "REFUSED",
        Outcome::Deferred { .. } => "DEFERRED",
    }
}

fn reason(outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Stored => None,
        Outcome::Refused { reason, .. } | Outcome::Deferred { reason, .. } => Some(reason.code()),
    }
}

fn outcome(answer: &ProvenAnswer) -> String {
    let text = match &answer.outcome {
        Outcome::Stored => "STORED 已入库: written to disk there".to_owned(),
        Outcome::Refused { reason, .. } => {
            format!("REFUSED 拒收: {} {}", reason.code(), reason.text_zh())
        }
        Outcome::Deferred { reason, until } => {
            let until = output::time(*until);
            format!("DEFERRED 暂缓 until {until}: {} {}", reason.code(), reason.text_zh())
        }
    };
    if answer.duplicate { format!("{text} (had come before)") } else { text }
}
