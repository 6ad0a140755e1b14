//! The CSV files: RFC 4180 with a header (columns in `dictionary`), CRLF line ends, UTC times,
//! unknown cells empty.
//!
//! Each function renders one file and touches nothing. The steering committee's page is in
//! `summary_csv`.

use super::dictionary;
use super::text::{self, cell, code, decimal, seconds};
use crate::diagnose::{Finding, figures, truth};
use crate::measure::TrunkInterval;
use crate::record::{AgentResult, IntervalResult, LatencyRow, Results};
use crate::vocab::{Stage, Status, in_cell};

/// `intervals.csv`: attempts ended, by interval, trunk and status.
pub fn intervals(results: &Results) -> Vec<u8> {
    let mut table = Table::new("intervals.csv");
    for interval in &results.intervals {
        let [start, length] = window(results, interval);
        for (trunk, sums) in interval.trunks.iter().enumerate() {
            for status in Status::ALL {
                let count = sums.status[status.index()];
                if count > 0 {
                    let place = [&*start, &*length, trunk_id(results, trunk), status.as_str()];
                    table.row(place.into_iter().chain([&*count.to_string(), warmup(results, interval)]));
                }
            }
        }
    }
    table.into_bytes()
}

/// `latency.csv`: the distribution of each phase, by interval and trunk.
pub fn latency(results: &Results) -> Vec<u8> {
    let mut table = Table::new("latency.csv");
    for interval in &results.intervals {
        let [start, length] = window(results, interval);
        for row in interval.latency.iter().filter(|row| row.count > 0) {
            let place = [&*start, &*length, trunk_id(results, usize::from(row.trunk)), row.phase.as_str()];
            let values = latency_cells(row);
            let values = values.iter().map(String::as_str);
            table.row(place.into_iter().chain(values).chain([warmup(results, interval)]));
        }
    }
    table.into_bytes()
}

/// `responses.csv`: every distinct final response or challenge over the run. Attempts that ended
/// without a response are in the other files.
pub fn responses(results: &Results) -> Vec<u8> {
    let mut table = Table::new("responses.csv");
    let mut rows: Vec<_> = results.responses.iter().filter(|row| row.code > 0).collect();
    rows.sort_by(|a, b| {
        (a.trunk, a.kind, !a.challenge, a.code, &a.reason).cmp(&(b.trunk, b.kind, !b.challenge, b.code, &b.reason))
    });
    for row in rows {
        table.row([
            trunk_id(results, usize::from(row.trunk)),
            row.kind.as_str(),
            &code(row.code),
            &row.reason,
            &row.count.to_string(),
            &results.header.utc(row.first_seen_ns),
            &results.header.utc(row.last_seen_ns),
            if row.challenge { "challenge" } else { "final" },
        ]);
    }
    table.into_bytes()
}

/// `agents.csv`: one row per agent of the profile, those that never arrived included.
pub fn agents(results: &Results) -> Vec<u8> {
    let mut table = Table::new("agents.csv");
    for (index, agent) in by_name(results) {
        let trunk = trunk_of(results, index);
        let arrived = agent.attempts > 0;
        table.row([
            trunk_id(results, trunk),
            user(results, index),
            agent.status.map_or("", Status::as_str),
            &agent.attempts.to_string(),
            &agent.registered.to_string(),
            &code(agent.last_code),
            &agent.last_reason,
            agent.loop_kind.map_or("", |kind| kind.as_str()),
            &cell(agent.first_registered_ns.map(|ns| results.header.utc(ns))),
            &cell(arrived.then(|| results.header.utc(agent.last_change_ns))),
            asked(results, trunk, agent),
        ]);
    }
    table.into_bytes()
}

/// Where an agent's latest attempt went; of a trunk with one address that is known without having
/// been noted.
fn asked<'a>(results: &'a Results, trunk: usize, agent: &'a AgentResult) -> &'a str {
    let only = || results.header.trunks.get(trunk).map_or("", |trunk| &trunk.target);
    match &agent.address {
        Some(address) => address,
        None if agent.status.is_none_or(|status| status == Status::Shed) || only().contains(',') => "",
        None => only(),
    }
}

/// The agents by trunk and user: they arrive in an order that is another with every seed, and two
/// runs are to be read line by line.
fn by_name(results: &Results) -> Vec<(usize, &AgentResult)> {
    let mut agents: Vec<_> = results.agents.iter().enumerate().collect();
    agents.sort_by(|(one, _), (other, _)| {
        let trunks = trunk_of(results, *one).cmp(&trunk_of(results, *other));
        trunks.then_with(|| text::natural(user(results, *one), user(results, *other)))
    });
    agents
}

/// The position of an agent's trunk; beyond all of them when the record does not tell.
fn trunk_of(results: &Results, agent: usize) -> usize {
    results.header.agent_trunks.get(agent).copied().map_or(usize::MAX, usize::from)
}

/// `loops.csv`: one row per loop.
pub fn loops(results: &Results) -> Vec<u8> {
    let mut table = Table::new("loops.csv");
    for row in &results.loops {
        table.row([
            trunk_id(results, usize::from(row.trunk)),
            user(results, row.agent as usize),
            row.kind.as_str(),
            &code(row.code),
            &row.reason,
            &row.attempts.to_string(),
            &results.header.utc(row.first_seen_ns),
            &results.header.utc(row.last_seen_ns),
            &cell(mean_period_s(row).map(|period| decimal(period, 3))),
        ]);
    }
    table.into_bytes()
}

/// `availability.csv`: planned and registered agents, time-weighted. Rows end where the drain
/// begins, because from then on nobody means the agents to stay.
pub fn availability(results: &Results) -> Vec<u8> {
    let mut table = Table::new("availability.csv");
    for interval in results.intervals.iter().filter(|interval| interval.stage == Stage::Load) {
        let [start, length] = window(results, interval);
        for (trunk, sums) in interval.trunks.iter().enumerate() {
            let share = figures::percent(sums.registered_agent_ns, sums.planned_agent_ns);
            table.row([
                &*start,
                &length,
                trunk_id(results, trunk),
                &sums.planned.to_string(),
                &sums.registered.to_string(),
                &decimal(figures::agent_minutes(sums.planned_agent_ns), 6),
                &decimal(figures::agent_minutes(sums.registered_agent_ns), 6),
                &cell(share.map(|share| decimal(share, 6))),
                warmup(results, interval),
                &sums.reachable().to_string(),
                &decimal(figures::agent_minutes(sums.reachable_agent_ns()), 6),
                &sums.canary.checks.to_string(),
                &sums.canary.failed.to_string(),
                &cell(truth::held_in(results, trunk, interval)),
            ]);
        }
    }
    table.into_bytes()
}

/// `generator.csv`: what the test program observed of itself, interval by interval.
pub fn generator(results: &Results) -> Vec<u8> {
    let mut table = Table::new("generator.csv");
    for interval in &results.intervals {
        let [start, length] = window(results, interval);
        let counts = &interval.generator;
        let sum = |of: fn(&TrunkInterval) -> u64| interval.trunks.iter().map(of).sum::<u64>().to_string();
        let memory = Some(counts.resident_bytes).filter(|bytes| *bytes > 0);
        table.row([
            &*start,
            &length,
            &sum(|trunk| trunk.planned),
            &sum(|trunk| trunk.registered),
            &counts.arrivals.to_string(),
            &counts.arrivals_late.to_string(),
            &cell(interval.lag.as_ref().map(|lag| lag.p99_us)),
            &cell(interval.lag.as_ref().map(|lag| lag.max_us)),
            &decimal(counts.longest_turn_ns as f64 / 1e6, 3),
            &decimal(counts.cpu_ns as f64 / 1e9, 6),
            &cell(memory),
            &counts.socket_drops.to_string(),
            &counts.send_errors.to_string(),
            &counts.asked_answered.to_string(),
            &counts.asked_refused.to_string(),
            &decimal(counts.suspended_ns as f64 / 1e9, 3),
            warmup(results, interval),
        ]);
    }
    table.into_bytes()
}

/// `findings.csv`: what was found, most severe first.
pub fn findings(findings: &[Finding]) -> Vec<u8> {
    let mut table = Table::new("findings.csv");
    for finding in findings {
        table.row([
            finding.id.as_str(),
            finding.severity.as_str(),
            &finding.trunk_id,
            &finding.agents.to_string(),
            &finding.attempts.to_string(),
            &finding.first_seen,
            &finding.last_seen,
            finding.confidence.as_str(),
            &finding.summary,
            &finding.evidence,
            &finding.advice,
            &finding.rejected,
            &finding.cost,
        ]);
    }
    table.into_bytes()
}

/// Mean time between the attempts of a loop, seconds.
pub fn mean_period_s(row: &crate::record::LoopResult) -> Option<f64> {
    let gaps = row.attempts.checked_sub(1).filter(|gaps| *gaps > 0)?;
    Some(row.last_seen_ns.saturating_sub(row.first_seen_ns) as f64 / 1e9 / f64::from(gaps))
}

/// The user of an agent; empty when the record names no such agent.
pub fn user(results: &Results, agent: usize) -> &str {
    results.header.users.get(agent).map_or("", String::as_str)
}

/// The id of a trunk; empty when the record names no such trunk.
pub fn trunk_id(results: &Results, trunk: usize) -> &str {
    results.header.trunks.get(trunk).map_or("", |trunk| trunk.id.as_str())
}

/// A CSV file in the making.
pub(super) struct Table {
    writer: ::csv::Writer<Vec<u8>>,
}

impl Table {
    /// Begins with the header of `file`.
    pub(super) fn new(file: &str) -> Table {
        Table::with_columns(dictionary::columns(file).map(|column| column.name))
    }

    /// Begins with these names.
    pub(super) fn with_columns<'a>(names: impl IntoIterator<Item = &'a str>) -> Table {
        let writer = ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(Vec::new());
        let mut table = Table { writer };
        table.row(names);
        table
    }

    /// Adds a row with one cell for each column; no text from outside becomes a spreadsheet
    /// formula.
    pub(super) fn row<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        // A vector takes every write; what is left to fail is a row of another length than the
        // header.
        self.writer
            .write_record(cells.into_iter().map(|cell| in_cell(cell).into_owned()))
            .expect("a row has one cell for each column of the dictionary");
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.writer.into_inner().expect("a vector takes every write")
    }
}

/// Whether the interval is left out of the totals.
fn warmup(results: &Results, interval: &IntervalResult) -> &'static str {
    if results.header.warms_up(interval.start_ns) { "true" } else { "false" }
}

fn window(results: &Results, interval: &IntervalResult) -> [String; 2] {
    [results.header.utc(interval.start_ns), seconds(interval.end_ns.saturating_sub(interval.start_ns))]
}

fn latency_cells(row: &LatencyRow) -> [String; 9] {
    [
        row.count.to_string(),
        row.min_us.to_string(),
        decimal(row.mean_us, 1),
        row.p50_us.to_string(),
        row.p90_us.to_string(),
        row.p95_us.to_string(),
        row.p99_us.to_string(),
        row.p999_us.to_string(),
        row.max_us.to_string(),
    ]
}
