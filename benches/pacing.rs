//! How evenly first REGISTERs arrive at the far end: kernel receive timestamps beside the times of
//! an ideal sender, and what the sender's process cost meanwhile. regstorm and SIPp in turn, each
//! against a server of this program that takes everybody at once with 200.
//!
//! The ideal sender's n-th request arrives n/rate after its first, and its first is set so that
//! none of the real ones came before its time; what is stated is how much later than that they
//! came.
//!
//! ```text
//! cargo bench --bench pacing                      100, 2 000 and 5 000 a second for five seconds, three rounds
//! cargo bench --bench pacing -- 10000 5 3         rate, seconds, rounds
//! ```
//!
//! Needs `sipp` (Debian: sip-tester). With `--test`, as the gate runs it, one small round.

#[path = "support/clients.rs"]
#[allow(dead_code, reason = "shared with benches that need all of it")]
mod clients;

use clients::{DOMAIN, Load};
use regstorm::net::{Poller, RecvBatch, SendBatch, Udp, UdpOptions, Waker};
use regstorm::sip::{emit, scan};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const SCENARIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/support/plain.xml");

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<u32> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let number = |place: usize, default: u32| numbers.get(place).copied().unwrap_or(default);
    let (rates, seconds, rounds) = if arguments.iter().any(|argument| argument == "--test") {
        (vec![500], 1, 1)
    } else if numbers.is_empty() {
        (vec![100, 2_000, 5_000], 5, 3)
    } else {
        (vec![number(0, 0)], number(1, 5), number(2, 3))
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    println!(
        "arrival of first REGISTERs behind an ideal sender, microseconds; CPU of the sender in per cent of one core"
    );
    println!("{:>6} {:>6} {:<9} {:>8} {:>8} {:>8} {:>8}", "rate/s", "round", "sender", "p50", "p99", "max", "CPU %");
    for rate in rates {
        for round in 1..=rounds {
            let load = Load::new(rate * seconds, rate);
            let ours = |address: &str| clients::regstorm(dir.path(), address, &load);
            let theirs = |address: &str| sipp(dir.path(), address, &load);
            row(round, "regstorm", &load, &ours);
            row(round, "SIPp", &load, &theirs);
        }
    }
}

fn row(round: u32, name: &str, load: &Load, client: &dyn Fn(&str) -> f64) {
    let server = Server::start();
    let cost_us = client(&server.address.to_string());
    let arrivals = server.stop();
    assert!(arrivals.len() >= load.count as usize, "a request is missing");
    let late = lateness(&arrivals, load.rate);
    let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize] as f64 / 1e3;
    let cpu = cost_us * f64::from(load.rate) / 1e4;
    println!("{:>6} {round:>6} {name:<9} {:>8.1} {:>8.1} {:>8.1} {cpu:>8.1}", load.rate, at(0.5), at(0.99), at(1.0));
}

/// How much later than an ideal sender's each came, sorted, nanoseconds.
fn lateness(arrivals: &[u64], rate: u32) -> Vec<u64> {
    let ideal = |n: usize| n as u64 * 1_000_000_000 / u64::from(rate);
    let first = arrivals.iter().enumerate().map(|(n, &at)| at - ideal(n).min(at)).min().unwrap_or(0);
    let mut late: Vec<u64> = arrivals.iter().enumerate().map(|(n, &at)| at.saturating_sub(first + ideal(n))).collect();
    late.sort_unstable();
    late
}

fn sipp(dir: &Path, address: &str, load: &Load) -> f64 {
    let (host, _) = address.rsplit_once(':').expect("host and port");
    let mut command = Command::new("sipp");
    command
        .arg(address)
        .args(["-sf", SCENARIO, "-i", host, "-m", &load.count.to_string(), "-r", &load.rate.to_string()])
        .args(["-l", "100000", "-nostdin", "-timeout", "120", "-timeout_error"])
        .current_dir(dir);
    clients::cost_of(command, load.count)
}

/// Answers every request with 200 and notes when it came.
struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: std::thread::JoinHandle<Vec<u64>>,
}

impl Server {
    fn start() -> Server {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let udp = Udp::bound(local, &UdpOptions { error_queue: false, ..UdpOptions::default() }).expect("a socket");
        assert!(udp.features().timestamps, "this kernel gives no receive timestamps");
        let mut poller = Poller::new().expect("a poller");
        poller.add(&udp, 0).expect("a watch");
        let (address, stop, waker) = (udp.local_addr(), Arc::<AtomicBool>::default(), poller.waker());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || serve(udp, poller, &stopped));
        Server { address, stop, waker, thread }
    }

    fn stop(self) -> Vec<u64> {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
        self.thread.join().expect("the server's thread")
    }
}

fn serve(mut udp: Udp, mut poller: Poller, stop: &AtomicBool) -> Vec<u64> {
    let (mut received, mut replies) = (RecvBatch::new(64, 4096), SendBatch::new(64, 4096));
    let (mut arrivals, mut ready) = (Vec::new(), Vec::new());
    let extra = format!("Contact: <sip:any@{DOMAIN}>;expires=3600\r\n");
    while !stop.load(Ordering::Acquire) {
        udp.recv(&mut received).expect("recv");
        for datagram in received.iter() {
            let Ok(request) = scan::request(datagram.bytes) else { continue };
            arrivals.push(datagram.kernel_ns.expect("a timestamp"));
            // The contact is the request's own, or the client would call the answer a lie.
            let own = request.headers("Contact").next().and_then(|text| std::str::from_utf8(text).ok());
            let line = own.map_or(extra.clone(), |contact| format!("Contact: {contact};expires=3600\r\n"));
            let slot = replies.slot().expect("as many as were received");
            let length =
                emit::write_response(&request, 200, "OK", datagram.from, b"1", line.as_bytes(), slot).expect("room");
            replies.commit(length, Some(datagram.from), 0);
        }
        udp.send(&mut replies);
        poller.wait(None, &mut ready).expect("wait");
    }
    arrivals
}
