//! `regstorm diagnose`: why agents are refused. `file` reads what was recorded; `--live` asks the
//! registrar itself, by experiments on one agent.

mod bench;
mod file;
mod interrupt;
mod live;

pub(super) use file::{OpenedSource, UNKNOWN, name_of, opened};

use super::failure::{Exit, Failure};
use crate::cli::DiagnoseArgs;

/// Carries out the form of the command that was typed.
///
/// # Errors
/// As the form says.
pub(super) fn execute(args: &DiagnoseArgs) -> Result<Exit, Failure> {
    match &args.live {
        Some(profile) => live::execute(profile, args),
        None => file::execute(&args.sources, args),
    }
}
