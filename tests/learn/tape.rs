//! A registrar that keeps a tape of what passes, as a capture has it.

use super::packets::{Frames, Link, START_NS, ip_udp, pcap};
use regstorm::command::simulate::rehearse_facing;
use regstorm::link::{Delay, LinkConfig};
use regstorm::load::Schedule;
use regstorm::plan::Plan;
use regstorm::registrar::Registrar;
use regstorm::seed::Seed;
use regstorm::sim::{Opposite, START};
use regstorm::vocab::Time;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

struct Taping {
    registrar: Registrar,
    tape: Rc<RefCell<Frames>>,
}

/// Where the registrar is.
pub const REGISTRAR: &str = "198.51.100.7:5060";

impl Taping {
    fn keep(&self, now: Time, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let at = START_NS + u64::try_from(now.since(START).as_nanos()).expect("short");
        self.tape.borrow_mut().push((at, Link::Ethernet.frame(&ip_udp(from, to, bytes))));
    }
}

impl Opposite for Taping {
    fn receive(&mut self, now: Time, from: SocketAddr, datagram: &[u8]) {
        self.keep(now, from, REGISTRAR.parse().expect("an address"), datagram);
        Opposite::receive(&mut self.registrar, now, from, datagram);
    }

    fn poll_transmit(&mut self, now: Time, out: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let (length, to) = Opposite::poll_transmit(&mut self.registrar, now, out)?;
        self.keep(now, REGISTRAR.parse().expect("an address"), to, &out[..length]);
        Some((length, to))
    }

    fn next_wake(&self) -> Option<Time> {
        Opposite::next_wake(&self.registrar)
    }

    fn contacts(&self) -> usize {
        Opposite::contacts(&self.registrar)
    }
}

/// The capture of a rehearsal.
pub fn capture(mut plan: Plan, seed: u64) -> Vec<u8> {
    let tape = Rc::new(RefCell::new(Frames::new()));
    let registrar = Registrar::new(plan.registrar.clone(), Seed(seed), START);
    let taping = Box::new(Taping { registrar, tape: tape.clone() });
    let lasts = Schedule::new(&plan.load, Seed(seed)).lasts();
    let link = LinkConfig { delay: Some(Delay::Fixed(Duration::from_millis(2))), drop: 0.0 };
    rehearse_facing(&mut plan, Seed(seed), link, taping, std::io::sink()).expect("nothing to fail");
    let mut frames = tape.borrow().clone();
    frames.sort_by_key(|(at, _)| *at);
    // Somebody else is heard to the end, so silence is seen to be silence.
    let (one, other) = ("192.0.2.1:9".parse().expect("an address"), "192.0.2.2:9".parse().expect("an address"));
    let end = START_NS + u64::try_from(lasts.as_nanos()).expect("short");
    frames.push((
        end.max(frames.last().map_or(end, |(at, _)| *at)),
        Link::Ethernet.frame(&ip_udp(one, other, b"\r\n\r\n")),
    ));
    pcap(Link::Ethernet.number(), &frames, false, true)
}
