//! The table that one run prints, as Markdown.

use std::fmt;

pub struct Table {
    machine: String,
    rows: Vec<(String, String)>,
}

impl Table {
    pub fn new(machine: &str) -> Self {
        Self { machine: machine.to_owned(), rows: Vec::new() }
    }

    pub fn row(&mut self, name: &str, value: String) {
        eprintln!("  {name}: {value}");
        self.rows.push((name.to_owned(), value));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n\n| measured | SQLite |\n|---|---:|", self.machine)?;
        self.rows.iter().try_for_each(|(name, value)| writeln!(f, "| {name} | {value} |"))
    }
}
