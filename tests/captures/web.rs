//! SIP in the frames of a captured WebSocket, and SIP that Wireshark has exported.

use super::packets::*;
use regstorm::record::capture::{self, Account};
use regstorm::vocab::Transport;
use std::net::SocketAddr;

/// Who sent it, over what, and its bytes.
type Found = (SocketAddr, Transport, Vec<u8>);

fn read(file: &[u8]) -> (Vec<Found>, Account) {
    let mut found = Vec::new();
    let account = capture::read(file, |message| found.push((message.from, message.transport, message.bytes.to_vec())));
    (found, account.expect("a capture"))
}

/// A frame (RFC 6455 §5.2) of `opcode` and flags; masked where a client sends it.
fn frame(first: u8, mask: Option<[u8; 4]>, body: &[u8]) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = match body.len() {
        short @ ..126 => vec![first, masked | short as u8],
        long => [&[first, masked | 126][..], &(long as u16).to_be_bytes()].concat(),
    };
    bytes.extend_from_slice(&mask.unwrap_or_default()[..if mask.is_some() { 4 } else { 0 }]);
    bytes.extend(body.iter().enumerate().map(|(n, byte)| byte ^ mask.map_or(0, |mask| mask[n % 4])));
    bytes
}

const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: edge\r\nupgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n";
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
const MASK: Option<[u8; 4]> = Some([7, 0, 99, 255]);

/// One direction from the first byte on, in segments of this length.
fn direction(from: SocketAddr, to: SocketAddr, bytes: &[u8], length: usize) -> Vec<Vec<u8>> {
    let segment = |(n, piece): (usize, &[u8])| ip_tcp(from, to, (1 + n * length) as u32, ACK, piece);
    let syn = ip_tcp(from, to, 0, SYN, b"");
    std::iter::once(syn).chain(bytes.chunks(length).enumerate().map(segment)).collect()
}

fn file(packets: &[Vec<u8>]) -> Vec<u8> {
    let frames = packets.iter().map(|packet| (START_NS, Link::Ethernet.frame(packet))).collect();
    pcap(Link::Ethernet.number(), &frames, false, true)
}

fn register(cseq: u32) -> Register<'static> {
    Register { transport: "WS", ..Register::of("alice", cseq) }
}

#[test]
fn messages_come_out_of_frames_whatever_segments_they_came_in() {
    let [one, two] = [1, 2].map(|cseq| register(cseq).bytes());
    let (head, tail) = two.split_at(100);
    let up = [
        UPGRADE.to_vec(),
        frame(0x82, MASK, &one),
        // A ping, an empty line as keep-alive, and a message in two frames with a pong between
        // them.
        frame(0x89, MASK, b"?"),
        frame(0x81, MASK, b"\r\n\r\n"),
        frame(0x01, MASK, head),
        frame(0x8a, MASK, b""),
        frame(0x80, MASK, tail),
    ];
    let answer = register(1).challenge("n1");
    let down = [SWITCHING.to_vec(), frame(0x81, None, &answer)].concat();
    for length in [1, 7, 333, 60_000] {
        let mut packets = direction(phone(), registrar(), &up.concat(), length);
        packets.extend(direction(registrar(), phone(), &down, length));
        let (found, account) = read(&file(&packets));
        let of = |from, bytes: &Vec<u8>| (from, Transport::Ws, bytes.clone());
        assert_eq!(found, [of(phone(), &one), of(phone(), &two), of(registrar(), &answer)], "{length}");
        assert_eq!((account.messages, account.remarks()), (3, vec![]), "{length}");
    }
}

#[test]
fn segments_of_a_websocket_may_come_twice_out_of_order_and_not_at_all() {
    let messages: Vec<_> = (1..=4).map(|cseq| register(cseq).bytes()).collect();
    let frames: Vec<_> = messages.iter().map(|bytes| frame(0x82, MASK, bytes)).collect();
    let bytes = [UPGRADE.to_vec(), frames.concat()].concat();
    let whole = direction(phone(), registrar(), &bytes, 200);
    let mut shuffled = whole.clone();
    shuffled.swap(2, 5);
    shuffled.insert(4, whole[1].clone());
    assert_eq!(read(&file(&shuffled)).0.len(), 4);
    // Each frame in a segment of its own, and the second of them was not captured.
    let mut at = 1;
    let mut packets = vec![ip_tcp(phone(), registrar(), 0, SYN, b"")];
    for (n, piece) in std::iter::once(UPGRADE).chain(frames.iter().map(Vec::as_slice)).enumerate() {
        if n != 2 {
            packets.push(ip_tcp(phone(), registrar(), at, ACK, piece));
        }
        at += piece.len() as u32;
    }
    let (found, account) = read(&file(&packets));
    let expected: Vec<_> = [0, 2, 3].map(|n| (phone(), Transport::Ws, messages[n].clone())).into();
    assert_eq!((found, account.stream_gaps), (expected, 1));
}

/// A capture that begins when everybody is connected.
#[test]
fn a_websocket_is_known_without_its_upgrade() {
    let messages = [1, 2].map(|cseq| register(cseq).bytes());
    let bytes = messages.iter().map(|bytes| frame(0x82, MASK, bytes)).collect::<Vec<_>>().concat();
    let packets = &direction(phone(), registrar(), &bytes, 150)[1..];
    let expected: Vec<_> = messages.map(|bytes| (phone(), Transport::Ws, bytes)).into();
    assert_eq!(read(&file(packets)).0, expected);
}

#[test]
fn compressed_frames_and_other_http_are_no_sip_and_are_said_or_passed_over() {
    let packed = [UPGRADE.to_vec(), frame(0xc2, MASK, b"\x01\x02"), frame(0x82, MASK, &register(1).bytes())].concat();
    let (found, account) = read(&file(&direction(phone(), registrar(), &packed, 999)));
    assert_eq!((found.len(), account.compressed_frames), (1, 1));
    assert!(account.remarks()[0].contains("compressed"), "{account}");
    let web = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3);
    let (found, account) = read(&file(&direction(phone(), registrar(), &web, 20)));
    assert_eq!((found.len(), account.remarks()), (0, vec![]));
    // A frame as long as nothing is costs no memory.
    let endless = [UPGRADE, &[0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4], &[0; 100]].concat();
    assert_eq!(read(&file(&direction(phone(), registrar(), &endless, 999))).0.len(), 0);
}

/// What tshark exports of a TLS connection to whose keys it has access: tags, then the message.
#[test]
fn sip_that_wireshark_exported_is_read() {
    let tag = |kind: u16, value: &[u8]| [&kind.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat();
    let (message, answer) = (Register::of("alice", 1).bytes(), Register::of("alice", 1).challenge("n1"));
    let record = |from: [u8; 4], to: [u8; 4], ports: [u32; 2], bytes: &[u8]| {
        let [port, other] = ports.map(u32::to_be_bytes);
        let tags =
            [tag(12, b"sip\0"), tag(20, &from), tag(21, &to), tag(24, &[0, 0, 0, 2]), tag(25, &port), tag(26, &other)];
        [&tags.concat()[..], &tag(0, b""), bytes].concat()
    };
    let (near, far) = ([10, 0, 0, 7], [10, 0, 0, 1]);
    let mut frames = vec![
        (START_NS, record(near, far, [40_000, 5061], &message)),
        (START_NS, record(far, near, [5061, 40_000], &answer)),
        // One that does not say between whom, and one that is cut.
        (START_NS, tag(0, b"")),
        (START_NS, vec![0, 12, 0, 99]),
    ];
    let (found, account) = read(&pcap(252, &frames, false, true));
    let at = |host: [u8; 4], port| SocketAddr::from((host, port));
    let expected = [(at(near, 40_000), message), (at(far, 5061), answer)];
    assert_eq!(found, expected.map(|(from, bytes)| (from, Transport::Tcp, bytes)));
    assert_eq!(account.damaged_packets, 2);
    frames.truncate(1);
    frames[0].1.truncate(30);
    assert_eq!(read(&pcap(252, &frames, false, true)).0.len(), 0);
}
