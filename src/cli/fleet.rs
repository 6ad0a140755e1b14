//! `regstorm fleet`: what can be typed.

use super::help;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = help::FLEET_HELP)]
pub struct FleetArgs {
    #[command(subcommand)]
    pub what: FleetCommand,
}

#[derive(Debug, Subcommand)]
pub enum FleetCommand {
    /// Make one run of the records of all machines, and judge it
    Merge(FleetMergeArgs),
}

#[derive(Debug, Args)]
pub struct FleetMergeArgs {
    /// The result directories of all machines, in any order
    #[arg(value_name = "DIR", required = true)]
    pub dirs: Vec<PathBuf>,

    #[arg(long, value_name = "DIR", help = "Result directory [default: results/<run.name>-<UTC start>]")]
    pub out: Option<PathBuf>,

    /// Print run.json on stdout instead of the summary
    #[arg(long)]
    pub json: bool,

    /// Print one sentence on stdout, for a chat
    #[arg(long, conflicts_with = "json")]
    pub line: bool,
}
