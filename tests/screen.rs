//! The live screen in a real terminal: tmux gives it one of any size, types its keys, and says what
//! stands on it.
//!
//! The screens are golden files under `tests/screen/`, as far as they are the same in every run;
//! what varies is masked: times, latencies and shares of processors, which all have a decimal point
//! or a colon. `UPDATE_EXPECT=1` rewrites them.

mod support;

use regstorm::live::screen::Terminal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use support::clock;
use support::program::profile;
use support::results::ResultDir;

const LIMIT: Duration = Duration::from_secs(60);
const SMALL: (u32, u32) = (80, 24);
const LARGE: (u32, u32) = (200, 60);

/// Two trunks, one of which is refused and tries four times again. All of it is warm-up to the
/// judge: how busy this machine is must not show. What comes after the hold is what the test of the
/// rate changes.
const TWO_TRUNKS: &str = "[run]\nname = \"two-trunks\"\ninterval = \"1s\"\nseed = 7\nwarmup = \"10m\"\n\n\
    [[trunk]]\nid = \"good\"\nregistrar = \"embedded\"\ndomain = \"good.test\"\n\
    agents = { count = 40, user = \"agent{n:05}\", password = \"secret\" }\n\n\
    [[trunk]]\nid = \"failing\"\nregistrar = \"embedded\"\ndomain = \"failing.test\"\n\
    agents = { count = 20, user = \"other{n:05}\", password = \"secret\" }\n\
    retry = { preset = \"hammer\", interval = \"300ms\", max = 4, jitter = 0.0 }\n\n\
    [[load]]\nrate = 60\nfor = \"1s\"\n[[load]]\nhold = \"10m\"\n\n[generator]\nlate = \"30s\"\nstall = \"30s\"\n\n\
    [[registrar.fault]]\nkind = \"refuse\"\ncode = 403\nreason = \"Forbidden\"\ntrunk = \"failing\"\n";

/// Arrivals for ten minutes.
const STEADY: &str = "[run]\nname = \"steady\"\ninterval = \"1s\"\nseed = 7\n\n\
    [[trunk]]\nid = \"lab\"\nregistrar = \"embedded\"\ndomain = \"lab.test\"\n\
    agents = { count = 6000, user = \"agent{n:05}\", password = \"secret\" }\n\n\
    [[load]]\nrate = 10\nfor = \"10m\"\n\n[generator]\nlate = \"30s\"\n";

/// A tmux server of the test's own with one window.
struct Tmux {
    socket: String,
}

impl Tmux {
    /// A shell in `dir`; `size` is columns and rows.
    fn start(dir: &Path, (columns, rows): (u32, u32)) -> Tmux {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let tmux = Tmux { socket: format!("regstorm-{}-{number}", std::process::id()) };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        // The test's own environment says nothing of the colours of this terminal.
        let started = tmux
            .command(&["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows, "sh"])
            .current_dir(dir)
            .env("LC_ALL", "C.UTF-8")
            .env("PS1", "$ ")
            .env("NO_COLOR", "1")
            .env_remove("COLORTERM")
            .status();
        assert!(started.expect("tmux is installed").success());
        tmux
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-u", "-L", &self.socket]).args(args);
        command
    }

    fn tell(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("tmux is installed");
        assert!(output.status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn press(&self, key: &str) {
        self.tell(&["send-keys", key]);
    }

    /// Types a command and Enter.
    fn shell(&self, line: &str) {
        self.tell(&["send-keys", "-l", line]);
        self.press("Enter");
    }

    fn resize(&self, (columns, rows): (u32, u32)) {
        self.tell(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    fn screen(&self) -> String {
        self.tell(&["capture-pane", "-p"])
    }

    /// Waits for a screen on which everything of `wanted` stands, any number of blanks counting as
    /// one.
    #[track_caller]
    fn wait_for(&self, wanted: &[&str]) -> String {
        let mut last = String::new();
        clock::until_or(
            LIMIT,
            || {
                last = self.screen();
                let squeezed = squeezed(&last);
                wanted.iter().all(|text| squeezed.contains(text)).then(|| last.clone())
            },
            || format!("for {wanted:?} on the screen, which is\n{}", self.screen()),
        )
    }

    /// Whether a line typed is echoed and handed over line by line, as a shell needs it.
    #[track_caller]
    fn expect_sane(&self) {
        self.wait_for(&["status "]);
        self.shell(
            "clear; stty -a | tr ' ' '\\n' | grep -xE -- '-?(echo|icanon|isig);?' | sort | tr '\\n' ' '; echo done",
        );
        self.wait_for(&["echo icanon isig done"]);
        let modes = self.tell(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]);
        assert_eq!(modes.trim(), "0 1", "the usual screen, with a cursor");
    }

    /// The process that runs in the shell.
    fn child(&self) -> String {
        let shell = self.tell(&["display-message", "-p", "#{pane_pid}"]);
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", shell.trim())).expect("Linux");
        children.split_whitespace().next().expect("regstorm runs").to_owned()
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // It ends with its last window as well.
        drop(self.command(&["kill-server"]).output());
    }
}

/// Starts a run on the live screen; its exit status stands on the terminal afterwards.
fn run(dir: &Path, text: &str, size: (u32, u32)) -> Tmux {
    let tmux = Tmux::start(dir, size);
    let program = env!("CARGO_BIN_EXE_regstorm");
    tmux.shell(&format!("{program} run {} --out out --live tui; echo status $?", profile(dir, text)));
    tmux
}

fn interventions(dir: &Path) -> Vec<Value> {
    let results = ResultDir::open(&dir.join("out"));
    results.run["conditions"]["interventions"].as_array().expect("a list").clone()
}

fn squeezed(screen: &str) -> String {
    screen.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
}

/// Numbers with a point or a colon, with the blanks before them: how many digits they have varies.
/// Bars of the chart and of the time, too.
fn masked(screen: &str) -> String {
    let mask = |line: &str| {
        // Behind the page of the keys stand halves of numbers.
        let line = line.rfind('│').map_or(line, |border| &line[..border]);
        let bar = |c: char| match c {
            '▁'..='█' => ' ',
            '━' if line.starts_with("stage") => '┄',
            other => other,
        };
        let mut text: Vec<char> = line.chars().map(bar).collect();
        let part = |c: char| c.is_ascii_digit() || c == '.' || c == ':';
        let mut at = 0;
        while at < text.len() {
            let end = at + text[at..].iter().take_while(|c| part(**c)).count();
            let number = &text[at..end];
            let varies = number.first().is_some_and(char::is_ascii_digit)
                && number.iter().any(|c| matches!(c, '.' | ':'))
                && !number.ends_with(&['.'])
                // `127.0.0.1` is an address, its port is not.
                && number.iter().filter(|c| **c == '.').count() < 2;
            let address = number.iter().filter(|c| **c == '.').count() == 3;
            if varies {
                let blank = text[..at].iter().rev().take_while(|c| **c == ' ').count();
                text[at - blank..end].fill('#');
            } else if address && let Some(port) = number.iter().position(|c| *c == ':') {
                text.splice(at + port + 1..end, "####".chars());
                at += port + 5;
                continue;
            }
            at = end.max(at + 1);
        }
        text.into_iter().collect::<String>().trim_end().to_owned() + "\n"
    };
    let lines: String = without_evidence(screen).into_iter().map(mask).collect();
    // Which of the agents is the example follows from who was refused first.
    lines
        .split("other0")
        .enumerate()
        .map(|(n, part)| if n > 0 { format!("other0####{}", &part[4..]) } else { part.to_owned() })
        .collect()
}

/// What speaks for a finding names Call-IDs, which no two runs share.
fn without_evidence(screen: &str) -> Vec<&str> {
    let indent = " ".repeat(11);
    let mut within = false;
    let mut keep = |line: &&str| {
        within =
            line.strip_prefix(&indent).is_some_and(|text| text.starts_with('·') || within && text.starts_with("  "));
        !within
    };
    screen.lines().filter(|line| keep(line)).collect()
}

#[track_caller]
fn expect_golden(name: &str, screen: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/screen").join(format!("{name}.txt"));
    let screen = masked(screen);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &screen).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("UPDATE_EXPECT=1 writes the golden file");
    assert!(screen == golden, "{name}: expected\n{golden}\nbut this is on the screen\n{screen}");
}

/// Everything has arrived, was refused for the last time, and the rates have come to rest.
const SETTLED: [&str; 6] = [
    "stage 2/2 hold",
    "✖ critical loop.403.after-auth failing",
    "● registered 40 0.0",
    "✖ authentication_failed 100 0.0",
    "● generator valid",
    "lag p99 - ms",
];

#[test]
fn a_failing_trunk_is_seen_at_both_sizes() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let tmux = run(dir.path(), TWO_TRUNKS, SMALL);
    expect_golden("failing-80x24", &tmux.wait_for(&SETTLED));
    tmux.press("?");
    expect_golden("help-80x24", &tmux.wait_for(&["┌ keys", "└──"]));
    tmux.press("Escape");
    // A key that follows at once would be taken for the rest of a sequence.
    clock::until("the help to be closed", LIMIT, || (!tmux.screen().contains("┌ keys")).then_some(()));
    tmux.press("s");
    tmux.wait_for(&["most fail % first", "▼fail %"]);
    tmux.press("r");
    tmux.wait_for(&["least fail % first", "▲fail %"]);
    tmux.press("s");
    tmux.press("s");
    tmux.wait_for(&["trunks, as in the profile"]);
    tmux.resize((70, 20));
    let text = tmux.wait_for(&["here are 70 by 20"]);
    assert_eq!(text.trim(), "80 by 24 cells are needed\nhere are 70 by 20\nthe run goes on; q ends it");
    tmux.resize(LARGE);
    expect_golden("failing-200x60", &tmux.wait_for(&SETTLED));
    tmux.press("p");
    expect_golden("paused-200x60", &tmux.wait_for(&["■ PAUSED", "standing still", "changed 1×"]));
    tmux.press("q");
    tmux.wait_for(&["INTERRUPTED", "status 130"]);
    tmux.expect_sane();
    let results = ResultDir::open(&dir.path().join("out"));
    assert_eq!(
        (results.text("/verdict"), results.run["conditions"]["interventions"][0]["kind"].as_str()),
        ("interrupted", Some("pause"))
    );
}

#[test]
fn a_pause_and_another_rate_change_the_load_and_stand_in_the_record() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let tmux = run(dir.path(), STEADY, SMALL);
    tmux.wait_for(&["● running", "1/1 rate 10/s", "10.0/s"]);
    for _ in 0..5 {
        tmux.press("+");
    }
    tmux.wait_for(&["▲ × 1.5", "15.0/s", "changed 5×"]);
    tmux.press("-");
    tmux.wait_for(&["▲ × 1.4", "14.0/s"]);
    tmux.press("p");
    tmux.wait_for(&["■ PAUSED", "0.0/s", "p go on", "0 open"]);
    tmux.press("p");
    tmux.wait_for(&["▲ × 1.4", "14.0/s", "changed 8×"]);
    // Ctrl-C is a key here, and means what the signal means.
    tmux.press("C-c");
    tmux.wait_for(&["INTERRUPTED", "status 130"]);
    let done = interventions(dir.path());
    let told: Vec<_> =
        done.iter().map(|d| (d["kind"].as_str().expect("text"), d["factor"].as_f64().expect("number"))).collect();
    let rates = [1.1, 1.2, 1.3, 1.4, 1.5, 1.4].map(|factor| ("rate", factor));
    assert_eq!(told, [&rates[..], &[("pause", 0.0), ("resume", 1.4)]].concat());
    assert!(done.is_sorted_by_key(|d| d["after_s"].as_f64().map(f64::to_bits)));
    let results = ResultDir::open(&dir.path().join("out"));
    results.expect_balanced();
    // Of the time from the pause to its end nothing began, whatever the machine did meanwhile; the
    // rest is counted once.
    assert_eq!(results.total("initial"), results.total("agents_registered_peak"));
    let page = String::from_utf8(results.bytes("report.html")).expect("UTF-8");
    assert!(page.contains("The load was changed by hand 8 times: it was not the profile"), "the report says so");
}

#[test]
fn sigterm_ends_in_good_order_and_gives_the_terminal_back() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let tmux = run(dir.path(), STEADY, SMALL);
    tmux.wait_for(&["● running", "1/1 rate 10/s"]);
    let sent = Command::new("kill").args(["-TERM", &tmux.child()]).status();
    assert!(sent.expect("kill is in every system").success());
    tmux.wait_for(&["INTERRUPTED", "status 143"]);
    tmux.expect_sane();
}

#[test]
fn an_end_by_itself_gives_the_terminal_back_with_the_summary() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let text = STEADY.replace("\"10m\"", "\"2s\"").replace("count = 6000", "count = 20");
    let tmux = run(dir.path(), &text, SMALL);
    tmux.wait_for(&["20 of 20 registered at the peak", "status "]);
    tmux.expect_sane();
}

/// The test below has this one run in a terminal: what it shows there is the message of its panic.
#[test]
#[ignore = "it panics, on purpose"]
fn panics_with_the_terminal_taken() {
    let terminal = Terminal::take().expect("a terminal");
    std::thread::scope(|threads| {
        // Of another thread, as a sender's would be.
        drop(threads.spawn(|| panic!("this must be readable")).join());
    });
    drop(terminal);
}

#[test]
fn a_panic_gives_the_terminal_back_and_can_be_read() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let tmux = Tmux::start(dir.path(), SMALL);
    let this = std::env::current_exe().expect("a running test");
    let test = "panics_with_the_terminal_taken --exact --ignored --nocapture";
    tmux.shell(&format!("RUST_BACKTRACE=0 {} {test}; echo status $?", this.display()));
    tmux.wait_for(&["this must be readable", "status "]);
    tmux.expect_sane();
}

#[test]
fn without_a_terminal_there_is_no_live_screen() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let args = ["run", profile(dir.path(), STEADY), "--out", "out", "--live", "tui"];
    let refused = support::program::Regstorm::run(dir.path(), &args, LIMIT);
    refused.expect_code(2);
    assert!(refused.stderr().contains("standard error is no terminal; use --live plain"), "{}", refused.stderr());
    assert!(!dir.path().join("out").exists());
}
