//! The sheet that plots are drawn on: a card with its own background, which follows the reader's light or dark theme.

use std::fmt::Write;

use super::Colour;

/// Width of every plot.
pub const WIDTH: f64 = 760.0;

const STYLE: &str = "
  .card { fill: #fcfcfb; stroke: #e1e0d9; }
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #52514e; }
  .title { font-size: 15px; font-weight: 600; fill: #0b0b0b; }
  .value { fill: #0b0b0b; }
  .grid { stroke: #e8e7e1; stroke-width: 1; }
  .axis { stroke: #b9b8b1; stroke-width: 1; }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
  .band { opacity: .14; }
  .dashed { stroke-dasharray: 5 5; }
  .line.blue, .dot.blue { stroke: #2a78d6; } .fill.blue { fill: #2a78d6; }
  .line.orange, .dot.orange { stroke: #d95b26; } .fill.orange { fill: #e2703a; }
  .line.green, .dot.green { stroke: #15936a; } .fill.green { fill: #1a9f75; }
  .line.violet, .dot.violet { stroke: #6a5acd; } .fill.violet { fill: #7a6bd6; }
  .line.grey, .dot.grey { stroke: #8a8982; } .fill.grey { fill: #a9a8a1; }
  .dot { fill: #fcfcfb; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    .card { fill: #1a1a19; stroke: #383835; }
    text { fill: #c3c2b7; }
    .title, .value { fill: #ffffff; }
    .grid { stroke: #2b2b29; }
    .axis { stroke: #5c5b56; }
    .band { opacity: .22; }
    .line.blue, .dot.blue { stroke: #5199ea; } .fill.blue { fill: #3f8ae0; }
    .line.orange, .dot.orange { stroke: #ee8352; } .fill.orange { fill: #df6c39; }
    .line.green, .dot.green { stroke: #35bd90; } .fill.green { fill: #1f9d74; }
    .line.violet, .dot.violet { stroke: #a497f0; } .fill.violet { fill: #8578e0; }
    .line.grey, .dot.grey { stroke: #95948d; } .fill.grey { fill: #75746e; }
    .dot { fill: #1a1a19; }
  }
";

/// Where a text stands from its point.
#[derive(Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// How something is drawn.
#[derive(Clone, Copy)]
pub enum Swatch {
    Line { dashed: bool },
    Area,
}

/// What was drawn so far.
pub struct Sheet {
    body: String,
    height: f64,
}

impl Sheet {
    /// An empty one with a title.
    pub fn new(title: &str, height: f64) -> Self {
        let mut sheet = Self { body: String::new(), height };
        sheet.text("title", 20.0, 30.0, Anchor::Start, title);
        sheet
    }

    pub fn text(&mut self, class: &str, x: f64, y: f64, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.push(&format!(r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#));
    }

    pub fn stroke(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.push(&format!(r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#));
    }

    pub fn rect(&mut self, colour: Colour, (x, y): (f64, f64), (width, height): (f64, f64)) {
        let class = colour.class();
        self.push(&format!(
            r#"<rect class="fill {class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="2"/>"#
        ));
    }

    pub fn line(&mut self, colour: Colour, dashed: bool, points: &[(f64, f64)]) {
        let dashed = if dashed { " dashed" } else { "" };
        self.push(&format!(r#"<polyline class="line {}{dashed}" points="{}"/>"#, colour.class(), list(points)));
    }

    /// The area between a line and its return.
    pub fn band(&mut self, colour: Colour, points: &[(f64, f64)]) {
        self.push(&format!(r#"<polygon class="band fill {}" points="{}"/>"#, colour.class(), list(points)));
    }

    pub fn dot(&mut self, colour: Colour, (x, y): (f64, f64)) {
        self.push(&format!(r#"<circle class="dot {}" cx="{x:.1}" cy="{y:.1}" r="3.5"/>"#, colour.class()));
    }

    /// What the colours mean, in a line below the title.
    pub fn legend<'a>(&mut self, entries: impl IntoIterator<Item = (Colour, Swatch, &'a str)>) {
        let mut x = 20.0;
        for (colour, swatch, name) in entries {
            let width = match swatch {
                Swatch::Area => 13.0,
                Swatch::Line { .. } => 24.0,
            };
            match swatch {
                Swatch::Area => self.rect(colour, (x, 45.5), (width, 13.0)),
                Swatch::Line { dashed } => self.line(colour, dashed, &[(x, 52.0), (x + width, 52.0)]),
            }
            self.text("legend", x + width + 7.0, 56.5, Anchor::Start, name);
            // Roughly as wide as that is.
            x += width + 7.0 + 7.2 * name.chars().count() as f64 + 20.0;
        }
    }

    /// The whole file.
    pub fn finish(self) -> String {
        let height = self.height;
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">
<style>{STYLE}</style>
<rect class="card" x=".5" y=".5" width="{}" height="{}" rx="8"/>
{}</svg>
"#,
            WIDTH - 1.0,
            height - 1.0,
            self.body
        )
    }

    fn push(&mut self, element: &str) {
        writeln!(self.body, "{element}").expect("memory");
    }
}

fn list(points: &[(f64, f64)]) -> String {
    points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
}
