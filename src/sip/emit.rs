//! Messages written into a caller's buffer: REGISTER from a per-flow template, and responses.

use super::branch::Branch;
use super::challenge::Role;
use super::digest::{Algorithm, HexDigest, QopAuth};
use super::scan::Request;

/// The buffer was too small for the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the message does not fit into {0} bytes")]
pub struct Overflow(pub usize);

/// What all REGISTERs of one trunk over one local address have in common.
#[derive(Clone, Debug)]
pub struct TemplateParts<'a> {
    /// Host of Request-URI and address of record.
    pub domain: &'a str,
    /// `UDP`, `TCP`, `TLS`.
    pub transport: &'a str,
    /// Via sent-by and Contact host: `127.0.0.1:40000`, `[::1]:40000`.
    pub sent_by: &'a str,
    /// `Route` value, e.g. `<sip:127.0.0.1:5060;lr>`.
    pub route: Option<&'a str>,
    pub user_agent: &'a str,
    /// Extra headers in order.
    pub headers: &'a [(String, String)],
}

/// A compiled template: literal bytes with named gaps. Writing is a row of copies, no formatting.
#[derive(Clone, Debug)]
pub struct RegisterTemplate {
    _todo: (),
}

/// The varying parts of one REGISTER.
#[derive(Clone, Debug)]
pub struct Register<'a> {
    pub user: &'a [u8],
    pub branch: &'a Branch,
    /// Local part of the Call-ID; fixed width (32 lower-case hex digits).
    pub call_id: &'a [u8; 32],
    /// From tag; fixed width (16 lower-case hex digits).
    pub from_tag: &'a [u8; 16],
    pub cseq: u32,
    /// Seconds asked for; 0 removes the binding.
    pub expires: u32,
    /// At most one for the registrar and one for a proxy.
    pub authorizations: [Option<Authorization<'a>>; 2],
}

/// One `Authorization` or `Proxy-Authorization`. The `uri` parameter is the template's Request-URI.
#[derive(Clone, Debug)]
pub struct Authorization<'a> {
    pub role: Role,
    pub username: &'a [u8],
    pub realm: &'a [u8],
    pub nonce: &'a [u8],
    pub opaque: Option<&'a [u8]>,
    /// Named in the answer only when the challenge named it.
    pub algorithm: Option<Algorithm>,
    pub qop: Option<QopAuth<'a>>,
    pub response: &'a HexDigest,
}

impl RegisterTemplate {
    /// Compiles the template. Header names and values must be free of CR and LF (the profile room checks).
    pub fn new(_parts: &TemplateParts<'_>) -> Self {
        todo!()
    }

    /// The Request-URI: what the digest is computed over.
    pub fn uri(&self) -> &[u8] {
        todo!()
    }

    /// Contact host and port as sent: what [`super::contact::granted`] looks for.
    pub fn contact_host(&self) -> &[u8] {
        todo!()
    }

    /// Writes one REGISTER and returns its length.
    ///
    /// # Errors
    /// When `out` is too small.
    pub fn write(&self, _register: &Register<'_>, _out: &mut [u8]) -> Result<usize, Overflow> {
        todo!()
    }
}

/// Writes a response to `request`: status line, Via (all, unchanged but for `received`/`rport` of the topmost, RFC 3581
/// §4), From, To (with `to_tag` when it has none), Call-ID, CSeq, then `extra` (complete header lines, each with
/// its CR LF), `Content-Length: 0`. Returns its length.
///
/// # Errors
/// When `out` is too small.
pub fn write_response(
    _request: &Request<'_>,
    _code: u16,
    _reason: &str,
    _from: std::net::SocketAddr,
    _to_tag: &[u8],
    _extra: &[u8],
    _out: &mut [u8],
) -> Result<usize, Overflow> {
    todo!()
}
