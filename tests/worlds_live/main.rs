//! The same kind of worlds in real time: the program itself, real sockets, and a machine that has
//! something else to do. What it says of each is held against what is true of it.
//!
//! All of them live at once, beside two threads that do nothing but take the machine's time. So a
//! generator may be late here, and then says so; what it must never do is tell a wrong cause with
//! confidence.
//!
//! `WORLD=text` lives through the worlds whose name contains it.

#[path = "../worlds/matrix.rs"]
#[allow(dead_code, reason = "the suite in virtual time asks for more of it")]
mod matrix;
#[path = "../support/near.rs"]
mod near;
#[path = "../support/side/mod.rs"]
#[allow(dead_code, reason = "the suite in virtual time asks for more of it")]
mod side;
#[path = "../support/mod.rs"]
mod support;
#[path = "../worlds/truth.rs"]
#[allow(dead_code, reason = "a model tells beside a simulated run only")]
mod truth;
#[path = "../worlds/world.rs"]
#[allow(dead_code, reason = "the suite in virtual time asks for more of it")]
mod world;

use matrix::Matrix;
use near::Near;
use regstorm::diagnose::{Finding, findings};
use regstorm::record::read;
use regstorm::vocab::Confidence;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::program::{Regstorm, profile};
use support::results::ResultDir;
use world::{Table, World};

/// A minute of load, the drain, and a machine that is slow to give it all its turn.
const LIMIT: Duration = Duration::from_secs(400);

/// How a world ended.
struct Lived {
    name: String,
    found: Vec<Finding>,
    generator: String,
    /// The registrar itself had to wait for the machine.
    stood_still: bool,
}

impl Lived {
    /// Whether a finding is true of this machine, and has nothing to do with the registrar: a
    /// generator that was late says so, and a registrar that waited for its turn was slow.
    fn owes(&self, world: &World, finding: &Finding) -> bool {
        let late = self.generator != "valid" && finding.id == "generator.saturated";
        late || (self.stood_still && finding.id == "slow" && !world.expect.contains("slow"))
    }
}

fn table() -> Table {
    toml::from_str(include_str!("worlds.toml")).expect("the table of worlds")
}

/// Two hundred phones of fifty users.
fn four_a_user() -> String {
    let rows = (0..200).map(|n| format!("agent{:05},secret\n", n % 50));
    "user,password\n".to_owned() + &rows.collect::<String>()
}

fn live(world: &World, table: &Table) -> Lived {
    let agents = world.agents[0];
    let registrar = Near::start(world.side(agents));
    let text = world.profile(table, agents).replace("{registrar}", &registrar.address.to_string());
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    std::fs::write(dir.path().join("four-a-user.csv"), four_a_user()).expect("the test's own directory");
    let args = ["run", profile(dir.path(), &text), "--out", "out", "--live", "off"];
    let finished = Regstorm::run(dir.path(), &args, LIMIT);
    let code = finished.status.code().expect("it ended by itself");
    assert!([0, 1, 3].contains(&code), "{}: {code}\n{}", world.name, String::from_utf8_lossy(&finished.stderr));
    let out = ResultDir::open(&dir.path().join("out"));
    out.expect_balanced();
    let generator = out.text("/generator/verdict").to_owned();
    let stood_still = registrar.stood_still.load(Ordering::Relaxed) > 0;
    Lived { name: world.name.clone(), found: found(dir.path()), generator, stood_still }
}

fn found(dir: &Path) -> Vec<Finding> {
    let record = File::open(dir.join("out/record.bin")).expect("a run leaves its record");
    findings(&read(BufReader::new(record)).expect("a whole record"))
}

/// Takes a core's time until it is told to stop.
fn spin(ends: &AtomicBool) {
    let mut turns: u64 = 0;
    while !ends.load(Ordering::Relaxed) {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

#[test]
fn what_is_said_in_real_time_beside_a_busy_machine_is_true() {
    let table = table();
    let only = std::env::var("WORLD").unwrap_or_default();
    let worlds: Vec<&World> = table.world.iter().filter(|world| world.name.contains(&only)).collect();
    let ends = AtomicBool::new(false);
    let lived: Vec<Lived> = std::thread::scope(|scope| {
        let spinning = [scope.spawn(|| spin(&ends)), scope.spawn(|| spin(&ends))];
        let running: Vec<_> = worlds.iter().map(|world| scope.spawn(|| live(world, &table))).collect();
        let lived = running.into_iter().map(|thread| thread.join()).collect::<Vec<_>>();
        ends.store(true, Ordering::Relaxed);
        spinning.into_iter().for_each(|thread| thread.join().expect("it only counts"));
        lived.into_iter().map(|world| world.expect("a world that was lived through")).collect()
    });
    let mut matrix = Matrix::default();
    for (world, lived) in worlds.iter().zip(&lived) {
        matrix.worlds += 1;
        let found: Vec<Finding> = lived.found.iter().filter(|finding| !lived.owes(world, finding)).cloned().collect();
        matrix.judge(world, &format!("{} [generator {}]", lived.name, lived.generator), &found);
        let capped = found.iter().all(|finding| finding.confidence <= Confidence::Low);
        assert!(lived.generator != "invalid" || capped, "{}: an invalid generator is sure of nothing", lived.name);
    }
    let text = format!("\n{}\n{}\n", matrix.text(), matrix.complaints);
    std::io::stdout().write_all(text.as_bytes()).expect("standard output");
    assert!(matrix.taken_for.is_empty(), "{:#?}\n{}", matrix.taken_for, matrix.complaints);
    assert_eq!(matrix.alarms, 0, "{}", matrix.complaints);
    for confidence in ["high", "medium"] {
        let right = Matrix::share(matrix.by_confidence.get(confidence));
        assert!((right - 1.0).abs() < f64::EPSILON, "told wrongly with {confidence}\n{}", matrix.complaints);
    }
    assert_eq!(matrix.found, matrix.expected, "what is true is found\n{}", matrix.complaints);
}
