//! One timer per entry (agents, streams, datagram flows): a hierarchical timing wheel that is plain
//! arithmetic.
//!
//! Here: which entry is due when. Not here: what a timer means (RFC 3261 Timers E, F and K, refresh
//! and retry are the agent's business; it reports its earliest deadline) and what time it is (the
//! caller says).
//!
//! Time is cut into ticks of 2^16 ns (65.5 µs). Eight levels of 64 slots cover 2^48 ticks, which is
//! every `Time`: a slot of level *l* spans 64^*l* ticks, so the levels reach 4.2 ms, 268 ms, 17 s,
//! 18 min, 19.5 h, 52 days, 9 years and 584 years. An entry lives in the lowest level on which it
//! shares all higher digits (base 64) with the tick reached; when time reaches its slot it is dealt
//! out to lower levels. Nothing wraps: the lowest occupied slot of the lowest occupied level always
//! holds the earliest entry.

use crate::vocab::Time;

/// A timing wheel over the indices `0..entries`, at most one due time each.
///
/// An entry costs 16 bytes (two links and a due tick, four entries to a cache line), whether
/// scheduled or not: 16 B × 1 000 000 agents = 16 MB. The 512 list heads add 8 KB. Scheduling and
/// cancelling take constant time and never allocate; expiry is by due tick, and in the order of
/// scheduling within a tick as long as no dealing out is cut short (see [`Wheel::advance`]). The
/// same calls give the same order.
#[derive(Clone, Debug)]
pub struct Wheel {
    /// The heads of all slots (level × 64 + slot), then the entries. Every list is a ring through
    /// its head, so that taking an entry out needs to know neither its slot nor its place in it.
    nodes: Box<[WheelNode]>,
    /// One bit per slot that holds an entry.
    occupied: [u64; LEVELS],
    /// Everything due before this tick has expired; entries due at it stand in slot `reached % 64`
    /// of level 0.
    reached: u64,
    /// A slot head that time has reached and whose entries are not all dealt out yet.
    dealing: Option<u32>,
    scheduled: usize,
}

#[derive(Clone, Copy, Debug)]
struct WheelNode {
    next: u32,
    prev: u32,
    due: u64,
}

impl Wheel {
    /// A wheel for the indices `0..entries` with nothing scheduled; `start` is the earliest time it
    /// will be told.
    ///
    /// # Panics
    /// When `entries` does not leave room for the slot heads in 32 bits.
    pub fn new(entries: usize, start: Time) -> Self {
        assert!(entries < (UNLINKED - HEADS) as usize, "{entries} entries do not fit 32-bit links");
        let heads = (0..HEADS).map(|head| WheelNode { next: head, prev: head, due: 0 });
        let idle = std::iter::repeat_n(WheelNode { next: UNLINKED, prev: UNLINKED, due: 0 }, entries);
        Self {
            nodes: heads.chain(idle).collect(),
            occupied: [0; LEVELS],
            reached: start.as_nanos() >> TICK_BITS,
            dealing: None,
            scheduled: 0,
        }
    }

    /// Makes `index` due at `at`, in place of any earlier plan for it.
    ///
    /// The due time is rounded up to a tick, so it never fires early and at most 65.5 µs late; a
    /// time that has already passed is due at the next [`advance`](Self::advance).
    ///
    /// # Panics
    /// When `index` is not below the number of entries.
    pub fn schedule(&mut self, index: u32, at: Time) {
        self.cancel(index);
        let node = index + HEADS;
        self.nodes[node as usize].due = ceiling_tick(at).max(self.reached);
        self.link(node);
        self.scheduled += 1;
    }

    /// Forgets the plan for `index`, if there is one.
    ///
    /// # Panics
    /// When `index` is not below the number of entries.
    pub fn cancel(&mut self, index: u32) {
        if self.is_scheduled(index) {
            self.unlink(index + HEADS);
            self.scheduled -= 1;
        }
    }

    /// Whether `index` has a due time that has not been handed out.
    pub fn is_scheduled(&self, index: u32) -> bool {
        // Added as usize: an index near the end of u32 must miss the bounds, not wrap round to a
        // head.
        self.nodes[index as usize + HEADS as usize].next != UNLINKED
    }

    /// Number of entries scheduled.
    pub fn len(&self) -> usize {
        self.scheduled
    }

    pub fn is_empty(&self) -> bool {
        self.scheduled == 0
    }

    /// Appends the indices due at `now` to `expired`, earliest first, at most `limit` of them, and
    /// unschedules them.
    ///
    /// True when it stopped early and should be called again with the same `now`: `limit` was
    /// reached with more due, or a slot of a higher level holds more than 1024 entries still to be
    /// dealt out (a million refreshes that share an 18-minute slot would otherwise stall the turn
    /// in which time reaches it). A `now` before an earlier one does nothing.
    pub fn advance(&mut self, now: Time, limit: usize, expired: &mut Vec<u32>) -> bool {
        let target = now.as_nanos() >> TICK_BITS;
        let mut room = limit;
        let mut moves = DEAL_LIMIT;
        while self.reached <= target {
            if let Some(head) = self.dealing {
                if !self.deal(head, &mut moves) {
                    return true;
                }
                self.dealing = None;
            }
            if !self.expire_reached(&mut room, expired) {
                return true;
            }
            match self.first_slot() {
                Some((head, begins)) if begins <= target => {
                    self.reached = begins;
                    self.dealing = (head >= SLOTS).then_some(head);
                }
                _ => {
                    self.reached = target;
                    return false;
                }
            }
        }
        false
    }

    /// A time no later than that of the first entry due: exact for what is due within 4.2 ms of the
    /// time reached, the beginning of its slot for what is further off. `None` when nothing is
    /// scheduled.
    pub fn next_due(&self) -> Option<Time> {
        let tick = match self.dealing {
            Some(_) if self.scheduled > 0 => self.reached,
            _ => self.first_slot()?.1,
        };
        Some(Time::from_nanos(tick << TICK_BITS))
    }

    /// The lowest occupied slot, which holds the earliest entry, and the tick at which it begins.
    #[expect(clippy::cast_possible_truncation, reason = "one of eight levels")]
    fn first_slot(&self) -> Option<(u32, u64)> {
        let level = self.occupied.iter().position(|&slots| slots != 0)?;
        let slot = self.occupied[level].trailing_zeros();
        let above = SLOT_BITS * (level as u32 + 1);
        let begins = (self.reached >> above << above) | (u64::from(slot) << (SLOT_BITS * level as u32));
        Some((level as u32 * SLOTS + slot, begins))
    }

    /// Hands out what is due at the tick reached; false when `room` ran out before that.
    #[expect(clippy::cast_possible_truncation, reason = "only the lowest digit is meant")]
    fn expire_reached(&mut self, room: &mut usize, expired: &mut Vec<u32>) -> bool {
        let head = self.reached as u32 % SLOTS;
        loop {
            let node = self.nodes[head as usize].next;
            if node == head {
                return true;
            }
            if *room == 0 {
                return false;
            }
            self.unlink(node);
            self.scheduled -= 1;
            *room -= 1;
            expired.push(node - HEADS);
        }
    }

    /// Moves the entries of a slot that time has reached to where they belong now; false when
    /// `moves` ran out.
    fn deal(&mut self, head: u32, moves: &mut usize) -> bool {
        loop {
            let node = self.nodes[head as usize].next;
            if node == head {
                return true;
            }
            if *moves == 0 {
                return false;
            }
            *moves -= 1;
            self.unlink(node);
            self.link(node);
        }
    }

    /// Appends a node to the slot of its due tick, which is not before the tick reached.
    #[expect(clippy::cast_possible_truncation, reason = "only the lowest digit is meant")]
    fn link(&mut self, node: u32) {
        let due = self.nodes[node as usize].due;
        // The highest base-64 digit in which the two ticks differ names the level; equal ticks
        // share level 0.
        let level = (63 - ((due ^ self.reached) | 1).leading_zeros()) / SLOT_BITS;
        let slot = (due >> (SLOT_BITS * level)) as u32 % SLOTS;
        let head = level * SLOTS + slot;
        let last = self.nodes[head as usize].prev;
        self.nodes[node as usize].next = head;
        self.nodes[node as usize].prev = last;
        self.nodes[last as usize].next = node;
        self.nodes[head as usize].prev = node;
        self.occupied[level as usize] |= 1 << slot;
    }

    fn unlink(&mut self, node: u32) {
        let WheelNode { next, prev, .. } = self.nodes[node as usize];
        self.nodes[prev as usize].next = next;
        self.nodes[next as usize].prev = prev;
        self.nodes[node as usize].next = UNLINKED;
        // Only a head can be both neighbours of an entry: its slot is empty now.
        if next == prev {
            self.occupied[(next / SLOTS) as usize] &= !(1 << (next % SLOTS));
        }
    }
}

/// The first tick that begins at or after `at`. The last 65 µs before `Time::NEVER` have no such
/// tick and share the last one there is.
fn ceiling_tick(at: Time) -> u64 {
    at.as_nanos().div_ceil(1 << TICK_BITS).min(u64::MAX >> TICK_BITS)
}

/// A tick is 2^16 ns: fine enough that rounding up to it cannot be seen beside Timer E, coarse
/// enough that a busy worker crosses many ticks per turn.
const TICK_BITS: u32 = 16;
const SLOT_BITS: u32 = 6;
const SLOTS: u32 = 1 << SLOT_BITS;
/// 16 bits of tick and 8 × 6 bits of slot are the 64 bits of a `Time`.
const LEVELS: usize = 8;
#[expect(clippy::cast_possible_truncation, reason = "eight")]
const HEADS: u32 = LEVELS as u32 * SLOTS;
const UNLINKED: u32 = u32::MAX;
/// Entries dealt out to lower levels in one call: about 0.1 ms of scattered memory.
const DEAL_LIMIT: usize = 1024;

const _: () = assert!(TICK_BITS as usize + SLOT_BITS as usize * LEVELS == u64::BITS as usize);
const _: () = assert!(size_of::<WheelNode>() == 16);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const TICK: u64 = 1 << TICK_BITS;
    const START: Time = Time::from_secs(1);
    const DAY: u64 = 86_400_000_000_000;
    const NONE: [u32; 0] = [];

    fn after(nanos: u64) -> Time {
        Time::from_nanos(START.as_nanos() + nanos)
    }

    fn expire(wheel: &mut Wheel, now: Time) -> Vec<u32> {
        let mut expired = Vec::new();
        while wheel.advance(now, 7, &mut expired) {}
        expired
    }

    #[test]
    fn fires_in_due_order_and_never_early() {
        let mut wheel = Wheel::new(4, START);
        wheel.schedule(2, after(30_000_000));
        wheel.schedule(0, after(10_000_001));
        wheel.schedule(3, after(90 * DAY));
        wheel.schedule(1, after(10_000_000));
        assert_eq!(expire(&mut wheel, after(9_999_999)), NONE);
        assert_eq!(expire(&mut wheel, after(10_000_001 + TICK)), [0, 1]);
        assert_eq!(expire(&mut wheel, after(90 * DAY - 1)), [2]);
        assert!(wheel.is_scheduled(3) && wheel.len() == 1);
        assert_eq!(expire(&mut wheel, after(90 * DAY + TICK)), [3]);
        assert!(wheel.is_empty() && wheel.next_due().is_none());
    }

    #[test]
    fn what_has_passed_is_due_at_once() {
        let mut wheel = Wheel::new(2, START);
        assert_eq!(expire(&mut wheel, after(DAY)), NONE);
        wheel.schedule(1, after(5));
        wheel.schedule(0, Time::ORIGIN);
        assert_eq!(expire(&mut wheel, after(DAY)), [1, 0]);
    }

    #[test]
    fn never_is_kept_and_can_be_replaced() {
        let mut wheel = Wheel::new(1, START);
        wheel.schedule(0, Time::NEVER);
        assert_eq!(expire(&mut wheel, after(36_500 * DAY)), NONE);
        assert!(wheel.is_scheduled(0));
        wheel.schedule(0, after(36_501 * DAY));
        assert_eq!(expire(&mut wheel, after(36_502 * DAY)), [0]);
    }

    #[test]
    fn time_that_runs_back_does_nothing() {
        let mut wheel = Wheel::new(2, START);
        wheel.advance(after(DAY), 10, &mut Vec::new());
        wheel.schedule(0, after(0));
        assert_eq!(expire(&mut wheel, after(0)), NONE);
        assert_eq!(expire(&mut wheel, after(DAY)), [0]);
    }

    #[test]
    fn a_crowded_slot_is_dealt_out_over_several_calls() {
        let many = 5 * DEAL_LIMIT as u32;
        let mut wheel = Wheel::new(many as usize, START);
        // All within one slot of level 3, in an order that is not that of the due times.
        let due = |index: u32| after(3_600_000_000_000 + u64::from(index.wrapping_mul(2_654_435_761) % many) * TICK);
        for index in 0..many {
            wheel.schedule(index, due(index));
        }
        let now = after(3_700_000_000_000);
        let mut expired = Vec::new();
        let mut calls = 1;
        while wheel.advance(now, usize::MAX, &mut expired) {
            assert!(wheel.next_due().is_some_and(|at| at <= now), "work left must not let the caller sleep");
            calls += 1;
        }
        assert!(calls >= 5, "{calls} calls");
        assert_eq!(expired.len(), many as usize);
        assert!(expired.is_sorted_by_key(|&index| due(index)));
    }

    #[test]
    fn cancelling_while_a_slot_is_dealt_out_leaves_no_trace() {
        let many = 3 * DEAL_LIMIT as u32;
        let mut wheel = Wheel::new(many as usize, START);
        for index in 0..many {
            wheel.schedule(index, after(DAY));
        }
        assert!(wheel.advance(after(DAY + TICK), 10, &mut Vec::new()));
        (0..many).for_each(|index| wheel.cancel(index));
        assert!(wheel.is_empty());
        assert_eq!(expire(&mut wheel, after(2 * DAY)), NONE);
        wheel.schedule(0, after(2 * DAY + 1));
        assert_eq!(expire(&mut wheel, after(3 * DAY)), [0]);
    }

    /// The same promises, kept by a sorted map.
    #[derive(Default)]
    struct Model {
        plan: BTreeMap<(u64, u64), u32>,
        key: BTreeMap<u32, (u64, u64)>,
        sequence: u64,
        reached: u64,
    }

    impl Model {
        fn schedule(&mut self, index: u32, at: Time) {
            self.cancel(index);
            self.sequence += 1;
            let key = (at.as_nanos().div_ceil(TICK).min(u64::MAX / TICK).max(self.reached), self.sequence);
            self.plan.insert(key, index);
            self.key.insert(index, key);
        }

        fn cancel(&mut self, index: u32) {
            if let Some(key) = self.key.remove(&index) {
                self.plan.remove(&key);
            }
        }

        fn advance(&mut self, now: Time, limit: usize) -> (Vec<u32>, bool) {
            let target = now.as_nanos() / TICK;
            let mut expired = Vec::new();
            while let Some((&(tick, sequence), &index)) = self.plan.first_key_value().filter(|(key, _)| key.0 <= target)
            {
                self.reached = tick;
                if expired.len() == limit {
                    return (expired, true);
                }
                self.plan.remove(&(tick, sequence));
                self.key.remove(&index);
                expired.push(index);
            }
            self.reached = self.reached.max(target);
            (expired, false)
        }
    }

    #[derive(Clone, Debug)]
    enum WheelStep {
        Schedule(u32, u64),
        Cancel(u32),
        Advance(u64, usize),
    }

    /// Spans of every size: within a tick, and up to 40 days.
    fn span() -> impl Strategy<Value = u64> {
        (0u32..52, any::<u64>())
            .prop_map(|(bits, value)| value & ((1 << bits) - 1))
            .prop_filter("days", |n| *n < 40 * DAY)
    }

    fn step() -> impl Strategy<Value = WheelStep> {
        prop_oneof![
            4 => (0u32..40, span()).prop_map(|(index, ahead)| WheelStep::Schedule(index, ahead)),
            1 => (0u32..40).prop_map(WheelStep::Cancel),
            2 => (span(), prop_oneof![Just(usize::MAX), 0usize..4]).prop_map(|(on, limit)| WheelStep::Advance(on, limit)),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_a_sorted_map(steps in prop::collection::vec(step(), 1..200)) {
            let mut wheel = Wheel::new(40, START);
            let mut model = Model { reached: START.as_nanos() / TICK, ..Model::default() };
            let mut now = START;
            for step in steps {
                match step {
                    WheelStep::Schedule(index, ahead) => {
                        // Half a second back: some plans lie in the past.
                        let at = Time::from_nanos(now.as_nanos() - 500_000_000 + ahead);
                        wheel.schedule(index, at);
                        model.schedule(index, at);
                    }
                    WheelStep::Cancel(index) => {
                        wheel.cancel(index);
                        model.cancel(index);
                        prop_assert!(!wheel.is_scheduled(index));
                    }
                    WheelStep::Advance(on, limit) => {
                        now = Time::from_nanos(now.as_nanos() + on);
                        let mut expired = Vec::new();
                        let more = wheel.advance(now, limit, &mut expired);
                        prop_assert_eq!((expired, more), model.advance(now, limit));
                    }
                }
                prop_assert_eq!(wheel.len(), model.plan.len());
                let first = model.plan.first_key_value().map(|(key, _)| key.0 * TICK);
                prop_assert_eq!(wheel.next_due().is_some(), first.is_some());
                prop_assert!(wheel.next_due().is_none_or(|at| Some(at.as_nanos()) <= first));
                if let (Some(first), Some(at)) = (first, wheel.next_due()) {
                    let same_lowest_turn = first / TICK / 64 == wheel.reached / 64;
                    prop_assert!(!same_lowest_turn || at.as_nanos() == first, "exact on the lowest level");
                }
            }
        }
    }
}
