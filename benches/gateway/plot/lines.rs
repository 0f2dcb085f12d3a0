//! Figures over something that grows: a line for each setup, and a band for how far its rounds lie apart.

use super::svg::{Anchor, Sheet, Swatch, WIDTH};
use super::{Colour, Plot, Scale};
use crate::report::Figure;
use crate::setup::Setup;

const HEIGHT: f64 = 420.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = WIDTH - 44.0;
const TOP: f64 = 104.0;
const BOTTOM: f64 = HEIGHT - 56.0;

/// A line.
pub struct Series {
    pub name: String,
    pub colour: Colour,
    pub dashed: bool,
    pub points: Vec<(f64, Figure)>,
}

impl Series {
    /// A setup's, in its colour.
    pub fn of(setup: Setup, points: impl IntoIterator<Item = (f64, Figure)>) -> Self {
        let points = points.into_iter().collect();
        Self { name: setup.to_string(), colour: Colour::of(setup), dashed: false, points }
    }

    /// One for each setup: at each place along the axis, its own of the figures there.
    pub fn of_each<'f>(setups: &[Setup], measured: impl Iterator<Item = (f64, &'f Vec<Figure>)> + Clone) -> Vec<Self> {
        let of_setup = |(place, setup): (usize, &Setup)| {
            Self::of(*setup, measured.clone().map(|(along, figures)| (along, figures[place].clone())))
        };
        setups.iter().enumerate().map(of_setup).collect()
    }

    /// Its largest figure.
    pub fn most(&self) -> f64 {
        self.points.iter().map(|(_, figure)| figure.max()).fold(0.0, f64::max)
    }
}

/// A plot of lines.
pub struct Lines {
    pub name: &'static str,
    pub title: String,
    pub x: Scale,
    pub y: Scale,
    pub series: Vec<Series>,
}

impl Lines {
    pub fn draw(self) -> Plot {
        let mut sheet = Sheet::new(&self.title, HEIGHT);
        let swatch = |one: &Series| Swatch::Line { dashed: one.dashed };
        sheet.legend(self.series.iter().map(|one| (one.colour, swatch(one), one.name.as_str())));
        self.frame(&mut sheet);
        for series in &self.series {
            self.band(&mut sheet, series);
        }
        for series in &self.series {
            let points: Vec<_> = series.points.iter().map(|(x, figure)| self.at(*x, figure.median())).collect();
            sheet.line(series.colour, series.dashed, &points);
            // So many would only hide the line.
            if points.len() <= 12 && !series.dashed {
                points.iter().for_each(|point| sheet.dot(series.colour, *point));
            }
        }
        Plot { name: self.name, title: self.title, svg: sheet.finish() }
    }

    fn frame(&self, sheet: &mut Sheet) {
        for tick in &self.y.ticks {
            let y = self.at(0.0, *tick).1;
            sheet.stroke("grid", (LEFT, y), (RIGHT, y));
            sheet.text("tick", LEFT - 10.0, y + 4.5, Anchor::End, &self.y.text(*tick));
        }
        for tick in &self.x.ticks {
            let x = self.at(*tick, 0.0).0;
            sheet.stroke("axis", (x, BOTTOM), (x, BOTTOM + 5.0));
            sheet.text("tick", x, BOTTOM + 20.0, Anchor::Middle, &self.x.text(*tick));
        }
        sheet.stroke("axis", (LEFT, BOTTOM), (RIGHT, BOTTOM));
        sheet.text("label", f64::midpoint(LEFT, RIGHT), BOTTOM + 42.0, Anchor::Middle, self.x.label);
        sheet.text("label", 20.0, TOP - 17.0, Anchor::Start, self.y.label);
    }

    /// From the lowest of each point's rounds to its highest.
    fn band(&self, sheet: &mut Sheet, series: &Series) {
        let lowest = series.points.iter().map(|(x, figure)| self.at(*x, figure.min()));
        let highest = series.points.iter().rev().map(|(x, figure)| self.at(*x, figure.max()));
        sheet.band(series.colour, &lowest.chain(highest).collect::<Vec<_>>());
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (LEFT + (RIGHT - LEFT) * self.x.place(x), BOTTOM - (BOTTOM - TOP) * self.y.place(y))
    }
}
