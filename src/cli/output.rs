//! Printing: one JSON document for programs, aligned text for people, complaints on stderr.

use std::fmt::Display;
use std::io::{self, Write};

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::error::CliError;

/// How results are printed.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// For programs, or for people.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether a program reads along.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Prints a result: `json` for programs, `text` for people.
    pub fn show(self, json: &Value, text: impl Display) -> Result<(), CliError> {
        if self.json { self.line(json) } else { self.line(text) }
    }

    /// Prints a list: an array of objects for programs, a table for people; `none` when it is empty.
    pub fn list(self, json: Vec<Value>, heads: &[&str], rows: &[Vec<String>], none: &str) -> Result<(), CliError> {
        match (self.json, rows.is_empty()) {
            (true, _) => self.line(Value::Array(json)),
            (false, true) => self.line(none),
            (false, false) => self.line(table(heads, rows)),
        }
    }

    /// Prints one line, at once.
    pub fn line(self, line: impl Display) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{line}").and_then(|()| stdout.flush()).map_err(CliError::Output)
    }
}

/// Says on stderr what went wrong.
pub fn complain(what: &impl Display) {
    // When stderr is gone too, nobody is left to be told.
    let _ = writeln!(io::stderr(), "error: {}", what.to_string().replace('\n', " "));
}

/// Says something on stderr that is neither a result nor an error.
pub fn remark(what: impl Display) {
    let _ = writeln!(io::stderr(), "{what}");
}

/// Columns as wide as their widest cell, whatever the script.
pub fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let heads: Vec<String> = heads.iter().map(|&head| head.to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let lines = || std::iter::once(&heads).chain(&rows);
    let width = |column: usize| lines().map(|line| line[column].width()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let render = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.width())));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines().map(render).collect::<Vec<_>>().join("\n")
}

/// Text from outside, without the control characters that a terminal would obey.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_in_any_script_and_control_characters_are_harmless() {
        let rows = [vec!["東京".to_owned(), "a".to_owned()], vec!["x\u{1b}[2J".to_owned(), "b".to_owned()]];
        assert_eq!(table(&["NAME", "KEY"], &rows), "NAME   KEY\n東京   a\nx\u{fffd}[2J  b");
    }
}
