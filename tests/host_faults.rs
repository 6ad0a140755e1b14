//! Faults of the host a run is on: its link, its address, its firewall, the queue of its interface,
//! a process that is stopped. They are told as the machine's own, whatever they cost, and nothing
//! of them is held against the server.
//!
//! Each network is two namespaces of the test's own with a pair of interfaces between them, so that
//! no packet can leave the machine.

mod support;

use std::path::Path;
use std::time::Duration;
use support::clock;
use support::program::{Regstorm, in_namespace, profile};
use support::results::{ResultDir, number};
use support::secured::{Over, ReachedRegistrar};
use support::shim::{Fault, Shim};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(120);

const FAR: &str = r#"
[run]
name = "host-faults"
interval = "500ms"
seed = 1
drain = "3s"

[safety]
allow_targets = ["192.0.2.0/24"]

[[trunk]]
id = "far"
registrar = "sip:192.0.2.2:5060"
domain = "far.test"
expires = "1h"
agents = { count = 200, user = "agent{n}", password = "secret" }
retry = { preset = "hammer", interval = "1s" }

[[load]]
rate = 40
for = "4s"
[[load]]
hold = "4s"
"#;

/// A registrar at the far end of a pair of interfaces; `grown 4` waits until so many intervals were
/// recorded.
const SCENE: &str = r#"
ip link set lo up
unshare --net sleep 600 & peer=$!
until [ "$(readlink /proc/$peer/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do kill -0 $peer || exit 77; done
ip link add v0 type veth peer name v1 netns $peer || exit 77
far() { nsenter --target $peer --net "$@"; }
ip addr add 192.0.2.1/24 dev v0 && ip link set v0 up
far ip addr add 192.0.2.2/24 dev v1 || exit 77
far ip link set v1 up
mkfifo ready
nsenter --target $peer --net "$REGSTORM" registrar --listen udp://192.0.2.2:5060 > ready 2> registrar.txt & server=$!
read -r line < ready
"$REGSTORM" run profile.toml --yes --live off --out out > run.out 2> run.err < /dev/null & run=$!
size() { stat -c %s out/record.bin 2>/dev/null || echo 0; }
grown() {
    left=$1 last=$(size)
    while [ $left -gt 0 ] && kill -0 $run 2>/dev/null; do
        now=$(size)
        [ "$now" = "$last" ] || { left=$((left - 1)) last=$now; }
        sleep 0.02
    done
}
grown 4
"#;

/// What a run says of whose network this script disturbed.
fn disturbed(script: &str) -> (TempDir, ResultDir) {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    profile(dir.path(), FAR);
    let script = format!("{SCENE}{script}\nwait $run; echo $? > status\nkill $server $peer; wait");
    let done = in_namespace("--net", dir.path(), &script);
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
    let shown = format!("{done:?}\n{}\n{}", read("run.out"), read("run.err"));
    assert_eq!(read("status").trim(), "3", "an invalid run, from a network of one's own: {shown}");
    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    (dir, results)
}

/// The run is invalid for this cause, and the server is said to be at no fault.
#[track_caller]
fn is_the_machines_own(results: &ResultDir, cause: &str) {
    assert_eq!(results.text("/verdict"), "invalid");
    let reasons = results.run["invalid_reasons"].to_string();
    assert!(reasons.contains("could not be sent, above 0.1 %") && reasons.contains(cause), "{reasons}");
    let findings = results.run["findings"].as_array().expect("a list");
    let ids: Vec<_> = findings.iter().map(|finding| finding["id"].as_str().expect("an id")).collect();
    assert_eq!(ids, ["generator.saturated"], "{findings:#?}");
    assert!(results.number("/totals/transport_error") > 0.0);
    assert_eq!(results.number("/totals/request_timeout"), 0.0);
    assert_eq!(results.number("/bindings_left/count"), 0.0, "each was removed");
}

#[test]
fn an_own_link_that_is_down_is_ours() {
    let (_dir, results) = disturbed("ip link set v0 down; grown 4; ip link set v0 up");
    is_the_machines_own(&results, "no route from this machine");
}

#[test]
fn an_own_address_that_is_removed_is_ours() {
    let (_dir, results) = disturbed("ip addr del 192.0.2.1/24 dev v0; grown 4; ip addr add 192.0.2.1/24 dev v0");
    is_the_machines_own(&results, "no route from this machine");
}

#[test]
fn an_own_firewall_is_ours() {
    let rule = "add table ip t; add chain ip t o { type filter hook output priority 0; policy accept; }; \
                add rule ip t o udp dport 5060 drop";
    let (_dir, results) = disturbed(&format!("nft \"{rule}\"; grown 4; nft flush ruleset"));
    is_the_machines_own(&results, "refused by the local firewall");
}

#[test]
fn a_queue_of_our_own_that_is_full_is_ours_and_nothing_spins() {
    let narrow = "tc qdisc replace dev v0 root tbf rate 8kbit burst 1600 limit 2000";
    let (_dir, results) = disturbed(&format!("{narrow}; grown 4; tc qdisc del dev v0 root"));
    is_the_machines_own(&results, "send buffer full");
    // A turn waits for a full queue a thousandth of a second, and not for each message.
    let busy: f64 = results.table("generator.csv").sum("cpu_s");
    assert!(busy < results.number("/duration_s") / 4.0, "{busy} s of a processor");
}

/// The far end tells of a closed port once a second at most (Linux: `icmp_ratelimit`), so most
/// requests seem to vanish. Nobody listens: nothing is said to be lost on the way.
#[test]
fn a_closed_port_that_is_seldom_told_of_is_no_packet_loss() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    // Who asks again does so for half a minute: a short T1 would be no phone's.
    let text = FAR.replace("count = 200", "count = 60").replace("drain = \"3s\"", "drain = \"40s\"");
    profile(dir.path(), &text.replace("[safety]", "[safety]\ncanary = false\nabort_on = {}"));
    let script = "kill $server; far sysctl -q -w net.ipv4.icmp_ratelimit=1000 net.ipv4.icmp_ratemask=6168 || exit 77";
    let scene = SCENE.replace("\"$REGSTORM\" run", &format!("{script}\n\"$REGSTORM\" run"));
    let script = format!("{scene}\nwait $run; echo $? > status\nkill $peer; wait");
    let done = in_namespace("--net", dir.path(), &script);
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
    assert!(!read("status").is_empty(), "{done:?}\n{}\n{}", read("run.out"), read("run.err"));
    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!(results.total("registered"), 0);
    assert!(results.total("request_timeout") > 0, "most are not told of");
    let findings = results.run["findings"].as_array().expect("a list");
    let ids: Vec<_> = findings.iter().map(|finding| finding["id"].as_str().expect("an id")).collect();
    assert!(ids.contains(&"no-response") && !ids.contains(&"packet-loss"), "{findings:#?}");
}

#[test]
fn a_process_that_is_stopped_loses_the_time_in_which_it_was() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let text = "[run]\nname = \"stopped\"\ninterval = \"500ms\"\nseed = 1\n\n\
        [[trunk]]\nid = \"lab\"\nregistrar = \"embedded\"\ndomain = \"a.test\"\nexpires = \"2s\"\n\
        agents = { count = 50, user = \"agent{n}\", password = \"secret\" }\n\n\
        [registrar]\nmin_expires = \"1s\"\n\n[[load]]\nrate = 100\nfor = \"500ms\"\n[[load]]\nhold = \"14s\"\n";
    let run = Regstorm::start(dir.path(), &["run", profile(dir.path(), text), "--out", "out", "--live", "off"]);
    let record = dir.path().join("out/record.bin");
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    let mut last = 0;
    for _ in 0..5 {
        last = clock::until("an interval is recorded", LIMIT, || Some(size(&record)).filter(|now| *now > last));
    }
    run.signal("STOP");
    clock::let_pass(Duration::from_secs(6));
    run.signal("CONT");
    run.wait(LIMIT);
    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    let reasons = results.run["generator"]["reasons"].to_string();
    assert!(reasons.contains("stood still for"), "{reasons}");
    assert_ne!(results.text("/generator/verdict"), "valid");
    // The bindings ended within two seconds, and each interval after that shows nobody.
    let rows = results.table("availability.csv").rows;
    let registered: Vec<f64> = rows.iter().map(|row| number(&row["agents_registered"])).collect();
    let empty: Vec<usize> = (0..rows.len()).filter(|&n| registered[n] == 0.0).collect();
    assert!(empty.len() >= 5, "{registered:?}");
    assert!(empty.windows(2).all(|pair| pair[1] == pair[0] + 1), "one gap: {registered:?}");
    let (first, last) = (empty[0], empty[empty.len() - 1]);
    assert!(first > 0 && registered[first - 1] > 0.0 && last + 1 < rows.len(), "not at the end: {registered:?}");
    assert!(rows[first + 1..last].iter().all(|row| number(&row["agent_minutes_available"]) == 0.0));
    assert_eq!(results.number("/bindings_left/count"), 0.0);
}

/// Forty agents that refresh every second or so, at a registrar of the test's own.
struct Shimmed {
    dir: TempDir,
    server: ReachedRegistrar,
    shim: Shim,
    run: Regstorm,
}

/// The same fault with agents that speak UDP, and with agents that have a connection each.
fn each(hit: impl Fn(Over)) {
    for over in [Over::Udp, Over::Tls] {
        eprintln!("over {over:?}");
        hit(over);
    }
}

/// Everybody is bound, and the load is held for `hold`.
fn shimmed(over: Over, hold: &str, interval: &str) -> Shimmed {
    let (dir, server) = (tempfile::tempdir().expect("a directory under /tmp"), ReachedRegistrar::start(over));
    let text = format!(
        "[run]\nname = \"shimmed\"\nseed = 7\ninterval = \"{interval}\"\ndrain = \"3s\"\nworkers = 2\n\n\
         [[trunk]]\nid = \"nj\"\n{}\ndomain = \"a.test\"\nexpires = \"2s\"\n\
         agents = {{ count = 40, user = \"u{{n}}\", password = \"secret\" }}\nretry = {{ preset = \"none\" }}\n\n\
         [[load]]\nrate = 200\nfor = \"200ms\"\n[[load]]\nhold = \"{hold}\"\n",
        server.trunk()
    );
    let args = ["run", profile(dir.path(), &text), "--out", "out", "--live", "plain"];
    let (shim, run) = Shim::start(dir.path(), &args);
    server.until("everybody is registered", LIMIT, |seen| seen.bound.len() == 40);
    Shimmed { dir, server, shim, run }
}

impl Shimmed {
    /// Waits until everybody has refreshed, and once more.
    fn everybody_refreshes(&self) {
        let so_far = self.server.seen().accepted;
        self.server.until("everybody refreshes", LIMIT, |seen| seen.accepted >= so_far + 80);
    }
}

/// Over datagrams only: a read of a connection that claims too much ends that connection alone.
#[test]
fn a_thread_that_panics_is_counted_and_the_others_say_goodbye() {
    let Shimmed { dir, server, shim, run } = shimmed(Over::Udp, "1h", "500ms");
    shim.set(Fault::Breaks, 1);
    let ended = run.wait(LIMIT);
    ended.expect_code(3);
    let results = ResultDir::open(&dir.path().join("out"));
    assert_eq!(results.text("/verdict"), "invalid");
    let reasons = results.run["invalid_reasons"].to_string();
    assert!(reasons.contains("a sender thread failed: it panicked"), "{reasons}");
    let seen = server.seen();
    assert!(seen.bound.is_empty(), "{:?} are left", seen.bound);
    assert_eq!(results.number("/bindings_left/count"), 0.0);
    let said = ended.stderr();
    assert!(said.contains("a sender thread was lost: asking the registrars"), "{said}");
    assert!(dir.path().join("out/report.html").exists());
}

#[test]
fn signals_and_the_schedule_wait_for_no_disk() {
    each(|over| {
        let shimmed = shimmed(over, "1h", "200ms");
        shimmed.shim.set(Fault::Hung, 1);
        shimmed.everybody_refreshes();
        clock::until("it is told", LIMIT, || {
            shimmed.run.stderr_so_far().contains("the disk or the terminal has taken nothing for").then_some(())
        });
        shimmed.everybody_refreshes();
        shimmed.run.signal("TERM");
        shimmed.server.until("everybody is removed", LIMIT, |seen| seen.bound.is_empty());
        assert!(!shimmed.dir.path().join("out/run.json").exists(), "the disk still hangs");
        shimmed.shim.set(Fault::Hung, 0);
        let Shimmed { dir, run, .. } = shimmed;
        run.wait(LIMIT).expect_code(143);
        let results = ResultDir::open(&dir.path().join("out"));
        results.expect_balanced();
        assert_eq!(results.text("/verdict"), "interrupted");
        assert_eq!(results.number("/bindings_left/count"), 0.0);
    });
}

#[test]
fn a_machine_that_was_suspended_makes_a_run_invalid() {
    each(|over| {
        let shimmed = shimmed(over, "3s", "500ms");
        shimmed.shim.set(Fault::Suspended, 7_000_000_000);
        let Shimmed { dir, run, .. } = shimmed;
        run.wait(LIMIT).expect_code(3);
        let results = ResultDir::open(&dir.path().join("out"));
        results.expect_balanced();
        assert_eq!(results.text("/generator/verdict"), "invalid");
        // Between two readings of the clock, another program may have the processor.
        let suspended = results.number("/generator/suspended_s");
        assert!((6.5..8.0).contains(&suspended), "{suspended}");
        let reasons = results.run["generator"]["reasons"].to_string();
        assert!(reasons.contains("this machine was suspended for 7s"), "{reasons}");
        let told = results.table("generator.csv").sum("suspended_s");
        assert!((told - suspended).abs() < 0.01, "{told}");
    });
}

#[test]
fn a_kernel_without_memory_for_a_read_is_asked_again() {
    let shimmed = shimmed(Over::Udp, "4s", "500ms");
    shimmed.shim.set(Fault::Scarce, 200);
    let Shimmed { dir, run, .. } = shimmed;
    let ended = run.wait(LIMIT);
    // On a busy machine attempts may begin late, which has nothing to do with it.
    assert!(matches!(ended.status.code(), Some(0 | 3)), "{ended:?}");
    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!(results.number("/generator/reads_refused"), 200.0);
    assert_eq!(results.number("/totals/transport_error"), 0.0);
    assert_eq!(results.total("registered"), results.total("attempts"), "nobody went without an answer");
    assert_eq!(results.number("/bindings_left/count"), 0.0);
}

#[test]
fn answers_stamped_before_their_requests_are_counted_and_not_believed() {
    each(|over| {
        let shimmed = shimmed(over, "4s", "500ms");
        shimmed.shim.set(Fault::Stamps, -5_000_000_000);
        shimmed.everybody_refreshes();
        let Shimmed { dir, run, .. } = shimmed;
        let ended = run.wait(LIMIT);
        assert!(matches!(ended.status.code(), Some(0 | 3)), "{ended:?}");
        let results = ResultDir::open(&dir.path().join("out"));
        results.expect_balanced();
        assert!(results.number("/generator/stamps_refused") >= 40.0);
        assert_ne!(results.text("/generator/verdict"), "valid");
        let reasons = results.run["generator"]["reasons"].to_string();
        assert!(reasons.contains("stamped with a time before the request"), "{reasons}");
        assert!(results.number("/latency_us/refresh/min") >= 10.0, "no answer comes at once");
        assert!(results.number("/totals/availability_pct") <= 100.0);
    });
}

#[test]
fn a_calendar_that_is_set_forward_and_back_changes_nothing_but_the_calendar() {
    each(|over| {
        let shimmed = shimmed(over, "1h", "500ms");
        for set in [3_600_000_000_000, -7_200_000_000_000, 0] {
            shimmed.shim.set(Fault::Wall, set);
            shimmed.everybody_refreshes();
        }
        shimmed.run.signal("TERM");
        let Shimmed { dir, run, .. } = shimmed;
        run.wait(LIMIT).expect_code(143);
        let results = ResultDir::open(&dir.path().join("out"));
        results.expect_balanced();
        assert_eq!(results.total("registered"), results.total("attempts"));
        assert!(results.number("/duration_s") < 600.0);
        assert!(results.number("/latency_us/refresh/max") < 60e6, "no hour in it");
        assert!(results.number("/generator/suspended_s") < 1.0, "nothing was suspended");
        let (started, ended) = (results.text("/started"), results.text("/ended"));
        assert!(started < ended && started[..10] <= ended[..10], "{started} {ended}");
    });
}

#[test]
fn memory_of_our_own_that_grows_is_a_drift_of_our_own() {
    each(|over| {
        let shimmed = shimmed(over, "12s", "500ms");
        shimmed.shim.set(Fault::Grow, 2 << 20);
        let Shimmed { dir, run, .. } = shimmed;
        let ended = run.wait(LIMIT);
        assert!(matches!(ended.status.code(), Some(0 | 1 | 3)), "{ended:?}");
        let results = ResultDir::open(&dir.path().join("out"));
        let findings = results.run["findings"].as_array().expect("a list");
        let own = findings.iter().find(|finding| finding["id"] == "drift" && finding["trunk_id"] == "");
        assert!(own.is_some_and(|own| own.to_string().contains("memory of regstorm itself")), "{findings:#?}");
    });
}
