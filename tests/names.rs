//! Names as RFC 3263 has it, against a real name server: which questions are asked, whom packets go
//! to, and what is told of it.

mod support;

use serde_json::Value;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;
use support::clock;
use support::dns::Dnsmasq;
use support::kamailio::{Kamailio, PASSWORD, Settings};
use support::program::{Finished, Regstorm, profile};
use support::redirecting::Redirecting;
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
        Self::with(dir, listen, "")
    }

    /// One that has no capacity for anybody.
    fn full(dir: &Path, listen: &str) -> OwnRegistrar {
        Self::with(dir, listen, "[[registrar.fault]]\nkind = \"deny\"\ncode = 503\nsources = [\"127.0.0.1\"]\n")
    }

    fn with(dir: &Path, listen: &str, faults: &str) -> OwnRegistrar {
        std::fs::write(dir.join("registrar.toml"), faults).expect("a file in our directory");
        let process = Regstorm::start(dir, &["registrar", "registrar.toml", "--listen", listen]);
        let address = clock::until("the registrar to listen", LIMIT, || {
            let said = process.stdout_so_far();
            said.lines().find_map(|line| line.strip_prefix("listening ")?.split_once("://")?.1.parse().ok())
        });
        OwnRegistrar { process, address }
    }

    /// Ends it; what it said at the end.
    fn end(self) -> String {
        self.process.signal("INT");
        self.process.wait(LIMIT).stderr()
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

/// RFC 7118 §10.2: a softphone in a browser finds its server by name as any phone does.
#[test]
fn naptr_leads_to_websocket() {
    let dir = temp();
    let ws = OwnRegistrar::start(dir.path(), "ws://127.0.0.1:0");
    let server = Dnsmasq::start(
        60,
        &[
            "naptr-record=d.test,10,1,s,SIP+D2W,,_sip._ws.d.test".to_owned(),
            "naptr-record=d.test,20,1,s,SIP+D2U,,_sip._udp.d.test".to_owned(),
            ws.srv("_sip._ws", "edge", 10, 50),
            host("edge", "127.0.0.1"),
        ],
    );
    let (finished, said) = preflight(dir.path(), &trunk("sip:d.test", &server, 2, ""));
    finished.expect_code(0);
    assert!(said.contains(&format!("targets ok WS to {}", ws.address)), "{}", finished.stdout());
    let run = run(dir.path(), &load("sip:d.test", &server, 20, "", ""));
    assert_eq!((run.total("registered"), run.run["resolution"][0]["transport"].as_str()), (20, Some("WS")));
    let ended = ws.end();
    assert!(ended.contains("at most 20"), "{ended}");
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

/// A load of that many agents whose bindings are refreshed every few seconds.
fn load(registrar: &str, server: &Dnsmasq, agents: u32, more: &str, hold: &str) -> String {
    let hold = if hold.is_empty() { String::new() } else { format!("[[load]]\nhold = \"{hold}\"\n") };
    trunk(registrar, server, agents, more) + &format!("[[load]]\nrate = {agents}\nfor = \"1s\"\n") + &hold
}

fn run(dir: &Path, text: &str) -> ResultDir {
    // A busy machine may not get ready in time, which ends a run before it begins.
    let too_busy = |finished: &Finished| finished.stderr().contains("too busy to open the sockets");
    let once = || Regstorm::run(dir, &["run", profile(dir, text), "--out", "out"], LIMIT);
    let mut finished = once();
    for _ in 0..5 {
        if too_busy(&finished) {
            finished = once();
        }
    }
    assert!(matches!(finished.status.code(), Some(0 | 3)), "{}\n{}", finished.stdout(), finished.stderr());
    ResultDir::open(&dir.join("out"))
}

/// What became of attempts at an address.
fn at(run: &ResultDir, address: &str) -> Value {
    let rows = run.run["trunks"][0]["addresses"].as_array().cloned().unwrap_or_default();
    rows.into_iter().find(|row| row["address"] == address).unwrap_or_default()
}

/// Where each agent's last attempt went.
fn went_last(run: &ResultDir) -> Vec<String> {
    run.table("agents.csv").rows.iter().map(|row| row["last_address"].to_string()).collect()
}

fn registered(run: &ResultDir, address: SocketAddr) -> u64 {
    at(run, &address.to_string())["ended"]["registered"].as_u64().unwrap_or(0)
}

/// A port that was ours a moment ago.
fn nobody() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("loopback")
}

#[test]
fn agents_spread_by_weight() {
    let dir = temp();
    let servers: Vec<OwnRegistrar> = (0..4).map(|_| OwnRegistrar::start(dir.path(), "udp://127.0.0.1:0")).collect();
    let weights = [(10, 60), (10, 30), (10, 10), (20, 100)];
    let mut records = vec![host("edge", "127.0.0.1")];
    records.extend(
        servers.iter().zip(weights).map(|(own, (priority, weight))| own.srv("_sip._udp", "edge", priority, weight)),
    );
    let server = Dnsmasq::start(600, &records);
    let text =
        load("sip:d.test", &server, 2_000, "", "").replace("rate = 2000\nfor = \"1s\"", "rate = 250\nfor = \"8s\"");
    let run = run(dir.path(), &text);
    assert_eq!(run.total("registered"), 2_000);
    for (own, due) in servers.iter().zip([0.6, 0.3, 0.1, 0.0]) {
        let share = registered(&run, own.address) as f64 / 2_000.0;
        assert!((share - due).abs() < 0.03, "{}: {share}, due {due}", own.address);
    }
}

/// The first choice is not there: each attempt goes on to the second within itself, whatever
/// carries it and however agents share that.
#[test]
fn attempts_go_on_to_the_next_address() {
    for (transport, more) in
        [("udp", ""), ("udp", "sockets = \"per-agent\""), ("tcp", ""), ("tcp", "connections = \"shared\"")]
    {
        let dir = temp();
        let own = OwnRegistrar::start(dir.path(), &format!("{transport}://127.0.0.1:0"));
        let gone = nobody();
        let service = format!("_sip._{transport}");
        let server = Dnsmasq::start(
            600,
            &[
                format!("srv-host={service}.d.test,edge.d.test,{},10,1", gone.port()),
                own.srv(&service, "edge", 20, 1),
                host("edge", "127.0.0.1"),
            ],
        );
        let run = run(dir.path(), &load(&format!("sip:d.test;transport={transport}"), &server, 40, more, ""));
        let seen = format!("{transport} {more}: {}", run.run["trunks"][0]["addresses"]);
        assert_eq!((run.total("attempts"), run.total("registered")), (40, 40), "{seen}");
        assert_eq!(registered(&run, own.address), 40, "{seen}");
        assert_eq!(at(&run, &gone.to_string())["went_on"]["unreachable"], 40, "{seen}");
        assert!(went_last(&run).iter().all(|address| *address == own.address.to_string()), "{:?}", went_last(&run));
        let found = run.run["findings"].as_array().expect("a list");
        let dns = found.iter().find(|finding| finding["id"] == "dns").expect("the dead address is told");
        assert!(dns["summary"].as_str().is_some_and(|said| said.contains(&gone.to_string())), "{dns}");
    }
}

#[test]
fn agents_leave_a_server_that_stops_and_return_when_the_records_are_asked_for_again() {
    let dir = temp();
    let mut first = OwnRegistrar::start(dir.path(), "udp://127.0.0.1:0");
    let second = OwnRegistrar::start(dir.path(), "udp://127.0.0.1:0");
    let server = Dnsmasq::start(
        4,
        &[first.srv("_sip._udp", "edge", 10, 1), second.srv("_sip._udp", "edge", 20, 1), host("edge", "127.0.0.1")],
    );
    let text = load("sip:d.test", &server, 30, "expires = \"5s\"\nrefresh_at = 0.4", "24s");
    let run = Regstorm::start(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"]);
    let bound = |own: &OwnRegistrar| own.process.stderr_so_far();
    // The first agents are there, then their server goes away.
    clock::let_pass(Duration::from_secs(5));
    let address = first.address;
    first.process.signal("INT");
    let ended = first.process.wait(LIMIT);
    assert!(ended.stderr().contains("at most 30"), "{}", ended.stderr());
    clock::let_pass(Duration::from_secs(6));
    first = OwnRegistrar::start(dir.path(), &format!("udp://{address}"));
    let finished = run.wait(LIMIT);
    assert!(matches!(finished.status.code(), Some(0 | 3)), "{}\n{}", finished.stdout(), finished.stderr());
    let run = ResultDir::open(&dir.path().join("out"));
    let seen = format!("{}\n{}", run.run["trunks"][0]["addresses"], bound(&second));
    assert_eq!(run.total("registered"), run.total("attempts"), "nobody failed: {seen}");
    assert!(registered(&run, second.address) >= 30, "{seen}");
    assert!(at(&run, &address.to_string())["went_on"]["unreachable"].as_u64() >= Some(30), "{seen}");
    assert!(run.run["resolution"].as_array().map_or(0, Vec::len) >= 4, "looked up every 4 s");
    first.process.signal("INT");
    let back = first.process.wait(LIMIT);
    assert!(back.stderr().contains("at most 30"), "they came back: {}\n{seen}", back.stderr());
}

#[test]
fn a_later_answer_leads_elsewhere_but_never_beyond_the_allowed_addresses() {
    let dir = temp();
    let first = OwnRegistrar::start(dir.path(), "udp://127.0.0.1:0");
    let second = OwnRegistrar::start(dir.path(), "udp://127.0.0.1:0");
    let outside = UdpSocket::bind(("127.0.0.77", 0)).expect("loopback");
    let port = outside.local_addr().expect("bound").port();
    let hosts = [host("edge", "127.0.0.1"), host("out", "127.0.0.77")];
    let before = [&hosts[..], &[first.srv("_sip._udp", "edge", 10, 1)]].concat();
    let server = Dnsmasq::start(2, &before);
    let text = load("sip:d.test", &server, 20, "expires = \"5s\"\nrefresh_at = 0.4", "14s")
        + "[safety]\nallow_targets = [\"127.0.0.1\"]\n";
    let run = Regstorm::start(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"]);
    clock::let_pass(Duration::from_secs(4));
    let forbidden = format!("srv-host=_sip._udp.d.test,out.d.test,{port},5,1");
    let after = [&hosts[..], &[second.srv("_sip._udp", "edge", 10, 1), forbidden]].concat();
    let _server = server.restart(2, &after);
    let finished = run.wait(LIMIT);
    assert!(matches!(finished.status.code(), Some(0 | 3)), "{}\n{}", finished.stdout(), finished.stderr());
    let run = ResultDir::open(&dir.path().join("out"));
    let seen = run.run["trunks"][0]["addresses"].to_string();
    assert!(registered(&run, second.address) >= 20, "{seen}");
    let last = run.run["resolution"].as_array().and_then(|all| all.last()).cloned().unwrap_or_default();
    assert_eq!(last["refused"][0], "127.0.0.77", "{last}");
    outside.set_nonblocking(true).expect("a socket option");
    assert!(outside.recv(&mut [0; 64]).is_err(), "nothing was sent there");
}

/// A trunk with an address, its requests redirected.
fn redirected(address: SocketAddr, allowed: &str) -> String {
    format!(
        "[run]\ninterval = \"1s\"\ndrain = \"5s\"\n[safety]\nallow_targets = {allowed}\n[generator]\nlate = \"1s\"\nstall = \"5s\"\n\
         [[trunk]]\nid = \"t\"\nregistrar = \"sip:{address}\"\ndomain = \"d.test\"\n\
         agents = {{ count = 20, user = \"a{{n}}\", password = \"secret\" }}\n[[load]]\nrate = 20\nfor = \"1s\"\n"
    )
}

fn routing(run: &ResultDir) -> Vec<(String, String, u64)> {
    let rows = run.run["trunks"][0]["routing"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows.iter().map(|row| (text(&row["what"]), text(&row["text"]), row["count"].as_u64().unwrap_or(0))).collect()
}

#[test]
fn redirections_are_followed_to_allowed_addresses() {
    for more in ["", "sockets = \"per-agent\"\n"] {
        let dir = temp();
        let own = OwnRegistrar::start(dir.path(), "udp://127.0.0.1:0");
        let contact = format!("sip:{}", own.address);
        let first = Redirecting::start(contact.clone());
        let text = redirected(first.address, "[\"127.0.0.1\"]").replace("domain", &format!("{more}domain"));
        let run = run(dir.path(), &text);
        let seen = format!("{more}: {}", run.run["trunks"][0]);
        assert_eq!((run.total("attempts"), run.total("registered")), (20, 20), "{seen}");
        assert!(routing(&run).contains(&("followed".to_owned(), contact, 20)), "{seen}");
        assert!(first.asked() >= 20, "each attempt begins where its trunk says");
    }
}

/// A trunk with an address, redirected to a name that `server` knows.
fn redirected_by_name(address: SocketAddr, server: &Dnsmasq, more: &str) -> String {
    let resolver = format!("resolver = \"{}\"\n{more}domain", server.address());
    redirected(address, "[\"127.0.0.1\"]").replace("domain", &resolver)
}

#[test]
fn redirections_to_a_name_are_followed_where_it_leads() {
    for more in ["", "sockets = \"per-agent\"\n"] {
        let dir = temp();
        let own = OwnRegistrar::start(dir.path(), "udp://127.0.0.1:0");
        let server = Dnsmasq::start(60, &[own.srv("_sip._udp", "edge", 10, 1), host("edge", "127.0.0.1")]);
        // One with a port, whose addresses are asked for; and one without, whose services are.
        for contact in [format!("sip:edge.d.test:{}", own.address.port()), "sip:d.test".to_owned()] {
            let first = Redirecting::start(contact.clone());
            let run = run(dir.path(), &redirected_by_name(first.address, &server, more));
            let seen = format!("{more} {contact}: {}", run.run["trunks"][0]);
            assert_eq!((run.total("attempts"), run.total("registered")), (20, 20), "{seen}");
            assert!(routing(&run).contains(&("followed".to_owned(), contact, 20)), "{seen}");
            assert_eq!(registered(&run, own.address), 20, "{seen}");
            assert!(went_last(&run).iter().all(|address| *address == own.address.to_string()), "{seen}");
            assert!(first.asked() >= 20, "each attempt begins where its trunk says");
            std::fs::remove_dir_all(dir.path().join("out")).expect("the run's directory");
        }
    }
}

#[test]
fn a_redirection_to_a_name_goes_nowhere_else_than_it_may_and_does_not_wait_for_ever() {
    let dir = temp();
    let outside = UdpSocket::bind(("127.0.0.77", 0)).expect("loopback");
    let port = outside.local_addr().expect("bound").port();
    let server = Dnsmasq::start(60, &[host("out", "127.0.0.77")]);
    // A name server that is there and never says anything.
    let silent = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let silent = format!("resolver = \"{}\"\n", silent.local_addr().expect("bound"));
    let own = format!("resolver = \"{}\"\n", server.address());
    for (resolver, name, word) in
        [(&own, "out", "not_allowed"), (&own, "nobody", "name_unknown"), (&silent, "edge", "name_unknown")]
    {
        let contact = format!("sip:{name}.d.test:{port}");
        let first = Redirecting::start(contact.clone());
        let text = redirected(first.address, "[\"127.0.0.1\"]").replace("domain", &format!("{resolver}domain"));
        let text = text.replace("drain = \"5s\"", "drain = \"15s\"");
        let finished = Regstorm::run(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"], LIMIT);
        assert_eq!(finished.status.code(), Some(1), "{name}: {}", finished.stderr());
        let run = ResultDir::open(&dir.path().join("out"));
        assert_eq!(run.total("registration_rejected"), 20, "{name}: {}", run.run["totals"]);
        assert!(routing(&run).contains(&(word.to_owned(), contact.clone(), 20)), "{name}: {:?}", routing(&run));
        assert!(run.run["findings"].to_string().contains(&contact), "{name}: the refusals are explained");
        std::fs::remove_dir_all(dir.path().join("out")).expect("the run's directory");
    }
    outside.set_nonblocking(true).expect("a socket option");
    assert!(outside.recv(&mut [0; 64]).is_err(), "nothing was sent there");
}

#[test]
fn a_redirection_to_a_forbidden_address_is_named_and_nothing_goes_there() {
    let dir = temp();
    let outside = UdpSocket::bind(("127.0.0.77", 0)).expect("loopback");
    let contact = format!("sip:{}", outside.local_addr().expect("bound"));
    let first = Redirecting::start(contact.clone());
    let run = {
        let text = redirected(first.address, "[\"127.0.0.1\"]");
        let finished = Regstorm::run(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"], LIMIT);
        assert_eq!(finished.status.code(), Some(1), "{}", finished.stderr());
        ResultDir::open(&dir.path().join("out"))
    };
    assert_eq!(run.total("registration_rejected"), 20);
    assert!(routing(&run).contains(&("not_allowed".to_owned(), contact.clone(), 20)), "{:?}", routing(&run));
    let told = run.run["findings"].to_string();
    assert!(told.contains(&contact), "{told}");
    outside.set_nonblocking(true).expect("a socket option");
    assert!(outside.recv(&mut [0; 64]).is_err(), "nothing was sent there");
    assert!(first.asked() >= 20);
}

/// One that sends everybody to itself.
#[test]
fn redirections_in_a_circle_end() {
    let dir = temp();
    let own = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let first = Redirecting::at(own, None);
    let text = redirected(first.address, "[\"127.0.0.1\"]").replace("count = 20", "count = 3");
    let finished = Regstorm::run(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"], LIMIT);
    assert_eq!(finished.status.code(), Some(1), "{}", finished.stderr());
    let run = ResultDir::open(&dir.path().join("out"));
    assert_eq!(run.total("registration_rejected"), 3);
    let too_many = routing(&run).into_iter().find(|row| row.0 == "too_many").map(|row| row.2);
    assert_eq!(too_many, Some(3), "{:?}", routing(&run));
    assert!(first.asked() <= 3 * 6 * 2, "bounded, copies included");
}

/// A name whose first choice is not there, or full, and whose second is a registrar of ours.
struct TwoChoices {
    first: SocketAddr,
    own: OwnRegistrar,
    server: Dnsmasq,
    _full: Option<OwnRegistrar>,
}

impl TwoChoices {
    fn start(dir: &Path, transport: &str, first_is_full: bool) -> TwoChoices {
        let listen = format!("{transport}://127.0.0.1:0");
        let full = first_is_full.then(|| OwnRegistrar::full(dir, &listen));
        let first = full.as_ref().map_or_else(nobody, |full| full.address);
        let own = OwnRegistrar::start(dir, &listen);
        let service = format!("_sip._{transport}");
        let records = [
            format!("srv-host={service}.d.test,edge.d.test,{},10,1", first.port()),
            own.srv(&service, "edge", 20, 1),
            host("edge", "127.0.0.1"),
        ];
        TwoChoices { first, own, server: Dnsmasq::start(600, &records), _full: full }
    }

    fn each(act: impl Fn(TwoChoices, &str, &Path)) {
        for (transport, full) in [("udp", false), ("udp", true), ("tcp", false), ("tcp", true)] {
            let dir = temp();
            let choices = TwoChoices::start(dir.path(), transport, full);
            act(choices, &format!("sip:d.test;transport={transport}"), dir.path());
        }
    }
}

#[test]
fn watch_goes_on_to_the_next_address_and_names_it() {
    TwoChoices::each(|TwoChoices { first, own, server, .. }, registrar, dir| {
        let text = trunk(registrar, &server, 1, "");
        let args = ["watch", profile(dir, &text), "--every", "200ms", "--for", "1s", "--recover-after", "2"];
        let finished = Regstorm::run(dir, &args, LIMIT);
        finished.expect_code(0);
        let said = finished.stdout();
        assert!(said.contains(&format!("  t  go  200 OK, at {} ", own.address)), "{registrar}: {said}");
        let tried = format!("{first}: ");
        let next = format!("; {} is tried next", own.address);
        let told = finished.stderr().lines().filter(|line| line.contains(&tried) && line.contains(&next)).count();
        assert_eq!(told, 1, "once, as it stays where it was served: {}", finished.stderr());
        let ended = own.end();
        assert!(ended.contains("bindings now 0, at most 1"), "{registrar}: {ended}");
    });
}

#[test]
fn watch_asks_again_when_an_answer_ends_and_goes_nowhere_else_than_it_may() {
    let dir = temp();
    let [first, second] = [(), ()].map(|()| OwnRegistrar::start(dir.path(), "udp://127.0.0.1:0"));
    let outside = UdpSocket::bind(("127.0.0.77", 0)).expect("loopback");
    let port = outside.local_addr().expect("bound").port();
    let hosts = [host("edge", "127.0.0.1"), host("out", "127.0.0.77")];
    let server = Dnsmasq::start(1, &[&hosts[..], &[first.srv("_sip._udp", "edge", 10, 1)]].concat());
    let text = trunk("sip:d.test", &server, 1, "") + "[safety]\nallow_targets = [\"127.0.0.1\"]\n";
    let args = ["watch", profile(dir.path(), &text), "--every", "200ms", "--recover-after", "1"];
    let watch = Regstorm::start(dir.path(), &args);
    clock::until("the trunk to be go", LIMIT, || watch.stdout_so_far().contains("  go  ").then_some(()));
    let forbidden = format!("srv-host=_sip._udp.d.test,out.d.test,{port},5,1");
    let _server = server.restart(1, &[&hosts[..], &[second.srv("_sip._udp", "edge", 10, 1), forbidden]].concat());
    clock::let_pass(Duration::from_secs(4));
    watch.signal("INT");
    watch.wait(LIMIT).expect_code(0);
    let ended = second.end();
    assert!(ended.contains("bindings now 0, at most 1"), "it went there: {ended}");
    outside.set_nonblocking(true).expect("a socket option");
    assert!(outside.recv(&mut [0; 64]).is_err(), "nothing was sent there");
}

#[test]
fn diagnose_live_goes_on_to_the_next_address_and_names_it() {
    TwoChoices::each(|TwoChoices { first, own, server, .. }, registrar, dir| {
        let file = profile(dir, &trunk(registrar, &server, 2, ""));
        let finished = Regstorm::run(dir, &["diagnose", "--live", file, "--timeout", "2s"], LIMIT);
        finished.expect_code(0);
        assert!(finished.stdout().contains("all 2 agents tried register"), "{registrar}: {}", finished.stdout());
        let told = finished.stderr();
        assert!(told.contains(&format!("a0: {first}: ")), "{registrar}: {told}");
        assert!(told.contains(&format!("; {} is tried next", own.address)), "{registrar}: {told}");
    });
}

#[test]
fn a_search_for_limits_goes_on_to_the_next_address_and_counts_what_each_did() {
    TwoChoices::each(|TwoChoices { first, own, server, .. }, registrar, dir| {
        let file = profile(dir, &trunk(registrar, &server, 12, ""));
        let args = ["limits", file, "--out", "out", "--only", "concurrent", "--settle", "0s", "--json"];
        let finished = Regstorm::run(dir, &args, LIMIT);
        finished.expect_code(0);
        let found: Value = serde_json::from_str(&finished.stdout()).expect("JSON");
        assert_eq!(found["concurrent"]["at_least"], 12, "{registrar}: {found}");
        assert_eq!(found["setup"]["target"], format!("{first}, {}", own.address));
        let of = |address: SocketAddr, key: &str| {
            let rows = found["addresses"].as_array().cloned().unwrap_or_default();
            rows.iter().find(|row| row["address"] == address.to_string()).and_then(|row| row[key].as_u64())
        };
        let seen = format!("{registrar}: {}", found["addresses"]);
        assert_eq!((of(first, "registered"), of(first, "failed")), (Some(0), Some(0)), "{seen}");
        assert!(of(first, "went_on") >= Some(12), "{seen}");
        assert!(of(own.address, "registered") >= Some(12), "{seen}");
    });
}

#[test]
fn a_sweep_goes_on_to_the_next_address() {
    TwoChoices::each(|TwoChoices { first, own, server, .. }, registrar, dir| {
        let text = load(registrar, &server, 6, "", "").replace("[run]\n", "[run]\nunregister = false\n");
        let left = run(dir, &text);
        assert_eq!(left.total("registered"), 6, "{registrar}");
        let finished = Regstorm::run(dir, &["sweep", "out", "--json"], LIMIT);
        finished.expect_code(0);
        assert!(finished.stderr().contains(&format!("trunk t: {first}: ")), "{registrar}: {}", finished.stderr());
        let ended = own.end();
        assert!(ended.contains("bindings now 0, at most 6"), "{registrar}: {ended}");
    });
}

#[test]
fn no_command_speaks_to_an_address_that_is_not_allowed() {
    let dir = temp();
    let own = OwnRegistrar::start(dir.path(), "udp://127.0.0.1:0");
    let outside = UdpSocket::bind(("127.0.0.77", 0)).expect("loopback");
    let port = outside.local_addr().expect("bound").port();
    let records = [
        own.srv("_sip._udp", "in", 10, 1),
        format!("srv-host=_sip._udp.d.test,out.d.test,{port},20,1"),
        host("in", "127.0.0.1"),
        host("out", "127.0.0.77"),
    ];
    let server = Dnsmasq::start(60, &records);
    let text = load("sip:d.test", &server, 2, "", "") + "[safety]\nallow_targets = [\"127.0.0.1\"]\n";
    let file = profile(dir.path(), &text);
    for args in
        [&["run", file][..], &["preflight", file], &["watch", file], &["diagnose", "--live", file], &["limits", file]]
    {
        let finished = Regstorm::run(dir.path(), args, LIMIT);
        finished.expect_code(2);
        let said = finished.stderr();
        assert!(said.contains("127.0.0.77 (d.test) is not among the allowed targets"), "{args:?}: {said}");
    }
    outside.set_nonblocking(true).expect("a socket option");
    assert!(outside.recv(&mut [0; 64]).is_err(), "nothing was sent there");
}

#[test]
fn two_kamailios_take_turns_as_the_first_goes_and_comes_back() {
    const AGENTS: u64 = 2_000;
    let dir = temp();
    let [mut first, second] = [(), ()].map(|()| Kamailio::start(Settings::default()));
    let srv = |kamailio: &Kamailio, priority: u16| {
        format!("srv-host=_sip._udp.d.test,edge.d.test,{},{priority},1", kamailio.address().port())
    };
    let server = Dnsmasq::start(5, &[srv(&first, 10), srv(&second, 20), host("edge", "127.0.0.1")]);
    let more = "expires = \"20s\"\nrefresh_at = 0.5\nalgorithms = [\"MD5\"]";
    let text = load("sip:d.test", &server, 2_000, more, "300s")
        .replace("rate = 2000\nfor = \"1s\"", "rate = 400\nfor = \"5s\"");
    let text = text.replace("password = \"secret\"", &format!("password = \"{PASSWORD}\""));
    let run = Regstorm::start(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"]);
    let holds = |kamailio: &Kamailio| (kamailio.contacts() == AGENTS).then_some(());
    clock::until("everybody to be at the first", LIMIT, || holds(&first));
    assert_eq!(second.contacts(), 0, "nobody is where nobody should be");
    first.kill();
    clock::until("everybody to be at the second", LIMIT, || holds(&second));
    first.restart();
    clock::until("everybody to be back at the first", LIMIT, || holds(&first));
    run.signal("INT");
    let finished = run.wait(LIMIT);
    assert_eq!(finished.status.code(), Some(130), "{}\n{}", finished.stdout(), finished.stderr());
    let run = ResultDir::open(&dir.path().join("out"));
    let seen = run.run["trunks"][0]["addresses"].to_string();
    assert_eq!(run.total("registered"), run.total("attempts"), "nobody failed: {seen}");
    assert!(registered(&run, second.address()) >= AGENTS, "{seen}");
}
