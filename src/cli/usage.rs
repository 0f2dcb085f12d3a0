//! What is printed when the command line itself is wrong: one line, as for any other failure.

use std::process::ExitCode;

use clap::error::ErrorKind;

use super::output;

/// Prints help and version as they are, and anything else as one line.
pub fn report(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // If nobody reads the help any more, that is no failure.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            let _ = error.print();
            ExitCode::from(2)
        }
        _ => {
            output::complain(&one_line(&error.render().to_string()));
            ExitCode::from(2)
        }
    }
}

/// The message and its tips, without the usage that follows.
fn one_line(message: &str) -> String {
    let parts = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let said = parts.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
    let line = said.collect::<Vec<_>>().join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_message_of_several_lines_becomes_one() {
        let message =
            "error: the following required arguments were not provided:\n  <EMAIL>\n\nUsage: x <EMAIL>\n\nFor";
        assert_eq!(one_line(message), "the following required arguments were not provided: <EMAIL>");
    }
}
