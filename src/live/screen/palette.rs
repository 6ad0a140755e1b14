//! Colours that people with any colour vision tell apart (Okabe and Ito 2008), each beside a symbol
//! that says the same.

use ratatui::style::{Color, Modifier, Style};

/// How many colours a terminal has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// `NO_COLOR`, see <https://no-color.org>.
    None,
    /// The 256 of xterm.
    Indexed,
    True,
}

/// How things look.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    depth: Depth,
}

impl Palette {
    pub const fn new(depth: Depth) -> Self {
        Palette { depth }
    }

    /// What went well.
    pub fn good(self) -> Style {
        self.colour((0, 158, 115), 36)
    }

    /// What went wrong and may be meant to.
    pub fn doubt(self) -> Style {
        self.colour((230, 159, 0), 214)
    }

    /// What went wrong.
    pub fn bad(self) -> Style {
        self.colour((213, 94, 0), 166).add_modifier(Modifier::BOLD)
    }

    /// Charts, and what can be typed.
    pub fn accent(self) -> Style {
        self.colour((86, 180, 233), 74)
    }

    /// What is there to be looked up, not to be looked at.
    pub fn quiet(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    fn colour(self, (r, g, b): (u8, u8, u8), index: u8) -> Style {
        match self.depth {
            Depth::None => Style::new(),
            Depth::Indexed => Style::new().fg(Color::Indexed(index)),
            Depth::True => Style::new().fg(Color::Rgb(r, g, b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_there_are_none() {
        let plain = Palette::new(Depth::None);
        for style in [plain.good(), plain.doubt(), plain.bad(), plain.accent(), plain.quiet(), plain.strong()] {
            assert_eq!((style.fg, style.bg), (None, None));
        }
    }

    #[test]
    fn no_two_meanings_share_a_colour() {
        for depth in [Depth::Indexed, Depth::True] {
            let palette = Palette::new(depth);
            let colours = [palette.good(), palette.doubt(), palette.bad(), palette.accent()].map(|style| style.fg);
            for (place, colour) in colours.iter().enumerate() {
                assert!(colour.is_some() && !colours[..place].contains(colour));
            }
        }
    }
}
