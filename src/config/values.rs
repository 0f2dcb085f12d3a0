//! Turning what a layer holds into a value of the right type, with an error that names the setting.

use std::ops::RangeInclusive;
use std::time::Duration;

use figment::Figment;
use figment::value::Value;
use ipnet::IpNet;

use super::error::SettingsError;
use crate::model::throttle::Limit;

/// Reads settings from the layers.
pub struct Reader(pub Figment);

impl Reader {
    /// The setting, parsed from its text; `None` if no layer sets it. `expected` completes "must be …".
    pub fn text<T>(
        &self,
        key: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingsError> {
        let Ok(value) = self.0.find_value(key) else { return Ok(None) };
        match scalar(&value).and_then(|text| parse(text.trim())) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(self.fault(key, expected)),
        }
    }

    /// The setting, a list: in TOML an array, anywhere a comma-separated text.
    pub fn list<T>(
        &self,
        key: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, SettingsError> {
        let Ok(value) = self.0.find_value(key) else { return Ok(Vec::new()) };
        items(&value)
            .and_then(|items| items.iter().map(|item| parse(item)).collect())
            .ok_or_else(|| self.fault(key, expected))
    }

    /// The setting, a duration within bounds. It has a default.
    pub fn duration(
        &self,
        key: &'static str,
        expected: &'static str,
        bounds: RangeInclusive<Duration>,
    ) -> Result<Duration, SettingsError> {
        self.required(key, expected, |text| duration(text).filter(|duration| bounds.contains(duration)))
    }

    /// The setting, which has a default.
    pub fn required<T>(
        &self,
        key: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, SettingsError> {
        Ok(self.text(key, expected, parse)?.expect("default.toml sets it; the tests load the defaults"))
    }

    /// What is wrong with a setting that was read but makes no sense.
    pub fn fault(&self, key: &'static str, expected: &'static str) -> SettingsError {
        let source = self.0.find_metadata(key).map(|metadata| metadata.name.to_string());
        let shown = self.0.find_value(key).ok().and_then(|value| items(&value)).map(|items| items.join(","));
        let shown = shown.filter(|text| match key {
            "secret_key" | "smtp.url" => false,
            "database_url" => !text.contains('@'), // what stands before it can be a password
            _ => true,
        });
        SettingsError::Value { key, source_name: source.unwrap_or_default(), expected, value: shown }
    }
}

/// A duration such as `30s` or `14d`.
pub fn duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

/// A size in bytes such as `64MiB` or `1GiB`.
pub fn size(text: &str) -> Option<usize> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (number, shift) = units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))?;
    number.trim_end().parse::<usize>().ok()?.checked_mul(1 << shift)
}

/// A limit such as `10/10m`: so many at once, and evenly over so long.
pub fn limit(text: &str) -> Option<Limit> {
    let (count, period) = text.split_once('/')?;
    Limit::new(count.trim().parse().ok()?, duration(period.trim())?)
}

/// A network such as `10.0.0.0/8`, or a single address.
pub fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse().ok().map(|address: std::net::IpAddr| address.into()))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text.clone()),
        Value::Char(_, c) => Some(c.to_string()),
        Value::Bool(_, flag) => Some(flag.to_string()),
        Value::Num(..) => value
            .to_i128()
            .map(|n| n.to_string())
            .or_else(|| value.to_u128().map(|n| n.to_string()))
            .or_else(|| value.to_f64().map(|n| n.to_string())),
        Value::Array(..) | Value::Dict(..) | Value::Empty(..) => None,
    }
}

fn items(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(_, values) => values.iter().map(scalar).collect(),
        _ => {
            let text = scalar(value)?;
            Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
        }
    }
}
