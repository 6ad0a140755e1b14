//! SIP out of the frames of a WebSocket, one direction of a captured connection: the heads of the
//! upgrade, then frames (RFC 6455 §5.2), each message with its mask taken off.
//!
//! Nothing is answered or judged here; what is broken is passed over. RFC 7118 §5 has one SIP
//! message in each message of the WebSocket, whatever its Content-Length says.

use crate::sip::framing::is_sip;

/// How far a direction has got.
#[derive(Debug)]
pub(super) enum WebStage {
    /// The head of the upgrade has not come whole.
    Upgrading,
    /// Frames, and what came of a message whose last frame has not come.
    Open { partial: Vec<u8> },
}

/// What is at the beginning of some bytes.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum WebPiece {
    Incomplete,
    /// The head of an upgrade, or of something else of HTTP.
    Head {
        used: usize,
        upgrades: bool,
    },
    /// A frame: the message that it makes whole, if it does.
    Frame {
        used: usize,
        message: Option<Vec<u8>>,
    },
    /// A frame of compressed data (RFC 7692).
    Compressed {
        used: usize,
    },
    /// Neither.
    Broken,
}

/// Whether bytes begin as a head of HTTP does that may be an upgrade's.
pub(super) fn begins_upgrade(bytes: &[u8]) -> bool {
    bytes.starts_with(b"GET ") || bytes.starts_with(b"HTTP/1.1 101")
}

/// Whether they may, once more of them has come.
pub(super) fn may_begin_upgrade(bytes: &[u8]) -> bool {
    b"GET ".starts_with(bytes) || b"HTTP/1.1 101".starts_with(bytes)
}

/// Whether bytes begin with a frame in which a SIP message begins: so a connection is known whose
/// upgrade was not captured.
pub(super) fn begins_frame(bytes: &[u8]) -> bool {
    let Some(frame) = header(bytes).filter(|frame| matches!(frame.opcode, TEXT | BINARY) && !frame.compressed) else {
        return false;
    };
    let body = &bytes[frame.length..];
    is_sip(&unmasked(&body[..body.len().min(frame.body)], frame.mask))
}

impl WebStage {
    pub(super) const OPEN: WebStage = WebStage::Open { partial: Vec::new() };

    /// Looks at the beginning of what has come; `most` is the longest message there is.
    pub(super) fn piece(&mut self, bytes: &[u8], most: usize) -> WebPiece {
        match self {
            WebStage::Upgrading => match bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => WebPiece::Head { used: end + 4, upgrades: upgrades(&bytes[..end + 2]) },
                None if bytes.len() > most => WebPiece::Broken,
                None => WebPiece::Incomplete,
            },
            WebStage::Open { partial } => frame(bytes, partial, most),
        }
    }
}

/// Whether a head has `Upgrade: websocket` (RFC 6455 §4.1 and §4.2.2).
fn upgrades(head: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').any(|line| {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        name.eq_ignore_ascii_case(b"upgrade") && value.trim_ascii().eq_ignore_ascii_case(b"websocket")
    })
}

fn frame(bytes: &[u8], partial: &mut Vec<u8>, most: usize) -> WebPiece {
    let Some(frame) = header(bytes) else { return WebPiece::Incomplete };
    if frame.body > most || partial.len() + frame.body > most || frame.opcode > PONG {
        return WebPiece::Broken;
    }
    let used = frame.length + frame.body;
    let Some(body) = bytes.get(frame.length..used) else { return WebPiece::Incomplete };
    if frame.compressed {
        return WebPiece::Compressed { used };
    }
    if !matches!(frame.opcode, CONTINUATION | TEXT | BINARY) {
        return WebPiece::Frame { used, message: None };
    }
    partial.extend_from_slice(&unmasked(body, frame.mask));
    WebPiece::Frame { used, message: frame.last.then(|| std::mem::take(partial)) }
}

struct WebHeader {
    last: bool,
    compressed: bool,
    opcode: u8,
    mask: Option<[u8; 4]>,
    /// Bytes of the header, and of what follows it.
    length: usize,
    body: usize,
}

/// `None`: it has not come whole.
fn header(bytes: &[u8]) -> Option<WebHeader> {
    let &[first, second, ref rest @ ..] = bytes else { return None };
    let (body, wide): (u64, usize) = match second & 0x7f {
        126 => (u16::from_be_bytes(*rest.first_chunk()?).into(), 2),
        127 => (u64::from_be_bytes(*rest.first_chunk()?), 8),
        short => (short.into(), 0),
    };
    let masked = second & 0x80 != 0;
    let mask = if masked { Some(*rest.get(wide..)?.first_chunk::<4>()?) } else { None };
    Some(WebHeader {
        last: first & 0x80 != 0,
        compressed: first & 0x40 != 0,
        opcode: first & 0x0f,
        mask,
        length: 2 + wide + if masked { 4 } else { 0 },
        body: usize::try_from(body).unwrap_or(usize::MAX),
    })
}

fn unmasked(bytes: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mask = mask.unwrap_or_default();
    bytes.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const PONG: u8 = 10;
