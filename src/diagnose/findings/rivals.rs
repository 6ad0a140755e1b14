//! What else could look like a finding, and the rule that follows from it: nothing is told with
//! confidence while a rival is left.
//!
//! The rivals of each finding are data, beside its explanation (`explain/findings.toml`): the
//! other cause, the observation that excludes it, the test that tells them apart. A detector says
//! which of them it has excluded, by what ([`Draft::excludes`](super::Draft::excludes)); what it
//! leaves out counts as not excluded. So the list and the judgement cannot drift apart: a rival
//! added to the list makes every finding `open` whose detector does not know it.

use crate::diagnose::explain::RivalText;

/// Another cause that may look like the one a finding names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rival {
    /// Single agents' own credentials or accounts.
    Accounts,
    /// A password that is wrong for everybody.
    AllAccounts,
    /// A limit on how many may be registered.
    Limit,
    /// A limit on how many may register in a second.
    Rate,
    /// A limit on how many requests may be open.
    Transactions,
    /// Somebody shut out on purpose.
    Ban,
    /// A time in which everybody is refused, whoever asks.
    Stretch,
    /// One of several machines behind the address.
    Node,
    /// An element in front that refuses by itself.
    Front,
    /// One server that fails by chance.
    Chance,
    Overload,
    /// Answers that are always late, or were late for a time.
    Slow,
    SlowWithBindings,
    /// What grows with the time.
    Drift,
    /// What grows with the load.
    Load,
    PacketLoss,
    /// Requests above a rate that are dropped.
    Dropped,
    Realm,
    /// A digest algorithm that the registrar cannot check.
    Algorithm,
    /// A translator of addresses.
    Nat,
    /// Something on the way that rewrites messages.
    Alg,
    /// A registrar that lists no bindings in its answers.
    Unlisted,
    /// Certain requests, or those of certain agents, that stay unanswered for a time.
    Certain,
    /// Refusals of what would renew a binding, and of nothing else.
    Renewals,
    /// Phones of one user that push each other out.
    Contacts,
    /// A server that tells the count of a part: of one node, or of users.
    PartialCount,
    /// A server that tells an old count.
    StaleCount,
    /// Phones of others.
    Others,
    /// What has lapsed and is removed at the next sweep.
    Sweep,
    /// Phones that come again when they like, whatever they are asked for.
    OwnPace,
    /// A platform that stamps or tells what happened later.
    Lag,
    /// Minutes that a platform lost.
    Lost,
    /// A registration of the platform's own.
    OwnRegistration,
    /// A permission that a client of the platform has not.
    Permission,
    /// Phones that are none of ours.
    OtherPhones,
}

impl Rival {
    pub const ALL: [Rival; 35] = [
        Rival::Accounts,
        Rival::AllAccounts,
        Rival::Limit,
        Rival::Rate,
        Rival::Transactions,
        Rival::Ban,
        Rival::Stretch,
        Rival::Node,
        Rival::Front,
        Rival::Chance,
        Rival::Overload,
        Rival::Slow,
        Rival::SlowWithBindings,
        Rival::Drift,
        Rival::Load,
        Rival::PacketLoss,
        Rival::Dropped,
        Rival::Realm,
        Rival::Algorithm,
        Rival::Nat,
        Rival::Alg,
        Rival::Unlisted,
        Rival::Certain,
        Rival::Renewals,
        Rival::Contacts,
        Rival::PartialCount,
        Rival::StaleCount,
        Rival::Others,
        Rival::Sweep,
        Rival::OwnPace,
        Rival::Lag,
        Rival::Lost,
        Rival::OwnRegistration,
        Rival::Permission,
        Rival::OtherPhones,
    ];

    /// As the lists call it; where there is a finding of this cause, by its id.
    pub const fn name(self) -> &'static str {
        match self {
            Rival::Accounts => "accounts",
            Rival::AllAccounts => "all-accounts",
            Rival::Limit => "limit.concurrent",
            Rival::Rate => "limit.rate",
            Rival::Transactions => "limit.transactions",
            Rival::Ban => "ban",
            Rival::Stretch => "stretch",
            Rival::Node => "node.failing",
            Rival::Front => "front",
            Rival::Chance => "chance",
            Rival::Overload => "overload",
            Rival::Slow => "slow",
            Rival::SlowWithBindings => "slow.with-bindings",
            Rival::Drift => "drift",
            Rival::Load => "load",
            Rival::PacketLoss => "packet-loss",
            Rival::Dropped => "dropped",
            Rival::Realm => "realm.mismatch",
            Rival::Algorithm => "algorithm.unsupported",
            Rival::Nat => "nat.contact-rewritten",
            Rival::Alg => "alg.rewritten",
            Rival::Unlisted => "unlisted",
            Rival::Certain => "certain-requests",
            Rival::Renewals => "refresh.failing",
            Rival::Contacts => "limit.contacts",
            Rival::PartialCount => "partial-count",
            Rival::StaleCount => "stale-count",
            Rival::Others => "others",
            Rival::Sweep => "sweep",
            Rival::OwnPace => "own-pace",
            Rival::Lag => "platform.lags",
            Rival::Lost => "lost",
            Rival::OwnRegistration => "own-registration",
            Rival::Permission => "permission",
            Rival::OtherPhones => "other-phones",
        }
    }
}

/// The rivals of a finding that nothing excluded.
pub(super) fn left(listed: Vec<RivalText>, excluded: &[Rival]) -> Vec<RivalText> {
    listed.into_iter().filter(|rival| excluded.iter().all(|known| known.name() != rival.cause)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::explain;

    #[test]
    fn every_finding_has_rivals_and_every_rival_is_one_that_detectors_know() {
        let mut used = Vec::new();
        for explain::Explanation { name: id, rivals, .. } in
            explain::all_findings().into_iter().chain(explain::findings_of_two_sides())
        {
            assert!(!rivals.is_empty(), "{id} has no rivals");
            for rival in rivals {
                let known = Rival::ALL.into_iter().find(|known| known.name() == rival.cause);
                assert!(known.is_some(), "{id}: no detector can exclude {}", rival.cause);
                assert_ne!(rival.cause, id, "a rival of itself");
                used.extend(known);
            }
        }
        for rival in Rival::ALL {
            assert!(used.contains(&rival), "{} is a rival of nothing", rival.name());
        }
    }

    #[test]
    fn what_is_not_excluded_is_left() {
        let listed = explain::finding("limit.contacts").expect("a finding").rivals;
        let all = listed.len();
        assert_eq!(left(listed.clone(), &[]).len(), all);
        assert_eq!(left(listed, &[Rival::Accounts]).len(), all - 1);
    }
}
