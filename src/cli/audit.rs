//! `liangdi audit`: who looked at what, when and why; as a list, and as a file that anybody can verify.

use std::fs;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args as ClapArgs, Subcommand};
use domain::access::AccessAction;
use domain::time::Date;
use serde_json::json;
use store::access::AccessHead;

use super::connect::{ConnectArgs, Office, office};
use super::exit::Failure;
use super::given::{DocumentArgs, Maybe, PageArgs, choice};
use super::output::{self, Answer, record};
use super::trusted::TrustArgs;
use super::view;
use crate::access_file::{self, FileFault, Proven, hash};
use crate::errors::chain;
use domain::hex::hex;

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Entries of the access log, newest first 查看
    List(List),
    /// How much each operator reads, and the limits 查阅量
    Reads(Online),
    /// Take the log out as a file that proves itself 导出
    Export(Export),
    /// Check such a file; no node is needed 核验
    Verify(Verify),
}

#[derive(ClapArgs, Debug)]
struct Online {
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(ClapArgs, Debug)]
struct List {
    #[command(flatten)]
    connect: ConnectArgs,
    /// Only about this person, as the log names her 人员代号
    #[arg(long, value_name = "HASH", default_value = "", conflicts_with = "document")]
    person: String,
    #[command(flatten)]
    document: Maybe<DocumentArgs>,
    /// Only of this operator 操作员
    #[arg(long, value_name = "NAME", default_value = "")]
    operator: String,
    /// Only this action 操作
    #[arg(long, value_parser = choice(AccessAction::chinese))]
    action: Option<AccessAction>,
    /// Only from this day on 起
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: Option<Date>,
    /// Only to the end of this day 止
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<Date>,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(ClapArgs, Debug)]
struct Export {
    #[command(flatten)]
    connect: ConnectArgs,
    /// The file, which must not exist yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Begin after the entry of this number; the whole log when left out
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    from_number: u64,
}

#[derive(ClapArgs, Debug)]
struct Verify {
    /// The file
    file: PathBuf,
    /// An end that you kept from an earlier file: the log has to contain it; may be given several times
    #[arg(long, value_name = "NUMBER:HASH")]
    known: Vec<Known>,
    #[command(flatten)]
    trust: TrustArgs,
}

/// An end of the log that somebody kept.
#[derive(Clone, Copy, Debug)]
struct Known(AccessHead);

impl FromStr for Known {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let head = text.split_once(':').and_then(|(number, digits)| {
            Some(AccessHead { number: number.parse().ok()?, hash: hash(digits)? })
        });
        head.map(Self).ok_or("write it as NUMBER:HASH, as `audit verify` printed it")
    }
}

const COLUMNS: &[&str] =
    &["number", "at_ms", "operator", "role", "action", "purpose", "basis", "person", "message_id"];

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    match args.verb {
        Verb::List(given) => list(given).await,
        Verb::Reads(given) => reads(&given.connect.open().await?).await,
        Verb::Export(given) => export(given).await,
        Verb::Verify(given) => verify(&given),
    }
}

async fn list(given: List) -> Result<Answer, Failure> {
    let node = given.connect.open().await?;
    let mut request = office::ListAccessRequest {
        person: given.person,
        document: given.document.0.map(DocumentArgs::read).transpose()?,
        operator: given.operator,
        from_ms: given.from.map_or(0, |day| day.begins().get()),
        until_ms: given.until.map_or(0, |day| day.ends().get()),
        action: given.action.map(|action| action.code().to_owned()).unwrap_or_default(),
        page_size: given.page.limit,
        page_token: given.page.after,
    };
    // A page may be short: the node looks at so many entries a call.
    let wanted = usize::try_from(given.page.limit).unwrap_or(usize::MAX);
    let mut entries = Vec::new();
    loop {
        let page = node.audit().list_access(request.clone()).await?.into_inner();
        entries.extend(page.entries);
        request.page_token = page.next_page_token;
        let left = wanted.saturating_sub(entries.len());
        if request.page_token.is_empty() || left == 0 {
            break;
        }
        request.page_size = u32::try_from(left).unwrap_or(u32::MAX);
    }
    let next = request.page_token;
    let rows = view::rows(&entries, COLUMNS);
    let answer = Answer::new(json!({ "entries": rows.json, "next_page_token": next }), rows.text);
    Ok(if next.is_empty() { answer } else { answer.and(&format!("\nMore: --after {next}")) })
}

async fn reads(node: &Office) -> Result<Answer, Failure> {
    let reads = node.audit().list_reads(office::ListReadsRequest {}).await?.into_inner();
    let rows = view::rows(&reads.operators, &["operator", "in_hour", "in_day", "usual"]);
    let office::ListReadsResponse { per_hour, per_day, .. } = reads;
    let json = json!({ "operators": rows.json, "per_hour": per_hour, "per_day": per_day });
    Ok(Answer::new(json, rows.text)
        .and(&format!("\nLimits 上限: {per_hour} an hour 每小时, {per_day} a day 每日")))
}

async fn export(given: Export) -> Result<Answer, Failure> {
    let node = given.connect.open().await?;
    let out = given.out;
    if out.exists() {
        let text = format!("{} exists already; it is not overwritten", out.display());
        return Err(Failure::usage(text).zh("文件已存在"));
    }
    let mut beside = out.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let bytes = match write(&node, given.from_number, &beside).await {
        Ok(bytes) => bytes,
        Err(failure) => {
            // Half a log proves nothing.
            let _gone = fs::remove_file(&beside).is_err();
            return Err(failure);
        }
    };
    fs::rename(&beside, &out).map_err(|e| cannot_write(&out, &e))?;
    let json = json!({ "file": out.display().to_string(), "bytes": bytes });
    Ok(Answer::new(json, format!("{} ({bytes} bytes)", out.display())).and(
        "\nAnybody with the root certificate can check it 任何持有根证书者均可核验:\n  liangdi audit verify FILE --root root.pem",
    ))
}

async fn write(node: &Office, after: u64, path: &Path) -> Result<u64, Failure> {
    let request = office::ExportAccessRequest { after };
    let mut pieces = node.audit().export_access(request).await?.into_inner();
    let mut file = fs::File::create(path).map_err(|e| cannot_write(path, &e))?;
    let mut bytes = 0_u64;
    while let Some(piece) = pieces.message().await? {
        file.write_all(&piece.chunk).map_err(|e| cannot_write(path, &e))?;
        bytes = bytes.saturating_add(u64::try_from(piece.chunk.len()).unwrap_or(0));
    }
    file.sync_all().map_err(|e| cannot_write(path, &e))?;
    Ok(bytes)
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot write {}: {error}", path.display())).zh("文件无法写入")
}

fn verify(given: &Verify) -> Result<Answer, Failure> {
    let chains = given.trust.load()?;
    let path = &given.file;
    let file = fs::File::open(path)
        .map_err(|e| Failure::usage(format!("cannot read {}: {e}", path.display())))?;
    let known: Vec<AccessHead> = given.known.iter().map(|known| known.0).collect();
    access_file::verify(&mut BufReader::new(file), &chains, &known)
        .map(|proven| told(&proven))
        .map_err(|fault: FileFault| {
            Failure::refused(format!("the access log does not hold: {}", chain(&fault)))
                .zh("访问日志核验不通过")
                .advise("ask for the file again; if it still fails, the log was altered")
        })
}

fn told(proven: &Proven) -> Answer {
    let head = format!("{}:{}", proven.head.number, hex(&proven.head.hash));
    let entries = proven.head.number.saturating_sub(proven.after.number);
    let span = proven
        .span
        .map(|(first, last)| format!("{} – {}", output::time(first), output::time(last)));
    let mut pairs = vec![
        ("area 地区".to_owned(), proven.area.to_string()),
        ("entries 条目数".to_owned(), entries.to_string()),
        ("time 时间".to_owned(), span.unwrap_or_default()),
        ("end 末条".to_owned(), head.clone()),
        ("signed 签名时间".to_owned(), output::time(proven.signed)),
    ];
    let counts = proven.actions.iter();
    pairs.extend(counts.map(|(a, n)| (format!("{} {}", a.code(), a.chinese()), n.to_string())));
    let actions: serde_json::Map<_, _> =
        proven.actions.iter().map(|(a, n)| (a.code().to_owned(), json!(n))).collect();
    let json = json!({
        "holds": true,
        "area": proven.area.to_string(),
        "after": proven.after.number,
        "entries": entries,
        "head": head,
        "signed_ms": proven.signed.get(),
        "actions": actions,
    });
    Answer::new(json, record(&pairs)).and(
        "\nThe log holds. Keep its end: a later log has to contain it (--known). 日志成立，请留存末条以备日后比对。",
    )
}
