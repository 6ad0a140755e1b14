//! The table of trunks: a row each, sorted by any column, as many as fit.

use super::column::{COLUMNS, TrunkColumn};
use super::number::{cut, grouped, millis, rate, share};
use super::palette::Palette;
use super::pieces::bar;
use super::scene::Scene;
use crate::measure::Glance;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;
use std::cmp::Ordering;

/// Of the row's symbol and all columns but the first.
const FIXED: usize = 70;
const MOST_ID: usize = 32;
/// Cells before the bar of a row that has room for one.
const GAP: usize = 2;

/// One trunk.
struct TrunkRow<'a> {
    place: usize,
    id: &'a str,
    agents: u64,
    now: Glance,
    ok_rate: f64,
    failed_rate: f64,
    p99_us: Option<u64>,
}

impl TrunkRow<'_> {
    fn failed_share(&self) -> f64 {
        let ended = self.now.ok() + self.now.failed();
        if ended == 0 { 0.0 } else { self.now.failed() as f64 / ended as f64 }
    }

    fn registered_share(&self) -> f64 {
        if self.now.planned == 0 { 0.0 } else { self.now.registered as f64 / self.now.planned as f64 }
    }

    /// Failing now, has failed, or neither: a colour, and a symbol that says the same.
    fn mark(&self, palette: Palette) -> (&'static str, Style) {
        if self.failed_rate > self.ok_rate || (self.now.ok() == 0 && self.now.failed() > 0) {
            ("✖", palette.bad())
        } else if self.now.failed() > 0 {
            ("▲", palette.doubt())
        } else {
            ("●", palette.good())
        }
    }

    fn compare(&self, other: &TrunkRow<'_>, by: TrunkColumn) -> Ordering {
        match by {
            TrunkColumn::Trunk => other.place.cmp(&self.place),
            TrunkColumn::Agents => self.agents.cmp(&other.agents),
            TrunkColumn::Planned => self.now.planned.cmp(&other.now.planned),
            TrunkColumn::Registered => self.now.registered.cmp(&other.now.registered),
            TrunkColumn::Open => self.now.open.cmp(&other.now.open),
            TrunkColumn::OkRate => self.ok_rate.total_cmp(&other.ok_rate),
            TrunkColumn::Failed => self.now.failed().cmp(&other.now.failed()),
            TrunkColumn::FailedShare => self.failed_share().total_cmp(&other.failed_share()),
            TrunkColumn::P99 => self.p99_us.cmp(&other.p99_us),
        }
    }
}

/// The rows in the order of the screen: most first, the trunk's own order among equals.
fn rows(scene: &Scene) -> Vec<TrunkRow<'_>> {
    let mut rows: Vec<TrunkRow<'_>> = scene
        .opening
        .trunks
        .iter()
        .enumerate()
        .map(|(place, (id, agents))| TrunkRow {
            place,
            id,
            agents: *agents,
            now: scene.moment.glances.get(place).copied().unwrap_or_default(),
            ok_rate: scene.trunk_rate(place, Glance::ok),
            failed_rate: scene.trunk_rate(place, Glance::failed),
            p99_us: scene.trunk_p99_us.get(place).copied().flatten(),
        })
        .collect();
    rows.sort_by(|a, b| {
        let order = a.compare(b, scene.sort);
        if scene.reversed { order } else { order.reverse() }
    });
    rows
}

/// Draws the table: a heading, then rows. Notes in the scene how many fit.
pub(super) fn draw(scene: &mut Scene, palette: Palette, area: Rect, buffer: &mut Buffer) {
    let fit = usize::from(area.height.saturating_sub(1));
    scene.visible = fit;
    scene.offset = scene.offset.min(scene.opening.trunks.len().saturating_sub(fit));
    heading(scene, palette, id_width(area)).render(Rect { height: 1, ..area }, buffer);
    let lines = rows(scene).into_iter().skip(scene.offset).take(fit);
    for (y, row) in (area.y + 1..).zip(lines) {
        let place = Rect { y, height: 1, ..area };
        let mut line = line(&row, palette, id_width(area));
        line.push_span(" ".repeat(GAP));
        line.extend(bar(row.registered_share(), usize::from(area.width).saturating_sub(line.width() + GAP), palette));
        line.render(place, buffer);
    }
}

/// What the table shows of all trunks: `trunks 1-8 of 15, most failed first`.
pub(super) fn title(scene: &Scene, fit: usize) -> String {
    let trunks = scene.opening.trunks.len();
    let first = scene.offset.min(trunks.saturating_sub(fit));
    let last = trunks.min(first + fit);
    let order = match (scene.sort, scene.reversed) {
        (TrunkColumn::Trunk, false) => "as in the profile".to_owned(),
        (TrunkColumn::Trunk, true) => "the profile's last first".to_owned(),
        (column, false) => format!("most {} first", column.name()),
        (column, true) => format!("least {} first", column.name()),
    };
    if fit < trunks { format!("trunks {}-{last} of {trunks}, {order}", first + 1) } else { format!("trunks, {order}") }
}

/// Cells for the ids: what the figures leave, up to what an id needs.
fn id_width(area: Rect) -> usize {
    usize::from(area.width).saturating_sub(FIXED).min(MOST_ID)
}

fn heading(scene: &Scene, palette: Palette, id: usize) -> Line<'static> {
    let mark = if scene.reversed { "▲" } else { "▼" };
    let spans = COLUMNS.iter().map(|(column, name, wide)| {
        let sorted = *column == scene.sort;
        let name = if sorted { format!("{mark}{name}") } else { (*name).to_owned() };
        let text = match wide {
            0 => format!("  {name:<id$}"),
            wide => format!("{name:>wide$}"),
        };
        Span::styled(text, if sorted { palette.accent() } else { palette.quiet() })
    });
    Line::from_iter(spans)
}

fn line(row: &TrunkRow<'_>, palette: Palette, id: usize) -> Line<'static> {
    let (mark, style) = row.mark(palette);
    let (failed, ended) = (row.now.failed(), row.now.ok() + row.now.failed());
    let failed_style = if failed > 0 { style } else { Style::new() };
    let p99 = row.p99_us.map_or_else(|| "-".to_owned(), millis);
    Line::from(vec![
        Span::styled(mark, style),
        Span::raw(format!(" {:<id$}", cut(row.id, id))),
        Span::raw(format!("{:>8}{:>9}", grouped(row.agents), grouped(row.now.planned))),
        Span::raw(format!("{:>9}{:>7}", grouped(row.now.registered), grouped(row.now.open))),
        Span::raw(format!("{:>8}", rate(row.ok_rate))),
        Span::styled(format!("{:>9}{:>9}", grouped(failed), share(failed, ended)), failed_style),
        Span::raw(format!("{p99:>9}")),
    ])
}
