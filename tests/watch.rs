//! `regstorm watch` from the outside: lines, hooks and exit status as a trunk comes and goes.

mod support;

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::clock;
use support::program::{Finished, Regstorm, profile};

const LIMIT: Duration = Duration::from_secs(60);

fn temp() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory under /tmp")
}

fn watched(registrar: &str, fault: &str) -> String {
    format!(
        "[[trunk]]\nid = \"lab\"\nregistrar = \"{registrar}\"\ndomain = \"genesyscloud.test\"\n\
         agents = {{ count = 5, user = \"agent{{n:03}}\", password = \"secret\" }}\n{fault}"
    )
}

fn start(dir: &Path, text: &str, more: &[&str]) -> Regstorm {
    let args = [&["watch", profile(dir, text), "--every", "150ms", "--fail-after", "2", "--recover-after", "2"], more];
    Regstorm::start(dir, &args.concat())
}

/// The states printed so far, from whole lines.
fn states(said: &str) -> Vec<String> {
    let whole = said.rfind('\n').map_or("", |end| &said[..end]);
    whole.lines().filter_map(|line| line.split("  ").nth(2)).map(str::to_owned).collect()
}

/// The status agrees with the last change.
fn expect_status(finished: &Finished) {
    let last = states(&finished.stdout()).pop();
    finished.expect_code(if last.as_deref() == Some("go") { 0 } else { 1 });
}

#[test]
fn an_oscillating_trunk_goes_and_comes_with_a_hook_at_each_change() {
    let dir = temp();
    let fault = "[[registrar.fault]]\nkind = \"oscillate\"\nperiod = \"5s\"\ncode = 403\nreason = \"Not now\"\n";
    let hook = "echo \"$REGSTORM_TRUNK $REGSTORM_STATE $REGSTORM_CODE $REGSTORM_REASON\" >> hook.log";
    let watch = start(dir.path(), &watched("embedded", fault), &["--hook", hook]);
    clock::until("go, no-go and go again", LIMIT, || (states(&watch.stdout_so_far()).len() >= 3).then_some(()));
    watch.signal("INT");
    let finished = watch.wait(LIMIT);
    expect_status(&finished);
    let states = states(&finished.stdout());
    assert_eq!(states[..3], ["go", "no-go", "go"]);
    let lines: Vec<String> = finished.stdout().lines().map(str::to_owned).collect();
    assert!(lines[1].ends_with("  lab  no-go  403 Not now, after credentials (2 rounds in a row)"), "{}", lines[1]);
    assert!(lines[1].starts_with("20") && lines[1].split("  ").next().is_some_and(|time| time.ends_with('Z')));
    let told = std::fs::read_to_string(dir.path().join("hook.log")).expect("written by the hook");
    assert_eq!(told.lines().count(), states.len(), "one hook per change: {told}");
    assert_eq!(
        told.lines().take(2).collect::<Vec<_>>(),
        ["lab go 200 200 OK", "lab no-go 403 403 Not now, after credentials"]
    );
}

#[test]
fn it_ends_by_itself_and_leaves_no_binding() {
    let dir = temp();
    let registrar = Regstorm::start(dir.path(), &["registrar", "--listen", "udp://127.0.0.1:0"]);
    let address = clock::until("the registrar to listen", LIMIT, || {
        registrar.stdout_so_far().lines().find_map(|line| line.strip_prefix("listening udp://").map(str::to_owned))
    });
    let finished = start(dir.path(), &watched(&format!("sip:{address}"), ""), &["--for", "1s", "--json"]).wait(LIMIT);
    finished.expect_code(0);
    let lines: Vec<Value> =
        finished.stdout().lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(lines.len(), 1);
    assert_eq!((&lines[0]["trunk_id"], &lines[0]["state"]), (&"lab".into(), &"go".into()));
    registrar.signal("INT");
    let ended = registrar.wait(LIMIT);
    assert!(ended.stderr().contains("bindings now 0, at most 1"), "{}", ended.stderr());
}

/// A full disk takes neither lines nor metrics: that is the end of a watch, and no binding stays.
#[test]
fn what_cannot_be_written_ends_it_and_leaves_no_binding() {
    for script in ["exec \"$0\" \"$@\" > /dev/full", "exec \"$0\" \"$@\" --metric-file /proc/nowhere/go.prom"] {
        let dir = temp();
        let registrar = Regstorm::start(dir.path(), &["registrar", "--listen", "udp://127.0.0.1:0"]);
        let address = clock::until("the registrar to listen", LIMIT, || {
            registrar.stdout_so_far().lines().find_map(|line| line.strip_prefix("listening udp://").map(str::to_owned))
        });
        let file = profile(dir.path(), &watched(&format!("sip:{address}"), ""));
        let mut shell = Command::new("sh");
        shell.current_dir(dir.path()).args(["-c", script, env!("CARGO_BIN_EXE_regstorm"), "watch", file]);
        shell.args(["--every", "150ms"]);
        let finished = Regstorm::start_with(shell).wait(LIMIT);
        assert!(matches!(finished.status.code(), Some(2 | 3)), "{script}: {finished:?}");
        registrar.signal("INT");
        let ended = registrar.wait(LIMIT);
        assert!(ended.stderr().contains("bindings now 0, at most 1"), "{script}: {}", ended.stderr());
    }
}

#[test]
fn a_refused_or_nameless_trunk_is_no_go_and_says_so_at_the_end() {
    let dir = temp();
    let fault = "[[registrar.fault]]\nkind = \"deny\"\ncode = 403\nsources = [\"127.0.0.1\"]\n";
    for (text, reason) in [
        (watched("embedded", fault), "403 Forbidden, before any challenge"),
        (watched("sip:registrar.invalid", ""), "does not resolve"),
    ] {
        let watch = start(dir.path(), &text, &[]);
        clock::until("a change", LIMIT, || (!states(&watch.stdout_so_far()).is_empty()).then_some(()));
        watch.signal("TERM");
        let finished = watch.wait(LIMIT);
        finished.expect_code(1);
        assert_eq!(states(&finished.stdout()), ["no-go"]);
        assert!(finished.stdout().contains(reason), "{}", finished.stdout());
    }
}

#[test]
fn bad_durations_and_targets_are_refused_before_anything_is_sent() {
    let dir = temp();
    let text = watched("sip:192.0.2.1", "");
    for more in [&["--every", "often"][..], &["--for", "0s"], &["--fail-after", "0"], &[]] {
        let args = [&["watch", profile(dir.path(), &text)][..], more].concat();
        let finished = Regstorm::run(dir.path(), &args, LIMIT);
        finished.expect_code(2);
        assert!(finished.stdout.is_empty(), "{}", finished.stdout());
    }
}
