//! The subcommands: one file each, and the pieces only they share. The one place where rooms are
//! wired together.

mod assemble;
mod attended;
mod avalanche;
mod baseline;
mod canary;
mod carriers;
mod check;
mod child;
mod compare;
mod completions;
mod contact;
mod diagnose;
mod explain;
mod failure;
mod fleet;
mod gate;
mod hook;
mod init;
mod keep;
mod kept_baseline;
mod learn;
mod limits;
mod metrics;
mod names;
mod neighbours;
mod output;
mod pdf;
mod platform;
mod preflight;
mod prober;
mod probing;
mod reconcile;
mod registrar;
mod renew;
mod report;
mod route;
mod run;
mod run_watch;
mod schema;
#[cfg(feature = "tui")]
mod screen;
mod share;
mod shipped;
mod side;
pub mod simulate;
pub mod source;
mod stop;
mod sweep;
mod sweeping;
mod targets;
mod threads;
mod trend;
mod truths;
mod watch;

pub use failure::{Exit, Failure};
pub use output::say;

use crate::cli::{Cli, Command};
use std::hash::{BuildHasher, Hasher, RandomState};

/// Carries out what was asked for.
///
/// # Errors
/// When the profile or the usage is wrong, or the command could not run; the failure knows its exit
/// status.
pub fn execute(cli: Cli) -> Result<Exit, Failure> {
    match cli.command {
        Command::Run(args) => run::execute(&args),
        Command::Registrar(args) => registrar::execute(&args),
        Command::Limits(args) => limits::execute(&args),
        Command::Diagnose(args) => diagnose::execute(&args),
        Command::Simulate(args) if args.avalanche => avalanche::execute(&args),
        Command::Simulate(args) => simulate::execute(&args),
        Command::Report(args) => report::execute(&args),
        Command::Preflight(args) => preflight::execute(&args),
        Command::Watch(args) => watch::execute(&args),
        Command::Sweep(args) => sweep::execute(&args),
        Command::Fleet(args) => fleet::execute(&args),
        Command::Compare(args) => compare::execute(&args),
        Command::Learn(args) => learn::execute(&args),
        Command::Reconcile(args) => reconcile::execute(&args),
        Command::Platform(args) => platform::execute(&args),
        Command::Trend(args) => trend::execute(&args),
        Command::Explain(args) => explain::execute(&args),
        Command::Init(args) => init::execute(&args),
        Command::Check(args) => check::execute(&args),
        Command::Profiles(args) => shipped::execute(&args),
        Command::Schema => schema::execute(),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => completions::man(&args),
    }
}

/// The current-thread runtime of the control side.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::could_not(format!("the control side could not be started: {error}")))
}

/// A number no run had before, from the keys the standard library draws for its hash tables.
fn random_word() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A seed for runs that state none; short enough to be typed, and exact in JSON.
fn random() -> u64 {
    random_word() >> 32
}

/// `20261121T020510Z`: a time as part of a directory's name.
fn stamp(unix_ns: u64) -> String {
    jiff::Timestamp::from_nanosecond(unix_ns.into())
        .map_or_else(|_| unix_ns.to_string(), |time| time.strftime("%Y%m%dT%H%M%SZ").to_string())
}
