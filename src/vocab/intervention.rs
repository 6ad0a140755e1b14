//! What a person at the live screen did to a load: it is no longer the profile's, and everything
//! that shows the run has to say so.

use serde::{Deserialize, Serialize};

/// How fast a load's own time passes, in per cent of the plan's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Speed(pub u16);

impl Speed {
    pub const PLANNED: Speed = Speed(100);
    /// Nothing arrives.
    pub const STILL: Speed = Speed(0);

    /// 1 is the plan's.
    pub fn factor(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InterventionKind {
    Pause,
    Resume,
    Rate,
}

impl InterventionKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            InterventionKind::Pause => "pause",
            InterventionKind::Resume => "resume",
            InterventionKind::Rate => "rate",
        }
    }
}

/// One change of a load's speed while it went on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Intervention {
    /// When it took effect, nanoseconds since the run's start.
    pub at_ns: u64,
    pub kind: InterventionKind,
    /// From then on.
    #[serde(rename = "percent")]
    pub speed: Speed,
}
