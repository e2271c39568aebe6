//! `liangdi statement`: what two sides have signed about a time; shown, taken along, and checked without any node.

mod csv;
mod page;
mod picture;
mod sums;
mod told;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use domain::area::{AreaCode, AreaTable};
use exchange::digest::Digest;
use exchange::keys::SignContext;
use exchange::reconcile::EntryState;
use exchange::reconcile::calls::{Signature, SignedStatement};
use exchange::reconcile::difference::DifferenceName;
use exchange::reconcile::statement::{CORRECTIONS_MAX, Statement};
use exchange::reconcile::totals::Counts;
use serde_json::json;
use wire::reconcile::{
    RECONCILE_BYTES_MAX, SIGNED_STATEMENT_BYTES_MAX, decode_signed_statement, decode_statement,
};

use super::connect::{ConnectArgs, office};
use super::exit::Failure;
use super::given::{bytes_file, new_file};
use super::label;
use super::output::Answer;
use super::reconcile::party;
use super::trusted::{Claim, Trust, TrustArgs};
use super::view;
use crate::errors::chain;

/// Statements that are asked for at one time.
const PAGE: u32 = 500;

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Statements that both sides have signed 列出
    List(List),
    /// A statement in words and numbers 查看
    Show(Which),
    /// A statement as a file: signed, JSON, CSV, or a page to print 导出
    Export(Export),
    /// Check a signed file with the root certificate alone; no node is needed 核验
    Verify(Verify),
}

#[derive(ClapArgs, Debug)]
struct List {
    #[command(flatten)]
    connect: ConnectArgs,
    /// Only with this side
    #[arg(long, value_name = "CODE")]
    with: Option<String>,
}

#[derive(ClapArgs, Debug)]
struct Which {
    #[command(flatten)]
    connect: ConnectArgs,
    /// First digits of its digest, enough that no other begins so; the newest when left out
    #[arg(default_value = "")]
    digest: String,
    /// Only with this side
    #[arg(long, value_name = "CODE")]
    with: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// As it was signed, with both signatures; for `statement verify`
    Signed,
    /// For programs
    Json,
    /// Tables, one after the other, each with its headings: what it is, totals, differences, what is left, corrections
    Csv,
    /// A page that prints on A4
    Html,
}

#[derive(ClapArgs, Debug)]
struct Export {
    #[command(flatten)]
    which: Which,
    /// What kind of file
    #[arg(long, value_enum, default_value_t = Format::Signed)]
    format: Format,
    /// Where it goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(ClapArgs, Debug)]
struct Verify {
    /// The signed file
    file: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    match args.verb {
        Verb::List(given) => list(given).await,
        Verb::Show(which) => {
            let trust = which.connect.trust()?;
            let (_, signed) = fetch(which).await?;
            Ok(told::told(&read(&signed, &trust)?))
        }
        Verb::Export(given) => export(given).await,
        Verb::Verify(given) => verify(&given),
    }
}

async fn list(given: List) -> Result<Answer, Failure> {
    let office = given.connect.open().await?;
    let with = given.with.as_deref().map(party).transpose()?;
    let with = with.map(|area| area.to_string()).unwrap_or_default();
    let (mut statements, mut page_token) = (Vec::new(), String::new());
    loop {
        let request =
            office::ListStatementsRequest { with: with.clone(), page_size: PAGE, page_token };
        let page = office.reconcile().list_statements(request).await?.into_inner();
        statements.extend(page.statements);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let columns =
        &["digest", "asker", "answerer", "first_day", "last_day", "messages", "left", "closes"];
    let rows = view::rows(&statements, columns);
    Ok(Answer::new(json!({ "statements": rows.json }), rows.text))
}

/// A statement from the node: the file's bytes, and what is in it.
async fn fetch(which: Which) -> Result<(Vec<u8>, SignedStatement), Failure> {
    let office = which.connect.open().await?;
    let with = which.with.as_deref().map(party).transpose()?;
    let with = with.map(|area| area.to_string()).unwrap_or_default();
    let request = office::GetStatementRequest { with, digest: which.digest };
    let mut client = office.reconcile().max_decoding_message_size(RECONCILE_BYTES_MAX);
    let bytes = client.get_statement(request).await?.into_inner().signed_statement;
    let signed = decode_signed_statement(&bytes).map_err(|e| Failure::failed(chain(&e)))?;
    Ok((bytes, signed))
}

/// A statement that was read, and what is known of its signatures.
struct Read {
    statement: Statement,
    digest: Digest,
    /// Of the asker's and of the answerer's signature.
    signers: [Signer; 2],
    /// Whether revocation was looked at.
    with_lists: bool,
}

/// By whom it is signed.
struct Signer {
    area: AreaCode,
    /// SHA-256 of the certificate, hexadecimal.
    certificate: String,
    /// Why the signature cannot be verified; `None` when it holds.
    fault: Option<String>,
}

impl Read {
    /// Whether both signatures hold.
    fn is_verified(&self) -> bool {
        self.signers.iter().all(|signer| signer.fault.is_none())
    }
}

/// Reads a statement. Whether its signatures hold stands beside it: a statement that cannot be verified with this root,
/// because it has changed since, is shown as such.
fn read(signed: &SignedStatement, trust: &Trust) -> Result<Read, Failure> {
    let statement = decode_statement(&signed.statement).map_err(|e| does_not_hold(&chain(&e)))?;
    let scope = &statement.scope;
    let signer = |by: AreaCode, Signature { signature, chain }: &Signature| {
        let (context, bytes, signed) = (SignContext::Statement, &signed.statement, statement.made);
        let verified = trust.check(&Claim { context, by, chain, bytes, signature, signed });
        let fault = match scope.is_between_two() {
            true => verified.err(),
            false => Some("both sides are one".to_owned()),
        };
        let leaf = chain.first().map(Vec::as_slice).unwrap_or_default();
        Signer { area: by, certificate: Digest::of(leaf).to_string(), fault }
    };
    let signers = [signer(scope.asker, &signed.asker), signer(scope.answerer, &signed.answerer)];
    let (digest, with_lists) = (Digest::of(&signed.statement), trust.has_lists());
    Ok(Read { statement, digest, signers, with_lists })
}

async fn export(given: Export) -> Result<Answer, Failure> {
    let trust = given.which.connect.trust()?;
    let (bytes, signed) = fetch(given.which).await?;
    let read = || read(&signed, &trust);
    let content = match given.format {
        // As it is, whatever this program can make of it.
        Format::Signed => bytes,
        Format::Json => told::told(&read()?).json.to_string().into_bytes(),
        Format::Csv => csv::tables(&read()?)?,
        Format::Html => page::html(&read()?).into_bytes(),
    };
    new_file(&given.out, &content)?;
    let file = given.out.display().to_string();
    let verified = read().is_ok_and(|read| read.is_verified());
    let mut text = file.clone();
    if !verified {
        text.push_str(
            "\n签名未能核验 NOT verified with this root: liangdi statement show says why",
        );
    }
    let digest = Digest::of(&signed.statement).to_string();
    Ok(Answer::new(json!({ "file": file, "digest": digest, "verified": verified }), text))
}

fn verify(given: &Verify) -> Result<Answer, Failure> {
    let trust = given.trust.trust()?;
    let bytes = bytes_file(&given.file, SIGNED_STATEMENT_BYTES_MAX)?;
    let signed = decode_signed_statement(&bytes)
        .map_err(|e| does_not_hold(&format!("this is no signed statement: {}", chain(&e))))?;
    let read = read(&signed, &trust)?;
    for Signer { area, fault, .. } in &read.signers {
        if let Some(why) = fault {
            return Err(does_not_hold(&format!("the signature of {area}: {why}")));
        }
    }
    let mut answer = told::told(&read);
    let [asker, answerer] = read.signers.map(|signer| signer.area);
    answer.text =
        format!("双方签名成立 both signatures hold: {asker} + {answerer}\n\n{}", answer.text);
    Ok(answer)
}

fn does_not_hold(why: &str) -> Failure {
    Failure::refused(format!("the statement does not hold: {why}"))
        .zh("对账单不成立")
        .advise("export it again from the node of either side")
}

fn name(area: &AreaCode) -> String {
    AreaTable::builtin().full_name(area)
}

/// What a side says of messages that are counted and not named.
fn state(state: Option<EntryState>) -> &'static str {
    state.map_or("NOTHING", EntryState::name)
}

/// Pairs with a digest of their entries, and all pairs.
fn attested(statement: &Statement) -> (usize, usize) {
    (statement.digests.0.len(), statement.totals.0.len())
}

/// Whether there may be more corrections than the statement has room for.
fn corrections_are_cut(statement: &Statement) -> bool {
    statement.corrections.len() >= CORRECTIONS_MAX
}

/// The name of a difference as clerks and programs know it.
fn named(name: DifferenceName) -> String {
    label::difference(name.name())
}

/// Counts in a word or two.
fn said(Counts { stored, refused, waiting }: &Counts) -> String {
    format!("入库 {stored} 拒收 {refused} 未签收 {waiting}")
}

/// The sum of all pairs.
fn sum(statement: &Statement) -> Counts {
    let add = |all: Counts, of: &Counts| Counts {
        waiting: all.waiting.saturating_add(of.waiting),
        stored: all.stored.saturating_add(of.stored),
        refused: all.refused.saturating_add(of.refused),
    };
    statement.totals.0.values().fold(Counts::default(), add)
}

/// What it means that no difference was found.
fn nothing_found(statement: &Statement) -> &'static str {
    match (statement.incomplete.is_empty(), statement.left_count()) {
        (true, 0) => "双方一致 no differences. Both sides are equal.",
        (true, _) => "此次未发现其他差异 no differences but those that are left",
        (false, _) => {
            "已上报部分无差异，尚未报全 no differences in what was reported; not everything was reported"
        }
    }
}
