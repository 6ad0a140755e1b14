//! Every kind of fault, at work and outside its window.

use crate::trace::{Phone, REALM, Reply, Trace, at_ms, fault, fault_within};
use regstorm::registrar::{Delay, Fault, FaultKind, LimitScope};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn limit(concurrent: u32) -> FaultKind {
    FaultKind::Limit { concurrent, scope: LimitScope::Trunk, code: 403, reason: "Registration limit exceeded".into() }
}

fn deny() -> FaultKind {
    FaultKind::Deny { code: 403, reason: "Not on the list".into() }
}

fn refuse() -> FaultKind {
    FaultKind::Refuse { code: 403, reason: "Authentication Failed".into() }
}

fn realm() -> FaultKind {
    FaultKind::Realm { challenge: REALM.into(), verify: format!("{REALM};tenant=acme") }
}

#[track_caller]
fn assert_refused(reply: &Reply, reason: &str) {
    assert_eq!((reply.code(), reply.reason()), (403, reason));
}

mod limits {
    use super::*;

    #[test]
    fn one_more_is_refused_and_refreshes_pass() {
        let mut t = Trace::with([fault(limit(2))]);
        let [mut a, mut b, mut c] = ["a", "b", "c"].map(Phone::new);
        assert_eq!(t.handshake(&mut a).code(), 200);
        assert_eq!(t.handshake(&mut b).code(), 200);
        assert_refused(&t.handshake(&mut c), "Registration limit exceeded");
        assert_eq!(t.at(10_000).handshake(&mut a).code(), 200, "a refresh at the limit");
        let mut restarted = Phone { call_id: "a2".into(), ..Phone::new("a") }.wanting("Contact: <sip:a@h:2>\r\n");
        assert_eq!(t.handshake(&mut restarted).code(), 200, "a second contact of the same address");
        assert_eq!((t.registrar.bindings(t.now), t.registrar.counts().refused(403)), (2, 1));
    }

    #[test]
    fn a_place_comes_free_by_removal_and_by_expiry() {
        let mut t = Trace::with([fault(limit(1))]);
        let [mut a, mut b, mut c] = ["a", "b", "c"].map(Phone::new);
        t.handshake(&mut a);
        assert_eq!(t.handshake(&mut b).code(), 403);
        a.wants = "Contact: *\r\nExpires: 0\r\n".into();
        assert_eq!(t.handshake(&mut a).code(), 200, "un-REGISTER passes at the limit");
        assert_eq!(t.at(1_000).handshake(&mut b).code(), 200);
        assert_eq!(t.at(60_999).handshake(&mut c).code(), 403);
        assert_eq!(t.at(61_000).handshake(&mut c).code(), 200, "b expired");
    }

    fn counted(scope: LimitScope) -> Trace {
        Trace::with([fault(FaultKind::Limit { concurrent: 1, scope, code: 403, reason: "full".into() })])
    }

    #[test]
    fn an_account_is_counted_by_the_name_in_its_credentials() {
        let mut t = counted(LimitScope::Account);
        let phone = |user: &str, account: &str| Phone { auth_user: account.into(), ..Phone::new(user) };
        assert_eq!(t.handshake(&mut phone("a", "one")).code(), 200);
        assert_eq!(t.handshake(&mut phone("b", "one")).code(), 403);
        assert_eq!(t.handshake(&mut phone("c", "two")).code(), 200);
        // What one account bound frees its own place, whoever's credentials it is removed with.
        let mut removed = phone("a", "two").wanting("Contact: *\r\nExpires: 0\r\n");
        assert_eq!(t.at(1_000).handshake(&mut removed).code(), 200);
        assert_eq!(t.handshake(&mut phone("d", "two")).code(), 403);
        assert_eq!(t.handshake(&mut phone("b", "one")).code(), 200);
    }

    #[test]
    fn sources_are_counted_apart() {
        let mut t = counted(LimitScope::Source);
        let phone = |user: &str, from: &str| Phone { from: from.parse().expect("address"), ..Phone::new(user) };
        assert_eq!(t.handshake(&mut phone("a", "127.0.0.1:4000")).code(), 200);
        assert_eq!(t.handshake(&mut phone("b", "127.0.0.1:4001")).code(), 403);
        assert_eq!(t.handshake(&mut phone("b", "127.0.0.2:4001")).code(), 200);
        assert_eq!(t.at(60_000).handshake(&mut phone("c", "127.0.0.1:4000")).code(), 200, "both expired");
    }

    #[test]
    fn a_transaction_is_open_until_its_answer_leaves() {
        let door = FaultKind::Transactions { concurrent: 2, code: 503, reason: "busy".into() };
        let mut t = Trace::with([fault(FaultKind::Delay(Delay::Fixed(20 * MS))), fault(door.clone())]);
        for user in ["a", "b", "c"] {
            t.send(&Phone::new(user).register());
        }
        t.at(20);
        let codes: Vec<u16> = std::iter::from_fn(|| t.reply()).map(|reply| reply.code()).collect();
        assert_eq!(codes, [401, 401, 503]);
        t.send(&Phone::new("c").register()).at(40).expect(401);
        let mut undelayed = Trace::with([fault(door)]);
        for user in ["a", "b", "c"] {
            assert_eq!(undelayed.handshake(&mut Phone::new(user)).code(), 200, "answered at once, none is ever open");
        }
    }

    #[test]
    fn queries_removals_and_brief_lifetimes_are_not_the_limits_business() {
        let mut t = Trace::with([fault(limit(0))]);
        for (wants, code) in [
            ("", 200),
            ("Contact: <sip:a@h>;expires=0\r\n", 200),
            ("Contact: <sip:a@h>;expires=1\r\n", 423),
            ("Contact: <sip:a@h>\r\n", 403),
        ] {
            assert_eq!(t.handshake(&mut Phone::new("a").wanting(wants)).code(), code, "{wants}");
        }
    }

    #[test]
    fn wrong_credentials_never_learn_of_it() {
        let mut t = Trace::with([fault(limit(0))]);
        assert_eq!(t.handshake(&mut Phone { password: "guess".into(), ..Phone::new("a") }).code(), 401);
    }

    #[test]
    fn counts_its_own_domain_only_and_those_from_before_its_window() {
        let mut t = Trace::with([Fault { domain: Some("x.test".into()), ..fault_within(limit(1), 10, 20) }]);
        let phone = |user: &str, domain: &str| Phone { domain: domain.into(), ..Phone::new(user) };
        assert_eq!(t.at(0).handshake(&mut phone("a", "y.test")).code(), 200);
        assert_eq!(t.at(0).handshake(&mut phone("b", "x.test")).code(), 200);
        assert_eq!(t.at(0).handshake(&mut phone("c", "x.test")).code(), 200, "before the window");
        assert_eq!(t.at(10_000).handshake(&mut phone("d", "x.test")).code(), 403);
        assert_eq!(t.at(10_000).handshake(&mut phone("e", "y.test")).code(), 200);
        assert_eq!(t.at(20_000).handshake(&mut phone("d", "x.test")).code(), 200, "after it");
    }
}

#[test]
fn deny_comes_before_any_challenge_and_only_for_its_sources() {
    let mut t = Trace::with([Fault { sources: vec!["127.0.0.3".parse().expect("an address")], ..fault(deny()) }]);
    let mut stranger = Phone { from: "127.0.0.3:5060".parse().expect("an address"), ..Phone::new("a") };
    t.send(&stranger.register());
    let reply = t.expect(403);
    assert_refused(&reply, "Not on the list");
    assert!(reply.headers("WWW-Authenticate").is_empty());
    t.send(&stranger.request("OPTIONS", ""));
    t.expect(403);
    t.send(&stranger.request("ACK", "")).expect_silence();
    assert_eq!(t.handshake(&mut Phone::new("a")).code(), 200);
}

#[test]
fn refuse_comes_after_correct_credentials() {
    let mut t = Trace::with([fault_within(refuse(), 0, 30)]);
    let mut a = Phone::new("a");
    assert_refused(&t.at(0).handshake(&mut a), "Authentication Failed");
    assert_eq!(t.handshake(&mut Phone { password: "guess".into(), ..Phone::new("a") }).code(), 401);
    assert_eq!(t.registrar.bindings(t.now), 0);
    assert_eq!(t.at(30_000).handshake(&mut a).code(), 200);
}

#[test]
fn the_first_gate_in_the_profile_speaks() {
    for (faults, reason) in
        [([limit(0), refuse()], "Registration limit exceeded"), ([refuse(), limit(0)], "Authentication Failed")]
    {
        assert_refused(&Trace::with(faults.map(fault)).handshake(&mut Phone::new("a")), reason);
    }
}

#[test]
fn a_share_hits_the_same_agents_every_time() {
    let share = || Trace::with([Fault { share: 0.3, ..fault(refuse()) }]);
    let users: Vec<String> = (0..200).map(|n| format!("agent{n:05}")).collect();
    let refused = |t: &mut Trace| -> Vec<usize> {
        (0..200).filter(|&n| t.handshake(&mut Phone::new(&users[n])).code() == 403).collect()
    };
    let mut t = share();
    let first = refused(&mut t);
    assert!((40..80).contains(&first.len()), "{}", first.len());
    t.at(1_000);
    assert_eq!(refused(&mut t), first, "again");
    assert_eq!(refused(&mut share()), first, "in another run with the seed");
}

#[test]
fn the_start_moves_the_windows() {
    let mut t = Trace::with([fault_within(deny(), 10, 20)]);
    t.registrar.set_start(at_ms(100_000));
    for (ms, code) in [(10_000, 401), (109_999, 401), (110_000, 403), (120_000, 401)] {
        t.at(ms).send(&Phone::new("a").register());
        t.expect(code);
    }
}

mod realms {
    use super::*;

    #[test]
    fn the_challenged_realm_is_forbidden_and_the_right_one_admitted() {
        let mut t = Trace::with([fault(realm())]);
        let mut a = Phone::new("a");
        t.send(&a.register());
        let challenge = t.expect(401);
        assert!(challenge.text.contains(&format!("realm=\"{REALM}\"")));
        t.send(&a.answer(&challenge));
        assert_refused(&t.expect(403), "Forbidden");
        assert_eq!(t.registrar.bindings(t.now), 0);

        a.force_realm = Some(format!("{REALM};tenant=acme"));
        assert_eq!(t.handshake(&mut a).code(), 200);
        a.password = "guess".into();
        assert_eq!(t.handshake(&mut a).code(), 401);
    }

    #[test]
    fn a_stale_nonce_is_still_stale() {
        let mut t = Trace::with([fault(realm())]);
        let mut a = Phone::new("a");
        t.at(0).send(&a.register());
        let challenge = t.expect(401);
        t.at(301_000).send(&a.answer(&challenge));
        assert!(t.expect(401).is_stale());
    }

    #[test]
    fn outside_its_window_the_realm_is_ours() {
        let mut t = Trace::with([fault_within(realm(), 10, 20)]);
        assert_eq!(t.at(0).handshake(&mut Phone::new("a")).code(), 200);
        assert_eq!(t.at(10_000).handshake(&mut Phone::new("a")).code(), 403);
        assert_eq!(t.at(20_000).handshake(&mut Phone::new("a")).code(), 200);
    }
}

mod delays {
    use super::*;

    #[test]
    fn replies_are_held_back_in_order() {
        let mut t = Trace::with([fault(FaultKind::Delay(Delay::Fixed(20 * MS)))]);
        t.at(0).send(&Phone::new("a").register()).at(5).send(&Phone::new("b").register());
        t.expect_silence();
        assert_eq!(t.registrar.next_wake(), Some(at_ms(20)));
        assert!(t.at(20).expect(401).headers("To")[0].contains("sip:a@"));
        assert_eq!(t.registrar.next_wake(), Some(at_ms(25)));
        assert!(t.at(25).expect(401).headers("To")[0].contains("sip:b@"));
        assert_eq!(t.registrar.counts().replies_delayed, 2);
    }

    #[test]
    fn several_add_up_and_equal_times_keep_their_order() {
        let delay = |ms| fault(FaultKind::Delay(Delay::Fixed(ms * MS)));
        let mut t = Trace::with([delay(20), delay(5)]);
        for n in 0..20 {
            t.send(&Phone::new(&format!("a{n}")).register());
        }
        t.at(24).expect_silence();
        t.at(25);
        for n in 0..20 {
            assert!(t.reply().expect("due").headers("To")[0].contains(&format!("sip:a{n}@")));
        }
    }

    #[test]
    fn a_distribution_spreads_them() {
        let mut t = Trace::with([fault(FaultKind::Delay(Delay::Uniform(5 * MS, 50 * MS)))]);
        for n in 0..200 {
            t.at(0).send(&Phone::new(&format!("a{n}")).register());
        }
        let replies = t.run(1_000);
        assert_eq!(replies.len(), 200);
        assert!(replies.is_sorted_by_key(|reply| reply.at));
        assert!(replies[0].at >= at_ms(5) && replies[199].at <= at_ms(50));
        assert!(replies[100].at.since(at_ms(27)) < 8 * MS && replies[100].at > at_ms(20), "{:?}", replies[100].at);
    }
}

#[test]
fn drop_loses_each_direction_by_its_probability() {
    let mut t = Trace::with([fault(FaultKind::Drop { probability: 0.2 })]);
    let sent = 2_000;
    for n in 0..sent {
        t.send(&Phone::new(&format!("a{n}")).register());
    }
    let answered = t.run(0).len() as u64;
    let counts = t.registrar.counts();
    assert_eq!(counts.registers, sent - counts.requests_dropped);
    assert_eq!(answered, counts.registers - counts.replies_dropped);
    assert!((320..480).contains(&counts.requests_dropped), "{}", counts.requests_dropped);
    assert!((250..390).contains(&counts.replies_dropped), "{}", counts.replies_dropped);

    let mut all = Trace::with([fault_within(FaultKind::Drop { probability: 1.0 }, 0, 1)]);
    all.at(0).send(&Phone::new("a").register()).expect_silence();
    assert_eq!(all.at(1_000).handshake(&mut Phone::new("a")).code(), 200);
}

mod freezes {
    use super::*;

    #[test]
    fn what_arrived_is_handled_at_the_end_in_order() {
        let mut t = Trace::with([fault_within(FaultKind::Freeze, 1, 3)]);
        let mut phones: Vec<Phone> = (0..50).map(|n| Phone::new(&format!("a{n}"))).collect();
        for (n, phone) in phones.iter_mut().enumerate() {
            t.at(1_000 + 30 * n as u64).send(&phone.register()).expect_silence();
        }
        t.at(2_999).expect_silence();
        assert_eq!(t.registrar.next_wake(), Some(at_ms(3_000)));
        let replies = t.at(2_999).run(3_000);
        assert_eq!(replies.len(), 50);
        for (n, reply) in replies.iter().enumerate() {
            assert!(reply.headers("To")[0].contains(&format!("sip:a{n}@")));
            assert_eq!((reply.code(), reply.at), (401, at_ms(3_000)));
        }
        assert_eq!((t.registrar.counts().requests_frozen, t.registrar.counts().challenges), (50, 50));
    }

    #[test]
    fn later_arrivals_queue_behind_the_frozen_ones() {
        let mut t = Trace::with([fault_within(FaultKind::Freeze, 1, 3)]);
        t.at(1_500).send(&Phone::new("first").register());
        t.at(1_600).send(&Phone::new("second").register());
        t.at(3_001).send(&Phone::new("third").register());
        let order: Vec<Reply> = std::iter::from_fn(|| t.reply()).collect();
        assert_eq!(order.len(), 3);
        for (reply, user) in order.iter().zip(["first", "second", "third"]) {
            assert!(reply.headers("To")[0].contains(user), "{}", reply.text);
        }
        t.at(3_002).send(&Phone::new("fourth").register());
        t.expect(401);
    }

    #[test]
    fn replies_held_by_a_delay_do_not_leave_in_the_window() {
        let mut t = Trace::with([
            fault(FaultKind::Delay(Delay::Fixed(200 * MS))),
            fault_within(FaultKind::Freeze, 1, 3),
            fault_within(FaultKind::Freeze, 2, 4),
        ]);
        t.at(900).send(&Phone::new("a").register());
        t.at(3_999).expect_silence();
        t.at(4_000).expect(401);
    }

    #[test]
    fn overlapping_freezes_hold_until_the_last_ends() {
        let mut t = Trace::with([fault_within(FaultKind::Freeze, 1, 3), fault_within(FaultKind::Freeze, 2, 4)]);
        t.at(1_500).send(&Phone::new("a").register());
        t.at(2_500).send(&Phone::new("b").register());
        let replies = t.run(10_000);
        assert_eq!(replies.iter().map(|reply| reply.at).collect::<Vec<_>>(), [at_ms(4_000); 2]);
        assert!(replies[0].headers("To")[0].contains("sip:a@"));
    }

    #[test]
    fn a_share_leaves_the_others_alone() {
        let mut t = Trace::with([Fault { share: 0.5, ..fault_within(FaultKind::Freeze, 0, 2) }]);
        for n in 0..100 {
            t.at(0).send(&Phone::new(&format!("a{n}")).register());
        }
        let at_once = std::iter::from_fn(|| t.reply()).count();
        assert!((30..70).contains(&at_once), "{at_once}");
        assert_eq!(t.run(2_000).len(), 100 - at_once);
    }

    #[test]
    fn without_an_end_nothing_is_answered_and_no_wake_is_asked_for() {
        let mut t = Trace::with([fault(FaultKind::Freeze)]);
        t.at(0).send(&Phone::new("a").register());
        t.at(1_000_000).expect_silence();
        assert_eq!(t.registrar.next_wake(), None);
    }
}

mod rates {
    use super::*;

    fn rate(per_second: f64, burst: u32) -> FaultKind {
        FaultKind::Rate { per_second, burst, code: 503, reason: "Slow Down".into(), retry_after_s: Some(5) }
    }

    #[test]
    fn a_burst_passes_then_so_many_a_second() {
        let mut t = Trace::with([fault(rate(100.0, 20))]);
        let registered = |t: &mut Trace, ms: u64, first: usize| {
            let phones = (first..first + 60).map(|n| Phone::new(&format!("a{n}")));
            phones.filter(|phone| t.at(ms).handshake(&mut phone.clone()).code() == 200).count()
        };
        assert_eq!(registered(&mut t, 0, 0), 20, "the burst");
        assert_eq!(registered(&mut t, 0, 100), 0, "and no more at that moment");
        assert_eq!(registered(&mut t, 100, 200), 10, "a tenth of a second refills ten");
        assert_eq!(registered(&mut t, 10_000, 300), 20, "and never more than the burst");
    }

    #[test]
    fn twice_the_rate_is_half_refused_to_the_last_one() {
        let mut t = Trace::with([fault(rate(200.0, 50))]);
        let codes: Vec<u16> =
            (0..2_000u64).map(|n| t.at(n * 5 / 2).handshake(&mut Phone::new(&format!("a{n}"))).code()).collect();
        let passed = codes.iter().filter(|code| **code == 200).count();
        // Five seconds at 200/s and the burst; the last arrival comes 2.5 ms before their end.
        assert!((1_049..=1_050).contains(&passed), "{passed}");
    }

    #[test]
    fn the_refusal_comes_after_right_credentials_and_says_when_to_come_back() {
        let mut t = Trace::with([fault(rate(1.0, 1))]);
        assert_eq!(t.handshake(&mut Phone::new("a")).code(), 200);
        let refused = t.handshake(&mut Phone::new("b"));
        assert_eq!((refused.code(), refused.reason()), (503, "Slow Down"));
        assert_eq!(refused.headers("Retry-After"), ["5"]);
        assert_eq!(t.handshake(&mut Phone { password: "guess".into(), ..Phone::new("b") }).code(), 401);
        let mut silent = Trace::with([fault(FaultKind::Rate {
            per_second: 1.0,
            burst: 1,
            code: 503,
            reason: "no".into(),
            retry_after_s: None,
        })]);
        silent.handshake(&mut Phone::new("a"));
        assert!(silent.handshake(&mut Phone::new("b")).headers("Retry-After").is_empty());
    }

    #[test]
    fn only_registrations_count() {
        let (mut t, mut a) = (Trace::with([fault(rate(0.001, 2))]), Phone::new("a"));
        t.at(0).send(&a.register());
        let challenge = t.expect(401);
        let request = a.answer(&challenge);
        for _ in 0..5 {
            t.send(&request);
            t.expect(200);
        }
        for wants in ["", "Contact: <sip:b@h>;expires=0\r\n", "Contact: *\r\nExpires: 0\r\n"] {
            assert_eq!(t.handshake(&mut Phone::new("b").wanting(wants)).code(), 200, "{wants}");
        }
        assert_eq!(t.at(1).handshake(&mut a).code(), 200, "a refresh is the second one");
        assert_eq!(t.handshake(&mut a).code(), 503);
    }

    #[test]
    fn a_fraction_is_a_rate_and_nothing_lets_nobody_in() {
        let (mut t, mut a) = (Trace::with([fault(rate(0.5, 1))]), Phone::new("a"));
        let codes = [0, 1_999, 2_000, 3_999, 4_000].map(|ms| t.at(ms).handshake(&mut a).code());
        assert_eq!(codes, [200, 503, 200, 503, 200]);
        for nothing in [0.0, -1.0, f64::NAN] {
            assert_eq!(Trace::with([fault(rate(nothing, 1))]).handshake(&mut Phone::new("a")).code(), 503);
        }
    }

    #[test]
    fn the_agents_it_does_not_concern_take_nothing_from_it() {
        let mut t = Trace::with([Fault { domain: Some("x.test".into()), ..fault_within(rate(1.0, 1), 0, 10) }]);
        let phone = |user: &str, domain: &str| Phone { domain: domain.into(), ..Phone::new(user) };
        for (ms, user, domain, code) in [
            (0, "a", "y.test", 200),
            (0, "b", "y.test", 200),
            (0, "c", "x.test", 200),
            (0, "d", "x.test", 503),
            (10_000, "d", "x.test", 200),
            (10_000, "e", "x.test", 200),
        ] {
            assert_eq!(t.at(ms).handshake(&mut phone(user, domain)).code(), code, "{user} at {ms}");
        }
    }
}

mod challenges_without_end {
    use super::*;

    /// The answers to one request without credentials and three with those of the latest challenge.
    fn answers(t: &mut Trace, phone: &mut Phone) -> Vec<(u16, bool)> {
        t.send(&phone.register());
        let mut replies = vec![t.expect(401)];
        for _ in 0..3 {
            t.send(&phone.answer(replies.last().expect("pushed above")));
            replies.push(t.reply().expect("an answer"));
            if replies.last().is_some_and(|reply| reply.code() != 401) {
                break;
            }
        }
        replies.iter().map(|reply| (reply.code(), reply.is_stale())).collect()
    }

    #[test]
    fn stale_says_so_to_right_credentials_only() {
        let mut t = Trace::with([fault_within(FaultKind::Stale, 0, 30)]);
        let mut a = Phone::new("a");
        assert_eq!(answers(t.at(0), &mut a), [(401, false), (401, true), (401, true), (401, true)]);
        let mut eve = Phone { password: "guess".into(), ..Phone::new("a") };
        assert_eq!(answers(&mut t, &mut eve), [(401, false); 4]);
        let counts = t.registrar.counts();
        assert_eq!((counts.stale_challenges, counts.rejected_credentials, counts.bindings), (3, 3, 0));
        assert_eq!(answers(t.at(30_000), &mut a), [(401, false), (200, false)]);
    }

    #[test]
    fn challenge_again_never_says_why() {
        let mut t = Trace::with([fault(FaultKind::Stale), fault_within(FaultKind::ChallengeAgain, 0, 30)]);
        let mut a = Phone::new("a");
        assert_eq!(answers(t.at(0), &mut a), [(401, false); 4]);
        assert_eq!((t.registrar.counts().stale_challenges, t.registrar.bindings(t.now)), (0, 0));
        assert_eq!(answers(t.at(30_000), &mut a)[1], (401, true), "stale takes over");
    }

    #[test]
    fn a_share_hits_the_same_agents_and_others_pass() {
        let mut t = Trace::with([Fault { share: 0.5, ..fault(FaultKind::ChallengeAgain) }]);
        let registered = (0..100).filter(|n| t.handshake(&mut Phone::new(&format!("a{n}"))).code() == 200).count();
        assert!((30..70).contains(&registered), "{registered}");
    }
}

mod oscillation {
    use super::*;

    fn oscillate(period_s: u64) -> FaultKind {
        FaultKind::Oscillate { period: Duration::from_secs(period_s), code: 403, reason: "Forbidden".into() }
    }

    #[test]
    fn half_a_period_up_and_half_refused() {
        let (mut t, mut a) = (Trace::with([fault(oscillate(2_700))]), Phone::new("a"));
        for (s, code) in [(0, 200), (1_349, 200), (1_350, 403), (2_699, 403), (2_700, 200), (4_049, 200), (4_050, 403)]
        {
            assert_eq!(t.at(s * 1_000).handshake(&mut a).code(), code, "{s} s");
        }
    }

    #[test]
    fn phases_count_from_the_start_whatever_the_window() {
        let (mut t, mut a) = (Trace::with([fault_within(oscillate(10), 7, 26)]), Phone::new("a"));
        for (s, code) in [(6, 200), (7, 403), (10, 200), (14, 200), (15, 403), (25, 403), (26, 200)] {
            assert_eq!(t.at(s * 1_000).handshake(&mut a).code(), code, "{s} s");
        }
        let mut later = Trace::with([fault(oscillate(10))]);
        later.registrar.set_start(at_ms(3_000));
        assert_eq!([3, 7, 8, 13].map(|s| later.at(s * 1_000).handshake(&mut a).code()), [200, 200, 403, 200]);
    }

    #[test]
    fn only_right_credentials_learn_of_it_and_un_register_is_refused_too() {
        let (mut t, mut a) = (Trace::with([fault(oscillate(20))]), Phone::new("a"));
        assert_eq!(t.at(0).handshake(&mut a).code(), 200);
        assert_eq!(t.at(10_000).handshake(&mut Phone { password: "guess".into(), ..Phone::new("a") }).code(), 401);
        a.wants = "Contact: *\r\nExpires: 0\r\n".into();
        assert_eq!(t.handshake(&mut a).code(), 403);
        assert_eq!(t.registrar.bindings(t.now), 1, "what is bound stays so");
    }
}

mod restart {
    use super::*;

    /// Nobody is there in the window; what was bound is there afterwards, unless it was to be lost.
    #[test]
    fn nothing_is_answered_in_the_window_and_bindings_may_be_lost() {
        for (forget, left) in [(false, 2), (true, 0)] {
            let mut t = Trace::with([fault_within(FaultKind::Restart { forget }, 10, 20), fault(limit(2))]);
            let [mut a, mut b, mut c] = ["a", "b", "c"].map(Phone::new);
            assert_eq!([t.handshake(&mut a).code(), t.handshake(&mut b).code()], [200, 200]);
            t.at(10_000).send(&c.register()).expect_silence();
            assert_eq!((t.registrar.counts().requests_dropped, t.registrar.bindings(t.now)), (1, left));
            // A limit counts what is left.
            let third = if forget { 200 } else { 403 };
            assert_eq!(t.at(20_000).handshake(&mut c).code(), third);
        }
    }
}
