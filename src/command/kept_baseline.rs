//! The file in which what this machine can send by itself is kept for the conditions of later runs.

use super::failure::Failure;
use super::output::{RESULTS, say, write_files};
use crate::net::usage;
use crate::record::Baseline;
use std::path::Path;

/// The file's name within the folder of results.
const FILE: &str = "baseline.json";

/// The baseline of this machine, if one was kept here. One that cannot be read is only warned of:
/// no run depends on it.
pub(super) fn read() -> Option<Baseline> {
    let path = Path::new(RESULTS).join(FILE);
    let bytes = std::fs::read(&path).ok()?;
    match serde_json::from_slice::<Baseline>(&bytes) {
        Ok(baseline) => Some(baseline).filter(|baseline| baseline.host == usage::host().name),
        Err(error) => {
            say(&format!(
                "warning: {} cannot be read ({error}); measure it anew with preflight --baseline",
                path.display()
            ));
            None
        }
    }
}

/// Keeps a baseline for [`read`] to find.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write(baseline: &Baseline) -> Result<(), Failure> {
    let directory = Path::new(RESULTS);
    std::fs::create_dir_all(directory)
        .map_err(|error| Failure::could_not(format!("{}: cannot be created: {error}", directory.display())))?;
    // Texts and numbers only: nothing here can fail to serialise.
    let bytes = serde_json::to_vec_pretty(baseline).unwrap_or_default();
    write_files(directory, &[(FILE, bytes)])
}
