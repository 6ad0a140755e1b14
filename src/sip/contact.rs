//! Contact header values: which binding is ours, and for how long (RFC 3261 §10.2.1.1, §10.3,
//! §20.10).
//!
//! Addresses are compared as far as a registration needs it: user and host as sent, with the
//! escapes and cases that RFC 3261 §19.1.4 declares equal. URI parameters do not take part, since
//! registrars add and drop them; but for [`INSTANCE`], which tells phones of one user apart where a
//! Contact has it.

use super::emit::{INSTANCE, is_plain};
use super::fields::{Params, find_unquoted, list, number, trim};
use super::scan::{Request, Response};
use crate::vocab::saturating_u16;

/// One Contact: its URI without angle brackets and its `expires` parameter in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contact<'a> {
    /// `*` for the wildcard.
    pub uri: &'a [u8],
    pub expires: Option<u32>,
}

/// Our Contact as a request has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SentContact<'a> {
    /// Plain; escapes are undone on the other side.
    pub user: &'a [u8],
    /// Name or address, with the port.
    pub host: &'a [u8],
    /// The value of [`INSTANCE`], where it has one.
    pub instance: Option<&'a [u8]>,
}

impl<'a> Contact<'a> {
    /// User (still escaped, without a password) and `host[:port]` of a `sip`/`sips` URI; the user
    /// is empty when there is none. `None` for other schemes and the wildcard.
    pub fn address(&self) -> Option<(&'a [u8], &'a [u8])> {
        let colon = self.uri.iter().position(|&b| b == b':')?;
        let (scheme, rest) = (&self.uri[..colon], &self.uri[colon + 1..]);
        if !scheme.eq_ignore_ascii_case(b"sip") && !scheme.eq_ignore_ascii_case(b"sips") {
            return None;
        }
        // The user part may hold ";" and "?", but "@" stands nowhere else unescaped (RFC 3261
        // §25.1).
        let (user, rest) = match rest.iter().position(|&b| b == b'@') {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (&rest[..0], rest),
        };
        let user = &user[..user.iter().position(|&b| b == b':').unwrap_or(user.len())];
        let host_end = rest.iter().position(|&b| b == b';' || b == b'?').unwrap_or(rest.len());
        Some((user, trim(&rest[..host_end])))
    }

    /// Where our user is at, unless it says that it is another phone of this user.
    fn at(&self, own: &SentContact<'_>) -> Option<&'a [u8]> {
        let (found, at) = self.address()?;
        let same_user = match memchr::memchr(b'%', found) {
            None => found == own.user,
            Some(_) => unescaped(found).eq(own.user.iter().copied()),
        };
        let same_phone = || own.instance.is_none_or(|own| self.instance().is_none_or(|found| found == own));
        (same_user && same_phone()).then_some(at)
    }

    /// The value of [`INSTANCE`].
    fn instance(&self) -> Option<&'a [u8]> {
        let params = &self.uri[memchr::memchr(b';', self.uri)?..];
        // The user part may hold semicolons too.
        let params = memchr::memchr(b'@', params).map_or(params, |at| &params[at + 1..]);
        Params::new(params).value(INSTANCE)
    }

    /// Reads one element of a Contact list.
    fn read(element: &'a [u8]) -> Self {
        // The URI stands in brackets, after a display name or not; without brackets every parameter
        // is one of the header (RFC 3261 §20.10), and the first semicolon ends the URI.
        let end = find_unquoted(element, b'<', b';');
        let (uri, params) = match element.get(end) {
            Some(b'<') => {
                let inner = &element[end + 1..];
                let close = memchr::memchr(b'>', inner).unwrap_or(inner.len());
                (&inner[..close], inner.get(close + 1..).unwrap_or_default())
            }
            _ => element.split_at(end),
        };
        Contact { uri: trim(uri), expires: Params::new(params).value("expires").and_then(number) }
    }
}

/// User and host of an address of record, as `From` and `To` hold it (RFC 3261 §20.20, §20.39): the
/// user as written, empty when there is none, the host without a port. `None` when it is no `sip`
/// or `sips` URI.
pub fn address_of_record(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (user, at) = Contact::read(value).address()?;
    let bracket = at.iter().position(|&b| b == b']').unwrap_or(0);
    let port = at[bracket..].iter().position(|&b| b == b':').map_or(at.len(), |colon| bracket + colon);
    Some((user, &at[..port]))
}

/// Whom a Request-URI means: the user, with its escapes undone, and the value of [`INSTANCE`].
pub fn addressee(uri: &[u8]) -> Option<(Vec<u8>, Option<&[u8]>)> {
    let contact = Contact { uri, expires: None };
    let (user, _) = contact.address()?;
    (!user.is_empty()).then(|| (unescaped(user).collect(), contact.instance()))
}

/// The contacts of a request, over all Contact headers, commas within quotes or brackets respected.
pub fn contacts<'a>(request: &Request<'a>) -> impl Iterator<Item = Contact<'a>> + use<'a> {
    request.headers("Contact").flat_map(list).map(Contact::read)
}

/// The contacts of a response: the bindings the registrar holds for the address of record (RFC 3261
/// §10.3 step 8).
pub fn bindings<'a>(response: &Response<'a>) -> impl Iterator<Item = Contact<'a>> + use<'a> {
    response.headers("Contact").flat_map(list).map(Contact::read)
}

/// The values of a parameter that the bindings of a response have (`pub-gruu` of RFC 5627 §5.3).
pub fn parameters<'a>(response: &Response<'a>, name: &'static str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let behind = |element: &'a [u8]| memchr::memchr(b'>', element).map_or(&element[..0], |end| &element[end + 1..]);
    response.headers("Contact").flat_map(list).filter_map(move |element| Params::new(behind(element)).value(name))
}

/// How many bindings a response lists.
pub fn listed(response: &Response<'_>) -> u16 {
    // The fast path: one header, and nothing in it that could part two bindings.
    if response.only("Contact").is_some_and(|value| !value.is_empty() && memchr::memchr(b',', value).is_none()) {
        return 1;
    }
    saturating_u16(response.headers("Contact").flat_map(list).count())
}

/// What a registrar's list of bindings says of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Binding<'a> {
    /// The lifetime granted, as [`granted`] finds it.
    pub expires: Option<u32>,
    pub own: Own<'a>,
}

/// Whether our contact is among the bindings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Own<'a> {
    /// As sent.
    Listed,
    /// Our user at this other address (`host[:port]`), and not at ours.
    Elsewhere(&'a [u8]),
    /// Bindings are listed, none with our user.
    Missing,
    /// The response has no Contact at all.
    NoneListed,
}

/// Our binding among those of a response: its lifetime, and whether it is there as sent.
pub fn binding<'a>(response: &Response<'a>, own: &SentContact<'_>) -> Binding<'a> {
    if let Some(expires) = as_sent(response, own) {
        return Binding { expires: Some(expires), own: Own::Listed };
    }
    let mut found = Own::NoneListed;
    let mut sole = None;
    // Of several of ours the shortest: when it is over, one of them is gone.
    let mut shortest: Option<Option<u32>> = None;
    for (n, binding) in bindings(response).enumerate() {
        let at = binding.at(own);
        if at.is_some_and(|at| at.eq_ignore_ascii_case(own.host)) {
            let expires = binding.expires.or(response.expires());
            let known = shortest.flatten();
            shortest = Some(known.map_or(expires, |known| Some(expires.map_or(known, |expires| expires.min(known)))));
            continue;
        }
        sole = if n == 0 { binding.expires } else { None };
        found = match (found, at) {
            (Own::Elsewhere(at), _) => Own::Elsewhere(at),
            (_, Some(at)) => Own::Elsewhere(at),
            _ => Own::Missing,
        };
    }
    if let Some(expires) = shortest {
        return Binding { expires, own: Own::Listed };
    }
    Binding { expires: sole.or(response.expires()), own: found }
}

/// The fast path of [`binding`]: the lifetime when the sole binding begins with ours letter by
/// letter as it was sent. The slow twin, its loop, finds the same, but reads every character
/// several times.
fn as_sent(response: &Response<'_>, own: &SentContact<'_>) -> Option<u32> {
    let value = response.only("Contact")?;
    let behind = value.strip_prefix(b"<sip:")?.strip_prefix(own.user)?.strip_prefix(b"@")?.strip_prefix(own.host)?;
    // One of several phones takes the long way: its binding is seldom the first.
    let expires = behind.strip_prefix(b">;expires=").filter(|_| own.instance.is_none())?;
    // A user that has to be escaped would not come back like this, and a quoted lifetime has to be
    // unquoted. Behind a comma may be another binding of ours, which ends sooner.
    let is_sole = memchr::memchr(b',', expires).is_none();
    (is_sole && is_plain(own.user) && expires.first()?.is_ascii_digit()).then(|| number(expires))?
}

/// The lifetime granted to our contact: the `expires` parameter of that Contact, else the `Expires`
/// header, else `None` (what was asked holds).
///
/// When the response lists contacts but none matches exactly, the registrar or something on the way
/// rewrote ours: then a sole contact counts as ours.
pub fn granted(response: &Response<'_>, own: &SentContact<'_>) -> Option<u32> {
    binding(response, own).expires
}

/// The bytes of a user part with `%HH` undone. RFC 3261 §19.1.4 declares a character and its escape
/// equal except for the reserved ones; those are let pass too, since registrars rewrite them and no
/// two agents differ by that alone.
#[expect(clippy::cast_possible_truncation, reason = "two hex digits")]
fn unescaped(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (byte, len) = match rest {
            [] => return None,
            [b'%', high, low, ..] => match (char::from(*high).to_digit(16), char::from(*low).to_digit(16)) {
                (Some(high), Some(low)) => ((high << 4 | low) as u8, 3),
                _ => (b'%', 1),
            },
            [byte, ..] => (*byte, 1),
        };
        rest = &rest[len..];
        Some(byte)
    })
}

#[cfg(test)]
mod tests {
    use super::super::scan;
    use super::*;
    use proptest::prelude::*;

    fn ok(headers: &str) -> String {
        format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n\
             Call-ID: c\r\nCSeq: 2 REGISTER\r\n{headers}\r\n"
        )
    }

    fn sent<'a>(user: &'a [u8], host: &'a [u8]) -> SentContact<'a> {
        SentContact { user, host, instance: None }
    }

    fn granted_by(headers: &str) -> Option<u32> {
        let text = ok(headers);
        granted(&scan::response(text.as_bytes()).expect("a response"), &sent(b"bob", b"10.0.0.1:5080"))
    }

    #[test]
    fn our_binding_among_several() {
        assert_eq!(
            granted_by(
                "Contact: <sip:bob@10.0.0.2:5080>;expires=10, \"x,<sip:bob@10.0.0.1:5080>\" <sip:eve@10.0.0.1:5080>;expires=20\r\nContact: <sip:bob@10.0.0.1:5080;ob>;q=0.5;expires=30;+sip.instance=\"<urn:uuid:1>\"\r\nExpires: 40\r\n"
            ),
            Some(30)
        );
        assert_eq!(
            granted_by("m: sip:BOB@10.0.0.1:5080;expires=1, sips:bob@10.0.0.1:5080;expires = \"2\"\r\n"),
            Some(2)
        );
        assert_eq!(granted_by("Contact: <sip:bob@10.0.0.1>;expires=1,<sip:bob@10.0.0.1:50801>;expires=2\r\n"), None);
    }

    #[test]
    fn of_several_of_ours_the_shortest_counts() {
        let ours = "<sip:bob@10.0.0.1:5080>;expires=";
        assert_eq!(granted_by(&format!("Contact: {ours}60, {ours}7\r\n")), Some(7));
        assert_eq!(granted_by(&format!("Contact: {ours}60\r\nContact: {ours}7\r\n")), Some(7));
        assert_eq!(granted_by(&format!("Contact: {ours}7, {ours}60\r\n")), Some(7));
    }

    #[test]
    fn the_ways_to_write_a_lifetime() {
        for (expires, seconds) in [
            (";expires=60", Some(60)),
            (" ; Expires = 60 ", Some(60)),
            (";expires=\"60\"", Some(60)),
            (";q=1;\r\n expires\r\n =\r\n 60", Some(60)),
            (";expires=0", Some(0)),
            (";expires=99999999999", Some(u32::MAX)),
            (";expires", Some(7)),
            (";expires=soon", Some(7)),
            ("", Some(7)),
        ] {
            assert_eq!(granted_by(&format!("Contact: <sip:bob@10.0.0.1:5080>{expires}\r\nExpires: 7\r\n")), seconds);
        }
        assert_eq!(granted_by("Expires: 7\r\n"), Some(7));
        assert_eq!(granted_by("Contact: <sip:bob@10.0.0.1:5080>\r\n"), None);
        assert_eq!(granted_by(""), None);
    }

    #[test]
    fn a_sole_rewritten_contact_counts_as_ours() {
        assert_eq!(granted_by("Contact: <sip:bob@192.0.2.1:1024>;expires=33\r\nExpires: 7\r\n"), Some(33));
        assert_eq!(granted_by("Contact: <sip:x@y>;expires=3, <sip:z@y>;expires=4\r\nExpires: 7\r\n"), Some(7));
    }

    #[test]
    fn phones_of_one_user_are_told_apart() {
        let of = |headers: &str, instance: &'static [u8]| {
            let own = SentContact { instance: Some(instance), ..sent(b"bob", b"10.0.0.1:5080") };
            let text = ok(headers);
            let response = scan::response(text.as_bytes()).expect("a response");
            let Binding { expires, own } = binding(&response, &own);
            (expires, format!("{own:?}"))
        };
        let two = "Contact: <sip:bob@10.0.0.1:5080;rinstance=aa>;expires=1, <sip:bob@10.0.0.1:5080;ob;RInstance=bb>;expires=2\r\n";
        assert_eq!(of(two, b"aa"), (Some(1), "Listed".to_owned()));
        assert_eq!(of(two, b"bb"), (Some(2), "Listed".to_owned()));
        assert_eq!(of(two, b"cc"), (None, "Missing".to_owned()));
        let moved = "Contact: <sip:bob@10.0.0.2;rinstance=aa>;expires=1, <sip:bob@[::1];rinstance=bb>;expires=2\r\n";
        let elsewhere = |at: &[u8]| format!("{:?}", Own::Elsewhere(at));
        assert_eq!(of(moved, b"bb"), (None, elsewhere(b"[::1]")));
        // A registrar that drops the parameter has one binding for all, and ours is in it.
        assert_eq!(of("Contact: <sip:bob@10.0.0.1:5080>;expires=7\r\n", b"aa"), (Some(7), "Listed".to_owned()));
        let odd = "Contact: <sip:bob@10.0.0.1:5080;rinstance=bb>;expires=1, <sip:bob;rinstance=x@10.0.0.1:5080;rinstance=aa>;expires=2\r\n";
        let own = SentContact { instance: Some(b"aa"), ..sent(b"bob;rinstance=x", b"10.0.0.1:5080") };
        let text = ok(odd);
        assert_eq!(granted(&scan::response(text.as_bytes()).expect("a response"), &own), Some(2));
    }

    #[test]
    fn addresses_of_record() {
        for (value, user, host) in [
            ("<sip:agent_jdoe@genesyscloud.test>", "agent_jdoe", "genesyscloud.test"),
            ("\"Doe, <J>\" <sips:jdoe@Example.COM:5061;x=1>;tag=a;b", "jdoe", "Example.COM"),
            ("sip:jdoe@[2001:db8::1]:5060;tag=1", "jdoe", "[2001:db8::1]"),
            ("<sip:genesyscloud.test>", "", "genesyscloud.test"),
        ] {
            assert_eq!(address_of_record(value.as_bytes()), Some((user.as_bytes(), host.as_bytes())), "{value}");
        }
        assert_eq!(address_of_record(b"<tel:+1201>"), None);
        assert_eq!(address_of_record(b""), None);
    }

    #[test]
    fn escapes_and_cases_that_make_no_difference() {
        let text = ok("Contact: <SIP:b%6fb%22;p:pw@Host.Example:5080;x>;expires=5, <sip:other@h>;expires=6\r\n");
        let response = scan::response(text.as_bytes()).expect("a response");
        assert_eq!(granted(&response, &sent(b"bob\";p", b"hOST.example:5080")), Some(5));
        assert_eq!(granted(&response, &sent(b"BOB\";p", b"host.example:5080")), None);
    }

    #[test]
    fn contacts_of_a_request() {
        let text = ok("Contact: *\r\nm:<sip:a;x@b?h=1>;expires=1 , sip:c@[::1]:5060;expires=2,\r\n\t\"D. \\\"E\" <mailto:d@e>\r\n")
            .replace("SIP/2.0 200 OK", "REGISTER sip:b SIP/2.0");
        let all: Vec<_> = contacts(&scan::request(text.as_bytes()).expect("a request")).collect();
        let contact = |uri: &'static str, expires| Contact { uri: uri.as_bytes(), expires };
        assert_eq!(
            all,
            [
                contact("*", None),
                contact("sip:a;x@b?h=1", Some(1)),
                contact("sip:c@[::1]:5060", Some(2)),
                contact("mailto:d@e", None)
            ]
        );
        let addresses: Vec<_> = all.iter().map(Contact::address).collect();
        assert_eq!(addresses[0], None);
        assert_eq!(addresses[1], Some((&b"a;x"[..], &b"b"[..])));
        assert_eq!(addresses[2], Some((&b"c"[..], &b"[::1]:5060"[..])));
        assert_eq!(addresses[3], None);
    }

    /// What a registrar may make of `bob@10.0.0.1:5080`, mostly little.
    fn value() -> impl Strategy<Value = String> {
        let piece = |all: &'static [&'static str]| prop::sample::select(all);
        (
            piece(&["<sip:", "<sips:", "sip:", "\"b\" <sip:", " <sip:"]),
            piece(&["bob", "bob", "b%6fb", "BOB", "bob:pw", "x"]),
            piece(&["@10.0.0.1:5080", "@10.0.0.1:5080", "@10.0.0.2:5080", "@10.0.0.1:50801", ""]),
            piece(&[">", ">", ";ob>", "?h=1>", ""]),
            piece(&[";expires=", ";expires=", ";q=1;expires=", "; Expires = ", ";expires=\"", ""]),
            piece(&["60", "0", "99999999999", "6 0", "6(0", "6x", "60, <sip:bob@10.0.0.1:5080>;expires=7", "", "-1"]),
            piece(&["", ";q=0.5", "\"", " ", ",", "\r\n ;a=b"]),
        )
            .prop_map(|(scheme, user, host, close, name, number, rest)| {
                [scheme, user, host, close, name, number, rest].concat()
            })
    }

    proptest! {
        #[test]
        fn the_short_way_finds_what_the_long_way_finds(value in value()) {
            // An empty list element makes no difference, but keeps a value from the short way.
            let (short, long) = (ok(&format!("Contact: {value}\r\n")), ok(&format!("Contact: ,{value}\r\n")));
            let of = |text: &str| {
                let response = scan::response(text.as_bytes()).expect("a response");
                let Binding { expires, own } = binding(&response, &sent(b"bob", b"10.0.0.1:5080"));
                (expires, format!("{own:?}"))
            };
            prop_assert_eq!(of(&short), of(&long));
        }

        #[test]
        fn never_panics(value in "[-a-z:;<>\"@%*=,\\\\ 0-9\\[\\]]{0,80}") {
            let text = ok(&format!("Contact: {value}\r\n"));
            let response = scan::response(text.as_bytes()).expect("a response");
            for binding in bindings(&response) {
                let _ = binding.address();
            }
            let _ = granted(&response, &sent(b"bob", b"h"));
        }
    }
}
