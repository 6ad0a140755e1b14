//! Traces in text: the same conversation in each form yields what its capture does.

use super::packets::*;
use super::{loops, statuses};
use proptest::prelude::*;
use regstorm::observe::{Observation, of_text};
use regstorm::record::texttrace;
use std::fmt::Write;

type Messages = Vec<(u64, bool, Vec<u8>)>;

fn seen(text: &str) -> Observation {
    of_text(text.as_bytes(), "trace").expect("registrations").expect("messages")
}

fn loop_of_403() -> Messages {
    let refused = |register: &Register<'_>| register.answer(403, "Forbidden", "");
    (0..4).flat_map(|n| handshake("alice", 1 + 2 * n, u64::from(n) * 60 * SECOND, refused)).collect()
}

/// The time of day of the first message is 10:22:15.
fn clock(at: u64) -> (u64, u64, u64, u64) {
    let seconds = 10 * 3600 + 22 * 60 + 15 + at / SECOND;
    (seconds / 3600, seconds / 60 % 60, seconds % 60, at % SECOND / 1_000)
}

fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// A form of trace: what stands around a message.
type Form = fn(u64, bool, &str) -> String;

fn sides(out: bool) -> (&'static str, &'static str) {
    let (phone, registrar) = ("192.0.2.10:5080", "198.51.100.5:5060");
    if out { (phone, registrar) } else { (registrar, phone) }
}

/// Forms that name both sides and whole times.
const WHOLE: [(&str, Form); 5] = [
    ("sngrep", |at, out, text| {
        let ((h, m, s, us), (from, to)) = (clock(at), sides(out));
        format!("2026/05/14 {h:02}:{m:02}:{s:02}.{us:06} {from} -> {to}\n{text}\n\n")
    }),
    ("homer", |at, out, text| {
        let ((h, m, s, us), (from, to)) = (clock(at), sides(out));
        format!("proto:UDP 2026-05-14T{h:02}:{m:02}:{s:02}.{us:06}Z  {from} ---> {to}\n\n{text}\n\n")
    }),
    ("ngrep", |at, out, text| {
        let ((h, m, s, us), (from, to)) = (clock(at), sides(out));
        let dotted = text.replace("\r\n", ".\n");
        format!("#\nU 2026/05/14 {h:02}:{m:02}:{s:02}.{us:06} {from} -> {to} #7\n{dotted}\n##")
    }),
    ("ngrep with bare lines", |at, out, text| {
        let ((h, m, s, us), (from, to)) = (clock(at), sides(out));
        format!("\nU 2026/05/14 {h:02}:{m:02}:{s:02}.{us:06} {from} -> {to}\n{}\n", text.replace('\r', ""))
    }),
    ("with zone", |at, out, text| {
        let ((h, m, s, us), (from, to)) = (clock(at), sides(out));
        format!("[2026-05-14T{:02}:{m:02}:{s:02}.{us:06}+02:00] {from} --> {to}:\n{text}", h + 2)
    }),
];

/// Asterisk's own, which names the other side only. The phone's requests come in.
const ASTERISK: [(&str, Form); 4] = [
    ("log", |at, out, text| {
        let ((h, m, s, us), way) = (clock(at), asterisk(out));
        let ms = us / 1_000;
        format!("[2026-05-14 {h:02}:{m:02}:{s:02}.{ms:03}] VERBOSE[99] res_pjsip_logger.c: <--- {way} --->\n{text}\n")
    }),
    ("log without year", |at, out, text| {
        let ((h, m, s, _), way) = (clock(at), asterisk(out));
        format!("[May 14 {h:02}:{m:02}:{s:02}] VERBOSE[99] res_pjsip_logger.c: <--- {way} --->\n{text}\n")
    }),
    ("console", |_, out, text| format!("<--- {} --->\n{text}\n", asterisk(out))),
    ("chan_sip", |at, out, text| {
        let (h, m, s, _) = clock(at);
        let way = if out { "SIP read from UDP:192.0.2.10:5080" } else { "Transmitting (NAT) to 192.0.2.10:5080" };
        format!("[2026-05-14 {h:02}:{m:02}:{s:02}] VERBOSE[9] chan_sip.c: <--- {way} --->\n{text}<------------>\n")
    }),
];

fn asterisk(out: bool) -> &'static str {
    if out {
        "Received SIP request (523 bytes) from UDP:192.0.2.10:5080"
    } else {
        "Transmitting SIP response (401 bytes) to UDP:192.0.2.10:5080"
    }
}

fn written(form: Form, messages: &Messages) -> String {
    messages.iter().fold("some other line: 12:00\n".to_owned(), |mut text, (at, out, bytes)| {
        writeln!(text, "{}\n-- 10.0.0.1:1 is a line of the log", form(*at, *out, text_of(bytes))).expect("a String");
        text
    })
}

#[test]
fn each_form_shows_the_same_loop() {
    for (name, form) in WHOLE {
        let seen = seen(&written(form, &loop_of_403()));
        assert_eq!(loops(&seen.results), [("alice", "403-after-auth", 4)], "{name}");
        assert_eq!(statuses(&seen.results), [("authentication_failed", 4)], "{name}");
        assert_eq!(seen.results.header.trunks[0].target, "198.51.100.5:5060", "{name}");
        assert_eq!(seen.results.header.started_unix_ns, START_NS as i64, "{name}");
        assert_eq!(seen.remarks, [""; 0], "{name}");
    }
}

#[test]
fn asterisks_own_traces_are_read_and_their_gaps_said() {
    let remarks: [&[&str]; 4] = [
        &[],
        &["its times name no year; 1972 stands for it"],
        &["16 messages carry no time: their order is known, and not how long anything took"],
        &[],
    ];
    for ((name, form), remarks) in ASTERISK.into_iter().zip(remarks) {
        let seen = seen(&written(form, &loop_of_403()));
        assert_eq!(loops(&seen.results), [("alice", "403-after-auth", 4)], "{name}");
        assert_eq!(
            (seen.results.header.trunks[0].id.as_str(), seen.remarks),
            ("example.test", remarks.iter().map(|&text| text.to_owned()).collect()),
            "{name}"
        );
    }
}

#[test]
fn bodies_and_other_requests_do_not_confuse() {
    let refusal = Register::of("alice", 1).answer(403, "Forbidden", "Content-Type: text/plain\r\n");
    let refusal =
        text_of(&refusal).replace("Content-Length: 0", "Content-Length: 24") + "Call us.\r\n\r\nAll of us.\r\n";
    let options = "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n\
                   Call-ID: o\r\nCSeq: 1 OPTIONS\r\n\r\n";
    let messages = vec![
        (0, true, Register::of("alice", 1).bytes()),
        (MS, false, refusal.into_bytes()),
        (2 * MS, true, options.as_bytes().to_vec()),
        (3 * MS, true, Register::of("bob", 1).bytes()),
        (4 * MS, false, Register::of("bob", 1).ok()),
    ];
    for (name, form) in WHOLE.into_iter().chain(ASTERISK) {
        let seen = seen(&written(form, &messages));
        assert_eq!(statuses(&seen.results), [("registered", 1), ("registration_rejected", 1)], "{name}");
    }
}

#[test]
fn a_trace_over_new_year_goes_on() {
    let line = |when: &str| {
        format!("[{when}] VERBOSE[9] x.c: <--- Received SIP request (5 bytes) from UDP:192.0.2.10:5080 --->\n")
    };
    let register = |cseq| text_of(&Register::of("alice", cseq).bytes()).to_owned();
    let text = [line("Dec 31 23:59:50"), register(1), line("Jan  1 00:00:20"), register(2)].concat();
    let mut times = Vec::new();
    texttrace::read(text.as_bytes(), |message| times.push(message.at_ns)).expect("a text");
    assert_eq!(times[1] - times[0], 30 * SECOND);
}

#[test]
fn what_is_no_trace_has_no_messages() {
    for text in ["", "hello\n", "user,password\nalice,secret\n", "REGISTER sip:x SIP/2.0\r\n\r\n", &"x".repeat(200_000)]
    {
        assert!(of_text(text.as_bytes(), "x").expect("no trace").is_none(), "{}", &text[..text.len().min(40)]);
    }
    assert!(!texttrace::is_text(b"\x7fELF\x02\x01\x01\x00") && texttrace::is_text(b"\x1b[32m[May 14 10:22:15]\n"));
}

proptest! {
    #[test]
    fn any_text_is_no_panic(lines in proptest::collection::vec("[ -~]{0,60}", 0..30), form in 0usize..9, cut in 0usize..4_000) {
        let (_, form) = WHOLE.into_iter().chain(ASTERISK).nth(form).expect("one of nine");
        let mut text = written(form, &handshake("alice", 1, 0, accepted));
        text.truncate(cut);
        text.push_str(&lines.join("\n"));
        let account = texttrace::read(text.as_bytes(), |message| assert!(message.bytes.len() <= 65_536)).expect("read");
        prop_assert!(account.messages <= 4 + lines.len() as u64);
    }

    /// However long a line is.
    #[test]
    fn any_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let mut text = b"U 10.0.0.1:5060 -> 10.0.0.2:5060\nREGISTER sip:x SIP/2.0\n".to_vec();
        text.extend(bytes);
        prop_assert!(texttrace::read(text.as_slice(), |_| ()).is_ok());
    }
}
