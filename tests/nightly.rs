//! The nightly jobs in `docs/`: the systemd units as systemd reads them, and what both they and the
//! GitHub job run, run.
//!
//! `systemd-analyze` (Debian package systemd, installed by `tests/all`) judges the units; no unit
//! is started here.

mod support;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use support::program::command;

const SERVICE: &str = include_str!("../docs/systemd/regstorm@.service");
const TIMER: &str = include_str!("../docs/systemd/regstorm@.timer");
const WORKFLOW: &str = include_str!("../docs/github/regstorm-nightly.yml");

/// Where the units expect the program.
const INSTALLED: &str = "/usr/local/bin/regstorm";

/// A night of two seconds. Times on a machine that does other things at the same time differ from
/// night to night by more than chance, so they are not compared; that they can be is shown in
/// virtual time, in `compare.rs`.
fn profile(fault: &str) -> String {
    let times = ["register.p50", "register.p95", "register.p99", "availability_pct"];
    let compare: String = times.iter().map(|name| format!("\"{name}\" = \"off\"\n")).collect();
    format!(
        "[compare]\n{compare}[run]\nname = \"pilot\"\ninterval = \"1s\"\n[generator]\nlate = \"90ms\"\n[[trunk]]\nid = \"lab\"\nregistrar = \"embedded\"\n\
         domain = \"genesyscloud.test\"\nagents = {{ count = 100, user = \"agent{{n:05}}\", password = \"secret\" }}\n\
         [[load]]\nrate = 100\nfor = \"1s\"\n{fault}"
    )
}

fn temp() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory under /tmp")
}

/// The folder of the program under test.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_regstorm")).parent().expect("it lies in a folder").to_owned()
}

/// A script in `dir`, with the program under test first in its path.
fn script(dir: &Path, shell: &[&str], text: &str, environment: &[(&str, String)]) -> Output {
    let path = format!("{}:{}", folder().display(), std::env::var("PATH").expect("a path"));
    let mut run = Command::new(shell[0]);
    run.args(&shell[1..]).arg(text).current_dir(dir).env("PATH", path).stdin(Stdio::null());
    run.envs(environment.iter().map(|(name, value)| (name, value))).output().expect("a shell")
}

fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
}

fn verdict(dir: &Path) -> String {
    let json = std::fs::read(dir.join("results/latest/run.json")).expect("a run was made");
    let run: Value = serde_json::from_slice(&json).expect("JSON");
    run["verdict"].as_str().expect("a verdict").to_owned()
}

/// systemd's own opinion of the units, with the program under test in its place.
#[test]
fn systemd_takes_the_units_without_a_remark() {
    let dir = temp();
    let service = SERVICE.replace(INSTALLED, env!("CARGO_BIN_EXE_regstorm"));
    let verify = |service: &str| {
        for (name, text) in [("regstorm@pilot.service", service), ("regstorm@pilot.timer", TIMER)] {
            std::fs::write(dir.path().join(name), text).expect("the test's own directory");
        }
        let units = ["./regstorm@pilot.timer", "./regstorm@pilot.service"];
        let mut verify = Command::new("systemd-analyze");
        let said = verify.args(["verify", "--man=no"]).args(units).current_dir(dir.path()).output();
        let said = said.expect("systemd-analyze is installed (tests/all does it)");
        (said.status.success(), String::from_utf8_lossy(&said.stderr).into_owned())
    };
    assert_eq!(verify(&service), (true, String::new()));
    // It does look: a key that does not exist is remarked upon.
    assert!(verify(&service.replace("LockPersonality=", "LockPersonalities=")).1.contains("LockPersonalities"));
    let calendar = value_of(TIMER, "OnCalendar");
    let night = Command::new("systemd-analyze").args(["calendar", calendar]).output().expect("installed");
    assert!(night.status.success(), "{}", shown(&night));
}

/// The value of a unit's key.
#[track_caller]
fn value_of<'u>(unit: &'u str, key: &str) -> &'u str {
    let found = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {key} in the unit"))
}

#[test]
fn what_the_service_runs_prunes_compares_and_fails_a_worse_night() {
    let dir = temp();
    let line = |key: &str| {
        // On any free port, without waiting for a scraper that is not there.
        let line = value_of(SERVICE, key).replace("127.0.0.1:9464", "127.0.0.1:0 --metrics-linger 0s");
        line.replace(INSTALLED, "regstorm").replace("/etc/regstorm/%i.toml", "pilot.toml")
    };
    let night = |fault: &str, status: i32| {
        std::fs::write(dir.path().join("pilot.toml"), profile(fault)).expect("the test's own directory");
        let run = script(dir.path(), &["sh", "-c"], &line("ExecStart"), &[]);
        // A machine this busy may be too slow for a valid run; what the lines do is the same.
        assert!(run.status.code().is_some_and(|code| code == status || code == 3), "{}", shown(&run));
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(said.contains("metrics at http://127.0.0.1:"), "{said}");
        (verdict(dir.path()), script(dir.path(), &["sh", "-c"], &line("ExecStopPost"), &[]))
    };
    let (first, compared) = night("", 0);
    // Nothing to compare with is no failure of the first night.
    assert!(compared.status.success(), "{}", shown(&compared));
    let (second, compared) = night("", 0);
    assert!(compared.status.success(), "{}", shown(&compared));
    if [&first, &second] == ["pass", "pass"] {
        assert!(
            String::from_utf8_lossy(&compared.stdout).starts_with("no regression: pilot: "),
            "{}",
            shown(&compared)
        );
        assert!(dir.path().join("compare.html").exists());
    }
    let (third, compared) = night("[[registrar.fault]]\nkind = \"refuse\"\nshare = 0.5\n", 1);
    if second == "pass" && third == "fail" {
        assert_eq!(compared.status.code(), Some(1), "{}", shown(&compared));
        assert!(String::from_utf8_lossy(&compared.stdout).starts_with("regression: pilot: "), "{}", shown(&compared));
    }
}

/// A name and what stands for it.
type Named = (String, String);

/// The job's steps that run something, in order, and its environment.
fn steps(workflow: &Value) -> (Vec<Named>, Vec<Named>) {
    let job = &workflow["jobs"]["nightly"];
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let steps = job["steps"].as_array().expect("steps").iter();
    let runs = steps.filter(|step| step["run"].is_string()).map(|step| (text(&step["name"]), text(&step["run"])));
    let environment = job["env"].as_object().expect("an environment").iter();
    (runs.collect(), environment.map(|(name, value)| (name.clone(), text(value))).collect())
}

#[test]
fn the_github_job_is_a_workflow_and_its_steps_do_what_they_say() {
    let workflow: Value = serde_saphyr::from_str(WORKFLOW).expect("YAML");
    assert_eq!(workflow["on"]["schedule"][0]["cron"], "30 1 * * *");
    assert_eq!(workflow["permissions"], serde_json::json!({ "contents": "read" }));
    assert_eq!(workflow["concurrency"]["cancel-in-progress"], false, "a run that is cancelled leaves bindings behind");
    assert_eq!(workflow["defaults"]["run"]["shell"], "bash");
    for step in workflow["jobs"]["nightly"]["steps"].as_array().expect("steps") {
        assert!(step["uses"].is_string() != step["run"].is_string(), "{step:#}");
    }
    let (steps, environment) = steps(&workflow);
    let names: Vec<&str> = steps.iter().map(|(name, _)| name.as_str()).collect();
    let expected =
        ["Install regstorm", "Look before", "Run", "Compare with the last night that passed", "Say what happened"];
    assert_eq!(names, expected);

    let dir = temp();
    let pilot = environment.iter().find(|(name, _)| name == "PROFILE").expect("a profile").1.clone();
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(&pilot).exists(), "{pilot}");
    std::fs::create_dir(dir.path().join("profiles")).expect("the test's own directory");
    std::fs::write(dir.path().join(&pilot), profile("")).expect("the test's own directory");
    let summary = dir.path().join("summary.md");
    let environment = [("PROFILE", pilot), ("GITHUB_STEP_SUMMARY", summary.display().to_string())];
    for night in 1..=2 {
        // Installing is building, which this test has behind it.
        for (name, text) in &steps[1..] {
            let step =
                script(dir.path(), &["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"], text, &environment);
            let fine = step.status.success() || (name == "Run" && step.status.code() == Some(3));
            assert!(fine, "night {night}, {name}: {}", shown(&step));
        }
    }
    let told = std::fs::read_to_string(summary).expect("written by the last step");
    assert_eq!(told.matches("\nverdict ").count(), 2, "{told}");
    assert_eq!(told.matches("```").count(), 4, "{told}");
    let artefacts =
        workflow["jobs"]["nightly"]["steps"].as_array().and_then(|steps| steps.last()).expect("a last step");
    for path in artefacts["with"]["path"].as_str().expect("paths").lines() {
        let there = dir.path().join(path).exists() || verdict(dir.path()) != "pass";
        assert!(there, "{path} is uploaded and does not exist");
    }
}

/// The options the jobs use are options of the program, however the lines are changed one day.
#[test]
fn every_option_in_the_jobs_exists() {
    let dir = temp();
    let helps: String = ["run", "compare", "preflight", "report"]
        .iter()
        .map(|name| command(dir.path(), &[name, "--help"]).output().expect("the binary starts"))
        .map(|help| String::from_utf8_lossy(&help.stdout).into_owned())
        .collect();
    let regstorm =
        |line: &&str| line.contains("regstorm ") && !line.trim_start().starts_with('#') && !line.contains("cargo");
    let lines: Vec<&str> = SERVICE.lines().chain(WORKFLOW.lines()).filter(regstorm).collect();
    assert!(lines.len() >= 5, "{lines:?}");
    for option in lines.iter().flat_map(|line| line.split([' ', '\''])).filter(|word| word.starts_with("--")) {
        assert!(helps.contains(option), "{option}");
    }
}
