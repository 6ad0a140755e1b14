//! Hand-made traces: what each event is counted as.

use super::*;
use crate::measure::Clues;
use crate::vocab::{AgentId, LoopKind, Place, Refusal, Trouble, Why};

const AGENT: Subject = Subject { agent: AgentId(0), trunk: TrunkId(0), source: 0 };
const OTHER: Subject = Subject { agent: AgentId(1), trunk: TrunkId(1), source: 0 };

/// Milliseconds of the run; the clock itself reads five seconds more.
const fn at(ms: u64) -> Time {
    Time::from_millis(5_000 + ms)
}

fn tally() -> Tally {
    Tally::new(TallyConfig {
        trunks: 2,
        agents: 4,
        worker: 0,
        workers: 1,
        interval: Duration::from_secs(10),
        passed: Duration::ZERO,
        warmup: Duration::ZERO,
        start: at(0),
        late: Duration::from_millis(5),
        stall: Duration::from_millis(10),
    })
}

/// An attempt of `kind` that was due at `planned`, left 2 ms later, was challenged after 20 ms,
/// answered at once and ended as told 30 ms after that.
fn attempt(tally: &mut Tally, subject: Subject, kind: Kind, planned: u64, status: Status, code: u16) {
    let sent = at(planned + 2);
    let answered = at(planned + 22);
    tally.event(subject, &Event::Began { kind, planned: at(planned), at: sent });
    tally.event(subject, &Event::Started { at: sent });
    tally.event(subject, &Event::Request { kind });
    tally.event(subject, &Event::Challenged { kind, code: 401, reason: b"Unauthorized", since: sent, at: answered });
    tally.event(subject, &Event::Request { kind });
    tally.event(subject, &Event::Ended(end(kind, planned, status, code)));
}

fn end(kind: Kind, planned: u64, status: Status, code: u16) -> AttemptEnd<'static> {
    AttemptEnd {
        kind,
        status,
        code,
        reason: Why::Said(if code == 200 { b"OK" } else { b"Forbidden" }),
        place: Place::AfterCredentials,
        planned: at(planned),
        sent: Some(at(planned + 2)),
        credentials_sent: Some(at(planned + 22)),
        at: at(planned + 52),
        ineffective: code == 503,
        clues: Clues::default(),
    }
}

fn refusal(kind: LoopKind, code: u16) -> Refusal {
    Refusal { kind, code, place: Place::AfterCredentials }
}

fn shed(planned: u64) -> AttemptEnd<'static> {
    AttemptEnd {
        status: Status::Shed,
        code: 0,
        reason: Why::Trouble(Trouble::Shed),
        place: Place::Unchallenged,
        sent: None,
        credentials_sent: None,
        at: at(planned),
        ..end(Kind::Initial, planned, Status::Shed, 0)
    }
}

/// Phases with values on trunk 0: (phase, count, one of them in ms).
fn phases(interval: &Interval) -> Vec<(Phase, u64, u64)> {
    let slots = Phase::ALL.into_iter().zip(&interval.trunks[0].latency_us);
    slots.filter_map(|(p, h)| h.as_ref().map(|h| (p, h.len(), (h.mean() / 1e3).round() as u64))).collect()
}

#[test]
fn an_initial_success_feeds_four_phases() {
    let mut tally = tally();
    attempt(&mut tally, AGENT, Kind::Initial, 100, Status::Registered, 200);
    let interval = tally.close(at(10_000));
    assert_eq!(
        phases(&interval),
        [
            (Phase::Register, 1, 52),
            (Phase::RegisterService, 1, 50),
            (Phase::Challenge, 1, 20),
            (Phase::Authenticated, 1, 30)
        ]
    );
    let trunk = &interval.trunks[0];
    assert_eq!((trunk.register_requests, trunk.attempts_started(), trunk.attempts_ended()), (2, 1, 1));
    assert_eq!(interval.lag_us.as_ref().map(|lag| (lag.len(), lag.max())), Some((1, 2_000)));
}

#[test]
fn a_refresh_has_its_own_phase_and_a_failed_one_is_a_failure() {
    let mut tally = tally();
    attempt(&mut tally, AGENT, Kind::Refresh, 100, Status::Registered, 200);
    attempt(&mut tally, AGENT, Kind::Refresh, 200, Status::AuthenticationFailed, 403);
    attempt(&mut tally, AGENT, Kind::Retry, 300, Status::Registered, 200);
    let interval = tally.close(at(10_000));
    assert_eq!(
        phases(&interval),
        [
            (Phase::Register, 1, 52),
            (Phase::RegisterService, 1, 50),
            (Phase::RegisterFailed, 1, 52),
            (Phase::Challenge, 3, 20),
            (Phase::Authenticated, 3, 30),
            (Phase::Refresh, 1, 52)
        ]
    );
    assert_eq!(interval.trunks[0].started, [0, 2, 1, 0]);
}

#[test]
fn a_timeout_has_a_duration_and_no_response() {
    let mut tally = tally();
    tally.event(AGENT, &Event::Began { kind: Kind::Initial, planned: at(0), at: at(0) });
    let timeout = AttemptEnd {
        code: 0,
        reason: Why::Trouble(Trouble::Timeout),
        credentials_sent: Some(at(0)),
        at: at(32_000),
        ..end(Kind::Initial, 0, Status::RequestTimeout, 0)
    };
    tally.event(AGENT, &Event::Ended(timeout));
    let interval = tally.close(at(40_000));
    assert_eq!(phases(&interval), [(Phase::RegisterFailed, 1, 32_006)]);
    assert!(interval.responses.is_empty());
    assert_eq!(&*interval.agents[0].last_reason, "timeout");
}

#[test]
fn shed_and_abandoned_attempts_have_no_latency() {
    let mut tally = tally();
    tally.event(AGENT, &Event::Began { kind: Kind::Initial, planned: at(0), at: at(0) });
    // A shed arrival of an agent that is busy does not end what it is busy with.
    tally.event(AGENT, &Event::Ended(shed(50)));
    assert_eq!((tally.in_flight(), tally.imbalances().count()), (1, 0));
    tally.event(AGENT, &Event::Ended(AttemptEnd { code: 0, ..end(Kind::Initial, 0, Status::Abandoned, 0) }));
    let interval = tally.close(at(10_000));
    assert_eq!(phases(&interval), []);
    let trunk = &interval.trunks[0];
    assert_eq!((trunk.status[Status::Shed.index()], trunk.status[Status::Abandoned.index()], trunk.open), (1, 1, 0));
    assert_eq!(trunk.started, [2, 0, 0, 0]);
    assert_eq!(interval.agents[0].attempts, 2);
}

#[test]
fn an_unregister_is_no_attempt() {
    let mut tally = tally();
    let kind = Kind::Unregister;
    tally.event(AGENT, &Event::Request { kind });
    tally.event(AGENT, &Event::Challenged { kind, code: 401, reason: b"Unauthorized", since: at(0), at: at(1) });
    tally.event(
        AGENT,
        &Event::UnregisterEnded { code: 200, reason: Why::Said(b"OK"), ok: true, sent: at(0), at: at(7) },
    );
    tally.event(
        AGENT,
        &Event::UnregisterEnded { code: 0, reason: Why::Trouble(Trouble::Timeout), ok: false, sent: at(0), at: at(7) },
    );
    let interval = tally.close(at(10_000));
    let trunk = &interval.trunks[0];
    assert_eq!((trunk.attempts_started(), trunk.attempts_ended(), trunk.register_requests), (0, 0, 0));
    assert_eq!((trunk.started[3], trunk.unregistered, trunk.unregister_failed), (2, 1, 1));
    assert_eq!(phases(&interval), [(Phase::Unregister, 1, 7)]);
    let rows: Vec<_> = interval.responses.iter().map(|r| (r.kind, r.challenge, r.code, r.count)).collect();
    assert_eq!(rows, [(kind, true, 401, 1), (kind, false, 200, 1)]);
}

#[test]
fn values_out_of_range_are_counted_and_a_zero_counts_as_one() {
    let mut tally = tally();
    let phase = Phase::Options;
    tally.event(AGENT, &Event::Latency { phase, micros: 130_000_001 });
    tally.event(AGENT, &Event::Latency { phase, micros: 0 });
    let trunk = &tally.close(at(10_000)).trunks[0];
    let histogram = trunk.latency_us[phase.index()].as_ref().expect("a value was recorded");
    assert_eq!((trunk.out_of_range, histogram.len(), histogram.min()), (1, 1, 1));
}

#[test]
fn lateness_and_stalls_are_told_from_their_limits_on() {
    let mut tally = tally();
    for (agent, lag) in [(0, 5), (1, 6)] {
        let subject = Subject { agent: AgentId(agent), trunk: TrunkId(0), source: 0 };
        tally.event(subject, &Event::Began { kind: Kind::Refresh, planned: at(10), at: at(10 + lag) });
    }
    tally.turn(Duration::from_millis(10));
    tally.turn(Duration::from_millis(11));
    tally.stray();
    tally.socket_drops(3);
    tally.send_errors(4);
    tally.reads_refused(5);
    [true, true, false].into_iter().for_each(|answered| tally.asked(answered));
    tally.stamp_refused();
    let counts = tally.close(at(10_000)).generator;
    let expected = GeneratorCounts {
        arrivals_late: 1,
        arrivals: 2,
        socket_drops: 3,
        send_errors: 4,
        reads_refused: 5,
        loop_stalls: 1,
        stray_datagrams: 1,
        longest_turn_ns: 11_000_000,
        asked_answered: 2,
        asked_refused: 1,
        stamps_refused: 1,
        ..GeneratorCounts::default()
    };
    assert_eq!(counts, expected);
    assert_eq!(tally.close(at(20_000)).generator, GeneratorCounts::default());
}

#[test]
fn whoever_was_held_up_finds_each_binding_to_have_ended_when_it_did() {
    let mut tally = tally();
    tally.event(AGENT, &Event::Arrived { planned: at(1_000) });
    tally.event(AGENT, &Event::Registered { at: at(1_000), until: at(14_000) });
    // The process is stopped from second 9 to second 45; its timers run late.
    let mut held_up = |end: u64| {
        tally.lapse(at(end));
        let trunk = tally.close(at(end)).trunks.remove(0);
        (trunk.registered_agent_ns / 1_000_000, trunk.registered)
    };
    assert_eq!([10_000, 20_000, 30_000, 40_000].map(&mut held_up), [(9_000, 1), (4_000, 0), (0, 0), (0, 0)]);
    tally.event(AGENT, &Event::Lapsed { at: at(14_000) });
    tally.event(AGENT, &Event::Registered { at: at(46_000), until: at(60_000) });
    let last = tally.close(at(50_000)).trunks.remove(0);
    assert_eq!((last.registered_agent_ns / 1_000_000, last.registered), (4_000, 1));
}

#[test]
fn availability_is_the_binding_and_not_the_outcome() {
    let mut tally = tally();
    tally.event(AGENT, &Event::Arrived { planned: at(1_000) });
    tally.event(AGENT, &Event::Registered { at: at(1_500), until: at(5_500) });
    // A renewal changes nothing; a failed refresh neither.
    tally.event(AGENT, &Event::Registered { at: at(4_500), until: at(8_500) });
    attempt(&mut tally, AGENT, Kind::Refresh, 7_000, Status::ServiceUnavailable, 503);
    // The timer that ends the binding runs late.
    tally.event(AGENT, &Event::Lapsed { at: at(8_900) });
    let first = tally.close(at(10_000));
    assert_eq!(first.trunks[0].planned_agent_ns, 9_000_000_000);
    assert_eq!(first.trunks[0].registered_agent_ns, 7_000_000_000);
    assert_eq!((first.trunks[0].planned, first.trunks[0].registered), (1, 0));
    assert_eq!(first.trunks[0].ineffective, 1);

    tally.event(AGENT, &Event::Registered { at: at(12_000), until: at(60_000) });
    tally.event(AGENT, &Event::Unregistered { at: at(13_000) });
    tally.event(AGENT, &Event::Retired { at: at(12_900) });
    let second = tally.close(at(20_000));
    assert_eq!(second.trunks[0].planned_agent_ns, 2_900_000_000);
    assert_eq!(second.trunks[0].registered_agent_ns, 1_000_000_000);
    assert_eq!(second.agents[0].first_registered_ns, Some(1_500_000_000));
    assert_eq!(second.agents[0].last_change_ns, 13_000_000_000);
}

#[test]
fn a_binding_renewed_too_late_was_down_in_between() {
    let mut tally = tally();
    tally.event(AGENT, &Event::Registered { at: at(0), until: at(2_000) });
    tally.event(AGENT, &Event::Registered { at: at(3_000), until: at(60_000) });
    assert_eq!(tally.close(at(10_000)).trunks[0].registered_agent_ns, 9_000_000_000);
}

#[test]
fn a_second_arrival_is_not_planned_twice() {
    let mut tally = tally();
    tally.event(AGENT, &Event::Arrived { planned: at(0) });
    tally.event(AGENT, &Event::Arrived { planned: at(4_000) });
    tally.event(OTHER, &Event::Arrived { planned: at(9_000) });
    assert_eq!(tally.planned(), 2);
    let interval = tally.close(at(10_000));
    let planned: Vec<_> = interval.trunks.iter().map(|t| t.planned_agent_ns / 1_000_000_000).collect();
    assert_eq!(planned, [10, 1]);
}

#[test]
fn loops_are_rows_of_their_own() {
    let mut tally = tally();
    for n in 0..4 {
        attempt(&mut tally, AGENT, Kind::Retry, n * 1_000, Status::AuthenticationFailed, 403);
        let refusal = refusal(LoopKind::ForbiddenAfterAuth, 403);
        match n {
            2 => tally.event(AGENT, &Event::LoopStarted { refusal, first_seen: at(52), attempts: 3 }),
            3 => tally.event(AGENT, &Event::LoopGrew),
            _ => {}
        }
    }
    let first = tally.close(at(10_000));
    assert_eq!((first.trunks[0].loop_attempts, first.trunks[0].agents_began_looping), (4, 1));
    assert_eq!(first.agents[0].loop_kind, Some(LoopKind::ForbiddenAfterAuth));
    let row = &first.loops[0];
    assert_eq!((row.number, row.attempts, row.code, row.reason.as_str()), (0, 4, 403, "Forbidden"));
    assert_eq!((row.first_seen_ns, row.last_seen_ns), (52_000_000, 3_052_000_000));

    // It goes on, ends, and another begins, all within one interval: both rows are handed over.
    tally.event(AGENT, &Event::LoopGrew);
    tally.event(AGENT, &Event::LoopEnded);
    let refusal = refusal(LoopKind::ServerError, 503);
    tally.event(AGENT, &Event::LoopStarted { refusal, first_seen: at(11_000), attempts: 3 });
    let second = tally.close(at(20_000));
    let rows: Vec<_> = second.loops.iter().map(|row| (row.number, row.kind, row.attempts)).collect();
    assert_eq!(rows, [(0, LoopKind::ForbiddenAfterAuth, 5), (1, LoopKind::ServerError, 3)]);
    assert_eq!((second.trunks[0].loop_attempts, second.trunks[0].agents_began_looping), (4, 0));
    assert!(tally.close(at(30_000)).loops.is_empty());
}

#[test]
fn only_changed_agents_are_handed_over() {
    let mut tally = tally();
    attempt(&mut tally, AGENT, Kind::Initial, 0, Status::Registered, 200);
    assert_eq!(tally.close(at(10_000)).agents.len(), 1);
    tally.event(OTHER, &Event::Began { kind: Kind::Initial, planned: at(10_000), at: at(10_000) });
    let rows = tally.close(at(20_000)).agents;
    assert_eq!(rows.iter().map(|row| (row.agent, row.trunk, row.open)).collect::<Vec<_>>(), [(1, 1, true)]);
}

#[test]
fn rows_leave_in_pieces_as_they_were_when_their_interval_ended() {
    let mut tally = tally();
    let third = Subject { agent: AgentId(2), ..AGENT };
    for subject in [AGENT, OTHER, third] {
        attempt(&mut tally, subject, Kind::Initial, 0, Status::AuthenticationFailed, 403);
    }
    let forbidden = refusal(LoopKind::ForbiddenAfterAuth, 403);
    tally.event(third, &Event::LoopStarted { refusal: forbidden, first_seen: at(52), attempts: 1 });

    let mut interval = tally.cut(at(10_000));
    assert!(!tally.hand_over(&mut interval, 1));
    // Of the next interval: the first agent's row has left, the others' have not.
    for subject in [AGENT, third] {
        attempt(&mut tally, subject, Kind::Retry, 10_000, Status::Registered, 200);
    }
    tally.event(third, &Event::LoopGrew);
    let again = refusal(LoopKind::ServerError, 503);
    tally.event(third, &Event::LoopStarted { refusal: again, first_seen: at(11_000), attempts: 3 });
    assert!(tally.hand_over(&mut interval, usize::MAX));

    let mut rows: Vec<_> = interval.agents.iter().map(|row| (row.agent, row.attempts, row.status)).collect();
    rows.sort_unstable();
    assert_eq!(rows, [0, 1, 2].map(|agent| (agent, 1, Some(Status::AuthenticationFailed))));
    let kinds: Vec<_> = interval.agents.iter().filter_map(|row| row.loop_kind).collect();
    assert_eq!(kinds, [LoopKind::ForbiddenAfterAuth]);
    let loops = |interval: &Interval| -> Vec<_> {
        interval.loops.iter().map(|row| (row.number, row.kind, row.attempts)).collect()
    };
    assert_eq!(loops(&interval), [(0, LoopKind::ForbiddenAfterAuth, 1)]);

    let next = tally.close(at(20_000));
    let mut rows: Vec<_> = next.agents.iter().map(|row| (row.agent, row.attempts, row.loop_kind)).collect();
    rows.sort_unstable();
    assert_eq!(rows, [(0, 2, None), (2, 2, Some(LoopKind::ServerError))]);
    assert_eq!(loops(&next), [(0, LoopKind::ForbiddenAfterAuth, 2), (1, LoopKind::ServerError, 3)]);
}

#[test]
fn a_first_interval_that_had_begun_before_the_run_is_short() {
    let mut tally = Tally::new(TallyConfig { passed: Duration::from_secs(7), ..tally().config });
    let ends: Vec<_> = (0..3)
        .map(|_| {
            let end = tally.next_close();
            tally.close(end).end_ns / 1_000_000
        })
        .collect();
    assert_eq!(ends, [3_000, 13_000, 23_000]);
    let nearly = Duration::from_nanos(9_999_999_999);
    let tally = Tally::new(TallyConfig { passed: nearly, ..tally.config });
    assert_eq!(tally.next_close(), at(0) + Duration::from_nanos(1));
}

#[test]
fn intervals_end_on_the_grid_and_bear_the_stage_they_began_in() {
    let mut tally = tally();
    assert_eq!(tally.next_close(), at(10_000));
    let load = tally.close(at(10_000));
    assert_eq!(tally.next_close(), at(20_000));
    // The stage may be told before or after the border is closed.
    tally.set_stage(Stage::Drain, at(14_000));
    let cut = tally.close(at(14_000));
    assert_eq!(tally.next_close(), at(20_000));
    let drain = tally.close(at(15_000));
    tally.set_stage(Stage::Unregister, at(15_000));
    let last = tally.close(at(20_000));
    let stages = [load, cut, drain, last].map(|i| (i.index, i.stage, i.start_ns / 1_000_000, i.end_ns / 1_000_000));
    assert_eq!(
        stages,
        [
            (0, Stage::Load, 0, 10_000),
            (1, Stage::Load, 10_000, 14_000),
            (2, Stage::Drain, 14_000, 15_000),
            (3, Stage::Unregister, 15_000, 20_000)
        ]
    );
}

#[test]
fn samples_stand_on_tenths_of_a_second_and_in_their_interval() {
    let mut tally = tally();
    tally.sample(at(99));
    assert_eq!(tally.next_sample(), at(100));
    tally.sample(at(100));
    tally.event(AGENT, &Event::Registered { at: at(150), until: at(60_000) });
    // The turn that crosses the border samples beyond it.
    tally.sample(at(430));
    let ms = |interval: Interval| -> Vec<_> {
        interval.registered_samples.iter().map(|&(ns, agents)| (ns / 1_000_000, agents)).collect()
    };
    assert_eq!(ms(tally.close(at(300))), [(100, 0), (200, 1), (300, 1)]);
    assert_eq!(ms(tally.close(at(500))), [(400, 1), (500, 1)]);
}

#[test]
fn an_attempt_started_twice_does_not_balance() {
    let mut tally = tally();
    let began = Event::Began { kind: Kind::Initial, planned: at(0), at: at(0) };
    tally.event(OTHER, &began);
    assert_eq!(tally.close(at(10_000)).imbalances, []);
    tally.event(OTHER, &began);
    let wrong = Imbalance { interval: 1, trunk: 1, started: 2, finished: 0, open: 1, of_flows: false };
    // It says so at the end of each interval from then on.
    assert_eq!(tally.close(at(20_000)).imbalances, [wrong]);
    assert_eq!(tally.close(at(30_000)).imbalances, [Imbalance { interval: 2, ..wrong }]);
    let told = "the books of trunk 1 do not balance up to interval 1: 2 attempts started, 0 ended, 1 open";
    assert_eq!(wrong.to_string(), told);
}

#[test]
fn an_end_without_a_start_does_not_balance() {
    let mut tally = tally();
    tally.event(AGENT, &Event::Ended(end(Kind::Initial, 0, Status::Registered, 200)));
    let wrong = Imbalance { interval: 0, trunk: 0, started: 0, finished: 1, open: 0, of_flows: false };
    assert_eq!(tally.imbalances().collect::<Vec<_>>(), [wrong]);
}

#[test]
#[should_panic(expected = "belongs to another worker")]
fn an_agent_of_another_stripe_is_refused() {
    let mut tally = Tally::new(TallyConfig { workers: 2, ..tally().config });
    tally.event(OTHER, &Event::Arrived { planned: at(0) });
}

#[test]
fn no_interval_lies_on_both_sides_of_the_warm_ups_end() {
    let borders = |warmup| {
        let mut tally = Tally::new(TallyConfig { warmup: Duration::from_secs(warmup), ..tally().config });
        let mut ends = Vec::new();
        for _ in 0..4 {
            let end = tally.next_close();
            ends.push(tally.close(end).end_ns / 1_000_000_000);
        }
        ends
    };
    assert_eq!(borders(0), [10, 20, 30, 40]);
    assert_eq!(borders(10), [10, 20, 30, 40]);
    assert_eq!(borders(3), [3, 10, 20, 30]);
    assert_eq!(borders(25), [10, 20, 25, 30]);
}
