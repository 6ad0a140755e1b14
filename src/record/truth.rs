//! What a registrar said of itself beside our own count: who was asked in the header, each answer
//! in a frame where it came.

use serde::{Deserialize, Serialize};

/// A server that was asked how many bindings it holds.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TruthHeader {
    pub kind: String,
    /// Where it was asked, or the command that was run.
    pub address: String,
    /// The trunk it counts; `None`: all of them together.
    pub trunk: Option<u16>,
    pub every_ns: u64,
    /// How long it may count a binding that has lapsed.
    pub sweep_ns: u64,
    /// The most bindings that one of our agents has there.
    #[serde(default)]
    pub bindings_each: u64,
    /// What it held before the first phone of the run; `None`: not known.
    pub before: Option<u64>,
    /// Why that is not known.
    pub unknown: Option<String>,
}

impl TruthHeader {
    /// The server as a person knows it.
    pub fn named(&self) -> String {
        format!("{} at {}", self.kind, self.address)
    }
}

/// One answer, or that there was none.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TruthSample {
    /// Position in [`Header::truths`](super::Header::truths).
    #[serde(rename = "s")]
    pub server: u16,
    /// When it was asked, nanoseconds since the run's start; its count is of some moment between
    /// that and the answer.
    #[serde(rename = "t")]
    pub asked_ns: u64,
    #[serde(rename = "d")]
    pub took_ns: u64,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Why it is not known.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// What we held meanwhile; `None`: nobody looked at that moment.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub ours: Option<OurBindings>,
    /// Events about single registrations that it told since the sample before, by name.
    #[serde(rename = "e", default, skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<(String, u64)>,
}

/// Our own count about the moment of a sample, in bindings: an agent with two contacts has two.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct OurBindings {
    /// The fewest and the most from shortly before the question until shortly after the answer.
    #[serde(rename = "l")]
    pub least: u64,
    #[serde(rename = "h")]
    pub most: u64,
    /// Attempts under way, each of which the server may have granted already.
    #[serde(rename = "u")]
    pub under_way: u64,
}

impl TruthSample {
    /// When the answer came.
    pub const fn answered_ns(&self) -> u64 {
        self.asked_ns.saturating_add(self.took_ns)
    }
}
