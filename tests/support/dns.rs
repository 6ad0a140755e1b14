//! A real name server: dnsmasq on a free port of 127.0.0.1 with a zone of the test's own, started
//! in the foreground, killed by pid. A missing dnsmasq is a failure, never a skipped test:
//! `tests/all` installs it.

use super::clock;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const READY: Duration = Duration::from_secs(20);

/// A running dnsmasq; killed when dropped.
pub struct Dnsmasq {
    port: u16,
    process: Child,
}

impl Dnsmasq {
    /// Starts with records as dnsmasq takes them, `srv-host=_sip._udp.d.test,a.d.test,5060,10,50`,
    /// which live for so many seconds.
    pub fn start(ttl_s: u32, records: &[String]) -> Dnsmasq {
        for _ in 0..5 {
            // Another process may take the port between our look and the bind; then another is
            // tried.
            let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
            let port = socket.local_addr().expect("bound").port();
            drop(socket);
            if let Some(server) = Self::at(port, ttl_s, records) {
                return server;
            }
        }
        panic!("dnsmasq does not start");
    }

    /// Ends, and begins again at the same place with other records.
    pub fn restart(self, ttl_s: u32, records: &[String]) -> Dnsmasq {
        let port = self.port;
        drop(self);
        clock::until("dnsmasq to start again", READY, || Self::at(port, ttl_s, records))
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    fn at(port: u16, ttl_s: u32, records: &[String]) -> Option<Dnsmasq> {
        let process = Command::new("dnsmasq")
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--no-daemon"])
            .args(["--listen-address=127.0.0.1", "--bind-interfaces", "--no-poll", "--pid-file=", "--local=/test/"])
            .args([format!("--port={port}"), format!("--local-ttl={ttl_s}"), format!("--max-ttl={ttl_s}")])
            .args(records.iter().map(|record| format!("--{record}")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("dnsmasq is installed (tests/all does it)");
        let mut server = Dnsmasq { port, process };
        let ready = clock::until("dnsmasq to answer or to give up", READY, || {
            if server.process.try_wait().expect("our own child").is_some() {
                return Some(false);
            }
            answers(port).then_some(true)
        });
        ready.then_some(server)
    }
}

/// Whether somebody answers a question for an address there.
fn answers(port: u16) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a duration above zero");
    socket.connect(("127.0.0.1", port)).expect("loopback");
    // RFC 1035 §4.1: one question, recursion desired, for the A of "x.test".
    let question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01x\x04test\x00\x00\x01\x00\x01";
    socket.send(question).is_ok() && socket.recv(&mut [0; 512]).is_ok_and(|length| length >= 12)
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
