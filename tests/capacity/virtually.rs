//! In virtual time.

use super::far::Far;
use super::side::Side;
use super::side::spec::{Node, Rate, Reply, Spec, Spread};
use super::{DOMAIN, PASSWORD, agents, policy};
use regstorm::link::LinkConfig;
use regstorm::load::search::concurrent::FillRate;
use regstorm::load::search::rate::{LimitKind, MOST_PROBES, ProbingSettings};
use regstorm::load::search::{Confidence, FoundRate, Orders, SearchMethod, Survey, survey};
use regstorm::registrar::{Config, Delay};
use regstorm::seed::Seed;
use regstorm::sim::trial::{SimField, SimFieldConfig};
use regstorm::sip::Algorithm;
use regstorm::vocab::TrunkId;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// Searches the rate of this registrar with so many agents.
fn search(spec: Spec, count: u32, seed: u64, loss: f64) -> Survey {
    let (mut field, seating) = SimField::facing(
        SimFieldConfig {
            seed: Seed(seed),
            identities: agents(count).into(),
            policies: vec![policy()],
            trunk: TrunkId(0),
            other_trunk: None,
            contacts: 0,
            max_message_rate: 500_000,
            link: LinkConfig { delay: Some(Delay::Fixed(MS / 2)), drop: loss },
            registrar: nobody(),
        },
        Box::new(Far(Side::new(spec, seed))),
    );
    let orders = Orders {
        concurrent: false,
        rate: true,
        exclusive: false,
        method: SearchMethod::Bisect,
        fill: FillRate { start: 20.0, most: 200.0 },
        probing: ProbingSettings { start: 10.0, most: 60_000.0, objective: None, t1: 500 * MS },
        settle: 2_000 * MS,
        gentle: 4.0,
    };
    survey(&mut field, &seating, &orders)
}

/// The embedded registrar's place, which somebody else takes.
fn nobody() -> Config {
    Config { algorithms: vec![Algorithm::Md5], ..Config::open(DOMAIN, PASSWORD) }
}

/// So many registrations a second, of two requests each.
fn queue(capacity: f64, servers: usize, random: bool) -> Spec {
    let service_ms = 1e3 * servers as f64 / capacity / 2.0;
    Spec { latency_ms: 0.0, nodes: vec![Node { service_ms, servers, random, ..Node::default() }], ..Spec::default() }
}

#[track_caller]
fn found(spec: Spec, count: u32, seed: u64) -> FoundRate {
    let survey = search(spec, count, seed, 0.0);
    let (stopped, left, steps) = (&survey.stopped, survey.left_bound, &survey.steps);
    assert_eq!((stopped, left), (&None, 0), "{steps:#?}");
    if std::env::var_os("STEPS").is_some() {
        for step in steps {
            eprintln!("{step:?}");
        }
    }
    survey.rate.expect("searched")
}

/// The capacity is found, named as what it is, and confirmed.
#[track_caller]
fn carries(capacity: f64, servers: usize, random: bool, seed: u64) {
    let count = if capacity > 5_000.0 { 12_000 } else { 5_000 };
    let found = found(queue(capacity, servers, random), count, seed);
    let error = found.limit.expect("it is met") / capacity - 1.0;
    let times = if random { "random" } else { "fixed" };
    let table = std::env::var_os("CAPACITY_TABLE");
    if table.is_some() {
        eprintln!(
            "| {capacity} | {servers} | {times} | {:.1} | {:+.2} % | {} | {} |",
            found.limit.expect("it is met"),
            error * 100.0,
            found.probes,
            found.confidence.as_str()
        );
    }
    assert_eq!(found.kind, LimitKind::Overload, "{found:#?}");
    assert!(error.abs() <= 0.05, "{error:.3} {found:#?}");
    assert!(found.probes <= MOST_PROBES, "{found:#?}");
    assert!(found.at_least >= 0.84 * capacity && found.at_least <= 1.02 * capacity, "{found:#?}");
    assert!(found.confidence >= Confidence::Medium, "{found:#?}");
}

/// One and four servers, fixed and random times of service.
#[track_caller]
fn carries_always(capacity: f64) {
    let seeds: u64 = std::env::var("SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    for seed in 1..=seeds {
        for (servers, random) in [(1, false), (1, true), (4, false), (4, true)] {
            carries(capacity, servers, random, seed);
        }
    }
}

#[test]
fn fifty_a_second() {
    carries_always(50.0);
}

#[test]
fn three_hundred_and_thirty_three_a_second() {
    carries_always(333.0);
}

#[test]
fn two_thousand_a_second() {
    carries_always(2_000.0);
}

#[test]
fn twenty_thousand_a_second() {
    carries(20_000.0, 1, false, 1);
    carries(20_000.0, 4, true, 2);
}

/// What looks like overload, and is none.
mod rivals {
    use super::*;

    fn rate(per_second: f64, code: u16) -> Rate {
        let answer = Reply { code, reason: "Service Unavailable".into(), ..Reply::default() };
        Rate { per_second, burst: 10.0, every_request: false, per_source: false, answer }
    }

    #[test]
    fn refused_promptly_beyond_a_rate() {
        for code in [503, 403] {
            let found = found(Spec { rate: Some(rate(120.0, code)), ..queue(900.0, 1, false) }, 3_000, 1);
            assert_eq!(found.kind, LimitKind::Rate, "{found:#?}");
            assert!((found.limit.expect("met") / 120.0 - 1.0).abs() < 0.05, "{found:#?}");
        }
    }

    #[test]
    fn dropped_silently_beyond_a_rate() {
        for seed in [1, 2] {
            let found = found(Spec { rate: Some(rate(120.0, 0)), ..queue(2_000.0, 1, false) }, 3_000, seed);
            assert_eq!(found.kind, LimitKind::Silence, "{found:#?}");
            let limit = found.limit.expect("met");
            assert!((limit / 120.0 - 1.0).abs() < 0.15, "{found:#?}");
            assert!(found.at_least <= 126.0 && found.probes <= MOST_PROBES, "{found:#?}");
        }
    }

    #[test]
    fn a_queue_that_is_short_and_drops_the_rest() {
        let mut spec = queue(333.0, 1, false);
        spec.nodes[0].queue = Some(200);
        let found = found(spec, 3_000, 1);
        assert_eq!(found.kind, LimitKind::Overload, "{found:#?}");
        assert!((found.limit.expect("met") / 333.0 - 1.0).abs() < 0.05, "{found:#?}");
    }

    #[test]
    fn slower_with_every_binding() {
        let spec = Spec { latency_per_binding_ms: 0.3, ..Spec::default() };
        let found = found(spec, 3_000, 1);
        assert_eq!(found.limit, None, "{found:#?}");
        assert!(found.ended.contains("that is not the rate"), "{found:#?}");
    }

    #[test]
    fn slow_by_nature() {
        let found = found(Spec { latency_ms: 350.0, ..Spec::default() }, 1_000, 1);
        assert_eq!((found.limit, found.at_least), (None, 2_000.0), "{found:#?}");
    }

    #[test]
    fn a_path_that_loses_packets() {
        for seed in [1, 2, 3] {
            let survey = search(Spec::default(), 1_000, seed, 0.02);
            let found = survey.rate.expect("searched");
            assert_eq!(found.limit, None, "{found:#?}");
        }
    }

    #[test]
    fn a_queue_behind_a_path_that_loses_packets() {
        for (capacity, seed) in [(50.0, 1), (333.0, 2), (333.0, 3), (1_000.0, 1), (1_000.0, 4)] {
            let survey = search(queue(capacity, 1, false), 3_000, seed, 0.02);
            let found = survey.rate.expect("searched");
            assert_eq!(found.kind, LimitKind::Overload, "{found:#?}");
            assert!((found.limit.expect("met") / capacity - 1.0).abs() < 0.06, "{found:#?}");
        }
    }

    #[test]
    fn a_registrar_that_stands_still_for_a_moment() {
        let found = found(Spec { frozen: vec![[9.0, 10.5], [30.0, 30.4]], ..Spec::default() }, 2_000, 1);
        assert_eq!(found.limit, None, "{found:#?}");
    }

    #[test]
    fn one_server_of_four_that_is_slow_and_never_relieved() {
        let node = |service_ms| Node { service_ms, ..Node::default() };
        let nodes = vec![node(0.2), node(0.2), node(0.2), node(5.0)];
        let found = found(Spec { nodes, spread: Spread::CallId, ..Spec::default() }, 3_000, 1);
        // A quarter of the registrations are its, and it does a hundred a second.
        assert_eq!(found.kind, LimitKind::Overload, "{found:#?}");
        assert!((found.limit.expect("met") / 400.0 - 1.0).abs() < 0.15, "{found:#?}");
    }

    #[test]
    fn credentials_that_take_longer_than_challenges() {
        let mut spec = queue(333.0, 1, false);
        (spec.nodes[0].service_ms, spec.nodes[0].auth_ms) = (0.2, Some(2.803));
        let found = found(spec, 3_000, 1);
        assert!((found.limit.expect("met") / 333.0 - 1.0).abs() < 0.05, "{found:#?}");
        assert_eq!((found.kind, found.confidence), (LimitKind::Overload, Confidence::High), "{found:#?}");
    }

    #[test]
    fn few_agents_are_enough() {
        for count in [300, 500, 1_000] {
            let found = found(queue(333.0, 1, false), count, 1);
            assert_eq!(found.kind, LimitKind::Overload, "{found:#?}");
            assert!((found.limit.expect("met") / 333.0 - 1.0).abs() < 0.05, "{found:#?}");
        }
    }

    #[test]
    fn repeats_that_cost_nothing_and_repeats_that_do() {
        for absorbs in [false, true] {
            let mut spec = queue(80.0, 1, false);
            spec.nodes[0].absorbs = absorbs;
            let found = found(spec, 1_000, 1);
            assert!((found.limit.expect("met") / 80.0 - 1.0).abs() < 0.05, "{found:#?}");
        }
    }
}
