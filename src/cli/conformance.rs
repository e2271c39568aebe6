//! `liangdi conformance`: tries the rules of the protocol against any peer, and reports rule by rule.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use domain::area::AreaCode;
use serde_json::json;
use trust::leaf::Identity;
use trust::tls::TlsMaterial;

use super::exit::Failure;
use super::output::Answer;
use super::trusted::TrustArgs;
use crate::conformance::{self, Finding, Subject, Verdict};
use crate::errors::chain;

/// Options of `conformance`.
#[derive(Parser, Debug)]
pub(super) struct Args {
    /// Where the peer's node API is
    #[arg(long, value_name = "HOST:PORT")]
    peer: String,
    /// Area of the peer; its certificate has to name it 对方地区
    #[arg(long, value_name = "CODE")]
    area: AreaCode,
    /// The caller's own node certificate with its chain, PEM
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
    /// The peer is there for trials: it stores messages about made-up people
    #[arg(long, required = true)]
    peer_is_for_trials: bool,
}

/// Runs the command.
pub(super) async fn run(args: Args, tell: bool) -> Result<Answer, Failure> {
    debug_assert!(args.peer_is_for_trials, "clap requires it");
    let chains = args.trust.load()?;
    let identity = Identity::load(&args.cert, &args.key, chains.suffix());
    let identity = identity.map_err(|e| Failure::usage(chain(&e)))?;
    let material = TlsMaterial::new(Arc::new(identity), Arc::new(chains));
    let subject = Subject { area: args.area, endpoint: args.peer, material };
    let findings = conformance::run(&subject, |finding| {
        if tell {
            // Standard output that is gone ends the program at its answer.
            let _gone = writeln!(std::io::stderr(), "{}", line(finding)).is_err();
        }
    })
    .await;
    let count =
        |verdict: fn(&Verdict) -> bool| findings.iter().filter(|f| verdict(&f.verdict)).count();
    let held = count(|v| *v == Verdict::Held);
    let broken = count(|v| matches!(v, Verdict::Broken { .. }));
    let rest = findings.len() - held - broken;
    let summary = format!(
        "{held} rules held, {broken} broken, {rest} not offered 符合 {held} 条，不符 {broken} 条"
    );
    if broken > 0 {
        let lines: Vec<_> = findings
            .iter()
            .filter(|f| matches!(f.verdict, Verdict::Broken { .. }))
            .map(line)
            .collect();
        return Err(Failure::failed(summary).detail(lines.join("\n")));
    }
    Ok(Answer::new(
        json!({ "held": held, "broken": broken, "not_offered": rest, "findings": findings }),
        summary,
    ))
}

fn line(finding: &Finding) -> String {
    let Finding { section, rule, text, verdict } = finding;
    match verdict {
        Verdict::Held => format!("✓ {section:>3} {rule}: {text}"),
        Verdict::Broken { found } => format!("✗ {section:>3} {rule}: {text} Found: {found}"),
        Verdict::NotOffered => format!("– {section:>3} {rule}: not offered by the peer"),
    }
}
