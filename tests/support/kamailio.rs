//! A real registrar: Debian's Kamailio on a free port of 127.0.0.1, with its bindings in memory.
//!
//! Started in the foreground in a process group of its own with a configuration of
//! `tests/kamailio/`, healthy or with one of the troubles of [`Config`], asked for its statistics
//! by JSON-RPC, killed by pid. A missing Kamailio is a failure, never a skipped test: `tests/all`
//! installs it.

use super::clock;
use regstorm::net::tls::SelfSigned;
use serde_json::{Value, json};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub const REALM: &str = "genesyscloud.test";
/// The realm of `tenant-realm.cfg` that credentials must be made for.
pub const TENANT_REALM: &str = "genesyscloud.test;tenant=acme";
/// The realm of `edge.cfg`.
pub const EDGE_REALM: &str = "edge.example.net";
pub const PASSWORD: &str = "secret";
/// Kamailio forks and maps 256 MB before it listens; on a busy machine of two cores that takes
/// seconds.
const READY: Duration = Duration::from_secs(30);

/// The file included by all others, and the name it is included by.
const HEALTHY: (&str, &str) = ("kamailio.cfg", include_str!("../kamailio/kamailio.cfg"));

/// A configuration of `tests/kamailio/`; the head of each file says what it stands for.
#[derive(Clone, Copy)]
pub enum Config {
    Healthy,
    /// The same over TCP on the same port, besides UDP.
    Tcp,
    /// The same over TLS; its certificate is [`Kamailio::certificate`].
    Tls,
    /// The same, and clients show certificates, each for its user ([`Kamailio::client_certificate`]).
    TlsClients,
    /// The same over WebSocket, at the path `/ws` of the port for TCP, or of the one for TLS.
    Ws,
    Wss,
    /// At most so many contacts over all users, 403 to the next one.
    Limit(u32),
    /// So many registrations and refreshes a second, 503 to the others.
    Rate {
        per_second: u32,
        retry_after_s: Option<u32>,
    },
    /// 403 to wrong credentials, not another challenge.
    Forbidden,
    /// 403 before any challenge to every address but this one.
    Whitelist(Ipv4Addr),
    /// Challenges with [`REALM`] and verifies against [`TENANT_REALM`].
    TenantRealm,
    /// Half of a period of so many seconds fine, half of it refused with 403.
    Oscillation {
        period_s: u32,
    },
    /// SHA-256 and MD5 in one 401, in this order.
    BothAlgorithms,
    /// A proxy that challenges for a realm of its own before the registrar at this address.
    Edge(SocketAddr),
    /// Asks every contact each few seconds whether it is there, and gives up one that has not
    /// answered for so many.
    Pinging {
        kept_s: u32,
    },
    /// An edge before the registrar at `next`: what that asks phones leaves from another port.
    PathEdge {
        next: SocketAddr,
        other: u16,
    },
    /// One process, which takes 1.5 ms more for each request.
    Slow,
}

impl Config {
    /// File name and text.
    fn file(self) -> (&'static str, &'static str) {
        match self {
            Config::Healthy | Config::Tcp | Config::Tls | Config::TlsClients | Config::Ws | Config::Wss => HEALTHY,
            Config::Limit(_) => ("limit.cfg", include_str!("../kamailio/limit.cfg")),
            Config::Rate { .. } => ("rate.cfg", include_str!("../kamailio/rate.cfg")),
            Config::Forbidden => ("forbidden.cfg", include_str!("../kamailio/forbidden.cfg")),
            Config::Whitelist(_) => ("whitelist.cfg", include_str!("../kamailio/whitelist.cfg")),
            Config::TenantRealm => ("tenant-realm.cfg", include_str!("../kamailio/tenant-realm.cfg")),
            Config::Oscillation { .. } => ("oscillation.cfg", include_str!("../kamailio/oscillation.cfg")),
            Config::Edge(_) => ("edge.cfg", include_str!("../kamailio/edge.cfg")),
            Config::Pinging { .. } => ("pinging.cfg", include_str!("../kamailio/pinging.cfg")),
            Config::PathEdge { .. } => ("path-edge.cfg", include_str!("../kamailio/path-edge.cfg")),
            Config::Slow => ("slow.cfg", include_str!("../kamailio/slow.cfg")),
            Config::BothAlgorithms => ("both-algorithms.cfg", include_str!("../kamailio/both-algorithms.cfg")),
        }
    }

    /// What its file wants defined on the command line (`-A`).
    fn defines(self) -> Vec<String> {
        match self {
            Config::Tcp => vec!["STREAMS=1".to_owned()],
            Config::Tls => vec!["STREAMS=1".to_owned(), "SECURED=1".to_owned()],
            Config::TlsClients => ["STREAMS=1", "SECURED=1", "CLIENTS=1"].map(str::to_owned).to_vec(),
            Config::Ws => vec!["STREAMS=1".to_owned(), "WEBSOCKET=1".to_owned()],
            Config::Wss => ["STREAMS=1", "SECURED=1", "WEBSOCKET=1"].map(str::to_owned).to_vec(),
            Config::Limit(contacts) => vec![format!("LIMIT={contacts}")],
            Config::Rate { per_second, retry_after_s } => {
                let retry_after = retry_after_s.map(|seconds| format!("RETRY_AFTER={seconds}"));
                [format!("RATE={per_second}")].into_iter().chain(retry_after).collect()
            }
            Config::Whitelist(address) => vec![format!("ALLOWED={address}")],
            Config::Oscillation { period_s } => vec![format!("PERIOD={period_s}")],
            Config::Pinging { kept_s } => vec![format!("KEPT={kept_s}")],
            Config::Healthy
            | Config::Forbidden
            | Config::TenantRealm
            | Config::BothAlgorithms
            | Config::Edge(_)
            | Config::PathEdge { .. }
            | Config::Slow => Vec::new(),
        }
    }
}

/// What a test may want otherwise.
pub struct Settings {
    pub config: Config,
    /// `MD5` or `SHA-256`: what is challenged with.
    pub algorithm: &'static str,
    pub min_expires_s: u32,
    pub nonce_expire_s: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { config: Config::Healthy, algorithm: "MD5", min_expires_s: 1, nonce_expire_s: 300 }
    }
}

/// A running Kamailio; killed when dropped.
pub struct Kamailio {
    settings: Settings,
    dir: TempDir,
    port: u16,
    process: Option<Child>,
    /// Whose clients' certificates it takes.
    authority: Authority,
}

impl Kamailio {
    /// Starts on a free port and returns when it answers.
    pub fn start(settings: Settings) -> Kamailio {
        let dir = tempfile::Builder::new().prefix("kamailio-").tempdir().expect("a directory under /tmp");
        let mut kamailio = Kamailio { settings, dir, port: 0, process: None, authority: Authority::new() };
        // Another process may take the port between our look and Kamailio's bind; then another port
        // is tried.
        for _ in 0..5 {
            kamailio.port = free_port();
            kamailio.spawn();
            if kamailio.becomes_ready() {
                return kamailio;
            }
        }
        panic!("Kamailio does not start; its log:\n{}", kamailio.log());
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Where its JSON-RPC is asked.
    pub fn rpc_socket(&self) -> PathBuf {
        self.dir.path().join("rpc")
    }

    /// Its certificate, for 127.0.0.1.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// A client's certificate for a user and its key, as PEM.
    pub fn client_certificate(&self, user: &str) -> (String, String) {
        self.authority.issue(user)
    }

    /// The bindings it holds, by its own statistics.
    pub fn contacts(&self) -> u64 {
        self.statistic("location_contacts")
    }

    /// The connections that are open, by its own count.
    pub fn connections(&self) -> u64 {
        let told = self.rpc("core.tcp_info", json!([])).expect("it is up");
        told["opened_connections"].as_u64().unwrap_or_else(|| panic!("no number in {told}"))
    }

    /// The addresses of record with at least one binding, by its own statistics.
    pub fn users(&self) -> u64 {
        self.statistic("registered_users")
    }

    /// Bindings that ran out because nobody refreshed them, since its start. An un-REGISTER does
    /// not count.
    pub fn expired(&self) -> u64 {
        self.statistic("location_expires")
    }

    /// Ends every process of it at once, as a crash would: the bindings are lost.
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // The negative pid is the process group made in `spawn`: the parent and its children, and
        // nobody else.
        let group = format!("-{}", process.id());
        let killed = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        drop((killed, process.kill(), process.wait()));
    }

    /// Starts again on the same port, with nothing remembered.
    pub fn restart(&mut self) {
        self.kill();
        // The children of a killed Kamailio may hold the port a moment longer than their parent.
        let port = self.port;
        clock::until("the port to be free again", READY, || UdpSocket::bind(("127.0.0.1", port)).ok());
        self.spawn();
        assert!(self.becomes_ready(), "Kamailio does not restart; its log:\n{}", self.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn spawn(&mut self) {
        let dir = self.dir.path();
        drop(std::fs::remove_file(dir.join("rpc")));
        let own = self.settings.config.file();
        let is_secured = matches!(self.settings.config, Config::Tls | Config::TlsClients | Config::Wss);
        if is_secured && !self.certificate().exists() {
            let made = SelfSigned::new(vec!["127.0.0.1".to_owned()]).expect("an address");
            std::fs::write(self.certificate(), made.certificate).expect("our own directory");
            std::fs::write(dir.join("key.pem"), made.key).expect("our own directory");
            std::fs::write(dir.join("clients.pem"), &self.authority.certificate).expect("our own directory");
        }
        for (name, text) in [HEALTHY, own] {
            std::fs::write(dir.join(name), self.filled_in(text)).expect("our own directory");
        }
        let log = File::options().create(true).append(true).open(dir.join("log")).expect("our own directory");
        let process = Command::new("kamailio")
            .args(["-DD", "-E", "-m", "256", "-M", "16", "-f", own.0])
            .args(self.settings.config.defines().iter().flat_map(|define| ["-A", define]))
            .args([Path::new("-Y"), dir, Path::new("-w"), dir])
            .current_dir(dir)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("an open file"))
            .stderr(log)
            .spawn()
            .expect("kamailio is installed (tests/all does it)");
        self.process = Some(process);
    }

    fn filled_in(&self, config: &str) -> String {
        let (next, other) = match self.settings.config {
            Config::Edge(next) => (Some(next), 0),
            Config::PathEdge { next, other } => (Some(next), other),
            _ => (None, 0),
        };
        let (next_port, next) = next.map(|next| (next.port(), next.to_string())).unwrap_or_default();
        config
            .replace("@NEXT@", &next)
            .replace("@NEXT_PORT@", &next_port.to_string())
            .replace("@OTHER@", &other.to_string())
            .replace("@EDGE_REALM@", EDGE_REALM)
            .replace("@PORT@", &self.port.to_string())
            .replace("@DIR@", &self.dir.path().display().to_string())
            .replace("@RPC@", &self.rpc_socket().display().to_string())
            .replace("@MIN_EXPIRES@", &self.settings.min_expires_s.to_string())
            .replace("@NONCE_EXPIRE@", &self.settings.nonce_expire_s.to_string())
            .replace("@ALGORITHM@", self.settings.algorithm)
            .replace("@REALM@", REALM)
            .replace("@PASSWORD@", PASSWORD)
    }

    /// Whether it answers both an OPTIONS and a JSON-RPC request before it ends or [`READY`] is
    /// over.
    fn becomes_ready(&mut self) -> bool {
        let ready = clock::until("Kamailio to answer or to give up", READY, || {
            let process = self.process.as_mut().expect("spawned before");
            if process.try_wait().expect("our own child").is_some() {
                return Some(false);
            }
            let answers = self.rpc("core.uptime", json!([])).is_some() && answers_options(self.address());
            answers.then_some(true)
        });
        if !ready {
            self.kill();
        }
        ready
    }

    /// Requests of a method (in small letters) that came to it.
    pub fn requests(&self, method: &str) -> u64 {
        self.fetch("core", &format!("rcv_requests_{method}"))
    }

    /// 2xx that came to it.
    pub fn answers(&self) -> u64 {
        self.fetch("core", "rcv_replies_2xx")
    }

    /// A statistic of usrloc, which must be there: the server is up.
    fn statistic(&self, name: &str) -> u64 {
        self.fetch("usrloc", name)
    }

    fn fetch(&self, group: &str, name: &str) -> u64 {
        let key = format!("{group}.{name}");
        let answer = self.rpc("stats.fetch", json!([format!("{group}:{name}")]));
        let value = answer.as_ref().and_then(|result| result.get(&key)).and_then(Value::as_str);
        value.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no {name} in {answer:?}"))
    }

    /// One JSON-RPC exchange over its datagram socket; `None` while it is not up.
    fn rpc(&self, method: &str, params: Value) -> Option<Value> {
        let own = tempfile::Builder::new().prefix("rpc-").tempdir_in(self.dir.path()).ok()?;
        let socket = UnixDatagram::bind(own.path().join("s")).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        socket.send_to(request.to_string().as_bytes(), self.rpc_socket()).ok()?;
        let mut answer = vec![0; 65536];
        let length = socket.recv(&mut answer).ok()?;
        let answer: Value = serde_json::from_slice(&answer[..length]).ok()?;
        answer.get("result").cloned()
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("Kamailio's log:\n{}", self.log());
        }
    }
}

/// Who issues certificates to clients.
struct Authority {
    certificate: String,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let mut parts = rcgen::CertificateParams::new(Vec::new()).expect("no names");
        parts.distinguished_name.push(rcgen::DnType::CommonName, "clients");
        parts.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = parts.self_signed(&key).expect("signed").pem();
        Authority { certificate, issuer: rcgen::Issuer::new(parts, key) }
    }

    fn issue(&self, user: &str) -> (String, String) {
        let mut parts = rcgen::CertificateParams::new(Vec::new()).expect("no names");
        parts.distinguished_name.push(rcgen::DnType::CommonName, user);
        parts.extended_key_usages.push(rcgen::ExtendedKeyUsagePurpose::ClientAuth);
        let key = rcgen::KeyPair::generate().expect("a key");
        (parts.signed_by(&key, &self.issuer).expect("signed").pem(), key.serialize_pem())
    }
}

/// A port of 127.0.0.1 that was free a moment ago.
pub fn free_port() -> u16 {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("loopback");
    socket.local_addr().expect("a bound socket").port()
}

/// One request as bytes, one answer as text, `None` after a quarter of a second.
pub fn exchange(to: SocketAddr, request: &str) -> Option<String> {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("loopback");
    socket.set_read_timeout(Some(Duration::from_millis(250))).expect("a duration above zero");
    let own = socket.local_addr().expect("a bound socket").to_string();
    socket.send_to(request.replace("@OWN@", &own).as_bytes(), to).ok()?;
    let mut answer = [0; 4096];
    let length = socket.recv(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer[..length]).into_owned())
}

/// A request without a body; [`exchange`] puts the sender's address in.
pub fn request(method: &str, user: &str) -> String {
    format!(
        "{method} sip:{REALM} SIP/2.0\r\nVia: SIP/2.0/UDP @OWN@;branch=z9hG4bK{user};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:{user}@{REALM}>;tag=1\r\nTo: <sip:{user}@{REALM}>\r\nCall-ID: {user}@test\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:{user}@@OWN@>\r\nExpires: 60\r\nContent-Length: 0\r\n\r\n"
    )
}

fn answers_options(to: SocketAddr) -> bool {
    exchange(to, &request("OPTIONS", "ready")).is_some_and(|answer| answer.starts_with("SIP/2.0 200"))
}
