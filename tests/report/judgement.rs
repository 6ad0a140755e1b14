//! The generator's verdict, the run's verdict, and thresholds held against a run.

use crate::fixture;
use crate::{judged, rendered};
use regstorm::diagnose::{GeneratorVerdict, Threshold, Verdict, judge};
use regstorm::measure::Imbalance;
use regstorm::record::{RegistrarHeader, Results};

type Change = fn(&mut Results);
/// What is changed in the run, the thresholds, the verdict.
type Row<'a> = (&'a [Change], &'a [(&'a str, &'a str)], Verdict);

#[test]
fn the_generator_is_judged_by_its_own_counters() {
    use GeneratorVerdict::{Invalid, Suspect, Valid};
    let table: [(&str, Change, GeneratorVerdict, &str); 18] = [
        ("nothing wrong", |_| {}, Valid, ""),
        (
            "late at the limit",
            |r| (r.totals.generator.arrivals, r.totals.generator.arrivals_late) = (10_000, 10),
            Valid,
            "",
        ),
        (
            "late above the limit",
            |r| (r.totals.generator.arrivals, r.totals.generator.arrivals_late) = (10_000, 11),
            Suspect,
            "11 of 10000 arrivals (0.11 %) left more than 5ms after their planned time, above 0.1 %",
        ),
        (
            "late far above the limit, after stalls",
            |r| {
                let counts = &mut r.totals.generator;
                (counts.arrivals, counts.arrivals_late, counts.loop_stalls) = (1_000, 51, 3);
            },
            Invalid,
            "51 of 1000 arrivals (5.1 %) left more than 5ms after their planned time, above 5 %; the test program \
             paused for more than 10ms 3 times",
        ),
        // Of fewer than twenty arrivals one is a large share.
        (
            "half of a handful are late",
            |r| (r.totals.generator.arrivals, r.totals.generator.arrivals_late) = (18, 9),
            Valid,
            "",
        ),
        (
            "most of a handful are late",
            |r| (r.totals.generator.arrivals, r.totals.generator.arrivals_late) = (19, 10),
            Suspect,
            "10 of 19 arrivals (52.632 %) left more than 5ms after their planned time, above 5 %",
        ),
        (
            "twenty count as any others do",
            |r| (r.totals.generator.arrivals, r.totals.generator.arrivals_late) = (20, 2),
            Invalid,
            "2 of 20 arrivals (10 %) left more than 5ms after their planned time, above 5 %",
        ),
        (
            "a handful lags",
            |r| lag_of(r, 150_000, 19),
            Suspect,
            "the slowest one in a hundred arrivals left 150 ms or more after its planned time, above 100 ms",
        ),
        (
            "twenty lag",
            |r| lag_of(r, 150_000, 20),
            Invalid,
            "the slowest one in a hundred arrivals left 150 ms or more after its planned time, above 100 ms",
        ),
        ("lag at 100 ms", |r| lag(r, 99_900), Valid, ""),
        (
            "lag above 100 ms",
            |r| lag(r, 150_000),
            Invalid,
            "the slowest one in a hundred arrivals left 150 ms or more after its planned time, above 100 ms",
        ),
        (
            "a drop",
            |r| (r.totals.generator.socket_drops, r.totals.sums.messages_received) = (1, 1_000),
            Suspect,
            "the kernel dropped 1 datagrams at our sockets, 1000 were received",
        ),
        (
            "many drops",
            |r| (r.totals.generator.socket_drops, r.totals.sums.messages_received) = (2, 1_000),
            Invalid,
            "the kernel dropped 2 datagrams at our sockets, 1000 were received, above 0.1 % of them",
        ),
        (
            "a send error",
            |r| (r.totals.generator.send_errors, r.totals.sums.messages_sent) = (1, 1_000),
            Suspect,
            "1 message could not be sent",
        ),
        (
            "many send errors",
            |r| (r.totals.generator.send_errors, r.totals.sums.messages_sent) = (2, 1_000),
            Invalid,
            "2 messages could not be sent, above 0.1 % of what was sent",
        ),
        (
            "the ceiling",
            |r| r.totals.sums.ceiling_refused = 7,
            Suspect,
            "the safety ceiling (max_message_rate) refused 7 messages",
        ),
        (
            "arrivals that never happened",
            // Refreshes and retries leave on schedule too, and make up for nothing.
            |r| (r.header.arrivals_planned, r.totals.generator.arrivals) = (r.header.arrivals_planned + 2, 1_000),
            Suspect,
            "2 of 21 planned arrivals never happened",
        ),
        (
            "books that do not balance",
            |r| {
                r.imbalances =
                    vec![Imbalance { interval: 1, trunk: 0, started: 9, finished: 7, open: 1, of_flows: false }]
            },
            Invalid,
            "the books of trunk trunk_00 do not balance up to interval 1: 9 attempts started, 7 ended, 1 open",
        ),
    ];
    for (case, change, verdict, reason) in table {
        let mut results = fixture::run();
        change(&mut results);
        let judgement = judged(&results, &[]);
        assert_eq!(judgement.generator, verdict, "{case}");
        assert_eq!(judgement.generator_reasons.join("; "), reason, "{case}");
        let invalid = verdict == Invalid;
        assert_eq!(judgement.verdict, if invalid { Verdict::Invalid } else { Verdict::Pass }, "{case}");
        assert_eq!(judgement.invalid_reasons.is_empty(), !invalid, "{case}");
    }
}

fn lag(results: &mut Results, us: u64) {
    lag_of(results, us, 100);
}

fn lag_of(results: &mut Results, us: u64, arrivals: u64) {
    results.lag_us.reset();
    results.lag_us.record_n(us, arrivals).expect("within the bounds");
}

#[test]
fn interrupted_comes_before_invalid_before_failed_before_passed() {
    let stop: Change = |r| r.end.as_mut().expect("ended").interrupted_by = Some(2);
    let kill: Change = |r| r.end = None;
    let stall: Change = |r| lag(r, 200_000);
    let abort: Change = |r| r.end.as_mut().expect("ended").aborted = Some(fixture::aborted());
    let fail = [("loops", "== 0")];
    let hold = [("loops", "== 4")];
    let table: [Row; 13] = [
        (&[], &[], Verdict::Pass),
        (&[], &hold, Verdict::Pass),
        (&[], &fail, Verdict::Fail),
        (&[stall], &hold, Verdict::Invalid),
        (&[stall], &fail, Verdict::Invalid),
        (&[abort], &[], Verdict::Fail),
        (&[abort], &hold, Verdict::Fail),
        (&[abort, stall], &hold, Verdict::Invalid),
        (&[abort, stop], &hold, Verdict::Interrupted),
        (&[stop], &hold, Verdict::Interrupted),
        (&[stop, stall], &fail, Verdict::Interrupted),
        (&[kill], &hold, Verdict::Interrupted),
        (&[kill, stall], &fail, Verdict::Interrupted),
    ];
    for (n, (changes, thresholds, verdict)) in table.into_iter().enumerate() {
        let mut results = fixture::run();
        changes.iter().for_each(|change| change(&mut results));
        assert_eq!(judged(&results, thresholds).verdict, verdict, "row {n}");
    }
}

/// Arrivals that a stopped run spared its registrar are not missing from it.
#[test]
fn a_stopped_run_is_not_blamed_on_the_generator() {
    let mut results = fixture::run();
    results.header.arrivals_planned += 100;
    assert_eq!(judged(&results, &[]).generator, GeneratorVerdict::Suspect);
    results.end.as_mut().expect("ended").aborted = Some(fixture::aborted());
    assert_eq!(judged(&results, &[]).generator, GeneratorVerdict::Valid);
}

#[test]
fn thresholds_find_their_values() {
    let results = fixture::run();
    let table = [
        // 13 agents register and refresh, 4 are refused 6 times, one is shed, one times out, one
        // never arrives.
        ("attempts", ">= 1", Some(52.0), true),
        ("totals.registered", "== 26", Some(26.0), true),
        ("success_ratio", "== 50%", Some(0.5), true),
        ("success_ratio", "> 0.5", Some(0.5), false),
        ("authentication_failed", "== 24", Some(24.0), true),
        ("initial", "== 19", Some(19.0), true),
        ("retries", "== 20", Some(20.0), true),
        ("refreshes", "== 13", Some(13.0), true),
        ("loops", "== 0", Some(4.0), false),
        ("trunk.trunk_00.loops", "== 2", Some(2.0), true),
        ("trunk.trunk_01.request_timeout", "== 0", Some(0.0), true),
        ("register.count", "== 13", Some(13.0), true),
        ("refresh.max", "<= 900us", Some(900.0), true),
        ("refresh.max", "< 900us", Some(900.0), false),
        ("options.p99", "< 1s", None, false),
        ("options.p99", "!= 1s", None, false),
        ("options.count", "== 0", Some(0.0), true),
        ("schedule_lag.max", "<= 1ms", Some(1_000.0), true),
        ("findings.critical", "== 0", Some(0.0), true),
        ("ira_pct_requests", "< 1%", Some(100.0 / 102.0), true),
        ("auth_loop_pct", "< 46.16%", Some(2_400.0 / 52.0), true),
    ];
    for (name, expr, value, pass) in table {
        let judgement = judged(&results, &[(name, expr)]);
        let outcome = &judgement.thresholds[0];
        assert_eq!((outcome.value, outcome.pass), (value, pass), "{name} {expr}");
        assert_eq!((outcome.name.as_str(), outcome.expr.as_str()), (name, expr));
    }
}

#[test]
fn a_run_without_attempts_knows_no_shares() {
    let results = fixture::empty();
    for name in ["success_ratio", "ira_pct", "ira_pct_requests", "auth_loop_pct", "availability_pct"] {
        let judgement = judged(&results, &[(name, ">= 0")]);
        assert_eq!(judgement.thresholds[0].value, None, "{name}");
        assert_eq!(judgement.verdict, Verdict::Fail, "what was not measured does not pass: {name}");
    }
    assert_eq!(judged(&results, &[("attempts", "== 0")]).verdict, Verdict::Pass);
}

#[test]
fn a_record_carries_its_thresholds() {
    let mut results = fixture::run();
    results.header.thresholds = vec![("trunk.trunk_01.loops".to_owned(), "== 2".to_owned())];
    let thresholds = Threshold::of_run(&results.header).expect("a valid threshold");
    assert_eq!(judge(&results, &[], &thresholds).verdict, Verdict::Pass);
    results.header.thresholds.push(("trunk.trunk_09.loops".to_owned(), "== 2".to_owned()));
    let error = Threshold::of_run(&results.header).expect_err("no such trunk");
    assert!(error.message.contains("there is no trunk \"trunk_09\""), "{error}");
}

/// What is changed in the run, the answer, what its reason says.
type Asked<'a> = (&'a str, Change, &'a str, &'a str);

#[test]
fn going_live_needs_every_agent_of_the_profile() {
    let table: [Asked; 6] = [
        ("all signed in to the end", |_| {}, "yes", "every target was met with 20 agents, all signed in to the end"),
        (
            "eighty more in the profile",
            |r| {
                r.totals.agents += 80;
                r.agents.resize_with(100, Default::default);
            },
            "not decided",
            "only 20 of the profile's 100 agents took part",
        ),
        (
            "two refused, within the targets",
            |r| r.agents[3..5].iter_mut().for_each(|agent| agent.first_registered_ns = None),
            "with reservations",
            "yet 2 of 20 agents never signed in",
        ),
        (
            "one lost before the end",
            |r| r.totals.agents_registered_at_end -= 1,
            "with reservations",
            "yet 1 of 20 agents were no longer signed in at the end",
        ),
        (
            "a machine with small troubles",
            |r| (r.totals.generator.send_errors, r.totals.sums.messages_sent) = (1, 1_000),
            "with reservations",
            "the test machine had small troubles of its own",
        ),
        ("a rehearsal", |r| r.header.simulated = true, "not decided", "this was a rehearsal"),
    ];
    for (name, change, answer, because) in table {
        let mut results = fixture::healthy();
        for trunk in &mut results.header.trunks {
            trunk.registrar = RegistrarHeader::At("sip:10.0.0.5".to_owned());
        }
        change(&mut results);
        let page = rendered(&results, &[("findings.critical", "== 0")], "summary.csv");
        let line = page.lines().find(|line| line.starts_with("Can we go live?")).expect("the question");
        assert!(line.starts_with(&format!("Can we go live?,{answer},")), "{name}: {line}");
        assert!(line.contains(because), "{name}: {line}");
    }
}
