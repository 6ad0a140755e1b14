//! How a driver lets agents follow a redirection to a host name: somebody else looks it up
//! meanwhile, and the attempt waits for that, open and without a transaction.
//!
//! Bounded in every way: so many names at a time, so long a wait for each, and only addresses that
//! may be spoken to. Without a redirection to a name a driver keeps nothing.

use super::{Driver, TURN_LIMIT, Ways, Witness};
use crate::agent::Input;
use crate::measure::RoutingWord;
use crate::seed::Purpose;
use crate::sip::locate::{Destination, first};
use crate::sip::uri::{Target, Written, parse_target};
use crate::sip::{Response, scan};
use crate::vocab::{Time, Transport, TrunkId};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Where a redirection leads that agents of a trunk met.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameQuestion {
    pub trunk: TrunkId,
    pub target: Target,
}

/// What became of a question.
#[derive(Clone, Debug)]
pub struct FoundName {
    pub question: NameQuestion,
    /// Where the name leads; nowhere, if there are none.
    pub places: Arc<[Destination]>,
    /// How long that holds; `None`: for ever.
    pub holds: Option<Duration>,
}

/// The names that a driver's agents were redirected to.
#[derive(Default)]
pub(super) struct Naming {
    names: Vec<AskedName>,
}

struct AskedName {
    question: NameQuestion,
    /// `None`: nobody has said yet.
    answer: Option<NameAnswered>,
    /// Until when an answer holds, or is waited for.
    until: Time,
    /// Agents that wait, in the order they came.
    waiting: VecDeque<Redirected>,
}

struct NameAnswered {
    /// Those that may be spoken to.
    places: Vec<Destination>,
    /// Why nobody goes there, if there are none.
    otherwise: RoutingWord,
}

/// An agent that waits for a name.
struct Redirected {
    local: u32,
    /// Of the request whose answer redirects it.
    serial: u32,
    /// The longest it waits.
    until: Time,
    /// That answer.
    answer: Box<[u8]>,
}

impl Naming {
    pub(super) fn next_due(&self) -> Option<Time> {
        let due = |name: &AskedName| {
            let next = name.waiting.front()?;
            Some(if name.answer.is_some() { Time::ORIGIN } else { next.until })
        };
        self.names.iter().filter_map(due).min()
    }

    /// The place of a name among those asked for; asked for by `ask` where its answer is not known
    /// or holds no longer. `None`: there are too many, or nobody is there to ask.
    fn place(&mut self, question: NameQuestion, now: Time, ask: impl FnOnce(NameQuestion) -> bool) -> Option<usize> {
        let known = self.names.iter().position(|name| name.question == question);
        if let Some(known) = known.filter(|&n| now < self.names[n].until) {
            return Some(known);
        }
        self.names.retain(|name| now < name.until || !name.waiting.is_empty());
        if self.names.len() >= MOST_NAMES || !ask(question.clone()) {
            return None;
        }
        self.names.push(AskedName { question, answer: None, until: now + PATIENCE, waiting: VecDeque::new() });
        Some(self.names.len() - 1)
    }

    /// The next agent whose wait is over, and its name's place.
    fn next(&mut self, now: Time) -> Option<(usize, Redirected)> {
        let is_over = |name: &AskedName| match name.waiting.front() {
            Some(next) => name.answer.is_some() || next.until <= now,
            None => false,
        };
        let n = self.names.iter().position(is_over)?;
        self.names[n].waiting.pop_front().map(|next| (n, next))
    }
}

impl<W: Witness> Driver<W> {
    /// An answer redirects an agent to a name: it waits until that was looked up.
    pub(super) fn await_name(
        &mut self,
        local: u32,
        now: Time,
        (response, uri): (&Response<'_>, &[u8]),
        out: &mut impl Ways,
    ) {
        let (trunk, serial) = (self.trunk_of(local), self.agents[local as usize].serial());
        let over = self.config.flows.get(self.config.flows.of_agent(local)).template.transport();
        let target = std::str::from_utf8(uri).ok().and_then(|text| parse_target(text).ok());
        let naming = self.naming.get_or_insert_default();
        let place = target.and_then(|target| {
            let question = NameQuestion { trunk, target: carried_by(over, target) };
            naming.place(question, now, |question| out.ask_name(question))
        });
        match place {
            Some(place) => {
                let answer = response.bytes().into();
                naming.names[place].waiting.push_back(Redirected { local, serial, until: now + PATIENCE, answer });
                // It has no timer of its own meanwhile.
                self.drive(local, now, Input::Wake, out);
            }
            None => self.drive(local, now, Input::NotLed { response, word: RoutingWord::ByName }, out),
        }
    }

    /// A name was looked up. Those who wait for it go on with the next turn.
    pub(in crate::fleet) fn found(&mut self, at: Time, found: &FoundName) {
        let Some(naming) = &mut self.naming else { return };
        let allowed = self.config.flows.allowed();
        let may = |place: &&Destination| allowed.iter().any(|net| net.contains(&place.address.ip().to_canonical()));
        let places: Vec<Destination> = found.places.iter().filter(may).cloned().collect();
        let otherwise = if found.places.is_empty() { RoutingWord::NameUnknown } else { RoutingWord::NotAllowed };
        let holds = if places.is_empty() { UNKNOWN } else { found.holds.unwrap_or(FOR_GOOD) };
        for name in naming.names.iter_mut().filter(|name| name.question == found.question) {
            name.until = at + holds.max(SHORTEST);
            name.answer = Some(NameAnswered { places: places.clone(), otherwise });
        }
    }

    /// Goes on with agents whose wait for a name is over, a bounded number of them. True when there
    /// are more.
    pub(super) fn follow_names(&mut self, now: Time, out: &mut impl Ways) -> bool {
        for _ in 0..TURN_LIMIT {
            let Some(naming) = &mut self.naming else { return false };
            let Some((place, next)) = naming.next(now) else { return false };
            let leads = self.leads_by_name(place, next.local);
            self.follow_name(&next, leads, now, out);
        }
        true
    }

    /// Where a name leads an agent, or why it goes nowhere.
    fn leads_by_name(&self, place: usize, local: u32) -> Result<SocketAddr, RoutingWord> {
        let name = self.naming.as_ref().and_then(|naming| naming.names.get(place));
        let Some(answer) = name.and_then(|name| name.answer.as_ref()) else { return Err(RoutingWord::NameSlow) };
        let draw = |key| self.config.seed.unit(Purpose::Place, self.id(local).0.into(), key);
        first(&answer.places, draw).map(|n| answer.places[n].address).ok_or(answer.otherwise)
    }

    fn follow_name(
        &mut self,
        Redirected { local, serial, answer, .. }: &Redirected,
        leads: Result<SocketAddr, RoutingWord>,
        now: Time,
        out: &mut impl Ways,
    ) {
        // Its attempt may have been ended meanwhile.
        if !self.agents[*local as usize].awaits_name(*serial) {
            return;
        }
        let Ok(response) = &scan::response(answer) else { return };
        match leads {
            Ok(address) => {
                self.lead_astray(*local, now, address, out);
                self.drive(*local, now, Input::Led { response }, out);
            }
            Err(word) => self.drive(*local, now, Input::NotLed { response, word }, out),
        }
    }

    /// Whether what becomes of its connection is of no interest to an agent, because it waits for
    /// the name of another place.
    pub(super) fn is_awaiting_name(&self, local: u32) -> bool {
        let waits = |next: &Redirected| next.local == local && self.agents[local as usize].awaits_name(next.serial);
        self.naming.as_ref().is_some_and(|naming| naming.names.iter().any(|name| name.waiting.iter().any(waits)))
    }
}

/// An agent's messages are made for one transport: the name is asked for that one.
fn carried_by(over: Transport, target: Target) -> Target {
    let written = Written { transport: true, secure: false, ..target.written };
    Target { transport: over, written, ..target }
}

/// Names that a worker's agents may be redirected to at a time: a cluster has few, and a server
/// that makes up a new one for each of its answers is not to fill our memory.
const MOST_NAMES: usize = 16;
/// How long an attempt waits for a name at most; a name server is asked twice, two seconds each.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a name that leads nowhere is not asked for again.
const UNKNOWN: Duration = Duration::from_secs(5);
/// How long one holds whose answer never ends.
const FOR_GOOD: Duration = Duration::from_secs(3_600);
/// A time to live below this is taken for this.
const SHORTEST: Duration = Duration::from_secs(1);
