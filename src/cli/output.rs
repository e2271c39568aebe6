//! The only place that prints: tables for people, JSON for programs.

use std::io::{self, Write};

use domain::time::UnixMillis;
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::exit::{Exit, Failure};

/// Where answers go, and in which form.
pub struct Output {
    json: bool,
    answers: Box<dyn Write>,
    troubles: Box<dyn Write>,
}

/// What a command found out: one JSON value, and the same for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// For programs.
    pub json: Value,
    /// For people.
    pub text: String,
    /// How the process ends; an answer can be a bad one.
    pub exit: Exit,
}

impl Answer {
    /// An answer with a text of its own.
    #[must_use]
    pub fn new(json: Value, text: impl Into<String>) -> Self {
        Self { json, text: text.into(), exit: Exit::Done }
    }

    /// The same, as the answer that the process ends with in that way.
    #[must_use]
    pub fn ending(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Nothing more to say than that it is done.
    #[must_use]
    pub fn nothing() -> Self {
        Self::new(Value::Null, "")
    }

    /// The same with another paragraph for people, such as what to do next.
    #[must_use]
    pub fn and(mut self, paragraph: &str) -> Self {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.text.push_str(paragraph);
        self
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("json", &self.json).finish_non_exhaustive()
    }
}

impl Output {
    /// Answers on standard output, troubles on standard error.
    #[must_use]
    pub fn standard(json: bool) -> Self {
        Self::to(json, io::stdout(), io::stderr())
    }

    /// Anywhere else.
    pub fn to(json: bool, answers: impl Write + 'static, troubles: impl Write + 'static) -> Self {
        Self { json, answers: Box::new(answers), troubles: Box::new(troubles) }
    }

    /// Whether a program reads along.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints an answer. For programs it is one line, so that a story of several answers is one JSON object a line.
    ///
    /// # Errors
    /// The text cannot be written; a reader that stopped reading is no error.
    pub fn answer(&mut self, answer: &Answer) -> Result<(), Failure> {
        let text = match &answer.json {
            Value::Null if self.json => String::new(),
            json if self.json => json.to_string(),
            _ => answer.text.clone(),
        };
        let text = text.trim_end_matches('\n');
        if text.is_empty() {
            return Ok(());
        }
        match writeln!(self.answers, "{text}").and_then(|()| self.answers.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::failed(format!("cannot write the answer: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Prints why it did not work.
    pub fn trouble(&mut self, failure: &Failure) {
        let text =
            if self.json { failure.for_programs().to_string() } else { failure.for_people() };
        // Nobody is left to be told when this cannot be written; the exit code still says it.
        let _unheard = writeln!(self.troubles, "{text}").is_err();
    }
}

/// Lays out rows under headings; knows that a Chinese character is two columns wide.
#[must_use]
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width());
        cells.chain(headings.get(column).map(|h| h.width())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let headings: Vec<String> = headings.iter().map(|h| (*h).to_owned()).collect();
    let rule: Vec<String> = widths.iter().map(|w| "─".repeat(*w)).collect();
    [&headings, &rule].into_iter().chain(rows).map(|row| line(row, &widths)).collect()
}

/// Lays out pairs of a name and a value; leaves out what is empty.
#[must_use]
pub fn record<N: AsRef<str>>(pairs: &[(N, String)]) -> String {
    let shown = || pairs.iter().filter(|(_, value)| !value.is_empty());
    let width = shown().map(|(name, _)| name.as_ref().width()).max().unwrap_or(0);
    let row =
        |(name, value): &(N, String)| line(&[name.as_ref().to_owned(), value.clone()], &[width, 0]);
    shown().map(row).collect()
}

/// A time as people in China read it; programs get UTC.
#[must_use]
pub fn time(at: UnixMillis) -> String {
    let day = at.date();
    let seconds = at.since(day.begins()).as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{day} {hours:02}:{minutes:02}:{seconds:02} +08:00")
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        text.push_str(cell);
        text.push_str(&" ".repeat(width.saturating_sub(cell.width()) + 2));
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up_under_wide_characters() {
        let rows = vec![
            vec!["410522".to_owned(), "安阳县".to_owned(), "county".to_owned()],
            vec!["44".to_owned(), "x".to_owned(), "province".to_owned()],
        ];
        let text = table(&["code", "name", "level"], &rows);
        let starts: Vec<usize> = text
            .lines()
            .skip(2)
            .map(|l| l.find("county").or(l.find("province")).map(|at| l[..at].width()).unwrap())
            .collect();
        assert_eq!(starts, [16, 16]);
        assert!(text.starts_with("code    name    level\n──────  ──────  ────────\n"), "{text}");
    }

    #[test]
    fn a_time_is_that_of_china() {
        assert_eq!(time(UnixMillis::new(1_700_000_000_999)), "2023-11-15 06:13:20 +08:00");
    }

    #[test]
    fn a_record_leaves_out_what_is_empty() {
        let pairs = [("name", "王芳".to_owned()), ("note", String::new()), ("id", "7".to_owned())];
        assert_eq!(record(&pairs), "name  王芳\nid    7\n");
    }
}
