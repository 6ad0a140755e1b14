//! Packets within packets: what mirrors, clouds and mobile networks wrap around them, and what ICMP
//! sends back.

use super::packets::*;
use super::{observe, statuses};
use proptest::prelude::*;
use regstorm::record::capture::{self, Account};
use regstorm::vocab::{Trouble, Unreachable};
use std::net::SocketAddr;

const GRE: u8 = 47;

fn mirror() -> [SocketAddr; 2] {
    ["203.0.113.1:40000", "203.0.113.2:4789"].map(|text| text.parse().expect("an address"))
}

/// An outer packet of this protocol.
fn outer(protocol: u8, inside: &[u8]) -> Vec<u8> {
    let [from, to] = mirror();
    Link::Ethernet.frame(&ip(from, to, protocol, inside))
}

fn outer_udp(port: u16, inside: &[u8]) -> Vec<u8> {
    let [from, to] = mirror();
    Link::Ethernet.frame(&ip_udp(from, SocketAddr::new(to.ip(), port), inside))
}

type Wrap = fn(&[u8]) -> Vec<u8>;

fn frame(packet: &[u8]) -> Vec<u8> {
    Link::Ethernet.frame(packet)
}

const fn macs() -> [u8; 12] {
    [2; 12]
}

/// Each way in which a packet may be wrapped.
const WRAPPINGS: [(&str, Wrap); 22] = [
    ("gre", |packet| outer(GRE, &[&[0, 0, 8, 0][..], packet].concat())),
    ("gre with checksum, key and sequence", |packet| outer(GRE, &[&[0xb0, 0, 8, 0][..], &[0; 12], packet].concat())),
    ("gre with ethernet", |packet| outer(GRE, &[&[0x20, 0, 0x65, 0x58, 0, 0, 1, 0][..], &frame(packet)].concat())),
    ("pptp", |packet| outer(GRE, &[&[0x30, 0x81, 0x88, 0x0b][..], &[0; 12], &[0xff, 3, 0, 0x21], packet].concat())),
    ("erspan i", |packet| outer(GRE, &[&[0, 0, 0x88, 0xbe][..], &frame(packet)].concat())),
    ("erspan ii", |packet| outer(GRE, &[&[0x10, 0, 0x88, 0xbe][..], &[0; 4], &[0x10; 8], &frame(packet)].concat())),
    ("erspan iii", |packet| outer(GRE, &[&[0x10, 0, 0x22, 0xeb][..], &[0; 4], &[0x20; 12], &frame(packet)].concat())),
    ("erspan iii with more", |packet| {
        outer(GRE, &[&[0x10, 0, 0x22, 0xeb][..], &[0; 4], &[0x21; 20], &frame(packet)].concat())
    }),
    ("vxlan", |packet| outer_udp(4789, &[&[8, 0, 0, 0, 0, 1, 2, 0][..], &frame(packet)].concat())),
    ("vxlan of linux, with a vlan", |packet| {
        outer_udp(8472, &[&[8, 0, 0, 0, 0, 1, 2, 0][..], &Link::Vlan.frame(packet)].concat())
    }),
    ("geneve", |packet| outer_udp(6081, &[&[1, 0, 0x65, 0x58][..], &[0; 8], &frame(packet)].concat())),
    ("gtp-u", |packet| outer_udp(2152, &[&[0x30, 255, 0, 0][..], &[0; 4], packet].concat())),
    ("gtp-u with a sequence", |packet| {
        outer_udp(2152, &[&[0x32, 255, 0, 0][..], &[0; 4], &[0, 1, 0, 0], packet].concat())
    }),
    ("gtp-u with extensions", |packet| {
        outer_udp(
            2152,
            &[&[0x34, 255, 0, 0][..], &[0; 4], &[0, 0, 0, 0x85], &[1, 0, 0, 0x85], &[1, 9, 9, 0], packet].concat(),
        )
    }),
    ("ip in ip", |packet| outer(4, packet)),
    ("mpls", |packet| [&macs()[..], &[0x88, 0x47, 0, 1, 0, 64, 0, 2, 1, 64], packet].concat()),
    ("mpls, a pseudowire", |packet| [&macs()[..], &[0x88, 0x47, 0, 1, 1, 64, 0, 0, 0, 0], &frame(packet)].concat()),
    ("mpls, a pseudowire without control word", |packet| {
        [&macs()[..], &[0x88, 0x48, 0, 1, 1, 64], &[0xfe; 12], &frame(packet)[12..]].concat()
    }),
    ("pppoe", |packet| [&macs()[..], &[0x88, 0x64, 0x11, 0, 0, 1, 0, 0, 0, 0x21], packet].concat()),
    ("pppoe behind a vlan, short protocol", |packet| {
        [&macs()[..], &[0x81, 0, 0, 7, 0x88, 0x64, 0x11, 0, 0, 1, 0, 0, 0x21], packet].concat()
    }),
    ("vxlan in gre", |packet| {
        let [from, to] = mirror();
        let inner = ip_udp(from, to, &[&[8, 0, 0, 0, 0, 1, 2, 0][..], &frame(packet)].concat());
        outer(GRE, &[&[0, 0, 8, 0][..], &inner].concat())
    }),
    ("gre over mpls", |packet| {
        let [from, to] = mirror();
        let gre = ip(from, to, GRE, &[&[0, 0, 8, 0][..], packet].concat());
        [&macs()[..], &[0x88, 0x47, 0, 1, 1, 64], &gre].concat()
    }),
];

fn wrapped(wrap: Wrap) -> Frames {
    handshake("alice", 1, 0, accepted)
        .into_iter()
        .map(|(at, out, bytes)| {
            let (from, to) = if out { (phone(), registrar()) } else { (registrar(), phone()) };
            (START_NS + at, wrap(&ip_udp(from, to, &bytes)))
        })
        .collect()
}

fn account_of(frames: &Frames) -> Account {
    capture::read(pcap(1, frames, false, true).as_slice(), |_| ()).expect("a capture")
}

#[test]
fn every_wrapping_is_taken_off() {
    for (name, wrap) in WRAPPINGS {
        let seen = observe(&wrapped(wrap));
        assert_eq!(statuses(&seen.results), [("registered", 1)], "{name}");
        assert_eq!(
            (seen.results.header.trunks[0].target.as_str(), seen.remarks),
            ("198.51.100.5:5060", vec![]),
            "{name}"
        );
        // A mirror may show both what was wrapped and what was not.
        let both: Frames = wrapped(wrap).into_iter().zip(wrapped(frame)).flat_map(|(one, two)| [one, two]).collect();
        assert_eq!((account_of(&both).messages, account_of(&both).copies), (4, 4), "{name}");
    }
}

#[test]
fn what_cannot_be_looked_into_is_counted() {
    let closed: [(&str, Vec<u8>); 6] = [
        ("esp", outer(50, &[0; 40])),
        ("gre with a source route", outer(GRE, &[0x40, 0, 8, 0, 0, 0, 0, 0])),
        ("gre with frame relay", outer(GRE, &[0, 0, 0x65, 0x59, 1, 2, 3, 4])),
        ("gtp of another version", outer_udp(2152, &[0x48, 255, 0, 0, 0, 0, 0, 0])),
        ("macsec", [&macs()[..], &[0x88, 0xe5], &[0; 40]].concat()),
        ("vxlan cut short", outer_udp(4789, &[8, 0, 0, 0])),
    ];
    for (name, frame) in closed {
        let account = account_of(&vec![(START_NS, frame)]);
        assert_eq!((account.tunnels_closed, account.messages), (1, 0), "{name}");
        assert_eq!(
            account.remarks(),
            ["1 packets are in tunnels that cannot be looked into (IPsec, MACsec and the like)"],
            "{name}"
        );
    }
    // Deeper than anybody wraps.
    let mut packet = ip_udp(phone(), registrar(), &Register::of("alice", 1).bytes());
    for _ in 0..9 {
        let [from, to] = mirror();
        packet = ip(from, to, 4, &packet);
    }
    let account = account_of(&vec![(START_NS, frame(&packet))]);
    assert_eq!((account.tunnels_closed, account.messages), (1, 0));
    // An echo of GTP, and ARP, are no tunnels.
    for frame in [outer_udp(2152, &[0x32, 1, 0, 4, 0, 0, 0, 0]), [&macs()[..], &[8, 6], &[0; 28]].concat()] {
        assert_eq!(account_of(&vec![(START_NS, frame)]).remarks(), [""; 0]);
    }
}

// ---- ICMP ----

/// What a router or host sends back of a datagram: so many bytes of it.
fn icmp(kind: [u8; 2], packet: &[u8], quoted: usize) -> Vec<u8> {
    let quoted = &packet[..quoted.min(packet.len())];
    let inside = [&kind[..], &[0; 6], quoted].concat();
    let protocol = if packet[0] >> 4 == 4 { 1 } else { 58 };
    let (from, to) = if protocol == 1 { (registrar(), phone()) } else { (v6(5), v6(1)) };
    frame(&ip(from, to, protocol, &inside))
}

fn v6(last: u8) -> SocketAddr {
    format!("[2001:db8::{last}]:5060").parse().expect("an address")
}

#[test]
fn a_request_that_icmp_sends_back_was_not_left_unanswered() {
    for (kind, what) in [([3, 3], Unreachable::Port), ([3, 1], Unreachable::Host), ([3, 0], Unreachable::Network)] {
        let round = |n: u32| {
            let at = START_NS + u64::from(n) * 30 * SECOND;
            let packet = ip_udp(phone(), registrar(), &Register::of("alice", n).bytes());
            [(at, frame(&packet)), (at + MS, icmp(kind, &packet, 548))]
        };
        let seen = observe(&(1..=3).flat_map(round).collect());
        assert_eq!(statuses(&seen.results), [("transport_error", 3)], "{what:?}");
        assert_eq!(seen.results.agents[0].last_reason, Trouble::Unreachable(what).as_str());
        assert_eq!(seen.remarks, ["3 SIP messages came back as undeliverable (ICMP)"]);
    }
}

#[test]
fn an_answer_that_comes_all_the_same_counts() {
    let register = Register::of("alice", 1);
    let packet = ip_udp(phone(), registrar(), &register.bytes());
    let frames = vec![
        (START_NS, frame(&packet)),
        (START_NS + MS, icmp([3, 3], &packet, 548)),
        (START_NS + 500 * MS, frame(&packet)),
        (START_NS + 510 * MS, frame(&ip_udp(registrar(), phone(), &register.ok()))),
    ];
    assert_eq!(statuses(&observe(&frames).results), [("registered", 1)]);
}

#[test]
fn icmp_that_says_too_little_is_passed_over() {
    let packet = ip_udp(phone(), registrar(), &Register::of("alice", 1).bytes());
    // A router of old quotes eight bytes; other kinds say nothing of the kind.
    for back in
        [icmp([3, 3], &packet, 28), icmp([3, 4], &packet, 548), icmp([8, 0], &packet, 548), icmp([3, 3], &packet, 4)]
    {
        let seen = observe(&vec![(START_NS, frame(&packet)), (START_NS + MS, back)]);
        assert_eq!(statuses(&seen.results), [("abandoned", 1)]);
    }
    let six = Register { address: v6(1), ..Register::of("alice", 1) };
    let packet = ip_udp(v6(1), v6(5), &six.bytes());
    let seen = observe(&vec![(START_NS, frame(&packet)), (START_NS + MS, icmp([1, 4], &packet, 1232))]);
    assert_eq!(statuses(&seen.results), [("transport_error", 1)]);
}

proptest! {
    /// Wrappings that were damaged in any place are passed over, or read as what they are then.
    #[test]
    fn damage_anywhere_is_no_panic(which in 0..WRAPPINGS.len(), place in 0usize..900, byte: u8, cut in 0usize..900) {
        let mut frames = wrapped(WRAPPINGS[which].1);
        for (_, frame) in &mut frames {
            if let Some(hit) = frame.get_mut(place) {
                *hit = byte;
            }
            if cut % 3 == 0 {
                frame.truncate(cut);
            }
        }
        prop_assert!(account_of(&frames).messages <= 8);
    }

    #[test]
    fn any_bytes_in_a_tunnel_are_no_panic(protocol: u8, port in prop_oneof![Just(4789u16), Just(2152), Just(6081)],
        inside in proptest::collection::vec(any::<u8>(), 0..200)) {
        let frames = vec![(START_NS, outer(protocol, &inside)), (START_NS, outer_udp(port, &inside))];
        prop_assert!(account_of(&frames).messages == 0);
    }
}
