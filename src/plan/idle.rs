//! Keys that are set but have no effect in this profile.

use super::TrunkPlan;
use crate::profile::Profile;
use crate::vocab::Transport;

/// A line for each.
pub(super) fn doubts(profile: &Profile, trunks: &[TrunkPlan]) -> Vec<String> {
    let written = profile.trunks.iter().zip(trunks);
    let idle = written.filter(|(written, trunk)| written.tls.is_some() && trunk.transport() != Transport::Tls);
    let line = |trunk: &TrunkPlan| {
        format!(
            "trunk {}: tls is set, but its messages go over {}, in clear; for TLS write \
             registrar = \"sip:HOST;transport=tls\", or let the embedded registrar listen on tls://",
            trunk.id,
            trunk.transport()
        )
    };
    idle.map(|(_, trunk)| line(trunk)).collect()
}
