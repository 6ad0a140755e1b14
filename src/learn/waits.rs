//! How long phones waited: before a refresh, and after a failure.

use crate::observe::{PhoneTrace, Trace};
use crate::vocab::Kind;
use std::time::Duration;

/// A lifetime that was refreshed in time.
#[derive(Clone, Copy, Debug)]
pub(super) struct RefreshSeen {
    pub(super) granted_s: f64,
    pub(super) wait_s: f64,
}

impl RefreshSeen {
    pub(super) fn share(&self) -> f64 {
        self.wait_s / self.granted_s
    }
}

/// A failure and what followed it.
#[derive(Clone, Copy, Debug)]
pub(super) struct SetbackSeen {
    /// `None`: no answer.
    pub(super) code: Option<u16>,
    /// Failures since the last 2xx, this one included.
    pub(super) consecutive: u32,
    pub(super) retry_after: Option<Duration>,
    pub(super) followed: Followed,
}

/// What came after a failure.
#[derive(Clone, Copy, Debug)]
pub(super) enum Followed {
    /// Another attempt, so many seconds later.
    Retry(f64),
    /// Nothing, though the phone was watched for so many seconds.
    Nothing(f64),
}

/// All waits of a group.
#[derive(Debug, Default)]
pub(super) struct HabitWaits {
    pub(super) refreshes: Vec<RefreshSeen>,
    pub(super) setbacks: Vec<SetbackSeen>,
    /// Between one success and the next attempt, where no lifetime is shown.
    pub(super) rhythm: Vec<f64>,
}

impl HabitWaits {
    pub(super) fn of(trace: &Trace, phones: &[usize]) -> HabitWaits {
        let mut waits = HabitWaits::default();
        if !trace.answers_missing {
            phones.iter().for_each(|&phone| waits.add(&trace.phones[phone], trace.lasts_ns));
        }
        waits
    }

    fn add(&mut self, phone: &PhoneTrace, end_ns: u64) {
        let mut failures = 0;
        for (n, act) in phone.acts.iter().enumerate() {
            let next = phone.acts.get(n + 1);
            let Some(_) = act.status.filter(|_| act.kind != Kind::Unregister) else {
                failures = 0;
                continue;
            };
            let until = next.map_or(end_ns, |next| next.began_ns);
            let wait_s = seconds(until.saturating_sub(act.ended_ns));
            let again = next.is_some_and(|next| next.kind != Kind::Unregister);
            if act.is_success() {
                failures = 0;
                match act.granted {
                    Some((_, granted_s)) if again && granted_s > 0 && wait_s < f64::from(granted_s) => {
                        self.refreshes.push(RefreshSeen { granted_s: granted_s.into(), wait_s });
                    }
                    None if again => self.rhythm.push(wait_s),
                    _ => {}
                }
                continue;
            }
            failures += 1;
            self.setbacks.push(SetbackSeen {
                code: Some(act.code).filter(|&code| code > 0),
                consecutive: failures,
                retry_after: act.retry_after_s.map(|s| Duration::from_secs(s.into())),
                followed: if again { Followed::Retry(wait_s) } else { Followed::Nothing(wait_s) },
            });
        }
    }
}

pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// The value in the middle; `None` of nothing.
pub(super) fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
