//! The board on which workers and coordinator leave notes for each other, as it is used; `nats` is
//! the one there is, and tests have one in memory.

use std::fmt;

/// Where notes are left. A note under a key replaces the one before it; what is appended stays.
/// Each note has a number, higher than all before it in the same place.
pub trait Board {
    /// Leaves a note under a key, and returns its number.
    ///
    /// # Errors
    /// When the board cannot be reached.
    fn pin(&mut self, key: &str, note: Vec<u8>) -> Result<u64, BoardError>;

    /// The note under a key.
    ///
    /// # Errors
    /// When the board cannot be reached.
    fn read(&mut self, key: &str) -> Result<Option<BoardNote>, BoardError>;

    /// The first note with this number or a higher one whose key fits; `*` stands for one word
    /// between full stops.
    ///
    /// # Errors
    /// When the board cannot be reached.
    fn next(&mut self, keys: &str, from: u64) -> Result<Option<BoardNote>, BoardError>;

    /// Appends a piece of a record; one with an id that was there already is not appended again.
    ///
    /// # Errors
    /// When the board cannot be reached.
    fn append(&mut self, lane: &str, id: &str, piece: Vec<u8>) -> Result<(), BoardError>;

    /// The first piece with this number or a higher one whose lane fits.
    ///
    /// # Errors
    /// When the board cannot be reached.
    fn next_piece(&mut self, lanes: &str, from: u64) -> Result<Option<BoardNote>, BoardError>;

    /// Takes down everything under keys and lanes that fit.
    ///
    /// # Errors
    /// When the board cannot be reached.
    fn take_down(&mut self, keys: &str) -> Result<(), BoardError>;
}

/// What hung there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BoardNote {
    pub number: u64,
    /// Its key or lane.
    pub key: String,
    /// When it was left, by the board's clock: nanoseconds since the Unix epoch.
    pub left_unix_ns: i64,
    pub bytes: Vec<u8>,
}

/// The board was not reached, or refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BoardError(pub String);

impl fmt::Display for BoardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BoardError {}
