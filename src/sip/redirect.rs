//! Where a 301, 302 or 305 says that a request is to go instead (RFC 3261 §8.1.3.4, §21.3).

use super::contact::bindings;
use super::scan::Response;
use super::uri::parse_target;
use crate::vocab::Transport;
use std::net::{IpAddr, SocketAddr};

/// Why a redirection cannot be followed as it stands, or where it leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Redirection {
    To(SocketAddr),
    /// A host name, which somebody has to look up.
    ByName,
    /// A transport that the request does not go over.
    OtherTransport,
    /// There is no Contact, or none that is a SIP URI.
    Nowhere,
}

/// Whether a response is one that redirects.
pub const fn redirects(code: u16) -> bool {
    matches!(code, 301 | 302 | 305)
}

/// What the first Contact of a redirection says; the text of its URI beside it.
pub fn redirection<'a>(response: &Response<'a>, over: Transport) -> (Redirection, &'a [u8]) {
    let Some(contact) = bindings(response).next() else { return (Redirection::Nowhere, b"") };
    let Some(target) = std::str::from_utf8(contact.uri).ok().and_then(|text| parse_target(text).ok()) else {
        return (Redirection::Nowhere, contact.uri);
    };
    // A URI without a transport leaves the one in use.
    let other = target.transport != over && (target.written.transport || target.written.secure);
    let redirection = match target.host.parse::<IpAddr>() {
        _ if other => Redirection::OtherTransport,
        Err(_) => Redirection::ByName,
        Ok(address) => {
            let port = if target.written.port { target.port } else { super::locate::usual_port(over) };
            Redirection::To(SocketAddr::new(address, port))
        }
    };
    (redirection, contact.uri)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::scan;

    #[test]
    fn the_first_contact_decides() {
        let of = |contact: &str, over| {
            let text = format!(
                "SIP/2.0 302 Moved\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@d>;tag=1\r\nTo: <sip:a@d>\r\n\
                 Call-ID: c\r\nCSeq: 1 REGISTER\r\n{contact}Content-Length: 0\r\n\r\n"
            );
            redirection(&scan::response(text.as_bytes()).expect("well-formed"), over).0
        };
        let to = |text: &str| Redirection::To(text.parse().expect("an address"));
        use Transport::{Tcp, Tls, Udp};
        assert_eq!(of("Contact: <sip:a@127.0.0.9:5080>, <sip:b@10.0.0.1>\r\n", Udp), to("127.0.0.9:5080"));
        assert_eq!(of("m: sip:127.0.0.9;q=0.5\r\n", Udp), to("127.0.0.9:5060"));
        assert_eq!(of("Contact: <sip:[::1]>\r\n", Tls), to("[::1]:5061"));
        assert_eq!(of("Contact: <sip:127.0.0.9;transport=tcp>\r\n", Tcp), to("127.0.0.9:5060"));
        assert_eq!(of("Contact: <sip:127.0.0.9;transport=tcp>\r\n", Udp), Redirection::OtherTransport);
        assert_eq!(of("Contact: <sips:127.0.0.9>\r\n", Udp), Redirection::OtherTransport);
        assert_eq!(of("Contact: <sip:edge.example.net>\r\n", Udp), Redirection::ByName);
        assert_eq!(of("Contact: <tel:+1>\r\n", Udp), Redirection::Nowhere);
        assert_eq!(of("", Udp), Redirection::Nowhere);
    }
}
