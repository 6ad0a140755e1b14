//! A whole search, in its order: contacts of one user, registrations at the same time, rate.
//! Whatever happens, everyone who may be bound is released at the end.

use super::concurrent::{CountedScope, FillRate, FoundConcurrent, concurrent};
use super::contacts::{FoundContacts, contacts};
use super::rate::{self, FoundRate};
use super::rfc7502::{self, FoundRfc7502, rfc7502};
use super::{Confidence, Search, SearchField, SearchStep, Seat, Seating, Stop};
use crate::vocab::{floor_usize, saturating_u32};
use std::time::Duration;

/// How the rate is searched.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum SearchMethod {
    Bisect,
    Rfc7502(rfc7502::Rfc7502Settings),
}

/// What to search, and how.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Orders {
    /// Contacts of one user, and registrations at the same time.
    pub concurrent: bool,
    pub rate: bool,
    /// Nobody else registers on this trunk, or it is known how many do.
    pub exclusive: bool,
    pub method: SearchMethod,
    pub fill: FillRate,
    pub probing: rate::ProbingSettings,
    /// Pause after refusals and between probes that name none.
    pub settle: Duration,
    /// Per second: slow enough for any registrar.
    pub gentle: f64,
}

/// What was found, as far as the search came.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Survey {
    pub contacts: Option<FoundContacts>,
    pub concurrent: Option<FoundConcurrent>,
    pub rate: Option<FoundRate>,
    pub rfc7502: Option<FoundRfc7502>,
    /// Why it ended early.
    pub stopped: Option<Stop>,
    /// Phones that may be bound still, though everything was tried.
    pub left_bound: u32,
    pub steps: Vec<SearchStep>,
}

/// The share of a limit on registrations at the same time that rate probes use, so that they never
/// meet it.
const BELOW_LIMIT: f64 = 0.9;

/// Fewer late phones are no sign of anything.
const MANY_LATE: u32 = 10;

/// Searches what was ordered.
pub fn survey<F: SearchField>(field: &mut F, roster: &Seating, orders: &Orders) -> Survey {
    let mut found = Survey::default();
    let mut search = Search::new(field, orders.settle, orders.gentle);
    if let Err(stop) = run(&mut search, roster, orders, &mut found) {
        found.stopped = Some(stop);
    }
    search.begin("end");
    match search.clear("whatever may still be bound", orders.fill.most) {
        Ok(left) => found.left_bound = saturating_u32(left),
        Err(stop) => {
            found.left_bound = saturating_u32(search.maybe_bound());
            found.stopped.get_or_insert(stop);
        }
    }
    found.steps = search.steps;
    found
}

fn run<F: SearchField>(
    search: &mut Search<'_, F>,
    roster: &Seating,
    orders: &Orders,
    found: &mut Survey,
) -> Result<(), Stop> {
    let mut phones: &[Seat] = &roster.phones;
    if orders.concurrent {
        let several = contacts(search, roster)?;
        let more_than_one = several.at_least > 1;
        found.contacts = Some(several);
        let mut together = concurrent(search, roster, orders.fill, more_than_one)?;
        doubt(&mut together, orders.exclusive, &search.steps);
        // What the registrar took while the phones came in, it lets go as fast.
        let pace = together.fill_rate;
        phones = &phones[..usable(roster, &together)];
        found.concurrent = Some(together);
        let left = search.clear("between searches", pace)?;
        if left > 0 {
            return Err(Stop::Banned(format!("{left} phones cannot be un-REGISTERed any more: this looks like a ban")));
        }
        search.rest("between searches", orders.settle)?;
    }
    if orders.rate {
        match orders.method {
            SearchMethod::Bisect => found.rate = Some(rate::rate(search, phones, &orders.probing)?),
            SearchMethod::Rfc7502(settings) => found.rfc7502 = Some(rfc7502(search, phones, &settings)?),
        }
    }
    Ok(())
}

/// Others may have been there before, and this machine may have been late.
fn doubt(together: &mut FoundConcurrent, exclusive: bool, steps: &[SearchStep]) {
    let sum = |of: fn(&SearchStep) -> u32| steps.iter().map(of).sum::<u32>();
    let (late, offered) = (sum(|step| step.late), sum(|step| step.offered));
    together.exclusive = exclusive;
    together.unkept = late >= MANY_LATE && late * 20 > offered;
    let most = match (together.unkept, exclusive) {
        (true, _) => Confidence::Low,
        (false, false) => Confidence::Medium,
        (false, true) => Confidence::High,
    };
    together.confidence = together.confidence.min(most);
}

/// How many phones rate probes may register at once.
fn usable(roster: &Seating, together: &FoundConcurrent) -> usize {
    let below = |limit: u32| floor_usize(f64::from(limit) * BELOW_LIMIT).clamp(1, roster.phones.len());
    match (together.limit, together.scope) {
        // The limit of one account does not bound the others, but the first account's phones come
        // first.
        (Some(limit), Some(CountedScope::Account)) => {
            let first = roster.accounts.iter().take_while(|account| **account == roster.accounts[0]).count();
            if first > limit as usize { below(limit) } else { roster.phones.len() }
        }
        (Some(limit), _) => below(limit),
        (None, _) => roster.phones.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::models::ModelRegistrar;
    use super::*;

    const ORDERS: Orders = Orders {
        concurrent: true,
        rate: true,
        exclusive: true,
        method: SearchMethod::Bisect,
        fill: FillRate { start: 20.0, most: 200.0 },
        probing: rate::ProbingSettings { start: 10.0, most: 10_000.0, objective: None, t1: Duration::from_millis(500) },
        settle: Duration::from_secs(2),
        gentle: 4.0,
    };

    fn roster(phones: u32) -> Seating {
        Seating { phones: (0..phones).map(Seat).collect(), accounts: (0..phones).collect(), ..Seating::default() }
    }

    #[test]
    fn both_limits_are_found_though_each_is_in_the_others_way() {
        let mut registrar = ModelRegistrar::default().with_limit(400).with_rate(80.0, 20);
        let found = survey(&mut registrar, &roster(600), &ORDERS);
        assert_eq!((found.stopped, found.left_bound), (None, 0));
        assert_eq!(found.concurrent.expect("searched").limit, Some(400));
        let rate = found.rate.expect("searched");
        assert!((rate.limit.expect("met") / 80.0 - 1.0).abs() < 0.05, "{rate:?}");
        assert!(registrar.bound.is_empty() && found.steps.iter().any(|step| step.held == Some(true)));
    }

    #[test]
    fn a_ban_keeps_what_was_found_before_it() {
        let mut registrar = ModelRegistrar { bans_after: Some(120), ..ModelRegistrar::default().with_limit(50) };
        registrar = registrar.with_rate(60.0, 10);
        let found = survey(&mut registrar, &roster(600), &ORDERS);
        assert_eq!(found.concurrent.expect("before the ban").limit, Some(50));
        assert!(matches!(found.stopped, Some(Stop::Banned(_)) | None));
    }
}
