//! How the agents of a trunk behave: the words of a profile, presets among them, as the policy that
//! agents follow.

use super::{algorithms, seconds};
use crate::agent::{Backoff, CheckPolicy, Patience, Refresh, RetryPolicy, TrunkPolicy};
use crate::profile::{self, Retry, RetryMax, RetryPreset};
use crate::sip::{AlgorithmSet, Timers};
use std::time::Duration;

pub(super) fn policy(trunk: &profile::TrunkProfile, retry: &Retry) -> TrunkPolicy {
    let retry = retry_policy(retry);
    let refresh = if trunk.refresh_at_written { Refresh::Share } else { retry.refresh };
    TrunkPolicy {
        domain: trunk.domain.clone(),
        realm: trunk.realm.clone(),
        realm_policy: trunk.realm_policy,
        algorithms: algorithms(&trunk.algorithms).into_iter().fold(AlgorithmSet::EMPTY, AlgorithmSet::with),
        expires_s: seconds(trunk.expires),
        refresh_at: trunk.refresh_at,
        reuse_nonce: if trunk.reuse_nonce_written { trunk.reuse_nonce } else { retry.reuse_nonce },
        retry: RetryPolicy { refresh, ..retry },
        timers: Timers::default(),
        checks: CheckPolicy { audit: trunk.audit, qualify: (!trunk.qualify.is_zero()).then_some(trunk.qualify) },
    }
}

/// The behaviour a preset and its overrides stand for.
fn retry_policy(retry: &Retry) -> RetryPolicy {
    let Retry { interval, jitter, .. } = *retry;
    let forbidden = match retry.forbidden_interval {
        Duration::ZERO => Backoff::Never,
        interval => Backoff::Fixed { interval, jitter: retry.forbidden_jitter },
    };
    let max = match retry.max {
        RetryMax::Unlimited => None,
        RetryMax::Times(times) => Some(times),
    };
    let again = Backoff::Fixed { interval, jitter };
    let growing = Backoff::Exponential { base: interval, cap: RFC_CAP, jitter };
    let client = match retry.preset {
        RetryPreset::Rfc => RetryPolicy { recoverable: growing, forbidden, max, ..RetryPolicy::RFC },
        RetryPreset::Pjsua => RetryPolicy { recoverable: again, forbidden, max, ..RetryPolicy::PJSUA },
        RetryPreset::Asterisk => RetryPolicy { recoverable: again, forbidden, max, ..RetryPolicy::ASTERISK },
        RetryPreset::Baresip => {
            let forbidden = if retry.forbidden_written { forbidden } else { growing };
            RetryPolicy { recoverable: growing, forbidden, refused: growing, max, ..RetryPolicy::BARESIP }
        }
        RetryPreset::Hammer => {
            RetryPolicy { recoverable: again, forbidden, refused: again, max, ..RetryPolicy::HAMMER }
        }
        RetryPreset::None => RetryPolicy::NONE,
    };
    let patience = Patience { challenges: retry.challenges, stales: retry.stales, ..client.patience };
    RetryPolicy { on_icmp: retry.icmp, patience, ..client }
}

/// RFC 5626 §4.5: the longest wait between attempts.
const RFC_CAP: Duration = Duration::from_secs(1_800);
