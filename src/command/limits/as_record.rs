//! A finished search as `record::limits` writes it to `limits.json`; no findings of `diagnose`.

use crate::load::search::rate::LimitKind;
use crate::load::search::{
    FoundConcurrent, FoundContacts, FoundRate, FoundRfc7502, SearchMethod, SearchStep, Survey, WordedRefusal,
    rfc7502::Rfc7502Settings,
};
use crate::measure::PlaceRow;
use crate::record::limits as record;
use crate::vocab::TrunkId;
use std::time::Duration;

/// Under what conditions it was found.
pub(super) struct SearchConditions {
    pub name: String,
    pub seed: u64,
    pub started_unix_ns: u64,
    pub duration: Duration,
    pub method: SearchMethod,
    /// RFC 7501 §3.3.2: how long an answer may take.
    pub timer_f: Duration,
    pub socket_drops: u64,
    pub addresses: Vec<record::AddressCounts>,
}

/// The set-up, with the objective of this search.
pub(super) fn setup(setup: record::Setup, objective: Option<Duration>) -> record::Setup {
    record::Setup { objective_ms: objective.map(millis), ..setup }
}

pub(super) fn limits(found: &Survey, conditions: SearchConditions, setup: record::Setup) -> record::Limits {
    let rfc = match (conditions.method, &found.rfc7502) {
        (SearchMethod::Rfc7502(settings), Some(rfc)) => Some((settings, rfc)),
        _ => None,
    };
    let drops = conditions.socket_drops;
    let mut limits = record::Limits {
        schema: record::SCHEMA,
        tool: record::Tool { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") },
        name: conditions.name,
        started: crate::record::results::utc(conditions.started_unix_ns.into(), 3),
        duration_s: seconds(conditions.duration),
        seed: conditions.seed,
        method: match conditions.method {
            SearchMethod::Bisect => "bisect",
            SearchMethod::Rfc7502(_) => "rfc7502",
        },
        found: names(found),
        concurrent: found.concurrent.as_ref().map(concurrent),
        contacts: found.contacts.as_ref().map(contacts),
        rate: found.rate.as_ref().map(rate).or_else(|| rfc.map(|(_, rfc)| rate_of_rfc(rfc))),
        rfc7502: rfc.map(|(settings, rfc)| form(settings, rfc, &setup, conditions.timer_f)),
        setup,
        stopped: found.stopped.as_ref().map(ToString::to_string),
        left_bound: found.left_bound,
        socket_drops: conditions.socket_drops,
        steps: found.steps.iter().zip(1..).map(|(one, number)| step(one, number)).collect(),
        addresses: conditions.addresses,
    };
    if let Some(one) = &mut limits.concurrent {
        deafened(&mut one.confidence, &mut one.confidence_because, drops);
    }
    if let Some(one) = &mut limits.contacts {
        deafened(&mut one.confidence, &mut one.confidence_because, drops);
    }
    if let Some(one) = &mut limits.rate {
        deafened(&mut one.confidence, &mut one.confidence_because, drops);
    }
    limits
}

/// What became of attempts at each address of the trunk's name.
pub(super) fn addresses(places: &[PlaceRow], trunk: TrunkId) -> Vec<record::AddressCounts> {
    let of_trunk = places.iter().filter(|row| row.trunk == trunk.0);
    let counts = |row: &PlaceRow| record::AddressCounts {
        address: row.address.clone(),
        registered: row.registered(),
        failed: row.ended.iter().sum::<u64>() - row.registered(),
        went_on: row.all_left(),
    };
    of_trunk.map(counts).collect()
}

/// The ids of what was met, as findings have them.
fn names(found: &Survey) -> Vec<&'static str> {
    let mut names = Vec::new();
    if found.concurrent.as_ref().is_some_and(|one| one.limit.is_some()) {
        names.push("limit.concurrent");
    }
    if found.contacts.as_ref().is_some_and(|one| one.limit.is_some() || one.pushes_out_at.is_some()) {
        names.push("limit.contacts");
    }
    match found.rate.as_ref().filter(|one| one.limit.is_some()).map(|one| one.kind) {
        Some(LimitKind::Transactions(_)) => names.push("limit.transactions"),
        Some(LimitKind::Rate | LimitKind::Latency | LimitKind::Silence) => names.push("limit.rate"),
        Some(LimitKind::Overload) => names.push("overload"),
        None => {}
    }
    names
}

fn code(refusal: Option<&WordedRefusal>) -> Option<u16> {
    refusal.map(|refusal| refusal.code).filter(|code| *code > 0)
}

fn reason(refusal: Option<&WordedRefusal>) -> Option<String> {
    refusal.map(|refusal| refusal.reason.clone())
}

fn concurrent(found: &FoundConcurrent) -> record::Concurrent {
    let refusal = found.refusal.as_ref();
    let evidence = found.evidence;
    let because = match found.limit {
        None => format!("{} phones were registered at the same time and none was refused for it", found.at_least),
        Some(_) => format!(
            "{} phones were released at the limit in {} rounds and {} accepted in their place, one more was refused each \
             time (high: all of them in every round, and nobody else registers there; medium: once, or others may; low: \
             released room did not come back, or a schedule that was not kept)",
            evidence.released, evidence.rounds, evidence.taken_again
        ),
    };
    let because = if found.unkept { format!("{OURS}{because}") } else { because };
    record::Concurrent {
        limit: found.limit,
        at_least: found.at_least,
        code: code(refusal),
        reason: reason(refusal),
        retry_after_s: refusal.and_then(|refusal| refusal.retry_after_s),
        scope: found.scope.map(|scope| scope.as_str()),
        confidence: found.confidence.as_str(),
        confidence_because: because,
        hard: found.hard,
        counts_contacts: found.counts_contacts,
        refreshes_accepted: found.refreshes.map(|(accepted, _)| accepted),
        refreshes_asked: found.refreshes.map(|(_, asked)| asked),
        exclusive: found.exclusive,
        others: None,
        refused_for_themselves: found.refused_for_themselves,
        refused: evidence.refused,
        released: evidence.released,
        taken_again: evidence.taken_again,
    }
}

fn contacts(found: &FoundContacts) -> record::Contacts {
    let because = match (found.limit, found.pushes_out_at) {
        (Some(_), _) => {
            "another user was accepted meanwhile (medium), and a released contact made room for the refused one (high)"
                .to_owned()
        }
        (None, Some(listed)) => format!("after {} contacts the answer lists {listed}", found.at_least),
        (None, None) => format!("{} contacts were accepted", found.at_least),
    };
    record::Contacts {
        limit: found.limit,
        at_least: found.at_least,
        code: code(found.refusal.as_ref()),
        reason: reason(found.refusal.as_ref()),
        pushes_out_at: found.pushes_out_at,
        confidence: found.confidence.as_str(),
        confidence_because: because,
    }
}

fn rate(found: &FoundRate) -> record::Rate {
    let refusal = found.refusal.as_ref();
    let (kind, transactions) = match found.kind {
        LimitKind::Rate => ("rate", None),
        LimitKind::Transactions(open) => ("transactions", Some(open)),
        LimitKind::Latency => ("latency", None),
        LimitKind::Silence => ("silence", None),
        LimitKind::Overload => ("overload", None),
    };
    record::Rate {
        limit_per_s: found.limit.map(hundredth),
        at_least_per_s: hundredth(found.at_least),
        burst: found.burst,
        code: code(refusal),
        reason: reason(refusal),
        retry_after_s: refusal.and_then(|refusal| refusal.retry_after_s),
        confidence: found.confidence.as_str(),
        confidence_because: because_of_rate(found),
        kind,
        uncertainty_per_s: found.capacity.map(|capacity| hundredth(capacity.uncertainty)),
        law: found.law.map(|law| record::FittedLaw {
            name: "Kingman",
            leisure_ms: law.leisure_s * 1e3,
            waiting_ms: law.waiting_s * 1e3,
            residual: law.residual,
            rates: law.rates,
        }),
        transactions,
        failed_per_s: found.bracket.1.map(hundredth),
        probes: found.probes,
        p99_ms: found.p99.map(millis),
        ended: found.ended,
    }
}

/// In front of what was found by a generator that was late itself.
const OURS: &str = "this machine could not keep the schedule of a probe that decides: ";

/// Answers that our own sockets dropped look like silence.
fn deafened(confidence: &mut &'static str, because: &mut String, drops: u64) {
    if drops > 0 {
        *confidence = "low";
        *because = format!("the kernel dropped {drops} answers at our own sockets: {because}");
    }
}

fn because_of_rate(found: &FoundRate) -> String {
    let (low, high) = found.bracket;
    let ours = if found.unkept { OURS } else { "" };
    let said = match (high, found.capacity) {
        (None, _) => format!("{low:.1}/s held; {}", found.ended),
        (Some(_), Some(capacity)) => format!(
            "with a queue before it all the time it answered {:.1} ± {:.1} a second, over {} registrations, and {low:.1}/s \
             held, in {} probes (high: probes with queues of two lengths agree on 1000 registrations or more, and a rate \
             within 5 % below held; medium: one of the two; low: neither, or a schedule that was not kept)",
            capacity.per_second, capacity.uncertainty, capacity.registrations, found.probes
        ),
        (Some(high), None) => format!(
            "{low:.1}/s held and {high:.1}/s did not, in {} probes (high: no wider than 5 %, both ends on 100 arrivals or \
             more, and the refill read from the refusals lies in between; medium: no wider than 5 %; low: wider, or a \
             schedule that was not kept)",
            found.probes
        ),
    };
    format!("{ours}{said}")
}

fn rate_of_rfc(found: &FoundRfc7502) -> record::Rate {
    let refusal = found.refusal.as_ref();
    record::Rate {
        limit_per_s: found.rate.filter(|_| found.failures > 0).map(f64::from),
        at_least_per_s: found.rate.map_or(0.0, f64::from),
        burst: None,
        code: code(refusal),
        reason: reason(refusal),
        retry_after_s: refusal.and_then(|refusal| refusal.retry_after_s),
        confidence: found.confidence.as_str(),
        confidence_because: format!(
            "{} iterations of {} registrations, {} of them failed (high: it converged and had failed above; low: not so)",
            found.iterations, found.n, found.failures
        ),
        kind: "rate",
        uncertainty_per_s: None,
        law: None,
        transactions: None,
        failed_per_s: None,
        probes: found.iterations,
        p99_ms: None,
        ended: if found.converged { "it converged" } else { "it did not converge" },
    }
}

/// RFC 7502 §5.1 and §5.3.
fn form(settings: Rfc7502Settings, found: &FoundRfc7502, setup: &record::Setup, timer_f: Duration) -> record::Rfc7502 {
    record::Rfc7502 {
        sip_transport: setup.transport,
        connection_strategy: "one socket for all agents",
        initial_attempt_rate: settings.r,
        registrations_per_iteration: found.n,
        expires_s: setup.expires_s,
        establishment_threshold_s: seconds(timer_f),
        media_streams: 0,
        tls_cipher_suite: None,
        ipsec_profile: None,
        registration_rate: found.rate,
        iterations: found.iterations,
        iterations_failed: found.failures,
        converged: found.converged,
        notes: format!(
            "an attempt is the whole handshake, challenge included; all bindings are removed between iterations, then {} s \
             of rest",
            seconds(settings.settle)
        ),
    }
}

fn step(step: &SearchStep, number: u32) -> record::Step {
    let refusal = step.refusal.as_ref();
    record::Step {
        step: number,
        at_s: seconds(step.at),
        lasted_s: seconds(step.lasted),
        part: step.part,
        action: step.action,
        purpose: step.purpose,
        per_second: step.per_second,
        offered: step.offered,
        accepted: step.accepted,
        refused: step.refused,
        silent: step.silent,
        unsent: step.unsent,
        late: step.late,
        code: code(refusal),
        reason: reason(refusal),
        retry_after_s: refusal.and_then(|refusal| refusal.retry_after_s),
        registered: step.bound,
        held: step.held,
        answered_per_s: step.answered.map(|answered| hundredth(answered.per_second)),
        p50_ms: step.answered.map(|answered| millis(answered.p50)),
        p99_ms: step.answered.map(|answered| millis(answered.p99)),
    }
}

/// Seconds, to the millisecond.
fn seconds(span: Duration) -> f64 {
    span.as_millis() as f64 / 1e3
}

fn millis(span: Duration) -> f64 {
    span.as_micros() as f64 / 1e3
}

fn hundredth(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
