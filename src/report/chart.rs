//! A chart as static SVG: lines or stacked bars over time, drawn with the page's own colours, so that it follows light,
//! dark and print, and shows where no script runs.
//!
//! What is drawn is in `charts`; here are axes, scales and marks. Series differ by dash or pattern as well as by colour.

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 26.0;

/// How values stand on the vertical axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    /// From zero.
    Linear,
    /// Decades; values of zero and below are not drawn.
    Logarithmic,
}

/// One line, or one layer of the bars.
#[derive(Clone, Debug)]
pub struct Series {
    pub label: &'static str,
    /// CSS class that gives colour and dash.
    pub class: &'static str,
    /// By position of [`Frame::spans`]; `None` leaves a gap.
    pub values: Vec<Option<f64>>,
}

/// What a chart's marks stand on.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// Start and end of each step, seconds since the run's start.
    pub spans: &'a [(f64, f64)],
    pub scale: Scale,
    /// Written behind the numbers of the vertical axis.
    pub unit: &'static str,
}

/// Lines in steps: level over each step, for that is what was measured.
pub fn lines(frame: &Frame<'_>, series: &[Series]) -> String {
    let values = || series.iter().flat_map(|line| line.values.iter().flatten().copied());
    let mut canvas = Canvas::new(frame, values());
    for line in series {
        let mut path = String::new();
        let mut pen_down = false;
        for (value, span) in line.values.iter().zip(frame.spans) {
            match value.and_then(|value| canvas.y(value)) {
                Some(y) => {
                    // Writing to a string cannot fail, here and below.
                    let (from, to) = (canvas.x(span.0), canvas.x(span.1));
                    let _ = write!(path, "{}{from:.1} {y:.1}H{to:.1}", if pen_down { "L" } else { "M" });
                    pen_down = true;
                }
                None => pen_down = false,
            }
        }
        let _ = write!(canvas.svg, "<path class=\"line {}\" d=\"{path}\"/>", line.class);
    }
    canvas.finish()
}

/// One bar for each step, the series stacked from the first upwards.
pub fn bars(frame: &Frame<'_>, series: &[Series]) -> String {
    let total = |at: usize| series.iter().filter_map(|layer| layer.values[at]).sum::<f64>();
    let mut canvas = Canvas::new(frame, (0..frame.spans.len()).map(total));
    for (at, span) in frame.spans.iter().enumerate() {
        let (left, right) = (canvas.x(span.0), canvas.x(span.1));
        let mut below = 0.0;
        for layer in series {
            let value = layer.values[at].unwrap_or(0.0);
            let (Some(low), Some(high)) = (canvas.y(below), canvas.y(below + value)) else { continue };
            if value > 0.0 {
                let _ = write!(
                    canvas.svg,
                    "<rect class=\"bar {}\" x=\"{left:.1}\" y=\"{high:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                    layer.class,
                    (right - left - 0.5).max(0.5),
                    (low - high).max(0.5),
                );
            }
            below += value;
        }
    }
    canvas.finish()
}

struct Canvas {
    svg: String,
    seconds: f64,
    scale: Scale,
    /// Lowest and highest value of the axis; decades as powers of ten.
    low: f64,
    high: f64,
}

impl Canvas {
    fn new(frame: &Frame<'_>, values: impl Iterator<Item = f64> + Clone) -> Self {
        let seconds = frame.spans.last().map_or(1.0, |span| span.1).max(f64::MIN_POSITIVE);
        let highest = values.clone().fold(0.0, f64::max);
        let (low, high) = match frame.scale {
            Scale::Linear => (0.0, nice_above(highest)),
            Scale::Logarithmic => {
                let lowest = values.filter(|&value| value > 0.0).fold(f64::INFINITY, f64::min).min(highest.max(1.0));
                (lowest.log10().floor(), highest.max(lowest * 10.0).log10().ceil())
            }
        };
        let mut canvas = Canvas { svg: String::new(), seconds, scale: frame.scale, low, high };
        let _ = write!(canvas.svg, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" aria-hidden=\"true\">");
        canvas.axes(frame.unit);
        canvas
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + seconds / self.seconds * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> Option<f64> {
        let position = match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic if value > 0.0 => value.log10(),
            Scale::Logarithmic => return None,
        };
        let share = (position - self.low) / (self.high - self.low);
        Some(HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM))
    }

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
        let step = time_step(self.seconds);
        for n in 0..=(self.seconds / step) as u32 {
            let at = f64::from(n) * step;
            let _ = write!(
                self.svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                self.x(at),
                HEIGHT - 8.0,
                clock(at),
            );
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
    let whole = seconds as u64;
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
        let frame = Frame { spans: &spans, scale: Scale::Logarithmic, unit: " ms" };
        let line = Series { label: "p99", class: "a", values: vec![Some(0.2), None, Some(300.0)] };
        let svg = lines(&frame, &[line]);
        assert_eq!(svg.matches('M').count() - svg.matches("class=\"grid\"").count(), 2, "two pieces: {svg}");
        assert!(svg.contains(">1000 ms<") && svg.contains(">0.1 ms<"), "{svg}");
        let frame = Frame { scale: Scale::Linear, unit: "", ..frame };
        let layers = ["a", "b"].map(|class| Series { label: "x", class, values: vec![Some(3.0), Some(0.0), None] });
        assert_eq!(bars(&frame, &layers).matches("<rect").count(), 2);
    }

    #[test]
    fn nothing_measured_draws_axes_only() {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            let svg = lines(&Frame { spans: &[], scale, unit: "" }, &[]);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
