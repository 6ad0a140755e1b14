//! Findings about challenges, silence, bindings and drift, on rehearsed runs: what is there is found, and nothing else.

#[path = "support/rehearsal.rs"]
mod rehearsal;

use regstorm::diagnose::{Finding, findings};
use regstorm::record::Results;
use rehearsal::rehearse;

/// A healthy run of 200 agents: `trunk` goes into the trunk's table, `rest` behind the load.
fn profile(trunk: &str, rest: &str) -> String {
    let load = if rest.contains("[[load]]") { "" } else { LOAD };
    format!(
        "[run]\ninterval = \"5s\"\n[[trunk]]\nid = \"nj\"\nregistrar = \"embedded\"\ndomain = \"nj.test\"\nexpires = \"20s\"\n\
         agents = {{ count = 200, user = \"a{{n}}\", password = \"p\" }}\n{trunk}\n{load}\n[registrar]\npassword = \"p\"\nrealm = \"nj.test\"\n{rest}\n"
    )
}

const LOAD: &str = "[[load]]\nrate = 20\nfor = \"10s\"\n[[load]]\nhold = \"50s\"";

fn found(results: &Results, id: &str) -> Vec<Finding> {
    findings(results).into_iter().filter(|finding| finding.id == id).collect()
}

/// The one finding of this id, whose text must contain these words.
#[track_caller]
fn only(results: &Results, id: &str, severity: &str, words: &[&str]) -> Finding {
    let mut all = found(results, id);
    assert_eq!(all.len(), 1, "{id}: {:#?}", findings(results));
    let finding = all.remove(0);
    let text = format!("{} | {} | {}", finding.summary, finding.evidence, finding.rejected);
    assert_eq!(finding.severity, severity, "{text}");
    for word in words {
        assert!(text.contains(word), "{id} does not say {word:?}: {text}");
    }
    finding
}

#[test]
fn a_healthy_run_has_no_findings() {
    for trunk in ["", "realm = \"nj.test\"", "reuse_nonce = false", "algorithms = [\"MD5\"]"] {
        let found = findings(&rehearse(&profile(trunk, ""), 1, 0.0));
        assert!(found.is_empty(), "{trunk}: {found:#?}");
    }
}

#[test]
fn a_lost_suffix_of_the_realm_explains_the_refusals() {
    let fault = "[[registrar.fault]]\nkind = \"realm\"\nchallenge = \"nj.test\"\nverify = \"nj.test;tenant=acme\"";
    let results = rehearse(&profile("realm = \"nj.test;tenant=acme\"", fault), 1, 0.0);
    let words = ["lacks the suffix \";tenant=acme\"", "200 x 403", "all 200 agents"];
    let finding = only(&results, "realm.mismatch", "critical", &words);
    assert_eq!((finding.agents, finding.confidence.as_str()), (200, "medium"));
    assert!(finding.evidence.contains("for example a"), "{}", finding.evidence);
}

#[test]
fn another_realm_that_registers_is_a_warning() {
    let results = rehearse(&profile("realm = \"nj.test;tenant=acme\"", ""), 1, 0.0);
    only(&results, "realm.mismatch", "warning", &["registered nevertheless"]);
    let forced = profile("realm = \"elsewhere.test\"\nrealm_policy = \"require\"", "");
    let finding = only(&rehearse(&forced, 1, 0.0), "realm.mismatch", "critical", &["realm_policy = \"require\""]);
    assert_eq!((finding.agents, finding.confidence.as_str()), (200, "high"));
}

#[test]
fn a_realm_that_changes_is_found_without_an_expected_one() {
    let fault =
        "[[registrar.fault]]\nkind = \"realm\"\nchallenge = \"node2.test\"\nverify = \"nj.test;x\"\nfrom = \"30s\"";
    let load = "[[load]]\nrate = 4\nfor = \"50s\"\n[[load]]\nhold = \"5s\"";
    let text = profile("reuse_nonce = false", fault).replace(LOAD, load);
    let results = rehearse(&text, 1, 0.0);
    only(&results, "realm.mismatch", "critical", &["then \"node2.test\"", "wrong passwords: attempts challenged"]);
}

#[test]
fn nodes_that_differ_are_found_without_an_expected_realm() {
    let fault =
        "[[registrar.fault]]\nkind = \"realm\"\nchallenge = \"node2.test\"\nverify = \"other.test\"\nshare = 0.3";
    let results = rehearse(&profile("", fault), 1, 0.0);
    let finding = only(&results, "realm.mismatch", "critical", &["2 realms", "node2.test"]);
    assert!((40..80).contains(&finding.agents), "{finding:#?}");
}

#[test]
fn wrong_passwords_of_some_are_not_the_realm() {
    let fault = "[[registrar.fault]]\nkind = \"challenge-again\"\nshare = 0.1";
    let results = rehearse(&profile("realm = \"nj.test;tenant=acme\"", fault), 1, 0.0);
    only(&results, "realm.mismatch", "warning", &["some of its agents are refused"]);
    let results = rehearse(&profile("realm = \"nj.test\"", fault), 1, 0.0);
    assert!(found(&results, "realm.mismatch").is_empty());
}

#[test]
fn an_algorithm_that_nobody_accepts_is_named() {
    let results = rehearse(&profile("algorithms = [\"MD5\"]", "algorithms = [\"SHA-256\"]"), 1, 0.0);
    let finding = only(&results, "algorithm.unsupported", "critical", &["offers SHA-256", "accept MD5"]);
    assert_eq!((finding.agents, finding.confidence.as_str()), (200, "high"));
    assert!(found(&rehearse(&profile("", ""), 1, 0.0), "algorithm.unsupported").is_empty());
}

#[test]
fn lost_packets_are_estimated() {
    for (loss, severity) in [(0.05, "warning"), (0.02, "warning")] {
        let results = rehearse(&profile("reuse_nonce = false", ""), 1, loss);
        let finding = only(&results, "packet-loss", severity, &["1 - sqrt(1 -"]);
        let share = finding.summary.split_once("about ").and_then(|(_, rest)| rest.split_once(" %")).expect("a share");
        let share: f64 = share.0.parse().expect("a number");
        assert!((share / 100.0 / loss - 1.0).abs() < 0.35, "{loss}: {}", finding.summary);
        assert!(found(&results, "no-response").is_empty());
    }
}

#[test]
fn a_slow_server_loses_nothing() {
    let slow = "[[registrar.fault]]\nkind = \"delay\"\nfixed = \"900ms\"";
    let results = rehearse(&profile("", slow), 1, 0.0);
    assert!(results.totals.sums.retransmissions >= 400, "{}", results.totals.sums.retransmissions);
    assert!(findings(&results).is_empty(), "{:#?}", findings(&results));
}

#[test]
fn a_dead_server_never_answers() {
    let dead = "[[registrar.fault]]\nkind = \"drop\"\nprobability = 1.0";
    let results = rehearse(&profile("", dead), 1, 0.0);
    let words = ["never answers a request", "all 200 agents", "packet loss: not one answer came"];
    let finding = only(&results, "no-response", "critical", &words);
    assert_eq!(finding.confidence, "high");
    assert!(finding.first_seen.starts_with("2000-01-01T00:00:00"), "{}", finding.first_seen);
    assert!(found(&results, "packet-loss").is_empty());
}

#[test]
fn a_server_that_dies_is_silent_from_then_on() {
    let dead = "[[registrar.fault]]\nkind = \"drop\"\nprobability = 1.0\nfrom = \"30s\"";
    let results = rehearse(&profile("", dead), 1, 0.0);
    only(&results, "no-response", "critical", &["nothing is answered from 3", "of the run on", "all or nothing"]);
    assert!(found(&results, "packet-loss").is_empty(), "{:#?}", findings(&results));
}

#[test]
fn one_source_without_answers_is_named() {
    let dead = "[[registrar.fault]]\nkind = \"drop\"\nprobability = 1.0\nsources = [\"127.0.0.3\"]";
    let results = rehearse(&profile("source = [\"127.0.0.2\", \"127.0.0.3\"]", dead), 1, 0.0);
    let words = ["requests from 127.0.0.3", "other addresses were answered", "100 of 200 agents"];
    only(&results, "no-response", "critical", &words);
}

#[test]
fn an_answered_408_is_told_from_silence() {
    let fault = "[[registrar.fault]]\nkind = \"refuse\"\ncode = 408\nreason = \"Request Timeout\"";
    let results = rehearse(&profile("", fault), 1, 0.0);
    only(&results, "no-response", "critical", &["answers 408", "x 408 Request Timeout"]);
}
