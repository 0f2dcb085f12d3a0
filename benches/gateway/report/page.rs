//! `docs/benchmarks.md` and its plots. What people have written below the marker stays as it is.

use std::fs;
use std::path::Path;

use super::Report;
use crate::postgres;

/// Below this line the page is written by hand.
const MARKER: &str = "<!-- `cargo bench` writes what is above this line, and keeps what is below. -->";

/// Below the marker, until somebody writes it.
const BELOW: &str = "\n\n## Where the time goes\n\nNot written yet.\n";

/// Writes the page and its plots into the package's `docs`.
pub fn write(report: &Report, machine: &str, rounds: usize) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let plots = docs.join("benchmarks");
    fs::create_dir_all(&plots).expect("docs can be written");
    for plot in report.plots() {
        fs::write(plots.join(plot.file()), plot.svg()).expect("docs can be written");
    }
    let page = docs.join("benchmarks.md");
    let before = fs::read_to_string(&page).unwrap_or_default();
    let below = before.split_once(MARKER).map_or(BELOW, |(_, below)| below);
    let above = above(report, machine, rounds);
    fs::write(page, format!("{above}\n{MARKER}{below}")).expect("docs can be written");
}

fn above(report: &Report, machine: &str, rounds: usize) -> String {
    let settings = postgres::SETTINGS.map(|setting| format!("`{setting}`")).join(", ");
    format!(
        "# Benchmarks\n\n\
         `cargo bench` measures all of this and writes this page. The gateway is the real binary in a process of its own; callers \
         and receiver are one thread each, in another; leads are of 1 KB. All of them and the database share one machine, and both \
         databases flush each commit to its disk.\n\n\
         The machine: {machine}. PostgreSQL has {settings}.\n\n\
         Each figure is the median of {rounds} rounds, with the lowest and the highest behind it. The setups take turns within each \
         round. What is compared with something is compared within its round.\n\n\
         ## What it must reach\n\n{}\n{}",
        report.targets(),
        report.details()
    )
}
