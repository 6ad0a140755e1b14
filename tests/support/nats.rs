//! A real NATS server on a free port of 127.0.0.1, with its streams on disk.
//!
//! `nats-server` as Debian has it, or the one that the variable `NATS_SERVER` names. A missing one
//! is a failure, never a skipped test: `tests/all` installs it.

use super::clock;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a server may take to begin.
const READY: Duration = Duration::from_secs(30);

/// A server; dropping it kills it.
pub struct NatsServer {
    folder: TempDir,
    process: Option<Child>,
    port: u16,
    options: Vec<String>,
}

impl NatsServer {
    /// Starts a server and waits until it listens.
    pub fn start() -> NatsServer {
        Self::start_with(&[])
    }

    /// With further options.
    pub fn start_with(options: &[&str]) -> NatsServer {
        let folder = tempfile::tempdir().expect("a folder of the test's own");
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = NatsServer { folder, process: None, port: 0, options };
        server.begin("-1");
        server
    }

    /// `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where it keeps what is to outlive it.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("our own child");
            process.wait().expect("our own child");
        }
    }

    /// Starts it again on the same port, with what it kept.
    pub fn restart(&mut self) {
        self.kill();
        let port = self.port.to_string();
        self.begin(&port);
    }

    fn begin(&mut self, port: &str) {
        let program = std::env::var("NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned());
        let told = self.folder.path().join("ports");
        // A file of a server that was killed would be taken for that of this one.
        drop(std::fs::remove_dir_all(&told));
        std::fs::create_dir(&told).expect("the test's own folder");
        let log = std::fs::File::create(self.folder.path().join("log")).expect("the test's own folder");
        let process = Command::new(&program)
            .args(["--addr", "127.0.0.1", "--port", port, "--jetstream", "--store_dir"])
            .arg(self.store())
            .arg("--ports_file_dir")
            .arg(&told)
            .args(&self.options)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; tests/all installs it"));
        self.process = Some(process);
        self.port = clock::until_or(READY, || port_of(&told), || format!("{program} to listen:\n{}", self.log()));
    }

    /// What it said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn port_of(folder: &Path) -> Option<u16> {
    let file = std::fs::read_dir(folder).ok()?.next()?.ok()?.path();
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    told["nats"][0].as_str()?.rsplit(':').next()?.parse().ok()
}
