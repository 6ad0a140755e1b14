//! The connections of one thread, a sender's or the registrar's: bytes in as messages, messages out
//! as bytes. What a message means, and what follows when a connection is lost, is their owner's.
//!
//! A connection keeps bytes only while a message, or a write, is incomplete; it never keeps more
//! than [`MOST_KEPT`]. What is written in one turn leaves in one call per connection.

use crate::net::poll::{StreamReady, StreamRegistry, StreamToken};
use crate::net::tcp::Tcp;
use crate::sip::framing::{Framed, frame_within};
use crate::vocab::{FlowLoss, saturating_u32};
use std::io;
use std::net::SocketAddr;

/// One thread's connections, each with what its owner knows it by.
pub(super) struct Channels<K> {
    slots: Vec<Slot<K>>,
    free: Vec<u32>,
    registry: StreamRegistry,
    /// What is to leave on one connection: most messages go out at once, one by one, and those that
    /// follow each other on the same connection go together.
    leaving: Leaving,
    /// Connections that broke while something was written.
    broken: Vec<(K, FlowLoss)>,
}

struct Slot<K> {
    generation: u32,
    channel: Option<Channel<K>>,
}

struct Channel<K> {
    key: K,
    tcp: Tcp,
    connecting: bool,
    /// The beginning of a message.
    came: Vec<u8>,
    /// What the kernel had no room for.
    waiting: Vec<u8>,
}

struct Leaving {
    token: Option<StreamToken>,
    bytes: Box<[u8]>,
    used: usize,
}

/// What became of a connection that was ready.
pub(super) enum Progress<K> {
    Nothing,
    /// It is open, and comes from there.
    Opened(K, SocketAddr),
    /// Bytes came, which the inbox has now.
    Came(K),
    /// It is gone.
    Lost(K, FlowLoss),
}

/// Bytes of one connection on their way to its owner.
pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// Where what is not yet handed out begins.
    at: usize,
    token: StreamToken,
    /// When the last of them arrived, by the kernel.
    pub(super) kernel_ns: Option<u64>,
    /// What comes after them.
    ends: Option<FlowLoss>,
    /// Bytes between messages.
    blanks: usize,
}

/// The most a connection keeps of an incomplete message, and of what could not be written yet.
const MOST_KEPT: usize = 64 << 10;
/// Bytes read in one call: of all connections some tens of answers, of one a few hundred.
const READ: usize = 32 << 10;
/// Bytes that leave in one call.
const WRITE: usize = 32 << 10;
/// Room for one message.
pub(super) const LONGEST_MESSAGE: usize = 4096;

impl Inbox {
    pub(super) fn new() -> Self {
        let token = StreamToken { slot: u32::MAX, generation: 0 };
        Inbox { bytes: Vec::with_capacity(2 * READ), at: 0, token, kernel_ns: None, ends: None, blanks: 0 }
    }

    /// The next whole message.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        loop {
            match frame_within(&self.bytes[self.at..], MOST_KEPT) {
                // Keep-alives, answers to them, or empty lines.
                Framed::Blank { used } => {
                    self.at += used;
                    self.blanks += used;
                }
                Framed::Message { length } => {
                    self.at += length;
                    return Some(&self.bytes[self.at - length..self.at]);
                }
                Framed::Incomplete => return None,
                Framed::NotSip => {
                    self.ends = Some(FlowLoss::NotSip);
                    return None;
                }
            }
        }
    }
}

/// Keep-alives (RFC 5626 §3.5.1) among so many bytes of empty lines: each is CRLFCRLF.
const PING: usize = 4;

impl Inbox {
    /// The connection that it is of.
    pub(super) fn token(&self) -> StreamToken {
        self.token
    }

    /// Keep-alives that came with it.
    pub(super) fn take_pings(&mut self) -> usize {
        std::mem::take(&mut self.blanks) / PING
    }
}

impl<K: Copy> Channels<K> {
    pub(super) fn new(registry: StreamRegistry) -> Self {
        let leaving = Leaving { token: None, bytes: vec![0; WRITE].into(), used: 0 };
        Channels { slots: Vec::new(), free: Vec::new(), registry, leaving, broken: Vec::new() }
    }

    /// Takes a connection in; `connecting`: what came of that is not known yet.
    ///
    /// # Errors
    /// When the kernel's limit on watches is reached.
    pub(super) fn add(&mut self, key: K, tcp: Tcp, connecting: bool) -> io::Result<StreamToken> {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, channel: None });
            saturating_u32(self.slots.len()) - 1
        });
        let place = &mut self.slots[slot as usize];
        let token = StreamToken { slot, generation: place.generation };
        if let Err(error) = self.registry.add(&tcp, token, connecting) {
            self.free.push(slot);
            return Err(error);
        }
        place.channel = Some(Channel { key, tcp, connecting, came: Vec::new(), waiting: Vec::new() });
        Ok(token)
    }

    /// Closes a connection, if it is still there.
    pub(super) fn remove(&mut self, token: StreamToken) -> Option<K> {
        if self.leaving.token == Some(token) {
            self.flush();
        }
        let slot = self.slots.get_mut(token.slot as usize).filter(|slot| slot.generation == token.generation)?;
        let channel = slot.channel.take()?;
        slot.generation = slot.generation.wrapping_add(1) & (u32::MAX >> 1);
        self.free.push(token.slot);
        Some(channel.key)
    }

    fn channel(&mut self, token: StreamToken) -> Option<&mut Channel<K>> {
        let slot = self.slots.get_mut(token.slot as usize).filter(|slot| slot.generation == token.generation)?;
        slot.channel.as_mut()
    }

    /// Lets `write` fill a buffer for a connection and queues as many bytes as it returns. False
    /// when too much waits there already.
    pub(super) fn put(&mut self, token: StreamToken, write: impl FnOnce(&mut [u8]) -> usize) -> bool {
        if self.leaving.token != Some(token) || self.leaving.used + LONGEST_MESSAGE > self.leaving.bytes.len() {
            self.flush();
        }
        let full = self.channel(token).is_none_or(|channel| channel.waiting.len() > MOST_KEPT - LONGEST_MESSAGE);
        let used = self.leaving.used;
        let length = write(&mut self.leaving.bytes[used..used + LONGEST_MESSAGE]);
        if full {
            return length == 0;
        }
        self.leaving.used += length;
        self.leaving.token = Some(token);
        true
    }

    /// Writes what is still to leave.
    pub(super) fn flush(&mut self) {
        let used = std::mem::take(&mut self.leaving.used);
        let Some(token) = self.leaving.token.take().filter(|_| used > 0) else { return };
        let Some(slot) = self.slots.get_mut(token.slot as usize) else { return };
        let Some(channel) = slot.channel.as_mut().filter(|_| slot.generation == token.generation) else { return };
        let bytes = &self.leaving.bytes[..used];
        let written = if channel.waiting.is_empty() { channel.tcp.write(bytes) } else { Ok(0) };
        match taken(written) {
            Ok(written) if written == used => {}
            Ok(written) => {
                let asked = !channel.waiting.is_empty();
                channel.waiting.extend_from_slice(&bytes[written..]);
                if !asked {
                    // What cannot be asked for is written with the next message.
                    let _ = self.registry.modify(&channel.tcp, token, true);
                }
            }
            Err(error) => self.broke(token, loss_of(&error)),
        }
    }

    fn broke(&mut self, token: StreamToken, why: FlowLoss) {
        if let Some(key) = self.remove(token) {
            self.broken.push((key, why));
        }
    }

    /// Notes that a connection could not even be begun.
    pub(super) fn never_was(&mut self, key: K, error: &io::Error) {
        self.broken.push((key, loss_of(error)));
    }

    /// The connections that broke since the last call.
    pub(super) fn take_broken(&mut self) -> Vec<(K, FlowLoss)> {
        std::mem::take(&mut self.broken)
    }

    /// Does what a connection is ready for; what came is in `inbox` then, and goes back with
    /// [`settle`](Self::settle).
    pub(super) fn progress(&mut self, ready: StreamReady, inbox: &mut Inbox) -> Progress<K> {
        let token = ready.token;
        // An event of one that is gone.
        let Some(channel) = self.channel(token) else { return Progress::Nothing };
        let key = channel.key;
        if channel.connecting {
            if !ready.writable {
                return Progress::Nothing;
            }
            return match channel.tcp.connected() {
                Ok(local) => {
                    channel.connecting = false;
                    self.wants_room(token, false);
                    Progress::Opened(key, local)
                }
                Err(error) => self.lose(token, loss_of(&error)),
            };
        }
        if ready.writable
            && let Err(error) = self.write_waiting(token)
        {
            return self.lose(token, loss_of(&error));
        }
        if ready.readable { self.read(token, inbox) } else { Progress::Nothing }
    }

    fn lose(&mut self, token: StreamToken, why: FlowLoss) -> Progress<K> {
        self.remove(token).map_or(Progress::Nothing, |key| Progress::Lost(key, why))
    }

    fn wants_room(&mut self, token: StreamToken, writable: bool) {
        let Some(slot) = self.slots.get_mut(token.slot as usize) else { return };
        if let Some(channel) = &slot.channel {
            let _none_is_expected = self.registry.modify(&channel.tcp, token, writable);
        }
    }

    fn write_waiting(&mut self, token: StreamToken) -> io::Result<()> {
        let Some(channel) = self.channel(token).filter(|channel| !channel.waiting.is_empty()) else { return Ok(()) };
        let written = taken(channel.tcp.write(&channel.waiting))?;
        channel.waiting.drain(..written);
        if channel.waiting.is_empty() {
            channel.waiting = Vec::new();
            self.wants_room(token, false);
        }
        Ok(())
    }

    fn read(&mut self, token: StreamToken, inbox: &mut Inbox) -> Progress<K> {
        let Some(channel) = self.channel(token) else { return Progress::Nothing };
        let Inbox { bytes, at, token: of, kernel_ns, ends, blanks } = inbox;
        (*at, *of, *kernel_ns, *ends, *blanks) = (0, token, None, None, 0);
        bytes.clear();
        bytes.append(&mut channel.came);
        let kept = bytes.len();
        bytes.resize(kept + READ, 0);
        let read = channel.tcp.read(&mut bytes[kept..]);
        bytes.truncate(kept + read.as_ref().map_or(0, |read| read.len));
        match read {
            Ok(read) => {
                *kernel_ns = read.kernel_ns;
                *ends = (read.len == 0).then_some(FlowLoss::Closed);
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => *ends = Some(loss_of(&error)),
        }
        Progress::Came(channel.key)
    }

    /// Everything whole was taken from `inbox`: keeps the rest, or says why the connection is gone.
    pub(super) fn settle(&mut self, inbox: &mut Inbox) -> Progress<K> {
        if let Some(why) = inbox.ends {
            return self.lose(inbox.token, why);
        }
        let rest = &inbox.bytes[inbox.at..];
        if let Some(channel) = self.channel(inbox.token) {
            channel.came = if rest.is_empty() { Vec::new() } else { rest.to_vec() };
        }
        Progress::Nothing
    }
}

/// An error that says nothing about the connection.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// How much was written, if anything could be.
fn taken(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if is_passing(&error) => Ok(0),
        written => written,
    }
}

/// What an error of the kernel says about a connection.
pub(super) fn loss_of(error: &io::Error) -> FlowLoss {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => FlowLoss::Refused,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => FlowLoss::Unreachable,
        io::ErrorKind::TimedOut => FlowLoss::ConnectTimeout,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
            FlowLoss::Reset
        }
        io::ErrorKind::UnexpectedEof => FlowLoss::Closed,
        _ => FlowLoss::Local,
    }
}
