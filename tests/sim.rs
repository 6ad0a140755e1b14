//! Agents and registrar meet over a simulated link in virtual time: hours of soak in seconds, every
//! attempt accounted for. No socket, no clock, no sleep.

mod support;

use hdrhistogram::Histogram;
use regstorm::agent::{Backoff, CheckPolicy, RealmPolicy, RetryPolicy};
use regstorm::link::LinkConfig;
use regstorm::load::LoadStage;
use regstorm::measure::{CheckKind, CheckOutcome, CheckRow, Interval};
use regstorm::registrar::{Delay, Fault, FaultKind, LimitScope};
use regstorm::seed::Seed;
use regstorm::sim::{SimOutcome, World, WorldConfig};
use regstorm::vocab::{Phase, Status};
use std::fmt::Write;
use std::time::Duration;
use support::world::{self, DOMAIN, count, hammer, policy, seconds, statuses, with_fault};

/// RFC 5626 waits, scaled to `base`.
fn rfc(base: Duration) -> RetryPolicy {
    RetryPolicy { recoverable: Backoff::Exponential { base, cap: seconds(1800), jitter: 0.5 }, ..RetryPolicy::RFC }
}

/// A run of `agents` at 100/s, then a hold; who fails tries again after RFC 5626's waits.
fn world(agents: u32, hold: Duration) -> WorldConfig {
    let arrive = Duration::from_millis(u64::from(agents) * 10);
    let stages = vec![LoadStage::Rate { per_second: 100.0, lasts: arrive }, LoadStage::Hold { lasts: hold }];
    WorldConfig {
        policies: vec![policy(rfc(seconds(30)))],
        unregister_rate: Some(100.0),
        ..world::world(agents, stages)
    }
}

/// A phase's latency over the run.
fn latency(outcome: &SimOutcome, phase: Phase) -> Histogram<u32> {
    let mut all = Histogram::new_with_bounds(1, 130_000_000, 3).expect("valid bounds");
    for histogram in outcome.intervals.iter().filter_map(|i| i.trunks[0].latency_us[phase.index()].as_ref()) {
        all.add(histogram).expect("the same bounds");
    }
    all
}

/// Largest number of agents registered at an interval's end.
fn peak(outcome: &SimOutcome) -> u64 {
    outcome.load().map(|interval| interval.trunks[0].registered).max().unwrap_or(0)
}

#[test]
fn a_perfect_link_registers_everyone_and_leaves_nothing_behind() {
    let outcome = World::new(world(500, seconds(120))).run();
    assert_eq!(statuses(&outcome), [500, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(peak(&outcome), 500);
    assert_eq!(outcome.contacts_left, 0);
    assert_eq!(outcome.sum(|trunk| trunk.unregistered), 500);
    assert_eq!(outcome.sum(|trunk| trunk.register_requests), 1000, "a challenge and an answer each");
    assert_eq!(outcome.sum(|trunk| trunk.retransmissions), 0);
}

#[test]
fn nobody_waits_for_agents_that_never_arrived() {
    let mut config = world(1_000, seconds(1));
    config.load.stages[0] = LoadStage::Rate { per_second: 100.0, lasts: seconds(1) };
    config.unregister_rate = Some(10.0);
    let outcome = World::new(config).run();
    assert_eq!(outcome.sum(|trunk| trunk.unregistered), 100);
    assert_eq!(outcome.contacts_left, 0);
    let last = outcome.intervals.last().expect("intervals");
    assert!(last.end_ns < 13_000_000_000, "two seconds of load and ten of un-REGISTERs took {} ns", last.end_ns);
}

#[test]
fn latency_is_the_links_and_nothing_else() {
    let outcome = World::new(world(500, seconds(1))).run();
    // Two exchanges of 10 ms; the planned time is met exactly in virtual time.
    let worst = outcome
        .intervals
        .iter()
        .filter_map(|interval| interval.trunks[0].latency_us[Phase::Register.index()].as_ref())
        .map(|histogram| histogram.max())
        .max();
    assert!(worst.is_some_and(|us| (20_000..20_020).contains(&us)), "{worst:?}");
    assert!(outcome.intervals.iter().filter_map(|i| i.lag_us.as_ref()).all(|lag| lag.max() <= 1));
}

/// Arrivals stand at whole seconds, and so do the ends of intervals: each belongs to the interval
/// it begins, the load's end to no interval of its own.
#[test]
fn what_happens_at_an_intervals_end_belongs_to_the_next() {
    let mut config = world(5, seconds(2));
    config.load.stages[0] = world::rate(1.0, 5);
    config.interval = seconds(1);
    let outcome = World::new(config).run();
    let load: Vec<_> = outcome.load().collect();
    let started: Vec<u64> = load.iter().map(|interval| interval.trunks[0].attempts_started()).collect();
    assert_eq!(started, [1, 1, 1, 1, 1, 0, 0]);
    for (second, interval) in (0..).zip(load) {
        assert_eq!((interval.start_ns, interval.end_ns), (second * 1_000_000_000, (second + 1) * 1_000_000_000));
    }
}

/// Everything an outcome says, as text: two runs are the same run when this is the same.
fn transcript(outcome: &SimOutcome) -> String {
    let mut text = String::new();
    for interval in &outcome.intervals {
        let Interval { index, start_ns, end_ns, stage, agents, loops, responses, registered_samples, .. } = interval;
        let trunk = &interval.trunks[0];
        writeln!(
            text,
            "{index} {start_ns} {end_ns} {stage} {:?} {:?} {} {} {} {} {} {agents:?} {loops:?} {responses:?} {registered_samples:?}",
            trunk.status, trunk.started, trunk.open, trunk.messages_sent, trunk.retransmissions,
            trunk.registered_agent_ns, trunk.bytes_received,
        )
        .expect("a string");
        for histogram in trunk.latency_us.iter().flatten() {
            writeln!(text, "  {} {} {}", histogram.len(), histogram.value_at_quantile(0.5), histogram.max())
                .expect("a string");
        }
    }
    text
}

#[test]
fn a_day_of_a_thousand_agents_with_loss_is_repeatable_and_loses_no_attempt() {
    let day = || {
        let mut config = world(1000, seconds(24 * 3600));
        config.link.drop = 0.02;
        config.interval = seconds(600);
        config.policies[0].retry = rfc(seconds(5));
        World::new(config).run()
    };
    let outcome = day();
    let [registered, failed @ ..] = statuses(&outcome);
    // A lifetime of 600 s is refreshed after 540 s on average: 160 refreshes a day.
    assert!((155_000..165_000).contains(&registered), "{registered}");
    // Eleven transmissions would all have to be lost for a timeout.
    assert_eq!(failed.iter().sum::<u64>(), 0, "{failed:?}");
    assert!(outcome.sum(|trunk| trunk.retransmissions) > 3000);
    assert_eq!(outcome.sum(|trunk| trunk.unregister_failed), 0);
    assert_eq!(outcome.contacts_left, 0);
    assert_eq!(transcript(&outcome), transcript(&day()), "the same seed gives the same day");
}

#[test]
fn another_seed_gives_another_run() {
    let run = |seed| {
        let mut config = world(50, seconds(600));
        config.seed = Seed(seed);
        config.link.drop = 0.05;
        transcript(&World::new(config).run())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn the_number_of_workers_changes_nothing_that_users_see() {
    let run = |workers| {
        let mut config = world(300, seconds(1200));
        config.workers = workers;
        let outcome = World::new(config).run();
        (
            statuses(&outcome),
            peak(&outcome),
            outcome.sum(|t| t.register_requests),
            outcome.sum(|t| t.planned_agent_ns as u64),
        )
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn a_limit_lets_exactly_so_many_in() {
    let limit = FaultKind::Limit {
        concurrent: 120,
        scope: LimitScope::Trunk,
        code: 403,
        reason: "Registration limit exceeded".into(),
    };
    let outcome = World::new(with_fault(world(200, seconds(1300)), limit)).run();
    assert_eq!(peak(&outcome), 120);
    assert_eq!(count(&outcome, Status::AuthenticationFailed), 80, "refused after credentials, never repeated");
    assert!(outcome.load().all(|interval| interval.registered_samples.iter().all(|&(_, n)| n <= 120)));
}

#[test]
fn a_whitelist_refuses_before_any_challenge() {
    let deny = FaultKind::Deny { code: 403, reason: "Forbidden".into() };
    let outcome = World::new(with_fault(world(50, seconds(10)), deny)).run();
    assert_eq!(count(&outcome, Status::RegistrationRejected), 50);
    assert_eq!(outcome.sum(|trunk| trunk.register_requests), 50);
}

#[test]
fn a_lost_realm_suffix_makes_those_loop_that_repeat_a_403() {
    let suffix = format!("{DOMAIN};tenant=acme");
    let realm = || FaultKind::Realm { challenge: DOMAIN.into(), verify: suffix.clone() };
    let mut config = with_fault(world(40, seconds(60)), realm());
    config.policies[0].retry = hammer(seconds(2));
    let outcome = World::new(config).run();
    assert_eq!(outcome.sum(|trunk| trunk.agents_began_looping), 40);
    let attempts = count(&outcome, Status::AuthenticationFailed);
    assert!((1150..=1250).contains(&attempts), "every two seconds for a minute: {attempts}");
    assert_eq!(outcome.sum(|trunk| trunk.loop_attempts), attempts);

    let mut config = with_fault(world(40, seconds(10)), realm());
    config.policies[0].realm = Some(suffix.clone());
    config.policies[0].realm_policy = RealmPolicy::Force;
    let outcome = World::new(config).run();
    assert_eq!(count(&outcome, Status::Registered), 40, "forcing the realm is the cure");
}

#[test]
fn a_freeze_is_felt_by_those_who_arrived_in_it() {
    let mut config = world(1000, seconds(5));
    config.registrar.faults.push(Fault {
        kind: FaultKind::Freeze,
        from: seconds(4),
        until: Some(seconds(6)),
        share: 1.0,
        sources: Vec::new(),
        addresses: Vec::new(),
        domain: None,
    });
    let outcome = World::new(config).run();
    assert_eq!(count(&outcome, Status::Registered), 1000);
    let all = latency(&outcome, Phase::Register);
    // Ten seconds of arrivals, two of them frozen: a fifth waited, evenly between nothing and two
    // seconds.
    let slow = all.len() - all.count_between(0, 25_000);
    assert!((195..=205).contains(&slow), "{slow}");
    assert!((1_990_000..2_100_000).contains(&all.max()), "{}", all.max());
}

#[test]
fn a_short_nonce_life_costs_a_challenge_not_a_registration() {
    let mut config = world(20, seconds(3600));
    config.registrar.nonce_lifetime = seconds(60);
    let outcome = World::new(config).run();
    assert_eq!(statuses(&outcome)[1..].iter().sum::<u64>(), 0);
    let stale =
        outcome.intervals.iter().flat_map(|i| &i.responses).filter(|r| r.challenge).map(|r| r.count).sum::<u64>();
    assert!(stale > 20 * 6, "every refresh is challenged again: {stale}");
}

#[test]
fn availability_is_agents_times_time() {
    let outcome = World::new(world(100, seconds(99))).run();
    let planned = outcome.load().map(|i| i.trunks[0].planned_agent_ns).sum::<u128>() as f64 / 1e9;
    let registered = outcome.load().map(|i| i.trunks[0].registered_agent_ns).sum::<u128>() as f64 / 1e9;
    // Agent n is planned from n/100 s to 100 s, and registered 20 ms later.
    assert!((planned - 9950.5).abs() < 0.01, "{planned}");
    assert!((planned - registered - 100.0 * 0.02).abs() < 0.02, "{registered}");
}

/// Share registered at first try, retransmissions per agent and p99, over loss × delay.
#[test]
fn the_grid_of_loss_and_delay() {
    let mut grid = String::from("loss   delay   registered  timeouts  retransmissions  p50 ms  p99 ms\n");
    for loss in [0.0, 0.02, 0.1, 0.5] {
        for delay in [1, 50, 400] {
            let mut config = world(400, seconds(40));
            config.link = LinkConfig { delay: Some(Delay::Fixed(Duration::from_millis(delay))), drop: loss };
            let outcome = World::new(config).run();
            let all = latency(&outcome, Phase::Register);
            writeln!(
                grid,
                "{loss:<5} {delay:>4} ms {:>11} {:>9} {:>16} {:>7.0} {:>7.0}",
                count(&outcome, Status::Registered),
                count(&outcome, Status::RequestTimeout),
                outcome.sum(|trunk| trunk.retransmissions),
                all.value_at_quantile(0.5) as f64 / 1e3,
                all.value_at_quantile(0.99) as f64 / 1e3,
            )
            .expect("a string");
        }
    }
    insta::assert_snapshot!(grid);
}

/// What each preset makes of each refusal within ten minutes: attempts per agent, agents looping.
#[test]
fn the_grid_of_presets_and_faults() {
    let presets = [("rfc", rfc(seconds(30))), ("hammer", hammer(seconds(10))), ("none", RetryPolicy::NONE)];
    let faults = [
        ("403 before a challenge", FaultKind::Deny { code: 403, reason: "Forbidden".into() }),
        ("403 after credentials", FaultKind::Refuse { code: 403, reason: "Forbidden".into() }),
        ("503 after credentials", FaultKind::Refuse { code: 503, reason: "Service Unavailable".into() }),
        ("404 after credentials", FaultKind::Refuse { code: 404, reason: "Not Found".into() }),
        ("silence", FaultKind::Drop { probability: 1.0 }),
    ];
    let mut grid = String::from("preset  fault                    attempts/agent  agents looping\n");
    for (name, retry) in &presets {
        for (what, kind) in &faults {
            let mut config = with_fault(world(20, seconds(600)), kind.clone());
            config.policies[0].retry = *retry;
            let outcome = World::new(config).run();
            let attempts = statuses(&outcome).iter().sum::<u64>() as f64 / 20.0;
            let looping = outcome.sum(|trunk| trunk.agents_began_looping);
            writeln!(grid, "{name:<7} {what:<24} {attempts:>14.2} {looping:>15}").expect("a string");
        }
    }
    insta::assert_snapshot!(grid);
}

// ---- A bad wire and a registrar that changes its mind ----

#[test]
fn unreadable_replies_are_protocol_errors_and_nothing_worse() {
    let outcome = World::new(with_fault(world(300, seconds(5)), FaultKind::Corrupt { probability: 1.0 })).run();
    assert_eq!(count(&outcome, Status::ProtocolError), 300);
    let outcome = World::new(with_fault(world(1000, seconds(5)), FaultKind::Corrupt { probability: 0.1 })).run();
    // Two replies each: 19 % of the agents meet a bad one.
    let errors = count(&outcome, Status::ProtocolError);
    assert!((150..230).contains(&errors), "{errors}");
    assert_eq!(errors + count(&outcome, Status::Registered), 1000);
}

#[test]
fn duplicates_and_reordering_cost_nobody_a_registration() {
    let mut config = with_fault(world(500, seconds(1300)), FaultKind::Duplicate { probability: 0.5 });
    config = with_fault(config, FaultKind::Reorder { probability: 0.5, delay: Duration::from_millis(300) });
    let outcome = World::new(config).run();
    let [registered, failed @ ..] = statuses(&outcome);
    assert!(registered >= 1500, "two refreshes each: {registered}");
    assert_eq!(failed.iter().sum::<u64>(), 0, "{failed:?}");
    assert_eq!((peak(&outcome), outcome.contacts_left), (500, 0));
}

#[test]
fn stale_nonces_and_endless_challenges_are_given_up() {
    for (fault, requests) in [(FaultKind::Stale, 3), (FaultKind::ChallengeAgain, 2)] {
        let outcome = World::new(with_fault(world(50, seconds(10)), fault)).run();
        assert_eq!(count(&outcome, Status::AuthenticationFailed), 50);
        assert_eq!(outcome.sum(|trunk| trunk.register_requests), 50 * requests, "one stale is answered, not a second");
    }
}

#[test]
fn a_rate_below_the_demand_refuses_the_rest_with_503() {
    let rate = FaultKind::Rate {
        per_second: 40.0,
        burst: 20,
        code: 503,
        reason: "Service Unavailable".into(),
        retry_after_s: Some(3600),
    };
    // 500 arrivals in five seconds: the burst and 40 a second pass, the others wait an hour.
    let outcome = World::new(with_fault(world(500, seconds(60)), rate)).run();
    let registered = count(&outcome, Status::Registered);
    assert!((219..=220).contains(&registered), "{registered}");
    assert_eq!(count(&outcome, Status::ServiceUnavailable), 500 - registered);
}

#[test]
fn who_hammers_is_back_within_a_second_of_every_half_period() {
    let oscillate = FaultKind::Oscillate { period: seconds(60), code: 403, reason: "Forbidden".into() };
    let mut config = with_fault(world(100, seconds(179)), oscillate);
    config.policies[0].retry = hammer(seconds(1));
    config.policies[0].expires_s = 20;
    config.interval = seconds(1);
    let outcome = World::new(config).run();
    let up = outcome.load().map(|interval| interval.trunks[0].registered);
    for (second, registered) in up.enumerate().skip(2) {
        // All are back two seconds after the registrar is, and gone when the lifetime of the last
        // refresh is over.
        let expected = match second % 60 {
            2..30 => 100..=100,
            51..60 => 0..=0,
            _ => 0..=100,
        };
        assert!(expected.contains(&registered), "{registered} at {second} s");
    }
}

/// A hundred agents within five seconds, and some minutes of peace.
fn asking(checks: CheckPolicy) -> WorldConfig {
    let mut config = world::world(100, vec![world::rate(20.0, 5), world::hold(300)]);
    config.policies[0].checks = checks;
    config.policies[0].retry = RetryPolicy::RFC;
    config
}

fn rows(outcome: &SimOutcome) -> Vec<&CheckRow> {
    outcome.intervals.iter().flat_map(|interval| &interval.evidence.checks).collect()
}

fn times(outcome: &SimOutcome, kind: CheckKind, of: CheckOutcome) -> u64 {
    rows(outcome).iter().filter(|row| (row.kind, row.outcome) == (kind, of)).map(|row| row.seen.count).sum()
}

#[test]
fn an_audit_finds_the_binding_and_its_lifetime() {
    let outcome = World::new(asking(CheckPolicy { audit: 1.0, qualify: None })).run();
    let held = times(&outcome, CheckKind::Audit, CheckOutcome::Held);
    // Once in the first ten seconds, then every minute on average.
    assert!((500..=600).contains(&held), "{held}");
    assert!(rows(&outcome).iter().all(|row| row.outcome == CheckOutcome::Held && row.code == 200));
    let (left, told) = rows(&outcome)
        .iter()
        .fold((0, 0), |(left, told), row| (left.max(row.left_s.1), told.max(row.told_s.expect("a lifetime").1)));
    assert!(left <= 600 && told.abs_diff(left) <= 1, "{left} s left, {told} s told");
    // Nothing of it is an attempt, and nobody is left.
    assert_eq!(count(&outcome, Status::Registered), 100);
    assert_eq!(outcome.sum(|trunk| trunk.register_requests), 200);
    assert_eq!(outcome.contacts_left, 0);
}

#[test]
fn a_share_of_the_agents_audits() {
    let outcome = World::new(asking(CheckPolicy { audit: 0.1, qualify: None })).run();
    let held = times(&outcome, CheckKind::Audit, CheckOutcome::Held);
    assert!((20..=110).contains(&held), "{held}");
}

#[test]
fn options_are_answered_and_timed() {
    let outcome = World::new(asking(CheckPolicy { audit: 0.0, qualify: Some(seconds(30)) })).run();
    let answered = times(&outcome, CheckKind::Qualify, CheckOutcome::Answered);
    // 300 s and a little, every 30 s.
    assert!((990..=1_050).contains(&answered), "{answered}");
    let latencies =
        outcome.intervals.iter().filter_map(|interval| interval.trunks[0].latency_us[Phase::Options.index()].as_ref());
    let (timed, worst) = latencies.fold((0, 0), |(n, worst), all| (n + all.len(), worst.max(all.max())));
    assert_eq!(timed, answered);
    // The link's two ways.
    assert!((10_000..10_020).contains(&worst), "{worst}");
}
