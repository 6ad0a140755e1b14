//! `[safety] abort_on`: a run that harms its registrar ends in good order, says why, and leaves
//! nothing behind.

mod support;

use regstorm::diagnose::metric::Metric;
use regstorm::diagnose::{AbortCondition, AbortWatch};
use regstorm::record::results::Host;
use regstorm::record::{Header, Results, Writer, read};
use regstorm::registrar::{FaultKind, LimitScope};
use regstorm::sim::World;
use std::path::Path;
use std::time::Duration;
use support::clock;
use support::program::{Regstorm, profile};
use support::results::ResultDir;
use support::world::{hammer, hold, rate, seconds, with_fault, world};

/// Shorter than the loads below, so that a run that is not stopped fails here.
const LIMIT: Duration = Duration::from_secs(50);

/// A minute of arrivals at a registrar, judged five times a second. What counts as late is
/// generous: these tests share the machine with each other.
fn storm(registrar: &str, safety: &str, further: &str) -> String {
    format!(
        "[run]\nname = \"storm\"\ninterval = \"200ms\"\nseed = 7\n\n[safety]\n{safety}\n\n\
         [[trunk]]\nid = \"lab\"\nregistrar = \"{registrar}\"\ndomain = \"genesyscloud.test\"\n\
         agents = {{ count = 3000, user = \"agent{{n:05}}\", password = \"secret\" }}\n\n\
         [[load]]\nrate = 50\nfor = \"60s\"\n\n[generator]\nlate = \"90ms\"\n\n{further}"
    )
}

/// Three of four agents are refused, the others register and must be gone at the end: the registrar
/// itself says so.
#[test]
fn a_registrar_that_refuses_most_is_left_alone_and_nothing_stays_behind() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let fault = "[[registrar.fault]]\nkind = \"refuse\"\ncode = 503\nshare = 0.75\n";
    let (registrar, address) = registrar(dir.path(), fault);
    let safety = "abort_on = { loops = \"> 100\", success_ratio = \"< 0.5\" }";
    let text = storm(&format!("sip:{address}"), safety, "[thresholds]\nattempts = \"> 0\"\n");
    let run = Regstorm::run(dir.path(), &["run", profile(dir.path(), &text), "--out", "out", "--live", "plain"], LIMIT);
    run.expect_code(1);

    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!(results.text("/verdict"), "fail");
    assert_eq!((results.text("/aborted/name"), results.text("/aborted/expr")), ("success_ratio", "< 0.5"));
    let ratio = results.number("/aborted/value");
    assert!((0.0..0.5).contains(&ratio), "{ratio}");
    assert!(results.text("/aborted/at") > results.text("/started"), "RFC 3339 sorts as text");
    assert!(results.total("attempts") >= 20, "a share of less says little");
    assert!(results.total("initial") < 3000, "the load was not ended");
    let doubts = results.run["generator"]["reasons"].to_string();
    assert!(!doubts.contains("never happened"), "what was not to happen is not missing: {doubts}");

    assert!(run.stderr().contains("stopped by abort_on: success_ratio < 0.5 (at "), "{}", run.stderr());
    assert!(run.stderr().contains("no new attempts; waiting for open attempts"), "{}", run.stderr());
    let verdict = run.stdout().lines().find(|line| line.starts_with("verdict")).map(str::to_owned);
    assert!(verdict.is_some_and(|line| line.contains("FAIL  Stopped after ") && line.contains(" by abort_on: ")));
    let junit = String::from_utf8(results.bytes("junit.xml")).expect("UTF-8");
    assert_eq!((junit.matches("<testcase").count(), junit.matches("<failure").count()), (2, 1), "{junit}");
    assert!(junit.contains("<failure type=\"abort_on\""), "{junit}");
    assert!(String::from_utf8(results.bytes("report.html")).expect("UTF-8").contains("by abort_on: "));

    assert!(results.total("registered") > 0, "some were to be removed");
    registrar.signal("INT");
    let account = registrar.wait(LIMIT);
    account.expect_code(0);
    assert!(account.stderr().contains(" bindings now 0, at most "), "{}", account.stderr());
    // The record remembers: what is rebuilt says the same.
    let before = results.bytes("run.json");
    Regstorm::run(dir.path(), &["report", "out"], LIMIT).expect_code(0);
    assert!(ResultDir::open(&dir.path().join("out")).bytes("run.json") == before, "run.json differs after `report`");
}

#[test]
fn a_trunk_may_have_a_condition_of_its_own() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let fault = "[[registrar.fault]]\nkind = \"refuse\"\ncode = 503\n";
    let text = storm("embedded", "abort_on = { \"trunk.lab.service_unavailable\" = \">= 1\" }", fault);
    let run = Regstorm::run(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"], LIMIT);
    run.expect_code(1);
    let results = ResultDir::open(&dir.path().join("out"));
    assert_eq!(results.text("/aborted/name"), "trunk.lab.service_unavailable");
    assert!(results.number("/aborted/value") >= 1.0);
    assert!(run.stdout().contains("trunk.lab.service_unavailable >= 1 (at "), "{}", run.stdout());
}

/// The first condition never holds. The second one does when the first interval is complete, which
/// is when the load is: nothing is left to end, and the run is judged by its thresholds.
#[test]
fn a_run_that_is_not_stopped_is_judged_as_ever() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let text = storm("embedded", "abort_on = { loops = \"> 0\", registered = \">= 10\" }", "");
    let text = text.replace("for = \"60s\"", "for = \"400ms\"").replace("\"200ms\"", "\"10s\"");
    let run = Regstorm::run(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"], LIMIT);
    run.expect_code(0);
    let results = ResultDir::open(&dir.path().join("out"));
    assert_eq!((results.text("/verdict"), results.total("registered")), ("pass", 20));
    assert!(results.run["aborted"].is_null());
    assert!(!run.stdout().contains("abort_on") && !run.stderr().contains("abort_on"), "{}", run.stdout());
}

/// A rehearsal ends where the run would, and its agents say goodbye as those of a run do.
#[test]
fn a_rehearsal_is_stopped_by_the_same_conditions() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let fault = "[[registrar.fault]]\nkind = \"refuse\"\ncode = 503\nshare = 0.75\nfrom = \"10s\"\n";
    let text = storm("embedded", "abort_on = { success_ratio = \"< 0.5\" }", fault);
    let run = Regstorm::run(dir.path(), &["simulate", profile(dir.path(), &text), "--out", "out"], LIMIT);
    run.expect_code(1);
    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!((results.text("/verdict"), results.text("/aborted/name")), ("fail", "success_ratio"));
    let initial = results.total("initial");
    assert!((1_000..2_900).contains(&initial), "refusals begin after 500 arrivals and outweigh them later: {initial}");
    assert!(run.stdout().contains("by abort_on: success_ratio < 0.5 (at "), "{}", run.stdout());

    // A condition that holds only with the load's last interval ends nothing.
    let text = storm("embedded", "abort_on = { registered = \">= 10\" }", "").replace("\"200ms\"", "\"60s\"");
    let run = Regstorm::run(dir.path(), &["simulate", profile(dir.path(), &text), "--out", "whole"], LIMIT);
    run.expect_code(0);
    let results = ResultDir::open(&dir.path().join("whole"));
    assert!(results.run["aborted"].is_null() && results.total("registered") == 3000, "{}", run.stdout());
}

#[test]
fn a_condition_that_cannot_be_judged_during_a_run_is_refused_before_it() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let text = storm("embedded", "abort_on = { \"register.p99\" = \"> 5s\" }", "");
    let run = Regstorm::run(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"], LIMIT);
    run.expect_code(2);
    for part in ["profile.toml:7:14: safety.abort_on.\"register.p99\": ", "cannot stop a run", "success_ratio, loops"] {
        assert!(run.stderr().contains(part), "{part} is missing in: {}", run.stderr());
    }
    assert!(!dir.path().join("out").exists(), "a refused profile leaves nothing behind");
}

/// What is judged while a run goes on is what its record says of the same intervals afterwards.
#[test]
fn a_condition_is_held_against_the_figures_of_the_record() {
    const AGENTS: u32 = 100;
    let limit = FaultKind::Limit {
        concurrent: 60,
        scope: LimitScope::Trunk,
        code: 403,
        reason: "Registration limit exceeded".into(),
    };
    let mut config = with_fault(world(AGENTS, vec![rate(20.0, 5), hold(600)]), limit);
    config.policies[0].retry = hammer(seconds(10));
    config.interval = seconds(7);
    let outcome = World::new(config).run();
    let load: Vec<_> = outcome.load().collect();
    let mut writer = Writer::new(Vec::new());
    writer.header(&header(AGENTS)).expect("a vector");
    load.iter().for_each(|interval| writer.interval(interval).expect("a vector"));
    let results: Results = read(&writer.into_inner()[..]).expect("our own record");
    assert!(results.totals.agents_looping > 0, "{:?}", results.totals.sums);

    let names = Metric::of_sums_names().filter(|name| AbortCondition::parse(name, "> 0", &[]).is_ok());
    for name in names.flat_map(|name| [name.to_owned(), format!("trunk.lab.{name}")]) {
        let plain = name.trim_start_matches("trunk.lab.");
        let metric = Metric::named(plain).expect("a metric");
        let value = metric.value(&results, &[], name.starts_with("trunk").then_some(0)).expect("measured");
        let condition = AbortCondition::parse(&name, &format!("== {value}"), &["lab"]).expect("a condition");
        let mut watch = AbortWatch::new(vec![condition], [u64::from(AGENTS)]);
        let held = load.iter().map(|interval| watch.interval(interval)).last().flatten();
        assert!(held.is_some_and(|aborted| aborted.value == value), "{name} is {value} in the record");
    }
}

/// As a record holds it: what a later version adds has its default.
fn header(agents: u32) -> Header {
    let users: Vec<String> = (0..agents).map(|n| format!("agent{n:05}")).collect();
    serde_json::from_value(serde_json::json!({
        "tool_version": "0.1.0", "name": "storm", "started_unix_ns": 0, "seed": 7, "interval_ns": 7_000_000_000_u64,
        "trunks": [{
            "id": "lab", "registrar": "embedded", "target": "127.0.0.1:5060", "transport": "UDP",
            "domain": "genesyscloud.test", "agents": agents, "expires_s": 600,
        }],
        "users": users, "agent_trunks": vec![0; agents as usize], "profile_json": "{}", "thresholds": [],
        "generator": { "late_ns": 0, "stall_ns": 0, "suspect_late": 0.001, "invalid_late": 0.05 },
        "host": Host::default(), "features": [], "arrivals_planned": agents, "workers": 2, "simulated": true,
    }))
    .expect("a header")
}

/// A registrar of its own process, and its address.
fn registrar(dir: &Path, text: &str) -> (Regstorm, String) {
    let registrar = Regstorm::start(dir, &["registrar", profile(dir, text)]);
    let address = clock::until("a socket to listen", LIMIT, || {
        let said = registrar.stdout_so_far();
        let line = said.lines().next().filter(|_| said.ends_with('\n'))?;
        Some(line.strip_prefix("listening udp://").expect("the documented line").to_owned())
    });
    (registrar, address)
}

/// Ten agents and a canary that no agent is.
fn beside(address: &str, hold: &str, more: &str) -> String {
    format!(
        "[run]\nname = \"beside\"\ninterval = \"1s\"\nseed = 7\n{more}\n[[trunk]]\nid = \"lab\"\nregistrar = \"sip:{address}\"\n\
         domain = \"genesyscloud.test\"\nagents = {{ count = 10, user = \"agent{{n:05}}\", password = \"secret\" }}\n\
         canary = {{ user = \"canary\", password = \"secret\" }}\n\
         [[load]]\nrate = 100\nfor = \"100ms\"\n[[load]]\nhold = \"{hold}\"\n"
    )
}

#[test]
fn a_canary_registers_beside_the_load_and_is_in_no_count_of_it() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let (registrar, address) = registrar(dir.path(), "");
    let more = "[safety]\nauthorised_by = \"J. Doe of Example Ltd\"\n[thresholds]\ncanary_failed = \"== 0\"\n";
    let text = beside(&address, "3s", more);
    let run = Regstorm::run(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"], LIMIT);
    assert!(matches!(run.status.code(), Some(0 | 3)), "{run:?}");
    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!((results.total("attempts"), results.total("agents"), results.total("registered")), (10, 10, 10));
    let checks = results.total("canary_checks");
    assert!(checks >= 2 && results.total("canary_failed") == 0, "{checks} checks");
    let rows = results.table("availability.csv");
    assert!(rows.sum("canary_checks") >= 2.0 && rows.sum("canary_failed") == 0.0);
    let says = format!("{checks} of {checks} checks beside the load registered; none failed");
    assert!(run.stdout().contains(&says), "{}", run.stdout());
    assert!(String::from_utf8(results.bytes("report.html")).expect("UTF-8").contains(&says));
    // Who agreed stands in the report.
    assert_eq!(results.text("/conditions/authorised_by"), "J. Doe of Example Ltd");
    assert!(String::from_utf8(results.bytes("report.html")).expect("UTF-8").contains("J. Doe of Example Ltd"));
    let csv = String::from_utf8(results.bytes("summary.csv")).expect("UTF-8");
    assert!(csv.contains("Checks of the canary that failed,0,checks"), "{csv}");
    registrar.signal("INT");
    let account = registrar.wait(LIMIT);
    assert!(account.stderr().contains(" bindings now 0, at most 11"), "{}", account.stderr());
}

/// The agents are bound and send nothing more; who is refused from the third second on is the
/// canary alone, and that is a sign of a ban.
#[test]
fn a_canary_that_is_shut_out_ends_the_load() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let fault = "[[registrar.fault]]\nkind = \"deny\"\ncode = 403\nsources = [\"127.0.0.1\"]\nfrom = \"3s\"\n";
    let (registrar, address) = registrar(dir.path(), fault);
    let abort = "[safety]\nabort_on = { canary_failed_in_a_row = \">= 3\" }\n";
    let text = beside(&address, "45s", abort);
    let run = Regstorm::run(dir.path(), &["run", profile(dir.path(), &text), "--out", "out", "--live", "plain"], LIMIT);
    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!(results.text("/aborted/name"), "canary_failed_in_a_row", "{}", run.stderr());
    assert_eq!((results.total("authentication_failed"), results.total("registration_rejected")), (0, 0));
    assert!(results.number("/totals/canary_failed_in_a_row") >= 3.0);
    assert!(results.number("/duration_s") < 45.0);
    let said = run.stderr();
    assert!(said.contains("trunk lab: the canary, canary, did not register: ") && said.contains("403"), "{said}");
    assert!(said.contains("stopped by abort_on: canary_failed_in_a_row >= 3"), "{said}");
    // What it was told is in the record, and so in whatever is made of that.
    let told = &results.run["canary"];
    assert_eq!(told.as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(
        (&told[0]["trunk_id"], &told[0]["user"], &told[0]["turn"]),
        (&"lab".into(), &"canary".into(), &"failed".into())
    );
    assert_eq!(told[0]["said"], "403 Forbidden, before any challenge");
    let again = Regstorm::run(dir.path(), &["report", "out"], LIMIT).expect_code(0).stdout();
    assert!(again.contains("one after another, first with 403 Forbidden, before any challenge"), "{again}");
    registrar.signal("INT");
    registrar.wait(LIMIT);
}
