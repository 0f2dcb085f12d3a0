//! The house's map is true: every room imports only from the rooms that `docs/architecture.md` allows it. And so is the
//! table of `docs/oauth.md`: every line of the checklist has the tests that it names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Room, and what it may import besides itself. The same table stands in `docs/architecture.md`.
const ROOMS: [(&str, &[&str]); 10] = [
    ("model", &[]),
    ("store", &["model"]),
    ("egress", &["model"]),
    ("domain", &["model", "store", "egress"]),
    ("delivery", &["model", "store", "egress"]),
    ("http", &["model", "domain"]),
    ("config", &["model", "store"]),
    ("telemetry", &["model"]),
    ("app", &["model", "store", "egress", "domain", "delivery", "http", "config", "telemetry"]),
    ("cli", &["model", "store", "egress", "domain", "config", "telemetry", "app", "sample"]),
];

/// The sample partner application stands for a stranger's program: it sees nothing of the house.
const STRANGER: &str = "sample";

#[test]
fn every_room_imports_only_what_the_map_allows() {
    let mut faults = Vec::new();
    for (room, allowed) in ROOMS.into_iter().chain([(STRANGER, [].as_slice())]) {
        for file in rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room)) {
            let text = fs::read_to_string(&file).unwrap();
            for imported in imports(&text) {
                if imported != room && !allowed.contains(&imported.as_str()) {
                    faults.push(format!("{} imports {imported}", file.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_map_names_every_room_there_is() {
    let known: BTreeSet<_> = ROOMS.iter().map(|(room, _)| room.to_string()).chain([STRANGER.to_owned()]).collect();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms = fs::read_dir(src).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let found: BTreeSet<_> = rooms.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(known, found);
}

/// Each row of the table in `docs/oauth.md` is a line of the checklist, and names its tests. They are there, and their
/// names begin with its number (`oauth_071_…`; one that shows two lines has both numbers).
#[test]
fn every_line_of_the_oauth_checklist_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/oauth.md")).unwrap();
    let sources = ["tests/it", "src"].into_iter().flat_map(|folder| rust_files(&root.join(folder)));
    let code: String = sources.map(|file| fs::read_to_string(file).unwrap()).collect();
    let rows: Vec<_> = page.lines().filter_map(checklist_row).collect();
    let lines: Vec<_> = rows.iter().map(|(line, _)| *line).collect();
    assert!(lines.is_sorted_by(|one, next| one < next), "each once, in order: {lines:?}");
    assert!(lines.iter().all(|line| (1..=122).contains(line)), "{lines:?}");
    for (line, tests) in rows {
        assert!(!tests.is_empty(), "line {line} names no test");
        for test in tests {
            assert!(numbers_of(test).any(|number| number == line), "{test} is none of line {line}");
            assert!(code.contains(&format!("fn {test}(")), "there is no {test}");
        }
    }
}

/// The line that a row of the table is about, and the tests in its last column.
fn checklist_row(row: &str) -> Option<(u32, Vec<&str>)> {
    let mut cells = row.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim);
    let line = cells.next()?.parse().ok()?;
    let tests = cells.next_back()?.split(['`', ',', ' ']).filter(|test| !test.is_empty());
    Some((line, tests.collect()))
}

/// The numbers with which a test's name begins.
fn numbers_of(test: &str) -> impl Iterator<Item = u32> {
    let words = test.strip_prefix("oauth_").unwrap_or_default().split('_');
    words.map_while(|word| if word.len() == 3 { word.parse().ok() } else { None })
}

#[test]
fn the_scanner_sees_every_form_of_import() {
    let text =
        "use crate::model::Site;\nuse crate::{store::Store, domain};\nfn f() { crate::http::g() }\n// crate::app";
    assert_eq!(imports(text), ["domain", "http", "model", "store"].map(str::to_owned).into());
}

/// The rooms that a file names through `crate::`, comments left out.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = code[at + "crate::".len()..].trim_start();
        match rest.strip_prefix('{') {
            None => rooms.extend(first_word(rest)),
            Some(group) => rooms.extend(top_level_items(group).iter().filter_map(|item| first_word(item))),
        }
    }
    rooms
}

/// The items of a `{…}` group, up to its closing brace, without splitting inner groups.
fn top_level_items(group: &str) -> Vec<String> {
    let (mut items, mut depth) = (vec![String::new()], 0);
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(String::new()),
            c => items.last_mut().unwrap().push(c),
        }
    }
    items
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => rust_files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}
