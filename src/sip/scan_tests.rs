//! Tests of the scanner: tortures in the spirit of RFC 4475, truncation, arbitrary and mutated
//! bytes, and generated messages read back exactly, with `rsip` as the second opinion where its
//! subset reaches.

use super::*;
use crate::sip::fields::number;
use proptest::prelude::*;
use rsip::message::HasHeaders;
use rsip::prelude::{HeadersExt, ToTypedHeader, UntypedHeader};

/// Read by the bench of the wire side too.
const UNAUTHORIZED: &str = include_str!("../../tests/messages/kamailio-401.sip");

/// Everything that is allowed at once: each line is legal or common in the field.
const TORTURE: &str = "\r\n\r\n\
    sip/2.0   200   \r\n\
    UnknownHeader: with \"unclosed quote\r\n\
    v  :  SIP  / 2.0\r\n /UDP\n\t10.0.0.1:5060 ; Branch \r\n =\r\n z9hG4bKtop;x=\";branch=no,\" , SIP/2.0/TCP second;branch=z9hG4bK2\r\n\
    VIA: SIP/2.0/UDP third;branch=z9hG4bK3\r\n\
    a line without its separator\r\n\
    F: \"J. \\\"Rosenberg\\\"\" <sip:j@example.com;tag=uri> ; tag = 98asjd8\r\n\
    tO\t: sip:vivekg@example.com;tag=1918181833n\r\n\
    I:\r\n  0ha0isndaksdj@10.1.1.1 \r\n\
    cseq: 0009\r\n  REGISTER\r\n\
    M: \"Quoted, string\" <sip:a@b>\r\n ,\r\n <sip:c@d>;expires=5\r\n\
    eXPIRES:\t 00300 \r\n\
    Retry-After: 120 (I'm in a meeting);duration=3600\r\n\
    NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n\
    Contact:<sip:e@f>\n\
    l: 5\r\n\r\nbody\n";

#[test]
fn a_challenge_as_kamailio_sends_it() {
    let response = response(UNAUTHORIZED.as_bytes()).expect("a response");
    assert_eq!((response.code, response.reason), (401, &b"Unauthorized"[..]));
    assert_eq!(response.branch, b"z9hG4bK000000010000000200000003");
    assert_eq!(response.call_id(), b"00112233445566778899aabbccddeeff");
    assert_eq!((response.cseq, response.cseq_method), (1, &b"REGISTER"[..]));
    assert_eq!((response.expires(), response.min_expires(), response.retry_after()), (None, None, None));
    assert_eq!(response.headers("www-AUTHENTICATE").count(), 1);
    assert_eq!(response.headers("Server").next(), Some(&b"kamailio (5.6.3 (x86_64/linux))"[..]));
    assert_eq!(response.headers("Warning").count(), 0);
}

#[test]
fn torture_is_read() {
    let response = response(TORTURE.as_bytes()).expect("a response");
    assert_eq!((response.code, response.reason), (200, &b""[..]));
    assert_eq!(response.branch, b"z9hG4bKtop");
    assert_eq!(response.call_id(), b"0ha0isndaksdj@10.1.1.1");
    assert_eq!((response.cseq, response.cseq_method), (9, &b"REGISTER"[..]));
    assert_eq!((response.expires(), response.retry_after(), response.min_expires()), (Some(300), Some(120), None));
    assert!(response.to().ends_with(b"tag=1918181833n"));
    assert!(response.from().starts_with(b"\"J. "));
    assert_eq!(response.headers("via").count(), 2);
    let contacts: Vec<_> = response.headers("Contact").collect();
    assert_eq!(contacts, [&b"\"Quoted, string\" <sip:a@b>\r\n ,\r\n <sip:c@d>;expires=5"[..], b"<sip:e@f>"]);
    assert_eq!(response.headers("Content-Length").next(), Some(&b"5"[..]));
    assert_eq!(
        response.headers("NewFangledHeader").next(),
        Some(&b"newfangled value\r\n continued newfangled value"[..])
    );
}

#[test]
fn requests_of_any_method() {
    let rest = &UNAUTHORIZED["SIP/2.0 401 Unauthorized\r\n".len()..];
    for (line, method, uri) in [
        ("REGISTER sip:example.com SIP/2.0", "REGISTER", "sip:example.com"),
        ("OPTIONS   sip:user@[::1]:5060;transport=udp   sip/2.0  ", "OPTIONS", "sip:user@[::1]:5060;transport=udp"),
        (
            "!interesting-Method0123456789_*+`.%indeed'~ tel:+1 SIP/2.0",
            "!interesting-Method0123456789_*+`.%indeed'~",
            "tel:+1",
        ),
    ] {
        let text = format!("{line}\r\n{rest}");
        let request = request(text.as_bytes()).expect(line);
        assert_eq!((request.method, request.uri), (method.as_bytes(), uri.as_bytes()));
        assert_eq!((request.cseq, request.cseq_method), (1, &b"REGISTER"[..]));
        assert_eq!(request.headers("Call-ID").collect::<Vec<_>>(), [request.call_id]);
    }
}

#[test]
fn start_lines_that_are_none() {
    let rest = &UNAUTHORIZED["SIP/2.0 401 Unauthorized\r\n".len()..];
    for line in [
        "SIP/2.0 99 Early",
        "SIP/2.0 700 Late",
        "SIP/2.0 4294967301 better not break the receiver",
        "SIP/2.0 2000 OK",
        "SIP/2.0 20x OK",
        "SIP/2.0 20",
        "SIP/2.0200 OK",
        "SIP/7.0 200 OK",
        "HTTP/1.1 200 OK",
        "SIP/2.0",
        "REGISTER sip:example.com SIP/2.0",
        "\u{0}",
    ] {
        let result = response(format!("{line}\r\n{rest}").as_bytes()).map(|r| r.code);
        assert_eq!(result, Err(Malformed::StartLine), "{line}");
    }
    for line in [
        "REGISTER sip:example.com SIP/3.0",
        "REGISTER sip:a b@example.com SIP/2.0",
        "REGISTER SIP/2.0",
        "REGISTER  SIP/2.0",
        "REGISTER sip:example.comSIP/2.0",
        " sip:example.com SIP/2.0",
        "REG ISTER",
        "SIP/2.0 200 OK",
    ] {
        let result = request(format!("{line}\r\n{rest}").as_bytes()).map(|r| r.cseq);
        assert_eq!(result, Err(Malformed::StartLine), "{line}");
    }
    for nothing in ["", "\r\n\r\n", "\n"] {
        assert_eq!(response(nothing.as_bytes()).map(|r| r.code), Err(Malformed::StartLine));
    }
}

#[test]
fn mandatory_headers_are_missed() {
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        let text = UNAUTHORIZED.replace(&format!("\n{name}:"), "\nX-Other:");
        assert_eq!(response(text.as_bytes()).map(|r| r.code), Err(Malformed::MissingHeader), "{name}");
    }
    for value in [
        "",
        "REGISTER",
        "1",
        "1REGISTER",
        "-1 REGISTER",
        "4294967296 REGISTER",
        "36893488147419103232 REGISTER",
        "1 \"x\"",
    ] {
        let text = UNAUTHORIZED.replace("CSeq: 1 REGISTER", &format!("CSeq: {value}"));
        assert_eq!(response(text.as_bytes()).map(|r| r.cseq), Err(Malformed::Header), "{value}");
    }
    let text = UNAUTHORIZED.replace(";branch=z9hG4bK", ";no-branch=z9hG4bK");
    assert_eq!(response(text.as_bytes()).map(|r| r.branch.len()), Ok(0));
}

#[test]
fn numbers_out_of_range_do_no_harm() {
    let with = |headers: &str| {
        let text = UNAUTHORIZED.replace("Content-Length", &format!("{headers}\r\nContent-Length"));
        let r = response(text.as_bytes()).expect("a response");
        (r.expires(), r.min_expires(), r.retry_after())
    };
    assert_eq!(
        with("Expires: 4294967296\r\nMin-Expires: 60 \r\nRetry-After: 949302838503028349304023988"),
        (Some(u32::MAX), Some(60), Some(u32::MAX))
    );
    assert_eq!(
        with("Expires: Thu, 01 Dec 1994 16:00:00 GMT\r\nMin-Expires: -5\r\nRetry-After: 18000;duration=3600"),
        (None, None, Some(18000))
    );
    assert_eq!(with("Expires: x\r\nExpires: 7\r\nExpires: 8"), (Some(7), None, None));
}

#[test]
fn the_final_empty_line_may_be_missing_but_no_line_may_be_torn() {
    let head = UNAUTHORIZED.strip_suffix("\r\n").expect("an empty line");
    assert_eq!(response(head.as_bytes()).map(|r| r.code), Ok(401));
    assert_eq!(response(head.trim_end().as_bytes()).map(|r| r.code), Err(Malformed::Truncated));
    let cut = head.find("CSeq").expect("a CSeq");
    assert_eq!(response(&head.as_bytes()[..cut]).map(|r| r.code), Err(Malformed::Truncated));
    let line = "SIP/2.0 401 Unauth";
    assert_eq!(response(line.as_bytes()).map(|r| r.code), Err(Malformed::Truncated));
}

#[test]
fn every_prefix_gives_the_whole_branch_or_none() {
    let full = &b"z9hG4bK000000010000000200000003"[..];
    let from = UNAUTHORIZED.find(";rport").expect("an rport");
    for len in 0..UNAUTHORIZED.len() {
        let found = branch_of(&UNAUTHORIZED.as_bytes()[..len]);
        assert_eq!(found, (len > from).then_some(full), "{len}");
    }
    assert_eq!(branch_of(TORTURE.as_bytes()), Some(&b"z9hG4bKtop"[..]));
    assert_eq!(branch_of(b"REGISTER sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=abc"), None);
    assert_eq!(branch_of(b"REGISTER sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=\"abc"), None);
    assert_eq!(branch_of(b"REGISTER sip:a SIP/2.0\r\nv: SIP/2.0/UDP h;branch=abc;"), Some(&b"abc"[..]));
    assert_eq!(branch_of(b"REGISTER sip:a SIP/2.0\r\n\r\nVia: SIP/2.0/UDP h;branch=abc;"), None);
}

#[test]
fn a_body_is_not_read() {
    let text = format!("{UNAUTHORIZED}Expires: 5\r\nContact: <sip:x@y>\r\n");
    let response = response(text.as_bytes()).expect("a response");
    assert_eq!((response.expires(), response.headers("Contact").count()), (None, 0));
}

#[test]
fn a_body_reaches_as_far_as_its_length_says() {
    let head = "REGISTER sip:b SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bKx\r\nf: <sip:a@b>;tag=1\r\nt: <sip:a@b>\r\ni: c\r\n\
                CSeq: 1 REGISTER\r\n";
    for (rest, body) in [
        ("", ""),
        ("\r\n", ""),
        ("\n\nbody", "\nbody"),
        ("\r\nbody: x\r\n", "body: x\r\n"),
        ("l: 4\r\n\r\nbody and more", "body"),
        ("Content-Length : 4\r\n\r\nbo", "bo"),
        ("Content-Length: soon\r\n\r\nbody", "body"),
        ("Content-Length: 0\r\n\r\nbody", ""),
    ] {
        let text = format!("{head}{rest}");
        assert_eq!(request(text.as_bytes()).expect("a request").body(), body.as_bytes(), "{rest:?}");
    }
}

proptest! {
    #[test]
    fn a_via_reads_the_same_whether_its_branch_is_skipped(
        params in "(;(branch|received|rport|BRANCH|x)(=| = )?[a-z0-9.,\" ]{0,4}){0,4}",
        branch in "[a-z0-9]{1,4}",
    ) {
        let via = format!("SIP/2.0/UDP h:1;branch={branch}{params}");
        let read = super::branch(via.as_bytes());
        prop_assert_eq!(Via::read(via.as_bytes(), read), Via::read(via.as_bytes(), b"\0"));
    }
}

/// Line by line and by the long way: what the one pass has to find too.
fn at_leisure(rest: &[u8]) -> Result<Vec<Option<&[u8]>>, Malformed> {
    let mut lines = HeadLines { rest };
    let (mut single, mut numbers) = ([None; 5], [None; 3]);
    let complete = loop {
        match lines.next_line() {
            Some(HeadLine::Header { name, value }) => match HeaderName::of(name) {
                name
                @ (HeaderName::Via | HeaderName::From | HeaderName::To | HeaderName::CallId | HeaderName::CSeq) => {
                    single[name as usize].get_or_insert(value);
                }
                HeaderName::Expires => numbers[0] = numbers[0].or_else(|| number(value).map(|_| value)),
                HeaderName::MinExpires => numbers[1] = numbers[1].or_else(|| number(value).map(|_| value)),
                HeaderName::RetryAfter => numbers[2] = numbers[2].or_else(|| number(value).map(|_| value)),
                _ => {}
            },
            Some(HeadLine::Other) => {}
            Some(HeadLine::Empty) => break true,
            Some(HeadLine::Cut(_)) => return Err(Malformed::Truncated),
            None => break false,
        }
    };
    if single.iter().any(Option::is_none) {
        return Err(if complete { Malformed::MissingHeader } else { Malformed::Truncated });
    }
    Ok(single.into_iter().chain(numbers).collect())
}

/// All values of the headers with this name, and compact name, by the long way.
fn all_called<'a>(rest: &'a [u8], names: [&str; 2]) -> Vec<&'a [u8]> {
    let mut lines = HeadLines { rest };
    let mut values = Vec::new();
    while let Some(line @ (HeadLine::Header { .. } | HeadLine::Other)) = lines.next_line() {
        if let HeadLine::Header { name, value } = line
            && names.iter().any(|wanted| name.eq_ignore_ascii_case(wanted.as_bytes()))
        {
            values.push(value);
        }
    }
    values
}

/// Holds what the one pass finds in the head of `bytes` against the long way.
fn check_against_leisure(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok((_, rest)) = start_line(bytes) else { return Ok(()) };
    let lines = &rest.text[rest.start..];
    let expected = at_leisure(lines);
    let mut read = Head::of(rest.text, rest.start);
    let result = read.read(rest.feeds);
    prop_assert_eq!(result.err(), expected.as_ref().err().copied());
    let (Ok(()), Ok(expected)) = (result, expected) else { return Ok(()) };
    let found = [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq]
        .map(|name| read.first(name));
    prop_assert_eq!(found.map(Some).to_vec(), expected[..5].to_vec());
    let numbers = [read.expires, read.min_expires, read.retry_after];
    prop_assert_eq!(numbers.to_vec(), expected[5..].iter().map(|value| value.and_then(number)).collect::<Vec<_>>());
    prop_assert_eq!(read.cseq().ok(), read.any_cseq().ok());
    for names in [["WWW-Authenticate"; 2], ["Contact", "m"], ["Authentication-Info"; 2], ["Via", "v"], ["Server"; 2]] {
        prop_assert_eq!(read.called(names[0]).collect::<Vec<_>>(), all_called(lines, names), "{}", names[0]);
    }
    Ok(())
}

/// A message as a table: what was meant, and one of many ways to write it.
#[derive(Clone, Debug)]
struct Meant {
    code: u16,
    reason: String,
    branch: String,
    call_id: String,
    cseq: u32,
    expires: Option<u32>,
    contacts: Vec<String>,
    /// Orders, cases and spacings the headers.
    style: Vec<u8>,
}

fn meant() -> impl Strategy<Value = Meant> {
    (
        (100u16..700, "([A-Z][a-z]{1,8}( [A-Z][a-z]{1,8}){0,2})?", "z9hG4bK[a-zA-Z0-9]{1,30}"),
        ("[a-zA-Z0-9]{1,32}(@[a-z0-9.]{1,16})?", any::<u32>(), any::<Option<u32>>()),
        (proptest::collection::vec("[a-z0-9]{1,10}", 0..3), proptest::collection::vec(any::<u8>(), 12)),
    )
        .prop_map(|((code, reason, branch), (call_id, cseq, expires), (contacts, style))| Meant {
            code,
            reason,
            branch,
            call_id,
            cseq,
            expires,
            contacts: contacts.into_iter().map(|user| format!("<sip:{user}@10.0.0.1:5060>")).collect(),
            style,
        })
}

impl Meant {
    /// (name, compact name, value), in the order the style asks for.
    fn headers(&self) -> Vec<(&'static str, &'static str, String)> {
        let mut headers = vec![
            ("Via", "v", format!("SIP/2.0/UDP 10.0.0.1:5060;branch={};rport=5060", self.branch)),
            ("From", "f", "<sip:a@example.com>;tag=1".to_owned()),
            ("To", "t", "<sip:a@example.com>;tag=2".to_owned()),
            ("Call-ID", "i", self.call_id.clone()),
            ("CSeq", "CSeq", format!("{} REGISTER", self.cseq)),
            ("X-Filler", "x-filler", "a: b; c=\"d\"".to_owned()),
        ];
        headers.extend(self.expires.map(|expires| ("Expires", "Expires", expires.to_string())));
        headers.extend(self.contacts.iter().map(|contact| ("Contact", "m", contact.clone())));
        // A sort by random keys that keeps the contacts, which carry the last keys, in order.
        let split = headers.len() - self.contacts.len();
        let mut keyed: Vec<_> = self.style.iter().cycle().zip(headers.drain(..split)).collect();
        keyed.sort_by_key(|(key, _)| **key);
        let mut shuffled: Vec<_> = keyed.into_iter().map(|(_, header)| header).collect();
        shuffled.extend(headers);
        shuffled
    }

    fn plain(&self) -> String {
        let lines: String = self.headers().into_iter().map(|(name, _, value)| format!("{name}: {value}\r\n")).collect();
        format!("SIP/2.0 {} {}\r\n{lines}Content-Length: 0\r\n\r\n", self.code, self.reason)
    }

    fn dressed(&self) -> String {
        let mut text = format!("\r\nsip/2.0  {} {}\n", self.code, self.reason);
        for (n, (name, compact, value)) in self.headers().into_iter().enumerate() {
            let style = self.style[n % self.style.len()];
            let name = if style & 1 == 0 { name.to_owned() } else { compact.to_uppercase() };
            let name = if style & 2 == 0 { name } else { name.to_lowercase() };
            let colon = [":", " \t: ", ":\r\n ", ": \n\t"][usize::from(style >> 2 & 3)];
            let value = if style & 16 == 0 { value } else { value.replace(' ', "\r\n   ").replace(';', " ; ") };
            let end = ["\r\n", "\n", " \r\n", "\r\n \r\n"][usize::from(style >> 5 & 3)];
            text.push_str(&format!("{name}{colon}{value}{end}"));
        }
        text + "\r\n"
    }

    fn check(&self, text: &str) -> Result<(), TestCaseError> {
        let read = response(text.as_bytes()).map_err(|e| TestCaseError::fail(format!("{e}: {text:?}")))?;
        prop_assert_eq!((read.code, read.reason), (self.code, self.reason.as_bytes()));
        prop_assert_eq!(read.branch, self.branch.as_bytes());
        prop_assert_eq!(branch_of(text.as_bytes()), Some(self.branch.as_bytes()));
        prop_assert_eq!((read.call_id(), read.cseq), (self.call_id.as_bytes(), self.cseq));
        prop_assert_eq!((read.cseq_method, read.expires()), (&b"REGISTER"[..], self.expires));
        let contacts: Vec<_> = read.headers("Contact").collect();
        prop_assert_eq!(contacts, self.contacts.iter().map(String::as_bytes).collect::<Vec<_>>());
        Ok(())
    }
}

proptest! {
    #[test]
    fn never_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = (response(&bytes), request(&bytes), branch_of(&bytes));
    }

    #[test]
    fn a_branch_of_ours_is_the_same_by_the_short_way(own in "z9hG4bK[0-9a-f]{23,25}-{0,3}[.;, =\"a]?-?") {
        let via = format!("SIP/2.0/UDP h;branch={own}");
        let long = via_parts(via.as_bytes()).1.value("branch").unwrap_or_default();
        prop_assert_eq!(branch(via.as_bytes()), long);
    }

    #[test]
    fn a_branch_is_the_same_by_the_short_way(via in "SIP/2\\.0/UDP h(;|,|\"|;branch=|;Branch=|=|branch| |\r\n |z9hG4bK|\\\\|[a-z]){0,12}") {
        let long = via_parts(via.as_bytes()).1.value("branch").unwrap_or_default();
        prop_assert_eq!(branch(via.as_bytes()), long);
    }

    #[test]
    fn one_pass_finds_what_the_long_way_finds(lines in proptest::collection::vec(
        "(Via|From|To|Call-ID|CSeq|Contact|Expires|WWW-Authenticate|Content-Length|Server|v|t|via|CSEQ|X|)( ?: ?|:\r\n )[a1 ]{0,3}(1|;b=\"c\"| REGISTER)?( |\r\n |\n\t)?(\r\n|\n|\r\n\r\n)",
        0..14,
    ), ordinary: bool) {
        let ordinary = if ordinary { "Via: a\r\nFrom: b\r\nTo: c\r\nCall-ID: d\r\nCSeq: 7 REGISTER\r\n" } else { "" };
        check_against_leisure(format!("SIP/2.0 200 OK\r\n{ordinary}{}", lines.concat()).as_bytes())?;
    }

    #[test]
    fn a_via_that_is_ours_says_so_by_the_long_way(
        head in "SIP/2\\.0/(UDP|TCP|udp) (h:1|h:2|h)",
        branch in "(;branch=z9hG4bK(0{8}[0-9a-f]{16}|[a-z]{0,3}|\"))?",
        params in "(;(rport|received|ttl)(=| =)?(h|40000|4x|\"h\"|h2|)){0,3}",
        rest in "(,| |;|\\\\)?",
    ) {
        let text = UNAUTHORIZED.replacen("Via: ", &format!("Via: {head}{branch}{params}{rest}\r\nVia: "), 1);
        let read = response(text.as_bytes()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        if read.via_is_ours(b"h:1", b"h") {
            let via = read.topmost_via();
            prop_assert_eq!(via.sent_by, b"h:1");
            prop_assert!(via.received.is_none_or(|received| received == b"h"));
        }
    }

    #[test]
    fn never_panics_on_mutated_messages(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..12),
        torture: bool, request_line: bool,
    ) {
        let text = if torture { TORTURE } else { UNAUTHORIZED };
        let text = if request_line { text.replacen("SIP/2.0 401 Unauthorized", "REGISTER sip:a SIP/2.0", 1) } else { text.to_owned() };
        let mut bytes = text.into_bytes();
        for (at, byte, kind) in changes {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        let _ = branch_of(&bytes);
        check_against_leisure(&bytes)?;
        if let Ok(read) = response(&bytes) {
            prop_assert!((100..700).contains(&read.code) && !read.cseq_method.is_empty());
            let _ = (read.headers("WWW-Authenticate").count(), read.headers("Via").count(), read.topmost_via());
        }
        if let Ok(read) = request(&bytes) {
            prop_assert!(read.body().len() < bytes.len());
            prop_assert!(!read.method.is_empty() && !read.uri.is_empty());
        }
    }

    #[test]
    fn what_was_meant_is_read_however_it_is_written(meant in meant()) {
        meant.check(&meant.plain())?;
        meant.check(&meant.dressed())?;
        check_against_leisure(meant.plain().as_bytes())?;
        check_against_leisure(meant.dressed().as_bytes())?;
    }

    #[test]
    fn rsip_reads_the_same(meant in meant()) {
        let text = meant.plain();
        let second = rsip::Response::try_from(text.as_str()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let read = response(text.as_bytes()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(u16::from(second.status_code.clone()), read.code);
        prop_assert_eq!(second.call_id_header().expect("a Call-ID").value().as_bytes(), read.call_id());
        let cseq = second.cseq_header().expect("a CSeq").typed().map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(cseq.seq, read.cseq);
        let via = second.via_header().expect("a Via").typed().map_err(|e| TestCaseError::fail(e.to_string()))?;
        let branch = via.branch().expect("a branch").to_string();
        prop_assert_eq!(branch.as_bytes(), read.branch);
        prop_assert_eq!(second.headers().iter().filter(|h| matches!(h, rsip::Header::Contact(_))).count(), meant.contacts.len());
    }
}
