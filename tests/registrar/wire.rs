//! Faults of the wire: datagrams that come twice, overtake each other, or cannot be read.

use crate::trace::{Phone, Trace, at_ms, config, fault, fault_within};
use regstorm::registrar::{Config, Fault, FaultKind};
use regstorm::sip::scan;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn duplicate(probability: f64) -> FaultKind {
    FaultKind::Duplicate { probability }
}

fn reorder(probability: f64) -> FaultKind {
    FaultKind::Reorder { probability, delay: 20 * MS }
}

fn corrupt(probability: f64) -> FaultKind {
    FaultKind::Corrupt { probability }
}

fn phones(count: usize) -> Vec<Phone> {
    (0..count).map(|n| Phone::new(&format!("agent{n:05}"))).collect()
}

mod duplicates {
    use super::*;

    #[test]
    fn a_request_is_handled_twice_and_each_reply_sent_twice() {
        let mut t = Trace::with([fault_within(duplicate(1.0), 0, 10)]);
        t.at(0).send(&Phone::new("a").register());
        let replies: Vec<_> = std::iter::from_fn(|| t.reply()).collect();
        assert_eq!(replies.iter().map(|reply| reply.code()).collect::<Vec<_>>(), [401; 4]);
        let counts = t.registrar.counts();
        assert_eq!((counts.received, counts.registers, counts.challenges), (1, 2, 2));
        assert_eq!((counts.requests_duplicated, counts.replies_duplicated), (1, 2));
        t.at(10_000).send(&Phone::new("a").register());
        t.expect(401);
    }

    #[test]
    fn a_registration_that_comes_twice_makes_one_binding() {
        let (mut t, mut a) = (Trace::with([fault(duplicate(1.0))]), Phone::new("a"));
        t.at(0).send(&a.register());
        let challenge = t.reply().expect("a challenge");
        while t.reply().is_some() {}
        t.at(1).send(&a.answer(&challenge));
        let codes: Vec<u16> = std::iter::from_fn(|| t.reply()).map(|reply| reply.code()).collect();
        assert_eq!(codes, [200; 4]);
        assert_eq!((t.registrar.contacts(), t.registrar.counts().added, t.registrar.counts().refreshed), (1, 1, 0));
    }

    #[test]
    fn as_often_as_asked() {
        let mut t = Trace::with([fault(duplicate(0.1))]);
        for mut phone in phones(1_000) {
            t.at(0).send(&phone.register());
        }
        let counts = t.registrar.counts();
        let (requests, replies) = (counts.requests_duplicated, counts.replies_duplicated);
        assert!((70..130).contains(&requests) && (75..145).contains(&replies), "{requests} {replies}");
    }
}

mod reorders {
    use super::*;

    #[test]
    fn later_ones_overtake_and_none_is_lost() {
        let mut t = Trace::with([fault_within(reorder(0.2), 0, 10)]);
        let mut replies = Vec::new();
        for (n, mut phone) in phones(500).into_iter().enumerate() {
            replies.extend(t.run(n as u64));
            t.send(&phone.register());
        }
        let sent_last = t.now;
        replies.extend(t.run(5_000));
        assert_eq!(replies.len(), 500);
        assert!(replies.iter().all(|reply| reply.at <= sent_last + 40 * MS), "20 ms each way at most");
        let users: Vec<_> = replies.iter().map(|reply| reply.headers("Call-ID")[0].to_owned()).collect();
        let overtaken = users.windows(2).filter(|pair| pair[0] > pair[1]).count();
        // A fifth of the requests and a fifth of the replies are held for ten others on average.
        assert!((60..250).contains(&overtaken), "{overtaken}");
        let counts = t.registrar.counts();
        let held = (counts.requests_reordered, counts.replies_delayed);
        assert!((70..130).contains(&held.0) && (70..130).contains(&held.1), "{held:?}");
        assert_eq!(t.registrar.next_wake(), None);
    }

    #[test]
    fn all_of_them_reorder_too() {
        let mut t = Trace::with([fault(reorder(1.0))]);
        for mut phone in phones(50) {
            t.at(0).send(&phone.register());
        }
        t.expect_silence();
        let replies = t.run(40);
        assert_eq!(replies.len(), 50);
        assert!(!replies.is_sorted_by_key(|reply| reply.headers("Call-ID")[0].to_owned()));
    }

    #[test]
    fn a_request_held_into_a_freeze_waits_for_its_end() {
        let mut t = Trace::with([fault(reorder(1.0)), fault_within(FaultKind::Freeze, 1, 3)]);
        t.at(999).send(&Phone::new("a").register());
        let replies = t.run(10_000);
        assert_eq!(replies.len(), 1);
        assert!((at_ms(3_000)..=at_ms(3_020)).contains(&replies[0].at), "{:?}", replies[0].at);
    }

    #[test]
    fn the_copies_of_one_datagram_part() {
        let mut t = Trace::with([fault(duplicate(1.0)), fault(reorder(1.0))]);
        t.at(0).send(&Phone::new("a").register());
        let replies = t.run(40);
        assert_eq!(replies.len(), 4);
        assert!(replies.windows(2).all(|pair| pair[0].at < pair[1].at));
    }
}

mod corruption {
    use super::*;

    /// The next reply, cut at nothing: as bytes, since these are no text.
    fn raw(t: &mut Trace) -> Vec<u8> {
        let mut out = vec![0; 65_536];
        let (len, _) = t.registrar.poll_transmit(t.now, &mut out).expect("a reply is due");
        out.truncate(len);
        out
    }

    #[test]
    fn no_client_can_read_it_and_its_owner_can_be_told() {
        let mut t = Trace::with([fault_within(corrupt(1.0), 0, 10)]);
        for mut phone in phones(300) {
            let request = phone.register();
            t.at(0).send(&request);
            let reply = raw(&mut t);
            assert!(scan::response(&reply).is_err(), "{}", String::from_utf8_lossy(&reply));
            assert_eq!(scan::branch_of(&reply), scan::branch_of(request.text.as_bytes()));
        }
        assert_eq!(t.registrar.counts().replies_corrupted, 300);
        t.at(10_000).send(&Phone::new("a").register());
        t.expect(401);
    }

    #[test]
    fn every_answer_can_be_hit_and_only_as_often_as_asked() {
        let mut t = Trace::new(Config { faults: vec![fault(corrupt(0.1))], ..config() });
        for n in 0..1_000 {
            let mut phone = Phone::new("a");
            let request = match n % 3 {
                0 => phone.register(),
                1 => phone.request("OPTIONS", ""),
                _ => phone.request("SUBSCRIBE", ""),
            };
            t.at(n).send(&request);
            raw(&mut t);
        }
        let corrupted = t.registrar.counts().replies_corrupted;
        assert!((70..130).contains(&corrupted), "{corrupted}");
    }

    #[test]
    fn two_of_them_do_no_more_harm_than_one() {
        let mut t = Trace::with([fault(corrupt(1.0)), fault(corrupt(1.0))]);
        for mut phone in phones(100) {
            t.at(0).send(&phone.register());
            let reply = raw(&mut t);
            assert!(reply.starts_with(b"SIP/2.0 401 "), "{}", String::from_utf8_lossy(&reply));
        }
    }

    #[test]
    fn a_share_leaves_the_others_alone() {
        let mut t = Trace::with([Fault { share: 0.3, ..fault(corrupt(1.0)) }]);
        let readable = |t: &mut Trace| -> Vec<bool> {
            let mut phones = phones(100);
            let requests = phones.iter_mut().map(Phone::register);
            requests
                .map(|request| {
                    scan::response(&{
                        t.send(&request);
                        raw(t)
                    })
                    .is_ok()
                })
                .collect()
        };
        let first = readable(t.at(0));
        let spared = first.iter().filter(|readable| **readable).count();
        assert!((55..85).contains(&spared), "{spared}");
        assert_eq!(readable(t.at(1_000)), first, "the same agents every time");
    }
}
