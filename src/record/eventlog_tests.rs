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
        from: "<sip:agent_jdoe@genesyscloud.com>".into(),
        to: "<sip:genesyscloud.com>".into(),
        code: Some(403),
        reason: "Forbidden".into(),
        trunk: "".into(),
        call_id: "".into(),
    };
    assert_eq!(log, EventLog { records: vec![record], ..EventLog::default() });
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
    assert_eq!((&*record.from, record.code, &*record.trunk), ("a", Some(486), "nj-1"));
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
    assert_eq!((&*first.from, &*first.to, &*first.call_id), ("sip:a@b.test", "sip:a@b.test", "c1"));
}

#[test]
fn what_a_search_engine_exports_is_a_log() {
    let flat = one("\"2024-05-14T10:22:15Z\"", "403");
    let expected = read_text(&format!("[{flat},{flat}]")).expect("an array");
    let hit = |of: &str| format!("{{\"_index\":\"sip\",\"_id\":\"1\",\"_source\":{of}}}");
    let hits = format!("{{\"total\":{{\"value\":2}},\"max_score\":1.0,\"hits\":[{},{}]}}", hit(&flat), hit(&flat));
    for text in [
        format!("{{\"took\":3,\"_shards\":{{\"total\":1}},\"hits\":{hits}}}"),
        format!("{}\n{}\n", hit(&flat), hit(&flat)),
        format!("[{},{}]", hit(&flat), hit(&flat)),
    ] {
        assert_eq!(read_text(&text).as_ref(), Ok(&expected), "{text}");
    }
    let fields = "{\"_index\":\"sip\",\"fields\":{\"method\":[\"REGISTER\"],\"sip_from\":[\"<sip:a@b>\"],\
                  \"response_code\":[403],\"timestamp\":[\"2024-05-14T10:22:15Z\"]}}";
    assert_eq!(read_text(fields).expect("fields").records, expected.records[..1]);
}

/// Homer 5 keeps a row for each message, Homer 7 an object with its addresses.
#[test]
fn a_store_may_keep_the_message_itself() {
    let message = "REGISTER sip:b.test SIP/2.0\\r\\nCall-ID: c1\\r\\n\\r\\n";
    let seven = format!(
        r#"{{"sid":"c1","protocol_header":{{"protocol":17,"srcIp":"192.0.2.1","dstIp":"192.0.2.2","srcPort":5080,
           "dstPort":5060,"timeSeconds":1715682135,"timeUseconds":250000}},"data_header":{{"method":"REGISTER"}},"raw":"{message}"}}"#
    );
    let five = format!(
        r#"{{"id":7,"date":"2024-05-14 10:22:15","micro_ts":1715682135250000,"method":"REGISTER","source_ip":"192.0.2.1",
           "source_port":5080,"destination_ip":"192.0.2.2","destination_port":5060,"msg":"{}"}}"#,
        message.replace("\\r", "")
    );
    for text in [format!("{{\"total\":1,\"data\":[{seven}]}}"), five] {
        let log = read_text(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let [message] = &log.messages[..] else { panic!("{log:?}") };
        assert_eq!((message.at_ns, message.from.port(), message.to.port()), (TEN_22_15 + 250_000_000, 5080, 5060));
        assert!(message.bytes.ends_with(b"Call-ID: c1\r\n\r\n"), "{:?}", String::from_utf8_lossy(&message.bytes));
        assert_eq!((log.records.len(), log.others), (0, 0));
    }
}

#[test]
fn dots_stand_in_keys_and_between_them() {
    let mut fields = Fields::default();
    for assignment in ["user=sip.from.uri", "code=sip.response.code"] {
        fields.assign(assignment).expect(assignment);
    }
    for sip in [
        "\"sip.from.uri\":\"a\",\"sip.response.code\":403",
        "\"sip\":{\"from.uri\":\"a\",\"response\":{\"code\":403}}",
        "\"sip.from\":{\"uri\":\"a\"},\"sip\":{\"response.code\":403}",
        "\"sip\":null,\"sip.from\":{\"uri\":\"a\"},\"sip.response\":{\"code\":\"403\"}",
    ] {
        let text = format!("{{\"method\":\"REGISTER\",\"timestamp\":5,{sip}}}");
        let record = read(text.as_bytes(), &fields).unwrap_or_else(|error| panic!("{text}: {error}")).records.remove(0);
        assert_eq!((&*record.from, record.code), ("a", Some(403)), "{text}");
    }
}

#[test]
fn a_code_may_come_with_its_words() {
    for (code, number, reason) in [
        ("\"401 Unauthorized\"", 401, "Unauthorized"),
        ("\"SIP/2.0 403 Not you\"", 403, "Not you"),
        ("\"503 - Service Unavailable\"", 503, "- Service Unavailable"),
        ("[486]", 486, ""),
        ("\"403\"", 403, ""),
    ] {
        let log = read_text(&one("5", code)).unwrap_or_else(|error| panic!("{code}: {error}"));
        assert_eq!((log.records[0].code, &*log.records[0].reason), (Some(number), reason));
    }
    let own =
        r#"{"method":"REGISTER","sip_from":"a","response_code":"403 Forbidden","reason_phrase":"Quota","timestamp":5}"#;
    assert_eq!(read_text(own).expect("a log").records[0].reason.as_ref(), "Quota");
    assert!(read_text(&one("5", "\"4031\"")).is_err() && read_text(&one("5", "\"401x\"")).is_err());
}

/// A source of so many bytes made of repetitions, so that no test holds them.
fn long(head: String, record: String, times: u64, tail: &str) -> impl Read {
    struct Again(Vec<u8>, usize, u64);
    impl Read for Again {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.2 == 0 {
                return Ok(0);
            }
            let length = buffer.len().min(self.0.len() - self.1);
            buffer[..length].copy_from_slice(&self.0[self.1..self.1 + length]);
            self.1 = (self.1 + length) % self.0.len();
            self.2 -= u64::from(self.1 == 0);
            Ok(length)
        }
    }
    io::Cursor::new(head).chain(Again(record.into_bytes(), 0, times)).chain(io::Cursor::new(tail.to_owned()))
}

#[test]
fn a_log_longer_than_any_value_is_read_as_it_comes() {
    let other = format!("{{\"method\":\"INVITE\",\"why\":\"{}\"}},\n", "x".repeat(1_000));
    let one = one("5", "403");
    for (head, tail, records) in [
        (format!("[{one},"), "{}]", 1),
        (format!("{one}\n"), "", 1),
        (format!("{{\"took\":1,\"_shards\":[1,2],\"hits\":{{\"total\":9,\"hits\":[{one},"), "{}],\"x\":{}}}", 1),
    ] {
        let tail = tail.replace("{}", &one);
        let log = read_from(long(head, other.clone(), 10_000, &tail), &Fields::default()).expect("a log");
        let more = usize::from(!tail.is_empty());
        assert_eq!((log.records.len(), log.others), (records + more, 10_000));
    }
    // A record of 1 GB is none, and nobody holds it.
    for (begin, column) in [("[", 2), ("", 26)] {
        let head = format!("{begin}{{\"method\":\"REGISTER\",\"x\":\"");
        let refused = read_from(long(head, "y".repeat(1 << 16), 1 << 14, "\"}"), &Fields::default());
        let error = refused.expect_err("too long").to_string();
        let expected = format!("line 1, column {column} (record 1): a value of more than 4 MB is no record");
        assert!(error.starts_with(&expected), "{error}");
    }
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
        read(b"[]\n  \xff", &Fields::default()).expect_err("no text").to_string(),
        "line 2, column 3: this is no text in UTF-8"
    );
}

proptest! {
    /// However a source hands it out.
    #[test]
    fn a_log_in_small_pieces_is_the_same(lengths in proptest::collection::vec(1usize..40, 1..40)) {
        let flat = one("\"2024-05-14T10:22:15Z\"", "\"403 No\\\"}\"");
        let text = format!("[{flat},\n{flat}]\n{{\"entities\":[{flat}]}}");
        struct Slow<'a>(&'a [u8], std::iter::Cycle<std::vec::IntoIter<usize>>);
        impl Read for Slow<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let length = self.1.next().unwrap_or(1).min(self.0.len()).min(buffer.len());
                let (now, later) = self.0.split_at(length);
                buffer[..length].copy_from_slice(now);
                self.0 = later;
                Ok(length)
            }
        }
        let slow = read_from(Slow(text.as_bytes(), lengths.into_iter().cycle()), &Fields::default());
        prop_assert_eq!(slow, read_text(&text));
    }

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
