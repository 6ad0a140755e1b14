//! Commands that a profile or an option names (`--hook`, `[[truth]]`): none of them, and nothing
//! that they started, outlives regstorm, however that ends.

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;
use support::clock;
use support::program::{Regstorm, profile};

const LIMIT: Duration = Duration::from_secs(60);

const TRUNK: &str = "[[trunk]]\nid = \"lab\"\nregistrar = \"embedded\"\ndomain = \"a.test\"\n\
     agents = { count = 5, user = \"agent{n}\", password = \"secret\" }\n";

/// Starts something that goes on for ten minutes, names it and waits for it.
const HANGS: &str = "sleep 600 & echo $! > pid.new; mv pid.new pid; wait";

/// The process that is named, once it is.
fn started(dir: &Path) -> String {
    let named = clock::until("the command to start something", LIMIT, || fs::read_to_string(dir.join("pid")).ok());
    let pid = named.trim().to_owned();
    assert!(is_alive(&pid), "{pid}");
    pid
}

fn is_alive(pid: &str) -> bool {
    // What nobody has waited for yet is a zombie.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
}

fn is_gone(pid: &str) {
    clock::until("what the command started to end", LIMIT, || (!is_alive(pid)).then_some(()));
}

#[test]
fn a_watch_that_is_told_twice_to_end_ends_its_hook() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let args = ["watch", profile(dir.path(), TRUNK), "--every", "100ms", "--hook", HANGS];
    let watch = Regstorm::start(dir.path(), &args);
    let pid = started(dir.path());
    watch.signal("TERM");
    // A second wish, more than a second later, is for an end at once.
    clock::let_pass(Duration::from_millis(1_100));
    watch.signal("TERM");
    watch.wait(Duration::from_secs(15)).expect_code(143);
    is_gone(&pid);
}

/// What is killed can end nothing any more: the kernel ends the command.
#[test]
fn a_watch_that_is_killed_takes_its_hook_along() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let hook = "echo $$ > pid.new; mv pid.new pid; exec sleep 600";
    let args = ["watch", profile(dir.path(), TRUNK), "--every", "100ms", "--hook", hook];
    let watch = Regstorm::start(dir.path(), &args);
    let pid = started(dir.path());
    watch.signal("KILL");
    watch.wait(LIMIT);
    is_gone(&pid);
}

/// A question that hangs is waited for no longer than an answer may take, and not by the run.
#[test]
fn a_run_that_is_over_ends_the_question_that_still_hangs() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    // The first answer comes at once: later ones never do.
    let command = format!("if [ -e asked ]; then {HANGS}; else touch asked; echo 0; fi");
    let text = format!(
        "[run]\nname = \"orphans\"\ninterval = \"200ms\"\n\n{TRUNK}\n\
         [[truth]]\nkind = \"exec\"\ncommand = '''{command}'''\nevery = \"1s\"\n\n\
         [[load]]\nrate = 10\nfor = \"500ms\"\n[[load]]\nhold = \"1h\"\n"
    );
    let run = Regstorm::start(dir.path(), &["run", profile(dir.path(), &text), "--out", "out", "--live", "off"]);
    let pid = started(dir.path());
    run.signal("TERM");
    run.wait(LIMIT).expect_code(143);
    is_gone(&pid);
}
