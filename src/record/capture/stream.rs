//! TCP streams put together again, one direction at a time, and SIP messages cut out of them, or
//! out of the frames of a WebSocket (`web`).
//!
//! A stream may begin in the middle, segments may come out of order or twice, bytes may be missing.
//! Reading begins, and goes on after a gap, at the next line that begins a SIP message. Sequence
//! numbers are compared as RFC 9293 §3.4 says, modulo 2³². Memory: [`MAX_STREAMS`] directions, of
//! each at most [`MAX_WAITING`] bytes behind a gap and a message of at most [`MAX_MESSAGE`] bytes,
//! and of all together [`MAX_HELD`]. The direction that was silent longest gives way.

use super::account::Account;
use super::web::{self, WebPiece, WebStage};
use crate::sip::framing::{self, Framed};
use crate::vocab::Transport;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

/// One TCP segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) sequence: u32,
    pub(super) syn: bool,
    /// FIN or RST.
    pub(super) last: bool,
    pub(super) bytes: &'a [u8],
}

/// All directions of all connections.
#[derive(Default)]
pub(super) struct Streams {
    open: HashMap<StreamKey, HalfStream>,
    /// The keys by when they were last heard of.
    order: BTreeMap<u64, StreamKey>,
    clock: u64,
    /// Bytes held by all directions.
    held: usize,
}

/// From and to.
type StreamKey = (SocketAddr, SocketAddr);

#[derive(Default)]
struct HalfStream {
    /// The next byte's sequence number; `None` before the first segment.
    next: Option<u32>,
    /// Bytes that came in order and are no whole message yet.
    ready: Vec<u8>,
    /// Segments behind a gap, by sequence number.
    waiting: BTreeMap<u32, Vec<u8>>,
    waiting_bytes: usize,
    /// `ready` begins where a message does, as far as is known.
    in_step: bool,
    encrypted: bool,
    /// It carries a WebSocket.
    web: Option<WebStage>,
    touched: u64,
}

impl Streams {
    /// Takes a segment and hands over every message that it completes, with the addresses of its
    /// direction.
    pub(super) fn segment(
        &mut self,
        segment: &Segment<'_>,
        account: &mut Account,
        mut each: impl FnMut(SocketAddr, SocketAddr, Transport, &[u8]),
    ) {
        if segment.bytes.is_empty() && !segment.syn && !segment.last {
            return;
        }
        let key = (segment.from, segment.to);
        let known = self.take_out(key);
        while self.open.len() >= MAX_STREAMS || self.held > MAX_HELD {
            self.forget_the_oldest(account, &mut each);
        }
        let mut direction = known.unwrap_or_default();
        let mut each = |over, bytes: &[u8]| each(segment.from, segment.to, over, bytes);
        if segment.syn {
            direction.restart(segment.sequence.wrapping_add(1), account, &mut each);
        }
        direction.take(segment, account, &mut each);
        if segment.last {
            direction.close(account, &mut each);
            return;
        }
        self.clock += 1;
        direction.touched = self.clock;
        self.held += direction.held();
        self.order.insert(self.clock, key);
        self.open.insert(key, direction);
    }

    /// What still waits behind gaps.
    pub(super) fn finish(
        &mut self,
        account: &mut Account,
        mut each: impl FnMut(SocketAddr, SocketAddr, Transport, &[u8]),
    ) {
        while !self.open.is_empty() {
            self.forget_the_oldest(account, &mut each);
        }
    }

    fn take_out(&mut self, key: StreamKey) -> Option<HalfStream> {
        let direction = self.open.remove(&key)?;
        self.order.remove(&direction.touched);
        self.held -= direction.held();
        Some(direction)
    }

    fn forget_the_oldest(
        &mut self,
        account: &mut Account,
        each: &mut impl FnMut(SocketAddr, SocketAddr, Transport, &[u8]),
    ) {
        let Some((_, &(from, to))) = self.order.first_key_value() else { return };
        if let Some(mut direction) = self.take_out((from, to)) {
            direction.close(account, &mut |over, bytes: &[u8]| each(from, to, over, bytes));
        }
    }
}

impl HalfStream {
    /// A new connection with the same addresses.
    fn restart(&mut self, next: u32, account: &mut Account, each: &mut impl FnMut(Transport, &[u8])) {
        // A repeated SYN changes nothing.
        if self.next == Some(next) {
            return;
        }
        self.close(account, each);
        *self = HalfStream { next: Some(next), in_step: true, ..HalfStream::default() };
    }

    fn held(&self) -> usize {
        self.ready.len() + self.waiting_bytes
    }

    fn take(&mut self, segment: &Segment<'_>, account: &mut Account, each: &mut impl FnMut(Transport, &[u8])) {
        if segment.bytes.is_empty() || self.encrypted {
            return;
        }
        // The sequence number of a SYN is that of the SYN itself (RFC 9293 §3.4).
        let first = segment.sequence.wrapping_add(u32::from(segment.syn));
        let next = *self.next.get_or_insert(first);
        let ahead = first.wrapping_sub(next);
        if ahead > HALF {
            // Older than what was read: sent again, with new bytes at its end perhaps.
            let known = next.wrapping_sub(first) as usize;
            if let Some(fresh) = segment.bytes.get(known..).filter(|fresh| !fresh.is_empty()) {
                self.append(fresh, account, each);
            } else {
                account.copies += 1;
                return;
            }
        } else if ahead > 0 {
            self.wait(first, segment.bytes, account, each);
            return;
        } else {
            self.append(segment.bytes, account, each);
        }
        self.continue_behind_gap(account, each);
    }

    /// Bytes that follow those before.
    #[expect(clippy::cast_possible_truncation, reason = "sequence numbers wrap (RFC 9293 §3.4)")]
    fn append(&mut self, bytes: &[u8], account: &mut Account, each: &mut impl FnMut(Transport, &[u8])) {
        self.next = self.next.map(|next| next.wrapping_add(bytes.len() as u32));
        if self.ready.is_empty() && is_tls(bytes) {
            self.encrypted = true;
            self.waiting.clear();
            self.waiting_bytes = 0;
            account.encrypted_streams += 1;
            return;
        }
        let fresh = self.ready.is_empty();
        self.ready.extend_from_slice(bytes);
        match self.web.take() {
            // Behind a gap nobody knows where frames begin but by what is in them.
            Some(_) if fresh && !self.in_step && !web::begins_frame(&self.ready) => {
                self.ready.clear();
                self.web = Some(WebStage::OPEN);
            }
            Some(web) => self.cut_frames(web, account, each),
            None if web::begins_upgrade(&self.ready) => self.cut_frames(WebStage::Upgrading, account, each),
            None if web::may_begin_upgrade(&self.ready) => {}
            None if !self.in_step && web::begins_frame(&self.ready) => self.cut_frames(WebStage::OPEN, account, each),
            None => self.cut_messages(each),
        }
    }

    fn wait(&mut self, first: u32, bytes: &[u8], account: &mut Account, each: &mut impl FnMut(Transport, &[u8])) {
        let known = self.waiting.get(&first).is_some_and(|held| held.len() >= bytes.len());
        if known {
            account.copies += 1;
            return;
        }
        self.waiting_bytes += bytes.len();
        if let Some(shorter) = self.waiting.insert(first, bytes.to_vec()) {
            self.waiting_bytes -= shorter.len();
        }
        if self.waiting_bytes > MAX_WAITING {
            self.skip_gap(account, each);
        }
    }

    /// Whether the first of the waiting segments follows now.
    fn continue_behind_gap(&mut self, account: &mut Account, each: &mut impl FnMut(Transport, &[u8])) {
        while let Some((first, next)) = self.nearest().zip(self.next) {
            let ahead = first.wrapping_sub(next);
            if ahead != 0 && ahead <= HALF {
                return;
            }
            let Some(bytes) = self.release(first) else { return };
            let known = next.wrapping_sub(first) as usize;
            if let Some(fresh) = bytes.get(known..).filter(|fresh| !fresh.is_empty()) {
                self.append(fresh, account, each);
            }
        }
    }

    /// The waiting segment that is nearest to what was read.
    fn nearest(&self) -> Option<u32> {
        let next = self.next?;
        // Behind `next` by a little is nearer than ahead by a little; either way it can be looked
        // at now.
        let distance = |first: u32| first.wrapping_sub(next).wrapping_add(HALF);
        self.waiting.keys().copied().min_by_key(|&first| distance(first))
    }

    fn release(&mut self, first: u32) -> Option<Vec<u8>> {
        let bytes = self.waiting.remove(&first)?;
        self.waiting_bytes -= bytes.len();
        Some(bytes)
    }

    /// Gives up the missing bytes before the nearest waiting segment.
    fn skip_gap(&mut self, account: &mut Account, each: &mut impl FnMut(Transport, &[u8])) {
        let Some(first) = self.nearest() else { return };
        account.stream_gaps += 1;
        self.ready.clear();
        self.in_step = false;
        self.next = Some(first);
        self.continue_behind_gap(account, each);
    }

    /// Nothing more will come.
    fn close(&mut self, account: &mut Account, each: &mut impl FnMut(Transport, &[u8])) {
        while !self.waiting.is_empty() {
            self.skip_gap(account, each);
        }
        self.ready.clear();
    }

    /// Takes what has come of a WebSocket.
    fn cut_frames(&mut self, mut web: WebStage, account: &mut Account, each: &mut impl FnMut(Transport, &[u8])) {
        let mut from = 0;
        self.in_step = true;
        while from < self.ready.len() {
            match web.piece(&self.ready[from..], MAX_MESSAGE) {
                WebPiece::Incomplete => break,
                WebPiece::Head { used, upgrades: true } => {
                    from += used;
                    web = WebStage::OPEN;
                }
                // HTTP that asks for something else.
                WebPiece::Head { upgrades: false, .. } => {
                    self.in_step = false;
                    return self.cut_messages(each);
                }
                WebPiece::Frame { used, message } => {
                    from += used;
                    message.iter().filter(|message| framing::is_sip(message)).for_each(|sip| each(Transport::Ws, sip));
                }
                WebPiece::Compressed { used } => {
                    from += used;
                    account.compressed_frames += 1;
                }
                WebPiece::Broken => {
                    from = self.ready.len();
                    self.in_step = false;
                    web = WebStage::OPEN;
                }
            }
        }
        self.ready.drain(..from);
        self.web = Some(web);
    }

    fn cut_messages(&mut self, each: &mut impl FnMut(Transport, &[u8])) {
        let mut from = 0;
        loop {
            let rest = &self.ready[from..];
            if !self.in_step {
                let (skip, found) = framing::resynchronise(rest);
                from += skip;
                self.in_step = found;
                if !found {
                    break;
                }
                continue;
            }
            match framing::frame(rest) {
                Framed::Blank { used } => from += used,
                Framed::Message { length } => {
                    each(Transport::Tcp, &rest[..length]);
                    from += length;
                }
                Framed::NotSip => self.in_step = false,
                Framed::Incomplete if rest.len() > MAX_MESSAGE => {
                    from += 1;
                    self.in_step = false;
                }
                Framed::Incomplete => break,
            }
        }
        self.ready.drain(..from);
    }
}

/// A TLS record: handshake, alert or data of any version up to 1.3 (RFC 8446 §5.1).
fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x14..=0x17, 0x03, 0x00..=0x04, ..])
}

/// Directions of TCP connections that are followed at once.
const MAX_STREAMS: usize = 65_536;
/// Bytes that all directions hold together.
const MAX_HELD: usize = 64 * 1024 * 1024;
/// Bytes of one direction that wait for a gap to close.
const MAX_WAITING: usize = 128 * 1024;
/// The longest SIP message that is waited for on a stream.
const MAX_MESSAGE: usize = 64 * 1024;
const HALF: u32 = u32::MAX / 2;
