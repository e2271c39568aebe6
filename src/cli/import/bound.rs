//! How large a workbook may be. Its lines are read one by one; its texts, which stand in a part of their own and are looked
//! up by number, are kept whole by the reader, and so are its styles and its table of contents.

use std::io::{Read, Seek};

use zip::ZipArchive;

use super::sheet::damaged;
use crate::cli::exit::Failure;

/// Bytes of a workbook that are kept whole, as its own directory tells them: the texts of some 400,000 lines. In memory they
/// take about three times as much.
pub(super) const WHOLE_BYTES_MAX: u64 = 64 * MIB;
/// Where the lines are, which are not kept.
const LINES: &str = "xl/worksheets/";
const MIB: u64 = 1024 * 1024;

/// Refuses a workbook of which more than `most` bytes would have to be kept whole.
///
/// # Errors
/// That, and a file that is no workbook.
pub(super) fn check(file: impl Read + Seek, most: u64) -> Result<(), Failure> {
    let fault = |e: zip::result::ZipError| damaged(&e.to_string());
    let mut book = ZipArchive::new(file).map_err(fault)?;
    let mut whole: u64 = 0;
    for place in 0..book.len() {
        let part = book.by_index_raw(place).map_err(fault)?;
        let is_text = part.name().ends_with(".xml") || part.name().ends_with(".rels");
        if is_text && !part.name().starts_with(LINES) {
            whole = whole.saturating_add(part.size());
        }
    }
    if whole <= most {
        return Ok(());
    }
    let (has, may) = (whole.div_ceil(MIB), most / MIB);
    Err(Failure::usage(format!(
        "the texts of this workbook take {has} MiB, and at most {may} MiB of a workbook can be read at once"
    ))
    .zh(format!("该工作簿的文本共{has} MiB，超过一次可读取的{may} MiB；请另存为 CSV（UTF-8）后导入，CSV 文件大小不限。"))
    .advise("Save it as CSV (UTF-8) and import that: a CSV file may be of any size."))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use rust_xlsxwriter::Workbook;

    use super::*;

    const KIB: u64 = 1024;

    /// A workbook of so many lines, with a number in each, and a text that is in no other.
    fn book(lines: u32, texts: bool) -> Cursor<Vec<u8>> {
        let mut book = Workbook::new();
        let sheet = book.add_worksheet();
        for line in 0..lines {
            sheet.write(line, 0, line).unwrap();
            if texts {
                sheet.write(line, 1, format!("梧桐路{line}号")).unwrap();
            }
        }
        Cursor::new(book.save_to_buffer().unwrap())
    }

    #[test]
    fn lines_are_not_counted_and_texts_are() {
        assert!(check(book(20_000, false), 64 * KIB).is_ok(), "only lines");
        assert!(check(book(20_000, true), WHOLE_BYTES_MAX).is_ok());
        let refused = check(book(20_000, true), 64 * KIB).unwrap_err();
        assert!(refused.zh.contains("CSV") && refused.en.contains("MiB"), "{refused:?}");
        assert!(refused.advice.contains("CSV"), "{refused:?}");
        assert!(check(Cursor::new(b"no workbook".to_vec()), KIB).is_err());
    }

    #[test]
    fn a_file_is_looked_at_before_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large.xlsx");
        let mut file = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        let stored = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        file.start_file("xl/sharedStrings.xml", stored).unwrap();
        std::io::copy(&mut std::io::repeat(b' ').take(WHOLE_BYTES_MAX + 1), &mut file).unwrap();
        file.finish().unwrap();
        let refused = super::super::sheet::open(&path).unwrap_err();
        assert!(refused.zh.contains("65 MiB"), "{refused:?}");
    }
}
