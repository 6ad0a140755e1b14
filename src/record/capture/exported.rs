//! SIP as Wireshark exports it (LINKTYPE_WIRESHARK_UPPER_PDU): what was in a TLS connection to
//! whose key log it had access, among others. Tags with addresses and ports stand before each
//! message: a type and a length of two bytes each, then so many bytes, up to type 0.

use crate::vocab::Transport;
use std::net::{IpAddr, SocketAddr};

/// The number of that link layer.
pub(super) const LINK: u32 = 252;

/// A message, and what is known of its way.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Exported<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) transport: Transport,
    pub(super) bytes: &'a [u8],
}

/// Reads one record; `None` where it does not say between whom.
pub(super) fn read(mut record: &[u8]) -> Option<Exported<'_>> {
    let (mut hosts, mut ports, mut transport) = ([None, None], [0; 2], Transport::Tcp);
    loop {
        let (&[a, b, c, d], rest) = record.split_first_chunk()?;
        let (value, after) = rest.split_at_checked(usize::from(u16::from_be_bytes([c, d])))?;
        let number = || value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        match u16::from_be_bytes([a, b]) {
            END => {
                let [from, to] = hosts;
                let (from, to) = (SocketAddr::new(from?, ports[0]), SocketAddr::new(to?, ports[1]));
                return Some(Exported { from, to, transport, bytes: after });
            }
            tag @ (IPV4_FROM | IPV4_TO) => {
                hosts[usize::from(tag - IPV4_FROM)] = value.first_chunk().map(|four: &[u8; 4]| IpAddr::from(*four));
            }
            tag @ (IPV6_FROM | IPV6_TO) => {
                hosts[usize::from(tag - IPV6_FROM)] = value.first_chunk().map(|all: &[u8; 16]| IpAddr::from(*all));
            }
            PORT_KIND if number() == Some(OVER_UDP) => transport = Transport::Udp,
            tag @ (PORT_FROM | PORT_TO) => {
                ports[usize::from(tag - PORT_FROM)] = number().and_then(|port| u16::try_from(port).ok())?;
            }
            _ => {}
        }
        record = after;
    }
}

const END: u16 = 0;
const IPV4_FROM: u16 = 20;
const IPV4_TO: u16 = 21;
const IPV6_FROM: u16 = 22;
const IPV6_TO: u16 = 23;
const PORT_KIND: u16 = 24;
const PORT_FROM: u16 = 25;
const PORT_TO: u16 = 26;
const OVER_UDP: u32 = 3;
