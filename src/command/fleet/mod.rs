//! `regstorm fleet`: one run on many machines.

#[cfg(feature = "fleet")]
mod access;
#[cfg(feature = "fleet")]
mod collect;
#[cfg(feature = "fleet")]
mod courier;
#[cfg(feature = "fleet")]
mod lead;
mod merge;
#[cfg(feature = "fleet")]
mod offered;
#[cfg(feature = "fleet")]
mod run;
#[cfg(feature = "fleet")]
mod sweep;
#[cfg(feature = "fleet")]
mod worker;

use super::failure::{Exit, Failure};
use crate::cli::{FleetArgs, FleetCommand};

pub(super) fn execute(args: &FleetArgs) -> Result<Exit, Failure> {
    match &args.what {
        #[cfg(feature = "fleet")]
        FleetCommand::Worker(args) => worker::execute(args),
        #[cfg(feature = "fleet")]
        FleetCommand::Run(args) => run::execute(args),
        #[cfg(feature = "fleet")]
        FleetCommand::Sweep(args) => sweep::execute(args),
        FleetCommand::Merge(args) => merge::execute(args),
    }
}
