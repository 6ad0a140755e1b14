//! As regstorm does it: each datagram by a system call of its own, and epoll tells which sockets
//! hold something.

use super::{DATAGRAM, Sockets};
use regstorm::fleet::Ways;
use regstorm::net::{Clock, Poller, RecvBatch, SendBatch, Udp};
use regstorm::vocab::{FlowId, Time};
use std::time::Duration;

pub struct Watched {
    poller: Poller,
    ready: Vec<u32>,
    received: RecvBatch,
    sending: Sending,
}

pub struct Sending {
    sockets: Vec<Udp>,
    batch: SendBatch,
}

impl Watched {
    /// Every receive offers room for so many datagrams.
    pub fn new(sockets: Vec<Udp>, slots: usize) -> Self {
        let mut poller = Poller::new().expect("a poller");
        for (position, udp) in sockets.iter().enumerate() {
            poller.add(udp, position as u32).expect("a watch");
        }
        let received = RecvBatch::new(slots, DATAGRAM);
        let sending = Sending { sockets, batch: SendBatch::new(1, DATAGRAM) };
        Watched { poller, ready: Vec::new(), received, sending }
    }
}

impl Sockets for Watched {
    type Out = Sending;

    fn out(&mut self) -> &mut Sending {
        &mut self.sending
    }

    fn turn(&mut self, clock: &Clock, patience: Duration, mut each: impl FnMut(&mut Sending, &[u8], Time)) {
        self.poller.wait(Some(patience), &mut self.ready).expect("wait");
        for &position in &self.ready {
            let position = position as usize;
            if self.sending.sockets[position].recv(&mut self.received).expect("recv") == 0 {
                continue;
            }
            let moment = clock.sample();
            for datagram in self.received.iter() {
                let stamp = datagram.kernel_ns.expect("a timestamp");
                each(&mut self.sending, datagram.bytes, clock.from_kernel(&moment, stamp));
            }
        }
    }
}

impl Ways for Sending {
    fn put(&mut self, flow: FlowId, tag: u64, write: impl FnOnce(&mut [u8]) -> usize) {
        let length = write(self.batch.slot().expect("it was sent"));
        self.batch.commit(length, None, tag);
        let report = self.sockets[flow.index()].send(&mut self.batch);
        assert_eq!(report.sent, 1, "a datagram was not sent: {:?}", report.failed);
    }
}
