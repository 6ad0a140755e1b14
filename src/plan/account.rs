//! One agent of a trunk as its account: as written in the profile, whatever a `mix` makes of it in a run.

use super::agent_credential;
use crate::agent;
use crate::profile::{Agents, Credential, Trunk};

/// One account of a profile.
#[derive(Clone, Debug)]
pub struct Account {
    pub user: String,
    pub auth_user: String,
    pub credential: agent::Credential,
}

impl Account {
    /// Agent `n` of a trunk, without what a `mix` makes it do wrong; `None` when there are fewer.
    pub fn of(trunk: &Trunk, n: u32) -> Option<Account> {
        match &trunk.agents {
            Agents::Pattern { count, user, auth_user, credential } if n < *count => {
                Some(Account::new(user.name(n), auth_user.name(n), credential))
            }
            Agents::Pattern { .. } => None,
            Agents::Listed { rows, .. } => {
                let row = rows.get(n as usize)?;
                Some(Account::new(row.user.to_string(), row.auth_user().to_owned(), &row.credential))
            }
        }
    }

    fn new(user: String, auth_user: String, credential: &Credential) -> Account {
        let (is_ha1, secret) = match credential {
            Credential::Password(secret) => (false, secret),
            Credential::Ha1(secret) => (true, secret),
        };
        Account { user, auth_user, credential: agent_credential(is_ha1, secret) }
    }
}
