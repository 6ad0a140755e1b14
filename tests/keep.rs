//! `run --keep N` as a nightly job uses it: runs of one name come and go in `results/`, everything
//! else stays.

mod support;

use std::path::Path;
use std::time::Duration;
use support::program::{Finished, Regstorm, in_namespace, profile};

const LIMIT: Duration = Duration::from_secs(60);

/// Never passes, however busy the machine: which runs passed is tested beside the code.
const NIGHTLY: &str = "[run]\nname = \"night ly\"\ninterval = \"1s\"\n[[trunk]]\nid = \"lab\"\nregistrar = \"embedded\"\n\
    domain = \"genesyscloud.test\"\nagents = { count = 5, user = \"agent{n:05}\", password = \"secret\" }\n\
    [[load]]\nrate = 100\nfor = \"50ms\"\n[thresholds]\nsuccess_ratio = \"< 0\"\n";

fn run(dir: &Path, more: &[&str]) -> Finished {
    let finished = Regstorm::run(dir, &[&["run", profile(dir, NIGHTLY)], more].concat(), LIMIT);
    assert!(matches!(finished.status.code(), Some(1 | 3)), "{finished:?}");
    finished
}

/// The runs in `results/`, without `latest`.
fn results(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir.join("results")).expect("a run was made");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8")).collect();
    names.retain(|name| name != "latest");
    names.sort();
    names
}

#[test]
fn old_runs_of_the_name_go_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let dir = dir.path();
    run(dir, &[]);
    let first = results(dir).remove(0);
    let renamed = "night-ly-20200101T000000Z";
    std::fs::rename(dir.join("results").join(&first), dir.join("results").join(renamed)).expect("our own directory");
    // Of other names, by the record or by the directory, and a rehearsal.
    for (name, out) in [("other", "other-20200101T000000Z"), ("night:ly", "night-ly-20200102T000000Z")] {
        run(dir, &["--set", &format!("run.name={name}"), "--out", &format!("results/{out}")]);
    }
    let rehearsal = ["simulate", "profile.toml", "--out", "results/night-ly-20200103T000000Z"];
    Regstorm::run(dir, &rehearsal, LIMIT).expect_code(1);
    let kept = run(dir, &["--keep", "2"]);
    assert!(!kept.stderr().contains("removed"), "{}", kept.stderr());
    assert_eq!(results(dir).len(), 5);
    let pruned = run(dir, &["--keep", "2", "--json"]);
    assert!(pruned.stderr().contains(&format!("removed results/{renamed} (--keep 2)\n")), "{}", pruned.stderr());
    let json: serde_json::Value = serde_json::from_slice(&pruned.stdout).expect("JSON alone on stdout");
    assert_eq!(json["verdict"] == "fail", pruned.status.code() == Some(1));
    let left = results(dir);
    assert_eq!(left.len(), 5, "{left:?}");
    assert!(!left.iter().any(|name| name == renamed), "{left:?}");
    let latest = std::fs::read_link(dir.join("results/latest")).expect("a link");
    assert!(dir.join("results").join(latest).join("run.json").exists());
}

#[test]
fn keep_makes_no_sense_without_a_number_or_elsewhere() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    for more in [&["--keep", "0"][..], &["--keep", "all"], &["--keep", "3", "--out", "elsewhere"]] {
        let args = [&["run", profile(dir.path(), NIGHTLY)], more].concat();
        Regstorm::run(dir.path(), &args, LIMIT).expect_code(2);
        assert!(!dir.path().join("elsewhere").exists() && !dir.path().join("results").exists());
    }
}

/// What somebody mounted inside an old result is not ours, and nothing of it goes.
#[test]
fn a_mount_inside_a_result_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let dir = dir.path();
    run(dir, &[]);
    let (first, old) = (results(dir).remove(0), "results/night-ly-20200101T000000Z");
    std::fs::rename(dir.join("results").join(&first), dir.join(old)).expect("our own directory");
    let script = format!(
        "mkdir {old}/notes && mount -t tmpfs none {old}/notes && echo kept > {old}/notes/record.bin || exit 77\n\
         \"$REGSTORM\" run profile.toml --keep 1 2> said\ncat {old}/notes/record.bin > left"
    );
    let done = in_namespace("--mount", dir, &script);
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
    assert_eq!(read("left"), "kept\n", "a mount of one's own is needed: {done:?} {}", read("said"));
    assert!(read("said").contains("night-ly-20200101T000000Z"), "{}", read("said"));
}
