//! The net room against the kernel: real sockets on loopback, ports of the kernel's choice, no
//! sleeping.

use regstorm::net::udp::COALESCED;
use regstorm::net::{Clock, NetError, Poller, RecvBatch, SendBatch, Udp, UdpOptions};
use regstorm::vocab::Time;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(10);

/// Both paths, batched first, each datagram by itself.
fn both() -> [UdpOptions; 2] {
    [true, false].map(|batching| UdpOptions { batching, ..UdpOptions::default() })
}

/// IPv4, and IPv6 where this machine has it.
fn families() -> Vec<IpAddr> {
    [V4, V6].into_iter().filter(|&ip| ip == V4 || UdpSocket::bind((ip, 0)).is_ok()).collect()
}

fn pair(ip: IpAddr, options: &UdpOptions) -> (Udp, Udp) {
    let server = Udp::bound(SocketAddr::new(ip, 0), options).expect("a bound socket");
    let client = Udp::connected(Some(ip), server.local_addr(), options).expect("a connected socket");
    (client, server)
}

/// An address on which nobody listens: the other end of a connected socket may not be taken by
/// anyone else, and takes datagrams only from its peer, so a stranger's datagram is refused by
/// ICMP.
fn deaf_peer() -> (SocketAddr, UdpSocket) {
    let socket = UdpSocket::bind((V4, 0)).expect("a port");
    socket.connect((V4, 9)).expect("connecting sends nothing");
    (socket.local_addr().expect("bound"), socket)
}

fn queue(batch: &mut SendBatch, payload: &[u8], to: Option<SocketAddr>, tag: u64) {
    batch.slot().expect("a free slot")[..payload.len()].copy_from_slice(payload);
    batch.commit(payload.len(), to, tag);
}

/// Waits with a poller until `done` says so, or panics.
fn until(socket: &mut Udp, what: &str, mut done: impl FnMut(&mut Udp) -> bool) {
    let clock = Clock::new();
    let mut poller = Poller::new().expect("a poller");
    poller.add(socket, 7).expect("watched");
    let deadline = clock.now() + PATIENCE;
    let mut ready = Vec::new();
    while !done(socket) {
        let left = deadline.since(clock.now());
        assert!(left > Duration::ZERO, "{what} did not happen within {PATIENCE:?}");
        poller.wait(Some(left), &mut ready).expect("wait");
    }
}

/// Receives `count` datagrams: payload, sender, kernel timestamp.
fn receive(socket: &mut Udp, count: usize) -> Vec<(Vec<u8>, SocketAddr, Option<u64>)> {
    let mut batch = RecvBatch::new(100, 2048);
    let mut received = Vec::new();
    until(socket, "arrival", |socket| {
        socket.recv(&mut batch).expect("recv");
        received.extend(batch.iter().map(|d| (d.bytes.to_vec(), d.from, d.kernel_ns)));
        received.len() >= count
    });
    received
}

#[test]
fn both_paths_carry_the_same_datagrams_in_order() {
    for ip in families() {
        for options in both() {
            let (mut client, mut server) = pair(ip, &options);
            let payloads: Vec<Vec<u8>> = (0..150u16).map(|n| vec![n as u8; usize::from(n) * 4]).collect();
            let mut batch = SendBatch::new(payloads.len(), 1024);
            payloads.iter().for_each(|payload| queue(&mut batch, payload, None, 0));
            let report = client.send(&mut batch);
            assert_eq!((report.sent, report.failed), (150, &[][..]));
            assert_eq!(report.bytes, payloads.iter().map(|p| p.len() as u64).sum::<u64>());
            assert!(batch.is_empty());

            let arrived = receive(&mut server, 150);
            assert!(arrived.iter().all(|(_, from, _)| *from == client.local_addr()));
            assert!(arrived.iter().map(|(bytes, ..)| bytes).eq(&payloads));

            // And back, addressed, from the bound socket.
            payloads.iter().for_each(|payload| queue(&mut batch, payload, Some(client.local_addr()), 0));
            assert_eq!(server.send(&mut batch).sent, 150);
            let answered = receive(&mut client, 150);
            assert!(answered.iter().all(|(_, from, _)| *from == server.local_addr()));
            assert!(answered.iter().map(|(bytes, ..)| bytes).eq(&payloads));
        }
    }
}

#[test]
fn what_leaves_and_arrives_as_one_is_the_same_datagrams() {
    for ip in families() {
        for (segments, coalescing) in [(64, true), (64, false), (3, true), (1, true)] {
            let options = UdpOptions { segments, coalescing, ..UdpOptions::default() };
            let (mut client, mut server) = pair(ip, &options);
            assert_eq!((client.features().segments, server.features().coalescing), (segments, coalescing));
            // Three lengths in turn, none a multiple of another, and an empty one among them.
            let payloads: Vec<Vec<u8>> =
                (0..200u16).map(|n| vec![n as u8; [560, 704, 0, 91][usize::from(n) % 4]]).collect();
            let mut batch = SendBatch::new(payloads.len(), 1024);
            payloads.iter().zip(0..).for_each(|(payload, tag)| queue(&mut batch, payload, None, tag));
            assert_eq!(client.send(&mut batch).sent, 200);
            let mut arrived = RecvBatch::new(4, COALESCED);
            let (mut received, mut together) = (Vec::new(), 0);
            until(&mut server, "arrival", |server| {
                server.recv(&mut arrived).expect("recv");
                together = together.max(arrived.len());
                assert!(arrived.iter().all(|datagram| datagram.from == client.local_addr() && !datagram.truncated));
                received.extend(arrived.iter().map(|datagram| datagram.bytes.to_vec()));
                received.len() >= 200
            });
            // Four slots bring more than four only when the kernel leaves together what was sent
            // together.
            assert_eq!(together > 4, segments > 1 && coalescing, "{segments} {coalescing} {together}");
            for len in [560, 704, 0, 91] {
                let of = |all: &[Vec<u8>]| all.iter().filter(|bytes| bytes.len() == len).cloned().collect::<Vec<_>>();
                assert_eq!(of(&received), of(&payloads), "of one length each keeps its place");
            }
        }
    }
}

#[test]
fn one_that_is_too_long_for_the_path_leaves_alone_and_whole() {
    let options = UdpOptions { segments: 64, coalescing: true, ..UdpOptions::default() };
    let (mut client, mut server) = pair(V4, &options);
    // Together they are more than one datagram can hold, each by itself is not.
    let payloads: Vec<Vec<u8>> = (0..6).map(|n| vec![n; 30_000]).collect();
    let mut batch = SendBatch::new(payloads.len(), 30_000);
    payloads.iter().for_each(|payload| queue(&mut batch, payload, None, 0));
    assert_eq!(client.send(&mut batch).sent, 6);
    let mut arrived = RecvBatch::new(4, COALESCED);
    let mut received = Vec::new();
    until(&mut server, "arrival", |server| {
        server.recv(&mut arrived).expect("recv");
        received.extend(arrived.iter().map(|datagram| datagram.bytes.to_vec()));
        received.len() >= 6
    });
    assert_eq!(received, payloads);
}

#[test]
fn every_datagram_has_a_timestamp_between_send_and_receive() {
    for options in both() {
        let (mut client, mut server) = pair(V4, &options);
        assert!(client.features().timestamps && server.features().timestamps);
        let clock = Clock::new();
        let mut batch = SendBatch::new(10, 64);
        // Several rounds through the same slots: a control length that is not reset shows in the
        // second.
        for round in 0..3 {
            let before = clock.sample();
            (0..10).for_each(|n| queue(&mut batch, &[round, n], None, 0));
            assert_eq!(client.send(&mut batch).sent, 10);
            let arrived = receive(&mut server, 10);
            let after = clock.sample();
            let stamps: Vec<u64> = arrived.iter().map(|(.., stamp)| stamp.expect("a timestamp")).collect();
            assert!(stamps.is_sorted(), "{stamps:?}");
            let times: Vec<Time> = stamps.iter().map(|&stamp| clock.from_kernel(&after, stamp)).collect();
            // Generous: the two clocks are not read at the same instant when the thread is
            // preempted in between.
            let slack = Duration::from_millis(50);
            assert!(times.iter().all(|time| *time + slack >= before.now && *time <= after.now), "{times:?}");
        }
    }
}

#[test]
fn an_empty_socket_gives_nothing_and_an_empty_batch_sends_nothing() {
    for options in both() {
        let (mut client, mut server) = pair(V4, &options);
        let mut batch = RecvBatch::new(4, 64);
        assert_eq!(server.recv(&mut batch).expect("nothing is no error"), 0);
        assert!(batch.is_empty());
        let mut nothing = SendBatch::new(4, 64);
        assert_eq!(client.send(&mut nothing).sent, 0);
        // An empty datagram is a datagram: the keep-alive of some phones.
        queue(&mut nothing, &[], None, 0);
        assert_eq!(client.send(&mut nothing).sent, 1);
        assert!(receive(&mut server, 1)[0].0.is_empty());
    }
}

#[test]
fn a_datagram_longer_than_the_slot_is_marked() {
    for options in both() {
        let (mut client, mut server) = pair(V4, &options);
        let mut batch = SendBatch::new(2, 100);
        queue(&mut batch, &[1; 100], None, 0);
        queue(&mut batch, &[2; 64], None, 0);
        client.send(&mut batch);
        let mut arrived = RecvBatch::new(2, 64);
        let mut seen = Vec::new();
        until(&mut server, "arrival", |server| {
            server.recv(&mut arrived).expect("recv");
            seen.extend(arrived.iter().map(|d| (d.bytes.to_vec(), d.truncated)));
            seen.len() == 2
        });
        assert_eq!(seen, [(vec![1; 64], true), (vec![2; 64], false)]);
    }
}

#[test]
fn a_full_batch_leaves_the_rest_in_the_socket() {
    for options in both() {
        let (mut client, mut server) = pair(V4, &options);
        let mut batch = SendBatch::new(5, 8);
        (0..5).for_each(|n| queue(&mut batch, &[n], None, 0));
        client.send(&mut batch);
        let mut few = RecvBatch::new(2, 8);
        let mut seen = Vec::new();
        until(&mut server, "arrival", |server| {
            let count = server.recv(&mut few).expect("recv");
            assert_eq!(count, few.len());
            assert_eq!(few.is_full(), count == 2);
            seen.extend(few.iter().map(|d| d.bytes[0]));
            seen.len() == 5
        });
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }
}

#[test]
fn drops_of_a_small_receive_buffer_are_counted() {
    for options in both() {
        let tiny = UdpOptions { recv_buffer: 4096, ..options };
        let (mut client, mut server) = pair(V4, &tiny);
        assert!(server.features().drop_counter && server.features().recv_buffer < 65_536, "{}", server.features());
        let mut batch = SendBatch::new(200, 512);
        (0..200).for_each(|tag| queue(&mut batch, &[0; 512], None, tag));
        assert_eq!(client.send(&mut batch).sent, 200);
        let arrived = receive(&mut server, 1).len() as u64;
        assert!(arrived < 200, "{arrived} fitted");
        // The drops at the end of a burst are told by the next datagram …
        queue(&mut batch, b"behind the gap", None, 0);
        client.send(&mut batch);
        assert_eq!(receive(&mut server, 1)[0].0, b"behind the gap");
        assert_eq!(server.drops(), 200 - arrived);
        // … or when the kernel is asked, and are counted once.
        assert_eq!(server.refresh_drops(), 200 - arrived);
        (0..200).for_each(|tag| queue(&mut batch, &[0; 512], None, tag));
        client.send(&mut batch);
        let again = receive(&mut server, 1).len() as u64;
        assert_eq!(server.refresh_drops(), 400 - arrived - again);
        assert_eq!(server.drops(), 400 - arrived - again);
    }
}

#[test]
fn icmp_errors_come_with_the_datagrams_they_are_about() {
    for options in both() {
        let (address, _held) = deaf_peer();
        let mut client = Udp::connected(Some(V4), address, &options).expect("a connected socket");
        assert!(client.features().error_queue);
        let mut batch = SendBatch::new(8, 64);
        (0..8).for_each(|tag| queue(&mut batch, format!("REGISTER {tag}").as_bytes(), None, tag));
        let report = client.send(&mut batch);
        assert_eq!((report.sent, report.failed), (8, &[][..]), "an error of an earlier datagram fails no later one");

        let mut arrived = RecvBatch::new(4, 64);
        let mut refused = BTreeMap::new();
        until(&mut client, "ICMP port unreachable", |client| {
            assert_eq!(client.recv(&mut arrived).expect("a pending error is kept, not returned"), 0);
            client.take_errors(|payload, error| {
                assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
                *refused.entry(String::from_utf8_lossy(payload).into_owned()).or_insert(0) += 1;
            });
            !refused.is_empty()
        });
        // Perhaps not all eight: the kernel limits the rate of its ICMP errors.
        assert!(refused.keys().all(|payload| payload.starts_with("REGISTER ")), "{refused:?}");
        assert!(refused.values().all(|&times| times == 1), "{refused:?}");
        assert!(!client.errors_waiting());

        // Nothing is left that would keep the socket ready.
        let mut poller = Poller::new().expect("a poller");
        poller.add(&client, 1).expect("watched");
        let mut ready = Vec::new();
        poller.wait(Some(Duration::ZERO), &mut ready).expect("wait");
        assert!(ready.is_empty());
    }
}

#[test]
fn a_bound_socket_learns_of_icmp_errors_too() {
    for options in both() {
        let (address, _held) = deaf_peer();
        let mut server = Udp::bound(SocketAddr::new(V4, 0), &options).expect("a bound socket");
        let (mut client, mut other) = pair(V4, &options);
        let mut batch = SendBatch::new(2, 64);
        queue(&mut batch, b"to nobody", Some(address), 1);
        queue(&mut batch, b"to somebody", Some(other.local_addr()), 2);
        assert_eq!(server.send(&mut batch).sent, 2);
        assert_eq!(receive(&mut other, 1)[0].0, b"to somebody");
        let mut errors = Vec::new();
        until(&mut server, "ICMP port unreachable", |server| {
            server.take_errors(|payload, error| errors.push((payload.to_vec(), error.kind())));
            !errors.is_empty()
        });
        assert_eq!(errors, [(b"to nobody".to_vec(), io::ErrorKind::ConnectionRefused)]);
        // What others do is no error of ours.
        assert_eq!(client.recv(&mut RecvBatch::new(1, 64)).expect("recv"), 0);
        assert!(!client.errors_waiting());
    }
}

#[test]
fn without_an_error_queue_an_error_is_still_told() {
    let options = UdpOptions { batching: false, error_queue: false, ..UdpOptions::default() };
    let (address, _held) = deaf_peer();
    let mut client = Udp::connected(None, address, &options).expect("a connected socket");
    assert!(!client.features().error_queue);
    let mut batch = SendBatch::new(1, 64);
    queue(&mut batch, b"REGISTER", None, 0);
    client.send(&mut batch);
    let mut errors = Vec::new();
    until(&mut client, "ECONNREFUSED", |client| {
        client.recv(&mut RecvBatch::new(1, 64)).expect("a pending error is kept, not returned");
        client.take_errors(|payload, error| errors.push((payload.len(), error.kind())));
        !errors.is_empty()
    });
    assert_eq!(errors, [(0, io::ErrorKind::ConnectionRefused)]);
}

#[test]
fn a_datagram_too_long_fails_alone() {
    for options in both() {
        let (mut client, mut server) = pair(V4, &options);
        let mut batch = SendBatch::new(3, 70_000);
        queue(&mut batch, b"before", None, 1);
        queue(&mut batch, &[0; 66_000], None, 2);
        queue(&mut batch, b"after", None, 3);
        let report = client.send(&mut batch);
        assert_eq!((report.sent, report.bytes), (2, 11));
        let failures: Vec<_> = report.failed.iter().map(|f| (f.tag, f.error().raw_os_error())).collect();
        assert_eq!(failures, [(2, Some(libc::EMSGSIZE))]);
        let arrived: Vec<_> = receive(&mut server, 2).into_iter().map(|(bytes, ..)| bytes).collect();
        assert_eq!(arrived, [b"before".to_vec(), b"after".to_vec()]);
        client.take_errors(|payload, error| panic!("{error} was reported twice, with {} bytes", payload.len()));
        assert!(!client.errors_waiting());
    }
}

#[test]
fn a_poller_tells_sockets_apart() {
    let options = UdpOptions::default();
    let (mut client, server) = pair(V4, &options);
    let (_quiet, other) = pair(V4, &options);
    let mut poller = Poller::new().expect("a poller");
    poller.add(&server, 3).expect("watched");
    poller.add(&other, u32::MAX).expect("watched");
    assert!(poller.add(&other, 5).is_err(), "a socket is watched once");
    let mut batch = SendBatch::new(1, 8);
    queue(&mut batch, b"x", None, 0);
    client.send(&mut batch);
    let mut ready = Vec::new();
    poller.wait(Some(PATIENCE), &mut ready).expect("wait");
    assert_eq!(ready, [3]);
    // Level-triggered: still there.
    poller.wait(None, &mut ready).expect("wait");
    assert_eq!(ready, [3]);
}

#[test]
fn an_error_names_the_address_and_the_step() {
    let options = UdpOptions::default();
    let holder = Udp::bound(SocketAddr::new(V4, 0), &options).expect("a bound socket");
    let taken = holder.local_addr();
    let error = Udp::bound(taken, &options).expect_err("in use");
    assert!(matches!(error, NetError::Bind { address, .. } if address == taken));
    assert_eq!(error.io_error().kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().starts_with(&format!("cannot bind a UDP socket to {taken}: ")), "{error}");

    // 192.0.2.0/24 is documentation (RFC 5737): no address of ours. Nothing is sent.
    let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let error = Udp::connected(Some(elsewhere), taken, &options).expect_err("not ours");
    assert!(matches!(error, NetError::Bind { address, .. } if address.ip() == elsewhere), "{error}");
    let error = Udp::connected(Some(V4), SocketAddr::new(V6, 5060), &options).expect_err("families differ");
    assert!(matches!(error, NetError::Bind { .. }), "{error}");
}

#[test]
fn features_say_what_was_obtained() {
    let [batched, plain] = both().map(|options| pair(V4, &options).0.features());
    assert!(batched.names().contains(&"recvmmsg".to_owned()), "{batched}");
    assert!(plain.names().contains(&"recvmsg".to_owned()), "{plain}");
    // Unprivileged, the kernel's limits (212992 by default, doubled) still apply.
    assert!(batched.recv_buffer >= 200_000 && batched.send_buffer >= 200_000, "{batched}");
    let wished = UdpOptions { recv_buffer: 65_536, send_buffer: 65_536, ..UdpOptions::default() };
    let obtained = pair(V4, &wished).0.features();
    assert_eq!((obtained.recv_buffer, obtained.send_buffer), (131_072, 131_072), "the kernel doubles");
}

#[test]
fn sockets_batches_and_clocks_may_move_to_a_worker() {
    fn movable<T: Send + 'static>() {}
    movable::<(Udp, RecvBatch, SendBatch, Poller, regstorm::net::Waker, Clock)>();
}

#[test]
fn a_socket_beside_a_connected_one_gets_what_strangers_send() {
    for ip in families() {
        let options = UdpOptions::default();
        let (mut client, mut server) = pair(ip, &options);
        let mut beside = client.beside(&options).expect("a socket beside");
        assert_eq!(beside.local_addr(), client.local_addr());
        let stranger = UdpSocket::bind((ip, 0)).expect("a port");
        let from = stranger.local_addr().expect("bound");
        stranger.send_to(b"stranger", client.local_addr()).expect("loopback");
        let mut out = SendBatch::new(4, 64);
        queue(&mut out, b"peer", Some(client.local_addr()), 1);
        assert_eq!(server.send(&mut out).sent, 1);
        for (socket, text, sender) in
            [(&mut beside, &b"stranger"[..], from), (&mut client, b"peer", server.local_addr())]
        {
            let mut came = RecvBatch::new(4, 64);
            until(socket, "a datagram", |socket| socket.recv(&mut came).expect("received") > 0);
            let all: Vec<_> = came.iter().map(|datagram| (datagram.from, datagram.bytes)).collect();
            assert_eq!(all, [(sender, text)]);
        }
        // The connected one sends to a stranger too, and to its peer afterwards.
        let mut out = SendBatch::new(4, 64);
        queue(&mut out, b"answer", Some(from), 2);
        queue(&mut out, b"request", None, 3);
        assert_eq!(client.send(&mut out).sent, 2);
        stranger.set_read_timeout(Some(PATIENCE)).expect("a duration above zero");
        let mut bytes = [0; 64];
        let (len, sender) = stranger.recv_from(&mut bytes).expect("an answer");
        assert_eq!((&bytes[..len], sender), (&b"answer"[..], client.local_addr()));
        let mut came = RecvBatch::new(4, 64);
        until(&mut server, "a datagram", |socket| socket.recv(&mut came).expect("received") > 0);
        assert_eq!(came.iter().next().map(|datagram| datagram.bytes), Some(&b"request"[..]));
        // Nobody else gets its port.
        assert!(UdpSocket::bind(client.local_addr()).is_err());
    }
}
