//! `liangdi import`: records from CSV and XLSX files, all or none, with a report line by line.

mod bound;
mod columns;
mod sheet;
mod template;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use exchange::digest::Digest;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::connect::{ConnectArgs, Office, office};
use super::exit::{Exit, Failure};
use super::output::{Answer, table};
use super::view;
use columns::{Columns, header_of};
use domain::hex::hex;
use domain::rule::Rule;

/// Rows that are handed over in one call.
const BATCH_ROWS: usize = 500;
/// Findings that a report names; the others are counted.
const FINDINGS_MAX: usize = 1_000;
/// How often the node is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// Bytes of a file that are read in one go.
const CHUNK_BYTES: usize = 256 * 1024;

/// Which records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Persons who live here 流动人口登记
    Registrations,
    /// Certificates that this county issued before 婚育证明
    Certificates,
    /// Cases from before there was a node 历史个案
    OldCases,
}

impl Kind {
    const fn number(self) -> office::ImportKind {
        match self {
            Self::Registrations => office::ImportKind::Registration,
            Self::Certificates => office::ImportKind::Certificate,
            Self::OldCases => office::ImportKind::OldCase,
        }
    }
}

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Import persons who live here 导入登记
    Registrations(Take),
    /// Import certificates that this county issued before 导入证明
    Certificates(Take),
    /// Import cases from before there was a node 导入历史个案
    OldCases(Take),
    /// Write an empty file with the right headings 模板
    Template {
        /// Which records
        kind: Kind,
        /// The file, .csv or .xlsx, which must not exist yet
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(ClapArgs, Debug)]
struct Take {
    #[command(flatten)]
    connect: ConnectArgs,
    /// The file, .csv or .xlsx, with the headings of the template 文件
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Only check; nothing is written 仅校验
    #[arg(long)]
    dry_run: bool,
    /// Go on with an import of this file that was interrupted 继续
    #[arg(long, conflicts_with = "dry_run")]
    resume: bool,
}

/// Runs the command; with a bar for people.
pub(super) async fn run(args: Args, bar: bool) -> Result<Answer, Failure> {
    match args.verb {
        Verb::Registrations(given) => take(given, Kind::Registrations, bar).await,
        Verb::Certificates(given) => take(given, Kind::Certificates, bar).await,
        Verb::OldCases(given) => take(given, Kind::OldCases, bar).await,
        Verb::Template { kind, out } => template::write(kind, &out),
    }
}

/// What goes on between a file and a node.
struct Taking {
    node: Office,
    import: office::Import,
    kind: Kind,
    batch: Vec<office::ImportRow>,
    number: u64,
    findings: Vec<office::ImportFinding>,
    more_findings: u64,
    bar: ProgressBar,
}

async fn take(given: Take, kind: Kind, bar: bool) -> Result<Answer, Failure> {
    let mut sheet = sheet::open(&given.file)?;
    let header = sheet.next_row()?.ok_or_else(|| empty(&given.file))?;
    let columns = Columns::of(kind, &header.cells)?;
    let node = given.connect.open().await?;
    let mut request = office::BeginImportRequest {
        kind: kind.number().into(),
        file_sha256: hex(digest(&given.file)?.as_bytes()),
        dry_run: given.dry_run,
        resume: given.resume,
    };
    let begun = node.imports().begin_import(request.clone()).await?.into_inner().import;
    let mut import = begun.unwrap_or_default();
    if given.resume && import.rows_wrong > 0 {
        // Nothing can come of it, and what was wrong was told to whoever was cut off: it is all looked at again.
        request.resume = false;
        import =
            node.imports().begin_import(request).await?.into_inner().import.unwrap_or_default();
    }
    let mut taking = Taking {
        node,
        import,
        kind,
        batch: Vec::with_capacity(BATCH_ROWS),
        number: 1,
        findings: Vec::new(),
        more_findings: 0,
        bar: progress(bar),
    };
    use office::ImportState as State;
    if matches!(taking.import.state(), State::Staging | State::CheckOnly) {
        while let Some(row) = sheet.next_row()? {
            if row.cells.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            if let Some(cell) = columns.stray(&row.cells) {
                taking.found(stray(row.line, cell));
            }
            taking.batch.push(columns.row(row.line, &row.cells));
            if taking.batch.len() == BATCH_ROWS {
                taking.hand_over().await?;
            }
        }
        taking.hand_over().await?;
    }
    taking.end(given.dry_run).await
}

impl Taking {
    fn found(&mut self, finding: office::ImportFinding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        } else {
            self.more_findings = self.more_findings.saturating_add(1);
        }
    }

    async fn hand_over(&mut self) -> Result<(), Failure> {
        let rows = std::mem::take(&mut self.batch);
        if rows.is_empty() {
            return Ok(());
        }
        let (batch, count) = (self.number, u64::try_from(rows.len()).unwrap_or(0));
        self.number = batch.saturating_add(1);
        self.bar.inc(count);
        // After an interruption the node has these.
        if batch <= self.import.batches {
            return Ok(());
        }
        let import_id = self.import.import_id.clone();
        let request = office::PutImportRowsRequest { import_id, batch, rows };
        let put = self.node.imports().put_import_rows(request).await?.into_inner();
        put.findings.into_iter().for_each(|finding| self.found(finding));
        self.import = put.import.unwrap_or_default();
        Ok(())
    }

    async fn end(mut self, dry_run: bool) -> Result<Answer, Failure> {
        if !self.findings.is_empty() {
            self.bar.finish_and_clear();
            return Ok(self.report());
        }
        if !dry_run {
            let import_id = self.import.import_id.clone();
            let request = office::FinishImportRequest { import_id: import_id.clone() };
            self.node.imports().finish_import(request).await?;
            self.bar.set_length(self.import.rows);
            loop {
                let request = office::GetImportRequest { import_id: import_id.clone() };
                let now = self.node.imports().get_import(request).await?.into_inner().import;
                self.import = now.unwrap_or_default();
                self.bar.set_position(self.import.written.saturating_add(self.import.skipped));
                if self.import.state() == office::ImportState::Done {
                    break;
                }
                tokio::time::sleep(ASK_EVERY).await;
            }
        }
        self.bar.finish_and_clear();
        if self.import.skipped > 0 {
            return Ok(self.left_out());
        }
        let told = if dry_run {
            "\nNothing is wrong; nothing was written. 校验通过，未写入。"
        } else {
            "\nAll rows are taken in. 已全部导入。"
        };
        Ok(view::answer(&self.import).and(told))
    }

    /// Lines of which somebody else was on record when their turn came.
    fn left_out(&self) -> Answer {
        let office::Import { skipped, skipped_lines, .. } = &self.import;
        let lines: Vec<_> = skipped_lines.iter().map(ToString::to_string).collect();
        let (lines, more) = (lines.join(", "), *skipped > u64::try_from(lines.len()).unwrap_or(0));
        let more = if more { " …" } else { "" };
        view::answer(&self.import)
            .and(&format!(
                "\n{skipped} rows were not taken in, because they were on record when their turn came: lines {lines}{more}\n\
                 有{skipped}行因已有记录而未导入：第{lines}行{more}。其余各行已导入。"
            ))
            .ending(Exit::Refused)
    }

    /// What is wrong, line by line, under the headings of the file. Nothing of the file was taken in.
    fn report(&self) -> Answer {
        let mut findings: Vec<_> = self.findings.iter().collect();
        findings.sort_by_key(|finding| finding.line);
        let rows: Vec<Vec<String>> = findings
            .iter()
            .map(|f| {
                let column = header_of(self.kind, &f.field).to_owned();
                let (zh, en) =
                    (format!("{}{}", f.text_zh, f.fix_zh), format!("{} {}", f.text_en, f.fix_en));
                vec![f.line.to_string(), column, f.code.clone(), zh, en]
            })
            .collect();
        let headings =
            ["line 行", "column 列", "code 代码", "问题与改正", "what is wrong, what to do"];
        let json_rows: Vec<_> = findings
            .iter()
            .map(|f| {
                json!({
                    "line": f.line, "column": header_of(self.kind, &f.field), "field": f.field,
                    "code": f.code, "text_zh": f.text_zh, "text_en": f.text_en,
                    "fix_zh": f.fix_zh, "fix_en": f.fix_en, "earlier_line": f.earlier_line,
                })
            })
            .collect();
        let rows_wrong = self.import.rows_wrong;
        let json = json!({
            "import": view::answer(&self.import).json,
            "findings": json_rows,
            "more_findings": self.more_findings,
        });
        let more = match self.more_findings {
            0 => String::new(),
            more => format!("\nand {more} more 另有{more}处"),
        };
        Answer::new(json, table(&headings, &rows))
            .and(&format!(
                "{more}\n{} rows, {rows_wrong} wrong; nothing was taken in. Correct the file and import it again.\n\
                 共{}行，{rows_wrong}行有问题；全部未导入，请改正后重新导入。",
                self.import.rows, self.import.rows
            ))
            .ending(Exit::Refused)
    }
}

/// Something stands in a cell of a line that no heading names; perhaps all that comes after a quotation mark.
fn stray(line: u32, cell: usize) -> office::ImportFinding {
    let rule = Rule::FieldNotAllowed;
    office::ImportFinding {
        line,
        field: cell.to_string(),
        code: rule.code().to_owned(),
        text_zh: format!("第{cell}列没有表头，却有内容。"),
        text_en: format!("There is something in cell {cell}, which has no heading."),
        fix_zh: "请清空，或检查该行的引号是否成对。".to_owned(),
        fix_en: "Empty it, or see whether a quotation mark of the line has no second one."
            .to_owned(),
        earlier_line: 0,
    }
}

fn progress(bar: bool) -> ProgressBar {
    if !bar {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} rows 行 {per_sec} {elapsed}")
    {
        bar.set_style(style);
    }
    bar
}

fn empty(path: &Path) -> Failure {
    Failure::usage(format!("{} has no line", path.display())).zh("文件为空")
}

/// SHA-256 of a file, read in pieces.
fn digest(path: &Path) -> Result<Digest, Failure> {
    let unreadable =
        |e: std::io::Error| Failure::usage(format!("cannot read {}: {e}", path.display()));
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    let mut fault = None;
    let pieces = std::iter::from_fn(|| {
        let mut chunk = vec![0; CHUNK_BYTES];
        match file.read(&mut chunk) {
            Ok(0) => None,
            Ok(length) => {
                chunk.truncate(length);
                Some(chunk)
            }
            Err(error) => {
                fault = Some(error);
                None
            }
        }
    });
    let digest = Digest::of_all(pieces);
    fault.map_or(Ok(digest), |error| Err(unreadable(error)))
}
