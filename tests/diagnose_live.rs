//! `regstorm diagnose --live`: the program against its own registrar with a known fault. The
//! conclusion must name that fault's remedy, or leave open what experiments cannot prove.

mod support;

use serde_json::Value;
use std::time::Duration;
use support::clock;
use support::kamailio::{Kamailio, PASSWORD, REALM, Settings};
use support::program::{Finished, Regstorm, profile};

const LIMIT: Duration = Duration::from_secs(60);

/// Runs experiments as fast as allowed on a profile of five agents with further `trunk` keys and
/// what follows.
fn diagnose(trunk: &str, rest: &str, args: &[&str]) -> Finished {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let text = format!(
        "[run]\nseed = 7\n\n[[trunk]]\nid = \"nj\"\nregistrar = \"embedded\"\ndomain = \"genesyscloud.test\"\n\
         agents = {{ count = 5, user = \"agent{{n:05}}\", password = \"hunter2\" }}\n{trunk}\n{rest}\n"
    );
    let text = if text.contains("[registrar]") { text } else { text + "\n[registrar]\npassword = \"hunter2\"\n" };
    let mut all = vec!["diagnose", "--live", profile(dir.path(), &text), "--rate", "20"];
    all.extend(args);
    let finished = Regstorm::run(dir.path(), &all, LIMIT);
    for said in [finished.stdout(), finished.stderr()] {
        assert!(!said.contains("hunter2") && !said.contains("response="), "a secret is printed:\n{said}");
    }
    finished
}

fn fault(text: &str) -> String {
    format!("[registrar]\npassword = \"hunter2\"\n[[registrar.fault]]\n{text}\n")
}

#[track_caller]
fn concludes(finished: &Finished, code: i32, conclusion: &str) {
    finished.expect_code(code);
    assert_eq!(finished.stdout().lines().last(), Some(conclusion), "{}", finished.stdout());
}

#[test]
fn a_dropped_tenant_suffix_is_a_realm() {
    let rest = fault("kind = \"realm\"\nchallenge = \"genesyscloud.test\"\nverify = \"genesyscloud.test;tenant=acme\"");
    let finished = diagnose("realm = \"genesyscloud.test;tenant=acme\"", &rest, &[]);
    concludes(&finished, 0, "conclusion: realm = genesyscloud.test;tenant=acme");
    assert!(finished.stdout().starts_with("agent agent00000 of trunk nj: sip:genesyscloud.test at 127.0.0.1:"));
}

#[test]
fn a_required_realm_that_is_not_challenged_is_a_realm() {
    let finished = diagnose("realm = \"other.test\"\nrealm_policy = \"require\"", "", &[]);
    concludes(&finished, 0, "conclusion: realm = genesyscloud.test");
}

#[test]
fn an_address_that_is_not_admitted_is_a_source() {
    let rest = fault("kind = \"deny\"\ncode = 403\nsources = [\"127.0.0.3\"]");
    let finished = diagnose("source = [\"127.0.0.3\", \"127.0.0.2\"]", &rest, &[]);
    concludes(&finished, 0, "conclusion: source = 127.0.0.2");
    assert!(finished.stdout().contains("realm, algorithm, qop, auth_user: refused before any challenge"));
}

#[test]
fn an_algorithm_the_trunk_does_not_accept_is_an_algorithm() {
    let rest = "[registrar]\npassword = \"hunter2\"\nalgorithms = [\"MD5\"]";
    let finished = diagnose("algorithms = [\"SHA-256\"]", rest, &[]);
    concludes(&finished, 0, "conclusion: algorithm = MD5");
}

#[test]
fn another_authentication_name_is_an_auth_user() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let users = "user,auth_user,password\nagent00000,agent00000@genesyscloud.test,hunter2\n";
    std::fs::write(dir.path().join("users.csv"), users).expect("our own directory");
    let path = dir.path().join("users.csv");
    let rest = format!("[registrar]\nusers = \"{}\"", path.display());
    concludes(&diagnose("", &rest, &[]), 0, "conclusion: auth_user = agent00000@genesyscloud.test");
}

#[test]
fn silence_stays_open() {
    let finished = diagnose("", &fault("kind = \"drop\"\nprobability = 1.0"), &["--timeout", "100ms"]);
    concludes(&finished, 1, "conclusion: open: network, source-address, server");
}

/// A real registrar, whose own count says that nothing stays behind.
#[test]
fn kamailio_is_understood_and_left_as_it_was() {
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings { algorithm: "SHA-256", ..Settings::default() });
    let diagnosed = |trunk: &str| {
        let dir = tempfile::tempdir().expect("a directory under /tmp");
        let text = format!(
            "[[trunk]]\nid = \"lab\"\nregistrar = \"sip:{}\"\ndomain = \"{REALM}\"\n{trunk}\n\
             agents = {{ count = 2, user = \"agent{{n}}\", password = \"{PASSWORD}\" }}\n",
            kamailio.address()
        );
        let args = ["diagnose", "--live", profile(dir.path(), &text), "--rate", "20"];
        let finished = Regstorm::run(dir.path(), &args, LIMIT);
        assert_eq!(kamailio.contacts(), 0, "{}", finished.stdout());
        finished
    };
    concludes(&diagnosed("algorithms = [\"MD5\"]"), 0, "conclusion: algorithm = SHA-256");
    let forced = "realm = \"genesyscloud.test;tenant=acme\"\nrealm_policy = \"force\"";
    concludes(&diagnosed(forced), 0, "conclusion: realm = genesyscloud.test");
    concludes(&diagnosed(""), 0, "conclusion: none = nobody is refused: all 2 agents tried register");
}

#[test]
fn a_wrong_password_stays_open_and_the_control_clears_the_rest() {
    let mix = "[[trunk.mix]]\nshare = 0.2\nwrong = \"password\"";
    concludes(&diagnose("", mix, &[]), 1, "conclusion: open: password, account");
}

#[test]
fn a_refusal_of_everybody_stays_open() {
    let rest = fault("kind = \"refuse\"\ncode = 403\nreason = \"Authentication Failed\"");
    let finished = diagnose("source = [\"127.0.0.3\", \"127.0.0.2\"]", &rest, &[]);
    // A wrong password gets 401, so that ours was found right.
    concludes(&finished, 1, "conclusion: open: account, limit");
    let text = finished.stdout();
    for tried in [
        "algorithm ",
        "qop ",
        "auth_user ",
        "password ",
        "expires ",
        "call-id ",
        "port ",
        "source ",
        "domain ",
        "agent ",
    ] {
        assert!(text.lines().any(|line| line.starts_with(tried)), "{tried}was not tried:\n{text}");
    }
}

#[test]
fn healthy_agents_need_no_change() {
    concludes(&diagnose("", "", &[]), 0, "conclusion: none = nobody is refused: all 5 agents tried register");
    concludes(
        &diagnose("", "", &["--agent", "agent00003"]),
        0,
        "conclusion: none = nobody is refused: the agent registers",
    );
}

#[test]
fn json_holds_the_table_and_the_conclusion() {
    let rest = fault("kind = \"deny\"\ncode = 403\nsources = [\"127.0.0.3\"]");
    let finished = diagnose("source = [\"127.0.0.3\", \"127.0.0.2\"]", &rest, &["--json", "--agent", "agent00002"]);
    finished.expect_code(0);
    let all: Value = serde_json::from_slice(&finished.stdout).expect("one JSON object");
    assert_eq!((&all["agent"], &all["trunk_id"]), (&Value::from("agent00002"), &Value::from("nj")));
    assert_eq!(all["line"], "conclusion: source = 127.0.0.2");
    assert_eq!(all["conclusion"]["change"], "source");
    let attempts = all["attempts"].as_array().expect("a list");
    assert_eq!((&attempts[0]["code"], &attempts[0]["place"]), (&Value::from(403), &Value::from("unchallenged")));
    assert_eq!((&attempts[1]["change"], &attempts[1]["granted"]), (&Value::from("source"), &Value::from(true)));
    assert!(!all["not_tried"].as_array().expect("a list").is_empty());
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_is_sent() {
    for (args, said) in [
        (&["--rate", "21"][..], "at most 20 attempts per second"),
        (&["--rate", "0"], "at least 0.001"),
        (&["--agent", "nobody"], "no such user"),
        (&["--timeout", "1h"], "at most 32s"),
        (&["--set", "trunk.0.registrar=sip:192.0.2.1"], "not among the allowed targets"),
    ] {
        let dir = tempfile::tempdir().expect("a directory under /tmp");
        let text = "[[trunk]]\nid = \"nj\"\nregistrar = \"embedded\"\ndomain = \"genesyscloud.test\"\n\
                    agents = { count = 1, user = \"a{n}\", password = \"hunter2\" }\n";
        let mut all = vec!["diagnose", "--live", profile(dir.path(), text)];
        all.extend(args);
        let finished = Regstorm::run(dir.path(), &all, LIMIT);
        finished.expect_code(2);
        assert!(finished.stderr().contains(said), "{}", finished.stderr());
    }
}

#[test]
fn an_interrupt_ends_it_between_two_attempts() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let text = "[[trunk]]\nid = \"nj\"\nregistrar = \"embedded\"\ndomain = \"genesyscloud.test\"\n\
                agents = { count = 1, user = \"a{n}\", password = \"hunter2\" }\n\
                [[registrar.fault]]\nkind = \"refuse\"\ncode = 403\n";
    let args = ["diagnose", "--live", profile(dir.path(), text), "--rate", "1"];
    let running = Regstorm::start(dir.path(), &args);
    clock::until("the first attempt", LIMIT, || running.stderr_so_far().contains("unchanged").then_some(()));
    running.signal("INT");
    let finished = running.wait(LIMIT);
    finished.expect_code(130);
    assert!(finished.stderr().contains("ending after this attempt"), "{}", finished.stderr());
    assert!(finished.stdout().is_empty(), "nothing was concluded: {}", finished.stdout());
}
