//! The connections of one thread, a sender's or the registrar's: bytes in as messages, messages out
//! as bytes. What a message means, and what follows when a connection is lost, is their owner's.
//!
//! A connection keeps bytes only while a message, or a write, is incomplete; it never keeps more
//! than [`MOST_KEPT`]. Consecutive messages to one connection leave in one call.

use crate::net::poll::{StreamReady, StreamRegistry, StreamToken};
use crate::net::tcp::Tcp;
use crate::net::tls::{Tls, TlsClient, begins};
use crate::sip::framing::{Framed, frame_within};
use crate::vocab::{FlowLoss, Secured, saturating_u32};
use std::io;
use std::net::SocketAddr;

/// One thread's connections, each with what its owner knows it by.
pub(super) struct Channels<K> {
    slots: Vec<Slot<K>>,
    free: Vec<u32>,
    registry: StreamRegistry,
    /// What is about to leave on one connection; a message for another connection flushes it.
    leaving: Leaving,
    /// Connections that broke while something was written.
    broken: Vec<(K, FlowLoss)>,
    /// Where TLS writes.
    wire: Vec<u8>,
    /// What there is to say of the connection that was lost last, beyond why.
    said: Option<String>,
}

struct Slot<K> {
    generation: u32,
    channel: Option<Channel<K>>,
}

struct Channel<K> {
    key: K,
    tcp: Tcp,
    secure: Option<Secure>,
    stage: ChannelStage,
    /// The beginning of a message.
    came: Vec<u8>,
    /// What the kernel had no room for.
    waiting: Vec<u8>,
}

/// What secures a connection.
pub(super) enum Secure {
    /// Begun once it is open: that alone costs as much as a few messages.
    Later(TlsClient),
    Now(Tls),
}

/// A connection that is open.
#[derive(Clone, Copy)]
pub(super) struct Opened {
    /// Where it comes from.
    pub(super) local: SocketAddr,
    pub(super) secured: Option<Secured>,
}

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ChannelStage {
    Connecting,
    /// TLS has not agreed yet.
    Securing,
    Open,
}

struct Leaving {
    token: Option<StreamToken>,
    bytes: Box<[u8]>,
    used: usize,
}

/// What became of a connection that was ready.
pub(super) enum Progress<K> {
    Nothing,
    Opened(K, Opened),
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
/// And CRLF the answer to one.
const PONG: usize = 2;

impl Inbox {
    /// The connection that it is of.
    pub(super) fn token(&self) -> StreamToken {
        self.token
    }

    /// Whether the answer to a keep-alive came with it: one empty line.
    pub(super) fn take_pong(&mut self) -> bool {
        std::mem::take(&mut self.blanks) >= PONG
    }

    /// Keep-alives that came with it.
    pub(super) fn take_pings(&mut self) -> usize {
        std::mem::take(&mut self.blanks) / PING
    }
}

impl<K: Copy> Channels<K> {
    pub(super) fn new(registry: StreamRegistry) -> Self {
        let leaving = Leaving { token: None, bytes: vec![0; WRITE].into(), used: 0 };
        Channels {
            slots: Vec::new(),
            free: Vec::new(),
            registry,
            leaving,
            broken: Vec::new(),
            wire: Vec::new(),
            said: None,
        }
    }

    /// Takes a connection in; `connecting`: what came of that is not known yet.
    ///
    /// # Errors
    /// When the kernel's limit on watches is reached.
    pub(super) fn add(
        &mut self,
        key: K,
        tcp: Tcp,
        secure: Option<Secure>,
        connecting: bool,
    ) -> io::Result<StreamToken> {
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
        let stage = if connecting { ChannelStage::Connecting } else { ChannelStage::Open };
        place.channel = Some(Channel { key, tcp, secure, stage, came: Vec::new(), waiting: Vec::new() });
        Ok(token)
    }

    /// Closes a connection, if it is still there.
    pub(super) fn remove(&mut self, token: StreamToken) -> Option<K> {
        if self.leaving.token == Some(token) {
            self.flush();
        }
        let slot = self.slots.get_mut(token.slot as usize).filter(|slot| slot.generation == token.generation)?;
        let mut channel = slot.channel.take()?;
        channel.say_goodbye();
        slot.generation = slot.generation.wrapping_add(1) & (u32::MAX >> 1);
        self.free.push(token.slot);
        Some(channel.key)
    }

    /// What a connection agreed on for TLS, for people.
    pub(super) fn told_of_tls(&mut self, token: StreamToken) -> Option<String> {
        self.channel(token)?.tls()?.told()
    }

    /// Whether the other end has taken a connection up.
    pub(super) fn is_taken_up(&self, token: StreamToken) -> bool {
        let slot = self.slots.get(token.slot as usize).filter(|slot| slot.generation == token.generation);
        slot.and_then(|slot| slot.channel.as_ref()).is_some_and(|channel| channel.stage != ChannelStage::Connecting)
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
        let written = match channel.tls() {
            None => channel.write(bytes, token, &self.registry),
            Some(tls) => {
                self.wire.clear();
                tls.send(bytes);
                tls.to_wire(&mut self.wire);
                channel.write(&self.wire, token, &self.registry)
            }
        };
        if let Err(error) = written {
            self.broke(token, loss_of(&error));
        }
    }

    /// Writes what TLS has to say of itself.
    fn write_tls(&mut self, token: StreamToken) -> io::Result<()> {
        let Some(slot) = self.slots.get_mut(token.slot as usize) else { return Ok(()) };
        let Some(channel) = slot.channel.as_mut().filter(|_| slot.generation == token.generation) else {
            return Ok(());
        };
        let Some(tls) = channel.tls() else { return Ok(()) };
        self.wire.clear();
        tls.to_wire(&mut self.wire);
        if self.wire.is_empty() { Ok(()) } else { channel.write(&self.wire, token, &self.registry) }
    }

    /// What there is to say of the connection that was lost last, beyond why.
    pub(super) fn take_said(&mut self) -> Option<String> {
        self.said.take()
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
        if channel.stage == ChannelStage::Connecting {
            return if ready.writable { self.connected(token, key) } else { Progress::Nothing };
        }
        if ready.writable
            && let Err(error) = self.write_waiting(token)
        {
            return self.lose(token, loss_of(&error));
        }
        if ready.readable { self.read(token, inbox) } else { Progress::Nothing }
    }

    /// Connecting has come to an end.
    fn connected(&mut self, token: StreamToken, key: K) -> Progress<K> {
        let Some(channel) = self.channel(token) else { return Progress::Nothing };
        let local = match channel.tcp.connected() {
            Ok(local) => local,
            Err(error) => return self.lose(token, loss_of(&error)),
        };
        let secured = match channel.begin_tls() {
            Ok(begun) => begun,
            Err(error) => return self.lose(token, loss_of(&error)),
        };
        channel.stage = if secured { ChannelStage::Securing } else { ChannelStage::Open };
        self.wants_room(token, false);
        if !secured {
            return Progress::Opened(key, Opened { local, secured: None });
        }
        match self.write_tls(token) {
            Ok(()) => Progress::Nothing,
            Err(error) => self.lose(token, loss_of(&error)),
        }
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
        let length = read.as_ref().map_or(0, |read| read.len);
        bytes.truncate(kept + length);
        match read {
            Ok(read) => {
                *kernel_ns = read.kernel_ns;
                *ends = (read.len == 0).then_some(FlowLoss::Closed);
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => *ends = Some(loss_of(&error)),
        }
        let key = channel.key;
        let Some(tls) = channel.tls() else { return Progress::Came(key) };
        // What was read is ciphertext; its plaintext takes its place.
        let wire = bytes.split_off(kept);
        match tls.from_wire(&wire, bytes) {
            Ok(false) => {}
            Ok(true) => *ends = Some(FlowLoss::Closed),
            Err(failure) => {
                *ends = Some(failure.why);
                self.said = Some(failure.said);
            }
        }
        self.secured(token, key, inbox)
    }

    /// TLS has taken what came: answers it, and says when it has agreed.
    fn secured(&mut self, token: StreamToken, key: K, inbox: &mut Inbox) -> Progress<K> {
        // The peer may be gone already; a reason found earlier stands.
        if let Err(error) = self.write_tls(token) {
            inbox.ends.get_or_insert(loss_of(&error));
        }
        let Some(channel) = self.channel(token) else { return Progress::Nothing };
        let stage = channel.stage;
        let secured = channel.tls().filter(|tls| !tls.is_handshaking()).and_then(|tls| tls.secured());
        match stage {
            ChannelStage::Securing if secured.is_some() => {
                channel.stage = ChannelStage::Open;
                channel.came = std::mem::take(&mut inbox.bytes);
                let local = channel.tcp.local_addr();
                match (inbox.ends, local) {
                    (None, Ok(local)) => Progress::Opened(key, Opened { local, secured }),
                    (why, _) => self.lose(token, why.unwrap_or(FlowLoss::Reset)),
                }
            }
            ChannelStage::Securing => match inbox.ends {
                // Closed in the middle of it: it rejected our side of the handshake.
                Some(FlowLoss::Closed) => self.lose(token, FlowLoss::Handshake),
                Some(why) => self.lose(token, why),
                None => Progress::Nothing,
            },
            _ => Progress::Came(key),
        }
    }

    /// Everything whole was taken from `inbox`: keeps the rest, or says why the connection is gone.
    pub(super) fn settle(&mut self, inbox: &mut Inbox) -> Progress<K> {
        let rest = &inbox.bytes[inbox.at..];
        if let Some(why) = inbox.ends {
            // A TLS server answers plain SIP with a TLS alert, or a handshake record.
            let is_tls = matches!(rest, [0x15 | 0x16, 0x03, ..]);
            let why = if is_tls && why == FlowLoss::Closed { FlowLoss::NotSip } else { why };
            if why == FlowLoss::NotSip {
                let what = if is_tls { "what came is TLS" } else { "what came begins" };
                self.said = Some(format!("{what} {}", begins(rest)));
            }
            return self.lose(inbox.token, why);
        }
        if let Some(channel) = self.channel(inbox.token) {
            channel.came = if rest.is_empty() { Vec::new() } else { rest.to_vec() };
        }
        Progress::Nothing
    }
}

impl<K> Channel<K> {
    /// Its TLS, once that has begun.
    fn tls(&mut self) -> Option<&mut Tls> {
        match &mut self.secure {
            Some(Secure::Now(tls)) => Some(tls),
            Some(Secure::Later(_)) | None => None,
        }
    }

    /// Begins TLS if there is to be any. True when there is.
    fn begin_tls(&mut self) -> io::Result<bool> {
        if let Some(Secure::Later(client)) = &self.secure {
            self.secure = Some(Secure::Now(client.begin()?));
        }
        Ok(self.secure.is_some())
    }

    /// Writes as much as there is room for, and keeps the rest until there is more.
    fn write(&mut self, bytes: &[u8], token: StreamToken, registry: &StreamRegistry) -> io::Result<()> {
        let asked = !self.waiting.is_empty();
        let written = if asked { 0 } else { taken(self.tcp.write(bytes))? };
        if written < bytes.len() {
            self.waiting.extend_from_slice(&bytes[written..]);
            if !asked {
                // What cannot be asked for is written with the next message.
                let _ = registry.modify(&self.tcp, token, true);
            }
        }
        Ok(())
    }

    /// Says that nothing more comes, where there is a word for it; whether it arrives matters to
    /// nobody.
    fn say_goodbye(&mut self) {
        if !self.waiting.is_empty() {
            return;
        }
        if let Some(tls) = self.tls() {
            let mut wire = Vec::new();
            tls.end();
            tls.to_wire(&mut wire);
            let _ = self.tcp.write(&wire);
        }
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
