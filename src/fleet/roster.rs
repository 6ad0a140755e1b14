//! Which phones a search for limits has: the agents of one trunk, and variants that differ from
//! them in one thing: contact, source address or trunk.

use super::crew::SeatedPhone;
use crate::agent::IdentityBook;
use crate::load::search::{Seat, Seating};
use crate::vocab::{AgentId, FlowId, TrunkId, saturating_u32};
use std::collections::HashMap;

/// The flows a search has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldFlows {
    /// The flow all of the trunk's agents share.
    pub main: FlowId,
    /// Further flows from the same address: each gives a user one more contact.
    pub contacts: Vec<FlowId>,
    /// A flow from another source address.
    pub elsewhere: Option<FlowId>,
    /// Another trunk at the same registrar, and its flow.
    pub other_trunk: Option<(TrunkId, FlowId)>,
}

/// Phones of another trunk a search has at hand.
const OTHERS: usize = 5;

/// Seats for the agents of a trunk, and who sits where. Agents that share an account sit side by
/// side, the largest account first, so that the limit of an account is met before that of all.
pub fn seats(book: &IdentityBook, trunk: TrunkId, flows: &FieldFlows) -> (Vec<SeatedPhone>, Seating) {
    let (users, accounts) = by_account(book, trunk);
    let mut phones: Vec<SeatedPhone> = Vec::new();
    let mut sit = |user: AgentId, flow: FlowId| {
        phones.push(SeatedPhone { user, flow });
        Seat(saturating_u32(phones.len()) - 1)
    };
    let main = users.iter().map(|&user| sit(user, flows.main)).collect();
    let elsewhere = flows.elsewhere.map(|flow| users.iter().map(|&user| sit(user, flow)).collect());
    let first = users.first().copied();
    let contacts = first.into_iter().flat_map(|user| flows.contacts.iter().map(move |&flow| (user, flow)));
    let contacts = contacts.map(|(user, flow)| sit(user, flow)).collect();
    let others = flows.other_trunk.map(|(trunk, flow)| {
        let of_trunk = ids(book).filter(|id| book.get(*id).trunk == trunk);
        of_trunk.take(OTHERS).map(|user| sit(user, flow)).collect()
    });
    let roster = Seating {
        phones: main,
        accounts,
        contacts,
        elsewhere: elsewhere.unwrap_or_default(),
        other_trunk: others.unwrap_or_default(),
    };
    (phones, roster)
}

fn ids(book: &IdentityBook) -> impl Iterator<Item = AgentId> {
    (0..saturating_u32(book.len())).map(AgentId)
}

/// The agents of a trunk by account, and the number of each one's account.
fn by_account(book: &IdentityBook, trunk: TrunkId) -> (Vec<AgentId>, Vec<u32>) {
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut groups: Vec<Vec<AgentId>> = Vec::new();
    for id in ids(book) {
        let identity = book.get(id);
        if identity.trunk == trunk {
            let number = *numbers.entry(identity.auth_user).or_insert(groups.len());
            if number == groups.len() {
                groups.push(Vec::new());
            }
            groups[number].push(id);
        }
    }
    // Equal sizes keep their order of arrival.
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    let accounts = groups.iter().zip(0..).flat_map(|(group, number)| std::iter::repeat_n(number, group.len()));
    let accounts = accounts.collect();
    (groups.into_iter().flatten().collect(), accounts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Credential;
    use crate::vocab::Secret;

    #[test]
    fn accounts_sit_together_and_everyone_has_a_twin_elsewhere() {
        let mut book = IdentityBook::default();
        let secret = book.credential(Credential::Password(Secret::new("s")));
        for (n, account) in ["a", "b", "b", "c", "b", "c"].into_iter().enumerate() {
            book.push(TrunkId(0), n as u32, &format!("user{n}"), account, secret);
            book.push(TrunkId(1), n as u32, &format!("other{n}"), account, secret);
        }
        let flows = FieldFlows {
            main: FlowId(0),
            contacts: vec![FlowId(1), FlowId(2)],
            elsewhere: Some(FlowId(3)),
            other_trunk: Some((TrunkId(1), FlowId(4))),
        };
        let (phones, roster) = seats(&book, TrunkId(0), &flows);
        let name = |seat: &Seat| book.get(phones[seat.index()].user).user;
        let names: Vec<_> = roster.phones.iter().map(name).collect();
        assert_eq!(names, ["user1", "user2", "user4", "user3", "user5", "user0"]);
        assert_eq!(roster.accounts, [0, 0, 0, 1, 1, 2]);
        assert_eq!(roster.elsewhere.iter().map(name).collect::<Vec<_>>(), names);
        assert_eq!(roster.contacts.iter().map(name).collect::<Vec<_>>(), ["user1", "user1"]);
        assert_eq!((roster.other_trunk.len(), name(&roster.other_trunk[0])), (5, "other0"));
        let flows_of = |seats: &[Seat]| seats.iter().map(|seat| phones[seat.index()].flow.0).collect::<Vec<_>>();
        assert_eq!((flows_of(&roster.contacts), flows_of(&roster.elsewhere)[0]), (vec![1, 2], 3));
    }
}
