//! What an answer to a REGISTER tells for the evidence, whoever sent the request: our agent, or a
//! phone that was observed. What it does to the exchange is [`super::exchange`]'s.
//!
//! Read first: RFC 3261 §10.2 and §18.2.

use crate::measure::{AnswerForm, BY_PROXY, Echo, Event, Marks, Offer, RoutingWord, Words, fold};
use crate::sip::challenge::{Offered, Role};
use crate::sip::contact::{self, Binding, Own};
use crate::sip::uri::host_address;
use crate::sip::{Algorithm, Response};
use crate::vocab::{AgentId, Time};

/// What a 401 or 407 has on offer; `answered` with this algorithm.
pub fn offer<'a>(role: Role, offered: &Offered<'a>, answered: Option<u8>, stale: bool, at: Time) -> Offer<'a> {
    let bits = offer_bits(role, offered);
    Offer { at, realm: offered.realm, offered: bits, answered, stale, nonce_length: 0 }
}

const _: () = assert!(Algorithm::ALL.len() <= BY_PROXY.trailing_zeros() as usize);

/// See [`Offer::offered`].
pub fn offer_bits(role: Role, offered: &Offered<'_>) -> u8 {
    let by_proxy = if role == Role::Proxy { BY_PROXY } else { 0 };
    offered.algorithms.bits() | by_proxy | u8::from(offered.unknown) << 7
}

/// Whether the 2xx to this request is looked at more closely. All of them would cost as much as
/// reading the answer; one in sixty-four shows the machines behind an address just as well.
pub fn is_sampled(agent: AgentId, serial: u32) -> bool {
    let early = agent.0 < ALWAYS && serial < FEW_REQUESTS;
    early || agent.0.wrapping_mul(5).wrapping_add(serial).is_multiple_of(ONE_IN)
}

/// Who answered.
pub fn marks<'a>(response: &Response<'a>) -> Marks<'a> {
    let (mut server, mut agent) = (None, None);
    let mut order = 0u16;
    for (name, value) in response.walk() {
        let ([first, .., last] | [first @ last]) = name else { continue };
        match (first, name.len()) {
            // The headers that every answer has, told by their ends.
            _ if matches!(name, b"Via" | b"From" | b"To" | b"Call-ID" | b"CSeq" | [_]) => {
                order = order.rotate_left(3) ^ u16::from(first.wrapping_mul(7) ^ last);
            }
            (b'S' | b's', 6) if name.eq_ignore_ascii_case(b"Server") => _ = server.get_or_insert(value),
            (b'U' | b'u', 10) if name.eq_ignore_ascii_case(b"User-Agent") => _ = agent.get_or_insert(value),
            _ => {}
        }
    }
    let (tag, stem) = tag_form(response.to_tag());
    let received = response.topmost_via().received.is_some();
    Marks { software: server.or(agent).unwrap_or_default(), form: AnswerForm { stem, tag, order, received } }
}

/// How a To tag is built, as bits that do not depend on its random part, and the digest of the part
/// that is the same in all of this machine's tags.
fn tag_form(tag: &[u8]) -> (u8, u32) {
    let has = |byte: u8| u8::from(tag.contains(&byte));
    let words = tag.iter().any(|b| b.is_ascii_alphabetic() && !b.is_ascii_hexdigit());
    let length = match tag.len() {
        0 => 0,
        1..=12 => 1,
        13..=24 => 2,
        _ => 3,
    };
    let form = u8::from(words) | has(b'.') << 1 | has(b'-') << 2 | has(b'_') << 3 | length << 4;
    // Kamailio and OpenSIPS: 32 hexadecimal digits of the machine, a separator, the request's own.
    let stem = match tag.split_first_chunk::<32>() {
        Some((stem, [b'.' | b'-', ..])) if stem.iter().all(u8::is_ascii_hexdigit) => fold(stem),
        _ => 0,
    };
    (form, stem)
}

/// What a 2xx says of the way requests take, and of the addresses a phone has.
pub fn route(response: &Response<'_>, events: &mut impl FnMut(Event<'_>)) {
    for (name, word) in [("Path", RoutingWord::Path), ("Service-Route", RoutingWord::ServiceRoute)] {
        response.headers(name).for_each(|text| events(Event::Routing { word, text }));
    }
    for (name, word) in [("pub-gruu", RoutingWord::PubGruu), ("temp-gruu", RoutingWord::TempGruu)] {
        contact::parameters(response, name).for_each(|text| events(Event::Routing { word, text }));
    }
    if let Some(text) = response.overload() {
        events(Event::Routing { word: RoutingWord::Overload, text });
    }
}

/// What a refusal says in words beside its reason phrase.
pub fn words<'a>(response: &Response<'a>) -> Words<'a> {
    let mut words = Words::default();
    let mut is_text = false;
    for (name, value) in response.walk() {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.first().map(u8::to_ascii_lowercase) {
            Some(b'w') if is("Warning") && words.warning.is_empty() => words.warning = between(value, b'"', b'"'),
            Some(b'r') if is("Reason") && words.reason.is_empty() => words.reason = between(value, b'"', b'"'),
            Some(b'r') if is("Retry-After") => words.comment = between(value, b'(', b')'),
            Some(b'c') if is("Content-Type") || name.eq_ignore_ascii_case(b"c") => {
                is_text = value.get(..5).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/"));
            }
            _ => {}
        }
    }
    if is_text {
        words.body = response.body().trim_ascii();
    }
    words
}

/// What stands between the first of `open` and the next of `close`; empty where there is none.
fn between(text: &[u8], open: u8, close: u8) -> &[u8] {
    let inside = text.iter().position(|&b| b == open).map_or(&text[..0], |at| &text[at + 1..]);
    inside.iter().position(|&b| b == close).map_or(&text[..0], |end| &inside[..end])
}

/// What came back of our Contact and Via, and the first of them that is not ours.
///
/// `sent_by` is the request's own Via as it was sent.
pub fn echo<'a>(response: &Response<'a>, binding: &Binding<'a>, sent_by: &[u8]) -> (Echo, &'a [u8]) {
    let own_host = &sent_by[..sent_by.iter().rposition(|&b| b == b':').unwrap_or(sent_by.len())];
    let contact_rewritten = matches!(binding.own, Own::Elsewhere(_));
    let contact_absent = matches!(binding.own, Own::Missing | Own::NoneListed);
    if !contact_rewritten && response.via_is_ours(sent_by, own_host) {
        return (Echo { contact_absent, ..Echo::default() }, b"");
    }
    let via = response.topmost_via();
    let elsewhere = !via.sent_by.eq_ignore_ascii_case(sent_by);
    let echo = Echo {
        contact_rewritten,
        contact_absent,
        via_rewritten: !via.sent_by.is_empty() && elsewhere,
        translated: via.received.is_some_and(|received| !is_same_host(received, own_host)),
    };
    let example = match binding.own {
        Own::Elsewhere(at) => at,
        _ if echo.via_rewritten => via.sent_by,
        _ => via.received.filter(|_| echo.translated).unwrap_or_default(),
    };
    (echo, example)
}

/// Whether two texts name one host. An IPv6 address stands in brackets in a sent-by and without
/// them in `received` (RFC 3261 §25.1), though some write them there too (RFC 5118 §4.5), and may
/// be written in several ways.
fn is_same_host(a: &[u8], b: &[u8]) -> bool {
    a == b || host_address(a).is_some_and(|a| host_address(b) == Some(a))
}

/// Of so many agents the first requests are always looked at: a small run has few.
const ALWAYS: u32 = 256;
const FEW_REQUESTS: u32 = 4;
/// Of all others one in so many.
const ONE_IN: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::scan;

    fn marks_of(head: &str) -> (String, AnswerForm) {
        let text = format!("SIP/2.0 403 Forbidden\r\n{head}\r\nCSeq: 1 REGISTER\r\nFrom: <sip:a@x>\r\n\r\n");
        let response = scan::response(text.as_bytes()).expect("a response");
        let marks = marks(&response);
        (String::from_utf8_lossy(marks.software).into_owned(), marks.form)
    }

    #[test]
    fn a_machine_is_known_by_its_name_its_tags_and_its_order() {
        let via = "Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\nCall-ID: 1";
        let tag = |tag: &str| marks_of(&format!("{via}\r\nTo: <sip:a@x>;tag={tag}"));
        let (software, first) = tag("b27e1a1d33761e85846fc98f5f3a7e58.8fd4");
        assert_eq!(software, "");
        assert_eq!(first, tag("b27e1a1d33761e85846fc98f5f3a7e58.10").1);
        assert_ne!(first.stem, tag("c27e1a1d33761e85846fc98f5f3a7e58.8fd4").1.stem);
        assert_eq!(tag("as1b2c3d4e").1, tag("as99887766").1);
        assert_ne!(tag("as1b2c3d4e").1, tag("00112233").1);
        let named = |name: &str| marks_of(&format!("{via}\r\nTo: <sip:a@x>;tag=1\r\n{name}")).0;
        assert_eq!(named("User-Agent: Asterisk PBX 20\r\nserver: edge-2"), "edge-2");
        assert_eq!(named("User-Agent: Asterisk PBX 20"), "Asterisk PBX 20");
        let reordered = marks_of("To: <sip:a@x>;tag=1\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nCall-ID: 1").1;
        assert_ne!(reordered.order, tag("1").1.order);
    }

    #[test]
    fn a_refusal_is_quoted() {
        let text = "SIP/2.0 403 Forbidden\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nTo: <sip:a@x>;tag=1\r\n\
                    From: <sip:a@x>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\nWarning: 399 pbx \"licence used up\"\r\n\
                    Reason: SIP;cause=403;text=\"no more seats\"\r\nRetry-After: 60 (full until noon)\r\n\
                    Content-Type: text/plain\r\nContent-Length: 8\r\n\r\nCall us.rubbish";
        let response = scan::response(text.as_bytes()).expect("a response");
        let found = words(&response);
        assert_eq!((found.warning, found.reason), (&b"licence used up"[..], &b"no more seats"[..]));
        assert_eq!((found.comment, found.body), (&b"full until noon"[..], &b"Call us."[..]));
        let bare = text.replace("Warning: 399", "Xarning: 399").replace("text/plain", "application/sdp");
        let response = scan::response(bare.as_bytes()).expect("a response");
        assert_eq!((words(&response).warning, words(&response).body), (&b""[..], &b""[..]));
    }

    #[test]
    fn an_address_is_itself_however_it_is_written() {
        for (a, b) in
            [("::1", "[::1]"), ("[::1]", "[0:0:0:0:0:0:0:1]"), ("2001:DB8::5", "[2001:db8::5]"), ("x.test", "x.test")]
        {
            assert!(is_same_host(a.as_bytes(), b.as_bytes()), "{a} {b}");
        }
        for (a, b) in [("::1", "[::2]"), ("127.0.0.1", "127.0.0.2"), ("", "[::1]"), ("x.test", "[::1]")] {
            assert!(!is_same_host(a.as_bytes(), b.as_bytes()), "{a} {b}");
        }
    }
}
