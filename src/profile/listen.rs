//! Listen addresses: `udp://127.0.0.1:5060`, `tcp://[::1]:0`.

use crate::vocab::Transport;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// Where the embedded registrar listens, and for what.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ListenAddr {
    pub transport: Transport,
    pub address: SocketAddr,
}

/// Why a text is no listen address.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ListenError {
    #[error(
        "\"{0}\" is not a listen address; write it like \"udp://127.0.0.1:5060\", with tcp, tls, ws or wss for connections"
    )]
    Scheme(String),
    #[error("\"{0}\" is not an address with a port; write it like \"udp://127.0.0.1:5060\" or \"udp://[::1]:5060\"")]
    Address(String),
}

impl FromStr for ListenAddr {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let (transport, rest) = match text.split_once("://") {
            Some(("udp", rest)) => (Transport::Udp, rest),
            Some(("tcp", rest)) => (Transport::Tcp, rest),
            Some(("tls", rest)) => (Transport::Tls, rest),
            Some(("ws", rest)) => (Transport::Ws, rest),
            Some(("wss", rest)) => (Transport::Wss, rest),
            _ => return Err(ListenError::Scheme(text.to_owned())),
        };
        let address = rest.parse().map_err(|_| ListenError::Address(rest.to_owned()))?;
        Ok(ListenAddr { transport, address })
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.transport.as_str().to_ascii_lowercase(), self.address)
    }
}

impl serde::Serialize for ListenAddr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
