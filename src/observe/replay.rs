//! Entries in, results out: what was seen is told to a [`Tally`] in order of time, and its
//! intervals go through a record in memory, so that they are summed up, checked and balanced by the
//! code that does it for a run.

use super::entry::{Entry, SeenEnd, SeenTexts, What};
use super::roster::Roster;
use super::{ObserveError, entry::TextId, waits};
use crate::agent::exchange;
use crate::agent::looping::{LoopStep, Looping};
use crate::measure::tally::SAMPLE_EVERY;
use crate::measure::{AttemptEnd, Clues, Event, Granted, Interval, Offer, RequestEnd, Subject, Tally, TallyConfig};
use crate::record::results::GeneratorLimits;
use crate::record::{End as RunEnd, Header, Observed, Results, Writer, read};
use crate::vocab::{AgentId, Refusal, Status, Time, TrunkId, nanos};
use std::time::Duration;

/// Everything a source showed.
pub(super) struct Seen {
    /// The source's name.
    pub(super) name: String,
    /// `capture` or `event log`.
    pub(super) observed: Observed,
    /// As in [`Header::answers_missing`].
    pub(super) answers_missing: bool,
    pub(super) roster: Roster,
    pub(super) words: SeenTexts,
    pub(super) entries: Vec<Entry>,
    /// When watching ended, nanoseconds since the Unix epoch.
    pub(super) end: u64,
}

/// Lays out what was seen as the results of a run; `None` when nothing was.
///
/// # Errors
/// When it spans more than [`LONGEST`].
pub(super) fn results(mut seen: Seen) -> Result<Option<Results>, ObserveError> {
    // Stable: what is told in one moment keeps its order.
    seen.entries.sort_by_key(|entry| entry.at);
    let Some(first) = seen.entries.first().map(|entry| entry.at) else {
        return Ok(None);
    };
    let start = first / SECOND_NS * SECOND_NS;
    let end = seen.end.max(seen.entries.last().map_or(start, |entry| entry.at));
    check_length(start, end)?;
    let span = Duration::from_nanos(end - start);
    let interval = interval_for(span);
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    let written = write(&mut writer, &seen, start, end, interval);
    written.expect("a vector takes every byte");
    Ok(Some(read(bytes.as_slice())?))
}

/// The same check as of results, for what is not laid out.
///
/// # Errors
/// When it spans more than [`LONGEST`].
pub(super) fn check_span(seen: &Seen) -> Result<(), ObserveError> {
    let times = || seen.entries.iter().map(|entry| entry.at);
    let first = times().min().unwrap_or(seen.end);
    check_length(first / SECOND_NS * SECOND_NS, seen.end.max(times().max().unwrap_or(first)))
}

fn check_length(start: u64, end: u64) -> Result<(), ObserveError> {
    if Duration::from_nanos(end - start) > LONGEST { Err(too_long(start, end)) } else { Ok(()) }
}

fn write(
    writer: &mut Writer<&mut Vec<u8>>,
    seen: &Seen,
    start: u64,
    end: u64,
    interval: Duration,
) -> std::io::Result<()> {
    writer.header(&header(seen, start, interval))?;
    let mut replay = Retelling::new(seen, start, interval);
    for entry in &seen.entries {
        while replay.tally.next_close() <= replay.time(entry.at) {
            let at = replay.tally.next_close();
            writer.interval(&thinned(replay.tally.close(at)))?;
        }
        replay.tell(entry);
    }
    let ended = replay.time(end) + Duration::from_nanos(1);
    while replay.tally.next_close() < ended {
        let at = replay.tally.next_close();
        writer.interval(&thinned(replay.tally.close(at)))?;
    }
    let registered = replay.tally.registered();
    writer.interval(&thinned(replay.tally.close(ended)))?;
    let ended_ns = ended.nanos_since(START);
    writer.end(&RunEnd {
        ended_ns,
        load_ended_ns: ended_ns,
        interrupted_by: None,
        aborted: None,
        lost: None,
        left_bound: 0,
        registered_after_drain: registered,
        user_s: 0.0,
        system_s: 0.0,
        max_rss_bytes: 0,
        sender_cpu_pct: 0.0,
    })
}

/// Keeps the highest of an interval's samples: ten a second of a week are more than anyone reads.
fn thinned(mut interval: Interval) -> Interval {
    let highest = interval.registered_samples.iter().copied().max_by_key(|&(_, agents)| agents);
    interval.registered_samples = highest.into_iter().collect();
    interval
}

fn header(seen: &Seen, start: u64, interval: Duration) -> Header {
    let agents = &seen.roster.agents;
    let mut trunks = seen.roster.headers();
    for (trunk, retry) in trunks.iter_mut().zip(waits::observed(&seen.roster, &seen.entries)) {
        trunk.retry = retry;
    }
    let several_sources = trunks.iter().any(|trunk| !trunk.sources.is_empty());
    Header {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        name: seen.name.clone(),
        started_unix_ns: i64::try_from(start).unwrap_or(i64::MAX),
        interval_ns: nanos(interval),
        users: agents.iter().map(|agent| agent.user.clone()).collect(),
        agent_trunks: agents.iter().map(|agent| agent.trunk).collect(),
        agent_sources: if several_sources { agents.iter().map(|agent| agent.source).collect() } else { Vec::new() },
        call_ids: agents.iter().map(|agent| agent.call_id.clone()).collect(),
        trunks,
        profile_json: "{}".to_owned(),
        observed: Some(seen.observed),
        answers_missing: seen.answers_missing,
        generator: GeneratorLimits { late_ns: u64::MAX, stall_ns: u64::MAX, suspect_late: 1.0, invalid_late: 1.0 },
        features: vec![seen.observed.as_str().to_owned()],
        arrivals_planned: agents.len() as u64,
        workers: 1,
        ..Header::default()
    }
}

struct Retelling<'a> {
    seen: &'a Seen,
    start: u64,
    tally: Tally,
    /// By agent.
    looping: Vec<Looping>,
}

impl<'a> Retelling<'a> {
    fn new(seen: &'a Seen, start: u64, interval: Duration) -> Self {
        let config = TallyConfig {
            trunks: seen.roster.trunks(),
            agents: seen.roster.len(),
            worker: 0,
            workers: 1,
            interval,
            passed: Duration::ZERO,
            warmup: Duration::ZERO,
            start: START,
            late: Duration::MAX,
            stall: Duration::MAX,
        };
        let tally = Tally::new(config).sampled_every((interval / SAMPLES).max(SAMPLE_EVERY));
        Retelling { seen, start, tally, looping: vec![Looping::default(); seen.roster.len()] }
    }

    fn time(&self, at: u64) -> Time {
        START + Duration::from_nanos(at.saturating_sub(self.start))
    }

    fn tell(&mut self, entry: &Entry) {
        let agent = &self.seen.roster.agents[entry.agent as usize];
        let trunk = TrunkId(agent.trunk);
        let subject = Subject { agent: AgentId(entry.agent), trunk, source: agent.source };
        match entry.what {
            What::Request { bytes, .. } | What::Retransmitted { bytes, .. } => self.tally.sent(trunk, bytes as usize),
            What::Received { bytes } => {
                self.tally.received(trunk, bytes as usize);
                return;
            }
            _ => {}
        }
        if let What::Started { kind } = entry.what {
            // What was planned, and what went before the first request, no observer sees.
            let at = self.time(entry.at);
            self.tally.event(subject, &Event::Began { kind, planned: at, at });
        }
        self.tally.event(subject, &self.event(entry));
        if let What::Ended(end) = &entry.what {
            self.judge_looping(subject, end, self.time(entry.at));
        }
    }

    fn event(&self, entry: &Entry) -> Event<'a> {
        let at = self.time(entry.at);
        match entry.what {
            What::Arrived => Event::Arrived { planned: at },
            What::Retired => Event::Retired { at },
            What::Started { .. } => Event::Started { at },
            What::Request { kind, .. } => Event::Request { kind },
            What::Retransmitted { first_sent, .. } => {
                Event::Retransmitted { at, first_sent: first_sent.map(|sent| self.time(sent)) }
            }
            What::RequestEnded { kind, fate, bytes, sent } => {
                Event::RequestEnded(RequestEnd { kind, fate, bytes, sent: self.time(sent) })
            }
            // Not reached: what came is counted as a message, and is no event.
            What::Received { .. } => Event::Retransmitted { at, first_sent: None },
            What::Challenged { kind, code, reason, since } => {
                Event::Challenged { kind, code, reason: self.text(reason), since: self.time(since), at }
            }
            What::Offered { realm, offered, answered, stale } => {
                Event::Offered(Offer { at, realm: self.text(realm), offered, answered, stale, nonce_length: 0 })
            }
            What::Granted { kind, asked_s, granted_s, listed, echo, example } => {
                Event::Granted(Granted { at, kind, asked_s, granted_s, listed, echo, example: self.text(example) })
            }
            What::Ended(ref end) => Event::Ended(self.attempt_end(end, at)),
            What::Registered { until } => Event::Registered { at, until: self.time(until) },
            What::Lapsed => Event::Lapsed { at },
            What::Unregistered => Event::Unregistered { at },
            What::UnregisterEnded { code, reason, ok, sent } => Event::UnregisterEnded {
                code,
                reason: reason.map(|word| self.text(word)),
                ok,
                sent: self.time(sent),
                at,
            },
            What::LateResponse => Event::LateResponse,
            What::DuplicateResponse => Event::DuplicateResponse,
        }
    }

    fn attempt_end(&self, end: &SeenEnd, at: Time) -> AttemptEnd<'a> {
        let sent = self.time(end.sent);
        AttemptEnd {
            kind: end.kind,
            status: end.status,
            code: end.code,
            reason: end.reason.map(|word| self.text(word)),
            place: end.place,
            planned: sent,
            sent: Some(sent),
            credentials_sent: end.credentials_sent.map(|at| self.time(at)),
            at,
            ineffective: end.status != Status::Abandoned && exchange::is_ineffective(end.status, end.code),
            clues: Clues {
                stale: end.stale,
                algorithm: end.algorithm,
                retry_after: end.retry_after,
                ..Clues::default()
            },
        }
    }

    /// The rule of `agent::looping`, for phones that are not ours.
    fn judge_looping(&mut self, subject: Subject, end: &SeenEnd, at: Time) {
        let looping = &mut self.looping[subject.agent.index()];
        // Answers that were not recorded are no refusals.
        if end.status == Status::Abandoned || self.seen.answers_missing {
            return;
        }
        if end.status == Status::Registered {
            if looping.succeeded() {
                self.tally.event(subject, &Event::LoopEnded);
            }
            return;
        }
        let refusal = Refusal { kind: end.loop_kind, code: end.code, place: end.place };
        let (ended, step) = looping.refused(refusal, at);
        if ended {
            self.tally.event(subject, &Event::LoopEnded);
        }
        match step {
            LoopStep::Counted => {}
            LoopStep::Started { first_seen, attempts } => {
                self.tally.event(subject, &Event::LoopStarted { refusal, first_seen, attempts });
            }
            LoopStep::Grew => self.tally.event(subject, &Event::LoopGrew),
        }
    }

    fn text(&self, word: TextId) -> &'a [u8] {
        self.seen.words.text(word)
    }
}

/// The shortest of the usual intervals that makes no more than [`INTERVALS`] of a span.
fn interval_for(span: Duration) -> Duration {
    let usual = [1, 10, 60, 600, 3_600, 6 * 3_600, 86_400].map(Duration::from_secs);
    usual.into_iter().find(|&interval| span.as_nanos() / interval.as_nanos() <= INTERVALS).unwrap_or(LONGEST)
}

fn too_long(start: u64, end: u64) -> ObserveError {
    let utc = |ns: u64| {
        jiff::Timestamp::from_nanosecond(ns.into()).map_or_else(|_| format!("{ns} ns"), |time| format!("{time:.0}"))
    };
    let days = |span: Duration| span.as_secs() / 86_400;
    let span = Duration::from_nanos(end - start);
    ObserveError::TooLong { days: days(span), first: utc(start), last: utc(end), longest: days(LONGEST) }
}

/// The clock's reading when watching began; zero is no time.
const START: Time = Time::from_secs(1);
const SECOND_NS: u64 = 1_000_000_000;
const INTERVALS: u128 = 1_000;
/// The number of registered phones is sampled so often in an interval: as often as in a run where
/// intervals are short, and less where a span of months would cost hundreds of millions of samples.
const SAMPLES: u32 = 600;
/// A time in 1970 beside one of this year is a broken record, not a long
/// one.
const LONGEST: Duration = Duration::from_secs(400 * 86_400);
