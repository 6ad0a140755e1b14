//! `regstorm registrar` as a process of its own, for the benches that run whole clients against it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

pub const REGSTORM: &str = env!("CARGO_BIN_EXE_regstorm");

/// A registrar on loopback that challenges with MD5; it ends when this is dropped.
pub struct Registrar {
    pub process: Child,
    /// `host:port`.
    pub address: String,
}

impl Registrar {
    pub fn start(threads: u32) -> Self {
        let mut process = Command::new(REGSTORM)
            .args(["registrar", "--listen", "udp://127.0.0.1:0", "--set", "registrar.algorithms=[\"MD5\"]"])
            .args(["--threads", &threads.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the registrar starts");
        let mut said = BufReader::new(process.stdout.take().expect("piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("the registrar says where it listens");
        let address = line.trim().strip_prefix("listening udp://").expect("the documented line").to_owned();
        Registrar { process, address }
    }
}

impl Drop for Registrar {
    fn drop(&mut self) {
        self.process.kill().expect("our own child");
        self.process.wait().expect("our own child");
    }
}
