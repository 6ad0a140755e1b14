//! Where a registrar's own count is to be had: the kinds of servers that are asked, and their
//! addresses.

use super::word::words;
use std::fmt;
use std::str::FromStr;

words! {
    /// Who is asked how many bindings a registrar holds, and in which words.
    pub enum TruthKind {
        Kamailio = "kamailio",
        OpensipsMi = "opensips-mi",
        FreeswitchEsl = "freeswitch-esl",
        AsteriskAmi = "asterisk-ami",
        /// A command that prints a number.
        Exec = "exec",
        /// A URL, and a JSON pointer to the number in its answer.
        HttpJson = "http-json",
    }
}

impl TruthKind {
    /// The schemes of the addresses at which it can be asked; none: it has no address.
    pub const fn schemes(self) -> &'static [&'static str] {
        match self {
            TruthKind::Kamailio | TruthKind::OpensipsMi => &["unix", "udp", "tcp", "http"],
            TruthKind::FreeswitchEsl | TruthKind::AsteriskAmi => &["tcp"],
            TruthKind::HttpJson => &["http", "https"],
            TruthKind::Exec => &[],
        }
    }

    /// An address as a person would write it.
    pub const fn example(self) -> &'static str {
        match self {
            TruthKind::Kamailio => "unix:/run/kamailio/kamailio_rpc.sock",
            TruthKind::OpensipsMi => "http://127.0.0.1:8888/mi",
            TruthKind::FreeswitchEsl => "tcp:127.0.0.1:8021",
            TruthKind::AsteriskAmi => "tcp:127.0.0.1:5038",
            TruthKind::HttpJson => "http://127.0.0.1:8080/status",
            TruthKind::Exec => "",
        }
    }
}

/// An address as it is written in a profile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TruthAddress {
    /// The path of a datagram socket on this machine.
    Unix(String),
    Udp(HostPort),
    Tcp(HostPort),
    /// A URL, and where it leads.
    Http {
        url: String,
        host: HostPort,
    },
}

/// A host, by name or address, and a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostPort {
    /// Without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
}

impl TruthAddress {
    /// The machine it is on; `None`: this one, whatever is said.
    pub const fn host(&self) -> Option<&HostPort> {
        match self {
            TruthAddress::Unix(_) => None,
            TruthAddress::Udp(host) | TruthAddress::Tcp(host) | TruthAddress::Http { host, .. } => Some(host),
        }
    }

    pub fn scheme(&self) -> &'static str {
        match self {
            TruthAddress::Unix(_) => "unix",
            TruthAddress::Udp(_) => "udp",
            TruthAddress::Tcp(_) => "tcp",
            TruthAddress::Http { url, .. } if url.starts_with("https:") => "https",
            TruthAddress::Http { .. } => "http",
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HostPort { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl fmt::Display for TruthAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TruthAddress::Unix(path) => write!(f, "unix:{path}"),
            TruthAddress::Udp(place) => write!(f, "udp:{place}"),
            TruthAddress::Tcp(place) => write!(f, "tcp:{place}"),
            TruthAddress::Http { url, .. } => f.write_str(url),
        }
    }
}

impl FromStr for TruthAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("must not contain blanks or control characters");
        }
        let (scheme, rest) = text.split_once(':').ok_or("does not begin with unix:, udp:, tcp: or http:")?;
        match scheme {
            "unix" if rest.is_empty() => Err("names no socket"),
            // Kamailio's own configuration writes `unix:/path`, others `unix:///path`.
            "unix" => Ok(TruthAddress::Unix(rest.strip_prefix("//").unwrap_or(rest).to_owned())),
            "udp" => Ok(TruthAddress::Udp(place(rest, None)?)),
            "tcp" => Ok(TruthAddress::Tcp(place(rest, None)?)),
            "http" | "https" => {
                let after = rest.strip_prefix("//").ok_or("is no URL: a host follows after //")?;
                let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
                if authority.contains('@') {
                    return Err("must not contain a user or a password: write username and secret_env");
                }
                let port = if scheme == "https" { 443 } else { 80 };
                Ok(TruthAddress::Http { url: text.to_owned(), host: place(authority, Some(port))? })
            }
            _ => Err("does not begin with unix:, udp:, tcp: or http:"),
        }
    }
}

/// `host:port`, `[::1]:port`, behind two slashes or not.
fn place(text: &str, default: Option<u16>) -> Result<HostPort, &'static str> {
    let text = text.strip_prefix("//").unwrap_or(text);
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("opens a bracket and does not close it")?;
            let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or("has no port")?) };
            (host, port)
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() || !text.starts_with('[') && host.contains(':') {
        return Err("names no host; an IPv6 address stands in brackets");
    }
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or("has no port from 1 to 65535")?,
        None => default.ok_or("has no port")?,
    };
    Ok(HostPort { host: host.to_owned(), port })
}

impl serde::Serialize for TruthAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_is_read_and_shown() {
        for (text, host, port) in [
            ("udp:127.0.0.1:8090", "127.0.0.1", 8090),
            ("tcp:localhost:8021", "localhost", 8021),
            ("tcp:[::1]:5038", "::1", 5038),
            ("http://pbx.example.net/mi", "pbx.example.net", 80),
            ("https://[2001:db8::1]/status?x=1", "2001:db8::1", 443),
            ("http://127.0.0.1:8888", "127.0.0.1", 8888),
        ] {
            let address: TruthAddress = text.parse().expect(text);
            let place = address.host().expect(text);
            assert_eq!((place.host.as_str(), place.port, address.to_string().as_str()), (host, port, text));
            assert_eq!(address.scheme(), text.split(':').next().expect("a scheme"));
        }
        let unix: TruthAddress = "unix:/run/kamailio/rpc".parse().expect("a path");
        assert_eq!((unix.host(), unix.to_string().as_str()), (None, "unix:/run/kamailio/rpc"));
        assert_eq!("unix:///run/rpc".parse(), Ok(TruthAddress::Unix("/run/rpc".to_owned())));
        assert_eq!(
            "tcp://10.0.0.5:5038".parse::<TruthAddress>().map(|read| read.to_string()),
            Ok("tcp:10.0.0.5:5038".to_owned())
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "unix:",
            "udp:127.0.0.1",
            "tcp::5038",
            "tcp:[::1]",
            "tcp:::1:5038",
            "tcp:a:0",
            "tcp:a:70000",
            "ftp://a/",
            "/run/rpc",
            "http:/a",
            "http://",
            "http://user:pw@a/",
            "tcp:[::1:5038",
            "udp:a b:1",
        ] {
            assert!(text.parse::<TruthAddress>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_or_refused(text in ".{0,40}") {
            if let Ok(address) = text.parse::<TruthAddress>() {
                prop_assert_eq!(address.to_string().parse::<TruthAddress>(), Ok(address));
            }
        }
    }
}
