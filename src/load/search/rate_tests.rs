//! The search for a rate at registrars of a few lines.

use super::super::SearchStep;
use super::super::models::ModelRegistrar;
use super::*;
use proptest::prelude::*;

const SETTINGS: ProbingSettings =
    ProbingSettings { start: 10.0, most: 20_000.0, objective: None, t1: Duration::from_millis(500) };

fn find(registrar: &mut ModelRegistrar, phones: u32, settings: &ProbingSettings) -> Result<FoundRate, Stop> {
    steps(registrar, phones, settings).map(|(found, _)| found)
}

fn steps(
    registrar: &mut ModelRegistrar,
    phones: u32,
    settings: &ProbingSettings,
) -> Result<(FoundRate, Vec<SearchStep>), Stop> {
    let phones: Vec<Seat> = (0..phones).map(Seat).collect();
    let mut search = Search::new(registrar, Duration::from_secs(2), 2.0);
    let found = rate(&mut search, &phones, settings);
    let steps = search.steps;
    assert!(found.is_err() || registrar.bound.is_empty());
    found.map(|found| (found, steps))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn it_converges_to_within_five_per_cent_in_twelve_probes(limit in 1.0..2_000.0f64, seconds in 0.01..2.0f64) {
        let burst = (limit * seconds).ceil().max(1.0) as u32;
        let mut registrar = ModelRegistrar::default().with_rate(limit, burst);
        let found = find(&mut registrar, 20_000, &SETTINGS).expect("no ban");
        prop_assert!(found.probes <= MOST_PROBES, "{found:?}");
        let error = found.limit.expect("it is met") / limit - 1.0;
        prop_assert!(error.abs() <= 0.05, "{limit} {burst} {found:?}");
        prop_assert_eq!(found.kind, LimitKind::Rate);
        let near = f64::from(burst) * 0.1 + 2.0;
        prop_assert!((f64::from(found.burst.expect("poured")) - f64::from(burst)).abs() <= near, "{burst} {found:?}");
        prop_assert!(found.confidence >= Confidence::Medium, "{found:?}");
    }

    #[test]
    fn a_knee_is_found_without_refusals(knee in 5.0..3_000.0f64) {
        let mut registrar = ModelRegistrar { knee: Some(knee), ..ModelRegistrar::default() };
        let settings = ProbingSettings { objective: Some(Duration::from_millis(250)), ..SETTINGS };
        let found = find(&mut registrar, 20_000, &settings).expect("no ban");
        prop_assert!(found.probes <= MOST_PROBES, "{found:?}");
        prop_assert_eq!(found.kind, LimitKind::Latency);
        prop_assert!((found.limit.expect("it is met") / knee - 1.0).abs() <= 0.05, "{knee} {found:?}");
    }
}

#[test]
fn without_a_limit_it_says_up_to_where_it_looked() {
    let found = find(&mut ModelRegistrar::default(), 1_000, &SETTINGS).expect("no ban");
    assert_eq!((found.limit, found.at_least, found.burst), (None, 2_000.0, None));
    assert_eq!(found.ended, "there are too few agents for a higher rate");
    let found =
        find(&mut ModelRegistrar::default(), 10_000, &ProbingSettings { most: 300.0, ..SETTINGS }).expect("no ban");
    assert_eq!((found.limit, found.at_least), (None, 300.0));
}

#[test]
fn a_ban_ends_the_search() {
    let mut registrar = ModelRegistrar { bans_after: Some(30), ..ModelRegistrar::default().with_rate(50.0, 50) };
    assert!(matches!(find(&mut registrar, 2_000, &SETTINGS), Err(Stop::Banned(_))));
}

/// A burst is poured before each probe, at a rate of its own: what is said of a probe is of its
/// steady part.
#[test]
fn a_probe_is_answered_at_the_rate_that_it_offers() {
    let mut registrar = ModelRegistrar::default().with_rate(100.0, 300);
    let (found, steps) = steps(&mut registrar, 20_000, &SETTINGS).expect("no ban");
    assert_eq!(found.kind, LimitKind::Rate);
    let poured = steps.iter().filter(|step| step.purpose == "on which side does this rate lie");
    let told: Vec<(f64, f64, bool)> =
        poured.filter_map(|step| Some((step.per_second?, step.answered?.per_second, step.held?))).collect();
    assert!(told.len() >= 2 && told.iter().any(|(.., held)| *held), "{told:?}");
    for (offered, answered, held) in told {
        let due = if held { offered } else { offered.min(100.0) };
        assert!((answered / due - 1.0).abs() < 0.05, "{answered} of {offered}");
    }
}
