//! Adding what several workers measured: intervals of the same position, and trunks' counters.

use super::interval::{GeneratorCounts, Interval, TrunkInterval};
use super::latency;
use super::responses::ResponseRow;
use crate::vocab::Kind;
use std::collections::HashMap;

impl Interval {
    /// Adds another worker's interval of the same position. Every number is a sum, every list holds
    /// the rows of both (their agents differ); responses of the same row and samples of the same
    /// time become one.
    pub fn merge(&mut self, mut other: Interval) {
        debug_assert_eq!(self.index, other.index, "intervals of different positions");
        self.start_ns = self.start_ns.min(other.start_ns);
        self.end_ns = self.end_ns.max(other.end_ns);
        if self.trunks.len() < other.trunks.len() {
            self.trunks.resize_with(other.trunks.len(), TrunkInterval::default);
        }
        for (trunk, theirs) in self.trunks.iter_mut().zip(&other.trunks) {
            trunk.add(theirs);
        }
        let lost = latency::add(&mut self.lag_us, &other.lag_us);
        if let Some(trunk) = self.trunks.first_mut() {
            trunk.out_of_range += lost;
        }
        self.generator.add(&other.generator);
        // A million rows: moved, and without the room that a growing list keeps.
        self.agents.reserve_exact(other.agents.len());
        self.agents.append(&mut other.agents);
        self.loops.append(&mut other.loops);
        add_responses(&mut self.responses, &other.responses);
        self.evidence.merge(&other.evidence);
        self.imbalances.append(&mut other.imbalances);
        self.registered_samples = add_samples(&self.registered_samples, &other.registered_samples);
    }
}

impl TrunkInterval {
    /// Adds every counter, gauge and histogram of `other`.
    pub fn add(&mut self, other: &TrunkInterval) {
        self.add_counters(other);
        for (mine, theirs) in self.latency_us.iter_mut().zip(&other.latency_us) {
            self.out_of_range += latency::add(mine, theirs);
        }
    }

    /// Adds every counter and gauge of `other`, but not its histograms.
    pub fn add_counters(&mut self, other: &TrunkInterval) {
        add_each(&mut self.status, &other.status);
        add_each(&mut self.started, &other.started);
        // Taken apart by name, so that a field added later cannot be forgotten here.
        let TrunkInterval {
            status: _,
            started: _,
            open,
            register_requests,
            retransmissions,
            messages_sent,
            messages_received,
            bytes_sent,
            bytes_received,
            late_responses,
            duplicate_responses,
            ceiling_refused,
            retry_after_ignored,
            ineffective,
            loop_attempts,
            agents_began_looping,
            unregistered,
            unregister_failed,
            planned,
            registered,
            planned_agent_ns,
            registered_agent_ns,
            out_of_range,
            flows,
            cut_off,
            cut_off_agent_ns,
            ended,
            canary,
            latency_us: _,
        } = other;
        self.open += open;
        self.register_requests += register_requests;
        self.retransmissions += retransmissions;
        self.messages_sent += messages_sent;
        self.messages_received += messages_received;
        self.bytes_sent += bytes_sent;
        self.bytes_received += bytes_received;
        self.late_responses += late_responses;
        self.duplicate_responses += duplicate_responses;
        self.ceiling_refused += ceiling_refused;
        self.retry_after_ignored += retry_after_ignored;
        self.ineffective += ineffective;
        self.loop_attempts += loop_attempts;
        self.agents_began_looping += agents_began_looping;
        self.unregistered += unregistered;
        self.unregister_failed += unregister_failed;
        self.planned += planned;
        self.registered += registered;
        self.planned_agent_ns += planned_agent_ns;
        self.registered_agent_ns += registered_agent_ns;
        self.out_of_range += out_of_range;
        self.cut_off += cut_off;
        self.cut_off_agent_ns += cut_off_agent_ns;
        add_each(&mut self.ended, ended);
        self.canary.add(canary);
        if let Some(flows) = flows {
            self.flows.get_or_insert_default().add(flows);
        }
    }

    /// Attempts begun, shed ones included, un-REGISTERs not.
    pub fn attempts_started(&self) -> u64 {
        self.started.iter().sum::<u64>() - self.started[Kind::Unregister.index()]
    }

    /// Attempts ended: the sum of the statuses.
    pub fn attempts_ended(&self) -> u64 {
        self.status.iter().sum()
    }
}

impl GeneratorCounts {
    /// Adds every count of `other`, and keeps the larger of what is no count.
    pub fn add(&mut self, other: &GeneratorCounts) {
        let GeneratorCounts {
            arrivals_late,
            arrivals,
            socket_drops,
            send_errors,
            reads_refused,
            loop_stalls,
            stray_datagrams,
            cpu_ns,
            asked_answered,
            asked_refused,
            stamps_refused,
            longest_turn_ns,
            suspended_ns,
            resident_bytes,
        } = other;
        self.arrivals_late += arrivals_late;
        self.arrivals += arrivals;
        self.socket_drops += socket_drops;
        self.send_errors += send_errors;
        self.reads_refused += reads_refused;
        self.loop_stalls += loop_stalls;
        self.stray_datagrams += stray_datagrams;
        self.cpu_ns += cpu_ns;
        self.asked_answered += asked_answered;
        self.asked_refused += asked_refused;
        self.stamps_refused += stamps_refused;
        self.longest_turn_ns = self.longest_turn_ns.max(*longest_turn_ns);
        self.suspended_ns += suspended_ns;
        self.resident_bytes = self.resident_bytes.max(*resident_bytes);
    }
}

/// Adds rows of responses: equal ones become one, with the earliest first and the latest last time.
pub fn add_responses(into: &mut Vec<ResponseRow>, from: &[ResponseRow]) {
    let key = |row: &ResponseRow| (row.trunk, row.kind, row.challenge, row.code, row.reason.clone());
    let mut places: HashMap<_, _> = into.iter().enumerate().map(|(place, row)| (key(row), place)).collect();
    for row in from {
        let place = *places.entry(key(row)).or_insert(into.len());
        let Some(mine) = into.get_mut(place) else {
            into.push(row.clone());
            continue;
        };
        mine.count += row.count;
        mine.first_seen_ns = mine.first_seen_ns.min(row.first_seen_ns);
        mine.last_seen_ns = mine.last_seen_ns.max(row.last_seen_ns);
    }
}

/// Two ascending lists of (time, agents) as one, equal times added.
fn add_samples(mine: &[(u64, u32)], theirs: &[(u64, u32)]) -> Vec<(u64, u32)> {
    let mut all = [mine, theirs].concat();
    all.sort_unstable();
    all.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 = kept.1.saturating_add(later.1);
        }
        same
    });
    all
}

fn add_each<const N: usize>(into: &mut [u64; N], from: &[u64; N]) {
    for (mine, theirs) in into.iter_mut().zip(from) {
        *mine += theirs;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_time_add_and_others_stay() {
        assert_eq!(add_samples(&[(1, 5), (3, 2)], &[(1, 6), (2, 7)]), [(1, 11), (2, 7), (3, 2)]);
    }

    #[test]
    fn equal_responses_become_one_row() {
        let row = |code, count, first_seen_ns, last_seen_ns| ResponseRow {
            trunk: 0,
            kind: Kind::Initial,
            challenge: false,
            code,
            reason: "OK".to_owned(),
            count,
            first_seen_ns,
            last_seen_ns,
        };
        let mut into = vec![row(200, 2, 50, 60)];
        add_responses(&mut into, &[row(200, 3, 40, 55), row(403, 1, 1, 1), row(403, 1, 2, 2)]);
        assert_eq!(into, [row(200, 5, 40, 60), row(403, 2, 1, 2)]);
    }
}
