//! Exchanges that take more than one challenge, two at once, and such that nobody went on with: one
//! attempt each, as the phones lived them.

use super::packets::*;
use super::{observe, statuses};
use regstorm::diagnose::diagnosis::{Conclusion, Diagnosis};
use regstorm::record::Results;
use regstorm::vocab::{Class, Kind};

type Messages = Vec<(u64, bool, Vec<u8>)>;

fn results(messages: &Messages) -> Results {
    observe(&conversation(Link::Ethernet, messages)).results
}

/// Attempts that were all registered, and nothing to say of them.
#[track_caller]
fn healthy(results: &Results, phones: usize, attempts: u64) {
    assert_eq!(statuses(results), [("registered", attempts)]);
    assert_eq!(results.header.users.len(), phones);
    let findings = Diagnosis::of(results).findings;
    assert!(findings.is_empty(), "{:?}", findings.iter().map(|finding| &finding.id).collect::<Vec<_>>());
}

/// Six times, five minutes apart.
fn rounds(round: impl Fn(u32, u64) -> Messages) -> Messages {
    (0..6).flat_map(|n| round(100 * n, u64::from(n) * 300 * SECOND)).collect()
}

fn credentials(header: &str, realm: &str, nonce: &str) -> String {
    format!(
        "{header}: Digest username=\"alice\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"sip:example.test\", \
         response=\"{:032x}\"\r\n",
        1
    )
}

/// REGISTER, a challenge of each of two realms, and the request that carries the answers to both.
fn challenged_twice(n: u32, at: u64, codes: [u16; 2]) -> Messages {
    let names = codes.map(|code| if code == 401 { ("WWW", "Authorization") } else { ("Proxy", "Proxy-Authorization") });
    let realms = ["outer.test", "inner.test"];
    let answer = |which: usize| credentials(names[which].1, realms[which], &format!("nonce-{which}-{n}"));
    let (one, both) = (answer(0), answer(0) + &answer(1));
    let first = Register::of("alice", n + 1);
    let second = Register { headers: &one, ..Register::of("alice", n + 2) };
    let third = Register { headers: &both, ..Register::of("alice", n + 3) };
    let challenge = |register: &Register<'_>, which: usize| {
        let nonce = format!("nonce-{which}-{n}");
        let header =
            format!("{}-Authenticate: Digest realm=\"{}\", nonce=\"{nonce}\"\r\n", names[which].0, realms[which]);
        register.answer(codes[which], "Challenged", &header)
    };
    vec![
        (at, true, first.bytes()),
        (at + 10 * MS, false, challenge(&first, 0)),
        (at + 20 * MS, true, second.bytes()),
        (at + 30 * MS, false, challenge(&second, 1)),
        (at + 40 * MS, true, third.bytes()),
        (at + 50 * MS, false, third.ok()),
    ]
}

/// RFC 3261 §22.3: a proxy on the way and the registrar behind it each have a challenge of their
/// own.
#[test]
fn a_proxy_and_a_registrar_challenge_one_attempt() {
    let results = results(&rounds(|n, at| challenged_twice(n, at, [407, 401])));
    healthy(&results, 1, 6);
    assert_eq!(results.totals.sums.register_requests, 18);
    assert_eq!(results.totals.sums.started[Kind::Refresh.index()], 5);
}

#[test]
fn two_realms_challenge_one_attempt() {
    for codes in [[401, 401], [407, 407], [401, 407]] {
        let results = results(&rounds(|n, at| challenged_twice(n, at, codes)));
        healthy(&results, 1, 6);
    }
}

/// The messages of two exchanges by turns.
fn interleaved(a: Messages, b: Messages) -> Messages {
    let late = b.into_iter().map(|(at, out, bytes)| (at + MS, out, bytes));
    a.into_iter().zip(late).flat_map(|(a, b)| [a, b]).collect()
}

fn call<'a>(call_id: &'a str, parameters: &'a str, n: u32, nonce: &'a str) -> [Register<'a>; 2] {
    let first = Register { call_id, parameters, ..Register::of("alice", n + 1) };
    [first, Register { cseq: n + 2, ..first.with(nonce) }]
}

fn exchange([first, second]: [Register<'_>; 2], at: u64) -> Messages {
    vec![
        (at, true, first.bytes()),
        (at + 10 * MS, false, first.challenge(second.nonce.unwrap_or_default())),
        (at + 20 * MS, true, second.bytes()),
        (at + 30 * MS, false, second.ok()),
    ]
}

#[test]
fn two_calls_at_once_do_not_tear_each_other() {
    let messages = rounds(|n, at| {
        interleaved(exchange(call("call-a", "", n, "na"), at), exchange(call("call-b", "", n, "nb"), at))
    });
    healthy(&results(&messages), 2, 12);
}

#[test]
fn two_telephones_behind_one_border_element_are_two() {
    let messages = rounds(|n, at| {
        let [a, b] = [call("call-a", ";line=aa", n, "na"), call("call-b", ";line=bb", n, "nb")];
        interleaved(exchange(a, at), exchange(b, at))
    });
    healthy(&results(&messages), 2, 12);
    // Also when the second begins while the first has yet to answer its challenge.
    let late = rounds(|n, at| {
        let [a, b] = [call("call-a", ";line=aa", n, "na"), call("call-b", ";line=bb", n, "nb")];
        let mut all = [exchange(a, at), exchange(b, at + 15 * MS)].concat();
        all.sort_by_key(|&(at, ..)| at);
        all
    });
    healthy(&results(&late), 2, 12);
}

/// A telephone that was restarted begins with another Call-ID, whatever it left open.
#[test]
fn a_new_call_after_a_while_is_the_same_telephone() {
    let mut messages = vec![(0, true, Register { call_id: "before", ..Register::of("alice", 1) }.bytes())];
    messages.extend(exchange(call("after", "", 0, "n"), 20 * SECOND));
    let results = results(&messages);
    assert_eq!(statuses(&results), [("registered", 1), ("request_timeout", 1)]);
    assert_eq!(results.header.users.len(), 1);
}

/// What the registrar asks the phone for two minutes.
fn options() -> Messages {
    let ask = |n: u64| {
        let text = format!(
            "OPTIONS sip:alice@192.0.2.10:5080 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.5:5060;branch=z9hG4bKo{n}\r\n\
             From: <sip:ping@example.test>;tag=1\r\nTo: <sip:alice@example.test>\r\nCall-ID: o{n}\r\n\
             CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        (n * 10 * SECOND, false, text.into_bytes())
    };
    (1..=12).map(ask).collect()
}

#[test]
fn watching_ends_with_the_last_packet_of_whatever_kind() {
    let register = Register::of("alice", 1);
    let unanswered = [vec![(0, true, register.bytes())], options()].concat();
    let silent = observe(&conversation(Link::Ethernet, &unanswered));
    assert_eq!(statuses(&silent.results), [("request_timeout", 1)]);
    assert_eq!(silent.remarks, [""; 0], "the registrar was heard");

    let left = [vec![(0, true, register.bytes()), (MS, false, register.challenge("n"))], options()].concat();
    let left = results(&left);
    assert_eq!(statuses(&left), [("protocol_error", 1)]);
    assert_eq!(left.evidence.outcomes[0].class, Class::Unusable);
}

/// Challenges that nobody answered, each with the header lines given, five minutes apart.
fn left(headers: &str) -> Diagnosis {
    let round = |n: u32, at: u64| {
        let register = Register::of("alice", n + 1);
        vec![(at, true, register.bytes()), (at + MS, false, register.answer(401, "Unauthorized", headers))]
    };
    Diagnosis::of(&results(&rounds(round)))
}

#[test]
fn an_unanswered_challenge_is_the_phones_and_open() {
    for algorithm in ["", ", algorithm=SHA-256"] {
        let diagnosis = left(&format!("WWW-Authenticate: Digest realm=\"example.test\", nonce=\"n\"{algorithm}\r\n"));
        assert_eq!(diagnosis.conclusion, Conclusion::Open { causes: vec!["challenge.unanswered".to_owned()] });
        let [finding] = diagnosis.findings.as_slice() else { panic!("{:?}", diagnosis.findings) };
        // MD5, which is meant when none is named, is known to every phone.
        let known = finding.rejected.contains("MD5 is on offer");
        assert_eq!(known, algorithm.is_empty(), "{}", finding.rejected);
        assert!(finding.rejected.contains("no request was repeated"), "{}", finding.rejected);
    }
}

#[test]
fn algorithms_that_nobody_knows_are_to_blame_themselves() {
    let header = "WWW-Authenticate: Digest realm=\"example.test\", nonce=\"n\", algorithm=WHIRLPOOL\r\n";
    let ids: Vec<_> = left(header).findings.into_iter().map(|finding| finding.id).collect();
    assert_eq!(ids, ["algorithm.unsupported"]);
}

/// Of each exchange only what the phone sent, as a mirror of one direction shows it.
fn requests_only(repeats: u64) -> Diagnosis {
    let requests = rounds(|n, at| {
        let out = exchange(call("call", "", n, "n"), at).into_iter().filter(|(_, out, _)| *out);
        let again = |(at, out, bytes): (u64, bool, Vec<u8>)| {
            (0..=repeats).map(move |again| (at + again * SECOND, out, bytes.clone())).collect::<Vec<_>>()
        };
        let mut all: Messages = out.flat_map(again).collect();
        all.sort_by_key(|&(at, ..)| at);
        all
    });
    Diagnosis::of(&results(&requests))
}

#[test]
fn answers_that_were_not_recorded_are_no_silence() {
    let diagnosis = requests_only(0);
    assert_eq!(diagnosis.conclusion, Conclusion::AnswersMissing { attempts: 12 });
    assert!(diagnosis.findings.is_empty(), "{:?}", diagnosis.findings);
}

/// RFC 3261 §17.1.2.2: a phone that gets no answer asks again.
#[test]
fn requests_that_are_repeated_show_that_nothing_answers() {
    let ids: Vec<_> = requests_only(3).findings.into_iter().map(|finding| finding.id).collect();
    assert_eq!(ids, ["no-response"]);
}

/// A shift of telephones that refresh, and sign off one after another at its end: nobody is
/// missing.
#[test]
fn signing_off_at_the_end_of_a_shift_is_no_drift() {
    let mut messages = Messages::new();
    for n in 0..30u64 {
        let user = format!("shift{n:02}");
        let signs_off = 1_800 + 20 * n;
        let rounds = (0..).map(|round| 2 * n + 50 * round).take_while(|at| *at < signs_off);
        let mut cseq = 1;
        for at in rounds {
            messages.extend(handshake(&user, cseq, at * SECOND, accepted));
            cseq += 2;
        }
        let leaves = Register::of(&user, cseq).with("nonce").expires(0);
        messages.extend([(signs_off * SECOND, true, leaves.bytes()), (signs_off * SECOND + MS, false, leaves.ok())]);
    }
    let results = results(&messages);
    assert_eq!((results.totals.sums.unregistered, results.totals.agents_registered_at_end), (30, 0));
    healthy(&results, 30, results.totals.attempts);
}

/// Of a selection nobody can say whom else a failure hits: whatever it shows stays open.
#[test]
fn a_capture_of_failures_alone_is_open() {
    let refused = |n: u64, code: u16, reason: &str| {
        let last = |register: &Register<'_>| register.answer(code, reason, "");
        handshake(&format!("phone{n:02}"), 1, n * SECOND, last)
    };
    let silent = |n: u64| {
        let register = Register::of("mute", n as u32);
        [0, 500, 1_500, 3_500].map(|ms| (n * 40 * SECOND + ms * MS, true, register.bytes()))
    };
    let kinds: [Messages; 4] = [
        (0..30).flat_map(|n| refused(n, 403, "Forbidden")).collect(),
        (0..30).flat_map(|n| refused(n, 404, "Not Found")).collect(),
        (0..30).flat_map(|n| refused(n, 503, "Service Unavailable")).collect(),
        (0..6)
            .flat_map(silent)
            .chain(handshake("other", 1, 300 * SECOND, |register| register.challenge("n")))
            .collect(),
    ];
    for messages in &kinds {
        let Diagnosis { findings, conclusion } = Diagnosis::of(&results(messages));
        assert!(!findings.is_empty() && matches!(conclusion, Conclusion::Open { .. }), "{conclusion:?}");
        for finding in findings {
            assert_eq!(finding.confidence.as_str(), "open", "{}: {}", finding.id, finding.summary);
            assert!(finding.evidence.contains("it may be a selection of failures"), "{}", finding.evidence);
        }
    }
}
