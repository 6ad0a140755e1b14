//! The bare loop: what a challenged registration costs when nothing is done but to send, receive
//! and answer.
//!
//! One thread, one connected socket, `sendmmsg` and `recvmmsg`, each datagram by itself. No timer,
//! no retransmission, no measurement, no file, and no answer may be missing.

use super::words::{self, Answer, Words};
use regstorm::net::{Clock, Poller, RecvBatch, SendBatch, Udp, UdpOptions};
use std::net::SocketAddr;
use std::time::Duration;

const BATCH: usize = 64;
const SLOT: usize = 2048;
/// Registrations under way at once when no pace is set.
pub const WINDOW: u32 = 256;
/// An answer that takes longer is missing.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Registers `count` agents, `rate` a second; as fast as answers come when that is 0.
pub fn run(to: SocketAddr, count: u32, rate: u32) {
    let udp = Udp::connected(None, to, &UdpOptions::default()).expect("a socket");
    let mut poller = Poller::new().expect("a poller");
    poller.add(&udp, 0).expect("a watch");
    // As regstorm: on a machine that does other things a loop that is woken late does more at once,
    // and looks cheaper.
    regstorm::net::priority::prefer_promptness();
    regstorm::net::lower_timer_slack();
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
    words: Words,
    out: SendBatch,
    begun: u32,
    done: u32,
}

impl Bare {
    fn new(udp: Udp) -> Self {
        let words = Words::new(&udp.local_addr().to_string());
        Bare { udp, words, out: SendBatch::new(BATCH, SLOT), begun: 0, done: 0 }
    }

    fn first(&mut self, agent: u32) {
        self.put(|words, slot| words.ask(words::first(agent, 0), slot));
    }

    fn answer(&mut self, text: &[u8]) {
        match words::read(text) {
            Answer::Registered => self.done += 1,
            Answer::Challenged(asked, nonce) => self.put(|words, slot| words.ask_again(asked, nonce, slot)),
        }
    }

    fn put(&mut self, write: impl FnOnce(&Words, &mut [u8]) -> usize) {
        if self.out.is_full() {
            self.flush();
        }
        let length = write(&self.words, self.out.slot().expect("flushed"));
        self.out.commit(length, None, 0);
    }

    fn flush(&mut self) {
        let waiting = self.out.len();
        assert_eq!(self.udp.send(&mut self.out).sent, waiting, "a datagram was not sent");
    }
}
