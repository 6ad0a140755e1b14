//! A small run made by hand: a list of attempts, folded into [`Results`] the way a reader does, so
//! that the books balance by construction.

use hdrhistogram::Histogram;
use regstorm::measure::{Evidence, GeneratorCounts, ResponseRow, TrunkInterval};
use regstorm::record::results::{Aborted, GeneratorLimits, Host};
use regstorm::record::{
    AgentResult, End, Header, IntervalResult, LagRow, LatencyRow, LoopResult, RegistrarHeader, Results, Totals,
    TrunkHeader,
};
use regstorm::vocab::{Kind, LoopKind, Phase, Place, Stage, Status, Transport};

pub const SECOND: u64 = 1_000_000_000;
/// 2026-11-21T01:02:03.004Z.
pub const STARTED_UNIX_NS: i64 = 1_795_222_923_004_000_000;

/// One attempt of the fixture.
#[derive(Clone, Copy)]
struct Attempt {
    agent: u32,
    trunk: u16,
    kind: Kind,
    status: Status,
    code: u16,
    reason: &'static str,
    /// Nanoseconds since the start; it began `us` earlier.
    at: u64,
    us: u64,
}

/// The shape of a run.
pub struct Shape {
    pub trunks: u16,
    pub agents_per_trunk: u32,
    /// Intervals of the load, 10 s each; a drain of 5 s and an interval of un-REGISTERs follow.
    pub load_intervals: u32,
    /// Every n-th agent is refused and tries again every interval; 0: none is.
    pub refuse_every: u32,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape { trunks: 2, agents_per_trunk: 10, load_intervals: 6, refuse_every: 5 }
    }
}

/// Two trunks of ten agents; every fifth agent is in a 403 loop, one is shed, one times out, one
/// never arrives.
pub fn run() -> Results {
    Shape::default().results()
}

/// A run in which every agent registers.
pub fn healthy() -> Results {
    Shape { refuse_every: 0, ..Shape::default() }.results()
}

/// A condition that held after twenty seconds.
pub fn aborted() -> Aborted {
    let (name, expr) = ("trunk.trunk_00.success_ratio".to_owned(), "< 0.5".to_owned());
    Aborted { name, expr, value: 0.125, at_ns: 20 * SECOND }
}

/// The same without its last frame.
pub fn killed() -> Results {
    let mut results = run();
    results.end = None;
    results.torn = Some("block 7: 31 of 512 bytes".to_owned());
    results
}

/// A run in which nothing happened.
pub fn empty() -> Results {
    let mut results = Shape { trunks: 1, agents_per_trunk: 3, load_intervals: 0, refuse_every: 0 }.results();
    results.intervals.clear();
    results.header.arrivals_planned = 0;
    results
}

impl Shape {
    pub fn results(&self) -> Results {
        let attempts = self.attempts();
        let intervals = self.intervals(&attempts);
        let trunk_totals: Vec<_> =
            (0..self.trunks).map(|trunk| self.totals(&attempts, &intervals, Some(trunk))).collect();
        Results {
            header: self.header(&attempts),
            end: Some(self.end()),
            totals: self.totals(&attempts, &intervals, None),
            trunk_totals,
            agents: self.agents(&attempts),
            loops: self.loops(&attempts),
            responses: responses(&attempts),
            evidence: Evidence::default(),
            lag_us: histogram((1..=100).map(|n| n * 10)),
            torn: None,
            interventions: Vec::new(),
            resolutions: Vec::new(),
            truth: Vec::new(),
            canary_notes: Vec::new(),
            imbalances: Vec::new(),
            fleet: None,
            intervals,
        }
    }

    fn load_end(&self) -> u64 {
        u64::from(self.load_intervals) * 10 * SECOND
    }

    fn total_agents(&self) -> u32 {
        u32::from(self.trunks) * self.agents_per_trunk
    }

    fn refused(&self, agent: u32) -> bool {
        self.refuse_every > 0 && agent % self.refuse_every == self.refuse_every - 1
    }

    /// Agent n arrives n·100 ms (at most half the load) after the start.
    fn arrival(&self, agent: u32) -> u64 {
        u64::from(agent) * 100_000_000 % (self.load_end() / 2).max(1)
    }

    fn attempts(&self) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        if self.load_intervals == 0 {
            return attempts;
        }
        for agent in 0..self.total_agents() {
            let trunk = (agent / self.agents_per_trunk) as u16;
            let us = 1_200 + u64::from(agent) * 37;
            let at = self.arrival(agent) + us * 1_000;
            let base = Attempt {
                agent,
                trunk,
                kind: Kind::Initial,
                status: Status::Registered,
                code: 200,
                reason: "OK",
                at,
                us,
            };
            match agent {
                _ if self.refused(agent) => attempts.extend((0..self.load_intervals).map(|n| Attempt {
                    kind: if n == 0 { Kind::Initial } else { Kind::Retry },
                    status: Status::AuthenticationFailed,
                    code: 403,
                    reason: "Registration \"limit\" exceeded, <b>sorry</b>",
                    at: at + u64::from(n) * 10 * SECOND,
                    ..base
                })),
                1 if self.refuse_every > 0 => {
                    attempts.push(Attempt { status: Status::Shed, code: 0, reason: "", us: 0, ..base })
                }
                2 if self.refuse_every > 0 => attempts.push(Attempt {
                    status: Status::RequestTimeout,
                    code: 0,
                    reason: "timeout",
                    at: self.arrival(agent) + 32 * SECOND,
                    us: 32_000_000,
                    ..base
                }),
                3 if self.refuse_every > 0 => {}
                _ => {
                    attempts.push(base);
                    attempts.push(Attempt { kind: Kind::Refresh, at: at + 30 * SECOND, us: 900, ..base });
                }
            }
        }
        // The run ends with its load: nobody tries again afterwards.
        attempts.retain(|attempt| attempt.at < self.load_end());
        attempts
    }

    fn header(&self, attempts: &[Attempt]) -> Header {
        let agents = self.total_agents();
        Header {
            tool_version: "0.1.0".to_owned(),
            name: "nj <pilot> & \"friends\"".to_owned(),
            started_unix_ns: STARTED_UNIX_NS,
            seed: 7,
            interval_ns: 10 * SECOND,
            trunks: (0..self.trunks).map(|n| self.trunk(n)).collect(),
            users: (0..agents).map(|n| format!("agent{n:05}")).collect(),
            agent_trunks: (0..agents).map(|n| (n / self.agents_per_trunk) as u16).collect(),
            profile_json: r#"{"run":{"name":"nj","seed":7},"trunk":[{"id":"trunk_00","agents":{"password":"***"}}]}"#
                .to_owned(),
            generator: GeneratorLimits {
                late_ns: 5_000_000,
                stall_ns: 10_000_000,
                suspect_late: 0.001,
                invalid_late: 0.05,
            },
            host: Host {
                name: "bench-1".to_owned(),
                os: "Linux".to_owned(),
                kernel: "6.1.0".to_owned(),
                cpus: 2,
                cpu_model: "Test CPU".to_owned(),
                memory_bytes: 8_000_000_000,
            },
            features: vec!["recvmmsg".to_owned(), "rx-timestamp".to_owned(), "rcvbuf=8388608".to_owned()],
            arrivals_planned: attempts.iter().filter(|a| a.kind == Kind::Initial).count() as u64,
            workers: 2,
            run_tag: 7,
            ..Header::default()
        }
    }

    fn trunk(&self, n: u16) -> TrunkHeader {
        TrunkHeader {
            id: format!("trunk_{n:02}"),
            registrar: RegistrarHeader::Embedded,
            target: format!("127.0.0.1:{}", 5060 + n),
            transport: Some(Transport::Udp),
            domain: "example.test".to_owned(),
            agents: self.agents_per_trunk,
            expires_s: 3_600,
            ..TrunkHeader::default()
        }
    }

    fn end(&self) -> End {
        End {
            ended_ns: self.load_end() + 15 * SECOND,
            load_ended_ns: self.load_end(),
            interrupted_by: None,
            registered_after_drain: 0,
            user_s: 0.25,
            system_s: 0.5,
            max_rss_bytes: 32_000_000,
            sender_cpu_pct: 4.5,
            aborted: None,
            lost: None,
            left_bound: 0,
        }
    }

    fn intervals(&self, attempts: &[Attempt]) -> Vec<IntervalResult> {
        let load = (0..self.load_intervals).map(|n| (u64::from(n) * 10 * SECOND, 10 * SECOND, Stage::Load));
        let end = self.load_end();
        let tail = [(end, 5 * SECOND, Stage::Drain), (end + 5 * SECOND, 10 * SECOND, Stage::Unregister)];
        let spans = load.chain(tail).enumerate();
        spans
            .map(|(index, (start, length, stage))| self.interval(attempts, index as u32, start, start + length, stage))
            .collect()
    }

    fn interval(&self, attempts: &[Attempt], index: u32, start_ns: u64, end_ns: u64, stage: Stage) -> IntervalResult {
        let within: Vec<_> = attempts.iter().filter(|a| a.at >= start_ns && a.at < end_ns).copied().collect();
        let mut latency = Vec::new();
        for trunk in 0..self.trunks {
            for phase in [Phase::Register, Phase::Refresh, Phase::RegisterFailed] {
                // A histogram takes 140 KB; only those with a value are made.
                if timed(&within, Some(trunk), phase).next().is_some() {
                    latency.push(latency_row(trunk, phase, &histogram(timed(&within, Some(trunk), phase))));
                }
            }
        }
        let arrivals = within.iter().filter(|a| a.kind == Kind::Initial).count() as u64;
        IntervalResult {
            index,
            start_ns,
            end_ns,
            stage,
            trunks: (0..self.trunks).map(|trunk| self.sums(attempts, &within, trunk, start_ns, end_ns)).collect(),
            latency,
            lag: (arrivals > 0).then_some(LagRow { p50_us: 20, p99_us: 100, max_us: 110 }),
            generator: GeneratorCounts { arrivals, cpu_ns: 100_000_000, ..GeneratorCounts::default() },
            registered_peak: self.registered_from(attempts, None).iter().filter(|from| **from < end_ns).count() as u64,
        }
    }

    fn sums(&self, all: &[Attempt], within: &[Attempt], trunk: u16, start: u64, end: u64) -> TrunkInterval {
        let mut sums = TrunkInterval::default();
        for attempt in within.iter().filter(|a| a.trunk == trunk) {
            sums.status[attempt.status.index()] += 1;
            sums.started[attempt.kind.index()] += 1;
            sums.ended[attempt.kind.index()] += 1;
            if attempt.status != Status::Shed {
                sums.register_requests += 2;
                sums.messages_sent += 2;
                sums.messages_received += if attempt.code > 0 { 2 } else { 0 };
                sums.bytes_sent += 1_000;
                sums.bytes_received += if attempt.code > 0 { 800 } else { 0 };
            }
            sums.ineffective += u64::from(attempt.status == Status::RequestTimeout);
            sums.loop_attempts += u64::from(attempt.status == Status::AuthenticationFailed);
        }
        let overlap = |from: u64| end.saturating_sub(from.max(start));
        if start < self.load_end() {
            let on = self.registered_from(all, Some(trunk));
            let due: Vec<_> = initial(all, trunk).map(|a| self.arrival(a.agent)).collect();
            sums.planned = due.iter().filter(|from| **from < end).count() as u64;
            sums.registered = on.iter().filter(|from| **from < end).count() as u64;
            sums.planned_agent_ns = due.into_iter().map(overlap).map(u128::from).sum();
            sums.registered_agent_ns = on.into_iter().map(overlap).map(u128::from).sum();
        }
        sums
    }

    fn registered_from(&self, attempts: &[Attempt], trunk: Option<u16>) -> Vec<u64> {
        let first = attempts.iter().filter(|a| a.kind == Kind::Initial && a.status == Status::Registered);
        first.filter(|a| trunk.is_none_or(|t| a.trunk == t)).map(|a| a.at).collect()
    }

    fn totals(&self, attempts: &[Attempt], intervals: &[IntervalResult], trunk: Option<u16>) -> Totals {
        let mut sums = TrunkInterval::default();
        for interval in intervals {
            let trunks = interval.trunks.iter().enumerate();
            for (_, part) in trunks.filter(|(n, _)| trunk.is_none_or(|t| usize::from(t) == *n)) {
                add(&mut sums, part);
            }
        }
        let on = self.registered_from(attempts, trunk).len() as u64;
        let looping = self.loops(attempts).iter().filter(|row| trunk.is_none_or(|t| row.trunk == t)).count() as u64;
        let phases = [Phase::Register, Phase::RegisterService, Phase::RegisterFailed, Phase::Refresh];
        let occurred = phases.into_iter().filter(|phase| timed(attempts, trunk, *phase).next().is_some());
        let latency_us = occurred.map(|phase| (phase, histogram(timed(attempts, trunk, phase))));
        let arrivals = attempts.iter().filter(|a| a.kind == Kind::Initial).count() as u64;
        Totals {
            attempts: sums.status.iter().sum(),
            sums,
            generator: GeneratorCounts { arrivals, cpu_ns: 500_000_000, ..GeneratorCounts::default() },
            agents: u64::from(if trunk.is_some() { self.agents_per_trunk } else { self.total_agents() }),
            agents_registered_peak: on,
            agents_registered_at_end: on,
            agents_reachable_at_end: on,
            agents_looping: looping,
            latency_us: latency_us.collect(),
        }
    }

    fn agents(&self, attempts: &[Attempt]) -> Vec<AgentResult> {
        let row = |agent| {
            let own: Vec<_> = attempts.iter().filter(|a| a.agent == agent).collect();
            let last = own.last();
            AgentResult {
                status: last.map(|a| a.status),
                attempts: own.len() as u32,
                registered: own.iter().filter(|a| a.status == Status::Registered).count() as u32,
                last_code: last.map_or(0, |a| a.code),
                last_reason: last.map_or_else(String::new, |a| a.reason.to_owned()),
                loop_kind: self.refused(agent).then_some(LoopKind::ForbiddenAfterAuth),
                first_registered_ns: own.iter().find(|a| a.status == Status::Registered).map(|a| a.at),
                last_change_ns: last.map_or(0, |a| a.at),
                met: 0,
                address: None,
                first_requests: 0,
            }
        };
        (0..self.total_agents()).map(row).collect()
    }

    fn loops(&self, attempts: &[Attempt]) -> Vec<LoopResult> {
        let looping = (0..self.total_agents()).filter(|agent| self.refused(*agent));
        let rows = looping.filter_map(|agent| {
            let own: Vec<_> = attempts.iter().filter(|a| a.agent == agent).collect();
            let (first, last) = (own.first()?, own.last()?);
            Some(LoopResult {
                agent,
                trunk: first.trunk,
                number: 0,
                kind: LoopKind::ForbiddenAfterAuth,
                place: Place::AfterCredentials,
                code: 403,
                reason: first.reason.to_owned(),
                attempts: own.len() as u32,
                first_seen_ns: first.at,
                last_seen_ns: last.at,
            })
        });
        rows.collect()
    }
}

fn initial(attempts: &[Attempt], trunk: u16) -> impl Iterator<Item = &Attempt> {
    attempts.iter().filter(move |a| a.trunk == trunk && a.kind == Kind::Initial)
}

fn timed(attempts: &[Attempt], trunk: Option<u16>, phase: Phase) -> impl Iterator<Item = u64> {
    let belongs = move |a: &&Attempt| match phase {
        Phase::Refresh => a.kind == Kind::Refresh && a.status == Status::Registered,
        Phase::RegisterFailed => !matches!(a.status, Status::Registered | Status::Shed | Status::Abandoned),
        _ => a.kind != Kind::Refresh && a.status == Status::Registered,
    };
    let early = if phase == Phase::RegisterService { 50 } else { 0 };
    attempts.iter().filter(move |a| trunk.is_none_or(|t| a.trunk == t)).filter(belongs).map(move |a| a.us - early)
}

fn responses(attempts: &[Attempt]) -> Vec<ResponseRow> {
    let mut rows: Vec<ResponseRow> = Vec::new();
    let mut count = |a: &Attempt, challenge: bool, code: u16, reason: &str| {
        let same = |row: &&mut ResponseRow| {
            (row.trunk, row.kind, row.challenge, row.code) == (a.trunk, a.kind, challenge, code)
        };
        match rows.iter_mut().find(same) {
            Some(row) => (row.count, row.last_seen_ns) = (row.count + 1, row.last_seen_ns.max(a.at)),
            None => rows.push(ResponseRow {
                trunk: a.trunk,
                kind: a.kind,
                challenge,
                code,
                reason: reason.to_owned(),
                count: 1,
                first_seen_ns: a.at,
                last_seen_ns: a.at,
            }),
        }
    };
    for attempt in attempts.iter().filter(|a| a.status != Status::Shed) {
        if attempt.code > 0 && attempt.kind != Kind::Refresh {
            count(attempt, true, 401, "Unauthorized");
        }
        count(attempt, false, attempt.code, attempt.reason);
    }
    rows
}

fn add(sums: &mut TrunkInterval, part: &TrunkInterval) {
    sums.status.iter_mut().zip(part.status).for_each(|(sum, n)| *sum += n);
    sums.started.iter_mut().zip(part.started).for_each(|(sum, n)| *sum += n);
    sums.ended.iter_mut().zip(part.ended).for_each(|(sum, n)| *sum += n);
    sums.register_requests += part.register_requests;
    sums.messages_sent += part.messages_sent;
    sums.messages_received += part.messages_received;
    sums.bytes_sent += part.bytes_sent;
    sums.bytes_received += part.bytes_received;
    sums.ineffective += part.ineffective;
    sums.loop_attempts += part.loop_attempts;
    sums.planned_agent_ns += part.planned_agent_ns;
    sums.registered_agent_ns += part.registered_agent_ns;
}

fn histogram(values: impl Iterator<Item = u64>) -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, 130_000_000, 3).expect("valid bounds");
    values.for_each(|value| histogram.record(value).expect("within the bounds"));
    histogram
}

fn latency_row(trunk: u16, phase: Phase, values: &Histogram<u64>) -> LatencyRow {
    LatencyRow {
        trunk,
        phase,
        count: values.len(),
        min_us: values.min(),
        mean_us: values.mean(),
        p50_us: values.value_at_quantile(0.5),
        p90_us: values.value_at_quantile(0.9),
        p95_us: values.value_at_quantile(0.95),
        p99_us: values.value_at_quantile(0.99),
        p999_us: values.value_at_quantile(0.999),
        max_us: values.max(),
        v2: Vec::new(),
    }
}
