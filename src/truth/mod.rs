//! The other side's count: how many bindings a registrar says it holds.
//!
//! A file per kind of server knows in which words it is asked and how its answer is read; reading
//! is a pure function of bytes. `wire` moves the bytes. All of it blocks and gives up after a
//! while: it belongs on a thread of its own (`sampler`) and never on one that sends SIP. What
//! cannot be learnt is told as unknown with its reason, never as zero.
//!
//! Another kind is one file here, its word in `vocab::TruthKind`, and a line in [`adapter`].

mod asterisk;
mod exec;
mod freeswitch;
mod http_json;
mod json_rpc;
mod kamailio;
mod opensips;
mod sampler;
mod wire;

pub use sampler::{Sampler, TruthReading, ask_once};

use crate::net::clock::Clock;
use crate::vocab::{Secret, TruthKind};
use std::net::SocketAddr;
use std::time::Duration;

/// How long one answer may take.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// A server that is asked.
#[derive(Clone, Debug)]
pub struct TruthSource {
    pub kind: TruthKind,
    pub place: TruthPlace,
    /// The time between two questions.
    pub every: Duration,
    /// Where in the answer the number is (RFC 6901).
    pub pointer: String,
    pub username: String,
    pub secret: Secret,
}

/// Where it is asked, its name looked up and allowed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TruthPlace {
    Unix(String),
    Udp(SocketAddr),
    Tcp(SocketAddr),
    /// The URL, and its host, which is asked and nobody else.
    Http {
        url: String,
        host: String,
    },
    /// What a shell runs.
    Command(String),
}

/// Asks one server for its count.
pub trait Adapter: Send {
    /// How many bindings it holds, answered by `until`.
    ///
    /// # Errors
    /// Why that is unknown, in one line for a person; no secret is in it.
    fn count(&mut self, wait: Deadline) -> Result<u64, String>;

    /// What it told of single registrations since it was asked for that last.
    fn heard(&mut self) -> Heard {
        Heard::new()
    }
}

/// Events by their name, and how often each came.
pub type Heard = Vec<(String, u64)>;

/// How long somebody may be waited for.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    clock: Clock,
    until: crate::vocab::Time,
}

impl Deadline {
    pub fn new(clock: Clock, patience: Duration) -> Deadline {
        Deadline { clock, until: clock.now() + patience }
    }

    /// What is left of it.
    ///
    /// # Errors
    /// When nothing is.
    pub fn left(&self) -> Result<Duration, String> {
        let left = self.until.since(self.clock.now());
        if left.is_zero() { Err("no answer in time".to_owned()) } else { Ok(left) }
    }
}

/// Whoever asks this server.
pub fn adapter(source: &TruthSource) -> Box<dyn Adapter> {
    match source.kind {
        TruthKind::Kamailio => Box::new(json_rpc::JsonRpc::new(source, kamailio::QUESTION, kamailio::contacts)),
        TruthKind::OpensipsMi => Box::new(json_rpc::JsonRpc::new(source, opensips::QUESTION, opensips::contacts)),
        TruthKind::Exec => Box::new(exec::Exec::new(source)),
        TruthKind::FreeswitchEsl => Box::new(freeswitch::EventSocket::new(source)),
        TruthKind::AsteriskAmi => Box::new(asterisk::Manager::new(source)),
        TruthKind::HttpJson => Box::new(http_json::HttpJson::new(source)),
    }
}

/// A text of a server as part of an error: short, one line.
fn shown(text: &str) -> String {
    let line = crate::vocab::printable(text.trim());
    let mut short: String = line.chars().take(SHOWN).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

/// Characters of a server's answer in an error.
const SHOWN: usize = 80;
