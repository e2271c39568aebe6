//! Tells the story: to people in both languages, to programs one JSON object a line.

use std::future::Future;
use std::time::Instant;

use domain::area::AreaCode;
use serde_json::json;

use super::cast::Cast;
use super::network::{Member, Network, Operator};
use super::step::{Outcome, Title};
use super::story::STEPS;
use crate::cli::exit::Failure;
use crate::cli::output::{Answer, Output, table};
use crate::errors::chain;

/// Tells what happens, as it happens.
pub(super) struct Teller<'a> {
    output: &'a mut Output,
    told: usize,
    failed: bool,
    began: Instant,
}

impl<'a> Teller<'a> {
    pub(super) fn new(output: &'a mut Output) -> Self {
        Self { output, told: 0, failed: false, began: Instant::now() }
    }

    /// Whether a step did not hold.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    /// The nodes, before they start.
    pub(super) fn nodes(&mut self, network: &Network, seed: u64) -> Result<(), Failure> {
        if self.output.is_json() {
            return network.members().try_for_each(|m| self.say(node_line(m), String::new()));
        }
        let row = |m: &Member| {
            let ports = [m.node_port, m.office_port].map(|port| format!("127.0.0.1:{port}"));
            let [node, office] = ports;
            vec![format!("{} {}", m.area, m.name), node, office, m.dir.display().to_string()]
        };
        let rows: Vec<_> = network.members().map(row).collect();
        let table = table(&["node 节点", "node API", "office API", "directory 目录"], &rows);
        let text = format!(
            "一个根、两个省、六个节点，皆在本机；人员全系虚构（种子 {seed}）。\n\
             A root, two provinces, six nodes, all on this machine; every person is made up (seed {seed}).\n\n{table}"
        );
        self.say(serde_json::Value::Null, text)
    }

    /// Plays one step and tells how it went.
    pub(super) async fn step<T>(
        &mut self,
        title: Title,
        play: impl Future<Output = Outcome<T>>,
    ) -> Result<T, Failure> {
        let began = Instant::now();
        let outcome = play.await;
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.told += 1;
        let number = self.told;
        let Title { code, zh, en } = title;
        let line = |ok: bool, detail: &str, detail_zh: &str| {
            json!({
                "step": code, "number": number, "of": STEPS, "ok": ok, "title": en, "title_zh": zh,
                "detail": detail, "detail_zh": detail_zh, "milliseconds": milliseconds,
            })
        };
        let heading =
            |mark| format!("{mark} {number:2}/{STEPS} {zh}\n        {en}  ({milliseconds} ms)");
        match outcome {
            Ok(held) => {
                let mut text =
                    format!("{}\n          {}\n          {}\n", heading("✓"), held.zh, held.en);
                if !held.shown.is_empty() {
                    text.push_str(&format!("\n{}\n", held.shown));
                }
                self.say(line(true, &held.en, &held.zh), text)?;
                Ok(held.value)
            }
            Err(broken) => {
                self.failed = true;
                let why = chain(&broken);
                self.say(line(false, &why, ""), format!("{}\n          {why}\n", heading("✗")))?;
                Err(Failure::failed(format!("the step {code} did not hold"))
                    .zh(format!("步骤未成立：{zh}")))
            }
        }
    }

    /// Whether all held, and how long it took.
    pub(super) fn sum_up(&mut self, held: bool) -> Result<(), Failure> {
        let seconds = self.began.elapsed().as_secs_f64();
        let (zh, en) = match held {
            true => ("每一步都成立", "every step held"),
            false => ("有一步未成立", "one step did not hold"),
        };
        let text = format!("{zh}，共 {seconds:.1} 秒 · {en}, {seconds:.1} seconds in all\n");
        self.for_people(text)
    }

    /// What can be done now, in another terminal.
    pub(super) fn look_around(&mut self, cast: &Cast) -> Result<(), Failure> {
        let program = cast.program.path().display();
        let dir = cast.network.dir().display();
        let (origin, residence) = (cast.origin, cast.residence);
        let pid = cast.network.process_id(origin).unwrap_or_default();
        let text = format!(
            "\
网络仍在运行，可在另一终端查看；Ctrl-C 结束。
The network stays up. Look around in another terminal; Ctrl-C ends it.

  export LIANGDI_PROFILE={dir}/{residence}-clerk.toml   # 经办人 · the clerk of {residence}
  {program} message list
  {program} message todo
  {program} message track {message}
  {program} certificate verify --credential-file {dir}/credential.txt --profile {dir}/{residence}-clerk.toml
  {program} peer list --profile {dir}/{residence}-administrator.toml
  {program} status --profile {dir}/{origin}-administrator.toml
  {program} evidence verify {dir}/evidence.bin --root {dir}/pki/root.pem

  kill -9 {pid}   # {origin}
  {program} serve --config {dir}/{origin}/liangdi.toml   # 再启动 · start it again
  tail -f {dir}/{origin}/node.log

其他操作员 · other operators: {dir}/*.toml
",
            message = cast.shown_message.as_deref().unwrap_or("ID"),
        );
        self.for_people(text)
    }

    /// A node has ended that nobody here stopped.
    pub(super) fn ended(&mut self, area: AreaCode, log: &str) -> Result<(), Failure> {
        let text = format!("{area} 的节点已结束 · the node of {area} has ended:\n{log}\n");
        self.for_people(text)
    }

    /// Programs have every fact of it already.
    fn for_people(&mut self, text: String) -> Result<(), Failure> {
        if self.output.is_json() { Ok(()) } else { self.say(serde_json::Value::Null, text) }
    }

    fn say(&mut self, line: serde_json::Value, text: String) -> Result<(), Failure> {
        self.output.answer(&Answer::new(line, format!("\n{text}")))
    }
}

/// A node as programs read it.
fn node_line(member: &Member) -> serde_json::Value {
    let operator = |o: &Operator| {
        json!({
            "name": o.name, "role": o.role.unit(), "certificate": o.certificate, "key": o.key,
            "profile": o.profile,
        })
    };
    json!({
        "node": format!("{} {}", member.area, member.name),
        "area": member.area.as_str(),
        "name": member.name,
        "role": if member.is_province() { "province" } else { "county" },
        "host": "127.0.0.1",
        "node_port": member.node_port,
        "office_port": member.office_port,
        "data_dir": member.data_dir,
        "config": member.config,
        "log": member.log,
        "certificate": member.certificate,
        "key": member.key,
        "root": member.root,
        "operators": member.operators.iter().map(operator).collect::<Vec<_>>(),
    })
}
