//! What a run did not test, from the run itself: a reader must not take silence for a pass.

use super::conditions::Conditions;
use super::go_live::embedded;
use super::text::{self, decimal, thousands};
use super::words;
use crate::record::Results;
use crate::vocab::{Kind, LoadStage};
use serde::Serialize;

/// One thing that nobody should conclude from this run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Untested {
    pub what: &'static str,
    pub why: String,
}

/// Everything this run leaves open, the most important first.
pub(super) fn untested(results: &Results) -> Vec<Untested> {
    let conditions = Conditions::of(results);
    let mut list = Vec::new();
    let mut add = |what, why: String| list.push(Untested { what, why });
    if results.header.simulated {
        add(
            "Your registrar and your network",
            "The run was simulated: time was virtual and no packet was sent.".to_owned(),
        );
    } else if embedded(results) {
        add("Your registrar", "The registrar was the one built into regstorm, on the test machine itself.".to_owned());
    }
    missed_load(results, &mut add);
    beyond(results, &conditions, &mut add);
    never_happened(results, &conditions, &mut add);
    let transport = conditions.transport.join(", ");
    add(
        "Other transports",
        format!("All signalling went over {transport}; nothing is said of any other, nor of TLS certificates."),
    );
    if results.header.trunks.iter().all(|trunk| trunk.sources.len() < 2) {
        add("Many places at once", "Each trunk\u{2019}s agents shared one address, so limits per address look tighter here, and NAT and firewalls of sites took no part.".to_owned());
    }
    add("Fail-over", "Each trunk went to one address; no other server had to take over.".to_owned());
    add("Calls, media and presence", "Agents registered and did nothing else.".to_owned());
    list
}

/// Load that the profile plans and that did not come about.
fn missed_load(results: &Results, add: &mut impl FnMut(&'static str, String)) {
    let stopped = results.end.as_ref().is_none_or(|end| end.interrupted_by.is_some() || end.aborted.is_some());
    if stopped {
        add(
            "The rest of the load",
            "The run ended before its plan did; what would have come later is unknown.".to_owned(),
        );
    }
    let never = results.agents.iter().filter(|agent| agent.attempts == 0).count() as u64;
    if never > 0 {
        let agents = results.agents.len() as u64;
        add("Every agent", format!("{} of {} never arrived.", thousands(never), text::counted(agents, "agent")));
    }
    if results.header.warmup_ns > 0 {
        let warmup = text::length(results.header.warmup_ns);
        add(
            "The first minutes",
            format!("The first {warmup} are a warm-up: they are in the charts and in no figure and no target."),
        );
    }
}

/// More, faster, longer than this run.
fn beyond(results: &Results, conditions: &Conditions, add: &mut impl FnMut(&'static str, String)) {
    let peak = match results.totals.agents_registered_peak {
        0 => "No agent was registered".to_owned(),
        peak => format!("No more than {} agents were registered at once", thousands(peak)),
    };
    let rate = conditions.attempt_rate_peak_per_s.filter(|rate| *rate > 0.0);
    let rate = rate.map(|rate| format!(", and no more than {} first registrations a second", decimal(rate, 1)));
    let rate = rate.unwrap_or_default();
    add("More than this", format!("{peak}{rate}. Where the limits are, a search finds: regstorm limits."));
    let length = words::ended_ns(results).unwrap_or(0);
    if length < LONG_NS {
        let lasted = text::length(length);
        add(
            "Days of operation",
            format!("The run lasted {lasted}. Leaks, nightly jobs and what expires once a day show later."),
        );
    }
}

/// What agents do in production and did not do here.
fn never_happened(results: &Results, conditions: &Conditions, add: &mut impl FnMut(&'static str, String)) {
    let started = |kind: Kind| {
        results.intervals.iter().flat_map(|interval| &interval.trunks).any(|trunk| trunk.started[kind.index()] > 0)
    };
    if !started(Kind::Refresh) {
        let shortest = results.header.trunks.iter().map(|trunk| trunk.expires_s).min().unwrap_or(0);
        add(
            "Refreshes",
            format!(
                "No registration came near its end: agents asked for {} and the run was shorter.",
                text::length(u64::from(shortest) * 1_000_000_000)
            ),
        );
    }
    if !started(Kind::Unregister) {
        add("Signing out", "No agent was un-registered.".to_owned());
    }
    if !conditions.challenged {
        add("Passwords", "The registrar never challenged anybody, so credentials were not checked.".to_owned());
    }
    let load = results.header.load.as_ref();
    if !load.is_some_and(|load| load.stages.iter().any(LoadStage::is_return)) {
        add(
            "The return after an outage",
            "The load has no avalanche: agents came one after another, not all at once.".to_owned(),
        );
    }
}

/// A run of this length has seen a day.
const LONG_NS: u64 = 24 * 3_600 * 1_000_000_000;
