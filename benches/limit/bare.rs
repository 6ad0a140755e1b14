//! The bare loop: what a challenged registration costs when nothing is done but to send, receive and answer.
//!
//! One thread, one connected socket, `sendmmsg` and `recvmmsg`, each datagram by itself. Requests are written by the template
//! that regstorm uses, digests by its functions; of an answer only the status, the branch and the nonce are looked for. No
//! timer, no retransmission, no measurement, no file, and no answer may be missing.

use super::clients::{DOMAIN, PASSWORD};
use memchr::{memchr, memmem};
use regstorm::net::{Clock, Poller, RecvBatch, SendBatch, Udp, UdpOptions};
use regstorm::sip::challenge::Role;
use regstorm::sip::digest::{Ha1, Protection, Qop};
use regstorm::sip::emit::{Authorization, Register, RegisterTemplate, TemplateParts};
use regstorm::sip::{Algorithm, Branch, Token};
use regstorm::vocab::{AgentId, RunTag, Secret};
use std::net::SocketAddr;
use std::time::Duration;

const BATCH: usize = 64;
const SLOT: usize = 2048;
/// Registrations under way at once when no pace is set.
const WINDOW: u32 = 256;
/// An answer that takes longer is missing.
const PATIENCE: Duration = Duration::from_secs(5);
const RUN: RunTag = RunTag(1);

/// Registers `count` agents, `rate` a second; as fast as answers come when that is 0.
pub fn run(to: SocketAddr, count: u32, rate: u32) {
    let udp = Udp::connected(None, to, &UdpOptions::default()).expect("a socket");
    let mut poller = Poller::new().expect("a poller");
    poller.add(&udp, 0).expect("a watch");
    // As regstorm: on a machine that does other things a loop that is woken late does more at once, and looks cheaper.
    regstorm::net::priority::prefer_promptness();
    regstorm::net::lower_timer_slack().expect("allowed");
    let clock = Clock::new();
    let mut bare = Bare::new(udp);
    let mut received = RecvBatch::new(BATCH, SLOT);
    let (start, mut ready) = (clock.now(), Vec::new());
    let planned = |n: u32| start + Duration::from_secs_f64(f64::from(n) / f64::from(rate));
    loop {
        let is_due = |bare: &Bare| {
            bare.begun < count
                && if rate == 0 { bare.begun - bare.done < WINDOW } else { planned(bare.begun) <= clock.now() }
        };
        while is_due(&bare) {
            bare.first(bare.begun);
            bare.begun += 1;
        }
        if bare.udp.recv(&mut received).expect("recv") > 0 {
            received.iter().for_each(|datagram| bare.answer(datagram.bytes));
        }
        bare.flush();
        if bare.done == count {
            return;
        }
        let next = (rate > 0 && bare.begun < count).then(|| planned(bare.begun).since(clock.now()));
        let before = clock.now();
        poller.wait(Some(next.unwrap_or(PATIENCE)), &mut ready).expect("wait");
        assert!(
            clock.now().since(before) < PATIENCE,
            "{} of {} answers are missing",
            bare.begun - bare.done,
            bare.begun
        );
    }
}

struct Bare {
    udp: Udp,
    template: RegisterTemplate,
    password: Secret,
    out: SendBatch,
    begun: u32,
    done: u32,
}

impl Bare {
    fn new(udp: Udp) -> Self {
        let template = RegisterTemplate::new(&TemplateParts {
            domain: DOMAIN,
            transport: "UDP",
            sent_by: &udp.local_addr().to_string(),
            route: None,
            user_agent: "regstorm",
            headers: &[],
        });
        Bare { udp, template, password: Secret::new(PASSWORD), out: SendBatch::new(BATCH, SLOT), begun: 0, done: 0 }
    }

    fn first(&mut self, agent: u32) {
        self.put(agent, 1, &user(agent), None);
    }

    fn answer(&mut self, text: &[u8]) {
        if text.starts_with(b"SIP/2.0 200") {
            self.done += 1;
            return;
        }
        assert!(text.starts_with(b"SIP/2.0 401"), "{}", String::from_utf8_lossy(text));
        let after = |mark: &[u8]| &text[memmem::find(text, mark).expect("as the server writes it") + mark.len()..];
        let until = |text: &'_ [u8], end: &[u8]| text.iter().position(|byte| end.contains(byte)).expect("an end");
        let branch = after(b"branch=");
        let token = Branch::parse(RUN, &branch[..until(branch, b";\r")]).expect("our branch");
        let nonce = after(b"nonce=\"");
        let nonce = &nonce[..memchr(b'"', nonce).expect("a quote")];
        let user = user(token.agent.0);
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
        self.put(token.agent.0, 2, &user, Some(credentials));
    }

    fn put(&mut self, agent: u32, cseq: u32, user: &[u8], credentials: Option<Authorization<'_>>) {
        if self.out.is_full() {
            self.flush();
        }
        let request = Register {
            user,
            branch: &Branch::new(RUN, Token { agent: AgentId(agent), serial: cseq }),
            call_id: &[b'0' + (agent % 10) as u8; 32],
            from_tag: b"0123456789abcdef",
            cseq,
            expires: 3600,
            authorizations: [credentials, None],
        };
        let length = self.template.write(&request, self.out.slot().expect("flushed")).expect("room");
        self.out.commit(length, None, 0);
    }

    fn flush(&mut self) {
        let waiting = self.out.len();
        assert_eq!(self.udp.send(&mut self.out).sent, waiting, "a datagram was not sent");
    }
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
