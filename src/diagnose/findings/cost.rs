//! What a trouble costs: messages that achieve nothing, agents that cannot be reached, and where
//! the retries lead.

use super::view::View;
use crate::vocab::Class;
use std::fmt;

/// The cost of refused attempts on one trunk.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Cost {
    /// Messages of the refused attempts in both directions, per hour of the time they were seen in.
    pub wasted_per_hour: f64,
    /// Minutes in which the agents hit were planned and not registered, as far as the trunk's
    /// availability shows.
    pub agent_minutes_lost: f64,
    /// Messages per second once every agent hit waits its full back-off between two attempts;
    /// `None`: they give up.
    pub steady_per_s: Option<f64>,
}

/// What class decides about the next attempt.
fn wait_s(view: &View<'_>, class: Class) -> Option<f64> {
    let retry = &view.header().retry;
    // A limited number of retries is no steady state.
    if retry.max.is_some() {
        return None;
    }
    match class {
        Class::Forbidden | Class::ForbiddenAfterAuth => retry.forbidden_s,
        Class::ServerError | Class::AnsweredTimeout | Class::Silence | Class::Transport => retry.temporary_s,
        _ => retry.refused_s,
    }
}

impl Cost {
    /// Of `attempts` refused attempts of `agents` agents between two times, each of `messages`
    /// messages.
    pub fn new(view: &View<'_>, class: Class, agents: u64, attempts: u64, window_ns: u64) -> Cost {
        let messages = messages_per_attempt(view, class);
        // Shorter than a tick there is no rate to speak of.
        let hours = window_ns.max(view.tick_ns) as f64 / 3.6e12;
        let totals = &view.results.trunk_totals[usize::from(view.trunk)];
        let lost_ns = totals.sums.planned_agent_ns.saturating_sub(totals.sums.registered_agent_ns);
        let steady_per_s = wait_s(view, class).map(|wait| agents as f64 * messages / wait.max(0.001));
        Cost {
            wasted_per_hour: attempts as f64 * messages / hours,
            agent_minutes_lost: lost_ns as f64 / 6e10,
            steady_per_s,
        }
    }
}

/// Requests and responses of one attempt that ends this way: a challenge answered makes four.
fn messages_per_attempt(view: &View<'_>, class: Class) -> f64 {
    let challenged = !view.offers.is_empty();
    match class {
        Class::Forbidden | Class::Unusable => 2.0,
        Class::Silence => 1.0 + view.header().timers.repeats() as f64,
        _ if challenged => 4.0,
        _ => 2.0,
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} messages an hour wasted, {:.1} agent-minutes lost",
            self.wasted_per_hour, self.agent_minutes_lost
        )?;
        match self.steady_per_s {
            Some(rate) => write!(f, ", settles at {rate:.1} messages/s as long as it lasts"),
            None => write!(f, ", the agents give up"),
        }
    }
}
