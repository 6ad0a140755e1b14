//! A run beside the last good one of its name.
//!
//! The last good run is the newest earlier one in the same folder that bears the same name, passed,
//! and was of the same kind (a rehearsal is held against rehearsals only). The figures stand side
//! by side; whether a difference is more than chance is for `regstorm compare` to say.

use super::text::{decimal, millis, percent, printable, signed_count, thousands};
use super::trend::TrendRun;
use crate::diagnose::figures::{self, Distribution};
use crate::record::Results;
use crate::record::results::day;
use crate::vocab::{Phase, floor_u64};
use serde::Serialize;

/// The comparison as the page shows it.
#[derive(Serialize)]
pub(super) struct LastGood {
    place: String,
    /// In words; of a rehearsal nothing, for its clock is no calendar.
    day: String,
    rows: Vec<Compared>,
}

#[derive(Serialize)]
struct Compared {
    figure: &'static str,
    before: String,
    now: String,
    change: String,
}

/// A figure of both runs.
struct FigurePair {
    figure: &'static str,
    before: Option<f64>,
    now: Option<f64>,
    written: fn(f64) -> String,
    change: fn(f64) -> String,
}

pub(super) fn beside(results: &Results, good: &TrendRun) -> LastGood {
    let at = |pointer: &str| good.document.pointer(pointer).and_then(serde_json::Value::as_f64);
    let lost = |planned: Option<f64>, available: Option<f64>| Some((planned? - available?).max(0.0) / 60.0);
    let totals = &results.totals;
    let register = Distribution::of_phase(totals, Phase::Register);
    let us = |value: Option<u64>| value.map(|us| us as f64);
    let count = |name, pointer, now: u64| FigurePair {
        figure: name,
        before: at(pointer),
        now: Some(now as f64),
        written: |value| thousands(floor_u64(value)),
        change: |value| signed_count(value, 0),
    };
    let time = |name, pointer, now| FigurePair {
        figure: name,
        before: at(pointer),
        now,
        written: |us| format!("{} ms", millis(us)),
        change: |us| format!("{} ms", signed_count(us / 1e3, 2)),
    };
    let pairs = [
        count("Agents planned", "/totals/agents", totals.agents),
        count("Agents signed in at the peak", "/totals/agents_registered_peak", totals.agents_registered_peak),
        FigurePair {
            figure: "Availability",
            before: at("/totals/availability_pct"),
            now: figures::availability_pct(totals),
            written: percent,
            change: |points| format!("{} points", signed_count(points, 2)),
        },
        FigurePair {
            figure: "Agent-hours lost",
            before: lost(at("/totals/agent_minutes_planned"), at("/totals/agent_minutes_available")),
            now: lost(Some(figures::agent_minutes_planned(totals)), Some(figures::agent_minutes_available(totals))),
            written: |hours| decimal(hours, 2),
            change: |hours| signed_count(hours, 2),
        },
        time("Typical time to sign in", "/latency_us/register/p50", us(register.p50)),
        time("Slowest one in a hundred", "/latency_us/register/p99", us(register.p99)),
        count("Attempts", "/totals/attempts", totals.attempts),
        count(
            "Attempts that succeeded",
            "/totals/registered",
            totals.sums.status[crate::vocab::Status::Registered.index()],
        ),
    ];
    let started = good.started().parse::<jiff::Timestamp>().map(|time| time.as_nanosecond());
    let day = started.map(day).unwrap_or_default();
    LastGood {
        place: printable(&good.place),
        day: if results.header.simulated { String::new() } else { day },
        rows: pairs.into_iter().map(row).collect(),
    }
}

fn row(pair: FigurePair) -> Compared {
    let FigurePair { figure, before, now, written, change } = pair;
    let cell = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), written);
    let difference = before.zip(now).map(|(before, now)| now - before);
    let changed = match difference {
        None => String::new(),
        Some(0.0) => "none".to_owned(),
        Some(difference) => change(difference),
    };
    Compared { figure, before: cell(before), now: cell(now), change: changed }
}
