//! A way out of a worker, and what carries its messages.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// One way out of a worker: a local socket and the target it speaks to. Datagram flows and streams
/// are numbered apart, each from 0, and the number says which it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FlowId(pub u32);

impl FlowId {
    /// The `n`th stream.
    pub const fn stream(n: u32) -> FlowId {
        FlowId(n | STREAM)
    }

    /// Whether it is a stream, which is opened and may be lost; a datagram flow is always there.
    pub const fn is_stream(self) -> bool {
        self.0 & STREAM != 0
    }

    /// Its place among the flows of its sort.
    pub const fn index(self) -> usize {
        (self.0 & !STREAM) as usize
    }
}

const STREAM: u32 = 1 << 31;

/// Why a stream could not be opened, or ended. The order is that of the record: append, and raise
/// its version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum FlowLoss {
    /// Nobody listens there.
    Refused,
    /// The network says that there is no way to the target.
    Unreachable,
    /// The target did not answer in the time allowed.
    ConnectTimeout,
    /// This machine has no address, port, descriptor or memory for it.
    Local,
    /// The other end reset it.
    Reset,
    /// The other end closed it.
    Closed,
    /// A request had no answer, and nothing at all came in the meantime.
    Silent,
    /// What came is no SIP, or a message too long to be one of ours.
    NotSip,
    /// We closed it: its agents have gone, or the run is over.
    Ours,
    /// The server's certificate is for another name.
    CertificateName,
    /// The server's certificate has expired, or is not valid yet.
    CertificateTime,
    /// Nobody we trust has issued the server's certificate.
    CertificateIssuer,
    /// The server's certificate is not for a server.
    CertificatePurpose,
    /// The server's certificate is unusable for another reason.
    Certificate,
    /// What answers speaks no TLS.
    NotTls,
    /// The two ends could not agree on TLS, or the other end refused.
    Handshake,
    /// The connection was taken up, and TLS was not answered in the time allowed.
    TlsTimeout,
    /// A keep-alive was not answered, and we gave it up.
    NoPong,
    /// The server answered the upgrade to WebSocket with another code than 101.
    UpgradeRefused,
    /// It agreed to a WebSocket, and not to SIP over it.
    NoSubprotocol,
    /// What answers speaks no WebSocket, or breaks its rules.
    NotWebSocket,
    /// The connection was taken up, and the upgrade was not answered in the time allowed.
    UpgradeTimeout,
}

impl FlowLoss {
    pub const COUNT: usize = 22;
    pub const ALL: [FlowLoss; FlowLoss::COUNT] = [
        FlowLoss::Refused,
        FlowLoss::Unreachable,
        FlowLoss::ConnectTimeout,
        FlowLoss::Local,
        FlowLoss::Reset,
        FlowLoss::Closed,
        FlowLoss::Silent,
        FlowLoss::NotSip,
        FlowLoss::Ours,
        FlowLoss::CertificateName,
        FlowLoss::CertificateTime,
        FlowLoss::CertificateIssuer,
        FlowLoss::CertificatePurpose,
        FlowLoss::Certificate,
        FlowLoss::NotTls,
        FlowLoss::Handshake,
        FlowLoss::TlsTimeout,
        FlowLoss::NoPong,
        FlowLoss::UpgradeRefused,
        FlowLoss::NoSubprotocol,
        FlowLoss::NotWebSocket,
        FlowLoss::UpgradeTimeout,
    ];

    pub const fn index(self) -> usize {
        self as usize
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            FlowLoss::Refused => "connection refused",
            FlowLoss::Unreachable => "no route to the target",
            FlowLoss::ConnectTimeout => "no connection within connect_timeout",
            FlowLoss::Local => "no local address, port or descriptor for a connection",
            FlowLoss::Reset => "connection reset",
            FlowLoss::Closed => "connection closed by the server",
            FlowLoss::Silent => "connection silent",
            FlowLoss::NotSip => "no SIP on the connection",
            FlowLoss::Ours => "connection closed by us",
            FlowLoss::CertificateName => "certificate for another name",
            FlowLoss::CertificateTime => "certificate expired or not valid yet",
            FlowLoss::CertificateIssuer => "certificate of an unknown issuer",
            FlowLoss::CertificatePurpose => "certificate not for a server",
            FlowLoss::Certificate => "certificate unusable",
            FlowLoss::NotTls => "no TLS on that port",
            FlowLoss::Handshake => "TLS handshake failed",
            FlowLoss::TlsTimeout => "TLS not answered within connect_timeout",
            FlowLoss::NoPong => "keep-alive not answered within 10 s",
            FlowLoss::UpgradeRefused => "WebSocket upgrade refused",
            FlowLoss::NoSubprotocol => "no SIP over that WebSocket",
            FlowLoss::NotWebSocket => "no WebSocket on that port",
            FlowLoss::UpgradeTimeout => "WebSocket upgrade not answered within connect_timeout",
        }
    }
}

/// What the two ends of a connection agreed on for TLS, by their registered names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Secured {
    pub version: &'static str,
    pub suite: &'static str,
    /// They took up a session of an earlier connection.
    pub resumed: bool,
}

/// What there is to say of an open connection's layers, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LayersTold {
    pub text: String,
    /// The last day of the server's certificate, `2026-11-30`.
    pub valid_until: Option<String>,
}

impl fmt::Display for FlowLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressFamily {
    V4,
    V6,
}

impl AddressFamily {
    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => AddressFamily::V4,
            IpAddr::V6(_) => AddressFamily::V6,
        }
    }
}

/// What carries SIP messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    /// WebSocket (RFC 7118).
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl Transport {
    /// Whether it is a connection that is opened and may be lost, over which nothing is sent twice
    /// (RFC 3261 §17.1.2.2); else each message is a datagram.
    pub const fn is_stream(self) -> bool {
        !matches!(self, Transport::Udp)
    }

    /// Whether TLS secures it.
    pub const fn is_secured(self) -> bool {
        matches!(self, Transport::Tls | Transport::Wss)
    }

    /// Whether messages travel in the frames of a WebSocket.
    pub const fn is_web(self) -> bool {
        matches!(self, Transport::Ws | Transport::Wss)
    }

    /// Round trips before it carries anything: TCP's handshake, that of TLS 1.3 (RFC 8446 §2), and
    /// the upgrade to WebSocket.
    pub const fn round_trips(self) -> u32 {
        self.is_stream() as u32 + self.is_secured() as u32 + self.is_web() as u32
    }

    /// As in a Via header (RFC 3261 §20.42, RFC 7118 §5.2) and in every file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// The value of a URI's `transport` parameter, for all that do not go without one (RFC 3263
    /// §4.1: UDP does).
    pub const fn uri_parameter(self) -> Option<&'static str> {
        match self {
            Transport::Udp => None,
            Transport::Tcp => Some("tcp"),
            Transport::Tls => Some("tls"),
            // Either kind of WebSocket is `ws` in a URI (RFC 7118 §5.3).
            Transport::Ws | Transport::Wss => Some("ws"),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
