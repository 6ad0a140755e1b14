//! Load shapes and clients under virtual time: avalanches, Poisson arrivals, agents that come round
//! again.

mod support;

use regstorm::agent::{Backoff, Credential, IdentityBook, RealmPolicy, RetryPolicy, TrunkPolicy};
use regstorm::command::source::DiskSource;
use regstorm::link::LinkConfig;
use regstorm::load::{LoadStage, Process, WhenExhausted};
use regstorm::plan::Plan;
use regstorm::profile;
use regstorm::registrar::{Delay, FaultKind, KnownUsers, OfferedQop};
use regstorm::seed::Seed;
use regstorm::sim::{SimOutcome, World, WorldConfig};
use regstorm::sip::Algorithm;
use regstorm::vocab::{Kind, RunTag, Secret, Status, TrunkId};
use std::sync::Arc;
use std::time::Duration;
use support::world::{DOMAIN, PASSWORD, count, hammer, hold, policy, rate, seconds, statuses, with_fault, world};

fn attempts(outcome: &SimOutcome, kind: Kind) -> u64 {
    outcome.sum(|trunk| trunk.started[kind.index()])
}

#[test]
fn an_avalanche_is_planned_for_one_instant_and_registers_everyone() {
    let outcome = World::new(world(5000, vec![LoadStage::Avalanche { agents: 5000 }, hold(60)])).run();
    assert_eq!(count(&outcome, Status::Registered), 5000);
    assert_eq!(outcome.contacts_left, 0);
    // Two exchanges of 10 ms after the start all 5000 are in: the first sample after it, at 100 ms,
    // sees them.
    let first = outcome.intervals[0].registered_samples[0];
    assert_eq!(first, (100_000_000, 5000));
    assert!(outcome.load().all(|interval| interval.generator.arrivals_late == 0));
}

#[test]
fn an_avalanche_takes_the_next_agents_that_have_not_arrived() {
    let stages = vec![rate(10.0, 10), LoadStage::Avalanche { agents: 250 }, rate(10.0, 20), hold(5)];
    let outcome = World::new(world(500, stages)).run();
    assert_eq!(count(&outcome, Status::Registered), 500, "100 at a rate, 250 at once, 150 at a rate again");
    let at = |ms: u64| {
        let samples = outcome.intervals.iter().flat_map(|interval| &interval.registered_samples);
        samples.filter(|(ns, _)| *ns == ms * 1_000_000).map(|(_, agents)| *agents).sum::<u32>()
    };
    assert_eq!((at(10_000), at(10_100), at(20_000)), (100, 351, 450));
}

#[test]
fn an_avalanche_beyond_max_in_flight_is_shed_at_once() {
    let mut config = world(1000, vec![LoadStage::Avalanche { agents: 1000 }, hold(10)]);
    config.load.max_in_flight = 600;
    let outcome = World::new(config).run();
    assert_eq!((count(&outcome, Status::Registered), count(&outcome, Status::Shed)), (600, 400));
}

#[test]
fn a_poisson_load_brings_everyone_and_is_the_same_for_any_number_of_workers() {
    let run = |workers, seed| {
        let mut config = world(1000, vec![rate(100.0, 10), hold(30)]);
        config.load.process = Process::Poisson;
        (config.workers, config.seed) = (workers, Seed(seed));
        let outcome = World::new(config).run();
        assert_eq!(count(&outcome, Status::Registered), 1000);
        outcome.intervals.iter().flat_map(|interval| interval.registered_samples.clone()).collect::<Vec<_>>()
    };
    let one = run(1, 7);
    assert_eq!(one, run(3, 7));
    assert_ne!(one, run(1, 8));
    let uneven = one[..90].windows(2).map(|pair| pair[1].1 - pair[0].1).filter(|arrived| *arrived != 10).count();
    assert!(uneven > 50, "evenly spaced arrivals would bring ten in every tenth of a second: {uneven} differ");
}

#[test]
fn agents_come_round_again_each_time_with_the_full_handshake() {
    for workers in [1, 2, 3] {
        let mut config = world(50, vec![rate(10.0, 30), hold(5)]);
        config.load.when_exhausted = WhenExhausted::Reregister;
        config.workers = workers;
        let outcome = World::new(config).run();
        assert_eq!(count(&outcome, Status::Registered), 300, "six rounds of fifty");
        assert_eq!(attempts(&outcome, Kind::Initial), 300);
        assert_eq!(outcome.sum(|trunk| trunk.register_requests), 600, "a challenge and an answer each time");
        let peak = outcome.load().map(|interval| interval.trunks[0].registered).max();
        assert_eq!(peak, Some(50), "the same fifty");
        assert_eq!(outcome.contacts_left, 0);
        assert!(outcome.intervals.iter().flat_map(|interval| &interval.agents).all(|row| row.attempts <= 6));
    }
}

#[test]
fn an_avalanche_may_go_round() {
    let mut config = world(100, vec![rate(10.0, 5), LoadStage::Avalanche { agents: 100 }, hold(5)]);
    config.load.when_exhausted = WhenExhausted::Reregister;
    let outcome = World::new(config).run();
    assert_eq!(count(&outcome, Status::Registered), 150, "fifty of them for the second time");
}

#[test]
fn an_arrival_that_finds_its_agent_busy_is_shed_and_delays_nothing() {
    // Nobody answers: every attempt lasts Timer F, 32 s, and the round is ten seconds long.
    let mut config = with_fault(world(10, vec![rate(1.0, 60), hold(40)]), FaultKind::Drop { probability: 1.0 });
    config.load.when_exhausted = WhenExhausted::Reregister;
    let outcome = World::new(config).run();
    // Arrivals of one agent at n, n+10, …, n+50: those at n and n+40 find it idle.
    assert_eq!((count(&outcome, Status::RequestTimeout), count(&outcome, Status::Shed)), (20, 40));
    assert_eq!(attempts(&outcome, Kind::Initial), 60);
}

#[test]
fn a_round_that_is_shed_does_not_keep_a_registered_agent_from_refreshing() {
    let mut config = world(10, vec![rate(10.0, 1), LoadStage::Avalanche { agents: 10 }, hold(3600)]);
    config.load.when_exhausted = WhenExhausted::Reregister;
    // Each of two workers may have one open attempt; of the avalanche's ten two get through.
    config.load.max_in_flight = 2;
    let outcome = World::new(config).run();
    assert_eq!(count(&outcome, Status::Shed), 8);
    let samples = outcome.load().flat_map(|interval| &interval.registered_samples);
    assert!(samples.filter(|(ns, _)| *ns > 1_100_000_000).all(|(_, agents)| *agents == 10));
}

/// Ten agents of one preset for an hour against one fault: attempts per agent, least and most.
fn attempts_in_an_hour(retry: RetryPolicy, fault: &FaultKind) -> (u32, u32) {
    let config = with_fault(world(10, vec![rate(10.0, 1), hold(3600)]), fault.clone());
    let config = WorldConfig { policies: vec![policy(retry)], unregister_rate: None, ..config };
    let outcome = World::new(config).run();
    let mut attempts = [0; 10];
    for row in outcome.intervals.iter().flat_map(|interval| &interval.agents) {
        attempts[row.agent as usize] = row.attempts;
    }
    (attempts.into_iter().min().unwrap_or(0), attempts.into_iter().max().unwrap_or(0))
}

#[test]
fn each_preset_repeats_what_its_client_repeats() {
    let refuse = |code| FaultKind::Refuse { code, reason: "No".into() };
    let silence = FaultKind::Drop { probability: 1.0 };
    let forbidden = Backoff::Fixed { interval: seconds(300), jitter: 0.0 };
    let patient = RetryPolicy { forbidden, ..RetryPolicy::ASTERISK };
    let table = [
        // 60, 120, 240, 480, 960 and then 1800 s, each between half and all of it: five to seven
        // waits.
        ("rfc", RetryPolicy::RFC, refuse(503), 6..=8),
        ("rfc", RetryPolicy::RFC, refuse(403), 1..=1),
        ("rfc", RetryPolicy::RFC, refuse(404), 1..=1),
        ("rfc", RetryPolicy::RFC, refuse(603), 1..=1),
        // 0–10 s once, then 290–310 s.
        ("pjsua", RetryPolicy::PJSUA, refuse(503), 13..=14),
        ("pjsua", RetryPolicy::PJSUA, refuse(480), 13..=14),
        ("pjsua", RetryPolicy::PJSUA, refuse(603), 13..=14),
        ("pjsua", RetryPolicy::PJSUA, refuse(501), 1..=1),
        ("pjsua", RetryPolicy::PJSUA, refuse(403), 1..=1),
        ("pjsua", RetryPolicy::PJSUA, silence.clone(), 12..=13),
        // Ten retries, a minute apart.
        ("asterisk", RetryPolicy::ASTERISK, refuse(503), 11..=11),
        ("asterisk", RetryPolicy::ASTERISK, refuse(603), 11..=11),
        ("asterisk", RetryPolicy::ASTERISK, silence.clone(), 11..=11),
        ("asterisk", RetryPolicy::ASTERISK, refuse(480), 1..=1),
        ("asterisk", RetryPolicy::ASTERISK, refuse(403), 1..=1),
        ("asterisk", RetryPolicy::ASTERISK, refuse(404), 1..=1),
        ("asterisk, 403 after 300 s", patient, refuse(403), 11..=11),
        ("asterisk, 403 after 300 s", patient, refuse(404), 1..=1),
        ("hammer", hammer(seconds(10)), refuse(403), 359..=361),
        ("none", RetryPolicy::NONE, refuse(503), 1..=1),
        ("none", RetryPolicy::NONE, silence, 1..=1),
    ];
    for (name, retry, fault, expected) in table {
        let (least, most) = attempts_in_an_hour(retry, &fault);
        assert!(expected.contains(&least) && expected.contains(&most), "{name}, {fault:?}: {least} to {most}");
    }
}

/// Agents and registrar agree on what RFC 7616 has beyond the usual: digests over the body, names
/// that are hashed, of users that are listed or not.
#[test]
fn agents_register_where_bodies_count_and_names_are_hashed() {
    let listed = |count: u32| {
        let secret = || Credential::Password(Secret::new(PASSWORD));
        let names = (0..count).map(|n| (format!("agent{n:05}").into_bytes(), secret()));
        KnownUsers::Listed(Arc::new(names.collect()))
    };
    for qop in [OfferedQop::Auth, OfferedQop::AuthInt, OfferedQop::Both] {
        for algorithm in Algorithm::ALL {
            for (userhash, users) in [(false, None), (true, None), (true, Some(20)), (true, Some(15))] {
                let mut config = world(20, vec![rate(20.0, 1), hold(700)]);
                (config.registrar.qop, config.registrar.userhash) = (qop, userhash);
                config.registrar.algorithms = vec![algorithm];
                if let Some(users) = users {
                    config.registrar.users = listed(users);
                }
                let outcome = World::new(config).run();
                let known = u64::from(users.unwrap_or(20));
                let what = format!("{qop:?} {algorithm:?} {userhash} {users:?}");
                assert_eq!(count(&outcome, Status::AuthenticationFailed), 20 - known, "{what}");
                // Each registers and refreshes once.
                assert_eq!(count(&outcome, Status::Registered), 2 * known, "{what}");
            }
        }
    }
}

#[test]
fn clients_refresh_by_their_own_clock_and_never_lapse() {
    for (retry, period) in [(RetryPolicy::PJSUA, 595), (RetryPolicy::ASTERISK, 590)] {
        let mut config = world(20, vec![rate(20.0, 1), hold(12 + period * 5)]);
        config.policies = vec![policy(retry)];
        let outcome = World::new(config).run();
        assert_eq!(attempts(&outcome, Kind::Refresh), 5 * 20, "{}", retry.preset);
        let samples = outcome.load().flat_map(|interval| &interval.registered_samples);
        assert!(samples.filter(|(ns, _)| *ns > 12_000_000_000).all(|(_, agents)| *agents == 20), "{}", retry.preset);
    }
}

#[test]
fn asterisk_spreads_an_avalanche_over_ten_seconds_and_keeps_to_the_plan() {
    let mut config = world(200, vec![LoadStage::Avalanche { agents: 200 }, hold(20)]);
    config.policies = vec![policy(RetryPolicy::ASTERISK)];
    let outcome = World::new(config).run();
    assert_eq!(count(&outcome, Status::Registered), 200);
    let samples: Vec<_> = outcome.load().flat_map(|interval| interval.registered_samples.clone()).collect();
    let at = |tenth: usize| samples[tenth - 1].1;
    assert_eq!((at(9), at(102)), (0, 200));
    assert!((1..=10).all(|second| at(second * 10 + 1) > at(second * 10 - 1)), "some begin in each second");
    let lag = outcome.intervals.iter().filter_map(|interval| interval.lag_us.as_ref()).map(|lag| lag.max()).max();
    // One slot of the timer wheel.
    assert!(lag.is_some_and(|us| us <= 70), "the pause is the client's, not ours: {lag:?}");
}

#[test]
fn a_load_that_ends_during_a_clients_pause_abandons_what_was_to_come() {
    let mut config = world(200, vec![LoadStage::Avalanche { agents: 200 }, hold(5)]);
    config.policies = vec![policy(RetryPolicy::ASTERISK)];
    let outcome = World::new(config).run();
    let (registered, abandoned) = (count(&outcome, Status::Registered), count(&outcome, Status::Abandoned));
    assert_eq!(registered + abandoned, 200);
    assert!((50..150).contains(&abandoned), "{abandoned}");
    assert_eq!(outcome.contacts_left, 0);
}

#[test]
fn a_pause_ends_in_an_arrival_that_may_be_shed() {
    let mut config = with_fault(
        world(200, vec![LoadStage::Avalanche { agents: 200 }, hold(20)]),
        FaultKind::Delay(Delay::Fixed(Duration::from_millis(100))),
    );
    config.policies = vec![policy(RetryPolicy::ASTERISK)];
    config.load.max_in_flight = 10;
    let outcome = World::new(config).run();
    let (registered, shed) = (count(&outcome, Status::Registered), count(&outcome, Status::Shed));
    assert_eq!(registered + shed, 200);
    // About twenty begin in each of ten seconds, and ten may.
    assert!((90..=100).contains(&registered), "{registered}");
}

#[test]
fn agents_that_deviate_act_by_their_own_policy_on_their_trunks_books() {
    let mut config = world(100, vec![rate(100.0, 1), hold(59)]);
    let mut identities = IdentityBook::default();
    let right = identities.credential(Credential::Password(Secret::new(PASSWORD)));
    let wrong = identities.credential(Credential::Password(Secret::new("another")));
    for n in 0..100 {
        let user = format!("agent{n:05}");
        identities.push(TrunkId(0), n, &user, &user, if n % 10 == 3 { wrong } else { right });
        match n % 10 {
            3 => identities.deviate(1),
            7 => identities.deviate(2),
            _ => {}
        }
    }
    let realm = TrunkPolicy {
        realm: Some(format!("wrong.{DOMAIN}")),
        realm_policy: RealmPolicy::Force,
        ..policy(RetryPolicy::NONE)
    };
    config.identities = identities.into();
    config.policies = vec![policy(RetryPolicy::NONE), policy(hammer(seconds(10))), realm];
    let outcome = World::new(config).run();
    assert!(outcome.intervals.iter().all(|interval| interval.trunks.len() == 1));
    assert_eq!(count(&outcome, Status::Registered), 80);
    // Ten wrong passwords, six times each within the minute, and ten wrong realms once.
    assert_eq!(count(&outcome, Status::AuthenticationFailed), 60 + 10);
    assert_eq!(outcome.sum(|trunk| trunk.agents_began_looping), 10);
}

/// Half of the agents lose their power for a while: they say nothing, their bindings lapse, and
/// when they are back they begin at once with the full handshake; the others notice nothing.
#[test]
fn an_outage_silences_its_share_and_returns_it_at_once() {
    let stages = vec![rate(100.0, 10), hold(50), LoadStage::Outage { share: 0.5, lasts: seconds(900) }, hold(30)];
    let mut config = world(1000, stages);
    config.interval = seconds(1);
    config.unregister_rate = None;
    let (from, until) = (60 * SECOND, 960 * SECOND);
    let outcome = World::new(config).run();
    let statuses = statuses(&outcome);
    assert_eq!(statuses[Status::Abandoned.index()], 0, "nothing was open when the power went");
    let hit = outcome.returns.len() as u64;
    assert!((450..550).contains(&hit), "half of the agents by lot, not {hit}");
    let (first, last) = (outcome.returns[0], outcome.returns[hit as usize - 1]);
    assert!(
        first > until && last - first < SECOND / 10,
        "they all came back within a tenth of a second: {first} {last}"
    );
    let started = |from: u64, until: u64, kind: Kind| {
        let within = outcome.intervals.iter().filter(|interval| interval.start_ns >= from && interval.end_ns <= until);
        within.flat_map(|interval| &interval.trunks).map(|trunk| trunk.started[kind.index()]).sum::<u64>()
    };
    assert_eq!(started(from, until - SECOND, Kind::Initial), 0);
    let back = started(until - SECOND, until + SECOND, Kind::Initial);
    assert_eq!(back, hit, "each of them once, from the beginning");
    // Bindings of 600 s: those of the others are refreshed once in 900 s of outage, the rest
    // lapses.
    let registered = |at: u64| {
        let mut samples = outcome.intervals.iter().flat_map(|interval| &interval.registered_samples);
        samples.rfind(|(sampled, _)| *sampled <= at).map(|(_, agents)| u64::from(*agents))
    };
    assert_eq!(registered(from), Some(1000));
    assert_eq!((registered(until), registered(until + SECOND)), (Some(1000 - hit), Some(1000)));
    assert!(started(from, until, Kind::Refresh) >= 1000 - hit);
}

const SECOND: u64 = 1_000_000_000;

#[test]
fn an_open_attempt_ends_with_the_power_and_late_answers_count_as_late() {
    let stages = vec![rate(1000.0, 1), LoadStage::Outage { share: 1.0, lasts: seconds(10) }, hold(60)];
    let mut config = with_fault(world(1000, stages), FaultKind::Delay(Delay::Fixed(Duration::from_millis(100))));
    config.policies = vec![policy(RetryPolicy::ASTERISK)];
    // Asterisk begins after one to ten seconds: whoever was to begin after the power went never
    // did.
    let outcome = World::new(config).run();
    let abandoned = count(&outcome, Status::Abandoned);
    assert!(abandoned > 500, "most were still waiting: {abandoned}");
    assert_eq!(outcome.returns.len(), 1000, "everybody that had arrived came back");
    let began = outcome.returns.iter().map(|at| (at - 11 * SECOND) / SECOND).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(
        began.into_iter().collect::<Vec<_>>(),
        (1..=10).collect::<Vec<_>>(),
        "each after its client's own pause"
    );
}

/// A real run's workers and a world's share the agents among them: who is hit does not depend on
/// how many there are.
#[test]
fn an_outage_hits_the_same_agents_however_many_workers_there_are() {
    let hit = |workers| {
        let stages = vec![rate(100.0, 3), LoadStage::Outage { share: 0.3, lasts: seconds(5) }, hold(5)];
        let outcome = World::new(WorldConfig { workers, ..world(300, stages) }).run();
        // Of the last arrivals one or the other was still waiting for its answer.
        let ended = count(&outcome, Status::Registered) + count(&outcome, Status::Abandoned);
        assert_eq!(ended as usize, 300 + outcome.returns.len());
        outcome.returns.len()
    };
    assert_eq!(hit(1), hit(3));
}

/// The shipped shapes, their registrar and plan as they are; only time and network are simulated.
fn shipped(name: &str) -> WorldConfig {
    let path = format!("{}/profiles/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let profile = profile::load(&DiskSource, &path, &[]).unwrap_or_else(|error| panic!("{error}"));
    let plan = Plan::new(&profile).unwrap_or_else(|error| panic!("{error}"));
    WorldConfig {
        seed: Seed(plan.seed.unwrap_or(7)),
        policies: plan.trunks.iter().map(|trunk| &trunk.policy).chain(&plan.variants).cloned().collect(),
        identities: plan.identities,
        load: plan.load,
        workers: 2,
        sources: Vec::new(),
        places: Vec::new(),
        wordings: Vec::new(),
        warmup: Duration::ZERO,
        run: RunTag(7),
        interval: plan.interval,
        drain: plan.drain,
        unregister_rate: Some(1000.0),
        link: LinkConfig { delay: Some(Delay::Fixed(Duration::from_millis(1))), drop: 0.0 },
        registrar: plan.registrar,
    }
}

#[test]
fn the_avalanche_profile_loses_nobody() {
    let outcome = World::new(shipped("avalanche")).run();
    assert_eq!(statuses(&outcome), [5000, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn apac_byoc_registers_every_trunk_whatever_its_digest() {
    let outcome = World::new(shipped("apac-byoc")).run();
    assert_eq!(statuses(&outcome)[1..].iter().sum::<u64>(), 0);
    assert_eq!(outcome.intervals[0].trunks.len(), 15);
    let last = outcome.load().last().expect("a load");
    let registered: Vec<u64> = last.trunks.iter().map(|trunk| trunk.registered).collect();
    assert_eq!(registered, [300, 250, 80, 120, 120, 60, 400, 100, 90, 80, 70, 250, 200, 100, 80]);
}

#[test]
fn the_first_half_hour_of_the_nightly_soak_is_quiet() {
    let mut config = shipped("nightly-soak");
    config.load.stages[2] = hold(1800);
    let outcome = World::new(config).run();
    assert_eq!(statuses(&outcome)[1..].iter().sum::<u64>(), 0);
    let samples = outcome.load().flat_map(|interval| &interval.registered_samples);
    assert!(samples.filter(|(ns, _)| *ns > 65_000_000_000).all(|(_, agents)| *agents == 2000));
    assert!(attempts(&outcome, Kind::Refresh) >= 3 * 2000);
}
