//! Why it failed: recorded evidence in, findings out, as pure functions.
//!
//! Each family of causes has a file: `challenge`, `refusal` (limits, bans, machines, credentials),
//! `asked` (loops that a server asks for), `silence`, `connection`, `slow`, `uneven` (slow for
//! some), `capacity` (overload), `shed`, `binding`, `audit`, `server_count`, `elsewhere`,
//! `generator` (our own trouble, drift).
//! The rest is shared: `view` arranges the evidence; `pattern`, `nodes`, `moment`, `place`,
//! `phrase` and `trend` read it; `draft`, `rivals`, `cost` and `wording` make findings of it. A
//! detector states what it saw, which rival explanations an observation ruled out, and how sure
//! that makes it (see [`confidence`]); where two causes fit the evidence equally, both are found,
//! and both say `open`.
//! The generator's own trouble comes first: what it got wrong must not be held against a server.
//!
//! `limit.transactions` has an explanation and no detector: only `regstorm limits` can tell a limit
//! on open transactions from one on the rate.

mod asked;
mod audit;
mod binding;
mod capacity;
mod challenge;
mod connection;
mod cost;
mod dns;
mod draft;
mod elsewhere;
mod generator;
mod moment;
mod nodes;
mod pattern;
mod phrase;
mod place;
mod redirect;
mod refusal;
pub mod rivals;
mod server_count;
mod shed;
mod silence;
mod slow;
mod trend;
mod uneven;
mod view;
mod wording;

pub use cost::Cost;
pub use draft::{Draft, MANY, SOME, confidence, is_near};
pub use rivals::Rival;
pub use view::{Group, Refused, Tick, View};
pub use wording::counted;

use super::finding::Finding;
use super::verdict::{GeneratorVerdict, generator_doubts};
use crate::record::Results;
use crate::vocab::{Class, Confidence, Severity, saturating_u16};

/// Everything that can be said about what went wrong in a run, most severe first.
pub fn findings(results: &Results) -> Vec<Finding> {
    let mut drafts: Vec<Draft> = generator::find(results);
    for trunk in 0..results.header.trunks.len() {
        drafts.extend(of_trunk(&View::new(results, saturating_u16(trunk))));
    }
    doubt_all(results, &mut drafts);
    doubt_a_torn_fleet(results, &mut drafts);
    drop_followers(&mut drafts);
    // Of findings that weigh the same the detectors' own order stays: of two open ones the likelier
    // is first.
    drafts.sort_by(|a, b| b.severity.cmp(&a.severity).then(b.attempts.cmp(&a.attempts)));
    drafts.into_iter().map(|draft| draft.finish(&results.header)).collect()
}

/// What a trunk's registrar carries per second, where it was asked for more.
pub fn carried_per_second(results: &Results, trunk: u16) -> Option<f64> {
    let view = View::new(results, trunk);
    overload(&view, &silence::one_place(&view)).map(|(_, carried)| carried)
}

/// Overload, and what is carried. One kind of request that is not answered holds up its own
/// attempts, and no others; and where each answer takes as long as any other, there is no queue.
fn overload(view: &View<'_>, place: &Option<Draft>) -> Option<(Draft, f64)> {
    if place.is_some() || slow::is_constant(view) { None } else { capacity::overload(view) }
}

/// The findings of one trunk.
fn of_trunk(view: &View<'_>) -> Vec<Draft> {
    let (mut drafts, mut explained) = challenge::find(view);
    if let Some((draft, refusals)) = binding::refresh_failing(view) {
        drafts.push(draft);
        explained.extend(refusals);
    }
    drafts.extend(refusal::find(view, &explained));
    one_of_two_401s(view, &mut drafts);
    drafts.extend(asked::find(view));
    let place = silence::one_place(view);
    let overload = overload(view, &place).map(|(draft, _)| draft);
    let sure = overload.as_ref().is_some_and(|draft| draft.confidence != Confidence::Open);
    drafts.extend(silence::find(view, sure, place));
    // What came to nothing at once delays no answer, so it explains no delay.
    let unanswered = drafts.iter().any(|draft| draft.id == "no-response");
    drafts.extend(silence::unreachable(view));
    drafts.extend(connection::find(view));
    if overload.is_some() {
        // A queue makes phones repeat what was not lost.
        drafts.iter_mut().for_each(|draft| draft.excluded.retain(|rival| *rival != Rival::Overload));
    }
    drafts.extend(slow::find(view, overload.is_some() || unanswered));
    drafts.extend(overload);
    shed::explain(view, &mut drafts);
    drafts.extend(binding::find(view));
    drafts.extend(audit::find(view));
    drafts.extend(elsewhere::find(view));
    drafts.extend(dns::find(view));
    drafts.extend(server_count::find(view));
    redirect::explain(view, &mut drafts);
    drafts
}

/// A nonce that is called stale each time is answered 401 like a wrong password, and some of those
/// answers may not say `stale`. Where the same agents got both, it is one trouble.
fn one_of_two_401s(view: &View<'_>, drafts: &mut Vec<Draft>) {
    let plain = view.met(&[Class::Unauthorized]);
    let (all, both) = plain
        .fold((0u64, 0u64), |(all, both), (_, agent)| (all + 1, both + u64::from(agent.met & Class::Stale.bit() != 0)));
    let Some(stale) = drafts.iter().position(|draft| draft.id == "loop.stale-nonce") else { return };
    // Fewer than four in five met both: two troubles, not one.
    if both * 5 < all * 4 {
        return;
    }
    let mut without = 0;
    drafts.retain(|draft| {
        let same = draft.id == "loop.401";
        without += if same { draft.attempts } else { 0 };
        !same
    });
    if without > 0 {
        // `retain` may have moved it forward, never back.
        let stale = drafts.iter_mut().take(stale + 1).find(|draft| draft.id == "loop.stale-nonce");
        let fact = format!("{without} more answers to the same agents were 401 without stale=true");
        stale.into_iter().for_each(|draft| draft.evidence.push(fact.clone()));
    }
}

/// A generator that could not keep its own schedule measured poorly, so no cause is named with more
/// than low confidence. That it could not keep up was counted, so that finding stands.
fn doubt_all(results: &Results, drafts: &mut [Draft]) {
    if generator_doubts(results).iter().any(|(grade, _)| *grade == GeneratorVerdict::Invalid) {
        for draft in drafts.iter_mut().filter(|draft| draft.id != "generator.saturated") {
            draft.confidence = draft.confidence.min(Confidence::Low);
        }
    }
}

/// Whose cause is told by counts of all agents, or by the order of what they saw.
const BY_COUNT_OR_ORDER: [&str; 8] = [
    "limit.concurrent",
    "limit.rate",
    "limit.contacts",
    "limit.transactions",
    "ban",
    "oscillation",
    "overload",
    "binding.unknown-to-server",
];

/// A run of several machines of which one is missing counted fewer agents than there were, one
/// whose clock is not known well enough in another order: what rests on that is not sure.
fn doubt_a_torn_fleet(results: &Results, drafts: &mut [Draft]) {
    let Some(fleet) = &results.fleet else { return };
    let (most, why) = if let Some((worker, loss)) = fleet.lost().next() {
        let since = results.header.utc(loss.at_ns);
        (
            Confidence::Low,
            format!("{} is missing since {since} ({}), so not all agents were counted", worker.name, loss.why),
        )
    } else if let Some(worker) = fleet.clock_doubt() {
        let why = format!("the clock of {} is not known well enough to tell what came first", worker.name);
        (Confidence::Medium, why)
    } else {
        return;
    };
    for draft in drafts.iter_mut().filter(|draft| BY_COUNT_OR_ORDER.contains(&draft.id)) {
        draft.confidence = draft.confidence.min(most);
        draft.evidence.push(why.clone());
        if most == Confidence::Low {
            draft.summary.push_str(" (not all agents were counted: a machine is missing)");
        }
    }
}

/// Figures that get worse because of a trouble that has a finding of its own are no drift, and the
/// same said twice is said once.
fn drop_followers(drafts: &mut Vec<Draft>) {
    let troubled: Vec<Option<u16>> =
        drafts.iter().filter(|draft| draft.severity == Severity::Critical).map(|draft| draft.trunk).collect();
    drafts.retain(|draft| draft.id != "drift" || !troubled.contains(&draft.trunk));
    let mut said: Vec<(&'static str, Option<u16>, String)> = Vec::new();
    drafts.retain(|draft| {
        let this = (draft.id, draft.trunk, draft.summary.clone());
        let new = !said.contains(&this);
        if new {
            said.push(this);
        }
        new
    });
}
