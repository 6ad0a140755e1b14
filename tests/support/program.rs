//! regstorm as a child process: started, watched while it runs, signalled by its own pid, waited
//! for with a deadline.

use super::clock;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A running regstorm. Dropping it kills it, so that a failed assertion leaves no load behind.
pub struct Regstorm {
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

/// How a run ended.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Regstorm {
    /// Starts `regstorm ARGS` with `dir` as its working directory.
    pub fn start(dir: &Path, args: &[&str]) -> Regstorm {
        Self::start_with(command(dir, args))
    }

    /// Starts a command made by [`command`] and changed by the test (environment, for instance).
    pub fn start_with(mut command: Command) -> Regstorm {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary under test can be started");
        let stdout = Stream::of(child.stdout.take().expect("piped above"));
        let stderr = Stream::of(child.stderr.take().expect("piped above"));
        Regstorm { child, stdout, stderr }
    }

    /// Runs to the end, which must come within `limit`.
    pub fn run(dir: &Path, args: &[&str], limit: Duration) -> Finished {
        Self::start(dir, args).wait(limit)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name (`INT`, `STOP`, …) to this process alone.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(sent.expect("kill is in every system").success(), "kill -{name} {}", self.pid());
    }

    pub fn stdout_so_far(&self) -> String {
        String::from_utf8_lossy(&self.stdout.so_far()).into_owned()
    }

    pub fn stderr_so_far(&self) -> String {
        String::from_utf8_lossy(&self.stderr.so_far()).into_owned()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_none()
    }

    /// Waits for the end, which must come within `limit`, and hands over everything it wrote.
    pub fn wait(mut self, limit: Duration) -> Finished {
        let deadline = clock::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                break status;
            }
            assert!(clock::now() < deadline, "still running after {limit:?}; stderr:\n{}", self.stderr_so_far());
            clock::let_pass(Duration::from_millis(10));
        };
        Finished { status, stdout: self.stdout.finish(), stderr: self.stderr.finish() }
    }
}

impl Drop for Regstorm {
    fn drop(&mut self) {
        // Both fail harmlessly on a process that has ended and was waited for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Finished {
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The exit status must be `code`; everything the program said is shown otherwise.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Finished {
        let shown = || format!("stdout:\n{}\nstderr:\n{}", self.stdout(), self.stderr());
        assert_eq!(self.status.code(), Some(code), "ended with {}, not {code}\n{}", self.status, shown());
        self
    }
}

/// Runs a shell script in `dir` as root of a namespace of its own, `--net` or `--mount`, where it
/// finds the program as `$REGSTORM`.
pub fn in_namespace(kind: &str, dir: &Path, script: &str) -> std::io::Result<Output> {
    Command::new("unshare")
        .args(["--map-root-user", kind, "sh", "-c", script])
        .current_dir(dir)
        .env("REGSTORM", env!("CARGO_BIN_EXE_regstorm"))
        .output()
}

/// `regstorm ARGS` in `dir`, not yet started.
pub fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regstorm"));
    command.current_dir(dir).args(args);
    command
}

/// Writes a profile into `dir` and returns its file name.
pub fn profile(dir: &Path, text: &str) -> &'static str {
    std::fs::write(dir.join("profile.toml"), text).expect("the test's own directory");
    "profile.toml"
}

/// One pipe of the child, read by a thread so that the child never blocks on it.
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn of(mut pipe: impl Read + Send + 'static) -> Stream {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(n @ 1..) = pipe.read(&mut chunk) {
                into.lock().expect("no holder panics").extend_from_slice(&chunk[..n]);
            }
        });
        Stream { bytes, reader: Some(reader) }
    }

    fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().expect("no holder panics").clone()
    }

    fn finish(&mut self) -> Vec<u8> {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader only copies bytes");
        }
        self.so_far()
    }
}
