//! `regstorm reconcile`: a run held against what a platform says of the same time.

use super::failure::{Exit, Failure};
use super::output::{check_holds_run, print, write_file};
use super::report::{check_is_whole, results_of};
use crate::cli::ReconcileArgs;
use crate::diagnose::reconcile::{Agreement, reconcile};
use crate::record::eventlog::{self, EventLog, Fields, LogError};
use crate::record::platform::{COUNTS_FILE, EVENTS_FILE, PULL_FILE, PlatformRecord, STATES_FILE};
use crate::report::reconcile as report;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub(super) fn execute(args: &ReconcileArgs) -> Result<Exit, Failure> {
    check_holds_run(&args.run)?;
    let folder = folder(&args.platform)?;
    let of = |name: &str| optional(&folder.join(name));
    let (pull, states, counts) = (of(PULL_FILE)?, of(STATES_FILE)?, of(COUNTS_FILE)?);
    let unreadable = |why: String| Failure::could_not(format!("{}: {why}", folder.display()));
    let platform = PlatformRecord::read(pull.as_deref(), states.as_deref(), counts.as_deref())
        .map_err(|error| unreadable(error.to_string()))?;
    let events = match of(EVENTS_FILE)?.map(|bytes| eventlog::read(&bytes, &Fields::default())) {
        None | Some(Err(LogError::Empty)) => EventLog::default(),
        Some(Ok(log)) => log,
        Some(Err(error)) => return Err(unreadable(format!("{EVENTS_FILE}: {error}"))),
    };
    let results = results_of(&args.run)?;
    check_is_whole(&args.run, &results.header)?;
    let reconciled = reconcile(&results, &platform, &events);
    let bytes = if args.html {
        report::page(&reconciled, &results.header.name)
    } else if args.csv {
        report::csv(&reconciled)
    } else if args.json {
        report::render_json(&reconciled)
    } else if args.line {
        format!("{}\n", report::line(&reconciled)).into_bytes()
    } else {
        report::text(&reconciled).into_bytes()
    };
    match &args.out {
        Some(path) => {
            write_file(path, bytes)?;
            print(&format!("{}\n", report::line(&reconciled)))?;
        }
        None => print(&String::from_utf8_lossy(&bytes))?,
    }
    Ok(match reconciled.agreement {
        Agreement::Agree => Exit::Success,
        Agreement::Differ => Exit::ThresholdFailed,
        Agreement::Unknown => Exit::CouldNotRun,
    })
}

/// Where the files are: in the folder, or in `platform` within it.
fn folder(named: &Path) -> Result<PathBuf, Failure> {
    let holds = |folder: &Path| [PULL_FILE, COUNTS_FILE, EVENTS_FILE].iter().any(|name| folder.join(name).exists());
    let places = [named.to_path_buf(), named.join("platform")];
    places.into_iter().find(|place| holds(place)).ok_or_else(|| {
        Failure::usage(format!(
            "{}: nothing was pulled into it; regstorm platform pull writes such a folder",
            named.display()
        ))
    })
}

fn optional(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::could_not(format!("{}: {error}", path.display()))),
    }
}
