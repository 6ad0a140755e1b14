//! `report.pdf`: the page on paper, printed by a Chromium of this machine.
//!
//! The page is printed from a copy with the size of the paper in it, in a directory of its own
//! beside the results: a packaged Chromium may read and write there when it may not in `/tmp`. No
//! script and no network is needed for it.

use super::child;
use super::failure::Failure;
use crate::cli::Paper;
use crate::net::clock::Clock;
use crate::net::process::ProcessGroup;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What Chromium and its relatives are called, in order of preference.
const NAMES: [&str; 6] =
    ["chromium", "chromium-browser", "chromium-headless-shell", "google-chrome", "google-chrome-stable", "chrome"];
/// A page that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// A browser that only prints: nothing of it looks for updates, accounts or the network.
const ALONE: [&str; 11] = [
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-pdf-header-footer",
];

/// Prints `report.html` of a result directory to `report.pdf` beside it.
///
/// # Errors
/// When there is no Chromium, or it did not print; the message says what to do.
pub(super) fn print(directory: &Path, paper: Paper, clock: Clock) -> Result<PathBuf, Failure> {
    let browser = find(std::env::var_os("PATH").as_deref()).ok_or_else(none_found)?;
    let scratch = Scratch::within(directory).map_err(|error| in_directory(directory, &error))?;
    let page = fs::read_to_string(directory.join("report.html")).map_err(|error| in_directory(directory, &error))?;
    let (source, printed) = (scratch.path.join("page.html"), scratch.path.join("page.pdf"));
    fs::write(&source, sized(&page, paper)).map_err(|error| in_directory(directory, &error))?;
    run(&browser, &scratch.path, &source, &printed, clock)?;
    let target = directory.join("report.pdf");
    fs::rename(&printed, &target)
        .map_err(|error| Failure::could_not(format!("{} ended, but left no PDF: {error}", browser.display())))?;
    Ok(target)
}

fn run(browser: &Path, scratch: &Path, source: &Path, printed: &Path, clock: Clock) -> Result<(), Failure> {
    let failed = |why: String| {
        let advice = "print report.html from a browser instead";
        Failure::could_not(format!("{}: {why}; {advice}", browser.display()))
    };
    let said = scratch.join("stderr");
    let stderr = fs::File::create(&said).map_err(|error| failed(error.to_string()))?;
    let with = |name: &str, path: &Path| {
        let mut option = std::ffi::OsString::from(name);
        option.push(path);
        option
    };
    let mut command = Command::new(browser);
    command.args(ALONE).arg(with("--user-data-dir=", &scratch.join("profile")));
    if is_root()? {
        // Chromium refuses to run as root with its sandbox; in a container there often is no other
        // user.
        command.arg("--no-sandbox");
    }
    command.arg(with("--print-to-pdf=", printed)).arg(source);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    let process = ProcessGroup::start(&mut command).map_err(|error| failed(error.to_string()))?;
    let until = clock.now() + PATIENCE;
    match child::wait(process, clock, || until) {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => Err(failed(format!("ended with {status}{}", last_line(&said)))),
        Ok(None) => Err(failed(format!("was ended after {} s", PATIENCE.as_secs()))),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// The browser to print with: the first of [`NAMES`] in the first folder of `path` that has one.
fn find(path: Option<&OsStr>) -> Option<PathBuf> {
    let folders: Vec<PathBuf> = std::env::split_paths(path?).collect();
    let runs = |file: &PathBuf| fs::metadata(file).is_ok_and(|about| about.is_file() && about.mode() & 0o111 != 0);
    NAMES.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(runs))
}

fn none_found() -> Failure {
    Failure::could_not(format!(
        "--pdf needs Chromium, and PATH has none of {}; install it (Debian, Ubuntu: apt install chromium), or print \
         report.html from a browser",
        NAMES.join(", ")
    ))
}

fn in_directory(directory: &Path, error: &io::Error) -> Failure {
    Failure::could_not(format!("{}: {error}", directory.display()))
}

/// Whether this process is root's, by the owner of its entry in `/proc`.
fn is_root() -> Result<bool, Failure> {
    let about = fs::metadata("/proc/self").map_err(|error| Failure::could_not(format!("/proc/self: {error}")))?;
    Ok(about.uid() == 0)
}

/// The page with the size of its paper.
fn sized(page: &str, paper: Paper) -> String {
    let size = match paper {
        Paper::A4 => "A4",
        Paper::Letter => "letter",
    };
    page.replacen("</style>", &format!("@page {{ size: {size}; }}\n</style>"), 1)
}

fn last_line(said: &Path) -> String {
    let text = fs::read_to_string(said).unwrap_or_default();
    text.lines().rev().find(|line| !line.trim().is_empty()).map(|line| format!(": {line}")).unwrap_or_default()
}

/// A directory for the copy and for what the browser keeps, removed again.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn within(directory: &Path) -> io::Result<Scratch> {
        // Chromium needs absolute paths.
        let path = directory.canonicalize()?.join(format!("printing-{}.tmp", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Scratch { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort: what is left behind is named as temporary.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_program_is_a_browser() {
        let dir = tempfile::tempdir().expect("tempdir");
        fs::write(dir.path().join("chromium"), "not a program").expect("written");
        assert_eq!(find(Some(dir.path().as_os_str())), None);
        assert_eq!(find(None), None);
        let Failure::CouldNotRun(message) = none_found() else { panic!("exit status 3") };
        assert!(message.contains("apt install chromium") && message.contains("report.html"), "{message}");
    }

    #[test]
    fn the_copy_has_the_size_of_its_paper_once() {
        let page = "<style>a{}</style><style>b{}</style>";
        assert_eq!(sized(page, Paper::Letter), "<style>a{}@page { size: letter; }\n</style><style>b{}</style>");
    }
}
