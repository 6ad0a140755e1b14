//! CPU per challenged registration: regstorm beside SIPp, in turn (A B A B …), each against a fresh `regstorm registrar`
//! on loopback, user and system time of the whole client process from start to exit.
//!
//! ```text
//! cargo bench --bench vs_sipp                       five pairs, 15 000 registrations at 1 500/s each
//! cargo bench --bench vs_sipp -- 40000 4000 7       registrations, rate, pairs
//! ```
//!
//! Needs `sipp` (Debian: sip-tester). With `--test`, as the gate runs it, one small pair.

use processes::{REGSTORM, with_registrar};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

#[path = "support/processes.rs"]
mod processes;

const SCENARIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sipp/register.xml");

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<u32> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let small = arguments.iter().any(|argument| argument == "--test");
    let default = if small { [300, 300, 1] } else { [15_000, 1_500, 5] };
    let [count, rate, pairs] = [0, 1, 2].map(|n| numbers.get(n).copied().unwrap_or(default[n]));

    let dir = tempfile::tempdir().expect("a temporary directory");
    println!("{count} challenged registrations (MD5) at {rate}/s, CPU of the whole client process, microseconds each");
    println!("{:>5} {:>10} {:>10} {:>8}", "pair", "regstorm", "SIPp", "ratio");
    let mut ratios = Vec::new();
    for pair in 1..=pairs {
        let ours = with_registrar(|address, _| regstorm(dir.path(), address, count, rate));
        let theirs = with_registrar(|address, _| sipp(dir.path(), address, count, rate));
        ratios.push(ours / theirs);
        println!("{pair:>5} {ours:>10.1} {theirs:>10.1} {:>8.3}", ours / theirs);
    }
    ratios.sort_by(f64::total_cmp);
    let (least, middle, most) = (ratios[0], ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
    println!("ratio regstorm/SIPp: median {middle:.3}, from {least:.3} to {most:.3}");
}

fn regstorm(dir: &Path, address: &str, count: u32, rate: u32) -> f64 {
    let profile = dir.join("vs_sipp.toml");
    let text = format!(
        "[run]\nname = \"vs-sipp\"\ninterval = \"10s\"\nunregister = false\n\n[[trunk]]\nid = \"t\"\n\
         registrar = \"sip:{address}\"\ndomain = \"genesyscloud.test\"\n\
         agents = {{ count = {count}, user = \"agent{{n:05}}\", password = \"secret\" }}\n\n\
         [[load]]\nrate = {rate}\nfor = \"{}ms\"\n\n[thresholds]\nsuccess_ratio = \"== 1\"\n\n[generator]\nlate = \"1s\"\n",
        u64::from(count) * 1000 / u64::from(rate),
    );
    std::fs::write(&profile, text).expect("our own directory");
    let out = dir.join("out");
    let mut command = Command::new(REGSTORM);
    command.arg("run").arg(&profile).arg("--out").arg(&out).args(["--live", "off"]);
    let cost = measured(command, count);
    std::fs::remove_dir_all(&out).expect("our own directory");
    cost
}

fn sipp(dir: &Path, address: &str, count: u32, rate: u32) -> f64 {
    let users = dir.join("users.csv");
    let mut text = "SEQUENTIAL\n".to_owned();
    for n in 0..count {
        let user = format!("agent{n:05}");
        writeln!(text, "{user};[authentication username={user} password=secret]").expect("a string");
    }
    std::fs::write(&users, text).expect("our own directory");
    let (host, _) = address.rsplit_once(':').expect("host and port");
    let mut command = Command::new("sipp");
    command
        .arg(address)
        .args(["-sf", SCENARIO, "-inf"])
        .arg(&users)
        .args(["-i", host, "-m", &count.to_string(), "-r", &rate.to_string(), "-l", "20000"])
        .args(["-nostdin", "-timeout", "120", "-timeout_error"])
        .current_dir(dir);
    measured(command, count)
}

/// Runs a client and returns its CPU time per registration, microseconds.
fn measured(mut command: Command, count: u32) -> f64 {
    let before = regstorm::net::usage::children();
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null()).spawn();
    let mut child: Child = child.unwrap_or_else(|error| {
        panic!("{}: {error} (Debian: apt-get install sip-tester)", command.get_program().display())
    });
    let status: ExitStatus = child.wait().expect("our own child");
    assert!(status.success(), "{} did not register everybody: {status}", command.get_program().display());
    let after = regstorm::net::usage::children();
    (after.user_s + after.system_s - before.user_s - before.system_s) * 1e6 / f64::from(count)
}
