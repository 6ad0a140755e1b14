//! What an answer to a REGISTER tells for the evidence, whoever sent the request: our agent, or a
//! phone that was observed. What it does to the exchange is [`super::exchange`]'s.
//!
//! Read first: RFC 3261 §10.2 and §18.2.

use crate::measure::{Echo, Offer};
use crate::sip::Response;
use crate::sip::challenge::Offered;
use crate::sip::contact::{Binding, Own};
use crate::vocab::Time;
use std::net::IpAddr;

/// What a 401 or 407 has on offer; `answered` with this algorithm.
pub fn offer<'a>(offered: &Offered<'a>, answered: Option<u8>, stale: bool, at: Time) -> Offer<'a> {
    let bits = offered.algorithms.bits() | u8::from(offered.unknown) << 7;
    Offer { at, realm: offered.realm, offered: bits, answered, stale }
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
    let address = |text: &[u8]| -> Option<IpAddr> {
        let bare = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).unwrap_or(text);
        std::str::from_utf8(bare).ok()?.parse().ok()
    };
    a == b || address(a).is_some_and(|a| address(b) == Some(a))
}

#[cfg(test)]
mod tests {
    use super::*;

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
