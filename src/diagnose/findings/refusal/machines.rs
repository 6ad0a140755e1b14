//! Refusals of one machine among several behind the address.

use super::super::draft::{BY_CHANCE, Draft, MANY, SOME, confidence};
use super::super::nodes::{self, AddressesApart, Crossed, InTurn, MachinesApart};
use super::super::rivals::Rival;
use super::{Case, RefusalShape};
use crate::vocab::{Class, Confidence, Severity};

impl Case<'_, '_> {
    /// Every refusal came from some of the machines, while the others accepted; or from wherever
    /// credentials did not come back to the machine that challenged.
    pub(super) fn by_machine(&self) -> Option<Vec<Draft>> {
        let of_credentials = matches!(self.group.class, Class::Unauthorized | Class::Stale);
        if let Some(crossed) = nodes::crossed(self.view, self.group).filter(|_| of_credentials) {
            return Some(vec![self.nonces(crossed)]);
        }
        if let Some(apart) = nodes::addresses_apart(self.view, self.group) {
            return Some(vec![self.address_of_name(&apart)]);
        }
        let told = self.told.as_ref()?;
        let sure = told.refused >= SOME && told.accepted >= SOME && told.elsewhere * 50 <= told.refused;
        if !(sure && told.at_once && told.is_one_of_them) {
            return None;
        }
        if told.accepted_too == 0 {
            return Some(vec![self.machine(told)]);
        }
        // Agents that come to one machine each take their own trouble along: it is theirs unless
        // they are too many for so few machines.
        let share = told.accepted_too as f64 / (told.accepted_too + told.accepted) as f64;
        let whom = "anybody, at one machine of several";
        (share.powf(self.reach.hit.min(told.refused) as f64) < BY_CHANCE)
            .then(|| vec![self.machine_at_times(told), self.plain(whom, RefusalShape::Anybody)])
    }

    /// The refusals are those of some of the addresses that the trunk's name leads to.
    fn address_of_name(&self, apart: &AddressesApart) -> Draft {
        let mut node = self.draft("node.failing", Severity::Critical);
        node.confidence = confidence(apart.refused, apart.elsewhere);
        let (refusing, accepting) = (list(&apart.refusing), list(&apart.accepting));
        let verb = if apart.accepting.len() == 1 { "accepts" } else { "accept" };
        let name = self.view.resolutions().next().map_or("the name", |found| found.host.as_str());
        node.summary = format!(
            "{refusing}, where {name} leads to as well, refuses everybody: {}; {accepting} {verb}",
            self.answer()
        );
        node.evidence.push(format!(
            "{} attempts were refused at {refusing} and none was accepted; at {accepting} {} were accepted and {} refused so",
            apart.refused, apart.accepted, apart.elsewhere
        ));
        let why = "credentials: that address lets in nobody at all, and the others refuse nobody so";
        node.excludes(Rival::Accounts, why);
        node.excludes(Rival::Rate, "limit on the rate: it lets in nobody, however few ask");
        node.excludes(Rival::Stretch, "a stretch of time: the others accepted meanwhile");
        node.excludes(Rival::Front, "an element in front of all: the address that is asked decides");
        node.excludes(Rival::Chance, "one server that fails by chance: the address that is asked decides");
        node.advice.push(format!(
            "register one agent at {refusing} itself, and compare its users and settings with the others'; take it out of the name's records meanwhile"
        ));
        node
    }

    /// The refusals are those of some machines, which accept as well: they failed for a time, or
    /// fail now and then.
    fn machine_at_times(&self, told: &MachinesApart) -> Draft {
        let mut node = self.draft("node.failing", Severity::Critical);
        node.confidence = confidence(told.refused, told.elsewhere).min(Confidence::Medium);
        let (refusing, accepting) = (list(&told.refusing), list(&told.accepting));
        node.summary = format!(
            "every refusal came from {refusing}: {}; at other times it accepts as {accepting} always did",
            self.answer()
        );
        node.evidence.push(format!(
            "{} refusals of {refusing}, {} of others; of the acceptances that were looked at {} came from it, {} from others",
            told.refused, told.elsewhere, told.accepted_too, told.accepted
        ));
        let both = self.reach.hit - self.reach.only_refused;
        if both * 10 >= self.reach.hit * 8 && self.knows_its_agents() {
            node.excludes(
                Rival::Accounts,
                format!("credentials: {both} of the agents were accepted too, with the same ones"),
            );
        }
        node.excludes(Rival::Stretch, "a stretch of time: the others accepted meanwhile");
        node.excludes(Rival::Front, "an element in front: it accepts as well");
        node.excludes(Rival::Chance, "one server that fails by chance: others would have refused as well");
        node.advice.push(format!("compare what {refusing} logs of that time with the others' logs"));
        node
    }

    fn machine(&self, told: &MachinesApart) -> Draft {
        let mut node = self.draft("node.failing", Severity::Critical);
        node.confidence = confidence(told.refused, told.elsewhere);
        let (refusing, accepting) = (list(&told.refusing), list(&told.accepting));
        let verb = if told.accepting.len() == 1 { "accepts" } else { "accept" };
        node.summary = format!("every refusal came from {refusing}: {}; {accepting} {verb}", self.answer());
        node.evidence.push(format!(
            "{} refusals of {refusing}, {} of others; of {} acceptances that were looked at none came from it",
            told.refused, told.elsewhere, told.accepted
        ));
        let both = self.reach.hit - self.reach.only_refused;
        let why = if both > 0 {
            format!("credentials: {both} of the agents were accepted too, with the same ones")
        } else {
            "credentials: it lets in nobody at all, and the others refuse nobody".to_owned()
        };
        node.excludes(Rival::Accounts, why);
        node.excludes(Rival::Rate, "limit on the rate: it lets in nobody, however few ask");
        node.excludes(Rival::Stretch, "a stretch of time: the others accepted meanwhile");
        node.excludes(Rival::Front, "an element in front: it answers like the others, or is named like them");
        node.excludes(Rival::Chance, "one server that fails by chance: all of its answers would bear one name");
        node.advice
            .push(format!("take {refusing} out of service, and compare its users and settings with the others'"));
        node
    }

    fn nonces(&self, crossed: Crossed) -> Draft {
        let mut node = self.draft("node.failing", Severity::Critical);
        let Crossed { refused, refused_at_home, accepted, accepted_at_home } = crossed;
        node.confidence = confidence(refused.min(accepted_at_home), refused_at_home + accepted);
        node.summary = format!(
            "the machines behind the address do not share their nonces: {} wherever the answer to a challenge reaches another machine",
            self.answer()
        );
        node.evidence.push(format!(
            "of the attempts that were looked at, {refused} refused ones met another machine than the one that challenged and {refused_at_home} the same; of the accepted ones {accepted} and {accepted_at_home}"
        ));
        node.excludes(Rival::Accounts, "credentials: they are accepted by the machine that challenged");
        node.excludes_all(
            &[Rival::Rate, Rival::Stretch, Rival::Chance],
            "the load, a stretch of time, or chance: which machine was met decides",
        );
        node.excludes(Rival::Front, "an element in front: each of the machines challenges");
        node.advice.push(SHARE_NONCES.to_owned());
        node
    }

    /// The same agents are accepted and refused in turn: machines that differ, or one that fails by
    /// chance.
    pub(super) fn by_node(&self, turns: InTurn) -> Vec<Draft> {
        let mut node = self.draft("node.failing", Severity::Critical);
        node.confidence = Confidence::Open;
        let fits =
            turns.one_of().map_or_else(String::new, |n| format!(", which fits one of {n} machines behind the address"));
        let (share, answer) = (100.0 * turns.share, self.answer());
        node.summary = if turns.of_requests {
            format!("{share:.0} % of the requests are answered {answer}, anybody's at any time{fits}")
        } else {
            format!("{share:.0} % of the answers are {answer} {}, to anybody at any time{fits}", self.place())
        };
        node.evidence.push(format!(
            "{} of the {} agents hit were accepted too, with the same credentials; over the seconds the refusals vary {:.1} times as much as pure chance would explain",
            turns.both, turns.hit, turns.scatter
        ));
        node.excludes(Rival::Accounts, "credentials: the same ones are accepted at other times");
        node.excludes_all(
            &[Rival::Rate, Rival::Stretch],
            "the load, or a stretch of time: the share is the same in all seconds",
        );
        node.advice.push("ask for the machines behind the address and register with each by itself".to_owned());
        match self.group.class {
            // Whoever challenges does not know the nonce, or has other passwords: a realm or user
            // name is not to blame.
            Class::Unauthorized | Class::Stale => {
                node.advice.push(SHARE_NONCES.to_owned());
                vec![node]
            }
            _ => {
                let whom = "anybody, at any time, accepted and refused in turn";
                vec![node, self.plain(whom, RefusalShape::Anybody)]
            }
        }
    }

    /// Credentials that are accepted and refused in turn, too seldom or too unevenly for more to be
    /// said of it: they are right, so neither realm nor user name is to blame.
    pub(super) fn nonces_by_turns(&self) -> Option<Draft> {
        let both = self.reach.hit - self.reach.only_refused;
        let credentials = matches!(self.group.class, Class::Unauthorized | Class::Stale);
        if !credentials || both * 2 < self.reach.hit {
            return None;
        }
        let mut node = self.draft("node.failing", Severity::Critical);
        node.confidence = Confidence::Open;
        node.summary = format!(
            "the same credentials are accepted and answered {} in turn: that fits machines behind the address that do not share their nonces",
            self.answer()
        );
        node.excludes(
            Rival::Accounts,
            format!("credentials: {both} of the {} agents were accepted too", self.reach.hit),
        );
        node.advice.push(SHARE_NONCES.to_owned());
        Some(node)
    }

    /// Always the same agents, and as many as one machine of several would have.
    pub(super) fn one_machines_agents(&self) -> Option<Draft> {
        if !self.knows_its_agents() {
            return None;
        }
        // A handful of agents fits anything.
        let machines = nodes::one_of_by_agent(self.view, self.group).filter(|_| self.reach.hit >= SOME)?;
        let mut node = self.draft("node.failing", Severity::Critical);
        node.confidence = Confidence::Open;
        node.summary = format!(
            "{} of {} agents are always refused with {}: that fits one of {machines} machines behind the address, if each agent always comes to the same one",
            self.reach.only_refused,
            self.view.agents.len(),
            self.answer()
        );
        node.excludes_all(
            &[Rival::Rate, Rival::Stretch, Rival::Chance],
            "the load, a stretch of time, or chance: it is always the same agents",
        );
        Some(node)
    }

    /// All refusals are one machine's, which was seen to do nothing else, and too few to tell
    /// whether it is one of several.
    pub(super) fn maybe_one_machine(&self) -> Option<Draft> {
        let told = self.told.as_ref().filter(|told| told.elsewhere * 50 <= told.refused && told.refused >= SOME)?;
        let (refusing, accepting) = (list(&told.refusing), list(&told.accepting));
        let mut node = self.draft("node.failing", Severity::Critical);
        node.confidence = Confidence::Open;
        node.summary = format!(
            "every refusal came from {refusing}: {}; {accepting} accepts: one of several machines, or an element in front",
            self.answer()
        );
        node.advice
            .push(format!("register one agent at {refusing} by itself: if it is never let in, it is this machine"));
        Some(node)
    }

    /// What refuses since a moment is another machine than what accepted before it.
    pub(super) fn another_machine(&self) -> Option<Draft> {
        let told = self.told.as_ref().filter(|told| told.elsewhere * 50 <= told.refused && !told.at_once)?;
        let (refusing, accepting) = (list(&told.refusing), list(&told.accepting));
        let mut node = self.draft("node.failing", Severity::Critical);
        node.confidence = Confidence::Open;
        node.summary =
            format!("{refusing} answers in the place of {accepting}, and refuses everybody with {}", self.answer());
        node.advice
            .push(format!("ask why {refusing} answers, and compare its users and settings with those of {accepting}"));
        Some(node)
    }

    /// Nobody was ever let in with credentials: right ones fare like that as well where machines do
    /// not know each other's nonces.
    pub(super) fn nobody_with_credentials(&self, plain: Draft) -> Vec<Draft> {
        if self.view.neighbours().next().is_some() {
            let mut plain = plain;
            plain.excludes(
                Rival::Node,
                "machines that do not share their nonces: another trunk registers at the same address",
            );
            return vec![plain];
        }
        let mut node = self.draft("node.failing", Severity::Critical);
        node.confidence = Confidence::Open;
        node.summary = format!(
            "every answer to credentials is another {}: that fits machines behind the address that do not share their nonces",
            self.answer()
        );
        if let Some((refused, home)) =
            nodes::met_elsewhere(self.view, self.group).filter(|(refused, _)| *refused >= MANY)
        {
            node.evidence.push(format!(
                "of the attempts that were looked at, {refused} met another machine than the one that challenged and {home} the same"
            ));
        }
        node.advice.push(
            "register one agent by hand at one machine: if it is accepted there, the credentials are right".to_owned(),
        );
        vec![plain, node]
    }
}

/// Names as a sentence lists them.
pub(super) fn list(names: &[String]) -> String {
    let named = &names[..names.len().min(MOST_NAMES)];
    let more = names.len() - named.len();
    let last = if more > 0 { format!("{more} more") } else { named.last().cloned().unwrap_or_default() };
    let first = if more > 0 { named } else { &named[..named.len().saturating_sub(1)] };
    if first.is_empty() { last } else { format!("{} and {last}", first.join(", ")) }
}

const SHARE_NONCES: &str = "machines that do not share their nonces answer 401 to one another's: let them share them, or send each phone to one";
/// Machines named.
const MOST_NAMES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_listed_as_people_would() {
        let names: Vec<String> = (1..=6).map(|n| format!("edge-{n}")).collect();
        assert_eq!(list(&names[..1]), "edge-1");
        assert_eq!(list(&names[..3]), "edge-1, edge-2 and edge-3");
        assert_eq!(list(&names), "edge-1, edge-2, edge-3, edge-4 and 2 more");
    }
}
