//! Who the agents are: user, authentication name and secret of each, kept compactly for a million of them.

use crate::sip::Ha1;
use crate::vocab::{AgentId, FlowId, Secret, TrunkId};

/// What proves an identity.
#[derive(Clone, Debug)]
pub enum Credential {
    Password(Secret),
    Ha1(Ha1),
}

/// One agent's identity, borrowed from the book.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    pub trunk: TrunkId,
    /// Position in its trunk's list, from 0: the `n` of patterns and of `source[n mod length]`.
    pub number: u32,
    pub user: &'a str,
    pub auth_user: &'a str,
    pub credential: &'a Credential,
}

/// All identities of a run in arrival order: index = [`AgentId`].
#[derive(Clone, Debug, Default)]
pub struct IdentityBook {
    text: String,
    rows: Vec<Row>,
    credentials: Vec<Credential>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    start: u32,
    number: u32,
    credential: u32,
    trunk: TrunkId,
    /// See [`IdentityBook::policy`].
    policy: u16,
    user_len: u16,
    /// 0: the same as the user.
    auth_len: u16,
}

/// A million agents take 20 MB besides their names.
const _: () = assert!(size_of::<Row>() == 20);

impl IdentityBook {
    /// Adds a credential many agents may share; give the returned handle to [`IdentityBook::push`].
    pub fn credential(&mut self, credential: Credential) -> u32 {
        self.credentials.push(credential);
        (self.credentials.len() - 1) as u32
    }

    /// Appends the next agent in arrival order. The profile refuses names near 64 KiB long before they get here.
    pub fn push(&mut self, trunk: TrunkId, number: u32, user: &str, auth_user: &str, credential: u32) {
        debug_assert!(user.len().max(auth_user.len()) <= u16::MAX.into());
        let start = self.text.len() as u32;
        self.text.push_str(user);
        let auth_len = if auth_user == user { 0 } else { auth_user.len() as u16 };
        if auth_len > 0 {
            self.text.push_str(auth_user);
        }
        let (policy, user_len) = (trunk.0, user.len() as u16);
        self.rows.push(Row { start, number, credential, trunk, policy, user_len, auth_len });
    }

    /// Gives the agent pushed last another policy than its trunk's: a place in the run's list of policies, in which the
    /// trunks' own come first.
    pub fn deviate(&mut self, policy: u16) {
        if let Some(row) = self.rows.last_mut() {
            row.policy = policy;
        }
    }

    /// The place of an agent's policy in the run's list: its trunk's, unless it deviates.
    pub fn policy(&self, agent: AgentId) -> usize {
        self.rows[agent.index()].policy.into()
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The identity of an agent; panics on an id that is not in the book, which only this run's plan hands out.
    pub fn get(&self, agent: AgentId) -> Identity<'_> {
        let row = &self.rows[agent.index()];
        let user_end = row.start as usize + usize::from(row.user_len);
        let user = &self.text[row.start as usize..user_end];
        let auth_user =
            if row.auth_len == 0 { user } else { &self.text[user_end..user_end + usize::from(row.auth_len)] };
        Identity {
            trunk: row.trunk,
            number: row.number,
            user,
            auth_user,
            credential: &self.credentials[row.credential as usize],
        }
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = Identity<'_>> {
        (0..self.rows.len()).map(|n| self.get(AgentId(n as u32)))
    }

    /// The flow of an agent among `flows_per_trunk` flows of its trunk (one per source address).
    pub fn flow(&self, agent: AgentId, first_flow: FlowId, flows_per_trunk: u16) -> FlowId {
        FlowId(first_flow.0 + (self.rows[agent.index()].number % u32::from(flows_per_trunk)) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_credentials_come_back() {
        let mut book = IdentityBook::default();
        let shared = book.credential(Credential::Password(Secret::new("s")));
        book.push(TrunkId(0), 0, "alice", "alice", shared);
        book.push(TrunkId(1), 0, "bob", "bob-auth", shared);
        let bob = book.get(AgentId(1));
        assert_eq!((bob.user, bob.auth_user, bob.trunk), ("bob", "bob-auth", TrunkId(1)));
        assert_eq!(book.get(AgentId(0)).auth_user, "alice");
        book.deviate(7);
        assert_eq!((book.policy(AgentId(0)), book.policy(AgentId(1))), (0, 7));
        assert!(!format!("{book:?}").contains("\"s\""));
    }
}
