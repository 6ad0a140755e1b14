//! `regstorm fleet`: one run on many machines.

mod merge;

use super::failure::{Exit, Failure};
use crate::cli::{FleetArgs, FleetCommand};

pub(super) fn execute(args: &FleetArgs) -> Result<Exit, Failure> {
    match &args.what {
        FleetCommand::Merge(args) => merge::execute(args),
    }
}
