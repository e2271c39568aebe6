//! `liangdi serve`: runs a node until it is told to stop.

use std::io;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use domain::reason::Reason;
use store::OpenStoreError;

use super::config::unusable;
use super::exit::{Exit, Failure};
use super::output::Answer;
use crate::config::Settings;
use crate::errors::chain;
use crate::node::{self, NodeError};
use crate::ops::panics;
use crate::ops::telemetry::{self, LogFormat};

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "liangdi.toml")]
    config: PathBuf,
    /// How log lines look; what is logged is chosen by LIANGDI_LOG, such as info,liangdi=debug
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// Stop in order when standard input ends: for a program that starts nodes and may die itself
    #[arg(long, hide = true)]
    stop_with_stdin: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let settings = Settings::load(&args.config).map_err(unusable)?;
    telemetry::start(args.log_format).map_err(|e| Failure::usage(chain(&e)))?;
    panics::end_the_process();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::failed(format!("no runtime: {e}")))?;
    let told = stdin_ended(args.stop_with_stdin);
    runtime.block_on(node::run(settings, told)).map_err(stopped)?;
    Ok(Answer::nothing())
}

/// Resolves when standard input ends; never when it is not to be looked at.
async fn stdin_ended(look: bool) {
    if !look {
        return std::future::pending().await;
    }
    let (ended, hears) = tokio::sync::oneshot::channel();
    // A thread of its own, not one of the runtime's: the runtime would wait for it when the node stops for another
    // reason, and the process ends without asking it.
    let reader = move || {
        let all = io::copy(&mut io::stdin(), &mut io::sink());
        let _stopped_already = ended.send(all.is_ok()).is_err();
    };
    match std::thread::Builder::new().name("stdin".to_owned()).spawn(reader) {
        Ok(_reads) => _ = hears.await,
        Err(error) => {
            tracing::warn!(%error, "the end of standard input cannot be noticed");
            std::future::pending().await
        }
    }
}

/// What the configuration names but cannot be used counts as usage: a service manager need not try again.
fn stopped(error: NodeError) -> Failure {
    let text = chain(&error);
    match error {
        NodeError::DataKey(_) => told(
            Failure::usage(text),
            (
                "数据密钥无法使用",
                "check key_file, key_environment or key_credential in [store]",
                "请检查配置 [store] 中的密钥来源",
            ),
        ),
        NodeError::Identity(_) => told(
            Failure::usage(text),
            (
                "节点证书无法使用",
                "check the files in [tls]; liangdi pki show says what each is",
                "请检查配置 [tls] 中的文件，可用 liangdi pki show 查看",
            ),
        ),
        NodeError::OtherArea { .. } => told(
            Failure::usage(text),
            (
                "证书所属地区与配置不一致",
                "correct area, or take the certificate of this area",
                "请改正 area，或换用本地区的证书",
            ),
        ),
        NodeError::Store { source, .. } => without_store(text, store_trouble(&source)),
        NodeError::StoreFailed(_) => without_store(text, STORE_FAILED),
        NodeError::Listen(_) => told(
            Failure::failed(text),
            (
                "无法监听端口",
                "see which program has the port, or choose another in [listen]",
                "请查看端口被何程序占用，或在 [listen] 中另选",
            ),
        ),
        NodeError::App(error) => {
            let reason = Failure::reason(error.reason());
            Failure { exit: Exit::Failed, ..reason }.detail(text)
        }
    }
}

/// What happened in Chinese, and what to do in both languages.
type Words = (&'static str, &'static str, &'static str);

const STORE_FAILED: Words = (
    "数据无法读写，节点已停止，已确认的数据没有丢失",
    "check free space, permissions and the disk, then start again: nothing that was acknowledged is lost",
    "请检查剩余空间、权限和磁盘，然后重新启动",
);

fn store_trouble(error: &OpenStoreError) -> Words {
    match error {
        OpenStoreError::InUse { .. } => {
            ("数据目录正被另一进程使用", "stop the other process first", "请先停止另一进程")
        }
        OpenStoreError::SetAside { .. } | OpenStoreError::DamagedBefore { .. } => (
            "数据库已损坏，已移到一旁，没有删除任何内容",
            "run liangdi store rebuild on the directory that is named, or restore a backup; then reconcile with the peers",
            "请对所列目录运行 liangdi store rebuild，或恢复备份，然后与对方对账",
        ),
        OpenStoreError::Gate { .. } | OpenStoreError::NoGate { .. } => (
            "数据目录不属于本节点或本版本",
            "check data_dir, area, the data key and the version of the program",
            "请核对 data_dir、area、数据密钥和程序版本",
        ),
        OpenStoreError::Io { .. }
        | OpenStoreError::Migration { .. }
        | OpenStoreError::Rows(_)
        | OpenStoreError::Write(_) => (
            "数据目录无法使用",
            "check permissions, free space and the disk, then start again",
            "请检查权限、剩余空间和磁盘，然后重新启动",
        ),
    }
}

/// The store cannot be used: a code that programs know, and what a person can do about this very trouble.
fn without_store(text: String, words: Words) -> Failure {
    let mut failure = told(Failure::failed(text), words);
    Reason::StoreUnavailable.code().clone_into(&mut failure.told.code);
    failure
}

fn told(failure: Failure, (zh, todo_en, todo_zh): Words) -> Failure {
    let mut failure = failure.zh(zh).advise(todo_en);
    todo_zh.clone_into(&mut failure.told.advice_zh);
    failure
}
