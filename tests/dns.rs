//! The finding `dns` on results of known make: told with confidence only where nothing else could
//! look the same.

#[path = "support/rehearsal.rs"]
mod rehearsal;

use regstorm::diagnose::{Finding, findings};
use regstorm::measure::PlaceRow;
use regstorm::record::{Resolution, ResolutionStep, ResolvedTarget, Results};
use regstorm::sip::locate::RecordKind;
use regstorm::vocab::{Status, Transport};
use rehearsal::rehearse;

const PROFILE: &str = "[run]\ninterval = \"5s\"\n[[trunk]]\nid = \"nj\"\nregistrar = \"embedded\"\ndomain = \"nj.test\"\n\
    expires = \"20s\"\nagents = { count = 50, user = \"a{n}\", password = \"p\" }\n[[load]]\nrate = 10\nfor = \"5s\"\n\
    [[load]]\nhold = \"55s\"\n[registrar]\npassword = \"p\"\n";

const SECOND: u64 = 1_000_000_000;

/// A healthy run whose trunk is said to have a name with these addresses.
fn results(addresses: &[&str], places: Vec<PlaceRow>) -> Results {
    let mut results = rehearse(PROFILE, 1, 0.0);
    results.resolutions = vec![looked_up(addresses, 0)];
    results.evidence.places = places;
    results
}

fn looked_up(addresses: &[&str], at_s: u64) -> Resolution {
    let target = |address: &&str| ResolvedTarget {
        priority: 10,
        weight: 1,
        address: (*address).to_owned(),
        first_choice_pct: 50.0,
    };
    Resolution {
        trunk: 0,
        host: "edge.test".to_owned(),
        at_ns: at_s * SECOND,
        transport: Transport::Udp,
        by_srv: true,
        steps: vec![step(None)],
        targets: addresses.iter().map(target).collect(),
        refused: Vec::new(),
        ttl_s: Some(10),
        took_us: 900,
    }
}

fn step(failed: Option<&str>) -> ResolutionStep {
    ResolutionStep {
        name: "_sip._udp.edge.test".to_owned(),
        kind: RecordKind::Srv,
        records: Vec::new(),
        ttl_s: Some(10),
        took_us: 900,
        failed: failed.map(str::to_owned),
    }
}

/// An address at which so many attempts succeeded, and which so many left: by reason, and when.
fn place(address: &str, registered: u64, left: [u64; 3], left_s: (u64, u64)) -> PlaceRow {
    let mut ended = [0; Status::COUNT];
    ended[Status::Registered.index()] = registered;
    PlaceRow {
        trunk: 0,
        address: address.to_owned(),
        ended,
        left,
        left_ns: (left.iter().sum::<u64>() > 0).then_some((left_s.0 * SECOND, left_s.1 * SECOND)),
        registered_ns: (registered > 0).then_some((SECOND / 2, 59 * SECOND)),
        took_us: (registered * 500, 900),
        agents: Vec::new(),
    }
}

fn dns(results: &Results) -> Vec<Finding> {
    findings(results).into_iter().filter(|finding| finding.id == "dns").collect()
}

fn confidence(places: Vec<PlaceRow>) -> Option<&'static str> {
    let found = dns(&results(&["10.0.0.1:5060", "10.0.0.2:5060"], places));
    assert!(found.len() < 2, "{found:#?}");
    found.first().map(|finding| finding.confidence.as_str())
}

#[test]
fn an_address_that_never_serves_is_named() {
    let serving = || place("10.0.0.1:5060", 100, [0; 3], (0, 0));
    assert_eq!(confidence(vec![serving(), place("10.0.0.2:5060", 100, [0; 3], (0, 0))]), None, "all serve");
    assert_eq!(confidence(vec![serving(), place("10.0.0.2:5060", 0, [60, 0, 0], (1, 58))]), Some("high"));
    assert_eq!(confidence(vec![serving(), place("10.0.0.2:5060", 0, [0, 0, 60], (1, 58))]), Some("high"));
    let found = dns(&results(
        &["10.0.0.1:5060", "10.0.0.2:5060"],
        vec![serving(), place("10.0.0.2:5060", 0, [60, 0, 0], (1, 58))],
    ));
    assert!(
        found[0].summary.contains("edge.test also leads to 10.0.0.2:5060, which is not to be reached"),
        "{found:#?}"
    );
}

#[test]
fn what_may_be_something_else_stays_open() {
    let serving = || place("10.0.0.1:5060", 100, [0; 3], (0, 0));
    // A machine that was away for a time.
    assert_eq!(confidence(vec![serving(), place("10.0.0.2:5060", 0, [60, 0, 0], (20, 30))]), Some("open"));
    assert_eq!(confidence(vec![serving(), place("10.0.0.2:5060", 2, [60, 0, 0], (1, 58))]), Some("open"));
    // Silence may be a queue, and with a few that got through also loss.
    assert_eq!(confidence(vec![serving(), place("10.0.0.2:5060", 0, [0, 60, 0], (1, 58))]), Some("open"));
    assert_eq!(confidence(vec![serving(), place("10.0.0.2:5060", 2, [0, 60, 0], (1, 58))]), Some("open"));
    // A few.
    assert_eq!(confidence(vec![serving(), place("10.0.0.2:5060", 0, [3, 0, 0], (1, 58))]), Some("low"));
    // Where nobody serves it is no matter of one address.
    let both = ["10.0.0.1:5060", "10.0.0.2:5060"].map(|address| place(address, 0, [60, 0, 0], (1, 58)));
    assert_eq!(confidence(both.to_vec()), None);
}

#[test]
fn other_addresses_are_told_and_the_same_are_not() {
    let serving = vec![place("10.0.0.1:5060", 100, [0; 3], (0, 0))];
    let mut same = results(&["10.0.0.1:5060"], serving);
    same.resolutions.extend([10, 20].map(|at| Resolution { took_us: at * 1_000, ..looked_up(&["10.0.0.1:5060"], at) }));
    assert!(dns(&same).is_empty(), "{:#?}", dns(&same));
    let mut moved = same;
    moved.resolutions.push(Resolution { refused: vec!["192.0.2.7".to_owned()], ..looked_up(&["10.0.0.2:5060"], 30) });
    let found = dns(&moved);
    assert_eq!((found.len(), found[0].severity.as_str()), (1, "warning"), "{found:#?}");
    let said = format!("{} {}", found[0].summary, found[0].evidence);
    for part in ["edge.test led to other addresses", "10.0.0.2:5060", "192.0.2.7", "1 look-up of 4 differed"] {
        assert!(said.contains(part), "{part} is missing: {said}");
    }
}

#[test]
fn slow_and_silent_name_servers_are_told() {
    let serving = vec![place("10.0.0.1:5060", 100, [0; 3], (0, 0))];
    let mut slow = results(&["10.0.0.1:5060"], serving);
    slow.resolutions[0].took_us = 2_500_000;
    let found = dns(&slow);
    assert_eq!((found.len(), found[0].confidence.as_str()), (1, "low"), "once is no habit: {found:#?}");
    assert!(found[0].summary.contains("took 2.5 s"), "{found:#?}");
    slow.resolutions[0].took_us = 900;
    let silent = Resolution { steps: vec![step(Some("no name server answered"))], ..looked_up(&["10.0.0.1:5060"], 10) };
    slow.resolutions.push(silent);
    let found = dns(&slow);
    assert!(found[0].evidence.contains("no name server answered"), "{found:#?}");
}
