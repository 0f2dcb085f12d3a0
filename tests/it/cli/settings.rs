//! Settings that make no sense: one line that names the setting, and nothing is started or touched.

use serde_json::json;

use crate::harness::process::Home;

#[test]
fn bad_settings_are_named_and_nothing_is_touched() {
    for (name, value, sign) in [
        ("LEADGATE_LISEN", "127.0.0.1:1", "unknown setting LEADGATE_LISEN"),
        ("LEADGATE_LISTEN", "8080", "listen (from LEADGATE_LISTEN) must be an address and port"),
        ("LEADGATE_DATABASE_URL", "leadgate.db", "database_url (from LEADGATE_DATABASE_URL) must be sqlite:PATH"),
        ("LEADGATE_SECRET_KEY", "swordfish", "secret_key (from LEADGATE_SECRET_KEY) must be 32 bytes in hex"),
        (
            "LEADGATE_DELIVERY_TIMEOUT",
            "forever",
            "delivery.timeout (from LEADGATE_DELIVERY_TIMEOUT) must be a duration",
        ),
        ("LEADGATE_LOG", "leadgate=loud", "LEADGATE_LOG is not a log filter"),
    ] {
        let home = Home::new().with(name, value);
        let line = home.refuses_to_serve();
        assert!(line.starts_with(sign) && !line.contains("swordfish"), "{line}");
        assert!(!home.path("leadgate.db").exists());
    }
}

#[test]
fn check_reports_bad_settings_as_a_problem() {
    let home = Home::new().with("LEADGATE_LISTEN", "8080");
    let ran = home.run("check --json");
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, ran.stderr.as_str(), &document["ok"]), (1, "", &json!(false)));
    assert!(document["problems"][0].as_str().unwrap().starts_with("listen "), "{document}");
    let ran = home.run("check");
    assert!(ran.code == 1 && ran.stdout.starts_with("listen "), "{ran:?}");
}

#[test]
fn a_file_is_read_wherever_the_option_stands_and_its_faults_are_named() {
    let home = Home::new();
    std::fs::write(home.path("good.toml"), "database_url = \"sqlite:other.db\"\n").unwrap();
    std::fs::write(home.path("typo.toml"), "[delivery]\ntimeuot = \"1s\"\n").unwrap();
    std::fs::write(home.path("torn.toml"), "secret_key = \"hush\n").unwrap();
    home.says("user list --config good.toml");
    assert!(home.path("other.db").exists() && !home.path("leadgate.db").exists());
    assert_eq!(home.complains("--config typo.toml user list"), "unknown setting delivery.timeuot in typo.toml");
    let torn = home.complains("user list --config torn.toml");
    assert!(torn.starts_with("torn.toml is not TOML") && torn.contains("line 1") && !torn.contains("hush"), "{torn}");
    assert!(home.complains("user list --config none.toml").starts_with("cannot read none.toml"));
}
