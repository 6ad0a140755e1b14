//! Before a registrar beyond this machine is loaded: the plan, a yes, one agent ahead of the
//! others.
//!
//! "Beyond this machine" is an address of documentation (RFC 5737) on the loopback interface of a
//! network namespace of the test's own, so that no packet can leave the machine. Where the kernel
//! gives no namespaces to whoever runs the tests, they say so and pass.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use support::program::{in_namespace, profile};

const PROFILE: &str = r#"
[run]
name = "beyond"
interval = "1s"
seed = 1

[safety]
allow_targets = ["192.0.2.1"]

[[trunk]]
id = "far"
registrar = "sip:192.0.2.1:5060"
domain = "far.test"
agents = { count = 60, user = "agent{n}", password = "secret" }
retry = { preset = "none" }

[[load]]
rate = 20
for = "3s"
"#;

/// What stands before each script: the address, and a registrar at it that is ready.
const SCENE: &str = r#"
ip link set lo up && ip addr add 192.0.2.1/32 dev lo || exit 77
mkfifo ready
"$REGSTORM" registrar --listen udp://192.0.2.1:5060 > ready 2> registrar.txt &
read -r line < ready
sent() { awk '/^Udp: [0-9]/ { print $5 }' /proc/net/snmp; }
step() { name=$1; shift; before=$(sent); "$REGSTORM" "$@" > "$name.out" 2> "$name.err" < /dev/null
         echo "$name $? $(($(sent) - before))" >> steps; }
"#;

/// Exit status and datagrams sent of each step, with what it said on stderr.
fn steps(dir: &Path, script: &str) -> BTreeMap<String, (i32, u64, String)> {
    let done = in_namespace("--net", dir, &format!("{SCENE}{script}\nkill $!; wait"));
    // Never passed over in silence: what is shown here is shown nowhere else.
    let steps = std::fs::read_to_string(dir.join("steps")).unwrap_or_else(|_| {
        panic!("a network namespace of one's own is needed (as root, or with user namespaces): {done:?}")
    });
    let step = |line: &str| {
        let mut words = line.split(' ');
        let name = words.next().expect("a name").to_owned();
        let (code, sent) = (words.next().expect("a status"), words.next().expect("a count"));
        let said = std::fs::read_to_string(dir.join(format!("{name}.err"))).expect("written by the script");
        (name, (code.parse().expect("a status"), sent.parse().expect("a count"), said))
    };
    steps.lines().map(step).collect()
}

#[test]
fn a_registrar_beyond_this_machine_is_approached_with_care() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    profile(dir.path(), PROFILE);
    let script = r#"
step unasked run profile.toml --live off --out a
step agreed run profile.toml --live plain --out b --yes
step wrong run profile.toml --live off --out c --yes --set trunk.0.agents.password=wrong
step rash run profile.toml --live off --out d --yes --set trunk.0.agents.password=wrong --set safety.canary=false
step reckless run profile.toml --live off --out e --yes --set trunk.0.agents.password=wrong --set safety.canary=false --set safety.abort_on={}
step search limits profile.toml --live off --out f --yes
step unasked_search limits profile.toml --live off --out g --set safety.limits=true
step gentle preflight profile.toml
"#;
    let steps = steps(dir.path(), script);
    let (code, sent, said) = &steps["unasked"];
    assert_eq!((*code, *sent), (2, 0), "{said}");
    assert!(said.contains("--yes") && said.contains("nothing was sent"), "{said}");
    let (code, _, said) = &steps["agreed"];
    assert_eq!(*code, 0, "{said}");
    for part in ["beyond this machine", "60 agents", "192.0.2.1:5060", "afterwards", "authentication_failed > 20"] {
        assert!(said.contains(part), "{part} is missing in: {said}");
    }
    let (code, sent, said) = &steps["wrong"];
    assert_eq!(*code, 3, "{said}");
    assert!(said.contains("agent0, did not register") && said.contains("canary = false"), "{said}");
    // The registrar answers from the same machine: twice what one refused agent sends.
    assert!((2..=6).contains(sent), "{sent} datagrams: {said}");
    let attempts = |out: &str| {
        let run = std::fs::read(dir.path().join(out).join("run.json")).expect("a run");
        let run: serde_json::Value = serde_json::from_slice(&run).expect("JSON");
        (run["totals"]["attempts"].as_u64().expect("a count"), run["aborted"]["name"].as_str().map(str::to_owned))
    };
    assert_eq!(steps["rash"].0, 1, "{}", steps["rash"].2);
    let (rash, aborted) = attempts("d");
    assert!(rash < 60 && aborted.as_deref() == Some("authentication_failed"), "{rash} attempts, {aborted:?}");
    assert_eq!(attempts("e"), (60, None), "{}", steps["reckless"].2);
    for (name, part) in [("search", "safety.limits=true"), ("unasked_search", "--yes")] {
        let (code, sent, said) = &steps[name];
        assert_eq!((*code, *sent), (2, 0), "{said}");
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(steps["gentle"].0, 0, "{}", steps["gentle"].2);
}
