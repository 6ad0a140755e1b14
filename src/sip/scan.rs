//! Views over the bytes of a received message: one pass, no copy, liberal in what it accepts.

/// Why bytes are not a SIP message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    #[error("the start line is not that of a SIP message")]
    StartLine,
    #[error("a mandatory header (Via, From, To, Call-ID, CSeq) is missing")]
    MissingHeader,
    #[error("a header has no colon or an unreadable value")]
    Header,
    #[error("the message ends before its headers do")]
    Truncated,
}

/// A response as the client needs it. All slices borrow from the datagram; folded values still contain their line
/// breaks (the parsers of this room treat CR LF followed by a blank as a blank).
#[derive(Clone, Debug)]
pub struct Response<'a> {
    /// 100–699.
    pub code: u16,
    pub reason: &'a [u8],
    /// `branch` of the topmost Via; empty when it has none.
    pub branch: &'a [u8],
    pub call_id: &'a [u8],
    pub cseq: u32,
    pub cseq_method: &'a [u8],
    /// Values of `Expires`, `Min-Expires` and `Retry-After` in seconds where present and readable.
    pub expires: Option<u32>,
    pub min_expires: Option<u32>,
    pub retry_after: Option<u32>,
    headers: &'a [u8],
}

/// A request as the registrar needs it.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub method: &'a [u8],
    pub uri: &'a [u8],
    pub branch: &'a [u8],
    pub call_id: &'a [u8],
    pub cseq: u32,
    pub expires: Option<u32>,
    headers: &'a [u8],
}

/// Scans a response.
///
/// # Errors
/// When the start line, a mandatory header or the end of the headers is missing.
pub fn response(_bytes: &[u8]) -> Result<Response<'_>, Malformed> {
    todo!()
}

/// Scans a request.
///
/// # Errors
/// As [`response`].
pub fn request(_bytes: &[u8]) -> Result<Request<'_>, Malformed> {
    todo!()
}

/// The `branch` of the topmost Via of a request or response that may be cut off (an ICMP error returns only the
/// beginning of what was sent).
pub fn branch_of(_bytes: &[u8]) -> Option<&[u8]> {
    todo!()
}

impl<'a> Response<'a> {
    /// The values of all headers called `name` (long form, any case; compact names are matched too), in order.
    pub fn headers(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        let _ = (name, self.headers);
        std::iter::empty()
    }
}

impl<'a> Request<'a> {
    /// As [`Response::headers`].
    pub fn headers(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        let _ = (name, self.headers);
        std::iter::empty()
    }
}
