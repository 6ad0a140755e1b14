//! Replies on their way out: written into reused buffers, held until due.

use super::Peer;
use crate::link::DueQueue;
use crate::sip::emit::Overflow;
use crate::vocab::Time;

/// Replies by due time, and the buffers they and frozen requests live in.
#[derive(Debug)]
pub(super) struct ReplyQueue {
    held: DueQueue<HeldReply>,
    pool: Vec<Vec<u8>>,
    /// Where a reply is written before its length is known.
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct HeldReply {
    to: Peer,
    datagram: Vec<u8>,
}

impl ReplyQueue {
    pub(super) fn new() -> Self {
        ReplyQueue { held: DueQueue::new(), pool: Vec::new(), scratch: vec![0; MAX_REPLY] }
    }

    /// Writes a reply with `write` and holds it for `to` until `due`. False when it did not fit or
    /// too many are held.
    pub(super) fn post(
        &mut self,
        due: Time,
        to: Peer,
        write: impl FnOnce(&mut [u8]) -> Result<usize, Overflow>,
    ) -> bool {
        let Ok(len) = write(&mut self.scratch) else { return false };
        if self.held.len() >= CAPACITY {
            return false;
        }
        let mut datagram = self.pool.pop().unwrap_or_default();
        datagram.extend_from_slice(&self.scratch[..len]);
        self.held.push(due, HeldReply { to, datagram });
        true
    }

    /// Copies the next due reply into `out`. `Some(Err)` when it is longer than that; then it is
    /// gone.
    pub(super) fn next(&mut self, now: Time, out: &mut [u8]) -> Option<Result<(usize, Peer), Overflow>> {
        let HeldReply { to, datagram } = self.held.pop(now)?;
        let copied = match out.get_mut(..datagram.len()) {
            Some(place) => {
                place.copy_from_slice(&datagram);
                Ok((datagram.len(), to))
            }
            None => Err(Overflow(out.len())),
        };
        self.give_back(datagram);
        Some(copied)
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.held.next_due()
    }

    /// A copy of `bytes` in a reused buffer.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = self.pool.pop().unwrap_or_default();
        buffer.extend_from_slice(bytes);
        buffer
    }

    pub(super) fn give_back(&mut self, mut buffer: Vec<u8>) {
        if self.pool.len() < POOLED {
            buffer.clear();
            self.pool.push(buffer);
        }
    }
}

/// The longest reply: the most a UDP datagram carries.
const MAX_REPLY: usize = 65_507;
/// The most replies held at once: five seconds of delay at 50 000/s; some 150 MB at 600 bytes each.
const CAPACITY: usize = 1 << 18;
/// Buffers kept for reuse: what a burst between two sends needs, not what a freeze took.
const POOLED: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_empty_and_are_used_again() {
        let mut outbox = ReplyQueue::new();
        let to = Peer::from(std::net::SocketAddr::from(([127, 0, 0, 1], 5060)));
        let mut out = [0; 10];
        for text in [&b"a longer one"[..], b"short"] {
            let posted = outbox.post(Time::from_secs(1), to, |scratch| {
                scratch[..text.len()].copy_from_slice(text);
                Ok(text.len())
            });
            assert!(posted);
            let sent = outbox.next(Time::from_secs(1), &mut out).expect("due");
            assert_eq!(sent, if text.len() <= out.len() { Ok((text.len(), to)) } else { Err(Overflow(10)) });
            assert_eq!(outbox.pool.len(), 1);
        }
        assert_eq!(
            (&out[..5], outbox.keep(b"frozen").as_slice(), outbox.pool.len()),
            (&b"short"[..], &b"frozen"[..], 0)
        );
        assert!(!outbox.post(Time::from_secs(1), to, |_| Err(Overflow(1))));
        assert_eq!(outbox.next_due(), None);
    }

    #[test]
    fn only_so_many_replies_are_held() {
        let mut outbox = ReplyQueue::new();
        let to = Peer::from(std::net::SocketAddr::from(([127, 0, 0, 1], 5060)));
        assert!((0..CAPACITY).all(|_| outbox.post(Time::from_secs(1), to, |_| Ok(0))));
        assert!(!outbox.post(Time::from_secs(1), to, |_| Ok(0)));
    }
}
