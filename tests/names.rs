//! Names as RFC 3263 has it, against a real name server: which questions are asked, whom packets go
//! to, and what is told of it.

mod support;

use serde_json::Value;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;
use support::clock;
use support::dns::Dnsmasq;
use support::program::{Finished, Regstorm, profile};
use support::results::ResultDir;

/// Long against everything here, short against a hang.
const LIMIT: Duration = Duration::from_secs(90);

fn temp() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory under /tmp")
}

/// A registrar of ours as a process of its own.
struct OwnRegistrar {
    process: Regstorm,
    address: SocketAddr,
}

impl OwnRegistrar {
    fn start(dir: &Path, listen: &str) -> OwnRegistrar {
        let process = Regstorm::start(dir, &["registrar", "--listen", listen]);
        let address = clock::until("the registrar to listen", LIMIT, || {
            let said = process.stdout_so_far();
            said.lines().find_map(|line| line.strip_prefix("listening ")?.split_once("://")?.1.parse().ok())
        });
        OwnRegistrar { process, address }
    }

    /// The line of `srv-host` that leads here.
    fn srv(&self, service: &str, host: &str, priority: u16, weight: u16) -> String {
        format!("srv-host={service}.d.test,{host}.d.test,{},{priority},{weight}", self.address.port())
    }
}

fn host(name: &str, address: &str) -> String {
    format!("host-record={name}.d.test,{address}")
}

fn trunk(registrar: &str, server: &Dnsmasq, agents: u32, more: &str) -> String {
    format!(
        "[run]\ninterval = \"1s\"\ndrain = \"5s\"\nresolver = \"{}\"\n[generator]\nlate = \"1s\"\nstall = \"5s\"\n\
         [[trunk]]\nid = \"t\"\nregistrar = \"{registrar}\"\ndomain = \"d.test\"\n{more}\n\
         agents = {{ count = {agents}, user = \"a{{n}}\", password = \"secret\" }}\n",
        server.address()
    )
}

fn preflight(dir: &Path, text: &str) -> (Finished, String) {
    let finished = Regstorm::run(dir, &["preflight", profile(dir, text)], LIMIT);
    let said = finished.stdout().split_whitespace().collect::<Vec<_>>().join(" ");
    (finished, said)
}

#[test]
fn the_chain_of_records_is_shown_and_their_port_taken() {
    let dir = temp();
    let udp = OwnRegistrar::start(dir.path(), "udp://127.0.0.1:0");
    let tcp = OwnRegistrar::start(dir.path(), "tcp://127.0.0.1:0");
    let server = Dnsmasq::start(
        60,
        &[
            "naptr-record=d.test,10,1,s,SIP+D2T,,_sip._tcp.d.test".to_owned(),
            "naptr-record=d.test,20,1,s,SIP+D2U,,_sip._udp.d.test".to_owned(),
            udp.srv("_sip._udp", "edge", 10, 50),
            tcp.srv("_sip._tcp", "edge", 10, 50),
            host("edge", "127.0.0.1"),
        ],
    );
    let (finished, said) = preflight(dir.path(), &trunk("sip:d.test", &server, 2, ""));
    finished.expect_code(0);
    for part in [
        "10 1 \"s\" \"SIP+D2T\" _sip._tcp.d.test",
        "_sip._tcp.d.test SRV: 10 50",
        "edge.d.test A: 127.0.0.1 (for 60 s",
        &format!("targets ok TCP to {}", tcp.address),
        "t: ready",
    ] {
        assert!(said.contains(part), "{part:?} is missing in:\n{}", finished.stdout());
    }
    let (finished, said) = preflight(dir.path(), &trunk("sip:d.test;transport=udp", &server, 2, ""));
    finished.expect_code(0);
    assert!(said.contains(&format!("UDP to {}", udp.address)) && !said.contains("NAPTR"), "{}", finished.stdout());
}

#[test]
fn a_written_port_asks_no_services_and_hosts_ask_nobody() {
    let dir = temp();
    let udp = OwnRegistrar::start(dir.path(), "udp://127.0.0.1:0");
    let port = udp.address.port();
    let server = Dnsmasq::start(
        60,
        &[
            "srv-host=_sip._udp.d.test,nowhere.d.test,9,1,1".to_owned(),
            host("nowhere", "127.0.0.77"),
            "host-record=d.test,127.0.0.1".to_owned(),
        ],
    );
    let (finished, said) = preflight(dir.path(), &trunk(&format!("sip:d.test:{port}"), &server, 2, ""));
    finished.expect_code(0);
    assert!(said.contains("d.test A: 127.0.0.1") && !said.contains("SRV"), "{}", finished.stdout());
    // No server is asked for what stands in the profile; this one is not even there.
    let gone = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("loopback");
    let hosts = format!("resolver = \"{gone}\"\nhosts = {{ \"Edge.Test\" = [\"127.0.0.1\"] }}");
    let (finished, said) = preflight(dir.path(), &trunk(&format!("sip:edge.test:{port}"), &server, 2, &hosts));
    finished.expect_code(0);
    assert!(said.contains("edge.test A: 127.0.0.1 (for good"), "{}", finished.stdout());
}

#[test]
fn an_address_that_is_not_allowed_is_named_and_gets_nothing() {
    let dir = temp();
    let own = OwnRegistrar::start(dir.path(), "udp://127.0.0.1:0");
    let outside = UdpSocket::bind(("127.0.0.77", 0)).expect("loopback");
    let port = outside.local_addr().expect("bound").port();
    let server = Dnsmasq::start(
        60,
        &[
            own.srv("_sip._udp", "in", 10, 1),
            format!("srv-host=_sip._udp.d.test,out.d.test,{port},20,1"),
            host("in", "127.0.0.1"),
            host("out", "127.0.0.77"),
        ],
    );
    let text = trunk("sip:d.test", &server, 2, "")
        + "[safety]\nallow_targets = [\"127.0.0.1\"]\n[[load]]\nrate = 2\nfor = \"1s\"\n";
    for command in ["run", "preflight"] {
        let finished = Regstorm::run(dir.path(), &[command, profile(dir.path(), &text)], LIMIT);
        finished.expect_code(2);
        let said = finished.stderr();
        assert!(said.contains("127.0.0.77 (d.test) is not among the allowed targets"), "{command}: {said}");
    }
    outside.set_nonblocking(true).expect("a socket option");
    assert!(outside.recv(&mut [0; 64]).is_err(), "nothing was sent there");
}

#[test]
fn what_was_asked_stands_in_the_results() {
    let dir = temp();
    let own = OwnRegistrar::start(dir.path(), "udp://127.0.0.1:0");
    let server = Dnsmasq::start(60, &[own.srv("_sip._udp", "edge", 10, 1), host("edge", "127.0.0.1")]);
    let text = trunk("sip:d.test", &server, 20, "") + "[[load]]\nrate = 20\nfor = \"1s\"\n";
    Regstorm::run(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"], LIMIT).expect_code(0);
    let run = ResultDir::open(&dir.path().join("out")).run;
    let resolution = &run["resolution"][0];
    assert_eq!(resolution["trunk_id"], "t");
    assert_eq!(resolution["transport"], "UDP");
    assert_eq!(resolution["targets"][0]["address"], own.address.to_string());
    let asked: Vec<(&str, &str)> = resolution["steps"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|step| (step["name"].as_str().expect("a name"), step["kind"].as_str().expect("a kind")))
        .collect();
    assert_eq!(asked, [("d.test", "NAPTR"), ("_sip._udp.d.test", "SRV"), ("edge.d.test", "A")]);
    assert_eq!((resolution["steps"][1]["ttl_s"].as_u64(), resolution["ttl_s"].as_u64()), (Some(60), Some(60)));
    assert_eq!(run["totals"]["registered"], Value::from(20));
    own.process.signal("INT");
}
