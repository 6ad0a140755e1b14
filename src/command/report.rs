//! Everything derived from a record: judged and rendered the same way after a run and by
//! `regstorm report DIR`.

use super::failure::{Exit, Failure};
use super::output::{RECORD, check_holds_run, print, say, write_files};
use super::{neighbours, pdf};
use crate::cli::{ReportArgs, ShownArgs};
use crate::diagnose::{Finding, Judgement, Threshold, findings, judge};
use crate::net::clock::Clock;
use crate::record::results::day;
use crate::record::{self, Header, Results};
use crate::report::trend::{Trend, TrendRun};
use crate::report::{Surroundings, line, render_all, render_among, run_json, summary, xlsx};
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// `regstorm report DIR`.
pub(super) fn execute(args: &ReportArgs) -> Result<Exit, Failure> {
    check_holds_run(&args.dir)?;
    let derived = derive(&args.dir)?;
    derived.print(&args.dir, Shown::of(args.shown))?;
    if args.xlsx {
        let Derived { results, judgement, findings, .. } = &derived;
        let files = render_all(results, judgement, findings);
        let book =
            xlsx::render(results, &files).map_err(|error| Failure::could_not(format!("report.xlsx: {error}")))?;
        write_files(&args.dir, &[("report.xlsx", book)])?;
        say(&format!("wrote {}", args.dir.join("report.xlsx").display()));
    }
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
    /// The day of a rehearsal, in words.
    pub rehearsed: Option<String>,
}

/// What is printed of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shown {
    Summary,
    /// One sentence.
    Line,
    /// `run.json` itself.
    Json,
}

impl Shown {
    pub(super) fn of(args: ShownArgs) -> Shown {
        match (args.json, args.line) {
            (true, _) => Shown::Json,
            (false, true) => Shown::Line,
            (false, false) => Shown::Summary,
        }
    }
}

/// Reads a directory's record, judges it and writes every derived file.
///
/// # Errors
/// When the record cannot be read or a file cannot be written.
pub(super) fn derive(directory: &Path) -> Result<Derived, Failure> {
    let derived = judged(directory)?;
    let Derived { results, judgement, findings, rehearsed } = &derived;
    let header = &results.header;
    let mut runs = neighbours::earlier(directory, &header.name, header.simulated, &header.utc(0));
    let around = Surroundings {
        rehearsed: rehearsed.clone(),
        last_good: runs.iter().rev().find(|run| run.is_good()).cloned(),
        has_trend: !runs.is_empty(),
    };
    let mut files = render_among(results, judgement, findings, &around);
    if around.has_trend {
        let own = files.iter().find(|(name, _)| *name == "run.json").map(|(_, bytes)| serde_json::from_slice(bytes));
        let document = own.and_then(Result::ok).unwrap_or_default();
        runs.push(TrendRun { place: directory.display().to_string(), document });
        files.push(("trend.html", Trend::of(&runs).page()));
    }
    files.push(("latency.hlog", record::hlog::render(results)));
    write_files(directory, &files)?;
    Ok(derived)
}

/// The day a rehearsal was carried out, in words: that of its record, for its own clock is virtual.
fn rehearsed(directory: &Path, header: &Header) -> Option<String> {
    let written = fs::metadata(directory.join(RECORD)).and_then(|about| about.modified()).ok()?;
    let since = written.duration_since(UNIX_EPOCH).ok()?;
    header.simulated.then(|| day(i128::try_from(since.as_nanos()).unwrap_or(0)))
}

/// Reads a directory's record and judges it.
///
/// # Errors
/// When the record cannot be read.
pub(super) fn judged(directory: &Path) -> Result<Derived, Failure> {
    let results = results_of(directory)?;
    check_is_whole(directory, &results.header)?;
    let thresholds = Threshold::of_run(&results.header).map_err(|error| unreadable(directory, &error))?;
    let findings = findings(&results);
    let judgement = judge(&results, &findings, &thresholds);
    let rehearsed = rehearsed(directory, &results.header);
    Ok(Derived { results, findings, judgement, rehearsed })
}

/// Reads a directory's record.
///
/// # Errors
/// When it cannot be read.
pub(super) fn results_of(directory: &Path) -> Result<Results, Failure> {
    let file = File::open(directory.join(RECORD)).map_err(|error| unreadable(directory, &error))?;
    record::read(BufReader::new(file)).map_err(|error| unreadable(directory, &error))
}

/// What a directory's record begins with.
///
/// # Errors
/// When it cannot be read.
#[cfg_attr(not(feature = "fleet"), expect(dead_code, reason = "only a fleet asks for it"))]
pub(super) fn header_of(directory: &Path) -> Result<Header, Failure> {
    let file = File::open(directory.join(RECORD)).map_err(|error| unreadable(directory, &error))?;
    record::header(file).map_err(|error| unreadable(directory, &error))
}

/// Refuses a record of one machine's part of a run, which nothing may be concluded from.
///
/// # Errors
/// Says what makes a run of it.
pub(super) fn check_is_whole(directory: &Path, header: &Header) -> Result<(), Failure> {
    let Some(share) = &header.share else { return Ok(()) };
    Err(Failure::usage(format!(
        "{}: it is {} of run {}, which says nothing of the trunks by itself; regstorm fleet merge makes a run of the \
         directories of all machines",
        directory.display(),
        share.stripes(),
        share.run
    )))
}

pub(super) fn unreadable(directory: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::could_not(format!("{}: {error}", directory.join(RECORD).display()))
}

impl Derived {
    /// Prints what is asked for.
    pub(super) fn print(&self, directory: &Path, shown: Shown) -> Result<(), Failure> {
        let Derived { results, judgement, findings, rehearsed } = self;
        let place = directory.display().to_string();
        match shown {
            Shown::Json => print(&String::from_utf8_lossy(&run_json::render(results, judgement, findings))),
            Shown::Line => print(&line::render(results, judgement, findings, rehearsed.as_deref(), &place)),
            Shown::Summary => print(&summary::render(results, judgement, findings, &place)),
        }
    }
}
