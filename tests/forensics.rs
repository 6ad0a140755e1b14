//! Troubles of the field against a real Kamailio: each of `tests/kamailio/*.cfg` is a registrar
//! that is wrong in one way, and the run must say which. The first part holds the configurations
//! themselves to account, with sipsak.
//!
//! Needs `kamailio` and `sipsak`; `tests/all` installs them. The tests take turns (see
//! `clock::alone`) and each says how long it takes on an idle machine, nearly all of it the
//! scenario itself; the suite takes 85 s.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::clock;
use support::kamailio::{self, Config, Kamailio, PASSWORD, REALM, Settings, TENANT_REALM};
use support::program::{Finished, Regstorm, profile};
use support::results::{ResultDir, Table, number};
use tempfile::TempDir;

/// What each case is to be found as, and as nothing else.
const EXPECTED: [(&str, &[&str]); 10] = [
    ("limit", &["limit.concurrent"]),
    ("rate", &["limit.rate"]),
    // Two seconds are too short a wait for as many as come: the server keeps them going round.
    ("rate with Retry-After", &["limit.rate", "loop.retry-after"]),
    ("forbidden", &["loop.403.after-auth"]),
    ("whitelist", &["loop.403.unchallenged"]),
    ("tenant realm", &["realm.mismatch"]),
    ("oscillation", &["oscillation"]),
    ("SHA-256 only", &["algorithm.unsupported"]),
    ("both algorithms", &["loop.401"]),
    ("APAC", &[]),
];

/// Longer than every run here by far.
const LIMIT: Duration = Duration::from_secs(90);

// ---- The registrars themselves ----

/// Half a second.
#[test]
fn a_limit_counts_contacts_and_a_removal_makes_room() {
    let _turn = clock::alone();
    let kamailio = start(Config::Limit(2));
    let contact = |user: &str, port: u16| format!("sip:{user}@127.0.0.1:{port}");
    assert!(registers(&kamailio, "alice", &contact("alice", 9), 60));
    assert!(registers(&kamailio, "bob", &contact("bob", 9), 60));
    assert!(!registers(&kamailio, "carol", &contact("carol", 9), 60), "a third contact");
    assert!(!registers(&kamailio, "alice", &contact("alice", 10), 60), "a second phone of a known user");
    assert!(registers(&kamailio, "alice", &contact("alice", 9), 60), "a refresh");
    assert_eq!(kamailio.contacts(), 2);
    assert!(registers(&kamailio, "bob", &contact("bob", 9), 0), "a removal");
    assert_eq!(kamailio.contacts(), 1);
    assert!(registers(&kamailio, "carol", &contact("carol", 9), 60), "in the place of the one who left");
    assert_eq!(kamailio.contacts(), 2);
}

/// No time to speak of.
#[test]
fn the_challenge_of_both_algorithms_names_the_better_one_first() {
    let _turn = clock::alone();
    let kamailio = start_with_sha256(Config::BothAlgorithms);
    let answer = kamailio::exchange(kamailio.address(), &kamailio::request("REGISTER", "dave")).expect("an answer");
    let challenges: Vec<&str> = answer.lines().filter(|line| line.starts_with("WWW-Authenticate:")).collect();
    assert_eq!(challenges.len(), 2, "{answer}");
    assert!(challenges[0].contains("algorithm=SHA-256") && challenges[1].contains("algorithm=MD5"), "{answer}");
    assert_eq!(kamailio.contacts(), 0);
}

/// Two seconds: what is offered is also verified, in either algorithm.
#[test]
fn both_algorithms_refuse_a_wrong_password() {
    let _turn = clock::alone();
    let kamailio = start_with_sha256(Config::BothAlgorithms);
    let mut case = Case::new("both algorithms");
    for (ids, algorithm) in [(["md5-right", "md5-wrong"], "MD5"), (["sha-right", "sha-wrong"], "SHA-256")] {
        for (id, password) in ids.into_iter().zip([PASSWORD, "not it"]) {
            let keys = format!("algorithms = [\"{algorithm}\"]\nretry = {{ preset = \"none\" }}");
            case = case.trunk(&Trunk::new(id, 10).password(password).with(&keys));
        }
    }
    let past = case.start(&kamailio, "[[load]]\nrate = 40\nfor = \"1s\"").wait(1);
    past.expect_all_in("md5-right", 10);
    past.expect_all_in("sha-right", 10);
    let results = &past.results;
    assert_eq!((results.total("registered"), results.total("authentication_failed")), (20, 20));
    assert_eq!(refused_of_kind(results, "initial"), 0, "refused otherwise than by another challenge");
    past.expect_nothing_left(&kamailio);
}

/// Registers with one contact for so many seconds, with a client that is not ours.
fn registers(kamailio: &Kamailio, user: &str, contact: &str, expires_s: u32) -> bool {
    let output = Command::new("sipsak")
        .args(["-U", "-i", "-x", &expires_s.to_string(), "-a", PASSWORD, "-C", contact])
        .args(["-s", &format!("sip:{user}@{}", kamailio.address())])
        .output()
        .expect("sipsak is installed (tests/all does it)");
    output.status.success()
}

fn start(config: Config) -> Kamailio {
    Kamailio::start(Settings { config, ..Settings::default() })
}

fn start_with_sha256(config: Config) -> Kamailio {
    Kamailio::start(Settings { config, algorithm: "SHA-256", ..Settings::default() })
}

// ---- Limits ----

/// Eleven seconds: 500 agents against 400 places. Exactly 400 get in and stay; the others come
/// again and again.
#[test]
fn four_hundred_registrations_and_not_one_more() {
    let _turn = clock::alone();
    let kamailio = start(Config::Limit(400));
    let lab = Trunk::new("lab", 500).with("expires = \"6s\"\nrefresh_at = 0.5").hammering("2s");
    // One worker, so that nobody takes a place before we know that it is free.
    let running = Case::new("limit")
        .run("workers = 1")
        .trunk(&lab)
        .start(&kamailio, "[[load]]\nrate = 250\nfor = \"2s\"\n[[load]]\nhold = \"7s\"");
    clock::until("400 contacts", Duration::from_secs(15), || (kamailio.contacts() == 400).then_some(()));
    let past = running.wait(1);

    let results = &past.results;
    assert_eq!((results.total("agents_registered_peak"), results.total("agents_registered_at_end")), (400, 400));
    assert_eq!(results.total("agents_looping"), 100);
    let refused = results.total("authentication_failed");
    assert_eq!(results.total("registered") + refused, results.total("attempts"));
    assert_eq!(responses(results, "lab", "403", "Registration limit exceeded"), refused);
    let loops = results.table("loops.csv");
    assert_eq!(loops.rows.len(), 100);
    assert!(loops.rows.iter().all(|row| row["loop_kind"] == "403-after-auth" && row["code"] == "403"));
    // Whoever is in stays in: two refreshes each at least, none refused.
    assert!(results.total("refreshes") >= 800, "{} refreshes", results.total("refreshes"));
    assert_eq!(refused_of_kind(results, "refresh"), 0);
    past.expect_nothing_left(&kamailio);
}

/// Fourteen seconds: two and a half times as many as are let in each second, and those refused come
/// back soon, until all are in.
#[test]
fn a_rate_is_met_with_503_until_everybody_is_in() {
    let _turn = clock::alone();
    let kamailio = start(Config::Rate { per_second: 40, retry_after_s: None });
    let lab = Trunk::new("lab", 400).hammering("500ms");
    let running =
        Case::new("rate").trunk(&lab).start(&kamailio, "[[load]]\nrate = 100\nfor = \"4s\"\n[[load]]\nhold = \"9s\"");
    let past = running.wait(0);

    let results = &past.results;
    assert_eq!(results.total("agents_registered_at_end"), 400);
    let refused = results.total("service_unavailable");
    assert!(refused >= 200, "only {refused} refused");
    assert_eq!(responses(results, "lab", "503", "Server Unavailable"), refused);
    assert_eq!((results.total("registered"), results.total("retries")), (400, refused));
    assert!(results.total("agents_looping") > 0, "nobody came in vain three times");
    past.expect_nothing_left(&kamailio);
}

/// Fifteen seconds: the same with a Retry-After and clients that heed it.
#[test]
fn a_rate_with_retry_after_is_waited_out() {
    let _turn = clock::alone();
    let kamailio = start(Config::Rate { per_second: 45, retry_after_s: Some(2) });
    // Left to itself, this preset would come back after 15 s at the earliest, when the run is over.
    let lab = Trunk::new("lab", 450).with("retry = { preset = \"rfc\" }");
    let running = Case::new("rate with Retry-After")
        .trunk(&lab)
        .start(&kamailio, "[[load]]\nrate = 90\nfor = \"5s\"\n[[load]]\nhold = \"9s\"");
    let past = running.wait(0);

    let results = &past.results;
    assert_eq!((results.total("agents_registered_at_end"), results.total("registered")), (450, 450));
    let refused = results.total("service_unavailable");
    assert!(refused >= 100, "only {refused} refused");
    assert_eq!(results.total("retries"), refused);
    assert_eq!(responses(results, "lab", "503", "Server Unavailable"), refused);
    past.expect_nothing_left(&kamailio);
}

// ---- Refusals ----

/// Five seconds: one site has the right password, the other a wrong one and 403s for it.
#[test]
fn wrong_credentials_are_forbidden() {
    let _turn = clock::alone();
    let kamailio = start(Config::Forbidden);
    let right = Trunk::new("right", 60).hammering("1s");
    let wrong = Trunk::new("wrong", 100).password("not it").hammering("1s");
    let running = Case::new("forbidden").trunk(&right).trunk(&wrong).start(&kamailio, FOUR_SECONDS);
    let past = running.wait(1);

    let results = &past.results;
    past.expect_all_in("right", 60);
    past.expect_all_loop("wrong", 100, "403-after-auth", "authentication_failed");
    assert_eq!(responses(results, "wrong", "403", "Authentication Failed"), results.total("authentication_failed"));
    past.expect_nothing_left(&kamailio);
}

/// Five seconds: only 127.0.0.2 is known to the registrar; everybody else is refused without a
/// challenge.
#[test]
fn strangers_are_refused_unchallenged() {
    let _turn = clock::alone();
    let kamailio = start(Config::Whitelist(Ipv4Addr::new(127, 0, 0, 2)));
    let known = Trunk::new("known", 60).with("source = [\"127.0.0.2\"]").hammering("1s");
    let stranger = Trunk::new("stranger", 100).with("source = [\"127.0.0.1\", \"127.0.0.3\"]").hammering("1s");
    let running = Case::new("whitelist").trunk(&known).trunk(&stranger).start(&kamailio, FOUR_SECONDS);
    let past = running.wait(1);

    let results = &past.results;
    past.expect_all_in("known", 60);
    past.expect_all_loop("stranger", 100, "403-unchallenged", "registration_rejected");
    assert_eq!(responses(results, "stranger", "403", "Forbidden"), results.total("registration_rejected"));
    assert_eq!(responses(results, "stranger", "401", "Unauthorized"), 0);
    past.expect_nothing_left(&kamailio);
}

/// Five seconds: the challenge lacks the tenant. Who answers as challenged is refused, who insists
/// on the tenant gets in.
#[test]
fn a_realm_without_its_tenant_must_be_forced() {
    let _turn = clock::alone();
    let kamailio = start(Config::TenantRealm);
    let realm = format!("realm = \"{TENANT_REALM}\"\nrealm_policy = ");
    let insisting = Trunk::new("insisting", 60).with(&format!("{realm}\"force\"")).hammering("1s");
    let obeying = Trunk::new("obeying", 100).with(&format!("{realm}\"expect\"")).hammering("1s");
    let running = Case::new("tenant realm").trunk(&insisting).trunk(&obeying).start(&kamailio, FOUR_SECONDS);
    let past = running.wait(1);

    let results = &past.results;
    past.expect_all_in("insisting", 60);
    past.expect_all_loop("obeying", 100, "403-after-auth", "authentication_failed");
    assert_eq!(responses(results, "obeying", "403", "Forbidden"), results.total("authentication_failed"));
    past.expect_nothing_left(&kamailio);
}

/// Five seconds: MD5 is not offered any more, and one site knows nothing else.
#[test]
fn md5_is_not_offered() {
    let _turn = clock::alone();
    let kamailio = start_with_sha256(Config::Healthy);
    let modern = Trunk::new("modern", 60).hammering("1s");
    let old = Trunk::new("old", 100).with("algorithms = [\"MD5\"]").hammering("1s");
    let running = Case::new("SHA-256 only").trunk(&modern).trunk(&old).start(&kamailio, FOUR_SECONDS);
    let past = running.wait(1);

    past.expect_all_in("modern", 60);
    past.expect_all_loop("old", 100, "401", "protocol_error");
    past.expect_nothing_left(&kamailio);
}

/// Arrivals of 160 agents within a second, and time for two retries of the last of them, a second
/// apart.
const FOUR_SECONDS: &str = "[[load]]\nrate = 160\nfor = \"1s\"\n[[load]]\nhold = \"3s\"";

// ---- Coming and going ----

/// Twenty-three seconds: three periods of three good seconds and three bad ones, with bindings that
/// last two.
#[test]
fn a_registrar_that_comes_and_goes_shows_in_the_availability() {
    let _turn = clock::alone();
    let kamailio = start(Config::Oscillation { period_s: 6 });
    let lab = Trunk::new("lab", 100).with("expires = \"2s\"\nrefresh_at = 0.5").hammering("500ms");
    let running = Case::new("oscillation")
        .trunk(&lab)
        .start(&kamailio, "[[load]]\nrate = 100\nfor = \"1s\"\n[[load]]\nhold = \"20s\"");
    let past = running.wait(1);

    let results = &past.results;
    assert!(responses(results, "lab", "403", "Forbidden") > 0);
    let pct: Vec<f64> =
        results.table("availability.csv").rows.iter().map(|row| number(&row["availability_pct"])).collect();
    // Away at least three times, and back after each.
    let mut turns = 0;
    let mut up = true;
    for value in pct.iter().copied().skip(1) {
        if up && value < 20.0 || !up && value > 80.0 {
            up = !up;
            turns += 1;
        }
    }
    assert!(turns >= 6, "{turns} turns in {pct:?}");
    past.expect_nothing_left(&kamailio);
}

// ---- Fifteen trunks, three registrars ----

/// Five seconds: each of the two that are particular at a registrar that offers what it takes and
/// nothing else.
#[test]
fn apac_signs_in_at_registrars_of_one_algorithm_and_of_both() {
    sign_in_across_apac(["tyo osa sel hkg tpe", "syd mel akl bom mnl", "sin jkt kul bkk sgn"]);
}

/// Five seconds: the two that are particular at one registrar, which offers both.
#[test]
fn apac_md5_and_sha_256_share_a_registrar_that_offers_both() {
    sign_in_across_apac(["osa sel hkg tpe bom", "mel akl mnl sin", "tyo syd jkt kul bkk sgn"]);
}

/// The shipped profile at a tenth of its size. Its trunks, by city, are at a registrar that offers
/// MD5, at one that offers SHA-256, and at one that offers both.
fn sign_in_across_apac(cities: [&str; 3]) {
    let _turn = clock::alone();
    let registrars =
        [start(Config::Healthy), start_with_sha256(Config::Healthy), start_with_sha256(Config::BothAlgorithms)];
    let mut sets = vec!["run.unregister=false".to_owned(), "run.interval=1s".to_owned()];
    sets.extend(
        ["load.0.ramp=100", "load.0.for=1s", "load.1.rate=90", "load.1.for=2s", "load.2.hold=1s"].map(String::from),
    );
    // How fast a busy machine is with this is not the question.
    sets.push("thresholds={ success_ratio = \"== 1\", loops = \"== 0\" }".to_owned());
    for (registrar, cities) in registrars.iter().zip(cities) {
        for city in cities.split(' ') {
            sets.push(format!("trunk.trunk_{city}_01.registrar=sip:{}", registrar.address()));
            sets.push(format!("trunk.trunk_{city}_01.agents.count={}", tenth(city)));
        }
    }
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/apac-byoc.toml");
    let mut args = vec!["run", shipped, "--out", "out"];
    args.extend(sets.iter().flat_map(|set| ["--set", set]));
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let past = Running { case: "APAC", regstorm: Regstorm::start(dir.path(), &args), dir }.wait(0);

    let results = &past.results;
    assert_eq!((results.total("attempts"), results.total("registered")), (230, 230));
    for (registrar, cities) in registrars.iter().zip(cities) {
        let agents: u64 = cities.split(' ').map(tenth).sum();
        assert_eq!((registrar.contacts(), registrar.users()), (agents, agents), "{cities}");
        cities.split(' ').for_each(|city| past.expect_all_in(&format!("trunk_{city}_01"), tenth(city)));
    }
}

/// A tenth of a city's agents in the shipped profile.
fn tenth(city: &str) -> u64 {
    let of = [
        ("sin", 30),
        ("tyo", 25),
        ("osa", 8),
        ("sel", 12),
        ("hkg", 12),
        ("tpe", 6),
        ("mnl", 40),
        ("jkt", 10),
        ("kul", 9),
        ("bkk", 8),
        ("sgn", 7),
        ("bom", 25),
        ("syd", 20),
        ("mel", 10),
        ("akl", 8),
    ];
    of.iter().find(|(name, _)| *name == city).unwrap_or_else(|| panic!("no trunk of {city}")).1
}

// ---- Searches and experiments ----

/// Twenty seconds: the limit is searched for, and named to the agent, and nothing stays behind.
#[test]
fn the_search_for_limits_says_four_hundred() {
    let _turn = clock::alone();
    let kamailio = start(Config::Limit(400));
    let lab = Trunk::new("lab", 450);
    let finished = Case::new("limit").trunk(&lab).command(&kamailio, &["limits"], &["--only", "concurrent", "--json"]);
    finished.expect_code(0);
    let found: serde_json::Value = serde_json::from_str(&finished.stdout()).expect("limits.json");
    let limit = &found["concurrent"];
    assert_eq!((&limit["limit"], &limit["code"]), (&400.into(), &403.into()), "{found:#}");
    assert_eq!(limit["reason"], "Registration limit exceeded");
    assert_eq!(kamailio.contacts(), 0);
}

/// Fifteen seconds: one change at a time at one refused agent, until Kamailio says 200, or until
/// nothing is left to try.
#[test]
fn experiments_find_the_one_change_that_helps() {
    let _turn = clock::alone();
    let concludes = |config, trunk: Trunk, code, conclusion: &str| {
        let kamailio = start(config);
        let finished =
            Case::new("experiments").trunk(&trunk).command(&kamailio, &["diagnose", "--live"], &["--rate", "20"]);
        finished.expect_code(code);
        let last = finished.stdout().lines().last().unwrap_or_default().to_owned();
        assert!(last.starts_with(conclusion), "{}", finished.stdout());
        assert_eq!(kamailio.contacts(), 0);
    };
    let tenant = Trunk::new("lab", 3).with(&format!("realm = \"{TENANT_REALM}\""));
    concludes(Config::TenantRealm, tenant, 0, &format!("conclusion: realm = {TENANT_REALM}"));
    let stranger = Trunk::new("lab", 4).with("source = [\"127.0.0.1\", \"127.0.0.2\"]");
    let known = Ipv4Addr::new(127, 0, 0, 2);
    concludes(Config::Whitelist(known), stranger, 0, "conclusion: source = 127.0.0.2");
    let wrong = Trunk::new("lab", 3).password("not it");
    concludes(Config::Forbidden, wrong, 1, "conclusion: open: password, account");
}

// ---- A case: a profile against one Kamailio, and what came of it ----

/// A trunk of a profile.
struct Trunk {
    id: &'static str,
    agents: u32,
    password: &'static str,
    /// Further keys, as lines.
    keys: String,
}

impl Trunk {
    fn new(id: &'static str, agents: u32) -> Trunk {
        Trunk { id, agents, password: PASSWORD, keys: String::new() }
    }

    fn password(mut self, password: &'static str) -> Trunk {
        self.password = password;
        self
    }

    fn with(mut self, keys: &str) -> Trunk {
        self.keys.push_str(keys);
        self.keys.push('\n');
        self
    }

    /// Agents that come again after so long whatever the answer was, as broken softphones do.
    fn hammering(self, interval: &str) -> Trunk {
        self.with(&format!("retry = {{ preset = \"hammer\", interval = \"{interval}\", max = \"unlimited\" }}"))
    }
}

/// A profile in the making.
struct Case {
    name: &'static str,
    text: String,
    trunks: Vec<String>,
}

impl Case {
    /// A case of [`EXPECTED`].
    fn new(name: &'static str) -> Case {
        let text = format!("[run]\nname = \"{name}\"\nseed = 7\ninterval = \"1s\"\nunregister = true\n");
        Case { name, text, trunks: Vec::new() }
    }

    /// A further key of `[run]`.
    fn run(mut self, key: &str) -> Case {
        writeln!(self.text, "{key}").expect("text");
        self
    }

    fn trunk(mut self, trunk: &Trunk) -> Case {
        let Trunk { id, agents, password, keys } = trunk;
        self.trunks.push(format!(
            "[[trunk]]\nid = \"{id}\"\nregistrar = \"sip:@ADDRESS@\"\ndomain = \"{REALM}\"\n{keys}\
             agents = {{ count = {agents}, user = \"{id}{{n:05}}\", password = \"{password}\" }}\n"
        ));
        self
    }

    /// The profile with this load.
    fn profile(&self, kamailio: &Kamailio, load: &str) -> String {
        let trunks = self.trunks.join("\n").replace("@ADDRESS@", &kamailio.address().to_string());
        format!("{}\n{trunks}\n{load}\n\n[generator]\nlate = \"90ms\"\n", self.text)
    }

    /// Runs another command than `run` on the profile.
    fn command(self, kamailio: &Kamailio, command: &[&str], options: &[&str]) -> Finished {
        let dir = tempfile::tempdir().expect("a directory under /tmp");
        let text = self.profile(kamailio, "");
        let path = [profile(dir.path(), &text)];
        Regstorm::run(dir.path(), &[command, &path, options].concat(), LIMIT)
    }

    fn start(self, kamailio: &Kamailio, load: &str) -> Running {
        let text = self.profile(kamailio, load);
        let dir = tempfile::tempdir().expect("a directory under /tmp");
        let regstorm = Regstorm::start(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"]);
        Running { case: self.name, dir, regstorm }
    }
}

struct Running {
    case: &'static str,
    dir: TempDir,
    regstorm: Regstorm,
}

impl Running {
    /// Waits for the end, which must come with this exit status, balanced books and the findings of
    /// [`EXPECTED`].
    #[track_caller]
    fn wait(self, code: i32) -> Past {
        let finished = self.regstorm.wait(LIMIT);
        finished.expect_code(code);
        let out = self.dir.path().join("out");
        let results = ResultDir::open(&out);
        results.expect_balanced();
        let (_, expected) = EXPECTED.iter().find(|(case, _)| *case == self.case).expect("each case is in the table");
        finds_only(&out, expected);
        Past { results, finished, _dir: self.dir }
    }
}

/// A run that has ended.
struct Past {
    results: ResultDir,
    finished: Finished,
    /// Deleted with this.
    _dir: TempDir,
}

impl Past {
    /// So many agents of a trunk, all registered, without one refusal.
    #[track_caller]
    fn expect_all_in(&self, trunk: &str, agents: u64) {
        let rows = of_trunk(&self.results.table("agents.csv"), trunk);
        let summary = self.finished.stdout();
        assert_eq!(rows.iter().filter(|row| row["final_status"] == "registered").count() as u64, agents, "{summary}");
        assert!(
            rows.iter().all(|row| row["attempts"] == row["registered"]),
            "{trunk}: refused now and then\n{summary}"
        );
    }

    /// So many agents of a trunk, all in a loop of this kind, and no attempt of anybody else with
    /// this status.
    #[track_caller]
    fn expect_all_loop(&self, trunk: &str, agents: u64, loop_kind: &str, status: &str) {
        let rows = of_trunk(&self.results.table("agents.csv"), trunk);
        assert_eq!(rows.len() as u64, agents);
        assert!(rows.iter().all(|row| row["final_status"] == status && row["registered"] == "0"), "{rows:?}");
        let attempts: f64 = rows.iter().map(|row| number(&row["attempts"])).sum();
        assert_eq!(self.results.total(status), attempts as u64, "{status}");
        assert_eq!(self.results.total("agents_looping"), agents);
        let loops = of_trunk(&self.results.table("loops.csv"), trunk);
        assert_eq!(loops.len() as u64, agents);
        assert!(loops.iter().all(|row| row["loop_kind"] == loop_kind && number(&row["attempts"]) >= 3.0), "{loops:?}");
    }

    /// Kamailio has no binding any more; those that were not removed run out within seconds.
    #[track_caller]
    fn expect_nothing_left(&self, kamailio: &Kamailio) {
        clock::until("the last binding to go", Duration::from_secs(5), || (kamailio.contacts() == 0).then_some(()));
    }
}

type Row = std::collections::BTreeMap<String, String>;

fn of_trunk(table: &Table, trunk: &str) -> Vec<Row> {
    table.rows.iter().filter(|row| row["trunk_id"] == trunk).cloned().collect()
}

/// How often a trunk was answered this, by `responses.csv`.
fn responses(results: &ResultDir, trunk: &str, code: &str, reason: &str) -> u64 {
    let rows = of_trunk(&results.table("responses.csv"), trunk);
    let counts =
        rows.iter().filter(|row| row["code"] == code && row["reason"] == reason).map(|row| number(&row["count"]));
    counts.sum::<f64>() as u64
}

/// Responses to attempts of a kind that are neither a 2xx nor a challenge.
fn refused_of_kind(results: &ResultDir, kind: &str) -> u64 {
    let rows = results.table("responses.csv").rows;
    let refused =
        rows.iter().filter(|row| row["kind"] == kind && !row["code"].starts_with('2') && row["code"] != "401");
    refused.map(|row| number(&row["count"])).sum::<f64>() as u64
}

// ---- Findings ----

/// What a run found, from `findings.csv`: id, trunk, severity.
fn findings(dir: &Path) -> Vec<(String, String, String)> {
    let rows = Table::read(&dir.join("findings.csv")).rows;
    rows.into_iter().map(|row| (row["id"].clone(), row["trunk_id"].clone(), row["severity"].clone())).collect()
}

/// These ids and no other. That this machine was too busy is a finding too, and none about the
/// registrar.
#[track_caller]
fn finds_only(dir: &Path, expected: &[&str]) {
    let found = findings(dir);
    let ids: BTreeSet<&str> =
        found.iter().map(|(id, ..)| id.as_str()).filter(|id| *id != "generator.saturated").collect();
    let table = std::fs::read_to_string(dir.join("findings.csv")).expect("findings.csv");
    assert_eq!(ids, expected.iter().copied().collect(), "{table}");
}
