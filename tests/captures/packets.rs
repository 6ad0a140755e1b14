//! Captures made by hand: SIP messages, the headers of every layer below them, and the files around
//! them.

use std::net::{IpAddr, SocketAddr};

/// 2026-05-14T10:22:15Z.
pub const START_NS: u64 = 1_778_754_135_000_000_000;
pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000 * MS;

// ---- SIP ----

/// A REGISTER of `user`; `nonce` makes it carry credentials.
#[derive(Clone, Copy, Debug)]
pub struct Register<'a> {
    pub user: &'a str,
    pub cseq: u32,
    pub nonce: Option<&'a str>,
    pub expires: u32,
    pub transport: &'a str,
    /// Its own address, as Contact and Via name it.
    pub address: SocketAddr,
    /// Parameters of the Contact's URI, with their semicolons.
    pub parameters: &'a str,
    pub call_id: &'a str,
    /// Further headers, each with its line end.
    pub headers: &'a str,
}

impl<'a> Register<'a> {
    pub fn of(user: &'a str, cseq: u32) -> Self {
        Register {
            user,
            cseq,
            nonce: None,
            expires: 3600,
            transport: "UDP",
            address: phone(),
            parameters: "",
            call_id: user,
            headers: "",
        }
    }

    pub fn with(self, nonce: &'a str) -> Self {
        Register { nonce: Some(nonce), ..self }
    }

    pub fn expires(self, expires: u32) -> Self {
        Register { expires, ..self }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let Register { user, cseq, expires, transport, address, parameters, call_id, headers, .. } = self;
        let credentials = self.nonce.map_or_else(String::new, |nonce| {
            format!(
                "Authorization: Digest username=\"{user}\", realm=\"example.test\", nonce=\"{nonce}\", \
                 uri=\"sip:example.test\", response=\"{:032x}\", algorithm=MD5\r\n",
                1
            )
        });
        format!(
            "REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/{transport} {address};branch=z9hG4bK{call_id}-{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@Example.test>;tag=1\r\nTo: <sip:{user}@Example.test>\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:{user}@{address}{parameters}>\r\nExpires: {expires}\r\n\
             {credentials}{headers}Content-Length: 0\r\n\r\n"
        )
        .into_bytes()
    }

    /// The answer to it, with these headers (each with its line end).
    pub fn answer(&self, code: u16, reason: &str, headers: &str) -> Vec<u8> {
        let Register { user, cseq, transport, address, call_id, .. } = self;
        format!(
            "SIP/2.0 {code} {reason}\r\nVia: SIP/2.0/{transport} {address};branch=z9hG4bK{call_id}-{cseq}\r\n\
             From: <sip:{user}@Example.test>;tag=1\r\nTo: <sip:{user}@Example.test>;tag=2\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} REGISTER\r\n{headers}Content-Length: 0\r\n\r\n"
        )
        .into_bytes()
    }

    pub fn challenge(&self, nonce: &str) -> Vec<u8> {
        let header = format!("WWW-Authenticate: Digest realm=\"example.test\", nonce=\"{nonce}\", algorithm=MD5\r\n");
        self.answer(401, "Unauthorized", &header)
    }

    pub fn stale(&self, nonce: &str) -> Vec<u8> {
        let header = format!("WWW-Authenticate: Digest realm=\"example.test\", nonce=\"{nonce}\", stale=true\r\n");
        self.answer(401, "Unauthorized", &header)
    }

    pub fn ok(&self) -> Vec<u8> {
        let Register { user, expires, address, parameters, .. } = self;
        self.answer(200, "OK", &format!("Contact: <sip:{user}@{address}{parameters}>;expires={expires}\r\n"))
    }
}

pub fn phone() -> SocketAddr {
    "192.0.2.10:5080".parse().expect("an address")
}

pub fn registrar() -> SocketAddr {
    "198.51.100.5:5060".parse().expect("an address")
}

// ---- Layers ----

/// A UDP datagram.
pub fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    [&from.port().to_be_bytes()[..], &to.port().to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload].concat()
}

pub const SYN: u8 = 0x02;
pub const ACK: u8 = 0x10;
pub const FIN: u8 = 0x01;

/// A TCP segment.
pub fn tcp(from: SocketAddr, to: SocketAddr, sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 0, 5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend_from_slice(payload);
    bytes
}

const UDP: u8 = 17;
const TCP: u8 = 6;

/// An IPv4 or IPv6 packet.
pub fn ip(from: SocketAddr, to: SocketAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let head = ipv4_head(from.octets(), to.octets(), protocol, 7, 0, payload.len());
            [&head[..], payload].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let length = (payload.len() as u16).to_be_bytes();
            let head = [&[0x60, 0, 0, 0][..], &length, &[protocol, 64], &from.octets(), &to.octets()].concat();
            [&head[..], payload].concat()
        }
        mixed => panic!("{mixed:?} are of two families"),
    }
}

/// An IPv4 packet cut into fragments of `size` bytes, a multiple of eight.
pub fn ipv4_fragments(from: SocketAddr, to: SocketAddr, id: u16, payload: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (IpAddr::V4(from), IpAddr::V4(to)) = (from.ip(), to.ip()) else { panic!("IPv4 only") };
    let pieces = payload.chunks(size);
    let last = pieces.len() - 1;
    pieces
        .enumerate()
        .map(|(n, piece)| {
            let field = (n * size / 8) as u16 | if n < last { 0x2000 } else { 0 };
            [&ipv4_head(from.octets(), to.octets(), UDP, id, field, piece.len())[..], piece].concat()
        })
        .collect()
}

/// An IPv6 packet cut into fragments (RFC 8200 §4.5).
pub fn ipv6_fragments(from: SocketAddr, to: SocketAddr, id: u32, payload: &[u8], size: usize) -> Vec<Vec<u8>> {
    let pieces = payload.chunks(size);
    let last = pieces.len() - 1;
    pieces
        .enumerate()
        .map(|(n, piece)| {
            let field = (n * size) as u16 | u16::from(n < last);
            let body = [&[UDP, 0][..], &field.to_be_bytes(), &id.to_be_bytes(), piece].concat();
            ip(from, to, 44, &body)
        })
        .collect()
}

fn ipv4_head(from: [u8; 4], to: [u8; 4], protocol: u8, id: u16, field: u16, payload: usize) -> Vec<u8> {
    let total = ((20 + payload) as u16).to_be_bytes();
    [&[0x45, 0][..], &total, &id.to_be_bytes(), &field.to_be_bytes(), &[64, protocol, 0, 0], &from, &to].concat()
}

pub fn ip_udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    ip(from, to, UDP, &udp(from, to, payload))
}

pub fn ip_tcp(from: SocketAddr, to: SocketAddr, sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    ip(from, to, TCP, &tcp(from, to, sequence, flags, payload))
}

/// A link layer: its registered number, and what it puts before an IP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    Ethernet,
    Vlan,
    QinQ,
    Cooked,
    Cooked2,
    Raw,
    Null,
    Loop,
}

impl Link {
    pub const ALL: [Link; 8] =
        [Link::Ethernet, Link::Vlan, Link::QinQ, Link::Cooked, Link::Cooked2, Link::Raw, Link::Null, Link::Loop];

    pub fn number(self) -> u32 {
        match self {
            Link::Ethernet | Link::Vlan | Link::QinQ => 1,
            Link::Cooked => 113,
            Link::Cooked2 => 276,
            Link::Raw => 101,
            Link::Null => 0,
            Link::Loop => 108,
        }
    }

    pub fn frame(self, packet: &[u8]) -> Vec<u8> {
        let kind: [u8; 2] = if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
        let macs = [0u8; 12];
        let head = match self {
            Link::Ethernet => [&macs[..], &kind].concat(),
            Link::Vlan => [&macs[..], &[0x81, 0, 0, 42], &kind].concat(),
            Link::QinQ => [&macs[..], &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 42], &kind].concat(),
            Link::Cooked => [&[0, 4, 3, 4, 0, 6][..], &[0; 8], &kind].concat(),
            Link::Cooked2 => [&kind[..], &[0; 18]].concat(),
            Link::Raw => Vec::new(),
            Link::Null => vec![2, 0, 0, 0],
            Link::Loop => vec![0, 0, 0, 2],
        };
        [&head[..], packet].concat()
    }
}

// ---- Files ----

/// Frames with their times.
pub type Frames = Vec<(u64, Vec<u8>)>;

/// A classic pcap, in either byte order and resolution.
pub fn pcap(link: u32, frames: &Frames, big: bool, nanos: bool) -> Vec<u8> {
    let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let half = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let magic = if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
    let mut file = [&word(magic)[..], &half(2), &half(4), &word(0), &word(0), &word(262_144), &word(link)].concat();
    for (at, frame) in frames {
        let unit = if nanos { 1 } else { 1_000 };
        let fraction = (at % SECOND / unit) as u32;
        let length = word(frame.len() as u32);
        file.extend([&word((at / SECOND) as u32)[..], &word(fraction), &length, &length, frame].concat());
    }
    file
}

/// A pcapng; `resolution` is the option `if_tsresol`, microseconds without it.
pub fn pcapng(link: u32, frames: &Frames, resolution: Option<u8>) -> Vec<u8> {
    let mut file = block(0x0a0d_0d0a, &[&0x1a2b_3c4du32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat());
    let option = resolution.map_or_else(Vec::new, |resolution| vec![9, 0, 1, 0, resolution, 0, 0, 0, 0, 0, 0, 0]);
    let described = [&(link as u16).to_le_bytes()[..], &[0, 0], &262_144u32.to_le_bytes(), &option].concat();
    file.extend(block(1, &described));
    for (at, frame) in frames {
        let units = match resolution {
            None => at / 1_000,
            Some(exponent) => (u128::from(*at) * 10u128.pow(exponent.into()) / u128::from(SECOND)) as u64,
        };
        let length = (frame.len() as u32).to_le_bytes();
        let (high, low) = ((units >> 32) as u32, units as u32);
        let mut body = [&[0; 4][..], &high.to_le_bytes(), &low.to_le_bytes(), &length, &length, frame].concat();
        body.resize(body.len().next_multiple_of(4), 0);
        file.extend(block(6, &body));
    }
    file
}

/// A block of a pcapng.
pub fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = (12 + body.len() as u32).to_le_bytes();
    [&kind.to_le_bytes()[..], &length, body, &length].concat()
}

// ---- Scenes ----

/// A conversation over UDP: `true` is sent by the phone.
pub fn conversation(link: Link, messages: &[(u64, bool, Vec<u8>)]) -> Frames {
    let frame = |(at, out, bytes): &(u64, bool, Vec<u8>)| {
        let (from, to) = if *out { (phone(), registrar()) } else { (registrar(), phone()) };
        (START_NS + at, link.frame(&ip_udp(from, to, bytes)))
    };
    messages.iter().map(frame).collect()
}

/// The 200 to a REGISTER.
pub fn accepted(register: &Register<'_>) -> Vec<u8> {
    register.ok()
}

/// REGISTER, 401, REGISTER with credentials, and this last answer.
pub fn handshake(user: &str, cseq: u32, at: u64, last: impl Fn(&Register<'_>) -> Vec<u8>) -> Vec<(u64, bool, Vec<u8>)> {
    let nonce = format!("nonce{cseq}");
    let (first, second) = (Register::of(user, cseq), Register::of(user, cseq + 1).with(&nonce));
    vec![
        (at, true, first.bytes()),
        (at + 5 * MS, false, first.challenge(&nonce)),
        (at + 8 * MS, true, second.bytes()),
        (at + 15 * MS, false, last(&second)),
    ]
}
