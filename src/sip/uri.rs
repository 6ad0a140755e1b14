//! SIP URIs of the profile: `sip:edge.example.net`, `sip:10.0.0.5:5060;transport=tcp`, `sips:[2001:db8::1]`.

/// The transport a URI asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

impl Transport {
    pub const fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
        }
    }
}

/// Where a trunk's requests go, before names are resolved.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// As written, else 5060 (5061 for TLS).
    pub port: u16,
    pub transport: Transport,
    /// The URI carried `;lr` (RFC 3261 §19.1.1); only meaningful for an outbound proxy.
    pub loose_route: bool,
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
    #[error("the transport \"{0}\" is unknown; use udp, tcp or tls")]
    Transport(String),
}

/// Reads a target.
///
/// # Errors
/// When the scheme is not `sip`/`sips`, the host is missing, or port or transport are unusable.
pub fn parse_target(_text: &str) -> Result<Target, UriError> {
    todo!()
}
