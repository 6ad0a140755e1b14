//! Generated input: any bytes, bent messages, and any list of operations against a plain model.

use crate::trace::{Packet, Phone, Trace, at_ms, config, fault, fault_within};
use proptest::collection::vec;
use proptest::prelude::*;
use regstorm::registrar::{Config, Delay, FaultKind, LimitScope};
use std::collections::BTreeMap;
use std::time::Duration;

/// A registrar with every kind of fault in its way.
fn troubled() -> Trace {
    Trace::with([
        fault(FaultKind::Drop { probability: 0.1 }),
        fault(FaultKind::Delay(Delay::Lognormal { median: Duration::from_millis(20), sigma: 0.5 })),
        fault(FaultKind::Duplicate { probability: 0.1 }),
        fault(FaultKind::Reorder { probability: 0.2, delay: Duration::from_millis(900) }),
        fault(FaultKind::Corrupt { probability: 0.1 }),
        fault_within(FaultKind::Freeze, 2, 3),
        fault_within(FaultKind::Deny { code: 403, reason: "no".into() }, 4, 5),
        fault_within(FaultKind::Refuse { code: 500, reason: "no".into() }, 5, 6),
        fault_within(FaultKind::Realm { challenge: "a".into(), verify: "b".into() }, 6, 7),
        fault_within(FaultKind::Stale, 7, 8),
        fault_within(FaultKind::ChallengeAgain, 8, 9),
        fault(FaultKind::Oscillate { period: Duration::from_secs(3), code: 403, reason: "down".into() }),
        fault(FaultKind::Rate {
            per_second: 0.7,
            burst: 2,
            code: 503,
            reason: "slower".into(),
            retry_after_s: Some(5),
        }),
        fault(FaultKind::Transactions { concurrent: 4, code: 503, reason: "busy".into() }),
        fault(FaultKind::Limit { concurrent: 3, scope: LimitScope::Account, code: 403, reason: "full".into() }),
        fault(FaultKind::Limit { concurrent: 3, scope: LimitScope::Source, code: 403, reason: "full".into() }),
        fault(FaultKind::Limit { concurrent: 3, scope: LimitScope::Trunk, code: 403, reason: "full".into() }),
    ])
}

/// Asserts that every datagram received and every answer made is accounted for, once all replies
/// are out.
fn assert_accounted(t: &Trace) {
    let c = t.registrar.counts();
    let handled = c.registers + c.options + c.other_methods + c.ignored + c.malformed;
    let arrived = c.received + c.requests_duplicated;
    assert_eq!(handled + c.requests_dropped + c.frozen_overflow, arrived, "{c:?}");
    let answers = c.registered + c.options_answered + c.challenges + c.refusals.values().sum::<u64>();
    let answers = answers + c.replies_duplicated;
    assert_eq!(answers, c.replies_sent + c.replies_dropped + c.replies_discarded, "{c:?}");
}

proptest! {
    #[test]
    fn any_bytes_never_panic(datagrams in vec(vec(any::<u8>(), 0..200), 1..20)) {
        let mut t = troubled();
        for (datagram, ms) in datagrams.iter().zip((0..).step_by(400)) {
            t.at(ms);
            t.registrar.receive(t.now, "127.0.0.1:5060".parse::<std::net::SocketAddr>().expect("an address"), datagram);
        }
        t.run(20_000);
        assert_accounted(&t);
    }

    #[test]
    fn bent_requests_never_panic(
        cuts in vec((0usize..700, 0usize..30, "[\\x00-\\x7f]{0,12}"), 1..6),
        wants in "(Contact: [<>*\"a-z:@;=0-9, ]{0,40}\r\n){0,3}(Expires: [0-9]{0,12}\r\n)?",
        with_credentials: bool,
    ) {
        let mut t = Trace::new(config());
        let mut phone = Phone::new("alice").wanting(&wants);
        let mut packet = phone.register();
        if with_credentials {
            t.send(&packet);
            let challenge = t.expect(401);
            packet = phone.answer(&challenge);
            t.send(&packet);
            prop_assert!([200, 400, 423].contains(&t.reply().expect("an answer").code()));
        }
        for (from, len, text) in cuts {
            let mut bytes = packet.text.clone().into_bytes();
            let from = from.min(bytes.len());
            bytes.splice(from..(from + len).min(bytes.len()), text.into_bytes());
            packet.text = String::from_utf8_lossy(&bytes).into_owned();
            t.send(&packet);
            while t.reply().is_some() {}
        }
        assert_accounted(&t);
    }
}

proptest! {
    // Each case is a long trace with real digests; the cases of a few runs are worth more than many
    // in one.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn bindings_are_those_of_a_plain_model(
        operations in vec((0u8..6, 0usize..5, 0u16..3, 5u64..60), 1..80),
        limit in 1u32..6,
    ) {
        let full = fault(FaultKind::Limit { concurrent: limit, scope: LimitScope::Trunk, code: 403, reason: "full".into() });
        let mut t = Trace::new(Config { faults: vec![full], ..config() });
        let mut phones: Vec<Phone> = (0..5).map(|n| Phone::new(&format!("a{n}"))).collect();
        // (agent, port) to the time of expiry, in milliseconds.
        let mut model = BTreeMap::<(usize, u16), u64>::new();
        let mut now = 0;
        let mut peak = 0;
        for (what, agent, port, seconds) in operations {
            now += 500 * u64::from(what);
            model.retain(|_, expires| *expires > now);
            let agents = |model: &BTreeMap<(usize, u16), u64>| {
                model.keys().map(|(agent, _)| *agent).collect::<std::collections::BTreeSet<_>>()
            };
            let before = agents(&model);
            let expires = if what == 5 { 0 } else { seconds };
            phones[agent].wants = format!("Contact: <sip:a@127.0.0.1:{port}>;expires={expires}\r\n");
            let code = t.at(now).handshake(&mut phones[agent]).code();
            if expires == 0 {
                model.remove(&(agent, port));
                prop_assert_eq!(code, 200);
            } else if before.contains(&agent) || before.len() < limit as usize {
                model.insert((agent, port), now + 1_000 * expires);
                prop_assert_eq!(code, 200);
            } else {
                prop_assert_eq!(code, 403);
            }
            let live = agents(&model).len();
            peak = peak.max(live as u64);
            let counts = t.registrar.counts();
            prop_assert_eq!(t.registrar.bindings(t.now), live);
            prop_assert_eq!((counts.bindings, counts.bindings_peak), (live as u64, peak));
            prop_assert_eq!(t.registrar.contacts(), model.len());
            prop_assert_eq!(counts.added - counts.removed - counts.expired - counts.replaced, model.len() as u64);
            // A binding that was refreshed may still be looked for at its earlier time; none
            // expires unseen.
            let (wake, first) = (t.registrar.next_wake(), model.values().min().map(|&expires| at_ms(expires)));
            prop_assert_eq!(wake.is_some(), first.is_some());
            prop_assert!(wake <= first && wake.is_none_or(|wake| wake > t.now), "{wake:?} {first:?}");
        }
        assert_accounted(&t);
    }

    #[test]
    fn the_same_seed_gives_the_same_trace(times in vec((0u64..8_000, 0usize..10), 1..60)) {
        let mut times = times;
        times.sort_unstable();
        let trace = || {
            let mut t = troubled();
            let mut replies = Vec::new();
            for &(ms, n) in &times {
                replies.extend(t.run(ms));
                t.send(&Phone::new(&format!("a{n}")).register());
            }
            replies.extend(t.run(30_000));
            assert_accounted(&t);
            replies
        };
        prop_assert_eq!(trace(), trace());
    }
}

#[test]
fn a_flood_of_one_kind_leaves_nothing_behind() {
    let mut t = Trace::new(config());
    let from = "127.0.0.1:5060".parse().expect("an address");
    for _ in 0..1_000 {
        t.send(&Packet { from, text: "X sip:x SIP/2.0\r\nVia: x\r\n\r\n".into() });
    }
    assert_eq!(t.run(0).len(), 1_000);
    assert_eq!((t.registrar.counts().malformed, t.registrar.next_wake()), (1_000, None));
}
