//! Keys that are set but have no effect in this profile.

use super::TrunkPlan;
use crate::profile::{Profile, TrunkProfile};

/// A line for each.
pub(super) fn doubts(profile: &Profile, trunks: &[TrunkPlan]) -> Vec<String> {
    let written = profile.trunks.iter().zip(trunks);
    let asks = |written: &TrunkProfile| written.tls.is_some() || written.agents.show_certificates();
    let in_clear = written.clone().filter(|(written, trunk)| asks(written) && !trunk.transport().is_secured());
    let no_web = written.filter(|(written, trunk)| written.ws.is_some() && !trunk.transport().is_web());
    let tls = |trunk: &TrunkPlan| {
        format!(
            "trunk {}: tls (or a tls_cert of its agents) is set, but its messages go over {}, in clear; for TLS write \
             registrar = \"sip:HOST;transport=tls\", or let the embedded registrar listen on tls://",
            trunk.id,
            trunk.transport()
        )
    };
    let ws = |trunk: &TrunkPlan| {
        format!(
            "trunk {}: ws is set, but its messages go over {}; for WebSocket write \
             registrar = \"sip:HOST;transport=ws\" (or wss), or let the embedded registrar listen on ws://",
            trunk.id,
            trunk.transport()
        )
    };
    let in_clear = in_clear.map(|(_, trunk)| tls(trunk));
    in_clear.chain(no_web.map(|(_, trunk)| ws(trunk))).collect()
}
