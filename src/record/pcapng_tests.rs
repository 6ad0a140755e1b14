//! The written file, read back block by block; headers checked as a receiver would.

use super::*;
use crate::vocab::{AgentId, Kind, Status, TrunkId};
use pcap_file::pcapng::{Block, PcapNgReader};
use proptest::prelude::*;

const START: Time = Time::from_secs(5);
const UNIX: u64 = 1_790_000_000_123_456_789;
const NAME: Name<'_> = Name { trunk: "trunk_nj_01", user: "agent00017", transport: Transport::Udp };

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn attempt(local: &str, remote: &str, payloads: &[&[u8]]) -> FailedAttempt {
    let packet = |(n, bytes): (usize, &&[u8])| Packet {
        at: START + Duration::from_millis(10 * n as u64),
        direction: if n % 2 == 0 { Direction::Sent } else { Direction::Received },
        local: address(local),
        remote: address(remote),
        bytes: bytes.to_vec(),
    };
    FailedAttempt {
        agent: AgentId(17),
        trunk: TrunkId(0),
        kind: Kind::Retry,
        number: 3,
        status: Status::AuthenticationFailed,
        code: 403,
        reason: b"Authentication Failed".to_vec(),
        place: Place::AfterCredentials,
        packets: payloads.iter().enumerate().map(packet).collect(),
        left_out: 0,
    }
}

fn written(attempts: &[FailedAttempt]) -> Vec<u8> {
    written_over(Transport::Udp, attempts)
}

fn written_over(transport: Transport, attempts: &[FailedAttempt]) -> Vec<u8> {
    let mut writer = PcapngWriter::new(Vec::new(), START, UNIX).expect("memory");
    for attempt in attempts {
        writer.attempt(attempt, Name { transport, ..NAME }).expect("memory");
    }
    writer.into_inner()
}

/// Time, bytes and comment of each packet.
fn packets(file: &[u8]) -> Vec<(Duration, Vec<u8>, String)> {
    let mut reader = PcapNgReader::new(file).expect("a section header");
    let mut found = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block.expect("whole blocks") {
            let [EnhancedPacketOption::Comment(comment)] = &packet.options[..] else { panic!("{:?}", packet.options) };
            found.push((packet.timestamp, packet.data.to_vec(), comment.to_string()));
        }
    }
    found
}

#[test]
fn packets_come_back_with_time_and_comment() {
    let file = written(&[attempt("127.0.0.1:40000", "127.0.0.2:5060", &[b"REGISTER", b"SIP/2.0 401 x", b""])]);
    let packets = packets(&file);
    let times: Vec<u128> = packets.iter().map(|(at, ..)| at.as_nanos() - u128::from(UNIX)).collect();
    assert_eq!(times, [0, 10_000_000, 20_000_000]);
    assert_eq!(
        packets[1].2,
        "trunk trunk_nj_01 user agent00017: retry attempt, number 3 of this agent; authentication_failed: \
         403 Authentication Failed after credentials; packet 2 of 3"
    );
    let sent = &packets[0].1;
    assert_eq!((&sent[12..16], &sent[16..20]), (&[127, 0, 0, 1][..], &[127, 0, 0, 2][..]));
    assert_eq!(&sent[20..24], [40_000u16.to_be_bytes(), 5060u16.to_be_bytes()].concat());
    let received = &packets[1].1;
    assert_eq!((&received[12..16], &received[16..20]), (&[127, 0, 0, 2][..], &[127, 0, 0, 1][..]));
}

#[test]
fn a_connection_is_one_whose_bytes_are_counted_on_over_attempts() {
    let of = |payloads: &[&[u8]]| attempt("127.0.0.1:40000", "127.0.0.2:5061", payloads);
    let attempts = [of(&[b"REGISTER", b"SIP/2.0 401"]), of(&[b"REGISTER again", b"SIP/2.0 403"])];
    let packets = packets(&written_over(Transport::Tls, &attempts));
    let word = |at: usize, packet: &[u8]| u32::from_be_bytes(packet[at..at + 4].try_into().expect("four"));
    let numbers: Vec<_> =
        packets.iter().map(|(_, packet, _)| (packet[9], word(24, packet), word(28, packet))).collect();
    assert_eq!(numbers, [(TCP, 1, 1), (TCP, 1, 9), (TCP, 9, 12), (TCP, 12, 23)]);
    assert!(packets.iter().all(|(_, packet, _)| verify(packet) == (0, 0)));
    assert!(packets.iter().all(|(.., comment)| comment.ends_with(" of 2; it went over TLS and is shown decrypted")));
}

#[test]
fn silence_is_called_by_its_word() {
    let mut silent = attempt("[::1]:40000", "[::1]:5060", &[b"REGISTER"]);
    silent.status = Status::RequestTimeout;
    (silent.code, silent.reason, silent.place, silent.left_out) = (0, b"timeout".to_vec(), Place::Unchallenged, 2);
    let packets = packets(&written(&[silent]));
    let comment = &packets[0].2;
    assert!(
        comment.ends_with("request_timeout: timeout without credentials; packet 1 of 1, 2 more not kept"),
        "{comment}"
    );
}

#[test]
fn a_reason_of_any_length_and_bytes_fits_a_comment() {
    let mut odd = attempt("127.0.0.1:1", "127.0.0.1:2", &[b"x"]);
    odd.reason = [0xff; 70_000].to_vec();
    assert_eq!(packets(&written(&[odd])).len(), 1);
}

#[test]
fn too_long_a_packet_is_refused_and_leaves_the_file_whole() {
    let long = vec![0; 65_536];
    let mut writer = PcapngWriter::new(Vec::new(), START, UNIX).expect("memory");
    assert!(writer.attempt(&attempt("127.0.0.1:1", "127.0.0.1:2", &[&long]), NAME).is_err());
    writer.attempt(&attempt("127.0.0.1:1", "127.0.0.1:2", &[b"x"]), NAME).expect("memory");
    assert_eq!(packets(&writer.into_inner()).len(), 1);
}

/// What a receiver adds up: a right checksum gives zero.
fn verify(packet: &[u8]) -> (u16, u16) {
    if packet[0] >> 4 == 4 {
        let (header, udp) = packet.split_at(IPV4_HEADER);
        let length = (udp.len() as u16).to_be_bytes();
        (checksum([header]), checksum([&header[12..20], &[0, header[9]], &length, udp]))
    } else {
        let (header, udp) = packet.split_at(IPV6_HEADER);
        let length = (udp.len() as u32).to_be_bytes();
        (0, checksum([&header[8..40], &length, &[0, 0, 0, header[6]], udp]))
    }
}

proptest! {
    #[test]
    fn lengths_and_checksums_are_true(
        payload in prop::collection::vec(any::<u8>(), 0..600),
        v6 in any::<bool>(),
        host in any::<u32>(),
        port in any::<u16>(),
    ) {
        let local = if v6 { format!("[fe80::{:x}]:{port}", host & 0xffff) } else { format!("{}:{port}", Ipv4Addr::from(host)) };
        let remote = if v6 { "[::1]:5060" } else { "127.0.0.1:5060" };
        let packets = packets(&written(&[attempt(&local, remote, &[&payload])]));
        let packet = &packets[0].1;
        let header = if v6 { IPV6_HEADER } else { IPV4_HEADER };
        prop_assert_eq!(packet.len(), header + UDP_HEADER + payload.len());
        let told = if v6 { u16::from_be_bytes([packet[4], packet[5]]) as usize + header } else { u16::from_be_bytes([packet[2], packet[3]]) as usize };
        prop_assert_eq!(told, packet.len());
        prop_assert_eq!(verify(packet), (0, 0));
        prop_assert_ne!(&packet[header + 6..header + 8], &[0, 0][..]);
        prop_assert_eq!(&packet[header + UDP_HEADER..], &payload[..]);
    }
}
