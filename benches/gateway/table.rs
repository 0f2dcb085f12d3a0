//! The table that one run prints, as Markdown: a column for each setup.

use std::fmt;

use crate::setup::Setup;

/// The figures of a run.
pub struct Table {
    setups: Vec<Setup>,
    rows: Vec<Row>,
    notes: Vec<String>,
}

/// One figure, of each setup.
struct Row {
    name: String,
    /// Behind the decimal point.
    digits: usize,
    cells: Vec<f64>,
    compared: bool,
}

impl Table {
    pub fn new(setups: &[Setup]) -> Self {
        Self { setups: setups.to_vec(), rows: Vec::new(), notes: Vec::new() }
    }

    /// Adds a row with a cell for each setup.
    pub fn row(&mut self, name: &str, digits: usize, cells: &[f64]) {
        self.add(Row { name: name.to_owned(), digits, cells: cells.to_vec(), compared: false });
    }

    /// Adds a row of which each cell is also compared to SQLite's.
    pub fn compared(&mut self, name: &str, digits: usize, cells: &[f64]) {
        self.add(Row { name: name.to_owned(), digits, cells: cells.to_vec(), compared: true });
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds a line below the table.
    pub fn note(&mut self, note: String) {
        eprintln!("  {note}");
        self.notes.push(note);
    }

    fn add(&mut self, row: Row) {
        eprintln!("  {}: {}", row.name, self.cells(&row).join(" | "));
        self.rows.push(row);
    }

    fn cells(&self, row: &Row) -> Vec<String> {
        let first = (row.compared && self.setups[0] == Setup::Sqlite).then_some(row.cells[0]);
        let text = |(place, cell): (usize, &f64)| match first.filter(|_| place > 0) {
            Some(first) => format!("{cell:.*} ({:.0} %)", row.digits, 100.0 * cell / first),
            None => format!("{cell:.*}", row.digits),
        };
        row.cells.iter().enumerate().map(text).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.setups.iter().map(Setup::to_string).collect();
        writeln!(f, "| measured | {} |", names.join(" | "))?;
        writeln!(f, "|---|{}", "---:|".repeat(names.len()))?;
        for row in &self.rows {
            writeln!(f, "| {} | {} |", row.name, self.cells(row).join(" | "))?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "\n{note}\n"))
    }
}
