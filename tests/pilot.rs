//! First light: the shipped pilot, run as the README says, from profile to report.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::program::Regstorm;
use support::results::{FILES, ResultDir, number};

/// The pilot promises to stay under a minute; the rest is for a busy machine's start and end.
const LIMIT: Duration = Duration::from_secs(75);

#[test]
fn the_pilot_passes_and_leaves_the_tree_clean() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let tree = dir.path();
    like_the_repository(tree);
    let finished = Regstorm::run(tree, &["run", "profiles/pilot.toml"], LIMIT);
    finished.expect_code(0);
    assert!(finished.stdout().to_lowercase().contains("pass"), "{}", finished.stdout());

    let out = newest(tree);
    let results = ResultDir::open(&out);
    assert_eq!(results.text("/verdict"), "pass");
    assert_ne!(results.text("/generator/verdict"), "invalid");
    expect_files(&out);
    expect_five_hundred(&results);
    results.expect_balanced();
    expect_the_files_to_agree(&results);
    assert_eq!(git(tree, &["status", "--porcelain", "--untracked-files=all"]), "", "the run shows in the tree");
}

/// The parts of the repository a run sees, as a repository of their own: other tests may be writing
/// to the real one.
fn like_the_repository(tree: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![PathBuf::from(".gitignore"), PathBuf::from("results/README.md")];
    for entry in std::fs::read_dir(root.join("profiles")).expect("profiles/ is part of the repository") {
        files.push(Path::new("profiles").join(entry.expect("readable").file_name()));
    }
    for file in &files {
        let to = tree.join(file);
        std::fs::create_dir_all(to.parent().expect("below the tree")).expect("our own directory");
        std::fs::copy(root.join(file), to).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    }
    git(tree, &["init", "--quiet"]);
    git(tree, &["add", "--all"]);
    let author = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"];
    git(tree, &[&author[..], &["commit", "--quiet", "--message", "As cloned"]].concat());
}

fn git(tree: &Path, args: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(tree).args(args).output().expect("git is installed");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The directory `results/latest` points to: named after the run and its start, by a relative link.
fn newest(tree: &Path) -> PathBuf {
    let latest = std::fs::read_link(tree.join("results/latest")).expect("results/latest is a symbolic link");
    assert!(latest.is_relative(), "{}", latest.display());
    let results = ResultDir::open(&tree.join("results/latest"));
    let name = latest.file_name().and_then(|name| name.to_str()).expect("a directory's name");
    assert!(name.starts_with(&format!("{}-2", results.text("/name"))), "{name}");
    tree.join("results").join(latest)
}

fn expect_files(out: &Path) {
    for name in FILES {
        let size = std::fs::metadata(out.join(name)).unwrap_or_else(|e| panic!("{name}: {e}")).len();
        assert!(size > 0, "{name} is empty");
    }
}

fn expect_five_hundred(results: &ResultDir) {
    assert_eq!(results.total("agents"), 500);
    assert_eq!(results.total("initial"), 500);
    assert_eq!(results.total("agents_registered_peak"), 500);
    assert_eq!(results.total("agents_registered_at_end"), 500);
    assert_eq!(results.total("registered"), results.total("attempts"));
    let agents = results.table("agents.csv").rows;
    assert_eq!(agents.len(), 500);
    assert!(agents.iter().all(|row| row["final_status"] == "registered" && !row["first_registered"].is_empty()));
}

/// What one file says of the run, another must not contradict.
fn expect_the_files_to_agree(results: &ResultDir) {
    let thresholds = results.run["thresholds"].as_array().expect("a list").len();
    let junit = String::from_utf8(results.bytes("junit.xml")).expect("UTF-8");
    assert_eq!(junit.matches("<testcase").count(), thresholds, "junit.xml: a test case per threshold");
    assert!(!junit.contains("<failure"), "{junit}");

    let responses = results.table("responses.csv").rows;
    let ok = |kind: &str| -> u64 {
        let rows = responses.iter().filter(|row| row["kind"] == kind && row["code"] == "200");
        rows.map(|row| number(&row["count"]) as u64).sum()
    };
    assert_eq!(ok("initial") + ok("refresh") + ok("retry"), results.total("registered"), "responses.csv");

    let availability = results.table("availability.csv");
    for column in ["agent_minutes_planned", "agent_minutes_available"] {
        let (rows, total) = (availability.sum(column), results.number(&format!("/totals/{column}")));
        // Each row is rounded by itself.
        assert!((rows - total).abs() <= 0.01 * availability.rows.len() as f64, "{column}: {rows} and {total}");
    }
    assert_eq!(results.table("loops.csv").rows.len(), 0, "loops in a run without trouble");

    let summary: BTreeMap<String, String> = results
        .table("summary.csv")
        .rows
        .into_iter()
        .map(|row| (row["metric"].clone(), row["value"].clone()))
        .collect();
    assert!(!summary.is_empty(), "summary.csv is one page, not an empty one");
    let html = String::from_utf8(results.bytes("report.html")).expect("UTF-8");
    assert!(html.contains("content=\"default-src 'none'; "), "the page may reach for nothing");
    for outside in ["src=\"http", "href=\"http", "@import", "url(http"] {
        assert!(!html.contains(outside), "report.html reaches for the network: {outside}");
    }
    let hlog = String::from_utf8(results.bytes("latency.hlog")).expect("UTF-8");
    assert!(
        hlog.lines().any(|line| line.starts_with("Tag=") && line.contains("/register,")),
        "latency.hlog: {hlog:.200}"
    );
}
