//! What stands around a packet: tunnels that a port mirror, a cloud or a mobile network puts it in.
//!
//! Read: GRE with IP, Ethernet or PPP in it (RFC 2784, RFC 2890, RFC 2637), ERSPAN I to III, VXLAN
//! (RFC 7348), Geneve (RFC 8926), GTP-U (3GPP TS 29.281), IP in IP (RFC 2003, RFC 4213); labels of
//! MPLS and sessions of PPPoE are those of `ip`. What is encrypted, or of a form that is not known,
//! is counted.

/// What a tunnel carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Inner<'a> {
    Ip(&'a [u8]),
    Ethernet(&'a [u8]),
    Ppp(&'a [u8]),
}

/// What bytes are to a tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tunnel<'a> {
    Not,
    /// One whose inside cannot be read.
    Closed,
    Open(Inner<'a>),
}

impl<'a> Tunnel<'a> {
    fn of(inner: Option<Inner<'a>>) -> Self {
        inner.map_or(Tunnel::Closed, Tunnel::Open)
    }
}

/// What an IP packet of this protocol carries.
pub(super) fn in_packet(protocol: u8, bytes: &[u8]) -> Tunnel<'_> {
    match protocol {
        4 | 41 => Tunnel::of(ip(bytes)),
        47 => gre(bytes),
        // ESP (RFC 4303), AH (RFC 4302) and L2TP (RFC 3931).
        50 | 51 | 115 => Tunnel::Closed,
        _ => Tunnel::Not,
    }
}

/// What a datagram to or from these ports carries.
pub(super) fn in_datagram(ports: [u16; 2], bytes: &[u8]) -> Tunnel<'_> {
    // The port of the sender is any, but that of GTP-U answers.
    match ports[1] {
        // Linux used 8472 before there was a number.
        4789 | 8472 if bytes.first().is_some_and(|flags| flags & 0x08 != 0) => {
            Tunnel::of(bytes.get(8..).map(Inner::Ethernet))
        }
        6081 => Tunnel::of(geneve(bytes)),
        2152 => gtp(bytes),
        _ => Tunnel::Not,
    }
}

fn ip(bytes: &[u8]) -> Option<Inner<'_>> {
    matches!(bytes.first()? >> 4, 4 | 6).then_some(Inner::Ip(bytes))
}

fn gre(bytes: &[u8]) -> Tunnel<'_> {
    let Some(&[flags, version, kind @ ..]) = bytes.first_chunk::<4>() else { return Tunnel::Closed };
    let flag = |bit: u8| usize::from(flags & bit != 0) * 4;
    let (checksum, key, sequence) = (flag(0x80), flag(0x20), flag(0x10));
    // Source routes (RFC 1701) are of the past.
    if flags & 0x40 != 0 {
        return Tunnel::Closed;
    }
    // PPTP numbers what it acknowledges (RFC 2637 §4.1).
    let acknowledged = if version & 0x87 == 0x81 { 4 } else { 0 };
    let Some(rest) = bytes.get(4 + checksum + key + sequence + acknowledged..) else { return Tunnel::Closed };
    Tunnel::of(match kind {
        [0x08, 0x00] | [0x86, 0xdd] => ip(rest),
        [0x65, 0x58] => Some(Inner::Ethernet(rest)),
        [0x88, 0x0b] if rest.is_empty() => return Tunnel::Not,
        [0x88, 0x0b] => Some(Inner::Ppp(rest)),
        // ERSPAN I has no header of its own, and GRE no sequence number.
        [0x88, 0xbe] => rest.get(if sequence > 0 { 8 } else { 0 }..).map(Inner::Ethernet),
        [0x22, 0xeb] => erspan_iii(rest).map(Inner::Ethernet),
        _ => None,
    })
}

/// Twelve bytes, and eight more if the last bit of them says so.
fn erspan_iii(bytes: &[u8]) -> Option<&[u8]> {
    let more = if bytes.get(11)? & 1 == 1 { 8 } else { 0 };
    bytes.get(12 + more..)
}

/// RFC 8926 §3.4: options in units of four bytes.
fn geneve(bytes: &[u8]) -> Option<Inner<'_>> {
    let head = bytes.first_chunk::<8>()?;
    let rest = bytes.get(8 + usize::from(head[0] & 0x3f) * 4..)?;
    match [head[2], head[3]] {
        [0x65, 0x58] => Some(Inner::Ethernet(rest)),
        [0x08, 0x00] | [0x86, 0xdd] => ip(rest),
        _ => None,
    }
}

/// 3GPP TS 29.281 §5.1: eight bytes, four more if there is any option, then extension headers, each
/// of which names its length in units of four bytes and what follows it.
fn gtp(bytes: &[u8]) -> Tunnel<'_> {
    let Some(head) = bytes.first_chunk::<8>() else { return Tunnel::Closed };
    // Version 1 with the protocol bit; of its messages 255 carries a packet.
    if head[0] & 0xf0 != 0x30 {
        return Tunnel::Closed;
    }
    if head[1] != 255 {
        return Tunnel::Not;
    }
    let inside = || {
        if head[0] & 0x07 == 0 {
            return ip(bytes.get(8..)?);
        }
        let (mut next, mut rest) = (*bytes.get(11)?, bytes.get(12..)?);
        while head[0] & 0x04 != 0 && next != 0 {
            let length = usize::from(*rest.first()?).max(1) * 4;
            next = *rest.get(length - 1)?;
            rest = rest.get(length..)?;
        }
        ip(rest)
    };
    Tunnel::of(inside())
}
