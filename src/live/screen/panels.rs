//! The parts of the screen but for the table of trunks: each draws itself into the lines it is
//! given.

use super::number::{clock, cut, grouped, millis, rate, share};
use super::palette::Palette;
use super::pieces::{bar, title};
use super::scene::{CanaryLine, FindingLine, Health, Scene};
use crate::vocab::{Phase, Severity, Speed, Status};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Sparkline, Widget};

/// Run, facts, stage, arrivals, agents: five lines.
pub(super) fn head(scene: &Scene, palette: Palette, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let (state, style) = state(scene, palette);
    let name = cut(&scene.opening.name, width.saturating_sub(state.chars().count() + 12));
    let gap = width.saturating_sub(10 + name.chars().count() + state.chars().count());
    let lines = [
        Line::from(vec![
            Span::styled("regstorm  ", palette.accent()),
            Span::styled(name, palette.strong()),
            Span::raw(" ".repeat(gap)),
            Span::styled(state, style),
        ]),
        Line::styled(cut(&scene.opening.facts, width), palette.quiet()),
        stage(scene, palette, width),
        arrivals(scene),
        agents(scene, palette, width),
    ];
    for (line, y) in lines.into_iter().zip(area.y..area.bottom()) {
        line.render(Rect { y, height: 1, ..area }, buffer);
    }
}

fn state(scene: &Scene, palette: Palette) -> (String, Style) {
    let elapsed = clock(scene.moment.elapsed);
    if scene.stopping {
        return (format!("■ ending  {elapsed:>8}"), palette.doubt());
    }
    match scene.speed {
        Speed::STILL => (format!("■ PAUSED  {elapsed:>8}"), palette.doubt()),
        Speed::PLANNED => (format!("● running  {elapsed:>8}"), palette.good()),
        other => (format!("▲ × {:.1}  {elapsed:>8}", other.factor()), palette.doubt()),
    }
}

fn stage(scene: &Scene, palette: Palette, width: usize) -> Line<'static> {
    let stage = &scene.moment.stage;
    let mut spans = vec![Span::raw(format!("stage       {:<24}", cut(&stage.label, 24)))];
    if let Some(progress) = stage.progress {
        spans.extend(bar(progress.done, width.saturating_sub(71).min(60), palette));
        let left = |left| format!("{:>8} left", clock(left));
        spans.push(Span::raw(progress.left.map_or_else(|| "  standing still".to_owned(), left)));
    }
    if let Some(left) = stage.load_left {
        spans.push(Span::raw(format!("   load {:>8} left", clock(left))));
    }
    Line::from(spans)
}

fn arrivals(scene: &Scene) -> Line<'static> {
    let (moment, begun) = (&scene.moment, scene.sum().arrivals);
    // What has begun was due, also when the load ended between two moments.
    let due = moment.due.max(begun);
    let changed = match scene.interventions {
        0 => String::new(),
        n => format!("  changed {n}×"),
    };
    Line::from(format!(
        "arrivals    {:>9} due {:>9} begun of {:>9}   {:>7}/s{changed}",
        grouped(due),
        grouped(begun),
        grouped(scene.opening.arrivals),
        rate(moment.rate),
    ))
}

fn agents(scene: &Scene, palette: Palette, width: usize) -> Line<'static> {
    let sum = scene.sum();
    let done = if sum.planned == 0 { 0.0 } else { sum.registered as f64 / sum.planned as f64 };
    // Registered, and nobody reaches them: what a go-live has is the rest.
    let cut_off = match sum.cut_off {
        0 => String::new(),
        cut_off => format!("  {} unconnected", grouped(cut_off)),
    };
    let text = format!(
        "registered  {:>9} of {:>9} planned {:>8}   {:>6} open{cut_off}  ",
        grouped(sum.registered),
        grouped(sum.planned),
        share(sum.registered, sum.planned),
        grouped(sum.open),
    );
    let wide = width.saturating_sub(text.chars().count()).min(60);
    Line::from_iter(std::iter::once(Span::raw(text)).chain(bar(done, wide, palette)))
}

/// Outcomes that occurred, `registered` always; the rest of what does not fit in one line.
pub(super) fn outcomes(scene: &Scene, palette: Palette, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let wide = width.saturating_sub(2 + 18);
    title(&format!("outcomes{:>1$}", "total      /s", width.saturating_sub(10)), palette, area, buffer);
    let sum = scene.sum();
    let mut occurred: Vec<Status> = Status::ALL.into_iter().filter(|status| sum.status[status.index()] > 0).collect();
    // The first is always there, most frequent failures follow.
    occurred.retain(|status| *status != Status::Registered);
    occurred.sort_by_key(|status| std::cmp::Reverse(sum.status[status.index()]));
    occurred.insert(0, Status::Registered);
    let fit = usize::from(area.height.saturating_sub(1));
    let whole = if occurred.len() > fit { fit.saturating_sub(1) } else { occurred.len() };
    let row = |mark: &'static str, style: Style, name: &str, total: u64, per_second: f64| {
        let figures = format!(" {:<wide$}{:>10}{:>8}", cut(name, wide), grouped(total), rate(per_second));
        Line::from(vec![Span::styled(mark, style), Span::raw(figures)])
    };
    let mut lines: Vec<Line<'_>> = occurred[..whole]
        .iter()
        .map(|status| {
            let (mark, style) = mark(*status, palette);
            let of = |glance: &crate::measure::Glance| glance.status[status.index()];
            row(mark, style, status.as_str(), of(&sum), scene.rate(of))
        })
        .collect();
    let others = &occurred[whole..];
    if !others.is_empty() {
        let of = |glance: &crate::measure::Glance| others.iter().map(|status| glance.status[status.index()]).sum();
        lines.push(row("▲", palette.doubt(), &format!("{} others", others.len()), of(&sum), scene.rate(of)));
    }
    for (line, y) in lines.into_iter().zip(area.y + 1..area.bottom()) {
        line.render(Rect { y, height: 1, ..area }, buffer);
    }
}

fn mark(status: Status, palette: Palette) -> (&'static str, Style) {
    match status {
        Status::Registered => ("●", palette.good()),
        Status::Shed | Status::Abandoned => ("▲", palette.doubt()),
        _ => ("✖", palette.bad()),
    }
}

/// Percentiles of the last interval, and how p99 went.
pub(super) fn latency(scene: &Scene, palette: Palette, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let wide = width.saturating_sub(4 * 6 + 2).min(15);
    let heading = format!("{:<wide$}{:>6}{:>6}{:>6}{:>6}", "latency ms", "p50", "p90", "p99", "max");
    title(&heading, palette, area, buffer);
    let mut lines = (area.y + 1)..area.bottom();
    let mut put = |line: Line<'_>| {
        if let Some(y) = lines.next() {
            line.render(Rect { y, height: 1, ..area }, buffer);
        }
    };
    if scene.digest.is_none() {
        let wait = format!("  after the first interval, {}", clock(scene.opening.interval));
        return put(Line::styled(cut(&wait, width), palette.quiet()));
    }
    let rows = if area.height > 6 { 4 } else { 2 };
    for timed in scene.timed.iter().take(rows) {
        let style = match (timed.fresh, timed.phase) {
            (false, _) => palette.quiet(),
            (true, Phase::RegisterFailed) => palette.doubt(),
            (true, _) => Style::new(),
        };
        let spread = timed.spread;
        let cells = [spread.p50, spread.p90, spread.p99, spread.max].map(|us| format!("{:>6}", short(us)));
        put(Line::styled(format!("  {:<wide$}{}", name_of(timed.phase), cells.concat()), style));
    }
    if scene.timed.is_empty() {
        put(Line::styled("  nothing was timed yet", palette.quiet()));
    }
    let Some(most) = scene.curve.iter().max().filter(|most| **most > 0) else { return };
    put(Line::styled(cut(&format!("  p99 by interval, at most {} ms", millis(*most)), width), palette.quiet()));
    let height = lines.end.saturating_sub(lines.start);
    let chart = Rect { x: area.x + 2, y: lines.start, width: area.width.saturating_sub(2), height };
    if chart.height > 0 {
        let last = scene.curve.len().saturating_sub(usize::from(chart.width));
        Sparkline::default().data(&scene.curve[last..]).max(*most).style(palette.accent()).render(chart, buffer);
    }
}

fn name_of(phase: Phase) -> &'static str {
    match phase {
        Phase::RegisterFailed => "failed",
        other => other.as_str(),
    }
}

/// Milliseconds in at most five places.
fn short(us: u64) -> String {
    match us {
        0..10_000 => format!("{:.2}", us as f64 / 1e3),
        10_000..1_000_000 => format!("{:.1}", us as f64 / 1e3),
        1_000_000..10_000_000 => format!("{}", us / 1_000),
        _ => format!("{:.1}s", us as f64 / 1e6),
    }
}

pub(super) fn findings_title(scene: &Scene) -> String {
    match &scene.found {
        None => "findings".to_owned(),
        Some(found) => format!(
            "findings so far: {} (looking took {} ms of CPU)",
            found.lines.len(),
            millis(u64::try_from(found.took.as_micros()).unwrap_or(u64::MAX))
        ),
    }
}

/// Canaries that fail, then the findings, one line each, the most severe first, and what to do
/// where there is room for it; last what other canaries said.
pub(super) fn findings(scene: &Scene, palette: Palette, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    // What fails now is not hidden by what was found, nor the other way round.
    let most = usize::from(area.height).div_ceil(2);
    let failing = scene.canaries.iter().filter(|canary| canary.failing).count();
    let told = failing.min(most);
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (n, canary) in scene.canaries[..told].iter().enumerate() {
        let others = if n + 1 == told { failing - told } else { 0 };
        lines.push(canary_line(canary, others, palette, width));
    }
    let area_left = usize::from(area.height) - lines.len();
    match &scene.found {
        None => lines.push(Line::styled("  looked for after each interval", palette.quiet())),
        Some(found) if found.lines.is_empty() => {
            lines.push(Line::from(vec![Span::styled("● ", palette.good()), Span::raw("none")]));
        }
        Some(found) => {
            let fit = area_left;
            let whole = if found.lines.len() > fit { fit.saturating_sub(1) } else { found.lines.len() };
            let each = fit / found.lines.len();
            for finding in &found.lines[..whole] {
                lines.extend(finding_lines(finding, palette, width).into_iter().take(each.max(1)));
            }
            let left = found.lines.len() - whole;
            if left > 0 {
                lines.push(Line::styled(format!("  and {left} more"), palette.quiet()));
            }
        }
    }
    lines.extend(scene.canaries[failing..].iter().map(|canary| canary_line(canary, 0, palette, width)));
    for (line, y) in lines.into_iter().zip(area.y..area.bottom()) {
        line.render(Rect { y, height: 1, ..area }, buffer);
    }
}

/// What a canary said last, and how many others fail that there is no room for.
fn canary_line(canary: &CanaryLine, others: usize, palette: Palette, width: usize) -> Line<'static> {
    let (mark, style) =
        if canary.failing { ("✖ canary   ", palette.bad()) } else { ("● canary   ", palette.accent()) };
    let more = if others > 0 { format!(" (and {others} more)") } else { String::new() };
    let room = width.saturating_sub(INDENT + more.chars().count());
    Line::from(vec![Span::styled(mark, style), Span::raw(cut(&canary.text, room)), Span::raw(more)])
}

/// What was found, what to do, what speaks for it: as many of the lines as there is room for are
/// shown.
fn finding_lines(finding: &FindingLine, palette: Palette, width: usize) -> Vec<Line<'static>> {
    let (mark, style) = match finding.severity {
        Severity::Critical => ("✖ critical ", palette.bad()),
        Severity::Warning => ("▲ warning  ", palette.doubt()),
        Severity::Info => ("● info     ", palette.accent()),
    };
    let head = format!("{} {} ", finding.id, finding.trunk);
    let room = width.saturating_sub(INDENT + head.chars().count());
    let (first, rest) = split(&finding.summary, room);
    let mut lines = vec![Line::from(vec![
        Span::styled(mark, style),
        Span::styled(head, palette.strong()),
        Span::raw(first.to_owned()),
    ])];
    let room = width.saturating_sub(INDENT + 2);
    let indent = " ".repeat(INDENT);
    lines.extend(wrapped(rest, room).into_iter().map(|text| Line::raw(format!("{indent}{text}"))));
    for (arrow, text) in [("→", &finding.advice), ("·", &finding.evidence)] {
        for (number, text) in wrapped(text, room).into_iter().enumerate() {
            let arrow = if number == 0 { arrow } else { " " };
            lines.push(Line::styled(format!("{indent}{arrow} {text}"), palette.quiet()));
        }
    }
    lines
}

/// Of a severity and its mark.
const INDENT: usize = 11;

/// A text in lines of at most `width`, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && width > 0 {
        let (line, others) = split(rest, width);
        lines.push(line);
        rest = others;
    }
    lines
}

/// The words that fit, and the others.
fn split(text: &str, width: usize) -> (&str, &str) {
    let Some((end, _)) = text.char_indices().nth(width) else { return (text, "") };
    let space = text[..end].rfind(' ').filter(|_| !text[end..].starts_with(' ')).unwrap_or(end);
    (&text[..space], text[space..].trim_start())
}

/// How the generator is: what it got wrong must not be held against a server.
pub(super) fn generator(scene: &Scene, palette: Palette, area: Rect, buffer: &mut Buffer) {
    let (mark, style, word) = match scene.found.as_ref().map(|found| found.health) {
        None => ("○", palette.quiet(), "generator"),
        Some(Health::Valid) => ("●", palette.good(), "generator valid"),
        Some(Health::Suspect) => ("▲", palette.doubt(), "generator suspect"),
        Some(Health::Invalid) => ("✖", palette.bad(), "generator INVALID"),
    };
    let counts = &scene.generator;
    let lag = scene.digest.as_ref().and_then(|digest| digest.lag_p99_us).map_or_else(|| "-".to_owned(), millis);
    let cpu = scene.cpu_pct().map_or_else(|| "-".to_owned(), |pct| format!("{pct:.1} %"));
    let doubt = scene.found.as_ref().and_then(|found| found.doubts.first()).map(String::as_str).unwrap_or_default();
    let figures = format!(
        " {word:<18}late {:>4}  drops {:>2}  errors {:>2}  lag p99 {lag:>5} ms  cpu {cpu:>6} ",
        grouped(counts.arrivals_late),
        grouped(counts.socket_drops),
        grouped(counts.send_errors),
    );
    let room = usize::from(area.width).saturating_sub(figures.chars().count() + 1);
    let line = [Span::styled(mark, style), Span::raw(figures), Span::styled(cut(doubt, room), palette.doubt())];
    Line::from_iter(line).render(area, buffer);
}

pub(super) fn message(scene: &Scene, palette: Palette, area: Rect, buffer: &mut Buffer) {
    let text = cut(&scene.message, usize::from(area.width));
    Line::styled(text, if scene.stopping { palette.doubt() } else { palette.strong() }).render(area, buffer);
}

pub(super) fn keys(scene: &Scene, palette: Palette, area: Rect, buffer: &mut Buffer) {
    let pause = if scene.speed == Speed::STILL { "go on" } else { "pause" };
    let keys = [
        ("q", "end"),
        ("p", pause),
        ("+", "faster"),
        ("-", "slower"),
        ("s", "sort"),
        ("r", "reverse"),
        ("↑↓", "scroll"),
        ("?", "help"),
    ];
    let spans = keys.into_iter().flat_map(|(key, does)| {
        [Span::styled(key, palette.accent()), Span::styled(format!(" {does}   "), palette.quiet())]
    });
    Line::from_iter(spans).render(area, buffer);
}
