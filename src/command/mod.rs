//! The subcommands: one file each, and the pieces only they share. The one place where rooms are wired together.

mod assemble;
mod failure;
mod observe;
mod output;
mod registrar;
mod report;
mod run;
mod schema;
pub mod source;
mod targets;

pub use failure::{Exit, Failure};

use crate::cli::{Cli, Command};

/// Carries out what was asked for.
///
/// # Errors
/// When the profile or the usage is wrong, or the command could not run; the failure knows its exit status.
pub fn execute(cli: Cli) -> Result<Exit, Failure> {
    match cli.command {
        Command::Run(args) => run::execute(&args),
        Command::Registrar(args) => registrar::execute(&args),
        Command::Report(args) => report::execute(&args),
        Command::Schema => schema::execute(),
    }
}
