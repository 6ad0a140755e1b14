//! `--keep N`: older results of a run's name are removed, and nothing else ever is.
//!
//! What may go must be proved, not guessed: a directory of its own (no link) in `results/`, called `NAME-STAMP` as
//! regstorm calls it, with a record inside that says this very name and is not of a rehearsal, and that no running
//! regstorm holds. A `results/` full of other things is the normal case.

use super::output::{RECORD, RESULTS, file_name};
use crate::record;
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

/// Removes older results of `name` in `results/` until `keep` remain, `newest` among them, and says which. Kept beyond
/// that number are what `results/latest` points to and the last run that passed: the next comparison needs it.
pub fn prune(name: &str, newest: &Path, keep: u32) {
    let remarks = prune_in(Path::new(RESULTS), name, newest, keep);
    for remark in remarks {
        eprintln!("{remark}");
    }
}

/// The same in any folder; what was done and what could not be, a line each.
fn prune_in(folder: &Path, name: &str, newest: &Path, keep: u32) -> Vec<String> {
    let found = match results_of(folder, name) {
        Ok(found) => found,
        Err(error) => return vec![format!("warning: --keep: {}: {error}; nothing was removed", folder.display())],
    };
    let spared = spared(folder, newest, &found);
    let is_spared = |path: &Path| fs::canonicalize(path).is_ok_and(|path| spared.contains(&path));
    let old: Vec<&PathBuf> = found.iter().rev().skip(keep as usize).filter(|path| !is_spared(path)).collect();
    let mut remarks = Vec::new();
    for path in old.into_iter().rev() {
        match fs::remove_dir_all(path) {
            Ok(()) => remarks.push(format!("removed {} (--keep {keep})", path.display())),
            Err(error) => remarks.push(format!("warning: --keep: {} stays: {error}", path.display())),
        }
    }
    remarks
}

/// Results that must stay, whatever their age: canonical paths.
fn spared(folder: &Path, newest: &Path, found: &[PathBuf]) -> BTreeSet<PathBuf> {
    let passed = found.iter().rev().find(|path| has_passed(path)).cloned();
    let all = [Some(newest.to_path_buf()), Some(folder.join("latest")), passed];
    all.into_iter().flatten().filter_map(|path| fs::canonicalize(path).ok()).collect()
}

/// Finished results of this name, the oldest first.
///
/// # Errors
/// When the folder cannot be read.
fn results_of(folder: &Path, name: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(stamp) = entry.file_name().to_str().and_then(|file| stamp_of(file, name)) else { continue };
        // Of the entry itself: a link is not followed.
        if entry.file_type()?.is_dir() && is_finished_run_of(&entry.path(), name) {
            found.push((stamp, entry.path()));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// When a result directory of this name began, if that is what the file name says: `NAME-20261121T020510Z`, and `-2`,
/// `-3` behind it for those of the same second.
fn stamp_of(file: &str, name: &str) -> Option<(String, u32)> {
    let rest = file.strip_prefix(&file_name(name))?.strip_prefix('-')?;
    let (stamp, number) = match rest.split_once('-') {
        None => (rest, 1),
        Some((stamp, number)) => {
            let parsed = number.parse().ok().filter(|parsed: &u32| *parsed >= 2 && parsed.to_string() == number)?;
            (stamp, parsed)
        }
    };
    let shape = "00000000T000000Z";
    let alike = |(a, b): (u8, u8)| if b == b'0' { a.is_ascii_digit() } else { a == b };
    (stamp.len() == shape.len() && stamp.bytes().zip(shape.bytes()).all(alike)).then(|| (stamp.to_owned(), number))
}

/// Whether a directory holds the record of a run (not a rehearsal) of this very name, which nobody writes any more.
fn is_finished_run_of(directory: &Path, name: &str) -> bool {
    let path = directory.join(RECORD);
    let is_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
    let Some(file) = is_file.then(|| File::open(&path).ok()).flatten() else { return false };
    // A run holds its record's lock until it ends; where there are no locks, nothing holds it.
    if matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        return false;
    }
    record::header(BufReader::new(file)).is_ok_and(|header| header.name == name && !header.simulated)
}

fn has_passed(directory: &Path) -> bool {
    let run = fs::read(directory.join("run.json")).unwrap_or_default();
    let run: serde_json::Value = serde_json::from_slice(&run).unwrap_or_default();
    run["verdict"] == "pass"
}
