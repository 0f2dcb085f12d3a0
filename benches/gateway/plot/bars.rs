//! Figures beside each other: lying bars, each of one part or of several.

use super::svg::{Anchor, Sheet, Swatch, WIDTH};
use super::{Colour, Plot, Scale};

const LEFT: f64 = 250.0;
const RIGHT: f64 = WIDTH - 160.0;
const TOP: f64 = 78.0;
const BAR: f64 = 20.0;
const STEP: f64 = 30.0;
const GAP: f64 = 14.0;

/// A bar.
pub struct Bar {
    pub name: String,
    pub parts: Vec<(Colour, f64)>,
    /// What stands at its end.
    pub text: String,
    /// It belongs to something else than the one before: there is a gap between them.
    pub apart: bool,
}

/// A plot of bars.
pub struct Bars {
    pub name: &'static str,
    pub title: String,
    pub label: &'static str,
    pub legend: Vec<(Colour, String)>,
    pub bars: Vec<Bar>,
}

impl Bars {
    pub fn draw(self) -> Plot {
        let top = if self.legend.is_empty() { TOP - 26.0 } else { TOP };
        let gaps = self.bars.iter().skip(1).filter(|bar| bar.apart).count();
        let bottom = top + STEP * self.bars.len() as f64 + GAP * gaps as f64;
        let mut sheet = Sheet::new(&self.title, bottom + 54.0);
        sheet.legend(self.legend.iter().map(|(colour, name)| (*colour, Swatch::Area, name.as_str())));
        let scale = Scale::from_zero(self.label, self.bars.iter().map(Bar::whole));
        let at = |figure: f64| LEFT + (RIGHT - LEFT) * scale.place(figure);
        for tick in &scale.ticks {
            sheet.stroke("grid", (at(*tick), top - 4.0), (at(*tick), bottom));
            sheet.text("tick", at(*tick), bottom + 18.0, Anchor::Middle, &scale.text(*tick));
        }
        sheet.stroke("axis", (LEFT, top - 4.0), (LEFT, bottom));
        sheet.text("label", f64::midpoint(LEFT, RIGHT), bottom + 40.0, Anchor::Middle, self.label);
        let mut y = top;
        for (place, bar) in self.bars.iter().enumerate() {
            y += if bar.apart && place > 0 { GAP } else { 0.0 };
            sheet.text("label", LEFT - 12.0, y + 15.0, Anchor::End, &bar.name);
            let mut from = 0.0;
            for (colour, part) in &bar.parts {
                // A hair between two parts tells them apart.
                let width = (at(from + part) - at(from) - 1.5).max(0.5);
                sheet.rect(*colour, (at(from), y), (width, BAR));
                from += part;
            }
            sheet.text("value", at(from) + 8.0, y + 15.0, Anchor::Start, &bar.text);
            y += STEP;
        }
        Plot { name: self.name, title: self.title, svg: sheet.finish() }
    }
}

impl Bar {
    fn whole(&self) -> f64 {
        self.parts.iter().map(|(_, part)| part).sum()
    }
}
