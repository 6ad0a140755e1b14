//! Which responses came, how often: a small table that a hostile registrar cannot make large.

use super::phrases::{PhraseId, Phrases};
use crate::vocab::{Kind, Time, TrunkId, saturating_u32};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Distinct rows with a reason of their own per worker and run; further ones are counted under
/// `(other)`, whose rows are limited by trunks × kinds × codes.
pub const MAX_ROWS: usize = 256;

/// One kind of response in one interval.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResponseRow {
    pub trunk: u16,
    pub kind: Kind,
    /// A challenge that was answered, as against a final response.
    pub challenge: bool,
    pub code: u16,
    pub reason: String,
    pub count: u64,
    pub first_seen_ns: u64,
    pub last_seen_ns: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct ResponseKey {
    trunk: TrunkId,
    kind: Kind,
    challenge: bool,
    code: u16,
    reason: PhraseId,
}

#[derive(Clone, Debug)]
struct ResponseSlot {
    key: ResponseKey,
    /// In this interval, as are the times.
    count: u64,
    first: Time,
    last: Time,
}

/// A response to be counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct CountedResponse {
    pub(super) trunk: TrunkId,
    pub(super) kind: Kind,
    pub(super) challenge: bool,
    pub(super) code: u16,
    pub(super) reason: PhraseId,
    pub(super) at: Time,
}

/// The responses of one worker: the rows of the run, with the counts of the current interval.
#[derive(Clone, Debug, Default)]
pub(super) struct Responses {
    slots: Vec<ResponseSlot>,
    by_key: HashMap<ResponseKey, u32>,
    /// Where the last two keys stand, the latest first.
    recent: [u32; 2],
}

impl Responses {
    pub(super) fn count(&mut self, seen: CountedResponse) {
        let CountedResponse { trunk, kind, challenge, code, reason, at } = seen;
        let slot = self.slot(ResponseKey { trunk, kind, challenge, code, reason }, at);
        if slot.count == 0 {
            (slot.first, slot.last) = (at, at);
        }
        slot.count += 1;
        slot.first = slot.first.min(at);
        slot.last = slot.last.max(at);
    }

    fn slot(&mut self, key: ResponseKey, at: Time) -> &mut ResponseSlot {
        let is_at = |place: &u32| self.slots.get(*place as usize).is_some_and(|slot| slot.key == key);
        let place = self.recent.iter().copied().find(is_at).unwrap_or_else(|| self.look_up(key, at));
        &mut self.slots[place as usize]
    }

    fn look_up(&mut self, key: ResponseKey, at: Time) -> u32 {
        let full = self.slots.len() >= MAX_ROWS && !self.by_key.contains_key(&key);
        let key = if full { ResponseKey { reason: PhraseId::OTHER, ..key } } else { key };
        let slots = &mut self.slots;
        let index = *self.by_key.entry(key).or_insert_with(|| {
            slots.push(ResponseSlot { key, count: 0, first: at, last: at });
            saturating_u32(slots.len() - 1)
        });
        self.recent = [index, self.recent[0]];
        index
    }

    /// The rows counted since the last call; times are relative to `start`.
    pub(super) fn take(&mut self, reasons: &Phrases, start: Time) -> Vec<ResponseRow> {
        let counted = self.slots.iter_mut().filter(|slot| slot.count > 0);
        counted
            .map(|slot| ResponseRow {
                trunk: slot.key.trunk.0,
                kind: slot.key.kind,
                challenge: slot.key.challenge,
                code: slot.key.code,
                reason: reasons.text(slot.key.reason).to_string(),
                count: std::mem::take(&mut slot.count),
                first_seen_ns: slot.first.nanos_since(start),
                last_seen_ns: slot.last.nanos_since(start),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::phrases::OTHER;
    use super::*;

    fn seen(code: u16, reason: PhraseId, ms: u64) -> CountedResponse {
        CountedResponse {
            trunk: TrunkId(0),
            kind: Kind::Initial,
            challenge: false,
            code,
            reason,
            at: Time::from_millis(ms),
        }
    }

    #[test]
    fn rows_beyond_the_limit_fold_and_nothing_is_lost() {
        let mut reasons = Phrases::new();
        let mut table = Responses::default();
        for n in 0..600u16 {
            let reason = reasons.id(format!("r{}", n % 200).as_bytes());
            table.count(seen(400 + n % 3, reason, 1));
        }
        let rows = table.take(&reasons, Time::ORIGIN);
        assert_eq!(rows.iter().map(|r| r.count).sum::<u64>(), 600);
        assert_eq!(rows.len(), MAX_ROWS + 3);
        assert_eq!(rows.iter().filter(|r| r.reason == OTHER).count(), 3);
        assert!(table.take(&reasons, Time::ORIGIN).is_empty());
    }

    #[test]
    fn first_and_last_are_those_of_the_interval() {
        let mut reasons = Phrases::new();
        let ok = reasons.id(b"OK");
        let mut table = Responses::default();
        let start = Time::from_millis(1_000);
        table.count(seen(200, ok, 1_500));
        table.count(seen(200, ok, 1_200));
        let rows = table.take(&reasons, start);
        assert_eq!((rows[0].first_seen_ns, rows[0].last_seen_ns), (200_000_000, 500_000_000));
        table.count(seen(200, ok, 3_000));
        assert_eq!(table.take(&reasons, start)[0].first_seen_ns, 2_000_000_000);
    }
}
