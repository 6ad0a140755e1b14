//! The shapes that refusals take in time, among agents and over source addresses, each told from
//! the others by counting what contradicts it.
//!
//! A pattern says how many observations speak for it and against it. Which one becomes a finding,
//! and what the others failed on, is decided in `refusal`.

mod level;
mod rate;
mod spells;
mod whom;

pub(super) use level::{BindingCap, binding_cap, per_user};
pub(super) use rate::{RateCap, rate_cap};
pub(super) use spells::{Cut, Wave, cut, stretches, wave};
pub(super) use whom::{Reach, reach, sources};

/// Observations for and against a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct ForAgainst {
    pub pro: u64,
    pub against: u64,
}

impl ForAgainst {
    /// At most this share of the observations contradicts.
    pub(super) fn holds(self, most_against: f64) -> bool {
        self.pro > 0 && self.against as f64 <= most_against * (self.pro + self.against) as f64
    }
}
