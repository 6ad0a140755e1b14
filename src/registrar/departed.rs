//! Removals of the last half minute: a copy of an older REGISTER that is still on its way must not
//! bind again what its sender has removed since.
//!
//! While a binding lives, its Call-ID and CSeq tell an older request from a newer one (RFC 3261
//! §10.3 step 7). With the binding that memory would go, and there is no transaction layer here to
//! absorb copies (§17.2.2); so it is kept for as long as a server transaction would have absorbed
//! them, Timer J.

use super::fault::fnv1a;
use crate::sip::Timers;
use crate::vocab::Time;
use std::collections::{HashMap, VecDeque};

/// Who removed bindings lately, and with which CSeq.
#[derive(Debug, Default)]
pub(super) struct Departed {
    /// By [`name`]; only looked up, never walked.
    removals: HashMap<u64, Removal>,
    /// In the order in which they are to be forgotten.
    until: VecDeque<(Time, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Removal {
    cseq: u32,
    until: Time,
}

impl Departed {
    /// A request removed, or found nothing to remove any more.
    pub(super) fn note(&mut self, now: Time, key: &[u8], call_id: &[u8], cseq: u32) {
        let (name, until) = (name(key, call_id), now + Timers::DEFAULT.j());
        let removal = self.removals.entry(name).or_insert(Removal { cseq, until });
        *removal = Removal { cseq: removal.cseq.max(cseq), until };
        self.until.push_back((until, name));
    }

    /// Whether a request is older than a removal by the same sender.
    pub(super) fn outdates(&self, key: &[u8], call_id: &[u8], cseq: u32) -> bool {
        !self.removals.is_empty() && self.removals.get(&name(key, call_id)).is_some_and(|removal| cseq < removal.cseq)
    }

    /// Forgets what no copy can follow any more.
    pub(super) fn forget(&mut self, now: Time) {
        while let Some(&(_, name)) = self.until.front().filter(|(until, _)| *until <= now) {
            self.until.pop_front();
            // Another removal of the same sender may be younger.
            if self.removals.get(&name).is_some_and(|removal| removal.until <= now) {
                self.removals.remove(&name);
            }
        }
    }
}

/// Address of record and Call-ID as one number.
fn name(key: &[u8], call_id: &[u8]) -> u64 {
    fnv1a(key) ^ fnv1a(call_id).rotate_left(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_older_request_of_the_same_call_is_outdated_for_half_a_minute() {
        let mut departed = Departed::default();
        departed.note(Time::from_secs(1), b"a@x", b"call", 7);
        assert!(departed.outdates(b"a@x", b"call", 6));
        assert!(!departed.outdates(b"a@x", b"call", 7) && !departed.outdates(b"a@x", b"call", 8));
        assert!(!departed.outdates(b"b@x", b"call", 6) && !departed.outdates(b"a@x", b"other", 6));
        departed.forget(Time::from_millis(32_999));
        assert!(departed.outdates(b"a@x", b"call", 6));
        departed.forget(Time::from_secs(33));
        assert!(!departed.outdates(b"a@x", b"call", 6));
    }

    proptest! {
        #[test]
        fn it_knows_the_highest_cseq_of_half_a_minute(steps in proptest::collection::vec((0u64..20, 0u8..3, 1u32..9), 1..60)) {
            let mut departed = Departed::default();
            let (mut now, mut all) = (1, Vec::new());
            for (wait, who, cseq) in steps {
                now += wait;
                departed.forget(Time::from_secs(now));
                departed.note(Time::from_secs(now), &[who], b"call", cseq);
                all.push((now, who, cseq));
                for who in 0..3 {
                    // A removal renews the memory of those before it.
                    let mut own = all.iter().rev().filter(|(_, other, _)| *other == who);
                    let mut highest = 0;
                    let mut since = now;
                    while let Some((at, _, cseq)) = own.next().filter(|(at, _, _)| at + 32 > since) {
                        (highest, since) = (highest.max(*cseq), *at);
                    }
                    for cseq in 1..9 {
                        prop_assert_eq!(departed.outdates(&[who], b"call", cseq), cseq < highest);
                    }
                }
            }
            departed.forget(Time::from_secs(now + 32));
            prop_assert!(departed.removals.is_empty() && departed.until.is_empty());
        }
    }
}
