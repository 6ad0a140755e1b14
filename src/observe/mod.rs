//! Registrations that others made: a capture or a platform's log, read into the same [`Results`] a
//! run leaves behind.
//!
//! ```text
//! record::texttrace ─┐
//! record::capture ──▶ wire ──┐
//!                            ├─▶ watch ─▶ entries ─▶ replay ─▶ measure::Tally ─▶ record ─▶ Results
//! record::eventlog ─▶ log ───┘
//! ```
//!
//! `watch` follows each phone as `agent` would live it: the REGISTER, the challenge, the REGISTER
//! with Authorization, the final answer are one attempt, and its end is named by the same words.
//! `roster` knows the phones and their trunks: a trunk is a registrar's address and a domain, a
//! phone an address of record on it. So every detector, table and report works on what regstorm
//! never sent.
//!
//! `trace` tells the same phone by phone, for whoever wants to know what each did.
//!
//! What cannot be known from outside is said in [`Observation::remarks`]. Times are the capture's.
//! A first REGISTER counts as planned for the moment it was sent, so the generator's own figures
//! mean nothing here.

mod entry;
mod log;
mod phones;
mod replay;
mod roster;
mod trace;
mod waits;
mod watch;
mod wire;

pub use log::{of_log, trace_log};
pub use trace::{PhoneAct, PhoneTrace, Trace, TrunkTrace};
pub use wire::{of_capture, of_text, trace_capture, trace_text};

use crate::record::{ReadError, Results};

/// What was observed.
#[derive(Debug)]
pub struct Observation {
    pub results: Results,
    /// What a reader has to know of the source: damage, and what it cannot show. A sentence each.
    pub remarks: Vec<String>,
}

impl Observation {
    /// Lays out what was seen.
    fn of(seen: replay::Seen, remarks: Vec<String>) -> Result<Self, ObserveError> {
        match replay::results(seen)? {
            Some(results) => Ok(Observation { results, remarks }),
            None => Err(ObserveError::Nothing { remarks }),
        }
    }
}

/// What was seen, and what is to be said of it.
type Watched = (replay::Seen, Vec<String>);

/// What was seen, phone by phone.
fn traced(seen: replay::Seen, remarks: Vec<String>) -> Result<Trace, ObserveError> {
    if seen.roster.len() == 0 {
        return Err(ObserveError::Nothing { remarks });
    }
    replay::check_span(&seen)?;
    Ok(phones::trace(seen, remarks))
}

/// Why nothing can be said of what was observed.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    #[error(transparent)]
    Capture(#[from] crate::record::capture::CaptureError),
    #[error("there is no REGISTER in it{}", remarks.iter().map(|remark| format!("; {remark}")).collect::<String>())]
    Nothing { remarks: Vec<String> },
    #[error("more than {0} registrars or domains: narrow the capture down to the trunk in question")]
    TooManyTrunks(usize),
    #[error(
        "its times span {days} days, from {first} to {last}; a record longer than {longest} days cannot be laid out"
    )]
    TooLong { days: u64, first: String, last: String, longest: u64 },
    #[error("what was observed does not add up: {0}")]
    Read(#[from] ReadError),
}
