//! Secrets are never arguments, where other users of the machine could read them: they are typed, or come from stdin.

use std::io::{self, IsTerminal, Read};

use super::error::CliError;

/// Longest secret that is read from stdin, in bytes.
const LIMIT: u64 = 64 * 1024;

/// Reads a new password: from stdin, or typed twice.
pub fn new_password(from_stdin: bool) -> Result<String, CliError> {
    let what = "password";
    if from_stdin {
        return from_standard_input(what);
    }
    if !io::stdin().is_terminal() {
        return Err(CliError::NoTerminal { what, option: "--password-stdin" });
    }
    let first = typed(what, "Password: ")?;
    if first != typed(what, "The same again: ")? {
        return Err(CliError::PasswordsDiffer);
    }
    Ok(first)
}

/// Reads a subscription's secret: from stdin, or typed. `None` if it is empty, or if there is nobody to ask.
pub fn optional_secret(from_stdin: bool) -> Result<Option<String>, CliError> {
    let what = "secret";
    let secret = match from_stdin {
        true => from_standard_input(what)?,
        false if io::stdin().is_terminal() => typed(what, "Secret of the subscription (empty: do not check): ")?,
        false => String::new(),
    };
    Ok(Some(secret).filter(|secret| !secret.is_empty()))
}

fn typed(what: &'static str, prompt: &str) -> Result<String, CliError> {
    rpassword::prompt_password(prompt).map_err(|cause| CliError::SecretInput { what, cause })
}

/// Everything on stdin, without the line break at its end.
fn from_standard_input(what: &'static str) -> Result<String, CliError> {
    let mut text = String::new();
    let read = io::stdin().lock().take(LIMIT).read_to_string(&mut text);
    read.map_err(|cause| CliError::SecretInput { what, cause })?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}
