//! What the files say of a run's set-up: read off the typed header, never off a profile's words.

use crate::{fixture, rendered};
use regstorm::record::Results;
use regstorm::record::results::{LoadHeader, TimersHeader};
use regstorm::vocab::{LoadStage, SocketUse};
use serde_json::Value;
use std::time::Duration;

const ONE_AFTER_ANOTHER: &str = "The load has no avalanche: agents came one after another, not all at once.";

fn page(stages: Vec<LoadStage>) -> String {
    let mut results = fixture::run();
    // A name is no stage.
    results.header.trunks[0].id = "avalanche".to_owned();
    results.header.profile_json = r#"{"trunk":[{"id":"avalanche","avalanche":1}]}"#.to_owned();
    results.header.load = Some(LoadHeader { stages, ..LoadHeader::default() });
    rendered(&results, &[], "report.html")
}

#[test]
fn who_returns_all_at_once_is_said_by_the_stages_of_the_load() {
    let lasts = Duration::from_secs(60);
    let calm = vec![LoadStage::Ramp { to: 5.0, lasts }, LoadStage::Hold { lasts }];
    assert!(page(calm.clone()).contains(ONE_AFTER_ANOTHER));
    for storm in [LoadStage::Avalanche { agents: 20 }, LoadStage::Outage { share: 1.0, lasts }] {
        assert!(!page([calm.clone(), vec![storm]].concat()).contains(ONE_AFTER_ANOTHER), "{storm:?}");
    }
}

fn conditions(change: impl FnOnce(&mut Results)) -> Value {
    let mut results = fixture::run();
    change(&mut results);
    let json: Value = serde_json::from_str(&rendered(&results, &[], "run.json")).expect("JSON");
    json["conditions"].clone()
}

#[test]
fn the_connection_strategy_is_that_of_the_trunks() {
    let of = |sockets: [SocketUse; 2], sources: &[&str]| {
        let conditions = conditions(|results| {
            for (trunk, sockets) in results.header.trunks.iter_mut().zip(sockets) {
                trunk.sockets = sockets;
                trunk.sources = sources.iter().map(|&source| source.to_owned()).collect();
            }
        });
        conditions["connection_strategy"].as_str().expect("a text").to_owned()
    };
    use SocketUse::{PerAgent, Shared};
    let two = ["127.0.0.1", "127.0.0.2"];
    assert_eq!(of([Shared, Shared], &[]), "one UDP socket per worker and trunk");
    assert_eq!(of([Shared, Shared], &two), "one UDP socket per worker, trunk and source address");
    assert_eq!(of([PerAgent, PerAgent], &two), "one UDP socket per agent");
    assert_eq!(of([Shared, PerAgent], &[]), "one UDP socket per worker and trunk; on trunk_01 one per agent");
}

#[test]
fn an_attempt_has_failed_after_the_longest_timer_f() {
    let threshold = |t1_ns| {
        conditions(|results| results.header.trunks[1].timers = TimersHeader { t1_ns, ..TimersHeader::default() })
    };
    assert_eq!(threshold(500_000_000)["establishment_threshold_s"], 32);
    assert_eq!(threshold(1_000_000_000)["establishment_threshold_s"], 64);
}

#[test]
fn who_else_is_on_the_trunks_is_said_as_it_was_stated() {
    let row = |exclusive| {
        let mut results = fixture::run();
        results.header.exclusive = exclusive;
        rendered(&results, &[], "report.html")
    };
    assert!(row(true).contains("none, as [expect] exclusive states"));
    assert!(!row(false).contains("none, as [expect] exclusive states"));
    assert_eq!(conditions(|results| results.header.exclusive = true)["exclusive"], true);
    assert_eq!(conditions(|results| results.header.exclusive = false)["exclusive"], false);
}
