//! WebSocket over a connection's bytes: the upgrade from HTTP, and frames.
//!
//! Nothing here reads or writes a socket: bytes go in and come out, and so do the messages they
//! carry, each whole, whatever frames it came in. Pings are answered here. Which subprotocol is
//! spoken is the caller's: what a message means is nothing to this file.
//!
//! Frame headers and the accept key are `tungstenite`'s, heads of HTTP `httparse`'s.
//!
//! Read first: RFC 6455 §4 (upgrade), §5 (frames), §5.5 (control frames), §7.4 (close codes).

use super::layer::{LayerFailure, begins};
use crate::vocab::FlowLoss;
use std::fmt;
use std::io::Cursor;
use std::sync::Arc;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// How connections to one server are upgraded; a copy is cheap.
#[derive(Clone, Debug)]
pub struct WsClient {
    request: Arc<UpgradeRequest>,
}

#[derive(Debug)]
struct UpgradeRequest {
    /// The head up to the key, and behind it.
    before: String,
    behind: String,
    subprotocol: String,
}

/// The WebSocket of one connection.
pub struct Ws {
    end: WsEnd,
    stage: WsStage,
    /// What came of a message whose last frame has not come.
    partial: Option<Vec<u8>>,
}

/// Which end of it we are: what a client sends is masked.
enum WsEnd {
    Client { mask: u64 },
    Server,
}

enum WsStage {
    Asked {
        accept: String,
        request: Arc<UpgradeRequest>,
    },
    Awaited {
        subprotocol: &'static str,
    },
    Open,
    /// The other end has said that it ends, or broke the rules.
    Ended,
}

/// What one piece of the wire brought.
#[derive(Default, Debug)]
pub struct WsTaken {
    /// The messages, one behind the other, and the length of each.
    pub messages: Vec<u8>,
    pub lengths: Vec<usize>,
    /// Answers to our pings.
    pub pongs: usize,
    /// What is to be sent at once.
    pub answer: Vec<u8>,
    /// The other end has said that it ends: its code, and why.
    pub closed: Option<String>,
}

impl WsTaken {
    /// Nothing of what came before.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.lengths.clear();
        self.answer.clear();
        (self.pongs, self.closed) = (0, None);
    }
}

/// What a frame of ours is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WsFrame {
    Message,
    Ping,
}

/// Room in front of a message for the header of its frame.
pub const WS_ROOM: usize = 14;

/// The longest head of HTTP.
const LONGEST_HEAD: usize = 16 << 10;
/// The most header fields of one.
const FIELDS: usize = 64;
/// Control frames carry no more (RFC 6455 §5.5).
const LONGEST_CONTROL: u64 = 125;

impl WsClient {
    /// `host` as it stands in a URI, with a port that is not the scheme's own; further header
    /// fields must be free of CR and LF.
    pub fn new(host: &str, path: &str, subprotocol: &str, headers: &[(String, String)]) -> WsClient {
        let further: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = UpgradeRequest {
            before: format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {subprotocol}\r\nSec-WebSocket-Key: "
            ),
            behind: format!("\r\n{further}\r\n"),
            subprotocol: subprotocol.to_owned(),
        };
        WsClient { request: Arc::new(request) }
    }

    /// Begins a connection: what it asks for first.
    pub fn begin(&self) -> (Ws, Vec<u8>) {
        let key = generate_key();
        let UpgradeRequest { before, behind, .. } = &*self.request;
        let asked = [before, &key, behind].map(String::as_bytes).concat();
        // The key is drawn anew for each connection; masks only have to differ (RFC 6455 §10.3 is
        // about what scripts of others make a browser send).
        let mask = key.bytes().fold(1, |sum: u64, byte| sum.rotate_left(7) ^ u64::from(byte));
        let stage = WsStage::Asked { accept: derive_accept_key(key.as_bytes()), request: self.request.clone() };
        (Ws { end: WsEnd::Client { mask }, stage, partial: None }, asked)
    }
}

impl Ws {
    /// Awaits a client that asks for this subprotocol.
    pub fn server(subprotocol: &'static str) -> Ws {
        Ws { end: WsEnd::Server, stage: WsStage::Awaited { subprotocol }, partial: None }
    }

    /// Whether the two ends have agreed.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, WsStage::Open)
    }

    /// Takes one step of what came, an upgrade or a frame: how many bytes it used, 0 when it is not
    /// all there. No message may be longer than `most`.
    ///
    /// # Errors
    /// Why the connection cannot go on; what is to be told the other end is in `taken` all the
    /// same.
    pub fn take(&mut self, came: &[u8], most: usize, taken: &mut WsTaken) -> Result<usize, LayerFailure> {
        match &self.stage {
            WsStage::Asked { accept, request } => {
                let used = upgraded(came, accept, &request.subprotocol)?;
                if used > 0 {
                    self.stage = WsStage::Open;
                }
                Ok(used)
            }
            WsStage::Awaited { subprotocol } => {
                let used = asked(came, subprotocol, &mut taken.answer)?;
                if used > 0 {
                    self.stage = WsStage::Open;
                }
                Ok(used)
            }
            WsStage::Open => self.frame_came(came, most, taken).inspect_err(|_| {
                self.stage = WsStage::Ended;
                self.put(OpCode::Control(Control::Close), &PROTOCOL_ERROR.to_be_bytes(), &mut taken.answer);
            }),
            // Behind the other end's last word nobody listens.
            WsStage::Ended => Ok(came.len()),
        }
    }

    fn frame_came(&mut self, came: &[u8], most: usize, taken: &mut WsTaken) -> Result<usize, LayerFailure> {
        let mut cursor = Cursor::new(came);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|error| broken(&error.to_string()))?;
        let Some((header, length)) = parsed else { return Ok(0) };
        self.check(&header, length)?;
        let begin = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
        let before = self.partial.as_ref().map_or(0, Vec::len);
        let whole = usize::try_from(length).ok().filter(|length| before.saturating_add(*length) <= most);
        let Some(length) = whole else {
            let said = format!("a frame of {length} bytes, more than any message of ours may have");
            return Err(LayerFailure { why: FlowLoss::NotSip, said });
        };
        let Some(payload) = came.get(begin..begin + length) else { return Ok(0) };
        match header.opcode {
            OpCode::Data(_) => self.data(payload, header.mask, header.is_final, taken),
            OpCode::Control(control) => {
                let mut payload = payload.to_vec();
                unmask(&mut payload, header.mask);
                self.control(control, &payload, taken);
            }
        }
        Ok(begin + length)
    }

    /// What no frame may be (RFC 6455 §5.1, §5.2, §5.4, §5.5).
    fn check(&self, header: &FrameHeader, length: u64) -> Result<(), LayerFailure> {
        let is_server = matches!(self.end, WsEnd::Server);
        let continues = header.opcode == OpCode::Data(Data::Continue);
        let wrong = match header.opcode {
            _ if header.rsv1 || header.rsv2 || header.rsv3 => "an extension that nobody asked for",
            _ if header.mask.is_some() != is_server && is_server => "a frame of a client that is not masked",
            _ if header.mask.is_some() != is_server => "a frame of a server that is masked",
            OpCode::Control(_) if !header.is_final || length > LONGEST_CONTROL => "a control frame in pieces",
            OpCode::Data(_) if continues == self.partial.is_none() => "frames of a message out of order",
            _ => return Ok(()),
        };
        Err(broken(wrong))
    }

    fn data(&mut self, payload: &[u8], mask: Option<[u8; 4]>, is_final: bool, taken: &mut WsTaken) {
        let append = |into: &mut Vec<u8>| {
            let begin = into.len();
            into.extend_from_slice(payload);
            unmask(&mut into[begin..], mask);
        };
        if !is_final {
            return append(self.partial.get_or_insert_default());
        }
        let begin = taken.messages.len();
        taken.messages.extend_from_slice(&self.partial.take().unwrap_or_default());
        append(&mut taken.messages);
        taken.lengths.push(taken.messages.len() - begin);
    }

    fn control(&mut self, control: Control, payload: &[u8], taken: &mut WsTaken) {
        match control {
            Control::Ping => self.put(OpCode::Control(Control::Pong), payload, &mut taken.answer),
            Control::Pong => taken.pongs += 1,
            Control::Close | Control::Reserved(_) => {
                taken.closed = Some(close_words(payload));
                self.stage = WsStage::Ended;
                // RFC 6455 §5.5.1: typically its own code back.
                let code = payload.get(..2).unwrap_or_default();
                self.put(OpCode::Control(Control::Close), code, &mut taken.answer);
            }
        }
    }

    /// Makes a frame of the bytes at `place[WS_ROOM..][..length]`: it begins at the beginning of
    /// `place` then, and has so many bytes.
    pub fn frame(&mut self, kind: WsFrame, place: &mut [u8], length: usize) -> usize {
        let opcode = match kind {
            WsFrame::Ping => OpCode::Control(Control::Ping),
            WsFrame::Message => match std::str::from_utf8(&place[WS_ROOM..WS_ROOM + length]) {
                Ok(_) => OpCode::Data(Data::Text),
                Err(_) => OpCode::Data(Data::Binary),
            },
        };
        let mask = self.next_mask();
        let header = FrameHeader { opcode, mask, ..FrameHeader::default() };
        let begin = header.len(length as u64);
        place.copy_within(WS_ROOM..WS_ROOM + length, begin);
        let mut head = &mut place[..begin];
        // There is room for the header it has just measured.
        let _fits = header.format(length as u64, &mut head);
        unmask(&mut place[begin..begin + length], mask);
        begin + length
    }

    /// Appends the frame that says that nothing more comes.
    pub fn end(&mut self, wire: &mut Vec<u8>) {
        if self.is_open() {
            self.stage = WsStage::Ended;
            self.put(OpCode::Control(Control::Close), &NORMAL.to_be_bytes(), wire);
        }
    }

    fn put(&mut self, opcode: OpCode, payload: &[u8], wire: &mut Vec<u8>) {
        let mask = self.next_mask();
        let header = FrameHeader { opcode, mask, ..FrameHeader::default() };
        let _a_list_grows = header.format(payload.len() as u64, wire);
        let begin = wire.len();
        wire.extend_from_slice(payload);
        unmask(&mut wire[begin..], mask);
    }

    fn next_mask(&mut self) -> Option<[u8; 4]> {
        let WsEnd::Client { mask } = &mut self.end else { return None };
        // Marsaglia's xorshift: never twice the same within a connection's life.
        *mask ^= *mask << 13;
        *mask ^= *mask >> 7;
        *mask ^= *mask << 17;
        let [a, b, c, d, ..] = mask.to_le_bytes();
        Some([a, b, c, d])
    }
}

impl fmt::Debug for Ws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ws")
    }
}

/// Masking is its own inverse (RFC 6455 §5.3).
fn unmask(bytes: &mut [u8], mask: Option<[u8; 4]>) {
    if let Some(mask) = mask {
        bytes.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    }
}

/// The answer to our request to upgrade: its length, once it is all there.
fn upgraded(came: &[u8], accept: &str, subprotocol: &str) -> Result<usize, LayerFailure> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let length = match response.parse(came) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if came.len() < LONGEST_HEAD => return Ok(0),
        _ => return Err(not_http(came)),
    };
    let (code, reason) = (response.code.unwrap_or(0), response.reason.unwrap_or_default());
    let fields = HttpFields(response.headers);
    if code != SWITCHING {
        let said = match fields.one("Location") {
            Some(elsewhere) => format!("the answer to the upgrade was HTTP {code} {reason}, to {elsewhere}"),
            None => format!("the answer to the upgrade was HTTP {code} {reason}"),
        };
        return Err(LayerFailure { why: FlowLoss::UpgradeRefused, said });
    }
    if !fields.names("Upgrade", "websocket") || fields.one("Sec-WebSocket-Accept") != Some(accept) {
        let said = "HTTP 101 without the answer to our key: no WebSocket of RFC 6455".to_owned();
        return Err(LayerFailure { why: FlowLoss::NotWebSocket, said });
    }
    match fields.one("Sec-WebSocket-Protocol") {
        Some(agreed) if agreed.eq_ignore_ascii_case(subprotocol) => Ok(length),
        other => {
            let what = other.map_or("none".to_owned(), |other| format!("\"{other}\""));
            let said = format!("asked for the subprotocol \"{subprotocol}\", it agreed to {what}");
            Err(LayerFailure { why: FlowLoss::NoSubprotocol, said })
        }
    }
}

/// A client's request to upgrade: its length, once it is all there; the answer to it is appended.
fn asked(came: &[u8], subprotocol: &str, answer: &mut Vec<u8>) -> Result<usize, LayerFailure> {
    let mut refuse = |status: &str, why, said: String| {
        let text =
            format!("HTTP/1.1 {status}\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n");
        answer.extend_from_slice(text.as_bytes());
        Err(LayerFailure { why, said })
    };
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let length = match request.parse(came) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if came.len() < LONGEST_HEAD => return Ok(0),
        _ => return refuse("400 Bad Request", FlowLoss::NotWebSocket, not_http(came).said),
    };
    let fields = HttpFields(request.headers);
    let upgrades = fields.names("Upgrade", "websocket") && fields.names("Connection", "upgrade");
    let key = fields.one("Sec-WebSocket-Key");
    let (Some(key), true, Some("13")) = (key, upgrades, fields.one("Sec-WebSocket-Version")) else {
        let said = "a request of HTTP that asks for no WebSocket".to_owned();
        return refuse("426 Upgrade Required\r\nUpgrade: websocket", FlowLoss::NotWebSocket, said);
    };
    if !fields.names("Sec-WebSocket-Protocol", subprotocol) {
        let said = format!("it did not ask for the subprotocol \"{subprotocol}\"");
        return refuse("400 Bad Request", FlowLoss::NoSubprotocol, said);
    }
    let text = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {subprotocol}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    answer.extend_from_slice(text.as_bytes());
    Ok(length)
}

struct HttpFields<'h, 'b>(&'h [httparse::Header<'b>]);

impl<'b> HttpFields<'_, 'b> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'b str> {
        let named = self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        named.filter_map(|field| std::str::from_utf8(field.value).ok()).map(str::trim)
    }

    fn one(&self, name: &str) -> Option<&'b str> {
        self.all(name).next()
    }

    /// Whether a list holds this word.
    fn names(&self, name: &str, word: &str) -> bool {
        self.all(name).flat_map(|list| list.split(',')).any(|one| one.trim().eq_ignore_ascii_case(word))
    }
}

fn not_http(came: &[u8]) -> LayerFailure {
    let what = if matches!(came, [0x15 | 0x16, 0x03, ..]) { "what came is TLS" } else { "what came begins" };
    LayerFailure { why: FlowLoss::NotWebSocket, said: format!("{what} {}", begins(came)) }
}

fn broken(what: &str) -> LayerFailure {
    LayerFailure { why: FlowLoss::NotWebSocket, said: format!("WebSocket: {what}") }
}

/// A close frame's code and reason, for people.
fn close_words(payload: &[u8]) -> String {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return "WebSocket close without a code".to_owned();
    };
    let code = u16::from_be_bytes(*code);
    let meaning = match code {
        1000 => " (normal)",
        1001 => " (going away)",
        1002 => " (protocol error)",
        1003 => " (data it cannot take)",
        1007 => " (data that is not what it says)",
        1008 => " (policy violation)",
        1009 => " (message too big)",
        1010 => " (extension missing)",
        1011 => " (internal error)",
        1012 => " (service restart)",
        1013 => " (try again later)",
        _ => "",
    };
    let reason = String::from_utf8_lossy(reason);
    let reason = if reason.is_empty() { String::new() } else { format!(": {}", reason.trim()) };
    format!("WebSocket close {code}{meaning}{reason}")
}

const SWITCHING: u16 = 101;
const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MOST: usize = 1 << 16;

    fn open(client: bool) -> Ws {
        let end = if client { WsEnd::Client { mask: 7 } } else { WsEnd::Server };
        Ws { end, stage: WsStage::Open, partial: None }
    }

    /// Everything that came, in pieces of this size.
    fn take(ws: &mut Ws, wire: &[u8], piece: usize) -> Result<WsTaken, LayerFailure> {
        let (mut taken, mut kept) = (WsTaken::default(), Vec::new());
        for piece in wire.chunks(piece) {
            kept.extend_from_slice(piece);
            loop {
                let used = ws.take(&kept, MOST, &mut taken)?;
                kept.drain(..used);
                if used == 0 || kept.is_empty() {
                    break;
                }
            }
        }
        Ok(taken)
    }

    #[test]
    fn the_frames_of_the_rfc_are_read() {
        // RFC 6455 §5.7.
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let unmasked = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
        let pieces = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
        for (client, wire) in [(false, &masked[..]), (true, &unmasked), (true, &pieces)] {
            for piece in 1..=wire.len() {
                let taken = take(&mut open(client), wire, piece).expect("frames");
                assert_eq!((taken.messages.as_slice(), taken.lengths.as_slice()), (&b"Hello"[..], &[5][..]));
            }
        }
        let ping = [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
        let taken = take(&mut open(true), &ping, 7).expect("a ping");
        let back = take(&mut open(false), &taken.answer, 3).expect("its answer");
        assert_eq!((back.pongs, taken.answer[0], taken.lengths.len()), (1, 0x8a, 0));
        // A control frame between two pieces of a message.
        let between = [&pieces[..5], &ping, &pieces[5..]].concat();
        let taken = take(&mut open(true), &between, 4).expect("frames");
        assert_eq!((taken.messages.as_slice(), taken.answer.len()), (&b"Hello"[..], 11));
    }

    #[test]
    fn lengths_of_each_size_are_framed_and_masked() {
        for length in [0, 1, 125, 126, 4_096] {
            let mut client = open(true);
            let mut place = vec![b'x'; WS_ROOM + length];
            let framed = client.frame(WsFrame::Message, &mut place, length);
            let taken = take(&mut open(false), &place[..framed], 1_000).expect("a frame");
            assert_eq!((taken.messages, taken.lengths), (vec![b'x'; length], vec![length]));
            assert!(length < 8 || !place[..framed].windows(8).any(|bytes| bytes == b"xxxxxxxx"), "it is masked");
        }
        let mut client = open(true);
        let mut ping = [0; WS_ROOM];
        let framed = client.frame(WsFrame::Ping, &mut ping, 0);
        let pong = take(&mut open(false), &ping[..framed], 100).expect("a ping").answer;
        assert_eq!(take(&mut client, &pong, 100).expect("a pong").pongs, 1);
    }

    #[test]
    fn what_breaks_the_rules_is_named_and_told() {
        let too_long = [0x82, 0x7f, 0, 0, 0, 0, 0x3b, 0x9a, 0xca, 0];
        for (client, wire, why, says) in [
            (false, &[0x81, 0x01, b'x'][..], FlowLoss::NotWebSocket, "not masked"),
            (true, &[0x81, 0x81, 0, 0, 0, 0, b'x'], FlowLoss::NotWebSocket, "is masked"),
            (true, &[0xc1, 0x01, b'x'], FlowLoss::NotWebSocket, "extension"),
            (true, &[0x09, 0x00], FlowLoss::NotWebSocket, "control frame"),
            (true, &[0x80, 0x01, b'x'], FlowLoss::NotWebSocket, "out of order"),
            (true, &[0x83, 0x00], FlowLoss::NotWebSocket, "WebSocket: "),
            (true, &too_long, FlowLoss::NotSip, "a frame of 1000000000 bytes"),
        ] {
            let mut taken = WsTaken::default();
            let mut ws = open(client);
            let failure = ws.take(wire, MOST, &mut taken).expect_err("broken");
            assert!(failure.why == why && failure.said.contains(says), "{failure:?}");
            assert!(!taken.answer.is_empty() && !ws.is_open());
        }
    }

    #[test]
    fn a_close_says_its_code_and_is_answered() {
        let wire = [&[0x88, 0x0c, 0x03, 0xe9][..], b"restarting"].concat();
        let mut ws = open(true);
        let taken = take(&mut ws, &wire, 100).expect("a close");
        assert_eq!(taken.closed.as_deref(), Some("WebSocket close 1001 (going away): restarting"));
        assert!(taken.answer.len() == 8 && !ws.is_open());
        let mut ours = Vec::new();
        open(false).end(&mut ours);
        assert_eq!(ours, [0x88, 0x02, 0x03, 0xe8]);
    }

    fn answer_to(request: &[u8]) -> String {
        let mut taken = WsTaken::default();
        let _ = Ws::server("sip").take(request, MOST, &mut taken);
        String::from_utf8(taken.answer).expect("HTTP")
    }

    #[test]
    fn two_ends_agree_on_an_upgrade() {
        let headers = [("Origin".to_owned(), "https://desk.example".to_owned())];
        let (mut near, request) = WsClient::new("edge.example:8080", "/ws", "sip", &headers).begin();
        let text = String::from_utf8(request.clone()).expect("text");
        assert!(text.starts_with("GET /ws HTTP/1.1\r\nHost: edge.example:8080\r\nUpgrade: websocket\r\n"), "{text}");
        assert!(text.contains("\r\nOrigin: https://desk.example\r\n") && text.ends_with("\r\n\r\n"), "{text}");
        let mut far = Ws::server("sip");
        let taken = take(&mut far, &request, 10).expect("an upgrade");
        assert!(far.is_open() && !near.is_open());
        take(&mut near, &taken.answer, 10).expect("agreed");
        assert!(near.is_open());
        // RFC 6455 §1.3.
        assert_eq!(derive_accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(answer_to(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").starts_with("HTTP/1.1 426 "));
        assert!(answer_to(b"REGISTER sip:h SIP/2.0\r\n\r\n").starts_with("HTTP/1.1 400 "));
        assert!(answer_to(&text.replace(": sip", ": xmpp").into_bytes()).starts_with("HTTP/1.1 400 "));
    }

    #[test]
    fn an_upgrade_that_fails_says_how() {
        let accept = derive_accept_key(b"key");
        let ok = format!(
            "HTTP/1.1 101 Ok\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
        );
        let with = |more: &str| format!("{ok}{more}\r\n");
        let outcome =
            |text: &str| upgraded(text.as_bytes(), &accept, "sip").map_err(|failure| (failure.why, failure.said));
        let whole = with("Sec-WebSocket-Protocol: sip\r\n");
        assert_eq!(outcome(&whole), Ok(whole.len()));
        assert_eq!(outcome(&whole[..40]), Ok(0));
        for (text, why, says) in [
            ("HTTP/1.1 403 Forbidden\r\n\r\n".to_owned(), FlowLoss::UpgradeRefused, "HTTP 403 Forbidden"),
            ("HTTP/1.1 301 Moved\r\nLocation: /ws\r\n\r\n".to_owned(), FlowLoss::UpgradeRefused, "Moved, to /ws"),
            ("HTTP/1.1 200 OK\r\n\r\n".to_owned(), FlowLoss::UpgradeRefused, "HTTP 200 OK"),
            ("SIP/2.0 400 Bad Request\r\n\r\n".to_owned(), FlowLoss::NotWebSocket, "begins \"SIP/2.0 400"),
            ("\u{15}\u{3}\u{3}".to_owned(), FlowLoss::NotWebSocket, "what came is TLS"),
            (with(""), FlowLoss::NoSubprotocol, "agreed to none"),
            (with("Sec-WebSocket-Protocol: xmpp\r\n"), FlowLoss::NoSubprotocol, "\"xmpp\""),
            (ok.replace(&accept, "other") + "\r\n", FlowLoss::NotWebSocket, "without the answer to our key"),
        ] {
            let (seen, said) = outcome(&text).expect_err("refused");
            assert!(seen == why && said.contains(says), "{seen:?} {said}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_harm(client: bool, bytes: Vec<u8>, piece in 1usize..40) {
            let _ = take(&mut open(client), &bytes, piece);
            let _ = take(&mut Ws::server("sip"), &bytes, piece);
            let _ = take(&mut WsClient::new("h", "/", "sip", &[]).begin().0, &bytes, piece);
        }

        /// Whatever is said comes as it was said, however the wire cuts it.
        #[test]
        fn messages_come_as_they_were_sent(messages: Vec<Vec<u8>>, client: bool, piece in 1usize..40) {
            let mut near = open(client);
            let mut wire = Vec::new();
            for message in &messages {
                let mut place = [&[0; WS_ROOM][..], message].concat();
                let length = near.frame(WsFrame::Message, &mut place, message.len());
                wire.extend_from_slice(&place[..length]);
            }
            let taken = take(&mut open(!client), &wire, piece).expect("frames");
            prop_assert_eq!(taken.lengths, messages.iter().map(Vec::len).collect::<Vec<_>>());
            prop_assert_eq!(taken.messages, messages.concat());
        }
    }
}
