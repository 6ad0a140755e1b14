//! `regstorm registrar` against clients that are not ours: SIPp as a load generator and sipsak one
//! by one, over loopback.
//!
//! Both know MD5 only and look at the first challenge of several, so the registrar is told to offer
//! that. Needs `sipp` and `sipsak`; `tests/all` installs them.

mod support;

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use support::clock;
use support::kamailio::free_port;
use support::program::Regstorm;

const SCENARIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sipp/register.xml");
const READY: Duration = Duration::from_secs(10);
/// SIPp and sipsak give up by themselves before this, so that a hang is a failed test.
const LIMIT: Duration = Duration::from_secs(60);

// ---- SIPp ----

#[test]
fn sipp_registers_four_thousand_users_each_with_a_password_of_its_own() {
    let _turn = clock::alone();
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let users: Vec<_> = (0..4_000).map(|n| (format!("agent{n:05}"), format!("pw-{}", n * 7))).collect();
    // The limit is met exactly, with more threads than one telling the time and counting.
    let limit = "[[registrar.fault]]\nkind = \"limit\"\nconcurrent = 4000\n";
    let registrar = Registrar::knowing(dir.path(), &users, limit, &["--threads", "3"]);
    let calls = sipp(&registrar, dir.path(), &users, 1_000);
    assert_eq!((calls.successful, calls.failed), (4_000, 0), "{}", calls.shown);
    assert!(calls.passed, "{}", calls.shown);
    let account = registrar.stop();
    // Nothing follows that was answered otherwise; on a busy machine SIPp may have asked more than
    // once.
    assert!(account.trim_end().ends_with("bindings now 4000, at most 4000"), "{account}");
}

#[test]
fn sipp_registers_nobody_with_a_wrong_password() {
    let _turn = clock::alone();
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let users = |password: &str| (0..100).map(|n| (format!("agent{n:05}"), password.to_owned())).collect::<Vec<_>>();
    let registrar = Registrar::knowing(dir.path(), &users("right"), "", &[]);
    let calls = sipp(&registrar, dir.path(), &users("wrong"), 100);
    assert_eq!((calls.successful, calls.failed), (0, 100), "{}", calls.shown);
    assert!(!calls.passed, "{}", calls.shown);
    let account = registrar.stop();
    assert!(account.contains(" 0 answered 200,") && account.contains("bindings now 0, at most 0"), "{account}");
}

#[test]
fn sipp_is_refused_beyond_a_limit_to_the_last_one_whatever_the_threads() {
    let _turn = clock::alone();
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let users: Vec<_> = (0..1_000).map(|n| (format!("agent{n:05}"), "secret".to_owned())).collect();
    let limit = "[[registrar.fault]]\nkind = \"limit\"\nconcurrent = 400\n";
    let registrar = Registrar::knowing(dir.path(), &users, limit, &["--threads", "4"]);
    let calls = sipp(&registrar, dir.path(), &users, 1_000);
    assert_eq!((calls.successful, calls.failed), (400, 600), "{}", calls.shown);
    let account = registrar.stop();
    assert!(account.contains("bindings now 400, at most 400"), "{account}");
}

#[test]
fn sipp_registers_nobody_who_is_unknown() {
    let _turn = clock::alone();
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let users = |name: &str| (0..20).map(|n| (format!("{name}{n:05}"), "secret".to_owned())).collect::<Vec<_>>();
    let registrar = Registrar::knowing(dir.path(), &users("agent"), "", &[]);
    let calls = sipp(&registrar, dir.path(), &users("stranger"), 100);
    assert_eq!((calls.successful, calls.failed), (0, 20), "{}", calls.shown);
    let account = registrar.stop();
    assert!(account.contains(" 0 answered 200,") && account.contains("bindings now 0, at most 0"), "{account}");
}

// ---- sipsak ----

#[test]
fn sipsak_registers_with_the_right_password_only() {
    let _turn = clock::alone();
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let registrar = Registrar::start(dir.path(), &[]);
    let wrong = sipsak(&registrar, "alice", "not the password");
    assert!(!wrong.status.success(), "a wrong password was accepted: {}", shown(&wrong));
    for user in ["alice", "bob", "carol"] {
        let right = sipsak(&registrar, user, "secret");
        assert!(right.status.success(), "the right password was refused: {}", shown(&right));
    }
    let account = registrar.stop();
    assert!(account.contains("bindings now 3, at most 3"), "{account}");
}

#[test]
fn sipsak_is_refused_beyond_a_limit_and_within_an_endless_challenge() {
    let _turn = clock::alone();
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let limit = "[[registrar.fault]]\nkind = \"limit\"\nconcurrent = 1\n";
    let again = "[[registrar.fault]]\nkind = \"challenge-again\"\n";
    for (fault, first, account) in
        [(limit, true, "bindings now 1, at most 1, 1 answered 403"), (again, false, "bindings now 0, at most 0")]
    {
        std::fs::write(dir.path().join("faulty.toml"), fault).expect("our own directory");
        let registrar = Registrar::start(dir.path(), &["faulty.toml"]);
        let outputs = ["alice", "bob"].map(|user| sipsak(&registrar, user, "secret"));
        assert_eq!(outputs[0].status.success(), first, "{}", shown(&outputs[0]));
        assert!(!outputs[1].status.success(), "{}", shown(&outputs[1]));
        let said = registrar.stop();
        assert!(said.contains(account), "{said}");
    }
}

// ---- The registrar as a process ----

struct Registrar {
    process: Regstorm,
    address: SocketAddr,
}

impl Registrar {
    /// Starts `regstorm registrar ARGS` on a free port and returns when it listens.
    fn start(dir: &Path, args: &[&str]) -> Registrar {
        let fixed = ["registrar", "--listen", "udp://127.0.0.1:0", "--set", "registrar.algorithms=[\"MD5\"]"];
        let mut process = Regstorm::start(dir, &[&fixed, args].concat());
        let address = clock::until("the registrar to listen", READY, || {
            assert!(process.is_running(), "it ended: {}", process.stderr_so_far());
            let said = process.stdout_so_far();
            said.lines().find_map(|line| line.strip_prefix("listening udp://")?.parse().ok())
        });
        Registrar { process, address }
    }

    /// One that knows these users, by name and password, from a CSV file; `more` of its profile and
    /// arguments.
    fn knowing(dir: &Path, users: &[(String, String)], more: &str, args: &[&str]) -> Registrar {
        let mut csv = "user,password\n".to_owned();
        for (user, password) in users {
            writeln!(csv, "{user},{password}").expect("a String takes all");
        }
        std::fs::write(dir.join("known.csv"), csv).expect("our own directory");
        let profile = format!("[registrar]\nusers = \"known.csv\"\n{more}");
        std::fs::write(dir.join("known.toml"), profile).expect("our own directory");
        Registrar::start(dir, &[&["known.toml"], args].concat())
    }

    /// Ends it and returns its account of what it did.
    fn stop(self) -> String {
        self.process.signal("INT");
        let finished = self.process.wait(READY);
        finished.expect_code(0);
        finished.stderr()
    }
}

/// What SIPp says of a run: its calls are our registrations.
struct Calls {
    successful: u64,
    failed: u64,
    /// Its exit status says that no call failed.
    passed: bool,
    shown: String,
}

/// Registers these users at `rate` per second, each once.
fn sipp(registrar: &Registrar, dir: &Path, users: &[(String, String)], rate: u32) -> Calls {
    let mut csv = "SEQUENTIAL\n".to_owned();
    for (user, password) in users {
        writeln!(csv, "{user};[authentication username={user} password={password}]").expect("a String takes all");
    }
    std::fs::write(dir.join("users.csv"), csv).expect("our own directory");
    let text = |number: u64| number.to_string();
    let [port, control, media] = [0; 3].map(|_| text(free_port().into()));
    let output = Command::new("sipp")
        .current_dir(dir)
        .arg(registrar.address.to_string())
        .args(["-sf", SCENARIO, "-inf", "users.csv", "-m", &text(users.len() as u64), "-r", &text(rate.into())])
        .args(["-i", "127.0.0.1", "-p", &port, "-ci", "127.0.0.1", "-cp", &control, "-mi", "127.0.0.1", "-mp", &media])
        .args(["-timeout", &text(LIMIT.as_secs()), "-timeout_error", "-nostdin", "-trace_err", "-error_file", "errors"])
        .args(["-trace_stat", "-stf", "statistics", "-fd", "1"])
        .stdin(Stdio::null())
        .output()
        .expect("sipp is installed (tests/all does it)");
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
    let statistics = read("statistics");
    let count = |column: &str| -> u64 {
        let mut rows = statistics.lines().map(|line| line.split(';').collect::<Vec<_>>());
        let header = rows.next().unwrap_or_default();
        let at = header.iter().position(|name| *name == column).unwrap_or_else(|| panic!("no {column} in {header:?}"));
        rows.next_back().and_then(|row| row.get(at)?.parse().ok()).expect("a row of numbers")
    };
    Calls {
        successful: count("SuccessfulCall(C)"),
        failed: count("FailedCall(C)"),
        passed: output.status.success(),
        shown: format!("{}\n{}\n{}", output.status, shown(&output), read("errors")),
    }
}

/// Registers one user for a minute.
fn sipsak(registrar: &Registrar, user: &str, password: &str) -> Output {
    Command::new("sipsak")
        .args(["-U", "-i", "-x", "60", "-a", password])
        .args(["-s", &format!("sip:{user}@{}", registrar.address)])
        .output()
        .expect("sipsak is installed (tests/all does it)")
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
