//! A registrar whose delay is known: a plain UDP socket that challenges and then accepts, each
//! answer a set time after its request, and that writes down by its own clock what it saw. It is
//! the truth regstorm's figures are held against.
//!
//! It checks no digest (the embedded registrar and Kamailio do) and keeps no lifetimes: a binding
//! ends when it is removed. It answers every copy of a request, as a stateless server would (RFC
//! 3261 §8.2.7).

use super::clock;
use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Runs until dropped.
pub struct KnownRegistrar {
    address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What it saw so far.
#[derive(Default)]
pub struct Seen {
    /// Requests of any kind, copies included.
    pub requests: u64,
    /// Call-IDs that ever came.
    pub calls: HashSet<String>,
    /// Addresses of record with a binding now.
    pub bound: HashSet<String>,
    /// 200s to a REGISTER that makes a binding.
    pub accepted: u64,
    /// `response="…"` of every Authorization header.
    pub digests: HashSet<String>,
    /// From each first REGISTER's arrival to its 401's departure.
    pub challenge: Vec<Duration>,
    /// From the arrival of each REGISTER with credentials to its 200's departure.
    pub authenticated: Vec<Duration>,
    /// From each first REGISTER's arrival to the departure of the 200.
    pub register: Vec<Duration>,
    /// When each call's first REGISTER came; taken by the 200.
    first: HashMap<String, Instant>,
}

struct Shared {
    seen: Mutex<Seen>,
    silent: AtomicBool,
    stop: AtomicBool,
}

/// An answer that waits for its time.
struct Pending {
    due: Instant,
    arrived: Instant,
    call: String,
    /// Un-REGISTERs are answered like the rest, but are no attempts: their delays are not kept.
    timed: bool,
    to: SocketAddr,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Answer {
    Challenge,
    Accept,
}

impl KnownRegistrar {
    /// Answers on a free port of 127.0.0.1: challenges after `challenge`, 200 after `accept`.
    pub fn start(challenge: Duration, accept: Duration) -> KnownRegistrar {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("loopback");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a duration above zero");
        let address = socket.local_addr().expect("a bound socket");
        let shared = Arc::new(Shared {
            seen: Mutex::new(Seen::default()),
            silent: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        // One queue per delay: equal delays keep the order, so each queue needs no sorting.
        let (challenges, challenged) = mpsc::channel();
        let (accepts, accepted) = mpsc::channel();
        let mut threads = Vec::new();
        for (queue, answer) in [(challenged, Answer::Challenge), (accepted, Answer::Accept)] {
            let (socket, shared) = (socket.try_clone().expect("an open socket"), Arc::clone(&shared));
            threads.push(std::thread::spawn(move || answer_in_time(&queue, &socket, &shared, answer)));
        }
        let receiving = Arc::clone(&shared);
        threads.push(std::thread::spawn(move || {
            receive(&socket, &receiving, &[(challenge, challenges), (accept, accepts)]);
        }));
        KnownRegistrar { address, shared, threads }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing is answered (or, with `false`, everything again). Requests are still
    /// counted.
    pub fn fall_silent(&self, silent: bool) {
        self.shared.silent.store(silent, Ordering::Relaxed);
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen()
    }

    /// Waits until `enough` of what was seen.
    pub fn until(&self, what: &str, limit: Duration, enough: impl Fn(&Seen) -> bool) {
        clock::until(what, limit, || enough(&self.seen()).then_some(()));
    }
}

impl Drop for KnownRegistrar {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic there has already been printed; the test fails by what it misses.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no holder panics")
    }
}

/// The median, which must exist.
pub fn median(values: &[Duration]) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

fn receive(socket: &UdpSocket, shared: &Shared, queues: &[(Duration, Sender<Pending>); 2]) {
    let mut buffer = [0; 65535];
    while !shared.stop.load(Ordering::Relaxed) {
        let (length, from) = match socket.recv_from(&mut buffer) {
            Ok(received) => received,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            // A previous answer met a closed port; the next request is none the worse for it.
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => continue,
            Err(e) => panic!("the test registrar's socket: {e}"),
        };
        let arrived = clock::now();
        let request = String::from_utf8_lossy(&buffer[..length]);
        if request.starts_with("REGISTER ") {
            let (answer, pending) = shared.take(&request, from, arrived);
            let (delay, queue) = &queues[answer as usize];
            if !shared.silent.load(Ordering::Relaxed) {
                // The other end is gone only when the test is over.
                drop(queue.send(Pending { due: arrived + *delay, ..pending }));
            }
        }
    }
}

impl Shared {
    /// Notes a REGISTER and writes its answer.
    fn take(&self, request: &str, from: SocketAddr, arrived: Instant) -> (Answer, Pending) {
        let mut seen = self.seen();
        seen.requests += 1;
        let call = header(request, "Call-ID").to_owned();
        seen.calls.insert(call.clone());
        let timed = lifetime(request) > 0;
        if timed {
            seen.first.entry(call.clone()).or_insert(arrived);
        }
        let authorization = header(request, "Authorization");
        let (answer, bytes) = if authorization.is_empty() {
            (Answer::Challenge, challenge(request))
        } else {
            let digest = authorization.split("response=\"").nth(1).and_then(|rest| rest.split('"').next());
            seen.digests.extend(digest.map(str::to_owned));
            let aor = uri(header(request, "To")).to_owned();
            if timed {
                seen.bound.insert(aor);
                seen.accepted += 1;
            } else {
                seen.bound.remove(&aor);
            }
            (Answer::Accept, accept(request))
        };
        (answer, Pending { due: arrived, arrived, call, timed, to: from, bytes })
    }
}

/// Sends each answer at its time: sleeps up to shortly before it and watches the clock for the
/// rest.
fn answer_in_time(queue: &Receiver<Pending>, socket: &UdpSocket, shared: &Shared, answer: Answer) {
    const WATCH: Duration = Duration::from_micros(200);
    while let Ok(pending) = queue.recv() {
        clock::let_pass(pending.due.saturating_duration_since(clock::now()).saturating_sub(WATCH));
        while clock::now() < pending.due {
            std::hint::spin_loop();
        }
        let left = clock::now();
        // A refused send is the client's business: it is gone, or stopped.
        drop(socket.send_to(&pending.bytes, pending.to));
        if !pending.timed {
            continue;
        }
        let mut seen = shared.seen();
        let delay = left - pending.arrived;
        match answer {
            Answer::Challenge => seen.challenge.push(delay),
            Answer::Accept => {
                seen.authenticated.push(delay);
                let first = seen.first.remove(&pending.call);
                seen.register.extend(first.map(|first| left - first));
            }
        }
    }
}

fn challenge(request: &str) -> Vec<u8> {
    let fields = "WWW-Authenticate: Digest realm=\"genesyscloud.test\", nonce=\"6b1d9f2ac4e07583\", qop=\"auth\", \
                  algorithm=MD5\r\n";
    response("401 Unauthorized", request, fields)
}

fn accept(request: &str) -> Vec<u8> {
    let lifetime = lifetime(request);
    if lifetime == 0 {
        return response("200 OK", request, "");
    }
    let contact = uri(header(request, "Contact"));
    response("200 OK", request, &format!("Contact: <{contact}>;expires={lifetime}\r\n"))
}

fn response(status: &str, request: &str, fields: &str) -> Vec<u8> {
    let [via, from, to, call, cseq] = ["Via", "From", "To", "Call-ID", "CSeq"].map(|name| header(request, name));
    format!(
        "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to};tag=known\r\nCall-ID: {call}\r\nCSeq: {cseq}\r\n\
         {fields}Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// The first header of a name, in its long form; empty when there is none.
fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let lines = request.lines().take_while(|line| !line.is_empty());
    let mut fields = lines.filter_map(|line| line.split_once(':'));
    fields.find(|(field, _)| field.trim().eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
}

/// What stands between angle brackets, or all of it.
fn uri(address: &str) -> &str {
    address.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(address, |(uri, _)| uri)
}

/// Seconds asked for: the Contact's `expires`, else the Expires header, else an hour (RFC 3261
/// §10.2.1.1).
fn lifetime(request: &str) -> u32 {
    let contact = header(request, "Contact").split('>').nth(1).unwrap_or("");
    let parameter = contact.split(';').filter_map(|p| p.split_once('=')).find(|(name, _)| name.trim() == "expires");
    let text = parameter.map_or_else(|| header(request, "Expires"), |(_, value)| value);
    text.trim().parse().unwrap_or(3600)
}
