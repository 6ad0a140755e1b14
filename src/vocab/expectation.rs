//! What a registrar, an edge or a line is said to allow: a profile states it, and the dry run
//! checks a rehearsal against it.

use super::format_bandwidth;
use serde::{Serialize, Serializer};

/// Limits as somebody stated them; `None`: nobody did. They serialise under the keys of `[expect]`.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize)]
pub struct Expectation {
    /// Bindings at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registrations: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registrations_per_second: Option<f64>,
    /// Requests per second: of all agents, of one source address, of one address of record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_per_second: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_per_second_per_source: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_per_second_per_aor: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contacts_per_aor: Option<u32>,
    /// In each direction, UDP and IP headers included.
    #[serde(rename = "bandwidth", serialize_with = "as_bandwidth", skip_serializing_if = "Option::is_none")]
    pub bits_per_second: Option<f64>,
    /// Nobody else registers on these trunks: what is counted there is ours.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exclusive: bool,
}

fn as_bandwidth<S: Serializer>(bits: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    bits.map(format_bandwidth).serialize(serializer)
}
