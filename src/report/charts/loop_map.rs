//! Who was in a refusal loop when: agents from top to bottom, time from left to right.
//!
//! Up to [`MOST_ROWS`] agents have a row each; more share rows with their neighbours, of the same
//! trunk as a rule. Time is cut into [`COLUMNS`]; a cell is as strong as the share of its row's
//! agents that loop in it, and has the colour of the kind that most of them are in. So the map has
//! a size however many agents loop and however often.

use super::super::chart::{MapStretch, map};
use super::super::text::{printable, thousands};
use super::super::{csv, words};
use super::plot::{PlotCell, PlotMap};
use super::{Chart, Key, Number, Panel, Plot, PlotKind, PlotSeries, style};
use crate::record::{LoopResult, Results};
use crate::vocab::LoopKind;
use std::collections::BTreeMap;

const MOST_ROWS: usize = 100;
const COLUMNS: usize = 120;

/// The map; none when nobody looped.
pub(super) fn chart(results: &Results) -> Option<Chart> {
    let ended = words::ended_ns(results).filter(|ended| *ended > 0)?;
    let rows = rows(results);
    if rows.is_empty() {
        return None;
    }
    let stretches: Vec<Cell> = rows.iter().enumerate().flat_map(|(at, row)| row.stretches(at, ended)).collect();
    let looping: usize = rows.iter().map(|row| row.agents.len()).sum();
    let met = KINDS.into_iter().filter(|(class, _)| stretches.iter().any(|cell| cell.class == *class));
    let legend: Vec<Key> = met.map(|(class, label)| Key { class, label, filled: true }).collect();
    let seconds = ended as f64 / 1e9;
    let drawn: Vec<MapStretch> = stretches.iter().map(|cell| cell.drawn(seconds)).collect();
    let svg = map(rows.len(), seconds, &drawn);
    let id = "loop-map";
    let series = legend.iter().map(|&Key { class, label, .. }| {
        let values = vec![Some(Number(0.0)); 2];
        PlotSeries { label: label.to_owned(), tone: style(class).0, dash: &[], layer: false, values }
    });
    let cells = stretches.iter().zip(&drawn).map(|(cell, drawn)| {
        let kind = legend.iter().position(|key| key.class == cell.class).unwrap_or(0);
        PlotCell(cell.row, Number(drawn.from), Number(drawn.until), kind, Number(cell.share))
    });
    let plot = Plot {
        id: id.to_owned(),
        kind: PlotKind::Map,
        unit: "",
        log: false,
        x: vec![Number(0.0), Number(seconds)],
        series: series.collect(),
        map: Some(PlotMap { rows: rows.iter().map(|row| row.name(results)).collect(), cells: cells.collect() }),
    };
    let shared = looping > rows.len();
    Some(Chart {
        id,
        title: "Loop map",
        lead: "Each row is an agent that was refused the same way three times running or more, each stretch the time from \
               the first of these refusals to the last."
            .to_owned(),
        said: format!("{} agents looped, in {} loops.", thousands(looping as u64), thousands(results.loops.len() as u64)),
        panels: vec![Panel { plot: id.to_owned(), title: String::new(), caption: String::new(), svg }],
        legend,
        note: if shared { format!("Up to {} agents share a row.", rows[0].agents.len()) } else { String::new() },
        plots: vec![plot],
    })
}

/// What is told apart by colour.
const KINDS: [(&str, &str); 4] = [
    ("c-bad", "403 after credentials"),
    ("c-doubt", "403 before any challenge"),
    ("c-link", "challenged again: 401, stale nonce, 423"),
    ("c-soft", "other refusals, errors, silence"),
];

const fn class(kind: LoopKind) -> &'static str {
    match kind {
        LoopKind::ForbiddenAfterAuth => "c-bad",
        LoopKind::Forbidden => "c-doubt",
        LoopKind::Unauthorized | LoopKind::Stale | LoopKind::IntervalTooBrief => "c-link",
        _ => "c-soft",
    }
}

/// One agent, or neighbours, with their loops.
struct MapRow<'a> {
    /// In order of trunk and first loop.
    agents: Vec<u32>,
    loops: Vec<&'a LoopResult>,
}

/// A stretch of a row whose cells are alike.
struct Cell {
    row: usize,
    from: usize,
    until: usize,
    class: &'static str,
    share: f64,
}

fn rows<'r>(results: &'r Results) -> Vec<MapRow<'r>> {
    let mut by_agent: BTreeMap<u32, Vec<&LoopResult>> = BTreeMap::new();
    for row in &results.loops {
        by_agent.entry(row.agent).or_default().push(row);
    }
    let mut agents: Vec<(u32, Vec<&LoopResult>)> = by_agent.into_iter().collect();
    let begins = |loops: &[&LoopResult]| loops.iter().map(|row| (row.trunk, row.first_seen_ns)).min();
    agents.sort_by_key(|(agent, loops)| (begins(loops), *agent));
    let shared = agents.len().div_ceil(MOST_ROWS).max(1);
    let row = |group: &[(u32, Vec<&'r LoopResult>)]| MapRow {
        agents: group.iter().map(|(agent, _)| *agent).collect(),
        loops: group.iter().flat_map(|(_, loops)| loops.iter().copied()).collect(),
    };
    agents.chunks(shared).map(row).collect()
}

impl MapRow<'_> {
    fn name(&self, results: &Results) -> String {
        let user = |agent: Option<&u32>| agent.map_or("", |agent| csv::user(results, *agent as usize));
        let trunk = self.loops.first().map_or("", |row| csv::trunk_id(results, usize::from(row.trunk)));
        let (first, last) = (user(self.agents.first()), user(self.agents.last()));
        printable(&match self.agents.len() {
            1 => format!("{trunk} {first}"),
            n => format!("{trunk} {first} to {last}, {n} agents"),
        })
    }

    /// Neighbouring columns of the same look as one.
    fn stretches(&self, row: usize, ended_ns: u64) -> Vec<Cell> {
        let mut cells: Vec<Cell> = Vec::new();
        for (at, column) in self.columns(ended_ns).into_iter().enumerate() {
            let Some((class, share)) = column else { continue };
            match cells.last_mut().filter(|last| last.until == at && last.class == class && last.share == share) {
                Some(last) => last.until = at + 1,
                None => cells.push(Cell { row, from: at, until: at + 1, class, share }),
            }
        }
        cells
    }

    /// The kind of most agents and the share that loop, by column.
    fn columns(&self, ended_ns: u64) -> Vec<Option<(&'static str, f64)>> {
        let mut counts = vec![[0_u32; KINDS.len()]; COLUMNS];
        let column = |ns: u64| ((u128::from(ns) * COLUMNS as u128 / u128::from(ended_ns)) as usize).min(COLUMNS - 1);
        for one in &self.loops {
            let kind = KINDS.iter().position(|(of, _)| *of == class(one.kind)).unwrap_or(KINDS.len() - 1);
            for counts in &mut counts[column(one.first_seen_ns)..=column(one.last_seen_ns)] {
                counts[kind] += 1;
            }
        }
        let agents = self.agents.len().max(1) as f64;
        let look = |counts: [u32; KINDS.len()]| {
            let most = (0..KINDS.len()).max_by_key(|&kind| (counts[kind], KINDS.len() - kind))?;
            let looping: u32 = counts.iter().sum();
            // In tenths: finer is not seen, and would cut stretches apart.
            let share = (f64::from(looping) / agents * 10.0).ceil().min(10.0) / 10.0;
            (looping > 0).then_some((KINDS[most].0, share))
        };
        counts.into_iter().map(look).collect()
    }
}

impl Cell {
    fn drawn(&self, seconds: f64) -> MapStretch {
        let at = |column: usize| column as f64 / COLUMNS as f64 * seconds;
        let Cell { row, class, share, .. } = *self;
        MapStretch { row, from: at(self.from), until: at(self.until), class, share }
    }
}
