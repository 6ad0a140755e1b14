//! One agent of a trunk as a probe: the account as written in the profile, asked for the way the trunk's agents ask.

use super::{TrunkPlan, agent_credential};
use crate::agent::probe::{AnswerRule, Call, ProbeMethod, ProbeRequest, QopRule, RealmRule};
use crate::agent::{self, RealmPolicy};
use crate::profile::{Agents, Credential, Trunk};
use std::time::Duration;

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
                Some(Account::new(row.user.clone(), row.auth_user.clone(), &row.credential))
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

impl TrunkPlan {
    /// The request an agent of this trunk would make, as a probe that gives up on a request after `patience`.
    pub fn probe(
        &self,
        method: ProbeMethod,
        account: &Account,
        call: Call,
        patience: Duration,
        user_agent: &str,
    ) -> ProbeRequest {
        ProbeRequest {
            method,
            user: account.user.clone(),
            domain: self.policy.domain.clone(),
            auth_user: account.auth_user.clone(),
            credential: account.credential.clone(),
            expires_s: self.policy.expires_s,
            contact_user: None,
            contact_host: None,
            call,
            answer: self.answer_rule(),
            route: self.outbound_proxy.as_ref().map(|proxy| proxy.route.clone()),
            user_agent: self.user_agent.as_deref().unwrap_or(user_agent).to_owned(),
            headers: self.headers.clone(),
            timers: self.policy.timers,
            patience: patience.min(self.policy.timers.f()),
        }
    }

    /// `realm_policy` and `algorithms` of the trunk.
    fn answer_rule(&self) -> AnswerRule {
        let forced = self.policy.realm.as_ref().filter(|_| self.policy.realm_policy == RealmPolicy::Force);
        let realm = forced.map_or(RealmRule::Challenged, |realm| RealmRule::Text(realm.clone()));
        let required = self.policy.realm.as_ref().filter(|_| self.policy.realm_policy == RealmPolicy::Require);
        AnswerRule {
            algorithms: self.policy.algorithms,
            qop: QopRule::Offered,
            header_realm: realm.clone(),
            hash_realm: realm,
            required_realm: required.cloned(),
        }
    }
}
