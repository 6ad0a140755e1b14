//! SIP URIs of the profile: `sip:edge.example.net`, `sip:10.0.0.5:5060;transport=tcp`,
//! `sips:[2001:db8::1]`; and hosts as messages have them.
//!
//! `rsip` is the second opinion: where load goes must not depend on whose reading one takes, so a
//! URI in which it finds another host or port is refused. The first opinion is our own, for
//! messages that say what is wrong and for IPv6 hosts in brackets, which `rsip` does not know.
//!
//! Read first: RFC 3261 §19.1, RFC 3263 §4.

use super::fields::Params;
use super::locate::{Wanted, usual_port};
use crate::vocab::{AddressFamily, Transport};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Where a trunk's requests go, before names are resolved.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// As written, else 5060 (5061 for TLS, 80 and 443 for WebSocket).
    pub port: u16,
    /// As written, else UDP (TLS for `sips`) until the name's own records say another.
    pub transport: Transport,
    pub written: Written,
    /// The URI carried `;lr` (RFC 3261 §19.1.1); only meaningful for an outbound proxy.
    pub loose_route: bool,
}

/// What a URI says itself, and so leaves to nobody else (RFC 3263 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Written {
    pub port: bool,
    pub transport: bool,
    /// The scheme was `sips`.
    pub secure: bool,
}

impl Target {
    /// What is to be found out of where it is.
    pub fn wanted(&self, family: Option<AddressFamily>) -> Wanted<'_> {
        Wanted {
            host: &self.host,
            port: self.written.port.then_some(self.port),
            transport: self.written.transport.then_some(self.transport),
            secure: self.written.secure,
            family,
        }
    }
}

/// Why a text is no usable SIP URI.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UriError {
    #[error("\"{0}\" is not a SIP URI; write it like \"sip:edge.example.net\" or \"sip:10.0.0.5:5060\"")]
    NotSip(String),
    #[error("\"{0}\" has no host")]
    NoHost(String),
    #[error("\"{0}\" has no valid port; a port is 1 to 65535")]
    Port(String),
    #[error("the transport \"{0}\" is unknown; use udp, tcp, tls, ws or wss")]
    Transport(String),
}

/// Reads a target. A user part is allowed and left out: requests are sent to the host.
///
/// # Errors
/// When the scheme is not `sip`/`sips`, the host is missing, or port or transport are unusable.
pub fn parse_target(text: &str) -> Result<Target, UriError> {
    let not_sip = || UriError::NotSip(text.to_owned());
    let (scheme, rest) = text.trim().split_once(':').ok_or_else(not_sip)?;
    let secure = scheme.eq_ignore_ascii_case("sips");
    if !secure && !scheme.eq_ignore_ascii_case("sip") {
        return Err(not_sip());
    }
    let (whole, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
    let address = whole.rsplit_once('@').map_or(whole, |(_, address)| address);
    let (host, port) = split_port(address, text)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|inner| inner.parse::<Ipv6Addr>().is_ok()).map(str::to_owned),
        None => Some(host.to_owned()).filter(|host| is_host(host) && rsip_agrees(whole, host, port)),
    };
    let params = Params::new(params.as_bytes());
    let named = params.clone().value("transport");
    let transport = transport(named, secure)?;
    Ok(Target {
        host: host.ok_or_else(not_sip)?,
        port: port.unwrap_or(usual_port(transport)),
        transport,
        written: Written { port: port.is_some(), transport: named.is_some(), secure },
        loose_route: params.clone().any(|param| param.is("lr")),
    })
}

/// The address that stands in a message as `host[:port]`, an IPv6 one with or without brackets;
/// `None` of a name. One of IPv4 within IPv6 is that of IPv4.
pub fn host_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let with_port = text.parse::<SocketAddr>().map(|address| address.ip());
    let bare = || text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text).parse::<IpAddr>();
    with_port.or_else(|_| bare()).ok().map(|address| address.to_canonical())
}

/// Host, with its brackets if it has any, and port of `address`; `text` is what error messages
/// show.
fn split_port<'a>(address: &'a str, text: &str) -> Result<(&'a str, Option<u16>), UriError> {
    let bracket = address.find(']').filter(|_| address.starts_with('[')).unwrap_or(0);
    let (host, port) = match address[bracket..].find(':') {
        Some(colon) if bracket > 0 || !address.starts_with('[') => {
            (&address[..bracket + colon], Some(&address[bracket + colon + 1..]))
        }
        _ => (address, None),
    };
    if host.is_empty() {
        return Err(UriError::NoHost(text.to_owned()));
    }
    match port.map(|digits| (digits, digits.parse())) {
        None => Ok((host, None)),
        // A sign would pass for a number; 0 is no port one can send to.
        Some((digits, Ok(port))) if port > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => Ok((host, Some(port))),
        Some(_) => Err(UriError::Port(text.to_owned())),
    }
}

/// Whether a text holds only what a name or an IPv4 address may hold; the underscore is no part of
/// either, yet common.
fn is_host(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

/// Whether `rsip` finds the same host and port in what stands between the scheme and the
/// parameters.
fn rsip_agrees(whole: &str, host: &str, port: Option<u16>) -> bool {
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    rsip::Uri::try_from(format!("sip:{whole}"))
        .is_ok_and(|uri| uri.host_with_port.to_string() == format!("{host}{port}"))
}

/// RFC 3261 §26.2.2: `sips` means TLS over whatever stream it names; `transport=tls` is deprecated
/// there, yet common. `transport=ws` is either kind of WebSocket (RFC 7118 §5.3), and `wss` the
/// secured one where people write it so.
fn transport(value: Option<&[u8]>, secure: bool) -> Result<Transport, UriError> {
    let Some(value) = value else {
        return Ok(if secure { Transport::Tls } else { Transport::Udp });
    };
    let is = |name: &str| value.eq_ignore_ascii_case(name.as_bytes());
    match () {
        () if is("tls") || secure && is("tcp") => Ok(Transport::Tls),
        () if is("tcp") => Ok(Transport::Tcp),
        () if is("wss") || secure && is("ws") => Ok(Transport::Wss),
        () if is("ws") => Ok(Transport::Ws),
        () if is("udp") && !secure => Ok(Transport::Udp),
        () => Err(UriError::Transport(String::from_utf8_lossy(value).into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_in_a_message_is_an_address_however_it_is_written() {
        for text in ["127.0.0.1", "127.0.0.1:5060", "::ffff:127.0.0.1", "[::ffff:127.0.0.1]:5060"] {
            assert_eq!(host_address(text.as_bytes()), Some(IpAddr::from([127, 0, 0, 1])), "{text}");
        }
        for text in ["2001:db8::5", "[2001:db8::5]", "[2001:DB8:0::5]:5060"] {
            assert_eq!(host_address(text.as_bytes()), "2001:db8::5".parse().ok(), "{text}");
        }
        for text in ["", "[]", "edge.example.net", "edge.example.net:5060", "127.0.0.1:x", "[127.0.0.1", "[::1"] {
            assert_eq!(host_address(text.as_bytes()), None, "{text}");
        }
    }
    use proptest::prelude::*;

    fn target(host: &str, port: u16, transport: Transport) -> Result<(String, u16, Transport, bool), UriError> {
        Ok((host.to_owned(), port, transport, false))
    }

    fn parsed(text: &str) -> Result<(String, u16, Transport, bool), UriError> {
        parse_target(text).map(|target| (target.host, target.port, target.transport, target.loose_route))
    }

    #[test]
    fn what_is_written_is_told_from_what_is_usual() {
        let written = |text| parse_target(text).expect("a target").written;
        let all = |port, transport, secure| Written { port, transport, secure };
        assert_eq!(written("sip:h"), all(false, false, false));
        assert_eq!(written("sip:h:5060"), all(true, false, false));
        assert_eq!(written("sips:h;transport=tcp"), all(false, true, true));
    }

    #[test]
    fn targets_as_people_write_them() {
        use Transport::{Tcp, Tls, Udp};
        for (text, expected) in [
            ("sip:edge.example.net", target("edge.example.net", 5060, Udp)),
            (" SIP:edge.example.net:5070 ", target("edge.example.net", 5070, Udp)),
            ("sip:10.0.0.5:5060;transport=tcp", target("10.0.0.5", 5060, Tcp)),
            ("sip:10.0.0.5;transport=TLS", target("10.0.0.5", 5061, Tls)),
            ("sips:edge.example.net", target("edge.example.net", 5061, Tls)),
            ("sips:edge.example.net;transport=tcp", target("edge.example.net", 5061, Tls)),
            ("sips:[2001:db8::1]", target("2001:db8::1", 5061, Tls)),
            ("sip:edge.example.net;transport=ws", target("edge.example.net", 80, Transport::Ws)),
            ("sip:edge.example.net:8080;transport=WS", target("edge.example.net", 8080, Transport::Ws)),
            ("sips:edge.example.net;transport=ws", target("edge.example.net", 443, Transport::Wss)),
            ("sip:edge.example.net;transport=wss", target("edge.example.net", 443, Transport::Wss)),
            ("sip:[::1]:5080;transport=udp;x=1", target("::1", 5080, Udp)),
            ("sip:user:pw@host_1-a:1", target("host_1-a", 1, Udp)),
        ] {
            assert_eq!(parsed(text), expected, "{text}");
        }
        let proxy = parse_target("sip:127.0.0.1:5060;lr").expect("a proxy");
        assert!(proxy.loose_route);
        assert!(parse_target("sip:127.0.0.1;lr=on").expect("as Kamailio writes it").loose_route);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let own = |variant: fn(String) -> UriError, text: &str| (text.to_owned(), variant(text.to_owned()));
        let table = [
            own(UriError::NotSip, ""),
            own(UriError::NotSip, "edge.example.net"),
            own(UriError::NotSip, "edge.example.net:5060"),
            own(UriError::NotSip, "tel:+1234"),
            own(UriError::NotSip, "http://edge.example.net"),
            own(UriError::NotSip, "sip:[::1"),
            own(UriError::NotSip, "sip:[10.0.0.1]"),
            own(UriError::NotSip, "sip:[::1]5060"),
            own(UriError::NotSip, "sip:edge example.net"),
            own(UriError::NotSip, "sip://edge.example.net"),
            own(UriError::NoHost, "sip:"),
            own(UriError::NoHost, "sip:user@"),
            own(UriError::NoHost, "sip::5060"),
            own(UriError::NoHost, "sip:;transport=tcp"),
            own(UriError::Port, "sip:h:"),
            own(UriError::Port, "sip:h:0"),
            own(UriError::Port, "sip:h:65536"),
            own(UriError::Port, "sip:h:+5060"),
            own(UriError::NoHost, "sip:::1"),
            own(UriError::Port, "sip:2001:db8::1"),
            ("sip:h;transport=sctp".to_owned(), UriError::Transport("sctp".to_owned())),
            ("sips:h;transport=udp".to_owned(), UriError::Transport("udp".to_owned())),
        ];
        for (text, error) in table {
            assert_eq!(parse_target(&text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(sips?:)?[\\PC]{0,40}") {
            let _ = parse_target(&text);
        }

        #[test]
        fn names_and_ports_are_read_back(host in "[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?(\\.[a-z][a-z0-9]{0,5}){0,3}", port in 1u16..) {
            prop_assert_eq!(parsed(&format!("sip:{host}:{port}")), target(&host, port, Transport::Udp));
        }
    }
}
