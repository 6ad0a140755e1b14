//! Which attempts are watched, which failures are handed over, and that neither grows without
//! bound.

use super::*;
use crate::measure::event::Clues;
use crate::vocab::{AgentId, Kind, Why};
use proptest::prelude::*;

const START: Time = Time::from_secs(1);
const AGENTS: u32 = 1_000;

fn local_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 40_000))
}

fn registrar() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5_060))
}

fn after(millis: u64) -> Time {
    START + Duration::from_millis(millis)
}

fn flight() -> Flight {
    Flight::new(AGENTS as usize, false)
}

fn end(status: Status, code: u16, at: Time) -> AttemptEnd<'static> {
    AttemptEnd {
        kind: Kind::Initial,
        status,
        code,
        reason: Why::Said(b"why"),
        place: Place::AfterCredentials,
        planned: START,
        sent: Some(START),
        credentials_sent: None,
        at,
        ineffective: false,
        clues: Clues::default(),
    }
}

fn finish(flight: &mut Flight, local: u32, status: Status, code: u16, at: Time) {
    let subject = Subject { agent: AgentId(local), trunk: TrunkId(0), source: 0 };
    flight.ended(local, subject, &end(status, code, at), local_address());
}

/// One whole attempt of a request and its answer.
fn attempt(flight: &mut Flight, local: u32, status: Status, code: u16, at: Time) {
    flight.begin(local, at);
    flight.keep(local, at, Direction::Sent, registrar(), b"REGISTER response=\"0123abcd\"");
    flight.keep(local, at, Direction::Received, registrar(), b"SIP/2.0 403 Forbidden");
    finish(flight, local, status, code, at);
}

#[test]
fn a_failure_brings_its_packets_and_a_success_nothing() {
    let mut flight = flight();
    attempt(&mut flight, 3, Status::Registered, 200, START);
    assert!(flight.take().is_empty());
    attempt(&mut flight, 3, Status::AuthenticationFailed, 403, after(5));
    let [failure] = &flight.take()[..] else { panic!("one failure") };
    assert_eq!((failure.agent, failure.number, failure.code), (AgentId(3), 2, 403));
    assert_eq!(failure.packets[0].bytes, b"REGISTER response=\"********\"");
    assert_eq!((failure.packets[0].local, failure.packets[0].remote), (local_address(), registrar()));
    assert_eq!(failure.packets[1].direction, Direction::Received);
    assert!(flight.take().is_empty(), "each once");
    assert!(!flight.watches(3));
}

#[test]
fn secrets_are_kept_when_they_are_asked_for() {
    let mut flight = Flight::new(1, true);
    attempt(&mut flight, 0, Status::AuthenticationFailed, 403, START);
    assert_eq!(flight.take()[0].packets[0].bytes, b"REGISTER response=\"0123abcd\"");
}

#[test]
fn healthy_attempts_use_the_same_buffers_again() {
    let mut flight = flight();
    let mut buffers = Vec::new();
    for round in 0..3 {
        for local in 0..AGENTS {
            attempt(&mut flight, local, Status::Registered, 200, after(round * 1_000_000 + u64::from(local) * 100));
        }
        let sizes: Vec<_> = flight.slots.iter().map(|slot| (slot.bytes.capacity(), slot.packets.capacity())).collect();
        buffers.push((sizes, flight.free.capacity()));
    }
    assert!(buffers[0].0[0].0 > 0, "something was watched");
    assert!(buffers[0] == buffers[1] && buffers[1] == buffers[2], "grown after the first round");
}

#[test]
fn shed_arrivals_and_abandoned_attempts_are_no_failures() {
    let mut flight = flight();
    flight.begin(0, START);
    flight.keep(0, START, Direction::Sent, registrar(), b"REGISTER");
    let subject = Subject { agent: AgentId(0), trunk: TrunkId(0), source: 0 };
    flight.ended(0, subject, &AttemptEnd { sent: None, ..end(Status::Shed, 0, START) }, local_address());
    assert!(flight.watches(0), "the attempt that is open stays watched");
    finish(&mut flight, 0, Status::Abandoned, 0, START);
    assert!(!flight.watches(0) && flight.take().is_empty());
}

#[test]
fn the_budget_bounds_what_is_watched_and_the_failing_have_their_own() {
    let mut flight = flight();
    let watched = |flight: &mut Flight, agents: std::ops::Range<u32>, at: Time| {
        let mut count = 0;
        for local in agents {
            flight.begin(local, at);
            count += u32::from(flight.watches(local));
            finish(flight, local, Status::Registered, 200, at);
        }
        count
    };
    assert_eq!(watched(&mut flight, 0..AGENTS, START), HEALTHY_PER_WINDOW);
    assert_eq!(watched(&mut flight, 0..AGENTS, after(99)), 0);
    for local in 0..10 {
        finish(&mut flight, local, Status::AuthenticationFailed, 403, after(99));
    }
    assert_eq!(watched(&mut flight, 0..10, after(99)), 10, "whoever failed before");
    assert_eq!(watched(&mut flight, 0..10, after(99)), 0, "a 2xx ends the suspicion");
    assert_eq!(watched(&mut flight, 0..AGENTS, after(100)), HEALTHY_PER_WINDOW);
}

#[test]
fn timeouts_keep_their_slots_and_quick_refusals_share_the_rest() {
    let mut flight = flight();
    for local in 0..AGENTS {
        // One window each: the budget is not what is tested.
        flight.begin(local, after(u64::from(local) * 100));
    }
    let watched: Vec<u32> = (0..AGENTS).filter(|&local| flight.watches(local)).collect();
    let expected: Vec<u32> = (0..HELD as u32).chain(AGENTS - RING as u32..AGENTS).collect();
    assert_eq!(watched, expected);
    let late = after(1_000_000);
    attempt(&mut flight, 500, Status::AuthenticationFailed, 403, late);
    finish(&mut flight, 0, Status::RequestTimeout, 0, late);
    let codes: Vec<u16> = flight.take().iter().map(|failure| failure.code).collect();
    assert_eq!(codes, [403, 0]);
}

#[test]
fn a_slot_has_room_for_so_much_and_says_what_it_left_out() {
    let mut flight = flight();
    flight.begin(0, START);
    for _ in 0..SLOT_PACKETS + 3 {
        flight.keep(0, START, Direction::Sent, registrar(), b"x");
    }
    finish(&mut flight, 0, Status::RequestTimeout, 0, START);
    flight.begin(1, START);
    flight.keep(1, START, Direction::Sent, registrar(), &[0; SLOT_BYTES]);
    flight.keep(1, START, Direction::Sent, registrar(), b"x");
    finish(&mut flight, 1, Status::RequestTimeout, 0, START);
    let kept: Vec<_> = flight.take().iter().map(|failure| (failure.packets.len(), failure.left_out)).collect();
    assert_eq!(kept, [(SLOT_PACKETS, 3), (1, 1)]);
}

#[test]
fn ten_of_a_group_at_once_and_few_later() {
    let mut flight = flight();
    let mut kept = Vec::new();
    // A day of one failure per second.
    for second in 0..86_400 {
        attempt(&mut flight, 7, Status::AuthenticationFailed, 403, after(second * 1_000));
        kept.extend(flight.take().into_iter().map(|_| second));
    }
    assert_eq!(kept[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(kept[10..], [18, 36, 72, 144, 288, 576, 1_152, 2_304, 4_608, 9_216, 18_432, 36_864, 73_728]);
}

#[test]
fn a_run_of_many_troubles_stays_within_its_room_and_keeps_some_for_the_next() {
    let mut flight = flight();
    let mut times = (0..).map(|n| after(n * 100));
    let mut fail = |code: u16| {
        let at = times.next().expect("endless");
        flight.begin(0, at);
        flight.keep(0, at, Direction::Sent, registrar(), &[0; SLOT_BYTES]);
        finish(&mut flight, 0, Status::RegistrationRejected, code, at);
        flight.take().len()
    };
    let common: usize = (300..320).map(|code| (0..FIRST_OF_GROUP).map(|_| fail(code)).sum::<usize>()).sum();
    assert!(common * SLOT_BYTES > ROOM / 4 && common < 20 * FIRST_OF_GROUP as usize, "{common} attempts");
    assert_eq!((0..SURELY).map(|_| fail(499)).sum::<usize>(), SURELY as usize, "a new trouble finds room");
    assert_eq!(fail(499), 0, "but not for long");
    let rest: usize = (500..700).map(&mut fail).sum();
    assert!((common + rest) * SLOT_BYTES <= ROOM, "{common} and {rest} attempts");
    assert_eq!(fail(600), 0, "all spent");
}

proptest! {
    /// Whatever happens: no more slots than there are, no more bytes than the room, and the tables
    /// agree.
    #[test]
    fn nothing_grows_without_bound(
        steps in prop::collection::vec((0..400u32, 0..4u8, 300..700u16, 0..3_000usize, 0..200u64), 1..2_000),
    ) {
        let mut flight = flight();
        let mut now = START;
        let mut handed_over = 0;
        for (local, what, code, bytes, wait) in steps {
            now += Duration::from_millis(wait);
            match what {
                0 => flight.begin(local, now),
                1 | 2 => flight.keep(local, now, Direction::Sent, registrar(), &vec![b'x'; bytes]),
                _ => finish(&mut flight, local, Status::RegistrationRejected, code, now),
            }
            for (position, slot) in flight.slots.iter().enumerate() {
                prop_assert!(slot.bytes.len() <= SLOT_BYTES && slot.packets.len() <= SLOT_PACKETS);
                prop_assert!(slot.local.is_none_or(|local| usize::from(flight.slot_of[local as usize]) == position));
            }
            let size = |failure: &FailedAttempt| failure.packets.iter().map(|p| p.bytes.len()).sum::<usize>();
            handed_over += flight.take().iter().map(size).sum::<usize>();
        }
        prop_assert!(handed_over <= ROOM);
        let watched = flight.slot_of.iter().filter(|&&slot| slot != NO_SLOT).count();
        let taken = flight.slots.iter().filter(|slot| slot.local.is_some()).count();
        prop_assert_eq!(watched, taken);
        prop_assert_eq!(flight.free.len() + flight.slots[..HELD].iter().filter(|s| s.local.is_some()).count(), HELD);
    }
}
