//! Behind a translator of addresses: two namespaces with a router between them that masquerades
//! (nftables) and forgets a flow after two seconds. Agents learn where they are seen and say so,
//! keep-alives keep the translation, and one that is forgotten is found.
//!
//! The networks are the test's own, so that no packet can leave the machine.

mod support;

use support::program::in_namespace;
use support::results::ResultDir;
use tempfile::TempDir;

/// `{keepalive}` and `{contact}` are replaced.
const INSIDE: &str = r#"
[run]
name = "nat"
interval = "1s"
seed = 1
drain = "3s"

# Whether this machine keeps its schedule is another matter.
[generator]
late = "10s"
stall = "10s"

[safety]
allow_targets = ["198.51.100.0/24"]

[[trunk]]
id = "far"
registrar = "sip:198.51.100.9:5060"
domain = "far.test"
expires = "8s"
contact = "{contact}"
keepalive = "{keepalive}"
sockets = "per-agent"
audit = 1.0
agents = { count = 20, user = "agent{n}", password = "secret" }

[[load]]
rate = 20
for = "1s"
[[load]]
hold = "11s"
"#;

/// The far end knows everybody.
const OUTSIDE: &str = r#"
[registrar]
listen = ["udp://198.51.100.9:5060"]
realm = "far.test"
password = "secret"
min_expires = "1s"
"#;

/// The phones' own namespace, the router's and the far end's.
const SCENE: &str = r#"
ip link set lo up
unshare --net sleep 600 & router=$!
unshare --net sleep 600 & far=$!
for peer in $router $far; do
    until [ "$(readlink /proc/$peer/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do kill -0 $peer || exit 77; done
done
router() { nsenter --target $router --net "$@"; }
far() { nsenter --target $far --net "$@"; }
ip link add v0 type veth peer name inner netns $router || exit 77
router ip link add outer type veth peer name v1 netns $far || exit 77
ip addr add 192.0.2.2/24 dev v0 && ip link set v0 up
router ip addr add 192.0.2.1/24 dev inner && router ip link set inner up
router ip addr add 198.51.100.1/24 dev outer && router ip link set outer up
far ip addr add 198.51.100.9/24 dev v1 && far ip link set v1 up && far ip link set lo up
ip route add default via 192.0.2.1 || exit 77
router nft 'add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; };
    add rule ip nat post oifname "outer" masquerade fully-random' || exit 77
router sh -c 'cd /proc/sys/net && echo 1 > ipv4/ip_forward && echo 2 > netfilter/nf_conntrack_udp_timeout &&
    echo 2 > netfilter/nf_conntrack_udp_timeout_stream' || exit 77
mkfifo ready
nsenter --target $far --net "$REGSTORM" registrar outside.toml > ready 2> registrar.txt & server=$!
read -r line < ready
for name in own kept forgotten; do
    "$REGSTORM" run $name.toml --yes --live off --out $name > $name.out 2> $name.err < /dev/null
    echo $? > $name.status
done
kill $server $router $far; wait
"#;

/// The three runs, by name.
fn runs() -> (TempDir, [ResultDir; 3]) {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("a file of ours");
    let inside =
        |contact: &str, keepalive: &str| INSIDE.replace("{contact}", contact).replace("{keepalive}", keepalive);
    write("outside.toml", OUTSIDE);
    write("own.toml", &inside("own", "1s"));
    write("kept.toml", &inside("learnt", "1s"));
    write("forgotten.toml", &inside("learnt", "0s"));
    let done = in_namespace("--net", dir.path(), SCENE);
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
    let results = ["own", "kept", "forgotten"].map(|name| {
        let shown = || format!("{done:?}\n{}\n{}", read(&format!("{name}.out")), read(&format!("{name}.err")));
        assert_eq!(read(&format!("{name}.status")).trim(), "0", "{}", shown());
        let results = ResultDir::open(&dir.path().join(name));
        results.expect_balanced();
        results
    });
    (dir, results)
}

/// How often something was said of the way requests take.
fn said(results: &ResultDir, what: &str) -> u64 {
    let all = results.run["trunks"][0]["routing"].as_array().cloned().unwrap_or_default();
    let mine = all.iter().filter(|row| row["what"] == what);
    mine.map(|row| row["count"].as_u64().expect("a number")).sum()
}

#[track_caller]
fn finds(results: &ResultDir, severity: &str, words: &str) {
    let findings = results.table("findings.csv").rows;
    let found = findings.iter().any(|row| {
        row["id"] == "nat.contact-rewritten" && row["severity"] == severity && row["summary"].contains(words)
    });
    assert!(found, "{severity} {words}: {findings:#?}");
}

#[test]
fn a_translated_contact_is_learnt_kept_and_missed_when_it_is_forgotten() {
    let (_dir, [own, kept, forgotten]) = runs();
    for results in [&own, &kept, &forgotten] {
        assert_eq!(results.number("/totals/agents_registered_at_end"), 20.0);
        assert!(results.number("/totals/refreshes") >= 20.0);
        let outcomes = &results.run["trunks"][0]["checks"]["audit"]["outcomes"];
        assert!(outcomes["held"].as_u64() >= Some(15) && outcomes["missing"].is_null(), "{outcomes}");
    }
    finds(&own, "info", "the Contact was left as it is");
    assert_eq!((said(&own, "learnt"), said(&own, "learnt_anew")), (0, 0));

    finds(&kept, "info", "which the Contact names");
    assert_eq!((said(&kept, "learnt"), said(&kept, "learnt_anew")), (20, 0), "keep-alives keep the translation");

    finds(&forgotten, "warning", "forgets flows between two requests");
    assert_eq!(said(&forgotten, "learnt"), 20);
    assert!(said(&forgotten, "learnt_anew") >= 20, "{:?}", forgotten.run["trunks"][0]["routing"]);
}
