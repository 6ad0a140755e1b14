//! The runs that lie beside a run, as their `run.json` has them.

use crate::report::trend::TrendRun;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Every run of a folder, the earliest first; rehearsals too.
///
/// # Errors
/// When the folder cannot be read.
pub(super) fn runs_in(folder: &Path) -> io::Result<Vec<TrendRun>> {
    let entries = fs::read_dir(folder)?;
    // `latest` is another name of a run that is there anyway.
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| !path.ends_with("latest"));
    let mut runs: Vec<TrendRun> = paths.filter_map(|path| read(&path)).collect();
    // Rehearsals begin at one moment, so their directories say which came first.
    runs.sort_by(|a, b| (a.started(), &a.place).cmp(&(b.started(), &b.place)));
    Ok(runs)
}

/// A run by its directory; none where `run.json` is missing or says nothing.
fn read(directory: &Path) -> Option<TrendRun> {
    let document = serde_json::from_slice(&fs::read(directory.join("run.json")).ok()?).ok()?;
    let run = TrendRun { place: directory.display().to_string(), document };
    (!run.name().is_empty() && !run.started().is_empty()).then_some(run)
}

/// The runs before this one in the same folder, of its name and kind, the earliest first; of very
/// many the latest.
pub(super) fn earlier(directory: &Path, name: &str, simulated: bool, started: &str) -> Vec<TrendRun> {
    let own = fs::canonicalize(directory).ok();
    let Some(folder) = own.as_deref().and_then(Path::parent) else { return Vec::new() };
    let place = own.as_deref().map(|own| own.display().to_string()).unwrap_or_default();
    // A folder that cannot be read has no neighbours to show.
    let mut runs = runs_in(folder).unwrap_or_default();
    runs.retain(|run| {
        run.name() == name && run.is_simulated() == simulated && (run.started(), &run.place) < (started, &place)
    });
    let from = runs.len().saturating_sub(MOST_RUNS);
    let mut runs = runs.split_off(from);
    let above =
        directory.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or_else(PathBuf::new, Path::to_path_buf);
    for run in &mut runs {
        // As whoever named the run would name its neighbour.
        run.place = above.join(Path::new(&run.place).file_name().unwrap_or_default()).display().to_string();
    }
    runs
}

/// A year of nights is read for one page, no more.
const MOST_RUNS: usize = 366;
