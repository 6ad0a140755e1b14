//! What a trouble costs: messages that achieve nothing, agents that cannot be reached, and where
//! the retries lead.

use super::view::View;
use super::wording::counted;
use crate::agent::retry::SHORTEST_ASKED;
use crate::measure::OutcomeRow;
use crate::record::AgentResult;
use crate::record::results::RetryHeader;
use crate::vocab::{Class, Kind, Place, RetryAfter, Trouble, floor_u64};
use std::fmt;

/// The cost of attempts on one trunk that failed in one way.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Cost {
    /// Messages of these attempts, in both directions.
    pub messages: f64,
    /// Minutes in which the agents hit were planned and not registered, as far as the trunk's
    /// availability shows; of an agent that met several troubles each has its part.
    pub agent_minutes_lost: f64,
    /// Messages per second once every agent that comes again waits its full back-off between two
    /// attempts; `None`: nobody comes again, as far as is known.
    pub steady_per_s: Option<f64>,
    /// Agents that do not come again; `None` where habits are not known.
    pub give_up: Option<u64>,
}

impl Cost {
    /// Of `attempts` attempts of `agents` agents that ended in `class`.
    pub fn new(view: &View<'_>, class: Class, agents: u64, attempts: u64) -> Cost {
        let rows: Vec<&OutcomeRow> = view.outcomes.iter().copied().filter(|row| row.class == class).collect();
        let messages = messages_per_attempt(view, &rows);
        let hit: Vec<(u32, &AgentResult)> = view.met(&[class]).collect();
        // The finding may be about some of those who met this class.
        let part = if hit.is_empty() { 0.0 } else { (agents as f64 / hit.len() as f64).min(1.0) };
        let asked_s = asked_to_wait_s(&rows);
        let rates = hit.iter().filter_map(|(agent, _)| wait_s(view, *agent, class, asked_s));
        let (again, rate) = rates.fold((0u64, 0.0), |(again, rate), wait| (again + 1, rate + 1.0 / wait.max(0.001)));
        let give_up = (hit.len() as u64).saturating_sub(again) as f64 * part;
        let observed = view.results.header.observed.is_some();
        Cost {
            messages: attempts as f64 * messages,
            agent_minutes_lost: part * lost_ns(view, hit.iter().map(|(_, agent)| *agent)) / 6e10,
            steady_per_s: (again > 0).then_some(rate * messages * part),
            give_up: (!observed).then_some(crate::vocab::floor_u64(give_up.round())),
        }
    }
}

/// How long an agent waits after an attempt that ended in `class`; `None`: it does not come again.
fn wait_s(view: &View<'_>, agent: u32, class: Class, asked_s: Option<f64>) -> Option<f64> {
    let retry = view.retry(agent);
    let own = match class {
        Class::Forbidden | Class::ForbiddenAfterAuth => retry.forbidden_s,
        Class::ServerError | Class::AnsweredTimeout | Class::Silence | Class::Transport => retry.temporary_s,
        _ => retry.refused_s,
    };
    // A limited number of retries is no steady state.
    let own = own.filter(|_| retry.max.is_none());
    asked_s.and_then(|asked| wait_as_asked_s(retry, own, asked)).or(own)
}

/// How long an agent waits that is asked to wait, and would wait for `own` of itself; `None`: it
/// does not listen. See [`crate::agent::retry::wait`].
pub(super) fn wait_as_asked_s(retry: &RetryHeader, own: Option<f64>, asked_s: f64) -> Option<f64> {
    match retry.retry_after {
        RetryAfter::Ignored => None,
        // "0" is no order to these, and where they obey the retry is not counted.
        RetryAfter::Always => Some(asked_s).filter(|asked| *asked > 0.0),
        RetryAfter::Replaces => own.map(|_| asked_s.max(SHORTEST_ASKED.as_secs_f64())),
    }
}

/// The mean `Retry-After` of these answers, where all that are told apart had one.
fn asked_to_wait_s(rows: &[&OutcomeRow]) -> Option<f64> {
    let asked = |row: &&OutcomeRow| {
        let (least, most) = row.retry_after_s?;
        Some((row.seen.count as f64, (f64::from(least) + f64::from(most)) / 2.0))
    };
    let all: Vec<(f64, f64)> = rows.iter().map(asked).collect::<Option<_>>()?;
    let count: f64 = all.iter().map(|(count, _)| count).sum();
    (count > 0.0).then(|| all.iter().map(|(count, seconds)| count * seconds).sum::<f64>() / count)
}

/// Requests and responses of one attempt, as a mean over those that ended this way.
fn messages_per_attempt(view: &View<'_>, rows: &[&OutcomeRow]) -> f64 {
    let count: u64 = rows.iter().map(|row| row.seen.count).sum();
    let sum: f64 = rows.iter().map(|row| row.seen.count as f64 * messages_of(view, row)).sum();
    sum / count.max(1) as f64
}

fn messages_of(view: &View<'_>, row: &OutcomeRow) -> f64 {
    // A refresh carries its credentials along where it may; it was challenged if it was refused
    // with a challenge.
    let challenged = row.place == Place::AfterCredentials
        && (row.kind != Kind::Refresh || matches!(row.class, Class::Unauthorized | Class::Stale));
    let before = if challenged { 2.0 } else { 0.0 };
    before
        + match row.class {
            Class::Silence => 1.0 + view.header().timers.repeats() as f64,
            // Nothing comes back; what this machine could not send did not even leave.
            Class::Transport if matches!(row.trouble, Some(Trouble::NotSent(_))) => 0.0,
            Class::Transport => 1.0,
            // The second nonce of an attempt was called stale as well as the first.
            Class::Stale => 4.0,
            _ => 2.0,
        }
}

/// Agent-nanoseconds that these agents were planned and not registered.
///
/// The trunk's are known. An agent that was never registered lost as long as an agent was planned;
/// what is left is shared by those who were registered at some time and failed at another.
fn lost_ns<'a>(view: &View<'_>, hit: impl Iterator<Item = &'a AgentResult>) -> f64 {
    let sums = &view.results.trunk_totals[usize::from(view.trunk)].sums;
    let lost = sums.planned_agent_ns.saturating_sub(sums.registered_agent_ns) as f64;
    let planned = sums.planned_agent_ns as f64 / view.agents.len().max(1) as f64;
    let never = view.agents.iter().filter(|(_, agent)| agent.registered == 0).count() as f64;
    let sometimes = view.agents.iter().filter(|(_, agent)| agent.registered > 0 && troubles(agent) > 0).count();
    let by_never = (planned * never).min(lost);
    let of_each = |agent: &AgentResult| {
        let whole = if agent.registered == 0 { by_never / never } else { (lost - by_never) / sometimes as f64 };
        whole / f64::from(troubles(agent).max(1))
    };
    hit.map(of_each).sum()
}

/// The ways in which attempts of an agent failed.
fn troubles(agent: &AgentResult) -> u32 {
    (agent.met & !Class::Registered.bit()).count_ones()
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost { messages, agent_minutes_lost, .. } = self;
        write!(f, "{messages:.0} messages wasted in all, {agent_minutes_lost:.1} agent-minutes lost")?;
        match (self.steady_per_s, self.give_up) {
            (Some(rate), give_up) => {
                // An hour's count is made of the rate that stands beside it, so that the two agree.
                let an_hour = 360 * floor_u64((10.0 * rate).round());
                write!(f, ", settles at {rate:.1} messages/s ({an_hour} an hour) as long as it lasts")?;
                match give_up {
                    Some(agents @ 1..) => write!(f, "; {} give up", counted(agents, "agent")),
                    _ => Ok(()),
                }
            }
            (None, Some(_)) => write!(f, ", the agents give up"),
            (None, None) => Ok(()),
        }
    }
}
