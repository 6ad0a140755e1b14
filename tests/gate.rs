//! `watch --listen`: a dialler's gate as a client of HTTP sees it, while trunks come and go.

#[allow(dead_code, reason = "the suite of metrics asks for more")]
#[path = "metrics/http.rs"]
mod http;
mod support;

use http::ask;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use support::clock;
use support::platform::{MockData, MockFault, MockPlatform, SECRET};
use support::program::{Regstorm, command, profile};

const LIMIT: Duration = Duration::from_secs(60);

fn watched(more: &str) -> String {
    format!(
        "{more}\n[[trunk]]\nid = \"nj\"\nregistrar = \"embedded\"\ndomain = \"genesyscloud.test\"\n\
         agents = {{ count = 5, user = \"agent{{n:03}}\", password = \"secret\" }}\n"
    )
}

/// A watch with a gate, and the gate's address.
fn start(dir: &Path, text: &str, more: &[&str]) -> (Regstorm, String) {
    let own = ["watch", profile(dir, text), "--every", "150ms", "--fail-after", "2", "--recover-after", "2"];
    let args = [&own[..], &["--listen", "127.0.0.1:0"], more].concat();
    let watch = Regstorm::start(dir, &args);
    let address = gate_of(&watch);
    (watch, address)
}

fn gate_of(watch: &Regstorm) -> String {
    clock::until("the gate's address", LIMIT, || {
        let said = watch.stderr_so_far();
        let line = said.lines().find_map(|line| line.strip_prefix("gate at http://"))?;
        Some(line.strip_suffix("/go")?.to_owned())
    })
}

/// What the gate says of a path.
fn said(address: &str, path: &str) -> (u16, Value) {
    let answer = ask("GET", address, path).expect("an answer");
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
}

fn until_status(address: &str, path: &str, wanted: u16) -> Value {
    let what = format!("{wanted} at {path}");
    clock::until(&what, LIMIT, || {
        let (status, document) = said(address, path);
        (status == wanted).then_some(document)
    })
}

#[test]
fn a_trunk_that_registers_is_go_with_why_and_since_when() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let (watch, address) = start(dir.path(), &watched(""), &[]);
    let go = until_status(&address, "/go/nj", 200);
    assert_eq!((&go["go"], &go["trunk"]), (&true.into(), &"nj".into()));
    assert_eq!(go["why"][0], "canary: go, 200 OK");
    assert_eq!(go["inputs"]["canary"]["state"], "go");
    assert!(go["since"].as_str().is_some_and(|since| since.starts_with("20") && since.ends_with('Z')), "{go}");
    let (status, all) = said(&address, "/go");
    assert_eq!((status, &all["go"], &all["trunks"][0]["trunk"]), (200, &true.into(), &"nj".into()));
    let (status, health) = said(&address, "/healthz");
    assert_eq!((status, &health["ok"]), (200, &true.into()));

    let plain = |method: &str, path: &str| ask(method, &address, path).expect("an answer");
    assert_eq!(plain("GET", "/go/ny").status, 404);
    assert_eq!(plain("GET", "/go/n%6A").status, 200);
    assert_eq!(plain("HEAD", "/go/nj").status, 200);
    assert_eq!(plain("POST", "/go/nj").status, 405);
    let metrics = plain("GET", "/metrics");
    assert!(metrics.body.contains("regstorm_trunk_go{trunk=\"nj\"} 1"), "{}", metrics.body);
    watch.signal("INT");
    watch.wait(LIMIT).expect_code(0);
    assert!(ask("GET", &address, "/go/nj").is_err(), "a gate that is gone lets nobody through");
}

#[test]
fn a_refused_canary_closes_the_gate_and_it_stays_closed_for_a_while() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let fault = "[[registrar.fault]]\nkind = \"oscillate\"\nperiod = \"6s\"\ncode = 403\nreason = \"Not now\"\n";
    let (watch, address) = start(dir.path(), &watched(fault), &["--steady", "1h"]);
    until_status(&address, "/go/nj", 200);
    let closed = until_status(&address, "/go/nj", 503);
    assert_eq!(closed["why"][0], "canary: no-go, 403 Not now, after credentials", "{closed}");
    // The canary is back, and the gate waits.
    let waits = clock::until("the canary to be back", LIMIT, || {
        let (status, document) = said(&address, "/go/nj");
        assert_eq!(status, 503, "{document}");
        document["why"][0].as_str().filter(|why| why.starts_with("canary changed")).map(str::to_owned)
    });
    assert!(waits.contains("unless anything changes"), "{waits}");
    watch.signal("INT");
    watch.wait(LIMIT);
}

#[test]
fn what_is_not_known_is_never_go() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let truth = "[[truth]]\nkind = \"exec\"\nevery = \"100ms\"\ncommand = \"cat count\"\n";
    let (watch, address) = start(dir.path(), &watched(truth), &["--steady", "100ms", "--least", "0.8"]);
    let unknown = clock::until("the canary to be go", LIMIT, || {
        let (status, document) = said(&address, "/go/nj");
        assert_eq!(status, 503, "{document}");
        (document["inputs"]["canary"]["state"] == "go"
            && document["why"][0] != "truth: unknown, nothing is known so far")
            .then_some(document)
    });
    assert_eq!(unknown["inputs"]["truth"]["state"], "unknown");
    assert!(unknown["why"][0].as_str().is_some_and(|why| why.starts_with("truth: unknown, the command")), "{unknown}");
    let tell = |count: &str| {
        std::fs::write(dir.path().join("new"), count).expect("our own directory");
        std::fs::rename(dir.path().join("new"), dir.path().join("count")).expect("our own directory");
    };
    tell("3");
    clock::until("too few", LIMIT, || {
        let (status, document) = said(&address, "/go/nj");
        assert_eq!(status, 503, "{document}");
        (document["why"][0] == "truth: no-go, the server holds 3, 4 are wanted").then_some(())
    });
    tell("4");
    until_status(&address, "/go/nj", 200);
    watch.signal("INT");
    watch.wait(LIMIT).expect_code(0);
}

/// Hundreds of callers, several at a time, while the trunk goes and comes: each is answered, and
/// what the status says the document says too.
#[test]
fn every_caller_of_a_burst_is_answered_while_the_trunk_flips() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let fault = "[[registrar.fault]]\nkind = \"oscillate\"\nperiod = \"3s\"\ncode = 403\nreason = \"Not now\"\n";
    let (watch, address) = start(dir.path(), &watched(fault), &["--steady", "100ms"]);
    until_status(&address, "/go/nj", 200);
    let burst = || {
        std::thread::scope(|scope| {
            let callers: Vec<_> = (0..20)
                .map(|_| {
                    scope.spawn(|| {
                        let calls = (0..10).map(|_| said(&address, "/go/nj"));
                        calls
                            .inspect(|(status, document)| {
                                assert_eq!(document["go"], *status == 200, "{status}: {document}");
                                assert!(document["why"].as_array().is_some_and(|why| !why.is_empty()), "{document}");
                            })
                            .map(|(status, _)| status)
                            .collect::<Vec<u16>>()
                    })
                })
                .collect();
            callers.into_iter().flat_map(|caller| caller.join().expect("a caller")).collect::<Vec<u16>>()
        })
    };
    let mut seen = [false, false];
    clock::until("both answers", LIMIT, || {
        let statuses = burst();
        assert_eq!(statuses.len(), 200);
        assert!(statuses.iter().all(|status| matches!(status, 200 | 503)), "{statuses:?}");
        seen[0] |= statuses.contains(&200);
        seen[1] |= statuses.contains(&503);
        (seen == [true, true]).then_some(())
    });
    watch.signal("INT");
    watch.wait(LIMIT);
}

#[test]
fn an_address_that_cannot_be_had_sends_nothing() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let text = watched("");
    for (address, code) in [("nowhere", 2), ("192.0.2.1:9465", 3)] {
        let args = ["watch", profile(dir.path(), &text), "--for", "1s", "--listen", address];
        let finished = Regstorm::run(dir.path(), &args, LIMIT);
        finished.expect_code(code);
        assert!(finished.stderr().contains("--listen"), "{}", finished.stderr());
        assert!(finished.stdout.is_empty());
    }
}

/// A watch of the trunk of a platform that plays along.
fn start_beside(dir: &Path, mock: &MockPlatform, fault: &str, more: &[&str]) -> (Regstorm, String) {
    let text = mock.profile("genesys") + &watched(fault);
    let own = ["watch", profile(dir, &text), "--every", "150ms", "--fail-after", "2", "--recover-after", "2"];
    let args = [&own[..], &["--listen", "127.0.0.1:0"], more].concat();
    let mut with = command(dir, &args);
    with.env("MOCK_SECRET", SECRET);
    let watch = Regstorm::start_with(with);
    let address = gate_of(&watch);
    (watch, address)
}

fn platform(registered: bool) -> MockPlatform {
    MockPlatform::start(MockData { registered, state: "active".to_owned(), page: 100, ..MockData::default() })
}

#[test]
fn the_platform_has_a_say_and_unknown_is_no_go() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let mock = platform(false);
    let (watch, address) = start_beside(dir.path(), &mock, "", &["--steady", "100ms"]);
    let why = |wanted: &str| {
        clock::until(wanted, LIMIT, || {
            let (status, document) = said(&address, "/go/nj");
            let why = document["why"].to_string();
            assert!(status == 503 || !why.contains("no-go") && !why.contains("unknown"), "{document}");
            why.contains(wanted).then_some(status)
        })
    };
    assert_eq!(why("platform: no-go, active, not registered"), 503);
    mock.change(|data| data.registered = true);
    let go = until_status(&address, "/go/nj", 200);
    assert_eq!(go["inputs"]["platform"]["state"], "go");
    mock.change(|data| data.fault = MockFault::Empty);
    assert_eq!(why("platform: unknown, an empty answer"), 503);
    mock.change(|data| data.fault = MockFault::Forbidden);
    assert_eq!(why("Missing: analytics:read"), 503);
    mock.change(|data| data.fault = MockFault::None);
    until_status(&address, "/go/nj", 200);
    assert!(!watch.stderr_so_far().contains(SECRET));
    watch.signal("INT");
    watch.wait(LIMIT);
}

#[test]
fn without_the_platforms_secret_nothing_is_sent() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let mock = platform(true);
    let text = mock.profile("genesys") + &watched("");
    let args = ["watch", profile(dir.path(), &text), "--for", "1s", "--listen", "127.0.0.1:0"];
    let finished = Regstorm::run(dir.path(), &args, LIMIT);
    finished.expect_code(2);
    assert!(finished.stderr().contains("export MOCK_SECRET"), "{}", finished.stderr());
    assert!(mock.asked().is_empty());
}

/// Callers that ask again and again, 200 questions in each burst, while the canary's trunk flips by
/// itself and the platform whenever both answers came: whatever is answered agrees with itself, and
/// a go has a go of everybody in it.
#[test]
fn bursts_of_two_hundred_questions_meet_no_contradiction_while_trunks_flip() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let fault = "[[registrar.fault]]\nkind = \"oscillate\"\nperiod = \"4s\"\ncode = 403\nreason = \"Not now\"\n";
    let mock = platform(true);
    let (watch, address) = start_beside(dir.path(), &mock, fault, &["--steady", "100ms"]);
    let (mut answers, mut flips, mut seen) = (0, 0, [false, false]);
    clock::until("go and no-go while the platform says go, no-go while it does not, twice", LIMIT, || {
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let callers: Vec<_> =
                (0..20).map(|_| scope.spawn(|| (0..10).map(|_| consistent(&address)).collect::<Vec<u16>>())).collect();
            callers.into_iter().flat_map(|caller| caller.join().expect("a caller")).collect()
        });
        assert_eq!(statuses.len(), 200);
        answers += statuses.len();
        seen[0] |= statuses.contains(&200);
        seen[1] |= statuses.contains(&503);
        let is_up = flips % 2 == 0;
        if is_up && seen == [true, true] || !is_up && !statuses.contains(&200) {
            flips += 1;
            seen = [false, false];
            mock.change(|data| data.registered = !is_up);
        }
        (flips == 4).then_some(())
    });
    assert!(answers >= 800, "{answers}");
    watch.signal("INT");
    watch.wait(LIMIT);
}

/// The status of one answer that was looked at whole.
fn consistent(address: &str) -> u16 {
    let (status, document) = said(address, "/go/nj");
    assert!(matches!(status, 200 | 503), "{status}");
    assert_eq!(document["go"], status == 200, "{document}");
    let inputs = document["inputs"].as_object().expect("inputs");
    let all = inputs.values().all(|input| input["state"] == "go");
    assert!(inputs.len() == 2 && (status == 503 || all), "{document}");
    assert!(document["why"].as_array().is_some_and(|why| !why.is_empty()), "{document}");
    status
}
