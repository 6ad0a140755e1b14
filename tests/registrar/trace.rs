//! A packet trace as a test writes it: `t.at(500).send(&phone.register())`, `t.expect(401)`.

use regstorm::registrar::{Config, Fault, FaultKind, Peer, Registrar};
use regstorm::seed::Seed;
use regstorm::sip::challenge::{Challenge, choose};
use regstorm::sip::digest::{self, QopAuth};
use regstorm::sip::{Algorithm, AlgorithmSet, Ha1, scan};
use regstorm::vocab::{Secret, Time};
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

pub const REALM: &str = "genesyscloud.test";

/// A registrar and the time it is told.
pub struct Trace {
    pub registrar: Registrar,
    pub now: Time,
    out: Vec<u8>,
}

/// A softphone's registration: what it writes, in public fields so that a test can bend one.
#[derive(Clone, Debug)]
pub struct Phone {
    pub user: String,
    pub domain: String,
    pub auth_user: String,
    pub password: String,
    pub from: SocketAddr,
    /// Header lines that carry the contacts and the lifetime.
    pub wants: String,
    pub call_id: String,
    pub cseq: u32,
    pub accepts: AlgorithmSet,
    /// Answers with this realm instead of the challenged one.
    pub force_realm: Option<String>,
    /// Answers with this `uri` parameter instead of the Request-URI.
    pub force_uri: Option<String>,
    /// Answers without qop, as RFC 2069 does.
    pub without_qop: bool,
    /// More header lines.
    pub extra: String,
}

/// A datagram and its sender.
#[derive(Clone, Debug)]
pub struct Packet {
    pub from: SocketAddr,
    pub text: String,
}

/// A reply as it came out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    pub to: SocketAddr,
    pub text: String,
    pub at: Time,
}

pub fn config() -> Config {
    Config::open(REALM, "secret")
}

/// A fault for everybody and all the time.
pub fn fault(kind: FaultKind) -> Fault {
    Fault {
        kind,
        from: Duration::ZERO,
        until: None,
        share: 1.0,
        sources: Vec::new(),
        addresses: Vec::new(),
        domain: None,
    }
}

/// A fault for everybody within a window of seconds.
pub fn fault_within(kind: FaultKind, from_s: u64, until_s: u64) -> Fault {
    Fault { from: Duration::from_secs(from_s), until: Some(Duration::from_secs(until_s)), ..fault(kind) }
}

impl Trace {
    pub fn new(config: Config) -> Self {
        Trace { registrar: Registrar::new(config, Seed(7), at_ms(0)), now: at_ms(0), out: vec![0; 65_536] }
    }

    pub fn with(faults: impl IntoIterator<Item = Fault>) -> Self {
        Trace::new(Config { faults: faults.into_iter().collect(), ..config() })
    }

    /// Moves to `ms` milliseconds after the start.
    pub fn at(&mut self, ms: u64) -> &mut Self {
        self.now = at_ms(ms);
        self
    }

    pub fn send(&mut self, packet: &Packet) -> &mut Self {
        self.registrar.receive(self.now, packet.from, packet.text.as_bytes());
        self
    }

    /// The next reply due now.
    pub fn reply(&mut self) -> Option<Reply> {
        let (len, Peer { address: to, .. }) = self.registrar.poll_transmit(self.now, &mut self.out)?;
        Some(Reply { to, text: String::from_utf8_lossy(&self.out[..len]).into_owned(), at: self.now })
    }

    /// The one reply due now, which must have this code.
    #[track_caller]
    pub fn expect(&mut self, code: u16) -> Reply {
        let reply = self.reply().expect("a reply is due");
        assert_eq!(reply.code(), code, "{}", reply.text);
        self.expect_silence();
        reply
    }

    #[track_caller]
    pub fn expect_silence(&mut self) {
        assert_eq!(self.reply(), None);
    }

    /// REGISTER, challenge, REGISTER with credentials: the final reply.
    #[track_caller]
    pub fn handshake(&mut self, phone: &mut Phone) -> Reply {
        let challenge = {
            self.send(&phone.register());
            self.expect(401)
        };
        self.send(&phone.answer(&challenge));
        self.reply().expect("a final reply is due")
    }

    /// Turns the clock from wake to wake up to `until_ms` and gathers all replies.
    pub fn run(&mut self, until_ms: u64) -> Vec<Reply> {
        let mut replies = Vec::new();
        loop {
            replies.extend(std::iter::from_fn(|| self.reply()));
            match self.registrar.next_wake() {
                Some(wake) if wake <= at_ms(until_ms) => self.now = self.now.max(wake),
                _ => break,
            }
        }
        self.at(until_ms);
        replies
    }
}

impl Phone {
    pub fn new(user: &str) -> Self {
        Phone {
            user: user.into(),
            domain: REALM.into(),
            auth_user: user.into(),
            password: "secret".into(),
            from: "127.0.0.1:40000".parse().expect("an address"),
            wants: format!("Contact: <sip:{user}@127.0.0.1:40000>\r\nExpires: 60\r\n"),
            call_id: format!("{user}@call"),
            cseq: 0,
            accepts: AlgorithmSet::EMPTY.with(Algorithm::Sha256).with(Algorithm::Md5),
            force_realm: None,
            force_uri: None,
            without_qop: false,
            extra: String::new(),
        }
    }

    pub fn wanting(mut self, wants: &str) -> Self {
        self.wants = wants.into();
        self
    }

    pub fn uri(&self) -> String {
        format!("sip:{}", self.domain)
    }

    /// The next request, without credentials.
    pub fn register(&mut self) -> Packet {
        self.request("REGISTER", "")
    }

    /// The next request, with credentials for this challenge.
    pub fn answer(&mut self, challenge: &Reply) -> Packet {
        self.answer_counted(challenge, 1)
    }

    /// The same with a nonce count.
    pub fn answer_counted(&mut self, challenge: &Reply, nc: u32) -> Packet {
        let response = scan::response(challenge.text.as_bytes()).expect("a readable response");
        let challenge = choose(&response, self.accepts).expect("a usable challenge");
        let authorization = self.authorization(&challenge, nc);
        self.request("REGISTER", &authorization)
    }

    fn authorization(&self, challenge: &Challenge<'_>, nc: u32) -> String {
        let challenged = String::from_utf8_lossy(challenge.realm);
        let realm = self.force_realm.as_deref().unwrap_or(&challenged);
        let uri = self.force_uri.clone().unwrap_or_else(|| self.uri());
        let ha1 = Ha1::compute(
            challenge.algorithm,
            self.auth_user.as_bytes(),
            realm.as_bytes(),
            &Secret::new(self.password.as_str()),
        );
        let qop = (!self.without_qop).then_some(QopAuth { nc, cnonce: b"0a4f113b" });
        let response = digest::response(challenge.algorithm, &ha1, challenge.nonce, qop, b"REGISTER", uri.as_bytes());
        let mut line = format!(
            "Authorization: Digest username=\"{}\", realm=\"{realm}\", nonce=\"{}\", uri=\"{uri}\", response=\"{}\", \
             algorithm={}",
            self.auth_user,
            String::from_utf8_lossy(challenge.nonce),
            String::from_utf8_lossy(response.as_bytes()),
            challenge.algorithm.as_str(),
        );
        if qop.is_some() {
            write!(line, ", qop=auth, nc={nc:08x}, cnonce=\"0a4f113b\"").expect("a String takes all");
        }
        line + "\r\n"
    }

    pub fn request(&mut self, method: &str, authorization: &str) -> Packet {
        self.cseq += 1;
        let Phone { user, domain, wants, call_id, cseq, extra, from, .. } = self;
        let text = format!(
            "{method} sip:{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {from};rport;branch=z9hG4bK{cseq}\r\n\
             From: <sip:{user}@{domain}>;tag=f1\r\nTo: <sip:{user}@{domain}>\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n{wants}{authorization}{extra}Content-Length: 0\r\n\r\n",
        );
        Packet { from: *from, text }
    }
}

impl Reply {
    pub fn code(&self) -> u16 {
        self.text.get(8..11).and_then(|code| code.parse().ok()).expect("a status line")
    }

    pub fn reason(&self) -> &str {
        self.text.lines().next().and_then(|line| line.get(12..)).expect("a status line")
    }

    /// The values of all headers of this name, in order.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.text.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| *found == name).map(|(_, value)| value).collect()
    }

    pub fn is_stale(&self) -> bool {
        self.text.contains("stale=true")
    }
}

/// Test time begins at a thousand seconds, so that nothing rests on a clock that starts at zero.
pub fn at_ms(ms: u64) -> Time {
    Time::from_millis(1_000_000 + ms)
}
