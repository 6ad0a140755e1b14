//! Findings about challenges, silence, bindings and drift, on rehearsed runs: what is there is
//! found, and nothing else.

#[path = "support/rehearsal.rs"]
mod rehearsal;

use regstorm::diagnose::{Finding, findings};
use regstorm::measure::{Beat, CheckOutcome, Echo, Errand, GrantRow, OutcomeRow, PulseCell};
use regstorm::record::Results;
use regstorm::vocab::{Class, Confidence, Kind, NotSent, Phase, Severity, Status, Trouble, Unreachable, Unusable};
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
    assert_eq!(finding.severity.as_str(), severity, "{text}");
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
    // A password that is wrong for everybody looks the same: both are found, with the test.
    assert_eq!((finding.agents, finding.confidence.as_str()), (200, "open"));
    assert!(finding.evidence.contains("for example a"), "{}", finding.evidence);
    assert!(finding.advice.contains("to tell it from all-accounts"), "{}", finding.advice);
    only(&results, "loop.403.after-auth", "critical", &["200 of 200 agents"]);
}

#[test]
fn another_realm_that_registers_is_a_warning() {
    let results = rehearse(&profile("realm = \"nj.test;tenant=acme\"", ""), 1, 0.0);
    only(&results, "realm.mismatch", "warning", &["registered nevertheless"]);
    let fault = "[[registrar.fault]]\nkind = \"realm\"\nchallenge = \"nj.test\"\nverify = \"nj.test;tenant=acme\"";
    let forced = profile("realm = \"nj.test;tenant=acme\"\nrealm_policy = \"force\"", fault);
    only(&rehearse(&forced, 1, 0.0), "realm.mismatch", "warning", &["taken all the same, the challenge is wrong"]);
    let required = profile("realm = \"elsewhere.test\"\nrealm_policy = \"require\"", "");
    let finding = only(&rehearse(&required, 1, 0.0), "realm.mismatch", "critical", &["realm_policy = \"require\""]);
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
        // A 2xx that was lost and asked for again grants what is left of the lifetime; no policy
        // cuts it.
        assert!(found(&results, "expires.shortened").is_empty());
        assert!((share / 100.0 / loss - 1.0).abs() < 0.35, "{loss}: {}", finding.summary);
        assert!(found(&results, "no-response").is_empty());
    }
}

#[test]
fn a_slow_server_loses_nothing() {
    let slow = "[[registrar.fault]]\nkind = \"delay\"\nfixed = \"900ms\"";
    let results = rehearse(&profile("", slow), 1, 0.0);
    assert!(results.totals.sums.retransmissions >= 400, "{}", results.totals.sums.retransmissions);
    only(&results, "slow", "warning", &["every answer takes long, 90"]);
}

#[test]
fn a_server_that_answers_everything_later_loses_nothing() {
    let freeze = "[[registrar.fault]]\nkind = \"freeze\"\nfrom = \"20s\"\nuntil = \"35s\"";
    let results = rehearse(&profile("", freeze), 1, 0.0);
    assert!(results.totals.sums.retransmissions >= 200, "{}", results.totals.sums.retransmissions);
    assert!(found(&results, "packet-loss").is_empty(), "{:#?}", findings(&results));
}

#[test]
fn a_limit_beside_another_realm_is_not_the_realm() {
    let limit = "[[registrar.fault]]\nkind = \"limit\"\nconcurrent = 5";
    let trunk = "realm = \"nj.test;tenant=acme\"\nretry = { preset = \"hammer\", interval = \"2s\" }";
    let results = rehearse(&profile(trunk, limit), 1, 0.0);
    only(&results, "realm.mismatch", "warning", &["some of its agents are refused"]);
}

#[test]
fn a_dead_server_never_answers() {
    let dead = "[[registrar.fault]]\nkind = \"drop\"\nprobability = 1.0";
    let results = rehearse(&profile("", dead), 1, 0.0);
    let words = ["never answers a request", "all 200 agents", "packet loss: not one answer came"];
    let finding = only(&results, "no-response", "critical", &words);
    assert_eq!(finding.confidence, Confidence::High);
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

/// A healthy run whose answers came back as `echo` says, from the `nth` on.
fn echoed(every: usize, echo: Echo, example: &str) -> Results {
    let mut results = rehearse(&profile("", ""), 1, 0.0);
    let grants = std::mem::take(&mut results.evidence.grants);
    for row in grants {
        let part = row.seen.count / every as u64;
        let mut hit = GrantRow { echo, example: example.to_owned(), ..row.clone() };
        hit.seen.count = part;
        let mut rest = row;
        rest.seen.count -= part;
        results.evidence.grants.extend([hit, rest].into_iter().filter(|row| row.seen.count > 0));
    }
    results
}

#[test]
fn bindings_that_are_not_there_are_missed() {
    let absent = Echo { contact_absent: true, ..Echo::default() };
    only(&echoed(4, absent, ""), "binding.lost", "critical", &["list bindings without ours", "of kind refresh"]);
    only(&echoed(150, absent, ""), "binding.lost", "warning", &["list bindings without ours"]);
    let others = echoed(1, absent, "");
    only(&others, "binding.lost", "warning", &["every 2xx lists a Contact, and none lists ours"]);
    let mut nobody = others;
    nobody.evidence.grants.iter_mut().for_each(|row| row.listed = 0);
    only(&nobody, "binding.lost", "info", &["no 2xx lists our Contact"]);
}

#[test]
fn translators_and_gateways_are_told_apart() {
    let translated = Echo { translated: true, contact_rewritten: true, ..Echo::default() };
    let results = echoed(1, translated, "198.51.100.7:1024");
    only(&results, "nat.contact-rewritten", "info", &["translated address", "came back as 198.51.100.7:1024"]);
    assert!(found(&results, "alg.rewritten").is_empty());

    let gateway = Echo { via_rewritten: true, ..Echo::default() };
    let results = echoed(1, gateway, "198.51.100.7:1024");
    only(&results, "alg.rewritten", "warning", &["our Via comes back"]);
    assert!(found(&results, "nat.contact-rewritten").is_empty());

    let unclear = Echo { contact_rewritten: true, ..Echo::default() };
    let results = echoed(1, unclear, "198.51.100.7:1024");
    let open = only(&results, "alg.rewritten", "warning", &["perhaps by a SIP gateway"]);
    assert_eq!(open.confidence, Confidence::Open);
    only(&results, "nat.contact-rewritten", "info", &["perhaps by the registrar itself"]);
}

#[test]
fn shortened_lifetimes_are_a_warning_once_messages_double() {
    let text = |limit: &str| profile("", &format!("max_expires = \"{limit}\""));
    only(&rehearse(&text("12s"), 1, 0.0), "expires.shortened", "info", &["grants 12 s of the 20 s", "1.7 times"]);
    let words = ["grants 8 s of the 20 s", "at least 50.0 messages/s instead of 20.0"];
    only(&rehearse(&text("8s"), 1, 0.0), "expires.shortened", "warning", &words);
}

#[test]
fn refreshes_that_fail_beside_registrations_are_found() {
    let mut results = rehearse(&profile("", ""), 1, 0.0);
    // Every refresh refused, as many registrations in its place.
    let refreshes: u64 =
        results.evidence.outcomes.iter().filter(|row| row.kind == Kind::Refresh).map(|r| r.seen.count).sum();
    assert!(refreshes > 100);
    for row in results.evidence.outcomes.iter_mut().filter(|row| row.kind == Kind::Refresh) {
        (row.class, row.code, row.reason) = (Class::Refused, 481, "Gone".to_owned());
    }
    for cell in &mut results.evidence.pulse {
        // A refresh that registered, by its number, becomes a new registration.
        cell.beat = if cell.beat == 1 { 0 } else { cell.beat };
    }
    results.evidence.settle();
    only(&results, "refresh.failing", "critical", &["refreshes fail", "x 481 Gone to refreshes"]);
}

/// A healthy soak of two minutes, the 99th percentile of whose refreshes is set by interval.
fn soak(p99_us: impl Fn(u64) -> u64) -> Results {
    let load = "[[load]]\nrate = 100\nfor = \"2s\"\n[[load]]\nhold = \"150s\"";
    let text = profile("", "").replace(LOAD, load).replace("[run]", "[run]\nwarmup = \"20s\"");
    let mut results = rehearse(&text, 1, 0.0);
    for (n, interval) in (0..).zip(&mut results.intervals) {
        for row in interval.latency.iter_mut().filter(|row| row.phase == Phase::Refresh) {
            row.p99_us = p99_us(n);
        }
    }
    results
}

#[test]
fn response_times_that_creep_up_drift() {
    let results = soak(|n| 20_000 + 1_000 * n);
    let finding = only(&results, "drift", "warning", &["99th percentile of refresh rises", "Mann-Kendall"]);
    assert_eq!(finding.trunk_id, "nj");
    for (what, healthy) in [
        ("steady", soak(|n| 20_000 + 700 * (n * 7919 % 13))),
        ("a step", soak(|n| if n < 14 { 20_000 } else { 60_000 })),
        ("below a tenth", soak(|n| 20_000 + 50 * n)),
    ] {
        assert!(findings(&healthy).is_empty(), "{what}: {:#?}", findings(&healthy));
    }
}

#[test]
fn response_times_of_a_shift_that_ends_do_not_drift() {
    // The last third of the run is of a tenth of the phones: of others than before.
    let mut results = soak(|n| 1_000 + 200 * n);
    let all = results.intervals.len();
    for interval in &mut results.intervals[all - all / 3..] {
        let trunk = &mut interval.trunks[0];
        (trunk.planned, trunk.registered) = (20, 20);
    }
    assert!(found(&results, "drift").is_empty(), "{:#?}", findings(&results));
}

#[test]
fn a_generator_that_fell_behind_is_a_warning_and_no_more() {
    let mut results = rehearse(&profile("", ""), 1, 0.0);
    results.totals.generator.socket_drops = 400;
    let finding = only(&results, "generator.saturated", "warning", &["dropped 400 datagrams"]);
    assert_eq!(finding.trunk_id, "");
    let dead = "[[registrar.fault]]\nkind = \"drop\"\nprobability = 1.0";
    let mut results = rehearse(&profile("", dead), 1, 0.0);
    results.totals.generator.socket_drops = 400;
    assert!(findings(&results).iter().all(|finding| finding.severity != Severity::Critical));
}

/// Lets attempts have ended for another reason.
fn say(row: &mut OutcomeRow, trouble: Trouble) {
    (row.reason, row.trouble) = (trouble.to_string(), Some(trouble));
}

#[test]
fn a_port_where_nobody_listens_is_told_from_silence() {
    let mut results = rehearse(&profile("", ""), 1, 0.0);
    for row in &mut results.evidence.outcomes {
        (row.class, row.code) = (Class::Transport, 0);
        say(row, Trouble::Unreachable(Unreachable::Port));
    }
    for agent in &mut results.agents {
        (agent.status, agent.met) = (Some(Status::TransportError), Class::Transport.bit());
    }
    let words = ["127.0.0.1:5060 cannot be reached", "all 200 agents", "x port unreachable"];
    only(&results, "no-response", "critical", &words);
    for row in &mut results.evidence.outcomes {
        say(row, Trouble::NotSent(NotSent::Firewall));
    }
    // What does not leave this machine is no failure of the server's.
    results.totals.generator.send_errors = 200;
    only(&results, "generator.saturated", "warning", &["x refused by the local firewall", "could not be sent, above"]);
}

#[test]
fn a_challenge_that_cannot_be_answered_says_why() {
    let mut results = rehearse(&profile("algorithms = [\"MD5\"]", "algorithms = [\"SHA-256\"]"), 1, 0.0);
    for row in &mut results.evidence.outcomes {
        say(row, Trouble::Unusable(Unusable::Incomplete));
    }
    let finding = only(&results, "algorithm.unsupported", "critical", &["lacks its realm or nonce"]);
    assert_eq!(finding.agents, 200);
}

/// A ramp to 40 attempts per second, of which `unanswered` in each second were never answered.
fn ramp(unanswered: impl Fn(u64) -> u64) -> Results {
    let load = "[[load]]\nramp = 40\nfor = \"20s\"\n[[load]]\nhold = \"40s\"";
    let text = profile("", "").replace(LOAD, load).replace("count = 200", "count = 400");
    let mut results = rehearse(&text, 1, 0.0);
    let mut started = [0; 20];
    for cell in results.evidence.pulse.iter().filter(|cell| cell.beat == Beat::Started.index() && cell.tick < 200) {
        started[cell.tick as usize / 10] += u64::from(cell.count);
    }
    let beat = Beat::Ended { class: Class::Silence, errand: Errand::New }.index();
    let mut seen = regstorm::measure::Sightings::default();
    for (second, &started) in (0u32..).zip(&started) {
        let count = unanswered(started);
        if count > 0 {
            let at_ns = u64::from(second + 32) * 1_000_000_000;
            let agents = vec![second];
            seen.merge(&regstorm::measure::Sightings {
                count,
                first_ns: at_ns,
                last_ns: at_ns,
                agents,
                agents_ns: Vec::new(),
            });
            let tick = 10 * (second + 32);
            results.evidence.pulse.push(PulseCell { trunk: 0, tick, beat, group: 0, count: count as u32 });
        }
    }
    let answered = results.evidence.outcomes[0].clone();
    let silent = OutcomeRow {
        class: Class::Silence,
        code: 0,
        reason: "timeout".to_owned(),
        trouble: Some(Trouble::Timeout),
        seen,
        ..answered
    };
    results.evidence.outcomes.push(silent);
    results.evidence.settle();
    results
}

#[test]
fn silence_above_a_rate_is_told_from_silence_at_any() {
    let above = ramp(|started| if started >= 25 { started / 3 } else { 0 });
    only(&above, "no-response", "warning", &["attempts/s on requests are left unanswered", "chance: spread evenly"]);
    let anywhere = ramp(|started| started / 8);
    only(&anywhere, "no-response", "warning", &["scattered over the run"]);
}

#[test]
fn response_times_that_only_scatter_do_not_drift() {
    let delay = "[[registrar.fault]]\nkind = \"delay\"\nlognormal = { median = \"40ms\", sigma = 0.6 }";
    for seed in 0..3 {
        let load = "[[load]]\nrate = 50\nfor = \"4s\"\n[[load]]\nhold = \"8m\"";
        let results = rehearse(&profile("", delay).replace(LOAD, load), seed, 0.0);
        assert!(findings(&results).is_empty(), "seed {seed}: {:#?}", findings(&results));
    }
}

/// A registrar that restarts: everybody who registers or refreshes meanwhile asks again.
#[test]
fn requests_repeated_while_nobody_is_answered_are_not_lost_by_chance() {
    for (until, agents) in [("11s", 20), ("11500ms", 20)] {
        let restart =
            format!("[[registrar.fault]]\nkind = \"drop\"\nprobability = 1.0\nfrom = \"10s\"\nuntil = \"{until}\"");
        let load = format!("[[load]]\nrate = {agents}\nfor = \"20s\"\n[[load]]\nhold = \"30s\"");
        let text = profile("", &restart).replace(LOAD, &load).replace("count = 200", "count = 400");
        let results = rehearse(&text, 1, 0.0);
        assert!(results.totals.sums.retransmissions >= 5, "{}", results.totals.sums.retransmissions);
        assert!(found(&results, "packet-loss").is_empty(), "{until}: {:#?}", findings(&results));
    }
}

#[test]
fn each_lifetime_a_second_short_is_no_policy() {
    let mut results = rehearse(&profile("", ""), 1, 0.0);
    let asked: Vec<u32> = results.evidence.grants.iter().map(|row| row.asked_s).collect();
    assert!(asked.iter().all(|asked| *asked == 20), "{asked:?}");
    let limit = |text: &str| profile("expires = \"600s\"", text).replace("expires = \"20s\"\n", "");
    for cut in ["599s", "590s"] {
        results = rehearse(&limit(&format!("max_expires = \"{cut}\"")), 1, 0.0);
        assert!(findings(&results).is_empty(), "{cut}: {:#?}", findings(&results));
    }
    results = rehearse(&limit("max_expires = \"400s\""), 1, 0.0);
    only(&results, "expires.shortened", "info", &["grants 400 s of the 600 s"]);
}

#[test]
fn answers_that_always_take_as_long_are_no_overload() {
    for (ms, words) in [("400ms", "96 ms are left"), ("600ms", "each is sent more than once")] {
        let slow = format!("[[registrar.fault]]\nkind = \"delay\"\nfixed = \"{ms}\"");
        // More arrive in the few seconds of the load than are answered in them.
        let load = "[[load]]\nrate = 50\nfor = \"4s\"\n[[load]]\nhold = \"60s\"";
        let results = rehearse(&profile("", &slow).replace(LOAD, load), 1, 0.0);
        only(&results, "slow", "warning", &["every answer takes long", words]);
        assert!(found(&results, "overload").is_empty(), "{:#?}", findings(&results));
    }
}

/// What a finding says it costs, and the figure before a word of it.
#[track_caller]
fn cost(results: &Results, id: &str) -> (String, impl Fn(&str) -> f64) {
    let finding = found(results, id).remove(0);
    let text = finding.cost.clone();
    let before = move |word: &str| {
        let (head, _) = finding.cost.split_once(word).unwrap_or_else(|| panic!("{word}: {}", finding.cost));
        let number = head.trim_end().rsplit(' ').next().unwrap_or_default();
        number.trim_start_matches('(').parse().unwrap_or_else(|_| panic!("{word}: {}", finding.cost))
    };
    (text, before)
}

#[test]
fn agents_that_give_up_cost_what_they_sent() {
    let refuse = "[[registrar.fault]]\nkind = \"refuse\"\ncode = 403";
    let results = rehearse(&profile("", refuse), 1, 0.0);
    let (text, figure) = cost(&results, "loop.403.after-auth");
    assert_eq!(figure("messages wasted in all"), 800.0, "{text}");
    assert!(text.contains("the agents give up") && !text.contains("an hour"), "{text}");
    // 200 agents, planned for 60 s less the 5 s that the mean one of them comes later.
    assert!((figure("agent-minutes") - 200.0 * 55.0 / 60.0).abs() < 2.0, "{text}");
}

#[test]
fn agents_of_a_mix_cost_what_their_own_habits_bring() {
    let mix = "[[trunk.mix]]\nshare = 0.1\nwrong = \"password\"\nretry = { preset = \"hammer\" }\n\
               [[trunk.mix]]\nshare = 0.05\nwrong = \"password\"";
    let results = rehearse(&profile(mix, ""), 1, 0.0);
    let (text, figure) = cost(&results, "loop.401");
    // Twenty of thirty come again each second, with four messages.
    assert_eq!((figure("messages/s"), figure("an hour")), (80.0, 288_000.0), "{text}");
    assert!(text.contains("10 agents give up"), "{text}");
}

#[test]
fn a_wait_that_was_asked_for_counts() {
    let busy = "[[registrar.fault]]\nkind = \"rate\"\nper_second = 0.001\nburst = 1\ncode = 503\nretry_after = \"5s\"";
    let results = rehearse(&profile("retry = { preset = \"asterisk\" }", busy), 1, 0.0);
    let (text, figure) = cost(&results, "server-error");
    // 199 agents each 5 s: such a retry is not counted against the ten they have.
    assert!((figure("messages/s") / (199.0 * 4.0 / 5.0) - 1.0).abs() < 0.02, "{text}");
    let results = rehearse(&profile("retry = { preset = \"hammer\" }", busy), 1, 0.0);
    let (text, figure) = cost(&results, "server-error");
    assert!((figure("messages/s") / (199.0 * 4.0) - 1.0).abs() < 0.02, "it takes no order: {text}");
}

#[test]
fn the_minutes_of_a_trouble_are_those_of_its_trunk() {
    // A tenth of one trunk has a wrong password; nobody gets in on the other.
    let rest = "[[trunk]]\nid = \"b\"\nregistrar = \"embedded\"\ndomain = \"b.test\"\nexpires = \"20s\"\n\
                agents = { count = 100, user = \"b{n}\", password = \"p\" }\n\
                [[registrar.fault]]\nkind = \"refuse\"\ncode = 403\ntrunk = \"b\"\n\
                [[load]]\nrate = 30\nfor = \"10s\"\n[[load]]\nhold = \"50s\"";
    let mix = "[[trunk.mix]]\nshare = 0.1\nwrong = \"password\"";
    let results = rehearse(&profile(mix, rest), 1, 0.0);
    for (id, agents) in [("loop.401", 20.0), ("loop.403.after-auth", 100.0)] {
        let (text, figure) = cost(&results, id);
        assert!((figure("agent-minutes") / (agents * 55.0 / 60.0) - 1.0).abs() < 0.1, "{id}: {text}");
    }
}

/// Agents keep classes, and not the words of a refusal: where two troubles are answered with one
/// code, whose agents are whose is not known, and how they lie in the list excludes nothing.
#[test]
fn agents_of_two_troubles_with_one_code_do_not_exclude_a_machine() {
    let fault = |reason: &str, share: f64| {
        format!("[[registrar.fault]]\nkind = \"refuse\"\ncode = 403\nreason = \"{reason}\"\nshare = {share}\n")
    };
    let excludes = |faults: &str| {
        // Who comes again and is refused again is refused for being who it is.
        let again = profile("retry = { preset = \"hammer\", interval = \"5s\" }", faults);
        let found = found(&rehearse(&again, 1, 0.0), "loop.403.after-auth");
        assert!(!found.is_empty());
        found.iter().any(|finding| finding.rejected.contains("one machine of up to five"))
    };
    let one = fault("Forbidden", 0.04);
    assert!(excludes(&one), "so few of the agents are no machine's part");
    assert!(!excludes(&(one + &fault("Not Allowed Here", 0.04))));
}

#[test]
fn the_minutes_of_one_trouble_are_those_of_the_agents_it_hit() {
    // A twentieth with a wrong password, another twentieth unknown.
    let two = "[[registrar.fault]]\nkind = \"refuse\"\ncode = 403\nshare = 0.05\n[[registrar.fault]]\nkind = \"refuse\"\ncode = 404\nreason = \"Not Found\"\nshare = 0.5";
    let results = rehearse(&profile("", two), 1, 0.0);
    let minutes: Vec<f64> = ["loop.403.after-auth", "not-found"].map(|id| cost(&results, id).1("agent-minutes")).into();
    let agents: Vec<u64> = ["loop.403.after-auth", "not-found"].map(|id| found(&results, id)[0].agents).into();
    for (minutes, agents) in minutes.iter().zip(&agents) {
        assert!((minutes / (*agents as f64 * 55.0 / 60.0) - 1.0).abs() < 0.1, "{minutes} of {agents}");
    }
}

/// What audits of a healthy run of 200 agents would be if so many of them had found this instead,
/// and the others, unless they are to be left out, their binding.
fn audited(changed: u64, outcome: CheckOutcome, others: bool, listed: u16) -> Results {
    let text = profile("audit = 1.0", "");
    let mut results = rehearse(&text.replace("expires = \"20s\"", "expires = \"600s\""), 1, 0.0);
    let checks = &mut results.evidence.checks;
    let [held] = &mut checks[..] else { panic!("{checks:#?}") };
    assert!(held.outcome == CheckOutcome::Held && held.seen.count >= 200, "{held:#?}");
    let mut other = held.clone();
    (other.outcome, other.listed, other.seen.count) = (outcome, listed, changed);
    if others {
        held.seen.count -= changed;
        checks.push(other);
    } else {
        *held = other;
    }
    results
}

#[test]
fn audits_find_bindings_that_are_gone() {
    let healthy = rehearse(&profile("audit = 1.0\nqualify = \"10s\"", ""), 1, 0.0);
    assert!(findings(&healthy).is_empty(), "{:#?}", findings(&healthy));
    let words = ["find the binding gone", "no call reaches them", "it listed ours in"];
    let finding = only(&audited(40, CheckOutcome::Missing, true, 0), "binding.lost", "critical", &words);
    assert_eq!(finding.confidence, Confidence::High);
    let one = only(&audited(1, CheckOutcome::Missing, true, 0), "binding.lost", "warning", &["1 of"]);
    assert_eq!(one.confidence, Confidence::Low);
    // Whoever lists nobody may not list at all.
    let finding =
        only(&audited(200, CheckOutcome::Missing, false, 0), "binding.lost", "warning", &["lists any binding"]);
    assert_eq!(finding.confidence, Confidence::Open);
    let words = ["it listed 1 other binding"];
    only(&audited(200, CheckOutcome::Missing, false, 1), "binding.lost", "critical", &words);
    let finding = only(&audited(150, CheckOutcome::Shorter, true, 1), "expires.shortened", "info", &["150 of"]);
    assert_eq!(finding.confidence, Confidence::High);
}
