//! An operator at a terminal: the command line as a process, and what it answers.

use std::process::Command;

use domain::access::Role;
use liangdi::cli::connect::ConnectArgs;
use serde_json::Value;

use super::eventually;
use super::network::Network;

/// One operator at her terminal.
pub struct Desk {
    pub connect: ConnectArgs,
}

/// How a command ended.
pub struct Ended {
    pub exit: i32,
    pub out: String,
    pub err: String,
}

pub fn run(words: &[String]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_liangdi")).args(words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended {
        exit: output.status.code().unwrap(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

pub fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

impl Desk {
    /// A clerk's.
    pub fn at(network: &Network, area: &str) -> Self {
        Self::of(network, area, Role::Clerk)
    }

    /// Somebody else's.
    pub fn of(network: &Network, area: &str, role: Role) -> Self {
        Self { connect: network.operator("alice", area, role) }
    }

    pub fn run(&self, line: &str) -> Ended {
        let path = |path: &Option<std::path::PathBuf>| path.as_ref().unwrap().display().to_string();
        let (cert, key) = (path(&self.connect.cert), path(&self.connect.key));
        let (office, root) = (self.connect.office.clone().unwrap(), path(&self.connect.root));
        let connection = format!("--office {office} --cert {cert} --key {key} --root {root}");
        run(&[words(line), words(&connection)].concat())
    }

    /// Runs for a program; it has to work.
    pub fn json(&self, line: &str) -> Value {
        let line = format!("{line} --json");
        // Mail may be here before the card of whoever sent it, without which nothing can be sealed for it.
        let ended = eventually("the other side's card has come", || {
            let ended = self.run(&line);
            (!ended.err.contains("PEER_CARD_MISSING")).then_some(ended)
        });
        assert_eq!(ended.exit, 0, "{line}\n{}{}", ended.out, ended.err);
        serde_json::from_str(&ended.out).unwrap()
    }

    /// Takes a step in a case, by the page that stands there now; it has to work.
    pub fn step(&self, case: &str, step: &str) -> Value {
        self.json(&self.by_the_page(case, step))
    }

    /// The line for a step in a case, with the version of the page that is shown now.
    pub fn by_the_page(&self, case: &str, step: &str) -> String {
        let page = self.json(&format!("case show {case}"));
        let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
        format!("case {verb} {case} --seen-version {} {rest}", page["version"].as_u64().unwrap())
    }

    /// Runs for a person; it has to work.
    pub fn text(&self, line: &str) -> String {
        let ended = self.run(line);
        assert_eq!(ended.exit, 0, "{line}\n{}{}", ended.out, ended.err);
        ended.out
    }

    /// Runs for a program; it has to end with this exit code.
    pub fn refused(&self, line: &str, exit: i32) -> Value {
        let ended = self.run(&format!("{line} --json"));
        assert_eq!(ended.exit, exit, "{line}\n{}{}", ended.out, ended.err);
        assert!(ended.out.is_empty(), "answers and troubles are not mixed: {}", ended.out);
        let trouble: Value = serde_json::from_str(&ended.err).unwrap();
        assert_eq!(trouble["error"]["exit"], exit);
        trouble["error"].clone()
    }
}
