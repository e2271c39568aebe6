//! The command line: a noun, then a verb. Talks to the office API; only `pki`, `node`, `config`, `store` and what is
//! said to work offline touch files.

pub mod exit;
pub mod output;

pub mod connect;
mod given;
mod label;
pub(crate) mod qr;
mod trusted;
mod usage;
mod view;

mod agreement;
mod area;
mod audit;
mod backup;
mod bench;
mod birth_registration;
mod bulk_hand_over;
mod bundle;
mod case;
mod certificate;
mod completions;
mod config;
mod conformance;
mod consent;
mod crosswalk;
mod dead_letter;
mod directory;
mod draw;
mod evidence;
mod import;
mod indicator;
mod ledger;
mod maintenance;
mod message;
mod moment;
mod node;
mod notice;
mod peer;
mod person;
mod pki;
mod reason;
mod reconcile;
mod registration;
mod request;
mod serve;
mod sim;
mod statement;
mod status;
mod store;

use std::ffi::OsString;
use std::future::Future;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use self::exit::{Exit, Failure};
use self::output::{Answer, Output};

/// Exchange between the place where a migrant lives and the place where the household is registered.
///
/// Exit codes: 0 done, 1 failed, 2 usage, 3 refused by a rule, 4 node unreachable, 5 not found.
#[derive(Parser, Debug)]
#[command(name = "liangdi", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    /// Answer for programs: one JSON value a line; troubles as JSON on standard error
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Six nodes on this machine play a day's work, then stay up 演示
    Demo(crate::demo::Args),
    /// Registrations 流动人口登记
    Registration(registration::Args),
    /// Persons 人员
    Person(person::Args),
    /// Certificates 婚育证明
    Certificate(certificate::Args),
    /// Cases: what is to be done, and what may be done next 个案
    Case(case::Args),
    /// Hand-overs of many cases: two supervisors approve 批量移交
    BulkHandOver(bulk_hand_over::Args),
    /// Birth registration of a couple: its origins are asked and told 生育服务登记
    BirthRegistration(birth_registration::Args),
    /// Consents 同意
    Consent(consent::Args),
    /// Agreements 双向协议
    Agreement(agreement::Args),
    /// Service requests 服务申请
    Request(request::Args),
    /// Messages 通报
    Message(message::Args),
    /// Messages that did not arrive 死信
    DeadLetter(dead_letter::Args),
    /// What this office has to know 提醒
    Notice(notice::Args),
    /// Access log 访问日志
    Audit(audit::Args),
    /// Evidence 存证
    Evidence(evidence::Args),
    /// Peers 对方节点
    Peer(peer::Args),
    /// Node cards and revocation lists 名录
    Directory(directory::Args),
    /// Times out of service 停机公告
    Maintenance(maintenance::Args),
    /// Mail by file, for an office without a line 文件收发
    Bundle(bundle::Args),
    /// Reconciliation with other provinces and counties 对账
    Reconcile(reconcile::Args),
    /// What two sides have signed about a time 对账单
    Statement(statement::Args),
    /// The append-only ledger, and proofs 台账
    Ledger(ledger::Args),
    /// Records from files, all or none 导入
    Import(import::Args),
    /// Indicators of offices 指标
    Indicator(indicator::Args),
    /// Random re-checks that anybody can draw again 抽查
    Draw(draw::Args),
    /// State of the node 节点状态
    Status(status::Args),
    /// Area codes 行政区划代码
    Area(area::Args),
    /// Codes of other lists, and ours 代码对照
    Crosswalk(crosswalk::Args),
    /// Reasons 原因代码
    Reason(reason::Args),
    /// Run a node 运行节点
    Serve(serve::Args),
    /// Set up a node 新建节点
    Node(node::Args),
    /// Configuration 配置
    Config(config::Args),
    /// The store on disk 存储
    Store(store::Args),
    /// Backups 备份
    Backup(backup::Args),
    /// Tries the rules of the protocol against any peer 协议符合性测试
    Conformance(conformance::Args),
    /// Whole worlds from a seed, and whether every promise held 模拟
    Sim(sim::Args),
    /// Measurements 性能测量
    Bench(crate::bench::Args),
    /// Keys and certificates of the network 证书管理
    Pki(pki::Args),
    /// Completions for a shell 命令补全
    Completions(completions::Args),
}

/// Reads what was typed, runs it and prints its outcome; what cannot be read is told in both languages.
pub fn start(typed: impl IntoIterator<Item = OsString>) -> Exit {
    let typed: Vec<OsString> = typed.into_iter().collect();
    match Cli::try_parse_from(&typed) {
        Ok(cli) => run(cli),
        Err(error) if asks_for_help(&error) => {
            // Nobody is left to be told when this cannot be written.
            let _unheard = error.print().is_err();
            if error.use_stderr() { Exit::Usage } else { Exit::Done }
        }
        Err(error) => {
            let json = typed.iter().any(|argument| argument == "--json");
            Output::standard(json).trouble(&usage::failure(&error));
            Exit::Usage
        }
    }
}

fn asks_for_help(error: &clap::Error) -> bool {
    let missing = ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    !error.use_stderr() || error.kind() == missing
}

/// Runs a command and prints its outcome.
#[must_use]
pub fn run(cli: Cli) -> Exit {
    let mut output = Output::standard(cli.json);
    let outcome = execute(cli.command, &mut output)
        .and_then(|answer| output.answer(&answer).map(|()| answer.exit));
    match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            output.trouble(&failure);
            failure.exit
        }
    }
}

fn execute(command: Command, output: &mut Output) -> Result<Answer, Failure> {
    match command {
        // A story is told as it happens; everything else has one answer.
        Command::Demo(args) => crate::demo::run(&args, output).map(|()| Answer::nothing()),
        Command::Registration(args) => online(registration::run(args)),
        Command::Person(args) => online(person::run(args)),
        Command::Certificate(args) => online(certificate::run(args)),
        Command::Agreement(args) => online(agreement::run(args)),
        Command::Case(args) => online(case::run(args)),
        Command::BulkHandOver(args) => online(bulk_hand_over::run(args)),
        Command::BirthRegistration(args) => online(birth_registration::run(args)),
        Command::Consent(args) => online(consent::run(args)),
        Command::Request(args) => online(request::run(args)),
        Command::Message(args) => online(message::run(args)),
        Command::DeadLetter(args) => online(dead_letter::run(args)),
        Command::Notice(args) => online(notice::run(args)),
        Command::Audit(args) => online(audit::run(args)),
        Command::Evidence(args) => evidence::run(args),
        Command::Peer(args) => online(peer::run(args)),
        Command::Directory(args) => online(directory::run(args)),
        Command::Maintenance(args) => online(maintenance::run(args)),
        Command::Bundle(args) => online(bundle::run(args)),
        Command::Reconcile(args) => online(reconcile::run(args, !output.is_json())),
        Command::Statement(args) => online(statement::run(args)),
        Command::Ledger(args) => online(ledger::run(args)),
        Command::Import(args) => {
            let bar = !output.is_json();
            online(import::run(args, bar))
        }
        Command::Indicator(args) => online(indicator::run(args)),
        Command::Draw(args) => online(draw::run(args)),
        Command::Status(args) => online(status::run(args)),
        Command::Area(args) => area::run(args),
        Command::Crosswalk(args) => crosswalk::run(args),
        Command::Reason(args) => reason::run(args),
        Command::Serve(args) => serve::run(&args),
        Command::Node(args) => node::run(args),
        Command::Config(args) => config::run(args),
        Command::Store(args) => store::run(args),
        Command::Backup(args) => backup::run(args, output.is_json()),
        Command::Conformance(args) => online(conformance::run(args, !output.is_json())),
        Command::Sim(args) => sim::run(&args, output),
        Command::Bench(args) => bench::run(args),
        Command::Pki(args) => pki::run(args),
        Command::Completions(args) => completions::run(&args),
    }
}

/// Runs one conversation with a node; a single thread is enough for one.
fn online(conversation: impl Future<Output = Result<Answer, Failure>>) -> Result<Answer, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::failed(format!("no runtime: {e}")))?;
    runtime.block_on(conversation)
}

#[cfg(test)]
mod tests;
