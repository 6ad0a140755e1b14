//! Who the agents are: user, authentication name and secret of each, kept compactly for a million
//! of them.

use crate::seed::{Purpose, Seed};
pub use crate::sip::Credential;
use crate::sip::branch::hex32;
use crate::vocab::{AgentId, RunTag, TrunkId, saturating_u16, saturating_u32};
use rand_chacha::rand_core::Rng;

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

/// The Call-ID of an agent for its whole life: 32 hex digits, the run's and the agent's. A report
/// names examples by it.
pub fn call_id(seed: Seed, run: RunTag, agent: AgentId) -> [u8; 32] {
    whole(run, own_half(seed, agent))
}

/// The half of a Call-ID that is the agent's own, which also serves as its From tag: this number in
/// hex.
pub fn own_half(seed: Seed, agent: AgentId) -> u64 {
    seed.draw(Purpose::Identity, agent.0.into(), 0)
}

/// The Call-ID with this half of an agent's own, which its last sixteen digits are.
pub fn whole(run: RunTag, own: u64) -> [u8; 32] {
    hex32(&(u128::from(run.0) << 64 | u128::from(own)).to_be_bytes())
}

/// The half of a Call-ID that is the agent's own, as it is written.
pub(super) fn from_tag(call_id: &[u8; 32]) -> &[u8; 16] {
    let [_, own] = call_id.as_chunks().0 else { unreachable!("two halves") };
    own
}

/// All identities of a run in arrival order: index = [`AgentId`].
#[derive(Clone, Debug, Default)]
pub struct IdentityBook {
    text: String,
    rows: Vec<IdentityRow>,
    credentials: Vec<Credential>,
}

#[derive(Clone, Copy, Debug)]
struct IdentityRow {
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
const _: () = assert!(size_of::<IdentityRow>() == 20);

impl IdentityBook {
    /// Adds a credential many agents may share; give the returned handle to [`IdentityBook::push`].
    pub fn credential(&mut self, credential: Credential) -> u32 {
        self.credentials.push(credential);
        saturating_u32(self.credentials.len() - 1)
    }

    /// Appends the next agent in arrival order. The profile refuses names near 64 KiB long before
    /// they get here.
    pub fn push(&mut self, trunk: TrunkId, number: u32, user: &str, auth_user: &str, credential: u32) {
        debug_assert!(user.len().max(auth_user.len()) <= u16::MAX.into());
        let start = saturating_u32(self.text.len());
        self.text.push_str(user);
        let auth_len = if auth_user == user { 0 } else { saturating_u16(auth_user.len()) };
        if auth_len > 0 {
            self.text.push_str(auth_user);
        }
        let (policy, user_len) = (trunk.0, saturating_u16(user.len()));
        self.rows.push(IdentityRow { start, number, credential, trunk, policy, user_len, auth_len });
    }

    /// Gives back what was kept for further agents.
    pub fn settle(&mut self) {
        self.text.shrink_to_fit();
        self.rows.shrink_to_fit();
        self.credentials.shrink_to_fit();
    }

    /// Gives the agent pushed last another policy than its trunk's: a place in the run's list of
    /// policies, in which the trunks' own come first.
    pub fn deviate(&mut self, policy: u16) {
        if let Some(row) = self.rows.last_mut() {
            row.policy = policy;
        }
    }

    /// The place of an agent's policy in the run's list: its trunk's, unless it deviates.
    #[inline]
    pub fn policy(&self, agent: AgentId) -> usize {
        self.rows[agent.index()].policy.into()
    }

    /// Deals the identities of one trunk anew among the places its agents arrive at, each to one,
    /// by the draws of `seed`. An identity keeps its number, and with it its source address.
    pub fn shuffle(&mut self, trunk: TrunkId, seed: Seed) {
        let places: Vec<usize> = (0..self.rows.len()).filter(|&n| self.rows[n].trunk == trunk).collect();
        let mut draws = seed.stream(Purpose::AgentOrder, trunk.0.into(), 0);
        for last in (1..places.len()).rev() {
            // The top bits of a product: a number from 0 to `last`.
            let drawn = (u128::from(draws.next_u64()) * (last as u128 + 1)) >> 64;
            let (one, other) = (places[last], places[usize::try_from(drawn).unwrap_or(usize::MAX)]);
            self.rows.swap(one, other);
        }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The identity of an agent; panics on an id that is not in the book, which only this run's
    /// plan hands out.
    #[inline]
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
        (0..self.rows.len()).map(|n| self.get(AgentId(saturating_u32(n))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocab::Secret;

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

    #[test]
    fn shuffling_moves_identities_within_their_trunk() {
        let names = |seed: Option<u64>| {
            let mut book = IdentityBook::default();
            let secret = book.credential(Credential::Password(Secret::new("s")));
            for n in 0..40 {
                let trunk = TrunkId(u16::from(n % 4 == 0));
                book.push(trunk, n, &format!("{}-{n}", trunk.0), "auth", secret);
            }
            if let Some(seed) = seed {
                book.shuffle(TrunkId(0), Seed(seed));
            }
            book.iter().map(|agent| (agent.trunk.0, agent.number, agent.user.to_owned())).collect::<Vec<_>>()
        };
        let (before, after) = (names(None), names(Some(7)));
        assert_eq!(after, names(Some(7)));
        assert_ne!(after, names(Some(8)));
        let trunks = |all: &[(u16, u32, String)]| all.iter().map(|agent| agent.0).collect::<Vec<_>>();
        assert_eq!(trunks(&before), trunks(&after));
        assert!(after.iter().all(|(trunk, number, user)| *user == format!("{trunk}-{number}")), "numbers are kept");
        let stayed = before.iter().zip(&after).filter(|(one, other)| one == other).count();
        assert!((10..20).contains(&stayed), "{stayed}: those of the other trunk, and hardly any other");
        let sorted = |mut all: Vec<(u16, u32, String)>| {
            all.sort_by(|one, other| one.2.cmp(&other.2));
            all.into_iter().map(|agent| (agent.0, agent.2)).collect::<Vec<_>>()
        };
        assert_eq!(sorted(before), sorted(after));
    }
}
