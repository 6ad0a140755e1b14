//! Listen addresses: `udp://127.0.0.1:5060`, `udp://[::1]:0`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// Where the embedded registrar listens, over UDP.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ListenAddr(pub SocketAddr);

/// Why a text is no listen address.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ListenError {
    #[error("listening on {0} is not available in this version; write it like \"udp://127.0.0.1:5060\"")]
    Later(&'static str),
    #[error("\"{0}\" is not a listen address; write it like \"udp://127.0.0.1:5060\"")]
    Scheme(String),
    #[error("\"{0}\" is not an address with a port; write it like \"udp://127.0.0.1:5060\" or \"udp://[::1]:5060\"")]
    Address(String),
}

impl FromStr for ListenAddr {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        match text.split_once("://") {
            Some(("udp", rest)) => rest.parse().map(ListenAddr).map_err(|_| ListenError::Address(rest.to_owned())),
            Some(("tcp", _)) => Err(ListenError::Later("tcp")),
            Some(("tls", _)) => Err(ListenError::Later("tls")),
            _ => Err(ListenError::Scheme(text.to_owned())),
        }
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "udp://{}", self.0)
    }
}

impl serde::Serialize for ListenAddr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
