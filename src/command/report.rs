//! Everything derived from a record: judged and rendered the same way after a run and by
//! `regstorm report DIR`.

use super::failure::{Exit, Failure};
use super::output::{RECORD, check_holds_run, print, say, write_files};
use super::pdf;
use crate::cli::ReportArgs;
use crate::diagnose::{Finding, Judgement, Threshold, findings, judge};
use crate::net::clock::Clock;
use crate::record::{self, Results};
use crate::report::{render_all, run_json, summary};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// `regstorm report DIR`.
pub(super) fn execute(args: &ReportArgs) -> Result<Exit, Failure> {
    check_holds_run(&args.dir)?;
    let derived = derive(&args.dir)?;
    derived.print(&args.dir, args.json)?;
    if args.pdf {
        let printed = pdf::print(&args.dir, args.paper, Clock::new())?;
        say(&format!("printed {}", printed.display()));
    }
    Ok(Exit::Success)
}

/// A run, read and judged.
pub(super) struct Derived {
    pub results: Results,
    pub findings: Vec<Finding>,
    pub judgement: Judgement,
}

/// Reads a directory's record, judges it and writes every derived file.
///
/// # Errors
/// When the record cannot be read or a file cannot be written.
pub(super) fn derive(directory: &Path) -> Result<Derived, Failure> {
    let derived = judged(directory)?;
    let mut files = render_all(&derived.results, &derived.judgement, &derived.findings);
    files.push(("latency.hlog", record::hlog::render(&derived.results)));
    write_files(directory, &files)?;
    Ok(derived)
}

/// Reads a directory's record and judges it.
///
/// # Errors
/// When the record cannot be read.
pub(super) fn judged(directory: &Path) -> Result<Derived, Failure> {
    let results = results_of(directory)?;
    let thresholds = Threshold::of_run(&results.header).map_err(|error| unreadable(directory, &error))?;
    let findings = findings(&results);
    let judgement = judge(&results, &findings, &thresholds);
    Ok(Derived { results, findings, judgement })
}

/// Reads a directory's record.
///
/// # Errors
/// When it cannot be read.
pub(super) fn results_of(directory: &Path) -> Result<Results, Failure> {
    let file = File::open(directory.join(RECORD)).map_err(|error| unreadable(directory, &error))?;
    record::read(BufReader::new(file)).map_err(|error| unreadable(directory, &error))
}

fn unreadable(directory: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::could_not(format!("{}: {error}", directory.join(RECORD).display()))
}

impl Derived {
    /// Prints the summary, or `run.json` itself.
    pub(super) fn print(&self, directory: &Path, json: bool) -> Result<(), Failure> {
        if json {
            let bytes = run_json::render(&self.results, &self.judgement, &self.findings);
            print(&String::from_utf8_lossy(&bytes))
        } else {
            let place = directory.display().to_string();
            print(&summary::render(&self.results, &self.judgement, &self.findings, &place))
        }
    }
}
