//! The flight recorder: packets of open attempts, kept for a while, handed over when the attempt
//! fails.
//!
//! Nobody knows at its beginning that an attempt will fail, and most failures are never repeated (a
//! client that follows the RFC gives up after one 403), so waiting for the second one would show
//! nothing. On the other hand copying every packet of a million agents would cost more than the
//! rest of the turn. Hence a budget: of the attempts that begin, some per [`WINDOW`] are watched,
//! and for all others a packet costs one table look-up. Up to 500 attempts/s on a worker all are
//! watched; beyond that it is a sample whose cost stays the same however high the rate. Agents
//! whose last attempt failed have a budget of their own, so that the rare failing one is found
//! again among the many healthy ones.
//!
//! Watched attempts lie in a fixed number of slots. Most of them are held until the attempt ends,
//! however long that takes (Timer F); when those are all taken, as when a server falls silent, the
//! rest is a ring in which a new attempt takes the place of the oldest, so that quick refusals are
//! still seen beside the timeouts.
//!
//! Of the failures seen, the first few of each group (trunk, status, code, place in the handshake)
//! are handed over, later ones at ever longer distances, and never more bytes in a run than
//! [`ROOM`]. Digests are masked before anything is handed over, unless the run was told to keep
//! them.

use crate::measure::AttemptEnd;
use crate::measure::event::Subject;
use crate::sip::mask::{mask_credentials, mask_echoes};
use crate::vocab::{Direction, FailedAttempt, Packet, Place, Status, Time, TrunkId, saturating_u8};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

/// The time in which the budgets are spent.
const WINDOW: Duration = Duration::from_millis(100);

/// Attempts of agents without a failure that are watched from their beginning, per [`WINDOW`].
const HEALTHY_PER_WINDOW: u32 = 50;

/// The same for agents whose last attempt failed.
const FAILING_PER_WINDOW: u32 = 50;

/// Slots that an attempt keeps until it ends.
const HELD: usize = 128;

/// Slots in which the newest attempt takes the place of the oldest.
const RING: usize = 64;

/// The agent has no slot.
const NO_SLOT: u8 = u8::MAX;

const _: () = assert!(HELD + RING <= NO_SLOT as usize);

/// Room of one slot. A handshake has four packets, a timeout eleven transmissions of some 700
/// bytes.
const SLOT_BYTES: usize = 16 << 10;
const SLOT_PACKETS: usize = 32;

/// Failures of one group that are handed over at once; those after them wait.
const FIRST_OF_GROUP: u32 = 10;

/// The shortest wait between two later ones. It doubles: a day adds seventeen.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// Bytes that one worker hands over in a run. Half of them are kept for the first three failures of
/// a group, so that a trouble late in the run finds room.
const ROOM: usize = 4 << 20;
const SURELY: u32 = 3;

/// What a packet takes besides its payload, in memory as in a file.
const PACKET_COST: usize = 200;

/// One worker's recorder.
pub(super) struct Flight {
    /// By local agent: the slot of its open attempt, if it is watched.
    slot_of: Vec<u8>,
    /// By local agent: attempts so far, and whether the last one failed.
    past: Vec<Past>,
    slots: Vec<WatchSlot>,
    /// Held slots without an attempt.
    free: Vec<u8>,
    /// The place of the ring that the next attempt takes.
    next_in_ring: usize,
    budget: Budget,
    groups: BTreeMap<FailureGroup, HandedOver>,
    failures: Vec<FailedAttempt>,
    room: usize,
    keep_secrets: bool,
}

#[derive(Clone, Copy, Default)]
struct Past(u32);

impl Past {
    fn attempts(self) -> u32 {
        self.0 >> 1
    }

    fn failed(self) -> bool {
        self.0 & 1 == 1
    }

    /// One attempt more; `failed` says how it ended, if that says anything of the agent.
    fn ended(&mut self, failed: Option<bool>) {
        let attempts = (self.attempts() + 1) & (u32::MAX >> 1);
        self.0 = attempts << 1 | u32::from(failed.unwrap_or(self.failed()));
    }
}

/// The packets of one watched attempt; its buffers stay when the attempt is over.
#[derive(Default)]
struct WatchSlot {
    local: Option<u32>,
    bytes: Vec<u8>,
    packets: Vec<PacketMark>,
    left_out: u32,
}

/// One packet of a slot.
struct PacketMark {
    at: Time,
    direction: Direction,
    remote: SocketAddr,
    /// Where it ends in the slot's bytes.
    end: usize,
}

struct Budget {
    ends: Time,
    healthy: u32,
    failing: u32,
}

type FailureGroup = (TrunkId, Status, u16, Place);

/// What was handed over of one group.
struct HandedOver {
    count: u32,
    first: Time,
    /// The earliest time of the next one.
    next: Time,
}

impl Flight {
    pub(super) fn new(agents: usize, keep_secrets: bool) -> Self {
        Flight {
            slot_of: vec![NO_SLOT; agents],
            past: vec![Past::default(); agents],
            slots: std::iter::repeat_with(WatchSlot::default).take(HELD + RING).collect(),
            free: (0..saturating_u8(HELD)).rev().collect(),
            next_in_ring: 0,
            budget: Budget { ends: Time::ORIGIN, healthy: 0, failing: 0 },
            groups: BTreeMap::new(),
            failures: Vec::new(),
            room: ROOM,
            keep_secrets,
        }
    }

    /// Whether packets of this agent are to be kept now.
    #[inline]
    pub(super) fn watches(&self, local: u32) -> bool {
        self.slot_of[local as usize] != NO_SLOT
    }

    /// An attempt is about to send its first request; from here on it is watched, if the budget
    /// allows.
    pub(super) fn begin(&mut self, local: u32, now: Time) {
        let failing = self.past[local as usize].failed();
        if self.watches(local) || !self.budget.spend(failing, now) {
            return;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = saturating_u8(HELD + self.next_in_ring);
            self.next_in_ring = (self.next_in_ring + 1) % RING;
            self.release(slot);
            slot
        });
        self.slots[usize::from(slot)].local = Some(local);
        self.slot_of[local as usize] = slot;
    }

    /// Keeps one packet of a watched agent.
    pub(super) fn keep(&mut self, local: u32, at: Time, direction: Direction, remote: SocketAddr, bytes: &[u8]) {
        let Some(slot) = self.slots.get_mut(usize::from(self.slot_of[local as usize])) else { return };
        if slot.packets.len() == SLOT_PACKETS || slot.bytes.len() + bytes.len() > SLOT_BYTES {
            slot.left_out += 1;
            return;
        }
        slot.bytes.extend_from_slice(bytes);
        slot.packets.push(PacketMark { at, direction, remote, end: slot.bytes.len() });
    }

    /// An attempt of the agent is over; `from` is the address it sent from.
    pub(super) fn ended(&mut self, local: u32, subject: Subject, end: &AttemptEnd<'_>, from: SocketAddr) {
        let failed = match end.status {
            Status::Registered => Some(false),
            Status::Shed | Status::Abandoned => None,
            _ => Some(true),
        };
        self.past[local as usize].ended(failed);
        // An arrival that was shed says nothing of the attempt that may still be open.
        let slot = self.slot_of[local as usize];
        if slot == NO_SLOT || end.sent.is_none() {
            return;
        }
        if failed == Some(true) {
            self.hand_over(local, subject, end, from);
        }
        self.release(slot);
    }

    /// The failures since the last call.
    pub(super) fn take(&mut self) -> Vec<FailedAttempt> {
        std::mem::take(&mut self.failures)
    }

    fn hand_over(&mut self, local: u32, subject: Subject, end: &AttemptEnd<'_>, from: SocketAddr) {
        let slot = &self.slots[usize::from(self.slot_of[local as usize])];
        let cost = slot.bytes.len() + slot.packets.len() * PACKET_COST;
        let group = (subject.trunk, end.status, end.code, end.place);
        let shown = self.groups.entry(group).or_insert(HandedOver { count: 0, first: end.at, next: end.at });
        let reserved = if shown.count < SURELY { 0 } else { ROOM / 2 };
        if end.at < shown.next || cost + reserved > self.room {
            return;
        }
        shown.showed(end.at);
        self.room -= cost;
        self.failures.push(FailedAttempt {
            agent: subject.agent,
            trunk: subject.trunk,
            kind: end.kind,
            number: self.past[local as usize].attempts(),
            status: end.status,
            code: end.code,
            reason: end.reason.text().to_vec(),
            place: end.place,
            packets: slot.packets(from, self.keep_secrets),
            left_out: slot.left_out,
        });
    }

    /// Ends the watch of whoever has this slot.
    fn release(&mut self, position: u8) {
        let slot = &mut self.slots[usize::from(position)];
        slot.bytes.clear();
        slot.packets.clear();
        slot.left_out = 0;
        if let Some(local) = slot.local.take() {
            self.slot_of[local as usize] = NO_SLOT;
            if usize::from(position) < HELD {
                self.free.push(position);
            }
        }
    }
}

impl WatchSlot {
    fn packets(&self, local: SocketAddr, keep_secrets: bool) -> Vec<Packet> {
        let mut start = 0;
        let mut sent: Vec<Range<usize>> = Vec::new();
        let packet = |mark: &PacketMark| {
            let range = start..mark.end;
            let mut bytes = self.bytes[range.clone()].to_vec();
            start = mark.end;
            if !keep_secrets {
                sent.iter().for_each(|request| mask_echoes(&mut bytes, &self.bytes[request.clone()]));
                mask_credentials(&mut bytes);
                if mark.direction == Direction::Sent {
                    sent.push(range);
                }
            }
            Packet { at: mark.at, direction: mark.direction, local, remote: mark.remote, bytes }
        };
        self.packets.iter().map(packet).collect()
    }
}

impl Budget {
    /// Whether one more attempt may be watched.
    fn spend(&mut self, failing: bool, now: Time) -> bool {
        if now >= self.ends {
            *self = Budget { ends: now + WINDOW, healthy: HEALTHY_PER_WINDOW, failing: FAILING_PER_WINDOW };
        }
        let left = if failing { &mut self.failing } else { &mut self.healthy };
        let granted = *left > 0;
        *left = left.saturating_sub(1);
        granted
    }
}

impl HandedOver {
    fn showed(&mut self, at: Time) {
        self.count += 1;
        if self.count >= FIRST_OF_GROUP {
            self.next = at + at.since(self.first).max(SHORTEST_WAIT);
        }
    }
}

#[cfg(test)]
#[path = "flight_tests.rs"]
mod tests;
