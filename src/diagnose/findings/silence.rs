//! Requests without an answer: none at all (`no-response`), or only after repeating them
//! (`packet-loss`).
//!
//! Read first: RFC 3261 §17.1.2.2 (Timers E and F). A timeout shows one Timer F after its request
//! was sent, so all times given for a silence are sending times. A 408 is an answer and is treated
//! separately.

use super::cost::Cost;
use super::draft::{BY_CHANCE, Draft, SOME, confidence};
use super::moment;
use super::place::{self, Copies};
use super::rivals::Rival;
use super::view::{Tick, View};
use super::wording::{at, counted, percent, window};
use crate::measure::{OutcomeRow, Sightings};
use crate::record::AgentResult;
use crate::vocab::{Class, Confidence, Kind, Phase, RequestKind, Severity, Status, T1_MS, Trouble};
use std::collections::BTreeMap;

/// `overloaded`: the registrar had more to do than it could. Repeats and attempts given up are the
/// effects of that. `place`: what [`one_place`] found.
pub(super) fn find(view: &View<'_>, overloaded: bool, place: Option<Draft>) -> Vec<Draft> {
    if view.results.header.answers_missing {
        return Vec::new();
    }
    let silent = if overloaded { None } else { no_response(view) };
    // Requests that are answered only when they come again, all of one kind, were not lost by
    // chance.
    let losses = if place.is_some() || overloaded { Vec::new() } else { losses(view) };
    [silent, place, answered_timeout(view)].into_iter().flatten().chain(losses).collect()
}

/// No final answer within Timer F.
fn no_response(view: &View<'_>) -> Option<Draft> {
    let count = view.count(Class::Silence);
    // A request that the ceiling held back cannot have been answered.
    let held_back = view.results.trunk_totals[usize::from(view.trunk)].sums.ceiling_refused;
    if count == 0 || held_back >= count {
        return None;
    }
    let mut draft = Draft::new("no-response", Severity::Warning, Some(view.trunk));
    let rows: Vec<_> = view.outcomes.iter().filter(|row| row.class == Class::Silence).collect();
    draft.saw(Sightings::together(rows.iter().map(|row| &row.seen)));
    // They were sent a Timer F before they ended, and were repeated until then.
    let timer_f_ns = view.timer_f_ns();
    let (sent_first, sent_last) = (draft.first_ns.saturating_sub(timer_f_ns), draft.last_ns.saturating_sub(timer_f_ns));
    draft.first_ns = sent_first;
    draft.agents = view.met(&[Class::Silence]).count() as u64;
    draft.severity = severity(view, Class::Silence, count);
    let answered = view.attempts() - count - view.count(Class::Transport);
    let pattern = pattern(view, answered);
    if let Some((first, last)) = pattern.window_ns {
        (draft.first_ns, draft.last_ns) = (first, last);
    }
    let limit = format!("{} s", timer_f_ns as f64 / 1e9);
    draft.summary = format!("{} of {}", pattern.summary, of_agents(view, draft.agents));
    draft.evidence = vec![
        format!("{} without a final answer in {limit}, {answered} answered", counted(count, "attempt")),
        format!("the unanswered were sent {}, and repeated until {}", window(sent_first, sent_last), at(draft.last_ns)),
    ];
    draft.evidence.extend(strays(view));
    draft.evidence.extend(too_late(view));
    draft.evidence.extend(pattern.evidence);
    draft.evidence.extend(place::table(view));
    draft.evidence.extend(place::whose(view));
    draft.rejected = pattern.rejected;
    draft.excludes(Rival::Slow, format!("a slow server: an answer within {limit} would have counted"));
    let copies = view.header().timers.repeats() + 1;
    draft.excludes(
        Rival::PacketLoss,
        format!("packets lost by chance: all {copies} copies of a request came to nothing"),
    );
    let (swift, all) = view.ticks.iter().fold((0, 0), |sum, tick| (sum.0 + tick.swift, sum.1 + tick.answered()));
    if swift * 2 >= all {
        draft.excludes(Rival::Overload, format!("a queue: of {all} answers {swift} came within {T1_MS} ms"));
    }
    draft.confidence = if pattern.is_open { Confidence::Open } else { confidence(count, pattern.against) };
    doubt_own_messages(view, &mut draft);
    tell_strays(view, count, &mut draft);
    draft.cost = Some(Cost::new(view, Class::Silence, draft.agents, count));
    Some(draft)
}

/// One kind of request is never answered the first time, while others are: the swiftest of all its
/// answers came after a repeat.
pub(super) fn one_place(view: &View<'_>) -> Option<Draft> {
    let totals = &view.results.trunk_totals[usize::from(view.trunk)];
    // What our own ceiling held back was not sent, and so not answered; and requests that are never
    // answered, however often they are repeated, are the greater trouble.
    if totals.sums.ceiling_refused > 0 || view.count(Class::Silence) > 0 {
        return None;
    }
    let swiftest = |phase: Phase| {
        let of = totals.latency_us.iter().find(|(other, _)| *other == phase).map(|(_, histogram)| histogram);
        of.filter(|histogram| histogram.len() >= SOME).map(|histogram| (histogram.min(), histogram.len()))
    };
    let first_us = swiftest(Phase::Challenge).or(swiftest(Phase::RegisterService)).map(|(us, _)| us)?;
    let places = [(Phase::Refresh, "refreshes"), (Phase::Authenticated, "requests with credentials")];
    let t1_us = view.t1_ms() * 1e3;
    // Where answers are only slow, each copy is answered: they come twice.
    let twice = totals.sums.duplicate_responses;
    let held = |(phase, what)| {
        let (us, count) = swiftest(phase)?;
        let repeated = (first_us as f64) < t1_us && us as f64 >= t1_us;
        // A refresh that left late is no request that was repeated.
        let copies = totals.sums.retransmissions * 2 >= count;
        (repeated && copies && twice * 2 < count).then_some((what, us, count))
    };
    let (what, us, count) = places.into_iter().find_map(held)?;
    let mut draft = Draft::new("no-response", Severity::Warning, Some(view.trunk));
    let hit = || view.ticks.iter().filter(|tick| tick.retransmitted > 0);
    draft.first_ns = hit().next().map_or(0, |tick| tick.start_ns);
    draft.last_ns = hit().next_back().map_or(0, |tick| tick.start_ns + view.tick_ns);
    draft.attempts = count;
    draft.agents = count.min(view.agents.len() as u64);
    draft.confidence = confidence(count, 0).min(Confidence::Medium);
    draft.summary =
        format!("{what} are not answered until they have been repeated, while other requests are answered at once");
    draft.evidence = vec![
        format!("the swiftest of {count} answers came after {:.1} s", us as f64 / 1e6),
        format!("the swiftest answer to other requests came after {:.1} ms", first_us as f64 / 1e3),
        format!("{} in all", counted(totals.sums.retransmissions, "repeat")),
    ];
    draft.evidence.extend(place::table(view));
    draft.excludes_all(
        &[Rival::PacketLoss, Rival::Overload, Rival::Slow],
        "packets lost by chance, or a slow server: some of these requests, or all others, would have fared alike",
    );
    Some(draft)
}

/// Requests that this machine was told it cannot deliver, by ICMP. What its own sockets refused is
/// no silence of the server's: the generator says it of itself.
pub(super) fn unreachable(view: &View<'_>) -> Option<Draft> {
    if view.results.header.answers_missing {
        return None;
    }
    // What the other end does to connections has findings of its own.
    let others = |row: &OutcomeRow| {
        let trouble = row.trouble.as_ref();
        trouble.is_some_and(|trouble| trouble.is_own() || matches!(trouble, Trouble::Connection(_)))
    };
    let rows: Vec<_> = view.outcomes.iter().filter(|row| row.class == Class::Transport && !others(row)).collect();
    let seen = Sightings::together(rows.iter().map(|row| &row.seen));
    let count = seen.count;
    if count == 0 {
        return None;
    }
    let mut draft = Draft::new("no-response", severity(view, Class::Transport, count), Some(view.trunk));
    draft.saw(seen);
    draft.agents = (view.met(&[Class::Transport]).count() as u64).min(count);
    draft.confidence = confidence(count, 0);
    let hit = of_agents(view, draft.agents);
    let when = when_unreachable(view, &draft);
    draft.summary = format!("{} cannot be reached{when}: requests of {hit} came to nothing at once", target(view));
    draft.advice.push("port unreachable: the host is there and nothing listens on that port".to_owned());
    draft.evidence = rows.iter().map(|row| format!("{} x {}", row.seen.count, row.reason)).collect();
    draft.excludes_all(
        &[Rival::PacketLoss, Rival::Overload, Rival::Slow],
        "silence: the system reported each failure, nobody had to wait for Timer F",
    );
    draft.cost = Some(Cost::new(view, Class::Transport, draft.agents, count));
    Some(draft)
}

/// When requests could not be delivered, as against others that could.
pub(super) fn when_unreachable(view: &View<'_>, draft: &Draft) -> String {
    let answered = |from: u64, until: u64| -> u64 {
        let inside = view.ticks.iter().filter(|tick| (from..until).contains(&tick.start_ns));
        inside.map(Tick::answered).sum()
    };
    let (from, until) = (draft.first_ns, draft.last_ns);
    // The ticks at the edges hold answers from before and after.
    let during = answered(from + 1, until.saturating_sub(view.tick_ns));
    match (answered(0, from), during, answered(until, u64::MAX)) {
        // Requests that were answered without an end of their attempts were delivered as well.
        (0, 0, 0) if view.offers.is_empty() && view.count(Class::Silence) == 0 => {
            ", from the first request to the last".to_owned()
        }
        (0, 0, 0) => format!(" from {} of the run", window(from, until)),
        (_, during, _) if during * 20 > draft.attempts => {
            format!(" now and then from {} of the run", window(from, until))
        }
        (0, ..) => format!(" until {} of the run", at(until)),
        (_, _, 0) => format!(" from {} of the run on", at(from)),
        _ if at(from) == at(until) => format!(" at {} of the run", at(from)),
        _ => format!(" from {} of the run", window(from, until)),
    }
}

/// 408 from the server, as against our own Timer F.
fn answered_timeout(view: &View<'_>) -> Option<Draft> {
    let groups: Vec<_> = view.groups.iter().filter(|group| group.class == Class::AnsweredTimeout).collect();
    let seen = Sightings::together(groups.iter().map(|group| &group.seen));
    let count = seen.count;
    if count == 0 {
        return None;
    }
    let mut draft = Draft::new("no-response", severity(view, Class::AnsweredTimeout, count), Some(view.trunk));
    draft.saw(seen);
    draft.agents = view.met(&[Class::AnsweredTimeout]).count() as u64;
    draft.confidence = confidence(count, 0);
    draft.summary = format!(
        "the registrar, or a proxy before it, answers 408: what is behind it does not answer {} in time",
        of_agents(view, draft.agents)
    );
    let phrases = groups.iter().map(|group| format!("{} x {} {}", group.seen.count, group.code, group.reason));
    draft.evidence = phrases.collect();
    draft.excludes_all(
        &[Rival::PacketLoss, Rival::Overload, Rival::Slow],
        "silence on the way to the first hop: that hop did answer, with 408",
    );
    draft.cost = Some(Cost::new(view, Class::AnsweredTimeout, draft.agents, count));
    Some(draft)
}

/// Critical once a hundredth of the trunk's agents stays out for it.
pub(super) fn severity(view: &View<'_>, class: Class, attempts: u64) -> Severity {
    let last = match class {
        Class::Transport => Status::TransportError,
        _ => Status::RequestTimeout,
    };
    // What their attempts ended in later has a finding of its own.
    let is_out = |agent: &AgentResult| agent.status.is_none_or(|status| status == last || status == Status::Abandoned);
    let out = view.met(&[class]).filter(|(_, agent)| is_out(agent)).count();
    let critical = attempts >= 2 && out > 0 && out * 100 >= view.agents.len();
    if critical { Severity::Critical } else { Severity::Warning }
}

/// What the generator lost itself, it must not hold against a server.
fn doubt_own_messages(view: &View<'_>, draft: &mut Draft) {
    let own = lost_here(view);
    if !own.is_empty() {
        draft.evidence.extend(own);
        draft.severity = draft.severity.min(Severity::Warning);
        draft.confidence = Confidence::Open;
    }
}

/// As many answers as were missed came with another branch than their requests had: nobody was
/// silent, and whoever looks for a drop on the way looks in vain.
fn tell_strays(view: &View<'_>, missed: u64, draft: &mut Draft) {
    let came: u64 = view.unasked().map(|row| row.strays).sum();
    if came < missed.max(SOME) {
        return;
    }
    draft.confidence = Confidence::Open;
    draft.summary.push_str(&format!(
        "; meanwhile {} came that belong to no request: answers whose branch was changed are not known as such",
        counted(came, "datagram")
    ));
    draft.advice.push(
        "compare the topmost Via of a request with that of the datagrams (RFC 3261 §17.1.3: an answer repeats its branch)"
            .to_owned(),
    );
}

/// Answers to what had been given up: somebody is there, and slower than phones wait.
fn too_late(view: &View<'_>) -> Option<String> {
    let late = view.results.trunk_totals[usize::from(view.trunk)].sums.late_responses;
    (late > 0).then(|| format!("{} came for requests that had been given up", counted(late, "answer")))
}

/// What came instead of answers.
fn strays<'a>(view: &View<'a>) -> impl Iterator<Item = String> + use<'a> {
    view.unasked().filter(|row| row.strays > 0).map(|row| {
        let like = row.examples.first().map(|text| format!(", like \"{text}\"")).unwrap_or_default();
        format!("{} from {} belonged to no agent{like}", counted(row.strays, "datagram"), row.from)
    })
}

/// Messages that this machine itself lost or held back.
fn lost_here(view: &View<'_>) -> Vec<String> {
    let generator = &view.results.totals.generator;
    let sums = &view.results.totals.sums;
    let own = [
        (generator.socket_drops, "answer dropped by this machine's own socket"),
        (generator.send_errors, "message that this machine could not send"),
        (sums.ceiling_refused, "message refused by the safety ceiling"),
    ];
    let own = own.into_iter().filter(|(count, _)| *count > 0);
    own.map(|(count, what)| {
        let (noun, rest) = what.split_once(' ').unwrap_or((what, ""));
        format!("{} {rest}", counted(count, noun))
    })
    .collect()
}

pub(super) fn of_agents(view: &View<'_>, agents: u64) -> String {
    let all = view.agents.len() as u64;
    match all {
        1 => "its one agent".to_owned(),
        all if agents == all => format!("all {all} agents"),
        all => format!("{agents} of {all} agents"),
    }
}

/// How the silence is spread.
struct Pattern {
    summary: String,
    evidence: Vec<String>,
    rejected: Vec<String>,
    /// Attempts that contradict it.
    against: u64,
    /// When it was, where that is known better than from the requests that were given up.
    window_ns: Option<(u64, u64)>,
    /// Another reading fits as well.
    is_open: bool,
}

impl Pattern {
    fn new(summary: impl Into<String>) -> Self {
        Pattern {
            summary: summary.into(),
            evidence: Vec::new(),
            rejected: Vec::new(),
            against: 0,
            window_ns: None,
            is_open: false,
        }
    }
}

/// The most telling description that fits, from never over sources, moments and rates to scattered.
fn pattern(view: &View<'_>, answered: u64) -> Pattern {
    if answered == 0 && view.offers.is_empty() {
        let mut never = Pattern::new(format!("{} never answers a request", target(view)));
        never.rejected.push("packet loss: not one answer came".to_owned());
        return never;
    }
    if answered == 0 {
        return by_place(view).unwrap_or_else(|| only_challenges(view));
    }
    particular(view).unwrap_or_else(|| {
        let mut scattered = Pattern::new("some requests bring no answer, scattered over the run,");
        let apart = "no source, kind or length of request, agent, stretch of time or rate sets them apart";
        scattered.evidence.push(apart.to_owned());
        scattered
    })
}

/// What sets the silent requests apart from others; `None` when they look random.
fn particular(view: &View<'_>) -> Option<Pattern> {
    by_source(view)
        .or_else(|| by_place(view))
        .or_else(|| by_length(view))
        .or_else(|| by_moment(view))
        .or_else(|| by_agent(view))
        .or_else(|| by_rate(view))
}

/// One kind of request is never answered, while others are at the same time.
fn by_place(view: &View<'_>) -> Option<Pattern> {
    let kind = place::never_answered(view)?;
    let mut pattern = match kind {
        RequestKind::Credentials => only_challenges(view),
        kind => {
            let mut pattern = Pattern::new(format!("{kind} are never answered, while other requests are: those"));
            pattern.rejected.push(SERVER_IS_UP.to_owned());
            pattern
        }
    };
    pattern.rejected.push(format!("packet loss on the way: of all {kind} not one in twenty was answered"));
    Some(pattern)
}

/// Whoever asks is challenged, and whoever answers that is not answered.
fn only_challenges(view: &View<'_>) -> Pattern {
    let mut pattern = Pattern::new(
        "requests without credentials are challenged, requests with credentials are never answered: those",
    );
    pattern.evidence.push(match place::by_length(view) {
        Some((longest, shortest)) => place::about_length(longest, shortest),
        None => "credentials make a request longer: it may be cut into fragments, or filtered".to_owned(),
    });
    pattern.rejected.push(SERVER_IS_UP.to_owned());
    pattern
}

/// Long requests are never answered, shorter ones are.
fn by_length(view: &View<'_>) -> Option<Pattern> {
    let (longest, shortest) = place::by_length(view)?;
    let mut pattern = Pattern::new(format!("requests of {shortest} bytes and more are never answered: those"));
    pattern.evidence.push(place::about_length(longest, shortest));
    pattern.rejected.push("a server that is down: it answers shorter requests at the same time".to_owned());
    Some(pattern)
}

/// Always the same agents, and never others.
fn by_agent(view: &View<'_>) -> Option<Pattern> {
    let hit = view.met(&[Class::Silence]).count();
    let others = view.agents.len() - hit;
    if (others as u64) < SOME || hit == 0 {
        return None;
    }
    if place::same_agents(view).is_none() {
        return at_their_only_attempt(view);
    }
    if place::same_agents(view) == Some(false) {
        return None;
    }
    let mut pattern = Pattern::new("always the same agents are not answered, whenever they ask: requests");
    pattern.evidence.push(format!("{others} other agents were always answered"));
    pattern.rejected.push("the server is down, or packets are lost: others were answered each time".to_owned());
    Some(pattern)
}

/// Agents that tried once and were not answered, and others that were answered each time they
/// tried: chance would have met some of the others at one of their later attempts.
fn at_their_only_attempt(view: &View<'_>) -> Option<Pattern> {
    let silent = Class::Silence.bit();
    let (hit, others): (Vec<_>, Vec<_>) =
        view.agents.iter().map(|(_, agent)| *agent).partition(|agent| agent.met & silent != 0);
    let failed = silent | Class::Transport.bit();
    let count = view.count(Class::Silence);
    let later: u64 = others.iter().map(|agent| u64::from(agent.attempts.saturating_sub(1))).sum();
    let share = count as f64 / (count + others.len() as u64).max(1) as f64;
    let by_chance = (1.0 - share).powf(later as f64);
    if hit.iter().any(|agent| agent.met & !failed != 0) || by_chance >= BY_CHANCE {
        return None;
    }
    let mut pattern =
        Pattern::new("certain agents are not answered, each at its only attempt, while others always are: requests");
    pattern.is_open = true;
    let answered: u64 = others.iter().map(|agent| u64::from(agent.attempts)).sum();
    pattern.evidence.push(format!("{} other agents were answered at each of {answered} attempts", others.len()));
    pattern.evidence.push("nobody of them tried again: the agent, or the moment of its only attempt".to_owned());
    Some(pattern)
}

pub(super) fn target<'a>(view: &View<'a>) -> &'a str {
    &view.header().target
}

/// Some sources are never answered, the others always.
fn by_source(view: &View<'_>) -> Option<Pattern> {
    let mut counts: BTreeMap<u8, (u64, u64)> = BTreeMap::new();
    for row in view.outcomes.iter().filter(|row| row.class != Class::Transport) {
        let (silent, answered) = counts.entry(row.source).or_default();
        *if row.class == Class::Silence { silent } else { answered } += row.seen.count;
    }
    let dead: Vec<u8> = counts.iter().filter(|(_, n)| n.0 > 0 && n.1 == 0).map(|(source, _)| *source).collect();
    let spared = counts.iter().filter(|(source, _)| !dead.contains(source));
    let (silent, answered) = spared.fold((0, 0), |sum, (_, n)| (sum.0 + n.0, sum.1 + n.1));
    if dead.is_empty() || answered == 0 || silent * 20 > answered {
        return None;
    }
    let names: Vec<_> = dead.iter().map(|&source| view.source(source)).collect();
    let mut pattern = Pattern::new(format!("requests from {} are never answered: those", names.join(", ")));
    pattern.evidence.push(format!("{answered} attempts from other addresses were answered, {silent} were not"));
    pattern.rejected.push("the server is down: other addresses were answered at the same time".to_owned());
    pattern.against = silent;
    Some(pattern)
}

/// A stretch of time without any answer, with answers before or after it; or a few of them.
fn by_moment(view: &View<'_>) -> Option<Pattern> {
    let stretches = moment::stretches(view)?;
    let (first, last) = (stretches.first()?, stretches.last()?);
    let mut pattern = Pattern::new(moment::told(&stretches));
    pattern.window_ns = Some((first.from_ns, last.last_ns(view)));
    pattern.against = stretches.iter().map(|stretch| stretch.answered).sum();
    let outside = view.ticks.iter().map(Tick::answered).sum::<u64>().saturating_sub(pattern.against);
    pattern.evidence.push(format!("answers in it {}, at other times {outside}", pattern.against));
    pattern.evidence.extend(moment::around(view, first));
    pattern.rejected.push("packet loss on the way: all or nothing was answered, by time".to_owned());
    Some(pattern)
}

/// Only seconds with many requests have silent ones.
fn by_rate(view: &View<'_>) -> Option<Pattern> {
    let mut seconds: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    // Where no refresh is hit, refreshes that are answered do not show that a lower rate is.
    let silent = view.outcomes.iter().filter(|row| row.class == Class::Silence);
    let spares_refreshes = silent.clone().count() > 0 && silent.clone().all(|row| row.kind != Kind::Refresh);
    for tick in &view.ticks {
        let new = tick.registered + tick.refused.values().map(|refused| refused.new).sum::<u64>();
        let asked = if spares_refreshes { new } else { tick.started };
        seconds.entry(tick.start_ns / SECOND_NS).or_default().0 += asked;
        if tick.silent > 0 {
            let sent = seconds.entry(tick.start_ns.saturating_sub(view.timer_f_ns()) / SECOND_NS).or_default();
            sent.1 += tick.silent;
            // Those that were answered are counted already.
            sent.0 += if spares_refreshes { tick.silent } else { 0 };
        }
    }
    let border = seconds.values().filter(|(_, silent)| *silent > 0).map(|(started, _)| *started).min()?;
    let calm = seconds.values().filter(|(started, silent)| *started > 0 && *silent == 0 && *started < border);
    let calm: Vec<u64> = calm.map(|(started, _)| *started).collect();
    let busy: Vec<(u64, u64)> = seconds.values().filter(|(started, _)| *started >= border).copied().collect();
    let (attempts, silent) = busy.iter().fold((0, 0), |sum, n| (sum.0 + n.0, sum.1 + n.1));
    let spared: u64 = calm.iter().sum();
    // Were the silence spread evenly, the calm seconds would have had this many.
    let due = silent as f64 / attempts.max(1) as f64 * spared as f64;
    if calm.len() < 5 || busy.len() < 5 || due < EXPECTED {
        return None;
    }
    let mut pattern = Pattern::new(format!("from {border} attempts/s on requests are left unanswered: those"));
    pattern.evidence.push(format!("{silent} of {attempts} attempts in {} seconds at {border}/s or more", busy.len()));
    pattern.evidence.push(format!("none of {spared} attempts in {} seconds below it", calm.len()));
    pattern.rejected.push(format!("chance: spread evenly, {due:.0} silent ones would be due below {border}/s"));
    Some(pattern)
}

/// Un-REGISTERs without an answer: those that failed, less those that were refused.
fn silent_removals(view: &View<'_>) -> u64 {
    let responses = view.results.responses.iter().filter(|row| row.trunk == view.trunk);
    let refused = responses.filter(|row| row.kind == Kind::Unregister && row.code >= 300 && !row.challenge);
    let failed = view.results.trunk_totals[usize::from(view.trunk)].sums.unregister_failed;
    failed.saturating_sub(refused.map(|row| row.count).sum())
}

/// Answered in the end, but requests had to be repeated.
///
/// Of the retransmissions, those of requests that were never answered are
/// [`TimersHeader::repeats`](crate::record::results::TimersHeader::repeats) each at most. An answer
/// that came twice or late shows that nothing was lost, only slower than T1: as many
/// retransmissions were needless. Each one left stands for an exchange (a request or its answer)
/// that was lost. With how many they are.
fn packet_loss(view: &View<'_>) -> Option<(Draft, u64)> {
    let totals = &view.results.trunk_totals[usize::from(view.trunk)];
    let sums = &totals.sums;
    // Those of attempts cut off by the run's end are not told apart: all are left out. So are those
    // that were undeliverable in the end: a host that limits its ICMP lets most copies of a request
    // go by without a word.
    let unanswered = view.count(Class::Silence)
        + view.count(Class::Transport)
        + silent_removals(view)
        + view.left_unanswered()
        + sums.status[Status::Abandoned.index()];
    let repeats = view.header().timers.repeats();
    let needless = sums.duplicate_responses + sums.late_responses;
    let lost = sums.retransmissions.saturating_sub(unanswered * repeats).saturating_sub(needless);
    let sent = sums.messages_sent.saturating_sub(unanswered * (repeats + 1)).saturating_sub(needless);
    // The answers to the last of many needless ones are still on their way when a run ends.
    if lost < LEAST_INFO || lost <= 4 * needless || sent == 0 || stood_still(view) {
        return None;
    }
    let exchanges = lost as f64 / sent.max(lost) as f64;
    let one_way = 1.0 - (1.0 - exchanges).sqrt();
    let severity = if one_way >= LOSS && lost >= LEAST_WARNING { Severity::Warning } else { Severity::Info };
    let mut draft = Draft::new("packet-loss", severity, Some(view.trunk));
    let hit = || view.ticks.iter().filter(|tick| tick.retransmitted > 0);
    draft.first_ns = hit().next().map_or(0, |tick| tick.start_ns);
    draft.last_ns = hit().next_back().map_or(0, |tick| tick.start_ns + view.tick_ns);
    draft.attempts = lost;
    // Which agents repeated a request is not kept; each loss hits one.
    draft.agents = lost.min(view.agents.len() as u64);
    draft.confidence = confidence(lost, needless);
    draft.summary = format!(
        "about {} of the packets are lost in each direction: {} had to be repeated",
        percent(one_way, 1.0),
        counted(lost, "request")
    );
    draft.evidence = vec![
        format!(
            "retransmissions {}, at most {} of them of requests never answered",
            sums.retransmissions,
            (unanswered * repeats).min(sums.retransmissions)
        ),
        format!("duplicate answers {}, late answers {}", sums.duplicate_responses, sums.late_responses),
        format!(
            "1 - sqrt(1 - {lost} / {sent}): requests repeated for a loss over those sent, the loss taken as equal in both directions; in one direction alone it would be {}",
            percent(exchanges, 1.0)
        ),
    ];
    if needless > 0 {
        draft.evidence.push(format!(
            "the server also answers slowly: {} came after the request had been repeated, which is no loss",
            counted(needless, "answer")
        ));
    } else {
        draft.excludes(Rival::Slow, "a slow server: no answer came late or twice");
    }
    if needless * 20 <= lost {
        draft.excludes_all(
            &[Rival::Overload, Rival::Slow],
            "a slow server, or a queue: hardly any answer came late or twice",
        );
    }
    if view.count(Class::Silence) > 0 && particular(view).is_some() {
        // What is not answered at certain times, or above a rate, is repeated then as well.
        draft.severity = Severity::Info;
        draft.confidence = draft.confidence.min(Confidence::Low);
    }
    doubt_own_messages(view, &mut draft);
    Some((draft, lost))
}

/// What had to be repeated: lost by chance, or, where the same requests had to be repeated again
/// and again, perhaps not answered on purpose or for some defect.
fn losses(view: &View<'_>) -> Vec<Draft> {
    let Some((mut loss, lost)) = packet_loss(view) else { return Vec::new() };
    let certain = Copies::of(view, lost).filter(Copies::are_certain_ones);
    let Some(Copies { kind, repeated, answered, lost_in_a_row, by_chance }) = certain else {
        let why = "certain requests: copies of one are lost in a row no more often than by chance";
        loss.excludes(Rival::Certain, why);
        return vec![loss];
    };
    let mut draft = Draft { id: "no-response", ..loss.clone() };
    draft.severity = Severity::Warning;
    draft.confidence = Confidence::Open;
    draft.attempts = repeated;
    draft.agents = repeated.min(view.agents.len() as u64);
    draft.summary =
        format!("{repeated} of {answered} {kind} are answered only after several repeats, the others at once");
    draft.evidence = vec![format!(
        "{lost_in_a_row:.1} copies of each request that was repeated were not answered; lost by chance it would be {by_chance:.1}"
    )];
    draft.evidence.extend(place::table(view));
    (draft.excluded, draft.rejected) = (Vec::new(), Vec::new());
    draft.excludes_all(
        &[Rival::Overload, Rival::Slow],
        "a slow server, or a queue: the others are answered at once, and hardly any answer came twice",
    );
    vec![draft, loss]
}

/// Whether requests stayed unanswered only while nobody was answered: a registrar that restarts, or
/// a path that is gone for a while. Packets lost by chance spare others that are sent meanwhile.
fn stood_still(view: &View<'_>) -> bool {
    // Stretches of requests that were not answered within T1, by when they were sent.
    let t1_ns = view.header().timers.t1_ns;
    let mut spans: Vec<(u64, u64)> = Vec::new();
    for tick in view.ticks.iter().filter(|tick| tick.unanswered > 0) {
        match spans.last_mut() {
            Some((_, until)) if tick.start_ns <= *until + t1_ns => *until = tick.start_ns,
            _ => spans.push((tick.start_ns, tick.start_ns)),
        }
    }
    // The edges are left out: what is answered in a tick may have been so before it, or after.
    let inside = |tick: &Tick| spans.iter().any(|(from, until)| (from + 1..*until).contains(&tick.start_ns));
    let near = |tick: &Tick| {
        let near =
            |(from, until): &(u64, u64)| (from.saturating_sub(NEAR_NS)..until + NEAR_NS).contains(&tick.start_ns);
        !spans.iter().any(|(from, until)| (*from..=*until).contains(&tick.start_ns)) && spans.iter().any(near)
    };
    let swift =
        |of: &dyn Fn(&Tick) -> bool| -> u64 { view.ticks.iter().filter(|tick| of(tick)).map(|tick| tick.swift).sum() };
    let inside_ns: u64 = spans.iter().map(|(from, until)| (until - from).saturating_sub(view.tick_ns)).sum();
    // So many would have been answered at once in as long a time.
    let due = swift(&near) as f64 * inside_ns as f64 / (2 * NEAR_NS * spans.len() as u64).max(1) as f64;
    due >= EXPECTED && (swift(&inside) as f64) < due / 5.0
}

/// How far around a stretch of time it is compared with.
const NEAR_NS: u64 = 2 * SECOND_NS;
const SERVER_IS_UP: &str = "a server that is down: it answers other requests at the same time";
const SECOND_NS: u64 = 1_000_000_000;
/// Silent attempts that a calm time must have spared before a rate is made responsible: by chance
/// e^-5 = 0.7 %.
const EXPECTED: f64 = 5.0;
/// Losses worth a word, and worth a warning together with [`LOSS`].
const LEAST_INFO: u64 = 5;
const LEAST_WARNING: u64 = 20;
/// Share of packets lost in each direction.
const LOSS: f64 = 0.005;
