//! Agents in virtual time before a registrar whose every answer is written in the bytes: what each
//! request gets, when, how often, and in which bytes. Whatever it says, each attempt ends once and
//! the books balance.

use super::files::balanced;
use regstorm::command::simulate::rehearse_facing;
use regstorm::link::LinkConfig;
use regstorm::plan::Plan;
use regstorm::profile::{self, Source};
use regstorm::record::read;
use regstorm::seed::Seed;
use regstorm::sim::Opposite;
use regstorm::vocab::Time;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

/// Two agents on one trunk, through a load of some seconds.
struct Small(u8);

impl Source for Small {
    fn read(&self, _: &str) -> Result<Vec<u8>, String> {
        let preset = ["rfc", "pjsua", "asterisk", "hammer", "none"][usize::from(self.0 % 5)];
        let expires = if self.0 & 0x10 == 0 { "5s" } else { "1h" };
        let extra = if self.0 & 0x20 == 0 { "" } else { "reuse_nonce = false\nsockets = \"per-agent\"\n" };
        let policy = if self.0 & 0x40 == 0 { "" } else { "realm = \"a.test\"\nrealm_policy = \"require\"\n" };
        let warmup = if self.0 & 0x80 == 0 { "0s" } else { "2s" };
        Ok(format!(
            "[run]\ninterval = \"2s\"\nwarmup = \"{warmup}\"\n[safety]\nmax_message_rate = 50\n[[trunk]]\nid = \"t\"\n\
             registrar = \"embedded\"\ndomain = \"a.test\"\nexpires = \"{expires}\"\n{extra}{policy}\
             agents = {{ count = 2, user = \"a{{n}}\", password = \"secret\" }}\nretry = {{ preset = \"{preset}\" }}\n\
             [[load]]\nrate = 2\nfor = \"1s\"\n[[load]]\nhold = \"20s\"\n"
        )
        .into_bytes())
    }

    fn env(&self, _: &str) -> Option<String> {
        None
    }
}

/// Agents and a registrar: the first byte chooses the agents' policy, the rest is the script.
pub fn exchange(bytes: &[u8]) {
    let record = record_of(bytes);
    let results = read(&record[..]).expect("a record whose books balance");
    assert_eq!(results.imbalances, [], "books that balance");
    balanced(&results);
}

/// The record of what becomes of the agents.
pub(crate) fn record_of(bytes: &[u8]) -> Vec<u8> {
    let (choice, script) = bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest));
    let profile = profile::load(&Small(choice), "small.toml", &[]).expect("a sound profile");
    let mut plan = Plan::new(&profile).expect("a sound profile");
    let registrar = Scripted { script: script.iter().copied().collect(), queue: BTreeMap::new(), made: 0 };
    let mut record = Vec::new();
    rehearse_facing(&mut plan, Seed(7), LinkConfig { delay: None, drop: 0.0 }, Box::new(registrar), &mut record)
        .expect("memory takes every byte");
    record
}

/// Answers as its script says; at its end with 200.
struct Scripted {
    script: VecDeque<u8>,
    /// By when, and in which order they were made.
    queue: BTreeMap<(Time, u64), (Vec<u8>, SocketAddr)>,
    made: u64,
}

impl Opposite for Scripted {
    fn receive(&mut self, now: Time, from: SocketAddr, datagram: &[u8]) {
        let request = String::from_utf8_lossy(datagram).into_owned();
        loop {
            let Some(order) = self.script.pop_front() else {
                return self.send(now, 0, answer(&request, "200 OK", &accepted(&request, "3600")), from);
            };
            let more = order & 0x80 != 0;
            let bytes = self.follow(order & 0x1f, &request);
            // Late by up to three times four seconds, so that requests are repeated and given up.
            let late = u64::from(order >> 5 & 3) * 4_000;
            if let Some(bytes) = bytes {
                self.send(now, late, bytes, from);
            }
            if !more {
                return;
            }
        }
    }

    fn poll_transmit(&mut self, now: Time, out: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let first = self.queue.first_entry().filter(|entry| entry.key().0 <= now)?;
        let (bytes, to) = first.remove();
        let length = bytes.len().min(out.len());
        out[..length].copy_from_slice(&bytes[..length]);
        Some((length, to))
    }

    fn next_wake(&self) -> Option<Time> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    fn contacts(&self) -> usize {
        0
    }
}

impl Scripted {
    fn send(&mut self, now: Time, late_ms: u64, bytes: Vec<u8>, to: SocketAddr) {
        self.made += 1;
        // The link needs time to pass; an answer at once would be before its request.
        self.queue.insert((now + Duration::from_millis(late_ms + 1), self.made), (bytes, to));
    }

    fn byte(&mut self) -> u8 {
        self.script.pop_front().unwrap_or(0)
    }

    /// So many bytes of the script as text for a value.
    fn text(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte()).min(self.script.len());
        self.script.drain(..length).collect()
    }

    /// What one order brings about; nothing for silence.
    fn follow(&mut self, order: u8, request: &str) -> Option<Vec<u8>> {
        let number = |script: &mut Self| u32::from_be_bytes([0; 4].map(|_: u8| script.byte()));
        Some(match order {
            0 => answer(request, "200 OK", &accepted(request, "60")),
            1 => answer(request, "401 Unauthorized", &challenge("WWW", "a.test", self.byte())),
            2 => answer(request, "407 Proxy Authentication Required", &challenge("Proxy", "b.test", self.byte())),
            3 => answer(request, "403 Forbidden", ""),
            4 => answer(request, "423 Interval Too Brief", &format!("Min-Expires: {}\r\n", number(self))),
            5 => answer(request, "503 Service Unavailable", &format!("Retry-After: {}\r\n", number(self))),
            6 => return None,
            7 => answer(request, "100 Trying", ""),
            8 => answer(request, "200 OK", &accepted(request, &number(self).to_string())),
            9 => {
                let code = 100 + u16::from(self.byte()) * 2;
                answer(request, &format!("{code} x"), "")
            }
            10 => self.text(),
            11 => {
                let mut bytes = answer(request, "200 OK", &accepted(request, "5"));
                self.spoil(&mut bytes);
                bytes
            }
            12 => {
                let mut bytes = answer(request, "401 Unauthorized", &challenge("WWW", "a.test", 0));
                self.spoil(&mut bytes);
                bytes
            }
            13 => with_value(request, "401 Unauthorized", b"WWW-Authenticate: ", &self.text()),
            14 => with_value(request, "200 OK", b"Contact: ", &self.text()),
            15 => with_value(request, "200 OK", b"Authentication-Info: ", &self.text()),
            16 => with_value(request, "301 Moved", b"Contact: ", &self.text()),
            17 => answer(request, "200 OK", ""),
            18 => asked(request, self.byte()),
            19 => answer(request, "401 Unauthorized", &challenge("WWW", "a.test", 4).replace("n4", &"n".repeat(3_000))),
            20 => answer(&request.replace("CSeq: ", "CSeq: 9"), "200 OK", &accepted(request, "60")),
            _ => answer(request, "500 Server Error", ""),
        })
    }

    /// Changes, cuts or doubles some bytes.
    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..1 + self.byte() % 8 {
            let at = usize::from(u16::from_be_bytes([self.byte(), self.byte()])) % bytes.len().max(1);
            match (self.byte() % 4, self.byte()) {
                (0, new) => bytes.get_mut(at).into_iter().for_each(|byte| *byte = new),
                (1, _) => bytes.truncate(at),
                (2, new) => bytes.insert(at.min(bytes.len()), new),
                (_, count) => {
                    let end = (at + usize::from(count)).min(bytes.len());
                    let again = bytes[at.min(end)..end].to_vec();
                    bytes.extend_from_slice(&again);
                }
            }
        }
    }
}

/// A header of a request, whole lines with their names.
fn lines<'a>(request: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let name = format!("{name}: ");
    request.split("\r\n").filter(move |line| line.starts_with(&name))
}

fn answer(request: &str, status: &str, headers: &str) -> Vec<u8> {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        for line in lines(request, name) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{line}{}\r\n", if name == "To" { ";tag=x" } else { "" });
        }
    }
    text.push_str(headers);
    text.push_str("Content-Length: 0\r\n\r\n");
    text.into_bytes()
}

fn with_value(request: &str, status: &str, name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = answer(request, status, "");
    // Before the last line and the empty one.
    let end = bytes.len() - b"Content-Length: 0\r\n\r\n".len();
    bytes.splice(end..end, name.iter().chain(value).chain(b"\r\n").copied());
    bytes
}

fn accepted(request: &str, expires: &str) -> String {
    lines(request, "Contact").map(|line| format!("{line};expires={expires}\r\n")).collect()
}

fn challenge(header: &str, realm: &str, number: u8) -> String {
    let algorithm = ["SHA-256", "MD5", "SHA-512-256", "AKAv1-MD5"][usize::from(number >> 6)];
    let stale = if number & 1 == 0 { "" } else { ", stale=true" };
    let qop = ["", ", qop=\"auth\"", ", qop=\"auth-int\"", ", qop=\"auth,auth-int\""][usize::from(number >> 1 & 3)];
    format!(
        "{header}-Authenticate: Digest realm=\"{realm}\", nonce=\"n{number}\", algorithm={algorithm}{stale}{qop}\r\n"
    )
}

/// A request of the registrar's own.
fn asked(request: &str, choice: u8) -> Vec<u8> {
    let method = ["OPTIONS", "NOTIFY", "INVITE", "ACK"][usize::from(choice % 4)];
    format!(
        "{method} sip:a0@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{choice}{}\r\n\
         From: <sip:s@a.test>;tag=s\r\nTo: <sip:a0@a.test>\r\nCall-ID: own-{choice}\r\nCSeq: {choice} {method}\r\n\
         Content-Length: 0\r\n\r\n",
        request.len()
    )
    .into_bytes()
}
