//! A chart as static SVG: lines, stacked bars or a map over time, and distributions, drawn with the
//! page's own colours, so that it follows light, dark and print, and shows where no script runs.
//!
//! What is drawn is in `charts`; here are axes, scales and marks. Series differ by dash or pattern
//! as well as by colour.

use crate::vocab::{floor_u32, floor_u64};
use std::collections::BTreeMap;
use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 26.0;

/// How values stand on the vertical axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scale {
    /// From zero.
    Linear,
    /// Decades; values of zero and below are not drawn.
    Logarithmic,
}

/// One line, or one layer of the bars.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub label: &'static str,
    /// CSS class that gives colour and dash.
    pub class: &'static str,
    /// By position of [`ChartFrame::spans`]; `None` leaves a gap.
    pub values: Vec<Option<f64>>,
}

/// What a chart's marks stand on.
#[derive(Clone, Debug)]
pub(super) struct ChartFrame<'a> {
    /// Start and end of each step, seconds since the run's start.
    pub spans: &'a [(f64, f64)],
    pub scale: Scale,
    /// Written behind the numbers of the vertical axis.
    pub unit: &'static str,
}

/// Lines in steps: level over each step, for that is what was measured.
pub(super) fn lines(frame: &ChartFrame<'_>, series: &[Series]) -> String {
    let values = || series.iter().flat_map(|line| line.values.iter().flatten().copied());
    let mut canvas = Canvas::new(frame, values());
    for line in series {
        canvas.steps(line, frame.spans);
    }
    canvas.finish()
}

/// One bar for each step, the layers stacked from the first upwards, and lines over them.
pub(super) fn bars(frame: &ChartFrame<'_>, layers: &[Series], over: &[Series]) -> String {
    let total = |at: usize| layers.iter().filter_map(|layer| layer.values[at]).sum::<f64>();
    let above = over.iter().flat_map(|line| line.values.iter().flatten().copied());
    let mut canvas = Canvas::new(frame, (0..frame.spans.len()).map(total).chain(above));
    let mut below = vec![0.0; frame.spans.len()];
    for layer in layers {
        let mut path = String::new();
        for (at, span) in frame.spans.iter().enumerate() {
            let value = layer.values[at].unwrap_or(0.0);
            let (Some(low), Some(high)) = (canvas.y(below[at]), canvas.y(below[at] + value)) else { continue };
            below[at] += value;
            if value > 0.0 {
                let (left, right) = (canvas.x(span.0), canvas.x(span.1));
                let (wide, tall) = ((right - left - 0.5).max(0.5), (low - high).max(0.5));
                // Writing to a string cannot fail, here and below.
                let _ = write!(path, "M{left:.1} {high:.1}h{wide:.1}v{tall:.1}h-{wide:.1}z");
            }
        }
        let _ = write!(canvas.svg, "<path class=\"bar {}\" d=\"{path}\"/>", layer.class);
    }
    for line in over {
        canvas.steps(line, frame.spans);
    }
    canvas.finish()
}

/// Lines from point to point over the nines of a share: 0 is none, 1 is 90 %, 2 is 99 %, and so on.
pub(super) fn curves(nines: &[f64], unit: &'static str, series: &[Series]) -> String {
    let values = series.iter().flat_map(|line| line.values.iter().flatten().copied());
    let across = Across::Nines(nines.last().copied().unwrap_or(1.0));
    let mut canvas = Canvas::over(across, Scale::Logarithmic, unit, values);
    for line in series {
        let mut path = String::new();
        for (value, nines) in line.values.iter().zip(nines) {
            let Some(y) = value.and_then(|value| canvas.y(value)) else { continue };
            let _ = write!(path, "{}{:.1} {y:.1}", if path.is_empty() { "M" } else { "L" }, canvas.x(*nines));
        }
        let _ = write!(canvas.svg, "<path class=\"line {}\" d=\"{path}\"/>", line.class);
    }
    canvas.finish()
}

/// Lines over rates in decades, a mark at each, and an upright line at the knee.
pub(super) fn over_rates(
    rates: &[f64],
    scale: Scale,
    unit: &'static str,
    series: &[Series],
    knee: Option<f64>,
) -> String {
    let values = series.iter().flat_map(|line| line.values.iter().flatten().copied());
    let (low, high) = (rates.iter().copied().fold(f64::INFINITY, f64::min), rates.iter().copied().fold(0.0, f64::max));
    let across = Across::Rates(low.max(f64::MIN_POSITIVE), high.max(low * 2.0));
    let mut canvas = Canvas::over(across, scale, unit, values);
    if let Some(knee) = knee.filter(|knee| (low..=high).contains(knee)) {
        let (x, Area { top, bottom, .. }) = (canvas.x(knee), canvas.area);
        let _ = write!(canvas.svg, "<path class=\"line c-bad\" d=\"M{x:.1} {top}V{bottom}\"/>");
        let _ = write!(
            canvas.svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{knee:.0}/s</text>",
            x - 5.0,
            bottom - 6.0
        );
    }
    for line in series {
        let (mut path, mut marks) = (String::new(), String::new());
        for (value, rate) in line.values.iter().zip(rates) {
            let Some(y) = value.and_then(|value| canvas.y(value)) else { continue };
            let x = canvas.x(*rate);
            let _ = write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { "M" } else { "L" });
            let _ = write!(marks, "M{:.1} {:.1}h5v5h-5z", x - 2.5, y - 2.5);
        }
        let _ = write!(
            canvas.svg,
            "<path class=\"line {0}\" d=\"{path}\"/><path class=\"bar {0}\" d=\"{marks}\"/>",
            line.class
        );
    }
    canvas.finish()
}

/// A small chart of shares, 0 to 100: it stands among others like it.
pub(super) fn shares(spans: &[(f64, f64)], series: &[Series]) -> String {
    let seconds = spans.last().map_or(1.0, |span| span.1).max(f64::MIN_POSITIVE);
    let area = Area { left: 36.0, right: 240.0, top: 6.0, bottom: 76.0 };
    let Area { left, right, top, bottom } = area;
    let middle = f64::midpoint(top, bottom);
    let mut canvas = Canvas {
        svg: format!(
            "<svg viewBox=\"0 0 240 92\" aria-hidden=\"true\"><path class=\"grid\" \
             d=\"M{left} {top}H{right}M{left} {middle}H{right}M{left} {bottom}H{right}\"/>"
        ),
        across: Across::Seconds(seconds),
        scale: Scale::Linear,
        low: 0.0,
        high: 100.0,
        area,
    };
    for (text, x, y, anchor) in [
        ("100 %".to_owned(), left - 4.0, top + 4.0, "end"),
        ("0 %".to_owned(), left - 4.0, bottom + 3.0, "end"),
        ("0:00".to_owned(), left, bottom + 13.0, "start"),
        (clock(seconds), right, bottom + 13.0, "end"),
    ] {
        let _ = write!(canvas.svg, "<text class=\"small\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>");
    }
    for line in series {
        canvas.steps(line, spans);
    }
    canvas.finish()
}

/// A stretch of a row of a map.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct MapStretch {
    pub row: usize,
    /// Seconds since the run's start.
    pub from: f64,
    pub until: f64,
    pub class: &'static str,
    /// 0 to 1: how strong it is drawn.
    pub share: f64,
}

/// Rows of stretches over time, the first row at the top.
pub(super) fn map(rows: usize, seconds: f64, stretches: &[MapStretch]) -> String {
    let area = Area { top: TOP, bottom: TOP + map_height(rows), ..AREA };
    let mut canvas = Canvas {
        svg: format!("<svg viewBox=\"0 0 {WIDTH} {:.0}\" aria-hidden=\"true\">", area.bottom + BOTTOM),
        across: Across::Seconds(seconds.max(f64::MIN_POSITIVE)),
        scale: Scale::Linear,
        low: 0.0,
        high: rows.max(1) as f64,
        area,
    };
    canvas.across_labels();
    let tall = (area.bottom - area.top) / rows.max(1) as f64;
    let mut groups: BTreeMap<(&str, u32), String> = BTreeMap::new();
    for stretch in stretches {
        let (left, right) = (canvas.x(stretch.from), canvas.x(stretch.until));
        let y = area.top + (stretch.row as f64 + 0.5) * tall;
        let path = groups.entry((stretch.class, strength(stretch.share))).or_default();
        let _ = write!(path, "M{left:.1} {y:.1}h{:.1}", (right - left).max(1.0));
    }
    for ((class, strength), path) in groups {
        let _ = write!(
            canvas.svg,
            "<path class=\"cell {class}\" stroke-width=\"{:.1}\" opacity=\"{:.1}\" d=\"{path}\"/>",
            (tall - 0.6).max(0.6),
            f64::from(strength) / 10.0,
        );
    }
    canvas.finish()
}

/// Tenths of full strength; even the weakest is seen.
fn strength(share: f64) -> u32 {
    floor_u32((4.0 + 6.0 * share.clamp(0.0, 1.0)).round())
}

/// Few rows are drawn tall enough to be told apart, many share what there is.
pub(super) fn map_height(rows: usize) -> f64 {
    (rows as f64 * 12.0).clamp(36.0, 360.0)
}

/// What runs along the horizontal axis, with its largest value.
#[derive(Clone, Copy, Debug)]
enum Across {
    Seconds(f64),
    Nines(f64),
    /// Per second, in decades: the lowest and the highest.
    Rates(f64, f64),
}

impl Across {
    fn most(self) -> f64 {
        match self {
            Across::Seconds(most) | Across::Nines(most) | Across::Rates(_, most) => most.max(f64::MIN_POSITIVE),
        }
    }

    /// How far to the right this value lies, of all.
    fn part(self, value: f64) -> f64 {
        match self {
            Across::Seconds(_) | Across::Nines(_) => value / self.most(),
            Across::Rates(low, high) => (value / low).log10() / (high / low).log10(),
        }
    }

    fn labels(self) -> Vec<(f64, String)> {
        match self {
            Across::Rates(low, high) => {
                let decades = (0..8).map(|n| 10f64.powi(n));
                // Over few decades they alone are too few to read a rate by.
                let steps: &[f64] = if high / low < 1_000.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
                let all = decades.flat_map(|decade| steps.iter().map(move |step| step * decade));
                let inside = all.filter(|rate| (low..=high).contains(rate));
                inside.map(|rate| (rate, format!("{}/s", number(rate)))).collect()
            }
            Across::Seconds(seconds) => {
                let step = time_step(seconds);
                (0..=floor_u32(seconds / step)).map(|n| f64::from(n) * step).map(|at| (at, clock(at))).collect()
            }
            Across::Nines(most) => {
                SHARES.into_iter().filter(|(at, _)| *at <= most).map(|(at, share)| (at, share.to_owned())).collect()
            }
        }
    }
}

/// Shares that are written below a distribution, by their nines: -log10(1 - share).
const SHARES: [(f64, &str); 8] = [
    (0.0, "0 %"),
    (std::f64::consts::LOG10_2, "50 %"),
    (1.0, "90 %"),
    (2.0, "99 %"),
    (3.0, "99.9 %"),
    (4.0, "99.99 %"),
    (5.0, "99.999 %"),
    (6.0, "99.9999 %"),
];

/// Where marks may be.
#[derive(Clone, Copy, Debug)]
struct Area {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

const AREA: Area = Area { left: LEFT, right: WIDTH - RIGHT, top: TOP, bottom: HEIGHT - BOTTOM };

struct Canvas {
    svg: String,
    across: Across,
    scale: Scale,
    /// Lowest and highest value of the axis; decades as powers of ten.
    low: f64,
    high: f64,
    area: Area,
}

impl Canvas {
    fn new(frame: &ChartFrame<'_>, values: impl Iterator<Item = f64> + Clone) -> Self {
        let seconds = frame.spans.last().map_or(1.0, |span| span.1);
        Self::over(Across::Seconds(seconds), frame.scale, frame.unit, values)
    }

    fn over(across: Across, scale: Scale, unit: &str, values: impl Iterator<Item = f64> + Clone) -> Self {
        let highest = values.clone().fold(0.0, f64::max);
        let (low, high) = match scale {
            Scale::Linear => (0.0, nice_above(highest)),
            Scale::Logarithmic => {
                let lowest = values.filter(|&value| value > 0.0).fold(f64::INFINITY, f64::min).min(highest.max(1.0));
                (lowest.log10().floor(), highest.max(lowest * 10.0).log10().ceil())
            }
        };
        let mut canvas = Canvas { svg: String::new(), across, scale, low, high, area: AREA };
        let _ = write!(canvas.svg, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" aria-hidden=\"true\">");
        canvas.axes(unit);
        canvas
    }

    fn x(&self, value: f64) -> f64 {
        self.area.left + self.across.part(value) * (self.area.right - self.area.left)
    }

    fn y(&self, value: f64) -> Option<f64> {
        let position = match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic if value > 0.0 => value.log10(),
            Scale::Logarithmic => return None,
        };
        let share = (position - self.low) / (self.high - self.low);
        Some(self.area.bottom - share.clamp(0.0, 1.0) * (self.area.bottom - self.area.top))
    }

    fn steps(&mut self, line: &Series, spans: &[(f64, f64)]) {
        let mut path = String::new();
        let mut pen_down = false;
        for (value, span) in line.values.iter().zip(spans) {
            match value.and_then(|value| self.y(value)) {
                Some(y) => {
                    let (from, to) = (self.x(span.0), self.x(span.1));
                    let _ = write!(path, "{}{from:.1} {y:.1}H{to:.1}", if pen_down { "L" } else { "M" });
                    pen_down = true;
                }
                None => pen_down = false,
            }
        }
        let _ = write!(self.svg, "<path class=\"line {}\" d=\"{path}\"/>", line.class);
    }

    #[expect(clippy::cast_possible_truncation, reason = "whole decades of what was measured")]
    fn axes(&mut self, unit: &str) {
        let ticks: Vec<f64> = match self.scale {
            Scale::Linear => (0..=4).map(|n| self.high / 4.0 * f64::from(n)).collect(),
            Scale::Logarithmic => (self.low as i32..=self.high as i32).map(|decade| 10f64.powi(decade)).collect(),
        };
        for tick in ticks {
            let Some(y) = self.y(tick) else { continue };
            let _ = write!(
                self.svg,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}{unit}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 3.5,
                number(tick),
            );
        }
        self.across_labels();
    }

    fn across_labels(&mut self) {
        for (at, label) in self.across.labels() {
            let x = self.x(at);
            // A label at either end stays inside the picture.
            let anchor = match x {
                _ if x < self.area.left + 1.0 => "start",
                _ if x > self.area.right - 20.0 => "end",
                _ => "middle",
            };
            let y = self.area.bottom + 18.0;
            let _ = write!(self.svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{label}</text>");
        }
    }

    fn finish(mut self) -> String {
        self.svg.push_str("</svg>");
        self.svg
    }
}

/// The next of 1, 2, 4, 6, 8 × a power of ten; four steps of it are round numbers.
fn nice_above(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].into_iter().map(|m| m * power).find(|&nice| nice >= value).unwrap_or(10.0 * power)
}

/// A step of time that puts at most eight labels on the axis.
fn time_step(seconds: f64) -> f64 {
    [
        1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0,
        86400.0,
    ]
    .into_iter()
    .find(|step| seconds / step <= 8.0)
    .unwrap_or(seconds / 8.0)
}

/// `0:05`, `1:30:00`.
fn clock(seconds: f64) -> String {
    let whole = floor_u64(seconds);
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{rest:02}") } else { format!("{minutes}:{rest:02}") }
}

fn number(value: f64) -> String {
    if value >= 10_000.0 && value % 1000.0 == 0.0 { format!("{}k", value / 1000.0) } else { format!("{value}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_on_round_numbers() {
        assert_eq!([0.0, 0.3, 7.0, 500.0, 512.0, 1001.0].map(nice_above), [1.0, 0.4, 8.0, 600.0, 600.0, 2000.0]);
        assert_eq!([5.0, 37.0, 600.0, 28_800.0].map(time_step), [1.0, 5.0, 120.0, 3600.0]);
        assert_eq!([0.0, 65.0, 5400.0].map(clock), ["0:00", "1:05", "1:30:00"]);
    }

    #[test]
    fn marks_stay_inside_and_gaps_stay_open() {
        let spans = [(0.0, 5.0), (5.0, 10.0), (10.0, 15.0)];
        let frame = ChartFrame { spans: &spans, scale: Scale::Logarithmic, unit: " ms" };
        let line = Series { label: "p99", class: "a", values: vec![Some(0.2), None, Some(300.0)] };
        let svg = lines(&frame, &[line]);
        assert_eq!(svg.matches('M').count() - svg.matches("class=\"grid\"").count(), 2, "two pieces: {svg}");
        assert!(svg.contains(">1000 ms<") && svg.contains(">0.1 ms<"), "{svg}");
        let frame = ChartFrame { scale: Scale::Linear, unit: "", ..frame };
        let layers = ["a", "b"].map(|class| Series { label: "x", class, values: vec![Some(3.0), Some(0.0), None] });
        assert_eq!(bars(&frame, &layers, &[]).matches('z').count(), 2, "a bar of nothing is none");
    }

    #[test]
    fn a_distribution_is_labelled_by_its_shares() {
        let line = Series { label: "register", class: "a", values: vec![Some(1.0), Some(2.0), Some(40.0)] };
        let svg = curves(&[0.0, 1.0, 2.0], " ms", &[line]);
        assert!(svg.contains(">99 %<") && !svg.contains(">99.9 %<"), "{svg}");
    }

    #[test]
    fn a_map_draws_each_strength_once() {
        let stretch = |row, share| MapStretch { row, from: 0.0, until: 10.0, class: "c-bad", share };
        let svg = map(3, 60.0, &[stretch(0, 1.0), stretch(1, 1.0), stretch(2, 0.1)]);
        assert_eq!(svg.matches("class=\"cell c-bad\"").count(), 2, "{svg}");
    }

    #[test]
    fn nothing_measured_draws_axes_only() {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            let svg = lines(&ChartFrame { spans: &[], scale, unit: "" }, &[]);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        for svg in [curves(&[], "", &[]), shares(&[], &[]), map(0, 0.0, &[])] {
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
