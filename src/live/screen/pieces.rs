//! What several parts of the screen are made of: a rule with a title, and a bar.

use super::number::cut;
use super::palette::Palette;
use crate::vocab::floor_usize;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

/// A rule with a title on it.
pub(super) fn title(text: &str, palette: Palette, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let text = cut(text, width.saturating_sub(2));
    let rule = "─".repeat(width.saturating_sub(text.chars().count() + 3));
    let line = [Span::styled("─ ", palette.quiet()), Span::styled(text, palette.strong())];
    let end = Span::styled(format!(" {rule}"), palette.quiet());
    Line::from_iter(line.into_iter().chain([end])).render(Rect { height: 1, ..area }, buffer);
}

/// A bar of so many cells, full at 1.
pub(super) fn bar(done: f64, cells: usize, palette: Palette) -> [Span<'static>; 2] {
    let full = floor_usize((done.clamp(0.0, 1.0) * cells as f64).round()).min(cells);
    // Full is said of what is complete only.
    let full = if done < 1.0 { full.min(cells.saturating_sub(1)) } else { full };
    [Span::styled("━".repeat(full), palette.accent()), Span::styled("┄".repeat(cells - full), palette.quiet())]
}
