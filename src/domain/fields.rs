//! Faults in the fields of a request, all reported at once: `{"fields": {"url": ["…"]}}` (API.md §3 and §4).

use serde_json::{Map, Value};

/// A field is missing, null or blank although it is required.
pub const BLANK: &str = "This field cannot be blank.";
/// A field is not text.
pub const NOT_TEXT: &str = "Not a valid string.";
/// A field holds U+0000, which no database and no receiver can be trusted with.
pub const NUL: &str = "Null characters are not allowed.";

/// Where a fault stands that is no single field's.
pub const NON_FIELD: &str = "non_field_errors";

/// What is wrong with each field, in the words that callers see.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FieldErrors(Map<String, Value>);

impl FieldErrors {
    /// A single fault.
    pub fn one(field: &str, message: &str) -> Self {
        let mut errors = Self::default();
        errors.add(field, message);
        errors
    }

    /// Notes a fault of `field`.
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        let messages = self.0.entry(field).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(messages) = messages {
            messages.push(Value::String(message.into()));
        }
    }

    /// Takes over the faults of something that lies within `place`, as `place.field`.
    pub fn adopt(&mut self, place: &str, inner: FieldErrors) {
        self.0.extend(inner.0.into_iter().map(|(field, messages)| (format!("{place}.{field}"), messages)));
    }

    /// `value`, unless a fault was noted.
    pub fn or<T>(self, value: T) -> Result<T, FieldErrors> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    /// The faults, for the answer.
    pub fn to_json(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

/// Whether a value counts as absent: null, text without a visible character, an empty list.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Whether U+0000 occurs in any text or name within `value`.
pub fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(map) => map.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

/// A field that must be there and be text; its faults are noted, and then there is no value.
pub fn required_text<'a>(map: &'a Map<String, Value>, name: &str, errors: &mut FieldErrors) -> Option<&'a str> {
    let fault = match map.get(name) {
        Some(Value::String(text)) if text.contains('\0') => NUL,
        Some(Value::String(text)) if !text.trim().is_empty() => return Some(text),
        Some(Value::String(_) | Value::Null) | None => BLANK,
        Some(_) => NOT_TEXT,
    };
    errors.add(name, fault);
    None
}
