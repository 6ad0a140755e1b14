//! `--keep N`: older results of a run's name are removed, and nothing else ever is.
//!
//! What may go must be proved, not guessed: a directory of its own (no link) in `results/`, called
//! `NAME-STAMP` as regstorm calls it, with a record inside that says this very name and is not of a
//! rehearsal, and that no running regstorm holds. A `results/` full of other things is the normal
//! case.

use super::output::{FAILURES, RECORD, RESULTS, file_name, say};
use crate::record;
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

/// Removes older results of `name` in `results/` until `keep` remain, `newest` among them, and says
/// which. Kept beyond that number are what `results/latest` points to and the last run that passed:
/// the next comparison needs it.
pub(super) fn prune(name: &str, newest: &Path, keep: u32) {
    let remarks = prune_in(Path::new(RESULTS), name, newest, keep);
    for remark in remarks {
        say(&remark);
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
        match remove_result(path) {
            Ok(()) => remarks.push(format!("removed {} (--keep {keep})", path.display())),
            Err(error) => remarks.push(format!("warning: --keep: {} stays: {error}", path.display())),
        }
    }
    remarks
}

/// Removes the files that regstorm wrote, the record last, and the directory when nothing else is
/// in it. No folder is entered: what is mounted or kept there is somebody else's.
fn remove_result(directory: &Path) -> io::Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if is_mounted(&fs::canonicalize(directory)?, &mounts) {
        return Err(io::Error::other("it, or something in it, is mounted here from elsewhere"));
    }
    let foreign = fs::read_dir(directory)?.filter_map(Result::ok).map(|entry| entry.file_name());
    let foreign: Vec<_> = foreign.filter(|name| !name.to_str().is_some_and(is_ours)).collect();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        // Without its record a directory is nobody's result any more: while something else keeps it
        // here, the record says what it is.
        if name.to_str().is_some_and(|name| is_ours(name) && name != RECORD) {
            fs::remove_file(directory.join(name))?;
        }
    }
    if let Some(name) = foreign.first() {
        let held = format!("{} is none of its files; the rest was removed", name.to_string_lossy());
        return Err(io::Error::other(held));
    }
    fs::remove_file(directory.join(RECORD))?;
    fs::remove_dir(directory)
}

/// Whether a directory, or anything in it, is where something is mounted (proc(5): the fifth field,
/// blanks written in octal).
fn is_mounted(directory: &Path, mountinfo: &str) -> bool {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    points.map(|point| PathBuf::from(point.replace("\\040", " "))).any(|point| point.starts_with(directory))
}

/// Whether a run writes a file of this name.
fn is_ours(name: &str) -> bool {
    const OURS: [&str; 20] = [
        RECORD,
        FAILURES,
        "run.json",
        "intervals.csv",
        "latency.csv",
        "latency.hlog",
        "responses.csv",
        "agents.csv",
        "loops.csv",
        "availability.csv",
        "generator.csv",
        "findings.csv",
        "summary.csv",
        "report.html",
        "report.pdf",
        "report.xlsx",
        "trend.html",
        "junit.xml",
        "dry-run.json",
        "compare.html",
    ];
    OURS.contains(&name) || name.strip_prefix('.').and_then(|name| name.strip_suffix(".new")).is_some_and(is_ours)
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

/// When a result directory of this name began, if that is what the file name says:
/// `NAME-20261121T020510Z`, and `-2`, `-3` behind it for those of the same second.
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

/// Whether a directory holds the record of a run (not a rehearsal) of this very name, which nobody
/// writes any more.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use std::os::unix::fs::symlink;

    /// A run's record of which only the beginning is there.
    fn record_of(name: &str, simulated: bool) -> Vec<u8> {
        let header = json!({
            "tool_version": "0", "name": name, "started_unix_ns": 0, "seed": 1, "interval_ns": 1, "trunks": [], "users": [],
            "agent_trunks": [], "profile_json": "{}", "thresholds": [], "features": [], "arrivals_planned": 0,
            "workers": 1, "simulated": simulated,
            "generator": { "late_ns": 1, "stall_ns": 1, "suspect_late": 0.1, "invalid_late": 0.2 },
            "host": { "name": "", "os": "", "kernel": "", "cpus": 1, "cpu_model": "", "memory_bytes": 1 },
        });
        let mut writer = record::Writer::new(Vec::new());
        writer.header(&serde_json::from_value(header).expect("a header")).expect("memory");
        writer.into_inner()
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Folder(tempfile::tempdir().expect("a directory under /tmp"))
        }

        fn path(&self, file: &str) -> PathBuf {
            self.0.path().join(file)
        }

        /// A result directory with this record.
        fn add(&self, file: &str, record: &[u8], verdict: &str) {
            fs::create_dir(self.path(file)).expect("our own directory");
            fs::write(self.path(file).join(RECORD), record).expect("our own directory");
            let run = json!({ "verdict": verdict }).to_string();
            fs::write(self.path(file).join("run.json"), run).expect("our own directory");
        }

        fn prune(&self, newest: &str, keep: u32) -> Vec<String> {
            prune_in(self.0.path(), "night ly", &self.path(newest), keep)
        }

        fn files(&self) -> Vec<String> {
            let entries = fs::read_dir(self.0.path()).expect("our own directory");
            let name =
                |entry: io::Result<fs::DirEntry>| entry.expect("readable").file_name().into_string().expect("UTF-8");
            let mut files: Vec<String> = entries.map(name).collect();
            files.sort();
            files
        }
    }

    #[test]
    fn the_oldest_go_and_the_newest_stay() {
        let folder = Folder::new();
        let record = record_of("night ly", false);
        let names =
            ["20260101T000000Z", "20260101T000000Z-2", "20260101T000000Z-10", "20260102T000000Z", "20260103T000000Z"];
        for stamp in names {
            folder.add(&format!("night-ly-{stamp}"), &record, "fail");
        }
        assert_eq!(folder.prune("night-ly-20260103T000000Z", 5), [""; 0]);
        let said = folder.prune("night-ly-20260103T000000Z", 3);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(
            said[0].starts_with("removed ") && said[0].ends_with("night-ly-20260101T000000Z (--keep 3)"),
            "{said:?}"
        );
        assert!(said[1].ends_with("night-ly-20260101T000000Z-2 (--keep 3)"), "the second of its second: {said:?}");
        assert_eq!(
            folder.files(),
            ["night-ly-20260101T000000Z-10", "night-ly-20260102T000000Z", "night-ly-20260103T000000Z"]
        );
    }

    /// A clock that went back: the run that just ended has the oldest name.
    #[test]
    fn the_run_itself_the_latest_and_the_last_that_passed_stay() {
        let folder = Folder::new();
        let record = record_of("night ly", false);
        for (day, verdict) in [(1, "fail"), (2, "pass"), (3, "pass"), (4, "fail"), (5, "invalid"), (6, "interrupted")] {
            folder.add(&format!("night-ly-2026010{day}T000000Z"), &record, verdict);
        }
        symlink("night-ly-20260104T000000Z", folder.path("latest")).expect("our own directory");
        assert_eq!(folder.prune("night-ly-20260101T000000Z", 1).len(), 2);
        assert_eq!(
            folder.files(),
            [
                "latest",
                "night-ly-20260101T000000Z",
                "night-ly-20260103T000000Z",
                "night-ly-20260104T000000Z",
                "night-ly-20260106T000000Z"
            ]
        );
    }

    #[test]
    fn what_is_not_proved_to_be_a_result_of_this_name_stays() {
        let folder = Folder::new();
        let record = record_of("night ly", false);
        for other in [
            "night-ly",
            "night-ly-",
            "night-ly-2026",
            "night-ly-20260101T000000",
            "night-ly-20260101T000000Z-",
            "night-ly-20260101T000000Z-1",
            "night-ly-20260101T000000Z-02",
            "night-ly-20260101T000000Z-x",
            "night-ly-20260101T000000Z.bak",
            "night-ly-20260101T000000Z-2-3",
            "night-ly-limits-20260101T000000Z",
            "night-ly-extra-20260101T000000Z",
            "Night-ly-20260101T000000Z",
            "night ly-20260101T000000Z",
            "-night-ly-20260101T000000Z",
            "night-ly--20260101T000000Z",
            "night-ly-２0260101T000000Z",
            "recorded",
        ] {
            folder.add(other, &record, "fail");
        }
        folder.add("night-ly-20260101T000001Z", &record_of("night:ly", false), "fail");
        folder.add("night-ly-20260101T000002Z", &record_of("night ly", true), "fail");
        folder.add("night-ly-20260101T000003Z", b"regstorm", "fail");
        folder.add("night-ly-20260101T000004Z", b"", "fail");
        fs::create_dir(folder.path("night-ly-20260101T000005Z")).expect("our own directory");
        fs::write(folder.path("night-ly-20260101T000006Z"), &record).expect("our own directory");
        symlink("recorded", folder.path("night-ly-20260101T000007Z")).expect("our own directory");
        fs::create_dir(folder.path("night-ly-20260101T000008Z")).expect("our own directory");
        let link = folder.path("night-ly-20260101T000008Z").join(RECORD);
        symlink(folder.path("recorded").join(RECORD), link).expect("our own directory");
        // A run that is going on holds its record.
        folder.add("night-ly-20260101T000009Z", &record, "");
        let running = File::open(folder.path("night-ly-20260101T000009Z").join(RECORD)).expect("just written");
        running.lock().expect("locks in /tmp");
        folder.add("night-ly-20260102T000000Z", &record, "fail");
        let before = folder.files();
        assert_eq!(folder.prune("night-ly-20260102T000000Z", 1), [""; 0]);
        assert_eq!(folder.files(), before);
        drop(running);
        assert_eq!(folder.prune("night-ly-20260102T000000Z", 1).len(), 1, "it has ended");
    }

    #[test]
    fn what_others_put_there_stays_and_is_said() {
        let (folder, elsewhere) = (Folder::new(), Folder::new());
        elsewhere.add("precious", b"kept", "pass");
        let record = record_of("night ly", false);
        for stamp in ["20260101T000000Z", "20260102T000000Z", "20260103T000000Z", "20260104T000000Z"] {
            folder.add(&format!("night-ly-{stamp}"), &record, "fail");
        }
        let link = folder.path("night-ly-20260101T000000Z").join("notes");
        symlink(elsewhere.path("precious"), link).expect("our own directory");
        let notes = folder.path("night-ly-20260102T000000Z").join("notes.txt");
        fs::write(&notes, "mine").expect("our own directory");
        // A folder stands for what is mounted on it.
        let mounted = folder.path("night-ly-20260103T000000Z").join("run.json.d");
        fs::create_dir(&mounted).expect("our own directory");
        fs::write(mounted.join(RECORD), "kept").expect("our own directory");
        let said = folder.prune("night-ly-20260104T000000Z", 1);
        assert_eq!(said.len(), 3);
        assert!(said.iter().all(|line| line.contains(" stays: ") && line.contains("none of its files")), "{said:?}");
        assert_eq!(fs::read(elsewhere.path("precious").join(RECORD)).expect("still there"), b"kept");
        assert_eq!(fs::read_to_string(notes).expect("still there"), "mine");
        assert_eq!(fs::read_to_string(mounted.join(RECORD)).expect("still there"), "kept");
        assert!(!folder.path("night-ly-20260102T000000Z").join("run.json").exists(), "what was ours is gone");
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_said() {
        let folder = Folder::new();
        let said = prune_in(&folder.path("nowhere"), "x", &folder.path("nowhere/x"), 1);
        assert!(said[0].starts_with("warning: --keep: ") && said[0].ends_with("nothing was removed"), "{said:?}");
    }

    proptest! {
        /// What a run calls its directory is recognised, by its own name alone.
        #[test]
        fn names_and_stamps_are_told_apart(
            name in "[a-z0-9TZ -]{1,24}", other in "[a-z0-9TZ -]{1,24}", unix_s in 0..4_000_000_000u64, number in 2..99u32
        ) {
            let stamp = super::super::stamp(unix_s * 1_000_000_000);
            let file = format!("{}-{stamp}", file_name(&name));
            prop_assert_eq!(stamp_of(&file, &name), Some((stamp.clone(), 1)));
            prop_assert_eq!(stamp_of(&format!("{file}-{number}"), &name), Some((stamp, number)));
            if file_name(&other) != file_name(&name) {
                prop_assert_eq!(stamp_of(&file, &other), None);
            }
        }

        #[test]
        fn no_file_name_is_too_strange(file in ".{0,40}", name in ".{0,10}") {
            let _ = stamp_of(&file, &name);
        }
    }
}
