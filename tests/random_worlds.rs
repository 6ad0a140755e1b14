//! Profiles nobody would write, rehearsed: whatever clients, loads, faults and losses come
//! together, every attempt is accounted for, nothing panics, and where nothing is lost nothing
//! stays bound.
//!
//! A world follows from its number alone. `REGSTORM_WORLDS=5000` tries so many,
//! `REGSTORM_WORLDS_FROM=17` begins with that one: a failure names the number, and
//! `REGSTORM_WORLDS=1 REGSTORM_WORLDS_FROM=17` repeats it.
//!
//! The same by the number of attempts, and with its books printed as it goes:
//! `REGSTORM_ATTEMPTS=100000000 cargo test --release --test random_worlds -- --ignored --nocapture
//! stress`. It can be cut into pieces: each line names the next world, for `REGSTORM_WORLDS_FROM`.

use regstorm::command::simulate::rehearse;
use regstorm::diagnose::findings;
use regstorm::link::{Delay, LinkConfig};
use regstorm::measure::TrunkInterval;
use regstorm::plan::Plan;
use regstorm::profile::{self, Source};
use regstorm::record::{Results, read};
use regstorm::seed::{Purpose, Seed};
use regstorm::sim::SimOutcome;
use regstorm::vocab::{Kind, Status};
use std::fmt::{self, Write};
use std::time::Duration;

/// Worlds of a usual test run: about as many as the build rehearses in ten seconds.
const USUALLY: u64 = if cfg!(debug_assertions) { 25 } else { 500 };

fn number_of(variable: &str, usually: u64) -> u64 {
    std::env::var(variable).map_or(usually, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

#[test]
fn every_world_keeps_its_books() {
    let first = number_of("REGSTORM_WORLDS_FROM", 0);
    for number in first..first + number_of("REGSTORM_WORLDS", USUALLY) {
        visit(number);
    }
}

/// Attempts of a stress run, unless told otherwise.
const MANY: u64 = 100_000_000;

/// How often a stress run says how far it is.
const SAID_EVERY: u64 = 1_000_000;

#[test]
#[ignore = "takes hours; the head of this file says how to run it"]
fn stress_every_attempt_of_very_many_is_accounted_for() {
    let first = number_of("REGSTORM_WORLDS_FROM", 0);
    let wanted = number_of("REGSTORM_ATTEMPTS", MANY);
    let mut books = Books::default();
    let mut said = 0;
    for number in first.. {
        books.add(&visit(number));
        let done = books.attempts() >= wanted;
        if done || books.attempts() / SAID_EVERY > said {
            said = books.attempts() / SAID_EVERY;
            eprintln!("worlds {first} to {number}: {books}; next {}", number + 1);
        }
        if done {
            return;
        }
    }
}

/// What a world, or many of them, came to. Every number in it has been checked against another.
#[derive(Default)]
struct Books {
    worlds: u64,
    status: [u64; Status::ALL.len()],
    messages: u64,
    /// Virtual time.
    lasted: Duration,
    /// Un-REGISTERs answered with 2xx, and the others.
    removed: u64,
    not_removed: u64,
    /// Bindings the registrar still had in the end, each of an agent whose un-REGISTER failed.
    left: u64,
}

impl Books {
    fn attempts(&self) -> u64 {
        self.status.iter().sum()
    }

    fn add(&mut self, other: &Books) {
        self.worlds += other.worlds;
        for (own, other) in self.status.iter_mut().zip(other.status) {
            *own += other;
        }
        self.messages += other.messages;
        self.lasted += other.lasted;
        self.removed += other.removed;
        self.not_removed += other.not_removed;
        self.left += other.left;
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} worlds of {} days, {} attempts (", self.worlds, self.lasted.as_secs() / 86_400, self.attempts())?;
        for (at, (status, count)) in Status::ALL.iter().zip(self.status).enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{status} {count}")?;
        }
        write!(f, "), {} messages, {} bindings removed, ", self.messages, self.removed)?;
        write!(f, "{} un-REGISTERs failed, {} of their bindings left", self.not_removed, self.left)
    }
}

/// Rehearses one world and checks its books.
fn visit(number: u64) -> Books {
    let world = Wild::new(number);
    // A panic within says where, and this says of which world.
    let seen = std::panic::catch_unwind(|| check(&world));
    seen.unwrap_or_else(|_| {
        panic!("world {number}, lossless {}, loss {}:\n{}", world.lossless, world.loss, world.text);
    })
}

#[test]
fn a_world_happens_twice_the_same_way() {
    for number in [3, 14, 15] {
        let world = Wild::new(number);
        assert!(world.carry_out().1 == world.carry_out().1, "world {number}:\n{}", world.text);
    }
}

fn check(world: &Wild) -> Books {
    let (outcome, record) = world.carry_out();
    // The reader balances the books of every interval and trunk that a worker did not find wrong
    // itself.
    let results: Results = read(&record[..]).expect("a record whose books balance");
    assert_eq!(results.imbalances, [], "books that balance");
    // The warm-up is in no total; what is looked at here is everything.
    let sum = |of: &dyn Fn(&TrunkInterval) -> u64| {
        results.intervals.iter().flat_map(|interval| &interval.trunks).map(of).sum::<u64>()
    };
    let attempts = sum(&TrunkInterval::attempts_ended);
    assert_eq!(sum(&TrunkInterval::attempts_started), attempts, "started and ended");
    assert_eq!(sum(&|trunk| trunk.status.iter().sum()), attempts, "each in one status");
    assert_eq!(
        sum(&|trunk| trunk.status.iter().sum()),
        results.totals.attempts + warm(&results),
        "none is counted twice"
    );
    let kinds = [Kind::Initial, Kind::Refresh, Kind::Retry];
    assert_eq!(sum(&|trunk| kinds.iter().map(|kind| trunk.started[kind.index()]).sum()), attempts, "each of one kind");
    // The warm-up divides both alike: an attempt belongs where it ended.
    let ended = &results.totals.sums.ended;
    let judged: u64 = kinds.iter().map(|kind| ended[kind.index()]).sum();
    assert_eq!(judged, results.totals.attempts, "each of one kind, without the warm-up");
    let seconds = outcome.traffic.seconds();
    let [sent, received] = [sum(&|trunk| trunk.messages_sent), sum(&|trunk| trunk.messages_received)];
    assert_eq!(seconds.iter().map(|second| u64::from(second.sent)).sum::<u64>(), sent);
    assert_eq!(seconds.iter().map(|second| u64::from(second.received)).sum::<u64>(), received);
    assert_eq!(
        results.agents.iter().map(|agent| u64::from(agent.attempts)).sum::<u64>(),
        attempts,
        "each of one agent"
    );
    let registered = sum(&|trunk| trunk.status[Status::Registered.index()]);
    assert_eq!(results.agents.iter().map(|agent| u64::from(agent.registered)).sum::<u64>(), registered);
    let totals = &results.totals;
    assert!(
        totals.agents_registered_peak <= totals.agents && totals.sums.registered_agent_ns <= agents_times(&results)
    );
    assert!(outcome.returns.len() as u64 <= registered, "who came back registered");
    for finding in findings(&results) {
        assert!(finding.agents <= totals.agents && !finding.summary.is_empty(), "{finding:?}");
    }
    let left = outcome.contacts_left as u64;
    if world.lossless && sum(&|trunk| trunk.ceiling_refused) == 0 {
        assert_eq!(left, 0, "bindings left behind");
    }
    let not_removed = sum(&|trunk| trunk.unregister_failed);
    assert!(left <= not_removed, "{left} bindings left behind, {not_removed} of them by a failed un-REGISTER");
    let by_status = |status: Status| sum(&|trunk| trunk.status[status.index()]);
    Books {
        worlds: 1,
        status: Status::ALL.map(by_status),
        messages: sent + received,
        lasted: Duration::from_nanos(outcome.ended_ns),
        removed: sum(&|trunk| trunk.unregistered),
        not_removed,
        left,
    }
}

/// Attempts that ended in the warm-up.
fn warm(results: &Results) -> u64 {
    let warm = results.intervals.iter().filter(|interval| results.header.warms_up(interval.start_ns));
    warm.flat_map(|interval| &interval.trunks).map(TrunkInterval::attempts_ended).sum()
}

/// No agent is registered for longer than the load lasts.
fn agents_times(results: &Results) -> u128 {
    let lasts = results.end.as_ref().map_or(0, |end| end.load_ended_ns);
    u128::from(results.totals.agents) * u128::from(lasts)
}

/// A world drawn from its number.
struct Wild {
    seed: u64,
    text: String,
    /// Share of packets lost each way, and the longest delay of one.
    loss: f64,
    delay: Duration,
    /// Nothing is lost and no removal is refused.
    lossless: bool,
}

impl Source for Wild {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if path == "wild.toml" { Ok(self.text.clone().into_bytes()) } else { Err("there is no such file".to_owned()) }
    }

    fn env(&self, _name: &str) -> Option<String> {
        None
    }
}

impl Wild {
    fn new(number: u64) -> Wild {
        let mut dice = Dice { seed: Seed(number), thrown: 0 };
        let mut text = String::new();
        // Writing to a string cannot fail, here and below.
        let interval = dice.one_of(&["700ms", "1s", "5s", "60s"]);
        let warmup = dice.one_of(&["0s", "0s", "2s"]);
        let drain = dice.one_of(&["0s", "1s", "35s"]);
        let _ = writeln!(text, "[run]\ninterval = \"{interval}\"\nwarmup = \"{warmup}\"\ndrain = \"{drain}\"");
        let ceiling = dice.one_of(&["50000", "50000", "20"]);
        let _ = writeln!(text, "[safety]\nmax_message_rate = {ceiling}");
        if dice.chance(0.2) {
            let _ = writeln!(text, "abort_on = {{ loops = \"> 5\", success_ratio = \"< 0.4\" }}");
        }
        let trunks = dice.between(1, 3);
        for trunk in 0..trunks {
            let _ = writeln!(text, "{}", dice.trunk(trunk));
        }
        let _ = writeln!(text, "{}", dice.load());
        let process = dice.one_of(&["uniform", "poisson"]);
        let exhausted = dice.one_of(&["stop", "reregister"]);
        let in_flight = dice.one_of(&["20000", "20000", "7"]);
        let _ = writeln!(
            text,
            "[arrivals]\nprocess = \"{process}\"\nwhen_exhausted = \"{exhausted}\"\nmax_in_flight = {in_flight}"
        );
        let _ = writeln!(text, "[registrar]\nmin_expires = \"{}\"", dice.one_of(&["1s", "5s", "20s"]));
        let mut lossless = true;
        for _ in 0..dice.between(0, 3) {
            let (fault, harmless) = dice.fault();
            let _ = writeln!(text, "{fault}");
            lossless &= harmless;
        }
        let loss = if dice.chance(0.5) { 0.0 } else { dice.unit() * 0.3 };
        let delay = Duration::from_micros(dice.between(0, 300_000));
        lossless &= loss == 0.0;
        Wild { seed: number, text, loss, delay, lossless }
    }

    fn carry_out(&self) -> (SimOutcome, Vec<u8>) {
        let profile = profile::load(self, "wild.toml", &[]).unwrap_or_else(|error| panic!("{error}"));
        let mut plan = Plan::new(&profile).unwrap_or_else(|error| panic!("{error}"));
        let link = LinkConfig { delay: Some(Delay::Uniform(Duration::ZERO, self.delay)), drop: self.loss };
        let mut record = Vec::new();
        let outcome = rehearse(&mut plan, Seed(self.seed), link, &mut record).expect("memory takes every byte");
        (outcome, record)
    }
}

/// What is thrown for a world, one number after another.
struct Dice {
    seed: Seed,
    thrown: u64,
}

impl Dice {
    fn unit(&mut self) -> f64 {
        self.thrown += 1;
        // A stream of the seed that no simulation draws from.
        self.seed.unit(Purpose::Arrivals, u64::MAX, self.thrown)
    }

    fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// From the first to the second, both included.
    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + (self.unit() * (most - least + 1) as f64) as u64
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.between(0, all.len() as u64 - 1) as usize]
    }

    fn trunk(&mut self, number: u64) -> String {
        let agents = self.between(1, 40);
        let expires = self.one_of(&["5s", "10s", "60s", "1h"]);
        let preset = self.one_of(&["rfc", "pjsua", "asterisk", "hammer", "none"]);
        let source = self.one_of(&["[\"127.0.0.1\"]", "[\"127.0.0.1\", \"127.0.0.2\", \"127.0.0.3\"]"]);
        let mut text = format!(
            "[[trunk]]\nid = \"t{number}\"\nregistrar = \"embedded\"\ndomain = \"d{number}.test\"\n\
             agents = {{ count = {agents}, user = \"a{{n}}\", password = \"secret\" }}\nexpires = \"{expires}\"\n\
             retry = {{ preset = \"{preset}\" }}\nsource = {source}\n"
        );
        if self.chance(0.3) {
            text.push_str("reuse_nonce = false\n");
        }
        if self.chance(0.3) {
            let _ = writeln!(text, "refresh_at = {:.2}", 0.1 + 0.85 * self.unit());
        }
        if self.chance(0.3) {
            let wrong = self.one_of(&["password", "realm"]);
            let _ = writeln!(text, "[[trunk.mix]]\nshare = {:.2}\nwrong = \"{wrong}\"", 0.05 + 0.9 * self.unit());
        }
        text
    }

    /// Stages, the first with arrivals, the last a hold: half a minute to some minutes.
    fn load(&mut self) -> String {
        let mut text = String::new();
        let mut rate = 0;
        for n in 0..self.between(1, 4) {
            let kind = if n == 0 { self.between(0, 2) } else { self.between(0, 4) };
            let lasts = self.between(3, 40);
            let _ = match kind {
                0 => writeln!(text, "[[load]]\navalanche = {:.2}", 0.05 + 0.95 * self.unit()),
                1 | 2 => {
                    let to = rate + self.between(1, 30);
                    rate = to;
                    let key = if kind == 1 { "ramp" } else { "rate" };
                    writeln!(text, "[[load]]\n{key} = {to}\nfor = \"{lasts}s\"")
                }
                3 => {
                    rate = 0;
                    writeln!(text, "[[load]]\nhold = \"{lasts}s\"")
                }
                _ => {
                    rate = 0;
                    writeln!(text, "[[load]]\noutage = {:.2}\nfor = \"{lasts}s\"", 0.05 + 0.95 * self.unit())
                }
            };
        }
        let _ = writeln!(text, "[[load]]\nhold = \"{}s\"", self.between(5, 60));
        text
    }

    /// A fault, and whether removals pass it for certain.
    fn fault(&mut self) -> (String, bool) {
        let some = self.between(1, 30);
        let mut window = self.chance(0.3);
        let (fault, harmless) = match self.between(0, 14) {
            0 => (format!("kind = \"limit\"\nconcurrent = {some}"), true),
            1 => (format!("kind = \"rate\"\nper_second = {some}\nretry_after = \"{}s\"", self.between(1, 20)), true),
            2 => ("kind = \"deny\"\nsources = [\"127.0.0.2\"]".to_owned(), false),
            3 => ("kind = \"refuse\"\ncode = 503".to_owned(), false),
            4 => ("kind = \"realm\"\nchallenge = \"genesyscloud.test\"\nverify = \"other.test\"".to_owned(), false),
            5 => ("kind = \"stale\"".to_owned(), false),
            6 => ("kind = \"challenge-again\"".to_owned(), false),
            7 => ("kind = \"oscillate\"\nperiod = \"10s\"".to_owned(), false),
            8 => ("kind = \"delay\"\nuniform = [\"1ms\", \"900ms\"]".to_owned(), false),
            9 => (format!("kind = \"drop\"\nprobability = {:.2}", 0.4 * self.unit()), false),
            10 => (format!("kind = \"duplicate\"\nprobability = {:.2}", self.unit()), false),
            11 => (format!("kind = \"reorder\"\nprobability = {:.2}\ndelay = \"400ms\"", self.unit()), false),
            12 => (format!("kind = \"corrupt\"\nprobability = {:.2}", self.unit()), false),
            13 => (format!("kind = \"transactions\"\nconcurrent = {some}"), false),
            _ => {
                // Without an end nothing would ever be answered.
                window = true;
                ("kind = \"freeze\"".to_owned(), false)
            }
        };
        let mut text = format!("[[registrar.fault]]\n{fault}\n");
        if self.chance(0.5) {
            let _ = writeln!(text, "share = {:.2}", 0.05 + 0.9 * self.unit());
        }
        if window {
            let from = self.between(0, 30);
            let _ = writeln!(text, "from = \"{from}s\"\nuntil = \"{}s\"", from + self.between(1, 30));
        }
        (text, harmless)
    }
}
