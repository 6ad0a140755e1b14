//! Two minutes of a soak, and one over TLS: lifetimes so short that two minutes hold as many
//! refreshes as a day does at an hour's lifetime. Memory stays where it is, the record grows by
//! what it must, every attempt is accounted for. An hour of the same is kept in
//! `results/recorded/soak-hour`.

mod support;

use std::fs;
use std::ops::RangeInclusive;
use std::time::Duration;
use support::clock;
use support::program::{Regstorm, profile};
use support::results::{ResultDir, number};

const AGENTS: u64 = 1_000;
const PROFILE: &str = "\
[run]
name = \"soak\"
seed = 7
interval = \"5s\"

[[trunk]]
id = \"lab\"
registrar = \"embedded\"
domain = \"a.test\"
expires = \"5s\"
refresh_at = 0.6
agents = { count = 1000, user = \"agent{n:05}\", password = \"secret\" }

[[load]]
rate = 200
for = \"5s\"
";

/// What carries messages, how long the load is held, and how often each agent refreshes meanwhile:
/// after six tenths of 5 s, with jitter.
struct Soak {
    listen: &'static str,
    hold_s: u32,
    refreshes: RangeInclusive<u64>,
}

impl Soak {
    fn profile(&self) -> String {
        let Soak { listen, hold_s, .. } = self;
        format!(
            "{PROFILE}[[load]]\nhold = \"{hold_s}s\"\n\n\
             [registrar]\nnonce_lifetime = \"30s\"\nlisten = [\"{listen}\"]\n"
        )
    }
}

/// Resident memory of a process in KiB; `None` when it is gone.
fn resident_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[test]
fn two_minutes_of_refreshes_leak_nothing_and_lose_nothing() {
    soak(&Soak { listen: "udp://127.0.0.1:0", hold_s: 115, refreshes: 30..=46 });
}

/// Both ends of a thousand connections are in the one process.
#[test]
fn a_minute_of_refreshes_over_tls_leaks_nothing_and_loses_nothing() {
    soak(&Soak { listen: "tls://127.0.0.1:0", hold_s: 55, refreshes: 14..=22 });
}

fn soak(soak: &Soak) {
    let _turn = clock::alone();
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let text = soak.profile();
    let mut run = Regstorm::start(dir.path(), &["run", profile(dir.path(), &text), "--out", "out", "--live", "off"]);
    let (mut memory, mut written) = (Vec::new(), Vec::new());
    while run.is_running() {
        memory.extend(resident_kib(run.pid()));
        written.extend(fs::metadata(dir.path().join("out/record.bin")).map(|file| file.len()));
        clock::let_pass(Duration::from_millis(500));
    }
    run.wait(Duration::from_secs(60)).expect_code(0);

    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    let (attempts, refreshes) = (results.total("attempts"), results.total("refreshes"));
    assert_eq!((results.total("registered"), results.total("initial")), (attempts, AGENTS));
    assert_eq!(attempts, AGENTS + refreshes);
    assert!(soak.refreshes.contains(&(refreshes / AGENTS)), "{refreshes} refreshes");
    assert_eq!(results.total("agents_registered_at_end"), AGENTS);
    assert_eq!(results.number("/bindings_left/count"), 0.0);

    // Every agent is there from the fifth second on, and nonces have run out.
    let settled = &memory[memory.len() / 4..memory.len() * 9 / 10];
    let (early, late) = settled.split_at(settled.len() / 2);
    let middle = |part: &[u64]| {
        let mut part = part.to_vec();
        part.sort_unstable();
        part[part.len() / 2]
    };
    let growth = middle(late).saturating_sub(middle(early));
    assert!(growth <= MOST_GROWTH_KIB, "{growth} KiB more in the second half: {settled:?}");

    // Every agent changes in every interval, so the record grows as a line.
    let part = |from: usize, to: usize| written[written.len() * to / 100] - written[written.len() * from / 100];
    let (early, late) = (part(20, 55), part(55, 90));
    assert!(early > 0 && late <= early * 3 / 2 && early <= late * 3 / 2, "{early} bytes of record, then {late}");
    let intervals = results.table("availability.csv");
    assert!(intervals.rows.iter().skip(2).all(|row| number(&row["availability_pct"]) > 99.9));
}

/// Two pages of the kernel's for each of the allocator's arenas; a leak of a byte a refresh would
/// be as much within minutes.
const MOST_GROWTH_KIB: u64 = 256;
