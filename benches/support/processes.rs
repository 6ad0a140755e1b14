//! Programs as whole processes: a registrar for one run of a client, for the benches that compare what clients cost.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

pub const REGSTORM: &str = env!("CARGO_BIN_EXE_regstorm");

/// Runs `client` against a `regstorm registrar` of its own, which asks for MD5 and is gone afterwards. The client is given
/// the registrar's address and process id.
pub fn with_registrar<T>(client: impl FnOnce(&str, u32) -> T) -> T {
    let mut registrar = Command::new(REGSTORM)
        .args(["registrar", "--listen", "udp://127.0.0.1:0", "--set", "registrar.algorithms=[\"MD5\"]"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the registrar starts");
    let mut said = BufReader::new(registrar.stdout.take().expect("piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("the registrar says where it listens");
    let address = line.trim().strip_prefix("listening udp://").expect("the documented line").to_owned();
    let answer = client(&address, registrar.id());
    registrar.kill().expect("our own child");
    registrar.wait().expect("our own child");
    answer
}
