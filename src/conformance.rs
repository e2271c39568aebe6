//! `liangdi conformance`: the rules of docs/protocol.md, tried one by one against any peer, whoever wrote it.
//!
//! The caller needs a node certificate of its own and speaks as that county; the peer stores some messages about
//! made-up people. Nothing here looks into the peer: what it says on the line decides.

mod letters;
mod line;
mod rules;

use std::sync::Arc;

use domain::area::AreaCode;
use serde::Serialize;
use trust::leaf::Identity;
use trust::tls::TlsMaterial;

use self::line::Line;
use crate::delivery::link;
use crate::errors::chain;

/// The peer on trial, and who tries it.
#[derive(Debug)]
pub struct Subject {
    /// Area of the peer; its certificate has to name it.
    pub area: AreaCode,
    /// Where its node API is, "host:port".
    pub endpoint: String,
    /// Certificate of the caller, and what the peer's is checked against.
    pub material: TlsMaterial,
}

impl Subject {
    /// Who calls.
    fn identity(&self) -> &Arc<Identity> {
        self.material.identity()
    }

    async fn line(&self) -> Result<Line, Deviation> {
        let channel = link::dial(self.area, &self.endpoint, &self.material).await;
        Line::open(self, channel.map_err(|e| Deviation::new(chain(&e)))?).await
    }
}

/// How a peer kept a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// It did what the protocol says.
    Held,
    /// It did something else.
    Broken {
        /// What was seen instead.
        found: String,
    },
    /// It says that it does not have this feature, or its area has no part in it.
    NotOffered,
}

/// One rule and how it was kept.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Section of docs/protocol.md.
    pub section: &'static str,
    /// Stable name of the rule.
    pub rule: &'static str,
    /// The rule in words.
    pub text: &'static str,
    /// How it was kept.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What a peer did that is not in the protocol; words for the person who has to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deviation(String);

impl Deviation {
    fn new(found: impl Into<String>) -> Self {
        Self(found.into())
    }
}

/// Ends a rule with what was found, unless the condition holds.
fn ensure(holds: bool, found: impl FnOnce() -> String) -> Result<(), Deviation> {
    if holds { Ok(()) } else { Err(Deviation(found())) }
}

/// Tries every rule, in the order of the protocol, and tells each finding as it comes.
pub async fn run(subject: &Subject, mut tell: impl FnMut(&Finding)) -> Vec<Finding> {
    let features = match subject.line().await {
        Ok(line) => line.features().to_vec(),
        Err(_) => Vec::new(),
    };
    let mut findings = Vec::new();
    for rule in rules::ALL {
        let offered = rule.feature.is_none_or(|needed| features.iter().any(|f| f == needed))
            && (rule.applies)(subject);
        let verdict = if offered {
            match (rule.check)(subject).await {
                Ok(()) => Verdict::Held,
                Err(Deviation(found)) => Verdict::Broken { found },
            }
        } else {
            Verdict::NotOffered
        };
        let finding = Finding { section: rule.section, rule: rule.name, text: rule.text, verdict };
        tell(&finding);
        findings.push(finding);
    }
    findings
}
