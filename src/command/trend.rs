//! `regstorm trend DIR`: the runs of a name over time.

use super::failure::{Exit, Failure};
use super::neighbours::runs_in;
use super::output::{print, write_file};
use crate::cli::TrendArgs;
use crate::report::trend::{Trend, TrendRun};
use std::path::Path;

pub(super) fn execute(args: &TrendArgs) -> Result<Exit, Failure> {
    let runs = runs(&args.dir, args.name.as_deref())?;
    let trend = Trend::of(&runs);
    let bytes = if args.html {
        trend.page()
    } else if args.csv {
        trend.csv()
    } else if args.json {
        trend.json().into_bytes()
    } else {
        trend.text().into_bytes()
    };
    match &args.out {
        Some(path) => {
            write_file(path, bytes)?;
            print(&format!("{}\n", trend.line()))?;
        }
        None => print(&String::from_utf8_lossy(&bytes))?,
    }
    Ok(Exit::Success)
}

/// The runs of a folder that bear the name, or that of the newest run; rehearsals apart from runs.
fn runs(folder: &Path, name: Option<&str>) -> Result<Vec<TrendRun>, Failure> {
    if !folder.is_dir() {
        return Err(Failure::usage(format!("{}: there is no such directory", folder.display())));
    }
    let mut all = runs_in(folder).map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))?;
    let of_name = |run: &&TrendRun| name.is_none_or(|name| run.name() == name);
    let Some(newest) = all.iter().rev().find(of_name).cloned() else {
        return Err(Failure::usage(match name {
            Some(name) => format!("{}: there is no run called {name}", folder.display()),
            None => format!("{}: there is no run in it; a folder of result directories is wanted", folder.display()),
        }));
    };
    all.retain(|run| run.name() == newest.name() && run.is_simulated() == newest.is_simulated());
    Ok(all)
}
