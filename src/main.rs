//! Parse, call a command, turn its result into an exit status.

use clap::Parser;
use clap::error::ErrorKind;
use regstorm::cli::{self, Cli};
use regstorm::command;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse().map_err(cli::kinder) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout with status 0, everything else is bad usage.
            match error.kind() {
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => command::say(cli::START),
                _ => drop(error.print()),
            }
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match command::execute(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            command::say(&format!("regstorm: {failure}"));
            failure.exit().into()
        }
    }
}
