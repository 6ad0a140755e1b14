//! The sweeps as a picture that stands alone: panels side by side, logarithmic across, from zero
//! upwards, with the spread of each point.

use std::fmt::{self, Write as _};

/// Of several runs of the same.
#[derive(Clone, Copy)]
pub struct Point {
    pub least: f64,
    pub middle: f64,
    pub most: f64,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ({:.1}–{:.1})", self.middle, self.least, self.most)
    }
}

pub struct Panel {
    /// What grows from left to right.
    pub axis: &'static str,
    /// Each with its name.
    pub lines: [(&'static str, Vec<(u32, Point)>); 2],
}

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 44.0;

/// Colour and dash of the lines; both show on light and on dark.
const STYLES: [(&str, &str); 2] = [("#2f81d6", "none"), ("#d9822b", "5 3")];

pub fn svg(panels: &[Panel]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\" \
         fill=\"#888\">\n<title>Microseconds of CPU per registration</title>\n",
        WIDTH * panels.len().max(1) as f64,
    );
    for (number, panel) in panels.iter().enumerate() {
        let _ = writeln!(svg, "<g transform=\"translate({} 0)\">", WIDTH * number as f64);
        panel.draw(&mut svg);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

impl Panel {
    fn draw(&self, svg: &mut String) {
        let scale = Scale::of(self);
        for step in 0..=4 {
            let value = scale.top * f64::from(step) / 4.0;
            let y = scale.y(value);
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {y:.1}H{}\" stroke=\"#888\" stroke-opacity=\".3\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
            );
        }
        for (at, _) in &self.lines[0].1 {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{at}</text>",
                scale.x(*at),
                HEIGHT - BOTTOM + 16.0,
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n<text x=\"{LEFT}\" y=\"14\">µs of CPU per registration</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 10.0,
            self.axis,
        );
        for (number, ((name, points), (colour, dash))) in self.lines.iter().zip(STYLES).enumerate() {
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"{colour}\">{name}</text>",
                WIDTH - RIGHT,
                14 + 13 * number,
            );
            let path: Vec<String> =
                points.iter().map(|(at, point)| format!("{:.1} {:.1}", scale.x(*at), scale.y(point.middle))).collect();
            let _ = writeln!(
                svg,
                "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" stroke-dasharray=\"{dash}\"/>",
                path.join("L"),
            );
            for (at, point) in points {
                let (x, from, to) = (scale.x(*at), scale.y(point.least), scale.y(point.most));
                let _ = writeln!(
                    svg,
                    "<path d=\"M{x:.1} {from:.1}V{to:.1}\" stroke=\"{colour}\"/>\
                     <circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"2.5\" fill=\"{colour}\"/>",
                    scale.y(point.middle),
                );
            }
        }
    }
}

/// Where values stand in a panel.
struct Scale {
    /// Common logarithms of the first and the last place.
    from: f64,
    to: f64,
    top: f64,
}

impl Scale {
    fn of(panel: &Panel) -> Self {
        let points = || panel.lines.iter().flat_map(|(_, points)| points);
        let log = |at: u32| f64::from(at.max(1)).log10();
        let from = points().map(|(at, _)| log(*at)).fold(f64::INFINITY, f64::min);
        let to = points().map(|(at, _)| log(*at)).fold(f64::NEG_INFINITY, f64::max);
        let most = points().map(|(_, point)| point.most).fold(1.0, f64::max);
        // Quarters of it are whole numbers.
        let decade = 10f64.powf((most / 4.0).log10().floor()).max(1.0);
        Scale { from, to: to.max(from + 0.1), top: (most / 4.0 / decade).ceil() * decade * 4.0 }
    }

    fn x(&self, at: u32) -> f64 {
        let share = (f64::from(at.max(1)).log10() - self.from) / (self.to - self.from);
        LEFT + 20.0 + share * (WIDTH - LEFT - RIGHT - 40.0)
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (1.0 - value / self.top) * (HEIGHT - TOP - BOTTOM)
    }
}
