//! Whether a trunk is ready for a run, from one agent's exchanges with its registrar: every check
//! in words, then one verdict with its reasons.
//!
//! The trap this is made for: an OPTIONS ping that is answered proves the path and nothing else. It
//! never says that an account is accepted, so a trunk is ready only when an agent was registered.

mod names;

use crate::agent::probe::{ProbeAnswer, ProbeEnd, ProbeOffer, ProbeOutcome};
use crate::record::Resolution;
use crate::sip::AlgorithmSet;
use crate::sip::uri::host_address;
use crate::vocab::{LayersTold, Place};
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;

/// What was measured on one trunk.
#[derive(Clone, Debug)]
pub struct Reading {
    pub trunk_id: String,
    /// The profile's `registrar` value.
    pub registrar: String,
    /// Where packets go, or why there is no such place.
    pub target: Result<SocketAddr, String>,
    /// How its name was looked up, where there was one.
    pub names: Option<Resolution>,
    pub expected_realm: Option<String>,
    /// The digest algorithms the trunk accepts.
    pub accepted: AlgorithmSet,
    /// What was agreed on for TLS or WebSocket, which of the two, and what the server's certificate
    /// says; or why nothing was.
    pub layers: Option<(&'static str, Result<LayersTold, String>)>,
    /// OPTIONS, from the first source address.
    pub options: Option<ProbeSeen>,
    /// One for each source address that was tried.
    pub ways: Vec<Way>,
    /// Source addresses of the trunk beyond those tried.
    pub untried: usize,
}

/// One agent's registration from one source address.
#[derive(Clone, Debug)]
pub struct Way {
    pub user: String,
    /// Where its requests went.
    pub target: SocketAddr,
    /// The local end, or why there is none.
    pub local: Result<SocketAddr, String>,
    /// `None`: there was no time for it.
    pub register: Option<ProbeSeen>,
    /// The removal of what was registered.
    pub removal: Option<ProbeSeen>,
}

/// An exchange, and when it ended.
#[derive(Clone, Debug)]
pub struct ProbeSeen {
    pub outcome: ProbeOutcome,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_ns: u64,
}

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    Ok,
    /// Works, and is worth a look.
    Warn,
    /// Keeps agents out.
    Fail,
    /// Could not be seen.
    Unknown,
}

impl CheckState {
    pub const fn as_str(self) -> &'static str {
        match self {
            CheckState::Ok => "ok",
            CheckState::Warn => "warn",
            CheckState::Fail => "FAIL",
            CheckState::Unknown => "-",
        }
    }
}

/// One line of the table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub state: CheckState,
    /// What was seen.
    pub text: String,
}

/// A trunk, judged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Readiness {
    pub trunk_id: String,
    pub ready: bool,
    /// Why not, the root first; empty for a trunk that is ready.
    pub why: Vec<String>,
    pub checks: Vec<Check>,
}

/// Judges a trunk.
pub fn judge(reading: &Reading) -> Readiness {
    let mut checks = vec![address(reading)];
    checks.extend(names::checks(reading));
    if reading.target.is_ok() {
        checks.extend(reading.layers.as_ref().map(|(which, layers)| match layers {
            Ok(agreed) => agreement(reading, which, agreed),
            Err(why) => check(which, CheckState::Fail, why.clone()),
        }));
        checks.push(options(reading));
        checks.extend([challenge(reading), algorithms(reading)]);
        checks.extend(reading.ways.iter().map(|way| registration(reading, way)));
        if reading.untried > 0 {
            let text = format!("{} more source addresses were not tried", reading.untried);
            checks.push(check("register", CheckState::Unknown, text));
        }
        checks.extend([removal(reading), lifetime(reading), seen_from(reading), clock(reading), server(reading)]);
        if all_seen(reading).all(|seen| seen.outcome.steps.iter().all(|step| step.answer.is_none())) {
            // Of a server that never answered there is nothing else to say.
            checks.retain(|check| check.state != CheckState::Unknown);
        }
    }
    let why = reasons(reading);
    Readiness { trunk_id: reading.trunk_id.clone(), ready: why.is_empty(), why, checks }
}

// ---- The checks ----

fn check(name: &'static str, state: CheckState, text: impl Into<String>) -> Check {
    Check { name, state, text: text.into() }
}

fn address(reading: &Reading) -> Check {
    match &reading.target {
        Ok(target) => check("address", CheckState::Ok, format!("{} is {target}", reading.registrar)),
        Err(why) => check("address", CheckState::Fail, why.clone()),
    }
}

/// What was agreed on; a certificate that ends soon is worth a look.
fn agreement(reading: &Reading, which: &'static str, agreed: &LayersTold) -> Check {
    let until: Option<jiff::civil::Date> = agreed.valid_until.as_ref().and_then(|day| day.parse().ok());
    let now = all_seen(reading).map(|seen| seen.unix_ns).next();
    let today = now.and_then(|ns| jiff::Timestamp::from_nanosecond(ns.into()).ok());
    let days = until.zip(today).map(|(until, now)| {
        let left = until.duration_since(now.to_zoned(jiff::tz::TimeZone::UTC).date());
        left.as_hours() / 24
    });
    match days {
        Some(days) if days <= EXPIRES_SOON => {
            let left = if days < 1 { "within a day".to_owned() } else { format!("in {days} days") };
            check(which, CheckState::Warn, format!("{}: it ends {left}", agreed.text))
        }
        _ => check(which, CheckState::Ok, agreed.text.clone()),
    }
}

/// Days before its end from which on a certificate is to be renewed, as most authorities remind of
/// it.
const EXPIRES_SOON: i64 = 30;

fn options(reading: &Reading) -> Check {
    let Some(seen) = &reading.options else { return check("OPTIONS", CheckState::Unknown, "not sent") };
    let text = ended(&seen.outcome);
    // Any answer proves the path; many registrars do not care for OPTIONS.
    let state = if seen.outcome.answer().is_some() { CheckState::Ok } else { CheckState::Warn };
    check("OPTIONS", state, text)
}

fn challenge(reading: &Reading) -> Check {
    let Some(offer) = offers(reading).first() else {
        let text = match registered(reading).next() {
            Some(_) => "registered without being asked for credentials",
            None => "none was seen",
        };
        let state = if registered(reading).next().is_some() { CheckState::Warn } else { CheckState::Unknown };
        return check("realm", state, text);
    };
    match &reading.expected_realm {
        None => check("realm", CheckState::Ok, format!("\"{}\"; the profile expects none in particular", offer.realm)),
        Some(realm) if *realm == offer.realm => check("realm", CheckState::Ok, format!("\"{realm}\", as expected")),
        Some(realm) => {
            check("realm", CheckState::Warn, format!("\"{}\" is offered, \"{realm}\" was expected", offer.realm))
        }
    }
}

fn algorithms(reading: &Reading) -> Check {
    let offers = offers(reading);
    if offers.is_empty() {
        return check("algorithms", CheckState::Unknown, "no challenge was seen");
    }
    let listed: Vec<String> = offers.iter().map(|offer| offered(offer, reading.accepted)).collect();
    let used = reading.ways.iter().filter_map(|way| way.register.as_ref()?.outcome.credentials()).next();
    match used {
        Some(used) => {
            let qop = used.qop.map_or("no qop".to_owned(), |qop| format!("qop {}", qop.as_str()));
            let text = format!("{}; answered with {}, {qop}", listed.join(", "), used.algorithm.as_str());
            check("algorithms", CheckState::Ok, text)
        }
        None => check("algorithms", CheckState::Fail, format!("{}; none can be answered", listed.join(", "))),
    }
}

/// `SHA-256 (qop auth, auth-int)`.
fn offered(offer: &ProbeOffer, accepted: AlgorithmSet) -> String {
    let name = if offer.algorithm.is_empty() { "MD5 (unnamed)" } else { &offer.algorithm };
    let qop = if offer.qops.is_empty() { "no qop".to_owned() } else { format!("qop {}", offer.qops.join(", ")) };
    let not = match (offer.unusable, offer.known) {
        (_, None) => ", not known",
        (Some(_), _) => ", not usable",
        (None, Some(algorithm)) if !accepted.contains(algorithm) => ", not accepted here",
        _ => "",
    };
    format!("{name} ({qop}{not})")
}

fn registration(reading: &Reading, way: &Way) -> Check {
    let at = if reading.speaks_to_several() { format!(" at {}", way.target) } else { String::new() };
    let from = match &way.local {
        Ok(local) => format!("{}{at} from {}", way.user, local.ip()),
        Err(why) => return check("register", CheckState::Fail, format!("{} has no socket: {why}", way.user)),
    };
    let Some(seen) = &way.register else { return check("register", CheckState::Fail, format!("{from}: time was up")) };
    let state = if seen.outcome.is_granted() { CheckState::Ok } else { CheckState::Fail };
    check("register", state, format!("{from}: {}{}", ended(&seen.outcome), place(&seen.outcome)))
}

fn removal(reading: &Reading) -> Check {
    let failed = reading.ways.iter().filter_map(|way| way.removal.as_ref()).find(|seen| !seen.outcome.is_granted());
    match (registered(reading).next(), failed) {
        (None, _) => check("removal", CheckState::Unknown, "nothing was registered"),
        (_, Some(seen)) => check("removal", CheckState::Warn, format!("the binding stays: {}", ended(&seen.outcome))),
        _ => check("removal", CheckState::Ok, "the binding was removed"),
    }
}

fn lifetime(reading: &Reading) -> Check {
    let Some((outcome, answer)) = registered(reading).next() else {
        return check("lifetime", CheckState::Unknown, "nothing was granted");
    };
    let asked = outcome.asked_expires_s;
    let raised = outcome.steps.iter().any(|step| step.answer.as_ref().is_some_and(|answer| answer.code == 423));
    let raised = if raised { ", raised after a 423: set expires to it" } else { "" };
    let granted = answer.granted_s.unwrap_or(asked);
    // Half as long is twice the load of refreshes.
    let short = granted.saturating_mul(2) < asked;
    let state = if short || !raised.is_empty() { CheckState::Warn } else { CheckState::Ok };
    let more = if short && granted > 0 { format!(": {} times the refreshes", asked / granted) } else { String::new() };
    check("lifetime", state, format!("{granted} s granted, {asked} s asked{raised}{more}"))
}

fn seen_from(reading: &Reading) -> Check {
    let ways = reading.ways.iter().filter_map(|way| Some((way.local.as_ref().ok()?, way.register.as_ref()?)));
    let pairs: Vec<_> = ways
        .filter_map(|(local, seen)| {
            let mut answers = seen.outcome.steps.iter().filter_map(|step| step.answer.as_ref());
            Some((local, answers.find_map(|answer| apparent(local, answer))?))
        })
        .collect();
    let moved = pairs.iter().find(|(local, apparent)| apparent != *local);
    match moved.or(pairs.first()) {
        None => check("seen from", CheckState::Unknown, "the server does not say (no received or rport in Via)"),
        Some((local, apparent)) if *local == apparent => {
            check("seen from", CheckState::Ok, format!("{apparent}, as sent"))
        }
        Some((local, apparent)) => check(
            "seen from",
            CheckState::Warn,
            format!(
                "{apparent}, sent from {local}: a NAT is in between, and an allow-list must name {}",
                apparent.ip()
            ),
        ),
    }
}

/// The source as the server sees it (RFC 3581): `received` and `rport` of Via; one that is missing
/// was not changed.
fn apparent(local: &SocketAddr, answer: &ProbeAnswer) -> Option<SocketAddr> {
    let received = answer.received.as_deref().and_then(|text| host_address(text.as_bytes()));
    if received.is_none() && answer.rport.is_none() {
        return None;
    }
    Some(SocketAddr::new(received.unwrap_or(local.ip()), answer.rport.unwrap_or(local.port())))
}

fn clock(reading: &Reading) -> Check {
    let dated = all_seen(reading).find_map(|seen| Some((seen, seen.outcome.answer()?.date.as_ref()?)));
    let Some((seen, date)) = dated else { return check("clock", CheckState::Unknown, "the server sends no Date") };
    // RFC 3261 §20.17: an RFC 1123 date, always in GMT, which RFC 2822 knows as an obsolete zone.
    let Ok(time) = jiff::fmt::rfc2822::parse(date) else {
        return check("clock", CheckState::Warn, format!("the server's Date cannot be read: {date}"));
    };
    let skew =
        (time.timestamp().as_millisecond() - i64::try_from(seen.unix_ns / 1_000_000).unwrap_or(i64::MAX)) as f64 / 1e3;
    // The header counts whole seconds, cut off.
    match skew {
        _ if (-2.0..=1.0).contains(&skew) => check("clock", CheckState::Ok, "the server's agrees to the second"),
        _ if skew.abs() <= 30.0 => check("clock", CheckState::Ok, format!("the server's is {}", ahead(skew))),
        _ => check("clock", CheckState::Warn, format!("the server's is {}: align both with NTP", ahead(skew))),
    }
}

fn ahead(skew: f64) -> String {
    let direction = if skew > 0.0 { "ahead" } else { "behind" };
    format!("{:.0} s {direction}", skew.abs())
}

fn server(reading: &Reading) -> Check {
    let answers = all_seen(reading).flat_map(|seen| &seen.outcome.steps).filter_map(|step| step.answer.as_ref());
    match answers.filter_map(|answer| answer.server.as_ref()).next() {
        Some(server) => check("server", CheckState::Ok, server.clone()),
        None => check("server", CheckState::Unknown, "it does not say what it is"),
    }
}

// ---- The verdict ----

fn reasons(reading: &Reading) -> Vec<String> {
    if let Err(why) = &reading.target {
        return vec![why.clone()];
    }
    if reading.ways.is_empty() {
        return vec!["nothing was tried".to_owned()];
    }
    // The same reason from several addresses is one.
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for way in reading.ways.iter().filter(|way| !way.is_registered()) {
        let from = way.local.as_ref().map_or_else(|_| way.user.clone(), |local| local.ip().to_string());
        let from = if reading.speaks_to_several() { format!("{from} to {}", way.target) } else { from };
        let why = reason(reading, way);
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, sources)) => sources.push(from),
            None => reasons.push((why, vec![from])),
        }
    }
    let everywhere = reasons.len() == 1 && reasons[0].1.len() == reading.ways.len();
    let said = |(why, sources): (String, Vec<String>)| {
        if everywhere { why } else { format!("from {}: {why}", sources.join(", ")) }
    };
    reasons.into_iter().map(said).collect()
}

impl Reading {
    fn speaks_to_several(&self) -> bool {
        self.ways.iter().any(|way| way.target != self.ways[0].target)
    }
}

impl Way {
    fn is_registered(&self) -> bool {
        self.register.as_ref().is_some_and(|seen| seen.outcome.is_granted())
    }
}

fn reason(reading: &Reading, way: &Way) -> String {
    if let Err(why) = &way.local {
        return format!("no socket: {why}");
    }
    let Some(seen) = &way.register else { return "time was up before it could be registered".to_owned() };
    let outcome = &seen.outcome;
    let pinged = reading.options.as_ref().and_then(|seen| seen.outcome.answer()).map(|answer| answer.code);
    match &outcome.end {
        ProbeEnd::Transport(what) => format!("the registrar cannot be reached: {what}"),
        ProbeEnd::TimedOut if outcome.place() == Place::AfterCredentials => {
            "the request with credentials is not answered; the one without was (is it too large for the path?)"
                .to_owned()
        }
        ProbeEnd::TimedOut if pinged.is_some() => {
            "REGISTER is not answered, though OPTIONS is: a filter on the method or the user, or no registrar here"
                .to_owned()
        }
        ProbeEnd::TimedOut => {
            "no answer at all: wrong address or port, a firewall, or the source is dropped silently".to_owned()
        }
        ProbeEnd::Malformed(what) => format!("the answer cannot be used: {what}"),
        ProbeEnd::Unusable(why) => format!("the challenge cannot be answered: {why}"),
        ProbeEnd::Answered => refusal(reading, outcome, pinged),
    }
}

/// A final answer that is no 2xx, in words.
fn refusal(reading: &Reading, outcome: &ProbeOutcome, pinged: Option<u16>) -> String {
    let Some(answer) = outcome.answer() else { return "no final answer".to_owned() };
    let said = format!("{} {}", answer.code, answer.reason);
    match (answer.code, outcome.place()) {
        (401 | 403 | 407, Place::AfterCredentials) => {
            let realm = offers(reading).first().map(|offer| &offer.realm);
            let mismatch = match (&reading.expected_realm, realm) {
                (Some(expected), Some(offered)) if expected != offered => {
                    format!("; the realm \"{offered}\" is not the expected \"{expected}\"")
                }
                _ => String::new(),
            };
            match pinged {
                Some(200..=299) => format!(
                    "OPTIONS is fine and the credentials are refused ({said}): the ping proves the path, not the account{mismatch}"
                ),
                _ => format!("the credentials are refused ({said}): the path is fine, the account is not{mismatch}"),
            }
        }
        (403, Place::Unchallenged) => {
            format!("refused before any challenge ({said}): the source address or the trunk, not the password")
        }
        (404, _) => format!("the user or the domain is not known ({said})"),
        (500..=599, _) => format!("the server cannot serve it ({said})"),
        _ => format!("refused ({said})"),
    }
}

// ---- What was seen ----

fn all_seen(reading: &Reading) -> impl Iterator<Item = &ProbeSeen> {
    let ways = reading.ways.iter().flat_map(|way| way.register.iter().chain(&way.removal));
    ways.chain(&reading.options)
}

/// The challenges of the first exchange that had any.
fn offers(reading: &Reading) -> &[ProbeOffer] {
    let registers = reading.ways.iter().filter_map(|way| way.register.as_ref());
    registers.map(|seen| seen.outcome.offers()).find(|offers| !offers.is_empty()).unwrap_or_default()
}

fn registered(reading: &Reading) -> impl Iterator<Item = (&ProbeOutcome, &ProbeAnswer)> {
    let ways = reading.ways.iter().filter(|way| way.is_registered());
    ways.filter_map(|way| Some((&way.register.as_ref()?.outcome, way.register.as_ref()?.outcome.answer()?)))
}

/// How an exchange ended and how long it took: `403 Forbidden in 1.2 ms`.
pub fn ended(outcome: &ProbeOutcome) -> String {
    let again = match outcome.retransmissions() {
        0 => String::new(),
        1 => ", 1 retransmission".to_owned(),
        n => format!(", {n} retransmissions"),
    };
    let took = short(outcome.took());
    match &outcome.end {
        ProbeEnd::TimedOut => format!("no answer within {took}{again}"),
        ProbeEnd::Transport(_) => said(outcome),
        _ => format!("{} in {took}{again}", said(outcome)),
    }
}

/// How an exchange ended: `403 Forbidden`.
pub fn said(outcome: &ProbeOutcome) -> String {
    match (&outcome.end, outcome.answer()) {
        (ProbeEnd::Answered, Some(answer)) => format!("{} {}", answer.code, answer.reason),
        (ProbeEnd::Answered, None) => "no final answer".to_owned(),
        (ProbeEnd::TimedOut, _) => "no answer".to_owned(),
        (ProbeEnd::Transport(what), _) => format!("not delivered: {what}"),
        (ProbeEnd::Unusable(why), _) => format!("challenged, but {why}"),
        (ProbeEnd::Malformed(what), _) => format!("an answer that cannot be used: {what}"),
    }
}

/// Where a refusal came, when that says something.
pub fn place(outcome: &ProbeOutcome) -> &'static str {
    match (&outcome.end, outcome.place()) {
        (ProbeEnd::Answered | ProbeEnd::TimedOut, Place::AfterCredentials) if !outcome.is_granted() => {
            ", after credentials"
        }
        (ProbeEnd::Answered, Place::Unchallenged) if !outcome.is_granted() => ", before any challenge",
        _ => "",
    }
}

fn short(span: Duration) -> String {
    let ms = span.as_secs_f64() * 1e3;
    if ms < 1_000.0 { format!("{ms:.1} ms") } else { format!("{:.1} s", ms / 1e3) }
}

#[cfg(test)]
#[path = "readiness_tests.rs"]
mod tests;
