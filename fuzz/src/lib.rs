//! What each fuzz target does with the bytes it is given. No target may panic, overflow, or break
//! one of the promises asserted here; `tests/corpora.rs` sends every file of the corpora through
//! the same functions.
//!
//! ```text
//! cargo +nightly fuzz run scanner            (with cargo-fuzz)
//! ```

mod exchange;
mod files;
mod messages;

pub use exchange::exchange;
pub use files::{capture, event_log, list, profile, record};
pub use messages::{challenge, contact, framer, scanner};

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target; each has a folder of its name in `corpus`.
pub const TARGETS: [Target; 10] = [
    ("scanner", scanner),
    ("framer", framer),
    ("challenge", challenge),
    ("contact", contact),
    ("profile", profile),
    ("list", list),
    ("event_log", event_log),
    ("capture", capture),
    ("record", record),
    ("exchange", exchange),
];
