//! Where results go: the run's directory, files that appear whole or not at all, and standard
//! output.

use super::failure::Failure;
use crate::diagnose::findings::counted;
use crate::net::poll::wait_output;
use crate::report::explanation::WIDTH;
use crate::vocab::printable_lines;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The raw record within a run's directory.
pub(super) const RECORD: &str = "record.bin";

/// What a search for limits writes in its place.
pub(super) const LIMITS: &str = "limits.json";

/// Packets of failed attempts; not there when none were kept.
pub(super) const FAILURES: &str = "failures.pcapng";

/// Where runs go unless told otherwise, and where `latest` points to the newest.
pub(super) const RESULTS: &str = "results";

/// A run's directory, created and known to be writable before anything is sent.
#[derive(Debug)]
pub(super) struct RunDirectory {
    path: PathBuf,
    /// The file that says what it is.
    marker: &'static str,
}

/// The name of what is no run but a search, a rehearsal or the like, which the directory says; not
/// twice where the name says it already.
pub(super) fn name_of(run: &str, what: &str) -> String {
    if run.ends_with(what) { run.to_owned() } else { format!("{run}-{what}") }
}

impl RunDirectory {
    /// Creates `out`, or `results/<name>-<stamp>`. A directory that already holds a record is
    /// refused: nothing is lost.
    ///
    /// # Errors
    /// When it cannot be created or written to, or holds a run.
    pub(super) fn create(out: Option<&Path>, name: &str, stamp: &str) -> Result<(Self, File), Failure> {
        Self::create_with(RECORD, out, name, stamp)
    }

    /// The same with another file than the record in it, which marks the directory as taken.
    ///
    /// # Errors
    /// As [`RunDirectory::create`].
    pub(super) fn create_with(
        marker: &'static str,
        out: Option<&Path>,
        name: &str,
        stamp: &str,
    ) -> Result<(Self, File), Failure> {
        let path = match out {
            Some(path) => path.to_path_buf(),
            None => vacant(&Path::new(RESULTS).join(format!("{}-{stamp}", file_name(name)))),
        };
        let refused = |error: io::Error| {
            Failure::usage(format!("{}: the result directory cannot be written: {error}", path.display()))
        };
        fs::create_dir_all(&path).map_err(refused)?;
        let taken = [RECORD, LIMITS].into_iter().any(|file| file != marker && path.join(file).exists());
        let record = path.join(marker);
        let created = if taken {
            Err(io::ErrorKind::AlreadyExists.into())
        } else {
            File::options().write(true).create_new(true).open(&record)
        };
        // Held until the run ends, so that no `--keep` removes it meanwhile. A file system without
        // locks has none to ask.
        let lock = |file: &File| drop(file.try_lock());
        let file = created.inspect(lock).map_err(|error: io::Error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                Failure::usage(format!(
                    "{} already holds a run; choose another --out, or remove it first",
                    path.display()
                ))
            } else {
                refused(error)
            }
        })?;
        Ok((RunDirectory { path, marker }, file))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory again when somebody removed it during the run. The record is still there
    /// as long as it is open; packets of failures are gone.
    pub(super) fn rescue(&self, record: &File) {
        let place = self.path.join(self.marker);
        if place.exists() {
            return;
        }
        let open = format!("/proc/self/fd/{}", record.as_raw_fd());
        let made = fs::create_dir_all(&self.path).and_then(|()| fs::copy(open, &place));
        let path = self.path.display();
        say(&match made {
            Ok(_) => {
                format!("warning: {path} was removed while the run went on; its record was saved to the same place")
            }
            Err(error) => {
                format!("warning: {path} was removed while the run went on, and cannot be made again: {error}")
            }
        });
    }

    /// Removes the directory of a run that could not begin its record.
    pub(super) fn unwritable(self, error: &io::Error) -> Failure {
        self.discard();
        Failure::could_not(format!("the record cannot be written: {error}; nothing was sent"))
    }

    /// Removes the directory again when nothing was recorded in it.
    pub(super) fn discard(&self) {
        // Best effort: an empty record left behind says so itself.
        let _ = fs::remove_file(self.path.join(self.marker));
        let _ = fs::remove_dir(&self.path);
    }

    /// Lets `results/latest` point here when this directory lies in `results/`. The link is
    /// relative and replaced whole.
    pub(super) fn link_latest(&self) {
        let Some((parent, name)) = self.path.parent().zip(self.path.file_name()) else { return };
        if parent.file_name().is_none_or(|folder| folder != RESULTS) {
            return;
        }
        let fresh = parent.join(format!(".latest-{}", std::process::id()));
        // A missing link is an inconvenience, not a failed run.
        let _ = fs::remove_file(&fresh);
        if std::os::unix::fs::symlink(name, &fresh).is_ok() && fs::rename(&fresh, parent.join("latest")).is_err() {
            let _ = fs::remove_file(&fresh);
        }
    }
}

/// A record that could not be written to its end.
pub(super) fn unkept_record(error: &std::io::Error, also: Option<&Failure>) -> Failure {
    let also = also.map_or_else(String::new, |failure| format!("\n{failure}"));
    Failure::could_not(format!(
        "the record cannot be written: {error}; the load was ended early, and what it had bound was removed as far as nothing \
         else is said{also}"
    ))
}

/// Makes sure that a directory holds the record of a run, before anything is read.
///
/// # Errors
/// Says what stands there instead, and where its runs may be.
pub(super) fn check_holds_run(directory: &Path) -> Result<(), Failure> {
    let place = directory.display();
    if directory.is_file() {
        return Err(Failure::usage(format!(
            "{place}: it is a file; a result directory is wanted, like {RESULTS}/latest"
        )));
    }
    if !directory.is_dir() {
        return Err(Failure::usage(format!("{place}: there is no such directory")));
    }
    if directory.join(RECORD).exists() {
        return Ok(());
    }
    if directory.join(LIMITS).exists() {
        return Err(Failure::usage(format!(
            "{place}: it holds a search for limits, which has no record of a run; its result is in {LIMITS} and limits.html"
        )));
    }
    let within = fs::read_dir(directory).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut runs: Vec<PathBuf> =
        within.filter(|path| path.join(RECORD).exists() && !path.ends_with("latest")).collect();
    runs.sort();
    Err(Failure::usage(match runs.last() {
        Some(run) => format!(
            "{place}: it is no result directory itself; it holds {}, for example {}",
            counted(runs.len() as u64, "run"),
            run.display()
        ),
        None => format!("{place}: it is no result directory: there is no {RECORD} in it"),
    }))
}

/// Writes files so that each appears whole or not at all.
///
/// # Errors
/// Names the file that could not be written.
pub(super) fn write_files(directory: &Path, files: &[(&str, Vec<u8>)]) -> Result<(), Failure> {
    for (name, bytes) in files {
        let path = directory.join(name);
        let fresh = directory.join(format!(".{name}.new"));
        fs::write(&fresh, bytes).and_then(|()| fs::rename(&fresh, &path)).map_err(|error| {
            // Half a file is of no use to anybody.
            let _ = fs::remove_file(&fresh);
            Failure::could_not(format!("{}: cannot be written: {error}", path.display()))
        })?;
    }
    Ok(())
}

/// Writes the file so that it appears whole or not at all.
pub(super) fn write_file(path: &Path, bytes: Vec<u8>) -> Result<(), Failure> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Failure::usage(format!("--out {}: names no file", path.display())))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    write_files(folder, &[(name, bytes)])
}

/// Says a line to whoever watches standard error. One that is closed, full or gone takes nothing,
/// and that is no failure: what a run leaves behind does not hang on who looks on. Neither is one
/// that stands still (Ctrl-S, a pager): it is waited for once, and then not again before it takes
/// something.
pub fn say(line: &str) {
    static STANDS_STILL: AtomicBool = AtomicBool::new(false);
    let patience = if STANDS_STILL.load(Ordering::Relaxed) { Duration::ZERO } else { PATIENCE };
    let takes = wait_output(io::stderr().as_fd(), patience);
    STANDS_STILL.store(!takes, Ordering::Relaxed);
    if takes {
        let line = format!("{}\n", printable_lines(line));
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }
}

/// How long a line waits for a terminal that takes nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// Prints to standard output. A reader that went away (`| head`) is no failure.
///
/// # Errors
/// When standard output cannot be written for any other reason.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let text = printable_lines(text);
    let text = if paints() { painted(&text) } else { text.into_owned() };
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::could_not(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// How wide lines on standard output may be: as the terminal, up to what reads well.
pub(super) fn width() -> usize {
    let terminal = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    terminal.unwrap_or(WIDTH).clamp(NARROWEST, WIDTH)
}

/// Narrower than this nothing is readable in columns.
const NARROWEST: usize = 60;

/// Whether standard output shows colours: a terminal, unless its user wants none (no-color.org).
fn paints() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    io::stdout().is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb")
}

/// The text with verdicts in their colours.
fn painted(text: &str) -> String {
    let colour = |word: &str| match word {
        "PASS" | "ready" => Some("32"),
        "FAIL" | "critical" => Some("31"),
        "INVALID" | "INTERRUPTED" | "warn" | "warning" => Some("33"),
        _ => None,
    };
    let word = |word: &str| match colour(word) {
        Some(colour) => format!("\x1b[{colour};1m{word}\x1b[0m"),
        None => word.to_owned(),
    };
    text.split_inclusive([' ', '\n'])
        .map(|piece| {
            let bare = piece.trim_end_matches([' ', '\n']);
            format!("{}{}", word(bare), &piece[bare.len()..])
        })
        .collect()
}

/// A path that does not exist yet: two runs may start within a second.
fn vacant(wanted: &Path) -> PathBuf {
    if !wanted.exists() {
        return wanted.to_path_buf();
    }
    (2..).map(|n| PathBuf::from(format!("{}-{n}", wanted.display()))).find(|path| !path.exists()).unwrap_or_default()
}

/// A run's name as a file name: what is no letter, digit, dot, dash or underscore becomes a dash.
pub(super) fn file_name(name: &str) -> String {
    let safe: String =
        name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' }).collect();
    if safe.trim_matches('.').is_empty() { "run".to_owned() } else { safe }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_have_colours_and_nothing_else_changes() {
        let text = "verdict       FAIL  1 of 2\nFAILED  warning  a\n";
        let painted = painted(text);
        assert_eq!(painted, "verdict       \x1b[31;1mFAIL\x1b[0m  1 of 2\nFAILED  \x1b[33;1mwarning\x1b[0m  a\n");
    }

    #[test]
    fn names_stay_inside_the_results_folder() {
        assert_eq!(file_name("nj phase/2"), "nj-phase-2");
        assert_eq!(file_name("../../etc"), "..-..-etc");
        assert_eq!(file_name(".."), "run");
    }

    #[test]
    fn a_directory_with_a_run_is_refused() {
        let dir = tempfile::tempdir().expect("tempdir");
        let out = dir.path().join("a");
        drop(RunDirectory::create(Some(&out), "n", "s").expect("fresh"));
        let again = RunDirectory::create(Some(&out), "n", "s").expect_err("holds a run");
        assert!(again.to_string().contains("already holds a run"), "{again}");
    }
}
