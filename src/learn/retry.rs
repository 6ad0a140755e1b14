//! What phones do after a failure, and which preset comes nearest.
//!
//! Each failure that was seen is held against what a preset would have done: wait so long, or never
//! try again. A wait inside the preset's range is an error of 0, outside it of how far off it is; a
//! retry where there is none to be, or none where there is one to be, is an error of 1. What was
//! not watched for long enough says nothing. Refreshes count too, for presets differ in them.

use super::refresh::{RefreshRule, rule_of, share};
use super::waits::{Followed, HabitWaits, SetbackSeen, middle};
use crate::agent::retry::{Setback, wait};
use crate::agent::{Backoff, RetryPolicy};
use std::time::Duration;

/// The retry habit of a group of phones.
#[derive(Clone, Debug)]
pub struct RetryHabit {
    pub preset: &'static str,
    /// Waits that differ from the preset's own.
    pub interval: Option<Duration>,
    pub forbidden_interval: Option<Duration>,
    /// Mean error, 0 to 1; `None`: nothing was seen that a preset could be told by.
    pub residual: Option<f64>,
    /// Failures that say something, and refreshes.
    pub failures: usize,
    pub refreshes: usize,
    /// Presets that fit as well.
    pub rivals: Vec<&'static str>,
    /// Where it is not the preset's own.
    pub refresh_at: Option<f64>,
    pub(super) rule: RefreshRule,
    pub(super) policy: RetryPolicy,
}

/// The presets, the most usual first: of those that fit equally the first is taken.
const PRESETS: [RetryPolicy; 6] = [
    RetryPolicy::RFC,
    RetryPolicy::PJSUA,
    RetryPolicy::ASTERISK,
    RetryPolicy::BARESIP,
    RetryPolicy::HAMMER,
    RetryPolicy::NONE,
];

impl RetryHabit {
    pub(super) fn of(waits: &HabitWaits) -> RetryHabit {
        let share = share(&waits.refreshes);
        let mut all: Vec<RetryHabit> = PRESETS.into_iter().map(|preset| fitted(preset, waits, share)).collect();
        let least = all.iter().filter_map(|habit| habit.residual).min_by(f64::total_cmp);
        let as_good = |habit: &RetryHabit| match (habit.residual, least) {
            (Some(residual), Some(least)) => residual <= least + AS_GOOD,
            _ => true,
        };
        let best = all.iter().position(as_good).unwrap_or(0);
        let rivals = all.iter().enumerate().filter(|(n, habit)| *n != best && as_good(habit));
        let rivals = rivals.map(|(_, habit)| habit.preset).collect();
        RetryHabit { rivals, ..all.swap_remove(best) }
    }
}

/// A preset, with intervals of its own where these explain much more.
fn fitted(preset: RetryPolicy, waits: &HabitWaits, share: Option<f64>) -> RetryHabit {
    let rule = rule_of(preset.refresh, share);
    let refresh = rule.residual(&waits.refreshes);
    let judge = |policy: &RetryPolicy| residual(policy, &waits.setbacks);
    let (mut policy, mut interval, mut forbidden_interval) = (preset, None, None);
    let (mut retry, failures) = judge(&policy);
    if let Some(own) = own_interval(&preset, &waits.setbacks) {
        let other = with_interval(preset, own);
        let (better, _) = judge(&other);
        if better.zip(retry).is_some_and(|(better, retry)| better + WORTH < retry) {
            (policy, interval, retry) = (other, Some(own), better);
        }
    }
    let after_403 = |seen: &&SetbackSeen| seen.code == Some(403);
    if let (Some(own), Backoff::Never) = (mean_wait(waits.setbacks.iter().filter(after_403)), policy.forbidden) {
        let other = RetryPolicy { forbidden: Backoff::Fixed { interval: own, jitter: 0.0 }, ..policy };
        let (better, _) = judge(&other);
        if policy.max != Some(0) && better.zip(retry).is_some_and(|(better, retry)| better + WORTH < retry) {
            (policy, forbidden_interval, retry) = (other, Some(own), better);
        }
    }
    // Of these clients Asterisk alone has a key for 403.
    let unheard_of = if preset.preset == RetryPolicy::ASTERISK.preset { WORTH } else { 2.0 * WORTH };
    let penalty = interval.map_or(0.0, |_| WORTH) + forbidden_interval.map_or(0.0, |_| unheard_of);
    let residual = match (retry, refresh) {
        (Some(retry), Some(refresh)) => Some(0.7 * retry + 0.3 * refresh + penalty),
        (one, other) => one.map(|retry| retry + penalty).or(other),
    };
    // A preset's own refresh that does not fit is written over by the share, if there is one.
    let own_rule = !matches!(rule, RefreshRule::Share(_)) && refresh.is_none_or(|residual| residual < UNLIKE);
    let refresh_at = share.filter(|_| !own_rule);
    RetryHabit {
        preset: preset.preset,
        interval,
        forbidden_interval,
        residual,
        failures,
        refreshes: waits.refreshes.len(),
        rivals: Vec::new(),
        refresh_at,
        rule: refresh_at.map_or(rule, RefreshRule::Share),
        policy,
    }
}

/// The mean error over the failures that say something, and how many these are.
fn residual(policy: &RetryPolicy, seen: &[SetbackSeen]) -> (Option<f64>, usize) {
    let errors: Vec<f64> = seen.iter().filter_map(|one| error(policy, one)).collect();
    let telling = seen.iter().filter(|one| is_telling(one)).count();
    let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
    ((!errors.is_empty()).then_some(mean), telling)
}

fn is_telling(seen: &SetbackSeen) -> bool {
    match seen.followed {
        Followed::Retry(_) => true,
        Followed::Nothing(watched_s) => watched_s > WATCHED_S,
    }
}

/// `None`: it says nothing of this preset.
fn error(policy: &RetryPolicy, seen: &SetbackSeen) -> Option<f64> {
    let range = range(policy, seen);
    match (range, seen.followed) {
        (None, Followed::Retry(_)) => Some(1.0),
        (None, Followed::Nothing(watched_s)) => (watched_s > WATCHED_S).then_some(0.0),
        (Some((_, most)), Followed::Nothing(watched_s)) => (watched_s > most * 1.05 + 1.0).then_some(1.0),
        (Some((least, most)), Followed::Retry(wait_s)) => {
            let slack = SLACK_S + most * 0.02;
            let off = (least - slack - wait_s).max(wait_s - most - slack).max(0.0);
            Some((off / wait_s.max(most).max(1e-9)).min(1.0))
        }
    }
}

/// The shortest and the longest wait of a policy after a failure, in seconds.
pub(super) fn range(policy: &RetryPolicy, seen: &SetbackSeen) -> Option<(f64, f64)> {
    let setback = Setback::of_code(seen.code, policy.temporary);
    let at = |draw| wait(policy, setback, seen.consecutive, seen.retry_after, draw).map(|wait| wait.as_secs_f64());
    let (one, other) = (at(0.0)?, at(1.0)?);
    Some((one.min(other), one.max(other)))
}

/// The interval that makes a preset's waits those that were seen.
fn own_interval(preset: &RetryPolicy, seen: &[SetbackSeen]) -> Option<Duration> {
    let temporary = |one: &&SetbackSeen| {
        let setback = Setback::of_code(one.code, preset.temporary);
        setback == Setback::Recoverable || preset.refused != Backoff::Never
    };
    let unprompted = seen.iter().filter(temporary).filter(|one| one.retry_after.is_none());
    match preset.recoverable {
        Backoff::Never | Backoff::UpTo(_) => None,
        Backoff::Fixed { .. } => mean_wait(unprompted),
        Backoff::Exponential { .. } => {
            let base = |one: &SetbackSeen| match one.followed {
                // Drawn between half of it and all of it.
                Followed::Retry(wait_s) => Some(wait_s / 0.75 / f64::from(1u32 << one.consecutive.min(6))),
                Followed::Nothing(_) => None,
            };
            rounded(middle(unprompted.filter_map(base).collect())?)
        }
    }
}

fn mean_wait<'s>(seen: impl Iterator<Item = &'s SetbackSeen>) -> Option<Duration> {
    let waits = seen.filter_map(|one| match one.followed {
        Followed::Retry(wait_s) => Some(wait_s),
        Followed::Nothing(_) => None,
    });
    rounded(middle(waits.collect())?)
}

/// As a person would have set it: whole seconds from ten on, tenths below.
fn rounded(seconds: f64) -> Option<Duration> {
    let seconds = if seconds >= 10.0 { seconds.round() } else { (seconds * 10.0).round() / 10.0 };
    (seconds >= 0.1).then(|| Duration::from_secs_f64(seconds.min(86_400.0)))
}

/// As a profile's `interval` does it.
fn with_interval(preset: RetryPolicy, interval: Duration) -> RetryPolicy {
    let other = |backoff: Backoff| match backoff {
        Backoff::Fixed { jitter, .. } if jitter > 0.0 => {
            Backoff::Fixed { interval, jitter: (10.0 / interval.as_secs_f64()).min(1.0) }
        }
        Backoff::Fixed { .. } => Backoff::Fixed { interval, jitter: 0.0 },
        Backoff::Exponential { cap, jitter, .. } => Backoff::Exponential { base: interval, cap, jitter },
        never => never,
    };
    RetryPolicy {
        recoverable: other(preset.recoverable),
        forbidden: other(preset.forbidden),
        refused: other(preset.refused),
        ..preset
    }
}

const SLACK_S: f64 = 0.5;
/// Whoever has not tried again by then may do so later for all presets know.
const WATCHED_S: f64 = 60.0;
/// What an interval of its own must explain to be believed.
const WORTH: f64 = 0.05;
/// Residuals this close cannot be told apart.
const AS_GOOD: f64 = 0.01;
/// A refresh that is no preset's own.
const UNLIKE: f64 = 0.25;
