//! What the documentation says of settings and commands is so.

use leadgate::config::{KEYS, variable};

use crate::harness::process::Home;

#[test]
fn every_setting_is_documented() {
    let page = include_str!("../../../docs/configuration.md");
    for key in KEYS {
        let row = format!("| `{key}` | `{}` | ", variable(key));
        assert!(page.contains(&row), "{row}");
    }
    let rows = page.lines().filter(|line| line.contains("` | `LEADGATE_")).count();
    assert_eq!(rows, KEYS.len(), "no row too many");
}

#[test]
fn every_command_is_documented_with_its_options() {
    let page = include_str!("../../../docs/commands.md");
    let home = Home::new();
    for command in commands(&home, "") {
        for command in commands(&home, &command) {
            let row = page.lines().find(|line| line.starts_with('|') && line.contains(&format!("leadgate {command}")));
            let row = row.unwrap_or_else(|| panic!("no row for {command}"));
            for option in options(&home, &command) {
                assert!(row.contains(&option), "{option} of {command}");
            }
        }
    }
}

/// The commands under `parent`; or itself, if there are none.
fn commands(home: &Home, parent: &str) -> Vec<String> {
    let help = home.says(&format!("{parent} --help"));
    let Some((_, list)) = help.split_once("Commands:\n") else { return vec![parent.to_owned()] };
    let names = list.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    let names = names.filter(|name| *name != "help");
    names.map(|name| format!("{parent} {name}").trim().to_owned()).collect()
}

/// The options that a command has beside those that all have.
fn options(home: &Home, command: &str) -> Vec<String> {
    let help = home.says(&format!("{command} --help"));
    let words = help.lines().filter_map(|line| line.trim().split([' ', ',']).find(|word| word.starts_with("--")));
    let general = ["--config", "--json", "--help", "--version"];
    words.filter(|option| !general.contains(option)).map(str::to_owned).collect()
}
