//! A headless Chromium, and what a page shows in it.
//!
//! A page is looked at in a copy with two scripts of the test in it: one notes errors from the
//! beginning, one looks around at the end and writes what it found into the page, which Chromium
//! prints.

use crate::support::clock;
use serde::Deserialize;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);

/// Whether the page's own scripts may run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scripts {
    On,
    Off,
}

/// Light or dark, as the reader's system asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    Light,
    Dark,
}

/// What was found on a page.
#[derive(Deserialize, Debug)]
pub struct Found {
    pub errors: Vec<String>,
    /// What the page's policy forbade: an attempt to reach outside.
    pub violations: Vec<String>,
    pub requests: Vec<String>,
    pub scripted: bool,
    /// Texts that were looked at, and those with too little contrast.
    pub texts: usize,
    pub contrast: Vec<String>,
    pub charts: Vec<ChartFound>,
    /// Pixels that the page is wider than its window.
    pub wide: i64,
    pub verdict: String,
    pub title: bool,
    pub figures: usize,
    pub findings: usize,
    /// Headings that skip a level.
    pub skipped: usize,
    /// Tables, sections and links without a name or a target.
    pub unnamed: usize,
}

#[derive(Deserialize, Debug)]
pub struct ChartFound {
    pub id: String,
    /// Numbers it is drawn from.
    pub values: usize,
    /// Pixels drawn within its axes.
    pub marks: usize,
    pub keyboard: bool,
    /// Whether its SVG is shown, with marks in it.
    pub still: bool,
}

/// Looks at a page in a window of this width.
pub fn look(page: &str, width: u32, scheme: Scheme, scripts: Scripts) -> Found {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let file = dir.path().join("copy.html");
    fs::write(&file, watched(page, scheme, scripts)).expect("the test's own directory");
    let (dom, _) = chromium(dir.path(), &file, width, &["--dump-dom"]);
    let (_, after) = dom.rsplit_once("<pre id=\"found\">").expect("the check ran to its end");
    let (json, _) = after.split_once("</pre>").expect("the element ends");
    // What the browser escapes in text.
    let json = json.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", "\u{a0}").replace("&amp;", "&");
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// What the console says while the page comes up as it is, its policy included.
pub fn console(page: &Path) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let (_, stderr) = chromium(dir.path(), page, 1280, &["--dump-dom", "--enable-logging=stderr"]);
    stderr.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect()
}

/// A copy with the test's scripts, which a number used once lets run.
fn watched(page: &str, scheme: Scheme, scripts: Scripts) -> String {
    let start = page.find("script-src").expect("a policy");
    let end = start + page[start..].find(';').expect("and further rules");
    let allowed = match scripts {
        Scripts::On => format!("{} 'nonce-test'", &page[start..end]),
        Scripts::Off => "script-src 'nonce-test'".to_owned(),
    };
    let mut copy = format!("{}{allowed}{}", &page[..start], &page[end..]);
    if scheme == Scheme::Dark {
        copy = copy.replacen("@media (prefers-color-scheme: dark)", "@media all", 1);
    }
    let script = |text: &str| format!("<script nonce=\"test\">{text}</script>");
    let policy_ends = copy.find("<meta name=\"generator\"").expect("behind the policy");
    copy.insert_str(policy_ends, &script(include_str!("watch.js")));
    let body_ends = copy.rfind("</body>").expect("a body");
    copy.insert_str(body_ends, &script(include_str!("check.js")));
    copy
}

/// Runs Chromium once, with a profile of its own; its standard output and error.
fn chromium(dir: &Path, page: &Path, width: u32, options: &[&str]) -> (String, String) {
    let [stdout, stderr] = ["stdout", "stderr"].map(|name| dir.join(name));
    let open = |path: &Path| fs::File::create(path).expect("the test's own directory");
    let mut command = Command::new("chromium");
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--virtual-time-budget=5000"])
        .arg(format!("--user-data-dir={}", dir.join("profile").display()))
        .arg(format!("--window-size={width},900"))
        .args(options)
        .arg(page)
        .stdin(Stdio::null())
        .stdout(open(&stdout))
        .stderr(open(&stderr));
    let mut browser = command.spawn().expect("chromium is part of these tests (Debian: apt install chromium)");
    let deadline = clock::now() + LIMIT;
    let status = loop {
        if let Some(status) = browser.try_wait().expect("our own child") {
            break status;
        }
        if clock::now() > deadline {
            drop(browser.kill());
            drop(browser.wait());
            panic!("chromium still runs after {LIMIT:?}");
        }
        clock::let_pass(Duration::from_millis(20));
    };
    let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).expect("written above")).into_owned();
    assert!(status.success(), "chromium ended with {status}: {}", read(&stderr));
    (read(&stdout), read(&stderr))
}
