//! `liangdi statement`: what two sides have signed about a time; shown, taken along, and checked without any node.

mod page;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use domain::area::{AreaCode, AreaTable};
use domain::time::Date;
use exchange::digest::Digest;
use exchange::keys::SignContext;
use exchange::reconcile::calls::{Signature, SignedStatement};
use exchange::reconcile::difference::DifferenceName;
use exchange::reconcile::statement::{Counts, Statement};
use serde_json::{Value, json};
use trust::verify::{ChainVerifier, Purpose};
use wire::reconcile::{SIGNED_STATEMENT_BYTES_MAX, decode_signed_statement, decode_statement};

use super::connect::{ConnectArgs, office};
use super::exit::Failure;
use super::given::{bytes_file, new_file};
use super::output::{Answer, record, table, time};
use super::reconcile::party;
use super::trusted::TrustArgs;
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
    /// First digits of its digest; the newest when left out
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
    /// Totals, one line a pair of counties
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
            let (_, signed) = fetch(which).await?;
            let (statement, digest) = read(&signed)?;
            Ok(told(&statement, &digest))
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
    let bytes = office.reconcile().get_statement(request).await?.into_inner().signed_statement;
    let signed = decode_signed_statement(&bytes).map_err(|e| Failure::failed(chain(&e)))?;
    Ok((bytes, signed))
}

fn read(signed: &SignedStatement) -> Result<(Statement, Digest), Failure> {
    let statement = decode_statement(&signed.statement).map_err(|e| Failure::failed(chain(&e)))?;
    Ok((statement, Digest::of(&signed.statement)))
}

async fn export(given: Export) -> Result<Answer, Failure> {
    let (bytes, signed) = fetch(given.which).await?;
    let (statement, digest) = read(&signed)?;
    let content = match given.format {
        Format::Signed => bytes,
        Format::Json => told(&statement, &digest).json.to_string().into_bytes(),
        Format::Csv => csv(&statement).into_bytes(),
        Format::Html => page::html(&statement, &digest).into_bytes(),
    };
    new_file(&given.out, &content)?;
    let file = given.out.display().to_string();
    Ok(Answer::new(json!({ "file": file, "digest": digest.to_string() }), file))
}

fn verify(given: &Verify) -> Result<Answer, Failure> {
    let (chains, with_lists) = (given.trust.load()?, given.trust.has_lists());
    let bytes = bytes_file(&given.file, SIGNED_STATEMENT_BYTES_MAX)?;
    let signed = decode_signed_statement(&bytes)
        .map_err(|e| does_not_hold(&format!("this is no signed statement: {}", chain(&e))))?;
    let statement = decode_statement(&signed.statement).map_err(|e| does_not_hold(&chain(&e)))?;
    let scope = &statement.scope;
    if !scope.is_between_two() {
        return Err(does_not_hold("both sides are one"));
    }
    for (area, signature) in [(scope.asker, &signed.asker), (scope.answerer, &signed.answerer)] {
        holds((&chains, with_lists), &signed.statement, &statement, area, signature)?;
    }
    let digest = Digest::of(&signed.statement);
    let mut answer = told(&statement, &digest);
    let signers = format!("{} + {}", scope.asker, scope.answerer);
    answer.text = format!("双方签名成立 both signatures hold: {signers}\n\n{}", answer.text);
    if let Some(object) = answer.json.as_object_mut() {
        object.insert("verified".to_owned(), json!(true));
        object.insert("revocation_checked".to_owned(), json!(with_lists));
    }
    Ok(answer)
}

fn holds(
    (chains, with_lists): (&ChainVerifier, bool),
    bytes: &[u8],
    statement: &Statement,
    area: AreaCode,
    signature: &Signature,
) -> Result<(), Failure> {
    let wrong = |why: String| does_not_hold(&format!("the signature of {area}: {why}"));
    let chain_of = match with_lists {
        true => chains.verify_as_of(&signature.chain, statement.made, Vec::new()),
        // Whoever has no lists cannot look at revocation; the answer says so.
        false => chains.verify_except_revocation(&signature.chain, Purpose::Node, statement.made),
    };
    let chain_of = chain_of.map_err(|refused| wrong(refused.to_string()))?;
    if chain_of.identity.area() != area {
        return Err(wrong("it is that of another area".to_owned()));
    }
    chain_of
        .verify(SignContext::Statement, bytes, &signature.signature)
        .map_err(|_| wrong("it does not belong to these bytes".to_owned()))
}

fn does_not_hold(why: &str) -> Failure {
    Failure::refused(format!("the statement does not hold: {why}"))
        .zh("对账单不成立")
        .advise("export it again from the node of either side")
}

fn name(area: &AreaCode) -> String {
    AreaTable::builtin().full_name(area)
}

/// A statement for programs and for people.
fn told(statement: &Statement, digest: &Digest) -> Answer {
    let scope = &statement.scope;
    let pairs = [
        ("对账单 statement", digest.to_string()),
        ("发起方 asker", format!("{} {}", scope.asker, name(&scope.asker))),
        ("对方 answerer", format!("{} {}", scope.answerer, name(&scope.answerer))),
        ("期间 days", format!("{} – {}", scope.first, scope.last)),
        ("截至 until", time(scope.until)),
        ("出具 made", time(statement.made)),
        ("已关账 closes its days", if statement.closes() { "yes" } else { "no" }.to_owned()),
    ];
    let rows: Vec<_> = statement
        .totals
        .0
        .iter()
        .map(|((from, to), counts)| {
            let Counts { waiting, stored, refused } = counts;
            let place = |area: &AreaCode| format!("{area} {}", name(area));
            vec![
                place(from),
                place(to),
                stored.to_string(),
                refused.to_string(),
                waiting.to_string(),
            ]
        })
        .collect();
    let mut text = record(&pairs);
    text.push('\n');
    let headings = ["发出 from", "接收 to", "入库 stored", "拒收 refused", "未签收 waiting"];
    text.push_str(&table(&headings, &rows));
    let differences: Vec<_> = DifferenceName::ALL
        .iter()
        .zip(statement.found.iter().zip(&statement.cured))
        .filter(|(_, (found, _))| **found > 0)
        .map(|(name, (found, cured))| {
            vec![name.name().to_owned(), found.to_string(), cured.to_string()]
        })
        .collect();
    text.push('\n');
    text.push_str(&match differences.is_empty() {
        true => "无差异 no differences\n".to_owned(),
        false => table(&["差异 difference", "发现 found", "消除 cured"], &differences),
    });
    let left = statement.left.iter().filter_map(|it| {
        let (id, (from, to)) = it.id().zip(it.pair())?;
        Some(vec![it.name.name().to_owned(), id.to_string(), from.to_string(), to.to_string()])
    });
    let left: Vec<_> = left.collect();
    if !left.is_empty() {
        text.push('\n');
        text.push_str(&table(&["遗留 left", "报文 message", "发出 from", "接收 to"], &left));
    }
    let incomplete = statement.incomplete.iter();
    let cells = |(area, since): &(AreaCode, Date)| {
        vec![format!("{area} {}", name(area)), since.to_string()]
    };
    let incomplete: Vec<_> = incomplete.map(cells).collect();
    if !incomplete.is_empty() {
        text.push('\n');
        text.push_str(&table(&["未报全 not all reported", "自 since"], &incomplete));
    }
    for correction in &statement.corrections {
        let (from, to) = correction.pair;
        text.push_str(&format!(
            "更正 correction of {}: {from} → {to} {:?} → {:?}\n",
            correction.statement, correction.before, correction.now
        ));
    }
    Answer::new(for_programs(statement, digest), text)
}

fn for_programs(statement: &Statement, digest: &Digest) -> Value {
    let counts = |counts: &Counts| json!({ "stored": counts.stored, "refused": counts.refused, "waiting": counts.waiting });
    let scope = &statement.scope;
    let totals = statement.totals.0.iter().map(|((from, to), of)| {
        json!({ "from": from.to_string(), "to": to.to_string(), "counts": counts(of) })
    });
    let names = DifferenceName::ALL.iter().zip(statement.found.iter().zip(&statement.cured));
    let differences = names.map(
        |(name, (found, cured))| json!({ "name": name.name(), "found": found, "cured": cured }),
    );
    let left = statement.left.iter().filter_map(|it| {
        let (id, (from, to)) = it.id().zip(it.pair())?;
        Some(json!({ "message_id": id.to_string(), "name": it.name.name(), "from": from.to_string(), "to": to.to_string() }))
    });
    let corrections = statement.corrections.iter().map(|it| {
        json!({ "statement": it.statement.to_string(), "from": it.pair.0.to_string(), "to": it.pair.1.to_string(), "before": counts(&it.before), "now": counts(&it.now) })
    });
    let incomplete = statement
        .incomplete
        .iter()
        .map(|(area, since)| json!({ "county": area.to_string(), "since_day": since.to_string() }));
    json!({
        "digest": digest.to_string(),
        "asker": scope.asker.to_string(),
        "answerer": scope.answerer.to_string(),
        "first_day": scope.first.to_string(),
        "last_day": scope.last.to_string(),
        "until_ms": scope.until.get(),
        "made_ms": statement.made.get(),
        "closes": statement.closes(),
        "totals": totals.collect::<Vec<_>>(),
        "differences": differences.collect::<Vec<_>>(),
        "left": left.collect::<Vec<_>>(),
        "corrections": corrections.collect::<Vec<_>>(),
        "incomplete": incomplete.collect::<Vec<_>>(),
    })
}

fn csv(statement: &Statement) -> String {
    let mut text = "from,from_name,to,to_name,stored,refused,waiting\r\n".to_owned();
    for ((from, to), counts) in &statement.totals.0 {
        let Counts { waiting, stored, refused } = counts;
        let (from_name, to_name) = (name(from), name(to));
        text.push_str(&format!(
            "{from},{from_name},{to},{to_name},{stored},{refused},{waiting}\r\n"
        ));
    }
    if !statement.incomplete.is_empty() {
        text.push_str("\r\nincomplete,incomplete_name,since_day\r\n");
        for (area, since) in &statement.incomplete {
            text.push_str(&format!("{area},{},{since}\r\n", name(area)));
        }
    }
    text
}
