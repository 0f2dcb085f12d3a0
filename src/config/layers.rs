//! Where settings come from: the compiled-in defaults, then the file, then the environment. Later layers win.

use std::ffi::OsString;
use std::path::Path;

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::error::SettingsError;

/// Every setting's default, with comments: what `docs/configuration.md` prints.
pub const DEFAULTS: &str = include_str!("default.toml");

/// The keys of all settings. The variable of `delivery.timeout` is `LEADGATE_DELIVERY_TIMEOUT`.
pub const KEYS: [&str; 21] = [
    "database_url",
    "listen",
    "public_url",
    "trusted_proxies",
    "secret_key",
    "metrics_listen",
    "delivery.allow_networks",
    "delivery.retry_schedule",
    "delivery.timeout",
    "delivery.max_per_subscription",
    "delivery.memory",
    "delivery.retention",
    "oauth.access_token_ttl",
    "oauth.refresh_token_ttl",
    "oauth.code_ttl",
    "sessions.idle_ttl",
    "sessions.ttl",
    "smtp.url",
    "smtp.from",
    "throttle.per_account",
    "throttle.per_address",
];

const PREFIX: &str = "LEADGATE_";

/// Read by [`crate::telemetry`], not a setting.
const LOG_FILTER: &str = "LEADGATE_LOG";

/// The environment variable that sets `key`.
pub fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// Lays the layers upon each other. Unknown keys and variables are errors.
pub fn layered(
    file: Option<&Path>,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Figment, SettingsError> {
    let defaults = Toml::string(DEFAULTS).data().expect("default.toml is TOML; a test reads it");
    let mut figment = Figment::from(Layer { name: "the defaults".into(), data: defaults });
    if let Some(path) = file {
        figment = figment.merge(from_file(path)?);
    }
    for (name, value) in environment {
        if let Some(layer) = from_variable(name, value)? {
            figment = figment.merge(layer);
        }
    }
    Ok(figment)
}

/// One source of settings. Its name is what errors say.
struct Layer {
    name: String,
    data: Map<Profile, Dict>,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(self.data.clone())
    }
}

fn from_file(path: &Path) -> Result<Layer, SettingsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| SettingsError::File { path: path.to_owned(), cause: cause.to_string() })?;
    let data = Toml::string(&text)
        .data()
        .map_err(|cause| SettingsError::Syntax { path: path.to_owned(), cause: without_excerpt(&cause.to_string()) })?;
    let name = path.display().to_string();
    for dict in data.values() {
        refuse_unknown_keys(dict, "", &name)?;
    }
    Ok(Layer { name, data })
}

/// The parser's message shows the faulty line, which may hold a secret; keeps only where and why, as one line.
fn without_excerpt(message: &str) -> String {
    let is_excerpt = |line: &str| line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|');
    let kept: Vec<_> = message.lines().filter(|line| !line.trim().is_empty() && !is_excerpt(line)).collect();
    kept.join(", ")
}

fn refuse_unknown_keys(dict: &Dict, section: &str, file: &str) -> Result<(), SettingsError> {
    for (name, value) in dict {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        let is_section = KEYS.iter().any(|known| known.strip_prefix(key.as_str()).is_some_and(|r| r.starts_with('.')));
        match value {
            Value::Dict(_, inner) if is_section => refuse_unknown_keys(inner, &key, file)?,
            _ if KEYS.contains(&key.as_str()) => {}
            _ => return Err(SettingsError::Unknown { key, source_name: file.to_owned() }),
        }
    }
    Ok(())
}

/// The layer of one variable; `None` if it is not ours, or empty.
fn from_variable(name: OsString, value: OsString) -> Result<Option<Layer>, SettingsError> {
    let name = name.to_string_lossy().into_owned();
    if !name.starts_with(PREFIX) || name == LOG_FILTER || value.is_empty() {
        return Ok(None);
    }
    let Some(key) = KEYS.into_iter().find(|key| variable(key) == name) else {
        return Err(SettingsError::Unknown { key: name, source_name: "the environment".into() });
    };
    let value = value.into_string().map_err(|_| SettingsError::Value {
        key,
        source_name: name.clone(),
        expected: "UTF-8 text",
        value: None,
    })?;
    let nested = figment::util::nest(key, Value::from(value));
    let dict = nested.into_dict().expect("a value nested under a key is a dict");
    Ok(Some(Layer { name, data: Map::from([(Profile::Default, dict)]) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_file_documents_every_key_and_its_variable_and_no_other() {
        for key in KEYS {
            let name = key.rsplit('.').next().unwrap();
            let documented = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{name} = "));
            assert!(DEFAULTS.lines().any(documented), "{key}");
            assert!(DEFAULTS.lines().any(|line| line == format!("# {}", variable(key))), "{key}");
        }
        for dict in Toml::string(DEFAULTS).data().unwrap().values() {
            refuse_unknown_keys(dict, "", "default.toml").unwrap();
        }
    }

    #[test]
    fn a_syntax_error_says_where_and_shows_nothing_of_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "listen = \"x\"\nsecret_key = 00ff-hush\n").unwrap();
        let Err(SettingsError::Syntax { cause, .. }) = layered(Some(file.path()), std::iter::empty()) else {
            panic!("not a syntax error");
        };
        assert!(cause.contains("line 2") && !cause.contains("hush") && !cause.contains('\n'), "{cause}");
    }
}
