//! What a run reports: sections, the targets, and what the README says of them.

mod figure;
mod page;
mod section;
mod targets;

pub use figure::{Figure, number};
pub use page::write;
pub use section::Section;
pub use targets::Goal;

use crate::setup::Setup;
use targets::Reached;

/// All of it, so far.
pub struct Report {
    setups: Vec<Setup>,
    sections: Vec<Section>,
    reached: Vec<Reached>,
}

impl Report {
    pub fn new(setups: &[Setup]) -> Self {
        Self { setups: setups.to_vec(), sections: Vec::new(), reached: Vec::new() }
    }

    /// A section to be filled and then added.
    pub fn section(&self, title: &'static str, prose: &str) -> Section {
        Section::new(title, &self.setups, prose)
    }

    pub fn add(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// What was measured of a goal: a list for each of its figures, with one for each setup.
    pub fn reached(&mut self, goal: Goal, figures: &[&[Figure]]) {
        for (place, setup) in self.setups.iter().enumerate() {
            let figures = figures.iter().map(|setups| setups[place].clone()).collect();
            self.reached.push(Reached { goal, setup: *setup, figures });
        }
    }

    /// What was measured of a goal with one figure, if anything was: of each setup.
    pub fn figures_of(&self, goal: Goal) -> Vec<(Setup, Figure)> {
        let found = self.reached.iter().filter(|reached| reached.goal == goal);
        found.map(|reached| (reached.setup, reached.figures[0].clone())).collect()
    }

    pub fn setups(&self) -> &[Setup] {
        &self.setups
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    /// The table of targets.
    pub fn targets(&self) -> String {
        targets::table(&self.setups, &self.reached)
    }

    /// All sections, one after the other.
    pub fn details(&self) -> String {
        self.sections.iter().map(Section::to_string).collect::<Vec<_>>().join("\n")
    }

    /// The README's table, as far as it was measured.
    pub fn headlines(&self) -> Option<String> {
        let mut rows = self.sections.iter().flat_map(Section::headlines).peekable();
        rows.peek()?;
        Some(section::table(&self.setups, rows))
    }

    fn plots(&self) -> impl Iterator<Item = &crate::plot::Plot> {
        self.sections.iter().flat_map(Section::plots)
    }
}
