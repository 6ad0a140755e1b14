//! Every form of file, link layer and fragment yields the same messages; damage is counted and
//! never a panic.

use super::packets::*;
use proptest::prelude::*;
use regstorm::record::capture::{self, Account};
use std::net::SocketAddr;

/// One message as it comes out: nanoseconds after the start, sender, bytes.
type Message = (u64, SocketAddr, Vec<u8>);

fn read(file: &[u8]) -> (Vec<Message>, Account) {
    let mut messages = Vec::new();
    let account = capture::read(file, |packet| {
        messages.push((packet.at_ns.saturating_sub(START_NS), packet.from, packet.bytes.to_vec()));
    });
    (messages, account.expect("a capture"))
}

fn expected() -> Vec<Message> {
    let from = |out| if out { phone() } else { registrar() };
    handshake("alice", 1, 0, accepted).into_iter().map(|(at, out, bytes)| (at, from(out), bytes)).collect()
}

fn ethernet(frames: &Frames) -> Vec<u8> {
    pcap(Link::Ethernet.number(), frames, false, true)
}

#[test]
fn every_link_layer_and_every_form_of_file() {
    for link in Link::ALL {
        let frames = conversation(link, &handshake("alice", 1, 0, accepted));
        let number = link.number();
        let files = [
            pcap(number, &frames, false, true),
            pcap(number, &frames, true, false),
            pcapng(number, &frames, None),
            pcapng(number, &frames, Some(9)),
            pcapng(number, &frames, Some(3)),
        ];
        for file in &files {
            let (messages, account) = read(file);
            assert_eq!(messages, expected(), "{link:?}");
            assert_eq!((account.frames, account.messages, account.remarks()), (4, 4, vec![]), "{link:?}");
        }
    }
}

#[test]
fn fragments_in_any_order_and_twice() {
    let message = Register::of("alice", 1).bytes();
    let datagram = udp(phone(), registrar(), &message);
    let six = |text: &str| text.parse::<SocketAddr>().expect("an address");
    let (from6, to6) = (six("[2001:db8::1]:5080"), six("[2001:db8::5]:5060"));
    let mut four = ipv4_fragments(phone(), registrar(), 9, &datagram, 128);
    assert!(four.len() > 2);
    four.reverse();
    four.insert(1, four[0].clone());
    let fragments6 = ipv6_fragments(from6, to6, 9, &udp(from6, to6, &message), 128);
    let packets = four.into_iter().chain(fragments6);
    let (messages, account) = read(&ethernet(&packets.map(|packet| (START_NS, Link::Vlan.frame(&packet))).collect()));
    assert_eq!(messages, [(0, phone(), message.clone()), (0, from6, message)]);
    assert_eq!(account.remarks(), [""; 0]);
}

/// A busy sender's answers of one length leave as one datagram, which only its card cuts up (UDP
/// GSO).
#[test]
fn messages_that_left_as_one_datagram_are_as_many_messages() {
    let challenge = |user| Register::of(user, 1).challenge("n1");
    let whole = [challenge("alice"), challenge("carol"), Register::of("bob", 1).answer(403, "No", "")];
    assert_eq!(whole[0].len(), whole[1].len());
    let one = ip_udp(registrar(), phone(), &whole.concat());
    let (messages, account) = read(&ethernet(&vec![(START_NS, Link::Ethernet.frame(&one))]));
    assert_eq!(messages, whole.map(|bytes| (0, registrar(), bytes)));
    assert_eq!((account.frames, account.messages, account.remarks()), (1, 3, vec![]));

    // What follows a message and is none of its own is not cut off, nor a body that is like a
    // message (RFC 3420).
    let body = "SIP/2.0 180 Ringing\r\n\r\n";
    let with_body = Register::of("alice", 1).answer(200, "OK", &format!("Content-Length: {}\r\n", body.len()));
    for (head, rest) in [(with_body, body), (challenge("alice"), "\0\0\0")] {
        let bytes = [&head[..], rest.as_bytes()].concat();
        let frame = Link::Ethernet.frame(&ip_udp(registrar(), phone(), &bytes));
        assert_eq!(read(&ethernet(&vec![(START_NS, frame)])).0, [(0, registrar(), bytes)]);
    }
}

#[test]
fn a_missing_fragment_is_said() {
    let datagram = udp(phone(), registrar(), &Register::of("alice", 1).bytes());
    let mut packets = ipv4_fragments(phone(), registrar(), 9, &datagram, 128);
    packets.remove(1);
    let (messages, account) = read(&ethernet(&packets.iter().map(|p| (START_NS, Link::Ethernet.frame(p))).collect()));
    assert_eq!((messages.len(), account.remarks()), (0, vec!["1 IP datagrams lack fragments".to_owned()]));
}

#[test]
fn a_twin_is_a_copy_and_a_later_one_a_retransmission() {
    let message = Register::of("alice", 1).bytes();
    let frames = conversation(
        Link::Ethernet,
        &[(0, true, message.clone()), (MS, true, message.clone()), (500 * MS, true, message)],
    );
    let (messages, account) = read(&ethernet(&frames));
    assert_eq!((messages.len(), account.copies), (2, 1));
}

/// A stream of messages cut into segments of these lengths.
fn segments(bytes: &[u8], first: u32, lengths: &[usize]) -> Vec<Vec<u8>> {
    let mut at = 0;
    let mut cut = Vec::new();
    for length in lengths.iter().copied().chain([usize::MAX]) {
        let end = at + length.min(bytes.len() - at);
        if end > at {
            cut.push(ip_tcp(phone(), registrar(), first.wrapping_add(at as u32), ACK, &bytes[at..end]));
        }
        at = end;
    }
    cut
}

fn in_ethernet(packets: &[Vec<u8>]) -> Vec<u8> {
    ethernet(&packets.iter().map(|packet| (START_NS, Link::Ethernet.frame(packet))).collect())
}

fn two_messages() -> (Vec<u8>, Vec<Message>) {
    let [one, two] = [1, 2].map(|cseq| Register { transport: "TCP", ..Register::of("alice", cseq) }.bytes());
    // A keep-alive stands between them (RFC 5626 §3.5.1).
    ([&one[..], b"\r\n\r\n", &two].concat(), vec![(0, phone(), one), (0, phone(), two)])
}

#[test]
fn a_stream_from_its_beginning_in_pieces_out_of_order_and_twice() {
    let (bytes, expected) = two_messages();
    // Sequence numbers pass their end on the way.
    let first = u32::MAX - 100;
    let mut packets = segments(&bytes, first, &[50, 60, 200, 300]);
    packets.swap(0, 3);
    packets.push(packets[1].clone());
    packets.insert(0, ip_tcp(phone(), registrar(), first.wrapping_sub(1), SYN, b""));
    let (messages, account) = read(&in_ethernet(&packets));
    assert_eq!(messages, expected);
    assert_eq!((account.stream_gaps, account.copies), (0, 1));
}

#[test]
fn a_stream_from_its_middle_begins_at_the_next_message() {
    let (bytes, expected) = two_messages();
    let cut = segments(&bytes[200..], 5_000, &[100]);
    let (messages, _) = read(&in_ethernet(&cut));
    assert_eq!(messages, expected[1..]);
}

#[test]
fn a_gap_costs_the_messages_in_it() {
    let (one, expected) = two_messages();
    let bytes = [&one[..], &one].concat();
    let mut packets = segments(&bytes, 1, &[600, 300]);
    packets.remove(1);
    packets.push(ip_tcp(phone(), registrar(), 1 + bytes.len() as u32, FIN, b""));
    let (messages, account) = read(&in_ethernet(&packets));
    assert_eq!(messages.last(), expected.last());
    assert_eq!(account.stream_gaps, 1);
    assert!(account.remarks()[0].contains("gaps"), "{account}");
}

#[test]
fn tls_is_told_apart() {
    let hello = ip_tcp(phone(), registrar(), 1, ACK, &[0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5]);
    let (messages, account) = read(&in_ethernet(&[hello]));
    assert_eq!((messages.len(), account.encrypted_streams), (0, 1));
}

#[test]
fn what_is_no_sip_is_passed_over() {
    let frames = conversation(Link::Ethernet, &[(0, true, b"\x80\x00rtp".to_vec()), (1, true, b"\r\n\r\n".to_vec())]);
    let (messages, account) = read(&ethernet(&frames));
    assert_eq!((messages.len(), account.frames, account.remarks()), (0, 2, vec![]));
}

#[test]
fn a_link_layer_that_is_not_known_is_named() {
    let frames = conversation(Link::Raw, &handshake("alice", 1, 0, accepted));
    let (messages, account) = read(&pcap(147, &frames, false, true));
    assert_eq!(messages.len(), 0);
    assert_eq!(account.remarks(), ["4 frames are of a link layer that is not known (LINKTYPE 147)"]);
}

#[test]
fn a_snap_length_is_no_damage() {
    let message = Register::of("alice", 1).bytes();
    let frame = Link::Ethernet.frame(&ip_udp(phone(), registrar(), &message));
    let mut file = ethernet(&vec![(START_NS, frame[..300].to_vec())]);
    let whole = (frame.len() as u32).to_le_bytes();
    file[24 + 12..24 + 16].copy_from_slice(&whole);
    // The header says 300, and some tools refuse what was longer.
    file[16..20].copy_from_slice(&300u32.to_le_bytes());
    let (messages, account) = read(&file);
    assert_eq!((messages.len(), account.cut_short), (1, 1));
    assert_eq!(account.remarks(), ["1 frames were not captured whole (capture with -s 0)"]);
}

#[test]
fn a_block_that_cannot_be_read_is_stepped_over() {
    let frames = conversation(Link::Ethernet, &handshake("alice", 1, 0, accepted));
    let mut file = pcapng(1, &frames, Some(9));
    // An enhanced packet whose captured length is longer than its block, and one of an interface
    // that nobody described.
    file.extend(block(6, &[[0; 12].as_slice(), &[0xff; 4], &[0; 8]].concat()));
    file.extend(block(6, &[&[9, 0, 0, 0][..], &[0; 16]].concat()));
    let last = conversation(Link::Ethernet, &[(SECOND, true, Register::of("bob", 1).bytes())]);
    let packets = pcapng(1, &last, Some(9));
    // Only its packet block.
    let head = pcapng(1, &Frames::new(), Some(9)).len();
    file.extend(&packets[head..]);
    let (messages, account) = read(&file);
    assert_eq!((messages.len(), account.damaged_blocks, account.torn), (5, 2, None));
}

#[test]
fn a_time_that_cannot_be_is_no_time() {
    let frames = conversation(Link::Ethernet, &handshake("alice", 1, 0, accepted));
    let mut file = pcapng(1, &frames, Some(9));
    let length = (frames[0].1.len() as u32).to_le_bytes();
    for time in [u64::MAX, i64::MAX as u64 + 1] {
        let halves = [(time >> 32) as u32, time as u32].map(u32::to_le_bytes).concat();
        let mut body = [&[0; 4][..], &halves, &length, &length, &frames[0].1].concat();
        body.resize(body.len().next_multiple_of(4), 0);
        file.extend(block(6, &body));
    }
    let (messages, account) = read(&file);
    assert_eq!((messages.len(), account.frames, account.times_unusable), (4, 6, 2));
    assert_eq!(account.remarks(), ["2 frames with an impossible time were passed over"]);
}

#[test]
fn what_is_no_capture_is_refused() {
    for (bytes, said) in [
        (&b"GET / HTTP/1.1\r\n\r\nnothing like a capture"[..], "begins like neither"),
        (b"", "begins like neither"),
        (&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0], "ends within its own header"),
        (&[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0], "ends within its own header"),
    ] {
        let error = capture::read(bytes, |_| panic!("a message")).expect_err("no capture").to_string();
        assert!(error.contains(said), "{error}");
    }
}

/// A capture with a bit of everything.
fn mixture() -> Vec<Vec<u8>> {
    let (stream, _) = two_messages();
    let datagram = udp(phone(), registrar(), &Register::of("carol", 1).bytes());
    let mut frames = conversation(Link::Vlan, &handshake("alice", 1, 0, accepted));
    let packets =
        segments(&stream, 1, &[100, 500]).into_iter().chain(ipv4_fragments(phone(), registrar(), 3, &datagram, 256));
    frames.extend(packets.map(|packet| (START_NS + SECOND, Link::QinQ.frame(&packet))));
    vec![pcap(1, &frames, false, true), pcap(1, &frames, true, false), pcapng(1, &frames, Some(9))]
}

/// Reads whatever comes of it; the messages are those of an intact capture, or fewer.
fn survive(file: &[u8]) -> Option<Account> {
    capture::read(file, |packet| assert!(packet.bytes.len() < 65_536)).ok()
}

#[test]
fn a_capture_cut_anywhere_yields_what_stands_before() {
    for file in mixture() {
        let mut before = 0;
        for cut in 0..file.len() {
            let Some(account) = survive(&file[..cut]) else { continue };
            assert!(account.messages >= before, "{cut}");
            before = account.messages;
        }
        assert_eq!((before, survive(&file).expect("whole").messages), (6, 7));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_mutated_capture_is_never_a_panic(
        which in 0usize..3,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24),
    ) {
        let mut file = mixture().swap_remove(which);
        for (index, byte) in changes {
            let at = index.index(file.len());
            file[at] = byte;
        }
        survive(&file);
    }

    #[test]
    fn any_bytes_behind_a_magic_are_never_a_panic(which in 0usize..3, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut file = mixture().swap_remove(which);
        file.truncate(24);
        file.extend(bytes);
        survive(&file);
    }

    #[test]
    fn a_stream_cut_into_any_pieces_is_the_same_stream(
        lengths in prop::collection::vec(1usize..400, 0..12),
        order in any::<u64>(),
        first in any::<u32>(),
    ) {
        let (bytes, expected) = two_messages();
        let mut packets = segments(&bytes, first, &lengths);
        // Some order that the seed decides.
        let mut state = order;
        for at in (1..packets.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            packets.swap(at, (state >> 33) as usize % (at + 1));
        }
        packets.insert(0, ip_tcp(phone(), registrar(), first.wrapping_sub(1), SYN, b""));
        let (messages, account) = read(&in_ethernet(&packets));
        prop_assert_eq!(messages, expected);
        prop_assert_eq!(account.stream_gaps, 0);
    }
}
