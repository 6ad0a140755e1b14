//! A capture that is taken of traffic as it happens, held against what the two ends say of it.

use super::support::clock;
use super::support::kamailio::free_port;
use super::support::program::{Regstorm, profile};
use super::support::results::{ResultDir, STATUSES};
use super::{loops, statuses};
use regstorm::diagnose::findings;
use regstorm::observe::{Observation, of_capture};
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const READY: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_run_and_its_capture_tell_the_same() {
    let _turn = clock::alone();
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let registrar = Registrar::start(dir.path(), 30);
    let capture = Capture::start(dir.path(), registrar.address);
    let text = format!(
        "[run]\nname = \"taken\"\ninterval = \"1s\"\ndrain = \"2s\"\n[[trunk]]\nid = \"lab\"\nregistrar = \"sip:{}\"\n\
         domain = \"genesyscloud.test\"\nagents = {{ count = 50, user = \"agent{{n:05}}\", password = \"secret\" }}\n\
         retry = {{ preset = \"hammer\", interval = \"300ms\" }}\n[[load]]\nrate = 50\nfor = \"1s\"\n[[load]]\nhold = \"2s\"\n",
        registrar.address
    );
    let profile = profile(dir.path(), &text);
    // Its verdict is about this machine, and not asked for.
    Regstorm::run(dir.path(), &["run", profile, "--out", "run", "--live", "off"], LIMIT);
    let observed = capture.stop();

    let run = ResultDir::open(&dir.path().join("run"));
    let told: Vec<_> = STATUSES.iter().map(|&status| (status, run.total(status))).filter(|(_, n)| *n > 0).collect();
    assert!(run.total("authentication_failed") > 40, "{told:?}");
    assert_eq!(statuses(&observed.results), told);
    let totals = &observed.results.totals;
    assert_eq!(totals.sums.register_requests, run.total("register_requests"));
    assert_eq!(totals.agents_looping, run.total("agents_looping"));
    assert_eq!(loops(&observed.results).len(), run.table("loops.csv").rows.len());
    assert_eq!(observed.results.header.trunks[0].target, registrar.address.to_string());
    assert_eq!(observed.remarks, [""; 0]);

    // The same is found in both, but for what concerns the generator: a capture has none.
    let record = File::open(dir.path().join("run/record.bin")).expect("the run's record");
    let own = regstorm::record::read(record).expect("a whole record");
    let ids = |results| {
        let found = findings(results).into_iter().filter(|one| one.id != "generator.saturated");
        found.map(|one| (one.id, one.severity)).collect::<Vec<_>>()
    };
    assert_eq!(ids(&observed.results), ids(&own));
    assert_eq!(ids(&own)[0].0, "limit.concurrent");
}

#[test]
fn sipp_and_the_capture_of_it_tell_the_same() {
    let _turn = clock::alone();
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let registrar = Registrar::start(dir.path(), 60);
    let capture = Capture::start(dir.path(), registrar.address);
    sipp(dir.path(), registrar.address, 100);
    let observed = capture.stop();
    assert_eq!(statuses(&observed.results), [("registered", 60), ("authentication_failed", 40)]);
    assert_eq!(observed.results.header.users.len(), 100);
}

/// The embedded registrar as a process, with room for `limit` registrations.
struct Registrar {
    /// Ended with the test.
    _process: Regstorm,
    address: SocketAddr,
}

impl Registrar {
    fn start(dir: &Path, limit: u32) -> Registrar {
        let faults = format!("[[registrar.fault]]\nkind = \"limit\"\nconcurrent = {limit}\n");
        std::fs::write(dir.join("registrar.toml"), faults).expect("our own directory");
        let args =
            ["registrar", "registrar.toml", "--listen", "udp://127.0.0.1:0", "--set", "registrar.algorithms=[\"MD5\"]"];
        let mut process = Regstorm::start(dir, &args);
        let address = clock::until("the registrar to listen", READY, || {
            assert!(process.is_running(), "it ended: {}", process.stderr_so_far());
            let said = process.stdout_so_far();
            said.lines().find_map(|line| line.strip_prefix("listening udp://")?.parse().ok())
        });
        Registrar { _process: process, address }
    }
}

/// A capture of everything from and to one port.
struct Capture {
    child: Child,
    file: PathBuf,
}

impl Capture {
    fn start(dir: &Path, of: SocketAddr) -> Capture {
        let (file, log) = (dir.join("taken.pcapng"), dir.join("tshark.log"));
        let stderr = File::create(&log).expect("our own directory");
        let child = Command::new("tshark")
            .args(["-i", "lo", "-B", "16", "-f", &format!("udp port {}", of.port()), "-w"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("tshark is installed (tests/all does it)");
        let capture = Capture { child, file };
        // The file gets its header when the interface is open.
        clock::until("tshark to capture", READY, || {
            let begun = std::fs::metadata(&capture.file).is_ok_and(|file| file.len() > 0);
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            (begun && said.contains("Capturing on")).then_some(())
        });
        capture
    }

    /// Ends it once nothing more is written, and reads it.
    fn stop(mut self) -> Observation {
        let size = || std::fs::metadata(&self.file).map_or(0, |file| file.len());
        clock::settled("the capture to be written", Duration::from_secs(2), LIMIT, size);
        let told = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(told.expect("kill is in every system").success());
        clock::until("tshark to end", READY, || self.child.try_wait().expect("our own child"));
        of_capture(File::open(&self.file).expect("a capture"), "taken.pcapng").expect("registrations")
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Both fail harmlessly on a process that has ended and was waited for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Registers users with SIPp, once each.
fn sipp(dir: &Path, registrar: SocketAddr, users: u32) {
    let user = |n: u32| format!("agent{n:05};[authentication username=agent{n:05} password=secret]\n");
    let csv = (0..users).map(user).fold("SEQUENTIAL\n".to_owned(), |csv, line| csv + &line);
    std::fs::write(dir.join("users.csv"), csv).expect("our own directory");
    let [port, control, media] = [0; 3].map(|_| free_port().to_string());
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sipp/register.xml");
    let ended = Command::new("sipp")
        .current_dir(dir)
        .arg(registrar.to_string())
        .args([
            "-sf",
            scenario,
            "-inf",
            "users.csv",
            "-m",
            &users.to_string(),
            "-r",
            "100",
            "-i",
            "127.0.0.1",
            "-p",
            &port,
        ])
        .args(["-ci", "127.0.0.1", "-cp", &control, "-mi", "127.0.0.1", "-mp", &media, "-nostdin"])
        .args(["-timeout", &LIMIT.as_secs().to_string(), "-timeout_error"])
        .stdin(Stdio::null())
        .output()
        .expect("sipp is installed (tests/all does it)");
    // Some were to be refused, which it calls a failure: 1.
    assert_eq!(ended.status.code(), Some(1), "{}", String::from_utf8_lossy(&ended.stderr));
}
