//! The session attempt rate of RFC 7502 §4.10, for registrations (§6.7): the largest attempt rate
//! at which all of N registrations succeed.
//!
//! Strictly: N distinct addresses of record in each iteration, lifetimes of an hour or more,
//! everything removed again between iterations. After a success the rate grows by w, after a
//! failure it shrinks by d, and then both shares are halved, to a tenth at least. Ten successes
//! that do not beat the best rate end the search. The RFC warns that the device is driven past its
//! limit again and again, and a rate below ten never grows: rounding down undoes the step.

use super::{Confidence, Search, SearchField, Seat, StepPace, Stop, WordedRefusal};
use crate::vocab::{floor_u32, saturating_u32};
use std::time::Duration;

/// The algorithm's settings, by the RFC's letters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rfc7502Settings {
    /// N: registrations in each iteration.
    pub n: u32,
    /// r: the rate of the first iteration, per second.
    pub r: u32,
    /// w: by how much the rate grows after a success.
    pub w: f64,
    /// Rest between iterations.
    pub settle: Duration,
}

impl Rfc7502Settings {
    /// The RFC's own.
    pub const STRICT: Rfc7502Settings = Rfc7502Settings { n: 50_000, r: 100, w: 0.10, settle: Duration::from_secs(10) };
}

/// The shortest lifetime §6.7 allows, seconds.
pub const LEAST_EXPIRES_S: u32 = 3_600;

/// What the algorithm came to.
#[derive(Clone, PartialEq, Debug)]
pub struct FoundRfc7502 {
    /// Registrations per second; `None` when no iteration succeeded.
    pub rate: Option<u32>,
    pub iterations: u32,
    pub failures: u32,
    /// Whether it converged, or was given up.
    pub converged: bool,
    pub n: u32,
    pub refusal: Option<WordedRefusal>,
    /// High: converged, and failed at least once above. Low otherwise.
    pub confidence: Confidence,
}

/// Neither share falls below this.
const LEAST_SHARE: f64 = 0.10;
/// Successes that better nothing.
const ENOUGH: u32 = 10;
/// More iterations than any rate that can be told from another takes.
const MOST_ITERATIONS: u32 = 300;

/// Runs the algorithm over these phones, `settings.n` of them in each iteration.
pub fn rfc7502<F: SearchField>(
    search: &mut Search<'_, F>,
    phones: &[Seat],
    settings: &Rfc7502Settings,
) -> Result<FoundRfc7502, Stop> {
    search.begin("rate");
    let seats = &phones[..phones.len().min(settings.n as usize)];
    let n = saturating_u32(seats.len());
    let (mut r, mut w) = (settings.r, settings.w);
    let mut d = LEAST_SHARE.max(w / 2.0);
    let mut found = FoundRfc7502 {
        rate: None,
        iterations: 0,
        failures: 0,
        converged: false,
        n,
        refusal: None,
        confidence: Confidence::Low,
    };
    let mut idle = 0;
    while r > 0 && found.iterations < MOST_ITERATIONS {
        let seen = search.register("RFC 7502 iteration", seats, StepPace::Steady(f64::from(r)))?;
        found.iterations += 1;
        let held = seen.accepted() == seats.len();
        search.judge(held, None);
        if held {
            if found.rate.is_none_or(|best| r > best) {
                found.rate = Some(r);
            } else {
                idle += 1;
            }
        } else {
            found.failures += 1;
            found.refusal = seen.first_refusal().or(found.refusal);
            if seen.accepted() == 0 && found.rate.is_some() {
                return Err(Stop::Banned(format!("at {r}/s nobody could register any more, though many had before")));
            }
        }
        let back = found.rate.unwrap_or(1).max(10);
        if search.clear("between iterations", f64::from(back))? > 0 {
            return Err(Stop::Banned("bindings could not be removed between iterations".to_owned()));
        }
        if idle >= ENOUGH {
            found.converged = true;
            break;
        }
        search.rest("between iterations", settings.settle)?;
        r = if held { floor_u32(f64::from(r) * (1.0 + w)) } else { floor_u32(f64::from(r) * (1.0 - d)) };
        if !held {
            d = LEAST_SHARE.max(d / 2.0);
            w = LEAST_SHARE.max(w / 2.0);
        }
    }
    if found.converged && found.failures > 0 {
        found.confidence = Confidence::High;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::models::ModelRegistrar;
    use super::*;
    use proptest::prelude::*;

    fn measure(limit: f64, r: u32, n: u32) -> FoundRfc7502 {
        let mut registrar = ModelRegistrar::default().with_rate(limit, 1);
        let phones: Vec<Seat> = (0..n).map(Seat).collect();
        let mut search = Search::new(&mut registrar, Duration::from_secs(1), 2.0);
        let found =
            rfc7502(&mut search, &phones, &Rfc7502Settings { n, r, ..Rfc7502Settings::STRICT }).expect("no ban");
        assert!(registrar.bound.is_empty());
        found
    }

    #[test]
    fn it_converges_as_the_rfc_has_it() {
        let found = measure(460.0, 100, 1_000);
        assert!(found.converged && found.failures >= 8, "{found:?}");
        assert!((446..=460).contains(&found.rate.expect("some")), "{found:?}");
        // From below ten it never moves.
        assert_eq!(measure(460.0, 5, 200).rate, Some(5));
    }

    #[test]
    fn strictly_it_takes_fifty_thousand() {
        let mut registrar = ModelRegistrar::default().with_rate(4_000.0, 1);
        let phones: Vec<Seat> = (0..50_000).map(Seat).collect();
        let mut search = Search::new(&mut registrar, Duration::from_secs(1), 2.0);
        let found =
            rfc7502(&mut search, &phones, &Rfc7502Settings { r: 1_000, ..Rfc7502Settings::STRICT }).expect("no ban");
        assert_eq!((found.n, found.converged), (50_000, true));
        assert!((3_800..=4_000).contains(&found.rate.expect("some")), "{found:?}");
        let iterations = search.steps.iter().filter(|step| step.action == "register");
        assert!(iterations.clone().all(|step| step.offered == 50_000));
        // Half an hour of virtual time or more, and everything released in between.
        assert_eq!(iterations.count() as u32, found.iterations);
        assert!(registrar.passed() > Duration::from_secs(600));
        assert!(registrar.bound.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn it_never_claims_more_than_the_limit(limit in 20.0..3_000.0f64, r in 20u32..2_000) {
            let found = measure(limit, r, 300);
            prop_assert!(found.converged, "{found:?}");
            let rate = f64::from(found.rate.expect("it shrinks until it holds"));
            // One registration in three hundred is all that this N can tell.
            prop_assert!(rate <= limit * 1.005 + 1.0 && rate >= limit * 0.85 - 2.0, "{rate} of {limit}: {found:?}");
        }
    }
}
