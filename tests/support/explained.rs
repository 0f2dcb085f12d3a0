//! The plans of the statements that a PostgreSQL has carried out, as its module `auto_explain` writes them into the log.
//!
//! So the plans are those that were really used, of the statements as the engine sends them, with their parameters.

use serde_json::Value;

/// Has every session of a database that begins from now on write its plans, with the rows that each step met.
pub fn explain_everything(database: &str) -> String {
    let set = [
        "session_preload_libraries TO 'auto_explain'",
        "auto_explain.log_min_duration TO 0",
        "auto_explain.log_analyze TO on",
        "auto_explain.log_timing TO off",
        "auto_explain.log_format TO json",
    ];
    set.map(|setting| format!("ALTER DATABASE {database} SET {setting};")).concat()
}

/// A statement that was carried out.
pub struct Explained {
    /// As it was sent.
    pub statement: String,
    plan: Value,
}

/// A step of a plan.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// What it does: `Seq Scan`, `Index Scan`, `Sort` …
    pub kind: String,
    /// The table that it reads.
    pub table: Option<String>,
    /// The rows that it passed on and those that it left out, all times that it ran together.
    pub rows: u64,
}

impl Explained {
    /// All that a server's log tells.
    pub fn read(log: &str) -> Vec<Self> {
        let mut all = Vec::new();
        let mut lines = log.lines().peekable();
        while let Some(line) = lines.next() {
            if line.ends_with("plan:") {
                // An entry goes on in lines that begin with a tab.
                let more = std::iter::from_fn(|| lines.next_if(|line| line.starts_with('\t')));
                all.push(Self::parse(&more.collect::<String>()));
            }
        }
        all
    }

    fn parse(entry: &str) -> Self {
        let mut explained: Value = serde_json::from_str(entry).expect("auto_explain writes JSON");
        let statement = explained["Query Text"].as_str().expect("a statement").to_owned();
        Self { statement, plan: explained["Plan"].take() }
    }

    /// Every step of the plan that ran.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        collect(&self.plan, &mut steps);
        steps
    }
}

fn collect(node: &Value, steps: &mut Vec<Step>) {
    let number = |key: &str| node[key].as_f64().unwrap_or(0.0);
    let left_out = number("Rows Removed by Filter") + number("Rows Removed by Index Recheck");
    let times = number("Actual Loops");
    if times > 0.0 {
        steps.push(Step {
            kind: node["Node Type"].as_str().expect("a kind").to_owned(),
            table: node["Relation Name"].as_str().map(str::to_owned),
            rows: ((number("Actual Rows") + left_out) * times) as u64,
        });
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        collect(child, steps);
    }
}
