//! Attempts as the phones lived them, out of captures made by hand.

use super::packets::*;
use super::{loops, observe, statuses};
use proptest::prelude::*;
use regstorm::record::Results;
use regstorm::vocab::{Class, Kind, Place};

type Messages = Vec<(u64, bool, Vec<u8>)>;

fn results(messages: &Messages) -> Results {
    observe(&conversation(Link::Ethernet, messages)).results
}

fn kinds(results: &Results) -> [u64; 4] {
    Kind::ALL.map(|kind| results.totals.sums.started[kind.index()])
}

fn forbidden(register: &Register<'_>) -> Vec<u8> {
    register.answer(403, "Forbidden", "")
}

#[test]
fn a_handshake_is_one_attempt() {
    let results = results(&handshake("alice", 1, 0, accepted));
    assert_eq!(statuses(&results), [("registered", 1)]);
    assert_eq!((results.totals.sums.register_requests, kinds(&results)), (2, [1, 0, 0, 0]));
    let trunk = &results.header.trunks[0];
    assert_eq!(
        (trunk.id.as_str(), trunk.target.as_str(), trunk.expires_s),
        ("example.test", "198.51.100.5:5060", 3600)
    );
    assert_eq!(
        (results.header.users.as_slice(), results.header.call_ids.as_slice()),
        (&["alice".to_owned()][..], &["alice".to_owned()][..])
    );
    assert_eq!(results.totals.agents_registered_at_end, 1);
    let offer = &results.evidence.offers[0];
    assert_eq!((offer.realm.as_str(), offer.answered.is_some(), offer.stale), ("example.test", true, false));
    let grant = &results.evidence.grants[0];
    assert_eq!((grant.asked_s, grant.granted_s, grant.shortened), (3600, (3600, 3600), false));
    assert!(
        !grant.echo.contact_rewritten
            && !grant.echo.contact_absent
            && !grant.echo.via_rewritten
            && !grant.echo.translated
    );
}

#[test]
fn three_refusals_after_credentials_are_a_loop() {
    let rounds = |n: u64| -> Messages {
        (0..n).flat_map(|round| handshake("agent_jdoe", 1 + 2 * round as u32, round * 60 * SECOND, forbidden)).collect()
    };
    assert_eq!(loops(&results(&rounds(2))), []);
    let results = results(&rounds(5));
    assert_eq!(loops(&results), [("agent_jdoe", "403-after-auth", 5)]);
    assert_eq!((statuses(&results), kinds(&results)), (vec![("authentication_failed", 5)], [1, 0, 4, 0]));
    assert_eq!(results.loops[0].place, Place::AfterCredentials);
}

#[test]
fn refusals_without_a_challenge_stand_before_credentials() {
    let round = |n: u32| {
        let register = Register::of("alice", n);
        let at = u64::from(n) * 30 * SECOND;
        [(at, true, register.bytes()), (at + MS, false, forbidden(&register))]
    };
    let results = results(&(1..=3).flat_map(round).collect());
    assert_eq!(loops(&results), [("alice", "403-unchallenged", 3)]);
    assert_eq!(statuses(&results), [("registration_rejected", 3)]);
}

#[test]
fn a_second_challenge_ends_the_attempt_unless_it_is_stale() {
    let again = |register: &Register<'_>| register.challenge("another");
    let three: Messages =
        (0..3).flat_map(|n| handshake("alice", 1 + 2 * n, u64::from(n) * 30 * SECOND, again)).collect();
    let refused = results(&three);
    assert_eq!((loops(&refused), statuses(&refused)), (vec![("alice", "401", 3)], vec![("authentication_failed", 3)]));

    let mut once = handshake("alice", 1, 0, |register| register.stale("fresh"));
    let third = Register::of("alice", 3).with("fresh");
    once.extend([(20 * MS, true, third.bytes()), (25 * MS, false, third.ok())]);
    let last = results(&once);
    assert_eq!((statuses(&last), last.totals.sums.register_requests), (vec![("registered", 1)], 3));

    let twice = |n: u32| {
        let at = u64::from(n) * 30 * SECOND;
        let mut messages = handshake("alice", 10 * n, at, |register| register.stale("fresh"));
        let third = Register::of("alice", 10 * n + 2).with("fresh");
        messages.extend([(at + 20 * MS, true, third.bytes()), (at + 25 * MS, false, third.stale("fresher"))]);
        messages
    };
    assert_eq!(loops(&results(&(1..=3).flat_map(twice).collect())), [("alice", "stale", 3)]);
}

#[test]
fn a_nonce_from_before_the_attempt_is_its_challenge() {
    let mut messages = handshake("alice", 1, 0, accepted);
    // The refresh reuses the nonce, is challenged again, and that answered.
    let (old, fresh) = (Register::of("alice", 3).with("nonce1"), Register::of("alice", 4).with("nonce3"));
    messages.extend([
        (60 * SECOND, true, old.bytes()),
        (60 * SECOND + MS, false, old.challenge("nonce3")),
        (60 * SECOND + 2 * MS, true, fresh.bytes()),
        (60 * SECOND + 3 * MS, false, fresh.ok()),
    ]);
    let results = results(&messages);
    assert_eq!((statuses(&results), kinds(&results)), (vec![("registered", 2)], [1, 1, 0, 0]));
}

#[test]
fn an_unanswered_challenge_is_named() {
    let round = |n: u32| {
        let register = Register::of("alice", n);
        let at = u64::from(n) * 60 * SECOND;
        [(at, true, register.bytes()), (at + MS, false, register.challenge("n"))]
    };
    let results = results(&(1..=4).flat_map(round).collect());
    // The last one may yet have been answered.
    assert_eq!(statuses(&results), [("protocol_error", 3), ("abandoned", 1)]);
    assert_eq!(loops(&results), [("alice", "401", 3)]);
    assert_eq!(results.evidence.outcomes[0].class, Class::Unusable);
    assert_eq!(results.evidence.offers[0].answered, None);
}

#[test]
fn too_brief_is_answered_once() {
    let (short, long) = (Register::of("alice", 1).expires(10), Register::of("alice", 2).expires(60));
    let brief = |register: &Register<'_>| register.answer(423, "Interval Too Brief", "Min-Expires: 60\r\n");
    let messages = vec![
        (0, true, short.bytes()),
        (MS, false, brief(&short)),
        (2 * MS, true, long.bytes()),
        (3 * MS, false, long.ok()),
    ];
    let one = results(&messages);
    assert_eq!((statuses(&one), one.totals.sums.register_requests), (vec![("registered", 1)], 2));
    let again = vec![
        (0, true, short.bytes()),
        (MS, false, brief(&short)),
        (2 * MS, true, long.bytes()),
        (3 * MS, false, long.answer(423, "Interval Too Brief", "Min-Expires: 600\r\n")),
    ];
    assert_eq!(statuses(&results(&again)), [("registration_rejected", 1)]);
}

#[test]
fn silence_and_retransmissions() {
    let register = Register::of("alice", 1);
    let mut messages: Messages =
        [0, 500, 1_500, 3_500].map(|ms| (ms * MS, true, register.bytes())).into_iter().collect();
    let next = Register::of("alice", 2);
    messages.extend([(60 * SECOND, true, next.bytes()), (60 * SECOND + MS, false, next.ok())]);
    let mut late = messages.clone();
    let one = results(&messages);
    assert_eq!((statuses(&one), kinds(&one)), (vec![("registered", 1), ("request_timeout", 1)], [1, 0, 1, 0]));
    assert_eq!(one.totals.sums.retransmissions, 3);

    // An answer after Timer F, and another copy of one.
    late.insert(4, (40 * SECOND, false, register.ok()));
    late.push((60 * SECOND + 30 * MS, false, next.ok()));
    let two = results(&late);
    assert_eq!(statuses(&two), statuses(&one));
    assert_eq!((two.totals.sums.late_responses, two.totals.sums.duplicate_responses), (1, 1));
}

#[test]
fn what_is_open_at_the_end_is_abandoned_or_timed_out() {
    let open = vec![(0, true, Register::of("alice", 1).bytes())];
    assert_eq!(statuses(&results(&open)), [("abandoned", 1)]);
    let mut overdue = open;
    overdue.extend(handshake("bob", 1, 33 * SECOND, accepted));
    assert_eq!(statuses(&results(&overdue)), [("registered", 1), ("request_timeout", 1)]);
}

#[test]
fn removing_a_binding_is_no_attempt() {
    let mut messages = handshake("alice", 1, 0, accepted);
    messages.extend(handshake("alice", 3, 60 * SECOND, accepted).into_iter().map(|(at, out, bytes)| {
        let text = String::from_utf8(bytes)
            .expect("text")
            .replace("Expires: 3600", "Expires: 0")
            .replace("expires=3600", "expires=0");
        (at, out, text.into_bytes())
    }));
    let results = results(&messages);
    assert_eq!((statuses(&results), kinds(&results)), (vec![("registered", 1)], [1, 0, 0, 1]));
    assert_eq!((results.totals.sums.unregistered, results.totals.agents_registered_at_end), (1, 0));
}

#[test]
fn a_lifetime_runs_out() {
    let brief = |register: &Register<'_>| {
        register.answer(200, "OK", &format!("Contact: <sip:alice@{}>;expires=20\r\n", phone()))
    };
    let mut messages = handshake("alice", 1, 0, brief);
    messages.extend(handshake("bob", 1, 40 * SECOND, accepted));
    let results = results(&messages);
    assert_eq!(results.totals.agents_registered_at_end, 1);
    let grant = &results.evidence.grants[0];
    assert_eq!((grant.shortened, grant.granted_s), (true, (20, 20)));
    // A quarter of a minute of one phone and none of the other.
    let registered_s = results.totals.sums.registered_agent_ns / u128::from(SECOND);
    assert!((19..=21).contains(&registered_s), "{registered_s}");
}

#[test]
fn one_user_on_two_telephones_at_once_is_two() {
    let desk = Register::of("alice", 1);
    let soft = Register { call_id: "other", address: "192.0.2.77:5060".parse().expect("an address"), ..desk };
    let messages =
        vec![(0, true, desk.bytes()), (MS, true, soft.bytes()), (5 * MS, false, desk.ok()), (6 * MS, false, soft.ok())];
    let results = results(&messages);
    assert_eq!(
        (statuses(&results), results.header.users.as_slice()),
        (vec![("registered", 2)], &["alice".to_owned(), "alice".to_owned()][..])
    );
}

#[test]
fn a_rewritten_contact_and_a_translator_are_seen() {
    let register = Register::of("alice", 1);
    let text = String::from_utf8(register.ok()).expect("text");
    let text = text.replace("Contact: <sip:alice@192.0.2.10:5080>", "Contact: <sip:alice@203.0.113.9:1024>");
    let text = text.replacen(";branch=", ";received=203.0.113.9;rport=1024;branch=", 1);
    let results = results(&vec![(0, true, register.bytes()), (MS, false, text.into_bytes())]);
    let echo = results.evidence.grants[0].echo;
    assert!(echo.contact_rewritten && echo.translated && !echo.via_rewritten, "{echo:?}");
}

#[test]
fn registrars_and_domains_are_trunks() {
    let to = |registrar: &str, user: &str| {
        let register = Register::of(user, 1);
        let registrar = registrar.parse().expect("an address");
        [
            (START_NS, Link::Ethernet.frame(&ip_udp(phone(), registrar, &register.bytes()))),
            (START_NS + MS, Link::Ethernet.frame(&ip_udp(registrar, phone(), &register.ok()))),
        ]
    };
    let frames: Frames = [to("198.51.100.5:5060", "a"), to("198.51.100.6:5060", "b")].concat();
    let results = observe(&frames).results;
    let ids: Vec<_> = results.header.trunks.iter().map(|trunk| trunk.id.as_str()).collect();
    assert_eq!(ids, ["example.test@198.51.100.5:5060", "example.test@198.51.100.6:5060"]);
    assert_eq!(results.header.agent_trunks, [0, 1]);
}

#[test]
fn frames_out_of_order_are_put_in_order() {
    let mut frames = conversation(Link::Ethernet, &handshake("alice", 1, 0, accepted));
    frames.swap(0, 1);
    frames.swap(2, 3);
    let observation = observe(&frames);
    assert_eq!(statuses(&observation.results), [("registered", 1)]);
    assert_eq!(observation.remarks, [""; 0]);
}

#[test]
fn what_the_capture_lacks_is_said() {
    let one_way = conversation(Link::Ethernet, &[(0, true, Register::of("alice", 1).bytes())]);
    assert_eq!(observe(&one_way).remarks, ["no answer at all is in the capture: it may show one direction only"]);
    let mut messages = handshake("alice", 1, 0, accepted);
    messages.insert(0, (0, false, Register::of("bob", 7).ok()));
    let observation = observe(&conversation(Link::Ethernet, &messages));
    assert_eq!(observation.remarks, ["1 answers belong to requests that are not in the capture"]);
    let file = pcap(147, &conversation(Link::Raw, &messages), false, true);
    let error = regstorm::observe::of_capture(file.as_slice(), "x").expect_err("nothing in it").to_string();
    assert_eq!(error, "there is no REGISTER in it; 5 frames are of a link layer that is not known (LINKTYPE 147)");
}

#[test]
fn a_long_capture_is_laid_out_in_longer_intervals() {
    let mut messages = handshake("alice", 1, 0, accepted);
    messages.extend(handshake("bob", 1, 40 * 86_400 * SECOND, accepted));
    let one = results(&messages);
    assert_eq!((one.header.interval_ns / SECOND, statuses(&one)), (3_600, vec![("registered", 2)]));
    messages.extend(handshake("carol", 1, 500 * 86_400 * SECOND, accepted));
    let file = pcap(1, &conversation(Link::Ethernet, &messages), false, true);
    let error = regstorm::observe::of_capture(file.as_slice(), "x").expect_err("too long").to_string();
    assert!(error.contains("span 500 days, from 2026-05-14T10:22:15Z"), "{error}");
}

/// Any message of a small world: few users, calls and numbers, so that they meet.
fn any_message() -> impl Strategy<Value = (u64, bool, Vec<u8>)> {
    let register = (0usize..2, 0usize..2, 1u32..5, 0usize..4, prop::sample::select(vec![0u32, 10, 60, 3600]));
    (0u64..200_000, register, 0usize..9).prop_map(|(ms, (user, call, cseq, nonce, expires), what)| {
        let nonce = [None, Some("n1"), Some("n2"), Some("")][nonce];
        let address = [phone(), "192.0.2.77:5060".parse().expect("an address")][call];
        let (user, call_id) = (["alice", "bob"][user], ["call-1", "call-2"][call]);
        let register = Register { nonce, expires, address, call_id, ..Register::of(user, cseq) };
        let bytes = match what {
            0..=3 => register.bytes(),
            4 => register.challenge("n1"),
            5 => register.stale("n2"),
            6 => register.answer(423, "Interval Too Brief", "Min-Expires: 60\r\n"),
            7 => forbidden(&register),
            _ => register.ok(),
        };
        (ms * MS, what <= 3, bytes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever was captured, every attempt begins once and ends in one status: reading the results
    /// checks the books.
    #[test]
    fn the_books_balance_whatever_is_seen(messages in prop::collection::vec(any_message(), 1..40)) {
        let asks = messages.iter().any(|(_, out, _)| *out);
        let file = pcap(1, &conversation(Link::Ethernet, &messages), false, true);
        match regstorm::observe::of_capture(file.as_slice(), "any") {
            Ok(observation) => {
                let totals = &observation.results.totals;
                let ended: u64 = totals.sums.status.iter().sum();
                let [initial, refresh, retry, _] = totals.sums.started;
                prop_assert_eq!(ended, initial + refresh + retry);
                prop_assert_eq!(observation.results.agents.iter().map(|a| u64::from(a.attempts)).sum::<u64>(), ended);
                prop_assert!(!regstorm::diagnose::diagnosis::Diagnosis::of(&observation.results).findings.iter().any(|f| f.id.is_empty()));
            }
            Err(error) => prop_assert!(!asks, "{}", error),
        }
    }
}
