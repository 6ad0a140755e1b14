//! What a registration costs as the work grows: `regstorm run` against `regstorm registrar` on
//! loopback, each a process of its own, the registrar started anew for every run. Numbers of agents
//! at one rate, then rates at one number of agents, each row up and down again, so that a machine
//! that changes meanwhile shows as spread; at last a million agents that register, are held and
//! refresh.
//!
//! ```text
//! cargo bench --bench scale                                  eight minutes of a quiet machine
//! cargo bench --bench scale -- --out results/benchmarks/scale-COMMIT
//! cargo bench --bench scale -- agents rates million          some of the three parts
//! ```
//!
//! Writes a table (`.md`) and a plot (`.svg`) of the name given with `--out`, else in cargo's
//! directory for such files. With `--test`, as the gate runs it, all parts are small.
//!
//! CPU is user and system time of the whole sending process, from reading the profile to the
//! written results, per attempt that registered; of its sender threads alone beside it. Agents
//! fewer than arrivals go round, each time with a new handshake. In the sweeps nobody refreshes.

mod plot;

use plot::Point;
use registrar::{REGSTORM, Registrar};
use regstorm::net::clock::Clock;
use regstorm::net::usage;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

#[path = "../support/registrar.rs"]
mod registrar;

/// How large the three parts are.
struct Size {
    agents: &'static [u32],
    /// Per second, while the agents are swept.
    rate: u32,
    /// Arrivals of a run at least.
    arrivals: u32,
    rates: &'static [u32],
    /// While the rates are swept.
    crew: u32,
    lasts: Duration,
    million: Million,
}

/// All register at one rate, then are held.
struct Million {
    agents: u32,
    rate: u32,
    expires: Duration,
    hold: Duration,
}

const WHOLE: Size = Size {
    agents: &[1_000, 10_000, 100_000, 1_000_000],
    rate: 10_000,
    arrivals: 150_000,
    rates: &[1_000, 2_500, 5_000, 10_000, 20_000],
    crew: 20_000,
    lasts: Duration::from_secs(10),
    // All have refreshed once when the hold ends: 95 % of a lifetime after the last registered.
    million: Million {
        agents: 1_000_000,
        rate: 25_000,
        expires: Duration::from_secs(75),
        hold: Duration::from_secs(75),
    },
};

const SMALL: Size = Size {
    agents: &[50, 200],
    rate: 200,
    arrivals: 100,
    rates: &[100, 200],
    crew: 100,
    lasts: Duration::from_millis(500),
    million: Million { agents: 300, rate: 300, expires: Duration::from_secs(3600), hold: Duration::from_millis(200) },
};

/// One run of the sender.
struct Run {
    agents: u32,
    rate: u32,
    lasts: Duration,
    expires: Duration,
    hold: Duration,
}

/// What it came to.
#[derive(Clone)]
struct Outcome {
    agents: u32,
    rate: u32,
    registered: u64,
    refreshes: u64,
    failed: u64,
    /// Agents registered at the end of the load.
    held: u64,
    /// Whole process and sender threads, microseconds per attempt that registered.
    process_us: f64,
    senders_us: f64,
    late_pct: f64,
    sender_mib: f64,
    registrar_mib: f64,
    verdict: String,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let small = arguments.iter().any(|argument| argument == "--test");
    let size = if small { SMALL } else { WHOLE };
    let asked = |part: &str| arguments.iter().any(|argument| argument == part);
    let all = !["agents", "rates", "million"].into_iter().any(asked);
    let out = arguments.iter().position(|argument| argument == "--out").and_then(|at| arguments.get(at + 1));
    let out = out.map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("scale"), PathBuf::from);

    let clock = Clock::new();
    let begun = clock.now();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut report = Report::new();
    if all || asked("agents") {
        report.agents(&sweep(dir.path(), size.agents, |&agents| size.with_agents(agents)));
    }
    if all || asked("rates") {
        report.rates(&sweep(dir.path(), size.rates, |&rate| size.with_rate(rate)));
    }
    if all || asked("million") {
        report.million(&size.million, &size.million.run().measured(dir.path()));
    }
    let _ = writeln!(report.text, "\n{} s in all.", clock.now().since(begun).as_secs());
    println!("\n{}", report.text);
    assert!(!small || report.failed == 0, "{} attempts failed", report.failed);
    write(&out, "md", &report.text);
    if !report.panels.is_empty() {
        write(&out, "svg", &plot::svg(&report.panels));
    }
}

fn write(out: &Path, suffix: &str, text: &str) {
    let path = PathBuf::from(format!("{}.{suffix}", out.display()));
    std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    println!("{}", path.display());
}

/// Measures each value going up, then all but the last coming down again.
fn sweep<V>(dir: &Path, values: &[V], run: impl Fn(&V) -> Run) -> Vec<Vec<Outcome>> {
    let mut outcomes: Vec<Vec<Outcome>> = values.iter().map(|_| Vec::new()).collect();
    let up = 0..values.len();
    for at in up.clone().chain(up.rev().skip(1)) {
        outcomes[at].push(run(&values[at]).measured(dir));
    }
    outcomes
}

impl Size {
    fn with_agents(&self, agents: u32) -> Run {
        let lasts = Duration::from_secs_f64(f64::from(agents.max(self.arrivals)) / f64::from(self.rate));
        Run { agents, rate: self.rate, lasts, expires: HOUR, hold: Duration::ZERO }
    }

    fn with_rate(&self, rate: u32) -> Run {
        Run { agents: self.crew, rate, lasts: self.lasts, expires: HOUR, hold: Duration::ZERO }
    }
}

impl Million {
    fn run(&self) -> Run {
        let lasts = Duration::from_secs_f64(f64::from(self.agents) / f64::from(self.rate));
        Run { agents: self.agents, rate: self.rate, lasts, expires: self.expires, hold: self.hold }
    }
}

/// Longer than any sweep lasts.
const HOUR: Duration = Duration::from_secs(3600);

impl Run {
    fn measured(&self, dir: &Path) -> Outcome {
        let registrar = Registrar::start(1);
        let (results, usage_s) = self.send(dir, &registrar.address);
        let outcome = Outcome { registrar_mib: peak_mib(registrar.process.id()), ..self.outcome(&results, usage_s) };
        eprintln!(
            "{:>9} agents, {:>6}/s: {:>6.1} us, {} failed, {:.2} % late",
            outcome.agents, outcome.rate, outcome.process_us, outcome.failed, outcome.late_pct
        );
        outcome
    }

    fn profile(&self, address: &str) -> String {
        let hold = match self.hold {
            Duration::ZERO => String::new(),
            hold => format!("[[load]]\nhold = \"{}ms\"\n", hold.as_millis()),
        };
        format!(
            "[run]\nname = \"scale\"\ninterval = \"10s\"\nseed = 7\nunregister = false\n\n\
             [safety]\nmax_message_rate = 1_000_000\n\n\
             [[trunk]]\nid = \"t\"\nregistrar = \"sip:{address}\"\ndomain = \"genesyscloud.test\"\nexpires = \"{}s\"\n\
             agents = {{ count = {}, user = \"agent{{n:07}}\", password = \"secret\" }}\n\n\
             [[load]]\nrate = {}\nfor = \"{}ms\"\n{hold}\n\
             [arrivals]\nwhen_exhausted = \"reregister\"\nmax_in_flight = 50_000\n",
            self.expires.as_secs(),
            self.agents,
            self.rate,
            self.lasts.as_millis(),
        )
    }

    /// Runs the sender; its `run.json` and the CPU time of its process, seconds. A verdict is data
    /// here, whatever it is.
    fn send(&self, dir: &Path, address: &str) -> (Value, f64) {
        let (profile, out) = (dir.join("scale.toml"), dir.join("out"));
        std::fs::write(&profile, self.profile(address)).expect("our own directory");
        let before = usage::children();
        let mut command = Command::new(REGSTORM);
        command.arg("run").arg(&profile).arg("--out").arg(&out).args(["--live", "off", "--json"]);
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().expect("our own program");
        let after = usage::children();
        std::fs::remove_dir_all(&out).expect("the run made it");
        let results = serde_json::from_slice(&output.stdout).expect("run --json prints run.json");
        (results, after.user_s + after.system_s - before.user_s - before.system_s)
    }

    fn outcome(&self, results: &Value, usage_s: f64) -> Outcome {
        let count = |name: &str| results["totals"][name].as_u64().expect("a total");
        let number = |part: &str, name: &str| results[part][name].as_f64().expect("a number");
        let registered = count("registered");
        let wall_s = results["duration_s"].as_f64().expect("a number") * number("conditions", "workers");
        let senders_s = number("generator", "cpu_pct") / 100.0 * wall_s;
        let each = |seconds: f64| seconds * 1e6 / registered.max(1) as f64;
        Outcome {
            agents: self.agents,
            rate: self.rate,
            registered,
            refreshes: count("refreshes"),
            failed: count("attempts") - registered,
            held: count("agents_registered_at_end"),
            process_us: each(usage_s),
            senders_us: each(senders_s),
            late_pct: number("generator", "arrivals_late_pct"),
            sender_mib: number("cpu", "max_rss_bytes") / MIB,
            registrar_mib: 0.0,
            verdict: results["generator"]["verdict"].as_str().unwrap_or("?").to_owned(),
        }
    }
}

const MIB: f64 = (1 << 20) as f64;

/// The largest resident set of a process that is still there.
fn peak_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("our own child");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says so");
    line.trim().trim_end_matches("kB").trim().parse::<f64>().expect("kibibytes") / 1024.0
}

/// Least, middle and most.
fn spread(outcomes: &[Outcome], of: impl Fn(&Outcome) -> f64) -> Point {
    let mut values: Vec<f64> = outcomes.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    Point { least: values[0], middle: f64::midpoint(low, high), most: values[values.len() - 1] }
}

/// The table in words and the plot's panels, as they grow.
struct Report {
    text: String,
    panels: Vec<plot::Panel>,
    failed: u64,
}

impl Report {
    fn new() -> Self {
        let host = usage::host();
        let text = format!(
            "# What a registration costs as the work grows\n\n\
             `cargo bench --bench scale`: {} {}, {} processors ({}), Linux {}. Microseconds of CPU per attempt that \
             registered (MD5, challenged): the middle of the runs, the least and the most.\n",
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            host.cpus,
            host.cpu_model,
            host.kernel,
        );
        Report { text, panels: Vec::new(), failed: 0 }
    }

    fn agents(&mut self, rows: &[Vec<Outcome>]) {
        self.table("Agents", ["agents", "per second"], rows, |outcome| [outcome.agents, outcome.rate]);
        if let [first, .., last] = rows {
            let ratio = |of: fn(&Outcome) -> f64| spread(last, of).middle / spread(first, of).middle;
            let _ = writeln!(
                self.text,
                "\nFrom {} to {} agents: the whole process × {:.2}, sender threads × {:.2}.",
                first[0].agents,
                last[0].agents,
                ratio(|outcome| outcome.process_us),
                ratio(|outcome| outcome.senders_us),
            );
        }
        self.panel("agents", rows, |outcome| outcome.agents);
    }

    fn rates(&mut self, rows: &[Vec<Outcome>]) {
        self.table("Rates", ["per second", "agents"], rows, |outcome| [outcome.rate, outcome.agents]);
        self.panel("registrations per second", rows, |outcome| outcome.rate);
    }

    fn table(&mut self, title: &str, of: [&str; 2], rows: &[Vec<Outcome>], by: impl Fn(&Outcome) -> [u32; 2]) {
        let [swept, fixed] = of;
        let _ = writeln!(
            self.text,
            "\n## {title}\n\n| {swept} | {fixed} | runs | whole process | sender threads | registered | failed | late | \
             sender | registrar | generator |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
        );
        for row in rows {
            let [swept, fixed] = by(&row[0]);
            let (process, senders) = (spread(row, |o| o.process_us), spread(row, |o| o.senders_us));
            let total = |of: fn(&Outcome) -> u64| row.iter().map(of).sum::<u64>();
            self.failed += total(|o| o.failed);
            let mut verdicts: Vec<&str> = row.iter().map(|outcome| outcome.verdict.as_str()).collect();
            verdicts.sort_unstable();
            verdicts.dedup();
            let _ = writeln!(
                self.text,
                "| {swept} | {fixed} | {} | {process} | {senders} | {} | {} | {:.2} % | {:.0} MiB | {:.0} MiB | {} |",
                row.len(),
                total(|o| o.registered),
                total(|o| o.failed),
                spread(row, |o| o.late_pct).most,
                spread(row, |o| o.sender_mib).most,
                spread(row, |o| o.registrar_mib).most,
                verdicts.join(", "),
            );
        }
    }

    fn panel(&mut self, axis: &'static str, rows: &[Vec<Outcome>], by: impl Fn(&Outcome) -> u32) {
        let points = |of: fn(&Outcome) -> f64| rows.iter().map(|row| (by(&row[0]), spread(row, of))).collect();
        let (process, senders) = (points(|outcome| outcome.process_us), points(|outcome| outcome.senders_us));
        self.panels.push(plot::Panel { axis, lines: [("whole process", process), ("sender threads", senders)] });
    }

    fn million(&mut self, size: &Million, outcome: &Outcome) {
        self.failed += outcome.failed;
        let Million { agents, rate, expires, hold } = *size;
        let _ = writeln!(
            self.text,
            "\n## Registered, held, refreshed\n\n\
             {agents} agents at {rate}/s, then held for {hold:?} with a lifetime of {expires:?}: {} registered at the end, {} \
             refreshes, {} attempts failed, {:.2} % late, generator {}. The sender took {:.0} MiB, the registrar {:.0} MiB; \
             an attempt (first ones challenged, refreshes not) took {:.1} µs of CPU.",
            outcome.held,
            outcome.refreshes,
            outcome.failed,
            outcome.late_pct,
            outcome.verdict,
            outcome.sender_mib,
            outcome.registrar_mib,
            outcome.process_us,
        );
    }
}
