//! A run that ends without a word: the kernel kills it because it wanted too much memory, or
//! somebody kills it. What it left is in its record, `report` says so and `sweep` removes it.

mod support;

use serde_json::Value;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;
use support::clock;
use support::memory_limit::MemoryLimit;
use support::program::{Regstorm, profile};
use support::results::ResultDir;
use support::shim::{Fault, Shim};

const LIMIT: Duration = Duration::from_secs(60);
const AGENTS: usize = 40;

/// A registrar that verifies digests and lists bindings, in a process of its own: it outlives the
/// run.
fn registrar(dir: &Path) -> (Regstorm, String) {
    let registrar = Regstorm::start(dir, &["registrar", "--listen", "udp://127.0.0.1:0"]);
    let address = clock::until("the registrar to listen", LIMIT, || {
        registrar.stdout_so_far().lines().find_map(|line| line.strip_prefix("listening udp://").map(str::to_owned))
    });
    (registrar, address)
}

fn held(dir: &Path, address: &str) -> &'static str {
    let text = format!(
        "[run]\nname = \"killed\"\nseed = 7\ninterval = \"200ms\"\n\n\
         [generator]\nlate = \"1s\"\nstall = \"5s\"\n\n\
         [[trunk]]\nid = \"nj\"\nregistrar = \"sip:{address}\"\ndomain = \"a.test\"\nexpires = \"1h\"\n\
         agents = {{ count = {AGENTS}, user = \"u{{n}}\", password = \"secret\" }}\n\n\
         [[load]]\nrate = 200\nfor = \"200ms\"\n[[load]]\nhold = \"1h\"\n"
    );
    profile(dir, &text)
}

fn left(dir: &Path) -> f64 {
    ResultDir::open(&dir.join("out")).number("/bindings_left/count")
}

/// Until everybody's binding stands in the record.
fn until_recorded(dir: &Path) {
    clock::until("all of them are in the record", LIMIT, || {
        let so_far = Regstorm::run(dir, &["report", "out"], LIMIT);
        (so_far.status.success() && left(dir) == AGENTS as f64).then_some(())
    });
}

/// What was killed is told of, in the summary, the page and `run.json`, and swept.
fn told_and_swept(dir: &Path, registrar: Regstorm) {
    let told = Regstorm::run(dir, &["report", "out"], LIMIT).expect_code(0).stdout();
    assert!(told.contains("The run was killed before its end"), "{told}");
    assert!(told.contains("40 bindings at the registrar when the run was last heard of"), "{told}");
    let results = ResultDir::open(&dir.join("out"));
    results.expect_balanced();
    assert_eq!((results.text("/verdict"), left(dir)), ("interrupted", AGENTS as f64));
    let page = std::fs::read_to_string(dir.join("out/report.html")).expect("rebuilt");
    assert!(page.contains("The run was killed before its end"), "the page says so");

    let swept = Regstorm::run(dir, &["sweep", "out", "--json"], LIMIT);
    let swept: Value = serde_json::from_str(&swept.expect_code(0).stdout()).expect("JSON");
    let trunk = &swept["trunks"][0];
    assert_eq!((&swept["clean"], &trunk["found"], &trunk["removed"]), (&true.into(), &AGENTS.into(), &AGENTS.into()));
    registrar.signal("INT");
    let ended = registrar.wait(LIMIT);
    assert!(ended.stderr().contains("bindings now 0, at most 40"), "{}", ended.stderr());
}

/// A thread that panics takes with it what its agents have bound, every second one's: the run asks
/// the registrar for that and removes it; told to leave bindings alone, it says so of all of them,
/// and they can be swept.
#[test]
fn what_a_lost_thread_had_bound_is_removed_or_told_and_swept() {
    for unregister in ["true", "false"] {
        let dir = tempfile::tempdir().expect("a directory under /tmp");
        let (registrar, address) = registrar(dir.path());
        let sets = ["--set".to_owned(), format!("run.unregister={unregister}"), "--set".into(), "run.workers=2".into()];
        let args = ["run", held(dir.path(), &address), "--out", "out", "--live", "plain"];
        // Refreshes bring the datagrams that the fault waits for.
        let lives = ["--set", "trunk.0.expires=5s"];
        let args: Vec<&str> = args.into_iter().chain(sets.iter().map(String::as_str)).chain(lives).collect();
        let (shim, run) = Shim::start(dir.path(), &args);
        until_recorded(dir.path());
        shim.set(Fault::Breaks, 1);
        let ended = run.wait(LIMIT);
        let said = ended.expect_code(3).stderr();
        let reasons = ResultDir::open(&dir.path().join("out")).run["invalid_reasons"].to_string();
        assert!(reasons.contains("a sender thread failed: it panicked"), "{reasons}");
        if unregister == "true" {
            assert!(said.contains("20 bindings of its agents removed, 0 may be left"), "{said}");
            assert_eq!(left(dir.path()), 0.0);
        } else {
            assert_eq!(left(dir.path()), AGENTS as f64);
            let swept = Regstorm::run(dir.path(), &["sweep", "out"], LIMIT).expect_code(0).stdout();
            assert!(swept.contains("40 agents looked up"), "{swept}");
        }
        registrar.signal("INT");
        let ended = registrar.wait(LIMIT);
        assert!(ended.stderr().contains("bindings now 0, at most 40"), "{}", ended.stderr());
    }
}

/// The program's memory is made to grow, in a control group that may have no more.
#[test]
fn a_run_that_the_kernel_kills_for_its_memory_is_told_and_swept() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let memory = MemoryLimit::of(128 << 20).unwrap_or_else(|why| panic!("THIS WAS NOT TESTED: {why}"));
    let (registrar, address) = registrar(dir.path());
    let args = ["run", held(dir.path(), &address), "--out", "out", "--live", "off"];
    let (shim, run) = Shim::start_within(dir.path(), &args, |command| memory.command(&command));
    until_recorded(dir.path());
    assert_eq!(memory.kills(), 0);
    shim.set(Fault::Grow, 16 << 20);
    let ended = run.wait(LIMIT);
    assert_eq!(ended.status.signal(), Some(9), "{ended:?}");
    assert_eq!(memory.kills(), 1, "it was the kernel");
    told_and_swept(dir.path(), registrar);
}

#[test]
fn a_run_that_somebody_kills_is_told_and_swept() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let (registrar, address) = registrar(dir.path());
    let run = Regstorm::start(dir.path(), &["run", held(dir.path(), &address), "--out", "out", "--live", "off"]);
    until_recorded(dir.path());
    run.signal("KILL");
    assert_eq!(run.wait(LIMIT).status.signal(), Some(9));
    told_and_swept(dir.path(), registrar);
}
