//! Where a SIP message begins and ends, without reading what it says.
//!
//! RFC 3261 §18.3: on a stream the Content-Length says where a message ends; in a datagram it ends
//! with the datagram. §7.5: empty lines before a start line are to be ignored.

use memchr::memmem;

/// What the beginning of a stream's bytes is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framed {
    /// Keep-alives (RFC 5626 §3.5.1) or empty lines.
    Blank { used: usize },
    /// A whole message, of so many bytes.
    Message { length: usize },
    /// A message, but not all of it is there.
    Incomplete,
    /// No SIP message begins here.
    NotSip,
}

/// Cuts one message off the beginning of a stream.
pub fn frame(bytes: &[u8]) -> Framed {
    let blanks = bytes.iter().take_while(|&&b| matches!(b, b'\r' | b'\n' | 0)).count();
    if blanks > 0 {
        return Framed::Blank { used: blanks };
    }
    match starts_sip(bytes) {
        Some(true) => {}
        Some(false) => return Framed::NotSip,
        None => return Framed::Incomplete,
    }
    let Some(head) = head_len(bytes) else { return Framed::Incomplete };
    // Without a length the body cannot be told from the next message; RFC 3261 §20.14 then has no
    // body at all.
    let Some(end) = head.checked_add(content_length(&bytes[..head]).unwrap_or(0)) else { return Framed::NotSip };
    if end > bytes.len() {
        return Framed::Incomplete;
    }
    Framed::Message { length: end }
}

/// The same for whoever has to keep what is incomplete: a message that would be longer than `most`
/// bytes is none.
pub fn frame_within(bytes: &[u8], most: usize) -> Framed {
    let announced = || {
        let head = head_len(bytes)?;
        head.checked_add(content_length(&bytes[..head])?)
    };
    match frame(bytes) {
        Framed::Incomplete if bytes.len() > most || announced().is_some_and(|end| end > most) => Framed::NotSip,
        framed => framed,
    }
}

/// Whether a datagram is a SIP message; others (RTP, STUN, DNS) are passed over.
pub fn is_sip(datagram: &[u8]) -> bool {
    let blanks = datagram.iter().take_while(|&&b| matches!(b, b'\r' | b'\n')).count();
    starts_sip(&datagram[blanks..]) == Some(true)
}

/// Where a datagram is to be cut that holds several messages, each as long as the first but for
/// the last. Senders let datagrams of one length leave as one (UDP GSO, regstorm's own among them)
/// and leave the cutting to the card; a capture on the sender's machine, or on loopback, holds them
/// in one piece. `None`: it is one message, as elsewhere.
pub fn cut_every(datagram: &[u8]) -> Option<usize> {
    let head = head_len(datagram)?;
    // Without a length a body that looks like a message (RFC 3420) cannot be told from one.
    let end = head.checked_add(content_length(&datagram[..head])?)?;
    datagram.get(end..).filter(|rest| is_sip(rest)).map(|_| end)
}

/// How many bytes to leave out until a line begins a SIP message, and whether one was found.
pub fn resynchronise(bytes: &[u8]) -> (usize, bool) {
    let mut at = 0;
    while at < bytes.len() {
        match starts_sip(&bytes[at..]) {
            Some(true) => return (at, true),
            // This line may yet become one.
            None => return (at, false),
            Some(false) => {}
        }
        match memchr::memchr(b'\n', &bytes[at..]) {
            Some(line_end) => at += line_end + 1,
            // What is not the beginning of a line will not be one.
            None => return (bytes.len(), false),
        }
    }
    (at, false)
}

/// Whether bytes begin with a start line; `None` while too little is there to tell.
fn starts_sip(bytes: &[u8]) -> Option<bool> {
    const STATUS: &[u8] = b"SIP/2.0 ";
    let begins = &bytes[..bytes.len().min(STATUS.len())];
    if begins.eq_ignore_ascii_case(&STATUS[..begins.len()]) {
        return (begins.len() == STATUS.len()).then_some(true);
    }
    // Methods are tokens, in capitals everywhere; the longest registered one has 9 letters.
    let method = bytes.iter().take_while(|b| b.is_ascii_uppercase()).count();
    if method > 16 || (method < bytes.len() && (method == 0 || bytes[method] != b' ')) {
        return Some(false);
    }
    match memchr::memchr(b'\n', &bytes[..bytes.len().min(MAX_START_LINE)]) {
        Some(end) => Some(bytes[..end].trim_ascii_end().to_ascii_uppercase().ends_with(b" SIP/2.0")),
        None if bytes.len() >= MAX_START_LINE => Some(false),
        None => None,
    }
}

/// Length of the head with the empty line that ends it.
fn head_len(bytes: &[u8]) -> Option<usize> {
    let ends = |mark: &[u8]| memmem::find(bytes, mark).map(|at| at + mark.len());
    match (ends(b"\r\n\r\n"), ends(b"\n\n")) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// `Content-Length` or its compact form `l` (RFC 3261 §20.14).
fn content_length(head: &[u8]) -> Option<usize> {
    head.split(|&b| b == b'\n').skip(1).find_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let name = line[..colon].trim_ascii();
        let named = name.eq_ignore_ascii_case(b"Content-Length") || name.eq_ignore_ascii_case(b"l");
        let value = line[colon + 1..].trim_ascii();
        let digits = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
        named.then(|| digits(value)).flatten()
    })
}

/// No start line of a registration is longer.
const MAX_START_LINE: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANSWER: &[u8] = b"SIP/2.0 200 OK\r\nCall-ID: a\r\nl: 4\r\n\r\nbody";

    #[test]
    fn a_message_ends_where_its_length_says() {
        let two = [ANSWER, b"\r\n\r\n", ANSWER].concat();
        assert_eq!(frame(&two), Framed::Message { length: ANSWER.len() });
        let rest = &two[ANSWER.len()..];
        assert_eq!(frame(rest), Framed::Blank { used: 4 }, "a pong between two messages");
        assert_eq!(frame(&rest[4..]), Framed::Message { length: ANSWER.len() });
    }

    #[test]
    fn what_is_not_whole_yet_waits_and_what_is_no_sip_does_not() {
        for end in 1..ANSWER.len() {
            assert_eq!(frame(&ANSWER[..end]), Framed::Incomplete, "{end} bytes");
        }
        assert_eq!(frame(b"REGISTER sip:a SIP/2.0\r\n\r\nnext"), Framed::Message { length: 26 }, "no length: no body");
        for foreign in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01", b"lower case"] {
            assert_eq!(frame(foreign), Framed::NotSip);
        }
        assert_eq!(resynchronise(b"4\r\n\r\nbodySIP/2.0\r\nSIP/2.0 200 OK\r\n"), (18, true));
    }

    #[test]
    fn what_is_too_long_to_be_kept_is_refused_when_it_says_so() {
        let long = b"SIP/2.0 200 OK\r\nContent-Length: 1000000000\r\n\r\nbody";
        assert_eq!(frame(long), Framed::Incomplete);
        assert_eq!(frame_within(long, 65_536), Framed::NotSip);
        assert_eq!(frame_within(&long[..20], 65_536), Framed::Incomplete);
        let endless = [&b"SIP/2.0 200 OK\r\n"[..], &[b'x'; 70_000]].concat();
        assert_eq!(frame_within(&endless, 65_536), Framed::NotSip, "a head without end");
        assert_eq!(frame_within(ANSWER, 65_536), Framed::Message { length: ANSWER.len() });
    }

    proptest! {
        #[test]
        fn a_frame_lies_within_what_is_there(bytes in "(\\r\\n){0,2}(SIP/2.0 200|OPTIONS a SIP/2.0)?\\r\\n(l: [0-9]{0,20}\\r\\n)?(\\r\\n)?[a-z\\r\\n]{0,9}") {
            match frame(bytes.as_bytes()) {
                Framed::Blank { used } => prop_assert!(used > 0 && used <= bytes.len()),
                Framed::Message { length } => prop_assert!(length > 0 && length <= bytes.len()),
                Framed::Incomplete | Framed::NotSip => {}
            }
        }
    }
}
