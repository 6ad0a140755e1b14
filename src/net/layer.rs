//! Why a layer over a connection's bytes, TLS or WebSocket, cannot go on.

use crate::vocab::FlowLoss;

/// Why it cannot: of which sort, and in more words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LayerFailure {
    pub why: FlowLoss,
    pub said: String,
}

/// The first bytes of something, for people.
pub fn begins(wire: &[u8]) -> String {
    let shown: String = wire.iter().take(24).map(|byte| char::from(*byte)).collect();
    format!("{shown:?}")
}
