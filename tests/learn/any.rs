//! Whatever was captured, the profile is one that can be used.

use super::habits::written;
use super::packets::*;
use proptest::prelude::*;
use regstorm::learn::Learnt;
use regstorm::observe::{trace_capture, trace_log};
use regstorm::record::eventlog::{EventLog, LogRecord};
use regstorm::vocab::ReplayAct;

const USERS: [&str; 8] = ["alice", "", "b\"ob", "m%fcller", "x,y", "+4930123", "a b", "ä"];
const AGENTS: [&str; 4] =
    ["", "User-Agent: Phone/1 \"x\"\r\n", "User-Agent: \\\r\nX-Site: NJ\r\nx-site: NY\r\n", "X-A: 1\r\nP@d: 2\r\n"];

fn any_message() -> impl Strategy<Value = (u64, bool, Vec<u8>)> {
    let register =
        (0..USERS.len(), 0usize..3, 1u32..6, 0usize..4, prop::sample::select(vec![0u32, 1, 60, 3600, u32::MAX]));
    (0u64..4_000, register, 0..AGENTS.len(), 0usize..10).prop_map(
        |(seconds, (user, call, cseq, nonce, expires), agent, what)| {
            let nonce = [None, Some("n1"), Some("n2"), Some("")][nonce];
            let call_id = ["call-1", "call-2", "call-3"][call];
            let register =
                Register { nonce, expires, call_id, headers: AGENTS[agent], ..Register::of(USERS[user], cseq) };
            let bytes = match what {
                0..=3 => register.bytes(),
                4 => register.challenge("n1"),
                5 => register.stale("n2"),
                6 => register.answer(423, "Interval Too Brief", "Min-Expires: 60\r\n"),
                7 => register.answer(503, "Busy", "Retry-After: 30\r\n"),
                8 => register.answer(403, "Forbidden", ""),
                _ => register.ok(),
            };
            let bytes = if call == 2 {
                String::from_utf8_lossy(&bytes).replace("Example.test", "[::1]:99").into_bytes()
            } else {
                bytes
            };
            (seconds * SECOND, what <= 3, bytes)
        },
    )
}

fn any_record() -> impl Strategy<Value = LogRecord> {
    let code = prop::sample::select(vec![None, Some(100u16), Some(200), Some(401), Some(403), Some(503)]);
    (0u64..4_000, 0..USERS.len(), code, 0usize..3).prop_map(|(seconds, user, code, trunk)| LogRecord {
        number: seconds,
        at_ns: START_NS + seconds * SECOND,
        from: format!("<sip:{}@log.test>", USERS[user]).into(),
        to: "sip:log.test".into(),
        code,
        reason: "said".into(),
        trunk: ["", "NJ 1", "ü"][trunk].into(),
        call_id: format!("{user}").into(),
    })
}

/// Both with the names kept and with others.
fn is_sound(trace: &regstorm::observe::Trace) -> Result<(), TestCaseError> {
    for anonymise in [false, true] {
        let learnt = Learnt::of(trace, anonymise);
        // Where nobody registers there is nothing to replay, and the command says so.
        if learnt.rows(ReplayAct::Arrive) == 0 {
            continue;
        }
        let files = written(&learnt);
        if let Err(error) = files.plan(&[]) {
            return Err(TestCaseError::fail(format!(
                "{error}\n{}\n{}",
                learnt.profile("p", &super::habits::NAMES),
                learnt.arrivals_csv()
            )));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_capture_makes_a_profile(messages in prop::collection::vec(any_message(), 1..60)) {
        let file = pcap(1, &conversation(Link::Ethernet, &messages), false, true);
        if let Ok(trace) = trace_capture(file.as_slice(), "any\n\u{1b}[1m.pcap") {
            is_sound(&trace)?;
        }
    }

    #[test]
    fn any_log_makes_a_profile(mut records in prop::collection::vec(any_record(), 1..60)) {
        records.iter_mut().zip(0..).for_each(|(record, number)| record.number = number);
        let trace = trace_log(EventLog { records, others: 1, messages: Vec::new() }, "any.json").expect("it has a REGISTER");
        is_sound(&trace)?;
    }
}
