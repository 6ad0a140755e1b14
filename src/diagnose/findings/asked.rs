//! A loop that the server itself asks for: it refuses, names a time so short that nothing can have
//! changed, and phones that obey come back to be refused again (RFC 3261 §20.33).
//!
//! Why it refuses is another finding's matter; this one says who sets the pace.

use super::cost::{Cost, wait_as_asked_s};
use super::draft::{Draft, SOME, confidence};
use super::rivals::Rival;
use super::view::{Group, View};
use super::wording::counted;
use crate::agent::retry::SHORTEST_ASKED;
use crate::measure::LoopRow;
use crate::vocab::Severity;
use std::time::Duration;

/// The loops of agents that come back when they are asked to.
pub(super) fn find(view: &View<'_>) -> Vec<Draft> {
    view.groups.iter().filter_map(|group| of_group(view, group)).collect()
}

fn of_group(view: &View<'_>, group: &Group<'_>) -> Option<Draft> {
    let (least, asked_s) = group.retry_after_s.filter(|(_, most)| *most <= SOON_S)?;
    let observed = view.results.header.observed.is_some();
    let (mut loops, mut agents, mut own_pace) = (Loops::default(), Vec::new(), 0u64);
    for row in view.results.loops.iter().filter(|row| is_of(row, view, group)) {
        if observed || obeys(view, row.agent, asked_s) {
            loops.add(row);
            agents.push(row.agent);
        } else {
            own_pace += 1;
        }
    }
    agents.sort_unstable();
    agents.dedup();
    if loops.repeats < SOME || !loops.follows(asked_s) {
        return None;
    }
    let mut draft = Draft::new("loop.retry-after", Severity::Warning, Some(view.trunk));
    (draft.first_ns, draft.last_ns) = (loops.first_ns, loops.last_ns);
    (draft.agents, draft.attempts) = (agents.len() as u64, loops.attempts);
    draft.confidence = confidence(loops.repeats, 0);
    let asked = if least == asked_s { format!("{asked_s} s") } else { format!("{least} to {asked_s} s") };
    let period = loops.period_s();
    draft.summary = format!(
        "{} asks to come again after {asked}: {} obey and are refused again every {period:.1} s, {:.0} attempts/s that the \
         server itself asks for",
        group.code,
        counted(draft.agents, "agent"),
        draft.agents as f64 / period,
    );
    draft.evidence = vec![
        format!("{} \"{}\" with Retry-After: {asked}", group.code, group.reason),
        format!("{} of these agents came after the same refusal", counted(loops.repeats, "attempt")),
    ];
    if own_pace > 0 {
        draft.evidence.push(format!("{} that do not obey loop as well, at their own pace", counted(own_pace, "agent")));
    }
    if Duration::from_secs(asked_s.into()) < SHORTEST_ASKED {
        draft.evidence.push(format!(
            "an agent waits {} s at least, whatever it is asked for; phones in use may not",
            SHORTEST_ASKED.as_secs()
        ));
    }
    if !observed {
        let preset = &view.retry(agents[0]).preset;
        draft.excludes(
            Rival::OwnPace,
            format!("phones that come back so soon by themselves: retry preset {preset} would have waited longer"),
        );
    }
    draft.examples = agents.into_iter().take(EXAMPLES).collect();
    draft.cost = Some(Cost::new(view, group.class, draft.agents, draft.attempts));
    Some(draft)
}

fn is_of(row: &LoopRow, view: &View<'_>, group: &Group<'_>) -> bool {
    row.trunk == view.trunk && (row.code, row.place) == (group.code, group.place) && row.reason == group.reason
}

/// Whether an agent comes back when it is asked to, and would have waited longer of itself.
fn obeys(view: &View<'_>, agent: u32, asked_s: u32) -> bool {
    let retry = view.retry(agent);
    let shortest = [retry.forbidden_s, retry.temporary_s, retry.refused_s].into_iter().flatten().reduce(f64::min);
    let waits = wait_as_asked_s(retry, shortest, asked_s.into());
    waits.is_some_and(|asked| shortest.is_none_or(|own| own > asked * LONGER))
}

/// Loops of agents that refuse alike, together.
#[derive(Default)]
struct Loops {
    attempts: u64,
    /// Attempts that came after a refusal.
    repeats: u64,
    lasted_ns: u64,
    first_ns: u64,
    last_ns: u64,
}

impl Loops {
    fn add(&mut self, row: &LoopRow) {
        self.first_ns = if self.attempts == 0 { row.first_seen_ns } else { self.first_ns.min(row.first_seen_ns) };
        self.last_ns = self.last_ns.max(row.last_seen_ns);
        self.attempts += u64::from(row.attempts);
        self.repeats += u64::from(row.attempts.saturating_sub(1));
        self.lasted_ns += row.last_seen_ns.saturating_sub(row.first_seen_ns);
    }

    /// The mean time between two refusals of one agent.
    fn period_s(&self) -> f64 {
        self.lasted_ns as f64 / 1e9 / self.repeats.max(1) as f64
    }

    /// Whether they came back when they were asked to, and not at a pace of their own.
    fn follows(&self, asked_s: u32) -> bool {
        self.lasted_ns > 0
            && self.period_s() <= f64::from(asked_s).max(SHORTEST_ASKED.as_secs_f64()) * LONGER + ANSWERED_S
    }
}

/// Seconds that are too short for anything to change: RFC 5626 §4.5 begins with thirty, and an
/// answer alone may take as long.
const SOON_S: u32 = 2;
/// What is so many times as long is another pace.
const LONGER: f64 = 1.5;
/// What the attempt itself may take of a period.
const ANSWERED_S: f64 = 1.0;
/// Agents named.
const EXAMPLES: usize = 3;
