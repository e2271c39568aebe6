//! Empty files with the right headings, for whoever fills them in.

use std::path::Path;

use rust_xlsxwriter::{Format, Workbook, XlsxError};
use serde_json::json;

use super::Kind;
use super::columns::{Column, all};
use crate::cli::exit::Failure;
use crate::cli::given::new_file;
use crate::cli::output::Answer;

/// Rows of a template that are prepared for text: numbers of documents must not become numbers.
const ROWS: u32 = 10_000;
/// Width of a column, in characters.
const WIDTH: f64 = 20.0;

/// Writes a template.
///
/// # Errors
/// Another ending than .csv and .xlsx; a file that is there already or cannot be written.
pub(super) fn write(kind: Kind, out: &Path) -> Result<Answer, Failure> {
    let columns = all(kind);
    let ending = out.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    let bytes = match ending.as_str() {
        "csv" => csv(&columns),
        "xlsx" => xlsx(&columns)
            .map_err(|e| Failure::failed(format!("cannot write the workbook: {e}")))?,
        _ => {
            return Err(Failure::usage("a template is a .csv or an .xlsx file")
                .zh("模板须为 .csv 或 .xlsx"));
        }
    };
    new_file(out, &bytes)?;
    let headings: Vec<_> = columns.iter().map(|column| column.header).collect();
    let json = json!({ "file": out.display().to_string(), "columns": headings });
    Ok(Answer::new(json, format!("{}: {}", out.display(), headings.join(", "))))
}

fn heading(column: &Column) -> String {
    format!("{}{}", column.header, if column.required { "*" } else { "" })
}

/// With a mark at its beginning by which spreadsheet programs know that it is UTF-8.
fn csv(columns: &[Column]) -> Vec<u8> {
    let headings: Vec<String> = columns.iter().map(heading).collect();
    format!("\u{feff}{}\r\n", headings.join(",")).into_bytes()
}

fn xlsx(columns: &[Column]) -> Result<Vec<u8>, XlsxError> {
    let (bold, text) = (Format::new().set_bold(), Format::new().set_num_format("@"));
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    sheet.set_name("导入")?;
    for (place, column) in (0..).zip(columns) {
        sheet.set_column_width(place, WIDTH)?;
        sheet.set_column_format(place, &text)?;
        sheet.write_with_format(0, place, heading(column), &bold)?;
        let note = match (column.required, column.example) {
            (true, "") => "必填".to_owned(),
            (true, example) => format!("必填，例如：{example}"),
            (false, "") => "可不填".to_owned(),
            (false, example) => format!("可不填，例如：{example}"),
        };
        let hint = rust_xlsxwriter::DataValidation::new().set_input_title(column.header)?;
        let hint = hint.set_input_message(note)?;
        sheet.add_data_validation(1, place, ROWS, place, &hint)?;
    }
    sheet.set_freeze_panes(1, 0)?;
    book.save_to_buffer()
}
