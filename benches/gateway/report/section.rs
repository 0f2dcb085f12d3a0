//! A section of the report: what was done, a table with a column for each setup, plots.

use std::fmt;

use super::figure::Figure;
use crate::plot::Plot;
use crate::setup::Setup;

/// What a part has measured.
pub struct Section {
    title: &'static str,
    prose: String,
    setups: Vec<Setup>,
    rows: Vec<Row>,
    plots: Vec<Plot>,
}

/// One figure, of each setup.
#[derive(Clone)]
pub struct Row {
    name: String,
    cells: Vec<String>,
    /// Whether the README tells it, too.
    headline: bool,
}

impl Section {
    /// With an explanation of what is measured, and how.
    pub fn new(title: &'static str, setups: &[Setup], prose: &str) -> Self {
        Self { title, prose: prose.to_owned(), setups: setups.to_vec(), rows: Vec::new(), plots: Vec::new() }
    }

    /// Adds a row with a figure for each setup.
    pub fn row(&mut self, name: &str, digits: usize, figures: &[Figure]) {
        self.add(name, figures.iter().map(|figure| figure.text(digits)).collect());
    }

    /// Adds a row with a text for each setup.
    pub fn texts(&mut self, name: &str, texts: Vec<String>) {
        self.add(name, texts);
    }

    /// Adds a row with two figures for each setup, of which the medians are told.
    pub fn pair(&mut self, name: &str, digits: usize, first: &[Figure], second: &[Figure]) {
        let pairs = first.iter().zip(second);
        let text = |(first, second): (&Figure, &Figure)| {
            let [first, second] = [first, second].map(|figure| super::number(figure.median(), digits));
            format!("{first} / {second}")
        };
        self.add(name, pairs.map(text).collect());
    }

    /// The row that was added last is one for the README, too.
    pub fn headline(&mut self) {
        self.rows.last_mut().expect("a row was added").headline = true;
    }

    /// Adds a plot.
    pub fn plot(&mut self, plot: Plot) {
        self.plots.push(plot);
    }

    pub fn plots(&self) -> &[Plot] {
        &self.plots
    }

    /// Its rows for the README.
    pub fn headlines(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.headline)
    }

    fn add(&mut self, name: &str, cells: Vec<String>) {
        eprintln!("  {name}: {}", cells.join(" | "));
        self.rows.push(Row { name: name.to_owned(), cells, headline: false });
    }
}

/// The lines of a Markdown table.
pub fn table<'a>(setups: &[Setup], rows: impl Iterator<Item = &'a Row>) -> String {
    let names: Vec<_> = setups.iter().map(Setup::to_string).collect();
    let rows = rows.map(|row| format!("| {} | {} |\n", row.name, row.cells.join(" | ")));
    format!("| measured | {} |\n|---|{}\n{}", names.join(" | "), "---:|".repeat(names.len()), rows.collect::<String>())
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "## {}\n\n{}\n\n{}", self.title, self.prose, table(&self.setups, self.rows.iter()))?;
        self.plots.iter().try_for_each(|plot| write!(f, "\n{}\n", plot.reference()))
    }
}
