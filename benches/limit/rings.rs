//! Thousands of sockets, one for each agent, as `sockets = "per-agent"` has them: a system call for
//! each datagram behind epoll, as regstorm's sender threads do it, beside io_uring, in turn (A B A
//! B …).
//!
//! The same loop drives both: challenged registrations as in `bare.rs`, at a pace or as fast as
//! answers come, and every datagram with the kernel's receive timestamp, mapped to the loop's
//! clock. What is compared is user and system time of the process from the moment when its sockets
//! are open and watched; opening and watching them stands beside it.

mod epoll;
mod uring;

use super::LASTS;
use super::bare::{PATIENCE, WINDOW};
use super::clients::{Spread, spent, with_registrar};
use super::words::{self, Answer, Words};
use regstorm::fleet::Ways;
use regstorm::net::{Clock, Udp, UdpOptions, usage};
use regstorm::vocab::{FlowId, Time};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;
use uring::{Delivery, Flavour};

/// The word by which this program starts itself as one of the two loops.
pub const LOOP: &str = "--rings";
/// Room for one datagram; regstorm's is of this size.
const DATAGRAM: usize = 4096;
/// Registrations a second in a run without a pace, to know how long it lasts.
const FILLING: u32 = 30_000;

/// Thousands of sockets of one thread.
trait Sockets {
    /// Sends through them.
    type Out: Ways;

    fn out(&mut self) -> &mut Self::Out;

    /// Sends what is to be sent, waits until something comes or `patience` is over, and hands out
    /// what came: bytes and the time when they reached this machine.
    fn turn(&mut self, clock: &Clock, patience: Duration, each: impl FnMut(&mut Self::Out, &[u8], Time));
}

/// The two that are compared unless others are named.
pub const PAIR: [&str; 2] = ["epoll", "io_uring"];

/// A way to use the sockets.
#[derive(Clone, Copy)]
enum Way {
    /// Every receive offers so many slots.
    Epoll(usize),
    Ring(Flavour),
}

impl Way {
    fn named(name: &str) -> Option<Way> {
        let ring = |delivery, iowait| Some(Way::Ring(Flavour { delivery, iowait }));
        match name {
            // As regstorm's sender threads do.
            "epoll" => Some(Way::Epoll(64)),
            "epoll-4" => Some(Way::Epoll(4)),
            "io_uring" => ring(Delivery::Deferred, false),
            "io_uring-iowait" => ring(Delivery::Deferred, true),
            "io_uring-coop" => ring(Delivery::Cooperative, false),
            "io_uring-prompt" => ring(Delivery::Prompt, false),
            _ => None,
        }
    }
}

/// Whether there is a loop of this name.
pub fn is_way(name: &str) -> bool {
    Way::named(name).is_some()
}

/// What a loop is to do.
#[derive(Clone, Copy)]
pub struct Task {
    pub sockets: u32,
    /// Registrations in all; agents register again when there are more than sockets.
    pub count: u32,
    /// A second; 0 for as fast as answers come, some at once.
    pub rate: u32,
}

impl Task {
    pub fn new(sockets: u32, rate: u32) -> Self {
        Task { sockets, count: sockets.max(LASTS * if rate == 0 { FILLING } else { rate }), rate }
    }
}

/// What a loop reports, on one line.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
struct Told {
    /// Microseconds of CPU for each registration.
    cost: f64,
    /// Microseconds of CPU to open and watch a socket.
    opening: f64,
    /// Turns of the loop for each registration.
    turns: f64,
    /// Microseconds between the arrival of a datagram and its handling, mean. A loop that holds up
    /// more at once looks cheaper.
    held: f64,
    /// Microseconds between the planned time of a first request and its writing, mean; 0 without a
    /// pace.
    late: f64,
    /// Bytes of kernel memory for each socket, and for watching it.
    socket_bytes: f64,
    watch_bytes: f64,
    /// Largest resident set, MiB.
    resident: f64,
}

/// Runs the loops of these names in turn, and compares each with the first.
pub fn compare(ways: &[&str], task: &Task, rounds: u32) {
    let Task { sockets, count, rate } = *task;
    let pace = if rate == 0 { format!("as fast as answers come, {WINDOW} at once") } else { format!("at {rate}/s") };
    println!("\nrings: {sockets} sockets, {count} registrations {pace}, microseconds of CPU each");
    if let Some(error) = uring::refusal() {
        return println!("io_uring is refused on this machine ({error}); there is nothing to compare");
    }
    println!(
        "{:>5} {:<15} {:>8} {:>9} {:>7} {:>8} {:>8}",
        "round", "loop", "client", "registrar", "turns", "held/us", "late/us"
    );
    let mut all: Vec<Vec<Told>> = vec![Vec::new(); ways.len()];
    for round in 1..=rounds {
        for (way, tolds) in ways.iter().zip(&mut all) {
            let (told, registrar) = with_others(way, task);
            let Told { cost, turns, held, late, .. } = told;
            println!("{round:>5} {way:<15} {cost:>8.1} {registrar:>9.1} {turns:>7.3} {held:>8.1} {late:>8.1}");
            tolds.push(told);
        }
    }
    print_summary(ways, &all);
}

fn print_summary(ways: &[&str], all: &[Vec<Told>]) {
    for (way, tolds) in ways.iter().zip(all).skip(1) {
        let ratios = tolds.iter().zip(&all[0]).map(|(told, first)| told.cost / first.cost).collect();
        println!("ratio {way}/{}: {}", ways[0], Spread::new(ratios));
    }
    // What earlier processes left is used again and does not show, so the largest figure is the
    // nearest.
    let most = |tolds: &[Told], part: fn(&Told) -> f64| tolds.iter().map(part).fold(0.0, f64::max);
    for (way, tolds) in ways.iter().zip(all) {
        let opening = Spread::new(tolds.iter().map(|told| told.opening).collect()).median();
        println!(
            "{way}: at least {:.0} bytes of kernel memory to watch a socket, {opening:.1} us of CPU to open and watch it, \
             {:.1} MiB resident",
            most(tolds, |told| told.watch_bytes),
            most(tolds, |told| told.resident),
        );
    }
    let socket = all.iter().map(|tolds| most(tolds, |told| told.socket_bytes)).fold(0.0, f64::max);
    println!("a socket takes at least {socket:.0} bytes of kernel memory either way");
}

/// One loop in a process of its own, and what the registrar's process cost for each registration.
fn with_others(way: &str, task: &Task) -> (Told, f64) {
    let before = spent();
    let (told, own) = with_registrar(1, |address| {
        let started = spent();
        let numbers = [task.sockets, task.count, task.rate].map(|number| number.to_string());
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args([LOOP, way, address]).args(numbers).stderr(Stdio::inherit());
        let output = command.output().expect("this program");
        assert!(output.status.success(), "{way} did not register everybody: {}", output.status);
        (serde_json::from_slice(&output.stdout).expect("what a loop reports"), spent() - started)
    });
    (told, (spent() - before - own) * 1e6 / f64::from(task.count))
}

/// Runs the loop of this name to its end and prints what it cost.
pub fn run(way: &str, to: SocketAddr, task: &Task) {
    // As regstorm: on a machine that does other things a loop that is woken late does more at once,
    // and looks cheaper.
    regstorm::net::priority::prefer_promptness();
    regstorm::net::lower_timer_slack();
    regstorm::net::descriptors::raise_limit().expect("our own limit");
    let (started, bare) = (cpu(), kernel_bytes());
    // As regstorm opens them: one answer at a time needs no megabytes.
    let options = UdpOptions { recv_buffer: 64 << 10, send_buffer: 64 << 10, ..UdpOptions::default() };
    let sockets = (0..task.sockets).map(|_| Udp::connected(None, to, &options).expect("a socket")).collect::<Vec<_>>();
    let opened = kernel_bytes();
    let mut driven = Driven::new(Words::new(&sockets[0].local_addr().to_string()));
    let (watched, ready) = match Way::named(way).expect("a known loop") {
        Way::Epoll(slots) => driven.drive(epoll::Watched::new(sockets, slots), task),
        Way::Ring(flavour) => driven.drive(uring::Rings::new(sockets, flavour).expect("a ring"), task),
    };
    let (count, sockets) = (f64::from(task.count), f64::from(task.sockets));
    let micros = |nanos: u64| nanos as f64 / 1e3;
    let told = Told {
        cost: (cpu() - ready) * 1e6 / count,
        opening: (ready - started) * 1e6 / sockets,
        turns: f64::from(driven.turns) / count,
        held: micros(driven.held) / (2.0 * count),
        late: micros(driven.late) / count,
        socket_bytes: (opened - bare) / sockets,
        watch_bytes: (watched - opened) / sockets,
        resident: usage::process().max_rss_bytes as f64 / f64::from(1 << 20),
    };
    println!("{}", serde_json::to_string(&told).expect("numbers"));
}

/// Registrations under way.
struct Driven {
    words: Words,
    clock: Clock,
    start: Time,
    begun: u32,
    done: u32,
    turns: u32,
    /// Nanoseconds, of all requests and of all answers.
    late: u64,
    held: u64,
}

impl Driven {
    fn new(words: Words) -> Self {
        let clock = Clock::new();
        Driven { words, clock, start: clock.now(), begun: 0, done: 0, turns: 0, late: 0, held: 0 }
    }

    /// Registers everybody. What the kernel held, and the process had used, before the first
    /// request.
    fn drive(&mut self, mut sockets: impl Sockets, task: &Task) -> (f64, f64) {
        let before = (kernel_bytes(), cpu());
        self.start = self.clock.now();
        loop {
            self.begin_due(sockets.out(), task);
            if self.done == task.count {
                return before;
            }
            let next = (task.rate > 0 && self.begun < task.count).then(|| self.planned(task).since(self.clock.now()));
            let (clock, before) = (self.clock, self.clock.now());
            sockets.turn(&clock, next.unwrap_or(PATIENCE), |out, text, at| self.answer(out, text, at));
            self.turns += 1;
            let missing = self.begun - self.done;
            assert!(clock.now().since(before) < PATIENCE, "{missing} of {} answers are missing", self.begun);
        }
    }

    fn begin_due(&mut self, out: &mut impl Ways, task: &Task) {
        while self.begun < task.count {
            if task.rate == 0 && self.begun - self.done >= WINDOW {
                return;
            }
            if task.rate > 0 {
                let now = self.clock.now();
                let planned = self.planned(task);
                if planned > now {
                    return;
                }
                self.late += now.since(planned).as_nanos() as u64;
            }
            let (agent, pass) = (self.begun % task.sockets, self.begun / task.sockets);
            out.put(FlowId(agent), 0, |slot| self.words.ask(words::first(agent, pass), slot));
            self.begun += 1;
        }
    }

    fn planned(&self, task: &Task) -> Time {
        self.start + Duration::from_secs_f64(f64::from(self.begun) / f64::from(task.rate))
    }

    fn answer(&mut self, out: &mut impl Ways, text: &[u8], at: Time) {
        self.held += self.clock.now().since(at).as_nanos() as u64;
        match words::read(text) {
            Answer::Registered => self.done += 1,
            Answer::Challenged(asked, nonce) => {
                out.put(FlowId(asked.agent.0), 0, |slot| self.words.ask_again(asked, nonce, slot));
            }
        }
    }
}

/// CPU seconds of this process.
fn cpu() -> f64 {
    let usage = usage::process();
    usage.user_s + usage.system_s
}

/// What the whole kernel holds of objects it cannot give back; sockets, watches and pending
/// requests are among them.
fn kernel_bytes() -> f64 {
    let text = std::fs::read_to_string("/proc/meminfo").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix("SUnreclaim:")).expect("Linux");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1024.0
}
