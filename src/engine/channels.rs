//! The connections of one thread, a sender's or the registrar's: bytes in as messages, messages out
//! as bytes. What a message means, and what follows when a connection is lost, is their owner's.
//!
//! A connection keeps bytes only while a message, or a write, is incomplete; it never keeps more
//! than [`MOST_KEPT`]. Consecutive messages to one connection leave in one call.

use crate::net::layer::begins;
use crate::net::poll::{StreamReady, StreamRegistry, StreamToken};
use crate::net::tcp::Tcp;
use crate::net::tls::{Tls, TlsClient};
use crate::net::ws::{WS_ROOM, Ws, WsClient, WsFrame, WsTaken};
use crate::sip::framing::{Framed, frame_within, is_sip};
use crate::vocab::{FlowLoss, LayersTold, Secured, saturating_u32};
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
    layers: Layers,
    stage: ChannelStage,
    /// The beginning of a message, or of a frame.
    came: Vec<u8>,
    /// What the kernel had no room for.
    waiting: Vec<u8>,
}

/// What lies between the bytes of our connections to a server and their messages; a copy is cheap.
#[derive(Clone, Default, Debug)]
pub struct ClientLayers {
    /// What secures them.
    pub tls: Option<TlsClient>,
    /// What makes them WebSockets.
    pub ws: Option<WsClient>,
}

/// The same of one connection.
#[derive(Default)]
pub(super) struct Layers {
    tls: Option<Secure>,
    ws: Option<Box<Web>>,
}

/// What secures a connection.
enum Secure {
    /// Begun once it is open: that alone costs as much as a few messages.
    Later(TlsClient),
    Now(Tls),
}

enum Web {
    /// Asked for once it is open, and secured.
    Later(WsClient),
    Now(Ws),
}

impl Layers {
    pub(super) fn of_client(client: &ClientLayers) -> Layers {
        let ClientLayers { tls, ws } = client.clone();
        Layers { tls: tls.map(Secure::Later), ws: ws.map(|ws| Box::new(Web::Later(ws))) }
    }

    pub(super) fn of_server(tls: Option<Tls>, ws: Option<Ws>) -> Layers {
        Layers { tls: tls.map(Secure::Now), ws: ws.map(|ws| Box::new(Web::Now(ws))) }
    }
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
    /// The upgrade to WebSocket is not answered yet.
    Upgrading,
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
    /// What came in the frames of a WebSocket, where it is one: of `bytes` what is whole is taken
    /// then, up to `at`.
    framed: Option<Framing>,
    spare: Framing,
    token: StreamToken,
    /// When the last of them arrived, by the kernel.
    pub(super) kernel_ns: Option<u64>,
    /// What comes after them.
    ends: Option<FlowLoss>,
    /// Bytes between messages.
    blanks: usize,
}

/// Messages out of frames, each whole.
#[derive(Default)]
struct Framing {
    taken: WsTaken,
    /// Where the next message begins, and which it is.
    at: usize,
    next: usize,
}

/// The most a connection keeps of an incomplete message, and of what could not be written yet.
const MOST_KEPT: usize = 64 << 10;
/// Bytes read in one call: of all connections some tens of answers, of one a few hundred.
const READ: usize = 32 << 10;
/// Bytes that leave in one call.
const WRITE: usize = 32 << 10;
/// Room for one message.
pub(super) const LONGEST_MESSAGE: usize = 4096;
/// And for the frame around it.
const ROOM: usize = LONGEST_MESSAGE + WS_ROOM;
/// The subprotocol of SIP over WebSocket (RFC 7118 §4).
pub const SUBPROTOCOL: &str = "sip";

impl Inbox {
    pub(super) fn new() -> Self {
        let token = StreamToken { slot: u32::MAX, generation: 0 };
        Inbox {
            bytes: Vec::with_capacity(2 * READ),
            at: 0,
            framed: None,
            spare: Framing::default(),
            token,
            kernel_ns: None,
            ends: None,
            blanks: 0,
        }
    }

    /// The next whole message.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        if let Some(framed) = &mut self.framed {
            return next_framed(framed, &mut self.blanks, &mut self.ends);
        }
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

    /// What is not handed out: of a message that is not whole, or of something that is none.
    fn rest(&self) -> &[u8] {
        match &self.framed {
            Some(framed) if self.ends == Some(FlowLoss::NotSip) => &framed.taken.messages[framed.at..],
            _ => &self.bytes[self.at..],
        }
    }

    /// Begins with what a connection kept.
    fn begin(&mut self, token: StreamToken, came: &mut Vec<u8>) {
        (self.at, self.token, self.kernel_ns, self.ends, self.blanks) = (0, token, None, None, 0);
        self.bytes.clear();
        self.bytes.append(came);
        if let Some(framed) = self.framed.take() {
            self.spare = framed;
        }
    }
}

/// The next message out of frames: RFC 7118 §5 has one in each, whatever its Content-Length says.
fn next_framed<'f>(framed: &'f mut Framing, blanks: &mut usize, ends: &mut Option<FlowLoss>) -> Option<&'f [u8]> {
    while let Some(&length) = framed.taken.lengths.get(framed.next) {
        let place = framed.at..framed.at + length;
        let message = &framed.taken.messages[place.clone()];
        let is_blank = message.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        if !is_blank && !is_sip(message) {
            *ends = Some(FlowLoss::NotSip);
            return None;
        }
        (framed.at, framed.next) = (place.end, framed.next + 1);
        if !is_blank {
            return Some(&framed.taken.messages[place]);
        }
        *blanks += length;
    }
    None
}

/// A keep-alive (RFC 5626 §3.5.1).
const PING_LINES: &[u8] = b"\r\n\r\n";
/// So many bytes of empty lines are one.
const PING: usize = PING_LINES.len();
/// And CRLF the answer to it.
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
    pub(super) fn add(&mut self, key: K, tcp: Tcp, layers: Layers, connecting: bool) -> io::Result<StreamToken> {
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
        place.channel = Some(Channel { key, tcp, layers, stage, came: Vec::new(), waiting: Vec::new() });
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

    /// What a connection's owner knows it by.
    pub(super) fn key_mut(&mut self, token: StreamToken) -> Option<&mut K> {
        self.channel(token).map(|channel| &mut channel.key)
    }

    /// Ends a connection without a word: the other end hears that it was reset.
    pub(super) fn reset(&mut self, token: StreamToken) {
        let Some(channel) = self.channel(token) else { return };
        channel.tcp.forget();
        // Nothing more is written to it.
        channel.layers = Layers::default();
        channel.waiting.clear();
        if self.leaving.token == Some(token) {
            (self.leaving.token, self.leaving.used) = (None, 0);
        }
        self.remove(token);
    }

    /// What the two ends of a connection agreed on, for people.
    pub(super) fn told(&mut self, token: StreamToken) -> Option<LayersTold> {
        let channel = self.channel(token)?;
        let ws = channel.ws().map(|_| format!("WebSocket, subprotocol {SUBPROTOCOL}"));
        let (tls, valid_until) = channel.tls().and_then(|tls| tls.told()).unzip();
        let told: Vec<_> = ws.into_iter().chain(tls).collect();
        (!told.is_empty()).then(|| LayersTold { text: told.join("; "), valid_until: valid_until.flatten() })
    }

    /// What it is called when a connection is not open in time: by what it waits for.
    pub(super) fn too_late(&self, token: StreamToken) -> FlowLoss {
        let slot = self.slots.get(token.slot as usize).filter(|slot| slot.generation == token.generation);
        match slot.and_then(|slot| slot.channel.as_ref()).map(|channel| channel.stage) {
            Some(ChannelStage::Securing) => FlowLoss::TlsTimeout,
            Some(ChannelStage::Upgrading) => FlowLoss::UpgradeTimeout,
            _ => FlowLoss::ConnectTimeout,
        }
    }

    fn channel(&mut self, token: StreamToken) -> Option<&mut Channel<K>> {
        let slot = self.slots.get_mut(token.slot as usize).filter(|slot| slot.generation == token.generation)?;
        slot.channel.as_mut()
    }

    /// Lets `write` fill a buffer for a connection and queues as many bytes as it returns. False
    /// when too much waits there already.
    pub(super) fn put(&mut self, token: StreamToken, write: impl FnOnce(&mut [u8]) -> usize) -> bool {
        if self.leaving.token != Some(token) || self.leaving.used + ROOM > self.leaving.bytes.len() {
            self.flush();
        }
        let slot = self.slots.get_mut(token.slot as usize).filter(|slot| slot.generation == token.generation);
        let channel = slot.and_then(|slot| slot.channel.as_mut());
        let channel = channel.filter(|channel| channel.waiting.len() <= MOST_KEPT - LONGEST_MESSAGE);
        let used = self.leaving.used;
        let place = &mut self.leaving.bytes[used..used + ROOM];
        let Some(channel) = channel else { return write(&mut place[..LONGEST_MESSAGE]) == 0 };
        self.leaving.used += match channel.ws() {
            None => write(&mut place[..LONGEST_MESSAGE]),
            Some(ws) => match write(&mut place[WS_ROOM..]) {
                0 => 0,
                // What an empty line is over other connections, its own frame is here.
                _ if place[WS_ROOM..].starts_with(PING_LINES) => ws.frame(WsFrame::Ping, place, 0),
                length => ws.frame(WsFrame::Message, place, length),
            },
        };
        self.leaving.token = Some(token);
        true
    }

    /// Writes what is still to leave.
    pub(super) fn flush(&mut self) {
        let used = std::mem::take(&mut self.leaving.used);
        let Some(token) = self.leaving.token.take().filter(|_| used > 0) else { return };
        let Some(slot) = self.slots.get_mut(token.slot as usize) else { return };
        let Some(channel) = slot.channel.as_mut().filter(|_| slot.generation == token.generation) else { return };
        if let Err(error) = channel.carry(&self.leaving.bytes[..used], token, &self.registry, &mut self.wire) {
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
        channel.stage = ChannelStage::Securing;
        self.wants_room(token, false);
        if !secured {
            return self.carries(token, key, Opened { local, secured: None });
        }
        match self.write_tls(token) {
            Ok(()) => Progress::Nothing,
            Err(error) => self.lose(token, loss_of(&error)),
        }
    }

    /// A connection carries bytes: it is open, or asks for the upgrade to WebSocket.
    fn carries(&mut self, token: StreamToken, key: K, opened: Opened) -> Progress<K> {
        let Some(slot) = self.slots.get_mut(token.slot as usize) else { return Progress::Nothing };
        let Some(channel) = slot.channel.as_mut() else { return Progress::Nothing };
        let Some(request) = channel.begin_ws() else {
            channel.stage = ChannelStage::Open;
            return Progress::Opened(key, opened);
        };
        channel.stage = ChannelStage::Upgrading;
        match channel.carry(&request, token, &self.registry, &mut self.wire) {
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
        inbox.begin(token, &mut channel.came);
        let Inbox { bytes, kernel_ns, ends, .. } = &mut *inbox;
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
        let (key, is_web) = (channel.key, channel.ws().is_some());
        let Some(tls) = channel.tls() else {
            return if is_web { self.unframe(token, key, inbox) } else { Progress::Came(key) };
        };
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
        match self.secured(token, key, inbox) {
            Progress::Came(key) if is_web => self.unframe(token, key, inbox),
            progress => progress,
        }
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
                channel.came = std::mem::take(&mut inbox.bytes);
                let local = channel.tcp.local_addr();
                match (inbox.ends, local) {
                    (None, Ok(local)) => self.carries(token, key, Opened { local, secured }),
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

    /// A WebSocket takes what came: answers it, and says when it is open.
    fn unframe(&mut self, token: StreamToken, key: K, inbox: &mut Inbox) -> Progress<K> {
        let Some(slot) = self.slots.get_mut(token.slot as usize) else { return Progress::Nothing };
        let Some(channel) = slot.channel.as_mut() else { return Progress::Nothing };
        let upgrading = channel.stage == ChannelStage::Upgrading;
        let mut framed = std::mem::take(&mut inbox.spare);
        (framed.at, framed.next) = (0, 0);
        framed.taken.clear();
        let Some(ws) = channel.ws() else { return Progress::Came(key) };
        let failed = loop {
            match ws.take(&inbox.bytes[inbox.at..], MOST_KEPT, &mut framed.taken) {
                Ok(0) => break None,
                Ok(used) => inbox.at += used,
                Err(failure) => break Some(failure),
            }
            if inbox.at == inbox.bytes.len() {
                break None;
            }
        };
        let is_open = ws.is_open();
        inbox.blanks += framed.taken.pongs * PONG;
        if let Some(closed) = framed.taken.closed.take() {
            (inbox.ends, self.said) = (Some(FlowLoss::Closed), Some(closed));
        }
        if let Some(failure) = failed {
            (inbox.ends, self.said) = (Some(failure.why), Some(failure.said));
        }
        if !framed.taken.answer.is_empty()
            && let Err(error) = channel.carry(&framed.taken.answer, token, &self.registry, &mut self.wire)
        {
            inbox.ends.get_or_insert(loss_of(&error));
        }
        inbox.framed = Some(framed);
        if !upgrading {
            return Progress::Came(key);
        }
        let opened = channel.tcp.local_addr().map(|local| {
            let secured = channel.tls().and_then(|tls| tls.secured());
            Opened { local, secured }
        });
        match (inbox.ends, opened) {
            (None, Ok(opened)) if is_open => {
                channel.stage = ChannelStage::Open;
                // A server that speaks first is heard with what it says next.
                channel.came = inbox.bytes[inbox.at..].to_vec();
                Progress::Opened(key, opened)
            }
            (None, _) => {
                channel.came = inbox.bytes[inbox.at..].to_vec();
                Progress::Nothing
            }
            (Some(FlowLoss::Closed), _) => {
                self.said = Some("the connection was closed instead of an answer to the upgrade".to_owned());
                self.lose(token, FlowLoss::NotWebSocket)
            }
            (Some(why), _) => self.lose(token, why),
        }
    }

    /// Everything whole was taken from `inbox`: keeps the rest, or says why the connection is gone.
    pub(super) fn settle(&mut self, inbox: &mut Inbox) -> Progress<K> {
        let rest = inbox.rest();
        if let Some(why) = inbox.ends {
            // A TLS server answers plain SIP with a TLS alert, or a handshake record.
            let is_tls = matches!(rest, [0x15 | 0x16, 0x03, ..]);
            let why = if is_tls && why == FlowLoss::Closed { FlowLoss::NotSip } else { why };
            if why == FlowLoss::NotSip && self.said.is_none() {
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
        match &mut self.layers.tls {
            Some(Secure::Now(tls)) => Some(tls),
            Some(Secure::Later(_)) | None => None,
        }
    }

    /// Begins TLS if there is to be any. True when there is.
    fn begin_tls(&mut self) -> io::Result<bool> {
        if let Some(Secure::Later(client)) = &self.layers.tls {
            self.layers.tls = Some(Secure::Now(client.begin()?));
        }
        Ok(self.layers.tls.is_some())
    }

    fn ws(&mut self) -> Option<&mut Ws> {
        match self.layers.ws.as_deref_mut() {
            Some(Web::Now(ws)) => Some(ws),
            Some(Web::Later(_)) | None => None,
        }
    }

    /// Asks for the upgrade to WebSocket if it is to be one: what is to be sent for that.
    fn begin_ws(&mut self) -> Option<Vec<u8>> {
        let Some(Web::Later(client)) = self.layers.ws.as_deref() else { return None };
        let (ws, request) = client.begin();
        self.layers.ws = Some(Box::new(Web::Now(ws)));
        Some(request)
    }

    /// Writes what is carried, secured where it is to be; `wire` is a place for that.
    fn carry(
        &mut self,
        bytes: &[u8],
        token: StreamToken,
        registry: &StreamRegistry,
        wire: &mut Vec<u8>,
    ) -> io::Result<()> {
        let Some(tls) = self.tls() else { return self.write(bytes, token, registry) };
        wire.clear();
        tls.send(bytes);
        tls.to_wire(wire);
        self.write(wire, token, registry)
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
        let mut wire = Vec::new();
        if let Some(ws) = self.ws() {
            ws.end(&mut wire);
        }
        if let Some(tls) = self.tls() {
            let last = std::mem::take(&mut wire);
            tls.send(&last);
            tls.end();
            tls.to_wire(&mut wire);
        }
        if !wire.is_empty() {
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
