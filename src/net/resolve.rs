//! Host names to addresses, by the system's resolver: for those who ask before there is a plan, and
//! for names only the system knows (its hosts file, mDNS). SRV and NAPTR (RFC 3263) are not looked
//! up here.

use crate::vocab::AddressFamily;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// The addresses of `host`, each once: those of `family`, or IPv4 before IPv6 when it is `None`.
///
/// An address literal (an IPv6 one with or without brackets) is taken as it is, without a look-up.
/// Blocks for as long as the system's resolver does; call it before the run.
///
/// # Errors
/// What the resolver said, or `NotFound` when the name has no address of the family.
pub fn resolve(host: &str, port: u16, family: Option<AddressFamily>) -> io::Result<Vec<SocketAddr>> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let found = match bare.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => (bare, port).to_socket_addrs()?.collect(),
    };
    let addresses = choose(found, family);
    if addresses.is_empty() {
        let kind = match family {
            Some(AddressFamily::V4) => "IPv4 ",
            Some(AddressFamily::V6) => "IPv6 ",
            None => "",
        };
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("{host} has no {kind}address")));
    }
    Ok(addresses)
}

fn choose(found: Vec<SocketAddr>, family: Option<AddressFamily>) -> Vec<SocketAddr> {
    let mut chosen: Vec<SocketAddr> = Vec::with_capacity(found.len());
    for address in found {
        let wanted = family.is_none_or(|family| family == AddressFamily::of(address.ip()));
        if wanted && !chosen.contains(&address) {
            chosen.push(address);
        }
    }
    // Stable: within a family the resolver's own order (RFC 6724) stays.
    chosen.sort_by_key(SocketAddr::is_ipv6);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("a literal")
    }

    #[test]
    fn literals_need_no_look_up() {
        for (host, expected) in
            [("127.0.0.1", "127.0.0.1:5060"), ("::1", "[::1]:5060"), ("[2001:db8::1]", "[2001:db8::1]:5060")]
        {
            assert_eq!(resolve(host, 5060, None).expect(host), [address(expected)]);
        }
    }

    #[test]
    fn a_literal_of_the_other_family_is_not_found() {
        let error = resolve("127.0.0.1", 5060, Some(AddressFamily::V6)).expect_err("no IPv6 address");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(error.to_string(), "127.0.0.1 has no IPv6 address");
        assert!(resolve("[::1]", 5060, Some(AddressFamily::V4)).is_err());
    }

    #[test]
    fn an_impossible_name_is_an_error() {
        // Too long for a label (RFC 1035 §2.3.4), so that the resolver refuses it without asking
        // anyone.
        assert!(resolve(&"x".repeat(300), 5060, None).is_err());
    }

    #[test]
    fn ipv4_comes_first_and_nothing_twice() {
        let found = ["[::1]:1", "127.0.0.2:1", "[::1]:1", "127.0.0.1:1", "127.0.0.2:1"].map(address).to_vec();
        assert_eq!(choose(found.clone(), None), ["127.0.0.2:1", "127.0.0.1:1", "[::1]:1"].map(address));
        assert_eq!(choose(found.clone(), Some(AddressFamily::V6)), ["[::1]:1"].map(address));
        assert_eq!(choose(found, Some(AddressFamily::V4)), ["127.0.0.2:1", "127.0.0.1:1"].map(address));
    }
}
