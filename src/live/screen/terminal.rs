//! The terminal, taken for a while and given back: at the end, after an error, and when anything
//! panics.
//!
//! Signals need nothing here: the first ends the run in good order, and this ends with it. The
//! screen is drawn on standard error; standard output belongs to the summary.

use super::{Palette, Scene, view};
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{Event, poll, read};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use std::io::{self, BufWriter, Stderr, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether the terminal is ours. There is one per process, and a panic in any thread must find it.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// A terminal that shows a [`Scene`].
pub struct Terminal {
    cells: ratatui::Terminal<CrosstermBackend<BufWriter<Stderr>>>,
}

impl Terminal {
    /// Takes the terminal: keys come one by one and without echo, and what was on the screen is put
    /// aside.
    ///
    /// # Errors
    /// When there is none; it is left as it was then.
    pub fn take() -> io::Result<Terminal> {
        give_back_on_panic();
        TAKEN.store(true, Ordering::SeqCst);
        let taken = enable_raw_mode()
            .and_then(|()| execute!(io::stderr(), EnterAlternateScreen, Hide))
            .and_then(|()| ratatui::Terminal::new(CrosstermBackend::new(BufWriter::new(io::stderr()))));
        match taken {
            Ok(cells) => Ok(Terminal { cells }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Gives a terminal up that does not take what is drawn: the thread that draws is held by it,
    /// and nothing more can be written. Keys are what they were.
    pub fn abandon() {
        if TAKEN.swap(false, Ordering::SeqCst) {
            // A terminal that is gone needs nothing any more.
            let _ = disable_raw_mode();
        }
    }

    /// Waits for an event of the terminal, no longer than `at_most`.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn wait(at_most: Duration) -> io::Result<Option<Event>> {
        if poll(at_most)? { read().map(Some) } else { Ok(None) }
    }

    /// Draws what has changed. False: the terminal was given back meanwhile, and nothing may be
    /// drawn any more.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(&mut self, scene: &mut Scene, palette: Palette) -> io::Result<bool> {
        // Whoever gives the terminal back waits for this drawing to be whole.
        let _whole = io::stderr().lock();
        if !TAKEN.load(Ordering::SeqCst) {
            return Ok(false);
        }
        self.cells.draw(|frame| view::draw(scene, palette, frame.area(), frame.buffer_mut()))?;
        Ok(true)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// Puts everything back as it was found, once.
fn give_back() {
    let mut out = io::stderr().lock();
    if TAKEN.swap(false, Ordering::SeqCst) {
        // A terminal that is gone needs nothing any more.
        let _ = disable_raw_mode();
        let _ = restore(&mut out);
    }
}

fn restore(out: &mut impl Write) -> io::Result<()> {
    execute!(out, LeaveAlternateScreen, Show)
}

/// A message of a panic on the other screen would vanish with it, and a shell without echo is of no
/// use.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            give_back();
            before(info);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_screen_is_left_before_the_cursor_shows() {
        let mut bytes = Vec::new();
        restore(&mut bytes).expect("a vector takes every byte");
        assert_eq!(bytes, b"\x1b[?1049l\x1b[?25h");
    }
}
