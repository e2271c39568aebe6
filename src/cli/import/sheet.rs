//! Lines of CSV and XLSX files, one at a time: a CSV file of a million lines needs no more memory than one of ten. Of a
//! workbook the texts are kept, as far as [`bound`] lets it be read at all.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::path::Path;

use calamine::{DataRef, Reader as _, Xlsx};

use super::bound::{self, WHOLE_BYTES_MAX};
use crate::cli::exit::Failure;

/// Days from 1970-01-01 to the day that spreadsheets count from.
const SPREADSHEET_EPOCH: f64 = 25_569.0;
/// Cells of a line that are read; more are in no template.
const CELLS_MAX: usize = 200;
/// Bytes of a line of a CSV file: many times what a full one has.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Bytes that the reader takes at one time, ahead of the line that it gives.
const AHEAD_BYTES: usize = 64 * 1024;
/// Lines that wait for the node.
const LINES_AHEAD: usize = 1_024;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its number, from 1.
    pub(super) line: u32,
    /// What stands in it.
    pub(super) cells: Vec<String>,
}

/// A file that is read line by line.
pub(super) enum Sheet {
    Csv(Box<csv::Reader<Bounded<File>>>),
    /// A workbook is read by a thread of its own: its reader borrows from it.
    Xlsx(std::sync::mpsc::Receiver<Result<Line, Failure>>),
}

/// A file of which no more is read than is left for the line: a quotation mark that nobody closes makes the rest of a file
/// one cell, which must not be held in memory.
pub(super) struct Bounded<R> {
    of: R,
    left: usize,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into.len().min(self.left);
        let Some(into) = into.get_mut(..most).filter(|into| !into.is_empty()) else {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        };
        let count = self.of.read(into)?;
        self.left = self.left.saturating_sub(count);
        Ok(count)
    }
}

impl std::fmt::Debug for Sheet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sheet(..)")
    }
}

/// Opens a file by its ending.
///
/// # Errors
/// Another ending, or a file that cannot be read.
pub(super) fn open(path: &Path) -> Result<Sheet, Failure> {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    let mut file = File::open(path)
        .map_err(|e| Failure::usage(format!("cannot read {}: {e}", path.display())))?;
    match ending.as_str() {
        "csv" => {
            let mut reader = csv::ReaderBuilder::new();
            // Ended by line feeds alone, so that lines are counted as people count them; cells are trimmed.
            let reader = reader.has_headers(false).flexible(true);
            let reader = reader.terminator(csv::Terminator::Any(b'\n'));
            let reader = reader.buffer_capacity(AHEAD_BYTES);
            Ok(Sheet::Csv(Box::new(reader.from_reader(Bounded { of: file, left: 0 }))))
        }
        "xlsx" => {
            bound::check(BufReader::new(&file), WHOLE_BYTES_MAX)?;
            file.rewind().map_err(|e| damaged(&e.to_string()))?;
            let (lines, receiver) = std::sync::mpsc::sync_channel(LINES_AHEAD);
            std::thread::spawn(move || {
                if let Err(failure) = read_workbook(file, &lines) {
                    // Who reads has gone when this is not heard.
                    let _gone = lines.send(Err(failure)).is_err();
                }
            });
            Ok(Sheet::Xlsx(receiver))
        }
        _ => Err(Failure::usage(format!("{} is neither .csv nor .xlsx", path.display()))
            .zh("文件须为 .csv 或 .xlsx")),
    }
}

impl Sheet {
    /// The next line; none at the end.
    ///
    /// # Errors
    /// The file is damaged.
    pub(super) fn next_row(&mut self) -> Result<Option<Line>, Failure> {
        match self {
            Self::Xlsx(lines) => lines.recv().ok().transpose(),
            Self::Csv(reader) => {
                let mut record = csv::ByteRecord::new();
                let begins = reader.position().line();
                reader.get_mut().left = LINE_BYTES_MAX + AHEAD_BYTES;
                let more = match reader.read_byte_record(&mut record) {
                    Ok(more) => more,
                    Err(_) if reader.get_ref().left == 0 => {
                        return Err(too_long(begins));
                    }
                    Err(error) => return Err(damaged(&error.to_string())),
                };
                if !more {
                    return Ok(None);
                }
                let line = record.position().map_or(0, csv::Position::line);
                if record.as_slice().len() > LINE_BYTES_MAX {
                    return Err(too_long(line));
                }
                let cells = record.iter().take(CELLS_MAX).map(text).collect();
                Ok(Some(Line { line: u32::try_from(line).unwrap_or(u32::MAX), cells }))
            }
        }
    }
}

/// UTF-8, or what spreadsheet programs write on Chinese machines.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::GB18030.decode(bytes).0.into_owned(),
    }
}

type Lines = std::sync::mpsc::SyncSender<Result<Line, Failure>>;

/// Gives the lines of the first sheet away, until nobody takes them.
fn read_workbook(file: File, lines: &Lines) -> Result<(), Failure> {
    let fault = |e: calamine::XlsxError| damaged(&e.to_string());
    let mut book = Xlsx::new(BufReader::new(file)).map_err(fault)?;
    let first = book.sheet_names().into_iter().next();
    let first = first.ok_or_else(|| damaged("there is no sheet"))?;
    let mut cells = book.worksheet_cells_reader(&first).map_err(fault)?;
    let mut line = Line { line: 0, cells: Vec::new() };
    while let Some(cell) = cells.next_cell().map_err(fault)? {
        let (row, column) = cell.get_position();
        let number = row.saturating_add(1);
        if number != line.line {
            let whole = std::mem::replace(&mut line, Line { line: number, cells: Vec::new() });
            if whole.line > 0 && lines.send(Ok(whole)).is_err() {
                return Ok(());
            }
        }
        let column = usize::try_from(column).unwrap_or(usize::MAX);
        if column < CELLS_MAX {
            line.cells.resize(line.cells.len().max(column.saturating_add(1)), String::new());
            if let Some(place) = line.cells.get_mut(column) {
                *place = shown(cell.get_value());
            }
        }
    }
    if line.line > 0 {
        // Who reads may have gone.
        let _gone = lines.send(Ok(line)).is_err();
    }
    Ok(())
}

/// A cell as people see it.
fn shown(value: &DataRef<'_>) -> String {
    match value {
        DataRef::Empty | DataRef::Error(_) => String::new(),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            // A time of day behind a day does not matter.
            text.split_once('T').map_or(text.as_str(), |(day, _)| day).to_owned()
        }
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Int(number) => number.to_string(),
        // Numbers of documents and areas are typed as texts; of one typed as a number the last digits are lost,
        // and its check character says so.
        DataRef::Float(number) => format!("{number:.0}"),
        DataRef::Bool(value) => value.to_string(),
        DataRef::DateTime(at) => day(at.as_f64()),
    }
}

/// The day of a spreadsheet's number, as YYYY-MM-DD.
fn day(serial: f64) -> String {
    let days = format!("{:.0}", (serial - SPREADSHEET_EPOCH).floor());
    let first: Option<domain::time::Date> = "1970-01-01".parse().ok();
    match (days.parse::<i32>(), first) {
        (Ok(days), Some(first)) => first.plus_days(days).to_string(),
        _ => String::new(),
    }
}

/// A quotation mark that has no second one makes one line of everything after it.
fn too_long(line: u64) -> Failure {
    let most = LINE_BYTES_MAX / 1024;
    Failure::usage(format!("line {line} is longer than {most} KiB"))
        .zh(format!("第{line}行超过{most} KiB，可能是引号不成对"))
        .advise("See whether a quotation mark of that line has no second one.")
}

pub(super) fn damaged(why: &str) -> Failure {
    Failure::usage(format!("the file is damaged: {why}")).zh("文件损坏，无法读取")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_chinese_machines_write_is_read() {
        assert_eq!(text("王小明".as_bytes()), "王小明");
        assert_eq!(text(&encoding_rs::GB18030.encode("王小明").0), "王小明");
    }

    #[test]
    fn a_quotation_mark_without_a_second_one_does_not_swallow_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("open.csv");
        let lines = "王小明,1,2\n".repeat(100_000);
        std::fs::write(&path, format!("姓名,证件号码\n王芳,3,\"备注\n{lines}")).unwrap();
        let mut sheet = open(&path).unwrap();
        assert_eq!(sheet.next_row().unwrap().unwrap().line, 1);
        let refused = sheet.next_row().unwrap_err();
        assert!(refused.zh.contains("第2行") && refused.en.contains("line 2"), "{refused:?}");
        let Sheet::Csv(reader) = &mut sheet else { panic!("another file") };
        let read = reader.get_mut().of.stream_position().unwrap();
        assert!(read <= 4 * u64::try_from(AHEAD_BYTES).unwrap(), "{read}");
    }

    #[test]
    fn a_spreadsheets_day_is_a_day() {
        assert_eq!(day(46_083.0), "2026-03-02");
        assert_eq!(day(25_569.75), "1970-01-01");
        assert_eq!(day(1.0), "1899-12-31");
    }
}
