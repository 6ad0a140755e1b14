//! `[[registrar.fault]]`: which keys belong to which kind, and their values.

use super::check::{Checker, did_you_mean, list};
use crate::profile::file::{DurationText, FAULT_KINDS, FaultFile, LognormalFile, defaults};
use crate::profile::meant::FaultProfile;
use crate::profile::places::Path;
use crate::vocab::{Delay, FaultKind, ShownCertificate, floor_u32};
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) fn faults(check: &mut Checker, files: Vec<FaultFile>, trunk_ids: &[&str]) -> Vec<FaultProfile> {
    let list = Path::root("registrar").key("fault");
    let faults = files.iter().enumerate().filter_map(|(n, file)| fault(check, &list.index(n), file, trunk_ids));
    faults.collect()
}

fn fault(check: &mut Checker, at: &Path, file: &FaultFile, trunk_ids: &[&str]) -> Option<FaultProfile> {
    let names = FAULT_KINDS.map(|(name, _)| name);
    let Some(name) = file.kind.as_deref() else {
        check.missing(&at.key("kind"), format!("use {}", list(&names)));
        return None;
    };
    let (name, own) = FAULT_KINDS[check.one_of(&at.key("kind"), name, &names)?];
    foreign_keys(check, at, name, own);
    let from = check.duration(&at.key("from"), file.from.as_ref(), defaults::FAULT_FROM);
    let until = file.until.as_ref().map(|text| check.duration(&at.key("until"), Some(text), ""));
    if from != Duration::MAX && until.is_some_and(|until| until <= from) {
        check.bad(&at.key("until"), "must be later than from");
    }
    let share = check.share(&at.key("share"), file.share, defaults::FAULT_SHARE);
    let sources = check.addresses(&at.key("sources"), file.sources.as_ref());
    let addresses = check.addresses(&at.key("addresses"), file.addresses.as_ref());
    trunk_filter(check, &at.key("trunk"), file.trunk.as_deref(), trunk_ids);
    let kind = kind(check, at, name, file)?;
    if kind.is_of_connections() {
        concerns_connections(check, at, &kind, file);
    }
    Some(FaultProfile { kind, from, until, share, trunk: file.trunk.clone(), sources, addresses })
}

fn foreign_keys(check: &mut Checker, at: &Path, name: &str, own: &[&str]) {
    let of_some_kind: BTreeSet<&str> = FAULT_KINDS.iter().flat_map(|(_, keys)| *keys).copied().collect();
    for key in of_some_kind.into_iter().filter(|key| !own.contains(key)) {
        let path = at.key(key);
        if check.places.has(&path) {
            let remedy = match own {
                [] => {
                    format!("\"{name}\" has no keys of its own, only from, until, share, trunk, sources and addresses")
                }
                own => {
                    format!(
                        "the keys of \"{name}\" are {}, with from, until, share, trunk, sources and addresses",
                        own.join(", ")
                    )
                }
            };
            check.bad_key(&path, format!("is not a key of a \"{name}\" fault"), remedy);
        }
    }
}

fn trunk_filter(check: &mut Checker, path: &Path, written: Option<&str>, trunk_ids: &[&str]) {
    let Some(id) = written.filter(|id| !trunk_ids.contains(id)) else { return };
    let remedy = did_you_mean(id, trunk_ids).unwrap_or_else(|| format!("the trunks are {}", trunk_ids.join(", ")));
    check.advise(path, format!("there is no trunk \"{id}\""), remedy);
}

/// What a fault of connections cannot be told: whose connection it is, nobody knows yet, and a
/// registrar that is away is away for everybody.
fn concerns_connections(check: &mut Checker, at: &Path, kind: &FaultKind, file: &FaultFile) {
    let restarts = matches!(kind, FaultKind::Restart { .. });
    for (key, is_written, remedy) in [
        ("trunk", file.trunk.is_some(), "nobody knows whose a connection is when it comes; name its sources instead"),
        ("share", file.share.is_some() && restarts, "a restart concerns everybody"),
        ("sources", file.sources.is_some() && restarts, "a restart concerns everybody"),
        ("addresses", file.addresses.is_some(), "a fault of connections is one of all addresses"),
    ] {
        if is_written {
            check.bad_key(&at.key(key), "is not a key of this fault", remedy.to_owned());
        }
    }
}

fn kind(check: &mut Checker, at: &Path, name: &str, file: &FaultFile) -> Option<FaultKind> {
    if let Some(kind) = connection_kind(check, at, name, file) {
        return kind;
    }
    Some(match name {
        "limit" => {
            let Some(concurrent) = file.concurrent else {
                check.missing(&at.key("concurrent"), "say how many agents may be registered at once: concurrent = 400");
                return None;
            };
            let scope = check.word(&at.key("scope"), file.scope.as_ref(), defaults::LIMIT_SCOPE);
            let (code, reason) = refusal(check, at, file, 403, "Registration limit exceeded");
            FaultKind::Limit { concurrent, scope, code, reason }
        }
        "transactions" => {
            let Some(concurrent) = file.concurrent else {
                check.missing(&at.key("concurrent"), "say how many may be open at once: concurrent = 10");
                return None;
            };
            let (code, reason) = refusal(check, at, file, 503, "Too Many Open Transactions");
            FaultKind::Transactions { concurrent, code, reason }
        }
        "rate" => rate(check, at, file)?,
        "deny" => {
            let (code, reason) = refusal(check, at, file, 403, "Forbidden");
            FaultKind::Deny { code, reason }
        }
        "refuse" => {
            let (code, reason) = refusal(check, at, file, 403, "Authentication Failed");
            FaultKind::Refuse { code, reason }
        }
        "stale" => FaultKind::Stale,
        "challenge-again" => FaultKind::ChallengeAgain,
        "oscillate" => {
            if file.period.is_none() {
                check.missing(&at.key("period"), "say how long one up and down takes: period = \"45m\"");
                return None;
            }
            let (code, reason) = refusal(check, at, file, 403, "Forbidden");
            FaultKind::Oscillate { period: check.positive(&at.key("period"), file.period.as_ref(), ""), code, reason }
        }
        "realm" => FaultKind::Realm {
            challenge: realm(check, &at.key("challenge"), file.challenge.as_ref())?,
            verify: realm(check, &at.key("verify"), file.verify.as_ref())?,
        },
        "delay" => FaultKind::Delay(delay(check, at, file)?),
        "drop" => {
            let Some(probability) = file.probability else {
                check.missing(&at.key("probability"), "say how many datagrams are lost: probability = 0.01");
                return None;
            };
            FaultKind::Drop { probability: check.share(&at.key("probability"), Some(probability), 0.0) }
        }
        "duplicate" => FaultKind::Duplicate { probability: probability(check, at, file) },
        "reorder" => FaultKind::Reorder {
            probability: probability(check, at, file),
            delay: check.positive(&at.key("delay"), file.delay.as_ref(), REORDER_DELAY),
        },
        "corrupt" => FaultKind::Corrupt { probability: probability(check, at, file) },
        _ => FaultKind::Freeze,
    })
}

/// What goes wrong with connections; the outer `None` is another kind.
fn connection_kind(check: &mut Checker, at: &Path, name: &str, file: &FaultFile) -> Option<Option<FaultKind>> {
    Some(match name {
        "reset" => Some(FaultKind::Reset { bytes: file.bytes.unwrap_or(1) }),
        "slow-accept" => slow_accept(check, at, file),
        "half-open" => Some(FaultKind::HalfOpen { after: check.duration(&at.key("after"), file.after.as_ref(), "0s") }),
        "certificate" => match &file.shows {
            Some(shows) => {
                let shows = check.word(&at.key("shows"), Some(shows), ShownCertificate::Expired);
                Some(FaultKind::Certificate { shows })
            }
            None => {
                check.missing(&at.key("shows"), "say what is wrong with it: shows = \"expired\"");
                None
            }
        },
        "restart" => Some(FaultKind::Restart { forget: file.forget.unwrap_or(false) }),
        "close-idle" => match &file.idle {
            Some(idle) => Some(FaultKind::CloseIdle { idle: check.positive(&at.key("idle"), Some(idle), "") }),
            None => {
                check.missing(&at.key("idle"), "say after how long without traffic: idle = \"60s\"");
                None
            }
        },
        _ => return None,
    })
}

fn slow_accept(check: &mut Checker, at: &Path, file: &FaultFile) -> Option<FaultKind> {
    if file.delay.is_none() && file.per_second.is_none() {
        let remedy = "say how long a connection waits, or how many are taken up per second: delay = \"3s\"";
        check.missing(&at.key("delay"), remedy);
        return None;
    }
    file.per_second.iter().for_each(|rate| in_range(check, at, *rate));
    let delay = check.duration(&at.key("delay"), file.delay.as_ref(), "0s");
    Some(FaultKind::SlowAccept { delay, per_second: file.per_second })
}

fn in_range(check: &mut Checker, at: &Path, per_second: f64) {
    if !(MIN_RATE..=super::MAX_RATE).contains(&per_second) {
        let message = format!("must be a rate from {MIN_RATE} to {} per second, not {per_second}", super::MAX_RATE);
        check.bad(&at.key("per_second"), message);
    }
}

/// Every datagram unless written: what the fault does to one, it can do to all.
fn probability(check: &mut Checker, at: &Path, file: &FaultFile) -> f64 {
    check.share(&at.key("probability"), file.probability, 1.0)
}

fn rate(check: &mut Checker, at: &Path, file: &FaultFile) -> Option<FaultKind> {
    let Some(per_second) = file.per_second else {
        check.missing(&at.key("per_second"), "say how many registrations pass: per_second = 200");
        return None;
    };
    in_range(check, at, per_second);
    // One second's worth, as a token bucket that refills by the second has it.
    let burst = check.at_least_one(&at.key("burst"), file.burst, floor_u32(per_second.ceil().max(1.0)));
    let retry_after = file.retry_after.as_ref();
    let retry_after = retry_after.map(|text| check.whole_seconds(&at.key("retry_after"), Some(text), ""));
    let retry_after_s = retry_after.map(|span| u32::try_from(span.as_secs()).unwrap_or(u32::MAX));
    let (code, reason) = refusal(check, at, file, 503, "Service Unavailable");
    Some(FaultKind::Rate { per_second, burst, code, reason, retry_after_s })
}

/// One registration in three hours: slower than that nobody waits for.
const MIN_RATE: f64 = 0.0001;
/// Longer than a round trip on a local network, shorter than T1: it reorders without
/// retransmissions.
const REORDER_DELAY: &str = "20ms";

/// Code and reason phrase of a refusal.
fn refusal(check: &mut Checker, at: &Path, file: &FaultFile, code: u16, reason: &str) -> (u16, String) {
    let code = file.code.unwrap_or(code);
    check.refusal_code(&at.key("code"), code);
    let reason = file.reason.as_deref().unwrap_or(reason);
    check.one_line(&at.key("reason"), reason);
    (code, reason.to_owned())
}

fn realm(check: &mut Checker, path: &Path, written: Option<&String>) -> Option<String> {
    match written {
        Some(realm) => {
            check.quotable(path, realm);
            Some(realm.clone())
        }
        None => {
            check.missing(path, "a \"realm\" fault names two: challenge = \"a\", verify = \"b\"");
            None
        }
    }
}

fn delay(check: &mut Checker, at: &Path, file: &FaultFile) -> Option<Delay> {
    match (&file.fixed, &file.uniform, &file.lognormal) {
        (Some(fixed), None, None) => Some(Delay::Fixed(check.duration(&at.key("fixed"), Some(fixed), ""))),
        (None, Some(bounds), None) => uniform(check, &at.key("uniform"), bounds),
        (None, None, Some(file)) => lognormal(check, &at.key("lognormal"), file),
        _ => {
            check.advise(
                at,
                "a \"delay\" fault needs exactly one of fixed, uniform, lognormal",
                "write fixed = \"20ms\"",
            );
            None
        }
    }
}

fn uniform(check: &mut Checker, path: &Path, bounds: &[DurationText]) -> Option<Delay> {
    let [low, high] = bounds else {
        check.bad(path, "must be two durations, like [\"5ms\", \"50ms\"]");
        return None;
    };
    let low = check.duration(&path.index(0), Some(low), "");
    let high = check.duration(&path.index(1), Some(high), "");
    if high < low {
        check.bad(path, "the first duration must not be the longer one");
    }
    Some(Delay::Uniform(low, high))
}

fn lognormal(check: &mut Checker, path: &Path, file: &LognormalFile) -> Option<Delay> {
    let (Some(median), Some(sigma)) = (&file.median, file.sigma) else {
        check.bad(path, "needs both, like { median = \"20ms\", sigma = 0.5 }");
        return None;
    };
    let median = check.positive(&path.key("median"), Some(median), "");
    if !(0.0..=5.0).contains(&sigma) {
        check.bad(&path.key("sigma"), format!("must be from 0 to 5, not {sigma}"));
    }
    Some(Delay::Lognormal { median, sigma })
}
