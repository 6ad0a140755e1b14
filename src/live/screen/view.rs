//! Where everything stands on the screen, from 80 by 24 cells up.

use super::palette::Palette;
use super::pieces::title;
use super::scene::Scene;
use super::{panels, trunks};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

pub const LEAST_WIDTH: u16 = 80;
pub const LEAST_HEIGHT: u16 = 24;

/// Lines that are always there: five of the head, three titles, one heading, three at the foot.
const FIXED: u16 = 12;
/// Of the 12 lines that are left of the smallest screen.
const OUTCOMES: u16 = 5;
const FINDINGS: u16 = 3;
/// More than there are, for the chart beside them.
const MOST_OUTCOMES: u16 = 14;

/// How the lines of a screen are shared out among what can use more or less of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Shares {
    outcomes: u16,
    trunks: u16,
    findings: u16,
}

impl Shares {
    fn of(height: u16, trunk_count: usize) -> Shares {
        let spare = height.saturating_sub(LEAST_HEIGHT);
        let outcomes = (OUTCOMES + spare / 3).min(MOST_OUTCOMES);
        let rest = height.saturating_sub(FIXED + outcomes);
        let findings = FINDINGS + spare / 4;
        let wanted = u16::try_from(trunk_count).unwrap_or(u16::MAX).max(1);
        // What the table does not need, findings can use.
        let trunks = rest.saturating_sub(findings).min(wanted);
        Shares { outcomes, trunks, findings: rest.saturating_sub(trunks) }
    }
}

/// Draws a scene. Notes in it how many trunks fit, for the keys that turn pages.
pub fn draw(scene: &mut Scene, palette: Palette, area: Rect, buffer: &mut Buffer) {
    if area.width < LEAST_WIDTH || area.height < LEAST_HEIGHT {
        return too_small(area, buffer);
    }
    let shares = Shares::of(area.height, scene.opening.trunks.len());
    let mut rest = area;
    let mut take = |lines: u16| {
        let taken = Rect { height: lines.min(rest.height), ..rest };
        rest = Rect { y: rest.y + taken.height, height: rest.height - taken.height, ..rest };
        taken
    };
    panels::head(scene, palette, take(5), buffer);
    let middle = take(1 + shares.outcomes);
    let left = (middle.width * 2 / 5).clamp(42, 60);
    panels::outcomes(scene, palette, Rect { width: left, ..middle }, buffer);
    let right = Rect { x: middle.x + left + 1, width: middle.width - left - 1, ..middle };
    panels::latency(scene, palette, right, buffer);
    title(&trunks::title(scene, usize::from(shares.trunks)), palette, take(1), buffer);
    trunks::draw(scene, palette, take(1 + shares.trunks), buffer);
    title(&panels::findings_title(scene), palette, take(1), buffer);
    panels::findings(scene, palette, take(shares.findings), buffer);
    panels::generator(scene, palette, take(1), buffer);
    panels::message(scene, palette, take(1), buffer);
    panels::keys(scene, palette, take(1), buffer);
    if scene.help {
        help(palette, area, buffer);
    }
}

fn too_small(area: Rect, buffer: &mut Buffer) {
    let lines = [
        format!("{LEAST_WIDTH} by {LEAST_HEIGHT} cells are needed"),
        format!("here are {} by {}", area.width, area.height),
        "the run goes on; q ends it".to_owned(),
    ];
    for (line, y) in lines.iter().zip(area.y..area.bottom()) {
        buffer.set_stringn(area.x, y, line, usize::from(area.width), ratatui::style::Style::new());
    }
}

const HELP: [(&str, &str); 16] = [
    ("q", "end the load in good order, as Ctrl-C does"),
    ("Ctrl-C", "the same; a second one ends everything at once"),
    ("p, space", "pause the load, or go on: nothing arrives meanwhile,"),
    ("", "agents refresh and try again, stages wait"),
    ("+  -", "a tenth of the planned rate more or less; a hold"),
    ("", "lasts as long as planned"),
    ("", "Both are kept in the record: the load is then not"),
    ("", "the profile's, and every report says so."),
    ("s  r", "sort by the next column; the other way round"),
    ("up down", "scroll the trunks; PgUp PgDn Home End as well"),
    ("?", "this page; Esc closes it"),
    ("", ""),
    ("● ▲ ✖", "fine; something failed; fails now"),
    ("failed", "attempts that ended otherwise than registered"),
    ("/s", "over the last five seconds; ok/s: registered"),
    ("p50 p99", "of the last interval; dim: of one before"),
];

fn help(palette: Palette, area: Rect, buffer: &mut Buffer) {
    const HEIGHT: u16 = 18;
    const _: () = assert!(HELP.len() + 2 == HEIGHT as usize);
    let (width, height) = (66, HEIGHT);
    let page = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    Clear.render(page, buffer);
    let frame = ratatui::widgets::Block::bordered().title(" keys ").border_style(palette.accent());
    let inside = frame.inner(page);
    frame.render(page, buffer);
    for ((key, meaning), y) in HELP.iter().zip(inside.y..) {
        let line = [Span::styled(format!(" {key:<10}"), palette.accent()), Span::raw(*meaning)];
        Line::from_iter(line).render(Rect { y, height: 1, ..inside }, buffer);
    }
}
