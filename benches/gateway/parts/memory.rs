//! Memory, as other parts have found it.

use crate::plot::{Bar, Bars, Colour};
use crate::report::{Goal, Report};

const PROSE: &str = "Resident memory of the gateway's process, in MiB: right after its start; the most it had while 32 callers created and it \
                     delivered as fast as it could; the most it had while it worked off a million waiting deliveries. SQLite is a \
                     part of the process; PostgreSQL's own memory does not count.";

/// A section of what was measured of it, if anything was.
pub fn gather(report: &mut Report) {
    let mut section = report.section("Memory", PROSE);
    let goals = [
        ("at rest", Goal::MemoryAtRest),
        ("under full load", Goal::MemoryUnderLoad),
        ("with a million waiting", Goal::MemoryWithAMillion),
    ];
    let mut bars = Vec::new();
    for (name, goal) in goals {
        let found = report.figures_of(goal);
        if found.is_empty() {
            continue;
        }
        let figures: Vec<_> = found.iter().map(|(_, figure)| figure.clone()).collect();
        section.row(&format!("memory of the gateway {name}, MiB"), 0, &figures);
        section.headline();
        bars.extend(found.into_iter().enumerate().map(|(n, (setup, figure))| Bar {
            name: if n == 0 { name.to_owned() } else { String::new() },
            parts: vec![(Colour::of(setup), figure.median())],
            text: figure.text(0),
            apart: n == 0,
        }));
    }
    if bars.is_empty() {
        return;
    }
    let legend = report.setups().iter().map(|setup| (Colour::of(*setup), setup.to_string())).collect();
    section.plot(Bars { name: "memory", title: "Memory of the gateway".to_owned(), label: "MiB", legend, bars }.draw());
    report.add(section);
}
