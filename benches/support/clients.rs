//! Whole client processes for the benches that compare them: each is run to its end against a
//! server on loopback, and what it cost is the CPU time, user and system, of all its threads from
//! start to exit.

use registrar::{REGSTORM, Registrar};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

#[path = "registrar.rs"]
mod registrar;

/// The user of agent `n`, as regstorm writes it; the password of all is [`PASSWORD`].
pub const USER: &str = "agent{n:06}";
pub const PASSWORD: &str = "secret";
pub const DOMAIN: &str = "genesyscloud.test";
const SCENARIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sipp/register.xml");

/// Challenged registrations, one for each of `count` agents.
#[derive(Clone, Copy)]
pub struct Load {
    pub count: u32,
    /// Arrivals per second.
    pub rate: u32,
    /// Lines added to regstorm's `[run]` and to its trunk.
    pub run: &'static str,
    pub trunk: &'static str,
}

impl Load {
    pub fn new(count: u32, rate: u32) -> Self {
        Load { count, rate, run: "", trunk: "" }
    }

    /// One sender thread, as SIPp has.
    pub fn one_thread(self) -> Self {
        Load { run: "workers = 1\n", ..self }
    }
}

/// Runs `client` against a `regstorm registrar` of its own that challenges with MD5; hands it
/// `host:port`.
pub fn with_registrar<T>(threads: u32, client: impl FnOnce(&str) -> T) -> T {
    client(&Registrar::start(threads).address)
}

/// CPU seconds of all children that have ended.
pub fn spent() -> f64 {
    let usage = regstorm::net::usage::children();
    usage.user_s + usage.system_s
}

/// Microseconds of CPU per registration. Everybody must be registered, or this panics; the schedule
/// is not judged.
pub fn regstorm(dir: &Path, address: &str, load: &Load) -> f64 {
    let lenient = "late = \"1s\"\nstall = \"1s\"\ninvalid_late = 1.0\n";
    let (cost, run) = run(dir, address, load, lenient);
    assert_eq!(run["totals"]["registered"], run["generator"]["arrivals"], "not everybody was registered");
    cost
}

/// As [`regstorm`], judged as any run is; `run.json` beside the cost.
pub fn judged(dir: &Path, address: &str, load: &Load) -> (f64, serde_json::Value) {
    run(dir, address, load, "")
}

fn run(dir: &Path, address: &str, load: &Load, generator: &str) -> (f64, serde_json::Value) {
    let Load { count, rate, run, trunk } = *load;
    let profile = dir.join("client.toml");
    let text = format!(
        "[run]\nname = \"client\"\ninterval = \"10s\"\nunregister = false\n{run}\n[safety]\nmax_message_rate = 1000000\n\n\
         [[trunk]]\nid = \"t\"\nregistrar = \"sip:{address}\"\ndomain = \"{DOMAIN}\"\n\
         agents = {{ count = {count}, user = \"{USER}\", password = \"{PASSWORD}\" }}\n{trunk}\n\
         [[load]]\nrate = {rate}\nfor = \"{}ms\"\n\n[arrivals]\nmax_in_flight = 1000000\n\n\
         [thresholds]\nsuccess_ratio = \"== 1\"\n\n[generator]\n{generator}",
        u64::from(count) * 1000 / u64::from(rate),
    );
    std::fs::write(&profile, text).expect("our own directory");
    let out = dir.join("out");
    let mut command = Command::new(REGSTORM);
    command.arg("run").arg(&profile).arg("--out").arg(&out).args(["--live", "off"]);
    let (cost, _) = cost_and_status(command, count);
    let text = std::fs::read(out.join("run.json")).expect("a run's results");
    std::fs::remove_dir_all(&out).expect("our own directory");
    (cost, serde_json::from_slice(&text).expect("JSON"))
}

/// Microseconds of CPU per registration; needs `sipp` (Debian: sip-tester).
pub fn sipp(dir: &Path, address: &str, load: &Load) -> f64 {
    let Load { count, rate, .. } = *load;
    let users = dir.join("users.csv");
    let mut text = "SEQUENTIAL\n".to_owned();
    for n in 0..count {
        let user = format!("agent{n:06}");
        writeln!(text, "{user};[authentication username={user} password={PASSWORD}]").expect("a string");
    }
    std::fs::write(&users, text).expect("our own directory");
    let (host, _) = address.rsplit_once(':').expect("host and port");
    let mut command = Command::new("sipp");
    command
        .arg(address)
        .args(["-sf", SCENARIO, "-inf"])
        .arg(&users)
        .args(["-i", host, "-m", &count.to_string(), "-r", &rate.to_string(), "-l", "100000"])
        .args(["-nostdin", "-timeout", "120", "-timeout_error"])
        .current_dir(dir);
    cost_of(command, count)
}

/// Runs a client, which must succeed, and returns its CPU time per registration, microseconds.
pub fn cost_of(command: Command, count: u32) -> f64 {
    let name = command.get_program().display().to_string();
    let (cost, status) = cost_and_status(command, count);
    assert!(status.success(), "{name} did not register everybody: {status}");
    cost
}

fn cost_and_status(mut command: Command, count: u32) -> (f64, ExitStatus) {
    let before = spent();
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null()).spawn();
    let mut child = child.unwrap_or_else(|error| {
        panic!("{}: {error} (Debian: apt-get install sip-tester)", command.get_program().display())
    });
    let status = child.wait().expect("our own child");
    ((spent() - before) * 1e6 / f64::from(count), status)
}

/// Several measurements of one thing.
pub struct Spread(Vec<f64>);

impl Spread {
    pub fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Spread(values)
    }

    pub fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (least, most) = (self.0[0], self.0[self.0.len() - 1]);
        write!(f, "median {:.3}, from {least:.3} to {most:.3}", self.median())
    }
}
