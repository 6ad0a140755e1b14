//! User-space instructions per challenged registration, sockets and threads apart: a fleet of one
//! worker, answered by prepared replies as Kamailio writes them, counted by callgrind. First
//! registrations, so each computes its HA1 too.
//!
//! The same program on the same machine gives the same number (but for a hash table's random key),
//! however busy the machine is, so a regression of a tenth can fail the gate:
//!
//! ```text
//! cargo bench --bench instructions                          what a registration costs, by room
//! cargo bench --bench instructions -- --check               fails beyond 110 % of benches/instructions/baseline
//! cargo bench --bench instructions -- --save FILE           writes what it prints to FILE too
//! ```
//!
//! The bench runs itself under valgrind for N and for 2N registrations of a fleet made for 2N; the
//! difference is N registrations and nothing else. Agents arrive at 6 000/s, sixty-four a turn; at
//! that rate the flight recorder watches a twelfth of the attempts.

#[path = "../support/answers.rs"]
mod answers;
mod callgrind;
#[path = "../support/kept.rs"]
mod kept;
#[path = "../support/mod.rs"]
mod support;

use answers::{challenge, grant};
use callgrind::{Bill, Profile, ROOMS};
use kept::Kept;
use regstorm::fleet::{Fleet, Ways};
use regstorm::sip::Algorithm;
use regstorm::vocab::{FlowId, Time};
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use support::{START, peer};

const ALGORITHMS: [Algorithm; 2] = [Algorithm::Md5, Algorithm::Sha256];

/// Registrations that are counted.
const COUNTED: u32 = 1024;

/// With `--test`.
const COUNTED_IN_TEST: u32 = 64;

/// Agents that arrive in one turn, 10.7 ms at [`RATE`].
const BATCH: u32 = 64;

const RATE: f64 = 6_000.0;

/// What the gate allows, as a share of the baseline.
const ALLOWED: f64 = 1.10;

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions/baseline");

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["--register", algorithm, registrations, agents] => register(algorithm, registrations, agents),
        [] => report(COUNTED).map(|_| ()),
        ["--test"] => report(COUNTED_IN_TEST).map(|_| ()),
        ["--check"] => check(),
        ["--save", file] => report(COUNTED)
            .and_then(|report| std::fs::write(file, report.text).map_err(|error| format!("{file}: {error}"))),
        _ => Err("usage: instructions [--test | --check | --save FILE]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What was counted: instructions per registration in the order of [`ALGORITHMS`], and as text.
struct Report {
    totals: Vec<f64>,
    text: String,
}

/// Counts, prints and returns the costs of a registration.
fn report(registrations: u32) -> Result<Report, String> {
    let valgrind = Command::new("valgrind").arg("--version").stderr(Stdio::null()).output();
    let valgrind = valgrind.map_err(|error| format!("valgrind: {error} (Debian, Ubuntu: apt-get install valgrind)"))?;
    let mut text = format!("{:<16}", "instructions");
    let mut bills = Vec::new();
    for algorithm in ALGORITHMS {
        _ = write!(text, "{:>10}", algorithm.as_str());
        bills.push(bill(algorithm, registrations)?);
    }
    let totals: Vec<f64> = bills.iter().map(|bill| bill.iter().sum()).collect();
    let mut line = |name: &str, of: &dyn Fn(usize) -> f64| {
        _ = write!(text, "\n{name:<16}");
        (0..ALGORITHMS.len()).for_each(|n| _ = write!(text, "{:>10.0}", of(n)));
    };
    line("total", &|n| totals[n]);
    for (at, room) in ROOMS.into_iter().enumerate() {
        line(room, &|n| bills[n][at]);
    }
    _ = writeln!(
        text,
        "\nper challenged first registration, {registrations} counted; {}",
        String::from_utf8_lossy(&valgrind.stdout).trim()
    );
    print!("{text}");
    Ok(Report { totals, text })
}

/// Holds what is counted against the baseline.
fn check() -> Result<(), String> {
    let text = std::fs::read_to_string(BASELINE).map_err(|error| format!("{BASELINE}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("total")).unwrap_or_default();
    let allowed: Vec<f64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let report = report(COUNTED)?;
    if allowed.len() != report.totals.len() {
        return Err(format!("{BASELINE}: no line `total` with {} numbers", report.totals.len()));
    }
    for ((algorithm, baseline), total) in ALGORITHMS.into_iter().zip(allowed).zip(report.totals) {
        let change = 100.0 * (total / baseline - 1.0);
        println!("{}: {change:+.1} % beside the baseline", algorithm.as_str());
        if total > baseline * ALLOWED {
            return Err(format!(
                "{} costs {total:.0} instructions, {change:.1} % above the baseline of {baseline:.0}; find what costs \
                 more in the table above, or if it is worth that, save a new baseline: \
                 cargo bench --bench instructions -- --save benches/instructions/baseline",
                algorithm.as_str()
            ));
        }
    }
    Ok(())
}

/// Instructions of one registration by room.
fn bill(algorithm: Algorithm, registrations: u32) -> Result<Bill, String> {
    let agents = 2 * registrations;
    let profile = count(algorithm, agents, agents)?.beyond(&count(algorithm, registrations, agents)?);
    let bill = profile.bill().map(|cost| cost / f64::from(registrations));
    let total = profile.total() / f64::from(registrations);
    assert!((bill.iter().sum::<f64>() - total).abs() < 1.0, "the bill {bill:?} does not add up to {total}");
    Ok(bill)
}

/// Runs this program under callgrind.
fn count(algorithm: Algorithm, registrations: u32, agents: u32) -> Result<Profile, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let out = folder.path().join("callgrind.out");
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--demangle=no"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(["--register", algorithm.as_str(), &registrations.to_string(), &agents.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    if !run.status.success() {
        return Err(format!("valgrind: {}\n{}", run.status, String::from_utf8_lossy(&run.stderr)));
    }
    read(&out)
}

fn read(out: &Path) -> Result<Profile, String> {
    let text = std::fs::read_to_string(out).map_err(|error| format!("{}: {error}", out.display()))?;
    Profile::read(&text)
}

/// The program that callgrind watches: makes a fleet of `agents` and its answers, and registers the
/// first of them.
fn register(algorithm: &str, registrations: &str, agents: &str) -> Result<(), String> {
    let algorithm = Algorithm::parse(algorithm.as_bytes()).ok_or("an algorithm")?;
    let number = |text: &str| text.parse::<u32>().map_err(|error| format!("{text}: {error}"));
    let (registrations, agents) = (number(registrations)?, number(agents)?);
    let mut model = support::fleet(agents, algorithm, RATE);
    let batches: Vec<Batch> = (0..agents / BATCH).map(|n| Batch::make(n, &mut model, algorithm)).collect();
    let mut fleet = support::fleet(agents, algorithm, RATE);
    let mut wire = Wire { buffer: [0; 2048], sent: 0 };
    for batch in &batches[..(registrations / BATCH) as usize] {
        batch.drive(&mut fleet, &mut wire);
    }
    let (registered, sent) = (fleet.tally().registered(), wire.sent);
    // Taking it apart would cost more the more of its agents have registered.
    std::mem::forget(fleet);
    let as_planned = registered == u64::from(registrations) && sent == 2 * registered;
    as_planned.then_some(()).ok_or(format!("{registered} of {registrations} registered with {sent} messages"))
}

/// The answers to the agents of one turn.
struct Batch {
    at: Time,
    challenges: Vec<Vec<u8>>,
    grants: Vec<Vec<u8>>,
}

impl Batch {
    fn make(n: u32, model: &mut Fleet, algorithm: Algorithm) -> Batch {
        let at = START + Duration::from_secs_f64(f64::from(BATCH * (n + 1)) / RATE - 0.5 / RATE);
        let mut out = Kept(Vec::new());
        while model.turn(at, &mut out) {}
        let challenges: Vec<_> = out.0.iter().map(|request| challenge(request, algorithm)).collect();
        let mut out = Kept(Vec::new());
        receive(model, at + Duration::from_millis(1), &challenges, &mut out);
        Batch { at, challenges, grants: out.0.iter().map(|request| grant(request)).collect() }
    }

    fn drive(&self, fleet: &mut Fleet, out: &mut Wire) {
        while fleet.turn(self.at, out) {}
        receive(fleet, self.at + Duration::from_millis(1), &self.challenges, out);
        receive(fleet, self.at + Duration::from_millis(2), &self.grants, out);
    }
}

fn receive(fleet: &mut Fleet, at: Time, answers: &[Vec<u8>], out: &mut impl Ways) {
    for answer in answers {
        fleet.driver().receive(at, at, FlowId(0), peer(), answer, out);
    }
}

/// Counts what is sent.
struct Wire {
    buffer: [u8; 2048],
    sent: u64,
}

impl Ways for Wire {
    fn put(&mut self, _flow: FlowId, _tag: u64, write: impl FnOnce(&mut [u8]) -> usize) {
        self.sent += u64::from(write(&mut self.buffer) > 0);
    }
}
