//! What each key means.

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What a person wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// End the load in good order.
    Stop,
    /// Ctrl-C: the first is as [`Act::Stop`], the second ends everything. A terminal in raw mode
    /// sends no signal.
    Interrupt,
    PauseOrResume,
    Faster,
    Slower,
    Help,
    /// Close what lies over the screen.
    Dismiss,
    SortByNext,
    Reverse,
    /// Rows down, or up.
    Scroll(i32),
    /// Screens of rows down, or up.
    Page(i32),
    First,
    Last,
    /// The terminal has another size.
    Redraw,
}

/// The wish behind an event of the terminal, if it is one of the keys above.
pub fn act(event: &Event) -> Option<Act> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => of_key(key),
        Event::Resize(..) => Some(Act::Redraw),
        _ => None,
    }
}

fn of_key(key: &KeyEvent) -> Option<Act> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return matches!(key.code, KeyCode::Char('c' | 'C')).then_some(Act::Interrupt);
    }
    Some(match key.code {
        KeyCode::Char('q' | 'Q') => Act::Stop,
        KeyCode::Char('p' | 'P' | ' ') => Act::PauseOrResume,
        // Where plus needs a shift, the key without it will do.
        KeyCode::Char('+' | '=') => Act::Faster,
        KeyCode::Char('-' | '_') => Act::Slower,
        KeyCode::Char('?' | 'h') | KeyCode::F(1) => Act::Help,
        KeyCode::Esc | KeyCode::Enter => Act::Dismiss,
        KeyCode::Char('s') | KeyCode::Tab => Act::SortByNext,
        KeyCode::Char('r') => Act::Reverse,
        KeyCode::Down | KeyCode::Char('j') => Act::Scroll(1),
        KeyCode::Up | KeyCode::Char('k') => Act::Scroll(-1),
        KeyCode::PageDown => Act::Page(1),
        KeyCode::PageUp => Act::Page(-1),
        KeyCode::Home | KeyCode::Char('g') => Act::First,
        KeyCode::End | KeyCode::Char('G') => Act::Last,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Option<Act> {
        act(&Event::Key(KeyEvent::new(code, modifiers)))
    }

    #[test]
    fn control_c_is_the_signal_it_would_be_and_no_other_control_does_anything() {
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Act::Interrupt));
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::CONTROL), None);
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), None);
    }

    #[test]
    fn keys_mean_what_the_help_says() {
        let plain = |code| key(code, KeyModifiers::NONE);
        assert_eq!(plain(KeyCode::Char('q')), Some(Act::Stop));
        assert_eq!(plain(KeyCode::Char('p')), Some(Act::PauseOrResume));
        assert_eq!(key(KeyCode::Char('+'), KeyModifiers::SHIFT), Some(Act::Faster));
        assert_eq!(plain(KeyCode::Char('-')), Some(Act::Slower));
        assert_eq!(plain(KeyCode::Char('?')), Some(Act::Help));
        assert_eq!(act(&Event::Resize(80, 24)), Some(Act::Redraw));
        assert_eq!(act(&Event::FocusGained), None);
    }
}
