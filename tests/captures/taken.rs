//! A capture that is taken of traffic as it happens, held against what the two ends say of it.

use super::support::capture::Capture;
use super::support::clock;
use super::support::kamailio::{Config, Kamailio, PASSWORD, REALM, Settings, free_port};
use super::support::program::{Regstorm, profile};
use super::support::results::{ResultDir, STATUSES};
use super::{loops, statuses};
use regstorm::diagnose::{Finding, findings};
use regstorm::observe::{Observation, of_capture, of_log};
use regstorm::record::Results;
use regstorm::record::eventlog::{self, Fields};
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const READY: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_run_and_its_capture_tell_the_same() {
    let _turn = clock::alone();
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let registrar = Registrar::start(dir.path(), 30);
    let capture = of_port(dir.path(), registrar.address);
    let text = format!(
        "[run]\nname = \"taken\"\ninterval = \"1s\"\ndrain = \"2s\"\n[[trunk]]\nid = \"lab\"\nregistrar = \"sip:{}\"\n\
         domain = \"genesyscloud.test\"\nagents = {{ count = 50, user = \"agent{{n:05}}\", password = \"secret\" }}\n\
         retry = {{ preset = \"hammer\", interval = \"300ms\" }}\n[[load]]\nrate = 50\nfor = \"1s\"\n[[load]]\nhold = \"2s\"\n",
        registrar.address
    );
    let profile = profile(dir.path(), &text);
    // Its verdict is about this machine, and not asked for.
    Regstorm::run(dir.path(), &["run", profile, "--out", "run", "--live", "off"], LIMIT);
    let observed = observed(capture, registrar.address);

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
    let capture = of_port(dir.path(), registrar.address);
    sipp(dir.path(), registrar.address, 100);
    let observed = observed(capture, registrar.address);
    assert_eq!(statuses(&observed.results), [("registered", 60), ("authentication_failed", 40)]);
    assert_eq!(observed.results.header.users.len(), 100);
}

/// A limit of Kamailio's: found by a run, in a capture of SIPp, and in an event log of that
/// traffic, in the same words.
#[test]
fn a_run_a_capture_and_a_log_give_the_same_finding() {
    let _turn = clock::alone();
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let limited = || Kamailio::start(Settings { config: Config::Limit(60), ..Settings::default() });
    let (for_the_run, for_sipp) = (limited(), limited());

    // As SIPp does: each agent once, at 100 a second, and nobody removes anything.
    let text = format!(
        "[run]\nname = \"live\"\nunregister = false\nworkers = 1\n[[trunk]]\nid = \"lab\"\nregistrar = \"sip:{}\"\n\
         domain = \"{REALM}\"\nagents = {{ count = 100, user = \"agent{{n:05}}\", password = \"{PASSWORD}\" }}\n\
         retry = {{ preset = \"none\" }}\n[[load]]\nrate = 100\nfor = \"1s\"\n",
        for_the_run.address()
    );
    Regstorm::run(dir.path(), &["run", profile(dir.path(), &text), "--out", "run", "--live", "off"], LIMIT);
    let record = File::open(dir.path().join("run/record.bin")).expect("the run's record");
    let live = regstorm::record::read(record).expect("a whole record");

    let capture = of_port(dir.path(), for_sipp.address());
    sipp(dir.path(), for_sipp.address(), 100);
    let file = capture.file().to_owned();
    let captured = observed(capture, for_sipp.address());
    let log = eventlog::read(event_log(&file).as_bytes(), &Fields::default()).expect("a log");
    let logged = of_log(log, "events.jsonl").expect("registrations");

    let found = |results: &Results| {
        let ours = findings(results).into_iter().filter(|one| one.id != "generator.saturated");
        // When it began differs by the tick in which each of them began.
        let words = |one: &Finding| one.summary.split(" from ").next().unwrap_or_default().to_owned();
        ours.map(|one| (words(&one), one.id, one.confidence, one.agents, one.attempts)).collect::<Vec<_>>()
    };
    assert_eq!(found(&live)[0].1, "limit.concurrent");
    assert!(found(&live)[0].0.starts_with("the trunk takes 60 registrations on top of"), "{:?}", found(&live));
    assert_eq!(found(&captured.results), found(&live));
    assert_eq!(found(&logged.results), found(&live));
}

/// A platform's log of the messages in a capture, as tshark reads them: one record for each.
fn event_log(capture: &Path) -> String {
    const FIELDS: [&str; 6] =
        ["frame.time_epoch", "sip.CSeq.method", "sip.Status-Code", "sip.Status-Line", "sip.from.addr", "sip.to.addr"];
    let mut tshark = Command::new("tshark");
    // Of whatever protocol tshark takes a port for that the kernel gave to a phone.
    tshark.arg("-r").arg(capture).args(["-d", "udp.port==1-65535,sip", "-T", "fields"]);
    tshark.args(["-E", "separator=|"]).args(FIELDS.iter().flat_map(|field| ["-e", field]));
    let said = tshark.output().expect("tshark is installed (tests/all does it)");
    let text = String::from_utf8(said.stdout).expect("text");
    let records = text.lines().map(|line| {
        let [time, method, code, status, from, to] = line.split('|').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let reason = status.splitn(3, ' ').nth(2).unwrap_or_default();
        let code = code.parse::<u16>().ok();
        serde_json::json!({
            "method": method, "sip_from": format!("<{from}>"), "sip_to": format!("<{to}>"), "response_code": code,
            "reason_phrase": reason, "timestamp": time.parse::<f64>().expect("seconds"),
        })
    });
    records.map(|record| format!("{record}\n")).collect()
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
fn of_port(dir: &Path, of: SocketAddr) -> Capture {
    Capture::start(dir, &format!("udp port {}", of.port()))
}

/// What a capture holds of everything that was sent to `of` before.
fn observed(capture: Capture, of: SocketAddr) -> Observation {
    of_capture(File::open(capture.stop(of)).expect("a capture"), "taken.pcapng").expect("registrations")
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
