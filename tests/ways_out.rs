//! Every way out of a run leaves nothing behind: whatever becomes of its standard error, its
//! terminal or its disk, the bindings it made are removed, and a cause is named.

mod support;

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::Duration;
use support::clock;
use support::program::{Regstorm, command, in_namespace, profile};
use support::results::ResultDir;
use support::secured::{Over, ReachedRegistrar};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);
const AGENTS: usize = 40;

/// 40 agents within 0.2 s, held for `hold`. How late they are on a busy machine is not what this is
/// about.
fn text(server: &ReachedRegistrar, hold: &str) -> String {
    format!(
        "[run]\nname = \"ways-out\"\nseed = 7\ninterval = \"200ms\"\ndrain = \"3s\"\n\n\
         [generator]\nlate = \"1s\"\nstall = \"5s\"\n\n\
         [[trunk]]\nid = \"nj\"\n{}\ndomain = \"a.test\"\n\
         agents = {{ count = {AGENTS}, user = \"u{{n}}\", password = \"secret\" }}\n\n\
         [[load]]\nrate = 200\nfor = \"200ms\"\n[[load]]\nhold = \"{hold}\"\n",
        server.trunk()
    )
}

/// The same way out with agents that speak UDP, and with agents that have a connection each.
fn each(leave: impl Fn(TempDir, ReachedRegistrar)) {
    for over in [Over::Udp, Over::Tls] {
        eprintln!("over {over:?}");
        leave(tempfile::tempdir().expect("a directory under /tmp"), ReachedRegistrar::start(over));
    }
}

fn everybody_is_bound(server: &ReachedRegistrar) {
    server.until("everybody is registered", LIMIT, |seen| seen.bound.len() == AGENTS);
}

#[track_caller]
fn nobody_is_left(server: &ReachedRegistrar) {
    let seen = server.seen();
    assert!(seen.accepted >= AGENTS as u64, "{} were registered", seen.accepted);
    assert!(seen.bound.is_empty(), "{} bindings are left", seen.bound.len());
}

#[test]
fn a_standard_error_that_is_gone_or_full_ends_nothing() {
    for (full, over) in [(false, Over::Udp), (true, Over::Udp), (false, Over::Tls), (true, Over::Tls)] {
        let (dir, server) = (tempfile::tempdir().expect("tempdir"), ReachedRegistrar::start(over));
        let file = profile(dir.path(), &text(&server, "1s"));
        let mut run = command(dir.path(), &["run", file, "--out", "out", "--live", "plain"]);
        let stderr = if full { File::create("/dev/full").expect("a device").into() } else { Stdio::piped() };
        let mut child = run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().expect("the binary");
        drop(child.stderr.take());
        let ended = clock::until("the run ends", LIMIT, || child.try_wait().expect("our own child"));
        assert_eq!(ended.code(), Some(0), "full: {full}");
        nobody_is_left(&server);
        assert_eq!(ResultDir::open(&dir.path().join("out")).text("/verdict"), "pass");
    }
}

#[test]
fn a_terminal_that_is_closed_ends_a_run_in_good_order() {
    each(|dir, server| {
        let file = profile(dir.path(), &text(&server, "1h"));
        // Whoever runs the tests may have told all of them to ignore it (`nohup`).
        let mut run = Command::new("env");
        run.current_dir(dir.path()).args(["--default-signal=HUP", env!("CARGO_BIN_EXE_regstorm")]);
        run.args(["run", file, "--out", "out", "--live", "plain"]);
        let run = Regstorm::start_with(run);
        everybody_is_bound(&server);
        run.signal("HUP");
        run.wait(LIMIT).expect_code(129);
        nobody_is_left(&server);
        assert_eq!(ResultDir::open(&dir.path().join("out")).text("/verdict"), "interrupted");
    });
}

#[test]
fn signals_that_come_together_are_one() {
    each(|dir, server| {
        let file = profile(dir.path(), &text(&server, "1h"));
        let run = Regstorm::start(dir.path(), &["run", file, "--out", "out", "--live", "plain"]);
        everybody_is_bound(&server);
        let pid = run.pid().to_string();
        // One process sends both, microseconds apart, as `timeout` does.
        let sent = Command::new("sh").args(["-c", "kill -TERM $0; kill -TERM $0; kill -INT $0", &pid]).status();
        assert!(sent.expect("a shell").success());
        let ended = run.wait(LIMIT);
        assert!(matches!(ended.status.code(), Some(130 | 143)), "{}", ended.status);
        nobody_is_left(&server);
    });
}

#[test]
fn a_record_that_cannot_be_written_ends_the_load_and_removes_the_bindings() {
    each(|dir, server| {
        let file = profile(dir.path(), &text(&server, "1h"));
        // The shell's file size limit stands for a full disk: 16 blocks of 512 bytes.
        let script = "trap '' XFSZ; ulimit -f 16; exec \"$0\" run \"$1\" --out out --live plain";
        let mut run = Command::new("sh");
        run.current_dir(dir.path()).args(["-c", script, env!("CARGO_BIN_EXE_regstorm"), file]);
        let ended = Regstorm::start_with(run).wait(LIMIT);
        ended.expect_code(3);
        assert!(ended.stderr().contains("the record cannot be written: File too large"), "{}", ended.stderr());
        nobody_is_left(&server);
        let files = fs::read_dir(dir.path().join("out")).expect("what there is of results");
        let names: Vec<_> = files.map(|file| file.expect("readable").file_name()).collect();
        assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{names:?}");
    });
}

/// A small file system that fills while the run goes on, and one that cannot be written to.
#[test]
fn a_disk_that_is_full_or_read_only_is_named_and_leaves_nobody() {
    each(|dir, server| {
        profile(dir.path(), &text(&server, "1h"));
        let run =
            "\"$REGSTORM\" run profile.toml --out disk/out --live plain > run.out 2> run.err < /dev/null; echo $?";
        let disk = "mkdir -p disk && mount -t tmpfs -o size=16k none disk || exit 77";
        let done = in_namespace("--mount", dir.path(), &format!("{disk}\n{run}")).expect("unshare");
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), "3", "{done:?}\n{}", read("run.err"));
        let said = read("run.err");
        assert!(said.contains("the record cannot be written: No space left on device"), "{said}");
        nobody_is_left(&server);

        let before = server.seen().requests;
        let read_only = format!("{disk}\nmount -o remount,ro disk || exit 77\n{run}");
        let done = in_namespace("--mount", dir.path(), &read_only).expect("unshare");
        let said = read("run.err");
        assert_ne!(String::from_utf8_lossy(&done.stdout).trim(), "0", "{done:?}\n{said}");
        assert!(said.contains("Read-only file system") && said.contains("disk/out"), "{said}");
        assert_eq!(server.seen().requests, before, "nobody is asked before it is known where results go");
    });
}

#[test]
fn a_result_directory_that_is_removed_is_made_again() {
    each(|dir, server| {
        let file = profile(dir.path(), &text(&server, "1s"));
        let run = Regstorm::start(dir.path(), &["run", file, "--out", "out", "--live", "off"]);
        everybody_is_bound(&server);
        fs::remove_dir_all(dir.path().join("out")).expect("the test's own directory");
        let ended = run.wait(LIMIT);
        ended.expect_code(0);
        assert!(ended.stderr().contains("out was removed while the run went on"), "{}", ended.stderr());
        nobody_is_left(&server);
        let results = ResultDir::open(&dir.path().join("out"));
        results.expect_balanced();
        assert_eq!((results.text("/verdict"), results.total("registered")), ("pass", AGENTS as u64));
    });
}

#[test]
fn a_terminal_that_takes_nothing_holds_up_no_end() {
    each(|dir, server| {
        profile(dir.path(), &text(&server, "1h"));
        // `script` is the terminal; stopped, it takes nothing more, as after Ctrl-S.
        let inner =
            format!("{} run profile.toml --out out --live tui & echo $! > pid; wait", env!("CARGO_BIN_EXE_regstorm"));
        let mut script = Command::new("script");
        script.current_dir(dir.path()).args(["--quiet", "--command", &inner, "/dev/null"]).env("TERM", "xterm");
        let terminal = Regstorm::start_with(script);
        everybody_is_bound(&server);
        let pid = fs::read_to_string(dir.path().join("pid")).expect("written before the run");
        let signal = |name: &str| Command::new("kill").args([name, pid.trim()]).status().expect("kill").success();
        terminal.signal("STOP");
        assert!(signal("-TERM"));
        clock::until("the results are written", LIMIT, || dir.path().join("out/run.json").exists().then_some(()));
        nobody_is_left(&server);
        assert_eq!(ResultDir::open(&dir.path().join("out")).text("/verdict"), "interrupted");
        // What is left to say can wait for ever; whoever asks twice is heard.
        clock::until("it ends at once when asked again", LIMIT, || (!signal("-TERM")).then_some(()));
        terminal.signal("CONT");
        terminal.wait(LIMIT);
    });
}

/// The window of a live screen is closed: the run ends in good order, or, where it was told to
/// ignore that (`nohup`), goes on without a screen, which does not try again and again.
#[test]
fn a_live_screen_whose_terminal_is_gone_ends_in_good_order() {
    for (ignored, hold, verdict) in [("", "1h", "interrupted"), ("trap '' HUP; ", "4s", "pass")] {
        let (dir, server) = (tempfile::tempdir().expect("a directory under /tmp"), ReachedRegistrar::start(Over::Udp));
        profile(dir.path(), &text(&server, hold));
        let program = env!("CARGO_BIN_EXE_regstorm");
        let reset = if ignored.is_empty() { "env --default-signal=HUP " } else { "" };
        let run = format!("{reset}{program} run profile.toml --out out --live tui");
        let inner = format!("{ignored}echo $$ > pid; exec {run} > run.out");
        let mut script = Command::new("script");
        script.current_dir(dir.path()).args(["--quiet", "--command", &inner, "/dev/null"]).env("TERM", "xterm");
        let terminal = Regstorm::start_with(script);
        everybody_is_bound(&server);
        terminal.signal("KILL");
        let pid = fs::read_to_string(dir.path().join("pid")).expect("written before the run");
        let stat = format!("/proc/{}/stat", pid.trim());
        // What nobody has waited for yet is a zombie.
        let alive = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z"));
        clock::until("it ends", LIMIT, || (!alive()).then_some(()));
        nobody_is_left(&server);
        let results = ResultDir::open(&dir.path().join("out"));
        assert_eq!(results.text("/verdict"), verdict, "{ignored}");
        let busy = results.number("/cpu/user_s") + results.number("/cpu/system_s");
        assert!(busy < results.number("/duration_s") / 2.0 + 1.0, "{ignored}: {busy} s of a processor");
    }
}

#[test]
fn nohup_is_obeyed() {
    each(|dir, server| {
        let file = profile(dir.path(), &text(&server, "2s"));
        let script = "trap '' HUP; exec \"$0\" run \"$1\" --out out --live plain";
        let mut run = Command::new("sh");
        run.current_dir(dir.path()).args(["-c", script, env!("CARGO_BIN_EXE_regstorm"), file]);
        let run = Regstorm::start_with(run);
        everybody_is_bound(&server);
        run.signal("HUP");
        run.wait(LIMIT).expect_code(0);
        nobody_is_left(&server);
    });
}

#[test]
fn a_search_for_limits_ends_soon_though_its_registrar_is_dead() {
    each(|dir, server| {
        let file = profile(dir.path(), &text(&server, "1s"));
        let search = Regstorm::start(dir.path(), &["limits", file, "--out", "out", "--only", "concurrent"]);
        server.until("some are registered", LIMIT, |seen| seen.bound.len() > 3);
        server.fall_silent(true);
        search.signal("TERM");
        // A second wish, more than a second later, is for an end at once.
        clock::let_pass(Duration::from_millis(1_100));
        search.signal("TERM");
        let ended = search.wait(Duration::from_secs(20));
        assert!(matches!(ended.status.code(), Some(143 | 3)), "{}\n{}", ended.status, ended.stderr());
        let said = ended.stdout() + &ended.stderr();
        assert!(said.contains("may still be registered") || said.contains("bindings may stay"), "{said}");
    });
}

/// Every other command that registers, told to end while an answer that binds somebody is on its
/// way, by the end of its terminal and by a polite request.
#[test]
fn whatever_registers_removes_what_it_bound_when_it_is_told_to_end() {
    let commands: [&[&str]; 4] = [
        &["limits", "profile.toml", "--out", "out", "--only", "concurrent"],
        &["watch", "profile.toml", "--every", "100ms"],
        &["preflight", "profile.toml"],
        &["diagnose", "--live", "profile.toml", "--rate", "20"],
    ];
    for (signal, code) in [("HUP", 129), ("TERM", 143)] {
        for args in commands {
            let dir = tempfile::tempdir().expect("tempdir");
            let (challenge, accept) = (Duration::from_millis(100), Duration::from_millis(300));
            let server = ReachedRegistrar::delaying(Over::Udp, challenge, accept);
            profile(dir.path(), &text(&server, "1s"));
            let mut begun = Command::new("env");
            begun.current_dir(dir.path()).args(["--default-signal=HUP", env!("CARGO_BIN_EXE_regstorm")]).args(args);
            let begun = Regstorm::start_with(begun);
            server.until("somebody is bound", LIMIT, |seen| !seen.bound.is_empty());
            begun.signal(signal);
            let ended = begun.wait(LIMIT);
            // A watch lasts until it is ended, and its status says whether every trunk was go.
            let code = if args[0] == "watch" { ended.status.code().filter(|code| *code <= 1) } else { Some(code) };
            assert!(code.is_some() && ended.status.code() == code, "{args:?}, {signal}: {ended:?}");
            let seen = server.seen();
            assert!(seen.accepted > 0 && seen.bound.is_empty(), "{args:?}, {signal}: {:?} are left", seen.bound);
        }
    }
}

/// Of a run that removes its bindings, of one that is told to leave them, and of one that is
/// killed.
#[test]
fn what_a_run_leaves_bound_is_told() {
    each(|dir, server| {
        let file = profile(dir.path(), &text(&server, "400ms"));
        let ended = Regstorm::run(dir.path(), &["run", file, "--out", "clean", "--live", "off"], LIMIT);
        assert!(!ended.expect_code(0).stdout().contains("left bound"), "{}", ended.stdout());
        assert_eq!(left(dir.path(), "clean"), (0.0, false));

        let args = ["run", file, "--out", "kept", "--live", "off", "--set", "run.unregister=false"];
        let ended = Regstorm::run(dir.path(), &args, LIMIT);
        let stdout = ended.expect_code(0).stdout();
        assert!(stdout.contains("left bound    40 bindings at the registrar; the last of them lapses by"), "{stdout}");
        assert_eq!(left(dir.path(), "kept"), (40.0, true));

        let run =
            Regstorm::start(dir.path(), &["run", file, "--out", "killed", "--live", "off", "--set", "load.1.hold=1h"]);
        clock::until("all of them are in the record", LIMIT, || {
            let so_far = Regstorm::run(dir.path(), &["report", "killed"], LIMIT);
            (so_far.status.success() && left(dir.path(), "killed") == (40.0, true)).then_some(())
        });
        run.signal("KILL");
        run.wait(LIMIT);
        let stdout = Regstorm::run(dir.path(), &["report", "killed"], LIMIT).expect_code(0).stdout();
        assert_eq!(left(dir.path(), "killed"), (40.0, true));
        assert!(stdout.contains("40 bindings at the registrar when the run was last heard of"), "{stdout}");
    });
}

/// How many bindings a result says are left, and whether it says until when.
fn left(dir: &std::path::Path, out: &str) -> (f64, bool) {
    let results = ResultDir::open(&dir.join(out));
    (results.number("/bindings_left/count"), results.run["bindings_left"]["lapsed_by"].is_string())
}

#[test]
fn a_sweep_says_what_it_cannot_do_and_sends_nothing_it_should_not() {
    each(|dir, server| {
        let file = profile(dir.path(), &text(&server, "400ms"));
        Regstorm::run(dir.path(), &["run", file, "--out", "clean", "--live", "off"], LIMIT).expect_code(0);
        let sweep = |args: &[&str]| Regstorm::run(dir.path(), &[&["sweep"], args].concat(), LIMIT);
        let before = server.seen().requests;
        let nothing = sweep(&["clean"]);
        assert!(nothing.expect_code(0).stderr().contains("the run removed every binding it knew of"));
        let other = sweep(&["clean", "--all", "--set", "trunk.0.agents.count=41"]);
        assert!(other.expect_code(2).stderr().contains("no longer means the agents of this run; nothing was sent"));
        let forbidden = sweep(&["clean", "--all", "--set", "safety.allow_targets=[\"192.0.2.0/24\"]"]);
        assert!(forbidden.expect_code(2).stderr().contains("not among the allowed targets"), "{}", forbidden.stderr());
        sweep(&["nowhere"]).expect_code(2);
        assert_eq!(server.seen().requests, before);
        server.fall_silent(true);
        let silent = sweep(&["clean", "--all", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&silent.expect_code(1).stdout()).expect("JSON");
        assert_eq!(json["clean"], false);
        assert_eq!(json["trunks"][0]["unasked"]["not answered"], AGENTS);
    });
}
