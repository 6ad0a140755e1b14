//! Where a silence is, when it was, and what it brought: registrars that do not answer some of what
//! they are asked, and answers that come and mean nothing.

#[path = "worlds/far.rs"]
mod far;
#[path = "support/rehearsal.rs"]
mod rehearsal;
#[path = "support/side/mod.rs"]
mod side;

use regstorm::diagnose::{Finding, findings};
use regstorm::record::Results;
use regstorm::vocab::{RequestFate, RequestKind, Status};

/// 200 agents that arrive within twenty seconds and stay for three lifetimes; `trunk` goes into the
/// trunk's table, `registrar` is what the other side is made of.
fn live(trunk: &str, registrar: &str) -> Results {
    live_with("count = 200, user = \"agent{n:05}\", password = \"secret\"", trunk, registrar, "")
}

fn live_with(agents: &str, trunk: &str, registrar: &str, more: &str) -> Results {
    let text = format!(
        "[run]\ninterval = \"10s\"\n[[trunk]]\nid = \"t\"\nregistrar = \"embedded\"\ndomain = \"pbx.test\"\nexpires = \"60s\"\n\
         agents = {{ {agents} }}\n{trunk}\n[[load]]\nrate = 10\nfor = \"20s\"\n[[load]]\nhold = \"160s\"\n{more}\n"
    );
    let spec = toml::from_str(registrar).unwrap_or_else(|error| panic!("{error}\n{registrar}"));
    rehearsal::rehearse_with(&text, 1, 0.0, Box::new(far::Far(side::Side::new(spec, 1))))
}

/// The one finding of this id, whose text must contain these words.
#[track_caller]
fn only(results: &Results, id: &str, words: &[&str]) -> Finding {
    let mut all: Vec<Finding> = findings(results).into_iter().filter(|finding| finding.id == id).collect();
    assert_eq!(all.len(), 1, "{id}: {:#?}", findings(results));
    let finding = all.remove(0);
    let text = format!("{} | {} | {} | {}", finding.summary, finding.evidence, finding.rejected, finding.advice);
    for word in words {
        assert!(text.contains(word), "{id} does not say {word:?}: {text}");
    }
    finding
}

#[test]
fn credentials_that_make_a_request_too_long_are_told_by_length() {
    let results = live("retry = { preset = \"none\" }", "rules = [{ larger = 500, code = 0 }]");
    let words = [
        "requests without credentials are challenged, requests with credentials are never answered",
        "first requests: 200 answered at once",
        "the longest answered had",
        "a server that is down: it answers other requests",
    ];
    only(&results, "no-response", &words);
}

#[test]
fn refreshes_that_are_not_answered_are_the_place() {
    // Once the binding has run out, the repeated request is answered like any new one.
    let results = live("", "rules = [{ place = \"refresh\", code = 0 }]");
    let words = ["refreshes are not answered until they have been repeated", "refreshes: ", "after they were repeated"];
    only(&results, "no-response", &words);
    let long = live("refresh_at = 0.3", "rules = [{ place = \"refresh\", code = 0 }]");
    only(&long, "no-response", &["refreshes are never answered, while other requests are", "never ("]);
}

#[test]
fn agents_that_are_never_answered_are_told_from_a_time() {
    let trunk = "retry = { preset = \"hammer\", interval = \"20s\" }";
    let results = live(trunk, "rules = [{ agents = [0, 40], code = 0 }]");
    let words = ["always the same agents are not answered", "160 other agents", "none of their attempts was answered"];
    only(&results, "no-response", &words);
}

#[test]
fn a_silence_lasts_as_long_as_its_repeats_say() {
    // What is sent in its last half minute is answered in the end.
    let results = live("", "rules = [{ from = 10.0, until = 55.0, code = 0 }]");
    let words = ["nothing is answered from 10.", "because of it", "repeated", "attempts came as before, 10.0 a second"];
    let finding = only(&results, "no-response", &words);
    let window = finding.summary.split_once(" to ").and_then(|(_, rest)| rest.split_once(" s of the run"));
    let until: f64 = window.and_then(|(until, _)| until.parse().ok()).expect("the end of it");
    assert!((55.0..60.0).contains(&until), "{}", finding.summary);
    assert!(finding.last_seen.starts_with("2000-01-01T00:00:5"), "{}", finding.last_seen);
}

#[test]
fn each_request_is_counted_by_its_fate() {
    let results = live("", "frozen = [[10.0, 12.0]]");
    let count = |kind, fate| {
        let rows = results.evidence.requests.iter().filter(|row| (row.kind, row.fate) == (kind, fate));
        rows.map(|row| row.count).sum::<u64>()
    };
    let first = [RequestFate::AtOnce, RequestFate::Repeated, RequestFate::Never].map(|f| count(RequestKind::First, f));
    assert_eq!((first.iter().sum::<u64>(), first[2]), (200, 0), "{first:?}");
    assert!((10..=20).contains(&first[1]), "those of a second and a half: {first:?}");
    assert_eq!(count(RequestKind::Removal, RequestFate::AtOnce), 200);
    assert!(results.evidence.requests.iter().all(|row| row.bytes.0 > 200 && row.bytes.1 < 1_000));
}

#[test]
fn a_lifetime_of_nothing_is_no_registration() {
    let results = live("", "max_expires = 0");
    let sums = &results.totals.sums;
    assert_eq!((sums.status[Status::Registered.index()], results.totals.agents_registered_peak), (0, 0));
    assert_eq!(sums.status[Status::ProtocolError.index()], 200);
    let finding = only(&results, "binding.lost", &["grant no time (expires=0)", "holds no binding"]);
    assert_eq!((finding.severity.as_str(), finding.agents), ("critical", 200));
    assert_eq!(findings(&results).len(), 1, "{:#?}", findings(&results));
}

#[test]
fn bindings_that_our_own_agents_push_out_are_counted() {
    let agents = "csv = \"three-a-user.csv\"";
    // Phones of one user have a Contact each, at different addresses or at one.
    for trunk in ["source = [\"127.0.0.2\", \"127.0.0.3\", \"127.0.0.4\"]", ""] {
        let results = live_with(agents, trunk, "contacts = 1\npushes_out = true", "");
        let words = ["keeps at most 1 binding of an address of record", "it holds 20 where 60 agents"];
        let finding = only(&results, "limit.contacts", &words);
        assert_eq!((finding.severity.as_str(), finding.agents), ("critical", 60));
        let fine = live_with(agents, trunk, "", "");
        assert!(findings(&fine).is_empty(), "{:#?}", findings(&fine));
    }
}

#[test]
fn arrivals_that_were_shed_are_agents_that_did_not_come() {
    let more = "[arrivals]\nmax_in_flight = 4\n";
    let results = live_with("count = 200, user = \"a{n}\", password = \"secret\"", "", "latency_ms = 400.0", more);
    assert!(results.totals.sums.status[Status::Shed.index()] > 50);
    let finding = only(&results, "slow", &["every answer takes long", "max_in_flight = 4", "did not come"]);
    assert_eq!(finding.severity.as_str(), "warning");
    let more = "[arrivals]\nmax_in_flight = 1\n";
    let results = live_with("count = 200, user = \"a{n}\", password = \"secret\"", "", "latency_ms = 60.0", more);
    only(&results, "generator.saturated", &["more attempts are open at a time than the profile allows"]);
}
