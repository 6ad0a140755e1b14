//! Why a file is no record that can be reported on: for whoever reads frames, and for whoever sums
//! them up.

use super::schema;
use crate::measure::Imbalance;
use std::io;

/// Why a file is not a record that can be reported on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the record cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("this is no record of a run: it does not begin with \"regstorm\"")]
    NotARecord,
    #[error("the record has layout {found}, and this version reads layout {}", schema::VERSION)]
    Version { found: u32 },
    #[error("the record ends before its header is complete ({0}): nothing was measured")]
    NoHeader(String),
    /// A frame whose checksum holds says something that cannot be.
    #[error("the record is damaged at byte {offset}: {what}")]
    Malformed { offset: u64, what: String },
    /// Attempts appeared or vanished, and the run that wrote it did not know: no figure of such a
    /// record can be trusted. What the run itself saw is in
    /// [`Results::imbalances`](super::Results::imbalances) instead.
    #[error("{0}")]
    Imbalance(Imbalance),
}
