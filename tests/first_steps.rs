//! The first five minutes: where to start, a first profile, what a profile means, and the profiles
//! that come with the program.

mod support;

use regstorm::command::source::DiskSource;
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use support::program::{Finished, Regstorm, command, profile};
use support::results::ResultDir;

const LIMIT: Duration = Duration::from_secs(60);

fn regstorm(dir: &Path, args: &[&str]) -> Finished {
    Regstorm::run(dir, args, LIMIT)
}

fn temp() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory under /tmp")
}

#[test]
fn called_without_anything_it_says_where_to_start() {
    let dir = temp();
    let bare = regstorm(dir.path(), &[]);
    bare.expect_code(2);
    for part in ["regstorm run @pilot", "regstorm init", "regstorm check", "Usage"] {
        assert!(bare.stderr().contains(part), "{part} is missing in: {}", bare.stderr());
    }
}

#[test]
fn a_mistyped_command_is_not_answered_with_a_search_for_limits() {
    let dir = temp();
    for typed in ["limit", "lim", "limts"] {
        let finished = regstorm(dir.path(), &[typed]);
        finished.expect_code(2);
        assert!(!finished.stderr().contains("limits"), "{}", finished.stderr());
    }
}

/// Every form of registrar and users: what init writes can be used as it is, with the password set.
#[test]
fn what_init_writes_can_be_used() {
    let dir = temp();
    std::fs::write(dir.path().join("users.csv"), "user;password\nalice;p1\nbob;p2\n").expect("writable");
    std::fs::write(dir.path().join("names.csv"), "user\nalice\nbob\n").expect("writable");
    let cases: [(&[&str], &str); 6] = [
        (&["--yes"], "registrar = \"embedded\""),
        (&["--registrar", "127.0.0.1"], "allow_targets    = [\"127.0.0.1\"]"),
        (&["--registrar", "127.0.0.1:5070", "--transport", "tcp"], "sip:127.0.0.1:5070;transport=tcp"),
        (&["--registrar", "sip:[::1]", "--domain", "lab.example"], "domain    = \"lab.example\""),
        (&["--registrar", "127.0.0.1", "--users", "users.csv"], "agents    = { csv = \"users.csv\" }"),
        (&["--registrar", "127.0.0.1", "--users", "names.csv", "--password-env", "PW"], "password_env = \"PW\" }"),
    ];
    for (n, (options, part)) in cases.iter().enumerate() {
        let file = format!("lab{n}.toml");
        let written = regstorm(dir.path(), &[&["init", &file], *options].concat());
        written.expect_code(0);
        assert_eq!(written.stdout(), format!("next: regstorm preflight {file}\n"));
        let text = std::fs::read_to_string(dir.path().join(&file)).expect("written");
        assert!(text.contains(part), "{part} is missing in:\n{text}");
        for key in ["allow_targets", "abort_on", "[thresholds]"] {
            assert!(text.contains(key), "{key} is missing in:\n{text}");
        }
        let mut check = command(dir.path(), &["check", &file]);
        check.env("SIP_PASSWORD", "hunter2").env("PW", "hunter2");
        let checked = Regstorm::start_with(check).wait(LIMIT);
        checked.expect_code(0);
        assert!(!checked.stdout().contains("hunter2"), "{}", checked.stdout());
        assert!(checked.stdout().contains("nothing was sent"), "{}", checked.stdout());
    }
}

#[test]
fn init_overwrites_nothing_and_guesses_no_registrar() {
    let dir = temp();
    std::fs::write(dir.path().join("regstorm.toml"), "# mine").expect("writable");
    let refused = regstorm(dir.path(), &["init", "--yes"]);
    refused.expect_code(2);
    assert!(refused.stderr().contains("already there"), "{}", refused.stderr());
    assert_eq!(std::fs::read_to_string(dir.path().join("regstorm.toml")).expect("there"), "# mine");
    regstorm(dir.path(), &["init", "--yes", "--force"]).expect_code(0);
    let unasked = regstorm(dir.path(), &["init", "other.toml"]);
    unasked.expect_code(2);
    assert!(unasked.stderr().contains("--registrar"), "{}", unasked.stderr());
    assert!(!dir.path().join("other.toml").exists());
    let nonsense = regstorm(dir.path(), &["init", "other.toml", "--registrar", "sip:"]);
    nonsense.expect_code(2);
}

#[test]
fn the_first_profile_of_init_rehearses() {
    let dir = temp();
    regstorm(dir.path(), &["init", "first.toml", "--registrar", "127.0.0.1"]).expect_code(0);
    let mut rehearsal = command(dir.path(), &["simulate", "first.toml", "--out", "out"]);
    rehearsal.env("SIP_PASSWORD", "hunter2");
    Regstorm::start_with(rehearsal).wait(LIMIT).expect_code(0);
    assert_eq!(ResultDir::open(&dir.path().join("out")).total("registered"), 10);
}

#[test]
fn check_says_what_is_meant_and_what_is_doubtful() {
    let dir = temp();
    let text = "[run]\nname = \"doubtful\"\n[[trunk]]\nid = \"t\"\nregistrar = \"sip:192.0.2.1\"\ndomain = \"d.test\"\n\
                agents = { count = 3, user = \"a{n}\", password = \" hunter2\" }\n[[load]]\nrate = 1\nfor = \"3s\"\n\
                [thresholds]\n\"refresh.p99\" = \"< 1s\"\n\"connect.p99\" = \"< 1s\"\n";
    let file = profile(dir.path(), text);
    let checked = regstorm(dir.path(), &["check", file]);
    checked.expect_code(0);
    // Broken between words where the line was full.
    let said = checked.stdout().split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "doubtful: 3 agents",
        "threshold refresh.p99: nothing will be measured: the load lasts 3s",
        "threshold connect.p99: nothing will be measured: over UDP",
        "password begins or ends with a blank",
        "refresh_at = 0.9",
        "password = \"***\"",
    ] {
        assert!(said.contains(part), "{part} is missing in: {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
    let json = regstorm(dir.path(), &["check", file, "--json"]);
    let document: Value = serde_json::from_slice(&json.stdout).expect("JSON on stdout");
    assert_eq!(document["profile"]["run"]["name"], "doubtful");
    assert_eq!(document["warnings"].as_array().map(Vec::len), Some(2), "{document}");
    assert_eq!(document["doubts"][0]["field"], "password");
    let broken = regstorm(dir.path(), &["check", file, "--set", "trunk.0.registrar=embeded"]);
    broken.expect_code(2);
    assert!(broken.stderr().contains("did you mean \"embedded\"?"), "{}", broken.stderr());
}

#[test]
fn the_profiles_that_come_with_it_are_listed_printed_and_run() {
    let dir = temp();
    let list = regstorm(dir.path(), &["profiles"]);
    list.expect_code(0);
    assert!(list.stdout().contains("@pilot"), "{}", list.stdout());
    let shipped = regstorm(dir.path(), &["profiles", "pilot"]);
    assert_eq!(shipped.stdout(), include_str!("../profiles/pilot.toml"));
    let args =
        ["run", "@pilot", "--set", "trunk.0.agents.count=3", "--set", "load=[{rate=10,for='1s'}]", "--out", "out"];
    regstorm(dir.path(), &args).expect_code(0);
    let wrong = regstorm(dir.path(), &["run", "@pilto"]);
    wrong.expect_code(2);
    assert!(wrong.stderr().contains("@pilot"), "{}", wrong.stderr());
    let json = regstorm(dir.path(), &["profiles", "--json"]);
    let document: Value = serde_json::from_slice(&json.stdout).expect("JSON on stdout");
    for one in document.as_array().expect("a list") {
        let name = format!("@{}", one["name"].as_str().expect("a name"));
        regstorm::profile::load(&DiskSource, &name, &[]).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn a_profile_may_come_from_standard_input() {
    let dir = temp();
    let mut child = command(dir.path(), &["simulate", "-", "--out", "out"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary under test can be started");
    let text = "[[trunk]]\nid = \"t\"\nregistrar = \"embedded\"\ndomain = \"d.test\"\n\
                agents = { count = 2, user = \"a{n}\", password = \"p\" }\n[[load]]\nrate = 2\nfor = \"1s\"\n";
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
    let done = child.wait_with_output().expect("it ends");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(ResultDir::open(&dir.path().join("out")).total("registered"), 2);
}

/// A directory, a file or nothing where another kind of thing is wanted: said in words, and with
/// what to give instead.
#[test]
fn the_wrong_kind_of_file_is_said_in_words() {
    let dir = temp();
    let runs = dir.path().join("results/x-1");
    std::fs::create_dir_all(&runs).expect("writable");
    std::fs::write(runs.join("record.bin"), "").expect("writable");
    let file = profile(dir.path(), "");
    let cases: [(&[&str], &str); 8] = [
        (&["run", "results"], "it is a directory, not a file"),
        (&["run", "profile.toml/x"], "a part of the path is a file"),
        (&["report", file], "it is a file; a result directory is wanted"),
        (&["report", "results"], "it holds 1 run, for example results/x-1"),
        (&["report", "."], "it is no result directory"),
        (&["diagnose", "results"], "it holds 1 run"),
        (&["diagnose", file], "this looks like a profile"),
        (&["compare", "results", "results"], "it holds 1 run"),
    ];
    for (args, part) in cases {
        let finished = regstorm(dir.path(), args);
        assert!(finished.stderr().contains(part), "{args:?}: {}", finished.stderr());
        assert!(!finished.stderr().contains("os error"), "{args:?}: {}", finished.stderr());
    }
}

/// A rehearsal that is stopped writes what it has and says so; it leaves no lone record.
#[test]
fn a_rehearsal_that_is_stopped_writes_what_it_has() {
    let dir = temp();
    let text = "[run]\ninterval = \"1s\"\n[[trunk]]\nid = \"t\"\nregistrar = \"embedded\"\ndomain = \"d.test\"\n\
                expires = \"10s\"\nagents = { count = 500, user = \"a{n}\", password = \"p\" }\n\
                [[load]]\nrate = 100\nfor = \"5s\"\n[[load]]\nhold = \"2000h\"\n";
    let running = Regstorm::start(dir.path(), &["simulate", profile(dir.path(), text), "--out", "out"]);
    let record = dir.path().join("out/record.bin");
    // Listening began before the first interval was recorded.
    support::clock::until("some intervals", LIMIT, || {
        std::fs::metadata(&record).ok().filter(|file| file.len() > 20_000)
    });
    running.signal("INT");
    let finished = running.wait(LIMIT);
    finished.expect_code(130);
    assert!(finished.stderr().contains("interrupted"), "{}", finished.stderr());
    assert_eq!(ResultDir::open(&dir.path().join("out")).text("/verdict"), "interrupted");
}
