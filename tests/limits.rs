//! The search for limits against the embedded registrar: limits of every kind and many sizes, each
//! found and named right, under virtual time; then a few through the program and real sockets.
//! Afterwards nobody is registered any more.

mod support;

use regstorm::agent::{Credential, IdentityBook, RetryPolicy, TrunkPolicy};
use regstorm::link::LinkConfig;
use regstorm::load::search::concurrent::{CountedScope, FillRate};
use regstorm::load::search::rate::{LimitKind, MOST_PROBES, ProbingSettings};
use regstorm::load::search::{Confidence, FoundRate, Orders, SearchMethod, Stop, Survey, survey};
use regstorm::registrar::{Config, Delay, Fault, FaultKind, LimitScope, MaxContacts};
use regstorm::seed::Seed;
use regstorm::sim::trial::{SimField, SimFieldConfig};
use regstorm::sip::Algorithm;
use regstorm::vocab::{Secret, TrunkId};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A registrar, and who registers there.
struct Case {
    agents: u32,
    /// Names in the credentials; as many as agents unless said otherwise.
    accounts: u32,
    other_trunk: bool,
    registrar: Config,
    objective: Option<Duration>,
    concurrent: bool,
    rate: bool,
    /// Nobody else registers there, as somebody stated.
    exclusive: bool,
}

fn case(agents: u32, faults: impl IntoIterator<Item = FaultKind>) -> Case {
    let everyone = |kind| Fault {
        kind,
        from: Duration::ZERO,
        until: None,
        share: 1.0,
        sources: Vec::new(),
        addresses: Vec::new(),
        domain: None,
    };
    Case {
        agents,
        accounts: agents,
        other_trunk: false,
        registrar: Config {
            algorithms: vec![Algorithm::Md5],
            faults: faults.into_iter().map(everyone).collect(),
            ..Config::open("x.test", "secret")
        },
        objective: None,
        concurrent: true,
        rate: false,
        exclusive: true,
    }
}

fn rate_case(agents: u32, faults: impl IntoIterator<Item = FaultKind>) -> Case {
    Case { concurrent: false, rate: true, ..case(agents, faults) }
}

fn limit(concurrent: u32, scope: LimitScope, code: u16, reason: &str) -> FaultKind {
    FaultKind::Limit { concurrent, scope, code, reason: reason.into() }
}

fn rate(per_second: f64, burst: u32) -> FaultKind {
    let (reason, retry_after_s) = ("Service Unavailable".into(), Some(5));
    FaultKind::Rate { per_second, burst, code: 503, reason, retry_after_s }
}

fn policy(domain: &str) -> TrunkPolicy {
    TrunkPolicy { retry: RetryPolicy::ASTERISK, ..TrunkPolicy::plain(domain) }
}

/// Searches, and asserts what every search owes: it was not stopped, and nobody is registered
/// afterwards.
#[track_caller]
fn search(case: Case) -> Survey {
    let (found, left) = attempt(case);
    assert_eq!((found.stopped.clone(), found.left_bound, left), (None, 0, 0), "{:#?}", found.steps);
    found
}

/// Searches; what was found, and how many contacts the registrar is left with.
fn attempt(case: Case) -> (Survey, usize) {
    let mut identities = IdentityBook::default();
    let secret = identities.credential(Credential::Password(Secret::new("secret")));
    for n in 0..case.agents {
        identities.push(TrunkId(0), n, &format!("agent{n:05}"), &format!("account{}", n % case.accounts), secret);
    }
    for n in 0..if case.other_trunk { 3 } else { 0 } {
        identities.push(TrunkId(1), n, &format!("other{n}"), &format!("other{n}"), secret);
    }
    let (mut trial, roster) = SimField::new(SimFieldConfig {
        seed: Seed(7),
        identities: identities.into(),
        policies: vec![policy("x.test"), policy("y.test")],
        trunk: TrunkId(0),
        other_trunk: case.other_trunk.then_some(TrunkId(1)),
        contacts: 16,
        max_message_rate: 50_000,
        link: LinkConfig { delay: Some(Delay::Fixed(MS)), drop: 0.0 },
        registrar: case.registrar,
    });
    let orders = Orders {
        concurrent: case.concurrent,
        rate: case.rate,
        exclusive: case.exclusive,
        method: SearchMethod::Bisect,
        fill: FillRate { start: 20.0, most: 200.0 },
        probing: ProbingSettings { start: 10.0, most: 10_000.0, objective: case.objective, t1: 500 * MS },
        settle: 2 * SECOND,
        gentle: 4.0,
    };
    let found = survey(&mut trial, &roster, &orders);
    (found, trial.contacts())
}

#[track_caller]
fn assert_concurrent(case: Case, limit: u32, scope: CountedScope, code: u16) {
    let found = search(case).concurrent.expect("searched");
    assert_eq!((found.limit, found.scope), (Some(limit), Some(scope)), "{found:#?}");
    assert_eq!(found.refusal.map(|refusal| refusal.code), Some(code));
    assert_eq!((found.hard, found.confidence), (Some(true), Confidence::High), "{limit}");
    let (refreshed, asked) = found.refreshes.expect("asked");
    assert_eq!(refreshed, asked, "refreshes pass at this registrar's limits");
}

#[track_caller]
fn assert_rate(case: Case, limit: f64, burst: u32) -> FoundRate {
    let found = search(case).rate.expect("searched");
    assert!(found.probes <= MOST_PROBES, "{found:#?}");
    assert!((found.limit.expect("met") / limit - 1.0).abs() <= 0.05, "{limit}: {found:#?}");
    assert_eq!(found.kind, LimitKind::Rate, "{found:#?}");
    let (named, real) = (f64::from(found.burst.expect("measured")), f64::from(burst));
    assert!((named - real).abs() <= 2.0 + 0.1 * real, "{burst}: {found:#?}");
    found
}

mod concurrent {
    use super::*;

    #[test]
    fn of_one() {
        assert_concurrent(case(20, [limit(1, LimitScope::Trunk, 403, "Only one")]), 1, CountedScope::Trunk, 403);
    }

    #[test]
    fn of_seven_by_503() {
        assert_concurrent(case(40, [limit(7, LimitScope::Trunk, 503, "Busy")]), 7, CountedScope::Trunk, 503);
    }

    #[test]
    fn of_a_hundred_by_480() {
        assert_concurrent(case(130, [limit(100, LimitScope::Trunk, 480, "Full")]), 100, CountedScope::Trunk, 480);
    }

    #[test]
    fn of_four_hundred() {
        assert_concurrent(case(500, [limit(400, LimitScope::Trunk, 403, "Limit")]), 400, CountedScope::Trunk, 403);
    }

    #[test]
    fn met_by_the_very_last_agent() {
        assert_concurrent(case(61, [limit(60, LimitScope::Trunk, 403, "Limit")]), 60, CountedScope::Trunk, 403);
    }

    #[test]
    fn of_twelve_hundred() {
        assert_concurrent(
            case(1_500, [limit(1_203, LimitScope::Trunk, 403, "Limit")]),
            1_203,
            CountedScope::Trunk,
            403,
        );
    }

    #[test]
    fn over_a_slow_registrar() {
        let faults = [limit(50, LimitScope::Trunk, 403, "Limit"), FaultKind::Delay(Delay::Fixed(300 * MS))];
        assert_concurrent(case(90, faults), 50, CountedScope::Trunk, 403);
    }

    #[test]
    fn over_a_path_that_loses_packets() {
        let faults = [limit(120, LimitScope::Trunk, 403, "Limit"), FaultKind::Drop { probability: 0.02 }];
        assert_concurrent(case(150, faults), 120, CountedScope::Trunk, 403);
    }

    #[test]
    fn of_each_account() {
        let shared = Case { accounts: 4, ..case(80, [limit(6, LimitScope::Account, 403, "Limit")]) };
        assert_concurrent(shared, 6, CountedScope::Account, 403);
        let larger = Case { accounts: 3, ..case(120, [limit(25, LimitScope::Account, 486, "Busy")]) };
        assert_concurrent(larger, 25, CountedScope::Account, 486);
    }

    #[test]
    fn of_all_though_accounts_are_shared() {
        let shared = Case { accounts: 10, ..case(100, [limit(35, LimitScope::Trunk, 403, "Limit")]) };
        assert_concurrent(shared, 35, CountedScope::Trunk, 403);
    }

    #[test]
    fn of_each_source_address() {
        assert_concurrent(case(80, [limit(33, LimitScope::Source, 403, "Limit")]), 33, CountedScope::Source, 403);
        assert_concurrent(case(300, [limit(210, LimitScope::Source, 429, "Limit")]), 210, CountedScope::Source, 429);
    }

    #[test]
    fn of_the_whole_registrar_or_of_one_trunk() {
        let two = |fault| Case { other_trunk: true, ..case(60, [fault]) };
        assert_concurrent(two(limit(40, LimitScope::Trunk, 403, "Limit")), 40, CountedScope::Registrar, 403);
        let mut one = two(limit(40, LimitScope::Trunk, 403, "Limit"));
        one.registrar.faults[0].domain = Some("x.test".into());
        assert_concurrent(one, 40, CountedScope::Trunk, 403);
    }

    #[test]
    fn with_a_rate_limit_in_the_way() {
        let both = case(200, [limit(90, LimitScope::Trunk, 403, "Limit"), rate(15.0, 5)]);
        let found = search(Case { rate: true, ..both });
        let concurrent = found.concurrent.expect("searched");
        assert_eq!((concurrent.limit, concurrent.slowed), (Some(90), true), "{concurrent:#?}");
        let rate = found.rate.expect("searched").limit.expect("met");
        assert!((rate / 15.0 - 1.0).abs() <= 0.05, "{rate}");
    }

    #[test]
    fn with_a_rate_limit_that_has_no_burst_in_the_way() {
        let both = case(80, [limit(55, LimitScope::Trunk, 403, "Limit"), rate(6.0, 1)]);
        assert_concurrent(both, 55, CountedScope::Trunk, 403);
    }

    #[test]
    fn may_be_others_as_well() {
        let trunk = case(130, [limit(100, LimitScope::Trunk, 403, "Full")]);
        let found = search(Case { exclusive: false, ..trunk }).concurrent.expect("searched");
        assert_eq!((found.limit, found.confidence), (Some(100), Confidence::Medium), "{found:#?}");
    }

    #[test]
    fn none() {
        let found = search(case(150, [])).concurrent.expect("searched");
        assert_eq!((found.limit, found.at_least, found.refusal), (None, 150, None));
    }

    #[test]
    fn some_users_are_refused_for_themselves() {
        let mut some = case(120, [FaultKind::Refuse { code: 403, reason: "Authentication Failed".into() }]);
        some.registrar.faults[0].share = 0.05;
        let found = search(some).concurrent.expect("searched");
        assert_eq!((found.limit, found.at_least), (None, 120 - found.refused_for_themselves));
        assert!(found.refused_for_themselves > 0);
    }
}

mod contacts {
    use super::*;

    fn of_one_user(contacts: Option<u32>, code: u16) -> Survey {
        let mut case = case(30, []);
        case.registrar.max_contacts = contacts.map(|contacts| MaxContacts { contacts, code });
        search(case)
    }

    #[test]
    fn of_one_user_are_counted() {
        for (contacts, code) in [(1, 403), (3, 403), (8, 500)] {
            let found = of_one_user(Some(contacts), code).contacts.expect("searched");
            assert_eq!((found.limit, found.confidence), (Some(contacts), Confidence::High), "{found:#?}");
            assert_eq!(found.refusal.map(|refusal| refusal.code), Some(code));
        }
    }

    #[test]
    fn are_pushed_out_by_newer_ones() {
        let found = of_one_user(None, 0).contacts.expect("searched");
        assert_eq!((found.limit, found.pushes_out_at), (None, Some(10)), "{found:#?}");
    }
}

mod rates {
    use super::*;

    #[test]
    fn slow() {
        assert_rate(rate_case(300, [rate(5.0, 5)]), 5.0, 5);
    }

    #[test]
    fn of_thirty_with_a_large_burst() {
        let found = assert_rate(rate_case(900, [rate(30.0, 200)]), 30.0, 200);
        let refusal = found.refusal.expect("refused");
        assert_eq!((refusal.code, refusal.retry_after_s), (503, Some(5)));
    }

    #[test]
    fn of_two_hundred_and_a_burst_of_fifty() {
        assert_rate(rate_case(1_500, [rate(200.0, 50)]), 200.0, 50);
    }

    #[test]
    fn of_seven_hundred() {
        assert_rate(rate_case(5_000, [rate(700.0, 30)]), 700.0, 30);
    }

    #[test]
    fn without_any_burst() {
        assert_rate(rate_case(800, [rate(50.0, 1)]), 50.0, 1);
    }

    #[test]
    fn over_a_slow_registrar() {
        assert_rate(rate_case(1_200, [rate(80.0, 20), FaultKind::Delay(Delay::Fixed(20 * MS))]), 80.0, 20);
    }

    #[test]
    fn that_are_transactions_in_truth() {
        for (open, delay) in [(10, 50), (40, 100)] {
            let door = FaultKind::Transactions { concurrent: open, code: 503, reason: "Too many".into() };
            let found = search(rate_case(1_500, [door, FaultKind::Delay(Delay::Fixed(delay * MS))]));
            let rate = found.rate.expect("searched");
            assert_eq!(rate.kind, LimitKind::Transactions(open), "{rate:#?}");
        }
    }

    #[test]
    fn none() {
        let found = search(rate_case(400, [])).rate.expect("searched");
        assert_eq!((found.limit, found.at_least, found.refusal), (None, 640.0, None));
    }
}

mod bans {
    use super::*;

    /// The registrar turns away everything from a moment within the search on.
    fn from_then_on(kind: FaultKind) -> (Survey, usize) {
        let mut case = case(300, [limit(150, LimitScope::Trunk, 403, "Limit"), kind]);
        case.registrar.faults[1].from = 3 * SECOND;
        attempt(case)
    }

    #[test]
    fn by_refusal_end_the_search() {
        let (found, left) = from_then_on(FaultKind::Deny { code: 403, reason: "Banned".into() });
        let stop = found.stopped.expect("stopped");
        assert!(matches!(&stop, Stop::Banned(why) if why.contains("403 Banned")), "{stop}");
        assert_eq!(found.left_bound as usize, left, "it says how many it could not remove");
        assert!(left > 0 && found.concurrent.is_none());
    }

    #[test]
    fn by_silence_end_the_search() {
        let (found, left) = from_then_on(FaultKind::Freeze);
        assert!(matches!(found.stopped, Some(Stop::Banned(_))), "{:?}", found.stopped);
        assert!(found.left_bound as usize >= left && left > 0, "{} {left}", found.left_bound);
    }
}

/// Through the program and real sockets. What a busy machine makes of a rate is not asserted
/// tightly.
mod program {
    use super::support::kamailio::{self, Kamailio};
    use super::support::program::{Finished, Regstorm, profile};
    use super::*;
    use serde_json::Value;
    use std::path::Path;

    const LIMIT: Duration = Duration::from_secs(180);
    const RUN: &str = "[run]\nname = \"test\"\nseed = 7\n\n[[trunk]]\nid = \"lab\"\nregistrar = \"embedded\"\n\
                       domain = \"x.test\"\nagents = { count = 60, user = \"agent{n:05}\", password = \"secret\" }\n";

    fn limits(dir: &Path, text: &str, args: &[&str]) -> Finished {
        let args = [&["limits", profile(dir, text), "--out", "out"][..], args].concat();
        Regstorm::run(dir, &args, LIMIT)
    }

    fn found(dir: &Path) -> Value {
        let bytes = std::fs::read(dir.join("out/limits.json")).expect("written");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    #[test]
    fn a_concurrent_limit_is_exact_and_the_files_agree() {
        let dir = tempfile::tempdir().expect("a directory under /tmp");
        let fault = "[registrar]\nmax_contacts = 2\n[[registrar.fault]]\nkind = \"limit\"\nconcurrent = 41\n";
        let finished = limits(dir.path(), &format!("{RUN}{fault}"), &["--only", "concurrent", "--json"]);
        finished.expect_code(0);
        let json = found(dir.path());
        assert_eq!(json, serde_json::from_slice::<Value>(&finished.stdout).expect("JSON on stdout"));
        let at = |path: &str| json.pointer(path).unwrap_or_else(|| panic!("no {path}")).clone();
        assert_eq!((at("/concurrent/limit"), at("/concurrent/code")), (41.into(), 403.into()));
        assert_eq!(at("/concurrent/reason"), "Registration limit exceeded");
        assert_eq!((at("/concurrent/scope"), at("/concurrent/exclusive")), ("trunk".into(), false.into()));
        assert_eq!(at("/concurrent/confidence"), "medium", "others may register there");
        assert_eq!((at("/contacts/limit"), at("/rate"), at("/left_bound")), (2.into(), Value::Null, 0.into()));
        assert_eq!(at("/found"), serde_json::json!(["limit.concurrent", "limit.contacts"]));
        let steps = at("/steps").as_array().expect("a list").len();
        let csv = std::fs::read_to_string(dir.path().join("out/limits.csv")).expect("written");
        assert_eq!(csv.lines().count(), steps + 1);
        let html = std::fs::read_to_string(dir.path().join("out/report.html")).expect("written");
        assert!(html.contains("<svg") && html.contains("41"));
        assert!(html.contains("content=\"default-src 'none'; "), "the page may reach for nothing");
        let again = limits(dir.path(), RUN, &[]);
        again.expect_code(2);
        assert!(again.stderr().contains("already holds a run"), "{}", again.stderr());
    }

    /// What was not asked is not said, and what was stated stands where the set-up does.
    #[test]
    fn over_what_a_limit_is_counted_is_said_as_far_as_it_was_asked() {
        let fault = "[[registrar.fault]]\nkind = \"limit\"\nconcurrent = 41\n";
        let second = "\n[[trunk]]\nid = \"other\"\nregistrar = \"embedded\"\ndomain = \"y.test\"\n\
                      agents = { count = 5, user = \"other{n}\", password = \"secret\" }\n";
        let alone = "counted over this trunk at least, as no other one could be asked";
        let stated = "nobody else on the trunk ([expect] exclusive)";
        for (text, over, exclusive) in [
            (format!("{RUN}{fault}"), alone, false),
            (
                format!("{RUN}{second}{fault}trunk = \"lab\"\n[expect]\nexclusive = true\n"),
                "counted over this trunk;",
                true,
            ),
        ] {
            let dir = tempfile::tempdir().expect("a directory under /tmp");
            let finished = limits(dir.path(), &text, &["--only", "concurrent", "--trunk", "lab"]);
            finished.expect_code(0);
            assert!(finished.stdout().contains(over), "{}", finished.stdout());
            let page = std::fs::read_to_string(dir.path().join("out/report.html")).expect("written");
            for text in [finished.stdout(), page] {
                assert_eq!(text.contains(stated), exclusive, "{text}");
            }
            assert_eq!(found(dir.path())["setup"]["exclusive"], exclusive);
        }
    }

    /// The server's own count, from a command: the same before and after, or somebody came
    /// meanwhile.
    #[test]
    fn others_on_the_trunk_are_counted_by_the_server() {
        let fault = "[[registrar.fault]]\nkind = \"limit\"\nconcurrent = 41\n";
        for (command, says, confidence, after) in [
            ("echo 200", "241, 200 of them others', then 403", "high", 200),
            ("echo 0", "  41, then 403", "high", 0),
            ("echo x >> asked; wc -l < asked", "41 more than were there already, then 403", "medium", 2),
        ] {
            let dir = tempfile::tempdir().expect("a directory under /tmp");
            let truth = format!("[[truth]]\nkind = \"exec\"\ncommand = \"{command}\"\n");
            let finished = limits(dir.path(), &format!("{RUN}{fault}{truth}"), &["--only", "concurrent"]);
            finished.expect_code(0);
            assert!(finished.stdout().contains(says), "{says}: {}", finished.stdout());
            let found = &found(dir.path())["concurrent"];
            assert_eq!((&found["limit"], &found["confidence"]), (&41.into(), &confidence.into()), "{found:#}");
            assert_eq!(found["others"]["after"], after, "{found:#}");
        }
    }

    #[test]
    fn a_rate_is_named_with_its_answer() {
        let dir = tempfile::tempdir().expect("a directory under /tmp");
        let fault = "[[registrar.fault]]\nkind = \"rate\"\nper_second = 90\nburst = 20\nretry_after = \"1s\"\n";
        let text = RUN.replace("count = 60", "count = 500") + fault;
        let finished = limits(dir.path(), &text, &["--only", "rate", "--settle", "200ms"]);
        finished.expect_code(0);
        assert!(finished.stdout().contains("503 Service Unavailable, Retry-After 1 s"), "{}", finished.stdout());
        let json = found(dir.path());
        let rate = json["rate"]["limit_per_s"].as_f64().expect("met");
        assert!((45.0..180.0).contains(&rate), "{json:#}");
        assert_eq!((&json["rate"]["code"], &json["rate"]["retry_after_s"]), (&503.into(), &1.into()));
        assert_eq!(json["concurrent"], Value::Null);
        assert!(json["rate"]["probes"].as_u64().expect("a number") <= 12);
    }

    #[test]
    fn no_limit_is_null_and_at_least() {
        let dir = tempfile::tempdir().expect("a directory under /tmp");
        limits(dir.path(), RUN, &["--only", "concurrent", "--live", "off"]).expect_code(0);
        let json = found(dir.path());
        assert_eq!((&json["concurrent"]["limit"], &json["concurrent"]["at_least"]), (&Value::Null, &60.into()));
        assert_eq!((&json["contacts"]["pushes_out_at"], &json["method"]), (&10.into(), &"bisect".into()));
    }

    #[test]
    fn an_interrupted_search_removes_its_bindings() {
        let dir = tempfile::tempdir().expect("a directory under /tmp");
        let registrar = Regstorm::start(dir.path(), &["registrar", "--listen", "udp://127.0.0.1:0"]);
        let address = support::clock::until("the registrar listens", LIMIT, || {
            let out = registrar.stdout_so_far();
            out.lines().next().and_then(|line| line.strip_prefix("listening udp://")).map(str::to_owned)
        });
        let text = RUN.replace("embedded", &format!("sip:{address}")).replace("count = 60", "count = 5000");
        let args = ["limits", profile(dir.path(), &text), "--out", "out"];
        let search = Regstorm::start(dir.path(), &args);
        // Some are registered, in more than one step.
        support::clock::until("some phones are registered", LIMIT, || {
            search.stderr_so_far().contains(" 45 at").then_some(())
        });
        search.signal("INT");
        search.wait(LIMIT).expect_code(130);
        let json = found(dir.path());
        assert_eq!((&json["left_bound"], &json["stopped"]), (&0.into(), &"interrupted by signal 2".into()));
        registrar.signal("INT");
        let ended = registrar.wait(LIMIT);
        assert!(ended.stderr().contains("bindings now 0"), "{}", ended.stderr());
    }

    #[test]
    fn what_cannot_be_searched_says_why() {
        let dir = tempfile::tempdir().expect("a directory under /tmp");
        for (text, args, code, says) in [
            ("", &[][..], 2, "at least one [[trunk]]"),
            (RUN, &["--trunk", "nowhere"], 2, "the trunks are lab"),
            (RUN, &["--objective", "soon"], 2, "--objective"),
            (RUN, &["--method", "rfc7502"], 2, "50000 distinct agents"),
            (RUN, &["--method", "rfc7502", "--only", "concurrent", "--set", "trunk.0.expires=60s"], 2, "an hour"),
            (RUN, &["--set", "trunk.0.registrar=sip:192.0.2.1"], 2, "allowed targets"),
            (RUN, &["--settle=-1s"], 2, "--settle"),
            (RUN, &["--set", "registrar.password=other"], 3, "nobody could register from the beginning"),
            (RUN, &["--set", "registrar.password=other", "--only", "rate"], 3, "nobody could register"),
        ] {
            let finished = limits(dir.path(), text, args);
            drop(std::fs::remove_dir_all(dir.path().join("out")));
            finished.expect_code(code);
            let said = finished.stdout() + &finished.stderr();
            assert!(said.contains(says), "{args:?}: {said}");
        }
    }

    /// A registrar of another make, without limits: its own count of contacts says that none is
    /// left.
    #[test]
    fn kamailio_is_left_without_a_contact() {
        let kamailio = Kamailio::start(kamailio::Settings::default());
        let dir = tempfile::tempdir().expect("a directory under /tmp");
        let text = RUN
            .replace("embedded", &format!("sip:{}", kamailio.address()))
            .replace("x.test", kamailio::REALM)
            .replace("\"secret\"", &format!("\"{}\"", kamailio::PASSWORD));
        limits(dir.path(), &text, &["--only", "concurrent"]).expect_code(0);
        let json = found(dir.path());
        assert_eq!((&json["concurrent"]["limit"], &json["concurrent"]["at_least"]), (&Value::Null, &60.into()));
        assert_eq!((&json["contacts"]["limit"], &json["contacts"]["at_least"]), (&Value::Null, &17.into()));
        assert_eq!(kamailio.contacts(), 0);
    }

    #[test]
    fn the_shipped_profile_names_three_limits() {
        let dir = tempfile::tempdir().expect("a directory under /tmp");
        let path = format!("{}/profiles/limits.toml", env!("CARGO_MANIFEST_DIR"));
        let args = ["limits", &path, "--only", "concurrent", "--settle", "500ms", "--out", "out"];
        Regstorm::run(dir.path(), &args, LIMIT).expect_code(0);
        let json = found(dir.path());
        assert_eq!((&json["concurrent"]["limit"], &json["contacts"]["limit"]), (&300.into(), &3.into()));
    }
}
