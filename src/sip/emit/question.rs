//! Requests that ask and bind nothing, written as a trunk's REGISTER is: over the same way, with
//! the same headers, without a Contact.
//!
//! They are few, so they are cut out of a REGISTER instead of having a template of their own.

use super::{METHOD, Overflow, Register, RegisterTemplate};
use memchr::memmem;
use std::ops::Range;

impl RegisterTemplate {
    /// Writes a REGISTER without Contact, which asks for the bindings there are (RFC 3261 §10.2.3),
    /// and returns its length.
    ///
    /// # Errors
    /// When `out` is too small for the same request with its Contact.
    pub fn write_fetch(&self, register: &Register<'_>, out: &mut [u8]) -> Result<usize, Overflow> {
        let length = self.write(register, out)?;
        let contact = lines(&out[..length], b"\r\nContact: ", b"\r\nUser-Agent: ");
        Ok(cut(out, length, contact))
    }

    /// Writes an OPTIONS to the registrar (RFC 3261 §11.1) and returns its length.
    ///
    /// # Errors
    /// When `out` is too small for the same request as a REGISTER.
    pub fn write_ping(&self, register: &Register<'_>, out: &mut [u8]) -> Result<usize, Overflow> {
        let length = self.write_fetch(register, out)?;
        let cseq = lines(&out[..length], b"\r\nCSeq: ", b"\r\nUser-Agent: ").end;
        // The two names differ by a letter in length.
        let length = cut(out, length, cseq - 1..cseq);
        out[cseq - METHOD.len()..cseq - 1].copy_from_slice(OPTIONS);
        let length = cut(out, length, 0..1);
        out[..OPTIONS.len()].copy_from_slice(OPTIONS);
        Ok(length)
    }
}

const OPTIONS: &[u8] = b"OPTIONS";

/// From the beginning of one header to that of another; both were written.
fn lines(message: &[u8], from: &[u8], to: &[u8]) -> Range<usize> {
    let start = memmem::find(message, from).unwrap_or(message.len());
    let end = memmem::find(&message[start..], to).map_or(start, |end| start + end);
    start..end
}

/// Takes a part out of a message of so many bytes; what is left of its length.
fn cut(out: &mut [u8], length: usize, part: Range<usize>) -> usize {
    out.copy_within(part.end..length, part.start);
    length - part.len()
}

#[cfg(test)]
mod tests {
    use super::super::TemplateParts;
    use super::*;
    use crate::sip::{Branch, Token, scan};
    use crate::vocab::{AgentId, RunTag, Transport};

    #[test]
    fn a_question_is_a_register_without_a_contact() {
        let headers = [("X-Site".to_owned(), "NJ".to_owned())];
        let template = RegisterTemplate::new(&TemplateParts {
            domain: "example.test",
            transport: Transport::Udp,
            sent_by: "127.0.0.1:40000",
            route: Some("<sip:127.0.0.1:5060;lr>"),
            user_agent: "phone",
            headers: &headers,
        });
        let branch = Branch::new(RunTag(7), Token { agent: AgentId(3), serial: 9 });
        let (call_id, from_tag) = (&[b'c'; 32], &[b'f'; 16]);
        let (cseq, expires, authorizations) = (12, 600, &[][..]);
        let register = Register { user: b"bob", branch: &branch, call_id, from_tag, cseq, expires, authorizations };
        let mut out = [0; 2048];
        for padded in [false, true] {
            let template = if padded { template.clone().padded() } else { template.clone() };
            for _ in 0..2 {
                let length = template.write_fetch(&register, &mut out).expect("it fits");
                let request = scan::request(&out[..length]).expect("a request");
                assert_eq!((request.method, request.cseq), (&b"REGISTER"[..], 12));
                assert_eq!(request.headers("Contact").count() + request.headers("Expires").count(), 0);
                assert_eq!(request.headers("X-Site").next(), Some(&b"NJ"[..]));
                let length = template.write_ping(&register, &mut out).expect("it fits");
                let request = scan::request(&out[..length]).expect("a request");
                assert_eq!((request.method, request.cseq_method), (&b"OPTIONS"[..], &b"OPTIONS"[..]));
                assert!(out.starts_with(b"OPTIONS sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:40000;"));
                assert_eq!(request.headers("Route").count() + request.headers("Content-Length").count(), 2);
            }
        }
    }
}
