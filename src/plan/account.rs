//! One agent of a trunk as its account: as written in the profile, whatever a `mix` makes of it in
//! a run.

use super::credential_of;
use crate::profile::{AgentSecret, TrunkAgents, TrunkProfile};
use crate::sip;

/// One account of a profile.
#[derive(Clone, Debug)]
pub struct AgentAccount {
    pub user: String,
    pub auth_user: String,
    pub credential: sip::Credential,
}

impl AgentAccount {
    /// Agent `n` of a trunk, without what a `mix` makes it do wrong; `None` when there are fewer.
    pub fn of(trunk: &TrunkProfile, n: u32) -> Option<AgentAccount> {
        match &trunk.agents {
            TrunkAgents::Pattern { count, user, auth_user, credential } if n < *count => {
                Some(AgentAccount::new(user.name(n), auth_user.name(n), credential))
            }
            TrunkAgents::Pattern { .. } => None,
            TrunkAgents::Listed { rows, .. } => {
                let row = rows.get(n as usize)?;
                Some(AgentAccount::new(row.user.to_string(), row.auth_user().to_owned(), &row.credential))
            }
        }
    }

    fn new(user: String, auth_user: String, credential: &AgentSecret) -> AgentAccount {
        let (is_ha1, secret) = credential.parts();
        AgentAccount { user, auth_user, credential: credential_of(is_ha1, secret) }
    }
}
