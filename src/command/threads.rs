//! How many sender threads a run has: as few as carry the planned rate.
//!
//! One thread that is busy costs less than two that are half idle: at 6 000 registrations/s 24
//! against 48 µs of CPU for each, for an idle thread goes to sleep and is woken for every datagram.
//! So a further thread comes only with a rate that needs it.

use crate::load::{LoadConfig, Process, Schedule};
use crate::plan::Plan;
use crate::seed::Seed;
use crate::vocab::{floor_usize, saturating_u32};

/// Registrations per second that one thread is given. It sustains well over this, challenge and
/// all.
const RATE_PER_THREAD: f64 = 20_000.0;

/// Sender threads of a run: as the profile says, else as many as its rate needs, at most one per
/// core; never more than there are agents, or than limits that are shared out among them allow, so
/// that no thread's share is nothing at all.
pub(super) fn sender_threads(plan: &Plan) -> u32 {
    sender_threads_of(plan, std::thread::available_parallelism().map_or(1, usize::from))
}

fn sender_threads_of(plan: &Plan, cores: usize) -> u32 {
    let wanted = if plan.workers == 0 { needed(highest_rate(plan)).min(cores) } else { plan.workers };
    let most = most_threads(plan);
    u32::try_from(wanted).unwrap_or(most).min(most).max(1)
}

/// Sender threads of each of so many equal parts of a run: as the profile says for a process, else
/// as many as the part's rate needs. Every machine comes to the same number, whatever its cores;
/// 0: there is not something for each.
pub(super) fn threads_per_part(plan: &Plan, parts: u32) -> u32 {
    let needed = || needed(highest_rate(plan) / f64::from(parts.max(1)));
    let wanted = if plan.workers == 0 { needed() } else { plan.workers };
    u32::try_from(wanted.max(1)).unwrap_or(u32::MAX).min(most_threads(plan) / parts.max(1))
}

/// The threads that a run can be cut up among so that each has an agent, and a share of every
/// number that is shared out.
fn most_threads(plan: &Plan) -> u32 {
    let shared_out = plan.load.max_in_flight.min(plan.load.max_message_rate);
    saturating_u32(plan.identities.len()).min(shared_out)
}

fn needed(per_second: f64) -> usize {
    // A float is cut off at the ends of what an integer holds.
    floor_usize((per_second / RATE_PER_THREAD).ceil())
}

/// The most registrations per second that the plan may bring: arrivals at their highest rate while
/// those who arrived before refresh. Agents of an avalanche count as arriving within one second.
/// Retries are nobody's plan.
fn highest_rate(plan: &Plan) -> f64 {
    // The times of single arrivals, which a Poisson process would draw, change nothing of the rate.
    let load = LoadConfig { process: Process::Uniform, ..plan.load.clone() };
    let refreshes = plan.trunks.iter().map(|trunk| {
        let every = f64::from(trunk.policy.expires_s.max(1)) * trunk.policy.refresh_at;
        f64::from(trunk.agents) / every
    });
    Schedule::new(&load, Seed(0)).peak() + refreshes.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{self, InMemory};

    /// Threads on a machine of eight cores.
    fn threads(agents: u32, load: &str, further: &str) -> u32 {
        sender_threads_of(&plan(agents, load, further), 8)
    }

    fn plan(agents: u32, load: &str, further: &str) -> Plan {
        let text = format!(
            "[[trunk]]\nid = \"lab\"\nregistrar = \"embedded\"\ndomain = \"a.test\"\nrefresh_at = 0.5\n\
             expires = \"1000s\"\nagents = {{ count = {agents}, user = \"a{{n}}\", password = \"secret\" }}\n{load}\n{further}"
        );
        let profile = profile::load(&InMemory(&text), "test.toml", &[]).expect("a sound profile");
        Plan::new(&profile).expect("a sound plan")
    }

    const AT_ONCE: &str = "[[load]]\navalanche = 1.0\n[[load]]\nhold = \"1h\"";

    #[test]
    fn the_rate_decides_up_to_the_number_of_cores() {
        let wide = "[arrivals]\nmax_in_flight = 200000\n[safety]\nmax_message_rate = 1000000";
        let rate = |rate: u32| threads(100, &format!("[[load]]\nrate = {rate}\nfor = \"1s\""), wide);
        assert_eq!([1, 6_000, 19_999, 20_000, 39_999, 90_000, 900_000].map(rate), [1, 1, 1, 2, 2, 5, 8]);
        let ramp = "[[load]]\nramp = 30000\nfor = \"60s\"";
        assert_eq!(threads(100, ramp, wide), 2, "where a ramp ends, not where it begins");
    }

    #[test]
    fn every_part_of_a_run_has_the_same_threads_on_any_machine() {
        let parts =
            |agents: u32, load: &str, further: &str, parts| threads_per_part(&plan(agents, load, further), parts);
        let wide = "[arrivals]\nmax_in_flight = 200000\n[safety]\nmax_message_rate = 1000000";
        let rate = "[[load]]\nrate = 90000\nfor = \"1s\"";
        assert_eq!([1, 3, 8].map(|of| parts(100, rate, wide, of)), [5, 2, 1], "30 000 and 11 250 a second each");
        assert_eq!(parts(100, rate, "[run]\nworkers = 3", 8), 3, "as the profile says of a process");
        assert_eq!(parts(20, rate, "[run]\nworkers = 3", 8), 2, "an agent for each thread");
        assert_eq!(parts(7, rate, "", 8), 0, "one machine would have none");
        assert_eq!(parts(100, rate, "[safety]\nmax_message_rate = 2", 3), 0);
    }

    #[test]
    fn an_avalanche_is_within_a_second_and_refreshes_come_on_top() {
        let wide = "[arrivals]\nmax_in_flight = 200000\n[safety]\nmax_message_rate = 1000000";
        assert_eq!(threads(19_900, AT_ONCE, wide), 1, "and 39.8 refreshes a second");
        assert_eq!(threads(19_990, AT_ONCE, wide), 2, "with 40 more a thread has no room");
    }

    #[test]
    fn what_the_profile_says_stands_as_far_as_there_is_something_for_each() {
        let few = "[[load]]\nrate = 10\nfor = \"2s\"";
        assert_eq!(threads(100, few, "[run]\nworkers = 3"), 3, "however low the rate");
        assert_eq!(threads(2, few, "[run]\nworkers = 3"), 2, "an agent each");
        assert_eq!(threads(100, few, "[run]\nworkers = 3\n[arrivals]\nmax_in_flight = 1"), 1, "one may be open");
        assert_eq!(threads(100, few, "[run]\nworkers = 3\n[safety]\nmax_message_rate = 2"), 2);
    }
}
