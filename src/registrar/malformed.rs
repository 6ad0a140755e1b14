//! 400 to requests the scanner cannot read: whatever identifies the request is copied back, so that
//! a client can match the answer (RFC 3261 §8.2.6.2, RFC 4475 §3.1.2).

use crate::sip::emit::Overflow;

/// The header lines of a request that must be echoed, as they stand, folded ones with their
/// continuations.
#[derive(Clone, Debug)]
pub(super) struct CopiedHeaders<'a> {
    bytes: &'a [u8],
}

impl<'a> CopiedHeaders<'a> {
    /// `None` when the bytes are no request, an ACK, or carry no Via: then there is nobody to
    /// answer.
    pub(super) fn of(bytes: &'a [u8]) -> Option<CopiedHeaders<'a>> {
        let start = bytes.split(|&b| b == b'\n').next()?.trim_ascii_end();
        let request = start.ends_with(b"SIP/2.0") && !start.starts_with(b"SIP/2.0") && !start.starts_with(b"ACK ");
        let echo = CopiedHeaders { bytes };
        let via = request && echo.lines().any(|line| is_header(line, b"via", b'v'));
        via.then_some(echo)
    }

    /// Writes the 400.
    ///
    /// # Errors
    /// When `out` is too small.
    pub(super) fn write(&self, out: &mut [u8]) -> Result<usize, Overflow> {
        let mut end = 0;
        let mut put = |text: &[u8]| {
            let place = out.get_mut(end..end + text.len()).ok_or(Overflow(end + text.len()))?;
            place.copy_from_slice(text);
            end += text.len();
            Ok(())
        };
        put(b"SIP/2.0 400 Bad Request\r\n")?;
        let mut echoing = false;
        for line in self.lines() {
            let folded = line.first().is_some_and(|b| b" \t".contains(b));
            echoing = if folded { echoing } else { ECHOED.iter().any(|(name, short)| is_header(line, name, *short)) };
            if echoing {
                put(line)?;
                put(b"\r\n")?;
            }
        }
        put(b"Content-Length: 0\r\n\r\n")?;
        Ok(end)
    }

    /// Header lines without their ends.
    fn lines(&self) -> impl Iterator<Item = &'a [u8]> {
        let lines = self.bytes.split(|&b| b == b'\n').skip(1).map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        lines.take_while(|line| !line.is_empty())
    }
}

fn is_header(line: &[u8], name: &[u8], short: u8) -> bool {
    let Some(colon) = line.iter().position(|&b| b == b':') else { return false };
    let found = line[..colon].trim_ascii_end();
    found.eq_ignore_ascii_case(name) || found.eq_ignore_ascii_case(&[short])
}

const ECHOED: [(&[u8], u8); 5] = [(b"via", b'v'), (b"from", b'f'), (b"to", b't'), (b"call-id", b'i'), (b"cseq", b'\0')];

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(request: &str) -> Option<String> {
        let mut out = [0; 1_000];
        let len = CopiedHeaders::of(request.as_bytes())?.write(&mut out).expect("it fits");
        Some(String::from_utf8_lossy(&out[..len]).into_owned())
    }

    #[test]
    fn echoes_what_identifies_the_request() {
        let request = "REGISTER sip:x SIP/2.0\r\nv: SIP/2.0/UDP a;\r\n branch=z9hG4bK1\r\nX-Other: 1\r\n folded\r\n\
                       CSeq : soon REGISTER\r\ni: 1@a\n\r\nVia: body";
        let expected = "SIP/2.0 400 Bad Request\r\nv: SIP/2.0/UDP a;\r\n branch=z9hG4bK1\r\nCSeq : soon REGISTER\r\n\
                        i: 1@a\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(answer(request).as_deref(), Some(expected));
    }

    #[test]
    fn answers_only_requests_with_a_via() {
        for silent in [
            "",
            "REGISTER sip:x SIP/2.0\r\nTo: <sip:a@x>\r\n\r\n",
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\n\r\n",
            "ACK sip:x SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n\r\n",
            "GET / HTTP/1.1\r\nVia: proxy\r\n\r\n",
        ] {
            assert_eq!(answer(silent), None, "{silent}");
        }
    }

    #[test]
    fn a_small_buffer_is_an_error() {
        let echo = CopiedHeaders::of(b"X sip:x SIP/2.0\r\nVia: a\r\n\r\n").expect("it has a Via");
        assert!(echo.write(&mut [0; 30]).is_err());
    }
}
