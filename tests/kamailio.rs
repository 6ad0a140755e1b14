//! Against a real registrar: Kamailio 5.6 on loopback checks every digest, and its own count of
//! contacts is held against ours. The first tests hold the harness itself to account, with sipsak
//! as an independent client.
//!
//! Needs `kamailio` and `sipsak`; `tests/all` installs them. The tests take turns (see
//! `clock::alone`).

mod support;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;
use support::clock;
use support::kamailio::{self, Config, Kamailio, PASSWORD, REALM, Settings};
use support::program::{Regstorm, profile};
use support::results::{ResultDir, number};

/// Long against everything here, short against a hang.
const LIMIT: Duration = Duration::from_secs(90);

// ---- The harness ----

#[test]
fn kamailio_accepts_the_right_password_and_counts_the_contact() {
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings::default());
    assert_eq!(kamailio.contacts(), 0);

    let wrong = sipsak(&kamailio, "alice", "not the password");
    assert!(!wrong.status.success(), "a wrong password was accepted: {}", shown(&wrong));
    assert_eq!(kamailio.contacts(), 0);

    let right = sipsak(&kamailio, "alice", PASSWORD);
    assert!(right.status.success(), "the right password was refused: {}", shown(&right));
    assert_eq!((kamailio.contacts(), kamailio.users()), (1, 1));
}

#[test]
fn kamailio_offers_the_algorithm_it_was_told_to() {
    let _turn = clock::alone();
    for algorithm in ["MD5", "SHA-256"] {
        let kamailio = Kamailio::start(Settings { algorithm, ..Settings::default() });
        let answer = kamailio::exchange(kamailio.address(), &kamailio::request("REGISTER", "bob"));
        let answer = answer.expect("an answer to a REGISTER");
        assert!(answer.starts_with("SIP/2.0 401"), "{answer}");
        let challenge = answer.lines().find(|line| line.starts_with("WWW-Authenticate:")).expect("a challenge");
        assert!(challenge.contains(&format!("realm=\"{REALM}\"")), "{challenge}");
        // MD5 is what no algorithm parameter means (RFC 7616 §3.3); Kamailio then leaves it out.
        let named = challenge.contains(&format!("algorithm={algorithm}"));
        assert!(named || algorithm == "MD5" && !challenge.contains("algorithm="), "{challenge}");
    }
}

#[test]
fn kamailio_forgets_its_contacts_when_killed_and_comes_back_on_the_same_port() {
    let _turn = clock::alone();
    let mut kamailio = Kamailio::start(Settings::default());
    assert!(sipsak(&kamailio, "carol", PASSWORD).status.success());
    assert_eq!(kamailio.contacts(), 1);
    let address = kamailio.address();
    kamailio.restart();
    assert_eq!((kamailio.address(), kamailio.contacts()), (address, 0));
    assert!(sipsak(&kamailio, "carol", PASSWORD).status.success());
    assert_eq!(kamailio.contacts(), 1);
}

/// Registers one user for a minute with a client that is not ours.
fn sipsak(kamailio: &Kamailio, user: &str, password: &str) -> Output {
    Command::new("sipsak")
        .args(["-U", "-i", "-x", "60", "-a", password])
        .args(["-s", &format!("sip:{user}@{}", kamailio.address())])
        .output()
        .expect("sipsak is installed (tests/all does it)")
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

// ---- regstorm against it ----

#[test]
fn five_thousand_agents_register_at_a_thousand_a_second() {
    register_five_thousand("MD5");
}

#[test]
fn five_thousand_agents_register_with_sha_256() {
    register_five_thousand("SHA-256");
}

/// All of 5 000 agents at 1 000/s are registered, and both sides count the same. The bindings are
/// kept, so that Kamailio can be asked afterwards.
fn register_five_thousand(algorithm: &'static str) {
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings { algorithm, ..Settings::default() });
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let run = Scenario {
        run: "unregister = false",
        trunk: format!("algorithms = [\"{algorithm}\"]"),
        agents: 5_000,
        load: "[[load]]\nrate = 1000\nfor = \"5s\"",
    };
    run.start(&kamailio, dir.path()).wait(Duration::from_secs(60)).expect_code(0);

    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!(results.text("/verdict"), "pass");
    assert_eq!((results.total("attempts"), results.total("registered")), (5_000, 5_000));
    assert_eq!(results.total("agents_registered_at_end"), 5_000);
    assert_eq!((kamailio.contacts(), kamailio.users()), (5_000, 5_000));
    let agents = results.table("agents.csv");
    assert_eq!(agents.rows.iter().filter(|row| row["final_status"] == "registered").count(), 5_000);
    // Each handshake was one challenge and one 200.
    let responses = results.table("responses.csv");
    let count = |code: &str| -> f64 {
        let rows = responses.rows.iter().filter(|row| row["kind"] == "initial" && row["code"] == code);
        rows.map(|row| number(&row["count"])).sum()
    };
    assert_eq!((count("401"), count("200")), (5_000.0, 5_000.0));
}

/// One port for each agent, from four addresses of this machine: as many contacts, each at an
/// address of its own.
#[test]
fn five_thousand_agents_with_a_socket_each_from_four_addresses() {
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings::default());
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let run = Scenario {
        run: "unregister = false",
        trunk: "sockets = \"per-agent\"\nsource = [\"127.0.0.1\", \"127.0.0.2\", \"127.0.0.3\", \"127.0.0.4\"]".into(),
        agents: 5_000,
        load: "[[load]]\nrate = 1000\nfor = \"5s\"",
    };
    run.start(&kamailio, dir.path()).wait(Duration::from_secs(60)).expect_code(0);
    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!(results.total("registered"), 5_000);
    assert_eq!((kamailio.contacts(), kamailio.users()), (5_000, 5_000));
}

/// Phones that share users and a socket: a contact each, however many workers there are.
#[test]
fn four_phones_of_one_user_are_four_contacts() {
    let _turn = clock::alone();
    for workers in [1, 2] {
        let kamailio = Kamailio::start(Settings::default());
        let dir = tempfile::tempdir().expect("a directory under /tmp");
        let rows: String = (0..100).map(|n| format!("agent{n:05},{PASSWORD}\n").repeat(4)).collect();
        std::fs::write(dir.path().join("phones.csv"), format!("user,password\n{rows}")).expect("our own directory");
        let text = format!(
            "[run]\ninterval = \"5s\"\nunregister = false\nworkers = {workers}\n[[trunk]]\nid = \"t\"\n\
             registrar = \"sip:{}\"\ndomain = \"{REALM}\"\nagents = {{ csv = \"phones.csv\" }}\n\
             [[load]]\nrate = 200\nfor = \"2s\"\n",
            kamailio.address()
        );
        let args = ["run", profile(dir.path(), &text), "--out", "out", "--live", "off"];
        Regstorm::run(dir.path(), &args, Duration::from_secs(60)).expect_code(0);
        let results = ResultDir::open(&dir.path().join("out"));
        assert_eq!(results.total("registered"), 400);
        assert_eq!((kamailio.contacts(), kamailio.users()), (400, 100), "with {workers} workers");
    }
}

/// RFC 3261 §22.3: a proxy and the registrar behind it challenge each for its realm; nobody is
/// turned away for that, and nothing is found.
#[test]
fn a_proxy_and_the_registrar_behind_it_both_challenge() {
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings::default());
    let edge = Kamailio::start(Settings { config: Config::Edge(kamailio.address()), ..Settings::default() });
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let run = Scenario {
        run: "unregister = false",
        trunk: format!("outbound_proxy = \"sip:{};lr\"\nexpires = \"6s\"\nrefresh_at = 0.5", edge.address()),
        agents: 500,
        load: "[[load]]\nrate = 250\nfor = \"2s\"\n[[load]]\nhold = \"6s\"",
    };
    run.start(&kamailio, dir.path()).wait(Duration::from_secs(60)).expect_code(0);
    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!((results.total("agents_registered_at_end"), kamailio.contacts()), (500, 500));
    assert_eq!(results.total("registered"), results.total("attempts"));
    assert!(results.total("refreshes") >= 500);
    // Three requests for the first registration of each, and one for each refresh: the credentials
    // of both realms are kept.
    assert_eq!(results.total("register_requests"), 3 * 500 + results.total("refreshes"));
    let found: Vec<String> = results.table("findings.csv").rows.iter().map(|row| row["id"].clone()).collect();
    assert!(found.iter().all(|id| id == "generator.saturated"), "{found:?}");
}

/// A registrar that asks each phone whether it is there, and gives up whom it does not hear:
/// directly, and by way of an edge from whose other port the questions come.
#[test]
fn two_thousand_phones_are_there_for_a_registrar_that_pings() {
    const AGENTS: u64 = 2_000;
    // A twentieth is asked each second: when so many rounds are over a phone that was never heard is
    // gone, and one of which a datagram or two were lost is not.
    const QUESTIONS: u64 = 4;
    let _turn = clock::alone();
    for by_edge in [false, true] {
        let kamailio = Kamailio::start(Settings { config: Config::Pinging { kept_s: 65 }, ..Settings::default() });
        let next = kamailio.address();
        let config = Config::PathEdge { next, other: kamailio::free_port() };
        let edge = by_edge.then(|| Kamailio::start(Settings { config, ..Settings::default() }));
        let proxy = edge.as_ref().map(|edge| format!("outbound_proxy = \"sip:{};lr\"\n", edge.address()));
        let dir = tempfile::tempdir().expect("a directory under /tmp");
        let scenario = Scenario {
            run: "unregister = false",
            trunk: proxy.unwrap_or_default() + "expires = \"1h\"",
            agents: 2_000,
            load: "[[load]]\nrate = 500\nfor = \"4s\"\n[[load]]\nhold = \"5m\"",
        };
        let run = scenario.start(&kamailio, dir.path());
        clock::until("everybody to be bound", LIMIT, || (kamailio.contacts() == AGENTS).then_some(()));
        let before = kamailio.answers();
        clock::until("everybody to have answered", 2 * LIMIT, || {
            (kamailio.answers() - before >= AGENTS * QUESTIONS).then_some(())
        });
        assert_eq!(kamailio.contacts(), AGENTS, "by an edge: {by_edge}");
        run.signal("INT");
        run.wait(LIMIT);
        let results = ResultDir::open(&dir.path().join("out"));
        let asked = results.run["trunks"][0]["asked"].as_array().cloned().unwrap_or_default();
        let options: Vec<_> = asked.iter().filter(|row| row["method"] == "OPTIONS").collect();
        assert!(options.iter().all(|row| row["answered"] == 200), "{asked:?}");
        let agents: u64 = options.iter().filter_map(|row| row["agents"].as_u64()).sum();
        assert_eq!(agents, AGENTS, "by an edge: {by_edge}: {asked:?}");
    }
}

/// Everybody at once: all come in, and the run says how soon.
#[test]
fn an_avalanche_of_five_thousand_is_timed() {
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings::default());
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let run = Scenario {
        run: "unregister = false",
        trunk: "retry = { preset = \"rfc\", interval = \"1s\" }".into(),
        agents: 5_000,
        load: "[[load]]\navalanche = 1.0\n\n[[load]]\nhold = \"40s\"\n\n[safety]\nmax_message_rate = 200000\n\n\
               [generator]\nlate = \"500ms\"",
    };
    let finished = run.start(&kamailio, dir.path()).wait(Duration::from_secs(120));
    finished.expect_code(0);
    assert!(finished.stdout().contains("100 % after"), "{}", finished.stdout());
    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!(results.total("agents_registered_at_end"), 5_000);
    assert_eq!(kamailio.contacts(), 5_000);
    let after: Vec<f64> =
        ["50", "90", "99", "100"].iter().map(|share| results.number(&format!("/signed_in_after_s/{share}"))).collect();
    assert!(after[0] > 0.0 && after.is_sorted(), "{after:?}");
}

#[test]
fn refreshes_keep_a_thousand_agents_alive_over_many_lifetimes() {
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings::default());
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    // Kamailio counts lifetimes in whole seconds of the wall clock, so 5 s may mean little more
    // than 4: refresh after 3.5.
    let run = Scenario {
        run: "unregister = true",
        trunk: "expires = \"5s\"\nrefresh_at = 0.7".to_owned(),
        agents: 1_000,
        load: "[[load]]\nrate = 500\nfor = \"2s\"\n[[load]]\nhold = \"30s\"",
    };
    let started = clock::now();
    let regstorm = run.start(&kamailio, dir.path());
    clock::until("1 000 contacts", Duration::from_secs(15), || (kamailio.contacts() == 1_000).then_some(()));
    // Until shortly before the load ends at 32 s, Kamailio must never miss one of them.
    while started.elapsed() < Duration::from_secs(30) {
        assert_eq!(kamailio.contacts(), 1_000, "contacts {:?} into the run", started.elapsed());
        assert_eq!(kamailio.expired(), 0, "bindings ran out at Kamailio {:?} into the run", started.elapsed());
        clock::let_pass(Duration::from_millis(100));
    }
    regstorm.wait(Duration::from_secs(60)).expect_code(0);

    // Afterwards they may: un-REGISTERs are paced over two seconds, and refreshes have ended.
    assert_eq!(kamailio.contacts(), 0, "un-REGISTER left bindings behind");
    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!(results.total("registered"), results.total("attempts"));
    assert_eq!(results.total("agents_registered_at_end"), 1_000);
    // 30 s of hold at one refresh in at most 3.85 s (3.5 s and its jitter) are 7 each at least, 10
    // at most.
    let refreshes = results.total("refreshes");
    assert!((7_000..=11_000).contains(&refreshes), "{refreshes} refreshes");
    assert_eq!(results.number("/latency_us/refresh/count") as u64, refreshes);
}

#[test]
fn un_register_leaves_no_contact_behind() {
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings::default());
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let run = Scenario {
        run: "unregister = true",
        trunk: String::new(),
        agents: 1_000,
        load: "[[load]]\nrate = 500\nfor = \"2s\"\n[[load]]\nhold = \"1s\"",
    };
    let regstorm = run.start(&kamailio, dir.path());
    clock::until("1 000 contacts", Duration::from_secs(15), || (kamailio.contacts() == 1_000).then_some(()));
    regstorm.wait(Duration::from_secs(60)).expect_code(0);

    assert_eq!((kamailio.contacts(), kamailio.expired()), (0, 0));
    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!(results.total("registered"), 1_000);
    assert_eq!(results.number("/latency_us/unregister/count"), 1_000.0);
}

/// A run that is killed leaves its bindings; a sweep finds them at ports nobody remembers and
/// removes them, from each address of the run.
#[test]
fn a_sweep_removes_what_a_killed_run_left() {
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings::default());
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let run = Scenario {
        run: "unregister = true",
        trunk: "sockets = \"per-agent\"\nsource = [\"127.0.0.1\", \"127.0.0.2\"]".to_owned(),
        agents: 300,
        load: "[[load]]\nrate = 300\nfor = \"1s\"\n[[load]]\nhold = \"1h\"",
    };
    let regstorm = run.start(&kamailio, dir.path());
    clock::until("300 contacts", Duration::from_secs(15), || (kamailio.contacts() == 300).then_some(()));
    // Another phone of another user.
    assert!(sipsak(&kamailio, "alice", PASSWORD).status.success());
    regstorm.signal("KILL");
    regstorm.wait(Duration::from_secs(10));
    assert_eq!(kamailio.contacts(), 301);

    let sweep = || Regstorm::run(dir.path(), &["sweep", "out"], Duration::from_secs(60));
    let swept = sweep();
    assert_eq!(
        swept.expect_code(0).stdout(),
        "lab: 300 agents looked up, 300 bindings found, 300 removed\n\
         300 bindings removed; nothing of this run is left\n"
    );
    assert_eq!(kamailio.contacts(), 1);
    assert!(sweep().expect_code(0).stdout().ends_with("nothing of this run is left\n"));
}

#[test]
fn every_agent_comes_back_after_the_registrar_lost_its_memory() {
    let _turn = clock::alone();
    let mut kamailio = Kamailio::start(Settings::default());
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let run = Scenario {
        run: "interval = \"2s\"\nunregister = true",
        trunk: "expires = \"5s\"\nrefresh_at = 0.7\nretry = { preset = \"hammer\", interval = \"1s\" }".to_owned(),
        agents: 500,
        load: "[[load]]\nrate = 500\nfor = \"1s\"\n[[load]]\nhold = \"30s\"",
    };
    let regstorm = run.start(&kamailio, dir.path());
    clock::until("500 contacts", Duration::from_secs(15), || (kamailio.contacts() == 500).then_some(()));
    kamailio.kill();
    // The outage: longer than a lifetime, so that every binding runs out on our side too.
    clock::let_pass(Duration::from_secs(8));
    kamailio.restart();
    clock::until("500 contacts again", Duration::from_secs(15), || (kamailio.contacts() == 500).then_some(()));
    regstorm.wait(Duration::from_secs(90)).expect_code(0);

    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!(results.total("agents_registered_at_end"), 500);
    assert!(results.table("agents.csv").rows.iter().all(|row| row["final_status"] == "registered"));
    assert!(results.number("/totals/availability_pct") < 95.0);
    let pct = |row: &std::collections::BTreeMap<String, String>| number(&row["availability_pct"]);
    let availability = results.table("availability.csv").rows;
    assert!(availability.iter().any(|row| pct(row) < 10.0), "the outage does not show: {availability:?}");
    let last = availability.last().expect("a run of 31 s has intervals of 2 s");
    assert_eq!((pct(last), last["agents_registered"].as_str()), (100.0, "500"));
}

/// A registrar that forgets everything tells nobody; audits see it, and OPTIONS go on being
/// answered.
#[test]
fn audits_see_that_a_restarted_registrar_has_forgotten_the_bindings() {
    let _turn = clock::alone();
    let mut kamailio = Kamailio::start(Settings::default());
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let run = Scenario {
        run: "unregister = false",
        trunk: "audit = 1.0\nqualify = \"4s\"".into(),
        agents: 200,
        load: "[[load]]\nrate = 200\nfor = \"1s\"\n[[load]]\nhold = \"16s\"",
    };
    let regstorm = run.start(&kamailio, dir.path());
    clock::until("200 contacts", Duration::from_secs(20), || (kamailio.contacts() == 200).then_some(()));
    // Some audits find everything in order: this is what a registrar that lists nothing never
    // shows.
    clock::until("audits and OPTIONS", Duration::from_secs(20), || (kamailio.requests("options") >= 50).then_some(()));
    kamailio.restart();
    regstorm.wait(Duration::from_secs(90));

    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    assert_eq!(results.total("agents_registered_at_end"), 200, "nobody is told");
    let audits = |outcome: &str| results.number(&format!("/trunks/0/checks/audit/outcomes/{outcome}"));
    assert!(audits("held") > 0.0 && audits("missing") > 0.0);
    let findings = results.table("findings.csv");
    let lost = findings.rows.iter().find(|row| row["id"] == "binding.lost").expect("the finding");
    assert_eq!(lost["severity"], "critical");
    assert!(lost["summary"].contains("find the binding gone"), "{}", lost["summary"]);
    assert!(results.number("/trunks/0/checks/qualify/outcomes/answered") > 400.0);
    assert!(results.number("/latency_us/options/count") > 400.0);
}

/// A profile against one Kamailio, in the parts that differ from test to test.
struct Scenario {
    /// Further keys of `[run]`.
    run: &'static str,
    /// Further keys of the trunk.
    trunk: String,
    agents: u32,
    load: &'static str,
}

impl Scenario {
    fn start(&self, kamailio: &Kamailio, dir: &Path) -> Regstorm {
        let Scenario { run, trunk, agents, load } = self;
        let address = kamailio.address();
        let text = format!(
            "[run]\nname = \"kamailio\"\nseed = 7\n{run}\n\n[[trunk]]\nid = \"lab\"\nregistrar = \"sip:{address}\"\n\
             domain = \"{REALM}\"\nrealm = \"{REALM}\"\n{trunk}\n\
             agents = {{ count = {agents}, user = \"agent{{n:05}}\", password = \"{PASSWORD}\" }}\n\n{load}\n"
        );
        Regstorm::start(dir, &["run", profile(dir, &text), "--out", "out"])
    }
}
