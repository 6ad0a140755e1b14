//! One warning for each limit that a run would pass: what, when, and what to do about it.

use super::{DryRun, Rehearsed, Rhythm, bits};
use crate::measure::traffic::TrafficSecond;
use crate::vocab::{format_bandwidth, format_duration};
use serde::Serialize;
use std::time::Duration;

/// A limit that would be passed.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Warning {
    /// The key that states it, or the machine's own name for it.
    pub limit: &'static str,
    pub stated: f64,
    /// What the run needs at its peak.
    pub needed: f64,
    /// When it is passed first, seconds after the start; `null`: from the beginning.
    pub at_s: Option<f64>,
    /// One line: what is passed, when, and the remedy.
    pub text: String,
}

/// Everything that would be passed, what the registrar's side states first.
pub(super) fn all(run: &Rehearsed<'_>, dry_run: &DryRun, pulse: &Rhythm) -> Vec<Warning> {
    let mut warnings = bindings(run, dry_run, pulse);
    warnings.extend(messages(run, dry_run));
    warnings.extend(line(run, dry_run));
    warnings.extend(ceiling(run, dry_run));
    warnings.extend(machine(dry_run));
    warnings
}

/// `what` is passed by a count of something.
fn counted(limit: &'static str, stated: f64, needed: f64, at_s: Option<f64>, what: &str, remedy: &str) -> Warning {
    let when = at_s.map(|at| format!(" from {} on", clock(at))).unwrap_or_default();
    let text = format!("{what}{when}, {limit} is {}: {remedy}", number(stated));
    Warning { limit, stated, needed, at_s, text }
}

fn bindings(run: &Rehearsed<'_>, dry_run: &DryRun, pulse: &Rhythm) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let expect = &run.expect;
    let peak = dry_run.registrations.peak;
    if let Some(limit) = expect.registrations.map(f64::from).filter(|limit| peak > *limit) {
        let registered = pulse.registered.iter().map(|&agents| agents as f64);
        let what = format!("{} agents registered at once", number(peak));
        let remedy = format!("register at most {} (agents.count), or have the limit raised first", number(limit));
        let at = pulse.first_above(registered, limit);
        warnings.push(counted("expect.registrations", limit, peak, at, &what, &remedy));
    }
    let peak = dry_run.registrations_per_s.peak;
    if let Some(limit) = expect.registrations_per_second.filter(|limit| peak > *limit) {
        let what = format!("up to {} registrations/s", number(peak));
        let remedy = "lower the [[load]] rate or spread an avalanche; of refreshes, lengthen expires";
        let at = pulse.first_above(pulse.rates(), limit);
        warnings.push(counted("expect.registrations_per_second", limit, peak, at, &what, remedy));
    }
    let crowded = dry_run.contacts.as_ref().zip(expect.contacts_per_aor);
    if let Some((most, limit)) = crowded.filter(|(most, limit)| most.contacts > *limit) {
        let what = format!("{} has {} contacts", most.aor, most.contacts);
        let remedy = "give each agent a user of its own, or have the limit raised";
        let (limit, needed) = (f64::from(limit), f64::from(most.contacts));
        warnings.push(counted("expect.contacts_per_aor", limit, needed, None, &what, remedy));
    }
    warnings
}

fn messages(run: &Rehearsed<'_>, dry_run: &DryRun) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let expect = &run.expect;
    let first = |limit: f64, of: fn(&TrafficSecond) -> u32| {
        run.traffic.seconds().iter().position(|second| f64::from(of(second)) > limit).map(|at| at as f64)
    };
    let peak = dry_run.messages.sent_per_s.peak;
    if let Some(limit) = expect.messages_per_second.map(f64::from).filter(|limit| peak > *limit) {
        let remedy = "lower the [[load]] rate, or spread it over a longer time";
        let at = first(limit, |second| second.sent);
        let what = format!("up to {} requests/s", number(peak));
        warnings.push(counted("expect.messages_per_second", limit, peak, at, &what, remedy));
    }
    let busiest = dry_run
        .sources
        .iter()
        .reduce(|busiest, next| if next.requests_per_s.peak > busiest.requests_per_s.peak { next } else { busiest });
    if let Some((limit, busiest)) = expect.messages_per_second_per_source.map(f64::from).zip(busiest) {
        let peak = busiest.requests_per_s.peak;
        if peak > limit {
            let what = format!("up to {} requests/s from {}", number(peak), busiest.name);
            let addresses = (dry_run.messages.sent_per_s.peak / limit).ceil();
            let remedy = format!("lower the rate, or spread the agents over {addresses} addresses (trunk.source)");
            let at = first(limit, |second| second.busiest_source);
            warnings.push(counted("expect.messages_per_second_per_source", limit, peak, at, &what, &remedy));
        }
    }
    if let Some((limit, aor)) = expect.messages_per_second_per_aor.map(f64::from).zip(dry_run.aor.as_ref()) {
        let peak = aor.requests_per_s.peak;
        if peak > limit {
            let what = format!("up to {} requests/s of {}", number(peak), aor.name);
            let remedy = "lengthen retry.interval, or give each agent a user of its own";
            let at = first(limit, |second| second.busiest_aor);
            warnings.push(counted("expect.messages_per_second_per_aor", limit, peak, at, &what, remedy));
        }
    }
    warnings
}

fn line(run: &Rehearsed<'_>, dry_run: &DryRun) -> Option<Warning> {
    let limit = run.expect.bits_per_second?;
    let (up, down) = (dry_run.bandwidth_bit_per_s.up.peak, dry_run.bandwidth_bit_per_s.down.peak);
    let (direction, needed) = if up >= down { ("up", up) } else { ("down", down) };
    if needed <= limit {
        return None;
    }
    let either = |second: &TrafficSecond| {
        bits(second.bytes_sent, second.sent).max(bits(second.bytes_received, second.received)) > limit
    };
    let at_s = run.traffic.seconds().iter().position(either).map(|at| at as f64);
    let text = format!(
        "up to {}/s {direction}{}, expect.bandwidth is {}: lower the [[load]] rate, or send fewer [trunk.headers]",
        format_bandwidth(needed),
        at_s.map(|at| format!(" from {} on", clock(at))).unwrap_or_default(),
        format_bandwidth(limit),
    );
    Some(Warning { limit: "expect.bandwidth", stated: limit, needed, at_s, text })
}

/// The ceiling is no limit of somebody else's: the rehearsal kept to it, and what it refused is
/// known.
fn ceiling(run: &Rehearsed<'_>, dry_run: &DryRun) -> Option<Warning> {
    let refused = dry_run.messages.refused;
    if refused == 0 {
        return None;
    }
    let connects = run.results.totals.sums.flows.as_deref().map_or(0, |flows| flows.not_begun);
    let refuses = |interval: &&crate::record::results::IntervalResult| {
        interval.trunks.iter().any(|trunk| trunk.ceiling_refused > 0)
    };
    let at_s = run.results.intervals.iter().find(refuses).map(|interval| interval.start_ns as f64 / 1e9);
    if connects == refused {
        let what = format!("{connects} connections are refused by our own ceiling");
        let remedy = "raise it (a tenth of it may begin at once), or lower the [[load]] rate";
        let ceiling = f64::from(run.connect_ceiling);
        let needed = ceiling + connects as f64;
        return Some(counted("safety.max_connect_rate", ceiling, needed, at_s, &what, remedy));
    }
    let what = format!("{refused} messages are refused by our own ceiling");
    let remedy = "raise it (a tenth of it may go at once), or lower the [[load]] rate";
    let ceiling = f64::from(run.ceiling);
    Some(counted("safety.max_message_rate", ceiling, ceiling + refused as f64, at_s, &what, remedy))
}

fn machine(dry_run: &DryRun) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let need = dry_run.file_descriptors;
    if need.needed > need.available {
        let what = format!("{} file descriptors are needed", need.needed);
        let remedy = format!("ulimit -Hn {}, fewer agents, or sockets = \"shared\"", need.needed);
        warnings.push(counted("ulimit -n", need.available as f64, need.needed as f64, None, &what, &remedy));
    }
    let available = dry_run.local_ports.available;
    let crowded = dry_run.local_ports.needed.iter().find(|(_, needed)| available > 0 && **needed > available);
    if let Some((address, needed)) = crowded {
        let what = format!("{needed} local ports are needed on {address}");
        let remedy = "widen it, add addresses to trunk.source, or use sockets = \"shared\"";
        let (stated, needed) = (available as f64, *needed as f64);
        warnings.push(counted("net.ipv4.ip_local_port_range", stated, needed, None, &what, remedy));
    }
    let need = dry_run.memory_bytes;
    if need.available > 0 && need.needed > need.available {
        let what = format!("about {} MB of memory are needed", need.needed / 1_000_000);
        let remedy = "fewer agents, or a larger machine";
        warnings.push(counted("MemTotal", need.available as f64, need.needed as f64, None, &what, remedy));
    }
    warnings
}

/// A time after the start, to the tenth of a second: `0s`, `41.5s`, `1h2m3s`.
fn clock(seconds: f64) -> String {
    // Minutes and more need no fractions.
    let rounded = if seconds < 60.0 { (seconds * 10.0).round() / 10.0 } else { seconds.round() };
    if rounded > 0.0 && rounded < 60.0 {
        format!("{rounded}s")
    } else {
        format_duration(Duration::from_secs_f64(rounded))
    }
}

/// At most one decimal.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}
