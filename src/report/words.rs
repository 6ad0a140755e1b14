//! A run in plain words, for readers who know no SIP: what each outcome means, what was refused and
//! how, what a target asks, and the verdict in one sentence.
//!
//! The report page, `summary.csv`, JUnit and the summary on the terminal all take their words from
//! here.

use super::text;
use crate::diagnose::figures::{self, Unit};
use crate::diagnose::findings::counted;
use crate::diagnose::metric::Metric;
use crate::diagnose::{self, GeneratorVerdict, Judgement, Relation, ThresholdOutcome, Verdict};
use crate::measure::{CanaryCounts, ResponseRow};
use crate::record::CanaryTurn;
use crate::record::results::Aborted;
use crate::record::{FleetWorker, Results};
use crate::vocab::{InterventionKind, Kind, Status};

/// Attempts by what they mean to a reader; the sum is the number of attempts.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Outcomes {
    pub registered: u64,
    /// The registrar said no.
    pub refused: u64,
    /// No answer, or no way to the registrar.
    pub unanswered: u64,
    /// An answer that could not be used, never sent, or still open at the end.
    pub cut_short: u64,
}

impl Outcomes {
    pub fn of(status: &[u64; Status::COUNT]) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for (status, count) in Status::ALL.into_iter().zip(status) {
            *match status {
                Status::Registered => &mut outcomes.registered,
                Status::AuthenticationFailed | Status::RegistrationRejected | Status::ServiceUnavailable => {
                    &mut outcomes.refused
                }
                Status::RequestTimeout | Status::TransportError => &mut outcomes.unanswered,
                Status::ProtocolError | Status::Shed | Status::Abandoned => &mut outcomes.cut_short,
            } += count;
        }
        outcomes
    }
}

/// What one outcome means.
pub const fn meaning(status: Status) -> &'static str {
    match status {
        Status::Registered => "the agent was registered",
        Status::AuthenticationFailed => "refused although credentials were sent",
        Status::RegistrationRejected => {
            "refused without asking for credentials, or for another reason than the password"
        }
        Status::ServiceUnavailable => "the server said that it could not serve the request",
        Status::RequestTimeout => "no final answer came in time",
        Status::TransportError => "the server could not be reached",
        Status::ProtocolError => "the server's answer could not be used",
        Status::Shed => "not sent, because a limit of the test itself was reached",
        Status::Abandoned => "still open when the test ended",
    }
}

/// One kind of refusal over the run, all trunks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusalCount {
    pub code: u16,
    pub reason: String,
    pub count: u64,
}

/// Final responses other than 2xx to attempts, the most frequent first.
pub fn refusals(results: &Results) -> Vec<RefusalCount> {
    let refusals = results.responses.iter().filter(|row| row.kind != Kind::Unregister && row.code >= 300);
    added_up(refusals)
}

/// Challenges left out, by code and reason, the most frequent first.
fn added_up<'a>(rows: impl Iterator<Item = &'a ResponseRow>) -> Vec<RefusalCount> {
    let mut counts: Vec<RefusalCount> = Vec::new();
    for row in rows.filter(|row| !row.challenge) {
        match counts.iter_mut().find(|known| known.code == row.code && known.reason == row.reason) {
            Some(known) => known.count += row.count,
            None => counts.push(RefusalCount { code: row.code, reason: row.reason.clone(), count: row.count }),
        }
    }
    counts.sort_by(|a, b| b.count.cmp(&a.count).then(a.code.cmp(&b.code)).then(a.reason.cmp(&b.reason)));
    counts
}

/// The outcomes of a list that occurred, in words: `still open when the test ended: 12`.
pub fn listed(results: &Results, statuses: &[Status]) -> String {
    let occurred = statuses.iter().map(|status| (results.totals.sums.status[status.index()], meaning(*status)));
    let parts: Vec<_> =
        occurred.filter(|(n, _)| *n > 0).map(|(n, words)| format!("{words}: {}", text::thousands(n))).collect();
    parts.join("; ")
}

/// The run's verdict in a sentence; in more when it was stopped early and that is not all, or the
/// load was changed.
pub fn verdict(results: &Results, judgement: &Judgement) -> String {
    let missed = judgement.thresholds.iter().filter(|threshold| !threshold.pass).count();
    let targets = judgement.thresholds.len();
    let stopped = diagnose::aborted(results)
        .map(|aborted| format!("Stopped after {} by abort_on: {}.", text::length(aborted.at_ns), held(aborted)));
    let sentence = match judgement.verdict {
        Verdict::Pass if targets == 0 => "The run completed; no targets were set.".to_owned(),
        Verdict::Pass if targets == 1 => "The target was met.".to_owned(),
        Verdict::Pass => format!("All {targets} targets were met."),
        Verdict::Fail if missed == 0 => String::new(),
        Verdict::Fail if targets == 1 => "The target was missed.".to_owned(),
        Verdict::Fail => {
            format!("{missed} of {targets} {} missed.", if missed == 1 { "targets was" } else { "targets were" })
        }
        Verdict::Invalid => {
            format!("The test machine {}, so these figures say little about the server.", own_trouble(results))
        }
        Verdict::Interrupted => interrupted(results),
    };
    let parts = [stopped.unwrap_or_default(), sentence, degraded(results), changed_by_hand(results)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// What an invalid run's machine could not do.
pub fn own_trouble(results: &Results) -> &'static str {
    if diagnose::verdict::kept_its_schedule(results) {
        "had trouble of its own"
    } else {
        "could not keep its own schedule"
    }
}

/// Of a run whose parts are not all whole: whoever reads its verdict has to know; else empty.
fn degraded(results: &Results) -> String {
    let Some(fleet) = &results.fleet else { return String::new() };
    let lost: Vec<(&FleetWorker, u64)> = fleet.lost().map(|(worker, loss)| (worker, loss.at_ns)).collect();
    let [(first, at_ns), others @ ..] = &lost[..] else { return String::new() };
    let since = match *at_ns {
        0 => "altogether".to_owned(),
        ns => format!("from {} on", text::length(ns)),
    };
    let agents: u64 = lost.iter().map(|(worker, _)| u64::from(worker.agents)).sum();
    let more = match others.len() {
        0 => String::new(),
        more => format!(", and {} more", counted(more as u64, "machine")),
    };
    format!(
        "Degraded: {} is missing {since}{more}; {} are not all counted, and count as not available.",
        first.name,
        counted(agents, "agent")
    )
}

/// Whoever reads of a load that was not the profile's has to know it; empty for one that nobody
/// touched.
fn changed_by_hand(results: &Results) -> String {
    match results.interventions.len() {
        0 => String::new(),
        1 => "The load was changed by hand once: it was not the profile's.".to_owned(),
        times => format!("The load was changed by hand {times} times: it was not the profile's."),
    }
}

/// Everything a person did to the load, in order:
/// `paused after 12 s, resumed after 20.5 s, 1.1 times the rate after 30 s`.
pub fn interventions(results: &Results) -> String {
    let parts: Vec<_> = results
        .interventions
        .iter()
        .map(|intervention| {
            let after = text::decimal(intervention.at_ns as f64 / 1e9, 1);
            let factor = text::decimal(intervention.speed.factor(), 1);
            match intervention.kind {
                InterventionKind::Pause => format!("paused after {after} s"),
                InterventionKind::Resume => format!("resumed after {after} s at {factor} times the rate"),
                InterventionKind::Rate => format!("{factor} times the rate after {after} s"),
            }
        })
        .collect();
    parts.join(", ")
}

/// Why a run failed: what stopped it, or the missed targets.
pub fn reason(results: &Results, judgement: &Judgement) -> String {
    if let Some(aborted) = diagnose::aborted(results) {
        return format!("it was stopped after {} by abort_on: {}", text::length(aborted.at_ns), held(aborted));
    }
    missed(judgement)
}

/// The missed targets in plain words, what was found and what was asked; empty when there is none.
pub fn missed(judgement: &Judgement) -> String {
    let missed: Vec<&ThresholdOutcome> = judgement.thresholds.iter().filter(|outcome| !outcome.pass).collect();
    let mut reasons: Vec<String> = missed.iter().take(MOST_REASONS).map(|outcome| miss(outcome)).collect();
    if missed.len() > MOST_REASONS {
        reasons.push(format!("{} further targets", missed.len() - MOST_REASONS));
    }
    reasons.join("; ")
}

/// Missed targets that are told in full.
const MOST_REASONS: usize = 2;

fn miss(outcome: &ThresholdOutcome) -> String {
    format!("{}: {} (target: {})", plain(outcome), value(outcome), target(outcome))
}

/// What became of the agents beside the load; `None` where there were none.
pub fn canary(results: &Results) -> Option<String> {
    let CanaryCounts { checks, failed, in_a_row } = results.totals.sums.canary;
    let row = if failed > 1 { format!(", at most {in_a_row} one after another") } else { String::new() };
    let first = results.canary_notes.iter().find(|note| note.turn == CanaryTurn::Failed);
    let first = first.map(|note| format!(", first with {}", text::printable(&note.said))).unwrap_or_default();
    let how = if failed == 0 { "; none failed".to_owned() } else { format!("; {failed} failed{row}{first}") };
    (checks > 0)
        .then(|| format!("{} of {} beside the load registered{how}", checks - failed, text::counted(checks, "check")))
}

/// What a target is about, for readers who know no SIP; the profile's own name where there is no
/// plainer one.
pub fn plain(outcome: &ThresholdOutcome) -> String {
    let metric = outcome.metric.canonical();
    let name = match metric.as_str() {
        "success_ratio" => "attempts that succeeded",
        "availability_pct" => "availability",
        "agents_looping" => "agents stuck in a refusal loop",
        "agents_registered_peak" => "agents signed in at the peak",
        "agents_registered_at_end" => "agents signed in at the end",
        "agents_reachable_at_end" => "agents signed in and connected at the end",
        "canary_failed" => "checks of the canary that failed",
        "canary_failed_in_a_row" => "checks of the canary that failed one after another",
        "register.p50" => "typical time to sign in",
        "register.p99" => "slowest one in a hundred",
        "register.p999" => "slowest one in a thousand",
        "register.max" => "slowest sign-in of all",
        "refresh.p50" => "typical time to renew",
        "refresh.p99" => "slowest renewal in a hundred",
        "refresh.max" => "slowest renewal of all",
        "schedule_lag.p99" => "lag of the test\u{2019}s own schedule",
        "findings.critical" => "critical findings",
        "findings.warning" => "warnings",
        "attempts" => "sign-in attempts",
        "authentication_failed" => "attempts refused with credentials",
        "registration_rejected" => "attempts rejected",
        "service_unavailable" => "attempts the server could not serve",
        "request_timeout" => "attempts without an answer",
        "transport_error" => "attempts that could not reach the server",
        own => own,
    };
    match &outcome.trunk {
        Some(trunk) => format!("{name} on {}", text::printable(trunk)),
        None => name.to_owned(),
    }
}

/// A condition that held, with the value it held for: `success_ratio < 0.5 (at 12.5 %)`.
pub fn held(aborted: &Aborted) -> String {
    let Aborted { name, expr, value, .. } = aborted;
    let unit = Metric::behind_trunk(name).map_or(Unit::Count, Metric::unit);
    text::printable(&format!("{name} {expr} (at {})", text::measured(unit, *value)))
}

fn interrupted(results: &Results) -> String {
    let signal = results.end.as_ref().and_then(|end| end.interrupted_by);
    let how = match signal {
        Some(1) => "told to stop, as its terminal was closed (SIGHUP),".to_owned(),
        Some(2) => "stopped by hand (Ctrl-C)".to_owned(),
        Some(15) => "told to stop (SIGTERM)".to_owned(),
        Some(signal) => format!("stopped by signal {signal}"),
        None => "killed".to_owned(),
    };
    format!("The run was {how} before its end; the figures cover what happened until then.")
}

/// The state of the test machine in one sentence.
pub fn generator(judgement: &Judgement) -> &'static str {
    match judgement.generator {
        GeneratorVerdict::Valid => "The test machine kept its own schedule, so the figures describe the server.",
        GeneratorVerdict::Suspect => "The test machine had small troubles of its own; read the figures with care.",
        GeneratorVerdict::Invalid => "The test machine fell behind its own schedule; the figures may mislead.",
    }
}

/// A target in words: `at least 99.9 %`.
pub fn target(outcome: &ThresholdOutcome) -> String {
    let comparison = match outcome.comparison {
        Relation::Equal | Relation::AtMost if outcome.bound == 0.0 && outcome.unit == Unit::Count => {
            return "none".to_owned();
        }
        Relation::Less => "less than",
        Relation::AtMost => "at most",
        Relation::Greater => "more than",
        Relation::AtLeast => "at least",
        Relation::Equal => "exactly",
        Relation::NotEqual => "other than",
    };
    format!("{comparison} {}", bound(outcome))
}

/// The bound as exact as it was written: a bound is never cut off to two decimals.
fn bound(outcome: &ThresholdOutcome) -> String {
    match outcome.unit {
        Unit::Ratio => format!("{} %", text::decimal(100.0 * outcome.bound, 6)),
        Unit::Percent => format!("{} %", text::decimal(outcome.bound, 6)),
        Unit::Microseconds => format!("{} ms", text::decimal(outcome.bound / 1e3, 3)),
        unit => text::measured(unit, outcome.bound),
    }
}

/// The value a threshold was held against.
pub fn value(outcome: &ThresholdOutcome) -> String {
    outcome.value.map_or_else(|| "not measured".to_owned(), |value| text::measured(outcome.unit, value))
}

/// When the run ended, nanoseconds since its start: its end, or the last thing known of a killed
/// run.
pub fn ended_ns(results: &Results) -> Option<u64> {
    let last = results.intervals.last().map(|interval| interval.end_ns);
    results.end.as_ref().map(|end| end.ended_ns).or(last)
}

/// How long something took, in words and no finer than matters: `8 hours`, `1 hour 5 minutes`,
/// `30 seconds`.
pub fn span(ns: u64) -> String {
    let seconds = (ns + 500_000_000) / 1_000_000_000;
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let part = |n, noun| (n > 0).then(|| text::counted(n, noun));
    let parts = match (hours, minutes) {
        (0, 0) if seconds == 0 => return "under a second".to_owned(),
        (0, 0..10) => [part(minutes, "minute"), part(rest, "second")],
        (0, _) => [part((seconds + 30) / 60, "minute"), None],
        _ => [part(hours, "hour"), part(minutes, "minute")],
    };
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// What a run leaves at its registrars, and until when: `12 bindings, all lapsed by …`. `None` when
/// it leaves nothing.
pub fn bindings_left(results: &Results) -> Option<String> {
    let left = figures::bindings_left(results);
    let by = results.header.utc_seconds(left.lapsed_ns?);
    let seen = if results.end.is_some() { "" } else { " when the run was last heard of" };
    let bindings = text::counted(left.count, "binding");
    let why = removals_refused(results).map(|why| format!("; {why}")).unwrap_or_default();
    Some(format!("{bindings} at the registrar{seen}{why}; the last of them lapses by {by}"))
}

/// What un-REGISTERs came to that did not remove a binding, the most frequent first:
/// `un-REGISTER came to 403 Forbidden 12 times`. `None` when all were taken, or none sent.
fn removals_refused(results: &Results) -> Option<String> {
    let removals = results.responses.iter().filter(|row| row.kind == Kind::Unregister && row.code / 100 != 2);
    let refused = added_up(removals);
    let told = |one: &RefusalCount| {
        // 0: there was no answer, and the reason says what became of it.
        let what = if one.code == 0 { one.reason.clone() } else { format!("{} {}", one.code, one.reason) };
        format!("{} {}", what.trim_end(), text::counted(one.count, "time"))
    };
    let mut listed: Vec<String> = refused.iter().take(REFUSALS_NAMED).map(told).collect();
    let more: u64 = refused.iter().skip(REFUSALS_NAMED).map(|one| one.count).sum();
    listed.extend((more > 0).then(|| format!("other answers {}", text::counted(more, "time"))));
    (!listed.is_empty()).then(|| format!("un-REGISTER came to {}", listed.join(", ")))
}

/// Ways in which un-REGISTERs failed that are named.
const REFUSALS_NAMED: usize = 2;
