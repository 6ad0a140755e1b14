//! `failures.pcapng` as Wireshark's own dissectors and sngrep read it: whole handshakes, named in
//! comments, without the digests that would let a reader try passwords.

mod support;

use regstorm::agent::{Credential, IdentityBook, TrunkPolicy};
use regstorm::link::LinkConfig;
use regstorm::load::{LoadConfig, LoadStage, Process, WhenExhausted};
use regstorm::record::pcapng::{Name, PcapngWriter};
use regstorm::registrar::{Config, Delay, Fault, FaultKind};
use regstorm::seed::Seed;
use regstorm::sim::{START, SimOutcome, World, WorldConfig};
use regstorm::sip::{Algorithm, AlgorithmSet};
use regstorm::vocab::{FailedAttempt, RunTag, Secret, Transport, TrunkId};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::clock;
use support::program::{Regstorm, profile};
use support::results::ResultDir;

const LIMIT: Duration = Duration::from_secs(60);
const FILE: &str = "failures.pcapng";

/// A profile of 40 agents in 0.4 s; `trunk` is further lines of its section, `rest` further
/// sections.
fn text(trunk: &str, rest: &str) -> String {
    format!(
        "[run]\nname = \"packets\"\nseed = 7\ninterval = \"1s\"\ndrain = \"5s\"\nworkers = 2\n\n\
         [[trunk]]\nid = \"trunk_nj_01\"\nregistrar = \"embedded\"\ndomain = \"genesyscloud.test\"\n\
         agents = {{ count = 40, user = \"agent{{n:05}}\", password = \"secret\" }}\nretry = {{ preset = \"none\" }}\n{trunk}\n\n\
         [[load]]\nrate = 100\nfor = \"400ms\"\n\n{rest}\n"
    )
}

fn run(dir: &Path, trunk: &str, rest: &str, options: &[&str]) {
    let args = [&["run", profile(dir, &text(trunk, rest)), "--out", "out", "--live", "off"], options].concat();
    Regstorm::run(dir, &args, LIMIT);
}

const REFUSE: &str = "[[registrar.fault]]\nkind = \"refuse\"\ncode = 403\nreason = \"Authentication Failed\"";

/// One packet as tshark dissects it.
#[derive(Debug)]
struct Dissected {
    /// Nanoseconds since 1970.
    at: u64,
    comment: String,
    /// `REGISTER`, or a status code.
    message: String,
    call_id: String,
    response: String,
    nonce: String,
}

/// Reads a file with Wireshark's dissectors; a checksum, an IP, UDP or SIP header that is wrong
/// fails the test. Some ports that the kernel may give to a socket are another protocol's for
/// tshark, 41170 that of MANOLITO.
fn dissect(file: &Path) -> Vec<Dissected> {
    dissect_as(file, "udp")
}

/// The same of what went over `carrier`, `udp` or `tcp`.
fn dissect_as(file: &Path, carrier: &str) -> Vec<Dissected> {
    let as_sip = format!("{carrier}.port==1-65535,sip");
    let (checksum, checked) = (format!("{carrier}.checksum.status"), format!("{carrier}.check_checksum:TRUE"));
    let fields = [
        "frame.time_epoch",
        "frame.comment",
        "sip.Method",
        "sip.Status-Code",
        "sip.Call-ID",
        "sip.auth.digest.response",
        "sip.auth.nonce",
        &checksum,
    ];
    let mut tshark = Command::new("tshark");
    tshark.args(["-d", &as_sip, "-r"]).arg(file).args(["-o", &checked, "-o", "ip.check_checksum:TRUE"]);
    let text = output(tshark.args(["-T", "fields", "-E", "occurrence=f"]).args(fields.iter().flat_map(|f| ["-e", f])));
    let packets = text.lines().map(|line| {
        let [at, comment, method, status, call_id, response, nonce, checksum] =
            line.split('\t').collect::<Vec<_>>()[..]
        else {
            panic!("{line}");
        };
        assert_eq!(checksum, "1", "a checksum that is not good: {line}");
        Dissected {
            at: at.replace('.', "").parse().expect("seconds with nine decimals"),
            comment: comment.to_owned(),
            message: format!("{method}{status}"),
            call_id: call_id.to_owned(),
            response: response.trim_matches('"').to_owned(),
            nonce: nonce.trim_matches('"').to_owned(),
        }
    });
    let packets: Vec<Dissected> = packets.collect();
    let mut tshark = Command::new("tshark");
    tshark.args(["-d", &as_sip, "-r"]).arg(file).args(["-o", "ip.check_checksum:TRUE", "-Y"]);
    // 0x600000 is the severity of a warning; a comment is an entry, too, of a lower one.
    let faults = output(tshark.arg("!sip || _ws.malformed || _ws.expert.severity >= 0x600000"));
    assert_eq!(faults, "", "tshark finds fault");
    packets
}

fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("tshark is installed (tests/all does it)");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The messages of each attempt, by Call-ID: here every agent has one.
fn attempts(packets: &[Dissected]) -> BTreeMap<&str, Vec<&str>> {
    let mut attempts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for packet in packets {
        attempts.entry(&packet.call_id).or_default().push(&packet.message);
    }
    attempts
}

/// Digests in the file itself, wherever they stand.
fn digests(file: &Path) -> Vec<String> {
    let bytes = std::fs::read(file).expect("the file just written");
    let text = String::from_utf8_lossy(&bytes);
    let values = text.split("response=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or(rest).to_owned());
    values.collect()
}

#[track_caller]
fn expect_refusals(packets: &[Dissected]) {
    let attempts = attempts(packets);
    assert_eq!(attempts.len(), 20, "the first ten of either worker");
    for (call_id, messages) in attempts {
        assert_eq!(messages, ["REGISTER", "401", "REGISTER", "403"], "{call_id}");
    }
    for (n, packet) in packets.iter().enumerate() {
        let (whose, what) = packet.comment.split_once(": ").expect("agent, then attempt");
        let user = whose.strip_prefix("trunk trunk_nj_01 user agent").expect("trunk and user");
        assert!(user.len() == 5 && user.parse::<u32>().is_ok_and(|n| n < 40), "{whose}");
        let expected = format!(
            "initial attempt, number 1 of this agent; authentication_failed: 403 Authentication Failed after \
             credentials; packet {} of 4",
            n % 4 + 1
        );
        assert_eq!(what, expected);
    }
}

#[test]
fn a_refused_run_shows_whole_handshakes_without_digests() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    run(dir.path(), "", &format!("[registrar]\n{REFUSE}"), &[]);
    let file = dir.path().join("out").join(FILE);
    let packets = dissect(&file);
    expect_refusals(&packets);
    for packet in packets.iter().filter(|packet| packet.comment.ends_with("packet 3 of 4")) {
        assert_eq!(packet.response, "*".repeat(64), "SHA-256 in hexadecimal");
        assert!(packet.nonce.len() >= 16 && !packet.nonce.contains('*'), "the nonce can be looked at: {packet:?}");
    }
    let digests = digests(&file);
    assert_eq!(digests.len(), 20);
    assert!(digests.iter().all(|digest| digest.bytes().all(|byte| byte == b'*')), "{digests:?}");
    let results = ResultDir::open(&dir.path().join("out"));
    let time = |name| results.text(name).parse::<jiff::Timestamp>().expect("RFC 3339").as_nanosecond();
    let (started, ended) = (time("/started"), time("/ended"));
    // The file has whole nanoseconds, run.json whole milliseconds.
    let within = |packet: &Dissected| (started..ended + 1_000_000).contains(&i128::from(packet.at));
    assert!(packets.iter().all(within), "{started} to {ended}: {packets:?}");
    expect_sngrep_to_read(&file, packets.len());
}

/// sngrep writes out again what it understood.
fn expect_sngrep_to_read(file: &Path, packets: usize) {
    let again = file.with_file_name("sngrep.pcap");
    let mut sngrep = Command::new("sngrep");
    sngrep.args(["-N", "-q", "-I"]).arg(file).arg("-O").arg(&again);
    sngrep.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(sngrep.status().expect("sngrep is installed (tests/all does it)").success());
    assert_eq!(output(Command::new("tshark").arg("-r").arg(&again)).lines().count(), packets);
}

/// What went over a connection is SIP over TCP in the file, whatever was around it, and is marked
/// so; and our own reader finds in it what was sent.
#[test]
fn connections_are_shown_as_sip_over_tcp_whatever_was_around_it() {
    for (transport, marked) in [
        ("tcp", ""),
        ("tls", "; it went over TLS and is shown decrypted"),
        ("ws", "; it went in a WebSocket frame and is shown without it"),
        ("wss", "; it went in a WebSocket frame over TLS and is shown decrypted, without the frame"),
    ] {
        for connections in ["per-agent", "shared"] {
            let dir = tempfile::tempdir().expect("a directory under /tmp");
            let registrar = format!("[registrar]\nlisten = [\"{transport}://127.0.0.1:0\"]\n{REFUSE}");
            run(dir.path(), &format!("connections = \"{connections}\""), &registrar, &[]);
            let file = dir.path().join("out").join(FILE);
            let mut packets = dissect_as(&file, "tcp");
            for packet in &mut packets {
                let whole = std::mem::take(&mut packet.comment);
                packet.comment = whole.strip_suffix(marked).unwrap_or_else(|| panic!("{whole}")).to_owned();
            }
            expect_refusals(&packets);
            let found = Regstorm::run(dir.path(), &["diagnose", "out/failures.pcapng", "--json"], LIMIT).stdout();
            let found: serde_json::Value = serde_json::from_str(&found).expect("JSON");
            let refusal = &found["sources"][0]["findings"][0];
            let counts = (refusal["agents"].as_u64(), refusal["attempts"].as_u64());
            assert_eq!(counts, (Some(20), Some(20)), "{transport} {connections}: {found:#}");
            assert!(
                refusal["summary"].to_string().contains("403 Authentication Failed after credentials"),
                "{refusal:#}"
            );
        }
    }
}

#[test]
fn secrets_stay_when_they_are_asked_for_and_ipv6_is_read_too() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let registrar = format!("[registrar]\nlisten = [\"udp://[::1]:0\"]\n{REFUSE}");
    run(dir.path(), "source = [\"::1\"]", &registrar, &["--capture-secrets"]);
    let file = dir.path().join("out").join(FILE);
    expect_refusals(&dissect(&file));
    let digests = digests(&file);
    assert_eq!(digests.len(), 20);
    assert!(digests.iter().all(|digest| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())));
}

#[test]
fn a_rehearsal_writes_the_same_file_every_time() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let name = profile(dir.path(), &text("", &format!("[registrar]\n{REFUSE}")));
    let written = ["first", "second"].map(|out| {
        Regstorm::run(dir.path(), &["simulate", name, "--out", out], LIMIT).expect_code(1);
        let file = dir.path().join(out).join(FILE);
        let attempts = attempts(&dissect(&file)).into_values().map(|messages| messages.len()).collect::<Vec<_>>();
        assert_eq!(attempts, [4; 10], "one worker's first ten");
        std::fs::read(file).expect("just dissected")
    });
    assert!(written[0] == written[1], "same seed, same bytes");
}

#[test]
fn a_run_without_failures_has_no_such_file() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    run(dir.path(), "", "", &[]);
    assert!(dir.path().join("out/record.bin").exists());
    assert!(!dir.path().join("out").join(FILE).exists());
}

#[test]
fn a_killed_run_leaves_a_file_that_can_be_read() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let text = format!(
        "[run]\nname = \"killed\"\ninterval = \"200ms\"\n\n[[trunk]]\nid = \"t\"\nregistrar = \"embedded\"\n\
         domain = \"genesyscloud.test\"\nagents = {{ count = 10, user = \"agent{{n:05}}\", password = \"secret\" }}\n\n\
         [[load]]\nrate = 50\nfor = \"200ms\"\n[[load]]\nhold = \"60s\"\n\n[registrar]\n{REFUSE}\n"
    );
    let mut run = Regstorm::start(dir.path(), &["run", profile(dir.path(), &text), "--out", "out", "--live", "off"]);
    let file = dir.path().join("out").join(FILE);
    let size = || std::fs::metadata(&file).map_or(0, |facts| facts.len());
    clock::until("packets on the disk", LIMIT, || (size() > 2_000).then_some(()));
    assert!(run.is_running());
    run.signal("KILL");
    run.wait(LIMIT);
    let packets = dissect(&file);
    assert!(packets.len() >= 4, "{packets:?}");
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// `agents` of one trunk at 100/s in virtual time.
fn world(agents: u32, drop: f64, faults: Vec<Fault>) -> WorldConfig {
    let mut identities = IdentityBook::default();
    let password = identities.credential(Credential::Password(Secret::new("secret")));
    for n in 0..agents {
        let user = format!("agent{n:05}");
        identities.push(TrunkId(0), n, &user, &user, password);
    }
    WorldConfig {
        seed: Seed(7),
        identities: identities.into(),
        policies: vec![TrunkPolicy {
            algorithms: AlgorithmSet::EMPTY.with(Algorithm::Md5),
            expires_s: 600,
            ..TrunkPolicy::plain("genesyscloud.test")
        }],
        load: LoadConfig {
            stages: vec![
                LoadStage::Rate { per_second: 100.0, lasts: Duration::from_millis(u64::from(agents) * 10) },
                LoadStage::Hold { lasts: seconds(60) },
            ],
            process: Process::Uniform,
            when_exhausted: WhenExhausted::Stop,
            agents,
            replay: None,
            max_in_flight: 20_000,
            max_message_rate: 50_000,
            max_connect_rate: 50_000,
        },
        workers: 1,
        sources: Vec::new(),
        places: Vec::new(),
        wordings: Vec::new(),
        interval: seconds(60),
        warmup: Duration::ZERO,
        run: RunTag(7),
        drain: seconds(35),
        unregister_rate: None,
        link: LinkConfig { delay: Some(Delay::Fixed(Duration::from_millis(5))), drop },
        registrar: Config { algorithms: vec![Algorithm::Md5], faults, ..Config::open("genesyscloud.test", "secret") },
    }
}

fn write(file: &Path, failures: &[FailedAttempt]) {
    let out = std::fs::File::create(file).expect("the test's own directory");
    let mut writer = PcapngWriter::new(out, START, 1_790_000_000_000_000_000).expect("writable");
    for failure in failures {
        let user = format!("agent{:05}", failure.agent.0);
        writer.attempt(failure, Name { trunk: "trunk_sim", user: &user, transport: Transport::Udp }).expect("writable");
    }
}

#[test]
fn virtual_time_shows_the_same_handshakes_every_time() {
    let refuse = || Fault {
        kind: FaultKind::Refuse { code: 403, reason: "Authentication Failed".into() },
        from: Duration::ZERO,
        until: None,
        share: 0.1,
        sources: Vec::new(),
        addresses: Vec::new(),
        domain: None,
    };
    let outcome = || -> SimOutcome { World::new(world(300, 0.0, vec![refuse()])).run() };
    let failures = outcome().failures;
    assert_eq!(failures, outcome().failures, "same seed, same packets");
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let file = dir.path().join(FILE);
    write(&file, &failures);
    let packets = dissect(&file);
    let attempts = attempts(&packets);
    // A tenth of the agents, by hash, of whom the first ten are shown at once.
    assert!((10..20).contains(&attempts.len()), "{} attempts", attempts.len());
    assert!(attempts.values().all(|messages| messages[..] == ["REGISTER", "401", "REGISTER", "403"]));
    let masked = "*".repeat(32);
    assert!(digests(&file).iter().all(|digest| *digest == masked), "MD5 in hexadecimal");
}

#[test]
fn silence_shows_every_transmission() {
    let failures = World::new(world(30, 1.0, Vec::new())).run().failures;
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let file = dir.path().join(FILE);
    write(&file, &failures);
    let packets = dissect(&file);
    let attempts = attempts(&packets);
    assert_eq!(attempts.len(), 10);
    // RFC 3261 §17.1.2.2: eleven transmissions before Timer F.
    assert!(attempts.values().all(|messages| messages[..] == ["REGISTER"; 11]), "{attempts:?}");
    let waits: Vec<u64> = packets[..11].iter().map(|packet| (packet.at - packets[0].at) / 1_000_000).collect();
    assert_eq!(waits, [0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
    assert!(packets.iter().all(|packet| packet.comment.contains("request_timeout: timeout without credentials")));
}

#[test]
fn healthy_virtual_agents_leave_nothing() {
    assert!(World::new(world(300, 0.0, Vec::new())).run().failures.is_empty());
}
