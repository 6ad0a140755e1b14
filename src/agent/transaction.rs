//! The non-INVITE client transaction (RFC 3261 §17.1.2.2, figure 6).
//!
//! ```text
//!        request sent            1xx
//!   ──────────────────▶ Trying ──────▶ Proceeding
//!                        │  ▲ E: send,    │  ▲ E: send,
//!                        │  └ min(2E,T2)  │  └ T2
//!                        │ F              │ F
//!            2xx–6xx     ▼                ▼
//!   Completed ◀──── (either) ────▶ Terminated (timeout)
//!     │ K = T4, copies absorbed
//!     ▼
//!   Terminated
//! ```
//!
//! Over a stream there is no Timer E, because nothing is sent twice, and K is 0.
//!
//! Completed lives in the agent as the set of answered serials, because a copy of an answer may
//! arrive while the next transaction is already open.

use crate::measure::{Event, RequestEnd};
use crate::sip::Timers;
use crate::vocab::{Kind, Place, RequestFate, RequestKind, Time};
use std::time::Duration;

/// Wait after the `sent`-th transmission (1 is the first) before the next one, Timer E of RFC 3261
/// §17.1.2.2: T1, then doubled up to T2; T2 at once after a provisional response.
pub fn retransmit_delay(sent: u32, provisional: bool, timers: &Timers) -> Duration {
    if provisional {
        return timers.t2;
    }
    let doublings = sent.saturating_sub(1).min(16);
    timers.t1.saturating_mul(1 << doublings).min(timers.t2)
}

/// What a transaction wants at a wake-up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    Nothing,
    /// Timer E.
    Retransmit,
    /// Timer F.
    Timeout,
}

/// An open transaction: Trying or Proceeding.
#[derive(Clone, Copy, Debug)]
pub struct Transaction {
    /// First transmission, or the moment it was refused.
    pub sent: Time,
    retransmit_at: Time,
    transmissions: u32,
    proceeding: bool,
    /// Length of the request.
    pub bytes: u16,
    /// False as long as the safety ceiling has refused every transmission.
    pub on_wire: bool,
}

impl Transaction {
    pub fn start(now: Time, timers: &Timers) -> Self {
        Transaction {
            sent: now,
            retransmit_at: now + retransmit_delay(1, false, timers),
            transmissions: 1,
            proceeding: false,
            bytes: 0,
            on_wire: true,
        }
    }

    /// The same of a request of so many bytes.
    pub fn of_bytes(self, bytes: u16) -> Self {
        Transaction { bytes, ..self }
    }

    /// Like [`start`](Self::start), but the ceiling refused the first transmission: Timer E decides
    /// when to try again.
    pub fn start_unsent(now: Time, timers: &Timers) -> Self {
        Transaction { on_wire: false, ..Transaction::start(now, timers) }
    }

    /// A 1xx arrived. The running Timer E goes on; from its next firing on it is T2.
    pub fn provisional(&mut self) {
        self.proceeding = true;
    }

    pub fn due(&self, now: Time, timers: &Timers) -> Due {
        if now >= self.timeout_at(timers) {
            Due::Timeout
        } else if now >= self.retransmit_at {
            Due::Retransmit
        } else {
            Due::Nothing
        }
    }

    /// Timer E fired: the request goes out again (or the ceiling refused it, which Timer E treats
    /// alike).
    pub fn retransmitted(&mut self, now: Time, timers: &Timers) {
        self.transmissions += 1;
        self.retransmit_at = now + retransmit_delay(self.transmissions, self.proceeding, timers);
    }

    /// It is on its way over a stream: there is no Timer E.
    pub fn sent_reliably(&mut self) {
        self.retransmit_at = Time::NEVER;
    }

    pub fn deadline(&self, timers: &Timers) -> Time {
        self.retransmit_at.min(self.timeout_at(timers))
    }

    /// Whether the request may have arrived, although no answer to it can be used. A request that
    /// was sent once and came back as undeliverable did not; of one sent several times only the
    /// last is known to be lost.
    pub fn may_have_arrived(&self, undeliverable: bool) -> bool {
        self.on_wire && (!undeliverable || self.transmissions > 1)
    }

    /// Whether there are several copies of the request.
    pub fn was_repeated(&self) -> bool {
        self.transmissions > 1
    }

    /// The request has its final answer.
    pub fn answered(&self, kind: Kind, place: Place, events: &mut impl FnMut(Event<'_>)) {
        self.end(kind, place, if self.was_repeated() { RequestFate::Repeated } else { RequestFate::AtOnce }, events);
    }

    /// Timer F ran out. What was never sent was not left unanswered.
    pub fn given_up(&self, kind: Kind, place: Place, events: &mut impl FnMut(Event<'_>)) {
        if self.on_wire {
            self.end(kind, place, RequestFate::Never, events);
        }
    }

    fn end(&self, kind: Kind, place: Place, fate: RequestFate, events: &mut impl FnMut(Event<'_>)) {
        let kind = RequestKind::of(kind, place);
        events(Event::RequestEnded(RequestEnd { kind, fate, bytes: self.bytes.into(), sent: self.sent }));
    }

    /// Whether the second copy of the request is the one that was sent last.
    pub fn was_repeated_once(&self) -> bool {
        self.transmissions == 2
    }

    /// When Timer F fires.
    pub fn timeout_at(&self, timers: &Timers) -> Time {
        self.sent + timers.f()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3261 §17.1.2.2: "500 ms, 1 s, 2 s, 4 s, 4 s, 4 s, etc." with the default values of T1
    /// and T2.
    #[test]
    fn timer_e_follows_the_table() {
        let timers = Timers::default();
        let waits: Vec<u128> = (1..=7).map(|n| retransmit_delay(n, false, &timers).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 4000, 4000, 4000]);
        assert!((1..=7).all(|n| retransmit_delay(n, true, &timers).as_millis() == 4000));
    }

    #[test]
    fn an_unanswered_request_is_sent_eleven_times_in_all() {
        let timers = Timers::default();
        let start = Time::from_secs(100);
        let mut transaction = Transaction::start(start, &timers);
        let mut at = Vec::new();
        loop {
            let now = transaction.deadline(&timers);
            match transaction.due(now, &timers) {
                Due::Timeout => {
                    at.push(now.since(start).as_millis());
                    break;
                }
                Due::Retransmit => {
                    at.push(now.since(start).as_millis());
                    transaction.retransmitted(now, &timers);
                }
                Due::Nothing => unreachable!("the deadline is due"),
            }
        }
        assert_eq!(at, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500, 32000]);
    }

    #[test]
    fn a_provisional_response_slows_timer_e_to_t2() {
        let timers = Timers::default();
        let start = Time::from_secs(1);
        let mut transaction = Transaction::start(start, &timers);
        transaction.provisional();
        let first = transaction.deadline(&timers);
        assert_eq!(first.since(start).as_millis(), 500, "the running timer is not reset");
        transaction.retransmitted(first, &timers);
        assert_eq!(transaction.deadline(&timers).since(first).as_millis(), 4000);
    }
}
