//! A platform's event log in all its forms.

use super::*;
use proptest::prelude::*;

const ONE: &str = r#"{
 "method": "REGISTER",
 "sip_from": "<sip:agent_jdoe@genesyscloud.com>",
 "sip_to": "<sip:genesyscloud.com>",
 "response_code": 403,
 "reason_phrase": "Forbidden",
 "timestamp": "2024-05-14T10:22:15Z"
}"#;
const TEN_22_15: u64 = 1_715_682_135_000_000_000;

fn read_text(text: &str) -> Result<EventLog, LogError> {
    read(text.as_bytes(), &Fields::default())
}

fn one(time: &str, code: &str) -> String {
    format!(r#"{{"method":"REGISTER","sip_from":"<sip:a@b>","response_code":{code},"timestamp":{time}}}"#)
}

#[test]
fn the_record_that_the_field_shows() {
    let log = read_text(ONE).expect("a log");
    let record = LogRecord {
        number: 1,
        at_ns: TEN_22_15,
        from: "<sip:agent_jdoe@genesyscloud.com>".to_owned(),
        to: "<sip:genesyscloud.com>".to_owned(),
        code: Some(403),
        reason: "Forbidden".to_owned(),
        trunk: String::new(),
        call_id: String::new(),
    };
    assert_eq!(log, EventLog { records: vec![record], others: 0 });
}

#[test]
fn every_form_holds_the_same_records() {
    let flat = one("\"2024-05-14T10:22:15Z\"", "403");
    let forms = [
        format!("[{flat},{flat},{flat}]"),
        format!("{flat}\n{flat}\r\n{flat}\n"),
        format!("{flat}{flat} {flat}"),
        format!("{flat},\n{flat},\n{flat},\n"),
        format!("\u{feff}[\n  {flat},\n\n  {flat}, {flat}\n]\n"),
        format!("[{flat}]\n[{flat},{flat}]"),
        format!("{{\"total\": 3, \"entities\": [{flat},{flat},{flat}], \"nextUri\": null}}"),
    ];
    let expected = read_text(&forms[0]).expect("an array");
    assert_eq!(expected.records.len(), 3);
    for form in &forms {
        assert_eq!(read_text(form).as_ref(), Ok(&expected), "{form}");
    }
}

#[test]
fn times_and_numbers_in_the_usual_forms() {
    for time in [
        "\"2024-05-14T10:22:15Z\"",
        "\"2024-05-14T12:22:15+02:00\"",
        "\"2024-05-14T10:22:15.000Z\"",
        "\"2024-05-14 10:22:15\"",
        "\"2024-05-14T10:22:15\"",
        "1715682135",
        "\"1715682135\"",
        "1715682135000",
        "\"1715682135000\"",
        "1715682135.0",
        "1715682135000000",
        "1715682135000000000",
    ] {
        let log = read_text(&one(time, "\"403\"")).unwrap_or_else(|error| panic!("{time}: {error}"));
        assert_eq!((log.records[0].at_ns, log.records[0].code), (TEN_22_15, Some(403)), "{time}");
    }
    for (code, read) in [("0", None), ("null", None), ("\"\"", None), ("\"200\"", Some(200)), ("401.0", Some(401))] {
        assert_eq!(read_text(&one("1715682135", code)).expect("a log").records[0].code, read, "{code}");
    }
}

#[test]
fn names_can_be_changed_and_nested() {
    let text = r#"{"verb":"register","sip":{"from":"a"},"status":486,"@t":5,"why":"Busy","trunkId":"nj-1"}"#;
    let mut fields = Fields::default();
    for assignment in ["method=verb", "user=sip.from", "code=status", "time=@t", "reason=why", "trunk=trunkId"] {
        fields.assign(assignment).expect(assignment);
    }
    let log = read(text.as_bytes(), &fields).expect("a log");
    let record = &log.records[0];
    assert_eq!((record.from.as_str(), record.code, record.trunk.as_str()), ("a", Some(486), "nj-1"));
    let error = fields.assign("users=x").expect_err("no such field").to_string();
    assert_eq!(
        error,
        "there is no field \"users\"; the fields are method, user, to, code, reason, time, trunk, call_id"
    );
    assert!(fields.assign("user").expect_err("no name").to_string().contains("FIELD=NAME"));
}

/// As Genesys Cloud exports what its capture store holds: a record for each message.
#[test]
fn a_trace_of_messages_is_a_log_too() {
    let message = |method: &str, cseq: &str, ms: u32| {
        format!(
            r#"{{"callid":"c1","method":"{method}","cseq":"{cseq}","fromUser":"a","fromDomain":"b.test","toUser":"a",
               "toDomain":"b.test","replyReason":"","reply_reason":"no","microTs":"{}","date":"x"}}"#,
            1_715_682_135_000_000 + 1_000 * u64::from(ms)
        )
    };
    let messages =
        [message("REGISTER", "1 REGISTER", 0), message("401", "1 REGISTER", 10), message("403", "2 INVITE", 20)];
    let log = read_text(&format!("{{\"data\": [{}]}}", messages.join(","))).expect("a log");
    let read: Vec<_> = log.records.iter().map(|record| (record.at_ns - TEN_22_15, record.code)).collect();
    assert_eq!((read, log.others), (vec![(0, None), (10_000_000, Some(401))], 1));
    let first = &log.records[0];
    assert_eq!(
        (first.from.as_str(), first.to.as_str(), first.call_id.as_str()),
        ("sip:a@b.test", "sip:a@b.test", "c1")
    );
}

#[test]
fn other_methods_are_counted() {
    let log = read_text(&format!("{{\"method\":\"INVITE\"}}\n{ONE}")).expect("a log");
    assert_eq!((log.records.len(), log.others), (1, 1));
}

#[test]
fn errors_name_the_place_and_the_remedy() {
    let said = |text: &str| read_text(text).expect_err("an error").to_string();
    let flat = one("5", "403");
    assert_eq!(
        said(&format!("{flat}\n  {{\"method\":\"REGISTER\",\"time\":5}}")),
        "line 2, column 3 (record 2): the record has no \"timestamp\"; it has \"method\", \"time\". \
         Name the key with --field time=KEY"
    );
    assert_eq!(
        said(&one("\"yesterday\"", "403")),
        "line 1, column 1 (record 1): \"timestamp\" is \"yesterday\"; a time is written like \
         \"2026-05-14T10:22:15Z\", or as seconds or milliseconds since 1970"
    );
    assert_eq!(
        said(&one("5", "\"Forbidden\"")),
        "line 1, column 1 (record 1): \"response_code\" is \"Forbidden\"; a response code is a number from 100 to 699, \
         or 0, or left out"
    );
    assert_eq!(
        said(&format!("[{flat},\n 7]")),
        "line 2, column 2 (record 2): a record is a JSON object, and this is a number"
    );
    assert!(
        said(&format!("{flat}\n{{\"method\": REGISTER}}")).starts_with("line 2, column 12 (record 2): this is no JSON")
    );
    assert!(said("[{\"method\":\"REG").contains("(record 1): this is no JSON: EOF"));
    assert_eq!(said(" \n"), "there is no record in it");
    assert_eq!(
        read(b"{}\n  \xff", &Fields::default()).expect_err("no text").to_string(),
        "line 2, column 3: this is no text in UTF-8"
    );
}

proptest! {
    #[test]
    fn never_panics(text in "[\\[\\]{}\",:a-z0-9_\\n \u{e9}\\\\-]{0,80}") {
        let _ = read_text(&text);
    }

    #[test]
    fn a_cut_log_is_an_error_or_shorter(cut in 0usize..400) {
        let flat = one("\"2024-05-14T10:22:15Z\"", "403");
        let whole = format!("{flat}\n{flat}\n{flat}");
        let log = read_text(&whole[..cut.min(whole.len())]);
        prop_assert!(log.is_err() || log.is_ok_and(|log| log.records.len() <= 3));
    }

    #[test]
    fn any_time_in_milliseconds_comes_back(ms in 200_000_000_000i64..4_000_000_000_000) {
        let log = read_text(&one(&ms.to_string(), "200")).expect("a log");
        prop_assert_eq!(log.records[0].at_ns, ms as u64 * 1_000_000);
    }
}
