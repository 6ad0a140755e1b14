//! The tables of the report page as data: titles, columns and cells, already written for people.
//!
//! The page's head (verdict, figures) is in `html`. A table that could grow without bound is cut,
//! and says so.

use super::conditions::Conditions;
use super::text::{self, bytes, decimal, millis, percent, printable, thousands};
use super::words::{self, Outcomes};
use super::{csv, run_json};
use crate::diagnose::figures::{self, Distribution};
use crate::diagnose::{self, GeneratorVerdict, Judgement};
use crate::record::{Baseline, IntervalResult, Results};
use crate::vocab::{Phase, Stage, Status};
use serde::Serialize;

/// One table of the page.
#[derive(Serialize)]
pub(super) struct Sheet {
    /// Anchor in the page.
    id: &'static str,
    title: &'static str,
    /// A sentence that says how to read it.
    lead: String,
    columns: Vec<Heading>,
    rows: Vec<Line>,
    /// What was left out, or why there is nothing.
    note: String,
    /// Shown closed: it is there for those who look for it.
    folded: bool,
}

/// A table of the page that has nothing to show, and why.
#[derive(Serialize)]
pub(super) struct Quiet {
    title: &'static str,
    note: String,
}

#[derive(Serialize)]
struct Heading {
    name: &'static str,
    number: bool,
}

#[derive(Serialize)]
struct Line {
    cells: Vec<String>,
    /// `good`, `bad` or nothing; the cells say the same in words.
    tone: &'static str,
}

impl Sheet {
    /// `columns` whose name begins with `#` hold numbers.
    pub(super) fn new(id: &'static str, title: &'static str, lead: &str, columns: &[&'static str]) -> Sheet {
        let heading =
            |name: &&'static str| Heading { name: name.trim_start_matches('#'), number: name.starts_with('#') };
        let columns = columns.iter().map(heading).collect();
        Sheet { id, title, lead: lead.to_owned(), columns, rows: Vec::new(), note: String::new(), folded: false }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.toned(cells, "");
    }

    pub(super) fn toned<const N: usize>(&mut self, cells: [String; N], tone: &'static str) {
        debug_assert_eq!(cells.len(), self.columns.len(), "{}", self.id);
        self.rows.push(Line { cells: cells.map(|cell| printable(&cell)).into(), tone });
    }

    pub(super) fn folded(mut self, folded: bool) -> Sheet {
        self.folded = folded;
        self
    }

    pub(super) fn noted(mut self, note: String) -> Sheet {
        self.note = note;
        self
    }
}

/// All tables of the page, in order, and those that have nothing to show.
pub(super) fn all(results: &Results, judgement: &Judgement) -> (Vec<Sheet>, Vec<Quiet>) {
    let sound = judgement.generator == GeneratorVerdict::Valid;
    let over_time = intervals(results);
    let long = over_time.rows.len() > MOST_OPEN;
    let sheets = [
        thresholds(judgement),
        outcomes(results),
        latency(results),
        trunks(results),
        sources(results),
        responses(results),
        loops(results),
        over_time.folded(long),
        generator(results, judgement).folded(sound),
        conditions(results).folded(true),
        host(results).folded(true),
    ];
    let (shown, empty): (Vec<Sheet>, Vec<Sheet>) = sheets.into_iter().partition(|sheet| !sheet.rows.is_empty());
    (shown, empty.into_iter().map(|sheet| Quiet { title: sheet.title, note: sheet.note }).collect())
}

/// A table over time with more rows than this is shown closed.
const MOST_OPEN: usize = 12;

fn thresholds(judgement: &Judgement) -> Sheet {
    let lead = "What the profile asks of this run.";
    let mut sheet = Sheet::new("targets", "Targets", lead, &["Target", "Asked", "#Measured", "Result"]);
    for outcome in &judgement.thresholds {
        let (result, tone) = if outcome.pass { ("\u{2713} met", "good") } else { ("\u{2717} missed", "bad") };
        sheet.toned([outcome.name.clone(), words::target(outcome), words::value(outcome), result.to_owned()], tone);
    }
    let note = if judgement.thresholds.is_empty() { "The profile sets no thresholds." } else { "" };
    sheet.noted(note.to_owned())
}

fn outcomes(results: &Results) -> Sheet {
    let totals = &results.totals;
    let lead = "How the attempts to register ended. Each attempt ends in exactly one way.";
    let mut sheet = Sheet::new("outcomes", "Outcomes", lead, &["Outcome", "#Attempts", "#Share", "Meaning"]);
    for status in Status::ALL {
        let count = totals.sums.status[status.index()];
        let share = figures::percent(count, totals.attempts).map(percent).unwrap_or_default();
        if count > 0 {
            sheet.row([status.as_str().to_owned(), thousands(count), share, words::meaning(status).to_owned()]);
        }
    }
    if sheet.rows.is_empty() {
        return sheet.noted("No attempt was made.".to_owned());
    }
    sheet.row(["all".to_owned(), thousands(totals.attempts), "100 %".to_owned(), "attempts of all agents".to_owned()]);
    sheet.noted("No attempt ended in any other way.".to_owned())
}

fn latency(results: &Results) -> Sheet {
    let lead = "Milliseconds. \u{201c}register\u{201d} counts from the moment an attempt was due, \
                \u{201c}register_service\u{201d} from the moment it was sent.";
    let columns = ["Phase", "#Count", "#Min", "#Mean", "#p50", "#p90", "#p95", "#p99", "#p99.9", "#Max"];
    let mut sheet = Sheet::new("latency", "Latency", lead, &columns);
    for phase in Phase::ALL {
        let d = Distribution::of_phase(&results.totals, phase);
        let ms = |us: Option<u64>| us.map(|us| millis(us as f64)).unwrap_or_default();
        if d.count > 0 {
            let mean = d.mean.map(millis).unwrap_or_default();
            let (name, count) = (phase.as_str().to_owned(), thousands(d.count));
            sheet.row([
                name,
                count,
                ms(d.min),
                mean,
                ms(d.p50),
                ms(d.p90),
                ms(d.p95),
                ms(d.p99),
                ms(d.p999),
                ms(d.max),
            ]);
        }
    }
    let note = if sheet.rows.is_empty() { "Nothing was timed." } else { "" };
    sheet.noted(note.to_owned())
}

fn sources(results: &Results) -> Sheet {
    let lead = "Trunks whose agents have several local addresses, address by address.";
    let columns = ["Trunk", "Address", "#Agents", "#Ever registered", "#Attempts", "Outcomes"];
    let mut sheet = Sheet::new("sources", "Addresses", lead, &columns);
    let rows = diagnose::by_source(results);
    for row in rows.iter().take(MOST_TRUNKS) {
        let outcomes = row.outcomes.iter().map(|(status, count)| format!("{status} {}", thousands(*count)));
        let outcomes = outcomes.collect::<Vec<_>>().join(", ");
        let numbers = [row.agents, row.agents_registered, row.attempts].map(thousands);
        let [agents, registered, attempts] = numbers;
        sheet.row([row.trunk_id.clone(), row.source.clone(), agents, registered, attempts, outcomes]);
    }
    let note = if rows.is_empty() { "Every trunk has a single local address." } else { "" };
    sheet.noted(note.to_owned())
}

fn trunks(results: &Results) -> Sheet {
    let lead = "Each registrar target by itself; p50 and p99 are those of \u{201c}register\u{201d}, in milliseconds.";
    let columns = [
        "Trunk",
        "Target",
        "#Agents",
        "#Peak",
        "#Attempts",
        "#Registered",
        "#Refused",
        "#Availability",
        "#p50",
        "#p99",
    ];
    let mut sheet = Sheet::new("trunks", "Trunks", lead, &columns);
    for (trunk, totals) in results.header.trunks.iter().zip(&results.trunk_totals).take(MOST_TRUNKS) {
        let outcomes = Outcomes::of(&totals.sums.status);
        let register = Distribution::of_phase(totals, Phase::Register);
        let ms = |us: Option<u64>| us.map(|us| millis(us as f64)).unwrap_or_default();
        sheet.row([
            trunk.id.clone(),
            trunk.target.clone(),
            thousands(totals.agents),
            thousands(totals.agents_registered_peak),
            thousands(totals.attempts),
            thousands(outcomes.registered),
            thousands(outcomes.refused),
            figures::availability_pct(totals).map(percent).unwrap_or_default(),
            ms(register.p50),
            ms(register.p99),
        ]);
    }
    sheet.noted(left_out(results.header.trunks.len(), MOST_TRUNKS, "run.json"))
}

fn responses(results: &Results) -> Sheet {
    let lead = "What the registrar answered, the most frequent first. A challenge is a 401, 407 or 423 that the \
                agent answered with a further request.";
    let columns = ["Trunk", "To", "Role", "#Code", "Reason", "#Count", "First", "Last"];
    let mut sheet = Sheet::new("responses", "Responses", lead, &columns);
    let mut rows: Vec<_> = results.responses.iter().collect();
    rows.sort_by(|a, b| b.count.cmp(&a.count).then((a.trunk, a.kind, a.code).cmp(&(b.trunk, b.kind, b.code))));
    for row in rows.iter().take(MOST_ROWS) {
        let role = match (row.code, row.challenge) {
            (0, _) => "no response",
            (_, true) => "challenge",
            (_, false) => "final",
        };
        sheet.row([
            csv::trunk_id(results, usize::from(row.trunk)).to_owned(),
            row.kind.as_str().to_owned(),
            role.to_owned(),
            text::code(row.code),
            row.reason.clone(),
            thousands(row.count),
            since_start(row.first_seen_ns),
            since_start(row.last_seen_ns),
        ]);
    }
    let note = match rows.len() {
        0 => "No response was received.".to_owned(),
        n => left_out(n, MOST_ROWS, "responses.csv"),
    };
    sheet.noted(note)
}

fn loops(results: &Results) -> Sheet {
    let lead = "Agents that were refused the same way three times running or more, the longest first.";
    let columns = ["Trunk", "Agent", "Loop", "#Code", "Reason", "#Attempts", "First", "Last", "#Period"];
    let mut sheet = Sheet::new("loops", "Refusal loops", lead, &columns);
    let mut rows: Vec<_> = results.loops.iter().collect();
    rows.sort_by(|a, b| b.attempts.cmp(&a.attempts).then((a.agent, a.number).cmp(&(b.agent, b.number))));
    for row in rows.iter().take(MOST_LOOPS) {
        sheet.row([
            csv::trunk_id(results, usize::from(row.trunk)).to_owned(),
            csv::user(results, row.agent as usize).to_owned(),
            row.kind.as_str().to_owned(),
            text::code(row.code),
            row.reason.clone(),
            thousands(u64::from(row.attempts)),
            since_start(row.first_seen_ns),
            since_start(row.last_seen_ns),
            csv::mean_period_s(row).map(|period| format!("{} s", decimal(period, 2))).unwrap_or_default(),
        ]);
    }
    let note = match rows.len() {
        0 => "No agent was in a loop.".to_owned(),
        n => left_out(n, MOST_LOOPS, "loops.csv"),
    };
    sheet.noted(note)
}

fn intervals(results: &Results) -> Sheet {
    let lead = "Attempts by the time they ended, counted from the start of the run. \u{201c}Slowest\u{201d} is the \
                longest successful registration, in milliseconds.";
    let columns = [
        "From",
        "Stage",
        "#Attempts",
        "#Registered",
        "#Refused",
        "#No answer",
        "#Cut short",
        "#Agents on",
        "#Slowest",
        "#Late",
    ];
    let mut sheet = Sheet::new("intervals", "Over time", lead, &columns);
    let merged = results.intervals.len().div_ceil(MOST_INTERVALS).max(1);
    for group in results.intervals.chunks(merged) {
        let warm = group.first().is_some_and(|first| results.header.warms_up(first.start_ns));
        sheet.row(interval_row(group, warm));
    }
    let note = match (results.intervals.len(), merged) {
        (0, _) => "No interval was recorded.".to_owned(),
        (_, 1) => String::new(),
        (n, _) => format!("{merged} intervals to a row; intervals.csv has all {n}."),
    };
    sheet.noted(note)
}

/// Several intervals as one row. `chunks` yields no empty group; an empty one would be a row of
/// zeros.
fn interval_row(group: &[IntervalResult], warm: bool) -> [String; 10] {
    let mut status = [0; Status::COUNT];
    for trunk in group.iter().flat_map(|interval| &interval.trunks) {
        status.iter_mut().zip(trunk.status).for_each(|(sum, count)| *sum += count);
    }
    let outcomes = Outcomes::of(&status);
    let registered: u64 = group.last().map_or(0, |last| last.trunks.iter().map(|trunk| trunk.registered).sum());
    let register = group.iter().flat_map(|interval| &interval.latency).filter(|row| row.phase == Phase::Register);
    let slowest = register.map(|row| row.max_us).max();
    [
        since_start(group.first().map_or(0, |first| first.start_ns)),
        stages(group, warm),
        thousands(status.iter().sum()),
        thousands(outcomes.registered),
        thousands(outcomes.refused),
        thousands(outcomes.unanswered),
        thousands(outcomes.cut_short),
        thousands(registered),
        slowest.map(|us| millis(us as f64)).unwrap_or_default(),
        thousands(group.iter().map(|interval| interval.generator.arrivals_late).sum()),
    ]
}

fn stages(group: &[IntervalResult], warm: bool) -> String {
    if warm {
        return "warm-up".to_owned();
    }
    let ends: Option<(Stage, Stage)> = group.first().zip(group.last()).map(|(first, last)| (first.stage, last.stage));
    match ends {
        None => String::new(),
        Some((first, last)) if first == last => first.as_str().to_owned(),
        Some((first, last)) => format!("{first}\u{2013}{last}"),
    }
}

fn generator(results: &Results, judgement: &Judgement) -> Sheet {
    let (counts, limits) = (&results.totals.generator, &results.header.generator);
    let lag = Distribution::of(Some(&results.lag_us));
    let ms = |us: Option<u64>| us.map(|us| format!("{} ms", millis(us as f64))).unwrap_or_default();
    let limit = |ns: u64| format!("{} ms", decimal(ns as f64 / 1e6, 3));
    let mut sheet = Sheet::new(
        "generator",
        "Was the test itself sound?",
        words::generator(judgement),
        &["Check", "#Found", "Limit"],
    );
    let late = figures::percent(counts.arrivals_late, counts.arrivals);
    let late = late.map(|share| format!(" ({})", percent(share))).unwrap_or_default();
    let late_limits = format!(
        "more than {} after plan; suspect above {} %, invalid above {} %",
        limit(limits.late_ns),
        decimal(100.0 * limits.suspect_late, 4),
        decimal(100.0 * limits.invalid_late, 4)
    );
    let found = format!("{} of {}", thousands(counts.arrivals_late), thousands(counts.arrivals));
    sheet.row(["Arrivals late".to_owned(), format!("{found}{late}"), late_limits]);
    sheet.row(["Schedule lag, p50".to_owned(), ms(lag.p50), String::new()]);
    sheet.row(["Schedule lag, p99".to_owned(), ms(lag.p99), "invalid above 100 ms".to_owned()]);
    sheet.row(["Schedule lag, max".to_owned(), ms(lag.max), String::new()]);
    let drops = "none; invalid above 0.1 % of messages received";
    sheet.row(["Datagrams dropped by our kernel".to_owned(), thousands(counts.socket_drops), drops.to_owned()]);
    sheet.row(["Send errors".to_owned(), thousands(counts.send_errors), "none".to_owned()]);
    let refused = thousands(results.totals.sums.ceiling_refused);
    sheet.row(["Messages refused by the safety ceiling".to_owned(), refused, "none".to_owned()]);
    let stall = format!("turns over {}", limit(limits.stall_ns));
    sheet.row(["Stalls of a worker".to_owned(), thousands(counts.loop_stalls), stall]);
    sheet.row(["Stray datagrams".to_owned(), thousands(counts.stray_datagrams), String::new()]);
    let cpu = run_json::sender_cpu_pct(results).map(percent).unwrap_or_default();
    sheet.row(["Sender threads busy".to_owned(), cpu, String::new()]);
    sheet
}

fn conditions(results: &Results) -> Sheet {
    let c = Conditions::of(results);
    let mut expires = c.expires_s.clone();
    expires.sort_unstable();
    expires.dedup();
    let expires: Vec<_> = expires.iter().map(|s| format!("{s} s")).collect();
    let rate = c.attempt_rate_peak_per_s.map(|rate| format!("{} per second", decimal(rate, 1))).unwrap_or_default();
    let load = c.load_s.map(|s| format!("{} s", decimal(s, 3))).unwrap_or_default();
    let lead = "The set-up of the test, as RFC 7502 \u{a7}5 asks a report to state it.";
    let mut sheet = Sheet::new("conditions", "Annex: conditions of the test", lead, &["Condition", "Value"]);
    for (name, value) in [
        ("SIP transport protocol", c.transport.join(", ")),
        ("Connection strategy", c.connection_strategy.to_owned()),
        ("Registrations challenged", if c.challenged { "yes" } else { "no" }.to_owned()),
        ("Lifetime asked for (expires)", expires.join(", ")),
        ("Establishment threshold time", format!("{} s", c.establishment_threshold_s)),
        ("TLS cipher suite", c.tls_cipher_suite.clone()),
        ("IPsec profile", c.ipsec_profile.to_owned()),
        ("authorised by", c.authorised_by.clone().unwrap_or_else(|| "not stated".to_owned())),
        (
            "Others on the trunks",
            if c.exclusive { "none, as [expect] exclusive states" } else { "not stated" }.to_owned(),
        ),
        ("Media streams per session", c.media_streams.to_owned()),
        ("Registration attempts configured", thousands(c.attempts_configured)),
        ("Registration attempts actual", thousands(c.attempts_actual)),
        ("Highest attempt rate in an interval", rate),
        ("Load lasted", load),
        ("Interval of the time series", format!("{} s", decimal(c.interval_s, 3))),
        ("Sender threads", c.workers.to_string()),
        ("Seed", results.header.seed.to_string()),
        ("Baseline of the test machine", baseline(c.baseline.as_ref())),
        ("Time", if c.simulated { "simulated" } else { "real" }.to_owned()),
    ] {
        sheet.row([name.to_owned(), value]);
    }
    if !c.interventions.is_empty() {
        sheet.toned(["Load changed by hand".to_owned(), words::interventions(results)], "bad");
    }
    sheet
}

/// RFC 7502 §6.1.
fn baseline(baseline: Option<&Baseline>) -> String {
    let Some(baseline) = baseline else { return "not measured".to_owned() };
    let rate = thousands(baseline.valid_rate_per_s.into());
    format!("{rate} challenged registrations per second on loopback, measured {}", baseline.measured)
}

fn host(results: &Results) -> Sheet {
    let (host, end) = (&results.header.host, results.end.as_ref());
    let mut sheet = Sheet::new("host", "Annex: test machine", "Where the load came from.", &["Property", "Value"]);
    for (name, value) in [
        ("Host", host.name.clone()),
        ("System", format!("{} {}", host.os, host.kernel)),
        ("Processor", format!("{} \u{d7} {}", host.cpus, host.cpu_model)),
        ("Memory", bytes(host.memory_bytes)),
        ("CPU time, user", end.map(|end| format!("{} s", decimal(end.user_s, 2))).unwrap_or_default()),
        ("CPU time, system", end.map(|end| format!("{} s", decimal(end.system_s, 2))).unwrap_or_default()),
        ("Memory used at most", end.map(|end| bytes(end.max_rss_bytes)).unwrap_or_default()),
        ("Socket features", results.header.features.join(", ")),
    ] {
        sheet.row([name.to_owned(), value]);
    }
    sheet
}

/// Time since the start of the run: `0:01:02.345`.
fn since_start(ns: u64) -> String {
    let (s, ms) = (ns / 1_000_000_000, ns / 1_000_000 % 1_000);
    let fraction = if ms > 0 { format!(".{ms:03}") } else { String::new() };
    format!("{}:{:02}:{:02}{fraction}", s / 3_600, s / 60 % 60, s % 60)
}

fn left_out(rows: usize, most: usize, file: &str) -> String {
    if rows > most { format!("{} more rows are in {file}.", rows - most) } else { String::new() }
}

const MOST_TRUNKS: usize = 300;
const MOST_ROWS: usize = 100;
const MOST_LOOPS: usize = 50;
const MOST_INTERVALS: usize = 200;
