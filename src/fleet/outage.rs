//! Outages of the load: who is without power, whose turn it is to lose it or to have it back, and
//! who is registered again.
//!
//! A worker switches its agents one after another, a bounded number each turn, so that answers do
//! not wait.

use crate::load::Outage;
use crate::vocab::Time;
use std::time::Duration;

/// The agents' power. Without an outage in the load it holds nothing.
pub(super) struct Power {
    /// Beginnings and ends of outages passed so far: twice the number of the outage, one more at
    /// its end.
    passed: usize,
    /// The next agent to look at.
    local: u32,
    agents: u32,
    /// By local agent.
    state: Vec<PowerState>,
    returns: Vec<Time>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum PowerState {
    On,
    Off,
    /// On again, and not registered yet.
    Returning,
}

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Switch {
    Off(u32),
    On(u32),
    /// Among the agents looked at there was none that is hit.
    Nobody,
    /// All agents have been looked at.
    Past,
}

/// Agents looked at in one step: 0.1 ms of draws.
const LOOKS: u32 = 256;

impl Power {
    pub(super) fn new(agents: u32, outages: &[Outage]) -> Self {
        let state = if outages.is_empty() { Vec::new() } else { vec![PowerState::On; agents as usize] };
        Power { passed: 0, local: 0, agents, state, returns: Vec::new() }
    }

    /// When the outage begins or ends that is next, or under way, since the start of the load.
    pub(super) fn switches_at(&self, outages: &[Outage]) -> Option<Duration> {
        let outage = outages.get(self.passed / 2)?;
        Some(if self.passed.is_multiple_of(2) { outage.from } else { outage.until })
    }

    /// The next agent to be switched; `hits` says whether an outage, by its number, hits a local
    /// agent.
    pub(super) fn next(&mut self, outages: &[Outage], hits: impl Fn(&Outage, usize, u32) -> bool) -> Switch {
        let number = self.passed / 2;
        let Some(outage) = outages.get(number) else { return Switch::Past };
        let begins = self.passed.is_multiple_of(2);
        let last = self.agents.min(self.local.saturating_add(LOOKS));
        while self.local < last {
            let local = self.local;
            self.local += 1;
            if hits(outage, number, local) {
                return if begins { Switch::Off(local) } else { Switch::On(local) };
            }
        }
        if self.local < self.agents {
            return Switch::Nobody;
        }
        self.local = 0;
        self.passed += 1;
        Switch::Past
    }

    /// An agent lost its power.
    pub(super) fn is_off(&mut self, local: u32) {
        self.state[local as usize] = PowerState::Off;
    }

    /// Gives an agent its power back; false when it had it.
    pub(super) fn was_off(&mut self, local: u32) -> bool {
        let state = &mut self.state[local as usize];
        let was_off = *state == PowerState::Off;
        if was_off {
            *state = PowerState::Returning;
        }
        was_off
    }

    /// An agent registered.
    #[inline]
    pub(super) fn registered(&mut self, local: u32, at: Time) {
        if let Some(state @ PowerState::Returning) = self.state.get_mut(local as usize) {
            *state = PowerState::On;
            self.returns.push(at);
        }
    }

    pub(super) fn take_returns(&mut self) -> Vec<Time> {
        std::mem::take(&mut self.returns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTAGE: Outage = Outage { from: Duration::from_secs(10), until: Duration::from_secs(70), share: 0.5 };

    #[test]
    fn everybody_hit_is_switched_off_and_on_once() {
        let outages = [OUTAGE];
        let mut power = Power::new(1000, &outages);
        let hits = |_: &Outage, _, local: u32| local % 300 == 7;
        let mut switched = Vec::new();
        for at in [OUTAGE.from, OUTAGE.until] {
            assert_eq!(power.switches_at(&outages), Some(at));
            loop {
                match power.next(&outages, hits) {
                    Switch::Past => break,
                    Switch::Nobody => {}
                    switch => switched.push(switch),
                }
            }
        }
        let hit = [7, 307, 607, 907];
        assert_eq!(switched, [hit.map(Switch::Off), hit.map(Switch::On)].concat());
        assert_eq!((power.switches_at(&outages), power.next(&outages, hits)), (None, Switch::Past));
    }

    #[test]
    fn a_return_is_the_first_registration_with_power_again() {
        let mut power = Power::new(2, &[OUTAGE]);
        power.registered(0, Time::from_secs(1));
        power.is_off(0);
        assert!(power.was_off(0) && !power.was_off(1), "only who lost it gets it back");
        power.registered(0, Time::from_secs(2));
        power.registered(0, Time::from_secs(3));
        power.registered(1, Time::from_secs(3));
        assert_eq!(power.take_returns(), [Time::from_secs(2)]);
    }

    #[test]
    fn a_load_without_outages_costs_nothing() {
        let mut power = Power::new(1_000_000, &[]);
        power.registered(7, Time::from_secs(1));
        assert!(power.state.is_empty() && power.take_returns().is_empty() && power.switches_at(&[]).is_none());
    }
}
