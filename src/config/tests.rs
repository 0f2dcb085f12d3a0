//! Settings from file and environment: which wins, and what is refused in which words.

use std::ffi::OsString;
use std::time::Duration;

use super::*;

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), file).unwrap();
    let pairs = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Settings::load(Some(path.path()), pairs)
}

fn refusal(file: &str, environment: &[(&str, &str)]) -> String {
    load(file, environment).unwrap_err().to_string()
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let settings = Settings::load(None, std::iter::empty()).unwrap();
    assert_eq!(settings.database_url, DatabaseUrl::Sqlite("leadgate.db".into()));
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.public_url.as_str(), "http://127.0.0.1:8080");
    assert!(settings.secret_key.is_none() && settings.metrics_listen.is_none());
    assert!(settings.trusted_proxies.is_empty() && settings.delivery.allow_networks.is_empty());
    let minutes = settings.delivery.retry_schedule.iter().map(|wait| wait.as_secs_f64() / 60.0);
    let expected = [0.5, 2.0, 10.0, 30.0, 60.0, 120.0, 240.0, 480.0, 720.0, 1440.0, 1440.0];
    assert_eq!(minutes.collect::<Vec<_>>(), expected);
    assert_eq!(settings.delivery.timeout, Duration::from_secs(15));
    assert_eq!(settings.delivery.max_per_subscription.get(), 16);
    assert_eq!(settings.delivery.memory, 64 * 1024 * 1024);
    assert_eq!(settings.delivery.retention, Duration::from_secs(14 * 86_400));
    assert_eq!(settings.oauth.access_token_ttl, Duration::from_secs(3600));
    assert_eq!(settings.oauth.refresh_token_ttl, Duration::from_secs(180 * 86_400));
    assert_eq!(settings.oauth.code_ttl, Duration::from_secs(60));
    assert_eq!(settings.sessions.idle, Duration::from_secs(2 * 3600));
    assert_eq!(settings.sessions.absolute, Duration::from_secs(12 * 3600));
    assert!(settings.mail.is_none());
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let file = "listen = \"127.0.0.1:1\"\n[delivery]\ntimeout = \"2s\"\nmax_per_subscription = 3\n";
    let settings = load(file, &[("LEADGATE_DELIVERY_TIMEOUT", "3s"), ("LEADGATE_LISTEN", "")]).unwrap();
    assert_eq!(settings.listen.port(), 1, "an empty variable counts as not set");
    assert_eq!(settings.delivery.timeout, Duration::from_secs(3));
    assert_eq!(settings.delivery.max_per_subscription.get(), 3);
    assert_eq!(settings.delivery.retention, Duration::from_secs(14 * 86_400));
}

#[test]
fn lists_are_arrays_or_comma_separated() {
    let file = "delivery.allow_networks = [\"10.0.0.0/8\", \"::1\"]";
    let environment = [("LEADGATE_TRUSTED_PROXIES", "192.0.2.1, 10.0.0.0/8"), ("LEADGATE_LOG", "debug"), ("PATH", "x")];
    let settings = load(file, &environment).unwrap();
    assert_eq!(settings.delivery.allow_networks.len(), 2);
    assert_eq!(settings.trusted_proxies[0].to_string(), "192.0.2.1/32");
}

#[test]
fn the_public_url_has_no_slash_at_its_end_and_follows_the_listener() {
    let settings = load("public_url = \"https://leads.example.com/\"", &[]).unwrap();
    assert_eq!(settings.public_url.as_str(), "https://leads.example.com");
    assert!(settings.public_url.is_https());
    let address = "127.0.0.1:4321".parse().unwrap();
    assert_eq!(settings.bound_to(address).public_url.as_str(), "https://leads.example.com");
    let settings = load("listen = \"127.0.0.1:0\"", &[]).unwrap();
    assert_eq!(settings.bound_to(address).public_url.as_str(), "http://127.0.0.1:4321");
}

#[test]
fn plain_http_is_for_this_machine() {
    let exposed = |url: &str| PublicUrl::parse(url).unwrap().is_exposed();
    for url in ["http://leads.example.com", "http://192.0.2.1:8080", "http://[2001:db8::1]", "http://notlocalhost"] {
        assert!(exposed(url), "{url}");
    }
    for url in
        ["https://leads.example.com", "http://127.0.0.1:8080", "http://[::1]", "http://localhost", "http://a.localhost"]
    {
        assert!(!exposed(url), "{url}");
    }
}

#[test]
fn what_is_unknown_is_named() {
    assert!(refusal("lisen = \"x\"", &[]).starts_with("unknown setting lisen in /"));
    assert!(refusal("[delivery]\ntimeuot = \"2s\"", &[]).contains("unknown setting delivery.timeuot"));
    assert!(refusal("delivery = 3", &[]).contains("unknown setting delivery "));
    assert_eq!(refusal("", &[("LEADGATE_LISEN", "x")]), "unknown setting LEADGATE_LISEN in the environment");
}

#[test]
fn a_bad_value_is_named_with_its_source_and_what_is_expected() {
    let fault = |name: &str, value: &str| refusal("", &[(name, value)]);
    assert_eq!(
        fault("LEADGATE_DELIVERY_TIMEOUT", "6m"),
        "delivery.timeout (from LEADGATE_DELIVERY_TIMEOUT) must be a duration from 1s to 5m, not \"6m\""
    );
    for (key, bad) in [
        ("database_url", "leadgate.db"),
        ("listen", "8080"),
        ("public_url", "leads.example.com"),
        ("public_url", "https://x.example/?q"),
        ("public_url", "ftp://x.example/"),
        ("trusted_proxies", "10.0.0.0/8,nobody"),
        ("metrics_listen", "here"),
        ("delivery.allow_networks", "10.0.0.0/33"),
        ("delivery.retry_schedule", "30s,soon"),
        ("delivery.retry_schedule", "8d"),
        ("delivery.timeout", "0s"),
        ("delivery.timeout", "15"),
        ("delivery.max_per_subscription", "0"),
        ("delivery.max_per_subscription", "many"),
        ("delivery.memory", "1023KiB"),
        ("delivery.memory", "64"),
        ("delivery.memory", "99999999999999GiB"),
        ("delivery.retention", "1s"),
        ("oauth.access_token_ttl", "2d"),
        ("oauth.refresh_token_ttl", "1s"),
        ("oauth.code_ttl", "1h"),
        ("sessions.idle_ttl", "1m"),
        ("sessions.ttl", "366d"),
        ("smtp.from", "nobody"),
        ("throttle.per_account", "10"),
        ("throttle.per_account", "0/10m"),
        ("throttle.per_account", "10/10"),
        ("throttle.per_address", "10001/10m"),
        ("throttle.per_address", "10/9s"),
    ] {
        let message = fault(&variable(key), bad);
        assert!(message.starts_with(&format!("{key} (from {})", variable(key))), "{message}");
        assert!(message.contains("must be") && message.ends_with(&format!("not {bad:?}")), "{message}");
    }
    assert!(refusal("delivery.retry_schedule = []", &[]).contains("1 to 50"));
    assert!(refusal("delivery.timeout = 15", &[]).ends_with("not \"15\""));
}

#[test]
fn mail_needs_a_server_and_a_sender() {
    let route = load("[smtp]\nurl = \"smtp://localhost\"\nfrom = \"Leads <leads@example.com>\"", &[]).unwrap().mail;
    assert_eq!(route.unwrap().from.to_string(), "Leads <leads@example.com>");
    assert_eq!(refusal("smtp.url = \"smtp://localhost\"", &[]), "smtp.from must be set, too, because smtp.url is set");
}

#[test]
fn secrets_are_never_shown() {
    let message = refusal("", &[("LEADGATE_SMTP_URL", "smtps://kim:hush@mail.example.com/path")]);
    assert!(message.starts_with("smtp.url") && !message.contains("hush"), "{message}");
    let message = refusal("", &[("LEADGATE_SECRET_KEY", "hush")]);
    assert!(message.contains("secret_key") && message.contains("64 digits") && !message.contains("hush"), "{message}");
    let keys = format!("secret_key = [\"{}\", \"{}\"]", "0a".repeat(32), "0b".repeat(32));
    let shown = format!("{:?}", load(&keys, &[]).unwrap());
    assert!(shown.contains("Keyring(2 keys)") && !shown.contains("0a0a"), "{shown}");
    let message = refusal("", &[("LEADGATE_DATABASE_URL", "mysql://me:hush@db/leads")]);
    assert!(message.contains("must be sqlite:PATH") && !message.contains("hush"), "{message}");
}
