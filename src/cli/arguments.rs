//! Arguments that are more than text, but not nouns of the model.

/// A name for people: 1 to 200 characters of any script, without control characters; white space around it is dropped.
pub fn display_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    let valid = (1..=200).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if valid { Ok(name.to_owned()) } else { Err("expected 1 to 200 characters, no control characters".to_owned()) }
}
