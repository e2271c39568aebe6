//! `liangdi backup`: makes, verifies and restores backups of a node's data.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use store::{BackupError, DataKey, GateError, Options, Progress, Restoring, Store, newest_keys};
use wire::pb::office::create_backup_response::Step;

use super::config::unusable;
use super::connect::{ConnectArgs, office};
use super::exit::Failure;
use super::output::{Answer, record, time};
use super::view;
use crate::api::office::backup_to_pb;
use crate::config::Settings;
use crate::errors::chain;
use crate::time::SystemClock;

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Make a backup: of the node that runs, or with --config of one that does not 备份
    Create(Create),
    /// Open every chunk and read every row of a backup; changes nothing 校验
    Verify(Verify),
    /// Put a backup in the place of the store of a node that does not run 恢复
    Restore(Restore),
}

#[derive(ClapArgs, Debug)]
struct Create {
    /// Configuration of a node that does not run; without it the office API is asked
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory for the files; that of the configuration when left out
    #[arg(long, value_name = "DIR", requires = "config")]
    out: Option<PathBuf>,
}

#[derive(ClapArgs, Debug)]
struct Verify {
    /// The data file
    file: PathBuf,
    /// The keys file; without it records of persons are not opened
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// The node's configuration, which says where the data key is
    #[arg(long, value_name = "FILE", default_value = "liangdi.toml")]
    config: PathBuf,
}

#[derive(ClapArgs, Debug)]
struct Restore {
    /// The data file
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The keys file, the newest there is; the newest beside the data file when left out
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// The node's configuration
    #[arg(long, value_name = "FILE", default_value = "liangdi.toml")]
    config: PathBuf,
    /// Keep a store that is there under another name; without this it is a reason to refuse
    #[arg(long)]
    set_aside: bool,
}

/// Runs the command.
pub(super) fn run(args: Args, json: bool) -> Result<Answer, Failure> {
    match args.verb {
        Verb::Create(given) => match &given.config {
            Some(config) => create_offline(config, given.out.as_deref(), json),
            None => super::online(create_online(args.connect, json)),
        },
        Verb::Verify(given) => verify(&given, json),
        Verb::Restore(given) => restore(&given, json),
    }
}

/// Asks the node, and follows it.
async fn create_online(connect: ConnectArgs, json: bool) -> Result<Answer, Failure> {
    let office = connect.open().await?;
    let bar = Bar::new(json);
    let call = office.upkeep().create_backup(office::CreateBackupRequest {}).await?;
    let mut steps = call.into_inner();
    while let Some(step) = steps.message().await? {
        match step.step {
            Some(Step::Progress(progress)) => bar.at(progress.bytes, progress.database_bytes),
            Some(Step::Done(done)) => {
                bar.end();
                return Ok(made(&done));
            }
            None => {}
        }
    }
    Err(Failure::failed("the node ended the call before the backup was complete")
        .zh("备份尚未完成，节点已结束调用"))
}

fn create_offline(config: &Path, out: Option<&Path>, json: bool) -> Result<Answer, Failure> {
    let (settings, options) = load(config)?;
    let store_dir = settings.store_dir();
    if !store_dir.exists() {
        let text = format!("{} does not exist: the node has never run", store_dir.display());
        return Err(Failure::not_found(text).zh("存储尚未建立"));
    }
    let now = options.now;
    let (store, _) = Store::open(&store_dir, options).map_err(|e| {
        Failure::failed(chain(&e))
            .zh("存储无法打开")
            .advise("a node that runs is asked over its office API: leave out --config")
    })?;
    let bar = Bar::new(json);
    let dir = out.unwrap_or(&settings.backup.dir);
    let report = store.backup(dir, settings.backup.keep, now, &mut |p| bar.watch(p));
    let report = report.map_err(|e| failure(&e))?;
    bar.end();
    store.close().map_err(|e| Failure::failed(chain(&e)))?;
    Ok(made(&backup_to_pb(&report)))
}

/// What is told of a finished backup.
fn made(done: &office::Backup) -> Answer {
    view::answer(done).and(
        "\nCopy both files elsewhere; of the keys files keep only the newest. The data key of the node is in neither.\n\
         请将两个文件另存他处；密钥文件只保留最新一份。节点数据密钥不在备份中，须另行保管。",
    )
}

fn verify(given: &Verify, json: bool) -> Result<Answer, Failure> {
    let (_, options) = load(&given.config)?;
    let bar = Bar::new(json);
    let report = store::verify(&given.file, given.keys.as_deref(), &options, &mut |p| bar.watch(p));
    let report = report.map_err(|e| failure(&e))?;
    bar.end();
    let findings: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    if !findings.is_empty() {
        let wrong = u64::try_from(findings.len()).unwrap_or_default() + report.more_findings;
        return Err(Failure::failed(format!("{wrong} rows of the backup cannot be read"))
            .zh("备份中有无法读取的记录")
            .detail(findings.join("\n  ")));
    }
    let keys = report.keys.map(|(created, group)| format!("{} (group {group})", time(created)));
    let pairs = [
        ("area 地区", report.area.clone()),
        ("state of 数据截至", format!("{} (group {})", time(report.created), report.group)),
        ("keys of 密钥截至", keys.unwrap_or_default()),
        ("rows 行数", report.rows.to_string()),
        ("changes meanwhile 备份期间变更", report.changes.to_string()),
        ("not opened 未能打开", report.unopened.to_string()),
    ];
    let answer = json!({
        "area": report.area,
        "created_ms": report.created.get(),
        "group": report.group,
        "keys_created_ms": report.keys.map(|(created, _)| created.get()),
        "keys_group": report.keys.map(|(_, group)| group),
        "rows": report.rows,
        "changes": report.changes,
        "unopened": report.unopened,
    });
    let told = match given.keys {
        Some(_) => {
            "Every chunk opens and every row can be read; what was not opened is of persons erased since.\n校验通过；未能打开的为此后已删除人员的记录。"
        }
        None => {
            "Every chunk opens; records of persons were not opened, for want of --keys.\n校验通过；未提供 --keys，个人记录未打开。"
        }
    };
    Ok(Answer::new(answer, record(&pairs)).and("\n").and(told))
}

fn restore(given: &Restore, json: bool) -> Result<Answer, Failure> {
    let (settings, options) = load(&given.config)?;
    let keys = match &given.keys {
        Some(keys) => keys.clone(),
        None => keys_beside(&given.from, &settings)?,
    };
    let to = settings.store_dir();
    let restoring =
        Restoring { from: &given.from, keys: &keys, to: &to, set_aside: given.set_aside };
    let bar = Bar::new(json);
    let done = store::restore(&restoring, &options, &mut |p| bar.watch(p));
    let done = done.map_err(|e| failure(&e))?;
    bar.end();
    let of = time(done.backup);
    let aside = done.set_aside.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let pairs = [
        ("store 存储", to.display().to_string()),
        ("state of 数据截至", format!("{of} (group {})", done.group)),
        ("rows 行数", done.rows.to_string()),
        ("of erased persons 已删除人员的记录", done.erased.to_string()),
        ("set aside 原存储另存为", aside.clone()),
    ];
    let answer = json!({
        "store": to,
        "backup_ms": done.backup.get(),
        "group": done.group,
        "rows": done.rows,
        "erased": done.erased,
        "incarnation": done.incarnation,
        "set_aside": aside,
    });
    let group = done.group;
    Ok(Answer::new(answer, record(&pairs)).and(&format!(
        "\nThis is the state of {of} (group {group}). What was accepted or received after that is on the peers: once the node\n\
         runs again, bring it back with: liangdi reconcile run --after-restore\n\
         What waited to be sent goes on; new messages go in new lanes.\n\
         数据为 {of}（第 {group} 组）时的状态；此后受理或收到的内容在对方节点；节点启动后请对账找回：\n\
         liangdi reconcile run --after-restore\n\
         当时待发的通报继续发送，新的通报另起序列。"
    )))
}

fn keys_beside(file: &Path, settings: &Settings) -> Result<PathBuf, Failure> {
    let dir = file.parent().unwrap_or(Path::new("."));
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let found = newest_keys(dir, settings.area.as_str()).map_err(|e| failure(&e))?;
    found.ok_or_else(|| {
        Failure::not_found(format!(
            "there is no keys file of {} in {}",
            settings.area,
            dir.display()
        ))
        .zh("找不到密钥文件")
        .advise("name the newest keys file with --keys")
    })
}

fn load(config: &Path) -> Result<(Settings, Options), Failure> {
    let settings = Settings::load(config).map_err(unusable)?;
    let key = DataKey::load(&settings.store.data_key).map_err(|e| Failure::usage(chain(&e)))?;
    let mut options = Options::new(settings.area.as_str(), key, SystemClock.now());
    options.cache_bytes = settings.store.cache_bytes;
    Ok((settings, options))
}

/// How a failed backup, verification or restore ends: what a file is not is a refusal, what is missing was not found.
fn failure(error: &BackupError) -> Failure {
    let text = chain(error);
    match error {
        BackupError::Truncated { .. }
        | BackupError::Altered { .. }
        | BackupError::Checksum { .. }
        | BackupError::Malformed { .. }
        | BackupError::OtherFormat { .. } => Failure::refused(text).zh("文件不完整或已被改动"),
        BackupError::Gate { source: GateError::WrongKey, .. } => {
            Failure::refused(text).zh("数据密钥与备份不符")
        }
        BackupError::Gate { .. } => Failure::refused(text).zh("备份不属于本节点或本版本"),
        BackupError::OtherKeys { .. } | BackupError::OldKeys { .. } => {
            Failure::refused(text).zh("密钥文件与备份不符")
        }
        BackupError::StoreExists(_) => Failure::refused(text)
            .zh("存储已存在，未作任何改动")
            .advise("restore with --set-aside to keep it under another name"),
        BackupError::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Failure::not_found(text).zh("找不到文件")
        }
        _ => Failure::failed(text).zh("未能完成"),
    }
}

/// A bar on the terminal; nothing for programs.
struct Bar(ProgressBar);

impl Bar {
    fn new(json: bool) -> Self {
        if json {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(0);
        let style = "{bar:40} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self(bar)
    }

    fn at(&self, bytes: u64, of_bytes: u64) {
        self.0.set_length(of_bytes.max(bytes));
        self.0.set_position(bytes);
    }

    fn watch(&self, progress: &Progress) -> ControlFlow<()> {
        self.at(progress.bytes, progress.of_bytes);
        ControlFlow::Continue(())
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}
