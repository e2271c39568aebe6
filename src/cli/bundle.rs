//! `liangdi bundle`: mail and cards by file, for an office without a line.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use serde_json::json;
use tokio_stream::wrappers::ReceiverStream;
use wire::pb::office::export_bundle_response::Part;

use super::connect::{ConnectArgs, Office, office};
use super::exit::Failure;
use super::given::{bytes_file, new_file};
use super::output::Answer;
use super::view;

/// Bytes of a file that are handed over in one go.
const CHUNK_BYTES: usize = 64 * 1024;
/// Pieces that wait for the node.
const CHUNKS: usize = 8;
/// Largest card file.
const CARD_BYTES_MAX: usize = 16 * 1024 * 1024;

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
    /// Write everything that waits for a node into a file that only it can open 导出
    Export {
        /// The node it is for 发往地
        #[arg(long, value_name = "CODE")]
        to: AreaCode,
        /// The file, which must not exist yet
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Take a file in; repeating it does no harm 导入
    Import {
        /// The file
        file: PathBuf,
    },
    /// Write this node's card into a file, for an office that never met it 导出名片
    ExportCard {
        /// The file, which must not exist yet
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Take another node's card from a file; it proves itself 导入名片
    ImportCard {
        /// The file
        file: PathBuf,
    },
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    let node = args.connect.open().await?;
    match args.verb {
        Verb::Export { to, out } => export(&node, to, &out).await,
        Verb::Import { file } => import(&node, &file).await,
        Verb::ExportCard { out } => export_card(&node, &out).await,
        Verb::ImportCard { file } => import_card(&node, &file).await,
    }
}

async fn export(node: &Office, to: AreaCode, out: &Path) -> Result<Answer, Failure> {
    if out.exists() {
        let text = format!("{} exists already; it is not overwritten", out.display());
        return Err(Failure::usage(text).zh("文件已存在"));
    }
    let mut beside = out.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let exported = write(node, to, &beside).await;
    let report = match exported {
        Ok(report) => report,
        Err(failure) => {
            // Half a file is of no use; what is left of it says nothing.
            let _gone = fs::remove_file(&beside).is_err();
            return Err(failure);
        }
    };
    fs::rename(&beside, out).map_err(|e| cannot_write(out, &e))?;
    Ok(view::answer(&report).and(
        "\nOnly the node it is for can open the file. Its mail goes on being offered by other ways.\n\
         仅收件节点能打开此文件；其中的通报仍会继续尝试其他途径。",
    ))
}

/// Writes the file as it comes; whole and on disk when this returns.
async fn write(node: &Office, to: AreaCode, path: &Path) -> Result<office::BundleReport, Failure> {
    let request = office::ExportBundleRequest { to: to.to_string() };
    let mut pieces = node.bundles().export_bundle(request).await?.into_inner();
    let mut file = fs::File::create(path).map_err(|e| cannot_write(path, &e))?;
    while let Some(piece) = pieces.message().await? {
        match piece.part {
            Some(Part::Chunk(bytes)) => {
                file.write_all(&bytes).map_err(|e| cannot_write(path, &e))?;
            }
            Some(Part::Done(report)) => {
                file.sync_all().map_err(|e| cannot_write(path, &e))?;
                return Ok(report);
            }
            None => {}
        }
    }
    Err(Failure::failed("the node ended the call before the file was complete")
        .zh("文件尚未完成，节点已结束调用"))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot write {}: {error}", path.display())).zh("文件无法写入")
}

async fn import(node: &Office, path: &Path) -> Result<Answer, Failure> {
    let unreadable =
        |e: std::io::Error| Failure::usage(format!("cannot read {}: {e}", path.display()));
    let mut file = fs::File::open(path).map_err(unreadable)?;
    let (pieces, outgoing) = tokio::sync::mpsc::channel(CHUNKS);
    let read = async move {
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let length = file.read(&mut chunk).map_err(unreadable)?;
            if length == 0 {
                return Ok(());
            }
            chunk.truncate(length);
            // A node that has refused the file takes no more of it; its answer says why.
            if pieces.send(office::ImportBundleRequest { chunk }).await.is_err() {
                return Ok(());
            }
        }
    };
    let mut bundles = node.bundles();
    let call = bundles.import_bundle(ReceiverStream::new(outgoing));
    let (read, answer) = tokio::join!(read, call);
    let read: Result<(), Failure> = read;
    read?;
    let report = answer?.into_inner().report.unwrap_or_default();
    if !report.complete {
        let told = format!(
            "{} parcels with {} messages and {} words were taken before",
            report.parcels, report.messages, report.words
        );
        return Err(Failure::failed(&report.fault_en).zh(&report.fault_zh).detail(told));
    }
    Ok(view::answer(&report))
}

async fn export_card(node: &Office, out: &Path) -> Result<Answer, Failure> {
    let answer = node.bundles().export_card(office::ExportCardRequest {}).await?.into_inner();
    new_file(out, &answer.directory)?;
    let text =
        format!("{} holds this node's card and the revocation lists in force", out.display());
    Ok(Answer::new(json!({ "file": out, "bytes": answer.directory.len() }), text))
}

async fn import_card(node: &Office, path: &Path) -> Result<Answer, Failure> {
    let directory = bytes_file(path, CARD_BYTES_MAX)?;
    let request = office::ImportCardRequest { directory };
    let office::ImportCardResponse { news, faults } =
        node.bundles().import_card(request).await?.into_inner();
    if faults > 0 {
        let text =
            format!("{faults} entries of the file do not prove themselves; {news} were taken");
        return Err(Failure::refused(text).zh("名片或吊销名单未能通过核验"));
    }
    let text = format!("{news} cards and lists are new and in force");
    Ok(Answer::new(json!({ "news": news, "faults": faults }), text))
}
