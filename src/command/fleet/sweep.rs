//! `regstorm fleet sweep RUN`: removes what workers of a run left bound that were lost, or could
//! not remove it themselves.
//!
//! It goes by the copies of their records below the run's directory. What is removed is what is
//! bound at an address of this machine, so it is to be done on the machine of the worker, or on one
//! that has its address by now.

use super::collect::WORKERS;
use crate::cli::{FleetSweepArgs, SweepArgs};
use crate::command::failure::{Exit, Failure};
use crate::command::output::{check_holds_run, say};
use crate::command::report::{header_of, results_of};
use crate::command::sweep;
use crate::diagnose::figures;
use crate::vocab::printable;
use std::path::PathBuf;

pub(super) fn execute(args: &FleetSweepArgs) -> Result<Exit, Failure> {
    check_holds_run(&args.dir)?;
    let mut exit = Exit::Success;
    let path = header_of(&args.dir)?.profile_path.map(PathBuf::from);
    for (name, dir) in workers(args)? {
        let results = results_of(&dir)?;
        let left = !sweep::is_whole(&results) || figures::bindings_left(&results).count > 0;
        if !left && !args.all {
            say(&format!("worker {}: it removed every binding it knew of", printable(&name)));
            continue;
        }
        say(&format!("worker {}:", printable(&name)));
        let of_worker = SweepArgs {
            dir,
            profile: args.profile.clone().or_else(|| path.clone()),
            sets: args.sets.clone(),
            all: args.all,
            json: args.json,
        };
        match sweep::execute(&of_worker)? {
            Exit::Success => {}
            interrupted @ Exit::Signal(_) => return Ok(interrupted),
            other => exit = other,
        }
    }
    Ok(exit)
}

/// The workers that are meant, by name, and their records.
///
/// # Errors
/// When the run was none of several workers, or had none of that name.
fn workers(args: &FleetSweepArgs) -> Result<Vec<(String, PathBuf)>, Failure> {
    let place = args.dir.join(WORKERS);
    let none =
        |why: String| Failure::usage(format!("{}: {why}; regstorm sweep is for runs of one machine", place.display()));
    let entries = std::fs::read_dir(&place).map_err(|error| none(error.to_string()))?;
    let mut all: Vec<(String, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .filter(|(name, _)| args.worker.as_ref().is_none_or(|wanted| wanted == name))
        .collect();
    all.sort();
    match (&args.worker, all.is_empty()) {
        (Some(name), true) => Err(none(format!("there is no worker {name}"))),
        _ => Ok(all),
    }
}
