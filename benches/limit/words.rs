//! What a bare loop says and understands: requests written by the template that regstorm uses,
//! digests by its functions; of an answer only the status, the branch and the nonce are looked for.

use super::clients::{DOMAIN, PASSWORD};
use memchr::{memchr, memmem};
use regstorm::sip::challenge::Role;
use regstorm::sip::digest::{Ha1, Protection, Qop};
use regstorm::sip::emit::{Authorization, Register, RegisterTemplate, TemplateParts};
use regstorm::sip::{Algorithm, Branch, Token};
use regstorm::vocab::{AgentId, RunTag, Secret, Transport};

const RUN: RunTag = RunTag(1);

/// Writes requests.
pub struct Words {
    template: RegisterTemplate,
    password: Secret,
}

/// What an answer says.
pub enum Answer<'t> {
    Registered,
    /// To which request, and the nonce.
    Challenged(Token, &'t [u8]),
}

impl Words {
    /// Requests that name `sent_by`; they are answered where they came from (RFC 3581 §4), so
    /// several sockets may share one.
    pub fn new(sent_by: &str) -> Self {
        let template = RegisterTemplate::new(&TemplateParts {
            domain: DOMAIN,
            transport: Transport::Udp,
            sent_by,
            route: None,
            user_agent: "regstorm",
            headers: &[],
        });
        Words { template, password: Secret::new(PASSWORD) }
    }

    /// Writes a request without credentials and returns its length.
    pub fn ask(&self, token: Token, slot: &mut [u8]) -> usize {
        self.write(token, &user(token.agent.0), None, slot)
    }

    /// Writes the one that follows the challenge to `asked`.
    pub fn ask_again(&self, asked: Token, nonce: &[u8], slot: &mut [u8]) -> usize {
        let user = user(asked.agent.0);
        let ha1 = Ha1::compute(Algorithm::Md5, &user, DOMAIN.as_bytes(), &self.password);
        let qop = Some(Qop { protection: Protection::Auth, nc: 1, cnonce: b"c0ffee00c0ffee00" });
        let response = self.template.request_digest(Algorithm::Md5, &ha1, nonce, qop);
        let credentials = Authorization {
            role: Role::Registrar,
            username: &user,
            userhash: false,
            realm: DOMAIN.as_bytes(),
            nonce,
            opaque: None,
            algorithm: Some(Algorithm::Md5),
            qop,
            response: &response,
        };
        self.write(Token { serial: asked.serial + 1, ..asked }, &user, Some(credentials), slot)
    }

    fn write(&self, token: Token, user: &[u8], credentials: Option<Authorization<'_>>, slot: &mut [u8]) -> usize {
        let request = Register {
            user,
            branch: &Branch::new(RUN, token),
            call_id: &[b'0' + (token.agent.0 % 10) as u8; 32],
            from_tag: b"0123456789abcdef",
            // As many digits as an agent's, whose requests are laid out for them.
            cseq: 1_000_000 + token.serial,
            expires: 3600,
            authorizations: credentials.as_slice(),
        };
        self.template.write(&request, slot).expect("room")
    }
}

/// The first request of an agent, or its `pass`th again, counted from 0.
pub fn first(agent: u32, pass: u32) -> Token {
    Token { agent: AgentId(agent), serial: 2 * pass + 1 }
}

/// Reads an answer.
///
/// # Panics
/// When it is neither a success nor the challenge of our registrars.
pub fn read(text: &[u8]) -> Answer<'_> {
    if text.starts_with(b"SIP/2.0 200") {
        return Answer::Registered;
    }
    assert!(text.starts_with(b"SIP/2.0 401"), "{}", String::from_utf8_lossy(text));
    let after = |mark: &[u8]| &text[memmem::find(text, mark).expect("as the server writes it") + mark.len()..];
    let until = |text: &'_ [u8], end: &[u8]| text.iter().position(|byte| end.contains(byte)).expect("an end");
    let branch = after(b"branch=");
    let token = Branch::parse(RUN, &branch[..until(branch, b";\r")]).expect("our branch");
    let nonce = after(b"nonce=\"");
    Answer::Challenged(token, &nonce[..memchr(b'"', nonce).expect("a quote")])
}

/// `agent000042`.
fn user(agent: u32) -> [u8; 11] {
    let mut text = *b"agent000000";
    let mut rest = agent;
    for digit in text[5..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text
}
