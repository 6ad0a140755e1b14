//! Connections to a real registrar: Kamailio over TCP, over TLS, and over WebSocket on either. Its
//! own count of contacts is held against ours; killed and started again in mid-run, it gets every
//! agent back.
//!
//! Needs `kamailio`, `kamailio-tls-modules` and `kamailio-websocket-modules`; `tests/all` installs
//! them.

mod support;

use std::path::Path;
use std::time::Duration;
use support::clock;
use support::kamailio::{Config, Kamailio, PASSWORD, REALM, Settings};
use support::program::{Regstorm, profile};
use support::results::ResultDir;

const LIMIT: Duration = Duration::from_secs(120);
const AGENTS: u64 = 400;
const ALL: f64 = 400.0;

/// 400 agents at 200/s, which come back a second after they failed and stay for `hold` seconds.
fn text(registrar: &str, trunk: &str, hold: u32) -> String {
    format!(
        "[run]\nname = \"streams\"\nseed = 7\ninterval = \"1s\"\ndrain = \"5s\"\nunregister = false\n\n\
         [[trunk]]\nid = \"t\"\nregistrar = \"{registrar}\"\ndomain = \"{REALM}\"\nexpires = \"10m\"\n\
         agents = {{ count = {AGENTS}, user = \"agent{{n:05}}\", password = \"{PASSWORD}\" }}\n\
         retry = {{ preset = \"hammer\" }}\n{trunk}\n\n\
         [[load]]\nrate = 200\nfor = \"2s\"\n[[load]]\nhold = \"{hold}s\"\n"
    )
}

fn start(dir: &Path, text: &str) -> Regstorm {
    Regstorm::start(dir, &["run", profile(dir, text), "--out", "out", "--live", "off"])
}

fn results(dir: &Path) -> ResultDir {
    let results = ResultDir::open(&dir.join("out"));
    results.expect_balanced();
    assert_eq!(results.total("retransmissions"), 0);
    results
}

/// Everybody registers, refreshes and keeps its connection alive, and both sides count the same.
fn all_register(over: &Over) {
    let many = over.many;
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings { config: over.config, ..Settings::default() });
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let trunk = format!("keepalive = \"3s\"\nrefresh_at = 0.5\n{}", over.trunk(&kamailio));
    let text = text(&over.uri(&kamailio), &trunk, 10)
        .replace("expires = \"10m\"", "expires = \"10s\"")
        .replace(&format!("count = {AGENTS}"), &format!("count = {many}"))
        .replace("rate = 200\nfor = \"2s\"", &format!("rate = {}\nfor = \"5s\"", many / 5));
    let run = start(dir.path(), &text);
    clock::until("everybody to be registered", LIMIT, || (kamailio.contacts() == many).then_some(()));
    assert_eq!(kamailio.connections(), many, "one for each");
    let finished = run.wait(LIMIT);
    assert!(finished.status.code() != Some(2), "{}", finished.stderr());
    assert_eq!((kamailio.contacts(), kamailio.expired()), (many, 0));
    let results = results(dir.path());
    assert_eq!((results.total("initial"), results.total("registered")), (many, results.total("attempts")));
    assert!(results.total("refreshes") >= many, "{}", results.total("refreshes"));
    let of = |name: &str| results.number(&format!("/trunks/0/connections/{name}"));
    let all = many as f64;
    assert_eq!((of("opened"), of("open")), (all, all));
    // It answers every keep-alive.
    assert!(of("pings") >= 2.0 * all && of("pongs_missed") == 0.0, "{} {}", of("pings"), of("pongs_missed"));
}

/// Killed while everybody is registered, and started again: every connection is lost, and every
/// agent is back with a new one.
fn all_come_back(over: &Over) {
    let _turn = clock::alone();
    let mut kamailio = Kamailio::start(Settings { config: over.config, ..Settings::default() });
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let run = start(dir.path(), &text(&over.uri(&kamailio), &over.trunk(&kamailio), 600));
    clock::until("everybody to be registered", LIMIT, || (kamailio.contacts() == AGENTS).then_some(()));
    kamailio.restart();
    clock::until("everybody to be back", LIMIT, || (kamailio.contacts() == AGENTS).then_some(()));
    run.signal("INT");
    run.wait(LIMIT);
    let results = results(dir.path());
    assert_eq!(results.total("agents_registered_at_end"), AGENTS);
    assert_eq!(results.total("agents_reachable_at_end"), AGENTS);
    let lost = results.number("/trunks/0/connections/opened") - results.number("/trunks/0/connections/open");
    assert_eq!((lost, results.number("/trunks/0/connections/open")), (ALL, ALL));
    let found = results.run["findings"].as_array().expect("a list");
    assert!(found.iter().any(|finding| finding["id"] == "flow.closed-by-server"), "{found:#?}");
}

/// A connection of each kind, as Kamailio serves it and agents ask for it.
struct Over {
    config: Config,
    /// Of the registrar's URI: its scheme, and its parameters.
    uri: (&'static str, &'static str),
    secured: bool,
    web: bool,
    /// Agents that register within 5 s. Over TLS one process of Kamailio's has all connections.
    many: u64,
}

const TCP: Over = Over { config: Config::Tcp, uri: ("sip", ";transport=tcp"), secured: false, web: false, many: 2_000 };
const TLS: Over = Over { config: Config::Tls, uri: ("sips", ""), secured: true, web: false, many: 400 };
const WS: Over = Over { config: Config::Ws, uri: ("sip", ";transport=ws"), secured: false, web: true, many: 2_000 };
const WSS: Over = Over { config: Config::Wss, uri: ("sips", ";transport=ws"), secured: true, web: true, many: 400 };

impl Over {
    fn uri(&self, kamailio: &Kamailio) -> String {
        let (scheme, parameters) = self.uri;
        format!("{scheme}:{}{parameters}", kamailio.address())
    }

    /// The lines of a trunk that it takes.
    fn trunk(&self, kamailio: &Kamailio) -> String {
        let tls = if self.secured { trusting(kamailio) } else { String::new() };
        format!("{tls}\n{}", if self.web { AT_WS } else { "" })
    }
}

/// What a phone in a browser asks for.
const AT_WS: &str = "ws = { path = \"/ws\", headers = { Origin = \"https://desk.example\" } }";

fn trusting(kamailio: &Kamailio) -> String {
    format!("tls = {{ ca = \"{}\" }}", kamailio.certificate().display())
}

#[test]
fn every_agent_registers_over_tcp() {
    all_register(&TCP);
}

#[test]
fn every_agent_is_back_over_tcp_after_a_restart() {
    all_come_back(&TCP);
}

#[test]
fn every_agent_registers_over_tls() {
    all_register(&TLS);
}

#[test]
fn every_agent_is_back_over_tls_after_a_restart() {
    all_come_back(&TLS);
}

#[test]
fn every_agent_registers_over_websocket() {
    all_register(&WS);
}

#[test]
fn every_agent_is_back_over_websocket_after_a_restart() {
    all_come_back(&WS);
}

#[test]
fn every_agent_registers_over_secured_websocket() {
    all_register(&WSS);
}

#[test]
fn every_agent_is_back_over_secured_websocket_after_a_restart() {
    all_come_back(&WSS);
}

/// Bindings are refreshed over the connection they were made on, and stay one for each agent.
#[test]
fn a_binding_over_websocket_is_refreshed() {
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings { config: Config::Ws, ..Settings::default() });
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let text = text(&WS.uri(&kamailio), AT_WS, 14).replace("expires = \"10m\"", "expires = \"10s\"\nrefresh_at = 0.6");
    start(dir.path(), &text).wait(LIMIT);
    let results = results(dir.path());
    assert_eq!(results.total("initial"), AGENTS);
    assert!(results.total("refreshes") >= AGENTS, "{}", results.total("refreshes"));
    assert_eq!(results.total("registered"), results.total("attempts"));
    assert_eq!((kamailio.contacts(), kamailio.expired()), (AGENTS, 0));
    assert_eq!(results.number("/trunks/0/connections/opened"), ALL);
}

/// Another path than the server's, and a port without WebSocket.
#[test]
fn an_upgrade_that_is_refused_is_named() {
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings { config: Config::Ws, ..Settings::default() });
    let path = ["connect.refused", "refuses to make WebSockets of them", "HTTP 404 Not Found"];
    refused(&WS.uri(&kamailio), "", path);
}

/// Nobody registers, nothing is sent, and what is found says which check failed: the id, part of
/// its summary, and part of its evidence.
fn refused(registrar: &str, trunk: &str, [id, summary, evidence]: [&str; 3]) {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    start(dir.path(), &text(registrar, trunk, 1).replace("hammer", "none")).wait(LIMIT);
    let results = results(dir.path());
    assert_eq!((results.total("transport_error"), results.total("messages_sent")), (AGENTS, 0));
    let found = results.run["findings"].as_array().expect("a list");
    // The machine may be busy besides.
    let found = found.iter().find(|finding| finding["id"] == id).unwrap_or_else(|| panic!("{found:#?}"));
    assert_eq!(found["severity"], "critical");
    for (part, whole) in [(summary, "summary"), (evidence, "evidence")] {
        let whole = found[whole].as_str().expect("a text");
        assert!(whole.contains(part), "{whole}");
    }
}

/// The agents of a list, each with a certificate of its own; `cert_of` says whose an agent shows.
fn listed(dir: &Path, kamailio: &Kamailio, agents: usize, cert_of: impl Fn(usize) -> usize) -> String {
    let mut rows = "user,password,tls_cert,tls_key\n".to_owned();
    for n in 0..agents {
        let (cert, key) = kamailio.client_certificate(&format!("agent{n:05}"));
        std::fs::write(dir.join(format!("c{n}.pem")), cert).expect("our own directory");
        std::fs::write(dir.join(format!("k{n}.pem")), key).expect("our own directory");
        let shown = cert_of(n);
        rows.push_str(&format!("agent{n:05},{PASSWORD},c{shown}.pem,k{shown}.pem\n"));
    }
    std::fs::write(dir.join("agents.csv"), rows).expect("our own directory");
    let pattern = format!("count = {AGENTS}, user = \"agent{{n:05}}\", password = \"{PASSWORD}\"");
    text(&TLS.uri(kamailio), &TLS.trunk(kamailio), 1).replace(&pattern, "csv = \"agents.csv\"")
}

/// Kamailio takes nobody without a certificate, and everybody only as the user it is for.
#[test]
fn every_agent_shows_a_certificate_of_its_own() {
    const LISTED: usize = 40;
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings { config: Config::TlsClients, ..Settings::default() });
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let own = listed(dir.path(), &kamailio, LISTED, |n| n);
    start(dir.path(), &own).wait(LIMIT);
    let seen = results(dir.path());
    assert_eq!((seen.total("attempts"), seen.total("registered")), (LISTED as u64, LISTED as u64));
    assert_eq!(kamailio.contacts(), LISTED as u64);
    // Single agents show theirs as well.
    for args in [
        &["preflight", profile(dir.path(), &own)][..],
        &["watch", profile(dir.path(), &own), "--every", "200ms", "--for", "1s", "--recover-after", "1"],
        &["diagnose", "--live", profile(dir.path(), &own), "--agent", "agent00007"],
        &["sweep", "out", "--all"],
    ] {
        Regstorm::run(dir.path(), args, LIMIT).expect_code(0);
    }
    assert_eq!(kamailio.contacts(), 0, "swept");
    // Somebody else's is no use.
    let other = tempfile::tempdir().expect("a directory under /tmp");
    start(other.path(), &listed(other.path(), &kamailio, 4, |n| n ^ 1)).wait(LIMIT);
    let seen = results(other.path());
    assert!(seen.total("registration_rejected") >= 4 && seen.total("registered") == 0, "403 to each");
}

/// What is wrong with an agent's files is told by file and line, before anything is sent.
#[test]
fn an_agents_certificate_that_is_of_no_use_is_named_by_its_row() {
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings { config: Config::TlsClients, ..Settings::default() });
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let text = listed(dir.path(), &kamailio, 4, |n| n);
    std::fs::write(dir.path().join("c2.pem"), "nothing").expect("our own directory");
    let refused = Regstorm::run(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"], LIMIT);
    refused.expect_code(2);
    let said = refused.stderr();
    assert!(said.contains("agents.csv line 4: tls_cert c2.pem: there is no certificate in it"), "{said}");
    // Another one's: it does not go with the key.
    let (cert, _) = kamailio.client_certificate("agent00002");
    std::fs::write(dir.path().join("c2.pem"), cert).expect("our own directory");
    let refused = Regstorm::run(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"], LIMIT);
    refused.expect_code(2);
    assert!(refused.stderr().contains("agents.csv line 4: tls_key k2.pem: "), "{}", refused.stderr());
}

/// A certificate that nobody we trust has issued, one for another name, and a port that speaks no
/// TLS.
#[test]
fn a_check_that_fails_is_named() {
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings { config: Config::Tls, ..Settings::default() });
    let other = Kamailio::start(Settings { config: Config::Tls, ..Settings::default() });
    let plain = Kamailio::start(Settings { config: Config::Tcp, ..Settings::default() });
    let issuer = ["tls.certificate", "certificate of an unknown issuer: 400 of 400", "none of the trusted authorities"];
    refused(&TLS.uri(&kamailio), &trusting(&other), issuer);
    let elsewhere = trusting(&kamailio).replace(" }", ", server_name = \"edge.example.net\" }");
    let name = ["tls.certificate", "certificate for another name: 400 of 400", "for 127.0.0.1, valid from"];
    refused(&TLS.uri(&kamailio), &elsewhere, name);
    let impatient = format!("{}\nconnect_timeout = \"1s\"", trusting(&kamailio));
    let no_tls = ["connect.refused", "takes connections up and does not answer TLS", "TLS not answered within"];
    refused(&TLS.uri(&plain), &impatient, no_tls);
}

/// With `verify = false` anybody is taken for the registrar, and that is said aloud.
#[test]
fn a_certificate_that_nobody_checks_is_said_aloud() {
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings { config: Config::Tls, ..Settings::default() });
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let finished = start(dir.path(), &text(&TLS.uri(&kamailio), "tls = { verify = false }", 1)).wait(LIMIT);
    assert_eq!(results(dir.path()).total("registered"), AGENTS);
    assert!(finished.stdout().contains("CERTIFICATES NOT CHECKED on t"), "{}", finished.stdout());
}
