//! One agent of a trunk as its account: as written in the profile, whatever a `mix` makes of it in
//! a run. And the accounts that the embedded registrar knows.

use super::{ClientCertificate, credential_of};
use crate::profile::{AgentSecret, ListedAgent, Profile, REGISTRAR_PASSWORD, TrunkAgents, TrunkProfile};
use crate::registrar::KnownUsers;
use crate::sip;
use crate::vocab::Secret;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// One account of a profile.
#[derive(Clone, Debug)]
pub struct AgentAccount {
    pub user: String,
    pub auth_user: String,
    pub credential: sip::Credential,
    /// What it shows a server over TLS; `None`: what its trunk's agents do.
    pub certificate: Option<Arc<ClientCertificate>>,
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
                let account = AgentAccount::new(row.user.to_string(), row.auth_user().to_owned(), &row.credential);
                Some(AgentAccount { certificate: row.certificate.clone(), ..account })
            }
        }
    }

    /// The canary of a trunk, if it has one.
    pub fn of_canary(trunk: &TrunkProfile) -> Option<AgentAccount> {
        match trunk.canary.as_ref()? {
            TrunkAgents::Pattern { user, auth_user, credential, .. } => {
                Some(AgentAccount::new(user.name(0), auth_user.name(0), credential))
            }
            TrunkAgents::Listed { .. } => None,
        }
    }

    fn new(user: String, auth_user: String, credential: &AgentSecret) -> AgentAccount {
        let (is_ha1, secret) = credential.parts();
        AgentAccount { user, auth_user, credential: credential_of(is_ha1, secret), certificate: None }
    }
}

/// Whom the embedded registrar knows: the users or the password of `[registrar]`, else those of the
/// trunks.
pub(super) fn known_users(profile: &Profile) -> KnownUsers {
    let registrar = &profile.registrar;
    match (&registrar.users, &registrar.password) {
        (Some(users), _) => listed(users.rows.iter()),
        (None, Some(password)) => KnownUsers::Anybody(password.clone()),
        (None, None) => own_users(&profile.trunks),
    }
}

/// The users of the trunks, each in its domain. A password that all of a domain share is enough to
/// know them by: a table of a million names would say no more.
fn own_users(trunks: &[TrunkProfile]) -> KnownUsers {
    if let Some(password) = shared_password(trunks) {
        return KnownUsers::Anybody(password.clone());
    }
    let mut domains = BTreeMap::<String, Vec<&TrunkProfile>>::new();
    for trunk in trunks {
        domains.entry(trunk.domain.to_ascii_lowercase()).or_default().push(trunk);
    }
    if domains.is_empty() {
        return KnownUsers::Anybody(Secret::new(REGISTRAR_PASSWORD));
    }
    let known = domains.into_iter().map(|(domain, trunks)| {
        let users = match shared_password(trunks.iter().copied()) {
            Some(password) => KnownUsers::Anybody(password.clone()),
            None => KnownUsers::Listed(Arc::new(trunks.into_iter().flat_map(accounts).collect())),
        };
        (domain.into_bytes(), users)
    });
    KnownUsers::ByDomain(Arc::new(known.collect()))
}

/// The password that every agent of these trunks has, if there is such a one.
fn shared_password<'t>(trunks: impl IntoIterator<Item = &'t TrunkProfile>) -> Option<&'t Secret> {
    let secrets = |agents: &'t TrunkAgents| -> Box<dyn Iterator<Item = &'t AgentSecret>> {
        match agents {
            TrunkAgents::Pattern { credential, .. } => Box::new(std::iter::once(credential)),
            TrunkAgents::Listed { rows, .. } => Box::new(rows.iter().map(|row| &row.credential)),
        }
    };
    let all = trunks.into_iter().flat_map(|trunk| std::iter::once(&trunk.agents).chain(&trunk.canary));
    let mut all = all.flat_map(secrets);
    let first = all.next()?;
    match first.parts() {
        (false, password) if all.all(|other| other == first) => Some(password),
        _ => None,
    }
}

/// The accounts of a trunk by the name that comes with credentials.
fn accounts(trunk: &TrunkProfile) -> impl Iterator<Item = (Vec<u8>, sip::Credential)> {
    let all = (0..).map_while(|n| AgentAccount::of(trunk, n));
    all.chain(AgentAccount::of_canary(trunk)).map(|account| (account.auth_user.into_bytes(), account.credential))
}

fn listed<'r>(rows: impl Iterator<Item = &'r ListedAgent>) -> KnownUsers {
    let entry = |row: &ListedAgent| {
        let (is_ha1, secret) = row.credential.parts();
        (row.auth_user().as_bytes().to_vec(), credential_of(is_ha1, secret))
    };
    KnownUsers::Listed(Arc::new(rows.map(entry).collect::<HashMap<_, _>>()))
}
