//! A registrar of known truth behind a real socket, on a thread of its own.
//!
//! A suite that includes it has the modules `side` and `support` as well.

use crate::side::Side;
use crate::side::spec::Spec;
use crate::support::clock;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A registrar that came this much too late to an answer had not the machine to itself.
const STOOD_STILL: Duration = Duration::from_millis(40);

/// A registrar of known truth behind a socket.
pub struct Near {
    pub address: SocketAddr,
    ends: Arc<AtomicBool>,
    /// Nanoseconds by which it was late, far beyond what a timer is.
    pub stood_still: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Near {
    pub fn start(spec: Spec) -> Near {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let address = socket.local_addr().expect("bound");
        let (ends, stood_still) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (told, late) = (ends.clone(), stood_still.clone());
        let thread = std::thread::spawn(move || serve(&socket, Side::new(spec, 1), &told, &late));
        Near { address, ends, stood_still, thread: Some(thread) }
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn serve(socket: &UdpSocket, mut side: Side, ends: &AtomicBool, late: &AtomicU64) {
    let (begin, mut bytes) = (clock::now(), vec![0; 4_096]);
    let passed = || u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
    while !ends.load(Ordering::Relaxed) {
        let due = side.next_wake().map_or(50_000_000, |at| at.saturating_sub(passed()).min(50_000_000));
        socket.set_read_timeout(Some(Duration::from_nanos(due.max(20_000)))).expect("above zero");
        if let Ok((length, from)) = socket.recv_from(&mut bytes) {
            side.receive(passed(), from, &bytes[..length]);
        }
        let now = passed();
        let behind = side.next_wake().map_or(0, |at| now.saturating_sub(at));
        if u128::from(behind) > STOOD_STILL.as_nanos() {
            late.fetch_add(behind, Ordering::Relaxed);
        }
        while let Some((answer, to)) = side.poll(now) {
            drop(socket.send_to(&answer, to));
        }
    }
}
