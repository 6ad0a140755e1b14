//! When phones refresh: a share of the lifetime, or so long before its end.

use super::waits::{RefreshSeen, middle};
use crate::agent::Refresh;
use crate::agent::retry::before_end;
use std::time::Duration;

/// When an agent of the profile will refresh.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum RefreshRule {
    /// At this share of the lifetime, spread a little.
    Share(f64),
    /// At 90 % of it, to the moment.
    Exactly,
    Before {
        margin: Duration,
        least: Duration,
    },
}

impl RefreshRule {
    /// The earliest and the latest wait, in seconds, for a lifetime.
    pub(super) fn range(self, granted_s: f64) -> (f64, f64) {
        match self {
            RefreshRule::Share(share) => {
                let spread = spread(share);
                ((share - spread).max(0.0) * granted_s, (share + spread).min(1.0) * granted_s)
            }
            RefreshRule::Exactly => (USUAL * granted_s, USUAL * granted_s),
            RefreshRule::Before { margin, least } => {
                let wait = before_end(Duration::from_secs_f64(granted_s), margin, least).as_secs_f64();
                (wait, wait)
            }
        }
    }

    /// How far refreshes that were seen are from it, 0 to 1 on the average; `None` of no refresh.
    pub(super) fn residual(self, seen: &[RefreshSeen]) -> Option<f64> {
        if seen.is_empty() {
            return None;
        }
        let mean = seen.iter().map(|one| self.error(one)).sum::<f64>() / seen.len() as f64;
        // Agents by share are spread; phones that refresh to the moment are not of that sort.
        let stiff = matches!(self, RefreshRule::Share(_)) && is_stiff(seen);
        Some(mean.max(if stiff { STIFF } else { 0.0 }))
    }

    fn error(self, seen: &RefreshSeen) -> f64 {
        let (least, most) = self.range(seen.granted_s);
        let off = (least - seen.wait_s).max(seen.wait_s - most).max(0.0);
        match self {
            RefreshRule::Share(_) => (off / seen.granted_s / 0.05).min(1.0),
            RefreshRule::Exactly => ((off - SLACK_S).max(0.0) / seen.granted_s / 0.02).min(1.0),
            RefreshRule::Before { .. } => ((off - SLACK_S).max(0.0) / 2.0).min(1.0),
        }
    }
}

/// What a preset does, where it says so itself; the trunk's share else.
pub(super) fn rule_of(refresh: Refresh, share: Option<f64>) -> RefreshRule {
    match refresh {
        Refresh::Share => RefreshRule::Share(share.unwrap_or(USUAL)),
        Refresh::Exactly => RefreshRule::Exactly,
        Refresh::Before { margin, least } => RefreshRule::Before { margin, least },
    }
}

/// The share of the lifetime at which phones refresh; `None` when there is no such habit: too few
/// were seen, too soon for a spread, or at any time.
pub(super) fn share(seen: &[RefreshSeen]) -> Option<f64> {
    let share = middle(seen.iter().map(RefreshSeen::share).collect())?;
    let rule = RefreshRule::Share(share);
    let near = seen.iter().filter(|one| rule.error(one) < 0.5).count();
    ((SOONEST..1.0).contains(&share) && 2 * near > seen.len()).then_some((share.min(0.999) * 1e3).round() / 1e3)
}

/// As `agent::retry` spreads them.
fn spread(share: f64) -> f64 {
    ((1.0 - share) / 2.0).min(0.05)
}

fn is_stiff(seen: &[RefreshSeen]) -> bool {
    let mut shares: Vec<f64> = seen.iter().map(RefreshSeen::share).collect();
    shares.sort_by(f64::total_cmp);
    let at = |tenths: usize| shares[(shares.len() - 1) * tenths / 10];
    shares.len() >= ENOUGH && at(9) - at(1) < 0.01
}

pub(super) const USUAL: f64 = 0.9;
/// Below it the spread of five per cent of the lifetime would be most of the wait.
const SOONEST: f64 = 0.2;
const SLACK_S: f64 = 0.6;
const STIFF: f64 = 0.3;
const ENOUGH: usize = 8;
