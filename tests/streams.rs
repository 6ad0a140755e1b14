//! Agents over connections: in virtual time, where connections break when the test says so, and
//! over real sockets on loopback.

mod support;

use proptest::prelude::*;
use regstorm::agent::RetryPolicy;
use regstorm::link::{Delay, LinkConfig};
use regstorm::measure::FlowCounts;
use regstorm::net::tls::SelfSigned;
use regstorm::registrar::{Counts, Registrar};
use regstorm::seed::Seed;
use regstorm::sim::{Opposite, START, SimOutcome, Wording, World, WorldConfig};
use regstorm::sip::scan;
use regstorm::vocab::{FlowLoss, Phase, SocketUse, Status, Time, Transport};
use socket2::{Domain, Socket, Type};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use support::clock;
use support::program::{Regstorm, profile};
use support::results::ResultDir;
use support::world::{self, hold, policy, rate, seconds, statuses};

/// What carries messages and is no datagram.
const STREAMS: [Transport; 4] = [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

// ---- In virtual time ----

/// Agents over TCP at 100/s, then a hold.
fn world(agents: u32, connections: SocketUse, retry: RetryPolicy) -> WorldConfig {
    let stages = vec![rate(100.0, u64::from(agents) / 100), hold(400)];
    WorldConfig {
        policies: vec![policy(retry)],
        wordings: vec![Wording { transport: Transport::Tcp, connections, ..Wording::default() }],
        ..world::world(agents, stages)
    }
}

/// Connections over the run, after checking that they balance at every interval's end.
#[track_caller]
fn connections(outcome: &SimOutcome) -> FlowCounts {
    let mut sum = FlowCounts::default();
    for interval in &outcome.intervals {
        assert!(interval.imbalances.is_empty(), "{:?}", interval.imbalances);
        if let Some(part) = &interval.trunks[0].flows {
            sum.add(part);
            sum.open = part.open;
            assert_eq!(sum.opened, sum.all_lost() + sum.open, "interval {}", interval.index);
        }
    }
    sum
}

#[test]
fn every_agent_has_a_connection_of_its_own_and_sends_nothing_twice() {
    let mut config = world(500, SocketUse::PerAgent, RetryPolicy::NONE);
    config.link.drop = 0.05;
    let outcome = World::new(config).run();
    assert_eq!(statuses(&outcome)[Status::Registered.index()], 500);
    let flows = connections(&outcome);
    assert_eq!((flows.opened, flows.all_failed(), flows.all_lost(), flows.open), (500, 0, 0, 500));
    assert_eq!(outcome.sum(|trunk| trunk.retransmissions), 0);
    assert_eq!(outcome.contacts_left, 0);
    let connects = outcome.intervals.iter().filter_map(|i| i.trunks[0].latency_us[Phase::Connect.index()].as_ref());
    let (mut count, mut least) = (0, u64::MAX);
    for histogram in connects {
        (count, least) = (count + histogram.len(), least.min(histogram.min()));
    }
    // One round trip of 10 ms, or more where something was lost.
    assert!(count == 500 && (9_990..10_020).contains(&least), "{count} {least}");
}

#[test]
fn agents_of_a_trunk_may_share_one_connection() {
    let outcome = World::new(world(500, SocketUse::Shared, RetryPolicy::NONE)).run();
    assert_eq!(statuses(&outcome)[Status::Registered.index()], 500);
    assert_eq!(connections(&outcome).opened, 2, "one for each of two workers");
}

#[test]
fn when_the_registrar_restarts_every_agent_comes_back() {
    for connections_are in [SocketUse::PerAgent, SocketUse::Shared] {
        for retry in [RetryPolicy::RFC, RetryPolicy::PJSUA, RetryPolicy::HAMMER] {
            let config = world(500, connections_are, retry);
            let restart = [(seconds(20), seconds(15))];
            let outcome = World::new(config).with_restarts(&restart).run();
            let what = format!("{connections_are:?} {}", retry.preset);
            statuses(&outcome);
            let flows = connections(&outcome);
            let all = if connections_are == SocketUse::PerAgent { 500 } else { 2 };
            assert_eq!(flows.lost[FlowLoss::Reset.index()], all, "{what}");
            assert_eq!((flows.opened, flows.open), (2 * all, all), "{what}");
            assert_eq!(outcome.registered_after_drain, 500, "{what}");
            // Each registers again once it has a connection, and not before.
            assert_eq!(outcome.sum(|trunk| trunk.status[Status::Registered.index()]), 1_000, "{what}");
        }
    }
}

#[test]
fn a_registrar_that_nobody_can_reach_fails_every_attempt_and_says_why() {
    let config = world(100, SocketUse::PerAgent, RetryPolicy::NONE);
    let outcome = World::new(config).with_restarts(&[(Duration::ZERO, seconds(1_000))]).run();
    assert_eq!(statuses(&outcome)[Status::TransportError.index()], 100);
    let flows = connections(&outcome);
    assert_eq!((flows.opened, flows.failed[FlowLoss::Refused.index()]), (0, 100));
    assert_eq!(outcome.sum(|trunk| trunk.messages_sent), 0);
    let reasons = outcome.intervals.iter().flat_map(|interval| &interval.agents).map(|row| row.last_reason.as_ref());
    assert!(reasons.into_iter().all(|reason| reason == "connection refused"));
}

/// What a go-live has: agents that are registered and connected. A lost connection takes one of the
/// two at once, the registrar's memory keeps the other.
#[test]
fn an_agent_without_its_connection_counts_as_registered_and_not_as_reachable() {
    let mut config = world(100, SocketUse::PerAgent, RetryPolicy::RFC);
    config.interval = seconds(10);
    let outcome = World::new(config).with_restarts(&[(seconds(105), seconds(60))]).run();
    let during = |from: u64, until: u64| {
        let within = move |ns: u64| (seconds(from)..=seconds(until)).contains(&Duration::from_nanos(ns));
        outcome.intervals.iter().filter(move |interval| within(interval.start_ns) && within(interval.end_ns))
    };
    let of = |from, until| during(from, until).map(|part| (part.trunks[0].registered, part.trunks[0].reachable()));
    assert!(of(10, 100).all(|both| both == (100, 100)), "{:?}", of(10, 100).collect::<Vec<_>>());
    assert!(of(110, 160).all(|both| both == (100, 0)), "{:?}", of(110, 160).collect::<Vec<_>>());
    // Half of the interval in which they were lost.
    let lost = during(100, 110).next().expect("an interval");
    let agent_seconds = (lost.trunks[0].reachable_agent_ns() / 1_000_000_000) as u64;
    assert!((498..=501).contains(&agent_seconds), "{agent_seconds}");
    let last = outcome.load().last().expect("intervals");
    assert_eq!((last.trunks[0].registered, last.trunks[0].reachable()), (100, 100), "all are back");
}

#[test]
fn a_ceiling_on_connections_refuses_and_counts_and_never_shapes() {
    let mut config = world(400, SocketUse::PerAgent, RetryPolicy::NONE);
    config.load.max_connect_rate = 60;
    let outcome = World::new(config).run();
    let flows = connections(&outcome);
    // 100 want to come each second for four seconds.
    assert!((60 * 4 - 20..=60 * 4 + 10).contains(&flows.opened), "{}", flows.opened);
    assert_eq!(flows.opened + flows.not_begun, 400);
    assert_eq!(statuses(&outcome)[Status::Shed.index()], flows.not_begun);
    assert_eq!(statuses(&outcome)[Status::Registered.index()], flows.opened);
    assert_eq!(outcome.sum(|trunk| trunk.ceiling_refused), flows.not_begun);
    let lag = outcome.intervals.iter().filter_map(|interval| interval.lag_us.as_ref()).map(|lag| lag.max()).max();
    assert!(lag.is_some_and(|lag| lag < 2), "nobody waits for the ceiling: {lag:?}");
}

#[test]
fn keep_alives_are_answered_and_keep_no_agent_from_anything() {
    for transport in STREAMS {
        let mut config = world(100, SocketUse::PerAgent, RetryPolicy::NONE);
        config.wordings[0] = Wording { transport, keepalive: Some(seconds(30)), ..config.wordings[0].clone() };
        let flows = connections(&World::new(config).run());
        // 400 s of holding, one after 24 to 30 s each time.
        assert!((100 * 400 / 30..=100 * 410 / 24).contains(&flows.pings), "{}", flows.pings);
        assert_eq!((flows.pongs_missed, flows.all_lost(), flows.open), (0, 0, 100));
    }
}

/// A registrar that says `Flow-Timer` with every 2xx.
struct Timing(Registrar);

impl Opposite for Timing {
    fn receive(&mut self, now: Time, from: SocketAddr, datagram: &[u8]) {
        self.0.receive(now, from, datagram);
    }

    fn poll_transmit(&mut self, now: Time, out: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let (length, to) = Opposite::poll_transmit(&mut self.0, now, out)?;
        let text = std::str::from_utf8(&out[..length]).expect("text");
        let timed = text.replacen("SIP/2.0 200 OK\r\n", "SIP/2.0 200 OK\r\nFlow-Timer: 10\r\n", 1);
        out[..timed.len()].copy_from_slice(timed.as_bytes());
        Some((timed.len(), to))
    }

    fn next_wake(&self) -> Option<Time> {
        Opposite::next_wake(&self.0)
    }

    fn contacts(&self) -> usize {
        Opposite::contacts(&self.0)
    }
}

/// RFC 5626 §4.4.1: the registrar's word on it wins, where keep-alives are sent at all.
#[test]
fn keep_alives_come_as_often_as_the_registrar_asks_for() {
    // 400 s of holding, one after 8 to 10 s each time.
    for (keepalive, expected) in [(Some(seconds(60)), 100 * 398 / 10..=100 * 410 / 8), (None, 0..=0)] {
        let mut config = world(100, SocketUse::PerAgent, RetryPolicy::NONE);
        config.wordings[0].keepalive = keepalive;
        let registrar = Timing(Registrar::new(config.registrar.clone(), config.seed, START));
        let flows = connections(&World::facing(config, Box::new(registrar)).run());
        assert!(expected.contains(&flows.pings), "{} of {expected:?}", flows.pings);
        assert_eq!((flows.pongs_missed, flows.all_lost()), (0, 0));
    }
}

/// A phone in a browser is at a host without an address, and keeps its name when it comes back.
#[test]
fn over_websocket_a_phone_calls_its_host_by_a_name_that_it_keeps() {
    for (transport, trips) in [(Transport::Ws, 2), (Transport::Wss, 3)] {
        let mut config = world(100, SocketUse::PerAgent, RetryPolicy::HAMMER);
        config.wordings[0] = Wording { transport, names_host: true, ..config.wordings[0].clone() };
        let hosts = Rc::<RefCell<HostNames>>::default();
        let registrar = Registrar::new(config.registrar.clone(), config.seed, START);
        let listening = Listening { registrar, hosts: hosts.clone(), transport };
        let restart = [(seconds(20), seconds(15))];
        let outcome = World::facing(config, Box::new(listening)).with_restarts(&restart).run();
        let flows = connections(&outcome);
        assert_eq!((flows.opened, flows.open, outcome.registered_after_drain), (200, 100, 100));
        let hosts = hosts.borrow();
        assert!(hosts.values().all(|names| names.len() == 1), "each agent has one name");
        let different: BTreeSet<_> = hosts.values().flat_map(BTreeMap::keys).collect();
        assert_eq!((hosts.len(), different.len()), (100, 100));
        assert!(different.iter().all(|name| name.ends_with(".invalid")), "{different:?}");
        // Open after so many round trips of 10 ms.
        let connects = outcome.intervals.iter().filter_map(|i| i.trunks[0].latency_us[Phase::Connect.index()].as_ref());
        let least = connects.map(|histogram| histogram.min()).min().expect("some");
        assert!((trips * 10_000 - 10..trips * 10_000 + 20).contains(&least), "{transport} {least}");
    }
}

/// By Call-ID: each name, and how often it came.
type HostNames = BTreeMap<Vec<u8>, BTreeMap<String, u32>>;

/// A registrar that notes by Call-ID what Via and Contact call their host.
struct Listening {
    registrar: Registrar,
    hosts: Rc<RefCell<HostNames>>,
    transport: Transport,
}

impl Opposite for Listening {
    fn receive(&mut self, now: Time, from: SocketAddr, datagram: &[u8]) {
        let text = std::str::from_utf8(datagram).expect("text");
        let between = |from: &str, to: &str| {
            let rest = text.split_once(from).expect("it is there").1;
            rest.split_once(to).expect("it ends").0.to_owned()
        };
        let via = between(&format!("Via: SIP/2.0/{} ", self.transport), ";");
        let contact = between("Contact: <sip:", ">");
        assert!(contact.ends_with(&format!("@{via};transport=ws")), "{contact}");
        let call_id = between("Call-ID: ", "\r\n").into_bytes();
        *self.hosts.borrow_mut().entry(call_id).or_default().entry(via).or_default() += 1;
        self.registrar.receive(now, from, datagram);
    }

    fn poll_transmit(&mut self, now: Time, out: &mut [u8]) -> Option<(usize, SocketAddr)> {
        Opposite::poll_transmit(&mut self.registrar, now, out)
    }

    fn next_wake(&self) -> Option<Time> {
        Opposite::next_wake(&self.registrar)
    }

    fn contacts(&self) -> usize {
        Opposite::contacts(&self.registrar)
    }
}

/// How often each request came, by Call-ID and CSeq.
type Requests = BTreeMap<(Vec<u8>, u32), u32>;

/// A registrar that remembers what it was sent.
struct Witnessed {
    registrar: Registrar,
    seen: Rc<RefCell<Requests>>,
}

impl Opposite for Witnessed {
    fn receive(&mut self, now: Time, from: SocketAddr, datagram: &[u8]) {
        let request = scan::request(datagram).expect("one whole message");
        *self.seen.borrow_mut().entry((request.call_id.to_vec(), request.cseq)).or_default() += 1;
        self.registrar.receive(now, from, datagram);
    }

    fn poll_transmit(&mut self, now: Time, out: &mut [u8]) -> Option<(usize, SocketAddr)> {
        Opposite::poll_transmit(&mut self.registrar, now, out)
    }

    fn next_wake(&self) -> Option<Time> {
        Opposite::next_wake(&self.registrar)
    }

    fn contacts(&self) -> usize {
        Opposite::contacts(&self.registrar)
    }

    fn counts(&self) -> Counts {
        Opposite::counts(&self.registrar)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// However connections break: no request is sent twice, none is lost but with its connection,
    /// and every attempt ends.
    #[test]
    fn nothing_is_sent_twice_or_lost_over_reconnects(
        seed: u64,
        shared: bool,
        preset in 0usize..4,
        drop in 0.0f64..0.2,
        restarts in prop::collection::vec((0u64..60_000, 0u64..20_000), 0..5),
    ) {
        let retry = [RetryPolicy::RFC, RetryPolicy::PJSUA, RetryPolicy::ASTERISK, RetryPolicy::HAMMER][preset];
        let connections_are = if shared { SocketUse::Shared } else { SocketUse::PerAgent };
        let delay = Some(Delay::Uniform(Duration::from_millis(1), Duration::from_millis(300)));
        let mut at = Duration::ZERO;
        let restarts: Vec<_> = restarts
            .into_iter()
            .map(|(after, lasts)| {
                let begins = at + Duration::from_millis(after);
                at = begins + Duration::from_millis(lasts);
                (begins, Duration::from_millis(lasts))
            })
            .collect();
        let config = WorldConfig {
            seed: Seed(seed),
            link: LinkConfig { delay, drop },
            ..world(100, connections_are, retry)
        };
        let seen = Rc::<RefCell<Requests>>::default();
        let registrar = Registrar::new(config.registrar.clone(), config.seed, START);
        let registrar = Witnessed { registrar, seen: seen.clone() };
        let outcome = World::facing(config, Box::new(registrar)).with_restarts(&restarts).run();
        statuses(&outcome);
        let flows = connections(&outcome);
        prop_assert_eq!(outcome.sum(|trunk| trunk.retransmissions), 0);
        let seen = seen.borrow();
        prop_assert!(seen.values().all(|times| *times == 1));
        let (sent, came) = (outcome.sum(|trunk| trunk.messages_sent), seen.len() as u64);
        prop_assert!(came <= sent);
        if flows.all_lost() == 0 {
            prop_assert_eq!(came, sent);
        }
    }
}

// ---- Over real sockets ----

const LIMIT: Duration = Duration::from_secs(120);

/// A profile of agents over TCP; `trunk` is further lines of its section, `rest` further sections.
fn text(registrar: &str, trunk: &str, rest: &str) -> String {
    format!(
        "[run]\nname = \"streams\"\nseed = 7\ninterval = \"1s\"\ndrain = \"5s\"\n\n\
         [[trunk]]\nid = \"t\"\nregistrar = \"{registrar}\"\ndomain = \"example.test\"\n\
         agents = {{ count = 60, user = \"agent{{n:05}}\", password = \"secret\" }}\n{trunk}\n\n\
         [[load]]\nrate = 60\nfor = \"1s\"\n\n{rest}\n"
    )
}

fn run(dir: &Path, text: &str) -> ResultDir {
    let args = ["run", profile(dir, text), "--out", "out", "--live", "off"];
    let finished = Regstorm::run(dir, &args, LIMIT);
    let results = ResultDir::open(&dir.join("out"));
    results.expect_balanced();
    assert!(finished.stdout().contains("connections"), "{}", finished.stdout());
    results
}

#[test]
fn sixty_agents_register_with_the_embedded_registrar_and_keep_their_connections_alive() {
    for transport in STREAMS {
        for (connections, opened) in [("per-agent", 60.0), ("shared", 1.0)] {
            let dir = tempfile::tempdir().expect("a directory");
            let (listen, over) = (transport.as_str().to_ascii_lowercase(), transport.as_str());
            let ws = if transport.is_web() { "ws = { path = \"/ws\" }" } else { "" };
            let trunk = format!("connections = \"{connections}\"\nkeepalive = \"1s\"\n{ws}");
            let rest =
                format!("[[load]]\nhold = \"3s\"\n[registrar]\nlisten = [\"{listen}://127.0.0.1:0\"]\nthreads = 2");
            let results = run(dir.path(), &text("embedded", &trunk, &rest));
            assert_eq!((results.total("registered"), results.total("retransmissions")), (60, 0), "{over}");
            assert_eq!(results.number("/trunks/0/connections/opened"), opened, "{over}");
            assert_eq!(results.number("/latency_us/connect/count"), opened, "{over}");
            let [pings, missed] =
                ["pings", "pongs_missed"].map(|n| results.number(&format!("/trunks/0/connections/{n}")));
            assert!(pings >= 2.0 * opened && missed == 0.0, "{over} {pings} {missed}");
            assert_eq!(results.text("/conditions/transport/0"), over);
            assert!(results.text("/conditions/connection_strategy").starts_with(&format!("one {over} connection per")));
            if transport.is_secured() {
                assert_eq!(results.number("/trunks/0/connections/resumed"), 0.0, "{over}");
                assert_eq!(results.text("/conditions/tls_cipher_suite"), "TLSv1_3 TLS13_AES_256_GCM_SHA384");
            }
        }
    }
}

/// What a server may say to an upgrade, and what becomes of the registrations that wait for it.
#[test]
fn a_server_that_makes_no_websocket_is_named() {
    let cases: [(&[u8], &str, &str, &str); 4] = [
        (
            b"HTTP/1.1 403 Forbidden\r\n\r\n",
            "WebSocket upgrade refused",
            "refuses to make WebSockets",
            "HTTP 403 Forbidden",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "WebSocket upgrade refused", "refuses to make WebSockets", "HTTP 200 OK"),
        (
            b"SIP/2.0 400 Bad Request\r\n\r\n",
            "no WebSocket on that port",
            "speaks no WebSocket",
            "begins \"SIP/2.0 400",
        ),
        (b"", "no WebSocket on that port", "speaks no WebSocket", "closed instead of an answer to the upgrade"),
    ];
    for (answer, reason, summary, evidence) in cases {
        let dir = tempfile::tempdir().expect("a directory");
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = server.local_addr().expect("bound");
        let serving = std::thread::spawn(move || {
            for _ in 0..60 {
                let (mut caller, _) = server.accept().expect("a caller");
                let _ = caller.read(&mut [0; 4096]);
                let _ = caller.write_all(answer);
            }
        });
        let results = run(dir.path(), &text(&format!("sip:{at};transport=ws"), "retry = { preset = \"none\" }", ""));
        serving.join().expect("it served all");
        assert_eq!((results.total("transport_error"), results.total("messages_sent")), (60, 0), "{reason}");
        assert_eq!(results.number(&format!("/trunks/0/connections/failed/{reason}")), 60.0, "{reason}");
        expect_finding(&results, "connect.refused", summary);
        expect_evidence(&results, evidence);
    }
}

/// TLS on one side only: `wss` to a port that speaks `ws`, and the other way round.
#[test]
fn tls_on_one_side_only_is_named() {
    for (listen, trunk, summary, evidence) in [
        ("ws", "wss", "speaks no TLS", "HTTP/1.1 400 Bad Request"),
        ("wss", "ws", "speaks no WebSocket", "what came is TLS"),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let registrar = Regstorm::start(dir.path(), &["registrar", "--listen", &format!("{listen}://127.0.0.1:0")]);
        let address = clock::until("the line that says where it listens", LIMIT, || {
            let line = registrar.stdout_so_far();
            let rest = line.lines().next()?.strip_prefix(&format!("listening {listen}://"))?.to_owned();
            rest.trim().parse::<SocketAddr>().ok()
        });
        let uri = format!("sip:{address};transport={trunk}");
        let results = run(dir.path(), &text(&uri, "retry = { preset = \"none\" }\ntls = { verify = false }", ""));
        assert_eq!((results.total("transport_error"), results.total("messages_sent")), (60, 0));
        expect_finding(&results, "connect.refused", summary);
        expect_evidence(&results, evidence);
    }
}

/// What stands in the evidence of the one finding.
#[track_caller]
fn expect_evidence(results: &ResultDir, says: &str) {
    let found = results.run["findings"].as_array().expect("a list");
    let evidence = found.iter().map(|finding| finding["evidence"].to_string()).collect::<String>();
    assert!(evidence.replace("\\\"", "\"").contains(says), "{evidence}");
}

#[test]
fn a_port_nobody_listens_on_is_a_transport_error_with_its_reason() {
    let dir = tempfile::tempdir().expect("a directory");
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let trunk = "retry = { preset = \"none\" }";
    let results = run(dir.path(), &text(&format!("sip:{free};transport=tcp"), trunk, ""));
    assert_eq!(results.total("transport_error"), 60);
    assert_eq!(results.number("/trunks/0/connections/failed/connection refused"), 60.0);
    expect_finding(&results, "connect.refused", "refuses connections, from the first request to the last");
}

/// The one thing that is found besides a busy machine, and what its summary says.
#[track_caller]
fn expect_finding(results: &ResultDir, id: &str, says: &str) {
    let found = results.run["findings"].as_array().expect("a list");
    let found: Vec<_> = found.iter().filter(|finding| finding["id"] != "generator.saturated").collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((&found[0]["id"], &found[0]["severity"]), (&id.into(), &"critical".into()));
    assert!(found[0]["summary"].as_str().is_some_and(|summary| summary.contains(says)), "{}", found[0]["summary"]);
}

#[test]
fn a_server_that_takes_up_no_connection_is_not_this_machines_fault() {
    let dir = tempfile::tempdir().expect("a directory");
    let localhost: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    // Room for one: what comes after it waits outside.
    let server = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    server.bind(&localhost.into()).expect("a port");
    server.listen(0).expect("it listens");
    let at = server.local_addr().ok().and_then(|at| at.as_socket()).expect("bound");
    let _only = std::net::TcpStream::connect(at).expect("room for one");
    let trunk = "connect_timeout = \"1s\"\nretry = { preset = \"none\" }";
    let results = run(dir.path(), &text(&format!("sip:{at};transport=tcp"), trunk, ""));
    assert_eq!(results.total("transport_error"), 60);
    let failed = "/trunks/0/connections/failed/no connection within connect_timeout";
    assert_eq!(results.number(failed), 60.0);
    expect_finding(&results, "connect.refused", "does not take up connections, from the first request to the last");
}

/// What a server may do to a connection, and what becomes of the registration over it.
#[test]
fn a_server_that_speaks_no_sip_or_hangs_up_costs_an_attempt_and_no_memory() {
    let long = b"SIP/2.0 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
    let cases: [(&[u8], &str); 4] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no SIP on the connection"),
        (long, "no SIP on the connection"),
        (b"SIP/2.0 200 OK\r\nVia: half a mess", "connection closed by the server"),
        (b"", "connection closed by the server"),
    ];
    for (answer, reason) in cases {
        let dir = tempfile::tempdir().expect("a directory");
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = server.local_addr().expect("bound");
        let serving = std::thread::spawn(move || {
            for _ in 0..60 {
                let (mut caller, _) = server.accept().expect("a caller");
                let mut buffer = [0; 4096];
                let _ = caller.read(&mut buffer);
                let _ = caller.write_all(answer);
                // What it sends meanwhile is read, so that closing is no reset.
            }
        });
        let trunk = "retry = { preset = \"none\" }";
        let text = text(&format!("sip:{at};transport=tcp"), trunk, "");
        // Nobody is there any more for what might be removed in the end.
        let results = run(dir.path(), &text.replace("drain", "unregister = false\ndrain"));
        serving.join().expect("it served all");
        assert_eq!(results.total("transport_error"), 60, "{reason}");
        assert_eq!(results.number(&format!("/trunks/0/connections/lost/{reason}")), 60.0, "{reason}");
        if reason == "no SIP on the connection" {
            expect_finding(&results, "connect.refused", "speaks no SIP: 60 of 60 connections");
        } else {
            expect_finding(&results, "flow.closed-by-server", "60 of 60 connections");
        }
    }
}

#[test]
fn an_answer_in_pieces_and_two_in_one_are_read_as_what_they_are() {
    // The embedded registrar is asked byte by byte, and twice in one write.
    let dir = tempfile::tempdir().expect("a directory");
    let mut registrar = Regstorm::start(dir.path(), &["registrar", "--listen", "tcp://127.0.0.1:0"]);
    let address = clock::until("the line that says where it listens", LIMIT, || {
        let line = registrar.stdout_so_far();
        line.strip_prefix("listening tcp://").and_then(|rest| rest.trim().parse::<SocketAddr>().ok())
    });
    assert!(registrar.is_running());
    let mut caller = std::net::TcpStream::connect(address).expect("it listens");
    caller.set_read_timeout(Some(LIMIT)).expect("a timeout");
    let options = |n: u32| {
        format!(
            "OPTIONS sip:example.test SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:5;branch=z9hG4bK{n}\r\n\
             From: <sip:a@example.test>;tag=1\r\nTo: <sip:a@example.test>\r\nCall-ID: c{n}\r\nCSeq: {n} OPTIONS\r\n\
             Content-Length: 0\r\n\r\n"
        )
    };
    for byte in options(1).as_bytes() {
        caller.write_all(&[*byte]).expect("room");
    }
    caller.write_all(format!("{}\r\n\r\n{}", options(2), options(3)).as_bytes()).expect("room");
    let mut text = String::new();
    while text.matches("SIP/2.0 200 OK").count() < 3 || !text.contains("CSeq: 3 OPTIONS") {
        let mut buffer = [0; 4096];
        let len = caller.read(&mut buffer).expect("answers");
        assert!(len > 0, "closed after {text}");
        text.push_str(std::str::from_utf8(&buffer[..len]).expect("SIP"));
    }
}

#[test]
fn a_socket_of_an_agent_is_kept_alive_with_empty_lines() {
    let dir = tempfile::tempdir().expect("a directory");
    let trunk = "keepalive = \"1s\"\nsockets = \"per-agent\"";
    let results = run(dir.path(), &text("embedded", trunk, "[[load]]\nhold = \"3s\""));
    assert_eq!(results.total("registered"), 60);
    // The last of them came at the end of the first second.
    assert!(results.number("/trunks/0/connections/pings") >= 60.0 * 2.0);
}

#[test]
fn a_server_that_answers_no_keep_alive_loses_its_connections() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = server.local_addr().expect("bound");
    std::thread::spawn(move || {
        for caller in server.incoming() {
            let mut caller = caller.expect("a caller");
            std::thread::spawn(move || accept_all(&mut caller));
        }
    });
    let trunk = "keepalive = \"1s\"\nretry = { preset = \"none\" }";
    let text = text(&format!("sip:{at};transport=tcp"), trunk, "[[load]]\nhold = \"13s\"");
    let results = run(dir.path(), &text);
    assert_eq!(results.total("registered"), 60);
    assert_eq!(results.number("/trunks/0/connections/lost/keep-alive not answered within 10 s"), 60.0);
    let found = results.run["findings"].as_array().expect("a list");
    let found = found.iter().find(|finding| finding["id"] == "keepalive.unanswered").expect("found");
    assert_eq!(found["confidence"], "high", "{found:#?}");
}

/// A registrar that accepts everybody without a challenge and hears no empty line.
fn accept_all(caller: &mut std::net::TcpStream) {
    let (mut buffer, mut came) = ([0; 4096], String::new());
    while let Ok(len @ 1..) = caller.read(&mut buffer) {
        came.push_str(&String::from_utf8_lossy(&buffer[..len]));
        while let Some(end) = came.find("\r\n\r\n") {
            let request: String = came.drain(..end + 4).collect();
            let copied = ["Via", "From", "To", "Call-ID", "CSeq", "Contact"];
            let copied = request.lines().filter(|line| copied.iter().any(|name| line.starts_with(&format!("{name}:"))));
            let headers: String = copied.map(|line| format!("{line}\r\n")).collect();
            if !headers.is_empty() {
                let answer = format!("SIP/2.0 200 OK\r\n{headers}Expires: 3600\r\nContent-Length: 0\r\n\r\n");
                if caller.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        }
    }
}

// ---- Over TLS ----

const TLS: &str = "[registrar]\nlisten = [\"tls://127.0.0.1:0\"]\nthreads = 2";

/// A profile beside these PEM files.
fn beside(dir: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        std::fs::write(dir.join(name), text).expect("ours");
    }
}

fn made() -> SelfSigned {
    SelfSigned::new(vec!["127.0.0.1".to_owned()]).expect("an address")
}

#[test]
fn a_registrar_with_a_certificate_of_its_own_is_checked_against_the_trunks_ca() {
    let dir = tempfile::tempdir().expect("a directory");
    let (own, other) = (made(), made());
    beside(dir.path(), &[("c.pem", &own.certificate), ("k.pem", &own.key), ("other.pem", &other.certificate)]);
    let registrar = format!("{TLS}\ntls = {{ cert = \"c.pem\", key = \"k.pem\" }}");
    let trusting = |tls: &str| {
        let trunk = format!("tls = {{ {tls} }}\nretry = {{ preset = \"none\" }}");
        text("embedded", &trunk, &registrar)
    };
    let results = run(dir.path(), &trusting("ca = \"c.pem\", server_name = \"127.0.0.1\""));
    assert_eq!(results.total("registered"), 60);
    std::fs::remove_dir_all(dir.path().join("out")).expect("ours");
    let results = run(dir.path(), &trusting("ca = \"other.pem\", server_name = \"127.0.0.1\""));
    assert_eq!((results.total("transport_error"), results.total("messages_sent")), (60, 0));
    expect_finding(&results, "tls.certificate", "certificate of an unknown issuer: 60 of 60 connections failed");
    std::fs::remove_dir_all(dir.path().join("out")).expect("ours");
    let results = run(dir.path(), &trusting("ca = \"c.pem\", server_name = \"edge.example\""));
    expect_finding(&results, "tls.certificate", "certificate for another name: 60 of 60 connections failed");
}

/// Nothing is sent, and the message names the line, the file and what to do.
#[test]
fn a_key_that_cannot_be_used_is_named_before_anything_is_sent() {
    let dir = tempfile::tempdir().expect("a directory");
    let (own, other) = (made(), made());
    beside(dir.path(), &[("c.pem", &own.certificate), ("k.pem", &own.key), ("other.pem", &other.key)]);
    beside(dir.path(), &[("empty.pem", "")]);
    for (tls, place, says) in [
        ("cert = \"c.pem\", key = \"other.pem\"", "12:31: trunk.0.tls.key: ", "other.pem: it is not the key"),
        ("cert = \"c.pem\", key = \"c.pem\"", "12:31: trunk.0.tls.key: ", "that one goes to `cert`"),
        ("cert = \"k.pem\", key = \"k.pem\"", "12:16: trunk.0.tls.cert: ", "that one goes to `key`"),
        ("ca = \"empty.pem\"", "12:14: trunk.0.tls.ca: ", "empty.pem: there is no certificate in it"),
    ] {
        let text = text("sips:127.0.0.1", &format!("tls = {{ {tls} }}"), "");
        for command in ["run", "preflight"] {
            let finished = Regstorm::run(dir.path(), &[command, profile(dir.path(), &text)], LIMIT);
            let (said, code) = (finished.stderr(), finished.status.code());
            assert_eq!(code, Some(2), "{command} {tls}: {said}");
            assert!(said.contains(place) && said.contains(says), "{command} {tls}: {said}");
        }
    }
}
