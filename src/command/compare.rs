//! `regstorm compare`: two recorded runs, or one and the last good one of its name.

use super::failure::{Exit, Failure};
use super::output::{RECORD, check_holds_run, print, write_file};
use super::report::{Derived, judged};
use crate::cli::CompareArgs;
use crate::diagnose::compare::{AllowedChange, JudgedRun, RegressionVerdict, compare};
use crate::profile::file::defaults;
use crate::record::Header;
use crate::report::compare::{self as report, Pair, SideView};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) fn execute(args: &CompareArgs) -> Result<Exit, Failure> {
    let (base, new) = directories(args)?;
    let (base_run, new_run) = (judged(&base)?, judged(&new)?);
    let lines = allowances(&new_run.results.header)
        .map_err(|error| Failure::could_not(format!("{}: {error}", new.join(RECORD).display())))?;
    let comparison = compare(run(&base_run), run(&new_run), &lines);
    let side = |directory: &Path, of| SideView { place: directory.display().to_string(), run: run(of) };
    let pair = Pair { base: side(&base, &base_run), new: side(&new, &new_run), comparison: &comparison };
    let bytes = rendered(args, &pair);
    match &args.out {
        Some(path) => {
            write_file(path, bytes)?;
            print(&format!("{}\n", report::line(&pair)))?;
        }
        None => print(&String::from_utf8_lossy(&bytes))?,
    }
    Ok(match comparison.verdict {
        RegressionVerdict::NoRegression => Exit::Success,
        RegressionVerdict::Regression => Exit::Regression,
        RegressionVerdict::Inconclusive => Exit::CouldNotRun,
    })
}

/// BASE and NEW.
fn directories(args: &CompareArgs) -> Result<(PathBuf, PathBuf), Failure> {
    let (base, new) = match (&args.against, &args.first, &args.second) {
        (Some(folder), new, _) => {
            if !folder.is_dir() {
                return Err(Failure::usage(format!("--against {}: there is no such directory", folder.display())));
            }
            let new = new.clone().unwrap_or_else(|| folder.join("latest"));
            check_holds_run(&new)?;
            (last_passed(folder, &new)?, new)
        }
        (None, Some(base), Some(new)) => (base.clone(), new.clone()),
        (None, ..) => return Err(Failure::usage("two result directories are needed, or --against DIR")),
    };
    check_holds_run(&base)?;
    check_holds_run(&new)?;
    Ok((base, new))
}

/// What `run.json` says of a run, as far as it decides whether to compare with it.
struct Known {
    name: String,
    /// RFC 3339 in UTC with three decimals, so that texts sort as times do.
    started: String,
    simulated: bool,
    passed: bool,
}

/// The last run before `new` of the same name and kind that passed.
fn last_passed(folder: &Path, new: &Path) -> Result<PathBuf, Failure> {
    let no_run = |why: String| Failure::usage(format!("{}: {why}", folder.display()));
    let wanted = known(new).ok_or_else(|| {
        Failure::could_not(format!("{}: run.json cannot be read; `regstorm report` rebuilds it", new.display()))
    })?;
    let own = fs::canonicalize(new).ok();
    let entries = fs::read_dir(folder).map_err(|error| no_run(error.to_string()))?;
    // `latest` is another name of a run that is there anyway; a link elsewhere is a run like any
    // other.
    let runs = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| !path.ends_with("latest"));
    let others = runs.filter(|path| fs::canonicalize(path).ok() != own);
    let fit = |run: &Known| {
        run.passed && run.name == wanted.name && run.simulated == wanted.simulated && run.started <= wanted.started
    };
    let mut fitting: Vec<(String, PathBuf)> =
        others.filter_map(|path| known(&path).filter(fit).map(|run| (run.started, path))).collect();
    // Runs that began in one millisecond, as all rehearsals do, go by their paths.
    fitting.sort();
    fitting.pop().map(|(_, path)| path).ok_or_else(|| {
        let kind = if wanted.simulated { "simulated run" } else { "run" };
        no_run(format!("there is no earlier {kind} of \"{}\" that passed; name one: compare BASE NEW", wanted.name))
    })
}

fn known(directory: &Path) -> Option<Known> {
    let run: Value = serde_json::from_slice(&fs::read(directory.join("run.json")).ok()?).ok()?;
    let text = |key: &str| Some(run.get(key)?.as_str()?.to_owned());
    Some(Known {
        name: text("name")?,
        started: text("started")?,
        simulated: run.get("simulated").and_then(Value::as_bool).unwrap_or(false),
        passed: text("verdict")? == "pass",
    })
}

fn run(derived: &Derived) -> JudgedRun<'_> {
    JudgedRun { results: &derived.results, judgement: &derived.judgement, findings: &derived.findings }
}

/// The lines of the new run's profile; the defaults for a record from before there were any.
fn allowances(header: &Header) -> Result<Vec<AllowedChange>, crate::diagnose::ThresholdError> {
    match AllowedChange::of_run(header)? {
        Some(lines) => Ok(lines),
        None => defaults::COMPARE.into_iter().map(|(name, change)| AllowedChange::parse(name, change, &[])).collect(),
    }
}

fn rendered(args: &CompareArgs, pair: &Pair) -> Vec<u8> {
    if args.html {
        report::page(pair)
    } else if args.json {
        report::render_json(pair)
    } else {
        report::render(pair).into_bytes()
    }
}
