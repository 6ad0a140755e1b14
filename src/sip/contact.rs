//! Contact header values: which binding is ours, and for how long (RFC 3261 §10.2.1.1, §10.3, §20.10).

use super::scan::{Request, Response};

/// One Contact: its URI without angle brackets and its `expires` parameter in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contact<'a> {
    /// `*` for the wildcard.
    pub uri: &'a [u8],
    pub expires: Option<u32>,
}

/// The contacts of a request, over all Contact headers, commas within quotes or brackets respected.
pub fn contacts<'a>(_request: &Request<'a>) -> impl Iterator<Item = Contact<'a>> {
    std::iter::empty()
}

/// The lifetime granted to the binding whose contact is `user`@`host` (`host` as sent: name or address with port):
/// the `expires` parameter of that Contact, else the `Expires` header, else `None` (what was asked holds).
///
/// When the response lists contacts but none matches exactly, the registrar or something on the way rewrote ours: then
/// a sole contact counts as ours.
pub fn granted(_response: &Response<'_>, _user: &[u8], _host: &[u8]) -> Option<u32> {
    todo!()
}
