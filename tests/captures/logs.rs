//! Attempts out of a platform's event log.

use super::packets::*;
use super::{loops, statuses};
use regstorm::diagnose::diagnosis::{Conclusion, Diagnosis};
use regstorm::observe::{Observation, of_log};
use regstorm::record::eventlog::{self, Fields};

/// Records as (seconds, user, code), one per line.
fn log(records: &[(u64, &str, u16)]) -> Observation {
    let line = |&(second, user, code): &(u64, &str, u16)| {
        let code = if code == 0 { String::new() } else { format!("\"response_code\": {code}, ") };
        format!(
            "{{\"method\": \"REGISTER\", \"sip_from\": \"<sip:{user}@genesyscloud.test>\", \"sip_to\": \
             \"<sip:genesyscloud.test>\", {code}\"reason_phrase\": \"R{second}\", \"timestamp\": {}}}\n",
            1_778_754_135 + second
        )
    };
    let text: String = records.iter().map(line).collect();
    of_log(eventlog::read(text.as_bytes(), &Fields::default()).expect("a log"), "log").expect("registrations")
}

#[test]
fn a_forbidden_agent_loops() {
    let observation =
        log(&[(0, "agent_jdoe", 403), (60, "agent_jdoe", 403), (120, "agent_jdoe", 403), (121, "ok", 200)]);
    assert_eq!(loops(&observation.results), [("agent_jdoe", "403-unchallenged", 3)]);
    let trunk = &observation.results.header.trunks[0];
    assert_eq!((trunk.id.as_str(), trunk.agents), ("genesyscloud.test", 2));
    assert!(observation.remarks[0].starts_with("no challenge is in the log"), "{:?}", observation.remarks);
}

#[test]
fn a_challenge_soon_before_makes_it_a_refusal_of_credentials() {
    let round = |at: u64| [(at, "a", 401), (at + 1, "a", 403)];
    let observation = log(&[round(0), round(60), round(120)].concat());
    assert_eq!(loops(&observation.results), [("a", "403-after-auth", 3)]);
    assert_eq!((statuses(&observation.results), observation.remarks.len()), (vec![("authentication_failed", 3)], 0));
}

#[test]
fn a_401_alone_is_a_final_answer() {
    let observation = log(&[(0, "a", 401), (60, "a", 401), (120, "a", 401), (180, "a", 200)]);
    assert_eq!(loops(&observation.results), [("a", "401", 3)]);
    assert_eq!(statuses(&observation.results), [("registered", 1), ("authentication_failed", 3)]);
}

#[test]
fn a_request_without_a_code_waits_for_its_answer() {
    let answered = log(&[(0, "a", 0), (1, "a", 200)]);
    assert_eq!(
        (statuses(&answered.results), answered.results.totals.sums.register_requests),
        (vec![("registered", 1)], 1)
    );
    let silent = log(&[(0, "a", 0), (60, "a", 0), (120, "a", 0), (180, "b", 200)]);
    assert_eq!(loops(&silent.results), [("a", "timeout", 3)]);
    let requests = log(&[(0, "a", 0), (60, "a", 0), (120, "a", 0), (180, "a", 0)]);
    assert_eq!(Diagnosis::of(&requests.results).conclusion, Conclusion::AnswersMissing { attempts: 4 });
    assert_eq!(loops(&requests.results), []);
    assert_eq!(log(&[(0, "a", 0)]).remarks, ["no record has a response code: nothing is known of any answer"]);
}

/// What Homer keeps is the message itself, so nothing has to be guessed.
#[test]
fn messages_kept_whole_are_read_as_of_a_capture() {
    let refused = |register: &Register<'_>| register.answer(403, "Forbidden", "");
    let mut rows: Vec<String> = (0..3)
        .flat_map(|n| handshake("alice", 1 + 2 * n, u64::from(n) * 60 * SECOND, refused))
        .map(|(at, out, bytes)| {
            let (from, to) = if out { (phone(), registrar()) } else { (registrar(), phone()) };
            let at = START_NS + at;
            let header = format!(
                "{{\"srcIp\":\"{}\",\"srcPort\":{},\"dstIp\":\"{}\",\"dstPort\":{},\"timeSeconds\":{},\"timeUseconds\":{}}}",
                from.ip(),
                from.port(),
                to.ip(),
                to.port(),
                at / SECOND,
                at % SECOND / 1_000
            );
            let raw = String::from_utf8(bytes).expect("text").replace('\r', "\\r").replace('\n', "\\n").replace('"', "\\\"");
            format!("{{\"protocol_header\":{header},\"data_header\":{{\"method\":\"x\"}},\"raw\":\"{raw}\"}}")
        })
        .collect();
    rows.reverse();
    let text = format!("{{\"data\":[{}],\"total\":12}}", rows.join(","));
    let log = eventlog::read(text.as_bytes(), &Fields::default()).expect("a log");
    let seen = of_log(log, "homer").expect("registrations");
    assert_eq!(loops(&seen.results), [("alice", "403-after-auth", 3)]);
    assert_eq!((seen.results.header.trunks[0].target.as_str(), seen.remarks.len()), ("198.51.100.5:5060", 0));
}

#[test]
fn a_provisional_answer_is_none() {
    let round = |at: u64| [(at, "a", 100), (at, "a", 401), (at + 1, "a", 100), (at + 1, "a", 403)];
    let observation = log(&[round(0), round(60), round(120)].concat());
    assert_eq!(loops(&observation.results), [("a", "403-after-auth", 3)]);
    assert_eq!(statuses(&observation.results), [("authentication_failed", 3)]);
}

#[test]
fn a_log_with_the_newest_first_is_turned_round() {
    let mut records = [(0, "a", 401), (0, "a", 200), (60, "a", 401), (60, "a", 403), (90, "a", 401), (91, "a", 200)];
    let forward = log(&records);
    records.reverse();
    let backward = log(&records);
    assert_eq!(statuses(&forward.results), [("registered", 2), ("authentication_failed", 1)]);
    assert_eq!(statuses(&backward.results), statuses(&forward.results));
}
