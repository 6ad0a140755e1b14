//! `regstorm completions SHELL` and `regstorm man`, to standard output.

use super::failure::{Exit, Failure};
use super::output::print;
use crate::cli::{self, CompletionsArgs};

pub(super) fn completions(args: &CompletionsArgs) -> Result<Exit, Failure> {
    print(&String::from_utf8_lossy(&cli::completions(args.shell)))?;
    Ok(Exit::Success)
}

pub(super) fn man() -> Result<Exit, Failure> {
    print(&String::from_utf8_lossy(&cli::manual().map_err(Failure::could_not)?))?;
    Ok(Exit::Success)
}
