//! The address of record of a request, and the hosts faults and digests look at (RFC 3261 §10.3
//! step 5, §19.1.1, §20.39).
//!
//! A reader for foreign bytes, liberal as the scanner is; nothing is rewritten but the canonical
//! form itself.

use std::net::{Ipv4Addr, Ipv6Addr};

/// User and host of a SIP URI, without password, port and parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address<'a> {
    /// Empty when the URI has no user.
    pub user: &'a [u8],
    /// With brackets for an IPv6 address.
    pub host: &'a [u8],
}

impl<'a> Address<'a> {
    /// Reads `sip:user:password@host:port;parameters?headers`, `sips:` as well.
    pub(super) fn parse(uri: &'a [u8]) -> Option<Address<'a>> {
        let colon = uri.iter().position(|&b| b == b':')?;
        let (scheme, rest) = (&uri[..colon], &uri[colon + 1..]);
        if !scheme.eq_ignore_ascii_case(b"sip") && !scheme.eq_ignore_ascii_case(b"sips") {
            return None;
        }
        // `;` and `?` may stand within the user, so the `@` is looked for first.
        let (user, rest) = split_once(rest, b'@').unwrap_or((b"", rest));
        let user = split_once(user, b':').map_or(user, |(user, _password)| user);
        let host = host(rest);
        let readable = !host.is_empty() && host.iter().all(|&b| b.is_ascii_graphic() && b != b'@');
        readable.then_some(Address { user, host })
    }

    /// Reads the URI of a `To` or `From` value: `"Name" <uri>;tag=…` or `uri;tag=…`.
    pub(super) fn of_header(value: &'a [u8]) -> Option<Address<'a>> {
        match outside_quotes(value, b'<') {
            Some(open) => {
                let rest = &value[open + 1..];
                let close = rest.iter().position(|&b| b == b'>')?;
                Address::parse(rest[..close].trim_ascii())
            }
            None => Address::parse(value.trim_ascii()),
        }
    }

    /// Writes the canonical form `user@host`: escapes of the user resolved, host in lower case.
    pub(super) fn write_canonical(&self, out: &mut Vec<u8>) {
        out.clear();
        let mut rest = self.user;
        while let [first, tail @ ..] = rest {
            let escaped = (*first == b'%').then(|| tail.first_chunk::<2>().and_then(unescape)).flatten();
            out.push(escaped.unwrap_or(*first));
            rest = if escaped.is_some() { &tail[2..] } else { tail };
        }
        out.push(b'@');
        out.extend(self.host.iter().map(u8::to_ascii_lowercase));
    }
}

/// User and host of a canonical form; a host never contains `@`, so the last one divides them.
pub(super) fn split_canonical(key: &[u8]) -> (&[u8], &[u8]) {
    match key.iter().rposition(|&b| b == b'@') {
        Some(at) => (&key[..at], &key[at + 1..]),
        None => (b"", key),
    }
}

/// Whether a digest's `uri` means the Request-URI: the same bytes, or the same user and host
/// whatever the port and parameters say, since proxies add and remove those.
///
/// A bare IP address is let pass too: SIPp writes the one it sends to, whatever the Request-URI
/// (unless told otherwise by `-auth_uri`), and the registrars it is used with do not look.
pub(super) fn same_target(digest_uri: &[u8], request_uri: &[u8]) -> bool {
    digest_uri == request_uri
        || match (Address::parse(digest_uri), Address::parse(request_uri)) {
            (Some(a), Some(b)) => {
                (a.user == b.user && a.host.eq_ignore_ascii_case(b.host)) || (a.user.is_empty() && is_ip(a.host))
            }
            _ => false,
        }
}

/// Whether a host is an IPv4 address, or an IPv6 one in brackets.
fn is_ip(host: &[u8]) -> bool {
    let text = str::from_utf8(host).unwrap_or_default();
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => text.parse::<Ipv4Addr>().is_ok(),
    }
}

fn host(rest: &[u8]) -> &[u8] {
    let end = rest.iter().position(|b| b";?>, \t\r\n".contains(b)).unwrap_or(rest.len());
    let hostport = &rest[..end];
    let (from, close) = if hostport.first() == Some(&b'[') {
        (1, hostport.iter().position(|&b| b == b']').map_or(hostport.len(), |n| n + 1))
    } else {
        (0, hostport.iter().position(|&b| b == b':').unwrap_or(hostport.len()))
    };
    if from > close { hostport } else { &hostport[..close] }
}

/// Position of the first `wanted` outside quoted strings.
fn outside_quotes(value: &[u8], wanted: u8) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (n, &byte) in value.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == wanted && !quoted => return Some(n),
            _ => {}
        }
    }
    None
}

fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let n = text.iter().position(|&b| b == at)?;
    Some((&text[..n], &text[n + 1..]))
}

fn unescape(digits: &[u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|d| (d as char).to_digit(16));
    u8::try_from(high? << 4 | low?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(value: &str) -> Option<String> {
        let mut out = Vec::new();
        Address::of_header(value.as_bytes())?.write_canonical(&mut out);
        Some(String::from_utf8(out).expect("ASCII in, ASCII out"))
    }

    #[test]
    fn to_headers_in_all_their_forms() {
        for (value, expected) in [
            ("<sip:bob@example.test>;tag=1", Some("bob@example.test")),
            ("sip:bob@example.test;tag=1", Some("bob@example.test")),
            ("\"A <sip:x@y> \\\" B\" <sip:bob@Example.TEST:5070;transport=tcp>", Some("bob@example.test")),
            ("Bob <sips:b%6Fb:pw@example.test?x=y>", Some("bob@example.test")),
            ("<sip:a;b?c@example.test>", Some("a;b?c@example.test")),
            ("<sip:bob@[2001:DB8::1]:5060>", Some("bob@[2001:db8::1]")),
            ("<sip:example.test>", Some("@example.test")),
            ("<sip:100%@example.test>", Some("100%@example.test")),
            ("<tel:+123>", None),
            ("<sip:bob@>", None),
            ("<sip:bob@a@b>", None),
            ("\"unclosed <sip:bob@example.test>", None),
            ("", None),
        ] {
            assert_eq!(canonical(value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn digest_uris_are_compared_leniently() {
        for (a, b, same) in [
            ("sip:example.test", "sip:example.test", true),
            ("sip:Example.test:5060", "sip:example.test;transport=udp", true),
            ("sip:example.test", "sip:other.test", false),
            ("sip:bob@example.test", "sip:example.test", false),
            ("sip:127.0.0.1:38519", "sip:example.test", true),
            ("sip:[::1]:5060", "sip:example.test", true),
            ("sip:bob@127.0.0.1", "sip:example.test", false),
            ("sip:example.test", "sip:127.0.0.1", false),
            ("nonsense", "nonsense", true),
            ("nonsense", "sip:example.test", false),
        ] {
            assert_eq!(same_target(a.as_bytes(), b.as_bytes()), same, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..60), tail in "[<\"sip:@;%>a\\\\\\[\\]]{0,30}") {
            for value in [&bytes[..], tail.as_bytes(), format!("sip:{tail}").as_bytes()] {
                if let Some(address) = Address::of_header(value) {
                    let mut key = Vec::new();
                    address.write_canonical(&mut key);
                    let (_, host) = split_canonical(&key);
                    prop_assert!(host.eq_ignore_ascii_case(address.host));
                }
                let _ = same_target(value, &bytes);
            }
        }
    }
}
