//! What batching is worth on loopback: 560-byte datagrams (a REGISTER with credentials) through one
//! connected socket into one bound socket, by batch size and by path. `plain` is the control: one
//! system call per datagram.
//!
//! One thread does both ends, so a figure holds a send and a receive. Loopback has no device:
//! compare rows with each other and claim nothing for a network card.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use regstorm::net::{RecvBatch, SendBatch, Udp, UdpOptions};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};

const DATAGRAM: usize = 560;

struct Path {
    client: Udp,
    server: Udp,
    outgoing: SendBatch,
    incoming: RecvBatch,
    size: usize,
}

impl Path {
    fn new(size: usize, batching: bool) -> Self {
        let options = UdpOptions { batching, ..UdpOptions::default() };
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Udp::bound(local, &options).expect("a socket on loopback");
        let client = Udp::connected(None, server.local_addr(), &options).expect("a socket on loopback");
        assert_eq!(client.features().batching, batching, "this kernel lacks the batched calls");
        Self { client, server, outgoing: SendBatch::new(size, 2048), incoming: RecvBatch::new(size, 2048), size }
    }

    /// A batch from end to end; the number of bytes that arrived.
    fn carry(&mut self) -> usize {
        for tag in 0..self.size {
            self.outgoing.slot().expect("the batch was sent")[..DATAGRAM].fill(b'x');
            self.outgoing.commit(DATAGRAM, None, tag as u64);
        }
        assert_eq!(self.client.send(&mut self.outgoing).sent, self.size);
        let (mut datagrams, mut bytes) = (0, 0);
        // Loopback delivers while it sends, so this ends at once unless the kernel deferred the
        // delivery.
        while datagrams < self.size {
            datagrams += self.server.recv(&mut self.incoming).expect("recv");
            bytes += self.incoming.iter().map(|datagram| datagram.bytes.len()).sum::<usize>();
        }
        bytes
    }
}

fn carry(c: &mut Criterion) {
    let mut group = c.benchmark_group("carry");
    for size in [1, 8, 32, 64] {
        group.throughput(Throughput::Elements(size as u64));
        for (name, batching) in [("mmsg", true), ("plain-control", false)] {
            let mut path = Path::new(size, batching);
            group.bench_function(BenchmarkId::new(name, size), |b| b.iter(|| black_box(path.carry())));
        }
    }
    group.finish();
}

criterion_group!(benches, carry);
criterion_main!(benches);
