//! What phones did as rows of a replay: when each came, when its habit had it try again, and what
//! no habit explains.

use super::group::ClientGroup;
use super::retry::range;
use super::waits::{Followed, SetbackSeen, seconds};
use crate::observe::{PhoneAct, Trace};
use crate::vocab::{Kind, ReplayAct, floor_u64};
use std::time::Duration;

/// One row.
#[derive(Clone, Copy, Debug)]
pub(super) struct LearntStep {
    pub(super) at_ns: u64,
    /// Position in the trace.
    pub(super) phone: usize,
    pub(super) act: ReplayAct,
}

pub(super) fn steps(trace: &Trace, group: &ClientGroup) -> Vec<LearntStep> {
    let mut steps = Vec::new();
    for &phone in &group.phones {
        let acts = &trace.phones[phone].acts;
        let mut add = |at_ns, act| steps.push(LearntStep { at_ns, phone, act });
        let mut failures = 0;
        for (n, act) in acts.iter().enumerate() {
            if act.kind == Kind::Unregister {
                // Whoever is not there cannot leave.
                if n > 0 {
                    add(act.began_ns, ReplayAct::Leave);
                }
                failures = 0;
                continue;
            }
            let before = n.checked_sub(1).map(|n| &acts[n]).filter(|before| before.kind != Kind::Unregister);
            let explained = before.is_some_and(|before| {
                let wait_s = seconds(act.began_ns.saturating_sub(before.ended_ns));
                foretold(group, before, failures).is_some_and(|(least, most)| {
                    let slack = slack(most);
                    (least - slack..=most + slack).contains(&wait_s)
                })
            });
            add(act.began_ns, if explained { ReplayAct::Again } else { ReplayAct::Arrive });
            failures = if act.is_success() { 0 } else { failures + 1 };
            // The next word of this phone comes too late for its habit, or never.
            let next_ns = acts.get(n + 1).map_or(trace.lasts_ns, |next| next.began_ns);
            if let Some((least, most)) = foretold(group, act, failures)
                && seconds(next_ns.saturating_sub(act.ended_ns)) > most + slack(most)
            {
                let half = Duration::from_secs_f64((least / 2.0).clamp(0.0, LONGEST_S));
                add(act.ended_ns.saturating_add(floor_u64(half.as_nanos() as f64)), ReplayAct::Vanish);
            }
        }
    }
    steps
}

/// When the habit has a phone speak again after an act, in seconds; `None`: not by itself, or
/// nobody knows. `failures` are those since the last 2xx, this act included.
fn foretold(group: &ClientGroup, act: &PhoneAct, failures: u32) -> Option<(f64, f64)> {
    act.status?;
    if act.is_success() {
        let granted_s = act.granted.map_or(group.expires_s, |(_, granted_s)| granted_s);
        return Some(group.retry.rule.range(granted_s.into()));
    }
    let seen = SetbackSeen {
        code: Some(act.code).filter(|&code| code > 0),
        consecutive: failures.max(1),
        retry_after: act.retry_after_s.map(|s| Duration::from_secs(s.into())),
        followed: Followed::Nothing(0.0),
    };
    range(&group.retry.policy, &seen)
}

/// How far from a habit an act may be and still be due to it.
fn slack(wait_s: f64) -> f64 {
    1.0 + 0.03 * wait_s
}

const LONGEST_S: f64 = 400.0 * 86_400.0;
