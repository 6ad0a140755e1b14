//! A load that a person holds up, speeds up or slows down: nothing is lost or doubled, lateness
//! counts from the shifted plan, and the record says that the load was not the profile's.

mod support;

use proptest::prelude::*;
use regstorm::load::{LoadStage, Process};
use regstorm::measure::Interval;
use regstorm::record::{Header, Writer, read};
use regstorm::sim::World;
use regstorm::vocab::{Intervention, InterventionKind, Kind, Speed, Status};
use std::time::Duration;
use support::world::{hold, rate, seconds, statuses, world};

/// Arrivals begun by second.
fn by_second(intervals: &[Interval]) -> Vec<u64> {
    let initial = |interval: &Interval| interval.trunks.iter().map(|trunk| trunk.started[Kind::Initial.index()]).sum();
    let mut seconds = Vec::new();
    for interval in intervals {
        let second = (interval.start_ns / 1_000_000_000) as usize;
        seconds.resize(seconds.len().max(second + 1), 0);
        let begun: u64 = initial(interval);
        seconds[second] += begun;
    }
    seconds
}

#[test]
fn a_pause_moves_the_rest_of_the_load_and_nothing_is_late_by_it() {
    let mut config = world(100, vec![rate(10.0, 10)]);
    config.interval = seconds(1);
    let changes = [(seconds(3), Speed::STILL), (seconds(8), Speed::PLANNED), (seconds(10), Speed(200))];
    let outcome = World::new(config).with_interventions(&changes).run();
    let begun = by_second(&outcome.intervals);
    // Three seconds as planned, five of nothing, two as planned, and what is left in half the time;
    // the arrival of the pause's beginning goes at its end.
    assert_eq!(begun[..13], [10, 10, 10, 0, 0, 0, 0, 0, 10, 10, 20, 20, 10]);
    assert_eq!(begun.iter().sum::<u64>(), 100);
    assert_eq!(statuses(&outcome)[Status::Registered.index()], 100);
    assert_eq!(outcome.load_ended_ns, 12_500_000_001, "a nanosecond behind the last arrival that could be due");
    assert!(outcome.intervals.iter().all(|interval| interval.generator.arrivals_late == 0));
    let lag = outcome.intervals.iter().filter_map(|interval| interval.lag_us.as_ref()).map(|lag| lag.max()).max();
    assert_eq!(lag, Some(0), "virtual time is never late, least of all by a pause");
}

#[test]
fn agents_refresh_while_the_load_stands_still() {
    let mut config = world(20, vec![rate(10.0, 2), hold(60)]);
    config.policies[0].expires_s = 30;
    let changes = [(seconds(10), Speed::STILL), (seconds(310), Speed::PLANNED)];
    let outcome = World::new(config).with_interventions(&changes).run();
    assert_eq!(outcome.load_ended_ns / 1_000_000_000, 362, "the hold waits too");
    assert_eq!(outcome.registered_after_drain, 20);
    let refreshes: u64 =
        outcome.intervals.iter().flat_map(|i| &i.trunks).map(|t| t.started[Kind::Refresh.index()]).sum();
    assert!((240..=280).contains(&refreshes), "each of 20 agents about every 27 s of 360: {refreshes}");
}

#[test]
fn an_outage_comes_and_goes_with_the_schedule() {
    let outage = LoadStage::Outage { share: 1.0, lasts: seconds(10) };
    let mut config = world(20, vec![rate(10.0, 2), hold(8), outage, hold(30)]);
    config.interval = seconds(1);
    let changes = [(seconds(5), Speed::STILL), (seconds(25), Speed(300))];
    let outcome = World::new(config).with_interventions(&changes).run();
    // Planned from 10 s to 20 s; a pause of 20 s shifts it, and faster arrivals shorten no outage.
    assert!(outcome.returns.iter().all(|at| (40.0..41.0).contains(&(*at as f64 / 1e9))), "{:?}", outcome.returns);
    assert_eq!(outcome.returns.len(), 20);
    assert_eq!(outcome.load_ended_ns / 1_000_000_000, 70);
}

fn any_changes() -> impl Strategy<Value = Vec<(Duration, Speed)>> {
    let change = (0u64..8_000_000_000, 0u16..20);
    proptest::collection::vec(change, 0..6).prop_map(|changes| {
        let mut at = Duration::ZERO;
        let changes = changes.into_iter().map(|(gap, tens)| {
            at += Duration::from_nanos(gap);
            (at, Speed(tens * 10))
        });
        let mut changes: Vec<_> = changes.collect();
        changes.push((at + seconds(1), Speed::PLANNED));
        changes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever is done to a load, every agent of it arrives once, and not one is late by what was
    /// done.
    #[test]
    fn every_agent_arrives_once(changes in any_changes(), per_second in 1.0f64..60.0, poisson in any::<bool>(), workers in 1u32..4) {
        let ramp = LoadStage::Ramp { to: per_second, lasts: seconds(4) };
        let mut config = world(2_000, vec![ramp, rate(per_second, 6), hold(3), LoadStage::Avalanche { agents: 30 }, rate(5.0, 4)]);
        config.workers = workers;
        config.load.process = if poisson { Process::Poisson } else { Process::Uniform };
        let as_planned = statuses(&World::new(config.clone()).run());
        let outcome = World::new(config).with_interventions(&changes).run();
        prop_assert_eq!(statuses(&outcome), as_planned);
        let begun: u64 = by_second(&outcome.intervals).iter().sum();
        prop_assert_eq!(begun, as_planned.iter().sum::<u64>(), "each arrival is one attempt here");
        let lag = outcome.intervals.iter().filter_map(|interval| interval.lag_us.as_ref()).map(|lag| lag.max()).max();
        prop_assert_eq!(lag, Some(0));
    }
}

fn header() -> Header {
    Header {
        tool_version: "0".to_owned(),
        name: "touched".to_owned(),
        started_unix_ns: 946_684_800_000_000_000,
        seed: 7,
        interval_ns: 1_000_000_000,
        profile_json: "{}".to_owned(),
        generator: regstorm::record::results::GeneratorLimits {
            late_ns: 1,
            stall_ns: 1,
            suspect_late: 0.5,
            invalid_late: 0.5,
        },
        workers: 1,
        simulated: true,
        ..Header::default()
    }
}

#[test]
fn the_record_keeps_what_was_done_at_once_and_every_report_says_so() {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    writer.header(&header()).expect("a vector takes every byte");
    let done = [
        Intervention { at_ns: 12_000_000_000, kind: InterventionKind::Pause, speed: Speed::STILL },
        Intervention { at_ns: 20_500_000_000, kind: InterventionKind::Resume, speed: Speed(110) },
    ];
    done.iter().for_each(|done| writer.intervention(done).expect("a vector takes every byte"));
    // No end: the run was killed, and it is known all the same.
    let results = read(bytes.as_slice()).expect("a record");
    assert_eq!(results.interventions, done);
    let judgement = regstorm::diagnose::judge(&results, &[], &[]);
    let run: serde_json::Value =
        serde_json::from_slice(&regstorm::report::run_json::render(&results, &judgement, &[])).expect("JSON");
    let told = &run["conditions"]["interventions"];
    assert_eq!((told[0]["kind"].as_str(), told[0]["factor"].as_f64()), (Some("pause"), Some(0.0)));
    assert_eq!((told[1]["kind"].as_str(), told[1]["factor"].as_f64()), (Some("resume"), Some(1.1)));
    assert_eq!((told[1]["at"].as_str(), told[1]["after_s"].as_f64()), (Some("2000-01-01T00:00:20.500Z"), Some(20.5)));
    let summary = regstorm::report::summary::render(&results, &judgement, &[], "out");
    assert!(summary.contains("The load was changed by hand 2 times: it was not the profile's."), "{summary}");
    let page = String::from_utf8(regstorm::report::html::render(&results, &judgement, &[], &Default::default()))
        .expect("UTF-8");
    assert!(page.contains("paused after 12 s, resumed after 20.5 s at 1.1 times the rate"));
}

#[test]
fn a_record_without_interventions_has_no_byte_more() {
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).header(&header()).expect("a vector takes every byte");
    let results = read(bytes.as_slice()).expect("a record");
    assert!(results.interventions.is_empty());
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains("interven") && !text.contains("percent"), "{text}");
}
